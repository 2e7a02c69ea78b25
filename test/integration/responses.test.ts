// Responses in a real Envoy. Goal: what a client can see is what the policy lists, on every stream, and what is no MCP is left
// as it is. Method: a server that answers as each row says, raw clients over HTTP/1.1, both header modes, every chosen driver.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type IncomingHttpHeaders, request as sendRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drivers } from "./drivers/drivers.ts";
import type { Arrival, OriginResponse } from "./origin.ts";
import { expectNothingActive, guardIn, HEADER_MODE_NAMES, PATIENCE, PROTOCOLS, type Rig, startRig } from "./rig.ts";
import { pause } from "./wire.ts";

const POLICY = { tool_allowlist: ["echo"], prompt_allowlist: ["hello"], resource_roots: ["file:///srv/"] };
const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const DOWNLOAD = randomBytes(20_000_000);

const message = (result: object): string => JSON.stringify({ jsonrpc: "2.0", id: 1, result });
const TOOLS = { tools: [{ name: "echo" }, { name: "system_exec" }], nextCursor: "2" };
const SEEN = { tools: [{ name: "echo" }], nextCursor: "2" };
const event = (data: string): string => `event: message\ndata: ${data}\n\n`;

interface Row {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, in the pieces in which the server writes it. */
  readonly pieces?: readonly (string | Buffer)[];
}

/** What the server answers, by path. */
const ROWS: Readonly<Record<string, Row>> = {
  "/health": { headers: { "content-type": "text/plain", etag: '"1"' }, pieces: ["ok\n"] },
  "/missing": { status: 404, headers: { "content-type": "text/html" }, pieces: ["<h1>Not found</h1>"] },
  "/bad": { status: 400, headers: { "content-type": "text/plain" }, pieces: ["Bad Request: no session"] },
  "/metrics": { headers: { "content-type": "text/plain; version=0.0.4" }, pieces: ["# TYPE up gauge\nup 1\n"] },
  "/jwks": { headers: { "content-type": "application/json" }, pieces: ['{"keys": [ {"kty":"RSA"} ] }\n'] },
  "/empty": { status: 204 },
  "/same": { status: 304, headers: { etag: '"1"' } },
  "/download": {
    headers: { "content-type": "application/octet-stream", "content-length": "20000000" },
    pieces: [DOWNLOAD],
  },
  "/list": { headers: { "content-type": "application/json" }, pieces: [message(TOOLS)] },
  "/sized": {
    headers: { "content-type": "application/json", "content-length": String(message(TOOLS).length), etag: '"1"' },
    pieces: [message(TOOLS)],
  },
  "/plus": { status: 201, headers: { "content-type": "Application/X+JSON; a=b" }, pieces: [message(TOOLS)] },
  "/failed": { status: 500, headers: { "content-type": "application/json" }, pieces: [message(TOOLS)] },
  "/untyped": { pieces: [message(TOOLS)] },
  "/events": {
    headers: { "content-type": "Text/Event-Stream" },
    pieces: ["id: 1\ndata:\n\n: ping\n\n", event(message(TOOLS))],
  },
  "/unended": { headers: { "content-type": "text/event-stream" }, pieces: [`data: ${message(TOOLS)}`] },
  "/lines": { headers: { "content-type": "application/json" }, pieces: [`${message({})}\n`, `${message(TOOLS)}\n`] },
  "/bytes": { headers: { "content-type": "application/json" }, pieces: [...message(TOOLS)] },
  "/text": { headers: { "content-type": "text/plain" }, pieces: [message(TOOLS)] },
  "/coded": { headers: { "content-type": "application/json", "content-encoding": "gzip" }, pieces: ["\x1f\x8b"] },
  "/broken": {
    headers: { "content-type": "application/json" },
    pieces: ['{"result":{"tools":[],', '"tools":[]},"id":1}'],
  },
  "/secret": {
    headers: { "content-type": "application/json" },
    pieces: [
      JSON.stringify({ result: { contents: [{ uri: "file:///etc/passwd", text: "root" }] }, jsonrpc: "2.0", id: 1 }),
    ],
  },
};

async function respond(arrival: Arrival, response: OriginResponse): Promise<void> {
  await arrival.ended;
  if (arrival.path === "/slow") return respondSlowly(response);
  const row = ROWS[arrival.path] ?? { status: 404 };
  response.writeHead(row.status ?? 200, row.headers ?? {});
  for (const piece of row.pieces ?? []) {
    response.write(piece as string);
    if ((row.pieces?.length ?? 0) > 1) await pause(1);
  }
  response.end();
}

/** Each event only when the client has seen the one before: it says so by asking for `/seen`. */
let seen = 0;
function respondSlowly(response: OriginResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  let sent = 0;
  const timer = setInterval(() => {
    if (sent > seen) return;
    response.write(event(message({ ...TOOLS, number: sent })));
    sent++;
  }, 5);
  response.on("close", () => clearInterval(timer));
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request to the guard; rejects when the response is cut. */
async function ask(rig: Rig, method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const request = sendRequest(`${rig.envoy.url()}${path}`, {
    method,
    headers: { ...(method === "POST" && { "content-type": "application/json" }), ...headers },
  });
  request.end(method === "POST" ? LIST : undefined);
  const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const RUNS = drivers.flatMap((driver) => HEADER_MODE_NAMES.map((mode) => ({ driver, mode, name: driver.name })));

describe.each(RUNS)("$name, $mode", ({ driver, mode }) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig({ driver, guards: [guardIn(mode, POLICY)], respond: (a, r) => void respond(a, r) });
  });

  afterAll(() => rig.stop());

  test.each(["/health", "/missing", "/metrics", "/empty", "/same", "/download"])(
    "GET %s is untouched",
    async (path) => {
      const row = ROWS[path]!;
      const { status, headers, body } = await ask(rig, "GET", path);
      expect(status).toBe(row.status ?? 200);
      expect(headers).toMatchObject(row.headers ?? {});
      expect(sha256(body)).toBe(sha256(Buffer.concat((row.pieces ?? []).map((piece) => Buffer.from(piece)))));
    },
  );

  test("a key set comes byte for byte", async () => {
    expect((await ask(rig, "GET", "/jwks")).body.toString()).toBe(ROWS["/jwks"]?.pieces?.join(""));
  });

  test("HEAD keeps its Content-Length", async () => {
    const { headers } = await ask(rig, "HEAD", "/sized");
    expect(headers).toMatchObject({ "content-length": ROWS["/sized"]?.headers?.["content-length"], etag: '"1"' });
  });

  test("a plain-text error to a POST passes", async () => {
    const { status, body } = await ask(rig, "POST", "/bad");
    expect([status, body.toString()]).toEqual([400, "Bad Request: no session"]);
  });

  test.each([
    ["POST", "/list"],
    ["GET", "/list"],
    ["POST", "/sized"],
    ["POST", "/plus"],
    ["POST", "/failed"],
    ["POST", "/untyped"],
    ["POST", "/bytes"],
  ])("%s %s: the list has what is listed", async (method, path) => {
    const { status, headers, body } = await ask(rig, method, path);
    expect(status).toBe(ROWS[path]?.status ?? 200);
    expect(JSON.parse(body.toString())).toEqual({ jsonrpc: "2.0", id: 1, result: SEEN });
    expect([headers["content-length"], headers.etag]).toEqual([undefined, undefined]);
  });

  test("one message for each line", async () => {
    const lines = (await ask(rig, "POST", "/lines")).body.toString();
    expect(lines).toBe(`${message({})}\n${message(SEEN)}\n`);
  });

  test.each(["POST", "GET"])("events to a %s", async (method) => {
    expect((await ask(rig, method, "/events")).body.toString()).toBe(`id: 1\ndata: \n\n:\n\n${event(message(SEEN))}`);
    expect((await ask(rig, method, "/unended")).body.toString()).toBe(`data: ${message(SEEN)}\n\n`);
  });

  test.each([
    ["/text", 502, "response_type"],
    ["/coded", 502, "response_encoded"],
    ["/broken", 200, "response_invalid"],
    ["/secret", 200, "resource_not_listed"],
  ])("%s becomes an error", async (path, wanted, reason) => {
    const { status, body } = await ask(rig, "POST", path);
    expect(status).toBe(wanted);
    expect(JSON.parse(body.toString())).toMatchObject({ jsonrpc: "2.0", error: { data: { reason } } });
    expect(body.toString()).not.toContain("root");
  });

  test("a GET that opens a stream gets no body of another type", async () => {
    const { status, body } = await ask(rig, "GET", "/text", { accept: "text/event-stream" });
    expect([status, JSON.parse(body.toString()).error.data.reason]).toEqual([502, "response_type"]);
  });

  test("the server is asked for what can be read", async () => {
    await ask(rig, "GET", "/jwks", {
      "accept-encoding": "gzip",
      range: "bytes=0-1",
      "if-range": "x",
      "x-request-id": "plain",
    });
    const [arrival] = rig.origin.arrivals("plain");
    expect(Object.keys(arrival?.headers ?? {})).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(accept-encoding|range|if-range)$/)]),
    );
  });

  test("each event is seen before the next is sent, and a client that leaves ends the stream at the server", async () => {
    seen = 0;
    const request = sendRequest(`${rig.envoy.url()}/slow`, {
      method: "GET",
      headers: { "x-request-id": `slow-${mode}` },
    });
    request.on("error", () => {}); // it is destroyed below
    request.end();
    const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    let text = "";
    for await (const chunk of response) {
      text += String(chunk);
      const events = text.split("\n\n").length - 1;
      expect(events).toBeLessThanOrEqual(seen + 1);
      seen = events;
      if (events === 5) break;
    }
    expect(text).not.toContain("system_exec");
    request.destroy();
    await expectNothingActive(rig, PATIENCE.timeout);
  });
});

describe.each(PROTOCOLS)("a server that speaks %s", (upstream) => {
  test("has its lists filtered too", async () => {
    const rig = await startRig({
      upstream,
      guards: [guardIn("release", POLICY)],
      respond: (a, r) => void respond(a, r),
    });
    try {
      for (const path of ["/list", "/bytes"]) {
        expect(JSON.parse((await ask(rig, "POST", path)).body.toString())).toEqual(JSON.parse(message(SEEN)));
      }
    } finally {
      await rig.stop();
    }
  });
});
