// A guard that exchanges tokens, when the provider is slow, gone, broken, refuses or takes a new key, and when everybody comes at once. Goal: the caller is told
// whether it is worth trying again, nobody else notices, no token is asked for twice that is still good, and one that is no longer good is not used again.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Person } from "../../src/approval/try/people.ts";
import { ACCESS_TOKEN_TYPE } from "../../src/on-behalf/token-exchange.ts";
import { type ExchangeRig, METADATA_PATH, type Reply, startExchangeRig } from "./on-behalf-rig.ts";
import { wholeChains } from "./record-log.ts";
import { HEADER_MODE_NAMES, type HeaderMode, PATIENCE, toolCall } from "./rig.ts";
import type { Behaviour } from "./token-front.ts";
import { pause } from "./wire.ts";

/** Short for what never comes, and long for what comes late because everybody comes at once. */
const TIMEOUT_MS = 1_000;
const CROWD_TIMEOUT_MS = 20_000;
const KEY_SECONDS = 2;
const USERS = 20;
const REQUESTS_EACH = 10;
const CROWD = Array.from({ length: USERS }, (_, index): Person => {
  const sub = `user-${String(index).padStart(2, "0")}`;
  return { sub, name: sub, email: `${sub}@example.com`, email_verified: true, groups: [] };
});
const MALLORY = { sub: "mallory", name: "Mallory", email: "m@example.com", email_verified: true, groups: [] };
const WHOAMI = toolCall("whoami");

/** The guard to which everybody comes. */
const crowded = (mode: HeaderMode): string => `${mode} crowd`;

let rig: ExchangeRig;

beforeAll(async () => {
  rig = await startExchangeRig({
    guards: HEADER_MODE_NAMES.flatMap((mode) => [
      { name: mode, mode, timeoutMs: TIMEOUT_MS },
      { name: crowded(mode), mode, timeoutMs: CROWD_TIMEOUT_MS },
    ]),
    people: [...CROWD, MALLORY],
    taken: CROWD.map(({ sub }) => sub),
    keySeconds: KEY_SECONDS,
  });
});

beforeEach(() => rig.front.behave("pass"));

afterAll(() => rig?.stop());

const reasonOf = ({ text }: Reply): unknown =>
  (JSON.parse(text) as { error?: { data?: { reason?: string } } }).error?.data?.reason;
const subOf = ({ text, status }: Reply): unknown => {
  if (status !== 200) return `${status} ${text}`;
  const { result } = JSON.parse(text) as { result: { content: { text: string }[] } };
  return (JSON.parse(result.content[0]!.text) as { sub: string }).sub;
};
/** The `jti` of the token with which a request has come to the server. */
const tokenIdOf = ({ id }: Reply): unknown => {
  const value = rig.arrivals.find((arrival) => arrival.id === id)!.authorization[0]!;
  return (JSON.parse(Buffer.from(value.split(".")[1]!, "base64url").toString()) as { jti: string }).jti;
};

async function expectUnavailable(reply: Reply, what: string): Promise<void> {
  expect([reply.status, reasonOf(reply)], what).toEqual([503, "token_exchange_unavailable"]);
  expect(reply.headers["www-authenticate"], what).toBeUndefined();
  expect(await rig.recordOf(reply), what).toMatchObject({ "mcp_guard.token.exchange": "failed" });
  expect(
    rig.arrivals.filter(({ id }) => id === reply.id),
    what,
  ).toEqual([]);
}

async function expectRefused(reply: Reply, what: string, exchange: string): Promise<void> {
  expect([reply.status, reasonOf(reply)], what).toEqual([401, "token_exchange_refused"]);
  expect(reply.headers["www-authenticate"], what).toBe('Bearer error="invalid_token"');
  expect(await rig.recordOf(reply), what).toMatchObject({ "mcp_guard.token.exchange": exchange });
  expect(
    rig.arrivals.filter(({ id }) => id === reply.id),
    what,
  ).toEqual([]);
}

describe.each(HEADER_MODE_NAMES)("with headers on %s", (guard) => {
  test("a slow provider: whoever needs it is told in time, whoever has a token notices nothing", async () => {
    const known = await rig.tokenOf("user-00");
    expect(subOf(await rig.ask({ guard, token: known, body: WHOAMI }))).toBe("user-00");
    const token = await rig.tokenOf("user-01");
    rig.front.behave("silence");
    const start = performance.now();
    let isAnswered = false;
    const slow = rig.ask({ guard, token, body: WHOAMI }).finally(() => {
      isAnswered = true;
    });
    expect(subOf(await rig.ask({ guard, token: known, body: WHOAMI }))).toBe("user-00");
    expect(isAnswered).toBe(false);
    await expectUnavailable(await slow, "silence");
    expect(performance.now() - start).toBeGreaterThanOrEqual(TIMEOUT_MS - 1);
  });

  test("a provider that is gone, and comes back", async () => {
    const token = await rig.tokenOf("user-02");
    await rig.front.leave();
    try {
      await expectUnavailable(await rig.ask({ guard, token, body: WHOAMI }), "gone");
      await expectUnavailable(await rig.ask({ guard, token, method: "GET" }), "gone, GET");
    } finally {
      await rig.front.comeBack();
    }
    expect(subOf(await rig.ask({ guard, token, body: WHOAMI }))).toBe("user-02");
  });

  test("an answer that is none", async () => {
    const answer = { access_token: "abc", issued_token_type: ACCESS_TOKEN_TYPE, token_type: "Bearer", expires_in: 60 };
    const { access_token, ...without } = answer;
    const token = await rig.tokenOf("user-03");
    const ok = (body: object | string) => ({
      status: 200,
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const cases: [string, Behaviour][] = [
      ["a cut connection", "cut"],
      ["status 500", { status: 500, body: "{}" }],
      ["status 503 with a token", { ...ok(answer), status: 503 }],
      ["status 302", { ...ok(answer), status: 302 }],
      ["an error that is the guard's own fault", { status: 401, body: '{"error":"invalid_client"}' }],
      ["a refusal with status 500", { status: 500, body: '{"error":"invalid_grant"}' }],
      ["a page", ok("<!doctype html><title>Sign in</title>")],
      ["half an object", ok(JSON.stringify(answer).slice(0, -1))],
      ["a list", ok("[]")],
      ["no token", ok(without)],
      ["an empty token", ok({ ...answer, access_token: "" })],
      ["a token of two lines", ok({ ...answer, access_token: "abc\r\nx-admin: yes" })],
      ["a token that is too long", ok({ ...answer, access_token: "a".repeat(8_193) })],
      ["the caller's token", ok({ ...answer, access_token: token })],
      ["a duplicate member", ok(`{"access_token":"x",${JSON.stringify(answer).slice(1)}`)],
      ["another type of token", ok({ ...answer, token_type: "N_A" })],
      ["no type of token", ok({ ...answer, token_type: undefined })],
      ["another issued type", ok({ ...answer, issued_token_type: "urn:ietf:params:oauth:token-type:refresh_token" })],
      ["a lifetime below zero", ok({ ...answer, expires_in: -1 })],
      ["a lifetime that is text", ok({ ...answer, expires_in: "60" })],
      ["a megabyte", ok(`${JSON.stringify(answer)}${" ".repeat(1 << 20)}`)],
    ];
    for (const [what, how] of cases) {
      rig.front.behave(how);
      await expectUnavailable(await rig.ask({ guard, token, body: WHOAMI }), what);
    }
    // Nothing of it was kept.
    rig.front.behave("pass");
    expect(subOf(await rig.ask({ guard, token, body: WHOAMI }))).toBe("user-03");
  });

  test("a caller whom the provider refuses is told so, and not asked for again at once", async () => {
    const token = await rig.tokenOf("mallory");
    const before = rig.front.requests.length;
    await expectRefused(await rig.ask({ guard, token, body: WHOAMI }), "first", "refused");
    await expectRefused(await rig.ask({ guard, token, body: WHOAMI }), "second", "refused");
    expect(rig.front.requests.length - before).toBe(1);
    expect(rig.minted("mallory")).toBe(0);
  });

  test("a token that the server no longer takes is not used again", async () => {
    const token = await rig.tokenOf("user-04");
    const first = await rig.ask({ guard, token, body: WHOAMI });
    rig.revoked.add(tokenIdOf(first));
    const refused = await rig.ask({ guard, token, body: WHOAMI });
    expect(refused.status).toBe(401);
    expect(tokenIdOf(refused)).toBe(tokenIdOf(first));
    expect(refused.headers["www-authenticate"]).toBe(
      `Bearer error="invalid_token", resource_metadata="http://127.0.0.1${METADATA_PATH}"`,
    );
    const anew = await rig.ask({ guard, token, body: WHOAMI });
    expect(subOf(anew)).toBe("user-04");
    expect(tokenIdOf(anew)).not.toBe(tokenIdOf(first));
    expect(await rig.recordOf(anew)).toMatchObject({ "mcp_guard.token.exchange": "minted" });
  });

  test("everybody at once: one exchange for each, and none while the tokens are good", async () => {
    const tokens = await Promise.all(CROWD.map(({ sub }) => rig.tokenOf(sub)));
    const wave = async () => {
      const before = rig.minted();
      const asked = CROWD.flatMap(({ sub }, index) =>
        Array.from({ length: REQUESTS_EACH }, async () => {
          const reply = await rig.ask({ guard: crowded(guard), token: tokens[index]!, body: WHOAMI });
          expect(subOf(reply)).toBe(sub);
        }),
      );
      await Promise.all(asked);
      return rig.minted() - before;
    };
    expect(await wave()).toBe(USERS);
    expect(await wave()).toBe(0);
  });
});

// Behind the others: it changes the key.
test("a new key in the middle: Envoy and the server fetch it, and what the old one has signed is exchanged no more", async () => {
  const guard = "hold";
  expect(subOf(await rig.ask({ guard, token: await rig.tokenOf("user-05"), body: WHOAMI }))).toBe("user-05");
  await rig.provider.rotateKey("published");
  const [first, second] = [await rig.tokenOf("user-06"), await rig.tokenOf("user-07")];
  // By then Envoy's keys are too old for it.
  await pause(KEY_SECONDS * 1_000 + 100);
  expect(subOf(await rig.ask({ guard, token: first, body: WHOAMI }))).toBe("user-06");
  // Envoy has fetched the keys just now, and does not know yet what the provider knows.
  await rig.provider.rotateKey("withdrawn");
  await expectRefused(await rig.ask({ guard, token: second, body: WHOAMI }), "withdrawn", "refused");
  const third = await rig.tokenOf("user-08");
  await pause(KEY_SECONDS * 1_000 + 100);
  expect(subOf(await rig.ask({ guard, token: third, body: WHOAMI }))).toBe("user-08");
  expect((await rig.ask({ guard, token: second, body: WHOAMI })).text).toMatch(/^Jwks doesn't have key/);
});

test("the records are whole chains, and no secret is in any log", async () => {
  const counters = await rig.envoy.stats("mcp_guard_token_");
  const countOf = (name: string) => [...counters].find(([counter]) => counter.endsWith(`mcp_guard_token_${name}`))?.[1];
  // Of those that waited for the same token the first has minted it.
  expect(countOf("minted")).toBe(rig.minted());
  const recorded = (name: string) =>
    rig.records().filter((record) => record["mcp_guard.token.exchange"] === name).length;
  await expect
    .poll(() => [recorded("minted"), recorded("cached")], PATIENCE)
    .toEqual([countOf("minted"), countOf("cached")]);
  await wholeChains(rig.recordLines());
  rig.expectNothingLeaked();
});
