// What the module says to each fault of terraform/tests/refused.tftest.hcl.

/** A message: how it begins, what was found, and what was expected. */
export interface Refusal {
  readonly begins: string;
  readonly found: readonly string[];
  readonly ends: string;
}

/** By the name of the run. */
export const REFUSALS: Readonly<Record<string, Refusal>> = {
  names_that_no_role_can_have: {
    begins: "servers: found the name ",
    found: ['"-begins"', '"Capital"', '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"', '"ends-"', '"under_score"'],
    ends: "; expected up to 40 small letters, digits and hyphens: it becomes part of the role's name.",
  },
  namespaces_that_are_not_one: {
    begins: "servers: found ",
    found: [
      'all.namespace = "*"',
      'capital.namespace = "AI"',
      'empty.namespace = ""',
      'longer.namespace = "ai-agents:github-mcp-sa"',
      'some.namespace = "ai-*"',
      'unknown.namespace = "ai-agent?"',
    ],
    ends: "; expected the name of one Kubernetes namespace, without wildcards.",
  },
  service_accounts_that_are_not_one: {
    begins: "servers: found ",
    found: [
      'all.service_account = "*"',
      'capital.service_account = "GitHub"',
      'every-pod.service_account = "default"',
      'longer.service_account = "a:b"',
      'some.service_account = "github-*"',
      'unknown.service_account = "github-mcp-s?"',
    ],
    ends: "; expected the name of one Kubernetes service account, without wildcards, and not default, which every pod has that names none.",
  },
  servers_that_share_a_service_account: {
    begins: "servers: found more than one server with the service account ",
    found: ["ai-agents/shared (first, second)"],
    ends: "; expected a service account, and so a role, for each server.",
  },
  identities_that_there_are_not: {
    begins: "servers: found ",
    found: ['capital.identity = "IRSA"', 'node.identity = "node"'],
    ends: '; expected "irsa" or "pod_identity".',
  },
  servers_without_statements: {
    begins: "servers: found no statements for ",
    found: ["nothing"],
    ends: "; expected at least one. A server that calls nothing in AWS needs no role.",
  },
  sids_that_iam_does_not_take: {
    begins: "servers: found the Sid ",
    found: ['"" of empty', '"read-all" of hyphen'],
    ends: "; expected letters and digits alone, as IAM wants them.",
  },
  statements_without_actions_or_resources: {
    begins: "servers: found no actions or no resources in ",
    found: ["no-actions.Read", "no-resources.Read"],
    ends: "; expected at least one of each.",
  },
  actions_with_wildcards: {
    begins: "servers: found the action ",
    found: [
      '"*" in all.Read',
      '"*codecommit:GetFile" in before.Read',
      '"codecommit:Get*" in beginning.Read',
      '"GetFile" in no-service.Read',
      '"s3:*" in one-of-many.Read',
      '"codecommit:*" in service.Read',
      '"code*:GetFile" in services.Read',
      '"codecommit:GetFil?" in unknown.Read',
    ],
    ends: "; expected service:Action in full, without wildcards.",
  },
  resources_with_wildcards: {
    begins: "servers: found the resource ",
    found: [
      '"arn:aws:s3:eu-west-1:123456789012:accesspoint/*" in access-points.Read',
      '"arn:aws:codecommit:eu-west-1:*:docs" in account.Read',
      '"arn:aws:dynamodb:eu-west-1:*:table/orders/index/*" in account-below.Read',
      '"*" in all.Read',
      '"arn:aws:codecommit:eu-west-1:123456789012:team-*" in beginning.Read',
      '"arn:aws:s3:::*" in bucket.Read',
      '"arn:aws:s3:::*/*" in buckets.Read',
      '"arn:aws:codecommit:eu-west-1:123456789012:*" in everything.Read',
      '"arn:aws:codecommit:eu-west-1:123456789012:team-*-docs" in inside.Read',
      '"docs" in no-arn.Read',
      '"arn:aws:s3:::reports/*/2026/*" in objects-below.Read',
      '"arn:aws:s3:::reports/*/2026" in objects-inside.Read',
      '"arn:aws:codecommit:eu-west-1:123456789012:*" in one-of-many.Read',
      '"arn:aws:dynamodb:eu-west-1:123456789012:table/*" in one-type.Read',
      '"arn:aws:logs:eu-west-1:123456789012:log-group:*" in one-type-by-colon.Read',
      '"arn:aws:codecommit:eu-west-1:12345678901?:docs" in part-of-account.Read',
      '"arn:*:codecommit:eu-west-1:123456789012:docs" in partition.Read',
      '"arn:aws:codecommit:*:123456789012:docs" in region.Read',
      '"arn:aws:dynamodb:*:123456789012:table/orders/index/*" in region-below.Read',
      '"arn:aws:*:eu-west-1:123456789012:docs" in service.Read',
      '"arn:aws:*:eu-west-1:123456789012:table/orders/index/*" in service-below.Read',
      '"arn:aws:dynamodb:eu-west-1:123456789012:table/*/index/*" in two.Read',
      '"arn:aws:codecommit:eu-west-1:123456789012:doc?" in unknown.Read',
      '"arn:aws:ssm:eu-west-1:123456789012:parameter//*" in unnamed.Read',
    ],
    ends: "; expected a whole ARN without wildcards, or with /* or :* at its end, below a thing that is named.",
  },
  conditions_that_restrict_nothing: {
    begins: "servers: found the condition ",
    found: [
      'ForAllValues:StringEquals aws:SourceVpce ["vpce-0123456789abcdef0"] in all-values.Read',
      'StringEqualsIfExists aws:SourceVpce ["vpce-0123456789abcdef0"] in if-exists.Read',
      "StringEquals aws:SourceVpce [] in no-values.Read",
      'Equals aws:SourceVpce ["vpce-0123456789abcdef0"] in unknown.Read',
    ],
    ends: "; expected one of IAM's operators, without ForAllValues and IfExists, and at least one value.",
  },
  an_issuer_with_its_scheme: {
    begins: "oidc_issuer: found ",
    found: ['"https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"'],
    ends: '; expected host and path alone, without https:// and without a slash at the end, as oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF. trimprefix(issuer, "https://") makes it of what EKS says.',
  },
  an_issuer_with_a_slash_at_its_end: {
    begins: "oidc_issuer: found ",
    found: ['"oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF/"'],
    ends: '; expected host and path alone, without https:// and without a slash at the end, as oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF. trimprefix(issuer, "https://") makes it of what EKS says.',
  },
  an_issuer_with_a_wildcard: {
    begins: "oidc_issuer: found ",
    found: ['"*"'],
    ends: '; expected host and path alone, without https:// and without a slash at the end, as oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF. trimprefix(issuer, "https://") makes it of what EKS says.',
  },
  irsa_without_an_issuer: {
    begins: "oidc_issuer: found ",
    found: ["null"],
    ends: "; expected the cluster's issuer, since servers have the identity irsa: github.",
  },
  the_provider_of_another_issuer: {
    begins: "oidc_provider_arn: found ",
    found: ['"arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ANOTHER"'],
    ends: "; expected arn:aws:iam::ACCOUNT:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF.",
  },
  a_provider_that_is_no_arn: {
    begins: "oidc_provider_arn: found ",
    found: ['"arn:aws:iam::*:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"'],
    ends: "; expected arn:aws:iam::ACCOUNT:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF.",
  },
  irsa_without_a_provider: {
    begins: "oidc_provider_arn: found ",
    found: ["null"],
    ends: "; expected the ARN of the cluster's provider, since servers have the identity irsa: github.",
  },
  every_cluster: {
    begins: "cluster_arn: found ",
    found: ['"arn:aws:eks:eu-west-1:123456789012:cluster/*"'],
    ends: "; expected arn:aws:eks:REGION:ACCOUNT:cluster/NAME.",
  },
  pod_identity_without_a_cluster: {
    begins: "cluster_arn: found ",
    found: ["null"],
    ends: "; expected the cluster's ARN, since servers have the identity pod_identity: logs.",
  },
  a_boundary_without_an_account: {
    begins: "permissions_boundary_arn: found ",
    found: ['"arn:aws:iam:::policy/mcp-limit"'],
    ends: "; expected arn:aws:iam::ACCOUNT:policy/NAME, a policy of your own account.",
  },
  a_boundary_of_aws_itself: {
    begins: "permissions_boundary_arn: found ",
    found: ['"arn:aws:iam::aws:policy/AdministratorAccess"'],
    ends: "; expected arn:aws:iam::ACCOUNT:policy/NAME, a policy of your own account.",
  },
  a_prefix_that_is_too_long: {
    begins: "name_prefix: found ",
    found: ['"a-prefix-of-25-characters"'],
    ends: "; expected 1 to 24 letters, digits or + = , . @ _ -. A role's name has at most 64 characters.",
  },
  tags_that_aws_or_the_module_keeps: {
    begins: "tags: found ",
    found: ['"AWS:owner" = "platform"', '"mcp-guard/server" = "another"', '"owner" = "a;b"'],
    ends: "; expected keys of 1 to 128 and values of up to 256 letters, digits, blanks or _ . : / = + - @, and no key that begins with aws: or mcp-guard/.",
  },
  statements_that_no_boundary_can_hold: {
    begins: "servers: the statements of many are a policy of 7083 characters",
    found: [],
    ends: "; expected at most 6144, the most that a managed policy, and so a boundary, may have. Split the server, or give permissions_boundary_arn.",
  },
  statements_that_no_role_can_hold: {
    begins: "servers: the statements of many are a policy of 11803 characters",
    found: [],
    ends: "; expected at most 10240, the most that a role's own policies may have. Split the server.",
  },
};
