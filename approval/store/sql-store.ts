// The store's statements, written once for both databases.
import { createHash, randomBytes } from "node:crypto";
import type { SqlConnection, SqlRow, SqlTransaction, SqlValue } from "./sql-connection.ts";
import type {
  Approval,
  ApprovalRecord,
  ApprovalState,
  Call,
  Challenge,
  Claim,
  ClaimOutcome,
  DecideOutcome,
  Decision,
  HistoryEntry,
  HistoryEvent,
  ListOptions,
  OpenOutcome,
  Passkey,
  Principal,
  Session,
  SignIn,
  Store,
  StoreOptions,
  User,
  Visible,
} from "./store.ts";

/** 128 bits: nobody meets an id by trying. */
const ID_BYTES = 16;
const HOUR_MS = 3_600_000;
/** Whoever has just said no is not asked again at once, however often the agent repeats itself. */
const DENIAL_HOLDS_MS = 60_000;
/** A time at which nothing has expired. */
const NEVER = 0;
/** Sign-ins that are under way at a time, of all replicas. Anybody can begin one: 10,000 are a few MB, and 16 a second for as long as each lasts. */
const SIGN_INS_MAX = 10_000;
/** An entry of history, without its sequence and its time. */
type Event = readonly [approvalId: string, event: HistoryEvent, actor: string, detail: string];

/** A store on a database whose tables are there. */
export class SqlStore implements Store {
  readonly #connection: SqlConnection;
  readonly #options: StoreOptions;

  constructor(connection: SqlConnection, options: StoreOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  open(call: Call): Promise<OpenOutcome> {
    const key = principalKey(call);
    return this.#connection.transaction("write", async (transaction) => {
      // What one principal opens is counted and compared one after the other, so that no two requests both find the last free place.
      await transaction.lock("principal", key);
      const now = this.#options.clock();
      const expired = await transaction.rows(
        "UPDATE approvals SET state = 'expired' WHERE principal_key = $1 AND state IN ('pending', 'approved') AND expires_at <= $2 RETURNING id",
        [key, now],
      );
      const events = expired.map((row): Event => [textOf(row, "id"), "expired", "", ""]);
      const outcome =
        (await this.#openAlready(transaction, call.digest, now)) ?? (await this.#limit(transaction, key, now));
      if (outcome !== undefined) {
        await this.#note(transaction, now, events);
        return outcome;
      }
      const id = randomBytes(ID_BYTES).toString("base64url");
      const expiresAt = now + this.#options.pendingMs;
      await insert(transaction, "approvals", {
        id,
        ...callColumns(call),
        principal_key: key,
        state: "pending",
        opened_at: now,
        expires_at: expiresAt,
      });
      await this.#note(transaction, now, [...events, [id, "opened", "", call.digest]]);
      return { kind: "approval", id, state: "pending", expiresAt, fresh: true };
    });
  }

  states(ids: readonly string[]): Promise<Map<string, ApprovalState>> {
    return this.#connection.transaction("read", async (transaction) => {
      const rows = await transaction.rows(
        `SELECT id, state, expires_at FROM approvals WHERE ${this.#connection.isIn("id", "$1")}`,
        [this.#connection.listParameter(ids)],
      );
      const now = this.#options.clock();
      return new Map(rows.map((row) => [textOf(row, "id"), stateOf(row, now)]));
    });
  }

  readyToClaim(claim: Claim): Promise<ClaimOutcome | { kind: "ready"; approval: Approval }> {
    return this.#connection.transaction("read", async (transaction) => {
      const [row] = await transaction.rows("SELECT * FROM approvals WHERE id = $1", [claim.id]);
      const now = this.#options.clock();
      const ready = row !== undefined && row.digest === claim.digest && stateOf(row, now) === "approved";
      return ready ? { kind: "ready", approval: approvalOf(row, now) } : claimOutcomeOf(row, claim, now);
    });
  }

  claim(claim: Claim, receipt: string): Promise<ClaimOutcome> {
    return this.#connection.transaction("write", async (transaction) => {
      const now = this.#options.clock();
      const claimed = await transaction.rows(
        "UPDATE approvals SET state = 'claimed', claimed_at = $1, nonce = $2, receipt = $3 WHERE id = $4 AND digest = $5 AND state = 'approved' AND expires_at > $1 RETURNING id",
        [now, claim.nonce, receipt, claim.id, claim.digest],
      );
      if (claimed.length > 0) {
        await this.#note(transaction, now, [[claim.id, "claimed", "", claim.nonce]]);
        return { kind: "receipt", receipt, fresh: true };
      }
      // Somebody else's claim may have been waited for just now; this statement sees what it has left.
      const [row] = await transaction.rows("SELECT * FROM approvals WHERE id = $1", [claim.id]);
      return claimOutcomeOf(row, claim, now);
    });
  }

  approval(id: string): Promise<Approval | undefined> {
    return this.#connection.transaction("read", async (transaction) => {
      const [row] = await transaction.rows("SELECT * FROM approvals WHERE id = $1", [id]);
      return row === undefined ? undefined : approvalOf(row, this.#options.clock());
    });
  }

  decide(decision: Decision): Promise<DecideOutcome> {
    const { id, verdict, approver } = decision;
    return this.#connection.transaction("write", async (transaction) => {
      const now = this.#options.clock();
      const [row] =
        decision.verdict === "approved"
          ? await transaction.rows(
              "UPDATE approvals SET state = 'approved', decided_at = $1, expires_at = $2, approver = $3, assertion = $4 WHERE id = $5 AND state = 'pending' AND expires_at > $1 RETURNING *",
              [now, now + this.#options.approvedMs, approver, decision.assertion, id],
            )
          : await transaction.rows(
              "UPDATE approvals SET state = 'denied', decided_at = $1, approver = $2, reason = $3 WHERE id = $4 AND state = 'pending' AND expires_at > $1 RETURNING *",
              [now, approver, decision.reason, id],
            );
      if (row !== undefined) {
        await this.#note(transaction, now, [
          [id, verdict, approver, verdict === "denied" ? textOf(row, "reason") : ""],
        ]);
        return { kind: "decided", approval: approvalOf(row, now) };
      }
      const [found] = await transaction.rows("SELECT state, expires_at FROM approvals WHERE id = $1", [id]);
      if (found === undefined) return { kind: "unknown" };
      const state = stateOf(found, now);
      // It cannot be pending: nothing goes back to that.
      return { kind: "not_pending", state: state === "pending" ? "expired" : state };
    });
  }

  list(visible: Visible, { which, limit, after }: ListOptions): Promise<Approval[]> {
    return this.#connection.transaction("read", async (transaction) => {
      const now = this.#options.clock();
      const parameters: SqlValue[] = [now];
      const parameter = (value: SqlValue): string => `$${parameters.push(value)}`;
      const conditions = ["(state = 'pending' AND expires_at > $1)"];
      if (which === "closed") {
        conditions[0] = `NOT ${conditions[0]}`;
        if (after !== undefined) {
          conditions.push(`(opened_at, id) < (${parameter(after.openedAt)}, ${parameter(after.id)})`);
        }
      }
      if (visible !== "everybody") {
        const keys = this.#connection.listParameter(visible.map(principalKey));
        conditions.push(this.#connection.isIn("principal_key", parameter(keys)));
      }
      const order = which === "open" ? "expires_at, id" : "opened_at DESC, id DESC";
      const rows = await transaction.rows(
        `SELECT * FROM approvals WHERE ${conditions.join(" AND ")} ORDER BY ${order} LIMIT ${parameter(limit)}`,
        parameters,
      );
      return rows.map((row) => approvalOf(row, now));
    });
  }

  historyOf(approvalId: string): Promise<HistoryEntry[]> {
    return this.#connection.transaction("read", async (transaction) => {
      const rows = await transaction.rows("SELECT * FROM history WHERE approval_id = $1 ORDER BY sequence", [
        approvalId,
      ]);
      return rows.map(entryOf);
    });
  }

  record(id: string): Promise<ApprovalRecord | undefined> {
    return this.#connection.transaction("read", async (transaction) => {
      // One statement: two of them could see what has happened in between.
      const rows = await transaction.rows(
        "SELECT * FROM approvals JOIN history ON history.approval_id = approvals.id WHERE approvals.id = $1 ORDER BY sequence",
        [id],
      );
      const [row] = rows;
      if (row === undefined) return undefined;
      return {
        approval: approvalOf(row, NEVER),
        nonce: textOrNull(row, "nonce"),
        receipt: textOrNull(row, "receipt"),
        history: rows.map(entryOf),
      };
    });
  }

  historyAfter(sequence: number, limit: number): Promise<HistoryEntry[]> {
    return this.#connection.transaction("read", async (transaction) => {
      const rows = await transaction.rows("SELECT * FROM history WHERE sequence > $1 ORDER BY sequence LIMIT $2", [
        sequence,
        limit,
      ]);
      return rows.map(entryOf);
    });
  }

  lastSequence(): Promise<number> {
    return this.#connection.transaction("read", async (transaction) => lastSequence(transaction));
  }

  pendingCount(): Promise<number> {
    return this.#connection.transaction("read", async (transaction) => {
      const [row] = await transaction.rows(
        "SELECT CAST(COUNT(*) AS INTEGER) AS pending FROM approvals WHERE state = 'pending' AND expires_at > $1",
        [this.#options.clock()],
      );
      return numberOf(row, "pending");
    });
  }

  addSession(session: Session): Promise<void> {
    return this.#connection.transaction("write", async (transaction) => {
      await insert(transaction, "sessions", {
        id_hash: session.idHash,
        issuer: session.issuer,
        subject: session.subject,
        claims: session.claims,
        signed_in_at: session.signedInAt,
        csrf_secret: session.csrfSecret,
        expires_at: session.expiresAt,
      });
    });
  }

  session(idHash: string): Promise<Session | undefined> {
    return this.#connection.transaction("read", async (transaction) => {
      const [row] = await transaction.rows("SELECT * FROM sessions WHERE id_hash = $1 AND expires_at > $2", [
        idHash,
        this.#options.clock(),
      ]);
      return row === undefined ? undefined : sessionOf(row);
    });
  }

  removeSession(idHash: string): Promise<void> {
    return this.#connection.transaction("write", async (transaction) => {
      await transaction.rows("DELETE FROM sessions WHERE id_hash = $1", [idHash]);
    });
  }

  addSignIn(signIn: SignIn): Promise<boolean> {
    return this.#connection.transaction("write", async (transaction) => {
      // Without a lock: those that come at the same moment may go over the bound together, by as many as there are connections.
      const [row] = await transaction.rows(
        "SELECT CAST(COUNT(*) AS INTEGER) AS under_way FROM sign_ins WHERE expires_at > $1",
        [this.#options.clock()],
      );
      if (numberOf(row, "under_way") >= SIGN_INS_MAX) return false;
      await insert(transaction, "sign_ins", {
        state_hash: signIn.stateHash,
        nonce: signIn.nonce,
        verifier: signIn.verifier,
        return_path: signIn.returnPath,
        expires_at: signIn.expiresAt,
      });
      return true;
    });
  }

  takeSignIn(stateHash: string): Promise<SignIn | undefined> {
    return this.#connection.transaction("write", async (transaction) => {
      const [row] = await transaction.rows("DELETE FROM sign_ins WHERE state_hash = $1 RETURNING *", [stateHash]);
      if (row === undefined || this.#isOver(row)) return undefined;
      return {
        stateHash: textOf(row, "state_hash"),
        nonce: textOf(row, "nonce"),
        verifier: textOf(row, "verifier"),
        returnPath: textOf(row, "return_path"),
        expiresAt: numberOf(row, "expires_at"),
      };
    });
  }

  addPasskey(passkey: Passkey): Promise<boolean> {
    return this.#connection.transaction("write", async (transaction) => {
      const columns = {
        credential_id: passkey.credentialId,
        public_key: passkey.publicKey,
        counter: passkey.counter,
        transports: JSON.stringify(passkey.transports),
        issuer: passkey.issuer,
        subject: passkey.subject,
        user_key: userKey(passkey),
        name: passkey.name,
        created_at: passkey.createdAt,
        last_used_at: passkey.lastUsedAt,
      };
      const added = await insert(
        transaction,
        "passkeys",
        columns,
        "ON CONFLICT (credential_id) DO NOTHING RETURNING credential_id",
      );
      return added.length > 0;
    });
  }

  passkeysOf(user: User): Promise<Passkey[]> {
    return this.#connection.transaction("read", async (transaction) => {
      const rows = await transaction.rows(
        "SELECT * FROM passkeys WHERE user_key = $1 ORDER BY created_at, credential_id",
        [userKey(user)],
      );
      return rows.map(passkeyOf);
    });
  }

  passkey(credentialId: string): Promise<Passkey | undefined> {
    return this.#connection.transaction("read", async (transaction) => {
      const [row] = await transaction.rows("SELECT * FROM passkeys WHERE credential_id = $1", [credentialId]);
      return row === undefined ? undefined : passkeyOf(row);
    });
  }

  usePasskey(credentialId: string, counter: number): Promise<boolean> {
    return this.#connection.transaction("write", async (transaction) => {
      const used = await transaction.rows(
        "UPDATE passkeys SET counter = $1, last_used_at = $2 WHERE credential_id = $3 AND (counter < $1 OR (counter = 0 AND $1 = 0)) RETURNING credential_id",
        [counter, this.#options.clock(), credentialId],
      );
      return used.length > 0;
    });
  }

  removePasskey(user: User, credentialId: string): Promise<boolean> {
    return this.#connection.transaction("write", async (transaction) => {
      const removed = await transaction.rows(
        "DELETE FROM passkeys WHERE credential_id = $1 AND user_key = $2 RETURNING credential_id",
        [credentialId, userKey(user)],
      );
      return removed.length > 0;
    });
  }

  addChallenge(challenge: Challenge): Promise<void> {
    return this.#connection.transaction("write", async (transaction) => {
      await insert(transaction, "challenges", {
        hash: challenge.hash,
        kind: challenge.kind,
        approval_id: challenge.approvalId,
        issuer: challenge.issuer,
        subject: challenge.subject,
        nonce: challenge.nonce,
        expires_at: challenge.expiresAt,
      });
    });
  }

  takeChallenge(hash: string, kind: Challenge["kind"]): Promise<Challenge | undefined> {
    return this.#connection.transaction("write", async (transaction) => {
      const [row] = await transaction.rows("DELETE FROM challenges WHERE hash = $1 AND kind = $2 RETURNING *", [
        hash,
        kind,
      ]);
      if (row === undefined || this.#isOver(row)) return undefined;
      return {
        hash: textOf(row, "hash"),
        kind: textOf(row, "kind") as Challenge["kind"],
        approvalId: textOrNull(row, "approval_id"),
        issuer: textOf(row, "issuer"),
        subject: textOf(row, "subject"),
        nonce: textOf(row, "nonce"),
        expiresAt: numberOf(row, "expires_at"),
      };
    });
  }

  sweep(): Promise<void> {
    return this.#connection.transaction("write", async (transaction) => {
      const now = this.#options.clock();
      for (const table of ["sessions", "sign_ins", "challenges"]) {
        await transaction.rows(`DELETE FROM ${table} WHERE expires_at <= $1`, [now]);
      }
      const expired = await transaction.rows(
        "UPDATE approvals SET state = 'expired' WHERE state IN ('pending', 'approved') AND expires_at <= $1 RETURNING id",
        [now],
      );
      await this.#note(
        transaction,
        now,
        expired.map((row): Event => [textOf(row, "id"), "expired", "", ""]),
      );
    });
  }

  check(): Promise<void> {
    return this.#connection.transaction("read", async (transaction) => {
      await transaction.rows("SELECT version FROM schema_version LIMIT 1");
    });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** The approval that a call has already; what has expired is marked so before. */
  async #openAlready(transaction: SqlTransaction, digest: string, now: number): Promise<OpenOutcome | undefined> {
    const [open] = await transaction.rows(
      "SELECT id, state, expires_at FROM approvals WHERE digest = $1 AND state IN ('pending', 'approved')",
      [digest],
    );
    if (open !== undefined) {
      const state = open.state === "approved" ? "approved" : "pending";
      return { kind: "approval", id: textOf(open, "id"), state, expiresAt: numberOf(open, "expires_at"), fresh: false };
    }
    const [denied] = await transaction.rows(
      "SELECT id, decided_at FROM approvals WHERE digest = $1 AND state = 'denied' AND decided_at > $2 ORDER BY decided_at DESC LIMIT 1",
      [digest, now - DENIAL_HOLDS_MS],
    );
    if (denied === undefined) return undefined;
    const expiresAt = numberOf(denied, "decided_at") + DENIAL_HOLDS_MS;
    return { kind: "approval", id: textOf(denied, "id"), state: "denied", expiresAt, fresh: false };
  }

  async #limit(transaction: SqlTransaction, key: string, now: number): Promise<OpenOutcome | undefined> {
    const [row] = await transaction.rows(
      "SELECT CAST(COUNT(*) FILTER (WHERE state = 'pending') AS INTEGER) AS waiting, CAST(COUNT(*) FILTER (WHERE opened_at > $2) AS INTEGER) AS recent FROM approvals WHERE principal_key = $1 AND (state = 'pending' OR opened_at > $2)",
      [key, now - HOUR_MS],
    );
    if (numberOf(row, "waiting") >= this.#options.openPerPrincipal) return { kind: "limit", limit: "open" };
    if (numberOf(row, "recent") >= this.#options.perHour) return { kind: "limit", limit: "hour" };
    return undefined;
  }

  /** Writes to history; the last thing that a transaction does. Sequences are in the order of commits, because the lock is held up to there. */
  async #note(transaction: SqlTransaction, at: number, events: readonly Event[]): Promise<void> {
    if (events.length === 0) return;
    await transaction.lock("history");
    let sequence = await lastSequence(transaction);
    for (const [approvalId, event, actor, detail] of events) {
      sequence += 1;
      await insert(transaction, "history", { sequence, at, approval_id: approvalId, event, actor, detail });
    }
  }

  #isOver(row: SqlRow): boolean {
    return numberOf(row, "expires_at") <= this.#options.clock();
  }
}

/** What a claim is told that claims nothing. */
function claimOutcomeOf(row: SqlRow | undefined, { digest, nonce }: Claim, now: number): ClaimOutcome {
  if (row === undefined) return { kind: "refused", why: "unknown" };
  if (row.digest !== digest) return { kind: "refused", why: "digest" };
  const state = stateOf(row, now);
  if (state === "claimed") {
    if (row.nonce !== nonce) return { kind: "refused", why: "replayed" };
    return { kind: "receipt", receipt: textOf(row, "receipt"), fresh: false };
  }
  // Approved between two statements: the next try will find it.
  return { kind: "refused", why: state === "approved" ? "pending" : state };
}

/** SHA-256 over both parts, each behind its length: no two pairs have one key. */
function pairKey(first: string, second: string): string {
  const hash = createHash("sha256");
  for (const part of [first, second]) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex");
}

function principalKey({ issuer, principal }: Principal): string {
  return pairKey(issuer, principal);
}

function userKey({ issuer, subject }: User): string {
  return pairKey(issuer, subject);
}

/** @param columns their names are ours, their values anybody's. */
function insert(
  transaction: SqlTransaction,
  table: string,
  columns: Readonly<Record<string, SqlValue>>,
  end = "",
): Promise<SqlRow[]> {
  const names = Object.keys(columns);
  const places = names.map((_, index) => `$${index + 1}`);
  return transaction.rows(
    `INSERT INTO ${table} (${names.join(", ")}) VALUES (${places.join(", ")}) ${end}`,
    Object.values(columns),
  );
}

async function lastSequence(transaction: SqlTransaction): Promise<number> {
  const [row] = await transaction.rows("SELECT COALESCE(MAX(sequence), 0) AS last FROM history");
  return numberOf(row, "last");
}

function callColumns(call: Call): Record<string, SqlValue> {
  return {
    digest: call.digest,
    server: call.server,
    authority: call.authority,
    path: call.path,
    issuer: call.issuer,
    principal: call.principal,
    workload: call.workload,
    method: call.method,
    tool: call.tool,
    arguments: call.arguments,
    task: call.task,
    input_responses: call.inputResponses,
  };
}

function approvalOf(row: SqlRow, now: number): Approval {
  return {
    id: textOf(row, "id"),
    digest: textOf(row, "digest"),
    server: textOf(row, "server"),
    authority: textOf(row, "authority"),
    path: textOf(row, "path"),
    issuer: textOf(row, "issuer"),
    principal: textOf(row, "principal"),
    workload: textOf(row, "workload"),
    method: textOf(row, "method"),
    tool: textOf(row, "tool"),
    arguments: textOf(row, "arguments"),
    task: textOf(row, "task"),
    inputResponses: textOf(row, "input_responses"),
    state: stateOf(row, now),
    openedAt: numberOf(row, "opened_at"),
    expiresAt: numberOf(row, "expires_at"),
    decidedAt: numberOrNull(row, "decided_at"),
    approver: textOrNull(row, "approver"),
    reason: textOrNull(row, "reason"),
    assertion: textOrNull(row, "assertion"),
    claimedAt: numberOrNull(row, "claimed_at"),
  };
}

/** What has run out is expired from that moment on, not from the sweep that notes it. */
function stateOf(row: SqlRow, now: number): ApprovalState {
  const state = textOf(row, "state") as ApprovalState;
  const underWay = state === "pending" || state === "approved";
  return underWay && numberOf(row, "expires_at") <= now ? "expired" : state;
}

function entryOf(row: SqlRow): HistoryEntry {
  return {
    sequence: numberOf(row, "sequence"),
    at: numberOf(row, "at"),
    approvalId: textOf(row, "approval_id"),
    event: textOf(row, "event") as HistoryEvent,
    actor: textOf(row, "actor"),
    detail: textOf(row, "detail"),
  };
}

function sessionOf(row: SqlRow): Session {
  return {
    idHash: textOf(row, "id_hash"),
    issuer: textOf(row, "issuer"),
    subject: textOf(row, "subject"),
    claims: textOf(row, "claims"),
    signedInAt: numberOf(row, "signed_in_at"),
    csrfSecret: textOf(row, "csrf_secret"),
    expiresAt: numberOf(row, "expires_at"),
  };
}

function passkeyOf(row: SqlRow): Passkey {
  return {
    credentialId: textOf(row, "credential_id"),
    publicKey: textOf(row, "public_key"),
    counter: numberOf(row, "counter"),
    transports: JSON.parse(textOf(row, "transports")) as string[],
    issuer: textOf(row, "issuer"),
    subject: textOf(row, "subject"),
    name: textOf(row, "name"),
    createdAt: numberOf(row, "created_at"),
    lastUsedAt: numberOrNull(row, "last_used_at"),
  };
}

function textOrNull(row: SqlRow, column: string): string | null {
  const value = row[column];
  if (value !== null && typeof value !== "string") throw new TypeError(`column ${column} is no text`);
  return value;
}

function textOf(row: SqlRow, column: string): string {
  const value = textOrNull(row, column);
  if (value === null) throw new TypeError(`column ${column} is empty`);
  return value;
}

function numberOrNull(row: SqlRow, column: string): number | null {
  const value = row[column];
  if (value !== null && typeof value !== "number") throw new TypeError(`column ${column} is no number`);
  return value;
}

function numberOf(row: SqlRow | undefined, column: string): number {
  const value = row === undefined ? null : numberOrNull(row, column);
  if (value === null) throw new TypeError(`column ${column} is empty`);
  return value;
}
