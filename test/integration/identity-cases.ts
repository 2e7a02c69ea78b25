// Requests that say who asks, and what has to come of each: whom the record names, and what the server may have of the header.
import type { Fields } from "./wire.ts";

const TRUST_DOMAIN = "spiffe://cluster.local";
export const GATEWAY = `${TRUST_DOMAIN}/ns/gateway/sa/ai-gateway`;
export const AGENT = `${TRUST_DOMAIN}/ns/agents/sa/planner`;
export const FIRST = "https://first.example";
export const SECOND = "https://second.example";
/** Claims that can hold anything; of `sub` Envoy itself demands a string. */
export const FIRST_CLAIM = "email";
/** As issuers name claims of their own. */
export const SECOND_CLAIM = `${SECOND}/user`;

/** The URIs of the clients' certificates, in order. */
export const CLIENTS = {
  gateway: [GATEWAY],
  agent: [AGENT],
  "one named like the gateway": [`${GATEWAY}-2`],
  "one whose name the gateway's begins with": [GATEWAY.slice(0, -1)],
  "the gateway in another letter case": [GATEWAY.replace("spiffe", "SPIFFE")],
  "one with NUL behind the gateway's name": [`${GATEWAY}\0.evil`],
  "gateway first": [GATEWAY, AGENT],
  "gateway second": [AGENT, GATEWAY],
  "one with a name that is too long": [`${GATEWAY}/${"a".repeat(512)}`],
  "one without a URI": [],
} as const;
export type Client = keyof typeof CLIENTS;

/** A token as its claims; `iss` and the times are added. */
export interface Tokens {
  readonly first?: Readonly<Record<string, unknown>>;
  readonly second?: Readonly<Record<string, unknown>>;
  /** Of issuers that the policy does not name. They are kept under the same name as the second's, as Istio keeps all. */
  readonly third?: Readonly<Record<string, unknown>>;
  readonly fourth?: Readonly<Record<string, unknown>>;
}
export const TOKEN_HEADERS = {
  first: "authorization",
  second: "x-second-token",
  third: "x-third-token",
  fourth: "x-fourth-token",
} as const;

/** One request, and what has to come of it. */
export interface Case {
  /** Tells it from the others of its table. */
  readonly what: string;
  /** Default: a client without a certificate. */
  readonly by?: Client;
  /** The peer that Istio would have put into filter state. */
  readonly waypoint?: string;
  readonly tokens?: Tokens;
  readonly headers?: Fields;
  readonly method?: "GET" | "DELETE";
  readonly path?: string;
  /** What the record says of the principal. */
  readonly who: Who;
  /** Identity headers that do not count. */
  readonly rejected?: number;
  /** Those that the server gets when the request passes. */
  readonly arrives?: Fields;
  readonly isConflict?: boolean;
}

/** The members of a record about the principal. */
export interface Who {
  readonly "user.id"?: string;
  readonly "mcp_guard.user.issuer"?: string;
  readonly "mcp_guard.user.source"?: "jwt" | "header" | "peer";
  readonly "mcp_guard.user.act"?: readonly string[];
  readonly "mcp_guard.workload"?: string;
}

export const NOBODY: Who = {};
export const user = (value: string): Fields[number] => ["user-identity", value];
export const lookAlike = (value: string): Fields[number] => ["user_identity", value];
/** As the network has it: one character per byte. */
export const onWire = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
/** A workload speaks for itself. */
export const workload = (uri: string): Who => ({
  "user.id": uri,
  "mcp_guard.user.issuer": uri.slice(0, TRUST_DOMAIN.length),
  "mcp_guard.user.source": "peer",
  "mcp_guard.workload": uri,
});
/** A gateway speaks for a human. */
export const userOf = (gateway: string, id: string): Who => ({
  "user.id": id,
  "mcp_guard.user.issuer": gateway,
  "mcp_guard.user.source": "header",
  "mcp_guard.workload": gateway,
});
/** A token names a human. */
const bearer = (issuer: string, id: string): Who => ({
  "user.id": id,
  "mcp_guard.user.issuer": issuer,
  "mcp_guard.user.source": "jwt",
});
export const alice = bearer(FIRST, "alice");
/** The same over a connection of the gateway or of another workload. */
export const at = (peer: string, who: Who): Who => ({ ...who, "mcp_guard.workload": peer });
/** Headers that the server gets as they are. */
export const arriving = (...headers: Fields) => ({ headers, arrives: headers });

const LONGEST = "a".repeat(256);
const SCRIPTS = "Ünal 検索 🔍";

/** Headers over TLS. */
export const HEADERS: readonly Case[] = [
  { what: "the gateway's", by: "gateway", ...arriving(user("alice")), who: userOf(GATEWAY, "alice") },
  {
    what: "the gateway's, in another letter case",
    by: "gateway",
    headers: [["USER-Identity", "alice"]],
    arrives: [user("alice")],
    who: userOf(GATEWAY, "alice"),
  },
  { what: "the gateway's, the longest", by: "gateway", ...arriving(user(LONGEST)), who: userOf(GATEWAY, LONGEST) },
  {
    what: "the gateway's, in other scripts",
    by: "gateway",
    ...arriving(user(onWire(SCRIPTS))),
    who: userOf(GATEWAY, SCRIPTS),
  },
  {
    what: "of a gateway with a second URI",
    by: "gateway first",
    ...arriving(user("alice")),
    who: userOf(GATEWAY, "alice"),
  },
  { what: "none of the gateway's", by: "gateway", who: workload(GATEWAY) },
  { what: "none of anybody", who: NOBODY },
  ...(
    [
      ["of another workload", "agent", workload(AGENT)],
      ["of a workload whose second URI is the gateway's", "gateway second", workload(AGENT)],
      ["of one named like the gateway", "one named like the gateway", workload(`${GATEWAY}-2`)],
      [
        "of one whose name the gateway's begins with",
        "one whose name the gateway's begins with",
        workload(GATEWAY.slice(0, -1)),
      ],
      [
        "of the gateway in another letter case",
        "the gateway in another letter case",
        workload(GATEWAY.replace("spiffe", "SPIFFE")),
      ],
      ["of one with NUL behind the gateway's name", "one with NUL behind the gateway's name", NOBODY],
      ["of one with a name that is too long", "one with a name that is too long", NOBODY],
      ["of a certificate without a URI", "one without a URI", NOBODY],
    ] as const
  ).map(([what, by, who]): Case => ({ what, by, headers: [user("alice")], who, rejected: 1 })),
  { what: "without a certificate", headers: [user("alice")], who: NOBODY, rejected: 1 },
  {
    what: "without a certificate, naming one",
    headers: [user("alice"), ["x-forwarded-client-cert", `Hash=00;URI=${GATEWAY}`]],
    who: NOBODY,
    rejected: 1,
  },
  ...(
    [
      ["twice the same", [user("alice"), user("alice")]],
      ["two different ones", [user("alice"), user("bob")]],
      ["a look-alike", [lookAlike("alice")]],
      ["a look-alike in another letter case", [["User_Identity", "alice"]]],
      ["two look-alikes", [lookAlike("alice"), lookAlike("bob")]],
      ["in front of a look-alike", [user("alice"), lookAlike("bob")]],
      ["behind a look-alike", [lookAlike("alice"), user("alice")]],
      ["an empty one", [user("")]],
      ["one with a tabulator", [user("al\tice")]],
      ["one with a C1 control", [user(onWire("alice\u0085bob"))]],
      ["one in broken UTF-8", [user("alice\u00c3")]],
      ["one in overlong UTF-8", [user("\u00c1\u00a1lice")]],
      ["one with a surrogate", [user("\u00ed\u00a0\u0080alice")]],
      ["one that is too long", [user("a".repeat(257))]],
    ] as const
  ).map(
    ([what, headers]): Case => ({
      what: `of the gateway, ${what}`,
      by: "gateway",
      headers,
      who: workload(GATEWAY),
      rejected: headers.length,
    }),
  ),
  {
    what: "of another workload, beside a look-alike",
    by: "agent",
    headers: [user("alice"), lookAlike("alice")],
    who: workload(AGENT),
    rejected: 2,
  },
  {
    what: "of another workload, in a request without a body",
    by: "agent",
    method: "DELETE",
    headers: [user("alice"), lookAlike("alice")],
    who: workload(AGENT),
    rejected: 2,
  },
];

/** As many as a record names. */
const ACTORS = ["agent-1", "agent-2", "agent-3", "agent-4"];
/** The claim `act` for a chain of actors, the nearest first (RFC 8693 section 4.1). */
const actClaim = (actors: readonly unknown[]): object | undefined =>
  actors.reduceRight<object | undefined>((act, sub) => ({ sub, ...(act && { act }) }), undefined);

/** Tokens, and headers beside them, over TLS. */
export const TOKENS: readonly Case[] = [
  { what: "a token", tokens: { first: { [FIRST_CLAIM]: "alice" } }, who: alice },
  {
    what: "a token over a workload's connection",
    by: "agent",
    tokens: { first: { [FIRST_CLAIM]: "alice" } },
    who: at(AGENT, alice),
  },
  {
    what: "a token of the second issuer",
    tokens: { second: { [SECOND_CLAIM]: "bob@x" } },
    who: bearer(SECOND, "bob@x"),
  },
  {
    what: "a token with the longest claim",
    tokens: { first: { [FIRST_CLAIM]: LONGEST } },
    who: bearer(FIRST, LONGEST),
  },
  {
    what: "a token with a claim in other scripts",
    tokens: { first: { [FIRST_CLAIM]: SCRIPTS } },
    who: bearer(FIRST, SCRIPTS),
  },
  ...(
    [
      ["no claim", {}],
      ["the other issuer's claim", { [SECOND_CLAIM]: "alice" }],
      ["another claim", { sub: "alice" }],
      ["an empty claim", { [FIRST_CLAIM]: "" }],
      ["a claim that is too long", { [FIRST_CLAIM]: "a".repeat(257) }],
      ["a claim with a control", { [FIRST_CLAIM]: "ali\nce" }],
      ["a claim with NUL", { [FIRST_CLAIM]: "alice\0" }],
      ["an integer as claim", { [FIRST_CLAIM]: 1234 }],
      ["a fraction as claim", { [FIRST_CLAIM]: 0.5 }],
      ["true as claim", { [FIRST_CLAIM]: true }],
      ["false as claim", { [FIRST_CLAIM]: false }],
      ["null as claim", { [FIRST_CLAIM]: null }],
      ["a list as claim", { [FIRST_CLAIM]: ["alice"] }],
      ["an object as claim", { [FIRST_CLAIM]: { sub: "alice" } }],
    ] as const
  ).map(([what, first]): Case => ({ what: `a token with ${what}`, tokens: { first }, who: NOBODY })),
  {
    what: "a token that names nobody, of a workload",
    by: "agent",
    tokens: { first: { [FIRST_CLAIM]: 7 } },
    who: workload(AGENT),
  },
  {
    what: "a token that names nobody, with the gateway's header",
    by: "gateway",
    tokens: { first: { [FIRST_CLAIM]: 7 } },
    ...arriving(user("bob")),
    who: userOf(GATEWAY, "bob"),
  },
  ...(["third", "fourth"] as const).map(
    (issuer): Case => ({
      what: `a token of the ${issuer} issuer, which the policy does not name`,
      tokens: { [issuer]: { [SECOND_CLAIM]: "bob@x", sub: "bob" } },
      who: NOBODY,
    }),
  ),
  {
    what: "a token of each issuer, the first with a number",
    tokens: { first: { [FIRST_CLAIM]: 7 }, second: { [SECOND_CLAIM]: "bob@x" } },
    who: bearer(SECOND, "bob@x"),
  },
  {
    what: "a token of each issuer, the second silent",
    tokens: { first: { [FIRST_CLAIM]: "alice" }, second: {} },
    who: alice,
  },
  {
    what: "a token with actors",
    tokens: { first: { [FIRST_CLAIM]: "alice", act: actClaim(["agent-1", "agent-2"]) } },
    who: { ...alice, "mcp_guard.user.act": ["agent-1", "agent-2"] },
  },
  {
    what: "a token with too many actors",
    tokens: { second: { [SECOND_CLAIM]: "bob@x", act: actClaim([...ACTORS, "agent-5"]) } },
    who: { ...bearer(SECOND, "bob@x"), "mcp_guard.user.act": ACTORS },
  },
  {
    what: "a token with an actor that is none",
    tokens: { first: { [FIRST_CLAIM]: "alice", act: actClaim(["agent-1", 2, "agent-3"]) } },
    who: { ...alice, "mcp_guard.user.act": ["agent-1"] },
  },
  { what: "a token whose actor is a text", tokens: { first: { [FIRST_CLAIM]: "alice", act: "agent-1" } }, who: alice },
  {
    what: "a token and the same name in the gateway's header",
    by: "gateway",
    tokens: { first: { [FIRST_CLAIM]: SCRIPTS } },
    ...arriving(user(onWire(SCRIPTS))),
    who: at(GATEWAY, bearer(FIRST, SCRIPTS)),
  },
  {
    what: "a token and the header of another workload",
    by: "agent",
    tokens: { first: { [FIRST_CLAIM]: "alice" } },
    headers: [user("bob")],
    who: at(AGENT, alice),
    rejected: 1,
  },
  {
    what: "a token and the gateway's header twice",
    by: "gateway",
    tokens: { first: { [FIRST_CLAIM]: "alice" } },
    headers: [user("alice"), user("bob")],
    who: at(GATEWAY, alice),
    rejected: 2,
  },
  ...["bob", "Alice", "alice.", "alic"].map(
    (other): Case => ({
      what: `a token of alice, and ${other} in the gateway's header`,
      by: "gateway",
      tokens: { first: { [FIRST_CLAIM]: "alice" } },
      headers: [user(other)],
      who: at(GATEWAY, alice),
      isConflict: true,
    }),
  ),
  {
    what: "tokens and header that contradict each other, without a body",
    by: "gateway",
    method: "DELETE",
    tokens: { second: { [SECOND_CLAIM]: "alice" } },
    headers: [user("bob")],
    who: at(GATEWAY, bearer(SECOND, "alice")),
    isConflict: true,
  },
  ...(
    [
      ["two people", { [SECOND_CLAIM]: "bob" }],
      ["one name at two issuers", { [SECOND_CLAIM]: "alice" }],
      ["somebody and a number", { [SECOND_CLAIM]: 7 }],
      ["somebody and a list", { [SECOND_CLAIM]: ["alice"] }],
    ] as const
  ).map(
    ([what, second]): Case => ({
      what: `two tokens, of ${what}`,
      tokens: { first: { [FIRST_CLAIM]: "alice" }, second },
      who: alice,
      isConflict: true,
    }),
  ),
];
