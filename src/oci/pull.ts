// Reading a module out of a registry, by the same rules as Istio's fetcher.
import { GuardError } from "../error.ts";
import { type Digest, digestOf, isDigest } from "./digest.ts";
import { unpackLayer } from "./layer.ts";
import type { Registry } from "./registry.ts";
import { childOfIndex, isIndex, moduleLayer, parseManifest } from "./shape.ts";

const WASM_MAGIC = Buffer.from([0x00, 0x61, 0x73, 0x6d]);
/** The magic number and the version (WebAssembly specification, section 5.5.16). */
const WASM_HEADER_BYTES = 8;

export interface PulledModule {
  readonly module: Buffer;
  readonly moduleDigest: Digest;
  /** The digest of the manifest with the module: what Istio compares, and what `url` should name. */
  readonly digest: Digest;
  /** The digest of the index that led to the manifest, when the tag stands for one. */
  readonly index: Digest | undefined;
  readonly shape: "image" | "artifact";
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The module that a tag or digest stands for.
 * @throws GuardError `ERR_NOT_LOADABLE` for what Istio would refuse, else as `Registry` does.
 */
export async function readModule(registry: Registry, reference: string): Promise<PulledModule> {
  let stored = await registry.manifest(reference);
  let index: Digest | undefined;
  if (isIndex(stored.mediaType)) {
    index = stored.digest;
    const child = childOfIndex(stored.text).digest;
    if (isDigest(reference)) {
      throw new GuardError(
        "ERR_NOT_LOADABLE",
        `Istio would not load this: ${index} is an index, and Istio compares the manifest that it leads to. Pin ${child}`,
      );
    }
    stored = await registry.manifest(child);
  }
  const manifest = parseManifest(stored.text, stored.mediaType);
  const { shape, layer } = moduleLayer(manifest);
  const bytes = await registry.blob(layer);
  const module = shape === "image" ? await unpackLayer(bytes) : bytes;
  if (module.length < WASM_HEADER_BYTES || !module.subarray(0, WASM_MAGIC.length).equals(WASM_MAGIC)) {
    throw new GuardError("ERR_NOT_LOADABLE", "Istio would not load this: what is there is no WebAssembly module");
  }
  const { annotations } = manifest;
  return { module, moduleDigest: digestOf(module), digest: stored.digest, index, shape, annotations };
}
