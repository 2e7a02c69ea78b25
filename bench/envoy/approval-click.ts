// From a person's click to the call at its server: a call waits in a real Envoy, its user approves it at the real service, the guard hears of it at
// its next poll, claims the receipt, verifies it, and lets the call go on.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SECRET_VARIABLE, SERVICE_CLUSTER, SERVICE_PATH } from "../../src/approval/try/guard-policy.ts";
import { type Stack, startGuard, startStack } from "../../test/browser/stack.ts";
import { Person } from "./person.ts";
import { quantile } from "./statistics.ts";

const LOGIN = "alice";
const TOOL = "delete_branch";
/** How often is looked whether a call is on the list. */
const LOOK_MS = 10;

/** What was found at one time between polls. */
export interface Clicks {
  readonly pollMs: number;
  /** Milliseconds from the passkey's answer being sent to the whole call being at its server, in order of size. */
  readonly milliseconds: readonly number[];
  /** The part of it until the service has answered the click. */
  readonly answered: readonly number[];
}

/** Clicks `count` times at each time between polls. */
export async function measureClicks(pollTimes: readonly number[], count: number): Promise<Clicks[]> {
  // Each person may open few calls at a time and within an hour; here one person clicks all day.
  const stack = await startStack({ settings: { PER_HOUR: "100000", LOG_LEVEL: "warn" } });
  try {
    const person = await Person.signIn(stack.publicUrl, LOGIN);
    const seen = new Set<string>();
    const found: Clicks[] = [];
    for (const pollMs of pollTimes) {
      const clicks = await clickAt(stack, person, pollMs, count, seen);
      found.push(clicks);
      console.log(
        `click to server, poll_ms ${pollMs}: p50 ${quantile(clicks.milliseconds, 0.5).toFixed(0)} ms, max ${clicks.milliseconds.at(-1)!.toFixed(0)} ms`,
      );
    }
    return found;
  } finally {
    await stack.stop();
  }
}

async function clickAt(
  stack: Stack,
  person: Person,
  pollMs: number,
  count: number,
  seen: Set<string>,
): Promise<Clicks> {
  const arrivals = new Map<string, (at: number) => void>();
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const at = performance.now();
    const { id, params } = JSON.parse(Buffer.concat(parts).toString());
    arrivals.get(params.arguments.branch)?.(at);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id, result: { content: [] } }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const guard = await startGuard(
    stack,
    { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    {
      approval: {
        hold_seconds: 20,
        service: {
          cluster: SERVICE_CLUSTER,
          authority: `127.0.0.1:${stack.filterPort}`,
          path: SERVICE_PATH,
          secret_env: SECRET_VARIABLE,
          poll_ms: pollMs,
        },
      },
    },
  );
  try {
    const times: { total: number; answered: number }[] = [];
    for (let index = 0; index < count; index++) {
      const branch = `poll-${pollMs}-${index}`;
      const arrived = new Promise<number>((resolve) => arrivals.set(branch, resolve));
      const body = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: TOOL, arguments: { branch } } };
      const answer = guard.post(JSON.stringify(body), LOGIN);
      const id = await nextCall(person, seen);
      // People do not click when polls begin.
      await pause(Math.random() * pollMs);
      const click = await person.prepare(id);
      const start = performance.now();
      await click();
      const answered = performance.now() - start;
      const text = await (await answer).text();
      if (!text.includes('"result"')) throw new Error(`${branch} has not come through: ${text}`);
      times.push({ total: (await arrived) - start, answered });
    }
    const sorted = (values: number[]) => values.sort((one, other) => one - other);
    return {
      pollMs,
      milliseconds: sorted(times.map(({ total }) => total)),
      answered: sorted(times.map(({ answered }) => answered)),
    };
  } finally {
    await guard.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** The id of the call that has come to the person's list; it is seen from then on. */
async function nextCall(person: Person, seen: Set<string>): Promise<string> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const fresh = (await person.calls()).find((id) => !seen.has(id));
    if (fresh !== undefined) {
      seen.add(fresh);
      return fresh;
    }
    await pause(LOOK_MS);
  }
  throw new Error("no call has come to the list within 10 s");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
