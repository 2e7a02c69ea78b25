// `mcp-guard audit show`: audit records for people.
import { parseArgs } from "node:util";
import { DECISIONS } from "../../audit/record.ts";
import { isWanted, renderJson, renderRecord } from "../../audit/show.ts";
import { readTrail } from "../../audit/trail.ts";
import { GuardError } from "../../error.ts";
import { auditInputs, INPUT_OPTIONS, INPUT_USAGE, Unusable } from "../audit-input.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard audit show [options] FILE...

Prints audit records, one or two lines for each exchange: time, decision and reason, user, what was asked for, status, durations.
What cannot be seen in a name is shown as an escape. Nothing is verified: mcp-guard audit verify does that.

${INPUT_USAGE}
  --user <id>              only records of this user; each of these options can be given more than once
  --decision <decision>    only records with this decision: ${DECISIONS.join(" ")}
  --tool <name>            only calls of this tool
  --json                   all members, as JSON
`;

export const auditShow: Command = async (args, context) => {
  const several = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { ...INPUT_OPTIONS, user: several, decision: several, tool: several, json: { type: "boolean" } },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const wanted = { users: values.user, decisions: values.decision, tools: values.tool };
  const strange = wanted.decisions.find((decision) => !DECISIONS.some((known) => known === decision));
  if (strange !== undefined) {
    throw new GuardError("ERR_USAGE", `--decision ${strange}: expected one of ${DECISIONS.join(" ")}`);
  }
  const render = values.json ? renderJson : renderRecord;
  const unusable = new Unusable();
  await readTrail(
    auditInputs(positionals, context.signal),
    {
      record: ({ value }) => {
        if (isWanted(value, wanted)) for (const line of render(value)) context.out(line);
      },
      unreadable: (place, why) => unusable.add(place, why),
    },
    values.member,
  );
  return unusable.exitStatus("show", context);
};
