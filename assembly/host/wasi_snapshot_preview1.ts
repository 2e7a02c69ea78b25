// The one function of WASI that we use. The file name is load-bearing, as in env.ts.

/** Fills `bytes` bytes at `address` with random numbers; 0 is success. */
export declare function random_get(address: usize, bytes: usize): u32;
