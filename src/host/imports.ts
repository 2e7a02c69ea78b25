import { ENV_FUNCTIONS, type EnvFunctionName, type WasiFunctionName } from "./abi.ts";
import { BodyBuffer } from "./body-buffer.ts";
import type { Context } from "./context.ts";
import { callForeignFunction } from "./foreign-function.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { HeaderMap } from "./header-map.ts";
import { HostError } from "./host-error.ts";
import type { Metrics } from "./metrics.ts";
import { decodePairs, encodePairs } from "./pairs.ts";
import { encodeProperty } from "./properties.ts";
import { Errno, Status } from "./status.ts";

/** What the host functions need from the VM that they belong to. */
export interface HostState {
  readonly memory: GuestMemory;
  readonly metrics: Metrics;
  readonly logLevel: number;
  /** The environment variables of the VM. */
  readonly environment: Readonly<Record<string, string>>;
  /** The context on whose behalf the call runs: the effective one, else the one that was called. */
  context(): Context;
  /** False when there is no such context (any more). */
  setEffectiveContext(id: number): boolean;
  /** The callback that runs will not continue the iteration, whatever it returns. */
  stopIteration(): void;
  log(level: number, message: string): void;
  now(): bigint;
  random(bytes: number): Uint8Array;
}

const BUFFER_ID_MAX = 8;
const MAP_ID_MAX = 7;
const STREAM_TYPE_MAX = 3;
const LOG_LEVEL_MAX = 5;
/** `PROXY_WASM_HOST_WASI_RANDOM_GET_MAX_SIZE_BYTES`. */
const RANDOM_BYTES_MAX = 64 * 1024;

/**
 * The functions of the Wasm module `env`, as proxy-wasm-cpp-host 52a0291 (`exports.cc`) and Envoy 1.40.0
 * (`extensions/common/wasm/context.cc`) behave. Functions that this host does not model throw a HostError.
 */
export function envFunctions(host: HostState): Record<EnvFunctionName, (...args: never[]) => number> {
  const { memory, metrics } = host;

  function text(address: number, length: number): string | undefined {
    const bytes = memory.read(address, length);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1");
  }

  /** Runs `edit` on a map that may be written. */
  function editMap(id: number, edit: (map: HeaderMap) => void): Status {
    const map = host.context().headerMap(id, true);
    if (map === undefined) return Status.BadArgument;
    edit(map);
    return Status.Ok;
  }

  const modelled = {
    proxy_log(level: number, address: number, length: number): Status {
      if (level >>> 0 > LOG_LEVEL_MAX) return Status.BadArgument;
      const message = memory.read(address, length);
      if (message === undefined) return Status.InvalidMemoryAccess;
      host.log(level, Buffer.from(message).toString("utf8"));
      return Status.Ok;
    },

    proxy_get_log_level(out: number): Status {
      return memory.writeU32(out, host.logLevel) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_get_current_time_nanoseconds(out: number): Status {
      return memory.writeU64(out, host.now()) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_set_tick_period_milliseconds(milliseconds: number): Status {
      host.context().setTickPeriod(milliseconds >>> 0);
      return Status.Ok;
    },

    proxy_get_buffer_bytes(id: number, start: number, length: number, pointerOut: number, lengthOut: number): Status {
      if (id >>> 0 > BUFFER_ID_MAX) return Status.BadArgument;
      const buffer = host.context().buffer(id);
      if (buffer === undefined) return Status.NotFound;
      const bytes = buffer instanceof BodyBuffer ? buffer.bytes() : buffer;
      const from = start >>> 0;
      return memory.give(bytes.subarray(from, from + (length >>> 0)), pointerOut, lengthOut);
    },

    proxy_set_buffer_bytes(id: number, start: number, length: number, address: number, bytes: number): Status {
      if (id >>> 0 > BUFFER_ID_MAX) return Status.BadArgument;
      const buffer = host.context().buffer(id);
      if (buffer === undefined) return Status.NotFound;
      const data = memory.read(address, bytes);
      if (data === undefined) return Status.InvalidMemoryAccess;
      if (!(buffer instanceof BodyBuffer)) return Status.BadArgument;
      return buffer.write(start >>> 0, length >>> 0, data);
    },

    proxy_get_buffer_status(id: number, lengthOut: number, flagsOut: number): Status {
      if (id >>> 0 > BUFFER_ID_MAX) return Status.BadArgument;
      const buffer = host.context().buffer(id);
      if (buffer === undefined) return Status.NotFound;
      const written = memory.writeU32(lengthOut, buffer.length) && memory.writeU32(flagsOut, 0);
      return written ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_get_header_map_size(id: number, out: number): Status {
      if (id >>> 0 > MAP_ID_MAX) return Status.BadArgument;
      // Envoy looks the size up in the map that may be written, so that none exists while the access log is written.
      const map = host.context().headerMap(id, true);
      if (map === undefined) return Status.BadArgument;
      return memory.writeU32(out, map.byteSize) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_get_header_map_pairs(id: number, pointerOut: number, lengthOut: number): Status {
      if (id >>> 0 > MAP_ID_MAX) return Status.BadArgument;
      // A map that is not there is an empty one, with status Ok.
      return memory.give(encodePairs(host.context().headerMap(id, false)?.pairs() ?? []), pointerOut, lengthOut);
    },

    proxy_set_header_map_pairs(id: number, address: number, length: number): Status {
      if (id >>> 0 > MAP_ID_MAX) return Status.BadArgument;
      const bytes = memory.read(address, length);
      if (bytes === undefined) return Status.InvalidMemoryAccess;
      return editMap(id, (map) => map.assign(decodePairs(bytes)));
    },

    proxy_get_header_map_value(id: number, key: number, keyLength: number, out: number, lengthOut: number): Status {
      if (id >>> 0 > MAP_ID_MAX) return Status.BadArgument;
      const context = host.context();
      const name = text(key, keyLength);
      if (name === undefined) return Status.InvalidMemoryAccess;
      const map = context.headerMap(id, false);
      if (map === undefined) return context.inAccessLog ? Status.NotFound : Status.BadArgument;
      const value = map.get(name);
      return value === undefined ? Status.NotFound : memory.give(Buffer.from(value, "latin1"), out, lengthOut);
    },

    proxy_add_header_map_value(id: number, key: number, keyLength: number, at: number, length: number): Status {
      if (id >>> 0 > MAP_ID_MAX) return Status.BadArgument;
      const name = text(key, keyLength);
      const value = text(at, length);
      if (name === undefined || value === undefined) return Status.InvalidMemoryAccess;
      return editMap(id, (map) => map.add(name, value));
    },

    proxy_replace_header_map_value(id: number, key: number, keyLength: number, at: number, length: number): Status {
      if (id >>> 0 > MAP_ID_MAX) return Status.BadArgument;
      const name = text(key, keyLength);
      const value = text(at, length);
      if (name === undefined || value === undefined) return Status.InvalidMemoryAccess;
      return editMap(id, (map) => map.replace(name, value));
    },

    proxy_remove_header_map_value(id: number, key: number, keyLength: number): Status {
      if (id >>> 0 > MAP_ID_MAX) return Status.BadArgument;
      const name = text(key, keyLength);
      if (name === undefined) return Status.InvalidMemoryAccess;
      return editMap(id, (map) => map.remove(name));
    },

    proxy_continue_stream(type: number): Status {
      if (type >>> 0 > STREAM_TYPE_MAX) return Status.BadArgument;
      return host.context().continueStream(type);
    },

    proxy_close_stream(type: number): Status {
      if (type >>> 0 > STREAM_TYPE_MAX) return Status.BadArgument;
      return host.context().closeStream(type);
    },

    proxy_send_local_response(
      status: number,
      details: number,
      detailsLength: number,
      body: number,
      bodyLength: number,
      headers: number,
      headersLength: number,
      _grpcStatus: number,
    ): Status {
      const context = host.context();
      const detailsText = text(details, detailsLength);
      const bodyBytes = memory.read(body, bodyLength);
      const pairs = memory.read(headers, headersLength);
      if (detailsText === undefined || bodyBytes === undefined || pairs === undefined) {
        return Status.InvalidMemoryAccess;
      }
      // The result of Envoy's own sendLocalReply is not looked at: the module gets Ok in any case.
      context.sendLocalReply({
        status,
        details: detailsText.replaceAll(/\s/g, "_"),
        headers: decodePairs(pairs),
        body: bodyBytes,
      });
      host.stopIteration();
      return Status.Ok;
    },

    proxy_http_call(
      cluster: number,
      clusterLength: number,
      headers: number,
      headersLength: number,
      body: number,
      bodyLength: number,
      trailers: number,
      trailersLength: number,
      timeoutMs: number,
      tokenOut: number,
    ): Status {
      const context = host.context();
      const clusterText = text(cluster, clusterLength);
      const bodyBytes = memory.read(body, bodyLength);
      const headerPairs = memory.read(headers, headersLength);
      const trailerPairs = memory.read(trailers, trailersLength);
      if (clusterText === undefined || bodyBytes === undefined) return Status.InvalidMemoryAccess;
      if (headerPairs === undefined || trailerPairs === undefined) return Status.InvalidMemoryAccess;
      // The place for the token is tried before anything is sent.
      if (!memory.writeU32(tokenOut, 0)) return Status.InvalidMemoryAccess;
      const { status, token } = context.httpCall({
        cluster: clusterText,
        headers: decodePairs(headerPairs),
        body: bodyBytes,
        trailers: decodePairs(trailerPairs),
        timeoutMs,
      });
      memory.writeU32(tokenOut, token);
      return status;
    },

    proxy_define_metric(type: number, name: number, nameLength: number, out: number): Status {
      const nameText = text(name, nameLength);
      if (nameText === undefined) return Status.InvalidMemoryAccess;
      const { status, id } = metrics.define(type >>> 0, nameText);
      if (status !== Status.Ok) return status;
      return memory.writeU32(out, id) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_increment_metric(id: number, delta: bigint): Status {
      return metrics.increment(id >>> 0, delta);
    },

    proxy_record_metric(id: number, value: bigint): Status {
      return metrics.record(id >>> 0, value);
    },

    proxy_get_metric(id: number, out: number): Status {
      const { status, value } = metrics.get(id >>> 0);
      if (status !== Status.Ok) return status;
      return memory.writeU64(out, value) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_get_property(path: number, pathLength: number, pointerOut: number, lengthOut: number): Status {
      const bytes = memory.read(path, pathLength);
      if (bytes === undefined) return Status.InvalidMemoryAccess;
      const segments = Buffer.from(bytes).toString("utf8").replace(/\0$/, "").split("\0");
      const value = host.context().property(segments);
      return value === undefined ? Status.NotFound : memory.give(encodeProperty(value), pointerOut, lengthOut);
    },

    proxy_set_property(name: number, nameLength: number, address: number, length: number): Status {
      const nameBytes = memory.read(name, nameLength);
      const value = memory.read(address, length);
      if (nameBytes === undefined || value === undefined) return Status.InvalidMemoryAccess;
      return host.context().setProperty(Buffer.from(nameBytes).toString("utf8"), value);
    },

    proxy_set_effective_context(id: number): Status {
      return host.setEffectiveContext(id >>> 0) ? Status.Ok : Status.BadArgument;
    },

    proxy_done(): Status {
      return host.context().done();
    },

    proxy_call_foreign_function(
      name: number,
      nameLength: number,
      args: number,
      argsLength: number,
      pointerOut: number,
      lengthOut: number,
    ): Status {
      const nameText = text(name, nameLength);
      const argumentBytes = memory.read(args, argsLength);
      if (nameText === undefined || argumentBytes === undefined) return Status.InvalidMemoryAccess;
      const { status, result } = callForeignFunction(nameText, argumentBytes);
      if (status === Status.NotFound) return status;
      if (!memory.writeU32(pointerOut, 0) || !memory.writeU32(lengthOut, 0)) return Status.InvalidMemoryAccess;
      if (result === undefined) return status;
      const given = memory.give(result, pointerOut, lengthOut);
      // Envoy 1.40 does not look at what it has been given for a result to write to.
      if (given !== Status.Ok) throw new HostError("ERR_HOST_CALL", "no memory for a result: Envoy would crash");
      return status;
    },
  } satisfies Partial<Record<EnvFunctionName, (...args: never[]) => number>>;

  const unmodelled = Object.keys(ENV_FUNCTIONS).map((name) => [
    name,
    () => {
      throw new HostError("ERR_HOST_CALL", `${name} is not modelled by this host`);
    },
  ]);
  return { ...Object.fromEntries(unmodelled), ...modelled };
}

/** The functions of `wasi_snapshot_preview1`; they return an errno. */
export function wasiFunctions(host: HostState): Record<WasiFunctionName, (...args: never[]) => number> {
  const { memory } = host;

  /** Each as the module gets it. */
  const variables = Object.entries(host.environment).map(([name, value]) => Buffer.from(`${name}=${value}\0`, "utf8"));

  function sizes(texts: readonly Uint8Array[], countOut: number, bytesOut: number): number {
    const bytes = texts.reduce((sum, { length }) => sum + length, 0);
    return memory.writeU32(countOut, texts.length) && memory.writeU32(bytesOut, bytes) ? Errno.Success : Errno.Fault;
  }

  return {
    fd_write(descriptor: number, vectors: number, count: number, writtenOut: number): number {
      if (descriptor !== 1 && descriptor !== 2) return Errno.BadFileDescriptor;
      const list = memory.read(vectors, 8 * count);
      if (list === undefined) return Errno.Fault;
      const view = new DataView(list.buffer);
      let output = "";
      for (let index = 0; index < count; index++) {
        const part = memory.read(view.getUint32(8 * index, true), view.getUint32(8 * index + 4, true));
        if (part === undefined) return Errno.Fault;
        output += Buffer.from(part).toString("utf8");
      }
      const written = Buffer.byteLength(output);
      // Standard output is logged at info, standard error at error.
      if (written > 0) host.log(descriptor === 1 ? 2 : 4, output.replace(/\n$/, ""));
      return memory.writeU32(writtenOut, written) ? Errno.Success : Errno.Fault;
    },

    clock_time_get(clock: number, _precision: bigint, out: number): number {
      if (clock !== 0 && clock !== 1) return Errno.NotSupported;
      return memory.writeU64(out, host.now()) ? Errno.Success : Errno.Fault;
    },

    random_get(address: number, length: number): number {
      if (length >>> 0 > RANDOM_BYTES_MAX) return Errno.Invalid;
      return memory.write(address, host.random(length)) ? Errno.Success : Errno.Fault;
    },

    environ_sizes_get: (countOut: number, bytesOut: number) => sizes(variables, countOut, bytesOut),

    environ_get(addressesOut: number, textsOut: number): number {
      let at = textsOut >>> 0;
      for (const [index, variable] of variables.entries()) {
        if (!memory.writeU32(addressesOut + 4 * index, at) || !memory.write(at, variable)) return Errno.Fault;
        at += variable.length;
      }
      return Errno.Success;
    },

    // The module has no arguments.
    args_sizes_get: (countOut: number, bytesOut: number) => sizes([], countOut, bytesOut),
    args_get: () => Errno.Success,
  };
}
