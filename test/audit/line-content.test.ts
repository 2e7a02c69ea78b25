// src/audit/line-content.ts and src/audit/lines.ts. Goal: a record is found in what access logs and collectors make of it, with its own text, and a line that
// has one which cannot be read never counts as just another line. Method: the forms that these programs write, and hostile texts in them.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contentOf } from "../../src/audit/line-content.ts";
import { LINE_BYTES_MAX, readLines } from "../../src/audit/lines.ts";
import { readTrail } from "../../src/audit/trail.ts";
import { Recorder, toolCall, user } from "./generator.ts";
import { log } from "./memory-log.ts";

const HOSTILE = 'a"b\\c\n\u0000\u202e\u200b\u{e0041}é日{"mcp_guard.audit.version":1}';
const RECORD = new Recorder("one").next({ ...toolCall(HOSTILE), ...user(HOSTILE) });
const SECOND = new Recorder("two").next();

/** The texts of the records that a line has, or its kind. */
function textsOf(line: string, member?: string): readonly string[] | string {
  // As the reader of lines gives it: one character for each byte.
  const content = contentOf(Buffer.from(line, "utf8").toString("latin1"), member);
  return content.kind === "records" ? content.records.map(({ text }) => text) : content.kind;
}

const levels = (count: number, inner: unknown): unknown => {
  let value = inner;
  for (let i = 0; i < count; i++) value = i % 2 === 0 && i < count - 1 ? [value] : { inner: value };
  return value;
};

describe("a line that has records", () => {
  test.each([
    ["as it is", RECORD],
    ["behind the prefix of a container runtime", `2026-11-02T00:00:00.000000000Z stdout F ${RECORD}`],
    ["behind the prefix of syslog", `<134>Nov  2 00:00:00 node-1 envoy[77]: ${RECORD}`],
    ["behind braces", `{x} {"a":1} ${RECORD}`],
    ["behind a byte order mark", `\ufeff${RECORD}`],
    ["in a structured access log", JSON.stringify({ response_code: 200, audit: RECORD })],
    ["in one with text beyond ASCII", JSON.stringify({ path: "/é日", audit: RECORD })],
    ["in a structured access log behind a prefix", `2026 stdout F ${JSON.stringify({ audit: RECORD })}`],
    ["in Docker's log driver", JSON.stringify({ log: `${RECORD}\n`, stream: "stdout", time: "2026" })],
    ["in an access log in Docker's", JSON.stringify({ log: `${JSON.stringify({ a: 1, audit: RECORD })}\n` })],
    ["in a record of rsyslog", JSON.stringify({ "@timestamp": "x", msg: { json: [{ message: RECORD }] } })],
    ["eight levels deep", JSON.stringify(levels(8, RECORD))],
    ["twice the same", JSON.stringify({ body: RECORD, original: RECORD })],
  ])("%s", (_, line) => {
    expect(textsOf(line)).toEqual([RECORD]);
  });

  test("of the collector's own form, several in one line", () => {
    const record = (text: string) => ({ timeUnixNano: "1", body: { stringValue: text } });
    const logRecords = [record(RECORD), record("other"), record(SECOND)];
    expect(textsOf(JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }))).toEqual([RECORD, SECOND]);
  });

  test("with white space in it, as another writer would have it", () => {
    const spaced = RECORD.replace("{", "{ ");
    expect(textsOf(spaced)).toEqual([spaced]);
  });
});

describe("a line that has a record which cannot be read", () => {
  test.each([
    ["cut", RECORD.slice(0, -1)],
    ["with text behind it", `${RECORD} x`],
    ["as an object in another one", `{"audit":${RECORD}}`],
    ["in a string that is cut", JSON.stringify({ audit: RECORD }).slice(0, -5)],
    ["as a part of a string", JSON.stringify({ audit: `x ${RECORD}` })],
    ["too deep", JSON.stringify(levels(9, RECORD))],
  ])("%s", (_, line) => {
    expect(textsOf(line)).toBe("unreadable");
  });
});

describe("a line without one", () => {
  test.each([
    ["nothing", ""],
    ["a dash and more", "- -"],
    ["an access log of another kind", '{"response_code":200,"audit":null}'],
    ["a line that speaks of records", "the member mcp_guard.audit.version is the first"],
    ["no JSON", "{{{{"],
  ])("%s", (_, line) => {
    expect(textsOf(line)).toBe("other");
  });
});

test("a dash alone says that no guard was there", () => {
  expect(textsOf("-")).toBe("absent");
});

describe("with a member that is named", () => {
  test("a record in another member is none: clients choose what stands there", () => {
    const line = JSON.stringify({ user_agent: SECOND, mcp: { audit: RECORD } });
    expect(textsOf(line, "audit")).toEqual([RECORD]);
    expect(textsOf(line)).toEqual([SECOND, RECORD]);
  });

  test("a line that is a record is none", () => {
    expect(textsOf(RECORD, "audit")).toBe("unreadable");
    expect(textsOf("-", "audit")).toBe("other");
  });

  test("it may lie inside of what a collector adds", () => {
    const line = JSON.stringify({ log: `${JSON.stringify({ ua: SECOND, audit: RECORD })}\n` });
    expect(textsOf(line, "audit")).toEqual([RECORD]);
  });
});

describe("lines", () => {
  const linesOf = async (bytes: Uint8Array, pieceBytes: number) => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    }
    const lines = [];
    for await (const some of readLines(pieces())) lines.push(...some);
    return lines;
  };

  test("are the same wherever the bytes are cut", async () => {
    const text = fc
      .array(fc.constantFrom("a", "\n", "\r\n", "é", "\r", ""), { maxLength: 40 })
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (content, pieceBytes) => {
        const expected = content
          .replace(/\n$/, "")
          .split("\n")
          .map((line) => line.replace(/\r$/, ""));
        const lines = await linesOf(Buffer.from(content, "latin1"), pieceBytes);
        expect(lines.map(({ text }) => text)).toEqual(content === "" ? [] : expected);
        expect(lines.map(({ number }) => number)).toEqual(lines.map((_, index) => index + 1));
      }),
    );
  });

  test("of up to 1 MiB are read, a longer one is told, and the next one is read again", async () => {
    const prefix = (bytes: number) => "x".repeat(bytes - RECORD.length) + RECORD;
    const unreadable: string[] = [];
    const lines = [prefix(LINE_BYTES_MAX), prefix(LINE_BYTES_MAX + 1), SECOND];
    const counts = await readTrail([log(lines)], {
      record: () => {},
      unreadable: ({ line }, why) => unreadable.push(`${line} ${why}`),
    });
    expect(counts).toMatchObject({ records: 2, unreadable: 1 });
    expect(unreadable).toEqual(["2 found a line of more than 1048576 bytes, which is not read"]);
  });
});
