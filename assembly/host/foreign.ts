// What Envoy offers beyond the ABI, by name, with protobuf messages as arguments (Envoy: source/extensions/common/wasm/foreign.cc). Two of
// them: signatures are verified and made with the proxy's own cryptography.

import { Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, wipe, writeByte, writeBytes, writeLiteral } from "../memory/writer";
import { Status } from "./abi";
import { proxy_call_foreign_function } from "./env";
import { landedAt, landedBytes, openLanding, RESULT_ADDRESS, RESULT_BYTES } from "./landing";

/** A receipt of the largest size, a key and what is around them. What does not fit is not verified. */
const ARGUMENTS_ROOM: u32 = 8192;
const message: Writer = allocateWriter(ARGUMENTS_ROOM);
const name: Writer = allocateWriter(literalBytes("verify_signature"));

/** The fields of `SignArguments` that we set (Envoy 1.37). */
const enum SignField {
  HashFunction = 1,
  PrivateKey = 2,
  Text = 3,
}

/** Those of `SignResult` that we read. */
const enum ResultField {
  Result = 1,
  Signature = 2,
}

/** The fields of `VerifySignatureArguments` that we set; all of them are texts or bytes. */
const enum Field {
  HashFunction = 1,
  PublicKey = 2,
  Signature = 3,
  Text = 4,
}

/** A protobuf field's key for a length-delimited value: the field's number, and 2 in the low three bits. */
const WIRE_TYPE_BYTES: u32 = 2;

/** `result: true`, and nothing else: field 1 as a varint of 1. */
const VERIFIED_BYTES: u32 = 2;
const VERIFIED: u16 = 0x0108;

/**
 * Whether the signature of the text is that of the key, with SHA-256. The key is the DER of a SubjectPublicKeyInfo; an ECDSA signature is the
 * DER of `ECDSA-Sig-Value` (RFC 3279 section 2.2.3): Envoy does not take the two numbers side by side. False too for whatever the host cannot or does not say.
 */
export function isSignedWithSha256(
  keyAt: usize,
  keyBytes: u32,
  signatureAt: usize,
  signatureBytes: u32,
  textAt: usize,
  textBytes: u32,
): bool {
  clear(name);
  writeLiteral(name, "verify_signature");
  clear(message);
  writeText(Field.HashFunction, "sha256");
  writeField(Field.PublicKey, keyAt, keyBytes);
  writeField(Field.Signature, signatureAt, signatureBytes);
  writeField(Field.Text, textAt, textBytes);
  if (message.overflowed) return false;
  openLanding();
  const status = proxy_call_foreign_function(
    name.start,
    name.length,
    message.start,
    message.length,
    RESULT_ADDRESS,
    RESULT_BYTES,
  );
  // Envoy 1.40: the status is Ok as well when the signature is not the key's, and when the key is of a kind that it cannot verify with.
  if (status != Status.Ok || landedBytes() != VERIFIED_BYTES) return false;
  return load<u16>(landedAt()) == VERIFIED; // SAFETY: two bytes have landed.
}

/** The signature that `signWithSha256` has made: alive until the host returns something else. */
export let madeAt: usize = 0;
export let madeBytes: u32 = 0;

/**
 * Signs a text with SHA-256 and a private key, the DER of its PKCS#8 (RFC 5958): RSASSA-PKCS1-v1_5 with one of RSA, the DER of `ECDSA-Sig-Value` with one on
 * a curve. False for whatever the host cannot or does not do: before Envoy 1.37 it cannot.
 */
export function signWithSha256(keyAt: usize, keyBytes: u32, textAt: usize, textBytes: u32): bool {
  clear(name);
  writeLiteral(name, "sign");
  clear(message);
  writeText(SignField.HashFunction, "sha256");
  writeField(SignField.PrivateKey, keyAt, keyBytes);
  writeField(SignField.Text, textAt, textBytes);
  openLanding();
  const isMade =
    !message.overflowed &&
    proxy_call_foreign_function(name.start, name.length, message.start, message.length, RESULT_ADDRESS, RESULT_BYTES) ==
      Status.Ok;
  wipe(message);
  return isMade && readSignature(landedAt(), landedBytes());
}

/** Finds the signature in a `SignResult`, which says `true`. False when it has no such form. */
function readSignature(address: usize, bytes: u32): bool {
  const end = address + bytes;
  let at = address;
  let isTrue = false;
  madeBytes = 0;
  while (at < end) {
    const key = u32(load<u8>(at)); // SAFETY: at < end.
    at++;
    // A length of two bytes is enough for keys of 8,192 bits, and an error's text.
    let value: u32 = 0;
    let shift: u32 = 0;
    let isWhole = false;
    while (at < end && shift < 14 && !isWhole) {
      const byte = u32(load<u8>(at)); // SAFETY: at < end.
      at++;
      value |= (byte & 0x7f) << shift;
      shift += 7;
      isWhole = byte < 0x80;
    }
    if (!isWhole) return false;
    if (key == ResultField.Result << 3) {
      isTrue = value == 1;
      continue;
    }
    if ((key & 7) != WIRE_TYPE_BYTES || value > u32(end - at)) return false;
    if (key >> 3 == ResultField.Signature) {
      madeAt = at;
      madeBytes = value;
    }
    at += value;
  }
  return isTrue && madeBytes != 0;
}

function writeText(field: u32, text: Literal): void {
  writeHead(field, literalBytes(text));
  writeLiteral(message, text);
}

function writeField(field: u32, address: usize, bytes: u32): void {
  writeHead(field, bytes);
  writeBytes(message, address, bytes);
}

/** Key and length of a field, the length as a varint: seven bits a byte, the lowest first. */
function writeHead(field: u32, bytes: u32): void {
  writeByte(message, (field << 3) | WIRE_TYPE_BYTES);
  while (bytes > 0x7f) {
    writeByte(message, (bytes & 0x7f) | 0x80);
    bytes >>= 7;
  }
  writeByte(message, bytes);
}
