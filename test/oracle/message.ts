// The reference verdict on one MCP request body: the strict reader, then JSON.parse, then the rules one after the other
// in plain code. The filter decides while it reads and may meet two faults of one body in another order, so `faults`
// gives every reason that would be justified, and `messageVerdict` the first in the order of this file.

import { type ArgumentRule, brokenRules } from "./argument-rules.ts";
import { type Headers, type MirrorReason, mirrorFaults } from "./mirror.ts";
import { type JsonErrorName, type JsonEvent, readStrictJson, type StrictLimits } from "./strict-json.ts";
import {
  beginsWithSlash,
  isTemplateUnderRoot,
  isUnderRoot,
  type UriForm,
  type UriReason,
  type UriTraversal,
  uriFaults,
} from "./uri.ts";

export type MessageReason =
  | JsonErrorName
  | MirrorReason
  | UriReason
  | "near_name"
  | "jsonrpc_version"
  | "message_mixed"
  | "method_invalid"
  | "id_invalid"
  | "params_invalid"
  | "id_missing"
  | "id_unexpected"
  | "method_not_listed"
  | "tool_not_listed"
  | "prompt_not_listed"
  | "resource_not_listed"
  | "task_denied"
  | "approval_not_configured"
  | "human_required"
  | "principal_required"
  | "argument_not_allowed";

/** The members of the plugin configuration that decide about a body. */
export interface MessagePolicy {
  readonly tool_allowlist: readonly string[];
  readonly method_allowlist?: readonly string[];
  readonly prompt_allowlist?: readonly string[];
  readonly resource_roots?: readonly string[];
  readonly tasks?: "deny" | "allow";
  readonly uri_traversal?: UriTraversal;
  readonly argument_rules?: readonly ArgumentRule[];
  readonly approval?: {
    readonly mode?: "off" | "required";
    readonly tools?: readonly string[];
    readonly exempt?: readonly string[];
  };
  /** What nobody who asks has, and the policy asks for (`policyFor`); absent: nothing. */
  readonly lacks?: "human_required" | "principal_required";
  readonly limits?: {
    readonly depth?: number;
    readonly members_per_object?: number;
    readonly open_members?: number;
    readonly key_bytes?: number;
  };
}

export type Verdict = { readonly verdict: "allow" } | { readonly verdict: "refuse"; readonly reason: MessageReason };

/** The verdict on a whole body under a policy, with the first reason in the order of the rules. */
export function messageVerdict(body: Uint8Array, policy: MessagePolicy, headers?: Headers): Verdict {
  const [reason] = faults(body, policy, headers);
  return reason === undefined ? { verdict: "allow" } : { verdict: "refuse", reason };
}

/**
 * Every reason for which this body may be refused under this policy, in the order of the rules; empty if it must pass.
 * Of a body that is not JSON of our language nothing else can be said, except that a near name stood before the error.
 * Without headers nothing is said about what headers and body must agree on.
 */
export function faults(body: Uint8Array, policy: MessagePolicy, headers?: Headers): Set<MessageReason> {
  const reading = readStrictJson(body, strictLimits(policy));
  const nearNames: readonly MessageReason[] = hasNearName(reading.events) ? ["near_name"] : [];
  if (!reading.ok) return new Set([reading.error, ...nearNames]);
  const message: JsonObject = JSON.parse(Buffer.from(body).toString("utf8"));
  return new Set([
    ...nearNames,
    ...envelopeFaults(message, rawId(body, reading.events)),
    ...(headers === undefined ? [] : mirrorFaults(message, headers)),
    ...answerFaults(message, policy),
    ...methodFaults(message, policy),
    ...(policy.lacks !== undefined && actsForSomebody(message) ? [policy.lacks] : []),
  ]);
}

type JsonObject = Record<string, unknown>;

const has = (object: JsonObject, name: string): boolean => Object.hasOwn(object, name);

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The member if it is an object's own and an object itself, else an empty object. */
const objectMember = (object: JsonObject, name: string): JsonObject => {
  const value = object[name];
  return has(object, name) && isObject(value) ? value : {};
};

function strictLimits({ limits = {} }: MessagePolicy): Partial<StrictLimits> {
  return {
    ...(limits.depth !== undefined && { depth: limits.depth }),
    ...(limits.members_per_object !== undefined && { membersPerObject: limits.members_per_object }),
    ...(limits.open_members !== undefined && { openMembers: limits.open_members }),
    ...(limits.key_bytes !== undefined && { keyBytes: limits.key_bytes }),
  };
}

// --- Near names: members that some readers take for a protocol member and others do not ---

/** An object of the protocol: the members that it can have, and which of them are such objects too. */
interface Place {
  readonly known: readonly string[];
  readonly inner: ReadonlyMap<string, Place>;
  /** What stands under names that the server chose. */
  readonly others?: Place;
  /** What the elements are when the value is an array. */
  readonly elements?: Place;
}

const place = (known: readonly string[], inner: readonly (readonly [string, Place])[] = []): Place => ({
  known,
  inner: new Map(inner),
});

const listOf = (elements: Place): Place => ({ ...place([]), elements });

const META = place([
  "io.modelcontextprotocol/protocolVersion",
  "io.modelcontextprotocol/clientCapabilities",
  "io.modelcontextprotocol/clientInfo",
  "io.modelcontextprotocol/logLevel",
  "progressToken",
]);

const REF = place(["type", "name", "uri"]);

const NOTIFICATIONS = place([
  "resourceSubscriptions",
  "taskIds",
  "toolsListChanged",
  "promptsListChanged",
  "resourcesListChanged",
]);

const ARGUMENT = place(["name", "value"]);

/** What a client answers to its server: the value of `result`, and each of those of `inputResponses`. */
const ANSWER = place(["roots"], [["roots", listOf(place(["uri"]))]]);

const PARAMS = place(
  [
    ...["name", "uri", "arguments", "_meta", "cursor", "ref", "argument", "context", "task", "taskId", "notifications"],
    ...["inputResponses", "requestState", "protocolVersion", "capabilities", "clientInfo", "level", "requestId"],
    "progressToken",
  ],
  [
    ["_meta", META],
    ["ref", REF],
    ["notifications", NOTIFICATIONS],
    ["argument", ARGUMENT],
    ["inputResponses", { ...place([]), others: ANSWER }],
  ],
);

const ENVELOPE = place(
  ["jsonrpc", "id", "method", "params", "result", "error"],
  [
    ["params", PARAMS],
    ["result", ANSWER],
  ],
);

/**
 * A member name as the most lenient reader compares it: ASCII letters without case, the two other characters that
 * Unicode folds to an ASCII letter (U+017F, U+212A), without the white space, NULs and other controls around it.
 */
export function foldName(name: string): string {
  return trimControls(name)
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replaceAll("\u017f", "s")
    .replaceAll("\u212a", "k");
}

function trimControls(name: string): string {
  const isPlain = (character: string): boolean => character > " ";
  const characters = [...name];
  return characters.slice(Math.max(0, characters.findIndex(isPlain)), characters.findLastIndex(isPlain) + 1).join("");
}

const isNear = (known: readonly string[], name: string): boolean =>
  !known.includes(name) && known.some((member) => foldName(member) === foldName(name));

/** The elements of the array that begins in `around`, as the value of the member `next`. */
function arrayOf(around: { readonly isArray: boolean } | undefined, next: Place | undefined): Place | undefined {
  return around?.isArray ? undefined : next?.elements;
}

/** Looks at the events and not at the parsed object, so that a body that is not JSON is seen up to its error. */
function hasNearName(events: readonly JsonEvent[]): boolean {
  /** What each open container is in the protocol; nothing for most arrays, arguments and the like. */
  const open: { readonly place: Place | undefined; readonly isArray: boolean }[] = [];
  let next: Place | undefined = ENVELOPE;
  for (const [, kind, text] of events) {
    if (kind === "key") {
      const here = open.at(-1)?.place;
      if (here !== undefined && isNear(here.known, text)) return true;
      next = here?.inner.get(text) ?? here?.others;
    } else if (kind === "object_start" || kind === "array_start") {
      const around = open.at(-1);
      const here: Place | undefined = around?.isArray ? around.place : next;
      open.push(
        kind === "object_start" ? { place: here, isArray: false } : { place: arrayOf(around, next), isArray: true },
      );
      next = undefined;
    } else if (kind === "object_end" || kind === "array_end") {
      open.pop();
    }
  }
  return false;
}

// --- The envelope: JSON-RPC 2.0 sections 4 and 5, and what MCP says about ids ---

const METHOD = /^[!-~]{1,128}$/;
const ID_INTEGER = /^-?(0|[1-9][0-9]{0,15})$/;
const ID_STRING_BYTES_MAX = 256;

function* envelopeFaults(message: JsonObject, id: RawId): Generator<MessageReason> {
  const [hasMethod, hasResult, hasError] = [has(message, "method"), has(message, "result"), has(message, "error")];
  const { method } = message;

  if (message.jsonrpc !== "2.0") yield "jsonrpc_version";
  if (Number(hasMethod) + Number(hasResult) + Number(hasError) !== 1) yield "message_mixed";
  if (hasMethod && !(typeof method === "string" && METHOD.test(method))) yield "method_invalid";
  if (id !== undefined && !isValidId(id)) yield "id_invalid";
  if (has(message, "params") && !isObject(message.params)) yield "params_invalid";
  const params = objectMember(message, "params");
  if (has(params, "_meta") && !isObject(params._meta)) yield "params_invalid";

  const isNotification = typeof method === "string" && method.startsWith("notifications/");
  if (id === undefined && ((hasMethod && !isNotification) || hasResult)) yield "id_missing";
  if (id !== undefined && isNotification) yield "id_unexpected";
}

/** The `id` as the body spells it: the integer literal, or what stands between a string's quotes. */
type RawId = { readonly kind: string; readonly raw: string } | undefined;

function isValidId({ kind, raw }: NonNullable<RawId>): boolean {
  if (kind === "string") return Buffer.byteLength(raw, "latin1") <= ID_STRING_BYTES_MAX;
  if (kind === "number") return ID_INTEGER.test(raw) && Math.abs(Number(raw)) <= Number.MAX_SAFE_INTEGER;
  return false;
}

function rawId(body: Uint8Array, events: readonly JsonEvent[]): RawId {
  let depth = 0;
  for (const [index, [, kind, text]] of events.entries()) {
    if (kind === "object_start" || kind === "array_start") depth++;
    if (kind === "object_end" || kind === "array_end") depth--;
    if (depth !== 1 || kind !== "key" || text !== "id") continue;
    const [start, valueKind, valueText] = events[index + 1]!;
    return { kind: valueKind, raw: valueKind === "string" ? betweenQuotes(body, start) : valueText };
  }
  return undefined;
}

/** The raw bytes of the string that starts at `start`, one character a byte. */
function betweenQuotes(body: Uint8Array, start: number): string {
  let end = start + 1;
  while (body[end] !== 0x22) end += body[end] === 0x5c ? 2 : 1;
  return Buffer.from(body.subarray(start + 1, end)).toString("latin1");
}

// --- The method table ---

const PASSING_METHODS = new Set([
  "initialize",
  "ping",
  "server/discover",
  "logging/setLevel",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "notifications/initialized",
  "notifications/cancelled",
  "notifications/progress",
  "notifications/roots/list_changed",
]);

/** docs/identity.md: answers to the server, and every method but those that a client sends before it knows its user. */
function actsForSomebody({ method }: JsonObject): boolean {
  return typeof method !== "string" || !PASSING_METHODS.has(method);
}

const NAME_BYTES_MAX = 256;
const FLAGGED_PREFIXES = ["delete", "update", "execute"];

function* methodFaults(message: JsonObject, policy: MessagePolicy): Generator<MessageReason> {
  const { method } = message;
  if (typeof method !== "string" || !METHOD.test(method)) return;
  const params = objectMember(message, "params");
  const tasksAllowed = policy.tasks === "allow";

  if (LEGACY_REQUESTS.has(method) && has(objectMember(params, "_meta"), VERSION_KEY)) yield "method_not_listed";
  if (method === "tools/call") yield* toolNameFaults(params.name, policy);
  if (has(params, "task") && !tasksAllowed) yield "task_denied";
  if (has(params, "inputResponses") && !isObject(params.inputResponses)) yield "params_invalid";

  switch (method) {
    case "tools/call":
      if (has(params, "arguments") && !isObject(params.arguments)) yield "params_invalid";
      if (needsApproval(params.name, policy)) {
        // Nobody is named in these requests, so there is nobody whose approval would count.
        yield policy.approval?.mode === "required" ? "human_required" : "approval_not_configured";
      }
      if (breaksArgumentRule(params, policy)) yield "argument_not_allowed";
      return;
    case "prompts/get":
      if (has(params, "arguments") && !isObject(params.arguments)) yield "params_invalid";
      yield* promptFaults(params.name, policy);
      return;
    case "completion/complete":
      yield* completionFaults(params, policy);
      return;
    case "resources/read":
    case "resources/subscribe":
    case "resources/unsubscribe":
      yield* resourceFaults(params.uri, policy);
      return;
    case "subscriptions/listen":
      yield* listenFaults(params, policy);
      return;
  }
  if (TASK_METHODS.has(method) || method.startsWith("tasks/")) {
    if (!tasksAllowed) yield "task_denied";
    else if (TASK_METHODS.get(method) && typeof params.taskId !== "string") yield "params_invalid";
    else if (!TASK_METHODS.has(method)) yield "method_not_listed";
  } else if (!PASSING_METHODS.has(method)) {
    if (!policy.method_allowlist?.includes(method)) yield "method_not_listed";
    else if (method === "skills/get") yield* resourceFaults(params.uri, policy);
    else if (typeof params.uri === "string") yield* uriRules(params.uri, policy, "uri");
  }
}

/** What 2026-07-28 has no more. */
const LEGACY_REQUESTS = new Set([
  "initialize",
  "ping",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
  "tasks/result",
  "tasks/list",
]);
const VERSION_KEY = "io.modelcontextprotocol/protocolVersion";

/** The methods about tasks that MCP knows, and whether each names one. */
const TASK_METHODS: ReadonlyMap<string, boolean> = new Map([
  ["tasks/get", true],
  ["tasks/result", true],
  ["tasks/update", true],
  ["tasks/cancel", true],
  ["tasks/list", false],
  ["notifications/tasks/status", false],
]);

/** The client's own roots, which it tells a server that asks: the URI rules hold, but no list. */
function* answerFaults(message: JsonObject, policy: MessagePolicy): Generator<MessageReason> {
  const responses = objectMember(objectMember(message, "params"), "inputResponses");
  for (const answer of [message.result, ...Object.values(responses)]) {
    if (!isObject(answer) || !has(answer, "roots") || !Array.isArray(answer.roots)) continue;
    for (const root of answer.roots) {
      if (isObject(root) && has(root, "uri") && typeof root.uri === "string") yield* uriRules(root.uri, policy, "uri");
    }
  }
}

function* toolNameFaults(name: unknown, policy: MessagePolicy): Generator<MessageReason> {
  if (typeof name !== "string") yield "params_invalid";
  else if (!isListed(name, policy.tool_allowlist)) yield "tool_not_listed";
}

const isListed = (name: string, list: readonly string[] = []): boolean =>
  Buffer.byteLength(name, "utf8") <= NAME_BYTES_MAX && list.includes(name);

function needsApproval(name: unknown, policy: MessagePolicy): boolean {
  if (typeof name !== "string" || policy.approval?.mode === "off") return false;
  if (policy.approval?.exempt?.includes(name)) return false;
  return policy.approval?.tools?.includes(name) === true || hasFlaggedWord(name);
}

/** docs/policy.md, `approval`: at each place in the name, whether a word begins there, and with what. */
function hasFlaggedWord(name: string): boolean {
  return Array.from(name, (_, at) => at).some((at) => {
    const [before, behind] = [name.slice(0, at), name.slice(at)];
    const beginsWord =
      /^[a-z]/i.test(behind) &&
      (!/[a-z]$/i.test(before) || (/[a-z]$/.test(before) && /^[A-Z]/.test(behind)) || /^[A-Z][a-z]/.test(behind));
    return beginsWord && FLAGGED_PREFIXES.some((prefix) => behind.toLowerCase().startsWith(prefix));
  });
}

function breaksArgumentRule(params: JsonObject, policy: MessagePolicy): boolean {
  const { argument_rules: rules = [], uri_traversal: traversal = "literal" } = policy;
  const { name } = params;
  if (typeof name !== "string" || !has(params, "arguments")) return false;
  return brokenRules(rules, name, params.arguments, traversal).length > 0;
}

function* promptFaults(name: unknown, policy: MessagePolicy): Generator<MessageReason> {
  if (typeof name !== "string") yield "params_invalid";
  else if (!isListed(name, policy.prompt_allowlist)) yield "prompt_not_listed";
}

const uriRules = (text: string, policy: MessagePolicy, form: UriForm): Iterable<UriReason> =>
  uriFaults(text, policy.uri_traversal ?? "literal", form);

/** Without roots every resource is unlisted, and nothing is said about its spelling. */
function* resourceFaults(uri: unknown, policy: MessagePolicy): Generator<MessageReason> {
  const roots = policy.resource_roots ?? [];
  if (typeof uri !== "string") yield "params_invalid";
  else {
    if (roots.length > 0) yield* uriRules(uri, policy, "uri");
    if (!roots.some((root) => isUnderRoot(root, uri))) yield "resource_not_listed";
  }
}

function* completionFaults(params: JsonObject, policy: MessagePolicy): Generator<MessageReason> {
  const ref = objectMember(params, "ref");
  const argument = objectMember(params, "argument");
  if (has(argument, "value") && typeof argument.value !== "string") yield "params_invalid";
  if (ref.type === "ref/prompt") {
    yield* promptFaults(ref.name, policy);
    return;
  }
  const roots = policy.resource_roots ?? [];
  const { uri } = ref;
  if (ref.type !== "ref/resource" || typeof uri !== "string") {
    yield "params_invalid";
    return;
  }
  if (roots.length > 0) yield* uriRules(uri, policy, "template");
  if (!roots.some((root) => isTemplateUnderRoot(root, uri))) yield "resource_not_listed";
  // The values are put into the template, perhaps where slashes are allowed.
  const context = objectMember(objectMember(params, "context"), "arguments");
  for (const value of [argument.value, ...Object.values(context)]) {
    if (typeof value !== "string" || value === "") continue;
    yield* uriRules(value, policy, "path");
    if (beginsWithSlash(value)) yield "uri_malformed";
  }
}

function* listenFaults(params: JsonObject, policy: MessagePolicy): Generator<MessageReason> {
  if (has(params, "notifications") && !isObject(params.notifications)) yield "params_invalid";
  const filter = objectMember(params, "notifications");
  const list = (name: string): readonly unknown[] | undefined => {
    const value = filter[name];
    return has(filter, name) ? (Array.isArray(value) ? value : undefined) : [];
  };
  const [uris, taskIds] = [list("resourceSubscriptions"), list("taskIds")];
  for (const uri of uris ?? [undefined]) yield* resourceFaults(uri, policy);
  if (taskIds?.length !== 0 && policy.tasks !== "allow") yield "task_denied";
  if (taskIds === undefined || taskIds.some((id) => typeof id !== "string")) yield "params_invalid";
}
