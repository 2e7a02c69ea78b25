// deploy/schemas against what it is made from. Goal: nobody has edited a schema, and none is out of date. Method: they are made again and compared.
// UPDATE_SCHEMAS=1 writes them; `biome format --write deploy/schemas` has to follow.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { generateSchemas, SCHEMA_FILES } from "./schema-sources.ts";

const FOLDER = projectPath("deploy", "schemas");
const isUpdate = process.env.UPDATE_SCHEMAS === "1";

test("there is a schema for each kind that is used, and no other", () => {
  expect(committed()).toEqual(SCHEMA_FILES);
});

if (process.env.TEST_LANE === "mesh" || isUpdate) {
  test("the schemas are those of their sources", async () => {
    const schemas = await generateSchemas();
    if (isUpdate) {
      for (const file of committed()) rmSync(path.join(FOLDER, file));
      for (const [file, schema] of schemas) {
        mkdirSync(path.dirname(path.join(FOLDER, file)), { recursive: true });
        // On one line: Biome keeps the line breaks that it finds.
        writeFileSync(path.join(FOLDER, file), JSON.stringify(schema));
      }
    }
    expect([...schemas.keys()].sort()).toEqual(SCHEMA_FILES);
    for (const [file, schema] of schemas) {
      expect(JSON.parse(readFileSync(path.join(FOLDER, file), "utf8")), file).toEqual(schema);
    }
  }, 120_000);
} else {
  console.log("not run: deploy/schemas against their sources: they are Go modules, and make test-mesh brings them");
}

/** The schema files that are there. */
function committed(): string[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".json"))
    .sort();
}
