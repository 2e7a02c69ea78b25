// src/audit/verify.ts. Goal: whatever happens to a trail between the filter and the reader is found, and named with its chain, its number and its
// line; what happens to any log that is delivered in pieces is no fault. Method: chains of a generator, damaged at places that fast-check chooses.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Fault, WINDOW_RECORDS } from "../../src/audit/chain.ts";
import { type Verification, verifyTrail } from "../../src/audit/verify.ts";
import { Recorder, sha256, toolCall, user } from "./generator.ts";
import { log } from "./memory-log.ts";

interface Result extends Verification {
  readonly found: readonly Fault[];
}

async function verify(
  lines: readonly string[],
  options: { fromStart?: boolean; pieceBytes?: number } = {},
): Promise<Result> {
  const found: Fault[] = [];
  const result = await verifyTrail([log(lines, "a.log", options.pieceBytes)], {
    fromStart: options.fromStart ?? false,
    onFault: (fault) => found.push(fault),
  });
  return { ...result, found };
}

/** A chain with users and tools, as long as `count`. */
function chain(count: number, name = "one"): string[] {
  const recorder = new Recorder(name);
  return Array.from({ length: count }, (_, i) =>
    recorder.next({ ...toolCall(`tool_${i % 3}`), ...user(`user${i % 2}`) }),
  );
}

const kinds = ({ found }: Result): string[] => found.map(({ kind }) => kind);

/** Lines in another order: the one at `from` stands before the one that was at `to`. */
function moved(lines: readonly string[], from: number, to: number): string[] {
  const rest = lines.filter((_, index) => index !== from);
  return [...rest.slice(0, to), lines[from] ?? "", ...rest.slice(to)];
}

const CHAIN = chain(60);
const place = fc.integer({ min: 1, max: CHAIN.length - 2 });

describe("a whole trail", () => {
  test("has no fault, wherever the log is cut into pieces", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3000 }), async (pieceBytes) => {
        const result = await verify(CHAIN, { pieceBytes, fromStart: true });
        expect(result.found).toEqual([]);
        expect(result.chains).toMatchObject([
          { records: 60, first: 1, last: 60, missing: 0, reordered: 0, duplicates: 0 },
        ]);
      }),
      { numRuns: 30 },
    );
  });

  test("may have several chains, interleaved in any way", async () => {
    const chains = [chain(40, "a"), chain(30, "b"), chain(20, "c")];
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(2)), async (choices) => {
        const rest = chains.map((lines) => [...lines]);
        const lines: string[] = [];
        while (rest.some((left) => left.length > 0)) {
          const next = rest[choices.next().value as number]?.shift();
          if (next !== undefined) lines.push(next);
        }
        const result = await verify(lines, { fromStart: true });
        expect(result.found).toEqual([]);
        expect(result.chains.map(({ records }) => records).sort()).toEqual([20, 30, 40]);
      }),
      { numRuns: 20 },
    );
  });

  test("may have records twice, and a little out of order", async () => {
    const nearby = fc.array(
      fc.record({ from: place, distance: fc.integer({ min: -20, max: 20 }), copies: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(nearby, async (changes) => {
        let lines = CHAIN;
        let copies = 0;
        for (const change of changes) {
          const to = Math.max(0, Math.min(lines.length - 1, change.from + change.distance));
          if (change.copies) {
            lines = [...lines.slice(0, to), lines[change.from] ?? "", ...lines.slice(to)];
            copies++;
          } else {
            lines = moved(lines, change.from, to);
          }
        }
        const result = await verify(lines, { fromStart: true });
        expect(result.found).toEqual([]);
        expect(result.chains).toMatchObject([{ records: 60, missing: 0, duplicates: copies }]);
      }),
    );
  });

  test("may have its records in reverse, within the window", async () => {
    const result = await verify([...chain(WINDOW_RECORDS)].reverse(), { fromStart: true });
    expect(result.found).toEqual([]);
    expect(result.chains).toMatchObject([{ records: WINDOW_RECORDS, reordered: WINDOW_RECORDS - 1 }]);
  });

  test("may begin anywhere, unless it is said to go back to the start", async () => {
    const lines = chain(2000).slice(16);
    const result = await verify(lines);
    expect(result.found).toEqual([]);
    expect(result.chains).toMatchObject([{ first: 17, last: 2000, records: 1984, missing: 0, firstGap: undefined }]);
    const strict = await verify(lines, { fromStart: true });
    expect(strict.found).toMatchObject([
      { kind: "gap", sequence: 17, line: 1, text: "found record 17, expected 1: 16 missing" },
    ]);
    expect(strict.chains).toMatchObject([
      { missing: 16, faults: 1, firstGap: { expected: 1, found: 17, missing: 16 } },
    ]);
  });

  test("may have other lines", async () => {
    const lines = ["[info] mcp-guard: policy 14812d9cda18fb51 in force", "", ...CHAIN, "{", '{"a":1}'];
    const result = await verify(lines);
    expect(result.found).toEqual([]);
    expect(result.lines).toEqual({ lines: 64, records: 60, guardAbsent: 0, unreadable: 0, other: 4 });
  });
});

describe("a trail that was damaged", () => {
  test("by taking records out: the gap is named", async () => {
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 20 }), async (first, count) => {
        const lines = CHAIN.filter((_, index) => index < first || index >= first + count);
        fc.pre(lines.length > first);
        const missing = CHAIN.length - lines.length;
        const result = await verify(lines);
        const sequence = first + missing + 1;
        const text = `found record ${sequence}, expected ${first + 1}: ${missing} missing`;
        expect(result.found).toEqual([
          { kind: "gap", chain: new Recorder("one").id, sequence, text, file: "a.log", line: first + 1 },
        ]);
        expect(result.chains).toMatchObject([
          { missing, firstGap: { expected: first + 1, found: sequence, missing, file: "a.log", line: first + 1 } },
        ]);
      }),
    );
  });

  test("by changing a record: the next one does not agree", async () => {
    await fc.assert(
      fc.asyncProperty(place, async (index) => {
        const lines = CHAIN.map((line, at) => (at === index ? line.replace(/"user(\d)"/, '"uzer$1"') : line));
        const result = await verify(lines);
        expect(kinds(result)).toEqual(["previous"]);
        expect(result.found[0]).toMatchObject({ sequence: index + 2, line: index + 2 });
        expect(result.found[0]?.text).toContain(`the hash of record ${index + 1} at a.log:${index + 1}`);
      }),
    );
  });

  test("by changing any one byte of a record: there is a fault", async () => {
    // The last record is the one that nothing vouches for.
    const at = fc.record({
      index: fc.nat(CHAIN.length - 2),
      offset: fc.nat(300),
      byte: fc.integer({ min: 32, max: 126 }),
    });
    await fc.assert(
      fc.asyncProperty(at, async ({ index, offset, byte }) => {
        const line = CHAIN[index] ?? "";
        const changed = line.slice(0, offset) + String.fromCharCode(byte) + line.slice(offset + 1);
        fc.pre(changed !== line);
        const lines = CHAIN.map((other, i) => (i === index ? changed : other));
        expect((await verify(lines, { fromStart: true })).faults).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  test("by a second record in the place of one: both are named", async () => {
    await fc.assert(
      fc.asyncProperty(place, fc.nat(20), async (index, behind) => {
        const forged = (CHAIN[index] ?? "").replace(/"user(\d)"/, '"uzer$1"');
        const to = Math.min(index + 1 + behind, CHAIN.length);
        const result = await verify([...CHAIN.slice(0, to), forged, ...CHAIN.slice(to)]);
        expect(kinds(result)).toEqual(["conflict"]);
        expect(result.found[0]).toMatchObject({ sequence: index + 1, line: to + 1 });
      }),
    );
  });

  test("by moving a record further than the window: its gap and itself are named", async () => {
    const lines = chain(3000);
    const far = fc.record({ from: fc.integer({ min: 1, max: 900 }), further: fc.integer({ min: 1, max: 900 }) });
    await fc.assert(
      fc.asyncProperty(far, async ({ from, further }) => {
        const to = from + WINDOW_RECORDS + further;
        const result = await verify(moved(lines, from, to));
        expect(result.found).toMatchObject([
          {
            kind: "gap",
            sequence: from + 2,
            line: from + 1,
            text: `found record ${from + 2}, expected ${from + 1}: 1 missing`,
          },
          { kind: "late", sequence: from + 1, line: to + 1 },
        ]);
      }),
      { numRuns: 15 },
    );
  });

  test("by moving records of one chain into another", async () => {
    const [one, two] = [chain(10, "a"), chain(10, "b")];
    const stranger = (one[4] ?? "").replaceAll(new Recorder("a").id, new Recorder("b").id);
    const result = await verify([...one.filter((_, i) => i !== 4), ...two, stranger]);
    expect(kinds(result).sort()).toEqual(["conflict", "gap"]);
  });

  test("by a number beyond all others: the chain goes on", async () => {
    const lines = chain(20);
    const wild = new Recorder("one").next({ "mcp_guard.chain.sequence": 2 ** 53 - 1 });
    const result = await verify([...lines.slice(0, 10), wild, ...lines.slice(10)]);
    expect(result.found.map(({ kind, sequence }) => [kind, sequence])).toEqual([
      ["event", 2 ** 53 - 1],
      ["gap", 2 ** 53 - 1],
      ["previous", 2 ** 53 - 1],
    ]);
  });
});

describe("a record that is wrong by itself", () => {
  const rewritten = (change: (text: string) => string): Promise<Result> =>
    verify([change(new Recorder("one").next(user("a")))]);

  test("without a response and without an end", async () => {
    const result = await verify([new Recorder("one").next({ "http.response.status_code": undefined })]);
    expect(result.found).toMatchObject([
      {
        kind: "pairing",
        line: 1,
        text: "found the decision allow without a response, expected http.response.status_code or mcp_guard.ended",
      },
    ]);
  });

  test("with an end instead of a response it is right", async () => {
    const members = { "http.response.status_code": undefined, "mcp_guard.ended": "downstream_remote_disconnect" };
    expect((await verify([new Recorder("one").next(members)])).found).toEqual([]);
  });

  test.each([
    ["another type", { "http.request.body.size": "12" }, "http.request.body.size: must be integer"],
    ["another word", { "mcp_guard.decision": "deny" }, "mcp_guard.decision: expected one of none allow refuse"],
    ["an unknown member", { note: "x" }, "found the unknown member note"],
    [
      "a reason without a refusal",
      { "mcp_guard.reason": "batch" },
      "found mcp_guard.reason, expected none with this decision",
    ],
    [
      "a refusal without a reason",
      { "mcp_guard.decision": "refuse" },
      "must have required property 'mcp_guard.reason'",
    ],
    ["a user of nobody", { "user.id": "a" }, "must have propert"],
    ["an early time", { time: "2026-11-02 00:00:00" }, "time: must match pattern"],
  ])("with %s", async (_, members, text) => {
    const result = await verify([new Recorder("one").next(members)]);
    expect(result.found).toMatchObject([{ kind: "schema", line: 1, sequence: 1 }]);
    expect(result.found[0]?.text).toContain(text);
  });

  test.each([
    ["white space", (text: string) => text.replace(",", ", ")],
    ["a member twice", (text: string) => text.replace('"url.path":"/mcp"', '"url.path":"/other","url.path":"/mcp"')],
    ["another number", (text: string) => text.replace(":120,", ":1.2e2,")],
    ["another escape", (text: string) => text.replace('"/mcp"', '"\\/mcp"')],
    [
      "members in another order",
      (text: string) => text.replace(/("http.request.method":"POST"),("url.path":"\/mcp")/, "$2,$1"),
    ],
  ])("written with %s", async (_, change) => {
    expect((await rewritten(change)).found).toMatchObject([{ kind: "form", line: 1 }]);
  });

  test("with the event of another chain, or one that was there", async () => {
    const recorder = new Recorder("one");
    const id = recorder.id;
    const other = `${new Recorder("two").id}.2`;
    const lines = [{}, { "event.id": other }, { "event.id": `${id}.1` }].map((members) => recorder.next(members));
    expect((await verify(lines)).found).toMatchObject([
      {
        kind: "event",
        sequence: 2,
        line: 2,
        text: `found event.id ${other}, expected it to begin with the chain's id and a dot`,
      },
      { kind: "event", sequence: 3, line: 3, text: `found event.id ${id}.1 a second time, expected each once` },
    ]);
  });

  test("without a place in a chain it is a fault of no chain", async () => {
    const text = '{"mcp_guard.audit.version":1}';
    const result = await verify([text]);
    expect(result.chains).toEqual([]);
    expect(result.found).toMatchObject([{ kind: "schema", file: "a.log", line: 1 }]);
    expect(result.found[0]).not.toHaveProperty("chain");
  });

  test("with a first record that has a record before it", async () => {
    const first = new Recorder("one").next({ "mcp_guard.chain.previous": sha256("") });
    expect((await verify([first])).found).toMatchObject([{ kind: "previous", sequence: 1 }]);
  });
});

test("an exchange that no guard saw is a fault", async () => {
  const result = await verify([...CHAIN.slice(0, 2), "-", ...CHAIN.slice(2)]);
  expect(result.lines.guardAbsent).toBe(1);
  expect(result.found).toEqual([
    { kind: "guard_absent", text: "found an exchange that no guard saw", file: "a.log", line: 3 },
  ]);
});

test("logs are read one after the other, as one trail", async () => {
  const found: Fault[] = [];
  const options = { fromStart: true, onFault: (fault: Fault) => found.push(fault) };
  const halves = [log(CHAIN.slice(0, 30), "a.log"), log(CHAIN.slice(31), "b.log")];
  const { chains } = await verifyTrail(halves, options);
  expect(found).toMatchObject([{ kind: "gap", file: "b.log", line: 1, sequence: 32 }]);
  expect(chains).toMatchObject([{ records: 59 }]);
});

test("copies from further back than the window are no fault: a collector has read its log again", async () => {
  const lines = chain(3000);
  const result = await verify([...lines, ...lines]);
  expect(result.found).toEqual([]);
  expect(result.chains).toMatchObject([{ records: 3000, duplicates: 3000 }]);
});

test("events may end in another order than they began, with holes that are filled later", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(
        Array.from({ length: 50 }, (_, i) => i + 1),
        { minLength: 50 },
      ),
      async (order) => {
        const recorder = new Recorder("one");
        const lines = order.map((number) => recorder.next({ "event.id": `${recorder.id}.${number}` }));
        expect((await verify(lines)).found).toEqual([]);
        const again = recorder.next({ "event.id": `${recorder.id}.${order[7]}` });
        expect(kinds(await verify([...lines, again]))).toEqual(["event"]);
      },
    ),
    { numRuns: 30 },
  );
});
