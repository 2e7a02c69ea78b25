// The compiled filter against the reference verdict: every vector, whole and cut, then whatever the generators make of URIs,
// arguments and messages. Where they differ, one of the two is wrong.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { traversalPayloads } from "../corpus/traversal.ts";
import { residueOf } from "../corpus/traversal-residue.ts";
import { legacyExchange, messageBody, modernExchange, OPEN_POLICY } from "../generators/message.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { climbingUri, harmlessUri, NEARLY_ROOTS, nearlyUri } from "../generators/uri.ts";
import type { ArgumentRule } from "../oracle/argument-rules.ts";
import { type HttpRequest, type RequestPolicy, requestFaults } from "../oracle/exchange.ts";
import { ARGUMENT_VECTORS } from "./arguments.ts";
import { bytes, call } from "./bytes.ts";
import { ENTRY_VECTORS } from "./entries.ts";
import { GuardModule, guardModule } from "./module-verdict.ts";
import { POLICY_VECTORS, type PolicyVector, REFUSED_POLICIES } from "./policy.ts";
import { THREAT_POLICY, THREAT_VECTORS } from "./threats.ts";
import { URI_ENTRIES } from "./uris.ts";

/** A verdict that can be compared: the oracle says which reasons are justified, and the module gives one of them. */
function compare(request: HttpRequest, policy: RequestPolicy, cut?: (body: Uint8Array) => readonly Uint8Array[]): void {
  const justified = [...requestFaults(request, policy)];
  const { verdict, reason } = guardModule(policy).judge(request, cut);
  if (justified.length === 0) expect({ verdict, reason }).toEqual({ verdict: "allow", reason: "" });
  else expect(justified).toContain(reason);
}

const rows = [...new Set(THREAT_VECTORS.map(({ row }) => row))].sort((one, other) => one - other);

describe.each(rows)("the module on threat vectors, row %i", (row) => {
  const vectors = THREAT_VECTORS.filter((vector) => vector.row === row);

  test.each(vectors.map((vector) => [vector.expect.verdict, vector.name, vector] as const))(
    "%s: %s",
    (_verdict, _name, { request, policy = THREAT_POLICY, expect: expected }) => {
      compare(request, policy);
      const { verdict, reason, status } = guardModule(policy).judge(request);
      expect(verdict).toBe(expected.verdict);
      if (verdict === "refuse") expect(expected.reasons).toContain(reason);
      if (expected.status !== undefined) expect(status).toBe(expected.status);
    },
  );
});

const post = (body: Uint8Array, headers: HttpRequest["headers"] = []): HttpRequest => ({
  method: "POST",
  path: "/mcp",
  headers: [["content-type", "application/json"], ...headers],
  body,
});

const requestOf = ({ body }: PolicyVector): HttpRequest => post(body);

describe.each([
  ["policy", POLICY_VECTORS],
  ["entry", ENTRY_VECTORS],
  ["argument", ARGUMENT_VECTORS],
] as const)("the module on %s vectors", (_table, vectors) => {
  test.each(vectors.map((vector) => [vector.name, vector] as const))("%s", (_name, vector) => {
    compare(requestOf(vector), vector.policy);
    const { verdict, reason } = guardModule(vector.policy).judge(requestOf(vector));
    if (vector.reasons.length === 0) expect(verdict).toBe("allow");
    else expect(vector.reasons).toContain(reason);
  });
});

test.each(Object.entries(REFUSED_POLICIES))("the module refuses the configuration: %s", (_name, policy) => {
  expect(() => new GuardModule(policy as RequestPolicy)).toThrow(/configuration refused/);
});

describe("the module's verdict does not depend on where a body is cut", () => {
  const BYTES_MAX = 400;
  const requests = [
    ...THREAT_VECTORS.map(({ row, name, request, policy = THREAT_POLICY }) => ({
      name: `${row} ${name}`,
      request,
      policy,
    })),
    ...[...POLICY_VECTORS, ...ENTRY_VECTORS, ...ARGUMENT_VECTORS].map((vector) => ({
      name: vector.name,
      request: requestOf(vector),
      policy: vector.policy,
    })),
  ].filter(({ request }) => request.body.length > 1 && request.body.length <= BYTES_MAX);

  test("in two at every byte, and into single bytes", () => {
    const different: string[] = [];
    for (const { name, request, policy } of requests) {
      const guard = guardModule(policy);
      const whole = guard.judge(request);
      const cuts = Array.from({ length: request.body.length - 1 }, (_, index) => [index + 1]);
      for (const at of [...cuts, Array.from({ length: request.body.length - 1 }, (_, index) => index + 1)]) {
        const edges = [0, ...at, request.body.length];
        const cut = guard.judge(request, (body) =>
          edges.slice(1).map((edge, index) => body.subarray(edges[index], edge)),
        );
        if (JSON.stringify(cut) !== JSON.stringify(whole)) {
          different.push(`${name}, cut at ${at[0]}: ${JSON.stringify(cut)} instead of ${JSON.stringify(whole)}`);
          break;
        }
      }
    }
    expect(requests.length).toBeGreaterThan(1000);
    expect(different).toEqual([]);
  }, 120_000);
});

const RUNS = { numRuns: 3000 };
const TRAVERSALS = ["literal", "segment"] as const;

describe.each(TRAVERSALS)("the module on generated URIs, %s", (traversal) => {
  const policy: RequestPolicy = { tool_allowlist: [], resource_roots: NEARLY_ROOTS, uri_traversal: traversal };
  const entries = fc.constantFrom(...Object.values(URI_ENTRIES));

  test("lets the harmless ones pass", () => {
    fc.assert(
      fc.property(harmlessUri("file:///docs/"), (uri) => {
        expect(guardModule(policy).judge(post(URI_ENTRIES["resources/read"]!(uri))).reason).toBe("");
      }),
      RUNS,
    );
  });

  test("refuses those that climb", () => {
    fc.assert(
      fc.property(entries, climbingUri("file:///docs/"), (entry, uri) => {
        expect(guardModule(policy).judge(post(entry(uri))).reason).toMatch(/^uri_(traversal|malformed)$/);
      }),
      RUNS,
    );
  });

  test("agrees on all the others", () => {
    fc.assert(
      fc.property(entries, nearlyUri, (entry, uri) => compare(post(entry(uri)), policy)),
      { numRuns: 10_000 },
    );
  });
});

describe.each(TRAVERSALS)("the module on the traversal corpus, %s", (traversal) => {
  const policy: RequestPolicy = { tool_allowlist: [], resource_roots: ["file:///docs/"], uri_traversal: traversal };
  const passes = (payload: string): boolean =>
    guardModule(policy).judge(post(URI_ENTRIES["resources/read"]!(`file:///docs/${payload}`))).verdict === "allow";

  test("refuses all but the residue", () => {
    const payloads = traversalPayloads() ?? residueOf(traversal);
    expect(payloads.filter(passes).sort()).toEqual([...residueOf(traversal)].sort());
  });
});

describe.each(TRAVERSALS)("the module on generated arguments, %s", (traversal) => {
  const rules: readonly ArgumentRule["rule"][] = [
    ...(["uri", "path", { uri_roots: NEARLY_ROOTS }] as const),
    ...[{ path_roots: ["/docs", "/srv/"] }, { enum: ["a", "b", "..", "file:///docs/"] }, { max_bytes: 12 }],
  ];
  const policies = rules.map(
    (rule): RequestPolicy => ({
      tool_allowlist: ["safe"],
      uri_traversal: traversal,
      argument_rules: [{ tool: "safe", pointer: "/x", rule }],
    }),
  );
  const path = fc.tuple(fc.constantFrom("", "/docs/", "/docs", "/srv/", "C:\\"), nearlyUri).map(
    ([start, uri]) =>
      // The path of the URI, so that most of them are no URIs.
      start + uri.replace(/^[a-z]+:[/]*/i, ""),
  );

  test("agrees on texts", () => {
    fc.assert(
      fc.property(fc.constantFrom(...policies), fc.oneof(path, nearlyUri), (policy, text) =>
        compare(post(call(`"name":"safe","arguments":{"x":${JSON.stringify(text)}}`)), policy),
      ),
      { numRuns: 10_000 },
    );
  });
});

describe("the module on generated pointers", () => {
  const TOKENS = ["a", "b", "-", "0", "1", "2", "", "~1", "~0"] as const;
  const POINTERS = [
    "/a",
    "/a/b",
    "/a/-",
    "/a/-/b",
    "/a/1",
    "/-",
    "/a/-/-",
    "/0/1",
    "/~1/~0",
    "/a//b",
    "/a/-/a/-/a/-/a/-",
  ];
  const RULES = [{ max_bytes: 1 }, { enum: ["ok", "x"] }, "path"] as const;
  const policies = POINTERS.flatMap((pointer, index) =>
    POINTERS.slice(index).map(
      (other, next): RequestPolicy => ({
        tool_allowlist: ["safe"],
        argument_rules: [
          { tool: "safe", pointer, rule: RULES[index % 3]! },
          { tool: "other", pointer: "/a/-/b", rule: RULES[next % 3]! },
          { tool: "safe", pointer: other, rule: RULES[next % 3]! },
        ],
      }),
    ),
  );
  const names = TOKENS.map((token) => token.replace("~1", "/").replace("~0", "~"));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom<unknown>("ok", "x", "..", "", "longer", 1, null, true),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...names), tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  const object = fc.dictionary(fc.constantFrom(...names), value, { minKeys: 1, maxKeys: 5, noNullPrototype: true });

  test("agrees on arguments of any shape", () => {
    fc.assert(
      fc.property(fc.constantFrom(...policies), object, fc.boolean(), (policy, toolArguments, nameFirst) => {
        const members = ['"name":"safe"', `"arguments":${JSON.stringify(toolArguments)}`];
        compare(post(call((nameFirst ? members : members.reverse()).join(","))), policy);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("the module on generated messages", () => {
  const exchanges = fc.oneof(modernExchange, legacyExchange);

  test.each(Object.entries({ modern: modernExchange, legacy: legacyExchange }))(
    "lets %s ones pass",
    (_era, exchange) => {
      fc.assert(
        fc.property(exchange, ({ headers, body }) => {
          expect(guardModule(OPEN_POLICY).judge(post(body, headers)).reason).toBe("");
        }),
        RUNS,
      );
    },
  );

  test("agrees on mutated bodies", () => {
    fc.assert(
      fc.property(
        exchanges.chain(({ headers, body }) => mutatedBody(fc.constant(body)).map((mutated) => ({ headers, mutated }))),
        ({ headers, mutated }) => compare(post(mutated, headers), OPEN_POLICY),
      ),
      RUNS,
    );
    fc.assert(
      fc.property(mutatedBody(messageBody), (body) => compare(post(body), THREAT_POLICY)),
      RUNS,
    );
  });

  test("agrees on headers of another message", () => {
    fc.assert(
      fc.property(modernExchange, exchanges, fc.boolean(), ({ body }, { headers, body: other }, both) =>
        compare(
          post(both ? body : other, both ? headers : [...headers, ["mcp-protocol-version", "2026-07-28"]]),
          OPEN_POLICY,
        ),
      ),
      RUNS,
    );
  });

  test("agrees on members of the protocol in any place", () => {
    fc.assert(
      fc.property(protocolText, (text) => compare(post(bytes(text)), OPEN_POLICY)),
      { numRuns: 10_000 },
    );
  });
});

/** JSON in which the names of the protocol stand anywhere, near names among them, around a request that is nearly valid. */
const NAMES = [
  ...["roots", "uri", "Roots", "Uri", "name", "value", "Value", "ref", "argument", "inputResponses", "notifications"],
  ...["resourceSubscriptions", "taskIds", "taskId", "task", "arguments", "_meta", "type", "x", "params", "result"],
];
const { protocolValue } = fc.letrec<{ protocolValue: unknown }>((tie) => ({
  protocolValue: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<unknown>(
      "file:///docs/a",
      "../x",
      "safe",
      "greet",
      "ref/resource",
      "ref/prompt",
      "t",
      "",
      1,
      null,
      true,
    ),
    fc.array(tie("protocolValue"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie("protocolValue"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const protocolObject = fc.dictionary(fc.constantFrom(...NAMES), protocolValue, { maxKeys: 6, noNullPrototype: true });
const protocolText = fc
  .tuple(
    fc.constantFrom(
      ...["tools/call", "prompts/get", "resources/read", "completion/complete", "subscriptions/listen", "tasks/get"],
      ...[
        "tasks/list",
        "tools/list",
        "skills/get",
        "vendor/x",
        "notifications/tasks/status",
        "tasks/update",
        undefined,
      ],
    ),
    protocolObject,
  )
  .map(([method, object]) =>
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      ...(method === undefined ? { result: object } : { method, params: object }),
    }),
  );
