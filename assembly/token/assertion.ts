// Who the filter is, in the form `private_key_jwt` (RFC 7523 sections 2.2 and 3): a JWT that it signs with its own key, for one question, good for a minute.

import { now } from "../host/clock";
import { madeAt, madeBytes, signWithSha256 } from "../host/foreign";
import { fillRandom } from "../host/random";
import { ASSERTION_SECONDS, CLIENT_KID_BYTES_MAX, TOKEN_TEXT_BYTES_MAX } from "../limits";
import { base64UrlBytes, encodeBase64Url } from "../memory/base64";
import { appendLiteral, appendZeros, Buffer, reserveBytes, wipeBuffer } from "../memory/buffer";
import {
  allocateWriter,
  clear,
  Writer,
  wipe,
  writeByte,
  writeBytes,
  writeJsonString,
  writeLiteral,
  writeNumber,
} from "../memory/writer";
import { SigningAlgorithm, TokenService } from "../policy/token-service";
import { appendField, appendLiteralField } from "./form";

const JTI_BYTES: u32 = 16;
/** r and s of P-256 (RFC 7518 section 3.4). */
const NUMBER_BYTES: u32 = 32;
/** Of RSA keys of 2,048 to 8,192 bits. */
const RSA_BYTES_MIN: u32 = 256;
const RSA_BYTES_MAX: u32 = 1024;
/** The client's id stands there twice, the audience once; a quote and a backslash take two characters. */
const PART_ROOM: u32 = 6 * TOKEN_TEXT_BYTES_MAX + 2 * CLIENT_KID_BYTES_MAX + 256;
/** Both parts in base64url, and the signature of an RSA key of 8,192 bits. */
const ASSERTION_ROOM: u32 = PART_ROOM * 2 + 2048;
const part: Writer = allocateWriter(PART_ROOM);
const assertion: Buffer = changetype<Buffer>(memory.data(16, 8));
const jtiAt: usize = memory.data(JTI_BYTES, 8);
const jtiTextAt: usize = memory.data(24, 8);
const numbersAt: usize = memory.data(2 * NUMBER_BYTES, 8);

/** Appends the two fields that say who asks. False when the host has no time, no random numbers or no signature, or the key is not of the kind that the algorithm needs. */
export function appendAssertion(form: Buffer, service: TokenService): bool {
  const seconds = now() / 1_000_000_000;
  if (seconds == 0 || !fillRandom(jtiAt, JTI_BYTES)) return false;
  reserveBytes(assertion, ASSERTION_ROOM);
  writeHeader(service);
  appendPart();
  appendLiteral(assertion, ".");
  writeClaims(service, seconds);
  appendPart();
  const isSigned = !part.overflowed && appendSignature(service);
  if (isSigned) {
    appendLiteralField(form, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    appendField(form, "client_assertion", assertion.at, assertion.length);
  }
  wipeBuffer(assertion);
  wipe(part);
  return isSigned;
}

function writeHeader(service: TokenService): void {
  clear(part);
  writeLiteral(part, service.algorithm == SigningAlgorithm.Es256 ? '{"alg":"ES256"' : '{"alg":"RS256"');
  if (service.kidBytes != 0) {
    writeLiteral(part, ',"kid":');
    writeJsonString(part, service.kidAt, service.kidBytes);
  }
  writeLiteral(part, ',"typ":"JWT"}');
}

function writeClaims(service: TokenService, seconds: u64): void {
  clear(part);
  writeLiteral(part, '{"iss":');
  writeJsonString(part, service.clientAt, service.clientBytes);
  writeLiteral(part, ',"sub":');
  writeJsonString(part, service.clientAt, service.clientBytes);
  writeLiteral(part, ',"aud":');
  writeJsonString(part, service.assertionAudienceAt, service.assertionAudienceBytes);
  writeLiteral(part, ',"jti":"');
  encodeBase64Url(jtiAt, JTI_BYTES, jtiTextAt);
  writeBytes(part, jtiTextAt, base64UrlBytes(JTI_BYTES));
  writeLiteral(part, '","iat":');
  writeNumber(part, seconds);
  writeLiteral(part, ',"exp":');
  writeNumber(part, seconds + ASSERTION_SECONDS);
  writeByte(part, 0x7d);
}

function appendPart(): void {
  appendEncoded(part.start, part.length);
}

function appendEncoded(at: usize, bytes: u32): void {
  const from = assertion.length;
  appendZeros(assertion, base64UrlBytes(bytes));
  encodeBase64Url(at, bytes, assertion.at + from);
}

/** RFC 7515 section 5.1: what is signed is the text of both parts with the dot between them. */
function appendSignature(service: TokenService): bool {
  if (!signWithSha256(service.secretAt, service.secretBytes, assertion.at, assertion.length)) return false;
  appendLiteral(assertion, ".");
  const isUsable = service.algorithm == SigningAlgorithm.Rs256 ? appendRsa() : appendEcdsa();
  memory.fill(madeAt, 0, madeBytes);
  memory.fill(numbersAt, 0, 2 * NUMBER_BYTES);
  return isUsable;
}

/** A signature of RSA has the bits of its key, 2,048 at least (RFC 7518 section 3.3): one of a curve is shorter. */
function appendRsa(): bool {
  if (madeBytes < RSA_BYTES_MIN || madeBytes > RSA_BYTES_MAX) return false;
  appendEncoded(madeAt, madeBytes);
  return true;
}

/** The two numbers side by side (RFC 7518 section 3.4). */
function appendEcdsa(): bool {
  if (!readNumbers(madeAt, madeBytes)) return false;
  appendEncoded(numbersAt, 2 * NUMBER_BYTES);
  return true;
}

/** Takes r and s out of the DER of an `ECDSA-Sig-Value` (RFC 3279 section 2.2.3): 32 bytes each. False when it is none of P-256. */
function readNumbers(at: usize, bytes: u32): bool {
  // Both numbers have their sign in a byte of its own at most, so no length has more than one byte.
  if (bytes < 2 || load<u8>(at) != 0x30 || u32(load<u8>(at, 1)) + 2 != bytes) return false; // SAFETY: two bytes are there.
  memory.fill(numbersAt, 0, 2 * NUMBER_BYTES);
  const end = at + bytes;
  const second = readNumber(at + 2, end, numbersAt);
  return second != 0 && readNumber(second, end, numbersAt + NUMBER_BYTES) == end;
}

/** Puts the INTEGER at `at` to the end of the 32 bytes at `to`. The address behind it; 0 when it is none, or too large. */
function readNumber(at: usize, end: usize, to: usize): usize {
  if (end - at < 2 || load<u8>(at) != 0x02) return 0; // SAFETY: two bytes are there, for both.
  let bytes = u32(load<u8>(at, 1));
  at += 2;
  if (bytes > u32(end - at)) return 0;
  const behind = at + bytes;
  while (bytes > NUMBER_BYTES && load<u8>(at) == 0) {
    // SAFETY: bytes of the number stand at `at`.
    at++;
    bytes--;
  }
  if (bytes > NUMBER_BYTES) return 0;
  memory.copy(to + NUMBER_BYTES - bytes, at, bytes);
  return behind;
}
