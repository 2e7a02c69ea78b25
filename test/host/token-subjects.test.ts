// Every way in which a caller's token can be wrong. Goal: what is exchanged is one bearer token, and it is the caller's own: whoever the proxy says that the caller
// is, the token says so too. All else is refused before anybody is asked.

import { describe, expect, test } from "vitest";
import { type Delivery, toolCall, verdict } from "./guard.ts";
import { asked, call, get, ISSUER, jwt, minted, reached, start, tokenOf, validated } from "./token-calls.ts";

const BODY = toolCall("safe");
const TOKEN = tokenOf("alice");
const [HEADER, PAYLOAD, SIGNATURE] = TOKEN.split(".") as [string, string, string];

const HOLD = { request_headers: "hold" };
/** Under both ways that headers can go. */
const WAYS = [{}, HOLD] as const;

function refused(authorization: readonly string[], delivery: Delivery = {}): void {
  for (const rest of WAYS) {
    const guard = start({}, rest);
    const stream = call(guard, { authorization, delivery, headersStop: true });
    expect(verdict(stream, BODY)).toBe("refuse token_invalid 401");
    expect(stream.downstream.headers?.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    expect(guard.plugin.httpCalls).toEqual([]);
    expect(get(guard, { authorization, delivery }).localReply?.details).toBe("mcp_guard.token_invalid");
  }
}

function exchanged(authorization: string, principal = "alice", delivery: Delivery = {}): string | null {
  const guard = start();
  const stream = call(guard, { principal, authorization: [authorization], delivery });
  const subject = asked(guard).form.get("subject_token");
  minted(guard);
  expect(reached(stream)).toEqual(["Bearer minted-1"]);
  return subject;
}

describe("the header", () => {
  test.each([
    ["of another scheme", "Basic eDp5"],
    ["of a longer scheme", `Bearers ${TOKEN}`],
    ["of a shorter scheme", `Beare ${TOKEN}`],
    ["of a scheme that only looks like it", `B\u00e9arer ${TOKEN}`],
    ["without a scheme", TOKEN],
    ["without a token", "Bearer"],
    ["without a token behind the space", "Bearer "],
    ["without a space", `Bearer${TOKEN}`],
    ["with a tab for a space", `Bearer\t${TOKEN}`],
    ["with a space behind the token", `Bearer ${TOKEN} `],
    ["with two tokens", `Bearer ${TOKEN} ${TOKEN}`],
    ["with two values in one", `Bearer ${TOKEN},Bearer ${TOKEN}`],
    ["with a parameter", `Bearer token="${TOKEN}"`],
    ["with a quote", `Bearer "${TOKEN}"`],
    ["with a control", `Bearer ${TOKEN}\u0001`],
    ["with a byte above ASCII", `Bearer ${TOKEN}\u00e9`],
    ["with padding inside", `Bearer ${HEADER}=.${PAYLOAD}.${SIGNATURE}`],
    ["with nothing but padding", "Bearer ==="],
    ["that is empty", ""],
  ])("%s is refused", (_what, value) => refused([value]));

  test.each([
    ["with the same value", [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`]],
    ["with another scheme first", ["Basic eDp5", `Bearer ${TOKEN}`]],
    ["with another scheme second", [`Bearer ${TOKEN}`, "Basic eDp5"]],
    ["with an empty one", [`Bearer ${TOKEN}`, ""]],
    ["three of them", [`Bearer ${TOKEN}`, "x", `Bearer ${TOKEN}`]],
  ])("twice, %s, is refused", (_what, values) => refused(values));

  test("has the scheme in any case and any number of spaces", () => {
    expect(exchanged(`bEARER    ${TOKEN}`)).toBe(TOKEN);
  });

  const padded = (bytes: number): string => `${TOKEN}${"A".repeat(bytes - TOKEN.length)}`;

  test("has no token with a character that none has (RFC 6750 section 2.1)", () => {
    const guard = start();
    const others = Array.from({ length: 127 }, (_, code) => String.fromCharCode(code)).filter(
      (character) => character > " " && !/[A-Za-z0-9._~+/=-]/.test(character),
    );
    expect(others.length).toBe(25);
    for (const character of others) {
      const stream = call(guard, { authorization: [`Bearer ${HEADER}.${PAYLOAD}.a${character}b`] });
      expect(verdict(stream, BODY)).toBe("refuse token_invalid 401");
    }
  });

  test("has a token of 8,192 bytes at most", () => {
    expect(exchanged(`Bearer ${padded(8192)}`)).toBe(padded(8192));
    refused([`Bearer ${padded(8193)}`]);
    refused([`Bearer ${padded(20_000)}`]);
  });
});

describe("the token", () => {
  const claims = { iss: ISSUER, sub: "alice" };

  test.each([
    ["of two parts", `${HEADER}.${PAYLOAD}`],
    ["of one part", PAYLOAD],
    ["of four parts", `${TOKEN}.x`],
    ["of five parts, as an encrypted one has", `${HEADER}.${PAYLOAD}.a.b.c`],
    ["with its payload in another place", `${PAYLOAD}.${HEADER}.${SIGNATURE}`],
    ["with an empty payload", `${HEADER}..${SIGNATURE}`],
    ["with a payload in base64", `${HEADER}.${Buffer.from('{"a":"???>>>"}').toString("base64").replaceAll("=", "")}.x`],
    ["with a character that is none of base64url in its payload", `${HEADER}.${PAYLOAD}~.${SIGNATURE}`],
    ["with bits behind the last byte of its payload", `${HEADER}.e31.${SIGNATURE}`],
    ["without an issuer", jwt({ sub: "alice" })],
    ["of another issuer", jwt({ ...claims, iss: `${ISSUER}/` })],
    ["of an issuer that is a list", jwt({ ...claims, iss: [ISSUER] })],
    ["without the claim", jwt({ iss: ISSUER })],
    ["of somebody else", jwt({ ...claims, sub: "bob" })],
    ["of somebody whose name begins alike", jwt({ ...claims, sub: "alice2" })],
    ["of somebody whose name is the beginning", jwt({ ...claims, sub: "alic" })],
    ["of somebody in other case", jwt({ ...claims, sub: "Alice" })],
    ["whose claim is a list", jwt({ ...claims, sub: ["alice"] })],
    ["whose claim is null", jwt({ ...claims, sub: null })],
    ["whose claim stands deeper", jwt({ iss: ISSUER, user: { sub: "alice" } })],
    ["whose issuer stands deeper", jwt({ sub: "alice", x: { iss: ISSUER } })],
    ["whose claim's name begins alike", jwt({ iss: ISSUER, subject: "alice" })],
    ["whose claim's name has other case", jwt({ iss: ISSUER, Sub: "alice" })],
    ["whose payload is a list", jwt(JSON.stringify([claims]))],
    ["whose payload is a text", jwt(JSON.stringify(JSON.stringify(claims)))],
    ["whose payload is no JSON", jwt("alice")],
    ["whose payload is cut", jwt(JSON.stringify(claims).slice(0, -1))],
    ["with something behind its payload", jwt(`${JSON.stringify(claims)} x`)],
    ["with a duplicate claim, the good one first", jwt(`{"iss":"${ISSUER}","sub":"alice","sub":"bob"}`)],
    ["with a duplicate claim, the good one last", jwt(`{"iss":"${ISSUER}","sub":"bob","sub":"alice"}`)],
    ["with a duplicate claim in another spelling", jwt(`{"iss":"${ISSUER}","sub":"alice","s\\u0075b":"bob"}`)],
    ["with a duplicate issuer", jwt(`{"iss":"${ISSUER}","iss":"https://other.example","sub":"alice"}`)],
    ["with a duplicate member of no interest", jwt(`{"iss":"${ISSUER}","sub":"alice","x":1,"x":2}`)],
    ["with an unpaired surrogate", jwt(`{"iss":"${ISSUER}","sub":"alice","x":"\\ud800"}`)],
    ["that nests too deeply", jwt(`{"iss":"${ISSUER}","sub":"alice","x":${"[".repeat(70)}${"]".repeat(70)}}`)],
  ])("%s is refused", (_what, token) => refused([`Bearer ${token}`]));

  test.each([
    [
      "with members of every kind",
      jwt({ a: [1, { b: null }], c: { iss: "x", sub: "y" }, d: true, ...claims, e: -1.5e3 }),
    ],
    ["with its claims in another spelling", jwt(`{"i\\u0073s":"${ISSUER}","sub":"al\\u0069ce"}`)],
    ["with white space", jwt(` {\n"sub" : "alice" ,\t"iss": "${ISSUER}" }\r\n`)],
    ["with signs in its signature", `${HEADER}.${PAYLOAD}.a-_~+/==`],
  ])("%s is exchanged", (_what, token) => {
    expect(exchanged(`Bearer ${token}`)).toBe(token);
  });

  // As long as its name is, so that neither what stands there nor how long it is tells it from one that is none.
  test.each(["null", "1", "true", "[]", "{}"])(
    "whose claim is %s has not the name that stands in front of it",
    (value) => {
      const token = jwt(`{"iss":"${ISSUER}","x":"bob","sub":${value}}`);
      const stream = call(start(), { principal: "bob", authorization: [`Bearer ${token}`] });
      expect(verdict(stream, BODY)).toBe("refuse token_invalid 401");
    },
  );

  test("of a caller whose name has other characters is exchanged", () => {
    const name = "álîce@例え.example";
    expect(exchanged(`Bearer ${tokenOf(name)}`, name)).toBe(tokenOf(name));
  });
});

describe("a caller", () => {
  const gateway = "spiffe://cluster.local/ns/gateway/sa/gw";
  const identity = {
    jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }],
    header: { name: "user-identity", trusted_gateways: [gateway] },
  };

  test("whom nobody has validated has no token that counts", () => {
    refused([`Bearer ${TOKEN}`], { stream: { properties: {} } });
  });

  test("whom another issuer's token names has not this one's", () => {
    refused([`Bearer ${TOKEN}`], {
      stream: { properties: validated("alice", "people", "sub", "https://other.example") },
    });
  });

  // Neither is named by a claim: a token that has one of no name, and their issuer, is none of theirs.
  test("whom a gateway's header names has no token that counts", () => {
    const guard = start({}, { identity });
    for (const token of [TOKEN, jwt({ iss: gateway, "": "alice" })]) {
      const stream = call(guard, {
        authorization: [`Bearer ${token}`],
        delivery: {
          headers: [
            ["content-type", "application/json"],
            ["user-identity", "alice"],
          ],
          stream: { properties: { "connection.uri_san_peer_certificate": gateway } },
        },
      });
      expect(verdict(stream, BODY)).toBe("refuse token_invalid 401");
    }
  });

  test("that is a workload has no token that counts", () => {
    const guard = start({}, { identity });
    const workload = "spiffe://cluster.local/ns/x/sa/alice";
    const properties = { "connection.uri_san_peer_certificate": workload };
    for (const token of [TOKEN, jwt({ iss: "spiffe://cluster.local", "": workload })]) {
      const stream = call(guard, { authorization: [`Bearer ${token}`], delivery: { stream: { properties } } });
      expect(verdict(stream, BODY)).toBe("refuse token_invalid 401");
    }
  });

  test("with a kept token brings another one: that is asked about", () => {
    const guard = start();
    call(guard);
    minted(guard);
    const other = tokenOf("alice", { jti: "2" });
    const stream = call(guard, { authorization: [`Bearer ${other}`] });
    expect([reached(stream), asked(guard).form.get("subject_token")]).toEqual([undefined, other]);
  });

  test("who brings somebody else's token has it from nobody, kept or not", () => {
    const guard = start();
    call(guard, { principal: "bob" });
    minted(guard);
    const stream = call(guard, { principal: "alice", authorization: [`Bearer ${tokenOf("bob")}`] });
    expect(verdict(stream, BODY)).toBe("refuse token_invalid 401");
  });
});
