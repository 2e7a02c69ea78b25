// How a request travels must not matter to its verdict. Goal: every way in which HTTP says that a body has ended, every way
// of having none, every size around the cap, and every connection afterwards, in a real Envoy. Method: raw requests in both
// header modes; the client's answer and the server's view are compared.
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testedVersions } from "../versions.ts";
import { headText } from "./http1-wire.ts";
import { type Arrival, ORIGIN_ANSWER } from "./origin.ts";
import {
  expectNothingActive,
  guardIn,
  HEADER_MODE_NAMES,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  speakHttp1WithTrailers,
  startRig,
  toolCall,
} from "./rig.ts";
import { reasonOf, verdictOf } from "./verdict.ts";
import type { Answer, Fields, WireConnection, WireHead, WireRequest } from "./wire.ts";
import { inPieces, openSocket, pause, sendPieces } from "./wire.ts";

const CAP_BYTES = 1_000_000;
const TRAILERS: Fields = [["x-checksum", "0"]];

/** What stands for the end of a request's body, over which version of HTTP, and on which guard. */
interface Ending {
  readonly name: string;
  readonly protocol: Protocol;
  readonly framing: "length" | "chunked";
  readonly guard?: "trailers";
  /** Whether the server gets the trailers. */
  readonly forwards?: boolean;
  end(request: WireRequest, body: Uint8Array): void;
}

const separate = (request: WireRequest, body: Uint8Array) => {
  request.send(body);
  request.end();
};
const merged = (request: WireRequest, body: Uint8Array) => request.end(body);
const trailed = (request: WireRequest, body: Uint8Array) => {
  request.send(body);
  request.trailers(TRAILERS);
};

const ENDINGS: readonly Ending[] = [
  { name: "HTTP/1.1, the declared length", protocol: "h1", framing: "length", end: separate },
  { name: "HTTP/1.1, the last chunk", protocol: "h1", framing: "chunked", end: separate },
  { name: "HTTP/1.1, trailers that Envoy drops", protocol: "h1", framing: "chunked", end: trailed },
  { name: "HTTP/1.1, trailers", protocol: "h1", framing: "chunked", guard: "trailers", forwards: true, end: trailed },
  { name: "HTTP/2, END_STREAM on the last DATA frame", protocol: "h2", framing: "length", end: merged },
  { name: "HTTP/2, END_STREAM on an empty DATA frame", protocol: "h2", framing: "length", end: separate },
  { name: "HTTP/2, undeclared, END_STREAM on the last", protocol: "h2", framing: "chunked", end: merged },
  { name: "HTTP/2, undeclared, END_STREAM on an empty one", protocol: "h2", framing: "chunked", end: separate },
  { name: "HTTP/2, trailers", protocol: "h2", framing: "chunked", guard: "trailers", forwards: true, end: trailed },
];

const RUNS = testedVersions().flatMap((version) => HEADER_MODE_NAMES.map((mode) => ({ version, mode })));

describe.each(RUNS)("Envoy $version, header mode $mode", ({ version, mode }) => {
  let rig: Rig;
  let requests = 0;

  beforeAll(async () => {
    const policy = { tool_allowlist: ["safe"] };
    rig = await startRig({
      version,
      guards: [
        guardIn(mode, policy),
        guardIn(mode, policy, { name: "trailers", http1Trailers: true }),
        guardIn(mode, policy, { name: "upgrades", upgrades: ["websocket", "CONNECT"] }),
      ],
      edit(bootstrap) {
        // Without a route for it CONNECT is answered with 404 before any filter.
        for (const listener of bootstrap.static_resources.listeners.filter(({ name }) => name === "upgrades")) {
          const host = listener.filter_chains[0]!.filters[0]!.typed_config.route_config.virtual_hosts[0]!;
          const route = host.routes[0] as unknown as { route: object };
          host.routes.unshift({ match: { connect_matcher: {} }, route: structuredClone(route.route) } as never);
        }
        // The server must be told of the trailers too.
        for (const cluster of bootstrap.static_resources.clusters) {
          speakHttp1WithTrailers(cluster);
        }
      },
    });
  });

  afterAll(() => rig?.stop());

  describe.each(ENDINGS)("the body ends by: $name", ({ protocol, framing, guard, forwards, end }) => {
    test("a listed call arrives whole", async () => {
      const body = Buffer.from(toolCall("safe", { text: "\u00e9".repeat(200) }));
      const { verdict, arrivals } = await exchange(protocol, post(framing, body), body, (r) => end(r, body), guard);
      expect(verdict).toBe("allow");
      expect(arrivals[0]?.trailers["x-checksum"]).toBe(forwards ? "0" : undefined);
    });

    test("an unlisted call does not", async () => {
      const body = Buffer.from(toolCall("evil"));
      const { verdict } = await exchange(protocol, post(framing, body), body, (r) => end(r, body), guard);
      expect(verdict).toBe("refuse 200 tool_not_listed");
    });

    test("a listed call whose last byte is missing does not", async () => {
      const body = Buffer.from(toolCall("safe")).subarray(0, -1);
      const { verdict } = await exchange(protocol, post(framing, body), body, (r) => end(r, body), guard);
      expect(verdict).toBe("refuse 400 json_incomplete");
    });
  });

  describe.each(PROTOCOLS)("over %s", (protocol) => {
    test("one-byte chunks", async () => {
      for (const [tool, expected] of [
        ["safe", "allow"],
        ["evil", "refuse 200 tool_not_listed"],
      ] as const) {
        const body = Buffer.from(toolCall(tool));
        const send = (request: WireRequest) => sendPieces(request, inPieces(body, 1), { pauseMs: 0 });
        expect((await exchange(protocol, post("chunked", body), body, send)).verdict).toBe(expected);
      }
    });

    test("a listed call of 900 KB arrives whole, in one write and in many", async () => {
      const body = Buffer.from(toolCall("safe", { text: "x".repeat(900_000) }));
      for (const size of [body.length, 1_000]) {
        const send = (request: WireRequest) => sendPieces(request, inPieces(body, size));
        expect((await exchange(protocol, post("length", body), body, send)).verdict).toBe("allow");
        expect((await exchange(protocol, post("chunked", body), body, send)).verdict).toBe("allow");
      }
    });

    test("an unlisted call of 900 KB, its name last, does not", async () => {
      const text = JSON.stringify({ text: "x".repeat(900_000) });
      const body = Buffer.from(
        `{"params":{"arguments":${text},"name":"evil"},"method":"tools/call","id":1,"jsonrpc":"2.0"}`,
      );
      const { verdict } = await exchange(protocol, post("length", body), body, (r) => r.end(body));
      expect(verdict).toBe("refuse 200 tool_not_listed");
    });

    test("a declared length over the cap is refused at the headers, and the server sees nothing", async () => {
      const head = { ...post("length", Buffer.alloc(0)), bodyBytes: CAP_BYTES + 1 };
      const { verdict, arrivals } = await exchange(protocol, head, undefined, () => {});
      expect(verdict).toBe("refuse 413 body_too_large");
      expect(arrivals).toEqual([]);
    });

    test("an undeclared body over the cap is refused while it is still being sent", async () => {
      const head = toolCall("safe", { text: "" }).slice(0, -4);
      const { verdict } = await exchange(protocol, post("chunked", Buffer.alloc(0)), undefined, async (request) => {
        request.send(Buffer.from(head));
        request.send(Buffer.alloc(CAP_BYTES, "x"));
        // It never ends: the guard does not wait for that.
      });
      expect(verdict).toBe("refuse 413 body_too_large");
    });

    test("a fault in the first bytes is refused while the body is still being sent", async () => {
      const { verdict } = await exchange(protocol, post("chunked", Buffer.alloc(0)), undefined, (request) =>
        request.send(Buffer.from('{"jsonrpc":"2.0",}')),
      );
      expect(verdict).toBe("refuse 400 json_syntax");
    });

    test("a verdict on the policy waits for the end of the body", async () => {
      const body = Buffer.from(toolCall("evil"));
      const { verdict } = await exchange(protocol, post("chunked", body), body, async (request) => {
        request.send(body);
        await pause(100);
        expect(request.soFar()).toBeUndefined();
        request.end();
      });
      expect(verdict).toBe("refuse 200 tool_not_listed");
    });

    test("POST without a body", async () => {
      for (const headers of [[], [["content-length", "0"]]] as const) {
        const head: WireHead = { ...post("chunked", Buffer.alloc(0)), framing: "none" };
        const all = { ...head, headers: [...head.headers, ...headers] };
        const { verdict, arrivals } = await exchange(protocol, all, undefined, () => {});
        expect(verdict).toBe("refuse 400 body_missing");
        expect(arrivals).toEqual([]);
      }
    });

    test("POST with an empty body that is announced", async () => {
      const { verdict } = await exchange(protocol, post("chunked", Buffer.alloc(0)), undefined, (r) => r.end());
      expect(verdict).toBe("refuse 400 json_incomplete");
    });

    test.each(["GET", "HEAD", "DELETE", "OPTIONS"])(
      "%s passes without a body and is refused with one",
      async (method) => {
        const bare: WireHead = { method, path: "/mcp", headers: [], framing: "none" };
        expect((await exchange(protocol, bare, Buffer.alloc(0), () => {})).verdict).toBe("allow");
        const body = Buffer.from(toolCall("safe"));
        for (const framing of ["length", "chunked"] as const) {
          const withBody = { ...post(framing, body), method };
          const { verdict, arrivals } = await exchange(protocol, withBody, body, (request) => request.end(body));
          expect(verdict).toBe(method === "HEAD" ? "refuse 400" : "refuse 400 body_unexpected");
          expect(arrivals).toEqual([]);
        }
      },
    );

    test.each(["PUT", "PATCH", "TRACE"])("%s is refused, and the answer says what is not", async (method) => {
      const head: WireHead = { method, path: "/mcp", headers: [], framing: "none" };
      const { verdict, answer, arrivals } = await exchange(protocol, head, undefined, () => {});
      expect(verdict).toBe("refuse 405 http_method");
      expect(answer?.headers.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS, POST");
      expect(arrivals).toEqual([]);
    });

    test("an upgrade is refused where Envoy would take it", async () => {
      const headers: Fields =
        protocol === "h1"
          ? [
              ["connection", "keep-alive, Upgrade"],
              ["upgrade", "websocket"],
            ]
          : [[":protocol", "websocket"]];
      const framing = protocol === "h1" ? "none" : "chunked";
      const method = protocol === "h1" ? "GET" : "CONNECT";
      const head: WireHead = { method, path: "/mcp", headers, framing };
      const { verdict, arrivals } = await exchange(protocol, head, undefined, () => {}, "upgrades");
      expect(verdict).toBe("refuse 400 http_upgrade");
      expect(arrivals).toEqual([]);
    });

    test("CONNECT is refused where Envoy would take it", async () => {
      const head: WireHead = {
        method: "CONNECT",
        path: protocol === "h1" ? "guarded:80" : "",
        headers: [],
        framing: protocol === "h1" ? "none" : "chunked",
      };
      const { verdict, arrivals } = await exchange(protocol, head, undefined, () => {}, "upgrades");
      expect(verdict).toBe("refuse 400 http_upgrade");
      expect(arrivals).toEqual([]);
    });

    test("the connection serves the next request after a refusal", async () => {
      const connection = await rig.connect(protocol);
      try {
        for (const tool of ["evil", "safe", "evil", "safe"]) {
          const body = Buffer.from(toolCall(tool));
          const expected = tool === "safe" ? "allow" : "refuse 200 tool_not_listed";
          expect((await exchangeOn(connection, post("length", body), body, (r) => r.end(body))).verdict).toBe(expected);
        }
        const put: WireHead = { method: "PUT", path: "/mcp", headers: [], framing: "none" };
        expect((await exchangeOn(connection, put, undefined, () => {})).verdict).toBe("refuse 405 http_method");
        const body = Buffer.from(toolCall("safe"));
        expect((await exchangeOn(connection, post("chunked", body), body, (r) => r.end(body))).verdict).toBe("allow");
        expect(connection.isClosed()).toBe(false);
      } finally {
        connection.close();
      }
    });

    test("requests under way at once on one connection each get their own verdict", async () => {
      const connection = await rig.connect(protocol);
      try {
        // HTTP/1.1: pipelined. HTTP/2: streams beside each other.
        const tools = ["safe", "evil", "safe", "evil", "safe"];
        const verdicts = await Promise.all(
          tools.map((tool) => {
            const body = Buffer.from(toolCall(tool));
            return exchangeOn(connection, post("length", body), body, (request) => request.end(body));
          }),
        );
        expect(verdicts.map(({ verdict }) => verdict)).toEqual(
          tools.map((tool) => (tool === "safe" ? "allow" : "refuse 200 tool_not_listed")),
        );
      } finally {
        connection.close();
      }
    });
  });

  test("HTTP/1.1: Envoy closes the connection behind a refusal with 400, and no other", async () => {
    const body = Buffer.from("{,}");
    const { verdict, answer } = await exchange("h1", post("length", body), body, (request) => request.end(body));
    expect(verdict).toBe("refuse 400 json_syntax");
    expect(answer?.headers.get("connection")).toBe("close");
  });

  // Envoy's protection against floods: two answers of its own may wait in one read, at the third it closes.
  test("HTTP/1.1: the third of three pipelined refusals is not answered, and no call behind it is served", async () => {
    const calls = ["evil", "evil", "evil", "safe"].map((tool, index) => {
      const body = toolCall(tool);
      const head = post("length", Buffer.from(body));
      return headText({ ...head, headers: [...head.headers, ...named(`pipelined.${index}`)] }) + body;
    });
    const socket = await openSocket(rig.envoy.url());
    let received = "";
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString();
    });
    // One write, so that Envoy reads them at once.
    socket.write(calls.join(""));
    await once(socket, "close");
    expect(received.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    expect(received).not.toContain("pipelined.2");
    expect(rig.origin.arrivals("pipelined.3")).toEqual([]);
  });

  test("HTTP/1.1: a call hidden behind a refused request that was cut short is not served", async () => {
    const connection = await rig.connect("h1");
    const hidden = Buffer.from(toolCall("safe"));
    // The declared body is over the cap, so the refusal comes before it; what follows is body, not a request.
    const head = { ...post("length", hidden), bodyBytes: CAP_BYTES + 1 };
    const inner = `POST /mcp HTTP/1.1\r\nhost: guarded\r\nx-request-id: hidden\r\ncontent-type: application/json\r\ncontent-length: ${hidden.length}\r\n\r\n`;
    const { verdict } = await exchangeOn(connection, head, undefined, (request) => {
      request.send(Buffer.from(inner));
      request.send(hidden);
    });
    expect(verdict).toBe("refuse 413 body_too_large");
    await expect.poll(() => connection.isClosed(), PATIENCE).toBe(true);
    expect(rig.origin.arrivals("hidden")).toEqual([]);
  });

  test("HTTP/1.1: a client that waits for 100 Continue gets it, and then its verdict", async () => {
    for (const [tool, expected] of [
      ["safe", ORIGIN_ANSWER],
      ["evil", "tool_not_listed"],
    ] as const) {
      const body = toolCall(tool);
      const head = post("length", Buffer.from(body));
      const socket = await openSocket(rig.envoy.url());
      let received = "";
      socket.on("data", (bytes: Buffer) => {
        received += bytes.toString();
      });
      socket.write(headText({ ...head, headers: [...head.headers, ["expect", "100-continue"]] }));
      await expect.poll(() => received, PATIENCE).toMatch(/^HTTP\/1\.1 100 Continue\r\n/);
      socket.write(body);
      await expect.poll(() => received, PATIENCE).toContain(expected);
      socket.destroy();
    }
  });

  test("HTTP/1.1: a length beside chunks is answered by Envoy, and no server sees it", async () => {
    const body = Buffer.from(toolCall("safe"));
    const head = post("chunked", body);
    const both = { ...head, headers: [...head.headers, ["content-length", String(body.length)] as const] };
    const { answer, arrivals } = await exchange("h1", both, body, (request) => request.end(body));
    expect(answer?.status).toBe(400);
    expect(arrivals).toEqual([]);
  });

  test("nothing is left under way", () => expectNothingActive(rig));

  function post(framing: "length" | "chunked", body: Uint8Array): WireHead {
    return { method: "POST", path: "/mcp", headers: JSON_FIELDS, framing, bodyBytes: body.length };
  }

  interface Outcome {
    readonly verdict: string;
    readonly answer: Answer | undefined;
    readonly arrivals: readonly Arrival[];
  }

  async function exchange(
    protocol: Protocol,
    head: WireHead,
    body: Uint8Array | undefined,
    send: (request: WireRequest) => void | Promise<void>,
    guard?: string,
  ): Promise<Outcome> {
    const connection = await rig.connect(protocol, guard);
    try {
      return await exchangeOn(connection, head, body, send);
    } finally {
      connection.close();
    }
  }

  /** `body` is what the server must get if the request passes; undefined: nothing could be right. */
  async function exchangeOn(
    connection: WireConnection,
    head: WireHead,
    body: Uint8Array | undefined,
    send: (request: WireRequest) => void | Promise<void>,
  ): Promise<Outcome> {
    const requestId = `framing.${++requests}`;
    const request = connection.open({ ...head, headers: [...head.headers, ...named(requestId)] });
    await send(request);
    const answer = await request.answer;
    const verdict = verdictOf(rig.origin, requestId, mode, body ?? Buffer.from("nothing is right"), answer);
    return { verdict, answer, arrivals: rig.origin.arrivals(requestId) };
  }
});

/** Towards the server: HTTP/1.1 that carries trailers. */
test("the origin's own answer is no refusal", () => {
  const headers = new Map([["content-type", "application/json"]]);
  expect(
    reasonOf({ status: 200, headers, body: Buffer.from(ORIGIN_ANSWER), fields: [], trailers: [], isCut: false }),
  ).toBeUndefined();
});
