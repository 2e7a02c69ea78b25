// The Proxy-Wasm imports of the probe. The file name is load-bearing: a `declare function` here imports from the Wasm
// module `env`, because AssemblyScript takes the module name from the file's base name.
export declare function proxy_log(level: u32, text: usize, bytes: usize): u32;
export declare function proxy_set_tick_period_milliseconds(milliseconds: u32): u32;
export declare function proxy_get_buffer_bytes(id: u32, start: u32, max: u32, pointer: usize, bytes: usize): u32;
export declare function proxy_set_buffer_bytes(id: u32, start: u32, length: u32, data: usize, bytes: usize): u32;
export declare function proxy_get_header_map_pairs(map: u32, pointer: usize, bytes: usize): u32;
export declare function proxy_get_header_map_value(
  map: u32,
  key: usize,
  keyBytes: usize,
  pointer: usize,
  bytes: usize,
): u32;
export declare function proxy_replace_header_map_value(
  map: u32,
  key: usize,
  keyBytes: usize,
  value: usize,
  bytes: usize,
): u32;
export declare function proxy_remove_header_map_value(map: u32, key: usize, keyBytes: usize): u32;
export declare function proxy_get_property(path: usize, pathBytes: usize, pointer: usize, bytes: usize): u32;
export declare function proxy_set_property(path: usize, pathBytes: usize, value: usize, bytes: usize): u32;
export declare function proxy_set_effective_context(context: u32): u32;
export declare function proxy_continue_stream(streamType: u32): u32;
export declare function proxy_http_call(
  cluster: usize,
  clusterBytes: usize,
  headers: usize,
  headersBytes: usize,
  body: usize,
  bodyBytes: usize,
  trailers: usize,
  trailersBytes: usize,
  timeoutMs: u32,
  token: usize,
): u32;
export declare function proxy_send_local_response(
  status: u32,
  details: usize,
  detailsBytes: usize,
  body: usize,
  bodyBytes: usize,
  headers: usize,
  headersBytes: usize,
  grpcStatus: u32,
): u32;
export declare function proxy_call_foreign_function(
  name: usize,
  nameBytes: usize,
  args: usize,
  argsBytes: usize,
  pointer: usize,
  bytes: usize,
): u32;
