// `approval`, mode `required`: where calls of flagged tools wait for a human, and whose receipts count.

/** `approval.legacy_carrier`: how a client before MCP 2026-07-28 gets the link. */
export const enum LegacyCarrier {
  ToolError,
  /** Error -32042 of MCP 2025-11-25. */
  UrlElicitation,
}

@unmanaged
export class Approver {
  /** `server`, `page`, and of `service`: `cluster`, `authority`, `path`, `secret_env` (0 bytes when absent). Owned, in one block with the record. */
  serverAt: usize;
  serverBytes: u32;
  pageAt: usize;
  pageBytes: u32;
  clusterAt: usize;
  clusterBytes: u32;
  authorityAt: usize;
  authorityBytes: u32;
  pathAt: usize;
  pathBytes: u32;
  secretEnvAt: usize;
  secretEnvBytes: u32;
  /** First entry of `keys`. Never null once configured. */
  firstKey: ReceiptKey | null;
  timeoutMs: u32;
  pollMs: u32;
  /** Milliseconds that a call waits before its client gets the link. */
  holdMs: u32;
  /** Bytes of arguments, task and input responses of one call, as they come. */
  argumentsBytesMax: u32;
  /** Calls that wait, in all and of one principal. */
  waitingMax: u32;
  waitingPerPrincipalMax: u32;
  legacyCarrier: LegacyCarrier;
  /** What `secret_env` names, read when the guard is configured; 0 bytes when there is none. Owned. */
  secretAt: usize;
  secretBytes: u32;
}

/** One entry of `keys`: a P-256 key of the service that signs receipts. */
@unmanaged
export class ReceiptKey {
  next: ReceiptKey | null;
  kidAt: usize;
  kidBytes: u32;
  /** DER of the SubjectPublicKeyInfo (RFC 5480). */
  spkiAt: usize;
  spkiBytes: u32;
}

/** The texts that an approver is made of; the addresses need live only as long as the call. */
@unmanaged
export class ApproverTexts {
  serverAt: usize;
  serverBytes: u32;
  pageAt: usize;
  pageBytes: u32;
  clusterAt: usize;
  clusterBytes: u32;
  authorityAt: usize;
  authorityBytes: u32;
  pathAt: usize;
  pathBytes: u32;
  secretEnvAt: usize;
  secretEnvBytes: u32;
}

/** An approver with copies of its texts; its keys and numbers are not set. Freed with `freeApprover`. */
export function createApprover(texts: ApproverTexts): Approver {
  const bytes =
    texts.serverBytes +
    texts.pageBytes +
    texts.clusterBytes +
    texts.authorityBytes +
    texts.pathBytes +
    texts.secretEnvBytes;
  const address = heap.alloc(offsetof<Approver>() + bytes);
  const approver = changetype<Approver>(address);
  memory.fill(address, 0, offsetof<Approver>());
  let at = address + offsetof<Approver>();
  approver.serverAt = at;
  approver.serverBytes = texts.serverBytes;
  at = keep(at, texts.serverAt, texts.serverBytes);
  approver.pageAt = at;
  approver.pageBytes = texts.pageBytes;
  at = keep(at, texts.pageAt, texts.pageBytes);
  approver.clusterAt = at;
  approver.clusterBytes = texts.clusterBytes;
  at = keep(at, texts.clusterAt, texts.clusterBytes);
  approver.authorityAt = at;
  approver.authorityBytes = texts.authorityBytes;
  at = keep(at, texts.authorityAt, texts.authorityBytes);
  approver.pathAt = at;
  approver.pathBytes = texts.pathBytes;
  at = keep(at, texts.pathAt, texts.pathBytes);
  approver.secretEnvAt = at;
  approver.secretEnvBytes = texts.secretEnvBytes;
  keep(at, texts.secretEnvAt, texts.secretEnvBytes);
  return approver;
}

/** Copies a text; the address behind the copy. */
function keep(at: usize, from: usize, bytes: u32): usize {
  memory.copy(at, from, bytes);
  return at + bytes;
}

/** A key with copies of its two texts behind it in one block. Freed with its approver. */
export function createReceiptKey(kidAt: usize, kidBytes: u32, spkiAt: usize, spkiBytes: u32): ReceiptKey {
  const address = heap.alloc(offsetof<ReceiptKey>() + kidBytes + spkiBytes);
  const key = changetype<ReceiptKey>(address);
  key.next = null;
  key.kidAt = address + offsetof<ReceiptKey>();
  key.kidBytes = kidBytes;
  key.spkiAt = key.kidAt + kidBytes;
  key.spkiBytes = spkiBytes;
  memory.copy(key.kidAt, kidAt, kidBytes);
  memory.copy(key.spkiAt, spkiAt, spkiBytes);
  return key;
}

/** Gives an approver its secret: a copy of the `bytes` bytes at `address`. Once. */
export function setSecret(approver: Approver, address: usize, bytes: u32): void {
  approver.secretAt = heap.alloc(bytes);
  approver.secretBytes = bytes;
  memory.copy(approver.secretAt, address, bytes);
}

/** Frees an approver with its keys. Nothing of the secret stays in memory. */
export function freeApprover(approver: Approver): void {
  if (approver.secretBytes != 0) {
    memory.fill(approver.secretAt, 0, approver.secretBytes);
    heap.free(approver.secretAt);
  }
  let key = approver.firstKey;
  while (key !== null) {
    const after = key.next;
    heap.free(changetype<usize>(key));
    key = after;
  }
  heap.free(changetype<usize>(approver));
}
