// The clients of the soak: Node's own, which keep their connections as ordinary clients do.

import { Agent, request as http1Request } from "node:http";
import { type ClientHttp2Session, connect, constants } from "node:http2";

/** What a client got. */
export interface Outcome {
  readonly status: number;
  readonly body: string;
  /** The response had no end, or there was none. */
  readonly isCut: boolean;
}

/** One request under way. */
export interface Call {
  write(text: string): void;
  end(text?: string): void;
  /** Goes away, whatever is under way. */
  leave(): void;
  /** Called with the characters of the body so far, whenever more have come. */
  onBody: (characters: number) => void;
  readonly outcome: Promise<Outcome>;
}

export interface Client {
  open(method: string, headers: Readonly<Record<string, string>>): Call;
  close(): void;
}

export type Protocol = "h1" | "h2";
export const PROTOCOLS: readonly Protocol[] = ["h1", "h2"];

const NOBODY: Outcome = { status: 0, body: "", isCut: true };
/** After so many requests an HTTP/2 client takes another connection. */
const REQUESTS_PER_SESSION = 500;

export function createClient(protocol: Protocol, url: string): Client {
  return protocol === "h1" ? http1Client(url) : http2Client(url);
}

function http1Client(url: string): Client {
  const agent = new Agent({ keepAlive: true });
  return {
    open(method, headers) {
      const request = http1Request(url, { method, headers, agent });
      const call = callOf(request, () => request.destroy());
      request.on("response", (response) => {
        response.setEncoding("utf8");
        let body = "";
        response.on("data", (text: string) => {
          body += text;
          call.onBody(body.length);
        });
        response.on("error", () => {});
        response.on("close", () => call.settle({ status: response.statusCode ?? 0, body, isCut: !response.complete }));
      });
      return call;
    },
    close: () => agent.destroy(),
  };
}

function http2Client(url: string): Client {
  const { origin, pathname } = new URL(url);
  let session: ClientHttp2Session | undefined;
  let requests = 0;
  const take = (): ClientHttp2Session => {
    if (session !== undefined && !session.closed && !session.destroyed && ++requests % REQUESTS_PER_SESSION !== 0) {
      return session;
    }
    session?.close();
    session = connect(origin);
    session.on("error", () => {});
    return session;
  };
  return {
    open(method, headers) {
      // A GET has no body, and its headers say so: the guard refuses one that announces more.
      const head = { ":method": method, ":path": pathname, ...headers };
      const stream = take().request(head, { endStream: method === "GET" });
      const call = callOf(stream, () => stream.close(constants.NGHTTP2_CANCEL));
      stream.setEncoding("utf8");
      let [status, body, hasEnd] = [0, "", false];
      stream.on("response", (fields) => {
        status = Number(fields[":status"]);
      });
      stream.on("data", (text: string) => {
        body += text;
        call.onBody(body.length);
      });
      stream.on("end", () => {
        hasEnd = true;
      });
      stream.on("close", () => {
        const isCut = !hasEnd || stream.rstCode !== constants.NGHTTP2_NO_ERROR;
        call.settle(status === 0 ? NOBODY : { status, body, isCut });
      });
      return call;
    },
    close: () => session?.destroy(),
  };
}

interface Writable {
  write(text: string): unknown;
  end(text?: string): unknown;
  on(event: "error" | "close", listener: () => void): unknown;
}

function callOf(request: Writable, leave: () => void): Call & { settle(outcome: Outcome): void } {
  let settle = (_outcome: Outcome) => {};
  const outcome = new Promise<Outcome>((resolve) => {
    settle = resolve;
  });
  request.on("error", () => settle(NOBODY));
  // Without a response; one that there was has settled before, or settles in the same turn.
  request.on("close", () => setImmediate(() => settle(NOBODY)));
  return {
    write: (text) => void request.write(text),
    end: (text) => void request.end(text),
    leave,
    onBody: () => {},
    outcome,
    settle,
  };
}
