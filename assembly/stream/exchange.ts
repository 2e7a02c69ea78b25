// One exchange: an HTTP request with its response. Its record is small, because a response stream can live for days, and
// pooled, because a Wasm memory never shrinks.

import { Hold } from "../approval/hold";
import {
  EXCHANGES_MAX,
  METHOD_BYTES_MAX,
  NAME_BYTES_MAX,
  REQUEST_ID_BYTES_MAX,
  SURPLUS_EXCHANGES_MAX,
} from "../limits";
import { equalsLiteral } from "../memory/bytes";
import { Grant } from "../policy/grant";
import { Reason } from "../policy/reason";
import { Truth } from "../rewrite/rewriter";
import { Turn } from "../token/turn";
import { Decision } from "./counters";
import { Guard } from "./guard";
import { Inspection } from "./inspection";
import { Rewriting } from "./rewriting";

/** How far an exchange is. */
export const enum Stage {
  /** Nothing has been decided: the request's headers have not come. */
  New,
  /** The body is read and held until the verdict. */
  Reading,
  /** Monitor mode: the body is read while it passes. */
  Watching,
  /** The verdict is that it passes; the body is held until the collector has acknowledged its record. */
  Waiting,
  /** The verdict is that a human must approve it (`hold`); the body is held until the approval's receipt has come. */
  Asking,
  /** The verdict is that it passes, or there is nothing to judge; all of it is held until its token has come (`turn`). */
  Exchanging,
  /** The request passes; nothing of it is looked at any more. */
  Passed,
  /** Refused: our reply is on its way, through our own response callbacks. */
  Refused,
}

/** What the exchange of a caller's token has come to. */
export const enum TokenOutcome {
  /** There was none to exchange. */
  None,
  Cached,
  Minted,
  Refused,
  Failed,
}

const REQUEST_ID_AT: usize = offsetof<Exchange>();
const METHOD_AT: usize = REQUEST_ID_AT + REQUEST_ID_BYTES_MAX;
const NAME_AT: usize = METHOD_AT + METHOD_BYTES_MAX;
const RECORD_BYTES: usize = NAME_AT + NAME_BYTES_MAX;

@unmanaged
export class Exchange {
  contextId: u32;
  /** Next in the bucket of the index, or in the pool. */
  next: Exchange | null;
  guard: Guard;
  stage: Stage;
  decision: Decision;
  reason: Reason;

  /** The neighbours among the streams that their guard holds. */
  previousHeld: Exchange | null;
  nextHeld: Exchange | null;
  isHeld: bool;
  /** The guard's tick at which the request last made progress. */
  progressTick: u32;

  /** From the headers to the verdict. */
  inspection: Inspection | null;
  /** Bytes of the body so far, and those accounted to the guard. */
  bodyBytes: u32;
  accountedBytes: u32;
  /** Of them, those that Envoy holds; and those that have come behind the end of the root value since the callback that had it. */
  heldBytes: u32;
  tailBytes: u32;
  /** Whether response headers of the upstream have gone to the client: a refusal can then only cut the stream. */
  upstreamAnswered: bool;

  /** Of the request: a human stands behind it, its answer is read as messages whatever its type, it is a GET, it completes an argument of a prompt. */
  hasHuman: bool;
  /** Anybody is named as the one who asks, be it a workload. */
  hasPrincipal: bool;
  /** What the rules give to the one who asks, of the heap; asked through `grantOf`. */
  grant: Grant | null;
  wantsMessages: bool;
  isGet: bool;
  completesPrompt: bool;
  /** While a response body is read; and what it holds, as accounted to the guard. */
  rewriting: Rewriting | null;
  responseBytes: u32;
  /** What was left out of the response or replaced, and hidden characters that were taken out of it. */
  removed: u32;
  hidden: u32;
  /** Monitor mode: why the response would not have passed. */
  responseFault: Reason;

  /** While the call waits for a human's approval. */
  hold: Hold | null;

  /** Under a policy that exchanges tokens, when the request has brought one. */
  turn: Turn | null;

  /** For the record: what the exchange of its token has come to. */
  tokenOutcome: TokenOutcome;

  /** Whole seconds until a request that came too early has its tokens. */
  retryAfter: u32;

  /** How many records the collector must have taken before the request goes on. */
  awaited: u64;

  // --- For the record. ---
  /** Its number in the guard's chain, and how many messages of it have had a record. */
  number: u64;
  records: u32;
  /** Nanoseconds since 1970: when the request's headers came, the verdict, the response's headers; 0 when they have not. */
  startedAt: u64;
  decidedAt: u64;
  answeredAt: u64;
  /** Nanoseconds that the guard has worked. */
  guardTime: u64;
  /** Bytes of both bodies, as the host has handed them over. */
  requestSize: u64;
  responseSize: u64;
  /** Whether the end of the response has been seen, or a reply of ours stands for it. */
  isAnswered: bool;
  /** Whether there is no room for it, so that it is refused at its headers. */
  isSurplus: bool;
  /** The status that the client got, as far as it was looked at; 0 when it was not. */
  status: u32;
  /** Messages of the response, elements of its lists that stayed, the code of its last error, and what its tool results say of errors. */
  messages: u32;
  listed: u32;
  hasErrorCode: bool;
  errorCode: i64;
  isError: Truth;
  /** What is known of the request, as text of the record: of the heap, `factsBytes` bytes; 0 when there is none. */
  factsAt: usize;
  factsBytes: u32;
  /** Whether a text of the record was cut, and whether it has the answer's. */
  isCut: bool;
  hasAnswer: bool;

  /** For the refusal and the access log: copies, so that they outlive the inspection. Addresses of this record. */
  requestIdBytes: u32;
  methodBytes: u32;
  nameBytes: u32;
}

/** Address of the copied `x-request-id`. */
export function requestIdAt(exchange: Exchange): usize {
  return changetype<usize>(exchange) + REQUEST_ID_AT;
}

/** Address of the copied method. */
export function methodAt(exchange: Exchange): usize {
  return changetype<usize>(exchange) + METHOD_AT;
}

/** Whether the request calls a tool, as far as its message has been read. */
export function isToolCall(exchange: Exchange): bool {
  return equalsLiteral(methodAt(exchange), exchange.methodBytes, "tools/call");
}

/**
 * What the rules of its guard's policy give to the one who asks. Null when that is nothing, and when the guard has another policy by now: a grant
 * points into the one that it was found under.
 */
export function grantOf(exchange: Exchange): Grant | null {
  const grant = exchange.grant;
  return grant !== null && grant.generation == exchange.guard.generation ? grant : null;
}

/** Address of the copied tool or prompt name. */
export function nameAt(exchange: Exchange): usize {
  return changetype<usize>(exchange) + NAME_AT;
}

// The index from context ids to exchanges: chained buckets. The host numbers contexts one after the other, so the low
// bits of an id spread them evenly.
const BUCKETS_MIN: u32 = 256;
let buckets: usize = 0;
let bucketCount: u32 = 0;
let live: u32 = 0;
let pool: Exchange | null = null;

/** The exchange of stream `contextId`, or null. */
export function exchangeOf(contextId: u32): Exchange | null {
  if (bucketCount == 0) return null;
  let exchange = bucket(contextId);
  while (exchange !== null && exchange.contextId != contextId) exchange = exchange.next;
  return exchange;
}

/** A record for a new stream; null when the VM has far too many. One of those that are too many is only there to be refused. */
export function createExchange(contextId: u32, guard: Guard): Exchange | null {
  if (live == EXCHANGES_MAX + SURPLUS_EXCHANGES_MAX) return null;
  if (live == bucketCount) growIndex();
  let exchange = pool;
  if (exchange !== null) pool = exchange.next;
  else exchange = changetype<Exchange>(heap.alloc(RECORD_BYTES));
  memory.fill(changetype<usize>(exchange), 0, offsetof<Exchange>());
  exchange.contextId = contextId;
  exchange.guard = guard;
  exchange.number = ++guard.chain.exchanges;
  exchange.isSurplus = live >= EXCHANGES_MAX;
  exchange.next = bucket(contextId);
  setBucket(contextId, exchange);
  live++;
  return exchange;
}

/** Gives the record of a stream that is gone back to the pool. */
export function deleteExchange(exchange: Exchange): void {
  const head = bucket(exchange.contextId);
  if (head === exchange) {
    setBucket(exchange.contextId, exchange.next);
  } else {
    let before = head;
    while (before !== null && before.next !== exchange) before = before.next;
    if (before !== null) before.next = exchange.next;
  }
  if (exchange.factsAt != 0) heap.free(exchange.factsAt);
  const grant = exchange.grant;
  if (grant !== null) heap.free(changetype<usize>(grant));
  exchange.next = pool;
  pool = exchange;
  live--;
}

function bucketAt(contextId: u32): usize {
  return buckets + (usize(contextId & (bucketCount - 1)) << 2);
}

function bucket(contextId: u32): Exchange | null {
  // SAFETY: the masked id is below bucketCount, a power of two.
  return changetype<Exchange | null>(usize(load<u32>(bucketAt(contextId))));
}

function setBucket(contextId: u32, exchange: Exchange | null): void {
  // SAFETY: as in `bucket`.
  store<u32>(bucketAt(contextId), u32(changetype<usize>(exchange)));
}

/** Doubles the index, so that chains stay short. */
function growIndex(): void {
  const oldBuckets = buckets;
  const oldCount = bucketCount;
  bucketCount = oldCount == 0 ? BUCKETS_MIN : oldCount << 1;
  buckets = heap.alloc(usize(bucketCount) << 2);
  memory.fill(buckets, 0, usize(bucketCount) << 2);
  for (let i: u32 = 0; i < oldCount; i++) {
    // SAFETY: i < oldCount.
    let exchange = changetype<Exchange | null>(usize(load<u32>(oldBuckets + (usize(i) << 2))));
    while (exchange !== null) {
      const after = exchange.next;
      exchange.next = bucket(exchange.contextId);
      setBucket(exchange.contextId, exchange);
      exchange = after;
    }
  }
  if (oldBuckets != 0) heap.free(oldBuckets);
}
