interface Fault {
  readonly status: number;
  /** How many calls still succeed before the fault. */
  after: number;
  readonly once: boolean;
}

/** The faults that a test has set: import name to the status that the call returns instead of doing its work. */
export class Faults {
  #byName = new Map<string, Fault>();

  /** The call after `after` successful ones returns `status`, once. A new fault for a name replaces the old one. */
  next(name: string, status: number, after: number): void {
    this.#byName.set(name, { status, after, once: true });
  }

  /** Every call returns `status` until {@link clear}. */
  always(name: string, status: number): void {
    this.#byName.set(name, { status, after: 0, once: false });
  }

  clear(): void {
    this.#byName.clear();
  }

  /** The status that this call has to return, or undefined when it does its work. Counts the call. */
  take(name: string): number | undefined {
    const fault = this.#byName.get(name);
    if (fault === undefined) return undefined;
    if (fault.after > 0) {
      fault.after--;
      return undefined;
    }
    if (fault.once) this.#byName.delete(name);
    return fault.status;
  }
}
