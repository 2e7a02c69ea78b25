// `rate_limit`: how many requests pass in a time.

import { JsonReader, Token } from "../json/reader";
import { RATE_REQUESTS_MAX, RATE_SECONDS_MAX } from "../limits";
import { Policy } from "../policy/policy";
import { allocateRateLimit, createRate, Rate } from "../policy/rate-limit";
import { placeAtHand, told } from "./problem";
import { Member, nextMember, number, readNumber, readStart } from "./values";

const KNOWN = "per_principal per_tool";
const KNOWN_RATE = "requests seconds burst";

/** Reads the value into `policy`, which owns it from then on. False when the problem has been told. */
export function readRateLimit(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with per_principal and per_tool")) return false;
  const limit = allocateRateLimit();
  policy.rateLimit = limit;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    const rate = readRate(reader);
    if (rate === null) return false;
    if (index == 0) limit.perPrincipal = rate;
    else limit.perTool = rate;
  }
  if (limit.perPrincipal !== null || limit.perTool !== null) return true;
  return told("found neither per_principal nor per_tool, expected at least one of them");
}

/** Null when the problem has been told. */
function readRate(reader: JsonReader): Rate | null {
  if (!readStart(reader, Token.ObjectStart, "an object with requests, seconds and burst")) return null;
  let requests: u32 = 0;
  let seconds: u32 = 0;
  let burst: u32 = 0;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_RATE, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readNumber(reader, 1, index == 1 ? RATE_SECONDS_MAX : RATE_REQUESTS_MAX)) return null;
    if (index == 0) requests = number;
    else if (index == 1) seconds = number;
    else burst = number;
  }
  if (requests == 0) {
    told("found no requests, expected how many pass in the time");
    return null;
  }
  if (seconds == 0) {
    told("found no seconds, expected the time in which so many requests pass");
    return null;
  }
  return createRate(requests, seconds, burst != 0 ? burst : requests);
}
