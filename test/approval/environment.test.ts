// Environment variables in the filter, where secrets come from. Goal: a variable's value is exactly what the proxy was given, and whatever is not exactly
// there is absent. Method: the module of receipt-checker.ts on the Node host, and with a host whose environment is none.
import { beforeAll, describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { startChecker } from "./checker-host.ts";
import { CALL } from "./receipt-cases.ts";
import { askPlugin, buildChecker, checkerConfiguration } from "./receipt-checker.ts";

const CONFIGURATION = checkerConfiguration(new Map(), CALL);
const ABSENT = ["-1", ""];
const ENVIRONMENT_BYTES_MAX = 65_536;

let module: Uint8Array;
beforeAll(async () => {
  module = await buildChecker();
});

/** What the filter reads of a variable in that environment, with room for so many bytes. */
function read(environment: Readonly<Record<string, string>>, name: string, room = 64): readonly [string, string] {
  return askPlugin(Vm.load(module, { environment }).startPlugin(CONFIGURATION), `/variable/${room}`, name);
}

describe("a variable", () => {
  const ENVIRONMENT = { A: "1", SECRET: "s3cret=with=equals", SECRETS: "more", EMPTY: "", TEXT: "é\n\t" };

  test.each(Object.entries(ENVIRONMENT))("%s is read as it is", (name, value) => {
    expect(read(ENVIRONMENT, name)).toEqual([`${Buffer.byteLength(value)}`, value]);
  });

  test.each(["SECRE", "ECRET", "secret", "SECRET=s3cret", "s3cret", "1", "", "B", "A=1"])("%j is none", (name) => {
    expect(read(ENVIRONMENT, name)).toEqual(ABSENT);
  });

  test("is none without an environment", () => expect(read({}, "A")).toEqual(ABSENT));

  test("is none when it does not fit", () => {
    expect(read({ A: "123" }, "A", 3)).toEqual(["3", "123"]);
    expect(read({ A: "123" }, "A", 2)).toEqual(ABSENT);
    expect(read({ A: "" }, "A", 0)).toEqual(["0", ""]);
  });

  test("is none in an environment that is too large", () => {
    const filler = (bytes: number) => ({ A: "1", B: "x".repeat(bytes - "A=1\0B=\0".length) });
    expect(read(filler(ENVIRONMENT_BYTES_MAX), "A")).toEqual(["1", "1"]);
    expect(read(filler(ENVIRONMENT_BYTES_MAX + 1), "A")).toEqual(ABSENT);
  });

  test("is found among as many as fit", () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`V${index}`, `${index}`]));
    expect(read(many, "V4999")).toEqual(["4", "4999"]);
  });

  test.each(["environ_sizes_get", "environ_get"])("is none when %s fails", (name) => {
    const vm = Vm.load(module, { environment: { A: "1" } });
    const plugin = vm.startPlugin(CONFIGURATION);
    vm.failNext(name, 28);
    expect(askPlugin(plugin, "/variable/8", "A")).toEqual(ABSENT);
    expect(askPlugin(plugin, "/variable/8", "A")).toEqual(["1", "1"]);
  });
});

describe("an environment that is none", () => {
  test.each<
    [string, { count: number; bytes: number; texts: string; sizesErrno?: number; errno?: number }, readonly string[]]
  >([
    ["the last text has no end", { count: 1, bytes: 3, texts: "A=1" }, ["1", "1"]],
    ["a text behind the end is not read", { count: 1, bytes: 4, texts: "B=1\0A=1\0" }, ABSENT],
    ["a value goes on behind the end", { count: 1, bytes: 3, texts: "A=12\0" }, ["1", "1"]],
    ["nothing is counted", { count: 0, bytes: 0, texts: "A=1\0" }, ABSENT],
    ["more are counted than there can be", { count: 3, bytes: 4, texts: "A=1\0" }, ABSENT],
    ["a count that overflows", { count: 0x40000001, bytes: 4, texts: "A=1\0" }, ABSENT],
    ["sizes that overflow", { count: 2, bytes: 0xffffffff, texts: "A=1\0" }, ABSENT],
    ["the host has failed to count", { count: 1, bytes: 4, texts: "A=1\0", sizesErrno: 21 }, ABSENT],
    ["the host has failed to write", { count: 1, bytes: 4, texts: "A=1\0", errno: 21 }, ABSENT],
    ["a name without a value", { count: 1, bytes: 2, texts: "A\0" }, ABSENT],
    ["a name without a value, then one with", { count: 2, bytes: 6, texts: "A\0A=1\0" }, ["1", "1"]],
    ["the same name twice: the first", { count: 2, bytes: 8, texts: "A=1\0A=2\0" }, ["1", "1"]],
    ["empty texts", { count: 3, bytes: 6, texts: "\0\0A=1\0" }, ["1", "1"]],
  ])("%s", (_name, { texts, ...rest }, expected) => {
    const host = startChecker(module, CONFIGURATION);
    host.answers = { environment: { ...rest, texts: Buffer.from(texts) } };
    expect(host.ask("/variable/8", "A")).toEqual(expected);
  });
});
