// What an answer is: a refusal of the guard, in any of its forms, or something of somebody else.
import type { Answer } from "./exchange.ts";
import { MASKED_TEXT, REFUSALS, reasonOfText } from "./refusals.ts";

/** An answer, understood. */
export type Reading =
  /** The guard's own refusal. */
  | {
      readonly kind: "guard";
      readonly reason: string;
      readonly form: "jsonrpc_error" | "tool_error" | "http_403" | "http";
      readonly isMasked: boolean;
      /** The digest of the policy; empty when the answer has none. */
      readonly policy: string;
      readonly requestId: string;
    }
  /** What a masked guard says, and a server may say as well. */
  | { readonly kind: "masked"; readonly form: "jsonrpc_error" | "tool_error" | "http_403" }
  /** A refusal that a masked guard gives in words that others use as well. */
  | { readonly kind: "ambiguous"; readonly reason: string }
  /** A JSON-RPC message of somebody else; `what` says which. */
  | { readonly kind: "server"; readonly what: string }
  /** No JSON-RPC message. */
  | { readonly kind: "other" };

/** A refusal of the tool: its text, and the reason in parentheses. */
const TOOL_ERROR = /^(.*) \((\w+)\)$/;
const DIGEST = /^[0-9a-f]{16}$/;
const OTHER: Reading = { kind: "other" };

/** Reads an answer to the call with this id. */
export function readAnswer({ status, text }: Answer, id: string): Reading {
  const message = parse(text);
  if (message === undefined || message.jsonrpc !== "2.0") return OTHER;
  if (message.id !== undefined && message.id !== null && message.id !== id) return OTHER;
  if (isRecord(message.error)) return readError(message.error, status);
  if ("result" in message) return readResult(message.result);
  return OTHER;
}

function readError(error: Record<string, unknown>, status: number): Reading {
  const { code, message, data } = error;
  if (typeof code !== "number" || typeof message !== "string") return OTHER;
  const named = isRecord(data) && typeof data.reason === "string" ? data.reason : undefined;
  if (named === undefined) {
    if (message === MASKED_TEXT && code === -32602 && data === undefined) {
      return { kind: "masked", form: status === 403 ? "http_403" : "jsonrpc_error" };
    }
    const reason = data === undefined ? reasonOfText(code, message) : undefined;
    if (reason === undefined) return { kind: "server", what: `a JSON-RPC error (${code})` };
    if (!reason.isOurs) return { kind: "ambiguous", reason: reason.name };
    return { kind: "guard", reason: reason.name, form: "http", isMasked: true, policy: "", requestId: "" };
  }
  const row = REFUSALS.get(named);
  // A reason of that name with other words is somebody else's.
  if (row?.code !== code || row.text !== message) return { kind: "server", what: `a JSON-RPC error (${code})` };
  const form = !row.isDenial ? "http" : status === 403 ? "http_403" : "jsonrpc_error";
  const { policy, request_id: requestId } = data as Record<string, unknown>;
  return {
    kind: "guard",
    reason: named,
    form,
    isMasked: false,
    policy: typeof policy === "string" && DIGEST.test(policy) ? policy : "",
    requestId: typeof requestId === "string" ? requestId : "",
  };
}

function readResult(result: unknown): Reading {
  if (!isRecord(result)) return { kind: "server", what: "a result" };
  if (result.isError !== true) return { kind: "server", what: "a result: the call succeeded" };
  const [block] = Array.isArray(result.content) ? (result.content as unknown[]) : [];
  const text = isRecord(block) && typeof block.text === "string" ? block.text : "";
  if (text === MASKED_TEXT) return { kind: "masked", form: "tool_error" };
  const [, words, reason = ""] = TOOL_ERROR.exec(text) ?? [];
  const row = REFUSALS.get(reason);
  if (row === undefined || !row.isDenial || row.text !== words) return { kind: "server", what: "a tool's error" };
  return { kind: "guard", reason, form: "tool_error", isMasked: false, policy: "", requestId: "" };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
