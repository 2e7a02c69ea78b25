// `mcp-guard policy lint`: what is wrong with a policy, and what in it does nothing.
import { readFile, stat } from "node:fs/promises";
import { parseArgs } from "node:util";
import { visible } from "../../audit/visible.ts";
import { GuardError, systemErrorCode } from "../../error.ts";
import { type Finding, sentence } from "../../lint/finding.ts";
import { type Lint, Linter, type LintInput } from "../../lint/lint.ts";
import type { Span, Tone } from "../../paint.ts";
import { readFilter } from "../built-filter.ts";
import { renderColumns } from "../columns.ts";
import type { Command, CommandContext } from "../command.ts";
import { plainLines, show } from "../show.ts";

const USAGE = `usage: mcp-guard policy lint [options] FILE...

Says of each policy what the filter would refuse (error), and what does nothing or something else than it seems to (warning). The
filter itself is asked: build/plugin.wasm, as make build leaves it.

  FILE                a pluginConfig in YAML or JSON, or manifests with a WasmPlugin or a TrafficExtension, of which each one
                      is looked at; - for the standard input
  --strict            warnings count as errors
  --format <format>   table (the default) or json

A pluginConfig in a file that ends in .json is handed to the filter as it stands, byte for byte. Ends with status 1 when there is
an error, with 2 when a file cannot be read or no policy is in any of them.

  mcp-guard policy lint policy.yaml
  kubectl get wasmplugins -A -o yaml | mcp-guard policy lint --strict -
`;

/** More than any policy or any folder of manifests has. */
const FILE_BYTES_MAX = 16 << 20;

/** Looks at each file and prints what was found. */
export const policyLint: Command = async (args, context) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      strict: { type: "boolean", default: false },
      format: { type: "string", default: "table" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const { format, strict } = values;
  if (format !== "table" && format !== "json") {
    throw new GuardError("ERR_USAGE", `--format ${format}: expected table or json`);
  }
  const inputs = await readInputs(positionals, context.signal);
  const linter = new Linter(await readFilter());
  const lints = inputs.map((input) => ({ file: input.name, ...linter.lint(input) }));
  if (lints.every(({ policies, findings }) => policies === 0 && findings.length === 0)) {
    const files = lints.map(({ file }) => file).join(", ");
    throw new GuardError(
      "ERR_USAGE",
      `${files}: found no policy, expected a pluginConfig, a WasmPlugin or a TrafficExtension`,
    );
  }
  show(context, format === "json" ? plainLines(renderJson(lints)) : renderTable(lints));
  return exitStatus(lints, strict, context);
};

const TONES = { error: "bad", warning: "open" } as const satisfies Record<Finding["severity"], Tone>;

/** A file and what was found in it. */
interface FileLint extends Lint {
  readonly file: string;
}

async function readInputs(names: readonly string[], signal: AbortSignal): Promise<LintInput[]> {
  if (names.length === 0) {
    throw new GuardError("ERR_USAGE", "found no FILE, expected one or more policies, or - for the standard input");
  }
  if (names.filter((name) => name === "-").length > 1) {
    throw new GuardError("ERR_USAGE", "found - twice, expected the standard input once");
  }
  const inputs: LintInput[] = [];
  for (const name of names) {
    const bytes = name === "-" ? await readStandardInput(signal) : await readPlainFile(name);
    const isJson = name === "-" ? isJsonText(bytes) : name.toLowerCase().endsWith(".json");
    inputs.push({ name: name === "-" ? "stdin" : visible(name), bytes, isJson });
  }
  return inputs;
}

async function readPlainFile(name: string): Promise<Buffer> {
  try {
    const { size } = await stat(name);
    if (size > FILE_BYTES_MAX) throw tooLarge(visible(name));
    return await readFile(name);
  } catch (error) {
    if (error instanceof GuardError) throw error;
    const code = systemErrorCode(error);
    const why =
      code === "ENOENT"
        ? "there is no such file"
        : code === "EISDIR"
          ? "found a folder, expected a file"
          : `cannot be read: ${code || String(error)}`;
    throw new GuardError("ERR_USAGE", `${visible(name)}: ${why}`, { cause: error });
  }
}

async function readStandardInput(signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    if (signal.aborted) throw new GuardError("ERR_INTERRUPTED", "interrupted in stdin");
    bytes += (chunk as Buffer).length;
    if (bytes > FILE_BYTES_MAX) throw tooLarge("stdin");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function tooLarge(name: string): GuardError {
  return new GuardError(
    "ERR_USAGE",
    `${name}: found more than ${FILE_BYTES_MAX >> 20} MiB, expected a policy or manifests`,
  );
}

/** Without a name nothing else says which of the two it is. */
function isJsonText(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString("utf8"));
    return true;
  } catch {
    return false;
  }
}

function renderTable(lints: readonly FileLint[]): Span[][] {
  const findings = lints.flatMap((lint) => lint.findings);
  const rows = findings.map((finding) => [placeText(finding), finding.severity, finding.rule]);
  const unlimited = [1, 1, 1].map(() => Number.POSITIVE_INFINITY);
  // Findings have lines of their own, however long: the table is read by grep too, and a terminal wraps them.
  const columns = renderColumns(["place", "severity", "rule"], rows, unlimited);
  const width = Math.max(...columns.slice(0, 2).map((line) => line.length)) + 2;
  const texts = ["finding", "-------", ...findings.map(findingText)];
  const tones: (Tone | undefined)[] = [undefined, undefined, ...findings.map(({ severity }) => TONES[severity])];
  const line = (text: string, index: number): Span[] => {
    const tone = tones[index];
    return [{ text: text.padEnd(width), ...(tone !== undefined && { tone }) }, { text: texts[index] ?? "" }];
  };
  const { errors, warnings } = counts(lints);
  const none = lints.filter(({ policies, findings }) => policies === 0 && findings.length === 0);
  return [
    ...(rows.length > 0 ? [...columns.map(line), [{ text: "" }]] : []),
    ...none.map(({ file }): Span[] => [{ text: `${file}: no policy in it`, tone: "faint" }]),
    [{ text: summary(lints), tone: errors > 0 ? TONES.error : warnings > 0 ? TONES.warning : "good" }],
  ];
}

function placeText({ file, line, column }: Finding): string {
  return `${file}:${line}:${column}`;
}

function findingText(finding: Finding): string {
  const mend = finding.mend === "" ? "" : ` (${finding.mend})`;
  return `${finding.member}: ${sentence(finding)}${mend}`;
}

function renderJson(lints: readonly FileLint[]): string[] {
  const result = {
    files: lints.map(({ file, policies }) => ({ file, policies })),
    ...counts(lints),
    findings: lints.flatMap(({ findings }) => findings),
  };
  return JSON.stringify(result, undefined, 2).split("\n");
}

function counts(lints: readonly FileLint[]): { errors: number; warnings: number } {
  const findings = lints.flatMap((lint) => lint.findings);
  const errors = findings.filter(({ severity }) => severity === "error").length;
  return { errors, warnings: findings.length - errors };
}

function summary(lints: readonly FileLint[]): string {
  const { errors, warnings } = counts(lints);
  const policies = lints.reduce((sum, lint) => sum + lint.policies, 0);
  return `${amount(lints.length, "file")}, ${policies === 1 ? "1 policy" : `${policies} policies`}: ${amount(errors, "error")}, ${amount(warnings, "warning")}`;
}

function amount(count: number, what: string): string {
  return `${count === 0 ? "no" : count} ${what}${count === 1 ? "" : "s"}`;
}

function exitStatus(lints: readonly FileLint[], isStrict: boolean, context: CommandContext): number {
  const { errors, warnings } = counts(lints);
  if (errors === 0 && !(isStrict && warnings > 0)) return 0;
  context.warn(`mcp-guard policy lint: ${amount(errors, "error")}, ${amount(warnings, "warning")}`);
  return 1;
}
