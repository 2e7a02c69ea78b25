// A real PostgreSQL of one's own: in a temporary folder, on a loopback port, under a user that is not root. It can be killed and started again.
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import pg from "pg";
import { type Child, startChild } from "../../src/child.ts";
import { debianFolder } from "../debian-program.ts";
import { freePort } from "../free-port.ts";
import { pause } from "../integration/wire.ts";

/** `nobody` on every Linux: PostgreSQL does not run as root. */
const NOBODY = 65_534;
const START_MS = 20_000;
const POLL_MS = 50;
const USER = "guard";

export interface PostgresServer {
  /** Makes an empty database. @returns its URL, for `DATABASE_URL`. */
  createDatabase(): Promise<string>;
  /** Ends it as a crash does (SIGQUIT: no checkpoint, connections cut); fulfilled when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port; fulfilled when it answers. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server: of POSTGRES_BIN, the installed one, or Debian's. @throws ProgramUnavailableError in one sentence. */
export async function startPostgres(): Promise<PostgresServer> {
  const programs = await debianFolder({
    package: "postgresql",
    programs: ["initdb", "postgres"],
    environment: "POSTGRES_BIN",
  });
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-postgres-"));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const env = { ...process.env, ...programs.env };
  const options = { cwd: folder, ownFolder: folder, env, ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}) };
  const data = path.join(folder, "data");
  const run = (program: string, args: readonly string[]) =>
    startChild(path.join(programs.folder, program), args, { ...options, stdio: ["ignore", "ignore", "inherit"] });

  const initdb = await run("initdb", ["-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"]);
  const { code } = await initdb.exited;
  if (code !== 0) throw new Error(`initdb ended with ${code}`);

  // The server needs the same one after a restart, so the system cannot choose it.
  const port = await freePort();
  let server: Child | undefined;
  let databases = 0;
  const urlOf = (database: string) => `postgres://${USER}@127.0.0.1:${port}/${database}`;
  const end = async (signal: NodeJS.Signals) => {
    if (server === undefined) return;
    process.kill(server.pid, signal);
    await server.exited;
    server = undefined;
  };
  const postgres: PostgresServer = {
    async createDatabase() {
      const name = `test_${++databases}`;
      await ask(urlOf("postgres"), `CREATE DATABASE ${name}`);
      return urlOf(name);
    },
    kill: () => end("SIGQUIT"),
    async start() {
      const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "log_min_messages=panic"];
      server = await run("postgres", ["-D", data, "-p", `${port}`, ...settings.flatMap((setting) => ["-c", setting])]);
      await untilItAnswers(urlOf("postgres"), server);
    },
    async stop() {
      await end("SIGINT");
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await postgres.start();
  return postgres;
}

/** Runs statements on a connection of their own. */
export async function ask(url: string, statements: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: START_MS });
  client.on("error", () => {});
  await client.connect();
  try {
    return await client.query(statements);
  } finally {
    await client.end();
  }
}

async function untilItAnswers(url: string, server: Child): Promise<void> {
  for (let waited = 0; waited < START_MS && server.running(); waited += POLL_MS) {
    const answers = await ask(url, "SELECT 1").then(
      () => true,
      () => false,
    );
    if (answers) return;
    await pause(POLL_MS);
  }
  throw new Error(`postgres: ${server.running() ? `no answer after ${START_MS} ms` : "it has ended"}`);
}
