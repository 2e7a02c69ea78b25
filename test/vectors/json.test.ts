// The table of the strict reader against the reference reader: two statements of the same language, written apart.

import { describe, expect, test } from "vitest";
import { readStrictJson } from "../oracle/strict-json.ts";
import { JSON_VECTORS } from "./json.ts";

for (const [group, vectors] of Object.entries(JSON_VECTORS)) {
  describe(`JSON vectors, ${group}`, () => {
    test.each(vectors.map((vector) => [vector.error ?? "accepted", vector.name, vector] as const))(
      "%s: %s",
      (_verdict, _name, { text, limits, error, offset }) => {
        const result = readStrictJson(text, limits);
        if (error === undefined) expect(result).toMatchObject({ ok: true });
        else expect(result).toMatchObject({ ok: false, error, offset });
      },
    );
  });
}

test("JSON vectors have names of their own", () => {
  for (const vectors of Object.values(JSON_VECTORS)) {
    expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length);
  }
});
