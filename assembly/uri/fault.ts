// Why a URI is refused before any list is asked. policy/reason.ts gives each its public name.

export const enum UriFault {
  None = 0,
  /** It climbs: `..` in some spelling, or a whole segment of dots. */
  Traversal,
  /** It is no URI that all readers take apart in the same way. */
  Malformed,
  /** Nobody has looked yet. */
  Unchecked,
}
