// What a policy's author is told: one sentence for each mistake, with its place.
import { visible } from "../audit/visible.ts";
import type { RuleName } from "./rules.ts";

/** `error`: the filter refuses the policy, or nobody can read it. `warning`: it takes it, and something in it does not do what it looks like. */
export type Severity = "error" | "warning";

/** A place in a file, both from 1; columns count UTF-16 code units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The members and indices from the root of a policy to a value in it. */
export type Path = readonly (string | number)[];

/** One mistake. */
export interface Finding extends Position {
  /** The file, or `stdin`. */
  readonly file: string;
  readonly severity: Severity;
  readonly rule: RuleName;
  /** The path to the member as the filter writes it, like `unguarded[0].methods[1]`; `configuration` is the whole policy. */
  readonly member: string;
  /** What is wrong, in most cases beginning with `found`; empty where `expected` says it all. */
  readonly what: string;
  /** What was expected; may be empty. */
  readonly expected: string;
  /** What to do; may be empty. */
  readonly mend: string;
}

/** What a rule tells; the linter adds the place. */
export interface Told {
  readonly rule: RuleName;
  readonly path: Path;
  /** Points at the member's name instead of its value: the last step of the path is a member. */
  readonly atName?: boolean;
  readonly what: string;
  readonly expected?: string;
  readonly mend?: string;
}

/** A path as the filter writes it; a member that is no plain word stands in quotes. */
export function memberText(path: Path): string {
  if (path.length === 0) return "configuration";
  return path.reduce<string>((before, step) => {
    if (typeof step === "number") return `${before}[${step}]`;
    const name = visible(step);
    return before === "" ? name : `${before}.${name}`;
  }, "");
}

/** Where an entry stands, for a sentence about another one: its index in the same list, the whole path in another. */
export function placeBeside(other: Path, own: Path): string {
  const isSameList = memberText(other.slice(0, -1)) === memberText(own.slice(0, -1));
  return isSameList ? `[${other.at(-1)}]` : memberText(other);
}

/** What was found and what was expected, as one sentence. */
export function sentence({ what, expected }: Pick<Finding, "what" | "expected">): string {
  const wanted = expected === "" ? "" : `expected ${expected}`;
  return [what, wanted].filter((part) => part !== "").join(", ");
}

/** In the order of the text; at one place the errors first. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    (a, b) =>
      a.line - b.line ||
      a.column - b.column ||
      Number(a.severity === "warning") - Number(b.severity === "warning") ||
      (a.rule < b.rule ? -1 : Number(a.rule > b.rule)),
  );
}
