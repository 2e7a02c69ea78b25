// `mcp-guard audit verify`: whether a trail of audit records is whole.
import { parseArgs } from "node:util";
import type { ChainSummary, Fault } from "../../audit/chain.ts";
import { placeText } from "../../audit/trail.ts";
import { type Verification, verifyTrail } from "../../audit/verify.ts";
import { GuardError } from "../../error.ts";
import { auditInputs, INPUT_OPTIONS, INPUT_USAGE } from "../audit-input.ts";
import { renderColumns } from "../columns.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard audit verify [options] FILE...

Checks each audit record against schema/audit-record.schema.json, and the chains that they form: no record missing, changed,
doubled or moved. Ends with status 1 when there is a fault, or no record at all.

${INPUT_USAGE}
  --from-start             the logs go back to the start: a chain that begins above 1 is a fault
  --format <format>        table (the default) or json
`;

/** Faults that are shown; the others are counted. */
const FAULTS_SHOWN = 100;

export const auditVerify: Command = async (args, context) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { ...INPUT_OPTIONS, "from-start": { type: "boolean" }, format: { type: "string", default: "table" } },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const { format } = values;
  if (format !== "table" && format !== "json") {
    throw new GuardError("ERR_USAGE", `--format ${format}: expected table or json`);
  }
  const shown: Fault[] = [];
  const found = await verifyTrail(auditInputs(positionals, context.signal), {
    fromStart: values["from-start"] ?? false,
    member: values.member,
    onFault: (fault) => {
      if (shown.length < FAULTS_SHOWN) shown.push(fault);
    },
  });
  for (const line of format === "json" ? renderJson(found, shown) : renderTable(found, shown)) context.out(line);
  if (isWhole(found)) return 0;
  context.warn(`mcp-guard audit verify: ${verdict(found)}`);
  return 1;
};

function renderTable(found: Verification, faults: readonly Fault[]): string[] {
  const rows = found.chains.map((chain) => [
    chain.chain,
    String(chain.records),
    `${chain.first}-${chain.last}`,
    String(chain.missing),
    String(chain.duplicates),
    String(chain.reordered),
    String(chain.faults),
    notes(chain),
  ]);
  const head = ["chain", "records", "sequence", "missing", "duplicates", "reordered", "faults", "notes"];
  const widths = [32, 12, 34, 12, 12, 12, 12, Number.POSITIVE_INFINITY];
  const { lines, records, guardAbsent, unreadable, other } = found.lines;
  return [
    ...(rows.length > 0 ? [...renderColumns(head, rows, widths), ""] : []),
    ...faults.map((fault) => `${placeText(fault)}: ${where(fault)}${fault.kind}: ${fault.text}`),
    ...(found.faults > faults.length ? [`and ${found.faults - faults.length} more faults`] : []),
    ...(faults.length > 0 ? [""] : []),
    `lines ${lines}: records ${records}, guard absent ${guardAbsent}, unreadable ${unreadable}, other ${other}`,
    `chains ${found.chains.length}: ${verdict(found)}`,
  ];
}

function notes({ first, firstGap }: ChainSummary): string {
  return [
    ...(first > 1 ? [`begins at ${first}`] : []),
    ...(firstGap === undefined
      ? []
      : [`first gap: expected ${firstGap.expected}, found ${firstGap.found} at ${placeText(firstGap)}`]),
  ].join("; ");
}

function where({ chain, sequence }: Fault): string {
  return chain === undefined ? "" : `chain ${chain}, record ${sequence ?? "-"}: `;
}

/** A trail without any record proves nothing: it is more likely to be the wrong file than a proxy without requests. */
function isWhole({ faults, lines }: Verification): boolean {
  return faults === 0 && lines.records > 0;
}

function verdict({ faults, faultsByKind, lines }: Verification): string {
  if (faults === 0) return lines.records > 0 ? "no faults" : "found no audit record, expected at least one";
  const kinds = Object.entries(faultsByKind).map(([kind, count]) => `${kind} ${count}`);
  return `${faults === 1 ? "1 fault" : `${faults} faults`} (${kinds.join(", ")})`;
}

function renderJson(found: Verification, faults: readonly Fault[]): string[] {
  const { lines, chains, faults: faultCount, faultsByKind } = found;
  const result = {
    lines: {
      total: lines.lines,
      records: lines.records,
      guard_absent: lines.guardAbsent,
      unreadable: lines.unreadable,
      other: lines.other,
    },
    chains: chains.map(({ firstGap, ...chain }) => ({
      ...chain,
      ...(firstGap === undefined ? {} : { first_gap: firstGap }),
    })),
    fault_count: faultCount,
    faults_by_kind: faultsByKind,
    faults,
  };
  return JSON.stringify(result, undefined, 2).split("\n");
}
