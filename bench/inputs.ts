// What the benchmark reads: tools/call bodies named by what they stress, and texts that a strict reader refuses. Every
// body says how many tokens it has, counted from how it is made and not by a reader, so that no contestant can be fast by
// leaving something out.

/** One body. */
export interface Input {
  /** What it stresses. */
  name: string;
  bytes: Buffer;
  /** Both ends of every container, every member name, every other value. */
  tokens: number;
  /** Members of the root object. */
  rootMembers: number;
  /** Tokens of the root object and its members, without what lies inside the members' values. */
  rootTokens: number;
}

/** JSON text with its number of tokens. */
interface Piece {
  text: string;
  tokens: number;
}

/** Around the value that an input is about. Open containers here: 3, so that 61 may stand inside. */
const BEFORE = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_code","arguments":{"value":';
const AFTER = "}}}";
/** Three objects (6), seven member names, four strings and numbers. */
const AROUND_TOKENS = 17;
const ROOT_MEMBERS = 4;
/** The root's two ends, four names, three plain values, the two ends of `params`. */
const ROOT_TOKENS = 11;

const KIB = 1024;
/** Bytes. The smallest is the usual request, the largest about the default bound of a body. */
const SIZES = [200, 16 * KIB, 1024 * KIB];
/** One indented object does not fit into the smallest. */
const PRETTY_SIZES = [300, 16 * KIB, 1024 * KIB];

/** The inputs. */
export function inputs(): Input[] {
  return [
    { name: "small call", ...smallCall() },
    // Runs over plain bytes.
    ...bodies("one ASCII string", (room) => repeated("The quick brown fox jumps over the lazy dog. ", room)),
    // UTF-8 of three bytes, as in Chinese, Japanese and Korean prose.
    ...bodies("one CJK string", (room) => repeated("天地玄黃宇宙洪荒日月盈昃辰宿列張", room)),
    // Escapes of all lengths, some of them surrogate pairs.
    ...bodies("escapes", (room) => repeated(String.raw`say \"yes\" C:\\\n\tcaf\u00e9 \ud83d\ude00 `, room)),
    // What defeats long runs: a two-byte character and an escape in turn.
    ...bodies("accents and escapes in turn", (room) => repeated(String.raw`é\n`, room)),
    // Tokens of a few bytes, as tool arguments have them.
    ...bodies("small objects", (room) => list(smallObject, room)),
    // White space.
    ...bodies("pretty printed", (room) => list(prettyObject, room), PRETTY_SIZES),
    // The duplicate check: 1,000 names in one object.
    ...bodies("many members", manyMembers),
    // Opening and closing, to the depth of 64 that is the default bound.
    ...bodies("deep", deep),
    // The most tokens per byte.
    ...bodies("one-digit numbers", (room) => list(() => ({ text: "1", tokens: 1 }), room)),
  ];
}

/** A call as an agent makes it, 200 bytes. */
function smallCall(): Omit<Input, "name"> {
  const text =
    '{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"search_code","arguments":' +
    '{"query":"repo:octo/hello language:ts streaming parser","page":1,"per_page":30},"_meta":{"progressToken":17}}}';
  // Four objects (8), 11 names, 8 other values.
  return { bytes: Buffer.from(text), tokens: 27, rootMembers: ROOT_MEMBERS, rootTokens: ROOT_TOKENS };
}

/** A body of at most each of `sizes` bytes, whose tool argument `make` gives in the room that it is told. */
function bodies(name: string, make: (room: number) => Piece, sizes: readonly number[] = SIZES): Input[] {
  return sizes.map((size) => {
    const value = make(size - BEFORE.length - AFTER.length);
    return {
      name,
      bytes: Buffer.from(BEFORE + value.text + AFTER),
      tokens: AROUND_TOKENS + value.tokens,
      rootMembers: ROOT_MEMBERS,
      rootTokens: ROOT_TOKENS,
    };
  });
}

/** A string of `text` over and over, in at most `room` bytes. */
function repeated(text: string, room: number): Piece {
  return { text: `"${text.repeat(Math.floor((room - 2) / Buffer.byteLength(text)))}"`, tokens: 1 };
}

/** A list of as many elements as fit into `room` bytes. */
function list(element: (index: number) => Piece, room: number): Piece {
  const texts: string[] = [];
  let tokens = 2;
  let bytes = 1;
  while (true) {
    const piece = element(texts.length);
    bytes += Buffer.byteLength(piece.text) + 1;
    if (bytes > room) break;
    texts.push(piece.text);
    tokens += piece.tokens;
  }
  if (texts.length === 0) throw new Error(`no element fits into ${room} bytes`);
  return { text: `[${texts.join(",")}]`, tokens };
}

function smallObject(index: number): Piece {
  const name = ["README.md", "parser.ts", "x"][index % 3];
  const text = `{"id":${12345 + index},"name":"${name}","tags":["wasm","b"],"ok":${index % 2 === 0}}`;
  // The object and its list (4), four names, five other values.
  return { text, tokens: 13 };
}

function prettyObject(index: number): Piece {
  const { text, tokens } = smallObject(index);
  return { text: `\n${JSON.stringify(JSON.parse(text), undefined, 2)}`.replaceAll("\n", "\n      "), tokens };
}

const MEMBERS_PER_OBJECT = 1000;

function manyMembers(room: number): Piece {
  const member = (index: number): string => `"field_${index}":${index % 10}`;
  const whole = Array.from({ length: MEMBERS_PER_OBJECT }, (_, index) => member(index));
  const object = { text: `{${whole.join(",")}}`, tokens: 2 + 2 * MEMBERS_PER_OBJECT };
  if (object.text.length + 2 <= room) return list(() => object, room);
  let bytes = 1;
  const fitting = whole.filter((text) => {
    bytes += text.length + 1;
    return bytes <= room;
  });
  return { text: `{${fitting.join(",")}}`, tokens: 2 + 2 * fitting.length };
}

/** Objects in lists in objects; one nest takes 60 of the 64 levels, or as many as there is room for. */
function deep(room: number): Piece {
  const pairs = Math.min(30, Math.floor((room - 2) / 8));
  // A pair opens and closes two containers and has one name.
  const nest = { text: '{"a":['.repeat(pairs) + "]}".repeat(pairs), tokens: 5 * pairs };
  return list(() => nest, room);
}

/** A text that RFC 8259 (or the narrow choice where it leaves one) refuses, and why. */
export interface BadText {
  why: string;
  bytes: Buffer;
}

/** Each of these says something else to the next reader than to a lenient one. */
export const BAD_TEXTS: readonly BadText[] = [
  { why: "two members with one name", bytes: Buffer.from('{"a":1,"a":2}') },
  { why: "two members with one name, further inside", bytes: Buffer.from('{"p":{"a":1,"b":{},"a":2}}') },
  { why: "bytes that are not UTF-8", bytes: Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xc0, 0xaf, 0x22, 0x7d]) },
  { why: "half of a surrogate pair", bytes: Buffer.from(String.raw`{"a":"\ud800"}`) },
  { why: "an unknown escape", bytes: Buffer.from(String.raw`{"a":"\q"}`) },
  { why: "a control character in a string", bytes: Buffer.from('{"a":"\u0001"}') },
  { why: "a misspelt literal, further inside", bytes: Buffer.from('{"a":{"b":tru}}') },
  { why: "a leading zero", bytes: Buffer.from('{"a":[01]}') },
  { why: "a trailing comma", bytes: Buffer.from('{"a":[1,]}') },
  { why: "something behind the end", bytes: Buffer.from('{"a":1} x') },
  { why: "65 containers open at once", bytes: Buffer.from(`{"a":${"[".repeat(64)}${"]".repeat(64)}}`) },
];
