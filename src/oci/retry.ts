// Trying again: what may get better by itself, how often, and after how long.
import { setTimeout as sleep } from "node:timers/promises";
import { GuardError } from "../error.ts";
import { ConnectionError, type HttpAnswer } from "./http.ts";

const ATTEMPTS_MAX = 5;
const FIRST_DELAY_MS = 500;
/** A registry that asks for more patience than this is told to the user instead. */
const RETRY_AFTER_MS_MAX = 30_000;
/** Request timeout, too many requests, and the answers of a server or a gateway that is in trouble. */
const TRANSIENT_STATUS = new Set([408, 429, 500, 502, 503, 504]);

/** An answer that says "not now". */
export class TransientAnswer extends GuardError {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs: number | undefined) {
    super("ERR_REGISTRY", message);
    this.retryAfterMs = retryAfterMs;
  }
}

export interface RetryOptions {
  readonly signal: AbortSignal;
  /** Hears about each failure that is followed by another attempt. */
  readonly say: (line: string) => void;
  /** The first pause, doubled each time; 500 ms unless set. */
  readonly firstDelayMs?: number;
}

/** Whether a status says that the same request may succeed later. */
export function isTransient(answer: HttpAnswer): boolean {
  return TRANSIENT_STATUS.has(answer.status);
}

/** Retry-After in seconds (RFC 9110, section 10.2.3; registries do not use its date form). */
export function retryAfterMs(answer: HttpAnswer): number | undefined {
  const seconds = /^\d{1,9}$/.exec(answer.header("retry-after") ?? "")?.[0];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

/**
 * Calls `attempt` until it succeeds, fails for good, or has failed five times.
 * @throws what the last attempt threw.
 */
export async function withRetries<T>(options: RetryOptions, attempt: (number: number) => Promise<T>): Promise<T> {
  const { signal, say, firstDelayMs = FIRST_DELAY_MS } = options;
  for (let number = 1; ; number++) {
    try {
      return await attempt(number);
    } catch (error) {
      const again = error instanceof TransientAnswer || (error instanceof ConnectionError && error.transient);
      const asked = error instanceof TransientAnswer ? error.retryAfterMs : undefined;
      if (!again || signal.aborted || number === ATTEMPTS_MAX || (asked ?? 0) > RETRY_AFTER_MS_MAX) throw error;
      // Half of the pause is random, so that many clients of a registry that has stumbled do not come back as one.
      const pauseMs = asked ?? firstDelayMs * 2 ** (number - 1) * (0.5 + Math.random() / 2);
      say(`${error.message}: attempt ${number + 1} of ${ATTEMPTS_MAX} in ${(pauseMs / 1000).toFixed(1)} s`);
      await sleep(pauseMs, undefined, { signal });
    }
  }
}
