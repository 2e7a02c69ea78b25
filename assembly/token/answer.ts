// What a token endpoint answers (RFC 8693 section 2.2): a token, a refusal of the caller's, or anything else, which is none of both.

import { allocateReader } from "../json/allocate";
import { JsonError } from "../json/error";
import { captureRaw, captureText, finish, JsonReader, next, openChunk, resetReader, Token } from "../json/reader";
import {
  DEPTH_MAX,
  EXPIRES_DIGITS_MAX,
  KEY_BYTES_MAX,
  MEMBERS_PER_OBJECT_DEFAULT,
  OPEN_MEMBERS_DEFAULT,
  TOKEN_BYTES_MAX,
} from "../limits";
import { equalsLiteral, equalsLiteralIgnoringCase, Literal, literalByte, literalBytes } from "../memory/bytes";
import { TOKEN_TYPES, TokenType } from "../policy/token-service";
import { isBearerToken } from "./subject";

/** What an answer means. */
export const enum Answer {
  /** It cannot be used, and says nothing about the caller. */
  None,
  Token,
  /** The caller's token is not accepted. */
  Refused,
}

/** Members that are as they must be; one bit each. `expires_in` may be absent, and then counts as good. */
const enum Member {
  AccessToken = 1,
  TokenType = 2,
  IssuedTokenType = 4,
  ExpiresIn = 8,

  All = 15,
}

/** What `expiresIn` is when nothing is said. */
export const NO_EXPIRY: i64 = -1;

/** The token of the answer that was read last; wiped by `forgetAnswer`. */
export const mintedAt: usize = memory.data(TOKEN_BYTES_MAX, 4);
export let mintedBytes: u32 = 0;
/** Seconds that it is good for, or NO_EXPIRY. */
export let expiresIn: i64 = NO_EXPIRY;

/** The longest text that is asked for beside the token is the name of a type. */
const TEXT_ROOM: u32 = 128;
const textAt: usize = memory.data(TEXT_ROOM, 4);
const reader: JsonReader = allocateReader(DEPTH_MAX, MEMBERS_PER_OBJECT_DEFAULT, OPEN_MEMBERS_DEFAULT, KEY_BYTES_MAX);
/** The error that the answer named: index in `ERRORS`, -1 when it is none of them. */
let error: i32 = -1;

/**
 * Errors that concern the caller's token (RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 6750 section 3.1). `invalid_request` can mean an
 * actor's token too, and nothing in the answer tells which: then callers are told that theirs was not accepted.
 */
const ERRORS: Literal = "invalid_request invalid_grant invalid_token access_denied";

/**
 * Reads an answer of `bytes` bytes at `address` with that status; `requested` is the type of token that was asked for. What it has given stands at `mintedAt` then.
 */
export function readAnswer(status: u32, address: usize, bytes: u32, requested: TokenType): Answer {
  forgetAnswer();
  const found = readMembers(address, bytes, requested);
  memory.fill(textAt, 0, TEXT_ROOM);
  resetReader(reader);
  if (status == 200 && found == Member.All) return Answer.Token;
  const isRefusal = status == 400 || status == 401 || status == 403;
  const isAboutCaller = found != 0 && error >= 0;
  forgetAnswer();
  return isRefusal && isAboutCaller ? Answer.Refused : Answer.None;
}

/** Overwrites the token. */
export function forgetAnswer(): void {
  // All of it: an answer that breaks off inside its token has left a part of that.
  memory.fill(mintedAt, 0, TOKEN_BYTES_MAX);
  mintedBytes = 0;
  expiresIn = NO_EXPIRY;
  error = -1;
}

/** Bits of `Member`; 0 when the text is no JSON object. An object without any has ExpiresIn. */
function readMembers(address: usize, bytes: u32, requested: TokenType): u32 {
  resetReader(reader);
  reader.reportDepth = 1;
  openChunk(reader, address, bytes);
  if (next(reader) != Token.ObjectStart) return 0;
  let found: u32 = Member.ExpiresIn;
  while (true) {
    const token = next(reader);
    if (token == Token.ObjectEnd) break;
    if (token != Token.Key) return 0;
    if (isKey("access_token")) {
      if (readToken()) found |= Member.AccessToken;
    } else if (isKey("token_type")) {
      if (readText() && equalsLiteralIgnoringCase(textAt, reader.textBytes, "bearer")) found |= Member.TokenType;
    } else if (isKey("issued_token_type")) {
      if (readText() && isType(requested)) found |= Member.IssuedTokenType;
    } else if (isKey("expires_in")) {
      if (!readSeconds()) found &= ~Member.ExpiresIn;
    } else if (isKey("error")) {
      if (readText()) error = errorIndex();
    } else {
      skipValue(next(reader));
    }
  }
  const isWhole = next(reader) == Token.NeedMore && finish(reader) == JsonError.None;
  return isWhole ? found : 0;
}

function isKey(name: Literal): bool {
  return equalsLiteral(reader.keyAt, reader.textBytes, name);
}

/** Goes behind a value that has begun with `token`: what is no value fails again where the next member is asked for. */
function skipValue(token: Token): void {
  if (token == Token.ObjectStart || token == Token.ArrayStart) next(reader);
}

function readToken(): bool {
  captureText(reader, mintedAt, TOKEN_BYTES_MAX);
  const token = next(reader);
  skipValue(token);
  if (token != Token.String) return false;
  mintedBytes = reader.textBytes;
  return mintedBytes <= TOKEN_BYTES_MAX && isBearerToken(mintedAt, mintedBytes);
}

/** Takes a text to `textAt`: false when it is none, or longer than any that is expected. */
function readText(): bool {
  captureText(reader, textAt, TEXT_ROOM);
  const token = next(reader);
  skipValue(token);
  return token == Token.String && reader.textBytes <= TEXT_ROOM;
}

/** Takes a whole number in plain digits. */
function readSeconds(): bool {
  captureRaw(reader, textAt, TEXT_ROOM);
  const token = next(reader);
  skipValue(token);
  if (token != Token.Number || reader.rawBytes > EXPIRES_DIGITS_MAX) return false;
  let seconds: i64 = 0;
  for (let i: u32 = 0; i < reader.rawBytes; i++) {
    const digit = u32(load<u8>(textAt + i)) - 0x30; // SAFETY: i < rawBytes, which is below TEXT_ROOM.
    if (digit > 9) return false;
    seconds = seconds * 10 + i64(digit);
  }
  expiresIn = seconds;
  return true;
}

/** Whether the text at hand is the name of that type. */
function isType(kind: TokenType): bool {
  return wordOf(TOKEN_TYPES) == i32(kind);
}

function errorIndex(): i32 {
  return wordOf(ERRORS);
}

/** Index of the text at hand among words that have one space between them; -1 when it is none of them. */
function wordOf(words: Literal): i32 {
  const bytes = reader.textBytes;
  const all = literalBytes(words);
  let index = 0;
  let from: u32 = 0;
  while (from < all) {
    let same: u32 = 0;
    // SAFETY: same < bytes, which is at most TEXT_ROOM.
    while (same < bytes && from + same < all && isAt(words, from + same, u32(load<u8>(textAt + same)))) same++;
    const end = from + same;
    if (same == bytes && (end == all || literalByte(words, end) == 0x20)) return index;
    while (from < all && literalByte(words, from) != 0x20) from++;
    from++;
    index++;
  }
  return -1;
}

/** Whether that byte of a word stands there. */
function isAt(words: Literal, index: u32, byte: u32): bool {
  return byte != 0x20 && literalByte(words, index) == byte;
}
