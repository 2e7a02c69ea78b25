// The key that receipts are signed with.
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Receipt, signReceipt } from "../src/approval/receipt.ts";
import { GuardError } from "../src/error.ts";
import type { Settings } from "./settings.ts";

/** OpenSSL's name of P-256 (RFC 7518, section 3.4: the curve of ES256). */
const CURVE = "prime256v1";

export interface ReceiptSigner {
  readonly kid: string;
  /** The public key as the guard's policy has it (`approval.keys`): base64 of its DER. */
  readonly spki: string;
  /** @returns the compact JWS. Two signatures over one receipt differ. */
  sign(receipt: Receipt): Promise<string>;
}

/**
 * Reads the signing key.
 * @throws GuardError `ERR_USAGE` when the file cannot be read, or has no private key of the curve P-256.
 */
export function readSigner({ keyFile, kid }: Settings["signing"]): ReceiptSigner {
  const expected = "a file with an EC P-256 private key (PKCS #8, PEM)";
  const problem = (what: string, cause?: unknown) =>
    new GuardError("ERR_USAGE", `SIGNING_KEY_FILE=${keyFile} ${what}; expected ${expected}`, { cause });
  let pem: string;
  try {
    pem = readFileSync(keyFile, "utf8");
  } catch (error) {
    throw problem(`cannot be read (${error instanceof Error ? error.message : String(error)})`, error);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    // OpenSSL's words are about its decoders, and the file's content is nobody's business.
    throw problem("has no private key that can be read", error);
  }
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== CURVE) {
    throw problem(`has a key of the type ${key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType}`);
  }
  const spki = createPublicKey(key).export({ format: "der", type: "spki" }).toString("base64");
  return { kid, spki, sign: (receipt) => signReceipt(receipt, key, kid) };
}
