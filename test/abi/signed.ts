// Arguments and results of the foreign functions `verify_signature` and `sign` (Envoy: VerifySignatureArguments, SignArguments and their results).
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** The text that all of them sign. */
const TEXT = Buffer.from("header.payload");

const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ed25519 = generateKeyPairSync("ed25519");

const derOf = (key: KeyObject): Buffer => key.export({ format: "der", type: "spki" });
const pemOf = (key: KeyObject): string => key.export({ format: "pem", type: "spki" }).toString();

/** Fields as they stand in a message: those of a text or bytes have type 2. */
function messageOf(fields: readonly (readonly [number, string | Uint8Array])[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      const bytes = Buffer.from(value);
      const length = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
      return Buffer.concat([Buffer.of((number << 3) | 2, ...length), bytes]);
    }),
  );
}

interface Arguments {
  readonly hash?: string | Uint8Array;
  readonly key?: Uint8Array;
  readonly pem?: string;
  readonly signature?: Uint8Array;
  readonly text?: Uint8Array;
}

const SIGNATURE = sign("sha256", TEXT, p256.privateKey);

/** The arguments with a good signature, but for what is named. */
function argumentsOf(other: Arguments = {}): Buffer {
  const { hash = "sha256", key = derOf(p256.publicKey), pem = "", signature = SIGNATURE, text = TEXT } = other;
  const fields: readonly (readonly [number, string | Uint8Array])[] = [
    [1, hash],
    [2, key],
    [3, signature],
    [4, text],
    [5, pem],
  ];
  return messageOf(fields.filter(([, value]) => value.length > 0));
}

const NONE = new Uint8Array();
const raw = sign("sha256", TEXT, { key: p256.privateKey, dsaEncoding: "ieee-p1363" });
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
const zeroes = Buffer.from("3006020100020100", "hex");
/** r with a zero in front of it that DER does not have. */
const loose = Buffer.concat([Buffer.of(0x30, SIGNATURE[1]! + 1, 0x02, SIGNATURE[3]! + 1, 0), SIGNATURE.subarray(4)]);

const offCurve = derOf(p256.publicKey);
offCurve[offCurve.length - 1]! ^= 1;

const VERIFIED = "0801";
const failed = (error: string): string => messageOf([[2, error]]).toString("hex");
const NOT_VERIFIED = failed("Failed to verify digest. Error code: 0");
/** Of a key that there is none of, or none that takes a digest. */
const NO_KEY = failed("Failed to initialize digest verify.");

/** What each is, its arguments, and what the probe logs. */
const CALLS: readonly (readonly [name: string, args: Uint8Array, logged: string])[] = [
  ["ECDSA on P-256", argumentsOf(), `0 ${VERIFIED}`],
  ["the hash in another case", argumentsOf({ hash: "SHA256" }), `0 ${VERIFIED}`],
  [
    "a byte behind the key",
    argumentsOf({ key: Buffer.concat([derOf(p256.publicKey), Buffer.of(0)]) }),
    `0 ${VERIFIED}`,
  ],
  ["the key as PEM", argumentsOf({ key: NONE, pem: pemOf(p256.publicKey) }), `0 ${VERIFIED}`],
  [
    "ECDSA on P-384",
    argumentsOf({ hash: "sha384", key: derOf(p384.publicKey), signature: sign("sha384", TEXT, p384.privateKey) }),
    `0 ${VERIFIED}`,
  ],
  ["RSA", argumentsOf({ key: derOf(rsa.publicKey), signature: sign("sha256", TEXT, rsa.privateKey) }), `0 ${VERIFIED}`],
  [
    "a field that nobody knows",
    Buffer.concat([argumentsOf(), messageOf([[15, "x"]]), Buffer.of(0x30, 0x01)]),
    `0 ${VERIFIED}`,
  ],
  ["a field that stands twice: the last", Buffer.concat([messageOf([[3, "x"]]), argumentsOf()]), `0 ${VERIFIED}`],

  ["r and s side by side", argumentsOf({ signature: raw }), `0 ${NOT_VERIFIED}`],
  ["another text", argumentsOf({ text: Buffer.from("header.payloae") }), `0 ${NOT_VERIFIED}`],
  ["another key", argumentsOf({ key: derOf(stranger.publicKey) }), `0 ${NOT_VERIFIED}`],
  ["no signature", argumentsOf({ signature: NONE }), `0 ${NOT_VERIFIED}`],
  ["r and s are 0", argumentsOf({ signature: zeroes }), `0 ${NOT_VERIFIED}`],
  ["a number that is longer than it must be", argumentsOf({ signature: loose }), `0 ${NOT_VERIFIED}`],
  [
    "bytes behind the signature",
    argumentsOf({ signature: Buffer.concat([SIGNATURE, Buffer.of(0)]) }),
    `0 ${NOT_VERIFIED}`,
  ],
  ["another hash", argumentsOf({ hash: "sha512" }), `0 ${NOT_VERIFIED}`],
  [
    "Ed25519",
    argumentsOf({ key: derOf(ed25519.publicKey), signature: sign(null, TEXT, ed25519.privateKey) }),
    `0 ${NO_KEY}`,
  ],
  ["a key that is none", argumentsOf({ key: Buffer.from("key") }), `0 ${NO_KEY}`],
  ["PEM that is none", argumentsOf({ key: NONE, pem: "key" }), `0 ${NO_KEY}`],
  [
    "a key that is none, and an unknown hash",
    argumentsOf({ key: NONE, pem: "key", hash: "md5" }),
    `0 ${failed("md5 is not supported.")}`,
  ],
  ["a private key", argumentsOf({ key: p256.privateKey.export({ format: "der", type: "pkcs8" }) }), `0 ${NO_KEY}`],
  [
    "a private key as PEM",
    argumentsOf({ key: NONE, pem: p256.privateKey.export({ format: "pem", type: "pkcs8" }).toString() }),
    `0 ${NO_KEY}`,
  ],
  ["a point that is not on the curve", argumentsOf({ key: offCurve }), `0 ${NO_KEY}`],
  ["no hash", argumentsOf({ hash: "" }), `0 ${failed(" is not supported.")}`],
  ["an unknown hash", argumentsOf({ hash: "md5" }), `0 ${failed("md5 is not supported.")}`],

  ["no key", argumentsOf({ key: NONE }), "2 "],
  ["both forms of a key", argumentsOf({ pem: pemOf(p256.publicKey) }), "2 "],
  ["a message that is cut", argumentsOf().subarray(0, -1), "2 "],
  ["a hash that is no text", argumentsOf({ hash: Buffer.of(0xff) }), "2 "],
  ["nothing", NONE, "2 "],
];

/** The probe's actions, and the lines that they log, the same on every host. */
export const VERIFY_ACTIONS = CALLS.map(([, args]) => `foreign:verify_signature,${Buffer.from(args).toString("hex")}`);
export const VERIFY_LINES = CALLS.map(([, , logged]) => `foreign ${logged}`);

// --- sign, since Envoy 1.37 ---

const pkcs8 = (key: KeyObject): Buffer => key.export({ format: "der", type: "pkcs8" });
const rsa4096 = generateKeyPairSync("rsa", { modulusLength: 4096 });

interface SignArguments {
  readonly hash?: string | Uint8Array;
  readonly key?: Uint8Array;
  readonly pem?: string;
  readonly text?: Uint8Array;
}

/** Arguments that sign with RSA, whose signature is the same each time (RFC 8017 section 8.2), but for what is named. */
function signArguments(other: SignArguments = {}): Buffer {
  const { hash = "sha256", key = pkcs8(rsa.privateKey), pem = "", text = TEXT } = other;
  const fields: readonly (readonly [number, string | Uint8Array])[] = [
    [1, hash],
    [2, key],
    [3, text],
    [4, pem],
  ];
  return messageOf(fields.filter(([, value]) => value.length > 0));
}

const made = (key: KeyObject, hash = "sha256"): string =>
  `0 ${Buffer.concat([Buffer.of(0x08, 0x01), messageOf([[2, sign(hash, TEXT, key)]])]).toString("hex")}`;
const notMade = (error: string): string => `0 ${messageOf([[3, error]]).toString("hex")}`;
const NO_PRIVATE_KEY = notMade("Invalid key type: private key required for signing operation.");

const SIGN_CALLS: readonly (readonly [name: string, args: Uint8Array, logged: string])[] = [
  ["RSA of 2,048 bits", signArguments(), made(rsa.privateKey)],
  ["RSA of 4,096 bits", signArguments({ key: pkcs8(rsa4096.privateKey) }), made(rsa4096.privateKey)],
  ["the hash in another case", signArguments({ hash: "SHA256" }), made(rsa.privateKey)],
  ["another hash", signArguments({ hash: "sha512" }), made(rsa.privateKey, "sha512")],
  [
    "the key as PEM",
    signArguments({ key: NONE, pem: rsa.privateKey.export({ format: "pem", type: "pkcs8" }).toString() }),
    made(rsa.privateKey),
  ],
  ["RSA in PKCS #1", signArguments({ key: rsa.privateKey.export({ format: "der", type: "pkcs1" }) }), NO_PRIVATE_KEY],
  ["a curve in SEC 1", signArguments({ key: p256.privateKey.export({ format: "der", type: "sec1" }) }), NO_PRIVATE_KEY],
  ["a public key", signArguments({ key: derOf(rsa.publicKey) }), NO_PRIVATE_KEY],
  ["a key that is none", signArguments({ key: Buffer.from("key") }), NO_PRIVATE_KEY],
  [
    "Ed25519",
    signArguments({ key: pkcs8(ed25519.privateKey) }),
    notMade("Invalid private key: key data is corrupted or malformed."),
  ],
  ["an unknown hash", signArguments({ hash: "md5" }), notMade("md5 is not supported.")],
  ["no key", signArguments({ key: NONE }), "2 "],
  ["both forms of a key", signArguments({ pem: "key" }), "2 "],
  ["a message that is cut", signArguments().subarray(0, -1), "2 "],
  ["nothing", NONE, "2 "],
];

/** As for `verify_signature`. What a key on a curve signs is another text each time: the filter's own tests have that. */
export const SIGN_ACTIONS = SIGN_CALLS.map(([, args]) => `foreign:sign,${Buffer.from(args).toString("hex")}`);
export const SIGN_LINES = SIGN_CALLS.map(([, , logged]) => `foreign ${logged}`);
