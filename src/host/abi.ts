import { HostError } from "./host-error.ts";
import { type FunctionType, moduleTypes } from "./module-types.ts";

/**
 * The functions of `env` that a host with ABI 0.2.1 offers, with their parameters (`i` i32, `I` i64); each returns an
 * i32 status. proxy-wasm-cpp-host 52a0291, `exports.h`. Functions of older ABIs (`proxy_get_configuration`,
 * `proxy_clear_route_cache`) are not registered for 0.2.1 and therefore missing here.
 */
export const ENV_FUNCTIONS = {
  proxy_log: "iii",
  proxy_get_log_level: "i",
  proxy_get_current_time_nanoseconds: "i",
  proxy_set_tick_period_milliseconds: "i",
  proxy_get_buffer_bytes: "iiiii",
  proxy_set_buffer_bytes: "iiiii",
  proxy_get_buffer_status: "iii",
  proxy_get_header_map_size: "ii",
  proxy_get_header_map_pairs: "iii",
  proxy_set_header_map_pairs: "iii",
  proxy_get_header_map_value: "iiiii",
  proxy_add_header_map_value: "iiiii",
  proxy_replace_header_map_value: "iiiii",
  proxy_remove_header_map_value: "iii",
  proxy_continue_stream: "i",
  proxy_close_stream: "i",
  proxy_send_local_response: "iiiiiiii",
  proxy_get_status: "iii",
  proxy_http_call: "iiiiiiiiii",
  proxy_grpc_call: "iiiiiiiiiiii",
  proxy_grpc_stream: "iiiiiiiii",
  proxy_grpc_send: "iiii",
  proxy_grpc_cancel: "i",
  proxy_grpc_close: "i",
  proxy_get_shared_data: "iiiii",
  proxy_set_shared_data: "iiiii",
  proxy_register_shared_queue: "iii",
  proxy_resolve_shared_queue: "iiiii",
  proxy_enqueue_shared_queue: "iii",
  proxy_dequeue_shared_queue: "iii",
  proxy_define_metric: "iiii",
  proxy_increment_metric: "iI",
  proxy_record_metric: "iI",
  proxy_get_metric: "ii",
  proxy_get_property: "iiii",
  proxy_set_property: "iiii",
  proxy_set_effective_context: "i",
  proxy_done: "",
  proxy_call_foreign_function: "iiiiii",
} as const;

/** The WASI functions that this host models; the C++ host has a few more, which return errors. */
export const WASI_FUNCTIONS = {
  fd_write: "iiii",
  clock_time_get: "iIi",
  random_get: "ii",
  environ_sizes_get: "ii",
  environ_get: "ii",
  args_sizes_get: "ii",
  args_get: "ii",
} as const;

export type EnvFunctionName = keyof typeof ENV_FUNCTIONS;
export type WasiFunctionName = keyof typeof WASI_FUNCTIONS;

/** The callbacks that the host looks up among the exports, as `parameters:results`. */
const CALLBACKS: Readonly<Record<string, string>> = {
  _initialize: ":",
  malloc: "i:i",
  proxy_on_memory_allocate: "i:i",
  proxy_on_context_create: "ii:",
  proxy_on_vm_start: "ii:i",
  proxy_on_configure: "ii:i",
  proxy_on_tick: "i:",
  proxy_on_request_headers: "iii:i",
  proxy_on_request_body: "iii:i",
  proxy_on_request_trailers: "ii:i",
  proxy_on_response_headers: "iii:i",
  proxy_on_response_body: "iii:i",
  proxy_on_response_trailers: "ii:i",
  proxy_on_http_call_response: "iiiii:",
  proxy_on_queue_ready: "ii:",
  proxy_on_foreign_function: "iii:",
  proxy_on_done: "i:i",
  proxy_on_log: "i:",
  proxy_on_delete: "i:",
};

const ABI_MARKERS = ["proxy_abi_version_0_1_0", "proxy_abi_version_0_2_0", "proxy_abi_version_0_2_1"];
const WASI_MODULES = ["wasi_snapshot_preview1", "wasi_unstable"];

/**
 * Checks a module as Envoy does when it loads it: exactly one ABI marker (here: 0.2.1 only), an allocator, callbacks
 * and imports with exactly the expected types.
 * @throws HostError ERR_MODULE with Envoy's wording where it has one.
 */
export function checkModule(binary: Uint8Array): void {
  const { imports, exports } = moduleTypes(binary);
  const markers = ABI_MARKERS.filter((marker) => exports.has(marker));
  if (markers.length !== 1) throw refused("Missing or unknown Proxy-Wasm ABI version");
  if (markers[0] !== "proxy_abi_version_0_2_1") throw refused(`this host models ABI 0.2.1, not ${markers[0]}`);
  if (!exports.has("malloc") && !exports.has("proxy_on_memory_allocate")) {
    throw refused("Wasm module is missing malloc function.");
  }
  for (const [name, type] of exports) {
    const expected = CALLBACKS[name];
    if (expected !== undefined && expected !== show(type)) {
      throw refused(`Bad function signature for: ${name} (${show(type)}, expected ${expected})`);
    }
  }
  for (const [name, type] of imports) checkImport(name, type);
}

function checkImport(name: string, type: FunctionType): void {
  const [module = "", member = ""] = name.split(".");
  const known: Readonly<Record<string, string>> = WASI_MODULES.includes(module)
    ? { ...WASI_FUNCTIONS, proc_exit: "i" }
    : module === "env"
      ? ENV_FUNCTIONS
      : {};
  const parameters = known[member];
  if (parameters === undefined) throw refused(`missing import: ${name}`);
  const expected = `${parameters}:${member === "proc_exit" ? "" : "i"}`;
  if (show(type) !== expected) throw refused(`bad import type: ${name} (${show(type)}, expected ${expected})`);
}

function show(type: FunctionType): string {
  return `${type.parameters}:${type.results}`;
}

function refused(message: string): HostError {
  return new HostError("ERR_MODULE", message);
}
