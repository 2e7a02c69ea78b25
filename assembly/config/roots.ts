// Roots, origins, hosts and schemes: the URIs and paths under which something is allowed, and parts of them. One that is
// not in the one normal spelling would match nothing, or something else than its author meant.

import { equalsLiteral } from "../memory/bytes";
import { firstName, NameSet, nameBytes, nextName } from "../policy/name-set";
import { UriFault } from "../uri/fault";
import { hasNeedlessEscape } from "../uri/root";
import { checkUri, endsPath, Form, schemeBytes, Traversal } from "../uri/rules";
import { enterElement, leavePath, told } from "./problem";

/** Whether every entry is a root: absolute URIs, or absolute paths. False when the problem has been told. */
export function checkRoots(roots: NameSet, areUris: bool): bool {
  let index: u32 = 0;
  for (let root = firstName(roots); root != 0; root = nextName(roots, root)) {
    const before = enterElement(index);
    if (areUris ? !isUriRoot(root, nameBytes(root)) : !isPathRoot(root, nameBytes(root))) {
      return told(
        areUris
          ? "expected an absolute URI in its normal form: lower-case scheme, no dot segments, no user information, query or fragment"
          : "expected an absolute path without dot segments",
      );
    }
    leavePath(before);
    index++;
  }
  return true;
}

function isUriRoot(root: usize, bytes: u32): bool {
  if (checkUri(root, bytes, Traversal.Segment, Form.Uri) != UriFault.None) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes.
    if (endsPath(u32(load<u8>(root + i)))) return false;
  }
  return !hasNeedlessEscape(root, bytes);
}

function isPathRoot(root: usize, bytes: u32): bool {
  // SAFETY: an entry is not empty.
  if (u32(load<u8>(root)) != 0x2f) return false;
  if (checkUri(root, bytes, Traversal.Segment, Form.Path) != UriFault.None) return false;
  for (let i: u32 = 1; i < bytes; i++) {
    // SAFETY: 0 < i < bytes.
    if (u32(load<u8>(root + i - 1)) != 0x2f) continue;
    const byte = u32(load<u8>(root + i));
    // An empty segment, or one that is a single dot.
    if (byte == 0x2f) return false;
    if (byte == 0x2e && (i + 1 == bytes || u32(load<u8>(root + i + 1)) == 0x2f)) return false;
  }
  return true;
}

/**
 * Whether every entry is an origin as browsers write it (RFC 6454 section 6.2): scheme, host, and a port that is not the usual one. False
 * when the problem has been told.
 */
export function checkOrigins(origins: NameSet): bool {
  let index: u32 = 0;
  for (let origin = firstName(origins); origin != 0; origin = nextName(origins, origin)) {
    const before = enterElement(index);
    const bytes = nameBytes(origin);
    const scheme = schemeBytes(origin, bytes);
    const isGood =
      scheme != 0 &&
      bytes > scheme + 3 &&
      equalsLiteral(origin + scheme, 3, "://") &&
      isHost(origin + scheme + 3, bytes - scheme - 3, true);
    if (!isGood) return told("expected an origin as a browser sends it, like https://app.example, without a path");
    leavePath(before);
    index++;
  }
  return true;
}

/**
 * Whether every entry is a host, with a port or without (RFC 3986 section 3.2), and in lower case if `isLower`. False when
 * the problem has been told.
 */
export function checkHosts(hosts: NameSet, isLower: bool): bool {
  let index: u32 = 0;
  for (let host = firstName(hosts); host != 0; host = nextName(hosts, host)) {
    const before = enterElement(index);
    if (!isHost(host, nameBytes(host), isLower)) {
      return told(
        isLower
          ? "expected a host in lower case, like mcp.example or mcp.example:8443, without a scheme or a path"
          : "expected a host like mcp.example or mcp.example:8443, without a scheme or a path",
      );
    }
    leavePath(before);
    index++;
  }
  return true;
}

/** Whether every entry is a URI scheme in lower case (RFC 3986 section 3.1). False when the problem has been told. */
export function checkSchemes(schemes: NameSet): bool {
  let index: u32 = 0;
  for (let scheme = firstName(schemes); scheme != 0; scheme = nextName(schemes, scheme)) {
    const before = enterElement(index);
    if (!isScheme(scheme, nameBytes(scheme))) {
      return told("expected a URI scheme in lower case, like https, without a colon");
    }
    leavePath(before);
    index++;
  }
  return true;
}

/** A letter, then letters, digits, + - and dots. */
function isScheme(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes.
    const byte = u32(load<u8>(address + i));
    if (byte - 0x61 < 26) continue;
    if (i == 0) return false;
    if (byte - 0x30 >= 10 && byte != 0x2b && byte != 0x2d && byte != 0x2e) return false;
  }
  return bytes != 0;
}

/** Letters, digits, and what names, addresses and ports consist of; browsers write names in lower case. */
function isHost(address: usize, bytes: u32, isLower: bool): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes.
    const byte = u32(load<u8>(address + i));
    if (byte - 0x61 < 26 || byte - 0x30 < 10) continue;
    if (byte - 0x41 < 26 && !isLower) continue;
    // - . : [ ] _
    if (byte != 0x2d && byte != 0x2e && byte != 0x3a && byte != 0x5b && byte != 0x5d && byte != 0x5f) return false;
  }
  return bytes != 0;
}
