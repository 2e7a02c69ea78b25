// The Envoy releases that a run covers: the oldest and the newest supported one, or every pinned one for the version
// matrix (`ENVOY_VERSIONS=all`), or those that are named (`ENVOY_VERSIONS=1.38.2,1.39.3`).
import { DEFAULT_ENVOY_VERSION, ENVOY_WHEEL_SHA256, OLDEST_ENVOY_VERSION } from "../src/envoy/versions.ts";

/** The versions of this run, oldest first. @throws Error when a named one is not pinned. */
export function testedVersions(): string[] {
  const named = process.env.ENVOY_VERSIONS ?? "";
  if (named === "") return [OLDEST_ENVOY_VERSION, DEFAULT_ENVOY_VERSION];
  const versions = named === "all" ? Object.keys(ENVOY_WHEEL_SHA256) : named.split(",");
  const unknown = versions.filter((version) => ENVOY_WHEEL_SHA256[version] === undefined);
  if (unknown.length > 0) throw new Error(`ENVOY_VERSIONS: ${unknown.join(", ")} is not pinned`);
  return versions;
}
