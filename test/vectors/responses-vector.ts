// What a response vector is, and how the tables make them.

import type { Exchange, ResponseOutcome, ResponsePolicy, SeenEvent } from "../oracle/response.ts";
import { arrayNode, type Refusal, refusalNode, type Tree, tree } from "../oracle/response-json.ts";

/** What the client must get. Several outcomes: each is acceptable, because docs/responses.md leaves it open. */
export type Expectation =
  | { readonly kind: "untouched" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "json" | "events"; readonly outcomes: readonly ResponseOutcome[] };

export interface ResponseVector {
  /** Where the class of input comes from: a section of docs/responses.md, a row of the threat list. */
  readonly row: string;
  /** The class of input; with the row it is unique. */
  readonly name: string;
  readonly policy: ResponsePolicy;
  readonly exchange: Exchange;
  readonly status: number;
  /** Without `:status`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  readonly expect: Expectation;
  /** What must not be anywhere in the bytes that the client gets. */
  readonly hides: readonly string[];
}

/** What a vector says besides its body and its outcome. */
export interface Changes {
  readonly policy?: Partial<ResponsePolicy>;
  readonly exchange?: Partial<Exchange>;
  readonly status?: number;
  /** `null`: the response has no `Content-Type`. */
  readonly contentType?: string | null;
  readonly headers?: ResponseVector["headers"];
  readonly hides?: readonly string[];
}

/** The policy of most vectors. */
export const RESPONSE_POLICY: ResponsePolicy = {
  tool_allowlist: ["safe", "other"],
  prompt_allowlist: ["greet", "sum"],
  resource_roots: ["file:///docs/"],
};

/** A value that a client sees: JSON text, an error of the guard, or an array of them. */
export type Value = string | Refusal | readonly (string | Refusal)[];

export const refusal = (reason: string | readonly string[], ...ids: (string | undefined)[]): Refusal => ({
  reasons: typeof reason === "string" ? [reason] : reason,
  ids,
});

const treeOf = (value: Value): Tree => {
  if (typeof value === "string") return tree(value);
  return "reasons" in value ? refusalNode(value) : arrayNode(value.map(treeOf));
};

const outcome = (values: ResponseOutcome["values"], changes: Partial<ResponseOutcome> = {}): ResponseOutcome => ({
  values,
  cuts: [],
  ends: true,
  isAmbiguous: false,
  ...changes,
});

export const jsonOutcome = (...values: readonly Value[]): ResponseOutcome => outcome(values.map(treeOf));

/** An event as the tables write it: its data as JSON text, or as any text for `endpoint`. */
export interface EventText extends Omit<SeenEvent, "data"> {
  readonly data?: Value;
  readonly text?: string;
}

const eventOf = ({ data, text, ...fields }: EventText): SeenEvent => ({
  ...fields,
  ...(data !== undefined && { data: treeOf(data) }),
  ...(text !== undefined && { data: text }),
});

export const eventsOutcome = (...events: readonly EventText[]): ResponseOutcome => outcome(events.map(eventOf));

/** The stream must be cut after so many whole values. */
export const cutAfter = (before: ResponseOutcome): ResponseOutcome => ({
  ...before,
  cuts: [before.values.length],
  ends: false,
});

/** The stream may also be cut before the last value, because a part of it may have gone out. */
export const orCut = (whole: ResponseOutcome, at = Math.max(whole.values.length - 1, 0)): ResponseOutcome => ({
  ...whole,
  cuts: [at],
});

export const bytesOf = (body: Uint8Array | string): Uint8Array =>
  typeof body === "string" ? Uint8Array.from(Buffer.from(body)) : body;

/** One response. */
export function response(
  row: string,
  name: string,
  body: Uint8Array | string,
  expect: Expectation,
  changes: Changes = {},
): ResponseVector {
  const { contentType = expect.kind === "events" ? "text/event-stream" : "application/json" } = changes;
  return {
    row,
    name,
    policy: { ...RESPONSE_POLICY, ...changes.policy },
    exchange: { method: "POST", id: "1", ...changes.exchange },
    status: changes.status ?? 200,
    headers: [...(contentType === null ? [] : [["content-type", contentType] as const]), ...(changes.headers ?? [])],
    body: bytesOf(body),
    expect,
    hides: changes.hides ?? (["untouched", "refused"].includes(expect.kind) ? [] : ["evil"]),
  };
}

/** A JSON body and the values that the client sees of it. */
export const body = (
  row: string,
  name: string,
  text: Uint8Array | string,
  values: readonly Value[],
  changes?: Changes,
): ResponseVector => response(row, name, text, { kind: "json", outcomes: [jsonOutcome(...values)] }, changes);

/** An event stream and the events that the client sees of it. */
export const stream = (
  row: string,
  name: string,
  text: Uint8Array | string,
  events: readonly EventText[],
  changes?: Changes,
): ResponseVector => response(row, name, text, { kind: "events", outcomes: [eventsOutcome(...events)] }, changes);

/** The text as one event. */
export const frame = (text: string): string =>
  `${text
    .split("\n")
    .map((line) => `data: ${line}\n`)
    .join("")}\n`;

/** One message in a JSON body, and the same one as an event between two others. */
function carried(
  row: string,
  name: string,
  text: string,
  inBody: readonly Value[],
  onStream: readonly EventText[],
  changes?: Changes,
): ResponseVector[] {
  const ping = '{"jsonrpc":"2.0","id":9,"method":"ping"}';
  const around = [{ data: ping }, ...onStream, { data: ping }];
  return [
    body(row, name, text, inBody, changes),
    stream(row, `${name}, on a stream`, frame(ping) + frame(text) + frame(ping), around, changes),
  ];
}

/** A message that the client sees, as it came or changed. */
export const passes = (row: string, name: string, text: string, seen: Value = text, changes?: Changes) =>
  carried(row, name, text, [seen], [{ data: seen }], changes);

/** An answer in whose place stands an error with its id. */
export const refusedAnswer = (
  row: string,
  name: string,
  text: string,
  reasons: string | readonly string[],
  changes?: Changes,
) => passes(row, name, text, refusal(reasons, "1"), { hides: ["evil", "/etc/"], ...changes });

/** A call that the client never sees. */
export const deniedCall = (row: string, name: string, text: string, changes?: Changes) =>
  carried(row, name, text, [refusal("server_request_denied", undefined, "1")], [], changes);

/** A message with a fault: an error in its place, on a stream nothing. */
export const faulty = (row: string, name: string, text: string, changes?: Changes) =>
  carried(row, name, text, [refusal("response_invalid", "1", undefined)], [], changes);

/** `{"jsonrpc":"2.0","id":1,"result":` + result + `}` */
export const answer = (result: string): string => `{"jsonrpc":"2.0","id":1,"result":${result}}`;

/** A notification or request of the server. */
export const serverCall = (method: string, params: string): string =>
  `{"jsonrpc":"2.0","id":5,"method":${JSON.stringify(method)},"params":${params}}`;
