// One token bucket, in whole numbers. A token is worth `seconds` times 10^9 units, and each nanosecond gives `requests` of them back: nothing is
// rounded, so nothing drifts, whatever the rate is.

import { Rate } from "../policy/rate-limit";

const NANOSECONDS: u64 = 1_000_000_000;

@unmanaged
export class Bucket {
  /** Units that it had less than a full one at `at`. So bytes of 0 are a full bucket. INVARIANT: at most `burst` tokens, below 2^62. */
  missing: u64;
  /** Nanoseconds of a clock that never goes back. */
  at: u64;
}

/** Gives back what the time up to `time`, which is not before `bucket.at`, has brought. */
export function refill(bucket: Bucket, rate: Rate, time: u64): void {
  const elapsed = time - bucket.at;
  // The division keeps the product below what is missing, however long the bucket was left alone.
  const isFull = elapsed > bucket.missing / u64(rate.requests);
  bucket.missing = isFull ? 0 : bucket.missing - elapsed * u64(rate.requests);
  bucket.at = time;
}

/** Nanoseconds until a bucket that has been refilled has a token; 0 when it has one. */
export function waitFor(bucket: Bucket, rate: Rate): u64 {
  const needed = bucket.missing + worth(rate);
  const most = worth(rate) * u64(rate.burst);
  return needed <= most ? 0 : quotientUp(needed - most, rate.requests);
}

/** Takes a token, which is there. */
export function take(bucket: Bucket, rate: Rate): void {
  bucket.missing += worth(rate);
}

/** When the bucket will be full, or was already when it was refilled. */
export function fullTime(bucket: Bucket, rate: Rate): u64 {
  return bucket.at + quotientUp(bucket.missing, rate.requests);
}

/** Units of one token. */
function worth(rate: Rate): u64 {
  return u64(rate.seconds) * NANOSECONDS;
}

function quotientUp(dividend: u64, divisor: u32): u64 {
  return (dividend + u64(divisor) - 1) / u64(divisor);
}
