// The module with a host of a few lines, for what no real host does: results that lie, contexts that were never created.

import { instantiateSync } from "@assemblyscript/loader";
import { moduleTypes } from "../../src/host/module-types.ts";
import { BUILDS, type Build } from "./guard.ts";

type Callback = (...args: number[]) => number;

export interface RawModule {
  readonly call: Readonly<Record<string, Callback>>;
  /** The names of the host functions that were called, in order. */
  readonly calls: string[];
  /** What `proxy_send_local_response` was given. */
  readonly replies: { readonly status: number; readonly details: string; readonly body: string }[];
  /** The records that `proxy_set_property` was given as filter state, in order. */
  readonly records: string[];
  /** The module's memory as it is now. */
  memory(): Buffer;
  /** What a host function gives for a buffer, a header map or a property: the bytes and how many it says there are. */
  readonly give: Record<string, { readonly bytes: Uint8Array; readonly claimed?: number } | undefined>;
}

/** What this host gives as random numbers. */
export const RANDOM = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");

/** A started module whose host says Ok to everything. */
export function startRaw(build: Build = "release"): RawModule {
  const calls: string[] = [];
  const replies: RawModule["replies"] = [];
  const records: string[] = [];
  const give: RawModule["give"] = {};
  const exports = (): { memory: WebAssembly.Memory } & Record<string, Callback> => instance.exports as never;
  const text = (at: number, bytes: number): string =>
    Buffer.from(exports().memory.buffer, at, bytes).toString("latin1");

  /** Puts the bytes where the module's allocator says, and address and length where the call says. */
  const hand = (name: string, pointerOut: number, lengthOut: number): number => {
    const given = give[name];
    if (given === undefined) return 1;
    const address = exports().proxy_on_memory_allocate!(given.bytes.length);
    const memory = Buffer.from(exports().memory.buffer);
    memory.set(given.bytes, address);
    memory.writeUInt32LE(address, pointerOut);
    memory.writeUInt32LE(given.claimed ?? given.bytes.length, lengthOut);
    return 0;
  };

  const functions: Record<string, Callback> = {
    proxy_get_buffer_bytes: (_id, _start, _length, pointer, length) => hand("buffer", pointer!, length!),
    proxy_get_header_map_pairs: (_id, pointer, length) => hand("headers", pointer!, length!),
    proxy_get_property: (_path, _bytes, pointer, length) => hand("property", pointer!, length!),
    proxy_set_property: (path, pathBytes, value, valueBytes) => {
      if (text(path!, pathBytes!) === "mcp_audit") records.push(text(value!, valueBytes!));
      return 0;
    },
    proxy_define_metric: (_kind, _name, _bytes, out) => {
      Buffer.from(exports().memory.buffer).writeUInt32LE(4, out);
      return 0;
    },
    random_get: (address, bytes) => {
      Buffer.from(exports().memory.buffer).set(RANDOM.subarray(0, bytes), address);
      return 0;
    },
    proxy_send_local_response: (status, details, detailsBytes, body, bodyBytes) => {
      replies.push({ status: status!, details: text(details!, detailsBytes!), body: text(body!, bodyBytes!) });
      return 0;
    },
  };
  const watched =
    (name: string): Callback =>
    (...args) => {
      calls.push(name);
      return functions[name]?.(...args) ?? 0;
    };
  const module = new WebAssembly.Module(BUILDS[build]);
  const imports: Record<string, Record<string, Callback>> = {};
  for (const each of moduleTypes(BUILDS[build]).imports.keys()) {
    const [from = "", name = ""] = each.split(".");
    imports[from] = { ...imports[from], [name]: watched(name) };
  }
  const instance = instantiateSync(module, imports);
  exports()._initialize!();
  return { call: exports(), calls, replies, records, memory: () => Buffer.from(exports().memory.buffer), give };
}

/** Header pairs as the ABI has them: count, sizes, then names and values, each with a NUL behind it. */
export function encodeHeaders(pairs: readonly (readonly [string, string])[]): Buffer {
  const head = Buffer.alloc(4 + pairs.length * 8);
  head.writeUInt32LE(pairs.length, 0);
  for (const [index, [name, value]] of pairs.entries()) {
    head.writeUInt32LE(name.length, 4 + index * 8);
    head.writeUInt32LE(value.length, 8 + index * 8);
  }
  return Buffer.concat([head, ...pairs.flat().map((text) => Buffer.from(`${text}\0`, "latin1"))]);
}
