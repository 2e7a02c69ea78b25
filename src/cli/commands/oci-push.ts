// `mcp-guard oci-push`: the built filter into a container registry, from where Istio loads it.
import { parseArgs } from "node:util";
import { GuardError } from "../../error.ts";
import { findFacts } from "../../oci/facts.ts";
import { buildImage, SHAPES, type Shape } from "../../oci/image.ts";
import { pushImage } from "../../oci/push.ts";
import { parseRepository, parseTag, pinnedUrl } from "../../oci/reference.ts";
import { Registry } from "../../oci/registry.ts";
import { readFilter } from "../built-filter.ts";
import type { Command } from "../command.ts";
import { parseSwitch, REGISTRY_ENVIRONMENT, registryOptions } from "../registry-options.ts";

const USAGE = `usage: mcp-guard oci-push [options]

Pushes build/plugin.wasm to a container registry, reads it back, lets the tag stand for it, and prints the url to use.
Each option can also be given by the environment variable named with it (make oci-push REPO=... TAG=...).

  --repo <registry/name>   REPO         where to, for example registry.example/team/mcp-guard
  --tag <tag>              TAG          the tag, for example v1
  --shape <shape>          SHAPE        image (an image with one layer) or artifact (the two-layer Wasm artefact)
${REGISTRY_ENVIRONMENT}`;

export const ociPush: Command = async (args, context) => {
  const { env, out, status, signal } = context;
  const { values } = parseArgs({
    args,
    options: { ...registryOptions(env), shape: { type: "string", default: env.SHAPE || "image" } },
  });
  if (values.help) {
    out(USAGE);
    return 0;
  }
  if (values.repo === "" || values.tag === "") {
    throw new GuardError(
      "ERR_USAGE",
      "REPO and TAG are required: make oci-push REPO=registry.example/team/mcp-guard TAG=v1",
    );
  }
  const repository = parseRepository(values.repo);
  const tag = parseTag(values.tag);
  const shape = parseShape(values.shape);
  const plainHttp = parseSwitch(values["plain-http"], "PLAIN_HTTP");

  const module = await readFilter();
  const facts = await findFacts(module);
  if (facts.revision === undefined) out("note: no git history here, so the image names no source revision");
  if (facts.revision?.endsWith("-dirty")) {
    out("note: the sources have changes that are not committed; the image says so (-dirty)");
  }
  const image = await buildImage(module, facts, shape);
  const registry = new Registry(repository, { access: "pull,push", env, plainHttp, signal, say: out });
  try {
    const { digest, unchanged } = await pushImage(registry, image, tag, { say: out, status });
    out(`${unchanged ? "unchanged    " : "tagged       "} ${repository.registry}/${repository.name}:${tag}`);
    out(`module        ${image.moduleDigest}, ${module.length} bytes`);
    out("");
    out("For the WasmPlugin or the TrafficExtension:");
    out("");
    out(`url: ${pinnedUrl(repository, digest)}`);
    return 0;
  } catch (error) {
    throw interrupted(error, signal, tag);
  } finally {
    status("");
    await registry.close();
  }
};

function parseShape(text: string): Shape {
  const shape = SHAPES.find((known) => known === text);
  if (shape !== undefined) return shape;
  throw new GuardError("ERR_USAGE", `SHAPE=${text}: expected ${SHAPES.join(" or ")}`);
}

/** Whatever is thrown before the tag is written says that the tag is as it was. */
function interrupted(error: unknown, signal: AbortSignal, tag: string): unknown {
  if (error instanceof GuardError && error.code === "ERR_TAG") return error;
  if (signal.aborted) return new GuardError("ERR_INTERRUPTED", `interrupted; the tag ${tag} was not touched`);
  if (!(error instanceof GuardError)) return error;
  return new GuardError(error.code, `${error.message}\nThe tag ${tag} was not touched.`, { cause: error });
}
