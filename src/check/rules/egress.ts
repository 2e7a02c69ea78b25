// Point 3: is egress restricted to the minimum? NetworkPolicies are the lock; Sidecar and ServiceEntry narrow it to names.
import { get, type KubeObject, list, text, texts } from "../kube-object.ts";
import { hit, type Rule } from "../rule.ts";
import { isEmptySelector, matchesLabels, matchesSelector } from "../selector.ts";
import type { Server, World } from "../world.ts";

const ANNOTATION = "traffic.sidecar.istio.io/";
/** The agent of EKS Pod Identity, on the node: the one address that has to go around the proxy. */
const POD_IDENTITY_AGENT = "169.254.170.23/32";
/** Shorter prefixes are not a range of somebody, but a part of the Internet. */
const PREFIX_BITS_MIN = { v4: 8, v6: 16 } as const;

export const egressRules: readonly Rule[] = [
  {
    id: "sidecar-missing",
    questions: ["egress"],
    why: "Without a Sidecar the proxy knows every service of the mesh, and lets everything else out as the mesh does, which is to anywhere by default.",
    mend: "Add a Sidecar that selects the workload, with outboundTrafficPolicy REGISTRY_ONLY and the hosts that the server needs.",
    *check(server, world) {
      if (!server.isAmbient && sidecarOf(server, world) === undefined)
        yield hit(server.object, [], "found no Sidecar that selects the workload");
    },
  },
  {
    id: "sidecar-not-registry-only",
    questions: ["egress"],
    why: "Hosts that nobody has listed can be reached.",
    mend: "Set outboundTrafficPolicy to mode: REGISTRY_ONLY in the Sidecar.",
    *check(server, world) {
      const sidecar = sidecarOf(server, world);
      if (sidecar === undefined) return;
      const mode = text(get(sidecar.value, "spec", "outboundTrafficPolicy", "mode"));
      const ofMesh = world.meshes.some(({ value }) => get(value, "outboundTrafficPolicy", "mode") === "REGISTRY_ONLY");
      if (mode === "REGISTRY_ONLY" || (mode === "" && ofMesh)) return;
      yield hit(
        sidecar,
        ["spec", "outboundTrafficPolicy", "mode"],
        `found ${mode || "no mode, and none in the mesh configuration"}, expected REGISTRY_ONLY`,
      );
    },
  },
  {
    id: "sidecar-wide-hosts",
    questions: ["egress"],
    why: "Every service of the mesh can be reached from the server.",
    mend: "List the hosts that the server needs by namespace and name.",
    *check(server, world) {
      const sidecar = sidecarOf(server, world);
      if (sidecar === undefined) return;
      const egress = list(get(sidecar.value, "spec", "egress"));
      if (egress.length === 0)
        yield hit(sidecar, ["spec"], "found no egress, which stands for all hosts; expected a list of hosts");
      for (const [index, entry] of egress.entries()) {
        for (const [at, host] of texts(get(entry, "hosts")).entries()) {
          if (/^\*\/(?:\*|$)/.test(host))
            yield hit(sidecar, ["spec", "egress", index, "hosts", at], `found ${host}, expected one namespace`);
        }
      }
    },
  },
  {
    id: "mesh-allow-any",
    questions: ["egress"],
    why: "The mode of the mesh holds for each workload whose Sidecar has none of its own.",
    mend: "Set outboundTrafficPolicy to mode: REGISTRY_ONLY in the mesh configuration.",
    *check(_, { meshes }) {
      for (const mesh of meshes) {
        const mode = text(get(mesh.value, "outboundTrafficPolicy", "mode"));
        if (!mode.startsWith("ALLOW_ANY")) continue;
        yield {
          object: mesh.name,
          place: mesh.at(["outboundTrafficPolicy", "mode"]),
          found: `found ${mode}, expected REGISTRY_ONLY`,
        };
      }
    },
  },
  ...serviceEntryRules([
    {
      id: "service-entry-exported",
      why: "The host is open for every namespace of the mesh.",
      mend: 'Set exportTo: ["."].',
      *check(entry) {
        const exported = texts(get(entry.value, "spec", "exportTo"));
        if (exported.length === 1 && exported[0] === ".") return;
        yield hit(
          entry,
          ["spec", "exportTo"],
          `found ${exported.length === 0 ? "no exportTo, which stands for all namespaces" : exported.join(", ")}, expected "."`,
        );
      },
    },
    {
      id: "service-entry-wildcard",
      why: "Everybody who can have a name below the domain can be reached.",
      mend: "Name each host.",
      *check(entry) {
        for (const [index, host] of texts(get(entry.value, "spec", "hosts")).entries()) {
          if (host.includes("*")) yield hit(entry, ["spec", "hosts", index], `found ${host}, expected one host`);
        }
      },
    },
    {
      id: "service-entry-protocol",
      why: "In plain text whoever is on the way reads and changes what the server gets.",
      mend: "Set the protocol of the port to TLS or HTTPS.",
      *check(entry) {
        if (get(entry.value, "spec", "location") === "MESH_INTERNAL") return;
        for (const [index, port] of list(get(entry.value, "spec", "ports")).entries()) {
          const protocol = text(get(port, "protocol")).toUpperCase();
          if (protocol !== "TLS" && protocol !== "HTTPS")
            yield hit(
              entry,
              ["spec", "ports", index, "protocol"],
              `found ${protocol || "no protocol"}, expected TLS or HTTPS`,
            );
        }
      },
    },
    {
      id: "service-entry-resolution",
      why: "The proxy then connects to the address that the server chose: the name of an allowed host opens every address.",
      mend: "Set resolution: DNS, or STATIC with endpoints.",
      *check(entry) {
        const resolution = text(get(entry.value, "spec", "resolution"));
        if (resolution === "" || resolution === "NONE")
          yield hit(
            entry,
            ["spec", "resolution"],
            `found ${resolution || "no resolution, which stands for NONE"}, expected DNS`,
          );
      },
    },
  ]),
  {
    id: "network-policy-missing",
    questions: ["egress"],
    why: "Istio's own rules hold only for traffic that the proxy sees. Without a NetworkPolicy a process that goes around it reaches everything.",
    mend: "Add a NetworkPolicy with policyTypes [Egress] whose podSelector selects the workload.",
    *check(server, world) {
      if (networkPolicies(server, world, "Egress").length === 0)
        yield hit(server.object, [], "found no NetworkPolicy for Egress that selects the workload");
    },
  },
  {
    id: "network-policy-open",
    questions: ["egress"],
    why: "NetworkPolicies add up: one rule that opens everything undoes all others.",
    mend: "Name who may be reached: pods, a namespace, or address ranges.",
    *check(server, world) {
      for (const policy of networkPolicies(server, world, "Egress")) {
        for (const [index, rule] of list(get(policy.value, "spec", "egress")).entries()) {
          const wide = wideness(rule, "to");
          if (wide !== undefined) yield hit(policy, ["spec", "egress", index, "to"], wide);
        }
      }
    },
  },
  {
    id: "traffic-excluded",
    questions: ["egress", "caller", "schema"],
    why: "What the annotation takes out goes around the proxy, and with it around the guard, mTLS and the lock on egress.",
    mend: `Remove the annotation. For EKS Pod Identity, excludeOutboundIPRanges may be ${POD_IDENTITY_AGENT} and nothing else.`,
    *check({ object, podPath, annotations }) {
      for (const [name, value] of Object.entries(annotations)) {
        if (!name.startsWith(ANNOTATION) || !/^(?:exclude|include|kubevirt)/.test(name.slice(ANNOTATION.length)))
          continue;
        if (name.endsWith("/excludeOutboundIPRanges") && value === POD_IDENTITY_AGENT) continue;
        // All of it, as without the annotation.
        if (/\/include(?:InboundPorts|OutboundIPRanges)$/.test(name) && value === "*") continue;
        yield hit(
          object,
          [...podPath, "metadata", "annotations", name],
          `found the annotation ${name}: "${value}", expected none`,
        );
      }
    },
  },
];

/** A rule about a ServiceEntry of a server's namespace. */
interface ServiceEntryRule extends Pick<Rule, "id" | "why" | "mend"> {
  check(entry: KubeObject): Iterable<ReturnType<typeof hit>>;
}

function serviceEntryRules(rules: readonly ServiceEntryRule[]): Rule[] {
  return rules.map(({ check, ...rule }) => ({
    ...rule,
    questions: ["egress"],
    *check({ object }: Server, { objects }: World) {
      for (const entry of objects) {
        if (entry.kind === "ServiceEntry" && entry.namespace === object.namespace) yield* check(entry);
      }
    },
  }));
}

/** The Sidecar in force: one that selects the workload, that of its namespace, or that of the mesh. */
export function sidecarOf({ object, labels }: Server, { objects, rootNamespace }: World): KubeObject | undefined {
  const sidecars = objects.filter(
    ({ kind, apiVersion }) => kind === "Sidecar" && apiVersion.startsWith("networking.istio.io/"),
  );
  const selector = (sidecar: KubeObject): unknown => get(sidecar.value, "spec", "workloadSelector", "labels");
  const own = sidecars.filter(({ namespace }) => namespace === object.namespace);
  return (
    own.find((sidecar) => selector(sidecar) !== undefined && matchesLabels(selector(sidecar), labels)) ??
    own.find((sidecar) => selector(sidecar) === undefined) ??
    sidecars.find((sidecar) => sidecar.namespace === rootNamespace && selector(sidecar) === undefined)
  );
}

/** Whether a Sidecar lets its pods see a host that an object of a namespace declares. */
export function isVisible(sidecar: KubeObject, declaredIn: string, host: string): boolean {
  const hosts = list(get(sidecar.value, "spec", "egress")).flatMap((entry) => texts(get(entry, "hosts")));
  return hosts.some((entry) => {
    const [namespace = "", name = ""] = entry.split("/");
    const isThere =
      namespace === "*" || namespace === declaredIn || (namespace === "." && declaredIn === sidecar.namespace);
    return isThere && (name === "*" || name === host || (name.startsWith("*.") && host.endsWith(name.slice(1))));
  });
}

/** The NetworkPolicies for one direction that select a server. */
export function networkPolicies(
  { object, labels }: Server,
  { objects }: World,
  direction: "Ingress" | "Egress",
): KubeObject[] {
  return objects.filter((policy) => {
    if (
      policy.kind !== "NetworkPolicy" ||
      policy.namespace !== object.namespace ||
      !policy.apiVersion.startsWith("networking.k8s.io/")
    )
      return false;
    const types = texts(get(policy.value, "spec", "policyTypes"));
    // Left out, it is Ingress, and Egress where there are rules for it.
    const implied = direction === "Ingress" || get(policy.value, "spec", "egress") !== undefined;
    return (
      (types.length === 0 ? implied : types.includes(direction)) &&
      matchesSelector(get(policy.value, "spec", "podSelector"), labels)
    );
  });
}

/** What a rule of a NetworkPolicy opens too much; undefined when nothing. */
export function wideness(rule: unknown, member: "to" | "from"): string | undefined {
  const peers = list(get(rule, member));
  if (peers.length === 0) return `found a rule with no ${member}, which stands for everywhere`;
  for (const peer of peers) {
    const cidr = text(get(peer, "ipBlock", "cidr"));
    if (cidr !== "" && isWideRange(cidr)) return `found the range ${cidr}, expected a narrower one`;
    const [namespaces, pods] = [get(peer, "namespaceSelector"), get(peer, "podSelector")];
    if (namespaces !== undefined && isEmptySelector(namespaces) && isEmptySelector(pods))
      return "found all pods of all namespaces, expected a selector with labels";
  }
  return undefined;
}

function isWideRange(cidr: string): boolean {
  const bits = Number(cidr.split("/")[1] ?? Number.NaN);
  return !(bits >= (cidr.includes(":") ? PREFIX_BITS_MIN.v6 : PREFIX_BITS_MIN.v4));
}
