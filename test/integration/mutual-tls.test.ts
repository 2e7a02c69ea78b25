// Certificates and tokens in front of a guard. Goal: what the suites about identity stand on is as they believe: TLS lets in whom it
// should, a guard behind it decides as ever, and Envoy sees the peer's certificate, the peer of a waypoint and the claims of
// tokens. Method: one Envoy whose listeners differ in what they ask of a client; Envoy's own access log says what it saw.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testedVersions } from "../versions.ts";
import { logAlso, logged } from "./access-log.ts";
import { type Authority, createAuthority, type KeyedCertificate } from "./certificates.ts";
import { drivers } from "./drivers/drivers.ts";
import { serveTls } from "./mutual-tls.ts";
import { guardIn, JSON_FIELDS, named, PROTOCOLS, type Protocol, type Rig, startRig, toolCall } from "./rig.ts";
import { checkTokens, createIssuer, type Issuer, JWT_AUTHN } from "./tokens.ts";
import { verdictOf } from "./verdict.ts";
import { namePeer, PEER_PRINCIPAL } from "./waypoint.ts";
import type { Answer, ClientTls, Fields } from "./wire.ts";

const GATEWAY = "spiffe://cluster.local/ns/gateway/sa/ai-gateway";
const AGENT = "spiffe://cluster.local/ns/agents/sa/planner";
const SECOND_HEADER = "x-second-token";
const POLICY = { tool_allowlist: ["echo"] };
const GUARDS = ["required", "optional", "tokens", "waypoint"] as const;
type Guard = (typeof GUARDS)[number];

/** See `openSocket`. */
const TLS_VERSION = { h1: "TLSv1.2", h2: "TLSv1.3" } as const;
const RUNS = drivers.flatMap((driver) => testedVersions().map((version) => ({ driver, version, name: driver.name })));

let authority: Authority;
let gateway: KeyedCertificate;
let first: Issuer;
let second: Issuer;
beforeAll(async () => {
  authority = await createAuthority();
  gateway = await authority.client(GATEWAY);
  first = await createIssuer("https://first.example");
  second = await createIssuer("https://second.example");
});

describe.each(RUNS)("Envoy $version by the $name driver", ({ driver, version }) => {
  let rig: Rig;
  let requests = 0;

  beforeAll(async () => {
    const server = await authority.server();
    rig = await startRig({
      driver,
      version,
      guards: GUARDS.map((name) => guardIn("release", POLICY, { name })),
      edit(bootstrap) {
        serveTls(bootstrap, { server, clients: authority, clientCertificate: "required" }, ["required", "tokens"]);
        serveTls(bootstrap, { server, clients: authority, clientCertificate: "optional" }, ["optional"]);
        const providers = [
          { name: "first", issuer: first },
          { name: "second", issuer: second, metadataKey: "payload", header: SECOND_HEADER },
        ];
        checkTokens(bootstrap, providers, ["tokens"]);
        namePeer(bootstrap, "%REQ(x-peer)%", ["waypoint"]);
        logAlso(bootstrap, {
          peer: "%DOWNSTREAM_PEER_URI_SAN%",
          tls: "%DOWNSTREAM_TLS_VERSION%",
          waypoint_peer: `%FILTER_STATE(${PEER_PRINCIPAL}:PLAIN)%`,
          first: `%DYNAMIC_METADATA(${JWT_AUTHN}:first:sub)%`,
          second: `%DYNAMIC_METADATA(${JWT_AUTHN}:payload:sub)%`,
        });
      },
    });
  });

  afterAll(() => rig?.stop());

  describe.each(PROTOCOLS)("over %s", (protocol) => {
    test.each(["required", "optional"] as const)(
      "certificate %s: one of the authority is served, and Envoy knows whose it is",
      async (guard) => {
        const { id, verdict } = await call(protocol, guard, trusting(gateway));
        expect(verdict).toBe("allow");
        expect(await logged(rig.envoy, id)).toMatchObject({
          protocol: protocol === "h1" ? "HTTP/1.1" : "HTTP/2",
          tls: TLS_VERSION[protocol],
          peer: GATEWAY,
          waypoint_peer: null,
        });
      },
    );

    test("a client with several URIs is known by all of them, in their order", async () => {
      const { id, verdict } = await call(protocol, "required", trusting(await authority.client(AGENT, GATEWAY)));
      expect(verdict).toBe("allow");
      expect(await logged(rig.envoy, id)).toMatchObject({ peer: `${AGENT},${GATEWAY}` });
    });

    test("a client whose certificate names no URI has none", async () => {
      const { id, verdict } = await call(protocol, "required", trusting(await authority.client()));
      expect(verdict).toBe("allow");
      expect(await logged(rig.envoy, id)).toMatchObject({ peer: null });
    });

    test("without a certificate TLS refuses when one is required, and serves when not", async () => {
      const before = await refusedByTls();
      await expect(call(protocol, "required", trusting())).rejects.toThrow();
      expect(await refusedByTls()).toEqual({ ...before, withoutCertificate: before.withoutCertificate + 1 });
      const { id, verdict } = await call(protocol, "optional", trusting());
      expect(verdict).toBe("allow");
      expect(await logged(rig.envoy, id)).toMatchObject({ tls: TLS_VERSION[protocol], peer: null });
    });

    test.each(["required", "optional"] as const)(
      "certificate %s: one of another authority is refused by TLS",
      async (guard) => {
        const stranger = await (await createAuthority()).client(GATEWAY);
        const before = await refusedByTls();
        await expect(call(protocol, guard, trusting(stranger))).rejects.toThrow();
        expect(await refusedByTls()).toEqual({ ...before, withWrongOne: before.withWrongOne + 1 });
      },
    );

    test("the client refuses a server of another authority", async () => {
      const { certificate } = await createAuthority();
      await expect(call(protocol, "required", { authority: certificate, own: gateway })).rejects.toMatchObject({
        code: expect.stringMatching(/CERT|SIGNATURE|VERIFY/),
      });
    });

    test("the guard decides behind TLS as ever", async () => {
      expect((await call(protocol, "required", trusting(gateway), [], "system_exec")).verdict).toBe(
        "refuse 200 tool_not_listed",
      );
      expect((await call(protocol, "required", trusting(gateway), [], "echo")).verdict).toBe("allow");
    });

    test("a valid token passes, and Envoy knows its claims", async () => {
      const token = await first.sign({ sub: "alice" });
      const { id, verdict } = await call(protocol, "tokens", trusting(gateway), bearer(token));
      expect(verdict).toBe("allow");
      expect(await logged(rig.envoy, id)).toMatchObject({ peer: GATEWAY, first: "alice", second: null });
      expect(rig.origin.arrivals(id)[0]?.headers.authorization).toBe(`Bearer ${token}`);
    });

    test("tokens of two issuers are both known", async () => {
      const tokens = [...bearer(await first.sign({ sub: "alice" })), ...own(await second.sign({ sub: "bob" }))];
      const { id, verdict } = await call(protocol, "tokens", trusting(gateway), tokens);
      expect(verdict).toBe("allow");
      expect(await logged(rig.envoy, id)).toMatchObject({ first: "alice", second: "bob" });
    });

    test("no token passes, and so does the second one alone", async () => {
      const none = await call(protocol, "tokens", trusting(gateway));
      expect(none.verdict).toBe("allow");
      expect(await logged(rig.envoy, none.id)).toMatchObject({ first: null, second: null });
      const alone = await call(protocol, "tokens", trusting(gateway), own(await second.sign({ sub: "bob" })));
      expect(alone.verdict).toBe("allow");
      expect(await logged(rig.envoy, alone.id)).toMatchObject({ first: null, second: "bob" });
    });

    test("a tool that is not listed is refused with a valid token too", async () => {
      const token = bearer(await first.sign({ sub: "alice" }));
      expect((await call(protocol, "tokens", trusting(gateway), token, "system_exec")).verdict).toBe(
        "refuse 200 tool_not_listed",
      );
    });

    test("an invalid token gets 401, also beside a valid one", async () => {
      const valid = await first.sign({ sub: "alice" });
      const impostor = await createIssuer(first.name);
      const wrong: Readonly<Record<string, Fields>> = {
        "another key": bearer(await impostor.sign({ sub: "alice" })),
        expired: bearer(await first.sign({ sub: "alice", exp: 1 })),
        "another issuer in the claims": bearer(await first.sign({ iss: "https://third.example" })),
        "another issuer's": bearer(await second.sign({ sub: "alice" })),
        "no JSON inside": bearer(await first.sign("alice")),
        "no token at all": bearer("alice"),
        "the second one is the first's": [...bearer(valid), ...own(valid)],
        "the second one has expired": [...bearer(valid), ...own(await second.sign({ exp: 1 }))],
      };
      for (const [what, fields] of Object.entries(wrong)) {
        const { id, answer } = await call(protocol, "tokens", trusting(gateway), fields);
        expect(answer?.status, what).toBe(401);
        expect(rig.origin.arrivals(id), what).toEqual([]);
        expect(await logged(rig.envoy, id), what).toMatchObject({
          response_code_details: expect.stringMatching(/^jwt_authn_access_denied/),
          mcp_decision: "none",
        });
      }
    });

    test("a waypoint's peer is what the filter in front of the guard says", async () => {
      const known = await call(protocol, "waypoint", undefined, [["x-peer", AGENT]]);
      expect(known.verdict).toBe("allow");
      expect(await logged(rig.envoy, known.id)).toMatchObject({ waypoint_peer: AGENT, peer: null, tls: null });
      const unknown = await call(protocol, "waypoint");
      expect(unknown.verdict).toBe("allow");
      expect(await logged(rig.envoy, unknown.id)).toMatchObject({ waypoint_peer: null });
    });
  });

  interface Outcome {
    readonly id: string;
    readonly verdict: string;
    readonly answer: Answer | undefined;
  }

  /** How many clients Envoy has refused for their certificate, over all listeners. */
  async function refusedByTls(): Promise<{ withoutCertificate: number; withWrongOne: number }> {
    const sumOf = async (counter: string) => {
      const stats = await rig.envoy.stats(`^listener\\..*\\.ssl\\.${counter}$`);
      return [...stats.values()].reduce((sum, value) => sum + value, 0);
    };
    return {
      withoutCertificate: await sumOf("fail_verify_no_cert"),
      withWrongOne: await sumOf("fail_verify_error"),
    };
  }

  /** One tools/call on a connection of its own. */
  async function call(
    protocol: Protocol,
    guard: Guard,
    tls?: ClientTls,
    fields: Fields = [],
    tool = "echo",
  ): Promise<Outcome> {
    const id = `${protocol}.${guard}.${requests++}`;
    const body = Buffer.from(toolCall(tool));
    const connection = await rig.connect(protocol, guard, tls);
    try {
      const headers = [...JSON_FIELDS, ...named(id), ...fields];
      const exchange = connection.open({
        method: "POST",
        path: "/mcp",
        headers,
        framing: "length",
        bodyBytes: body.length,
      });
      exchange.end(body);
      const answer = await exchange.answer;
      return { id, verdict: verdictOf(rig.origin, id, "release", body, answer), answer };
    } finally {
      connection.close();
    }
  }
});

/** A client that trusts the authority and shows this certificate, or none. */
function trusting(own?: KeyedCertificate): ClientTls {
  return { authority: authority.certificate, ...(own && { own }) };
}

function bearer(token: string): Fields {
  return [["authorization", `Bearer ${token}`]];
}

function own(token: string): Fields {
  return [[SECOND_HEADER, token]];
}
