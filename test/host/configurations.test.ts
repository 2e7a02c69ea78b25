// Which configurations are refused, and what the log line says: the place, what was found, what was expected. A member that
// is spelled wrongly would otherwise be a rule that nobody applies.

import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { BUILDS, post, startGuard, toolCall } from "./guard.ts";

const vm = Vm.load(BUILDS.release);

/** What is said about a configuration; empty when it is accepted. */
function complaint(text: string): string {
  vm.logs.length = 0;
  const plugin = vm.startPlugin(text);
  plugin.stop();
  const lines = vm.logs.filter(({ level }) => level === "error").map(({ message }) => message);
  expect([plugin.accepted, lines.length]).toEqual(plugin.accepted ? [true, 0] : [false, 1]);
  return lines.join().replace(/^mcp-guard: configuration refused: /, "");
}

const withTools = (members: string): string => `{"tool_allowlist":["safe"],${members}}`;
const limit = (name: string, value: string): string => withTools(`"limits":{"${name}":${value}}`);
const entry = (members: string): string => withTools(`"unguarded":[{${members}}]`);
const rule = (members: string): string => withTools(`"argument_rules":[{${members}}]`);
const roots = (count: number): string => JSON.stringify(Array.from({ length: count }, (_, index) => `a:/${index}`));
const rules = (count: number): string => `[${Array(count).fill('{"tool":"t","pointer":"/x","rule":"uri"}').join()}]`;
const list = (count: number): string => JSON.stringify(Array.from({ length: count }, (_, index) => `n${index}`));

const RANGES = [
  ["body_bytes", 1, 67_108_864],
  ["depth", 1, 64],
  ["members_per_object", 1, 16_384],
  ["open_members", 1, 65_536],
  ["key_bytes", 1, 1024],
  ["stall_ms", 100, 600_000],
  ["in_flight_bytes", 65_536, 268_435_456],
] as const;

describe("accepted", () => {
  test.each([
    '{"tool_allowlist":[]}',
    ' \t\r\n{"tool_allowlist":["safe"]}\n',
    `{"tool_allowlist":["${"n".repeat(256)}"]}`,
    `{"tool_allowlist":${list(16_384)}}`,
    '{"tool_allowlist":["Safe","safe","safe ","saf\\u0065\\u0000"]}',
    withTools(`"method_allowlist":["${"m".repeat(128)}","!","~"]`),
    withTools('"method_allowlist":["Tools/Call","tools/callx","notifications/vendor"]'),
    withTools('"mode":"monitor","refusal":"http_403","refusal_detail":"masked","direction":"both"'),
    withTools('"request_body":"whole","request_headers":"hold","approval":{"mode":"off"},"limits":{}'),
    entry(`"methods":["POST"],"path":"/${"p".repeat(1023)}","reason":"${"r".repeat(1024)}"`),
    entry('"methods":["POST","GET","HEAD","DELETE","OPTIONS","PUT","PATCH"],"path":"/a-b._~!$&\'()*+,=:@/0Z/"'),
    entry('"path":"/","methods":["GET"]'),
    entry('"path":"/...","methods":["GET"]'),
    entry('"path":"/.a/..b/c..","methods":["GET"]'),
    withTools('"unguarded":[]'),
    withTools(`"prompt_allowlist":[],"resource_roots":[],"tasks":"deny","argument_rules":[],"allowed_origins":[]`),
    withTools(`"prompt_allowlist":${list(16_384)},"tasks":"allow","uri_traversal":"segment"`),
    withTools(`"resource_roots":${roots(256)},"argument_rules":${rules(64)}`),
    withTools(
      `"resource_roots":["a:/${"r".repeat(1021)}","file:///docs/","urn:x:","mcp://logs","a://h:80/caf%C3%A9/"]`,
    ),
    withTools('"allowed_origins":["https://app.example","http://[::1]:8080"],"allowed_hosts":["MCP.example:8443","h"]'),
    rule(`"tool":"${"t".repeat(256)}","pointer":"${"/-".repeat(8)}","rule":"path"`),
    rule('"tool":"t","pointer":"/~0~1/","rule":{"enum":["a","b"]}'),
    rule('"tool":"t","pointer":"/x","rule":{"max_bytes":0}'),
    rule('"tool":"t","pointer":"//","rule":{"path_roots":["/","/docs"]}'),
    rule('"tool":"t","pointer":"/x","rule":{"uri_roots":["file:///docs/"]}'),
    withTools(`"unguarded":[${Array(64).fill('{"methods":["GET"],"path":"/a"}').join()}]`),
  ])("%s", (text) => {
    expect(complaint(text)).toBe("");
  });

  test.each(RANGES)("limits.%s from %i to %i", (name, low, high) => {
    for (const value of [low, high, `${low}.0`, `${low * 10}e-1`, `${high}.000`, `${low / 10}e1`, `${low}E+00`]) {
      expect([value, complaint(limit(name, String(value)))]).toEqual([value, ""]);
    }
  });
});

/** A long text in the name of a test says no more than its beginning. */
const titled = (table: readonly (readonly [text: string, said: string])[]) =>
  table.map(([text, said]) => [`${text.slice(0, 100)}: ${said}`, text, said] as const);

describe("refused", () => {
  test.each(RANGES)("limits.%s outside of %i to %i", (name, low, high) => {
    const where = `limits.${name}: found the number `;
    const outside = [
      low - 1,
      high + 1,
      -low,
      `${low}.5`,
      `${high}.5`,
      "1e99",
      "-1e99",
      "1e-99",
      "0",
      "-0.0e1",
      "4294967297",
    ];
    const long = [
      "1".repeat(30),
      `${low}.${"0".repeat(30)}1`,
      "18446744073709551617",
      `1${"0".repeat(19)}`,
      "1e9999999999",
    ];
    for (const value of [...outside, ...long]) {
      expect([value, complaint(limit(name, String(value)))]).toEqual([value, expect.stringContaining(where)]);
      expect(complaint(limit(name, String(value)))).toContain(`expected a whole number from ${low} to ${high}`);
    }
    for (const value of ['"1"', "null", "true", "[1]", "{}", '""']) {
      expect([value, complaint(limit(name, value))]).toEqual([
        value,
        expect.stringContaining(`limits.${name}: found `),
      ]);
    }
  });

  test.each(
    titled([
      ["", "configuration: found nothing, expected an object with tool_allowlist"],
      ["{}", "configuration: found no tool_allowlist"],
      ["[]", "configuration: found a list, expected an object"],
      ["null", "configuration: found no object, expected"],
      ['"text"', "configuration: found no object, expected"],
      ["\ufeff{}", "json_bom"],
      ['{"tool_allowlist":["safe"],}', "json_syntax"],
      ['{"tool_allowlist":["safe"]} x', "json_trailing_data"],
      ['{"tool_allowlist":["safe"],"tool_allowlist":["evil"]}', "json_duplicate_member"],
      [withTools('"mode":"enforce","mode":"monitor"'), "json_duplicate_member"],
      ['{"tool_allowlist":["\\ud800"]}', "json_surrogate"],
      [withTools(`"${"k".repeat(257)}":1`), "json_key_bytes"],
      [withTools('"tool_allow_list":[]'), 'did you mean "tool_allowlist"?'],
      [withTools('"Mode":"enforce"'), 'found the unknown member "Mode"'],
      [withTools('"mode ":"enforce"'), 'found the unknown member "mode "'],
      [withTools('"\\n":1'), 'found the unknown member "\\u000a"'],
      [withTools('"":1'), 'found the unknown member ""'],
      [withTools('"limits":{"body_byte":1}'), 'did you mean "body_bytes"?'],
      [withTools('"limits":[]'), "limits: found a list, expected an object"],
      [withTools('"rules":{}'), "rules: found an object, expected a list"],
      [withTools('"token_exchange":[]'), "token_exchange: found a list, expected an object"],
      [withTools('"rate_limit":[]'), "rate_limit: found a list, expected an object"],
      [withTools('"authorization":"forward"'), "authorization: found"],
      [withTools('"prompt_allowlist":"p"'), "prompt_allowlist: found the string"],
      [withTools('"prompt_allowlist":["p","\\u0070"]'), "prompt_allowlist[1]: found the same string a second time"],
      [withTools(`"prompt_allowlist":["${"n".repeat(257)}"]`), "expected a prompt name of 1 to 256 bytes"],
      [withTools('"tasks":[]'), "tasks: found a list, expected one of deny allow"],
      [withTools('"tasks":"allowed"'), 'tasks: found the string "allowed"'],
      [withTools('"uri_traversal":"none"'), "uri_traversal: found"],
      [withTools(`"resource_roots":${roots(257)}`), "resource_roots: the list has too many entries"],
      [withTools(`"resource_roots":["a:/${"r".repeat(1022)}"]`), "expected an absolute URI of 1 to 1024 bytes"],
      ...[
        ...["docs", "/docs", "FILE:///docs", "file://host/docs", "a://user@h/", "a://h/x?y", "a://h/#x", "a:b\\c"],
        ...["a://h/../x", "a://h/.", "a://h//x", "a://h/%2e%2e/x", "a://h/%61", "a://h/x%", "a://h/x y", "a://h/%00"],
      ].map((root) => [withTools(`"resource_roots":["a:b",${JSON.stringify(root)}]`), "resource_roots[1]: "] as const),
      [withTools('"allowed_origins":["https://app.example/"]'), "allowed_origins[0]: "],
      [withTools('"allowed_origins":["https://App.example"]'), "allowed_origins[0]: "],
      [withTools('"allowed_origins":["null"]'), "allowed_origins[0]: "],
      [withTools('"allowed_hosts":[]'), "allowed_hosts: found an empty list"],
      [withTools('"allowed_hosts":["https://h"]'), "allowed_hosts[0]: "],
      [withTools('"allowed_hosts":["h","*"]'), "allowed_hosts[1]: "],
      [withTools('"argument_rules":{}'), "argument_rules: found an object"],
      [withTools(`"argument_rules":${rules(65)}`), "argument_rules[64]: the list has too many entries"],
      [rule('"pointer":"/x","rule":"uri"'), "argument_rules[0]: found no tool"],
      [rule('"tool":"t","rule":"uri"'), "argument_rules[0]: found no pointer"],
      [rule('"tool":"t","pointer":"/x"'), "argument_rules[0]: found no rule"],
      ...["", "x", "/~", "/~2", `/a${"/b".repeat(8)}`].map(
        (pointer) => [rule(`"tool":"t","pointer":"${pointer}","rule":"uri"`), "argument_rules[0].pointer: "] as const,
      ),
      ...['"url"', "{}", '{"enum":[]}', '{"max_bytes":-1}', '{"max_bytes":1,"enum":["a"]}', '{"uri_roots":["x"]}']
        .concat('{"path_roots":["docs"]}', '{"path_roots":["/a/../b"]}', '{"path_roots":["/a//b"]}', "[]", "null")
        .map((each) => [rule(`"tool":"t","pointer":"/x","rule":${each}`), "argument_rules[0].rule"] as const),
      ['{"tool_allowlist":"safe"}', 'tool_allowlist: found the string "safe", expected a list of strings'],
      ['{"tool_allowlist":{}}', "tool_allowlist: found an object"],
      ['{"tool_allowlist":null}', "tool_allowlist: found null"],
      ['{"tool_allowlist":["safe",1]}', "tool_allowlist[1]: found the number"],
      ['{"tool_allowlist":["safe",["evil"]]}', "tool_allowlist[1]: found a list"],
      ['{"tool_allowlist":[{"name":"safe"}]}', "tool_allowlist[0]: found an object"],
      ['{"tool_allowlist":[true]}', "tool_allowlist[0]: found true"],
      ['{"tool_allowlist":[""]}', 'tool_allowlist[0]: found the string ""'],
      [`{"tool_allowlist":["${"n".repeat(257)}"]}`, "expected a tool name of 1 to 256 bytes"],
      ['{"tool_allowlist":["a","b","\\u0061"]}', "tool_allowlist[2]: found the same string a second time"],
      [`{"tool_allowlist":${list(16_385)}}`, "tool_allowlist[16384]: the list has too many entries"],
      [withTools('"method_allowlist":["a b"]'), "method_allowlist[0]: found a byte that is not printable ASCII"],
      [withTools('"method_allowlist":["ok","\u00fc"]'), "method_allowlist[1]: found a byte"],
      [withTools(`"method_allowlist":["${"m".repeat(129)}"]`), "expected a method name of 1 to 128 bytes"],
      ...["tools/call", "tools/list", "tasks/x", "ping", "resources/read", "notifications/progress"].map(
        (name) =>
          [
            withTools(`"method_allowlist":["${name}"]`),
            "method_allowlist[0]: found a method of the built-in table",
          ] as const,
      ),
      [withTools('"mode":"monitors"'), 'did you mean "monitor"?'],
      [withTools('"mode":"Enforce"'), 'mode: found the string "Enforce", expected one of enforce monitor'],
      [withTools('"mode":"enforce "'), "mode: found"],
      [withTools('"mode":""'), "mode: found"],
      [withTools('"mode":1'), "mode: found the number"],
      [withTools('"refusal":"error"'), "refusal: found"],
      [withTools('"refusal_detail":"full"'), "refusal_detail: found"],
      [withTools('"request_headers":"held"'), "request_headers: found"],
      [
        withTools('"request_body":"stream","request_headers":"hold"'),
        "request_headers: hold with request_body: stream",
      ],
      [withTools('"request_body":"part"'), "request_body: found"],
      [withTools('"direction":"outbound"'), "direction: found"],
      [withTools('"approval":{}'), "approval: found no member"],
      [withTools('"approval":{"mode":"on"}'), "approval.mode: found"],
      [withTools('"approval":"off"'), "approval: found the string"],
      [withTools('"approval":{"mode":"off","x":1}'), 'approval: found the unknown member "x"'],
      [withTools('"unguarded":{}'), "unguarded: found an object"],
      [withTools('"unguarded":["/a"]'), 'unguarded[0]: found the string "/a", expected an object'],
      [entry('"methods":["POST"]'), "unguarded[0]: found no path"],
      [entry('"path":"/a"'), "unguarded[0]: found no methods"],
      [entry('"methods":[],"path":"/a"'), "unguarded[0].methods"],
      [entry('"methods":["POST","POST"],"path":"/a"'), "unguarded[0].methods[1]: found the same method"],
      [entry('"methods":["post"],"path":"/a"'), "unguarded[0].methods[0]: found"],
      [entry('"methods":["CONNECT"],"path":"/a"'), "unguarded[0].methods[0]: found"],
      [entry('"methods":"POST","path":"/a"'), "unguarded[0].methods: found"],
      [entry('"methods":["POST"],"path":"/a","why":"x"'), 'unguarded[0]: found the unknown member "why"'],
      [entry('"methods":["POST"],"path":"/a","reason":""'), "unguarded[0].reason: found"],
      [entry(`"methods":["POST"],"path":"/a","reason":"${"r".repeat(1025)}"`), "unguarded[0].reason: found"],
      [entry(`"methods":["POST"],"path":"/${"p".repeat(1024)}"`), "unguarded[0].path: found"],
      ...[
        "",
        "a",
        "*",
        "//",
        "/a//b",
        "//a",
        "/.",
        "/..",
        "/a/./b",
        "/a/../b",
        "/a/..",
        "/./",
        "/%61",
        "/a;b",
        "/a?b",
      ].map((path) => [entry(`"methods":["POST"],"path":${JSON.stringify(path)}`), "unguarded[0].path: "] as const),
      ...["/a#b", "/a b", "/a\\b", "/\u00fc", "/a\0", "/a\u007f", "/a{b}", "/a|b", '/a"', "/[a]", "/a^b", "/a`b"].map(
        (path) => [entry(`"methods":["POST"],"path":${JSON.stringify(path)}`), "unguarded[0].path: "] as const,
      ),
      [
        withTools(`"unguarded":[${Array(65).fill('{"methods":["GET"],"path":"/a"}').join()}]`),
        "unguarded[64]: the list has too many entries",
      ],
    ]),
  )("%s", (_title, text, said) => {
    expect(complaint(text)).toContain(said);
  });

  test("a configuration that is cut says so, and where", () => {
    for (const text of [
      "{",
      '{"tool_allow',
      '{"tool_allowlist":',
      '{"tool_allowlist":["safe"',
      '{"tool_allowlist":["safe"]',
    ]) {
      expect(complaint(text)).toContain(`not acceptable JSON at byte ${text.length}: json_incomplete`);
    }
  });

  test("is all of it: nothing of a refused configuration is in force", () => {
    const text = '{"tool_allowlist":["evil"],"mode":"monitor","unguarded":[{"methods":["POST"],"path":"/mcp"}],"x":1}';
    expect(complaint(text)).toContain("unknown member");
    const { plugin } = startGuard({ tool_allowlist: ["safe"] });
    expect(post(plugin, { body: toolCall("evil") })).toBe("refuse tool_not_listed 200");
  });

  test("what was found is shown in part and escaped", () => {
    expect(complaint(withTools(`"mode":"${"x".repeat(1000)}"`)).length).toBeLessThan(300);
    expect(complaint(withTools('"mode":"\\u001b[2J\\r\\nmcp-guard: policy"'))).toMatch(/^[ -~]*$/);
    expect(complaint(withTools(`"${"y".repeat(256)}":1`)).length).toBeLessThan(500);
  });
});

test("the longest limits work", () => {
  const { plugin } = startGuard({
    tool_allowlist: ["safe"],
    limits: { depth: 64, members_per_object: 16_384, open_members: 65_536, key_bytes: 1024, body_bytes: 64 << 20 },
  });
  const members = Array.from({ length: 16_384 }, (_, index) => `"${String(index).padStart(20, "k")}":0`).join(",");
  const call = (inside: string) => toolCall("safe").replace("}}", `,"arguments":{${inside}}}}`);
  expect(post(plugin, { body: call(members) })).toBe("allow");
  expect(post(plugin, { body: call(`${members},"one":0`) })).toBe("refuse json_members 400");
  expect(post(plugin, { body: call(`"${"k".repeat(1024)}":0`) })).toBe("allow");
  expect(post(plugin, { body: call(`"${"k".repeat(1025)}":0`) })).toBe("refuse json_key_bytes 400");
});
