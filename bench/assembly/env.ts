// The one Proxy-Wasm import of the floor. The file name is load-bearing: a `declare function` here imports from the Wasm module `env`.
export declare function proxy_get_buffer_bytes(id: u32, start: u32, max: u32, pointer: usize, bytes: usize): u32;
