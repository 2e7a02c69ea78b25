# The MCP server `github` of the security standard: its pods read the pull requests and the code of named CodeCommit repositories, and nothing else.

terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

variable "region" {
  description = "The region of the repositories."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: found ${jsonencode(var.region)}; expected a region's name, as eu-west-1."
  }
}

variable "oidc_provider_arn" {
  description = "The ARN of the cluster's IAM OIDC provider. The repositories are in the same account."
  type        = string

  validation {
    condition     = can(regex("^arn:aws(-[a-z]+)*:iam::[0-9]{12}:oidc-provider/.+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn: found ${jsonencode(var.oidc_provider_arn)}; expected arn:aws:iam::ACCOUNT:oidc-provider/ISSUER."
  }
}

variable "repositories" {
  description = "The names of the CodeCommit repositories that the server may read."
  type        = list(string)

  validation {
    condition     = length(var.repositories) > 0 && alltrue([for name in var.repositories : can(regex("^[A-Za-z0-9._-]{1,100}$", name))])
    error_message = "repositories: found ${jsonencode(var.repositories)}; expected at least one name, without wildcards."
  }
}

provider "aws" {
  region = var.region
}

locals {
  # arn:PARTITION:iam::ACCOUNT:oidc-provider/ISSUER
  provider_arn = split(":", var.oidc_provider_arn)
}

module "mcp_roles" {
  source = "../.."

  oidc_provider_arn = var.oidc_provider_arn
  oidc_issuer       = split(":oidc-provider/", var.oidc_provider_arn)[1]

  servers = {
    github = {
      namespace       = "ai-agents"
      service_account = "github-mcp-sa"
      statements = {
        ReadRepositories = {
          actions = [
            "codecommit:GetBranch",
            "codecommit:GetCommentsForPullRequest",
            "codecommit:GetCommit",
            "codecommit:GetDifferences",
            "codecommit:GetFile",
            "codecommit:GetFolder",
            "codecommit:GetPullRequest",
            "codecommit:GetRepository",
            "codecommit:GitPull",
            "codecommit:ListBranches",
            "codecommit:ListPullRequests",
          ]
          resources = [for name in var.repositories : "arn:${local.provider_arn[1]}:codecommit:${var.region}:${local.provider_arn[4]}:${name}"]
        }
      }
    }
  }
}

output "role_arn" {
  description = "The ARN of the server's role."
  value       = module.mcp_roles.role_arns["github"]
}

output "service_account_annotations" {
  description = "What the ServiceAccount github-mcp-sa must be annotated with."
  value       = module.mcp_roles.service_account_annotations["github"]
}

output "trust_policy" {
  description = "Who may assume the role."
  value       = module.mcp_roles.trust_policies["github"]
}

output "policy" {
  description = "What the role may do."
  value       = module.mcp_roles.policies["github"]
}
