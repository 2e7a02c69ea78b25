// The traversal corpus behind an allowed root: the reference rules refuse every payload but those that are written down.

import { describe, expect, test } from "vitest";
import { traversalPayloads } from "../corpus/traversal.ts";
import { residueOf, TRAVERSAL_RESIDUE } from "../corpus/traversal-residue.ts";
import { isUnderRoot, uriFaults } from "./uri.ts";

const ROOT = "file:///docs/";
const payloads = traversalPayloads();

describe.each(["literal", "segment"] as const)("traversal payloads behind a root, %s", (mode) => {
  const passes = (payload: string): boolean =>
    uriFaults(ROOT + payload, mode, "uri").size === 0 && isUnderRoot(ROOT, ROOT + payload);

  test("the residue passes", () => {
    expect(residueOf(mode).filter((payload) => !passes(payload))).toEqual([]);
  });

  test("nothing else does", () => {
    if (payloads === null) {
      console.log("corpora: not present");
      return;
    }
    expect(payloads.length).toBeGreaterThan(6000);
    expect(payloads.filter(passes).sort()).toEqual([...residueOf(mode)].sort());
  });
});

test("each family of the residue says why it is harmless", () => {
  const all = TRAVERSAL_RESIDUE.flatMap(({ payloads: lines }) => lines);
  expect(new Set(all).size).toBe(all.length);
  expect(TRAVERSAL_RESIDUE.filter(({ why, payloads: lines }) => why === "" || lines.length === 0)).toEqual([]);
});
