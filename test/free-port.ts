// Ports for programs that have to be told one before they start.
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below those that Linux gives to connections, and to listeners that take any (`ip_local_port_range`): nobody gets one of these by chance
 * between the moment at which it was found free and the one at which the program listens on it.
 */
const FIRST = 20_000;
const COUNT = 12_000;

let next = Math.floor(Math.random() * COUNT);

/** A port that nobody listens on. No two calls in a process give the same one. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < COUNT; tried++) {
    const port = FIRST + (next++ % COUNT);
    const server = createServer().listen(port, "0.0.0.0");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  throw new Error(`no free port from ${FIRST} on`);
}
