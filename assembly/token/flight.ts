// A question to the token endpoint that is under way, and what has come of it: one for each key, however many requests wait for it.

import { NO_CALL } from "../host/call";
import { FLIGHTS_MAX } from "../limits";
import { Cache, createCache, freeCache, Slot } from "./cache";
import { isSameKey, KEY_BYTES } from "./cache-key";

/** What has come of it. */
export const enum Outcome {
  /** It is under way. */
  None,
  Token,
  /** The caller's token is not accepted. */
  Refused,
  /** The token endpoint cannot be asked, or did not answer as it should. */
  Failed,
}

@unmanaged
export class Flight {
  next: Flight | null;
  /** The token of the request; NO_CALL when it has been answered. */
  call: u32;
  /** The guard's tick at which it is over whether it has been answered or not. */
  untilTick: u32;
  outcome: Outcome;
  /** Requests that wait for it. */
  waiters: u32;
  /** The token that it has brought, of the heap; 0 bytes when there is none. */
  tokenAt: usize;
  tokenBytes: u32;
  /** Where that is kept; null when it is not. */
  slot: Slot | null;
  serial: u64;
}

/** Behind the record: the key, and the digest of the caller's token. */
const KEY_AT: usize = (offsetof<Flight>() + 7) & ~7;
const RECORD_BYTES: usize = KEY_AT + 2 * usize(KEY_BYTES);

/** What a guard has of tokens. */
@unmanaged
export class Tokens {
  cache: Cache;
  /** Flights, the one that began last first. */
  first: Flight | null;
  count: u32;
  /** How often in a row the token endpoint has not answered as it should: it is told once. */
  failures: u32;
}

/** The tokens of a guard, none yet. Freed with `freeTokens`. */
export function createTokens(slotCount: u32): Tokens {
  const tokens = changetype<Tokens>(heap.alloc(offsetof<Tokens>()));
  tokens.cache = createCache(slotCount);
  tokens.first = null;
  tokens.count = 0;
  tokens.failures = 0;
  return tokens;
}

/** Frees them; no token of them stays in memory. Nobody waits for a flight any more. */
export function freeTokens(tokens: Tokens): void {
  let flight = tokens.first;
  while (flight !== null) {
    const after = flight.next;
    freeFlight(flight);
    flight = after;
  }
  freeCache(tokens.cache);
  heap.free(changetype<usize>(tokens));
}

/** Whether one more question may be under way. */
export function mayFly(tokens: Tokens): bool {
  return tokens.count < FLIGHTS_MAX;
}

/** A new flight for a key, with the digest of the caller's token. */
export function beginFlight(tokens: Tokens, key: usize, digest: usize): Flight {
  const flight = changetype<Flight>(heap.alloc(RECORD_BYTES));
  memory.fill(changetype<usize>(flight), 0, RECORD_BYTES);
  flight.call = NO_CALL;
  memory.copy(changetype<usize>(flight) + KEY_AT, key, KEY_BYTES);
  memory.copy(subjectDigestAt(flight), digest, KEY_BYTES);
  flight.next = tokens.first;
  tokens.first = flight;
  tokens.count++;
  return flight;
}

/** The flight for a key; null when there is none. One that is over counts for those who wait for it, and for nobody else. */
export function flightFor(tokens: Tokens, key: usize): Flight | null {
  let flight = tokens.first;
  while (flight !== null && (flight.outcome != Outcome.None || !isSameKey(flightKeyAt(flight), key)))
    flight = flight.next;
  return flight;
}

/** The flight whose request is `call`; null when there is none. */
export function flightOf(tokens: Tokens, call: u32): Flight | null {
  let flight = tokens.first;
  while (flight !== null && flight.call != call) flight = flight.next;
  return flight;
}

/** Takes a flight away that is over and that nobody waits for. */
export function endFlight(tokens: Tokens, flight: Flight): void {
  if (flight.outcome == Outcome.None || flight.waiters != 0) return;
  if (tokens.first === flight) {
    tokens.first = flight.next;
  } else {
    let before = tokens.first;
    while (before !== null && before.next !== flight) before = before.next;
    if (before !== null) before.next = flight.next;
  }
  tokens.count--;
  freeFlight(flight);
}

/** Gives a flight the token that it has brought: a copy. */
export function setFlightToken(flight: Flight, at: usize, bytes: u32): void {
  flight.tokenAt = heap.alloc(bytes);
  flight.tokenBytes = bytes;
  memory.copy(flight.tokenAt, at, bytes);
}

/** Address of the flight's key. */
export function flightKeyAt(flight: Flight): usize {
  return changetype<usize>(flight) + KEY_AT;
}

/** Address of the digest of the caller's token. */
export function subjectDigestAt(flight: Flight): usize {
  return changetype<usize>(flight) + KEY_AT + KEY_BYTES;
}

function freeFlight(flight: Flight): void {
  if (flight.tokenBytes != 0) {
    memory.fill(flight.tokenAt, 0, flight.tokenBytes);
    heap.free(flight.tokenAt);
  }
  heap.free(changetype<usize>(flight));
}
