// Images of many shapes, with what Istio does with each. test/oci/shapes.test.ts asks our own reader about them, test/mesh
// Istio's fetcher; the answers must be the same.
import { gzipSync } from "node:zlib";
import tar from "tar-stream";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Blob } from "../../src/oci/image.ts";
import { buildImage } from "../../src/oci/image.ts";
import type { Registry } from "../../src/oci/registry.ts";
import { MEDIA_TYPE } from "../../src/oci/shape.ts";

/** The smallest module. */
export const MODULE = Buffer.from("0061736d01000000", "hex");

export interface ShapeRow {
  readonly name: string;
  readonly loads: boolean;
  /** Pushes it and returns the reference to load it by, a tag or a digest. */
  push(registry: Registry, tag: string): Promise<string>;
}

const FACTS = {
  title: "t",
  description: "d",
  version: "1",
  licence: "Apache-2.0",
  revision: undefined,
  created: undefined,
  abiVersion: "0.2.1",
  policySchemaVersion: "0.1",
};

function blob(mediaType: string, bytes: Buffer | string): Blob {
  const content = Buffer.from(bytes);
  return { mediaType, digest: digestOf(content), size: content.length, bytes: content };
}

const descriptor = ({ mediaType, digest, size }: Blob) => ({ mediaType, digest, size });

async function archive(name: string, bytes: Buffer = MODULE): Promise<Buffer> {
  const pack = tar.pack();
  pack.entry({ name, mtime: new Date(0) }, bytes);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const tarGz = async (name = "plugin.wasm", bytes?: Buffer) => gzipSync(await archive(name, bytes));
const json = blob("application/json", "{}");
const wasm = blob(MEDIA_TYPE.wasmLayer, MODULE);
const wasmConfig = blob(MEDIA_TYPE.wasmConfig, "{}");

interface ManifestOptions {
  /** The manifest's own media type; `null` leaves it out. */
  mediaType?: string | null;
  architecture?: string;
}

/** Pushes blobs and a manifest of these layers, under a tag. */
async function pushLayers(
  registry: Registry,
  tag: string,
  layers: Blob[],
  options: ManifestOptions = {},
): Promise<Blob> {
  const { mediaType = MEDIA_TYPE.ociManifest, architecture = "amd64" } = options;
  const served = mediaType ?? MEDIA_TYPE.ociManifest;
  const docker = served === MEDIA_TYPE.dockerManifest;
  const config = blob(
    docker ? "application/vnd.docker.container.image.v1+json" : MEDIA_TYPE.ociConfig,
    JSON.stringify({ architecture, os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [] } }),
  );
  for (const part of [config, ...layers]) if (!(await registry.hasBlob(part))) await registry.upload(part);
  const manifest = blob(
    served,
    JSON.stringify({
      schemaVersion: 2,
      ...(mediaType !== null && { mediaType }),
      config: descriptor(config),
      layers: layers.map(descriptor),
    }),
  );
  await registry.putManifest(tag, manifest);
  return manifest;
}

interface Child {
  platform?: { os: string; architecture: string };
}

/** Pushes an index with one image for each child. */
async function pushIndex(registry: Registry, tag: string, children: Child[]): Promise<Digest> {
  const manifests = [];
  for (const [number, child] of children.entries()) {
    const layer = blob(MEDIA_TYPE.ociLayer, await tarGz());
    const image = await pushLayers(registry, `${tag}-${number}`, [layer], { architecture: `a${number}` });
    manifests.push({ ...descriptor(image), ...child });
  }
  const index = blob(
    MEDIA_TYPE.ociIndex,
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests }),
  );
  await registry.putManifest(tag, index);
  return index.digest;
}

/** A row whose image is these layers, by its tag. */
function layers(name: string, loads: boolean, make: () => Promise<Blob[]>, options?: ManifestOptions): ShapeRow {
  return {
    name,
    loads,
    push: async (registry, tag) => {
      await pushLayers(registry, tag, await make(), options);
      return tag;
    },
  };
}

function built(shape: "image" | "artifact"): ShapeRow {
  return {
    name: `what make oci-push makes: ${shape}`,
    loads: true,
    push: async (registry, tag) => {
      const image = await buildImage(MODULE, FACTS, shape);
      for (const part of image.blobs) await registry.upload(part);
      await registry.putManifest(tag, image.manifest);
      return tag;
    },
  };
}

function index(name: string, loads: boolean, children: Child[], by: "tag" | "digest" = "tag"): ShapeRow {
  return {
    name,
    loads,
    push: async (registry, tag) => {
      const digest = await pushIndex(registry, tag, children);
      return by === "tag" ? tag : digest;
    },
  };
}

const AMD64 = { platform: { os: "linux", architecture: "amd64" } };
const ARM64 = { platform: { os: "linux", architecture: "arm64" } };
const UNKNOWN = { platform: { os: "unknown", architecture: "unknown" } };
const DOCKER = { mediaType: MEDIA_TYPE.dockerManifest };
const ociLayer = async (name?: string, bytes?: Buffer) => blob(MEDIA_TYPE.ociLayer, await tarGz(name, bytes));
const dockerLayer = async (name?: string) => blob(MEDIA_TYPE.dockerLayer, await tarGz(name));

export const SHAPES: readonly ShapeRow[] = [
  built("image"),
  built("artifact"),
  layers("a Docker image", true, async () => [await dockerLayer()], DOCKER),
  layers(
    "a Docker image whose last layer has another file",
    false,
    async () => [await dockerLayer(), await dockerLayer("x")],
    DOCKER,
  ),
  layers("a Docker manifest with an OCI layer", false, async () => [await ociLayer()], DOCKER),
  layers("a Docker manifest of the artefact's two layers", false, async () => [wasmConfig, wasm], DOCKER),
  layers("a manifest without a media type of its own", true, async () => [await ociLayer()], { mediaType: null }),
  layers("an image for another architecture", true, async () => [await ociLayer()], { architecture: "arm64" }),
  layers("an image with a layer of another kind in front", true, async () => [json, await ociLayer()]),
  layers("an image with a layer of another kind behind", false, async () => [await ociLayer(), json]),
  layers("an OCI manifest with a Docker layer", false, async () => [await dockerLayer()]),
  layers("the module in a folder of the archive", true, async () => [await ociLayer("opt/x/plugin.wasm")]),
  layers("the module under another name", false, async () => [await ociLayer("filter.wasm")]),
  layers("a file that is no module", false, async () => [await ociLayer("plugin.wasm", Buffer.from("plain text"))]),
  layers("a module without its version", false, async () => [await ociLayer("plugin.wasm", MODULE.subarray(0, 7))]),
  layers("an archive that is not compressed", false, async () => [
    blob("application/vnd.oci.image.layer.v1.tar", await archive("plugin.wasm")),
  ]),
  layers("a layer that says gzip and is none", false, async () => [
    blob(MEDIA_TYPE.ociLayer, await archive("plugin.wasm")),
  ]),
  layers("the module itself as a layer of an image", false, async () => [blob(MEDIA_TYPE.ociLayer, MODULE)]),
  layers("another compression", false, async () => [
    blob("application/vnd.oci.image.layer.v1.tar+zstd", await tarGz()),
  ]),
  layers("an artefact with its layers the other way round", true, async () => [wasm, wasmConfig]),
  layers("an artefact whose other layer is of any kind", true, async () => [json, wasm]),
  layers("an artefact of one layer", false, async () => [wasm]),
  layers("an artefact of three layers", false, async () => [wasmConfig, wasm, json]),
  layers("two layers, neither of them a module", false, async () => [json, wasmConfig]),
  layers("an artefact with the module compressed", false, async () => [
    wasmConfig,
    blob(MEDIA_TYPE.wasmLayer, gzipSync(MODULE)),
  ]),
  index("an index, by its tag", true, [AMD64]),
  index("an index without platforms", true, [{}]),
  index("an index with an attestation in front", true, [UNKNOWN, AMD64]),
  index("an index for another architecture only", false, [ARM64]),
  index("an empty index", false, []),
  index("an index, by its digest", false, [AMD64], "digest"),
];
