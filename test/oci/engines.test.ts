// The image in container engines. Goal: Docker takes it, and containerd, which Kubernetes mounts image volumes with, takes it on
// nodes of every architecture. Method: the compiled command pushes, the engines pull by digest, the module is compared.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engineUp } from "../../src/envoy/engine.ts";
import { projectPath } from "../../src/project.ts";
import { isRegistryAvailable } from "./available.ts";
import { runCommand } from "./command.ts";
import { type Registry, startRegistry } from "./registry.ts";

const run = promisify(execFile);
const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
/** Where dockerd's own containerd listens, and a containerd by itself. */
const SOCKETS = ["/var/run/docker/containerd/containerd.sock", "/run/containerd/containerd.sock"];
const NAMESPACE = "mcp-guard-test";

// The container driver's switch: without containers there is no engine to ask.
if (process.env.ENVOY_DRIVER !== "process" && (await isRegistryAvailable())) {
  await engineUp();
  const ctr = await containerd();
  if (ctr === undefined) console.log("not run: the image in containerd: ctr and its socket are not both here");

  describe("engines", () => {
    let registry: Registry;
    let image: string;
    let folder: string;

    beforeAll(async () => {
      folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-engines-"));
      registry = await startRegistry();
      const { out } = await runCommand(["oci-push", "--repo", `${registry.host}/engines`, "--tag", "v1"]);
      image = /^url: oci:\/\/(\S+)$/m.exec(out)?.[1] ?? "";
      expect(image).toMatch(/@sha256:/);
    });

    afterAll(async () => {
      await registry.stop();
      rmSync(folder, { recursive: true });
    });

    test("Docker pulls it, and gives the module and its labels back", async () => {
      await run("docker", ["pull", "--quiet", image]);
      try {
        const { stdout } = await run("docker", ["create", image, "none"]);
        const container = stdout.trim();
        const copy = path.join(folder, "docker.wasm");
        await run("docker", ["cp", `${container}:/plugin.wasm`, copy]).finally(() => run("docker", ["rm", container]));
        expect(readFileSync(copy).equals(MODULE)).toBe(true);
        const labels = await run("docker", ["image", "inspect", "--format", "{{json .Config.Labels}}", image]);
        expect(JSON.parse(labels.stdout)).toMatchObject({ "mcp-guard.abi-version": "0.2.1" });
      } finally {
        await run("docker", ["image", "rm", image]);
      }
    });

    if (ctr === undefined) return;
    test.each(["linux/amd64", "linux/arm64"])(
      "containerd on %s pulls it, and mounts it with the module inside",
      async (platform) => {
        const target = path.join(folder, platform.replace("/", "-"));
        mkdirSync(target);
        try {
          await ctr("images", "pull", "--plain-http", "--platform", platform, image);
          await ctr("images", "mount", "--platform", platform, image, target);
          expect(readFileSync(path.join(target, "plugin.wasm")).equals(MODULE)).toBe(true);
        } finally {
          await ctr("images", "unmount", target).catch(() => {});
          await ctr("images", "rm", "--sync", image).catch(() => {});
        }
      },
    );
  });
}

/** containerd's own client, where there is one. */
async function containerd(): Promise<((...args: string[]) => Promise<unknown>) | undefined> {
  for (const address of SOCKETS) {
    const ctr = (...args: string[]) => run("ctr", ["--address", address, "--namespace", NAMESPACE, ...args]);
    if (
      await ctr("version").then(
        () => true,
        () => false,
      )
    )
      return ctr;
  }
  return undefined;
}
