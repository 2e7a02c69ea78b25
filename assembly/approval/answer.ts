// What the approval service answers. Every answer is one flat object; anything else is as good as none.

import { Token } from "../json/reader";
import { isBase64Url } from "../memory/base64";
import { equalsLiteral, Literal } from "../memory/bytes";
import { ApprovalStatus } from "./hold";
import {
  isNamed,
  isWhole,
  nameAt,
  nameBytes,
  nextMember,
  openMembers,
  valueBytes,
  valueFrom,
  valueToken,
} from "./members";
import { ID_BYTES } from "./round";

/** Of the answer to `open`: address of the id, alive as long as the answer, and what is said of it. */
export let openedId: usize = 0;
export let openedStatus: ApprovalStatus = ApprovalStatus.None;
/** Of the answer to `claim`: the receipt. */
export let receiptAt: usize = 0;
export let receiptBytes: u32 = 0;
/** Of the poll: the member at hand. */
export let polledId: usize = 0;
export let polledStatus: ApprovalStatus = ApprovalStatus.None;

/** Reads the answer to `open`. False when it has no id or no status. */
export function readOpened(address: usize, bytes: u32): bool {
  openedId = 0;
  openedStatus = ApprovalStatus.None;
  if (!openMembers(address, bytes)) return false;
  while (nextMember()) {
    if (isNamed("id")) openedId = idIn(valueFrom, valueToken == Token.String ? valueBytes() : 0);
    else if (isNamed("status")) openedStatus = statusIn();
  }
  return isWhole && openedId != 0 && openedStatus != ApprovalStatus.None;
}

/** Reads the answer to `claim`. False when it has no receipt. */
export function readClaimed(address: usize, bytes: u32): bool {
  receiptAt = 0;
  if (!openMembers(address, bytes)) return false;
  while (nextMember()) {
    if (!isNamed("receipt") || valueToken != Token.String) continue;
    receiptAt = valueFrom + 1;
    receiptBytes = valueBytes() - 2;
  }
  return isWhole && receiptAt != 0;
}

/** Why the service has refused a claim, as the status that the approval has; None when it does not say. */
export function readRefusal(address: usize, bytes: u32): ApprovalStatus {
  if (!openMembers(address, bytes)) return ApprovalStatus.None;
  let status = ApprovalStatus.None;
  while (nextMember()) {
    if (!isNamed("error")) continue;
    status = valueIs('"replayed"') ? ApprovalStatus.Claimed : statusIn();
  }
  return isWhole ? status : ApprovalStatus.None;
}

/** Begins with the answer to `poll`. False when it is none: no member of it counts before all have been read. */
export function openPolled(address: usize, bytes: u32): bool {
  if (!openMembers(address, bytes)) return false;
  while (nextMember());
  return isWhole && openMembers(address, bytes);
}

/** Goes on to the next id of the poll; false when there is none. */
export function nextPolled(): bool {
  while (nextMember()) {
    polledId = nameBytes == ID_BYTES && isBase64Url(nameAt, ID_BYTES) ? nameAt : 0;
    polledStatus = statusIn();
    if (polledId != 0 && polledStatus != ApprovalStatus.None) return true;
  }
  return false;
}

/** Address of the id in a string of `bytes` bytes with its quotes; 0 when it holds none. */
function idIn(from: usize, bytes: u32): usize {
  if (bytes != ID_BYTES + 2) return 0;
  return isBase64Url(from + 1, ID_BYTES) ? from + 1 : 0;
}

function statusIn(): ApprovalStatus {
  if (valueIs('"pending"')) return ApprovalStatus.Pending;
  if (valueIs('"approved"')) return ApprovalStatus.Approved;
  if (valueIs('"denied"')) return ApprovalStatus.Denied;
  if (valueIs('"expired"')) return ApprovalStatus.Expired;
  if (valueIs('"claimed"')) return ApprovalStatus.Claimed;
  return valueIs('"unknown"') ? ApprovalStatus.Unknown : ApprovalStatus.None;
}

function valueIs(text: Literal): bool {
  return equalsLiteral(valueFrom, valueBytes(), text);
}
