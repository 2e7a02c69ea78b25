// The guard's image in a registry, and images that are no guard.
import { execFile } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { packLayer } from "../../../src/oci/layer.ts";
import { runCommand } from "../../oci/command.ts";
import { goTool } from "../go-tools.ts";

const run = promisify(execFile);

/** Pushes the built filter as `make oci-push` does, and returns its url for a manifest. */
export async function pushGuard(host: string): Promise<string> {
  const { out, err } = await runCommand(["oci-push", "--repo", `${host}/mcp-guard-filter`, "--tag", "v1"]);
  const url = /^url: (oci:\/\/\S+@sha256:\w+)$/m.exec(out)?.[1];
  if (url === undefined) throw new Error(`oci-push printed no url:\n${out}${err}`);
  return url;
}

/** Pushes any bytes as a module, and returns the url. */
export async function pushModule(host: string, name: string, module: Uint8Array, folder: string): Promise<string> {
  const own = mkdtempSync(path.join(folder, "image-"));
  const layer = path.join(own, "plugin.tar.gz");
  writeFileSync(layer, (await packLayer(Buffer.from(module))).bytes);
  const reference = `${host}/${name}`;
  const { stdout } = await run(await goTool("crane"), [
    "append",
    "--oci-empty-base",
    "-f",
    layer,
    "-t",
    `${reference}:v1`,
  ]);
  const digest = /@(sha256:[0-9a-f]{64})/.exec(stdout)?.[1];
  if (digest === undefined) throw new Error(`crane printed no digest: ${stdout}`);
  return `oci://${reference}@${digest}`;
}
