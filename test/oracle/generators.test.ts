// The generators against the reference verdict: no valid message is refused, and mutated ones are judged without a crash
// and never allowed with a tool that is not listed.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HOSTILE_FAMILIES } from "../generators/hostile.ts";
import {
  LISTED_TOOLS,
  legacyExchange,
  MESSAGE_KINDS,
  MESSAGE_METHODS,
  messageBody,
  modernExchange,
  OPEN_POLICY,
} from "../generators/message.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { climbingUri, harmlessUri } from "../generators/uri.ts";
import { faults, type MessagePolicy } from "./message.ts";
import { isUnderRoot, uriFaults } from "./uri.ts";

const POLICY: MessagePolicy = { tool_allowlist: LISTED_TOOLS };

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

describe("a generated message is allowed", () => {
  test.each(Object.entries(MESSAGE_KINDS))("%s", (_kind, text) => {
    fc.assert(
      fc.property(text, (body) => {
        expect([...faults(bytesOf(body), POLICY)]).toEqual([]);
      }),
      { numRuns: 1500 },
    );
  });

  test("with white space around it", () => {
    fc.assert(
      fc.property(messageBody, (body) => {
        expect([...faults(body, POLICY)]).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a generated exchange is allowed under the open policy", () => {
  test.each(Object.entries({ "modern era": modernExchange, "legacy era": legacyExchange }))("%s", (_era, exchange) => {
    fc.assert(
      fc.property(exchange, ({ headers, body }) => {
        expect([...faults(body, OPEN_POLICY, headers)]).toEqual([]);
      }),
      { numRuns: 3000 },
    );
  });
});

describe.each(["file:///docs/", "mcp://logs/", "https://h:8080/a/b/"])("generated URIs under %s", (root) => {
  test.each(["literal", "segment"] as const)("harmless ones pass, %s", (traversal) => {
    fc.assert(
      fc.property(harmlessUri(root), (uri) => {
        expect([...uriFaults(uri, traversal, "uri"), isUnderRoot(root, uri)]).toEqual([true]);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(["literal", "segment"] as const)("climbing ones are refused, %s", (traversal) => {
    fc.assert(
      fc.property(climbingUri(root), (uri) => {
        expect([...uriFaults(uri, traversal, "uri")]).not.toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});

test("the generated messages use each method that passes without a list of its own", () => {
  const seen = new Set<string>();
  for (const body of fc.sample(messageBody, { numRuns: 2000, seed: 1 })) {
    const { method } = JSON.parse(Buffer.from(body).toString("utf8"));
    if (method !== undefined) seen.add(method);
  }
  expect([...seen].sort()).toEqual([...MESSAGE_METHODS].sort());
});

test("a mutated message that is allowed means to JSON.parse what the policy allows", () => {
  let allowed = 0;
  fc.assert(
    fc.property(mutatedBody(messageBody), (body) => {
      if (faults(body, POLICY).size > 0) return;
      allowed++;
      const message = JSON.parse(Buffer.from(body).toString("utf8"));
      if (message.method === "tools/call") expect(LISTED_TOOLS).toContain(message.params.name);
      else expect([undefined, ...MESSAGE_METHODS]).toContain(message.method);
    }),
    { numRuns: 5000, seed: 1 },
  );
  // Not so mild that all pass, not so rough that none does.
  expect(allowed).toBeGreaterThan(250);
  expect(allowed).toBeLessThan(4000);
});

describe("a hostile body", () => {
  test.each(HOSTILE_FAMILIES.map((family) => [family.name, family] as const))("%s", (_name, { build, refused }) => {
    for (const size of [70_000, 140_000, 280_000]) {
      const body = build(size);
      expect(body.length).toBeLessThanOrEqual(size);
      expect(body.length).toBeGreaterThan(size - 41_000);
      expect([...faults(body, { tool_allowlist: ["safe"] })]).toEqual(refused === undefined ? [] : [refused]);
    }
  });
});
