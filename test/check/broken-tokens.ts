// The good set `sidecar` with a guard that exchanges tokens, and what is wrong with it in one way each. What mcp-guard check must find, and nothing else.
import type { Broken, Edit } from "./broken.ts";

const change = (from: string, to: string): Edit[] => [{ from, to }];
const add = (to: string): Edit[] => [{ to: `---\n${to}` }];

const CLUSTER = "outbound|8443||mint.example";
const ENTRY = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: mint, namespace: desk }
spec:
  hosts: [mint.example]
  exportTo: ["."]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{ number: 8443, name: https, protocol: HTTPS }]
`;
const TLS = "{ mode: SIMPLE, sni: mint.example, subjectAltNames: [mint.example], caCertificates: system }";
const DESTINATION = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: mint, namespace: desk }
spec:
  host: mint.example
  trafficPolicy:
    tls: ${TLS}
`;
const HANDED = "{ name: CLIENT_PASS, valueFrom: HOST }";
const REFERENCE = "{ name: CLIENT_PASS, valueFrom: { secretKeyRef: { name: mint-client, key: pass } } }";
export const PROXY = `      - name: istio-proxy
        image: auto
        env:
        - ${REFERENCE}
`;
const POLICY = `    authorization: exchange
    token_exchange:
      service: { cluster: ${CLUSTER}, authority: "mint.example:8443", path: /token }
      client: { id: desk, auth: client_secret_basic, secret_env: CLIENT_PASS }
      audience: tickets
    rules:
    - principals: [{ issuer: https://login.example, value: ann }, { issuer: spiffe://cluster.local/ns/door/sa/porter, value: bob }]
      tool_allowlist: [close_ticket]
    - principals: [{ issuer: spiffe://cluster.local, value: spiffe://cluster.local/ns/door/sa/porter }]
      tool_allowlist: [count_tickets]
`;
const JWKS = "    jwksUri: https://login.example/keys\n";
const CALLERS = "    audiences: [door]\n    forwardOriginalToken: true\n";

/** The set `exchanging`, from `sidecar`. */
export const EXCHANGING: readonly Edit[] = [
  ...change("    authorization: strip\n", POLICY),
  ...change("  failStrategy: FAIL_RELOAD\n", `  failStrategy: FAIL_RELOAD\n  vmConfig: { env: [${HANDED}] }\n`),
  ...change(JWKS, `${JWKS}${CALLERS}`),
  ...change("    - ./tracker.example\n", "    - ./tracker.example\n    - ./mint.example\n"),
  ...change("      - name: server\n", `${PROXY}      - name: server\n`),
  ...add(ENTRY),
  ...add(DESTINATION),
];

const SIGNED =
  "client: { id: desk, auth: private_key_jwt, key_env: CLIENT_PASS, alg: ES256, audience: https://mint.example }";
const SECRET = "client: { id: desk, auth: client_secret_basic, secret_env: CLIENT_PASS }";

export const BROKEN_TOKENS: readonly Broken[] = [
  {
    rule: "guard-authorization-pass",
    what: "tokens that pass through",
    edits: change("authorization: strip", "authorization: pass"),
  },
  {
    rule: "guard-authorization-pass",
    what: "tokens that pass through because nothing is said",
    edits: change("    authorization: strip\n", ""),
  },
  {
    rule: "guard-authorization-pass",
    what: "tokens that pass through a waypoint",
    set: "waypoint",
    edits: change("authorization: strip", "authorization: pass"),
  },
  ...(
    [
      ["a token service that nothing declares", change(`---\n${ENTRY}`, "")],
      ["a token service that is declared with another port", change("number: 8443", "number: 443")],
      ["a token service of another host", change("hosts: [mint.example]", "hosts: [mint2.example]")],
      [
        "a token service that another namespace keeps to itself",
        change("{ name: mint, namespace: desk }\nspec:\n  hosts", "{ name: mint, namespace: office }\nspec:\n  hosts"),
      ],
      ["a token service in a cluster of no host", change(CLUSTER, "mint")],
      [
        "a token service that is no Service of the input",
        change(CLUSTER, "outbound|8443||mint.desk.svc.cluster.local"),
      ],
    ] as const
  ).map(([what, edits]): Broken => ({ rule: "token-service-missing", what, set: "exchanging", edits: [...edits] })),
  {
    rule: "token-service-hidden",
    what: "a token service that the Sidecar does not list",
    set: "exchanging",
    edits: change("    - ./mint.example\n", ""),
  },
  {
    rule: "token-service-hidden",
    what: "a token service that the Sidecar lists of another namespace",
    set: "exchanging",
    edits: change("./mint.example", "office/mint.example"),
  },
  ...(
    [
      ["no TLS", change(`---\n${DESTINATION}`, "")],
      ["TLS for another host", change("  host: mint.example\n", "  host: mint2.example\n")],
      [
        "TLS by a rule that another namespace keeps to itself",
        change(
          "{ name: mint, namespace: desk }\nspec:\n  host: mint.example\n",
          '{ name: mint, namespace: office }\nspec:\n  exportTo: ["."]\n  host: mint.example\n',
        ),
      ],
      ["TLS that is switched off", change(TLS, "{ mode: DISABLE }")],
      ["the mesh's own TLS, which is for the mesh", change(TLS, "{ mode: ISTIO_MUTUAL }")],
      ["a rule that says nothing of TLS", change(`    tls: ${TLS}\n`, "    connectionPool: {}\n")],
      ["a certificate that nobody looks at", change("{ mode: SIMPLE,", "{ insecureSkipVerify: true, mode: SIMPLE,")],
      [
        "no TLS on the port itself",
        change(`    tls: ${TLS}\n`, `    tls: ${TLS}\n    portLevelSettings: [{ port: { number: 8443 } }]\n`),
      ],
    ] as const
  ).map(
    ([what, edits]): Broken => ({
      rule: "token-service-plain",
      what: `${what} on the way to the token service`,
      set: "exchanging",
      edits: [...edits],
    }),
  ),
  {
    rule: "token-not-forwarded",
    what: "tokens that the proxy takes out, as it does by itself",
    set: "exchanging",
    edits: change("    forwardOriginalToken: true\n", ""),
  },
  {
    rule: "token-not-forwarded",
    what: "tokens that the proxy is told to take out",
    set: "exchanging",
    edits: change("forwardOriginalToken: true", "forwardOriginalToken: false"),
  },
  {
    rule: "token-audience-missing",
    what: "tokens for any audience",
    set: "exchanging",
    edits: change("    audiences: [door]\n", ""),
  },
  {
    rule: "token-audience-missing",
    what: "an empty list of audiences",
    set: "exchanging",
    edits: change("audiences: [door]", "audiences: []"),
  },
  ...(
    [
      ["a secret in the guard's own manifest", change(HANDED, "{ name: CLIENT_PASS, value: hush }")],
      ["a secret in the proxy's container", change(REFERENCE, "{ name: CLIENT_PASS, value: hush }")],
      [
        "a secret from a ConfigMap",
        change(REFERENCE, "{ name: CLIENT_PASS, valueFrom: { configMapKeyRef: { name: mint-client, key: pass } } }"),
      ],
      [
        "a secret in a ProxyConfig",
        add(
          "apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: { name: proxies, namespace: desk }\nspec: { environmentVariables: { CLIENT_PASS: hush } }\n",
        ),
      ],
      [
        "a key in the guard's own manifest",
        [...change(SECRET, SIGNED), ...change(HANDED, "{ name: CLIENT_PASS, value: hush }")],
      ],
      [
        "a token of the actor in the guard's own manifest",
        [
          ...change("      audience: tickets\n", "      audience: tickets\n      actor: { token_env: ACTOR_PASS }\n"),
          ...change(HANDED, `${HANDED}, { name: ACTOR_PASS, value: hush }`),
          ...change(REFERENCE, `${REFERENCE}\n        - ${REFERENCE.replace("CLIENT_PASS", "ACTOR_PASS")}`),
        ],
      ],
    ] as const
  ).map(([what, edits]): Broken => ({ rule: "token-secret-inline", what, set: "exchanging", edits: [...edits] })),
  {
    rule: "token-secret-missing",
    what: "a secret that nothing hands to the filter",
    set: "exchanging",
    edits: change(HANDED, HANDED.replace("CLIENT_PASS", "CLIENT_PAST")),
  },
  {
    rule: "token-secret-missing",
    what: "a secret that the proxy does not have",
    set: "exchanging",
    edits: change(PROXY, ""),
  },
  {
    rule: "token-secret-missing",
    what: "a secret that the server's own container has in the proxy's place",
    set: "exchanging",
    edits: [
      ...change(PROXY, ""),
      ...change("        - name: TLS_KEY\n", `        - ${REFERENCE}\n        - name: TLS_KEY\n`),
    ],
  },
  {
    rule: "rule-without-source",
    what: "a rule for people of an issuer that nobody has",
    set: "exchanging",
    edits: change("{ issuer: https://login.example, value: ann }", "{ issuer: https://logon.example, value: ann }"),
  },
  {
    rule: "rule-without-source",
    what: "a rule for workloads of a trust domain that is written like a host name",
    set: "exchanging",
    edits: change("issuer: spiffe://cluster.local, value", "issuer: cluster.local, value"),
  },
  {
    rule: "rule-without-source",
    what: "a rule for people of a gateway that is not trusted",
    set: "exchanging",
    edits: change(
      "issuer: spiffe://cluster.local/ns/door/sa/porter",
      "issuer: spiffe://cluster.local/ns/door/sa/clerk",
    ),
  },
  {
    rule: "rule-approval-off",
    what: "a rule that lets some do without approval",
    set: "exchanging",
    edits: change("tool_allowlist: [close_ticket]\n", 'approval: { mode: "off" }\n'),
  },
  {
    rule: "rule-approval-off",
    what: "a rule that lets some do one thing without approval",
    set: "exchanging",
    edits: change("tool_allowlist: [close_ticket]\n", "approval: { exempt: [delete_ticket] }\n"),
  },
  {
    rule: "guard-allowlist-pattern",
    what: "a star in the list of a rule",
    set: "exchanging",
    edits: change("[close_ticket]", '["close_*"]'),
  },
];

export const SOUND_TOKENS: readonly Pick<Broken, "what" | "set" | "edits">[] = [
  {
    what: "a token service of the mesh, without a DestinationRule",
    set: "exchanging",
    edits: [
      ...change(CLUSTER, "outbound|8443||mint.office.svc.cluster.local"),
      ...change("    - ./mint.example\n", "    - office/mint.office.svc.cluster.local\n"),
      ...change(`---\n${DESTINATION}`, ""),
      ...change(
        ENTRY,
        "apiVersion: v1\nkind: Service\nmetadata: { name: mint, namespace: office }\nspec: { selector: { app: mint }, ports: [{ name: http, port: 8443 }] }\n",
      ),
    ],
  },
  {
    what: "a token service that is declared as one of the mesh, without a DestinationRule",
    set: "exchanging",
    edits: [
      ...change(`---\n${DESTINATION}`, ""),
      ...change(
        "location: MESH_EXTERNAL\n  resolution: DNS\n  ports: [{ number: 8443",
        "location: MESH_INTERNAL\n  resolution: DNS\n  ports: [{ number: 8443",
      ),
    ],
  },
  {
    what: "TLS by a rule that another namespace exports",
    set: "exchanging",
    edits: change(
      "{ name: mint, namespace: desk }\nspec:\n  host: mint.example\n",
      "{ name: mint, namespace: office }\nspec:\n  host: mint.example\n",
    ),
  },
  {
    what: "TLS of the port alone",
    set: "exchanging",
    edits: change(`    tls: ${TLS}\n`, `    portLevelSettings: [{ port: { number: 8443 }, tls: ${TLS} }]\n`),
  },
  {
    what: "a token service that another namespace exports to this one",
    set: "exchanging",
    edits: [
      ...change(
        '{ name: mint, namespace: desk }\nspec:\n  hosts: [mint.example]\n  exportTo: ["."]\n',
        "{ name: mint, namespace: office }\nspec:\n  hosts: [mint.example]\n  exportTo: [desk]\n",
      ),
      ...change("./mint.example", "office/mint.example"),
    ],
  },
  { what: "a client that signs", set: "exchanging", edits: change(SECRET, SIGNED) },
  {
    what: "a guard that exchanges in a waypoint, whose pods are Istio's",
    set: "waypoint",
    edits: [
      ...change("      authorization: strip\n", POLICY.replaceAll(/^/gm, "  ").trimEnd().concat("\n")),
      ...change(
        "    failStrategy: FAIL_RELOAD\n",
        `    failStrategy: FAIL_RELOAD\n    vmConfig: { env: [${HANDED}] }\n`,
      ),
      ...change(JWKS, `${JWKS}${CALLERS}`),
      ...add(ENTRY),
      ...add(DESTINATION),
      ...add(
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: { name: unread, namespace: desk }\nspec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY }, egress: [{ hosts: [istio-system/*] }] }\n",
      ),
    ],
  },
  {
    what: "tokens that the proxy takes out, and a guard that would take them out too",
    edits: change(JWKS, `${JWKS}    forwardOriginalToken: false\n`),
  },
];
