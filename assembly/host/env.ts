// The host functions of Proxy-Wasm. The file name is load-bearing: a `declare function` here imports from the Wasm module
// `env`, because AssemblyScript takes the module's name from the file's base name.
//
// The raw imports come from the SDK where it binds them rightly. Its runtime is not used: it throws on every status that
// is not Ok, and a trap ends the VM for all streams of the worker.
export {
  proxy_call_foreign_function,
  proxy_continue_stream,
  proxy_define_metric,
  proxy_get_buffer_bytes,
  proxy_get_current_time_nanoseconds,
  proxy_get_header_map_pairs,
  proxy_get_property,
  proxy_http_call,
  proxy_increment_metric,
  proxy_log,
  proxy_record_metric,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
  proxy_send_local_response,
  proxy_set_effective_context,
  proxy_set_property,
  proxy_set_tick_period_milliseconds,
} from "@solo-io/proxy-runtime/assembly/imports";

/** The SDK lacks this one: it binds its like to another host function. */
export declare function proxy_set_buffer_bytes(buffer: u32, start: u32, length: u32, address: usize, bytes: u32): u32;
