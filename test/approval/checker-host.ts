// The module of receipt-checker.ts with a host of a few lines, for what no real host says: results of a verification, and environments.
import { instantiateSync } from "@assemblyscript/loader";
import { moduleTypes } from "../../src/host/module-types.ts";
import { parseAnswer } from "./receipt-checker.ts";

/** What this host says. */
export interface Answers {
  /** Of `proxy_call_foreign_function`. */
  readonly foreign?: { readonly status: number; readonly result: Uint8Array; readonly claimed?: number };
  /** Of the two functions for the environment: what is counted and what is written. */
  readonly environment?: {
    readonly count: number;
    readonly bytes: number;
    readonly texts: Uint8Array;
    readonly sizesErrno?: number;
    readonly errno?: number;
  };
}

export interface CheckerHost {
  answers: Answers;
  /** The names of the functions that were called since the last question. */
  calls: string[];
  /** Sends one request through the module; the two lines of its answer. */
  ask(requestPath: string, body: Uint8Array | string): readonly [string, string];
}

type Callback = (...args: number[]) => number;

/** Starts the module with a configuration; every function that is not one of the answers is Ok. */
export function startChecker(module: Uint8Array, configuration: string): CheckerHost {
  let given: Uint8Array = Buffer.from(configuration);
  let reply: Uint8Array = new Uint8Array();
  const exports = (): { memory: WebAssembly.Memory } & Record<string, Callback> => instance.exports as never;
  const memory = (): Buffer => Buffer.from(exports().memory.buffer);

  const give = (bytes: Uint8Array, pointerOut: number, lengthOut: number, claimed = bytes.length): void => {
    const address = exports().proxy_on_memory_allocate!(bytes.length);
    memory().set(bytes, address);
    memory().writeUInt32LE(address, pointerOut);
    memory().writeUInt32LE(claimed, lengthOut);
  };

  const functions: Record<string, Callback> = {
    proxy_get_buffer_bytes: (_id, _start, _bytes, pointerOut, lengthOut) => {
      give(given, pointerOut!, lengthOut!);
      return 0;
    },
    proxy_get_header_map_pairs: (_map, pointerOut, lengthOut) => {
      give(given, pointerOut!, lengthOut!);
      return 0;
    },
    proxy_send_local_response: (_status, _details, _detailsBytes, body, bodyBytes) => {
      reply = Uint8Array.from(memory().subarray(body, body! + bodyBytes!));
      return 0;
    },
    proxy_call_foreign_function: (_name, _nameBytes, _args, _argsBytes, pointerOut, lengthOut) => {
      const { status, result, claimed } = host.answers.foreign!;
      give(result, pointerOut!, lengthOut!, claimed);
      return status;
    },
    environ_sizes_get: (countOut, bytesOut) => {
      const { count, bytes, sizesErrno = 0 } = host.answers.environment!;
      memory().writeUInt32LE(count, countOut);
      memory().writeUInt32LE(bytes, bytesOut);
      return sizesErrno;
    },
    environ_get: (_addresses, texts) => {
      const environment = host.answers.environment!;
      memory().set(environment.texts, texts);
      return environment.errno ?? 0;
    },
  };

  const imports: Record<string, Record<string, Callback>> = {};
  for (const name of moduleTypes(module).imports.keys()) {
    const [space = "", member = ""] = name.split(".");
    imports[space] ??= {};
    imports[space][member] = (...args) => {
      host.calls.push(member);
      return functions[member]?.(...args) ?? 0;
    };
  }

  const host: CheckerHost = {
    answers: {},
    calls: [],
    ask(requestPath, body) {
      given = encodePairs([[":path", requestPath]]);
      host.calls = [];
      exports().proxy_on_request_headers!(2, 1, 0);
      given = typeof body === "string" ? Buffer.from(body) : body;
      exports().proxy_on_request_body!(2, given.length, 1);
      exports().proxy_on_delete!(2);
      return parseAnswer(reply);
    },
  };

  const { instance } = instantiateSync(module, imports);
  exports()._initialize!();
  exports().proxy_on_context_create!(1, 0);
  exports().proxy_on_vm_start!(1, 0);
  exports().proxy_on_configure!(1, given.length);
  exports().proxy_on_context_create!(2, 1);
  return host;
}

/** Header pairs as the ABI has them: count, all lengths, then each text with a NUL behind it. */
function encodePairs(pairs: readonly (readonly [string, string])[]): Uint8Array {
  const texts = pairs.flat();
  const head = new Uint32Array([pairs.length, ...texts.map((text) => Buffer.byteLength(text))]);
  return Buffer.concat([Buffer.from(head.buffer), ...texts.map((text) => Buffer.from(`${text}\0`))]);
}
