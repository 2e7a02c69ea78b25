// The clients: connections that send one request after the other, and look at every answer.
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";

export type Protocol = "h1" | "h2";

export interface Request {
  readonly path: string;
  readonly body: Buffer;
  /** In addition to those of every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Connections to one listener. */
export interface Load {
  /** Sends for `milliseconds`, and waits until every answer is there. */
  run(milliseconds: number): Promise<{ readonly requests: number; readonly latencies: number[] }>;
  /** Sends one request. */
  once(): Promise<Answer>;
  close(): void;
}

export async function openLoad(port: number, protocol: Protocol, connections: number, request: Request): Promise<Load> {
  const lines = await Promise.all(
    Array.from({ length: connections }, () =>
      protocol === "h1" ? openHttp1(port, request) : openHttp2(port, request),
    ),
  );
  const expected = await lines[0]!.send();
  const check = (answer: Answer): void => {
    // Not the whole text each time: that would measure the client.
    if (answer.status !== expected.status || answer.body.length !== expected.body.length) {
      throw new Error(
        `expected ${expected.status} with ${expected.body.length} characters, got ${answer.status} with ${answer.body.length}`,
      );
    }
  };
  return {
    async run(milliseconds) {
      const latencies: number[] = [];
      const end = performance.now() + milliseconds;
      await Promise.all(
        lines.map(async (line) => {
          while (performance.now() < end) {
            const start = performance.now();
            check(await line.send());
            latencies.push(performance.now() - start);
          }
        }),
      );
      return { requests: latencies.length, latencies };
    },
    once: () => lines[0]!.send(),
    close: () => {
      for (const line of lines) line.close();
    },
  };
}

interface Line {
  send(): Promise<Answer>;
  close(): void;
}

const FIELDS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

async function openHttp1(port: number, { path, body, headers }: Request): Promise<Line> {
  const fields = Object.entries({ host: "bench", ...FIELDS, ...headers, "content-length": body.length });
  const head = `POST ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  const bytes = Buffer.concat([Buffer.from(head), body]);
  let socket: Socket | undefined;
  let settle = (_answer: Answer) => {};
  let fail = (_error: Error) => {};
  let parts: Buffer[] = [];
  let received = 0;
  // Where the body begins, and where it ends; undefined for one in chunks.
  let bodyAt = -1;
  let end: number | undefined;
  let [status, isClosing] = [0, false];

  const onData = (data: Buffer) => {
    parts.push(data);
    received += data.length;
    if (bodyAt < 0) {
      const text = Buffer.concat(parts).toString("latin1");
      const headEnd = text.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      bodyAt = headEnd + 4;
      status = Number(text.slice(9, 12));
      const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, bodyAt))?.[1];
      isClosing = /\r\nconnection: close/i.test(text.slice(0, bodyAt));
      end = length === undefined ? undefined : bodyAt + Number(length);
    }
    const isWhole = end === undefined ? endsWithLastChunk(data, parts) : received >= end;
    if (!isWhole) return;
    const text = Buffer.concat(parts).subarray(bodyAt).toString("latin1");
    const answer = { status, body: end === undefined ? unchunked(text) : text };
    parts = [];
    received = 0;
    bodyAt = -1;
    if (isClosing) {
      socket?.destroy();
      socket = undefined;
    }
    settle(answer);
  };

  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const fresh = connect(port, "127.0.0.1", () => resolve(fresh));
      fresh.setNoDelay(true);
      fresh.on("data", onData);
      fresh.on("error", (error) => {
        reject(error);
        fail(error);
      });
    });

  return {
    async send() {
      socket ??= await open();
      const answer = new Promise<Answer>((resolve, reject) => {
        settle = resolve;
        fail = reject;
      });
      socket.write(bytes);
      return answer;
    },
    close: () => socket?.destroy(),
  };
}

function endsWithLastChunk(data: Buffer, parts: Buffer[]): boolean {
  const tail = data.length >= 7 ? data : Buffer.concat(parts.slice(-2));
  return tail.subarray(-7).toString("latin1") === "\r\n0\r\n\r\n";
}

/** The content of a chunked body (RFC 9112 section 7.1): where its chunks begin is chance. */
function unchunked(text: string): string {
  let content = "";
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    const length = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!(length > 0)) return content;
    content += text.slice(lineEnd + 2, lineEnd + 2 + length);
    at = lineEnd + 2 + length + 2;
  }
}

async function openHttp2(port: number, { path, body, headers }: Request): Promise<Line> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  await new Promise((resolve, reject) => session.once("connect", resolve).once("error", reject));
  return {
    send: () =>
      new Promise<Answer>((resolve, reject) => {
        const fields = { ...FIELDS, ...headers, "content-length": body.length };
        const stream = session.request({ ":method": "POST", ":path": path, ...fields });
        let status = 0;
        let text = "";
        stream.setEncoding("latin1");
        stream.on("response", (fields) => {
          status = Number(fields[constants.HTTP2_HEADER_STATUS]);
        });
        stream.on("data", (data: string) => {
          text += data;
        });
        stream.on("error", reject);
        stream.on("end", () => resolve({ status, body: text }));
        stream.end(body);
      }),
    close: () => session.destroy(),
  };
}
