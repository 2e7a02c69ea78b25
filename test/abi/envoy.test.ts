// Runs the rows on a real Envoy, the oldest and the newest that the filter is tested on: one process, one listener and
// one VM per row.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AccessEntry } from "../../src/envoy/access-log.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { testedVersions } from "../versions.ts";
import { bootstrapFor } from "./bootstrap.ts";
import { buildProbe, PROBE_PATH } from "./build-probe.ts";
import { type Origin, ROW_HEADER, startOrigin } from "./origin.ts";
import { type ClientAction, contentLength, headersEndRequest, type Outcome, type Row } from "./row.ts";
import { ROWS } from "./rows.ts";
import { requestHttp1, requestHttp2, type WireClient } from "./wire-client.ts";

/** How long something that must come may take, on a busy machine. */
const PATIENCE_MS = 5_000;
/** How long nothing must come before "nothing comes" is believed. */
const SILENCE_MS = 250;
/** How long Envoy may take to read a chunk before the next one is sent; chunks must not merge. */
const CHUNK_MS = 200;
const POLL_MS = 5;

const rows = new Map(ROWS.map((row, index) => [`r${index}`, row]));
/** With a binary of the caller's choice there is one version, whichever it is. */
const versions = process.env.ENVOY ? ["at ENVOY"] : testedVersions();

let origin: Origin;
let envoy: EnvoyProcess;

describe.each(versions)("Envoy %s does what the table says", (version) => {
  beforeAll(async () => {
    await buildProbe();
    origin = await startOrigin((label) => rows.get(label)!);
    envoy = await startEnvoy({ bootstrap: bootstrapFor(rows, PROBE_PATH, origin.port), version });
  });

  afterAll(async () => {
    await envoy?.stop();
    await origin?.stop();
  });

  it.each([...rows].map(([label, row]) => [row.name, label, row] as const))("%s", async (_name, label, row) => {
    expect(await run(label, row)).toEqual(row.expect);
  });
});

async function run(label: string, row: Row): Promise<Outcome> {
  const client = send(label, row);
  try {
    await until(() => calls(label).length > 0);
    let ticks = 0;
    let callsEnded = 0;
    for (const action of row.client ?? []) {
      if ("tick" in action) ticks++;
      if ("called" in action) callsEnded++;
      await act(label, client, action, "tick" in action ? ticks : callsEnded);
    }
    await Promise.race([client.ended, sleep(row.expect.client === "waits" ? SILENCE_MS : PATIENCE_MS)]);
    const response = client.response();
    // A client that has waited long enough goes away.
    if (response === "waits") client.disconnect();
    await until(() => calls(label).length >= row.expect.calls.length);
    if (row.expect.log === "missing") await sleep(SILENCE_MS);
    else await until(() => logged(label) !== "missing");
    const called = origin.called(label);
    return {
      calls: calls(label),
      client: response,
      server: origin.seen(label),
      ...(called === undefined ? {} : { called }),
      log: logged(label),
    };
  } finally {
    client.close();
  }
}

function send(label: string, row: Row): WireClient {
  const { protocol, method = "POST", framing, headers = [] } = row.request;
  const length = framing === "length" ? ([["content-length", String(contentLength(row))]] as const) : [];
  const request = protocol === "h2" ? requestHttp2 : requestHttp1;
  return request({
    port: envoy.ports.get(label)!,
    method,
    headers: [[ROW_HEADER, label], ...headers, ...length],
    chunked: framing === "chunked",
    endOfStream: headersEndRequest(row),
    hasTrailers: row.client?.some((action) => "trailers" in action) ?? false,
  });
}

async function act(label: string, client: WireClient, action: ClientAction, nth: number): Promise<void> {
  const before = calls(label).length;
  if ("serverHas" in action) {
    await until(() => JSON.stringify(origin.seen(label)) === JSON.stringify(action.serverHas));
    await sleep(2 * CHUNK_MS);
    expect(origin.seen(label)).toEqual(action.serverHas);
  } else if ("tick" in action) {
    await until(() => calls(label).filter((line) => line === "tick").length >= nth);
  } else if ("called" in action) {
    await until(() => calls(label).filter((line) => line.startsWith("http_call ")).length >= nth);
  } else {
    if ("body" in action) client.body(action.body);
    else if ("end" in action) client.end();
    else if ("trailers" in action) client.trailers(action.trailers);
    else client.disconnect();
    await until(() => calls(label).length > before, CHUNK_MS);
  }
}

/** What the probe of a row has logged. */
function calls(label: string): string[] {
  const mark = `probe ${label} `;
  return envoy
    .logs()
    .split("\n")
    .filter((line) => line.includes(mark))
    .map((line) => line.slice(line.indexOf(mark) + mark.length));
}

function logged(label: string): Outcome["log"] {
  const entry = (envoy.accessLog() as (AccessEntry & { row: string; property: string | null })[]).find(
    ({ row }) => row === label,
  );
  if (entry === undefined) return "missing";
  return { code: entry.response_code, details: entry.response_code_details ?? "", property: entry.property };
}

async function until(condition: () => boolean, milliseconds = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!condition() && performance.now() < deadline) await sleep(POLL_MS);
}
