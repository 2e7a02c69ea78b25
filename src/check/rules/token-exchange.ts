// Point 2, at the callers' tokens: what becomes of the Authorization header, and when a guard exchanges tokens (RFC 8693), whether it gets them, whom it
// takes them to, and where its own credentials come from.
import { placeOfCluster } from "../../deploy/approval-place.ts";
import { TOKEN_SECRET_MEMBERS } from "../../policy/secret-members.ts";
import { type Plugin, policyPath, tokenIssuers } from "../guard.ts";
import { get, isRecord, type KubeObject, list, text, texts } from "../kube-object.ts";
import { type Hit, hit, type Rule } from "../rule.ts";
import { PROXY_CONTAINER } from "../workload.ts";
import { hasTargets, type Server, type World } from "../world.ts";
import type { Path } from "../yaml-text.ts";
import { isVisible, sidecarOf } from "./egress.ts";
import { tokenRules } from "./trace.ts";

export const tokenExchangeRules: readonly Rule[] = [
  {
    id: "guard-authorization-pass",
    questions: ["identity", "trace"],
    why: "The token of the caller reaches the server, which can use it, as can whoever takes the server over, for everything that it is good for.",
    mend: "Set authorization to exchange, with token_exchange, or to strip when the server asks for no token.",
    *check({ guards }) {
      for (const guard of guards) {
        const value = guard.policy?.authorization;
        if (value !== undefined && value !== "pass") continue;
        const found = value === undefined ? "found no authorization, which stands for pass" : "found pass";
        yield hit(guard.object, policyPath(guard, "authorization"), `${found}, expected exchange or strip`);
      }
    },
  },
  ...exchangeRules([
    {
      id: "token-service-missing",
      why: "Nothing among the input declares where the guard takes tokens to. Without such a cluster of the proxy each exchange fails, and every call that has a token is refused.",
      mend: "Declare the host and the port in a ServiceEntry of the namespace, or correct token_exchange.service.cluster.",
      *check(guard, server, world) {
        const path = policyPath(guard, "token_exchange", "service", "cluster");
        const place = tokenPlace(guard);
        if (place === undefined)
          yield hit(
            guard.object,
            path,
            `found ${clusterOf(guard) || "no cluster"}, expected outbound|<port>||<host> of a ServiceEntry or a Service of the input`,
          );
        else if (declared(place, server, world) === undefined)
          yield hit(guard.object, path, `found no ServiceEntry and no Service for ${place.host}, port ${place.port}`);
      },
    },
    {
      id: "token-service-hidden",
      why: "The guard asks through the server's own proxy, which knows no host that its Sidecar does not list: each exchange fails, and every call that has a token is refused.",
      mend: "Add <namespace>/<host>, ./<host> for one of this namespace, to the hosts of the Sidecar.",
      *check(guard, server, world) {
        // ztunnel and waypoints read no Sidecar.
        const [place, sidecar] = [tokenPlace(guard), sidecarOf(server, world)];
        if (place === undefined || sidecar === undefined || server.isAmbient) return;
        const object = declared(place, server, world);
        if (object === undefined || isVisible(sidecar, object.namespace, place.host)) return;
        yield hit(sidecar, ["spec", "egress"], `found no ${object.namespace}/${place.host} among the hosts`);
      },
    },
    {
      id: "token-service-plain",
      why: "The guard writes the request as plain HTTP. Without TLS from the proxy on, whoever is on the way reads the tokens of all callers and the guard's own secret; without a check of the certificate whoever is on the way answers in the service's place.",
      mend: "Add a DestinationRule for the host with tls: {mode: SIMPLE, sni, subjectAltNames, caCertificates}.",
      *check(guard, server, world) {
        const place = tokenPlace(guard);
        const object = place === undefined ? undefined : declared(place, server, world);
        // Inside the mesh it is mTLS.
        if (place === undefined || object === undefined || !isExternal(object)) return;
        const found = destinationRules(place.host, server, world);
        const [rule] = found;
        if (rule === undefined)
          yield hit(object, ["spec", "hosts"], `found no DestinationRule with TLS for ${place.host}`);
        for (const rule of found) yield* plainTls(rule, place);
      },
    },
    {
      id: "token-not-forwarded",
      why: "The proxy takes the header out when it has validated the token, so the guard finds none to exchange, and every call goes on without one.",
      mend: "Set forwardOriginalToken: true. With authorization: exchange the guard lets no token of a caller through to the server.",
      *check(guard, server, world) {
        for (const { object, rule, index, issuer } of exchangedTokens(guard, server, world)) {
          if (get(rule, "forwardOriginalToken") !== true)
            yield hit(
              object,
              ["spec", "jwtRules", index, "forwardOriginalToken"],
              `found no forwardOriginalToken: true for ${issuer}`,
            );
        }
      },
    },
    {
      id: "token-audience-missing",
      why: "A token that the issuer has made for any other application is taken, and exchanged for one that is good here: whoever gets hold of one acts as its user.",
      mend: "List in audiences the one that callers' tokens are made for.",
      *check(guard, server, world) {
        for (const { object, rule, index, issuer } of exchangedTokens(guard, server, world)) {
          if (texts(get(rule, "audiences")).length === 0)
            yield hit(object, ["spec", "jwtRules", index, "audiences"], `found no audiences for ${issuer}`);
        }
      },
    },
    {
      id: "token-secret-inline",
      why: "Everybody who may read this object has the credential by which the token service knows the guard, and gets tokens for whoever's token he comes by.",
      mend: "Let the entry of vmConfig.env have valueFrom: HOST, and give the variable to the container istio-proxy with secretKeyRef.",
      *check(guard, server, { objects }) {
        for (const { name } of secretsOf(guard)) {
          for (const [entry, index] of entriesNamed(get(guard.wasm, "vmConfig", "env"), name)) {
            if (get(entry, "valueFrom") !== "HOST")
              yield hit(
                guard.object,
                [...guard.wasmPath, "vmConfig", "env", index],
                `found a literal value for ${name}, expected valueFrom: HOST`,
              );
          }
          for (const { entry, path } of proxyVariables(server, name)) {
            if (get(entry, "valueFrom", "secretKeyRef") === undefined)
              yield hit(server.object, path, `found no secretKeyRef for ${name}, expected one`);
          }
          for (const object of objects) {
            const variables = get(object.value, "spec", "environmentVariables");
            if (object.kind === "ProxyConfig" && isRecord(variables) && Object.hasOwn(variables, name))
              yield hit(
                object,
                ["spec", "environmentVariables", name],
                `found a literal value for ${name}, expected none`,
              );
          }
        }
      },
    },
    {
      id: "token-secret-missing",
      why: "The filter gets no variable of that name, and refuses the policy: nothing passes.",
      mend: "Add the variable to vmConfig.env with valueFrom: HOST, and to a container istio-proxy of the pods, with secretKeyRef.",
      *check(guard, server) {
        for (const { name, path } of secretsOf(guard)) {
          const isHanded = entriesNamed(get(guard.wasm, "vmConfig", "env"), name).length > 0;
          // The pods of a waypoint are Istio's to make.
          const isThere = hasTargets(guard.object) || proxyVariables(server, name).length > 0;
          if (isHanded && isThere) continue;
          const lacking = isHanded ? `no container ${PROXY_CONTAINER} of the pods has` : "vmConfig.env does not have";
          yield hit(guard.object, path, `found ${name}, which ${lacking}`);
        }
      },
    },
  ]),
];

/** A rule about one guard that exchanges tokens. */
interface ExchangeRule extends Pick<Rule, "id" | "why" | "mend"> {
  check(guard: Plugin, server: Server, world: World): Iterable<Hit>;
}

function exchangeRules(rules: readonly ExchangeRule[]): Rule[] {
  return rules.map(({ check, ...rule }) => ({
    ...rule,
    questions: ["identity"],
    *check(server: Server, world: World) {
      for (const guard of server.guards) {
        if (guard.policy?.authorization === "exchange") yield* check(guard, server, world);
      }
    },
  }));
}

/** A host and a port of Envoy's cluster for them. */
interface TokenPlace {
  host: string;
  port: number;
}

function clusterOf({ policy }: Plugin): string {
  return text(get(policy, "token_exchange", "service", "cluster"));
}

function tokenPlace(guard: Plugin): TokenPlace | undefined {
  const [, port, host] = /^outbound\|(\d{1,5})\|[^|]*\|([^|]+)$/.exec(clusterOf(guard)) ?? [];
  return port === undefined || host === undefined ? undefined : { host, port: Number(port) };
}

/** The ServiceEntry or Service that declares a host with its port; undefined when none of the input does, or none that the server may see. */
function declared({ host, port }: TokenPlace, server: Server, { objects }: World): KubeObject | undefined {
  const service = placeOfCluster(`outbound|${port}||${host}`);
  return objects.find((object) => {
    const hasPort = list(get(object.value, "spec", "ports")).some(
      (entry) => Number(get(entry, "number") ?? get(entry, "port")) === port,
    );
    if (!hasPort) return false;
    if (object.kind === "Service") return object.name === service?.app && object.namespace === service.namespace;
    return (
      object.kind === "ServiceEntry" &&
      texts(get(object.value, "spec", "hosts")).includes(host) &&
      isExportedTo(object, server.object.namespace)
    );
  });
}

function isExportedTo(object: KubeObject, namespace: string): boolean {
  const exported = texts(get(object.value, "spec", "exportTo"));
  if (object.namespace === namespace || exported.length === 0) return true;
  return exported.includes("*") || exported.includes(namespace);
}

function isExternal(object: KubeObject): boolean {
  return object.kind === "ServiceEntry" && get(object.value, "spec", "location") !== "MESH_INTERNAL";
}

function destinationRules(host: string, server: Server, { objects }: World): KubeObject[] {
  return objects.filter(
    (object) =>
      object.kind === "DestinationRule" &&
      get(object.value, "spec", "host") === host &&
      isExportedTo(object, server.object.namespace),
  );
}

/** What lacks of the TLS that a DestinationRule gives a port. */
function* plainTls(rule: KubeObject, { host, port }: TokenPlace): Iterable<Hit> {
  const policy: Path = ["spec", "trafficPolicy"];
  const ofPort = list(get(rule.value, ...policy, "portLevelSettings")).findIndex(
    (entry) => get(entry, "port", "number") === port,
  );
  const path: Path = ofPort < 0 ? [...policy, "tls"] : [...policy, "portLevelSettings", ofPort, "tls"];
  const tls = get(rule.value, ...path);
  const mode = text(get(tls, "mode"));
  if (mode !== "SIMPLE" && mode !== "MUTUAL")
    yield hit(rule, path, `found ${mode || "no mode"} of TLS for ${host}, expected SIMPLE or MUTUAL`);
  else if (get(tls, "insecureSkipVerify") === true)
    yield hit(rule, [...path, "insecureSkipVerify"], `found a certificate of ${host} that is not looked at`);
}

/** The rules that validate the tokens that a guard exchanges. */
function exchangedTokens(guard: Plugin, server: Server, world: World): ReturnType<typeof tokenRules> {
  const issuers = tokenIssuers(guard.policy);
  return tokenRules(server, world).filter(({ issuer }) => issuers.includes(issuer));
}

/** The variables that a guard's own credentials for the token service are in, and where the policy names them. */
function secretsOf(guard: Plugin): { name: string; path: Path }[] {
  return TOKEN_SECRET_MEMBERS.flatMap((members) => {
    const name = text(get(guard.policy, ...members));
    return name === "" ? [] : [{ name, path: policyPath(guard, ...members) }];
  });
}

function entriesNamed(env: unknown, name: string): [entry: unknown, index: number][] {
  return list(env).flatMap((entry, index): [unknown, number][] =>
    get(entry, "name") === name ? [[entry, index]] : [],
  );
}

/** The entries by which the proxy of a server's pods gets a variable. */
function proxyVariables({ containers }: Server, name: string): { entry: unknown; path: Path }[] {
  return containers
    .filter((container) => container.name === PROXY_CONTAINER)
    .flatMap(({ value, path }) =>
      entriesNamed(value.env, name).map(([entry, index]) => ({ entry, path: [...path, "env", index] })),
    );
}
