// The filter against other readers. Goal: if the filter lets a body through, every reader behind it performs exactly the
// method and the tool that the filter has decided on. Method: the attack vectors and thousands of mutated messages; of each
// that passes, what the filter has recorded is compared with JSON.parse, with the official SDK's own schema, with a reader
// that folds member names, and with Python's.

import { JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Exchange, legacyExchange, messageBody, modernExchange, OPEN_POLICY } from "../generators/message.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { exchange, JSON_HEADERS, startGuard, verdict } from "../host/guard.ts";
import { THREAT_VECTORS } from "../vectors/threats.ts";
import { readInPython } from "./python.ts";

/** Method and tool name; null where the message has none. */
type Performed = readonly [method: string | null, name: string | null];

const { vm, plugin } = startGuard(OPEN_POLICY);

/** What the filter says that a body is, when it lets it through. */
function decided({ headers, body }: Exchange): readonly [string | undefined, string | undefined] | undefined {
  const stream = exchange(plugin, { headers: [...JSON_HEADERS, ...headers], body });
  vm.logs.length = 0;
  if (verdict(stream, body) !== "allow") return undefined;
  return [stream.filterState.get("mcp_method"), stream.filterState.get("mcp_tool")];
}

/** A text as filter state has it: printable ASCII, the rest escaped; of a character that 256 bytes cut, each byte. */
function escaped(text: string | null): string | undefined {
  if (text === null || text === "") return undefined;
  const bytes = Buffer.from(text).subarray(0, 256);
  let whole = bytes.length;
  while (whole > 0 && Buffer.from(bytes.toString("utf8", 0, whole)).compare(bytes, 0, whole) !== 0) whole--;
  const units = [...bytes.toString("utf8", 0, whole).split(""), ...bytes.toString("latin1", whole).split("")];
  return units
    .map((unit) =>
      /[ -~]/.test(unit) && unit !== '"' && unit !== "\\"
        ? unit
        : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    )
    .join("");
}

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);
const memberOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;

/** Takes the last member whose name is equal after Unicode folding and trimming, as some readers do. */
function foldedMember(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const isNamed = (key: string): boolean =>
    key
      .normalize("NFKC")
      .replace(/^[\0-\x20]+|[\0-\x20]+$/g, "")
      .toLowerCase() === name;
  return Object.entries(value).findLast(([key]) => isNamed(key))?.[1];
}

const READERS: Readonly<Record<string, (text: string) => Performed>> = {
  "JSON.parse": (text) => {
    const message = JSON.parse(text);
    return [textOf(memberOf(message, "method")), textOf(memberOf(memberOf(message, "params"), "name"))];
  },
  "the official SDK": (text) => {
    const message = JSONRPCMessageSchema.parse(JSON.parse(text));
    return [textOf(memberOf(message, "method")), textOf(memberOf(memberOf(message, "params"), "name"))];
  },
  "a reader that folds names": (text) => {
    const message = JSON.parse(text);
    return [textOf(foldedMember(message, "method")), textOf(foldedMember(foldedMember(message, "params"), "name"))];
  },
};

/**
 * What the filter lets through and a reader refuses is not misread by it: the server answers with an error of its own. The
 * SDK's schema knows fewer members, Python no integer of 5,000 digits.
 */
const REFUSED = "refused";

/** Names as Envoy gives them to a filter; only what is compared with the body. */
const mirrored = (headers: Exchange["headers"]): Exchange["headers"] =>
  headers.map(([name, value]) => [name.toLowerCase(), value] as const).filter(([name]) => name.startsWith("mcp-"));

const valid = fc.oneof(
  modernExchange,
  legacyExchange,
  messageBody.map((body): Exchange => ({ headers: [], body })),
);
const mutated = valid.chain(({ headers, body }) =>
  mutatedBody(fc.constant(body)).map((changed): Exchange => ({ headers, body: changed })),
);
const exchanges: Exchange[] = [
  ...THREAT_VECTORS.map(({ request: { headers, body } }) => ({ headers, body })).filter(
    ({ body }) => body.length < 10_000,
  ),
  ...fc.sample(mutated, { numRuns: 9000, seed: 7 }),
  ...fc.sample(valid, { numRuns: 1500, seed: 7 }),
].map(({ headers, body }) => ({ headers: mirrored(headers), body }));
const passed = exchanges.flatMap((each) => {
  const found = decided(each);
  return found === undefined ? [] : [{ body: each.body, found }];
});

function compare(read: (body: Uint8Array, index: number) => Performed | typeof REFUSED): void {
  const unlike = passed.flatMap(({ body, found }, index) => {
    const performed = read(body, index);
    if (performed === REFUSED) return [];
    const [method, name] = performed.map(escaped);
    return method === found[0] && name === found[1] ? [] : [{ body: Buffer.from(body).toString(), found, performed }];
  });
  expect(unlike).toEqual([]);
}

test("enough bodies pass to say something", () => {
  expect(passed.length).toBeGreaterThan(1500);
  expect(passed.length).toBeLessThan(exchanges.length / 2);
});

test.each(Object.entries(READERS))("%s performs what the filter has decided on", (name, read) => {
  compare((body) => {
    try {
      return read(Buffer.from(body).toString("utf8"));
    } catch (problem) {
      if (name === "the official SDK") return REFUSED;
      throw problem;
    }
  });
});

test("Python's json performs what the filter has decided on", () => {
  const performed = readInPython(passed.map(({ body }) => body));
  if (performed === undefined) {
    console.log("python3: not present");
    return;
  }
  expect(performed).toHaveLength(passed.length);
  compare((_body, index) => performed[index] ?? REFUSED);
});
