// The ways past a guard that are known to work against some reader of JSON or HTTP, as data. A vector names the class of
// its input; `row` groups the variants of one class, and the counterparts that must pass stand in the row that they
// guard. A vector is judged under its own policy or under THREAT_POLICY, and its verdict must not depend on where its body
// is cut.

import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { BODY_BYTES_DEFAULT } from "../oracle/exchange.ts";
import { bytes, call, safeCall } from "./bytes.ts";
import { HEADER_THREATS } from "./headers.ts";
import {
  ACCEPT,
  type Changes,
  type Parts,
  pass,
  passEach,
  refuse,
  refuseEach,
  refuseNotification,
  type ThreatVector,
} from "./threat.ts";
import { URI_THREATS } from "./uris.ts";

export { THREAT_POLICY, type ThreatVector } from "./threat.ts";

const withType = (...values: readonly string[]): Changes => ({
  headers: [ACCEPT, ...values.map((value) => ["content-type", value] as const)],
});

const EVIL = call('"name":"evil","arguments":{}');
const SAFE = call('"name":"safe","arguments":{}');
const EVIL_TEXT = Buffer.from(EVIL).toString();
const SAFE_TEXT = Buffer.from(SAFE).toString();
const repeat = (text: string, times: number): string => text.repeat(times);

/** A request with these members around `"jsonrpc":"2.0"`, as written. */
const message = (...members: Parts): Uint8Array => bytes('{"jsonrpc":"2.0",', ...members, "}");
const evilParams = '"params":{"name":"evil","arguments":{}}';
const safeParams = '"params":{"name":"safe","arguments":{}}';

// --- The names and where they stand ---

const NAMES: readonly ThreatVector[] = [
  refuse(1, "a tool that is not listed", EVIL, "tool_not_listed"),
  refuse(1, "a tool that is not listed, without arguments", call('"name":"evil"'), "tool_not_listed"),
  pass(1, "a listed tool", SAFE),
  pass(1, "a listed tool without arguments", call('"name":"safe"')),

  ...refuseEach(2, "json_duplicate_member", {
    "name twice, listed first": call('"name":"safe","arguments":{},"name":"evil"'),
    "name twice, listed last": call('"name":"evil","arguments":{},"name":"safe"'),
    "name twice, listed both times": call('"name":"safe","arguments":{},"name":"safe"'),
    "arguments twice": call('"name":"safe","arguments":{},"arguments":{"x":1}'),
    "a member of the arguments twice": safeCall('"x":1,"x":2'),
    "a member deep in the arguments twice": safeCall('"x":[{"y":{"z":1,"z":1}}]'),
  }),
  pass(2, "one name in several objects", safeCall('"name":"evil","arguments":{"name":"evil"}')),

  ...refuseEach(3, "json_duplicate_member", {
    "method twice": message('"id":1,"method":"tools/list","method":"tools/call",', evilParams),
    "method twice, the call first": message('"id":1,"method":"tools/call","method":"tools/list",', evilParams),
    "id twice": message('"id":1,"id":2,"method":"tools/call",', safeParams),
    "jsonrpc twice": message('"id":1,"jsonrpc":"2.0","method":"tools/call",', safeParams),
  }),
  ...refuseEach(4, "json_duplicate_member", {
    "params twice, listed first": message('"id":1,"method":"tools/call",', safeParams, ",", evilParams),
    "params twice, listed last": message('"id":1,"method":"tools/call",', evilParams, ",", safeParams),
    "params twice, the second null": message('"id":1,"method":"tools/call",', safeParams, ',"params":null'),
    "params twice, the first null": message('"id":1,"method":"tools/call","params":null,', safeParams),
    "params twice, to be merged": message('"id":1,"method":"tools/call",', safeParams, ',"params":{"_meta":{}}'),
  }),

  refuse(5, "an escaped name after the name", call('"name":"safe","n\\u0061me":"evil"'), "json_duplicate_member"),
  refuse(5, "an escaped name before the name", call('"n\\u0061me":"evil","name":"safe"'), "json_duplicate_member"),
  refuse(5, "an escaped name alone", call('"n\\u0061me":"evil"'), "tool_not_listed"),
  refuse(
    5,
    "escaped params",
    message('"id":1,"method":"tools/call","p\\u0061rams":{"name":"evil"}'),
    "tool_not_listed",
  ),
  refuse(5, "an escaped method", message('"id":1,"\\u006dethod":"tools/call",', evilParams), "tool_not_listed"),
  pass(5, "an escaped name of a listed tool", call('"n\\u0061me":"safe"')),
  pass(
    5,
    "every letter of every member escaped",
    message(
      '"\\u0069\\u0064":1,"\\u006d\\u0065\\u0074\\u0068\\u006f\\u0064":"tools/call","\\u0070\\u0061\\u0072\\u0061\\u006d\\u0073":{"\\u006e\\u0061\\u006d\\u0065":"safe"}',
    ),
  ),

  refuse(
    6,
    "a method with an escaped slash",
    message('"id":1,"method":"tools\\/call",', evilParams),
    "tool_not_listed",
  ),
  refuse(
    6,
    "a method with an escaped letter",
    message('"id":1,"method":"\\u0074ools/call",', evilParams),
    "tool_not_listed",
  ),
  refuse(6, "a tool with an escaped letter", call('"name":"\\u0065vil"'), "tool_not_listed"),
  refuse(
    6,
    "both escaped",
    message('"id":1,"method":"tools\\/call","params":{"name":"\\u0065vil"}'),
    "tool_not_listed",
  ),
  pass(6, "both escaped, a listed tool", message('"id":1,"method":"tools\\/call","params":{"name":"\\u0073afe"}')),

  ...refuseEach(7, "near_name", {
    "Name after name": call('"name":"safe","Name":"evil"'),
    "Name before name": call('"Name":"evil","name":"safe"'),
    "NAME after name": call('"name":"safe","NAME":"evil"'),
    "Params after params": message('"id":1,"method":"tools/call",', safeParams, ',"Params":{"name":"evil"}'),
    "METHOD after method": message('"id":1,"method":"tools/list","METHOD":"tools/call",', evilParams),
    "Id after id": message('"id":1,"Id":2,"method":"tools/call",', safeParams),
    "Result beside method": message('"id":1,"method":"tools/call",', safeParams, ',"Result":{}'),
    "Error beside method": message('"id":1,"method":"tools/call",', safeParams, ',"ERROR":{}'),
    "Arguments after arguments": call('"name":"safe","arguments":{},"Arguments":{}'),
    "Uri beside name": call('"name":"safe","Uri":"file:///etc/passwd"'),
    "Task beside name": call('"name":"safe","Task":{}'),
    "_Meta beside name": call('"name":"safe","_Meta":{}'),
    "requeststate beside name": call('"name":"safe","requeststate":"x"'),
    "a member of _meta in capitals": call('"name":"safe","_meta":{"io.modelcontextprotocol/PROTOCOLVERSION":"x"}'),
    "ProgressToken in _meta": call('"name":"safe","_meta":{"ProgressToken":1}'),
    "an escaped near name": call('"name":"safe","\\u004eame":"evil"'),
    "ResourceSubscriptions in a filter": message(
      '"id":1,"method":"subscriptions/listen","params":{"notifications":{"ResourceSubscriptions":["file:///x"]}}',
    ),
  }),
  refuse(7, "Name alone", call('"Name":"evil"'), ["near_name", "params_invalid"]),
  refuse(7, "Jsonrpc alone", bytes('{"Jsonrpc":"2.0","id":1,"method":"tools/call",', safeParams, "}"), [
    "near_name",
    "jsonrpc_version",
  ]),
  refuse(
    7,
    "Uri in a ref",
    message('"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p","Uri":"x"}}'),
    ["near_name", "prompt_not_listed"],
  ),
  pass(7, "near names inside the arguments", safeCall('"Name":"evil","METHOD":"x","Params":{"Uri":"y"}')),

  ...refuseEach(8, "near_name", {
    "params with an escaped long s": message(
      '"id":1,"method":"tools/call",',
      safeParams,
      ',"param\\u017f":{"name":"evil"}',
    ),
    "params with a raw long s": message('"id":1,"method":"tools/call",', safeParams, ',"param\u017f":{"name":"evil"}'),
    "task with an escaped Kelvin sign": call('"name":"safe","tas\\u212A":{}'),
    "task with a raw Kelvin sign": call('"name":"safe","tas\u212a":{}'),
    "arguments with a long s": call('"name":"safe","argument\\u017f":{"x":1}'),
    "a long s in capitals": message('"id":1,"method":"tools/call",', safeParams, ',"PARAM\u017f":{"name":"evil"}'),
    "progressToken with a Kelvin sign": call('"name":"safe","_meta":{"progressTo\\u212aen":1}'),
  }),
  pass(8, "letters that fold to themselves", call('"name":"safe","n\u00e4me":"evil","nam\u0435":"evil"')),

  ...refuseEach(9, "near_name", {
    "name with a NUL": call('"name":"safe","name\\u0000":"evil"'),
    "name with two NULs": call('"name":"safe","name\\u0000\\u0000":"evil"'),
    "name with a space behind": call('"name":"safe","name ":"evil"'),
    "name with a space before": call('"name":"safe"," name":"evil"'),
    "name with a tab": call('"name":"safe","name\\t":"evil"'),
    "name with a line feed": call('"name":"safe","\\nname":"evil"'),
    "name with a NUL before": call('"name":"safe","\\u0000name":"evil"'),
    "name with a control character": call('"name":"safe","name\\u001f":"evil"'),
    "name with a space and a NUL": call('"name":"safe","name \\u0000":"evil"'),
    "method with a NUL": message('"id":1,"method":"tools/list","method\\u0000":"tools/call",', safeParams),
    "params with a NUL": message('"id":1,"method":"tools/call",', safeParams, ',"params\\u0000":{"name":"evil"}'),
  }),
  pass(9, "a NUL inside the arguments", safeCall('"name\\u0000":"evil","name ":"\\u0000"')),

  ...refuseEach(10, "batch", {
    "a listed and an unlisted call": bytes("[", SAFE_TEXT, ",", EVIL_TEXT, "]"),
    "one unlisted call": bytes("[", EVIL_TEXT, "]"),
    "one listed call": bytes("[", SAFE_TEXT, "]"),
    "an empty batch": bytes("[]"),
    "a batch in a batch": bytes("[[", EVIL_TEXT, "]]"),
    "a batch after white space": bytes(" \r\n\t[", EVIL_TEXT, "]"),
    "a batch and a second document": bytes("[", EVIL_TEXT, "]", SAFE_TEXT),
    "a batch of initialize": bytes('[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]'),
  }),

  refuse(
    11,
    "params first, method last",
    bytes(`{${evilParams},"id":1,"jsonrpc":"2.0","method":"tools/call"}`),
    "tool_not_listed",
  ),
  refuse(
    11,
    "method first, jsonrpc last",
    bytes(`{"method":"tools/call",${evilParams},"id":1,"jsonrpc":"2.0"}`),
    "tool_not_listed",
  ),
  refuse(11, "arguments before the name", call('"arguments":{"name":"safe"},"name":"evil"'), "tool_not_listed"),
  refuse(11, "_meta before the name", call('"_meta":{"name":"safe"},"name":"evil"'), "tool_not_listed"),
  pass(11, "params first, a listed tool", bytes(`{${safeParams},"id":1,"jsonrpc":"2.0","method":"tools/call"}`)),
  pass(11, "arguments before a listed name", call('"arguments":{"name":"evil"},"name":"safe"')),
];

// --- What the headers say about the body ---

const coded = (coding: string): Changes => ({ extraHeaders: [["content-encoding", coding]] });

/** Reads as a listed call in UTF-8 and as an unlisted one in UTF-7 (RFC 2152). */
const UTF7_SMUGGLE = call(
  '"name":"safe","arguments":{"x":"+ACIAfQAs-+ACI-name+ACI-:+ACI-evil+ACI-,+ACI-z+ACI-:+AHsAIg-q+ACI-:+ACI-"}',
);

const UTF16 = { "UTF-16LE": encode(EVIL_TEXT, 2, "little"), "UTF-16BE": encode(EVIL_TEXT, 2, "big") };
const UTF32 = { "UTF-32LE": encode(EVIL_TEXT, 4, "little"), "UTF-32BE": encode(EVIL_TEXT, 4, "big") };

function encode(text: string, width: 2 | 4, order: "little" | "big"): Uint8Array {
  const units = [...text].map((character) => character.charCodeAt(0));
  return bytes(
    units.flatMap((unit) => {
      const big = [...new Array<number>(width - 2).fill(0), unit >> 8, unit & 0xff];
      return order === "big" ? big : big.reverse();
    }),
  );
}

/** ASCII text in IBM's code page 037, of which it needs letters, digits and seven signs. */
function ebcdic(text: string): Uint8Array {
  const signs: Record<string, number> = { '"': 0x7f, ":": 0x7a, ",": 0x6b, "{": 0xc0, "}": 0xd0, ".": 0x4b, "/": 0x61 };
  const letterRows: readonly (readonly [first: string, byte: number])[] = [
    ["s", 0xa2],
    ["j", 0x91],
    ["a", 0x81],
    ["0", 0xf0],
  ];
  return bytes(
    [...text].map((character) => {
      const sign = signs[character];
      if (sign !== undefined) return sign;
      const [first, byte] = letterRows.find(([start]) => character >= start)!;
      return byte + character.charCodeAt(0) - first.charCodeAt(0);
    }),
  );
}

/** In Shift_JIS the bytes 95 5C are one character; read byte by byte, 5C escapes the quote behind it. */
const SHIFT_JIS = call('"name":"safe","arguments":{"x":"', [0x95, 0x5c], '","y":",\\"name\\":\\"evil"}');

const MARK: Readonly<Record<string, readonly number[]>> = {
  "UTF-16LE": [0xff, 0xfe],
  "UTF-16BE": [0xfe, 0xff],
  "UTF-32LE": [0xff, 0xfe, 0, 0],
  "UTF-32BE": [0, 0, 0xfe, 0xff],
};

const ENCODINGS: readonly ThreatVector[] = Object.entries({ ...UTF16, ...UTF32 }).flatMap(([name, body]) => {
  const marked = bytes(MARK[name]!, [...body]);
  const charset = withType(`application/json; charset=${name.toLowerCase()}`);
  return [
    refuse(14, `${name}, undeclared`, body, "json_syntax"),
    refuse(14, `${name} with a mark, undeclared`, marked, name === "UTF-32BE" ? "json_syntax" : "json_bom"),
    refuse(14, `${name}, declared`, body, "content_type", charset),
    refuse(14, `${name} with a mark, declared`, marked, "content_type", charset),
    refuse(14, `${name}, declared for a UTF-8 body`, SAFE, "content_type", charset),
  ];
});

const OTHER_TYPES: Readonly<Record<string, readonly string[]>> = {
  "two charsets, UTF-8 first": ["application/json; charset=utf-8; charset=utf-16le"],
  "two charsets, UTF-8 last": ["application/json; charset=utf-16le; charset=utf-8"],
  "one charset twice": ["application/json; charset=utf-8; charset=utf-8"],
  "an unknown charset": ["application/json; charset=bogus"],
  "an empty charset": ["application/json; charset="],
  "charset us-ascii": ["application/json; charset=us-ascii"],
  "charset iso-8859-1": ["application/json; charset=iso-8859-1"],
  "charset utf8 without the hyphen": ["application/json; charset=utf8"],
  "another parameter": ["application/json; profile=x"],
  "another parameter before the charset": ["application/json; profile=x; charset=utf-8"],
  "two types in one header": ["application/json, text/plain"],
  "two types in one header, JSON last": ["text/plain, application/json"],
  "one type twice in one header": ["application/json, application/json"],
  "two headers, JSON first": ["application/json", "text/plain"],
  "two headers, JSON last": ["text/plain", "application/json"],
  "one header twice": ["application/json", "application/json"],
  "no header": [],
  "an empty header": [""],
  "text/plain": ["text/plain"],
  "text/json": ["text/json"],
  "a wildcard": ["*/*"],
  "a longer subtype": ["application/jsonx"],
  "JSON-RPC's old type": ["application/json-rpc"],
  "a structured suffix": ["application/vnd.example+json"],
  "an x- type": ["application/x-json"],
  "a form": ["application/x-www-form-urlencoded"],
  "a multipart form": ["multipart/form-data; boundary=x"],
  "an event stream": ["text/event-stream"],
  "JSON as a parameter": ["text/plain; a=application/json"],
  "JSON in brackets": ["<application/json>"],
  "a space in the type": ["application/ json"],
};

const SAME_TYPES: readonly string[] = [
  "Application/JSON",
  "APPLICATION/JSON; CHARSET=UTF-8",
  "application/json;charset=utf-8",
  'application/json; charset="UTF-8"',
  "application/json ;\tcharset=utf-8",
];

const HEADERS: readonly ThreatVector[] = [
  refuse(12, "gzip", gzipSync(EVIL), "content_encoding", coded("gzip")),
  refuse(12, "gzip of a listed call", gzipSync(SAFE), "content_encoding", coded("gzip")),
  refuse(12, "GZIP", gzipSync(EVIL), "content_encoding", coded("GZIP")),
  refuse(12, "x-gzip", gzipSync(EVIL), "content_encoding", coded("x-gzip")),
  refuse(12, "deflate", deflateSync(EVIL), "content_encoding", coded("deflate")),
  refuse(12, "br", brotliCompressSync(EVIL), "content_encoding", coded("br")),
  refuse(12, "gzip, identity", gzipSync(EVIL), "content_encoding", coded("gzip, identity")),
  refuse(12, "identity, gzip", gzipSync(EVIL), "content_encoding", coded("identity, gzip")),
  refuse(12, "identity, identity", SAFE, "content_encoding", coded("identity, identity")),
  refuse(12, "a plain body declared as gzip", EVIL, "content_encoding", coded("gzip")),
  refuse(12, "a plain listed call declared as gzip", SAFE, "content_encoding", coded("gzip")),
  refuse(12, "an unknown coding", SAFE, "content_encoding", coded("foo")),
  refuse(12, "two headers, identity first", gzipSync(EVIL), "content_encoding", {
    extraHeaders: [
      ["content-encoding", "identity"],
      ["content-encoding", "gzip"],
    ],
  }),
  refuse(12, "gzip, undeclared", gzipSync(EVIL), "json_syntax"),
  pass(12, "identity", SAFE, coded("identity")),
  pass(12, "IDENTITY", SAFE, coded("IDENTITY")),
  refuse(12, "IDENTITY of an unlisted call", EVIL, "tool_not_listed", coded("IDENTITY")),

  refuse(13, "a UTF-7 body", UTF7_SMUGGLE, "content_type", withType("application/json; charset=utf-7")),
  refuse(
    13,
    "a UTF-7 body, the name in capitals",
    UTF7_SMUGGLE,
    "content_type",
    withType("application/json; CHARSET=UTF-7"),
  ),
  refuse(
    13,
    "a UTF-7 body, the name in quotes",
    UTF7_SMUGGLE,
    "content_type",
    withType('application/json; charset="utf-7"'),
  ),
  refuse(13, "a UTF-7 body that escapes its quote", call('+ACI-name+ACI-:"evil"'), "json_syntax"),
  pass(13, "a UTF-7 body, undeclared: it is what UTF-8 says", UTF7_SMUGGLE),
  pass(13, "a UTF-7 body declared as UTF-8", UTF7_SMUGGLE, withType("application/json; charset=utf-8")),

  ...ENCODINGS,
  refuse(14, "EBCDIC, declared", ebcdic(EVIL_TEXT), "content_type", withType("application/json; charset=IBM037")),
  refuse(14, "EBCDIC, undeclared", ebcdic(EVIL_TEXT), "json_syntax"),
  refuse(14, "Shift_JIS, declared", SHIFT_JIS, "content_type", withType("application/json; charset=Shift_JIS")),
  refuse(14, "Shift_JIS, undeclared", SHIFT_JIS, "json_utf8"),

  ...Object.entries(OTHER_TYPES).flatMap(([name, types]) => [
    refuse(15, `${name}, an unlisted call`, EVIL, "content_type", withType(...types)),
    refuse(15, `${name}, a listed call`, SAFE, "content_type", withType(...types)),
  ]),
  ...SAME_TYPES.flatMap((type) => [
    refuse(15, `${type}, an unlisted call`, EVIL, "tool_not_listed", withType(type)),
    pass(15, `${type}, a listed call`, SAFE, withType(type)),
  ]),
];

// --- What is not JSON, or not the JSON that every reader reads alike ---

const TAILS: Readonly<Record<string, string>> = {
  letters: "xyz",
  "a NUL": "\0",
  "a comma": ",",
  "a closing brace": "}",
  "a line comment": "//x",
  "a block comment": "/**/",
  "a record separator": "\u001e",
  "a listed call": SAFE_TEXT,
  "an unlisted call": EVIL_TEXT,
  "an unlisted call on a new line": `\n${EVIL_TEXT}`,
  "an array": "[]",
  "a mark": "\ufeff",
};

const ID_SHAPES: Readonly<Record<string, string>> = {
  null: "null",
  "1.0": "1.0",
  "1.5": "1.5",
  "1e2": "1e2",
  "1E0": "1E0",
  true: "true",
  false: "false",
  "an object": "{}",
  "an array": "[]",
  "an array of one": "[1]",
  "2^53": "9007199254740992",
  "2^53+1": "9007199254740993",
  "-2^53": "-9007199254740992",
  "17 digits": "10000000000000000",
  "1e400": "1e400",
  "a string of 257 bytes": `"${repeat("i", 257)}"`,
  "a string of 43 escapes, 258 bytes as written": `"${repeat("\\u0069", 43)}"`,
};

const GOOD_IDS: Readonly<Record<string, string>> = {
  "0": "0",
  "-0": "-0",
  "-1": "-1",
  "2^53-1": "9007199254740991",
  "-(2^53-1)": "-9007199254740991",
  "an empty string": '""',
  "a string of a number": '"1"',
  "a string of 256 bytes": `"${repeat("i", 256)}"`,
  "a string with escapes and a quote": '"\\"\\u0041\\/\\ud83d\\ude00"',
  "a string beyond ASCII": '"\u00e9\u{1f600}"',
};

const withId = (id: string, params: string): Uint8Array => message(`"id":${id},"method":"tools/call",`, params);

const NOT_JSON: readonly ThreatVector[] = [
  ...Object.entries(TAILS).flatMap(([name, tail]) => [
    refuse(16, `an unlisted call, then ${name}`, bytes(EVIL_TEXT, tail), "json_trailing_data"),
    refuse(16, `a listed call, then ${name}`, bytes(SAFE_TEXT, tail), "json_trailing_data"),
  ]),
  pass(16, "white space around the message", bytes(" \t\r\n", SAFE_TEXT, "\r\n\t ")),

  refuse(17, "a mark before an unlisted call", bytes("\ufeff", EVIL_TEXT), "json_bom"),
  refuse(17, "a mark before a listed call", bytes("\ufeff", SAFE_TEXT), "json_bom"),
  refuse(17, "two marks", bytes("\ufeff\ufeff", EVIL_TEXT), "json_bom"),
  refuse(17, "a mark after white space", bytes(" \ufeff", SAFE_TEXT), "json_bom"),
  refuse(17, "a mark inside the object", call("\ufeff", '"name":"safe"'), "json_syntax"),
  pass(17, "a mark inside a string", safeCall('"x":"\ufeff"')),

  ...refuseEach(18, "json_utf8", {
    "an overlong letter in the tool's name": call('"name":"', [0xc1, 0xa5], 'vil"'),
    "an overlong letter in a member's name": call('"name":"safe","n', [0xc1, 0xa1], 'me":"evil"'),
    "an overlong full stop": safeCall('"x":"a', [0xc0, 0xae], '"'),
    "an overlong NUL": safeCall('"x":"', [0xc0, 0x80], '"'),
    "a surrogate in three bytes": safeCall('"x":"', [0xed, 0xa0, 0x80], '"'),
    "a surrogate pair in six bytes": safeCall('"x":"', [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80], '"'),
    "a byte FF": safeCall('"x":"', [0xff], '"'),
    "a byte F8": safeCall('"x":"', [0xf8, 0x88, 0x80, 0x80, 0x80], '"'),
    "a continuation byte alone": safeCall('"x":"', [0x80], '"'),
    "above U+10FFFF": safeCall('"x":"', [0xf4, 0x90, 0x80, 0x80], '"'),
    "a character cut by the quote": safeCall('"x":"', [0xe2, 0x82], '"'),
    "a first byte that could swallow the quote": call(
      '"name":"safe","arguments":{"x":"a',
      [0xe2],
      '","name":"evil","z":"',
      [0x82],
      '"}',
    ),
    "the same around the tool's name": call('"x":"a', [0xe2], '","name":"evil","z":"', [0x82], '"'),
    "a byte FF in the method": message('"id":1,"method":"tools/call', [0xff], '",', safeParams),
    "a byte FF in the id": message('"id":"', [0xff], '","method":"tools/call",', safeParams),
  }),
  pass(18, "every length of character", safeCall('"x":"\u00e9\u20ac\u{1f600}\u{10ffff}","\u00e9\u20ac\u{1f600}":1')),

  refuse(19, "no id, an unlisted call", message('"method":"tools/call",', evilParams), [
    "id_missing",
    "tool_not_listed",
  ]),
  refuse(19, "no id, a listed call", message('"method":"tools/call",', safeParams), "id_missing"),
  ...Object.entries(ID_SHAPES).flatMap(([name, id]) => [
    refuse(19, `id ${name}, an unlisted call`, withId(id, evilParams), ["id_invalid", "tool_not_listed"]),
    refuse(19, `id ${name}, a listed call`, withId(id, safeParams), "id_invalid"),
  ]),
  refuse(19, "an id on a notification", message('"id":1,"method":"notifications/initialized"'), "id_unexpected"),
  refuse(19, "a null id on a notification", message('"id":null,"method":"notifications/initialized"'), [
    "id_invalid",
    "id_unexpected",
  ]),
  refuse(19, "no id on a list request", message('"method":"tools/list"'), "id_missing"),
  refuse(19, "no id on a result", message('"result":{}'), "id_missing"),
  ...Object.entries(GOOD_IDS).map(([name, id]) => pass(19, `id ${name}`, withId(id, safeParams))),
  pass(19, "a notification", message('"method":"notifications/initialized"')),
  pass(19, "a result with an id", message('"id":1,"result":{"roots":[]}')),
  pass(19, "an error with an id", message('"id":"a","error":{"code":-1,"message":"declined"}')),
  pass(19, "an error without an id", message('"error":{"code":-1,"message":"declined"}')),
];

// --- How the request travels ---

const CAP = BODY_BYTES_DEFAULT;

/** A call of the listed tool of exactly this many bytes. */
function padded(length: number, head: string, tail: string): Uint8Array {
  return bytes(head, repeat("a", length - head.length - tail.length), tail);
}

const CALL_HEAD = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":{"x":"';

const PATHS = [
  "/mcp/",
  "/MCP",
  "//mcp",
  "/mcp?x",
  "/%6dcp",
  "/mcp;a=b",
  "/x/../mcp",
  "/",
  "/sse",
  "/message?sessionId=1",
];

const TRAILERS = { trailers: [["x-checksum", "0"]] } as const;

const FRAMINGS: Readonly<Record<string, Changes>> = {
  "HTTP/1.1, one-byte chunks": { protocol: "h1", framing: "bytes" },
  "HTTP/2, one-byte DATA frames": { protocol: "h2", framing: "bytes" },
  "HTTP/1.1, one chunk": { protocol: "h1", framing: "chunked" },
  "HTTP/2, one DATA frame": { protocol: "h2", framing: "chunked" },
  "HTTP/1.1, chunked with trailers": { protocol: "h1", framing: "chunked", ...TRAILERS },
  "HTTP/1.1, one-byte chunks with trailers": { protocol: "h1", framing: "bytes", ...TRAILERS },
  "HTTP/2, with trailers": { protocol: "h2", framing: "chunked", ...TRAILERS },
  "HTTP/2, one-byte DATA frames with trailers": { protocol: "h2", framing: "bytes", ...TRAILERS },
};

const EMPTY = bytes();

const TRANSPORT: readonly ThreatVector[] = [
  refuse(24, "a body cut at the cap", bytes(CALL_HEAD, repeat("a", CAP - CALL_HEAD.length)), "json_incomplete"),
  refuse(24, "an unlisted name after the cap", padded(CAP + 20, CALL_HEAD, '"},"name":"evil"}}'), "body_too_large"),
  refuse(
    24,
    "a message and white space beyond the cap",
    bytes(SAFE_TEXT, repeat(" ", CAP + 1 - SAFE.length)),
    "body_too_large",
  ),
  refuse(24, "a byte over the cap", padded(CAP + 1, CALL_HEAD, '"}}}'), "body_too_large"),
  refuse(24, "a byte over the cap, undeclared", padded(CAP + 1, CALL_HEAD, '"}}}'), "body_too_large", {
    framing: "chunked",
  }),
  pass(24, "a body of the cap", padded(CAP, CALL_HEAD, '"}}}')),
  pass(24, "a body of the cap, undeclared", padded(CAP, CALL_HEAD, '"}}}'), { framing: "chunked" }),
  refuse(24, "a declared length over the cap", SAFE, "body_too_large", {
    extraHeaders: [["content-length", String(CAP + 1)]],
  }),
  {
    ...refuse(24, "a declared length below the body's", EVIL, "tool_not_listed", {
      extraHeaders: [["content-length", "10"]],
    }),
    scriptedHostOnly: true,
  },
  {
    ...refuse(24, "a declared length below a body over the cap", padded(CAP + 1, CALL_HEAD, '"}}}'), "body_too_large", {
      extraHeaders: [["content-length", "10"]],
    }),
    scriptedHostOnly: true,
  },

  ...PATHS.flatMap((path) => [
    refuse(25, `${path}, an unlisted call`, EVIL, "tool_not_listed", { path }),
    pass(25, `${path}, a listed call`, SAFE, { path }),
  ]),

  ...Object.entries(FRAMINGS).flatMap(([name, framing]) => [
    refuse(26, `${name}, an unlisted call`, EVIL, "tool_not_listed", framing),
    pass(26, `${name}, a listed call`, SAFE, framing),
  ]),
  refuse(26, "HTTP/1.1, no body", EMPTY, "body_missing", { protocol: "h1", framing: "headers_only" }),
  refuse(26, "HTTP/2, no body", EMPTY, "body_missing", { protocol: "h2", framing: "headers_only" }),
  refuse(26, "HTTP/1.1, an empty chunked body", EMPTY, ["body_missing", "json_incomplete"], {
    protocol: "h1",
    framing: "chunked",
  }),
  refuse(26, "HTTP/2, trailers and no data", EMPTY, ["body_missing", "json_incomplete"], {
    protocol: "h2",
    framing: "chunked",
    ...TRAILERS,
  }),
  refuse(26, "a message cut before its last byte", EVIL.subarray(0, -1), "json_incomplete"),
  refuse(26, "a message cut before its last byte, then trailers", SAFE.subarray(0, -1), "json_incomplete", {
    framing: "chunked",
    ...TRAILERS,
  }),
  ...["GET", "HEAD", "DELETE", "OPTIONS"].map((method) =>
    refuse(26, `${method} with a body`, EVIL, "body_unexpected", { method, protocol: "h2" }),
  ),
  ...["GET", "HEAD", "DELETE", "OPTIONS"].map((method) =>
    pass(26, `${method} without a body`, EMPTY, { method, framing: "headers_only", headers: [ACCEPT] }),
  ),
  ...["PUT", "PATCH", "QUERY", "post"].map((method) =>
    refuse(26, `${method} with a body`, SAFE, "http_method", { method, protocol: "h2" }),
  ),
  refuse(26, "an upgrade", EMPTY, "http_upgrade", {
    method: "GET",
    protocol: "h1",
    framing: "headers_only",
    headers: [
      ["connection", "Upgrade"],
      ["upgrade", "websocket"],
    ],
  }),
];

// --- Lenient readers ---

const LENIENT: readonly ThreatVector[] = [
  ...refuseEach(31, "json_syntax", {
    "block comments that hide a name": call('"name":"safe",/*"*/"arguments":{},/*",*/"name":"evil"/**/'),
    "a line comment": call('"name":"safe"//x\n'),
    "a hash comment": call('"name":"safe"#x\n'),
    "a comment before the message": bytes("/**/", SAFE_TEXT),
    "an HTML comment": bytes("<!-- -->", SAFE_TEXT),
  }),
  pass(31, "comments inside strings", safeCall('"x":"/* */ // # <!-- -->"')),

  ...refuseEach(32, "json_syntax", {
    "single quotes": bytes(EVIL_TEXT.replaceAll('"', "'")),
    "single quotes around one name": call('"name":"safe",\'name\':"evil"'),
    "unquoted names": bytes(SAFE_TEXT.replace(/"(\w+)":/g, "$1:")),
    "an unquoted value": call('"name":safe'),
    "a comma after the last member": call('"name":"safe",'),
    "a comma after the last element": safeCall('"x":[1,]'),
    "a comma without a member": call(',"name":"safe"'),
    "an elision": safeCall('"x":[1,,2]'),
    "an equals sign": call('"name"="safe"'),
    "an arrow": call('"name"=>"safe"'),
    "a semicolon between members": call('"name":"safe";"arguments":{}'),
    "a guard prefix": bytes(")]}',\n", SAFE_TEXT),
    "a while loop prefix": bytes("while(1);", SAFE_TEXT),
    "a callback": bytes("cb(", SAFE_TEXT, ")"),
    "no comma": call('"name":"safe" "arguments":{}'),
    "strings to be joined": call('"name":"sa" "fe"'),
    backquotes: call('"name":`safe`'),
    "three quotes": call('"name":"""safe"""'),
  }),

  ...Object.entries({
    NaN: "NaN",
    "-NaN": "-NaN",
    Infinity: "Infinity",
    "-Infinity": "-Infinity",
    undefined: "undefined",
    hexadecimal: "0x10",
    octal: "0o17",
    binary: "0b1",
    "a leading zero": "01",
    "a leading plus": "+1",
    "a leading point": ".5",
    "a trailing point": "1.",
    "a minus alone": "-",
    "an empty exponent": "1e",
    "an underscore": "1_0",
    "a suffix": "1n",
    True: "True",
    None: "None",
  }).map(([name, value]) => refuse(33, name, safeCall(`"y":${value}`), "json_syntax")),
  pass(33, "odd numbers that are legal", safeCall('"y":[-0,0e0,1E+2,1e-999,-0.0e-00,1e400]')),

  ...refuseEach(34, "json_surrogate", {
    "a high one alone": safeCall('"x":"\\ud800"'),
    "a low one alone": safeCall('"x":"\\udc00"'),
    "a pair the wrong way round": safeCall('"x":"\\udc00\\ud800"'),
    "two high ones": safeCall('"x":"\\ud800\\ud800"'),
    "a high one before another escape": safeCall('"x":"\\ud800\\n"'),
    "a high one before a letter": safeCall('"x":"\\ud800z"'),
    "a high one in a member's name": call('"name":"safe","\\ud800":1'),
    "a low one in the tool's name": call('"name":"safe\\udc00"'),
    "a high one in the id": message('"id":"\\ud800","method":"tools/call",', safeParams),
  }),
  pass(34, "a pair", safeCall('"x":"\\ud83d\\ude00\\uDBFF\\uDFFF"')),

  ...refuseEach(35, "json_syntax", {
    "a raw tab": safeCall('"x":"\t"'),
    "a raw line feed": safeCall('"x":"\n"'),
    "a raw NUL": safeCall('"x":"\0"'),
    "a raw NUL in the tool's name": call('"name":"safe\0"'),
    "a raw line feed in a member's name": call('"name":"safe","na\nme":"evil"'),
    "the escape \\x": call('"name":"\\x65vil"'),
    "the escape \\'": safeCall('"x":"\\\'"'),
    "the escape \\0": safeCall('"x":"\\0"'),
    "the escape \\a": safeCall('"x":"\\a"'),
    "the escape \\v": safeCall('"x":"\\v"'),
    "braces in an escape": call('"name":"\\u{65}vil"'),
    "an escape of three digits": call('"name":"\\u00e"'),
    "an escape with a capital U": call('"name":"\\U0065vil"'),
    "a continued line": safeCall('"x":"a\\\nb"'),
  }),
  pass(35, "all the legal escapes", safeCall('"x":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001F"')),

  ...Object.entries({
    "a vertical tab": "\v",
    "a form feed": "\f",
    "a no-break space": "\u00a0",
    "a line separator": "\u2028",
    "a paragraph separator": "\u2029",
    "a next line": "\u0085",
    "a NUL": "\0",
    "a record separator": "\u001e",
    "a DEL": "\u007f",
  }).flatMap(([name, space]) => [
    refuse(36, `${name} between tokens`, call(space, '"name":"safe"'), "json_syntax"),
    refuse(36, `${name} before the message`, bytes(space, SAFE_TEXT), "json_syntax"),
    refuse(36, `${name} after the message`, bytes(SAFE_TEXT, space), "json_trailing_data"),
  ]),
  pass(36, "the four kinds of white space between all tokens", bytes(SAFE_TEXT.replace(/[{}:,]/g, " \t\r\n$& \t\r\n"))),
];

// --- The message ---

const callWith = (params: string): Uint8Array => message('"id":1,"method":"tools/call"', params);

const TASKS_ALLOWED: Changes = { policy: { tool_allowlist: ["safe"], tasks: "allow" } };

const MESSAGE: readonly ThreatVector[] = [
  ...refuseEach(37, "params_invalid", {
    "params an array": callWith(',"params":["evil",{}]'),
    "params a string": callWith(',"params":"{\\"name\\":\\"safe\\"}"'),
    "params a number": callWith(',"params":1'),
    "params null": callWith(',"params":null'),
    "params absent": callWith(""),
    "no name": call('"arguments":{}'),
    "no member": call(""),
    "name an array": call('"name":["evil"]'),
    "name an array of the listed one": call('"name":["safe"]'),
    "name an object": call('"name":{"name":"safe"}'),
    "name a number": call('"name":1'),
    "name true": call('"name":true'),
    "name null": call('"name":null'),
    "arguments null": call('"name":"safe","arguments":null'),
    "arguments a string": call('"name":"safe","arguments":"{}"'),
    "arguments an array": call('"name":"safe","arguments":[]'),
    "_meta null": call('"name":"safe","_meta":null'),
    "_meta an array": call('"name":"safe","_meta":[]'),
    "arguments true": call('"name":"safe","arguments":true'),
  }),
  ...refuseEach(37, "method_invalid", {
    "method an array": message('"id":1,"method":["tools/call"],', safeParams),
    "method an object": message('"id":1,"method":{"tools/call":1},', safeParams),
    "method a number": message('"id":1,"method":1,', safeParams),
    "method null": message('"id":1,"method":null,', safeParams),
    "method empty": message('"id":1,"method":"",', safeParams),
  }),
  refuse(37, "params null on a list request", message('"id":1,"method":"tools/list","params":null'), "params_invalid"),
  refuse(
    37,
    "params an array on a list request",
    message('"id":1,"method":"tools/list","params":[]'),
    "params_invalid",
  ),
  pass(37, "no params on a list request", message('"id":1,"method":"tools/list"')),

  ...refuseEach(38, "jsonrpc_version", {
    "no jsonrpc": bytes('{"id":1,"method":"tools/call",', safeParams, "}"),
    "jsonrpc 1.0": bytes('{"jsonrpc":"1.0","id":1,"method":"tools/call",', safeParams, "}"),
    "jsonrpc a number": bytes('{"jsonrpc":2.0,"id":1,"method":"tools/call",', safeParams, "}"),
    "jsonrpc null": bytes('{"jsonrpc":null,"id":1,"method":"tools/call",', safeParams, "}"),
    "jsonrpc an array": bytes('{"jsonrpc":["2.0"],"id":1,"method":"tools/call",', safeParams, "}"),
    "jsonrpc with a space": bytes('{"jsonrpc":"2.0 ","id":1,"method":"tools/call",', safeParams, "}"),
    "jsonrpc 2": bytes('{"jsonrpc":"2","id":1,"method":"tools/call",', safeParams, "}"),
  }),
  ...refuseEach(38, "message_mixed", {
    "method and result": message('"id":1,"method":"tools/call",', safeParams, ',"result":{}'),
    "method and error": message('"id":1,"method":"tools/call",', safeParams, ',"error":{"code":1,"message":""}'),
    "method and a null result": message('"id":1,"method":"tools/call",', safeParams, ',"result":null'),
    "result and error": message('"id":1,"result":{},"error":{"code":1,"message":""}'),
    "none of the three": message('"id":1,', safeParams),
    "an id only": message('"id":1'),
  }),
  refuse(38, "an empty object", bytes("{}"), ["jsonrpc_version", "message_mixed"]),
  refuse(
    38,
    "method and result, an unlisted call",
    message('"id":1,"method":"tools/call",', evilParams, ',"result":{}'),
    ["message_mixed", "tool_not_listed"],
  ),
  pass(38, "jsonrpc with an escape", bytes('{"jsonrpc":"2\\u002e0","id":1,"method":"tools/call",', safeParams, "}")),

  refuse(
    39,
    "params under __proto__",
    message('"id":1,"method":"tools/call","__proto__":', safeParams.replace('"params":', "")),
    "params_invalid",
  ),
  refuse(39, "name under __proto__", call('"__proto__":{"name":"safe"}'), "params_invalid"),
  refuse(
    39,
    "method under __proto__",
    message('"id":1,"__proto__":{"method":"tools/call"},', safeParams),
    "message_mixed",
  ),
  refuse(
    39,
    "a URI under __proto__",
    message('"id":1,"method":"resources/read","params":{"__proto__":{"uri":"file:///docs/a"}}'),
    "params_invalid",
    { policy: { tool_allowlist: [], resource_roots: ["file:///docs/"] } },
  ),
  refuse(
    39,
    "an argument under __proto__ of a rule",
    safeCall('"__proto__":{"path":"../etc"}'),
    "argument_not_allowed",
    {
      policy: {
        tool_allowlist: ["safe"],
        argument_rules: [{ tool: "safe", pointer: "/__proto__/path", rule: "path" }],
      },
    },
  ),
  pass(39, "__proto__ inside the arguments", safeCall('"__proto__":{"name":"evil"},"constructor":{"prototype":{}}')),

  ...refuseEach(40, "method_not_listed", {
    "another case": message('"id":1,"method":"Tools/Call",', safeParams),
    capitals: message('"id":1,"method":"TOOLS/CALL",', safeParams),
    "two slashes": message('"id":1,"method":"tools//call",', safeParams),
    "a slash behind": message('"id":1,"method":"tools/call/",', safeParams),
    "a slash before": message('"id":1,"method":"/tools/call",', safeParams),
    "a dot": message('"id":1,"method":"tools.call",', safeParams),
    "a dot segment": message('"id":1,"method":"tools/./call",', safeParams),
    "a percent sign": message('"id":1,"method":"tools%2fcall",', safeParams),
    "a prefix": message('"id":1,"method":"tools/cal",', safeParams),
    "a longer name": message('"id":1,"method":"tools/callx",', safeParams),
    "128 bytes": message(`"id":1,"method":"${repeat("m", 128)}"`),
  }),
  ...refuseEach(40, "method_invalid", {
    "a space behind": message('"id":1,"method":"tools/call ",', safeParams),
    "a space before": message('"id":1,"method":" tools/call",', safeParams),
    "a NUL": message('"id":1,"method":"tools/call\\u0000",', safeParams),
    "a line feed": message('"id":1,"method":"tools/call\\n",', safeParams),
    "a full-width slash": message('"id":1,"method":"tools\uff0fcall",', safeParams),
    "a zero-width space": message('"id":1,"method":"tools/call\u200b",', safeParams),
    "a Kelvin sign": message('"id":1,"method":"tas\u212as/get",', safeParams),
    "a DEL": message('"id":1,"method":"tools/call\u007f",', safeParams),
    "129 bytes": message(`"id":1,"method":"${repeat("m", 129)}"`),
  }),

  ...refuseEach(41, "tool_not_listed", {
    "another case": call('"name":"Safe"'),
    capitals: call('"name":"SAFE"'),
    "a space behind": call('"name":"safe "'),
    "a space before": call('"name":" safe"'),
    "a tab": call('"name":"safe\\t"'),
    "a NUL": call('"name":"safe\\u0000"'),
    "a NUL and a listed name": call('"name":"evil\\u0000safe"'),
    "a zero-width space": call('"name":"safe\\u200b"'),
    "a raw zero-width space": call('"name":"safe\u200b"'),
    "full-width letters": call('"name":"\uff53\uff41\uff46\uff45"'),
    "a long s": call('"name":"\u017fafe"'),
    "a Cyrillic letter": call('"name":"s\u0430fe"'),
    "a prefix": call('"name":"saf"'),
    "a longer name": call('"name":"safer"'),
    "an empty name": call('"name":""'),
    "another case of the unlisted one": call('"name":"Evil"'),
    "the unlisted one with a space": call('"name":"evil "'),
    "257 bytes": call(`"name":"${repeat("n", 257)}"`),
    "900 KB": call(`"name":"${repeat("n", 900_000)}"`),
  }),

  ...refuseEach(42, "task_denied", {
    "a task for a listed tool": call('"name":"safe","task":{"ttl":60000}'),
    "a null task": call('"name":"safe","task":null'),
    "a task for a list request": message('"id":1,"method":"tools/list","params":{"task":{}}'),
    "tasks/get": message('"id":1,"method":"tasks/get","params":{"taskId":"t"}'),
    "tasks/result": message('"id":1,"method":"tasks/result","params":{"taskId":"t"}'),
    "tasks/list": message('"id":1,"method":"tasks/list"'),
    "tasks/update": message('"id":1,"method":"tasks/update","params":{"taskId":"t","inputResponses":{}}'),
    "tasks/cancel": message('"id":1,"method":"tasks/cancel","params":{"taskId":"t"}'),
    "task ids in a filter": message(
      '"id":1,"method":"subscriptions/listen","params":{"notifications":{"taskIds":["t"]}}',
    ),
  }),
  refuseNotification(
    42,
    "a status of a task",
    message('"method":"notifications/tasks/status","params":{"taskId":"t","status":"working"}'),
    "task_denied",
  ),
  ...refuseEach(42, "method_not_listed", {
    "an unknown method": message('"id":1,"method":"vendor/x"'),
    "a future method": message('"id":1,"method":"skills/get","params":{"uri":"skill://x"}'),
    "a server's method": message('"id":1,"method":"sampling/createMessage","params":{}'),
  }),
  refuseNotification(42, "an unknown notification", message('"method":"notifications/x"'), "method_not_listed"),
  ...refuseEach(42, "prompt_not_listed", {
    "a prompt": message('"id":1,"method":"prompts/get","params":{"name":"safe"}'),
    "a completion for a prompt": message(
      '"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"safe"},"argument":{"name":"a","value":"b"}}',
    ),
  }),
  ...refuseEach(42, "resource_not_listed", {
    "resources/read": message('"id":1,"method":"resources/read","params":{"uri":"file:///docs/a"}'),
    "resources/subscribe": message('"id":1,"method":"resources/subscribe","params":{"uri":"file:///docs/a"}'),
    "resources/unsubscribe": message('"id":1,"method":"resources/unsubscribe","params":{"uri":"file:///docs/a"}'),
    "a completion for a resource": message(
      '"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"file:///{x}"},"argument":{"name":"a","value":"b"}}',
    ),
    "URIs in a filter": message(
      '"id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["file:///x"]}}',
    ),
  }),
  refuse(
    42,
    "a URI without a list in a filter",
    message('"id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":"file:///x"}}'),
    "params_invalid",
  ),
  refuse(
    42,
    "a task id without a list in a filter",
    message('"id":1,"method":"subscriptions/listen","params":{"notifications":{"taskIds":"t"}}'),
    ["task_denied", "params_invalid"],
  ),
  refuse(
    42,
    "a completion of an unknown kind",
    message('"id":1,"method":"completion/complete","params":{"ref":{"type":"ref/x","name":"safe"}}'),
    "params_invalid",
  ),
  refuse(
    42,
    "a filter that is a list",
    message('"id":1,"method":"subscriptions/listen","params":{"notifications":["file:///x"]}'),
    "params_invalid",
  ),
  refuse(
    42,
    "a completion without a ref",
    message('"id":1,"method":"completion/complete","params":{}'),
    "params_invalid",
  ),
  ...passEach(
    42,
    {
      "a task for a listed tool, tasks allowed": call('"name":"safe","task":{"ttl":60000}'),
      "tasks/get, tasks allowed": message('"id":1,"method":"tasks/get","params":{"taskId":"t"}'),
      "tasks/result, tasks allowed": message('"id":1,"method":"tasks/result","params":{"taskId":"t"}'),
      "tasks/update, tasks allowed": message(
        '"id":1,"method":"tasks/update","params":{"taskId":"t","inputResponses":{}}',
      ),
      "tasks/cancel, tasks allowed": message('"id":1,"method":"tasks/cancel","params":{"taskId":"t"}'),
      "tasks/list, tasks allowed": message('"id":1,"method":"tasks/list"'),
      "a status of a task, tasks allowed": message('"method":"notifications/tasks/status","params":{"taskId":"t"}'),
      "task ids in a filter, tasks allowed": message(
        '"id":1,"method":"subscriptions/listen","params":{"notifications":{"taskIds":["t","u"]}}',
      ),
    },
    TASKS_ALLOWED,
  ),
  ...refuseEach(
    42,
    "params_invalid",
    {
      "tasks/get without a task, tasks allowed": message('"id":1,"method":"tasks/get","params":{}'),
      "tasks/result of a number, tasks allowed": message('"id":1,"method":"tasks/result","params":{"taskId":1}'),
      "task ids that are no strings, tasks allowed": message(
        '"id":1,"method":"subscriptions/listen","params":{"notifications":{"taskIds":["t",1]}}',
      ),
      "a task id without a list, tasks allowed": message(
        '"id":1,"method":"subscriptions/listen","params":{"notifications":{"taskIds":"t"}}',
      ),
    },
    TASKS_ALLOWED,
  ),
  ...refuseEach(
    42,
    "tool_not_listed",
    { "a task for an unlisted tool, tasks allowed": call('"name":"evil","task":{}') },
    TASKS_ALLOWED,
  ),
  ...refuseEach(
    42,
    "method_not_listed",
    { "an unknown method about tasks, tasks allowed": message('"id":1,"method":"tasks/x","params":{"taskId":"t"}') },
    TASKS_ALLOWED,
  ),
  pass(
    42,
    "a filter without URIs and task ids",
    message(
      '"id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":[],"taskIds":[]}}',
    ),
  ),
];

// --- Resources ---

/** A call with `count` containers inside the arguments, which are themselves the third. */
const deep = (open: string, close: string, count: number): Uint8Array =>
  safeCall('"x":', repeat(open, count), "0", repeat(close, count));
const deepUnclosed = (open: string, count: number): Uint8Array => bytes(CALL_HEAD.slice(0, -1), repeat(open, count));

const numbered = (count: number): string => Array.from({ length: count }, (_, index) => `"k${index}":0`).join(",");

/** Names that collide under the polynomial hash with factor 31: "Aa" and "BB" have one value, and so has each row of them. */
const colliding = (count: number): string =>
  Array.from({ length: count }, (_, index) => {
    const choices = [...index.toString(2).padStart(16, "0")].map((bit) => (bit === "0" ? "Aa" : "BB"));
    return `"${choices.join("")}":0`;
  }).join(",");

const RESOURCES: readonly ThreatVector[] = [
  ...[62, 65, 1000, 100_000].flatMap((count) => [
    refuse(43, `${count} arrays in the arguments`, deep("[", "]", count), "json_depth"),
    refuse(43, `${count} objects in the arguments`, deep('{"a":', "}", count), "json_depth"),
    refuse(43, `${count} arrays in the arguments, unclosed`, deepUnclosed("[", count), "json_depth"),
    refuse(43, `${count} objects in the arguments, unclosed`, deepUnclosed('{"a":', count), "json_depth"),
  ]),
  refuse(43, "100,000 objects from the root", bytes(repeat('{"a":', 100_000)), "json_depth"),
  pass(43, "a depth of 64 with arrays", deep("[", "]", 61)),
  pass(43, "a depth of 64 with objects", deep('{"a":', "}", 61)),
  pass(43, "60 arrays beside each other", safeCall('"x":[', repeat("[],", 59), "[]]")),

  refuse(44, "a name of 4 MB", safeCall(`"${repeat("k", 4_000_000)}":0`), ["body_too_large", "json_key_bytes"]),
  refuse(44, "a string of 4 MB", safeCall(`"x":"${repeat("x", 4_000_000)}"`), "body_too_large"),
  refuse(44, "200,000 members", safeCall(numbered(200_000)), ["body_too_large", "json_members"]),
  refuse(44, "50,000 colliding members", safeCall(colliding(50_000)), ["body_too_large", "json_members"]),
  refuse(44, "20,000 colliding members", safeCall(colliding(20_000)), "json_members"),
  refuse(44, "a name of 900 KB", safeCall(`"${repeat("k", 900_000)}":0`), "json_key_bytes"),
  refuse(44, "a name of 257 bytes", safeCall(`"${repeat("k", 257)}":0`), "json_key_bytes"),
  refuse(44, "a name of 257 bytes in the envelope", message(`"${repeat("k", 257)}":0`), "json_key_bytes"),
  refuse(44, "1,025 members", safeCall(numbered(1025)), "json_members"),
  refuse(44, "1,025 members in an inner object", safeCall('"x":[{', numbered(1025), "}]"), "json_members"),
  refuse(
    44,
    "5,000 members open at once",
    safeCall(repeat(`${numbered(1000)},"x":{`, 5), repeat("}", 5)),
    "json_open_members",
  ),
  pass(44, "a string of 900 KB", safeCall(`"x":"${repeat("x", 900_000)}"`)),
  pass(44, "a string of 900 KB of escapes", safeCall(`"x":"${repeat("\\u00e9", 150_000)}"`)),
  pass(44, "a number of 5,000 digits", safeCall(`"x":1${repeat("0", 4999)}`)),
  pass(44, "1,000 members", safeCall(numbered(1000))),
  pass(
    44,
    "1,000 members in each of 60 objects",
    safeCall(
      '"x":[',
      Array(60)
        .fill(`{${numbered(1000)}}`)
        .join(","),
      "]",
    ),
  ),
  pass(44, "1,000 colliding members", safeCall(colliding(1000))),
  pass(44, "a name of 256 bytes", safeCall(`"${repeat("k", 256)}":0`)),

  ...passEach(46, {
    "a number beyond a double": safeCall('"x":[1e400,-1e400,1e-400]'),
    "a number beyond 2^53": safeCall('"x":123456789012345678901234567890'),
    "an emoji": safeCall('"x":"\u{1f600}\u{1f468}\u200d\u{1f469}"'),
    "an escaped slash": safeCall('"x":"a\\/b"'),
    "an escaped letter": safeCall('"\\u0041":"\\u0041"'),
    "bidirectional marks and separators": safeCall('"x":"\u202e\u2028\u2029\u0085"'),
    "the text of a message": safeCall(`"x":${JSON.stringify(EVIL_TEXT)}`),
    "an empty name": safeCall('"":0'),
    "members of the envelope": safeCall(
      '"jsonrpc":"1.0","id":null,"method":"tools/call","params":[],"task":{},"uri":"../"',
    ),
    "a retry with an answer": call('"name":"safe","arguments":{},"inputResponses":{"a":{}},"requestState":"s"'),
    "an unknown member of params": call('"name":"safe","x-vendor":1'),
  }),
];

export const THREAT_VECTORS: readonly ThreatVector[] = [
  ...NAMES,
  ...HEADERS,
  ...NOT_JSON,
  ...TRANSPORT,
  ...LENIENT,
  ...MESSAGE,
  ...RESOURCES,
  ...URI_THREATS,
  ...HEADER_THREATS,
];
