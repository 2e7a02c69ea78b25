// WWW-Authenticate. Goal: every challenge that registries send is understood, and none that is broken. Method: rows of RFC
// 9110, and generated headers that must neither throw nor take long.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseChallenges } from "../../src/oci/challenge.ts";

const BEARER = {
  scheme: "bearer",
  parameters: { realm: "https://auth.example/token", service: "registry.example", scope: "repository:a/b:pull,push" },
};

test.each<[string, string[], object[]]>([
  ["one Basic", ['Basic realm="Registry Realm"'], [{ scheme: "basic", parameters: { realm: "Registry Realm" } }]],
  ["a Basic without a realm", ["Basic"], [{ scheme: "basic", parameters: {} }]],
  [
    "a Bearer with a comma in a quoted value",
    ['Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"'],
    [BEARER],
  ],
  [
    "blanks everywhere",
    [
      '  bearer   realm = "https://auth.example/token" ,  service="registry.example", SCOPE="repository:a/b:pull,push"  ',
    ],
    [BEARER],
  ],
  [
    "values without quotes",
    ["Bearer service=registry.example"],
    [{ scheme: "bearer", parameters: { service: "registry.example" } }],
  ],
  ["escapes in quotes", ['Basic realm="a\\"b\\\\c"'], [{ scheme: "basic", parameters: { realm: 'a"b\\c' } }]],
  [
    "two in one field",
    ['Basic realm="r", Bearer service="s"'],
    [
      { scheme: "basic", parameters: { realm: "r" } },
      { scheme: "bearer", parameters: { service: "s" } },
    ],
  ],
  [
    "two in two fields",
    ["Negotiate", 'Basic realm="r"'],
    [
      { scheme: "negotiate", parameters: {} },
      { scheme: "basic", parameters: { realm: "r" } },
    ],
  ],
  [
    "a token68",
    ["Negotiate YII=, Basic realm=r"],
    [
      { scheme: "negotiate", parameters: {} },
      { scheme: "basic", parameters: { realm: "r" } },
    ],
  ],
  ["a repeated parameter", ["Basic realm=first, realm=second"], [{ scheme: "basic", parameters: { realm: "first" } }]],
  ["nothing", [], []],
  ["only commas", [",, ,"], []],
  [
    "a quote that never ends",
    ['Bearer realm="https://auth.example', 'Basic realm="r"'],
    [
      { scheme: "bearer", parameters: { realm: "https://auth.example, Basic realm=" } },
      { scheme: "r", parameters: {} },
    ],
  ],
  ["no scheme", ['"x"'], []],
])("%s", (_, headers, challenges) => {
  expect(parseChallenges(headers)).toEqual(challenges);
});

test("a parameter cannot reach the prototype", () => {
  const [challenge] = parseChallenges(['Basic __proto__="x", constructor="y"']);
  expect(challenge?.parameters.realm).toBeUndefined();
  expect(Object.getPrototypeOf(challenge?.parameters)).toBe(Object.prototype);
});

test("any header is read to its end in linear time", () => {
  const alphabet = fc.constantFrom("Basic", "Bearer", " ", ",", "=", '"', "\\", "realm", "a", "\t", "é", "/");
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 200 }), (parts) => {
      expect(Array.isArray(parseChallenges([parts.join("")]))).toBe(true);
    }),
  );
  for (const part of ['a="', '\\"', "a,", "a ", "a=", ",=", " \t"]) {
    const start = performance.now();
    parseChallenges([`Basic ${part.repeat(100_000)}`]);
    expect(performance.now() - start).toBeLessThan(500);
  }
});
