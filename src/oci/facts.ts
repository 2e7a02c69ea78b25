// What a pushed module is annotated with, each read from where it is true: the module itself, package.json, the schema, git.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { GuardError } from "../error.ts";
import { projectPath } from "../project.ts";
import type { Facts } from "./image.ts";

const run = promisify(execFile);

/** What the module is compiled from, and with: another commit that touches none of it leaves the revision as it is. */
const SOURCES = ["assembly", "asconfig.json", "package.json", "package-lock.json"];

/**
 * The facts about a module that was built in this tree.
 * @param root the tree, for tests; the project's own by default.
 * @throws GuardError `ERR_NOT_BUILT` when the bytes are no Proxy-Wasm module.
 */
export async function findFacts(module: Uint8Array, root = projectPath()): Promise<Facts> {
  const about = JSON.parse(await readFile(`${root}/package.json`, "utf8")) as Record<string, string>;
  const schema = JSON.parse(await readFile(`${root}/schema/policy.schema.json`, "utf8")) as { $id: string };
  return {
    title: about.name ?? "",
    description: about.description ?? "",
    version: about.version ?? "",
    licence: about.license ?? "",
    abiVersion: abiVersion(module),
    policySchemaVersion: schema.$id.slice(schema.$id.lastIndexOf(":") + 1),
    ...(await findRevision(root)),
  };
}

/** The Proxy-Wasm ABI version, which a module declares by exporting a function with it in its name. */
function abiVersion(module: Uint8Array): string {
  try {
    for (const { name } of WebAssembly.Module.exports(new WebAssembly.Module(Uint8Array.from(module)))) {
      const version = /^proxy_abi_version_(\d+)_(\d+)_(\d+)$/.exec(name);
      if (version !== null) return version.slice(1).join(".");
    }
  } catch (error) {
    throw new GuardError(
      "ERR_NOT_BUILT",
      `the filter is no WebAssembly module (${String(error)}): make build makes one`,
    );
  }
  throw new GuardError("ERR_NOT_BUILT", "the filter exports no proxy_abi_version: make build makes one that does");
}

/**
 * The newest commit that touched the sources. Uncommitted changes in them are marked, and then there is no date: the
 * module is not what that commit describes.
 */
async function findRevision(root: string): Promise<Pick<Facts, "revision" | "created">> {
  try {
    const git = async (...args: string[]) => (await run("git", ["-C", root, ...args])).stdout.trim();
    const [revision = "", created = ""] = (await git("log", "-1", "--format=%H%n%cI", "--", ...SOURCES)).split("\n");
    if (revision === "") return { revision: undefined, created: undefined };
    const changes = await git("status", "--porcelain", "--", ...SOURCES);
    if (changes !== "") return { revision: `${revision}-dirty`, created: undefined };
    return { revision, created: new Date(created).toISOString().replace(".000Z", "Z") };
  } catch {
    return { revision: undefined, created: undefined }; // no git here, or an archive of the sources without its history
  }
}
