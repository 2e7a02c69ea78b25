// Further versions of Node: the packages of test/mesh/node/package-lock.json, in a folder of the project's own cache.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { projectPath } from "../../src/project.ts";

const PINS = projectPath("test", "mesh", "node");
const INSTALL_TIMEOUT_MS = 240_000;

/**
 * The Node binaries, by their package's name (`node-24`). They are installed once, each checked by npm against the lock file.
 * @param say gets a line about what is installed, default the console.
 */
export async function nodeVersions(
  say: (line: string) => void = console.log,
): Promise<Readonly<Record<string, string>>> {
  const lock = readFileSync(path.join(PINS, "package-lock.json"));
  const hash = createHash("sha256").update(lock).digest("hex").slice(0, 16);
  const folder = projectPath(".cache", "node", hash);
  if (!existsSync(folder)) {
    const work = `${folder}.${process.pid}`;
    say(`installing the Node versions of test/mesh/node into ${path.relative(projectPath(), folder)}`);
    mkdirSync(work, { recursive: true });
    try {
      for (const name of ["package.json", "package-lock.json"])
        copyFileSync(path.join(PINS, name), path.join(work, name));
      const npm = promisify(execFile)("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
        cwd: work,
        timeout: INSTALL_TIMEOUT_MS,
      });
      await npm;
      // Another run may have been faster; its folder is as good as this one.
      if (!existsSync(folder)) renameSync(work, folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  const { dependencies } = JSON.parse(readFileSync(path.join(PINS, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  return Object.fromEntries(
    Object.keys(dependencies).map((name) => [name, path.join(folder, "node_modules", name, "bin", "node")]),
  );
}
