// `mcp-guard audit suggest`: the policy that would have let the traffic through.
import { parseArgs } from "node:util";
import { isRecord } from "../../audit/record.ts";
import { Suggestion } from "../../audit/suggest.ts";
import { readTrail } from "../../audit/trail.ts";
import { auditInputs, INPUT_OPTIONS, INPUT_USAGE, Unusable } from "../audit-input.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard audit suggest [options] FILE...

Reads audit records, above all those of mode: monitor, and prints the policy that would have let the traffic through, as YAML. The
names in it are those that clients have sent: read each line before you use it.

${INPUT_USAGE}
`;

export const auditSuggest: Command = async (args, context) => {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: INPUT_OPTIONS });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const suggestion = new Suggestion();
  const unusable = new Unusable();
  const counts = await readTrail(
    auditInputs(positionals, context.signal),
    {
      record: ({ value, file, line }) => {
        if (isRecord(value)) suggestion.add(value, { file, line });
        else unusable.add({ file, line }, "does not fit schema/audit-record.schema.json");
      },
      unreadable: (place, why) => unusable.add(place, why),
    },
    values.member,
  );
  const notes = [unusable.text() ?? []].flat();
  if (counts.guardAbsent > 0) notes.push(`${counts.guardAbsent} exchanges were seen by no guard`);
  for (const line of suggestion.render(notes)) context.out(line);
  return unusable.exitStatus("suggest", context);
};
