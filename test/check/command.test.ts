// mcp-guard check as a command. Goal: the exit status says whether all is right, lines are plain unless they are painted, and mistakes of the command
// line are told. Method: the command with a writer of its own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { check } from "../../src/cli/commands/check.ts";
import { describeError } from "../../src/cli/exit-status.ts";
import type { Span } from "../../src/paint.ts";
import { projectPath } from "../../src/project.ts";

const GOOD = projectPath("test", "check", "good");
const SIDECAR = path.join(GOOD, "sidecar.yaml");
const REST = [path.join(GOOD, "mesh.yaml"), path.join(GOOD, "role.tf")];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-check-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function run(...args: string[]): Promise<{ status: number; out: string[]; err: string[] }> {
  const [out, err]: [string[], string[]] = [[], []];
  const context = {
    out: (line: string) => out.push(line),
    warn: (line: string) => err.push(line),
    status: () => undefined,
    env: {},
    signal: new AbortController().signal,
  };
  try {
    return { status: await check(args, context), out, err };
  } catch (error) {
    const { status, text } = describeError(error);
    return { status, out, err: [...err, text] };
  }
}

describe("the exit status", () => {
  test("is 0 without findings", async () => {
    const { status, out, err } = await run(SIDECAR, ...REST);
    expect([status, err]).toEqual([0, []]);
    expect(out.at(-1)).toBe("1 MCP server, no findings");
  });

  test("is 1 when a question was not answered, and 0 when that is accepted", async () => {
    const { status, err } = await run(SIDECAR);
    expect([status, err]).toEqual([
      1,
      [expect.stringMatching(/^mcp-guard check: 1 MCP server, no findings, not answered/)],
    ]);
    expect((await run("--allow-missing", "role,mesh-config", SIDECAR)).status).toBe(0);
    expect((await run("--allow-missing", "role", "--allow-missing", "mesh-config", SIDECAR)).status).toBe(0);
    expect((await run("--allow-missing", "role", SIDECAR)).status).toBe(1);
  });

  test.each(["table", "json", "sarif"])("is 1 with findings, in the format %s", async (format) => {
    const file = path.join(folder, "open.yaml");
    writeFileSync(file, "apiVersion: v1\nkind: Pod\nmetadata: { name: mcp }\n");
    const { status, out, err } = await run("--format", format, "--allow-missing", "role,mesh-config", file);
    expect(status).toBe(1);
    expect(out.join("\n")).toContain("guard-missing");
    expect(err).toEqual([expect.stringMatching(/^mcp-guard check: 1 MCP server, \d+ findings/)]);
    if (format !== "table") JSON.parse(out.join("\n"));
  });

  test.each([
    ["no file", [], /found no DIR, FILE or -/],
    ["a file that is not there", ["nowhere.yaml"], /nowhere\.yaml: there is no such file or folder/],
    ["the standard input twice", ["-", "-"], /found - twice/],
    ["an unknown option", ["--strict", SIDECAR], /--strict/],
    ["an unknown format", ["--format", "xml", SIDECAR], /--format xml: expected table, json or sarif/],
    ["a format of the prototype", ["--format", "toString", SIDECAR], /expected table, json or sarif/],
    [
      "an unknown input",
      ["--allow-missing", "roles", SIDECAR],
      /--allow-missing roles: expected one of role, mesh-config/,
    ],
    ["a fault in a file", [projectPath("README.md"), SIDECAR], /README\.md/],
  ])("is 2 with %s", async (_, args, message) => {
    const { status, out, err } = await run(...args);
    expect([status, out]).toEqual([2, []]);
    expect(err.join("\n")).toMatch(message);
  });
});

test("--help says what there is, with examples", async () => {
  const { status, out } = await run("--help");
  expect(status).toBe(0);
  expect(out.join("\n")).toMatch(/^usage: mcp-guard check[\s\S]*examples:\n {2}kubectl kustomize[\s\S]*status 0/);
});

test("lines are painted where there is somebody to paint them", async () => {
  const lines: (readonly Span[])[] = [];
  const never = (): never => expect.unreachable("a plain line");
  const context = {
    out: never,
    warn: never,
    status: () => undefined,
    env: {},
    signal: new AbortController().signal,
    paint: (spans: readonly Span[]) => lines.push(spans),
  };
  expect(await check([SIDECAR, ...REST], context)).toBe(0);
  expect(lines.at(-1)).toEqual([{ text: "1 MCP server, no findings", tone: "good" }]);
});
