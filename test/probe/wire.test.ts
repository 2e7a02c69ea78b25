// mcp-guard probe and answers that no guard gives. Goal: each has a sentence and an exit status of its own, nothing is taken for a guard, and whatever
// the other side does, the probe ends in time. Method: the command against small servers of this machine, which send exactly what a row says.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { Span } from "../../src/paint.ts";
import { projectPath } from "../../src/project.ts";
import { probeJson, runProbe } from "./command-runner.ts";

let stop: (() => Promise<void>) | undefined;

afterEach(async () => {
  await stop?.();
  stop = undefined;
});

async function listen(server: Server | TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return (server.address() as AddressInfo).port;
}

/** One request as it came. */
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A server that answers each request with `respond`, and what it was asked. */
async function serve(
  respond: (response: ServerResponse, seen: Seen) => unknown,
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    response.on("error", () => {});
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method = "", url = "", headers } = request;
    const one = { method, url, headers, body: Buffer.concat(parts).toString() };
    seen.push(one);
    respond(response, one);
  });
  return { url: `http://127.0.0.1:${await listen(server)}/mcp`, seen };
}

const answerWith =
  (status: number, headers: Record<string, string>, body = "") =>
  (response: ServerResponse) =>
    response.writeHead(status, headers).end(body);

const JSON_TYPE = { "content-type": "application/json" };

describe("an answer that tells nothing has status 3 and a sentence:", () => {
  test.each([
    [
      "a redirect",
      302,
      { location: "https://user:secret@other.example/a?token=secret" },
      "",
      "redirect",
      "to https://other.example/a, which was not followed",
    ],
    ["a redirect to a path", 308, { location: "/b?c" }, "", "redirect", "/b, which was not followed"],
    ["a redirect to nowhere", 301, {}, "", "redirect", "with a redirect (301), which"],
    ["a login", 401, { "www-authenticate": "Bearer" }, "", "unauthorized", "asks for credentials (401)"],
    ["Envoy's RBAC", 403, { "content-type": "text/plain" }, "RBAC: access denied", "rbac_denied", "wasm-default-deny"],
    ["another refusal", 403, {}, "go away", "forbidden", "other words than a guard's"],
    ["no such path", 404, { "content-type": "text/html" }, "<h1>no</h1>", "not_found", "(404)"],
    ["no POST", 405, { allow: "GET" }, "", "no_post", "takes no POST"],
    ["HTTP on a port of TLS", 400, {}, "Client sent an HTTP request to an HTTPS server.\n", "is_tls", "try https"],
    ["an Envoy whose guard has no policy", 500, {}, "", "empty_500", "configuration refused"],
    ["a proxy without a server", 503, {}, "no healthy upstream", "no_server", "whose server cannot be reached"],
    ["a gateway's timeout", 504, {}, "", "no_server", "answers 504"],
    ["a web page", 200, { "content-type": "text/html; charset=utf-8" }, "<html></html>", "page", "no MCP endpoint"],
    ["nothing", 202, {}, "", "empty", "answers 202 without a body"],
    ["JSON that is no JSON-RPC", 200, JSON_TYPE, '{"ok":true}', "no_message", "(application/json)"],
    ["text without a type", 200, {}, "hello", "no_message", "(no content type)"],
    [
      "an event stream without a message",
      200,
      { "content-type": "text/event-stream" },
      ": hi\n\nevent: a\n\n",
      "empty",
      "without a body",
    ],
    [
      "an event stream whose only event has no end",
      200,
      { "content-type": "text/event-stream" },
      'data: {"jsonrpc"',
      "empty",
      "without a body",
    ],
  ] as const)("%s", async (_, status, headers, body, finding, words) => {
    const { url } = await serve(answerWith(status, headers, body));
    const result = await probeJson(url);
    expect(result).toMatchObject({
      exit: 3,
      verdict: "unknown",
      finding,
      http_status: status,
      mode: null,
      policy: null,
    });
    expect(result.text).toContain(words);
    expect(JSON.stringify(result)).not.toContain("secret");
  });
});

describe("the answer of a server has status 1:", () => {
  const id = ({ body }: Seen): unknown => {
    try {
      return (JSON.parse(body) as { id: unknown }).id;
    } catch {
      return null;
    }
  };
  const rpc = (seen: Seen, rest: object) => JSON.stringify({ jsonrpc: "2.0", id: id(seen), ...rest });
  const unknownTool = { error: { code: -32602, message: "Unknown tool" } };

  test.each([
    ["an unknown tool", (seen: Seen) => rpc(seen, { error: { code: -32602, message: "Unknown tool: x" } }), "(-32602)"],
    ["a tool's error", (seen: Seen) => rpc(seen, { result: { isError: true, content: [] } }), "a tool's error"],
    ["a success", (seen: Seen) => rpc(seen, { result: { content: [] } }), "succeeded"],
    [
      "a session that is missing",
      (seen: Seen) => rpc(seen, { id: null, error: { code: -32000, message: "No session" } }),
      "(-32000)",
    ],
    [
      "what a masked guard says, from a server that answers the ping too",
      (seen: Seen) => rpc(seen, unknownTool),
      "Unknown tool",
    ],
  ])("%s", async (_, body, words) => {
    const { url, seen } = await serve((response, one) => response.writeHead(200, JSON_TYPE).end(body(one)));
    const result = await probeJson(url);
    expect(result).toMatchObject({ exit: 1, verdict: "absent", finding: "server_answered", mode: null });
    expect(result.text).toContain(words);
    expect(result.text).toContain("--admin");
    const isOpen = words === "Unknown tool";
    const versions = ["2026-07-28", undefined, ...(isOpen ? [undefined] : [])];
    expect(seen.map((one) => one.headers["mcp-protocol-version"])).toEqual(versions);
  });

  test("in an event stream that stays open", async () => {
    const { url } = await serve((response, seen) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`: hello\r\n\r\nid: 1\r\ndata: ${rpc(seen, { result: { content: [] } })}\r\n\r\n`);
    });
    const result = await probeJson(url);
    expect(result).toMatchObject({ exit: 1, finding: "server_answered" });
    expect(result.seconds).toBeLessThan(5);
  });

  test("of a gateway that takes the older form alone", async () => {
    const { url, seen } = await serve((response, one) => {
      if (one.headers["mcp-protocol-version"] !== undefined) response.writeHead(400).end("what?");
      else response.writeHead(200, JSON_TYPE).end(rpc(one, { result: {} }));
    });
    expect(await probeJson(url)).toMatchObject({ exit: 1, finding: "server_answered" });
    expect(seen).toHaveLength(2);
  });
});

describe("what is sent", () => {
  test("is a call of a tool that nobody has, in the form of the newest revision first", async () => {
    const { url, seen } = await serve(answerWith(404, {}));
    const { tool } = await probeJson(url);
    expect(tool).toMatch(/^mcp-guard-probe-[0-9a-f]{16}$/);
    const [modern, legacy] = seen;
    expect(modern).toMatchObject({
      method: "POST",
      url: "/mcp",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": tool,
      },
    });
    const params = { name: tool, arguments: {} };
    expect(JSON.parse(modern?.body ?? "")).toMatchObject({ jsonrpc: "2.0", method: "tools/call", params });
    expect(JSON.parse(legacy?.body ?? "")).toEqual({
      jsonrpc: "2.0",
      id: expect.any(String),
      method: "tools/call",
      params,
    });
    expect(Object.keys(legacy?.headers ?? {}).filter((name) => name.startsWith("mcp-"))).toEqual([]);
    expect((await probeJson(url)).tool).not.toBe(tool);
  });

  test("is the tool that was named, encoded where a header cannot have it", async () => {
    const { url, seen } = await serve(answerWith(404, {}));
    expect((await probeJson("--tool", "größe", url)).tool).toBe("größe");
    expect(seen[0]?.headers["mcp-name"]).toBe(`=?base64?${Buffer.from("größe").toString("base64")}?=`);
    expect(JSON.parse(seen[0]?.body ?? "").params.name).toBe("größe");
  });

  test("has the headers that were given, which nobody else gets and nothing shows", async () => {
    const secret = "Bearer very-secret";
    const { url, seen } = await serve((response, one) => {
      if (one.url.startsWith("/stats")) response.writeHead(200).end("");
      else response.writeHead(302, { location: "/elsewhere" }).end(secret);
    });
    const admin = new URL(url).origin;
    for (const format of ["table", "json"]) {
      const headers = ["--header", `Authorization: ${secret}`, "--header", "Host:mcp.example"];
      const { out, err, status } = await runProbe([
        ...headers,
        "--admin",
        admin,
        "--format",
        format,
        `${url}?key=very-secret`,
      ]);
      expect(status).toBe(3);
      expect(out + err).not.toContain("very-secret");
    }
    const calls = seen.filter((one) => one.url.startsWith("/mcp"));
    expect(calls.map(({ headers }) => [headers.authorization, headers.host])).toEqual([
      [secret, "mcp.example"],
      [secret, "mcp.example"],
    ]);
    const others = seen.filter((one) => !calls.includes(one));
    expect(others.length).toBeGreaterThan(0);
    expect(others.map((one) => [one.url.split("?")[0], one.headers.authorization])).toEqual(
      others.map(() => ["/stats", undefined]),
    );
  });
});

describe("an answer without an end", () => {
  test.each([
    [
      "of bytes",
      (response: ServerResponse) => {
        response.writeHead(200, JSON_TYPE);
        const more = (): void => {
          while (!response.destroyed && response.write("x".repeat(65_536)));
          if (!response.destroyed) response.once("drain", more);
        };
        more();
      },
      "too_long",
    ],
    [
      "of comments in an event stream",
      (response: ServerResponse) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const timer = setInterval(() => response.write(": still here\n\n"), 20);
        response.on("close", () => clearInterval(timer));
      },
      "endless",
    ],
    [
      "that never begins to have one",
      (response: ServerResponse) => {
        response.writeHead(200, JSON_TYPE);
        response.write("{");
      },
      "endless",
    ],
  ] as const)("%s is given up", async (_, respond, finding) => {
    const { url } = await serve(respond);
    const result = await probeJson("--timeout", "1", url);
    expect(result).toMatchObject({ exit: 3, verdict: "unknown", finding });
    expect(result.seconds).toBeLessThan(4);
  });

  test("that does not come is waited for as long as was said", async () => {
    const { url } = await serve(() => {});
    const result = await probeJson("--timeout", "0.5", url);
    expect(result).toMatchObject({ exit: 3, finding: "timeout", http_status: null });
    expect(result.text).toContain("within 0.5 seconds");
    expect(result.seconds).toBeLessThan(3);
  });

  test("ends with Ctrl-C", async () => {
    const { url } = await serve(() => {});
    const end = new AbortController();
    setTimeout(() => end.abort(), 200);
    const { status, out, seconds } = await runProbe([url], end.signal);
    expect([status, out]).toEqual([130, ""]);
    expect(seconds).toBeLessThan(3);
  });
});

describe("a connection that comes to nothing has status 3 and a sentence:", () => {
  /** A server that writes these bytes to whoever connects, and closes. */
  async function raw(bytes: string): Promise<number> {
    return listen(
      createTcpServer((socket) => {
        socket.once("data", () => socket.end(bytes));
      }),
    );
  }

  /** A server with a certificate of its own making. */
  async function selfSigned(): Promise<number> {
    const pem = (name: string) => readFileSync(projectPath("test", "fixtures", "oci", name));
    return listen(
      createTlsServer({ cert: pem("localhost.crt"), key: pem("localhost.key") }, (_, response) => response.end()),
    );
  }

  const connections: readonly (readonly [
    what: string,
    start: () => Promise<string>,
    finding: string,
    words: string,
  ])[] = [
    [
      "nobody listens",
      async () => {
        const port = await raw("");
        await stop?.();
        stop = undefined;
        return `http://127.0.0.1:${port}/`;
      },
      "refused_connection",
      "nothing listens there",
    ],
    ["no such name", async () => "http://nowhere.invalid/", "no_host", "resolved"],
    ["closed at once", async () => `http://127.0.0.1:${await raw("")}/`, "reset", "closed the connection"],
    [
      "another protocol",
      async () => `http://127.0.0.1:${await raw("220 mail.example ESMTP\r\n")}/`,
      "not_http",
      "no HTTP",
    ],
    [
      "no TLS",
      async () => `https://127.0.0.1:${await raw("HTTP/1.1 400 Bad Request\r\n\r\n")}/`,
      "not_tls",
      "does not speak TLS",
    ],
    ["an unknown authority", async () => `https://localhost:${await selfSigned()}/`, "tls", "NODE_EXTRA_CA_CERTS"],
  ];

  test.each(connections)("%s", async (_, start, finding, words) => {
    const result = await probeJson("--timeout", "5", await start());
    expect(result).toMatchObject({ exit: 3, verdict: "unknown", finding, http_status: null });
    expect(result.text).toContain(words);
  });
});

describe("the command line", () => {
  test.each([[["--help"]], [["-h"]]])("%s says what there is", async (args) => {
    const { status, out } = await runProbe(args);
    expect([status, out]).toEqual([0, expect.stringMatching(/^usage: mcp-guard probe/)]);
  });

  test.each([
    ["no URL", [], "found no URL"],
    ["two URLs", ["http://a/", "http://b/"], "found 2 URLs"],
    ["no URL at all", ["mcp.secret"], "URL: found no URL"],
    ["another scheme", ["ftp://secret/"], "URL: found ftp:, expected http or https"],
    ["a password in the URL", ["http://a:secret@b/"], "found a user name or a password"],
    ["a header without a name", ["--header", "secret", "http://a/"], "--header 1: found no header's name"],
    ["a header whose name is none", ["--header", "a b: secret", "http://a/"], "--header 1: found no header's name"],
    ["a value with a line break", ["--header", "a: secret\r\nb: c", "http://a/"], "--header 1 (a): found a value"],
    ["a header of the probe's", ["--header", "Mcp-Name: secret", "http://a/"], "mcp-name is the probe's own"],
    ["a header twice", ["--header", "a: secret", "--header", "A: secret", "http://a/"], "found a a second time"],
    ["an unknown form", ["--format", "sarif", "http://a/"], "expected table or json"],
    ["no time", ["--timeout", "0", "http://a/"], "expected seconds"],
    ["too much time", ["--timeout", "601", "http://a/"], "expected seconds"],
    ["a time that is none", ["--timeout", "1e2", "http://a/"], "expected seconds"],
    ["no tool", ["--tool", "", "http://a/"], "found an empty name"],
    ["an admin address that is none", ["--admin", "localhost", "http://a/"], "--admin: found no URL"],
    ["an unknown option", ["--insecure", "http://a/"], "--insecure"],
  ])("with %s ends with status 2, and repeats nothing that may be secret", async (_, args, words) => {
    const { status, out, err } = await runProbe(args);
    expect([status, out]).toEqual([2, ""]);
    expect(err).toContain(words);
    expect(err).not.toContain("secret");
  });
});

describe("--admin", () => {
  test.each([
    ["that nobody answers", "http://127.0.0.1:1", "nothing listens there"],
    ["that is something else", "", "that is no admin address"],
  ])("%s is noted, and the verdict stands", async (_, admin, words) => {
    const { url } = await serve(answerWith(404, {}));
    const result = await probeJson("--admin", admin === "" ? url : admin, url);
    expect(result).toMatchObject({ exit: 3, finding: "not_found" });
    expect(result.notes.join()).toContain(words);
  });
});

describe("what the proxy has counted meanwhile decides:", () => {
  const DIGESTS = ["0123456789abcdef", "fedcba9876543210"];
  const decided = (decision: string) => `wasmcustom.mcp_guard_decision_${decision}`;
  const info = (digest = "") => `wasmcustom.mcp_guard_info.policy.${digest}`;
  const all = Object.fromEntries(
    ["allow", "refuse", "would_refuse", "not_read", "unguarded", "outbound", "none"].map((one) => [decided(one), 3]),
  );

  /** A server, and a proxy whose counters are `before` and, once the server was asked, `before` with `moved`. */
  async function counted(
    body: object,
    before: Record<string, number>,
    moved: Record<string, number>,
    ...args: string[]
  ) {
    let isAsked = false;
    const { url } = await serve((response, seen) => {
      if (seen.url.startsWith("/stats")) {
        const stats = isAsked ? { ...before, ...moved } : before;
        const lines = Object.entries(stats).map(([name, value]) => `${name}: ${value}\n`);
        response.writeHead(200).end(lines.join(""));
      } else {
        isAsked = true;
        const { id } = JSON.parse(seen.body) as { id: string };
        response.writeHead(200, JSON_TYPE).end(JSON.stringify({ jsonrpc: "2.0", id, ...body }));
      }
    });
    return probeJson("--admin", new URL(url).origin, ...args, url);
  }

  const served = { error: { code: -32602, message: "Unknown tool: x" } };
  const refusal = {
    error: { code: -32602, message: "Tool not allowed by policy", data: { reason: "tool_not_listed" } },
  };

  test.each([
    ["would_refuse", { [decided("would_refuse")]: 4 }, 1, "monitors", "monitor"],
    ["not_read", { [decided("not_read")]: 4 }, 1, "monitors", "monitor"],
    ["refuse", { [decided("refuse")]: 4 }, 0, "enforces", "refused_counted"],
    ["outbound", { [decided("outbound")]: 4 }, 1, "absent", "outbound"],
    ["unguarded", { [decided("unguarded")]: 4 }, 1, "absent", "unguarded"],
    ["allow", { [decided("allow")]: 4 }, 1, "absent", "tool_listed"],
    ["nothing", {}, 1, "absent", "not_in_path"],
    ["its stand-in", { "http.inbound.rbac.wasm-default-deny.denied": 1 }, 1, "absent", "stand_in"],
    ["RBAC", { "http.inbound_0.0.0.0_8080.rbac.denied": 1 }, 3, "unknown", "authorization"],
  ])("%s", async (_, moved, exit, verdict, finding) => {
    expect(await counted(served, all, moved)).toMatchObject({ exit, verdict, finding });
  });

  test("a proxy without a guard", async () => {
    expect(await counted(served, {}, {})).toMatchObject({ exit: 1, verdict: "absent", finding: "no_guard", notes: [] });
  });

  test.each([
    ["counted by it", { [decided("refuse")]: 4 }, ""],
    ["not counted by it", {}, "has counted no refusal"],
  ])("a refusal, %s", async (_, moved, note) => {
    const result = await counted(refusal, all, moved);
    expect(result).toMatchObject({ exit: 0, verdict: "enforces", finding: "refused" });
    expect(result.notes.join()).toContain(note);
    expect(result.notes).toHaveLength(note === "" ? 0 : 1);
  });

  test.each([
    ["one policy in force", { [info(DIGESTS[0])]: 2, [info(DIGESTS[1])]: 0 }, DIGESTS[0], 0],
    ["two policies in force", { [info(DIGESTS[0])]: 2, [info(DIGESTS[1])]: 1 }, null, 1],
  ])("%s", async (_, policies, policy, notes) => {
    const result = await counted(served, { ...all, ...policies }, { [decided("would_refuse")]: 4 });
    expect(result).toMatchObject({ verdict: "monitors", policy });
    expect(result.notes).toHaveLength(notes);
  });
});

test("nothing of an answer reaches the terminal as a control or unseen", async () => {
  const data = { reason: "tool_not_listed", request_id: "a\u001b[2J\u202e", policy: "0123456789abcdef" };
  const { url } = await serve((response, { body }) => {
    const { id } = JSON.parse(body) as { id: string };
    const error = { code: -32602, message: "Tool not allowed by policy", data };
    response.writeHead(200, JSON_TYPE).end(JSON.stringify({ jsonrpc: "2.0", id, error }));
  });
  for (const format of ["table", "json"]) {
    const { status, out } = await runProbe(["--format", format, "--tool", "x\u202ey", url]);
    expect(status).toBe(0);
    expect(out.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(out).toContain("0123456789abcdef");
  }
});

test("a terminal with colours shows what the answer means, and says the same", async () => {
  const painted: Span[][] = [];
  const url = "http://nowhere.invalid/";
  const { out } = await runProbe([url, "--tool", "t"], undefined, (spans) => void painted.push([...spans]));
  expect(out).toBe("");
  expect(painted.flat().flatMap(({ tone }) => tone ?? [])).toEqual(["strong", "open"]);
  const plain = await runProbe([url, "--tool", "t"]);
  expect(painted.map((spans) => spans.map(({ text }) => text).join("")).join("\n")).toBe(plain.out);
});
