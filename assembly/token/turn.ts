// What a request that has brought a token waits for, or has used.

import { Slot } from "./cache";
import { KEY_BYTES } from "./cache-key";
import { endFlight, Flight, Tokens } from "./flight";

/** How far it is. */
export const enum Step {
  /** It is asked for at the verdict: a request that is refused costs no token. */
  Due,
  /** It is under way (`flight`). */
  Waiting,
  /** The policy under which it was under way is gone. */
  Lost,
  /** The request has it, and may go on from the next tick (`hasWaited`). */
  Resuming,
  /** The request has it. */
  Done,
}

@unmanaged
export class Turn {
  step: Step;
  /** Null unless it is waited for. */
  flight: Flight | null;
  /** Whether this request has begun the flight. */
  isFirst: bool;
  /** Whether a callback of the request's body has come: then what Envoy holds may go on only after the verdict. */
  hasBody: bool;
  /**
   * Whether its headers have waited and gone on before any of its body came. Envoy then runs the callbacks of body and trailers inside of that, and when trailers
   * let go of a body that is held it is lost (Envoy 1.37.0 and 1.40.0; FilterManager::decodeData passes over a filter that has seen the end): it goes on from a tick.
   */
  hasWaited: bool;
  /** The guard's generation of the policy under which it began. */
  generation: u32;
  /** Where the token that it has is kept; null when it is not. */
  slot: Slot | null;
  serial: u64;
}

const KEY_AT: usize = (offsetof<Turn>() + 7) & ~7;

/** A turn for a key. Freed with `freeTurn`. */
export function createTurn(key: usize, generation: u32): Turn {
  const turn = changetype<Turn>(heap.alloc(KEY_AT + KEY_BYTES));
  memory.fill(changetype<usize>(turn), 0, KEY_AT);
  memory.copy(changetype<usize>(turn) + KEY_AT, key, KEY_BYTES);
  turn.generation = generation;
  return turn;
}

/** Address of the key under which its token is kept. */
export function turnKeyAt(turn: Turn): usize {
  return changetype<usize>(turn) + KEY_AT;
}

/** Has it wait for a flight. */
export function joinFlight(turn: Turn, flight: Flight): void {
  turn.step = Step.Waiting;
  turn.flight = flight;
  flight.waiters++;
}

/** It does not wait any more. The answer is kept all the same; a flight that is over and that nobody waits for goes. */
export function leaveFlight(turn: Turn, tokens: Tokens | null): void {
  const flight = turn.flight;
  if (flight === null) return;
  turn.flight = null;
  flight.waiters--;
  if (tokens !== null) endFlight(tokens, flight);
}

/** All flights of the guard are about to be freed. */
export function loseFlight(turn: Turn): void {
  if (turn.step == Step.Waiting) turn.step = Step.Lost;
  turn.flight = null;
}

/** Frees it. It waits for nothing. */
export function freeTurn(turn: Turn): void {
  heap.free(changetype<usize>(turn));
}
