// The peer: json-as, the JSON library for AssemblyScript, with the values whose type is known only when it runs. It reads
// AssemblyScript strings (UTF-16), so whoever has bytes decodes them first. Compiled twice: to build/bench-json-as.wasm as
// the library comes, and to build/bench-json-as-strict.wasm with its option JSON_STRICT.

import { JSON as JsonAs } from "json-as";

let text = "";

/** A block of `bytes` bytes for the caller's input; the caller gives it back with `release`. */
export function allocate(bytes: u32): usize {
  return heap.alloc(bytes);
}

export function release(address: usize): void {
  heap.free(address);
}

/** Frees what the readings so far left behind. */
export function collect(): void {
  __collect();
}

/** Decodes the text of `bytes` bytes at `address` for `openText`. */
export function prepareText(address: usize, bytes: u32): void {
  text = String.UTF8.decodeUnsafe(address, bytes);
}

/** Opens the prepared text, `times` times: its root object is read, and what lies deeper only as far as to find its end. */
export function openText(times: u32): u32 {
  let members: u32 = 0;
  for (let i: u32 = 0; i < times; i++) members += JsonAs.parse<JsonAs.Obj>(text).size;
  return members;
}

/** As `openText`, from bytes. Gives the number of members of the root object over all readings. */
export function openBytes(address: usize, bytes: u32, times: u32): u32 {
  let members: u32 = 0;
  for (let i: u32 = 0; i < times; i++) {
    members += JsonAs.parse<JsonAs.Obj>(String.UTF8.decodeUnsafe(address, bytes)).size;
  }
  return members;
}

/** Reads every value from bytes, `times` times. Gives the number of tokens over all readings. */
export function walkBytes(address: usize, bytes: u32, times: u32): u32 {
  let tokens: u32 = 0;
  for (let i: u32 = 0; i < times; i++) {
    tokens += tokensOf(JsonAs.parse<JsonAs.Value>(String.UTF8.decodeUnsafe(address, bytes)));
  }
  return tokens;
}

/** The tokens of `value`, which is read on the way: the library puts off strings and containers until asked. */
function tokensOf(value: JsonAs.Value): u32 {
  const type = value.type;
  if (type == JsonAs.Types.Object) {
    const object = value.get<JsonAs.Obj>();
    const members = object.values();
    let tokens: u32 = 2 + object.keys().length;
    for (let i = 0; i < members.length; i++) tokens += tokensOf(members[i]);
    return tokens;
  }
  if (type == JsonAs.Types.Array) {
    const list = value.get<JsonAs.Arr>();
    let tokens: u32 = 2;
    for (let i = 0; i < list.length; i++) tokens += tokensOf(list.at(i));
    return tokens;
  }
  return 1;
}
