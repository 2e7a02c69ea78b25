// The filter as an image or an artefact: which blobs, and the manifest that names them. Pure: the same module, facts and
// shape give the same digest.
import { type Digest, digestOf } from "./digest.ts";
import { packLayer } from "./layer.ts";
import { type Descriptor, MEDIA_TYPE } from "./shape.ts";

/**
 * `image`: one layer with `plugin.wasm` and an image configuration, which container engines and Kubernetes image volumes
 * take as well. `artifact`: the module itself and its configuration, two layers of the Wasm artefact's own types.
 */
export type Shape = "image" | "artifact";
export const SHAPES: readonly Shape[] = ["image", "artifact"];

/** What is said about a module beside its bytes; `src/oci/facts.ts` finds it out. */
export interface Facts {
  readonly title: string;
  readonly description: string;
  readonly version: string;
  /** SPDX licence expression. */
  readonly licence: string;
  /** The commit that the module is built from, if it is known. */
  readonly revision: string | undefined;
  /** When that commit was made (RFC 3339). Not when it was pushed: that would be another image each time. */
  readonly created: string | undefined;
  /** The version of the Proxy-Wasm ABI that the module declares, `0.2.1`. */
  readonly abiVersion: string;
  /** The version of `schema/policy.schema.json`, `0.1`. */
  readonly policySchemaVersion: string;
}

export interface Blob extends Descriptor {
  readonly bytes: Buffer;
}

/** Everything that a push writes. */
export interface Image {
  readonly shape: Shape;
  readonly blobs: readonly Blob[];
  readonly manifest: Blob;
  /** The digest of the module itself. Not what Istio's `sha256` wants: that is the manifest's. */
  readonly moduleDigest: Digest;
}

/** The image that carries a module. */
export async function buildImage(module: Uint8Array, facts: Facts, shape: Shape): Promise<Image> {
  const moduleDigest = digestOf(module);
  const annotations = annotationsOf(facts, moduleDigest, shape);
  const build = shape === "image" ? compatible : artifact;
  const { blobs, manifest } = await build(module, facts, annotations);
  return { shape, blobs, manifest: jsonBlob(MEDIA_TYPE.ociManifest, manifest), moduleDigest };
}

interface Parts {
  blobs: Blob[];
  manifest: object;
}

async function compatible(module: Uint8Array, facts: Facts, annotations: Annotations): Promise<Parts> {
  const { bytes, diffId } = await packLayer(module);
  const layer = blob(MEDIA_TYPE.ociLayer, bytes);
  const config = jsonBlob(MEDIA_TYPE.ociConfig, {
    ...(facts.created !== undefined && { created: facts.created }),
    // The module runs everywhere; these two are required, and they are what an engine takes without a word.
    architecture: "amd64",
    os: "linux",
    config: { Labels: annotations },
    rootfs: { type: "layers", diff_ids: [diffId] },
  });
  return {
    blobs: [config, layer],
    manifest: {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: descriptor(config),
      layers: [descriptor(layer)],
      annotations,
    },
  };
}

async function artifact(module: Uint8Array, facts: Facts, annotations: Annotations): Promise<Parts> {
  const layer = blob(MEDIA_TYPE.wasmLayer, Buffer.from(module));
  // The runtime configuration of the Wasm artefact; loaders want a second layer and do not read it.
  const runtime = jsonBlob(MEDIA_TYPE.wasmConfig, {
    type: "envoy_proxy",
    abiVersions: [facts.abiVersion],
    config: { rootIds: [""] },
  });
  const config = jsonBlob(MEDIA_TYPE.ociEmpty, {});
  return {
    blobs: [config, runtime, layer],
    manifest: {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      artifactType: MEDIA_TYPE.wasmConfig,
      config: descriptor(config),
      layers: [descriptor(runtime), descriptor(layer)],
      annotations,
    },
  };
}

type Annotations = Readonly<Record<string, string>>;

/** The names of the image specification ("Annotations") where it has one. */
function annotationsOf(facts: Facts, moduleDigest: Digest, shape: Shape): Annotations {
  const named: Record<string, string | undefined> = {
    "mcp-guard.abi-version": facts.abiVersion,
    "mcp-guard.module-digest": moduleDigest,
    "mcp-guard.policy-schema-version": facts.policySchemaVersion,
    "module.wasm.image/variant": shape === "image" ? "compat" : undefined,
    "org.opencontainers.image.created": facts.created,
    "org.opencontainers.image.description": facts.description,
    "org.opencontainers.image.licenses": facts.licence,
    "org.opencontainers.image.revision": facts.revision,
    "org.opencontainers.image.title": facts.title,
    "org.opencontainers.image.version": facts.version,
  };
  return Object.fromEntries(Object.entries(named).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function jsonBlob(mediaType: string, value: object): Blob {
  return blob(mediaType, Buffer.from(JSON.stringify(value)));
}

function blob(mediaType: string, bytes: Buffer): Blob {
  return { mediaType, digest: digestOf(bytes), size: bytes.length, bytes };
}

function descriptor({ mediaType, digest, size }: Blob): Descriptor {
  return { mediaType, digest, size };
}
