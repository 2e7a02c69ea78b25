// What the store promises, with both databases. Two stores on one database stand for two replicas.
import { statSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DatabasePlace } from "../../approval/settings.ts";
import { migrate, migrationsFor } from "../../approval/store/migrations.ts";
import { openStore } from "../../approval/store/open-store.ts";
import { openPostgres } from "../../approval/store/postgres.ts";
import { openSqlite } from "../../approval/store/sqlite.ts";
import type { Call, Challenge, Passkey, Session, SignIn, Store } from "../../approval/store/store.ts";
import { postgresDatabases, sqliteFiles } from "./databases.ts";
import { sampleCall, sampleCalls } from "./sample-call.ts";

const START = Date.UTC(2026, 10, 29, 12);
const MINUTE = 60_000;
const PENDING_MS = 5 * MINUTE;
const APPROVED_MS = 4 * MINUTE;
const OPEN_PER_PRINCIPAL = 5;
const PER_HOUR = 12;
const ALICE = "https://id.example#alice";
const NONCE = "AAAAAAAAAAAAAAAAAAAAAA";
const OTHER_NONCE = "BBBBBBBBBBBBBBBBBBBBBA";

describe.each([sqliteFiles(), postgresDatabases()].map((database) => [database.name, database] as const))(
  "the store on %s",
  (_name, database) => {
    let place: DatabasePlace;
    let now: number;
    let stores: Store[];
    let store: Store;
    let replica: Store;

    const options = {
      clock: () => now,
      pendingMs: PENDING_MS,
      approvedMs: APPROVED_MS,
      openPerPrincipal: OPEN_PER_PRINCIPAL,
      perHour: PER_HOUR,
    };
    const connect = () => (place.kind === "file" ? openSqlite(place.file) : openPostgres(place.url));
    const opened = async (call: Call = sampleCall()): Promise<string> => {
      const outcome = await store.open(call);
      if (outcome.kind !== "approval") throw new Error(`refused: ${outcome.limit}`);
      return outcome.id;
    };
    const approve = (id: string, by: Store = store) =>
      by.decide({ id, verdict: "approved", approver: ALICE, assertion: '{"signed":true}' });
    const deny = (id: string, by: Store = store) =>
      by.decide({ id, verdict: "denied", approver: ALICE, reason: "not this one" });
    const approved = async (call: Call = sampleCall()): Promise<string> => {
      const id = await opened(call);
      expect(await approve(id)).toMatchObject({ kind: "decided" });
      return id;
    };

    beforeAll(() => database.start());
    afterAll(() => database.stop());
    beforeEach(async () => {
      now = START;
      place = await database.fresh();
      // Together, as replicas start: both find an empty database.
      stores = await Promise.all([openStore(place, options), openStore(place, options)]);
      [store, replica] = stores as [Store, Store];
    });
    afterEach(() => Promise.all(stores.map((one) => one.close())));

    describe("open", () => {
      it("gives the same call the same approval, in every replica, and another call another", async () => {
        const first = await store.open(sampleCall());
        expect(first).toMatchObject({ kind: "approval", state: "pending", fresh: true, expiresAt: START + PENDING_MS });
        now += MINUTE;
        expect(await replica.open(sampleCall())).toEqual({ ...first, fresh: false });
        expect(await opened(sampleCall({ arguments: "{}" }))).not.toBe((first as { id: string }).id);
      });

      it("makes one approval of a call that comes many times at once", async () => {
        const calls = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? store : replica).open(sampleCall()));
        const outcomes = await Promise.all(calls);
        expect(
          new Set(outcomes.map((outcome) => (outcome.kind === "approval" ? outcome.id : outcome.limit))).size,
        ).toBe(1);
        expect(outcomes.filter((outcome) => outcome.kind === "approval" && outcome.fresh)).toHaveLength(1);
      });

      it("gives an approved call its approval until it is claimed, and never after", async () => {
        const id = await approved();
        expect(await store.open(sampleCall())).toMatchObject({ id, state: "approved", expiresAt: START + APPROVED_MS });
        await store.claim({ id, digest: sampleCall().digest, nonce: NONCE }, "receipt");
        expect(await store.open(sampleCall())).toMatchObject({
          state: "pending",
          fresh: true,
          id: expect.not.stringMatching(id),
        });
      });

      it("gives a call whose time is over a new approval", async () => {
        const id = await opened();
        now += PENDING_MS - 1;
        expect(await opened()).toBe(id);
        now += 1;
        expect(await opened()).not.toBe(id);
        expect(await store.approval(id)).toMatchObject({ state: "expired" });
      });

      it("gives an approved call whose time is over a new approval", async () => {
        const id = await approved();
        now += APPROVED_MS;
        expect(await store.open(sampleCall())).toMatchObject({ state: "pending", id: expect.not.stringMatching(id) });
      });

      it("lets a denial stand for a minute, for that call alone", async () => {
        const id = await opened();
        await deny(id);
        now += MINUTE - 1;
        expect(await store.open(sampleCall())).toMatchObject({
          kind: "approval",
          id,
          state: "denied",
          expiresAt: START + MINUTE,
        });
        expect(await store.open(sampleCall({ arguments: "{}" }))).toMatchObject({ state: "pending" });
        now += 1;
        expect(await store.open(sampleCall())).toMatchObject({ state: "pending", id: expect.not.stringMatching(id) });
      });

      it("keeps every field as it came, whatever is in it", async () => {
        const odd = "'); DROP TABLE approvals; -- \" \\ $1 ?1 % \u007f \u202e \u{1f600} \ufffe é";
        const call = sampleCall({
          ...{ server: odd, authority: odd, path: odd, issuer: odd, principal: odd, workload: odd, tool: odd },
          ...{ arguments: JSON.stringify({ odd }), task: JSON.stringify([odd]), inputResponses: JSON.stringify(odd) },
        });
        const id = await opened(call);
        expect(await replica.approval(id)).toMatchObject(call);
      });
    });

    describe("limits", () => {
      it("lets a principal have so many open and no more, however they come", async () => {
        const outcomes = await Promise.all(
          sampleCalls(20).map((call, index) => (index % 2 === 0 ? store : replica).open(call)),
        );
        expect(outcomes.filter(({ kind }) => kind === "approval")).toHaveLength(OPEN_PER_PRINCIPAL);
        expect(outcomes.filter((outcome) => outcome.kind === "limit" && outcome.limit === "open")).toHaveLength(15);
        expect(await store.pendingCount()).toBe(OPEN_PER_PRINCIPAL);
      });

      it("counts each principal of each issuer on its own", async () => {
        for (const call of sampleCalls(OPEN_PER_PRINCIPAL)) await opened(call);
        expect(await store.open(sampleCall())).toEqual({ kind: "limit", limit: "open" });
        expect(await store.open(sampleCall({ principal: "bob" }))).toMatchObject({ kind: "approval" });
        expect(await store.open(sampleCall({ issuer: "https://other.example" }))).toMatchObject({ kind: "approval" });
        // What stands on which side of a border makes a difference.
        expect(await store.open(sampleCall({ issuer: "https://issuer.examplea", principal: "lice" }))).toMatchObject({
          kind: "approval",
        });
      });

      it("gives a call its approval when the limit is reached", async () => {
        const calls = sampleCalls(OPEN_PER_PRINCIPAL);
        const id = await opened(calls[0]);
        for (const call of calls) await opened(call);
        expect(await opened(calls[0])).toBe(id);
      });

      it("has room again when a call is decided, or its time is over", async () => {
        const ids: string[] = [];
        for (const call of sampleCalls(OPEN_PER_PRINCIPAL)) ids.push(await opened(call));
        await deny(ids[0] ?? "");
        await opened(sampleCall({ arguments: "[1]" }));
        expect(await store.open(sampleCall({ arguments: "[2]" }))).toEqual({ kind: "limit", limit: "open" });
        now += PENDING_MS;
        expect(await store.open(sampleCall({ arguments: "[2]" }))).toMatchObject({ kind: "approval" });
      });

      it("lets a principal open so many within an hour", async () => {
        for (const call of sampleCalls(PER_HOUR)) {
          await deny(await opened(call));
          now += MINUTE;
        }
        const more = sampleCall({ arguments: "{}" });
        expect(await store.open(more)).toEqual({ kind: "limit", limit: "hour" });
        expect(await store.open(sampleCall({ principal: "bob" }))).toMatchObject({ kind: "approval" });
        // The first one is an hour old now.
        now = START + 60 * MINUTE;
        expect(await store.open(more)).toMatchObject({ kind: "approval" });
      });
    });

    describe("decide", () => {
      it("notes who approved, and with which signature", async () => {
        const id = await opened();
        now += MINUTE;
        const outcome = await approve(id);
        const approval = {
          ...sampleCall(),
          ...{ id, state: "approved", openedAt: START, decidedAt: now, expiresAt: now + APPROVED_MS },
          ...{ approver: ALICE, reason: null, assertion: '{"signed":true}', claimedAt: null },
        };
        expect(outcome).toEqual({ kind: "decided", approval });
        expect(await replica.approval(id)).toEqual(approval);
      });

      it("notes who denied, and why", async () => {
        const id = await opened();
        expect(await deny(id)).toMatchObject({
          kind: "decided",
          approval: { state: "denied", approver: ALICE, reason: "not this one" },
        });
      });

      it("takes the first verdict of many, in whichever replica", async () => {
        const id = await opened();
        const outcomes = await Promise.all([approve(id), deny(id, replica), approve(id, replica), deny(id)]);
        expect(outcomes.filter(({ kind }) => kind === "decided")).toHaveLength(1);
        expect(outcomes.filter(({ kind }) => kind === "not_pending")).toHaveLength(3);
      });

      it("takes no verdict about what is decided, claimed, over or unknown", async () => {
        const denied = await opened(sampleCall({ arguments: "[1]" }));
        await deny(denied);
        expect(await approve(denied)).toEqual({ kind: "not_pending", state: "denied" });
        const claimed = await approved();
        expect(await deny(claimed)).toEqual({ kind: "not_pending", state: "approved" });
        await store.claim({ id: claimed, digest: sampleCall().digest, nonce: NONCE }, "receipt");
        expect(await approve(claimed)).toEqual({ kind: "not_pending", state: "claimed" });
        const late = await opened(sampleCall({ arguments: "[2]" }));
        now += PENDING_MS;
        expect(await approve(late)).toEqual({ kind: "not_pending", state: "expired" });
        expect(await deny(late)).toEqual({ kind: "not_pending", state: "expired" });
        expect(await approve("unknown")).toEqual({ kind: "unknown" });
      });
    });

    describe("claim", () => {
      const { digest } = sampleCall();

      it("gives the receipt that it has stored, and no other to the same nonce", async () => {
        const id = await approved();
        expect(await store.readyToClaim({ id, digest, nonce: NONCE })).toMatchObject({
          kind: "ready",
          approval: { id },
        });
        expect(await store.claim({ id, digest, nonce: NONCE }, "first")).toEqual({
          kind: "receipt",
          receipt: "first",
          fresh: true,
        });
        const again = { kind: "receipt", receipt: "first", fresh: false };
        expect(await replica.claim({ id, digest, nonce: NONCE }, "second")).toEqual(again);
        expect(await replica.readyToClaim({ id, digest, nonce: NONCE })).toEqual(again);
        expect(await replica.approval(id)).toMatchObject({ state: "claimed", claimedAt: START });
      });

      it("gives nothing to another nonce, or for another digest", async () => {
        const id = await approved();
        const other = sampleCall({ arguments: "{}" }).digest;
        expect(await store.readyToClaim({ id, digest: other, nonce: NONCE })).toEqual({
          kind: "refused",
          why: "digest",
        });
        expect(await store.claim({ id, digest: other, nonce: NONCE }, "r")).toEqual({ kind: "refused", why: "digest" });
        await store.claim({ id, digest, nonce: NONCE }, "r");
        const replayed = { kind: "refused", why: "replayed" };
        expect(await replica.claim({ id, digest, nonce: OTHER_NONCE }, "r")).toEqual(replayed);
        expect(await replica.readyToClaim({ id, digest, nonce: OTHER_NONCE })).toEqual(replayed);
        expect(await store.claim({ id, digest: other, nonce: NONCE }, "r")).toEqual({ kind: "refused", why: "digest" });
      });

      it("gives nothing for what is not approved, or was not claimed in time", async () => {
        const id = await opened();
        const ask = (claimed: string) => store.claim({ id: claimed, digest, nonce: NONCE }, "r");
        expect(await ask(id)).toEqual({ kind: "refused", why: "pending" });
        expect(await ask("unknown")).toEqual({ kind: "refused", why: "unknown" });
        await deny(id);
        expect(await ask(id)).toEqual({ kind: "refused", why: "denied" });
        now += MINUTE;
        const second = await approved();
        now += APPROVED_MS;
        expect(await ask(second)).toEqual({ kind: "refused", why: "expired" });
        expect(await store.readyToClaim({ id: second, digest, nonce: NONCE })).toEqual({
          kind: "refused",
          why: "expired",
        });
      });

      it("of many at once serves one nonce", async () => {
        const id = await approved();
        const claims = Array.from({ length: 24 }, (_, index) => {
          const nonce = `${"ABCDEFGH"[index % 8]}`.repeat(22);
          return (index % 2 === 0 ? store : replica).claim({ id, digest, nonce }, `receipt ${index}`);
        });
        const outcomes = await Promise.all(claims);
        expect(outcomes.filter((outcome) => outcome.kind === "receipt" && outcome.fresh)).toHaveLength(1);
        const receipts = new Set(outcomes.flatMap((outcome) => (outcome.kind === "receipt" ? [outcome.receipt] : [])));
        expect(receipts.size).toBe(1);
        // 24 claims of 8 nonces: 3 of them have the one that counts.
        expect(outcomes.filter((outcome) => outcome.kind === "receipt")).toHaveLength(3);
        expect(outcomes.filter((outcome) => outcome.kind === "refused" && outcome.why === "replayed")).toHaveLength(21);
      });
    });

    it("says where many approvals stand", async () => {
      const pending = await opened(sampleCall({ arguments: "[1]" }));
      const denied = await opened(sampleCall({ arguments: "[2]" }));
      await deny(denied);
      const late = await approved(sampleCall({ arguments: "[3]" }));
      const states = await store.states([pending, denied, late, "unknown"]);
      expect(states).toEqual(
        new Map([
          [pending, "pending"],
          [denied, "denied"],
          [late, "approved"],
        ]),
      );
      now += APPROVED_MS;
      expect((await store.states([late])).get(late)).toBe("expired");
      expect(await store.states([])).toEqual(new Map());
    });

    describe("list", () => {
      const alice = { issuer: "https://issuer.example", principal: "alice" };
      const bob = { issuer: "https://issuer.example", principal: "bob" };

      it("shows what is one's own, and everything to an approver group", async () => {
        const mine = await opened();
        const others = await opened(sampleCall({ principal: "bob" }));
        const idsOf = async (...[visible, which]: [Parameters<Store["list"]>[0], "open" | "closed"]) =>
          (await store.list(visible, { which, limit: 10 })).map(({ id }) => id);
        expect(await idsOf([alice], "open")).toEqual([mine]);
        expect(await idsOf([bob], "open")).toEqual([others]);
        expect(await idsOf([{ issuer: "https://other.example", principal: "alice" }], "open")).toEqual([]);
        expect(await idsOf([], "open")).toEqual([]);
        expect((await idsOf([alice, bob], "open")).sort()).toEqual([mine, others].sort());
        expect((await idsOf("everybody", "open")).sort()).toEqual([mine, others].sort());
        expect(await idsOf("everybody", "closed")).toEqual([]);
        await deny(mine);
        expect(await idsOf([alice], "open")).toEqual([]);
        expect(await idsOf([alice], "closed")).toEqual([mine]);
      });

      it("has what ends first in front, and what is over in pages", async () => {
        const ids: string[] = [];
        for (const call of sampleCalls(4)) {
          ids.push(await opened(call));
          // The second and the third are of the same moment.
          if (ids.length !== 2) now += 1_000;
        }
        expect((await store.list([alice], { which: "open", limit: 10 }))[0]).toMatchObject({ id: ids[0] });
        now += PENDING_MS;
        expect(await store.list([alice], { which: "open", limit: 10 })).toEqual([]);
        const pages: string[] = [];
        for (let after: { openedAt: number; id: string } | undefined; ; ) {
          const [next] = await store.list([alice], {
            which: "closed",
            limit: 1,
            ...(after === undefined ? {} : { after }),
          });
          if (next === undefined) break;
          expect(next.state).toBe("expired");
          pages.push(next.id);
          after = next;
        }
        expect(pages[0]).toBe(ids[3]);
        expect(pages[3]).toBe(ids[0]);
        expect([...pages].sort()).toEqual([...ids].sort());
      });
    });

    describe("history", () => {
      it("has everything that happened, in order, without gaps, whoever wrote it", async () => {
        const ids = await Promise.all(
          sampleCalls(10).map(async (call, index) => {
            const by = index % 2 === 0 ? store : replica;
            const outcome = await by.open({ ...call, principal: `principal ${index}` });
            const id = outcome.kind === "approval" ? outcome.id : "";
            await approve(id, by);
            await by.claim({ id, digest: call.digest, nonce: NONCE }, "receipt");
            return { id, digest: call.digest };
          }),
        );
        const entries = await store.historyAfter(0, 1_000);
        expect(entries.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
        expect(await store.lastSequence()).toBe(30);
        expect(await store.historyAfter(28, 1)).toEqual([entries[28]]);
        for (const { id, digest } of ids) {
          expect(await store.historyOf(id)).toMatchObject([
            { approvalId: id, event: "opened", actor: "", detail: digest, at: START },
            { approvalId: id, event: "approved", actor: ALICE, detail: "" },
            { approvalId: id, event: "claimed", actor: "", detail: NONCE },
          ]);
        }
      });

      it("has denials with their reason, and the end of time, once", async () => {
        const denied = await opened(sampleCall({ arguments: "[1]" }));
        await deny(denied);
        expect((await store.historyOf(denied))[1]).toMatchObject({
          event: "denied",
          actor: ALICE,
          detail: "not this one",
        });
        const pending = await opened(sampleCall({ arguments: "[2]" }));
        const unclaimed = await approved(sampleCall({ arguments: "[3]" }));
        now += PENDING_MS;
        await Promise.all([store.sweep(), replica.sweep(), store.sweep()]);
        expect((await store.historyOf(pending)).map(({ event }) => event)).toEqual(["opened", "expired"]);
        expect((await store.historyOf(unclaimed)).map(({ event }) => event)).toEqual(["opened", "approved", "expired"]);
        expect(await store.approval(pending)).toMatchObject({ state: "expired" });
      });

      it("has no entry of what did not happen", async () => {
        const id = await opened();
        await store.claim({ id, digest: sampleCall().digest, nonce: NONCE }, "receipt");
        await deny(id);
        await deny(id);
        await store.open(sampleCall());
        expect((await store.historyAfter(0, 100)).map(({ event }) => event)).toEqual(["opened", "denied"]);
      });

      it("comes with its approval, its nonce and its receipt, whole, as one record", async () => {
        const call = sampleCall();
        const id = await approved(call);
        expect(await replica.claim({ id, digest: call.digest, nonce: NONCE }, "receipt")).toMatchObject({
          fresh: true,
        });
        expect(await store.record(id)).toEqual({
          approval: await store.approval(id),
          nonce: NONCE,
          receipt: "receipt",
          history: await store.historyOf(id),
        });
        expect(await store.record("A".repeat(22))).toBeUndefined();
      });

      it("says in a record what was noted, and not what the clock says", async () => {
        const id = await opened();
        now += PENDING_MS;
        expect(await store.approval(id)).toMatchObject({ state: "expired" });
        expect(await store.record(id)).toMatchObject({
          approval: { state: "pending" },
          history: [{ event: "opened" }],
        });
        await replica.sweep();
        const events = [{ event: "opened" }, { event: "expired" }];
        expect(await store.record(id)).toMatchObject({
          approval: { state: "expired" },
          receipt: null,
          history: events,
        });
      });

      it("cannot be changed, not even in the database", async () => {
        const id = await opened();
        const before = await store.historyAfter(0, 10);
        const attacks = [
          "UPDATE history SET actor = 'somebody else'",
          "DELETE FROM history",
          place.kind === "file"
            ? "INSERT OR REPLACE INTO history VALUES (1, 0, 'x', 'opened', '', '')"
            : "TRUNCATE history",
        ];
        for (const attack of attacks) {
          await expect(database.attack(place, attack), attack).rejects.toThrow("history is append-only");
        }
        expect(await store.historyAfter(0, 10)).toEqual(before);
        expect(before).toMatchObject([{ approvalId: id, event: "opened" }]);
      });
    });

    describe("the tables", () => {
      it("let nothing that has ended go on", async () => {
        const id = await approved();
        await store.claim({ id, digest: sampleCall().digest, nonce: NONCE }, "receipt");
        const attack = "UPDATE approvals SET state = 'approved', receipt = NULL, nonce = NULL";
        await expect(database.attack(place, attack)).rejects.toThrow("this approval has ended");
        expect(await store.approval(id)).toMatchObject({ state: "claimed" });
      });

      it("hold nothing that is approved without a signature, or claimed without a receipt", async () => {
        const id = await opened();
        const attacks = [
          "UPDATE approvals SET state = 'approved'",
          "UPDATE approvals SET state = 'approved', approver = 'x', decided_at = 1",
          "UPDATE approvals SET state = 'claimed', approver = 'x', decided_at = 1, assertion = 'x', nonce = 'x'",
          "UPDATE approvals SET receipt = 'x'",
        ];
        for (const attack of attacks)
          await expect(database.attack(place, attack), attack).rejects.toThrow(/constraint/i);
        expect(await store.approval(id)).toMatchObject({ state: "pending" });
      });

      it("are made once, by the steps that this version has", async () => {
        const connection = connect();
        try {
          const steps = migrationsFor(connection.dialect);
          expect(steps.map(({ version }) => version)).toEqual(steps.map((_, index) => index + 1));
          await migrate(connection, START, steps);
          const [first, ...others] = steps;
          if (first === undefined) throw new Error("there are no steps");
          const changed = [{ ...first, statements: `${first.statements}\n-- changed` }, ...others];
          await expect(migrate(connection, START, changed)).rejects.toThrow(/was made with another 0001-tables\.sql/);
          await expect(migrate(connection, START, [first])).rejects.toThrow(/tables of a newer version \(0002-/);
          // A step that fails leaves nothing behind.
          const broken = {
            version: steps.length + 1,
            name: "broken",
            statements: "CREATE TABLE more (a TEXT); SELECT wrong;",
          };
          await expect(migrate(connection, START, [...steps, broken])).rejects.toThrow(/wrong/);
          const mended = { ...broken, statements: "CREATE TABLE more (a TEXT);" };
          await migrate(connection, START, [...steps, mended]);
        } finally {
          await connection.close();
        }
      });
    });

    describe("sign-ins, sessions and passkeys", () => {
      const user = { issuer: "https://id.example", subject: "alice" };
      const session: Session = {
        ...user,
        ...{
          idHash: "h",
          claims: '{"sub":"alice"}',
          signedInAt: START - MINUTE,
          csrfSecret: "c",
          expiresAt: START + MINUTE,
        },
      };
      const signIn: SignIn = {
        stateHash: "s",
        nonce: "n",
        verifier: "v",
        returnPath: "/a/x",
        expiresAt: START + MINUTE,
      };
      const passkey: Passkey = {
        ...user,
        ...{ credentialId: "id", publicKey: "key", counter: 0, transports: ["internal", "hybrid"], name: "phone" },
        ...{ createdAt: START, lastUsedAt: null },
      };
      const challenge: Challenge = {
        ...user,
        ...{ hash: "h", kind: "assertion", approvalId: "a", nonce: "n", expiresAt: START + MINUTE },
      };

      it("gives a session until it ends", async () => {
        await store.addSession(session);
        expect(await replica.session("h")).toEqual(session);
        expect(await store.session("other")).toBeUndefined();
        now = session.expiresAt - 1;
        expect(await store.session("h")).toEqual(session);
        now += 1;
        expect(await store.session("h")).toBeUndefined();
        now = START;
        await replica.removeSession("h");
        expect(await store.session("h")).toBeUndefined();
      });

      it("gives a sign-in once, and not when its time is over", async () => {
        expect(await store.addSignIn(signIn)).toBe(true);
        const taken = await Promise.all([store, replica, store, replica].map((one) => one.takeSignIn("s")));
        expect(taken.filter((one) => one !== undefined)).toEqual([signIn]);
        await store.addSignIn(signIn);
        now = signIn.expiresAt;
        expect(await store.takeSignIn("s")).toBeUndefined();
      });

      it("gives a challenge once, for what it was made for, and not when its time is over", async () => {
        await store.addChallenge(challenge);
        expect(await store.takeChallenge("h", "registration")).toBeUndefined();
        const taken = await Promise.all(
          [store, replica, store, replica].map((one) => one.takeChallenge("h", "assertion")),
        );
        expect(taken.filter((one) => one !== undefined)).toEqual([challenge]);
        const registration: Challenge = { ...challenge, kind: "registration", approvalId: null };
        await store.addChallenge(registration);
        expect(await store.takeChallenge("h", "registration")).toEqual(registration);
        await store.addChallenge(challenge);
        now = challenge.expiresAt;
        expect(await store.takeChallenge("h", "assertion")).toBeUndefined();
      });

      it("keeps passkeys with their users, and never two of one id", async () => {
        expect(await store.addPasskey(passkey)).toBe(true);
        expect(await replica.addPasskey({ ...passkey, subject: "mallory", publicKey: "other" })).toBe(false);
        expect(await store.passkey("id")).toEqual(passkey);
        expect(await store.passkey("other")).toBeUndefined();
        expect(await store.passkeysOf(user)).toEqual([passkey]);
        expect(await store.passkeysOf({ ...user, issuer: "https://other.example" })).toEqual([]);
        expect(await store.removePasskey({ ...user, subject: "mallory" }, "id")).toBe(false);
        expect(await store.removePasskey(user, "id")).toBe(true);
        expect(await store.passkeysOf(user)).toEqual([]);
      });

      it("takes no more sign-ins than it has room for, whoever has begun them", async () => {
        await store.addSignIn(signIn);
        const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)";
        const rows = `SELECT CAST(i AS TEXT), 'n', 'v', '/', ${signIn.expiresAt + MINUTE} FROM n`;
        await database.attack(place, `INSERT INTO sign_ins ${numbers} ${rows}`);
        expect(await replica.addSignIn({ ...signIn, stateHash: "more" })).toBe(false);
        expect(await store.takeSignIn("more")).toBeUndefined();
        // What is over takes no room, whether it was swept away or not.
        now = signIn.expiresAt;
        expect(await replica.addSignIn({ ...signIn, stateHash: "more", expiresAt: now + MINUTE })).toBe(true);
        expect(await store.addSignIn({ ...signIn, stateHash: "another", expiresAt: now + MINUTE })).toBe(false);
      });

      it("takes a counter that grows, or that the authenticator does not have", async () => {
        await store.addPasskey(passkey);
        now += MINUTE;
        expect(await store.usePasskey("id", 0)).toBe(true);
        expect(await store.passkey("id")).toMatchObject({ counter: 0, lastUsedAt: now });
        expect(await store.usePasskey("id", 7)).toBe(true);
        for (const old of [7, 6, 0]) expect(await store.usePasskey("id", old), `${old}`).toBe(false);
        const twice = await Promise.all([store.usePasskey("id", 8), replica.usePasskey("id", 8)]);
        expect(twice.filter(Boolean)).toHaveLength(1);
        expect(await store.usePasskey("other", 9)).toBe(false);
      });

      it("sweeps away what is over, and nothing else", async () => {
        await store.addSession(session);
        await store.addSession({ ...session, idHash: "later", expiresAt: START + 2 * MINUTE });
        await store.addSignIn(signIn);
        await store.addChallenge(challenge);
        now = START + MINUTE;
        await replica.sweep();
        // Back in time, where all of them would be good.
        now = START;
        expect(await store.session("h")).toBeUndefined();
        expect(await store.takeSignIn("s")).toBeUndefined();
        expect(await store.takeChallenge("h", "assertion")).toBeUndefined();
        expect(await store.session("later")).toBeDefined();
      });
    });

    it("says that the database answers", async () => {
      await expect(store.check()).resolves.toBeUndefined();
    });
  },
);

describe("a SQLite file", () => {
  const files = sqliteFiles();
  beforeAll(() => files.start());
  afterAll(() => files.stop());

  it("can be read by its owner alone", async () => {
    const place = await files.fresh();
    if (place.kind !== "file") throw new Error("no file");
    await openSqlite(place.file).close();
    expect(statSync(place.file).mode & 0o777).toBe(0o600);
  });

  it("that cannot be made is named", async () => {
    const place = await files.fresh();
    if (place.kind !== "file") throw new Error("no file");
    await openSqlite(place.file).close();
    const within = path.join(place.file, "approval.db");
    expect(() => openSqlite(within)).toThrow(`DATABASE_FILE=${within} cannot be opened`);
  });
});

describe("a PostgreSQL database", () => {
  const databases = postgresDatabases();
  beforeAll(() => databases.start());
  afterAll(() => databases.stop());

  it("in another encoding is refused", async () => {
    const place = await databases.fresh();
    if (place.kind !== "postgres") throw new Error("no PostgreSQL");
    await databases.attack(place, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    const url = new URL(place.url);
    url.pathname = "/latin";
    const options = { clock: () => START, pendingMs: 1, approvedMs: 1, openPerPrincipal: 1, perHour: 1 };
    await expect(openStore({ kind: "postgres", url: url.href }, options)).rejects.toThrow(
      "is encoded in LATIN1; expected UTF8",
    );
  });
});
