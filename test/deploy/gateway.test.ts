// deploy/istio/gateway in a real Envoy. Goal: the header User-Identity that a server gets is the token's claim, whatever a client writes into it, and without a
// valid token nothing arrives. Method: Envoy's filters with the settings of our manifests, in the order that Istio gives them; Istio's own
// translation of the manifests is in test/mesh. Each of the three is also left out, to see that it is the one that holds.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { type Origin, startOrigin } from "../integration/origin.ts";
import { createIssuer, type Issuer } from "../integration/tokens.ts";
import { readManifests, theOne } from "./manifest-files.ts";

const MANIFESTS = readManifests("deploy/istio/rendered/gateway.yaml");
const CONNECTION_MANAGER =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

interface ConfigPatch {
  match: { context: string; listener: { filterChain: { filter: { name: string } } } };
  patch: { operation: string; value: { typed_config: Record<string, unknown> } };
}

interface JwtRule {
  issuer: string;
  audiences: string[];
  forwardOriginalToken: boolean;
  outputClaimToHeaders: { header: string; claim: string }[];
}

const [strip] = theOne(MANIFESTS, "EnvoyFilter").spec.configPatches as [ConfigPatch];
const [rule] = theOne(MANIFESTS, "RequestAuthentication").spec.jwtRules as [JwtRule];

/** Listeners with one of the three parts left out; `whole` has all. */
const LISTENERS = ["whole", "without-strip", "without-token", "without-policy"] as const;
type ListenerName = (typeof LISTENERS)[number];

let issuer: Issuer;
let stranger: Issuer;
let origin: Origin;
let envoy: EnvoyProcess;

beforeAll(async () => {
  issuer = await createIssuer(rule.issuer);
  stranger = await createIssuer(rule.issuer);
  origin = await startOrigin();
  envoy = await startEnvoy({ bootstrap: bootstrap() });
});

afterAll(async () => {
  await envoy.stop();
  await origin.stop();
});

test("the parts are for the same pods, and for the gateway's listeners alone", () => {
  for (const kind of ["RequestAuthentication", "AuthorizationPolicy"]) {
    expect(theOne(MANIFESTS, kind).spec.selector).toEqual({ matchLabels: { app: "ai-gateway" } });
  }
  expect(theOne(MANIFESTS, "EnvoyFilter").spec.workloadSelector).toEqual({ labels: { app: "ai-gateway" } });
  expect(strip.match.context).toBe("GATEWAY");
  expect(strip.patch.operation).toBe("MERGE");
  expect(theOne(MANIFESTS, "AuthorizationPolicy").spec).toMatchObject({
    action: "ALLOW",
    rules: [{ from: [{ source: { requestPrincipals: [`${rule.issuer}/*`] } }] }],
  });
  expect(theOne(MANIFESTS, "ServiceAccount").metadata).toMatchObject({ name: "ai-gateway", namespace: "gateway" });
});

interface Seen {
  status: number;
  /** Header fields of a name like User-Identity, as they arrived; undefined when nothing did. */
  identity: [string, string][] | undefined;
  authorization: unknown;
}

let count = 0;

async function send(listener: ListenerName, token: string | undefined, headers: [string, string][]): Promise<Seen> {
  const id = `gateway-${++count}`;
  const authorization: [string, string][] = token === undefined ? [] : [["authorization", `Bearer ${token}`]];
  const response = await fetch(`http://127.0.0.1:${envoy.ports.get(listener)}/rpc`, {
    method: "POST",
    headers: [...headers, ...authorization, ["x-request-id", id]],
    body: "{}",
  });
  await response.text();
  const [arrival] = origin.arrivals(id);
  const identity = arrival?.fields.filter(([name]) => /^user.identity$/i.test(name));
  return {
    status: response.status,
    identity: identity?.map(([name, value]) => [name.toLowerCase(), value]),
    authorization: arrival?.headers.authorization,
  };
}

const alice = (): Promise<string> => issuer.sign({ sub: "alice", aud: rule.audiences[0] });
const SPOOFED: [string, string][] = [
  ["User-Identity", "root"],
  ["user_identity", "root"],
  ["user.identity", "root"],
];

describe("a client's own User-Identity never arrives", () => {
  test("beside a valid token the claim does, alone, and the token does not", async () => {
    expect(await send("whole", await alice(), SPOOFED)).toEqual({
      status: 200,
      identity: [["user-identity", "alice"]],
      authorization: undefined,
    });
  });

  test.each<[string, () => Promise<string | undefined>, number]>([
    ["no token", async () => undefined, 403],
    ["a token of somebody else's key", () => stranger.sign({ sub: "alice", aud: rule.audiences[0] }), 401],
    ["a token for another audience", () => issuer.sign({ sub: "alice", aud: "other" }), 403],
    ["a token that has expired", () => issuer.sign({ sub: "alice", aud: rule.audiences[0], exp: 1 }), 401],
    ["a token for nobody", () => issuer.sign({ aud: rule.audiences[0] }), 403],
  ])("with %s nothing arrives", async (_, token, status) => {
    expect(await send("whole", await token(), SPOOFED)).toEqual({
      status,
      identity: undefined,
      authorization: undefined,
    });
  });

  test("and is taken out by itself, where no token is asked for", async () => {
    expect(await send("without-token", undefined, SPOOFED)).toMatchObject({ status: 200, identity: [] });
  });
});

describe("without a part it would", () => {
  test("another spelling of the header, without strip-user-identity", async () => {
    const { identity } = await send("without-strip", await alice(), SPOOFED);
    expect(identity).toEqual(expect.arrayContaining([["user_identity", "root"]]));
  });

  test("a request without a name without people-only", async () => {
    expect(await send("without-policy", undefined, SPOOFED)).toMatchObject({ status: 200, identity: [] });
  });
});

/** One listener for each selection of parts, all of them in front of one server. */
function bootstrap(): object {
  const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  return {
    admin: { address: address(0) },
    static_resources: {
      listeners: LISTENERS.map((name) => ({
        name,
        address: address(0),
        filter_chains: [
          { filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager(name) }] },
        ],
      })),
      clusters: [
        {
          name: "server",
          type: "STATIC",
          load_assignment: {
            cluster_name: "server",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(origin.port) } }] }],
          },
        },
      ],
    },
  };
}

function manager(name: ListenerName): object {
  const { "@type": type, ...merged } = strip.patch.value.typed_config;
  expect(type).toBe(CONNECTION_MANAGER);
  const extensions = "type.googleapis.com/envoy.extensions.filters.http";
  return {
    "@type": CONNECTION_MANAGER,
    stat_prefix: name,
    ...(name !== "without-strip" && merged),
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "server" } }] },
      ],
    },
    http_filters: [
      ...(name === "without-token" ? [] : [{ name: "envoy.filters.http.jwt_authn", typed_config: tokens() }]),
      ...(name === "without-token" || name === "without-policy"
        ? []
        : [{ name: "envoy.filters.http.rbac", typed_config: { "@type": `${extensions}.rbac.v3.RBAC`, ...policy() } }]),
      { name: "envoy.filters.http.router", typed_config: { "@type": `${extensions}.router.v3.Router` } },
    ],
  };
}

/** A RequestAuthentication as Istio translates it: a token may be missing, and one that is there has to be valid. */
function tokens(): object {
  const provider = {
    issuer: rule.issuer,
    audiences: rule.audiences,
    local_jwks: { inline_string: issuer.jwks },
    forward: rule.forwardOriginalToken,
    payload_in_metadata: "payload",
    claim_to_headers: rule.outputClaimToHeaders.map(({ header, claim }) => ({
      header_name: header,
      claim_name: claim,
    })),
  };
  return {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    providers: { people: provider },
    rules: [
      {
        match: { prefix: "/" },
        requires: { requires_any: { requirements: [{ provider_name: "people" }, { allow_missing: {} }] } },
      },
    ],
  };
}

/** `requestPrincipals: [<issuer>/*]`: a token of this issuer that names somebody. */
function policy(): object {
  const claim = (name: string, value: object) => ({
    metadata: {
      filter: "envoy.filters.http.jwt_authn",
      path: [{ key: "payload" }, { key: name }],
      value: { string_match: value },
    },
  });
  const principals = [
    { and_ids: { ids: [claim("iss", { exact: rule.issuer }), claim("sub", { safe_regex: { regex: ".+" } })] } },
  ];
  return { rules: { action: "ALLOW", policies: { people: { permissions: [{ any: true }], principals } } } };
}
