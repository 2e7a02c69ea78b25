// Who may approve a call. Goal: the person whose call it is and members of named groups, by exact claims of the right provider, and nobody who only looks
// like one of them.
import { describe, expect, test } from "vitest";
import { callersOf, isGroupApprover, type SignedIn, standingOf } from "../../approval/browser/approver.ts";

const OIDC = "https://id.example.com";
const CALLS = "https://issuer.example.com";
const RULES = {
  principals: [
    { issuer: CALLS, claim: "sub", oidcIssuer: OIDC },
    { issuer: "https://mail.example.com", claim: "email", oidcIssuer: OIDC },
  ],
  approverGroups: [{ claim: "groups", value: "approvers" }],
};

function person(claims: Record<string, unknown>, issuer = OIDC): SignedIn {
  return { issuer, claims };
}

describe("the person whose call it is", () => {
  test("has the claim that the issuer of the call is mapped to", () => {
    expect(standingOf({ issuer: CALLS, principal: "alice" }, person({ sub: "alice" }), RULES)).toBe("principal");
  });

  test.each([
    ["another value", { issuer: CALLS, principal: "alice" }, person({ sub: "bob" })],
    ["another case", { issuer: CALLS, principal: "alice" }, person({ sub: "Alice" })],
    ["a blank more", { issuer: CALLS, principal: "alice" }, person({ sub: "alice " })],
    ["another normal form", { issuer: CALLS, principal: "am\u00e9lie" }, person({ sub: "ame\u0301lie" })],
    ["the value in another claim", { issuer: CALLS, principal: "alice" }, person({ sub: "x", name: "alice" })],
    ["a call of another issuer", { issuer: `${CALLS}/`, principal: "alice" }, person({ sub: "alice" })],
    ["the same id at another provider", { issuer: CALLS, principal: "alice" }, person({ sub: "alice" }, `${OIDC}/b`)],
    ["a list with the value", { issuer: CALLS, principal: "alice" }, person({ sub: ["alice"] })],
    ["a number for a text", { issuer: CALLS, principal: "7" }, person({ sub: 7 })],
    ["nothing, and a call of nobody", { issuer: CALLS, principal: "" }, person({ sub: "" })],
    ["a claim that every object has", { issuer: CALLS, principal: "alice" }, person({})],
  ])("has not: %s", (_what, caller, who) => {
    expect(standingOf(caller, who, RULES)).toBe("none");
    expect(callersOf(who, RULES)).not.toContainEqual(caller);
  });

  test("is found again by what their own calls are listed under", () => {
    const who = person({ sub: "alice", email: "a@example.com", email_verified: true });
    expect(callersOf(who, RULES)).toEqual([
      { issuer: CALLS, principal: "alice" },
      { issuer: "https://mail.example.com", principal: "a@example.com" },
    ]);
  });
});

describe("an address", () => {
  const caller = { issuer: "https://mail.example.com", principal: "a@example.com" };

  test("counts when the provider has verified it", () => {
    expect(standingOf(caller, person({ email: "a@example.com", email_verified: true }), RULES)).toBe("principal");
  });

  test.each([false, undefined, "true", 1, null])("does not count with email_verified %j", (email_verified) => {
    const who = person({ email: "a@example.com", email_verified });
    expect(standingOf(caller, who, RULES)).toBe("none");
    expect(callersOf(who, RULES)).toEqual([]);
    const rules = { ...RULES, approverGroups: [{ claim: "email", value: "a@example.com" }] };
    expect(isGroupApprover(who, rules)).toBe(false);
  });

  test("in a list is nobody's", () => {
    const rules = { ...RULES, approverGroups: [{ claim: "email", value: "a@example.com" }] };
    expect(isGroupApprover(person({ email: ["a@example.com"], email_verified: true }), rules)).toBe(false);
    expect(isGroupApprover(person({ email: "a@example.com", email_verified: true }), rules)).toBe(true);
  });
});

describe("a group of approvers", () => {
  const caller = { issuer: CALLS, principal: "alice" };

  test.each([
    ["in a list", ["staff", "approvers"]],
    ["as the only value", "approvers"],
  ])("is named by the claim, %s", (_what, groups) => {
    expect(standingOf(caller, person({ sub: "carol", groups }), RULES)).toBe("group");
  });

  test.each([
    ["another case", ["Approvers"]],
    ["a name that contains it", ["approvers-of-lunch"]],
    ["a list in a list", [["approvers"]]],
    ["an object", { approvers: true }],
    ["several names in one text", "staff approvers"],
    ["nothing", undefined],
  ])("is not: %s", (_what, groups) => {
    expect(standingOf(caller, person({ sub: "carol", groups }), RULES)).toBe("none");
  });

  test("without any rule has no members", () => {
    expect(isGroupApprover(person({ groups: [""] }), { ...RULES, approverGroups: [] })).toBe(false);
  });

  test("does not stand in front of being the principal", () => {
    expect(standingOf(caller, person({ sub: "alice", groups: ["approvers"] }), RULES)).toBe("principal");
  });
});
