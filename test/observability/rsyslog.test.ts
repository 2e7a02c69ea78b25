// Records on their way to a SIEM. Goal: behind a node agent that is killed, restarted, and overtaken by a rotation of the log, every exchange has its record
// at least once, and `mcp-guard audit verify` finds no fault. Method: Envoy under load, Debian's rsyslog with a state file, SIGKILL, and another
// one that stores what it sends.
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Fault } from "../../src/audit/chain.ts";
import { type Verification, verifyTrail } from "../../src/audit/verify.ts";
import type { Child } from "../../src/child.ts";
import { ProgramUnavailableError } from "../debian-program.ts";
import { logRecords } from "../integration/access-log.ts";
import { processDriver } from "../integration/drivers/process.ts";
import { guardIn, PROTOCOLS, type Rig, startRig, toolCall } from "../integration/rig.ts";
import { pause } from "../integration/wire.ts";
import { createClient } from "../soak/client.ts";
import { rsyslogDaemon, startAgent, startReceiver } from "./rsyslog.ts";

const EXCHANGES = 2_000;
const WORKERS = 3;
const CONNECTIONS = 8;
/** After so many exchanges rsyslog is killed, the log rotated, and rsyslog killed again. */
const [FIRST_KILL, ROTATION, SECOND_KILL] = [500, 900, 1_300];
/** Between two exchanges of a connection, so that the load lasts. */
const PAUSE_MS = 20;
const DOWN_MS = 150;
const DELIVERY = { timeout: 20_000, interval: 100 } as const;
const STREAMS = "http.guard.downstream_rq_total";

const daemon = await rsyslogDaemon().catch((error: unknown) => {
  if (!(error instanceof ProgramUnavailableError)) throw error;
  console.log(`not run: what needs rsyslog: ${error.message}`);
  return undefined;
});

let folder: string;
let rig: Rig | undefined;
let agent: Child | undefined;
let receiver: Child | undefined;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-rsyslog-"));
});

afterEach(async () => {
  await rig?.stop();
  await agent?.stop();
  await receiver?.stop();
  rmSync(folder, { recursive: true, force: true });
});

if (daemon !== undefined) {
  test("an agent that is killed, and a log that is rotated, lose no record", async () => {
    const logs = path.join(folder, "logs");
    const state = path.join(folder, "state");
    const store = path.join(folder, "store");
    for (const each of [logs, state, store]) mkdirSync(each);
    const log = path.join(logs, "audit.log");
    const sink = path.join(folder, "sink.log");
    const started = await startReceiver(daemon, store, sink);
    receiver = started.receiver;
    const forwarding = { logs: `${log}*`, folder: state, port: started.port };
    rig = await startRig({
      driver: processDriver,
      concurrency: WORKERS,
      guards: [guardIn("release", { tool_allowlist: ["safe"] })],
      edit(bootstrap) {
        // About as many records in each chain, and not more than `verify` remembers: rsyslog writes in place how far it has read, and when it is
        // killed meanwhile it reads a log from its beginning.
        bootstrap.static_resources.listeners[0]!.connection_balance_config = { exact_balance: {} };
        logRecords(bootstrap, log);
      },
    });
    const { envoy } = rig;
    agent = await startAgent(daemon, forwarding);

    let sent = 0;
    const load = Promise.all(
      Array.from({ length: CONNECTIONS }, async (_, index) => {
        const client = createClient(PROTOCOLS[index % 2]!, `${envoy.url()}/mcp`);
        for (let at = 0; at < EXCHANGES / CONNECTIONS; at++) {
          const tool = ++sent % 3 === 0 ? "evil" : "safe";
          const call = client.open("POST", { "content-type": "application/json" });
          call.end(toolCall(tool));
          expect((await call.outcome).status).toBe(200);
          await pause(PAUSE_MS);
        }
        client.close();
      }),
    );

    const reached = (count: number) =>
      expect.poll(() => sent, { ...DELIVERY, interval: 5 }).toBeGreaterThanOrEqual(count);
    const kill = async (running: Child): Promise<Child> => {
      // In the middle of its work, and of Envoy's.
      const size = () => statSync(sink, { throwIfNoEntry: false })?.size ?? 0;
      const before = size();
      await expect.poll(size, { ...DELIVERY, interval: 1 }).toBeGreaterThan(before);
      process.kill(running.pid, "SIGKILL");
      expect(sent).toBeLessThan(EXCHANGES);
      expect(await running.exited).toMatchObject({ signal: "SIGKILL" });
      await pause(DOWN_MS);
      return startAgent(daemon, forwarding);
    };
    await reached(FIRST_KILL);
    agent = await kill(agent);
    await reached(ROTATION);
    renameSync(log, `${log}.1`);
    expect((await fetch(`${envoy.adminUrl}/reopen_logs`, { method: "POST" })).ok).toBe(true);
    await reached(SECOND_KILL);
    agent = await kill(agent);
    await load;
    expect(sent).toBe(EXCHANGES);

    await expect.poll(async () => distinct((await verify(sink)).found), DELIVERY).toBe(EXCHANGES);
    await agent.stop();
    await receiver.stop();
    const { found, faults } = await verify(sink);
    expect(faults).toEqual([]);
    expect(distinct(found)).toBe(EXCHANGES);
    expect((await envoy.stats(`^${STREAMS}$`)).get(STREAMS)).toBe(EXCHANGES);
    expect(found.chains.map(({ first, missing }) => [first, missing])).toEqual(found.chains.map(() => [1, 0]));
    // Nothing else has come, and what has come twice has been counted.
    const duplicates = found.chains.reduce((sum, chain) => sum + chain.duplicates, 0);
    expect(found.lines).toEqual({
      lines: EXCHANGES + duplicates,
      records: EXCHANGES + duplicates,
      guardAbsent: 0,
      unreadable: 0,
      other: 0,
    });
    // Both logs have been written.
    expect([lineCount(log), lineCount(`${log}.1`)].every((lines) => lines > 0)).toBe(true);
    expect(lineCount(log) + lineCount(`${log}.1`)).toBe(EXCHANGES);
    console.log(
      `rsyslog: ${EXCHANGES} exchanges, ${found.lines.records} records at the sink, ${duplicates} of them duplicates`,
    );
  }, 60_000);
}

function lineCount(file: string): number {
  return readFileSync(file, "latin1").split("\n").length - 1;
}

/** What `mcp-guard audit verify --from-start` finds. */
async function verify(file: string): Promise<{ found: Verification; faults: readonly Fault[] }> {
  const faults: Fault[] = [];
  const input = { name: path.basename(file), open: () => createReadStream(file) };
  const found = await verifyTrail([input], { fromStart: true, onFault: (fault) => faults.push(fault) });
  return { found, faults };
}

/** Records without those that came again. */
function distinct({ chains }: Verification): number {
  return chains.reduce((sum, { records }) => sum + records, 0);
}
