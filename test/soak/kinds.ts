// The kinds of exchange of the soak: what the client sends, what the server does, and what the client must get of it.

import type { Call, Outcome } from "./client.ts";
import type { Response } from "./server.ts";

export interface Kind {
  readonly name: string;
  readonly method: "GET" | "POST";
  /** What the client does with a call that is open; by default it sends `body` and waits. */
  readonly act?: (call: Call, random: () => number) => Promise<void>;
  readonly body?: string;
  readonly serve: (response: Response, whole: Promise<void>) => void;
  /** What is wrong with what the client got; absent for a client that leaves. */
  readonly problem?: (outcome: Outcome) => string | undefined;
  /** Whether exchanges of this kind are long: they are run beside the others. */
  readonly isStream?: true;
}

/** Nobody listens there. */
export const DEAD_COLLECTOR = "collector";

/** Everything that a record can have, for a collector that is gone. */
export const POLICY = {
  tool_allowlist: ["safe", "other"],
  limits: { list_bytes: 1_048_576 },
  identity: {
    header: { name: "User-Identity", trusted_gateways: ["spiffe://cluster.local/ns/gateway/sa/ai-gateway"] },
  },
  audit: {
    arguments: "redacted",
    redact: ["/secret"],
    response: "digest",
    otlp: { cluster: DEAD_COLLECTOR, authority: "collector:4318" },
  },
};

const JSON_TYPE = { "content-type": "application/json" };
const EVENTS_TYPE = { "content-type": "text/event-stream", "cache-control": "no-cache" };
const EVENT_MS = 20;
const BIG_BYTES = 1_000_000;

const call = (tool: string, text = "x"): string =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool, arguments: { text } } });
const list = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });

/** A list of `count` tools, of which two may be seen. */
function toolList(count: number): string {
  const tools = Array.from({ length: count }, (_, index) => ({
    name: index === 3 ? "safe" : index === count - 1 ? "other" : `evil_${index}`,
    description: "d".repeat(200),
    inputSchema: { type: "object", properties: { text: { type: "string" } } },
  }));
  return JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools, nextCursor: "n" } });
}

const LONG_LIST = toolList(200);
const BIG = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  result: { content: [{ type: "text", text: "y".repeat(BIG_BYTES) }] },
});
const event = (message: object): string =>
  `event: message\nid: 7\ndata: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`;
const progress = event({ method: "notifications/progress", params: { progressToken: 1, progress: 1 } });
const asked = event({ id: "evil-s", method: "sampling/createMessage", params: { messages: [], maxTokens: 1 } });

const names = (text: string): string =>
  (JSON.parse(text) as { result: { tools: { name: string }[] } }).result.tools.map(({ name }) => name).join();

const isListed = (text: string): string | undefined =>
  names(text) === "safe,other" ? undefined : `listed ${names(text).slice(0, 200)}`;

function whenWhole(act: (response: Response) => void): Kind["serve"] {
  return (response, whole) => void whole.then(() => act(response));
}

/** Writes `text` in pieces, a turn of the event loop apart. */
function writeSlowly(response: Response, text: string, pieces: number, atEnd: () => void): void {
  let isGone = false;
  response.on("close", () => {
    isGone = true;
  });
  const step = Math.ceil(text.length / pieces);
  const write = (at: number) => {
    if (isGone) return;
    if (at >= text.length) return atEnd();
    response.write(text.slice(at, at + step));
    setImmediate(write, at + step);
  };
  write(0);
}

/** Events until the client goes, or until the function that it gives is called: what may be seen and what may not, in turn. */
function streamEvents(response: Response): () => void {
  response.writeHead(200, EVENTS_TYPE);
  response.write("id: 0\ndata:\n\n");
  let turn = 0;
  const timer = setInterval(() => response.write(turn++ % 2 === 0 ? progress : asked), EVENT_MS);
  const stop = () => clearInterval(timer);
  response.on("close", stop);
  return stop;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for a part of the body, and leaves. */
async function leaveDuringAnswer(opened: Call, atLeast: number): Promise<void> {
  await Promise.race([
    opened.outcome,
    new Promise<void>((resolve) => {
      opened.onBody = (characters) => {
        if (characters >= atLeast) resolve();
      };
    }),
  ]);
  opened.leave();
}

export const KINDS: readonly Kind[] = [
  {
    name: "a list of tools",
    method: "POST",
    body: list,
    serve: whenWhole((response) => {
      response.writeHead(200, JSON_TYPE);
      response.end(LONG_LIST);
    }),
    problem: ({ status, body, isCut }) =>
      status === 200 && !isCut ? isListed(body) : `${status}, cut: ${isCut}, ${body.slice(0, 200)}`,
  },
  {
    name: "a list of tools behind events",
    method: "POST",
    body: list,
    serve: whenWhole((response) => {
      response.writeHead(200, EVENTS_TYPE);
      const text = `id: 1\ndata:\n\n${progress}${asked}${progress}data: ${LONG_LIST}\n\n`;
      writeSlowly(response, text, 9, () => response.end());
    }),
    problem: ({ status, body, isCut }) => {
      const data = body.split("\n").filter((line) => line.startsWith("data: {"));
      if (status !== 200 || isCut || body.includes("evil")) return `${status}, cut: ${isCut}, ${body.slice(0, 200)}`;
      return data.length === 3 ? isListed(data[2]!.slice(6)) : `${data.length} messages`;
    },
  },
  {
    name: "a result of 1 MB",
    method: "POST",
    body: call("safe"),
    serve: whenWhole((response) => {
      response.writeHead(200, JSON_TYPE);
      writeSlowly(response, BIG, 16, () => response.end());
    }),
    problem: ({ body, isCut }) =>
      !isCut && body === BIG ? undefined : `cut: ${isCut}, ${body.length} characters, ${body.slice(0, 200)}`,
  },
  {
    name: "a call that is not listed",
    method: "POST",
    body: call("evil"),
    serve: whenWhole((response) => response.end("served")),
    problem: ({ body }) => (body.includes('"reason":"tool_not_listed"') ? undefined : body.slice(0, 200)),
  },
  {
    name: "a call of 500 KB",
    method: "POST",
    act: async (opened) => {
      const body = call("safe", "z".repeat(500_000));
      for (let at = 0; at < body.length; at += 50_000) {
        opened.write(body.slice(at, at + 50_000));
        await pause(0);
      }
      opened.end();
    },
    serve: whenWhole((response) => {
      response.writeHead(200, JSON_TYPE);
      response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
    }),
    problem: ({ status, body }) => (status === 200 && body.includes('"result":{}') ? undefined : `${status} ${body}`),
  },
  {
    name: "an answer that must be cut",
    method: "POST",
    body: call("safe"),
    serve: whenWhole((response) => {
      response.writeHead(200, JSON_TYPE);
      response.end(`${BIG.slice(0, 200_000)}",}`);
    }),
    problem: ({ status, isCut, body }) =>
      isCut && !body.includes('",}') ? undefined : `${status}, cut: ${isCut}, ${body.slice(0, 200)}`,
  },
  {
    name: "a server that goes in the middle of its answer",
    method: "POST",
    body: call("safe"),
    serve: whenWhole((response) => {
      response.writeHead(200, JSON_TYPE);
      writeSlowly(response, BIG.slice(0, 300_000), 4, () => response.destroy());
    }),
    problem: ({ status, isCut, body }) => (isCut ? undefined : `${status}, whole: ${body.slice(0, 200)}`),
  },
  {
    name: "a client that leaves in the middle of its request",
    method: "POST",
    act: async (opened, random) => {
      const body = call("safe", "z".repeat(100_000));
      opened.write(body.slice(0, Math.floor(random() * body.length)));
      await pause(random() * 20);
      opened.leave();
    },
    serve: () => {},
  },
  {
    name: "a client that leaves in the middle of a result",
    method: "POST",
    act: async (opened, random) => {
      opened.end(call("safe"));
      await leaveDuringAnswer(opened, random() * BIG_BYTES);
    },
    serve: whenWhole((response) => {
      response.writeHead(200, JSON_TYPE);
      writeSlowly(response, BIG, 64, () => response.end());
    }),
  },
  {
    name: "a client that leaves its stream",
    method: "GET",
    isStream: true,
    act: async (opened, random) => {
      opened.end();
      await Promise.race([opened.outcome, pause(random() * 3_000)]);
      opened.leave();
    },
    serve: (response) => void streamEvents(response),
    problem: ({ body }) => (body.includes("evil") ? "an event that is not allowed" : undefined),
  },
  {
    name: "a client that leaves the stream of its call",
    method: "POST",
    isStream: true,
    act: async (opened, random) => {
      opened.end(call("safe"));
      await leaveDuringAnswer(opened, random() * 5_000);
    },
    serve: whenWhole(streamEvents),
    problem: ({ body }) => (body.includes("evil") ? "an event that is not allowed" : undefined),
  },
  {
    name: "a stream that the server ends",
    method: "GET",
    isStream: true,
    act: async (opened) => opened.end(),
    serve: (response) => {
      const stop = streamEvents(response);
      setTimeout(() => {
        stop();
        response.end(progress);
      }, 1_000);
    },
    problem: ({ body, isCut }) => (isCut || body.includes("evil") ? `cut: ${isCut}, ${body.slice(0, 200)}` : undefined),
  },
];
