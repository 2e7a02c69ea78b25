// Point 1: is the tool schema validated against an allowlist? A guard must be in the path of each server, whole, closed, and the one that was meant.
import { listedTools, matchesOf, type Plugin, phaseRank, policyPath, policyRules } from "../guard.ts";
import { get, list, text, texts } from "../kube-object.ts";
import { hit, type Rule, type WorldRule } from "../rule.ts";
import { matchesLabels } from "../selector.ts";
import {
  hasTargets,
  isGateway,
  isInbound,
  runsBehind,
  type Server,
  selectsServer,
  targetsOf,
  type World,
} from "../world.ts";

const DIGEST = /@sha256:[0-9a-f]{64}$/;
const RBAC_RANK = 2;

export const schemaRules: readonly Rule[] = [
  {
    id: "guard-missing",
    questions: ["schema", "approval", "trace"],
    why: "Without a guard every tool that the server announces can be called, and no record says by whom.",
    mend: "Let the selector of a WasmPlugin or TrafficExtension in this namespace name labels of the pods, or attach one to the Service with targetRefs and use a waypoint.",
    *check(server, world) {
      if (server.guards.length === 0)
        yield hit(server.object, [], `found an MCP server that no guard selects${nearMiss(server, world)}`);
    },
  },
  {
    id: "guard-twice",
    questions: ["schema"],
    why: "Each request goes through both. What one lists and the other does not is refused, and of a refused request the second one records nothing.",
    mend: "Keep one guard for each workload: change the selector of the other, or delete it.",
    *check({ guards, object }) {
      const [first, ...others] = guards;
      for (const other of others) {
        yield hit(
          other.object,
          [],
          `found a second guard for ${object.kind} ${object.name}, beside ${first?.object.kind} ${first?.object.name}`,
        );
      }
    },
  },
  {
    id: "guard-without-proxy",
    questions: ["schema"],
    why: "A guard with a selector runs in the pod's sidecar. A pod without one is not guarded, and nothing says so.",
    mend: "Label the namespace `istio-injection: enabled` (or `istio.io/rev`); in ambient mode attach the guard to the Service with targetRefs and use a waypoint.",
    *check(server) {
      const guard = server.guards.find(({ object }) => !hasTargets(object));
      if (guard === undefined || server.namespaceObject === undefined || injection(server) === "false") return;
      const { object, namespaceObject } = server;
      if (server.isAmbient)
        yield hit(
          guard.object,
          ["spec", "selector"],
          `found a selector for ${object.kind} ${object.name}, whose pods are in ambient mode and have no sidecar`,
        );
      else if (!isInjected(server))
        yield hit(
          namespaceObject,
          ["metadata", "labels"],
          "found no label that asks for sidecars, expected istio-injection: enabled or istio.io/rev",
        );
    },
  },
  {
    id: "injection-off",
    questions: ["schema", "caller", "egress"],
    why: "Without its sidecar the pod has no guard, no mTLS and no lock on its egress.",
    mend: 'Remove the label or annotation `sidecar.istio.io/inject: "false"` from the pod template.',
    *check({ object, podPath, labels, annotations }) {
      for (const [member, values] of [
        ["labels", labels],
        ["annotations", annotations],
      ] as const) {
        if (values["sidecar.istio.io/inject"] === "false") {
          yield hit(
            object,
            [...podPath, "metadata", member, "sidecar.istio.io/inject"],
            `found the ${member.slice(0, -1)} sidecar.istio.io/inject: "false", expected none`,
          );
        }
      }
    },
  },
  {
    id: "namespace-missing",
    questions: ["schema", "identity"],
    why: "The Namespace says whether pods get sidecars, and which pods are admitted at all.",
    mend: "Hand in the Namespace object with the other manifests.",
    *check({ object, namespaceObject }) {
      if (namespaceObject === undefined)
        yield hit(object, ["metadata", "namespace"], `found no Namespace ${object.namespace} among the input`);
    },
  },
  ...guardRules([
    {
      id: "guard-fail-open",
      why: "When the module cannot be fetched, or its VM fails, every request passes unread.",
      mend: "Set failStrategy to FAIL_RELOAD or FAIL_CLOSE.",
      *check(guard) {
        if (guard.wasm.failStrategy === "FAIL_OPEN")
          yield hit(
            guard.object,
            [...guard.wasmPath, "failStrategy"],
            "found FAIL_OPEN, expected FAIL_RELOAD or FAIL_CLOSE",
          );
      },
    },
    {
      id: "guard-not-pinned",
      why: "A tag can be moved: a pod that starts later then runs another module than the one that was tested.",
      mend: "Write the digest of the image's manifest into the url, as make oci-push prints it: oci://registry/repository@sha256:…",
      *check(guard, server) {
        const url = text(guard.wasm.url);
        if (isPinned(guard, url, server)) return;
        yield hit(
          guard.object,
          [...guard.wasmPath, "url"],
          `found ${url === "" ? "no url" : url}, expected one that ends with @sha256: and 64 hexadecimal digits`,
        );
      },
    },
    {
      id: "guard-url-scheme",
      why: "Istio cannot parse host:port/repository without a scheme, and drops the plugin with nothing but a line in the log of istiod.",
      mend: "Begin the url with oci://.",
      *check(guard) {
        const url = text(guard.wasm.url);
        if (url !== "" && !/^(?:oci|https?|file):\/\//.test(url))
          yield hit(guard.object, [...guard.wasmPath, "url"], `found ${url}, expected oci:// in front`);
      },
    },
    {
      id: "guard-type",
      why: "As a network filter the module sees bytes of connections and no requests.",
      mend: "Remove type, or set it to HTTP.",
      *check(guard) {
        if (guard.wasm.type === "NETWORK")
          yield hit(guard.object, [...guard.wasmPath, "type"], "found NETWORK, expected HTTP");
      },
    },
    {
      id: "guard-match",
      why: "CLIENT alone leaves requests to the server unguarded. Without `mode: SERVER` a sidecar puts the filter into the way of the server's own requests as well.",
      mend: "Set match to one entry, mode: SERVER.",
      *check(guard) {
        const modes = matchesOf(guard).map(({ mode }) => mode);
        const isRight = hasTargets(guard.object)
          ? isInbound(guard)
          : modes.length > 0 && modes.every((mode) => mode === "SERVER");
        if (!isRight)
          yield hit(
            guard.object,
            ["spec", "match"],
            `found ${modes.length === 0 ? "no match" : `the mode ${modes.join(", ")}`}, expected SERVER`,
          );
      },
    },
    {
      id: "guard-ports",
      why: "A port of the pod that match does not name is not guarded, and a waypoint does not take a plugin with ports at all.",
      mend: "Remove ports from match.",
      *check(guard, server) {
        const matches = matchesOf(guard);
        if (
          !isInbound(guard) ||
          matches.length === 0 ||
          matches.some(({ ports, mode }) => ports.length === 0 && mode !== "CLIENT")
        )
          return;
        const named = new Set(matches.flatMap(({ ports }) => ports));
        const open = portsOf(server).filter((port) => !named.has(port));
        if (!hasTargets(guard.object) && open.length === 0) return;
        const lacking = hasTargets(guard.object)
          ? "which a waypoint ignores with the plugin"
          : `but the pod has ${open.join(", ")} as well`;
        yield hit(
          guard.object,
          ["spec", "match", matches[0]?.index ?? 0, "ports"],
          `found the ports ${[...named].join(", ")}, ${lacking}; expected no ports`,
        );
      },
    },
    {
      id: "guard-phase",
      why: "In front of authorization the filter reads what strangers send, and its refusals hide those of the AuthorizationPolicy.",
      mend: "Set phase to STATS, or leave it out.",
      *check(guard) {
        if (phaseRank(guard) < RBAC_RANK)
          yield hit(guard.object, ["spec", "phase"], `found ${text(guard.spec.phase)}, expected STATS or no phase`);
      },
    },
    {
      id: "plugin-behind-guard",
      why: "A plugin behind the guard can change a body after the guard has judged it.",
      mend: "Give the plugin an earlier phase, or a higher priority than the guard's in the same phase.",
      *check(guard, { otherPlugins }) {
        for (const other of otherPlugins) {
          if (isInbound(other) && runsBehind(other, guard))
            yield hit(
              other.object,
              ["spec"],
              `found a plugin that runs behind the guard ${guard.object.name}, expected it in front`,
            );
        }
      },
    },
    {
      id: "guard-configuration-refused",
      questions: ["schema", "approval"],
      why: "The filter refuses this policy, and then nothing passes: a new pod answers 503 to every request, a running one keeps its last policy.",
      mend: "Change the policy as the message says; docs/policy.md describes each member.",
      *check(guard, _, world) {
        const complaint = world.judge(guard.policy);
        if (complaint !== undefined) yield hit(guard.object, policyPath(guard), complaint);
      },
    },
    {
      id: "guard-monitor",
      questions: ["schema", "approval", "trace"],
      why: "In monitor mode the guard records what it would refuse, and lets everything pass.",
      mend: "Remove mode, or set it to enforce. docs/operations.md has a way from one to the other.",
      *check(guard) {
        if (guard.policy?.mode === "monitor")
          yield hit(guard.object, policyPath(guard, "mode"), "found monitor, expected enforce");
      },
    },
    {
      id: "guard-allowlist-pattern",
      why: "The list knows no patterns: the entry allows a tool of that very name, and not what was meant.",
      mend: "List each tool by its name.",
      *check(guard) {
        const lists = [
          { tools: listedTools(guard), path: ["tool_allowlist"] },
          ...policyRules(guard.policy).map((rule, index) => ({
            tools: texts(get(rule, "tool_allowlist")),
            path: ["rules", index, "tool_allowlist"],
          })),
        ];
        for (const { tools, path } of lists) {
          for (const [index, tool] of tools.entries()) {
            if (tool.includes("*"))
              yield hit(
                guard.object,
                policyPath(guard, ...path, index),
                `found ${tool}, expected the name of one tool`,
              );
          }
        }
      },
    },
    {
      id: "guard-unguarded-without-reason",
      why: "What matches the entry passes unread. Whoever reads the policy later cannot tell whether that is still right.",
      mend: "Write a reason into the entry, or remove it.",
      *check(guard) {
        for (const [index, entry] of list(guard.policy?.unguarded).entries()) {
          if (text(get(entry, "reason")).trim() === "")
            yield hit(
              guard.object,
              policyPath(guard, "unguarded", index),
              `found ${text(get(entry, "path"))} without a reason, expected one`,
            );
        }
      },
    },
    {
      id: "guard-headers-hold",
      why: "Istio cannot set the flag of Envoy that request_headers: hold needs. Without it each POST is answered with 503.",
      mend: "Remove request_headers.",
      *check(guard) {
        if (guard.policy?.request_headers === "hold")
          yield hit(guard.object, policyPath(guard, "request_headers"), "found hold, expected release");
      },
    },
  ]),
  {
    id: "envoy-filter",
    questions: ["schema"],
    why: "An EnvoyFilter can take the guard out of the chain of filters, or put something behind it. Nothing here can tell.",
    mend: "Do without it, or keep it away from this workload with a workloadSelector.",
    *check(server, { objects, rootNamespace }) {
      for (const object of objects) {
        if (object.kind !== "EnvoyFilter") continue;
        const labels = get(object.value, "spec", "workloadSelector", "labels");
        const isNear = object.namespace === server.object.namespace || object.namespace === rootNamespace;
        const isHit = hasTargets(object)
          ? selectsServer(object, server, rootNamespace)
          : isNear && matchesLabels(labels, server.labels);
        if (isHit)
          yield hit(
            object,
            ["spec"],
            `found an EnvoyFilter for ${server.object.kind} ${server.object.name}, expected none`,
          );
      }
    },
  },
  {
    id: "agentgateway",
    questions: ["schema", "caller"],
    why: "Istio applies neither WasmPlugin nor AuthorizationPolicy to agentgateway: the guard is gone without an error.",
    mend: "Use the class istio-waypoint for waypoints, and istio for gateways.",
    *check({ object, waypoint }, { objects }) {
      for (const gateway of objects) {
        const className = text(get(gateway.value, "spec", "gatewayClassName"));
        const isNear = gateway.namespace === object.namespace || gateway === waypoint?.gateway;
        if (isGateway(gateway) && isNear && className.startsWith("istio-agentgateway")) {
          yield hit(gateway, ["spec", "gatewayClassName"], `found ${className}, expected istio-waypoint or istio`);
        }
      }
    },
  },
  {
    id: "waypoint-missing",
    questions: ["schema"],
    why: "The guard hangs on a waypoint. Without the Gateway of that name there is none, and the guard with it.",
    mend: "Hand in the Gateway with the class istio-waypoint, or correct the label istio.io/use-waypoint.",
    *check({ guards, waypoint }) {
      const guard = guards.find(({ object }) => hasTargets(object));
      if (guard === undefined || waypoint === undefined || waypoint.gateway !== undefined) return;
      yield hit(
        guard.object,
        ["spec", "targetRefs"],
        `found no Gateway ${waypoint.namespace}/${waypoint.name} among the input, which istio.io/use-waypoint names`,
      );
    },
  },
];

/** About guards that belong to no server. */
export const schemaWorldRules: readonly WorldRule[] = [
  {
    id: "guard-selects-nothing",
    questions: ["schema"],
    why: "A guard without a workload guards nothing. A label that is mistyped does this without an error.",
    mend: "Compare the selector with the labels of the pods; for targetRefs, the Service must select pods and use a waypoint.",
    *check({ plugins, servers }) {
      for (const { isGuard, object } of plugins) {
        if (!isGuard || servers.some(({ guards }) => guards.some((guard) => guard.object === object))) continue;
        const [path, wanted] = wantedBy(object);
        yield hit(object, path, `found no workload of the input with ${wanted}`);
      }
    },
  },
];

/** A rule about one guard of a server. */
interface GuardRule extends Pick<Rule, "id" | "why" | "mend"> {
  questions?: Rule["questions"];
  check(guard: Plugin, server: Server, world: World): Iterable<ReturnType<typeof hit>>;
}

function guardRules(rules: readonly GuardRule[]): Rule[] {
  return rules.map(({ questions = ["schema"], check, ...rule }) => ({
    ...rule,
    questions,
    *check(server, world) {
      for (const guard of server.guards) yield* check(guard, server, world);
    },
  }));
}

/** What a guard of the same namespace wants, for a label that is only mistyped. */
function nearMiss({ object }: Server, { plugins, servers }: World): string {
  const idle = plugins.find(
    (plugin) =>
      plugin.isGuard &&
      plugin.object.namespace === object.namespace &&
      !servers.some(({ guards }) => guards.includes(plugin)),
  );
  return idle === undefined
    ? ""
    : `; ${idle.object.kind} ${idle.object.name} of the namespace wants ${wantedBy(idle.object)[1]}`;
}

function wantedBy(object: Plugin["object"]): [string[], string] {
  const targets = targetsOf(object);
  if (targets.length > 0)
    return [["spec", "targetRefs"], targets.map(({ kind, name }) => `the waypoint of ${kind} ${name}`).join(" or ")];
  const labels = Object.entries(get(object.value, "spec", "selector", "matchLabels") ?? {}).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return [
    ["spec", "selector"],
    labels.length === 0
      ? `the namespace ${object.namespace}`
      : `the labels ${labels.join(", ")} in the namespace ${object.namespace}`,
  ];
}

function injection({ labels, annotations }: Server): string | undefined {
  return labels["sidecar.istio.io/inject"] ?? annotations["sidecar.istio.io/inject"];
}

/** Whether the pods get sidecars, by their own labels or by those of the namespace. */
export function isInjected(server: Server): boolean {
  const namespaceLabels = server.namespaceObject?.labels ?? {};
  if (injection(server) === "true" || server.labels["istio.io/rev"] !== undefined) return true;
  if (namespaceLabels["istio-injection"] !== undefined) return namespaceLabels["istio-injection"] === "enabled";
  return namespaceLabels["istio.io/rev"] !== undefined;
}

/** By a digest in the url, by `sha256`, or, for a file in the proxy, by the digest of the image that is mounted there. */
function isPinned({ wasm }: Plugin, url: string, { annotations }: Server): boolean {
  if (url.startsWith("file://")) return /@sha256:[0-9a-f]{64}/.test(annotations["sidecar.istio.io/userVolume"] ?? "");
  return DIGEST.test(url) || /^[0-9a-f]{64}$/.test(text(wasm.sha256));
}

function portsOf({ containers }: Server): number[] {
  return containers.flatMap(({ value }) => list(value.ports)).map((port) => Number(get(port, "containerPort")));
}
