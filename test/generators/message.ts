// Valid MCP messages of every method that a policy with nothing but `tool_allowlist` lets pass, of both eras, in every
// spelling that JSON allows. A guard that refuses one of them is wrong.

import fc from "fast-check";
import {
  anyObjectText,
  type Member,
  numberText,
  objectText,
  spelled,
  stringText,
  stringValue,
  whiteSpace,
} from "./json-text.ts";

/** A policy for these messages lists at least these tools, and none that begins with a flagged prefix. */
export const LISTED_TOOLS = ["safe", "search_code", "get.pull/request", "\u00fcbersetzen", "two words"] as const;

const META = "io.modelcontextprotocol";
const boolean = fc.constantFrom("true", "false");
const emptyObject = objectText([]);

const string = (value: string): Member[1] => spelled(value);
const oneOf = (...values: readonly string[]): Member[1] => fc.constantFrom(...values).chain(spelled);

/** Members of which each stands there or not. */
const optional = (members: readonly Member[]): fc.Arbitrary<readonly Member[]> => fc.subarray([...members]);

/** An object with the first members always and each of the second ones perhaps. */
const object = (required: readonly Member[], perhaps: readonly Member[] = []): Member[1] =>
  optional(perhaps).chain((chosen) => objectText([...required, ...chosen]));

/** Ids as MCP allows them: a string, or an integer that a double holds exactly. */
const idText: Member[1] = fc.oneof(
  fc.maxSafeInteger().map(String),
  fc.constantFrom("0", "-0", "9007199254740991", "-9007199254740991"),
  stringValue(20).chain(spelled),
);

const implementation = object([
  ["name", stringText],
  ["version", stringText],
]);

const traceMembers: readonly Member[] = [
  ["progressToken", fc.oneof(stringText, numberText)],
  ["traceparent", string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
  ["example.com/extra", anyObjectText(1)],
];

const legacyMeta = object([], traceMembers);
const modernMeta = object(
  [
    [`${META}/protocolVersion`, string("2026-07-28")],
    [
      `${META}/clientCapabilities`,
      object(
        [],
        [
          ["elicitation", emptyObject],
          ["sampling", emptyObject],
        ],
      ),
    ],
  ],
  [[`${META}/clientInfo`, implementation], [`${META}/logLevel`, oneOf("debug", "error")], ...traceMembers],
);

/** The members of `params` that a method needs and those that it knows; each era adds its `_meta`. */
interface Method {
  readonly name: string;
  readonly required?: readonly Member[];
  readonly perhaps?: readonly Member[];
}

const listMethods: readonly Method[] = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"].map(
  (name) => ({ name, perhaps: [["cursor", stringText]] }),
);

const toolCall: Method = {
  name: "tools/call",
  required: [["name", oneOf(...LISTED_TOOLS)]],
  perhaps: [["arguments", anyObjectText()]],
};

const LEGACY_REQUESTS: readonly Method[] = [
  toolCall,
  ...listMethods,
  { name: "ping" },
  {
    name: "initialize",
    required: [
      ["protocolVersion", oneOf("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")],
      [
        "capabilities",
        object(
          [],
          [
            ["roots", object([["listChanged", boolean]])],
            ["sampling", emptyObject],
          ],
        ),
      ],
      ["clientInfo", implementation],
    ],
  },
  { name: "logging/setLevel", required: [["level", oneOf("debug", "info", "warning", "error")]] },
];

const MODERN_REQUESTS: readonly Method[] = [
  toolCall,
  {
    ...toolCall,
    perhaps: [...(toolCall.perhaps ?? []), ["inputResponses", anyObjectText(1)], ["requestState", stringText]],
  },
  ...listMethods,
  { name: "server/discover" },
  {
    name: "subscriptions/listen",
    required: [
      [
        "notifications",
        object(
          [],
          [
            ["toolsListChanged", boolean],
            ["promptsListChanged", boolean],
            ["resourcesListChanged", boolean],
            ["resourceSubscriptions", fc.constantFrom("[]", "[ ]")],
            ["taskIds", fc.constantFrom("[]", "[\n]")],
          ],
        ),
      ],
    ],
  },
];

const NOTIFICATIONS: readonly Method[] = [
  { name: "notifications/initialized" },
  { name: "notifications/roots/list_changed" },
  { name: "notifications/cancelled", required: [["requestId", idText]], perhaps: [["reason", stringText]] },
  {
    name: "notifications/progress",
    required: [
      ["progressToken", idText],
      ["progress", numberText],
    ],
    perhaps: [
      ["total", numberText],
      ["message", stringText],
    ],
  },
];

const envelope = (members: readonly Member[]): Member[1] => objectText([["jsonrpc", string("2.0")], ...members]);

/** A message of this method; `params` may be absent where nothing in it is required. */
function methodText(method: Method, meta: Member, metaRequired: boolean, id?: Member): Member[1] {
  const required = [...(method.required ?? []), ...(metaRequired ? [meta] : [])];
  const perhaps = [...(method.perhaps ?? []), ...(metaRequired ? [] : [meta])];
  const members: readonly Member[] = [["method", string(method.name)], ...(id === undefined ? [] : [id])];
  const withParams = envelope([...members, ["params", object(required, perhaps)]]);
  return required.length > 0 ? withParams : fc.oneof(envelope(members), withParams);
}

const id: Member = ["id", idText];

/** What a legacy client answers to a request of its server. */
const responseText: Member[1] = fc.oneof(
  envelope([id, ["result", anyObjectText()]]),
  optional([id]).chain((chosen) =>
    envelope([
      ...chosen,
      [
        "error",
        object(
          [
            ["code", fc.integer().map(String)],
            ["message", stringText],
          ],
          [["data", anyObjectText(1)]],
        ),
      ],
    ]),
  ),
);

/** The kinds by name, for tests that want each of them often enough. */
export const MESSAGE_KINDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  "legacy request": fc.oneof(...LEGACY_REQUESTS.map((method) => methodText(method, ["_meta", legacyMeta], false, id))),
  "modern request": fc.oneof(...MODERN_REQUESTS.map((method) => methodText(method, ["_meta", modernMeta], true, id))),
  notification: fc.oneof(...NOTIFICATIONS.map((method) => methodText(method, ["_meta", legacyMeta], false))),
  "client response": responseText,
};

/** Any valid message, with white space around it, as the bytes of a body. */
export const messageBody: fc.Arbitrary<Uint8Array> = fc
  .tuple(whiteSpace, fc.oneof(...Object.values(MESSAGE_KINDS)), whiteSpace)
  .map(([before, text, after]) => Uint8Array.from(Buffer.from(before + text + after)));

/** Every method that the messages use, for tests that compare them with the method table. */
export const MESSAGE_METHODS: readonly string[] = [
  ...new Set([...LEGACY_REQUESTS, ...MODERN_REQUESTS, ...NOTIFICATIONS].map(({ name }) => name)),
];
