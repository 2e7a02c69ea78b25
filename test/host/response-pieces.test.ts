// A response body is read in pieces of 128 KiB, and only what has changed is written back. Method: bodies whose changes stand in the first,
// a middle or the last piece of a callback, behind what was held and what was not; each must come out as it does in small parts.

import { describe, expect, test } from "vitest";
import { BUILDS, type Build, type Guard, pieces, startGuard } from "./guard.ts";
import { respond } from "./respond.ts";

const PIECE_BYTES = 128 << 10;
const POLICY = { tool_allowlist: ["safe"], limits: { list_bytes: 65_536 } };
const EXCHANGE = { method: "POST" } as const;

const wide = (bytes: number): string => "w".repeat(bytes);
const result = (members: string): string => `{"jsonrpc":"2.0","id":1,"result":{${members}}}`;
const text = (bytes: number): string => `{"type":"text","text":"${wide(bytes)}"}`;
const LINK = '{"type":"resource_link","uri":"http://evil/"}';
const evil = (bytes: number): string => `{"name":"evil","description":"${wide(bytes)}"}`;

function shown(guard: Guard, body: string, cuts: Iterable<number>): string {
  const headers = [["content-type", "application/json"]] as const;
  const sent = { exchange: EXCHANGE, status: 200, headers, body: Buffer.from(body) };
  return respond(guard, sent, cuts).downstream.body().toString();
}

const BODIES: Readonly<Record<string, string>> = {
  "nothing changes": result(`"content":[${text(500_000)}]`),
  "a change near the beginning": result(`"content":[${text(30_000)},${LINK},${text(300_000)}]`),
  "a change in the middle": result(`"content":[${text(200_000)},${LINK},${text(200_000)}]`),
  "a change near the end": result(`"content":[${text(300_000)},${LINK}]`),
  "a long element goes": result(`"x":"${wide(100_000)}","tools":[${evil(300_000)},{"name":"safe"}]`),
  "a long element goes behind what stays": result(`"x":"${wide(300_000)}","tools":[${evil(300_000)},{"name":"safe"}]`),
  "two names in one list": result(`"tools":[{"name":"safe"},{"name":"safe"}],"x":"${wide(300_000)}"`),
  "hidden text": result(`"x":"${wide(70_000)}","instructions":"a\u200bb","y":"${wide(300_000)}"`),
};

describe.each(Object.keys(BUILDS) as Build[])("%s build", (build) => {
  const guard = startGuard(POLICY, { build });

  describe.each(Object.entries(BODIES))("%s", (_name, body) => {
    const bytes = Buffer.byteLength(body);
    const expected = shown(guard, body, pieces(bytes, 1_000));

    test("the parts make sense", () => {
      expect(() => JSON.parse(expected)).not.toThrow();
      expect(expected).not.toContain("evil");
    });

    test.each([
      [],
      [10_000],
      [60_000],
      [65_000],
      [66_000],
      [PIECE_BYTES],
      [150_000],
      [10_000, 150_000],
      [150_000, 160_000],
      [299_000],
      [350_000],
    ])("cut at %j %j", (...cuts) => {
      const at = cuts.filter((cut) => cut < bytes);
      expect(shown(guard, body, at)).toBe(expected);
    });
  });

  test("a piece that is left out, and behind it one that stays as it is", () => {
    const before = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"evil","description":"`;
    const body = `${before}${wide(PIECE_BYTES - 2)}"}],"x":"${wide(1_000)}"}}`;
    expect(shown(guard, body, [before.length])).toBe(
      `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"x":"${wide(1_000)}"}}`,
    );
  });

  test("what has begun to flow is not held again", () => {
    const before = result(`"x":"${wide(100_000)}`).slice(0, -2);
    const stream = respond(
      guard,
      { exchange: EXCHANGE, status: 200, headers: [["content-type", "application/json"]], body: Buffer.from(before) },
      [],
      "open",
    );
    expect(stream.downstream.body().length).toBe(before.length);
    stream.responseBody("a little", false);
    expect(stream.downstream.body().length).toBe(before.length + "a little".length);
  });
});
