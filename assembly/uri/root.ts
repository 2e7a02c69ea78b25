// Whether a URI lies under one of the roots that a policy names: segment by segment, on the bytes as they stand, and only
// in the one spelling that needs no normalising (RFC 3986 section 6.2.2).

import { equalBytes, equalsLiteral, Literal, literalBytes, startsWithLiteral } from "../memory/bytes";
import { endsAuthority, endsPath, isFile, ROUNDS, schemeBytes } from "./rules";
import { decodeOnce, tripleAt } from "./text";

/**
 * Whether the URI is the root itself or stands below it. Both have passed `checkUri`; `file:///srv/repos-evil` is not under
 * `file:///srv/repos`.
 */
export function isUnder(root: usize, rootBytes: u32, uri: usize, uriBytes: u32): bool {
  if (uriBytes < rootBytes || !equalBytes(root, uri, rootBytes)) return false;
  if (hasNeedlessEscape(uri + rootBytes, uriBytes - rootBytes)) return false;
  if (isFile(uri, schemeBytes(uri, uriBytes)) && hasDrive(uri + rootBytes, uri + uriBytes)) return false;
  if (isSystemPath(uri, uriBytes) && !isSystemPath(root, rootBytes)) return false;
  if (uriBytes == rootBytes) return true;
  // SAFETY: rootBytes is not 0, and uriBytes is larger.
  const last = u32(load<u8>(root + rootBytes - 1));
  const following = u32(load<u8>(uri + rootBytes));
  if (last == 0x2f || following == 0x2f || endsPath(following)) return true;
  // `urn:isbn:` and what follows: an opaque path is cut at its colons. After an authority a colon begins a port.
  return !isHierarchical(root, rootBytes) && (last == 0x3a || following == 0x3a);
}

/**
 * Whether the literal part of a URI template, up to its first expression, is the root or stands below it; then everything that the
 * template expands to does, as long as its values pass the rules.
 */
export function isTemplateUnder(root: usize, rootBytes: u32, template: usize, bytes: u32): bool {
  let literal: u32 = 0;
  // SAFETY: literal < bytes.
  while (literal < bytes && u32(load<u8>(template + literal)) != 0x7b) literal++;
  if (literal == bytes) return isUnder(root, rootBytes, template, bytes);
  if (!isUnder(root, rootBytes, template, literal)) return false;
  // Where the literal part ends in the middle of a segment of the root, the value goes on with that segment.
  const last = u32(load<u8>(template + literal - 1)); // SAFETY: isUnder holds, so literal >= rootBytes > 0.
  return literal > rootBytes || last == 0x2f || last == 0x3a;
}

/**
 * Whether a segment of the path begins with a drive, like `C:`: a join on Windows goes there, whatever stood before. The text in front of
 * `address` ends with a slash, or what follows it does not begin a segment.
 */
function hasDrive(address: usize, end: usize): bool {
  for (let at = address; at < end; at++) {
    // SAFETY: at < end; the byte in front of `address` is the root's last.
    const byte = u32(load<u8>(at));
    if (endsPath(byte)) return false;
    if (u32(load<u8>(at - 1)) != 0x2f || (byte | 0x20) - 0x61 > 25 || at + 1 == end) continue;
    if (u32(load<u8>(at, 1)) == 0x3a || tripleAt(at + 1, end) == 0x3a) return true;
  }
  return false;
}

/** Whether a path is the root itself or stands below it, segment by segment. The path has passed `checkUri` as a path. */
export function isPathUnder(root: usize, rootBytes: u32, path: usize, bytes: u32): bool {
  if (bytes < rootBytes || !equalBytes(root, path, rootBytes)) return false;
  if (bytes == rootBytes) return true;
  // SAFETY: rootBytes is not 0, and bytes is larger.
  return u32(load<u8>(root + rootBytes - 1)) == 0x2f || u32(load<u8>(path + rootBytes)) == 0x2f;
}

/** Whether the path spells a character with `%XX` that needs none: a letter, a digit, `-`, `.`, `_` or `~`. */
export function hasNeedlessEscape(address: usize, bytes: u32): bool {
  const end = address + bytes;
  // SAFETY: at < end.
  for (let at = address; at < end && !endsPath(u32(load<u8>(at))); at++) {
    const byte = tripleAt(at, end);
    if (byte == 256) continue;
    const lower = byte | 0x20;
    if (lower - 0x61 < 26 || byte - 0x30 < 10) return true;
    if (byte == 0x2d || byte == 0x2e || byte == 0x5f || byte == 0x7e) return true;
  }
  return false;
}

function isHierarchical(uri: usize, bytes: u32): bool {
  const colon = schemeBytes(uri, bytes);
  return bytes >= colon + 3 && equalsLiteral(uri + colon + 1, 2, "//");
}

/** Bytes that can decode to `file:///dev/fd/` in ROUNDS rounds, and a few. */
const HEAD_BYTES: u32 = 416;
const head: usize = memory.data(HEAD_BYTES);

/** Whether a `file:` URI points into the views that the kernel gives of itself and of open files, however its slashes are spelled. */
function isSystemPath(uri: usize, bytes: u32): bool {
  if (!isFile(uri, schemeBytes(uri, bytes))) return false;
  let length = min(bytes, HEAD_BYTES);
  memory.copy(head, uri, length);
  for (let round: u32 = 0; round <= ROUNDS; round++) {
    if (
      pathIs(head, length, "file:///proc") ||
      pathIs(head, length, "file:///sys") ||
      pathIs(head, length, "file:///dev/fd")
    )
      return true;
    const decoded = decodeOnce(head, length);
    if (decoded == length) return false;
    length = decoded;
  }
  return false;
}

/** Whether the URI is `folder` or stands below it. */
function pathIs(uri: usize, bytes: u32, folder: Literal): bool {
  const folderBytes = literalBytes(folder);
  if (!startsWithLiteral(uri, bytes, folder)) return false;
  // SAFETY: the load stands before `bytes`.
  return bytes == folderBytes || endsAuthority(u32(load<u8>(uri + folderBytes)));
}
