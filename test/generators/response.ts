// Messages of servers and the bodies that carry them: the guarded shapes nested in each other, with listed and unlisted names and
// URIs, in any order, spelling and spacing, as JSON bodies and as event streams in every framing that readers accept.

import fc from "fast-check";
import type { ResponsePolicy } from "../oracle/response.ts";
import {
  arrayText,
  type Member,
  numberText,
  objectText,
  spelled,
  stringValue,
  valueText,
  whiteSpace,
} from "./json-text.ts";

/** The policies that generated responses are judged under. */
export const GENERATED_POLICIES: readonly ResponsePolicy[] = [
  {
    tool_allowlist: ["safe", "other", "third"],
    prompt_allowlist: ["greet", "sum"],
    resource_roots: ["file:///docs/", "mcp://logs"],
    response_uris: { schemes: ["https", "mailto"] },
    sampling: "allow",
    tasks: "allow",
  },
  {
    tool_allowlist: ["safe", "other"],
    prompt_allowlist: ["greet"],
    resource_roots: ["file:///docs/"],
    response_uris: { schemes: ["https"], hosts: ["docs.example"] },
    uri_traversal: "segment",
    elicitation: "deny",
    hidden_text: "drop",
  },
  { tool_allowlist: ["safe"], roots: "deny", hidden_text: "allow", method_allowlist: ["vendor/x"] },
];

const oneOf = (...values: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...values).chain(spelled);

const toolName = oneOf("safe", "other", "third", "evil", "Safe", "safe ", "saf\u200be", "");
const promptName = oneOf("greet", "sum", "evil", "Greet");
const uri = oneOf(
  ...["file:///docs/a", "file:///docs/b/c.txt", "mcp://logs/1", "mcp://logs", "https://docs.example/x", "https://h/x"],
  ...[
    "file:///etc/passwd",
    "file:///docs/../x",
    "file:///docs/a..b",
    "http://10.0.0.1/",
    "javascript:x",
    "data:image/png;base64,aGk=",
  ],
  ...["mailto:a@b", "", "file:///docs/%2e%2e/x", "HTTPS://h/", "file:///docsx"],
);
const goodUri = oneOf("file:///docs/a", "file:///docs/b/c.txt");
const template = oneOf(
  "file:///docs/{x}",
  "file:///{x}",
  "file:///docs{x}",
  "file:///docs/a",
  "mcp://logs/{+p}",
  "{x}",
);

/** Text in which hidden characters stand now and then. */
const prose: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: stringValue(6) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          "\u200b",
          "\u202e",
          "\u{e0041}",
          "\u00ad",
          "\u0000",
          "\u0085",
          "\u2028",
          "\u200d",
          "\ufe0f",
        ),
      },
    ),
    { maxLength: 4 },
  )
  .map((parts) => parts.join(""))
  .chain(spelled);

/** What stands where another type is expected. */
const wrong = fc.constantFrom(
  "null",
  "1",
  "true",
  '"safe"',
  "[]",
  "{}",
  '["safe"]',
  '{"name":"safe"}',
  '{"uri":["file:///docs/a"]}',
);

const mostly = (arbitrary: fc.Arbitrary<string>, weight = 15): fc.Arbitrary<string> =>
  fc.oneof({ weight, arbitrary }, { weight: 1, arbitrary: wrong });

const list = (element: fc.Arbitrary<string>, maxLength = 4): fc.Arbitrary<string> =>
  mostly(fc.array(fc.constant(mostly(element)), { maxLength }).chain(arrayText), 20);

/** An object with all of the first members and some of the others. */
function someOf(always: readonly Member[], sometimes: readonly Member[], maxLength = 3): fc.Arbitrary<string> {
  return fc
    .subarray([...sometimes], { maxLength: Math.min(maxLength, sometimes.length) })
    .chain((chosen) => objectText([...always, ...chosen]));
}

const icons: Member = ["icons", list(someOf([["src", mostly(uri)]], [["sizes", prose]]))];
const uiMeta = someOf(
  [],
  [
    [
      "ui",
      someOf(
        [],
        [
          ["resourceUri", uri],
          ["csp", valueText(1)],
        ],
      ),
    ],
    ["ui/resourceUri", uri],
    ["x", valueText(1)],
  ],
);
const described: readonly Member[] = [["description", prose], ["title", prose], icons, ["x", valueText(2)]];

/** Members whose names are nearly ones that count. */
const near = (...names: readonly string[]): readonly Member[] =>
  names.map((name): Member => [name, fc.constant('"evil"')]);
const tool = fc.oneof(
  {
    weight: 9,
    arbitrary: someOf([["name", mostly(toolName)]], [...described, ["inputSchema", valueText(2)], ["_meta", uiMeta]]),
  },
  { weight: 1, arbitrary: someOf([["name", toolName]], near("Name", "name ", "_META", "nam\u200be"), 1) },
);
const prompt = someOf([["name", mostly(promptName)]], [...described, ["arguments", valueText(2)]]);
const resource = someOf([["uri", mostly(uri)]], described);
const resourceTemplate = someOf([["uriTemplate", mostly(template)]], described);
const flatBlock = fc.oneof(
  someOf(
    [
      ["type", oneOf("text")],
      ["text", prose],
    ],
    [["annotations", valueText(1)], icons],
  ),
  someOf(
    [
      ["type", oneOf("resource_link")],
      ["uri", mostly(uri)],
    ],
    [["name", prose], icons],
  ),
  someOf(
    [["type", oneOf("resource", "image")]],
    [
      ["resource", valueText(2)],
      ["uri", uri],
    ],
  ),
);
const contentOf = (block: Member[1]): Member[1] =>
  fc.oneof(
    { weight: 9, arbitrary: block },
    { weight: 9, arbitrary: fc.array(fc.constant(mostly(block)), { maxLength: 3 }).chain(arrayText) },
    { weight: 1, arbitrary: fc.oneof(prose, numberText) },
  );
const toolResult = someOf(
  [
    ["type", oneOf("tool_result")],
    ["content", contentOf(flatBlock)],
  ],
  [
    ["toolUseId", prose],
    ["uri", uri],
  ],
);
const block = fc.oneof({ weight: 4, arbitrary: flatBlock }, { weight: 1, arbitrary: toolResult });
const content = contentOf(block);
const promptMessage = someOf(
  [["role", oneOf("user", "assistant")]],
  [
    ["content", content],
    ["x", valueText(1)],
  ],
);
const completion = someOf(
  [["values", list(oneOf("a", "..", "a/b", "/abs", "", "%2e%2e", "x y"))]],
  [
    ["total", numberText],
    ["hasMore", fc.constantFrom("true", "false")],
  ],
);
const ttl = fc.oneof(
  fc.integer({ min: 0, max: 120_000 }).map(String),
  fc.constantFrom("59999.5", "60000.5", "1e3", "1e5", "6e4", "0.6e5", "-1"),
);

const METHODS = [
  ...[
    "ping",
    "notifications/message",
    "notifications/progress",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
  ],
  ...[
    "notifications/tasks",
    "notifications/resources/updated",
    "vendor/x",
    "tools/call",
    "notifications/resources/list_changed",
  ],
] as const;
const method = mostly(oneOf(...METHODS), 40);

const inputRequests = (depth: number): fc.Arbitrary<string> =>
  fc
    .uniqueArray(stringValue(4), { maxLength: 3 })
    .chain((names) =>
      objectText(
        names.map(
          (name): Member => [name, mostly(someOf([["method", method]], [["params", results(depth - 1, true)]]))],
        ),
      ),
    );

/** An `R` of docs/responses.md: a result, or the params of a call. */
export function results(depth: number, isCall = false): fc.Arbitrary<string> {
  const contents: fc.Arbitrary<string> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .array(
          fc.constant(
            someOf(
              [["uri", goodUri]],
              [
                ["text", prose],
                ["blob", prose],
              ],
            ),
          ),
          { maxLength: 3 },
        )
        .chain(arrayText),
    },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.constant(someOf([["uri", mostly(uri)]], [["text", prose]])), { maxLength: 3 })
        .chain(arrayText),
    },
  );
  const members: Member[] = [
    ["tools", list(tool)],
    ["prompts", list(prompt)],
    ["resources", list(resource)],
    ["resourceTemplates", list(resourceTemplate)],
    [
      "tasks",
      fc.array(fc.constant(someOf([["taskId", prose]], [["x", valueText(1)]])), { maxLength: 2 }).chain(arrayText),
    ],
    ["contents", contents],
    ["completion", completion],
    ["content", content],
    ["messages", fc.array(fc.constant(promptMessage), { maxLength: 3 }).chain(arrayText)],
    ["serverInfo", someOf([["name", prose]], [icons, ["version", prose]])],
    ["instructions", prose],
    ["cacheScope", mostly(oneOf("public", "private"), 5)],
    ["ttlMs", ttl],
    ["nextCursor", prose],
    ["structuredContent", valueText(3)],
    ["y", valueText(3)],
    ...(isCall
      ? ([
          ["url", uri],
          ["uri", uri],
        ] as const)
      : []),
    ...(depth > 0
      ? ([
          ["result", results(depth - 1, isCall)],
          ["inputRequests", inputRequests(depth)],
        ] as const)
      : []),
  ];
  const nearly: readonly Member[] = [
    ["Tools", list(tool)],
    ["contents ", valueText(1)],
    ["re\u017fult", valueText(1)],
    ["toolset", valueText(1)],
  ];
  return fc.oneof(
    { weight: 25, arbitrary: someOf([], members, 4) },
    { weight: 1, arbitrary: someOf([], [...members, ...nearly], 3) },
    { weight: 1, arbitrary: valueText(2) },
  );
}

const elicitations = list(someOf([["url", mostly(uri)]], [["message", prose]]));
const errorObject = someOf(
  [
    ["code", fc.constantFrom("-32042", "1")],
    ["message", prose],
  ],
  [
    [
      "data",
      someOf(
        [],
        [
          ["elicitations", elicitations],
          ["z", valueText(2)],
        ],
      ),
    ],
  ],
);

const version: Member = ["jsonrpc", oneOf("2.0")];
const id: Member = ["id", fc.oneof(fc.nat(99).map(String), oneOf("a", 'b"c'))];

export const answerText: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: objectText([version, id, ["result", results(2)]]) },
  { weight: 1, arbitrary: objectText([version, id, ["error", errorObject]]) },
);
export const callText: fc.Arbitrary<string> = someOf(
  [version, ["method", method]],
  [id, ["params", results(1, true)], ["z", valueText(1)]],
);
const foreignText = someOf(
  [],
  [
    ["keys", valueText(3)],
    ["status", valueText(1)],
    ["tools", list(tool)],
  ],
);
const brokenText = fc.oneof(
  objectText([version, id, ["result", results(1)], ["method", method]]),
  objectText([version, id, ["Result", results(0)]]),
  answerText.chain((text) => fc.nat(text.length).map((at) => text.slice(0, at))),
  answerText.chain((text) => fc.nat(text.length).map((at) => `${text.slice(0, at)},${text.slice(at)}`)),
);

export const messageText: fc.Arbitrary<string> = fc.oneof(
  { weight: 12, arbitrary: answerText },
  { weight: 5, arbitrary: callText },
  { weight: 1, arbitrary: foreignText },
  { weight: 1, arbitrary: brokenText },
);

/** A JSON body: one message, an array of them, or several. */
export const jsonBody: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(whiteSpace, messageText, whiteSpace).map((parts) => parts.join("")) },
  {
    weight: 1,
    arbitrary: fc.array(fc.constant(fc.oneof(answerText, callText)), { minLength: 1, maxLength: 3 }).chain(arrayText),
  },
  { weight: 2, arbitrary: fc.array(messageText, { minLength: 1, maxLength: 4 }).map((texts) => texts.join("\n")) },
);

const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
const field = (name: string, values: fc.Arbitrary<string>): fc.Arbitrary<readonly string[]> =>
  fc.tuple(fc.constantFrom(`${name}: `, `${name}:`), values).map((parts) => [parts.join("")]);
const fieldLines: fc.Arbitrary<readonly string[]> = fc.oneof(
  field("id", fc.constantFrom("1", "abc", "", "a\0", "\u00e9")),
  field("event", fc.constantFrom("message", "custom", "")),
  field("retry", fc.constantFrom("5000", "x", "", "12345678901")),
  field("", fc.constantFrom("", "ping", "data: x")),
  field("unknown", fc.constantFrom("", "x")),
  fc.constantFrom(["id"], ["data2: x"], ["Data: x"]),
);

/** The lines of one event: its data in as many lines as the text has, other fields in front, behind or between. */
const eventLines: fc.Arbitrary<readonly string[]> = fc
  .tuple(
    fc.oneof(
      { weight: 12, arbitrary: messageText },
      { weight: 1, arbitrary: fc.constantFrom("", "x", "1", '"a"', "/path") },
    ),
    fc.constantFrom("data: ", "data:"),
    fc.array(fieldLines, { maxLength: 3 }),
    fc.array(fc.nat(9), { minLength: 3, maxLength: 3 }),
  )
  .map(([text, name, fields, places]) => {
    const lines = text.split(/\r\n|\r|\n/).map((line) => (line.startsWith(" ") ? `data: ${line}` : name + line));
    for (const [index, added] of fields.entries()) lines.splice(places[index]! % (lines.length + 1), 0, ...added);
    return lines;
  });

/** An event stream; the last event may lack its end. */
export const eventStream: fc.Arbitrary<string> = fc
  .tuple(
    fc.boolean(),
    fc.array(fc.tuple(eventLines, fc.array(lineEnd, { minLength: 2, maxLength: 4 })), { minLength: 1, maxLength: 4 }),
    fc.nat(3),
  )
  .map(([hasMark, events, missing]) => {
    const text = events.map(([lines, ends]) => `${lines.join(ends[0])}${ends[0]}${ends[1]}`).join("");
    return `${hasMark ? "\ufeff" : ""}${missing === 0 ? text.replace(/[\r\n]+$/, "") : text}`;
  });

/** Where a body of some length is cut. */
export const someCuts = (bytes: number): fc.Arbitrary<readonly number[]> =>
  fc.oneof(
    fc
      .uniqueArray(fc.integer({ min: 1, max: Math.max(1, bytes - 1) }), { maxLength: 6 })
      .map((cuts) => cuts.sort((a, b) => a - b)),
    fc.constant(Array.from({ length: Math.max(0, bytes - 1) }, (_, index) => index + 1)),
  );
