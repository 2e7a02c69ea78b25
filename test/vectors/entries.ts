// The method table line by line: what each method is under the policy that opens nothing and under one that opens
// everything; and each place where a name, a URI or a task id enters, with one that is listed, one that is not, and one that climbs.

import type { MessagePolicy, MessageReason } from "../oracle/message.ts";
import { bytes } from "./bytes.ts";
import type { PolicyVector } from "./policy.ts";

/** The standard's two lines. */
export const CLOSED: MessagePolicy = { tool_allowlist: ["safe"] };

/** The same with every member that opens something. */
export const OPEN: MessagePolicy = {
  ...CLOSED,
  prompt_allowlist: ["greet"],
  resource_roots: ["file:///docs/"],
  method_allowlist: ["vendor/x", "skills/list", "skills/get"],
  tasks: "allow",
};

interface Line {
  readonly method: string;
  readonly params?: object;
  /** The reason under CLOSED; absent: it passes. */
  readonly closed?: MessageReason;
}

const uri = "file:///docs/a";

/** Every method of every revision that a client may send, with what it needs to be answered. */
export const METHOD_LINES: readonly Line[] = [
  { method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: {} } },
  { method: "ping" },
  { method: "server/discover" },
  { method: "logging/setLevel", params: { level: "info" } },
  { method: "tools/list" },
  { method: "prompts/list" },
  { method: "resources/list" },
  { method: "resources/templates/list", params: { cursor: "c" } },
  { method: "notifications/initialized" },
  { method: "notifications/cancelled", params: { requestId: 1 } },
  { method: "notifications/progress", params: { progressToken: 1, progress: 1 } },
  { method: "notifications/roots/list_changed" },
  { method: "tools/call", params: { name: "safe", arguments: {} } },
  { method: "prompts/get", params: { name: "greet", arguments: {} }, closed: "prompt_not_listed" },
  {
    method: "completion/complete",
    params: { ref: { type: "ref/prompt", name: "greet" }, argument: { name: "a", value: "../b" } },
    closed: "prompt_not_listed",
  },
  {
    method: "completion/complete",
    params: { ref: { type: "ref/resource", uri: "file:///docs/{x}" }, argument: { name: "x", value: "b" } },
    closed: "resource_not_listed",
  },
  { method: "resources/read", params: { uri }, closed: "resource_not_listed" },
  { method: "resources/subscribe", params: { uri }, closed: "resource_not_listed" },
  { method: "resources/unsubscribe", params: { uri }, closed: "resource_not_listed" },
  { method: "subscriptions/listen", params: { notifications: { toolsListChanged: true } } },
  { method: "subscriptions/listen", params: { notifications: { resourceSubscriptions: [], taskIds: [] } } },
  {
    method: "subscriptions/listen",
    params: { notifications: { resourceSubscriptions: [uri] } },
    closed: "resource_not_listed",
  },
  { method: "subscriptions/listen", params: { notifications: { taskIds: ["t"] } }, closed: "task_denied" },
  { method: "tasks/get", params: { taskId: "t" }, closed: "task_denied" },
  { method: "tasks/result", params: { taskId: "t" }, closed: "task_denied" },
  { method: "tasks/update", params: { taskId: "t", inputResponses: {} }, closed: "task_denied" },
  { method: "tasks/cancel", params: { taskId: "t" }, closed: "task_denied" },
  { method: "tasks/list", closed: "task_denied" },
  { method: "notifications/tasks/status", params: { taskId: "t", status: "working" }, closed: "task_denied" },
  { method: "tools/call", params: { name: "safe", task: { ttl: 1 } }, closed: "task_denied" },
  { method: "vendor/x", closed: "method_not_listed" },
  { method: "skills/list", closed: "method_not_listed" },
  { method: "skills/get", params: { uri }, closed: "method_not_listed" },
];

/** Methods that neither policy opens. */
const SHUT: readonly (readonly [method: string, closed: MessageReason, open: MessageReason])[] = [
  ["vendor/y", "method_not_listed", "method_not_listed"],
  ["tools/call/x", "method_not_listed", "method_not_listed"],
  ["resources/write", "method_not_listed", "method_not_listed"],
  ["sampling/createMessage", "method_not_listed", "method_not_listed"],
  ["elicitation/create", "method_not_listed", "method_not_listed"],
  ["roots/list", "method_not_listed", "method_not_listed"],
  ["notifications/vendor", "method_not_listed", "method_not_listed"],
  ["notifications/message", "method_not_listed", "method_not_listed"],
  ["notifications/resources/updated", "method_not_listed", "method_not_listed"],
  ["notifications/tasks", "method_not_listed", "method_not_listed"],
  ["tasks/x", "task_denied", "method_not_listed"],
  ["tasks/", "task_denied", "method_not_listed"],
];

const message = (method: string, params?: object): Uint8Array =>
  bytes(
    JSON.stringify({
      jsonrpc: "2.0",
      ...(!method.startsWith("notifications/") && { id: 1 }),
      method,
      ...(params !== undefined && { params }),
    }),
  );

const TABLE: readonly PolicyVector[] = [
  ...METHOD_LINES.flatMap(({ method, params, closed }) => {
    const what = `${method} ${JSON.stringify(params ?? {})}`;
    return [
      { name: `${what}, closed`, policy: CLOSED, body: message(method, params), reasons: closed ? [closed] : [] },
      { name: `${what}, open`, policy: OPEN, body: message(method, params), reasons: [] },
    ];
  }),
  ...SHUT.flatMap(([method, closed, open]) => [
    { name: `${method}, closed`, policy: CLOSED, body: message(method), reasons: [closed] },
    { name: `${method}, open`, policy: OPEN, body: message(method), reasons: [open] },
  ]),
];

const refused = (name: string, body: Uint8Array, ...reasons: readonly MessageReason[]): PolicyVector => ({
  name,
  policy: OPEN,
  body,
  reasons,
});

const CLIMBING = "file:///docs/%2e%2e/etc";
const skills: MessagePolicy = { ...CLOSED, method_allowlist: ["skills/get"] };

/** The places of section "names, URIs and task ids in", under OPEN, with what is not listed and with what climbs. */
const PLACES: readonly PolicyVector[] = [
  refused("tools/call: name", message("tools/call", { name: "evil" }), "tool_not_listed"),
  refused("prompts/get: name", message("prompts/get", { name: "safe" }), "prompt_not_listed"),
  refused("prompts/get: another case", message("prompts/get", { name: "Greet" }), "prompt_not_listed"),
  refused("prompts/get: no name", message("prompts/get", {}), "params_invalid"),
  refused("prompts/get: a list", message("prompts/get", { name: ["greet"] }), "params_invalid"),
  refused("prompts/get: arguments a list", message("prompts/get", { name: "greet", arguments: [] }), "params_invalid"),
  refused("prompts/get: a long name", message("prompts/get", { name: "n".repeat(5000) }), "prompt_not_listed"),
  ...(["ref/prompt"] as const).flatMap((type) => [
    refused("a completion: name", message("completion/complete", { ref: { type, name: "safe" } }), "prompt_not_listed"),
    refused("a completion: no name", message("completion/complete", { ref: { type } }), "params_invalid"),
    refused(
      "a completion: a URI instead of a name",
      message("completion/complete", { ref: { type, uri: "file:///docs/a" } }),
      "params_invalid",
    ),
    refused(
      "a completion: a long name",
      message("completion/complete", { ref: { type, name: "n".repeat(5000) } }),
      "prompt_not_listed",
    ),
  ]),
  refused(
    "a completion: no ref",
    message("completion/complete", { argument: { name: "a", value: "b" } }),
    "params_invalid",
  ),
  refused("a completion: no type", message("completion/complete", { ref: { name: "greet" } }), "params_invalid"),
  refused(
    "a completion: another type",
    message("completion/complete", { ref: { type: "ref/Prompt", name: "greet" } }),
    "params_invalid",
  ),
  refused(
    "a completion: a long type",
    message("completion/complete", { ref: { type: `ref/prompt${" ".repeat(20)}`, name: "greet" } }),
    "params_invalid",
  ),
  refused("a completion: ref a string", message("completion/complete", { ref: "ref/prompt" }), "params_invalid"),
  ...["resources/read", "resources/subscribe", "resources/unsubscribe", "skills/get"].flatMap((method) => [
    refused(`${method}: uri`, message(method, { uri: "file:///etc/a" }), "resource_not_listed"),
    refused(`${method}: a uri that climbs`, message(method, { uri: CLIMBING }), "uri_traversal"),
    refused(`${method}: no uri`, message(method), "params_invalid"),
    refused(`${method}: uri null`, message(method, { uri: null }), "params_invalid"),
    refused(`${method}: a relative uri`, message(method, { uri: "a" }), "uri_malformed"),
  ]),
  {
    name: "skills/get without roots",
    policy: skills,
    body: message("skills/get", { uri }),
    reasons: ["resource_not_listed"],
  },
  {
    name: "skills/get not listed",
    policy: { ...OPEN, method_allowlist: [] },
    body: message("skills/get", { uri }),
    reasons: ["method_not_listed"],
  },
  {
    name: "vendor/x: a uri under no root",
    policy: OPEN,
    body: message("vendor/x", { uri: "mcp://other/x" }),
    reasons: [],
  },
  { name: "vendor/x: a uri that is a number", policy: OPEN, body: message("vendor/x", { uri: 1 }), reasons: [] },
  refused("vendor/x: a uri that climbs", message("vendor/x", { uri: CLIMBING }), "uri_traversal"),
  refused("vendor/x: a malformed uri", message("vendor/x", { uri: "FILE:///a" }), "uri_malformed"),
  refused("vendor/y: a uri that climbs", message("vendor/y", { uri: CLIMBING }), "method_not_listed"),
  refused(
    "completion/complete: uri",
    message("completion/complete", { ref: { type: "ref/resource", uri: "file:///etc/{x}" } }),
    "resource_not_listed",
  ),
  refused(
    "completion/complete: a uri that climbs",
    message("completion/complete", { ref: { type: "ref/resource", uri: `${CLIMBING}/{x}` } }),
    "uri_traversal",
  ),
  refused(
    "completion/complete: a value that climbs",
    message("completion/complete", {
      ref: { type: "ref/resource", uri: "file:///docs/{x}" },
      argument: { name: "x", value: "..%2f" },
    }),
    "uri_traversal",
  ),
  ...["/etc/passwd", "%2fetc/passwd", "\\\\host\\share", "%255cetc"].map((value) =>
    refused(
      `completion/complete: the absolute value ${value}`,
      message("completion/complete", {
        ref: { type: "ref/resource", uri: "file:///docs/{x}" },
        argument: { name: "x", value },
      }),
      "uri_malformed",
    ),
  ),
  refused(
    "completion/complete: a value of the context that climbs",
    message("completion/complete", {
      ref: { type: "ref/resource", uri: "file:///docs/{y}/{x}" },
      argument: { name: "x", value: "a" },
      context: { arguments: { z: "ok", y: ".." } },
    }),
    "uri_traversal",
  ),
  refused(
    "completion/complete: a value of the context that climbs before one that does not",
    message("completion/complete", {
      ref: { type: "ref/resource", uri: "file:///docs/{y}/{x}" },
      context: { arguments: { y: "..", z: "ok" } },
      argument: { name: "x", value: "a" },
    }),
    "uri_traversal",
  ),
  refused(
    "completion/complete: no uri",
    message("completion/complete", { ref: { type: "ref/resource", name: "greet" } }),
    "params_invalid",
  ),
  refused(
    "subscriptions/listen: a uri",
    message("subscriptions/listen", { notifications: { resourceSubscriptions: [uri, "file:///etc/a"] } }),
    "resource_not_listed",
  ),
  refused(
    "subscriptions/listen: a uri that climbs",
    message("subscriptions/listen", { notifications: { resourceSubscriptions: [uri, CLIMBING] } }),
    "uri_traversal",
  ),
  refused(
    "subscriptions/listen: a list in the list",
    message("subscriptions/listen", { notifications: { resourceSubscriptions: [[uri]] } }),
    "params_invalid",
  ),
  refused(
    "subscriptions/listen: uris null",
    message("subscriptions/listen", { notifications: { resourceSubscriptions: null } }),
    "params_invalid",
  ),
  refused(
    "subscriptions/listen: task ids null",
    message("subscriptions/listen", { notifications: { taskIds: null } }),
    "params_invalid",
  ),
  refused("subscriptions/listen: a list", message("subscriptions/listen", { notifications: [] }), "params_invalid"),
  ...["tasks/get", "tasks/result", "tasks/update", "tasks/cancel"].flatMap((method) => [
    refused(`${method}: no task id`, message(method, {}), "params_invalid"),
    refused(`${method}: a task id that is a number`, message(method, { taskId: 1 }), "params_invalid"),
  ]),
  refused(
    "input responses that are a list",
    message("tools/call", { name: "safe", inputResponses: [{ roots: [{ uri }] }] }),
    "params_invalid",
  ),
  refused(
    "a root in an input response",
    message("tools/call", { name: "safe", inputResponses: { r: { roots: [{ uri: CLIMBING }] } } }),
    "uri_traversal",
  ),
  refused(
    "a root in an input response of a prompt",
    message("prompts/get", { name: "greet", inputResponses: { r: { roots: [{ uri }, { uri: "x" }] } } }),
    "uri_malformed",
  ),
  refused(
    "a near name of roots in an input response",
    message("tools/call", { name: "safe", inputResponses: { r: { Roots: [{ uri: CLIMBING }] } } }),
    "near_name",
  ),
  refused(
    "a near name of a root's URI",
    bytes('{"jsonrpc":"2.0","id":1,"result":{"roots":[{"uri":"file:///a","URI":"file:///b"}]}}'),
    "near_name",
  ),
  refused(
    "a near name of a completion's value",
    message("completion/complete", {
      ref: { type: "ref/prompt", name: "greet" },
      argument: { name: "x", value: "a", Value: "b" },
    }),
    "near_name",
  ),
  {
    name: "roots elsewhere in an answer",
    policy: OPEN,
    body: bytes('{"jsonrpc":"2.0","id":1,"result":{"content":{"roots":[{"uri":"../x"}]},"roots":{"uri":"../x"}}}'),
    reasons: [],
  },
  {
    name: "an input response under an odd name",
    policy: OPEN,
    body: message("tools/call", { name: "safe", inputResponses: { Roots: { x: 1 }, "": { roots: [] } } }),
    reasons: [],
  },
];

export const ENTRY_VECTORS: readonly PolicyVector[] = [...TABLE, ...PLACES];
