// The functions of WASI that we use. The file name is load-bearing, as in env.ts.

/** Fills `bytes` bytes at `address` with random numbers; 0 is success. */
export declare function random_get(address: usize, bytes: usize): u32;

/** Says how many environment variables there are, and how many bytes they take as `NAME=value` with a NUL behind each; 0 is success. */
export declare function environ_sizes_get(count: usize, bytes: usize): u32;

/** Writes the variables to `texts`, and to `addresses` where each begins, in words of 32 bits; 0 is success. */
export declare function environ_get(addresses: usize, texts: usize): u32;
