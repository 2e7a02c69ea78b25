// The behaviours of Envoy that a guard relies on. Every row runs on the Node host (node-host.test.ts) and on a real Envoy
// (envoy.test.ts); what either does differently fails there.
import { type Outcome, type Row, SERVER_ANSWER } from "./row.ts";

const A = "AAAAAAAAAA";
const B = "BBBBBBBB";
const C = "CCCCCC";
const THREE_CHUNKS = [{ body: A }, { body: B }, { body: C }] as const;
const KIB_64 = 65_536;
const BIG = "x".repeat(40_000);

const END = ["log", "done", "delete"];
const ANSWERED = ["response_headers eos=0", "response_body 6 eos=0", "response_body 0 eos=1", ...END];
/** The probe's own local reply on its way through the probe's response callbacks. */
const REPLIED = ["reply 0", "response_headers eos=0", "response_body 11 eos=1", ...END];

const FROM_SERVER = { ...SERVER_ANSWER, cut: false };
const FROM_PROBE = { status: 403, contentType: "application/json", body: '{"probe":1}', cut: false };
const LOGGED: Outcome["log"] = { code: 200, details: "via_upstream", property: null };
const LOGGED_REPLY: Outcome["log"] = { code: 403, details: "probe.reply", property: null };
const LOGGED_GONE: Outcome["log"] = { code: 0, details: "downstream_remote_disconnect", property: null };
const got = (body: string, ended = true) => ({ body, ended });

export const ROWS: readonly Row[] = [
  // What a body callback returns.
  {
    name: "body 0: every chunk goes on at once",
    probe: { request_body: ["0"] },
    request: { framing: "chunked" },
    client: [
      { body: A },
      { serverHas: got(A, false) },
      { body: B },
      { serverHas: got(A + B, false) },
      { body: C },
      { end: true },
    ],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_body 8 eos=0",
        "request_body 6 eos=0",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A + B + C),
      log: LOGGED,
    },
  },
  {
    name: "body 1: the next call sees everything, and nothing goes on before 0",
    probe: { request_body: ["1", "1 body", "1 body", "0"] },
    request: { framing: "chunked" },
    client: [...THREE_CHUNKS, { serverHas: got("", false) }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_body 18 eos=0",
        `body 0 ${A}${B}`,
        "request_body 24 eos=0",
        `body 0 ${A}${B}${C}`,
        "request_body 24 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A + B + C),
      log: LOGGED,
    },
  },
  {
    name: "body 2: the next call sees only new bytes, and nothing goes on before 0",
    probe: { request_body: ["2 body", "2 body", "2 body", "0 body"] },
    request: { framing: "chunked" },
    client: [...THREE_CHUNKS, { serverHas: got("", false) }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        `body 0 ${A}`,
        "request_body 8 eos=0",
        `body 0 ${B}`,
        "request_body 6 eos=0",
        `body 0 ${C}`,
        "request_body 0 eos=1",
        "body 0 ",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A + B + C),
      log: LOGGED,
    },
  },
  {
    name: "body 2 on HTTP/2: as on HTTP/1.1",
    probe: { request_body: ["2", "2", "2", "0"] },
    request: { protocol: "h2", framing: "chunked" },
    client: [...THREE_CHUNKS, { serverHas: got("", false) }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_body 8 eos=0",
        "request_body 6 eos=0",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A + B + C),
      log: LOGGED,
    },
  },
  {
    name: "body 2, 1, 2: after a 1 the next call sees also what a 2 had kept",
    probe: { request_body: ["2", "1", "2", "0"] },
    request: { framing: "chunked" },
    client: [...THREE_CHUNKS, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_body 8 eos=0",
        "request_body 24 eos=0",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A + B + C),
      log: LOGGED,
    },
  },
  {
    name: "body 3: the bytes are dropped",
    probe: { request_body: ["3", "3", "3", "0"] },
    request: { framing: "chunked" },
    client: [...THREE_CHUNKS, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_body 8 eos=0",
        "request_body 6 eos=0",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(""),
      log: LOGGED,
    },
  },
  {
    name: "body 2, 0, 2, 0: what comes after a release is held again",
    probe: { request_body: ["2", "0", "2", "0"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { body: B }, { serverHas: got(A + B, false) }, { body: C }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_body 8 eos=0",
        "request_body 6 eos=0",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A + B + C),
      log: LOGGED,
    },
  },

  // How a request ends.
  {
    name: "Content-Length: the end is a body call of its own without bytes",
    probe: { request_body: ["2", "0"] },
    request: { framing: "length" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 0 eos=1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "Content-Length 0: the headers end the request",
    probe: {},
    request: { framing: "length" },
    expect: {
      calls: ["request_headers eos=1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(""),
      log: LOGGED,
    },
  },
  {
    name: "an empty chunked body: one body call without bytes",
    probe: { request_body: ["0"] },
    request: { framing: "chunked" },
    client: [{ end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 0 eos=1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(""),
      log: LOGGED,
    },
  },
  {
    name: "trailers on HTTP/1.1, enabled: the trailers end the request, and 0 there releases the body",
    probe: { request_body: ["2"], request_trailers: ["header:1:x-checksum 0"] },
    listener: { trailers: true },
    request: { framing: "chunked" },
    client: [{ body: A }, { serverHas: got("", false) }, { trailers: { "x-checksum": "7" } }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_trailers 1",
        "header x-checksum 0 7",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "trailers on HTTP/1.1, not enabled: they are dropped and the end is a body call without bytes",
    probe: { request_body: ["2", "0"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { trailers: { "x-checksum": "7" } }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 0 eos=1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "trailers on HTTP/2: as on HTTP/1.1 with trailers enabled",
    probe: { request_body: ["2"], request_trailers: ["0"] },
    request: { protocol: "h2", framing: "chunked" },
    client: [{ body: A }, { trailers: { "x-checksum": "7" } }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_trailers 1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "trailers 1: the request waits",
    probe: { request_body: ["2"], request_trailers: ["1"] },
    listener: { trailers: true },
    request: { framing: "chunked" },
    client: [{ body: A }, { trailers: { "x-checksum": "7" } }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_trailers 1", ...END],
      client: "waits",
      server: got("", false),
      log: LOGGED_GONE,
    },
  },

  // What a headers callback returns.
  {
    name: "headers 1 with the flag: the body is seen and nothing reaches the server before a body callback returns 0",
    probe: { request_headers: ["1"], request_body: ["2", "0"] },
    listener: { headersStop: true },
    request: { framing: "chunked" },
    client: [{ body: A }, { serverHas: "nothing" }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 0 eos=1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "headers 1 with the flag on a request without a body: it waits",
    probe: { request_headers: ["1"] },
    listener: { headersStop: true },
    request: { method: "GET", framing: "none" },
    expect: { calls: ["request_headers eos=1", ...END], client: "waits", server: "nothing", log: LOGGED_GONE },
  },
  {
    name: "headers 1 without the flag: the body is never seen",
    probe: { request_headers: ["1"], request_body: ["0"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { end: true }],
    expect: { calls: ["request_headers eos=0", ...END], client: "waits", server: "nothing", log: LOGGED_GONE },
  },
  {
    name: "headers 0, body 2: the headers reach the server at once",
    probe: { request_headers: ["0"], request_body: ["2", "0"] },
    request: { framing: "chunked" },
    client: [{ serverHas: got("", false) }, { body: A }, { serverHas: got("", false) }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 0 eos=1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "headers 2: taken for 0, also with the flag",
    probe: { request_headers: ["2"], request_body: ["2", "0"] },
    listener: { headersStop: true },
    request: { framing: "chunked" },
    client: [{ serverHas: got("", false) }, { body: A }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 0 eos=1", ...ANSWERED],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  ...["3", "4"].map(
    (value): Row => ({
      name: `headers ${value} with the flag: the body is never seen`,
      probe: { request_headers: [value], request_body: ["0"] },
      listener: { headersStop: true },
      request: { framing: "chunked" },
      client: [{ body: A }, { end: true }],
      expect: { calls: ["request_headers eos=0", ...END], client: "waits", server: "nothing", log: LOGGED_GONE },
    }),
  ),

  // Local replies.
  ...["0", "1", "2"].map(
    (value): Row => ({
      name: `a reply from the request headers (returning ${value}) passes through our own response callbacks`,
      probe: { request_headers: [`reply:403 ${value}`] },
      request: { method: "GET", framing: "none" },
      expect: {
        calls: ["request_headers eos=1", ...REPLIED],
        client: FROM_PROBE,
        server: "nothing",
        log: LOGGED_REPLY,
      },
    }),
  ),
  {
    name: "a reply from the headers of a request with a body: the body is never seen",
    probe: { request_headers: ["reply:403 0"], request_body: ["0"] },
    request: { framing: "length" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", ...REPLIED],
      client: FROM_PROBE,
      server: "nothing",
      log: LOGGED_REPLY,
    },
  },
  {
    name: "our own response callbacks can hold our reply for ever",
    probe: { request_headers: ["reply:403 0"], response_headers: ["1"], response_body: ["2"] },
    listener: { headersStop: true },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", "reply 0", "response_headers eos=0", "response_body 11 eos=1", ...END],
      client: "waits",
      server: "nothing",
      log: { code: 403, details: "downstream_remote_disconnect", property: null },
    },
  },
  {
    name: "our reply, its headers held with 1, goes out when the body callback returns 0",
    probe: { request_headers: ["reply:403 0"], response_headers: ["1"], response_body: ["0"] },
    listener: { headersStop: true },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", ...REPLIED],
      client: FROM_PROBE,
      server: "nothing",
      log: LOGGED_REPLY,
    },
  },
  {
    name: "a reply from the request body, headers released: the server's request is cut, and later chunks are not seen",
    probe: { request_body: ["2", "reply:403 2"] },
    request: { framing: "chunked" },
    client: [...THREE_CHUNKS],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 8 eos=0", ...REPLIED],
      client: FROM_PROBE,
      server: got("", false),
      log: LOGGED_REPLY,
    },
  },
  {
    name: "a reply from the end of the request body, headers held: the server sees nothing",
    probe: { request_headers: ["1"], request_body: ["2", "reply:403 2"] },
    listener: { headersStop: true },
    request: { framing: "length" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 0 eos=1", ...REPLIED],
      client: FROM_PROBE,
      server: "nothing",
      log: LOGGED_REPLY,
    },
  },
  {
    name: "a reply from the end of the request body on HTTP/2",
    probe: { request_body: ["2", "reply:403 2"] },
    request: { protocol: "h2", framing: "chunked" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 0 eos=1", ...REPLIED],
      client: FROM_PROBE,
      server: got("", false),
      log: LOGGED_REPLY,
    },
  },
  {
    name: "a reply from the request trailers",
    probe: { request_body: ["2"], request_trailers: ["reply:403 0"] },
    listener: { trailers: true },
    request: { framing: "chunked" },
    client: [{ body: A }, { trailers: { "x-checksum": "7" } }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_trailers 1", ...REPLIED],
      client: FROM_PROBE,
      server: got("", false),
      log: LOGGED_REPLY,
    },
  },
  {
    name: "a reply from the response headers replaces the response, and our callbacks do not run again",
    probe: { response_headers: ["reply:502 0"], log: ["header:2::status"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: [
        "request_headers eos=1",
        "response_headers eos=0",
        "reply 0",
        "log",
        "header :status 0 502",
        "done",
        "delete",
      ],
      client: { ...FROM_PROBE, status: 502 },
      server: got(""),
      log: { code: 502, details: "probe.reply", property: null },
    },
  },
  {
    name: "a reply from the response body, headers held, replaces the response",
    probe: { response_headers: ["1"], response_body: ["2", "reply:502 2"] },
    listener: { headersStop: true },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: [
        "request_headers eos=1",
        "response_headers eos=0",
        "response_body 6 eos=0",
        "response_body 0 eos=1",
        "reply 0",
        ...END,
      ],
      client: { ...FROM_PROBE, status: 502 },
      server: got(""),
      log: { code: 502, details: "probe.reply", property: null },
    },
  },
  {
    name: "a reply from the response body, headers sent, cuts the response",
    probe: { response_headers: ["0"], response_body: ["2", "reply:502 2"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: [
        "request_headers eos=1",
        "response_headers eos=0",
        "response_body 6 eos=0",
        "response_body 0 eos=1",
        "reply 0",
        ...END,
      ],
      client: { ...FROM_SERVER, body: "", cut: true },
      server: got(""),
      log: { code: 200, details: "probe.reply", property: null },
    },
  },
  {
    name: "a reply to HEAD has no body, also for our own response callbacks",
    probe: { request_headers: ["reply:403 0"] },
    request: { method: "HEAD", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", "reply 0", "response_headers eos=1", ...END],
      client: { ...FROM_PROBE, body: "" },
      server: "nothing",
      log: LOGGED_REPLY,
    },
  },
  {
    name: "two replies from one callback: the first one is sent",
    probe: { request_headers: ["reply:403 reply:404 0"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", "reply 0", ...REPLIED],
      client: FROM_PROBE,
      server: "nothing",
      log: LOGGED_REPLY,
    },
  },
  {
    name: "a reply from the response headers of our own reply takes its place",
    probe: { request_headers: ["reply:403 0"], response_headers: ["reply:404 0"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", "reply 0", "response_headers eos=0", "reply 0", ...END],
      client: { ...FROM_PROBE, status: 404 },
      server: "nothing",
      log: { ...LOGGED_REPLY, code: 404 },
    },
  },
  {
    name: "after a reply from the response headers the response body is not seen",
    probe: { response_headers: ["reply:502 0"], response_body: ["reply:404 0"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", "response_headers eos=0", "reply 0", ...END],
      client: { ...FROM_PROBE, status: 502 },
      server: got(""),
      log: { ...LOGGED_REPLY, code: 502 },
    },
  },
  {
    name: "after a reply from the timer no chunk of the request is seen, even if the reply is held",
    probe: {
      request_headers: ["0"],
      request_body: ["arm 2", "2"],
      tick: ["effective reply:403"],
      response_headers: ["1"],
      response_body: ["2"],
    },
    listener: { headersStop: true },
    request: { framing: "chunked" },
    client: [{ body: A }, { tick: true }, { body: B }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "tick",
        "effective 0",
        "reply 0",
        "response_headers eos=0",
        "response_body 11 eos=1",
        ...END,
      ],
      client: "waits",
      server: got("", false),
      log: { ...LOGGED_GONE, code: 403 },
    },
  },

  // The end of a stream.
  {
    name: "the client goes away while the request is held: log, done, delete at once",
    probe: { request_body: ["2"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { disconnect: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", ...END],
      client: "waits",
      server: got("", false),
      log: LOGGED_GONE,
    },
  },
  {
    name: "the client resets an HTTP/2 stream while the request is held: log, done, delete at once",
    probe: { request_body: ["2"] },
    request: { protocol: "h2", framing: "chunked" },
    client: [{ body: A }, { disconnect: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", ...END],
      client: "waits",
      server: got("", false),
      log: { code: 0, details: "http2.remote_reset", property: null },
    },
  },
  {
    name: "the server answers before the request has ended: the stream ends with the response",
    probe: { request_body: ["2"] },
    request: { framing: "chunked" },
    serverAnswersAt: "headers",
    expect: {
      calls: ["request_headers eos=0", ...ANSWERED],
      client: FROM_SERVER,
      server: got("", false),
      log: LOGGED,
    },
  },
  {
    name: "a property set in on_log is seen by the access logger, and headers can be read there",
    probe: { log: ["header:0::method header:2::status int:response.code get:response.code_details set:probe=logged"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: [
        "request_headers eos=1",
        ...ANSWERED.slice(0, 3),
        "log",
        "header :method 0 GET",
        "header :status 0 200",
        "get response.code 0 200",
        "get response.code_details 0 via_upstream",
        "set 0",
        "done",
        "delete",
      ],
      client: FROM_SERVER,
      server: got(""),
      log: { ...LOGGED, property: "logged" },
    },
  },
  {
    name: "a property set before a reply is seen by the access logger",
    probe: { request_headers: ["set:probe=refused reply:403 0"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", "set 0", ...REPLIED],
      client: FROM_PROBE,
      server: "nothing",
      log: { ...LOGGED_REPLY, property: "refused" },
    },
  },
  {
    name: "a trap answers 503, without response callbacks and without on_log",
    probe: { request_headers: ["trap"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1"],
      client: { status: 503, contentType: "", body: "", cut: false },
      server: "nothing",
      log: { code: 503, details: "wasm_fail_stream", property: null },
    },
  },

  // Envoy's buffer limit.
  {
    name: "body 2 over the buffer limit on HTTP/1.1: nothing more is read, for ever",
    probe: { request_body: ["2"] },
    listener: { bufferLimitBytes: KIB_64 },
    request: { framing: "length" },
    client: [{ body: BIG }, { body: BIG }, { body: BIG }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 40000 eos=0", "request_body 40000 eos=0", ...END],
      client: "waits",
      server: got("", false),
      log: LOGGED_GONE,
    },
  },
  {
    name: "body 2 over the buffer limit on HTTP/1.1, the rest fills the socket: even the client's end is not noticed",
    probe: { request_body: ["2"] },
    listener: { bufferLimitBytes: KIB_64 },
    request: { framing: "length" },
    client: [{ body: BIG }, { body: BIG }, { body: BIG.repeat(200) }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 40000 eos=0", "request_body 40000 eos=0"],
      client: "waits",
      server: got("", false),
      log: "missing",
    },
  },
  {
    name: "body 1 over the buffer limit on HTTP/1.1: the callback sees it all, then Envoy answers 413",
    probe: { request_body: ["1"] },
    listener: { bufferLimitBytes: KIB_64 },
    request: { framing: "length" },
    client: [{ body: BIG }, { body: BIG }, { body: BIG }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 40000 eos=0",
        "request_body 80000 eos=0",
        "response_headers eos=0",
        "response_body 17 eos=1",
        ...END,
      ],
      client: { status: 413, contentType: "text/plain", body: "Payload Too Large", cut: false },
      server: got("", false),
      log: { code: 413, details: "request_payload_too_large", property: null },
    },
  },

  // Attributes.
  ...([1, 2] as const).map(
    (direction): Row => ({
      name: `xds.listener_direction is ${direction} on ${direction === 1 ? "an inbound" : "an outbound"} listener`,
      probe: { request_headers: ["int:xds.listener_direction get:listener_direction 0"] },
      listener: { direction },
      request: { method: "GET", framing: "none" },
      expect: {
        calls: [
          "request_headers eos=1",
          `get xds.listener_direction 0 ${direction}`,
          "get listener_direction 1 ",
          ...ANSWERED,
        ],
        client: FROM_SERVER,
        server: got(""),
        log: LOGGED,
      },
    }),
  ),
  {
    name: "request.path follows the request headers: not there in the body callback after headers 0",
    probe: {
      request_headers: ["get:request.path get:response.code_details 0"],
      request_body: ["get:request.path 2", "0"],
    },
    request: { framing: "chunked" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "get request.path 0 /probe",
        "get response.code_details 1 ",
        "request_body 10 eos=0",
        "get request.path 1 ",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },

  // Header maps.
  {
    name: "headers 0: the request headers cannot be read in the body callback",
    probe: { request_headers: ["header:0::method 0"], request_body: ["header:0::method pairs:0 2", "0"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "header :method 0 POST",
        "request_body 10 eos=0",
        "header :method 2 ",
        "pairs 0 0 none",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "headers 1 with the flag: the request headers can be read and changed in the body callback",
    probe: { request_headers: ["1"], request_body: ["header:0::method replace:0:x-probe=1 2", "0"] },
    listener: { headersStop: true },
    request: { framing: "chunked" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "header :method 0 POST",
        "replace 0",
        "request_body 0 eos=1",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A),
      log: LOGGED,
    },
  },
  {
    name: "a repeated Content-Type arrives as one value, joined by a comma; a repeated other header stays two",
    probe: { request_headers: ["header:0:content-type header:0:x-two header:0:x-none 0"] },
    request: {
      framing: "length",
      headers: [
        ["content-type", "application/json"],
        ["content-type", "text/plain"],
        ["x-two", "one"],
        ["x-two", "two"],
      ],
    },
    expect: {
      calls: [
        "request_headers eos=1",
        "header content-type 0 application/json,text/plain",
        "header x-two 0 one",
        "header x-none 1 ",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(""),
      log: LOGGED,
    },
  },

  // Rewriting.
  {
    name: "a request body held with 1 can be replaced as a whole",
    probe: { request_body: ["1", "write:new 0"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { end: true }],
    expect: {
      calls: ["request_headers eos=0", "request_body 10 eos=0", "request_body 10 eos=1", "write 0", ...ANSWERED],
      client: FROM_SERVER,
      server: got("new"),
      log: LOGGED,
    },
  },
  {
    name: "a request body held with 2 cannot: what is written comes behind what is held",
    probe: { request_body: ["2", "write:new 0"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { body: B }, { end: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 10 eos=0",
        "request_body 8 eos=0",
        "write 0",
        "request_body 0 eos=1",
        "write 0",
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(`${A}newnew`),
      log: LOGGED,
    },
  },
  {
    name: "a replaced status is what the client gets and what is logged",
    probe: { response_headers: ["int:response.code replace:2::status=404 0"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: [
        "request_headers eos=1",
        "response_headers eos=0",
        "get response.code 0 200",
        "replace 0",
        ...ANSWERED.slice(1),
      ],
      client: { ...FROM_SERVER, status: 404 },
      server: got(""),
      log: { ...LOGGED, code: 404 },
    },
  },
  {
    name: "a response that is held when the client goes away: its code is logged",
    probe: { response_headers: ["1"], response_body: ["2"], log: ["header:2::status"] },
    listener: { headersStop: true },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: ["request_headers eos=1", ...ANSWERED.slice(0, 3), "log", "header :status 0 200", "done", "delete"],
      client: "waits",
      server: got(""),
      log: { ...LOGGED_GONE, code: 200 },
    },
  },
  {
    name: "a response chunk replaced and released with 0 is what the client gets",
    probe: { response_headers: ["remove:2:content-length 0"], response_body: ["write:replaced 0", "0"] },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: [
        "request_headers eos=1",
        "response_headers eos=0",
        "remove 0",
        "response_body 6 eos=0",
        "write 0",
        "response_body 0 eos=1",
        ...END,
      ],
      client: { ...FROM_SERVER, body: "replaced" },
      server: got(""),
      log: LOGGED,
    },
  },
  {
    name: "response chunks dropped with 3 and written anew at the end, headers held: only the new body is sent",
    probe: { response_headers: ["1"], response_body: ["3", "write:new replace:2:content-length=3 0"] },
    listener: { headersStop: true },
    request: { method: "GET", framing: "none" },
    expect: {
      calls: [
        "request_headers eos=1",
        "response_headers eos=0",
        "response_body 6 eos=0",
        "response_body 0 eos=1",
        "write 0",
        "replace 0",
        ...END,
      ],
      client: { ...FROM_SERVER, body: "new" },
      server: got(""),
      log: LOGGED,
    },
  },

  // The timer.
  {
    name: "headers 1 without the flag: a reply from the timer through the effective context",
    probe: { request_headers: ["arm 1"], tick: ["effective reply:403"] },
    request: { framing: "chunked" },
    client: [{ body: A }, { tick: true }],
    expect: {
      calls: ["request_headers eos=0", "tick", "effective 0", ...REPLIED],
      client: FROM_PROBE,
      server: "nothing",
      log: LOGGED_REPLY,
    },
  },
  {
    name: "headers 1 without the flag: going on from the timer; the body callback then gets all that was held",
    probe: {
      request_headers: ["arm 1"],
      request_body: ["body 0"],
      // The first tick only lets time pass, so that the whole body is there at the second.
      tick: ["0", "effective header:0::method continue:0 header:0::method replace:0:x=1"],
    },
    request: { framing: "length" },
    client: [{ body: A + B }, { end: true }, { tick: true }, { tick: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "tick",
        "tick",
        "effective 0",
        "header :method 0 POST",
        "continue 0",
        "header :method 2 ",
        "replace 2",
        "request_body 18 eos=1",
        `body 0 ${A}${B}`,
        ...ANSWERED,
      ],
      client: FROM_SERVER,
      server: got(A + B),
      log: LOGGED,
    },
  },
  {
    name: "headers 1 on a request without a body: going on from the timer",
    probe: { request_headers: ["arm 1"], tick: ["effective continue:0"] },
    listener: { headersStop: true },
    request: { method: "GET", framing: "none" },
    client: [{ tick: true }],
    expect: {
      calls: ["request_headers eos=1", "tick", "effective 0", "continue 0", ...ANSWERED],
      client: FROM_SERVER,
      server: got(""),
      log: LOGGED,
    },
  },
  {
    name: "body 2 over the buffer limit: a reply from the timer ends the stalled stream",
    probe: { request_body: ["2", "arm 2"], tick: ["effective reply:403"] },
    listener: { bufferLimitBytes: KIB_64 },
    request: { framing: "length" },
    client: [{ body: BIG }, { body: BIG }, { body: BIG }, { tick: true }],
    expect: {
      calls: [
        "request_headers eos=0",
        "request_body 40000 eos=0",
        "request_body 40000 eos=0",
        "tick",
        "effective 0",
        ...REPLIED,
      ],
      client: FROM_PROBE,
      server: got("", false),
      log: LOGGED_REPLY,
    },
  },
  {
    name: "a stream that has ended cannot become the effective context",
    probe: { delete: ["arm"], tick: ["effective"] },
    request: { method: "GET", framing: "none" },
    client: [{ tick: true }],
    expect: {
      calls: ["request_headers eos=1", ...ANSWERED, "tick", "effective 2"],
      client: FROM_SERVER,
      server: got(""),
      log: LOGGED,
    },
  },
];
