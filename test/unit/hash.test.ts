// The hashes: SipHash-1-3 against the paper's definition in big numbers, SHA-256 against Node's, the short hash by what it must keep. Goal of the first: with a
// secret key nobody can prepare member names that make the duplicate check slow.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Harness, TARGETS } from "./harness.ts";
import { sipHash13 } from "./sip-hash.ts";

const harness = new Harness();
const [KEY0, KEY1] = [0x0123456789abcdefn, 0xfedcba9876543210n];

const word = (value: bigint): bigint => BigInt.asUintN(64, value);

const sipHash = (bytes: Uint8Array, tweak = 0): bigint =>
  word(harness.withBytes(bytes, (address, exports) => exports.sipHash(address, bytes.length, tweak)));

describe("shortHash", () => {
  const COUNT = 4096;
  /** Names that differ in as little, or as regularly, as names can: what somebody would try who does not know the key. */
  const FAMILIES: Readonly<Record<string, (index: number) => string>> = {
    "numbers at the end of a word": (index) => `field_${index}`,
    "numbers in front": (index) => `${index}`,
    "two letters": (index) => String.fromCharCode(0x40 + (index & 63), 0x40 + (index >> 6)),
    "the last bytes of the first word": (index) =>
      `aaaaaa${String.fromCharCode(0x40 + (index & 63), 0x40 + (index >> 6))}`,
    "the last bytes of the second word": (index) =>
      `aaaaaaaaaaaaa${String.fromCharCode(0x40 + (index & 63), 0x40 + (index >> 6))}`,
    "the last byte of each word": (index) =>
      `aaaaaaa${String.fromCharCode(0x40 + (index & 63))}aaaaaa${String.fromCharCode(0x40 + (index >> 6))}`,
    "the first byte of each word": (index) =>
      `${String.fromCharCode(0x40 + (index & 63))}aaaaaaa${String.fromCharCode(0x40 + (index >> 6))}`,
    "one bit in each of twelve bytes": (index) =>
      Array.from({ length: 12 }, (_, bit) => ((index >> bit) & 1 ? "a" : "A")).join(""),
  };

  const hashOf = (name: string, tweak = 0): bigint => {
    const bytes = Buffer.alloc(16);
    bytes.write(name, "latin1");
    return word(harness.exports.shortHash(bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8), tweak));
  };

  /** How many slots a table of twice as many is looked at in, all names together (json/members.ts). */
  function probes(hashes: readonly bigint[]): number {
    const slots = new Set<number>();
    let looked = 0;
    for (const hash of hashes) {
      let slot = Number(hash & BigInt(2 * COUNT - 1));
      for (looked++; slots.has(slot); looked++) slot = (slot + 1) % (2 * COUNT);
      slots.add(slot);
    }
    return looked;
  }

  afterEach(() => harness.exports.setKey(KEY0, KEY1));

  test.each(Object.entries(FAMILIES))("names do not meet, under any of many keys: %s", (_name, nameOf) => {
    for (let round = 1n; round <= 20n; round++) {
      harness.exports.setKey(word(KEY0 * (2n * round + 1n)), word(KEY1 * (4n * round + 3n)));
      const hashes = Array.from({ length: COUNT }, (_, index) => hashOf(nameOf(index)));
      expect(new Set(hashes).size).toBe(COUNT);
      // A random function needs about 1.5 each.
      expect(probes(hashes)).toBeLessThan(2 * COUNT);
    }
  });

  test("depends on the depth, and is never the mark of an empty slot", () => {
    const hashes = Array.from({ length: 64 }, (_, depth) =>
      ["", "a", "name"].map((name) => hashOf(name, depth)),
    ).flat();
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashes).not.toContain(0n);
  });
});

describe("sipHash", () => {
  test("agrees with the definition on every length", () => {
    for (let length = 0; length <= 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 37 + length) & 255);
      expect(sipHash(bytes)).toBe(sipHash13(bytes, 0, KEY0, KEY1));
    }
  });

  test("agrees with the definition on any bytes, tweak and key", () => {
    const key = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(0xffffffff), key, key, (bytes, tweak, key0, key1) => {
        harness.exports.setKey(key0, key1);
        const found = sipHash(bytes, tweak);
        harness.exports.setKey(KEY0, KEY1);
        expect(found).toBe(sipHash13(bytes, tweak, key0, key1));
      }),
      { numRuns: 1000 },
    );
  });

  test("looks at no byte behind its input", () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, index) => index);
    for (let length = 0; length < 32; length++) {
      const changed = Uint8Array.from(bytes).fill(0xff, length);
      const [one, other] = [bytes, changed].map((each) =>
        harness.withBytes(each, (address, exports) => exports.sipHash(address, length, 3)),
      );
      expect(one).toBe(other);
    }
  });

  test("depends on key, tweak, length and every bit", () => {
    const bytes = Uint8Array.from({ length: 20 }, (_, index) => index);
    const seen = new Set([sipHash(bytes)]);
    for (let bit = 0; bit < 160; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      seen.add(sipHash(changed));
    }
    for (let tweak = 1; tweak < 64; tweak++) seen.add(sipHash(bytes, tweak));
    for (let length = 0; length < 20; length++) seen.add(sipHash(bytes.subarray(0, length)));
    // A NUL more is another name.
    for (let nuls = 1; nuls < 20; nuls++) seen.add(sipHash(Uint8Array.from([...bytes, ...new Array(nuls).fill(0)])));
    for (const key of [0n, 1n, KEY1]) {
      harness.exports.setKey(key, KEY1);
      seen.add(sipHash(bytes));
      harness.exports.setKey(KEY0, key);
      seen.add(sipHash(bytes));
    }
    harness.exports.setKey(KEY0, KEY1);
    expect(seen.size).toBe(1 + 160 + 63 + 20 + 19 + 5);
  });

  test("of 50,000 names that collide without a key: each is new, and twice as many take twice the time", () => {
    harness.setBounds({ depth: 64, membersPerObject: 65_536, openMembers: 65_536, keyBytes: 256 });
    // "Aa" and "BB" are one value to the polynomial hash with factor 31, and so is each row of them.
    const text = (count: number): Buffer => {
      const names = Array.from({ length: count }, (_, index) =>
        [...index.toString(2).padStart(16, "0")].map((bit) => (bit === "0" ? "Aa" : "BB")).join(""),
      );
      return Buffer.from(`{${names.map((name) => `"${name}":0`).join(",")}}`);
    };
    const [half, whole] = [text(25_000), text(50_000)];
    const milliseconds = (body: Buffer): number => {
      const start = process.hrtime.bigint();
      expect(harness.read(body, [], 0).error).toBe("none");
      return Number(process.hrtime.bigint() - start) / 1e6;
    };
    let best = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 5 && best >= 2.3; attempt++) {
      const times = Array.from({ length: 7 }, () => [milliseconds(half), milliseconds(whole)] as const);
      best = Math.min(best, Math.min(...times.map(([, two]) => two)) / Math.min(...times.map(([one]) => one)));
    }
    expect(best).toBeLessThan(2.3);
  });
});

describe.each(TARGETS)("sha256, %s", (target) => {
  const harness = new Harness(target);
  const { exports } = harness;

  const sha256 = (bytes: Uint8Array): string =>
    harness.withBytes(bytes, (address) => hexAt(exports.sha256(address, bytes.length)));
  const expected = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 255);
  const repeated = (byte: number, length: number): Uint8Array => new Uint8Array(length).fill(byte);

  function hexAt(digest: number): string {
    return Buffer.from(exports.memory.buffer, digest, 32).toString("hex");
  }

  /** A digest under way, with bytes around its record that must stay. */
  class Running {
    static readonly #FENCE = 64;
    readonly #start = exports.allocate(exports.sha256Bytes() + 2 * Running.#FENCE);
    readonly #record = this.#start + Running.#FENCE;

    constructor() {
      this.#bytes().fill(0xa5);
      this.begin();
    }

    begin(): void {
      exports.beginSha256(this.#record);
    }

    update(bytes: Uint8Array): void {
      // The bytes are overwritten as soon as the call is back: nothing may be read later.
      harness.withBytes(bytes, (address) => {
        exports.updateSha256(this.#record, address, bytes.length);
        new Uint8Array(exports.memory.buffer, address, bytes.length).fill(0xff);
      });
    }

    end(): string {
      const digest = exports.endSha256(this.#record);
      expect(digest).toBeGreaterThanOrEqual(this.#record);
      expect(digest + 32).toBeLessThanOrEqual(this.#record + exports.sha256Bytes());
      const fence = [this.#bytes().subarray(0, Running.#FENCE), this.#bytes().subarray(-Running.#FENCE)];
      for (const side of fence) expect(side.every((byte) => byte === 0xa5)).toBe(true);
      return hexAt(digest);
    }

    release(): void {
      exports.release(this.#start);
    }

    #bytes(): Uint8Array {
      return new Uint8Array(exports.memory.buffer, this.#start, exports.sha256Bytes() + 2 * Running.#FENCE);
    }
  }

  /** The digest of `bytes`, cut before each of `cuts` (ascending offsets). */
  function inPieces(bytes: Uint8Array, cuts: readonly number[]): string {
    const running = new Running();
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      running.update(bytes.subarray(from, to));
      from = to;
    }
    const digest = running.end();
    running.release();
    return digest;
  }

  // The examples that NIST gives with FIPS 180-4, and those it gives for the places where padding goes wrong.
  test.each<[string, Uint8Array, string]>([
    ["nothing", Buffer.from(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", Buffer.from("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "448 bits",
      Buffer.from("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
    [
      "896 bits",
      Buffer.from(
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      ),
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
    ],
    ["a million a", repeated(0x61, 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
    ["one byte", Buffer.from("bd", "hex"), "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"],
    ["four bytes", Buffer.from("c98c8e55", "hex"), "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"],
    ["55 zeros", repeated(0, 55), "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"],
    ["56 zeros", repeated(0, 56), "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"],
    ["57 zeros", repeated(0, 57), "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"],
    ["64 zeros", repeated(0, 64), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"],
    ["1000 zeros", repeated(0, 1000), "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"],
    ["1000 A", repeated(0x41, 1000), "c2e686823489ced2017f6059b8b239318b6364f6dcd835d0a519105a1eadd6e4"],
    ["1005 U", repeated(0x55, 1005), "f4d62ddec0f3dd90ea1380fa16a5ff8dc4c54b21740650f24afc4120903552b0"],
    ["a million zeros", repeated(0, 1_000_000), "d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025"],
  ])("gives NIST's digest of %s", (_name, bytes, digest) => {
    expect(sha256(bytes)).toBe(digest);
    expect(inPieces(bytes, [bytes.length >> 1])).toBe(digest);
  });

  test("is right for every length up to 300", () => {
    for (let length = 0; length <= 300; length++) expect(sha256(pattern(length))).toBe(expected(pattern(length)));
  });

  test("is right for any bytes at any address", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), fc.nat(15), (bytes, shift) => {
        const shifted = new Uint8Array(shift + bytes.length);
        shifted.set(bytes, shift);
        const found = harness.withBytes(shifted, (address) => hexAt(exports.sha256(address + shift, bytes.length)));
        expect(found).toBe(expected(bytes));
      }),
      { numRuns: 300 },
    );
  });

  test("is the same however the bytes come: in two pieces, at every length and cut", () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 200]) {
      const bytes = pattern(length);
      for (let cut = 0; cut <= length; cut++) expect(inPieces(bytes, [cut]), `${length}, ${cut}`).toBe(expected(bytes));
    }
  });

  test("is the same however the bytes come: one at a time", () => {
    const bytes = pattern(300);
    expect(
      inPieces(
        bytes,
        Array.from(bytes, (_, index) => index),
      ),
    ).toBe(expected(bytes));
  });

  test("is the same however the bytes come: any bytes, any cuts, empty pieces among them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.array(fc.nat(2000), { maxLength: 12 }), (bytes, places) => {
        const cuts = places.map((place) => Math.min(place, bytes.length)).sort((one, other) => one - other);
        expect(inPieces(bytes, cuts)).toBe(expected(bytes));
      }),
      { numRuns: 300 },
    );
  });

  test("keeps digests apart that are under way at once, with one of a whole range between their pieces", () => {
    const texts = [pattern(500), pattern(333), pattern(64)];
    const running = texts.map(() => new Running());
    for (let from = 0; from < 500; from += 37) {
      for (const [index, text] of texts.entries()) running[index]!.update(text.subarray(from, from + 37));
      expect(sha256(texts[1]!.subarray(0, from))).toBe(expected(texts[1]!.subarray(0, from)));
    }
    const digests = running.map((each) => each.end());
    expect(digests).toEqual(texts.map(expected));
    for (const each of running) each.release();
  });

  test("begins anew in a record that was used, in the middle or to the end", () => {
    const running = new Running();
    running.update(pattern(100));
    running.begin();
    running.update(pattern(70));
    expect(running.end()).toBe(expected(pattern(70)));
    running.begin();
    expect(running.end()).toBe(expected(pattern(0)));
    running.release();
  });

  test("is right for 1 MiB, whole and in pieces as Envoy hands them over", () => {
    const bytes = Uint8Array.from({ length: 1 << 20 }, (_, index) => (index * 31 + (index >> 8)) & 255);
    expect(sha256(bytes)).toBe(expected(bytes));
    const cuts = Array.from({ length: 64 }, (_, index) => index * 16_384 - (index % 3)).slice(1);
    expect(inPieces(bytes, cuts)).toBe(expected(bytes));
  });

  test("counts bits beyond 32 of them: 513 MiB", () => {
    const piece = pattern(1 << 20);
    const running = new Running();
    const reference = createHash("sha256");
    for (let count = 0; count < 513; count++) {
      running.update(piece);
      reference.update(piece);
    }
    expect(running.end()).toBe(reference.digest("hex"));
    running.release();
  });

  test("takes no memory", () => {
    const bytes = exports.memory.buffer.byteLength;
    const address = exports.allocate(64);
    exports.release(address);
    const running = new Running();
    for (let count = 0; count < 20_000; count++) {
      running.update(pattern(20));
      sha256(pattern(20));
    }
    running.end();
    running.release();
    const again = exports.allocate(64);
    exports.release(again);
    expect(again).toBe(address);
    expect(exports.memory.buffer.byteLength).toBe(bytes);
  });
});
