// Good and bad configurations, one row each: what the filter, the schema and this table must agree on.
import { KEYS, REQUIRED } from "./approval-member.ts";
import { IDENTITY_RULES } from "./identity-rule-rows.ts";
import { RATES } from "./rate-rows.ts";
import { bad, type ConfigurationRow, escaped, good, names, withMembers } from "./row.ts";
import { TOKENS } from "./token-rows.ts";

const NO_JSON = "a schema judges values, and the text is none";
const DUPLICATE = "a schema judges values, and a parser has dropped the first of the two members before it is asked";
const BYTES = "maxLength counts characters, the filter bytes of UTF-8";
const DIGITS = "the filter reads numbers of at most 24 characters and 15 digits, a parser any number";
const LONE_SURROGATE = "a parser takes an unpaired surrogate escape for a character";
const DECODES = "a pattern sees the characters as they stand, the filter also what they decode to";
const LOOKS = "a pattern knows no look-alikes";
const NEVER_SENT = "no browser, no client and no URI has it, so that the entry is idle";
const DECODED = "a parser is given characters, and the decoder has replaced the bytes that are none";

const ROOT_MEMBERS =
  "tool_allowlist method_allowlist mode refusal refusal_detail request_headers request_body direction unguarded limits approval prompt_allowlist resource_roots tasks uri_traversal argument_rules allowed_origins allowed_hosts response_uris sampling elicitation roots hidden_text identity audit metrics authorization token_exchange rate_limit rules";
const LIMIT_MEMBERS =
  "body_bytes depth members_per_object open_members key_bytes stall_ms in_flight_bytes list_bytes event_bytes";
const HTTP_METHODS = "POST GET HEAD DELETE OPTIONS PUT PATCH";
const TOOL = "a tool name of 1 to 256 bytes";
const METHOD = "a method name of 1 to 128 bytes of printable ASCII";
const PROMPT = "a prompt name of 1 to 256 bytes";
const URI = "an absolute URI of 1 to 1024 bytes";
const ORIGIN = "an origin like https://app.example (RFC 6454), 1 to 256 bytes";
const HOST = "a host like mcp.example or mcp.example:8443, 1 to 256 bytes";
const SCHEME = "a URI scheme like https, 1 to 32 bytes";
const LINKED_HOST = "a host like docs.example or docs.example:8443, 1 to 256 bytes";
const POINTER = "a JSON Pointer (RFC 6901) like /path or /files/-/name";
const RULE = "uri, path, or an object with one of enum, max_bytes, uri_roots, path_roots";
const NOT_NORMAL =
  "expected an absolute URI in its normal form: lower-case scheme, no dot segments, no user information, query or fragment";
const NOT_A_PATH = "expected an absolute path without dot segments";
const NOT_A_POINTER = "expected a JSON Pointer (RFC 6901) of at most 8 reference tokens, with ~ only in ~0 and ~1";
const APPROVAL_OBJECT = "an object with mode, tools, exempt and what mode: required needs";
const PAGE =
  "a link like https://approve.example.com/a/ that ends with a slash, 1 to 512 bytes; http only for localhost and 127.0.0.1";
const SERVICE_PATH = "a path like /v1 of 1 to 256 bytes without a slash at its end, a query and dot segments";
const SPKI = "the public key of the service in base64: a SubjectPublicKeyInfo (RFC 5480) of P-256, uncompressed";
const PATH = "an absolute path of letters, digits, - . _ ~ ! $ & ' ( ) * + , = : @ and / without empty or dot segments";

/** A configuration whose member `limits` is written as it stands here. */
function withLimits(text: string): string {
  return `{"tool_allowlist":["echo"],"limits":${text}}`;
}

/** A good one of which an editor says that it does nothing. */
function idle(name: string, text: string): ConfigurationRow {
  return { name, text, good: true, schemaWarns: NEVER_SENT };
}

const STANDARD: ConfigurationRow[] = [
  good("the standard's two-line pluginConfig", '{"tool_allowlist":["search_code","get_pull_request"]}'),
  good("an empty list of tools", '{"tool_allowlist":[]}'),
  good("white space everywhere", ' {\t"tool_allowlist" :\r\n[ "a" , "b" ] } \n'),
  good(
    "every member at once",
    JSON.stringify({
      tool_allowlist: ["search_code"],
      prompt_allowlist: ["code_review"],
      resource_roots: ["file:///srv/repos/", "mcp://logs"],
      method_allowlist: ["skills/list"],
      tasks: "allow",
      uri_traversal: "segment",
      argument_rules: [
        { tool: "search_code", pointer: "/path", rule: "path" },
        { tool: "search_code", pointer: "/repository", rule: { uri_roots: ["mcp://repos/"] } },
      ],
      allowed_origins: ["https://app.example"],
      allowed_hosts: ["mcp.example"],
      response_uris: { schemes: ["https", "mailto"], hosts: ["docs.example", "docs.example:8443"] },
      sampling: "allow",
      elicitation: "deny",
      roots: "deny",
      hidden_text: "drop",
      identity: {
        jwt: [{ provider: "payload", issuer: "https://idp.example", claim: "sub" }],
        header: { name: "User-Identity", trusted_gateways: ["spiffe://cluster.local/ns/gateway/sa/ai-gateway"] },
        require_human: true,
      },
      metrics: { tools: 10 },
      audit: {
        line: "none",
        arguments: "redacted",
        redact: ["/password"],
        response: "redacted",
        redact_response: ["/result/content/-/text"],
        record_bytes: 16_384,
        otlp: {
          cluster: "collector",
          authority: "collector:4318",
          path: "/logs",
          timeout_ms: 100,
          flush_ms: 100,
          queue_bytes: 65_536,
          messages: "none",
        },
        required: "all",
      },
      mode: "monitor",
      refusal: "tool_error",
      refusal_detail: "masked",
      request_headers: "hold",
      request_body: "whole",
      direction: "both",
      unguarded: [{ methods: ["POST"], path: "/oauth/token", reason: "token endpoint" }],
      limits: {
        body_bytes: 500_000,
        depth: 32,
        members_per_object: 512,
        open_members: 2048,
        key_bytes: 128,
        stall_ms: 5_000,
        in_flight_bytes: 1 << 20,
        list_bytes: 1 << 19,
        event_bytes: 1 << 22,
      },
      approval: { mode: "off", tools: ["echo"], exempt: ["delete_it"] },
    }),
  ),
  good("tool_allowlist behind the other members", '{"mode":"monitor","limits":{},"tool_allowlist":["a"]}'),
  good("member names spelled with escapes", '{"tool\\u005fallowlist":["a"],"m\\u006fde":"enforce"}'),
  good("a word spelled with escapes", '{"tool_allowlist":[],"mode":"m\\u006fnitor"}'),
];

const TOOLS: ConfigurationRow[] = [
  good("a tool name of one byte", '{"tool_allowlist":["a"]}'),
  good("a tool name of 256 bytes", JSON.stringify({ tool_allowlist: ["x".repeat(256)] })),
  good("tool names that differ in case", '{"tool_allowlist":["echo","Echo","ECHO"]}'),
  good("tool names that are not ASCII", '{"tool_allowlist":["größe","検索","🔍"]}'),
  good("a tool name of 256 bytes that are not ASCII", JSON.stringify({ tool_allowlist: ["ü".repeat(128)] })),
  good("a tool name with controls, quotes and a NUL", JSON.stringify({ tool_allowlist: ['a"\\\n\u0000b'] })),
  good("a tool name with a space around it, which is another name", '{"tool_allowlist":["echo"," echo "]}'),
  good("a tool name with a star, which is no pattern", '{"tool_allowlist":["*","get_*"]}'),
  good("tool names of Object.prototype", '{"tool_allowlist":["constructor","__proto__","toString"]}'),
  good("flagged tool names without an approval", '{"tool_allowlist":["delete_repo","update_issue","execute"]}'),
  good("names in composed and decomposed form, which are two", '{"tool_allowlist":["\u00e9","e\u0301"]}'),
  good("16384 tool names", JSON.stringify({ tool_allowlist: names(16_384) })),
  bad(
    "16385 tool names",
    JSON.stringify({ tool_allowlist: names(16_385) }),
    "tool_allowlist[16384]: the list has too many entries, expected at most 16384",
  ),
  bad(
    "a tool name of 257 bytes",
    JSON.stringify({ tool_allowlist: ["x".repeat(257)] }),
    `tool_allowlist[0]: found the string "${"x".repeat(64)}", expected ${TOOL}`,
  ),
  bad(
    "a tool name of 258 bytes in 129 characters",
    JSON.stringify({ tool_allowlist: ["ü".repeat(129)] }),
    `tool_allowlist[0]: found the string "${"\\u00fc".repeat(32)}", expected ${TOOL}`,
    BYTES,
  ),
  bad(
    "a tool name of 260 bytes in 65 characters beyond the first plane",
    JSON.stringify({ tool_allowlist: ["🔍".repeat(65)] }),
    undefined,
    BYTES,
  ),
  bad("an empty tool name", '{"tool_allowlist":[""]}', `tool_allowlist[0]: found the string "", expected ${TOOL}`),
  bad(
    "a tool name twice",
    '{"tool_allowlist":["a","b","a"]}',
    "tool_allowlist[2]: found the same string a second time, expected distinct strings",
  ),
  bad(
    "a tool name twice, once with an escape",
    '{"tool_allowlist":["a","\\u0061"]}',
    "tool_allowlist[1]: found the same string a second time, expected distinct strings",
  ),
  bad("a number among the tools", '{"tool_allowlist":[7]}', `tool_allowlist[0]: found the number 7, expected ${TOOL}`),
  bad(
    "a fraction among the tools",
    '{"tool_allowlist":["a",-1.50e3]}',
    `tool_allowlist[1]: found the number -1.50e3, expected ${TOOL}`,
  ),
  bad("null among the tools", '{"tool_allowlist":["a",null]}', `tool_allowlist[1]: found null, expected ${TOOL}`),
  bad("true among the tools", '{"tool_allowlist":[true]}', `tool_allowlist[0]: found true, expected ${TOOL}`),
  bad("false among the tools", '{"tool_allowlist":[false]}', `tool_allowlist[0]: found false, expected ${TOOL}`),
  bad("a list among the tools", '{"tool_allowlist":[["a"]]}', `tool_allowlist[0]: found a list, expected ${TOOL}`),
  bad(
    "an object among the tools",
    '{"tool_allowlist":[{"name":"a"}]}',
    `tool_allowlist[0]: found an object, expected ${TOOL}`,
  ),
  bad(
    "a string for the list of tools",
    '{"tool_allowlist":"search_code"}',
    'tool_allowlist: found the string "search_code", expected a list of strings',
  ),
  bad(
    "null for the list of tools",
    '{"tool_allowlist":null}',
    "tool_allowlist: found null, expected a list of strings",
  ),
  bad(
    "true for the list of tools",
    '{"tool_allowlist":true}',
    "tool_allowlist: found true, expected a list of strings",
  ),
  bad(
    "an object for the list of tools",
    '{"tool_allowlist":{}}',
    "tool_allowlist: found an object, expected a list of strings",
  ),
  bad(
    "a number for the list of tools",
    '{"tool_allowlist":0}',
    "tool_allowlist: found the number 0, expected a list of strings",
  ),
];

const ROOT: ConfigurationRow[] = [
  bad("{}", "{}", "configuration: found no tool_allowlist, expected a list of tool names ([] allows none)"),
  bad(
    "everything but tool_allowlist",
    '{"mode":"enforce","limits":{"depth":8}}',
    "configuration: found no tool_allowlist, expected a list of tool names ([] allows none)",
  ),
  bad("no text", "", "configuration: found nothing, expected an object with tool_allowlist", NO_JSON),
  bad("white space alone", " \n", "configuration: not acceptable JSON at byte 2: json_incomplete", NO_JSON),
  bad("an empty list", "[]", "configuration: found a list, expected an object with tool_allowlist"),
  bad(
    "a list with a good configuration",
    '[{"tool_allowlist":["echo"]}]',
    "configuration: found a list, expected an object with tool_allowlist",
  ),
  bad("null", "null", "configuration: found no object, expected an object with tool_allowlist"),
  bad("true", "true", "configuration: found no object, expected an object with tool_allowlist"),
  bad("a number", "1", "configuration: found no object, expected an object with tool_allowlist"),
  bad("a string", '"tool_allowlist"', "configuration: found no object, expected an object with tool_allowlist"),
  bad(
    "a misspelled tool_allowlist",
    '{"tool_alowlist":["echo"]}',
    `configuration: found the unknown member "tool_alowlist", expected one of ${ROOT_MEMBERS}; did you mean "tool_allowlist"?`,
  ),
  bad(
    "camel case",
    '{"toolAllowlist":["echo"]}',
    `configuration: found the unknown member "toolAllowlist", expected one of ${ROOT_MEMBERS}; did you mean "tool_allowlist"?`,
  ),
  bad(
    "a hyphen",
    withMembers({ "refusal-detail": "masked" }),
    `configuration: found the unknown member "refusal-detail", expected one of ${ROOT_MEMBERS}; did you mean "refusal_detail"?`,
  ),
  bad("capital letters", '{"TOOL_ALLOWLIST":["echo"]}'),
  bad(
    "an unknown member that is near to nothing",
    withMembers({ colour: "blue" }),
    `configuration: found the unknown member "colour", expected one of ${ROOT_MEMBERS}`,
  ),
  bad(
    "an unknown member with an empty name",
    withMembers({ "": 1 }),
    `configuration: found the unknown member "", expected one of ${ROOT_MEMBERS}`,
  ),
  bad(
    "an unknown member that begins like a known one",
    withMembers({ modes: "enforce" }),
    `configuration: found the unknown member "modes", expected one of ${ROOT_MEMBERS}; did you mean "mode"?`,
  ),
  bad(
    "an unknown member with a line break in its name",
    withMembers({ "a\nb": 1 }),
    `configuration: found the unknown member "a\\u000ab", expected one of ${ROOT_MEMBERS}`,
  ),
  bad(
    "__proto__",
    '{"tool_allowlist":[],"__proto__":{}}',
    `configuration: found the unknown member "__proto__", expected one of ${ROOT_MEMBERS}`,
  ),
  bad("a member name of 257 bytes", withMembers({ ["k".repeat(257)]: 1 }), undefined),
  bad("the whole WasmPlugin", JSON.stringify({ kind: "WasmPlugin", spec: { pluginConfig: { tool_allowlist: [] } } })),
  bad("a comment member", withMembers({ $comment: "later" })),
];

const TOGETHER: ConfigurationRow[] = [
  bad(
    "hold with stream",
    withMembers({ request_headers: "hold", request_body: "stream" }),
    "configuration: found request_headers: hold with request_body: stream, expected one of them without the other",
  ),
  bad(
    "stream with hold, in the other order",
    withMembers({ request_body: "stream", request_headers: "hold" }),
    "configuration: found request_headers: hold with request_body: stream, expected one of them without the other",
  ),
  bad(
    "stream with approvals",
    withMembers({ request_body: "stream", approval: REQUIRED }),
    "configuration: found approval.mode: required with request_body: stream, expected one of them without the other",
  ),
];

/** The members whose value is one of some words. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  mode: ["enforce", "monitor"],
  refusal: ["jsonrpc_error", "tool_error", "http_403"],
  refusal_detail: ["explain", "masked"],
  request_headers: ["release", "hold"],
  request_body: ["whole", "stream"],
  direction: ["inbound", "both"],
  tasks: ["deny", "allow"],
  uri_traversal: ["literal", "segment"],
  sampling: ["deny", "allow"],
  elicitation: ["allow", "deny"],
  roots: ["allow", "deny"],
  hidden_text: ["strip", "drop", "allow"],
};

const WORD_ROWS: ConfigurationRow[] = Object.entries(WORDS).flatMap(([member, words]) => {
  const known = words.join(" ");
  const complaint = (found: string) => `${member}: found ${found}, expected one of ${known}`;
  return [
    ...words.map((word) => good(`${member} ${word}`, withMembers({ [member]: word }))),
    bad(`${member} null`, withMembers({ [member]: null }), complaint("null")),
    bad(`${member} true`, withMembers({ [member]: true }), complaint("true")),
    bad(`${member} a number`, withMembers({ [member]: 12 }), complaint("the number 12")),
    bad(`${member} a list`, withMembers({ [member]: words }), complaint("a list")),
    bad(`${member} an object`, withMembers({ [member]: {} }), complaint("an object")),
    bad(`${member} empty`, withMembers({ [member]: "" }), complaint('the string ""')),
    bad(
      `${member} with a capital letter`,
      withMembers({ [member]: words[0]?.replace(/^./, (letter) => letter.toUpperCase()) }),
      `${complaint(`the string "${words[0]?.replace(/^./, (letter) => letter.toUpperCase())}"`)}; did you mean "${words[0]}"?`,
    ),
    bad(`${member} another word`, withMembers({ [member]: "sideways" }), complaint('the string "sideways"')),
    bad(
      `${member} with a space behind it`,
      withMembers({ [member]: `${words[0]} ` }),
      `${complaint(`the string "${words[0]} "`)}; did you mean "${words[0]}"?`,
    ),
  ];
});

const METHODS: ConfigurationRow[] = [
  good("no further methods", withMembers({ method_allowlist: [] })),
  good("further methods", withMembers({ method_allowlist: ["skills/list", "vendor/ping"] })),
  good("a method of 128 bytes", withMembers({ method_allowlist: ["m".repeat(128)] })),
  good("a method of printable ASCII", withMembers({ method_allowlist: ["!#$%&'()*+,-.:;<=>?@[]^_`{|}~"] })),
  good("a notification that the table does not have", withMembers({ method_allowlist: ["notifications/message"] })),
  good(
    "methods under the prefixes of the table",
    withMembers({ method_allowlist: ["tools/search", "resources/write"] }),
  ),
  good("a method that differs from the table in case", withMembers({ method_allowlist: ["Tools/Call", "task/list"] })),
  bad(
    "a method of 129 bytes",
    withMembers({ method_allowlist: ["m".repeat(129)] }),
    `method_allowlist[0]: found the string "${"m".repeat(64)}", expected ${METHOD}`,
  ),
  bad(
    "an empty method",
    withMembers({ method_allowlist: [""] }),
    `method_allowlist[0]: found the string "", expected ${METHOD}`,
  ),
  bad(
    "a method with a space",
    withMembers({ method_allowlist: ["ok", "a b"] }),
    "method_allowlist[1]: found a byte that is not printable ASCII, expected a method name",
  ),
  bad(
    "a method with DEL",
    withMembers({ method_allowlist: ["a\u007f"] }),
    "method_allowlist[0]: found a byte that is not printable ASCII, expected a method name",
  ),
  bad(
    "a method with a line break at its end",
    withMembers({ method_allowlist: ["ping2\n"] }),
    "method_allowlist[0]: found a byte that is not printable ASCII, expected a method name",
  ),
  bad(
    "a method that is not ASCII",
    withMembers({ method_allowlist: ["größe"] }),
    "method_allowlist[0]: found a byte that is not printable ASCII, expected a method name",
  ),
  bad(
    "a method twice",
    withMembers({ method_allowlist: ["a/b", "a/b"] }),
    "method_allowlist[1]: found the same string a second time, expected distinct strings",
  ),
  bad(
    "a number among the methods",
    withMembers({ method_allowlist: [1] }),
    `method_allowlist[0]: found the number 1, expected ${METHOD}`,
  ),
  bad(
    "a string for the list of methods",
    withMembers({ method_allowlist: "a/b" }),
    'method_allowlist: found the string "a/b", expected a list of strings',
  ),
  bad(
    "null for the list of methods",
    withMembers({ method_allowlist: null }),
    "method_allowlist: found null, expected a list of strings",
  ),
  bad(
    "16385 methods",
    withMembers({ method_allowlist: names(16_385) }),
    "method_allowlist[16384]: the list has too many entries, expected at most 16384",
  ),
  ...[
    "initialize",
    "ping",
    "server/discover",
    "logging/setLevel",
    "completion/complete",
    "subscriptions/listen",
    "tools/call",
    "tools/list",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "tasks/",
    "tasks/get",
    "tasks/anything",
  ].map((method) =>
    bad(
      `${method}, which the built-in table has`,
      withMembers({ method_allowlist: ["vendor/x", method] }),
      "method_allowlist[1]: found a method of the built-in table, expected a further one: its own member opens it",
    ),
  ),
];

/** What is the same for every list of names: its length, its types, its duplicates. `member` is a path of one or two members. */
function nameList(member: string, what: string, most: number): ConfigurationRow[] {
  const [outer = "", inner] = member.split(".");
  const found = (value: unknown) => withMembers({ [outer]: inner === undefined ? value : { [inner]: value } });
  return [
    bad(`an empty string in ${member}`, found([""]), `${member}[0]: found the string "", expected ${what}`),
    bad(
      `${most + 1} bytes in ${member}`,
      found(["x".repeat(most + 1)]),
      `${member}[0]: found the string "${"x".repeat(Math.min(most + 1, 64))}", expected ${what}`,
    ),
    bad(`a number in ${member}`, found([7]), `${member}[0]: found the number 7, expected ${what}`),
    bad(`null in ${member}`, found([null]), `${member}[0]: found null, expected ${what}`),
    bad(`a list in ${member}`, found([["a"]]), `${member}[0]: found a list, expected ${what}`),
    bad(`an object in ${member}`, found([{}]), `${member}[0]: found an object, expected ${what}`),
    bad(`null for ${member}`, found(null), `${member}: found null, expected a list of strings`),
    bad(`a string for ${member}`, found("a"), `${member}: found the string "a", expected a list of strings`),
    bad(`an object for ${member}`, found({}), `${member}: found an object, expected a list of strings`),
    bad(`true for ${member}`, found(true), `${member}: found true, expected a list of strings`),
  ];
}

const PROMPTS: ConfigurationRow[] = [
  good("no prompts", withMembers({ prompt_allowlist: [] })),
  good("prompts", withMembers({ prompt_allowlist: ["code_review", "größe", " a "] })),
  good("a prompt name of 256 bytes", withMembers({ prompt_allowlist: ["x".repeat(256)] })),
  good("16384 prompts", withMembers({ prompt_allowlist: names(16_384) })),
  ...nameList("prompt_allowlist", PROMPT, 256),
  bad(
    "a prompt name of 258 bytes in 129 characters",
    withMembers({ prompt_allowlist: ["ü".repeat(129)] }),
    undefined,
    BYTES,
  ),
  bad(
    "a prompt twice",
    withMembers({ prompt_allowlist: ["a", "a"] }),
    "prompt_allowlist[1]: found the same string a second time, expected distinct strings",
  ),
  bad(
    "16385 prompts",
    withMembers({ prompt_allowlist: names(16_385) }),
    "prompt_allowlist[16384]: the list has too many entries, expected at most 16384",
  ),
];

/** URIs that are roots, wherever roots are named. */
const URI_ROOTS = [
  "file:///",
  "file:///srv/repos",
  "file:///srv/repos/",
  "file:///srv/v1..v2/",
  "file:///srv/.hidden/",
  "file:///srv/na%C3%AFve/",
  "file:///srv/größe/",
  "file:///proc/self/",
  "file:///C:/work/",
  "mcp://logs",
  "mcp://logs/",
  "mcp://logs:8443/a",
  "https://[::1]:8080/a/",
  "urn:isbn:",
  "urn:isbn:0451450523",
  "ui://app/index.html",
  "note:a;b=1,c",
  "git+ssh://host/r",
];

/** Texts that are none, and why a pattern may think otherwise. */
const NO_URI_ROOTS: readonly (readonly [string, string?])[] = [
  ["srv/repos"],
  ["/srv/repos"],
  ["//host/a"],
  ["*"],
  [":a"],
  ["1a://b"],
  ["FILE:///srv/"],
  ["File:///srv/"],
  ["mCp://logs/"],
  ["file:/srv/"],
  ["file://srv/"],
  ["file://localhost/srv/"],
  ["file:srv"],
  ["file://"],
  ["file:////srv/"],
  ["file:///srv//repos/"],
  ["mcp://logs//"],
  ["urn:a//b"],
  ["file:///srv/../etc/"],
  ["file:///srv/.."],
  ["file:///srv/."],
  ["file:///srv/./repos/"],
  ["file:///srv/.../"],
  ["mcp://../a"],
  ["file:///srv/%2e%2e/etc/", DECODES],
  ["file:///srv/.%2E/etc/", DECODES],
  ["file:///srv/%252e%252e/", DECODES],
  ["file:///srv/%2e/", DECODES],
  ["file:///srv/%72epos/", DECODES],
  ["file:///srv/%2fetc/", DECODES],
  ["file:///srv/..%2fetc/", DECODES],
  ["file:///srv/a%00/", DECODES],
  ["file:///srv/a%0a/", DECODES],
  ["file:///srv/%c0%ae/", DECODES],
  ["file:///srv/%ff/", DECODES],
  ["file:///srv/\u2025/", LOOKS],
  ["file:///srv/\uff0e\uff0e/", LOOKS],
  ["file:///srv/.\u200b./", LOOKS],
  ["file:///srv/a%/"],
  ["file:///srv/%zz/"],
  ["file:///srv/a b/"],
  [" file:///srv/"],
  ["file:///srv/ "],
  ["file:///srv/\t/"],
  ["file:///srv/\u007f/"],
  ["file:///srv\\repos\\"],
  ["file:///C|/work/"],
  ['mcp://a/"b"'],
  ["mcp://a/<b>"],
  ["mcp://a/^b"],
  ["mcp://a/`b`"],
  ["mcp://{host}/a"],
  ["mcp://logs/?a"],
  ["mcp://logs/?"],
  ["mcp://logs/#a"],
  ["https://user@host/"],
  ["https://user:secret@host/"],
];

const ROOTS: ConfigurationRow[] = [
  good("no roots", withMembers({ resource_roots: [] })),
  good("several roots", withMembers({ resource_roots: ["file:///srv/a/", "mcp://logs"] })),
  good("a root of 1024 bytes", withMembers({ resource_roots: [`mcp://logs/${"a".repeat(1013)}`] })),
  good("256 roots", withMembers({ resource_roots: names(256).map((name) => `mcp://${name}/`) })),
  ...URI_ROOTS.map((root) => good(`the root ${root}`, withMembers({ resource_roots: [root] }))),
  ...NO_URI_ROOTS.map(([text, schemaCannot]) =>
    bad(
      `the root ${JSON.stringify(text)}`,
      withMembers({ resource_roots: ["mcp://logs/", text] }),
      `resource_roots[1]: ${NOT_NORMAL}`,
      schemaCannot,
    ),
  ),
  ...nameList("resource_roots", URI, 1024),
  bad(
    "a root of 1026 bytes in 518 characters",
    withMembers({ resource_roots: [`mcp://a/${"ü".repeat(509)}`] }),
    undefined,
    BYTES,
  ),
  bad(
    "a root twice",
    withMembers({ resource_roots: ["mcp://a/", "mcp://b/", "mcp://a/"] }),
    "resource_roots[2]: found the same string a second time, expected distinct strings",
  ),
  bad(
    "257 roots",
    withMembers({ resource_roots: names(257).map((name) => `mcp://${name}/`) }),
    "resource_roots: the list has too many entries, expected at most 256",
  ),
];

const ARGUMENT = { tool: "read_file", pointer: "/path", rule: "path" };

function argumentRules(...entries: unknown[]): string {
  return withMembers({ argument_rules: entries });
}

const ARGUMENTS: ConfigurationRow[] = [
  good("no argument rules", argumentRules()),
  good("an argument rule", argumentRules(ARGUMENT)),
  good("a rule about a tool that is not listed", argumentRules({ ...ARGUMENT, tool: "nobody" })),
  good("two rules about one argument", argumentRules(ARGUMENT, { ...ARGUMENT, rule: { max_bytes: 100 } })),
  good("the same rule twice", argumentRules(ARGUMENT, ARGUMENT)),
  good("64 argument rules", argumentRules(...names(64).map((tool) => ({ ...ARGUMENT, tool })))),
  good("a tool name of 256 bytes in a rule", argumentRules({ ...ARGUMENT, tool: "t".repeat(256) })),
  ...[
    "/a",
    "/",
    "//",
    "/a/b/c/d/e/f/g/h",
    "/files/-/name",
    "/0/1",
    "/~0~1",
    "/a~1b",
    "/größe",
    "/a b",
    "/\u0000",
    `/${"p".repeat(1023)}`,
  ].map((pointer) => good(`the pointer ${JSON.stringify(pointer)}`, argumentRules({ ...ARGUMENT, pointer }))),
  ...[
    "uri",
    "path",
    { enum: ["main"] },
    { enum: ["a", "A", " ", "e".repeat(1024)] },
    { max_bytes: 0 },
    { max_bytes: 67_108_864 },
    { uri_roots: ["mcp://logs/"] },
    { path_roots: ["/"] },
    { path_roots: ["/srv/repos", "/srv/docs/", "/srv/a..b", "/srv/a b", "/srv/größe", "/srv/a{b}"] },
  ].map((rule) => good(`the rule ${JSON.stringify(rule).slice(0, 90)}`, argumentRules({ ...ARGUMENT, rule }))),
  good("max_bytes 1e+03", argumentRules(ARGUMENT).replace('"path"}', '{"max_bytes":1e+03}}')),
  good("16384 values of an enum", argumentRules({ ...ARGUMENT, rule: { enum: names(16_384) } })),
  good(
    "256 roots of an argument",
    argumentRules({ ...ARGUMENT, rule: { uri_roots: names(256).map((name) => `mcp://${name}/`) } }),
  ),
  ...URI_ROOTS.map((root) => good(`uri_roots ${root}`, argumentRules({ ...ARGUMENT, rule: { uri_roots: [root] } }))),
  ...NO_URI_ROOTS.map(([text, schemaCannot]) =>
    bad(
      `uri_roots ${JSON.stringify(text)}`,
      argumentRules({ ...ARGUMENT, rule: { uri_roots: [text] } }),
      `argument_rules[0].rule.uri_roots[0]: ${NOT_NORMAL}`,
      schemaCannot,
    ),
  ),
  ...(
    [
      ["srv/repos"],
      ["./srv"],
      ["*"],
      ["C:\\work"],
      ["file:///srv"],
      ["/.."],
      ["/srv/.."],
      ["/srv/../etc"],
      ["/srv/..;/etc"],
      ["/srv\\..\\etc"],
      ["/srv/.../"],
      ["/srv/.. /etc"],
      ["/srv/%2e%2e/etc", DECODES],
      ["/srv/..%2fetc", DECODES],
      ["/srv/%252e%252e/", DECODES],
      ["/srv/a%00", DECODES],
      ["/srv/%ff", DECODES],
      ["/srv/\uff0e\uff0e/", LOOKS],
      ["/srv/\n"],
      ["/srv/\u007f/"],
      ["/srv/ "],
      [" /srv/"],
      ["/srv/./a"],
      ["/srv/."],
      ["/srv//a"],
      ["//srv"],
    ] as const
  ).map(([text, schemaCannot]) =>
    bad(
      `path_roots ${JSON.stringify(text)}`,
      argumentRules({ ...ARGUMENT, rule: { path_roots: ["/srv", text] } }),
      `argument_rules[0].rule.path_roots[1]: ${NOT_A_PATH}`,
      schemaCannot,
    ),
  ),
  bad(
    "257 roots of an argument",
    argumentRules({ ...ARGUMENT, rule: { uri_roots: names(257).map((name) => `mcp://${name}/`) } }),
    "argument_rules[0].rule.uri_roots: the list has too many entries, expected at most 256",
  ),
  bad(
    "257 path roots of an argument",
    argumentRules({ ...ARGUMENT, rule: { path_roots: names(257).map((name) => `/${name}`) } }),
    "argument_rules[0].rule.path_roots: the list has too many entries, expected at most 256",
  ),
  ...[
    '{"tool_allowlist":[],"argument_rules":[{',
    `${argumentRules({ ...ARGUMENT, rule: { enum: ["a"] } }).slice(0, -3)}`,
  ].map((text) =>
    bad(
      `an argument rule that is cut: ${text.slice(-20)}`,
      text,
      `argument_rules[0]: not acceptable JSON at byte ${Buffer.byteLength(text)}: json_incomplete`,
      NO_JSON,
    ),
  ),
  bad(
    "65 argument rules",
    argumentRules(...names(65).map((tool) => ({ ...ARGUMENT, tool }))),
    "argument_rules[64]: the list has too many entries, expected at most 64",
  ),
  bad(
    "null for the argument rules",
    withMembers({ argument_rules: null }),
    "argument_rules: found null, expected a list of objects with tool, pointer and rule",
  ),
  bad(
    "an object for the argument rules",
    withMembers({ argument_rules: ARGUMENT }),
    "argument_rules: found an object, expected a list of objects with tool, pointer and rule",
  ),
  bad(
    "a string among the argument rules",
    argumentRules(ARGUMENT, "uri"),
    'argument_rules[1]: found the string "uri", expected an object with tool, pointer and rule',
  ),
  bad(
    "a list among the argument rules",
    argumentRules([]),
    "argument_rules[0]: found a list, expected an object with tool, pointer and rule",
  ),
  bad("an empty argument rule", argumentRules({}), "argument_rules[0]: found no tool, expected a tool name"),
  bad(
    "a rule without a tool",
    argumentRules({ pointer: "/a", rule: "uri" }),
    "argument_rules[0]: found no tool, expected a tool name",
  ),
  bad(
    "a rule without a pointer",
    argumentRules({ tool: "a", rule: "uri" }),
    "argument_rules[0]: found no pointer, expected a JSON Pointer like /path",
  ),
  bad(
    "a rule without a rule",
    argumentRules({ tool: "a", pointer: "/a" }),
    "argument_rules[0]: found no rule, expected uri, path, or an object",
  ),
  bad(
    "an unknown member of an argument rule",
    argumentRules({ ...ARGUMENT, rules: "uri" }),
    'argument_rules[0]: found the unknown member "rules", expected one of tool pointer rule; did you mean "rule"?',
  ),
  bad(
    "tools instead of a tool",
    argumentRules({ tools: ["a"], pointer: "/a", rule: "uri" }),
    'argument_rules[0]: found the unknown member "tools", expected one of tool pointer rule; did you mean "tool"?',
  ),
  ...(
    [
      ["", 'the string ""'],
      [7, "the number 7"],
      [null, "null"],
      [["a"], "a list"],
    ] as const
  ).flatMap(([value, found]) => [
    bad(
      `${JSON.stringify(value)} for the tool of a rule`,
      argumentRules({ ...ARGUMENT, tool: value }),
      `argument_rules[0].tool: found ${found}, expected ${TOOL}`,
    ),
    bad(
      `${JSON.stringify(value)} for the pointer of a rule`,
      argumentRules({ ...ARGUMENT, pointer: value }),
      `argument_rules[0].pointer: found ${found}, expected ${POINTER}`,
    ),
    bad(
      `${JSON.stringify(value)} for the rule of a rule`,
      argumentRules({ ...ARGUMENT, rule: value }),
      `argument_rules[0].rule: found ${found}, expected ${RULE}`,
    ),
  ]),
  bad(
    "a tool name of 257 bytes in a rule",
    argumentRules({ ...ARGUMENT, tool: "t".repeat(257) }),
    `argument_rules[0].tool: found the string "${"t".repeat(64)}", expected ${TOOL}`,
  ),
  ...["path", "a/b", "$.path", "#/path", "-"].map((pointer) =>
    bad(
      `the pointer ${pointer}, which begins without /`,
      argumentRules({ ...ARGUMENT, pointer }),
      `argument_rules[0].pointer: found the string "${pointer}", expected ${POINTER}`,
    ),
  ),
  bad(
    "a pointer of 1025 bytes",
    argumentRules({ ...ARGUMENT, pointer: `/${"p".repeat(1024)}` }),
    `argument_rules[0].pointer: found the string "/${"p".repeat(63)}", expected ${POINTER}`,
  ),
  ...["/~2", "/~", "/a~", "/~/b", "/a/b~c", "/1/2/3/4/5/6/7/8/9", "/a/b/c/d/e/f/g/h/"].map((pointer) =>
    bad(
      `the pointer ${pointer}`,
      argumentRules({ ...ARGUMENT, pointer }),
      `argument_rules[0].pointer: ${NOT_A_POINTER}`,
    ),
  ),
  bad(
    "a rule that is no word of ours",
    argumentRules({ ...ARGUMENT, rule: "Path" }),
    `argument_rules[0].rule: found the string "Path", expected ${RULE}`,
  ),
  bad(
    "a rule that is true",
    argumentRules({ ...ARGUMENT, rule: true }),
    `argument_rules[0].rule: found true, expected ${RULE}`,
  ),
  bad(
    "a rule that is an empty object",
    argumentRules({ ...ARGUMENT, rule: {} }),
    "argument_rules[0].rule: found an empty object, expected one of enum, max_bytes, uri_roots, path_roots",
  ),
  bad(
    "a rule with two members",
    argumentRules({ ...ARGUMENT, rule: { enum: ["a"], max_bytes: 5 } }),
    "argument_rules[0].rule: found more than one member, expected exactly one",
  ),
  bad(
    "a rule with an unknown member",
    argumentRules({ ...ARGUMENT, rule: { path_root: ["/a"] } }),
    'argument_rules[0].rule: found the unknown member "path_root", expected one of enum max_bytes uri_roots path_roots; did you mean "path_roots"?',
  ),
  bad(
    "a rule with a pattern",
    argumentRules({ ...ARGUMENT, rule: { pattern: "^a" } }),
    'argument_rules[0].rule: found the unknown member "pattern", expected one of enum max_bytes uri_roots path_roots',
  ),
  ...["enum", "uri_roots", "path_roots"].flatMap((form) => {
    const what = form === "enum" ? "a string of 1 to 1024 bytes" : "a root of 1 to 1024 bytes";
    const place = `argument_rules[0].rule.${form}`;
    const root = form === "uri_roots" ? "mcp://a/" : "/a";
    const rule = (value: unknown) => argumentRules({ ...ARGUMENT, rule: { [form]: value } });
    return [
      bad(`an empty ${form}`, rule([]), `${place}: found an empty list, expected at least one string`),
      bad(`${form} null`, rule(null), `${place}: found null, expected a list of strings`),
      bad(`${form} as a string`, rule(root), `${place}: found the string "${root}", expected a list of strings`),
      bad(`a number in ${form}`, rule([root, 1]), `${place}[1]: found the number 1, expected ${what}`),
      bad(`an empty string in ${form}`, rule([""]), `${place}[0]: found the string "", expected ${what}`),
      bad(`1025 bytes in ${form}`, rule([`${root}${"x".repeat(1025 - root.length)}`])),
      bad(
        `a string twice in ${form}`,
        rule([root, root]),
        `${place}[1]: found the same string a second time, expected distinct strings`,
      ),
    ];
  }),
  bad(
    "16385 values of an enum",
    argumentRules({ ...ARGUMENT, rule: { enum: names(16_385) } }),
    "argument_rules[0].rule.enum[16384]: the list has too many entries, expected at most 16384",
  ),
  ...(
    [
      [-1, "the number -1"],
      [1.5, "the number 1.5"],
      [67_108_865, "the number 67108865"],
      ["5", 'the string "5"'],
      [null, "null"],
      [[5], "a list"],
    ] as const
  ).map(([value, found]) =>
    bad(
      `max_bytes ${JSON.stringify(value)}`,
      argumentRules({ ...ARGUMENT, rule: { max_bytes: value } }),
      `argument_rules[0].rule.max_bytes: found ${found}, expected a whole number from 0 to 67108864`,
    ),
  ),
];

const SOURCES: ConfigurationRow[] = [
  good("no origins", withMembers({ allowed_origins: [] })),
  ...[
    "https://app.example",
    "http://localhost:5173",
    "https://[::1]:8443",
    "vscode-webview://1a2b3c",
    `https://${"a".repeat(248)}`,
  ].map((origin) => good(`the origin ${origin.slice(0, 40)}`, withMembers({ allowed_origins: [origin] }))),
  ...["https://app.example/", "https://App.example", "*", "https://*.example", "app.example", "null"].map((origin) =>
    bad(
      `the origin ${origin}`,
      withMembers({ allowed_origins: [origin] }),
      "allowed_origins[0]: expected an origin as a browser sends it, like https://app.example, without a path",
    ),
  ),
  ...nameList("allowed_origins", ORIGIN, 256),
  bad(
    "an origin twice",
    withMembers({ allowed_origins: ["https://a.example", "https://a.example"] }),
    "allowed_origins[1]: found the same string a second time, expected distinct strings",
  ),
  ...["mcp.example", "mcp.example:8443", "MCP.Example", "localhost", "10.0.0.1:80", "[::1]", "[fe80::1]:8080"].map(
    (host) => good(`the host ${host}`, withMembers({ allowed_hosts: [host] })),
  ),
  good("a host of 256 bytes", withMembers({ allowed_hosts: ["h".repeat(256)] })),
  ...["https://mcp.example", "mcp.example/", "*.example", "*", "mcp.example:*"].map((host) =>
    bad(
      `the host ${host}`,
      withMembers({ allowed_hosts: [host] }),
      "allowed_hosts[0]: expected a host like mcp.example or mcp.example:8443, without a scheme or a path",
    ),
  ),
  idle("the host ::1", withMembers({ allowed_hosts: ["::1"] })),
  ...nameList("allowed_hosts", HOST, 256),
  bad(
    "an empty list of hosts",
    withMembers({ allowed_hosts: [] }),
    "allowed_hosts: found an empty list, expected at least one host",
  ),
  bad(
    "a host twice",
    withMembers({ allowed_hosts: ["a.example", "a.example"] }),
    "allowed_hosts[1]: found the same string a second time, expected distinct strings",
  ),
];

const NOT_A_SCHEME = "expected a URI scheme in lower case, like https, without a colon";
const NOT_A_LOWER_HOST =
  "expected a host in lower case, like mcp.example or mcp.example:8443, without a scheme or a path";

function schemes(...value: unknown[]): string {
  return withMembers({ response_uris: { schemes: value } });
}

function hosts(...value: unknown[]): string {
  return withMembers({ response_uris: { hosts: value } });
}

const RESPONSE_URIS: ConfigurationRow[] = [
  good("response_uris without members", withMembers({ response_uris: {} })),
  good("hosts before schemes", withMembers({ response_uris: { hosts: ["a.example"], schemes: ["https"] } })),
  good("no schemes", schemes()),
  good("several schemes", schemes("https", "http", "mailto")),
  ...["a", "h2", "git+ssh", "ms-settings", "soap.beep", "a+-.0", "s".repeat(32)].map((scheme) =>
    good(`the scheme ${scheme}`, schemes(scheme)),
  ),
  good("64 schemes", schemes(...names(64).map((name) => name.replace("_", "-")))),
  ...[
    ...["HTTPS", "Https", "https:", "https://", "https://a.example", "*", "1a", "+a", "-a", ".a", "a_b", "a b"],
    ...[" https", "https ", "https\n", "a\u0000", "größe", "a/b", "a%62", "\uff48ttps"],
  ].map((scheme) =>
    bad(`the scheme ${JSON.stringify(scheme)}`, schemes("https", scheme), `response_uris.schemes[1]: ${NOT_A_SCHEME}`),
  ),
  ...nameList("response_uris.schemes", SCHEME, 32),
  bad(
    "a scheme twice",
    schemes("https", "http", "https"),
    "response_uris.schemes[2]: found the same string a second time, expected distinct strings",
  ),
  bad(
    "65 schemes",
    schemes(...names(65).map((name) => name.replace("_", "-"))),
    "response_uris.schemes: the list has too many entries, expected at most 64",
  ),
  ...["docs.example", "docs.example:8443", "localhost", "10.0.0.1:80", "[::1]", "[fe80::1]:8080", "h".repeat(256)].map(
    (host) => good(`the host ${host.slice(0, 40)} of a response`, hosts(host)),
  ),
  ...[
    ...["Docs.example", "[FE80::1]", "https://docs.example", "docs.example/", "user@docs.example", "*.example", "*"],
    ...["docs.example:*", "docs.example?", "größe.example", "a%62.example", "a b", "docs.example\n"],
  ].map((host) =>
    bad(
      `the host ${JSON.stringify(host)} of a response`,
      hosts("a.example", host),
      `response_uris.hosts[1]: ${NOT_A_LOWER_HOST}`,
    ),
  ),
  idle("the host ::1 of a response", hosts("::1")),
  ...nameList("response_uris.hosts", LINKED_HOST, 256),
  good("16384 hosts of a response", hosts(...names(16_384))),
  bad(
    "16385 hosts of a response",
    hosts(...names(16_385)),
    "response_uris.hosts[16384]: the list has too many entries, expected at most 16384",
  ),
  bad(
    "an empty list of hosts of a response",
    hosts(),
    "response_uris.hosts: found an empty list, expected at least one host",
  ),
  bad(
    "a host of a response twice",
    hosts("a.example", "a.example"),
    "response_uris.hosts[1]: found the same string a second time, expected distinct strings",
  ),
  ...(
    [
      [null, "null"],
      [true, "true"],
      [7, "the number 7"],
      ["https", 'the string "https"'],
      [["https"], "a list"],
    ] as const
  ).map(([value, found]) =>
    bad(
      `${JSON.stringify(value)} for response_uris`,
      withMembers({ response_uris: value }),
      `response_uris: found ${found}, expected an object with schemes and hosts`,
    ),
  ),
  bad(
    "an unknown member of response_uris",
    withMembers({ response_uris: { ports: [443] } }),
    'response_uris: found the unknown member "ports", expected one of schemes hosts',
  ),
  bad(
    "a scheme instead of schemes",
    withMembers({ response_uris: { scheme: "https" } }),
    'response_uris: found the unknown member "scheme", expected one of schemes hosts; did you mean "schemes"?',
  ),
  bad(
    "schemes twice",
    '{"tool_allowlist":[],"response_uris":{"schemes":[],"schemes":[]}}',
    "response_uris: not acceptable JSON at byte 59: json_duplicate_member",
    DUPLICATE,
  ),
  bad(
    "response_uris that is cut",
    '{"tool_allowlist":[],"response_uris":{"schemes":["a"]',
    "response_uris: not acceptable JSON at byte 53: json_incomplete",
    NO_JSON,
  ),
];

const ENTRY = { methods: ["POST"], path: "/oauth/token" };

function unguarded(...entries: unknown[]): string {
  return withMembers({ unguarded: entries });
}

const UNGUARDED: ConfigurationRow[] = [
  good("no unguarded endpoints", withMembers({ unguarded: [] })),
  good("an unguarded endpoint", unguarded(ENTRY)),
  good("an unguarded endpoint with a reason", unguarded({ ...ENTRY, reason: "token endpoint of the same server" })),
  good("every HTTP method", unguarded({ ...ENTRY, methods: HTTP_METHODS.split(" ") })),
  good("the same endpoint twice", unguarded(ENTRY, ENTRY)),
  good("64 unguarded endpoints", unguarded(...names(64).map((name) => ({ ...ENTRY, path: `/${name}` })))),
  good("a path of 1024 bytes", unguarded({ ...ENTRY, path: `/${"p".repeat(1023)}` })),
  good("a reason of 1024 bytes", unguarded({ ...ENTRY, reason: "r".repeat(1024) })),
  good("a reason that is not ASCII", unguarded({ ...ENTRY, reason: "für das Webhook-Ende" })),
  ...[
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/.well-known/x",
    "/a.b",
    "/...",
    "/a/...",
    "/..a",
    "/a..",
    "/a/.b./",
    "/-._~!$&'()*+,=:@09AZaz",
  ].map((path) => good(`the path ${path}`, unguarded({ ...ENTRY, path }))),
  ...[
    ...[
      "a",
      "a/b",
      "*",
      "http://host/a",
      "//",
      "//a",
      "/a//",
      "/a//b",
      "/.",
      "/..",
      "/./a",
      "/../a",
      "/a/.",
      "/a/..",
      "/a/./b",
      "/a/../b",
    ],
    ...[
      "/a%20b",
      "/%61",
      "/a%",
      "/a;b",
      "/a?b=c",
      "/a#b",
      "/a b",
      "/a\\b",
      '/a"',
      "/<a>",
      "/[a]",
      "/a|b",
      "/{a}",
      "/a^",
      "/a`",
      "/ä",
      "/a\n",
      "/a\u0000",
      "/a\u007f",
    ],
  ].map((path) =>
    bad(
      `the path ${JSON.stringify(path)}`,
      unguarded({ ...ENTRY, path }),
      `unguarded[0].path: found the string "${escaped(path)}", expected ${PATH}`,
    ),
  ),
  bad(
    "an empty path",
    unguarded({ ...ENTRY, path: "" }),
    'unguarded[0].path: found the string "", expected an absolute path of 1 to 1024 bytes',
  ),
  bad(
    "a path of 1025 bytes",
    unguarded({ ...ENTRY, path: `/${"p".repeat(1024)}` }),
    `unguarded[0].path: found the string "/${"p".repeat(63)}", expected an absolute path of 1 to 1024 bytes`,
  ),
  bad(
    "a path that is a number",
    unguarded({ ...ENTRY, path: 1 }),
    "unguarded[0].path: found the number 1, expected an absolute path of 1 to 1024 bytes",
  ),
  bad(
    "a path that is null",
    unguarded({ ...ENTRY, path: null }),
    "unguarded[0].path: found null, expected an absolute path of 1 to 1024 bytes",
  ),
  bad(
    "an empty reason",
    unguarded({ ...ENTRY, reason: "" }),
    'unguarded[0].reason: found the string "", expected a text of 1 to 1024 bytes',
  ),
  bad(
    "a reason of 1025 bytes",
    unguarded({ ...ENTRY, reason: "r".repeat(1025) }),
    `unguarded[0].reason: found the string "${"r".repeat(64)}", expected a text of 1 to 1024 bytes`,
  ),
  bad("a reason of 1026 bytes in 513 characters", unguarded({ ...ENTRY, reason: "ü".repeat(513) }), undefined, BYTES),
  bad(
    "a reason that is a list",
    unguarded({ ...ENTRY, reason: ["a"] }),
    "unguarded[0].reason: found a list, expected a text of 1 to 1024 bytes",
  ),
  bad("no methods", unguarded({ path: "/a" }), 'unguarded[0]: found no methods, expected a list like ["POST"]'),
  bad("no path", unguarded({ methods: ["POST"] }), "unguarded[0]: found no path, expected an absolute path"),
  bad("an empty entry", unguarded(ENTRY, {}), 'unguarded[1]: found no methods, expected a list like ["POST"]'),
  bad(
    "an empty list of HTTP methods",
    unguarded({ ...ENTRY, methods: [] }),
    "unguarded[0].methods: found an empty list, expected at least one HTTP method",
  ),
  bad(
    "an HTTP method in small letters",
    unguarded({ ...ENTRY, methods: ["post"] }),
    `unguarded[0].methods[0]: found the string "post", expected one of ${HTTP_METHODS}; did you mean "POST"?`,
  ),
  bad(
    "an HTTP method that is misspelled",
    unguarded({ ...ENTRY, methods: ["GET", "OPTION"] }),
    `unguarded[0].methods[1]: found the string "OPTION", expected one of ${HTTP_METHODS}; did you mean "OPTIONS"?`,
  ),
  bad(
    "CONNECT",
    unguarded({ ...ENTRY, methods: ["CONNECT"] }),
    `unguarded[0].methods[0]: found the string "CONNECT", expected one of ${HTTP_METHODS}`,
  ),
  bad(
    "an HTTP method twice",
    unguarded({ ...ENTRY, methods: ["POST", "GET", "POST"] }),
    "unguarded[0].methods[2]: found the same method a second time, expected distinct methods",
  ),
  bad(
    "a string for the HTTP methods",
    unguarded({ ...ENTRY, methods: "POST" }),
    'unguarded[0].methods: found the string "POST", expected a list of HTTP methods',
  ),
  bad(
    "a number among the HTTP methods",
    unguarded({ ...ENTRY, methods: [1] }),
    `unguarded[0].methods[0]: found the number 1, expected one of ${HTTP_METHODS}`,
  ),
  bad(
    "an unknown member of an entry",
    unguarded({ ...ENTRY, reasons: "x" }),
    'unguarded[0]: found the unknown member "reasons", expected one of methods path reason; did you mean "reason"?',
  ),
  bad(
    "a prefix instead of a path",
    unguarded({ methods: ["POST"], prefix: "/oauth" }),
    'unguarded[0]: found the unknown member "prefix", expected one of methods path reason',
  ),
  bad(
    "a string among the entries",
    unguarded("/oauth/token"),
    'unguarded[0]: found the string "/oauth/token", expected an object with methods, path and reason',
  ),
  bad(
    "a number among the entries",
    unguarded(ENTRY, 3),
    "unguarded[1]: found the number 3, expected an object with methods, path and reason",
  ),
  bad(
    "an object for the list of entries",
    withMembers({ unguarded: ENTRY }),
    "unguarded: found an object, expected a list of objects with methods, path and reason",
  ),
  bad(
    "null for the list of entries",
    withMembers({ unguarded: null }),
    "unguarded: found null, expected a list of objects with methods, path and reason",
  ),
  bad(
    "65 unguarded endpoints",
    unguarded(...names(65).map((name) => ({ ...ENTRY, path: `/${name}` }))),
    "unguarded[64]: the list has too many entries, expected at most 64",
  ),
];

/** The range of each member of `limits`. */
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  body_bytes: [1, 67_108_864],
  depth: [1, 64],
  members_per_object: [1, 16_384],
  open_members: [1, 65_536],
  key_bytes: [1, 1024],
  stall_ms: [100, 600_000],
  in_flight_bytes: [65_536, 268_435_456],
  list_bytes: [65_536, 16_777_216],
  event_bytes: [4096, 67_108_864],
};

const LIMITS: ConfigurationRow[] = [
  good("no limits", withLimits("{}")),
  ...Object.entries(RANGES).flatMap(([member, [low, high]]) => {
    const complaint = (found: string) =>
      `limits.${member}: found ${found}, expected a whole number from ${low} to ${high}`;
    return [
      good(`${member} ${low}`, withLimits(`{"${member}":${low}}`)),
      good(`${member} ${high}`, withLimits(`{"${member}":${high}}`)),
      bad(`${member} ${low - 1}`, withLimits(`{"${member}":${low - 1}}`), complaint(`the number ${low - 1}`)),
      bad(`${member} ${high + 1}`, withLimits(`{"${member}":${high + 1}}`), complaint(`the number ${high + 1}`)),
      bad(`${member} a string`, withLimits(`{"${member}":"${low}"}`), complaint(`the string "${low}"`)),
      bad(`${member} null`, withLimits(`{"${member}":null}`), complaint("null")),
    ];
  }),
  good("1e+06, as a protobuf Struct writes a million", withLimits('{"body_bytes":1e+06}')),
  good("1E6", withLimits('{"body_bytes":1E6}')),
  good("1000000.0", withLimits('{"body_bytes":1000000.0}')),
  good("1.5e3", withLimits('{"body_bytes":1.5e3}')),
  good("640e-1", withLimits('{"depth":640e-1}')),
  good("1.000000e+06", withLimits('{"body_bytes":1.000000e+06}')),
  bad("1.5", withLimits('{"depth":1.5}'), "limits.depth: found the number 1.5, expected a whole number from 1 to 64"),
  bad(
    "15e-1",
    withLimits('{"depth":15e-1}'),
    "limits.depth: found the number 15e-1, expected a whole number from 1 to 64",
  ),
  bad("-1", withLimits('{"depth":-1}'), "limits.depth: found the number -1, expected a whole number from 1 to 64"),
  bad("-0", withLimits('{"depth":-0}'), "limits.depth: found the number -0, expected a whole number from 1 to 64"),
  bad(
    "0e99",
    withLimits('{"depth":0e99}'),
    "limits.depth: found the number 0e99, expected a whole number from 1 to 64",
  ),
  bad(
    "1e400",
    withLimits('{"body_bytes":1e400}'),
    "limits.body_bytes: found the number 1e400, expected a whole number from 1 to 67108864",
  ),
  bad(
    "1e-400",
    withLimits('{"body_bytes":1e-400}'),
    "limits.body_bytes: found the number 1e-400, expected a whole number from 1 to 67108864",
  ),
  bad(
    "1e99999999999999",
    withLimits('{"body_bytes":1e99999999999999}'),
    "limits.body_bytes: found the number 1e99999999999999, expected a whole number from 1 to 67108864",
  ),
  bad(
    "4294967297, which is 1 in 32 bits",
    withLimits('{"body_bytes":4294967297}'),
    "limits.body_bytes: found the number 4294967297, expected a whole number from 1 to 67108864",
  ),
  bad(
    "18446744073709551617, which is 1 in 64 bits",
    withLimits('{"body_bytes":18446744073709551617}'),
    "limits.body_bytes: found the number 18446744073709551617, expected a whole number from 1 to 67108864",
  ),
  bad(
    "a number of 25 characters",
    withLimits('{"depth":8.00000000000000000000000}'),
    "limits.depth: found the number 8.00000000000000000000000, expected a whole number from 1 to 64",
    DIGITS,
  ),
  bad(
    "a number of 17 digits",
    withLimits('{"depth":8.0000000000000000}'),
    "limits.depth: found the number 8.0000000000000000, expected a whole number from 1 to 64",
    DIGITS,
  ),
  bad("a list for the limits", withLimits("[]"), "limits: found a list, expected an object"),
  bad("null for the limits", withLimits("null"), "limits: found null, expected an object"),
  bad("a number for the limits", withLimits("5"), "limits: found the number 5, expected an object"),
  bad(
    "a list for a limit",
    withLimits('{"depth":[8]}'),
    "limits.depth: found a list, expected a whole number from 1 to 64",
  ),
  bad(
    "true for a limit",
    withLimits('{"depth":true}'),
    "limits.depth: found true, expected a whole number from 1 to 64",
  ),
  bad(
    "an unknown limit",
    withLimits('{"body_byte":1}'),
    `limits: found the unknown member "body_byte", expected one of ${LIMIT_MEMBERS}; did you mean "body_bytes"?`,
  ),
  bad(
    "a limit at the top",
    withMembers({ body_bytes: 5 }),
    `configuration: found the unknown member "body_bytes", expected one of ${ROOT_MEMBERS}`,
  ),
];

const APPROVAL: ConfigurationRow[] = [
  good("approval off", withMembers({ approval: { mode: "off" } })),
  good("flagged tools by name", withMembers({ approval: { tools: ["echo"] } })),
  good("exempt tools", withMembers({ approval: { exempt: ["delete_it"] } })),
  good("all that can be said about approval", withMembers({ approval: { exempt: ["a"], mode: "off", tools: ["b"] } })),
  good("empty lists about approval", withMembers({ approval: { exempt: [], tools: [] } })),
  bad(
    "an approval without a member",
    withMembers({ approval: {} }),
    "approval: found no member, expected mode, tools or exempt",
  ),
  bad(
    "a tool that is flagged and exempt",
    withMembers({ approval: { exempt: ["a", "b"], tools: ["c", "b"] } }),
    "approval: found one name in tools and in exempt, expected it in one of them",
    "it cannot compare two lists",
  ),
  ...["tools", "exempt"].flatMap((member) => [
    bad(
      `a word for approval.${member}`,
      withMembers({ approval: { [member]: "a" } }),
      `approval.${member}: found the string "a", expected a list of strings`,
    ),
    bad(
      `an empty name in approval.${member}`,
      withMembers({ approval: { [member]: [""] } }),
      `approval.${member}[0]: found the string "", expected ${TOOL}`,
    ),
    bad(
      `a name twice in approval.${member}`,
      withMembers({ approval: { [member]: ["a", "a"] } }),
      `approval.${member}[1]: found the same string a second time, expected distinct strings`,
    ),
  ]),
  bad("approval null", withMembers({ approval: null }), `approval: found null, expected ${APPROVAL_OBJECT}`),
  bad("approval false", withMembers({ approval: false }), `approval: found false, expected ${APPROVAL_OBJECT}`),
  bad(
    "approval as a word",
    withMembers({ approval: "off" }),
    `approval: found the string "off", expected ${APPROVAL_OBJECT}`,
  ),
  bad("approval as a list", withMembers({ approval: ["off"] }), `approval: found a list, expected ${APPROVAL_OBJECT}`),
  bad(
    "approval on",
    withMembers({ approval: { mode: "on" } }),
    'approval.mode: found the string "on", expected one of off required',
  ),
  bad(
    "approval mode false",
    withMembers({ approval: { mode: false } }),
    "approval.mode: found false, expected one of off required",
  ),
  bad(
    "approval mode null",
    withMembers({ approval: { mode: null } }),
    "approval.mode: found null, expected one of off required",
  ),
  bad(
    "an unknown member of approval",
    withMembers({ approval: { mode: "off", url: "https://approve" } }),
    'approval: found the unknown member "url", expected one of mode tools exempt server page service keys hold_seconds arguments_bytes waiting waiting_per_principal legacy_carrier',
  ),
];

/** The member approval in mode required, with these members instead of its own; undefined takes one out. */
function required(members: Record<string, unknown>): string {
  return withMembers({ approval: { ...REQUIRED, ...members } });
}

/** The same with these members of its service. */
function asked(members: Record<string, unknown>): string {
  return required({ service: { ...REQUIRED.service, ...members } });
}

/** The same with one key of this text. */
function signedWith(spki: unknown): string {
  return required({ keys: [{ kid: "a", spki }] });
}

/** A key with other bytes at a place of its DER. */
function changedKey(at: number, ...bytes: number[]): string {
  const der = Buffer.from(KEYS.first, "base64");
  der.set(bytes, at);
  return der.toString("base64");
}

const BOUNDS = {
  hold_seconds: [0, 300],
  arguments_bytes: [1024, 65_536],
  waiting: [1, 10_000],
  waiting_per_principal: [1, 1000],
} as const;
const SERVICE_BOUNDS = { timeout_ms: [100, 60_000], poll_ms: [250, 10_000] } as const;

const ASKED: ConfigurationRow[] = [
  good("approval required", required({})),
  good(
    "all that can be said about approval in mode required",
    required({
      tools: ["echo"],
      exempt: ["delete_it"],
      service: {
        cluster: "outbound|8081||approval.approval.svc.cluster.local",
        authority: "approval.approval.svc.cluster.local:8081",
        path: "/filter/v1",
        timeout_ms: 2000,
        poll_ms: 500,
        secret_env: "MCP_GUARD_APPROVAL_SECRET",
      },
      keys: [
        { kid: "2026-11", spki: KEYS.first },
        { spki: KEYS.second, kid: "2027-02" },
      ],
      hold_seconds: 20,
      arguments_bytes: 8192,
      waiting: 50,
      waiting_per_principal: 5,
      legacy_carrier: "url_elicitation",
    }),
  ),
  good(
    "keys and service in front of the mode",
    withMembers({
      approval: Object.fromEntries(Object.entries({ ...REQUIRED, keys: [{ spki: KEYS.second, kid: "a" }] }).reverse()),
    }),
  ),
  good("a legacy carrier as it is without the member", required({ legacy_carrier: "tool_error" })),
  bad(
    "another word for approval.legacy_carrier",
    required({ legacy_carrier: "elicitation" }),
    'approval.legacy_carrier: found the string "elicitation", expected one of tool_error url_elicitation; did you mean "url_elicitation"?',
  ),
  ...(
    [
      ["server", "the name under which the service knows this server"],
      ["page", "the link to the service's pages"],
      ["service", "the cluster and the authority of the service"],
      ["keys", "the keys that sign receipts"],
    ] as const
  ).flatMap(([member, what]) => [
    bad(
      `approval required without ${member}`,
      required({ [member]: undefined }),
      `approval: found mode: required without ${member}, expected ${what}`,
    ),
    bad(
      `${member} without a mode of approval`,
      withMembers({ approval: { [member]: REQUIRED[member] } }),
      `approval.${member}: found it without mode: required, expected both`,
    ),
  ]),
  ...Object.entries({
    hold_seconds: 45,
    arguments_bytes: 65_536,
    waiting: 1000,
    waiting_per_principal: 10,
    legacy_carrier: "tool_error",
  }).map(([member, value]) =>
    bad(
      `${member} with the approval off`,
      withMembers({ approval: { [member]: value, mode: "off" } }),
      `approval.${member}: found it without mode: required, expected both`,
    ),
  ),
  bad(
    "everything that mode required needs, with mode off",
    required({ mode: "off" }),
    "approval.server: found it without mode: required, expected both",
  ),
  bad(
    "a tool that is flagged and exempt in mode required",
    required({ tools: ["a"], exempt: ["a"] }),
    "approval: found one name in tools and in exempt, expected it in one of them",
    "it cannot compare two lists",
  ),

  ...Object.entries(BOUNDS).flatMap(([member, bounds]) => bounded(member, bounds, required)),
  ...Object.entries(SERVICE_BOUNDS).flatMap(([member, bounds]) => bounded(`service.${member}`, bounds, asked)),

  good("an approval server of 128 bytes", required({ server: "~".repeat(128) })),
  ...(
    [
      ["of 129 bytes", "s".repeat(129), `the string "${"s".repeat(64)}"`],
      ["that is empty", "", 'the string ""'],
      ["with a space", "a b", 'the string "a b"'],
      ["with a letter that is not ASCII", "gröss", 'the string "gr\\u00f6ss"'],
      ["that is a number", 7, "the number 7"],
    ] as const
  ).map(([what, server, found]) =>
    bad(
      `an approval server ${what}`,
      required({ server }),
      `approval.server: found ${found}, expected a name of 1 to 128 bytes of printable ASCII`,
    ),
  ),

  ...[
    "https://a/",
    "https://approve.example.com:8443/",
    "https://127.0.0.1/a/b-c_d.e~f/",
    "https://approve.example.com/.../",
    "http://localhost/",
    "http://localhost:18081/a/",
    "http://127.0.0.1:18081/a/",
    `https://a/${"b".repeat(501)}/`,
  ].map((page) => good(`the approval page ${page.slice(0, 60)}`, required({ page }))),
  ...[
    "",
    "/",
    "https://",
    "https:///a/",
    "https://approve.example.com",
    "https://approve.example.com/a",
    "https://approve.example.com/a//",
    "https://approve.example.com//a/",
    "https://approve.example.com/./",
    "https://approve.example.com/a/../",
    "https://approve.example.com/a/?id=/",
    "https://approve.example.com/a/#/",
    "https://approve.example.com/%61/",
    "https://approve.example.com/a b/",
    'https://approve.example.com/a"/',
    "https://approve.example.com/ä/",
    "https://Approve.example.com/a/",
    "https://user@approve.example.com/a/",
    "https://user:1@approve.example.com/a/",
    "https://approve.example.com:/a/",
    "https://approve.example.com:123456/a/",
    "https://approve.example.com:8x/a/",
    "https://[::1]/a/",
    "https://:443/",
    "HTTPS://approve.example.com/a/",
    "http://approve.example.com/a/",
    "http://localhost.example.com/a/",
    "http://xlocalhost/a/",
    "http://127.0.0.10/a/",
    "http://127.0.0.1.example.com/a/",
    "http://127x0x0x1/a/",
    "ftp://localhost/a/",
    "javascript:alert(1)/",
    " https://approve.example.com/a/",
    `https://a/${"b".repeat(502)}/`,
  ].map((page) =>
    bad(
      `the approval page ${JSON.stringify(page.slice(0, 60))} of ${page.length} characters`,
      required({ page }),
      /[^ -~]|["\\]/.test(page)
        ? undefined
        : `approval.page: found the string "${page.slice(0, 64)}", expected ${PAGE}`,
    ),
  ),
  bad("an approval page that is a list", required({ page: [] }), `approval.page: found a list, expected ${PAGE}`),

  ...["/a", "/v1.2", "/a/b/~c", `/${"p".repeat(255)}`, "/..."].map((path) =>
    good(`the path ${path.slice(0, 20)} of the approval service`, asked({ path })),
  ),
  ...["", "/", "v1", "/v1/", "//v1", "/v1//a", "/./v1", "/..", "/v1/..", "/v1?a", "/v1#a", "/%76", "/v 1", "/v;1"].map(
    (path) =>
      bad(
        `the path ${JSON.stringify(path)} of the approval service`,
        asked({ path }),
        `approval.service.path: found the string "${path}", expected ${SERVICE_PATH}`,
      ),
  ),
  bad("a path of 257 bytes of the approval service", asked({ path: `/${"p".repeat(256)}` })),

  ...["A", "_", "approval_secret2", "a".repeat(128)].map((secret_env) =>
    good(`the variable ${secret_env.slice(0, 20)} of the approval service`, asked({ secret_env })),
  ),
  ...["", "1A", "A-B", "A B", "$A", "A=b", "Ä", "a".repeat(129)].map((secret_env) =>
    bad(
      `the variable ${JSON.stringify(secret_env.slice(0, 20))} of the approval service`,
      asked({ secret_env }),
      secret_env === "Ä"
        ? undefined
        : `approval.service.secret_env: found the string "${secret_env.slice(0, 64)}", expected the name of a variable like MCP_GUARD_APPROVAL_SECRET, 1 to 128 bytes`,
    ),
  ),
  good("a cluster of 512 bytes of the approval service", asked({ cluster: "c".repeat(512) })),
  good("an authority of 256 bytes of the approval service", asked({ authority: "a".repeat(256) })),
  ...(
    [
      ["cluster", 513, "a cluster's name of 1 to 512 bytes of printable ASCII"],
      ["authority", 257, "a host of 1 to 256 bytes of printable ASCII"],
    ] as const
  ).flatMap(([member, most, what]) => [
    bad(
      `no ${member} of the approval service`,
      asked({ [member]: undefined }),
      member === "cluster"
        ? "approval.service: found no cluster, expected the name of the proxy's cluster for the service"
        : "approval.service: found no authority, expected the service's host like approval:8081",
    ),
    ...["", "a b", "x".repeat(most)].map((text) =>
      bad(
        `the ${member} ${JSON.stringify(text.slice(0, 10))} of the approval service`,
        asked({ [member]: text }),
        `approval.service.${member}: found the string "${text.slice(0, 64)}", expected ${what}`,
      ),
    ),
  ]),
  bad(
    "an approval service as a word",
    required({ service: "approval:8081" }),
    'approval.service: found the string "approval:8081", expected an object with cluster and authority',
  ),
  bad(
    "an unknown member of the approval service",
    asked({ secret: "s3cret" }),
    'approval.service: found the unknown member "secret", expected one of cluster authority path timeout_ms poll_ms secret_env',
  ),

  good(
    "two approval keys",
    required({
      keys: [
        { kid: "a", spki: KEYS.first },
        { kid: "b", spki: KEYS.second },
      ],
    }),
  ),
  good("a kid of 64 bytes", required({ keys: [{ kid: "k".repeat(64), spki: KEYS.first }] })),
  good("a key whose coordinates are any bytes", signedWith(changedKey(27, ...Array(64).fill(255)))),
  bad(
    "no approval keys",
    required({ keys: [] }),
    "approval.keys: found an empty list, expected at least one object with kid and spki",
  ),
  bad(
    "three approval keys",
    required({ keys: ["a", "b", "c"].map((kid, index) => ({ kid, spki: changedKey(27, index) })) }),
    "approval.keys[2]: the list has too many entries, expected at most 2",
  ),
  bad(
    "a kid twice",
    required({
      keys: [
        { kid: "a", spki: KEYS.first },
        { kid: "a", spki: KEYS.second },
      ],
    }),
    "approval.keys[1]: found the same kid a second time, expected distinct ones",
    "it compares whole entries",
  ),
  bad(
    "a key twice",
    required({
      keys: [
        { kid: "a", spki: KEYS.first },
        { kid: "b", spki: KEYS.first },
      ],
    }),
    "approval.keys[1]: found the same key a second time, expected distinct ones",
    "it compares whole entries",
  ),
  bad(
    "kid and key twice",
    required({
      keys: [
        { kid: "a", spki: KEYS.first },
        { kid: "a", spki: KEYS.first },
      ],
    }),
    "approval.keys[1]: found the same kid a second time, expected distinct ones",
  ),
  good(
    "a kid that begins with another one",
    required({
      keys: [
        { kid: "a", spki: KEYS.first },
        { kid: "ab", spki: KEYS.second },
      ],
    }),
  ),
  bad("approval keys as a word", required({ keys: KEYS.first }), undefined),
  bad(
    "an approval key as a word",
    required({ keys: ["a"] }),
    'approval.keys[0]: found the string "a", expected an object with kid and spki',
  ),
  bad(
    "an approval key without a kid",
    required({ keys: [{ spki: KEYS.first }] }),
    "approval.keys[0]: found no kid, expected the name of the key that receipts have",
  ),
  bad(
    "an approval key without the key",
    required({ keys: [{ kid: "a" }] }),
    "approval.keys[0]: found no spki, expected the service's public key in base64",
  ),
  bad(
    "an approval key without the key behind one with both",
    required({ keys: [{ kid: "a", spki: KEYS.first }, { kid: "b" }] }),
    "approval.keys[1]: found no spki, expected the service's public key in base64",
  ),
  bad(
    "an unknown member of an approval key",
    required({ keys: [{ kid: "a", spki: KEYS.first, alg: "ES256" }] }),
    'approval.keys[0]: found the unknown member "alg", expected one of kid spki',
  ),
  ...["", "a b", "k".repeat(65), "ä"].map((kid) =>
    bad(
      `the kid ${JSON.stringify(kid.slice(0, 10))}`,
      required({ keys: [{ kid, spki: KEYS.first }] }),
      kid === "ä"
        ? undefined
        : `approval.keys[0].kid: found the string "${kid.slice(0, 64)}", expected a key's name of 1 to 64 bytes of printable ASCII`,
    ),
  ),
  ...Object.entries({
    "an empty text": "",
    "a key in the alphabet for URLs": KEYS.first.replaceAll("+", "-").replaceAll("/", "_"),
    "a key without padding": KEYS.first.replace(/=+$/, ""),
    "a key with one sign of padding": KEYS.first.replace(/=$/, ""),
    "a key with padding in its middle": `${KEYS.first.slice(0, 60)}====${KEYS.first.slice(64)}`,
    "a key with a line break": KEYS.first.replace("MFkw", "MFkw\n"),
    "a key with a space in place of a character": KEYS.first.replace(/.(?===$)/, " "),
    "a key whose unused bits are set": KEYS.first.replace(/.==$/, "R=="),
    "a key with text behind it": `${KEYS.first}AAAA`,
    "a key in PEM": `-----BEGIN PUBLIC KEY-----\n${KEYS.first}\n-----END PUBLIC KEY-----\n`,
    "a key in hexadecimal": Buffer.from(KEYS.first, "base64").toString("hex"),
    "a key of 90 bytes": Buffer.from(KEYS.first, "base64").subarray(0, 90).toString("base64"),
    "a key of 92 bytes": Buffer.concat([Buffer.from(KEYS.first, "base64"), Buffer.from([0])]).toString("base64"),
    "a bare point": Buffer.from(KEYS.first, "base64").subarray(26).toString("base64"),
    "a key on the curve P-384":
      "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEdhws4lNdZoDcc9PoHgPMMsG35aU9XY/l50Vz5eBE2LX6gL5+00imgJK8gD178llzcFLqAO6VvvORALD4eKVVyWCvDHRZfQU7FU5uC/6P135RSJXK5vwjhgfujY8Uq8Ex",
    "a key on the curve secp256k1":
      "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE2n3cvmsgk11w0KNmMgnZsKze9z3rHongF9WlFPI79kzJ6ZDGeGrS+fuUaKs/Yo8IMeQ7jj+DgOh3dxJfrhBKwA==",
    "a key of Ed25519": "MCowBQYDK2VwAyEApgMFuahMiMCzFuWo/ZB2oPGG67+5uaLPZfjyXZq0EFU=",
    "a compressed point": `${Buffer.from("3039301306072a8648ce3d020106082a8648ce3d030107032200", "hex").toString("base64")}A${"a".repeat(44)}`,
    "2,000 characters": "A".repeat(2000),
  }).map(([what, spki]) => bad(`an approval key that is ${what}`, signedWith(spki), told(spki))),
  // Each byte that all keys have in common.
  ...Array.from({ length: 27 }, (_, at) => at).map((at) => {
    const spki = changedKey(at, (Buffer.from(KEYS.first, "base64")[at] ?? 0) ^ 1);
    return bad(`an approval key with another byte ${at}`, signedWith(spki), told(spki));
  }),
  bad("an approval key that is a number", signedWith(7), `approval.keys[0].spki: found the number 7, expected ${SPKI}`),
];

/** What the filter says of a text that is no key; undefined for one that it does not repeat as it is. */
function told(spki: string): string | undefined {
  return /\n/.test(spki)
    ? undefined
    : `approval.keys[0].spki: found the string "${spki.slice(0, 64)}", expected ${SPKI}`;
}

/** A number at its two bounds, beyond them, and what is no whole number. */
function bounded(
  member: string,
  [low, high]: readonly [number, number],
  of: (members: Record<string, unknown>) => string,
): ConfigurationRow[] {
  const name = member.replace(/^.*\./, "");
  return [
    ...[low, high].map((value) => good(`approval.${member} ${value}`, of({ [name]: value }))),
    ...[low - 1, high + 1, low + 0.5].map((value) =>
      bad(
        `approval.${member} ${value}`,
        of({ [name]: value }),
        `approval.${member}: found the number ${value}, expected a whole number from ${low} to ${high}`,
      ),
    ),
    bad(
      `approval.${member} as a word`,
      of({ [name]: "1000" }),
      `approval.${member}: found the string "1000", expected a whole number from ${low} to ${high}`,
    ),
  ];
}

const TEXTS: ConfigurationRow[] = [
  bad(
    "a byte order mark",
    '\ufeff{"tool_allowlist":["echo"]}',
    "configuration: not acceptable JSON at byte 0: json_bom",
    NO_JSON,
  ),
  bad(
    "a byte order mark in UTF-16",
    Buffer.from('\ufeff{"tool_allowlist":[]}', "utf16le"),
    "configuration: not acceptable JSON at byte 0: json_bom",
    NO_JSON,
  ),
  bad("an open object", "{", "configuration: not acceptable JSON at byte 1: json_incomplete", NO_JSON),
  bad("an open member name", '{"tool', "configuration: not acceptable JSON at byte 6: json_incomplete", NO_JSON),
  bad(
    "an open list",
    '{"tool_allowlist":["echo"',
    "tool_allowlist[1]: not acceptable JSON at byte 25: json_incomplete",
    NO_JSON,
  ),
  bad(
    "an open string",
    '{"tool_allowlist":["ec',
    "tool_allowlist[0]: not acceptable JSON at byte 22: json_incomplete",
    NO_JSON,
  ),
  bad(
    "no closing brace",
    '{"tool_allowlist":["echo"]',
    "configuration: not acceptable JSON at byte 26: json_incomplete",
    NO_JSON,
  ),
  bad(
    "a member without a value",
    '{"tool_allowlist"}',
    "tool_allowlist: not acceptable JSON at byte 17: json_syntax",
    NO_JSON,
  ),
  bad(
    "a comma behind the last member",
    '{"tool_allowlist":["echo"],}',
    "configuration: not acceptable JSON at byte 27: json_syntax",
    NO_JSON,
  ),
  bad(
    "a comma behind the last tool",
    '{"tool_allowlist":["echo",]}',
    "tool_allowlist[1]: not acceptable JSON at byte 26: json_syntax",
    NO_JSON,
  ),
  bad(
    "single quotes",
    "{'tool_allowlist':['echo']}",
    "configuration: not acceptable JSON at byte 1: json_syntax",
    NO_JSON,
  ),
  bad(
    "a comment",
    '{"tool_allowlist":[] /* none */}',
    "configuration: not acceptable JSON at byte 21: json_syntax",
    NO_JSON,
  ),
  bad(
    "YAML",
    "tool_allowlist: [echo]",
    "configuration: found no object, expected an object with tool_allowlist",
    NO_JSON,
  ),
  bad(
    "text behind the object",
    '{"tool_allowlist":["echo"]} x',
    "configuration: not acceptable JSON at byte 28: json_trailing_data",
    NO_JSON,
  ),
  bad(
    "a second object",
    '{"tool_allowlist":["echo"]}{"tool_allowlist":[]}',
    "configuration: not acceptable JSON at byte 27: json_trailing_data",
    NO_JSON,
  ),
  bad(
    "a NUL behind the object",
    '{"tool_allowlist":["echo"]}\u0000',
    "configuration: not acceptable JSON at byte 27: json_trailing_data",
    NO_JSON,
  ),
  bad(
    "a number with a plus",
    withLimits('{"depth":+8}'),
    "limits.depth: not acceptable JSON at byte 45: json_syntax",
    NO_JSON,
  ),
  bad(
    "a number with a zero in front",
    withLimits('{"depth":08}'),
    "limits.depth: found the number 0, expected a whole number from 1 to 64",
    NO_JSON,
  ),
  bad(
    "a number with nothing behind its point",
    withLimits('{"depth":8.}'),
    "limits.depth: not acceptable JSON at byte 47: json_syntax",
    NO_JSON,
  ),
  bad("NaN", withLimits('{"depth":NaN}'), "limits.depth: not acceptable JSON at byte 45: json_syntax", NO_JSON),
  bad(
    "a line break inside a string",
    '{"tool_allowlist":["a\nb"]}',
    "tool_allowlist[0]: not acceptable JSON at byte 21: json_syntax",
    NO_JSON,
  ),
  bad(
    "an escape that is none",
    '{"tool_allowlist":["\\x41"]}',
    "tool_allowlist[0]: not acceptable JSON at byte 21: json_syntax",
    NO_JSON,
  ),
  bad(
    "an unpaired surrogate escape",
    '{"tool_allowlist":["\\ud800"]}',
    "tool_allowlist[0]: not acceptable JSON at byte 26: json_surrogate",
    LONE_SURROGATE,
  ),
  bad(
    "bytes that are no UTF-8",
    Buffer.concat([Buffer.from('{"tool_allowlist":["'), Buffer.from([0xff]), Buffer.from('"]}')]),
    "tool_allowlist[0]: not acceptable JSON at byte 20: json_utf8",
    DECODED,
  ),
  bad(
    "an overlong solidus",
    Buffer.concat([Buffer.from('{"tool_allowlist":["'), Buffer.from([0xc0, 0xaf]), Buffer.from('"]}')]),
    "tool_allowlist[0]: not acceptable JSON at byte 20: json_utf8",
    DECODED,
  ),
  bad(
    "tool_allowlist twice",
    '{"tool_allowlist":["echo"],"tool_allowlist":["echo"]}',
    "configuration: not acceptable JSON at byte 42: json_duplicate_member",
    DUPLICATE,
  ),
  bad(
    "tool_allowlist twice, once with an escape",
    '{"tool_allowlist":[],"tool\\u005fallowlist":[]}',
    "configuration: not acceptable JSON at byte 41: json_duplicate_member",
    DUPLICATE,
  ),
  bad(
    "mode twice",
    '{"tool_allowlist":[],"mode":"enforce","mode":"monitor"}',
    "configuration: not acceptable JSON at byte 43: json_duplicate_member",
    DUPLICATE,
  ),
  bad("a limit twice", withLimits('{"depth":8,"depth":9}'), undefined, DUPLICATE),
  bad("approval.mode twice", '{"tool_allowlist":[],"approval":{"mode":"off","mode":"off"}}', undefined, DUPLICATE),
  bad(
    "a path twice",
    '{"tool_allowlist":[],"unguarded":[{"methods":["POST"],"path":"/a","path":"/b"}]}',
    undefined,
    DUPLICATE,
  ),
  bad(
    "more than 4 MiB",
    `{"tool_allowlist":[]}${" ".repeat(4 << 20)}`,
    "configuration: larger than 4 MiB",
    "a schema judges values, not the length of a text",
  ),
];

const TOKEN = { provider: "payload", issuer: "https://idp.example", claim: "sub" };
const GATEWAY = "spiffe://cluster.local/ns/gateway/sa/ai-gateway";
const HEADER = { name: "User-Identity", trusted_gateways: [GATEWAY] };
const HEADER_NAME = "a header's name like User-Identity, 1 to 64 letters, digits and hyphens";
const SPIFFE_ID = "a SPIFFE id of 1 to 512 bytes";
const NOT_AN_ID = "expected a SPIFFE id like spiffe://cluster.local/ns/gateway/sa/ai-gateway";
const TOKEN_SOURCE = "an object with provider, issuer and claim";
const TOKEN_TEXTS = [
  ["provider", "a provider's name of 1 to 128 bytes without controls", 128],
  ["issuer", "an issuer of 1 to 256 bytes without controls", 256],
  ["claim", "a claim's name of 1 to 128 bytes without controls", 128],
] as const;

function identity(value: unknown): string {
  return withMembers({ identity: value });
}

function gateways(...ids: unknown[]): string {
  return identity({ header: { ...HEADER, trusted_gateways: ids } });
}

const IDENTITY: ConfigurationRow[] = [
  good("an identity of peers alone", identity({})),
  good("an identity from tokens", identity({ jwt: [TOKEN] })),
  good("an identity from a header", identity({ header: HEADER })),
  good("a human who is not required", identity({ require_human: false })),
  good("a human who is required, from tokens", identity({ jwt: [TOKEN], require_human: true })),
  good("a human who is required, from a header", identity({ header: HEADER, require_human: true })),
  good("two issuers under one provider", identity({ jwt: [TOKEN, { ...TOKEN, issuer: "https://other.example" }] })),
  good("two providers of one issuer", identity({ jwt: [TOKEN, { ...TOKEN, provider: "other" }] })),
  good("16 token sources", identity({ jwt: names(16).map((provider) => ({ ...TOKEN, provider })) })),
  good("a claim that is a URI", identity({ jwt: [{ ...TOKEN, claim: "https://idp.example/user" }] })),
  good("a claim of another script", identity({ jwt: [{ ...TOKEN, claim: "größe" }] })),
  ...["x", "USER-IDENTITY", "x-1", "-", "a".repeat(64)].map((name) =>
    good(`the identity header ${name}`, identity({ header: { ...HEADER, name } })),
  ),
  good("256 trusted gateways", gateways(...names(256).map((name) => `spiffe://cluster.local/ns/a/sa/${name}`))),
  good("a SPIFFE id of 512 bytes", gateways(`spiffe://cluster.local/${"a".repeat(489)}`)),
  ...["spiffe://a/b", "spiffe://a-b.c_d/E/f.g_H-1", "spiffe://a/...", "spiffe://a/.b/..c"].map((id) =>
    good(`the SPIFFE id ${id}`, gateways(id)),
  ),
  ...[
    ...["a", "spiffe://", "spiffe:///a", "spiffe://a", "spiffe://a/", "spiffe://a//b", "spiffe://a/./b"],
    ...["spiffe://a/..", "spiffe://../a", "spiffe://A/b", "spiffe://a/b/", "spiffe://a/b?c", "spiffe://a/b#c"],
    ...["https://a/b", "SPIFFE://a/b", "spiffe://a/*", "spiffe://a:1/b", "spiffe://a/%2e", "spiffe://a/ü", "*"],
    ...["cluster.local/ns/gateway/sa/ai-gateway", "spiffe://a/b\n"],
  ].map((id) =>
    bad(`${JSON.stringify(id)} as a gateway`, gateways(id), `identity.header.trusted_gateways[0]: ${NOT_AN_ID}`),
  ),
  bad("an empty id", gateways(""), `identity.header.trusted_gateways[0]: found the string "", expected ${SPIFFE_ID}`),
  bad("an id of 513 bytes", gateways(`spiffe://cluster.local/${"a".repeat(490)}`)),
  bad(
    "no trusted gateways",
    gateways(),
    "identity.header.trusted_gateways: found an empty list, expected at least one SPIFFE id",
  ),
  bad(
    "257 trusted gateways",
    gateways(...names(257).map((name) => `spiffe://cluster.local/ns/a/sa/${name}`)),
    "identity.header.trusted_gateways: the list has too many entries, expected at most 256",
  ),
  bad(
    "a gateway twice",
    gateways(GATEWAY, GATEWAY),
    "identity.header.trusted_gateways[1]: found the same string a second time, expected distinct strings",
  ),
  bad(
    "a header without a name",
    identity({ header: { trusted_gateways: [GATEWAY] } }),
    "identity.header: found no name, expected a header's name like User-Identity",
  ),
  bad(
    "a header without gateways",
    identity({ header: { name: "User-Identity" } }),
    "identity.header: found no trusted_gateways, expected a list of SPIFFE ids",
  ),
  ...["", "User_Identity", "user identity", ":path", "a".repeat(65), "größe", "a\n"].map((name) =>
    bad(
      `${JSON.stringify(name)} as a header's name`,
      identity({ header: { ...HEADER, name } }),
      `identity.header.name: found the string "${escaped(name).slice(0, 64)}", expected ${HEADER_NAME}`,
    ),
  ),
  bad(
    "an unknown member of identity.header",
    identity({ header: { ...HEADER, gateways: [] } }),
    'identity.header: found the unknown member "gateways", expected one of name trusted_gateways',
  ),
  bad(
    "an unknown member of identity",
    identity({ jwts: [] }),
    'identity: found the unknown member "jwts", expected one of jwt header require_human require_principal; did you mean "jwt"?',
  ),
  bad(
    "an unknown member of a token source",
    identity({ jwt: [{ ...TOKEN, claims: "sub" }] }),
    'identity.jwt[0]: found the unknown member "claims", expected one of provider issuer claim; did you mean "claim"?',
  ),
  bad(
    "an empty list of tokens",
    identity({ jwt: [] }),
    `identity.jwt: found an empty list, expected at least one object with provider, issuer and claim`,
  ),
  bad(
    "17 token sources",
    identity({ jwt: names(17).map((provider) => ({ ...TOKEN, provider })) }),
    "identity.jwt[16]: the list has too many entries, expected at most 16",
  ),
  bad(
    "a provider and issuer twice",
    identity({ jwt: [TOKEN, { ...TOKEN, claim: "email" }] }),
    "identity.jwt[1]: found the same provider and issuer a second time, expected distinct ones",
    "a schema compares whole entries",
  ),
  bad(
    "a token source without a provider",
    identity({ jwt: [{ issuer: "a", claim: "sub" }] }),
    "identity.jwt[0]: found no provider, expected the name under which jwt_authn keeps the payload",
  ),
  bad(
    "a token source without an issuer",
    identity({ jwt: [{ provider: "a", claim: "sub" }] }),
    "identity.jwt[0]: found no issuer, expected the iss of its tokens",
  ),
  bad(
    "a token source without a claim",
    identity({ jwt: [{ provider: "a", issuer: "b" }] }),
    "identity.jwt[0]: found no claim, expected the name of the claim that identifies the human",
  ),
  ...TOKEN_TEXTS.flatMap(([member, what, most]) => [
    good(`${member} of ${most} bytes`, identity({ jwt: [{ ...TOKEN, [member]: "x".repeat(most) }] })),
    ...["", "a\u0000b", "\n", "\u007f", "x".repeat(most + 1)].map((text) =>
      bad(
        `${JSON.stringify(text)} as ${member}`,
        identity({ jwt: [{ ...TOKEN, [member]: text }] }),
        `identity.jwt[0].${member}: found the string "${text.length > 64 ? "x".repeat(64) : escaped(text)}", expected ${what}`,
      ),
    ),
    bad(
      `a number as ${member}`,
      identity({ jwt: [{ ...TOKEN, [member]: 7 }] }),
      `identity.jwt[0].${member}: found the number 7, expected ${what}`,
    ),
  ]),
  bad(
    "require_human with nobody who names one",
    identity({ require_human: true }),
    "identity: found require_human without jwt and header, expected one of them: nobody else names a human",
  ),
  good("a principal who is required, of peers alone", identity({ require_principal: true })),
  good("a principal who is not required", identity({ require_principal: false })),
  good("a human and a principal", identity({ jwt: [TOKEN], require_human: true, require_principal: true })),
  bad(
    "a word for require_principal",
    identity({ require_principal: "yes" }),
    'identity.require_principal: found the string "yes", expected true or false',
  ),
  ...(
    [
      ["true", 1, "the number 1"],
      ["a word", "yes", 'the string "yes"'],
      ["null", null, "null"],
    ] as const
  ).map(([name, value, found]) =>
    bad(
      `${name} for require_human`.replace(/^true/, "1"),
      identity({ jwt: [TOKEN], require_human: value }),
      `identity.require_human: found ${found}, expected true or false`,
    ),
  ),
  ...(
    [
      ["identity", null, "null", "an object with jwt, header, require_human and require_principal"],
      ["identity", [], "a list", "an object with jwt, header, require_human and require_principal"],
      ["identity.jwt", { jwt: TOKEN }, "an object", "a list of objects with provider, issuer and claim"],
      ["identity.jwt[0]", { jwt: ["sub"] }, 'the string "sub"', TOKEN_SOURCE],
      [
        "identity.header",
        { header: "User-Identity" },
        'the string "User-Identity"',
        "an object with name and trusted_gateways",
      ],
    ] as const
  ).map(([place, value, found, what]) =>
    bad(`${found} for ${place}`, identity(value), `${place}: found ${found}, expected ${what}`),
  ),
  bad(
    "an identity that is cut",
    '{"tool_allowlist":[],"identity":{"jwt":[{',
    "identity.jwt[0]: not acceptable JSON at byte 41: json_incomplete",
    NO_JSON,
  ),
];

const AUDIT: ConfigurationRow[] = [
  good("an audit of defaults", withMembers({ audit: {} })),
  good("a record for each exchange", withMembers({ audit: { line: "json" } })),
  good("no records", withMembers({ audit: { line: "none" } })),
  ...["arguments", "response"].flatMap((member) => [
    good(`a digest for audit.${member}`, withMembers({ audit: { [member]: "digest" } })),
    good(`nothing for audit.${member}`, withMembers({ audit: { [member]: "none" } })),
    bad(
      `another word for audit.${member}`,
      withMembers({ audit: { [member]: "all" } }),
      `audit.${member}: found the string "all", expected one of none digest redacted full`,
    ),
  ]),
  bad(
    "another word for audit.line",
    withMembers({ audit: { line: "off" } }),
    'audit.line: found the string "off", expected one of json none',
  ),
  bad(
    "an unknown member of audit",
    withMembers({ audit: { lines: "json" } }),
    'audit: found the unknown member "lines", expected one of line arguments response otlp required redact redact_response record_bytes; did you mean "line"?',
  ),
  bad(
    "a word for audit",
    withMembers({ audit: "json" }),
    'audit: found the string "json", expected an object with line, arguments, redact, response, redact_response, record_bytes, otlp and required',
  ),
  bad(
    "null for audit",
    withMembers({ audit: null }),
    "audit: found null, expected an object with line, arguments, redact, response, redact_response, record_bytes, otlp and required",
  ),
  bad(
    "null for audit.line",
    withMembers({ audit: { line: null } }),
    "audit.line: found null, expected one of json none",
  ),
];

const REDACT: ConfigurationRow[] = [
  good("responses in full", withMembers({ audit: { response: "full" } })),
  good(
    "responses without 63 values",
    withMembers({ audit: { response: "redacted", redact_response: names(63).map((name) => `/${name}`) } }),
  ),
  bad(
    "redacted responses without pointers",
    withMembers({ audit: { response: "redacted" } }),
    "audit: found response: redacted without redact_response, expected the pointers to what is left out",
  ),
  bad(
    "pointers into responses with response: full",
    withMembers({ audit: { response: "full", redact_response: ["/a"] } }),
    "audit: found redact_response without response: redacted, expected both",
  ),
  bad(
    "a pointer into responses that is none",
    withMembers({ audit: { response: "redacted", redact_response: ["a"] } }),
    `audit.redact_response[0]: found the string "a", expected ${POINTER}`,
  ),
  good("arguments in full", withMembers({ audit: { arguments: "full" } })),
  ...[["/a"], ["/a/-/b", "/c~1d/~0e"], ["/"], names(63).map((name) => `/${name}`)].map((redact) =>
    good(
      `arguments without ${redact.slice(0, 3).join(", ")} (${redact.length})`,
      withMembers({ audit: { redact, arguments: "redacted" } }),
    ),
  ),
  bad(
    "redacted arguments without pointers",
    withMembers({ audit: { arguments: "redacted" } }),
    "audit: found arguments: redacted without redact, expected the pointers to what is left out",
  ),
  ...["none", "digest", "full"].map((word) =>
    bad(
      `pointers with arguments: ${word}`,
      withMembers({ audit: { arguments: word, redact: ["/a"] } }),
      "audit: found redact without arguments: redacted, expected both",
    ),
  ),
  bad(
    "pointers alone",
    withMembers({ audit: { redact: ["/a"] } }),
    "audit: found redact without arguments: redacted, expected both",
  ),
  bad(
    "no pointers to redact",
    withMembers({ audit: { arguments: "redacted", redact: [] } }),
    "audit.redact: found an empty list, expected at least one JSON Pointer",
  ),
  bad(
    "64 pointers to redact",
    withMembers({ audit: { arguments: "redacted", redact: names(64).map((name) => `/${name}`) } }),
    "audit.redact[63]: the list has too many entries, expected at most 63",
  ),
  ...(
    [
      ["password", 'the string "password"'],
      ["", 'the string ""'],
      [7, "the number 7"],
      [null, "null"],
      [["/a"], "a list"],
    ] as const
  ).map(([value, found]) =>
    bad(
      `${JSON.stringify(value)} to redact`,
      withMembers({ audit: { arguments: "redacted", redact: ["/a", value] } }),
      `audit.redact[1]: found ${found}, expected ${POINTER}`,
    ),
  ),
  ...["/a~", "/a~2", "/a/b/c/d/e/f/g/h/i"].map((pointer) =>
    bad(
      `${pointer} to redact`,
      withMembers({ audit: { arguments: "redacted", redact: [pointer] } }),
      `audit.redact[0]: ${NOT_A_POINTER}`,
    ),
  ),
  bad(
    "a pointer to redact that is no list",
    withMembers({ audit: { arguments: "redacted", redact: "/a" } }),
    'audit.redact: found the string "/a", expected a list of JSON Pointers',
  ),
];

const OTLP = {
  cluster: "outbound|4318||otel-collector.observability.svc.cluster.local",
  authority: "otel-collector:4318",
};
const CLUSTER = "a cluster's name of 1 to 512 bytes of printable ASCII";
const AUTHORITY = "a host of 1 to 256 bytes of printable ASCII";
const LOGS_PATH = "an absolute path of 1 to 256 bytes of printable ASCII";

function otlp(members: Record<string, unknown>): string {
  return withMembers({ audit: { otlp: { ...OTLP, ...members } } });
}

const COLLECTOR: ConfigurationRow[] = [
  good("a collector", otlp({})),
  ...["none", "approval", "all"].map((required) =>
    good(`required records: ${required}`, withMembers({ audit: { otlp: OTLP, required } })),
  ),
  ...[16_384, 65_536].map((bytes) =>
    good(`records of ${bytes} bytes`, withMembers({ audit: { record_bytes: bytes } })),
  ),
  ...[16_383, 65_537].map((bytes) =>
    bad(
      `records of ${bytes} bytes`,
      withMembers({ audit: { record_bytes: bytes } }),
      `audit.record_bytes: found the number ${bytes}, expected a whole number from 16384 to 65536`,
    ),
  ),
  good(
    "a queue with room for four records",
    withMembers({ audit: { record_bytes: 20_000, otlp: { ...OTLP, queue_bytes: 80_000 } } }),
  ),
  bad(
    "a queue without room for four records",
    withMembers({ audit: { record_bytes: 20_000, otlp: { ...OTLP, queue_bytes: 79_999 } } }),
    "audit: found otlp.queue_bytes below four times record_bytes, expected room for some records",
    "it cannot compare two numbers",
  ),
  good("required: none without a collector", withMembers({ audit: { required: "none" } })),
  ...["approval", "all"].map((required) =>
    bad(
      `required records without a collector: ${required}`,
      withMembers({ audit: { required } }),
      "audit: found required without otlp, expected a collector that acknowledges records",
    ),
  ),
  bad(
    "another word for audit.required",
    withMembers({ audit: { otlp: OTLP, required: "some" } }),
    'audit.required: found the string "some", expected one of none approval all',
  ),
  ...["all", "none"].map((messages) => good(`records of messages: ${messages}`, otlp({ messages }))),
  bad(
    "another word for messages",
    otlp({ messages: "some" }),
    'audit.otlp.messages: found the string "some", expected one of all none',
  ),
  good("a cluster of 512 bytes", otlp({ cluster: "c".repeat(512) })),
  good("an authority of 256 bytes", otlp({ authority: "a".repeat(256) })),
  good("a path of 256 bytes for logs", otlp({ path: `/${"p".repeat(255)}` })),
  good("the path / for logs", otlp({ path: "/" })),
  ...(
    [
      ["cluster", 512, CLUSTER],
      ["authority", 256, AUTHORITY],
      ["path", 256, LOGS_PATH],
    ] as const
  ).flatMap(([member, most, what]) => [
    ...["", "a b", "a\n", "ä", "x".repeat(most + 1)].map((text) =>
      bad(
        `${JSON.stringify(text)} as audit.otlp.${member}`,
        otlp({ [member]: text }),
        `audit.otlp.${member}: found the string "${text.length > 64 ? "x".repeat(64) : escaped(text)}", expected ${what}`,
      ),
    ),
    bad(`null as audit.otlp.${member}`, otlp({ [member]: null }), `audit.otlp.${member}: found null, expected ${what}`),
  ]),
  bad(
    "a path for logs that is not absolute",
    otlp({ path: "v1/logs" }),
    `audit.otlp.path: found the string "v1/logs", expected ${LOGS_PATH}`,
  ),
  ...(
    [
      ["timeout_ms", 100, 60_000],
      ["flush_ms", 100, 10_000],
      ["queue_bytes", 65_536, 67_108_864],
    ] as const
  ).flatMap(([member, least, most]) => [
    good(`the least ${member}`, otlp({ [member]: least })),
    good(`the most ${member}`, otlp({ [member]: most })),
    ...[least - 1, most + 1].map((value) =>
      bad(
        `${value} as ${member}`,
        otlp({ [member]: value }),
        `audit.otlp.${member}: found the number ${value}, expected a whole number from ${least} to ${most}`,
      ),
    ),
  ]),
  bad(
    "a collector without a cluster",
    withMembers({ audit: { otlp: { authority: "a" } } }),
    "audit.otlp: found no cluster, expected the name of the proxy's cluster for the collector",
  ),
  bad(
    "a collector without an authority",
    withMembers({ audit: { otlp: { cluster: "a" } } }),
    "audit.otlp: found no authority, expected the collector's host like otel-collector:4318",
  ),
  bad(
    "an unknown member of audit.otlp",
    otlp({ headers: {} }),
    'audit.otlp: found the unknown member "headers", expected one of cluster authority path timeout_ms flush_ms queue_bytes messages',
  ),
  bad(
    "a URL for audit.otlp",
    withMembers({ audit: { otlp: "http://c:4318" } }),
    'audit.otlp: found the string "http://c:4318", expected an object with cluster and authority',
  ),
];

const METRICS: ConfigurationRow[] = [
  ...[0, 1, 100, 1024].map((tools) => good(`counters for ${tools} tools`, withMembers({ metrics: { tools } }))),
  good("metrics of defaults", withMembers({ metrics: {} })),
  bad(
    "counters for 1025 tools",
    withMembers({ metrics: { tools: 1025 } }),
    "metrics.tools: found the number 1025, expected a whole number from 0 to 1024",
  ),
  bad(
    "counters for -1 tools",
    withMembers({ metrics: { tools: -1 } }),
    "metrics.tools: found the number -1, expected a whole number from 0 to 1024",
  ),
  bad(
    "an unknown member of metrics",
    withMembers({ metrics: { tool: 1 } }),
    'metrics: found the unknown member "tool", expected one of tools; did you mean "tools"?',
  ),
  bad("null for metrics", withMembers({ metrics: null }), "metrics: found null, expected an object with tools"),
];

/** All rows. */
export const CONFIGURATIONS: readonly ConfigurationRow[] = [
  ...[STANDARD, TOOLS, ROOT, TOGETHER, WORD_ROWS, PROMPTS, ROOTS, METHODS, ARGUMENTS, SOURCES].flat(),
  ...RESPONSE_URIS,
  ...IDENTITY,
  ...IDENTITY_RULES,
  ...TOKENS,
  ...RATES,
  ...AUDIT,
  ...REDACT,
  ...COLLECTOR,
  ...METRICS,
  ...[UNGUARDED, LIMITS, APPROVAL, ASKED, TEXTS].flat(),
];
