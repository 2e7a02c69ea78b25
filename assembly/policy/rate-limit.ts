// `rate_limit`: how many requests pass in a time.

/** One member of `rate_limit`: `requests` in `seconds`, and at most `burst` at once. */
@unmanaged
export class Rate {
  requests: u32;
  seconds: u32;
  burst: u32;
}

@unmanaged
export class RateLimit {
  /** `per_principal` and `per_tool`; null when the member is absent. Owned. */
  perPrincipal: Rate | null;
  perTool: Rate | null;
}

/** A limit in which nothing is set. Freed with `freeRateLimit`. */
export function allocateRateLimit(): RateLimit {
  const limit = changetype<RateLimit>(heap.alloc(offsetof<RateLimit>()));
  limit.perPrincipal = null;
  limit.perTool = null;
  return limit;
}

/** A rate of these numbers. */
export function createRate(requests: u32, seconds: u32, burst: u32): Rate {
  const rate = changetype<Rate>(heap.alloc(offsetof<Rate>()));
  rate.requests = requests;
  rate.seconds = seconds;
  rate.burst = burst;
  return rate;
}

/** Frees a limit with all that it owns. */
export function freeRateLimit(limit: RateLimit): void {
  freeRate(limit.perPrincipal);
  freeRate(limit.perTool);
  heap.free(changetype<usize>(limit));
}

function freeRate(rate: Rate | null): void {
  if (rate !== null) heap.free(changetype<usize>(rate));
}
