# What the module makes of servers that it takes. The AWS provider is the real one, and there is no account: everything is planned, nothing applied.
# Policy documents are computed by the provider alone. ARNs are made in AWS, so these are given here.

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

override_resource {
  target          = aws_iam_role.server
  override_during = plan
  values = {
    arn = "arn:aws:iam::123456789012:role/mcp-github"
  }
}

override_resource {
  target          = aws_iam_policy.boundary
  override_during = plan
  values = {
    arn = "arn:aws:iam::123456789012:policy/mcp-github-boundary"
  }
}

variables {
  oidc_issuer       = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
  oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
  cluster_arn       = "arn:aws:eks:eu-west-1:123456789012:cluster/agents"

  servers = {
    github = {
      namespace       = "ai-agents"
      service_account = "github-mcp-sa"
      statements = {
        ReadRepositories = {
          actions   = ["codecommit:GetFile", "codecommit:GetPullRequest"]
          resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs", "arn:aws:codecommit:eu-west-1:123456789012:site"]
        }
      }
    }

    # With other names than the first, so that no name is one that the module carries in itself.
    logs = {
      namespace       = "observability"
      service_account = "log-reader"
      identity        = "pod_identity"
      statements = {
        ReadEvents = {
          actions   = ["logs:GetLogEvents"]
          resources = ["arn:aws:logs:eu-west-1:123456789012:log-group:/app/web:*"]
          conditions = [{
            test     = "StringEquals"
            variable = "aws:SourceVpce"
            values   = ["vpce-0123456789abcdef0"]
          }]
        }
      }
    }
  }
}

run "irsa_trusts_one_service_account_for_sts" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.server["github"].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "OneServiceAccount"
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = var.oidc_provider_arn }
        Condition = {
          StringEquals = {
            "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF:sub" = "system:serviceaccount:ai-agents:github-mcp-sa"
            "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF:aud" = "sts.amazonaws.com"
          }
        }
      }]
    }
    error_message = "the trust policy is ${aws_iam_role.server["github"].assume_role_policy}"
  }
}

run "pod_identity_trusts_one_service_account_of_one_cluster" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.server["logs"].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "OneServiceAccount"
        Effect    = "Allow"
        Action    = ["sts:TagSession", "sts:AssumeRole"]
        Principal = { Service = "pods.eks.amazonaws.com" }
        Condition = {
          StringEquals = {
            "aws:RequestTag/kubernetes-namespace"       = "observability"
            "aws:RequestTag/kubernetes-service-account" = "log-reader"
            "aws:RequestTag/eks-cluster-arn"            = "arn:aws:eks:eu-west-1:123456789012:cluster/agents"
            "aws:SourceAccount"                         = "123456789012"
          }
        }
      }]
    }
    error_message = "the trust policy is ${aws_iam_role.server["logs"].assume_role_policy}"
  }
}

run "pod_identity_is_an_association_and_irsa_none" {
  command = plan

  assert {
    condition     = keys(aws_eks_pod_identity_association.server) == ["logs"]
    error_message = "associations of ${join(", ", keys(aws_eks_pod_identity_association.server))}"
  }

  assert {
    condition = alltrue([
      aws_eks_pod_identity_association.server["logs"].cluster_name == "agents",
      aws_eks_pod_identity_association.server["logs"].namespace == "observability",
      aws_eks_pod_identity_association.server["logs"].service_account == "log-reader",
      aws_eks_pod_identity_association.server["logs"].role_arn == "arn:aws:iam::123456789012:role/mcp-github",
    ])
    error_message = "the association is ${jsonencode(aws_eks_pod_identity_association.server["logs"])}"
  }
}

run "a_server_may_do_what_its_statements_say" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.server["github"].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid      = "ReadRepositories"
        Effect   = "Allow"
        Action   = ["codecommit:GetPullRequest", "codecommit:GetFile"]
        Resource = ["arn:aws:codecommit:eu-west-1:123456789012:site", "arn:aws:codecommit:eu-west-1:123456789012:docs"]
      }]
    }
    error_message = "the policy is ${aws_iam_role_policy.server["github"].policy}"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.server["logs"].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "ReadEvents"
        Effect    = "Allow"
        Action    = "logs:GetLogEvents"
        Resource  = "arn:aws:logs:eu-west-1:123456789012:log-group:/app/web:*"
        Condition = { StringEquals = { "aws:SourceVpce" = "vpce-0123456789abcdef0" } }
      }]
    }
    error_message = "the policy is ${aws_iam_role_policy.server["logs"].policy}"
  }
}

run "each_role_has_a_boundary_of_its_own" {
  command = plan

  assert {
    condition     = alltrue([for name in ["github", "logs"] : jsondecode(aws_iam_policy.boundary[name].policy) == jsondecode(aws_iam_role_policy.server[name].policy)])
    error_message = "a boundary allows something else than the server's statements"
  }

  assert {
    condition     = alltrue([for name in ["github", "logs"] : aws_iam_role.server[name].permissions_boundary == "arn:aws:iam::123456789012:policy/mcp-github-boundary"])
    error_message = "the boundaries are ${jsonencode([for role in aws_iam_role.server : role.permissions_boundary])}"
  }
}

run "a_boundary_that_is_given_is_the_boundary" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/teams/mcp-limit"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.server : role.permissions_boundary == "arn:aws:iam::123456789012:policy/teams/mcp-limit"])
    error_message = "the boundaries are ${jsonencode([for role in aws_iam_role.server : role.permissions_boundary])}"
  }

  assert {
    condition     = length(aws_iam_policy.boundary) == 0
    error_message = "boundaries are made that nobody uses"
  }
}

run "nothing_else_stays_on_a_role" {
  command = plan

  assert {
    condition     = alltrue([for name in ["github", "logs"] : aws_iam_role_policies_exclusive.server[name].role_name == "mcp-${name}" && aws_iam_role_policies_exclusive.server[name].policy_names == toset(["permissions"])])
    error_message = "the policies of a role are not the one alone"
  }

  assert {
    condition     = alltrue([for name in ["github", "logs"] : aws_iam_role_policy_attachments_exclusive.server[name].role_name == "mcp-${name}" && length(aws_iam_role_policy_attachments_exclusive.server[name].policy_arns) == 0])
    error_message = "a managed policy may stay on a role"
  }
}

run "roles_are_named_tagged_and_short" {
  command = plan

  variables {
    name_prefix = "team-"
    tags        = { owner = "platform" }
  }

  assert {
    condition     = aws_iam_role.server["github"].name == "team-github" && aws_iam_policy.boundary["github"].name == "team-github-boundary"
    error_message = "the names are ${aws_iam_role.server["github"].name} and ${aws_iam_policy.boundary["github"].name}"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.server : role.max_session_duration == 3600])
    error_message = "a session may last longer than an hour"
  }

  assert {
    condition = alltrue([for tags in [aws_iam_role.server["github"].tags, aws_iam_policy.boundary["github"].tags] : tags == tomap({
      "owner"                     = "platform"
      "mcp-guard/server"          = "github"
      "mcp-guard/namespace"       = "ai-agents"
      "mcp-guard/service-account" = "github-mcp-sa"
    })])
    error_message = "the tags are ${jsonencode(aws_iam_role.server["github"].tags)}"
  }

  assert {
    condition     = aws_eks_pod_identity_association.server["logs"].tags["mcp-guard/server"] == "logs"
    error_message = "the association has no tags"
  }
}

run "outputs_are_what_a_service_account_needs" {
  command = plan

  assert {
    condition = output.service_account_annotations["github"] == tomap({
      "eks.amazonaws.com/role-arn"               = "arn:aws:iam::123456789012:role/mcp-github"
      "eks.amazonaws.com/sts-regional-endpoints" = "true"
      "eks.amazonaws.com/token-expiration"       = "3600"
    })
    error_message = "the annotations are ${jsonencode(output.service_account_annotations["github"])}"
  }

  assert {
    condition     = length(output.service_account_annotations["logs"]) == 0
    error_message = "with Pod Identity a ServiceAccount has no annotation"
  }

  assert {
    condition     = output.role_arns == { github = "arn:aws:iam::123456789012:role/mcp-github", logs = "arn:aws:iam::123456789012:role/mcp-github" }
    error_message = "the ARNs are ${jsonencode(output.role_arns)}"
  }

  assert {
    condition     = alltrue([for name in ["github", "logs"] : jsondecode(output.trust_policies[name]) == jsondecode(aws_iam_role.server[name].assume_role_policy) && jsondecode(output.policies[name]) == jsondecode(aws_iam_role_policy.server[name].policy) && output.permissions_boundary_arns[name] == aws_iam_role.server[name].permissions_boundary])
    error_message = "the outputs are not what the roles have"
  }
}

run "without_irsa_no_issuer_is_needed" {
  command = plan

  variables {
    oidc_issuer       = null
    oidc_provider_arn = null
    servers           = { logs = var.servers["logs"] }
  }

  assert {
    condition     = keys(aws_iam_role.server) == ["logs"]
    error_message = "the roles are ${join(", ", keys(aws_iam_role.server))}"
  }
}

run "without_pod_identity_no_cluster_is_needed" {
  command = plan

  variables {
    cluster_arn = null
    servers     = { github = var.servers["github"] }
  }

  assert {
    condition     = keys(aws_iam_role.server) == ["github"]
    error_message = "the roles are ${join(", ", keys(aws_iam_role.server))}"
  }
}

run "wildcards_below_a_thing_that_is_named" {
  command = plan

  variables {
    cluster_arn = null
    servers = {
      github = merge(var.servers["github"], {
        statements = {
          Read = {
            actions = ["s3:GetObject"]
            resources = [
              "arn:aws:s3:::reports/*",
              "arn:aws:s3:::reports/2026/*",
              "arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:/app/web:*",
              "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/index/*",
              "arn:aws:ssm:eu-west-1::parameter/aws/service/list",
            ]
          }
        }
      })
    }
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.server["github"].policy).Statement[0].Resource) == 5
    error_message = "a resource is missing in ${aws_iam_role_policy.server["github"].policy}"
  }
}

run "the_example_is_the_server_of_the_standard" {
  command = plan

  module {
    source = "./examples/github"
  }

  variables {
    region       = "eu-west-1"
    repositories = ["docs"]
  }

  assert {
    condition     = jsondecode(output.trust_policy).Statement[0].Condition.StringEquals["${var.oidc_issuer}:sub"] == "system:serviceaccount:ai-agents:github-mcp-sa"
    error_message = "the trust policy is ${output.trust_policy}"
  }

  assert {
    condition     = jsondecode(output.policy).Statement[0].Resource == "arn:aws:codecommit:eu-west-1:123456789012:docs" && alltrue([for action in jsondecode(output.policy).Statement[0].Action : can(regex("^codecommit:(Get|List|GitPull)", action))])
    error_message = "the policy is ${output.policy}"
  }
}
