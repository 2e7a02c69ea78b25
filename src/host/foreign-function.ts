import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { HostError } from "./host-error.ts";
import { decodeFields, encodeBytes, encodeFlagAndText } from "./protobuf.ts";
import { Status } from "./status.ts";

/** What a foreign function gives. A result is written to the module only where there is one. */
export interface ForeignResult {
  readonly status: Status;
  readonly result?: Uint8Array;
}

/** The foreign functions of Envoy 1.40.0 that this host does not model. */
const UNMODELLED = [
  "compress",
  "uncompress",
  "set_envoy_filter_state",
  "clear_route_cache",
  "expr_create",
  "expr_evaluate",
  "expr_delete",
  "declare_property",
];

/** `VerifySignatureArguments` and `VerifySignatureResult`. */
const FIELD = { HashFunction: 1, PublicKey: 2, Signature: 3, Text: 4, PublicKeyPem: 5 } as const;
const RESULT_FIELD = { Result: 1, Error: 2 } as const;
/** `SignArguments` and `SignResult`, since 1.37. */
const SIGN_FIELD = { HashFunction: 1, PrivateKey: 2, Text: 3, PrivateKeyPem: 4 } as const;
const SIGN_RESULT_FIELD = { Result: 1, Signature: 2, Error: 3 } as const;
const HASHES = ["sha1", "sha224", "sha256", "sha384", "sha512"];
const NONE = new Uint8Array();

/**
 * Calls a foreign function as Envoy does (`source/extensions/common/wasm/foreign.cc`).
 * @throws HostError ERR_HOST_CALL for one that Envoy has and this host does not model.
 */
export function callForeignFunction(name: string, args: Uint8Array): ForeignResult {
  if (name === "verify_signature") return verifySignature(args);
  if (name === "sign") return makeSignature(args);
  if (UNMODELLED.includes(name)) {
    throw new HostError("ERR_HOST_CALL", `the foreign function ${name} is not modelled by this host`);
  }
  return { status: Status.NotFound };
}

/** Arguments that cannot be read, and no key or two, are a bad argument; all else is Ok, with the verdict in the result. */
function verifySignature(args: Uint8Array): ForeignResult {
  const fields = decodeFields(args);
  const hash = textOf(fields?.get(FIELD.HashFunction));
  const pem = textOf(fields?.get(FIELD.PublicKeyPem));
  if (fields === undefined || hash === undefined || pem === undefined) return { status: Status.BadArgument };
  const der = fields.get(FIELD.PublicKey) ?? NONE;
  if (der.length > 0 === (pem !== "")) return { status: Status.BadArgument };
  const key = keyOf(der, pem);
  const error = errorOf(hash, key, fields.get(FIELD.Signature) ?? NONE, fields.get(FIELD.Text) ?? NONE);
  const result = encodeFlagAndText(RESULT_FIELD.Result, error === "", RESULT_FIELD.Error, error);
  return { status: Status.Ok, result };
}

/** The same for `sign`: PKCS#8, as DER or PEM, of RSA or on a curve; of the one PKCS #1 v1.5, of the other DER of r and s. */
function makeSignature(args: Uint8Array): ForeignResult {
  const fields = decodeFields(args);
  const hash = textOf(fields?.get(SIGN_FIELD.HashFunction));
  const pem = textOf(fields?.get(SIGN_FIELD.PrivateKeyPem));
  if (fields === undefined || hash === undefined || pem === undefined) return { status: Status.BadArgument };
  const der = fields.get(SIGN_FIELD.PrivateKey) ?? NONE;
  if (der.length > 0 === (pem !== "")) return { status: Status.BadArgument };
  const key = privateKeyOf(der, pem);
  const error = signErrorOf(hash, key);
  const made = error === "" ? sign(hash.toLowerCase(), fields.get(SIGN_FIELD.Text) ?? NONE, key!) : NONE;
  const result = Buffer.concat([
    encodeFlagAndText(SIGN_RESULT_FIELD.Result, error === "", SIGN_RESULT_FIELD.Error, error),
    encodeBytes(SIGN_RESULT_FIELD.Signature, made),
  ]);
  return { status: Status.Ok, result };
}

function signErrorOf(hash: string, key: KeyObject | undefined): string {
  if (key === undefined) return "Invalid key type: private key required for signing operation.";
  if (!HASHES.includes(hash.toLowerCase())) return `${hash} is not supported.`;
  return key.asymmetricKeyType === "ed25519" ? "Invalid private key: key data is corrupted or malformed." : "";
}

function privateKeyOf(der: Uint8Array, pem: string): KeyObject | undefined {
  try {
    if (der.length > 0) return createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
    return pem.includes("-----BEGIN PRIVATE KEY-----") ? createPrivateKey({ key: pem, format: "pem" }) : undefined;
  } catch {
    return undefined;
  }
}

/** Why the signature is not that of the key, in Envoy's words; empty when it is. */
function errorOf(hash: string, key: KeyObject | undefined, signature: Uint8Array, text: Uint8Array): string {
  const digest = hash.toLowerCase();
  if (!HASHES.includes(digest)) return `${hash} is not supported.`;
  // BoringSSL takes no digest for a key whose signature has its own (RFC 8032).
  if (key === undefined || key.asymmetricKeyType === "ed25519") return "Failed to initialize digest verify.";
  return verify(digest, text, { key, dsaEncoding: "der" }, signature) ? "" : "Failed to verify digest. Error code: 0";
}

/** The key in the form that is given; undefined when there is none in it. */
function keyOf(der: Uint8Array, pem: string): KeyObject | undefined {
  try {
    if (der.length > 0) return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
    // Node would also take the public key out of a private one or a certificate.
    return pem.includes("-----BEGIN PUBLIC KEY-----") ? createPublicKey({ key: pem, format: "pem" }) : undefined;
  } catch {
    return undefined;
  }
}

/** A text of a message: proto3 refuses one that is not UTF-8. */
function textOf(bytes: Uint8Array = NONE): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
