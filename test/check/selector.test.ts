// src/check/selector.ts against the words of Kubernetes' API: what each operator means.
import { expect, test } from "vitest";
import { isEmptySelector, matchesSelector } from "../../src/check/selector.ts";

const LABELS = { app: "x", tier: "back" };
const expression = (key: string, operator: string, values?: string[]) => ({
  matchExpressions: [{ key, operator, ...(values === undefined ? {} : { values }) }],
});

test.each<[string, unknown, boolean]>([
  ["nothing", undefined, true],
  ["an empty selector", {}, true],
  ["a label", { matchLabels: { app: "x" } }, true],
  ["another value", { matchLabels: { app: "y" } }, false],
  ["two labels, one of them another", { matchLabels: { app: "x", tier: "front" } }, false],
  ["a label of the prototype", { matchLabels: { toString: "x" } }, false],
  ["In", expression("app", "In", ["w", "x"]), true],
  ["In without the value", expression("app", "In", ["w"]), false],
  ["In without the label", expression("zone", "In", [""]), false],
  ["NotIn", expression("app", "NotIn", ["w"]), true],
  ["NotIn with the value", expression("app", "NotIn", ["x"]), false],
  ["NotIn without the label", expression("zone", "NotIn", ["x"]), true],
  ["Exists", expression("app", "Exists"), true],
  ["Exists without the label", expression("zone", "Exists"), false],
  ["DoesNotExist", expression("zone", "DoesNotExist"), true],
  ["DoesNotExist with the label", expression("app", "DoesNotExist"), false],
  ["an operator that Kubernetes does not have", expression("app", "Is", ["x"]), false],
  [
    "labels and an expression that does not hold",
    { matchLabels: { app: "x" }, ...expression("tier", "In", ["front"]) },
    false,
  ],
])("%s", (_, selector, expected) => {
  expect(matchesSelector(selector, LABELS)).toBe(expected);
});

test("an empty selector has neither labels nor expressions", () => {
  expect(
    [undefined, {}, { matchLabels: {} }, { matchLabels: { app: "x" } }, expression("app", "Exists")].map(
      isEmptySelector,
    ),
  ).toEqual([true, true, true, false, false]);
});
