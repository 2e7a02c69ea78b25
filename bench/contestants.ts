// Who reads: the filter's reader in its two uses, the peers, and the floor under all of them. Each is given bytes where it
// wants them before the clock starts, as Envoy copies a body into the module's memory before the filter reads it.
import { readFileSync } from "node:fs";
import { instantiateSync } from "@assemblyscript/loader";
import type { Input } from "./inputs.ts";

/** One contestant at one input. */
export interface Work {
  /** Reads the input `times` times. This is what is timed. */
  run(times: number): void;
  /** Whether the last run found everything that it should. Not timed. */
  holds(times: number): boolean;
  /** Frees what the run left behind. Not timed. */
  clean(): void;
  /** Gives back the input's memory. */
  end(): void;
}

export interface Contestant {
  name: string;
  /** What it does, for the report. */
  does: string;
  open(input: Input): Work;
  /** Whether it takes this text for JSON; undefined where that is no question. */
  accepts?(bytes: Buffer): boolean;
}

/** Bytes that stand readable behind each text, as behind each chunk in the filter. */
const SLACK_BYTES = 64;
/** Costs what the decoders cost that let malformed bytes pass. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const EVERY_DEPTH = 0xffffffff;
const ROOT_DEPTH = 1;

interface Memory extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(bytes: number): number;
  release(address: number): void;
}

interface ReaderModule extends Memory {
  setKey(first: bigint, second: bigint): void;
  read(address: number, bytes: number, reportDepth: number, times: number): number;
  loadAll(address: number, bytes: number, times: number): bigint;
}

interface JsonAsModule extends Memory {
  collect(): void;
  prepareText(address: number, bytes: number): void;
  openText(times: number): number;
  openBytes(address: number, bytes: number, times: number): number;
  walkBytes(address: number, bytes: number, times: number): number;
}

/** The contestants, over the compiled modules in the folder `build`. */
export function contestants(build: URL): Contestant[] {
  const reader = openReader(compiled(build, "bench-reader.wasm"));
  const lenient = compiled(build, "bench-json-as.wasm");
  const strict = compiled(build, "bench-json-as-strict.wasm");
  return [
    {
      name: "load",
      does: "loads every byte, 64 per turn, and does nothing with it: the floor",
      open: (input) => load(reader, input),
    },
    {
      name: "envelope",
      does: "our reader, reporting the root's members and reading the rest just as strictly (reportDepth 1)",
      open: (input) => read(reader, input, ROOT_DEPTH, input.rootTokens),
    },
    {
      name: "tokens",
      does: "our reader, reporting every token",
      open: (input) => read(reader, input, EVERY_DEPTH, input.tokens),
      accepts: (bytes) => readerAccepts(reader, bytes),
    },
    {
      name: "JSON.parse",
      does: "V8's own: bytes to string by a decoder that refuses what is not UTF-8, string to objects",
      open: (input) => parse(input, () => JSON.parse(UTF8.decode(input.bytes))),
      accepts: (bytes) => doesNotThrow(() => JSON.parse(UTF8.decode(bytes))),
    },
    {
      name: "JSON.parse (text)",
      does: "the same, from a string that was decoded before the clock started",
      open: parseText,
    },
    {
      name: "json-as",
      does: "json-as, as it comes: bytes to string, then the root object, and the inside only as far as to find its end",
      open: (input) => openBytes(openJsonAs(lenient), input),
      accepts: (bytes) => jsonAsAccepts(lenient, bytes, "openBytes"),
    },
    {
      name: "json-as (text)",
      does: "the same, from a string that was decoded before the clock started",
      open: (input) => openText(openJsonAs(lenient), input),
    },
    {
      name: "json-as strict",
      does: "the same from bytes, with JSON_STRICT: the whole text is checked first",
      open: (input) => openBytes(openJsonAs(strict), input),
      accepts: (bytes) => jsonAsAccepts(strict, bytes, "openBytes"),
    },
    {
      name: "json-as walk",
      does: "json-as, as it comes, from bytes, with every value read",
      open: (input) => walkBytes(openJsonAs(lenient), input),
      accepts: (bytes) => jsonAsAccepts(lenient, bytes, "walkBytes"),
    },
  ];
}

function compiled(build: URL, name: string): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL(name, build)));
}

// --- Our reader. ---

function openReader(module: WebAssembly.Module): ReaderModule {
  const reader = instantiateSync<ReaderModule>(module, {}).exports;
  reader._initialize();
  reader.setKey(0x0123456789abcdefn, 0xfedcba9876543210n);
  return reader;
}

function read(reader: ReaderModule, { bytes }: Input, reportDepth: number, tokens: number): Work {
  const address = place(reader, bytes);
  let found = 0;
  return {
    run: (times) => {
      found = reader.read(address, bytes.length, reportDepth, times);
    },
    holds: (times) => found === tokens * times,
    clean: () => {},
    end: () => reader.release(address),
  };
}

function readerAccepts(reader: ReaderModule, bytes: Buffer): boolean {
  const address = place(reader, bytes);
  const tokens = reader.read(address, bytes.length, EVERY_DEPTH, 1);
  reader.release(address);
  return tokens !== 0;
}

function load(reader: ReaderModule, { bytes }: Input): Work {
  const address = place(reader, bytes);
  const sum = reader.loadAll(address, bytes.length, 1);
  let found = 0n;
  return {
    run: (times) => {
      found = reader.loadAll(address, bytes.length, times);
    },
    holds: (times) => found === BigInt.asIntN(64, sum * BigInt(times)),
    clean: () => {},
    end: () => reader.release(address),
  };
}

/** Copies `bytes` into the module's memory and gives the address. */
function place(module: Memory, bytes: Buffer): number {
  const address = module.allocate(bytes.length + SLACK_BYTES);
  new Uint8Array(module.memory.buffer).set(bytes, address);
  return address;
}

// --- V8. ---

function parseText(input: Input): Work {
  const text = UTF8.decode(input.bytes);
  return parse(input, () => JSON.parse(text));
}

function parse(input: Input, once: () => unknown): Work {
  let last: unknown;
  return {
    run: (times) => {
      for (let i = 0; i < times; i++) last = once();
    },
    holds: () => tokensOf(last) === input.tokens,
    clean: () => {
      last = undefined;
    },
    end: () => {},
  };
}

function tokensOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  const inside = Object.values(value).reduce<number>((sum, each) => sum + tokensOf(each), 2);
  return Array.isArray(value) ? inside : inside + Object.keys(value).length;
}

function doesNotThrow(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

// --- json-as. ---

function openJsonAs(module: WebAssembly.Module): JsonAsModule {
  const abort = (): never => {
    throw new Error("json-as refused the text");
  };
  const jsonAs = instantiateSync<JsonAsModule>(module, { env: { abort } }).exports;
  jsonAs._initialize();
  return jsonAs;
}

function openBytes(jsonAs: JsonAsModule, { bytes, rootMembers }: Input): Work {
  const address = place(jsonAs, bytes);
  return jsonAsWork(jsonAs, rootMembers, (times) => jsonAs.openBytes(address, bytes.length, times));
}

function openText(jsonAs: JsonAsModule, { bytes, rootMembers }: Input): Work {
  const address = place(jsonAs, bytes);
  jsonAs.prepareText(address, bytes.length);
  return jsonAsWork(jsonAs, rootMembers, (times) => jsonAs.openText(times));
}

function walkBytes(jsonAs: JsonAsModule, { bytes, tokens }: Input): Work {
  const address = place(jsonAs, bytes);
  return jsonAsWork(jsonAs, tokens, (times) => jsonAs.walkBytes(address, bytes.length, times));
}

/** The work of an instance that goes with it, and whose readings find `each` things. */
function jsonAsWork(jsonAs: JsonAsModule, each: number, run: (times: number) => number): Work {
  let found = 0;
  return {
    run: (times) => {
      found = run(times);
    },
    holds: (times) => found === each * times,
    clean: () => jsonAs.collect(),
    end: () => {},
  };
}

/** A refusal is a trap, which leaves the instance as it stood in the middle of its work: one instance per text. */
function jsonAsAccepts(module: WebAssembly.Module, bytes: Buffer, how: "openBytes" | "walkBytes"): boolean {
  const jsonAs = openJsonAs(module);
  return doesNotThrow(() => jsonAs[how](place(jsonAs, bytes), bytes.length, 1));
}
