// Container images that are made of a folder, without a registry and without a build.
import { execFile, spawn } from "node:child_process";
import { copyFile, link, mkdir, realpath } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { GuardError } from "./error.ts";

const run = promisify(execFile);

/**
 * Puts a program of this machine into the root of an image, with the shared libraries that it names.
 * @param place where it stands there, from the root.
 */
export async function addProgram(root: string, program: string, place: string): Promise<void> {
  const target = path.join(root, place);
  await mkdir(path.dirname(target), { recursive: true });
  // A link to it would be linked itself, and lead nowhere in the image.
  const file = await realpath(program);
  // A hard link saves 100 MB of copying; across file systems only the copy works.
  await link(file, target).catch(() => copyFile(file, target));
  const { stdout } = await run("ldd", [file]);
  for (const [, library] of stdout.matchAll(/(\/\S+)/g)) await addFile(root, library!);
}

/** Puts a file of this machine into the root of an image, under its own name; a link becomes what it leads to. */
export async function addFile(root: string, file: string): Promise<void> {
  const copy = path.join(root, file);
  await mkdir(path.dirname(copy), { recursive: true });
  await copyFile(file, copy);
}

/** What an image says under a label: empty without it, undefined when there is no such image. */
export async function imageLabel(image: string, label: string): Promise<string | undefined> {
  try {
    const format = `{{index .Config.Labels "${label}"}}`;
    return (await run("docker", ["image", "inspect", "--format", format, image])).stdout.trim();
  } catch {
    return undefined;
  }
}

/**
 * Makes an image of a folder, whose files belong to root there.
 * @param changes instructions of a Dockerfile, as `docker import --change` has them.
 * @throws GuardError `ERR_ENGINE`.
 */
export async function importImage(root: string, image: string, changes: readonly string[]): Promise<void> {
  const options = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  const tar = spawn("tar", [...options, "-C", root, "-cf", "-", "."], { stdio: ["ignore", "pipe", "inherit"] });
  const args = ["import", ...changes.flatMap((change) => ["--change", change]), "-", image];
  const docker = spawn("docker", args, { stdio: ["pipe", "ignore", "pipe"] });
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
      `the image ${image} could not be imported: ${complaint.trim() || `tar ended with ${tarStatus}`}`,
    );
  }
}

function ended(child: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
}
