// `mcp-guard check`: answers the five questions of the security standard for the MCP servers in rendered manifests.
import { parseArgs } from "node:util";
import { filterJudge } from "../../check/filter-verdict.ts";
import { readInput } from "../../check/input.ts";
import { renderJson } from "../../check/render-json.ts";
import { renderSarif } from "../../check/render-sarif.ts";
import { renderTable, summary } from "../../check/render-table.ts";
import { isClean, type Report, reportOn } from "../../check/report.ts";
import { INPUTS, type InputName } from "../../check/rule.ts";
import { readSources } from "../../check/sources.ts";
import { GuardError } from "../../error.ts";
import type { Span } from "../../paint.ts";
import { readFilter } from "../built-filter.ts";
import type { Command } from "../command.ts";
import { plainLines, show } from "../show.ts";

const USAGE = `usage: mcp-guard check [options] DIR|FILE|-...

Answers the standard's five questions for each MCP server in rendered Kubernetes and Istio manifests (YAML or JSON), and its layer 2 beside
them. What is not as it should be is a finding, with file and line, why it matters, and how to mend it; docs/check.md describes each.

  DIR                      all *.yaml, *.yml, *.json, *.tf and *.tfvars in it and below; folders with a kustomization are left out
  FILE                     manifests, Terraform (*.tf, *.tfvars), or a plan in JSON (terraform show -json)
  -                        the standard input: manifests or a plan
  --format <format>        table (the default), json, or sarif (2.1.0)
  --allow-missing <input>  accept that an input was not handed in: ${Object.keys(INPUTS).join(", ")}; several with commas

examples:
  kubectl kustomize overlays/production | mcp-guard check --allow-missing role,mesh-config -
  mcp-guard check rendered/ terraform/ mesh-config.yaml
  mcp-guard check --format sarif rendered/ > check.sarif

It ends with status 0 without findings, with 1 when there are some, or a question was not answered, or no MCP server was found, and with 2
when the input cannot be read.
`;

const RENDERERS: Readonly<Record<string, (report: Report) => Span[][]>> = {
  table: renderTable,
  json: (report) => plainLines(renderJson(report).split("\n")),
  sarif: (report) => plainLines(renderSarif(report).split("\n")),
};

export const check: Command = async (args, context) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      format: { type: "string", default: "table" },
      "allow-missing": { type: "string", multiple: true, default: [] },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const render = Object.hasOwn(RENDERERS, values.format) ? RENDERERS[values.format] : undefined;
  if (render === undefined)
    throw new GuardError("ERR_USAGE", `--format ${values.format}: expected table, json or sarif`);
  if (positionals.length === 0) throw new GuardError("ERR_USAGE", "found no DIR, FILE or -, expected manifests");
  if (positionals.filter((name) => name === "-").length > 1)
    throw new GuardError("ERR_USAGE", "found - twice, expected the standard input once");
  const accepted = acceptedInputs(values["allow-missing"]);
  const input = await readInput(readSources(positionals));
  const report = reportOn(input, filterJudge(await readFilter()), accepted);
  show(context, render(report));
  if (isClean(report)) return 0;
  context.warn(`mcp-guard check: ${summary(report)}`);
  return 1;
};

function acceptedInputs(options: readonly string[]): Set<InputName> {
  const names = options.flatMap((option) => option.split(","));
  const isInput = (name: string): name is InputName => Object.hasOwn(INPUTS, name);
  const strange = names.find((name) => !isInput(name));
  if (strange !== undefined) {
    throw new GuardError("ERR_USAGE", `--allow-missing ${strange}: expected one of ${Object.keys(INPUTS).join(", ")}`);
  }
  return new Set(names.filter(isInput));
}
