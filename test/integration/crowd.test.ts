// Many calls that wait and end at once, in a real Envoy. Goal: none of them takes the worker's VM with it. The host runs the callbacks for each reply of ours
// inside those for the one before, and V8 has room for some 300: what waits must not end in one callback. Method: more than that wait for the collector, for
// the approval service, or for the rest of their bodies; then both answer, or the time is over.
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KEYS } from "../config/approval-member.ts";
import { addCluster, type Collector, startCollector } from "./collector.ts";
import { processDriver } from "./drivers/process.ts";
import { expectNothingActive, guardIn, JSON_FIELDS, named, type Rig, startRig, toolCall } from "./rig.ts";
import { checkTokens, createIssuer, type Issuer } from "./tokens.ts";
import { pause } from "./wire.ts";

/** On one worker. */
const CROWD = 1_500;
const STREAMS_PER_CONNECTION = 100;
const STALL_MS = 2_000;
const NAME = "idp.example";

let issuer: Issuer;
let collector: Collector;
let service: Server;
let rig: Rig;
/** The opened approvals, and what is said of all of them. */
let openedCount = 0;
let status = "pending";

beforeAll(async () => {
  issuer = await createIssuer(NAME);
  collector = await startCollector();
  service = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answerApproval(String(request.url), Buffer.concat(chunks).toString("utf8"), response));
  });
  // It is Envoy that ends connections: one that the server closes while a request is on its way costs that request.
  service.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const otlp = { cluster: "collector", authority: "otel:4318", path: "/logs", flush_ms: 100, messages: "none" };
  const approval = {
    mode: "required",
    server: "s",
    page: "https://approve.example/a/",
    service: { cluster: "approval", authority: "approval:8081", poll_ms: 250 },
    keys: [{ kid: "k", spki: KEYS.first }],
    waiting: CROWD,
    waiting_per_principal: 1_000,
  };
  const identity = { jwt: [{ provider: "people", issuer: NAME, claim: "sub" }] };
  rig = await startRig({
    driver: processDriver,
    guards: [
      guardIn("release", { tool_allowlist: ["safe"], audit: { required: "all", otlp } }, { name: "collector" }),
      guardIn("release", { tool_allowlist: ["safe"], limits: { stall_ms: STALL_MS } }, { name: "slow" }),
      guardIn("release", { tool_allowlist: ["delete_it"], identity, approval }, { name: "approval" }),
    ],
    edit(bootstrap) {
      addCluster(bootstrap, "collector", collector.port);
      addCluster(bootstrap, "approval", (service.address() as AddressInfo).port);
      const [, , approved] = bootstrap.static_resources.clusters;
      expect(approved?.name).toBe("approval");
      // Else the proxy itself refuses what is more than a thousand requests at once.
      const limits = { max_requests: 10_000, max_pending_requests: 10_000, max_connections: 10_000 };
      for (const cluster of bootstrap.static_resources.clusters) {
        Object.assign(cluster, { circuit_breakers: { thresholds: [limits] } });
      }
      checkTokens(bootstrap, [{ name: "people", issuer }], ["approval"]);
    },
  });
});

afterAll(async () => {
  await rig?.stop();
  await collector?.stop();
  service?.closeAllConnections();
  await new Promise((resolve) => service?.close(resolve));
});

function answerApproval(path: string, body: string, response: ServerResponse): void {
  const ids = path === "/v1/poll" ? (JSON.parse(body) as { ids: string[] }).ids : [];
  const opened = { id: String(openedCount++).padStart(22, "0"), status: "pending", expires: 2_000_000_000 };
  const answer = path === "/v1/open" ? opened : Object.fromEntries(ids.map((id) => [id, status]));
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
}

interface Got {
  readonly status: number | undefined;
  readonly reason: string;
}

/** Sends as many calls as a crowd has; `isWhole`: with their ends. Resolves when all have been sent. */
async function sendCrowd(
  guard: string,
  tool: string,
  isWhole: boolean,
  headersOf: (index: number) => Promise<readonly (readonly [string, string])[]> = async () => [],
): Promise<readonly Promise<Got>[]> {
  const body = Buffer.from(toolCall(tool));
  const answers: Promise<Got>[] = [];
  for (let from = 0; from < CROWD; from += STREAMS_PER_CONNECTION) {
    const connection = await rig.connect("h2", guard);
    for (let index = from; index < from + STREAMS_PER_CONNECTION; index++) {
      const headers = [...JSON_FIELDS, ...named(`crowd-${index}`), ...(await headersOf(index))];
      const request = connection.open({
        method: "POST",
        path: "/mcp",
        headers,
        framing: "length",
        bodyBytes: body.length,
      });
      if (isWhole) request.end(body);
      else request.send(body.subarray(0, 10));
      answers.push(
        request.answer.then((got) => ({
          status: got?.status,
          reason: /"reason":"(\w+)"/.exec(String(got?.body))?.[1] ?? String(got?.body).slice(0, 200),
        })),
      );
    }
  }
  return answers;
}

async function expectAll(answers: readonly Promise<Got>[], expected: Got): Promise<void> {
  const got = await Promise.all(answers);
  expect(got.filter(({ status, reason }) => status !== expected.status || reason !== expected.reason)).toEqual([]);
  expect(got).toHaveLength(CROWD);
  await expectNothingActive(rig);
  expect(rig.envoy.logs()).not.toMatch(/Uncaught|wasm_fail/);
}

test("calls that wait for the collector, which then fails", async () => {
  const letGo = collector.hold("/logs");
  const answers = await sendCrowd("collector", "safe", true);
  await pause(500);
  collector.behave("/logs", { status: 503 });
  letGo({ status: 503 });
  await expectAll(answers, { status: 503, reason: "audit_unavailable" });
});

test("calls whose bodies stop in the middle", async () => {
  await expectAll(await sendCrowd("slow", "safe", false), { status: 408, reason: "stalled" });
});

test("calls that wait for their approvals, which are all denied", async () => {
  status = "pending";
  const tokens = await Promise.all([0, 1].map((person) => issuer.sign({ sub: `person-${person}` })));
  const answers = await sendCrowd("approval", "delete_it", true, async (index) => [
    ["authorization", `Bearer ${tokens[index % 2]}`],
  ]);
  // A question that was not answered in time is asked again.
  await expect.poll(() => openedCount, { timeout: 20_000 }).toBeGreaterThanOrEqual(CROWD);
  await pause(500);
  status = "denied";
  await expectAll(answers, { status: 200, reason: "approval_denied" });
});
