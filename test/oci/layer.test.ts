// The layer that carries the module. Goal: its bytes depend on the module alone, and every reader of tar and gzip takes
// them. Method: fixed digests, sizes around the block length, the system's own tools, and layers that are broken.
import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import tar from "tar-stream";
import { describe, expect, test } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { packLayer, unpackLayer } from "../../src/oci/layer.ts";

/** A module of a length whose bytes repeat late: whatever compresses would show. */
function moduleOf(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * i) >> 3));
}

async function archiveOf(files: Record<string, Buffer>): Promise<Buffer> {
  const pack = tar.pack();
  for (const [name, bytes] of Object.entries(files)) pack.entry({ name }, bytes);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("packing", () => {
  // These were computed once. They are what keeps a published digest reproducible: on another Node, on another machine, in
  // another year.
  test.each([
    [
      0,
      "sha256:e9cf1ba6c832467f627b4c15af0ca69e38b25c24c3fd090e69bfb916711c6eca",
      "sha256:d779ee4ee026e511a3c26325896834e18578423709dd71cfbeb58f4c7f1db15e",
    ],
    [
      8,
      "sha256:c2e894d361e9cb84358359744cf6b840691a973a93ce6181ddc3f57657c44b77",
      "sha256:9079361af8015ce854f1b16a348ddd20b810c38be958747ac5933ff51a28f811",
    ],
    [
      100_000,
      "sha256:05659085f7c7b7a7c4ec8ce02fd6d0aaed0e48ee18ec9877dd58f5f681110ebb",
      "sha256:f4840b46bf89d21f98baee0c3a1377caabbb0daf37821de620fa579ed36cb19f",
    ],
  ])("a module of %i bytes has the same bytes everywhere", async (bytes, layerDigest, diffId) => {
    const layer = await packLayer(moduleOf(bytes));
    expect({ layer: digestOf(layer.bytes), diffId: layer.diffId }).toEqual({ layer: layerDigest, diffId });
  });

  // An archive is the module in blocks of 512 bytes and 1536 bytes around it: these lie around 1, 2 and 3 stored blocks.
  test.each([63_488, 63_999, 64_000, 65_535, 65_536, 129_023, 129_024, 129_536])(
    "%i bytes come back",
    async (bytes) => {
      const module = moduleOf(bytes);
      const layer = await packLayer(module);
      expect(module.equals(await unpackLayer(layer.bytes))).toBe(true);
    },
  );

  test("any module comes back", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), async (module) => {
        expect(await unpackLayer((await packLayer(module)).bytes)).toEqual(Buffer.from(module));
      }),
    );
  });

  test("gzip and tar of the system read it", async () => {
    const { bytes, diffId } = await packLayer(moduleOf(100_000));
    const archive = spawnSync("gzip", ["-dc"], { input: bytes, maxBuffer: 1 << 24 });
    expect(archive.stderr.toString()).toBe("");
    expect(digestOf(archive.stdout)).toBe(diffId);
    const list = spawnSync("tar", ["-tvf", "-", "--numeric-owner", "--utc"], {
      input: archive.stdout,
      encoding: "utf8",
    });
    expect(list.stdout).toMatch(/^-rw-r--r-- 0\/0 +100000 1970-01-01 00:00 plugin\.wasm\n$/);
  });
});

describe("unpacking", () => {
  test.each(["plugin.wasm", "./plugin.wasm", "opt/x/plugin.wasm"])("finds the module as %s", async (name) => {
    const layer = gzipSync(await archiveOf({ "README.md": Buffer.from("x"), [name]: moduleOf(600) }));
    expect(await unpackLayer(layer)).toEqual(moduleOf(600));
  });

  test("takes the first of two, as Istio does", async () => {
    const layer = gzipSync(await archiveOf({ "a/plugin.wasm": moduleOf(1), "plugin.wasm": moduleOf(2) }));
    expect(await unpackLayer(layer)).toEqual(moduleOf(1));
  });

  test.each([
    ["no gzip stream", async () => Buffer.from("plain"), "the layer is no gzip stream"],
    [
      "an archive with another file",
      async () => gzipSync(await archiveOf({ "filter.wasm": moduleOf(9) })),
      "no plugin.wasm",
    ],
    ["no archive in the stream", async () => gzipSync(Buffer.alloc(2000, 0x41)), "the layer is no tar archive"],
    [
      "an archive that breaks off",
      async () => gzipSync((await archiveOf({ "plugin.wasm": moduleOf(5000) })).subarray(0, 1024)),
      "no tar archive",
    ],
    [
      "a stream that breaks off",
      async () => (await packLayer(moduleOf(5000))).bytes.subarray(0, 4000),
      "no gzip stream",
    ],
    [
      "a changed byte",
      async () => {
        const { bytes } = await packLayer(moduleOf(5000));
        bytes.writeUInt8(bytes.readUInt8(3000) ^ 1, 3000);
        return bytes;
      },
      "no gzip stream",
    ],
    ["257 MiB of zeros", async () => gzipSync(Buffer.alloc(257 << 20)), "no gzip stream of at most 256 MiB"],
  ])("refuses %s", async (_, layer, words) => {
    await expect(unpackLayer(await layer())).rejects.toMatchObject({
      code: "ERR_NOT_LOADABLE",
      message: expect.stringContaining(words),
    });
  });
});
