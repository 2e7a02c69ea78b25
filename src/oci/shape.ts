// Which images Istio loads a Wasm module from, and out of which layer. This follows what its fetcher does (istio.io/istio
// `pkg/wasm/imagefetcher.go`, release 1.31), and `test/mesh` holds the two to the same answers.
import { GuardError } from "../error.ts";
import { type Digest, isDigest } from "./digest.ts";

export const MEDIA_TYPE = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar+gzip",
  /** The two bytes `{}`, for a manifest that configures nothing (image specification 1.1). */
  ociEmpty: "application/vnd.oci.empty.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  wasmConfig: "application/vnd.module.wasm.config.v1+json",
  wasmLayer: "application/vnd.module.wasm.content.layer.v1+wasm",
} as const;

/** The platform that Istio takes out of an index, on nodes of every architecture. */
const PLATFORM = { os: "linux", architecture: "amd64" } as const;

/** What names a piece of content: its type, its digest and its length. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export interface Manifest {
  readonly mediaType: string;
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** Where in an image the module is. */
export interface ModulePlace {
  readonly shape: "image" | "artifact";
  readonly layer: Descriptor;
}

/**
 * Reads an image manifest, of OCI or of Docker.
 * @param served the media type that the registry gave; a manifest may leave its own out.
 * @throws GuardError `ERR_NOT_LOADABLE` for anything else.
 */
export function parseManifest(text: string, served: string): Manifest {
  const manifest = parseObject(text);
  if (!Array.isArray(manifest.layers)) throw notLoadable("the manifest has no list of layers");
  return {
    mediaType: typeof manifest.mediaType === "string" ? manifest.mediaType : served,
    layers: manifest.layers.map(parseDescriptor),
    annotations: isRecord(manifest.annotations) ? strings(manifest.annotations) : {},
  };
}

/** Whether a media type is that of an index, or of a manifest list as Docker names it. */
export function isIndex(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.ociIndex || mediaType === MEDIA_TYPE.dockerIndex;
}

/**
 * The manifest that Istio takes out of an index: the first for linux/amd64, where one without a platform counts as that.
 * @throws GuardError `ERR_NOT_LOADABLE` when there is none.
 */
export function childOfIndex(text: string): Descriptor {
  const { manifests } = parseObject(text);
  for (const child of Array.isArray(manifests) ? manifests : []) {
    if (!isRecord(child)) continue;
    const platform = isRecord(child.platform) ? child.platform : PLATFORM;
    if (platform.os === PLATFORM.os && platform.architecture === PLATFORM.architecture) return parseDescriptor(child);
  }
  throw notLoadable(`the index has no manifest for ${PLATFORM.os}/${PLATFORM.architecture}`);
}

/**
 * The layer that Istio reads the module from.
 * @throws GuardError `ERR_NOT_LOADABLE`, with what Istio expects.
 */
export function moduleLayer({ mediaType, layers }: Manifest): ModulePlace {
  const last = layers.at(-1);
  const docker = mediaType === MEDIA_TYPE.dockerManifest;
  const wanted = docker ? MEDIA_TYPE.dockerLayer : MEDIA_TYPE.ociLayer;
  if (last?.mediaType === wanted) return { shape: "image", layer: last };
  const image = `an image whose last layer is ${wanted}`;
  if (docker) throw notLoadable(`expected ${image}, found ${last?.mediaType ?? "no layer"}`);
  const module = layers.find((layer) => layer.mediaType === MEDIA_TYPE.wasmLayer);
  if (layers.length === 2 && module !== undefined) return { shape: "artifact", layer: module };
  const found = `${layers.length} ${layers.length === 1 ? "layer" : "layers"}, the last is ${last?.mediaType ?? "missing"}`;
  throw notLoadable(`expected ${image}, or exactly two layers with one ${MEDIA_TYPE.wasmLayer}; found ${found}`);
}

function notLoadable(why: string): GuardError {
  return new GuardError("ERR_NOT_LOADABLE", `Istio would not load this: ${why}`);
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // told below, in the same words
  }
  throw notLoadable("the manifest is no JSON object");
}

function parseDescriptor(value: unknown): Descriptor {
  if (isRecord(value)) {
    const { mediaType, digest, size } = value;
    if (typeof mediaType === "string" && typeof digest === "string" && isDigest(digest) && isSize(size)) {
      return { mediaType, digest, size };
    }
  }
  throw notLoadable("the manifest has a descriptor without media type, sha256 digest and size");
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function strings(record: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
