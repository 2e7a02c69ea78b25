// The account of what undecided requests hold: a request is read only while the guard's total stays below
// `limits.in_flight_bytes`, so that many slow uploads cannot take the proxy's memory.

import { holdBytes } from "../approval/hold";
import { Policy } from "../policy/policy";
import { Exchange } from "./exchange";
import { giveBackInspection, heldBytes, Inspection, inspectionBytes, takeInspection } from "./inspection";

/** Gives `exchange` what it needs to read its body. False when the guard holds too much already. */
export function startReading(exchange: Exchange, policy: Policy): bool {
  const bytes = inspectionBytes(policy);
  if (!account(exchange, policy, bytes)) return false;
  exchange.inspection = takeInspection(exchange.guard, policy);
  return true;
}

/** Counts what `exchange` holds now: its records, and its body in Envoy. False when the guard holds too much. */
export function accountReading(exchange: Exchange, policy: Policy, inspection: Inspection): bool {
  const hold = exchange.hold;
  const waiting: u32 = hold === null ? 0 : holdBytes(hold);
  return account(exchange, policy, heldBytes(inspection) + exchange.heldBytes + waiting);
}

/** Takes back what `startReading` gave. */
export function endReading(exchange: Exchange): void {
  const inspection = exchange.inspection;
  if (inspection === null) return;
  exchange.inspection = null;
  exchange.guard.inFlightBytes -= exchange.accountedBytes;
  exchange.accountedBytes = 0;
  giveBackInspection(exchange.guard, inspection);
}

function account(exchange: Exchange, policy: Policy, bytes: u32): bool {
  const guard = exchange.guard;
  const total = guard.inFlightBytes - exchange.accountedBytes + bytes;
  if (total > policy.inFlightBytesMax) return false;
  guard.inFlightBytes = total;
  exchange.accountedBytes = bytes;
  return true;
}
