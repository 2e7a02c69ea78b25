// Receipts: what the approval service signs when a call is claimed, and what the filter verifies before it lets the call pass (assembly/approval/receipt.ts).
// A JWS in compact form (RFC 7515) with ES256 (RFC 7518 section 3.4); its payload names the call, the approval and the claim.

import type { KeyObject } from "node:crypto";
import { CompactSign, type CryptoKey, compactVerify, errors } from "jose";

/** The `typ` of a receipt: so that nothing else that a key has signed passes for one (RFC 8725 section 3.11). */
export const RECEIPT_TYPE = "mcp-guard-receipt+jws";
export const RECEIPT_VERSION = 1;

/** What the filter takes; each of them is refused beyond. */
export const RECEIPT_BYTES_MAX = 4096;
export const APPROVER_BYTES_MAX = 512;
export const RECEIPT_SECONDS_MAX = 300;
export const CLOCK_SKEW_SECONDS = 30;

/** The payload of a receipt, without its version. */
export interface Receipt {
  /** The approval's. */
  readonly id: string;
  /** The claim's, 22 characters of base64url: chosen by the one who claims. */
  readonly nonce: string;
  /** The call's, 64 hexadecimal digits in lower case. */
  readonly digest: string;
  /** Under what name the service knows the server. */
  readonly server: string;
  readonly issuer: string;
  readonly principal: string;
  readonly tool: string;
  /** Who approved, as text for the audit: 1 to 512 bytes, no control characters. */
  readonly approver: string;
  /** When it was issued and when it expires, in whole seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
}

/** A key as `node:crypto` or WebCrypto has it: of the curve P-256. */
export type ReceiptKey = KeyObject | CryptoKey;

const TEXTS = ["id", "nonce", "digest", "server", "issuer", "principal", "tool", "approver"] as const;
const TIMES = ["iat", "exp"] as const;
const MEMBERS: readonly string[] = ["v", ...TEXTS, ...TIMES];
/** C0 and C1 controls and DEL: they have no place in what people read in an audit trail. */
const CONTROL = /\p{Cc}/u;

/** Who approved, as receipts and records name them: `sub` is unique only together with `iss` (OpenID Connect Core section 2). */
export function approverText({ issuer, subject }: { readonly issuer: string; readonly subject: string }): string {
  return `${issuer}#${subject}`;
}

/**
 * Signs a receipt.
 * @param key private, of the curve P-256.
 * @param kid names the key in the filter's policy (`approval.keys`).
 * @returns the compact JWS.
 * @throws Error when no filter would take the receipt: it lives too long, the approver's text is empty, too long or has controls in it, or all of it is too large.
 * @throws Error of jose when the key is none that signs with ES256.
 */
export async function signReceipt(receipt: Receipt, key: ReceiptKey, kid: string): Promise<string> {
  const fault = faultOf({ v: RECEIPT_VERSION, ...receipt });
  if (fault !== undefined) throw new Error(`no receipt: ${fault}`);
  const jws = await new CompactSign(Buffer.from(payloadText(receipt), "utf8"))
    .setProtectedHeader({ alg: "ES256", kid, typ: RECEIPT_TYPE })
    .sign(key);
  if (jws.length > RECEIPT_BYTES_MAX)
    throw new Error(`no receipt: ${jws.length} bytes, expected at most ${RECEIPT_BYTES_MAX}`);
  return jws;
}

/** What `verifyReceipt` found. */
export type Verified =
  | { readonly receipt: Receipt; readonly kid: string }
  /** A sentence: why this is no receipt of these keys. */
  | { readonly fault: string };

/**
 * Reads a receipt that one of the keys has signed, written as `signReceipt` writes it: the filter takes some more spellings of the same. Whether it is one of a certain
 * call, and whether it has expired, is for the caller to compare.
 * @param keys public keys by `kid`.
 */
export async function verifyReceipt(jws: string, keys: ReadonlyMap<string, ReceiptKey>): Promise<Verified> {
  if (jws.length > RECEIPT_BYTES_MAX) return { fault: `${jws.length} bytes, expected at most ${RECEIPT_BYTES_MAX}` };
  // The verifier below takes the bytes that a text decodes to; the filter takes one text for them.
  if (!jws.split(".").every(isCanonical)) return { fault: "a part is not base64url in its one form" };
  let kid = "";
  try {
    const { payload, protectedHeader } = await compactVerify(
      jws,
      (header) => {
        kid = header.kid ?? "";
        const key = keys.get(kid);
        if (key === undefined) throw new errors.JOSEError(`the key "${kid}" is not known`);
        return key;
      },
      { algorithms: ["ES256"] },
    );
    const { typ } = protectedHeader;
    if (typ !== RECEIPT_TYPE) return { fault: `the type is ${typ}, expected ${RECEIPT_TYPE}` };
    if (jws.split(".")[0] !== encoded(JSON.stringify({ alg: "ES256", kid, typ }))) {
      return { fault: "the header is not alg, kid and typ" };
    }
    const value: unknown = JSON.parse(Buffer.from(payload).toString("utf8"));
    const fault = faultOf(value);
    if (fault !== undefined) return { fault };
    const { v: _version, ...receipt } = value as Receipt & { readonly v: number };
    // A member that stands twice is gone by now.
    if (jws.split(".")[1] !== encoded(payloadText(receipt))) return { fault: "the payload has another spelling" };
    return { receipt, kid };
  } catch (error) {
    return { fault: (error as Error).message };
  }
}

/** What is wrong with a payload. */
function faultOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "the payload is not an object";
  const payload = value as Readonly<Record<string, unknown>>;
  const wrong = [
    ...MEMBERS.filter((name) => !(name in payload)),
    ...Object.keys(payload).filter((name) => !MEMBERS.includes(name)),
  ];
  if (wrong.length > 0) return `missing or unknown: ${wrong.join(", ")}`;
  if (payload.v !== RECEIPT_VERSION) return `v is ${payload.v}, expected ${RECEIPT_VERSION}`;
  for (const name of TEXTS) {
    const text = payload[name];
    if (typeof text !== "string" || !isWellFormed(text)) return `${name} is not a text`;
  }
  for (const name of TIMES) {
    if (!Number.isSafeInteger(payload[name]) || (payload[name] as number) < 0)
      return `${name} is not a number of seconds`;
  }
  const { approver, iat, exp } = value as Receipt;
  if (exp < iat || exp - iat > RECEIPT_SECONDS_MAX)
    return `it is good for ${exp - iat} seconds, expected 0 to ${RECEIPT_SECONDS_MAX}`;
  const bytes = Buffer.byteLength(approver, "utf8");
  if (bytes === 0 || bytes > APPROVER_BYTES_MAX)
    return `approver has ${bytes} bytes, expected 1 to ${APPROVER_BYTES_MAX}`;
  return CONTROL.test(approver) ? "approver has control characters in it" : undefined;
}

/** The one spelling that `signReceipt` gives a payload. */
function payloadText(receipt: Receipt): string {
  const { id, nonce, digest, server, issuer, principal, tool, approver, iat, exp } = receipt;
  return JSON.stringify({ v: RECEIPT_VERSION, id, nonce, digest, server, issuer, principal, tool, approver, iat, exp });
}

function encoded(text: string): string {
  return Buffer.from(text, "utf8").toString("base64url");
}

/** Whether a text is the base64url of some bytes as an encoder writes it: no padding, no bits behind the last byte. */
function isCanonical(text: string): boolean {
  return Buffer.from(text, "base64url").toString("base64url") === text;
}

/** Whether a text has no half of a surrogate pair: UTF-8 has none, and JSON would have an escape that the filter refuses. */
function isWellFormed(text: string): boolean {
  return Buffer.from(text, "utf8").toString("utf8") === text;
}
