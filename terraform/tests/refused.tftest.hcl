# What the module refuses. Each run has faults of one kind, which one validation names, beside a server without fault; without that validation the
# provider plans it without complaint.

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  oidc_issuer       = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
  oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"

  servers = {
    github = {
      namespace       = "ai-agents"
      service_account = "github-mcp-sa"
      statements = {
        Read = {
          actions   = ["codecommit:GetFile"]
          resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"]
        }
      }
    }
  }
}

run "names_that_no_role_can_have" {
  command = plan

  variables {
    servers = merge(var.servers, {
      Capital                                = merge(var.servers["github"], { service_account = "a" })
      under_score                            = merge(var.servers["github"], { service_account = "b" })
      "-begins"                              = merge(var.servers["github"], { service_account = "c" })
      "ends-"                                = merge(var.servers["github"], { service_account = "d" })
      (join("", [for i in range(41) : "a"])) = merge(var.servers["github"], { service_account = "e" })
    })
  }

  expect_failures = [var.servers]
}

run "namespaces_that_are_not_one" {
  command = plan

  variables {
    servers = merge(var.servers, {
      all     = merge(var.servers["github"], { service_account = "all", namespace = "*" })
      some    = merge(var.servers["github"], { service_account = "some", namespace = "ai-*" })
      unknown = merge(var.servers["github"], { service_account = "unknown", namespace = "ai-agent?" })
      longer  = merge(var.servers["github"], { service_account = "longer", namespace = "ai-agents:github-mcp-sa" })
      capital = merge(var.servers["github"], { service_account = "capital", namespace = "AI" })
      empty   = merge(var.servers["github"], { service_account = "empty", namespace = "" })
    })
  }

  expect_failures = [var.servers]
}

run "service_accounts_that_are_not_one" {
  command = plan

  variables {
    servers = merge(var.servers, {
      all       = merge(var.servers["github"], { service_account = "*" })
      some      = merge(var.servers["github"], { service_account = "github-*" })
      unknown   = merge(var.servers["github"], { service_account = "github-mcp-s?" })
      longer    = merge(var.servers["github"], { service_account = "a:b" })
      capital   = merge(var.servers["github"], { service_account = "GitHub" })
      every-pod = merge(var.servers["github"], { service_account = "default" })
    })
  }

  expect_failures = [var.servers]
}

run "servers_that_share_a_service_account" {
  command = plan

  variables {
    servers = merge(var.servers, {
      first  = merge(var.servers["github"], { service_account = "shared" })
      second = merge(var.servers["github"], { service_account = "shared" })
      other  = merge(var.servers["github"], { service_account = "shared", namespace = "another" })
    })
  }

  expect_failures = [var.servers]
}

run "identities_that_there_are_not" {
  command = plan

  variables {
    servers = merge(var.servers, {
      node    = merge(var.servers["github"], { service_account = "node", identity = "node" })
      capital = merge(var.servers["github"], { service_account = "capital", identity = "IRSA" })
    })
  }

  expect_failures = [var.servers]
}

run "servers_without_statements" {
  command = plan

  variables {
    servers = merge(var.servers, {
      nothing = merge(var.servers["github"], { service_account = "nothing", statements = {} })
    })
  }

  expect_failures = [var.servers]
}

run "sids_that_iam_does_not_take" {
  command = plan

  variables {
    servers = merge(var.servers, {
      hyphen = merge(var.servers["github"], { service_account = "hyphen", statements = { "read-all" = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      empty  = merge(var.servers["github"], { service_account = "empty", statements = { "" = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
    })
  }

  expect_failures = [var.servers]
}

run "statements_without_actions_or_resources" {
  command = plan

  variables {
    servers = merge(var.servers, {
      no-actions   = merge(var.servers["github"], { service_account = "no-actions", statements = { Read = { actions = [], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      no-resources = merge(var.servers["github"], { service_account = "no-resources", statements = { Read = { actions = ["codecommit:GetFile"], resources = [] } } })
    })
  }

  expect_failures = [var.servers]
}

run "actions_with_wildcards" {
  command = plan

  variables {
    servers = merge(var.servers, {
      all         = merge(var.servers["github"], { service_account = "all", statements = { Read = { actions = ["*"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      service     = merge(var.servers["github"], { service_account = "service", statements = { Read = { actions = ["codecommit:*"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      beginning   = merge(var.servers["github"], { service_account = "beginning", statements = { Read = { actions = ["codecommit:Get*"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      unknown     = merge(var.servers["github"], { service_account = "unknown", statements = { Read = { actions = ["codecommit:GetFil?"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      services    = merge(var.servers["github"], { service_account = "services", statements = { Read = { actions = ["code*:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      one-of-many = merge(var.servers["github"], { service_account = "one-of-many", statements = { Read = { actions = ["codecommit:GetFile", "codecommit:GitPull", "s3:*"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      no-service  = merge(var.servers["github"], { service_account = "no-service", statements = { Read = { actions = ["GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
      before      = merge(var.servers["github"], { service_account = "before", statements = { Read = { actions = ["*codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"] } } })
    })
  }

  expect_failures = [var.servers]
}

run "resources_with_wildcards" {
  command = plan

  variables {
    servers = merge(var.servers, {
      all               = merge(var.servers["github"], { service_account = "all", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["*"] } } })
      no-arn            = merge(var.servers["github"], { service_account = "no-arn", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["docs"] } } })
      account           = merge(var.servers["github"], { service_account = "account", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:*:docs"] } } })
      part-of-account   = merge(var.servers["github"], { service_account = "part-of-account", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:12345678901?:docs"] } } })
      region            = merge(var.servers["github"], { service_account = "region", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:*:123456789012:docs"] } } })
      service           = merge(var.servers["github"], { service_account = "service", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:*:eu-west-1:123456789012:docs"] } } })
      partition         = merge(var.servers["github"], { service_account = "partition", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:*:codecommit:eu-west-1:123456789012:docs"] } } })
      everything        = merge(var.servers["github"], { service_account = "everything", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:*"] } } })
      beginning         = merge(var.servers["github"], { service_account = "beginning", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:team-*"] } } })
      inside            = merge(var.servers["github"], { service_account = "inside", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:team-*-docs"] } } })
      unknown           = merge(var.servers["github"], { service_account = "unknown", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:doc?"] } } })
      one-type          = merge(var.servers["github"], { service_account = "one-type", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:dynamodb:eu-west-1:123456789012:table/*"] } } })
      one-type-by-colon = merge(var.servers["github"], { service_account = "one-type-by-colon", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:logs:eu-west-1:123456789012:log-group:*"] } } })
      unnamed           = merge(var.servers["github"], { service_account = "unnamed", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:ssm:eu-west-1:123456789012:parameter//*"] } } })
      two               = merge(var.servers["github"], { service_account = "two", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:dynamodb:eu-west-1:123456789012:table/*/index/*"] } } })
      bucket            = merge(var.servers["github"], { service_account = "bucket", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:s3:::*"] } } })
      buckets           = merge(var.servers["github"], { service_account = "buckets", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:s3:::*/*"] } } })
      objects-inside    = merge(var.servers["github"], { service_account = "objects-inside", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:s3:::reports/*/2026"] } } })
      access-points     = merge(var.servers["github"], { service_account = "access-points", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:s3:eu-west-1:123456789012:accesspoint/*"] } } })
      account-below     = merge(var.servers["github"], { service_account = "account-below", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:dynamodb:eu-west-1:*:table/orders/index/*"] } } })
      region-below      = merge(var.servers["github"], { service_account = "region-below", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:dynamodb:*:123456789012:table/orders/index/*"] } } })
      service-below     = merge(var.servers["github"], { service_account = "service-below", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:*:eu-west-1:123456789012:table/orders/index/*"] } } })
      objects-below     = merge(var.servers["github"], { service_account = "objects-below", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:s3:::reports/*/2026/*"] } } })
      one-of-many       = merge(var.servers["github"], { service_account = "one-of-many", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs", "arn:aws:codecommit:eu-west-1:123456789012:*"] } } })
    })
  }

  expect_failures = [var.servers]
}

run "conditions_that_restrict_nothing" {
  command = plan

  variables {
    servers = merge(var.servers, {
      no-values  = merge(var.servers["github"], { service_account = "no-values", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"], conditions = [{ test = "StringEquals", variable = "aws:SourceVpce", values = [] }] } } })
      all-values = merge(var.servers["github"], { service_account = "all-values", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"], conditions = [{ test = "ForAllValues:StringEquals", variable = "aws:SourceVpce", values = ["vpce-0123456789abcdef0"] }] } } })
      if-exists  = merge(var.servers["github"], { service_account = "if-exists", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"], conditions = [{ test = "StringEqualsIfExists", variable = "aws:SourceVpce", values = ["vpce-0123456789abcdef0"] }] } } })
      unknown    = merge(var.servers["github"], { service_account = "unknown", statements = { Read = { actions = ["codecommit:GetFile"], resources = ["arn:aws:codecommit:eu-west-1:123456789012:docs"], conditions = [{ test = "Equals", variable = "aws:SourceVpce", values = ["vpce-0123456789abcdef0"] }] } } })
    })
  }

  expect_failures = [var.servers]
}

run "an_issuer_with_its_scheme" {
  command = plan

  variables {
    oidc_issuer       = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
  }

  expect_failures = [var.oidc_issuer]
}

run "an_issuer_with_a_slash_at_its_end" {
  command = plan

  variables {
    oidc_issuer       = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF/"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF/"
  }

  expect_failures = [var.oidc_issuer]
}

run "an_issuer_with_a_wildcard" {
  command = plan

  variables {
    oidc_issuer       = "*"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/*"
  }

  expect_failures = [var.oidc_issuer]
}

run "irsa_without_an_issuer" {
  command = plan

  variables {
    oidc_issuer       = null
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/?"
  }

  expect_failures = [var.oidc_issuer]
}

run "the_provider_of_another_issuer" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ANOTHER"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "a_provider_that_is_no_arn" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::*:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "irsa_without_a_provider" {
  command = plan

  variables {
    oidc_provider_arn = null
  }

  expect_failures = [var.oidc_provider_arn]
}

run "every_cluster" {
  command = plan

  variables {
    cluster_arn = "arn:aws:eks:eu-west-1:123456789012:cluster/*"
  }

  expect_failures = [var.cluster_arn]
}

run "pod_identity_without_a_cluster" {
  command = plan

  variables {
    servers = merge(var.servers, {
      logs = merge(var.servers["github"], { service_account = "logs", identity = "pod_identity" })
    })
  }

  expect_failures = [var.cluster_arn]
}

run "a_boundary_without_an_account" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam:::policy/mcp-limit"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "a_boundary_of_aws_itself" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::aws:policy/AdministratorAccess"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "a_prefix_that_is_too_long" {
  command = plan

  variables {
    name_prefix = "a-prefix-of-25-characters"
  }

  expect_failures = [var.name_prefix]
}

run "tags_that_aws_or_the_module_keeps" {
  command = plan

  variables {
    tags = {
      "AWS:owner"        = "platform"
      "mcp-guard/server" = "another"
      owner              = "a;b"
      team               = "platform"
    }
  }

  expect_failures = [var.tags]
}

run "statements_that_no_boundary_can_hold" {
  command = plan

  variables {
    servers = merge(var.servers, {
      many = merge(var.servers["github"], { service_account = "many", statements = { Read = { actions = ["codecommit:GetFile"], resources = [for i in range(120) : "arn:aws:codecommit:eu-west-1:123456789012:repository-${i}"] } } })
    })
  }

  expect_failures = [aws_iam_policy.boundary["many"]]
}

run "statements_that_no_role_can_hold" {
  command = plan

  variables {
    servers = merge(var.servers, {
      many = merge(var.servers["github"], { service_account = "many", statements = { Read = { actions = ["codecommit:GetFile"], resources = [for i in range(200) : "arn:aws:codecommit:eu-west-1:123456789012:repository-${i}"] } } })
    })
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/mcp-limit"
  }

  expect_failures = [aws_iam_role_policy.server["many"]]
}
