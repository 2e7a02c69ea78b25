// `audit`: what is left behind of each exchange, and where it goes.

import { JsonReader, Token } from "../json/reader";
import {
  CLUSTER_BYTES_MAX,
  COLLECTOR_TEXT_BYTES_MAX,
  COLLECTOR_TIMEOUT_MS_DEFAULT,
  COLLECTOR_TIMEOUT_MS_MAX,
  COLLECTOR_TIMEOUT_MS_MIN,
  FLUSH_MS_DEFAULT,
  FLUSH_MS_MAX,
  FLUSH_MS_MIN,
  QUEUE_BYTES_DEFAULT,
  QUEUE_BYTES_MAX,
  QUEUE_BYTES_MIN,
  RECORD_BYTES_DEFAULT,
  RECORD_BYTES_MAX,
  RECORDS_IN_QUEUE_MIN,
} from "../limits";
import { Literal } from "../memory/bytes";
import { ArgumentRule } from "../policy/argument-rule";
import { createCollector } from "../policy/collector";
import { AuditBody, AuditRequired, Policy } from "../policy/policy";
import { pointerTo, readPointers } from "./argument-rules";
import { expected, placeAtHand, told } from "./problem";
import {
  Member,
  nextMember,
  number,
  readNumber,
  readPrintable,
  readStart,
  readWord,
  textAt,
  textBytes,
} from "./values";

const KNOWN = "line arguments response otlp required redact redact_response record_bytes";
const KNOWN_COLLECTOR = "cluster authority path timeout_ms flush_ms queue_bytes messages";

// The collector at hand, until its record is made.
const clusterAt: usize = memory.data(CLUSTER_BYTES_MAX, 4);
const authorityAt: usize = memory.data(COLLECTOR_TEXT_BYTES_MAX, 4);
const pathAt: usize = memory.data(COLLECTOR_TEXT_BYTES_MAX, 4);
const DEFAULT_PATH: usize = memory.data<u8>([0x2f, 0x76, 0x31, 0x2f, 0x6c, 0x6f, 0x67, 0x73]); // /v1/logs
let clusterBytes: u32 = 0;
let authorityBytes: u32 = 0;
let pathBytes: u32 = 0;
let timeoutMs: u32 = 0;
let flushMs: u32 = 0;
let queueBytes: u32 = 0;
let exportsMessages: bool = true;

/** Reads the object into `policy`. False when the problem has been told. */
export function readAudit(reader: JsonReader, policy: Policy): bool {
  if (
    !readStart(
      reader,
      Token.ObjectStart,
      "an object with line, arguments, redact, response, redact_response, record_bytes, otlp and required",
    )
  )
    return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readMember(reader, policy, index)) return false;
  }
  if (policy.auditRequired != AuditRequired.None && policy.collector === null) {
    return told("found required without otlp, expected a collector that acknowledges records");
  }
  const collector = policy.collector;
  if (collector !== null && collector.queueBytesMax / RECORDS_IN_QUEUE_MIN < policy.recordBytes) {
    return told("found otlp.queue_bytes below four times record_bytes, expected room for some records");
  }
  return (
    arePaired(policy.auditArguments, policy.redactedArguments, false) &&
    arePaired(policy.auditResponse, policy.redactedResponse, true) &&
    addUnrecorded(policy)
  );
}

/** What is left out belongs to a text of which something is. */
function arePaired(body: AuditBody, pointers: ArgumentRule | null, isResponse: bool): bool {
  if (body == AuditBody.Redacted && pointers === null) {
    return told(
      isResponse
        ? "found response: redacted without redact_response, expected the pointers to what is left out"
        : "found arguments: redacted without redact, expected the pointers to what is left out",
    );
  }
  if (body != AuditBody.Redacted && pointers !== null) {
    return told(
      isResponse
        ? "found redact_response without response: redacted, expected both"
        : "found redact without arguments: redacted, expected both",
    );
  }
  return true;
}

/** The state that a client has to bring back is as good as a password (MCP 2026-07-28, multi round-trip requests). */
function addUnrecorded(policy: Policy): bool {
  if (policy.auditResponse < AuditBody.Redacted) return true;
  const state = pointerTo("/result/requestState");
  if (state === null) return false;
  state.next = policy.redactedResponse;
  policy.redactedResponse = state;
  return true;
}

function readMember(reader: JsonReader, policy: Policy, index: i32): bool {
  if (index == 3) return readCollector(reader, policy);
  if (index == 5) {
    policy.redactedArguments = readPointers(reader);
    return policy.redactedArguments !== null;
  }
  if (index == 6) {
    policy.redactedResponse = readPointers(reader);
    return policy.redactedResponse !== null;
  }
  if (index == 7) {
    if (!readNumber(reader, RECORD_BYTES_DEFAULT, RECORD_BYTES_MAX)) return false;
    policy.recordBytes = number;
    return true;
  }
  const word = readWord(reader, wordsOf(index));
  if (word < 0) return false;
  if (index == 0) policy.auditLine = word;
  else if (index == 1) policy.auditArguments = word;
  else if (index == 2) policy.auditResponse = word;
  else policy.auditRequired = word;
  return true;
}

function wordsOf(index: i32): Literal {
  switch (index) {
    case 0:
      return "json none";
    case 1:
    case 2:
      return "none digest redacted full";
    default:
      return "none approval all";
  }
}

function readCollector(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with cluster and authority")) return false;
  clusterBytes = 0;
  authorityBytes = 0;
  pathBytes = 8;
  memory.copy(pathAt, DEFAULT_PATH, pathBytes);
  timeoutMs = COLLECTOR_TIMEOUT_MS_DEFAULT;
  flushMs = FLUSH_MS_DEFAULT;
  queueBytes = QUEUE_BYTES_DEFAULT;
  exportsMessages = true;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_COLLECTOR, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readCollectorMember(reader, index)) return false;
  }
  if (clusterBytes == 0) return told("found no cluster, expected the name of the proxy's cluster for the collector");
  if (authorityBytes == 0) return told("found no authority, expected the collector's host like otel-collector:4318");
  const collector = createCollector(clusterAt, clusterBytes, authorityAt, authorityBytes, pathAt, pathBytes);
  collector.timeoutMs = timeoutMs;
  collector.flushMs = flushMs;
  collector.queueBytesMax = queueBytes;
  collector.exportsMessages = exportsMessages;
  policy.collector = collector;
  return true;
}

function readCollectorMember(reader: JsonReader, index: i32): bool {
  switch (index) {
    case 0:
      if (!readPrintable(reader, CLUSTER_BYTES_MAX, "a cluster's name of 1 to 512 bytes of printable ASCII"))
        return false;
      clusterBytes = textBytes;
      memory.copy(clusterAt, textAt, textBytes);
      return true;
    case 1:
      if (!readPrintable(reader, COLLECTOR_TEXT_BYTES_MAX, "a host of 1 to 256 bytes of printable ASCII")) return false;
      authorityBytes = textBytes;
      memory.copy(authorityAt, textAt, textBytes);
      return true;
    case 2:
      if (!readPrintable(reader, COLLECTOR_TEXT_BYTES_MAX, "an absolute path of 1 to 256 bytes of printable ASCII")) {
        return false;
      }
      // SAFETY: a string of the configuration is not empty.
      if (u32(load<u8>(textAt)) != 0x2f) {
        return expected(
          reader,
          Token.String,
          textAt,
          textBytes,
          "an absolute path of 1 to 256 bytes of printable ASCII",
        );
      }
      pathBytes = textBytes;
      memory.copy(pathAt, textAt, textBytes);
      return true;
    case 3:
      if (!readNumber(reader, COLLECTOR_TIMEOUT_MS_MIN, COLLECTOR_TIMEOUT_MS_MAX)) return false;
      timeoutMs = number;
      return true;
    case 4:
      if (!readNumber(reader, FLUSH_MS_MIN, FLUSH_MS_MAX)) return false;
      flushMs = number;
      return true;
    case 5:
      if (!readNumber(reader, QUEUE_BYTES_MIN, QUEUE_BYTES_MAX)) return false;
      queueBytes = number;
      return true;
    default: {
      const word = readWord(reader, "all none");
      exportsMessages = word == 0;
      return word >= 0;
    }
  }
}
