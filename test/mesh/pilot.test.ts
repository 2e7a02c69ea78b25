// The manifests in Istio's own hands. Goal: what deploy/istio says is what Envoy does: the guard stands behind the policies, on what comes in and nowhere else,
// and fails closed; only the gateway is let in, by mTLS; nothing goes out but to the declared hosts; a client of the gateway cannot say who it is. Method:
// istiod's code makes the proxies' configuration, its agent's code fetches the module, a real Envoy runs both (pilot/adaptations.ts has what is changed on
// the way), and clients try. Each statement has a manifest that breaks it, and is seen to break.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { MODERN_META } from "../host/guard.ts";
import { PATIENCE } from "../integration/rig.ts";
import { createIssuer, type Issuer } from "../integration/tokens.ts";
import { type MemoryRegistry, startCraneRegistry } from "../oci/crane-registry.ts";
import { goTool } from "./go-tools.ts";
import { guardedChains, guardOf, misplaced, recordedDirections, visibleHosts } from "./pilot/chains.ts";
import type { Call } from "./pilot/client.ts";
import { type Gateway, serveKeys, startGateway } from "./pilot/gateway.ts";
import { pushGuard, pushModule } from "./pilot/image.ts";
import { generate } from "./pilot/istiod.ts";
import { type Change, changed, type Manifest, manifestsIn, overlay } from "./pilot/manifests.ts";
import {
  GATEWAY,
  OTHER_PORT,
  SERVER,
  type Sidecar,
  STRANGER,
  surroundings,
  toolCallOf,
  withSidecar,
} from "./pilot/sidecar.ts";
import { startWaypoint, type Waypoint } from "./pilot/waypoint.ts";

// Built before the tests, which have time limits.
await goTool("istio");
await goTool("crane");

const GATEWAY_CALLER = { principal: GATEWAY };
const STRANGER_CALLER = { principal: STRANGER };
/** What the guard refuses by the headers alone, before it has read a body. */
const TEXT: Call = { path: "/rpc", headers: ["content-type", "text/plain"], body: "hello" };
const HERE = "127.0.0.1";
const MESH_HTTP_PORT = 15014;
/** Where nothing is started, any address will do. */
const ANY_ADDRESS = "10.244.0.10";

let folder: string;
let registry: MemoryRegistry;
let guardUrl: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-pilot-"));
  registry = await startCraneRegistry();
  guardUrl = await pushGuard(registry.host);
});

afterAll(async () => {
  await registry?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What a test changes in the `spec` of an object. */
const edit = (kind: string, name: string, change: (spec: Manifest["spec"]) => void): Change => ({
  kind,
  name,
  edit: ({ spec }) => change(spec),
});
const remove = (kind: string, name: string): Change => ({ kind, name, edit: "remove" });
const guard = (change: (spec: Manifest["spec"]) => void): Change => edit("WasmPlugin", "mcp-tool-guard", change);
const ACCESS = ["AuthorizationPolicy", "mcp-access-policy"] as const;
const EGRESS = ["Sidecar", "mcp-egress-lockdown"] as const;

/** An overlay whose guard is the one in the test's registry, or another. */
function guarded(name: string, url = guardUrl): Manifest[] {
  const manifests = overlay(name);
  const isNew = manifests.some(({ kind }) => kind === "TrafficExtension");
  const kind = isNew ? "TrafficExtension" : "WasmPlugin";
  return changed(manifests, [edit(kind, "mcp-tool-guard", (spec) => Object.assign(isNew ? spec.wasm : spec, { url }))]);
}

/** What is tried with every sidecar, and what came of it. */
async function probe(sidecar: Sidecar): Promise<Readonly<Record<string, unknown>>> {
  const { configuration, undeclared, declared } = sidecar;
  const { inbound, outbound } = guardedChains(configuration);
  const listed = toolCallOf("search_code");
  const other = toolCallOf("system_exec");
  const elsewhere = { host: HERE, port: undeclared.port };
  return {
    "inbound chains with the guard": inbound,
    "outbound chains with the guard": outbound,
    "inbound chains in which no policy comes first": misplaced(configuration).length,
    "records are written": recordedDirections(configuration).join(),
    "the pod sees": visibleHosts(configuration),
    "gateway, listed tool": await sidecar.inbound(GATEWAY_CALLER, listed),
    "gateway, other tool": await sidecar.inbound(GATEWAY_CALLER, other),
    "gateway, nobody named": await sidecar.inbound(GATEWAY_CALLER, toolCallOf("search_code", [])),
    "gateway, other path": await sidecar.inbound(GATEWAY_CALLER, { ...listed, path: "/other" }),
    "gateway, path with two slashes": await sidecar.inbound(GATEWAY_CALLER, { ...listed, path: "//rpc" }),
    "gateway, GET": await sidecar.inbound(GATEWAY_CALLER, { method: "GET", path: "/rpc" }),
    "gateway, other port": await sidecar.inbound(GATEWAY_CALLER, listed, OTHER_PORT),
    "stranger, listed tool": await sidecar.inbound(STRANGER_CALLER, listed),
    "stranger, other tool": await sidecar.inbound(STRANGER_CALLER, other),
    "stranger, no JSON": await sidecar.inbound(STRANGER_CALLER, TEXT),
    "without a certificate": await sidecar.inbound("without a certificate", listed),
    "in plain text": await sidecar.inbound("in plain text", listed),
    "out to the declared host": await sidecar.outbound({ host: HERE, port: 443 }, "api.github.com"),
    "out to another host of the same port": await sidecar.outbound({ host: HERE, port: 443 }, "evil.example"),
    "out to another port": await sidecar.outbound(elsewhere, "evil.example"),
    "out to the declared host by another port": await sidecar.outbound(elsewhere, "api.github.com"),
    "out over HTTP to another host": await sidecar.outbound({ host: HERE, port: MESH_HTTP_PORT }, undefined, {
      method: "GET",
      headers: ["host", "evil.example"],
    }),
    "names that the declared host was asked for": [...new Set(declared.asked)].join(),
    "names that anybody else was asked for": [...new Set(undeclared.asked)].join(),
  };
}

const HELD = {
  "inbound chains with the guard": "all",
  "outbound chains with the guard": "none",
  "inbound chains in which no policy comes first": 0,
  "records are written": "inbound",
  "the pod sees": ["api.github.com", "istiod.istio-system.svc.cluster.local"],
  "gateway, listed tool": "served",
  "gateway, other tool": "refused tool_not_listed",
  "gateway, nobody named": "refused human_required",
  "gateway, other path": "403 by Istio",
  "gateway, path with two slashes": "served",
  "gateway, GET": "403 by Istio",
  "gateway, other port": "403 by Istio",
  "stranger, listed tool": "403 by Istio",
  "stranger, other tool": "403 by Istio",
  "stranger, no JSON": "403 by Istio",
  "without a certificate": "closed",
  "in plain text": "closed",
  "out to the declared host": "200 declared",
  "out to another host of the same port": "closed",
  "out to another port": "closed",
  "out to the declared host by another port": "closed",
  "out over HTTP to another host": "502",
  "names that the declared host was asked for": "api.github.com",
  "names that anybody else was asked for": "",
} as const;
type Held = Partial<Record<keyof typeof HELD, unknown>>;

// What comes of a mistake that several manifests can make.
const NOBODY_LET_IN: Held = {
  "gateway, listed tool": "403 by Istio",
  "gateway, other tool": "403 by Istio",
  "gateway, nobody named": "403 by Istio",
  "gateway, path with two slashes": "403 by Istio",
};
const STRANGERS_LET_IN: Held = {
  "stranger, listed tool": "refused human_required",
  "stranger, other tool": "refused tool_not_listed",
  "stranger, no JSON": "refused content_type",
};
const NO_GUARD: Held = {
  "inbound chains with the guard": "none",
  "inbound chains in which no policy comes first": 2,
  "gateway, other tool": "served",
  "gateway, nobody named": "served",
};
const NO_HOST: Held = {
  "the pod sees": ["istiod.istio-system.svc.cluster.local"],
  "out to the declared host": "closed",
  "names that the declared host was asked for": "",
};

const MISTAKES: readonly (readonly [string, readonly Change[], Held])[] = [
  [
    "no policy at all",
    [remove(...ACCESS), remove("AuthorizationPolicy", "allow-nothing")],
    {
      "inbound chains in which no policy comes first": 3,
      "gateway, other path": "served",
      "gateway, GET": "served",
      // The proxy passes it on, to a port where there is nobody.
      "gateway, other port": "503 by Envoy",
      ...STRANGERS_LET_IN,
    },
  ],
  ["no policy for the server", [remove(...ACCESS)], NOBODY_LET_IN],
  [
    "a policy for another server",
    [edit(...ACCESS, (spec) => Object.assign(spec.selector.matchLabels, { app: "a" }))],
    NOBODY_LET_IN,
  ],
  ["a policy that names no caller", [edit(...ACCESS, ({ rules: [rule] }) => delete rule.from)], STRANGERS_LET_IN],
  [
    "a principal with its scheme",
    [
      edit(...ACCESS, ({ rules: [rule] }) =>
        Object.assign(rule.from[0].source, { principals: [`spiffe://${GATEWAY}`] }),
      ),
    ],
    NOBODY_LET_IN,
  ],
  [
    "a policy that names no port",
    [edit(...ACCESS, ({ rules: [rule] }) => delete rule.to[0].operation.ports)],
    { "gateway, other port": "503 by Envoy" },
  ],
  [
    "mTLS that is not required",
    [edit("PeerAuthentication", "default", (spec) => Object.assign(spec.mtls, { mode: "PERMISSIVE" }))],
    { "in plain text": "403 by Istio" },
  ],
  ["mTLS that the mesh decides", [remove("PeerAuthentication", "default")], { "in plain text": "403 by Istio" }],
  ["a guard without a match", [guard((spec) => delete spec.match)], { "outbound chains with the guard": "all" }],
  [
    "a guard for clients",
    [guard((spec) => Object.assign(spec, { match: [{ mode: "CLIENT" }] }))],
    { ...NO_GUARD, "outbound chains with the guard": "all" },
  ],
  [
    "a guard for another port",
    [guard((spec) => Object.assign(spec, { match: [{ mode: "SERVER", ports: [{ number: 8081 }] }] }))],
    NO_GUARD,
  ],
  [
    "a guard for the server's port alone",
    [guard((spec) => Object.assign(spec, { match: [{ mode: "SERVER", ports: [{ number: 8080 }] }] }))],
    { "inbound chains with the guard": "1 of 2", "inbound chains in which no policy comes first": 1 },
  ],
  ["a guard for another server", [guard((spec) => Object.assign(spec.selector.matchLabels, { app: "a" }))], NO_GUARD],
  ["no guard", [remove("WasmPlugin", "mcp-tool-guard")], NO_GUARD],
  [
    "a guard in front of the policies",
    [guard((spec) => Object.assign(spec, { phase: "AUTHZ" }))],
    { "inbound chains in which no policy comes first": 2, "stranger, no JSON": "refused content_type" },
  ],
  [
    // No rule about HTTP matches there, so nothing is let in.
    "a port that is not said to be HTTP",
    [
      edit("Service", "github-mcp-server", ({ ports: [port] }) => {
        delete port.appProtocol;
        port.name = "tcp-mcp";
      }),
    ],
    {
      "gateway, listed tool": "closed",
      "gateway, other tool": "closed",
      "gateway, nobody named": "closed",
      "gateway, other path": "closed",
      "gateway, path with two slashes": "closed",
      "gateway, GET": "closed",
      "stranger, listed tool": "closed",
      "stranger, other tool": "closed",
      "stranger, no JSON": "closed",
    },
  ],
  [
    "egress that is not locked",
    [edit(...EGRESS, (spec) => Object.assign(spec.outboundTrafficPolicy, { mode: "ALLOW_ANY" }))],
    {
      "out to another port": "200 undeclared",
      "out to the declared host by another port": "200 undeclared",
      // It was led on to where it was going, and nobody is there.
      "out over HTTP to another host": "503 by Envoy",
      "names that anybody else was asked for": "evil.example,api.github.com",
    },
  ],
  [
    "a lock for another server",
    [edit(...EGRESS, (spec) => Object.assign(spec.workloadSelector.labels, { app: "a" }))],
    {
      "the pod sees": [
        "api.github.com",
        "github-mcp-server.ai-agents.svc.cluster.local",
        "istiod.istio-system.svc.cluster.local",
        "otel-collector.observability.svc.cluster.local",
        "other.elsewhere.svc.cluster.local",
      ],
    },
  ],
  ["a host that is not declared", [remove("ServiceEntry", "external-api-allowlist")], NO_HOST],
  ["a declared host that the pod may not see", [edit(...EGRESS, ({ egress: [first] }) => first.hosts.pop())], NO_HOST],
  [
    "a log of another server",
    [edit("Telemetry", "mcp-audit", (spec) => Object.assign(spec.selector.matchLabels, { app: "a" }))],
    { "records are written": "" },
  ],
];

describe("the sidecar", () => {
  test.each(["base", "sidecar", "traffic-extension"])("holds what the standard asks: %s", async (name) => {
    expect(await withSidecar(guarded(name), probe)).toEqual(HELD);
  });

  test("holds it with the module from a volume", async () => {
    const url = `file://${projectPath("build", "plugin.wasm")}`;
    expect(await withSidecar(guarded("image-volume", url), probe)).toEqual(HELD);
  });

  test.each(MISTAKES)("shows %s", async (_, changes, differences) => {
    expect(await withSidecar(changed(guarded("sidecar"), changes), probe)).toEqual({ ...HELD, ...differences });
  });
});

describe("the mesh", () => {
  test("has settings of its own that the manifests count on", async () => {
    const held = await withSidecar(guarded("sidecar"), probe, { hasMeshValues: false });
    expect(held).toEqual({ ...HELD, "records are written": "", "gateway, path with two slashes": "403 by Istio" });
  });

  test.each<[string, readonly Change[], boolean]>([
    ["does not get the declared host for everybody", [], false],
    [
      "would get it without exportTo",
      [edit("ServiceEntry", "external-api-allowlist", (spec) => delete spec.exportTo)],
      true,
    ],
  ])("%s", async (_, changes, isSeen) => {
    const manifests = [...changed(guarded("sidecar"), changes), ...surroundings()];
    const proxy = { kind: "sidecar", namespace: "elsewhere", name: "other" } as const;
    const hosts = visibleHosts(await generate({ manifests, proxy, firstAddress: ANY_ADDRESS, folder }));
    expect(hosts.includes("api.github.com")).toBe(isSeen);
    expect(hosts).toContain("github-mcp-server.ai-agents.svc.cluster.local");
  });
});

describe("a guard that cannot run", () => {
  /** Eight bytes that Istio's agent takes for a module, with and without something behind them that no machine can read. */
  const BROKEN = Buffer.from("0061736d01000000ff", "hex");
  const EMPTY = Buffer.from("0061736d01000000", "hex");
  const misspelt = guard((spec) => Object.assign(spec.pluginConfig, { tool_allowlst: [] }));
  /** Where the module comes from, what else is wrong, what a call then comes to, and what it would with FAIL_OPEN. */
  type Cause = readonly [string, () => Promise<string>, readonly Change[], string, string];
  const CAUSES: readonly Cause[] = [
    // The agent puts a policy into the guard's place.
    [
      "an image that is not there",
      async () => guardUrl.replace(/[0-9a-f]{64}$/, "0".repeat(64)),
      [],
      "403 by Istio",
      "served",
    ],
    [
      "an image without a module",
      () => pushModule(registry.host, "text", Buffer.from("no module"), folder),
      [],
      "403 by Istio",
      "served",
    ],
    // Envoy refuses what ECDS brings, and answers for the filter that is missing, whatever the strategy says.
    ["a module that does not load", () => pushModule(registry.host, "broken", BROKEN, folder), [], "500", "500"],
    ["a module that is no filter", () => pushModule(registry.host, "empty", EMPTY, folder), [], "500", "500"],
    ["a policy that the guard refuses", async () => guardUrl, [misspelt], "500", "500"],
  ];
  const failing = (failStrategy: string) =>
    // With a second change, so that the strategy that is there already is a change too.
    guard((spec) => Object.assign(spec, { failStrategy, priority: 1 }));

  describe.each(CAUSES)("%s", (_, url, changes, refusal, open) => {
    const outcome = async (strategy: string) =>
      withSidecar(changed(guarded("sidecar", await url()), [failing(strategy), ...changes]), ({ inbound }) =>
        inbound(GATEWAY_CALLER, toolCallOf("search_code")),
      );

    test.each(["FAIL_RELOAD", "FAIL_CLOSE"])("lets nothing pass with %s", async (strategy) => {
      expect(await outcome(strategy)).toBe(refusal);
    });

    test("and what FAIL_OPEN would do", async () => {
      expect(await outcome("FAIL_OPEN")).toBe(open);
    });
  });

  test("a policy that is refused later leaves the one before it in force", async () => {
    const manifests = guarded("sidecar");
    const more = [guard(({ pluginConfig }) => pluginConfig.tool_allowlist.push("list_issues"))];
    await withSidecar(manifests, async ({ inbound, update }) => {
      const tries = async () => ({
        "a listed tool": await inbound(GATEWAY_CALLER, toolCallOf("search_code")),
        "a new one": await inbound(GATEWAY_CALLER, toolCallOf("list_issues")),
        "another one": await inbound(GATEWAY_CALLER, toolCallOf("system_exec")),
      });
      const before = {
        "a listed tool": "served",
        "a new one": "refused tool_not_listed",
        "another one": "refused tool_not_listed",
      };
      expect(await tries()).toEqual(before);
      expect(await update(changed(manifests, [...more, misspelt]))).toBe("refused");
      expect(await tries()).toEqual(before);
      expect(await update(changed(manifests, more))).toBe("taken");
      await expect.poll(tries, PATIENCE).toEqual({ ...before, "a new one": "served" });
    });
  });

  test.each([
    ["FAIL_RELOAD", "FAIL_RELOAD"],
    ["FAIL_CLOSE", "FAIL_CLOSED"],
    ["FAIL_OPEN", "FAIL_OPEN"],
  ])("%s arrives as Envoy's %s", async (strategy, policy) => {
    const manifests = changed(guarded("sidecar"), [failing(strategy)]);
    const { extensions } = await generate({ manifests, proxy: SERVER, firstAddress: ANY_ADDRESS, folder });
    expect(extensions.map(({ typed_config }) => typed_config.config.failure_policy)).toEqual([policy]);
  });
});

describe("clients of one era", () => {
  const modern = (tool: string, method: string, name?: string): Call => {
    const mirrored = [
      "MCP-Protocol-Version",
      "2026-07-28",
      "Mcp-Method",
      method,
      ...(name === undefined ? [] : ["Mcp-Name", name]),
    ];
    const call = toolCallOf(tool, [...mirrored, "User-Identity", "alice"]);
    const message = JSON.parse(call.body ?? "");
    return { ...call, body: JSON.stringify({ ...message, params: { ...message.params, _meta: MODERN_META } }) };
  };
  const legacy = (method: string, on: string): Call => ({ method, path: on, headers: ["accept", "text/event-stream"] });
  const CALLS = {
    "POST /rpc": toolCallOf("search_code"),
    "POST /sse": { ...toolCallOf("search_code"), path: "/sse" },
    "POST /messages": { ...toolCallOf("search_code"), path: "/messages" },
    "GET /rpc": legacy("GET", "/rpc"),
    "GET /sse": legacy("GET", "/sse"),
    "GET /messages": legacy("GET", "/messages"),
    "DELETE /rpc": legacy("DELETE", "/rpc"),
    "DELETE /sse": legacy("DELETE", "/sse"),
    "modern, a listed tool": modern("search_code", "tools/call", "search_code"),
    "modern, another tool": modern("system_exec", "tools/call", "system_exec"),
    "modern, another tool under a listed name": modern("system_exec", "tools/call", "search_code"),
    "modern, a tool without its name": modern("search_code", "tools/call"),
    "modern, another tool under another method": modern("system_exec", "tools/list"),
  } satisfies Record<string, Call>;

  async function outcomes(sidecar: Sidecar): Promise<Readonly<Record<string, string>>> {
    const result: Record<string, string> = {};
    for (const [name, what] of Object.entries(CALLS)) result[name] = await sidecar.inbound(GATEWAY_CALLER, what);
    return result;
  }

  const STANDARD: Readonly<Record<keyof typeof CALLS, string>> = {
    "POST /rpc": "served",
    "POST /sse": "served",
    "POST /messages": "403 by Istio",
    "GET /rpc": "403 by Istio",
    "GET /sse": "403 by Istio",
    "GET /messages": "403 by Istio",
    "DELETE /rpc": "403 by Istio",
    "DELETE /sse": "403 by Istio",
    "modern, a listed tool": "served",
    "modern, another tool": "refused tool_not_listed",
    "modern, another tool under a listed name": "refused header_mismatch",
    "modern, a tool without its name": "refused header_mismatch",
    "modern, another tool under another method": "refused header_mismatch",
  };
  const LEGACY = { "POST /messages": "served", "GET /rpc": "served", "GET /sse": "served", "DELETE /rpc": "served" };
  const MODERN = {
    "POST /rpc": "403 by Istio",
    "POST /sse": "403 by Istio",
    "modern, another tool": "403 by Istio",
    "modern, a tool without its name": "403 by Istio",
  };

  test.each([
    ["sidecar", {}],
    ["legacy", LEGACY],
    ["modern", MODERN],
  ])("the overlay %s", async (name, differences) => {
    expect(await withSidecar(guarded(name), outcomes)).toEqual({ ...STANDARD, ...differences });
  });

  test("the policy about the headers is what refuses by them", async () => {
    const manifests = changed(guarded("modern"), [remove("AuthorizationPolicy", "mcp-tool-headers")]);
    expect(await withSidecar(manifests, outcomes)).toEqual({ ...STANDARD, "POST /sse": "403 by Istio" });
  });
});

describe("what the guard itself needs", () => {
  const COLLECTOR = "outbound|4318||otel-collector.observability.svc.cluster.local";
  const clusters = async (changes: readonly Change[] = []) => {
    const manifests = [...changed(guarded("audit"), changes), ...surroundings()];
    const configuration = await generate({ manifests, proxy: SERVER, firstAddress: ANY_ADDRESS, folder });
    return configuration.clusters.map(({ name }) => name);
  };

  test("the collector that the policy names is a cluster of the sidecar, and so is the role's host", async () => {
    const [plugin] = overlay("audit").filter(({ kind }) => kind === "WasmPlugin");
    expect(plugin?.spec.pluginConfig.audit.otlp.cluster).toBe(COLLECTOR);
    const names = await clusters();
    expect(names).toContain(COLLECTOR);
    expect(names).toContain("outbound|443||sts.eu-west-1.amazonaws.com");
  });

  test("and it is none when the pod may not see it", async () => {
    const hide = edit(...EGRESS, ({ egress: [first] }) => {
      first.hosts = first.hosts.filter((host: string) => !host.includes("otel-collector"));
    });
    expect(await clusters([hide])).not.toContain(COLLECTOR);
  });
});

describe("the waypoint", () => {
  async function probeWaypoint(waypoint: Waypoint): Promise<Readonly<Record<string, unknown>>> {
    const listed = toolCallOf("search_code");
    return {
      "policies in front of the guard": waypoint.policies.before,
      "policies behind it": waypoint.policies.behind,
      "gateway, listed tool": await waypoint.inbound(GATEWAY_CALLER, listed),
      "gateway, other tool": await waypoint.inbound(GATEWAY_CALLER, toolCallOf("system_exec")),
      "gateway, nobody named": await waypoint.inbound(GATEWAY_CALLER, toolCallOf("search_code", [])),
      "gateway, other path": await waypoint.inbound(GATEWAY_CALLER, { ...listed, path: "/other" }),
      "stranger, listed tool": await waypoint.inbound(STRANGER_CALLER, listed),
      "stranger, other tool": await waypoint.inbound(STRANGER_CALLER, toolCallOf("system_exec")),
      "without a certificate": await waypoint.inbound("without a certificate", listed),
    };
  }
  const WAYPOINT_HELD = {
    "policies in front of the guard": 1,
    "policies behind it": 0,
    "gateway, listed tool": "served",
    "gateway, other tool": "refused tool_not_listed",
    "gateway, nobody named": "refused human_required",
    "gateway, other path": "403 by Istio",
    "stranger, listed tool": "403 by Istio",
    "stranger, other tool": "403 by Istio",
    "without a certificate": "closed",
  };
  const UNGUARDED = {
    "policies in front of the guard": 0,
    "gateway, other tool": "served",
    "gateway, nobody named": "served",
  };
  const selector = { matchLabels: { app: "github-mcp-server" } };

  test.each<[string, readonly Change[], Partial<Record<keyof typeof WAYPOINT_HELD, unknown>>]>([
    ["holds what the standard asks", [], {}],
    [
      "shows a guard for another Service",
      [guard((spec) => Object.assign(spec.targetRefs[0], { name: "a" }))],
      UNGUARDED,
    ],
    [
      "shows a guard for one port",
      [guard((spec) => Object.assign(spec.match[0], { ports: [{ number: 8080 }] }))],
      UNGUARDED,
    ],
    [
      "shows a guard that selects pods",
      [guard((spec) => Object.assign(spec, { targetRefs: undefined, selector }))],
      UNGUARDED,
    ],
    [
      "shows a policy for another Service",
      [edit(...ACCESS, (spec) => Object.assign(spec.targetRefs[0], { name: "a" }))],
      {
        "gateway, listed tool": "403 by Istio",
        "gateway, other tool": "403 by Istio",
        "gateway, nobody named": "403 by Istio",
      },
    ],
    [
      // allow-nothing, which has no targetRefs, is nothing to a waypoint.
      "shows a policy for another Service, and nothing for the waypoint itself",
      [
        edit(...ACCESS, (spec) => Object.assign(spec.targetRefs[0], { name: "a" })),
        remove("AuthorizationPolicy", "waypoint-allow-nothing"),
      ],
      {
        "policies in front of the guard": 0,
        "gateway, other path": "served",
        "stranger, listed tool": "refused human_required",
        "stranger, other tool": "refused tool_not_listed",
      },
    ],
  ])("%s", async (_, changes, differences) => {
    const waypoint = await startWaypoint(changed(guarded("waypoint"), changes));
    try {
      expect(await probeWaypoint(waypoint)).toEqual({ ...WAYPOINT_HELD, ...differences });
    } finally {
      await waypoint.stop();
    }
  });
});

describe("the gateway", () => {
  let issuer: Issuer;
  let keys: Awaited<ReturnType<typeof serveKeys>>;

  beforeAll(async () => {
    issuer = await createIssuer("https://idp.example");
    keys = await serveKeys(issuer);
  });

  afterAll(() => keys?.stop());

  function manifestsOf(changes: readonly Change[]): Manifest[] {
    const manifests = [...guarded("sidecar"), ...manifestsIn("deploy", "istio", "rendered", "gateway.yaml")];
    const own = edit("RequestAuthentication", "people", ({ jwtRules: [rule] }) =>
      Object.assign(rule, { jwksUri: keys.url }),
    );
    return changed(manifests, [own, ...changes]);
  }

  /** What a client says, and as whom the server then hears of it. */
  async function heard(gateway: Gateway, fields: readonly string[]): Promise<unknown> {
    const outcome = await gateway.send(toolCallOf("search_code", fields));
    const arrival = gateway.sidecar.origin.all().at(-1);
    if (outcome !== "served" || arrival === undefined) return outcome;
    return arrival.fields
      .filter(([name]) => /^(user.identity|authorization)$/i.test(name))
      .map(([name, value]) => `${name}: ${value}`)
      .join();
  }

  async function attempts(gateway: Gateway): Promise<Readonly<Record<string, unknown>>> {
    const claims = { sub: "alice", aud: "mcp-gateway" };
    const bearer = (token: string) => ["authorization", `Bearer ${token}`];
    const token = bearer(await issuer.sign(claims));
    const impostor = await createIssuer(issuer.name);
    return {
      "the gateway has the guard too": guardOf(gateway.configuration) !== undefined,
      "a token": await heard(gateway, token),
      "a token and a name": await heard(gateway, [...token, "User-Identity", "mallory"]),
      "a token and two names": await heard(gateway, [...token, "User-Identity", "mallory", "user-identity", "eve"]),
      "a token and other spellings": await heard(gateway, [
        ...token,
        "User_Identity",
        "mallory",
        "user.identity",
        "eve",
      ]),
      "a name alone": await heard(gateway, ["User-Identity", "mallory"]),
      nothing: await heard(gateway, []),
      "a token by another key": await heard(gateway, bearer(await impostor.sign(claims))),
      "a token for another audience": await heard(gateway, bearer(await issuer.sign({ ...claims, aud: "other" }))),
    };
  }
  const ALICE = "user-identity: alice";
  const GATEWAY_HELD = {
    "the gateway has the guard too": false,
    "a token": ALICE,
    "a token and a name": ALICE,
    "a token and two names": ALICE,
    "a token and other spellings": ALICE,
    "a name alone": "403 by Istio",
    nothing: "403 by Istio",
    "a token by another key": "401 Jwt verification fails",
    "a token for another audience": "403 Audiences in Jwt are not allowed",
  };
  const NOBODY = {
    "a token": "refused human_required",
    "a token and a name": "refused human_required",
    "a token and two names": "refused human_required",
    "a token and other spellings": "refused human_required",
  };
  const strip = remove("EnvoyFilter", "strip-user-identity");
  const noClaim = edit("RequestAuthentication", "people", ({ jwtRules: [rule] }) => delete rule.outputClaimToHeaders);

  test.each<[string, readonly Change[], Partial<Record<keyof typeof GATEWAY_HELD, unknown>>]>([
    ["tells the server who the token is about, and nothing else", [], {}],
    // The claim takes the place of a name in the header itself; names in other spellings are left, and the guard refuses what is not clear.
    ["shows that nobody removes names", [strip], { "a token and other spellings": "refused human_required" }],
    ["shows that the claim goes nowhere", [noClaim], NOBODY],
    ["shows both", [strip, noClaim], { ...NOBODY, "a token and a name": "user-identity: mallory" }],
    [
      "shows a guard for the whole mesh",
      [
        {
          kind: "WasmPlugin",
          name: "mcp-tool-guard",
          edit: ({ metadata, spec }) => {
            metadata.namespace = "istio-system";
            delete spec.selector;
            delete spec.match;
          },
        },
      ],
      { "the gateway has the guard too": true },
    ],
    [
      "shows that no token is asked for",
      [remove("AuthorizationPolicy", "people-only")],
      { "a name alone": "refused human_required", nothing: "refused human_required" },
    ],
  ])("%s", async (_, changes, differences) => {
    const gateway = await startGateway(manifestsOf(changes));
    try {
      expect(await attempts(gateway)).toEqual({ ...GATEWAY_HELD, ...differences });
    } finally {
      await gateway.stop();
    }
  });
});
