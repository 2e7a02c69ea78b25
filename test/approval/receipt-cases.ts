// Receipts, and what is wrong with each of them. Everything that can be signed is signed by a key that the filter knows, so that nothing but the rule
// in question stands in the way of each.
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Expected } from "./receipt-checker.ts";

export const TYPE = "mcp-guard-receipt+jws";
export const NOW = 1_790_000_000;
export const APPROVER = "https://idp.example#7f3a";

/** The call that the filter has at hand. */
export const CALL: Expected = {
  id: "q3J8yqv0mS5xkQzYc1-_uA",
  nonce: "0kD2TQm7bW9xF4hJ6nPsRg",
  digest: "9f2c4e6a8b0d1f3e5c7a9b8d6f4e2c0a1b3d5f7e9c8a6b4d2f0e1c3a5b7d9f8e",
  server: "github-mcp-server",
  issuer: "https://idp.example",
  principal: "mallory@example.com",
  tool: "delete_repository",
};

export const PAYLOAD = { v: 1, ...CALL, approver: APPROVER, iat: NOW, exp: NOW + 60 } as const;

export interface Key {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly spki: Uint8Array;
}

/** A fresh key of a curve. */
export function makeKey(kid: string, namedCurve = "P-256"): Key {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
  return { kid, privateKey, publicKey, spki: publicKey.export({ format: "der", type: "spki" }) };
}

/** The two keys of the policy, and one that is not in it. */
export const KEYS = { first: makeKey("2026-11"), second: makeKey("2026-12"), stranger: makeKey("2026-11") } as const;

export interface Case {
  readonly name: string;
  readonly receipt: Uint8Array | string;
  readonly now?: number;
  readonly reason: "approval_signature" | "approval_principal" | "approval_mismatch";
}

const encode = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");

/** r and s side by side. */
const rawSignature = (text: string, key: Key, hash = "sha256"): Buffer =>
  sign(hash, Buffer.from(text), { key: key.privateKey, dsaEncoding: "ieee-p1363" });

export const headerOf = (key: Key, other: object = {}): string =>
  JSON.stringify({ alg: "ES256", kid: key.kid, typ: TYPE, ...other });

/** A JWS of two parts as they are given. */
export const signParts = (header: string, payload: string, key: Key = KEYS.first): string =>
  `${header}.${payload}.${encode(rawSignature(`${header}.${payload}`, key))}`;

/** A JWS of a header and a payload as texts. */
export const signTexts = (header: string, payload: string | Uint8Array, key: Key = KEYS.first): string =>
  signParts(encode(header), encode(payload), key);

/** A receipt with other members; `undefined` takes one away. */
export const receipt = (members: object = {}, key: Key = KEYS.first): string =>
  signTexts(headerOf(key), JSON.stringify({ ...PAYLOAD, ...members }), key);

/** A receipt whose payload is this text. */
const receiptOf = (payload: string | Uint8Array): string => signTexts(headerOf(KEYS.first), payload);

/** A receipt with this header. */
const underHeader = (header: string): string => signTexts(header, JSON.stringify(PAYLOAD));

const PAYLOAD_TEXT = JSON.stringify(PAYLOAD);
const [HEADER = "", BODY = "", SIGNATURE = ""] = receipt().split(".");
const HEADER_TEXT = headerOf(KEYS.first);

/** With the lowest of the bits set that stand behind the last byte. */
const withTrailingBits = (part: string): string => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return `${part.slice(0, -1)}${alphabet[alphabet.indexOf(part.at(-1) ?? "") + 1]}`;
};

/** With blanks behind it so that its bytes are so many more than a multiple of three. */
const padded = (text: string, rest: number): string => {
  const bytes = Buffer.byteLength(text);
  return text + " ".repeat((((rest - bytes) % 3) + 3) % 3);
};

/** A receipt of exactly so many characters: blanks in both parts fill it. */
export function receiptOfLength(length: number): string {
  for (let blanks = 0; blanks < 3; blanks++) {
    const header = encode(HEADER_TEXT + " ".repeat(blanks));
    const characters = length - header.length - 2 - 86;
    if (characters % 4 === 1) continue;
    const bytes = Math.floor((characters * 3) / 4);
    return signParts(header, encode(PAYLOAD_TEXT.padEnd(bytes)));
  }
  throw new Error(`no receipt has ${length} characters`);
}

/** A payload in whose encoding both characters stand that the two alphabets have not in common. */
const TWO_ALPHABETS = receipt({ approver: "ÿ>ÿ?~~ÿÿ>>??" });

const swapped = (): string => {
  // What the other key has signed, under this key's header.
  const [, payload = "", signature = ""] = receipt({}, KEYS.second).split(".");
  return `${HEADER}.${payload}.${signature}`;
};

const p384 = makeKey("2026-11", "P-384");
const es384Header = encode(headerOf(KEYS.first, { alg: "ES384" }));
const hs256Header = encode(headerOf(KEYS.first, { alg: "HS256" }));
const der = sign("sha256", Buffer.from(`${HEADER}.${BODY}`), KEYS.first.privateKey);
const zeros = (bytes: number): Buffer => Buffer.alloc(bytes);
const raw = Buffer.from(SIGNATURE, "base64url");
const withSignature = (signature: Uint8Array): string => `${HEADER}.${BODY}.${encode(signature)}`;

const signatureCase = (name: string, text: Uint8Array | string): Case => ({
  name,
  receipt: text,
  reason: "approval_signature",
});

/** Not a JWS of one of the keys, in the one form that is taken. */
export const NOT_SIGNED: readonly Case[] = [
  // The parts.
  signatureCase("nothing", ""),
  signatureCase("no dot", `${HEADER}${BODY}`),
  signatureCase("two parts", `${HEADER}.${BODY}`),
  signatureCase("four parts", `${receipt()}.${SIGNATURE}`),
  signatureCase("a dot behind it", `${receipt()}.`),
  signatureCase("only dots", ".."),
  signatureCase("no header", signParts("", BODY)),
  signatureCase("no signature", `${HEADER}.${BODY}.`),
  signatureCase("a line break behind it", `${receipt()}\n`),
  signatureCase("a blank in front of it", ` ${receipt()}`),
  signatureCase("JSON serialisation", JSON.stringify({ protected: HEADER, payload: BODY, signature: SIGNATURE })),
  signatureCase("one byte more than a receipt may have", receiptOfLength(4097)),

  // The encoding; each is signed as it stands.
  signatureCase(
    "bits behind the last byte of the header",
    signParts(withTrailingBits(encode(padded(HEADER_TEXT, 1))), BODY),
  ),
  signatureCase(
    "bits behind the last byte of the payload",
    signParts(HEADER, withTrailingBits(encode(padded(PAYLOAD_TEXT, 2)))),
  ),
  signatureCase("bits behind the last byte of the signature", `${HEADER}.${BODY}.${withTrailingBits(SIGNATURE)}`),
  signatureCase("padding behind the header", signParts(`${encode(padded(HEADER_TEXT, 1))}==`, BODY)),
  signatureCase("padding behind the payload", signParts(HEADER, `${encode(padded(PAYLOAD_TEXT, 2))}=`)),
  signatureCase("padding behind the signature", `${receipt()}==`),
  signatureCase("plus, of the other alphabet", otherAlphabet(TWO_ALPHABETS, "-", "+")),
  signatureCase("slash, of the other alphabet", otherAlphabet(TWO_ALPHABETS, "_", "/")),
  signatureCase("a length that no bytes have", signParts(HEADER, `${encode(padded(PAYLOAD_TEXT, 0))}A`)),
  signatureCase("a blank in the payload", signParts(HEADER, `${BODY.slice(0, 8)} ${BODY.slice(8)}`)),

  // The header; each is signed by the key that it should have named.
  signatureCase("alg none", underHeader(headerOf(KEYS.first, { alg: "none" }))),
  signatureCase("alg none without a signature", `${encode(headerOf(KEYS.first, { alg: "none" }))}.${BODY}.`),
  signatureCase("alg HS256", signParts(hs256Header, BODY)),
  signatureCase(
    "alg HS256 with the public key as the secret",
    `${hs256Header}.${BODY}.${createHmac("sha256", KEYS.first.spki).update(`${hs256Header}.${BODY}`).digest("base64url")}`,
  ),
  signatureCase("alg ES384", signParts(es384Header, BODY)),
  signatureCase(
    "alg ES384 with a signature of such a key",
    `${es384Header}.${BODY}.${encode(rawSignature(`${es384Header}.${BODY}`, p384, "sha384"))}`,
  ),
  signatureCase("alg in lower case", underHeader(headerOf(KEYS.first, { alg: "es256" }))),
  signatureCase("alg that is no text", underHeader(headerOf(KEYS.first, { alg: 256 }))),
  signatureCase("no alg", underHeader(headerOf(KEYS.first, { alg: undefined }))),
  signatureCase("another typ", underHeader(headerOf(KEYS.first, { typ: "JWT" }))),
  signatureCase("typ that goes on", underHeader(headerOf(KEYS.first, { typ: `${TYPE}x` }))),
  signatureCase("no typ", underHeader(headerOf(KEYS.first, { typ: undefined }))),
  signatureCase("no kid", underHeader(headerOf(KEYS.first, { kid: undefined }))),
  signatureCase("an unknown kid", underHeader(headerOf(KEYS.first, { kid: "2026-10" }))),
  signatureCase("the beginning of a kid", underHeader(headerOf(KEYS.first, { kid: "2026-1" }))),
  signatureCase("an empty kid", underHeader(headerOf(KEYS.first, { kid: "" }))),
  signatureCase("kid that is no text", underHeader(headerOf(KEYS.first, { kid: null }))),
  signatureCase("the kid of the other key", underHeader(headerOf(KEYS.second))),
  signatureCase("the header of the other key's receipt", swapped()),
  signatureCase("crit", underHeader(headerOf(KEYS.first, { crit: ["exp"] }))),
  signatureCase("crit without anything in it", underHeader(headerOf(KEYS.first, { crit: "" }))),
  signatureCase("b64", underHeader(headerOf(KEYS.first, { b64: false }))),
  signatureCase(
    "a key of its own",
    underHeader(headerOf(KEYS.first, { jwk: KEYS.first.publicKey.export({ format: "jwk" }) })),
  ),
  signatureCase("a link to a key", underHeader(headerOf(KEYS.first, { jku: "https://evil.example/keys" }))),
  signatureCase("an unknown header member", underHeader(headerOf(KEYS.first, { x: "" }))),
  signatureCase("a header member twice", underHeader(`{"alg":"ES256","alg":"ES256","kid":"2026-11","typ":"${TYPE}"}`)),
  signatureCase("a header member whose name is long", underHeader(headerOf(KEYS.first, { ["x".repeat(300)]: "" }))),
  signatureCase("a header member whose value is long", underHeader(headerOf(KEYS.first, { kid: "2".repeat(513) }))),
  signatureCase("a header that is a list", underHeader(`[${HEADER_TEXT}]`)),
  signatureCase("a header that is a text", underHeader('"ES256"')),
  signatureCase("a header with something behind it", underHeader(`${HEADER_TEXT}{}`)),
  signatureCase("a header that is cut", underHeader(HEADER_TEXT.slice(0, -1))),
  signatureCase("a header that is not JSON", underHeader("ES256")),

  // The signature.
  signatureCase("a key that is not in the policy, under the kid of one that is", receipt({}, KEYS.stranger)),
  signatureCase("the signature of another payload", `${HEADER}.${BODY}.${receipt({ tool: "x" }).split(".")[2]}`),
  signatureCase(
    "another payload under the signature",
    `${HEADER}.${receipt({ tool: "x" }).split(".")[1]}.${SIGNATURE}`,
  ),
  signatureCase("a payload that is not JSON under the signature", `${HEADER}.${encode("{")}.${SIGNATURE}`),
  signatureCase("63 bytes of signature", withSignature(raw.subarray(1))),
  signatureCase("65 bytes of signature", withSignature(Buffer.concat([raw, zeros(1)]))),
  signatureCase("a signature in DER", withSignature(der)),
  signatureCase(
    "r and s of 48 bytes each",
    withSignature(Buffer.concat([zeros(16), raw.subarray(0, 32), zeros(16), raw.subarray(32)])),
  ),
  signatureCase("r and s in the other order", withSignature(Buffer.concat([raw.subarray(32), raw.subarray(0, 32)]))),
  signatureCase("r and s all ones", withSignature(Buffer.alloc(64, 0xff))),
];

/** What the filter itself must see, whatever the host would make of it: there is nothing to ask the host about. */
export const ZERO_SIGNATURES: readonly Case[] = [
  signatureCase("r is 0", withSignature(Buffer.concat([zeros(32), raw.subarray(32)]))),
  signatureCase("s is 0", withSignature(Buffer.concat([raw.subarray(0, 32), zeros(32)]))),
  signatureCase("r and s are 0", withSignature(zeros(64))),
];

const mismatch = (name: string, text: string, now: number = NOW): Case => ({
  name,
  receipt: text,
  now,
  reason: "approval_mismatch",
});

const TEXTS = [...(Object.keys(CALL) as (keyof Expected)[]), "approver"] as const;
const NUMBERS = ["v", "iat", "exp"] as const;
const MEMBERS = [...TEXTS, ...NUMBERS] as const;

/** Payloads that no receipt has, signed all the same. */
export const MALFORMED: readonly Case[] = [
  ...MEMBERS.map((member) => mismatch(`${member} is missing`, receipt({ [member]: undefined }))),
  ...MEMBERS.map((member) =>
    mismatch(
      `${member} stands twice`,
      receiptOf(`${PAYLOAD_TEXT.slice(0, -1)},${JSON.stringify({ [member]: PAYLOAD[member] }).slice(1)}`),
    ),
  ),
  ...TEXTS.flatMap((member) =>
    [1, null, true, {}, [PAYLOAD[member]]].map((value) =>
      mismatch(`${member} is ${JSON.stringify(value).slice(0, 8)}, no text`, receipt({ [member]: value })),
    ),
  ),
  ...NUMBERS.flatMap((member) =>
    [`${PAYLOAD[member]}`, null, true, {}, -PAYLOAD[member]].map((value) =>
      mismatch(`${member} is ${JSON.stringify(value)}, no number of digits`, receipt({ [member]: value })),
    ),
  ),
  ...NUMBERS.flatMap((member) =>
    [".0", "e0", "E+0", "0000000000000", "00000000000"].map((behind) =>
      mismatch(
        `${member} is a number with ${behind} behind it`,
        receiptOf(PAYLOAD_TEXT.replace(`"${member}":${PAYLOAD[member]}`, (text) => `${text}${behind}`)),
      ),
    ),
  ),
  ...NUMBERS.map((member) =>
    mismatch(
      `${member} is 2^64 more`,
      receiptOf(
        PAYLOAD_TEXT.replace(`"${member}":${PAYLOAD[member]}`, `"${member}":${2n ** 64n + BigInt(PAYLOAD[member])}`),
      ),
    ),
  ),
  // Were each character taken for a digit, this would be a time shortly before the others.
  mismatch(
    "iat has an exponent",
    receiptOf(PAYLOAD_TEXT.replace(`"iat":${NOW}`, `"iat":${Math.floor(NOW / 100) - 6}e5`)),
  ),
  mismatch("v has a zero in front of it", receiptOf(PAYLOAD_TEXT.replace('"v":1', '"v":01'))),
  mismatch("a member more", receipt({ scope: "all" })),
  mismatch("a member more without a name", receipt({ "": "" })),
  mismatch("a member more whose name is long", receipt({ ["x".repeat(300)]: 1 })),
  mismatch(
    "many members more",
    receipt(Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`x${index}`, 1]))),
  ),
  mismatch("a member in another case", receipt({ tool: undefined, Tool: CALL.tool })),
  mismatch("an empty object", receiptOf("{}")),
  mismatch("a list", receiptOf(`[${PAYLOAD_TEXT}]`)),
  mismatch("a text", receiptOf(JSON.stringify(PAYLOAD_TEXT))),
  mismatch("null", receiptOf("null")),
  mismatch("nothing", receiptOf("")),
  mismatch("something behind it", receiptOf(`${PAYLOAD_TEXT}{}`)),
  mismatch("the end is missing", receiptOf(PAYLOAD_TEXT.slice(0, -1))),
  mismatch("a comma behind the last member", receiptOf(`${PAYLOAD_TEXT.slice(0, -1)},}`)),
  mismatch("a byte order mark", receiptOf(`\ufeff${PAYLOAD_TEXT}`)),
  mismatch("bytes that are no UTF-8", receiptOf(Buffer.from(PAYLOAD_TEXT.replace("#7f3a", "#\xff"), "latin1"))),
  mismatch("half a surrogate pair", receiptOf(PAYLOAD_TEXT.replace("#7f3a", "#\\ud800"))),
  mismatch("approver is empty", receipt({ approver: "" })),
  mismatch("approver has 513 bytes", receipt({ approver: "a".repeat(513) })),
  mismatch("approver has a line break in it", receipt({ approver: "a\nb" })),
  mismatch("approver has NUL in it", receipt({ approver: "a\0b" })),
  mismatch("approver has a C1 control in it", receipt({ approver: "a\u0085b" })),
];

/** Texts that are not `text`: by a byte at each end, in length, in case. */
const unlike = (text: string): readonly (readonly [string, string])[] => [
  ["the first byte is another", `${String.fromCharCode(text.charCodeAt(0) ^ 1)}${text.slice(1)}`],
  ["the last byte is another", `${text.slice(0, -1)}${String.fromCharCode(text.charCodeAt(text.length - 1) ^ 1)}`],
  ["one byte less", text.slice(0, -1)],
  ["one byte more", `${text}0`],
  ["NUL behind it", `${text}\0`],
  ["the case is another", text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase()],
  ["empty", ""],
  ["longer than any", text.padEnd(600, "x")],
];

const OTHER_CALL = ["id", "nonce", "digest", "server", "tool"] as const;
const OTHER_PRINCIPAL = ["issuer", "principal"] as const;

/** Good receipts of other calls. */
export const OTHERS: readonly Case[] = [
  ...OTHER_CALL.flatMap((member) =>
    unlike(CALL[member]).map(([how, text]) => mismatch(`${member}: ${how}`, receipt({ [member]: text }))),
  ),
  ...OTHER_PRINCIPAL.flatMap((member) =>
    unlike(CALL[member]).map(
      ([how, text]): Case => ({
        name: `${member}: ${how}`,
        receipt: receipt({ [member]: text }),
        // What is longer than any text of a receipt is not read as one.
        reason: text.length > 512 ? "approval_mismatch" : "approval_principal",
      }),
    ),
  ),
  {
    name: "the principal and the digest are others",
    receipt: receipt({ principal: "x", digest: "x" }),
    reason: "approval_principal",
  },
  {
    name: "the issuer and the principal in each other's place",
    receipt: receipt({ issuer: CALL.principal, principal: CALL.issuer }),
    reason: "approval_principal",
  },
  mismatch("another principal's, with a member missing", receipt({ principal: "x", tool: undefined })),
  mismatch("server and tool in each other's place", receipt({ server: CALL.tool, tool: CALL.server })),
  mismatch("version 0", receipt({ v: 0 })),
  mismatch("version 2", receipt({ v: 2 })),
  mismatch("version 11", receipt({ v: 11 })),
];

/** Receipts that are not of now. */
export const UNTIMELY: readonly Case[] = [
  mismatch("31 seconds expired", receipt(), PAYLOAD.exp + 31),
  mismatch("a day expired", receipt(), PAYLOAD.exp + 86_400),
  mismatch("issued in 31 seconds", receipt(), NOW - 31),
  mismatch("issued tomorrow", receipt({ iat: NOW + 86_400, exp: NOW + 86_460 })),
  mismatch("good for 301 seconds", receipt({ exp: NOW + 301 })),
  mismatch("good for years", receipt({ exp: 999_999_999_999 })),
  mismatch("good since 1970", receipt({ iat: 0 })),
  mismatch("expired before it was issued", receipt({ exp: NOW - 1 })),
  mismatch("expired when it was issued, by more than the clocks may differ", receipt({ exp: 0 })),
  mismatch("milliseconds", receipt({ iat: NOW * 1000, exp: NOW * 1000 + 60_000 })),
];

export interface GoodCase {
  readonly name: string;
  readonly receipt: string;
  readonly now?: number;
  readonly approver?: string;
}

/** The same member names and values in other spellings that JSON has, and at the bounds. */
export const GOOD: readonly GoodCase[] = [
  { name: "as the service writes it", receipt: receipt() },
  { name: "by the second key", receipt: receipt({}, KEYS.second) },
  {
    name: "members in another order",
    receipt: receiptOf(JSON.stringify(Object.fromEntries(Object.entries(PAYLOAD).reverse()))),
  },
  {
    name: "header members in another order",
    receipt: underHeader(JSON.stringify({ typ: TYPE, kid: "2026-11", alg: "ES256" })),
  },
  {
    name: "white space",
    receipt: signTexts(` ${JSON.stringify(JSON.parse(HEADER_TEXT), null, 2)}\n`, JSON.stringify(PAYLOAD, null, 2)),
  },
  { name: "escapes", receipt: receiptOf(PAYLOAD_TEXT.replace('"tool":"delete', '"t\\u006fol":"\\u0064elete')) },
  { name: "an approver of 512 bytes", receipt: receipt({ approver: "é".repeat(256) }), approver: "é".repeat(256) },
  { name: "characters of the URL alphabet", receipt: TWO_ALPHABETS, approver: "ÿ>ÿ?~~ÿÿ>>??" },
  { name: "as long as a receipt may be", receipt: receiptOfLength(4096) },
  { name: "30 seconds expired", receipt: receipt(), now: PAYLOAD.exp + 30 },
  { name: "issued in 30 seconds", receipt: receipt(), now: NOW - 30 },
  { name: "good for 300 seconds", receipt: receipt({ exp: NOW + 300 }) },
  { name: "good for no time", receipt: receipt({ exp: NOW }) },
  ...["two bytes over three", "one byte over three", "a multiple of three"].map((name, index) => ({
    name: `parts of ${name}`,
    receipt: signTexts(padded(HEADER_TEXT, 2 - index), padded(PAYLOAD_TEXT, 2 - index)),
  })),
];

/** What r and s can begin with, as far as their length in DER depends on it. */
export type Beginning = "high bit" | "no high bit" | "zero, high bit" | "zero, no high bit";

/** Signs until there is a receipt whose r (`part` 0) or s (`part` 1) begins in this way. */
export function receiptWith(part: 0 | 1, beginning: Beginning): string {
  for (let attempt = 0; attempt < 50_000; attempt++) {
    const text = receipt();
    const number = Buffer.from(text.split(".")[2] ?? "", "base64url").subarray(32 * part);
    const [first = 0, second = 0] = number;
    const zero = first === 0 ? "zero, " : "";
    if (beginning === `${zero}${(first === 0 ? second : first) >= 0x80 ? "high bit" : "no high bit"}`) return text;
  }
  throw new Error(`no signature with ${beginning}`);
}

/** With one of the two characters as the alphabet of section 4 has it, signed so. */
function otherAlphabet(text: string, character: string, other: string): string {
  const [header = "", payload = ""] = text.split(".");
  if (!payload.includes(character)) throw new Error("both alphabets write this alike");
  return signParts(header, payload.replaceAll(character, other));
}
