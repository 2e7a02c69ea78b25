// The fuzz. FUZZ_SEED repeats a run, FUZZ_SECONDS makes it longer: a fifth each goes to requests, responses, configurations, approvals and tokens.

import { expect, test } from "vitest";
import { fuzzApprovals } from "./approval.ts";
import { fuzzConfigurations } from "./configuration.ts";
import { fuzzRequests } from "./request.ts";
import { fuzzResponses } from "./response.ts";
import { secondsFromEnvironment, seedFromEnvironment } from "./samples.ts";
import { fuzzTokens } from "./token.ts";

const seed = seedFromEnvironment("FUZZ_SEED");
const seconds = secondsFromEnvironment();
const timeout = seconds * 1000 + 60_000;

test(
  "requests: no trap, and each verdict is justified",
  () => {
    const { bodies, allowed, findings } = fuzzRequests(seconds / 5, seed);
    console.log(`FUZZ_SEED=${seed}: ${bodies} requests, ${allowed} allowed`);
    expect(findings).toEqual([]);
    // Neither all refused nor all passed: then nothing would be tried.
    expect(allowed).toBeGreaterThan(bodies / 100);
    expect(allowed).toBeLessThan(bodies / 2);
  },
  timeout,
);

test(
  "responses: no trap, and the client sees what it may",
  () => {
    const { bodies, whole, findings } = fuzzResponses(seconds / 5, seed);
    console.log(`FUZZ_SEED=${seed}: ${bodies} responses, ${whole} as they came`);
    expect(findings).toEqual([]);
    expect(whole).toBeGreaterThan(bodies / 100);
    expect(whole).toBeLessThan(bodies / 2);
  },
  timeout,
);

test(
  "configurations: no trap, and each is accepted or refused with a line that says so",
  () => {
    const { tried, accepted, findings } = fuzzConfigurations(seconds / 5, seed);
    console.log(`FUZZ_SEED=${seed}: ${tried} configurations, ${accepted} accepted`);
    expect(findings).toEqual([]);
    expect(accepted).toBeGreaterThan(tried / 100);
  },
  timeout,
);

test(
  "approvals: no trap, and nothing flagged reaches the server without a receipt of its own",
  async () => {
    const { calls, approved, findings } = await fuzzApprovals(seconds / 5, seed);
    console.log(`FUZZ_SEED=${seed}: ${calls} calls, ${approved} approved`);
    expect(findings).toEqual([]);
    expect(approved).toBeGreaterThan(calls / 100);
    expect(approved).toBeLessThan(calls / 2);
  },
  timeout,
);

test(
  "tokens: no trap, and the server sees only what was given for the caller's own",
  () => {
    const { requests, exchanged, findings } = fuzzTokens(seconds / 5, seed);
    console.log(`FUZZ_SEED=${seed}: ${requests} requests, ${exchanged} with another token`);
    expect(findings).toEqual([]);
    expect(exchanged).toBeGreaterThan(requests / 20);
    expect(exchanged).toBeLessThan(requests / 2);
  },
  timeout,
);
