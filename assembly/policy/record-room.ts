// How much of a call's arguments, or of an answer, a record has room for. What is beyond is cut; digests are of all.

import { RECORD_BYTES_DEFAULT, RECORD_FACTS } from "../limits";
import { Policy } from "./policy";

/** Bytes of one record, as `audit.record_bytes` says; without a policy the default. */
export function recordBytesOf(policy: Policy | null): u32 {
  return policy !== null ? policy.recordBytes : RECORD_BYTES_DEFAULT;
}

/** Bytes of such a text that are kept for the record: more than it shows, since some may be left out of it. */
export function keptBytesOf(policy: Policy | null): u32 {
  return recordBytesOf(policy) / 2;
}

/** Characters of one such text in a record, which can have two. */
export function bodyCharactersOf(policy: Policy | null): u32 {
  return (recordBytesOf(policy) - RECORD_FACTS) / 2;
}
