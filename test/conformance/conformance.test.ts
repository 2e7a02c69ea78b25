// The official conformance suite. Goal: with the guard between them, a client and a server that keep the protocol still keep it
// in all that is listed, and see nothing of what is not. Method: the suite is run against a server that satisfies it, directly
// and through a guard with a policy that lists what the server announces: each check must say the same, except where both
// refuse in different words. Then one tool is taken off the list: what differs must be the checks that call it. Where the
// suite cannot be installed, a line says why.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { freePort } from "../free-port.ts";
import type { RunningEnvoy } from "../integration/drivers/driver.ts";
import { processDriver } from "../integration/drivers/process.ts";
import { SECOND_GENERATION } from "../integration/mcp-clients.ts";
import { type McpServer, startProgram } from "../integration/mcp-servers.ts";
import { guardIn } from "../integration/rig.ts";
import { type ConformanceTools, ConformanceUnavailableError, installConformance } from "./install.ts";
import { differences, REVISIONS, type Revision, runSuite, type SuiteRun } from "./suite.ts";

/** How many checks there are at least: a suite that finds nothing to check is no suite. */
const CHECKS_MIN: Readonly<Record<Revision, number>> = { "2025-11-25": 84, "2026-07-28": 164 };
/** A tool that one scenario calls, and no other. */
const UNLISTED = "test_image_content";
const UNLISTED_CALLED =
  "tools-call-image: tools-call-image SUCCESS -> tools-call-image FAILURE (Failed: Tool not allowed by policy)";
const SUITE_TIMEOUT_MS = 90_000;

const tools = await installed();

test("another platform is told so", async () => {
  await expect(installConformance({ platform: "plan9-mips" })).rejects.toThrow(
    new ConformanceUnavailableError("the pinned Node is for linux-x64, not plan9-mips"),
  );
});

if (tools !== undefined) {
  describe("conformance suite", () => {
    test("is installed once", async () => {
      const lines: string[] = [];
      expect(await installConformance({ say: (line) => lines.push(line) })).toEqual(tools);
      expect(lines).toEqual([]);
    });

    let server: McpServer;
    let envoy: RunningEnvoy;

    beforeAll(async () => {
      server = await startProgram("the conformance server", (port) => ({
        command: tools.node,
        args: [projectPath("test", "conformance", "server.ts"), String(port)],
        env: {},
      }));
      const policy = await policyFor(`http://127.0.0.1:${server.port}`);
      const lesser = { ...policy, tool_allowlist: policy.tool_allowlist.filter((tool) => tool !== UNLISTED) };
      expect(lesser.tool_allowlist.length).toBe(policy.tool_allowlist.length - 1);
      const guards = Object.entries({ all: policy, lesser }).map(async ([name, listed]) => {
        const listenPort = await freePort();
        // The suite is a web page once: one of the guard's own origin is let in, another one is not.
        const host = `127.0.0.1:${listenPort}`;
        const configuration = { ...listed, allowed_hosts: [host], allowed_origins: [`http://${host}`] };
        return guardIn("release", configuration, { name, listenPort });
      });
      envoy = await processDriver.start({ upstreamPort: server.port, guards: await Promise.all(guards) });
    });

    afterAll(async () => {
      await envoy?.stop();
      await server?.stop();
    });

    describe.each(REVISIONS)("%s", (revision) => {
      let direct: SuiteRun;

      test("is satisfied by the server without the guard", { timeout: SUITE_TIMEOUT_MS }, async () => {
        direct = await runSuite(tools, `http://127.0.0.1:${server.port}/mcp`, revision);
        expect(direct.isConformant, direct.summary).toBe(true);
        const passed = [...direct.scenarios.values()].flat().filter(({ status }) => status === "SUCCESS");
        expect(passed.length).toBeGreaterThanOrEqual(CHECKS_MIN[revision]);
      });

      test("says the same of each check through the guard", { timeout: SUITE_TIMEOUT_MS }, async () => {
        const guarded = await runSuite(tools, `${envoy.url("all")}/mcp`, revision);
        expect(differences(direct, guarded)).toEqual([]);
      });

      test("misses the tool that is not listed, and nothing else", { timeout: SUITE_TIMEOUT_MS }, async () => {
        const guarded = await runSuite(tools, `${envoy.url("lesser")}/mcp`, revision);
        expect(differences(direct, guarded)).toEqual([UNLISTED_CALLED]);
      });
    });
  });
}

async function installed(): Promise<ConformanceTools | undefined> {
  try {
    return await installConformance();
  } catch (error) {
    if (!(error instanceof ConformanceUnavailableError)) throw error;
    console.log(`not run: conformance suite: ${error.message}`);
    return undefined;
  }
}

/** The policy that lists what a server announces, and lets it ask the client for what the protocol has. */
async function policyFor(origin: string) {
  const session = await SECOND_GENERATION.connect(new URL("/mcp", origin));
  try {
    const { prompts } = (await session.listPrompts()) as { prompts: { name: string }[] };
    const { resources } = (await session.listResources()) as { resources: { uri: string }[] };
    const { resourceTemplates } = (await session.listResourceTemplates()) as Templates;
    const uris = [...resources.map(({ uri }) => uri), ...resourceTemplates.map(({ uriTemplate }) => uriTemplate)];
    return {
      tool_allowlist: await session.listTools(),
      prompt_allowlist: prompts.map(({ name }) => name),
      // The schemes, so that a resource which does not exist is the server's matter too.
      resource_roots: [...new Set(uris.map((uri) => uri.slice(0, uri.indexOf("://") + 3)))],
      tasks: "allow",
      sampling: "allow",
      approval: { mode: "off" },
    };
  } finally {
    await session.close();
  }
}

interface Templates {
  readonly resourceTemplates: { readonly uriTemplate: string }[];
}
