// The image around the module. Goal: one module, one digest; the members that loaders and engines look at are there.
// Method: fixed facts and a fixed module, compared with digests that were computed once and with the specifications.
import { describe, expect, test } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { buildImage, type Facts, type Shape } from "../../src/oci/image.ts";

const MODULE = Buffer.from("0061736d01000000", "hex");
const FACTS: Facts = {
  title: "mcp-guard-filter",
  description: "A filter.",
  version: "1.2.3",
  licence: "Apache-2.0",
  revision: "0123456789abcdef0123456789abcdef01234567",
  created: "2026-01-02T03:04:05Z",
  abiVersion: "0.2.1",
  policySchemaVersion: "0.1",
};

/** The blob that a descriptor names, parsed. */
function read(image: Awaited<ReturnType<typeof buildImage>>, digest: string): Record<string, unknown> {
  const blob = [...image.blobs, image.manifest].find((candidate) => candidate.digest === digest);
  return JSON.parse(blob?.bytes.toString() ?? "") as Record<string, unknown>;
}

describe.each<Shape>(["image", "artifact"])("%s", (shape) => {
  test("has the same digest everywhere", async () => {
    const { manifest } = await buildImage(MODULE, FACTS, shape);
    expect(manifest.digest).toBe(
      {
        image: "sha256:9ad47808ab1c92ca171842b89d0624c9f7b36734ca65af5c69b3b64ec79f323c",
        artifact: "sha256:cf70fe2b5a38b081faa25f0dddca6e280f5275c4e34fba8710b8ba6dfaffdaf2",
      }[shape],
    );
  });

  test("names each of its blobs with its length and digest", async () => {
    const image = await buildImage(MODULE, FACTS, shape);
    const manifest = read(image, image.manifest.digest) as { config: object; layers: object[]; mediaType: string };
    const named = image.blobs.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
    expect([manifest.config, ...manifest.layers]).toEqual(named);
    expect(manifest.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
    for (const { bytes, digest, size } of [...image.blobs, image.manifest]) {
      expect([digestOf(bytes), bytes.length]).toEqual([digest, size]);
    }
  });

  test("says where the module comes from", async () => {
    const image = await buildImage(MODULE, FACTS, shape);
    expect(read(image, image.manifest.digest).annotations).toEqual({
      "mcp-guard.abi-version": "0.2.1",
      "mcp-guard.module-digest": digestOf(MODULE),
      "mcp-guard.policy-schema-version": "0.1",
      ...(shape === "image" && { "module.wasm.image/variant": "compat" }),
      "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
      "org.opencontainers.image.description": "A filter.",
      "org.opencontainers.image.licenses": "Apache-2.0",
      "org.opencontainers.image.revision": "0123456789abcdef0123456789abcdef01234567",
      "org.opencontainers.image.title": "mcp-guard-filter",
      "org.opencontainers.image.version": "1.2.3",
    });
  });

  test("leaves out what is not known", async () => {
    const image = await buildImage(MODULE, { ...FACTS, revision: undefined, created: undefined }, shape);
    const texts = [...image.blobs, image.manifest].map(({ bytes }) => bytes.toString()).join();
    expect(texts).not.toMatch(/revision|created|undefined/);
  });

  test("differs with each fact and with the module", async () => {
    const digests = [(await buildImage(MODULE, FACTS, shape)).manifest.digest];
    for (const name of Object.keys(FACTS)) {
      digests.push((await buildImage(MODULE, { ...FACTS, [name]: "other" }, shape)).manifest.digest);
    }
    digests.push((await buildImage(Buffer.concat([MODULE, Buffer.alloc(1)]), FACTS, shape)).manifest.digest);
    expect(new Set(digests).size).toBe(digests.length);
  });
});

test("the image's configuration is one of the image specification", async () => {
  const image = await buildImage(MODULE, FACTS, "image");
  const [config] = image.blobs;
  expect(read(image, config?.digest ?? "")).toMatchObject({
    created: "2026-01-02T03:04:05Z",
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [expect.stringMatching(/^sha256:[0-9a-f]{64}$/)] },
  });
});
