// Who asks, on a real Envoy. Goal: only a token that jwt_authn has validated and the header of a trusted gateway name a human, a header that
// does not count never reaches the server, nobody becomes somebody else, and the record says who it was. Method: clients with
// certificates of the test's own authority, or none, and tokens of its own issuers; one Envoy has a guard for each way of holding a request, with and
// without `require_human`. The requests of a table go out at once, so that their streams are open side by side in one worker. What is compared:
// what the client got, what of the header the server has, whom the record names, and what the counter has counted.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verifyTrail } from "../../src/audit/verify.ts";
import { hasText } from "../oracle/has-text.ts";
import { testedVersions } from "../versions.ts";
import { logAlso, logged } from "./access-log.ts";
import { type Authority, createAuthority, type KeyedCertificate } from "./certificates.ts";
import { drivers } from "./drivers/drivers.ts";
import {
  AGENT,
  alice,
  arriving,
  at,
  type Case,
  CLIENTS,
  type Client,
  FIRST,
  FIRST_CLAIM,
  GATEWAY,
  HEADERS,
  lookAlike,
  NOBODY,
  onWire,
  SECOND,
  SECOND_CLAIM,
  TOKEN_HEADERS,
  TOKENS,
  type Tokens,
  user,
  userOf,
  type Who,
  workload,
} from "./identity-cases.ts";
import { serveTls } from "./mutual-tls.ts";
import {
  guardIn,
  type HeaderMode,
  JSON_FIELDS,
  named,
  PROTOCOLS,
  type Protocol,
  type Rig,
  speakHttp1WithTrailers,
  startRig,
  toolCall,
} from "./rig.ts";
import { checkTokens, createIssuer, type Issuer } from "./tokens.ts";
import { reasonOf, verdictOf } from "./verdict.ts";
import { namePeer } from "./waypoint.ts";
import { type Answer, type Fields, inPieces, sendPieces } from "./wire.ts";

/** The counter. */
const REJECTED = "mcp_guard_identity_headers_rejected";

const POLICY = {
  tool_allowlist: ["echo"],
  unguarded: [{ methods: ["GET", "POST"], path: "/health" }],
  identity: {
    jwt: [
      { provider: "first", issuer: FIRST, claim: FIRST_CLAIM },
      { provider: "payload", issuer: SECOND, claim: SECOND_CLAIM },
    ],
    header: { name: "User-Identity", trusted_gateways: [GATEWAY] },
  },
};
const HUMANS = { ...POLICY, identity: { ...POLICY.identity, require_human: true } };

/** How a guard holds a request. */
const FORMS: Readonly<Record<Form, { readonly mode: HeaderMode; readonly configuration: object }>> = {
  release: { mode: "release", configuration: {} },
  hold: { mode: "hold", configuration: {} },
  stream: { mode: "release", configuration: { request_body: "stream" } },
};
type Form = "release" | "hold" | "stream";
const FORM_NAMES: readonly Form[] = ["release", "hold", "stream"];

/** Which guard a request goes to. */
interface Guard {
  readonly form: Form;
  readonly policy: "anybody" | "humans" | "monitor";
  readonly isPlain?: boolean;
}
const nameOf = ({ form, policy, isPlain = false }: Guard): string => `${form} ${policy}${isPlain ? " plain" : ""}`;
const OVER_TLS: readonly Guard[] = [
  ...FORM_NAMES.flatMap((form) => [{ form, policy: "anybody" } as const, { form, policy: "humans" } as const]),
  { form: "release", policy: "monitor" },
];
const OVER_PLAINTEXT: readonly Guard[] = [
  { form: "release", policy: "anybody", isPlain: true },
  { form: "release", policy: "humans", isPlain: true },
];
const GUARDS = [...OVER_TLS, ...OVER_PLAINTEXT];

/** The members about identity of a record. */
interface Recorded extends Who {
  readonly "mcp_guard.identity.headers_rejected"?: number;
}
const RECORDED = /^(user|mcp_guard\.(user|workload|identity))\b/;

const RUNS = drivers.flatMap((driver) => testedVersions().map((version) => ({ driver, version, name: driver.name })));

let authority: Authority;
const certificates = new Map<Client, KeyedCertificate>();
const issuers = new Map<keyof Tokens, Issuer>();

beforeAll(async () => {
  authority = await createAuthority();
  for (const [name, uris] of Object.entries(CLIENTS)) {
    certificates.set(name as Client, await authority.client(...uris));
  }
  issuers.set("first", await createIssuer(FIRST));
  issuers.set("second", await createIssuer(SECOND));
  issuers.set("third", await createIssuer(SECOND.replace("second", "sekond")));
  issuers.set("fourth", await createIssuer(`${SECOND}.evil`));
});

describe.each(RUNS)("Envoy $version by the $name driver", ({ driver, version }) => {
  let rig: Rig;
  /** What the server had of the header when it was looked at, by request. */
  const looked = new Map<string, Fields>();
  const refusedAtOnce: string[] = [];
  let requests = 0;

  beforeAll(async () => {
    const server = await authority.server();
    rig = await startRig({
      driver,
      version,
      guards: GUARDS.map((guard) => {
        const { mode, configuration } = FORMS[guard.form];
        const policy = guard.policy === "anybody" ? POLICY : HUMANS;
        const watches = guard.policy === "monitor" ? { mode: "monitor" } : {};
        return guardIn(mode, { ...policy, ...configuration, ...watches }, { name: nameOf(guard), http1Trailers: true });
      }),
      edit(bootstrap) {
        serveTls(bootstrap, { server, clients: authority, clientCertificate: "optional" }, OVER_TLS.map(nameOf));
        checkTokens(bootstrap, [
          { name: "first", issuer: issuers.get("first")! },
          { name: "second", issuer: issuers.get("second")!, metadataKey: "payload", header: TOKEN_HEADERS.second },
          { name: "third", issuer: issuers.get("third")!, metadataKey: "payload", header: TOKEN_HEADERS.third },
          { name: "fourth", issuer: issuers.get("fourth")!, metadataKey: "payload", header: TOKEN_HEADERS.fourth },
        ]);
        for (const cluster of bootstrap.static_resources.clusters) speakHttp1WithTrailers(cluster);
        namePeer(bootstrap, "%REQ(x-peer)%");
        logAlso(bootstrap, { mcp_audit: "%FILTER_STATE(wasm.mcp_audit:PLAIN)%" });
      },
    });
  });

  afterAll(() => rig?.stop());

  describe.each(PROTOCOLS)("over %s", (protocol) => {
    describe.each(FORM_NAMES)("a guard in the form %s", (form) => {
      test.each(["anybody", "humans"] as const)("headers, for %s", async (policy) => {
        await expectAll(protocol, { form, policy }, HEADERS);
      });

      test.each(["anybody", "humans"] as const)("tokens, for %s", async (policy) => {
        await expectAll(protocol, { form, policy }, TOKENS);
      });
    });

    test.each(OVER_PLAINTEXT)("headers over plaintext, for $policy", async (guard) => {
      await expectAll(protocol, guard, [
        { what: "alone", headers: [user("alice")], who: NOBODY, rejected: 1 },
        {
          what: "with a look-alike",
          headers: [user("alice"), lookAlike("alice")],
          who: NOBODY,
          rejected: 2,
        },
        {
          what: "naming a certificate",
          headers: [user("alice"), ["x-forwarded-client-cert", `Hash=00;URI=${GATEWAY}`]],
          who: NOBODY,
          rejected: 1,
        },
        { what: "none", who: NOBODY },
        {
          what: "with a token",
          tokens: { first: { [FIRST_CLAIM]: "alice" } },
          headers: [user("bob")],
          who: alice,
          rejected: 1,
        },
      ]);
    });

    test.each(OVER_PLAINTEXT)("at a waypoint the peer stands in filter state, for $policy", async (guard) => {
      await expectAll(protocol, guard, [
        { what: "the gateway", waypoint: GATEWAY, ...arriving(user("alice")), who: userOf(GATEWAY, "alice") },
        { what: "a workload", waypoint: AGENT, headers: [user("alice")], who: workload(AGENT), rejected: 1 },
        { what: "the gateway without a header", waypoint: GATEWAY, who: workload(GATEWAY) },
        {
          what: "two, of which the gateway is one",
          waypoint: `${AGENT},${GATEWAY}`,
          headers: [user("alice")],
          who: workload(`${AGENT},${GATEWAY}`),
          rejected: 1,
        },
        {
          what: "the gateway, and a token of another human",
          waypoint: GATEWAY,
          tokens: { first: { [FIRST_CLAIM]: "alice" } },
          headers: [user("bob")],
          who: at(GATEWAY, alice),
          isConflict: true,
        },
      ]);
    });

    test.each(["anybody", "humans"] as const)(
      "a URI in the certificate goes before filter state, for %s",
      async (policy) => {
        const guard = { form: "release", policy } as const;
        const cases: Case[] = [
          { what: "no certificate", ...arriving(user("alice")), who: userOf(GATEWAY, "alice") },
          {
            what: "one without a URI",
            by: "one without a URI",
            ...arriving(user("alice")),
            who: userOf(GATEWAY, "alice"),
          },
          { what: "a workload's", by: "agent", headers: [user("alice")], who: workload(AGENT), rejected: 1 },
          { what: "two URIs", by: "gateway second", headers: [user("alice")], who: workload(AGENT), rejected: 1 },
        ];
        await expectAll(
          protocol,
          guard,
          cases.map((one): Case => ({ ...one, waypoint: GATEWAY })),
        );
        await expectAll(protocol, guard, [
          {
            what: "the gateway's",
            by: "gateway",
            waypoint: AGENT,
            ...arriving(user("alice")),
            who: userOf(GATEWAY, "alice"),
          },
        ]);
      },
    );

    test.each(["one with NUL behind the gateway's name", "one with a name that is too long"] as const)(
      "a URI that cannot be a SPIFFE id goes before filter state too: %s",
      async (by) => {
        const guard = { form: "release", policy: "humans" } as const;
        const what = "the gateway in filter state";
        await expectAll(protocol, guard, [
          { what, by, waypoint: GATEWAY, headers: [user("alice")], who: NOBODY, rejected: 1 },
        ]);
      },
    );

    test.each(FORM_NAMES)("where the policy leaves a path alone, and the form is %s", async (form) => {
      const forged: Fields = [user("alice"), lookAlike("bob")];
      const contradiction = {
        by: "gateway",
        tokens: { first: { [FIRST_CLAIM]: "alice" } },
        ...arriving(user("bob")),
        who: at(GATEWAY, alice),
      } as const;
      const cases: Omit<Case, "path">[] = [
        { what: "nobody's", headers: forged, who: NOBODY, rejected: 2 },
        { what: "another workload's", by: "agent", headers: forged, who: workload(AGENT), rejected: 2 },
        { what: "the gateway's", by: "gateway", ...arriving(user("alice")), who: userOf(GATEWAY, "alice") },
        { what: "a contradiction", ...contradiction },
      ];
      const both = cases.flatMap((one): Case[] => [
        { ...one, path: "/health" },
        { ...one, what: `${one.what}, without a body`, path: "/health", method: "GET" },
      ]);
      await expectAll(protocol, { form, policy: "humans" }, both, () => "allow");
    });

    test("monitor mode lets everything arrive, counts it, and says what it would have done", async () => {
      const guard = { form: "release", policy: "monitor" } as const;
      const all = [...HEADERS, ...TOKENS].filter(({ method }) => method === undefined);
      const ids = await expectAll(
        protocol,
        guard,
        all.map((one) => ({ ...one, arrives: asServerHas(one.headers ?? []) })),
        () => "allow",
      );
      for (const [index, one] of all.entries()) {
        const entry = await logged(rig.envoy, ids[index]!);
        expect([entry.mcp_decision, entry.mcp_reason], one.what).toEqual(wouldBe(one));
      }
    });

    test("an invalid token is Envoy's to refuse, whatever stands beside it", async () => {
      const first = issuers.get("first")!;
      const impostor = await createIssuer(FIRST);
      const stranger = await createIssuer("https://stranger.example");
      const wrong: Readonly<Record<string, string>> = {
        expired: await first.sign({ [FIRST_CLAIM]: "alice", exp: 1 }),
        "another key": await impostor.sign({ [FIRST_CLAIM]: "alice" }),
        "another issuer": await stranger.sign({ [FIRST_CLAIM]: "alice" }),
        "the second issuer": await issuers.get("second")!.sign({ [FIRST_CLAIM]: "alice" }),
        "a number as its subject": await first.sign({ [FIRST_CLAIM]: "alice", sub: 7 }),
        "another issuer in the claims": await first.sign({ iss: SECOND, [FIRST_CLAIM]: "alice" }),
      };
      for (const policy of ["anybody", "humans"] as const) {
        const guard = { form: "hold", policy } as const;
        const before = await rejectedSoFar();
        for (const [what, token] of Object.entries(wrong)) {
          const headers: Fields = [["authorization", `Bearer ${token}`], user("alice")];
          const { id, answer } = await send(protocol, guard, { by: "gateway", headers });
          expect(answer?.status, what).toBe(401);
          expect(await logged(rig.envoy, id), what).toMatchObject({
            response_code_details: expect.stringMatching(/^jwt_authn_access_denied/),
          });
          const record = await recordOf(id);
          expect([record["mcp_guard.decision"], onlyIdentity(record)], what).toEqual(["none", {}]);
          refusedAtOnce.push(id);
        }
        // The guard has not seen their headers.
        expect(await rejectedSoFar()).toBe(before);
      }
    });

    test("bytes that no header may have: Envoy refuses the request, or the server has what the record says", async () => {
      const guard = { form: "release", policy: "anybody" } as const;
      const bytes = [...Array.from({ length: 0x20 }, (_, byte) => byte), 0x7f, 0x80, 0xbf, 0xc0, 0xff];
      const headers: Fields[] = [
        ...bytes.map((byte): Fields => [user(`al${String.fromCharCode(byte)}ice`)]),
        [user("alice\r\n bob")],
        [user("alice\nuser_identity: bob")],
        [user("\talice")],
        [["user-identity ", "alice"]],
        [["user-identity\t", "alice"]],
        [["user-identity\0", "alice"]],
        [["user-identity:", "alice"]],
      ];
      const before = await rejectedSoFar();
      const counts = await Promise.all(
        headers.flatMap((fields) =>
          (["gateway", "agent"] as const).map(async (by) => {
            const { id, answer } = await send(protocol, guard, { by, headers: fields });
            return answer?.status === 200 ? await expectAsRecorded(id, by, JSON.stringify(fields)) : 0;
          }),
        ),
      );
      const rejected = counts.reduce((sum, count) => sum + count, 0);
      expect((await rejectedSoFar()) - before).toBe(rejected);
      // Of each of the two at least the tabulator inside, and what is no UTF-8.
      expect(rejected).toBeGreaterThanOrEqual(10);
    });

    // On HTTP/1.1 spaces around a value are no part of it (RFC 9112 section 5.1): the one protocol would turn " admin" into "admin".
    test("with spaces around it the server has what the record says", async () => {
      const guard = { form: "release", policy: "anybody" } as const;
      for (const value of [" alice", "alice ", " "]) {
        const { id, answer } = await send(protocol, guard, { by: "gateway", headers: [user(value)] });
        expect(answer?.status).toBe(200);
        await expectAsRecorded(id, "gateway", JSON.stringify(value));
      }
    });

    // RFC 9110 section 6.5.1 has no recipient merge trailers into the headers, and some did (Apache httpd, CVE-2013-5704).
    test.each(FORM_NAMES)("in trailers it does not arrive either, and the form is %s", async (form) => {
      const trailers: Fields = [user("alice"), lookAlike("alice"), ["x-checksum", "0"]];
      for (const path of ["/mcp", "/health"]) {
        const { id, answer } = await send(protocol, { form, policy: "anybody" }, { by: "agent", path, trailers });
        expect(answer?.status).toBe(200);
        expect(rig.origin.arrivals(id).map((arrival) => arrival.trailers)).toEqual([{ "x-checksum": "0" }]);
      }
    });

    test("a gateway's connection carries many people, and none becomes another one", async () => {
      const people = Array.from({ length: 12 }, (_, index) => `person-${index}`);
      const connection = await rig.connect(protocol, nameOf({ form: "release", policy: "humans" }), tlsOf("gateway"));
      const body = Buffer.from(toolCall("echo"));
      // HTTP/2: all are open before the first body comes. HTTP/1.1: one after the other.
      const open = (person: string, index: number) => {
        const id = `people.${requests++}`;
        // Every third one says nothing of whom it is for.
        const headers = index % 3 === 2 ? [] : [user(person)];
        const head = { method: "POST", path: "/mcp", framing: "length", bodyBytes: body.length } as const;
        return {
          id,
          headers,
          request: connection.open({ ...head, headers: [...JSON_FIELDS, ...named(id), ...headers] }),
        };
      };
      const opened: ReturnType<typeof open>[] = [];
      for (const [index, person] of people.entries()) {
        const one = open(person, index);
        opened.push(one);
        if (protocol === "h2") continue;
        one.request.end(body);
        await one.request.answer;
      }
      if (protocol === "h2") for (const { request } of opened.toReversed()) request.end(body);
      for (const [index, { id, headers, request }] of opened.entries()) {
        const answer = await request.answer;
        const [header] = headers;
        expect(verdictOf(rig.origin, id, "release", body, answer)).toBe(
          header === undefined ? "refuse 200 human_required" : "allow",
        );
        expect(arrived(id)).toEqual(headers);
        expect(await identityOf(id)).toEqual(
          header === undefined ? workload(GATEWAY) : userOf(GATEWAY, people[index]!),
        );
      }
      connection.close();
    });
  });

  test("nothing came to the server later, and of what was refused at once nothing at all", () => {
    expect(refusedAtOnce.filter((id) => rig.origin.arrivals(id).length > 0)).toEqual([]);
    const wrong = [...looked].filter(([id, fields]) => JSON.stringify(identityFields(id)) !== JSON.stringify(fields));
    expect(wrong).toEqual([]);
  });

  test("the records of all guards are whole chains", async () => {
    const lines = rig.envoy.accessLog().map((entry) => JSON.stringify(entry));
    const faults: unknown[] = [];
    const log = { name: "access.log", open: () => chunks(`${lines.join("\n")}\n`) };
    const found = await verifyTrail([log], {
      member: "mcp_audit",
      fromStart: true,
      onFault: (fault) => faults.push(fault),
    });
    expect(faults).toEqual([]);
    expect(found.lines).toMatchObject({ unreadable: 0, guardAbsent: 0 });
    expect(found.lines.records).toBeGreaterThanOrEqual(looked.size);
    // Envoy has one guard for two listeners with one configuration.
    expect(found.chains.length).toBe(OVER_TLS.length);
  });

  /** Sends these requests at once, and expects of each what it says. Their ids, in order. */
  async function expectAll(
    protocol: Protocol,
    guard: Guard,
    cases: readonly Case[],
    verdict: (one: Case) => string = (one) => verdictFor(one, guard),
  ): Promise<string[]> {
    const before = await rejectedSoFar();
    const sent = await Promise.all(
      cases.map(async (one) => {
        const { id, body, answer } = await send(protocol, guard, one);
        const expected = verdict(one);
        // What is refused for a contradiction the server has not seen at all, whatever the guard holds.
        const isAtOnce = expected.startsWith("refuse 403");
        if (isAtOnce) refusedAtOnce.push(id);
        const got = verdictIn(isAtOnce ? "hold" : guard.form, id, body, answer);
        const who = await identityOf(id);
        return { one, id, outcome: { verdict: got, server: arrived(id), who } };
      }),
    );
    const outcomes = Object.fromEntries(sent.map(({ one, outcome }) => [one.what, outcome]));
    const expected = cases.map((one) => {
      const its = verdict(one);
      return [one.what, { verdict: its, server: its === "allow" ? (one.arrives ?? []) : [], who: recorded(one) }];
    });
    expect(outcomes).toEqual(Object.fromEntries(expected));
    const rejected = cases.reduce((sum, one) => sum + (one.rejected ?? 0), 0);
    expect((await rejectedSoFar()) - before).toBe(rejected);
    return sent.map(({ id }) => id);
  }

  /** One request on a connection of its own: a call of a tool in two pieces, unless it has another method. */
  async function send(
    protocol: Protocol,
    guard: Guard,
    one: Partial<Omit<Case, "what" | "who">> & { readonly trailers?: Fields },
  ): Promise<{ id: string; body: Buffer; answer: Answer | undefined }> {
    const id = `identity.${requests++}`;
    const { method = "POST", path = "/mcp", headers = [] } = one;
    const isCall = method === "POST";
    const body = Buffer.from(isCall ? toolCall("echo") : "");
    const tokens = await Promise.all(Object.entries(one.tokens ?? {}).map(([name, claims]) => signed(name, claims)));
    const connection = await rig.connect(protocol, nameOf(guard), guard.isPlain ? undefined : tlsOf(one.by));
    try {
      const request = connection.open({
        method,
        path,
        headers: [
          ...(isCall ? JSON_FIELDS : []),
          ...named(id),
          ...(one.waypoint === undefined ? [] : [["x-peer", one.waypoint] as const]),
          ...tokens,
          ...headers,
        ],
        framing: !isCall ? "none" : one.trailers === undefined ? "length" : "chunked",
        bodyBytes: body.length,
      });
      if (isCall)
        await sendPieces(request, inPieces(body, Math.ceil(body.length / 2)), { pauseMs: 1, trailers: one.trailers });
      return { id, body, answer: await request.answer };
    } finally {
      connection.close();
    }
  }

  /** Expects that the server has the one header that the record names, or none. The count of those that were taken out. */
  async function expectAsRecorded(id: string, by: "gateway" | "agent", what: string): Promise<number> {
    const { "user.id": name = "", "mcp_guard.user.source": source, ...rest } = await identityOf(id);
    const has = source === "header" ? [user(onWire(name))] : [];
    expect(arrived(id), what).toEqual(has);
    const rejected = rest["mcp_guard.identity.headers_rejected"] ?? 0;
    expect([source, rejected > 0], what).toEqual(
      has.length > 0 && by === "gateway" ? ["header", false] : ["peer", true],
    );
    return rejected;
  }

  /** What the record of a request says of who asked. */
  async function identityOf(id: string): Promise<Recorded> {
    const record = await recordOf(id);
    expect(record["http.request.id"]).toBe(id);
    return onlyIdentity(record);
  }

  async function recordOf(id: string): Promise<Readonly<Record<string, unknown>>> {
    const { mcp_audit: text } = await logged(rig.envoy, id);
    return JSON.parse(String(text)) as Record<string, unknown>;
  }

  /** Like `verdictOf`. Of a refused body that flows the server may have the beginning, but nothing that it could read as a JSON text. */
  function verdictIn(form: Form, id: string, body: Buffer, answer: Answer | undefined): string {
    const verdict = verdictOf(rig.origin, id, FORMS[form].mode, body, answer);
    if (form !== "stream" || verdict === "allow" || answer === undefined || answer.isCut) return verdict;
    const reason = reasonOf(answer);
    const isSeen = rig.origin.arrivals(id).some(({ state, body: seen }) => state === "complete" || hasText(seen()));
    return reason === undefined || isSeen ? verdict : `refuse ${answer.status} ${reason}`;
  }

  /** What of a request's headers a server could take for the identity header. */
  function identityFields(id: string): Fields {
    const fields = rig.origin.arrivals(id).flatMap((arrival) => arrival.fields);
    return fields.filter(([name]) => name.toLowerCase().replace(/[^a-z]/g, "-") === "user-identity");
  }

  /** The same, remembered, so that what comes later is found as well. */
  function arrived(id: string): Fields {
    const fields = identityFields(id);
    looked.set(id, fields);
    return fields;
  }

  /** How many headers the guards have counted as such that do not count. */
  async function rejectedSoFar(): Promise<number> {
    const stats = await rig.envoy.stats(`^wasmcustom\\.${REJECTED}$`);
    return [...stats.values()].reduce((sum, value) => sum + value, 0);
  }
});

function verdictFor(one: Case, { policy }: Guard): string {
  if (one.isConflict) return "refuse 403 identity_conflict";
  return policy === "humans" && asksForHuman(one) ? "refuse 200 human_required" : "allow";
}

function asksForHuman({ who, method }: Case): boolean {
  const { "mcp_guard.user.source": source } = who;
  return method === undefined && source !== "jwt" && source !== "header";
}

/** What monitor mode says of a call. */
function wouldBe(one: Case): readonly [decision: string, reason: string | null] {
  if (one.isConflict) return ["would_refuse", "identity_conflict"];
  return asksForHuman(one) ? ["would_refuse", "human_required"] : ["allow", null];
}

/** What a record has to say. */
function recorded({ who, rejected = 0 }: Case): Recorded {
  return { ...who, ...(rejected !== 0 && { "mcp_guard.identity.headers_rejected": rejected }) };
}

function onlyIdentity(record: Readonly<Record<string, unknown>>): Recorded {
  return Object.fromEntries(Object.entries(record).filter(([name]) => RECORDED.test(name)));
}

/** Envoy has names in lower case. */
function asServerHas(headers: Fields): Fields {
  return headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name.replace("_", "-") === "user-identity");
}

function tlsOf(by: Client | undefined) {
  const own = by && certificates.get(by);
  return { authority: authority.certificate, ...(own && { own }) };
}

async function signed(name: string, claims: Readonly<Record<string, unknown>>): Promise<Fields[number]> {
  const token = await issuers.get(name as keyof Tokens)!.sign(claims);
  return [TOKEN_HEADERS[name as keyof Tokens], name === "first" ? `Bearer ${token}` : token];
}

async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
