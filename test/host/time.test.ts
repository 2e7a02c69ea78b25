// Time grows with a request's size and no faster, for each family of bodies that is built to make a reader slow.

import { describe, expect, test } from "vitest";
import { HOSTILE_FAMILIES } from "../generators/hostile.ts";
import { type Guard, pieces, post, send, startGuard } from "./guard.ts";
import { expectLinear as expectLinearRuns, SIZES } from "./linear.ts";

/** Bounds that let the families work instead of being refused at the first cap. */
const RAISED = {
  tool_allowlist: ["safe"],
  limits: { members_per_object: 16_384, open_members: 65_536, key_bytes: 1024 },
};

function judge(guard: Guard, body: Uint8Array): void {
  send(guard.plugin, { body, cuts: pieces(body.length, 16_384) }).clientGone();
  guard.vm.logs.length = 0;
}

const expectLinear = (guard: Guard, [single, double]: readonly [Uint8Array, Uint8Array]): void =>
  expectLinearRuns(
    () => judge(guard, single),
    () => judge(guard, double),
  );

describe.each([
  ["default bounds", { tool_allowlist: ["safe"] }],
  ["raised bounds", RAISED],
] as const)("%s", (_bounds, configuration) => {
  const guard = startGuard(configuration);

  test.each(HOSTILE_FAMILIES.map((family) => [family.name, family] as const))("%s", (_name, { build }) => {
    expectLinear(guard, [build(SIZES[0]), build(SIZES[1])]);
  });
});

/** `text` as often as it fits into `bytes`. */
const repeated = (text: string, bytes: number): string => text.repeat(Math.floor(bytes / text.length));

const message = (method: string, params: object): Uint8Array =>
  Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));

/** As many of `part(index)` as there are in `bytes` bytes, but at least one. */
function listed(bytes: number, part: (index: number) => string): string[] {
  const parts: string[] = [];
  for (let room = bytes; room > 0; room -= parts.at(-1)!.length + 3) parts.push(part(parts.length));
  return parts;
}

describe("URIs", () => {
  const ROOT = "file:///docs/";
  const LONGEST = 4096 - ROOT.length;
  // The most roots that there can be, and the one that matches is the last.
  const resource_roots = [...Array.from({ length: 255 }, (_, index) => `file:///docs${index}/`), ROOT];

  /** Each passes, so all of it is read and compared with the roots. */
  const REPEATED: Readonly<Record<string, string>> = {
    "encoded percent signs": "%25",
    "segments that begin with a dot": ".x/",
    "single letters between slashes": "x/",
    "encoded slashes": "x%2F",
    "encoded percent signs before digits": "%2525",
    "encoded characters of four bytes": "%F0%9F%98%80",
    "characters of three bytes": "\u6587",
    "encoded blanks": "x%20y",
    "dots between letters": "a.b",
  };
  /** Each climbs for some reader, or is spelled in a way that no root has: the first decides. */
  const REFUSED: Readonly<Record<string, string>> = {
    "dot segments": "/../",
    "encoded dot segments": "/%2e%2e/",
    "full-width dots": "/\uff0e\uff0e",
    "dots encoded twice": "/%252e%252e",
    "encoded slashes and dots": "..%2F",
    backslashes: "..\\",
    semicolons: "/..;",
    "letters that need no encoding": "%61",
  };
  const uriOf = (text: string, most = LONGEST): string =>
    ROOT + text.repeat(Math.floor(most / Buffer.byteLength(text)));
  const listen = (uris: readonly string[]): Uint8Array =>
    message("subscriptions/listen", { notifications: { resourceSubscriptions: uris } });
  const guards = ["literal", "segment"].map((uri_traversal) =>
    startGuard({ tool_allowlist: [], resource_roots, uri_traversal }),
  );

  test.each(Object.entries(REPEATED))("a list of long ones of %s", (_name, text) => {
    const bodies = [SIZES[0], SIZES[1]].map((bytes) => listen(listed(bytes, () => uriOf(text)))) as [
      Uint8Array,
      Uint8Array,
    ];
    for (const guard of guards) {
      expect(post(guard.plugin, { body: bodies[0] })).toBe("allow");
      expectLinear(guard, bodies);
    }
  });

  test.each(Object.entries(REPEATED))("a hundred that grow, of %s", (_name, text) => {
    const bodies = [1, 2].map((parts) => listen(Array(100).fill(uriOf(text, (LONGEST / 2) * parts)))) as [
      Uint8Array,
      Uint8Array,
    ];
    for (const guard of guards) {
      expect(post(guard.plugin, { body: bodies[1] })).toBe("allow");
      expectLinear(guard, bodies);
    }
  });

  test("a hundred that grow, encoded as often as there is room", () => {
    const uriOf = (parts: number): string => `${ROOT}x%${"25".repeat((LONGEST / 4 - 1) * parts)}`;
    const bodies = [listen(Array(100).fill(uriOf(1))), listen(Array(100).fill(uriOf(2)))] as const;
    for (const guard of guards) expectLinear(guard, bodies);
  });

  test.each(Object.entries(REFUSED))("a list of long ones of %s", (_name, text) => {
    const bodies = [SIZES[0], SIZES[1]].map((bytes) => listen(listed(bytes, () => uriOf(text)))) as [
      Uint8Array,
      Uint8Array,
    ];
    for (const guard of guards) {
      expect(post(guard.plugin, { body: bodies[0] })).toMatch(/^refuse (uri_|resource_not_listed)/);
      expectLinear(guard, bodies);
    }
  });
});

describe("argument rules", () => {
  const tool = "safe";
  const tool_allowlist = [tool];
  const RULES = 64;
  const call = (members: object): Uint8Array => message("tools/call", { name: tool, arguments: members });
  const limits = { members_per_object: 16_384, open_members: 65_536 };
  const rulesOf = (pointer: (index: number) => string, rule: (index: number) => unknown): object => ({
    tool_allowlist,
    limits,
    argument_rules: Array.from({ length: RULES }, (_, index) => ({ tool, pointer: pointer(index), rule: rule(index) })),
  });
  const many = (bytes: number, prefix: string): Record<string, string> =>
    Object.fromEntries(listed(bytes / 2, (index) => prefix + index).map((name) => [name, "v"]));
  const nested = (depth: number, inside: unknown): unknown =>
    Array.from({ length: depth }).reduce((value) => [value], inside);

  const FAMILIES: Readonly<Record<string, readonly [policy: object, build: (bytes: number) => Uint8Array]>> = {
    "many names beside those of 64 rules": [
      rulesOf(
        (index) => `/name${index}`,
        () => "path",
      ),
      (bytes) => call(many(bytes / 4, "name_")),
    ],
    "an array under 64 rules": [
      rulesOf(
        () => "/x/-",
        (index) => ({ max_bytes: index + 100 }),
      ),
      (bytes) => call({ x: listed(bytes, () => "value") }),
    ],
    "deep arrays under as many signs for every element": [
      rulesOf(
        () => "/x/-/-/-/-/-/-/-",
        () => ({ max_bytes: 9 }),
      ),
      (bytes) => call({ x: listed(bytes / 3, () => "value").map((value) => nested(6, value)) }),
    ],
    "arrays deeper than every rule": [
      rulesOf(
        (index) => `/x${"/-".repeat((index % 7) + 1)}`,
        () => "uri",
      ),
      (bytes) => call({ x: listed(bytes / 16, () => "value").map(() => nested(50, 1)) }),
    ],
    "objects in an array, with the name that the rules want": [
      rulesOf(
        () => "/x/-/path",
        (index) => ({ path_roots: Array.from({ length: 4 }, (_, root) => `/${index}/${root}`).concat("/docs") }),
      ),
      (bytes) => call({ x: listed(bytes / 3, () => "value").map(() => ({ path: "/docs/a" })) }),
    ],
    "paths that are encoded as often as there is room": [
      {
        tool_allowlist,
        argument_rules: Array.from({ length: RULES }, (_, index) => ({ tool, pointer: `/${index}`, rule: "path" })),
      },
      // The same 64 paths, each of twice the length: every rule is asked about one of them.
      (bytes) =>
        call(Object.fromEntries(Array.from({ length: RULES }, (_, at) => [at, `x%${"25".repeat(bytes / 400)}`]))),
    ],
    "long paths under 64 rules": [
      rulesOf(
        () => "/x/-",
        () => "path",
      ),
      (bytes) => call({ x: listed(bytes, () => repeated("/a.b%25", 4000)) }),
    ],
    "a long string under a list of strings": [
      rulesOf(
        () => "/x",
        (index) => ({ enum: Array.from({ length: 8 }, (_, each) => `${index}.${each}.`.padEnd(1024, "a")) }),
      ),
      (bytes) => call({ x: repeated("a", bytes) }),
    ],
  };

  test.each(Object.entries(FAMILIES))("%s", (_name, [policy, build]) => {
    expectLinear(startGuard(policy), [build(SIZES[0]), build(SIZES[1])]);
  });
});
