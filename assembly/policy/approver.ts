// `approval`, mode `required`: where calls of flagged tools wait for a human, and whose receipts count.

import { copyText } from "../memory/bytes";

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

/** An approver with the numbers and copies of the texts of `draft`, and no keys yet. Freed with `freeApprover`. */
export function createApprover(draft: Approver): Approver {
  const bytes =
    draft.serverBytes +
    draft.pageBytes +
    draft.clusterBytes +
    draft.authorityBytes +
    draft.pathBytes +
    draft.secretEnvBytes;
  const address = heap.alloc(offsetof<Approver>() + bytes);
  const approver = changetype<Approver>(address);
  memory.copy(address, changetype<usize>(draft), offsetof<Approver>());
  approver.serverAt = address + offsetof<Approver>();
  approver.pageAt = copyText(approver.serverAt, draft.serverAt, draft.serverBytes);
  approver.clusterAt = copyText(approver.pageAt, draft.pageAt, draft.pageBytes);
  approver.authorityAt = copyText(approver.clusterAt, draft.clusterAt, draft.clusterBytes);
  approver.pathAt = copyText(approver.authorityAt, draft.authorityAt, draft.authorityBytes);
  approver.secretEnvAt = copyText(approver.pathAt, draft.pathAt, draft.pathBytes);
  copyText(approver.secretEnvAt, draft.secretEnvAt, draft.secretEnvBytes);
  return approver;
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
