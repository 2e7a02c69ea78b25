// Which names and addresses mean this machine.
import { isIP } from "node:net";

/** Whether a host is this machine, by its name or address (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3; RFC 4291). */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || (isIP(host) === 4 && host.startsWith("127."));
}
