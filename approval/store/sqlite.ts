// SQLite: one file, which several processes of one machine can share.
import { closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { GuardError } from "../../src/error.ts";
import type { SqlConnection, SqlRow, SqlTransaction, SqlValue } from "./sql-connection.ts";
import { StoreUnavailableError } from "./store.ts";

/** How long SQLite itself waits for another process. Nothing else happens in this process meanwhile, so it is short. */
const BUSY_TIMEOUT_MS = 100;
/** How long a transaction waits for its turn, at most: shorter than a guard waits for its answer. */
const TURN_TIMEOUT_MS = 4_000;
const PAUSE_MS_MAX = 20;
/** SQLite's primary result codes that say "our statement is wrong": SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_MISUSE, SQLITE_RANGE. */
const OUR_MISTAKES = new Set([1, 19, 20, 21, 25]);

/**
 * Opens a database file, and makes it when there is none. Only its owner can read it: it holds the arguments of people's calls.
 * @throws GuardError `ERR_USAGE` when that is not possible.
 */
export function openSqlite(file: string): SqlConnection {
  try {
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true, mode: 0o700 });
    closeSync(openSync(file, "a", 0o600));
    const database = new Database(file, { timeout: BUSY_TIMEOUT_MS });
    // Readers do not wait for the writer, and a commit is on the disk before it is reported, also when the power fails.
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    return new SqliteConnection(database);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new GuardError(
      "ERR_USAGE",
      `DATABASE_FILE=${file} cannot be opened (${why}); expected a file that can be made and written`,
      {
        cause: error,
      },
    );
  }
}

class SqliteConnection implements SqlConnection {
  readonly dialect = "sqlite";
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();
  /** The end of the transaction before. INVARIANT: one at a time, since they share a connection. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(database: Database.Database) {
    this.#database = database;
  }

  isIn(column: string, parameter: string): string {
    return `${column} IN (SELECT value FROM json_each(${parameter}))`;
  }

  listParameter(values: readonly string[]): SqlValue {
    return JSON.stringify(values);
  }

  transaction<T>(
    mode: "read" | "write",
    work: (transaction: SqlTransaction) => Promise<T>,
    timeoutMs: number = TURN_TIMEOUT_MS,
  ): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    const turn = this.#last.then(() => this.#run(mode, work, deadline));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#statements.clear();
    this.#database.close();
  }

  async #run<T>(
    mode: "read" | "write",
    work: (transaction: SqlTransaction) => Promise<T>,
    deadline: number,
  ): Promise<T> {
    await this.#begin(mode, deadline);
    try {
      // All statements are synchronous, so nothing but `work` happens up to the commit.
      const result = await work({
        rows: async (statement, parameters = []) => this.#rows(statement, parameters),
        script: async (statements) => void this.#database.exec(statements),
        lock: async () => {},
      });
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      try {
        if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
      } catch {
        // SQLite has rolled back by itself (a full disk, an I/O error); the first error says why.
      }
      throw asStoreError(error);
    }
  }

  /** A writer asks for the lock at once: a reader that turns into a writer later is refused when somebody has written meanwhile. */
  async #begin(mode: "read" | "write", deadline: number): Promise<void> {
    for (;;) {
      try {
        this.#database.exec(mode === "write" ? "BEGIN IMMEDIATE" : "BEGIN");
        return;
      } catch (error) {
        if (primaryCode(error) !== SQLITE_BUSY || Date.now() >= deadline) throw asStoreError(error);
      }
      // Other requests of this process go on while another process writes.
      await sleep(Math.random() * PAUSE_MS_MAX);
    }
  }

  #rows(statement: string, parameters: readonly SqlValue[]): SqlRow[] {
    let prepared = this.#statements.get(statement);
    if (prepared === undefined) {
      // To SQLite `$1` is a name, and `?1` the first parameter.
      prepared = this.#database.prepare(statement.replace(/\$(\d+)/g, "?$1"));
      this.#statements.set(statement, prepared);
    }
    return prepared.all([...parameters]) as SqlRow[];
  }
}

const SQLITE_BUSY = 5;

/** The low byte of an extended result code. */
function primaryCode(error: unknown): number {
  if (!(error instanceof Error) || !("rawCode" in error)) return -1;
  return typeof error.rawCode === "number" ? error.rawCode & 0xff : -1;
}

function asStoreError(error: unknown): unknown {
  const code = primaryCode(error);
  return code === -1 || OUR_MISTAKES.has(code) ? error : new StoreUnavailableError(error);
}
