// How a human is asked: what mode required needs beyond what the filter and the schema can see (docs/policy.md, `approval`).
import { createPublicKey } from "node:crypto";
import type { Told } from "./finding.ts";
import { quoted } from "./schema.ts";
import type { View } from "./view.ts";

/** The seconds after which the official clients give up a request, unless they are told otherwise. */
const CLIENT_TIMEOUT_SECONDS = 60;

/** What is told about the member `approval` in mode required. */
export function approvalFindings(policy: View): Told[] {
  const approval = policy.at("approval");
  if (approval.at("mode").text !== "required") return [];
  return [
    ...approval.at("keys").elements().flatMap(keyFindings),
    ...pageFindings(approval.at("page")),
    ...identityFindings(policy, approval.at("mode")),
    ...holdFindings(approval.at("hold_seconds")),
    ...boundFindings(approval),
  ];
}

/** The filter compares the bytes that all keys have in common; whether the rest is a key only the curve says. */
function keyFindings(key: View): Told[] {
  const { text, path } = key.at("spki");
  const der = Buffer.from(text, "base64");
  if (der.length !== 91 || isPublicKey(der)) return [];
  const what = "found bytes that are no point of P-256: no receipt would ever be good";
  return [{ rule: "approval-key", path, what, expected: "the public key as the service has it" }];
}

function isPublicKey(der: Buffer): boolean {
  try {
    createPublicKey({ key: der, format: "der", type: "spki" });
    return true;
  } catch {
    return false;
  }
}

function pageFindings({ text, path }: View): Told[] {
  const told = (what: string): Told[] => [
    { rule: "approval-page", path, what, expected: "a link that the approvers' browsers open" },
  ];
  if (/^http:/.test(text)) return told(`found ${quoted(text)}, which leads each browser to its own machine`);
  if (text !== "" && !URL.canParse(text)) return told(`found ${quoted(text)}, which browsers do not take for a URL`);
  return [];
}

function identityFindings(policy: View, { path }: View): Told[] {
  const identity = policy.at("identity");
  if (identity.at("jwt").isThere || identity.at("header").isThere) return [];
  const what = "found mode: required without a source of identity: the service cannot know whose approval counts";
  return [{ rule: "approval-identity", path, what, expected: "identity.jwt or identity.header", mend: "add identity" }];
}

function holdFindings(hold: View): Told[] {
  const seconds = hold.number(0);
  if (seconds < CLIENT_TIMEOUT_SECONDS) return [];
  const what = `found hold_seconds ${seconds}: most clients give up after ${CLIENT_TIMEOUT_SECONDS} seconds, before they get the link`;
  const expected = `less than ${CLIENT_TIMEOUT_SECONDS}`;
  return [{ rule: "approval-hold", path: hold.path, what, expected, mend: "lower it, or set up the clients" }];
}

function boundFindings(approval: View): Told[] {
  const all = approval.at("waiting").number(1000);
  const each = approval.at("waiting_per_principal");
  if (each.number(0) <= all) return [];
  const what = `found waiting_per_principal ${each.number(0)} above waiting ${all}: no principal ever has so many`;
  const expected = "waiting_per_principal at or below waiting";
  return [{ rule: "limit-unreachable", path: each.path, what, expected }];
}
