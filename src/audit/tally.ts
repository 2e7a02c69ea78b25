// How often each of many names was seen, and by how many users. Whoever can send requests chooses the names, so all of it is bounded.

/** Distinct users that are told apart for one name; with more, the number is a lower bound. */
export const USERS_MAX = 256;

/** What was seen of one name. */
export interface Count {
  readonly name: string;
  readonly times: number;
  /** Distinct users, at most `USERS_MAX`; records without a user do not count. */
  readonly users: ReadonlySet<string>;
}

interface Growing extends Count {
  times: number;
  readonly users: Set<string>;
}

/** Counts names. */
export class Tally {
  /** Times that a name came which found no room any more. */
  overflow = 0;
  private readonly namesMax: number;
  private readonly counts = new Map<string, Growing>();

  /** @param namesMax distinct names that are counted. */
  constructor(namesMax: number) {
    this.namesMax = namesMax;
  }

  /** Counts one use of a name. */
  add(name: string, user: string | undefined): void {
    let count = this.counts.get(name);
    if (count === undefined) {
      if (this.counts.size >= this.namesMax) {
        this.overflow++;
        return;
      }
      count = { name, times: 0, users: new Set() };
      this.counts.set(name, count);
    }
    count.times++;
    if (user !== undefined && count.users.size < USERS_MAX) count.users.add(user);
  }

  /** The names, the most frequent first. */
  sorted(): Count[] {
    return sortCounts(this.counts.values());
  }
}

/** Counts with the most frequent first, equal ones in the order of their names. */
export function sortCounts(counts: Iterable<Count>): Count[] {
  return [...counts].sort((a, b) => b.times - a.times || (a.name < b.name ? -1 : 1));
}

/** Counts of several names as the count of one. */
export function addUp(name: string, counts: readonly Count[]): Count {
  const users = new Set<string>();
  let times = 0;
  for (const count of counts) {
    times += count.times;
    for (const user of count.users) if (users.size < USERS_MAX) users.add(user);
  }
  return { name, times, users };
}

/** A count in words. */
export function countText({ times, users }: Pick<Count, "times" | "users">): string {
  const often = times === 1 ? "once" : `${times} times`;
  if (users.size === 0) return `${often}, no known user`;
  if (users.size >= USERS_MAX) return `${often}, ${USERS_MAX} users or more`;
  return `${often}, ${users.size} ${users.size === 1 ? "user" : "users"}`;
}
