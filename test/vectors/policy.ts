// What the members of a policy do to a body: one policy and one body each, for what THREAT_POLICY cannot show because it
// lists one tool and nothing else.

import type { MessagePolicy, MessageReason } from "../oracle/message.ts";
import { bytes, call, safeCall } from "./bytes.ts";

export interface PolicyVector {
  readonly name: string;
  readonly policy: MessagePolicy;
  readonly body: Uint8Array;
  /** Each reason that is acceptable; empty: allowed. */
  readonly reasons: readonly MessageReason[];
}

const vector = (name: string, policy: MessagePolicy, body: Uint8Array, ...reasons: MessageReason[]): PolicyVector => ({
  name,
  policy,
  body,
  reasons,
});

const message = (members: string): Uint8Array => bytes(`{"jsonrpc":"2.0",${members}}`);
const toolNamed = (name: string): Uint8Array => call(`"name":${JSON.stringify(name)}`);

const FLAGGED = ["delete_branch", "updates", "execute", "deleter", "un_delete", "Delete_x", "undelete"];
const flaggedTools: MessagePolicy = { tool_allowlist: FLAGGED };
const approvalOff: MessagePolicy = { ...flaggedTools, approval: { mode: "off" } };

const LONGEST = "n".repeat(256);
const oddNames: MessagePolicy = {
  tool_allowlist: [LONGEST, "\u00fcber/setzen", 'a"b\\c', "tab\there", "\u{1f600}", "nul\0", " padded "],
};

const methods: MessagePolicy = {
  tool_allowlist: ["safe"],
  method_allowlist: ["vendor/x", "notifications/vendor"],
};

const caps: MessagePolicy = {
  tool_allowlist: ["safe"],
  limits: { depth: 4, members_per_object: 4, open_members: 10, key_bytes: 9 },
};

/** Configurations that are refused, because their author would take something for open or closed that is not. */
export const REFUSED_POLICIES: Readonly<Record<string, object>> = {
  "no tool_allowlist": {},
  "an empty tool name": { tool_allowlist: [""] },
  "a tool name of 257 bytes": { tool_allowlist: ["n".repeat(257)] },
  "a tool twice": { tool_allowlist: ["a", "a"] },
  ...Object.fromEntries(
    ["tools/call", "tasks/get", "tasks/x", "prompts/get", "resources/read", "ping", "notifications/tasks/status"].map(
      (method) => [`${method} in method_allowlist`, { tool_allowlist: [], method_allowlist: [method] }],
    ),
  ),
  ...Object.fromEntries(
    [
      ...["docs/", "/docs/", "file:docs", "FILE:///docs/", "file:///docs/../", "file:///docs/?x", "file:///docs/#x"],
      ...["https://u@h/", "file:///a b", "file:///%2e%2e/", "file:////docs/", "file://host/docs/", "", "{x}:///"],
    ].map((root) => [`the root ${JSON.stringify(root)}`, { tool_allowlist: [], resource_roots: [root] }]),
  ),
  "an unknown traversal mode": { tool_allowlist: [], uri_traversal: "none" },
  "tasks true": { tool_allowlist: [], tasks: true },
  ...Object.fromEntries(
    [
      { tool: "a", pointer: "x", rule: "path" },
      { tool: "a", pointer: "", rule: "path" },
      { tool: "a", pointer: "/~2", rule: "path" },
      { tool: "a", pointer: "/~", rule: "path" },
      { tool: "a", pointer: "/1/2/3/4/5/6/7/8/9", rule: "path" },
      { tool: "", pointer: "/x", rule: "path" },
      { pointer: "/x", rule: "path" },
      { tool: "a", rule: "path" },
      { tool: "a", pointer: "/x" },
      { tool: "a", pointer: "/x", rule: "paths" },
      { tool: "a", pointer: "/x", rule: {} },
      { tool: "a", pointer: "/x", rule: { enum: [] } },
      { tool: "a", pointer: "/x", rule: { enum: ["a"], max_bytes: 1 } },
      { tool: "a", pointer: "/x", rule: { max_bytes: -1 } },
      { tool: "a", pointer: "/x", rule: { max_bytes: 1.5 } },
      { tool: "a", pointer: "/x", rule: { uri_roots: ["/a"] } },
      { tool: "a", pointer: "/x", rule: { path_roots: ["a"] } },
      { tool: "a", pointer: "/x", rule: { path_roots: ["/a/.."] } },
      { tool: "a", pointer: "/x", rule: { regex: "a" } },
      { tool: "a", pointer: "/x", rule: "path", extra: 1 },
    ].map((rule) => [`the rule ${JSON.stringify(rule)}`, { tool_allowlist: ["a"], argument_rules: [rule] }]),
  ),
  "65 rules": {
    tool_allowlist: ["a"],
    argument_rules: Array.from({ length: 65 }, (_, index) => ({ tool: "a", pointer: `/${index}`, rule: "path" })),
  },
};

export const POLICY_VECTORS: readonly PolicyVector[] = [
  vector("no tool is listed", { tool_allowlist: [] }, toolNamed("safe"), "tool_not_listed"),
  vector("no tool is listed, an empty name", { tool_allowlist: [] }, toolNamed(""), "tool_not_listed"),
  vector("no tool is listed, a list request", { tool_allowlist: [] }, message('"id":1,"method":"tools/list"')),
  ...["first", "second", "third"].map((name) =>
    vector(`the ${name} of three`, { tool_allowlist: ["first", "second", "third"] }, toolNamed(name)),
  ),

  ...["delete_branch", "updates", "execute", "deleter"].flatMap((name) => [
    vector(`${name} without a decision about approval`, flaggedTools, toolNamed(name), "approval_not_configured"),
    vector(`${name} with approval off`, approvalOff, toolNamed(name)),
  ]),
  vector("an escaped flagged name", flaggedTools, call('"name":"\\u0064elete_branch"'), "approval_not_configured"),
  vector("the word in the middle", flaggedTools, toolNamed("un_delete"), "approval_not_configured"),
  vector("the word behind a letter", flaggedTools, toolNamed("undelete")),
  vector("the word in another case", flaggedTools, toolNamed("Delete_x"), "approval_not_configured"),
  vector("a flagged name that is exempt", { ...flaggedTools, approval: { exempt: ["updates"] } }, toolNamed("updates")),
  vector(
    "a flagged name beside one that is exempt",
    { ...flaggedTools, approval: { exempt: ["updates"] } },
    toolNamed("deleter"),
    "approval_not_configured",
  ),
  vector(
    "a name that approval.tools has",
    { ...flaggedTools, approval: { tools: ["undelete"] } },
    toolNamed("undelete"),
    "approval_not_configured",
  ),
  vector(
    "a name that approval.tools has, approval off",
    {
      ...flaggedTools,
      approval: { mode: "off", tools: ["undelete"] },
    },
    toolNamed("undelete"),
  ),
  vector(
    "a flagged name that is not listed",
    flaggedTools,
    toolNamed("delete_all"),
    "tool_not_listed",
    "approval_not_configured",
  ),
  vector("a flagged name that is not listed, approval off", approvalOff, toolNamed("delete_all"), "tool_not_listed"),

  ...oddNames.tool_allowlist.map((name) =>
    vector(`the listed name ${JSON.stringify(name)}`, oddNames, toolNamed(name)),
  ),
  vector("a listed name of 256 bytes and one more", oddNames, toolNamed(`${LONGEST}n`), "tool_not_listed"),
  vector("a listed name of 256 bytes and a NUL", oddNames, toolNamed(`${LONGEST}\0`), "tool_not_listed"),
  vector("a listed name of 256 bytes less one", oddNames, toolNamed(LONGEST.slice(1)), "tool_not_listed"),
  vector("a listed name decomposed", oddNames, toolNamed("u\u0308ber/setzen"), "tool_not_listed"),
  vector("a listed name without its padding", oddNames, toolNamed("padded"), "tool_not_listed"),
  vector("a listed name without its NUL", oddNames, toolNamed("nul"), "tool_not_listed"),
  vector("a listed name in escapes only", oddNames, call(`"name":"${"\\u006e".repeat(256)}"`)),

  vector("a listed method", methods, message('"id":1,"method":"vendor/x"')),
  vector("a listed method in escapes", methods, message('"id":1,"method":"vendor\\/\\u0078"')),
  vector("a listed method in another case", methods, message('"id":1,"method":"vendor/X"'), "method_not_listed"),
  vector("a longer method", methods, message('"id":1,"method":"vendor/xy"'), "method_not_listed"),
  vector("a listed method without an id", methods, message('"method":"vendor/x"'), "id_missing"),
  vector(
    "a listed method with params null",
    methods,
    message('"id":1,"method":"vendor/x","params":null'),
    "params_invalid",
  ),
  vector(
    "a listed method with a task",
    methods,
    message('"id":1,"method":"vendor/x","params":{"task":{}}'),
    "task_denied",
  ),
  vector("a listed notification", methods, message('"method":"notifications/vendor"')),
  vector(
    "a listed notification with an id",
    methods,
    message('"id":1,"method":"notifications/vendor"'),
    "id_unexpected",
  ),

  vector("at the caps", caps, safeCall('"nine_byte":[1],"b":2,"c":3,"d":4')),
  vector("over the depth", caps, safeCall('"x":[[]]'), "json_depth"),
  vector("over the members", caps, safeCall('"a":1,"b":2,"c":3,"d":4,"e":5'), "json_members"),
  vector(
    "over the open members",
    caps,
    message('"id":1,"method":"tools/call","params":{"name":"safe","_meta":{},"arguments":{"a":1,"b":2,"c":3,"d":4}}'),
    "json_open_members",
  ),
  vector("over the bytes of a name", caps, safeCall('"ten_bytes_":1'), "json_key_bytes"),
];
