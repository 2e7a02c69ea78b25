// Readers that live as long as their VM: for a configuration, and for texts that are gone through once more.

import { initReader, JsonLimits, JsonReader, readerBlockBytes } from "./reader";

/** A reader with these bounds, which is never freed. */
export function allocateReader(depth: u32, membersPerObject: u32, openMembers: u32, keyBytes: u32): JsonReader {
  const limits = changetype<JsonLimits>(heap.alloc(offsetof<JsonLimits>()));
  limits.depth = depth;
  limits.membersPerObject = membersPerObject;
  limits.openMembers = openMembers;
  limits.keyBytes = keyBytes;
  const reader = changetype<JsonReader>(heap.alloc(offsetof<JsonReader>()));
  initReader(reader, heap.alloc(readerBlockBytes(limits)), limits);
  heap.free(changetype<usize>(limits));
  return reader;
}
