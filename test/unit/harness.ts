// The harness module as the tests use it: test/unit/assembly/harness.ts, compiled when its sources are newer than it, as hosts with SIMD
// and as hosts without it run the filter.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { instantiateSync } from "@assemblyscript/loader";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The ways in which the module is compiled: targets of test/unit/assembly/asconfig.json. */
export const TARGETS = ["simd", "scalar"] as const;
export type Target = (typeof TARGETS)[number];

/** What the module exports; see the source for what each does. */
interface Exports extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(bytes: number): number;
  release(address: number): void;
  setKey(first: bigint, second: bigint): void;
  openReader(depth: number, membersPerObject: number, openMembers: number, keyBytes: number): void;
  begin(reportDepth: number): void;
  feed(address: number, bytes: number): number;
  end(): number;
  errorOffset(): number;
  heldBytes(): number;
  eventsAt(): number;
  eventsBytes(): number;
  beginStream(logs: number): void;
  feedStream(address: number, bytes: number): void;
  endStream(): number;
  isFenceWhole(): number;
  scanPlain(address: number, until: number): number;
  scanShown(address: number, until: number): number;
  scanLine(address: number, until: number): number;
  scanOneLine(address: number, until: number): number;
  scanSpace(address: number, until: number): number;
  scanText(address: number, until: number): number;
  sipHash(address: number, bytes: number, tweak: number): bigint;
  shortHash(low: bigint, high: bigint, tweak: number): bigint;
  sha256(address: number, bytes: number): number;
  sha256Bytes(): number;
  beginSha256(record: number): void;
  updateSha256(record: number, address: number, bytes: number): void;
  endSha256(record: number): number;
  nearest(address: number, bytes: number): number;
}

/** Names of the reader's tokens, by number. */
export const TOKENS = [
  "need_more",
  "failed",
  "object_start",
  "object_end",
  "array_start",
  "array_end",
  "key",
  "string",
  "number",
  "true",
  "false",
  "null",
] as const;

/** Names of the reader's errors, by number: those of the reasons that stand for them. */
export const ERRORS = [
  "none",
  "json_syntax",
  "json_utf8",
  "json_bom",
  "json_surrogate",
  "json_duplicate_member",
  "json_trailing_data",
  "json_incomplete",
  "json_root",
  "batch",
  "json_depth",
  "json_members",
  "json_open_members",
  "json_key_bytes",
] as const;

export type Token = (typeof TOKENS)[number];
export type JsonError = (typeof ERRORS)[number];

/** One token: what, from where to where (byte offsets), and its text (keys and strings unescaped, numbers as written). */
export interface TokenEvent {
  token: Token;
  start: number;
  end: number;
  text: string;
}

/** What reading a whole text gave. */
export interface Reading {
  error: JsonError;
  /** Offset of the error; -1 without one. */
  offset: number;
  events: TokenEvent[];
}

/** Names of the entries in the log of the reader of event streams, by number: its steps, and what is told with them. */
export const STEPS = [
  "need_more",
  "data",
  "data_line",
  "comment",
  "event_end",
  "event",
  "id",
  "retry",
  "stream_end",
] as const;

/** One entry of that log: `text` is Latin-1. For `data` from where to where; for `event_end` start is 1 with data. */
export interface StreamStep {
  step: (typeof STEPS)[number];
  start: number;
  end: number;
  text: string;
}

export interface Bounds {
  depth: number;
  membersPerObject: number;
  openMembers: number;
  keyBytes: number;
}

export const DEFAULT_BOUNDS: Bounds = { depth: 64, membersPerObject: 1024, openMembers: 4096, keyBytes: 256 };

/** Bytes behind each chunk that a reader must not look at: hostile ones, so that a look would show. */
const HOSTILE = Buffer.from('"}]0123,:"tru\\u', "latin1");

/** The same for a reader of lines. */
const HOSTILE_LINES = Buffer.from("\n\r: \xef\xbb\xbfdata:x\n\n", "latin1");

export class Harness {
  readonly exports: Exports;

  constructor(target: Target = "simd") {
    this.exports = instantiateSync<Exports>(compile(target), {}).exports;
    this.exports._initialize();
    this.exports.setKey(0x0123456789abcdefn, 0xfedcba9876543210n);
    this.setBounds(DEFAULT_BOUNDS);
  }

  setBounds(bounds: Bounds): void {
    this.exports.openReader(bounds.depth, bounds.membersPerObject, bounds.openMembers, bounds.keyBytes);
  }

  /** Reads `text`, cut before each of `cuts` (ascending offsets). Every chunk stands at the same place, with hostile bytes behind it. */
  read(text: Uint8Array, cuts: readonly number[] = [], reportDepth = 0xffffffff): Reading {
    const { exports } = this;
    const address = exports.allocate(text.length + HOSTILE.length);
    exports.begin(reportDepth);
    let error = 0;
    let from = 0;
    for (const to of [...cuts, text.length]) {
      const memory = Buffer.from(exports.memory.buffer);
      memory.set(text.subarray(from, to), address);
      memory.set(HOSTILE, address + to - from);
      error = exports.feed(address, to - from);
      if (error !== 0) break;
      from = to;
    }
    if (error === 0) error = exports.end();
    exports.release(address);
    const name = ERRORS[error];
    if (name === undefined) throw new Error(`unknown error ${error}`);
    return { error: name, offset: error === 0 ? -1 : exports.errorOffset(), events: this.#events() };
  }

  /** Reads `text` one byte at a time. */
  readBytewise(text: Uint8Array): Reading {
    return this.read(
      text,
      Array.from({ length: Math.max(text.length - 1, 0) }, (_, i) => i + 1),
    );
  }

  /** Reads an event stream, cut before each of `cuts`; each chunk stands at the same place. */
  readStream(stream: Uint8Array, cuts: readonly number[] = []): StreamStep[] {
    const { exports } = this;
    const address = exports.allocate(stream.length + HOSTILE_LINES.length);
    exports.beginStream(1);
    let from = 0;
    for (const to of [...cuts, stream.length]) {
      const memory = Buffer.from(exports.memory.buffer);
      memory.set(stream.subarray(from, to), address);
      memory.set(HOSTILE_LINES, address + to - from);
      exports.feedStream(address, to - from);
      from = to;
    }
    exports.endStream();
    exports.release(address);
    if (exports.isFenceWhole() === 0) throw new Error("the reader has written behind its block");
    return this.#log("latin1").map(({ kind, start, end, text }) => {
      const step = STEPS[kind];
      if (step === undefined) throw new Error(`unknown step ${kind}`);
      return { step, start, end, text };
    });
  }

  /** Calls `use` with the address of a copy of `bytes` in the module's memory. */
  withBytes<T>(bytes: Uint8Array, use: (address: number, exports: Exports) => T): T {
    const address = this.exports.allocate(Math.max(bytes.length, 1));
    new Uint8Array(this.exports.memory.buffer).set(bytes, address);
    const result = use(address, this.exports);
    this.exports.release(address);
    return result;
  }

  #events(): TokenEvent[] {
    return this.#log("utf8").map(({ kind, start, end, text }) => {
      const token = TOKENS[kind];
      if (token === undefined) throw new Error("unknown token");
      return { token, start, end, text };
    });
  }

  /** What the module has written down since the text or the stream began. */
  #log(encoding: "utf8" | "latin1"): { kind: number; start: number; end: number; text: string }[] {
    const { exports } = this;
    const memory = Buffer.from(exports.memory.buffer);
    const entries = [];
    let at = exports.eventsAt();
    const end = at + exports.eventsBytes();
    while (at < end) {
      const bytes = memory.readUInt32LE(at + 12);
      entries.push({
        kind: memory.readUInt32LE(at),
        start: memory.readUInt32LE(at + 4),
        end: memory.readUInt32LE(at + 8),
        text: memory.toString(encoding, at + 16, at + 16 + bytes),
      });
      at += 16 + ((bytes + 3) & ~3);
    }
    return entries;
  }
}

const compiled = new Map<Target, Uint8Array>();

function compile(target: Target): Uint8Array {
  const known = compiled.get(target);
  if (known !== undefined) return known;
  const out = path.join(ROOT, `build/harness.${target}.wasm`);
  if (newest("assembly", "test/unit/assembly") > modified(out)) runCompiler(target);
  const bytes = new Uint8Array(readFileSync(out));
  compiled.set(target, bytes);
  return bytes;
}

function runCompiler(target: Target): void {
  const asc = path.join(ROOT, "node_modules/assemblyscript/bin/asc.js");
  const config = ["--config", "test/unit/assembly/asconfig.json", "--target", target];
  execFileSync(process.execPath, [asc, "test/unit/assembly/harness.ts", ...config], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "pipe"],
  });
}

function newest(...folders: string[]): number {
  return Math.max(
    ...folders.flatMap((folder) =>
      readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(ts|json)$/.test(name))
        .map((name) => modified(path.join(ROOT, folder, name))),
    ),
  );
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
