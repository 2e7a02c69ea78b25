// Roots: the URIs and paths under which something is allowed. A root that is not in the one normal spelling would match
// nothing, or something else than its author meant.

import { firstName, NameSet, nameBytes, nextName } from "../policy/name-set";
import { UriFault } from "../uri/fault";
import { isUnder } from "../uri/root";
import { checkUri, endsPath, Form, Traversal } from "../uri/rules";
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
  return isUnder(root, bytes, root, bytes);
}

function isPathRoot(root: usize, bytes: u32): bool {
  // SAFETY: an entry is not empty.
  return u32(load<u8>(root)) == 0x2f && checkUri(root, bytes, Traversal.Segment, Form.Path) == UriFault.None;
}
