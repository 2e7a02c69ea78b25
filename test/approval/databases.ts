// The databases that everything is tested with: each test gets an empty one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "libsql";
import pg from "pg";
import type { DatabasePlace } from "../../approval/settings.ts";
import { ask, type PostgresServer, startPostgres } from "./postgres-server.ts";

export interface TestDatabase {
  readonly name: string;
  /** Fulfilled when `fresh` can be called. */
  start(): Promise<void>;
  /** An empty database. */
  fresh(): Promise<DatabasePlace>;
  /** Runs statements past the service, as whoever has got hold of the database would. */
  attack(place: DatabasePlace, statements: string): Promise<void>;
  /** Keeps everybody else from changing an approval until the function that it gives is called. */
  hold(place: DatabasePlace): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

export function sqliteFiles(): TestDatabase {
  let folder = "";
  let files = 0;
  return {
    name: "SQLite",
    async start() {
      folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-approval-"));
    },
    async fresh() {
      return { kind: "file", file: path.join(folder, `${++files}`, "approval.db") };
    },
    async attack(place, statements) {
      const database = new Database(place.kind === "file" ? place.file : "");
      try {
        database.exec(statements);
      } finally {
        database.close();
      }
    },
    async hold(place) {
      const database = new Database(place.kind === "file" ? place.file : "");
      database.exec("BEGIN IMMEDIATE");
      return async () => {
        database.exec("COMMIT");
        database.close();
      };
    },
    async stop() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function postgresDatabases(): TestDatabase & { server(): PostgresServer } {
  let server: PostgresServer | undefined;
  const running = () => {
    if (server === undefined) throw new Error("start() comes first");
    return server;
  };
  return {
    name: "PostgreSQL",
    server: running,
    async start() {
      server = await startPostgres();
    },
    async fresh() {
      return { kind: "postgres", url: await running().createDatabase() };
    },
    async attack(place, statements) {
      await ask(place.kind === "postgres" ? place.url : "", statements);
    },
    async hold(place) {
      const client = new pg.Client({ connectionString: place.kind === "postgres" ? place.url : "" });
      await client.connect();
      await client.query("BEGIN; SELECT id FROM approvals FOR UPDATE");
      return async () => {
        await client.query("COMMIT");
        await client.end();
      };
    },
    async stop() {
      await server?.stop();
    },
  };
}
