// An authenticator in software: real keys and real signatures (WebAuthn Level 3 section 6), and switches for everything that it could do wrong.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** What an authenticator or its browser does differently from what it should. */
export interface Deviations {
  /** Where the browser believes to be. */
  readonly origin?: string;
  readonly rpId?: string;
  /** Whether the person proved to be there by finger, face or PIN. */
  readonly userVerified?: boolean;
  readonly userPresent?: boolean;
  readonly counter?: number;
  /** Members of the client data that are different, or more. */
  readonly clientData?: Readonly<Record<string, unknown>>;
  /** The user that the authenticator names. */
  readonly userHandle?: string;
  /** Changes the signature. */
  readonly spoil?: boolean;
}

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const ATTESTED = 0x40;

/** One credential on one device. */
export class Authenticator {
  readonly id = randomBytes(16);
  readonly #origin: string;
  readonly #publicKey: KeyObject;
  readonly #privateKey: KeyObject;
  counter = 0;

  constructor(origin: string) {
    this.#origin = origin;
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  /** The answer to a question for a new passkey. */
  register(options: { readonly challenge: string }, deviations: Deviations = {}) {
    const clientDataJSON = this.#clientData("webauthn.create", options.challenge, deviations);
    const { x = "", y = "" } = this.#publicKey.export({ format: "jwk" });
    // RFC 9053 section 7.1: EC2, ES256, P-256 and the point.
    const key = cborMap([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, Buffer.from(x, "base64url")],
      [-3, Buffer.from(y, "base64url")],
    ]);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.id.length);
    const attested = Buffer.concat([Buffer.alloc(16), length, this.id, key]);
    const authData = Buffer.concat([this.#head(ATTESTED, deviations), attested]);
    const attestationObject = cborMap([
      ["fmt", "none"],
      ["attStmt", new Map<string, string>()],
      ["authData", authData],
    ]);
    return this.#answer({
      clientDataJSON: clientDataJSON.toString("base64url"),
      attestationObject: attestationObject.toString("base64url"),
      transports: ["internal"],
    });
  }

  /** The answer to a question for a signature. */
  assert(options: { readonly challenge: string }, deviations: Deviations = {}) {
    const clientDataJSON = this.#clientData("webauthn.get", options.challenge, deviations);
    const authenticatorData = this.#head(0, deviations);
    const hash = createHash("sha256").update(clientDataJSON).digest();
    const signature = sign("sha256", Buffer.concat([authenticatorData, hash]), this.#privateKey);
    if (deviations.spoil === true) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
    return this.#answer({
      authenticatorData: authenticatorData.toString("base64url"),
      clientDataJSON: clientDataJSON.toString("base64url"),
      signature: signature.toString("base64url"),
      ...(deviations.userHandle !== undefined && { userHandle: deviations.userHandle }),
    });
  }

  #answer<Response>(response: Response) {
    const id = this.id.toString("base64url");
    return { id, rawId: id, type: "public-key" as const, clientExtensionResults: {}, response };
  }

  #clientData(type: string, challenge: string, { origin = this.#origin, clientData }: Deviations): Buffer {
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false, ...clientData }));
  }

  /** The beginning of the authenticator data: whose, which flags, which counter (section 6.1). */
  #head(flags: number, { rpId, userVerified = true, userPresent = true, counter, origin }: Deviations): Buffer {
    const host = rpId ?? new URL(origin ?? this.#origin).hostname;
    const head = Buffer.alloc(5);
    head[0] = flags | (userPresent ? USER_PRESENT : 0) | (userVerified ? USER_VERIFIED : 0);
    head.writeUInt32BE(counter ?? this.counter, 1);
    return Buffer.concat([createHash("sha256").update(host).digest(), head]);
  }
}

type CborValue = number | string | Buffer | ReadonlyMap<string, string>;

/** A map of CBOR (RFC 8949) with what stands in attestations: small integers, short texts and bytes, empty maps. */
function cborMap(entries: readonly (readonly [number | string, CborValue])[]): Buffer {
  return Buffer.concat([Buffer.from([0xa0 | entries.length]), ...entries.flat().map(cborValue)]);
}

function cborValue(value: CborValue): Buffer {
  if (value instanceof Map) return Buffer.from([0xa0]);
  if (typeof value === "number") return value < 0 ? cborHead(1, -1 - value) : cborHead(0, value);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([cborHead(typeof value === "string" ? 3 : 2, bytes.length), bytes]);
}

function cborHead(major: number, length: number): Buffer {
  if (length < 24) return Buffer.from([(major << 5) | length]);
  return length < 256
    ? Buffer.from([(major << 5) | 24, length])
    : Buffer.from([(major << 5) | 25, length >> 8, length & 0xff]);
}
