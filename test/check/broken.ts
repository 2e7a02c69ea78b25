// Manifests that are wrong in one way each: the good ones of good/, with one change. What mcp-guard check must find, and nothing else.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: HCL has templates of its own.
import { BROKEN_SERVICE, SOUND_SERVICE } from "./broken-service.ts";
import { BROKEN_TOKENS, SOUND_TOKENS } from "./broken-tokens.ts";

/** One change of a good file: a text that stands there once, and what takes its place; without the text, what comes behind the file. */
export interface Edit {
  file?: "mesh.yaml" | "role.tf";
  from?: string;
  to: string;
}

/** One broken set. */
export interface Broken {
  /** The rule that finds it. */
  rule: string;
  /** What is wrong, for people. */
  what: string;
  /** Which of the good sets; sidecar unless it says another. */
  set?: "waypoint" | "asking" | "asking-waypoint" | "exchanging";
  edits: Edit[];
  /** How many findings, when it is more than one. */
  count?: number;
  /** Other rules that rightly find the same. */
  also?: string[];
}

const change = (from: string, to: string): Edit[] => [{ from, to }];
const role = (from: string, to: string): Edit[] => [{ file: "role.tf", from, to }];
const mesh = (from: string, to: string): Edit[] => [{ file: "mesh.yaml", from, to }];
const add = (to: string): Edit[] => [{ to: `---\n${to}` }];

const LOCK = "  name: lock\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: tickets\n";
const LIMITS = "        resources:\n          limits:\n            memory: 256Mi\n";
const TRUST_SUBJECT =
  '    condition {\n      test     = "StringEquals"\n      variable = "${var.issuer}:sub"\n      values   = [local.account]\n    }\n';
const TRUST_AUDIENCE =
  '    condition {\n      test     = "StringEquals"\n      variable = "${var.issuer}:aud"\n      values   = ["sts.amazonaws.com"]\n    }\n';
const SIDECAR_MODE = "  outboundTrafficPolicy:\n    mode: REGISTRY_ONLY\n  egress:";
const OTHER = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: reports
  namespace: desk
spec:
  template:
    metadata:
      labels:
        app: reports
    spec:
      serviceAccountName: tickets-sa
`;
const SECOND_LOCK = `apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata:
  name: bolt
  namespace: desk
spec:
  selector:
    matchLabels:
      app: tickets
  match: [{ mode: SERVER }]
  phase: STATS
  priority: 10
  wasm:
    url: oci://registry.example/filter@sha256:2222222222222222222222222222222222222222222222222222222222222222
    pluginConfig:
      tool_allowlist: [list_tickets]
      authorization: strip
      identity: { header: { name: User-Identity, trusted_gateways: [spiffe://cluster.local/ns/door/sa/porter] }, require_human: true }
`;
const binding = (kind: string, roleKind: string, name: string): string => `apiVersion: rbac.authorization.k8s.io/v1
kind: ${kind}
metadata: { name: tickets, namespace: desk }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ${roleKind}, name: ${name} }
subjects: [{ kind: ServiceAccount, name: tickets-sa, namespace: desk }]
`;
const kubeRole = (rules: string): string => `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: own, namespace: desk }
rules: [${rules}]
---
${binding("RoleBinding", "Role", "own")}`;
const PROXY = "      - name: istio-proxy\n";
const settings = (entry: string): string => `apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: desk }
data: { ${entry} }
`;
const envoyFilter = (namespace: string, spec: string): string => `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: patch, namespace: ${namespace} }
spec: ${spec}
`;

/** Pod Identity: a role that trusts the service alone, and an association that says for whom. */
const association = (account: string): Edit[] => [
  { from: "  annotations:\n    eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/tickets-role\n", to: "" },
  ...role('actions = ["sts:AssumeRoleWithWebIdentity"]', 'actions = ["sts:AssumeRole", "sts:TagSession"]'),
  ...role('["arn:aws:iam::123456789012:oidc-provider/oidc.example/id/1"]', '["pods.eks.amazonaws.com"]'),
  ...role(
    '"${var.issuer}:sub"\n      values   = [local.account]',
    '"aws:RequestTag/kubernetes-namespace"\n      values   = ["desk"]',
  ),
  ...role(
    '"${var.issuer}:aud"\n      values   = ["sts.amazonaws.com"]',
    `"aws:RequestTag/kubernetes-service-account"\n      values   = ["${account}"]`,
  ),
  ...role(
    'resource "aws_iam_policy" "limit"',
    `resource "aws_eks_pod_identity_association" "a" {\n  namespace       = "desk"\n  service_account = "${account}"\n  role_arn        = aws_iam_role.tickets.arn\n}\n\nresource "aws_iam_policy" "limit"`,
  ),
];

export const BROKEN: readonly Broken[] = [
  // Point 1.
  {
    rule: "guard-missing",
    what: "a label of the guard's selector that is mistyped",
    edits: change(LOCK, LOCK.replace("app: tickets", "app: tikets")),
    also: ["guard-selects-nothing"],
  },
  {
    rule: "guard-missing",
    what: "a guard in another namespace",
    edits: change("  name: lock\n  namespace: desk\n", "  name: lock\n  namespace: office\n"),
    also: ["guard-selects-nothing"],
  },
  {
    rule: "guard-missing",
    what: "a Service that uses no waypoint",
    set: "waypoint",
    edits: change("    istio.io/use-waypoint: turnpike\n", ""),
    also: ["guard-selects-nothing", "telemetry-missing"],
  },
  {
    rule: "guard-missing",
    what: "a Service that goes around the waypoint",
    set: "waypoint",
    edits: change(
      "kind: Service\nmetadata:\n  name: tickets\n",
      "kind: Service\nmetadata:\n  name: tickets\n  labels: { istio.io/use-waypoint: none }\n",
    ),
    also: ["guard-selects-nothing", "telemetry-missing"],
  },
  {
    rule: "guard-missing",
    what: "a guard for all waypoints outside of the root namespace",
    set: "waypoint",
    edits: change(
      '  name: lock\n  namespace: desk\nspec:\n  targetRefs:\n  - kind: Service\n    group: ""\n    name: tickets\n',
      "  name: lock\n  namespace: desk\nspec:\n  targetRefs:\n  - kind: GatewayClass\n    name: istio-waypoint\n",
    ),
    also: ["guard-selects-nothing"],
  },
  {
    rule: "guard-selects-nothing",
    what: "a guard for a workload that is not there",
    edits: add(SECOND_LOCK.replace("app: tickets", "app: letters")),
  },
  { rule: "guard-twice", what: "two guards with one selector", edits: add(SECOND_LOCK) },
  {
    rule: "guard-without-proxy",
    what: "a namespace without injection",
    edits: change("    istio-injection: enabled\n", ""),
  },
  {
    rule: "guard-without-proxy",
    what: "a namespace that switches injection off",
    edits: change("istio-injection: enabled", "istio-injection: disabled"),
  },
  {
    rule: "guard-without-proxy",
    what: "a guard for sidecars in ambient mode",
    edits: change("    istio-injection: enabled\n", "    istio.io/dataplane-mode: ambient\n"),
  },
  {
    rule: "injection-off",
    what: "an annotation against the sidecar",
    edits: change('        prometheus.io/scrape: "true"', '        sidecar.istio.io/inject: "false"'),
  },
  {
    rule: "injection-off",
    what: "a label against the sidecar",
    edits: change(
      "      labels:\n        app: tickets\n",
      '      labels:\n        app: tickets\n        sidecar.istio.io/inject: "false"\n',
    ),
  },
  {
    rule: "namespace-missing",
    what: "another Namespace",
    edits: change("kind: Namespace\nmetadata:\n  name: desk\n", "kind: Namespace\nmetadata:\n  name: office\n"),
  },
  { rule: "guard-fail-open", what: "a guard that opens when it fails", edits: change("FAIL_RELOAD", "FAIL_OPEN") },
  {
    rule: "guard-not-pinned",
    what: "a tag",
    edits: change("filter@sha256:2222222222222222222222222222222222222222222222222222222222222222", "filter:v1"),
  },
  {
    rule: "guard-not-pinned",
    what: "neither tag nor digest",
    edits: change("filter@sha256:2222222222222222222222222222222222222222222222222222222222222222", "filter"),
  },
  {
    rule: "guard-not-pinned",
    what: "a digest that is too short",
    edits: change(
      "filter@sha256:2222222222222222222222222222222222222222222222222222222222222222",
      "filter@sha256:2222",
    ),
  },
  {
    rule: "guard-not-pinned",
    what: "a file of an image that is named by its tag",
    edits: [
      {
        from: "oci://registry.example/filter@sha256:2222222222222222222222222222222222222222222222222222222222222222",
        to: "file:///guard/plugin.wasm",
      },
      {
        from: 'prometheus.io/scrape: "true"',
        to: `sidecar.istio.io/userVolume: '[{"image":{"reference":"registry.example/filter:v1"}}]'`,
      },
    ],
  },
  {
    rule: "guard-url-scheme",
    what: "a url without a scheme",
    edits: change("oci://registry.example/filter", "registry.example:5000/filter"),
  },
  { rule: "guard-type", what: "a network filter", edits: change("type: HTTP", "type: NETWORK") },
  {
    rule: "guard-match",
    what: "no match",
    edits: change("  match:\n  - mode: SERVER\n  phase: STATS\n", "  phase: STATS\n"),
  },
  {
    rule: "guard-match",
    what: "the mode CLIENT",
    edits: change("  - mode: SERVER\n  phase: STATS\n", "  - mode: CLIENT\n  phase: STATS\n"),
  },
  {
    rule: "guard-match",
    what: "both modes",
    edits: change("  - mode: SERVER\n  phase: STATS\n", "  - mode: CLIENT_AND_SERVER\n  phase: STATS\n"),
  },
  {
    rule: "guard-match",
    what: "a mode too many",
    edits: change("  - mode: SERVER\n  phase: STATS\n", "  - mode: SERVER\n  - mode: CLIENT\n  phase: STATS\n"),
  },
  {
    rule: "guard-match",
    what: "a waypoint's guard for clients",
    set: "waypoint",
    edits: change("  - mode: SERVER\n  phase: STATS\n", "  - mode: CLIENT\n  phase: STATS\n"),
  },
  {
    rule: "guard-ports",
    what: "ports that are not all of the pod's",
    edits: change(
      "  - mode: SERVER\n  phase: STATS\n",
      "  - mode: SERVER\n    ports: [{ number: 9090 }]\n  phase: STATS\n",
    ),
  },
  {
    rule: "guard-ports",
    what: "ports at a waypoint",
    set: "waypoint",
    edits: change(
      "  - mode: SERVER\n  phase: STATS\n",
      "  - mode: SERVER\n    ports: [{ number: 8080 }]\n  phase: STATS\n",
    ),
  },
  { rule: "guard-phase", what: "the phase in front of RBAC", edits: [...change("phase: STATS", "phase: AUTHZ")] },
  {
    rule: "plugin-behind-guard",
    what: "a plugin with a lower priority",
    edits: change("  phase: AUTHN\n  priority: 20\n", "  phase: STATS\n  priority: 9\n"),
  },
  {
    rule: "plugin-behind-guard",
    what: "a plugin without a priority",
    edits: change("  phase: AUTHN\n  priority: 20\n", "  phase: STATS\n"),
  },
  {
    rule: "plugin-behind-guard",
    what: "a plugin without a phase",
    edits: change("  phase: AUTHN\n  priority: 20\n", "  priority: 20\n"),
  },
  { rule: "guard-configuration-refused", what: "a member that is mistyped", edits: change("unguarded:", "unguarted:") },
  {
    rule: "guard-configuration-refused",
    what: "no policy",
    edits: [
      { from: "  name: lock\n", to: "  name: mcp-guard\n" },
      {
        from: "  pluginConfig:\n    tool_allowlist:\n    - list_tickets\n    - delete_ticket\n",
        to: "  plainConfig:\n",
      },
    ],
    also: ["guard-authorization-pass", "guard-without-human"],
  },
  {
    rule: "guard-monitor",
    what: "monitor mode",
    edits: change("    unguarded:\n", "    mode: monitor\n    unguarded:\n"),
  },
  { rule: "guard-allowlist-pattern", what: "a star in the list", edits: change("- list_tickets", '- "list_*"') },
  {
    rule: "guard-unguarded-without-reason",
    what: "an unguarded path without a reason",
    edits: change("      path: /hook\n      reason: a webhook of the ticket system\n", "      path: /hook\n"),
  },
  {
    rule: "guard-headers-hold",
    what: "headers that wait",
    edits: change("    unguarded:\n", "    request_headers: hold\n    unguarded:\n"),
  },
  {
    rule: "envoy-filter",
    what: "an EnvoyFilter for the workload",
    edits: add(envoyFilter("desk", "{ workloadSelector: { labels: { app: tickets } } }")),
  },
  {
    rule: "envoy-filter",
    what: "an EnvoyFilter for the mesh",
    edits: add(envoyFilter("istio-system", "{ configPatches: [] }")),
  },
  {
    rule: "envoy-filter",
    what: "an EnvoyFilter for the waypoint",
    set: "waypoint",
    edits: add(envoyFilter("desk", "{ targetRefs: [{ kind: Gateway, name: turnpike }] }")),
  },
  {
    rule: "agentgateway",
    what: "a waypoint of the class agentgateway",
    set: "waypoint",
    edits: change("gatewayClassName: istio-waypoint", "gatewayClassName: istio-agentgateway-waypoint"),
  },
  {
    rule: "agentgateway",
    what: "a gateway of that class in the namespace",
    edits: add(
      "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: gate, namespace: desk }\nspec: { gatewayClassName: istio-agentgateway }\n",
    ),
  },
  {
    rule: "waypoint-missing",
    what: "a waypoint that is not there",
    set: "waypoint",
    edits: change("kind: Gateway\nmetadata:\n  name: turnpike\n", "kind: Gateway\nmetadata:\n  name: turnstile\n"),
  },

  // Point 2.
  {
    rule: "service-account-default",
    what: "no account",
    edits: change("      serviceAccountName: tickets-sa\n", ""),
    also: ["role-missing"],
  },
  { rule: "service-account-shared", what: "an account of two workloads", edits: add(OTHER) },
  {
    rule: "service-account-missing",
    what: "an account that is not there",
    edits: change("      serviceAccountName: tickets-sa\n", "      serviceAccountName: tickets-za\n"),
    also: ["role-missing"],
  },
  {
    rule: "service-account-rights",
    what: "the role of the cluster's administrators",
    edits: add(binding("ClusterRoleBinding", "ClusterRole", "cluster-admin")),
  },
  {
    rule: "service-account-rights",
    what: "a role with all verbs",
    edits: add(kubeRole('{ apiGroups: [""], resources: [pods], verbs: ["*"] }')),
  },
  {
    rule: "service-account-rights",
    what: "a role for all secrets",
    edits: add(kubeRole('{ apiGroups: [""], resources: [secrets], verbs: [get] }')),
  },
  {
    rule: "service-account-rights",
    what: "rights of all accounts",
    edits: add(
      binding("ClusterRoleBinding", "ClusterRole", "edit").replace(
        /subjects:.*/,
        "subjects: [{ kind: Group, name: system:serviceaccounts }]",
      ),
    ),
  },
  {
    rule: "service-account-rights",
    what: "rights of all accounts of the namespace",
    edits: add(
      binding("RoleBinding", "ClusterRole", "admin").replace(
        /subjects:.*/,
        "subjects: [{ kind: Group, name: system:serviceaccounts:desk }]",
      ),
    ),
  },
  {
    rule: "service-account-rights",
    what: "rights of everybody who has a name",
    edits: add(
      binding("ClusterRoleBinding", "ClusterRole", "edit").replace(
        /subjects:.*/,
        "subjects: [{ kind: Group, name: system:authenticated }]",
      ),
    ),
  },
  {
    rule: "service-account-rights",
    what: "a right among those of others",
    edits: add(
      binding("ClusterRoleBinding", "ClusterRole", "admin").replace(
        /subjects: \[/,
        "subjects: [{ kind: ServiceAccount, name: tickets-sa, namespace: office }, ",
      ),
    ),
  },
  {
    rule: "token-mounted",
    what: "a token that the pod asks for",
    edits: change("      automountServiceAccountToken: false\n", "      automountServiceAccountToken: true\n"),
  },
  {
    rule: "token-mounted",
    what: "a token that nobody refuses",
    edits: [
      { from: "      automountServiceAccountToken: false\n", to: "" },
      { from: "tickets-role\nautomountServiceAccountToken: false\n", to: "tickets-role\n" },
    ],
  },
  {
    rule: "host-namespace",
    what: "the node's network",
    edits: change(
      "      serviceAccountName: tickets-sa\n",
      "      serviceAccountName: tickets-sa\n      hostNetwork: true\n",
    ),
  },
  {
    rule: "host-namespace",
    what: "a port of the node",
    edits: change("          containerPort: 8080\n", "          containerPort: 8080\n          hostPort: 8080\n"),
  },
  { rule: "host-path", what: "a folder of the node", edits: change("emptyDir: {}", "hostPath: { path: /var/run }") },
  {
    rule: "pod-security",
    what: "a namespace that admits more",
    edits: change("enforce: restricted", "enforce: baseline"),
  },
  {
    rule: "pod-security",
    what: "a namespace without a level",
    edits: change("    pod-security.kubernetes.io/enforce: restricted\n", ""),
  },
  { rule: "run-as-root", what: "the user 0", edits: change("runAsUser: 10001", "runAsUser: 0") },
  {
    rule: "run-as-root",
    what: "a container of its own mind",
    edits: change(
      "          allowPrivilegeEscalation: false\n",
      "          allowPrivilegeEscalation: false\n          runAsNonRoot: false\n",
    ),
  },
  { rule: "run-as-root", what: "a user that the image chooses", edits: change("        runAsUser: 10001\n", "") },
  { rule: "run-as-root", what: "no word about root", edits: change("        runAsNonRoot: true\n", "") },
  { rule: "run-as-proxy", what: "the proxy's user", edits: change("runAsUser: 10001", "runAsUser: 1337") },
  { rule: "run-as-proxy", what: "the proxy's group", edits: change("runAsGroup: 10001", "runAsGroup: 1337") },
  {
    rule: "privilege-escalation",
    what: "no word about escalation",
    edits: change("          allowPrivilegeEscalation: false\n", ""),
  },
  {
    rule: "privileged",
    what: "a privileged container",
    edits: change(
      "          allowPrivilegeEscalation: false\n",
      "          allowPrivilegeEscalation: false\n          privileged: true\n",
    ),
  },
  {
    rule: "capabilities",
    what: "capabilities that stay",
    edits: change("            drop: [ALL]\n", "            drop: [NET_RAW]\n"),
  },
  {
    rule: "capabilities",
    what: "a capability that comes",
    edits: change("            drop: [ALL]\n", "            drop: [ALL]\n            add: [SYS_ADMIN]\n"),
  },
  {
    rule: "seccomp",
    what: "no profile",
    edits: change("        seccompProfile:\n          type: RuntimeDefault\n", ""),
  },
  { rule: "seccomp", what: "the profile that allows all", edits: change("type: RuntimeDefault", "type: Unconfined") },
  {
    rule: "writable-root",
    what: "a root that can be written",
    edits: change("          readOnlyRootFilesystem: true\n", "          readOnlyRootFilesystem: false\n"),
  },
  {
    rule: "image-not-pinned",
    what: "an image by its tag",
    edits: change("tickets@sha256:1111111111111111111111111111111111111111111111111111111111111111", "tickets:latest"),
  },
  { rule: "no-limits", what: "no limits", edits: change(LIMITS, "") },
  {
    rule: "static-credential",
    what: "a token in the environment",
    edits: change("name: LOG_LEVEL\n          value: info", "name: TRACKER_TOKEN\n          value: info"),
  },
  {
    rule: "static-credential",
    what: "a secret key of AWS",
    edits: change("name: LOG_LEVEL\n          value: info", "name: AWS_SECRET_ACCESS_KEY\n          value: info"),
  },
  {
    rule: "static-credential",
    what: "a password in a URL",
    edits: change("value: info", "value: postgres://tickets:hush@database.example/tickets"),
  },
  {
    rule: "static-credential",
    what: "a credential under another name",
    edits: change("value: info", `value: ghp_${"a".repeat(36)}`),
  },
  ...(
    [
      ["a key of an interface", "TRACKER_API_KEY", "info"],
      ["a name in one word", "trackerApiKey", "info"],
      ["a passphrase", "STORE_PASSPHRASE", "info"],
      ["a credential in base64", "TRACKER_PASSWORD_BASE64", "aW5mbw=="],
      ["the second of two credentials", "TRACKER_TOKEN_2", "info"],
      ["a signed token under another name", "LOG_LEVEL", `eyJhbGciOiJFUzI1NiJ9.${"e30".padStart(12, "eyJz")}.c2ln`],
      ["a signed token with its scheme", "LOG_LEVEL", `Bearer eyJhbGciOiJFUzI1NiJ9.${"e30".padStart(12, "eyJz")}.c2ln`],
      ["a private key", "LOG_LEVEL", "-----BEGIN EC PRIVATE KEY-----"],
      ["the id of a key of a cloud", "LOG_LEVEL", `AKIA${"A1".repeat(8)}`],
      ["a token of a code host with its rights", "LOG_LEVEL", `github_pat_${"a1".repeat(20)}`],
      ["a token of another code host", "LOG_LEVEL", `glpat-${"a1".repeat(10)}`],
      ["a key of a provider of models", "LOG_LEVEL", `sk-${"a1".repeat(12)}`],
      ["a credential in a text with others", "LOG_LEVEL", `level=info token=x,ghp_${"a1".repeat(18)}`],
    ] as const
  ).map(
    ([what, name, value]): Broken => ({
      rule: "static-credential",
      what,
      edits: change("name: LOG_LEVEL\n          value: info", `name: ${name}\n          value: "${value}"`),
    }),
  ),
  ...(
    [
      ["an option with its value", '["--port=80", "--api-token=info"]'],
      ["an option and its value", '["--api-token", info]'],
      ["an argument that is one", `[serve, "ghp_${"a1".repeat(18)}"]`],
    ] as const
  ).map(
    ([what, args]): Broken => ({
      rule: "static-credential",
      what: `${what} on the command line`,
      edits: change("      - name: server\n", `      - name: server\n        args: ${args}\n`),
    }),
  ),
  {
    rule: "configmap-credential",
    what: "a credential in a ConfigMap whose keys are all variables",
    edits: [
      ...change(
        "      - name: server\n",
        "      - name: server\n        envFrom: [{ configMapRef: { name: settings } }]\n",
      ),
      ...add(settings("TRACKER_TOKEN: info")),
    ],
  },
  {
    rule: "configmap-credential",
    what: "a credential in a ConfigMap of which one key is a variable",
    edits: [
      ...change(
        "        - name: TLS_KEY\n",
        "        - { name: LEVEL, valueFrom: { configMapKeyRef: { name: settings, key: level } } }\n        - name: TLS_KEY\n",
      ),
      ...add(settings("level: info, trackerToken: info")),
    ],
  },
  ...["configMap: { name: settings }", "projected: { sources: [{ configMap: { name: settings } }] }"].map(
    (volume): Broken => ({
      rule: "configmap-credential",
      what: `a credential in a file of ${volume}`,
      edits: [
        ...change("        emptyDir: {}\n", `        emptyDir: {}\n      - { name: more, ${volume} }\n`),
        ...add(settings(`config.ini: "[tracker]\\nuser = ghp_${"a1".repeat(18)}\\n"`)),
      ],
    }),
  ),
  {
    rule: "image-not-pinned",
    what: "a container of the proxy's name with an image of its own",
    edits: change("      - name: server\n", `${PROXY}        image: proxy:v1\n      - name: server\n`),
    also: ["privilege-escalation", "capabilities", "writable-root", "no-limits"],
  },
  {
    rule: "image-not-pinned",
    what: "an image that injection would complete for the proxy alone",
    edits: change(
      "image: registry.example/tickets@sha256:1111111111111111111111111111111111111111111111111111111111111111",
      "image: auto",
    ),
  },
  ...(
    [
      ["privileged", "privileged: true"],
      ["privilege-escalation", "allowPrivilegeEscalation: true"],
      ["capabilities", "capabilities: { add: [SYS_ADMIN] }"],
      ["writable-root", "readOnlyRootFilesystem: false"],
      ["run-as-root", "runAsUser: 0"],
    ] as const
  ).map(
    ([rule, member]): Broken => ({
      rule,
      what: "a proxy that is more than injection makes of it",
      edits: change(
        "      - name: server\n",
        `${PROXY}        image: auto\n        securityContext: { ${member} }\n      - name: server\n`,
      ),
    }),
  ),
  ...BROKEN_TOKENS,
  {
    rule: "role-missing",
    what: "an account without a role",
    edits: [
      { from: "  annotations:\n    eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/tickets-role\n", to: "" },
      ...role("desk:tickets-sa", "desk:reports-sa"),
    ],
  },
  {
    rule: "role-missing",
    what: "a role for machines",
    edits: role('actions = ["sts:AssumeRoleWithWebIdentity"]', 'actions = ["sts:AssumeRole"]'),
  },
  {
    rule: "role-missing",
    what: "an association of another account",
    edits: association("reports-sa"),
  },
  {
    rule: "role-not-found",
    what: "an annotation that names no role",
    edits: change("role/tickets-role", "role/ticket-role"),
  },
  {
    rule: "role-trusts-another",
    what: "a subject of another account beside",
    edits: role("[local.account]", '[local.account, "system:serviceaccount:desk:reports-sa"]'),
  },
  {
    rule: "role-trusts-another",
    what: "a subject of another namespace",
    edits: role("serviceaccount:desk:", "serviceaccount:office:"),
  },
  { rule: "role-trust-without-sub", what: "no subject", edits: role(TRUST_SUBJECT, "") },
  { rule: "role-trust-without-aud", what: "no audience", edits: role(TRUST_AUDIENCE, "") },
  {
    rule: "role-trust-pattern",
    what: "a pattern for the subject",
    edits: [
      ...role(TRUST_SUBJECT, TRUST_SUBJECT.replace("StringEquals", "StringLike")),
      ...role("desk:tickets-sa", "desk:*"),
    ],
  },
  {
    rule: "role-trust-pattern",
    what: "an operator that holds without a subject",
    edits: role(TRUST_SUBJECT, TRUST_SUBJECT.replace("StringEquals", "StringEqualsIfExists")),
  },
  {
    rule: "role-trust-issuer",
    what: "an issuer with its scheme",
    edits: role('default = "oidc', 'default = "https://oidc'),
    count: 2,
  },
  {
    rule: "role-trust-anybody",
    what: "any principal",
    edits: role('["arn:aws:iam::123456789012:oidc-provider/oidc.example/id/1"]', '["*"]'),
  },
  { rule: "role-wildcard-action", what: "all actions of a service", edits: role('"s3:GetObject"', '"s3:*"') },
  {
    rule: "role-wildcard-action",
    what: "all actions but one",
    edits: role('actions   = ["s3:GetObject"]', 'not_actions = ["s3:DeleteObject"]'),
  },
  { rule: "role-wildcard-resource", what: "all resources", edits: role('"arn:aws:s3:::tickets/*"', '"*"') },
  { rule: "role-wildcard-resource", what: "all buckets", edits: role("arn:aws:s3:::tickets/*", "arn:aws:s3:::*") },
  {
    rule: "role-wildcard-resource",
    what: "all accounts",
    edits: role("arn:aws:s3:::tickets/*", "arn:aws:codecommit:eu-west-1:*:tickets"),
  },
  {
    rule: "role-wildcard-resource",
    what: "everything of one type",
    edits: role("arn:aws:s3:::tickets/*", "arn:aws:dynamodb:eu-west-1:123456789012:table/*"),
  },
  ...["NotAction", "NotResource"].map(
    (member): Broken => ({
      rule: "role-wildcard-action",
      what: `${member} in JSON`,
      edits: role(
        "data.aws_iam_policy_document.reads.json",
        `jsonencode({ Statement = [{ Effect = "Allow", ${member === "NotAction" ? 'NotAction = "s3:PutObject", Resource' : 'Action = "s3:GetObject", NotResource'} = "arn:aws:s3:::tickets/a" }] })`,
      ),
    }),
  ),
  {
    rule: "role-managed-policy",
    what: "a policy of AWS",
    edits: role(
      '  name                 = "tickets-role"\n',
      '  name                 = "tickets-role"\n  managed_policy_arns  = ["arn:aws:iam::aws:policy/AdministratorAccess"]\n',
    ),
  },
  {
    rule: "role-without-boundary",
    what: "no boundary",
    edits: role("  permissions_boundary = aws_iam_policy.limit.arn\n", ""),
  },

  // Point 3.
  {
    rule: "sidecar-missing",
    what: "a Sidecar of another namespace",
    edits: change("  name: way-out\n  namespace: desk\n", "  name: way-out\n  namespace: office\n"),
  },
  {
    rule: "sidecar-missing",
    what: "a Sidecar for another workload",
    edits: change(
      "  workloadSelector:\n    labels:\n      app: tickets\n",
      "  workloadSelector:\n    labels:\n      app: letters\n",
    ),
  },
  {
    rule: "sidecar-not-registry-only",
    what: "a Sidecar that lets all out",
    edits: change(SIDECAR_MODE, SIDECAR_MODE.replace("REGISTRY_ONLY", "ALLOW_ANY")),
  },
  {
    rule: "sidecar-not-registry-only",
    what: "a mode that neither Sidecar nor mesh sets",
    edits: [
      ...change(SIDECAR_MODE, "  egress:"),
      ...mesh("    outboundTrafficPolicy:\n      mode: REGISTRY_ONLY\n", ""),
    ],
  },
  {
    rule: "sidecar-wide-hosts",
    what: "hosts of all namespaces",
    edits: change("    - istio-system/*\n", '    - "*/*"\n'),
  },
  {
    rule: "sidecar-wide-hosts",
    what: "no hosts",
    edits: change("  egress:\n  - hosts:\n    - istio-system/*\n    - ./tracker.example\n", ""),
  },
  { rule: "mesh-allow-any", what: "a mesh that lets all out", edits: mesh("REGISTRY_ONLY", "ALLOW_ANY") },
  {
    rule: "mesh-allow-any",
    what: "a mesh that looks names up for all",
    edits: mesh("REGISTRY_ONLY", "ALLOW_ANY_DYNAMIC_DNS"),
  },
  { rule: "service-entry-exported", what: "a host for all namespaces", edits: change("  exportTo:\n  - .\n", "") },
  {
    rule: "service-entry-exported",
    what: "a host for two namespaces",
    edits: change("  exportTo:\n  - .\n", "  exportTo: [., office]\n"),
  },
  {
    rule: "service-entry-wildcard",
    what: "a pattern of hosts",
    edits: change("  hosts:\n  - tracker.example\n", '  hosts:\n  - "*.example"\n'),
  },
  { rule: "service-entry-protocol", what: "plain HTTP", edits: change("protocol: TLS", "protocol: HTTP") },
  {
    rule: "service-entry-resolution",
    what: "the address that the client chose",
    edits: change("resolution: DNS", "resolution: NONE"),
  },
  { rule: "service-entry-resolution", what: "no resolution", edits: change("  resolution: DNS\n", "") },
  {
    rule: "network-policy-missing",
    what: "policies for the way in alone",
    edits: [
      {
        from: "  podSelector: {}\n  policyTypes: [Ingress, Egress]\n",
        to: "  podSelector: {}\n  policyTypes: [Ingress]\n",
      },
      {
        from: "      values: [tickets]\n  policyTypes: [Ingress, Egress]\n",
        to: "      values: [tickets]\n  policyTypes: [Ingress]\n",
      },
    ],
  },
  { rule: "network-policy-open", what: "the whole Internet", edits: change("192.0.2.0/24", "0.0.0.0/0") },
  { rule: "network-policy-open", what: "half of the Internet", edits: change("192.0.2.0/24", "128.0.0.0/1") },
  {
    rule: "network-policy-open",
    what: "an empty list",
    edits: change("  - to:\n    - ipBlock:\n        cidr: 192.0.2.0/24\n", "  - to: []\n"),
  },
  {
    rule: "network-policy-open",
    what: "a rule without to",
    edits: change("  - to:\n    - ipBlock:\n        cidr: 192.0.2.0/24\n", "  - ports: [{ port: 443 }]\n"),
  },
  {
    rule: "network-policy-open",
    what: "all namespaces",
    edits: change("    - ipBlock:\n        cidr: 192.0.2.0/24\n", "    - namespaceSelector: {}\n"),
  },
  {
    rule: "traffic-excluded",
    what: "ports that go around the proxy",
    edits: change(
      '        prometheus.io/scrape: "true"',
      '        traffic.sidecar.istio.io/excludeInboundPorts: "8080"',
    ),
  },
  {
    rule: "traffic-excluded",
    what: "addresses that go around the proxy",
    edits: change(
      '        prometheus.io/scrape: "true"',
      "        traffic.sidecar.istio.io/excludeOutboundIPRanges: 169.254.0.0/16",
    ),
  },
  {
    rule: "traffic-excluded",
    what: "few ports that go through the proxy",
    edits: change(
      '        prometheus.io/scrape: "true"',
      '        traffic.sidecar.istio.io/includeInboundPorts: "9090"',
    ),
  },

  // Point 4.
  {
    rule: "approval-off",
    what: "the decision to ask nobody",
    edits: change("    unguarded:\n", '    approval: { mode: "off" }\n    unguarded:\n'),
  },
  {
    rule: "approval-page",
    what: "a page of the approver's own machine",
    set: "asking",
    edits: change("https://approve.example.com/a/", "http://localhost:8080/a/"),
  },
  ...BROKEN_SERVICE,

  // Point 5.
  { rule: "guard-without-human", what: "nobody has to be named", edits: change("      require_human: true\n", "") },
  {
    rule: "guard-without-human",
    what: "nobody has to be named, in writing",
    edits: change("require_human: true", "require_human: false"),
  },
  {
    rule: "token-not-validated",
    what: "tokens of another issuer",
    edits: change(
      "  jwtRules:\n  - issuer: https://login.example\n",
      "  jwtRules:\n  - issuer: https://logon.example\n",
    ),
    also: ["token-of-nobody"],
  },
  {
    rule: "token-not-validated",
    what: "a RequestAuthentication for another workload",
    edits: change(
      "  name: people\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: tickets\n",
      "  name: people\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: letters\n",
    ),
  },
  {
    rule: "token-of-nobody",
    what: "tokens of an issuer more than the policy knows",
    edits: change(
      "  - issuer: https://login.example\n    jwksUri",
      "  - issuer: https://logon.example\n  - issuer: https://login.example\n    jwksUri",
    ),
  },
  {
    rule: "audit-line-none",
    what: "no record",
    edits: change("    unguarded:\n", "    audit: { line: none }\n    unguarded:\n"),
  },
  {
    rule: "telemetry-missing",
    what: "a Telemetry for another workload",
    edits: change(
      "  name: trail\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: tickets\n",
      "  name: trail\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: letters\n",
    ),
  },
  {
    rule: "telemetry-disabled",
    what: "an access log that is off for the workload, beside one of the namespace",
    edits: [
      ...change("    providers:\n    - name: ledger\n", "    providers:\n    - name: ledger\n    disabled: true\n"),
      ...add(
        "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: { name: all, namespace: desk }\nspec: { accessLogging: [{ match: { mode: SERVER }, providers: [{ name: ledger }] }] }\n",
      ),
    ],
  },
  {
    rule: "telemetry-disabled",
    what: "an access log that is off",
    edits: change("    providers:\n    - name: ledger\n", "    providers:\n    - name: ledger\n    disabled: true\n"),
  },
  {
    rule: "telemetry-mode",
    what: "the log of a client",
    edits: change("      mode: SERVER\n    providers:", "      mode: CLIENT\n    providers:"),
  },
  {
    rule: "telemetry-mode",
    what: "no mode",
    edits: change("  - match:\n      mode: SERVER\n    providers:", "  - providers:"),
  },
  {
    rule: "telemetry-filter",
    what: "a log of answers without errors",
    edits: change(
      "    providers:\n    - name: ledger\n",
      "    providers:\n    - name: ledger\n    filter: { expression: response.code < 400 }\n",
    ),
  },
  {
    rule: "telemetry-provider",
    what: "a provider that is not there",
    edits: change("    - name: ledger\n", "    - name: leger\n"),
  },
  {
    rule: "telemetry-provider",
    what: "no provider",
    edits: change("    providers:\n    - name: ledger\n", "    providers: []\n"),
  },
  {
    rule: "audit-format",
    what: "a format without the record",
    edits: mesh("%FILTER_STATE(wasm.mcp_audit:PLAIN)%", "%START_TIME%"),
  },
  { rule: "audit-format", what: "a record in base64", edits: mesh("mcp_audit:PLAIN", "mcp_audit") },

  // Layer 2.
  { rule: "mtls-not-strict", what: "plain text beside mTLS", edits: change("mode: STRICT", "mode: PERMISSIVE") },
  {
    rule: "mtls-not-strict",
    what: "no PeerAuthentication",
    edits: change("  name: default\n  namespace: desk\n", "  name: default\n  namespace: office\n"),
  },
  {
    rule: "mtls-not-strict",
    what: "a weaker one for the workload",
    edits: add(
      "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: weak, namespace: desk }\nspec: { selector: { matchLabels: { app: tickets } }, mtls: { mode: DISABLE } }\n",
    ),
  },
  {
    rule: "mtls-port-exception",
    what: "a port in plain text",
    edits: add(
      "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: port, namespace: desk }\nspec: { selector: { matchLabels: { app: tickets } }, portLevelMtls: { 8080: { mode: PERMISSIVE } } }\n",
    ),
  },
  {
    rule: "no-allow-nothing",
    what: "no policy that allows nothing",
    edits: change(
      "  name: nobody\n  namespace: desk\nspec: {}\n",
      "  name: nobody\n  namespace: desk\nspec: { action: DENY }\n",
    ),
  },
  {
    rule: "no-allow-nothing",
    what: "one for another workload",
    edits: change(
      "  name: nobody\n  namespace: desk\nspec: {}\n",
      "  name: nobody\n  namespace: desk\nspec: { selector: { matchLabels: { app: letters } } }\n",
    ),
  },
  {
    rule: "allow-without-from",
    what: "a rule for everybody",
    edits: change(
      "  - from:\n    - source:\n        principals: [cluster.local/ns/door/sa/porter]\n    to:\n",
      "  - to:\n",
    ),
  },
  {
    rule: "allow-wide-principal",
    what: "any principal",
    edits: change("principals: [cluster.local/ns/door/sa/porter]", 'principals: ["*"]'),
  },
  {
    rule: "allow-wide-principal",
    what: "any account of a namespace",
    edits: change("principals: [cluster.local/ns/door/sa/porter]", "principals: [cluster.local/ns/door/sa/*]"),
  },
  {
    rule: "allow-wide-principal",
    what: "a namespace alone",
    edits: change("principals: [cluster.local/ns/door/sa/porter]", "namespaces: [door]"),
  },
  {
    rule: "principal-with-scheme",
    what: "a principal that never matches",
    edits: change("principals: [cluster.local/", "principals: [spiffe://cluster.local/"),
  },
  {
    rule: "allow-without-operation",
    what: "a rule for every operation",
    edits: change(
      '    to:\n    - operation:\n        ports: ["8080"]\n        methods: [POST]\n        paths: [/mcp]\n',
      "",
    ),
  },
  { rule: "allow-without-ports", what: "every port", edits: change('        ports: ["8080"]\n', "") },
  { rule: "allow-without-methods", what: "every method", edits: change("        methods: [POST]\n", "") },
  {
    rule: "allow-without-methods",
    what: "a method that MCP does not have",
    edits: change("        methods: [POST]\n", "        methods: [POST, PUT]\n"),
  },
  { rule: "allow-without-paths", what: "every path", edits: change("        paths: [/mcp]\n", "") },
  { rule: "allow-without-paths", what: "a pattern of paths", edits: change("paths: [/mcp]", 'paths: ["/mcp*"]') },
  {
    rule: "service-protocol",
    what: "a port that Istio takes for TCP",
    edits: change(
      "  - name: http-mcp\n    port: 80\n    targetPort: 8080\n    appProtocol: http\n",
      "  - name: rpc\n    port: 80\n    targetPort: 8080\n",
    ),
  },
  { rule: "service-protocol", what: "a port that says TCP", edits: change("appProtocol: http", "appProtocol: tcp") },
  {
    rule: "ingress-policy-missing",
    what: "policies for the way out alone",
    edits: [
      {
        from: "  podSelector: {}\n  policyTypes: [Ingress, Egress]\n",
        to: "  podSelector: {}\n  policyTypes: [Egress]\n",
      },
      {
        from: "      values: [tickets]\n  policyTypes: [Ingress, Egress]\n",
        to: "      values: [tickets]\n  policyTypes: [Egress]\n",
      },
    ],
  },
  {
    rule: "ingress-policy-open",
    what: "a rule without from",
    edits: change(
      "  ingress:\n  - from:\n    - namespaceSelector:\n        matchLabels:\n          kubernetes.io/metadata.name: door\n",
      "  ingress:\n  - ports: [{ port: 8080 }]\n",
    ),
  },
  {
    rule: "waypoint-bypass",
    what: "pods that take requests from others",
    set: "waypoint",
    edits: change("serviceAccounts: [turnpike]", "serviceAccounts: [turnpike, door/porter]"),
  },
  {
    rule: "waypoint-bypass",
    what: "no policy for the pods themselves",
    set: "waypoint",
    edits: change("  name: turnpike-only\n  namespace: desk\n", "  name: turnpike-only\n  namespace: office\n"),
  },
];

/** The good sets, with changes that are right as well. */
export const SOUND: readonly Pick<Broken, "what" | "set" | "edits">[] = [
  ...SOUND_SERVICE,
  ...SOUND_TOKENS,
  {
    what: "variables whose names only remind of credentials, and those that name a place",
    edits: [
      ...change(
        "      - name: server\n",
        "      - name: server\n        args: [--token-file, /etc/tracker/token, --port=80, --verbose]\n",
      ),
      ...change(
        "        - name: LOG_LEVEL\n          value: info\n",
        `${[
          ["TOKEN_URL", "https://login.example/token"],
          ["MAX_TOKENS", "1000"],
          ["KEYBOARD", "qwerty"],
          ["SIGNING_KEY_ID", "2026-11"],
          ["TRACKER_TOKEN", "/etc/tracker/token"],
          ["TRACKER_PASSWORD", "$(SESSION_KEY)"],
          ["EMPTY_TOKEN", ""],
          ["HASH", "a".repeat(64)],
        ]
          .map(([name, value]) => `        - { name: ${name}, value: "${value}" }\n`)
          .join("")}        - name: LOG_LEVEL\n          value: info\n`,
      ),
    ],
  },
  {
    what: "a ConfigMap with a credential that the pods do not take, and one of the same name elsewhere that they would",
    edits: [
      ...change(
        "      - name: server\n",
        "      - name: server\n        envFrom: [{ configMapRef: { name: settings } }]\n",
      ),
      ...add(settings("LEVEL: info, TRACKER_TOKEN: /etc/tracker/token")),
      ...add(settings("TRACKER_TOKEN: info").replace("desk", "office")),
      ...add(settings("TRACKER_TOKEN: info").replace("settings", "others")),
    ],
  },
  {
    what: "a proxy that injection completes",
    edits: change("      - name: server\n", `${PROXY}        image: auto\n      - name: server\n`),
  },
  { what: "an association of Pod Identity", edits: association("tickets-sa") },
  {
    what: "a whole value by StringLike",
    edits: role(TRUST_SUBJECT, TRUST_SUBJECT.replace("StringEquals", "StringLike")),
  },
  {
    what: "a Sidecar of the mesh",
    edits: [
      ...change("  name: way-out\n  namespace: desk\n", "  name: way-out\n  namespace: istio-system\n"),
      ...change("  workloadSelector:\n    labels:\n      app: tickets\n", ""),
    ],
  },
  {
    what: "a role of the same name in another namespace",
    edits: add(
      `${kubeRole('{ apiGroups: [""], resources: [configmaps], verbs: [get] }')}---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: own, namespace: office }\nrules: [{ apiGroups: [""], resources: ["*"], verbs: ["*"] }]\n`,
    ),
  },
  {
    what: "a guard for all waypoints of the mesh",
    set: "waypoint",
    edits: change(
      '  name: lock\n  namespace: desk\nspec:\n  targetRefs:\n  - kind: Service\n    group: ""\n    name: tickets\n',
      "  name: lock\n  namespace: istio-system\nspec:\n  targetRefs:\n  - kind: GatewayClass\n    name: istio-waypoint\n",
    ),
  },
  {
    what: "a right of another account, of another namespace",
    edits: add(
      binding("ClusterRoleBinding", "ClusterRole", "admin").replace(
        /subjects:.*/,
        "subjects: [{ kind: ServiceAccount, name: tickets-sa, namespace: office }, { kind: ServiceAccount, name: reports-sa, namespace: desk }, { kind: Group, name: system:serviceaccounts:office }]",
      ),
    ),
  },
  {
    what: "a waypoint of one Service alone",
    set: "waypoint",
    edits: [
      ...change("    istio.io/use-waypoint: turnpike\n", ""),
      ...change(
        "kind: Service\nmetadata:\n  name: tickets\n",
        "kind: Service\nmetadata:\n  name: tickets\n  labels: { istio.io/use-waypoint: turnpike }\n",
      ),
    ],
  },
  {
    what: "a guard by its sha256",
    edits: change(
      "filter@sha256:2222222222222222222222222222222222222222222222222222222222222222\n",
      `filter:v1\n  sha256: ${"a".repeat(64)}\n`,
    ),
  },
  {
    what: "a file of an image that is named by its digest",
    edits: [
      ...change(`oci://registry.example/filter@sha256:${"2".repeat(64)}`, "file:///guard/plugin.wasm"),
      ...change(
        'prometheus.io/scrape: "true"',
        `sidecar.istio.io/userVolume: '[{"image":{"reference":"registry.example/filter@sha256:${"2".repeat(64)}"}}]'`,
      ),
    ],
  },
  {
    what: "all ports of the pod",
    edits: change(
      "  - mode: SERVER\n  phase: STATS\n",
      "  - mode: SERVER\n    ports: [{ number: 8080 }]\n  phase: STATS\n",
    ),
  },
  {
    what: "injection by a label of the pod",
    edits: [
      ...change("    istio-injection: enabled\n", ""),
      ...change(
        "      labels:\n        app: tickets\n",
        '      labels:\n        app: tickets\n        sidecar.istio.io/inject: "true"\n',
      ),
    ],
  },
  { what: "injection by a revision", edits: change("istio-injection: enabled", "istio.io/rev: stable") },
  {
    what: "the agent of Pod Identity past the proxy",
    edits: change(
      'prometheus.io/scrape: "true"',
      "traffic.sidecar.istio.io/excludeOutboundIPRanges: 169.254.170.23/32",
    ),
  },
  {
    what: "all ports through the proxy",
    edits: change('prometheus.io/scrape: "true"', 'traffic.sidecar.istio.io/includeInboundPorts: "*"'),
  },
  {
    what: "the methods of older clients",
    edits: change("        methods: [POST]\n", "        methods: [POST, GET, DELETE]\n"),
  },
  {
    what: "callers by their accounts",
    edits: change("principals: [cluster.local/ns/door/sa/porter]", "serviceAccounts: [door/porter]"),
  },
  {
    what: "a policy that denies",
    edits: add(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: no, namespace: desk }\nspec: { action: DENY, rules: [{ to: [{ operation: { paths: [/admin] } }] }] }\n",
    ),
  },
  { what: "a Sidecar with the mode of the mesh", edits: change(SIDECAR_MODE, "  egress:") },
  {
    what: "mTLS of the whole mesh",
    edits: change("  name: default\n  namespace: desk\n", "  name: default\n  namespace: istio-system\n"),
  },
  {
    what: "a stricter PeerAuthentication of the workload in a lax namespace",
    edits: [
      ...change("mode: STRICT", "mode: PERMISSIVE"),
      ...add(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: own, namespace: desk }\nspec: { selector: { matchLabels: { app: tickets } }, mtls: { mode: STRICT } }\n",
      ),
    ],
  },
  { what: "a service that says HTTP by the name of its port", edits: change("    appProtocol: http\n", "") },
  {
    what: "a right of the account's own",
    edits: add(kubeRole('{ apiGroups: [""], resources: [configmaps], verbs: [get], resourceNames: [settings] }')),
  },
  {
    what: "a plugin in front of the guard in its phase",
    edits: change("  phase: AUTHN\n  priority: 20\n", "  phase: STATS\n  priority: 11\n"),
  },
  {
    what: "a plugin of another workload behind it",
    edits: [
      ...change(
        "  name: reshaper\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: tickets\n",
        "  name: reshaper\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: letters\n",
      ),
      ...change("  phase: AUTHN\n  priority: 20\n", ""),
    ],
  },
  {
    what: "a Telemetry of the namespace",
    edits: change(
      "  name: trail\n  namespace: desk\nspec:\n  selector:\n    matchLabels:\n      app: tickets\n",
      "  name: trail\n  namespace: desk\nspec:\n",
    ),
  },
  {
    what: "a service entry inside the mesh in plain HTTP",
    edits: [
      ...change("location: MESH_EXTERNAL", "location: MESH_INTERNAL"),
      ...change("protocol: TLS", "protocol: HTTP"),
    ],
  },
  {
    what: "a trust policy in JSON",
    edits: role(
      "data.aws_iam_policy_document.trust.json",
      `jsonencode({ Statement = [{ Effect = "Allow", Action = "sts:AssumeRoleWithWebIdentity", Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/x" }, Condition = { StringEquals = { "x:sub" = local.account, "x:aud" = "sts.amazonaws.com" } } }] })`,
    ),
  },
  {
    what: "a trust policy for Pod Identity",
    edits: [
      ...role('actions = ["sts:AssumeRoleWithWebIdentity"]', 'actions = ["sts:AssumeRole", "sts:TagSession"]'),
      ...role('["arn:aws:iam::123456789012:oidc-provider/oidc.example/id/1"]', '["pods.eks.amazonaws.com"]'),
      ...role(
        '"${var.issuer}:sub"\n      values   = [local.account]',
        '"aws:RequestTag/kubernetes-namespace"\n      values   = ["desk"]',
      ),
      ...role(
        '"${var.issuer}:aud"\n      values   = ["sts.amazonaws.com"]',
        '"aws:RequestTag/kubernetes-service-account"\n      values   = ["tickets-sa"]',
      ),
    ],
  },
  {
    what: "a statement that denies everything",
    edits: role(
      'resource "aws_iam_policy" "limit"',
      'resource "aws_iam_role_policy" "no" {\n  role   = aws_iam_role.tickets.name\n  policy = jsonencode({ Statement = { Effect = "Deny", Action = "*", Resource = "*" } })\n}\n\nresource "aws_iam_policy" "limit"',
    ),
  },
];
