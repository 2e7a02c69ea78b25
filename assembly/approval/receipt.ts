// Whether a receipt of the approval service is one for the call at hand: a JWS in compact form (RFC 7515), ES256 (RFC 7518 section 3.4), whose payload
// names the call. Everything is expected in one form only; no byte of the payload is read before its signature has been verified.

import { isSignedWithSha256 } from "../host/foreign";
import { JsonError } from "../json/error";
import {
  captureRaw,
  captureText,
  finish,
  initReader,
  JsonLimits,
  JsonReader,
  next,
  openChunk,
  resetReader,
  Token,
} from "../json/reader";
import { APPROVER_BYTES_MAX, CLOCK_SKEW_SECONDS, RECEIPT_BYTES_MAX, RECEIPT_SECONDS_MAX } from "../limits";
import { decodeBase64Url } from "../memory/base64";
import { equalBytes, equalsLiteral, Literal } from "../memory/bytes";
import { isPlainText } from "../memory/text";
import { Approver, ReceiptKey } from "../policy/approver";
import { Reason } from "../policy/reason";

/** What the receipt must say: who asked for what, and which claim of which approval it answers. */
@unmanaged
export class ExpectedReceipt {
  idAt: usize;
  idBytes: u32;
  nonceAt: usize;
  nonceBytes: u32;
  digestAt: usize;
  digestBytes: u32;
  serverAt: usize;
  serverBytes: u32;
  issuerAt: usize;
  issuerBytes: u32;
  principalAt: usize;
  principalBytes: u32;
  toolAt: usize;
  toolBytes: u32;
}

/** Who approved, of the receipt that was checked last; 0 bytes when it was not good. */
export const approverAt: usize = memory.data(APPROVER_BYTES_MAX, 4);
export let approverBytes: u32 = 0;

/** The members of the payload: one bit each. All of them are there, once. */
const enum Member {
  Version = 1,
  Id = 2,
  Nonce = 4,
  Digest = 8,
  Server = 16,
  Issuer = 32,
  Principal = 64,
  Tool = 128,
  Approver = 256,
  IssuedAt = 512,
  Expires = 1024,

  Unknown = 0,
  All = 2047,
}

/** The same for the protected header. */
const enum Parameter {
  Algorithm = 1,
  KeyId = 2,
  Type = 4,

  Unknown = 0,
  All = 7,
}

const DOT: u32 = 0x2e;
const VERSION: u64 = 1;
/** r and s, 32 bytes each (RFC 7518 section 3.4), and their number of characters in base64url. */
const NUMBER_BYTES: u32 = 32;
const SIGNATURE_BYTES: u32 = 64;
const SIGNATURE_CHARACTERS: u32 = 86;
/** A sequence of two integers, each with a byte for its sign: two bytes in front of each of the three. */
const DER_BYTES_MAX: u32 = 72;
const DER_SEQUENCE: u32 = 0x30;
const DER_INTEGER: u32 = 0x02;
const DER_HEAD_BYTES: u32 = 2;
/** Digits of a number of seconds: enough for 30,000 years, too few to overflow. More are none. */
const SECONDS_DIGITS_MAX: u32 = 12;

/** The receipt itself: the caller's may stand where the host puts the result of the verification. */
const receiptAt: usize = memory.data(RECEIPT_BYTES_MAX, 4);
/** The part at hand, decoded. */
const decodedAt: usize = memory.data((RECEIPT_BYTES_MAX / 4) * 3 + 3, 4);
const signatureAt: usize = memory.data(SIGNATURE_BYTES, 4);
const derAt: usize = memory.data(DER_BYTES_MAX, 4);

/** No text of either object is longer than the approver's. */
const TEXT_ROOM: u32 = APPROVER_BYTES_MAX;
const textAt: usize = memory.data(TEXT_ROOM, 4);

// Both objects are flat, and the longest of their names has nine bytes.
const DEPTH: u32 = 1;
const NAME_ROOM: u32 = 16;
const MEMBERS_MAX: u32 = 16;
const blockAt: usize = memory.data((DEPTH << 2) + NAME_ROOM, 4);
const limitsAt: usize = memory.data(offsetof<JsonLimits>(), 4);
const readerAt: usize = memory.data(offsetof<JsonReader>(), 8);
let isReady: bool = false;

// Of the payload at hand.
let issuedAt: u64 = 0;
let expires: u64 = 0;
/** Members that are as expected; the two times are as soon as they are times. */
let matching: u32 = 0;

/**
 * What is wrong with the `bytes` bytes at `at` as the receipt of that call. `Reason.None`: one of the approver's keys has signed it, and each of its fields is the
 * call's. `ApprovalSignature`: it is no such JWS. `ApprovalPrincipal`: it is somebody else's. `ApprovalMismatch`: another call's, not of now, or not in the form
 * that it must have. Ends the result of the host that was there before.
 */
export function checkReceipt(
  approver: Approver,
  at: usize,
  bytes: u32,
  expected: ExpectedReceipt,
  nowSeconds: u64,
): Reason {
  approverBytes = 0;
  if (bytes > RECEIPT_BYTES_MAX) return Reason.ApprovalSignature;
  memory.copy(receiptAt, at, bytes);
  const end = receiptAt + bytes;
  const headerEnd = findDot(receiptAt, end);
  const payload = headerEnd + 1;
  const payloadEnd = findDot(payload, end);
  // Behind the end when there was no first dot either.
  if (payloadEnd >= end) return Reason.ApprovalSignature;
  const key = keyOf(approver, receiptAt, u32(headerEnd - receiptAt));
  if (key === null) return Reason.ApprovalSignature;
  const derBytes = derOf(payloadEnd + 1, u32(end - payloadEnd - 1));
  if (derBytes == 0) return Reason.ApprovalSignature;
  // RFC 7515 section 5.2: what is signed is the text of both parts with the dot between them.
  if (!isSignedWithSha256(key.spkiAt, key.spkiBytes, derAt, derBytes, receiptAt, u32(payloadEnd - receiptAt))) {
    return Reason.ApprovalSignature;
  }
  const decoded = decodeBase64Url(payload, u32(payloadEnd - payload), decodedAt);
  if (decoded < 0) return Reason.ApprovalSignature;
  return judge(decodedAt, u32(decoded), expected, nowSeconds);
}

/** The first dot from `at` on; `end`, or `at` when that stands behind it, when there is none. */
function findDot(at: usize, end: usize): usize {
  while (at < end && u32(load<u8>(at)) != DOT) at++; // SAFETY: at < end.
  return at;
}

// --- The protected header. ---

/** The key that the header of `bytes` characters at `address` names; null when it is not exactly the header that a receipt has. */
function keyOf(approver: Approver, address: usize, bytes: u32): ReceiptKey | null {
  const decoded = decodeBase64Url(address, bytes, decodedAt);
  if (decoded < 0) return null;
  const reader = openObject(decodedAt, u32(decoded));
  if (next(reader) != Token.ObjectStart) return null;
  let key: ReceiptKey | null = null;
  let found: u32 = 0;
  while (true) {
    const token = next(reader);
    if (token == Token.ObjectEnd) break;
    if (token != Token.Key) return null;
    // `crit` is unknown too, as whatever else would change how the receipt is to be read (RFC 7515 section 4.1.11).
    const parameter = parameterOf(reader);
    if (parameter == Parameter.Unknown || !readText(reader)) return null;
    found |= parameter;
    if (parameter == Parameter.Algorithm && !isText(reader, "ES256")) return null;
    if (parameter == Parameter.Type && !isText(reader, "mcp-guard-receipt+jws")) return null;
    if (parameter == Parameter.KeyId) key = keyNamed(approver, textAt, reader.textBytes);
  }
  return isWhole(reader) && found == Parameter.All ? key : null;
}

function parameterOf(reader: JsonReader): Parameter {
  if (isKey(reader, "alg")) return Parameter.Algorithm;
  if (isKey(reader, "kid")) return Parameter.KeyId;
  return isKey(reader, "typ") ? Parameter.Type : Parameter.Unknown;
}

function keyNamed(approver: Approver, address: usize, bytes: u32): ReceiptKey | null {
  // There are two at most.
  let key = approver.firstKey;
  while (key !== null) {
    if (key.kidBytes == bytes && equalBytes(key.kidAt, address, bytes)) return key;
    key = key.next;
  }
  return null;
}

// --- The signature. ---

/** Puts the signature of `bytes` characters at `address` to `derAt` in the form that the host takes. Its bytes; 0 when it is none. */
function derOf(address: usize, bytes: u32): u32 {
  if (bytes != SIGNATURE_CHARACTERS || decodeBase64Url(address, bytes, signatureAt) < 0) return 0;
  const rBytes = writeInteger(signatureAt, derAt + DER_HEAD_BYTES);
  const sBytes = writeInteger(signatureAt + NUMBER_BYTES, derAt + DER_HEAD_BYTES + rBytes);
  // Neither is ever 0 (FIPS 186-5 section 6.4.2); verifiers that forgot it have taken such signatures for anything.
  if (rBytes == 0 || sBytes == 0) return 0;
  writeHead(derAt, DER_SEQUENCE, rBytes + sBytes);
  return DER_HEAD_BYTES + rBytes + sBytes;
}

/** Writes the number of 32 bytes at `from` as an INTEGER in DER (X.690 section 8.3): as short as it can be, positive. Its bytes; 0 when it is 0. */
function writeInteger(from: usize, to: usize): u32 {
  let zeros: u32 = 0;
  while (zeros < NUMBER_BYTES && load<u8>(from + zeros) == 0) zeros++; // SAFETY: zeros < 32.
  if (zeros == NUMBER_BYTES) return 0;
  const bytes = NUMBER_BYTES - zeros;
  const sign = u32(load<u8>(from + zeros)) >> 7; // SAFETY: zeros < 32.
  writeHead(to, DER_INTEGER, sign + bytes);
  // SAFETY: derAt has room for two numbers with all of this.
  store<u8>(to, 0, DER_HEAD_BYTES);
  memory.copy(to + DER_HEAD_BYTES + sign, from + zeros, bytes);
  return DER_HEAD_BYTES + sign + bytes;
}

/** Tag and length; no length here is above 127, so that it has one byte. */
function writeHead(to: usize, tag: u32, bytes: u32): void {
  store<u8>(to, tag); // SAFETY: derAt has room for it, as above.
  store<u8>(to, bytes, 1); // SAFETY: as above.
}

// --- The payload. ---

/** What is wrong with a payload that one of the keys has signed. */
function judge(address: usize, bytes: u32, expected: ExpectedReceipt, now: u64): Reason {
  const approvedBytes = readPayload(address, bytes, expected);
  if (approvedBytes == 0) return Reason.ApprovalMismatch;
  // First of all: another principal's receipt has another digest too.
  const principal = Member.Issuer | Member.Principal;
  if ((matching & principal) != principal) return Reason.ApprovalPrincipal;
  if (matching != Member.All || !isOfNow(now)) return Reason.ApprovalMismatch;
  approverBytes = approvedBytes;
  return Reason.None;
}

/** Notes which members are as expected. Bytes of the approver's text; 0 when the payload has not exactly the members of a receipt, each of its type. */
function readPayload(address: usize, bytes: u32, expected: ExpectedReceipt): u32 {
  const reader = openObject(address, bytes);
  if (next(reader) != Token.ObjectStart) return 0;
  let found: u32 = 0;
  let approvedBytes: u32 = 0;
  matching = 0;
  while (true) {
    const token = next(reader);
    if (token == Token.ObjectEnd) break;
    if (token != Token.Key) return 0;
    const member = memberOf(reader);
    if (member == Member.Unknown) return 0;
    found |= member;
    if (member == Member.Version || member == Member.IssuedAt || member == Member.Expires) {
      if (!readNumber(reader, member)) return 0;
      continue;
    }
    if (!readText(reader)) return 0;
    if (member != Member.Approver) {
      if (isExpected(member, reader.textBytes, expected)) matching |= member;
      continue;
    }
    approvedBytes = reader.textBytes;
    if (!isPlainText(textAt, approvedBytes)) return 0;
    memory.copy(approverAt, textAt, approvedBytes);
    matching |= member;
  }
  return isWhole(reader) && found == Member.All ? approvedBytes : 0;
}

function memberOf(reader: JsonReader): Member {
  if (isKey(reader, "v")) return Member.Version;
  if (isKey(reader, "id")) return Member.Id;
  if (isKey(reader, "nonce")) return Member.Nonce;
  if (isKey(reader, "digest")) return Member.Digest;
  if (isKey(reader, "server")) return Member.Server;
  if (isKey(reader, "issuer")) return Member.Issuer;
  if (isKey(reader, "principal")) return Member.Principal;
  if (isKey(reader, "tool")) return Member.Tool;
  if (isKey(reader, "approver")) return Member.Approver;
  if (isKey(reader, "iat")) return Member.IssuedAt;
  return isKey(reader, "exp") ? Member.Expires : Member.Unknown;
}

/** Whether the text at hand is what the call has there. */
function isExpected(member: Member, bytes: u32, expected: ExpectedReceipt): bool {
  switch (member) {
    case Member.Id:
      return isSame(bytes, expected.idAt, expected.idBytes);
    case Member.Nonce:
      return isSame(bytes, expected.nonceAt, expected.nonceBytes);
    case Member.Digest:
      return isSame(bytes, expected.digestAt, expected.digestBytes);
    case Member.Server:
      return isSame(bytes, expected.serverAt, expected.serverBytes);
    case Member.Issuer:
      return isSame(bytes, expected.issuerAt, expected.issuerBytes);
    case Member.Principal:
      return isSame(bytes, expected.principalAt, expected.principalBytes);
    case Member.Tool:
      return isSame(bytes, expected.toolAt, expected.toolBytes);
    default:
      return false;
  }
}

function isSame(bytes: u32, at: usize, expectedBytes: u32): bool {
  return bytes == expectedBytes && equalBytes(textAt, at, bytes);
}

/** Takes the next value as the number of that member. False when it is not one in plain digits. */
function readNumber(reader: JsonReader, member: Member): bool {
  captureRaw(reader, textAt, TEXT_ROOM);
  if (next(reader) != Token.Number || reader.rawBytes > SECONDS_DIGITS_MAX) return false;
  let value: u64 = 0;
  for (let i: u32 = 0; i < reader.rawBytes; i++) {
    const digit = u32(load<u8>(textAt + i)) - 0x30; // SAFETY: i < rawBytes, which is below TEXT_ROOM.
    // A sign, a fraction and an exponent are other spellings, or no whole number.
    if (digit > 9) return false;
    value = value * 10 + u64(digit);
  }
  if (member == Member.IssuedAt) issuedAt = value;
  else if (member == Member.Expires) expires = value;
  if (member != Member.Version || value == VERSION) matching |= member;
  return true;
}

/** Whether the receipt has been issued, has not expired, and is not good for longer than one may be. */
function isOfNow(now: u64): bool {
  if (issuedAt > now + CLOCK_SKEW_SECONDS || expires + CLOCK_SKEW_SECONDS < now) return false;
  // Without a sign: an end before the beginning is a very long time.
  return expires - issuedAt <= RECEIPT_SECONDS_MAX;
}

// --- Reading either object. ---

/** The reader at the beginning of a text. The text is there as a whole, so a token that needs more of it never comes. */
function openObject(address: usize, bytes: u32): JsonReader {
  const reader = changetype<JsonReader>(readerAt);
  if (!isReady) {
    const limits = changetype<JsonLimits>(limitsAt);
    limits.depth = DEPTH;
    limits.membersPerObject = MEMBERS_MAX;
    limits.openMembers = MEMBERS_MAX;
    limits.keyBytes = NAME_ROOM;
    initReader(reader, blockAt, limits);
    isReady = true;
  }
  resetReader(reader);
  openChunk(reader, address, bytes);
  return reader;
}

/** Whether nothing stands behind the object that has ended. */
function isWhole(reader: JsonReader): bool {
  return next(reader) == Token.NeedMore && finish(reader) == JsonError.None;
}

/** Takes the next value as a text to `textAt`: false when it is none, or longer than any that is expected. */
function readText(reader: JsonReader): bool {
  captureText(reader, textAt, TEXT_ROOM);
  return next(reader) == Token.String && reader.textBytes <= TEXT_ROOM;
}

function isText(reader: JsonReader, text: Literal): bool {
  return equalsLiteral(textAt, reader.textBytes, text);
}

function isKey(reader: JsonReader, name: Literal): bool {
  return equalsLiteral(reader.keyAt, reader.textBytes, name);
}
