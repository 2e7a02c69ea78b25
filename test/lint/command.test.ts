// mcp-guard policy lint as a command. Goal: the exit status says whether a policy can be shipped, and what is printed can be read by people and by
// programs, whatever stands in the files. Method: the command's own function, files in a folder of their own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { policy } from "../../src/cli/commands/policy.ts";
import { describeError } from "../../src/cli/exit-status.ts";
import type { Span } from "../../src/paint.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-lint-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string | Uint8Array): string {
  const place = path.join(folder, name);
  writeFileSync(place, text);
  return place;
}

interface Outcome {
  status: number;
  out: string[];
  err: string[];
}

/** Runs the command as main.ts does, with this text on the standard input. */
async function run(args: string[], input = "", paint?: (spans: readonly Span[]) => void): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const before = Object.getOwnPropertyDescriptor(process, "stdin") ?? {};
  Object.defineProperty(process, "stdin", { value: Readable.from([Buffer.from(input)]), configurable: true });
  try {
    const context = {
      out: (line: string) => out.push(...line.split("\n")),
      warn: (line: string) => err.push(line),
      status: () => {},
      ...(paint !== undefined && { paint }),
      env: {},
      signal: new AbortController().signal,
    };
    return { status: await policy(args, context), out, err };
  } catch (error) {
    const { status, text } = describeError(error);
    return { status, out, err: [...err, text] };
  } finally {
    Object.defineProperty(process, "stdin", before);
  }
}

const lint = (...args: string[]) => run(["lint", ...args]);

const CLEAN = "tool_allowlist: [echo]\n";
const WARNED = 'tool_allowlist: ["get_*"]\n';
const WRONG = "tool_allowlist: [echo]\nmode: monitors\n";

test("a terminal with colours shows how bad a finding is, and says the same", async () => {
  for (const [text, tones] of [
    [CLEAN, ["good"]],
    [WARNED, ["open", "open"]],
    [WRONG, ["bad", "bad"]],
  ] as const) {
    const painted: Span[][] = [];
    const { out } = await run(["lint", "-"], text, (spans) => void painted.push([...spans]));
    expect(out).toEqual([]);
    expect(painted.flat().flatMap(({ tone }) => tone ?? [])).toEqual(tones);
    const plain = await run(["lint", "-"], text);
    expect(painted.map((spans) => spans.map((span) => span.text).join(""))).toEqual(plain.out);
  }
});

describe("the command line", () => {
  test.each([[["--help"]], [["lint", "--help"]], [["lint", "-h"]]])("%s says what there is", async (args) => {
    const { status, out } = await run(args);
    expect([status, out[0]]).toEqual([0, expect.stringMatching(/^usage: mcp-guard policy/)]);
  });

  test.each([
    ["no command", [], "usage: mcp-guard policy"],
    ["an unknown command", ["check"], "there is no command policy check"],
    ["no file", ["lint"], "found no FILE"],
    ["a file that is not there", ["lint", "nowhere.yaml"], "nowhere.yaml: there is no such file"],
    ["a folder", ["lint", "."], "found a folder, expected a file"],
    ["the standard input twice", ["lint", "-", "-"], "found - twice"],
    ["an unknown option", ["lint", "--fix", "-"], "--fix"],
    ["an unknown form", ["lint", "--format", "sarif", "-"], "--format sarif: expected table or json"],
    ["a file without a policy", ["lint", "-"], "stdin: found no policy"],
  ])("with %s ends with status 2", async (_, args, words) => {
    const { status, out, err } = await run(args, "apiVersion: v1\nkind: Service\n");
    expect([status, out]).toEqual([2, []]);
    expect(err.join("\n")).toContain(words);
  });

  test("a file that is too large ends with status 2", async () => {
    const { status, err } = await lint(file("large.yaml", Buffer.alloc((16 << 20) + 1, 0x20)));
    expect([status, err.join()]).toEqual([2, expect.stringContaining("more than 16 MiB")]);
  });
});

describe("the exit status", () => {
  test.each([
    ["nothing to say", CLEAN, [], 0],
    ["nothing to say, strictly", CLEAN, ["--strict"], 0],
    ["a warning", WARNED, [], 0],
    ["a warning, strictly", WARNED, ["--strict"], 1],
    ["an error", WRONG, [], 1],
  ])("of %s", async (_, text, options, wanted) => {
    const { status, err } = await lint(...options, file("policy.yaml", text));
    expect(status).toBe(wanted);
    expect(err).toHaveLength(wanted);
  });
});

test("the table has a line for each finding, and a summary", async () => {
  const place = file("bad.yaml", WRONG);
  const { out, err } = await lint(place, file("service.yaml", "apiVersion: v1\nkind: Service\n"));
  expect(out).toEqual([
    expect.stringMatching(/^place +severity +rule +finding$/),
    expect.stringMatching(/^-+ +-+ +-+ +-+$/),
    `${place}:2:7  error     filter  mode: found the string "monitors", expected one of enforce monitor; did you mean "monitor"? (write monitor)`,
    "",
    `${path.join(folder, "service.yaml")}: no policy in it`,
    "2 files, 1 policy: 1 error, no warnings",
  ]);
  expect(err).toEqual(["mcp-guard policy lint: 1 error, no warnings"]);
});

test("JSON has the same", async () => {
  const place = file("bad.yaml", WRONG);
  const { out, status } = await lint("--format", "json", place);
  expect(status).toBe(1);
  expect(JSON.parse(out.join("\n"))).toEqual({
    files: [{ file: place, policies: 1 }],
    errors: 1,
    warnings: 0,
    findings: [
      {
        file: place,
        line: 2,
        column: 7,
        severity: "error",
        rule: "filter",
        member: "mode",
        what: 'found the string "monitors"',
        expected: 'one of enforce monitor; did you mean "monitor"?',
        mend: "write monitor",
      },
    ],
  });
});

describe("the standard input", () => {
  test.each([
    ["YAML", "tool_allowlist: [echo, echo]", "stdin:1:24"],
    ["JSON", '{"tool_allowlist":["echo","echo"]}', "stdin:1:27"],
  ])("may be %s", async (_, text, place) => {
    const { status, out } = await run(["lint", "-"], text);
    expect(status).toBe(1);
    expect(out[2]).toContain(place);
  });
});

test("a file that ends in .json is read as strictly as the filter reads it, one in YAML as Istio does", async () => {
  const text = "{'tool_allowlist': ['echo']}";
  expect((await lint(file("quotes.json", text))).status).toBe(1);
  expect((await lint(file("quotes.yaml", text))).status).toBe(0);
});

test("nothing of a file reaches the terminal as a control or unseen", async () => {
  const name = "a\u001b[31m\u202e\u0007";
  const text = JSON.stringify({
    tool_allowlist: [name, `${name} `, `${name}*`],
    [name]: 1,
    resource_roots: [`mcp://${name}/`, 7],
    unguarded: [{ methods: [name], path: name }],
    argument_rules: [{ tool: name, pointer: `/arguments/${name}`, rule: { enum: [name] } }],
  });
  const place = file("co\u001b[2Jntrol.yaml", text);
  for (const format of ["table", "json"]) {
    const { out } = await lint("--format", format, place);
    expect(out.join("")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(out.join("\n")).toContain("\\u001b");
  }
});

test("a policy with thousands of names is looked at in seconds", async () => {
  const names = Array.from({ length: 16_384 }, (_, index) => `tool_${index}_x`);
  const roots = Array.from({ length: 256 }, (_, index) => `mcp://a/${"b/".repeat(index)}`);
  const started = performance.now();
  const { status } = await lint(file("many.yaml", JSON.stringify({ tool_allowlist: names, resource_roots: roots })));
  expect(status).toBe(0);
  expect(performance.now() - started).toBeLessThan(20_000);
});
