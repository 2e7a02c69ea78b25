// Starts the service from the environment, and ends it in order; or writes an export of its database for auditors.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { GuardError } from "../src/error.ts";
import { systemClock } from "./clock.ts";
import { exportedLines, openForExport } from "./export.ts";
import { startService } from "./service.ts";
import { readDatabasePlace, readSettings } from "./settings.ts";
import { StoreUnavailableError } from "./store/store.ts";

const USAGE = 2;
const FAILURE = 1;
const SIGNALS = ["SIGTERM", "SIGINT"] as const;

const USAGE_TEXT = `usage: main.js                            start the service
       main.js export [--after SEQUENCE]  write approvals as JSON lines, those alone to which something has happened after
                                          that entry of the history

Settings are environment variables (approval/README.md); the export needs those of the database alone.`;

try {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined) await serve();
  else if (name === "export") await writeExport(afterIn(args));
  else throw new GuardError("ERR_USAGE", `there is no command ${name}\n\n${USAGE_TEXT}`);
} catch (error) {
  fail(error);
}

async function serve(): Promise<void> {
  const service = await startService(readSettings(process.env));
  let stopping = false;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      // Whoever asks twice does not want to wait.
      if (stopping) process.exit(FAILURE);
      stopping = true;
      service.stop().catch(fail);
    });
  }
}

async function writeExport(after: number): Promise<void> {
  const store = await openForExport(readDatabasePlace(process.env), systemClock);
  try {
    await pipeline(Readable.from(ended(exportedLines(store, after))), process.stdout, { end: false });
  } finally {
    await store.close();
  }
}

async function* ended(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}

function afterIn(args: string[]): number {
  try {
    const { after } = parseArgs({ args, options: { after: { type: "string", default: "0" } } }).values;
    if (/^\d{1,15}$/.test(after)) return Number(after);
    throw new Error(`--after ${after}: expected the sequence of an entry of the history`);
  } catch (error) {
    throw new GuardError("ERR_USAGE", `${error instanceof Error ? error.message : error}\n\n${USAGE_TEXT}`, {
      cause: error,
    });
  }
}

function fail(error: unknown): void {
  // Only our own mistakes show a stack.
  const isExpected = error instanceof GuardError || error instanceof StoreUnavailableError;
  const text = isExpected ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`approval service: ${text}\n`);
  process.exitCode = error instanceof GuardError && error.code === "ERR_USAGE" ? USAGE : FAILURE;
}
