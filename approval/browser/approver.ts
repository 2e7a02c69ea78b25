// Who may approve a call: the person whose call it is, or a member of a named group. A pure function of the call, the settings and what
// the sign-in provider has said about the person.
import type { GroupRule, PrincipalRule } from "../settings.ts";
import type { Principal } from "../store/store.ts";

/** Whose call it is, as the guard has it from the caller's token. */
export type Caller = Readonly<Principal>;

/** Who has signed in: the claims of the ID token, and who said so. */
export interface SignedIn {
  readonly issuer: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** As what somebody may approve a call, or that they may not. */
export type Standing = "principal" | "group" | "none";

/** The rules, as the settings have them. */
export interface ApproverRules {
  readonly principals: readonly PrincipalRule[];
  readonly approverGroups: readonly GroupRule[];
}

/** As what `person` may approve the calls of `caller`. Texts are compared as they are: no folding of case, no trimming, no normal form. */
export function standingOf(caller: Caller, person: SignedIn, rules: ApproverRules): Standing {
  if (rules.principals.some((rule) => isSamePerson(rule, caller, person))) return "principal";
  return isGroupApprover(person, rules) ? "group" : "none";
}

/** Whether `person` may approve calls of others. */
export function isGroupApprover(person: SignedIn, rules: ApproverRules): boolean {
  return rules.approverGroups.some(
    ({ claim, value }) => value !== "" && claimTexts(person.claims, claim).includes(value),
  );
}

/** The callers that `person` is: the issuers and principals under which their own calls are found. */
export function callersOf(person: SignedIn, rules: ApproverRules): Principal[] {
  return rules.principals.flatMap((rule) => {
    const principal = claimText(person.claims, rule.claim);
    return rule.oidcIssuer === person.issuer && principal !== undefined ? [{ issuer: rule.issuer, principal }] : [];
  });
}

function isSamePerson(rule: PrincipalRule, caller: Caller, person: SignedIn): boolean {
  if (rule.issuer !== caller.issuer) return false;
  // A `sub`, or an address, is somebody else's at another provider.
  if (rule.oidcIssuer !== person.issuer) return false;
  return claimText(person.claims, rule.claim) === caller.principal;
}

/** The value of a claim that names one thing; undefined for any other. */
function claimText(claims: SignedIn["claims"], name: string): string | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (typeof value !== "string" || value === "") return undefined;
  // OpenID Connect Core section 5.7: an address says who somebody is only where the provider has verified it. `"true"` is no yes.
  if (name === "email" && claims.email_verified !== true) return undefined;
  return value;
}

/** The values of a claim that may name several things. */
function claimTexts(claims: SignedIn["claims"], name: string): readonly string[] {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (Array.isArray(value)) return name === "email" ? [] : value.filter((entry) => typeof entry === "string");
  const text = claimText(claims, name);
  return text === undefined ? [] : [text];
}
