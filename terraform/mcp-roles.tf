# One IAM role for each MCP server. Only the pods of one Kubernetes service account can assume it, by IRSA or by EKS Pod Identity, and it can never
# do more than the statements of its server say, whatever else is attached to it.

locals {
  irsa_servers         = { for name, server in var.servers : name => server if server.identity == "irsa" }
  pod_identity_servers = { for name, server in var.servers : name => server if server.identity == "pod_identity" }

  # arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME
  cluster_arn     = var.cluster_arn == null ? [] : split(":", var.cluster_arn)
  cluster_account = try(local.cluster_arn[4], null)
  cluster_name    = try(trimprefix(local.cluster_arn[5], "cluster/"), null)

  trust_policies = merge(
    { for name, document in data.aws_iam_policy_document.irsa_trust : name => document.json },
    { for name, document in data.aws_iam_policy_document.pod_identity_trust : name => document.json },
  )

  tags = {
    for name, server in var.servers : name => merge(var.tags, {
      "mcp-guard/server"          = name
      "mcp-guard/namespace"       = server.namespace
      "mcp-guard/service-account" = server.service_account
    })
  }
}

# IRSA: a token of the cluster's issuer. Without `sub` every pod of the cluster could assume the role, without `aud` every token that the issuer
# makes would do, also one that was made for another service.
data "aws_iam_policy_document" "irsa_trust" {
  for_each = local.irsa_servers

  statement {
    sid     = "OneServiceAccount"
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:sub"
      values   = ["system:serviceaccount:${each.value.namespace}:${each.value.service_account}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

# EKS Pod Identity: EKS assumes the role for the pod, and says for which in the session's tags. The principal is the same for all clusters of all
# accounts: the conditions are what binds the role to this one. An association with `disable_session_tags` cannot use it.
data "aws_iam_policy_document" "pod_identity_trust" {
  for_each = local.pod_identity_servers

  statement {
    sid     = "OneServiceAccount"
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-namespace"
      values   = [each.value.namespace]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-service-account"
      values   = [each.value.service_account]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/eks-cluster-arn"
      values   = [var.cluster_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.cluster_account]
    }
  }
}

# What a server may do. The same document is the role's policy and its boundary.
data "aws_iam_policy_document" "permissions" {
  for_each = var.servers

  dynamic "statement" {
    for_each = each.value.statements

    content {
      sid       = statement.key
      effect    = "Allow"
      actions   = statement.value.actions
      resources = statement.value.resources

      dynamic "condition" {
        for_each = statement.value.conditions

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}

# Whoever may attach policies to the role, but not change this one, cannot add to what the server may do.
resource "aws_iam_policy" "boundary" {
  for_each = var.permissions_boundary_arn == null ? var.servers : {}

  name        = "${var.name_prefix}${each.key}-boundary"
  description = "The most that the MCP server ${each.key} may ever do."
  policy      = data.aws_iam_policy_document.permissions[each.key].json
  tags        = local.tags[each.key]

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.permissions[each.key].minified_json) <= 6144
      error_message = "servers: the statements of ${each.key} are a policy of ${length(data.aws_iam_policy_document.permissions[each.key].minified_json)} characters; expected at most 6144, the most that a managed policy, and so a boundary, may have. Split the server, or give permissions_boundary_arn."
    }
  }
}

resource "aws_iam_role" "server" {
  for_each = var.servers

  name                 = "${var.name_prefix}${each.key}"
  description          = "MCP server ${each.key}, for the service account ${each.value.namespace}/${each.value.service_account} alone."
  assume_role_policy   = local.trust_policies[each.key]
  permissions_boundary = var.permissions_boundary_arn == null ? aws_iam_policy.boundary[each.key].arn : var.permissions_boundary_arn
  # The shortest that IAM has.
  max_session_duration = 3600
  tags                 = local.tags[each.key]
}

resource "aws_iam_role_policy" "server" {
  for_each = var.servers

  name   = "permissions"
  role   = aws_iam_role.server[each.key].name
  policy = data.aws_iam_policy_document.permissions[each.key].json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.permissions[each.key].minified_json) <= 10240
      error_message = "servers: the statements of ${each.key} are a policy of ${length(data.aws_iam_policy_document.permissions[each.key].minified_json)} characters; expected at most 10240, the most that a role's own policies may have. Split the server."
    }
  }
}

# What anybody else puts on the role goes at the next apply.
resource "aws_iam_role_policies_exclusive" "server" {
  for_each = var.servers

  role_name    = aws_iam_role.server[each.key].name
  policy_names = [aws_iam_role_policy.server[each.key].name]
}

resource "aws_iam_role_policy_attachments_exclusive" "server" {
  for_each = var.servers

  role_name   = aws_iam_role.server[each.key].name
  policy_arns = []
}

resource "aws_eks_pod_identity_association" "server" {
  for_each = local.pod_identity_servers

  cluster_name    = local.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.server[each.key].arn
  tags            = local.tags[each.key]
}
