// Mutations of a body: of its bytes, blindly, and of its tokens, so that the result is often still nearly JSON. A mutation
// is data and knows no body; positions are fractions, so that one mutation fits a body of any length and shrinks well.

import fc from "fast-check";

/** A position in a body or in its list of tokens, as a fraction of its length. */
type Fraction = number;

export type Mutation =
  | { readonly kind: "insert_bytes"; readonly at: Fraction; readonly bytes: readonly number[] }
  | { readonly kind: "set_byte"; readonly at: Fraction; readonly byte: number }
  | { readonly kind: "flip_bit"; readonly at: Fraction; readonly bit: number }
  | { readonly kind: "delete_slice"; readonly from: Fraction; readonly to: Fraction }
  | { readonly kind: "repeat_slice"; readonly from: Fraction; readonly to: Fraction }
  | { readonly kind: "cut"; readonly at: Fraction }
  | { readonly kind: "delete_token"; readonly at: Fraction }
  | { readonly kind: "repeat_token"; readonly at: Fraction }
  | { readonly kind: "replace_token"; readonly at: Fraction; readonly token: string }
  | { readonly kind: "swap_tokens"; readonly at: Fraction; readonly with: Fraction };

const fraction: fc.Arbitrary<Fraction> = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** Bytes at which readers of JSON change their mind. */
const tellingBytes: fc.Arbitrary<readonly number[]> = fc.constantFrom(
  ...['"', "\\", "{", "}", "[", "]", ":", ",", "\0", "\n", "\u007f", "/", "'", "0", "-", ".", "e"].map((text) => [
    ...Buffer.from(text),
  ]),
  [0x80],
  [0xc0, 0xaf],
  [0xc3],
  [0xe2, 0x82],
  [0xed, 0xa0, 0x80],
  [0xef, 0xbb, 0xbf],
  [0xf0, 0x9f, 0x98, 0x80],
  [0xff],
  ...["\\u0000", "\\ud800", "\\udc00", "\\u00e", "//", "/*", "NaN", '"name":"evil",'].map((text) => [
    ...Buffer.from(text),
  ]),
);

const tellingToken: fc.Arbitrary<string> = fc.constantFrom(
  ...[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "0",
    "-1",
    "1.0",
    "1e400",
    '""',
    '"name"',
    '"Name"',
    '"n\\u0061me"',
  ],
  ...[
    '"evil"',
    '"safe"',
    '"method"',
    '"params"',
    '"id"',
    '"tools/call"',
    '"result"',
    '"task"',
    '"2.0"',
    '"\\ud800"',
    "[]",
  ],
);

/** One mutation of any kind. */
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant("insert_bytes" as const), at: fraction, bytes: tellingBytes }),
  fc.record({ kind: fc.constant("set_byte" as const), at: fraction, byte: fc.nat(255) }),
  fc.record({ kind: fc.constant("flip_bit" as const), at: fraction, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("delete_slice" as const), from: fraction, to: fraction }),
  fc.record({ kind: fc.constant("repeat_slice" as const), from: fraction, to: fraction }),
  fc.record({ kind: fc.constant("cut" as const), at: fraction }),
  fc.record({ kind: fc.constant("delete_token" as const), at: fraction }),
  fc.record({ kind: fc.constant("repeat_token" as const), at: fraction }),
  fc.record({ kind: fc.constant("replace_token" as const), at: fraction, token: tellingToken }),
  fc.record({ kind: fc.constant("swap_tokens" as const), at: fraction, with: fraction }),
);

/** The mutated copy of a body; the body itself stays. An empty body stays empty except for what is inserted. */
export function mutate(body: Uint8Array, change: Mutation): Uint8Array {
  const bytes = Buffer.from(body);
  const index = (at: Fraction): number => Math.floor(at * bytes.length);
  switch (change.kind) {
    case "insert_bytes":
      return join(bytes.subarray(0, index(change.at)), change.bytes, bytes.subarray(index(change.at)));
    case "set_byte":
      if (bytes.length > 0) bytes[index(change.at)] = change.byte;
      return join(bytes);
    case "flip_bit":
      if (bytes.length > 0) bytes[index(change.at)]! ^= 1 << change.bit;
      return join(bytes);
    case "delete_slice":
    case "repeat_slice": {
      const [from, to] = [index(change.from), index(change.to)].sort((one, other) => one - other) as [number, number];
      const rest = change.kind === "delete_slice" ? bytes.subarray(to) : bytes.subarray(from);
      return join(bytes.subarray(0, change.kind === "delete_slice" ? from : to), rest);
    }
    case "cut":
      return join(bytes.subarray(0, index(change.at)));
    default:
      return mutateTokens(tokens(bytes), change);
  }
}

/** A body after one to `maxMutations` mutations. */
export function mutatedBody(body: fc.Arbitrary<Uint8Array>, maxMutations = 4): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(body, fc.array(mutation, { minLength: 1, maxLength: maxMutations }))
    .map(([start, changes]) => changes.reduce(mutate, start));
}

type TokenMutation = Extract<Mutation, { kind: `${string}_token` | "swap_tokens" }>;

function mutateTokens(list: string[], change: TokenMutation): Uint8Array {
  if (list.length === 0) return new Uint8Array();
  const index = Math.floor(change.at * list.length);
  const token = list[index]!;
  switch (change.kind) {
    case "delete_token":
      list.splice(index, 1);
      break;
    case "repeat_token":
      list.splice(index, 0, token);
      break;
    case "replace_token":
      list[index] = change.token;
      break;
    case "swap_tokens": {
      const other = Math.floor(change.with * list.length);
      list[index] = list[other]!;
      list[other] = token;
      break;
    }
  }
  return Uint8Array.from(Buffer.from(list.join(""), "latin1"));
}

/** The body in pieces that are tokens where it is JSON and single bytes where it is not; one character a byte. */
function tokens(bytes: Buffer): string[] {
  return bytes.toString("latin1").match(/"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[a-z]+|[ \t\n\r]+|./gs) ?? [];
}

function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts.map((part) => Buffer.from(part))));
}
