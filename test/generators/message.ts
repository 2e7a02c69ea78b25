// Valid MCP messages of both eras in every spelling that JSON allows: those that a policy with nothing but
// `tool_allowlist` lets pass, and, for a policy that opens more, all the others with the headers that the modern era wants.
// A guard that refuses one of them is wrong.

import fc from "fast-check";
import {
  anyObjectText,
  arrayText,
  type Member,
  numberText,
  objectText,
  spelled,
  stringText,
  stringValue,
  whiteSpace,
} from "./json-text.ts";
import { harmlessUri } from "./uri.ts";

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

// --- Exchanges: a body with its headers, under a policy that opens more ---

const LISTED_PROMPTS = ["greet", "caf\u00e9", "two words", "=?base64?Z3JlZXQ=?="] as const;
const ROOT = "file:///docs/";

/** The policy under which no exchange may be refused. */
export const OPEN_POLICY = {
  tool_allowlist: [...LISTED_TOOLS, " padded", "=?base64?c2FmZQ==?="],
  prompt_allowlist: LISTED_PROMPTS,
  resource_roots: [ROOT, "mcp://logs/"],
  method_allowlist: ["vendor/x", "skills/list", "skills/get"],
  tasks: "allow",
} as const;

export interface Exchange {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** A method with all that its request needs, and what `Mcp-Name` has to say; absent: nothing. */
interface Opened extends Method {
  readonly mirrored?: string;
}

const uri = fc.oneof(harmlessUri(ROOT), harmlessUri("mcp://logs/"));
const prompt = fc.constantFrom(...LISTED_PROMPTS);
const taskId = stringValue(12);

const answers: Member = [
  "inputResponses",
  object(
    [],
    [
      ["a", emptyObject],
      ["b", object([["roots", uri.chain((each) => arrayText([object([["uri", string(each)]])]))]])],
    ],
  ),
];

const completion = (ref: readonly Member[], value: Member[1]): readonly Member[] => [
  ["ref", object(ref)],
  [
    "argument",
    object([
      ["name", stringText],
      ["value", value],
    ]),
  ],
];

const templateOf = (text: string): string => text.replace(/[?#].*$/, "").replace(/\/?$/, "/{x}");

const stringList = (values: fc.Arbitrary<string>): Member[1] =>
  fc.array(values, { maxLength: 3 }).chain((list) => arrayText(list.map(string)));

const BOTH_ERAS: readonly fc.Arbitrary<Opened>[] = [
  fc.constantFrom(...OPEN_POLICY.tool_allowlist).map((tool) => ({
    name: "tools/call",
    required: [["name", string(tool)]],
    perhaps: [["arguments", anyObjectText()], ["task", object([["ttl", numberText]])], answers],
    mirrored: tool,
  })),
  prompt.map((name) => ({
    name: "prompts/get",
    required: [["name", string(name)]],
    perhaps: [["arguments", anyObjectText(1)], answers],
    mirrored: name,
  })),
  uri.map((each) => ({
    name: "resources/read",
    required: [["uri", string(each)]],
    perhaps: [answers],
    mirrored: each,
  })),
  uri.map((each) => ({ name: "skills/get", required: [["uri", string(each)]] })),
  prompt.map((name) => ({
    name: "completion/complete",
    required: completion(
      [
        ["type", string("ref/prompt")],
        ["name", string(name)],
      ],
      stringText,
    ),
    perhaps: [["context", anyObjectText(1)]],
  })),
  fc.tuple(uri, fc.constantFrom("", "a", "a/b", "a b", ".hidden", "v1.2", "100%", "\u6587")).map(([each, value]) => ({
    name: "completion/complete",
    required: completion(
      [
        ["type", string("ref/resource")],
        ["uri", string(templateOf(each))],
      ],
      string(value),
    ),
  })),
  fc.constant({
    name: "subscriptions/listen",
    required: [
      [
        "notifications",
        object(
          [],
          [
            ["toolsListChanged", boolean],
            ["resourceSubscriptions", stringList(uri)],
            ["taskIds", stringList(taskId)],
          ],
        ),
      ],
    ],
  } satisfies Opened),
  fc.tuple(fc.constantFrom("tasks/get", "tasks/update", "tasks/cancel"), taskId).map(([name, each]) => ({
    name,
    required: [["taskId", string(each)]],
    perhaps: [answers],
    mirrored: each,
  })),
  uri.map((each) => ({
    name: "vendor/x",
    perhaps: [
      ["uri", string(each)],
      ["x", anyObjectText(1)],
    ],
  })),
  fc.constantFrom(...listMethods),
];

const LEGACY_ERA: typeof BOTH_ERAS = [
  fc.tuple(fc.constantFrom("resources/subscribe", "resources/unsubscribe"), uri).map(([name, each]) => ({
    name,
    required: [["uri", string(each)]],
  })),
  taskId.map((each) => ({ name: "tasks/result", required: [["taskId", string(each)]] })),
  fc.constant({ name: "tasks/list", perhaps: [["cursor", stringText]] }),
];

/** White space that RFC 9110 section 5.5 takes away from around a value. */
const blanks: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: fc.constantFrom(" ", "\t", "  ", " \t ") },
);

const headerName = (name: string): fc.Arbitrary<string> =>
  fc.constantFrom(name, name.toLowerCase(), name.toUpperCase());

const header = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<readonly [string, string]> =>
  fc
    .tuple(headerName(name), blanks, value, blanks)
    .map(([field, before, text, after]) => [field, before + text + after] as const);

const inBase64 = (value: string): string => `=?base64?${Buffer.from(value, "utf8").toString("base64")}?=`;

/** A name as a header can carry it: visible ASCII literally or encoded, everything else encoded. */
const nameValue = (value: string): fc.Arbitrary<string> => {
  const isPlain = /^[!-~](?:[ -~]*[!-~])?$/.test(value) && !value.startsWith("=?base64?");
  return isPlain ? fc.constantFrom(value, inBase64(value)) : fc.constant(inBase64(value));
};

/** Headers that say nothing about the message. */
const strangers: fc.Arbitrary<readonly (readonly [string, string])[]> = fc.subarray([
  ["mcp-param-region", "eu"],
  ["mcp-param-region", "us"],
  ["mcp-session-id", "s-1"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
]);

const asBody = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

/** A modern request with its headers, in any order. */
export const modernExchange: fc.Arbitrary<Exchange> = fc.oneof(...BOTH_ERAS).chain((method) =>
  fc
    .tuple(
      methodText(method, ["_meta", modernMeta], true, id),
      header("MCP-Protocol-Version", fc.constant("2026-07-28")),
      header("Mcp-Method", fc.constant(method.name)),
      method.mirrored === undefined
        ? fc.subarray([["mcp-name", "stray"] as const])
        : header("Mcp-Name", nameValue(method.mirrored)).map((each) => [each]),
      strangers,
    )
    .chain(([text, version, methodHeader, names, others]) => {
      const headers = [version, methodHeader, ...names, ...others];
      return fc
        .shuffledSubarray([...headers.keys()], { minLength: headers.length })
        .map((order) => ({ headers: order.map((index) => headers[index]!), body: asBody(text) }));
    }),
);

/** The same methods from a legacy client, whose only header of the kind is the version that it has agreed on. */
export const legacyExchange: fc.Arbitrary<Exchange> = fc.oneof(...BOTH_ERAS, ...LEGACY_ERA).chain((method) =>
  fc
    .tuple(
      methodText(method, ["_meta", legacyMeta], false, id),
      fc.subarray(["MCP-Protocol-Version"]),
      fc.constantFrom("2025-03-26", "2025-06-18", "2025-11-25"),
      strangers,
    )
    .map(([text, names, version, others]) => ({
      headers: [...names.map((name) => [name, version] as const), ...others],
      body: asBody(text),
    })),
);
