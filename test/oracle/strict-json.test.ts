// The reference reader against JSON.parse, a reader that nobody here wrote: where both accept they read the same, and
// where only JSON.parse accepts, the reason is one of those for which we are stricter.

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HOSTILE_FAMILIES } from "../generators/hostile.ts";
import { bodyText, valueText } from "../generators/json-text.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { JSON_VECTORS } from "../vectors/json.ts";
import { type JsonErrorName, type JsonEvent, readStrictJson, type StrictResult } from "./strict-json.ts";

const RUNS = { numRuns: 3000 };

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

/** Errors that a text can have which RFC 8259 allows. The others say that it is no JSON. */
const STRICTER: ReadonlySet<JsonErrorName> = new Set<JsonErrorName>([
  "json_surrogate",
  "json_duplicate_member",
  "json_root",
  "batch",
  "json_depth",
  "json_members",
  "json_open_members",
  "json_key_bytes",
]);

function parse(text: string): { value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

function isUtf8(body: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(body);
    return true;
  } catch {
    return false;
  }
}

/** The value that the events describe. */
function valueFrom(events: readonly JsonEvent[]): unknown {
  let index = 0;
  const read = (): unknown => {
    const [, kind, text] = events[index++]!;
    switch (kind) {
      case "object_start": {
        const object = {};
        while (events[index]![1] !== "object_end") {
          const [, , name] = events[index++]!;
          // Not an assignment: that would take `__proto__` for the prototype.
          Object.defineProperty(object, name, { value: read(), enumerable: true, writable: true, configurable: true });
        }
        index++;
        return object;
      }
      case "array_start": {
        const array: unknown[] = [];
        while (events[index]![1] !== "array_end") array.push(read());
        index++;
        return array;
      }
      case "number":
        return Number(text);
      case "string":
        return text;
      default:
        return { true: true, false: false, null: null }[kind as string];
    }
  };
  const value = read();
  expect(index).toBe(events.length);
  return value;
}

/** What must hold of the reader's answer on any body. */
function check(body: Uint8Array): void {
  const result = readStrictJson(body);
  const parsed = parse(Buffer.from(body).toString("utf8"));
  if (result.ok) {
    expect(isUtf8(body)).toBe(true);
    expect(parsed).not.toBeNull();
    expect(isDeepStrictEqual(valueFrom(result.events), parsed?.value)).toBe(true);
    expect(offsetsAreRight(result, body)).toBe(true);
    return;
  }
  if (parsed !== null && isUtf8(body)) expect(STRICTER).toContain(result.error);
  if (result.error === "json_utf8") expect(isUtf8(body)).toBe(false);
  checkOffset(body, result);
}

/** Each event stands where its token begins, and in the order of the text. */
function offsetsAreRight({ events }: StrictResult, body: Uint8Array): boolean {
  const starts = { object_start: "{", object_end: "}", array_start: "[", array_end: "]", key: '"', string: '"' };
  return events.every(([offset, kind, text], index) => {
    const first = kind === "number" ? text[0] : kind in starts ? starts[kind as keyof typeof starts] : kind[0];
    return body[offset] === first?.charCodeAt(0) && (index === 0 || offset > events[index - 1]![0]);
  });
}

/** The text before the offending byte can still be continued (or is complete), and with that byte it cannot. */
function checkOffset(body: Uint8Array, { error, offset }: Extract<StrictResult, { ok: false }>): void {
  const before = readStrictJson(body.subarray(0, offset));
  if (error === "json_trailing_data") expect(before.ok).toBe(true);
  else expect(before).toMatchObject({ ok: false, error: "json_incomplete", offset });
  if (error === "json_incomplete") expect(offset).toBe(body.length);
  else expect(readStrictJson(body.subarray(0, offset + 1))).toMatchObject({ ok: false, error, offset });
}

test("every generated text is accepted and read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(bodyText, (text) => {
      expect(readStrictJson(bytesOf(text))).toMatchObject({ ok: true });
      check(bytesOf(text));
    }),
    RUNS,
  );
});

test("every generated value is accepted as a member", () => {
  fc.assert(
    fc.property(valueText(), (text) => {
      expect(readStrictJson(bytesOf(`{"v":${text}}`))).toMatchObject({ ok: true });
    }),
    RUNS,
  );
});

test("a mutated text is read as JSON.parse reads it, or refused for a reason", () => {
  fc.assert(
    fc.property(mutatedBody(bodyText.map(bytesOf)), (body) => check(body)),
    { numRuns: 10_000 },
  );
});

test("any bytes are read as JSON.parse reads them, or refused for a reason", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (body) => check(body)),
    RUNS,
  );
});

test("every vector keeps the properties of the reader", () => {
  const short = Object.values(JSON_VECTORS)
    .flat()
    .filter(({ limits, text }) => limits === undefined && text.length < 20_000);
  for (const { text } of short) check(text);
  expect(short.length).toBeGreaterThan(250);
});

test("a text of our language stays one with white space around it, and is none without its last byte", () => {
  fc.assert(
    fc.property(bodyText, (text) => {
      expect(readStrictJson(bytesOf(`\t${text}\n`))).toMatchObject({ ok: true });
      const body = bytesOf(text.trimEnd());
      expect(readStrictJson(body.subarray(0, -1))).toMatchObject({ ok: false, error: "json_incomplete" });
    }),
    RUNS,
  );
});

test("a repeated member is refused whatever its spelling and wherever it stands", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 6 }), fc.nat(20), (name, between) => {
      const spelled = JSON.stringify(name).slice(1, -1);
      const escaped = name
        .split("")
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
        .join("");
      const others = Array.from({ length: between }, (_, index) => `"\\u0001other ${index}":0,`).join("");
      const head = `{"a":[{"${spelled}":0,${others}"${escaped}`;
      expect(readStrictJson(bytesOf(`${head}":0}]}`))).toMatchObject({
        ok: false,
        error: "json_duplicate_member",
        offset: bytesOf(head).length,
      });
    }),
  );
});

test("a hostile body is accepted or refused by the reader as its family says", () => {
  for (const { name, refused, build } of HOSTILE_FAMILIES) {
    const result = readStrictJson(build(100_000));
    const error = result.ok ? undefined : result.error;
    expect([name, error]).toEqual([name, refused?.startsWith("json_") ? refused : undefined]);
  }
});
