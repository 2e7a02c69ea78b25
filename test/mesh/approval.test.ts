// The approval service in Istio's own hands. Goal: guards reach it, from a sidecar and from a waypoint; on its port for guards only they are let in, and on
// that of its pages only the gateway that people come in by. Method: istiod's code makes the proxies' configuration of deploy/istio, a real Envoy stands in
// front of a server in the service's place, and clients try with the certificates of each. What is left out, or let in too much, is seen in the traffic.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority } from "../integration/certificates.ts";
import { startOrigin } from "../integration/origin.ts";
import { goTool } from "./go-tools.ts";
import { type Call, call } from "./pilot/client.ts";
import { generate, type ProxyOfWorkload } from "./pilot/istiod.ts";
import { type Change, changed, type Manifest, overlay } from "./pilot/manifests.ts";
import { podAddresses, startProxy } from "./pilot/proxy.ts";
import { type Caller, GATEWAY, outcomeAt, SERVER, STRANGER, surroundings } from "./pilot/sidecar.ts";
import { Started } from "./pilot/started.ts";
import { WAYPOINT } from "./pilot/waypoint.ts";

// Built before the tests, which have time limits.
await goTool("istio");

const SERVICE: ProxyOfWorkload = { kind: "sidecar", namespace: "approval", name: "approval" };
const CLUSTER = "outbound|8081||approval.approval.svc.cluster.local";
const [PAGES, GUARDS, OTHER] = [8080, 8081, 9999];
const CALLERS: Readonly<Record<string, Caller>> = {
  guard: { principal: "cluster.local/ns/ai-agents/sa/github-mcp-sa" },
  waypoint: { principal: "cluster.local/ns/ai-agents/sa/mcp-waypoint" },
  people: { principal: "cluster.local/ns/ingress/sa/people-gateway" },
  agents: { principal: GATEWAY },
  stranger: { principal: STRANGER },
  nobody: "without a certificate",
  "plain text": "in plain text",
};
const CLAIM: Call = { path: "/v1/claim", headers: ["content-type", "application/json"], body: "{}" };

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-approval-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

const deployed = (name: string): Manifest[] => [...overlay(name), ...overlay("approval-service")];

describe("the service is a cluster", () => {
  const has = async (proxy: ProxyOfWorkload, changes: readonly Change[] = [], hasMeshValues = true) => {
    const manifests = [
      ...changed(deployed(proxy === WAYPOINT ? "waypoint" : "sidecar"), changes),
      ...surroundings(),
    ].filter(({ kind }) => !/^(WasmPlugin|TrafficExtension)$/.test(kind));
    const { clusters } = await generate({ manifests, proxy, firstAddress: "10.244.0.10", folder, hasMeshValues });
    return clusters.some(({ name }) => name === CLUSTER);
  };

  test("of the sidecar that may see it, and of no other", async () => {
    expect(await has(SERVER)).toBe(true);
    const hide: Change = {
      kind: "Sidecar",
      name: "mcp-egress-lockdown",
      edit: ({ spec }) => {
        spec.egress[0].hosts = spec.egress[0].hosts.filter((host: string) => !host.startsWith("approval/"));
      },
    };
    expect(await has(SERVER, [hide])).toBe(false);
  });

  test("of the waypoint, when the mesh has the settings that go with it", async () => {
    expect(await has(WAYPOINT)).toBe(true);
    expect(await has(WAYPOINT, [], false)).toBe(false);
  });
});

/** What each caller gets on the port for guards, on that of the pages, and on one that no policy names. */
async function tried(manifests: readonly Manifest[]): Promise<Readonly<Record<string, readonly string[]>>> {
  const started = new Started("approval");
  try {
    const addresses = podAddresses();
    const all = [...manifests, ...surroundings()].filter(({ kind }) => !/^(WasmPlugin|TrafficExtension)$/.test(kind));
    // Only the service has a pod here, which gets the first address.
    const configuration = await generate({
      manifests: all.filter(({ kind, metadata }) => kind !== "Deployment" || metadata.name === SERVICE.name),
      proxy: SERVICE,
      firstAddress: addresses.first,
      folder: started.folder,
    });
    const mesh = await createAuthority();
    const origin = started.add(await startOrigin());
    started.add(
      await startProxy(SERVICE, configuration, {
        folder: started.folder,
        podAddress: addresses.first,
        podPorts: [PAGES, GUARDS, OTHER],
        certificate: await mesh.workload("cluster.local/ns/approval/sa/approval"),
        authority: mesh.certificate,
        serverPort: origin.port,
        outside: {},
      }),
    );
    const outcome = async (caller: Caller, port: number, what: Call) => {
      const own = typeof caller === "string" ? {} : { own: await mesh.workload(caller.principal) };
      const tls = caller === "in plain text" ? {} : { tls: { authority: mesh.certificate, ...own } };
      return outcomeAt(origin, what, () => call({ host: addresses.first, port, ...tls }, what));
    };
    const result: Record<string, readonly string[]> = {};
    for (const [name, caller] of Object.entries(CALLERS)) {
      result[name] = [
        await outcome(caller, GUARDS, CLAIM),
        await outcome(caller, PAGES, { method: "GET", path: "/a/x" }),
        await outcome(caller, OTHER, { method: "GET", path: "/" }),
      ];
    }
    result["guard, other path"] = [
      await outcome(CALLERS.guard ?? "in plain text", GUARDS, { ...CLAIM, path: "/openapi.json" }),
    ];
    result["guard, GET"] = [
      await outcome(CALLERS.guard ?? "in plain text", GUARDS, { method: "GET", path: "/v1/claim" }),
    ];
    return result;
  } finally {
    await started.stop();
  }
}

const NO = "403 by Istio";
const HELD = {
  guard: ["served", NO, NO],
  waypoint: [NO, NO, NO],
  people: [NO, "served", NO],
  agents: [NO, NO, NO],
  stranger: [NO, NO, NO],
  nobody: ["closed", "closed", "closed"],
  "plain text": ["closed", "closed", "closed"],
  "guard, other path": [NO],
  "guard, GET": [NO],
};

describe("the service's own proxy", () => {
  test("lets guards in on their port and people on theirs", async () => {
    expect(await tried(deployed("sidecar"))).toEqual(HELD);
  });

  test("lets the waypoint in where the guard is in it, and not the server", async () => {
    expect(await tried(deployed("waypoint"))).toEqual({
      ...HELD,
      guard: [NO, NO, NO],
      waypoint: ["served", NO, NO],
    });
  });

  const policy = (name: string, edit: Change["edit"]): Change => ({ kind: "AuthorizationPolicy", name, edit });
  test.each<[string, Change[], object]>([
    ["a port for guards that nobody has opened", [policy("mcp-approval-guard", "remove")], { guard: [NO, NO, NO] }],
    [
      "a gateway of people without a port",
      [policy("approval-browser", ({ spec }) => delete spec.rules[0].to[0].operation.ports)],
      { people: ["served", "served", "503 by Envoy"] },
    ],
    [
      "plain text that is taken",
      [{ kind: "PeerAuthentication", name: "default", edit: "remove" }],
      { "plain text": [NO, NO, NO] },
    ],
  ])("shows %s", async (_, changes, differences) => {
    // The server's namespace has objects of the same names, which are not looked at here.
    const own = [
      ...overlay("sidecar").filter(({ metadata }) => metadata.namespace === "approval"),
      ...overlay("approval-service"),
    ];
    expect(await tried(changed(own, changes))).toEqual({ ...HELD, ...differences });
  });
});
