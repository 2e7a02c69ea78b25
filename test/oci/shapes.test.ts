// Which images our reader takes. Goal: those that Istio loads, and no others. Method: the table of shapes, in a real registry;
// test/mesh/istio.test.ts puts the same table before Istio's own fetcher.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { readModule } from "../../src/oci/pull.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { Registry as Client } from "../../src/oci/registry.ts";
import { isRegistryAvailable } from "./available.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { MODULE, SHAPES } from "./shapes.ts";

test("the table has both kinds", () => {
  expect(new Set(SHAPES.map(({ loads }) => loads))).toEqual(new Set([true, false]));
  expect(new Set(SHAPES.map(({ name }) => name)).size).toBe(SHAPES.length);
});

if (await isRegistryAvailable()) {
  describe("the reader", () => {
    let registry: Registry;
    let client: Client;

    beforeAll(async () => {
      registry = await startRegistry();
      client = new Client(parseRepository(`${registry.host}/shapes`), {
        access: "pull,push",
        env: { HOME: "/nonexistent" },
        signal: new AbortController().signal,
        say: () => {},
      });
    });

    afterAll(async () => {
      await client.close();
      await registry.stop();
    });

    test.each(SHAPES.map((row, index) => [row.loads ? "loads" : "refuses", row.name, row, `row-${index}`] as const))(
      "%s %s",
      async (_verdict, _name, row, tag) => {
        const reference = await row.push(client, tag);
        const reading = readModule(client, reference);
        if (row.loads) expect((await reading).moduleDigest).toBe(digestOf(MODULE));
        else await expect(reading).rejects.toMatchObject({ code: "ERR_NOT_LOADABLE" });
      },
    );
  });
}
