// `mcp-guard probe` in this process: its own function, as main.ts calls it.
import { probe } from "../../src/cli/commands/probe.ts";
import { describeError } from "../../src/cli/exit-status.ts";
import type { Span } from "../../src/paint.ts";

/** What it left behind. */
export interface ProbeOutcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  readonly seconds: number;
}

/** What `--format json` prints. */
export interface ProbeJson {
  readonly url: string;
  readonly verdict: string;
  readonly finding: string;
  readonly text: string;
  readonly tool: string;
  readonly mode: string | null;
  readonly policy: string | null;
  readonly reason: string | null;
  readonly refusal: string | null;
  readonly refusal_detail: string | null;
  readonly http_status: number | null;
  readonly request_id: string | null;
  readonly notes: readonly string[];
}

/** Runs it to its end. */
export async function runProbe(
  args: readonly string[],
  signal = new AbortController().signal,
  paint?: (spans: readonly Span[]) => void,
): Promise<ProbeOutcome> {
  const out: string[] = [];
  const err: string[] = [];
  const started = performance.now();
  const ended = (status: number) => ({
    status,
    out: out.join("\n"),
    err: err.join("\n"),
    seconds: (performance.now() - started) / 1000,
  });
  try {
    const context = {
      out: (line: string) => void out.push(line),
      warn: (line: string) => void err.push(line),
      status: (text: string) => void err.push(text),
      ...(paint !== undefined && { paint }),
      env: {},
      signal,
    };
    return ended(await probe([...args], context));
  } catch (error) {
    const { status, text } = describeError(error);
    err.push(text);
    return ended(status);
  }
}

/** Runs it with `--format json`: its exit status and what it says. */
export async function probeJson(
  ...args: string[]
): Promise<ProbeJson & { readonly exit: number; readonly seconds: number }> {
  const { status, out, err, seconds } = await runProbe(["--format", "json", ...args]);
  if (out === "") throw new Error(err);
  return { ...(JSON.parse(out) as ProbeJson), exit: status, seconds };
}
