// The least that a filter in Wasm can do with a response body: copy each piece into the module, and let it go; and with the request what the
// other floor does.
import { copyBody } from "./floor";

// For the compiler, which is told to call it.
import "../../assembly/host/abort";

export * from "./floor";

const RESPONSE_BODY: u32 = 1;
const CONTINUE: u32 = 0;

export function proxy_on_response_body(_context: u32, bytes: u32, _end: u32): u32 {
  copyBody(RESPONSE_BODY, bytes);
  return CONTINUE;
}
