// Rules about groups on a real Envoy. Goal: a claim counts as what it is in the token, a text or a list of texts, although the proxy gives a module
// the same bytes for some texts, objects and lists; and the record names the rules. Method: tokens of one issuer,
// which jwt_authn checks in front of the guard; for each a call. What is compared: the verdict, and which rules the record names.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testedVersions } from "../versions.ts";
import { logAlso, logged } from "./access-log.ts";
import { drivers } from "./drivers/drivers.ts";
import { guardIn, JSON_FIELDS, named, type Rig, startRig, toolCall } from "./rig.ts";
import { checkTokens, createIssuer, type Issuer } from "./tokens.ts";
import { verdictOf } from "./verdict.ts";

const ISSUER = "https://idp.example";
const CLAIM = "https://idp.example/groups";
const GUARD = "rules";
const POLICY = {
  tool_allowlist: [],
  identity: { jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }], require_principal: true },
  rules: [
    { principals: [{ issuer: ISSUER, value: "bob" }], tool_allowlist: ["other"] },
    { groups: [{ issuer: ISSUER, claim: CLAIM, value: "admins" }], tool_allowlist: ["echo"] },
  ],
};

const LISTS_OF_ADMINS: readonly (readonly [string, unknown])[] = [
  ["a text", "admins"],
  ["a list of one", ["admins"]],
  ["the first of a list", ["admins", "staff", "检索"]],
  ["the last of a list", [...Array.from({ length: 200 }, (_, index) => `group-${index}`), "admins"]],
];
/** Of the last two the bytes are those of the list ["admins"]. */
const OTHERS: readonly (readonly [string, unknown])[] = [
  ["no claim", undefined],
  ["another text", "staff"],
  ["a list of others", ["staff", "admin", "admins2"]],
  ["an empty list", []],
  ["a number", 7],
  ["a truth value", true],
  ["null", null],
  ["a list with a number", ["admins", 7]],
  ["a list with null", ["admins", null]],
  ["a list with a list", ["admins", ["x"]]],
  ["a list in a list", [["admins"]]],
  ["a list with an empty text", ["", "admins"]],
  ["an object with an element 0", { "0": "admins" }],
  ["an object with an empty element 0", { "0": "", admins: "" }],
  ["an object", { admins: "" }],
  ["a text with the bytes of a list", "\u0001\0\0\0\u0006\0\0\0\0\0\0\0admins\0\0"],
];
/** A client's answer to its server, which acts in somebody's name too. */
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{}}';
const RUNS = drivers.flatMap((driver) => testedVersions().map((version) => ({ driver, version, name: driver.name })));

describe.each(RUNS)("Envoy $version by the $name driver", ({ driver, version }) => {
  let rig: Rig;
  let issuer: Issuer;
  let requests = 0;

  beforeAll(async () => {
    issuer = await createIssuer(ISSUER);
    rig = await startRig({
      driver,
      version,
      guards: [guardIn("hold", POLICY, { name: GUARD })],
      edit(bootstrap) {
        checkTokens(bootstrap, [{ name: "people", issuer }]);
        logAlso(bootstrap, { mcp_audit: "%FILTER_STATE(wasm.mcp_audit:PLAIN)%" });
      },
    });
  });

  afterAll(() => rig?.stop());

  test.each(LISTS_OF_ADMINS)("%s counts", async (_what, groups) => {
    expect(await outcomeOf({ sub: "alice", [CLAIM]: groups })).toEqual(["allow", [1]]);
    expect(await outcomeOf({ sub: "bob", [CLAIM]: groups })).toEqual(["allow", [0, 1]]);
  });

  test.each(OTHERS)("%s does not", async (_what, groups) => {
    expect(await outcomeOf({ sub: "alice", [CLAIM]: groups })).toEqual(["refuse 200 tool_not_listed", undefined]);
    expect(await outcomeOf({ sub: "bob", [CLAIM]: groups })).toEqual(["refuse 200 tool_not_listed", [0]]);
  });

  test("a token that names nobody has no groups, and nobody acts in no name", async () => {
    expect(await outcomeOf({ sub: undefined, [CLAIM]: ["admins"] })).toEqual(["refuse 200 tool_not_listed", undefined]);
    expect(await outcomeOf({ sub: undefined }, ANSWER)).toEqual(["refuse 403 principal_required", undefined]);
    expect(await outcomeOf({ sub: "alice" }, ANSWER)).toEqual(["allow", undefined]);
  });

  /** What becomes of a request with a token of these claims, and which rules its record names. */
  async function outcomeOf(claims: Record<string, unknown>, text = toolCall("echo")): Promise<[string, unknown]> {
    const id = `rules.${requests++}`;
    const body = Buffer.from(text);
    const token = await issuer.sign(claims);
    const connection = await rig.connect("h1", GUARD);
    try {
      const request = connection.open({
        method: "POST",
        path: "/mcp",
        headers: [...JSON_FIELDS, ...named(id), ["authorization", `Bearer ${token}`]],
        framing: "length",
        bodyBytes: body.length,
      });
      request.end(body);
      const verdict = verdictOf(rig.origin, id, "hold", body, await request.answer);
      const { mcp_audit: record } = await logged(rig.envoy, id);
      return [verdict, (JSON.parse(String(record)) as Record<string, unknown>)["mcp_guard.rules"]];
    } finally {
      connection.close();
    }
  }
});
