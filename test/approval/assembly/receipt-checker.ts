// What the filter does with receipts and with environment variables, as a module of its own that answers over HTTP: so a receipt can be checked by the
// real code in a real proxy, without the service that would have signed it and without a call that waits. A test tool: it allocates freely and never frees.
//
// Configuration: lines of tab-separated cells.
//   key <kid> <hexadecimal DER of the key>   one of the keys; in this order
//   <member> <value>                         what the receipt must say: id, nonce, digest, server, issuer, principal, tool
// A request is a POST; its path says what is to be done, its body has the argument.
//   /receipt/<seconds>    checks the body as a receipt at that time. The answer: the reason, a line break, the approver
//   /variable/<room>      reads the environment variable that the body names. The answer: how many bytes or -1, a line break, the value

// For the compiler, which is told to call it.
import "../../../assembly/host/abort";

import { approverAt, approverBytes, checkReceipt, ExpectedReceipt } from "../../../assembly/approval/receipt";
import { Action, BufferId, MapId } from "../../../assembly/host/abi";
import {
  proxy_get_buffer_bytes,
  proxy_get_header_map_pairs,
  proxy_send_local_response,
} from "../../../assembly/host/env";
import { readVariable } from "../../../assembly/host/environment";
import {
  allocateForHost,
  landedAt,
  landedBytes,
  openLanding,
  RESULT_ADDRESS,
  RESULT_BYTES,
} from "../../../assembly/host/landing";
import { fillRandom } from "../../../assembly/host/random";
import { setHashKey } from "../../../assembly/memory/siphash";
import { Approver, createApprover, createReceiptKey, ReceiptKey } from "../../../assembly/policy/approver";
import { Reason } from "../../../assembly/policy/reason";

const NO_GRPC_STATUS: u32 = 0xffffffff;
const OK: u32 = 200;
const KEY_BYTES: u32 = 16;

const approver: Approver = createApprover(changetype<Approver>(zeroed(offsetof<Approver>())));
const expected: ExpectedReceipt = changetype<ExpectedReceipt>(zeroed(offsetof<ExpectedReceipt>()));
/** Of each request: what its path says. */
const paths = new Map<u32, string>();

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(bytes: u32): usize {
  return allocateForHost(bytes);
}

export function proxy_on_context_create(_context: u32, _root: u32): void {}

export function proxy_on_vm_start(_root: u32, _bytes: u32): u32 {
  const key = heap.alloc(KEY_BYTES);
  if (!fillRandom(key, KEY_BYTES)) return 0;
  setHashKey(load<u64>(key), load<u64>(key, 8));
  return 1;
}

export function proxy_on_configure(_root: u32, bytes: u32): u32 {
  openLanding();
  proxy_get_buffer_bytes(BufferId.PluginConfiguration, 0, bytes, RESULT_ADDRESS, RESULT_BYTES);
  const lines = given().split("\n");
  for (let i = 0; i < lines.length; i++) {
    const cells = lines[i].split("\t");
    if (cells[0] == "key") addKey(cells[1], cells[2]);
    else expect(cells[0], String.UTF8.encode(cells[1]));
  }
  return 1;
}

export function proxy_on_request_headers(context: u32, _count: u32, _end: u32): u32 {
  openLanding();
  proxy_get_header_map_pairs(MapId.RequestHeaders, RESULT_ADDRESS, RESULT_BYTES);
  paths.set(context, headerOf(":path"));
  return Action.Continue;
}

export function proxy_on_request_body(context: u32, bytes: u32, end: u32): u32 {
  if (!end) return 1;
  openLanding();
  proxy_get_buffer_bytes(BufferId.RequestBody, 0, bytes, RESULT_ADDRESS, RESULT_BYTES);
  const segments = paths.get(context).split("/");
  const number = u64(parseInt(segments[2], 10));
  if (segments[1] == "receipt") {
    // Where it has landed, as the answer of a service does.
    answer(nameOf(checkReceipt(approver, landedAt(), landedBytes(), expected, number)), approverAt, approverBytes);
  } else {
    const name = copied();
    const room = u32(number);
    const value = zeroed(room);
    const read = readVariable(changetype<usize>(name), name.byteLength, value, room);
    answer(read.toString(), value, max(read, 0));
  }
  return 1;
}

export function proxy_on_delete(context: u32): void {
  paths.delete(context);
}

function zeroed(bytes: usize): usize {
  const address = heap.alloc(bytes);
  memory.fill(address, 0, bytes);
  return address;
}

function addKey(kid: string, spki: string): void {
  const name = String.UTF8.encode(kid);
  const der = new Uint8Array(spki.length / 2);
  for (let i = 0; i < der.length; i++) der[i] = u8(parseInt(spki.substr(2 * i, 2), 16));
  const fresh = createReceiptKey(changetype<usize>(name), name.byteLength, der.dataStart, der.length);
  const first = approver.firstKey;
  if (first === null) {
    approver.firstKey = fresh;
    return;
  }
  let last: ReceiptKey = first;
  for (let key: ReceiptKey | null = first; key !== null; key = key.next) last = key;
  last.next = fresh;
}

function expect(member: string, value: ArrayBuffer): void {
  const bytes = value.byteLength;
  const at = heap.alloc(bytes);
  memory.copy(at, changetype<usize>(value), bytes);
  if (member == "id") {
    expected.idAt = at;
    expected.idBytes = bytes;
  } else if (member == "nonce") {
    expected.nonceAt = at;
    expected.nonceBytes = bytes;
  } else if (member == "digest") {
    expected.digestAt = at;
    expected.digestBytes = bytes;
  } else if (member == "server") {
    expected.serverAt = at;
    expected.serverBytes = bytes;
  } else if (member == "issuer") {
    expected.issuerAt = at;
    expected.issuerBytes = bytes;
  } else if (member == "principal") {
    expected.principalAt = at;
    expected.principalBytes = bytes;
  } else if (member == "tool") {
    expected.toolAt = at;
    expected.toolBytes = bytes;
  } else unreachable();
}

/** Reasons by name: their numbers are the filter's own business. */
function nameOf(reason: Reason): string {
  switch (reason) {
    case Reason.None:
      return "none";
    case Reason.ApprovalSignature:
      return "approval_signature";
    case Reason.ApprovalPrincipal:
      return "approval_principal";
    case Reason.ApprovalMismatch:
      return "approval_mismatch";
    default:
      return "another";
  }
}

function answer(first: string, address: usize, bytes: u32): void {
  const head = String.UTF8.encode(`${first}\n`);
  const body = new Uint8Array(head.byteLength + bytes);
  memory.copy(body.dataStart, changetype<usize>(head), head.byteLength);
  memory.copy(body.dataStart + head.byteLength, address, bytes);
  proxy_send_local_response(OK, 0, 0, body.dataStart, body.length, 0, 0, NO_GRPC_STATUS);
}

/** The value of a header among the pairs that have landed: count, all lengths, then each text with a NUL behind it. */
function headerOf(name: string): string {
  const pairs = landedAt();
  const count = load<u32>(pairs);
  let text = pairs + 4 + 8 * count;
  for (let i: u32 = 0; i < count; i++) {
    const nameBytes = load<u32>(pairs + 4 + 8 * i);
    const valueBytes = load<u32>(pairs + 8 + 8 * i);
    const value = text + nameBytes + 1;
    if (String.UTF8.decodeUnsafe(text, nameBytes) == name) return String.UTF8.decodeUnsafe(value, valueBytes);
    text = value + valueBytes + 1;
  }
  return "";
}

/** The text that the host has just given. */
function given(): string {
  return String.UTF8.decodeUnsafe(landedAt(), landedBytes());
}

/** The same as bytes of their own. */
function copied(): ArrayBuffer {
  const bytes = new Uint8Array(landedBytes());
  memory.copy(bytes.dataStart, landedAt(), bytes.length);
  return bytes.buffer;
}
