// The reference for who asks and what that one may: the sources of a policy one after the other (docs/identity.md), the rules one after the other
// (docs/policy.md, `rules`), and what is left is a policy without rules, which the other references know.

import type { PropertyValue } from "../../src/host/index.ts";
import type { MessagePolicy } from "./message.ts";

/** A token that the proxy has validated, as it keeps it. */
export interface Token {
  readonly provider: string;
  readonly claims: Readonly<Record<string, PropertyValue>>;
}

/** Whoever sends a request. */
export interface Caller {
  /** At most one for each provider. */
  readonly tokens: readonly Token[];
  /** The SPIFFE id of the peer's certificate. */
  readonly peer?: string;
  /** The values of the identity header, each on a line of its own. */
  readonly header: readonly string[];
}

/** One entry of `rules`. */
export interface Rule {
  readonly principals?: readonly { readonly issuer: string; readonly value: string }[];
  readonly groups?: readonly { readonly issuer: string; readonly claim: string; readonly value: string }[];
  readonly workloads?: readonly string[];
  readonly tool_allowlist?: readonly string[];
  readonly prompt_allowlist?: readonly string[];
  readonly resource_roots?: readonly string[];
  readonly approval?: { readonly mode: "off" } | { readonly exempt: readonly string[] };
}

/** The members of the plugin configuration that decide who asks, and what that changes. */
export interface IdentityPolicy extends MessagePolicy {
  readonly identity?: {
    readonly jwt?: readonly { readonly provider: string; readonly issuer: string; readonly claim: string }[];
    readonly header?: { readonly name: string; readonly trusted_gateways: readonly string[] };
    readonly require_human?: boolean;
    readonly require_principal?: boolean;
  };
  readonly rules?: readonly Rule[];
}

/** What is found out about a caller. */
export interface Identity {
  readonly issuer: string;
  readonly value: string;
  readonly isHuman: boolean;
  /** The tokens that name this principal. */
  readonly tokens: readonly Token[];
}

const VALUE_BYTES_MAX = 256;
const ELEMENTS_MAX = 1024;

/** Who asks; undefined when nobody is named, `conflict` when two different ones are. */
export function identityOf({ identity }: IdentityPolicy, caller: Caller): Identity | "conflict" | undefined {
  if (identity === undefined) return peerOf(caller);
  const sources = (identity.jwt ?? []).flatMap((entry) => {
    const token = caller.tokens.find(({ provider }) => provider === entry.provider);
    if (token === undefined || token.claims.iss !== entry.issuer) return [];
    return [{ token, issuer: entry.issuer, claim: token.claims[entry.claim] }];
  });
  const first = sources.find(({ claim }) => isText(claim) && Buffer.byteLength(claim) <= VALUE_BYTES_MAX);
  const trusted =
    caller.peer !== undefined &&
    identity.header?.trusted_gateways.includes(caller.peer) === true &&
    caller.header.length === 1
      ? caller.header[0]
      : undefined;
  if (first !== undefined) {
    const value = first.claim as string;
    // What stands under the claim of a later entry is somebody, if it is anything at all.
    const others = sources.slice(sources.indexOf(first) + 1).filter(({ claim }) => claim !== undefined && claim !== "");
    const isSame = ({ issuer, claim }: (typeof sources)[number]) => issuer === first.issuer && claim === value;
    if (!others.every(isSame) || (trusted !== undefined && trusted !== value)) return "conflict";
    const tokens = [first, ...others].map(({ token }) => token);
    return { issuer: first.issuer, value, isHuman: true, tokens };
  }
  if (trusted !== undefined) return { issuer: caller.peer!, value: trusted, isHuman: true, tokens: [] };
  return peerOf(caller);
}

/** A workload, by the word of its trust domain. */
function peerOf({ peer }: Caller): Identity | undefined {
  if (peer === undefined) return undefined;
  return { issuer: peer.split("/").slice(0, 3).join("/"), value: peer, isHuman: false, tokens: [] };
}

/** A claim that is one text. */
function isText(claim: PropertyValue | undefined): claim is string {
  return typeof claim === "string" && claim !== "" && ![...claim].some((character) => character < " ");
}

/** The texts of a claim: of one that is a text, or of a list that has nothing else in it. */
function textsOf(claim: PropertyValue | undefined): readonly string[] {
  if (isText(claim)) return [claim];
  if (!Array.isArray(claim) || claim.length > ELEMENTS_MAX) return [];
  const elements: readonly PropertyValue[] = claim;
  return elements.every(isText) ? elements : [];
}

/** Whether all selectors of a rule match. */
function isFor(rule: Rule, caller: Caller, identity: Identity | undefined): boolean {
  const { principals, groups, workloads } = rule;
  const isPrincipal = principals?.some(({ issuer, value }) => identity?.issuer === issuer && identity.value === value);
  const isMember = groups?.some(({ issuer, claim, value }) =>
    identity?.tokens.some(({ claims }) => claims.iss === issuer && textsOf(claims[claim]).includes(value)),
  );
  const segments = caller.peer?.split("/");
  const isPeer = workloads?.some((id) => id.split("/").every((segment, index) => segments?.[index] === segment));
  return [isPrincipal, isMember, isPeer].every((matches) => matches !== false);
}

/** The policy that holds for one caller: without rules, and with what it lacks to act in somebody's name. */
export function policyFor<Policy extends IdentityPolicy>(policy: Policy, caller: Caller): Policy | "conflict" {
  const identity = identityOf(policy, caller);
  if (identity === "conflict") return "conflict";
  const rules = (policy.rules ?? []).filter((rule) => isFor(rule, caller, identity));
  const more = (list: "tool_allowlist" | "prompt_allowlist" | "resource_roots") => [
    ...(policy[list] ?? []),
    ...rules.flatMap((rule) => rule[list] ?? []),
  ];
  const exempt = rules.flatMap(({ approval }) =>
    approval !== undefined && "exempt" in approval ? approval.exempt : [],
  );
  const isOff = rules.some(({ approval }) => approval !== undefined && "mode" in approval);
  const needsHuman = policy.identity?.require_human === true && identity?.isHuman !== true;
  const needsSomebody = policy.identity?.require_principal === true && identity === undefined;
  return {
    ...policy,
    tool_allowlist: more("tool_allowlist"),
    prompt_allowlist: more("prompt_allowlist"),
    resource_roots: more("resource_roots"),
    approval: {
      ...policy.approval,
      ...(isOff && { mode: "off" }),
      exempt: [...(policy.approval?.exempt ?? []), ...exempt],
    },
    rules: [],
    ...(needsHuman ? { lacks: "human_required" } : needsSomebody ? { lacks: "principal_required" } : {}),
  };
}

/** The properties and headers with which the proxy shows a caller to the filter. */
export function shownCaller({ tokens, peer, header }: Caller): {
  readonly properties: Readonly<Record<string, PropertyValue>>;
  readonly headers: readonly (readonly [string, string])[];
} {
  const claims = tokens.flatMap(({ provider, claims }) =>
    Object.entries(claims).map(([name, value]): [string, PropertyValue] => [
      `metadata.filter_metadata.envoy.filters.http.jwt_authn.${provider}.${name}`,
      value,
    ]),
  );
  return {
    properties: {
      ...Object.fromEntries(claims),
      ...(peer !== undefined && { "connection.uri_san_peer_certificate": peer }),
    },
    headers: header.map((value) => ["user-identity", value] as const),
  };
}
