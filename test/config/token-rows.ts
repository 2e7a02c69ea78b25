// Good and bad `authorization` and `token_exchange`.
import { bad, type ConfigurationRow, escaped, good, withMembers } from "./row.ts";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const JWT = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token";

const IDENTITY = { jwt: [{ provider: "payload", issuer: "https://idp.example", claim: "sub" }] };
const SERVICE = { cluster: "outbound|443||idp.example", authority: "idp.example", path: "/oauth2/token" };
const SECRET = { id: "guard", auth: "client_secret_basic", secret_env: "CLIENT_SECRET" };
const KEY = {
  id: "guard",
  auth: "private_key_jwt",
  key_env: "CLIENT_KEY",
  alg: "ES256",
  audience: "https://idp.example",
};
const EXCHANGE = { service: SERVICE, client: SECRET, audience: "github" };

/** A policy that exchanges tokens in this way. */
const exchange = (members: unknown): string =>
  withMembers({ identity: IDENTITY, authorization: "exchange", token_exchange: members });
/** With these members of token_exchange, of its service and of its client. */
const withExchange = (members: object): string => exchange({ ...EXCHANGE, ...members });
const withService = (members: object): string => withExchange({ service: { ...SERVICE, ...members } });
const withClient = (client: object): string => withExchange({ client });
const without = (value: object, member: string): object =>
  Object.fromEntries(Object.entries(value).filter(([name]) => name !== member));

const TEXTS = [
  [
    "service.cluster",
    (value: unknown) => withService({ cluster: value }),
    512,
    "a cluster's name of 1 to 512 bytes of printable ASCII",
  ],
  [
    "service.authority",
    (value: unknown) => withService({ authority: value }),
    512,
    "a host of 1 to 512 bytes of printable ASCII",
  ],
  [
    "client.id",
    (value: unknown) => withClient({ ...SECRET, id: value }),
    512,
    "a client's id of 1 to 512 bytes of printable ASCII",
  ],
  [
    "client.kid",
    (value: unknown) => withClient({ ...KEY, kid: value }),
    128,
    "a key's name of 1 to 128 bytes of printable ASCII",
  ],
  [
    "client.audience",
    (value: unknown) => withClient({ ...KEY, audience: value }),
    512,
    "an audience of 1 to 512 bytes of printable ASCII",
  ],
  [
    "audience",
    (value: unknown) => withExchange({ audience: value }),
    512,
    "an audience of 1 to 512 bytes of printable ASCII",
  ],
] as const;

const PATH = "a path like /oauth2/token of 1 to 512 bytes of printable ASCII that begins with a slash";
const RESOURCE = "an absolute URI without a fragment, 1 to 512 bytes (RFC 8707 section 2)";
const SCOPE = "scopes with one space between them, 1 to 512 bytes (RFC 6749 section 3.3)";
const VARIABLE = "the name of a variable like MCP_GUARD_CLIENT_SECRET, 1 to 128 bytes";

const TOGETHER: ConfigurationRow[] = [
  good("a token that goes on", withMembers({ authorization: "pass" })),
  good("a token that is taken out", withMembers({ authorization: "strip" })),
  good("a token that is exchanged, with a secret", exchange(EXCHANGE)),
  good("a token that is exchanged, with a key", withClient(KEY)),
  good(
    "token_exchange in front of what it needs",
    JSON.stringify({ token_exchange: EXCHANGE, tool_allowlist: [], identity: IDENTITY, authorization: "exchange" }),
  ),
  bad(
    "another word for authorization",
    withMembers({ authorization: "drop" }),
    'authorization: found the string "drop", expected one of pass strip exchange',
  ),
  bad("null for authorization", withMembers({ authorization: null }), undefined),
  bad(
    "authorization: exchange alone",
    withMembers({ identity: IDENTITY, authorization: "exchange" }),
    "configuration: found authorization: exchange without token_exchange, expected both",
  ),
  ...["pass", "strip", undefined].map((authorization) =>
    bad(
      `token_exchange with authorization: ${authorization}`,
      withMembers({ identity: IDENTITY, token_exchange: EXCHANGE, authorization }),
      "configuration: found token_exchange without authorization: exchange, expected both",
    ),
  ),
  ...[undefined, {}, { header: { name: "User-Identity", trusted_gateways: ["spiffe://a/b"] } }].map((identity) =>
    bad(
      `token_exchange with identity ${JSON.stringify(identity)}`,
      withMembers({ identity, authorization: "exchange", token_exchange: EXCHANGE }),
      "configuration: found token_exchange without identity.jwt, expected whose tokens are exchanged",
    ),
  ),
];

const MEMBERS: ConfigurationRow[] = [
  good(
    "every member of token_exchange",
    withExchange({
      service: { ...SERVICE, timeout_ms: 100 },
      client: { ...KEY, kid: "2026-11", alg: "RS256" },
      resource: "https://mcp.example/mcp?a=b",
      scope: "repo:read user",
      requested_token_type: JWT,
      subject_token_type: ID_TOKEN,
      actor: { token_env: "ACTOR_TOKEN", token_type: JWT },
      cache_entries: 16,
      max_cache_seconds: 0,
    }),
  ),
  good("a resource without an audience", exchange({ ...without(EXCHANGE, "audience"), resource: "urn:mcp:github" })),
  ...[ACCESS_TOKEN, JWT].map((type) =>
    good(`${type} as what is asked for`, withExchange({ requested_token_type: type })),
  ),
  ...[ACCESS_TOKEN, JWT, ID_TOKEN].flatMap((type) => [
    good(`${type} as what is exchanged`, withExchange({ subject_token_type: type })),
    good(`${type} of an actor`, withExchange({ actor: { token_env: "ACTOR_TOKEN", token_type: type } })),
  ]),
  good("an actor", withExchange({ actor: { token_env: "ACTOR_TOKEN" } })),
  bad(
    "an id token as what is asked for",
    withExchange({ requested_token_type: ID_TOKEN }),
    `token_exchange.requested_token_type: found the string "${ID_TOKEN}", expected one of ${ACCESS_TOKEN} ${JWT}`,
  ),
  bad(
    "a refresh token as what is exchanged",
    withExchange({ subject_token_type: "urn:ietf:params:oauth:token-type:refresh_token" }),
    undefined,
  ),
  bad("a short word for a type", withExchange({ subject_token_type: "jwt" }), undefined),
  bad(
    "no service",
    exchange(without(EXCHANGE, "service")),
    "token_exchange: found no service, expected the cluster, the authority and the path of the token endpoint",
  ),
  bad(
    "no client",
    exchange(without(EXCHANGE, "client")),
    "token_exchange: found no client, expected as whom the token endpoint knows the filter",
  ),
  bad(
    "no audience and no resource",
    exchange(without(EXCHANGE, "audience")),
    "token_exchange: found no audience and no resource, expected for which server the tokens are",
  ),
  bad("an empty token_exchange", exchange({}), undefined),
  bad("null for token_exchange", exchange(null), undefined),
  bad("a list for token_exchange", exchange([]), undefined),
  bad(
    "an unknown member of token_exchange",
    withExchange({ scopes: "a" }),
    'token_exchange: found the unknown member "scopes", expected one of service client audience resource scope requested_token_type subject_token_type actor cache_entries max_cache_seconds; did you mean "scope"?',
  ),
  ...(
    [
      ["cluster", "the name of the proxy's cluster for the service"],
      ["authority", "the service's host like idp.example.com"],
      ["path", "that of the token endpoint like /oauth2/token"],
    ] as const
  ).map(([member, what]) =>
    bad(
      `a token service without ${member}`,
      withExchange({ service: without(SERVICE, member) }),
      `token_exchange.service: found no ${member}, expected ${what}`,
    ),
  ),
  ...TEXTS.flatMap(([place, policy, most, what]) => [
    good(`${most} bytes of ${place}`, policy("x".repeat(most))),
    ...["", "a b", "ü", "x".repeat(most + 1)].map((text) =>
      bad(
        `${JSON.stringify(text.slice(0, 4))} of ${text.length} characters as ${place}`,
        policy(text),
        `token_exchange.${place}: found the string "${escaped(text).slice(0, 64)}", expected ${what}`,
      ),
    ),
    bad(`a number as ${place}`, policy(7), `token_exchange.${place}: found the number 7, expected ${what}`),
  ]),
  ...["/", "/token?tenant=a", `/${"p".repeat(511)}`].map((path) =>
    good(`the path ${path.slice(0, 16)} of a token service`, withService({ path })),
  ),
  ...["token", "", "/a b", "/a#b", "https://idp.example/token", `/${"p".repeat(512)}`].map((path) =>
    bad(
      `${JSON.stringify(path.slice(0, 16))} of ${path.length} as the path of a token service`,
      withService({ path }),
      `token_exchange.service.path: found the string "${path.slice(0, 64)}", expected ${PATH}`,
    ),
  ),
  ...["https://mcp.example", "urn:a", "a+b-c.d1:x", "HTTPS://mcp.example/%20", `a:${"x".repeat(510)}`].map((resource) =>
    good(`the resource ${resource.slice(0, 24)}`, withExchange({ resource })),
  ),
  ...[
    "mcp.example",
    "https:",
    ":a",
    "1a:b",
    "a_b:c",
    "https://mcp.example/#x",
    "https://mcp.example/a b",
    "",
    `a:${"x".repeat(511)}`,
  ].map((resource) =>
    bad(
      `${JSON.stringify(resource.slice(0, 24))} of ${resource.length} as a resource`,
      withExchange({ resource }),
      `token_exchange.resource: found the string "${resource.slice(0, 64)}", expected ${RESOURCE}`,
    ),
  ),
  ...["a", "a b", "repo:read https://idp.example/all", "!#[]~", "s".repeat(512)].map((scope) =>
    good(`the scope ${scope.slice(0, 40)}`, withExchange({ scope })),
  ),
  ...["", " ", "a ", " a", "a  b", 'a"b', "a\\b", "ü", "a\tb", "s".repeat(513)].map((scope) =>
    bad(`${JSON.stringify(scope.slice(0, 8))} of ${scope.length} as a scope`, withExchange({ scope }), undefined),
  ),
  bad("a list of scopes", withExchange({ scope: ["a", "b"] }), `token_exchange.scope: found a list, expected ${SCOPE}`),
  ...(
    [
      ["service.timeout_ms", (value: number) => withService({ timeout_ms: value }), 100, 30_000],
      ["cache_entries", (value: number) => withExchange({ cache_entries: value }), 16, 16_384],
      ["max_cache_seconds", (value: number) => withExchange({ max_cache_seconds: value }), 0, 3600],
    ] as const
  ).flatMap(([place, policy, least, most]) => [
    good(`the least ${place}`, policy(least)),
    good(`the most ${place}`, policy(most)),
    ...[least - 1, most + 1, least + 0.5].map((value) =>
      bad(
        `${value} for ${place}`,
        policy(value),
        `token_exchange.${place}: found the number ${value}, expected a whole number from ${least} to ${most}`,
      ),
    ),
  ]),
];

const CLIENTS: ConfigurationRow[] = [
  bad(
    "a client without id",
    withClient(without(SECRET, "id")),
    "token_exchange.client: found no id, expected the client's id at the token endpoint",
  ),
  bad(
    "a client without auth",
    withClient(without(SECRET, "auth")),
    "token_exchange.client: found no auth, expected client_secret_basic or private_key_jwt",
  ),
  bad(
    "another way to authenticate",
    withClient({ ...SECRET, auth: "client_secret_post" }),
    'token_exchange.client.auth: found the string "client_secret_post", expected one of client_secret_basic private_key_jwt; did you mean "client_secret_basic"?',
  ),
  bad(
    "a secret without its variable",
    withClient(without(SECRET, "secret_env")),
    "token_exchange.client: found auth: client_secret_basic without secret_env, expected the variable that holds the secret",
  ),
  ...(
    [
      ["key_env", "key_env, expected the variable that holds the private key"],
      ["alg", "alg, expected RS256 or ES256"],
      ["audience", "audience, expected the issuer, or the URL of the token endpoint"],
    ] as const
  ).map(([member, words]) =>
    bad(
      `a key without ${member}`,
      withClient(without(KEY, member)),
      `token_exchange.client: found auth: private_key_jwt without ${words}`,
    ),
  ),
  ...(["key_env", "alg", "audience"] as const).map((member) =>
    bad(
      `a secret with ${member}`,
      withClient({ ...SECRET, [member]: KEY[member] }),
      `token_exchange.client.${member}: found it with auth: client_secret_basic, expected it with auth: private_key_jwt only`,
    ),
  ),
  bad(
    "a secret with kid",
    withClient({ ...SECRET, kid: "k" }),
    "token_exchange.client.kid: found it with auth: client_secret_basic, expected it with auth: private_key_jwt only",
  ),
  bad(
    "a key with a secret",
    withClient({ ...KEY, secret_env: "CLIENT_SECRET" }),
    "token_exchange.client.secret_env: found it with auth: private_key_jwt, expected it with auth: client_secret_basic only",
  ),
  bad(
    "an algorithm without a key of its own",
    withClient({ ...KEY, alg: "HS256" }),
    'token_exchange.client.alg: found the string "HS256", expected one of RS256 ES256; did you mean "RS256"?',
  ),
  ...(
    [
      ["client.secret_env", (value: unknown) => withClient({ ...SECRET, secret_env: value })],
      ["client.key_env", (value: unknown) => withClient({ ...KEY, key_env: value })],
      ["actor.token_env", (value: unknown) => withExchange({ actor: { token_env: value } })],
    ] as const
  ).flatMap(([place, policy]) => [
    ...["", "1A", "A-B", "A B", "a".repeat(129)].map((text) =>
      bad(
        `${JSON.stringify(text.slice(0, 4))} of ${text.length} as ${place}`,
        policy(text),
        `token_exchange.${place}: found the string "${text.slice(0, 64)}", expected ${VARIABLE}`,
      ),
    ),
    bad(`a number as ${place}`, policy(7), `token_exchange.${place}: found the number 7, expected ${VARIABLE}`),
  ]),
  bad(
    "an actor without its variable",
    withExchange({ actor: {} }),
    "token_exchange.actor: found no token_env, expected the variable that holds the actor's token",
  ),
  bad(
    "an inline token of an actor",
    withExchange({ actor: { token: "eyJ" } }),
    'token_exchange.actor: found the unknown member "token", expected one of token_env token_type',
  ),
  bad(
    "an inline secret",
    withClient({ ...SECRET, secret: "s" }),
    'token_exchange.client: found the unknown member "secret", expected one of id auth secret_env key_env alg kid audience',
  ),
];

/** All rows about tokens. */
export const TOKENS: readonly ConfigurationRow[] = [...TOGETHER, ...MEMBERS, ...CLIENTS];
