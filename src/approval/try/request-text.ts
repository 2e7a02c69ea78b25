// The body of a request to one of the servers for trying.
import type { IncomingMessage } from "node:http";

const BODY_BYTES_MAX = 1 << 20;

/** The whole body; undefined when the request was cut, or is too large. A guard cuts what it refuses after the headers have gone on. */
export async function requestText(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of request) {
      bytes += (part as Buffer).length;
      if (bytes > BODY_BYTES_MAX) throw new Error(`a body of more than ${BODY_BYTES_MAX} bytes`);
      parts.push(part as Buffer);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(parts).toString();
}
