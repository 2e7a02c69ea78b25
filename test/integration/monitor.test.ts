// Monitor mode changes nothing. Goal: with the guard in monitor mode the server receives, and the client gets, what they
// would without any filter, byte by byte, whatever the exchange is, while the access log says what enforcing would have
// done. Method: one Envoy with a listener without the filter and one with it in each header mode; each exchange goes
// through all of them. What is compared: every header field in its order and as it is written, every byte of the body, every
// trailer, and how the request and the response ended. What is not: `x-request-id` and `date`, which differ by
// nature, and where HTTP/1.1 chunks begin, which is where Envoy's reads happened to end.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConnectionManager, connectionManager } from "../../src/envoy/bootstrap.ts";
import { THREAT_VECTORS } from "../vectors/threats.ts";
import { testedVersions } from "../versions.ts";
import { answer, type OriginResponse, type Respond } from "./origin.ts";
import {
  expectNothingActive,
  guardIn,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { type Fields, inPieces, pause, sendPieces, type WireHead, type WireRequest } from "./wire.ts";

const POLICY = {
  mode: "monitor",
  tool_allowlist: ["safe", "delete_all"],
  prompt_allowlist: ["greet"],
  resource_roots: ["file:///docs/"],
  argument_rules: [{ tool: "safe", pointer: "/path", rule: "path" }],
  allowed_origins: ["https://app.example"],
  allowed_hosts: ["guarded"],
};
const OPTIONS = { http1Trailers: true };
const BARE = "without the filter";
const GUARDS = ["headers released", "headers held"] as const;
const VECTORS_EVERY = 10;
const PAUSE_MS = 2;
/** How long a cut request is left alone, so that both Envoy and the server have seen what was sent of it. */
const SETTLE_MS = 60;

type Logged = readonly [decision: string | null, reason: string | null, removed?: string];

/** One exchange: what the client sends, and what the server does. */
interface Exchange {
  readonly name: string;
  readonly method?: string;
  readonly headers?: Fields;
  readonly body?: string | Uint8Array;
  readonly framing?: WireHead["framing"];
  /** Default: the whole body and the end of the request. */
  readonly send?: (request: WireRequest, body: Uint8Array) => Promise<void> | void;
  /** Default: the usual answer when the request is complete. */
  readonly respond?: Respond;
  /** What the access log says of it; absent where the request never gets as far as the filter. */
  readonly logged?: Logged;
  readonly only?: Protocol;
}

const SAFE = toolCall("safe", { path: "a/b" });
const EVIL = toolCall("evil");
const allowed = ["allow", null] as const;
const passed = ["pass", null] as const;
const would = (reason: string) => ["would_refuse", reason] as const;
const notListed = would("tool_not_listed");

/** Answers when the request is complete. */
const afterwards =
  (act: (response: OriginResponse) => void): Respond =>
  (arrival, response) =>
    void arrival.ended.then(() => {
      if (arrival.state === "complete") act(response);
    });

async function sendEvents(response: OriginResponse, count: number): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  for (let index = 0; index < count; index++) {
    response.write(`id: ${index}\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\n\n`);
    await pause(PAUSE_MS);
  }
}

const events = (count: number) =>
  afterwards((response) => void sendEvents(response, count).then(() => response.end(": bye\r\n\r\n")));

const message = (method: string, params: object): string => JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });

const BODIES: readonly (readonly [body: string, logged: readonly [string, string | null]])[] = [
  [SAFE, allowed],
  [EVIL, notListed],
  [toolCall("safe", { path: "../b" }), would("argument_not_allowed")],
  [toolCall("delete_all"), would("approval_not_configured")],
  [message("prompts/get", { name: "greet" }), allowed],
  [message("prompts/get", { name: "other" }), would("prompt_not_listed")],
  [message("resources/read", { uri: "file:///docs/a" }), allowed],
  [message("resources/read", { uri: "file:///etc/a" }), would("resource_not_listed")],
  [message("resources/read", { uri: "file:///docs/%2e%2e/a" }), would("uri_traversal")],
  [message("tasks/get", { taskId: "t" }), would("task_denied")],
  [message("vendor/x", {}), would("method_not_listed")],
  [`[${SAFE}]`, would("batch")],
  [`\uFEFF${SAFE}`, would("json_bom")],
  ['{"jsonrpc":}', would("json_syntax")],
  ["{", would("json_incomplete")],
  ["garbage", would("json_syntax")],
];

const long = (bytes: number, tool: string): string => toolCall(tool, { text: "x".repeat(bytes) });
const UNLISTED = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"evil"},{"name":"safe"}],"ttlMs":90000}}';
const event = { "content-type": "text/event-stream" };
const isModern: Fields = [
  ["mcp-protocol-version", "2026-07-28"],
  ["mcp-method", "tools/list"],
  ["mcp-name", "evil"],
];

const EXCHANGES: readonly Exchange[] = [
  ...BODIES.map(([body, logged]): Exchange => ({ name: body, body, logged })),
  {
    name: "bytes that are no UTF-8",
    body: Uint8Array.from([0x7b, 0x22, 0xff, 0x00, 0xc0, 0x80]),
    logged: would("json_utf8"),
  },
  { name: "a body at the cap", body: long(1_000_000 - long(0, "safe").length, "safe"), logged: allowed },
  { name: "a body over the cap", body: long(1_100_000, "safe"), logged: ["not_read", "body_too_large"] },
  {
    name: "a body over the cap, of no declared length",
    body: long(1_100_000, "evil"),
    framing: "chunked",
    logged: ["not_read", "body_too_large"],
  },
  { name: "no body", framing: "none", logged: would("body_missing") },
  ...[SAFE, EVIL].flatMap((body): Exchange[] => [
    { name: `in single bytes: ${body}`, body, framing: "chunked", send: bytewise, logged: decisionOf(body) },
    {
      name: `in single bytes, of declared length: ${body}`,
      body,
      send: bytewise,
      logged: decisionOf(body),
    },
    {
      name: `with trailers: ${body}`,
      body,
      framing: "chunked",
      send: (request, bytes) =>
        sendPieces(request, [bytes], {
          trailers: [
            ["x-checksum", "0"],
            ["x-again", "1"],
            ["x-again", "2"],
          ],
        }),
      logged: decisionOf(body),
    },
    { name: `events in the answer: ${body}`, body, respond: events(5), logged: decisionOf(body) },
    {
      name: `an answer before the request has ended: ${body}`,
      body,
      framing: "chunked",
      send: async (request, bytes) => {
        request.send(bytes.subarray(0, 10));
        while (request.soFar() === undefined) await pause(PAUSE_MS);
        await sendPieces(request, [bytes.subarray(10)]);
      },
      respond: (arrival, response) => {
        response.writeHead(200, event);
        response.write(": early\n\n");
        void arrival.ended.then(() => response.end("data: late\n\n"));
      },
      logged: decisionOf(body),
    },
    { name: `cut by the client: ${body}`, body, framing: "chunked", send: cut },
    { name: `cut by the client, of declared length: ${body}`, body, send: cut },
    {
      name: `an answer cut by the server: ${body}`,
      body,
      respond: afterwards((response) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.write('{"jsonrpc":');
        setTimeout(() => response.destroy(), SETTLE_MS);
      }),
      logged: decisionOf(body),
    },
    {
      name: `trailers of the answer: ${body}`,
      body,
      headers: [...JSON_FIELDS, ["te", "trailers"]],
      respond: afterwards((response) => {
        response.writeHead(200, { "content-type": "application/json", trailer: "x-digest" });
        response.write("{}");
        response.addTrailers({ "x-digest": "abc" });
        response.end();
      }),
      logged: decisionOf(body),
    },
    {
      name: `uncommon fields of the answer: ${body}`,
      body,
      respond: afterwards((response) => {
        response.writeHead(299, {
          "set-cookie": ["a=1; Path=/", "b=2", "a=1; Path=/"],
          "content-type": 'Application/JSON ;charset="utf-8"',
          "content-encoding": "gzip",
          "x-empty": "",
          "x-long": "y".repeat(8_000),
          "mcp-session-id": "s",
        });
        response.end("not gzip");
      }),
      logged: decisionOf(body),
    },
    {
      name: `an answer of 300 KB: ${body}`,
      body,
      respond: afterwards((response) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify({ tools: "z".repeat(300_000) }));
      }),
      logged: decisionOf(body),
    },
    ...[202, 204, 304, 404, 500].map(
      (status): Exchange => ({
        name: `an answer ${status}: ${body}`,
        body,
        respond: afterwards((response) => {
          response.writeHead(status, {});
          response.end();
        }),
        logged: decisionOf(body),
      }),
    ),
  ]),
  {
    name: "uncommon fields of the request",
    body: EVIL,
    headers: [
      ["Content-Type", 'application/json; Charset="UTF-8"'],
      ["x-again", "1"],
      ["X-Again", "2"],
      ["x-empty", ""],
      ["x-latin", "\u00e9\u00ff"],
      ["x-long", "y".repeat(8_000)],
      ["cookie", "a=1; b=2"],
      ["authorization", "Bearer token"],
      ["x-forwarded-for", "10.0.0.1"],
      ["mcp-session-id", "s"],
      ["mcp-param-region", "x"],
    ],
    logged: notListed,
  },
  {
    name: "headers of the other era",
    body: EVIL,
    headers: [...JSON_FIELDS, ...isModern],
    logged: would("meta_invalid"),
  },
  {
    name: "an origin that is not listed",
    body: SAFE,
    headers: [...JSON_FIELDS, ["origin", "https://evil.example"]],
    logged: would("origin_not_allowed"),
  },
  {
    name: "a host that is not listed",
    body: SAFE,
    headers: [["host", "attacker:80"], ...JSON_FIELDS],
    logged: would("host_not_allowed"),
  },
  {
    name: "another content type",
    body: SAFE,
    headers: [["content-type", "text/plain"]],
    logged: would("content_type"),
  },
  { name: "no content type", body: SAFE, headers: [], logged: would("content_type") },
  {
    name: "a content encoding",
    body: SAFE,
    headers: [...JSON_FIELDS, ["content-encoding", "gzip"]],
    logged: would("content_encoding"),
  },
  {
    name: "a client that waits to be told to go on",
    body: EVIL,
    headers: [...JSON_FIELDS, ["expect", "100-continue"]],
    logged: notListed,
  },
  {
    name: "an answer of another type",
    body: SAFE,
    respond: afterwards((response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      response.end(UNLISTED);
    }),
    logged: would("response_type"),
  },
  {
    name: "an answer with what is not listed",
    body: SAFE,
    respond: afterwards((response) => {
      response.writeHead(200, { "content-type": "application/json", etag: '"1"' });
      response.end(UNLISTED);
    }),
    logged: [...allowed, "1"],
  },
  {
    name: "an answer that would be cut",
    body: SAFE,
    respond: afterwards((response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(`{"jsonrpc":"2.0","id":1,"result":{"text":"${"z".repeat(300_000)}",}}`);
    }),
    logged: would("response_invalid"),
  },
  { name: "GET with a body", method: "GET", body: "x", logged: would("body_unexpected") },
  { name: "PUT", method: "PUT", body: SAFE, logged: would("http_method") },
  { name: "PATCH without a body", method: "PATCH", framing: "none", logged: would("http_method") },
  { name: "DELETE", method: "DELETE", framing: "none", logged: passed },
  { name: "OPTIONS", method: "OPTIONS", framing: "none", logged: passed },
  { name: "HEAD", method: "HEAD", framing: "none", logged: passed },
  { name: "a stream", method: "GET", framing: "none", respond: events(8), logged: passed },
  {
    name: "a stream that the client leaves",
    method: "GET",
    framing: "none",
    respond: (_arrival, response) => void sendEvents(response, 3),
    send: async (request) => {
      while ((request.soFar()?.body.toString().split("\n\n").length ?? 0) < 4) await pause(PAUSE_MS);
      request.disconnect();
    },
  },
  { name: "an upgrade that Envoy does not know", method: "GET", framing: "none", headers: upgrade(), only: "h1" },
];

const newest = testedVersions().at(-1)!;
/** On the older releases the HTTP/1.1 server: the filter is the same. */
const RUNS = testedVersions().flatMap((version) =>
  PROTOCOLS.filter((upstream) => version === newest || upstream === "h1").map((upstream) => ({ version, upstream })),
);

describe.each(RUNS)("Envoy $version, an $upstream server", ({ version, upstream }) => {
  let rig: Rig;
  let requests = 0;
  /** What the server does with a request, by its id. */
  const responders = new Map<string, Respond>();
  const logged = new Map<string, { readonly expected: Logged; readonly name: string }>();

  beforeAll(async () => {
    const [released, held] = GUARDS;
    rig = await startRig({
      version,
      upstream,
      guards: [
        { name: BARE, ...OPTIONS },
        guardIn("release", POLICY, { name: released, ...OPTIONS }),
        guardIn("hold", POLICY, { name: held, ...OPTIONS }),
      ],
      edit(bootstrap) {
        for (const listener of bootstrap.static_resources.listeners) {
          const manager = connectionManager(listener);
          if (listener.name === BARE) removeGuard(manager);
          quieten(manager);
        }
      },
      respond(arrival, response) {
        const respond = responders.get(String(arrival.headers["x-request-id"])) ?? afterwards(answer);
        respond(arrival, response);
      },
    });
  });

  afterAll(() => rig?.stop());

  for (const protocol of PROTOCOLS) {
    const own = EXCHANGES.filter(({ only }) => only === undefined || only === protocol);
    test.each(own.map((exchange) => [exchange.name.slice(0, 100), exchange] as const))(
      `${protocol}: %s`,
      async (_name, exchange) => {
        const [bare, ...guarded] = await runAll(protocol, exchange);
        for (const seen of guarded) expect(seen).toEqual(bare);
      },
    );

    const vectors = THREAT_VECTORS.filter(
      ({ scriptedHostOnly, request }, index) =>
        index % VECTORS_EVERY === 0 &&
        scriptedHostOnly !== true &&
        (request.protocol ?? protocol) === protocol &&
        // A declared length that is a lie leaves the request open.
        !request.headers.some(([name]) => name === "content-length"),
    );
    test(`${protocol}: every ${VECTORS_EVERY}th attack vector`, async () => {
      const different: string[] = [];
      for (const { row, name, request } of vectors) {
        const { method, headers, body, framing = "length", trailers } = request;
        const isBodiless = framing === "headers_only" || (body.length === 0 && framing === "length" && !trailers);
        const exchange: Exchange = {
          name,
          method,
          headers,
          body,
          framing: isBodiless ? "none" : framing === "length" && !trailers ? "length" : "chunked",
          ...(!isBodiless && {
            send: (sent: WireRequest, bytes: Uint8Array) =>
              sendPieces(sent, framing === "bytes" ? inPieces(bytes, 1) : [bytes], { trailers }),
          }),
        };
        const [bare, ...guarded] = (await runAll(protocol, exchange)).map((seen) => JSON.stringify(seen));
        for (const seen of guarded) {
          if (seen !== bare) different.push(`row ${row}, ${name}: ${seen} instead of ${bare}`);
        }
      }
      expect(different).toEqual([]);
      expect(vectors.length).toBeGreaterThan(50);
    });
  }

  test("the access log says what enforcing would have done", async () => {
    const entries = () => new Map(rig.envoy.accessLog().map((entry) => [entry.request_id, entry]));
    await expect.poll(() => [...logged.keys()].filter((id) => !entries().has(id)), PATIENCE).toEqual([]);
    const found = entries();
    const wrong = [...logged].flatMap(([id, { expected, name }]) => {
      const [decision, reason, removed] = expected;
      const { mcp_decision, mcp_reason, mcp_removed } = found.get(id)!;
      return mcp_decision === decision && mcp_reason === reason && (removed === undefined || mcp_removed === removed)
        ? []
        : [`${id}, ${name}: ${mcp_decision} ${mcp_reason} ${mcp_removed}`];
    });
    expect(wrong).toEqual([]);
    expect(logged.size).toBeGreaterThan(100);
  });

  test("nothing is left under way", () => expectNothingActive(rig));

  /** What has been seen of one exchange, without the filter first. */
  function runAll(protocol: Protocol, exchange: Exchange): Promise<object[]> {
    return Promise.all([BARE, ...GUARDS].map((guard) => run(protocol, guard, exchange)));
  }

  /** What the server and the client have seen of one exchange. */
  async function run(protocol: Protocol, guard: string, exchange: Exchange): Promise<object> {
    const { method = "POST", headers = JSON_FIELDS, body = "", framing = "length", send = whole } = exchange;
    const id = `${guard.replaceAll(" ", "-")}.${++requests}`;
    if (exchange.respond !== undefined) responders.set(id, exchange.respond);
    if (guard === BARE) logged.set(id, { expected: [null, null], name: exchange.name });
    else if (exchange.logged !== undefined) logged.set(id, { expected: exchange.logged, name: exchange.name });
    const bytes = Buffer.from(body);
    const connection = await rig.connect(protocol, guard);
    try {
      const head: WireHead = {
        method,
        path: "/mcp?x=%2e%2e",
        headers: [...headers, ...named(id)],
        framing,
        bodyBytes: bytes.length,
      };
      const request = connection.open(head);
      if (framing !== "none" || exchange.send !== undefined) await send(request, bytes);
      const response = await request.answer;
      const arrivals = rig.origin.arrivals(id);
      for (const arrival of arrivals) await arrival.ended;
      return {
        server: arrivals.map(({ fields, body: received, trailers, state, path }) => ({
          fields: comparable(fields),
          body: received().toString("latin1"),
          trailers,
          state,
          path,
        })),
        client: response && {
          fields: comparable(response.fields),
          body: response.body.toString("latin1"),
          trailers: response.trailers,
          isCut: response.isCut,
        },
      };
    } finally {
      connection.close();
    }
  }
});

/** The fields that must be the same. */
function comparable(fields: Fields): Fields {
  return fields.filter(([name]) => !["x-request-id", "date"].includes(name.toLowerCase()));
}

function removeGuard(manager: ConnectionManager): void {
  manager.http_filters = manager.http_filters.filter(({ name }) => name !== "mcp-guard");
}

/** Without the field that tells the client how long the server took, which no two exchanges share. */
function quieten(manager: ConnectionManager): void {
  const router = manager.http_filters.at(-1)!.typed_config as unknown as Record<string, unknown>;
  router.suppress_envoy_headers = true;
}

function decisionOf(body: string): readonly [string, string | null] {
  return body === SAFE ? allowed : notListed;
}

function upgrade(): Fields {
  return [
    ["connection", "upgrade"],
    ["upgrade", "websocket"],
  ];
}

function whole(request: WireRequest, body: Uint8Array): void {
  request.end(body);
}

function bytewise(request: WireRequest, body: Uint8Array): Promise<void> {
  return sendPieces(request, inPieces(body, 1), { pauseMs: 0 });
}

async function cut(request: WireRequest, body: Uint8Array): Promise<void> {
  request.send(body.subarray(0, body.length - 3));
  await pause(SETTLE_MS);
  request.disconnect();
}
