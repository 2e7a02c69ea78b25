// What the service keeps, whatever database keeps it: calls that wait for a human, what was decided about them, and who is signed in.
// Times are milliseconds since 1970. What has expired is never given out, whether it has been swept away or not.

/** Who may decide about a call: the value of a claim, as the guard and the sign-in both know it. */
export interface Principal {
  issuer: string;
  principal: string;
}

/** One person at the sign-in's provider (OpenID Connect Core 1.0, section 2: `iss` and `sub` together are unique, neither is alone). */
export interface User {
  issuer: string;
  subject: string;
}

/** A call as the guard sent it. All but `workload` is part of the digest. */
export interface Call extends Principal {
  /** 64 lower-case hexadecimal digits. */
  digest: string;
  server: string;
  authority: string;
  path: string;
  /** Through which workload the principal asks; for the human to see, empty when unknown. */
  workload: string;
  method: string;
  tool: string;
  /** Canonical text, empty when the call has none; so are the next two. */
  arguments: string;
  task: string;
  inputResponses: string;
}

/** Where an approval stands. Only `pending` can be decided, only `approved` can be claimed; the other three are ends. */
export type ApprovalState = "pending" | "approved" | "denied" | "expired" | "claimed";

/** One call, and what became of it. */
export interface Approval extends Call {
  /** 22 characters of base64url. */
  id: string;
  state: ApprovalState;
  openedAt: number;
  /** Until when it can be decided, and once it is approved: until when it can be claimed. */
  expiresAt: number;
  decidedAt: number | null;
  /** Who decided, as the receipt and the audit name them. */
  approver: string | null;
  /** Why it was denied, in the words of whoever did. */
  reason: string | null;
  /** The approver's signature, as JSON: the WebAuthn response with what is needed to verify it again. */
  assertion: string | null;
  claimedAt: number | null;
}

/** What became of a call that a guard has brought. */
export type OpenOutcome =
  /** `fresh` when this very call of `open` has made it. `denied`: the same call was denied a moment ago. */
  | { kind: "approval"; id: string; state: "pending" | "approved" | "denied"; expiresAt: number; fresh: boolean }
  /** The principal has too many that are open, or had too many within the hour. */
  | { kind: "limit"; limit: "open" | "hour" };

/** What a guard claims. */
export interface Claim {
  id: string;
  digest: string;
  /** Chosen by whoever claims: the same one again is a retry. */
  nonce: string;
}

/** What became of a claim. */
export type ClaimOutcome =
  /** Claimed with this nonce, now or earlier. The receipt is the one that was stored then, byte for byte. */
  | { kind: "receipt"; receipt: string; fresh: boolean }
  | { kind: "refused"; why: "replayed" | "pending" | "denied" | "expired" | "unknown" | "digest" };

/** What somebody has decided, and what proves it. */
export type Decision =
  | { id: string; verdict: "approved"; approver: string; assertion: string }
  | { id: string; verdict: "denied"; approver: string; reason: string };

/** What became of a decision. */
export type DecideOutcome =
  | { kind: "decided"; approval: Approval }
  /** Somebody was faster, or it was too late: nothing has changed. */
  | { kind: "not_pending"; state: Exclude<ApprovalState, "pending"> }
  | { kind: "unknown" };

/** Which approvals somebody sees: those of the principals that they are, or everybody's (an approver group). */
export type Visible = "everybody" | readonly Principal[];

/** Which part of a list. */
export interface ListOptions {
  /** `open`: what can be decided now, the one that expires first in front. `closed`: everything else, the newest first. */
  which: "open" | "closed";
  /** At most so many. */
  limit: number;
  /** The last one of the page before; for `closed` only. */
  after?: { openedAt: number; id: string };
}

/** What can happen to an approval. */
export type HistoryEvent = "opened" | "approved" | "denied" | "expired" | "claimed";

/** One thing that happened. The database refuses to change or remove it. */
export interface HistoryEntry {
  /** Grows with every entry. No entry ever appears in front of one that has been read. */
  sequence: number;
  at: number;
  approvalId: string;
  event: HistoryEvent;
  /** Who did it: an approver, or empty for the guard and for time. */
  actor: string;
  /** The reason of a denial, the nonce of a claim, the digest of what was opened. */
  detail: string;
}

/** An approval with all that proves what became of it, for auditors. */
export interface ApprovalRecord {
  /** Its state is that of the newest entry: what has run out is not expired here until somebody has noted it. */
  approval: Approval;
  /** Of the claim, and what it got; null when it was not claimed. */
  nonce: string | null;
  receipt: string | null;
  history: HistoryEntry[];
}

/** Somebody who is signed in. */
export interface Session extends User {
  /** SHA-256 of the id in the cookie: who reads the database cannot take a session over. */
  idHash: string;
  /** The claims of the ID token, as JSON. */
  claims: string;
  /** When the provider last asked for the user's credentials (`auth_time`), not when this session began. */
  signedInAt: number;
  csrfSecret: string;
  expiresAt: number;
}

/** A sign-in that is under way at the provider (RFC 6749 section 10.12, RFC 7636, OpenID Connect Core 1.0 section 3.1.2.1). */
export interface SignIn {
  stateHash: string;
  nonce: string;
  verifier: string;
  returnPath: string;
  expiresAt: number;
}

/** A credential of WebAuthn, and whose it is. */
export interface Passkey extends User {
  /** base64url, as WebAuthn gives it. */
  credentialId: string;
  /** COSE key, base64url. */
  publicKey: string;
  counter: number;
  transports: readonly string[];
  name: string;
  createdAt: number;
  lastUsedAt: number | null;
}

/** A challenge of WebAuthn that is good for one answer. */
export interface Challenge extends User {
  /** What finds it again: a hash of the challenge. */
  hash: string;
  kind: "registration" | "assertion";
  /** Null for a registration. */
  approvalId: string | null;
  /** The random part, with which the challenge is computed again. */
  nonce: string;
  expiresAt: number;
}

/** What a store has to be told beside its place. */
export interface StoreOptions {
  clock: () => number;
  /** How long a call waits for a human. */
  pendingMs: number;
  /** How long an approval can be claimed. */
  approvedMs: number;
  openPerPrincipal: number;
  perHour: number;
}

/**
 * The service's memory. Every method is one transaction, which is durable when the promise is fulfilled; several processes can share one
 * database.
 * @throws StoreUnavailableError from every method when the database does not answer. Whether it did what was asked is unknown then.
 */
export interface Store {
  /** Finds the approval of a call, or makes one. The digest must have been checked. */
  open(call: Call): Promise<OpenOutcome>;
  /** Where approvals stand; unknown ids are absent. */
  states(ids: readonly string[]): Promise<Map<string, ApprovalState>>;
  /** What would become of a claim: what is to be signed when it is `ready`, and else what `claim` would say. Changes nothing. */
  readyToClaim(claim: Claim): Promise<ClaimOutcome | { kind: "ready"; approval: Approval }>;
  /**
   * Turns one approval into one receipt, once: compare-and-set on `approved`.
   * @param receipt signed already, and to leave the service only if the outcome gives it back: of two claims at a time one has signed in vain.
   */
  claim(claim: Claim, receipt: string): Promise<ClaimOutcome>;

  approval(id: string): Promise<Approval | undefined>;
  /** Compare-and-set on `pending`. An approval is claimable for `approvedMs` from then on. */
  decide(decision: Decision): Promise<DecideOutcome>;
  list(visible: Visible, options: ListOptions): Promise<Approval[]>;
  historyOf(approvalId: string): Promise<HistoryEntry[]>;
  /** All that there is about an approval, as it was at one moment. */
  record(id: string): Promise<ApprovalRecord | undefined>;
  /** Entries after `sequence`, in order; for exports and live updates. */
  historyAfter(sequence: number, limit: number): Promise<HistoryEntry[]>;
  /** The sequence of the newest entry, 0 when there is none. */
  lastSequence(): Promise<number>;
  /** How many wait for a human now. */
  pendingCount(): Promise<number>;

  addSession(session: Session): Promise<void>;
  session(idHash: string): Promise<Session | undefined>;
  removeSession(idHash: string): Promise<void>;

  /**
   * Anybody can begin a sign-in, and each needs room.
   * @returns whether it was added: false when too many are under way.
   */
  addSignIn(signIn: SignIn): Promise<boolean>;
  /** Gives it out and removes it: a state is good for one callback. */
  takeSignIn(stateHash: string): Promise<SignIn | undefined>;

  /** @returns whether it was added: false when the credential is known already, to whomever it belongs. */
  addPasskey(passkey: Passkey): Promise<boolean>;
  passkeysOf(user: User): Promise<Passkey[]>;
  passkey(credentialId: string): Promise<Passkey | undefined>;
  /**
   * Notes that a passkey was used (WebAuthn Level 3, section 6.1.1: a counter that does not grow is a sign of a clone).
   * @returns false when the counter is neither larger than the stored one nor both are 0; nothing has changed then.
   */
  usePasskey(credentialId: string, counter: number): Promise<boolean>;
  /** @returns whether the user had such a passkey. */
  removePasskey(user: User, credentialId: string): Promise<boolean>;

  addChallenge(challenge: Challenge): Promise<void>;
  /** Gives it out and removes it: of two answers to one challenge, one finds it. */
  takeChallenge(hash: string, kind: Challenge["kind"]): Promise<Challenge | undefined>;

  /** Notes what has expired, and removes sessions, sign-ins and challenges that have. To be called now and then, by any replica. */
  sweep(): Promise<void>;
  /** Fulfilled when the database answers. */
  check(): Promise<void>;
  /** Waits for what is under way and lets go of the database. */
  close(): Promise<void>;
}

/** The database does not answer, or not in time. Nothing may be granted on the strength of a guess. */
export class StoreUnavailableError extends Error {
  constructor(cause: unknown) {
    super(`the database does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "StoreUnavailableError";
  }
}
