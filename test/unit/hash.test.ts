// The hashes: SipHash-1-3 against the paper's definition in big numbers, SHA-256 against Node's, the short hash by what it must keep. Goal of the first: with a
// secret key nobody can prepare member names that make the duplicate check slow.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Harness } from "./harness.ts";
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

describe("sha256", () => {
  const sha256 = (bytes: Uint8Array): string =>
    harness.withBytes(bytes, (address, exports) => {
      const digest = exports.sha256(address, bytes.length);
      return Buffer.from(exports.memory.buffer)
        .subarray(digest, digest + 32)
        .toString("hex");
    });
  const expected = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

  test("is right for every length up to three blocks", () => {
    for (let length = 0; length <= 200; length++) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 255);
      expect(sha256(bytes)).toBe(expected(bytes));
    }
  });

  test("is right for a million letters (FIPS 180-4's third example)", () => {
    const bytes = new Uint8Array(1_000_000).fill(0x61);
    expect(sha256(bytes)).toBe("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  });

  test("is right for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
        expect(sha256(bytes)).toBe(expected(bytes));
      }),
      { numRuns: 300 },
    );
  });
});
