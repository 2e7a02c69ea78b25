// What `mcp-guard render` is told about a server, read once into values that the overlay can be written from.
import { isIP } from "node:net";
import { GuardError } from "../error.ts";
import { parseRepository } from "../oci/reference.ts";

/** A host outside of the mesh, on port 443, with the addresses that its name leads to. */
export interface ExternalHost {
  readonly host: string;
  readonly cidrs: readonly string[];
}

/** An OpenTelemetry collector in the mesh. */
export interface Collector {
  readonly namespace: string;
  /** The full name of its Service. */
  readonly host: string;
  readonly port: number;
  /** The label `app` of its pods. */
  readonly app: string;
}

/** An issuer of callers' tokens, and where its keys are. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly jwksUri: string;
}

/** A variable of the guard, from a key of a Secret in its namespace. */
export interface SecretVariable {
  readonly variable: string;
  readonly secret: string;
  readonly key: string;
}

/** A server and what stands around it. */
export interface GuardedServer {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** `registry/name@sha256:...`; undefined leaves a digest that no image has. */
  readonly serverImage: string | undefined;
  readonly guardImage: string;
  readonly port: number;
  readonly path: string;
  /** The one caller: `<trust domain>/ns/<namespace>/sa/<ServiceAccount>`. */
  readonly principal: string;
  readonly egress: readonly ExternalHost[];
  /** Where the proxy pulls the guard's image from: an address range and a port. `volume`: the node pulls it; undefined: nothing is opened. */
  readonly pull: { readonly cidr: string; readonly port: number } | "volume" | undefined;
  readonly roleArn: string | undefined;
  readonly sts: ExternalHost | undefined;
  readonly collector: Collector | undefined;
  /** Where callers' tokens are exchanged. */
  readonly tokenService: ExternalHost | undefined;
  readonly issuers: readonly TokenIssuer[];
  /** What callers' tokens are made for. */
  readonly audiences: readonly string[];
  readonly secrets: readonly SecretVariable[];
  readonly clients: "default" | "legacy" | "modern";
  readonly isWaypoint: boolean;
  readonly isTrafficExtension: boolean;
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const HOST_NAME = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const PRINCIPAL = /^[A-Za-z0-9.-]+\/ns\/([a-z0-9-]+)\/sa\/([a-z0-9.-]+)$/;
const PINNED = /^([^@]+)@(sha256:[0-9a-f]{64})$/;
/** A path without anything that Istio takes for a pattern. */
const PATH = /^\/[A-Za-z0-9._~/-]{0,1023}$/;
const ROLE = /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/;
/** https, without what no such place has: a user, a query, a fragment. */
const HTTPS_URL = /^https:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const SECRET_KEY = /^[A-Za-z0-9._-]{1,253}$/;
const AUDIENCE = /^[!-~]{1,512}$/;
const PORT_MAX = 65_535;
const ADDRESS_BITS: Readonly<Record<number, number>> = { 4: 32, 6: 128 };

/** An error about an option: what it says, and what was expected. */
export function wrongOption(option: string, value: string, expected: string): GuardError {
  return new GuardError("ERR_USAGE", `--${option} ${value}: ${expected}`);
}

/**
 * A name that Kubernetes takes for an object and for a label's value.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseLabel(option: string, value: string): string {
  if (LABEL.test(value)) return value;
  throw wrongOption(
    option,
    value,
    "expected 1 to 63 of a-z, 0-9 and -, with a letter or a digit at both ends (RFC 1123)",
  );
}

/**
 * The server's name, which is that of a Service too.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseServerName(value: string): string {
  parseLabel("server", value);
  if (/^[a-z]/.test(value)) return value;
  throw wrongOption("server", value, "expected a letter in front: it is the name of a Service too (RFC 1035)");
}

/**
 * An image by its digest.
 * @throws GuardError `ERR_USAGE`.
 */
export function parsePinnedImage(option: string, value: string): string {
  const image = value.replace(/^oci:\/\//, "");
  const [, place, digest] = PINNED.exec(image) ?? [];
  if (place === undefined || digest === undefined) {
    throw wrongOption(
      option,
      value,
      "expected registry/name@sha256:<64 hexadecimal digits>; a tag can move, and pods that start later would run something else",
    );
  }
  try {
    parseRepository(place);
  } catch (error) {
    if (!(error instanceof GuardError)) throw error;
    // It names the place by the option of another command.
    const why = error.message.slice(`REPO=${place}: `.length);
    throw wrongOption(option, value, why);
  }
  return image;
}

/**
 * A TCP port.
 * @throws GuardError `ERR_USAGE`.
 */
export function parsePort(option: string, value: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (port >= 1 && port <= PORT_MAX) return port;
  throw wrongOption(option, value, `expected a port, 1 to ${PORT_MAX}`);
}

/**
 * The path of the MCP endpoint.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseEndpoint(value: string): string {
  if (PATH.test(value)) return value;
  throw wrongOption("path", value, "expected an absolute path of letters, digits and . _ ~ - /");
}

/**
 * Who may call.
 * @throws GuardError `ERR_USAGE`.
 */
export function parsePrincipal(value: string): string {
  if (value.startsWith("spiffe://")) {
    throw wrongOption(
      "principal",
      value,
      "expected it without spiffe://: Istio compares it without, and would admit nobody",
    );
  }
  if (PRINCIPAL.test(value)) return value;
  throw wrongOption("principal", value, "expected <trust domain>/ns/<namespace>/sa/<ServiceAccount>");
}

/**
 * `host=cidr[,cidr...]`.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseExternalHost(option: string, value: string): ExternalHost {
  const equals = value.indexOf("=");
  const host = equals < 0 ? value : value.slice(0, equals);
  if (!HOST_NAME.test(host)) {
    throw wrongOption(option, value, `"${host}" is no host name; expected one in lower case, without a star or a port`);
  }
  if (equals < 0) {
    throw wrongOption(
      option,
      value,
      `expected ${host}=<address range>[,...], such as ${host}=192.0.2.0/24: a NetworkPolicy knows no names, and without addresses it is closed`,
    );
  }
  const cidrs = value.slice(equals + 1).split(",");
  return { host, cidrs: cidrs.map((cidr) => parseRange(option, cidr)) };
}

/**
 * An address range.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseRange(option: string, value: string): string {
  const [address = "", prefix = "", ...more] = value.split("/");
  const bits = ADDRESS_BITS[isIP(address)];
  if (bits === undefined || more.length > 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) {
    throw wrongOption(option, value, "expected an address range, such as 192.0.2.0/24");
  }
  if (Number(prefix) === 0) throw wrongOption(option, value, "this is every address there is, which locks nothing");
  return value;
}

/**
 * `service.namespace:port`.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseCollector(value: string): Collector {
  const [, service, namespace, port] = /^([^.:]+)\.([^.:]+):(\d+)$/.exec(value) ?? [];
  if (service === undefined || namespace === undefined || port === undefined) {
    throw wrongOption(
      "collector",
      value,
      "expected <Service>.<namespace>:<port>, such as otel-collector.observability:4318",
    );
  }
  return {
    namespace: parseLabel("collector", namespace),
    host: `${parseLabel("collector", service)}.${namespace}.svc.cluster.local`,
    port: parsePort("collector", port),
    app: service,
  };
}

/**
 * The role of AWS.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseRoleArn(value: string): string {
  if (ROLE.test(value)) return value;
  throw wrongOption("role-arn", value, "expected arn:aws:iam::<account>:role/<name>");
}

/**
 * `issuer=url of its keys`.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseIssuer(value: string): TokenIssuer {
  const equals = value.indexOf("=");
  const [issuer, jwksUri] = [value.slice(0, Math.max(equals, 0)), value.slice(equals + 1)];
  if (AUDIENCE.test(issuer) && HTTPS_URL.test(jwksUri)) return { issuer, jwksUri };
  throw wrongOption(
    "issuer",
    value,
    "expected <issuer>=<https link of its keys>, such as https://idp.example=https://idp.example/jwks.json",
  );
}

/**
 * The audience of callers' tokens.
 * @throws GuardError `ERR_USAGE`.
 */
export function parseAudience(value: string): string {
  if (AUDIENCE.test(value)) return value;
  throw wrongOption("audience", value, "expected 1 to 512 printable letters without a space");
}

/**
 * `variable=secret/key`.
 * @throws GuardError `ERR_USAGE`. What stands behind the variable is not in the message: it may be the secret itself.
 */
export function parseSecret(value: string): SecretVariable {
  const [, variable = "", secret = "", key = ""] = /^([^=]*)=([^/]*)\/(.*)$/.exec(value) ?? [];
  if (VARIABLE.test(variable) && LABEL.test(secret) && SECRET_KEY.test(key)) return { variable, secret, key };
  const name = value.slice(0, Math.max(value.indexOf("="), 0));
  throw wrongOption(
    "secret",
    `${VARIABLE.test(name) ? name : ""}=...`,
    "expected <variable>=<Secret>/<key>: the name of a Secret in the namespace and a key in it, never the secret itself",
  );
}
