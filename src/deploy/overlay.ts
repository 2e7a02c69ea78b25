// The Kustomize overlay of one server: what differs from deploy/istio/base, and nothing else.
import path from "node:path";
import { Scalar, stringify } from "yaml";
import {
  APPROVAL_PLACE,
  type ApprovalPlace,
  approvalPaths,
  approvalPlace,
  withApprovalPlace,
} from "./approval-place.ts";
import type { GuardedServer } from "./guarded-server.ts";
import { withTokenPlace } from "./token-place.ts";

/** The first line of each file, by which a later run knows its own. */
export const OVERLAY_MARK = "# Written by mcp-guard render.";
/** The folder of the overlay's own component. */
const SERVER = "server";
/** The component for guards that exchange tokens. */
const ON_BEHALF_OF = "on-behalf-of";
/** What a guard may ask the approval service, in mcp-approval-guard. */
const GUARD_PATHS = "/spec/rules/0/to/0/operation/paths";
/** A value that the overlay's own component takes out again. */
const NONE = "none";
/** No image has this digest: a pod of it never starts. */
const NO_IMAGE = `internal-registry.io/not-given@sha256:${"0".repeat(64)}`;

/**
 * The files of the overlay, by their path in its folder.
 * @param policy the policy as the filter gets it, but for the collector's place, which a component puts in.
 * @param istio the way from the overlay's folder to deploy/istio.
 */
export function buildOverlay(server: GuardedServer, policy: object, istio: string): ReadonlyMap<string, string> {
  const place = (...names: string[]) => path.posix.join(istio, ...names);
  const component = (name: string) => place("components", name);
  const approval = approvalPlace(policy);
  return new Map([
    [
      "kustomization.yaml",
      file(
        [
          `${server.name} in ${server.namespace}, on top of deploy/istio/base. Build it with \`kubectl kustomize\`, check the output with`,
          "`mcp-guard check -`, apply it with `kubectl apply -k`. The next run replaces this folder: change its options instead.",
        ],
        {
          apiVersion: "kustomize.config.k8s.io/v1beta1",
          kind: "Kustomization",
          resources: [place("base"), "values.yaml"],
          // In this order: each builds on what those in front of it have left.
          components: componentsOf(server).map((name) => (name === SERVER ? SERVER : component(name))),
        },
      ),
    ],
    ["values.yaml", file(["What deploy/istio/components put where it belongs."], valuesOf(server, approval))],
    [
      `${SERVER}/kustomization.yaml`,
      file(["The policy, and the hosts that the server and its guard may reach."], {
        apiVersion: "kustomize.config.k8s.io/v1alpha1",
        kind: "Component",
        patches: [
          { target: { kind: "WasmPlugin", name: "mcp-tool-guard" }, path: "policy.yaml" },
          ...egressPatches(server, approval),
          ...(approval === undefined
            ? withoutApproval()
            : [patch("AuthorizationPolicy", "mcp-approval-guard", GUARD_PATHS, approvalPaths(policy))]),
          ...(server.roleArn === undefined ? [withoutRole()] : []),
          ...secretPatches(server),
          ...tokenPatches(server),
        ],
      }),
    ],
    [
      `${SERVER}/policy.yaml`,
      file(
        ["The guard's policy (docs/policy.md), in the place of the base's."],
        [{ op: "replace", path: "/spec/pluginConfig", value: placedPolicy(server, policy) }],
      ),
    ],
  ]);
}

/** The policy with the places of the approval service and of the token service in it. */
function placedPolicy({ name, tokenService }: GuardedServer, policy: object): object {
  return withTokenPlace(tokenService?.host, withApprovalPlace(name, policy));
}

/** The same with the place of the collector, which a component puts in: as it will reach the filter. */
export function effectivePolicy(server: GuardedServer, given: object): object {
  const { collector } = server;
  const policy = placedPolicy(server, given);
  if (collector === undefined) return policy;
  const { audit = {} } = policy as { audit?: { otlp?: object } };
  const otlp = {
    ...audit.otlp,
    cluster: `outbound|${collector.port}||${collector.host}`,
    authority: `${collector.host}:${collector.port}`,
  };
  return { ...policy, audit: { ...audit, otlp } };
}

function componentsOf(server: GuardedServer): string[] {
  const { pull, clients, isWaypoint } = server;
  return [
    "values",
    // In front of the overlay's own component, which puts this server's policy, issuers and secrets in the place of its own.
    server.tokenService === undefined ? [] : ON_BEHALF_OF,
    SERVER,
    pull === "volume" ? "image-volume" : pull === undefined ? [] : "registry",
    server.sts === undefined ? [] : "aws",
    server.collector === undefined ? [] : "collector",
    clients === "default" ? [] : clients,
    server.isTrafficExtension ? "traffic-extension" : [],
    isWaypoint ? "waypoint" : [],
    isWaypoint && clients === "legacy" ? "waypoint-legacy" : [],
    "own-names",
  ].flat();
}

function valuesOf(server: GuardedServer, approval: ApprovalPlace | undefined): object {
  const { pull, sts, collector } = server;
  // Those of the approval service are taken out again by the overlay's own component when nobody is asked.
  const asked = approval ?? APPROVAL_PLACE;
  const data: Record<string, string> = {
    namespace: server.namespace,
    server: server.name,
    serviceAccount: server.serviceAccount,
    serverImage: server.serverImage ?? NO_IMAGE,
    port: String(server.port),
    path: server.path,
    gatewayPrincipal: server.principal,
    guardUrl: `oci://${server.guardImage}`,
    // Taken out again by the overlay's own component when there is none.
    roleArn: server.roleArn ?? NONE,
    approvalHost: `${asked.namespace}/${asked.host}`,
    approvalPort: String(asked.port),
    approvalApp: asked.app,
  };
  if (pull !== undefined && pull !== "volume") {
    data.registryCidr = pull.cidr;
    data.registryPort = String(pull.port);
  }
  if (sts !== undefined) {
    data.stsHost = sts.host;
    data.stsCidr = sts.cidrs[0] ?? "";
  }
  if (collector !== undefined) {
    data.collectorHost = `${collector.namespace}/${collector.host}`;
    data.collectorPort = String(collector.port);
    data.collectorApp = collector.app;
  }
  if (server.tokenService !== undefined) {
    data.tokenHost = server.tokenService.host;
    // All of these stand in lists, which the overlay's own component writes whole.
    data.tokenCidr = server.tokenService.cidrs[0] ?? "";
    data.tokenIssuer = server.issuers[0]?.issuer ?? NONE;
    data.tokenKeys = server.issuers[0]?.jwksUri ?? NONE;
    data.tokenAudience = server.audiences[0] ?? NONE;
    data.tokenSecret = server.secrets[0]?.secret ?? NONE;
  }
  if (server.clients === "legacy") {
    data.ssePath = "/sse";
    data.messagePath = "/messages";
  }
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "mcp-guard-values", annotations: { "config.kubernetes.io/local-config": "true" } },
    data,
  };
}

/** The guard's secrets, by reference: from the Secret into the proxy, and from the proxy into the filter. */
function secretPatches({ secrets, tokenService }: GuardedServer): object[] {
  const isProxyThere = tokenService !== undefined;
  if (secrets.length === 0 && !isProxyThere) return [];
  const handed = secrets.map(({ variable }) => ({ name: variable, valueFrom: "HOST" }));
  const env = secrets.map(({ variable, secret, key }) => ({
    name: variable,
    valueFrom: { secretKeyRef: { name: secret, key } },
  }));
  // The proxy's container is the second one where the component for tokens has added it. Injection completes it.
  const change = isProxyThere
    ? { op: "replace", path: "/spec/template/spec/containers/1/env", value: env }
    : { op: "add", path: "/spec/template/spec/containers/-", value: { name: "istio-proxy", image: "auto", env } };
  return [
    patch("WasmPlugin", "mcp-tool-guard", "/spec/vmConfig/env", handed),
    { target: { kind: "Deployment" }, patch: block([change]) },
  ];
}

/** Who names the callers, and where their tokens are exchanged. */
function tokenPatches({ tokenService, issuers, audiences }: GuardedServer): object[] {
  if (tokenService === undefined) return [];
  const blocks = tokenService.cidrs.map((cidr) => ({ ipBlock: { cidr } }));
  const rules = issuers.map(({ issuer, jwksUri }) => ({
    issuer,
    audiences,
    jwksUri,
    fromHeaders: [{ name: "Authorization", prefix: "Bearer " }],
    forwardOriginalToken: true,
  }));
  return [
    patch("NetworkPolicy", "mcp-token-service", "/spec/egress/0/to", blocks),
    rules.length === 0
      ? removal("security.istio.io/v1", "RequestAuthentication", "mcp-callers")
      : patch("RequestAuthentication", "mcp-callers", "/spec/jwtRules", rules),
  ];
}

function egressPatches({ egress, tokenService }: GuardedServer, approval: ApprovalPlace | undefined): object[] {
  const hosts = egress.map(({ host }) => host);
  const cidrs = [...new Set(egress.flatMap((entry) => entry.cidrs))];
  const asked = approval === undefined ? [] : [`${approval.namespace}/${approval.host}`];
  const tokens = tokenService === undefined ? [] : [`./${tokenService.host}`];
  const visible = ["istio-system/*", ...asked, ...tokens, ...hosts.map((host) => `./${host}`)];
  const sidecar = patch("Sidecar", "mcp-egress-lockdown", "/spec/egress/0/hosts", visible);
  if (hosts.length === 0) {
    return [
      sidecar,
      removal("networking.istio.io/v1", "ServiceEntry", "external-api-allowlist"),
      removal("networking.k8s.io/v1", "NetworkPolicy", "mcp-external"),
    ];
  }
  const blocks = cidrs.map((cidr) => ({ ipBlock: { cidr } }));
  return [
    sidecar,
    patch("ServiceEntry", "external-api-allowlist", "/spec/hosts", hosts),
    patch("NetworkPolicy", "mcp-external", "/spec/egress/0/to", blocks),
  ];
}

/** Nothing leads to the approval service. */
function withoutApproval(): object[] {
  return [
    removal("networking.k8s.io/v1", "NetworkPolicy", "mcp-approval"),
    removal("networking.k8s.io/v1", "NetworkPolicy", "mcp-approval-guard", APPROVAL_PLACE.namespace),
    removal("security.istio.io/v1", "AuthorizationPolicy", "mcp-approval-guard", APPROVAL_PLACE.namespace),
  ];
}

function withoutRole(): object {
  return {
    target: { kind: "ServiceAccount" },
    patch: block([{ op: "remove", path: "/metadata/annotations" }]),
  };
}

function patch(kind: string, name: string, place: string, value: unknown): object {
  return { target: { kind, name }, patch: block([{ op: "replace", path: place, value }]) };
}

function removal(apiVersion: string, kind: string, name: string, namespace = "ai-agents"): object {
  return {
    patch: block({ apiVersion, kind, metadata: { name, namespace }, $patch: "delete" }),
  };
}

/** A patch in a text of its own, line by line. */
function block(content: unknown): Scalar<string> {
  const text = new Scalar(yamlOf(content));
  text.type = "BLOCK_LITERAL";
  return text;
}

function file(notes: readonly string[], content: unknown): string {
  return [OVERLAY_MARK, ...notes.map((note) => `# ${note}`), yamlOf(content)].join("\n");
}

/** Every text in quotation marks: kustomize takes `on`, `1e3` and `0o7` for something else without, and a name may be any of them. */
function yamlOf(content: unknown): string {
  return stringify(content, {
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "PLAIN",
    // Long lines stay whole, and what stands in two places is written out in both.
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
}
