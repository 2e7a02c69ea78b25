// Finds Terraform and a copy of the AWS provider on this machine, and runs them without an account and without a network.
import { execFile } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { projectPath } from "../../src/project.ts";

const RUN_TIMEOUT_MS = 300_000;
/** What `override_during` in the tests needs. The module itself wants less. */
const TERRAFORM_AT_LEAST = "1.11.0";
/** Terraform's names of the machines that Node names so. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", ia32: "386" };

/** Why Terraform is not run on this machine, in one sentence. */
export class TerraformUnavailableError extends Error {}

/** How one command ended. */
export interface Ending {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A Terraform that can be run. */
export interface Terraform {
  /** Where it takes providers from: nowhere else, and never from a registry. */
  readonly plugins: string;
  /** Runs a command in a folder. Never throws for a command that fails. */
  run(folder: string, ...args: string[]): Promise<Ending>;
}

/**
 * The `terraform` of `TERRAFORM` or of the path, with providers from `TERRAFORM_PLUGINS` or from one of the places where machines have them.
 * @throws TerraformUnavailableError
 */
export async function findTerraform(): Promise<Terraform> {
  const binary = terraformBinary();
  const version = await terraformVersion(binary);
  if (compare(version, TERRAFORM_AT_LEAST) < 0) {
    throw new TerraformUnavailableError(`${binary} is Terraform ${version}, the tests want ${TERRAFORM_AT_LEAST}`);
  }
  return { plugins: pluginFolder(), run: (folder, ...args) => execute(binary, folder, args) };
}

function terraformBinary(): string {
  const chosen = process.env.TERRAFORM;
  const searched = (process.env.PATH ?? "").split(path.delimiter).map((folder) => path.join(folder, "terraform"));
  const found = (chosen ? [chosen] : searched).find(isExecutable);
  if (found !== undefined) return found;
  throw new TerraformUnavailableError(
    chosen ? `TERRAFORM=${chosen} is not an executable file` : "there is no terraform: install it, or set TERRAFORM",
  );
}

async function terraformVersion(binary: string): Promise<string> {
  const { stdout } = await execute(binary, projectPath(), ["version", "-json"]);
  const { terraform_version: version } = JSON.parse(stdout || "{}") as { terraform_version?: string };
  if (version === undefined) throw new TerraformUnavailableError(`${binary} does not say its version`);
  return version;
}

/** A folder with `HOST/hashicorp/aws/VERSION/SYSTEM` in it, for this machine and in a version that the module takes. */
function pluginFolder(): string {
  const chosen = process.env.TERRAFORM_PLUGINS;
  const [least, below] = wantedVersions();
  const found = (chosen ? [chosen] : usualFolders()).find((folder) =>
    providerVersions(folder).some((version) => compare(version, least) >= 0 && compare(version, below) < 0),
  );
  if (found !== undefined) return found;
  const missing = `no AWS provider from ${least} to below ${below} for ${system()}`;
  throw new TerraformUnavailableError(
    chosen ? `TERRAFORM_PLUGINS=${chosen} has ${missing}` : `there is ${missing}: set TERRAFORM_PLUGINS to a mirror`,
  );
}

/** Terraform's own mirrors and its cache, then folders two levels below the root, where images of build machines put one. */
function usualFolders(): string[] {
  const home = homedir();
  return [
    ...(process.env.TF_PLUGIN_CACHE_DIR ? [process.env.TF_PLUGIN_CACHE_DIR] : []),
    path.join(home, ".terraform.d", "plugins"),
    path.join(home, ".local", "share", "terraform", "plugins"),
    path.join("/", "usr", "local", "share", "terraform", "plugins"),
    path.join("/", "usr", "share", "terraform", "plugins"),
    ...entries("/")
      .filter((name) => !["proc", "sys", "dev"].includes(name))
      .flatMap((name) => entries(path.join("/", name)).map((inner) => path.join("/", name, inner))),
  ];
}

function providerVersions(folder: string): string[] {
  return entries(folder)
    .filter((host) => host.includes("."))
    .map((host) => path.join(folder, host, "hashicorp", "aws"))
    .flatMap((provider) =>
      entries(provider).filter((version) => entries(path.join(provider, version)).includes(system())),
    );
}

/** The two ends of the module's own constraint. */
function wantedVersions(): [string, string] {
  const source = readFileSync(projectPath("terraform", "versions.tf"), "utf8");
  const [, least, below] = /version = ">= ([\d.]+), < ([\d.]+)"/.exec(source) ?? [];
  if (least === undefined || below === undefined) throw new Error("terraform/versions.tf has no range of versions");
  return [least, below];
}

function system(): string {
  return `${process.platform}_${ARCHITECTURES[process.arch] ?? process.arch}`;
}

/** Below 0 when a version comes before another. */
function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number));
  const differing = [0, 1, 2].find((i) => (left?.[i] ?? 0) !== (right?.[i] ?? 0));
  return differing === undefined ? 0 : (left?.[differing] ?? 0) - (right?.[differing] ?? 0);
}

/** The names in a folder; none when it is no folder or may not be read. */
function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Nothing of this machine's Terraform or AWS settings gets in, and nothing is asked over the network. */
function environment(): Record<string, string> {
  const kept = ["PATH", "HOME", "TMPDIR"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(kept),
    TF_CLI_CONFIG_FILE: "/dev/null",
    TF_IN_AUTOMATION: "1",
    CHECKPOINT_DISABLE: "1",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

function execute(binary: string, folder: string, args: readonly string[]): Promise<Ending> {
  return new Promise((resolve) => {
    const options = { cwd: folder, env: environment(), timeout: RUN_TIMEOUT_MS, maxBuffer: 64 << 20 };
    execFile(binary, [...args], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ status, stdout, stderr: error !== null && stderr === "" ? error.message : stderr });
    });
  });
}
