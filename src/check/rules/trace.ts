// Point 5: are all tool calls traceable to a specific human user id? The guard must know the human, and what it records must be written out.
import { isTrustDomain } from "../../policy/trust-domain.ts";
import { policyPath, policyRules, tokenIssuers } from "../guard.ts";
import { get, isRecord, type KubeObject, list, text, texts } from "../kube-object.ts";
import { providerOf } from "../mesh-config.ts";
import { type Hit, hit, type Rule, type Unanswered } from "../rule.ts";
import { hasTargets, type Server, selectsServer, type World } from "../world.ts";

const RECORD = "%FILTER_STATE(wasm.mcp_audit:PLAIN)%";

export const traceRules: readonly Rule[] = [
  {
    id: "guard-without-human",
    questions: ["trace"],
    why: "A call that names no human is let through, and its record has a workload at most.",
    mend: "Set identity.require_human: true, with identity.jwt or identity.header to say who names the human (docs/identity.md).",
    *check({ guards }) {
      for (const guard of guards) {
        if (get(guard.policy, "identity", "require_human") !== true)
          yield hit(
            guard.object,
            policyPath(guard, "identity", "require_human"),
            "found no identity.require_human: true",
          );
      }
    },
  },
  {
    id: "token-not-validated",
    questions: ["trace"],
    why: "The guard takes the human from tokens that the proxy has validated. Without a RequestAuthentication for the issuer none ever is.",
    mend: "Add a RequestAuthentication that selects the workload, with a rule for the issuer.",
    *check(server, world) {
      const issuers = new Set(tokenRules(server, world).map(({ issuer }) => issuer));
      for (const guard of server.guards) {
        for (const [index, source] of list(get(guard.policy, "identity", "jwt")).entries()) {
          const issuer = text(get(source, "issuer"));
          if (!issuers.has(issuer))
            yield hit(
              guard.object,
              policyPath(guard, "identity", "jwt", index, "issuer"),
              `found no RequestAuthentication for the issuer ${issuer} that selects the workload`,
            );
        }
      }
    },
  },
  {
    id: "token-of-nobody",
    questions: ["trace"],
    why: "A token of this issuer is validated and let through, and names nobody: identity.jwt of the policy does not have its issuer.",
    mend: "Add the issuer to identity.jwt, or take its rule out of the RequestAuthentication.",
    *check(server, world) {
      const known = new Set(server.guards.flatMap(({ policy }) => tokenIssuers(policy)));
      if (known.size === 0) return;
      for (const { object, index, issuer } of tokenRules(server, world)) {
        if (!known.has(issuer))
          yield hit(
            object,
            ["spec", "jwtRules", index, "issuer"],
            `found ${issuer || "no issuer"}, which identity.jwt of no guard has`,
          );
      }
    },
  },
  {
    id: "rule-without-source",
    questions: ["trace"],
    why: "Nobody who asks has a principal of this issuer, so the rule gives what it lists to nobody.",
    mend: "Name the issuer of an entry of identity.jwt, the SPIFFE id of a trusted gateway, or a trust domain; or add the source to identity.",
    *check({ guards }) {
      for (const guard of guards) {
        const gateways = texts(get(guard.policy, "identity", "header", "trusted_gateways"));
        const sources = new Set([...tokenIssuers(guard.policy), ...gateways]);
        for (const [index, rule] of policyRules(guard.policy).entries()) {
          for (const [at, principal] of list(get(rule, "principals")).entries()) {
            const issuer = text(get(principal, "issuer"));
            if (sources.has(issuer) || isTrustDomain(issuer)) continue;
            yield hit(
              guard.object,
              policyPath(guard, "rules", index, "principals", at, "issuer"),
              `found ${issuer || "no issuer"}, which no source of identity has`,
            );
          }
        }
      }
    },
  },
  {
    id: "audit-line-none",
    questions: ["trace"],
    why: "The guard writes no record for the access log, which is the one that is complete.",
    mend: "Remove audit.line, or set it to json.",
    *check({ guards }) {
      for (const guard of guards) {
        if (get(guard.policy, "audit", "line") === "none")
          yield hit(guard.object, policyPath(guard, "audit", "line"), "found none, expected json");
      }
    },
  },
  {
    id: "telemetry-missing",
    questions: ["trace"],
    why: "The guard makes a record of each exchange, and nothing writes it out.",
    mend: "Add a Telemetry that selects the workload, with accessLogging in mode SERVER and the provider of the audit line.",
    *check(server, world) {
      if (telemetryOf(server, world) === undefined)
        yield hit(server.object, [], "found no Telemetry with accessLogging that selects the workload");
    },
  },
  ...loggingRules([
    {
      id: "telemetry-disabled",
      why: "The access log of the workload is off, and with it the audit trail.",
      mend: "Remove disabled.",
      *check({ telemetry, entry, index }) {
        if (get(entry, "disabled") === true)
          yield hit(telemetry, ["spec", "accessLogging", index, "disabled"], "found disabled: true, expected none");
      },
    },
    {
      id: "telemetry-mode",
      why: "CLIENT logs what the server itself asks for, and no call of a tool. Both together have lines that look like calls that no guard has seen.",
      mend: "Set match to mode: SERVER.",
      *check({ telemetry, entry, index }) {
        const mode = text(get(entry, "match", "mode"));
        if (mode !== "SERVER")
          yield hit(
            telemetry,
            ["spec", "accessLogging", index, "match"],
            `found ${mode || "no mode"}, expected SERVER`,
          );
      },
    },
    {
      id: "telemetry-filter",
      why: "What the expression does not choose is not logged: refusals, most likely.",
      mend: "Remove filter.",
      *check({ telemetry, entry, index }) {
        if (get(entry, "filter") !== undefined)
          yield hit(telemetry, ["spec", "accessLogging", index, "filter"], "found a filter, expected none");
      },
    },
    {
      id: "telemetry-provider",
      why: "A provider that the mesh does not have writes nothing.",
      mend: "Name a provider of meshConfig.extensionProviders, or add it there.",
      *check({ telemetry, providers, index }, { meshes }) {
        if (providers.length === 0)
          yield hit(
            telemetry,
            ["spec", "accessLogging", index],
            "found no providers, expected the one of the audit line",
          );
        for (const name of providers) {
          if (meshes.length > 0 && !meshes.some((mesh) => providerOf(mesh, name) !== undefined)) {
            yield hit(
              telemetry,
              ["spec", "accessLogging", index, "providers"],
              `found the provider ${name}, which ${meshes.map((mesh) => mesh.name).join(" and ")} does not have`,
            );
          }
        }
      },
    },
    {
      id: "audit-format",
      why: "The access log does not have the record that the guard has made.",
      mend: `Put ${RECORD} into the log format of a provider that the Telemetry names. Without :PLAIN it is encoded in base64.`,
      *check({ providers }, { meshes }) {
        if (meshes.length === 0) {
          yield {
            missing: "mesh-config",
            why: `whether the format of ${providers.join(", ") || "the access log"} has ${RECORD}`,
          };
          return;
        }
        const found = meshes.flatMap((mesh) =>
          providers.flatMap((name) => ({ mesh, name, provider: providerOf(mesh, name) })),
        );
        const known = found.filter(({ provider }) => provider !== undefined);
        const [first] = known;
        if (first?.provider === undefined || known.some(({ provider }) => hasRecord(provider?.value))) return;
        yield {
          object: first.mesh.name,
          place: first.mesh.at(first.provider.path),
          found: `found no ${RECORD} in the log format of ${known.map(({ name }) => name).join(", ")}`,
        };
      },
    },
  ]),
];

/** A rule of a RequestAuthentication that holds for a server. */
export interface TokenRule {
  object: KubeObject;
  rule: unknown;
  index: number;
  issuer: string;
}

/** The rules by which a server's proxy, or its waypoint, validates tokens. */
export function tokenRules(server: Server, { objects, rootNamespace }: World): TokenRule[] {
  return objects
    .filter((object) => object.kind === "RequestAuthentication" && selectsServer(object, server, rootNamespace))
    .flatMap((object) =>
      list(get(object.value, "spec", "jwtRules")).map((rule, index) => ({
        object,
        rule,
        index,
        issuer: text(get(rule, "issuer")),
      })),
    );
}

/** An entry of accessLogging that holds for a server. */
interface Logging {
  telemetry: KubeObject;
  entry: unknown;
  index: number;
  providers: readonly string[];
}

interface LoggingRule extends Pick<Rule, "id" | "why" | "mend"> {
  check(logging: Logging, world: World): Iterable<Hit | Unanswered>;
}

function loggingRules(rules: readonly LoggingRule[]): Rule[] {
  return rules.map(({ check, ...rule }) => ({
    ...rule,
    questions: ["trace"],
    *check(server: Server, world: World) {
      const telemetry = telemetryOf(server, world);
      if (telemetry === undefined) return;
      for (const [index, entry] of list(get(telemetry.value, "spec", "accessLogging")).entries()) {
        const providers = list(get(entry, "providers")).map((provider) => text(get(provider, "name")));
        yield* check({ telemetry, entry, index, providers }, world);
      }
    },
  }));
}

/** The Telemetry whose access log is in force: the workload's own goes before that of the namespace, and that before the mesh's. */
function telemetryOf(server: Server, { objects, rootNamespace }: World): KubeObject | undefined {
  const candidates = objects.filter(
    (object) =>
      object.kind === "Telemetry" &&
      list(get(object.value, "spec", "accessLogging")).length > 0 &&
      selectsServer(object, server, rootNamespace),
  );
  const isOwn = (object: KubeObject): boolean =>
    hasTargets(object) || get(object.value, "spec", "selector", "matchLabels") !== undefined;
  return (
    candidates.find(isOwn) ?? candidates.find(({ namespace }) => namespace === server.object.namespace) ?? candidates[0]
  );
}

/** Whether a text anywhere in a provider has the record. */
function hasRecord(value: unknown): boolean {
  if (typeof value === "string") return value.includes(RECORD);
  if (Array.isArray(value)) return value.some(hasRecord);
  return isRecord(value) && Object.values(value).some(hasRecord);
}
