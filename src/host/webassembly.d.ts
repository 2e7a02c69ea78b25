// The part of the WebAssembly JavaScript interface that these sources use. TypeScript declares it only in its DOM library,
// which would bring the whole browser into the Node sources.
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  interface Instance {
    readonly exports: Record<string, unknown>;
  }
  interface Module {
    readonly [Symbol.toStringTag]: "WebAssembly.Module";
  }
  const Module: {
    new (binary: Uint8Array): Module;
    exports(module: Module): readonly { readonly name: string; readonly kind: string }[];
  };
  interface RuntimeError extends Error {}
  const RuntimeError: new (message?: string) => RuntimeError;
  function validate(binary: Uint8Array): boolean;
}
