// What a passkey signs when somebody approves a call: a challenge that only this call, this approval and this moment have.
import { createHash } from "node:crypto";

const DOMAIN = "mcp-guard-approval-challenge-v1";

/** What an approval's challenge is made of. An auditor finds all of it in what is kept with the approval. */
export interface ChallengeFields {
  /** The digest of the call, 64 lower-case hex digits. */
  readonly digest: string;
  /** The approval's id. */
  readonly id: string;
  /** 16 random bytes, base64url. */
  readonly nonce: string;
  /** Until when the challenge may be answered, in seconds. */
  readonly expires: number;
}

/**
 * The challenge of an approval, base64url, as it stands in the client data of the assertion: SHA-256 over five fields, each behind its
 * length as 32 bits, most significant first: the domain, the digest as it is written, the id, the nonce's bytes, the expiry in decimal digits.
 */
export function approvalChallenge({ digest, id, nonce, expires }: ChallengeFields): string {
  const hash = createHash("sha256");
  for (const field of [DOMAIN, digest, id, Buffer.from(nonce, "base64url"), String(expires)]) {
    const bytes = Buffer.from(field);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest("base64url");
}
