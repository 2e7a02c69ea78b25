// PostgreSQL: what several replicas share.
import { createHash } from "node:crypto";
import pg from "pg";
import { GuardError } from "../../src/error.ts";
import type { LockKind, SqlConnection, SqlRow, SqlTransaction, SqlValue } from "./sql-connection.ts";
import { StoreUnavailableError } from "./store.ts";

/** Per replica. PostgreSQL's own default allows 100 in all. */
const CONNECTIONS_MAX = 10;
/** All of them together stay below what a guard waits for an answer by default (5 s), so that it hears why. */
const CONNECT_TIMEOUT_MS = 2_000;
const STATEMENT_TIMEOUT_MS = 2_500;
/** For a database that has gone without a word, where no timeout of its own can help. */
const SILENCE_MS = 1_000;
/** A deadlock, and a serialisation failure: PostgreSQL asks for another try (its manual, section 13.5). */
const TRY_AGAIN = new Set(["40P01", "40001"]);
const TRIES = 3;
/** Classes of SQLSTATE that say "our statement is wrong": data exception, constraint, syntax or name, raised by a trigger. */
const OUR_MISTAKES = new Set(["22", "23", "42", "P0"]);
const INT8_OID = 20;
/** The first of the two numbers of an advisory lock: what the lock is for. */
const LOCK_CLASSES: Readonly<Record<LockKind, number>> = { migrations: 777_101, principal: 777_102, history: 777_103 };

/**
 * Opens a pool of connections. Nothing is connected yet.
 * @throws GuardError `ERR_USAGE` when the URL cannot be understood.
 */
export function openPostgres(url: string): SqlConnection {
  try {
    return new PostgresConnection(
      new pg.Pool({
        connectionString: url,
        application_name: "mcp-guard-approval",
        max: CONNECTIONS_MAX,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        keepAlive: true,
        types: { getTypeParser: numberParser },
      }),
    );
  } catch (error) {
    // The URL may have a password in it, and so may the error.
    throw new GuardError(
      "ERR_USAGE",
      "DATABASE_URL cannot be used; expected postgres://user:password@host:port/database",
      {
        cause: error,
      },
    );
  }
}

class PostgresConnection implements SqlConnection {
  readonly dialect = "postgres";
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
    // A connection that breaks while nobody uses it. Whoever wants one next gets another, or is told.
    pool.on("error", () => {});
  }

  isIn(column: string, parameter: string): string {
    return `${column} IN (SELECT jsonb_array_elements_text(${parameter}::jsonb))`;
  }

  listParameter(values: readonly string[]): SqlValue {
    return JSON.stringify(values);
  }

  async transaction<T>(
    mode: "read" | "write",
    work: (transaction: SqlTransaction) => Promise<T>,
    timeoutMs: number = STATEMENT_TIMEOUT_MS,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(mode, work, timeoutMs);
      } catch (error) {
        const again = error instanceof StoreUnavailableError && TRY_AGAIN.has(sqlState(error.cause));
        if (!again || attempt === TRIES) throw error;
      }
    }
  }

  async #once<T>(
    mode: "read" | "write",
    work: (transaction: SqlTransaction) => Promise<T>,
    timeoutMs: number,
  ): Promise<T> {
    const client = await this.#connect();
    let broken: Error | undefined;
    // Without a listener the end of the connection would be the end of the process.
    const onError = (error: Error) => {
      broken = error;
    };
    client.on("error", onError);
    const ask: Ask = async (text, values) => {
      const query = { text, query_timeout: timeoutMs + SILENCE_MS };
      try {
        return await client.query<SqlRow>(values === undefined ? query : { ...query, values: [...values] });
      } catch (error) {
        throw OUR_MISTAKES.has(sqlState(error).slice(0, 2)) ? error : new StoreUnavailableError(error);
      }
    };
    try {
      await ask(beginning(mode, timeoutMs));
      const result = await work(transactionOf(ask));
      const end = await ask("COMMIT");
      // PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK, and calls it a success.
      if (end.command !== "COMMIT") throw new StoreUnavailableError(`COMMIT was answered with ${end.command}`);
      return result;
    } catch (error) {
      // Nobody knows what is still under way in a connection that has not answered.
      if (error instanceof StoreUnavailableError) broken ??= error;
      else await ask("ROLLBACK").catch(onError);
      throw error;
    } finally {
      client.off("error", onError);
      client.release(broken);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw new StoreUnavailableError(error);
    }
  }
}

type Ask = (text: string, values?: readonly SqlValue[]) => Promise<pg.QueryResult<SqlRow>>;

function transactionOf(ask: Ask): SqlTransaction {
  return {
    rows: async (statement, parameters = []) => (await ask(statement, parameters)).rows,
    script: async (statements) => void (await ask(statements)),
    lock: async (kind, key = "") => {
      // Two keys with one number wait for each other, which costs time and nothing else.
      const number = createHash("sha256").update(key).digest().readInt32BE(0);
      await ask("SELECT pg_advisory_xact_lock($1::int, $2::int)", [LOCK_CLASSES[kind], number]);
    },
  };
}

/**
 * The statements in front of a transaction. What they set ends with it, so that a pooler between us and the database does no harm.
 * `synchronous_commit`: a receipt must not be out before the disk knows that it is, whatever the server's own setting.
 */
function beginning(mode: "read" | "write", timeoutMs: number): string {
  const settings = [
    `statement_timeout = ${timeoutMs}`,
    `lock_timeout = ${timeoutMs}`,
    `idle_in_transaction_session_timeout = ${timeoutMs}`,
    ...(mode === "write" ? ["synchronous_commit = on"] : []),
  ];
  const begin = `BEGIN ISOLATION LEVEL READ COMMITTED ${mode === "write" ? "READ WRITE" : "READ ONLY"}`;
  return [begin, ...settings.map((setting) => `SET LOCAL ${setting}`)].join("; ");
}

/** Times and counts stay far below 2^53, so numbers carry them. */
function numberParser(oid: number, format?: unknown): (value: string) => unknown {
  if (oid === INT8_OID) return Number;
  return pg.types.getTypeParser(oid, format as "text");
}

function sqlState(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.code ?? "") : "";
}
