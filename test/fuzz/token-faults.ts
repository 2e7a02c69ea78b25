// A request whose token is exchanged, and what must not be of what the server has of it.

import type { HttpStream } from "../../src/host/index.ts";
import type { GuardAgain } from "../host/configured-again.ts";
import { faults as bodyFaults } from "../oracle/message.ts";
import { readStrictJson } from "../oracle/strict-json.ts";
import { STREAMS, STRIPS } from "./token-actions.ts";

/** What a body is judged by, whatever the guard. */
const BODY_POLICY = { tool_allowlist: ["safe"] };

/** A guard and the audience that it asks tokens for. */
export interface Place {
  readonly kind: number;
  readonly guard: GuardAgain;
  audience: string;
}

/** A request on its way, and what is known of it. */
export interface Sent {
  readonly stream: HttpStream;
  readonly place: Place;
  readonly audience: string;
  /** When it came: its turn among all that happens, and the clock. */
  readonly turn: number;
  readonly at: bigint;
  readonly values: readonly string[];
  /** The token that may be exchanged, if the request has one. */
  readonly subject: string | undefined;
  /** Undefined: it has none. */
  readonly body: Buffer | undefined;
  readonly rest: (() => void)[];
  isAnswered: boolean;
}

/** What is wrong with the headers and trailers that the server has. */
export function faultsOfHead({ stream, place, values, subject }: Sent): string[] {
  const { headers, trailers } = stream.upstream;
  if (headers === undefined) return [];
  const found: string[] = [];
  const tokens = headers.getAll("authorization");
  if (STRIPS[place.kind]) {
    if (tokens.length > 0) found.push(`a token that should have been left out: ${tokens}`);
  } else if (values.length === 0) {
    if (tokens.length > 0) found.push(`a token for somebody who has brought none: ${tokens}`);
  } else if (subject === undefined) {
    found.push("a request whose token cannot be exchanged");
  } else if (tokens.length !== 1) {
    found.push(`${tokens.length} tokens`);
  }
  // Of a few bytes it may be chance.
  const own = values.flatMap((value) => [value, ...value.split(/[ ,\t]+/)]).filter((part) => part.length >= 20);
  for (const [name, value] of [...headers.pairs(), ...(trailers?.pairs() ?? [])]) {
    if (own.some((part) => value.includes(part))) found.push(`the caller's own token in ${name}`);
  }
  if (trailers?.get("authorization") !== undefined) found.push("a token in the trailers");
  if (/[?&]access(_|%5f)token=/i.test(headers.get(":path") ?? "")) found.push("a token in the query");
  return found;
}

/** What is wrong with the body that it has. */
export function faultsOfBody({ stream, place, body, isAnswered }: Sent): string[] {
  const { upstream, filterState, localReply } = stream;
  const bytes = upstream.body();
  if (body === undefined) return bytes.length > 0 ? [`${bytes.length} bytes of no body`] : [];
  const isRefused = localReply !== undefined || filterState.get("mcp_decision") === "refuse";
  if (upstream.ended) {
    if (isRefused && !isAnswered) return ["a refused body that is complete"];
    const faults = [...bodyFaults(bytes, BODY_POLICY)];
    if (faults.length > 0) return [`a body with ${faults}: ${bytes.toString("latin1")}`];
    return bytes.equals(body) ? [] : [`${bytes.toString("latin1")} instead of ${body.toString("latin1")}`];
  }
  if (bytes.length === 0) return [];
  if (!STREAMS[place.kind]) return [`${bytes.length} bytes of a body that has no verdict`];
  if (readStrictJson(bytes).ok) return [`a whole text before its verdict: ${bytes.toString("latin1")}`];
  return [];
}

/** Whether a request is neither refused, nor gone, nor with the server; a body that streams may be with the server as far as its client has sent it. */
export function isOpen({ stream, place, rest }: Sent): boolean {
  const { upstream, finished } = stream;
  if (finished || upstream.ended) return false;
  return !(STREAMS[place.kind] && upstream.body().length > 0 && rest.length > 0);
}

/** Where a request is that should have an end. */
export function stateOf({ stream, place, rest, turn, values }: Sent): string {
  const { upstream, localReply, heldBytes } = stream;
  const seen = upstream.headers === undefined ? "nothing" : `${upstream.body().length} bytes`;
  const what = `guard ${place.kind}, turn ${turn}, ${values.length} tokens, ${rest.length} pieces not sent, ${heldBytes} bytes held`;
  return `${what}, at the server ${seen}, answered ${localReply?.details}`;
}
