// Roles of AWS IAM, whatever they were written in: what of them the rules look at.
import type { Place } from "./yaml-text.ts";

/** One condition of a statement: `StringEquals`, `issuer:sub`, and its values. */
export interface RoleCondition {
  test: string;
  variable: string;
  values: readonly string[];
  place: Place;
}

/** One statement of a policy. A text with `${…}` depends on values that were not among the input. */
export interface RoleStatement {
  allows: boolean;
  actions: readonly string[];
  /** `NotAction` or `NotResource`. */
  isInverted: boolean;
  resources: readonly string[];
  /** Who may assume the role; only in trust policies. */
  principals: readonly string[];
  conditions: readonly RoleCondition[];
  place: Place;
}

/** A role, its trust policy, and what it may do. */
export interface Role {
  /** `aws_iam_role.mcp`. */
  address: string;
  /** Its name in AWS; undefined when AWS or a value that is not there decides. */
  name: string | undefined;
  /** Which of a `for_each`. */
  key: string | undefined;
  /** Undefined when it depends on values that were not among the input. */
  trust: readonly RoleStatement[] | undefined;
  permissions: readonly RoleStatement[];
  /** ARNs or references of attached policies that are not among the input. */
  attached: readonly { arn: string; place: Place }[];
  hasBoundary: boolean;
  place: Place;
}

/** A binding of EKS Pod Identity. */
export interface RoleAssociation {
  namespace: string;
  serviceAccount: string;
  /** The role's address or ARN, and which of a `for_each`. */
  role: string;
  key: string | undefined;
  place: Place;
}

/** All roles of the input. */
export interface Roles {
  roles: readonly Role[];
  associations: readonly RoleAssociation[];
}
