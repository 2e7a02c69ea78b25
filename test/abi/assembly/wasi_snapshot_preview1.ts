// The functions of WASI that the probe imports. The file name is load-bearing, as in env.ts.
export declare function environ_sizes_get(count: usize, bytes: usize): u32;
export declare function environ_get(addresses: usize, texts: usize): u32;
