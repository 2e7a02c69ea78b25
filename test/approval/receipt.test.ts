// Receipts in the filter. Goal: a call passes on a receipt that one of the policy's keys has signed for exactly this call, and on nothing else. Method: receipts that differ from a good
// one in one thing each, nearly all of them signed by a real key; every bit of a good one; and a host whose word for it is not what it should be.
import { beforeAll, describe, expect, test } from "vitest";
import { signReceipt, verifyReceipt } from "../../src/approval/receipt.ts";
import { type Plugin, Vm } from "../../src/host/index.ts";
import { startChecker } from "./checker-host.ts";
import {
  APPROVER,
  type Beginning,
  CALL,
  type Case,
  GOOD,
  headerOf,
  KEYS,
  MALFORMED,
  makeKey,
  NOT_SIGNED,
  NOW,
  OTHERS,
  PAYLOAD,
  receipt,
  receiptWith,
  signTexts,
  UNTIMELY,
  ZERO_SIGNATURES,
} from "./receipt-cases.ts";
import { buildChecker, check, checkerConfiguration, receiptPath } from "./receipt-checker.ts";

const SPKIS = new Map([KEYS.first, KEYS.second].map(({ kid, spki }) => [kid, spki]));
const CONFIGURATION = checkerConfiguration(SPKIS, CALL);
const FOREIGN = "proxy_call_foreign_function";

let module: Uint8Array;
let vm: Vm;
let plugin: Plugin;

beforeAll(async () => {
  module = await buildChecker();
  vm = Vm.load(module);
  plugin = vm.startPlugin(CONFIGURATION);
});

const named = <T extends { readonly name: string }>(cases: readonly T[]) =>
  cases.map((one) => [one.name, one] as const);

const refused = (one: Case): void =>
  expect(check(plugin, one.receipt, one.now ?? NOW)).toEqual({ reason: one.reason, approver: "" });

describe("a good receipt", () => {
  test.each(named(GOOD))("passes: %s", (_name, { receipt: text, now = NOW, approver = APPROVER }) => {
    expect(check(plugin, text, now)).toEqual({ reason: "none", approver });
  });

  test("passes however many have been checked, good and bad, and costs no memory", () => {
    const bad = receipt({ tool: "x" });
    check(plugin, receipt(), NOW);
    const before = vm.memoryBytes();
    for (let round = 0; round < 500; round++) {
      expect(check(plugin, bad, NOW).reason).toBe("approval_mismatch");
      expect(check(plugin, receipt().slice(0, -1), NOW).reason).toBe("approval_signature");
    }
    expect(check(plugin, receipt(), NOW).reason).toBe("none");
    // What the module around it, a test tool, takes for its own texts.
    expect(vm.memoryBytes() - before).toBeLessThan(4 << 20);
  });

  test.each<[string, 0 | 1]>([
    ["r", 0],
    ["s", 1],
  ])("passes with every length that %s has in DER", (_name, part) => {
    for (const beginning of ["high bit", "no high bit", "zero, high bit", "zero, no high bit"] satisfies Beginning[]) {
      expect(check(plugin, receiptWith(part, beginning), NOW)).toEqual({ reason: "none", approver: APPROVER });
    }
  });

  test("is refused when its key is not in the policy any more", () => {
    const fresh = Vm.load(module).startPlugin(checkerConfiguration(new Map([["2026-12", KEYS.second.spki]]), CALL));
    expect(check(fresh, receipt(), NOW).reason).toBe("approval_signature");
    expect(check(fresh, receipt({}, KEYS.second), NOW).reason).toBe("none");
  });
});

describe("is no receipt of the keys:", () => {
  test.each(named(NOT_SIGNED))("%s", (_name, one) => refused(one));

  test.each(named(ZERO_SIGNATURES))("%s, and no host is asked", (_name, one) => {
    const asked = vm.calls[FOREIGN] ?? 0;
    refused(one);
    expect((vm.calls[FOREIGN] ?? 0) - asked).toBe(0);
    refused({ ...one, receipt: receipt({}, KEYS.stranger) });
    expect((vm.calls[FOREIGN] ?? 0) - asked).toBe(1);
  });

  test("whatever is cut off its end", () => {
    const good = receipt();
    for (let length = 0; length < good.length; length++) {
      expect(check(plugin, good.slice(0, length), NOW).reason, `${length} bytes`).toBe("approval_signature");
    }
  });

  test("however much there is of it", () => {
    const fresh = Vm.load(module).startPlugin(CONFIGURATION);
    for (const length of [4097, 4200, 65_536, 1_000_000]) {
      for (const text of ["A".repeat(length), `${receipt()}${".".repeat(length)}`, receipt().padEnd(length, "A")]) {
        expect(check(fresh, text, NOW)).toEqual({ reason: "approval_signature", approver: "" });
      }
    }
    expect(check(fresh, receipt(), NOW)).toEqual({ reason: "none", approver: APPROVER });
  });

  test("with any one bit of it flipped", () => {
    const good = Buffer.from(receipt());
    for (let bit = 0; bit < 8 * good.length; bit++) {
      const changed = Buffer.from(good);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(check(plugin, changed, NOW), `bit ${bit}`).toEqual({ reason: "approval_signature", approver: "" });
    }
  });

  test("with any one byte more in it", () => {
    const good = receipt();
    for (let at = 0; at <= good.length; at++) {
      for (const byte of ["A", ".", "\0"]) {
        const { reason } = check(plugin, `${good.slice(0, at)}${byte}${good.slice(at)}`, NOW);
        expect(reason, `${JSON.stringify(byte)} at ${at}`).toBe("approval_signature");
      }
    }
  });
});

describe("is not this call's:", () => {
  test.each(named([...MALFORMED, ...OTHERS]))("%s", (_name, one) => refused(one));
});

describe("is not of now:", () => {
  test.each(named(UNTIMELY))("%s", (_name, one) => refused(one));
});

describe("the host's word", () => {
  const VERIFIED = Buffer.of(0x08, 0x01);

  test("is taken when it is exactly that", () => {
    const host = startChecker(module, CONFIGURATION);
    host.answers = { foreign: { status: 0, result: VERIFIED } };
    expect(host.ask(receiptPath(NOW), receipt())).toEqual(["none", APPROVER]);
  });

  test.each<[string, Uint8Array]>([
    ["nothing", Buffer.of()],
    ["false", Buffer.of(0x08, 0x00)],
    ["a number that is not 1", Buffer.of(0x08, 0x02)],
    ["one byte", Buffer.of(0x08)],
    ["true as two bytes", Buffer.of(0x08, 0x81, 0x00)],
    ["another field", Buffer.of(0x10, 0x01)],
    ["true in the other order", Buffer.of(0x01, 0x08)],
    ["an error", Buffer.from("\x12\x01x")],
    ["true with an error", Buffer.from("\x08\x01\x12\x01x")],
    ["true, then false", Buffer.of(0x08, 0x01, 0x08, 0x00)],
  ])("is not taken when it is %s", (_name, result) => {
    const host = startChecker(module, CONFIGURATION);
    host.answers = { foreign: { status: 0, result } };
    expect(host.ask(receiptPath(NOW), receipt())).toEqual(["approval_signature", ""]);
    expect(host.calls).toContain(FOREIGN);
  });

  test.each([1, 2, 6, 10, 12])("is not taken with status %i", (status) => {
    const host = startChecker(module, CONFIGURATION);
    host.answers = { foreign: { status, result: VERIFIED } };
    expect(host.ask(receiptPath(NOW), receipt())).toEqual(["approval_signature", ""]);
    vm.failNext(FOREIGN, status);
    expect(check(plugin, receipt(), NOW).reason).toBe("approval_signature");
    expect(check(plugin, receipt(), NOW).reason).toBe("none");
  });

  test("comes before anything of the payload is read", () => {
    const host = startChecker(module, CONFIGURATION);
    host.answers = { foreign: { status: 0, result: Buffer.of() } };
    for (const one of [...MALFORMED, ...OTHERS, ...UNTIMELY]) {
      expect(host.ask(receiptPath(NOW), one.receipt), one.name).toEqual(["approval_signature", ""]);
    }
  });

  test("does not overwrite the receipt, wherever the receipt stands", () => {
    // Longer than a receipt, and where the receipt has landed: what is left of it must not be read.
    const host = startChecker(module, CONFIGURATION);
    host.answers = { foreign: { status: 0, result: Buffer.concat([VERIFIED, Buffer.alloc(5000, 0x41)]), claimed: 2 } };
    expect(host.ask(receiptPath(NOW), receipt())).toEqual(["none", APPROVER]);
  });
});

describe("signReceipt and verifyReceipt", () => {
  const { v: _version, ...RECEIPT } = PAYLOAD;
  const publicKeys = new Map([KEYS.first, KEYS.second].map(({ kid, publicKey }) => [kid, publicKey]));
  const signed = (members: object = {}) =>
    signReceipt({ ...RECEIPT, ...members }, KEYS.first.privateKey, KEYS.first.kid);

  test("the filter takes what is signed, and so does the verifier", async () => {
    for (const key of [KEYS.first, KEYS.second]) {
      const text = await signReceipt(RECEIPT, key.privateKey, key.kid);
      expect(check(plugin, text, NOW)).toEqual({ reason: "none", approver: APPROVER });
      expect(await verifyReceipt(text, publicKeys)).toEqual({ receipt: RECEIPT, kid: key.kid });
    }
  });

  test("what is signed has no member that was not asked for", async () => {
    const text = await signed({ scope: "all" }).catch((error: Error) => error.message);
    expect(text).toContain("scope");
  });

  test("the longest texts that a policy and a call can have still fit", async () => {
    const longest = {
      server: "s".repeat(128),
      issuer: "i".repeat(256),
      principal: "p".repeat(256),
      tool: "t".repeat(256),
      approver: "a".repeat(512),
    };
    const text = await signed(longest);
    const { approver: _approver, ...ofCall } = longest;
    const other = Vm.load(module).startPlugin(checkerConfiguration(SPKIS, { ...CALL, ...ofCall }));
    expect(check(other, text, NOW)).toEqual({ reason: "none", approver: longest.approver });
  });

  test.each<[string, object, string]>([
    ["lives too long", { exp: NOW + 301 }, "301 seconds"],
    ["has expired before it is issued", { exp: NOW - 1 }, "-1 seconds"],
    ["has half a second", { iat: NOW + 0.5 }, "iat"],
    ["has no approver", { approver: "" }, "approver has 0 bytes"],
    ["has too long an approver", { approver: "é".repeat(257) }, "approver has 514 bytes"],
    ["has controls in the approver", { approver: "a\u009bb" }, "control characters"],
    ["has half a surrogate pair", { tool: "\ud800" }, "tool is not a text"],
    ["has a text that is none", { tool: 1 }, "tool is not a text"],
    ["is too large", { tool: "t".repeat(4096) }, "at most 4096"],
  ])("nothing is signed that %s", async (_name, members, message) => {
    await expect(signed(members)).rejects.toThrow(message);
  });

  test("nothing is signed with a key of another curve or kind", async () => {
    await expect(signReceipt(RECEIPT, makeKey("x", "P-384").privateKey, "x")).rejects.toThrow("crv");
    await expect(signReceipt(RECEIPT, KEYS.first.publicKey, "x")).rejects.toThrow("private");
  });

  test("the verifier takes nothing that the filter refuses", async () => {
    for (const one of [...NOT_SIGNED, ...ZERO_SIGNATURES, ...MALFORMED]) {
      const text = Buffer.from(one.receipt).toString();
      expect(await verifyReceipt(text, publicKeys), one.name).toHaveProperty("fault");
    }
  });

  test("the verifier says what is wrong", async () => {
    const faultOf = async (text: string) => {
      const verified = await verifyReceipt(text, publicKeys);
      return "fault" in verified ? verified.fault : "";
    };
    expect(await faultOf(receipt({}, KEYS.stranger))).toContain("signature");
    expect(await faultOf(signTexts(headerOf(KEYS.first, { kid: "x" }), "{}"))).toContain('"x" is not known');
    expect(await faultOf(receipt({ tool: undefined, scope: 1 }))).toContain("tool, scope");
    expect(await faultOf(receipt({ v: 2 }))).toContain("v is 2");
    expect(await faultOf("x".repeat(4097))).toContain("4097 bytes");
  });
});
