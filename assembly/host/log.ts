// Log lines of the proxy.

import { Writer } from "../memory/writer";
import { LogLevel } from "./abi";
import { proxy_log } from "./env";

/** Writes `line` to the proxy's log. A log that cannot be written changes no verdict, so the status is not passed on. */
export function log(level: LogLevel, line: Writer): void {
  proxy_log(level, line.start, line.length);
}
