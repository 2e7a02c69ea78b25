// The digest of a policy: SHA-256 of its canonical JSON (RFC 8785) with every default written out, so that two spellings of
// one policy have one digest, and a change of a default shows. schema/policy-digest.md is the written format.

import { Literal } from "../memory/bytes";
import { sha256 } from "../memory/sha256";
import { allocateWriter, Writer, writeByte, writeJsonString, writeLiteral, writeNumber } from "../memory/writer";
import { firstName, NameSet, nameBytes, nextName } from "../policy/name-set";
import { Direction, HttpMethod, Mode, Policy, RefusalDetail, RefusalForm, RequestHeaders } from "../policy/policy";

/** The first 64 bits of the digest, as the first 16 hexadecimal digits. */
export function policyDigest(policy: Policy): u64 {
  // Names can grow by six when they are escaped; the rest of the text is bounded.
  let room: u32 = 2048 + namesRoom(policy.tools) + namesRoom(policy.methods);
  let entry = policy.unguarded;
  while (entry !== null) {
    room += (entry.pathBytes + entry.reasonBytes) * 6 + 128;
    entry = entry.next;
  }
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

/** Members in the order of their names, as RFC 8785 section 3.2.3 has it. */
function writePolicy(writer: Writer, policy: Policy): void {
  writeByte(writer, 0x7b);
  if (policy.approvalOff) writeLiteral(writer, '"approval":{"mode":"off"},');
  writeWord(writer, "direction", policy.direction == Direction.Both ? "both" : "inbound");
  writeLiteral(writer, '"limits":{');
  writeCount(writer, "body_bytes", policy.bodyBytesMax);
  writeCount(writer, "depth", policy.json.depth);
  writeCount(writer, "in_flight_bytes", policy.inFlightBytesMax);
  writeCount(writer, "key_bytes", policy.json.keyBytes);
  writeCount(writer, "members_per_object", policy.json.membersPerObject);
  writeCount(writer, "open_members", policy.json.openMembers);
  writeCount(writer, "stall_ms", policy.stallMs);
  writer.length--; // The comma behind the last member.
  writeLiteral(writer, '},"method_allowlist":');
  writeNames(writer, policy.methods);
  writeByte(writer, 0x2c);
  writeWord(writer, "mode", policy.mode == Mode.Monitor ? "monitor" : "enforce");
  const form = policy.refusal;
  writeWord(
    writer,
    "refusal",
    form == RefusalForm.JsonrpcError ? "jsonrpc_error" : form == RefusalForm.ToolError ? "tool_error" : "http_403",
  );
  writeWord(writer, "refusal_detail", policy.refusalDetail == RefusalDetail.Masked ? "masked" : "explain");
  writeWord(writer, "request_body", "whole");
  writeWord(writer, "request_headers", policy.requestHeaders == RequestHeaders.Hold ? "hold" : "release");
  writeLiteral(writer, '"tool_allowlist":');
  writeNames(writer, policy.tools);
  writeLiteral(writer, ',"unguarded":[');
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
  writeLiteral(writer, "]}");
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
