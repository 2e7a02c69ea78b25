// JSONTestSuite through the reference reader: every `y_` accepted but the duplicates, every `n_` refused, every `i_` as
// written down.

import { describe, expect, test } from "vitest";
import { I_POLICY, N_ACCEPTED, Y_REFUSED } from "../corpus/i-policy.ts";
import { asMember, type CorpusFile, jsonTestSuite } from "../corpus/json-test-suite.ts";
import { readStrictJson } from "./strict-json.ts";

const files = jsonTestSuite();

/** The error of a text, or "accept". */
function outcome(text: Uint8Array): string {
  const result = readStrictJson(text);
  return result.ok ? "accept" : result.error;
}

function expected({ name, verdict }: CorpusFile): string {
  if (verdict === "i") return I_POLICY[name] ?? "a choice in I_POLICY";
  if (verdict === "y") return Y_REFUSED[name] ?? "accept";
  return N_ACCEPTED.includes(name) ? "accept" : "refuse";
}

if (files === null) {
  test("corpora: not present", () => {
    console.log("corpora: not present");
    expect(Object.keys(I_POLICY)).toHaveLength(35);
  });
} else {
  describe("JSONTestSuite as a member's value", () => {
    test.each(files.map((file) => [expected(file), file.name, file] as const))("%s: %s", (verdict, _name, { text }) => {
      const actual = outcome(asMember(text));
      if (verdict === "refuse") expect(actual).not.toBe("accept");
      else expect(actual).toBe(verdict);
    });
  });

  test("JSONTestSuite as a whole body: nothing that is not JSON is accepted", () => {
    const refused = files.filter(({ verdict }) => verdict === "n");
    expect(refused.filter(({ text }) => outcome(text) === "accept")).toEqual([]);
  });

  test("JSONTestSuite is complete and every choice has its file", () => {
    const count = (verdict: string): number => files.filter((file) => file.verdict === verdict).length;
    expect([count("y"), count("n"), count("i")]).toEqual([95, 188, 35]);
    const names = new Set(files.map(({ name }) => name));
    const listed = [...Object.keys(I_POLICY), ...Object.keys(Y_REFUSED), ...N_ACCEPTED];
    expect(listed.filter((name) => !names.has(name))).toEqual([]);
  });
}
