// The digest of a policy: SHA-256 of its canonical JSON (RFC 8785) with every default written out, so that two spellings of
// one policy have one digest, and a change of a default shows. schema/policy-digest.md is the written format.

import { Literal } from "../memory/bytes";
import { sha256 } from "../memory/sha256";
import {
  allocateWriter,
  Writer,
  writeByte,
  writeJsonByte,
  writeJsonString,
  writeLiteral,
  writeNumber,
} from "../memory/writer";
import { Approver, LegacyCarrier } from "../policy/approver";
import { ArgumentRule, pointerBytes, RuleKind, segmentAt, segmentBytes } from "../policy/argument-rule";
import { Collector } from "../policy/collector";
import { Identity } from "../policy/identity";
import { firstName, NameSet, nameBytes, nextName } from "../policy/name-set";
import {
  AuditBody,
  AuditLine,
  AuditRequired,
  Authorization,
  Direction,
  HiddenText,
  HttpMethod,
  Mode,
  Policy,
  RefusalDetail,
  RefusalForm,
  RequestBody,
  RequestHeaders,
} from "../policy/policy";
import { Rate, RateLimit } from "../policy/rate-limit";
import { claimOf, Rules } from "../policy/rules";
import { ClientAuth, SigningAlgorithm, TokenService, TokenType } from "../policy/token-service";
import { Traversal } from "../uri/rules";
import { writeSpki } from "./p256-key";

/** The first 64 bits of the digest, as the first 16 hexadecimal digits. */
export function policyDigest(policy: Policy): u64 {
  // Names can grow by six when they are escaped; the rest of the text is bounded.
  let room: u32 = 2048 + namesRoom(policy.tools) + namesRoom(policy.methods) + namesRoom(policy.prompts);
  room += namesRoom(policy.resourceRoots) + namesRoom(policy.allowedOrigins) + namesRoom(policy.allowedHosts);
  room += namesRoom(policy.responseSchemes) + namesRoom(policy.responseHosts);
  room += namesRoom(policy.approvalTools) + namesRoom(policy.approvalExempt);
  let rule = policy.argumentRules;
  while (rule !== null) {
    room += 128 + namesRoom(rule.values) + (rule.toolBytes + pointerBytes(rule)) * 6;
    rule = rule.next;
  }
  let entry = policy.unguarded;
  while (entry !== null) {
    room += (entry.pathBytes + entry.reasonBytes) * 6 + 128;
    entry = entry.next;
  }
  room += pointersRoom(policy.redactedArguments) + pointersRoom(policy.redactedResponse);
  const identity = policy.identity;
  if (identity !== null) room += identityRoom(identity);
  const rules = policy.rules;
  if (rules !== null) room += rulesRoom(rules);
  const collector = policy.collector;
  if (collector !== null) {
    room += 256 + (collector.clusterBytes + collector.authorityBytes + collector.pathBytes) * 6;
  }
  const approver = policy.approver;
  if (approver !== null) room += approverRoom(approver);
  const service = policy.tokenService;
  if (service !== null) room += tokenServiceRoom(service);
  const writer = allocateWriter(room);
  writePolicy(writer, policy);
  // SAFETY: the digest has 32 bytes.
  const digest = bswap(load<u64>(sha256(writer.start, writer.length)));
  heap.free(changetype<usize>(writer));
  return digest;
}

function namesRoom(names: NameSet | null): u32 {
  if (names === null) return 0;
  return u32(names.end - changetype<usize>(names)) * 6;
}

function pointersRoom(first: ArgumentRule | null): u32 {
  let room: u32 = 0;
  let pointer = first;
  while (pointer !== null) {
    room += 64 + pointerBytes(pointer) * 6;
    pointer = pointer.next;
  }
  return room;
}

function identityRoom(identity: Identity): u32 {
  let room: u32 = 128 + namesRoom(identity.gateways) + identity.headerBytes;
  let source = identity.tokens;
  while (source !== null) {
    room += 64 + (source.providerBytes + source.issuerBytes + source.claimBytes) * 6;
    source = source.next;
  }
  return room;
}

/** There can be many lists, so that their texts are counted and not their memory. */
function rulesRoom(rules: Rules): u32 {
  let longest: u32 = 0;
  let asked = rules.claims;
  while (asked !== null) {
    longest = max(longest, asked.issuerBytes + asked.claimBytes);
    asked = asked.next;
  }
  let room: u32 = 64;
  let rule = rules.first;
  while (rule !== null) {
    // Member names, and the issuer and the claim that stand beside each value of a group.
    room += 256 + textsRoom(rule.principals, 0) + textsRoom(rule.groups, longest) + textsRoom(rule.workloads, 0);
    room +=
      textsRoom(rule.tools, 0) + textsRoom(rule.prompts, 0) + textsRoom(rule.roots, 0) + textsRoom(rule.exempt, 0);
    rule = rule.next;
  }
  return room;
}

/** Room for the texts of a list, each with `beside` further bytes. */
function textsRoom(names: NameSet | null, beside: u32): u32 {
  if (names === null) return 0;
  let room: u32 = 0;
  for (let name = firstName(names); name != 0; name = nextName(names, name)) {
    room += (nameBytes(name) + beside) * 6 + 40;
  }
  return room;
}

/** Two keys take some 600 bytes beside the names. */
function approverRoom(approver: Approver): u32 {
  let bytes = approver.serverBytes + approver.pageBytes + approver.clusterBytes + approver.authorityBytes;
  bytes += approver.pathBytes + approver.secretEnvBytes;
  let key = approver.firstKey;
  while (key !== null) {
    bytes += key.kidBytes;
    key = key.next;
  }
  return 1024 + bytes * 6;
}

function tokenServiceRoom(service: TokenService): u32 {
  let bytes = service.clusterBytes + service.authorityBytes + service.pathBytes + service.clientBytes;
  bytes += service.variableBytes + service.kidBytes + service.assertionAudienceBytes + service.audienceBytes;
  bytes += service.resourceBytes + service.scopeBytes + service.actorVariableBytes;
  return 1024 + bytes * 6;
}

/** Members in the order of their names, as RFC 8785 section 3.2.3 has it. */
function writePolicy(writer: Writer, policy: Policy): void {
  writeByte(writer, 0x7b);
  // Absent means any host, which no list says.
  if (policy.allowedHosts !== null) writeList(writer, "allowed_hosts", policy.allowedHosts);
  writeList(writer, "allowed_origins", policy.allowedOrigins);
  writeApproval(writer, policy);
  writeArgumentRules(writer, policy);
  writeAudit(writer, policy);
  // What becomes of a caller's token when nobody says so is no part of the policy's text.
  const authorization = policy.authorization;
  if (authorization != Authorization.Pass) {
    writeWord(writer, "authorization", authorization == Authorization.Strip ? "strip" : "exchange");
  }
  writeWord(writer, "direction", policy.direction == Direction.Both ? "both" : "inbound");
  writeWord(writer, "elicitation", policy.elicitationAllowed ? "allow" : "deny");
  const hidden = policy.hiddenText;
  writeWord(writer, "hidden_text", hidden == HiddenText.Strip ? "strip" : hidden == HiddenText.Drop ? "drop" : "allow");
  const identity = policy.identity;
  if (identity !== null && !identity.isImplied) writeIdentity(writer, identity);
  writeLiteral(writer, '"limits":{');
  writeCount(writer, "body_bytes", policy.bodyBytesMax);
  writeCount(writer, "depth", policy.json.depth);
  writeCount(writer, "event_bytes", policy.eventBytesMax);
  writeCount(writer, "in_flight_bytes", policy.inFlightBytesMax);
  writeCount(writer, "key_bytes", policy.json.keyBytes);
  writeCount(writer, "list_bytes", policy.listBytesMax);
  writeCount(writer, "members_per_object", policy.json.membersPerObject);
  writeCount(writer, "open_members", policy.json.openMembers);
  writeCount(writer, "stall_ms", policy.stallMs);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
  writeList(writer, "method_allowlist", policy.methods);
  writeLiteral(writer, '"metrics":{');
  writeCount(writer, "tools", policy.metricTools);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
  writeWord(writer, "mode", policy.mode == Mode.Monitor ? "monitor" : "enforce");
  writeList(writer, "prompt_allowlist", policy.prompts);
  const limit = policy.rateLimit;
  if (limit !== null) writeRateLimit(writer, limit);
  const form = policy.refusal;
  writeWord(
    writer,
    "refusal",
    form == RefusalForm.JsonrpcError ? "jsonrpc_error" : form == RefusalForm.ToolError ? "tool_error" : "http_403",
  );
  writeWord(writer, "refusal_detail", policy.refusalDetail == RefusalDetail.Masked ? "masked" : "explain");
  writeWord(writer, "request_body", policy.requestBody == RequestBody.Stream ? "stream" : "whole");
  writeWord(writer, "request_headers", policy.requestHeaders == RequestHeaders.Hold ? "hold" : "release");
  writeList(writer, "resource_roots", policy.resourceRoots);
  writeResponseUris(writer, policy);
  writeWord(writer, "roots", policy.rootsAllowed ? "allow" : "deny");
  const rules = policy.rules;
  if (rules !== null) writeIdentityRules(writer, rules);
  writeWord(writer, "sampling", policy.samplingAllowed ? "allow" : "deny");
  writeWord(writer, "tasks", policy.tasksAllowed ? "allow" : "deny");
  const service = policy.tokenService;
  if (service !== null) writeTokenService(writer, service);
  writeList(writer, "tool_allowlist", policy.tools);
  writeLiteral(writer, '"unguarded":[');
  let entry = policy.unguarded;
  while (entry !== null) {
    if (entry !== policy.unguarded) writeByte(writer, 0x2c);
    writeLiteral(writer, '{"methods":[');
    writeMethods(writer, entry.methods);
    writeLiteral(writer, '],"path":');
    writeJsonString(writer, entry.pathAt, entry.pathBytes);
    if (entry.reasonBytes != 0) {
      writeLiteral(writer, ',"reason":');
      writeJsonString(writer, entry.reasonAt, entry.reasonBytes);
    }
    writeByte(writer, 0x7d);
    entry = entry.next;
  }
  writeLiteral(writer, "],");
  writeWord(writer, "uri_traversal", policy.traversal == Traversal.Segment ? "segment" : "literal");
  writer.length--; // The comma behind the last member.
  writeByte(writer, 0x7d);
}

/** Absent when nothing is decided about it. */
function writeApproval(writer: Writer, policy: Policy): void {
  const tools = policy.approvalTools;
  const exempt = policy.approvalExempt;
  const approver = policy.approver;
  if (!policy.approvalOff && approver === null && tools === null && exempt === null) return;
  writeLiteral(writer, '"approval":{');
  if (approver !== null) writeCount(writer, "arguments_bytes", approver.argumentsBytesMax);
  if (exempt !== null) writeList(writer, "exempt", exempt);
  if (approver !== null) writeApprover(writer, approver);
  else if (policy.approvalOff) writeWord(writer, "mode", "off");
  if (tools !== null) writeList(writer, "tools", tools);
  if (approver !== null) {
    writeCount(writer, "waiting", approver.waitingMax);
    writeCount(writer, "waiting_per_principal", approver.waitingPerPrincipalMax);
  }
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

/** What stands between `exempt` and `tools`. */
function writeApprover(writer: Writer, approver: Approver): void {
  writeCount(writer, "hold_seconds", approver.holdMs / 1000);
  writeLiteral(writer, '"keys":[');
  let key = approver.firstKey;
  while (key !== null) {
    writeLiteral(writer, '{"kid":');
    writeJsonString(writer, key.kidAt, key.kidBytes);
    writeLiteral(writer, ',"spki":"');
    writeSpki(writer, key.spkiAt);
    writeLiteral(writer, '"},');
    key = key.next;
  }
  writer.length--; // The comma behind the last entry; there is at least one.
  writeLiteral(writer, "],");
  const carrier = approver.legacyCarrier;
  writeWord(writer, "legacy_carrier", carrier == LegacyCarrier.UrlElicitation ? "url_elicitation" : "tool_error");
  writeWord(writer, "mode", "required");
  writeText(writer, "page", approver.pageAt, approver.pageBytes);
  writeText(writer, "server", approver.serverAt, approver.serverBytes);
  writeLiteral(writer, '"service":{');
  writeText(writer, "authority", approver.authorityAt, approver.authorityBytes);
  writeText(writer, "cluster", approver.clusterAt, approver.clusterBytes);
  writeText(writer, "path", approver.pathAt, approver.pathBytes);
  writeCount(writer, "poll_ms", approver.pollMs);
  if (approver.secretEnvBytes != 0) {
    writeText(writer, "secret_env", approver.secretEnvAt, approver.secretEnvBytes);
  }
  writeCount(writer, "timeout_ms", approver.timeoutMs);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

/** Each of its members is absent when the configuration has none. */
function writeRateLimit(writer: Writer, limit: RateLimit): void {
  writeLiteral(writer, '"rate_limit":{');
  const perPrincipal = limit.perPrincipal;
  if (perPrincipal !== null) writeRate(writer, "per_principal", perPrincipal);
  const perTool = limit.perTool;
  if (perTool !== null) writeRate(writer, "per_tool", perTool);
  writer.length--; // The comma behind the last member; there is at least one.
  writeLiteral(writer, "},");
}

function writeRate(writer: Writer, name: Literal, rate: Rate): void {
  writeName(writer, name);
  writeByte(writer, 0x7b);
  writeCount(writer, "burst", rate.burst);
  writeCount(writer, "requests", rate.requests);
  writeCount(writer, "seconds", rate.seconds);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

/** Optional members are there when the configuration has them. */
function writeTokenService(writer: Writer, service: TokenService): void {
  writeLiteral(writer, '"token_exchange":{');
  if (service.actorVariableBytes != 0) {
    writeLiteral(writer, '"actor":{');
    writeText(writer, "token_env", service.actorVariableAt, service.actorVariableBytes);
    writeTokenType(writer, "token_type", service.actorType);
    writer.length--; // The comma behind the last member.
    writeLiteral(writer, "},");
  }
  if (service.audienceBytes != 0) writeText(writer, "audience", service.audienceAt, service.audienceBytes);
  writeCount(writer, "cache_entries", service.cacheEntries);
  writeClient(writer, service);
  writeCount(writer, "max_cache_seconds", service.cacheSecondsMax);
  writeTokenType(writer, "requested_token_type", service.requestedType);
  if (service.resourceBytes != 0) writeText(writer, "resource", service.resourceAt, service.resourceBytes);
  if (service.scopeBytes != 0) writeText(writer, "scope", service.scopeAt, service.scopeBytes);
  writeLiteral(writer, '"service":{');
  writeText(writer, "authority", service.authorityAt, service.authorityBytes);
  writeText(writer, "cluster", service.clusterAt, service.clusterBytes);
  writeText(writer, "path", service.pathAt, service.pathBytes);
  writeCount(writer, "timeout_ms", service.timeoutMs);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
  writeTokenType(writer, "subject_token_type", service.subjectType);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

function writeClient(writer: Writer, service: TokenService): void {
  const isKey = service.auth == ClientAuth.Key;
  writeLiteral(writer, '"client":{');
  if (isKey) {
    writeWord(writer, "alg", service.algorithm == SigningAlgorithm.Es256 ? "ES256" : "RS256");
    writeText(writer, "audience", service.assertionAudienceAt, service.assertionAudienceBytes);
  }
  writeWord(writer, "auth", isKey ? "private_key_jwt" : "client_secret_basic");
  writeText(writer, "id", service.clientAt, service.clientBytes);
  if (isKey) writeText(writer, "key_env", service.variableAt, service.variableBytes);
  if (service.kidBytes != 0) writeText(writer, "kid", service.kidAt, service.kidBytes);
  if (!isKey) writeText(writer, "secret_env", service.variableAt, service.variableBytes);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

function writeTokenType(writer: Writer, name: Literal, kind: TokenType): void {
  writeName(writer, name);
  writeLiteral(writer, '"urn:ietf:params:oauth:token-type:');
  writeLiteral(writer, kind == TokenType.AccessToken ? "access_token" : kind == TokenType.Jwt ? "jwt" : "id_token");
  writeLiteral(writer, '",');
}

function writeAudit(writer: Writer, policy: Policy): void {
  writeLiteral(writer, '"audit":{');
  writeWord(writer, "arguments", bodyWord(policy.auditArguments));
  writeWord(writer, "line", policy.auditLine == AuditLine.None ? "none" : "json");
  const collector = policy.collector;
  if (collector !== null) writeCollector(writer, collector);
  writeCount(writer, "record_bytes", policy.recordBytes);
  if (policy.redactedArguments !== null) writeRedacted(writer, "redact", policy.redactedArguments);
  // In front of those of the configuration stands the one of the filter's own.
  const own = policy.redactedResponse;
  if (own !== null && own.next !== null) writeRedacted(writer, "redact_response", own.next);
  const required = policy.auditRequired;
  writeWord(
    writer,
    "required",
    required == AuditRequired.All ? "all" : required == AuditRequired.Approval ? "approval" : "none",
  );
  writeWord(writer, "response", bodyWord(policy.auditResponse));
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

function bodyWord(body: AuditBody): Literal {
  switch (body) {
    case AuditBody.Digest:
      return "digest";
    case AuditBody.Redacted:
      return "redacted";
    case AuditBody.Full:
      return "full";
    default:
      return "none";
  }
}

function writeRedacted(writer: Writer, name: Literal, first: ArgumentRule | null): void {
  writeName(writer, name);
  writeByte(writer, 0x5b);
  let pointer = first;
  while (pointer !== null) {
    if (pointer !== first) writeByte(writer, 0x2c);
    writeByte(writer, 0x22);
    for (let i: u32 = 0; i < pointer.segmentCount; i++) {
      writeSegment(writer, segmentAt(pointer, i), segmentBytes(pointer, i));
    }
    writeByte(writer, 0x22);
    pointer = pointer.next;
  }
  writeLiteral(writer, "],");
}

function writeCollector(writer: Writer, collector: Collector): void {
  writeLiteral(writer, '"otlp":{"authority":');
  writeJsonString(writer, collector.authorityAt, collector.authorityBytes);
  writeLiteral(writer, ',"cluster":');
  writeJsonString(writer, collector.clusterAt, collector.clusterBytes);
  writeByte(writer, 0x2c);
  writeCount(writer, "flush_ms", collector.flushMs);
  writeWord(writer, "messages", collector.exportsMessages ? "all" : "none");
  writeLiteral(writer, '"path":');
  writeJsonString(writer, collector.pathAt, collector.pathBytes);
  writeByte(writer, 0x2c);
  writeCount(writer, "queue_bytes", collector.queueBytesMax);
  writeCount(writer, "timeout_ms", collector.timeoutMs);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

function writeIdentity(writer: Writer, identity: Identity): void {
  writeLiteral(writer, '"identity":{');
  if (identity.gateways !== null) {
    writeLiteral(writer, '"header":{"name":');
    writeJsonString(writer, identity.headerAt, identity.headerBytes);
    writeByte(writer, 0x2c);
    writeList(writer, "trusted_gateways", identity.gateways);
    writer.length--; // The comma behind the last member.
    writeLiteral(writer, "},");
  }
  let source = identity.tokens;
  if (source !== null) {
    writeLiteral(writer, '"jwt":[');
    while (source !== null) {
      writeLiteral(writer, '{"claim":');
      writeJsonString(writer, source.claimAt, source.claimBytes);
      writeLiteral(writer, ',"issuer":');
      writeJsonString(writer, source.issuerAt, source.issuerBytes);
      writeLiteral(writer, ',"provider":');
      writeJsonString(writer, source.providerAt, source.providerBytes);
      writeLiteral(writer, "},");
      source = source.next;
    }
    writer.length--; // The comma behind the last entry.
    writeLiteral(writer, "],");
  }
  writeLiteral(writer, '"require_human":');
  writeLiteral(writer, identity.needsHuman ? "true" : "false");
  // A policy without it has the digest that it had before there was such a member.
  if (identity.needsPrincipal) writeLiteral(writer, ',"require_principal":true');
  writeLiteral(writer, "},");
}

function writeResponseUris(writer: Writer, policy: Policy): void {
  writeLiteral(writer, '"response_uris":{');
  // Absent means any host, which no list says.
  if (policy.responseHosts !== null) writeList(writer, "hosts", policy.responseHosts);
  if (policy.responseSchemes !== null) writeList(writer, "schemes", policy.responseSchemes);
  else writeLiteral(writer, '"schemes":["https"],');
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, "},");
}

/** Absent when there are none. Entries of lists stay in their order, like those of every other list. */
function writeIdentityRules(writer: Writer, rules: Rules): void {
  writeLiteral(writer, '"rules":[');
  let rule = rules.first;
  while (rule !== null) {
    writeByte(writer, 0x7b);
    if (rule.exempt !== null || rule.approvalOff) {
      writeLiteral(writer, '"approval":{');
      if (rule.exempt !== null) writeList(writer, "exempt", rule.exempt);
      else writeWord(writer, "mode", "off");
      writer.length--; // The comma behind the one member.
      writeLiteral(writer, "},");
    }
    writeSelector(writer, "groups", rules, rule.groups, true);
    writeSelector(writer, "principals", rules, rule.principals, false);
    if (rule.prompts !== null) writeList(writer, "prompt_allowlist", rule.prompts);
    if (rule.roots !== null) writeList(writer, "resource_roots", rule.roots);
    if (rule.tools !== null) writeList(writer, "tool_allowlist", rule.tools);
    if (rule.workloads !== null) writeList(writer, "workloads", rule.workloads);
    writer.length--; // The comma behind the last member; there are at least two.
    writeLiteral(writer, "},");
    rule = rule.next;
  }
  writer.length--; // The comma behind the last entry; there is at least one.
  writeLiteral(writer, "],");
}

/** Principals or groups, from the texts of their facts (policy/rules.ts). */
function writeSelector(writer: Writer, name: Literal, rules: Rules, facts: NameSet | null, areGroups: bool): void {
  if (facts === null) return;
  writeName(writer, name);
  writeByte(writer, 0x5b);
  for (let fact = firstName(facts); fact != 0; fact = nextName(facts, fact)) {
    const first = load<u32>(fact); // SAFETY: four bytes stand in front of the texts of every such fact.
    const value = fact + 4;
    const bytes = nameBytes(fact) - 4;
    writeByte(writer, 0x7b);
    if (areGroups) {
      const asked = claimOf(rules, first);
      if (asked !== null) {
        writeText(writer, "claim", asked.claimAt, asked.claimBytes);
        writeText(writer, "issuer", asked.issuerAt, asked.issuerBytes);
      }
      writeText(writer, "value", value, bytes);
    } else {
      writeText(writer, "issuer", value, first);
      writeText(writer, "value", value + first, bytes - first);
    }
    writer.length--; // The comma behind the last member.
    writeLiteral(writer, "},");
  }
  writer.length--; // The comma behind the last entry; there is at least one.
  writeLiteral(writer, "],");
}

function writeArgumentRules(writer: Writer, policy: Policy): void {
  writeLiteral(writer, '"argument_rules":[');
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (rule !== policy.argumentRules) writeByte(writer, 0x2c);
    writeLiteral(writer, '{"pointer":"');
    for (let i: u32 = 0; i < rule.segmentCount; i++) writeSegment(writer, segmentAt(rule, i), segmentBytes(rule, i));
    writeLiteral(writer, '","rule":');
    writeRule(writer, rule);
    writeLiteral(writer, ',"tool":');
    writeJsonString(writer, rule.toolAt, rule.toolBytes);
    writeByte(writer, 0x7d);
    rule = rule.next;
  }
  writeLiteral(writer, "],");
}

/** One reference token, escaped as a pointer (RFC 6901 section 4) inside a JSON string. */
function writeSegment(writer: Writer, address: usize, bytes: u32): void {
  writeByte(writer, 0x2f);
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes.
    const byte = u32(load<u8>(address + i));
    if (byte == 0x7e) writeLiteral(writer, "~0");
    else if (byte == 0x2f) writeLiteral(writer, "~1");
    else writeJsonByte(writer, byte);
  }
}

function writeRule(writer: Writer, rule: ArgumentRule): void {
  if (rule.kind == RuleKind.MaxBytes) {
    writeLiteral(writer, '{"max_bytes":');
    writeNumber(writer, rule.bytesMax);
    writeByte(writer, 0x7d);
  } else if (rule.values === null) {
    writeLiteral(writer, rule.kind == RuleKind.Uri ? '"uri"' : '"path"');
  } else {
    const kind = rule.kind;
    writeLiteral(
      writer,
      kind == RuleKind.Enum ? '{"enum":' : kind == RuleKind.Uri ? '{"uri_roots":' : '{"path_roots":',
    );
    writeNames(writer, rule.values);
    writeByte(writer, 0x7d);
  }
}

function writeList(writer: Writer, name: Literal, names: NameSet | null): void {
  writeName(writer, name);
  writeNames(writer, names);
  writeByte(writer, 0x2c);
}

function writeName(writer: Writer, name: Literal): void {
  writeByte(writer, 0x22);
  writeLiteral(writer, name);
  writeLiteral(writer, '":');
}

function writeWord(writer: Writer, name: Literal, word: Literal): void {
  writeName(writer, name);
  writeByte(writer, 0x22);
  writeLiteral(writer, word);
  writeLiteral(writer, '",');
}

function writeText(writer: Writer, name: Literal, address: usize, bytes: u32): void {
  writeName(writer, name);
  writeJsonString(writer, address, bytes);
  writeByte(writer, 0x2c);
}

function writeCount(writer: Writer, name: Literal, value: u32): void {
  writeName(writer, name);
  writeNumber(writer, value);
  writeByte(writer, 0x2c);
}

function writeNames(writer: Writer, names: NameSet | null): void {
  writeByte(writer, 0x5b);
  if (names !== null) {
    for (let name = firstName(names); name != 0; name = nextName(names, name)) {
      if (name != firstName(names)) writeByte(writer, 0x2c);
      writeJsonString(writer, name, nameBytes(name));
    }
  }
  writeByte(writer, 0x5d);
}

/** In alphabetical order, since the configuration's order means nothing. */
function writeMethods(writer: Writer, methods: u32): void {
  writeMethod(writer, methods, HttpMethod.Delete, "DELETE");
  writeMethod(writer, methods, HttpMethod.Get, "GET");
  writeMethod(writer, methods, HttpMethod.Head, "HEAD");
  writeMethod(writer, methods, HttpMethod.Options, "OPTIONS");
  writeMethod(writer, methods, HttpMethod.Patch, "PATCH");
  writeMethod(writer, methods, HttpMethod.Post, "POST");
  writeMethod(writer, methods, HttpMethod.Put, "PUT");
  writer.length--; // The comma behind the last one; there is at least one.
}

function writeMethod(writer: Writer, methods: u32, method: HttpMethod, name: Literal): void {
  if ((methods & method) == 0) return;
  writeByte(writer, 0x22);
  writeLiteral(writer, name);
  writeLiteral(writer, '",');
}
