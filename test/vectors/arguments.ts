// What `argument_rules` do to the arguments of a tool: pointers, types, and the rules themselves.

import type { ArgumentRule } from "../oracle/argument-rules.ts";
import type { MessagePolicy, MessageReason } from "../oracle/message.ts";
import { bytes, call } from "./bytes.ts";
import type { PolicyVector } from "./policy.ts";

const TOOLS = ["safe", "other", "delete_all"] as const;

const policyOf = (...rules: readonly ArgumentRule[]): MessagePolicy => ({
  tool_allowlist: TOOLS,
  argument_rules: rules,
});

const rule = (pointer: string, what: ArgumentRule["rule"], tool = "safe"): ArgumentRule => ({
  tool,
  pointer,
  rule: what,
});

/** Arguments as JSON text, so that a vector can say what JSON.stringify cannot. */
type Arguments = string;

const safe = (toolArguments: Arguments, tool = "safe"): Uint8Array =>
  call(`"name":${JSON.stringify(tool)},"arguments":`, toolArguments);

const pass = (name: string, policy: MessagePolicy, body: Uint8Array): PolicyVector => ({
  name,
  policy,
  body,
  reasons: [],
});

const refuse = (
  name: string,
  policy: MessagePolicy,
  body: Uint8Array,
  ...reasons: readonly MessageReason[]
): PolicyVector => ({ name, policy, body, reasons: reasons.length === 0 ? ["argument_not_allowed"] : reasons });

/** One vector for each text at the rule's place. */
const values = (
  kind: "pass" | "refuse",
  what: ArgumentRule["rule"],
  texts: readonly string[],
  traversal: "literal" | "segment" = "literal",
): readonly PolicyVector[] =>
  texts.map((text) => {
    const label = `${JSON.stringify(what)}, ${traversal}: ${JSON.stringify(text).slice(0, 60)}`;
    const policy: MessagePolicy = { ...policyOf(rule("/x", what)), uri_traversal: traversal };
    const body = safe(JSON.stringify({ x: text }));
    return kind === "pass" ? pass(`${label} passes`, policy, body) : refuse(`${label} is refused`, policy, body);
  });

const RULES: readonly PolicyVector[] = [
  ...values("pass", "path", [
    "a",
    "a/b.txt",
    "/etc/passwd",
    "./a",
    "a b",
    "100%",
    ".",
    "C:\\x",
    "a//b",
    "~/x",
    "\u6587",
  ]),
  ...values("refuse", "path", [
    ...["..", "../etc", "a/../b", "..\\etc", "%2e%2e/etc", ".%2e", "%252e%252e", "..%2f", "a..b", "...", "..;/x"],
    ...[
      "\uff0e\uff0e/etc",
      "\u2025",
      ".\u200b./x",
      ".\t./x",
      "a\0",
      "a%00",
      " a",
      "a ",
      "a\n",
      "",
      "%c0%ae",
      "x".repeat(4097),
    ],
  ]),
  ...values("pass", "path", ["a..b", "v1..v2", "..hidden"], "segment"),
  ...values("refuse", "path", ["..", "../x", "a/..", "..%2fx", ".. /x", "x?..", "..."], "segment"),
  ...values("pass", "uri", ["https://h/a", "file:///a", "urn:isbn:1", "https://h/?q=a%20b"]),
  ...values("refuse", "uri", [
    "a",
    "/a",
    "../a",
    "https://h/../a",
    "HTTPS://h/a",
    "file:/a",
    "https://u@h/",
    "a b:c",
    "",
    "https://h/{x}",
  ]),
  ...values("pass", { uri_roots: ["https://h/docs/", "file:///a"] }, ["https://h/docs/x", "file:///a", "file:///a/b"]),
  ...values("refuse", { uri_roots: ["https://h/docs/", "file:///a"] }, [
    ...[
      "https://h/docs",
      "https://h/docs-evil",
      "file:///ab",
      "https://g/docs/x",
      "https://h/docs/../x",
      "https://h/docs/%61",
      "",
    ],
  ]),
  ...values("pass", { path_roots: ["/srv/repos/", "/tmp"] }, [
    "/srv/repos/a",
    "/tmp",
    "/tmp/x",
    "/srv/repos/./a",
    "/srv/repos/a b",
  ]),
  ...values("refuse", { path_roots: ["/srv/repos/", "/tmp"] }, [
    ...["/srv/repos", "/srv/repos-evil", "/tmpx", "repos/a", "/srv/repos/../x", "/SRV/repos/a", "/etc/passwd", ""],
    ...["/srv/repos/..\\..\\x", "/srv/repos/%2e%2e/x", "//srv/repos/a"],
  ]),
  ...values("pass", { enum: ["main", "a b", "\u00fc", "tab\t"] }, ["main", "a b", "\u00fc", "tab\t"]),
  ...values("refuse", { enum: ["main", "a b"] }, ["Main", "main ", "", "mai", "mainx", "a\u00a0b", "x".repeat(5000)]),
  ...values("pass", { max_bytes: 4 }, ["", "abcd", "\u00fc\u00fc", "\u{1f600}", "../x"]),
  ...values("refuse", { max_bytes: 4 }, ["abcde", "\u00fc\u00fcx", "\u{1f600}x", "x".repeat(9000)]),
  ...values("pass", { max_bytes: 6000 }, ["x".repeat(6000)]),
  ...values("refuse", { max_bytes: 0 }, ["x"]),
  ...values("pass", { max_bytes: 0 }, [""]),
];

const deepPointer = `/${["a", "b", "c", "d", "e", "f", "g", "h"].join("/")}`;
const nested = (leaf: string): string => `{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":${leaf}}}}}}}}}`;

const path = (pointer: string): MessagePolicy => policyOf(rule(pointer, "path"));

const POINTERS: readonly PolicyVector[] = [
  refuse("an escaped name of the member", path("/path"), safe('{"p\\u0061th":"../x"}')),
  refuse("an escaped value", path("/path"), safe('{"path":"\\u002e\\u002e\\/x"}')),
  refuse("behind other members", path("/path"), safe('{"a":[1,{"path":"x"}],"b":{"path":"y"},"path":"../x"}')),
  refuse("before other members", path("/path"), safe('{"path":"../x","a":[1,{"path":"x"}]}')),
  pass("the same name elsewhere", path("/path"), safe('{"a":{"path":"../x"},"b":[{"path":"../x"}],"path":"x"}')),
  pass("a longer name", path("/path"), safe('{"paths":"../x","pat":"../x","Path":"../x"}')),
  refuse("in an inner object", path("/a/b"), safe('{"a":{"x":{},"b":"../x"}}')),
  pass("in another inner object", path("/a/b"), safe('{"b":{"a":"../x"},"c":{"b":"../x"},"a":{"c":{"b":"../x"}}}')),
  refuse("after an inner object of the same shape", path("/a/b"), safe('{"x":{"b":"../x"},"a":{"b":"../x"}}')),
  refuse("eight tokens deep", path(deepPointer), safe(nested('"../x"'))),
  pass("eight tokens deep, a good value", path(deepPointer), safe(nested('"x"'))),
  pass("nine deep", path(deepPointer), safe(nested('"x"').replace('"x"', '"x","i":{"a":"../x"}'))),
  refuse("each element", path("/files/-"), safe('{"files":["a","b","../x"]}')),
  refuse("the first element", path("/files/-"), safe('{"files":["../x","b"]}')),
  pass("good elements", path("/files/-"), safe('{"files":["a","b"]}')),
  pass("no elements", path("/files/-"), safe('{"files":[]}')),
  refuse("a member of each element", path("/files/-/name"), safe('{"files":[{"name":"a"},{"x":1,"name":"../x"}]}')),
  pass(
    "another member of each element",
    path("/files/-/name"),
    safe('{"files":[{"name":"a","x":"../x"},{"n":"../x"}]}'),
  ),
  refuse("after an inner array", path("/files/-/name"), safe('{"files":[[{"name":"../x"}],{"name":"../x"}]}')),
  pass("in an array of arrays", path("/files/-/name"), safe('{"files":[[{"name":"../x"}]]}')),
  refuse("each element of each element", path("/m/-/-"), safe('{"m":[["a"],["b","../x"]]}')),
  refuse("an element after an inner array", path("/m/-/-"), safe('{"m":[["a",["../y"],"../x"]]}')),
  refuse("the third element", path("/files/2"), safe('{"files":["../a","../b","../x"]}')),
  pass("another element", path("/files/2"), safe('{"files":["../a","../b","x","../d"]}')),
  refuse("the element 0", path("/files/0"), safe('{"files":["../x"]}')),
  pass("too few elements", path("/files/2"), safe('{"files":["../a","../b"]}')),
  pass("an index with a leading zero", path("/files/00"), safe('{"files":["../x"]}')),
  refuse("a digit as a member's name", path("/files/0"), safe('{"files":{"0":"../x"}}')),
  refuse("- as a member's name", path("/files/-"), safe('{"files":{"-":"../x"}}')),
  pass("- is no other member", path("/files/-"), safe('{"files":{"a":"../x"}}')),
  refuse("escapes in the pointer", path("/a~1b/c~0d"), safe('{"a/b":{"c~d":"../x"}}')),
  refuse("~01 is ~1", path("/a~01"), safe('{"a~1":"../x"}')),
  pass("~01 is not /", path("/a~01"), safe('{"a/":"../x"}')),
  refuse("an empty name", path("/"), safe('{"":"../x"}')),
  refuse("an empty name inside", path("/a/"), safe('{"a":{"":"../x"}}')),
  pass("an empty name elsewhere", path("/a/"), safe('{"":"../x","a":{"b":"../x"}}')),
  refuse("a name beyond ASCII", path("/\u00fc"), safe('{"\\u00fc":"../x"}')),
  pass("arguments absent", path("/path"), call('"name":"safe"')),
  pass("arguments empty", path("/path"), safe("{}")),
  pass("the pointer leads through a string", path("/a/b"), safe('{"a":"../x"}')),
  pass("the pointer leads through a number", path("/a/b"), safe('{"a":1,"b":"../x"}')),
  pass("the pointer leads through an array", path("/a/b"), safe('{"a":[{"b":"../x"}]}')),
];

const TYPES: readonly PolicyVector[] = (
  ["path", "uri", { enum: ["1", "true", "null"] }, { max_bytes: 10 }, { path_roots: ["/a"] }] as const
).flatMap((what) =>
  ["1", "-1.5e3", "true", "false", "null", "{}", "[]", '["a"]', '{"x":"a"}', '{"x":{"x":[]}}'].flatMap((value) => [
    refuse(`${JSON.stringify(what)}: ${value}`, policyOf(rule("/x", what)), safe(`{"x":${value},"y":"../"}`)),
    refuse(
      `${JSON.stringify(what)} for each element: ${value}`,
      policyOf(rule("/x/-", what)),
      safe(`{"x":[${value}],"y":["../"]}`),
    ),
  ]),
);

const SEVERAL: readonly PolicyVector[] = [
  pass("a rule about another tool", policyOf(rule("/x", "path", "other")), safe('{"x":"../"}')),
  refuse("a rule about the other tool", policyOf(rule("/x", "path", "other")), safe('{"x":"../"}', "other")),
  refuse(
    "the name after the arguments",
    policyOf(rule("/x", "path", "other"), rule("/y", "path")),
    call('"arguments":{"x":"../","y":"a"},"name":"other"'),
  ),
  pass(
    "the name after the arguments, another tool's rule",
    policyOf(rule("/x", "path", "other"), rule("/y", "path")),
    call('"arguments":{"x":"../","y":"a"},"name":"safe"'),
  ),
  pass("two rules about one place", policyOf(rule("/x", "path"), rule("/x", { max_bytes: 3 })), safe('{"x":"abc"}')),
  refuse(
    "two rules about one place, the first broken",
    policyOf(rule("/x", "path"), rule("/x", { max_bytes: 9 })),
    safe('{"x":"../"}'),
  ),
  refuse(
    "two rules about one place, the second broken",
    policyOf(rule("/x", "path"), rule("/x", { max_bytes: 3 })),
    safe('{"x":"abcd"}'),
  ),
  refuse("a place inside another place", policyOf(rule("/x", "path"), rule("/x/y", "path")), safe('{"x":{"y":"a"}}')),
  refuse(
    "rules about the elements and about one of them",
    policyOf(rule("/x/-", { max_bytes: 9 }), rule("/x/1", "path")),
    safe('{"x":["../","../"]}'),
  ),
  pass(
    "rules about the elements and about one of them, kept",
    policyOf(rule("/x/-", { max_bytes: 9 }), rule("/x/1", "path")),
    safe('{"x":["../","a","../"]}'),
  ),
  refuse(
    "the last of 64 rules",
    policyOf(...Array.from({ length: 64 }, (_, index) => rule(`/x${index}`, "path"))),
    safe('{"x62":"a","x63":"../"}'),
  ),
  pass(
    "64 rules, all kept",
    policyOf(...Array.from({ length: 64 }, (_, index) => rule(`/x${index}`, "path"))),
    safe('{"x0":"a","x63":"b","x64":"../"}'),
  ),
  refuse(
    "a rule about a tool that is not listed",
    policyOf(rule("/x", "path", "hidden")),
    safe('{"x":"../"}', "hidden"),
    "tool_not_listed",
    "argument_not_allowed",
  ),
  refuse(
    "a rule about a flagged tool",
    policyOf(rule("/x", "path", "delete_all")),
    safe('{"x":"../"}', "delete_all"),
    "approval_not_configured",
    "argument_not_allowed",
  ),
  pass(
    "the same arguments of a prompt",
    { ...policyOf(rule("/x", "path")), prompt_allowlist: ["safe"] },
    bytes('{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"safe","arguments":{"x":"../"}}}'),
  ),
  pass(
    "the same arguments of a list request",
    policyOf(rule("/x", "path")),
    bytes('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"safe","arguments":{"x":"../"}}}'),
  ),
  refuse("arguments that are a list", path("/0"), safe('["../x"]'), "params_invalid"),
];

export const ARGUMENT_VECTORS: readonly PolicyVector[] = [...RULES, ...POINTERS, ...TYPES, ...SEVERAL];
