// The approval service of good/approval.yaml, wrong in one way each, and a guard that asks it wrongly. What mcp-guard check must find, and nothing else.
import type { Broken, Edit } from "./broken.ts";

/** The service that the sets `asking` and `asking-waypoint` ask. */
export const ASKED_HOST = "clerk.counter.svc.cluster.local";
export const ASKED = { cluster: `outbound|8443||${ASKED_HOST}`, authority: `${ASKED_HOST}:8443` };

const change = (from: string, to: string): Edit[] => [{ from, to }];
const add = (to: string): Edit[] => [{ to: `---\n${to}` }];

const GUARDS = "[cluster.local/ns/desk/sa/tickets-sa]";
const PEOPLE = "[cluster.local/ns/hall/sa/usher]";
const TO_PEOPLE = '    to:\n    - operation:\n        ports: ["7070"]\n';
const AUTHORITY = `"authority":"${ASKED.authority}"`;
const withVariable = change(AUTHORITY, `${AUTHORITY},"secret_env":"GUARD_SECRET"`);
/** An entry that gives the guard its variable. */
const variable = (entry: string): Edit[] =>
  change(
    "  failStrategy: FAIL_RELOAD\n",
    `  failStrategy: FAIL_RELOAD\n  vmConfig: { env: [{ name: GUARD_SECRET, ${entry} }] }\n`,
  );
const allowing = (source: string, to = ""): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: more, namespace: counter }
spec: { selector: { matchLabels: { app: clerk } }, rules: [{ from: [{ source: { ${source} } }]${to} }] }
`;
const letting = (from: string, ports: string): string => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: more, namespace: counter }
spec: { podSelector: {}, policyTypes: [Ingress], ingress: [{ from: [${from}]${ports} }] }
`;
const workload = (
  name: string,
  label: string,
  namespace = "desk",
  account = `${name}-sa`,
): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: ${namespace} }
spec: { template: { metadata: { labels: { app: ${label} } }, spec: { serviceAccountName: ${account} } } }
`;

/** One thing that is wrong with the service itself, for each rule about servers that holds for it too. */
export const WEAK: readonly { rule: string; edits: Edit[]; count?: number; also?: string[] }[] = [
  {
    rule: "injection-off",
    edits: change(
      "      labels:\n        app: clerk\n",
      '      labels: { app: clerk, sidecar.istio.io/inject: "false" }\n',
    ),
  },
  {
    rule: "namespace-missing",
    edits: change("kind: Namespace\nmetadata:\n  name: counter\n", "kind: Namespace\nmetadata:\n  name: office\n"),
  },
  {
    rule: "envoy-filter",
    edits: add(
      "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: { name: patch, namespace: counter }\nspec: { configPatches: [] }\n",
    ),
  },
  {
    rule: "agentgateway",
    edits: add(
      "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: gate, namespace: counter }\nspec: { gatewayClassName: istio-agentgateway }\n",
    ),
  },
  { rule: "service-account-default", edits: change("      serviceAccountName: clerk-sa\n", "") },
  { rule: "service-account-shared", edits: add(workload("letters", "letters", "counter", "clerk-sa")) },
  {
    rule: "service-account-missing",
    edits: change("      serviceAccountName: clerk-sa\n", "      serviceAccountName: clark-sa\n"),
  },
  {
    rule: "service-account-rights",
    edits: add(
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: { name: all }\nroleRef: { kind: ClusterRole, name: cluster-admin }\nsubjects: [{ kind: ServiceAccount, name: clerk-sa, namespace: counter }]\n",
    ),
  },
  {
    rule: "token-mounted",
    edits: change(
      "clerk-sa\n      automountServiceAccountToken: false\n",
      "clerk-sa\n      automountServiceAccountToken: true\n",
    ),
  },
  {
    rule: "host-namespace",
    edits: change("containerPort: 7071 }", "containerPort: 7071, hostPort: 7071 }"),
  },
  {
    rule: "host-path",
    edits: change(
      "      serviceAccountName: clerk-sa\n",
      "      serviceAccountName: clerk-sa\n      volumes: [{ name: run, hostPath: { path: /var/run } }]\n",
    ),
  },
  {
    rule: "pod-security",
    edits: change(
      "  name: counter\n  labels:\n    istio-injection: enabled\n    pod-security.kubernetes.io/enforce: restricted\n",
      "  name: counter\n  labels:\n    istio-injection: enabled\n    pod-security.kubernetes.io/enforce: baseline\n",
    ),
  },
  { rule: "run-as-root", edits: change("runAsUser: 20002", "runAsUser: 0") },
  { rule: "run-as-proxy", edits: change("runAsUser: 20002", "runAsUser: 1337") },
  { rule: "privilege-escalation", edits: change("{ allowPrivilegeEscalation: false, ", "{ ") },
  {
    rule: "privileged",
    edits: change("{ allowPrivilegeEscalation: false, ", "{ privileged: true, allowPrivilegeEscalation: false, "),
  },
  { rule: "capabilities", edits: change(", capabilities: { drop: [ALL] }", "") },
  { rule: "seccomp", edits: change("{ type: Localhost, localhostProfile: clerk.json }", "{ type: Unconfined }") },
  { rule: "writable-root", edits: change(", readOnlyRootFilesystem: true,", ",") },
  {
    rule: "image-not-pinned",
    edits: change(`registry.example/clerk@sha256:${"4".repeat(64)}`, "registry.example/clerk:v1"),
  },
  { rule: "no-limits", edits: change("        resources: { limits: { memory: 512Mi } }\n", "") },
  {
    rule: "static-credential",
    edits: change(
      "valueFrom: { secretKeyRef: { name: database, key: url } }",
      "value: postgres://clerk:hush@database.example/clerk",
    ),
  },
  {
    rule: "configmap-credential",
    edits: [
      ...change(
        "      - name: clerk\n",
        "      - name: clerk\n        envFrom: [{ configMapRef: { name: settings } }]\n",
      ),
      ...add(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings, namespace: counter }\ndata: { OIDC_CLIENT_SECRET: hush }\n",
      ),
    ],
  },
  {
    rule: "sidecar-missing",
    edits: change(
      "  workloadSelector:\n    labels:\n      app: clerk\n",
      "  workloadSelector:\n    labels:\n      app: clark\n",
    ),
  },
  { rule: "sidecar-not-registry-only", edits: change("{ mode: REGISTRY_ONLY }", "{ mode: ALLOW_ANY }") },
  { rule: "sidecar-wide-hosts", edits: change("[istio-system/*, ./database.example]", '["*/*"]') },
  {
    rule: "service-entry-exported",
    edits: change('  - database.example\n  exportTo: ["."]\n', "  - database.example\n"),
  },
  { rule: "service-entry-wildcard", edits: change("  - database.example\n", '  - "*.example"\n') },
  {
    rule: "service-entry-resolution",
    edits: change(
      '  - database.example\n  exportTo: ["."]\n  resolution: DNS\n',
      '  - database.example\n  exportTo: ["."]\n',
    ),
  },
  {
    rule: "network-policy-missing",
    edits: [
      ...change(
        "  name: shut\n  namespace: counter\nspec:\n  podSelector: {}\n  policyTypes: [Ingress, Egress]\n",
        "  name: shut\n  namespace: counter\nspec:\n  podSelector: {}\n  policyTypes: [Ingress]\n",
      ),
      ...change(
        "  name: database\n  namespace: counter\nspec:\n  podSelector:\n    matchLabels:\n      app: clerk\n",
        "  name: database\n  namespace: counter\nspec:\n  podSelector:\n    matchLabels:\n      app: clark\n",
      ),
    ],
  },
  { rule: "network-policy-open", edits: change("198.51.100.7/32", "0.0.0.0/0") },
  {
    rule: "traffic-excluded",
    edits: change(
      "    metadata:\n      labels:\n        app: clerk\n",
      '    metadata:\n      annotations: { traffic.sidecar.istio.io/excludeInboundPorts: "7071" }\n      labels:\n        app: clerk\n',
    ),
  },
  { rule: "mtls-not-strict", edits: change("mtls: { mode: STRICT }", "mtls: { mode: PERMISSIVE }") },
  {
    rule: "mtls-port-exception",
    edits: add(
      "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: port, namespace: counter }\nspec: { selector: { matchLabels: { app: clerk } }, portLevelMtls: { 7071: { mode: PERMISSIVE } } }\n",
    ),
  },
  {
    rule: "no-allow-nothing",
    edits: change(
      "  name: nobody\n  namespace: counter\nspec: {}\n",
      "  name: nobody\n  namespace: counter\nspec: { action: DENY }\n",
    ),
  },
  {
    rule: "service-protocol",
    edits: change("  - name: http-guards\n    port: 8443\n", "  - name: guards\n    port: 8443\n"),
  },
  {
    rule: "ingress-policy-missing",
    edits: [
      ...change(
        "  name: shut\n  namespace: counter\nspec:\n  podSelector: {}\n  policyTypes: [Ingress, Egress]\n",
        "  name: shut\n  namespace: counter\nspec:\n  podSelector: {}\n  policyTypes: [Egress]\n",
      ),
      ...["people", "guards"].flatMap((name) =>
        change(
          `kind: NetworkPolicy\nmetadata:\n  name: ${name}\n  namespace: counter\n`,
          `kind: NetworkPolicy\nmetadata:\n  name: ${name}\n  namespace: office\n`,
        ),
      ),
    ],
  },
  { rule: "ingress-policy-open", edits: add(letting("", ", ports: [{ port: 7071 }]")) },
];

export const BROKEN_SERVICE: readonly Broken[] = [
  {
    rule: "approval-service-missing",
    what: "a cluster that is no Service",
    edits: change(ASKED.cluster, "approval"),
  },
  {
    rule: "approval-service-missing",
    what: "a Service of another namespace",
    edits: change(`8443||${ASKED_HOST}`, "8443||clerk.office.svc.cluster.local"),
  },
  {
    rule: "approval-service-missing",
    what: "a subset, for which Istio makes no cluster",
    edits: change("outbound|8443||", "outbound|8443|v1|"),
  },
  {
    rule: "approval-service-missing",
    what: "a port that the Service does not have",
    edits: change("outbound|8443|", "outbound|8444|"),
  },
  {
    rule: "approval-service-missing",
    what: "a Service without pods",
    edits: change("  selector:\n    app: clerk\n", "  selector:\n    app: clark\n"),
  },
  {
    rule: "approval-service-hidden",
    what: "a Sidecar without the host",
    edits: change(`    - counter/${ASKED_HOST}\n`, ""),
  },
  {
    rule: "approval-service-hidden",
    what: "a Sidecar with such a host of its own namespace",
    edits: change(`    - counter/${ASKED_HOST}\n`, `    - ./${ASKED_HOST}\n`),
  },
  {
    rule: "approval-service-hidden",
    what: "a Sidecar with another host of the service's namespace",
    edits: change(`    - counter/${ASKED_HOST}\n`, "    - counter/reports.counter.svc.cluster.local\n"),
  },
  {
    rule: "approval-filter-shut",
    what: "an account that is mistyped",
    edits: change(GUARDS, "[cluster.local/ns/desk/sa/ticket-sa]"),
    also: ["approval-filter-open"],
  },
  {
    rule: "approval-filter-shut",
    what: "an account of another namespace",
    edits: change(GUARDS, "[cluster.local/ns/office/sa/tickets-sa]"),
    also: ["approval-filter-open"],
  },
  {
    rule: "approval-filter-shut",
    what: "guards on another port",
    edits: change('        ports: ["7071"]\n', '        ports: ["8443"]\n'),
  },
  {
    rule: "approval-filter-shut",
    what: "the server's account where the waypoint asks",
    set: "asking-waypoint",
    edits: change("[cluster.local/ns/desk/sa/turnpike]", GUARDS),
    also: ["approval-filter-open"],
  },
  {
    rule: "approval-filter-open",
    what: "the namespace of the servers",
    edits: change(`principals: ${GUARDS}`, "namespaces: [desk]"),
  },
  {
    rule: "approval-filter-open",
    what: "every account of the namespace",
    edits: change(GUARDS, "[cluster.local/ns/desk/sa/*]"),
  },
  {
    rule: "approval-filter-open",
    what: "guards or everybody",
    edits: change(
      `    - source:\n        principals: ${GUARDS}\n`,
      `    - source: { principals: ${GUARDS} }\n    - source: { notNamespaces: [office] }\n`,
    ),
  },
  {
    rule: "approval-filter-open",
    what: "the gateway that agents come in by",
    edits: change(GUARDS, "[cluster.local/ns/desk/sa/tickets-sa, cluster.local/ns/door/sa/porter]"),
  },
  {
    rule: "approval-filter-open",
    what: "an account of the service's own namespace with the name of the guard's",
    edits: add(allowing("serviceAccounts: [tickets-sa]", ', to: [{ operation: { ports: ["7071"] } }]')),
  },
  {
    rule: "approval-filter-open",
    what: "the gateway of the pages on every port",
    edits: change(TO_PEOPLE, ""),
  },
  {
    rule: "approval-filter-open",
    what: "the gateway of the pages on every port but another one",
    edits: change('        ports: ["7070"]\n', '        notPorts: ["9090"]\n'),
  },
  {
    rule: "approval-filter-open",
    what: "the gateway of the pages by another operation",
    edits: change(TO_PEOPLE, `${TO_PEOPLE}    - operation: { paths: [/metrics] }\n`),
  },
  {
    rule: "approval-filter-open",
    what: "everybody, in a policy of the mesh",
    edits: add(
      'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: all, namespace: istio-system }\nspec: { selector: { matchLabels: { app: clerk } }, rules: [{ to: [{ operation: { ports: ["7071"] } }] }] }\n',
    ),
  },
  {
    rule: "approval-filter-open",
    what: "no policy that allows anything",
    edits: [
      ...change(
        "  name: nobody\n  namespace: counter\nspec: {}\n",
        "  name: nobody\n  namespace: counter\nspec: { action: DENY }\n",
      ),
      ...["people", "guards"].flatMap((name) =>
        change(
          `  name: ${name}\n  namespace: counter\nspec:\n  selector:`,
          `  name: ${name}\n  namespace: counter\nspec:\n  action: AUDIT\n  selector:`,
        ),
      ),
    ],
    also: ["approval-browser-open", "approval-service-weak"],
  },
  {
    rule: "approval-filter-network",
    what: "the whole namespace of the servers",
    edits: change(
      "          kubernetes.io/metadata.name: desk\n      podSelector:\n        matchLabels:\n          app: tickets\n",
      "          kubernetes.io/metadata.name: desk\n",
    ),
  },
  {
    rule: "approval-filter-network",
    what: "a workload beside the guarded one",
    edits: [
      ...change(
        "      podSelector:\n        matchLabels:\n          app: tickets\n",
        "      podSelector:\n        matchExpressions: [{ key: app, operator: In, values: [tickets, letters] }]\n",
      ),
      ...add(workload("letters", "letters")),
    ],
  },
  {
    rule: "approval-filter-network",
    what: "a range of addresses",
    edits: change(
      "    ports:\n    - port: http-guards\n",
      "    - ipBlock: { cidr: 198.51.100.0/24 }\n    ports:\n    - port: http-guards\n",
    ),
  },
  {
    rule: "approval-filter-network",
    what: "a workload of the service's own namespace",
    edits: [
      { to: `---\n${letting("{ podSelector: { matchLabels: { app: letters } } }", ", ports: [{ port: 7071 }]")}` },
      { to: `---\n${workload("letters", "letters", "counter")}` },
    ],
  },
  {
    rule: "approval-filter-network",
    what: "pods that nobody has handed in, in a range of ports",
    edits: add(
      letting(
        "{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: door } }, podSelector: { matchLabels: { app: porter } } }",
        ", ports: [{ port: 7000, endPort: 7100 }]",
      ),
    ),
  },
  {
    rule: "approval-filter-network",
    what: "the namespace of the pages' gateway, on every port",
    edits: change(
      "          kubernetes.io/metadata.name: hall\n    ports:\n    - port: 7070\n",
      "          kubernetes.io/metadata.name: hall\n",
    ),
  },
  {
    rule: "approval-filter-network",
    what: "the server's pods where the waypoint asks",
    set: "asking-waypoint",
    edits: change("          gateway.networking.k8s.io/gateway-name: turnpike\n", "          app: tickets\n"),
  },
  {
    rule: "approval-browser-open",
    what: "the account of an MCP server",
    edits: change(PEOPLE, GUARDS),
  },
  {
    rule: "approval-browser-open",
    what: "the account of the waypoint",
    set: "asking-waypoint",
    edits: change(PEOPLE, "[cluster.local/ns/desk/sa/turnpike]"),
  },
  {
    rule: "approval-browser-open",
    what: "the guards on every port",
    edits: change('        ports: ["7071"]\n        methods: [POST]\n', "        methods: [POST]\n"),
  },
  {
    rule: "approval-browser-open",
    what: "a second caller",
    edits: change(PEOPLE, "[cluster.local/ns/hall/sa/usher, cluster.local/ns/door/sa/porter]"),
  },
  {
    rule: "approval-browser-open",
    what: "any account of a namespace",
    edits: change(PEOPLE, "[cluster.local/ns/hall/sa/*]"),
  },
  {
    rule: "approval-browser-open",
    what: "everybody",
    edits: change(`  - from:\n    - source:\n        principals: ${PEOPLE}\n    to:\n`, "  - to:\n"),
  },
  {
    rule: "approval-browser-shut",
    what: "no policy for the pages",
    edits: change('        ports: ["7070"]\n', '        ports: ["7170"]\n'),
  },
  {
    rule: "approval-browser-shut",
    what: "no port for the pages",
    edits: change("  - name: http-people\n    port: 81\n    targetPort: 7070\n", ""),
  },
  {
    rule: "approval-service-without-proxy",
    what: "a namespace of the service without injection",
    edits: change("  name: counter\n  labels:\n    istio-injection: enabled\n", "  name: counter\n  labels:\n"),
  },
  ...WEAK.map(({ rule, edits, count = 1 }) => ({ rule: "approval-service-weak", what: rule, edits, count })),
  {
    rule: "approval-secret-inline",
    what: "a secret in the guard's manifest",
    edits: [...withVariable, ...variable("value: hush")],
  },
  {
    rule: "approval-secret-inline",
    what: "a secret in the guard's manifest, said to be there",
    edits: [...withVariable, ...variable("valueFrom: INLINE, value: hush")],
  },
  {
    rule: "approval-secret-missing",
    what: "a variable that the filter does not get",
    edits: withVariable,
  },
].map((row): Broken => ({ set: "asking", ...row }) as Broken);

/** The same sets, with changes that are right as well. */
export const SOUND_SERVICE: readonly Pick<Broken, "what" | "set" | "edits">[] = [
  {
    what: "a service that is called as MCP servers are",
    edits: change("kind: Deployment\nmetadata:\n  name: clerk\n", "kind: Deployment\nmetadata:\n  name: mcp-clerk\n"),
  },
  {
    what: "guards by their accounts",
    edits: change(`principals: ${GUARDS}`, "serviceAccounts: [desk/tickets-sa]"),
  },
  {
    what: "a guard's waypoint by its account",
    set: "asking-waypoint",
    edits: change("principals: [cluster.local/ns/desk/sa/turnpike]", "serviceAccounts: [desk/turnpike]"),
  },
  {
    what: "every port but the one for guards",
    edits: change('        ports: ["7070"]\n', '        notPorts: ["7071"]\n'),
  },
  {
    what: "a Sidecar with all hosts of the service's namespace",
    edits: change(`    - counter/${ASKED_HOST}\n`, "    - counter/*\n"),
  },
  {
    what: "a service in ambient mode",
    edits: change(
      "  name: counter\n  labels:\n    istio-injection: enabled\n",
      "  name: counter\n  labels:\n    istio.io/dataplane-mode: ambient\n",
    ),
  },
  {
    what: "a service with sidecars by a revision",
    edits: change(
      "  name: counter\n  labels:\n    istio-injection: enabled\n",
      "  name: counter\n  labels:\n    istio.io/rev: stable\n",
    ),
  },
  {
    what: "a policy that refuses guards something",
    edits: add(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: no, namespace: counter }\nspec: { action: DENY, rules: [{ to: [{ operation: { paths: [/metrics] } }] }] }\n",
    ),
  },
  {
    what: "a secret from the proxy's environment",
    edits: [...withVariable, ...variable("valueFrom: HOST")],
  },
].map((row) => ({ set: "asking", ...row }) as Pick<Broken, "what" | "set" | "edits">);
