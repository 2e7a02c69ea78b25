// Mutated configurations: each is accepted, and then means what it says, or refused with a line that says so. No trap.

import fc from "fast-check";
import { Vm } from "../../src/host/index.ts";
import { type Mutation, mutate, mutation } from "../generators/mutate.ts";
import { BUILDS, post, toolCall } from "../host/guard.ts";
import { type RequestPolicy, requestFaults } from "../oracle/exchange.ts";
import { readStrictJson } from "../oracle/strict-json.ts";
import { type Finding, samples } from "./samples.ts";

/** A VM keeps the metrics of all its configurations, so it is replaced from time to time. */
const CONFIGURATIONS_PER_VM = 2000;

const name = fc.oneof(
  fc.constantFrom("safe", "evil", "delete_x", "updates", "a", "x".repeat(256), "x".repeat(257), "", "\0", "\u00fc"),
  fc.string({ maxLength: 8 }),
);
const names = fc.uniqueArray(name, { maxLength: 40 });
const anyNumber = fc.oneof(
  fc.constantFrom(0, 1, 64, 65, 100, 256, 1e6, 65_536, 64 << 20, 2 ** 31, 2 ** 32, 2 ** 53, -1, 0.5, 1e300),
  fc.integer(),
  fc.double(),
);
const anyValue = fc.oneof(names, anyNumber, name, fc.constantFrom(null, true, false, {}, [], [[]], [1], [{}]));

/** A member's value: mostly of its kind, now and then any. */
const mostly = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 40, arbitrary }, { weight: 1, arbitrary: anyValue });

const limits = fc.record(
  Object.fromEntries(
    ["body_bytes", "depth", "members_per_object", "open_members", "key_bytes", "stall_ms", "in_flight_bytes", "x"].map(
      (each) => [each, mostly(anyNumber)],
    ),
  ),
  { requiredKeys: [] },
);

const method = fc.constantFrom("POST", "GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "post", "CONNECT", "");
const path = fc.oneof(
  fc.constantFrom("/", "/a", "/a/", "/a/b.c", "//", "/a//b", "/.", "/..", "/a/./b", "/%61", "/a;b", "/a?b", "a", ""),
  fc.string({ maxLength: 6 }).map((text) => `/${text}`),
);
const unguarded = fc.array(
  fc.record(
    { methods: mostly(fc.array(method, { maxLength: 4 })), path: mostly(path), reason: mostly(name), x: anyValue },
    { requiredKeys: ["methods", "path"] },
  ),
  { maxLength: 3 },
);

const configuration = fc.record(
  {
    tool_allowlist: mostly(names),
    method_allowlist: mostly(
      fc.array(fc.constantFrom("vendor/x", "a", "tools/call", "ping", "two words", ""), { maxLength: 3 }),
    ),
    mode: mostly(fc.constantFrom("enforce", "monitor", "Enforce")),
    refusal: mostly(fc.constantFrom("jsonrpc_error", "tool_error", "http_403")),
    refusal_detail: mostly(fc.constantFrom("explain", "masked")),
    request_headers: mostly(fc.constantFrom("release", "hold")),
    request_body: mostly(fc.constantFrom("whole", "stream")),
    direction: mostly(fc.constantFrom("inbound", "both")),
    unguarded: mostly(unguarded),
    limits: mostly(limits),
    approval: mostly(fc.constantFrom({ mode: "off" }, { mode: "on" }, {})),
    resource_roots: anyValue,
    tool_allow_list: anyValue,
  },
  { requiredKeys: ["tool_allowlist"] },
);

/** What is accepted before it is mutated, so that mutations start from both sides. */
const goodNames = fc.uniqueArray(fc.constantFrom("safe", "evil", "delete_x", "updates", "n".repeat(256), "\u00fc"));
const goodConfiguration = fc.record(
  {
    tool_allowlist: goodNames,
    method_allowlist: fc.uniqueArray(fc.constantFrom("vendor/x", "notifications/vendor", "a")),
    mode: fc.constantFrom("enforce", "monitor"),
    request_headers: fc.constantFrom("release", "hold"),
    direction: fc.constantFrom("inbound", "both"),
    unguarded: fc.array(
      fc.record(
        { methods: fc.constant(["PUT"]), path: fc.constantFrom("/", "/a/b") },
        { requiredKeys: ["methods", "path"] },
      ),
      { maxLength: 2 },
    ),
    limits: fc.record(
      {
        body_bytes: fc.integer({ min: 1, max: 200 }),
        depth: fc.integer({ min: 1, max: 64 }),
        key_bytes: fc.integer({ min: 1, max: 20 }),
      },
      { requiredKeys: [] },
    ),
    approval: fc.constant({ mode: "off" }),
  },
  { requiredKeys: ["tool_allowlist"] },
);

const text = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.oneof(configuration, goodConfiguration), fc.constantFrom(undefined, 1, "\t"))
      .map(([value, indent]) => JSON.stringify(value, undefined, indent)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('{"tool_allowlist":["safe"],"limits":{"body_bytes":1e+06}}', "{}", "", "null", "[]"),
  },
);

const bytes = fc
  .tuple(
    text,
    fc.oneof(
      { weight: 1, arbitrary: fc.constant<Mutation[]>([]) },
      { weight: 2, arbitrary: fc.array(mutation, { maxLength: 4 }) },
    ),
  )
  .map(([start, changes]) => changes.reduce(mutate, Uint8Array.from(Buffer.from(start))));

/** Runs until the time is over or something is found; gives how many configurations were tried, and how many accepted. */
export function fuzzConfigurations(
  seconds: number,
  seed: number,
): { tried: number; accepted: number; findings: Finding[] } {
  const findings: Finding[] = [];
  let [tried, accepted] = [0, 0];
  let vm = Vm.load(BUILDS.debug);
  for (const { value, at } of samples(bytes, seconds, seed)) {
    if (tried % CONFIGURATIONS_PER_VM === 0) vm = Vm.load(BUILDS.debug);
    tried++;
    vm.logs.length = 0;
    const report = (found: string, expected: string): void => {
      findings.push({ at, input: Buffer.from(value).toString("latin1"), found, expected });
    };
    const plugin = vm.startPlugin(value);
    if (vm.failed) {
      report(String(vm.failure), "no trap");
      break;
    }
    if (plugin.accepted) {
      accepted++;
      checkAccepted(value, (body) => post(plugin, { body, stream: { headersStop: true } }), report);
      if (vm.failed) report(String(vm.failure), "no trap");
    } else {
      const errors = vm.logs.filter(({ level }) => level === "error").map(({ message }) => message);
      const isTold = errors.length === 1 && /^mcp-guard: configuration refused: [ -~]*$/.test(errors[0]!);
      if (!isTold) report(errors.join("\n"), "one line that says why");
    }
    plugin.stop();
    if (vm.failed || findings.length >= 10) break;
  }
  return { tried, accepted, findings };
}

/** What is accepted is JSON of our language with a list of tools, and exactly those tools pass. */
function checkAccepted(
  value: Uint8Array,
  send: (body: string) => string,
  report: (found: string, expected: string) => void,
): void {
  const reading = readStrictJson(value, { depth: 16, membersPerObject: 256, openMembers: 256, keyBytes: 256 });
  if (!reading.ok) {
    report("accepted", reading.error);
    return;
  }
  const policy: RequestPolicy & Record<string, unknown> = JSON.parse(Buffer.from(value).toString("utf8"));
  if (
    !Array.isArray(policy.tool_allowlist) ||
    !policy.tool_allowlist.every((each) => typeof each === "string" && each !== "")
  ) {
    report("accepted", "a list of tools");
    return;
  }
  // Monitor mode passes everything, masking hides the reason, and another form the error: other tests are about those.
  const isPlain = [
    policy.mode ?? "enforce",
    policy.refusal ?? "jsonrpc_error",
    policy.refusal_detail ?? "explain",
  ].join();
  if (isPlain !== "enforce,jsonrpc_error,explain") return;
  if (JSON.stringify(policy.unguarded ?? []).includes("/mcp")) return;
  for (const tool of ["evil", "safe", policy.tool_allowlist[0] ?? "x"]) {
    const body = toolCall(tool);
    const request = {
      method: "POST",
      path: "/mcp",
      headers: [["content-type", "application/json"]] as const,
      body: Buffer.from(body),
    };
    const justified = requestFaults(request, policy);
    const found = send(body);
    const isRight =
      justified.size === 0 ? found === "allow" : [...justified].some((reason) => found.startsWith(`refuse ${reason} `));
    if (!isRight) report(`${tool}: ${found}`, [...justified].join(" or ") || "allow");
  }
}
