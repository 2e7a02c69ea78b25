// One open container of a server's message, as the rewriter sees it: what it is, where in the output it began, and what has been
// decided about it.

import { ServerCall } from "../mcp/server-call";
import { ServerPlace } from "../mcp/server-place";

/** What has been decided about an element. */
export const enum Judged {
  /** Nothing yet: it is held. */
  Not,
  /** It stays. */
  Kept,
}

/** `at` of a container whose beginning has gone out. */
export const GONE: u32 = u32.MAX_VALUE;

@unmanaged
export class Frame {
  place: ServerPlace;
  judged: Judged;
  /** Offset in the output of its first byte, of the separator and the member name in front of it too; GONE when it is out already. */
  at: u32;

  // --- Of a container whose elements stay or go. ---
  /** Elements that stay, so far. */
  kept: u32;
  /** Whether the reader is inside an element, and where in the output that began. */
  isInElement: bool;
  elementAt: u32;
  /** Of `tools` and `prompts`: whether their elements go out one by one, because the list has become too large to be held. */
  isFlowing: bool;

  // --- Of an element. ---
  /** The slot of its name in the policy's set. */
  slot: u32;
  /** Where its name stands, from `at` on, when that is listed with hidden characters in it; else 0. */
  nameStart: u32;
  nameEnd: u32;
  /** Of a tool: it says that it is destructive. */
  isDestructive: bool;
  /** Of a content block: its type is known, it is a link, its URI has been judged and may pass. */
  hasType: bool;
  isLink: bool;
  isLinkGood: bool;
  /** What is left out is replaced by a text block. */
  isReplaced: bool;

  // --- Of a message or an input request. ---
  /** Whether `params.url` and `params.uri` may not pass, if the method turns out to be one that makes them matter. */
  isUrlBad: bool;
  isUriBad: bool;
  /** Whether something in it may not pass: a call goes as a whole. */
  isDenied: bool;
  hasMethod: bool;
  isMethodGood: bool;
  call: ServerCall;
  isMethodListed: bool;

  // --- Of a result or params. ---
  isOfCall: bool;
}
