// `mcp-guard approval`: the commands about approvals. Dispatch only, as in main.ts.
import { GuardError } from "../../error.ts";
import type { Command } from "../command.ts";

const USAGE = `usage: mcp-guard approval <command> [options]

  digest      compute what an approval was given for, from the call
  verify      check an export of the approval service, and compare it with audit records

mcp-guard approval <command> --help tells more.`;

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  digest: async () => (await import("./approval-digest.ts")).approvalDigest,
  verify: async () => (await import("./approval-verify.ts")).approvalVerify,
};

/** Hands over to the command that the first argument names. */
export const approval: Command = async ([name = "", ...rest], context) => {
  if (name === "--help" || name === "-h" || name === "help") {
    context.out(USAGE);
    return 0;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    throw new GuardError("ERR_USAGE", name === "" ? USAGE : `there is no command approval ${name}\n\n${USAGE}`);
  }
  const command = await load();
  return command(rest, context);
};
