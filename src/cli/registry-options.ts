// What the commands that talk to a registry have in common.
import { GuardError } from "../error.ts";

/** Their options in `parseArgs`' form, without those that one of them has alone. Each can be an environment variable. */
export function registryOptions(env: NodeJS.ProcessEnv) {
  return {
    help: { type: "boolean", short: "h" },
    repo: { type: "string", default: env.REPO || "" },
    tag: { type: "string", default: env.TAG || "" },
    "plain-http": { type: "string", default: env.PLAIN_HTTP || "" },
  } as const;
}

/** The end of their usage texts. */
export const REGISTRY_ENVIRONMENT = `  --plain-http <0|1>       PLAIN_HTTP   1: plain HTTP to any registry; 0: HTTPS even to this machine
                                        (unset: plain HTTP to this machine only)
                           OCI_USERNAME, OCI_PASSWORD
                                        credentials; else Docker's configuration and its helpers
                           HTTPS_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS
                                        as usual
`;

/**
 * Reads a switch that can be unset.
 * @param option its name, for the message.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseSwitch(text: string, option: string): boolean | undefined {
  if (text === "") return undefined;
  if (text === "0" || text === "1") return text === "1";
  throw new GuardError("ERR_USAGE", `${option}=${text}: expected 0 or 1`);
}
