// The reader of event streams against written results and against a whole-text reading of the standard
// (test/oracle/event-stream.ts): the same steps, wherever the stream is cut. Method: a table of streams, and random
// ones; each whole, one byte at a time, at every cut while it is short, and at random ones.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseEventStream, readEventStream } from "../oracle/event-stream.ts";
import { Harness, type StreamStep } from "./harness.ts";

const EVERY_CUT_BYTES = 200;

const harness = new Harness();

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));
const BOM = "\xef\xbb\xbf";
const LONGEST_ID = "i".repeat(1024);
const LONGEST_NAME = "n".repeat(64);

/**
 * Streams, as Latin-1, and what is read of them. Per step: data as it stands, LF between two lines of data, `#` for a
 * comment, `.` for the end of an event with its fields, `$` for the end of the stream. The end of an event that no empty
 * line has ended stands behind that.
 */
const STREAMS: readonly (readonly [name: string, stream: string, steps: string])[] = [
  // Section 9.2.5: the mark, and the three line ends.
  ["nothing", "", "$"],
  ["one event", "data: a\n\n", "a .(data) $"],
  ["two events", "data: a\n\ndata: b\n\n", "a .(data) b .(data) $"],
  ["a byte order mark", `${BOM}data: a\n\n`, "a .(data) $"],
  ["nothing but a byte order mark", BOM, "$"],
  ["a byte order mark before a comment", `${BOM}:\n`, "# $"],
  ["a byte order mark before an empty line", `${BOM}\ndata: a\n\n`, "a .(data) $"],
  ["two byte order marks: the second is part of a name", `${BOM}${BOM}data: a\n\n`, "$"],
  ["a byte order mark on the second line", `data: a\n${BOM}data: b\n\n`, "a .(data) $"],
  ["a byte order mark in the second event", `data: a\n\n${BOM}data: b\n\n`, "a .(data) $"],
  ["a byte order mark in a value", `data: ${BOM}a\n\n`, `${BOM}a .(data) $`],
  ["the first byte of a mark, then a field", "\xefdata: a\ndata: b\n\n", "b .(data) $"],
  ["two bytes of a mark, then a field", "\xef\xbbdata: a\ndata: b\n\n", "b .(data) $"],
  ["one byte of a mark, then a line end", "\xef\ndata: b\n\n", "b .(data) $"],
  ["two bytes of a mark, then a colon", "\xef\xbb: a\r\ndata: b\n\n", "b .(data) $"],
  ["a mark that begins twice", "\xef\xef\xbb\xbfdata: a\ndata: b\n\n", "b .(data) $"],
  ["one byte of a mark, then the end", "\xef", "$"],
  ["two bytes of a mark, then the end", "\xef\xbb", "$"],
  ["CRLF", "data: a\r\n\r\n", "a .(data) $"],
  ["CR", "data: a\r\rdata: b\r\r", "a .(data) b .(data) $"],
  ["CR LF CR: three ends would be one more", "data: a\r\n\rdata: b\r\n\r", "a .(data) b .(data) $"],
  ["LF CR", "data: a\n\rdata: b\n\r", "a .(data) b .(data) $"],
  ["CRLF LF", "data: a\r\n\ndata: b\r\n\n", "a .(data) b .(data) $"],
  ["LF CRLF", "data: a\n\r\ndata: b\n\r\n", "a .(data) b .(data) $"],
  ["CRLF between lines of one event", "data: a\r\ndata: b\r\n\r\n", "a LF b .(data) $"],
  ["CR CR LF is two line ends", "data: a\r\r\ndata: b\n\n", "a .(data) b .(data) $"],
  ["a LF at the start", "\ndata: a\n\n", "a .(data) $"],
  ["a CRLF at the start", "\r\ndata: a\n\n", "a .(data) $"],
  ["a vertical tab, a form feed and U+0085 end no line", "data: a\x0b\x0c\x85b\n\n", "a\x0b\x0c\x85b .(data) $"],
  ["U+2028 as it stands ends no line", "data: a\xe2\x80\xa8b\n\n", "a\xe2\x80\xa8b .(data) $"],

  // Section 9.2.6: fields and comments.
  ["several lines of data", "data: a\ndata: b\ndata:c\n\n", "a LF b LF c .(data) $"],
  ["no space", "data:a\n\n", "a .(data) $"],
  ["two spaces", "data:  a\n\n", "\x20a .(data) $"],
  ["a tab is no space", "data:\ta\n\n", "\ta .(data) $"],
  ["a value that is one space", "data: \n\n", ".(data) $"],
  ["a value that is two spaces", "data:  \n\n", "\x20 .(data) $"],
  ["a colon in a value", "data: a:b: c\n\n", "a:b: c .(data) $"],
  ["a colon at the start of a value", "data::a\n\n", ":a .(data) $"],
  ["empty data", "data:\n\n", ".(data) $"],
  ["data without a colon", "data\n\n", ".(data) $"],
  ["data without a colon, twice", "data\ndata\n\n", "LF .(data) $"],
  ["empty data, then data", "data\ndata: a\n\n", "LF a .(data) $"],
  ["data, then empty data", "data: a\ndata\ndata:\n\n", "a LF LF .(data) $"],
  ["a comment", ": a\n", "# $"],
  ["an empty comment", ":\n", "# $"],
  ["a comment that looks like a field", ":data: a\n\n", "# $"],
  ["comments only", ":\n:a\r\n: b\r\r:\n\n", "# # # # $"],
  ["a comment inside an event", "data: a\n: x\ndata: b\n\n", "a # LF b .(data) $"],
  ["a comment before the empty line", "data: a\n:\n\n", "a # .(data) $"],
  ["Data in another case", "Data: a\nDATA: b\nID: 1\n\n", "$"],
  ["a space before the colon", "data : a\n\n", "$"],
  ["a space before the name", " data: a\n\n", "$"],
  ["names that begin like one that is known", "dat: a\ndatax: b\ndatadata: c\nretryy: 1\ni: 1\nidd: 1\n\n", "$"],
  ["a name with NUL", "data\0: a\n\0data: b\n\n", "$"],
  ["an unknown field between two that are known", "data: a\nfoo: x\ndata: b\n\n", "a LF b .(data) $"],
  ["an unknown field of many bytes", `${"x".repeat(300)}: a\n${"y".repeat(300)}\ndata: a\n\n`, "a .(data) $"],
  ["empty lines only", "\n\n\r\r\n\n", "$"],
  ["empty lines between events", "data: a\n\n\n\n\ndata: b\n\n\n", "a .(data) b .(data) $"],
  ["data that is no UTF-8", "data: \xff\xc0\x80\xed\xa0\x80\xe2\x80\n\n", "\xff\xc0\x80\xed\xa0\x80\xe2\x80 .(data) $"],
  ["data with NUL", "data: a\0b\n\n", "a\0b .(data) $"],

  // The other fields.
  ["all fields", "event: message\nid: 7\nretry: 5000\ndata: a\n\n", "a .(data,event=message,id=7,retry=5000) $"],
  ["fields without data", "event: message\nid: 7\nretry: 5000\n\n", ".(event=message,id=7,retry=5000) $"],
  ["fields behind the data", "data: a\nid: 7\n\n", "a .(data,id=7) $"],
  [
    "fields are those of one event",
    "id: 7\nevent: e\nretry: 1\ndata: a\n\ndata: b\n\n",
    "a .(data,event=e,id=7,retry=1) b .(data) $",
  ],
  [
    "several of each: the last",
    "id: 1\nevent: a\nretry: 1\nid: 2\nevent: b\nretry: 2\n\n",
    ".(event=b,id=2,retry=2) $",
  ],
  ["a shorter one behind a longer one", "id: 12345\nevent: abcde\nid: 6\nevent: f\n\n", ".(event=f,id=6) $"],
  ["an empty id", "id\n\nid:\n\nid: \n\n", ".(id=) .(id=) .(id=) $"],
  ["an empty id behind one", "id: 1\nid\n\n", ".(id=) $"],
  ["an empty name of an event", "event\n\nevent:\n\n", ".(event=) .(event=) $"],
  ["an id with NUL", "id: a\0b\ndata: a\n\n", "a .(data) $"],
  ["an id with NUL behind one without", "id: 1\nid: a\0b\n\n", ".(id=1) $"],
  ["an id with a control", "id: a\x1bb\n\nid: \x7f\n\n", ". . $"],
  ["an id above ASCII", "id: \xc3\xa9\n\nid: a\xc2\x85b\n\nid: a\xe2\x80\xa8b\n\n", ". . . $"],
  ["an id with spaces", "id:  a b \n\n", ".(id= a b ) $"],
  ["the longest id", `id: ${LONGEST_ID}\n\n`, `.(id=${LONGEST_ID}) $`],
  ["an id that is too long", `id: ${LONGEST_ID}i\n\n`, ". $"],
  ["an id that is too long behind one that is not", `id: 1\nid: ${LONGEST_ID.repeat(3)}\n\n`, ".(id=1) $"],
  ["a name with a control", "event: a\tb\ndata: a\n\n", "a .(data) $"],
  ["a name above ASCII", "event: \xc3\xa9\n\n", ". $"],
  ["the longest name", `event: ${LONGEST_NAME}\n\n`, `.(event=${LONGEST_NAME}) $`],
  ["a name that is too long", `event: e\nevent: ${LONGEST_NAME}n\n\n`, ".(event=e) $"],
  ["the longest retry", "retry: 0123456789\n\n", ".(retry=0123456789) $"],
  ["a retry of eleven digits", "retry: 01234567890\n\n", ". $"],
  ["a retry that is empty", "retry\n\nretry:\n\nretry: \n\n", ". . . $"],
  [
    "a retry that is no number",
    "retry: 1\nretry: -1\nretry: 1.5\nretry: 0x1\nretry: 1 \nretry:  1\n\n",
    ".(retry=1) $",
  ],
  ["a retry with digits above ASCII", "retry: \xd9\xa1\n\n", ". $"],
  ["digits one below and one above", "retry: /\n\nretry: :\n\n", ". . $"],

  // The end of the stream.
  ["no empty line at the end", "data: a\n", "a $ .(data)"],
  ["no line end at the end", "id: 7\ndata: a", "a $ .(data,id=7)"],
  ["CR at the end", "data: a\r", "a $ .(data)"],
  ["two CR at the end", "data: a\r\r", "a .(data) $"],
  ["a name at the end", "data: a\n\ndata", "a .(data) $ .(data)"],
  ["a further line that has no colon yet", "data: a\ndata", "a $ .(data)"],
  ["a further line that has its colon", "data: a\ndata:", "a LF $ .(data)"],
  ["a part of a name at the end", "data: a\ndat", "a $ .(data)"],
  // A part of these could be taken for the whole.
  ["an id at the end", "data: a\nid: 7", "a $ .(data)"],
  ["an id at the end, behind another", "data: a\nid: 7\nid: 81", "a $ .(data,id=7)"],
  ["an id with its end at the end", "data: a\nid: 7\r", "a $ .(data,id=7)"],
  ["the name of an id at the end", "id: 7\ndata: a\nid", "a $ .(data,id=7)"],
  ["an event at the end", "data: a\nevent: mess", "a $ .(data)"],
  ["a retry at the end", "data: a\nretry: 50", "a $ .(data)"],
  ["a comment without its end", ": a", "$"],
  ["a comment with its end, inside an event", "data: a\n:\n", "a # $ .(data)"],
  ["an unknown field at the end", "foo: a", "$"],
];

/** The steps of the reader in the notation of the table. Runs of one line that chunks have cut are put together. */
function shown(stream: Uint8Array, log: readonly StreamStep[]): string[] {
  const parts: string[] = [];
  let isInRun = false;
  let before: StreamStep | undefined;
  for (const entry of log) {
    const { step, start, end, text } = entry;
    if (step === "data") {
      // Runs are as long as they can be, and are where they say.
      const isRun = before?.step !== "data" && text !== "" && hasAt(stream, start, end, text);
      if (!isRun) expect({ before, entry }).toBe("a run of data");
      parts.push(isInRun ? `${parts.pop()}${text}` : text);
    } else if (step === "event_end") parts.push(ended([...(start === 1 ? ["data"] : [])]));
    else if (step === "event" || step === "id" || step === "retry") parts.push(ended([`${step}=${text}`], parts.pop()));
    else if (step !== "need_more") parts.push(step === "data_line" ? "LF" : step === "comment" ? "#" : "$");
    isInRun = step === "data" || (isInRun && step === "need_more");
    before = entry;
  }
  return parts;
}

function hasAt(stream: Uint8Array, start: number, end: number, text: string): boolean {
  return Buffer.from(stream.subarray(start, end)).toString("latin1") === text;
}

/** The end of an event with these fields, behind those that it has already. */
function ended(fields: readonly string[], before = "."): string {
  if (fields.length === 0) return before;
  return before === "." ? `.(${fields.join(",")})` : `${before.slice(0, -1)},${fields.join(",")})`;
}

/** The same of the reference. */
function reference(stream: Uint8Array): string[] {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
  let isOver = false;
  const parts = readEventStream(stream).flatMap((item) => {
    if (item.kind === "comment") return ["#"];
    if (item.kind === "data")
      return [...(item.isFurther ? ["LF"] : []), ...(item.value.length > 0 ? [text(item.value)] : [])];
    const { data, event, id, retry, terminated } = item.event;
    const fields = [
      ...(data === undefined ? [] : ["data"]),
      ...(event === undefined ? [] : [`event=${text(event)}`]),
      ...(id === undefined ? [] : [`id=${text(id)}`]),
      ...(retry === undefined ? [] : [`retry=${retry}`]),
    ];
    isOver ||= !terminated;
    return [...(terminated ? [] : ["$"]), ended(fields)];
  });
  return isOver ? parts : [...parts, "$"];
}

function* cutsOf(bytes: number, random: readonly number[]): Generator<number[]> {
  yield [];
  yield Array.from({ length: bytes }, (_, i) => i);
  yield random.map((fraction) => Math.floor(fraction * bytes)).sort((one, other) => one - other);
  if (bytes <= EVERY_CUT_BYTES) for (let cut = 0; cut <= bytes; cut++) yield [cut];
  else for (const fraction of random) yield [Math.floor(fraction * bytes)];
}

/** Compares the readers on one stream, at all the cuts. Gives the steps. */
function compare(stream: Uint8Array, random: readonly number[] = [0.3, 0.31, 0.9]): string[] {
  const expected = reference(stream);
  for (const cuts of cutsOf(stream.length, random)) {
    const found = shown(stream, harness.readStream(stream, cuts));
    if (found.join("\u0100") !== expected.join("\u0100")) expect({ cuts, found }).toEqual({ cuts, found: expected });
  }
  return expected;
}

test.each(STREAMS)("%s", (_name, stream, steps) => {
  expect(compare(latin1(stream)).join(" ")).toBe(steps);
});

describe("random streams", () => {
  const token = fc.constantFrom(
    ...["data", "data:", "data: ", "Data:", "dat", "a", "id", "id:", "id: ", "event: ", "event:", "retry: ", "retry:"],
    ...["\n", "\n", "\n\n", "\r", "\r\n", "\r\r", "\n\r", ":", ": ", " ", "  ", "\t", "\0", "\x0b", "\x7f", "\x1f"],
    ...[BOM, "\xef", "\xbb", "\xbf", "\xe2\x80\xa8", "\xc2\x85", "\xff", "1", "42", "9999999999", "-", "/", "~"],
    ...[LONGEST_NAME, LONGEST_ID, "i".repeat(1023), "i".repeat(600), "x".repeat(9), "foo: bar", '{"a":1}', "#", "."],
  );
  const whole = fc.constantFrom(
    "data: a\n",
    "id: 1\r",
    "retry: 5\r\n",
    ": c\n",
    "event: message\n",
    "data\r\n",
    "id\n",
  );
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 });
  const streamOf = (unit: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<Uint8Array> =>
    fc
      .tuple(fc.constantFrom("", "", BOM, "\xef\xbb"), fc.array(unit, { maxLength }))
      .map(([bom, units]) => latin1(bom + units.join("")));

  test("of tokens", () => {
    fc.assert(
      fc.property(streamOf(fc.oneof(token, whole), 24), cuts, (stream, random) => {
        compare(stream, random);
      }),
      { numRuns: 3000 },
    );
  });

  test("of line ends, colons and marks", () => {
    const unit = fc.constantFrom("\n", "\r", ":", " ", "data", "id", "\xef", "\xbb", "\xbf", "1");
    fc.assert(
      fc.property(streamOf(unit, 16), cuts, (stream, random) => {
        compare(stream, random);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a reader", () => {
  test("says the same again of a stream when others have come before", () => {
    const streams = STREAMS.map(([, stream]) => latin1(stream));
    const first = streams.map((stream) => shown(stream, harness.readStream(stream)));
    expect(streams.reverse().map((stream) => shown(stream, harness.readStream(stream)))).toEqual(first.reverse());
  });

  test("has ended an event before the next chunk comes", () => {
    const stream = latin1("data: a\r\r\ndata: b\r\n\r\n");
    const steps = harness.readStream(stream, [9, 20]).map(({ step }) => step);
    // The LF behind the first empty line, and the one behind the last, are waited for by nobody.
    expect(steps.slice(0, 3)).toEqual(["data", "event_end", "need_more"]);
    expect(steps.slice(3)).toEqual(["data", "event_end", "need_more", "need_more", "stream_end"]);
  });

  test("takes chunks without a byte", () => {
    const stream = latin1(`${BOM}data: a\r\n\r\n: c\n`);
    const cuts = Array.from({ length: stream.length }, (_, i) => [i, i, i]).flat();
    expect(shown(stream, harness.readStream(stream, cuts))).toEqual(reference(stream));
  });

  test("takes no memory", () => {
    const stream = latin1(STREAMS.map(([, stream]) => `${stream}\n\n`).join(""));
    const next = (): number => {
      const address = harness.exports.allocate(2000);
      harness.exports.release(address);
      return address;
    };
    harness.withBytes(stream, (address, exports) => {
      const [free, bytes] = [next(), exports.memory.buffer.byteLength];
      exports.beginStream(0);
      for (let round = 0; round < 200; round++) exports.feedStream(address, stream.length);
      expect([next(), exports.memory.buffer.byteLength]).toEqual([free, bytes]);
    });
  });
});

describe("time grows as the stream does", () => {
  const families: readonly { name: string; unit: string; start?: string }[] = [
    { name: "empty lines", unit: "\n" },
    { name: "CR", unit: "\r" },
    { name: "comments", unit: ":\n" },
    { name: "one line of data", unit: "a", start: "data:" },
    { name: "lines of data", unit: "data\n" },
    { name: "lines of data with a colon", unit: "data: \n" },
    { name: "a long name", unit: "d" },
    { name: "a long comment", unit: ":" },
    { name: "a long id", unit: "i", start: "id:" },
    { name: "ids of one event", unit: "id:1\n" },
    { name: "the longest ids of one event", unit: `id:${LONGEST_ID}\n` },
    { name: "ids that are too long", unit: `id:${LONGEST_ID}i\n` },
    { name: "retries", unit: "retry:1\n" },
    { name: "events", unit: "data\n\n" },
    { name: "halves of a mark", unit: "\xef\xbb" },
    { name: "unknown fields", unit: "x:\n" },
  ];

  /** Milliseconds that a stream of about `bytes` bytes takes in chunks of `chunkBytes`; the best of some. */
  function timeOf(unit: string, start: string, bytes: number, chunkBytes: number): number {
    const stream = latin1(start + unit.repeat(bytes / unit.length));
    return harness.withBytes(stream, (address, exports) => {
      const times = Array.from({ length: 3 }, () => {
        const before = performance.now();
        exports.beginStream(0);
        for (let at = 0; at < stream.length; at += chunkBytes) {
          exports.feedStream(address + at, Math.min(chunkBytes, stream.length - at));
        }
        return performance.now() - before;
      });
      return Math.min(...times);
    });
  }

  test.each(families)("$name", ({ unit, start = "" }) => {
    for (const chunkBytes of [1, 1 << 20]) {
      // Eight times the bytes: 64 times the time, if it grew with their square. The floor is for what a clock can tell.
      const short = Math.max(timeOf(unit, start, 1 << 17, chunkBytes), 1);
      expect(timeOf(unit, start, 1 << 20, chunkBytes) / short).toBeLessThan(30);
    }
  });
});

describe("the reference", () => {
  test("joins the lines of data, and tells what the end of the stream has cut off", () => {
    const bytes = latin1(`${BOM}id: 1\ndata: {\ndata: }\nretry: 10\n\n:\n\nevent: e\ndata`);
    expect(parseEventStream(bytes)).toEqual([
      { id: latin1("1"), data: latin1("{\n}"), retry: "10", terminated: true },
      { event: latin1("e"), data: latin1(""), terminated: false },
    ]);
  });
});
