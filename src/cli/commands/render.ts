// `mcp-guard render`: the Kustomize overlay of one server.
import path from "node:path";
import { parseArgs } from "node:util";
import { approvalPlace, asksForApproval, secretVariable } from "../../deploy/approval-place.ts";
import {
  type GuardedServer,
  parseAudience,
  parseCollector,
  parseEndpoint,
  parseExternalHost,
  parseIssuer,
  parseLabel,
  parsePinnedImage,
  parsePort,
  parsePrincipal,
  parseRange,
  parseRoleArn,
  parseSecret,
  parseServerName,
  wrongOption,
} from "../../deploy/guarded-server.ts";
import { checkFolder, realFolder, writeFolder } from "../../deploy/output-folder.ts";
import { buildOverlay, effectivePolicy, OVERLAY_MARK } from "../../deploy/overlay.ts";
import {
  exchangesTokens,
  namedIssuers,
  namedTokenCluster,
  tokenCluster,
  tokenVariables,
} from "../../deploy/token-place.ts";
import { GuardError } from "../../error.ts";
import { Filter } from "../../policy/filter.ts";
import { projectPath } from "../../project.ts";
import { readFilter } from "../built-filter.ts";
import type { Command } from "../command.ts";
import { readPolicy } from "../policy-source.ts";

const USAGE = `usage: mcp-guard render --server NAME --namespace NAME --policy FILE --image IMAGE [options]

Writes a Kustomize overlay for one MCP server: all four layers of deploy/istio/base, with this server's values. Nothing is opened that is not named here.

  --server <name>          the Deployment, the Service and the label app
  --namespace <name>       its namespace
  --policy <file>          the guard's policy, as YAML or JSON, or a WasmPlugin or TrafficExtension that has one. With approval: {mode: required, page,
                           keys} the way to the approval service of deploy/istio/approval-service is opened, or to the one in approval.service.cluster
  --image <image>          the guard, registry/name@sha256:...; make oci-push prints it

  --server-image <image>   the server, registry/name@sha256:...
  --port <port>            where the server listens (8080)
  --path <path>            its MCP endpoint (/rpc)
  --principal <identity>   the one caller (cluster.local/ns/gateway/sa/ai-gateway)
  --service-account <name> the server's identity (<server>-sa)
  --role-arn <arn>         its role of AWS (IRSA)
  --sts <host=range>       where that role's credentials come from, such as sts.eu-west-1.amazonaws.com=10.0.0.20/32

  --token-service <host=range,..>  where authorization: exchange takes the callers' tokens, on port 443, with its addresses
  --issuer <issuer=keys>   who makes the callers' tokens, and the https link of its keys; once for each issuer of identity.jwt
  --audience <name>        what the callers' tokens are made for; once for each
  --secret <variable=secret/key>  a variable of the guard that the policy names, from a key of a Secret in the namespace; once for each

  --egress <host=range,..> a host on port 443 that the server may reach, with its addresses; once for each host
  --registry <range>       the addresses of the registry, which the proxy pulls the guard from
  --image-volume           the node pulls the guard instead (Kubernetes 1.35 and newer)
  --collector <name:port>  an OpenTelemetry collector for the records, <Service>.<namespace>:<port>

  --legacy                 clients of MCP revisions before 2026-07-28 too: GET and DELETE, HTTP+SSE
  --modern                 only clients of the revision 2026-07-28
  --waypoint               ambient mode: the guard in a waypoint instead of the sidecar
  --traffic-extension      Istio 1.30 and newer: a TrafficExtension instead of a WasmPlugin
  --out <folder>           where to (./<server>); a folder with other files in it is refused

Examples:
  mcp-guard render --server jira-mcp --namespace jira-tools --policy policy.yaml \\
    --image registry.example/team/mcp-guard@sha256:2f77... --egress jira.example=192.0.2.0/28 --registry 10.0.0.10/32
  kubectl kustomize jira-mcp | mcp-guard check -
`;

const DEFAULT_PRINCIPAL = "cluster.local/ns/gateway/sa/ai-gateway";
const HTTPS = 443;

export const render: Command = async (args, context) => {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean", short: "h" },
      server: { type: "string" },
      namespace: { type: "string" },
      policy: { type: "string" },
      image: { type: "string" },
      "server-image": { type: "string" },
      port: { type: "string", default: "8080" },
      path: { type: "string", default: "/rpc" },
      principal: { type: "string", default: DEFAULT_PRINCIPAL },
      "service-account": { type: "string" },
      "role-arn": { type: "string" },
      sts: { type: "string" },
      egress: { type: "string", multiple: true, default: [] },
      registry: { type: "string" },
      "image-volume": { type: "boolean", default: false },
      collector: { type: "string" },
      "token-service": { type: "string" },
      issuer: { type: "string", multiple: true, default: [] },
      audience: { type: "string", multiple: true, default: [] },
      secret: { type: "string", multiple: true, default: [] },
      legacy: { type: "boolean", default: false },
      modern: { type: "boolean", default: false },
      waypoint: { type: "boolean", default: false },
      "traffic-extension": { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const { server: serverName, namespace, policy: policyFile, image, ...options } = values;
  if (serverName === undefined || namespace === undefined || policyFile === undefined || image === undefined) {
    throw new GuardError(
      "ERR_USAGE",
      "--server, --namespace, --policy and --image are required; --help has an example",
    );
  }
  const server = parseServer(serverName, namespace, image, options);
  const out = realFolder(options.out ?? server.name);
  checkFolder(out, OVERLAY_MARK);

  const { value: policy } = await readPolicy(policyFile, undefined);
  checkTokens(server, policyFile, policy);
  const effective = effectivePolicy(server, policy);
  checkPolicy(await readFilter(), policyFile, effective);
  if (server.clients === "modern") checkForHeaders(policyFile, policy);

  const istio = relativePath(out, realFolder(projectPath("deploy", "istio")));
  const files = buildOverlay(server, policy, istio);
  writeFolder(out, files);

  const shown = path.relative("", out) || ".";
  for (const name of files.keys()) context.out(path.join(shown, name));
  for (const note of notesFor(server, policy)) context.warn(`note: ${note}`);
  context.out("");
  context.out(`kubectl kustomize ${shown} | mcp-guard check -`);
  return 0;
};

type Options = {
  "server-image"?: string | undefined;
  port: string;
  path: string;
  principal: string;
  "service-account"?: string | undefined;
  "role-arn"?: string | undefined;
  sts?: string | undefined;
  egress: string[];
  registry?: string | undefined;
  "image-volume": boolean;
  collector?: string | undefined;
  "token-service"?: string | undefined;
  issuer: string[];
  audience: string[];
  secret: string[];
  legacy: boolean;
  modern: boolean;
  waypoint: boolean;
  "traffic-extension": boolean;
};

function parseServer(serverName: string, namespace: string, image: string, options: Options): GuardedServer {
  const given = <T>(value: string | undefined, parse: (value: string) => T): T | undefined =>
    value === undefined ? undefined : parse(value);
  if (options.legacy && options.modern) {
    throw new GuardError("ERR_USAGE", "--legacy and --modern are about the same clients: use one of them, or neither");
  }
  if (options.registry !== undefined && options["image-volume"]) {
    throw new GuardError("ERR_USAGE", "--registry and --image-volume both say who pulls the guard: use one of them");
  }
  if (options.waypoint && options["image-volume"]) {
    throw new GuardError("ERR_USAGE", "--image-volume is for sidecars: a waypoint has no such volume, use --registry");
  }
  const name = parseServerName(serverName);
  const guardImage = parsePinnedImage("image", image);
  const sts = given(options.sts, (value) => parseExternalHost("sts", value));
  if (sts !== undefined && sts.cidrs.length > 1) {
    throw wrongOption("sts", options.sts ?? "", "expected one address range");
  }
  const egress = options.egress.map((value) => parseExternalHost("egress", value));
  const tokenService = given(options["token-service"], (value) => parseExternalHost("token-service", value));
  for (const [index, { host }] of egress.entries()) {
    const isTwice = egress.findIndex((other) => other.host === host) !== index || host === sts?.host;
    if (isTwice) throw wrongOption("egress", host, "this host is named twice");
    if (host === tokenService?.host) {
      throw wrongOption(
        "egress",
        host,
        "this is the token service: the way to it is the guard's, and not the server's",
      );
    }
  }
  return {
    name,
    namespace: parseLabel("namespace", namespace),
    serviceAccount: parseLabel("service-account", options["service-account"] ?? `${name}-sa`),
    serverImage: given(options["server-image"], (value) => parsePinnedImage("server-image", value)),
    guardImage,
    port: parsePort("port", options.port),
    path: parseEndpoint(options.path),
    principal: parsePrincipal(options.principal),
    egress,
    pull: options["image-volume"] ? "volume" : given(options.registry, (range) => pullFrom(range, guardImage)),
    roleArn: given(options["role-arn"], parseRoleArn),
    sts,
    collector: given(options.collector, parseCollector),
    tokenService,
    issuers: options.issuer.map(parseIssuer),
    audiences: options.audience.map(parseAudience),
    secrets: options.secret.map(parseSecret),
    clients: options.legacy ? "legacy" : options.modern ? "modern" : "default",
    isWaypoint: options.waypoint,
    isTrafficExtension: options["traffic-extension"],
  };
}

/** The registry's port stands in the image's name. */
function pullFrom(range: string, image: string): { cidr: string; port: number } {
  const port = /^[^/]*:(\d+)\//.exec(image)?.[1];
  return { cidr: parseRange("registry", range), port: port === undefined ? HTTPS : parsePort("image", port) };
}

/** What the options say about tokens and secrets, beside what the policy says. */
function checkTokens(server: GuardedServer, file: string, policy: object): void {
  const { tokenService, issuers, audiences, secrets } = server;
  const isExchange = exchangesTokens(policy);
  if (tokenService === undefined && (issuers.length > 0 || audiences.length > 0)) {
    throw new GuardError("ERR_USAGE", "--issuer and --audience belong to --token-service, which is missing");
  }
  if (tokenService !== undefined && !isExchange) {
    throw wrongOption(
      "token-service",
      tokenService.host,
      `${file} exchanges no tokens; expected authorization: exchange in it, and token_exchange`,
    );
  }
  if (isExchange && server.isWaypoint) {
    throw new GuardError(
      "ERR_USAGE",
      `--waypoint: ${file} exchanges tokens, which needs the guard in the sidecar: Istio makes a waypoint's pods, and nothing gives them the guard's secret`,
    );
  }
  if (issuers.length > 0 && audiences.length === 0) {
    throw new GuardError(
      "ERR_USAGE",
      "--issuer needs --audience: without one a token that the issuer has made for any other application is exchanged too",
    );
  }
  const named = namedTokenCluster(policy);
  if (tokenService !== undefined && named !== undefined && named !== tokenCluster(tokenService.host)) {
    throw wrongOption(
      "token-service",
      tokenService.host,
      `token_exchange.service.cluster of ${file} is another place; expected ${tokenCluster(tokenService.host)}, or no cluster`,
    );
  }
  const variables = [secretVariable(policy), ...tokenVariables(policy)];
  for (const [index, { variable }] of secrets.entries()) {
    if (secrets.findIndex((other) => other.variable === variable) !== index)
      throw wrongOption("secret", variable, "this variable is named twice");
    if (!variables.includes(variable))
      throw wrongOption("secret", variable, `${file} names no such variable (secret_env, key_env, token_env)`);
  }
  if (secrets.length > 0 && server.isWaypoint) {
    throw new GuardError(
      "ERR_USAGE",
      "--secret is for sidecars: Istio makes a waypoint's pods, and takes no variables for them",
    );
  }
}

/** The filter has the last word about a policy: what it refuses would answer every request with an error. */
function checkPolicy(module: Uint8Array, file: string, policy: object): void {
  const refusal = new Filter(module).refusal(JSON.stringify(policy));
  if (refusal === undefined) return;
  throw new GuardError("ERR_POLICY", `--policy ${file}: the filter refuses it: ${refusal.place}: ${refusal.words}`);
}

/** Names that a rule about headers cannot say: Istio takes a star at an end for a pattern, and wants one name at least. */
function checkForHeaders(file: string, policy: object): void {
  const { tool_allowlist: tools = [] } = policy as { tool_allowlist?: readonly string[] };
  const pattern = tools.find((tool) => tool.startsWith("*") || tool.endsWith("*"));
  if (tools.length > 0 && pattern === undefined) return;
  const why =
    pattern === undefined ? "its tool_allowlist is empty" : `a rule about headers takes "${pattern}" for a pattern`;
  throw new GuardError(
    "ERR_POLICY",
    `--policy ${file}: with --modern the list is compared with Mcp-Name too, and ${why}`,
  );
}

/** What is not wrong, but maybe not meant. */
function notesFor(server: GuardedServer, policy: object): string[] {
  const { identity } = policy as {
    identity?: { require_human?: boolean; header?: { trusted_gateways: readonly string[] } };
  };
  const notes: string[] = [];
  if (identity?.require_human !== true) {
    notes.push("the policy has no identity.require_human: calls need no human's name, and cannot be traced to one");
  }
  const gateways = identity?.header?.trusted_gateways;
  if (gateways !== undefined && !gateways.includes(`spiffe://${server.principal}`)) {
    notes.push(`identity.header.trusted_gateways does not name the caller, spiffe://${server.principal}`);
  }
  if (asksForApproval(policy) && approvalPlace(policy) === undefined) {
    notes.push(
      "approval.service.cluster is no Service of the cluster (outbound|<port>||<Service>.<namespace>.svc.<domain>): nothing opens the way to it",
    );
  }
  const isHanded = (variable: unknown): boolean => server.secrets.some((secret) => secret.variable === variable);
  const ofApproval = secretVariable(policy);
  if (ofApproval !== undefined && !isHanded(ofApproval)) {
    notes.push(
      "approval.service.secret_env: nothing hands the variable to the filter; --secret does, and in the mesh none is needed",
    );
  }
  for (const variable of tokenVariables(policy)) {
    if (!isHanded(variable))
      notes.push(
        `token_exchange: nothing hands ${variable} to the filter, which refuses the policy then; --secret does`,
      );
  }
  if (exchangesTokens(policy)) notes.push(...tokenNotes(server, policy));
  if (server.pull === undefined) {
    notes.push(
      "neither --registry nor --image-volume: nothing opens the way to the guard's image; without it requests get 403",
    );
  }
  if (server.serverImage === undefined) {
    notes.push("no --server-image: the Deployment names an image that there is not");
  }
  if (server.roleArn !== undefined && server.sts === undefined) {
    notes.push("--role-arn without --sts: nothing opens the way to the role's credentials");
  }
  return notes;
}

/** The same about a guard that exchanges tokens. */
function tokenNotes({ tokenService, issuers }: GuardedServer, policy: object): string[] {
  if (tokenService === undefined) {
    return [
      "authorization: exchange without --token-service: nothing opens the way to the token service, and no token of a caller reaches the guard",
    ];
  }
  const known = new Set<unknown>(issuers.map(({ issuer }) => issuer));
  const named = namedIssuers(policy);
  return [
    ...named
      .filter((issuer) => !known.has(issuer))
      .map(
        (issuer) => `identity.jwt: no --issuer for ${String(issuer)}: its tokens are not validated, and name nobody`,
      ),
    ...issuers
      .filter(({ issuer }) => !named.includes(issuer))
      .map(({ issuer }) => `--issuer ${issuer}: identity.jwt does not have it: its tokens name nobody`),
    "the gateway has to leave the token in the request: deploy/istio/gateway-on-behalf-of",
  ];
}

/** As kustomize wants it: relative, and with slashes. */
function relativePath(from: string, to: string): string {
  return path.relative(from, to).split(path.sep).join("/");
}
