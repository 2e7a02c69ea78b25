// What a client saw of a response, read back from its bytes, and whether that is what an outcome allows.

import { readEventTexts } from "./event-stream.ts";
import type { ResponseOutcome, SeenEvent } from "./response.ts";
import { canonical, memberOf, type Refusal, readText, readTexts, type Tree } from "./response-json.ts";

/** What a client saw. */
export interface View {
  readonly values: readonly (Tree | SeenEvent)[];
  /** The response broke off. */
  readonly isCut: boolean;
  /** What is wrong with the bytes themselves, whatever they say. */
  readonly faults: readonly string[];
}

/** The filter's own text may be as wide as it likes. */
const WIDE = { depth: 100_000, membersPerObject: 1 << 20, openMembers: 1 << 24, keyBytes: 1 << 20 };

/** The texts of a JSON body. */
export function viewOfBody(body: Uint8Array, isCut: boolean): View {
  const texts = readTexts(body, WIDE);
  const values = texts.flatMap((text) => (text.ok ? [text.tree] : []));
  const isBroken = texts.some((text) => !text.ok);
  return { values, isCut, faults: isBroken && !isCut ? [`no JSON: ${Buffer.from(body).toString("utf8")}`] : [] };
}

const FRAME_LINE = /^(?:(?:event|id|retry|data): ?.*|:|)$/s;

/** The events of a stream, which must be written in the one form that the filter writes. */
export function viewOfStream(body: Uint8Array, isCut: boolean): View {
  const text = Buffer.from(body).toString("utf8");
  // What stands behind the last empty line of a stream that was cut is an event that never ends.
  const whole = isCut ? text.slice(0, text.lastIndexOf("\n\n") + 2) : text;
  const faults: string[] = [];
  if (/[\r\u0085\u2028\u2029\u007f-\u009f]/.test(text))
    faults.push("a character that some readers take for a line end");
  for (const line of text.split("\n").slice(0, -1)) if (!FRAME_LINE.test(line)) faults.push(`the line ${line}`);
  if (!isCut && text !== "" && !/(?:^|\n)(?:\n|:\n)$/.test(text)) faults.push("no empty line at the end");

  const values: SeenEvent[] = [];
  for (const { data = "", ...fields } of readEventTexts(Buffer.from(whole))) {
    if (data.includes("\n")) faults.push("data on several lines");
    if (data === "") {
      if (fields.id !== undefined || fields.retry !== undefined) values.push(fields);
      continue;
    }
    const read = readText(Buffer.from(data, "latin1"), WIDE);
    values.push({ ...fields, data: read.ok ? read.tree : data });
  }
  return { values, isCut, faults };
}

/** Why a view is not what an outcome allows; undefined when it is. */
export function disagreement(outcome: ResponseOutcome, view: View): string | undefined {
  if (view.faults.length > 0) return view.faults.join("; ");
  // With a cut goes what was on its way, so that a client may see fewer values than have gone out.
  const isLong = view.isCut
    ? view.values.length <= Math.max(-1, ...outcome.cuts)
    : outcome.ends && view.values.length === outcome.values.length;
  const isAllowed = isLong && view.values.every((value, index) => isSame(outcome.values[index]!, value));
  if (isAllowed) return undefined;
  const may = `${shown(outcome.values)}${outcome.cuts.length > 0 ? `, may be cut after ${outcome.cuts}` : ""}`;
  const ends = outcome.ends ? "" : ", must be cut";
  return `expected ${may}${ends}\n     got ${shown(view.values)}${view.isCut ? ", cut" : ""}`;
}

const shown = (values: ResponseOutcome["values"]): string => `(${values.map(shownValue).join(" ; ")})`;

function shownValue(value: Tree | SeenEvent): string {
  if ("kind" in value) return canonical(value);
  const { data, ...fields } = value;
  const names = Object.entries(fields).map(([name, text]) => `${name}=${text}`);
  const text = data === undefined ? [] : [typeof data === "string" ? `text ${data}` : canonical(data)];
  return [...names, ...text].join(" ");
}

function isSame(expected: Tree | SeenEvent, seen: Tree | SeenEvent): boolean {
  if ("kind" in expected) return "kind" in seen && isSameTree(expected, seen);
  if ("kind" in seen) return false;
  // The name of an event without data means nothing: nobody gets it.
  const isNamed = expected.data !== undefined;
  if (expected.id !== seen.id || expected.retry !== seen.retry) return false;
  if (isNamed && expected.event !== seen.event) return false;
  if (expected.data === undefined || seen.data === undefined) return expected.data === seen.data;
  if (typeof expected.data === "string" || typeof seen.data === "string") return expected.data === seen.data;
  return isSameTree(expected.data, seen.data);
}

function isSameTree(expected: Tree, seen: Tree): boolean {
  if (expected.kind === "refusal") return isRefusal(expected.refusal, seen);
  if (expected.kind === "array") {
    // What ends with an error may be nothing but the error, when no part of it had gone out.
    const last = expected.elements.at(-1);
    if (seen.kind !== "array") return last?.kind === "refusal" && isSameTree(last, seen);
    const isLong = expected.elements.length === seen.elements.length;
    return isLong && expected.elements.every((element, index) => isSameTree(element, seen.elements[index]!));
  }
  if (expected.kind === "object") {
    if (seen.kind !== "object" || expected.members.length !== seen.members.length) return false;
    return expected.members.every(
      ({ name, value }, index) => name === seen.members[index]!.name && isSameTree(value, seen.members[index]!.value),
    );
  }
  return canonical(expected) === canonical(seen);
}

const DENIALS = ["resource_not_listed", "uri_not_allowed", "uri_traversal", "uri_malformed"];

function isRefusal({ reasons, ids }: Refusal, seen: Tree): boolean {
  if (seen.kind === "refusal") return seen.refusal.reasons.some((reason) => reasons.includes(reason));
  const textOf = (value: Tree | undefined): string | undefined => (value === undefined ? undefined : canonical(value));
  const error = memberOf(seen, "error");
  const reason = memberOf(memberOf(error, "data"), "reason");
  const code = reason?.kind === "string" && DENIALS.includes(reason.text) ? "-32602" : "-32603";
  return (
    textOf(memberOf(seen, "jsonrpc")) === '"2.0"' &&
    memberOf(seen, "result") === undefined &&
    textOf(memberOf(error, "code")) === code &&
    memberOf(error, "message")?.kind === "string" &&
    reason?.kind === "string" &&
    reasons.includes(reason.text) &&
    ids.includes(textOf(memberOf(seen, "id")))
  );
}
