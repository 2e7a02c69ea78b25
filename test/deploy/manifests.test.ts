// deploy/istio and examples/standard. Goal: the standard's objects are there under their names, its draft as the standard writes it, every policy is one
// that the filter takes, and a value that is declared opens exactly itself. Method: the files against the standard's text and against each other;
// Istio's own validation is in test/mesh.
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readSettings } from "../../approval/settings.ts";
import { Filter } from "../../src/policy/filter.ts";
import { policyPlace } from "../../src/policy/policy-place.ts";
import { projectPath } from "../../src/project.ts";
import { schemaComplaints } from "../config/schema.ts";
import { type Manifest, manifestFiles, readManifests, theOne } from "./manifest-files.ts";

const FILTER = new Filter(readFileSync(projectPath("build", "plugin.wasm")));

/** The WasmPlugin of the security standard, word for word. */
const STANDARD = `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: mcp-tool-guard
  namespace: ai-agents
spec:
  selector:
    matchLabels:
      app: github-mcp-server
  url: oci://internal-registry.io/mcp-guard-filter:v1
  pluginConfig:
    tool_allowlist:
    - search_code
    - get_pull_request
`;

const PINNED = /^oci:\/\/internal-registry\.io\/mcp-guard-filter@sha256:[0-9a-f]{64}$/;
const BASE = manifestFiles("deploy", "istio", "base").flatMap(readManifests);
const RENDERED = manifestFiles("deploy", "istio", "rendered");
const withoutComments = (yaml: string): string => yaml.replaceAll(/^ *#.*\n|^\n/gm, "");
const rendered = (name: string): Manifest[] => readManifests(`deploy/istio/rendered/${name}.yaml`);
const overlays = RENDERED.filter((file) => !/\/(admission|approval-service|gateway(-on-behalf-of)?)\.yaml$/.test(file));

test("the standard's resource is there, and only comments came in addition", () => {
  const text = readFileSync(projectPath("examples", "standard", "mcp-tool-guard.yaml"), "utf8");
  expect(withoutComments(text)).toBe(STANDARD);
  expect(text).toMatch(/^ *#/m);
});

test.each([["deploy/istio/base"], ["examples/standard"]])(
  "%s has the standard's objects under their names",
  (folder) => {
    const names = manifestFiles(...folder.split("/"))
      .flatMap(readManifests)
      .map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    expect(names).toEqual(
      expect.arrayContaining([
        "WasmPlugin ai-agents/mcp-tool-guard",
        "AuthorizationPolicy ai-agents/mcp-access-policy",
        "ServiceAccount ai-agents/github-mcp-sa",
        "Deployment ai-agents/github-mcp-server",
        "ServiceEntry ai-agents/external-api-allowlist",
        "Sidecar ai-agents/mcp-egress-lockdown",
      ]),
    );
  },
);

/** Every guard of the tree, with the file it stands in. */
const guards = [...manifestFiles("deploy", "istio", "base"), ...RENDERED, ...manifestFiles("examples", "standard")]
  .flatMap((file) => readManifests(file).map((manifest) => ({ file, manifest })))
  .flatMap(({ file, manifest }) => {
    const place = policyPlace(manifest.kind);
    return place === undefined ? [] : [{ file, manifest, policy: memberOf(manifest, place) }];
  });

describe.each(guards.map((guard) => [guard.file, guard] as const))("the guard of %s", (file, { manifest, policy }) => {
  test("has a policy that the schema and the filter take", () => {
    expect(policy).toMatchObject({ tool_allowlist: ["search_code", "get_pull_request"] });
    expect(schemaComplaints(policy)).toEqual([]);
    expect(FILTER.refusal(JSON.stringify(policy))).toBeUndefined();
  });

  test("fails closed, by what it says or by what Istio does then", () => {
    const wasm = (manifest.spec.wasm ?? manifest.spec) as Record<string, unknown>;
    expect(wasm.failStrategy).toBe(file.startsWith("examples/") ? undefined : "FAIL_RELOAD");
  });
});

test("each overlay has one guard, and so has the base", () => {
  expect(overlays.length).toBeGreaterThan(5);
  for (const file of ["deploy/istio/base/guard.yaml", ...overlays]) {
    expect(guards.filter((guard) => guard.file === file).length, file).toBe(1);
  }
});

test("the base's guard leaves nothing open", () => {
  expect(theOne(BASE, "WasmPlugin").spec).toMatchObject({
    url: expect.stringMatching(PINNED),
    failStrategy: "FAIL_RELOAD",
    match: [{ mode: "SERVER" }],
    phase: "STATS",
    priority: 0,
    pluginName: "mcp-guard",
    pluginConfig: {
      identity: {
        header: { name: "User-Identity", trusted_gateways: ["spiffe://cluster.local/ns/gateway/sa/ai-gateway"] },
        require_human: true,
      },
    },
  });
});

test("the TrafficExtension is the WasmPlugin in its form", () => {
  const { wasm, ...around } = theOne(rendered("traffic-extension"), "TrafficExtension").spec;
  expect({ ...around, ...(wasm as object) }).toEqual(theOne(BASE, "WasmPlugin").spec);
});

test("the waypoint's guard is the WasmPlugin at another place", () => {
  const { selector: _, ...sidecar } = theOne(BASE, "WasmPlugin").spec;
  const { targetRefs, ...waypoint } = theOne(rendered("waypoint"), "WasmPlugin").spec;
  expect(waypoint).toEqual(sidecar);
  expect(targetRefs).toEqual([{ group: "", kind: "Service", name: "github-mcp-server" }]);
});

describe("the mended draft", () => {
  test("refuses plain text, and what no policy allows", () => {
    const peer = theOne(BASE, "PeerAuthentication");
    expect(peer).toMatchObject({ metadata: { name: "default" }, spec: { mtls: { mode: "STRICT" } } });
    expect(Object.keys(peer.spec)).toEqual(["mtls"]);
    expect(theOne(BASE, "AuthorizationPolicy", "allow-nothing").spec).toEqual({});
  });

  test("admits the gateway alone, by port, method and path", () => {
    expect(theOne(BASE, "AuthorizationPolicy", "mcp-access-policy").spec).toEqual({
      selector: { matchLabels: { app: "github-mcp-server" } },
      action: "ALLOW",
      rules: [
        {
          from: [{ source: { principals: ["cluster.local/ns/gateway/sa/ai-gateway"] } }],
          to: [{ operation: { ports: ["8080"], methods: ["POST"], paths: ["/rpc", "/sse"] } }],
        },
      ],
    });
  });

  test("runs the server as Pod Security restricted wants it", () => {
    const { template } = theOne(BASE, "Deployment").spec as { template: { spec: Record<string, unknown> } };
    expect(template.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          image: expect.stringMatching(/@sha256:[0-9a-f]{64}$/),
          securityContext: {
            allowPrivilegeEscalation: false,
            privileged: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          resources: { limits: expect.objectContaining({ memory: expect.any(String) }) },
        },
      ],
    });
  });

  test("selects the same pods in every layer", () => {
    const labels = { app: "github-mcp-server" };
    for (const kind of ["WasmPlugin", "Telemetry", "PodDisruptionBudget", "Deployment"]) {
      expect(theOne(BASE, kind).spec.selector, kind).toEqual({ matchLabels: labels });
    }
    expect(theOne(BASE, "Service").spec.selector).toEqual(labels);
    expect(theOne(BASE, "Sidecar").spec.workloadSelector).toEqual({ labels });
    for (const policy of BASE.filter(
      ({ kind, metadata }) => kind === "NetworkPolicy" && metadata.namespace === "ai-agents",
    )) {
      expect(policy.spec.podSelector).toEqual(policy.metadata.name === "default-deny" ? {} : { matchLabels: labels });
    }
  });

  test("lets out what is declared, in this namespace alone", () => {
    expect(theOne(BASE, "ServiceEntry").spec).toMatchObject({ exportTo: ["."], hosts: ["api.github.com"] });
    expect(theOne(BASE, "Sidecar").spec).toMatchObject({
      outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
      egress: [{ hosts: ["istio-system/*", "approval/approval.approval.svc.cluster.local", "./api.github.com"] }],
    });
  });

  test("opens no NetworkPolicy to everywhere", () => {
    for (const file of ["deploy/istio/base/egress.yaml", ...overlays]) {
      for (const policy of readManifests(file).filter(({ kind }) => kind === "NetworkPolicy")) {
        for (const [direction, peers] of [
          ["egress", "to"],
          ["ingress", "from"],
        ] as const) {
          const rules = (policy.spec[direction] ?? []) as Record<string, unknown[] | undefined>[];
          for (const rule of rules) expect(rule[peers]?.length, `${file} ${policy.metadata.name}`).toBeGreaterThan(0);
        }
        expect(JSON.stringify(policy.spec)).not.toMatch(/"cidr":"[^"]*\/0"/);
      }
    }
  });
});

describe("what an overlay declares opens itself and nothing else", () => {
  const keyOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;

  /** The objects that are in one list and not, or not so, in the other. */
  function difference(one: readonly Manifest[], other: readonly Manifest[]): string[] {
    const known = new Map(other.map((manifest) => [keyOf(manifest), JSON.stringify(manifest)]));
    return one.filter((manifest) => known.get(keyOf(manifest)) !== JSON.stringify(manifest)).map(keyOf);
  }

  test.each<[string, string[]]>([
    ["sidecar", ["NetworkPolicy mcp-registry"]],
    ["traffic-extension", ["TrafficExtension mcp-tool-guard", "NetworkPolicy mcp-registry"]],
    ["image-volume", ["Deployment github-mcp-server", "WasmPlugin mcp-tool-guard"]],
    ["legacy", ["NetworkPolicy mcp-registry", "AuthorizationPolicy mcp-access-policy"]],
    [
      "modern",
      ["NetworkPolicy mcp-registry", "AuthorizationPolicy mcp-access-policy", "AuthorizationPolicy mcp-tool-headers"],
    ],
    [
      "on-behalf-of",
      [
        "Deployment github-mcp-server",
        "WasmPlugin mcp-tool-guard",
        "DestinationRule mcp-token-service",
        "ServiceEntry mcp-token-service",
        "Sidecar mcp-egress-lockdown",
        "NetworkPolicy mcp-registry",
        "NetworkPolicy mcp-token-service",
        "RequestAuthentication mcp-callers",
      ],
    ],
    [
      "audit",
      [
        "WasmPlugin mcp-tool-guard",
        "ServiceEntry aws-sts",
        "Sidecar mcp-egress-lockdown",
        "NetworkPolicy mcp-collector",
        "NetworkPolicy mcp-registry",
        "NetworkPolicy mcp-sts",
      ],
    ],
    [
      "waypoint",
      [
        "Namespace ai-agents",
        "WasmPlugin mcp-tool-guard",
        "Gateway mcp-waypoint",
        "AuthorizationPolicy mcp-approval-guard",
        "NetworkPolicy mcp-approval",
        "NetworkPolicy mcp-approval-guard",
        "NetworkPolicy mcp-ingress",
        "NetworkPolicy mcp-platform",
        "NetworkPolicy mcp-registry",
        "NetworkPolicy mcp-waypoint",
        "AuthorizationPolicy mcp-access-policy",
        "AuthorizationPolicy mcp-waypoint-only",
        "AuthorizationPolicy waypoint-allow-nothing",
        "Telemetry mcp-audit",
      ],
    ],
  ])("%s", (name, changed) => {
    // Kustomize writes lists and members in an order of its own.
    const base = rendered("base");
    expect(difference(rendered(name), base).sort()).toEqual([...changed].sort());
  });

  test("the collector and STS, in the Sidecar, as a host and as addresses", () => {
    const manifests = rendered("audit");
    expect(theOne(manifests, "Sidecar").spec.egress).toEqual([
      {
        hosts: [
          "istio-system/*",
          "approval/approval.approval.svc.cluster.local",
          "./api.github.com",
          "./sts.eu-west-1.amazonaws.com",
          "observability/otel-collector.observability.svc.cluster.local",
        ],
      },
    ]);
    expect(theOne(manifests, "ServiceEntry", "aws-sts").spec).toMatchObject({
      hosts: ["sts.eu-west-1.amazonaws.com"],
      exportTo: ["."],
    });
    expect(theOne(manifests, "NetworkPolicy", "mcp-sts").spec.egress).toEqual([
      { to: [{ ipBlock: { cidr: "10.0.0.20/32" } }], ports: [{ protocol: "TCP", port: 443 }] },
    ]);
    expect(theOne(manifests, "NetworkPolicy", "mcp-collector").spec.egress).toEqual([
      {
        to: [
          {
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "observability" } },
            podSelector: { matchLabels: { app: "otel-collector" } },
          },
        ],
        ports: [{ protocol: "TCP", port: 4318 }],
      },
    ]);
    expect(theOne(manifests, "WasmPlugin").spec.pluginConfig).toMatchObject({
      audit: {
        otlp: {
          cluster: "outbound|4318||otel-collector.observability.svc.cluster.local",
          authority: "otel-collector.observability.svc.cluster.local:4318",
        },
      },
    });
  });

  test("the token service, in the Sidecar, as a host with TLS and as addresses; the guard's secret by reference", () => {
    const manifests = rendered("on-behalf-of");
    expect(theOne(manifests, "Sidecar").spec.egress).toEqual([
      {
        hosts: ["istio-system/*", "approval/approval.approval.svc.cluster.local", "./api.github.com", "./idp.example"],
      },
    ]);
    expect(theOne(manifests, "ServiceEntry", "mcp-token-service").spec).toEqual({
      hosts: ["idp.example"],
      exportTo: ["."],
      location: "MESH_EXTERNAL",
      resolution: "DNS",
      ports: [{ number: 443, name: "https", protocol: "HTTPS" }],
    });
    expect(theOne(manifests, "DestinationRule").spec).toEqual({
      host: "idp.example",
      exportTo: ["."],
      trafficPolicy: {
        tls: { mode: "SIMPLE", sni: "idp.example", subjectAltNames: ["idp.example"], caCertificates: "system" },
      },
    });
    expect(theOne(manifests, "NetworkPolicy", "mcp-token-service").spec.egress).toEqual([
      { to: [{ ipBlock: { cidr: "192.0.2.20/32" } }], ports: [{ protocol: "TCP", port: 443 }] },
    ]);
    expect(theOne(manifests, "RequestAuthentication").spec).toEqual({
      selector: { matchLabels: { app: "github-mcp-server" } },
      jwtRules: [
        {
          issuer: "https://idp.example",
          audiences: ["mcp-gateway"],
          jwksUri: "https://idp.example/.well-known/jwks.json",
          fromHeaders: [{ name: "Authorization", prefix: "Bearer " }],
          forwardOriginalToken: true,
        },
      ],
    });
    const { template } = theOne(manifests, "Deployment").spec as {
      template: { spec: { containers: Record<string, unknown>[] } };
    };
    const secret = { name: "mcp-guard-token-client", key: "client-secret" };
    expect(template.spec.containers.find(({ name }) => name === "istio-proxy")).toEqual({
      name: "istio-proxy",
      image: "auto",
      env: [{ name: "MCP_GUARD_CLIENT_SECRET", valueFrom: { secretKeyRef: secret } }],
    });
    // The server's own container has no part in it.
    expect(JSON.stringify(template.spec.containers.filter(({ name }) => name !== "istio-proxy"))).not.toMatch(
      /secretKeyRef|MCP_GUARD/,
    );
    expect(theOne(manifests, "WasmPlugin").spec).toMatchObject({
      vmConfig: { env: [{ name: "MCP_GUARD_CLIENT_SECRET", valueFrom: "HOST" }] },
      pluginConfig: {
        authorization: "exchange",
        token_exchange: {
          service: { cluster: "outbound|443||idp.example", authority: "idp.example" },
          client: { secret_env: "MCP_GUARD_CLIENT_SECRET" },
          audience: "github-mcp-server",
        },
      },
    });
  });

  test("no token of a caller reaches a server, in any overlay", () => {
    for (const { file, policy } of guards) {
      const expected = file.startsWith("examples/") ? undefined : /on-behalf-of/.test(file) ? "exchange" : "strip";
      expect((policy as { authorization?: string }).authorization, file).toBe(expected);
    }
  });

  test("the gateway leaves the token in the request for the guards alone that exchange it", () => {
    const forwarded = (name: string): unknown =>
      (theOne(rendered(name), "RequestAuthentication").spec.jwtRules as { forwardOriginalToken: boolean }[]).map(
        ({ forwardOriginalToken }) => forwardOriginalToken,
      );
    expect(forwarded("gateway")).toEqual([false]);
    expect(forwarded("gateway-on-behalf-of")).toEqual([true]);
    const others = (name: string) => rendered(name).filter(({ kind }) => kind !== "RequestAuthentication");
    expect(others("gateway-on-behalf-of")).toEqual(others("gateway"));
  });

  test("the registry: addresses alone, and none with an image volume", () => {
    expect(theOne(rendered("sidecar"), "NetworkPolicy", "mcp-registry").spec).toMatchObject({
      podSelector: { matchLabels: { app: "github-mcp-server" } },
      egress: [{ to: [{ ipBlock: { cidr: "10.0.0.10/32" } }], ports: [{ protocol: "TCP", port: 443 }] }],
    });
    const volume = rendered("image-volume");
    expect(volume.some(({ metadata }) => metadata.name === "mcp-registry")).toBe(false);
    const { template } = theOne(volume, "Deployment").spec as {
      template: { metadata: { annotations: Record<string, string> } };
    };
    const { annotations } = template.metadata;
    expect(JSON.parse(annotations["sidecar.istio.io/userVolume"] ?? "")).toEqual({
      "mcp-guard": {
        image: {
          reference: `internal-registry.io/mcp-guard-filter@sha256:${"0".repeat(64)}`,
          pullPolicy: "IfNotPresent",
        },
      },
    });
    const mount = JSON.parse(annotations["sidecar.istio.io/userVolumeMount"] ?? "") as {
      "mcp-guard": { mountPath: string };
    };
    expect(theOne(volume, "WasmPlugin").spec.url).toBe(`file://${mount["mcp-guard"].mountPath}/plugin.wasm`);
  });
});

describe("clients", () => {
  const operations = (name: string): unknown => {
    const [rule] = theOne(rendered(name), "AuthorizationPolicy", "mcp-access-policy").spec.rules as { to: unknown }[];
    return rule?.to;
  };

  test("of older revisions open streams and end sessions", () => {
    expect(operations("legacy")).toEqual([
      { operation: { ports: ["8080"], methods: ["POST"], paths: ["/rpc", "/sse"] } },
      { operation: { ports: ["8080"], methods: ["GET", "DELETE"], paths: ["/rpc"] } },
      { operation: { ports: ["8080"], methods: ["GET"], paths: ["/sse"] } },
      { operation: { ports: ["8080"], methods: ["POST"], paths: ["/messages"] } },
    ]);
  });

  test("of the modern one post, and their headers are looked at with the guard's list", () => {
    expect(operations("modern")).toEqual([{ operation: { ports: ["8080"], methods: ["POST"], paths: ["/rpc"] } }]);
    expect(theOne(rendered("modern"), "AuthorizationPolicy", "mcp-tool-headers").spec).toEqual({
      selector: { matchLabels: { app: "github-mcp-server" } },
      action: "DENY",
      rules: [
        {
          to: [{ operation: { ports: ["8080"], methods: ["POST"] } }],
          when: [{ key: "request.headers[mcp-method]", notValues: ["*"] }],
        },
        {
          to: [{ operation: { ports: ["8080"], methods: ["POST"] } }],
          when: [
            { key: "request.headers[mcp-method]", values: ["tools/call"] },
            { key: "request.headers[mcp-name]", notValues: ["search_code", "get_pull_request"] },
          ],
        },
      ],
    });
  });
});

test("behind a waypoint the workload speaks to the waypoint alone", () => {
  const manifests = rendered("waypoint");
  expect(theOne(manifests, "AuthorizationPolicy", "mcp-waypoint-only").spec).toEqual({
    selector: { matchLabels: { app: "github-mcp-server" } },
    action: "ALLOW",
    rules: [{ from: [{ source: { serviceAccounts: ["mcp-waypoint"] } }] }],
  });
  expect(theOne(manifests, "Gateway")).toMatchObject({
    metadata: { name: "mcp-waypoint" },
    spec: { gatewayClassName: "istio-waypoint" },
  });
  expect(theOne(manifests, "Namespace").metadata.labels).toMatchObject({
    "istio.io/dataplane-mode": "ambient",
    "istio.io/use-waypoint": "mcp-waypoint",
    "mcp-guard/guarded": "waypoint",
  });
  expect(manifests.some(({ kind }) => kind === "Sidecar")).toBe(false);
});

describe("the approval service", () => {
  const SERVICE = rendered("approval-service");
  const POLICY = (theOne(BASE, "WasmPlugin").spec.pluginConfig as { approval: Approval }).approval;
  interface Approval {
    page: string;
    service: { cluster: string; authority: string };
    keys: { kid: string; spki: string }[];
  }
  const settings = theOne(SERVICE, "ConfigMap") as unknown as { data: Record<string, string> };
  const pod = (theOne(SERVICE, "Deployment").spec.template as { spec: Pod }).spec;
  interface Pod {
    containers: {
      env?: unknown;
      ports: { name: string; containerPort: number }[];
      volumeMounts: { name: string; mountPath: string }[];
    }[];
    volumes: { name: string; secret?: { items: { path: string }[] } }[];
  }
  const [container] = pod.containers;

  test("starts with the settings of its manifests", () => {
    const mounted = (container?.volumeMounts ?? []).flatMap(({ name, mountPath }) =>
      (pod.volumes.find((volume) => volume.name === name)?.secret?.items ?? []).map(
        (item) => `${mountPath}/${item.path}`,
      ),
    );
    const read: string[] = [];
    const result = readSettings(settings.data, (file) => {
      read.push(file);
      return file.endsWith("/url") ? "postgres://approval:hush@approval-db.example/approval" : "hush";
    });
    // Everything else is a setting, and what is secret is a file.
    expect(container?.env).toBeUndefined();
    expect([...read, result.signing.keyFile].sort()).toEqual([...mounted].sort());
    expect(result).toMatchObject({
      host: "0.0.0.0",
      database: { kind: "postgres" },
      filter: { mesh: true, secrets: [] },
    });
    const ports = Object.fromEntries((container?.ports ?? []).map((port) => [port.name, port.containerPort]));
    expect(ports).toEqual({ "http-browser": result.port, "http-filter": result.filterPort });
  });

  test("is the one that the guard asks, and whose receipts it takes", () => {
    const { metadata, spec } = theOne(SERVICE, "Service");
    const port = (spec.ports as { name: string; port: number }[]).find(({ name }) => name === "http-filter")?.port;
    const host = `${metadata.name}.${metadata.namespace}.svc.cluster.local`;
    expect(POLICY.service).toEqual({ cluster: `outbound|${port}||${host}`, authority: `${host}:${port}` });
    expect(POLICY.page).toBe(`${settings.data.PUBLIC_URL}/a/`);
    expect(POLICY.keys.map(({ kid }) => kid)).toEqual([settings.data.SIGNING_KEY_ID]);
  });

  test("knows people by the claim that the gateway vouches for, from the same provider", () => {
    const [gateway] = readManifests("deploy/istio/gateway/identity.yaml").flatMap(({ spec }) =>
      Array.isArray(spec.jwtRules) ? spec.jwtRules : [],
    ) as { issuer: string; outputClaimToHeaders: { claim: string }[] }[];
    const { header } = (theOne(BASE, "WasmPlugin").spec.pluginConfig as { identity: { header: Header } }).identity;
    interface Header {
      trusted_gateways: string[];
    }
    expect(settings.data.OIDC_ISSUER).toBe(gateway?.issuer);
    expect(JSON.parse(settings.data.PRINCIPALS ?? "")).toEqual([
      { issuer: header.trusted_gateways[0], claim: gateway?.outputClaimToHeaders[0]?.claim },
    ]);
  });

  test("reaches the provider and its database, and nothing else", () => {
    const { hostname } = new URL(settings.data.OIDC_ISSUER ?? "");
    expect(theOne(SERVICE, "ServiceEntry", "approval-oidc").spec).toMatchObject({ exportTo: ["."], hosts: [hostname] });
    const database = theOne(SERVICE, "ServiceEntry", "approval-database").spec.hosts as string[];
    expect(theOne(SERVICE, "Sidecar").spec).toMatchObject({
      outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
      egress: [{ hosts: ["istio-system/*", `./${hostname}`, `./${database[0]}`] }],
    });
  });

  test("has a port for guards that nobody but the guard may use, and pages that it may not open", () => {
    const rules = (policies: readonly Manifest[]) =>
      policies
        .filter(({ kind, metadata }) => kind === "AuthorizationPolicy" && metadata.namespace === "approval")
        .map(({ spec }) => spec.rules);
    const of = (principal: string, operation: object) => [
      { from: [{ source: { principals: [principal] } }], to: [{ operation }] },
    ];
    const guard = (principal: string) =>
      of(principal, { ports: ["8081"], methods: ["POST"], paths: ["/v1/open", "/v1/poll", "/v1/claim"] });
    expect(rules(SERVICE)).toEqual([
      undefined,
      of("cluster.local/ns/ingress/sa/people-gateway", { ports: ["8080"], methods: ["GET", "POST"] }),
    ]);
    expect(rules(BASE)).toEqual([guard("cluster.local/ns/ai-agents/sa/github-mcp-sa")]);
    // Behind a waypoint that asks, and not the server.
    expect(rules(rendered("waypoint"))).toEqual([guard("cluster.local/ns/ai-agents/sa/mcp-waypoint")]);
    const from = (name: string) =>
      theOne(rendered(name), "NetworkPolicy", "mcp-approval-guard").spec.ingress as { from: unknown }[];
    expect(from("sidecar")[0]?.from).toEqual([
      {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ai-agents" } },
        podSelector: { matchLabels: { app: "github-mcp-server" } },
      },
    ]);
    expect(from("waypoint")[0]?.from).toEqual([
      {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ai-agents" } },
        podSelector: { matchLabels: { "gateway.networking.k8s.io/gateway-name": "mcp-waypoint" } },
      },
    ]);
  });

  test("signs with a key that has to be given: nobody has the private half of the one in the policy", () => {
    const key = createPublicKey({
      key: Buffer.from(POLICY.keys[0]?.spki ?? "", "base64"),
      format: "der",
      type: "spki",
    });
    // The point of P-256 whose x is zero; whoever knew its logarithm could not have chosen it.
    expect(key.export({ format: "jwk" })).toMatchObject({ crv: "P-256", x: Buffer.alloc(32).toString("base64url") });
  });

  test("runs as Pod Security restricted wants it, more than once, and goes in peace", () => {
    expect(theOne(SERVICE, "Deployment").spec).toMatchObject({
      replicas: 2,
      template: {
        spec: {
          automountServiceAccountToken: false,
          securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: "RuntimeDefault" } },
          terminationGracePeriodSeconds: expect.any(Number),
          containers: [
            {
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"] },
              },
              lifecycle: { preStop: { sleep: { seconds: expect.any(Number) } } },
              livenessProbe: { httpGet: { path: "/healthz" } },
              readinessProbe: { httpGet: { path: "/readyz" } },
            },
          ],
        },
      },
    });
    expect(theOne(SERVICE, "PodDisruptionBudget").spec.minAvailable).toBe(1);
    expect(theOne(SERVICE, "Namespace").metadata.labels).toMatchObject({
      "mcp-guard/guarded": "sidecar",
      "pod-security.kubernetes.io/enforce": "restricted",
    });
  });
});

test("the mesh writes the audit line in the format of the page", () => {
  const text = readFileSync(projectPath("deploy", "istio", "mesh", "helm-values.yaml"), "utf8");
  const { meshConfig } = parse(text) as {
    meshConfig: {
      outboundTrafficPolicy: unknown;
      extensionProviders: { name: string; envoyFileAccessLog: { path: string; logFormat: { text: string } } }[];
    };
  };
  expect(meshConfig.outboundTrafficPolicy).toEqual({ mode: "REGISTRY_ONLY" });
  const page = readFileSync(projectPath("docs", "audit.md"), "utf8");
  const [provider] = meshConfig.extensionProviders;
  expect(page).toContain(JSON.stringify(provider?.envoyFileAccessLog.logFormat.text));
  expect(theOne(BASE, "Telemetry").spec.accessLogging).toEqual([
    { match: { mode: "SERVER" }, providers: [{ name: provider?.name }] },
  ]);
});

function memberOf(value: unknown, place: readonly string[]): unknown {
  return place.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], value);
}
