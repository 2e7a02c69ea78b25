// The smallest proof, on every way and both ends of the range in which Envoy is run: a listed call reaches the server,
// a call that is not listed does not. Everything finer is in the other suites.
import { spawnSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envoyBinary } from "../../src/envoy/binary.ts";
import { projectPath } from "../../src/project.ts";
import { testedVersions } from "../versions.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";
import { drivers } from "./drivers/drivers.ts";
import { expectLogged } from "./rig.ts";

/** A build that the user has chosen has one version, whatever is asked for. */
const chosenBuild = process.env.ENVOY !== undefined || process.env.ENVOY_IMAGE !== undefined;

const matrix = drivers.flatMap((driver) => testedVersions().map((version) => ({ driver, version, name: driver.name })));

// `envoy -c envoy/run.yaml` is promised to work without anything filled in.
test.each(["run", "test"])("envoy/%s.yaml is a complete bootstrap as it stands", async (template) => {
  const args = ["--mode", "validate", "--config-path", projectPath("envoy", `${template}.yaml`)];
  // Its standard output is no pipe: Node's are sockets, which Envoy cannot open by name for its access log.
  const validation = spawnSync(await envoyBinary(), args, { cwd: projectPath(), stdio: ["ignore", "ignore", "pipe"] });
  expect(validation.status, String(validation.stderr)).toBe(0);
});

describe.each(matrix)("Envoy $version by the $name driver", ({ driver, version }) => {
  const arrived: string[] = [];
  let server: Server;
  let envoy: RunningEnvoy;

  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk: string) => {
        body += chunk;
      });
      request.on("end", () => {
        arrived.push(body);
        response.setHeader("content-type", "application/json").end('{"jsonrpc":"2.0","id":7,"result":{"content":[]}}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const { port } = server.address() as AddressInfo;
    envoy = await driver.start({
      version,
      upstreamPort: port,
      guards: [{ configuration: { tool_allowlist: ["search_code", "get_pull_request"] } }],
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    server?.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function call(tool: string, origin = envoy.url()): { text: string; response: Promise<Response> } {
    const text = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: tool, arguments: {} } });
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    return { text, response: fetch(`${origin}/mcp`, { method: "POST", headers, body: text }) };
  }

  test("is the version that was asked for", () => {
    expect(envoy.version).toMatch(chosenBuild ? /^\d+\.\d+\.\d+/ : version);
  });

  test("a listed tools/call reaches the server unchanged and its answer the client", async () => {
    arrived.length = 0;
    const { text, response } = call("search_code");
    const answer = await response;
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ jsonrpc: "2.0", id: 7, result: { content: [] } });
    expect(arrived).toEqual([text]);
  });

  test("system_exec is refused with its reason and the server never sees the call", async () => {
    arrived.length = 0;
    const answer = await call("system_exec").response;
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      jsonrpc: "2.0",
      id: 7,
      error: { code: -32602, data: { reason: "tool_not_listed", request_id: expect.any(String) } },
    });
    expect(arrived).toEqual([]);
  });

  test("the access log names decision, reason, method and tool of the refused call", async () => {
    await expect
      .poll(() => envoy.accessLog().find((entry) => entry.mcp_tool === "system_exec"), { timeout: 5_000 })
      .toMatchObject({
        path: "/mcp",
        response_code_details: "mcp_guard.tool_not_listed",
        mcp_decision: "refuse",
        mcp_reason: "tool_not_listed",
        mcp_method: "tools/call",
      });
  });

  test("two guards in one Envoy each keep to their own policy", async () => {
    const both = await driver.start({
      version,
      upstreamPort: (server.address() as AddressInfo).port,
      guards: [
        { name: "first", configuration: { tool_allowlist: ["search_code"] }, perConnectionBufferLimitBytes: 65_536 },
        {
          name: "second",
          configuration: { tool_allowlist: ["system_exec"], request_headers: "hold" },
          allowOnHeadersStop: true,
          http1Trailers: true,
          upgrades: ["websocket"],
        },
      ],
    });
    try {
      const refused = expect.objectContaining({ error: expect.anything() });
      const passed = expect.objectContaining({ result: expect.anything() });
      const answers = async (guard: string) => {
        const calls = [call("search_code", both.url(guard)), call("system_exec", both.url(guard))];
        return Promise.all(calls.map(async ({ response }) => (await response).json()));
      };
      expect(await answers("first")).toEqual([passed, refused]);
      expect(await answers("second")).toEqual([refused, passed]);
    } finally {
      await both.stop();
    }
  });

  test("an Envoy that does not come up is an error with its last words", async () => {
    const attempt = driver.start({
      version,
      upstreamPort: 1,
      guards: [{}],
      edit: (bootstrap) => {
        bootstrap.static_resources.clusters = [];
      },
    });
    await expect(attempt).rejects.toThrow(/unknown cluster 'mcp_server'/);
  });

  test("statistics and the filter's log can be read", async () => {
    expect(
      (await envoy.stats("^http\\.guard\\.downstream_rq_total$")).get("http.guard.downstream_rq_total"),
    ).toBeGreaterThan(0);
    await expectLogged(envoy, "starting main dispatch loop");
  });
});
