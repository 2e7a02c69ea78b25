// What the compiler calls when an assertion of its library fails. Such a trap ends the VM; Envoy then answers 503. No
// input reaches it (test/fuzz), and there is nobody to tell: the import that would print the message does not exist here.
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {
  unreachable();
}
