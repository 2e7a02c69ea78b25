// The protobuf encoding as far as foreign functions use it: messages whose fields are texts, bytes and one flag.

/** The fields of a message, by number: the bytes of each, the last one where a field stands twice. */
export type Fields = ReadonlyMap<number, Uint8Array>;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const VARINT_BYTES_MAX = 10;

/**
 * The length-delimited fields of a message; what has another type is passed over, as a parser does with a field that it does not know. Undefined when
 * the bytes are no message.
 */
export function decodeFields(message: Uint8Array): Fields | undefined {
  const fields = new Map<number, Uint8Array>();
  let at = 0;

  /** A number in seven bits a byte, the lowest first; -1 when there is none. */
  const varint = (): number => {
    let value = 0;
    for (let index = 0; index < VARINT_BYTES_MAX; index++) {
      const byte = message[at++];
      if (byte === undefined) return -1;
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return value;
    }
    return -1;
  };

  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    if (key < 0 || number === 0) return undefined;
    const type = key % 8;
    if (type === VARINT) {
      if (varint() < 0) return undefined;
      continue;
    }
    const bytes = type === BYTES ? varint() : type === FIXED64 ? 8 : type === FIXED32 ? 4 : -1;
    if (bytes < 0 || at + bytes > message.length) return undefined;
    if (type === BYTES) fields.set(number, message.subarray(at, at + bytes));
    at += bytes;
  }
  return fields;
}

/** A message of a flag and a text; proto3 leaves out what is false or empty. */
export function encodeFlagAndText(flagField: number, flag: boolean, textField: number, text: string): Uint8Array {
  const head = flag ? Buffer.of(flagField * 8 + VARINT, 1) : Buffer.alloc(0);
  return Buffer.concat([head, encodeBytes(textField, Buffer.from(text, "utf8"))]);
}

/** A field of bytes, left out when it is empty. */
export function encodeBytes(field: number, bytes: Uint8Array): Uint8Array {
  return bytes.length === 0
    ? bytes
    : Buffer.concat([Buffer.of(field * 8 + BYTES, ...encodeVarint(bytes.length)), bytes]);
}

function encodeVarint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...encodeVarint(value >>> 7)];
}
