// `mcp-guard audit convert`: audit records as events of another format.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { OCSF_VERSION, type Product, toOcsf, writeOcsf } from "../../audit/ocsf.ts";
import { isRecord } from "../../audit/record.ts";
import { readTrail } from "../../audit/trail.ts";
import { GuardError } from "../../error.ts";
import { projectPath } from "../../project.ts";
import { auditInputs, INPUT_OPTIONS, INPUT_USAGE, Unusable } from "../audit-input.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard audit convert --to ocsf [options] FILE...

Prints each audit record as one line of JSON: an event of the class API Activity (6003) of OCSF ${OCSF_VERSION}.

${INPUT_USAGE}
  --to <format>            ocsf
`;

export const auditConvert: Command = async (args, context) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { ...INPUT_OPTIONS, to: { type: "string" } },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  if (values.to !== "ocsf") throw new GuardError("ERR_USAGE", `--to ${values.to ?? ""}: expected ocsf`);
  const inputs = auditInputs(positionals, context.signal);
  const about = JSON.parse(await readFile(projectPath("package.json"), "utf8")) as Product;
  const unusable = new Unusable();
  await readTrail(
    inputs,
    {
      record: ({ text, value, file, line }) => {
        if (isRecord(value)) context.out(writeOcsf(toOcsf(value, text, about)));
        else unusable.add({ file, line }, "does not fit schema/audit-record.schema.json");
      },
      unreadable: (place, why) => unusable.add(place, why),
    },
    values.member,
  );
  return unusable.exitStatus("convert", context);
};
