// The official Python SDK on both sides of the guard. Goal: what is listed works exactly as without the guard, what is not
// is refused with the right code and reason, for its client in each era and for its server. Method: the same calls
// straight to the server and through the guard are compared, and then the calls that the policy does not open; the other
// clients ask the same server through the guard. Where the SDK cannot be installed, there are no tests but a line that says why.
import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { providePythonSdk } from "../python/environment.ts";
import { type PythonEnvironment, PythonUnavailableError } from "../python/packages.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";
import { drivers } from "./drivers/drivers.ts";
import { listedOf } from "./listed.ts";
import {
  FIRST_GENERATION,
  type Generation,
  refusalOf,
  SECOND_GENERATION,
  SECOND_GENERATION_MODERN,
} from "./mcp-clients.ts";
import { type McpServer, startEverything, startProgram } from "./mcp-servers.ts";
import { guardIn, HEADER_MODE_NAMES } from "./rig.ts";

const POLICY = {
  tool_allowlist: ["add", "echo"],
  prompt_allowlist: ["greet", "simple-prompt", "completable-prompt"],
  resource_roots: ["docs://guide/", "demo://resource/static/"],
};

/** A method of the Python client with its arguments. */
type Call = readonly [method: string, input: object];
type Outcome =
  | { readonly result: unknown; readonly error?: never }
  | {
      readonly error: { readonly code: number; readonly data?: { readonly reason?: string } };
      readonly result?: never;
    };

const MODES = ["legacy", "auto", "2026-07-28"] as const;
type Mode = (typeof MODES)[number];

/** What goes through as if there were no guard, the server's own errors included. */
const LISTED: readonly Call[] = [
  ["list_tools", {}],
  ["list_prompts", {}],
  ["list_resources", {}],
  ["list_resource_templates", {}],
  ["call_tool", { name: "add", arguments: { a: 2, b: 3 } }],
  ["call_tool", { name: "add", arguments: { a: "no number", b: 3 } }],
  ["get_prompt", { name: "greet", arguments: { name: "Ada" } }],
  ["get_prompt", { name: "greet", arguments: {} }],
  ["read_resource", { uri: "docs://guide/start" }],
  ["read_resource", { uri: "docs://guide/pages/caf%C3%A9" }],
  ["read_resource", { uri: "docs://guide/nothing/here" }],
  ["complete", { ref: { type: "ref/prompt", name: "greet" }, argument: { name: "name", value: "a" } }],
  [
    "complete",
    { ref: { type: "ref/resource", uri: "docs://guide/pages/{page}" }, argument: { name: "page", value: "b" } },
  ],
  ["call_tool", { name: "add", arguments: { a: 20, b: 30 } }],
];

const UNLISTED: readonly (readonly [call: Call, reason: string])[] = [
  [["call_tool", { name: "system_exec", arguments: { command: "id" } }], "tool_not_listed"],
  [["call_tool", { name: "Add", arguments: { a: 1, b: 2 } }], "tool_not_listed"],
  [["get_prompt", { name: "secret" }], "prompt_not_listed"],
  [["read_resource", { uri: "docs://private/keys" }], "resource_not_listed"],
  [["read_resource", { uri: "docs://guide/../private/keys" }], "uri_traversal"],
  [["read_resource", { uri: "docs://guide/pages/%2e%2e" }], "uri_traversal"],
  [
    ["complete", { ref: { type: "ref/prompt", name: "secret" }, argument: { name: "a", value: "b" } }],
    "prompt_not_listed",
  ],
  [
    [
      "complete",
      { ref: { type: "ref/resource", uri: "docs://private/{page}" }, argument: { name: "page", value: "b" } },
    ],
    "resource_not_listed",
  ],
];
const SUBSCRIPTION: Call = ["subscribe_resource", { uri: "docs://private/keys" }];

const python = provided();

test("a machine without Python is told so", () => {
  expect(() => providePythonSdk({ command: "no-such-python" })).toThrow(
    new PythonUnavailableError("no-such-python does not run"),
  );
});

if (python !== undefined) {
  describe("Python SDK", () => {
    test("is installed once", () => {
      const lines: string[] = [];
      expect(providePythonSdk({ say: (line) => lines.push(line) })).toEqual(python);
      expect(lines).toEqual([]);
    });

    let server: McpServer;
    let everything: McpServer;
    const direct = new Map<Mode, readonly Outcome[]>();

    beforeAll(async () => {
      [server, everything] = await Promise.all([
        startProgram("the Python server", (port) => ({
          command: python.command,
          args: [projectPath("test", "python", "server.py"), String(port)],
          env: python.env,
        })),
        startEverything(),
      ]);
      for (const mode of MODES) direct.set(mode, await ask(mode, `http://127.0.0.1:${server.port}`, LISTED));
    });

    afterAll(async () => {
      await Promise.all([server?.stop(), everything?.stop()]);
    });

    describe.each(HEADER_MODE_NAMES)("header mode %s", (headers) => {
      let envoy: RunningEnvoy;
      let beforeEverything: RunningEnvoy;

      beforeAll(async () => {
        const guards = [guardIn(headers, POLICY)];
        envoy = await drivers[0]!.start({ upstreamPort: server.port, guards });
        beforeEverything = await drivers[0]!.start({ upstreamPort: everything.port, guards });
      });

      afterAll(async () => {
        await envoy?.stop();
        await beforeEverything?.stop();
      });

      describe.each(MODES)("its client, %s", (mode) => {
        test("gets of what is listed exactly what it gets without the guard", async () => {
          const outcomes = await ask(mode, envoy.url(), LISTED);
          expect(outcomes).toEqual(direct.get(mode)?.map(listed));
          const results = outcomes.map(({ result }) => JSON.stringify(result) ?? "");
          for (const text of ["2 + 3 = 5", "Say hello to Ada.", "how to start", "a-name", "b-page"]) {
            expect(results).toContainEqual(expect.stringContaining(text));
          }
        });

        test("is refused what is not listed, with code and reason", async () => {
          const unlisted = [
            ...UNLISTED,
            ...(mode === "legacy" ? [[SUBSCRIPTION, "resource_not_listed"] as const] : []),
          ];
          const last: Call = ["call_tool", { name: "add", arguments: { a: 1, b: 1 } }];
          const outcomes = await ask(mode, envoy.url(), [...unlisted.map(([call]) => call), last]);
          expect(outcomes.slice(0, -1).map(({ error }) => [error?.code, error?.data?.reason])).toEqual(
            unlisted.map(([, reason]) => [-32602, reason]),
          );
          expect(JSON.stringify(outcomes.at(-1))).toContain("1 + 1 = 2");
        });
      });

      test("its client in front of a server of the other language", async () => {
        const document = "demo://resource/static/document/features.md";
        const outcomes = await ask("auto", beforeEverything.url(), [
          ["list_tools", {}],
          ["call_tool", { name: "echo", arguments: { message: "hello" } }],
          ["get_prompt", { name: "simple-prompt" }],
          ["read_resource", { uri: document }],
          ["subscribe_resource", { uri: document }],
          ["unsubscribe_resource", { uri: document }],
          ["call_tool", { name: "get-env", arguments: {} }],
          ["get_prompt", { name: "resource-prompt" }],
          ["read_resource", { uri: "demo://resource/dynamic/text/1" }],
          ["subscribe_resource", { uri: "demo://resource/dynamic/text/1" }],
        ]);
        expect(outcomes.map(({ error }) => error?.data?.reason ?? error)).toEqual([
          ...Array.from({ length: 6 }, () => undefined),
          ...["tool_not_listed", "prompt_not_listed", "resource_not_listed", "resource_not_listed"],
        ]);
      });

      test.each([FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_MODERN])(
        "$name in front of its server",
        async (generation: Generation) => {
          const session = await generation.connect(new URL("/mcp", envoy.url()));
          try {
            expect(await session.listTools()).toEqual(["add"]);
            expect((await session.callTool("add", { a: 2, b: 3 })).text).toBe("2 + 3 = 5");
            expect(await session.readResource("docs://guide/start")).toMatchObject({
              contents: [{ text: "how to start" }],
            });
            if (generation.isModern) {
              await (await session.listen(["docs://guide/start"]))();
              expect(await refusalOf(session.listen(["docs://private/keys"]))).toMatchObject({
                code: -32602,
                data: { reason: "resource_not_listed" },
              });
            }
            const refusals = await Promise.all(
              [
                session.callTool("system_exec", { command: "id" }),
                session.getPrompt("secret"),
                session.readResource("docs://private/keys"),
              ].map(refusalOf),
            );
            expect(refusals.map(({ code, data }) => [code, (data as { reason: string }).reason])).toEqual([
              [-32602, "tool_not_listed"],
              [-32602, "prompt_not_listed"],
              [-32602, "resource_not_listed"],
            ]);
          } finally {
            await session.close();
          }
        },
      );
    });
  });
}

function provided(): PythonEnvironment | undefined {
  try {
    return providePythonSdk();
  } catch (error) {
    if (!(error instanceof PythonUnavailableError)) throw error;
    console.log(`not run: Python SDK: ${error.message}`);
    return undefined;
  }
}

/** An outcome as the guard lets it through. */
function listed(outcome: Outcome): Outcome {
  return outcome.error === undefined ? { result: listedOf(outcome.result, POLICY) } : outcome;
}

/** The outcomes of calls by the Python client, in one session. */
async function ask(mode: Mode, origin: string, calls: readonly Call[]): Promise<readonly Outcome[]> {
  const { command, env } = python!;
  const child = spawn(command, [projectPath("test", "python", "client.py")], { env: { ...process.env, ...env } });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let out = "";
  let complaints = "";
  child.stdout.on("data", (text) => {
    out += text;
  });
  child.stderr.on("data", (text) => {
    complaints += text;
  });
  child.stdin.end(JSON.stringify({ url: `${origin}/mcp`, mode, calls }));
  const status = await ended;
  if (status !== 0) throw new Error(`the Python client ended with ${status}: ${complaints}`);
  return JSON.parse(out);
}
