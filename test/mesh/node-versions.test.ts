// One digest on every Node. Goal: the module and its image depend on the sources alone. Method: the compiler and the pusher
// of this build run on each pinned version of Node, and the results are compared with what this Node makes.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { projectPath } from "../../src/project.ts";
import { isRegistryAvailable } from "../oci/available.ts";
import { runCommand } from "../oci/command.ts";
import { type Registry, startRegistry } from "../oci/registry.ts";
import { nodeVersions } from "./node-versions.ts";

const run = promisify(execFile);
const versions = Object.entries(await nodeVersions());
const BUILT = digestOf(readFileSync(projectPath("build", "plugin.wasm")));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-node-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each(versions)("%s compiles the same module", async (name, node) => {
  const out = path.join(folder, `${name}.wasm`);
  const asc = projectPath("node_modules", "assemblyscript", "bin", "asc.js");
  await run(node, [asc, "--config", "asconfig.json", "--target", "release", "--outFile", out], { cwd: projectPath() });
  expect(digestOf(readFileSync(out))).toBe(BUILT);
});

if (await isRegistryAvailable()) {
  describe("pushed", () => {
    let registry: Registry;
    const digest = (out: string) => /^url: oci:\/\/\S+@(sha256:\w+)$/m.exec(out)?.[1];

    beforeAll(async () => {
      registry = await startRegistry();
    });

    afterAll(() => registry.stop());

    test.each(versions)("from %s, the image has the same digest", async (name, node) => {
      for (const shape of ["image", "artifact"]) {
        const args = ["oci-push", "--tag", "v1", "--shape", shape, "--repo"];
        const own = await runCommand([...args, `${registry.host}/own-${shape}`]);
        const command = projectPath("build", "node", "cli", "main.js");
        const { stdout } = await run(node, [command, ...args, `${registry.host}/${name}-${shape}`]);
        expect(digest(stdout)).toMatch(/^sha256:/);
        expect(digest(stdout)).toBe(digest(own.out));
      }
    });
  });
}
