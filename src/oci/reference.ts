// Names of repositories and tags, by the grammar of the OCI distribution specification ("Pull", section "Pulling manifests").
import { GuardError } from "../error.ts";

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const NAME_LENGTH_MAX = 255;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const HOST = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::\d{1,5})?$/;

/** The registry that answers for `docker.io` has another name than the one that people write. */
const API_HOSTS: Readonly<Record<string, string>> = { "docker.io": "registry-1.docker.io" };

/** A place in a registry. */
export interface Repository {
  /** The registry as it is written in references: a host name or address, with a port where it is not 443. */
  readonly registry: string;
  /** The repository's name inside the registry. */
  readonly name: string;
}

/**
 * Reads `registry/name`.
 * @throws GuardError `ERR_USAGE` that says which part is wrong.
 */
export function parseRepository(text: string): Repository {
  const wrong = (what: string) =>
    new GuardError(
      "ERR_USAGE",
      `REPO=${text}: ${what}; expected registry/name, such as registry.example/team/mcp-guard`,
    );
  if (text.includes("://")) throw wrong("a scheme has no place here");
  if (text.includes("@")) throw wrong("a digest has no place here");
  const slash = text.indexOf("/");
  const registry = slash < 0 ? "" : text.slice(0, slash);
  const name = text.slice(slash + 1);
  // Without a dot, a port or `localhost` the first part is a part of the name (Docker's rule), and the registry is missing.
  if (registry !== "localhost" && !/[.:]/.test(registry)) throw wrong("the registry's host is missing");
  if (!HOST.test(registry)) throw wrong(`"${registry}" is no host`);
  if (/:[^/]*$/.test(name)) throw wrong("the tag goes into TAG");
  if (name.length > NAME_LENGTH_MAX) throw wrong(`the name is longer than ${NAME_LENGTH_MAX} characters`);
  if (!NAME.test(name)) {
    throw wrong(`"${name}" is no repository name (lower-case letters and digits, separated by single . _ - or /)`);
  }
  return { registry, name };
}

/**
 * Checks a tag.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseTag(text: string): string {
  if (TAG.test(text)) return text;
  throw new GuardError("ERR_USAGE", `TAG=${text}: expected 1 to 128 letters, digits, _ . or -, not . or - in front`);
}

/** The host, with its port, that the registry's API is asked at. */
export function apiHost(repository: Repository): string {
  return API_HOSTS[repository.registry] ?? repository.registry;
}

/** The registry's host name or address, without the port. */
export function hostName(repository: Repository): string {
  return repository.registry.replace(/:\d+$/, "");
}

/** How Istio's `url`, and everybody else, names one immutable content of a repository. */
export function pinnedUrl(repository: Repository, digest: string): string {
  return `oci://${repository.registry}/${repository.name}@${digest}`;
}
