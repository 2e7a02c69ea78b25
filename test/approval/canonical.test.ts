// The canonical text and the digest on Node: the vectors, what is refused and in which words, and what must hold for every JSON text. Goal: two spellings of one
// value have one text, two values never do, and no number, name or character is lost on the way.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalise, canonicalText, isCanonical, parseCanonical, parseStrict } from "../../src/approval/canonical.ts";
import { APPROVAL_INPUT, type CallFields, callDigest, inputResponsesText } from "../../src/approval/digest.ts";
import { GuardError } from "../../src/error.ts";
import { projectPath } from "../../src/project.ts";
import { readStrictJson } from "../oracle/strict-json.ts";
import { jsonText, nearlyJsonText } from "./json-text.ts";
import { fieldsOf, VECTORS } from "./vectors.ts";

const { canonical, refused, digests } = VECTORS;
/** The reference reader wants an object, and bounds that no text here reaches. */
const WIDE = { depth: 65, membersPerObject: 1e6, openMembers: 1e6, keyBytes: 1e6 };

function errorOf(call: () => unknown): GuardError {
  try {
    call();
  } catch (error) {
    if (error instanceof GuardError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("each vector has a name of its own", () => {
  for (const list of [canonical, refused, digests]) {
    expect(new Set(list.map(({ name }) => name)).size).toBe(list.length);
  }
});

describe("canonicalise", () => {
  test.each(canonical)("writes $name", ({ input, without, canonical }) => {
    expect(canonicalise(input, without)).toBe(canonical);
  });

  test.each(refused)("refuses $name", ({ input }) => {
    const { code, message } = errorOf(() => canonicalise(input));
    expect(code).toBe("ERR_USAGE");
    expect(message).toMatch(/^line \d+, column \d+: found .+, expected .+/);
    expect(isCanonical(input)).toBe(false);
  });

  test.each([
    ["", "line 1, column 1: found the end of the text, expected a value"],
    ["\ufeff{}", 'line 1, column 1: found "\\ufeff", expected a value'],
    ["[1,\n  2 3]", "line 2, column 5: found 3, expected a comma or ]"],
    ['{"a":1,\n "\\u0061":2}', "line 2, column 2: found the name a twice, expected no other member of this name"],
    ['["\\ud800x"]', "line 1, column 2: found half of a pair in the string, expected surrogates in pairs"],
    ['"a\u202e" x', "line 1, column 6: found x, expected nothing behind the value"],
    ['"\\x"', 'line 1, column 2: found "\\\\", expected an escape of JSON'],
    ['"\t"', 'line 1, column 2: found "\\u0009", expected the end of the string, or a character that may stand in it'],
    ["[".repeat(65), "line 1, column 65: found [, expected at most 64 containers open at once"],
  ])("says where %j is no JSON, and why", (text, message) => {
    expect(errorOf(() => canonicalise(text)).message).toBe(message);
  });

  test.each([
    ["a lone surrogate as a character", '"\ud800"'],
    ["a pair whose first half is an escape", '"\\ud83d\ude00"'],
    ["a pair whose second half is an escape", '"\ud83d\\ude00"'],
    ["a lone surrogate in a name", '{"\udc00":1}'],
  ])("refuses what no UTF-8 can be: %s", (_, text) => {
    expect(errorOf(() => canonicalise(text)).message).toContain("expected text that is Unicode");
  });

  test("accepts what the reference reader accepts, and nothing else", () => {
    let refusals = 0;
    fc.assert(
      fc.property(nearlyJsonText, (text) => {
        const body = `{"":${text}}`;
        const isAccepted = readStrictJson(Buffer.from(body), WIDE).ok;
        if (!isAccepted) refusals++;
        let isWritten = true;
        try {
          canonicalText(parseStrict(body, 65));
        } catch (error) {
          if (!(error instanceof GuardError)) throw error;
          isWritten = false;
        }
        expect(isWritten).toBe(isAccepted);
      }),
      { numRuns: 3000 },
    );
    expect(refusals).toBeGreaterThan(1000);
  });

  test("keeps the value, and is the same a second time", () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        const once = canonicalise(text);
        expect(JSON.parse(once)).toEqual(JSON.parse(text));
        expect(canonicalise(once)).toBe(once);
        expect(isCanonical(once)).toBe(true);
        expect(Buffer.byteLength(once)).toBeLessThanOrEqual(Buffer.byteLength(text));
      }),
      { numRuns: 1000 },
    );
  });

  test("is the same for every order of members and every white space", () => {
    const names = fc.uniqueArray(fc.string({ unit: "binary", maxLength: 4 }), { minLength: 2, maxLength: 12 });
    const orders = names.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(orders, fc.constantFrom("", " ", "\r\n\t"), ([one, other], space) => {
        const object = (list: readonly string[], gap: string): string =>
          `{${list.map((name) => `${gap}${JSON.stringify(name)}${gap}:${gap}${one.indexOf(name)}${gap}`).join()}}`;
        expect(canonicalise(object(other, space))).toBe(canonicalise(object(one, "")));
      }),
    );
  });
});

describe("isCanonical", () => {
  test.each(canonical)("knows its own texts: $name", ({ input, without, canonical }) => {
    expect(isCanonical(canonical)).toBe(true);
    if (without === undefined) expect(isCanonical(input)).toBe(input === canonical);
  });
});

describe("parseCanonical", () => {
  test("gives names and strings without escapes, numbers as they are spelled", () => {
    expect(parseCanonical('{"a\\n":[1.0,-0,"\\"\u202e",true,null],"b":{}}')).toEqual({
      kind: "object",
      members: [
        {
          name: "a\n",
          value: {
            kind: "array",
            elements: [
              { kind: "number", text: "1.0" },
              { kind: "number", text: "-0" },
              { kind: "string", value: '"\u202e' },
              { kind: "word", text: "true" },
              { kind: "word", text: "null" },
            ],
          },
        },
        { name: "b", value: { kind: "object", members: [] } },
      ],
    });
  });

  test.each([
    ["white space", '{"a": 1}'],
    ["another order", '{"b":1,"a":2}'],
    ["an escape that is not needed", '"\\u0061"'],
    ["an escape with capital digits", '"\\u001F"'],
  ])("refuses another spelling: %s", (_, text) => {
    expect(isCanonical(text)).toBe(false);
    expect(errorOf(() => parseCanonical(text)).message).toContain("found another spelling");
  });

  test.each(refused)("refuses $name", ({ input }) => {
    expect(errorOf(() => parseCanonical(input)).code).toBe("ERR_USAGE");
  });

  test("a name of the prototype is a name like any other", () => {
    const text = '{"__proto__":{"a":1},"constructor":2}';
    expect(canonicalise(text)).toBe(text);
    expect(({} as Record<string, unknown>).a).toBeUndefined();
  });
});

describe("callDigest", () => {
  test.each(digests)("of $name", ({ call, digest }) => {
    expect(callDigest(fieldsOf(call))).toBe(digest);
  });

  test("no two of the vectors have one digest", () => {
    expect(new Set(digests.map(({ digest }) => digest)).size).toBe(digests.length);
  });

  const call = fieldsOf(digests[0]!.call);

  test.each(["arguments", "task", "inputResponses"] as const)("refuses %s in another spelling", (name) => {
    for (const text of ['{"b":1,"a":2}', " {}", "nothing", '{"a":1,"a":1}']) {
      expect(errorOf(() => callDigest({ ...call, [name]: text })).message).toBe(
        `${name}: found another text, expected canonical JSON or nothing`,
      );
    }
  });

  test.each(Object.keys(call) as (keyof CallFields)[])("depends on %s", (name) => {
    expect(callDigest({ ...call, [name]: '"another"' })).not.toBe(callDigest(call));
  });

  test.each(Object.keys(call) as (keyof CallFields)[])("refuses half of a surrogate pair in %s", (name) => {
    // Hashed, each of them would be U+FFFD.
    for (const half of ['"\ud800"', '"\udfff"']) {
      expect(errorOf(() => callDigest({ ...call, [name]: half })).message).toBe(
        `${name}: found half of a surrogate pair, expected text that is Unicode`,
      );
    }
  });
});

test.each([
  ['{"guard.approval":{"action":"accept"}}', ""],
  ["{}", ""],
  ['{"b":1,"guard.approval":2,"a":3}', '{"a":3,"b":1}'],
  ['{"a":{"guard.approval":1}}', '{"a":{"guard.approval":1}}'],
  ["[]", "[]"],
  ["null", "null"],
])("the answers in %s are the text %j", (input, text) => {
  expect(inputResponsesText(parseStrict(input))).toBe(text);
});

describe("schema/canonical-arguments.md", () => {
  const page = readFileSync(projectPath("schema", "canonical-arguments.md"), "utf8");
  const [json = "", ...texts] = [...page.matchAll(/^```(?:json|text)\n(.*?)\n```$/gms)].map(([, block]) => block ?? "");

  test("has an example that is true", () => {
    const { params } = JSON.parse(json) as { params: { name: string } };
    const node = parseStrict(json);
    const inner = node.kind === "object" ? node.members.find(({ name }) => name === "params")?.value : undefined;
    const args = inner?.kind === "object" ? inner.members.find(({ name }) => name === "arguments")?.value : undefined;
    const text = canonicalText(args!);
    expect(texts[0]).toBe(text);
    const fields = { ...call(), tool: params.name, arguments: text };
    expect(texts[1]).toBe(callDigest(fields));
  });

  test("names the member that is left out, and the tag", () => {
    expect(page).toContain(`\`${APPROVAL_INPUT}\``);
    expect(page).toContain("`mcp-guard-approval-v1`");
  });

  /** The table's values. */
  function call(): CallFields {
    const row = (name: string): string =>
      new RegExp(`^\\| \\d+ \\| ${name} \\|.*\\| \`(.*)\` \\|$`, "m").exec(page)?.[1] ?? "";
    return {
      server: row("server"),
      authority: row("authority"),
      path: row("path"),
      issuer: row("issuer"),
      principal: row("principal"),
      method: row("method"),
      tool: "",
      arguments: "",
      task: "",
      inputResponses: "",
    };
  }
});
