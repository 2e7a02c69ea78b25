// Point 2, in AWS: the role of the workload's service account. Who may assume it, and what it may do.
import { isOpen } from "../hcl.ts";
import type { Role, RoleCondition, RoleStatement, Roles } from "../role.ts";
import { namesRole } from "../roles-of.ts";
import { type Hit, hit, type Rule, type Unanswered } from "../rule.ts";
import type { Server, World } from "../world.ts";
import { accountOf } from "./identity.ts";

const ROLE_ARN = "eks.amazonaws.com/role-arn";
const POD_IDENTITY = "pods.eks.amazonaws.com";

export const roleRules: readonly Rule[] = [
  {
    id: "role-missing",
    questions: ["identity"],
    why: "Without a role of its own the server's pods fall back to the role of the node, or get no credentials at all.",
    mend: "Correct the annotation eks.amazonaws.com/role-arn, or let the role's trust policy (or a Pod Identity association) name the service account.",
    *check(server, { objects, roles }) {
      if (roles === undefined) {
        yield {
          missing: "role",
          why: `whether the role of ${server.serviceAccount} trusts that account alone, and what it may do`,
        };
        return;
      }
      const account = accountOf(server, objects);
      const named = account?.annotations[ROLE_ARN];
      const own = rolesFor(server, roles, named);
      const who = `${server.object.namespace}/${server.serviceAccount}`;
      const place = account ?? server.object;
      const shut = own.find((role) => role.trust !== undefined && trusts(role).length === 0);
      if (shut !== undefined)
        yield hit(
          place,
          ["metadata", "annotations", ROLE_ARN],
          `found the role ${shut.address}, whose trust policy lets no service account in`,
        );
      if (own.length > 0 || named !== undefined) return;
      // A role whose name or subject depends on values that are not there may be the one.
      if (roles.roles.some(isUnknown))
        yield { missing: "role", why: "found roles whose subjects depend on values that were not handed in" };
      else yield hit(place, ["metadata"], `found no role that trusts ${who}, and no annotation ${ROLE_ARN}`);
    },
  },
  {
    id: "role-not-found",
    questions: ["identity"],
    why: "Without the role that the annotation names the server's pods get no credentials.",
    mend: "Correct the annotation eks.amazonaws.com/role-arn, or the name of the role.",
    *check(server, { objects, roles }) {
      const account = accountOf(server, objects);
      const named = account?.annotations[ROLE_ARN];
      if (roles === undefined || account === undefined || named === undefined) return;
      if (roles.roles.some((role) => namesRole(role, named))) return;
      const names = roles.roles.map(({ name, address }) => name ?? address).join(", ");
      if (roles.roles.some(({ name }) => name === undefined))
        yield { missing: "role", why: "found roles whose names depend on values that were not handed in" };
      else
        yield hit(
          account,
          ["metadata", "annotations", ROLE_ARN],
          `found ${named}, expected a role of the input: ${names || "it has none"}`,
        );
    },
  },
  ...rulesOfRoles([
    {
      id: "role-trusts-another",
      why: "A role is the right of one server. Whoever else can assume it has that right too, and acts under its name.",
      mend: "Let the sub condition name this service account alone: system:serviceaccount:<namespace>:<name>. Make a role for each server.",
      *check(role, server) {
        const wanted = subjectOf(server);
        for (const { statement, subjects } of trusts(role)) {
          const others = subjects.filter((subject) => !isOpen(subject) && subject !== wanted && !subject.includes("*"));
          if (others.length > 0)
            yield { place: statement.place, found: `found ${others.join(", ")}, expected ${wanted} alone` };
        }
      },
    },
    {
      id: "role-trust-without-sub",
      why: "Every pod of the cluster can assume the role.",
      mend: "Add a condition to the trust policy: StringEquals, <issuer>:sub, system:serviceaccount:<namespace>:<name>.",
      *check(role, server) {
        for (const { statement, subjects } of trusts(role)) {
          if (subjects.length === 0)
            yield {
              place: statement.place,
              found: `found a trust policy without a condition on sub, expected ${subjectOf(server)}`,
            };
        }
      },
    },
    {
      id: "role-trust-without-aud",
      why: "A token of the cluster that was made for another service is good for the role.",
      mend: "Add a condition to the trust policy: StringEquals, <issuer>:aud, sts.amazonaws.com.",
      *check(role) {
        for (const { statement, isPodIdentity } of trusts(role)) {
          if (!isPodIdentity && conditionsOn(statement, /:aud$/).length === 0)
            yield {
              place: statement.place,
              found: "found a trust policy without a condition on aud, expected sts.amazonaws.com",
            };
        }
      },
    },
    {
      id: "role-trust-pattern",
      why: "A pattern lets in accounts that nobody has thought of, and an operator with IfExists or Not lets in what has no such key.",
      mend: "Use StringEquals with whole values.",
      *check(role) {
        for (const { statement } of trusts(role)) {
          for (const condition of conditionsOn(statement, /:(?:sub|aud)$|RequestTag\/kubernetes-/)) {
            const isExact =
              condition.test === "StringEquals" ||
              (condition.test === "StringLike" && !condition.values.some((value) => /[*?]/.test(value)));
            if (!isExact)
              yield {
                place: condition.place,
                found: `found ${condition.test} with ${condition.values.join(", ")}, expected StringEquals`,
              };
          }
        }
      },
    },
    {
      id: "role-trust-issuer",
      why: "IAM knows no condition key with a scheme: the condition never holds, and nobody gets in.",
      mend: "Write the issuer without https://.",
      *check(role) {
        for (const { statement } of trusts(role)) {
          for (const { variable, place } of conditionsOn(statement, /^https?:\/\//))
            yield { place, found: `found ${variable}, expected it without a scheme` };
        }
      },
    },
    {
      id: "role-trust-anybody",
      why: "Whoever the other conditions do not shut out can assume the role.",
      mend: "Name the cluster's OIDC provider, or pods.eks.amazonaws.com, as the principal.",
      *check(role) {
        for (const statement of role.trust ?? []) {
          const wide = statement.allows
            ? statement.principals.filter(
                (principal) => principal === "*" || /^arn:aws[\w-]*:iam::\d+:root$/.test(principal),
              )
            : [];
          if (wide.length > 0)
            yield {
              place: statement.place,
              found: `found the principal ${wide.join(", ")}, expected one OIDC provider or pods.eks.amazonaws.com`,
            };
        }
      },
    },
    {
      id: "role-wildcard-action",
      why: "The role may do more than was thought of, and more each time that AWS adds an action.",
      mend: "List each action by its name.",
      *check(role) {
        for (const { allows, isInverted, actions, place } of role.permissions) {
          const wide = actions.filter((action) => action.includes("*"));
          if (allows && isInverted)
            yield {
              place,
              found:
                "found NotAction or NotResource in a statement that allows, expected actions and resources by name",
            };
          else if (allows && wide.length > 0)
            yield { place, found: `found ${wide.join(", ")}, expected actions by name` };
        }
      },
    },
    {
      id: "role-wildcard-resource",
      why: "The actions are allowed on everything of their kind, also on what is made later.",
      mend: "Name the resources by their ARNs.",
      *check(role) {
        for (const { allows, resources, place } of role.permissions) {
          const wide = allows ? resources.filter(isWideResource) : [];
          if (wide.length > 0)
            yield {
              place,
              found: `found ${wide.join(", ")}, expected ARNs of single resources, or with * at the end below a named one`,
            };
        }
      },
    },
    {
      id: "role-managed-policy",
      why: "The policies of AWS are broad, full of wildcards, and change without you.",
      mend: "Write a policy with the actions that the server needs.",
      *check(role) {
        for (const { arn, place } of role.attached) {
          if (/^arn:aws[\w-]*:iam::aws:policy\//.test(arn))
            yield { place, found: `found ${arn}, expected a policy of your own` };
        }
      },
    },
    {
      id: "role-without-boundary",
      why: "Whoever may attach policies to the role can add to what the server may do.",
      mend: "Set permissions_boundary.",
      *check(role) {
        if (!role.hasBoundary) yield { place: role.place, found: "found no permissions_boundary, expected one" };
      },
    },
  ]),
];

/** A rule about the role of a server. */
interface RoleRule extends Pick<Rule, "id" | "why" | "mend"> {
  check(role: Role, server: Server): Iterable<Omit<Hit, "object">>;
}

function rulesOfRoles(rules: readonly RoleRule[]): Rule[] {
  return rules.map(({ check, ...rule }) => ({
    ...rule,
    questions: ["identity"],
    *check(server: Server, { objects, roles }: World): Iterable<Hit | Unanswered> {
      if (roles === undefined) return;
      for (const role of rolesFor(server, roles, accountOf(server, objects)?.annotations[ROLE_ARN])) {
        for (const found of check(role, server)) yield { object: role.address, ...found };
        if (role.trust === undefined)
          yield {
            missing: "role",
            why: `who may assume ${role.address}: its trust policy depends on values that were not handed in`,
          };
      }
    },
  }));
}

/** The roles of a server: the one that the annotation names, those that trust its account, and those that an association gives it. */
function rolesFor(server: Server, { roles, associations }: Roles, named: string | undefined): Role[] {
  const wanted = subjectOf(server);
  return roles.filter((role) => {
    if (named !== undefined && namesRole(role, named)) return true;
    if (trusts(role).some(({ subjects }) => subjects.includes(wanted))) return true;
    return associations.some(
      ({ namespace, serviceAccount, role: associated, key }) =>
        namespace === server.object.namespace &&
        serviceAccount === server.serviceAccount &&
        (key === undefined || role.key === undefined || key === role.key) &&
        namesRole(role, associated),
    );
  });
}

function isUnknown(role: Role): boolean {
  const subjects = trusts(role).flatMap(({ subjects: found }) => found);
  return role.trust === undefined || role.name === undefined || subjects.some(isOpen);
}

function subjectOf({ object, serviceAccount }: Server): string {
  return `system:serviceaccount:${object.namespace}:${serviceAccount}`;
}

interface Trust {
  statement: RoleStatement;
  isPodIdentity: boolean;
  /** The service accounts that the conditions name, in the form of `sub`. */
  subjects: readonly string[];
}

/** The statements of a trust policy that let service accounts in. */
function trusts(role: Role): Trust[] {
  return (role.trust ?? []).flatMap((statement) => {
    if (!statement.allows) return [];
    const isPodIdentity = statement.principals.includes(POD_IDENTITY);
    if (
      !isPodIdentity &&
      !statement.actions.some((action) => /^(?:\*|sts:(?:\*|AssumeRoleWithWebIdentity))$/.test(action))
    )
      return [];
    return [
      {
        statement,
        isPodIdentity,
        subjects: isPodIdentity
          ? podIdentitySubjects(statement)
          : conditionsOn(statement, /:sub$/).flatMap(({ values }) => values),
      },
    ];
  });
}

function podIdentitySubjects(statement: RoleStatement): string[] {
  const namespaces = conditionsOn(statement, /RequestTag\/kubernetes-namespace$/).flatMap(({ values }) => values);
  const accounts = conditionsOn(statement, /RequestTag\/kubernetes-service-account$/).flatMap(({ values }) => values);
  return namespaces.flatMap((namespace) => accounts.map((account) => `system:serviceaccount:${namespace}:${account}`));
}

function conditionsOn(statement: RoleStatement, variable: RegExp): RoleCondition[] {
  return statement.conditions.filter((condition) => variable.test(condition.variable));
}

/** `*`, or an ARN whose part that names the resource begins with a star or names only a type: `role/*`. */
function isWideResource(resource: string): boolean {
  if (isOpen(resource)) return false;
  const [, , service = "", region = "", account = "", ...rest] = resource.split(":");
  const name = rest.join(":");
  if (!resource.startsWith("arn:")) return resource.includes("*");
  if (`${service}${region}${account}`.includes("*")) return true;
  return service === "s3" ? /^[^/]*\*/.test(name) : /^\*|^[\w-]+[/:]\*/.test(name);
}
