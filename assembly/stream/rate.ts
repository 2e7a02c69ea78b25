// Whether a request comes too early (`rate_limit`): whose tokens it takes is found at the headers, and they are taken at the verdict, so that what the
// policy refuses takes none.

import { now } from "../host/clock";
import { issuerAt, issuerBytes, principalAt, principalBytes, Source, source } from "../identity/principal";
import { NAME_BYTES_MAX } from "../limits";
import { equalsLiteral } from "../memory/bytes";
import { beginSha256, endSha256, SHA256_BYTES, Sha256, updateSha256 } from "../memory/sha256";
import { Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { PRINCIPAL_KEY_BYTES } from "../rate/principals";
import { takeTokens } from "../rate/rates";
import { Exchange } from "./exchange";
import { Inspection } from "./inspection";

const NANOSECONDS: u64 = 1_000_000_000;
const digest: Sha256 = changetype<Sha256>(memory.data(SHA256_BYTES, 8));
const lengthAt: usize = memory.data(4, 4);

/** Keeps who asks, before that is gone. `isKnown`: somebody has been asked who that is. */
export function keepRateKey(inspection: Inspection, policy: Policy, isKnown: bool): void {
  const limit = policy.rateLimit;
  inspection.hasRateKey = limit !== null && limit.perPrincipal !== null && isKnown && source != Source.None;
  if (!inspection.hasRateKey) return;
  // A name means nothing without who gave it, and where the one ends and the other begins must count.
  store<u32>(lengthAt, issuerBytes); // SAFETY: four bytes of ours.
  beginSha256(digest);
  updateSha256(digest, lengthAt, 4);
  updateSha256(digest, issuerAt, issuerBytes);
  updateSha256(digest, principalAt, principalBytes);
  memory.copy(inspection.rateKeyAt, endSha256(digest), PRINCIPAL_KEY_BYTES);
}

/** Takes what a message that may pass needs. None when it was there; else nothing is taken, and the exchange knows when it will be. */
export function takeRate(exchange: Exchange, inspection: Inspection): Reason {
  const rates = exchange.guard.rates;
  if (rates === null) return Reason.None;
  const message = inspection.message;
  const isCall = equalsLiteral(message.methodAt, message.methodBytes, "tools/call");
  const key = inspection.hasRateKey ? inspection.rateKeyAt : 0;
  const toolBytes = isCall ? min(message.nameBytes, NAME_BYTES_MAX) : 0;
  const wait = takeTokens(rates, now(), key, message.nameAt, toolBytes);
  exchange.retryAfter = u32((wait + NANOSECONDS - 1) / NANOSECONDS);
  return wait == 0 ? Reason.None : Reason.RateLimited;
}
