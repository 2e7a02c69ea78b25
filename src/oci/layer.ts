// The layer that carries the filter: a gzipped tar archive with the one file `plugin.wasm`.
//
// Its bytes are a function of the module alone. A compressor is not one: each release of zlib, and so each Node, may choose
// other bytes for the same input. So the gzip stream (RFC 1952) consists of stored blocks (RFC 1951, section 3.2.4); what
// a registry would save by compressing 130 KB is not worth a digest that nobody can make again.
import path from "node:path";
import { crc32, gunzipSync } from "node:zlib";
import tar from "tar-stream";
import { GuardError } from "../error.ts";
import { type Digest, digestOf } from "./digest.ts";

/** The name that Istio looks for in a layer, in whatever folder of the archive. */
export const MODULE_FILE = "plugin.wasm";

/** The largest module that Istio loads (`ISTIO_WASM_MAX_BINARY_SIZE_BYTES`, 256 MiB unless set). */
export const MODULE_BYTES_MAX = 256 << 20;

/** LEN of a stored block has 16 bits. */
const STORED_BYTES_MAX = 0xffff;
const GZIP_HEADER_BYTES = 10;
const GZIP_TRAILER_BYTES = 8;
const BLOCK_HEADER_BYTES = 5;
const GZIP_DEFLATE = 8;
const GZIP_OS_UNKNOWN = 255;

/** A layer in the two forms that an image names it by. */
export interface Layer {
  /** The gzipped archive, as it lies in a registry. */
  readonly bytes: Buffer;
  /** The digest of the archive before gzip, `rootfs.diff_ids` of the image configuration. */
  readonly diffId: Digest;
}

/** Packs a module. The same module gives the same bytes, wherever and whenever. */
export async function packLayer(module: Uint8Array): Promise<Layer> {
  const pack = tar.pack();
  // Everything that a tar header would take from the machine is named here.
  pack.entry({ name: MODULE_FILE, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) }, Buffer.from(module));
  pack.finalize();
  const archive = await bytesOf(pack);
  return { bytes: storeGzip(archive), diffId: digestOf(archive) };
}

/**
 * The module in a layer: the first file named `plugin.wasm`, as Istio takes it.
 * @throws GuardError `ERR_NOT_LOADABLE` when the layer is no gzipped archive, is larger than 256 MiB, or has no such file.
 */
export async function unpackLayer(layer: Uint8Array): Promise<Buffer> {
  let archive: Buffer;
  try {
    archive = gunzipSync(layer, { maxOutputLength: MODULE_BYTES_MAX });
  } catch (error) {
    throw new GuardError("ERR_NOT_LOADABLE", `the layer is no gzip stream of at most 256 MiB (${String(error)})`);
  }
  const extract = tar.extract();
  extract.end(archive);
  try {
    for await (const entry of extract) {
      const bytes = await bytesOf(entry);
      if (path.posix.basename(entry.header.name) === MODULE_FILE) return bytes;
    }
  } catch (error) {
    throw new GuardError("ERR_NOT_LOADABLE", `the layer is no tar archive (${String(error)})`, { cause: error });
  }
  throw new GuardError("ERR_NOT_LOADABLE", `there is no ${MODULE_FILE} in the layer`);
}

async function bytesOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer); // tar-stream declares no type of what it yields
  return Buffer.concat(chunks);
}

/** Wraps bytes in a gzip member without compressing them. */
function storeGzip(bytes: Uint8Array): Buffer {
  const blocks = Math.max(1, Math.ceil(bytes.length / STORED_BYTES_MAX));
  const out = Buffer.alloc(GZIP_HEADER_BYTES + blocks * BLOCK_HEADER_BYTES + bytes.length + GZIP_TRAILER_BYTES);
  out.set([0x1f, 0x8b, GZIP_DEFLATE]);
  out[GZIP_HEADER_BYTES - 1] = GZIP_OS_UNKNOWN; // the fields between are 0: no flags, no time, no level
  let at = GZIP_HEADER_BYTES;
  for (let block = 0; block < blocks; block++) {
    const content = bytes.subarray(block * STORED_BYTES_MAX, (block + 1) * STORED_BYTES_MAX);
    at = out.writeUInt8(block === blocks - 1 ? 1 : 0, at); // BFINAL, and BTYPE 00
    at = out.writeUInt16LE(content.length, at);
    at = out.writeUInt16LE(~content.length & 0xffff, at);
    out.set(content, at);
    at += content.length;
  }
  at = out.writeUInt32LE(crc32(bytes), at);
  out.writeUInt32LE(bytes.length % 2 ** 32, at);
  return out;
}
