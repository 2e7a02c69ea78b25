// Layer 2: transport and caller. mTLS is required, nothing is allowed that is not named, and what is allowed names who, where and how.
import { get, isRecord, type KubeObject, list, text, texts } from "../kube-object.ts";
import { type Hit, hit, type Rule } from "../rule.ts";
import { hasTargets, type Server, selectsServer, targetsOf, type World } from "../world.ts";
import { networkPolicies, wideness } from "./egress.ts";

/** The methods of the MCP transports: POST, and GET and DELETE of the older revisions. */
const MCP_METHODS = new Set(["POST", "GET", "DELETE"]);

export const callerRules: readonly Rule[] = [
  {
    id: "mtls-not-strict",
    questions: ["caller"],
    why: "Whoever reaches the pod may speak plain text, and has no name then.",
    mend: "Set mtls to mode: STRICT in the PeerAuthentication named default of the namespace, and in each one that selects the workload.",
    *check(server, world) {
      const { mode, from } = mtlsOf(server, world);
      if (mode === "STRICT") return;
      const found =
        from === undefined
          ? "found no PeerAuthentication that sets a mode, which stands for PERMISSIVE"
          : `found ${mode}`;
      yield hit(from ?? server.object, from === undefined ? [] : ["spec", "mtls", "mode"], `${found}, expected STRICT`);
    },
  },
  {
    id: "mtls-port-exception",
    questions: ["caller"],
    why: "On this port plain text is taken, whatever the mode of the workload is.",
    mend: "Remove portLevelMtls, or set it to STRICT.",
    *check(server, world) {
      for (const object of peerAuthentications(server, world)) {
        const levels = get(object.value, "spec", "portLevelMtls");
        for (const [port, level] of Object.entries(isRecord(levels) ? levels : {})) {
          const mode = text(get(level, "mode"));
          if (mode === "PERMISSIVE" || mode === "DISABLE")
            yield hit(object, ["spec", "portLevelMtls", port], `found ${mode} for port ${port}, expected STRICT`);
        }
      }
    },
  },
  {
    id: "no-allow-nothing",
    questions: ["caller"],
    why: "An ALLOW policy refuses others only for the workloads that it selects. A label that is mistyped opens the server to everybody.",
    mend: "Add an AuthorizationPolicy with an empty spec to the namespace.",
    *check({ object }, { objects, rootNamespace }) {
      const isThere = objects.some(
        (policy) =>
          isAllowing(policy) &&
          rulesOf(policy).length === 0 &&
          isForAll(policy) &&
          (policy.namespace === object.namespace || policy.namespace === rootNamespace),
      );
      if (!isThere)
        yield hit(
          object,
          ["metadata", "namespace"],
          `found no AuthorizationPolicy that allows nothing (an empty spec) in the namespace ${object.namespace}`,
        );
    },
  },
  ...allowRules([
    {
      id: "allow-without-from",
      why: "A rule without from lets everybody in, without mTLS too.",
      mend: "Name the caller: from.source.principals or serviceAccounts.",
      *check({ policy, rule, path }) {
        if (list(get(rule, "from")).length === 0)
          yield hit(
            policy,
            [...path, "from"],
            "found a rule without from, expected one with principals or serviceAccounts",
          );
      },
    },
    {
      id: "allow-wide-principal",
      why: "A caller that is not named by its certificate, or only in part, may be anybody's.",
      mend: "Name each caller in full: <trust domain>/ns/<namespace>/sa/<account> in principals, or <namespace>/<account> in serviceAccounts.",
      *check({ policy, rule, path }) {
        for (const [index, from] of list(get(rule, "from")).entries()) {
          const source = get(from, "source");
          const names = [...texts(get(source, "principals")), ...texts(get(source, "serviceAccounts"))];
          const wide = names.filter((name) => name.includes("*"));
          if (names.length > 0 && wide.length === 0) continue;
          yield hit(
            policy,
            [...path, "from", index, "source"],
            `found ${wide.join(", ") || "no principals and no serviceAccounts"}, expected callers by name`,
          );
        }
      },
    },
    {
      id: "principal-with-scheme",
      why: "Istio compares principals without spiffe://. One with it never matches.",
      mend: "Remove spiffe://.",
      *check({ policy, rule, path }) {
        for (const [index, from] of list(get(rule, "from")).entries()) {
          for (const [at, name] of texts(get(from, "source", "principals")).entries()) {
            if (name.startsWith("spiffe://"))
              yield hit(
                policy,
                [...path, "from", index, "source", "principals", at],
                `found ${name}, expected it without spiffe://`,
              );
          }
        }
      },
    },
    {
      id: "allow-without-operation",
      why: "The caller may use every port, method and path of the pod.",
      mend: "Add to.operation with ports, methods and paths to the rule.",
      *check({ policy, rule, path, isTransport }) {
        if (!isTransport && list(get(rule, "to")).length === 0)
          yield hit(policy, [...path, "to"], "found a rule without to, expected one with ports, methods and paths");
      },
    },
    ...operationRules([
      {
        id: "allow-without-ports",
        why: "The caller may use every port of the pod, also one without a guard's protocol.",
        mend: "Name the port of the MCP server in ports.",
        *check({ operation, operationPath, policy, isWaypoint }) {
          // A waypoint has the ports of the Service alone.
          if (!isWaypoint && texts(get(operation, "ports")).length === 0)
            yield hit(policy, operationPath, "found an operation without ports, expected the port of the MCP server");
        },
      },
      {
        id: "allow-without-methods",
        why: "The caller may use every HTTP method.",
        mend: "Name the methods: POST, and GET and DELETE while there are clients of older MCP revisions.",
        *check({ operation, operationPath, policy }) {
          const methods = texts(get(operation, "methods"));
          const strange = methods.filter((method) => !MCP_METHODS.has(method));
          if (methods.length === 0)
            yield hit(policy, operationPath, "found an operation without methods, expected POST");
          else if (strange.length > 0)
            yield hit(
              policy,
              [...operationPath, "methods"],
              `found ${strange.join(", ")}, expected POST, GET or DELETE`,
            );
        },
      },
      {
        id: "allow-without-paths",
        why: "The caller may use every path of the server, those that are no MCP as well.",
        mend: "Name the paths of the MCP endpoint, without patterns.",
        *check({ operation, operationPath, policy }) {
          const paths = texts(get(operation, "paths"));
          const wide = paths.filter((path) => /[*{]/.test(path));
          if (paths.length === 0)
            yield hit(policy, operationPath, "found an operation without paths, expected those of the MCP endpoint");
          else if (wide.length > 0)
            yield hit(policy, [...operationPath, "paths"], `found ${wide.join(", ")}, expected whole paths`);
        },
      },
    ]),
  ]),
  {
    id: "service-protocol",
    questions: ["caller", "schema"],
    why: "On a port that Istio takes for TCP there is no guard, and rules about methods and paths never match.",
    mend: "Set appProtocol: http, or let the name of the port begin with http.",
    *check({ services }) {
      for (const service of services) {
        for (const [index, port] of list(get(service.value, "spec", "ports")).entries()) {
          const protocol = text(get(port, "appProtocol")) || text(get(port, "name"));
          const isHttp = /^(?:http2?|grpc(?:-web)?|kubernetes\.io\/h2c)(?:-|$)/i.test(protocol);
          if (!isHttp)
            yield hit(
              service,
              ["spec", "ports", index],
              `found ${protocol === "" ? "neither appProtocol nor a name" : protocol} for port ${get(port, "port")}, expected appProtocol: http`,
            );
        }
      }
    },
  },
  {
    id: "ingress-policy-missing",
    questions: ["caller"],
    why: "Whatever in the cluster reaches the pod's address can try ports that no proxy stands in front of.",
    mend: "Add a NetworkPolicy with policyTypes [Ingress] that selects the workload and lets in the gateway alone.",
    *check(server, world) {
      if (networkPolicies(server, world, "Ingress").length === 0)
        yield hit(server.object, [], "found no NetworkPolicy for Ingress that selects the workload");
    },
  },
  {
    id: "ingress-policy-open",
    questions: ["caller"],
    why: "NetworkPolicies add up: one rule that lets everybody in undoes all others.",
    mend: "Name who may come: pods, a namespace, or address ranges.",
    *check(server, world) {
      for (const policy of networkPolicies(server, world, "Ingress")) {
        for (const [index, rule] of list(get(policy.value, "spec", "ingress")).entries()) {
          const wide = wideness(rule, "from");
          if (wide !== undefined) yield hit(policy, ["spec", "ingress", index, "from"], wide);
        }
      }
    },
  },
  {
    id: "waypoint-bypass",
    questions: ["caller", "schema"],
    why: "Whoever speaks to the pod's own address goes around the waypoint, and around the guard in it.",
    mend: "Add an AuthorizationPolicy that selects the pods and allows the service account of the waypoint alone.",
    *check(server, world) {
      if (server.waypoint === undefined || !server.guards.some(({ object }) => hasTargets(object))) return;
      if (server.guards.some(({ object }) => !hasTargets(object))) return;
      const { name, namespace } = server.waypoint;
      const expected = [`${namespace}/${name}`, `/ns/${namespace}/sa/${name}`];
      const allows = allowsOf(server, world).filter(({ policy }) => !hasTargets(policy));
      const names = allows.flatMap(({ policy, rule }) =>
        list(get(rule, "from")).flatMap((from) => namesOf(from, policy)),
      );
      const others = names.filter((principal) => !expected.some((end) => principal === end || principal.endsWith(end)));
      if (names.length > 0 && others.length === 0) return;
      yield hit(
        allows[0]?.policy ?? server.object,
        [],
        `found ${others.join(", ") || "no policy"} for the pods themselves, expected the account ${namespace}/${name} of the waypoint alone`,
      );
    },
  },
];

/** One rule of an ALLOW policy that holds for a server. */
interface Allow {
  policy: KubeObject;
  rule: unknown;
  path: readonly (string | number)[];
  /** Whether the policy is enforced by the waypoint. */
  isWaypoint: boolean;
  /** Whether it is enforced by ztunnel, which knows nothing of methods and paths. */
  isTransport: boolean;
}

interface AllowRule extends Pick<Rule, "id" | "why" | "mend"> {
  check(allow: Allow): Iterable<Hit>;
}

function allowRules(rules: readonly AllowRule[]): Rule[] {
  return rules.map(({ check, ...rule }) => ({
    ...rule,
    questions: ["caller"],
    *check(server: Server, world: World) {
      for (const allow of allowsOf(server, world)) yield* check(allow);
    },
  }));
}

interface OperationRule extends Pick<Rule, "id" | "why" | "mend"> {
  check(allow: Allow & { operation: unknown; operationPath: (string | number)[] }): Iterable<Hit>;
}

function operationRules(rules: readonly OperationRule[]): AllowRule[] {
  return rules.map(({ check, ...rule }) => ({
    ...rule,
    *check(allow: Allow) {
      if (allow.isTransport) return;
      for (const [index, to] of list(get(allow.rule, "to")).entries()) {
        yield* check({
          ...allow,
          operation: get(to, "operation"),
          operationPath: [...allow.path, "to", index, "operation"],
        });
      }
    },
  }));
}

function allowsOf(server: Server, { objects, rootNamespace }: World): Allow[] {
  const isTransport = server.isAmbient;
  return objects
    .filter((policy) => isAllowing(policy) && selectsServer(policy, server, rootNamespace))
    .flatMap((policy) =>
      rulesOf(policy).map((rule, index) => ({
        policy,
        rule,
        path: ["spec", "rules", index],
        isWaypoint: hasTargets(policy),
        isTransport: isTransport && !hasTargets(policy),
      })),
    );
}

/** Whom a `from` names; an account without a namespace is one of the policy's. */
export function namesOf(from: unknown, { namespace }: KubeObject): string[] {
  const accounts = texts(get(from, "source", "serviceAccounts"));
  return [
    ...texts(get(from, "source", "principals")),
    ...accounts.map((account) => (account.includes("/") ? account : `${namespace}/${account}`)),
  ];
}

/** Whether a policy is one that allows. */
export function isAllowing({ kind, apiVersion, value }: KubeObject): boolean {
  if (kind !== "AuthorizationPolicy" || !apiVersion.startsWith("security.istio.io/")) return false;
  const action = get(value, "spec", "action");
  return action === undefined || action === "ALLOW";
}

export function rulesOf({ value }: KubeObject): readonly unknown[] {
  return list(get(value, "spec", "rules"));
}

function isForAll(policy: KubeObject): boolean {
  const labels = get(policy.value, "spec", "selector", "matchLabels");
  return targetsOf(policy).length === 0 && Object.keys(isRecord(labels) ? labels : {}).length === 0;
}

/** Those that hold for a server, its own first, then the namespace's, then the mesh's. */
function peerAuthentications(server: Server, { objects, rootNamespace }: World): KubeObject[] {
  const all = objects.filter(
    (object) => object.kind === "PeerAuthentication" && selectsServer(object, server, rootNamespace),
  );
  const rank = (object: KubeObject): number => {
    if (!isForAll(object)) return 0;
    return object.namespace === server.object.namespace ? 1 : 2;
  };
  return all.sort((a, b) => rank(a) - rank(b));
}

/** The mode in force, and who sets it. Several of a workload are Istio's to choose from: then the weakest counts. */
function mtlsOf(server: Server, world: World): { mode: string; from: KubeObject | undefined } {
  const all = peerAuthentications(server, world).map((object) => ({
    object,
    mode: text(get(object.value, "spec", "mtls", "mode")),
  }));
  const set = all.filter(({ mode }) => mode !== "" && mode !== "UNSET");
  const own = set.filter(({ object }) => !isForAll(object));
  const weakest = own.find(({ mode }) => mode !== "STRICT") ?? set[0];
  return { mode: weakest?.mode ?? "PERMISSIVE", from: weakest?.object };
}
