// The reference of docs/responses.md: what a client may see of a response, worked out on the whole text, one rule after the
// other. It holds everything at once, so it cannot know what a filter that lets a message flow has let out before it met
// a fault: where the page says that the stream is cut in such a case, the outcome says that it may be.

import { readEventTexts } from "./event-stream.ts";
import { foldName } from "./message.ts";
import {
  arrayNode,
  canonical,
  type JsonText,
  type Member,
  memberOf,
  numberNode,
  objectNode,
  type Refusal,
  readText,
  readTexts,
  refusalNode,
  type Tree,
  type TreeArray,
  type TreeObject,
  textNode,
  tree,
} from "./response-json.ts";
import type { StrictLimits } from "./strict-json.ts";
import { beginsWithSlash, isTemplateUnderRoot, isUnderRoot, type UriTraversal, uriFaults } from "./uri.ts";

/** The members of the plugin configuration that decide about a response. */
export interface ResponsePolicy {
  readonly tool_allowlist: readonly string[];
  readonly prompt_allowlist?: readonly string[];
  readonly resource_roots?: readonly string[];
  readonly method_allowlist?: readonly string[];
  readonly tasks?: "deny" | "allow";
  readonly uri_traversal?: UriTraversal;
  readonly response_uris?: { readonly schemes?: readonly string[]; readonly hosts?: readonly string[] };
  readonly sampling?: "deny" | "allow";
  readonly elicitation?: "deny" | "allow";
  readonly roots?: "deny" | "allow";
  readonly hidden_text?: "strip" | "drop" | "allow";
  readonly limits?: {
    readonly depth?: number;
    readonly members_per_object?: number;
    readonly open_members?: number;
    readonly key_bytes?: number;
    readonly list_bytes?: number;
    readonly event_bytes?: number;
  };
}

/** What the response answers. */
export interface Exchange {
  readonly method: "GET" | "POST";
  /** `Accept` of a GET; absent: that of a client which opens a stream. */
  readonly accept?: string;
  /** The id of the request as text; absent: there is none. */
  readonly id?: string;
  /** The request completes an argument of a prompt. */
  readonly completesPrompt?: boolean;
}

/** An event that a client may see. `data` absent: it has none, or nothing in it. */
export interface SeenEvent {
  readonly event?: string;
  readonly id?: string;
  readonly retry?: string;
  /** JSON as a tree; of the event `endpoint` the text. */
  readonly data?: Tree | string;
}

/** What a client may see, in order. */
export interface ResponseOutcome<Value = Tree | SeenEvent> {
  readonly values: readonly Value[];
  /** The stream may be cut when so many values have gone out whole; a part of the next one may have gone out too. */
  readonly cuts: readonly number[];
  /** False: the stream must be cut. */
  readonly ends: boolean;
  /** The page does not say which of two faults of one message counts. */
  readonly isAmbiguous: boolean;
}

/** What a client may see of a body that is a sequence of JSON texts. */
export function filterJsonBody(policy: ResponsePolicy, exchange: Exchange, bytes: Uint8Array): ResponseOutcome<Tree> {
  const values: Tree[] = [];
  const cuts: number[] = [];
  let isAmbiguous = false;
  let deniedCalls = 0;
  for (const text of readTexts(bytes, strictLimits(policy))) {
    const found = judgeText(text, policy, exchange, false);
    isAmbiguous ||= found.isAmbiguous;
    if (found.mayBeCut) cuts.push(values.length);
    deniedCalls += found.deniedCalls;
    if (found.tree !== undefined) values.push(found.tree);
    if (found.isFault) break;
  }
  if (values.length === 0 && deniedCalls > 0) {
    values.push(refusalNode({ reasons: ["server_request_denied"], ids: [undefined, exchange.id] }));
  }
  return { values, cuts, ends: true, isAmbiguous };
}

const ENDPOINT = /^(?:\/|https?:\/\/)[!-~]*$/;
const ENDPOINT_BYTES_MAX = 2048;
const EVENT_BYTES_DEFAULT = 16 << 20;
const LIST_BYTES_DEFAULT = 1 << 20;

/** What a client may see of an event stream. */
export function filterEventStream(
  policy: ResponsePolicy,
  exchange: Exchange,
  bytes: Uint8Array,
): ResponseOutcome<SeenEvent> {
  const values: SeenEvent[] = [];
  const cuts: number[] = [];
  let isAmbiguous = false;
  for (const { data = "", ...fields } of readEventTexts(bytes)) {
    if (data.length > (policy.limits?.event_bytes ?? EVENT_BYTES_DEFAULT)) {
      return { values, cuts: [...cuts, values.length], ends: false, isAmbiguous };
    }
    if (data === "") {
      if (fields.id !== undefined || fields.retry !== undefined) values.push(fields);
    } else if (fields.event === "endpoint") {
      const isEndpoint = data.length <= ENDPOINT_BYTES_MAX && ENDPOINT.test(data);
      if (exchange.method === "GET" && isEndpoint) values.push({ ...fields, data });
    } else {
      const text = readText(Buffer.from(data, "latin1"), strictLimits(policy));
      const found = judgeText(text, policy, exchange, true);
      isAmbiguous ||= found.isAmbiguous;
      if (found.mayBeCut) cuts.push(values.length);
      if (found.tree !== undefined) values.push({ ...fields, data: found.tree });
    }
  }
  return { values, cuts, ends: true, isAmbiguous };
}

function strictLimits({ limits = {} }: ResponsePolicy): Partial<StrictLimits> {
  return {
    ...(limits.depth !== undefined && { depth: limits.depth }),
    ...(limits.members_per_object !== undefined && { membersPerObject: limits.members_per_object }),
    ...(limits.open_members !== undefined && { openMembers: limits.open_members }),
    ...(limits.key_bytes !== undefined && { keyBytes: limits.key_bytes }),
  };
}

// --- Messages ---

interface Judged {
  /** What takes the place of the text; absent: nothing. */
  readonly tree?: Tree;
  readonly deniedCalls: number;
  /** Of a JSON body nothing follows. */
  readonly isFault: boolean;
  readonly mayBeCut: boolean;
  readonly isAmbiguous: boolean;
}

function judgeText(text: JsonText, policy: ResponsePolicy, exchange: Exchange, onStream: boolean): Judged {
  const fine = { deniedCalls: 0, isFault: false, mayBeCut: false, isAmbiguous: false };
  if (text.ok && text.tree.kind !== "array") return judgeMessage(text.tree, policy, exchange, onStream);

  const elements = text.ok ? (text.tree as TreeArray).elements : text.elements;
  if (elements === undefined) {
    const broken = { ...fine, isFault: true, mayBeCut: true };
    return onStream ? broken : { ...broken, tree: refusalNode({ reasons: ["response_invalid"], ids: idsOf(text) }) };
  }
  const kept: Tree[] = [];
  let { deniedCalls, mayBeCut, isAmbiguous } = fine;
  for (const element of elements) {
    const found = judgeMessage(element, policy, exchange, onStream);
    deniedCalls += found.deniedCalls;
    mayBeCut ||= found.mayBeCut;
    isAmbiguous ||= found.isAmbiguous;
    if (found.isFault && onStream) return { ...fine, isFault: true, mayBeCut: true, isAmbiguous };
    if (found.tree !== undefined) kept.push(found.tree);
    if (found.isFault) return { ...found, tree: arrayNode(kept), deniedCalls, isAmbiguous };
  }
  if (!text.ok) {
    isAmbiguous ||= text.isNested === true;
    if (onStream) return { ...fine, isFault: true, mayBeCut: true, isAmbiguous };
    // An earlier fault of the same message ends the list, perhaps in front of the id.
    kept.push(refusalNode({ reasons: ["response_invalid"], ids: [...idsOf(text), undefined] }));
    return { tree: arrayNode(kept), deniedCalls, isFault: true, mayBeCut: true, isAmbiguous };
  }
  const isGone = kept.length === 0 && (elements.length > 0 || onStream);
  return { deniedCalls, isFault: false, mayBeCut, isAmbiguous, ...(!isGone && { tree: arrayNode(kept) }) };
}

/** An id that stands before the fault has been read, but for a number that may go on. */
const idsOf = (text: JsonText): Refusal["ids"] => {
  if (text.ok || text.id === undefined || !isId(text.id)) return [undefined];
  return /^[-0-9]/.test(text.id) ? [text.id, undefined] : [text.id];
};

/** MCP knows strings and numbers; `null` is the id of nobody. */
const isId = (canonicalText: string): boolean => /^["0-9-]/.test(canonicalText);

const ENVELOPE = ["jsonrpc", "id", "method", "params", "result", "error"] as const;

function judgeMessage(message: Tree, policy: ResponsePolicy, exchange: Exchange, onStream: boolean): Judged {
  const nothing: Judged = { deniedCalls: 0, isFault: false, mayBeCut: false, isAmbiguous: false };
  if (message.kind !== "object") {
    // Nothing is said about a list in a list.
    return { ...nothing, isAmbiguous: message.kind === "array", ...(!onStream && { tree: message }) };
  }

  const rules = new Rules(policy, exchange);
  const isCall = memberOf(message, "method") !== undefined;
  const isAnswer = memberOf(message, "result") !== undefined || memberOf(message, "error") !== undefined;
  rules.nearFault(message, ENVELOPE);
  if (isCall && isAnswer) rules.faults.add("response_invalid");
  if (isCall && message.end - message.start > rules.listBytes) rules.faults.add("response_too_large");

  const isDenied = isCall && !rules.isCallAllowed(memberOf(message, "method"));
  const method = memberOf(message, "method");
  const filtered = mapMembers(message, {
    params: (value) => rules.result(value, method),
    result: (value) => rules.result(value, undefined),
    error: (value) => rules.error(value),
  });

  const isAmbiguous =
    rules.isAmbiguous || (rules.faults.size > 0 && (isDenied || rules.refusals.size > 0 || rules.isCallDropped));
  if (rules.faults.size > 0) {
    const broken = { ...nothing, isFault: true, mayBeCut: true, isAmbiguous };
    const id = idOf(message);
    return onStream
      ? broken
      : {
          ...broken,
          tree: refusalNode({ reasons: [...rules.faults], ids: id === undefined ? [undefined] : [id, undefined] }),
        };
  }
  const version = memberOf(message, "jsonrpc");
  if (onStream && (version === undefined || canonical(version) !== '"2.0"')) return { ...nothing, isAmbiguous };
  if (isCall && (isDenied || rules.isCallDropped || rules.refusals.size > 0)) {
    return { ...nothing, deniedCalls: 1, isAmbiguous };
  }
  if (!isCall && !isAnswer && onStream) return { ...nothing, isAmbiguous };
  if (!isCall && rules.refusals.size > 0) {
    const isIdFirst = indexOf(message, "id") < indexOf(message, "result");
    const ids = isIdFirst ? [idOf(message)] : [idOf(message), undefined];
    const refusal = refusalNode({ reasons: [...rules.refusals], ids });
    return { ...nothing, tree: refusal, mayBeCut: true, isAmbiguous };
  }
  return { ...nothing, tree: filtered, mayBeCut: rules.hasLateDuplicate, isAmbiguous };
}

function idOf(message: TreeObject): string | undefined {
  const id = memberOf(message, "id");
  return id?.kind === "string" || id?.kind === "number" ? canonical(id) : undefined;
}

const indexOf = (object: TreeObject, name: string): number =>
  object.members.findIndex((member) => member.name === name);

// --- What is looked at in a message ---

const CALLS = new Set([
  "ping",
  "notifications/cancelled",
  "notifications/progress",
  "notifications/message",
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
  "notifications/resources/updated",
  "notifications/elicitation/complete",
  "notifications/subscriptions/acknowledged",
]);
const TASK_CALLS = new Set([
  "tasks/get",
  "tasks/result",
  "tasks/list",
  "tasks/cancel",
  "notifications/tasks",
  "notifications/tasks/status",
]);

const R_MEMBERS = [
  ...["tools", "prompts", "resources", "resourceTemplates", "tasks", "contents", "completion", "content", "messages"],
  ...["inputRequests", "serverInfo", "url", "uri", "cacheScope", "ttlMs", "instructions", "result"],
] as const;

const TTL_MS_MAX = 60_000;
const REMOVED_BLOCK = tree('{"type":"text","text":"[removed by policy: uri_not_allowed]"}');

/** What is not seen (section "Hidden text"). */
const HIDDEN =
  /[\u00ad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u{e0000}-\u{e007f}]|[\u{e0100}-\u{e01ef}]|(?![\t\n\r])\p{Cc}/u;
const ALL_HIDDEN = new RegExp(HIDDEN.source, "gu");

/** What is left out of a name before it is compared: what is hidden, and the joiners and selectors that draw nothing. */
const UNSEEN = new RegExp(`${HIDDEN.source}|[\\u200c\\u200d\\ufe00-\\ufe0f]`, "gu");
const AROUND = /^[\p{White_Space}\p{Cc}]+|[\p{White_Space}\p{Cc}]+$/gu;

const folded = (name: string): string => foldName(name.replace(AROUND, "").replace(UNSEEN, "").replace(AROUND, ""));

/** Whether a name is nearly one of these, and none of them. */
export function isNearName(names: readonly string[], name: string): boolean {
  return !names.includes(name) && names.some((known) => folded(known) === folded(name));
}

/** The object with some members' values replaced; `undefined` takes the member out. */
function mapMembers(
  object: TreeObject,
  replace: Readonly<Record<string, (value: Tree) => Tree | undefined>>,
): TreeObject {
  const members: Member[] = [];
  for (const member of object.members) {
    const mapping = Object.hasOwn(replace, member.name) ? replace[member.name] : undefined;
    const value = mapping === undefined ? member.value : mapping(member.value);
    if (value !== undefined) members.push({ ...member, value });
  }
  return objectNode(members);
}

/** The rules on one message, and what they found. */
class Rules {
  readonly faults = new Set<string>();
  /** Why the answer must not pass. */
  readonly refusals = new Set<string>();
  isCallDropped = false;
  hasLateDuplicate = false;
  isAmbiguous = false;
  readonly listBytes: number;
  private readonly policy: ResponsePolicy;
  private readonly exchange: Exchange;

  constructor(policy: ResponsePolicy, exchange: Exchange) {
    this.policy = policy;
    this.exchange = exchange;
    this.listBytes = policy.limits?.list_bytes ?? LIST_BYTES_DEFAULT;
  }

  nearFault(object: TreeObject, names: readonly string[]): void {
    if (this.hasNear(object, names)) this.faults.add("response_invalid");
  }

  private hasNear(object: TreeObject, names: readonly string[]): boolean {
    return object.members.some(({ name }) => isNearName(names, name));
  }

  isCallAllowed(method: Tree | undefined): boolean {
    if (method?.kind !== "string") return false;
    const { sampling = "deny", elicitation = "allow", roots = "allow", tasks = "deny" } = this.policy;
    if (this.policy.method_allowlist?.includes(method.text)) return true;
    if (method.text === "sampling/createMessage") return sampling === "allow";
    if (method.text === "elicitation/create") return elicitation === "allow";
    if (method.text === "roots/list") return roots === "allow";
    return CALLS.has(method.text) || (TASK_CALLS.has(method.text) && tasks === "allow");
  }

  /** `R`: the `result` of an answer, the `params` of a call of this method, the `result` of an R. */
  result(value: Tree, method: Tree | undefined): Tree {
    if (value.kind !== "object") return value;
    this.nearFault(value, R_MEMBERS);
    const called = method?.kind === "string" ? method.text : undefined;
    return mapMembers(value, {
      result: (inner) => this.result(inner, method),
      tools: (list) => this.named(list, this.policy.tool_allowlist, true),
      prompts: (list) => this.named(list, this.policy.prompt_allowlist ?? [], false),
      resources: (list) => this.addressed(list, "uri"),
      resourceTemplates: (list) => this.addressed(list, "uriTemplate"),
      tasks: (list) => {
        const isShown = list.kind === "array" && this.policy.tasks === "allow";
        return arrayNode(isShown ? list.elements.filter(({ kind }) => kind === "object") : []);
      },
      contents: (list) => this.contents(list),
      completion: (completion) => this.completion(completion),
      content: (content) => this.content(content),
      messages: (list) => this.messages(list),
      inputRequests: (requests) => this.inputRequests(requests),
      serverInfo: (info) => this.serverInfo(info),
      url: (url) => {
        if (called === "elicitation/create" && !this.isAllowedUri(url)) this.isCallDropped = true;
        return url;
      },
      uri: (uri) => {
        if (called === "notifications/resources/updated" && !this.isResource(uri)) this.isCallDropped = true;
        return uri;
      },
      cacheScope: () => textNode("private"),
      ttlMs: (ttl) => {
        if (ttl.kind !== "number") this.isAmbiguous = true;
        return ttl.kind === "number" && Number(ttl.text) <= TTL_MS_MAX ? ttl : numberNode(String(TTL_MS_MAX));
      },
      instructions: (text) => this.instructions(text),
    });
  }

  error(value: Tree): Tree {
    if (value.kind !== "object") return value;
    this.nearFault(value, ["data"]);
    return mapMembers(value, {
      data: (data) => {
        if (data.kind !== "object") return data;
        this.nearFault(data, ["elicitations"]);
        return mapMembers(data, {
          elicitations: (list) =>
            this.filter(list, (each) => !this.hasNear(each, ["url"]) && this.isAllowedUri(memberOf(each, "url"))),
        });
      },
    });
  }

  // URIs.

  private keepsRules(text: string, form: "uri" | "template" | "path"): boolean {
    return uriFaults(text, this.policy.uri_traversal ?? "literal", form).size === 0;
  }

  private isResource(uri: Tree | undefined): boolean {
    if (uri?.kind !== "string" || !this.keepsRules(uri.text, "uri")) return false;
    return (this.policy.resource_roots ?? []).some((root) => isUnderRoot(root, uri.text));
  }

  private isTemplate(template: Tree | undefined): boolean {
    if (template?.kind !== "string" || !this.keepsRules(template.text, "template")) return false;
    return (this.policy.resource_roots ?? []).some((root) => isTemplateUnderRoot(root, template.text));
  }

  /** An allowed URI: under a root, or of a scheme and a host that `response_uris` has. */
  private isAllowedUri(uri: Tree | undefined): boolean {
    if (this.isResource(uri)) return true;
    if (uri?.kind !== "string" || !this.keepsRules(uri.text, "uri")) return false;
    const { schemes = ["https"], hosts } = this.policy.response_uris ?? {};
    const [, scheme = "", host] = /^([^:]*):(?:\/\/([^/?#]*))?/.exec(uri.text) ?? [];
    return schemes.includes(scheme) && (hosts === undefined || (host !== undefined && hosts.includes(host)));
  }

  // Lists.

  /** The objects of a list that are kept; of what is no list nothing. */
  private filter(list: Tree, keeps: (element: TreeObject) => boolean): TreeArray {
    if (list.kind !== "array") return arrayNode([]);
    return arrayNode(list.elements.filter((element) => element.kind === "object" && keeps(element)));
  }

  /** `tools` and `prompts`. */
  private named(list: Tree, allowed: readonly string[], areTools: boolean): Tree {
    if (list.kind !== "array") return arrayNode([]);
    const nameOf = (element: Tree): string | undefined => {
      const name = memberOf(element, "name");
      return name?.kind === "string" && allowed.includes(name.text) ? name.text : undefined;
    };
    const counts = new Map<string, number>();
    for (const element of list.elements) {
      const name = nameOf(element);
      if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
      this.measure(element);
    }
    const kept: Tree[] = [];
    let keptBytes = 0;
    for (const element of list.elements) {
      const name = nameOf(element);
      if (element.kind !== "object" || name === undefined) continue;
      const known = areTools ? ["name", "icons", "_meta"] : ["name", "icons"];
      const shown = areTools && !this.hasAllowedUi(element) ? undefined : this.shown(element, known, "name");
      if (shown === undefined && counts.get(name)! > 1) this.isAmbiguous = true;
      if (shown === undefined) continue;
      keptBytes += element.end - element.start;
      if (counts.get(name) === 1) kept.push(shown);
    }
    if (keptBytes > this.listBytes && [...counts.values()].some((count) => count > 1)) this.hasLateDuplicate = true;
    return arrayNode(kept);
  }

  /** `resources` and `resourceTemplates`. */
  private addressed(list: Tree, member: "uri" | "uriTemplate"): Tree {
    if (list.kind !== "array") return arrayNode([]);
    const kept: Tree[] = [];
    for (const element of list.elements) {
      this.measure(element);
      if (element.kind !== "object") continue;
      const uri = memberOf(element, member);
      if (!(member === "uri" ? this.isResource(uri) : this.isTemplate(uri))) continue;
      const shown = this.shown(element, [member, "icons"]);
      if (shown !== undefined) kept.push(shown);
    }
    return arrayNode(kept);
  }

  private measure(element: Tree): void {
    if (element.end - element.start > this.listBytes) this.faults.add("response_too_large");
  }

  /** An element of a list as it is shown, its icons filtered and its text cleaned; undefined: it goes. */
  private shown(element: TreeObject, known: readonly string[], listedName?: string): Tree | undefined {
    if (this.hasNear(element, known)) return undefined;
    const filtered = this.withIcons(element);
    if (hasHiddenName(filtered)) return undefined;
    const setting = this.policy.hidden_text ?? "strip";
    // A listed name shows whatever characters it has.
    const rest = objectNode(filtered.members.filter(({ name }) => name !== listedName));
    if (setting === "drop" && hasHiddenText(rest)) return undefined;
    if (setting !== "strip") return filtered;
    return objectNode(
      filtered.members.map((member) =>
        member.name === listedName ? member : { ...member, value: withoutHidden(member.value) },
      ),
    );
  }

  /** `_meta.ui.resourceUri` and `_meta["ui/resourceUri"]`. */
  private hasAllowedUi(tool: TreeObject): boolean {
    const meta = memberOf(tool, "_meta");
    if (meta?.kind !== "object") return true;
    if (this.hasNear(meta, ["ui", "ui/resourceUri"])) return false;
    const ui = memberOf(meta, "ui");
    if (ui?.kind === "object" && this.hasNear(ui, ["resourceUri"])) return false;
    const uris = [memberOf(meta, "ui/resourceUri"), memberOf(ui, "resourceUri")];
    return uris.every((uri) => uri === undefined || this.isAllowedUri(uri));
  }

  private withIcons(object: TreeObject): TreeObject {
    return mapMembers(object, {
      icons: (list) =>
        this.filter(list, (icon) => {
          const src = memberOf(icon, "src");
          if (this.hasNear(icon, ["src"])) {
            this.isAmbiguous = true;
            return false;
          }
          return this.isAllowedUri(src) || (src?.kind === "string" && src.text.startsWith("data:"));
        }),
    });
  }

  private serverInfo(info: Tree): Tree {
    if (info.kind !== "object") return info;
    this.nearFault(info, ["icons"]);
    return this.withIcons(info);
  }

  private contents(list: Tree): Tree {
    if (list.kind !== "array") return arrayNode([]);
    for (const element of list.elements) {
      const uri = memberOf(element, "uri");
      if (element.kind === "object" && this.hasNear(element, ["uri"])) this.isAmbiguous = true;
      if (this.isResource(uri)) {
        const start = element.kind === "object" ? element.members.find(({ name }) => name === "uri")!.start : 0;
        if (start - element.start > this.listBytes) this.faults.add("response_too_large");
        continue;
      }
      this.refusals.add("resource_not_listed");
      if (uri?.kind === "string") {
        for (const reason of uriFaults(uri.text, this.policy.uri_traversal ?? "literal", "uri"))
          this.refusals.add(reason);
      }
    }
    return list;
  }

  private completion(completion: Tree): Tree {
    if (completion.kind !== "object") {
      this.isAmbiguous = true;
      return completion;
    }
    this.nearFault(completion, ["values"]);
    return mapMembers(completion, {
      values: (list) => {
        if (list.kind !== "array") return arrayNode([]);
        return arrayNode(
          list.elements.filter(
            (value) => value.kind === "string" && (this.exchange.completesPrompt || this.isTemplateValue(value.text)),
          ),
        );
      },
    });
  }

  private isTemplateValue(value: string): boolean {
    return value === "" || (this.keepsRules(value, "path") && !beginsWithSlash(value));
  }

  private content(content: Tree): Tree {
    if (content.kind === "object") return this.block(content);
    if (content.kind !== "array") return arrayNode([]);
    return arrayNode(content.elements.flatMap((each) => (each.kind === "object" ? [this.block(each)] : [])));
  }

  private block(block: TreeObject): Tree {
    const type = memberOf(block, "type");
    const isLink = type?.kind === "string" && type.text === "resource_link";
    if (this.hasNear(block, ["type", "uri", "icons", "content"])) return REMOVED_BLOCK;
    if (isLink && !this.isAllowedUri(memberOf(block, "uri"))) return REMOVED_BLOCK;
    return mapMembers(this.withIcons(block), { content: (content) => this.content(content) });
  }

  private messages(list: Tree): Tree {
    const kept = this.filter(list, (message) => !this.hasNear(message, ["content"]));
    return arrayNode(
      kept.elements.map((message) =>
        mapMembers(message as TreeObject, { content: (content) => this.content(content) }),
      ),
    );
  }

  private inputRequests(requests: Tree): Tree {
    if (requests.kind !== "object") {
      this.isAmbiguous = true;
      return requests;
    }
    const members: Member[] = [];
    for (const member of requests.members) {
      const request = member.value;
      if (request.kind !== "object" || this.hasNear(request, ["method", "params"])) continue;
      const method = memberOf(request, "method");
      if (!this.isCallAllowed(method)) continue;
      const rules = new Rules(this.policy, this.exchange);
      const value = mapMembers(request, { params: (params) => rules.result(params, method) });
      this.isAmbiguous ||= rules.isAmbiguous || rules.faults.size > 0;
      for (const fault of rules.faults) this.faults.add(fault);
      if (!rules.isCallDropped && rules.refusals.size === 0) members.push({ ...member, value });
    }
    return objectNode(members);
  }

  private instructions(text: Tree): Tree {
    const setting = this.policy.hidden_text ?? "strip";
    if (text.kind !== "string" || setting === "allow") return text;
    if (setting === "drop") return HIDDEN.test(text.text) ? textNode("") : text;
    return withoutHidden(text);
  }
}

// --- Hidden text ---

function withoutHidden(value: Tree): Tree {
  if (value.kind === "string") return textNode(value.text.replace(ALL_HIDDEN, ""));
  if (value.kind === "array") return arrayNode(value.elements.map(withoutHidden));
  if (value.kind !== "object") return value;
  return objectNode(value.members.map((member) => ({ ...member, value: withoutHidden(member.value) })));
}

function hasHiddenText(value: Tree): boolean {
  if (value.kind === "string") return HIDDEN.test(value.text);
  if (value.kind === "array") return value.elements.some(hasHiddenText);
  return value.kind === "object" && value.members.some((member) => hasHiddenText(member.value));
}

function hasHiddenName(value: Tree): boolean {
  if (value.kind === "array") return value.elements.some(hasHiddenName);
  if (value.kind !== "object") return false;
  return value.members.some(({ name, value: inner }) => HIDDEN.test(name) || hasHiddenName(inner));
}
