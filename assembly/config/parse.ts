// The plugin configuration -> a policy. The contract is schema/policy.schema.json, and test/unit holds the two together.
// What is not known is refused: a member that is spelled wrongly would otherwise be a rule that nobody applies.

import { allocateReader } from "../json/allocate";
import { JsonError } from "../json/error";
import { finish, JsonReader, next, openChunk, resetReader, Token } from "../json/reader";
import {
  BODY_BYTES_DEFAULT,
  BODY_BYTES_MAX,
  CONFIG_BYTES_MAX,
  DEPTH_DEFAULT,
  DEPTH_MAX,
  EVENT_BYTES_DEFAULT,
  EVENT_BYTES_MAX,
  EVENT_BYTES_MIN,
  HOST_BYTES_MAX,
  IN_FLIGHT_BYTES_DEFAULT,
  IN_FLIGHT_BYTES_MAX,
  IN_FLIGHT_BYTES_MIN,
  KEY_BYTES_DEFAULT,
  KEY_BYTES_MAX,
  LIST_BYTES_DEFAULT,
  LIST_BYTES_MAX,
  LIST_BYTES_MIN,
  MEMBERS_PER_OBJECT_DEFAULT,
  MEMBERS_PER_OBJECT_MAX,
  METHOD_BYTES_MAX,
  METRIC_TOOLS_DEFAULT,
  METRIC_TOOLS_MAX,
  NAME_BYTES_MAX,
  OPEN_MEMBERS_DEFAULT,
  OPEN_MEMBERS_MAX,
  RECORD_BYTES_DEFAULT,
  ROOT_BYTES_MAX,
  ROOTS_MAX,
  STALL_MS_DEFAULT,
  STALL_MS_MAX,
  STALL_MS_MIN,
} from "../limits";
import { Method, methodOf } from "../mcp/method";
import { Literal } from "../memory/bytes";
import { allocateNameSet, firstName, NameSet, nameBytes, nextName } from "../policy/name-set";
import { allocatePolicy, freePolicy, Policy, RequestBody, RequestHeaders } from "../policy/policy";
import { infoOf, reasonOfJson } from "../policy/reason";
import { readApproval } from "./approval";
import { readArgumentRules } from "./argument-rules";
import { readAudit } from "./audit";
import { readIdentity } from "./identity";
import {
  clearProblem,
  enterElement,
  enterMember,
  leavePath,
  notJson,
  placeAtHand,
  told,
  unknownMember,
} from "./problem";
import { readRateLimit } from "./rate-limit";
import { readResponseUris } from "./response-uris";
import { checkHosts, checkOrigins, checkRoots } from "./roots";
import { finishRules, readRules } from "./rules";
import { checkAuthorization, readTokenExchange } from "./token-exchange";
import { readUnguarded } from "./unguarded";
import { Member, nextMember, number, readNames, readNumber, readStart, readToken, readWord, wordIndex } from "./values";

const TOOL_NAME: Literal = "a tool name of 1 to 256 bytes";
const KNOWN =
  "tool_allowlist method_allowlist mode refusal refusal_detail request_headers request_body direction unguarded limits approval prompt_allowlist resource_roots tasks uri_traversal argument_rules allowed_origins allowed_hosts response_uris sampling elicitation roots hidden_text identity audit metrics authorization token_exchange rate_limit rules";
const KNOWN_LIMITS =
  "body_bytes depth members_per_object open_members key_bytes stall_ms in_flight_bytes list_bytes event_bytes";
const ORIGIN_BYTES_MAX: u32 = 256;

/** Depth and members of the deepest and widest object of a configuration, with room to name a mistake below it. */
const CONFIG_DEPTH: u32 = 16;
const CONFIG_MEMBERS: u32 = 256;
const CONFIG_KEY_BYTES: u32 = 256;

let reader: JsonReader | null = null;

/**
 * Compiles the `bytes` bytes at `address`. The caller owns the policy; null means that the configuration is refused, and
 * `toldProblem` (problem.ts) says why.
 */
export function parsePolicy(address: usize, bytes: u32): Policy | null {
  clearProblem();
  const source = openConfiguration(address, bytes);
  const policy = allocatePolicy();
  setDefaults(policy);
  let isGood =
    bytes <= CONFIG_BYTES_MAX
      ? bytes != 0
        ? readRoot(source, policy)
        : told("found nothing, expected an object with tool_allowlist")
      : told("larger than 4 MiB");
  if (isGood && next(source) == Token.Failed) isGood = false;
  if (isGood) finish(source);
  if (source.error != JsonError.None) isGood = tellError(source);
  resetReader(source);
  if (isGood) return policy;
  freePolicy(policy);
  return null;
}

/** Tells why the text is refused as JSON. False. */
function tellError(source: JsonReader): bool {
  switch (source.error) {
    case JsonError.ArrayRoot:
      return told("found a list, expected an object with tool_allowlist");
    case JsonError.ScalarRoot:
      return told("found no object, expected an object with tool_allowlist");
    default:
      return notJson(infoOf(reasonOfJson(source.error)).name, source.errorOffset);
  }
}

function openConfiguration(address: usize, bytes: u32): JsonReader {
  let source = reader;
  if (source === null) {
    source = allocateReader(CONFIG_DEPTH, CONFIG_MEMBERS, CONFIG_MEMBERS, CONFIG_KEY_BYTES);
    reader = source;
  }
  openChunk(source, address, bytes);
  return source;
}

function setDefaults(policy: Policy): void {
  policy.json.depth = DEPTH_DEFAULT;
  policy.json.membersPerObject = MEMBERS_PER_OBJECT_DEFAULT;
  policy.json.openMembers = OPEN_MEMBERS_DEFAULT;
  policy.json.keyBytes = KEY_BYTES_DEFAULT;
  policy.bodyBytesMax = BODY_BYTES_DEFAULT;
  policy.stallMs = STALL_MS_DEFAULT;
  policy.inFlightBytesMax = IN_FLIGHT_BYTES_DEFAULT;
  policy.listBytesMax = LIST_BYTES_DEFAULT;
  policy.eventBytesMax = EVENT_BYTES_DEFAULT;
  policy.metricTools = METRIC_TOOLS_DEFAULT;
  policy.recordBytes = RECORD_BYTES_DEFAULT;
  policy.elicitationAllowed = true;
  policy.rootsAllowed = true;
}

function readRoot(source: JsonReader, policy: Policy): bool {
  if (!readStart(source, Token.ObjectStart, "an object with tool_allowlist")) return false;
  while (true) {
    const token = readToken(source);
    if (token == Token.ObjectEnd) break;
    if (token != Token.Key || !readMember(source, policy)) return false;
  }
  if (policy.tools === null) return told("found no tool_allowlist, expected a list of tool names ([] allows none)");
  // The headers would wait for a verdict that needs the body, and the body would go on without them.
  if (policy.requestHeaders == RequestHeaders.Hold && policy.requestBody == RequestBody.Stream) {
    return told("found request_headers: hold with request_body: stream, expected one of them without the other");
  }
  // A call that waits for a human must not be at the server in part, and what a client holds for the guard is taken out of it.
  if (policy.approver !== null && policy.requestBody == RequestBody.Stream) {
    return told("found approval.mode: required with request_body: stream, expected one of them without the other");
  }
  if (!checkAuthorization(policy)) return false;
  if (policy.methods === null) policy.methods = allocateNameSet(0, 0);
  return finishRules(policy);
}

function readMember(source: JsonReader, policy: Policy): bool {
  const name = source.keyAt;
  const bytes = source.textBytes;
  switch (wordIndex(name, bytes, KNOWN)) {
    case 0:
      return readTools(source, policy);
    case 1:
      return readMethods(source, policy);
    case 2: {
      const mode = readMemberWord(source, "mode", "enforce monitor");
      policy.mode = mode;
      return mode >= 0;
    }
    case 3: {
      const form = readMemberWord(source, "refusal", "jsonrpc_error tool_error http_403");
      policy.refusal = form;
      return form >= 0;
    }
    case 4: {
      const detail = readMemberWord(source, "refusal_detail", "explain masked");
      policy.refusalDetail = detail;
      return detail >= 0;
    }
    case 5: {
      const headers = readMemberWord(source, "request_headers", "release hold");
      policy.requestHeaders = headers;
      return headers >= 0;
    }
    case 6:
      return readRequestBody(source, policy);
    case 7: {
      const direction = readMemberWord(source, "direction", "inbound both");
      policy.direction = direction;
      return direction >= 0;
    }
    case 8: {
      const before = enterMember("unguarded");
      const isGood = readUnguarded(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 9:
      return readLimits(source, policy);
    case 10: {
      const before = enterMember("approval");
      const isGood = readApproval(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 11:
      return readPrompts(source, policy);
    case 12:
      return readResourceRoots(source, policy);
    case 13: {
      const tasks = readMemberWord(source, "tasks", "deny allow");
      policy.tasksAllowed = tasks == 1;
      return tasks >= 0;
    }
    case 14: {
      const traversal = readMemberWord(source, "uri_traversal", "literal segment");
      policy.traversal = traversal;
      return traversal >= 0;
    }
    case 15: {
      const before = enterMember("argument_rules");
      const isGood = readArgumentRules(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 16:
      policy.allowedOrigins = readMemberNames(
        source,
        "allowed_origins",
        ORIGIN_BYTES_MAX,
        "an origin like https://app.example (RFC 6454), 1 to 256 bytes",
      );
      return areOrigins(policy.allowedOrigins);
    case 17:
      policy.allowedHosts = readMemberNames(
        source,
        "allowed_hosts",
        HOST_BYTES_MAX,
        "a host like mcp.example or mcp.example:8443, 1 to 256 bytes",
      );
      return areHosts(policy.allowedHosts);
    case 18: {
      const before = enterMember("response_uris");
      const isGood = readResponseUris(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 19: {
      const sampling = readMemberWord(source, "sampling", "deny allow");
      policy.samplingAllowed = sampling == 1;
      return sampling >= 0;
    }
    case 20: {
      const elicitation = readMemberWord(source, "elicitation", "allow deny");
      policy.elicitationAllowed = elicitation == 0;
      return elicitation >= 0;
    }
    case 21: {
      const roots = readMemberWord(source, "roots", "allow deny");
      policy.rootsAllowed = roots == 0;
      return roots >= 0;
    }
    case 22: {
      const hidden = readMemberWord(source, "hidden_text", "strip drop allow");
      policy.hiddenText = hidden;
      return hidden >= 0;
    }
    case 23: {
      const before = enterMember("identity");
      const isGood = readIdentity(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 24: {
      const before = enterMember("audit");
      const isGood = readAudit(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 25:
      return readMetrics(source, policy);
    case 26: {
      const authorization = readMemberWord(source, "authorization", "pass strip exchange");
      policy.authorization = authorization;
      return authorization >= 0;
    }
    case 27: {
      const before = enterMember("token_exchange");
      const isGood = readTokenExchange(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 28: {
      const before = enterMember("rate_limit");
      const isGood = readRateLimit(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    case 29: {
      const before = enterMember("rules");
      const isGood = readRules(source, policy);
      if (isGood) leavePath(before);
      return isGood;
    }
    default:
      return unknownMember(name, bytes, KNOWN);
  }
}

/** Reads a word into the member `name`. Index of the word, or -1. */
function readMemberWord(source: JsonReader, name: Literal, words: Literal): i32 {
  const before = enterMember(name);
  const index = readWord(source, words);
  if (index >= 0) leavePath(before);
  return index;
}

function readTools(source: JsonReader, policy: Policy): bool {
  const before = enterMember("tool_allowlist");
  const tools = readNames(source, NAME_BYTES_MAX, TOOL_NAME);
  policy.tools = tools;
  if (tools === null) return false;
  leavePath(before);
  return true;
}

/** Reads a list of names into the member `name`. Null when the problem has been told. */
function readMemberNames(source: JsonReader, name: Literal, most: u32, what: Literal): NameSet | null {
  const before = enterMember(name);
  const names = readNames(source, most, what);
  if (names !== null) leavePath(before);
  return names;
}

function areOrigins(origins: NameSet | null): bool {
  if (origins === null) return false;
  const before = enterMember("allowed_origins");
  if (!checkOrigins(origins)) return false;
  leavePath(before);
  return true;
}

function areHosts(hosts: NameSet | null): bool {
  if (hosts === null) return false;
  const before = enterMember("allowed_hosts");
  // An empty list would refuse everything, and an absent one allows all: nobody means the first.
  if (hosts.entries == 0) return told("found an empty list, expected at least one host");
  if (!checkHosts(hosts, false)) return false;
  leavePath(before);
  return true;
}

function readPrompts(source: JsonReader, policy: Policy): bool {
  policy.prompts = readMemberNames(source, "prompt_allowlist", NAME_BYTES_MAX, "a prompt name of 1 to 256 bytes");
  return policy.prompts !== null;
}

function readResourceRoots(source: JsonReader, policy: Policy): bool {
  const before = enterMember("resource_roots");
  const roots = readNames(source, ROOT_BYTES_MAX, "an absolute URI of 1 to 1024 bytes");
  policy.resourceRoots = roots;
  if (roots === null) return false;
  if (roots.entries > ROOTS_MAX) return told("the list has too many entries, expected at most 256");
  if (!checkRoots(roots, true)) return false;
  leavePath(before);
  return true;
}

function readMethods(source: JsonReader, policy: Policy): bool {
  const before = enterMember("method_allowlist");
  const methods = readNames(source, METHOD_BYTES_MAX, "a method name of 1 to 128 bytes of printable ASCII");
  policy.methods = methods;
  if (methods === null) return false;
  let index: u32 = 0;
  for (let name = firstName(methods); name != 0; name = nextName(methods, name)) {
    enterElement(index);
    if (!isPrintable(name, nameBytes(name))) {
      return told("found a byte that is not printable ASCII, expected a method name");
    }
    if (methodOf(name, nameBytes(name)) != Method.Other) {
      return told("found a method of the built-in table, expected a further one: its own member opens it");
    }
    leavePath(before);
    enterMember("method_allowlist");
    index++;
  }
  leavePath(before);
  return true;
}

function isPrintable(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the caller's range.
    if (u32(load<u8>(address + i)) - 0x21 > 0x5d) return false;
  }
  return true;
}

function readRequestBody(source: JsonReader, policy: Policy): bool {
  const body = readMemberWord(source, "request_body", "whole stream");
  policy.requestBody = body;
  return body >= 0;
}

function readMetrics(source: JsonReader, policy: Policy): bool {
  const before = enterMember("metrics");
  if (!readStart(source, Token.ObjectStart, "an object with tools")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(source, "tools", place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readNumber(source, 0, METRIC_TOOLS_MAX)) return false;
    policy.metricTools = number;
  }
  leavePath(before);
  return true;
}

function readLimits(source: JsonReader, policy: Policy): bool {
  const before = enterMember("limits");
  if (!readStart(source, Token.ObjectStart, "an object")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(source, KNOWN_LIMITS, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readLimit(source, policy, index)) return false;
  }
  leavePath(before);
  return true;
}

function readLimit(source: JsonReader, policy: Policy, index: i32): bool {
  let low: u32 = 1;
  let high: u32 = BODY_BYTES_MAX;
  if (index == 1) high = DEPTH_MAX;
  else if (index == 2) high = MEMBERS_PER_OBJECT_MAX;
  else if (index == 3) high = OPEN_MEMBERS_MAX;
  else if (index == 4) high = KEY_BYTES_MAX;
  else if (index == 5) {
    low = STALL_MS_MIN;
    high = STALL_MS_MAX;
  } else if (index == 6) {
    low = IN_FLIGHT_BYTES_MIN;
    high = IN_FLIGHT_BYTES_MAX;
  } else if (index == 7) {
    low = LIST_BYTES_MIN;
    high = LIST_BYTES_MAX;
  } else if (index == 8) {
    low = EVENT_BYTES_MIN;
    high = EVENT_BYTES_MAX;
  }
  if (!readNumber(source, low, high)) return false;
  if (index == 0) policy.bodyBytesMax = number;
  else if (index == 1) policy.json.depth = number;
  else if (index == 2) policy.json.membersPerObject = number;
  else if (index == 3) policy.json.openMembers = number;
  else if (index == 4) policy.json.keyBytes = number;
  else if (index == 5) policy.stallMs = number;
  else if (index == 6) policy.inFlightBytesMax = number;
  else if (index == 7) policy.listBytesMax = number;
  else policy.eventBytesMax = number;
  return true;
}
