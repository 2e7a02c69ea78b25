// The MCP Inspector, as a person uses it from the command line. Goal: through the guard it shows exactly what is listed, in each
// era, and a tool that is not listed is one that does not exist. Method: its answers through a guard that lists some of what the
// server has are compared with its answers without the guard. Where it cannot be installed, a line says why.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { type ConformanceTools, ConformanceUnavailableError, installConformance } from "../conformance/install.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";
import { processDriver } from "./drivers/process.ts";
import { type McpServer, startProgram } from "./mcp-servers.ts";
import { guardIn } from "./rig.ts";

const POLICY = {
  tool_allowlist: ["test_simple_text", "test_multiple_content_types", "json_schema_2020_12_tool"],
  prompt_allowlist: ["test_simple_prompt"],
  resource_roots: ["test://static-text", "test://template/"],
};
const UNLISTED = "test_image_content";
const ERAS = ["legacy", "auto", "modern"] as const;
/** Each list with what names its entries, and what the guard leaves of them. */
const LISTS = [
  { method: "tools/list", member: "tools", key: "name", kept: POLICY.tool_allowlist },
  { method: "prompts/list", member: "prompts", key: "name", kept: POLICY.prompt_allowlist },
  { method: "resources/list", member: "resources", key: "uri", kept: ["test://static-text"] },
  {
    method: "resources/templates/list",
    member: "resourceTemplates",
    key: "uriTemplate",
    kept: ["test://template/{id}/data"],
  },
] as const;
const TIMEOUT_MS = 20_000;

type Entry = Readonly<Record<string, string>>;

interface Shown {
  readonly status: number;
  readonly out: string;
  readonly complaint: string;
}

const tools = await installed();

test("a machine without a package manager is told so", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-install-"));
  try {
    await expect(installConformance({ command: "no-such-npm", folder, say: () => {} })).rejects.toThrow(
      new ConformanceUnavailableError("npm cannot install: spawn no-such-npm ENOENT"),
    );
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

if (tools !== undefined) {
  describe("MCP Inspector", () => {
    let server: McpServer;
    let envoy: RunningEnvoy;
    let home: string;

    beforeAll(async () => {
      home = mkdtempSync(path.join(tmpdir(), "mcp-guard-inspector-"));
      server = await startProgram("the conformance server", (port) => ({
        command: tools.node,
        args: [projectPath("test", "conformance", "server.ts"), String(port)],
        env: {},
      }));
      envoy = await processDriver.start({ upstreamPort: server.port, guards: [guardIn("release", POLICY)] });
    });

    afterAll(async () => {
      await envoy?.stop();
      await server?.stop();
      rmSync(home, { recursive: true, force: true });
    });

    describe.each(ERAS)("era %s", (era) => {
      test.each(LISTS)("$method shows exactly what is listed", async ({ method, member, key, kept }) => {
        const all = await listOf(`http://127.0.0.1:${server.port}`, era, method, member);
        const seen = await listOf(envoy.url(), era, method, member);
        expect(all.length).toBeGreaterThan(kept.length);
        expect(seen).toEqual(all.filter((entry) => (kept as readonly string[]).includes(entry[key] ?? "")));
        expect(seen.map((entry) => entry[key]).sort()).toEqual([...kept].sort());
      });

      test("calls a listed tool", async () => {
        const call = ["--method", "tools/call", "--tool-name", "test_multiple_content_types"];
        const direct = await inspect(`http://127.0.0.1:${server.port}`, era, ...call);
        const guarded = await inspect(envoy.url(), era, ...call);
        expect(direct.out).toContain("test://mixed-content-resource");
        expect(guarded).toEqual(direct);
      });

      test("finds no tool that is not listed", async () => {
        const call = ["--method", "tools/call", "--tool-name", UNLISTED];
        expect(await inspect(`http://127.0.0.1:${server.port}`, era, ...call)).toMatchObject({ status: 0 });
        const guarded = await inspect(envoy.url(), era, ...call);
        expect(guarded).toMatchObject({ out: "", complaint: expect.stringContaining("tool_not_found") });
        expect(guarded.status).not.toBe(0);
      });
    });

    async function listOf(origin: string, era: string, method: string, member: string): Promise<readonly Entry[]> {
      const { out, complaint } = await inspect(origin, era, "--method", method);
      expect(complaint).toBe("");
      return (JSON.parse(out) as Record<string, readonly Entry[]>)[member]!;
    }

    /** What the inspector prints. It keeps files in its user's home, so it has one of its own. */
    function inspect(origin: string, era: string, ...args: string[]): Promise<Shown> {
      const target = ["--cli", `${origin}/mcp`, "--transport", "http", "--protocol-era", era];
      const options = { timeout: TIMEOUT_MS, env: { ...process.env, HOME: home } };
      return new Promise((resolve, reject) => {
        execFile(tools!.node, [tools!.inspector, ...target, ...args], options, (error, out, complaint) => {
          const status = error === null ? 0 : error.code;
          if (typeof status === "number") resolve({ status, out, complaint });
          else reject(error);
        });
      });
    }
  });
}

async function installed(): Promise<ConformanceTools | undefined> {
  try {
    return await installConformance();
  } catch (error) {
    if (!(error instanceof ConformanceUnavailableError)) throw error;
    console.log(`not run: MCP Inspector: ${error.message}`);
    return undefined;
  }
}
