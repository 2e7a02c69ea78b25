// The reference reader: what a JSON body must be to be accepted, written for being right and not for being fast. It
// holds the whole body, goes through it by index and recursion, and shares nothing with the filter's streaming reader,
// so that a mistake in one is not a mistake in both.
//
// The language is RFC 8259 with every choice that the RFC leaves open taken narrowly (sections 4, 8.1 and 8.2), one
// object as root, and caps on depth, members and key length.

/**
 * The errors in the words of the refusals. The offset is that of the first byte after which nothing could be accepted;
 * of what a member's name alone decides (duplicates and the two caps on members), that of the name's closing quote.
 */
export type JsonErrorName =
  | "json_syntax"
  | "json_utf8"
  | "json_bom"
  | "json_surrogate"
  | "json_duplicate_member"
  | "json_trailing_data"
  | "json_incomplete"
  | "json_root"
  | "batch"
  | "json_depth"
  | "json_members"
  | "json_open_members"
  | "json_key_bytes";

export type EventKind =
  | "object_start"
  | "object_end"
  | "array_start"
  | "array_end"
  | "key"
  | "string"
  | "number"
  | "true"
  | "false"
  | "null";

/**
 * What the text says, in order: the offset of the first byte of the token (of the quote for a string), its kind, and
 * its text: unescaped for keys and strings, as written for numbers, empty for the other kinds.
 */
export type JsonEvent = readonly [offset: number, kind: EventKind, text: string];

/** An accepted text, or the error with the events that stand before it. */
export type StrictResult =
  | { readonly ok: true; readonly events: readonly JsonEvent[] }
  | {
      readonly ok: false;
      readonly error: JsonErrorName;
      readonly offset: number;
      readonly events: readonly JsonEvent[];
    };

/** The caps of one reading. Over a cap is an error, at it is not. */
export interface StrictLimits {
  /** Containers open at once; the root object is the first. */
  readonly depth: number;
  /** Members of one object. */
  readonly membersPerObject: number;
  /** Members of all objects that are open at once. A member counts from its name to the end of its object. */
  readonly openMembers: number;
  /** Bytes of one member name, unescaped, in UTF-8. */
  readonly keyBytes: number;
}

export const STRICT_LIMITS: StrictLimits = { depth: 64, membersPerObject: 1024, openMembers: 4096, keyBytes: 256 };

/**
 * Reads one body. Takes the bytes (not kept, not changed) and the caps that differ from the defaults; gives the events
 * of an accepted text, or the error with the offset of its byte. The offset of `json_incomplete` is the length.
 */
export function readStrictJson(body: Uint8Array, limits: Partial<StrictLimits> = {}): StrictResult {
  const reading = new Reading(body, { ...STRICT_LIMITS, ...limits });
  try {
    reading.root();
    return { ok: true, events: reading.events };
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    return { ok: false, error: problem.error, offset: problem.offset, events: reading.events };
  }
}

class Refused extends Error {
  readonly error: JsonErrorName;
  readonly offset: number;

  constructor(error: JsonErrorName, offset: number) {
    super(`${error} at ${offset}`);
    this.error = error;
    this.offset = offset;
  }
}

const code = (character: string): number => character.charCodeAt(0);

const QUOTE = code('"');
const BACKSLASH = code("\\");
const WHITE_SPACE = new Set([..." \t\n\r"].map(code));
const VALUE_STARTS = new Set([...'{["-0123456789tfn'].map(code));
const SHORT_ESCAPES = new Map<number, number>([
  [code('"'), 0x22],
  [code("\\"), 0x5c],
  [code("/"), 0x2f],
  [code("b"), 0x08],
  [code("f"), 0x0c],
  [code("n"), 0x0a],
  [code("r"), 0x0d],
  [code("t"), 0x09],
]);

/**
 * The rows of Unicode's table 3-7, "Well-Formed UTF-8 Byte Sequences": the range of the first byte, then the range of
 * each byte that follows.
 */
const UTF8_ROWS: readonly (readonly [first: number, last: number])[][] = [
  [[0x00, 0x7f]],
  [
    [0xc2, 0xdf],
    [0x80, 0xbf],
  ],
  [
    [0xe0, 0xe0],
    [0xa0, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xe1, 0xec],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xed, 0xed],
    [0x80, 0x9f],
    [0x80, 0xbf],
  ],
  [
    [0xee, 0xef],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf0, 0xf0],
    [0x90, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf1, 0xf3],
    [0x80, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf4, 0xf4],
    [0x80, 0x8f],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
];

const within = (byte: number, range: readonly [number, number]): boolean => byte >= range[0] && byte <= range[1];

const isDigit = (byte: number): boolean => byte >= code("0") && byte <= code("9");

const hexValue = (byte: number): number =>
  isDigit(byte) ? byte - code("0") : /[a-fA-F]/.test(String.fromCharCode(byte)) ? (byte | 0x20) - code("a") + 10 : -1;

class Reading {
  readonly events: JsonEvent[] = [];
  private readonly body: Uint8Array;
  private readonly limits: StrictLimits;
  private at = 0;
  private depth = 0;
  private openMembers = 0;

  constructor(body: Uint8Array, limits: StrictLimits) {
    this.body = body;
    this.limits = limits;
  }

  root(): void {
    this.whiteSpace();
    const first = this.peek();
    // The first bytes of the marks of UTF-8 and UTF-16. None of them begins a root, so the rest need not be waited for.
    if ([0xef, 0xfe, 0xff].includes(first)) throw new Refused("json_bom", this.at);
    if (first === code("[")) throw new Refused("batch", this.at);
    if (first !== code("{") && VALUE_STARTS.has(first)) throw new Refused("json_root", this.at);
    if (first !== code("{")) throw new Refused("json_syntax", this.at);
    this.object();
    this.whiteSpace();
    if (this.at < this.body.length) throw new Refused("json_trailing_data", this.at);
  }

  private value(): void {
    this.whiteSpace();
    const first = this.peek();
    if (first === code("{")) this.object();
    else if (first === code("[")) this.array();
    else if (first === QUOTE) {
      const start = this.at;
      this.events.push([start, "string", this.string("value").toString("utf8")]);
    } else if (first === code("t")) this.literal("true");
    else if (first === code("f")) this.literal("false");
    else if (first === code("n")) this.literal("null");
    else if (first === code("-") || isDigit(first)) this.number();
    else throw new Refused("json_syntax", this.at);
  }

  private object(): void {
    this.open("object_start");
    const names = new Set<string>();
    this.whiteSpace();
    if (this.peek() !== code("}")) {
      for (;;) {
        this.whiteSpace();
        if (this.peek() !== QUOTE) throw new Refused("json_syntax", this.at);
        const start = this.at;
        const bytes = this.string("key");
        const closingQuote = this.at - 1;
        const name = bytes.toString("utf8");
        // A member counts from the end of its name.
        if (names.size === this.limits.membersPerObject) throw new Refused("json_members", closingQuote);
        if (this.openMembers === this.limits.openMembers) throw new Refused("json_open_members", closingQuote);
        if (names.has(name)) throw new Refused("json_duplicate_member", closingQuote);
        names.add(name);
        this.openMembers++;
        this.events.push([start, "key", name]);
        this.whiteSpace();
        if (this.peek() !== code(":")) throw new Refused("json_syntax", this.at);
        this.at++;
        this.value();
        this.whiteSpace();
        if (this.peek() === code("}")) break;
        if (this.peek() !== code(",")) throw new Refused("json_syntax", this.at);
        this.at++;
      }
    }
    this.openMembers -= names.size;
    this.close("object_end");
  }

  private array(): void {
    this.open("array_start");
    this.whiteSpace();
    if (this.peek() !== code("]")) {
      for (;;) {
        this.value();
        this.whiteSpace();
        if (this.peek() === code("]")) break;
        if (this.peek() !== code(",")) throw new Refused("json_syntax", this.at);
        this.at++;
      }
    }
    this.close("array_end");
  }

  private open(kind: "object_start" | "array_start"): void {
    if (this.depth === this.limits.depth) throw new Refused("json_depth", this.at);
    this.depth++;
    this.events.push([this.at, kind, ""]);
    this.at++;
  }

  private close(kind: "object_end" | "array_end"): void {
    this.depth--;
    this.events.push([this.at, kind, ""]);
    this.at++;
  }

  private literal(word: "true" | "false" | "null"): void {
    const start = this.at;
    for (const letter of word) {
      if (this.peek() !== code(letter)) throw new Refused("json_syntax", this.at);
      this.at++;
    }
    this.events.push([start, word, ""]);
  }

  /** RFC 8259 section 6. What may follow a number is for the container to say. */
  private number(): void {
    const start = this.at;
    if (this.peek() === code("-")) this.at++;
    if (this.peek() === code("0")) {
      this.at++;
      if (isDigit(this.peek())) throw new Refused("json_syntax", this.at);
    } else {
      this.digits();
    }
    if (this.peek() === code(".")) {
      this.at++;
      this.digits();
    }
    if (this.peek() === code("e") || this.peek() === code("E")) {
      this.at++;
      if (this.peek() === code("+") || this.peek() === code("-")) this.at++;
      this.digits();
    }
    this.events.push([start, "number", this.bytes(start, this.at).toString("latin1")]);
  }

  private digits(): void {
    if (!isDigit(this.peek())) throw new Refused("json_syntax", this.at);
    while (isDigit(this.peek())) this.at++;
  }

  /** Reads from the opening to the closing quote; gives the unescaped bytes. RFC 8259 section 7. */
  private string(role: "key" | "value"): Buffer {
    const out: number[] = [];
    const cap = role === "key" ? this.limits.keyBytes : Number.POSITIVE_INFINITY;
    /** Appends what the byte before `this.at` has completed. */
    const append = (...bytes: number[]): void => {
      out.push(...bytes);
      if (out.length > cap) throw new Refused("json_key_bytes", this.at - 1);
    };

    this.at++;
    while (this.peek() !== QUOTE) {
      const byte = this.peek();
      if (byte < 0x20) throw new Refused("json_syntax", this.at);
      if (byte === BACKSLASH) {
        append(...this.escape());
        continue;
      }
      const row = UTF8_ROWS.find(([first]) => within(byte, first!));
      if (row === undefined) throw new Refused("json_utf8", this.at);
      for (const range of row) {
        if (!within(this.peek(), range)) throw new Refused("json_utf8", this.at);
        this.at++;
        append(this.body[this.at - 1]!);
      }
    }
    this.at++;
    return Buffer.from(out);
  }

  /** Reads one escape, two if they are a surrogate pair; gives the UTF-8 bytes of what it stands for. */
  private escape(): readonly number[] {
    this.at++;
    const short = SHORT_ESCAPES.get(this.peek());
    if (short !== undefined) {
      this.at++;
      return [short];
    }
    if (this.peek() !== code("u")) throw new Refused("json_syntax", this.at);
    this.at++;

    const first = this.hexDigit();
    const second = this.hexDigit();
    if (first === 0xd && second >= 0xc) throw new Refused("json_surrogate", this.at - 1);
    const unit = (first << 12) | (second << 8) | (this.hexDigit() << 4) | this.hexDigit();
    if (first !== 0xd || second < 0x8) return [...Buffer.from(String.fromCharCode(unit), "utf8")];

    for (const needed of "\\u") {
      if (this.peek() !== code(needed)) throw new Refused("json_surrogate", this.at);
      this.at++;
    }
    if (this.hexDigit() !== 0xd) throw new Refused("json_surrogate", this.at - 1);
    const lowSecond = this.hexDigit();
    if (lowSecond < 0xc) throw new Refused("json_surrogate", this.at - 1);
    const low = 0xd000 | (lowSecond << 8) | (this.hexDigit() << 4) | this.hexDigit();
    return [...Buffer.from(String.fromCharCode(unit, low), "utf8")];
  }

  private hexDigit(): number {
    const value = hexValue(this.peek());
    if (value < 0) throw new Refused("json_syntax", this.at);
    this.at++;
    return value;
  }

  private whiteSpace(): void {
    while (this.at < this.body.length && WHITE_SPACE.has(this.body[this.at]!)) this.at++;
  }

  /** The byte that comes next. At the end of the body nothing is wrong yet, there is only too little. */
  private peek(): number {
    const byte = this.body[this.at];
    if (byte === undefined) throw new Refused("json_incomplete", this.body.length);
    return byte;
  }

  private bytes(start: number, end: number): Buffer {
    return Buffer.from(this.body.subarray(start, end));
  }
}
