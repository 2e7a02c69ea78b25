// deploy/istio/admission. Goal: what we deploy is let in, whatever injection adds to it, and each way to take a pod out of its guard is denied by the rule that
// is meant for it. Method: requests made from our own manifests, each changed in one way, through the policies' expressions.
import { describe, expect, test } from "vitest";
import { type AdmissionRequest, bindings, denials, policies } from "./admission.ts";
import { type Manifest, readManifests, theOne } from "./manifest-files.ts";

const rendered = (name: string): Manifest[] => readManifests(`deploy/istio/rendered/${name}.yaml`);
const SIDECAR: AdmissionRequest["namespace"] & object = { labels: { "mcp-guard/guarded": "sidecar" } };
const WAYPOINT = { labels: { "mcp-guard/guarded": "waypoint" } };
const OTHER = { labels: { team: "a" } };
const RELEASE = { annotations: { "mcp-guard/release": "moved to another namespace" } };

const guard = theOne(rendered("sidecar"), "WasmPlugin");
const extension = theOne(rendered("traffic-extension"), "TrafficExtension");

interface Pod {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: {
    securityContext: Record<string, unknown>;
    containers: Container[];
    initContainers: Container[];
    ephemeralContainers?: Container[];
  };
}

interface Container {
  name: string;
  image?: string;
  securityContext?: Record<string, unknown>;
}

/** A pod of our Deployment as the API server sees it behind Istio's injection with istio-cni (injection-template.yaml of Istio 1.31). */
function injectedPod(overlay = "sidecar"): Pod {
  const { template } = theOne(rendered(overlay), "Deployment").spec as { template: Partial<Pod> };
  const { metadata, spec } = structuredClone(template) as Pod;
  const proxyUser = { runAsUser: 1337, runAsGroup: 1337, runAsNonRoot: true };
  return {
    metadata: {
      labels: { ...metadata.labels, "security.istio.io/tlsMode": "istio", "pod-template-hash": "6f" },
      annotations: {
        ...metadata.annotations,
        "istio.io/rev": "default",
        "kubectl.kubernetes.io/default-container": "server",
        "sidecar.istio.io/status": '{"revision":"default"}',
        "sidecar.istio.io/interceptionMode": "REDIRECT",
        "traffic.sidecar.istio.io/includeOutboundIPRanges": "*",
        "traffic.sidecar.istio.io/includeInboundPorts": "*",
        "traffic.sidecar.istio.io/excludeInboundPorts": "15020",
      },
    },
    spec: {
      ...spec,
      initContainers: [
        { name: "istio-validation", image: "proxyv2:1", securityContext: proxyUser },
        { name: "istio-proxy", image: "proxyv2:1", securityContext: proxyUser },
      ],
    },
  };
}

/** A copy that was changed in one way. */
function changed<T extends object>(original: T, change: (copy: T) => void): T {
  const copy = structuredClone(original);
  change(copy);
  return copy;
}

const create = (resource: string, object: object, namespace: typeof SIDECAR = SIDECAR): AdmissionRequest => {
  return { operation: "CREATE", resource, object, namespace };
};

describe("lets in", () => {
  test.each<[string, AdmissionRequest]>([
    ["the guard", create("wasmplugins", guard)],
    ["the guard as a TrafficExtension", create("trafficextensions", extension)],
    ["the guard from a volume", create("wasmplugins", theOne(rendered("image-volume"), "WasmPlugin"))],
    ["the guard of a waypoint", create("wasmplugins", theOne(rendered("waypoint"), "WasmPlugin"), WAYPOINT)],
    ["a Lua extension, which is no Wasm", create("trafficextensions", { kind: "TrafficExtension", spec: { lua: {} } })],
    ["a pod of ours", create("pods", injectedPod())],
    ["a pod with the guard's volume", create("pods", injectedPod("image-volume"))],
    [
      "a pod whose proxy is an ordinary container, without istio-cni",
      create(
        "pods",
        changed(injectedPod(), ({ metadata, spec }) => {
          spec.containers.push(spec.initContainers.pop()!);
          spec.initContainers = [{ name: "istio-init", securityContext: { runAsUser: 0 } }];
          for (const key of Object.keys(metadata.annotations)) {
            if (key.startsWith("traffic.")) delete metadata.annotations[key];
          }
        }),
      ),
    ],
    [
      "a pod that says what its proxy may use, and asks for the agent of EKS Pod Identity",
      create(
        "pods",
        changed(injectedPod(), ({ metadata }) => {
          metadata.annotations["sidecar.istio.io/proxyMemory"] = "64Mi";
          metadata.annotations["traffic.sidecar.istio.io/excludeOutboundIPRanges"] = "169.254.170.23/32";
          metadata.labels["sidecar.istio.io/inject"] = "true";
        }),
      ),
    ],
    [
      "a pod without annotations of Istio's but with its proxy",
      create("pods", { metadata: {}, spec: { containers: [{ name: "istio-proxy", image: "a" }] } }),
    ],
    [
      "new annotations of a pod",
      {
        operation: "UPDATE",
        resource: "pods",
        oldObject: injectedPod(),
        object: changed(injectedPod(), ({ metadata }) => {
          metadata.annotations.note = "a";
        }),
        namespace: SIDECAR,
      },
    ],
    [
      "a container for debugging",
      {
        operation: "UPDATE",
        resource: "pods/ephemeralcontainers",
        oldObject: injectedPod(),
        object: changed(injectedPod(), ({ spec }) => {
          spec.ephemeralContainers = [{ name: "debug", securityContext: { runAsUser: 10001 } }, { name: "other" }];
        }),
        namespace: SIDECAR,
      },
    ],
    [
      "another policy for the guard",
      update("wasmplugins", guard, (copy) => {
        copy.spec.pluginConfig = { tool_allowlist: [] };
      }),
    ],
    [
      "another policy for the extension",
      update("trafficextensions", extension, (copy) => {
        (copy.spec.wasm as { pluginConfig: object }).pluginConfig = { tool_allowlist: ["a"] };
      }),
    ],
    [
      "the end of a guard that was released",
      { operation: "DELETE", resource: "wasmplugins", oldObject: { ...guard, metadata: RELEASE }, namespace: SIDECAR },
    ],
    [
      "the end of a guard with its namespace",
      { operation: "DELETE", resource: "wasmplugins", oldObject: guard, namespace: { ...SIDECAR, isDeleted: true } },
    ],
    [
      "the end of a Wasm filter that is no guard",
      {
        operation: "DELETE",
        resource: "wasmplugins",
        oldObject: { kind: "WasmPlugin", metadata: {}, spec: {} },
        namespace: SIDECAR,
      },
    ],
    [
      "the end of a TrafficExtension without Wasm",
      {
        operation: "DELETE",
        resource: "trafficextensions",
        oldObject: { kind: "TrafficExtension", metadata: {}, spec: { lua: {} } },
        namespace: SIDECAR,
      },
    ],
    ["anything where nothing is guarded", create("pods", { metadata: {}, spec: { containers: [] } }, OTHER)],
    [
      "any guard where nothing is guarded",
      create("wasmplugins", { kind: "WasmPlugin", spec: { url: "a", failStrategy: "FAIL_OPEN" } }, OTHER),
    ],
    ["an EnvoyFilter where nothing is guarded", create("envoyfilters", {}, OTHER)],
    [
      "a pod behind a waypoint",
      create(
        "pods",
        {
          metadata: { labels: { app: "a", "istio.io/dataplane-mode": "ambient" }, annotations: { note: "a" } },
          spec: { containers: [{ name: "server" }] },
        },
        WAYPOINT,
      ),
    ],
    [
      "a pod of a waypoint",
      create(
        "pods",
        changed(waypointPod(), ({ metadata }) => {
          metadata.annotations["ambient.istio.io/xfcc-include-client-identity"] = "true";
        }),
        WAYPOINT,
      ),
    ],
    [
      "a namespace with other labels beside ours",
      namespaceUpdate(({ labels }) => {
        labels.team = "a";
      }),
    ],
    [
      "another revision of Istio",
      namespaceUpdate(({ labels }) => {
        delete labels["istio-injection"];
        labels["istio.io/rev"] = "1-31";
      }),
    ],
    [
      "a namespace that was released",
      namespaceUpdate(({ labels }) => {
        delete labels["mcp-guard/guarded"];
      }, RELEASE),
    ],
    [
      "changes of a namespace that never was guarded",
      {
        operation: "UPDATE",
        resource: "namespaces",
        oldObject: { metadata: { labels: { a: "b" } } },
        object: { metadata: {} },
      },
    ],
  ])("%s", (_, request) => {
    expect(denials(request)).toEqual([]);
  });
});

const denied: readonly [string, string, AdmissionRequest][] = [
  // Guards
  [
    "mcp-guard-pinned: 0",
    "a tag",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.url = "oci://internal-registry.io/mcp-guard-filter:v1";
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 0",
    "no scheme",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.url = `internal-registry.io/a@sha256:${"0".repeat(64)}`;
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 0",
    "a digest with more behind it",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.url = `${spec.url}:v1`;
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 0",
    "another file",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.url = "file:///srv/plugin.wasm";
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 0",
    "a web address",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.url = "https://a.example/plugin.wasm";
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 0",
    "no image",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        delete spec.url;
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 0",
    "a tag, later",
    update("wasmplugins", guard, ({ spec }) => {
      spec.url = "oci://a.example/b:v1";
    }),
  ],
  [
    "mcp-guard-pinned: 0",
    "a tag in a TrafficExtension",
    create(
      "trafficextensions",
      changed(extension, ({ spec }) => {
        (spec.wasm as { url: string }).url = "oci://a.example/b:v1";
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 0",
    "a tag of another filter",
    create("wasmplugins", { kind: "WasmPlugin", spec: { url: "oci://a.example/b:v1" } }),
  ],
  [
    "mcp-guard-pinned: 0",
    "a tag behind a waypoint",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.url = "oci://a.example/b:v1";
      }),
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-pinned: 1",
    "a guard that fails open",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.failStrategy = "FAIL_OPEN";
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 1",
    "a TrafficExtension that fails open",
    create(
      "trafficextensions",
      changed(extension, ({ spec }) => {
        (spec.wasm as { failStrategy: string }).failStrategy = "FAIL_OPEN";
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 2",
    "a guard of outbound requests",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.match = [{ mode: "CLIENT" }];
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 2",
    "a guard of some ports",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.match = [{ mode: "SERVER", ports: [{ number: 8080 }] }];
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 3",
    "a guard as a network filter",
    create(
      "wasmplugins",
      changed(guard, ({ spec }) => {
        spec.type = "NETWORK";
      }),
    ),
  ],
  [
    "mcp-guard-pinned: 3",
    "a TrafficExtension as a network filter",
    create(
      "trafficextensions",
      changed(extension, ({ spec }) => {
        (spec.wasm as { type: string }).type = "NETWORK";
      }),
    ),
  ],
  [
    "mcp-guard-kept: 0",
    "the end of a guard",
    { operation: "DELETE", resource: "wasmplugins", oldObject: guard, namespace: SIDECAR },
  ],
  [
    "mcp-guard-kept: 0",
    "the end of a TrafficExtension",
    { operation: "DELETE", resource: "trafficextensions", oldObject: extension, namespace: SIDECAR },
  ],
  [
    "mcp-guard-kept: 0",
    "the end of a guard behind a waypoint",
    { operation: "DELETE", resource: "wasmplugins", oldObject: guard, namespace: WAYPOINT },
  ],
  [
    "mcp-guard-kept: 0",
    "the end of a guard whose release says nothing",
    {
      operation: "DELETE",
      resource: "wasmplugins",
      oldObject: { ...guard, metadata: { annotations: { "mcp-guard/release": "" } } },
      namespace: SIDECAR,
    },
  ],
  [
    "mcp-guard-kept: 1",
    "other pods",
    update("wasmplugins", guard, ({ spec }) => {
      spec.selector = { matchLabels: { app: "other" } };
    }),
  ],
  [
    "mcp-guard-kept: 1",
    "no selector",
    update("wasmplugins", guard, ({ spec }) => {
      delete spec.selector;
    }),
  ],
  [
    "mcp-guard-kept: 1",
    "a release in the same step",
    update("wasmplugins", guard, (copy) => {
      copy.spec.selector = { matchLabels: { app: "other" } };
      Object.assign(copy.metadata, RELEASE);
    }),
  ],
  [
    "mcp-guard-kept: 2",
    "other services",
    update("wasmplugins", theOne(rendered("waypoint"), "WasmPlugin"), ({ spec }) => {
      spec.targetRefs = [{ group: "", kind: "Service", name: "other" }];
    }),
  ],
  [
    "mcp-guard-kept: 2",
    "no services",
    update("wasmplugins", theOne(rendered("waypoint"), "WasmPlugin"), ({ spec }) => {
      delete spec.targetRefs;
    }),
  ],
  [
    "mcp-guard-kept: 3",
    "another filter in its place",
    update("wasmplugins", guard, ({ spec }) => {
      spec.pluginConfig = {};
    }),
  ],
  [
    "mcp-guard-kept: 3",
    "another filter in the extension's place",
    update("trafficextensions", extension, ({ spec }) => {
      (spec.wasm as { pluginConfig: object }).pluginConfig = {};
    }),
  ],
  ["mcp-guard-no-envoy-filter: 0", "an EnvoyFilter", create("envoyfilters", { spec: {} })],
  // Pods with a sidecar
  [
    "mcp-guard-sidecar-pods: 0",
    "no proxy",
    create(
      "pods",
      changed(injectedPod(), ({ spec }) => {
        spec.initContainers = [];
      }),
    ),
  ],
  [
    "mcp-guard-sidecar-pods: 1",
    "the label against injection",
    create(
      "pods",
      changed(injectedPod(), ({ metadata }) => {
        metadata.labels["sidecar.istio.io/inject"] = "false";
      }),
    ),
  ],
  ...annotationsOf([
    ["sidecar.istio.io/inject", "false"],
    ["sidecar.istio.io/interceptionMode", "NONE"],
    ["sidecar.istio.io/proxyImage", "a.example/envoy"],
    ["sidecar.istio.io/bootstrapOverride", "a"],
    ["sidecar.istio.io/userVolume", '{"a":{"emptyDir":{}}}'],
    [
      "sidecar.istio.io/userVolume",
      '{"mcp-guard":{"image":{"reference":"a.example/b:v1","pullPolicy":"IfNotPresent"}}}',
    ],
    ["sidecar.istio.io/userVolumeMount", '{"mcp-guard":{"mountPath":"/var/lib/istio"}}'],
    ["traffic.sidecar.istio.io/excludeInboundPorts", "15020,8080"],
    ["traffic.sidecar.istio.io/includeInboundPorts", ""],
    ["traffic.sidecar.istio.io/includeOutboundIPRanges", "10.0.0.0/8"],
    ["traffic.sidecar.istio.io/excludeOutboundIPRanges", "0.0.0.0/0"],
    ["traffic.sidecar.istio.io/excludeOutboundPorts", "443"],
    ["traffic.sidecar.istio.io/includeOutboundPorts", "1"],
    ["traffic.sidecar.istio.io/excludeInterfaces", "eth0"],
    ["status.sidecar.istio.io/port", "8080"],
    ["inject.istio.io/templates", "other"],
    ["proxy.istio.io/config", "{}"],
    ["proxy.istio.io/overrides", "{}"],
    ["istio.io/reroute-virtual-interfaces", "eth0"],
  ]),
  [
    "mcp-guard-sidecar-pods: 3",
    "a pod of the proxy's user",
    create(
      "pods",
      changed(injectedPod(), ({ spec }) => {
        spec.securityContext.runAsUser = 1337;
      }),
    ),
  ],
  [
    "mcp-guard-sidecar-pods: 3",
    "a pod of the proxy's group",
    create(
      "pods",
      changed(injectedPod(), ({ spec }) => {
        spec.securityContext.runAsGroup = 1337;
      }),
    ),
  ],
  [
    "mcp-guard-sidecar-pods: 4",
    "a container of the proxy's user",
    create(
      "pods",
      changed(injectedPod(), ({ spec }) => {
        spec.containers[0]!.securityContext = { runAsUser: 1337 };
      }),
    ),
  ],
  [
    "mcp-guard-sidecar-pods: 4",
    "a container of the proxy's group",
    create(
      "pods",
      changed(injectedPod(), ({ spec }) => {
        spec.containers[0]!.securityContext = { runAsGroup: 1337 };
      }),
    ),
  ],
  [
    "mcp-guard-sidecar-pods: 4",
    "an init container of the proxy's user",
    create(
      "pods",
      changed(injectedPod(), ({ spec }) => {
        spec.initContainers.push({ name: "setup", securityContext: { runAsUser: 1337 } });
      }),
    ),
  ],
  [
    "mcp-guard-running-pods: 3",
    "a container for debugging of the proxy's user",
    podUpdate("pods/ephemeralcontainers", ({ spec }) => {
      spec.ephemeralContainers = [{ name: "debug", securityContext: { runAsUser: 1337 } }];
    }),
  ],
  [
    "mcp-guard-running-pods: 3",
    "a container for debugging of the proxy's group",
    podUpdate("pods/ephemeralcontainers", ({ spec }) => {
      spec.ephemeralContainers = [{ name: "debug", securityContext: { runAsGroup: 1337 } }];
    }),
  ],
  [
    "mcp-guard-running-pods: 0",
    "another label",
    podUpdate("pods", ({ metadata }) => {
      metadata.labels.app = "other";
    }),
  ],
  [
    "mcp-guard-running-pods: 0",
    "a label less",
    podUpdate("pods", ({ metadata }) => {
      delete metadata.labels.app;
    }),
  ],
  [
    "mcp-guard-running-pods: 0",
    "no labels",
    podUpdate("pods", ({ metadata }) => {
      delete (metadata as Partial<Pod["metadata"]>).labels;
    }),
  ],
  [
    "mcp-guard-pod-status: 0",
    "another label with the status",
    podUpdate("pods/status", ({ metadata }) => {
      metadata.labels.app = "other";
    }),
  ],
  [
    "mcp-guard-pod-status: 0",
    "no labels with the status",
    podUpdate("pods/status", ({ metadata }) => {
      delete (metadata as Partial<Pod["metadata"]>).labels;
    }),
  ],
  [
    "mcp-guard-running-pods: 2",
    "another proxy",
    podUpdate("pods", ({ spec }) => {
      spec.initContainers[1]!.image = "a.example/envoy";
    }),
  ],
  // Pods behind a waypoint
  [
    "mcp-guard-waypoint-pods: 0",
    "a pod outside of the ambient mesh",
    create(
      "pods",
      { metadata: { labels: { "istio.io/dataplane-mode": "none" } }, spec: { containers: [{ name: "server" }] } },
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-waypoint-pods: 0",
    "a server that calls itself a waypoint",
    create(
      "pods",
      changed(waypointPod(), ({ spec }) => {
        spec.containers.push({ name: "server" });
      }),
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-waypoint-pods: 0",
    "an init container in a waypoint",
    create(
      "pods",
      { ...waypointPod(), spec: { ...waypointPod().spec, initContainers: [{ name: "setup" }] } },
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-waypoint-pods: 0",
    "a pod of another waypoint class",
    create(
      "pods",
      changed(waypointPod(), ({ metadata }) => {
        metadata.labels["gateway.networking.k8s.io/gateway-class-name"] = "istio-agentgateway-waypoint";
      }),
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-waypoint-pods: 1",
    "capture that is bypassed",
    create(
      "pods",
      { metadata: { annotations: { "ambient.istio.io/bypass-inbound-capture": "true" } }, spec: { containers: [] } },
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-waypoint-pods: 1",
    "redirection that is off",
    create(
      "pods",
      { metadata: { annotations: { "ambient.istio.io/redirection": "disabled" } }, spec: { containers: [] } },
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-waypoint-pods: 1",
    "a sidecar that is not there",
    create(
      "pods",
      { metadata: { annotations: { "sidecar.istio.io/status": "{}" } }, spec: { containers: [] } },
      WAYPOINT,
    ),
  ],
  [
    "mcp-guard-running-pods: 0",
    "another label behind a waypoint",
    {
      operation: "UPDATE",
      resource: "pods",
      oldObject: { metadata: { labels: { app: "a" } }, spec: { containers: [] } },
      object: { metadata: { labels: { app: "b" } }, spec: { containers: [] } },
      namespace: WAYPOINT,
    },
  ],
  [
    "mcp-guard-running-pods: 1",
    "a sidecar that is not there, later",
    {
      operation: "UPDATE",
      resource: "pods",
      oldObject: { metadata: {}, spec: { containers: [] } },
      object: { metadata: { annotations: { "sidecar.istio.io/status": "{}" } }, spec: { containers: [] } },
      namespace: WAYPOINT,
    },
  ],
  [
    "mcp-guard-running-pods: 1",
    "another value of such an annotation",
    podUpdate("pods", ({ metadata }) => {
      metadata.annotations["sidecar.istio.io/status"] = "{}";
    }),
  ],
  // Namespaces
  [
    "mcp-guard-namespaces: 0",
    "a namespace without the label",
    namespaceUpdate(({ labels }) => {
      delete labels["mcp-guard/guarded"];
    }),
  ],
  [
    "mcp-guard-namespaces: 0",
    "another mode",
    namespaceUpdate(({ labels }) => {
      labels["mcp-guard/guarded"] = "waypoint";
    }),
  ],
  [
    "mcp-guard-namespaces: 0",
    "weaker Pod Security",
    namespaceUpdate(({ labels }) => {
      labels["pod-security.kubernetes.io/enforce"] = "privileged";
    }),
  ],
  [
    "mcp-guard-namespaces: 0",
    "a namespace outside of the ambient mesh",
    namespaceUpdate(
      ({ labels }) => {
        delete labels["istio.io/dataplane-mode"];
      },
      {},
      "waypoint",
    ),
  ],
  [
    "mcp-guard-namespaces: 0",
    "another waypoint",
    namespaceUpdate(
      ({ labels }) => {
        labels["istio.io/use-waypoint"] = "none";
      },
      {},
      "waypoint",
    ),
  ],
  [
    "mcp-guard-namespaces: 1",
    "no injection",
    namespaceUpdate(({ labels }) => {
      delete labels["istio-injection"];
    }),
  ],
  [
    "mcp-guard-namespaces: 1",
    "injection that is off",
    namespaceUpdate(({ labels }) => {
      labels["istio-injection"] = "disabled";
    }),
  ],
];

describe("denies", () => {
  test.each(denied)("by %s: %s", (rule, _, request) => {
    expect(denials(request)).toEqual(expect.arrayContaining([rule]));
  });

  test("by one rule alone, where a request breaks one", () => {
    const several = denied.filter(([, , request]) => denials(request).length > 1).map(([, name]) => name);
    expect(several).toEqual([]);
  });

  test("by each rule that there is", () => {
    const rules = [...policies].flatMap(([name, { validations }]) =>
      validations.map((_, index) => `${name}: ${index}`),
    );
    expect([...new Set(denied.map(([rule]) => rule))].sort()).toEqual(rules.sort());
  });
});

test("each policy is bound, and denies", () => {
  expect(bindings.map(({ policyName }) => policyName).sort()).toEqual([...policies.keys()].sort());
  expect(new Set(bindings.flatMap(({ validationActions }) => validationActions))).toEqual(new Set(["Deny"]));
  expect(new Set([...policies.values()].map(({ failurePolicy }) => failurePolicy))).toEqual(new Set(["Fail"]));
});

function update(
  resource: string,
  original: Manifest,
  change: (copy: { metadata: object; spec: Record<string, unknown> }) => void,
): AdmissionRequest {
  const object = structuredClone(original) as { metadata: object; spec: Record<string, unknown> };
  change(object);
  return { operation: "UPDATE", resource, oldObject: original, object, namespace: SIDECAR };
}

function podUpdate(resource: string, change: (pod: Pod) => void): AdmissionRequest {
  return {
    operation: "UPDATE",
    resource,
    oldObject: injectedPod(),
    object: changed(injectedPod(), change),
    namespace: SIDECAR,
  };
}

function annotationsOf(annotations: readonly [string, string][]): [string, string, AdmissionRequest][] {
  return annotations.map(([key, value]) => {
    const pod = changed(injectedPod(), ({ metadata }) => {
      metadata.annotations[key] = value;
    });
    return ["mcp-guard-sidecar-pods: 2", `${key}: ${value}`, create("pods", pod)];
  });
}

function waypointPod(): {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: { containers: Container[] };
} {
  const labels = {
    "gateway.networking.k8s.io/gateway-class-name": "istio-waypoint",
    "istio.io/dataplane-mode": "none",
    "sidecar.istio.io/inject": "false",
  };
  return { metadata: { labels, annotations: {} }, spec: { containers: [{ name: "istio-proxy" }] } };
}

function namespaceUpdate(
  change: (metadata: { labels: Record<string, string> }) => void,
  metadata: object = {},
  overlay = "sidecar",
): AdmissionRequest {
  const { labels = {} } = theOne(rendered(overlay), "Namespace").metadata;
  const object = { metadata: { ...metadata, labels: { ...labels } } };
  change(object.metadata);
  return { operation: "UPDATE", resource: "namespaces", oldObject: { metadata: { ...metadata, labels } }, object };
}
