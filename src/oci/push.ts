// Pushing: everything is written and read back before the tag moves, so that whatever fails on the way leaves the tag as it was.
import { GuardError } from "../error.ts";
import type { Digest } from "./digest.ts";
import type { Image } from "./image.ts";
import { readModule } from "./pull.ts";
import type { Registry } from "./registry.ts";

/** Enough of a digest to tell blobs apart. */
const SHORT_DIGEST_LENGTH = "sha256:".length + 12;

export interface PushListener {
  /** A step that is done, in one line. */
  say(line: string): void;
  /** What is going on at the moment. */
  status(text: string): void;
}

/** How a push ended. */
export interface Pushed {
  readonly digest: Digest;
  /** Whether the tag stood for this very digest before. */
  readonly unchanged: boolean;
}

/**
 * Pushes an image, and lets the tag stand for it.
 * @throws GuardError as `Registry` does; `ERR_TAG` when the tag may or may not have been written.
 */
export async function pushImage(
  registry: Registry,
  image: Image,
  tag: string,
  listener: PushListener,
): Promise<Pushed> {
  const { manifest } = image;
  await registry.ping();
  const before = await registry.resolve(tag);
  for (const blob of image.blobs) {
    const short = blob.digest.slice(0, SHORT_DIGEST_LENGTH);
    const name = `${short} ${blob.mediaType}`;
    if (await registry.hasBlob(blob)) {
      listener.say(`there already ${name}`);
      continue;
    }
    await registry.upload(blob, (bytes) => listener.status(progressLine(short, bytes, blob.size)));
    listener.say(`uploaded      ${name}, ${blob.size} bytes`);
  }
  await registry.putManifest(manifest.digest, manifest);
  await verifyPush(registry, image);
  listener.say(`read back     ${manifest.digest.slice(0, SHORT_DIGEST_LENGTH)}, the module is the same`);
  // A registry with immutable tags refuses to write one again, even to what it stands for already.
  const unchanged = before === manifest.digest;
  if (!unchanged) await writeTag(registry, image, tag);
  return { digest: manifest.digest, unchanged };
}

/** What was just written is read as a loader reads it. */
async function verifyPush(registry: Registry, image: Image): Promise<void> {
  const pulled = await readModule(registry, image.manifest.digest);
  if (pulled.moduleDigest === image.moduleDigest) return;
  throw new GuardError(
    "ERR_REGISTRY",
    `the registry gave another module back: ${pulled.moduleDigest} instead of ${image.moduleDigest}`,
  );
}

async function writeTag(registry: Registry, { manifest }: Image, tag: string): Promise<void> {
  let found: Digest | undefined;
  try {
    await registry.putManifest(tag, manifest);
    found = await registry.resolve(tag);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new GuardError(
      "ERR_TAG",
      `${why}. ${manifest.digest} is complete; make oci-verify says what the tag stands for`,
      {
        cause: error,
      },
    );
  }
  if (found === manifest.digest) return;
  throw new GuardError(
    "ERR_TAG",
    `the tag ${tag} was written and stands for ${found ?? "nothing"}, not for ${manifest.digest}`,
  );
}

function progressLine(digest: string, bytes: number, size: number): string {
  return `uploading     ${digest}: ${bytes} of ${size} bytes (${Math.floor((100 * bytes) / size)} %)`;
}
