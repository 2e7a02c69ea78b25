// From a place to a store that is ready.
import { GuardError } from "../../src/error.ts";
import type { DatabasePlace } from "../settings.ts";
import { migrate } from "./migrations.ts";
import { openPostgres } from "./postgres.ts";
import { SqlStore } from "./sql-store.ts";
import { openSqlite } from "./sqlite.ts";
import { type Store, type StoreOptions, StoreUnavailableError } from "./store.ts";

/**
 * Opens the database and brings its tables up to date.
 * @throws GuardError `ERR_USAGE` when it cannot be opened, does not answer, or has tables that this version does not know.
 */
export async function openStore(place: DatabasePlace, options: StoreOptions): Promise<Store> {
  const connection = place.kind === "file" ? openSqlite(place.file) : openPostgres(place.url);
  try {
    await migrate(connection, options.clock());
  } catch (error) {
    await connection.close().catch(() => {});
    if (!(error instanceof StoreUnavailableError)) throw error;
    const where = place.kind === "file" ? `DATABASE_FILE=${place.file}` : `DATABASE_URL (${hostOf(place.url)})`;
    throw new GuardError("ERR_USAGE", `${where}: ${error.message}`, { cause: error });
  }
  return new SqlStore(connection, options);
}

/** What may be shown of a database's URL: never its password. */
function hostOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
