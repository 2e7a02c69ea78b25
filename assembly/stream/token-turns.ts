// Requests whose callers' tokens are exchanged (`token_exchange`), turn by turn: under `request_headers: release` a request waits at its headers, under `hold` it
// has its verdict first, so that a refused call costs no token. A token is taken from the cache, or waited for with all others that need the same one. A
// question to the token endpoint cannot be taken back: its answer is kept although nobody waits for it any more.

import { BufferId, LogLevel, MapId } from "../host/abi";
import { readBuffer } from "../host/buffer";
import { answerStatus, continueRequest, NO_CALL } from "../host/call";
import { now } from "../host/clock";
import { actOn } from "../host/context";
import {
  allHeadersSeen,
  nameAt,
  nameBytes,
  nextHeader,
  openHeaders,
  removePresentHeader,
  replaceHeader,
  valueAt,
  valueBytes,
} from "../host/headers";
import { landedAt } from "../host/landing";
import { log } from "../host/log";
import {
  claimAt,
  claimBytes,
  issuerAt,
  issuerBytes,
  principalAt,
  principalBytes,
  Source,
  source,
} from "../identity/principal";
import { isComplete } from "../json/reader";
import {
  REFUSED_SECONDS,
  TEXT_BYTES_MAX,
  TOKEN_ANSWER_BYTES_MAX,
  TOKEN_BYTES_MAX,
  TOKEN_MARGIN_SECONDS,
} from "../limits";
import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, wipe, writeBytes, writeLiteral, writeNumber } from "../memory/writer";
import { Authorization, Policy, RequestBody, RequestHeaders } from "../policy/policy";
import { Reason } from "../policy/reason";
import { TokenService } from "../policy/token-service";
import { Answer, expiresIn, forgetAnswer, mintedAt, mintedBytes, NO_EXPIRY, readAnswer } from "../token/answer";
import { evict, findSlot, Known, putSlot, Slot } from "../token/cache";
import { cacheKey, isSameKey, tokenDigest } from "../token/cache-key";
import {
  beginFlight,
  createTokens,
  endFlight,
  Flight,
  flightFor,
  flightKeyAt,
  flightOf,
  mayFly,
  Outcome,
  setFlightToken,
  subjectDigestAt,
  Tokens,
} from "../token/flight";
import { askForToken } from "../token/request";
import {
  Bearer,
  bearerOf,
  beginSubject,
  forgetSubject,
  isOfPrincipal,
  noteAuthorization,
  subjectAt,
  subjectBytes,
} from "../token/subject";
import { createTurn, freeTurn, joinFlight, leaveFlight, Step, Turn, turnKeyAt } from "../token/turn";
import { exportMessage } from "./audit-line";
import { mustWait, wait } from "./collector";
import { Count, count, Decision } from "./counters";
import { hurry, mayEnd } from "./endings";
import { Exchange, grantOf, Stage, TokenOutcome } from "./exchange";
import { Guard } from "./guard";
import { hold, letGo, ticksIn } from "./held";
import { endReading } from "./reading";
import { refuse } from "./refuse";
import { letFlow } from "./request";

const BEARER: Literal = "Bearer ";
/** RFC 9110 section 15.5.2. */
const UNAUTHORIZED: u32 = 401;
const NANOSECONDS: u64 = 1_000_000_000;
/** Ticks beyond `timeout_ms` that the proxy has to say that it has not been answered. */
const GRACE_TICKS: u32 = 2;
const header: Writer = allocateWriter(literalBytes(BEARER) + TOKEN_BYTES_MAX);
const line: Writer = allocateWriter(TEXT_BYTES_MAX);

// --- From a stream ----------------------------------------------------------------------------------------------------

/**
 * At the headers, which are there, and whose principal has been found: what becomes of the caller's token. None when the request may go on, or waits
 * (`waitsForToken`). `hasBody`: there will be a verdict.
 */
export function beginToken(exchange: Exchange, policy: Policy, hasBody: bool): Reason {
  const bearer = bearerOf();
  if (policy.authorization == Authorization.Pass || bearer == Bearer.None) return Reason.None;
  const service = policy.tokenService;
  if (service === null) {
    return removePresentHeader(MapId.RequestHeaders, "authorization") ? Reason.None : Reason.Internal;
  }
  if (bearer == Bearer.Bad || source != Source.Jwt) return Reason.TokenInvalid;
  const guard = exchange.guard;
  const tokens = tokensOf(guard, service);
  const key = cacheKey(
    service,
    issuerAt,
    issuerBytes,
    claimAt,
    claimBytes,
    principalAt,
    principalBytes,
    subjectAt,
    subjectBytes,
  );
  const turn = createTurn(key, guard.generation);
  exchange.turn = turn;
  const slot = findSlot(tokens.cache, turnKeyAt(turn), exchange.startedAt);
  // Whatever is known under the key has been asked for with a token that names its principal.
  if (slot === null && !isOfPrincipal(issuerAt, issuerBytes, claimAt, claimBytes, principalAt, principalBytes)) {
    return Reason.TokenInvalid;
  }
  // Step.Due: the headers wait for the verdict.
  if (hasBody && policy.requestHeaders == RequestHeaders.Hold) return Reason.None;
  return slot !== null ? takeKept(exchange, turn, slot) : join(exchange, service, tokens, turn);
}

/**
 * At the verdict that lets the request go on: whether it still may not, because its token is asked for or because it has just been refused. Its stage is
 * `Exchanging` in the one case, and whatever remains of it is done from here. `isInTrailers`: it is trailers that have ended it.
 */
export function awaitToken(exchange: Exchange, policy: Policy, isInTrailers: bool): bool {
  const turn = exchange.turn;
  if (turn === null) return false;
  if (turn.step == Step.Done) {
    if (!isInTrailers || !turn.hasWaited) return false;
    turn.step = Step.Resuming;
    hurry(exchange.guard);
  }
  if (turn.step == Step.Due) {
    const reason = askAtVerdict(exchange, policy, turn);
    if (reason != Reason.None) {
      refuseMessage(exchange, reason);
      return true;
    }
    // What the compiler takes to be `Due` still.
    if (!waitsForToken(exchange)) return false;
  }
  exchange.stage = Stage.Exchanging;
  return true;
}

/** The headers are held since the guard has seen them, and nobody has changed them. Whoever comes to a verdict has looked that the policy is still the one of then. */
function askAtVerdict(exchange: Exchange, policy: Policy, turn: Turn): Reason {
  const service = policy.tokenService;
  const tokens = exchange.guard.tokens;
  if (service === null || tokens === null) return Reason.Internal;
  const slot = findSlot(tokens.cache, turnKeyAt(turn), now());
  if (slot !== null) return takeKept(exchange, turn, slot);
  const reason = readSubject() ? join(exchange, service, tokens, turn) : Reason.Internal;
  forgetSubject();
  return reason;
}

/** Reads the caller's token once more. False when the host refuses. */
function readSubject(): bool {
  beginSubject();
  if (!openHeaders(MapId.RequestHeaders)) return false;
  while (nextHeader()) {
    if (equalsLiteral(nameAt, nameBytes, "authorization")) noteAuthorization(valueAt, valueBytes);
  }
  return allHeadersSeen() && bearerOf() == Bearer.One;
}

/** Whether the request may not go on before its token has come. */
export function waitsForToken(exchange: Exchange): bool {
  const turn = exchange.turn;
  if (turn === null || exchange.stage == Stage.Refused) return false;
  return turn.step == Step.Waiting || turn.step == Step.Lost || turn.step == Step.Resuming;
}

/** A piece of the request's body has come. */
export function noteBody(exchange: Exchange): void {
  const turn = exchange.turn;
  if (turn !== null) turn.hasBody = true;
}

/** Whether the request has a token that is kept. */
export function hasKeptToken(exchange: Exchange): bool {
  const turn = exchange.turn;
  return turn !== null && turn.slot !== null;
}

/** The server has answered with that status: a token that it does not accept is of no use to the next request. */
export function checkToken(exchange: Exchange, status: u32): void {
  const turn = exchange.turn;
  if (turn === null || status != UNAUTHORIZED || isOutdated(exchange, turn)) return;
  const slot = turn.slot;
  if (slot !== null) evict(slot, turn.serial);
}

/** The stream is gone. */
export function endTurn(exchange: Exchange): void {
  const turn = exchange.turn;
  if (turn === null) return;
  leaveFlight(turn, exchange.guard.tokens);
  freeTurn(turn);
  exchange.turn = null;
}

function tokensOf(guard: Guard, service: TokenService): Tokens {
  const known = guard.tokens;
  if (known !== null) return known;
  const tokens = createTokens(service.cacheEntries);
  guard.tokens = tokens;
  return tokens;
}

/** Whether the guard has got another policy since: its tokens are gone. */
function isOutdated(exchange: Exchange, turn: Turn): bool {
  return turn.generation != exchange.guard.generation;
}

// --- A token that is there --------------------------------------------------------------------------------------------

function takeKept(exchange: Exchange, turn: Turn, slot: Slot): Reason {
  if (slot.known == Known.Refused) {
    exchange.tokenOutcome = TokenOutcome.Refused;
    return Reason.TokenExchangeRefused;
  }
  if (!putToken(turn, slot.tokenAt, slot.tokenBytes)) return Reason.Internal;
  turn.slot = slot;
  turn.serial = slot.serial;
  exchange.tokenOutcome = TokenOutcome.Cached;
  count(Count.CachedTokens, 1);
  return Reason.None;
}

/** Puts a token in the place of the caller's. False when the host refuses; then nothing may go on. */
function putToken(turn: Turn, at: usize, bytes: u32): bool {
  clear(header);
  writeLiteral(header, BEARER);
  writeBytes(header, at, bytes);
  const isPut = !header.overflowed && replaceHeader(MapId.RequestHeaders, "authorization", header.start, header.length);
  wipe(header);
  if (isPut) turn.step = Step.Done;
  return isPut;
}

// --- A token that is asked for ----------------------------------------------------------------------------------------

/** Has the request wait for its token, with those that wait for it already or first of them. A reason when it cannot. */
function join(exchange: Exchange, service: TokenService, tokens: Tokens, turn: Turn): Reason {
  // The flight's time is counted in ticks.
  if (!hold(exchange)) return Reason.Internal;
  let flight = flightFor(tokens, turnKeyAt(turn));
  if (flight === null) {
    flight = ask(exchange.guard, service, tokens, turn);
    if (flight === null) {
      exchange.tokenOutcome = TokenOutcome.Failed;
      return Reason.TokenExchangeUnavailable;
    }
    turn.isFirst = true;
  }
  joinFlight(turn, flight);
  return Reason.None;
}

/** Asks the token endpoint; null when that cannot be. */
function ask(guard: Guard, service: TokenService, tokens: Tokens, turn: Turn): Flight | null {
  if (!mayFly(tokens)) {
    noteFailure(tokens, "too many questions are under way", 0);
    return null;
  }
  const call = askForToken(service, subjectAt, subjectBytes);
  if (call == NO_CALL) {
    noteFailure(
      tokens,
      "the token endpoint cannot be asked: there is no such cluster, it takes no requests, or the proxy cannot sign with token_exchange.client.key_env",
      0,
    );
    return null;
  }
  const flight = beginFlight(tokens, turnKeyAt(turn), tokenDigest(subjectAt, subjectBytes));
  flight.call = call;
  flight.untilTick = guard.tick + ticksIn(guard, service.timeoutMs) + GRACE_TICKS;
  return flight;
}

/** Counts a question that has brought no token, and tells the first of a row. */
function noteFailure(tokens: Tokens, why: Literal, status: u32): void {
  count(Count.FailedTokens, 1);
  if (tokens.failures++ == 0) tell(LogLevel.Warn, why, status);
}

function noteSuccess(tokens: Tokens): void {
  if (tokens.failures != 0) tell(LogLevel.Info, "the token endpoint answers again", 0);
  tokens.failures = 0;
}

function tell(level: LogLevel, what: Literal, status: u32): void {
  clear(line);
  writeLiteral(line, "mcp-guard: token_exchange: ");
  writeLiteral(line, what);
  if (status != 0) {
    writeLiteral(line, " ");
    writeNumber(line, status);
  }
  log(level, line);
}

// --- What is answered -------------------------------------------------------------------------------------------------

/** Whether request `token` went to the token endpoint. */
export function isTokenAnswer(guard: Guard, token: u32): bool {
  const tokens = guard.tokens;
  return tokens !== null && flightOf(tokens, token) !== null;
}

/** `proxy_on_http_call_response`: the answer to request `token`, with `bodyBytes` bytes of body. */
export function onTokenAnswer(guard: Guard, token: u32, bodyBytes: u32): void {
  const policy = guard.policy;
  const tokens = guard.tokens;
  if (policy === null || tokens === null) return;
  const flight = flightOf(tokens, token);
  const service = policy.tokenService;
  if (flight === null || service === null) return;
  flight.call = NO_CALL;
  takeAnswer(service, tokens, flight, bodyBytes);
  forgetAnswer();
  land(guard, tokens, flight);
}

/** Reads the answer at hand, and keeps what it has brought. */
function takeAnswer(service: TokenService, tokens: Tokens, flight: Flight, bodyBytes: u32): void {
  const status = answerStatus();
  let answer = Answer.None;
  if (bodyBytes <= TOKEN_ANSWER_BYTES_MAX && bodyBytes != 0 && readBuffer(BufferId.CallResponseBody, 0, bodyBytes)) {
    answer = readAnswer(status, landedAt(), bodyBytes, service.requestedType);
    // It has the token, and is of no more use. What the proxy itself still has of the answer is not ours to overwrite.
    memory.fill(landedAt(), 0, bodyBytes);
  }
  // The token with which the caller came is for somebody else, whoever calls it new.
  if (answer == Answer.Token && isSameKey(tokenDigest(mintedAt, mintedBytes), subjectDigestAt(flight))) {
    answer = Answer.None;
  }
  switch (answer) {
    case Answer.Token:
      flight.outcome = Outcome.Token;
      setFlightToken(flight, mintedAt, mintedBytes);
      keepToken(service, tokens, flight);
      count(Count.MintedTokens, 1);
      noteSuccess(tokens);
      return;
    case Answer.Refused: {
      flight.outcome = Outcome.Refused;
      const at = now();
      if (at != 0) putSlot(tokens.cache, flightKeyAt(flight), 0, 0, at, at + REFUSED_SECONDS * NANOSECONDS);
      count(Count.FailedTokens, 1);
      noteSuccess(tokens);
      return;
    }
    default:
      flight.outcome = Outcome.Failed;
      noteFailure(tokens, "the token endpoint gives no token, status", status);
  }
}

/** Keeps the token as long as it is good, less a margin, and no longer than the policy lets it. One of which nobody says how long that is is not kept. */
function keepToken(service: TokenService, tokens: Tokens, flight: Flight): void {
  const at = now();
  if (at == 0 || expiresIn == NO_EXPIRY || u64(expiresIn) <= TOKEN_MARGIN_SECONDS) return;
  const seconds = min(u64(expiresIn) - TOKEN_MARGIN_SECONDS, u64(service.cacheSecondsMax));
  if (seconds == 0) return;
  const slot = putSlot(tokens.cache, flightKeyAt(flight), mintedAt, mintedBytes, at, at + seconds * NANOSECONDS);
  flight.slot = slot;
  flight.serial = slot.serial;
}

/** Tells those who wait for a flight that is over, as many as may go on in one callback. The root context is the effective one, before and after. */
function land(guard: Guard, tokens: Tokens, flight: Flight): void {
  let exchange = guard.firstHeld;
  while (exchange !== null && flight.waiters != 0) {
    const after = exchange.nextHeld;
    const turn = exchange.turn;
    if (turn !== null && turn.flight === flight && actOn(exchange.contextId)) {
      if (!mayEnd()) break;
      deliver(exchange, turn, flight);
    }
    exchange = after;
  }
  actOn(guard.contextId);
  endFlight(tokens, flight);
}

function deliver(exchange: Exchange, turn: Turn, flight: Flight): void {
  // It stays until `endFlight`, which whoever called this comes to.
  turn.flight = null;
  flight.waiters--;
  switch (flight.outcome) {
    case Outcome.Token:
      if (!putToken(turn, flight.tokenAt, flight.tokenBytes)) {
        refuseMessage(exchange, Reason.Internal);
        return;
      }
      turn.slot = flight.slot;
      turn.serial = flight.serial;
      exchange.tokenOutcome = turn.isFirst ? TokenOutcome.Minted : TokenOutcome.Cached;
      if (!turn.isFirst) count(Count.CachedTokens, 1);
      goOn(exchange, turn);
      return;
    case Outcome.Refused:
      exchange.tokenOutcome = TokenOutcome.Refused;
      refuseMessage(exchange, Reason.TokenExchangeRefused);
      return;
    default:
      exchange.tokenOutcome = TokenOutcome.Failed;
      refuseMessage(exchange, Reason.TokenExchangeUnavailable);
  }
}

/** The request has its token: it goes on as far as it may. */
function goOn(exchange: Exchange, turn: Turn): void {
  const guard = exchange.guard;
  const policy = guard.policy;
  const inspection = exchange.inspection;
  if (policy === null) {
    refuseMessage(exchange, Reason.ConfigInvalid);
    return;
  }
  if (exchange.stage == Stage.Exchanging) {
    if (inspection !== null && mustWait(policy, grantOf(exchange), inspection)) {
      wait(exchange);
      return;
    }
    if (!continueRequest()) {
      refuseMessage(exchange, Reason.Internal);
      return;
    }
    letGo(exchange);
    exchange.stage = Stage.Passed;
    exchange.decision = inspection !== null ? Decision.Allow : Decision.Pass;
    exchange.decidedAt = now();
    if (inspection !== null) exportMessage(exchange);
    endReading(exchange);
    return;
  }
  exchange.progressTick = guard.tick;
  // One that waits for a person goes on when it has its receipt.
  if (exchange.stage != Stage.Reading || inspection === null) return;
  // What has come of the body may go on before the verdict only where it could not be a message: of a body that streams, and whose end has not come.
  const mayFlow = policy.requestBody == RequestBody.Stream && !isComplete(inspection.reader);
  if (turn.hasBody && !mayFlow) return;
  turn.hasWaited = !turn.hasBody;
  if (!continueRequest()) refuseMessage(exchange, Reason.Internal);
  else if (turn.hasBody) letFlow(exchange, policy, inspection);
}

/** Refuses a request. The record of its message, if one was read, says so too. */
function refuseMessage(exchange: Exchange, reason: Reason): void {
  const isMessage = exchange.inspection !== null;
  refuse(exchange, reason);
  if (isMessage) exportMessage(exchange);
}

// --- From a tick ------------------------------------------------------------------------------------------------------

/** Whether questions to the token endpoint are under way. */
export function hasFlights(guard: Guard): bool {
  const tokens = guard.tokens;
  return tokens !== null && tokens.first !== null;
}

/** Ends what has had no answer for too long, and does what an answer has left. The root context is the effective one, before and after. */
export function tendTokens(guard: Guard): void {
  tendTurns(guard);
  const tokens = guard.tokens;
  if (tokens === null) return;
  let flight = tokens.first;
  while (flight !== null) {
    const after = flight.next;
    // Ticks are counted modulo 2^32.
    if (flight.outcome == Outcome.None && i32(guard.tick - flight.untilTick) >= 0) {
      // The proxy answers in its place long before; should it answer later, nobody knows that request any more.
      flight.call = NO_CALL;
      flight.outcome = Outcome.Failed;
      noteFailure(tokens, "the token endpoint has not answered", 0);
    }
    if (flight.outcome != Outcome.None) land(guard, tokens, flight);
    flight = after;
  }
}

/** Refuses those who wait for a token under a policy that is gone, and lets those go on that only wait for the tick. */
function tendTurns(guard: Guard): void {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const after = exchange.nextHeld;
    const turn = exchange.turn;
    const isDue = turn !== null && (turn.step == Step.Lost || turn.step == Step.Resuming);
    if (turn !== null && isDue && exchange.stage != Stage.Refused && actOn(exchange.contextId)) {
      if (!mayEnd()) break;
      if (turn.step == Step.Lost || isOutdated(exchange, turn)) {
        refuseMessage(exchange, Reason.TokenExchangeUnavailable);
      } else {
        turn.step = Step.Done;
        goOn(exchange, turn);
      }
    }
    exchange = after;
  }
  actOn(guard.contextId);
}
