// What an image says about its module. Goal: the revision is the commit that the module is made from, and says when it is
// not. Method: small git repositories with the files that facts are read from, and the project's own build.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findFacts } from "../../src/oci/facts.ts";
import { projectPath } from "../../src/project.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "mcp-guard-facts-"));
  for (const folder of ["assembly", "schema", "docs"]) mkdirSync(path.join(root, folder));
  for (const file of ["package.json", "schema/policy.schema.json"]) cpSync(projectPath(file), path.join(root, file));
  writeFileSync(path.join(root, "assembly", "index.ts"), "1\n");
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function git(...args: string[]): string {
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
  const env = { ...process.env, GIT_COMMITTER_DATE: "2026-01-02T03:04:05+02:00", GIT_CONFIG_GLOBAL: "/dev/null" };
  const { status, stdout, stderr } = spawnSync("git", ["-C", root, ...identity, ...args], { encoding: "utf8", env });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

function commit(): string {
  git("add", "-A");
  git("commit", "--quiet", "-m", "x");
  return git("rev-parse", "HEAD");
}

test("the project's own module", async () => {
  const about = JSON.parse(readFileSync(projectPath("package.json"), "utf8")) as Record<string, string>;
  expect(await findFacts(MODULE)).toMatchObject({
    title: "mcp-guard-filter",
    version: about.version,
    licence: "Apache-2.0",
    abiVersion: "0.2.1",
    policySchemaVersion: "0.1",
  });
});

test("without git there is no revision", async () => {
  const facts = await findFacts(MODULE, root);
  expect(facts.revision).toBeUndefined();
  expect(facts.created).toBeUndefined();
});

test("before the first commit there is none either", async () => {
  git("init", "--quiet");
  expect((await findFacts(MODULE, root)).revision).toBeUndefined();
});

test("the revision is the newest commit that touched the sources", async () => {
  git("init", "--quiet");
  const first = commit();
  expect(await findFacts(MODULE, root)).toMatchObject({ revision: first, created: "2026-01-02T01:04:05Z" });
  writeFileSync(path.join(root, "docs", "page.md"), "1\n");
  commit();
  expect((await findFacts(MODULE, root)).revision).toBe(first);
  writeFileSync(path.join(root, "assembly", "index.ts"), "2\n");
  expect((await findFacts(MODULE, root)).revision).toBe(`${first}-dirty`);
  expect((await findFacts(MODULE, root)).created).toBeUndefined();
  const second = commit();
  expect((await findFacts(MODULE, root)).revision).toBe(second);
});

test("a new file among the sources is a change", async () => {
  git("init", "--quiet");
  const first = commit();
  writeFileSync(path.join(root, "assembly", "new.ts"), "1\n");
  expect((await findFacts(MODULE, root)).revision).toBe(`${first}-dirty`);
  rmSync(path.join(root, "assembly", "new.ts"));
  writeFileSync(path.join(root, "docs", "new.md"), "1\n");
  expect((await findFacts(MODULE, root)).revision).toBe(first);
});

test.each([
  [Buffer.from("plain"), "is no WebAssembly module"],
  [Buffer.from("0061736d01000000", "hex"), "exports no proxy_abi_version"],
])("another file is refused", async (bytes, words) => {
  await expect(findFacts(bytes, root)).rejects.toMatchObject({
    code: "ERR_NOT_BUILT",
    message: expect.stringContaining(words),
  });
});
