// Who makes a call, and where to: what an approval is about beside the message. It is known at the headers, and needed when the body has come.
//
//   buffer:  | u32 length | bytes |  for each field of Field, in its order

import { appendBytes, appendZeros, Buffer } from "../memory/buffer";

/** The texts, in the order in which they are kept. */
export const enum Field {
  Authority,
  /** With its query. */
  Path,
  Issuer,
  Principal,
  Workload,
}

/** Appends the next text. */
export function keepField(caller: Buffer, address: usize, bytes: u32): void {
  appendZeros(caller, 4);
  store<u32>(caller.at + caller.length - 4, bytes); // SAFETY: the four bytes that have just been appended.
  appendBytes(caller, address, bytes);
}

/** Address of a text that has been kept. Alive until the buffer changes. */
export function fieldAt(caller: Buffer, field: Field): usize {
  let at = caller.at;
  // SAFETY: `keepField` has written the lengths, and the caller asks for a field that has been kept.
  for (let i: u32 = 0; i < u32(field); i++) at += 4 + usize(load<u32>(at));
  return at + 4;
}

/** Bytes of a text that has been kept. */
export function fieldBytes(caller: Buffer, field: Field): u32 {
  return load<u32>(fieldAt(caller, field) - 4); // SAFETY: the length stands in front of the text.
}
