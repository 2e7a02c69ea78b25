// More of Envoy's own facts in the access log than envoy/test.yaml has.
import { expect } from "vitest";
import type { AccessEntry } from "../../src/envoy/access-log.ts";
import { type Bootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";
import { listenersOf } from "./listeners.ts";
import { PATIENCE } from "./rig.ts";

/** For `RigOptions.edit`: adds members, by name with Envoy's format for each, to the access log of guards, all of them unless some are named. */
export function logAlso(
  bootstrap: Bootstrap,
  members: Readonly<Record<string, string>>,
  guards?: readonly string[],
): void {
  for (const listener of listenersOf(bootstrap, guards)) {
    for (const log of connectionManager(listener).access_log as AccessLog[]) {
      Object.assign(log.typed_config.log_format.json_format, members);
    }
  }
}

/**
 * For `RigOptions.edit`: one more access log for guards, all of them unless some are named, with the audit record of each exchange as a line. It goes
 * behind `logAlso`, which knows logs in JSON only.
 */
export function logRecords(bootstrap: Bootstrap, path: string, guards?: readonly string[]): void {
  for (const listener of listenersOf(bootstrap, guards)) {
    (connectionManager(listener).access_log as object[]).push({
      name: "envoy.access_loggers.file",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        path,
        log_format: { text_format_source: { inline_string: "%FILTER_STATE(wasm.mcp_audit:PLAIN)%\n" } },
      },
    });
  }
}

/** Waits for the entry of a request, and returns it with the members that `logAlso` has added. */
export async function logged(
  envoy: RunningEnvoy,
  requestId: string,
): Promise<AccessEntry & Readonly<Record<string, unknown>>> {
  const find = () => envoy.accessLog().find(({ request_id }) => request_id === requestId);
  await expect.poll(find, PATIENCE).toBeDefined();
  return { ...find()! };
}

interface AccessLog {
  readonly typed_config: { readonly log_format: { readonly json_format: Record<string, unknown> } };
}
