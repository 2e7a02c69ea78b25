// Why a JSON text is refused. Grammar: RFC 8259. Where the RFC leaves a choice to the reader, the narrow one is taken,
// because two readers that choose differently read two different messages out of the same bytes.

/** Append-only; the reader gives one of these with the offset of the byte at which nothing could follow any more. */
export const enum JsonError {
  None = 0,
  /** A byte that the grammar does not allow here (RFC 8259 sections 2 to 7). */
  Syntax,
  /** A string that is not well-formed UTF-8: overlong, a surrogate, above U+10FFFF, cut (RFC 3629 section 3). */
  Utf8,
  /** A byte order mark. RFC 8259 section 8.1 lets a reader ignore it or not; readers differ. */
  Bom,
  /** A `\u` escape of half a surrogate pair (RFC 8259 section 8.2: "unpredictable"). */
  Surrogate,
  /** Two members of one object with the same name after unescaping (RFC 8259 section 4: "unpredictable"). */
  DuplicateMember,
  /** Something but white space behind the root value. */
  TrailingData,
  /** The end came before the root value was complete. */
  Incomplete,
  /** The root is a string, a number, true, false or null. */
  ScalarRoot,
  /** The root is an array: in JSON-RPC 2.0 section 6, a batch. */
  ArrayRoot,
  /** More open containers than `limits.depth`. */
  Depth,
  /** More members in one object than `limits.members_per_object`. */
  Members,
  /** More members in all open objects together than `limits.open_members`. */
  OpenMembers,
  /** A member name longer than `limits.key_bytes`. */
  KeyBytes,
}
