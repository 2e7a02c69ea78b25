// The reference for tokens: which one of a request may be exchanged (RFC 6750 section 2.1, RFC 7519), and which one an answer gives (RFC 8693 section 2.2.1).

import { readStrictJson } from "./strict-json.ts";

/** What a token has at most. */
export const TOKEN_BYTES_MAX = 8192;
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

/** The token in the values of Authorization that a request has, if it may be exchanged for one in the name of that issuer's principal. */
export function subjectToken(
  values: readonly string[],
  issuer: string,
  claim: string,
  principal: string,
): string | undefined {
  const subject = values.length === 1 ? /^bearer +([^ ]+)$/i.exec(values[0]!)?.[1] : undefined;
  if (subject === undefined || subject.length > TOKEN_BYTES_MAX || !B64TOKEN.test(subject)) return undefined;
  const parts = subject.split(".");
  if (parts.length !== 3 || !/^[A-Za-z0-9_-]+$/.test(parts[1]!)) return undefined;
  const claims = objectIn(Buffer.from(parts[1]!, "base64url"));
  return claims?.iss === issuer && claims[claim] === principal ? subject : undefined;
}

/** What an answer with status 200 gives in exchange for a token, of the type that was asked for, and for how many seconds; undefined when it gives nothing. */
export function givenToken(
  bytes: Buffer,
  subject: string,
  requestedType: string,
): { token: string; expires: number | undefined } | undefined {
  const said = objectIn(bytes);
  if (said === undefined) return undefined;
  const { access_token: token, token_type: type, issued_token_type: issued, expires_in: expires } = said;
  if (typeof token !== "string" || token.length > TOKEN_BYTES_MAX || !B64TOKEN.test(token)) return undefined;
  if (token === subject || typeof type !== "string" || type.toLowerCase() !== "bearer") return undefined;
  if (issued !== requestedType) return undefined;
  if (expires === undefined) return { token, expires };
  return typeof expires === "number" && Number.isInteger(expires) && expires >= 0 ? { token, expires } : undefined;
}

function objectIn(bytes: Buffer): Record<string, unknown> | undefined {
  if (!readStrictJson(bytes).ok) return undefined;
  const value: unknown = JSON.parse(bytes.toString("utf8"));
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}
