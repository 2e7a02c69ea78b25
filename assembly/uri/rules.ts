// The rules that every URI and path must pass (docs/policy.md, "Resource URIs"). The standard's rule is: no `..` and
// no `%2e%2e` anywhere. It is kept to the letter, and closed under what servers do with a URI before they open
// it: decode it, once or more often; take TAB and line breaks out; read `\` or a look-alike as `/`; drop what follows `;`.

import { URI_BYTES_MAX } from "../limits";
import { UriFault } from "./fault";
import { decodeOnce, Glyph, glyphAt, glyphBytes, isUtf8, tripleAt } from "./text";

/** `uri_traversal`. */
export const enum Traversal {
  /** `..` is refused wherever it stands. */
  Literal,
  /** Only whole segments of dots are refused: for servers whose URIs contain `v1..v2`. */
  Segment,
}

/** What a text is. */
export const enum Form {
  /** An absolute URI (RFC 3986 section 4.3, with a fragment). */
  Uri,
  /** A URI template (RFC 6570): braces are legal. */
  Template,
  /** A path or a piece of one: relative, with spaces and backslashes where a file system has them. */
  Path,
}

/** Rounds of decoding. A text that still changes after them is not one that a server meant to be asked for. */
export const ROUNDS: u32 = 3;

const scratch: usize = memory.data(URI_BYTES_MAX);

/**
 * Why the `bytes` bytes at `address`, well-formed UTF-8, are refused. The text itself is not changed. Linear in `bytes`; longer
 * than URI_BYTES_MAX is Malformed.
 */
export function checkUri(address: usize, bytes: u32, traversal: Traversal, form: Form): UriFault {
  if (bytes == 0 || bytes > URI_BYTES_MAX) return UriFault.Malformed;
  if (!isCleanText(address, bytes, form)) return UriFault.Malformed;
  if (form != Form.Path && !hasSafeStructure(address, bytes)) return UriFault.Malformed;
  memory.copy(scratch, address, bytes);
  let length = bytes;
  for (let round: u32 = 0; round <= ROUNDS; round++) {
    if (hasControl(scratch, length)) return UriFault.Malformed;
    if (traversal == Traversal.Literal && hasTwoDots(scratch, length)) return UriFault.Traversal;
    if (hasDotSegment(scratch, length, form)) return UriFault.Traversal;
    const decoded = decodeOnce(scratch, length);
    if (decoded == length) return UriFault.None;
    if (!isUtf8(scratch, decoded)) return UriFault.Malformed;
    length = decoded;
  }
  // Encoded more often than any server decodes.
  return UriFault.Traversal;
}

/** The characters as they stand: what RFC 3986 does not allow and readers treat differently. */
function isCleanText(address: usize, bytes: u32, form: Form): bool {
  const end = address + bytes;
  for (let at = address; at < end; at++) {
    // SAFETY: at < end.
    const byte = u32(load<u8>(at));
    if (byte == 0x25) {
      if (form != Form.Path && tripleAt(at, end) == 256) return false;
    } else if (byte == 0x7b || byte == 0x7d) {
      if (form == Form.Uri) return false;
    } else if (byte < 0x80 && form != Form.Path && !isUriByte(byte)) {
      return false;
    }
  }
  // Some readers trim both ends.
  const first = u32(load<u8>(address)); // SAFETY: bytes is not 0.
  const last = u32(load<u8>(end - 1)); // SAFETY: bytes is not 0.
  return first > 0x20 && last > 0x20 && !isBlankGlyph(address, end) && !isBlankGlyph(lastCharacter(address, end), end);
}

function lastCharacter(address: usize, end: usize): usize {
  let at = end - 1;
  // SAFETY: address <= at < end.
  while (at > address && (u32(load<u8>(at)) & 0xc0) == 0x80) at--;
  return at;
}

/** Whether the character at `at` is white space beyond ASCII, or one that nobody sees. */
function isBlankGlyph(at: usize, end: usize): bool {
  // SAFETY: at < end.
  if (u32(load<u8>(at)) < 0x80) return false;
  const glyph = glyphAt(at, end);
  return glyph == Glyph.Space || glyph == Glyph.Invisible;
}

/** A byte that may stand in a URI as it is (RFC 3986 section 2), or above ASCII (RFC 3987). */
function isUriByte(byte: u32): bool {
  if (byte <= 0x20 || byte == 0x7f) return false;
  switch (byte) {
    case 0x22: // "
    case 0x3c: // <
    case 0x3e: // >
    case 0x5c: // backslash
    case 0x5e: // ^
    case 0x60: // `
    case 0x7c: // |
      return false;
    default:
      return true;
  }
}

/**
 * The parts: a lower-case scheme; `file:` only as `file:///` with a path (RFC 8089); no user information; no empty segment in the path,
 * which a server that joins paths reads as the root of its file system.
 */
function hasSafeStructure(address: usize, bytes: u32): bool {
  const colon = schemeBytes(address, bytes);
  if (colon == 0) return false;
  const end = address + bytes;
  const afterScheme = address + colon + 1;
  const isHierarchical = pairAt(afterScheme, end, 0x2f, 0x2f);
  if (isFile(address, colon)) {
    // SAFETY: afterScheme + 2 < end is checked first.
    if (!isHierarchical || afterScheme + 2 >= end || u32(load<u8>(afterScheme, 2)) != 0x2f) return false;
  }
  let at = afterScheme;
  if (isHierarchical) {
    at += 2;
    // SAFETY: at < end.
    while (at < end && !endsAuthority(u32(load<u8>(at)))) {
      if (u32(load<u8>(at)) == 0x40) return false;
      at++;
    }
  }
  // SAFETY: at < end.
  while (at < end && !endsPath(u32(load<u8>(at)))) {
    if (u32(load<u8>(at)) == 0x2f && at + 1 < end && beginsWithSlash(at + 1, end)) return false;
    at++;
  }
  return true;
}

/** Bytes that can decode to one byte in ROUNDS rounds: each makes three of one. */
const SPELLING_BYTES: u32 = 27;
const spelling: usize = memory.data(SPELLING_BYTES);

/** Whether what stands at `at` is a slash or a backslash, as it stands or after any round of decoding. */
export function beginsWithSlash(at: usize, end: usize): bool {
  let bytes = min(u32(end - at), SPELLING_BYTES);
  memory.copy(spelling, at, bytes);
  for (let round: u32 = 0; round <= ROUNDS; round++) {
    // SAFETY: bytes is not 0, and decoding leaves at least one byte.
    const first = u32(load<u8>(spelling));
    if (first == 0x2f || first == 0x5c) return true;
    if (first != 0x25) return false;
    bytes = decodeOnce(spelling, bytes);
  }
  return false;
}

/** Bytes of the scheme in front of `:`; 0 when there is none in lower case (RFC 3986 section 3.1). */
export function schemeBytes(address: usize, bytes: u32): u32 {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes.
    const byte = u32(load<u8>(address + i));
    if (byte == 0x3a) return i;
    const isLetter = byte - 0x61 < 26;
    const isLater = byte - 0x30 < 10 || byte == 0x2b || byte == 0x2d || byte == 0x2e;
    if (!isLetter && (i == 0 || !isLater)) return 0;
  }
  return 0;
}

/** Whether the scheme of `bytes` bytes is `file`. */
export function isFile(address: usize, bytes: u32): bool {
  // SAFETY: four bytes of a scheme of four.
  return bytes == 4 && load<u32>(address) == 0x656c6966;
}

/** Whether a byte ends the authority (RFC 3986 section 3.2). */
export function endsAuthority(byte: u32): bool {
  return byte == 0x2f || endsPath(byte);
}

/** Whether a byte ends the path (RFC 3986 section 3.3). */
export function endsPath(byte: u32): bool {
  return byte == 0x3f || byte == 0x23;
}

/** Whether the two bytes stand at `at`. */
function pairAt(at: usize, end: usize, first: u32, second: u32): bool {
  // SAFETY: at + 1 < end.
  return at + 1 < end && u32(load<u8>(at)) == first && u32(load<u8>(at, 1)) == second;
}

/** U+0000 to U+001F and U+007F: URL readers take some of them out, so that what is left can be another path. */
function hasControl(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes.
    const byte = u32(load<u8>(address + i));
    if (byte < 0x20 || byte == 0x7f) return true;
  }
  return false;
}

/** `..`, the standard's rule; `%2e%2e` is found in the next round. */
function hasTwoDots(address: usize, bytes: u32): bool {
  for (let i: u32 = 1; i < bytes; i++) {
    // SAFETY: 0 < i < bytes.
    if (u32(load<u8>(address + i)) == 0x2e && u32(load<u8>(address + i - 1)) == 0x2e) return true;
  }
  return false;
}

/**
 * Whether a whole token consists of two dots or more, or a whole path segment of one, once look-alikes are taken for what they
 * look like, and spaces and invisible characters are left out.
 */
function hasDotSegment(address: usize, bytes: u32, form: Form): bool {
  const end = address + bytes;
  let at = address;
  let dots: u32 = 0;
  let hasOther = false;
  let afterSlash = false;
  while (true) {
    const glyph = at < end ? glyphAt(at, end) : Glyph.Slash;
    if (glyph == Glyph.Slash || glyph == Glyph.Delimiter) {
      if (!hasOther && dots > 1) return true;
      // A single dot alone climbs nowhere, but it is a second spelling of the same URI.
      if (!hasOther && dots == 1 && afterSlash && form != Form.Path) return true;
      if (at >= end) return false;
      dots = 0;
      hasOther = false;
      afterSlash = glyph == Glyph.Slash;
    } else if (glyph == Glyph.Dot) dots++;
    else if (glyph == Glyph.TwoDots) dots += 2;
    else if (glyph == Glyph.ThreeDots) dots += 3;
    else if (glyph == Glyph.Other) hasOther = true;
    at += glyphBytes;
  }
}
