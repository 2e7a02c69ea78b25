// Real clients and real servers with the guard between them. Goal: an application sees exactly what it would see of a server
// that offers no more than the list, and everything that is allowed works, streams included. Method: both generations of
// the official client against two published servers and a modern one; what the application gets is asserted.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GuardOptions } from "../../src/envoy/bootstrap.ts";
import { testedVersions } from "../versions.ts";
import type { EnvoyDriver, RunningEnvoy } from "./drivers/driver.ts";
import { drivers } from "./drivers/drivers.ts";
import { listedOf } from "./listed.ts";
import {
  type ClientSession,
  type CompletionRef,
  FIRST_GENERATION,
  type Generation,
  refusalOf,
  SECOND_GENERATION,
  SECOND_GENERATION_AUTO,
  SECOND_GENERATION_MODERN,
} from "./mcp-clients.ts";
import { type McpServer, startEverything, startFilesystem, startModern } from "./mcp-servers.ts";
import { guardIn, HEADER_MODE_NAMES, type HeaderMode, PATIENCE } from "./rig.ts";
import { pause } from "./wire.ts";

const STALL_MS = 300;
const LISTED = [
  "echo",
  "get-sum",
  "get-roots-list",
  "toggle-simulated-logging",
  "toggle-subscriber-updates",
  "trigger-long-running-operation",
  "read_text_file",
  "list_directory",
  "repeat",
  "delete_everything",
];
const POLICY = {
  tool_allowlist: LISTED,
  limits: { stall_ms: STALL_MS },
  // Its name is flagged, and it changes nothing but what the server sends.
  approval: { exempt: ["toggle-subscriber-updates"] },
};
/** The same with some prompts and resources of each server. */
const OPENED = {
  ...POLICY,
  prompt_allowlist: ["simple-prompt", "args-prompt", "completable-prompt", "greet"],
  resource_roots: ["demo://resource/static/", "demo://resource/dynamic/text/", "docs://guide/"],
};
const LEGACY = [FIRST_GENERATION, SECOND_GENERATION, SECOND_GENERATION_AUTO];
const DENIED = {
  code: -32602,
  data: { reason: "tool_not_listed", request_id: expect.any(String), policy: expect.any(String) },
};

interface Run {
  readonly driver: EnvoyDriver;
  readonly name: string;
  readonly version: string;
  readonly mode: HeaderMode;
}

const DYNAMIC = "demo://resource/dynamic/text/1";
const STATIC = "demo://resource/static/document/features.md";
const TEMPLATE: CompletionRef = { type: "ref/resource", uri: "demo://resource/dynamic/text/{resourceId}" };
const COMPLETABLE: CompletionRef = { type: "ref/prompt", name: "completable-prompt" };

type Ask = (session: ClientSession) => Promise<unknown>;

/** What server-everything answers alike each time. */
const LISTED_OF_EVERYTHING: Readonly<Record<string, Ask>> = {
  "the list of prompts": (session) => session.listPrompts(),
  "the list of resources": (session) => session.listResources(),
  "the list of templates": (session) => session.listResourceTemplates(),
  "a prompt": (session) => session.getPrompt("simple-prompt"),
  "a prompt with arguments": (session) => session.getPrompt("args-prompt", { city: "K\u00f6ln", state: "../x" }),
  "a resource": (session) => session.readResource(STATIC),
  "a subscription": (session) => session.subscribeResource(STATIC),
  "its end": (session) => session.unsubscribeResource(STATIC),
  "a completion for a prompt": (session) => session.complete(COMPLETABLE, "department", "E"),
  "a completion for a template": (session) => session.complete(TEMPLATE, "resourceId", "1"),
  "an empty completion": (session) => session.complete(TEMPLATE, "resourceId", "x"),
};

const UNLISTED_OF_EVERYTHING: Readonly<Record<string, readonly [Ask, reason: string]>> = {
  "a prompt": [(session) => session.getPrompt("resource-prompt"), "prompt_not_listed"],
  "a prompt in another case": [(session) => session.getPrompt("Simple-prompt"), "prompt_not_listed"],
  "a resource": [(session) => session.readResource("demo://resource/dynamic/blob/1"), "resource_not_listed"],
  "a resource beside a root": [
    (session) => session.readResource("demo://resource/static-not/x"),
    "resource_not_listed",
  ],
  "a resource that climbs": [(session) => session.readResource(`${STATIC}/%2e%2e/%2e%2e/x`), "uri_traversal"],
  "a subscription": [(session) => session.subscribeResource("demo://resource/dynamic/blob/1"), "resource_not_listed"],
  "its end": [(session) => session.unsubscribeResource("demo://resource/dynamic/blob/1"), "resource_not_listed"],
  "a completion for a prompt": [
    (session) => session.complete({ type: "ref/prompt", name: "resource-prompt" }, "a", "b"),
    "prompt_not_listed",
  ],
  "a completion for a template": [
    (session) => session.complete({ type: "ref/resource", uri: "demo://resource/dynamic/blob/{id}" }, "id", "1"),
    "resource_not_listed",
  ],
  "a value that climbs out of a template": [
    (session) => session.complete(TEMPLATE, "resourceId", "../blob/1"),
    "uri_traversal",
  ],
};

const newest = testedVersions().at(-1)!;
/** A container runs the same Envoy; one pass shows that nothing of it depends on the way it is started. */
const RUNS: readonly Run[] = drivers.flatMap((driver, index) =>
  testedVersions().flatMap((version) =>
    HEADER_MODE_NAMES.filter((mode) => index === 0 || (version === newest && mode === "release")).map((mode) => ({
      driver,
      name: driver.name,
      version,
      mode,
    })),
  ),
);

let everything: McpServer;
let filesystem: Awaited<ReturnType<typeof startFilesystem>>;
let modern: Awaited<ReturnType<typeof startModern>>;

beforeAll(async () => {
  [everything, filesystem, modern] = await Promise.all([startEverything(), startFilesystem(), startModern()]);
});

afterAll(async () => {
  await Promise.all([everything?.stop(), filesystem?.stop(), modern?.stop()]);
});

describe.each(RUNS)("Envoy $version by the $name driver, header mode $mode", ({ driver, version, mode }) => {
  const forms: readonly GuardOptions[] = [
    guardIn(mode, POLICY, { name: "usual" }),
    guardIn(mode, OPENED, { name: "opened" }),
    guardIn(mode, { ...POLICY, refusal: "tool_error" }, { name: "tool_error" }),
    guardIn(mode, { ...POLICY, refusal: "http_403" }, { name: "http_403" }),
    guardIn(mode, { ...POLICY, refusal_detail: "masked" }, { name: "masked" }),
  ];

  describe("in front of server-everything", () => {
    const envoy = started(() => ({ version, upstreamPort: everything.port, guards: forms }));

    describe.each(LEGACY)("$name", (generation) => {
      const session = connected(generation, () => envoy().url("usual"));

      test("gets the lists", async () => {
        const tools = await session().listTools();
        expect(tools).toEqual(expect.arrayContaining(["echo", "get-sum"]));
        expect(tools.filter((tool) => !LISTED.includes(tool))).toEqual([]);
        expect(await session().listPrompts()).toMatchObject({ prompts: [] });
        await session().ping();
      });

      test("gets the result of a listed tool", async () => {
        expect(await session().callTool("echo", { message: "hello" })).toEqual({ text: "Echo: hello", isError: false });
        expect(await session().callTool("get-sum", { a: 2, b: 3 })).toEqual({
          text: "The sum of 2 and 3 is 5.",
          isError: false,
        });
      });

      test("gets the result of a listed tool with 900 KB of arguments", async () => {
        const message = "\u00e9".repeat(450_000);
        expect((await session().callTool("echo", { message })).text).toBe(`Echo: ${message}`);
      });

      test("gets the server's own error of a listed tool", async () => {
        expect(await session().callTool("get-sum", { a: "x" })).toMatchObject({ isError: true });
      });

      test.each(["get-env", "system_exec", "Echo", "echo ", ""])("is refused the tool %j", async (tool) => {
        expect(await refusalOf(session().callTool(tool, {}))).toMatchObject({
          ...DENIED,
          message: expect.stringContaining("Tool not allowed by policy"),
        });
      });

      test("is refused a listed tool that needs an approval which nobody gives", async () => {
        const reason = "approval_not_configured";
        expect(await refusalOf(session().callTool("delete_everything", {}))).toMatchObject({
          code: -32602,
          data: { reason },
        });
      });

      test("is refused prompts, resources and completions", async () => {
        const refusals = await Promise.all([
          refusalOf(session().getPrompt("simple-prompt")),
          refusalOf(session().readResource("demo://resource/static/document/features.md")),
          refusalOf(session().subscribeResource("demo://resource/dynamic/text/1")),
          refusalOf(session().complete({ type: "ref/prompt", name: "completable-prompt" }, "department", "E")),
        ]);
        expect(refusals.map(({ code, data }) => [code, (data as { reason: string }).reason])).toEqual([
          [-32602, "prompt_not_listed"],
          [-32602, "resource_not_listed"],
          [-32602, "resource_not_listed"],
          [-32602, "prompt_not_listed"],
        ]);
      });

      test("is refused a method that nobody has listed", async () => {
        expect(await refusalOf(session().request("vendor/secret"))).toMatchObject({
          code: -32601,
          data: { reason: "method_not_listed" },
        });
      });

      test("goes on after a refusal, in the same session", async () => {
        await refusalOf(session().callTool("system_exec", {}));
        expect((await session().callTool("echo", { message: "still here" })).text).toBe("Echo: still here");
      });

      test("many calls at once each get their own answer", async () => {
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, async (_, index) =>
            index % 2 === 0
              ? (await session().callTool("echo", { message: String(index) })).text
              : (await refusalOf(session().callTool("system_exec", { index }))).code,
          ),
        );
        expect(outcomes).toEqual(outcomes.map((_, index) => (index % 2 === 0 ? `Echo: ${index}` : -32602)));
      });

      test("gets progress while a call runs, longer than a request may stall", async () => {
        const seen: number[] = [];
        const input = { duration: (STALL_MS * 3) / 1000, steps: 3 };
        const { text } = await session().callTool("trigger-long-running-operation", input, (step) => seen.push(step));
        expect(text).toContain("completed");
        expect(seen).toEqual([1, 2, 3]);
      });

      test("answers what the server asks", async () => {
        const roots = async () => (await session().callTool("get-roots-list", {})).text;
        await expect.poll(roots, PATIENCE).toContain("file:///a/root/of/the/client");
      });

      test("gets notifications on a stream that stays open", async () => {
        await session().setLoggingLevel();
        const toggle = () => session().callTool("toggle-simulated-logging", {});
        await toggle();
        await expect.poll(() => session().logMessages.length, PATIENCE).toBeGreaterThan(0);
        const before = session().logMessages.length;
        await pause(STALL_MS * 3);
        await toggle();
        await toggle();
        await expect.poll(() => session().logMessages.length, PATIENCE).toBeGreaterThan(before);
        await toggle();
      });
    });

    describe.each(LEGACY)("$name, some prompts and resources listed", (generation) => {
      const session = connected(generation, () => envoy().url("opened"));
      const direct = connected(generation, () => `http://127.0.0.1:${everything.port}`);

      test.each(Object.entries(LISTED_OF_EVERYTHING))("gets what it gets without the guard: %s", async (_name, ask) => {
        expect(await ask(session())).toEqual(listedOf(await ask(direct()), OPENED));
      });

      test("reads a resource of a template", async () => {
        const { contents } = (await session().readResource(DYNAMIC)) as { contents: { text: string }[] };
        expect(contents[0]!.text).toContain("Resource 1: This is a plaintext resource");
      });

      test("gets the updates of a resource that it subscribes to, until it unsubscribes", async () => {
        await session().subscribeResource(DYNAMIC);
        await session().callTool("toggle-subscriber-updates", {});
        await expect.poll(() => session().updates, PATIENCE).toContain(DYNAMIC);
        await session().callTool("toggle-subscriber-updates", {});
        expect(await session().unsubscribeResource(DYNAMIC)).toEqual(await direct().unsubscribeResource(DYNAMIC));
      });

      test("gets the server's own error of a listed prompt and of a resource under a root", async () => {
        for (const ask of [
          (one: ClientSession) => one.getPrompt("args-prompt", {}),
          (one: ClientSession) => one.readResource("demo://resource/static/document/none.md"),
        ]) {
          const own = await refusalOf(ask(direct()));
          expect(await refusalOf(ask(session()))).toEqual(own);
          expect(JSON.stringify(own)).not.toContain("not_listed");
        }
      });

      test.each(Object.entries(UNLISTED_OF_EVERYTHING))("is refused %s", async (_name, [ask, reason]) => {
        expect(await refusalOf(ask(session()))).toMatchObject({ code: -32602, data: { reason } });
      });
    });

    test.each(LEGACY)("$name: refusal: tool_error is a result that the model sees", async (generation) => {
      await withSession(generation, envoy().url("tool_error"), async (session) => {
        const { text, isError } = await session.callTool("system_exec", {});
        expect(isError).toBe(true);
        expect(text).toContain("Tool not allowed by policy");
        expect(text).toContain("tool_not_listed");
        expect((await session.callTool("echo", { message: "x" })).text).toBe("Echo: x");
        // What is no tool has no result.
        expect(await refusalOf(session.getPrompt("simple-prompt"))).toMatchObject({ code: -32602 });
      });
    });

    test.each(LEGACY)("$name: refusal: http_403 is an HTTP error", async (generation) => {
      await withSession(generation, envoy().url("http_403"), async (session) => {
        expect(await refusalOf(session.callTool("system_exec", {}))).toMatchObject({ status: 403 });
        expect((await session.callTool("echo", { message: "x" })).text).toBe("Echo: x");
      });
    });

    test.each(LEGACY)(
      "$name: refusal_detail: masked is what a server says of a tool that it lacks",
      async (generation) => {
        await withSession(generation, envoy().url("masked"), async (session) => {
          const refusal = await refusalOf(session.callTool("system_exec", {}));
          expect(refusal).toMatchObject({ code: -32602, message: expect.stringContaining("Unknown tool") });
          expect(refusal.data).toBeUndefined();
          expect(await refusalOf(session.request("vendor/secret"))).toMatchObject({
            code: -32601,
            message: expect.stringContaining("Method not found"),
          });
        });
      },
    );
  });

  describe("in front of server-filesystem", () => {
    const envoy = started(() => ({ version, upstreamPort: filesystem.port, guards: forms }));

    describe.each(LEGACY)("$name", (generation) => {
      const session = connected(generation, () => envoy().url("usual"));
      const file = () => path.join(filesystem.folder, "hello.txt");

      test("reads a file with a listed tool", async () => {
        expect((await session().listTools()).sort()).toEqual(["list_directory", "read_text_file"]);
        expect((await session().callTool("read_text_file", { path: file() })).text).toContain("hello from a file");
        expect((await session().callTool("list_directory", { path: filesystem.folder })).text).toContain("hello.txt");
      });

      test("cannot write, move, or edit it", async () => {
        const attempts = [
          session().callTool("write_file", { path: file(), content: "overwritten" }),
          session().callTool("move_file", { source: file(), destination: `${file()}.moved` }),
          session().callTool("edit_file", { path: file(), edits: [{ oldText: "hello", newText: "bye" }] }),
          session().callTool("system_exec", { command: "id" }),
        ];
        for (const attempt of attempts.map(refusalOf)) expect(await attempt).toMatchObject(DENIED);
        expect((await session().callTool("read_text_file", { path: file() })).text).toContain("hello from a file");
      });
    });
  });

  describe("in front of a modern server", () => {
    const envoy = started(() => ({ version, upstreamPort: modern.port, guards: forms }));

    describe.each([SECOND_GENERATION_MODERN, SECOND_GENERATION_AUTO])("$name", (generation) => {
      const session = connected({ ...generation, isModern: true }, () => envoy().url("usual"));

      test("gets the list and the result of a listed tool", async () => {
        expect(await session().listTools()).toEqual(["repeat"]);
        expect(await session().callTool("repeat", { a: 1 })).toEqual({ text: 'repeat {"a":1}', isError: false });
      });

      test("is refused the shadow tool that the server announces", async () => {
        expect(await refusalOf(session().callTool("system_exec", {}))).toMatchObject(DENIED);
        expect(modern.called).not.toContain("tools/call system_exec");
      });

      test("is refused prompts and resources", async () => {
        expect(await refusalOf(session().getPrompt("p"))).toMatchObject({ data: { reason: "prompt_not_listed" } });
        expect(await refusalOf(session().readResource("file:///etc/passwd"))).toMatchObject({
          data: { reason: "resource_not_listed" },
        });
      });

      test("gets the listed prompts, resources and completions", async () => {
        await withSession({ ...generation, isModern: true }, envoy().url("opened"), async (opened) => {
          expect(await opened.listPrompts()).toMatchObject({ prompts: [{ name: "greet" }] });
          expect(await opened.listResourceTemplates()).toMatchObject({
            resourceTemplates: [{ uriTemplate: "docs://guide/{page}" }],
          });
          const results = await Promise.all([
            opened.getPrompt("greet"),
            opened.readResource("docs://guide/start"),
            opened.complete({ type: "ref/prompt", name: "greet" }, "a", "b"),
            opened.complete({ type: "ref/resource", uri: "docs://guide/{page}" }, "page", "c"),
          ]);
          const texts = ["prompt greet", "text of docs://guide/start", "b for greet", "c for docs://guide/{page}"];
          for (const [index, text] of texts.entries()) expect(JSON.stringify(results[index])).toContain(text);
        });
      });

      test("listens to listed resources only", async () => {
        await withSession({ ...generation, isModern: true }, envoy().url("opened"), async (opened) => {
          const stop = await opened.listen(["docs://guide/start"]);
          await expect.poll(() => opened.updates, PATIENCE).toEqual(["docs://guide/start"]);
          await stop();
          expect(await refusalOf(opened.listen(["docs://guide/start", "docs://private/keys"]))).toMatchObject({
            data: { reason: "resource_not_listed" },
          });
        });
      });

      test("is refused the prompts, resources and completions that are not listed", async () => {
        const before = modern.called.length;
        await withSession({ ...generation, isModern: true }, envoy().url("opened"), async (opened) => {
          const refusals = await Promise.all(
            [
              opened.getPrompt("secret"),
              opened.readResource("docs://private/keys"),
              opened.readResource("docs://guide/%2e%2e/private/keys"),
              opened.complete({ type: "ref/prompt", name: "secret" }, "a", "b"),
              opened.complete({ type: "ref/resource", uri: "docs://private/{page}" }, "page", "c"),
              opened.complete({ type: "ref/resource", uri: "docs://guide/{page}" }, "page", "../c"),
            ].map(refusalOf),
          );
          expect(refusals.map(({ code, data }) => [code, (data as { reason: string }).reason])).toEqual(
            [
              "prompt_not_listed",
              "resource_not_listed",
              "uri_traversal",
              "prompt_not_listed",
              "resource_not_listed",
              "uri_traversal",
            ].map((reason) => [-32602, reason]),
          );
        });
        expect(modern.called.slice(before).filter((call) => call !== "server/discover")).toEqual([]);
      });

      test("is refused an unlisted method with the status of the modern revision", async () => {
        const { code, status } = await refusalOf(session().request("vendor/secret"));
        expect(code ?? status).toBe(404);
      });

      test("gets refusal: tool_error as a complete result", async () => {
        await withSession({ ...generation, isModern: true }, envoy().url("tool_error"), async (other) => {
          const { text, isError } = await other.callTool("system_exec", {});
          expect({ isError, text }).toEqual({ isError: true, text: expect.stringContaining("tool_not_listed") });
        });
      });
    });
  });

  /** An Envoy for the tests around. */
  function started(options: () => Parameters<EnvoyDriver["start"]>[0]): () => RunningEnvoy {
    let envoy: RunningEnvoy;
    beforeAll(async () => {
      envoy = await driver.start(options());
    });
    afterAll(() => envoy?.stop());
    return () => envoy;
  }

  /** A client for the tests around. */
  function connected(generation: Generation, origin: () => string): () => ClientSession {
    let session: ClientSession;
    beforeAll(async () => {
      session = await generation.connect(new URL("/mcp", origin()));
    });
    afterAll(() => session?.close());
    return () => session;
  }
});

async function withSession(
  generation: Generation,
  origin: string,
  use: (session: ClientSession) => Promise<void>,
): Promise<void> {
  const session = await generation.connect(new URL("/mcp", origin));
  try {
    await use(session);
  } finally {
    await session.close();
  }
}
