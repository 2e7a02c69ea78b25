// `mcp-guard audit`: the commands about audit records. Dispatch only, as in main.ts.
import { GuardError } from "../../error.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard audit <command> [options] FILE...

  verify      check that no record is missing, changed or doubled
  show        print records for people
  suggest     propose the policy that would have let the traffic through
  convert     print records as events of another format

mcp-guard audit <command> --help tells more.`;

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  verify: async () => (await import("./audit-verify.ts")).auditVerify,
  show: async () => (await import("./audit-show.ts")).auditShow,
  suggest: async () => (await import("./audit-suggest.ts")).auditSuggest,
  convert: async () => (await import("./audit-convert.ts")).auditConvert,
};

/** Hands over to the command that the first argument names. */
export const audit: Command = async ([name = "", ...rest], context) => {
  if (name === "--help" || name === "-h" || name === "help") {
    context.out(USAGE);
    return 0;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    throw new GuardError("ERR_USAGE", name === "" ? USAGE : `there is no command audit ${name}\n\n${USAGE}`);
  }
  const command = await load();
  return command(rest, context);
};
