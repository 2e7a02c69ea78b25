// Receipts and environment variables in a real Envoy: the module of receipt-checker.ts says there what it says on the Node host. Goal: nothing that
// decides about a receipt is a property of our own host. Method: the same cases, and of a good receipt one bit of each byte.
import { Agent, request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildBootstrap } from "../../src/envoy/bootstrap.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { testedVersions } from "../versions.ts";
import {
  APPROVER,
  type Beginning,
  CALL,
  GOOD,
  KEYS,
  MALFORMED,
  NOT_SIGNED,
  NOW,
  OTHERS,
  receipt,
  receiptWith,
  UNTIMELY,
  ZERO_SIGNATURES,
} from "./receipt-cases.ts";
import { buildChecker, CHECKER_PATH, checkerConfiguration, parseAnswer, receiptPath } from "./receipt-checker.ts";

const SPKIS = new Map([KEYS.first, KEYS.second].map(({ kid, spki }) => [kid, spki]));
/** A variable of Envoy's own process, which starts with this process's environment. */
const OF_PROCESS = "PATH";
/** The releases in which two configurations with the same module share a VM although they differ in its variables: the first one's. */
const SHARING = ["1.37.0", "1.38.2"];
/** With a binary of the caller's choice there is one version, whichever it is. */
const versions = process.env.ENVOY ? ["at ENVOY"] : testedVersions();

describe.each(versions)("Envoy %s", (version) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let envoy: EnvoyProcess;

  beforeAll(async () => {
    await buildChecker();
    const bootstrap = buildBootstrap({
      template: "test",
      wasmPath: CHECKER_PATH,
      upstream: { host: "127.0.0.1", port: 1 },
      adminPort: 0,
      guards: [
        {
          name: "checker",
          listenPort: 0,
          configuration: checkerConfiguration(SPKIS, CALL),
          environment: { values: { SECRET: "s3cret=with=equals", EMPTY: "" }, fromHost: [OF_PROCESS] },
        },
        { name: "bare", listenPort: 0, configuration: checkerConfiguration(new Map(), CALL) },
      ],
    });
    envoy = await startEnvoy({ bootstrap, version });
  });

  afterAll(async () => {
    agent.destroy();
    await envoy?.stop();
  });

  /** The two lines of the module's answer. */
  const ask = (path: string, body: Uint8Array | string, listener = "checker") =>
    new Promise<readonly [string, string]>((resolve, reject) => {
      const bytes = Buffer.from(body);
      const headers = { "content-length": bytes.length };
      const port = envoy.ports.get(listener)!;
      const question = request({ host: "127.0.0.1", port, method: "POST", path, headers, agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve(parseAnswer(Buffer.concat(chunks))));
        response.on("error", reject);
      });
      question.on("error", reject);
      question.end(bytes);
    });

  test("takes every good receipt", async () => {
    for (const { name, receipt: text, now = NOW, approver = APPROVER } of GOOD) {
      expect(await ask(receiptPath(now), text), name).toEqual(["none", approver]);
    }
  });

  test("takes every length that r and s have in DER", async () => {
    for (const part of [0, 1] as const) {
      for (const beginning of [
        "high bit",
        "no high bit",
        "zero, high bit",
        "zero, no high bit",
      ] satisfies Beginning[]) {
        const text = receiptWith(part, beginning);
        expect(await ask(receiptPath(NOW), text), `${part} ${beginning}`).toEqual(["none", APPROVER]);
      }
    }
  });

  test("refuses every other, for the same reason as on the Node host", async () => {
    const cases = [...NOT_SIGNED, ...ZERO_SIGNATURES, ...MALFORMED, ...OTHERS, ...UNTIMELY];
    // A request without a body has none to be checked.
    for (const { name, receipt: text, now = NOW, reason } of cases.filter((one) => one.receipt.length > 0)) {
      expect(await ask(receiptPath(now), text), name).toEqual([reason, ""]);
    }
  });

  test("refuses a good receipt with a bit flipped, in each byte one", async () => {
    const good = Buffer.from(receipt());
    for (let at = 0; at < good.length; at++) {
      const changed = Buffer.from(good);
      changed[at]! ^= 1 << (at & 7);
      expect(await ask(receiptPath(NOW), changed), `byte ${at}`).toEqual(["approval_signature", ""]);
    }
    expect(await ask(receiptPath(NOW), good)).toEqual(["none", APPROVER]);
  });

  test("gives the filter the variables of its VM", async () => {
    expect(await ask("/variable/64", "SECRET")).toEqual(["18", "s3cret=with=equals"]);
    expect(await ask("/variable/64", "EMPTY")).toEqual(["0", ""]);
    const value = process.env[OF_PROCESS] ?? "";
    expect(value).not.toBe("");
    expect(await ask("/variable/8192", OF_PROCESS)).toEqual([`${Buffer.byteLength(value)}`, value]);
    expect(await ask("/variable/64", "SECRETS")).toEqual(["-1", ""]);
  });

  test("gives another configuration none of them, in the releases that tell VMs apart by that", async () => {
    const answer = await ask("/variable/64", "SECRET", "bare");
    const shared = ["18", "s3cret=with=equals"];
    if (process.env.ENVOY) expect([["-1", ""], shared]).toContainEqual(answer);
    else expect(answer).toEqual(SHARING.includes(version) ? shared : ["-1", ""]);
  });
});
