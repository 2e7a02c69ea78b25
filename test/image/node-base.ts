// An image with Node, for builds that need one as their base: NODE_IMAGE, else one that is made of this machine's Node, and no registry of images is asked.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { addFile, addProgram, imageLabel, importImage } from "../../src/container-image.ts";

const run = promisify(execFile);

/** What belongs to every glibc, and what native packages of Node name without Node naming it. */
const GLIBC = ["libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libnss_dns.so.2"];
const EXTRA_CERTIFICATES = "/etc/ssl/certs/extra.pem";
/** Carries the hash of what the image was made from: what is the same is not made again, so that what was built on it need not be either. */
const ORIGIN_LABEL = "mcp-guard.node.sha256";

/** The name of an image with `node`, `npm` and `sh` on its path. @throws Error when a part of it is not on this machine. */
export async function nodeImage(): Promise<string> {
  if (process.env.NODE_IMAGE) return process.env.NODE_IMAGE;
  const image = `mcp-guard/node:${process.versions.node}`;
  const npm = path.join((await run("npm", ["root", "--global"])).stdout.trim(), "npm");
  const { environment, certificates } = await likeHere();
  const origin = createHash("sha256");
  for (const part of [npm, JSON.stringify(environment), certificates ?? ""]) origin.update(part);
  const hash = origin.digest("hex");
  if ((await imageLabel(image, ORIGIN_LABEL)) === hash) return image;

  const root = await mkdtemp(path.join(tmpdir(), "mcp-guard-node-image-"));
  try {
    await addProgram(root, process.execPath, "usr/local/bin/node");
    await addProgram(root, "/bin/sh", "bin/sh");
    await addProgram(root, "/usr/bin/env", "usr/bin/env");
    const libc = /(\/\S+)\/libc\.so\.6/.exec((await run("ldd", [process.execPath])).stdout)?.[1];
    if (libc === undefined) throw new Error(`${process.execPath} is not linked to glibc; expected NODE_IMAGE`);
    for (const library of GLIBC) await addFile(root, path.join(libc, library));
    await cp(npm, path.join(root, "usr/local/lib/npm"), { recursive: true, dereference: true });
    await symlink("../lib/npm/bin/npm-cli.js", path.join(root, "usr/local/bin/npm"));
    await mkdir(path.join(root, "tmp"), { mode: 0o1777 });
    for (const folder of ["root", "etc/ssl/certs"]) await mkdir(path.join(root, folder), { recursive: true });
    await writeFile(path.join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    await writeFile(path.join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
    if (certificates !== undefined) await writeFile(path.join(root, EXTRA_CERTIFICATES), certificates);
    await importImage(root, image, [
      ...Object.entries(environment).map(([name, value]) => `ENV ${name}=${value}`),
      `LABEL ${ORIGIN_LABEL}=${hash}`,
    ]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return image;
}

/** What `npm` has to know to reach packages as it does on this machine. */
async function likeHere(): Promise<{ environment: Record<string, string>; certificates: Buffer | undefined }> {
  const environment = {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    HOME: "/root",
    NPM_CONFIG_REGISTRY: (await run("npm", ["config", "get", "registry"])).stdout.trim(),
  };
  const file = process.env.NODE_EXTRA_CA_CERTS;
  if (!file) return { environment, certificates: undefined };
  return {
    environment: { ...environment, NODE_EXTRA_CA_CERTS: EXTRA_CERTIFICATES },
    certificates: await readFile(file),
  };
}
