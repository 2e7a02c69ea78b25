// Event streams of servers: the framing of the HTML standard (section 9.2) in every way that some reader takes differently, and
// what docs/responses.md says about fields, comments, the event `endpoint` and events that do not pass.

import {
  answer,
  bytesOf,
  cutAfter,
  eventsOutcome,
  frame,
  orCut,
  type ResponseVector,
  refusal,
  response,
  serverCall,
  stream,
} from "./responses-vector.ts";

const ONE = answer("{}");
const TWO = answer('{"a":2}');
const LISTS = answer('{"tools":[{"name":"evil"},{"name":"safe"}]}');
const SEEN = answer('{"tools":[{"name":"safe"}]}');
const DENIED = serverCall("sampling/createMessage", '{"x":"evil"}');
const BOM = [0xef, 0xbb, 0xbf] as const;

const joined = (...parts: readonly (string | readonly number[])[]): Uint8Array =>
  Uint8Array.from(
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part)))),
  );

const FRAMING: readonly ResponseVector[] = [
  stream("threats 28", "a list in an event", frame(LISTS), [{ data: SEEN }]),
  stream(
    "threats 28",
    "a list in an event with another id",
    `event: message\nid: 7\n${frame('{"jsonrpc":"2.0","id":99,"result":{"tools":[{"name":"evil"}]}}')}`,
    [{ event: "message", id: "7", data: '{"jsonrpc":"2.0","id":99,"result":{"tools":[]}}' }],
  ),
  stream("threats 28", "a list in an array in an event", frame(`[${LISTS},${ONE}]`), [{ data: `[${SEEN},${ONE}]` }]),
  stream("threats 28", "a list on the stream of GET", frame(LISTS), [{ data: SEEN }], { exchange: { method: "GET" } }),
  stream("threats 28", "a list twice in an event", frame(answer('{"tools":[],"tools":[{"name":"evil"}]}')), []),
  ...(["\n", "\r\n", "\r"] as const).flatMap((end) => [
    stream(
      "threats 3.3",
      `line ends ${JSON.stringify(end)}`,
      [`event: message`, "id: 1", `data: ${LISTS}`, "", `data: ${TWO}`, "", ""].join(end),
      [{ event: "message", id: "1", data: SEEN }, { data: TWO }],
    ),
    stream(
      "threats 3.3",
      `line ends ${JSON.stringify(end)}, no empty line at the end`,
      [`data: ${ONE}`, "", `data: ${LISTS}`, ""].join(end),
      [{ data: ONE }, { data: SEEN }],
    ),
    stream(
      "threats 3.3",
      `line ends ${JSON.stringify(end)}, data on several lines`,
      [
        "data: {",
        'data:"jsonrpc":"2.0","id":1,',
        "data: ",
        "data",
        'data:  "result":{"tools":[',
        'data: {"name":"evil"}]}}',
        "",
        "",
      ].join(end),
      [{ data: '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}' }],
    ),
  ]),
  stream("threats 3.3", "mixed line ends", `data: ${ONE}\r\n\rdata: ${TWO}\n\r\n: x\r\rdata: ${LISTS}\r\n\n`, [
    { data: ONE },
    { data: TWO },
    { data: SEEN },
  ]),
  stream("threats 49", "a lone CR hides no second line", `data: ${ONE}\rdata: ${LISTS}\n\n`, []),
  stream("threats 49", "a lone CR between a field and the next", `id: 1\rdata: ${LISTS}\r\r`, [
    { id: "1", data: SEEN },
  ]),
  stream("threats 49", "a byte order mark", joined(BOM, frame(LISTS), frame(TWO)), [{ data: SEEN }, { data: TWO }]),
  stream("threats 49", "a byte order mark on the second event", joined(frame(ONE), BOM, frame(LISTS), frame(TWO)), [
    { data: ONE },
    { data: TWO },
  ]),
  stream("threats 49", "two byte order marks", joined(BOM, BOM, frame(LISTS), frame(TWO)), [{ data: TWO }]),
  stream("threats 49", "a byte order mark in front of the JSON", joined("data: ", BOM, `${LISTS}\n\n`, frame(TWO)), [
    { data: TWO },
  ]),
  stream("threats 49", "no empty line at the end", `data: ${LISTS}\n`, [{ data: SEEN }]),
  stream("threats 49", "no line end at the end", `data: ${LISTS}`, [{ data: SEEN }]),
  stream("threats 49", "half an event at the end", `${frame(ONE)}data: {"id":1,"result":{"tools":[{"name":"evil"`, [
    { data: ONE },
  ]),
  stream(
    "threats 49",
    "U+2028 twice, and what looks like data behind",
    frame(answer(`{"x":"a\u2028\u2028data: {\\"method\\":\\"ping\\"}\u0085\u2029\u007f\u0080\u009f"}`)),
    [{ data: answer('{"x":"a\\u2028\\u2028data: {\\"method\\":\\"ping\\"}\\u0085\\u2029\\u007f\\u0080\\u009f"}') }],
  ),
  stream(
    "threats 49",
    "U+2028 in a member name and in a list",
    frame(answer('{"\u2028":1,"tools":[{"name":"safe","title":"\u2029\u0085"}]}')),
    [{ data: answer('{"\\u2028":1,"tools":[{"name":"safe","title":"\\u2029"}]}') }],
  ),
  stream("threats 49", "data without a colon", `data\n\ndata: ${ONE}\n\n`, [{ data: ONE }]),
  stream("threats 49", "data without a colon, then more", `data\ndata: ${ONE}\n\n`, [{ data: ONE }]),
  stream("threats 49", "NUL in an id", `id: a\0b\ndata: ${ONE}\n\n`, [{ data: ONE }]),
  stream("threats 49", "NUL in a second id", `id: a\nid: \0\ndata: ${ONE}\n\n`, [{ id: "a", data: ONE }]),
  stream("threats 3.3", "no space behind the colon", `data:${LISTS}\nid:5\nevent:message\n\n`, [
    { event: "message", id: "5", data: SEEN },
  ]),
  stream("threats 3.3", "two spaces behind the colon", `data:  ${LISTS}\nid:  5\n\n`, [{ id: " 5", data: SEEN }]),
  stream(
    "threats 3.3",
    "field names in another case are unknown",
    `Data: ${LISTS}\nDATA: ${LISTS}\ndata : ${LISTS}\n data: ${LISTS}\ndata: ${ONE}\n\n`,
    [{ data: ONE }],
  ),
  stream("threats 3.3", "unknown fields", `evil: x\nevil\nfoo: data: ${LISTS}\ndata: ${ONE}\n\n`, [{ data: ONE }]),
  stream("threats 3.3", "another event name", `event: custom\n${frame(LISTS)}`, [{ event: "custom", data: SEEN }]),
  stream(
    "threats 3.3",
    "JSON with line breaks between its tokens",
    'data: {"jsonrpc":"2.0","id":1,\ndata: "result"\ndata: :\ndata: {"x":"y"}\ndata: }\n\n',
    [{ data: '{"jsonrpc":"2.0","id":1,"result":{"x":"y"}}' }],
  ),
  stream("threats 3.3", "a line break in a token", 'data: {"id":1,"result":{"x":"evil\ndata: z"}}\n\n', []),
  stream(
    "threats 3.3",
    "bytes that are no UTF-8",
    joined('data: {"id":1,"result":{"x":"evil', [0xc0, 0xae], '"}}\n\n', frame(ONE)),
    [{ data: ONE }],
  ),
  stream(
    "threats 3.3",
    "a field in front of data, one behind, one between",
    `id: 1\ndata: {"jsonrpc":"2.0","id":1,\nretry: 5\ndata: "result":{}}\nevent: message\n\n`,
    [{ event: "message", id: "1", retry: "5", data: ONE }],
  ),
];

const FIELDS: readonly ResponseVector[] = [
  stream("event streams", "a priming event", `id: 1\nretry: 5000\ndata: \n\n${frame(ONE)}`, [
    { id: "1", retry: "5000" },
    { data: ONE },
  ]),
  stream("event streams", "a priming event without data", `id: 1\n\nretry: 5\n\n${frame(ONE)}`, [
    { id: "1" },
    { retry: "5" },
    { data: ONE },
  ]),
  stream("event streams", "a priming event with an empty id", `id:\n\nid\n\n${frame(ONE)}`, [
    { id: "" },
    { id: "" },
    { data: ONE },
  ]),
  stream("event streams", "an event with a name alone", `event: x\n\n${frame(ONE)}`, [{ data: ONE }]),
  stream("event streams", "the id of an event that is dropped", `id: 3\n${frame(DENIED)}${frame(ONE)}`, [
    { data: ONE },
  ]),
  stream(
    "event streams",
    "comments",
    `: evil\n:evil\n\n${frame(ONE)}: evil\ndata: {"jsonrpc":"2.0","id":1,\n:evil\ndata: "result":{}}\n\n:\n\n`,
    [{ data: ONE }, { data: ONE }],
  ),
  stream("event streams", "comments and nothing else", ":evil\n\n: evil\n", []),
  stream("event streams", "an id of 1024 bytes", `id: ${"i".repeat(1024)}\n${frame(ONE)}`, [
    { id: "i".repeat(1024), data: ONE },
  ]),
  stream("event streams", "an id of 1025 bytes", `id: ${"i".repeat(1025)}\n${frame(ONE)}`, [{ data: ONE }]),
  stream("event streams", "an event name of 64 bytes", `event: ${"e".repeat(64)}\n${frame(ONE)}`, [
    { event: "e".repeat(64), data: ONE },
  ]),
  stream("event streams", "an event name of 65 bytes", `event: ${"e".repeat(65)}\n${frame(ONE)}`, [{ data: ONE }]),
  stream("event streams", "an id that is no ASCII", `id: \u00e9\n${frame(ONE)}`, [{ data: ONE }]),
  stream("event streams", "an answer without a version", `${frame('{"id":1,"result":{}}')}${frame(ONE)}`, [
    { data: ONE },
  ]),
  stream("event streams", "foreign data behind an empty line of data", `data\ndata: {"a":"evil"}\n\n${frame(ONE)}`, [
    { data: ONE },
  ]),
  stream(
    "event streams",
    "what is neither call nor answer, with contents of a resource that is not listed",
    frame('{"jsonrpc":"2.0","id":1,"params":{"contents":[{"uri":"file:///etc/passwd","text":"evil"}]}}') + frame(ONE),
    [{ data: ONE }],
  ),
  stream(
    "event streams",
    "an id of a long line",
    `id: ${"i".repeat(100_000)}\nevent: ${"e".repeat(100_000)}\n${frame(ONE)}`,
    [{ data: ONE }],
  ),
  ...["0", "5000", "9999999999", "0000000001"].map((retry) =>
    stream("event streams", `retry: ${retry}`, `retry: ${retry}\n${frame(ONE)}`, [{ retry, data: ONE }]),
  ),
  ...["", "1.5", "-1", "x", "1 ", "10000000000", "1e3", " 1"].map((retry) =>
    stream("event streams", `not a retry: ${JSON.stringify(retry)}`, `retry: ${retry}\n${frame(ONE)}`, [{ data: ONE }]),
  ),
  stream("event streams", "fields twice", `id: 1\nid: 2\nevent: a\nevent: b\nretry: 1\nretry: 2\n${frame(ONE)}`, [
    { id: "2", event: "b", retry: "2", data: ONE },
  ]),
  stream(
    "event streams",
    "fields of one event are not those of the next",
    `id: 1\nevent: a\nretry: 1\n${frame(ONE)}${frame(TWO)}`,
    [{ id: "1", event: "a", retry: "1", data: ONE }, { data: TWO }],
  ),
  stream("event streams", "empty lines", `\n\n\n${frame(ONE)}\n\n${frame(TWO)}\n`, [{ data: ONE }, { data: TWO }]),
  stream("event streams", "nothing", "", []),
];

const ENDPOINT = (text: string): string => `event: endpoint\ndata: ${text}\n\n`;
const GET = { exchange: { method: "GET" } } as const;
const PATH = "/messages?sessionId=1f";

const EVENTS: readonly ResponseVector[] = [
  ...[PATH, "http://h/m", "https://h:8080/m?a=b#c", `/${"p".repeat(2047)}`].map((text) =>
    stream("endpoint", text.slice(0, 30), ENDPOINT(text), [{ event: "endpoint", text }], GET),
  ),
  stream(
    "endpoint",
    "the name behind the data",
    `data: ${PATH}\nevent: endpoint\n\n`,
    [{ event: "endpoint", text: PATH }],
    GET,
  ),
  stream(
    "endpoint",
    "with an id",
    `id: 1\nevent: endpoint\ndata: ${PATH}\nretry: 3\n\n`,
    [{ event: "endpoint", id: "1", retry: "3", text: PATH }],
    GET,
  ),
  stream("endpoint", "to POST", `${ENDPOINT("/evil")}${frame(ONE)}`, [{ data: ONE }]),
  ...[
    "evil",
    "ftp://evil/",
    "//../evil\u00e9",
    "javascript:evil",
    "httpx://evil",
    ` /evil`,
    `/${"evil".repeat(512)}`,
    "/evil\u0007",
  ].map((text) =>
    stream(
      "endpoint",
      `not one: ${JSON.stringify(text.slice(0, 30))}`,
      `${ENDPOINT(text)}${frame(ONE)}`,
      [{ data: ONE }],
      GET,
    ),
  ),
  stream("endpoint", "on two lines", `event: endpoint\ndata: /a\ndata: /evil\n\n${frame(ONE)}`, [{ data: ONE }], GET),
  stream("endpoint", "a path under another name", `event: message\ndata: /evil\n\n${frame(ONE)}`, [{ data: ONE }], GET),
  stream("endpoint", "a message under its name", `event: endpoint\n${frame(LISTS)}${frame(ONE)}`, [{ data: ONE }], GET),
  stream(
    "endpoint",
    "a name that is taken back",
    `event: endpoint\nevent: message\ndata: /evil\n\n${frame(ONE)}`,
    [{ data: ONE }],
    GET,
  ),
  ...[
    "evil",
    "1",
    '"evil"',
    "null",
    "{}",
    '{"a":"evil"}',
    `1 ${LISTS}`,
    '{"tools":[{"name":"evil"}]}',
    `${ONE}x`,
    "[]",
    '["evil"]',
  ].map((text) =>
    stream("field-lessons/6.2 data that is no response", text.slice(0, 30), frame(text) + frame(ONE), [{ data: ONE }]),
  ),
  stream("event streams", "calls that are denied and nothing else", frame(DENIED) + frame(DENIED), []),
  stream(
    "event streams",
    "an answer that must not pass",
    `id: 4\nevent: message\n${frame(answer('{"contents":[{"uri":"file:///etc/evil"}]}'))}${frame(ONE)}`,
    [{ id: "4", event: "message", data: refusal("resource_not_listed", "1") }, { data: ONE }],
  ),
  stream("threats 28", "an array of calls that are denied", frame(`[${DENIED}]`) + frame(ONE), [{ data: ONE }]),
  // "Each decided alone" and "the event is dropped" are both said.
  response(
    "threats 28",
    "an array with a fault",
    frame(`[${ONE},{"jsonrpc":"2.0","result":{},"method":"evil"}]`) + frame(ONE),
    {
      kind: "events",
      outcomes: [eventsOutcome({ data: ONE }), eventsOutcome({ data: `[${ONE}]` }, { data: ONE })],
    },
  ),
];

const w = "w";
const LIMITS = { limits: { event_bytes: 5000, list_bytes: 65_536 } };
const LARGE: readonly ResponseVector[] = [
  response(
    "threats 49",
    "an event over event_bytes",
    `${frame(ONE)}data: {"id":1,"result":{"x":"${w.repeat(5000)}"}}\n\n${frame(TWO)}`,
    { kind: "events", outcomes: [cutAfter(eventsOutcome({ data: ONE }))] },
    { policy: LIMITS },
  ),
  response(
    "threats 49",
    "an event over event_bytes in short lines",
    `${frame(ONE)}${"data: 1\n".repeat(4000)}`,
    { kind: "events", outcomes: [cutAfter(eventsOutcome({ data: ONE }))] },
    { policy: LIMITS },
  ),
  response(
    "threats 49",
    "an event without end",
    `${frame(ONE)}data: {"id":1,"result":{"x":"${w.repeat(40_000)}`,
    { kind: "events", outcomes: [cutAfter(eventsOutcome({ data: ONE }))] },
    { policy: LIMITS },
  ),
  stream(
    "event streams",
    "an event under event_bytes",
    frame(answer(`{"x":"${w.repeat(4900)}"}`)),
    [{ data: answer(`{"x":"${w.repeat(4900)}"}`) }],
    { policy: LIMITS },
  ),
  stream(
    "event streams",
    "many events under event_bytes",
    frame(answer(`{"x":"${w.repeat(4000)}"}`)).repeat(5),
    Array.from({ length: 5 }, () => ({ data: answer(`{"x":"${w.repeat(4000)}"}`) })),
    { policy: LIMITS },
  ),
  stream(
    "event streams",
    "a large event flows",
    `id: 1\n${frame(answer(`{"x":"${w.repeat(300_000)}","tools":[{"name":"evil"}]}`))}${frame(ONE)}`,
    [{ id: "1", data: answer(`{"x":"${w.repeat(300_000)}","tools":[]}`) }, { data: ONE }],
  ),
  response(
    "event streams",
    "a large event with a fault at its end",
    frame(ONE) + frame(answer(`{"x":"${w.repeat(300_000)}","y":01}`)),
    { kind: "events", outcomes: [cutAfter(eventsOutcome({ data: ONE }))] },
  ),
  response(
    "event streams",
    "a call over list_bytes",
    frame(serverCall("notifications/message", `{"data":"${w.repeat(200_000)}"}`)) + frame(ONE),
    { kind: "events", outcomes: [orCut(eventsOutcome({ data: ONE }))] },
    { policy: { limits: { list_bytes: 65_536 } } },
  ),
];

/** What is no message goes, however long it is. */
const LONG: readonly ResponseVector[] = (
  [
    ["a string", `"evil${w.repeat(200_000)}"`, undefined],
    ["a number", "6".repeat(200_000), undefined],
    ["a string behind blanks", `${" ".repeat(200_000)}"evil"`, undefined],
    ["a message behind blanks", `${" ".repeat(200_000)}${TWO}`, TWO],
    ["a list of a string", `["evil${w.repeat(200_000)}"]`, undefined],
    ["a string in front of a message", `["evil${w.repeat(200_000)}",${TWO}]`, `[${TWO}]`],
    ["a string behind a message", `[${TWO}, "evil${w.repeat(200_000)}"]`, `[${TWO}]`],
  ] as const
).map(([name, data, seen]) =>
  stream(
    "event streams",
    `long: ${name}`,
    frame(data) + frame(ONE),
    [...(seen === undefined ? [] : [{ data: seen }]), { data: ONE }],
    { policy: { limits: { list_bytes: 65_536 } } },
  ),
);

/** Streams that are cut at every byte, and those that are too long for that. */
export const STREAM_VECTORS: readonly ResponseVector[] = [...FRAMING, ...FIELDS, ...EVENTS, ...LARGE, ...LONG];

/** Frames of one stream, each of which must have gone out as soon as it has come, and what the client has then. */
export const PROMPT_FRAMES: readonly (readonly [name: string, frames: readonly Uint8Array[]])[] = [
  ["LF", [frame(ONE), frame(TWO), frame(LISTS)].map(bytesOf)],
  ["CRLF", [`data: ${ONE}\r\n\r\n`, `id: 1\r\ndata: ${LISTS}\r\n\r\n`].map(bytesOf)],
  ["CR", [`data: ${ONE}\r\r`, `data: ${LISTS}\r\r`, `data: ${TWO}\r\r`].map(bytesOf)],
  ["priming", ["id: 1\ndata: \n\n", frame(ONE)].map(bytesOf)],
];
