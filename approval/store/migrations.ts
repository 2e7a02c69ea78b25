// Brings a database's tables to what this version of the service expects.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { GuardError } from "../../src/error.ts";
import { projectPath } from "../../src/project.ts";
import type { SqlConnection, SqlTransaction } from "./sql-connection.ts";

const FOLDER = projectPath("approval", "store", "migrations");
/** A replica may have to wait for another one that migrates, and an index over a long history takes its time. */
const MIGRATION_TIMEOUT_MS = 60_000;
/** `0001-tables.sql` is for both databases, `0002-append-only.sqlite.sql` for one. */
const FILE_NAME = /^(\d{4})-[a-z-]+(?:\.(sqlite|postgres))?\.sql$/;

/** One step. */
export interface Migration {
  version: number;
  name: string;
  statements: string;
}

/** The steps for a database, in order. */
export function migrationsFor(dialect: SqlConnection["dialect"], folder: string = FOLDER): Migration[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const match = FILE_NAME.exec(name);
      if (match === null || (match[2] ?? dialect) !== dialect) return [];
      return [{ version: Number(match[1]), name, statements: readFileSync(path.join(folder, name), "utf8") }];
    });
}

/**
 * Runs the steps that a database has not seen, all of them or none. Replicas that start together wait for each other.
 * @throws GuardError `ERR_USAGE` when the database was made by a newer version, or by other steps than these, or is not encoded in UTF-8.
 */
export async function migrate(
  connection: SqlConnection,
  now: number,
  migrations: readonly Migration[] = migrationsFor(connection.dialect),
): Promise<void> {
  await connection.transaction(
    "write",
    async (transaction) => {
      await transaction.lock("migrations");
      if (connection.dialect === "postgres") await checkEncoding(transaction);
      await transaction.script(
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)",
      );
      const done = await transaction.rows("SELECT version, name, sha256 FROM schema_version ORDER BY version");
      for (const row of done) {
        const known = migrations.find((migration) => migration.version === row.version);
        if (known === undefined) {
          throw new GuardError(
            "ERR_USAGE",
            `the database has the tables of a newer version (${row.name}); expected at most version ${migrations.at(-1)?.version}: start that version, or give this one a database of its own`,
          );
        }
        if (sha256(known.statements) !== row.sha256) {
          throw new GuardError(
            "ERR_USAGE",
            `the database was made with another ${row.name} than this version has; expected SHA-256 ${sha256(known.statements)}, found ${row.sha256}`,
          );
        }
      }
      for (const migration of migrations.slice(done.length)) await apply(transaction, migration, now);
    },
    MIGRATION_TIMEOUT_MS,
  );
}

/** What the guard sends is Unicode. A database in another encoding would refuse some of it, or keep other texts than were approved. */
async function checkEncoding(transaction: SqlTransaction): Promise<void> {
  const [row] = await transaction.rows("SELECT current_setting('server_encoding') AS encoding");
  if (row?.encoding === "UTF8") return;
  throw new GuardError("ERR_USAGE", `the database is encoded in ${row?.encoding}; expected UTF8`);
}

async function apply(transaction: SqlTransaction, migration: Migration, now: number): Promise<void> {
  await transaction.script(migration.statements);
  await transaction.rows("INSERT INTO schema_version (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)", [
    migration.version,
    migration.name,
    sha256(migration.statements),
    now,
  ]);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
