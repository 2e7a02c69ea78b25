// A claim counts once: many guards, several replicas that are processes of their own, one database, and somebody who pulls plugs.
import { createPublicKey, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../approval/clock.ts";
import type { DatabasePlace } from "../../approval/settings.ts";
import { openStore } from "../../approval/store/open-store.ts";
import type { Store } from "../../approval/store/store.ts";
import { verifyReceipt } from "../../src/approval/receipt.ts";
import { createSigningKey, type ServiceProcess, startService } from "../../src/approval/try/service-process.ts";
import { freePort } from "../free-port.ts";
import { pause } from "../integration/wire.ts";
import { postgresDatabases, sqliteFiles, type TestDatabase } from "./databases.ts";
import type { PostgresServer } from "./postgres-server.ts";
import { sampleCall } from "./sample-call.ts";

const REPLICAS = 3;
const APPROVALS = 40;
/** Guards that claim each approval, each with a nonce of its own. */
const RIVALS = 4;
const SECRET = "secret-of-the-guards-0123456789abcdef";
/** A guard's own, by default. */
const ATTEMPT_TIMEOUT_MS = 5_000;
const PATIENCE_MS = 60_000;
const RETRY_MS = 20;
/** For requests to get from here to a database, on a busy machine. Shorter than what a statement may wait. */
const SETTLE_MS = 600;
/** How long a replica that is told to end waits for whoever does not go. */
const GRACE_MS = 10_000;
const TEST_TIMEOUT_MS = 120_000;

/** What a guard has in the end. */
type End = { receipt: string } | { error: string };

const DATABASES: (TestDatabase & { server?(): PostgresServer })[] = [sqliteFiles(), postgresDatabases()];

describe.each(DATABASES.map((database) => [database.name, database] as const))("claims on %s", (_name, database) => {
  let fleet: Fleet;
  beforeAll(() => database.start());
  afterAll(() => database.stop());
  beforeEach(async () => {
    fleet = await startFleet(database);
  }, TEST_TIMEOUT_MS);
  afterEach(() => fleet.stop());

  it(
    "give each approval to one guard, whichever replica it asks",
    async () => {
      const approvals = await fleet.approved(APPROVALS, "call");
      await fleet.expectOnce(approvals, await fleet.claimAll(approvals));
    },
    TEST_TIMEOUT_MS,
  );

  it(
    "give each approval to one guard while replicas are killed and started",
    async () => {
      for (let index = 0; index < REPLICAS; index++) {
        const approvals = await fleet.approved(APPROVALS, `wave ${index}`);
        const claims = fleet.claimAll(approvals);
        await fleet.untilAnswered(APPROVALS * RIVALS * 0.2);
        await fleet.killWhileItWorks(index);
        await fleet.start(index);
        await fleet.expectOnce(approvals, await claims);
      }
      expect(fleet.cut(), "requests that were under way at a replica that was killed").toBeGreaterThan(0);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    "that have reached a replica are answered when it is told to end",
    async () => {
      const approvals = await fleet.approved(8, "last");
      // As long as somebody else writes, no claim has an end.
      const letGo = await database.hold(fleet.place);
      const claims = fleet.claimAll(approvals, [0]);
      await pause(SETTLE_MS);
      const ended = fleet.endInOrder(0);
      await pause(SETTLE_MS);
      expect(fleet.answered()).toBe(0);
      await letGo();
      const before = performance.now();
      expect(await ended).toEqual({ code: 0, signal: null });
      // Nobody waits for connections that are merely kept.
      expect(performance.now() - before).toBeLessThan(GRACE_MS / 2);
      await fleet.expectOnce(approvals, await claims);
      expect(fleet.cut() + fleet.unavailable()).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  const { server } = database;
  if (server !== undefined) {
    it(
      "give each approval to one guard while the database crashes and comes back",
      async () => {
        const approvals = await fleet.approved(APPROVALS, "call");
        const claims = fleet.claimAll(approvals);
        await fleet.untilAnswered(APPROVALS * RIVALS * 0.2);
        await server().kill();
        await pause(SETTLE_MS);
        await server().start();
        await fleet.expectOnce(approvals, await claims);
        expect(fleet.unavailable(), "answers while the database was away").toBeGreaterThan(0);
      },
      TEST_TIMEOUT_MS,
    );
  }
});

/** An approval that can be claimed. */
interface Claimable {
  id: string;
  digest: string;
}

interface Replica {
  filterPort: number;
  port: number;
  process: ServiceProcess | undefined;
  underWay: number;
}

/** Replicas on one database, and guards that ask them. */
class Fleet {
  readonly #folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-fleet-"));
  readonly #key = createSigningKey(this.#folder);
  readonly place: DatabasePlace;
  readonly #store: Store;
  readonly #replicas: Replica[] = [];
  #answered = 0;
  #cut = 0;
  #unavailable = 0;

  constructor(place: DatabasePlace, store: Store) {
    this.place = place;
    this.#store = store;
  }

  async start(index: number): Promise<void> {
    this.#replicas[index] ??= { filterPort: await freePort(), port: await freePort(), process: undefined, underWay: 0 };
    const replica = this.#replicas[index];
    replica.process = await startService({
      publicUrl: `http://127.0.0.1:${replica.port}`,
      port: replica.port,
      filterPort: replica.filterPort,
      database: this.place.kind === "file" ? { file: this.place.file } : { url: this.place.url },
      signingKey: this.#key,
      filterSecret: SECRET,
      issuer: "http://127.0.0.1:9",
      client: { id: "approval", secret: "secret" },
      logFile: path.join(this.#folder, `${index}.log`),
    });
  }

  /** Makes approvals that can be claimed, each of a principal of its own. */
  async approved(count: number, name: string): Promise<Claimable[]> {
    const approvals: Claimable[] = [];
    for (let index = 0; index < count; index++) {
      const call = sampleCall({ principal: `${name} ${index}` });
      const outcome = await this.#store.open(call);
      if (outcome.kind !== "approval") throw new Error("a limit was reached");
      await this.#store.decide({ id: outcome.id, verdict: "approved", approver: "approver", assertion: "{}" });
      approvals.push({ id: outcome.id, digest: call.digest });
    }
    return approvals;
  }

  /** Claims each approval by several guards at once. @param replicas whom they ask, one after the other. */
  async claimAll(approvals: readonly Claimable[], replicas = [0, 1, 2]): Promise<End[][]> {
    this.#answered = 0;
    return Promise.all(
      approvals.map((approval) =>
        Promise.all(Array.from({ length: RIVALS }, (_, rival) => this.#claim(approval, replicas, rival))),
      ),
    );
  }

  /** A guard that tries again with its nonce, at another replica, until it has an answer. */
  async #claim({ id, digest }: Claimable, replicas: readonly number[], first: number): Promise<End> {
    const body = JSON.stringify({ id, digest, nonce: randomBytes(16).toString("base64url") });
    const deadline = performance.now() + PATIENCE_MS;
    for (let attempt = first; performance.now() < deadline; attempt++) {
      const replica = this.#replicas[replicas[attempt % replicas.length] ?? 0];
      if (replica === undefined) throw new Error("no such replica");
      replica.underWay++;
      try {
        const answer = await fetch(`http://127.0.0.1:${replica.filterPort}/v1/claim`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${SECRET}` },
          body,
          signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
        });
        const text = await answer.text();
        if (answer.status === 200 || answer.status === 409) {
          this.#answered++;
          return JSON.parse(text) as End;
        }
        if (answer.status !== 503) throw new Error(`${answer.status} ${text}`);
        this.#unavailable++;
      } catch (error) {
        // `fetch` says TypeError for every network error; a refused connection has not been a claim.
        if (!(error instanceof TypeError) && !(error instanceof DOMException)) throw error;
        if (!String((error as Error).cause).includes("ECONNREFUSED")) this.#cut++;
      } finally {
        replica.underWay--;
      }
      await pause(RETRY_MS);
    }
    return { error: "no answer" };
  }

  /** Fulfilled when so many claims have their answer. */
  async untilAnswered(count: number): Promise<void> {
    while (this.#answered < count) await pause(1);
  }

  answered(): number {
    return this.#answered;
  }

  /** SIGKILL, at a moment when claims are under way there. */
  async killWhileItWorks(index: number): Promise<void> {
    const replica = this.#replicas[index];
    if (replica?.process === undefined) throw new Error("no such replica");
    while (replica.underWay === 0) await pause(1);
    process.kill(replica.process.pid, "SIGKILL");
    expect(await replica.process.exited).toEqual({ code: null, signal: "SIGKILL" });
  }

  async endInOrder(index: number): Promise<unknown> {
    const running = this.#replicas[index]?.process;
    if (running === undefined) throw new Error("no such replica");
    process.kill(running.pid, "SIGTERM");
    return running.exited;
  }

  /** How many requests have ended without an answer. */
  cut(): number {
    return this.#cut;
  }

  /** How many answers were 503. */
  unavailable(): number {
    return this.#unavailable;
  }

  /** Holds what the guards have, and what the history says, to "once". */
  async expectOnce(approvals: readonly Claimable[], ends: readonly (readonly End[])[]): Promise<void> {
    const key = createPublicKey({ key: Buffer.from(this.#key.spki, "base64"), format: "der", type: "spki" });
    const keys = new Map([[this.#key.kid, key]]);
    expect(ends).toHaveLength(approvals.length);
    for (const [index, { id, digest }] of approvals.entries()) {
      const all = ends[index] ?? [];
      const receipts = all.flatMap((end) => ("receipt" in end ? [end.receipt] : []));
      const refusals = all.flatMap((end) => ("error" in end ? [end.error] : []));
      expect(receipts, `receipts of ${id}`).toHaveLength(1);
      expect(refusals).toEqual(Array.from({ length: RIVALS - 1 }, () => "replayed"));
      const history = await this.#store.historyOf(id);
      expect(history.map(({ event }) => event)).toEqual(["opened", "approved", "claimed"]);
      expect(await verifyReceipt(receipts[0] ?? "", keys)).toMatchObject({
        receipt: { id, digest, nonce: history[2]?.detail },
      });
      // Whoever lost its answer can still ask for it, and gets the one receipt.
      const nonce = history[2]?.detail ?? "";
      expect(await this.#store.readyToClaim({ id, digest, nonce })).toMatchObject({
        receipt: receipts[0],
        fresh: false,
      });
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.process?.stop()));
    await this.#store.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function startFleet(database: TestDatabase): Promise<Fleet> {
  const place = await database.fresh();
  const store = await openStore(place, {
    clock: systemClock,
    ...{ pendingMs: 300_000, approvedMs: 300_000, openPerPrincipal: 5, perHour: 60 },
  });
  const fleet = new Fleet(place, store);
  await Promise.all(Array.from({ length: REPLICAS }, (_, index) => fleet.start(index)));
  return fleet;
}
