// The roles among the resources of Terraform, with what is attached to them.
import { isOpen } from "./hcl.ts";
import type { Role, RoleAssociation, RoleStatement, Roles } from "./role.ts";
import type { Resource } from "./terraform.ts";

/** All roles and associations. */
export function rolesOf(resources: readonly Resource[]): Roles {
  const roles = resources.filter(({ type }) => type === "aws_iam_role").map((role) => toRole(role, resources));
  const associations = resources
    .filter(({ type }) => type === "aws_eks_pod_identity_association")
    .map((association) => toAssociation(association));
  return { roles, associations };
}

/** Whether a text names the role: by its ARN, its name, or its address. */
export function namesRole(role: Role, named: string): boolean {
  return named === role.name || named.endsWith(`/${role.name}`) || hasAddress(named, role.address);
}

function toRole(resource: Resource, resources: readonly Resource[]): Role {
  const name = textOf(resource, "name");
  const partial = {
    address: resource.address,
    key: resource.key,
    name: name === undefined || isOpen(name) ? undefined : name,
  };
  const permissions: RoleStatement[] = [...resource.policiesIn("inline_policy", "policy")];
  const attached: { arn: string; place: Role["place"] }[] = [];
  for (const other of resources) {
    if (other.scope !== resource.scope || !isAbout(other, partial)) continue;
    if (other.type === "aws_iam_role_policy") permissions.push(...(other.policy("policy") ?? []));
    else attach(other, "policy_arn", resources, permissions, attached);
  }
  attach(resource, "managed_policy_arns", resources, permissions, attached);
  const boundary = resource.get("permissions_boundary");
  return {
    ...partial,
    trust: resource.policy("assume_role_policy"),
    permissions,
    attached,
    // In a plan the ARN of a boundary that is made with the role is not known yet.
    hasBoundary:
      (boundary !== undefined && boundary !== null && boundary !== "") ||
      resource.references("permissions_boundary").length > 0,
    place: resource.place,
  };
}

const ATTACHMENTS = new Set(["aws_iam_role_policy", "aws_iam_role_policy_attachment"]);

function isAbout(
  resource: Resource,
  role: { address: string; key: string | undefined; name: string | undefined },
): boolean {
  if (!ATTACHMENTS.has(resource.type)) return false;
  if (resource.key !== undefined && role.key !== undefined && resource.key !== role.key) return false;
  const named = textOf(resource, "role");
  return (
    (named !== undefined && named === role.name) ||
    resource.references("role").some((reference) => hasAddress(reference, role.address))
  );
}

/** Adds the statements of a policy of the input, or the ARN of one that is not. */
function attach(
  resource: Resource,
  name: string,
  resources: readonly Resource[],
  permissions: RoleStatement[],
  attached: { arn: string; place: Role["place"] }[],
): void {
  const references = resource.references(name);
  const own = resources.filter(
    (other) =>
      (other.key === undefined || resource.key === undefined || other.key === resource.key) &&
      other.type === "aws_iam_policy" &&
      other.scope === resource.scope &&
      references.some((reference) => hasAddress(reference, other.address)),
  );
  for (const policy of own) permissions.push(...(policy.policy("policy") ?? []));
  const value = resource.get(name);
  for (const arn of Array.isArray(value) ? value : [value]) {
    if (typeof arn === "string" && arn.startsWith("arn:")) attached.push({ arn, place: resource.at(name) });
  }
}

function toAssociation(resource: Resource): RoleAssociation {
  const role = textOf(resource, "role_arn") ?? resource.references("role_arn").join(" ");
  return {
    namespace: textOf(resource, "namespace") ?? "",
    serviceAccount: textOf(resource, "service_account") ?? "",
    role,
    key: resource.key,
    place: resource.place,
  };
}

function textOf(resource: Resource, name: string): string | undefined {
  const value = resource.get(name);
  return typeof value === "string" ? value : undefined;
}

/** Whether a text has the address as a whole: `aws_iam_role.mcp` is not in `aws_iam_role.mcp_files.arn`. */
function hasAddress(text: string, address: string): boolean {
  const index = text.indexOf(address);
  return index >= 0 && !/[\w-]/.test(text[index + address.length] ?? "");
}
