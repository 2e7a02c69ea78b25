// The server of the guards, as the service builds it, without a port: what is sent to it goes through all of it but the network.
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Writable } from "node:stream";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { createMetrics } from "../../approval/metrics.ts";
import { buildBrowserServer, buildFilterServer } from "../../approval/server.ts";
import { type DatabasePlace, type Environment, readSettings, type Settings } from "../../approval/settings.ts";
import { type ReceiptSigner, readSigner } from "../../approval/signing.ts";
import { openStore } from "../../approval/store/open-store.ts";
import type { Call, Store } from "../../approval/store/store.ts";

export const SECRET = "secret-of-the-guards-0123456789abcdef";
export const START = Date.UTC(2026, 10, 29, 12);

export interface FilterRig {
  readonly app: FastifyInstance;
  readonly browser: FastifyInstance;
  readonly store: Store;
  readonly settings: Settings;
  readonly signer: ReceiptSigner;
  /** Milliseconds; the test moves it. */
  readonly time: { now: number };
  /** What was logged. */
  log(): string;
  /** Sends a body with the guards' secret, unless other headers are given. */
  post(route: string, body: unknown, headers?: Record<string, string>): Promise<LightMyRequestResponse>;
  /** Opens an approval and gives its id. */
  open(call: Call): Promise<string>;
  approve(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Makes one on a database. @param environment settings that differ. */
export async function filterRig(place: DatabasePlace, environment: Environment = {}): Promise<FilterRig> {
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-filter-api-"));
  const keyFile = path.join(folder, "key.pem");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
  const settings = readSettings({
    PUBLIC_URL: "https://approve.example.com",
    SIGNING_KEY_FILE: keyFile,
    SIGNING_KEY_ID: "test",
    OIDC_ISSUER: "https://id.example.com",
    OIDC_CLIENT_ID: "approval",
    PRINCIPALS: '[{"issuer":"https://issuer.example","claim":"sub"}]',
    FILTER_SECRET: SECRET,
    ...environment,
  });
  const time = { now: START };
  const clock = () => time.now;
  const { pendingMs, approvedMs, openPerPrincipal, perHour } = settings;
  const store = await openStore(place, { clock, pendingMs, approvedMs, openPerPrincipal, perHour });
  const signer = readSigner(settings.signing);
  const context = { settings, store, clock, metrics: createMetrics(store) };
  let log = "";
  const sink = new Writable({
    write(chunk, _encoding, done) {
      log += String(chunk);
      done();
    },
  });
  const app = await buildFilterServer(context, signer, sink);
  const browser = await buildBrowserServer(context, sink);
  const rig: FilterRig = {
    ...{ app, browser, store, settings, signer, time, log: () => log },
    post(route, body, headers = { authorization: `Bearer ${SECRET}` }) {
      const payload = typeof body === "string" ? body : JSON.stringify(body);
      return app.inject({
        method: "POST",
        url: route,
        headers: { "content-type": "application/json", ...headers },
        payload,
      });
    },
    async open(call) {
      const answer = await rig.post("/v1/open", openBody(call));
      if (answer.statusCode !== 200) throw new Error(`open: ${answer.statusCode} ${answer.body}`);
      return answer.json<{ id: string }>().id;
    },
    async approve(id) {
      const approver = "https://id.example.com#alice";
      const outcome = await store.decide({ id, verdict: "approved", approver, assertion: "{}" });
      if (outcome.kind !== "decided") throw new Error(`approve: ${outcome.kind}`);
    },
    async close() {
      await Promise.all([app.close(), browser.close()]);
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return rig;
}

/** A call as guards send it. */
export function openBody({ inputResponses, ...call }: Call): Record<string, string> {
  return { ...call, input_responses: inputResponses };
}
