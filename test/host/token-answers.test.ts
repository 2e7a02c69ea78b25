// What the token endpoint answers, taken to pieces. Goal: only what says in every part that it is the token that was asked for becomes one; a refusal of the
// caller's token is told as such, all else as a service that does not work; nothing of it is kept but what has been said.

import { describe, expect, test } from "vitest";
import { type Guard, toolCall, verdict } from "./guard.ts";
import { ACCESS_TOKEN, asked, call, grant, minted, reached, recordOf, say, start, tokenOf } from "./token-calls.ts";

const BODY = toolCall("safe");
const JWT = "urn:ietf:params:oauth:token-type:jwt";
const UNAVAILABLE = "refuse token_exchange_unavailable 503";
const REFUSED = "refuse token_exchange_refused 401";

/** What becomes of a call whose question is answered so, and of the next one: whether it has to ask again. */
function after(answered: (guard: Guard) => void, exchange: object = {}): [string, "asks" | "knows"] {
  const guard = start(exchange);
  const stream = call(guard);
  answered(guard);
  const said = stream.finished ? verdict(stream, BODY) : `sent ${reached(stream)}`;
  if (stream.finished) {
    const outcome = said === REFUSED ? "refused" : "failed";
    expect(recordOf(stream)["mcp_guard.token.exchange"]).toBe(outcome);
  }
  call(guard);
  return [said, guard.plugin.httpCalls.length === 0 ? "knows" : "asks"];
}

const saying = (body: object | string | Uint8Array, status = 200, exchange = {}) =>
  after((guard) => say(asked(guard).http, body, status), exchange);

const good = JSON.stringify(grant("tok"));

describe("a good answer", () => {
  test.each([
    ["with the members that are asked for", good],
    [
      "with a member that nobody knows",
      good.replace("{", '{"x":{"access_token":"y","error":["z"]},"refresh_token":"r","scope":"a",'),
    ],
    ["with white space around it", ` \n${good}\r\n\t`],
    ["with escapes in its texts", good.replace('"tok"', '"\\u0074\\u006fk"').replace('"Bearer"', '"Bear\\u0065r"')],
    ["with the kind of token in another case", good.replace("Bearer", "bEARER")],
    ["with an error beside the token", good.replace("{", '{"error":"invalid_grant",')],
    ["of exactly 32 KiB", good.padEnd(32_768)],
  ])("%s brings the token", (_what, text) => {
    expect(saying(text)).toEqual(["sent Bearer tok", "knows"]);
  });

  test.each(["a", "a-._~+/b==", "T".repeat(8192)])("brings a token of the right form", (token) => {
    expect(saying(grant(token))).toEqual([`sent Bearer ${token}`, "knows"]);
  });

  test("brings a token of the type that was asked for", () => {
    const exchange = { requested_token_type: JWT };
    expect(saying(grant("tok", { issued_token_type: JWT }), 200, exchange)).toEqual(["sent Bearer tok", "knows"]);
    expect(saying(grant("tok"), 200, exchange)).toEqual([UNAVAILABLE, "asks"]);
  });
});

describe("an answer of status 200", () => {
  test.each([
    ["without a token", grant("x", { access_token: undefined })],
    ["whose token is null", grant("x", { access_token: null })],
    ["whose token is a number", grant("x", { access_token: 1 })],
    ["whose token is a list", grant("x", { access_token: ["tok"] })],
    ["whose token is an object", grant("x", { access_token: { access_token: "tok" } })],
    ["whose token is empty", grant("")],
    ["whose token has a space", grant("a b")],
    ["whose token has a line break", grant("a\r\nx-evil: 1")],
    ["whose token has a comma", grant("a,b")],
    ["whose token has a character beyond ASCII", grant("é")],
    ["whose token has a NUL", grant("a\u0000")],
    ["whose token has padding inside", grant("a=b")],
    ["whose token is too long", grant("T".repeat(8193))],
    ["whose token is the caller's", grant(tokenOf("alice"))],
    ["without the kind of token", grant("tok", { token_type: undefined })],
    ["of another kind of token", grant("tok", { token_type: "DPoP" })],
    ["of no kind of access token", grant("tok", { token_type: "N_A" })],
    ["whose kind of token is a list", grant("tok", { token_type: ["Bearer"] })],
    ["without the type of token", grant("tok", { issued_token_type: undefined })],
    ["of another type of token", grant("tok", { issued_token_type: JWT })],
    ["whose type of token is longer", grant("tok", { issued_token_type: `${ACCESS_TOKEN}s` })],
    ["whose type of token is two of them", grant("tok", { issued_token_type: `${ACCESS_TOKEN} ${JWT}` })],
    ["whose type of token is empty", grant("tok", { issued_token_type: "" })],
    ["whose type of token is null", grant("tok", { issued_token_type: null })],
    ["whose end is negative", grant("tok", { expires_in: -1 })],
    ["whose end is a text", grant("tok", { expires_in: "300" })],
    ["whose end is null", grant("tok", { expires_in: null })],
    ["whose end is a fraction", grant("tok", { expires_in: 300.5 })],
    ["whose end is a list", grant("tok", { expires_in: [300] })],
    ["whose end has an exponent", good.replace("300", "3e2")],
    ["whose end has too many digits", good.replace("300", "99999999999")],
    ["that is cut", good.slice(0, -1)],
    ["that is cut inside its token", good.slice(0, 20)],
    ["with something behind it", `${good}x`],
    ["with another object behind it", `${good}{}`],
    ["in a list", `[${good}]`],
    ["that is a text", JSON.stringify(good)],
    ["that is empty", ""],
    ["that is a page", "<!DOCTYPE html><title>x</title>"],
    ["that is a form", "access_token=tok&token_type=Bearer"],
    ["with a duplicate member name", good.replace("{", '{"x":1,"x":2,')],
    ["with the token twice", good.replace("{", '{"access_token":"other",')],
    ["with the token twice, in another spelling", good.replace("{", '{"access\\u005ftoken":"other",')],
    ["with a byte order mark", `\ufeff${good}`],
    ["with ill-formed UTF-8", Buffer.from(good.replace("{", '{"x":"\u00ff",'), "latin1")],
    ["with an unpaired surrogate", good.replace("{", '{"x":"\\ud800",')],
    ["nested too deeply", good.replace("{", `{"x":${"[".repeat(70)}${"]".repeat(70)},`)],
    ["of more than 32 KiB", good.padEnd(32_769)],
    ["that says an error", { error: "invalid_grant" }],
  ])("%s is none", (_what, body) => {
    expect(saying(body)).toEqual([UNAVAILABLE, "asks"]);
  });

  test.each([
    ["0 seconds", { expires_in: 0 }],
    ["as long as the margin", { expires_in: 10 }],
    ["nobody says how long", { expires_in: undefined }],
  ])("whose token is good for %s serves the call, and is not kept", (_what, more) => {
    expect(saying(grant("tok", more))).toEqual(["sent Bearer tok", "asks"]);
  });
});

describe("a refusal of the caller's token", () => {
  const ERRORS = ["invalid_request", "invalid_grant", "invalid_token", "access_denied"];

  test.each(ERRORS.flatMap((error) => [400, 401, 403].map((status) => [error, status] as const)))(
    "%s with status %i is kept",
    (error, status) => {
      expect(saying({ error, error_description: "x" }, status)).toEqual([REFUSED, "knows"]);
    },
  );

  test.each([
    ["an error of the filter's own client", { error: "invalid_client" }, 401],
    ["an error of the filter's own request", { error: "unsupported_grant_type" }, 400],
    ["a scope that is not given", { error: "invalid_scope" }, 400],
    ["a target that is not known", { error: "invalid_target" }, 400],
    ["a refusal in other case", { error: "Invalid_Grant" }, 400],
    ["two refusals in one", { error: "invalid_grant invalid_token" }, 400],
    ["an empty error", { error: "" }, 400],
    ["an error that is a list", { error: ["invalid_grant"] }, 400],
    ["an error that stands deeper", { x: { error: "invalid_grant" } }, 400],
    ["no error", {}, 400],
    ["a duplicate error", '{"error":"invalid_grant","error":"invalid_grant"}', 400],
    ["a refusal that is cut", '{"error":"invalid_grant"', 400],
    ["a refusal with something behind it", '{"error":"invalid_grant"} x', 400],
    ["a refusal in a list", '[{"error":"invalid_grant"}]', 400],
    ["a refusal of more than 32 KiB", '{"error":"invalid_grant"}'.padEnd(32_769), 400],
    ["a page", "<h1>invalid_grant</h1>", 403],
    ["nothing", "", 401],
  ] as const)("is none: %s", (_what, body, status) => {
    expect(saying(body, status)).toEqual([UNAVAILABLE, "asks"]);
  });

  test.each([200, 201, 302, 404, 405, 408, 409, 410, 422, 429, 500, 502, 503, 504])(
    "with status %i is none",
    (status) => {
      expect(saying({ error: "invalid_grant" }, status)).toEqual([UNAVAILABLE, "asks"]);
    },
  );
});

describe("a good answer with another status", () => {
  test.each([201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 429, 500, 502, 503])("%i is none", (status) => {
    expect(saying(good, status)).toEqual([UNAVAILABLE, "asks"]);
  });
});

describe("no answer", () => {
  test.each(["refuse", "drop", "timeOut", "cut"] as const)("%s", (how) => {
    expect(after((guard) => asked(guard).http[how]())).toEqual([UNAVAILABLE, "asks"]);
  });

  test("the answer's body cannot be read", () => {
    const answered = (guard: Guard) => {
      guard.vm.failNext("proxy_get_buffer_bytes", 2);
      minted(guard);
    };
    expect(after(answered)).toEqual([UNAVAILABLE, "asks"]);
  });

  test("the answer's headers cannot be read", () => {
    const answered = (guard: Guard) => {
      guard.vm.failNext("proxy_get_header_map_pairs", 2);
      minted(guard);
    };
    expect(after(answered)).toEqual([UNAVAILABLE, "asks"]);
  });
});

describe("a question that cannot be asked", () => {
  test.each([
    ["there is no such cluster", { clusters: ["other"] }],
    ["the cluster takes no requests", { fullClusters: ["idp"] }],
  ])("%s", (_what, clusters) => {
    const guard = start({}, {}, { clusters: [], ...clusters });
    const stream = call(guard);
    expect(verdict(stream, BODY)).toBe(UNAVAILABLE);
    expect(recordOf(stream)["mcp_guard.token.exchange"]).toBe("failed");
    expect(
      guard.vm.logs.map(({ message }) => message).filter((message) => message.includes("cannot be asked")),
    ).toHaveLength(1);
    // It is asked again by the next one, and nothing is left of this one.
    expect(verdict(call(guard), BODY)).toBe(UNAVAILABLE);
  });

  test("under hold, after the verdict", () => {
    const guard = start({}, { request_headers: "hold" }, { clusters: [] });
    expect(verdict(call(guard, { headersStop: true }), BODY)).toBe(UNAVAILABLE);
    expect(verdict(call(guard, { headersStop: true, tool: "drop_tables" }), BODY)).toBe("refuse tool_not_listed 200");
  });
});

test("an answer to somebody else's question is none of ours", () => {
  const guard = start();
  const stream = call(guard);
  const bob = call(guard, { principal: "bob" });
  say(guard.plugin.httpCalls[1]!, grant("for-bob"));
  expect([reached(stream), reached(bob)]).toEqual([undefined, ["Bearer for-bob"]]);
});
