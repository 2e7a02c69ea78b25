// What the two databases have to have in common, so that the store's statements are written once.

export type SqlValue = string | number | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** One transaction. Both databases understand `RETURNING`, partial indexes, `FILTER` and row values. */
export interface SqlTransaction {
  /** Runs one statement, whose parameters are `$1`, `$2`, ...: values never become part of its text. */
  rows(statement: string, parameters?: readonly SqlValue[]): Promise<SqlRow[]>;
  /** Runs a text of statements without parameters. */
  script(statements: string): Promise<void>;
  /**
   * Waits until no other transaction holds this lock, and keeps it up to the end. Where one transaction writes at a time anyway, it does
   * nothing.
   * @param key locks of one kind with other keys do not wait for each other.
   */
  lock(kind: LockKind, key?: string): Promise<void>;
}

/** What is done one after the other. Always taken in this order, so that nobody waits in a circle. */
export type LockKind = "migrations" | "principal" | "history";

export interface SqlConnection {
  /** The name in the names of migrations that are for one database only. */
  readonly dialect: "sqlite" | "postgres";
  /** A condition that is true when the column's value is in the list that `listParameter` makes of texts. */
  isIn(column: string, parameter: string): string;
  listParameter(values: readonly string[]): SqlValue;
  /**
   * Runs `work` in a transaction of its own, and commits it durably when it is fulfilled.
   * @throws StoreUnavailableError when the database does not answer; whatever `work` throws, and then nothing has changed.
   */
  transaction<T>(
    mode: "read" | "write",
    work: (transaction: SqlTransaction) => Promise<T>,
    timeoutMs?: number,
  ): Promise<T>;
  close(): Promise<void>;
}
