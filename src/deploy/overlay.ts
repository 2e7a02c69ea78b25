// The Kustomize overlay of one server: what differs from deploy/istio/base, and nothing else.
import path from "node:path";
import { Scalar, stringify } from "yaml";
import type { GuardedServer } from "./guarded-server.ts";

/** The first line of each file, by which a later run knows its own. */
export const OVERLAY_MARK = "# Written by mcp-guard render.";
/** The folder of the overlay's own component. */
const SERVER = "server";
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
          namespace: server.namespace,
          resources: [place("base"), "values.yaml"],
          // In this order: each builds on what those in front of it have left.
          components: componentsOf(server).map((name) => (name === SERVER ? SERVER : component(name))),
        },
      ),
    ],
    ["values.yaml", file(["What deploy/istio/components put where it belongs."], valuesOf(server))],
    [
      `${SERVER}/kustomization.yaml`,
      file(["The policy, and the hosts that the server may reach."], {
        apiVersion: "kustomize.config.k8s.io/v1alpha1",
        kind: "Component",
        patches: [
          { target: { kind: "WasmPlugin", name: "mcp-tool-guard" }, path: "policy.yaml" },
          ...egressPatches(server),
          ...(server.roleArn === undefined ? [withoutRole()] : []),
        ],
      }),
    ],
    [
      `${SERVER}/policy.yaml`,
      file(
        ["The guard's policy (docs/policy.md), in the place of the base's."],
        [{ op: "replace", path: "/spec/pluginConfig", value: policy }],
      ),
    ],
  ]);
}

/** The policy with the collector's place in it, as it will reach the filter. */
export function effectivePolicy(server: GuardedServer, policy: object): object {
  const { collector } = server;
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

function valuesOf(server: GuardedServer): object {
  const { pull, sts, collector } = server;
  const data: Record<string, string> = {
    server: server.name,
    serviceAccount: server.serviceAccount,
    serverImage: server.serverImage ?? NO_IMAGE,
    port: String(server.port),
    path: server.path,
    gatewayPrincipal: server.principal,
    guardUrl: `oci://${server.guardImage}`,
    // Taken out again by the overlay's own component when there is none.
    roleArn: server.roleArn ?? "none",
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

function egressPatches({ egress }: GuardedServer): object[] {
  const hosts = egress.map(({ host }) => host);
  const cidrs = [...new Set(egress.flatMap((entry) => entry.cidrs))];
  const visible = ["istio-system/*", ...hosts.map((host) => `./${host}`)];
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

function withoutRole(): object {
  return {
    target: { kind: "ServiceAccount" },
    patch: block([{ op: "remove", path: "/metadata/annotations" }]),
  };
}

function patch(kind: string, name: string, place: string, value: unknown): object {
  return { target: { kind, name }, patch: block([{ op: "replace", path: place, value }]) };
}

function removal(apiVersion: string, kind: string, name: string): object {
  return {
    patch: block({ apiVersion, kind, metadata: { name, namespace: "ai-agents" }, $patch: "delete" }),
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
