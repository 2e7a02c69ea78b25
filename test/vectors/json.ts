// What the strict reader accepts and what it refuses, class by class, each refusal with its error and the offset of the
// byte at which nothing could follow any more. The table needs no file besides this one.

import type { JsonErrorName, StrictLimits } from "../oracle/strict-json.ts";
import { bytes } from "./bytes.ts";

export interface JsonVector {
  readonly name: string;
  readonly text: Uint8Array;
  /** Caps other than the defaults. */
  readonly limits?: Partial<StrictLimits>;
  /** Absent: accepted. */
  readonly error?: JsonErrorName;
  /** Present with `error`. */
  readonly offset?: number;
}

type Part = string | readonly number[];

const accepted = (name: string, ...parts: readonly Part[]): JsonVector => ({ name, text: bytes(...parts) });

/** A refused text, cut in two at the byte that refuses it, so that the offset need not be counted. */
const refused = (error: JsonErrorName, name: string, before: readonly Part[], after: readonly Part[]): JsonVector => ({
  name,
  text: bytes(...before, ...after),
  error,
  offset: bytes(...before).length,
});

/** A refused text that is wrong at the part in the middle. */
const wrong = (error: JsonErrorName, name: string, before: string, at: Part, after = ""): JsonVector =>
  refused(error, name, [before], [at, after]);

const repeat = (text: string, times: number): string => text.repeat(times);
const members = (count: number, prefix = "k"): string =>
  Array.from({ length: count }, (_, index) => `"${prefix}${index}":0`).join(",");
/** Arrays, one in the other, `depth` of them. */
const nested = (depth: number): string => repeat("[", depth) + repeat("]", depth);

const GRAMMAR: readonly JsonVector[] = [
  accepted("an empty object", "{}"),
  accepted("white space everywhere it may stand", ' \t\n\r{ "a" \t:\n[ 1 ,\r{ } , [ ] ] ,"b":\tnull } \t\n\r'),
  accepted("every kind of value", '{"o":{},"a":[],"s":"","n":0,"t":true,"f":false,"z":null}'),
  accepted("names that an object of JavaScript has", '{"__proto__":1,"constructor":2,"toString":3,"":4}'),
  accepted("one name in two objects", '{"a":{"a":1},"b":{"a":2},"c":[{"a":3},{"a":4}]}'),
  accepted("names that differ only by case, NUL or space", '{"a":1,"A":2,"a\\u0000":3," a":4,"a ":5}'),
  wrong("json_syntax", "a comma before the first member", "{", ",", '"a":1}'),
  wrong("json_syntax", "a comma after the last member", '{"a":1,', "}"),
  wrong("json_syntax", "a comma after the last element", '{"a":[1,', "]", "}"),
  wrong("json_syntax", "two commas", '{"a":[1,', ",", "2]}"),
  wrong("json_syntax", "no comma between members", '{"a":1 ', '"', 'b":2}'),
  wrong("json_syntax", "no comma between elements", '{"a":[1 ', "2", "]}"),
  wrong("json_syntax", "no colon", '{"a" ', "1", "}"),
  wrong("json_syntax", "a comma for a colon", '{"a"', ",", "1}"),
  wrong("json_syntax", "an equals sign for a colon", '{"a"', "=", "1}"),
  wrong("json_syntax", "two colons", '{"a":', ":", "1}"),
  wrong("json_syntax", "no value", '{"a":', "}"),
  wrong("json_syntax", "an unquoted name", "{", "a", ":1}"),
  wrong("json_syntax", "a number as name", "{", "1", ":1}"),
  wrong("json_syntax", "null as name", "{", "n", "ull:1}"),
  wrong("json_syntax", "a name in single quotes", "{", "'", "a':1}"),
  wrong("json_syntax", "a value in single quotes", '{"a":', "'", "b'}"),
  wrong("json_syntax", "a semicolon between members", '{"a":1', ";", '"b":2}'),
  wrong("json_syntax", "an object closed as an array", '{"a":1', "]"),
  wrong("json_syntax", "an array closed as an object", '{"a":[1', "}", "}"),
  wrong("json_syntax", "a comment before a member", "{", "/", '* */"a":1}'),
  wrong("json_syntax", "a comment after a value", '{"a":1', "/", "/\n}"),
  wrong("json_syntax", "a hash comment", '{"a":1', "#", "\n}"),
  wrong("json_syntax", "a guard prefix", "", ")", "]}',\n{}"),
  wrong("json_syntax", "a closing brace alone", "", "}"),
  wrong("json_syntax", "a closing bracket alone", "", "]"),
  wrong("json_syntax", "a comma alone", "", ","),
  wrong("json_syntax", "an unknown word as root", "", "u", "ndefined"),
];

const WORDS: readonly JsonVector[] = [
  wrong("json_syntax", "a capital True", '{"a":', "T", "rue}"),
  wrong("json_syntax", "true cut by a bracket", '{"a":[tru', "]", "}"),
  wrong("json_syntax", "true with a capital inside", '{"a":t', "R", "ue}"),
  wrong("json_syntax", "more letters after true", '{"a":true', "e", "}"),
  wrong("json_syntax", "false misspelled", '{"a":fal', "e", "}"),
  wrong("json_syntax", "null misspelled", '{"a":nul', "e", "}"),
  wrong("json_syntax", "nil", '{"a":n', "i", "l}"),
  wrong("json_syntax", "NaN", '{"a":', "N", "aN}"),
  wrong("json_syntax", "nan", '{"a":n', "a", "n}"),
  wrong("json_syntax", "Infinity", '{"a":', "I", "nfinity}"),
  wrong("json_syntax", "-Infinity", '{"a":-', "I", "nfinity}"),
];

const NUMBERS: readonly JsonVector[] = [
  accepted("zeros", '{"a":[0,-0,0.0,-0.0,0e0,0E+0,0e-0,-0.00e000]}'),
  accepted("integers", '{"a":[1,-1,10,1234567890,9007199254740993,-9223372036854775808]}'),
  accepted("fractions and exponents", '{"a":[0.5,1.50,1e1,1E1,1e+01,1e-1,1.5e10,123.456E-789]}'),
  accepted("more than a double holds", '{"a":[1e400,-1e400,1e-400,1E9999999999]}'),
  accepted("a number of 5,000 digits", `{"a":1${repeat("0", 4999)}}`),
  accepted("a number before each thing that may end it", '{"a":1,"b":2 ,"c":[3,4 ],"d":5\n}'),
  wrong("json_syntax", "a leading zero", '{"a":0', "1", "}"),
  wrong("json_syntax", "a negative leading zero", '{"a":-0', "1", "}"),
  wrong("json_syntax", "two zeros", '{"a":0', "0", "}"),
  wrong("json_syntax", "a leading plus", '{"a":', "+", "1}"),
  wrong("json_syntax", "a leading point", '{"a":', ".", "5}"),
  wrong("json_syntax", "a minus before a point", '{"a":-', ".", "5}"),
  wrong("json_syntax", "a trailing point", '{"a":1.', "}"),
  wrong("json_syntax", "a point before an exponent", '{"a":1.', "e", "1}"),
  wrong("json_syntax", "two points", '{"a":1.2', ".", "3}"),
  wrong("json_syntax", "a minus alone", '{"a":-', "}"),
  wrong("json_syntax", "two minuses", '{"a":-', "-", "1}"),
  wrong("json_syntax", "a minus and a space", '{"a":-', " ", "1}"),
  wrong("json_syntax", "an exponent without digits", '{"a":1e', "}"),
  wrong("json_syntax", "an exponent with a sign only", '{"a":1E+', "}"),
  wrong("json_syntax", "an exponent with two signs", '{"a":1e+', "-", "1}"),
  wrong("json_syntax", "an exponent with a fraction", '{"a":1e1', ".", "5}"),
  wrong("json_syntax", "two exponents", '{"a":1e1', "e", "1}"),
  wrong("json_syntax", "a hexadecimal number", '{"a":0', "x", "10}"),
  wrong("json_syntax", "an octal number", '{"a":0', "o", "7}"),
  wrong("json_syntax", "digits in groups", '{"a":1', "_", "000}"),
  wrong("json_syntax", "a suffix", '{"a":1', "n", "}"),
  wrong("json_syntax", "a full-width digit", '{"a":', [0xef, 0xbc, 0x91], "}"),
];

const STRINGS: readonly JsonVector[] = [
  accepted("the nine escapes", '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041"}'),
  accepted("NUL and controls as escapes", '{"a":"\\u0000\\u001f\\u007F","\\u0000":0}'),
  accepted("DEL and the C1 controls raw", '{"a":"\u007f\u0080\u009f"}'),
  accepted("line separators raw", '{"a":"\u2028\u2029"}'),
  accepted("hexadecimal digits of both cases", '{"a":"\\uabcd\\uABCD\\uaBcD"}'),
  accepted("an escaped mark inside a string", '{"a":"\\ufeff"}'),
  accepted("a raw mark inside a string", '{"a":"\ufeff"}'),
  accepted("escapes in a name", '{"\\u006e\\u0061me":1}'),
  accepted("a quote after escaped backslashes", '{"a":"\\\\","b":"\\\\\\""}'),
  wrong("json_syntax", "a raw tab", '{"a":"', "\t", '"}'),
  wrong("json_syntax", "a raw line feed", '{"a":"x', "\n", 'y"}'),
  wrong("json_syntax", "a raw carriage return", '{"a":"', "\r", '"}'),
  wrong("json_syntax", "a raw NUL", '{"a":"', "\0", '"}'),
  wrong("json_syntax", "a raw unit separator", '{"a":"', "\u001f", '"}'),
  wrong("json_syntax", "a raw NUL in a name", '{"a', "\0", '":1}'),
  wrong("json_syntax", "the escape \\x", '{"a":"\\', "x", '41"}'),
  wrong("json_syntax", "the escape \\'", '{"a":"\\', "'", '"}'),
  wrong("json_syntax", "the escape \\0", '{"a":"\\', "0", '"}'),
  wrong("json_syntax", "the escape \\a", '{"a":"\\', "a", '"}'),
  wrong("json_syntax", "the escape \\v", '{"a":"\\', "v", '"}'),
  wrong("json_syntax", "the escape \\U", '{"a":"\\', "U", '0041"}'),
  wrong("json_syntax", "the escape \\B", '{"a":"\\', "B", '"}'),
  wrong("json_syntax", "an escaped line feed", '{"a":"\\', "\n", '"}'),
  wrong("json_syntax", "an escaped emoji", '{"a":"\\', "\u{1f600}", '"}'),
  wrong("json_syntax", "braces in an escape", '{"a":"\\u', "{", '41}"}'),
  wrong("json_syntax", "an escape of three digits", '{"a":"\\u00e', '"', "}"),
  wrong("json_syntax", "an escape of no digits", '{"a":"\\u', '"', "}"),
  wrong("json_syntax", "a letter beyond f", '{"a":"\\u00', "g", '0"}'),
  wrong("json_syntax", "a sign in an escape", '{"a":"\\u', "+", '041"}'),
  wrong("json_syntax", "a space in an escape", '{"a":"\\u0', " ", '41"}'),
];

const SURROGATES: readonly JsonVector[] = [
  accepted("a pair", '{"a":"\\ud83d\\ude00"}'),
  accepted("the first and the last pair", '{"a":"\\uD800\\uDC00\\uDBFF\\uDFFF"}'),
  accepted("the neighbours of the surrogates", '{"a":"\\ud7ff\\ue000"}'),
  accepted("noncharacters", '{"a":"\\ufffe\\uffff\\ud83f\\udffe"}'),
  accepted("a pair in a name", '{"\\ud83d\\ude00":1}'),
  wrong("json_surrogate", "a high one before the end of the string", '{"a":"\\ud800', '"', "}"),
  wrong("json_surrogate", "a high one before a letter", '{"a":"\\ud800', "x", '"}'),
  wrong("json_surrogate", "a high one before a raw character", '{"a":"\\ud800', "\u00e9", '"}'),
  wrong("json_surrogate", "a high one before a control character", '{"a":"\\ud800', "\t", '"}'),
  wrong("json_surrogate", "a high one before another escape", '{"a":"\\ud800\\', "n", '"}'),
  wrong("json_surrogate", "a high one before an escape of a letter", '{"a":"\\ud800\\u', "0", '041"}'),
  wrong("json_surrogate", "a high one before a high one", '{"a":"\\ud800\\ud', "8", '00"}'),
  wrong("json_surrogate", "a high one before U+D7FF", '{"a":"\\udbff\\ud', "7", 'ff"}'),
  wrong("json_surrogate", "a high one before U+E000", '{"a":"\\udbff\\u', "e", '000"}'),
  wrong("json_surrogate", "a low one alone", '{"a":"\\ud', "c", '00"}'),
  wrong("json_surrogate", "a low one in capitals", '{"a":"\\uD', "F", 'FF"}'),
  wrong("json_surrogate", "a pair the wrong way round", '{"a":"\\ud', "c", '00\\ud800"}'),
  wrong("json_surrogate", "a low one after a pair", '{"a":"\\ud800\\udc00\\ud', "c", '00"}'),
  wrong("json_surrogate", "a high one in a name", '{"\\ud800', '"', ":1}"),
  wrong("json_syntax", "no digit where the low one must be", '{"a":"\\ud800\\u', "z", '"}'),
  wrong("json_syntax", "no second digit of the low one", '{"a":"\\ud800\\ud', '"', "}"),
  wrong("json_syntax", "no last digit of the low one", '{"a":"\\ud800\\udc0', '"', "}"),
];

const UTF8: readonly JsonVector[] = [
  accepted("the first and the last of each length", '{"a":"\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}"}'),
  accepted("the neighbours of the surrogates", '{"a":"\ud7ff\ue000"}'),
  accepted("names of each length", '{"\u00e9":1,"\u20ac":2,"\u{1f600}":3}'),
  wrong("json_utf8", "a byte FF", '{"a":"', [0xff], '"}'),
  wrong("json_utf8", "a byte FE", '{"a":"', [0xfe], '"}'),
  wrong("json_utf8", "a byte F5", '{"a":"', [0xf5], '\u0080"}'),
  wrong("json_utf8", "a byte F8", '{"a":"', [0xf8, 0x88, 0x80, 0x80, 0x80], '"}'),
  wrong("json_utf8", "a continuation byte alone", '{"a":"', [0x80], '"}'),
  wrong("json_utf8", "a continuation byte too many", '{"a":"\u00e9', [0x80], '"}'),
  wrong("json_utf8", "an overlong slash", '{"a":"', [0xc0, 0xaf], '"}'),
  wrong("json_utf8", "an overlong letter", '{"a":"', [0xc1, 0xa5], '"}'),
  wrong("json_utf8", "an overlong NUL", '{"a":"', [0xc0, 0x80], '"}'),
  refused("json_utf8", "an overlong sequence of three bytes", ['{"a":"', [0xe0]], [[0x9f, 0xbf], '"}']),
  refused("json_utf8", "an overlong sequence of four bytes", ['{"a":"', [0xf0]], [[0x8f, 0xbf, 0xbf], '"}']),
  refused("json_utf8", "a surrogate in three bytes", ['{"a":"', [0xed]], [[0xa0, 0x80], '"}']),
  refused("json_utf8", "a surrogate pair in six bytes", ['{"a":"', [0xed]], [[0xa0, 0xbd, 0xed, 0xb8, 0x80], '"}']),
  refused("json_utf8", "above U+10FFFF", ['{"a":"', [0xf4]], [[0x90, 0x80, 0x80], '"}']),
  refused("json_utf8", "two bytes cut by the quote", ['{"a":"', [0xc3]], ['"}']),
  refused("json_utf8", "three bytes cut by the quote", ['{"a":"', [0xe2, 0x82]], ['"}']),
  refused("json_utf8", "four bytes cut by the quote", ['{"a":"', [0xf0, 0x9f, 0x98]], ['"}']),
  refused("json_utf8", "a cut sequence before a letter", ['{"a":"', [0xe2]], ['a"}']),
  refused("json_utf8", "a cut sequence before a control character", ['{"a":"', [0xe2]], ['\n"}']),
  refused("json_utf8", "a cut sequence before an escape", ['{"a":"', [0xe2, 0x82]], ['\\u00ac"}']),
  refused("json_utf8", "a cut sequence before a new one", ['{"a":"', [0xe2]], [[0xe2, 0x82, 0xac], '"}']),
  wrong("json_utf8", "an overlong letter in a name", '{"n', [0xc1, 0xa1], 'me":1}'),
  refused("json_utf8", "a cut sequence in a name", ['{"a', [0xc3]], ['":1}']),
  wrong("json_syntax", "an ill-formed byte after a backslash", '{"a":"\\', [0xff], '"}'),
  wrong("json_syntax", "an ill-formed byte in an escape", '{"a":"\\u00', [0xff], '"}'),
  wrong("json_syntax", "an ill-formed byte in a number", '{"a":1', [0x80], "}"),
  wrong("json_syntax", "an ill-formed byte in a word", '{"a":tr', [0xff], "e}"),
  wrong("json_syntax", "an ill-formed byte between tokens", "{", [0xff], "}"),
  wrong("json_syntax", "a well-formed character between tokens", "{", "\u00e9", "}"),
];

const WHITE_SPACE: readonly JsonVector[] = [
  ["a vertical tab", "\v"],
  ["a form feed", "\f"],
  ["a NUL", "\0"],
  ["a record separator", "\u001e"],
  ["a backspace", "\b"],
  ["a DEL", "\u007f"],
  ["a no-break space", "\u00a0"],
  ["a next line", "\u0085"],
  ["a line separator", "\u2028"],
  ["a word joiner", "\u2060"],
  ["an ideographic space", "\u3000"],
  ["a mark", "\ufeff"],
].flatMap(([name, space]) => [
  wrong("json_syntax", `${name} after the opening brace`, "{", space!, "}"),
  wrong("json_syntax", `${name} before the colon`, '{"a"', space!, ":1}"),
  wrong("json_syntax", `${name} after a value`, '{"a":1', space!, "}"),
  wrong("json_trailing_data", `${name} after the root`, "{}", space!),
]);

const ROOT: readonly JsonVector[] = [
  wrong("batch", "an array as root", "", "[", "{}]"),
  wrong("batch", "an empty array as root", "", "[", "]"),
  wrong("batch", "an array of arrays as root", " \n", "[", "[]]"),
  wrong("json_root", "a string as root", "", '"', 'a"'),
  wrong("json_root", "a number as root", " ", "1"),
  wrong("json_root", "a negative number as root", "", "-", "1"),
  wrong("json_root", "true as root", "", "t", "rue"),
  wrong("json_root", "false as root", "\t", "f", "alse"),
  wrong("json_root", "null as root", "", "n", "ull"),
  wrong("json_bom", "a mark before the root", "", "\ufeff", "{}"),
  wrong("json_bom", "two marks", "", "\ufeff\ufeff", "{}"),
  wrong("json_bom", "a mark and nothing else", "", "\ufeff"),
  wrong("json_bom", "a mark after white space", " ", "\ufeff", "{}"),
  wrong("json_bom", "UTF-16, little end first, with a mark", "", [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
  wrong("json_bom", "UTF-16, big end first, with a mark", "", [0xfe, 0xff, 0x00, 0x7b, 0x00, 0x7d]),
  refused("json_syntax", "UTF-16, little end first", ["{"], [[0x00, 0x7d, 0x00]]),
  wrong("json_syntax", "UTF-16, big end first", "", [0x00, 0x7b, 0x00, 0x7d]),
  refused("json_syntax", "UTF-32, little end first", ["{"], [[0, 0, 0, 0x7d, 0, 0, 0]]),
  wrong("json_syntax", "UTF-32, big end first", "", [0, 0, 0, 0x7b, 0, 0, 0, 0x7d]),
];

const TRAILING: readonly JsonVector[] = [
  accepted("white space after the root", "{} \t\r\n"),
  wrong("json_trailing_data", "a second closing brace", "{}", "}"),
  wrong("json_trailing_data", "a comma", "{}", ","),
  wrong("json_trailing_data", "letters", "{}", "xyz"),
  wrong("json_trailing_data", "a second object", '{"a":1}\n', "{", "}"),
  wrong("json_trailing_data", "an array", "{} ", "[", "]"),
  wrong("json_trailing_data", "a comment", "{}", "/", "/x"),
  wrong("json_trailing_data", "a quote", "{}", '"'),
];

const INCOMPLETE: readonly JsonVector[] = [
  ["nothing at all", ""],
  ["white space only", " \t\r\n"],
  ["an opening brace", "{"],
  ["an object in which a name may come", '{"a":1,'],
  ["half a name", '{"a'],
  ["a name without a colon", '{"a"'],
  ["a colon without a value", '{"a":'],
  ["an open array", '{"a":['],
  ["an open array after a comma", '{"a":[1,'],
  ["half a word", '{"a":tru'],
  ["a whole word", '{"a":true'],
  ["a minus", '{"a":-'],
  ["a zero", '{"a":0'],
  ["a point", '{"a":1.'],
  ["an exponent", '{"a":1e'],
  ["a signed exponent", '{"a":1e+'],
  ["half a string", '{"a":"b'],
  ["a backslash", '{"a":"\\'],
  ["half an escape", '{"a":"\\u00'],
  ["half a pair", '{"a":"\\ud800'],
  ["half a pair and a backslash", '{"a":"\\ud800\\'],
  ["half a pair and one digit", '{"a":"\\ud800\\ud'],
  ["all but the last brace", '{"a":{"b":[]}'],
].map(([name, text]) => refused("json_incomplete", name!, [text!], []));

const CUT_UTF8: readonly JsonVector[] = [
  refused("json_incomplete", "one byte of two", ['{"a":"', [0xc3]], []),
  refused("json_incomplete", "two bytes of three", ['{"a":"', [0xe2, 0x82]], []),
  refused("json_incomplete", "three bytes of four", ['{"a":"', [0xf0, 0x9f, 0x98]], []),
];

/** A text that repeats a member, cut at the quote that ends the second name. */
const duplicate = (name: string, before: string, after: string): JsonVector =>
  wrong("json_duplicate_member", name, before, '"', after);

const DUPLICATES: readonly JsonVector[] = [
  duplicate("a name twice", '{"a":1,"a', ":2}"),
  duplicate("a name twice with one value", '{"a":1,"a', ":1}"),
  duplicate("a name twice with others between", '{"a":1,"b":2,"c":3,"a', ":4}"),
  duplicate("an empty name twice", '{"":1,"', ":2}"),
  duplicate("a name and its escaped spelling", '{"name":1,"n\\u0061me', ":2}"),
  duplicate("an escaped spelling and the name", '{"\\u006eame":1,"name', ":2}"),
  duplicate("two escaped spellings", '{"\\u006eame":1,"n\\u0061me', ":2}"),
  duplicate("a slash and an escaped slash", '{"a/b":1,"a\\/b', ":2}"),
  duplicate("a raw and an escaped emoji", '{"\u{1f600}":1,"\\ud83d\\ude00', ":2}"),
  duplicate("a raw and an escaped accent", '{"\u00e9":1,"\\u00E9', ":2}"),
  duplicate("a name of NUL twice", '{"\\u0000":1,"\\u0000', ":2}"),
  duplicate("__proto__ twice", '{"__proto__":1,"__proto__', ":2}"),
  duplicate("a name twice in an inner object", '{"a":{"b":1,"b', ":2}}"),
  duplicate("a name twice around an inner object with it", '{"a":{"a":1},"a', ":2}"),
  duplicate("a name twice inside arrays", '{"a":[[{"b":1,"b', ":2}]]}"),
  duplicate("a name twice after many others", `{${members(1000)},"k500`, ":1}"),
  duplicate("a name of 256 bytes twice", `{"${repeat("k", 256)}":1,"${repeat("k", 256)}`, ":1}"),
  accepted("256 bytes that differ in the last", `{"${repeat("k", 255)}a":1,"${repeat("k", 255)}b":1}`),
  accepted("composed and decomposed accents", '{"\u00e9":1,"e\u0301":2}'),
];

const CAPS: readonly JsonVector[] = [
  accepted("a depth of 64", `{"a":${nested(63)}}`),
  wrong("json_depth", "a depth of 65 with arrays", `{"a":${repeat("[", 63)}`, "[", `${repeat("]", 64)}}`),
  wrong("json_depth", "a depth of 65 with objects", repeat('{"a":', 64), "{", repeat("}", 65)),
  wrong("json_depth", "a depth of 65 that is never closed", `{"a":${repeat("[", 63)}`, "["),
  wrong("json_depth", "100,000 open arrays", `{"a":${repeat("[", 63)}`, "[", repeat("[", 99_936)),
  wrong("json_depth", "100,000 open objects", repeat('{"a":', 64), "{", repeat('"a":{', 99_935)),
  accepted("many containers beside each other", `{"a":[${repeat("[],", 1000)}{}]}`),
  accepted("1,024 members", `{${members(1024)}}`),
  wrong("json_members", "1,025 members", `{${members(1024)},"x`, '"', ":0}"),
  accepted("1,024 members twice", `{"a":{${members(1024)}},"b":{${members(1024)}}}`),
  wrong("json_members", "1,025 members in an array", `{"a":[{${members(1024)},"x`, '"', ":0}]}"),
  wrong("json_members", "1,025 members, the last a duplicate", `{${members(1024)},"k0`, '"', ":0}"),
  wrong("json_syntax", "a comma after 1,024 members", `{${members(1024)},`, "}"),
  accepted("4,096 members open at once", `${repeat(`{${members(1023)},"x":`, 4)}{}}}}}`),
  wrong(
    "json_open_members",
    "4,097 members, by a new object",
    `${repeat(`{${members(1023)},"x":`, 4)}{"a`,
    '"',
    ":1}}}}}",
  ),
  {
    ...wrong("json_open_members", "one open member too many", '{"a":{"b":1,"c":2,"d', '"', ":3}}"),
    limits: { openMembers: 3 },
  },
  {
    ...wrong("json_members", "no third member and none open", '{"a":1,"b":2,"c', '"', ":3}"),
    limits: { membersPerObject: 2, openMembers: 2 },
  },
  { ...accepted("closed members do not count", '{"a":{"b":1,"c":2},"d":{"e":3}}'), limits: { openMembers: 3 } },
  { ...wrong("json_members", "no third member", '{"a":1,"b":2,"c', '"', ":3}"), limits: { membersPerObject: 2 } },
  { ...wrong("json_depth", "no second container", '{"a":', "[", "]}"), limits: { depth: 1 } },
  accepted("a name of 256 bytes", `{"${repeat("k", 256)}":1}`),
  accepted("256 bytes of two-byte characters", `{"${repeat("\u00e9", 128)}":1}`),
  accepted("a name of 256 escapes", `{"${repeat("\\u0061", 256)}":1}`),
  accepted("a value of 257 bytes", `{"a":"${repeat("v", 257)}"}`),
  wrong("json_key_bytes", "a name of 257 bytes", `{"${repeat("k", 256)}`, "k", '":1}'),
  wrong("json_key_bytes", "a name of 257 escapes", `{"${repeat("\\u0061", 256)}\\u006`, "1", '":1}'),
  wrong("json_key_bytes", "a short escape too many", `{"${repeat("k", 256)}\\`, "n", '":1}'),
  refused("json_key_bytes", "half a character too many", [`{"${repeat("k", 255)}`, [0xc3]], [[0xa9], '":1}']),
  wrong("json_key_bytes", "an escape of three bytes too many", `{"${repeat("k", 254)}\\u20a`, "c", '":1}'),
  wrong("json_key_bytes", "a pair too many", `{"${repeat("k", 253)}\\ud83d\\ude0`, "0", '":1}'),
  wrong("json_key_bytes", "a name without an end", `{"${repeat("k", 256)}`, "k", repeat("k", 10_000)),
  { ...wrong("json_key_bytes", "a name over a small cap", '{"abc', "d", '":1}'), limits: { keyBytes: 3 } },
];

const LARGE: readonly JsonVector[] = [
  accepted("a string of 900 KB", `{"a":"${repeat("x", 900_000)}"}`),
  accepted("a string of 900 KB of escapes", `{"a":"${repeat("\\u00e9", 150_000)}"}`),
];

/** The table by class. */
export const JSON_VECTORS: Readonly<Record<string, readonly JsonVector[]>> = {
  grammar: GRAMMAR,
  words: WORDS,
  numbers: NUMBERS,
  strings: STRINGS,
  surrogates: SURROGATES,
  "UTF-8": UTF8,
  "white space": WHITE_SPACE,
  root: ROOT,
  "trailing data": TRAILING,
  incomplete: [...INCOMPLETE, ...CUT_UTF8],
  "duplicate members": DUPLICATES,
  caps: CAPS,
  large: LARGE,
};
