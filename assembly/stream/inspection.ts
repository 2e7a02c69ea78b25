// What is needed to read one request body: the JSON reader, the envelope and its message, in one block. A stream has one
// from its headers to its verdict; then it goes back to its guard, so that long response streams do not keep it.
//
//   block:  | Inspection | key of its principal | JsonReader | Envelope | Message | Mirror | Findings | caller | reader block | envelope block | mirror block |

import { freeReader, initReader, JsonReader, readerBlockBytes, readerHeldBytes, resetReader } from "../json/reader";
import { ENVELOPE_BLOCK_BYTES, Envelope, initEnvelope, resetEnvelope } from "../mcp/envelope";
import { Message } from "../mcp/message";
import { initMirror, MIRROR_BLOCK_BYTES, MIRROR_BYTES, Mirror, mirrorHeldBytes, resetMirror } from "../mcp/mirror";
import { Buffer, emptyBuffer, freeBuffer, initBuffer } from "../memory/buffer";
import { FINDINGS_BYTES, Findings, initFindings, resetFindings } from "../policy/findings";
import { Policy } from "../policy/policy";
import { PRINCIPAL_KEY_BYTES } from "../rate/principals";
import { Guard } from "./guard";

@unmanaged
export class Inspection {
  nextSpare: Inspection | null;
  reader: JsonReader;
  envelope: Envelope;
  message: Message;
  mirror: Mirror;
  findings: Findings;
  /** Under a policy that asks humans: who makes the request and where it goes (approval/caller.ts). */
  caller: Buffer;
  hasPrincipal: bool;
  /** Under a policy with rate limits: whether a principal is named, and where its key stands (rate/principals.ts), behind this record. */
  hasRateKey: bool;
  rateKeyAt: usize;
  /** Bytes of the block. */
  blockBytes: u32;
  /** The guard's generation of the policy whose limits it has. */
  generation: u32;
}

/** An inspection for the policy of `guard`: a spare one, or a new one. */
export function takeInspection(guard: Guard, policy: Policy): Inspection {
  const spare = guard.spare;
  if (spare !== null) {
    guard.spare = spare.nextSpare;
    return spare;
  }
  const inspection = createInspection(policy);
  inspection.generation = guard.generation;
  return inspection;
}

/** Gives an inspection back: ready for the next message, or freed when the policy has changed since. */
export function giveBackInspection(guard: Guard, inspection: Inspection): void {
  if (inspection.generation != guard.generation) {
    freeInspection(inspection);
    return;
  }
  resetReader(inspection.reader);
  resetEnvelope(inspection.envelope);
  resetMirror(inspection.mirror);
  resetFindings(inspection.findings);
  emptyBuffer(inspection.caller);
  inspection.nextSpare = guard.spare;
  guard.spare = inspection;
}

/** Bytes that a fresh inspection for `policy` takes. */
export function inspectionBytes(policy: Policy): u32 {
  return recordBytes() + u32(aligned(readerBlockBytes(policy.json))) + ENVELOPE_BLOCK_BYTES + MIRROR_BLOCK_BYTES;
}

/** Bytes that `inspection` holds now. */
export function heldBytes(inspection: Inspection): u32 {
  return (
    inspection.blockBytes +
    readerHeldBytes(inspection.reader) +
    mirrorHeldBytes(inspection.mirror) +
    inspection.findings.argumentsText.capacity +
    inspection.findings.text.capacity +
    inspection.caller.capacity
  );
}

/** Frees an inspection that nobody uses. */
export function freeInspection(inspection: Inspection): void {
  freeReader(inspection.reader);
  resetMirror(inspection.mirror);
  resetFindings(inspection.findings);
  freeBuffer(inspection.caller);
  heap.free(changetype<usize>(inspection));
}

function recordBytes(): u32 {
  return u32(
    aligned(offsetof<Inspection>() + PRINCIPAL_KEY_BYTES) +
      aligned(offsetof<JsonReader>()) +
      aligned(offsetof<Envelope>()) +
      aligned(offsetof<Message>()) +
      aligned(MIRROR_BYTES) +
      aligned(FINDINGS_BYTES) +
      aligned(offsetof<Buffer>()),
  );
}

function aligned(bytes: usize): usize {
  return (bytes + 7) & ~7;
}

function createInspection(policy: Policy): Inspection {
  const bytes = inspectionBytes(policy);
  let at = heap.alloc(bytes);
  const inspection = changetype<Inspection>(at);
  inspection.rateKeyAt = at + offsetof<Inspection>();
  at += aligned(offsetof<Inspection>() + PRINCIPAL_KEY_BYTES);
  inspection.reader = changetype<JsonReader>(at);
  at += aligned(offsetof<JsonReader>());
  inspection.envelope = changetype<Envelope>(at);
  at += aligned(offsetof<Envelope>());
  inspection.message = changetype<Message>(at);
  at += aligned(offsetof<Message>());
  inspection.mirror = changetype<Mirror>(at);
  at += aligned(MIRROR_BYTES);
  inspection.findings = changetype<Findings>(at);
  at += aligned(FINDINGS_BYTES);
  inspection.caller = changetype<Buffer>(at);
  at += aligned(offsetof<Buffer>());
  inspection.blockBytes = bytes;
  inspection.nextSpare = null;
  initReader(inspection.reader, at, policy.json);
  at += aligned(readerBlockBytes(policy.json));
  initMirror(inspection.mirror, at + ENVELOPE_BLOCK_BYTES);
  initEnvelope(inspection.envelope, inspection.reader, inspection.message, inspection.mirror, at);
  inspection.envelope.wantsArguments = policy.argumentRules !== null;
  initFindings(inspection.findings);
  initBuffer(inspection.caller);
  inspection.hasPrincipal = false;
  inspection.hasRateKey = false;
  return inspection;
}
