// Calls by tool, for the tools that the policy lists, for everybody or in a rule: how many went through and how many were refused. A name of a
// metric stays in the proxy for ever, so only names of the configuration become one, up to `metrics.tools`, each once per VM.

import { MetricKind } from "../host/abi";
import { addToMetric, defineMetric, NO_METRIC } from "../host/metric";
import { METRIC_NAME_BYTES_MAX, METRIC_TOOLS_MAX } from "../limits";
import { equalBytes, Literal } from "../memory/bytes";
import { sipHash } from "../memory/siphash";
import { allocateWriter, clear, Writer, writeByte, writeHex, writeLiteral } from "../memory/writer";
import { firstName, NameSet, nameBytes, nextName, slotOf } from "../policy/name-set";
import { Policy } from "../policy/policy";
import { Decision } from "./counters";
import { Exchange, isToolCall, nameAt } from "./exchange";
import { Guard } from "./guard";

/** The two counters of a tool, with its name behind them. */
@unmanaged
class ToolCounters {
  next: ToolCounters | null;
  allowedId: u32;
  refusedId: u32;
  bytes: u32;
}

const BUCKETS: u32 = 256;
/** How many tools have counters in this VM. */
let defined: u32 = 0;
/** By the hash of the name: what has been defined in this VM. */
const buckets: usize = memory.data(4 * BUCKETS, 4);
const metric: Writer = allocateWriter(METRIC_NAME_BYTES_MAX);

/** Gives `guard`, which has just got this policy, the counters of its tools; `setPolicy` takes them back. False when the host refuses one. */
export function defineToolCounters(guard: Guard, policy: Policy): bool {
  const tools = policy.allTools;
  if (tools === null || policy.metricTools == 0) return true;
  guard.toolCounters = heap.alloc(usize(tools.slotCount) << 2);
  memory.fill(guard.toolCounters, 0, usize(tools.slotCount) << 2);
  let left = policy.metricTools;
  for (let tool = firstName(tools); tool != 0 && left != 0; tool = nextName(tools, tool)) {
    let counters = knownCounters(tool, nameBytes(tool));
    if (counters === null) {
      // Each update of a policy can bring new names, and none ever goes.
      if (defined == METRIC_TOOLS_MAX) continue;
      counters = newCounters(tool, nameBytes(tool));
      if (counters === null) return false;
    }
    // SAFETY: the name is listed, so its slot is below slotCount.
    store<u32>(
      guard.toolCounters + (usize(slotOf(tools, tool, nameBytes(tool))) << 2),
      u32(changetype<usize>(counters)),
    );
    left--;
  }
  return true;
}

/** Counts the call of an exchange that has ended, if it was one of a listed tool that is counted. */
export function countTool(exchange: Exchange): void {
  const guard = exchange.guard;
  const policy = guard.policy;
  if (guard.toolCounters == 0 || policy === null) return;
  const tools: NameSet | null = policy.allTools;
  if (tools === null || exchange.nameBytes == 0) return;
  if (!isToolCall(exchange)) return;
  const slot = slotOf(tools, nameAt(exchange), exchange.nameBytes);
  if (slot == tools.slotCount) return;
  // SAFETY: slot < slotCount.
  const counters = changetype<ToolCounters | null>(usize(load<u32>(guard.toolCounters + (usize(slot) << 2))));
  if (counters === null) return;
  if (exchange.decision == Decision.Allow) addToMetric(counters.allowedId, 1);
  else if (exchange.decision == Decision.Refuse || exchange.decision == Decision.WouldRefuse) {
    addToMetric(counters.refusedId, 1);
  }
}

function bucketOf(name: usize, bytes: u32): usize {
  return buckets + (usize(u32(sipHash(name, bytes, 0)) & (BUCKETS - 1)) << 2);
}

/** The counters of a name that has some; null when it has none. */
function knownCounters(name: usize, bytes: u32): ToolCounters | null {
  // SAFETY: the masked hash is below BUCKETS.
  let counters = changetype<ToolCounters | null>(usize(load<u32>(bucketOf(name, bytes))));
  while (counters !== null) {
    if (counters.bytes == bytes && equalBytes(changetype<usize>(counters) + offsetof<ToolCounters>(), name, bytes)) {
      return counters;
    }
    counters = counters.next;
  }
  return null;
}

/** Counters for a name that has none. Null when the host refuses. */
function newCounters(name: usize, bytes: u32): ToolCounters | null {
  const allowedId = defineFor("mcp_guard_tool_allowed.", name, bytes);
  const refusedId = defineFor("mcp_guard_tool_refused.", name, bytes);
  if (allowedId == NO_METRIC || refusedId == NO_METRIC) return null;
  const fresh = changetype<ToolCounters>(heap.alloc(offsetof<ToolCounters>() + bytes));
  const bucket = bucketOf(name, bytes);
  fresh.allowedId = allowedId;
  fresh.refusedId = refusedId;
  fresh.bytes = bytes;
  memory.copy(changetype<usize>(fresh) + offsetof<ToolCounters>(), name, bytes);
  fresh.next = changetype<ToolCounters | null>(usize(load<u32>(bucket))); // SAFETY: a bucket.
  store<u32>(bucket, u32(changetype<usize>(fresh))); // SAFETY: as above.
  defined++;
  return fresh;
}

function defineFor(prefix: Literal, name: usize, bytes: u32): u32 {
  clear(metric);
  writeLiteral(metric, prefix);
  let isPlain = true;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(name + i)); // SAFETY: i < bytes.
    const isKept = (byte | 0x20) - 0x61 < 26 || byte - 0x30 < 10 || byte == 0x5f;
    writeByte(metric, isKept ? byte : 0x5f);
    if (!isKept) isPlain = false;
  }
  if (!isPlain) {
    // Prometheus knows no other characters, and two names must not become one.
    writeByte(metric, 0x5f);
    writeHex(metric, plainHash(name, bytes), 8);
  }
  return defineMetric(MetricKind.Counter, metric);
}

/** FNV-1a: the same in every VM, unlike the keyed hashes, since all of them count into one metric. */
function plainHash(name: usize, bytes: u32): u32 {
  let hash: u32 = 0x811c9dc5;
  for (let i: u32 = 0; i < bytes; i++) hash = (hash ^ u32(load<u8>(name + i))) * 0x01000193; // SAFETY: i < bytes.
  return hash;
}
