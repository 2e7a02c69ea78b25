// As much of HPACK (RFC 7541) as a client without a dynamic table needs: fields go out as literals, and come in as
// literals or entries of the static table.
import type { Fields } from "./wire.ts";

/** The names of the static table (appendix A), in order; index 1 is the first. */
const STATIC_NAMES = `:authority :method :method :path :path :scheme :scheme :status :status :status :status :status
  :status :status accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age
  allow authorization cache-control content-disposition content-encoding content-language content-length
  content-location content-range content-type cookie date etag expect expires from host if-match if-modified-since
  if-none-match if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate
  proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security transfer-encoding
  user-agent vary via www-authenticate`.split(/\s+/);

/** The values of the static table that a response can have. */
const STATIC_VALUES = new Map(["200", "204", "206", "304", "400", "404", "500"].map((value, at) => [8 + at, value]));

/**
 * The characters of the Huffman code (appendix B) by the number of their bits, each row in order: the code is canonical, so
 * this says all of it. The rarer ones never stand in the fields of a response.
 */
const HUFFMAN_ROWS: Readonly<Record<number, string>> = {
  5: "012aceiost",
  6: " %-./3456789=A_bdfghlmnpru",
  7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
  8: "&*,;XZ",
  10: '!"()?',
  11: "'+|",
  12: "#>",
  13: "\0$@[]~",
  14: "^}",
  15: "<`{",
};

const HUFFMAN = huffmanCodes();

/** A block of fields, each a literal that is in no table (section 6.2.2). */
export function literalFields(fields: Fields): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, "latin1");
    return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** Reads blocks of fields. */
export class HeaderDecoder {
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /** @throws Error for what a peer without a dynamic table cannot send. */
  decode(block: Buffer): Fields {
    this.#block = block;
    this.#at = 0;
    const fields: [string, string][] = [];
    while (this.#at < block.length) {
      const first = block[this.#at]!;
      if (first & 0x80) {
        const index = this.#integer(7);
        fields.push([staticName(index), STATIC_VALUES.get(index) ?? ""]);
      } else if ((first & 0xe0) === 0x20) {
        this.#integer(5); // the size of the dynamic table, which is 0
      } else {
        const index = this.#integer(first & 0x40 ? 6 : 4);
        const name = index === 0 ? this.#text() : staticName(index);
        fields.push([name, this.#text()]);
      }
    }
    return fields;
  }

  /** Section 5.1. */
  #integer(prefixBits: number): number {
    const max = 2 ** prefixBits - 1;
    let value = this.#block[this.#at++]! & max;
    if (value < max) return value;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#block[this.#at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** Section 5.2. */
  #text(): string {
    const isHuffman = (this.#block[this.#at]! & 0x80) !== 0;
    const length = this.#integer(7);
    const bytes = this.#block.subarray(this.#at, this.#at + length);
    this.#at += length;
    return isHuffman ? unhuffman(bytes) : bytes.toString("latin1");
  }
}

function staticName(index: number): string {
  const name = STATIC_NAMES[index - 1];
  if (name === undefined) throw new Error(`field ${index} is in no static table`);
  return name;
}

function integer(value: number, prefixBits: number, flags: number): Buffer {
  const max = 2 ** prefixBits - 1;
  if (value < max) return Buffer.from([flags | value]);
  const bytes = [flags | max];
  let rest = value - max;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** From the code, written in binary, to its character. */
function huffmanCodes(): Map<string, string> {
  const codes = new Map<string, string>();
  let code = 0;
  let bits = 0;
  for (const [length, characters] of Object.entries(HUFFMAN_ROWS)) {
    code *= 2 ** (Number(length) - bits);
    bits = Number(length);
    for (const character of characters) codes.set((code++).toString(2).padStart(bits, "0"), character);
  }
  return codes;
}

function unhuffman(bytes: Buffer): string {
  let text = "";
  let code = "";
  for (const byte of bytes) {
    for (const bit of byte.toString(2).padStart(8, "0")) {
      code += bit;
      const character = HUFFMAN.get(code);
      if (character === undefined) continue;
      text += character;
      code = "";
    }
  }
  // What is left pads the last byte with ones.
  if (/0/.test(code)) throw new Error(`no Huffman code: ${code} after "${text}"`);
  return text;
}
