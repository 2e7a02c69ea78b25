// Lines of pieces that say what they are, and how a terminal with colours shows them (ECMA-48, select graphic rendition).
import { printable } from "./terminal.ts";

/** A piece of a line. */
export interface Span {
  text: string;
  tone?: Tone;
}

/** What a piece says: a terminal shows it as a colour. */
export type Tone = "good" | "bad" | "open" | "strong" | "faint";

const CODES: Readonly<Record<Tone, string>> = { good: "32", bad: "31", open: "33", strong: "1", faint: "2" };

/** A line with its colours. What the pieces say is made printable first: what was read cannot bring codes of its own. */
export function painted(spans: readonly Span[]): string {
  return spans
    .map(({ text, tone }) => (tone === undefined ? printable(text) : `\x1b[${CODES[tone]}m${printable(text)}\x1b[0m`))
    .join("");
}

/** Whether lines are to be painted: on a terminal, unless NO_COLOR is set to something (no-color.org), or the terminal has no colours. */
export function wantsColor(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  return isTerminal && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
}
