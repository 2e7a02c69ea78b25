// AssemblyScript's abort imports a host function that Proxy-Wasm does not offer; the probe traps instead.
export function abort(_message: usize, _file: usize, _line: u32, _column: u32): void {
  unreachable();
}
