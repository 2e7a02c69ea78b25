// The attack vectors against the reference verdict: what the table says by hand follows from the rules.

import { describe, expect, test } from "vitest";
import { requestFaults } from "../oracle/exchange.ts";
import { THREAT_POLICY, THREAT_VECTORS } from "./threats.ts";

const ROWS = [
  ...[...Array(27).keys()].map((index) => index + 1),
  ...[...Array(16).keys()].map((index) => index + 31),
  ...[48, 53],
];

describe.each([...new Set(THREAT_VECTORS.map(({ row }) => row))])("threat vectors, row %i", (row) => {
  const vectors = THREAT_VECTORS.filter((vector) => vector.row === row);

  test.each(vectors.map((vector) => [vector.expect.verdict, vector.name, vector] as const))(
    "%s: %s",
    (verdict, _name, { request, policy = THREAT_POLICY, expect: expected }) => {
      const found = [...requestFaults(request, policy)];
      if (verdict === "allow") {
        expect(found).toEqual([]);
      } else {
        expect(expected.reasons).toContain(found[0]);
        expect(found).toEqual(expect.arrayContaining([...expected.reasons]));
      }
    },
  );
});

test("threat vectors cover their rows and have names of their own", () => {
  const rows = new Set(THREAT_VECTORS.map(({ row }) => row));
  expect(ROWS.filter((row) => !rows.has(row))).toEqual([]);
  const names = THREAT_VECTORS.map(({ row, name }) => `${row} ${name}`);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
