// What the requests of guards have in common.

/** SHA-256 over the call. */
export const DIGEST_SCHEMA = { type: "string", pattern: "^[0-9a-f]{64}$" } as const;

/** 128 random bits in base64url (RFC 4648, section 5). */
const RANDOM = "^[A-Za-z0-9_-]{22}$";

export const ID_SCHEMA = { type: "string", pattern: RANDOM, description: "The approval's id." } as const;
export const NONCE_SCHEMA = {
  type: "string",
  pattern: RANDOM,
  description: "Chosen by the guard for one claim: the same one again is a retry.",
} as const;
