// mcp-guard probe against a real Envoy with real MCP servers behind it. Goal: a guard that enforces is known in each form of its refusals and in each era of
// MCP, one that monitors is told from none by the proxy's counters, and so are those who refuse in the place of a guard. Method: listeners of one
// Envoy for each server, with the filter, without it, and with Envoy's RBAC filter where Istio puts it.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bootstrap, connectionManager, type GuardOptions } from "../../src/envoy/bootstrap.ts";
import { Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { probeJson, runProbe } from "../probe/command-runner.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";
import { drivers } from "./drivers/drivers.ts";
import { type McpServer, startEverything, startModern } from "./mcp-servers.ts";
import { PATIENCE } from "./rig.ts";

const FORMS = ["jsonrpc_error", "tool_error", "http_403"] as const;
const POLICY = { tool_allowlist: ["echo"] };
/** So that the gauge with a policy's digest is there soon: a guard counts itself at its first tick. */
const SOON = { limits: { stall_ms: 100 } };
const MODULE = readFileSync(projectPath("build", "plugin.wasm"));

/** The digest that the filter logs for a policy. */
function digestOf(configuration: object): string {
  const vm = Vm.load(MODULE);
  vm.startPlugin(JSON.stringify(configuration));
  return /policy ([0-9a-f]{16})/.exec(vm.logs[0]?.message ?? "")?.[1] ?? "";
}

/** A listener without the filter. */
function leaveOut(bootstrap: Bootstrap, name: string): void {
  const manager = connectionManager(listenerOf(bootstrap, name));
  manager.http_filters = manager.http_filters.filter((filter) => filter.name !== "mcp-guard");
}

/** Envoy's RBAC filter without a rule that lets anything in, in front of the others. */
function denyAll(bootstrap: Bootstrap, name: string, statPrefix?: string): void {
  const typed = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
    rules: {},
    ...(statPrefix !== undefined && { rules_stat_prefix: statPrefix }),
  };
  const filters: object[] = connectionManager(listenerOf(bootstrap, name)).http_filters;
  filters.unshift({ name: "envoy.filters.http.rbac", typed_config: typed });
}

function listenerOf(bootstrap: Bootstrap, name: string) {
  const listener = bootstrap.static_resources.listeners.find((one) => one.name === name);
  if (listener === undefined) throw new Error(`no listener ${name}`);
  return listener;
}

const policies = FORMS.flatMap((refusal) =>
  (["explain", "masked"] as const).map((refusal_detail) => ({ ...POLICY, refusal, refusal_detail })),
);
const enforcing: GuardOptions[] = policies.map((configuration) => ({
  name: `${configuration.refusal} ${configuration.refusal_detail}`,
  configuration,
}));

const GUARDS: GuardOptions[] = [
  ...enforcing,
  { name: "monitor", configuration: { ...POLICY, mode: "monitor" } },
  { name: "bare", configuration: POLICY },
  { name: "outbound", configuration: POLICY, direction: "outbound" },
  { name: "unguarded", configuration: { ...POLICY, unguarded: [{ methods: ["POST"], path: "/mcp" }] } },
  { name: "hosts", configuration: { ...POLICY, allowed_hosts: ["mcp.example"] } },
  { name: "masked hosts", configuration: { ...POLICY, allowed_hosts: ["mcp.example"], refusal_detail: "masked" } },
  { name: "short keys", configuration: { ...POLICY, limits: { key_bytes: 20 } } },
  {
    name: "human",
    configuration: {
      ...POLICY,
      identity: { jwt: [{ provider: "payload", issuer: "https://idp.example", claim: "sub" }], require_human: true },
    },
  },
  { name: "stand-in", configuration: POLICY },
  { name: "authorization", configuration: POLICY },
];

/** One server and an Envoy in front of it. */
interface Place {
  readonly server: McpServer;
  readonly envoy: RunningEnvoy;
}

async function start(server: McpServer, guards: readonly GuardOptions[]): Promise<Place> {
  const envoy = await drivers[0]!.start({
    upstreamPort: server.port,
    guards,
    edit(bootstrap) {
      const has = (name: string) => guards.some((guard) => guard.name === name);
      for (const name of ["bare", "stand-in"]) if (has(name)) leaveOut(bootstrap, name);
      if (has("stand-in")) denyAll(bootstrap, "stand-in", "wasm-default-deny");
      if (has("authorization")) denyAll(bootstrap, "authorization");
    },
  });
  return { server, envoy };
}

const places: Partial<Record<"legacy" | "modern", Place>> = {};
let modern: Awaited<ReturnType<typeof startModern>> | undefined;

beforeAll(async () => {
  places.legacy = await start(await startEverything(), GUARDS);
  modern = await startModern();
  places.modern = await start(modern, GUARDS);
});

afterAll(async () => {
  for (const { envoy, server } of Object.values(places)) {
    await envoy.stop();
    await server.stop();
  }
});

const urlOf = (era: "legacy" | "modern", guard: string) => `${places[era]?.envoy.url(guard)}/mcp`;
const adminOf = (era: "legacy" | "modern") => places[era]?.envoy.adminUrl ?? "";

/** What the modern server was asked. */
const calledOf = (): readonly string[] => modern?.called ?? [];

describe.each(["legacy", "modern"] as const)("in front of a %s server", (era) => {
  test.each(policies.map((policy) => [policy.refusal, policy.refusal_detail, policy] as const))(
    "a guard with %s, %s enforces",
    async (form, detail, configuration) => {
      const before = calledOf().length;
      const result = await probeJson(urlOf(era, `${form} ${detail}`));
      expect(calledOf().slice(before), "the server has seen nothing of it").toEqual([]);
      const isExplained = detail === "explain";
      expect(result).toMatchObject({
        exit: 0,
        verdict: "enforces",
        finding: isExplained ? "refused" : "refused_masked",
        mode: "enforce",
        reason: isExplained ? "tool_not_listed" : null,
        refusal: form,
        refusal_detail: detail,
        http_status: form === "http_403" ? 403 : 200,
        notes: [],
      });
      // A tool's error has no place for a digest.
      expect(result.policy).toBe(isExplained && form !== "tool_error" ? digestOf(configuration) : null);
      expect(result.seconds).toBeLessThan(10);
    },
  );

  test("one in monitor mode is told from none by the proxy alone", async () => {
    for (const guard of ["monitor", "bare"]) {
      expect(await probeJson(urlOf(era, guard))).toMatchObject({
        exit: 1,
        verdict: "absent",
        finding: "server_answered",
        mode: null,
      });
    }
    const admin = ["--admin", adminOf(era)];
    expect(await probeJson(...admin, urlOf(era, "monitor"))).toMatchObject({
      exit: 1,
      verdict: "monitors",
      finding: "monitor",
      mode: "monitor",
    });
    expect(await probeJson(...admin, urlOf(era, "bare"))).toMatchObject({
      exit: 1,
      verdict: "absent",
      finding: "not_in_path",
      mode: null,
    });
  });

  test.each([
    ["outbound", "outbound", "direction: both"],
    ["unguarded", "unguarded", "in unguarded"],
  ])("%s: the proxy says why it does not enforce", async (guard, finding, words) => {
    const result = await probeJson("--admin", adminOf(era), urlOf(era, guard));
    expect(result).toMatchObject({ exit: 1, verdict: "absent", finding });
    expect(result.text).toContain(words);
  });

  test.each([
    ["hosts", "host_not_allowed", "http"],
    ["short keys", "json_key_bytes", "http"],
    ["human", "tool_not_listed", "jsonrpc_error"],
  ])("%s: a refusal for another reason is a guard's too", async (guard, reason, form) => {
    const result = await probeJson(urlOf(era, guard));
    expect(result).toMatchObject({ exit: 0, verdict: "enforces", finding: "refused", reason, refusal: form });
    expect(result.notes).toHaveLength(reason === "tool_not_listed" ? 0 : 1);
  });

  test("a refusal that others have as well is told by the proxy", async () => {
    const url = urlOf(era, "masked hosts");
    expect(await probeJson(url)).toMatchObject({ exit: 3, verdict: "unknown", finding: "ambiguous_refusal" });
    expect(await probeJson("--admin", adminOf(era), url)).toMatchObject({
      exit: 0,
      verdict: "enforces",
      finding: "refused_counted",
    });
    expect(await probeJson("--header", "Host: mcp.example", url)).toMatchObject({ exit: 0, finding: "refused_masked" });
  });

  test("a tool that the policy lists does not hide the guard", async () => {
    const result = await probeJson("--tool", "echo", urlOf(era, "jsonrpc_error explain"));
    expect(result).toMatchObject({ exit: 0, verdict: "enforces", finding: "tool_listed", mode: "enforce" });
    expect(result.policy).toBe(digestOf({ ...POLICY, refusal: "jsonrpc_error" }));
  });

  test("a refusal of RBAC is an authorization's or the stand-in's, and the proxy says which", async () => {
    for (const guard of ["stand-in", "authorization"]) {
      expect(await probeJson(urlOf(era, guard))).toMatchObject({
        exit: 3,
        verdict: "unknown",
        finding: "rbac_denied",
        http_status: 403,
      });
    }
    const admin = ["--admin", adminOf(era)];
    expect(await probeJson(...admin, urlOf(era, "stand-in"))).toMatchObject({
      exit: 1,
      verdict: "absent",
      finding: "stand_in",
    });
    expect(await probeJson(...admin, urlOf(era, "authorization"))).toMatchObject({
      exit: 3,
      verdict: "unknown",
      finding: "authorization",
    });
  });
});

describe("a proxy with one guard", () => {
  test.each([
    ["masks", { ...POLICY, ...SOON, refusal_detail: "masked" }, { exit: 0, verdict: "enforces", mode: "enforce" }],
    [
      "answers as a tool",
      { ...POLICY, ...SOON, refusal: "tool_error" },
      { exit: 0, verdict: "enforces", mode: "enforce" },
    ],
    ["monitors", { ...POLICY, ...SOON, mode: "monitor" }, { exit: 1, verdict: "monitors", mode: "monitor" }],
  ])("that %s says which policy is in force", async (_, configuration, wanted) => {
    const { legacy } = places;
    const envoy = await drivers[0]!.start({ upstreamPort: legacy!.server.port, guards: [{ configuration }] });
    try {
      const copies = async () => [...(await envoy.stats("mcp_guard_info")).values()].filter((count) => count > 0);
      await expect.poll(copies, PATIENCE).toHaveLength(1);
      const result = await probeJson("--admin", envoy.adminUrl, `${envoy.url()}/mcp`);
      expect(result).toMatchObject({ ...wanted, policy: digestOf(configuration), notes: [] });
    } finally {
      await envoy.stop();
    }
  });

  test("that has been taken out has none", async () => {
    const { legacy } = places;
    const bare = [{ name: "bare", configuration: POLICY }];
    const { envoy } = await start(legacy!.server, bare);
    try {
      const result = await probeJson("--admin", envoy.adminUrl, `${envoy.url()}/mcp`);
      expect(result).toMatchObject({ exit: 1, verdict: "absent", finding: "no_guard", policy: null });
    } finally {
      await envoy.stop();
    }
  });

  test("and another proxy's counters are not taken for its own", async () => {
    const result = await probeJson("--admin", adminOf("modern"), urlOf("legacy", "jsonrpc_error explain"));
    expect(result).toMatchObject({
      exit: 0,
      verdict: "enforces",
      policy: digestOf({ ...POLICY, refusal: "jsonrpc_error" }),
    });
    expect(result.notes.join()).toContain("has counted no refusal");
  });

  test("is shown as a table", async () => {
    const { status, out } = await runProbe([urlOf("legacy", "jsonrpc_error explain")]);
    expect(status).toBe(0);
    const lines = out.split("\n");
    expect(lines[0]).toBe(urlOf("legacy", "jsonrpc_error explain"));
    expect(lines[1]).toMatch(
      /^a guard enforces: it refused the call of mcp-guard-probe-[0-9a-f]{16} \(tool_not_listed\)$/,
    );
    expect(lines.slice(3, 6)).toEqual([
      "verdict      enforces",
      "mode         enforce",
      `policy       ${digestOf({ ...POLICY, refusal: "jsonrpc_error" })}`,
    ]);
  });
});
