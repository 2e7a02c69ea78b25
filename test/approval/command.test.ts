// mcp-guard approval digest. Goal: an auditor who has a call computes the digest that the guard and the service computed, from the call as it was sent, and is told when
// that cannot be. Method: the command on files, with each vector; and the compiled command with a standard input.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { approval } from "../../src/cli/commands/approval.ts";
import { GuardError } from "../../src/error.ts";
import { projectPath } from "../../src/project.ts";
import { VECTORS } from "./vectors.ts";

const { canonical, refused, digests } = VECTORS;
const CALL = digests[0]!;
const { server, authority, path: target, issuer, principal } = CALL.call;
const WHO = { server, authority, path: target, issuer, principal };
const OPTIONS = Object.entries(WHO).flatMap(([name, value]) => [`--${name}`, value]);

/** What the command prints with --json. */
interface Printed extends Record<string, string> {
  arguments: string;
  task: string;
  input_responses: string;
  digest: string;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-approval-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Runs the command on a file with this content. */
async function digestOf(content: string | Uint8Array, ...options: string[]): Promise<string[]> {
  const file = path.join(folder, "call.json");
  writeFileSync(file, content);
  return run("digest", ...options, file);
}

async function run(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const signal = new AbortController().signal;
  const out = (line: string): void => void lines.push(line);
  expect(await approval(args, { out, warn: out, status() {}, env: {}, signal })).toBe(0);
  return lines;
}

const parsed = (lines: readonly string[]): Printed => JSON.parse(lines.join("\n")) as Printed;

async function errorOf(result: Promise<unknown>): Promise<string> {
  const error = await result.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GuardError)) throw error;
  expect(error.code).toBe("ERR_USAGE");
  return error.message.replaceAll(`${path.join(folder, "call.json")}: `, "");
}

/** A call of the second form, with texts of JSON as they are. */
function fields(texts: Readonly<Record<string, string>>, rest: Readonly<Record<string, string>> = WHO): string {
  const members = Object.entries({ ...rest, method: "tools/call", tool: "delete_branch" }).map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
  );
  const values = Object.entries(texts).map(([name, text]) => `${JSON.stringify(name)}:${text}`);
  return `{${[...members, ...values].join(", ")}}`;
}

function message(params: string, method = "tools/call"): string {
  return `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}`;
}

describe("the vectors", () => {
  test.each(canonical)("$name", async ({ input, without, canonical }) => {
    const member = without === undefined ? "arguments" : "input_responses";
    const printed = parsed(await digestOf(fields({ [member]: input }), "--json"));
    // Answers without anything in them are none.
    expect(printed[member]).toBe(member === "input_responses" && canonical === "{}" ? "" : canonical);
  });

  test.each(refused)("refused: $name", async ({ input }) => {
    expect(await errorOf(digestOf(fields({ arguments: input })))).toMatch(/^line \d+, column \d+: found /);
  });

  test.each(digests)("digest of $name", async ({ call, digest }) => {
    const { arguments: args, task, input_responses: answers, ...texts } = call;
    const values = Object.entries({ arguments: args, task, input_responses: answers }).filter(
      ([, text]) => text !== "",
    );
    const members = [...Object.entries(texts).map(([name, text]) => [name, JSON.stringify(text)]), ...values];
    const content = `{${members.map(([name, text]) => `"${name}" : ${text}`).join()}}`;
    expect(parsed(await digestOf(content, "--json"))).toEqual({ ...call, digest });
  });
});

describe("a message", () => {
  const args = '{"repo":"a\\/b", "branch":"main"}';

  test("and the options are a call", async () => {
    const lines = await digestOf(message(`{"name":"delete_branch","arguments":${args}}`), ...OPTIONS);
    expect(lines).toEqual([
      'arguments        {"branch":"main","repo":"a/b"}',
      "task             absent",
      "input responses  absent",
      `digest           ${CALL.digest}`,
    ]);
  });

  test("may have a task, and answers of which the guard's own does not count", async () => {
    const { call, digest } = digests.find(({ name }) => name === "all of it")!;
    const answers = '{"guard.approval":{"action":"accept"},"confirm":{"action":"accept"}}';
    const params = `{"inputResponses":${answers},"task":{"ttl":60000},"arguments":${args},"name":"delete\\u005fbranch"}`;
    expect(parsed(await digestOf(message(params), ...OPTIONS, "--json"))).toEqual({ ...call, digest });
  });

  test("without arguments is another call than one with empty ones", async () => {
    const [absent, empty] = await Promise.all([
      digestOf(message('{"name":"delete_branch"}'), ...OPTIONS, "--json").then(parsed),
      digestOfOther(message('{"name":"delete_branch","arguments":{}}')),
    ]);
    expect([absent.arguments, empty.arguments]).toEqual(["", "{}"]);
    expect(absent.digest).toBe(digests.find(({ name }) => name === "without arguments")?.digest);
    expect(empty.digest).toBe(digests.find(({ name }) => name === "with empty arguments")?.digest);
  });

  async function digestOfOther(content: string): Promise<Printed> {
    const file = path.join(folder, "other.json");
    writeFileSync(file, content);
    return parsed(await run("digest", ...OPTIONS, "--json", file));
  }
});

test("docs/commands.md shows what is printed", async () => {
  const page = readFileSync(projectPath("docs", "commands.md"), "utf8");
  const section = page.split("\n## `mcp-guard approval digest`\n")[1]?.split(/^## /m)[0] ?? "";
  const example = /^```text\n(.*?)\n```$/ms.exec(section)?.[1];
  expect(await digestOf(fields({ arguments: CALL.call.arguments }))).toEqual(example?.split("\n"));
});

describe("what is not seen", () => {
  const hidden = '{"\u202ea":"\u007f\u200b\u2028 \u00a0\u{e0041}"}';

  test("is shown as an escape", async () => {
    const [line] = await digestOf(fields({ arguments: hidden }));
    expect(line).toBe('arguments        {"\\u202ea":"\\u007f\\u200b\\u2028 \\u00a0\\udb40\\udc41"}');
  });

  test("is in the JSON all the same", async () => {
    const lines = await digestOf(fields({ arguments: hidden }), "--json");
    expect(lines.join("\n")).toMatch(/^[\n\x20-\x7e]+$/);
    expect(parsed(lines).arguments).toBe(hidden);
  });
});

describe("what is no call", () => {
  const call = '{"name":"delete_branch"}';

  test.each([
    ["a list", "[]", [], "the call: found an array, expected an object"],
    ["a batch", `[${message(call)}]`, OPTIONS, "the call: found an array, expected an object"],
    [
      "an unknown member",
      fields({ workload: '"w"' }),
      [],
      "found the unknown member workload, expected server authority",
    ],
    ["no server", fields({}, {}), [], "server: found nothing, expected a string or --server"],
    [
      "a principal that is no string",
      fields({ principal: "7" }, { server, authority, path: target, issuer }),
      [],
      "principal: found a number, expected a string or --principal",
    ],
    ["a server twice", fields({}), ["--server", "x"], "found server and --server, expected one of them"],
    ["a message without the options", message(call), [], "server: found nothing, expected a string or --server"],
    ["another method", message(call, "prompts/get"), OPTIONS, "method: found prompts/get, expected tools/call"],
    [
      "no params",
      '{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
      OPTIONS,
      "params: found nothing, expected an object",
    ],
    ["params that are a list", message("[]"), OPTIONS, "params: found an array, expected an object"],
    ["no name", message("{}"), OPTIONS, "params.name: found nothing, expected a string"],
    ["a name that is null", message('{"name":null}'), OPTIONS, "params.name: found null, expected a string"],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), [], "found bytes that are no UTF-8, expected JSON"],
    ["a byte order mark", `\ufeff${fields({})}`, [], 'line 1, column 1: found "\\ufeff", expected a value'],
    [
      "a message that is too deep",
      message(`{"name":"x","arguments":${"[".repeat(63)}${"]".repeat(63)}}`),
      OPTIONS,
      "expected at most 64 containers open at once",
    ],
  ])("%s", async (_, content, options, words) => {
    expect(await errorOf(digestOf(content, ...options))).toContain(words);
  });

  test("a message that is just not too deep is one", async () => {
    const args = `${"[".repeat(62)}${"]".repeat(62)}`;
    const content = message(`{"name":"delete_branch","arguments":${args}}`);
    expect(parsed(await digestOf(content, ...OPTIONS, "--json")).arguments).toBe(args);
  });

  test("two files", async () => {
    expect(await errorOf(run("digest", "one", "two"))).toBe("found 2 files, expected one call");
  });

  test("a file that is not there", async () => {
    expect(await errorOf(run("digest", "nowhere.json"))).toBe("nowhere.json: there is no such file");
  });

  test("a file that is too large", async () => {
    const content = " ".repeat((16 << 20) + 1);
    expect(await errorOf(digestOf(content))).toBe("found more than 16 MiB, expected a call");
  });
});

describe("the command line", () => {
  test.each([[["--help"]], [["digest", "--help"]], [["digest", "-h"]]])("%j says what there is", async (args) => {
    expect((await run(...args)).join("\n")).toMatch(/^usage: mcp-guard approval/);
  });

  test("names a command that there is", async () => {
    expect(await errorOf(run())).toMatch(/^usage: mcp-guard approval <command>/);
    expect(await errorOf(run("grant"))).toMatch(/^there is no command approval grant\n/);
  });

  test.each([[[]], [["-"]]])("%j reads the standard input", (args) => {
    const main = projectPath("build", "node", "cli", "main.js");
    const input = fields({ arguments: CALL.call.arguments });
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "approval", "digest", ...args], {
      input,
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^digest +${CALL.digest}$`, "m"));
  });

  test("ends with status 2 when there is no call", () => {
    const main = projectPath("build", "node", "cli", "main.js");
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "approval", "digest"], {
      input: "{}",
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("stdin: server: found nothing");
  });
});
