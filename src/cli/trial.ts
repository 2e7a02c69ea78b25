// What `mcp-guard run` can start besides the guard, so that somebody can try what needs more than a policy.
import type { Exit } from "../child.ts";
import type { Bootstrap } from "../envoy/bootstrap.ts";
import type { TablePolicy } from "../policy/method-table.ts";

/** A policy as it is read and as it goes to the filter. */
export type Policy = TablePolicy & object;

/** A running trial. */
export interface Trial {
  /** The policy with what the trial adds to it. */
  policy(given: Policy): Policy;
  /** The server that it brings; undefined when it guards somebody's own. */
  readonly server: { readonly socketPath: string; readonly path: string; readonly label: string } | undefined;
  /** For the guard's filter: its secrets. */
  readonly environment: { values: Record<string, string> };
  /** Puts what the trial needs into the bootstrap of an Envoy. */
  edit(bootstrap: Bootstrap): void;
  /** A token of one of the people, with which a request comes to the guard. */
  accessToken(): Promise<string>;
  /** A process whose end ends the run. */
  readonly process: { readonly name: string; readonly exited: Promise<Exit>; lastOutput(): string } | undefined;
  /** Where its parts are. */
  readonly places: readonly string[];
  /** What to try with the guard at a URL, in the order in which it is tried. */
  lines(url: string): string[];
  stop(): Promise<void>;
}
