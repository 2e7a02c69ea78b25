// `mcp-guard oci-verify`: whether what a registry has is this filter, and whether Istio would load it.
import { parseArgs } from "node:util";
import { GuardError } from "../../error.ts";
import { digestOf, isDigest } from "../../oci/digest.ts";
import { type PulledModule, readModule } from "../../oci/pull.ts";
import { parseRepository, parseTag, pinnedUrl, type Repository } from "../../oci/reference.ts";
import { Registry } from "../../oci/registry.ts";
import { oneLine } from "../../terminal.ts";
import { readFilter } from "../built-filter.ts";
import type { Command } from "../command.ts";
import { parseSwitch, REGISTRY_ENVIRONMENT, registryOptions } from "../registry-options.ts";

const USAGE = `usage: mcp-guard oci-verify [options]

Reads the filter out of a container registry as Istio's fetcher does, compares it with build/plugin.wasm, and prints the url
that names it. Ends with status 1 when Istio would not load it, or when it is another module.
Each option can also be given by the environment variable named with it (make oci-verify REPO=... TAG=...).

  --repo <registry/name>   REPO         where from, for example registry.example/team/mcp-guard
  --tag <tag>              TAG          the tag, for example v1
  --digest <sha256:...>    DIGEST       the digest, instead of a tag
${REGISTRY_ENVIRONMENT}`;

export const ociVerify: Command = async (args, context) => {
  const { env, out, signal } = context;
  const { values } = parseArgs({
    args,
    options: { ...registryOptions(env), digest: { type: "string", default: env.DIGEST || "" } },
  });
  if (values.help) {
    out(USAGE);
    return 0;
  }
  if (values.repo === "") throw new GuardError("ERR_USAGE", "REPO is required, with TAG or DIGEST");
  const repository = parseRepository(values.repo);
  const reference = parseReference(values.tag, values.digest);
  const plainHttp = parseSwitch(values["plain-http"], "PLAIN_HTTP");
  const own = digestOf(await readFilter());
  const registry = new Registry(repository, { access: "pull", env, plainHttp, signal, say: out });
  try {
    await registry.ping();
    const pulled = await readModule(registry, reference);
    for (const line of report(repository, reference, pulled)) out(line);
    if (pulled.moduleDigest !== own) {
      throw new GuardError("ERR_OTHER_MODULE", `this is another module than build/plugin.wasm, which is ${own}`);
    }
    out("the module is build/plugin.wasm");
    out("");
    out(`url: ${pinnedUrl(repository, pulled.digest)}`);
    return 0;
  } catch (error) {
    throw signal.aborted ? new GuardError("ERR_INTERRUPTED", "interrupted") : error;
  } finally {
    await registry.close();
  }
};

function parseReference(tag: string, digest: string): string {
  if ((tag === "") === (digest === "")) throw new GuardError("ERR_USAGE", "TAG or DIGEST is required, and not both");
  if (tag !== "") return parseTag(tag);
  if (isDigest(digest)) return digest;
  throw new GuardError("ERR_USAGE", `DIGEST=${digest}: expected sha256: and 64 hexadecimal digits`);
}

function report({ registry, name }: Repository, reference: string, pulled: PulledModule): string[] {
  const separator = isDigest(reference) ? "@" : ":";
  const lines = [
    `reference     ${registry}/${name}${separator}${reference}`,
    `digest        ${pulled.digest}`,
    `shape         ${pulled.shape}`,
    `module        ${pulled.moduleDigest}, ${pulled.module.length} bytes`,
  ];
  if (pulled.index !== undefined) {
    lines.push(`note: ${pulled.index} is an index. Istio loads it by tag; pinned, it must be the digest above.`);
  }
  for (const [key, value] of Object.entries(pulled.annotations))
    lines.push(`annotation    ${shown(key)}=${shown(value)}`);
  return lines;
}

/** Annotations are written by whoever pushed. */
function shown(text: string): string {
  return oneLine(text).slice(0, 200);
}
