// The module of terraform/ in Terraform itself, with the real AWS provider and no account. Goal: it makes the roles that terraform/tests/ says, and
// refuses each fault by one validation alone, whose message names what was found and what was expected. Method: a copy of the module, so that
// nothing of Terraform's stays in the tree; everything is planned, nothing applied.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { attributeOf, checksOf, runsOf, text } from "./module-source.ts";
import { REFUSALS } from "./refusals.ts";
import { type Ending, findTerraform, type Terraform, TerraformUnavailableError } from "./terraform-program.ts";

const FILES = readdirSync(projectPath("terraform", "tests"));
const REFUSED = "refused.tftest.hcl";

interface Diagnostic {
  readonly severity: string;
  readonly summary: string;
  readonly detail: string;
  readonly range?: { readonly filename: string; readonly start: { readonly line: number } };
}

/** How one run ended. */
interface Result {
  readonly status: string;
  readonly complaints: readonly Diagnostic[];
}

const runs = (
  await Promise.all(
    FILES.map(async (file) => (await runsOf(file)).map((run) => ({ file, name: run.labels[0] ?? "", run }))),
  )
).flat();
const refused = runs.filter(({ file }) => file === REFUSED);
const checks = await checksOf();

test("runs have names of their own", () => {
  const names = runs.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

test("each fault has its message, and each variable and resource that checks something has its fault", () => {
  expect(refused.map(({ name }) => name)).toEqual(Object.keys(REFUSALS));
  const subjects = refused.flatMap(({ run }) => attributeOf(run, "expect_failures") as string[]);
  const named = new Set(subjects.map((subject) => subject.replaceAll(/^\$\{|\[.*\]|\}$/g, "")));
  expect([...named].sort()).toEqual([...new Set(checks.map(({ subject }) => subject))].sort());
});

const terraform = await findTerraform().catch((error: unknown) => {
  if (!(error instanceof TerraformUnavailableError)) throw error;
  console.log(`not run: what needs Terraform: ${error.message}`);
  return undefined;
});

if (terraform !== undefined) {
  describe("Terraform", () => {
    const work = mkdtempSync(path.join(tmpdir(), "mcp-guard-terraform-"));
    afterAll(() => rmSync(work, { recursive: true, force: true }));

    /** The results of the runs as they are in the tree. */
    let results: ReadonlyMap<string, Result>;
    /** Those of the runs of faults without their `expect_failures`: what a user of the module sees. */
    let shown: ReadonlyMap<string, Result>;

    beforeAll(async () => {
      const whole = await copyOfModule(terraform, path.join(work, "whole"));
      const apart = path.join(work, "apart");
      cpSync(whole, apart, { recursive: true, verbatimSymlinks: true });
      replaceTests(apart);
      [results, shown] = await Promise.all([testIn(terraform, whole), testIn(terraform, apart)]);
    }, 300_000);

    test("finds the sources in its format", async () => {
      expect(await terraform.run(projectPath("terraform"), "fmt", "-check", "-recursive", "-no-color")).toMatchObject({
        status: 0,
        stdout: "",
      });
    });

    test.each([["."], [path.join("examples", "github")]])(
      "finds %s valid",
      async (folder) => {
        const copy = path.join(work, "whole", folder);
        await init(terraform, copy);
        const { stdout } = await terraform.run(copy, "validate", "-json");
        expect(JSON.parse(stdout)).toMatchObject({ valid: true, error_count: 0, warning_count: 0 });
      },
      120_000,
    );

    test.each(runs.map(({ file, name }) => [file, name] as const))("%s: %s", (_file, name) => {
      expect(results.get(name)).toEqual({ status: "pass", complaints: [] });
    });

    test.each(Object.entries(REFUSALS))("says what is wrong: %s", (name, { begins, found, ends }) => {
      const complaints = shown.get(name)?.complaints.map(({ detail }) => detail.replace(WHERE, ""));
      expect(complaints).toEqual([`${begins}${found.join(", ")}${ends}`]);
    });

    test("has a fault for each validation and each precondition", () => {
      const places = [...shown.values()].flatMap(({ complaints }) => complaints.map(placeOf));
      expect([...new Set(places)].sort()).toEqual(checks.map(({ place }) => place).sort());
    });
  });
}

/** What Terraform adds to the message of a validation. */
const WHERE = /\n\nThis was checked by the validation rule at ([^:]+:\d+),[\d-]+\.$/;

function placeOf({ detail, range }: Diagnostic): string {
  return WHERE.exec(detail)?.[1] ?? `${range?.filename}:${range?.start.line}`;
}

/** Not what somebody's own Terraform has left in the tree. */
function isSource(file: string): boolean {
  return !/^(?:\.terraform|\.terraform\.lock\.hcl|.*\.tfstate.*)$/.test(path.basename(file));
}

async function copyOfModule(program: Terraform, folder: string): Promise<string> {
  cpSync(projectPath("terraform"), folder, { recursive: true, filter: isSource });
  await init(program, folder);
  return folder;
}

async function init(program: Terraform, folder: string): Promise<void> {
  const ending = await program.run(folder, "init", "-input=false", "-no-color", `-plugin-dir=${program.plugins}`);
  if (ending.status !== 0) throw new Error(`terraform init: ${ending.stdout}${ending.stderr}`);
}

/** The faults alone, each in a file of its own and not expected: after a failure Terraform leaves out the rest of a file. */
function replaceTests(folder: string): void {
  const tests = path.join(folder, "tests");
  rmSync(tests, { recursive: true });
  mkdirSync(tests);
  const [before = "", ...faults] = text("tests", REFUSED).split(/^(?=run ")/m);
  for (const fault of faults) {
    const name = /^run "(\w+)"/.exec(fault)?.[1];
    writeFileSync(path.join(tests, `${name}.tftest.hcl`), before + fault.replace(/^ {2}expect_failures = .*\n/m, ""));
  }
}

/** The results of `terraform test` by the runs' names. */
async function testIn(program: Terraform, folder: string): Promise<ReadonlyMap<string, Result>> {
  const ending = await program.run(folder, "test", "-json");
  const all = new Map<string, Result>();
  const complaints: Diagnostic[] = [];
  for (const message of messagesOf(ending)) {
    const { type, diagnostic, test_run: run, "@testrun": name = "" } = message;
    if (type === "test_run" && run?.progress === "complete") {
      all.set(run.run, { status: run.status ?? "", complaints: all.get(run.run)?.complaints ?? [] });
    } else if (type === "diagnostic" && diagnostic !== undefined) {
      const { status = "", complaints: before = [] } = all.get(name) ?? {};
      all.set(name, { status, complaints: [...before, diagnostic] });
      if (name === "") complaints.push(diagnostic);
    }
  }
  if (complaints.length > 0 || all.size === 0) {
    throw new Error(`terraform test: ${JSON.stringify(complaints)} ${ending.stderr}`);
  }
  return all;
}

interface Message {
  readonly type: string;
  readonly diagnostic?: Diagnostic;
  readonly test_run?: { readonly run: string; readonly progress: string; readonly status?: string };
  readonly "@testrun"?: string;
}

function messagesOf({ stdout }: Ending): Message[] {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Message);
}
