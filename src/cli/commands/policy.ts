// `mcp-guard policy`: the commands about policies. Dispatch only, as in main.ts.
import { GuardError } from "../../error.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard policy <command> [options] FILE...

  lint        say what is wrong with a policy, and what in it does nothing

mcp-guard policy <command> --help tells more.`;

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  lint: async () => (await import("./policy-lint.ts")).policyLint,
};

/** Hands over to the command that the first argument names. */
export const policy: Command = async ([name = "", ...rest], context) => {
  if (name === "--help" || name === "-h" || name === "help") {
    context.out(USAGE);
    return 0;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    throw new GuardError("ERR_USAGE", name === "" ? USAGE : `there is no command policy ${name}\n\n${USAGE}`);
  }
  const command = await load();
  return command(rest, context);
};
