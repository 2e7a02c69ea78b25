// What identities may beside what everybody may (`rules`). Goal: a rule counts for those whom all of its selectors match and for nobody else, one and
// the same for calls and for lists; it takes nothing from anybody; a claim counts as what it is, in a token that names the principal. Method: for each
// question a call is sent and a list goes through the guard, and both must give one answer.

import { describe, expect, test } from "vitest";
import type { HeaderPair, PropertyValue } from "../../src/host/index.ts";
import { APPROVAL, claimed, opened, replyOf } from "./approval-calls.ts";
import { startAgain } from "./configured-again.ts";
import {
  answer,
  exchange,
  type Guard,
  JSON_HEADERS,
  MODERN_META,
  modernHeaders,
  open,
  post,
  send,
  startGuard,
  toolCall,
  verdict,
} from "./guard.ts";

const ISSUER = "https://idp.example";
const PARTNER = "https://partner.example";
const GATEWAY = "spiffe://td.example/ns/gateway/sa/ai-gateway";
const AGENT = "spiffe://td.example/ns/agents/sa/one";
const PEER = "connection.uri_san_peer_certificate";
const WAYPOINT = "filter_state.io.istio.peer_principal";

const IDENTITY = {
  jwt: [
    { provider: "people", issuer: ISSUER, claim: "sub" },
    { provider: "devices", issuer: ISSUER, claim: "user" },
    { provider: "partners", issuer: PARTNER, claim: "email" },
  ],
  header: { name: "User-Identity", trusted_gateways: [GATEWAY] },
};

interface Who {
  readonly properties?: Readonly<Record<string, PropertyValue>>;
  readonly headers?: readonly HeaderPair[];
}

/** What jwt_authn keeps of a token under the name of a provider. */
function token(claims: Record<string, PropertyValue>, provider = "people", iss = ISSUER): Who {
  const at = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${provider}`;
  const all = Object.entries({ iss, ...claims });
  return { properties: Object.fromEntries(all.map(([name, value]) => [`${at}.${name}`, value])) };
}

function both(...all: readonly Who[]): Who {
  return {
    properties: Object.assign({}, ...all.map(({ properties }) => properties)),
    headers: all.flatMap(({ headers = [] }) => headers),
  };
}

const NOBODY: Who = {};
const ALICE = token({ sub: "alice" });
const BOB = token({ sub: "bob" });
const peer = (id: string): Who => ({ properties: { [PEER]: id } });
const user = (name: string): Who => both(peer(GATEWAY), { headers: [["user-identity", name]] });
const principal = (value: string, issuer = ISSUER) => ({ issuer, value });
const group = (value: string, claim = "groups", issuer = ISSUER) => ({ issuer, claim, value });

function start(rules: readonly object[], rest: object = {}): Guard {
  return startGuard({ tool_allowlist: ["safe"], identity: IDENTITY, rules, ...rest });
}

function delivery(who: Who, body: string, headers: readonly HeaderPair[] = JSON_HEADERS) {
  return { body, headers: [...headers, ...(who.headers ?? [])], stream: { properties: { ...who.properties } } };
}

const request = (method: string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });

/** What the one who asks gets of a server's answer to a request that passes. */
function answered(guard: Guard, who: Who, method: string, result: object, params: object = {}): unknown {
  const stream = send(guard.plugin, delivery(who, request(method, params)));
  expect(stream.localReply).toBeUndefined();
  stream.responseHeaders({ ":status": "200", "content-type": "application/json" }, false);
  stream.responseBody(JSON.stringify({ jsonrpc: "2.0", id: 1, result }), true);
  return JSON.parse(stream.downstream.body().toString("utf8"));
}

function listed(guard: Guard, who: Who, names: readonly string[], list: "tools" | "prompts" = "tools"): string[] {
  const all = names.map((name) => ({ name }));
  const got = answered(guard, who, `${list}/list`, { [list]: all }) as { result: Record<string, { name: string }[]> };
  return (got.result[list] ?? []).map(({ name }) => name);
}

/** Whether somebody may call a tool, and sees it: both must be one. */
function may(guard: Guard, who: Who, tool: string): boolean {
  const said = post(guard.plugin, delivery(who, toolCall(tool)));
  expect(["allow", "refuse tool_not_listed 200"]).toContain(said);
  expect(listed(guard, who, [tool])).toEqual(said === "allow" ? [tool] : []);
  return said === "allow";
}

/** What a rule about one tool needs to say to be about these. */
function mayBy(selectors: object, who: Who): boolean {
  const guard = start([{ ...selectors, tool_allowlist: ["push"] }]);
  // Whatever becomes of the rule, what everybody has stays.
  expect(may(guard, who, "safe")).toBe(true);
  expect(may(guard, who, "other")).toBe(false);
  return may(guard, who, "push");
}

describe("principals", () => {
  test.each([
    ["the issuer and the value of a token", principal("alice"), ALICE],
    ["of another entry", principal("bob@x", PARTNER), token({ email: "bob@x" }, "partners", PARTNER)],
    ["a gateway's header, whose issuer is the gateway", principal("carol", GATEWAY), user("carol")],
    ["a peer, whose issuer is its trust domain", principal(AGENT, "spiffe://td.example"), peer(AGENT)],
    ["a text of other scripts", principal("Ünal 検索"), token({ sub: "Ünal 検索" })],
    ["the longest", principal("a".repeat(256)), token({ sub: "a".repeat(256) })],
  ])("%s", (_what, one, who) => {
    expect(mayBy({ principals: [one] }, who)).toBe(true);
    expect(mayBy({ principals: [principal("zed"), one] }, who)).toBe(true);
  });

  test.each([
    ["nobody", NOBODY],
    ["another value", BOB],
    ["a value that begins alike", token({ sub: "alice2" })],
    ["a value that ends earlier", token({ sub: "alic" })],
    ["the value in another letter case", token({ sub: "Alice" })],
    ["the value by another issuer", token({ email: "alice" }, "partners", PARTNER)],
    ["the value in a gateway's header", user("alice")],
    ["a header that does not count", both(peer(AGENT), { headers: [["user-identity", "alice"]] })],
    ["a token of an issuer that nobody knows", token({ sub: "alice" }, "people", `${ISSUER}.evil`)],
    ["a token whose claim is a list", token({ sub: ["alice"] })],
    ["the issuer's last bytes in the value", token({ sub: "ealice" })],
  ])("are not %s", (_what, who) => {
    expect(mayBy({ principals: [principal("alice")] }, who)).toBe(false);
  });

  test("are pairs: bytes of the issuer are none of the value", () => {
    expect(mayBy({ principals: [principal("ealice", ISSUER.slice(0, -1))] }, ALICE)).toBe(false);
  });

  test("two names for one request are refused, whatever either may", () => {
    const { plugin } = start([{ principals: [principal("alice")], tool_allowlist: ["push"] }]);
    const who = both(ALICE, user("bob"));
    expect(post(plugin, delivery(who, toolCall("push")))).toBe("refuse identity_conflict 403");
    // Where nothing is refused, no rule counts for them either.
    const watching = start([{ principals: [principal("alice")], tool_allowlist: ["push"] }], { mode: "monitor" });
    const record = (one: Who) =>
      exchange(watching.plugin, delivery(one, toolCall("push"))).filterState.get("mcp_audit");
    expect([record(ALICE), record(who)].map((text) => text?.includes('"mcp_guard.rules":[0]'))).toEqual([true, false]);
    // The value counts with its issuer: the header that agrees changes nothing.
    expect(post(plugin, delivery(both(ALICE, user("alice")), toolCall("push")))).toBe("allow");
  });
});

describe("groups", () => {
  const admins = { groups: [group("admins")] };

  test.each<[string, PropertyValue]>([
    ["a text", "admins"],
    ["a list of one", ["admins"]],
    ["the first of a list", ["admins", "staff"]],
    ["the last of a list", ["staff", "ops", "admins"]],
    ["a list of the longest length", [...Array.from({ length: 1023 }, (_, i) => `g${i}`), "admins"]],
    ["beside an element that is too long for a rule", ["a".repeat(513), "admins"]],
  ])("%s", (_what, groups) => {
    expect(mayBy(admins, token({ sub: "alice", groups }))).toBe(true);
  });

  test.each<[string, PropertyValue]>([
    ["another text", "staff"],
    ["a text that begins alike", "admins2"],
    ["a text with the value in it", "staff admins"],
    ["an empty list", []],
    ["a list of others", ["staff", "admin", "adminss"]],
    ["a number", 7n],
    ["a truth value", true],
    ["an object with the value as a name", { admins: "x" }],
    ["an object with the value as a name and nothing in it", { admins: "" }],
    ["an object with an empty first element beside it", { "0": "", admins: "" }],
    ["an object with the value in its first place", { "0": "admins" }],
    ["a list with a number", ["admins", 7n]],
    ["a list with a truth value", [true, "admins"]],
    ["a list with a list", ["admins", ["x"]]],
    ["a list in a list", [["admins"]]],
    ["a list with an object", [{ a: "b" }, "admins"]],
    ["a list with an empty text in front", ["", "admins"]],
    ["a list with an empty text behind", ["admins", ""]],
    ["a list with a control", ["admins", "a\nb"]],
    ["a list with NUL", ["admins\u0000"]],
    ["a list with one element too many", [...Array.from({ length: 1024 }, (_, i) => `g${i}`), "admins"]],
    ["a text with a control", "admins\u0000"],
  ])("are not %s", (_what, groups) => {
    expect(mayBy(admins, token({ sub: "alice", groups }))).toBe(false);
  });

  test("a text that has the bytes of a list is a text, and a list never is one", () => {
    const asList = "\u0001\u0000\u0000\u0000\u0006\u0000\u0000\u0000\u0000\u0000\u0000\u0000admins\u0000\u0000";
    expect(mayBy(admins, token({ sub: "alice", groups: asList }))).toBe(false);
    expect(mayBy(admins, token({ sub: "alice", groups: Buffer.from(asList) }))).toBe(false);
  });

  // Count, sizes, and texts with NUL behind each. The host says that there is an element 0; what it gives of that has landed in the same place.
  const SIX = [6, 0, 0, 0, 0, 0, 0, 0];
  const TEXT = [...Buffer.from("admins"), 0, 0];
  const RIGHT = [1, 0, 0, 0, ...SIX, ...TEXT];
  test.each<[string, number[], number[]?]>([
    ["nothing", []],
    ["three bytes", [1, 0, 0]],
    ["a count alone", [1, 0, 0, 0]],
    ["half of the sizes", [1, 0, 0, 0, 6, 0, 0, 0]],
    [
      "sizes of which the last lies behind the end",
      [2, 0, 0, 0, ...SIX],
      [2, 0, 0, 0, ...SIX, 0xee, 255, 255, 255, 0, 0, 0, 0, ...TEXT],
    ],
    ["a count of all", [255, 255, 255, 255, ...SIX, ...TEXT]],
    ["a size of all", [1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, ...TEXT]],
    ["a size that goes round", [2, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, ...SIX, 0, ...TEXT]],
    ["a size one too long", [1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, ...TEXT]],
    ["a byte more", [...RIGHT, 0]],
    ["no end", RIGHT.slice(0, -1)],
    ["another end", [...RIGHT.slice(0, -1), 1]],
    ["a value beside it", [1, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, ...TEXT.slice(0, -1), 97, 0]],
    ["a value that is not there", [1, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, ...TEXT]],
  ])("a list that a host gives wrongly matches nothing: %s", (_what, bytes, landed) => {
    const first = "metadata.filter_metadata.envoy.filters.http.jwt_authn.people.groups.0";
    const given = (list: readonly number[]) =>
      both(token({ sub: "alice", groups: Uint8Array.from(list) }), {
        properties: { [first]: landed === undefined ? "admins" : Uint8Array.from(landed) },
      });
    expect(mayBy(admins, given(bytes))).toBe(false);
    // The same with the right bytes, so that it is they that count.
    expect(mayBy(admins, given(RIGHT))).toBe(true);
  });

  test("a value of the longest length, and no text that begins with it", () => {
    const long = "a".repeat(512);
    const members = { groups: [group(long)] };
    expect(mayBy(members, token({ sub: "alice", groups: [long] }))).toBe(true);
    expect(mayBy(members, token({ sub: "alice", groups: [`${long}a`] }))).toBe(false);
    expect(mayBy(members, token({ sub: "alice", groups: `${long}a` }))).toBe(false);
  });

  test("a text with a control is none, even where a rule could name it", () => {
    const members = { groups: [group("a\u0085")] };
    expect(mayBy(members, token({ sub: "alice", groups: "a\u0085" }))).toBe(false);
    expect(mayBy(members, token({ sub: "alice", groups: ["a\u0085"] }))).toBe(false);
  });

  test("of the claim that the rule names, by the issuer that it names", () => {
    expect(mayBy(admins, token({ sub: "alice", roles: ["admins"] }))).toBe(false);
    expect(mayBy({ groups: [group("admins", "roles")] }, token({ sub: "alice", roles: ["admins"] }))).toBe(true);
    expect(mayBy(admins, token({ email: "a@x", groups: ["admins"] }, "partners", PARTNER))).toBe(false);
    const partners = { groups: [group("admins", "groups", PARTNER)] };
    expect(mayBy(partners, token({ email: "a@x", groups: ["admins"] }, "partners", PARTNER))).toBe(true);
    expect(mayBy(partners, token({ sub: "a@x", groups: ["admins"] }))).toBe(false);
  });

  test("of a token that names the principal", () => {
    const [alone, second] = [token({ sub: "alice" }), token({ user: "alice", groups: ["admins"] }, "devices")];
    expect(mayBy(admins, alone)).toBe(false);
    // Two tokens of one issuer that name the same one.
    expect(mayBy(admins, both(alone, second))).toBe(true);
    expect(mayBy(admins, both(token({ sub: "alice", groups: ["admins"] }), token({ user: "alice" }, "devices")))).toBe(
      true,
    );
    // The second names nobody, so that it is about somebody else.
    expect(mayBy(admins, both(alone, token({ groups: ["admins"] }, "devices")))).toBe(false);
    expect(mayBy(admins, token({ groups: ["admins"] }))).toBe(false);
    // And a token of another issuer that names nobody says nothing of this one.
    const partners = { groups: [group("admins", "groups", PARTNER)] };
    expect(mayBy(partners, both(alone, token({ groups: ["admins"] }, "partners", PARTNER)))).toBe(false);
  });

  test("of a token that names the principal of this request, whatever the one before had", () => {
    const guard = start([{ ...admins, tool_allowlist: ["push"] }]);
    const nameless = token({ groups: ["admins"] });
    for (const who of [nameless, both(nameless, user("alice")), both(nameless, peer(AGENT))]) {
      expect(may(guard, token({ sub: "alice", groups: ["admins"] }), "push")).toBe(true);
      expect(may(guard, who, "push")).toBe(false);
    }
  });

  test("do not come with a gateway's header, and stay when it agrees with a token", () => {
    expect(mayBy(admins, user("alice"))).toBe(false);
    expect(mayBy(admins, both(user("alice"), token({ groups: ["admins"] })))).toBe(false);
    expect(mayBy(admins, both(user("alice"), token({ sub: "alice", groups: ["admins"] })))).toBe(true);
    expect(mayBy(admins, both(user("alice"), ALICE))).toBe(false);
  });

  test("of 16 different claims are each their own", () => {
    const claims = Array.from({ length: 16 }, (_, i) => `claim${i}`);
    const rules = claims.map((claim, i) => ({ groups: [group("x", claim)], tool_allowlist: [`t${i}`] }));
    const guard = start(rules);
    for (const [i, claim] of claims.entries()) {
      const who = token({ sub: "alice", [claim]: ["x"] });
      expect(claims.map((_, tool) => may(guard, who, `t${tool}`))).toEqual(claims.map((_, tool) => tool === i));
    }
  });
});

describe("workloads", () => {
  const agents = { workloads: ["spiffe://td.example/ns/agents"] };

  test.each([
    ["the id itself", "spiffe://td.example/ns/agents"],
    ["an id below it", AGENT],
    ["an id far below it", `${AGENT}${"/x".repeat(40)}`],
  ])("%s", (_what, id) => {
    expect(mayBy(agents, peer(id))).toBe(true);
    expect(mayBy(agents, { properties: { [WAYPOINT]: id } })).toBe(true);
    // Whoever else is the principal.
    expect(mayBy(agents, both(peer(id), ALICE))).toBe(true);
  });

  test.each([
    ["one whose segment begins alike", "spiffe://td.example/ns/agents2/sa/one"],
    ["one whose segment ends earlier", "spiffe://td.example/ns/agent/sa/one"],
    ["one that ends earlier", "spiffe://td.example/ns"],
    ["one of another trust domain", "spiffe://td.example2/ns/agents/sa/one"],
    ["one of a trust domain below it", "spiffe://td.example.evil/ns/agents/sa/one"],
    ["one in another letter case", "spiffe://td.example/ns/Agents/sa/one"],
    ["one with an empty segment", "spiffe://td.example/ns/agents//sa"],
    ["one with a slash at its end", "spiffe://td.example/ns/agents/"],
    ["one with dot segments", "spiffe://td.example/ns/agents/../admin"],
    ["two of them", `${AGENT},spiffe://td.example/ns/other/sa/x`],
    ["two of them in the other order", `spiffe://td.example/ns/other/sa/x,${AGENT}`],
    ["one with a comma behind it", `${AGENT},x`],
    ["one with a query", `${AGENT}?x`],
    ["one with an escape", `${AGENT}%2f`],
    ["one with a port", "spiffe://td.example:1/ns/agents/sa/one"],
    ["another scheme", "https://td.example/ns/agents/sa/one"],
    ["nothing", ""],
  ])("are not %s", (_what, id) => {
    expect(mayBy(agents, peer(id))).toBe(false);
  });

  test("as deep as 16 segments", () => {
    const deep = `spiffe://td.example${"/s".repeat(16)}`;
    expect(mayBy({ workloads: [deep] }, peer(deep))).toBe(true);
    expect(mayBy({ workloads: [deep] }, peer(`${deep}/t`))).toBe(true);
    expect(mayBy({ workloads: [deep] }, peer(`spiffe://td.example${"/s".repeat(15)}`))).toBe(false);
  });
});

describe("selectors", () => {
  const alice = { principals: [principal("alice"), principal("anna")] };
  const admins = { groups: [group("admins"), group("ops")] };
  const agents = { workloads: ["spiffe://td.example/ns/agents", "spiffe://td.example/ns/bots"] };
  const inGroup = (sub: string, groups: PropertyValue) => token({ sub, groups });

  test("that are there must all match, one entry of each is enough", () => {
    const all = { ...alice, ...admins, ...agents };
    expect(mayBy(all, both(inGroup("alice", ["ops"]), peer(AGENT)))).toBe(true);
    expect(mayBy(all, both(inGroup("anna", "admins"), peer("spiffe://td.example/ns/bots/sa/x")))).toBe(true);
    expect(mayBy(all, both(inGroup("bob", ["ops"]), peer(AGENT)))).toBe(false);
    expect(mayBy(all, both(inGroup("alice", ["staff"]), peer(AGENT)))).toBe(false);
    expect(mayBy(all, both(inGroup("alice", ["ops"]), peer(GATEWAY)))).toBe(false);
    expect(mayBy(all, inGroup("alice", ["ops"]))).toBe(false);
  });

  test.each([
    ["principals and groups", { ...alice, ...admins }, [false, false, false, true, false, false, true]],
    ["principals and workloads", { ...alice, ...agents }, [false, false, false, false, true, false, true]],
    ["groups and workloads", { ...admins, ...agents }, [false, false, false, false, false, true, true]],
    ["principals", alice, [true, false, false, true, true, false, true]],
    ["groups", admins, [false, true, false, true, false, true, true]],
    ["workloads", agents, [false, false, true, false, true, true, true]],
  ])("%s", (_what, selectors, expected) => {
    const whos = [
      ALICE,
      inGroup("bob", ["ops"]),
      peer(AGENT),
      inGroup("alice", ["ops"]),
      both(ALICE, peer(AGENT)),
      both(inGroup("bob", ["ops"]), peer(AGENT)),
      both(inGroup("alice", ["ops"]), peer(AGENT)),
    ];
    expect(whos.map((who) => mayBy(selectors, who))).toEqual(expected);
  });

  test("of several rules that match, each gives what it has", () => {
    const guard = start([
      { ...alice, tool_allowlist: ["push"] },
      { ...admins, tool_allowlist: ["admin", "push"] },
      { ...agents, tool_allowlist: ["agent"] },
    ]);
    const tools = ["safe", "push", "admin", "agent", "other"];
    const of = (who: Who) => tools.filter((tool) => may(guard, who, tool));
    expect(of(NOBODY)).toEqual(["safe"]);
    expect(of(ALICE)).toEqual(["safe", "push"]);
    expect(of(inGroup("bob", ["admins"]))).toEqual(["safe", "push", "admin"]);
    expect(of(both(inGroup("alice", ["admins"]), peer(AGENT)))).toEqual(["safe", "push", "admin", "agent"]);
    expect(of(BOB)).toEqual(["safe"]);
  });
});

describe("two users of one guard", () => {
  const guard = start(
    [
      {
        principals: [principal("alice")],
        tool_allowlist: ["push"],
        prompt_allowlist: ["review"],
        resource_roots: ["mcp://alice/"],
      },
      {
        principals: [principal("bob")],
        tool_allowlist: ["merge"],
        prompt_allowlist: ["plan"],
        resource_roots: ["mcp://bob/"],
      },
    ],
    { prompt_allowlist: ["greet"], resource_roots: ["mcp://all/"], method_allowlist: ["skills/get"] },
  );
  const said = (who: Who, method: string, params: object) => post(guard.plugin, delivery(who, request(method, params)));
  const NOT_LISTED = "refuse resource_not_listed 200";

  test("see the tools and the prompts that they may use", () => {
    const tools = ["safe", "push", "merge", "other"];
    expect([ALICE, BOB, NOBODY].map((who) => listed(guard, who, tools))).toEqual([
      ["safe", "push"],
      ["safe", "merge"],
      ["safe"],
    ]);
    const prompts = ["greet", "review", "plan", "other"];
    expect([ALICE, BOB, NOBODY].map((who) => listed(guard, who, prompts, "prompts"))).toEqual([
      ["greet", "review"],
      ["greet", "plan"],
      ["greet"],
    ]);
    // A name that stands twice is nobody's, and one that may not be seen is not counted for it.
    expect(listed(guard, ALICE, ["push", "merge", "push", "merge", "safe"])).toEqual(["safe"]);
  });

  test.each([
    ["prompts/get", (name: string) => ({ name })],
    [
      "completion/complete",
      (name: string) => ({ ref: { type: "ref/prompt", name }, argument: { name: "a", value: "" } }),
    ],
  ])("%s", (method, params) => {
    const table = ["greet", "review", "plan"].map((name) =>
      [ALICE, BOB, NOBODY].map((who) => said(who, method, params(name)) === "allow"),
    );
    expect(table).toEqual([
      [true, true, true],
      [true, false, false],
      [false, true, false],
    ]);
    expect(said(BOB, method, params("review"))).toBe("refuse prompt_not_listed 200");
  });

  test.each([
    ["resources/read", (uri: string) => ({ uri })],
    ["resources/subscribe", (uri: string) => ({ uri })],
    ["skills/get", (uri: string) => ({ uri })],
    [
      "completion/complete",
      (uri: string) => ({ ref: { type: "ref/resource", uri: `${uri}{x}` }, argument: { name: "x", value: "1" } }),
    ],
  ])("%s", (method, params) => {
    const table = ["mcp://all/a", "mcp://alice/a", "mcp://bob/a"].map((uri) =>
      [ALICE, BOB, NOBODY].map((who) => said(who, method, params(uri)) === "allow"),
    );
    expect(table).toEqual([
      [true, true, true],
      [true, false, false],
      [false, true, false],
    ]);
    expect(said(BOB, method, params("mcp://alice/a"))).toBe(NOT_LISTED);
    expect(said(ALICE, method, params("mcp://alice/../bob/a"))).toMatch(/^refuse uri_traversal /);
  });

  test("subscriptions/listen", () => {
    const listen = (who: Who, uri: string) => {
      const params = { _meta: MODERN_META, notifications: { resourceSubscriptions: [uri] } };
      return post(
        guard.plugin,
        delivery(who, request("subscriptions/listen", params), modernHeaders("subscriptions/listen")),
      );
    };
    expect(listen(ALICE, "mcp://alice/a")).toBe("allow");
    expect(listen(BOB, "mcp://alice/a")).toMatch(/^refuse resource_not_listed /);
  });

  test.each<[string, string, (uri: string) => object]>([
    ["resources/list", "resources", (uri) => ({ uri, name: "n" })],
    ["resources/templates/list", "resourceTemplates", (uri) => ({ uriTemplate: `${uri}/{x}`, name: "n" })],
  ])("%s", (method, list, element) => {
    const uris = ["mcp://all/a", "mcp://alice/a", "mcp://bob/a"];
    const seen = (who: Who) => {
      const got = answered(guard, who, method, { [list]: uris.map(element) }) as { result: Record<string, object[]> };
      return uris.filter((uri) => got.result[list]!.some((one) => JSON.stringify(one).includes(uri)));
    };
    expect([ALICE, BOB, NOBODY].map(seen)).toEqual([
      ["mcp://all/a", "mcp://alice/a"],
      ["mcp://all/a", "mcp://bob/a"],
      ["mcp://all/a"],
    ]);
  });

  test("contents and links of a server's answer", () => {
    const contents = (who: Who) =>
      answered(
        guard,
        who,
        "resources/read",
        { contents: [{ uri: "mcp://alice/a", text: "secret" }] },
        { uri: "mcp://all/a" },
      );
    expect(JSON.stringify(contents(ALICE))).toContain("secret");
    expect(JSON.stringify(contents(BOB))).not.toContain("secret");
    const link = { type: "resource_link", uri: "mcp://alice/a", name: "linked" };
    const links = (who: Who) => answered(guard, who, "tools/call", { content: [link] }, { name: "safe" });
    expect(JSON.stringify(links(ALICE))).toContain("linked");
    expect(JSON.stringify(links(BOB))).not.toContain("linked");
    const icons = [{ src: "mcp://alice/a.png" }];
    const withIcon = (who: Who) => answered(guard, who, "tools/list", { tools: [{ name: "safe", icons }] });
    expect(JSON.stringify(withIcon(ALICE))).toContain("a.png");
    expect(JSON.stringify(withIcon(BOB))).not.toContain("a.png");
  });

  test("events of streams that they have open side by side", () => {
    const list = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools: [{ name: "push" }, { name: "merge" }] } });
    const streams = [ALICE, BOB].map((who) =>
      open(guard.plugin, { method: "GET", end: "headers", stream: { properties: { ...who.properties } } }),
    );
    for (const stream of streams) {
      stream.responseHeaders({ ":status": "200", "content-type": "text/event-stream" }, false);
    }
    for (const half of [0, 1]) {
      for (const stream of streams)
        stream.responseBody(`data: ${list}\n\n`.slice(half * 30, half === 0 ? 30 : undefined), false);
    }
    expect(streams.map((stream) => /push|merge/.exec(stream.downstream.body().toString())?.[0])).toEqual([
      "push",
      "merge",
    ]);
    expect(
      streams.map((stream) =>
        stream.downstream
          .body()
          .toString()
          .includes(stream === streams[0] ? "merge" : "push"),
      ),
    ).toEqual([false, false]);
  });

  test("have counters for the tools of both, and records that name the rules", () => {
    const counted = start([{ principals: [principal("alice")], tool_allowlist: ["push"] }]);
    exchange(counted.plugin, delivery(ALICE, toolCall("push")));
    exchange(counted.plugin, delivery(BOB, toolCall("push")));
    expect(counted.vm.metrics.value("mcp_guard_tool_allowed.push")).toBe(1n);
    expect(counted.vm.metrics.value("mcp_guard_tool_refused.push")).toBe(1n);
    const rulesOf = (who: Who) =>
      JSON.parse(exchange(guard.plugin, delivery(who, toolCall("safe"))).filterState.get("mcp_audit")!)[
        "mcp_guard.rules"
      ];
    expect([ALICE, BOB, NOBODY].map(rulesOf)).toEqual([[0], [1], undefined]);
  });
});

describe("records", () => {
  test("name the first 64 rules, in order, and say when there are more", () => {
    const recordOf = (count: number) => {
      const rules = Array.from({ length: count }, (_, i) => ({
        principals: [principal("alice")],
        tool_allowlist: [`t${i}`],
      }));
      const stream = exchange(start(rules).plugin, delivery(ALICE, toolCall("safe")));
      return JSON.parse(stream.filterState.get("mcp_audit")!) as Record<string, unknown>;
    };
    const few = recordOf(64);
    expect(few["mcp_guard.rules"]).toEqual(Array.from({ length: 64 }, (_, i) => i));
    const many = recordOf(65);
    expect(many["mcp_guard.rules"]).toEqual(few["mcp_guard.rules"]);
    expect([few["mcp_guard.truncated"], many["mcp_guard.truncated"]]).toEqual([undefined, true]);
  });
});

describe("approval", () => {
  const rules = (approval: object) => [{ principals: [principal("alice")], approval }];
  const UNASKED = "refuse approval_not_configured 200";
  const flagged = ["delete_repo", "update_repo"];
  const told = (guard: Guard, who: Who, tool: string) => post(guard.plugin, delivery(who, toolCall(tool)));

  test("where nobody is asked, a tool that is exempt for somebody passes for them alone", () => {
    const guard = start(rules({ exempt: ["delete_repo"] }), { tool_allowlist: flagged });
    expect(told(guard, ALICE, "delete_repo")).toBe("allow");
    expect(told(guard, ALICE, "update_repo")).toBe(UNASKED);
    expect(told(guard, BOB, "delete_repo")).toBe(UNASKED);
    const off = start(rules({ mode: "off" }), { tool_allowlist: flagged });
    expect(flagged.map((tool) => told(off, ALICE, tool))).toEqual(["allow", "allow"]);
    expect(flagged.map((tool) => told(off, BOB, tool))).toEqual([UNASKED, UNASKED]);
    // Nor for somebody whom another rule gives something.
    const bob = { principals: [principal("bob")], tool_allowlist: ["push"] };
    for (const approval of [{ mode: "off" }, { exempt: ["delete_repo"] }]) {
      const two = start([...rules(approval), bob], { tool_allowlist: flagged });
      expect([told(two, ALICE, "delete_repo"), told(two, BOB, "push"), told(two, BOB, "delete_repo")]).toEqual([
        "allow",
        "allow",
        UNASKED,
      ]);
    }
    // It exempts from approval, and lists nothing.
    expect(told(off, ALICE, "delete_all")).toBe("refuse tool_not_listed 200");
  });

  test("the warnings of a configuration say who is exempt", () => {
    const lines = (approval: object) =>
      start(rules(approval), { tool_allowlist: flagged }).vm.logs.map(({ message }) => message);
    const [inForce, first, second] = lines({ exempt: ["delete_repo"] });
    expect(inForce).toMatch(/ in force, tools listed: 2, rules: 1$/);
    expect(first).toMatch(/"delete_repo" .* its calls are refused, but for those whom a rule exempts$/);
    expect(second).toMatch(/"update_repo" .* its calls are refused$/);
    expect(lines({ mode: "off" })[2]).toMatch(/, but for those whom a rule exempts$/);
  });

  const asking = (approval: object, rest: object = {}): Guard =>
    startGuard(
      {
        tool_allowlist: ["safe", ...flagged],
        identity: { jwt: IDENTITY.jwt },
        approval: APPROVAL,
        rules: rules(approval),
        ...rest,
      },
      { clusters: ["approval", "collector"] },
    );
  /** Whether somebody is asked before the call goes on. */
  const isAsked = (guard: Guard, who: Who, tool: string): boolean => {
    const stream = send(guard.plugin, delivery(who, toolCall(tool)));
    if (guard.plugin.httpCalls.length === 0) {
      answer(stream);
      expect(verdict(stream, toolCall(tool))).toBe("allow");
      return false;
    }
    opened(guard, "denied");
    expect(verdict(stream)).toBe("refuse approval_denied 200");
    return true;
  };

  test("where people are asked, nobody is for those who are exempt", () => {
    const guard = asking({ exempt: ["delete_repo"] });
    expect([isAsked(guard, ALICE, "delete_repo"), isAsked(guard, ALICE, "update_repo")]).toEqual([false, true]);
    expect([isAsked(guard, BOB, "delete_repo"), isAsked(guard, BOB, "update_repo")]).toEqual([true, true]);
    const off = asking({ mode: "off" });
    expect(flagged.map((tool) => [isAsked(off, ALICE, tool), isAsked(off, BOB, tool)])).toEqual([
      [false, true],
      [false, true],
    ]);
  });

  test("what a server announces as destructive asks everybody but them", () => {
    for (const approval of [{ mode: "off" }, { exempt: ["safe"] }]) {
      const guard = asking(approval);
      expect(isAsked(guard, BOB, "safe")).toBe(false);
      answered(guard, BOB, "tools/list", { tools: [{ name: "safe", annotations: { destructiveHint: true } }] });
      expect([isAsked(guard, ALICE, "safe"), isAsked(guard, BOB, "safe")]).toEqual([false, true]);
    }
  });

  test("a hint about a tool that a rule adds counts for its calls", () => {
    const added = [{ principals: [principal("alice")], tool_allowlist: ["push"] }];
    const guard = asking({}, { rules: added });
    expect(isAsked(guard, ALICE, "push")).toBe(false);
    answered(guard, ALICE, "tools/list", { tools: [{ name: "push", annotations: { destructiveHint: true } }] });
    expect(isAsked(guard, ALICE, "push")).toBe(true);
  });

  test("hints have a place for every tool that rules add, and one that everybody has keeps its own", () => {
    // More tools than the table of everybody's has slots for.
    const added = Array.from({ length: 64 }, (_, i) => `added${i}`);
    const guard = asking({}, { rules: [{ principals: [principal("alice")], tool_allowlist: added }] });
    const annotations = { destructiveHint: true };
    const isHinted = (tool: string) => ["safe", "added7", "added63"].includes(tool);
    const tools = ["safe", ...added].map((name) => (isHinted(name) ? { name, annotations } : { name }));
    answered(guard, ALICE, "tools/list", { tools });
    expect(["safe", ...added].filter((tool) => isAsked(guard, ALICE, tool))).toEqual(["safe", "added7", "added63"]);
    expect(isAsked(guard, BOB, "safe")).toBe(true);
  });

  test("audit.required: approval keeps the calls waiting that need one", () => {
    const audit = { otlp: { cluster: "collector", authority: "collector:4318" }, required: "approval" };
    const guard = asking({ exempt: ["delete_repo"] }, { audit });
    expect(isAsked(guard, ALICE, "delete_repo")).toBe(false);
    // Nobody is asked, and the collector has been sent nothing that the call waits for; another's waits.
    const waiting = startGuard(
      {
        tool_allowlist: flagged,
        identity: { jwt: IDENTITY.jwt },
        approval: { mode: "off" },
        audit,
        rules: [{ principals: [principal("alice")], tool_allowlist: ["push"] }],
      },
      { clusters: ["collector"] },
    );
    send(waiting.plugin, delivery(BOB, toolCall("delete_repo")));
    expect(waiting.plugin.httpCalls.map(({ cluster }) => cluster)).toEqual(["collector"]);
  });

  describe("a later round, whose text is judged anew once the server's state is back in it", () => {
    const added = [
      { principals: [principal("alice")], tool_allowlist: ["delete_branch"], resource_roots: ["mcp://alice/"] },
      { principals: [principal("bob")], tool_allowlist: ["push"] },
    ];
    const round = (guard: Guard, who: Who, params: object) => {
      const clientCapabilities = { elicitation: { url: {} } };
      const _meta = { ...MODERN_META, "io.modelcontextprotocol/clientCapabilities": clientCapabilities };
      const body = request("tools/call", { name: "delete_branch", ...params, _meta });
      return { body, stream: send(guard.plugin, delivery(who, body, modernHeaders("tools/call", "delete_branch"))) };
    };
    /** The state that the guard gives back with its link, which carries that of the server. */
    const stateOf = (guard: Guard, params: object): string => {
      const { stream } = round(guard, ALICE, { ...params, requestState: "of the server" });
      opened(guard);
      return (replyOf(stream).result as { requestState: string }).requestState;
    };

    test.each([
      ["of a tool", {}],
      ["of a tool, with a resource", { uri: "mcp://alice/a" }],
    ])("%s that only a rule lists goes on with what the rule gives", async (_what, params) => {
      const guard = asking({}, { rules: added });
      const requestState = stateOf(guard, params);
      expect(requestState).toMatch(/^mg1\./);
      const { body, stream } = round(guard, ALICE, { ...params, requestState });
      await claimed(guard, opened(guard, "approved"));
      expect(stream.localReply).toBeUndefined();
      expect(JSON.parse(stream.upstream.body().toString("utf8"))).toEqual(
        JSON.parse(body.replace(requestState, "of the server")),
      );
    });

    test("is refused for somebody else who has the state", () => {
      const guard = asking({}, { rules: added });
      const requestState = stateOf(guard, {});
      for (const who of [BOB, NOBODY]) {
        expect(verdict(round(guard, who, { requestState }).stream)).toBe("refuse tool_not_listed 200");
      }
      expect(guard.plugin.httpCalls).toEqual([]);
    });
  });
});

describe("require_principal", () => {
  const needs = (identity: object, rest: object = {}) => startGuard({ tool_allowlist: ["safe"], identity, ...rest });
  const said = (guard: Guard, who: Who, body = toolCall("safe")) => post(guard.plugin, delivery(who, body));

  test("any principal counts", () => {
    const guard = needs({ ...IDENTITY, require_principal: true });
    expect([ALICE, user("carol"), peer(AGENT)].map((who) => said(guard, who))).toEqual(["allow", "allow", "allow"]);
    expect(said(guard, NOBODY)).toBe("refuse principal_required 200");
    expect(said(guard, token({ sub: ["alice"] }))).toBe("refuse principal_required 200");
    expect(said(needs({ require_principal: true }), peer(AGENT))).toBe("allow");
    expect(said(needs({ require_principal: true }), NOBODY)).toBe("refuse principal_required 200");
    expect(said(needs({ require_principal: false }), NOBODY)).toBe("allow");
  });

  test("is asked of what acts for somebody", () => {
    const guard = needs({ require_principal: true });
    for (const method of ["initialize", "ping", "tools/list"])
      expect(said(guard, NOBODY, request(method))).toBe("allow");
    expect(said(guard, NOBODY, request("tools/call", { name: "other" }))).toBe("refuse tool_not_listed 200");
  });

  test("a human who is missing is what is told when both are", () => {
    const guard = needs({ ...IDENTITY, require_principal: true, require_human: true });
    expect(said(guard, NOBODY)).toBe("refuse human_required 200");
    expect(said(guard, peer(AGENT))).toBe("refuse human_required 200");
    expect(said(guard, ALICE)).toBe("allow");
  });
});

describe("a guard that gets another policy", () => {
  const policyOf = (rules: readonly object[]) => ({ tool_allowlist: ["safe"], identity: IDENTITY, rules });
  const first = policyOf([{ principals: [principal("alice")], tool_allowlist: ["push"] }]);

  test.each([
    ["without rules", { tool_allowlist: ["safe"], identity: IDENTITY }],
    ["with other rules", policyOf([{ principals: [principal("bob")], tool_allowlist: ["merge"] }])],
    [
      "with more rules",
      policyOf(
        Array.from({ length: 1000 }, (_, i) => ({ principals: [principal(`p${i}`)], tool_allowlist: ["push"] })),
      ),
    ],
    ["that is the same", first],
  ])("%s: a rule of the earlier one gives nothing any more", (_what, next) => {
    const guard = startAgain(first);
    const list = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools: [{ name: "push" }, { name: "safe" }] } });
    // Its body comes under the one, its answer under the other.
    const answeredLater = send(guard.plugin, delivery(ALICE, request("tools/list")));
    // Its headers come under the one, its body under the other.
    const judgedLater = open(guard.plugin, delivery(ALICE, ""));
    guard.configure(next);
    answeredLater.responseHeaders({ ":status": "200", "content-type": "application/json" }, false);
    answeredLater.responseBody(list, true);
    expect(answeredLater.downstream.body().toString()).toBe(list.replace('{"name":"push"},', ""));
    judgedLater.requestBody(toolCall("push"), true);
    expect(judgedLater.codeDetails).toBe("mcp_guard.internal");
    for (const stream of [answeredLater, judgedLater]) stream.finish();
  });
});

describe("rules without identity", () => {
  test("ask who the peer is", () => {
    const guard = startGuard({
      tool_allowlist: ["safe"],
      rules: [{ workloads: ["spiffe://td.example/ns/agents"], tool_allowlist: ["push"] }],
    });
    expect(may(guard, peer(AGENT), "push")).toBe(true);
    expect(may(guard, peer(GATEWAY), "push")).toBe(false);
  });
});

describe("monitor mode", () => {
  test("says what a rule would have let pass, and changes nothing", () => {
    const guard = start([{ principals: [principal("alice")], tool_allowlist: ["push"] }], { mode: "monitor" });
    expect(post(guard.plugin, delivery(ALICE, toolCall("push")))).toBe("allow");
    const stream = exchange(guard.plugin, delivery(BOB, toolCall("push")));
    expect([stream.filterState.get("mcp_decision"), stream.filterState.get("mcp_reason")]).toEqual([
      "would_refuse",
      "tool_not_listed",
    ]);
    expect(listed(guard, BOB, ["push", "safe"])).toEqual(["push", "safe"]);
  });
});

describe("many rules", () => {
  const people = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      principals: [principal(`person${i}`)],
      tool_allowlist: [...new Set([`tool${i}`, `tool${(i + 1) % count}`])],
      resource_roots: [`mcp://r${i}/`],
    }));

  test.each([1, 63, 64, 65, 1000, 1024])("of %s, each counts for its own", (count) => {
    const guard = start(people(count));
    for (const i of new Set([0, 1, 31, 62, 63, 64, 511, count - 2, count - 1])) {
      if (i < 0 || i >= count) continue;
      const who = token({ sub: `person${i}` });
      expect(may(guard, who, `tool${i}`)).toBe(true);
      expect(may(guard, who, `tool${(i + 1) % count}`)).toBe(true);
      if (count > 2) expect(may(guard, who, `tool${(i + 2) % count}`)).toBe(false);
      const read = (uri: string) => post(guard.plugin, delivery(who, request("resources/read", { uri })));
      expect(read(`mcp://r${i}/a`)).toBe("allow");
      if (count > 1) expect(read(`mcp://r${(i + 1) % count}/a`)).toBe("refuse resource_not_listed 200");
    }
  });

  test("1,000 that one identity matches, and 1,000 that name one tool", () => {
    const rules = Array.from({ length: 1000 }, (_, i) => ({
      workloads: ["spiffe://td.example/ns/agents"],
      principals: [principal(`person${i}`), principal("alice")],
      tool_allowlist: ["push", `tool${i}`],
    }));
    const guard = start([...rules, { principals: [principal("zoe")], tool_allowlist: ["zoe"] }]);
    const zoe = both(token({ sub: "zoe" }), peer(AGENT));
    expect(["zoe", "push", "tool0"].map((tool) => may(guard, zoe, tool))).toEqual([true, false, false]);
    const alice = both(ALICE, peer(AGENT));
    expect(["push", "tool0", "tool999", "safe"].map((tool) => may(guard, alice, tool))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    const one = both(token({ sub: "person7" }), peer(AGENT));
    expect(["push", "tool7", "tool8"].map((tool) => may(guard, one, tool))).toEqual([true, true, false]);
    expect(may(guard, both(BOB, peer(AGENT)), "push")).toBe(false);
    expect(may(guard, ALICE, "push")).toBe(false);
  });
});
