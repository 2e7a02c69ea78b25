// Rate limits on a real Envoy. Goal: over the limit the client gets 429 with a Retry-After that is true, on either protocol and however the headers are
// held, the server gets nothing of the request, each principal has a bucket of his own, and each worker has its own buckets. Method: tokens that
// jwt_authn has validated; slow rates, so that the machine's speed does not matter, and one that gives back while the test waits.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testedVersions } from "../versions.ts";
import { drivers } from "./drivers/drivers.ts";
import {
  guardIn,
  HEADER_MODE_NAMES,
  type HeaderMode,
  JSON_FIELDS,
  named,
  PROTOCOLS,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { checkTokens, createIssuer, type Issuer } from "./tokens.ts";
import { verdictOf } from "./verdict.ts";
import { type Answer, pause, type WireConnection } from "./wire.ts";

const ISSUER = "https://idp.example";
const IDENTITY = { jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }] };
const BURST = 3;
const SLOW = { requests: 1, seconds: 3600, burst: BURST };
const policy = (rate_limit: object): object => ({ tool_allowlist: ["echo"], identity: IDENTITY, rate_limit });
const LIMITED = "refuse 429 rate_limited";
const WORKERS = 2;

let issuer: Issuer;
let requests = 0;

beforeAll(async () => {
  issuer = await createIssuer(ISSUER);
});

/** One call in somebody's name, and what became of it. */
async function call(
  rig: Rig,
  connection: WireConnection,
  principal: string,
  mode: HeaderMode = "release",
): Promise<{ verdict: string; answer: Answer | undefined }> {
  const id = `rate.${++requests}`;
  const body = Buffer.from(toolCall("echo"));
  const authorization = `Bearer ${await issuer.sign({ sub: principal })}`;
  const request = connection.open({
    method: "POST",
    path: "/mcp",
    headers: [...JSON_FIELDS, ...named(id), ["authorization", authorization]],
    framing: "length",
    bodyBytes: body.length,
  });
  request.end(body);
  const answer = await request.answer;
  return { verdict: verdictOf(rig.origin, id, mode, body, answer), answer };
}

const RUNS = drivers.flatMap((driver) => testedVersions().map((version) => ({ driver, version, name: driver.name })));

describe.each(RUNS)("Envoy $version by the $name driver", ({ driver, version }) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig({
      driver,
      version,
      guards: [
        ...HEADER_MODE_NAMES.map((mode) => guardIn(mode, policy({ per_principal: SLOW }), { name: mode })),
        // The same configuration at another listener.
        guardIn("release", policy({ per_principal: SLOW }), { name: "twin" }),
        guardIn("release", policy({ per_tool: { requests: 1, seconds: 2 } }), { name: "quick" }),
        guardIn("release", { ...policy({ per_principal: SLOW }), mode: "monitor" }, { name: "monitor" }),
      ],
      edit: (bootstrap) => checkTokens(bootstrap, [{ name: "people", issuer }]),
    });
  });

  afterAll(() => rig?.stop());

  describe.each(PROTOCOLS)("over %s", (protocol) => {
    test.each(HEADER_MODE_NAMES)("with the headers in mode %s, each principal has his own burst", async (mode) => {
      const connection = await rig.connect(protocol, mode);
      const [alice, bob] = [`alice over ${protocol}`, `bob over ${protocol}`];
      const verdicts: string[] = [];
      for (const principal of [alice, alice, alice, alice, bob, alice]) {
        const { verdict, answer } = await call(rig, connection, principal, mode);
        verdicts.push(verdict);
        const told = answer?.headers.get("retry-after");
        if (verdict !== LIMITED) expect(told).toBeUndefined();
        // An hour since the first of them, up to what the test has taken so far.
        else
          expect([told, Number(told) > 3000 && Number(told) <= 3600]).toEqual([expect.stringMatching(/^\d+$/), true]);
      }
      expect(verdicts).toEqual(["allow", "allow", "allow", LIMITED, "allow", LIMITED]);
      connection.close();
    });
  });

  test("who comes again when he was told to is let through", async () => {
    const connection = await rig.connect("h1", "quick");
    expect((await call(rig, connection, "alice")).verdict).toBe("allow");
    const { verdict, answer } = await call(rig, connection, "bob");
    const told = answer?.headers.get("retry-after");
    expect([verdict, told]).toEqual([LIMITED, expect.stringMatching(/^[12]$/)]);
    await pause(Number(told) * 1000);
    expect((await call(rig, connection, "bob")).verdict).toBe("allow");
    connection.close();
  });

  test("two listeners with one configuration have one guard, and so the same buckets", async () => {
    const verdicts: string[] = [];
    for (const guard of ["twin", "release", "twin", "release"]) {
      const connection = await rig.connect("h1", guard);
      verdicts.push((await call(rig, connection, "carol")).verdict);
      connection.close();
    }
    expect(verdicts).toEqual(["allow", "allow", "allow", LIMITED]);
  });

  test("monitor mode lets everything pass, and counts what it would have refused", async () => {
    const connection = await rig.connect("h1", "monitor");
    for (let round = 0; round < BURST + 2; round++) {
      expect((await call(rig, connection, "alice")).verdict).toBe("allow");
    }
    connection.close();
    await expect
      .poll(async () => [...(await rig.envoy.stats("mcp_guard_decision_would_refuse$")).values()], { timeout: 5000 })
      .toEqual([2]);
  });
});

test.each(testedVersions())("Envoy %s: each worker has buckets of its own", async (version) => {
  const rig = await startRig({
    version,
    concurrency: WORKERS,
    guards: [guardIn("release", policy({ per_principal: SLOW }))],
    edit: (bootstrap) => checkTokens(bootstrap, [{ name: "people", issuer }]),
  });
  try {
    // A connection stays with one worker; which one it is the kernel chooses.
    const verdicts: string[] = [];
    for (let each = 0; each < 24; each++) {
      const connection = await rig.connect("h1");
      for (let round = 0; round < BURST; round++) verdicts.push((await call(rig, connection, "alice")).verdict);
      connection.close();
    }
    expect(new Set(verdicts)).toEqual(new Set(["allow", LIMITED]));
    expect(verdicts.filter((verdict) => verdict === "allow")).toHaveLength(WORKERS * BURST);
  } finally {
    await rig.stop();
  }
});
