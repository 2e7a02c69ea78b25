// Point 4, at the other end: the service that a guard asks for approvals. Its port for guards has to be open to guards and to nobody else, its pages to the
// gateway that people come in by, and itself it has to be held like the servers: whoever speaks on the port for guards is believed.
import { placeOfCluster } from "../../deploy/approval-place.ts";
import { type Plugin, policyPath } from "../guard.ts";
import { get, type KubeObject, list, objectName, record, text, texts } from "../kube-object.ts";
import { type Hit, hit, isUnanswered, type Rule } from "../rule.ts";
import { isEmptySelector, matchesLabels, matchesSelector } from "../selector.ts";
import type { Workload } from "../workload.ts";
import { hasTargets, joined, type Server, selectsServer, type World } from "../world.ts";
import type { Path } from "../yaml-text.ts";
import { callerRules, isAllowing, namesOf, rulesOf } from "./caller.ts";
import { egressRules, isVisible, networkPolicies, sidecarOf, wideness } from "./egress.ts";
import { identityRules } from "./identity.ts";
import { isInjected, schemaRules } from "./schema.ts";

/** The rules about servers that hold for the service too, in the order of their lists. */
export const HELD: ReadonlySet<string> = new Set([
  "injection-off",
  "namespace-missing",
  "envoy-filter",
  "agentgateway",
  ...identityRules.map(({ id }) => id),
  "sidecar-missing",
  "sidecar-not-registry-only",
  "sidecar-wide-hosts",
  "service-entry-exported",
  "service-entry-wildcard",
  "service-entry-resolution",
  "network-policy-missing",
  "network-policy-open",
  "traffic-excluded",
  "mtls-not-strict",
  "mtls-port-exception",
  "no-allow-nothing",
  "service-protocol",
  "ingress-policy-missing",
  "ingress-policy-open",
]);

export const approvalServiceRules: readonly Rule[] = [
  {
    id: "approval-service-missing",
    questions: ["approval"],
    why: "Whoever answers there decides about destructive calls, and it is not among what was handed in. When nobody answers, such calls are refused.",
    mend: "Hand in the manifests of the service, or name its Service and the port for guards in approval.service.cluster.",
    *check({ guards }, world) {
      for (const guard of guards) {
        if (!isAsking(guard)) continue;
        const found = missing(guard, world);
        if (found !== undefined) yield hit(guard.object, policyPath(guard, "approval", "service", "cluster"), found);
      }
    },
  },
  {
    id: "approval-service-hidden",
    questions: ["approval"],
    why: "The guard asks through the server's own proxy, which knows no service that its Sidecar does not list: every call that needs an approval is refused.",
    mend: "Add <namespace>/<host of the service> to the hosts of the Sidecar.",
    *check(server, world) {
      const sidecar = sidecarOf(server, world);
      if (sidecar === undefined || server.isAmbient) return;
      for (const { guard, service, host } of approversOf(server, world)) {
        if (hasTargets(guard.object) || isVisible(sidecar, service.namespace, host)) continue;
        yield hit(
          sidecar,
          ["spec", "egress"],
          `found no ${service.namespace}/${host} among the hosts, which the guard asks`,
        );
      }
    },
  },
  {
    id: "approval-filter-shut",
    questions: ["approval"],
    why: "The service does not let the guard ask: every call that needs an approval is refused.",
    mend: "Add an ALLOW policy in the service's namespace that names the guard's account and the port for guards.",
    *check(server, world) {
      for (const approver of approversOf(server, world)) {
        const allows = allowsOf(approver, world, approver.filterPort);
        const own = accountOfGuard(approver.guard, server);
        if (allows.length === 0 && !isLocked(approver, world)) continue;
        if (allows.some(({ callers }) => callers === undefined || callers.some((caller) => isAccount(caller, own))))
          continue;
        yield hit(
          approver.service,
          ["spec", "ports"],
          `found no AuthorizationPolicy that lets ${own} in on the port for guards, ${approver.filterPort}`,
        );
      }
    },
  },
  ...serviceRules([
    {
      id: "approval-filter-open",
      why: "Whoever may speak on the port for guards is taken for one: it can ask people for approvals in the name of others, and use up what they have approved.",
      mend: "Let ALLOW policies for this port name the accounts of the guards alone: that of each guarded server, or of its waypoint.",
      *check(approver, world) {
        const guards = guardAccounts(approver.service, world);
        const allows = allowsOf(approver, world, approver.filterPort);
        if (allows.length === 0 && !isLocked(approver, world))
          yield hit(
            approver.pods.object,
            [],
            `found no AuthorizationPolicy for the port for guards, ${approver.filterPort}, which stands for everybody`,
          );
        for (const { policy, path, callers } of allows) {
          if (callers === undefined)
            yield hit(
              policy,
              path,
              `found callers that are not named in full for the port for guards, ${approver.filterPort}, expected ${guards.join(", ")}`,
            );
          else
            for (const caller of callers) {
              if (guards.some((guard) => isAccount(caller, guard))) continue;
              yield hit(
                policy,
                path,
                `found ${caller} for the port for guards, ${approver.filterPort}, expected ${guards.join(", ")}`,
              );
            }
        }
      },
    },
    {
      id: "approval-filter-network",
      why: "Pods that are no guards reach the port for guards. The mesh still asks for their certificates, and is the only lock then.",
      mend: "Let NetworkPolicies for this port name the guarded pods, by namespace and labels.",
      *check(approver, world) {
        for (const policy of networkPolicies(approver.pods, world, "Ingress")) {
          for (const [index, rule] of list(get(policy.value, "spec", "ingress")).entries()) {
            // What is open to everywhere is told as such.
            if (wideness(rule, "from") !== undefined || !hasPort(rule, approver)) continue;
            const found = strangerAmong(rule, policy, approver, world);
            if (found !== undefined) yield hit(policy, ["spec", "ingress", index], found);
          }
        }
      },
    },
    {
      id: "approval-browser-open",
      why: "The pages are for people, who come in by one gateway. What an MCP server or anybody else of the mesh can open there is one lock less in front of an approval.",
      mend: "Let one ALLOW policy for the port of the pages name the account of that gateway, and ports, so that it is not let in on the port for guards.",
      *check(approver, world) {
        let gateway: string | undefined;
        for (const port of approver.browserPorts) {
          const allows = allowsOf(approver, world, port);
          if (allows.length === 0 && !isLocked(approver, world))
            yield hit(
              approver.pods.object,
              [],
              `found no AuthorizationPolicy for the port of the pages, ${port}, which stands for everybody`,
            );
          for (const { policy, path, callers } of allows) {
            if (callers === undefined)
              yield hit(
                policy,
                path,
                `found callers that are not named in full for the port of the pages, ${port}, expected one gateway`,
              );
            for (const caller of callers ?? []) {
              if (isServers(caller, world))
                yield hit(
                  policy,
                  path,
                  `found ${caller} for the port of the pages, ${port}, the account of an MCP server, expected one gateway`,
                );
              else if (gateway !== undefined && caller !== gateway)
                yield hit(
                  policy,
                  path,
                  `found ${caller} for the port of the pages, ${port}, beside ${gateway}, expected one gateway`,
                );
              else gateway = caller;
            }
          }
        }
      },
    },
    {
      id: "approval-browser-shut",
      why: "Nobody can open the pages, and so nobody can approve anything.",
      mend: "Give the Service a port for the pages, and add an ALLOW policy that names the gateway that people come in by.",
      *check(approver, world) {
        const isOpen = approver.browserPorts.some((port) => allowsOf(approver, world, port).length > 0);
        if (isOpen || (approver.browserPorts.length > 0 && !isLocked(approver, world))) return;
        yield hit(
          approver.service,
          ["spec", "ports"],
          approver.browserPorts.length === 0
            ? "found no port but the one for guards, expected one for the pages"
            : `found no AuthorizationPolicy that lets anybody in on the port of the pages, ${approver.browserPorts.join(", ")}`,
        );
      },
    },
    {
      id: "approval-service-without-proxy",
      why: "The service knows guards by what the mesh lets through. A pod without its proxy believes everybody who reaches it.",
      mend: "Label the namespace of the service `istio-injection: enabled` (or `istio.io/rev`).",
      *check(approver) {
        const { pods } = approver;
        const inject = pods.labels["sidecar.istio.io/inject"] ?? pods.annotations["sidecar.istio.io/inject"];
        if (pods.isAmbient || pods.namespaceObject === undefined || inject === "false" || isInjected(pods)) return;
        yield hit(
          pods.namespaceObject,
          ["metadata", "labels"],
          "found no label that asks for sidecars, expected istio-injection: enabled or istio.io/rev",
        );
      },
    },
    {
      id: "approval-service-weak",
      why: "The service can release every destructive call, so it is held as the servers are: its account, its pods, what it reaches, and mTLS.",
      mend: "Do what the page says of the rule whose name stands in front of what was found.",
      *check(approver, world) {
        const { pods } = approver;
        for (const rule of [...schemaRules, ...identityRules, ...egressRules, ...callerRules]) {
          if (!HELD.has(rule.id)) continue;
          for (const entry of rule.check(pods, world)) {
            if (!isUnanswered(entry)) yield { ...entry, found: `${rule.id}: ${entry.found}` };
          }
        }
      },
    },
  ]),
  {
    id: "approval-secret-inline",
    questions: ["approval"],
    why: "Everybody who may read the guard's manifest has the secret by which the service knows guards.",
    mend: "Let the entry of vmConfig.env have valueFrom: HOST, and give the variable to the proxy from a Secret. In the mesh no secret is needed.",
    *check({ guards }) {
      for (const guard of guards) {
        for (const [entry, index] of secretEntries(guard)) {
          if (get(entry, "valueFrom") !== "HOST")
            yield hit(
              guard.object,
              [...guard.wasmPath, "vmConfig", "env", index],
              `found a literal value for ${text(get(entry, "name"))}, expected valueFrom: HOST`,
            );
        }
      }
    },
  },
  {
    id: "approval-secret-missing",
    questions: ["approval"],
    why: "The filter gets no variable of that name, and refuses the policy: nothing passes.",
    mend: "Add the variable to vmConfig.env with valueFrom: HOST, or remove secret_env: in the mesh no secret is needed.",
    *check({ guards }) {
      for (const guard of guards) {
        const name = secretName(guard);
        if (name !== "" && secretEntries(guard).length === 0)
          yield hit(
            guard.object,
            policyPath(guard, "approval", "service", "secret_env"),
            `found ${name}, which vmConfig.env does not have`,
          );
      }
    },
  },
];

/** A rule about a service, whoever asks it. */
interface ServiceRule extends Pick<Rule, "id" | "why" | "mend"> {
  check(approver: Approver, world: World): Iterable<Hit>;
}

/** What was found of a service, by rule and port: many servers ask one service, and it is looked at once. */
const known = new WeakMap<World, Map<string, readonly Hit[]>>();

function serviceRules(rules: readonly ServiceRule[]): Rule[] {
  return rules.map(({ check, ...rule }) => ({
    ...rule,
    questions: ["approval"],
    *check(server: Server, world: World) {
      const found = known.get(world) ?? new Map<string, readonly Hit[]>();
      known.set(world, found);
      for (const approver of approversOf(server, world)) {
        const key = `${rule.id} ${objectName(approver.service)} ${approver.filterPort}`;
        const hits = found.get(key) ?? [...check(approver, world)];
        found.set(key, hits);
        yield* hits;
      }
    },
  }));
}

/** A service that a guard of a server asks. */
interface Approver {
  guard: Plugin;
  service: KubeObject;
  /** The full name of the service. */
  host: string;
  pods: Server;
  /** The pods' own ports, which is what policies are about. */
  filterPort: number;
  browserPorts: readonly number[];
}

/** A rule of an ALLOW policy that covers a port of the service. */
interface Allow {
  policy: KubeObject;
  path: Path;
  /** Accounts as the policy has them; undefined when somebody is let in who is not named in full. */
  callers: readonly string[] | undefined;
}

function isAsking({ policy }: Plugin): boolean {
  return get(policy, "approval", "mode") === "required";
}

function portOf(guard: Plugin): number | undefined {
  return placeOfCluster(text(get(guard.policy, "approval", "service", "cluster")))?.port;
}

/** What lacks of the service that a guard names; undefined when all is there. */
function missing(guard: Plugin, world: World): string | undefined {
  const cluster = text(get(guard.policy, "approval", "service", "cluster"));
  const place = placeOfCluster(cluster);
  if (place === undefined)
    return `found ${cluster || "no cluster"}, expected outbound|<port>||<Service>.<namespace>.svc.<domain> of a Service of the input`;
  const service = world.approvalServices.get(guard);
  const name = `${place.namespace}/${place.app}`;
  if (service === undefined) return `found no Service ${name} among the input, which the cluster names`;
  if (servicePorts(service).every(({ port }) => port !== place.port))
    return `found no port ${place.port} in the Service ${name}, which the cluster names`;
  if (podsOf(service, world) === undefined) return `found no workload of the input behind the Service ${name}`;
  return undefined;
}

function approversOf({ guards }: Server, world: World): Approver[] {
  return guards.flatMap((guard) => {
    if (!isAsking(guard) || missing(guard, world) !== undefined) return [];
    const service = world.approvalServices.get(guard);
    const workload = service === undefined ? undefined : podsOf(service, world);
    if (service === undefined || workload === undefined) return [];
    const ports = servicePorts(service).map(({ port, target }) => ({ port, own: ownPort(target, workload) }));
    const own = portOf(guard);
    const filter = ports.find(({ port }) => port === own);
    if (filter === undefined) return [];
    return [
      {
        guard,
        service,
        host: placeOfCluster(text(get(guard.policy, "approval", "service", "cluster")))?.host ?? "",
        pods: joined(workload, world),
        filterPort: filter.own,
        browserPorts: ports.filter((port) => port !== filter).map((port) => port.own),
      },
    ];
  });
}

function servicePorts({ value }: KubeObject): { port: number; target: unknown }[] {
  return list(get(value, "spec", "ports")).map((entry) => ({
    port: Number(get(entry, "port")),
    target: get(entry, "targetPort") ?? get(entry, "port"),
  }));
}

/** The number of a `targetPort`; not a number when no container has a port of the name. */
function ownPort(target: unknown, { containers }: Workload): number {
  if (typeof target === "number") return target;
  const named = containers
    .flatMap(({ value }) => list(value.ports))
    .find((port) => text(get(port, "name")) === text(target));
  return Number(get(named, "containerPort") ?? target);
}

function podsOf({ value, namespace }: KubeObject, { workloads }: World): Workload | undefined {
  const selector = get(value, "spec", "selector");
  return workloads.find(
    ({ object, labels }) =>
      object.namespace === namespace && Object.keys(record(selector)).length > 0 && matchesLabels(selector, labels),
  );
}

/** The account that a guard asks with: that of its pod's proxy, or of the waypoint. `<namespace>/<account>`. */
function accountOfGuard({ object }: Plugin, { object: { namespace }, serviceAccount, waypoint }: Server): string {
  if (!hasTargets(object) || waypoint === undefined) return `${namespace}/${serviceAccount}`;
  return `${waypoint.namespace}/${waypoint.name}`;
}

/** The accounts of all guards that ask a service. */
function guardAccounts(service: KubeObject, { servers, approvalServices }: World): string[] {
  const accounts = servers.flatMap((server) =>
    server.guards
      .filter((guard) => approvalServices.get(guard) === service)
      .map((guard) => accountOfGuard(guard, server)),
  );
  return [...new Set(accounts)];
}

/** Whether a principal, or an account of `serviceAccounts`, is the account `<namespace>/<name>`. */
function isAccount(caller: string, account: string): boolean {
  const [namespace, name] = account.split("/");
  return caller === account || caller.endsWith(`/ns/${namespace}/sa/${name}`);
}

/** Whether a caller is an MCP server, or the waypoint of one. */
function isServers(caller: string, { servers }: World): boolean {
  return servers.some(
    ({ object: { namespace }, serviceAccount, waypoint }) =>
      isAccount(caller, `${namespace}/${serviceAccount}`) ||
      (waypoint !== undefined && isAccount(caller, `${waypoint.namespace}/${waypoint.name}`)),
  );
}

/** The ALLOW policies that the pods' own proxy enforces. */
function allowPolicies({ pods }: Approver, { objects, rootNamespace }: World): KubeObject[] {
  return objects.filter(
    (policy) => isAllowing(policy) && !hasTargets(policy) && selectsServer(policy, pods, rootNamespace),
  );
}

/** Whether an ALLOW policy holds for the pods: then what none allows is refused, and without one everything passes. */
function isLocked(approver: Approver, world: World): boolean {
  return allowPolicies(approver, world).length > 0;
}

function allowsOf(approver: Approver, world: World, port: number): Allow[] {
  return allowPolicies(approver, world).flatMap((policy) =>
    rulesOf(policy).flatMap((rule, index) => {
      const operations = list(get(rule, "to")).map((to) => get(to, "operation"));
      const isCovered = operations.length === 0 || operations.some((operation) => coversPort(operation, port));
      return isCovered ? [{ policy, path: ["spec", "rules", index], callers: callersOf(rule, policy) }] : [];
    }),
  );
}

function coversPort(operation: unknown, port: number): boolean {
  const [ports, others] = [texts(get(operation, "ports")), texts(get(operation, "notPorts"))];
  return (ports.length === 0 || ports.includes(String(port))) && !others.includes(String(port));
}

/** The callers of a rule, when each `from` of it names some, and all in full. */
function callersOf(rule: unknown, policy: KubeObject): readonly string[] | undefined {
  const sources = list(get(rule, "from")).map((from) => namesOf(from, policy));
  const names = sources.flat();
  const isOpen = sources.length === 0 || sources.some((source) => source.length === 0);
  return isOpen || names.some((name) => name.includes("*")) ? undefined : names;
}

/** Whether a rule of a NetworkPolicy is about the port for guards. */
function hasPort(rule: unknown, { filterPort, pods }: Approver): boolean {
  const ports = list(get(rule, "ports"));
  return (
    ports.length === 0 ||
    ports.some((entry) => {
      const [port, end] = [get(entry, "port"), get(entry, "endPort")];
      if (port === undefined) return true;
      const first = ownPort(port, pods);
      return typeof end === "number" ? first <= filterPort && filterPort <= end : first === filterPort;
    })
  );
}

/** Who of a rule's peers is no guard; undefined when all are guards. */
function strangerAmong(rule: unknown, policy: KubeObject, { service }: Approver, world: World): string | undefined {
  const guards = guardPods(service, world);
  for (const peer of list(get(rule, "from"))) {
    const cidr = text(get(peer, "ipBlock", "cidr"));
    if (cidr !== "")
      return `found the range ${cidr} for the port for guards, expected the guarded pods by their labels`;
    const selector = get(peer, "podSelector");
    const isMeant = ({ namespace, labels }: Pods): boolean =>
      isInNamespace(peer, policy, namespace, world) && matchesSelector(selector, labels);
    if (isEmptySelector(selector))
      return "found all pods of a namespace for the port for guards, expected the guarded pods by their labels";
    const stranger = world.workloads.find(
      ({ object, labels }) =>
        isMeant({ namespace: object.namespace, labels }) && !guards.some(({ workload }) => workload === object),
    );
    if (stranger !== undefined)
      return `found ${objectName(stranger.object)} for the port for guards, which is no guard`;
    if (!guards.some(isMeant)) return "found pods for the port for guards that no guard is among";
  }
  return undefined;
}

/** Pods as selectors see them. */
interface Pods {
  namespace: string;
  labels: Readonly<Record<string, string>>;
}

/** The pods that ask a service: those with the guard in their sidecar, and waypoints, which Istio makes. */
function guardPods(
  service: KubeObject,
  { servers, approvalServices }: World,
): (Pods & { workload: KubeObject | undefined })[] {
  return servers.flatMap(({ guards, object, labels, waypoint }) =>
    guards
      .filter((guard) => approvalServices.get(guard) === service)
      .map((guard) =>
        waypoint !== undefined && hasTargets(guard.object)
          ? {
              workload: undefined,
              namespace: waypoint.namespace,
              labels: {
                "gateway.networking.k8s.io/gateway-name": waypoint.name,
                "gateway.networking.k8s.io/gateway-class-name": "istio-waypoint",
              },
            }
          : { workload: object, namespace: object.namespace, labels },
      ),
  );
}

/** Whether a peer means pods of a namespace: without a selector that of the policy. */
function isInNamespace(peer: unknown, policy: KubeObject, namespace: string, { objects }: World): boolean {
  const selector = get(peer, "namespaceSelector");
  if (selector === undefined) return namespace === policy.namespace;
  const found = objects.find(({ kind, name }) => kind === "Namespace" && name === namespace);
  // Kubernetes gives each namespace its name as a label.
  return matchesSelector(selector, { ...found?.labels, "kubernetes.io/metadata.name": namespace });
}

function secretName({ policy }: Plugin): string {
  return text(get(policy, "approval", "service", "secret_env"));
}

/** The entries of `vmConfig.env` that hand the secret to the filter. */
function secretEntries(guard: Plugin): [entry: unknown, index: number][] {
  const name = secretName(guard);
  return list(get(guard.wasm, "vmConfig", "env")).flatMap((entry, index): [unknown, number][] =>
    name !== "" && get(entry, "name") === name ? [[entry, index]] : [],
  );
}
