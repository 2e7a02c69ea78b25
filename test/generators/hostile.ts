// Bodies that are built to make a reader slow or large: each family takes a number of bytes and gives a call of the tool
// `safe` of about that size. The time and memory that one costs must grow with its size and no faster.
//
// A family whose bodies are accepted is read to the end whatever its size; one that is refused shows that the refusal
// comes at the cap and not after the work.

export interface HostileFamily {
  readonly name: string;
  /** What it is meant to defeat. */
  readonly why: string;
  /** The reason of the refusal of a body of more than 64 KiB; absent: accepted up to the limit of a body. */
  readonly refused?: string;
  /** A body of at most `bytes` bytes and at most one repeated part (40 KB) less; for small `bytes` one part anyway. */
  readonly build: (bytes: number) => Uint8Array;
}

const HEAD = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":{';
const TAIL = "}}}";

/** The call with as many of `part(index)` as fit, but at least one, joined by commas, between `before` and `after`. */
function fill(bytes: number, part: (index: number) => string, before = "", after = ""): Uint8Array {
  const parts: string[] = [];
  let room = bytes - HEAD.length - TAIL.length - before.length - after.length;
  for (let index = 0; ; index++) {
    const text = part(index);
    room -= Buffer.byteLength(text) + 1;
    if (room < -1 && index > 0) break;
    parts.push(text);
  }
  return Uint8Array.from(Buffer.from(HEAD + before + parts.join(",") + after + TAIL));
}

/** The call with as many of `text` as fit in one string, name or number. */
function fillOne(bytes: number, text: string, before: string, after: string): Uint8Array {
  const room = bytes - HEAD.length - TAIL.length - before.length - after.length;
  const times = Math.max(1, Math.floor(room / Buffer.byteLength(text)));
  return Uint8Array.from(Buffer.from(HEAD + before + text.repeat(times) + after + TAIL));
}

const inArray = (bytes: number, part: (index: number) => string): Uint8Array => fill(bytes, part, '"x":[', "]");
const inString = (bytes: number, text: string): Uint8Array => fillOne(bytes, text, '"x":"', '"');

/** An object of 1,000 members, under the cap of one object; the names differ from object to object. */
const thousandMembers = (index: number, name: (index: number) => string): string =>
  `{${Array.from({ length: 1000 }, (_, member) => `"${name(index * 1000 + member)}":0`).join(",")}}`;

/**
 * Names of 32 bytes that all have one hash under the polynomial with factor 31, which "Aa" and "BB" share, and equal
 * first and last letters, which defeats a hash of the ends.
 */
const collidingName = (index: number): string =>
  `Aa${[...(index % 16384).toString(2).padStart(14, "0")].map((bit) => (bit === "0" ? "Aa" : "BB")).join("")}Aa`;

export const HOSTILE_FAMILIES: readonly HostileFamily[] = [
  {
    name: "many members of one object",
    why: "a linear search for duplicates is quadratic; a table without a cap grows with the body",
    refused: "json_members",
    build: (bytes) => fill(bytes, (index) => `"k${index}":0`),
  },
  {
    name: "objects of a thousand members",
    why: "the duplicate check at its cap, again and again",
    build: (bytes) => inArray(bytes, (index) => thousandMembers(index, (member) => `k${member}`)),
  },
  {
    name: "objects of a thousand colliding members",
    why: "a hash without a secret seed makes every lookup a search",
    build: (bytes) => inArray(bytes, (index) => thousandMembers(index, collidingName)),
  },
  {
    name: "objects with one member",
    why: "work per object: opening and closing the set of names",
    build: (bytes) => inArray(bytes, () => '{"a":0}'),
  },
  {
    name: "members of 256 bytes that differ at the end",
    why: "a comparison of names reads them whole",
    build: (bytes) =>
      inArray(
        bytes,
        (index) =>
          `{${Array.from({ length: 100 }, (_, member) => `"${String(index * 100 + member).padStart(256, "k")}":0`).join(",")}}`,
      ),
  },
  {
    name: "members spelled in escapes",
    why: "a name that cannot be compared in place",
    build: (bytes) =>
      inArray(
        bytes,
        () => `{${Array.from({ length: 100 }, (_, member) => `"${"\\u006b".repeat(20)}${member}":0`).join(",")}}`,
      ),
  },
  {
    name: "open objects with many members each",
    why: "the names of all open objects are held at once",
    build: (bytes) =>
      inArray(bytes, () => {
        const members = Array.from({ length: 60 }, (_, member) => `"k${member}":0`).join(",");
        return `${`{${members},"x":`.repeat(60)}0${"}".repeat(60)}`;
      }),
  },
  {
    name: "open objects beyond the cap",
    why: "a cap per object alone bounds nothing when the objects are nested",
    refused: "json_open_members",
    build: (bytes) => {
      const members = Array.from({ length: 1000 }, (_, member) => `"${member}":0`).join(",");
      return inArray(bytes, () => `${`{${members},"x":`.repeat(5)}0${"}".repeat(5)}`);
    },
  },
  {
    name: "one deep array",
    why: "recursion overflows a small stack",
    refused: "json_depth",
    build: (bytes) => {
      const depth = Math.max(1, Math.floor((bytes - HEAD.length - TAIL.length - 4) / 2));
      return fill(bytes, () => `"x":${"[".repeat(depth)}${"]".repeat(depth)}`);
    },
  },
  {
    name: "arrays at the depth cap",
    why: "each byte opens or closes a container",
    build: (bytes) => inArray(bytes, () => "[".repeat(60) + "]".repeat(60)),
  },
  {
    name: "objects at the depth cap",
    why: "each byte opens or closes a set of names",
    build: (bytes) => inArray(bytes, () => `${'{"a":'.repeat(60)}0${"}".repeat(60)}`),
  },
  { name: "empty arrays", why: "the most tokens per byte", build: (bytes) => inArray(bytes, () => "[]") },
  { name: "numbers of one digit", why: "the most values per byte", build: (bytes) => inArray(bytes, () => "1") },
  { name: "empty strings", why: "work per string", build: (bytes) => inArray(bytes, () => '""') },
  {
    name: "one long number",
    why: "a number that is kept, or interpreted",
    build: (bytes) => fillOne(bytes, "7", '"x":', ""),
  },
  { name: "one long string", why: "a string that is kept", build: (bytes) => inString(bytes, "a") },
  {
    name: "a string of unicode escapes",
    why: "six bytes for each character",
    build: (bytes) => inString(bytes, "\\u00e9"),
  },
  {
    name: "a string of short escapes",
    why: "every second byte changes the state",
    build: (bytes) => inString(bytes, "\\n"),
  },
  {
    name: "escaped backslashes and quotes",
    why: "looking back for the start of a row of backslashes is quadratic",
    build: (bytes) => inString(bytes, '\\\\\\"'),
  },
  { name: "a row of backslashes", why: "the same, in one row", build: (bytes) => inString(bytes, "\\\\") },
  {
    name: "surrogate pairs",
    why: "twelve bytes and the most states for one character",
    build: (bytes) => inString(bytes, "\\ud83d\\ude00"),
  },
  {
    name: "two-byte characters and escapes by turns",
    why: "no run of plain bytes to skip",
    build: (bytes) => inString(bytes, "\u00e9\\n"),
  },
  { name: "four-byte characters", why: "the longest sequences", build: (bytes) => inString(bytes, "\u{1f600}") },
  {
    name: "one long name",
    why: "a name is held to be compared",
    refused: "json_key_bytes",
    build: (bytes) => fillOne(bytes, "k", '"', '":0'),
  },
  {
    name: "one long tool name",
    why: "a name that the policy compares is held",
    refused: "tool_not_listed",
    build: (bytes) => {
      const [before, after] = ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"', '"}}'];
      return Uint8Array.from(
        Buffer.from(before + "n".repeat(Math.max(1, bytes - before.length - after.length)) + after),
      );
    },
  },
  {
    name: "one long id",
    why: "the id is held to be repeated in the answer",
    refused: "id_invalid",
    build: (bytes) => {
      const [before, after] = ['{"jsonrpc":"2.0","method":"tools/call","params":{"name":"safe"},"id":"', '"}'];
      return Uint8Array.from(
        Buffer.from(before + "i".repeat(Math.max(1, bytes - before.length - after.length)) + after),
      );
    },
  },
  { name: "white space", why: "bytes that mean nothing", build: (bytes) => fillOne(bytes, " \n", '"x":', "0") },
  {
    name: "white space after the message",
    why: "the message is complete and the body is not",
    build: (bytes) => Uint8Array.from(Buffer.from((HEAD + TAIL).padEnd(bytes, " "))),
  },
];
