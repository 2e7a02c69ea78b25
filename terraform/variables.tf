locals {
  # What the validations below look for, each in its condition and in its message.
  patterns = {
    server          = "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
    namespace       = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
    service_account = "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
    sid             = "^[A-Za-z0-9]+$"
    action          = "^[a-z0-9-]+:[A-Za-z0-9]+$"
    operator        = "^(ForAnyValue:)?((String(Not)?(Equals|EqualsIgnoreCase|Like))|(Arn(Not)?(Equals|Like))|((Numeric|Date)(Equals|NotEquals|LessThan|LessThanEquals|GreaterThan|GreaterThanEquals))|Bool|BinaryEquals|(Not)?IpAddress|Null)$"
    tag_key         = "^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$"
    tag_value       = "^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$"
    reserved_tag    = "^(?i:aws:|mcp-guard/)"
  }

  # An ARN without wildcards, or with one at its end, below a thing that is named: the objects of a bucket, the streams of a log group, the indices
  # of a table. There the names cannot be known beforehand. `table/*` or `role/*`, all things of one type, is not below a named one.
  resource_patterns = [
    "^arn:aws(-[a-z]+)*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|aws)?:[^*?\\s]+$",
    "^arn:aws(-[a-z]+)*:s3:::[a-z0-9.-]+/([^*?\\s]+/)?\\*$",
    "^arn:aws(-[a-z]+)*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:[^*?:/\\s]+[:/][^*?\\s]*[^*?:/\\s][:/]\\*$",
  ]
}

variable "servers" {
  description = "The MCP servers, by name. Each has a Kubernetes service account of its own, the way in which its pods get credentials (`irsa` or `pod_identity`), and statements: by their Sid, the actions, the ARNs, and conditions that narrow them."
  nullable    = false

  type = map(object({
    namespace       = string
    service_account = string
    identity        = optional(string, "irsa")
    statements = map(object({
      actions   = list(string)
      resources = list(string)
      conditions = optional(list(object({
        test     = string
        variable = string
        values   = list(string)
      })), [])
    }))
  }))

  validation {
    condition     = alltrue([for name in keys(var.servers) : can(regex(local.patterns.server, name))])
    error_message = "servers: found the name ${join(", ", [for name in keys(var.servers) : jsonencode(name) if !can(regex(local.patterns.server, name))])}; expected up to 40 small letters, digits and hyphens: it becomes part of the role's name."
  }

  # The names go into the trust policy: no wildcard, and nothing that ends the subject early.
  validation {
    condition     = alltrue([for server in values(var.servers) : can(regex(local.patterns.namespace, server.namespace))])
    error_message = "servers: found ${join(", ", [for name, server in var.servers : "${name}.namespace = ${jsonencode(server.namespace)}" if !can(regex(local.patterns.namespace, server.namespace))])}; expected the name of one Kubernetes namespace, without wildcards."
  }

  validation {
    condition     = alltrue([for server in values(var.servers) : can(regex(local.patterns.service_account, server.service_account)) && server.service_account != "default"])
    error_message = "servers: found ${join(", ", [for name, server in var.servers : "${name}.service_account = ${jsonencode(server.service_account)}" if !can(regex(local.patterns.service_account, server.service_account)) || server.service_account == "default"])}; expected the name of one Kubernetes service account, without wildcards, and not default, which every pod has that names none."
  }

  validation {
    condition     = length(distinct([for server in values(var.servers) : "${server.namespace}/${server.service_account}"])) == length(var.servers)
    error_message = "servers: found more than one server with the service account ${join(", ", [for account, names in { for name, server in var.servers : "${server.namespace}/${server.service_account}" => name... } : "${account} (${join(", ", names)})" if length(names) > 1])}; expected a service account, and so a role, for each server."
  }

  validation {
    condition     = alltrue([for server in values(var.servers) : contains(["irsa", "pod_identity"], server.identity)])
    error_message = "servers: found ${join(", ", [for name, server in var.servers : "${name}.identity = ${jsonencode(server.identity)}" if !contains(["irsa", "pod_identity"], server.identity)])}; expected \"irsa\" or \"pod_identity\"."
  }

  validation {
    condition     = alltrue([for server in values(var.servers) : length(server.statements) > 0])
    error_message = "servers: found no statements for ${join(", ", [for name, server in var.servers : name if length(server.statements) == 0])}; expected at least one. A server that calls nothing in AWS needs no role."
  }

  validation {
    condition     = alltrue(flatten([for server in values(var.servers) : [for sid in keys(server.statements) : can(regex(local.patterns.sid, sid))]]))
    error_message = "servers: found the Sid ${join(", ", flatten([for name, server in var.servers : [for sid in keys(server.statements) : "${jsonencode(sid)} of ${name}" if !can(regex(local.patterns.sid, sid))]]))}; expected letters and digits alone, as IAM wants them."
  }

  validation {
    condition     = alltrue(flatten([for server in values(var.servers) : [for statement in values(server.statements) : length(statement.actions) > 0 && length(statement.resources) > 0]]))
    error_message = "servers: found no actions or no resources in ${join(", ", flatten([for name, server in var.servers : [for sid, statement in server.statements : "${name}.${sid}" if length(statement.actions) == 0 || length(statement.resources) == 0]]))}; expected at least one of each."
  }

  # No wildcard at all: AWS adds actions to a service, and `Get*` would grant the new ones too.
  validation {
    condition     = alltrue(flatten([for server in values(var.servers) : [for statement in values(server.statements) : [for action in statement.actions : can(regex(local.patterns.action, action))]]]))
    error_message = "servers: found the action ${join(", ", flatten([for name, server in var.servers : [for sid, statement in server.statements : [for action in statement.actions : "${jsonencode(action)} in ${name}.${sid}" if !can(regex(local.patterns.action, action))]]]))}; expected service:Action in full, without wildcards."
  }

  validation {
    condition     = alltrue(flatten([for server in values(var.servers) : [for statement in values(server.statements) : [for resource in statement.resources : anytrue([for pattern in local.resource_patterns : can(regex(pattern, resource))])]]]))
    error_message = "servers: found the resource ${join(", ", flatten([for name, server in var.servers : [for sid, statement in server.statements : [for resource in statement.resources : "${jsonencode(resource)} in ${name}.${sid}" if !anytrue([for pattern in local.resource_patterns : can(regex(pattern, resource))])]]]))}; expected a whole ARN without wildcards, or with /* or :* at its end, below a thing that is named."
  }

  # ForAllValues and IfExists hold when the request has no such key: they look like a restriction and are none.
  validation {
    condition     = alltrue(flatten([for server in values(var.servers) : [for statement in values(server.statements) : [for condition in statement.conditions : length(condition.values) > 0 && can(regex(local.patterns.operator, condition.test))]]]))
    error_message = "servers: found the condition ${join(", ", flatten([for name, server in var.servers : [for sid, statement in server.statements : [for condition in statement.conditions : "${condition.test} ${condition.variable} ${jsonencode(condition.values)} in ${name}.${sid}" if length(condition.values) == 0 || !can(regex(local.patterns.operator, condition.test))]]]))}; expected one of IAM's operators, without ForAllValues and IfExists, and at least one value."
  }
}

variable "oidc_issuer" {
  description = "The cluster's OIDC issuer without its scheme, as `oidc.eks.REGION.amazonaws.com/id/ID`. For servers with `irsa`."
  type        = string
  default     = null

  # With the scheme in front, IAM knows no such condition key: the conditions never hold, and nobody gets in.
  validation {
    condition     = var.oidc_issuer == null ? true : can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[A-Za-z0-9._-]+)*$", var.oidc_issuer))
    error_message = "oidc_issuer: found ${jsonencode(var.oidc_issuer)}; expected host and path alone, without https:// and without a slash at the end, as oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF. trimprefix(issuer, \"https://\") makes it of what EKS says."
  }

  validation {
    condition     = var.oidc_issuer != null || alltrue([for server in values(var.servers) : server.identity != "irsa"])
    error_message = "oidc_issuer: found null; expected the cluster's issuer, since servers have the identity irsa: ${join(", ", [for name, server in var.servers : name if server.identity == "irsa"])}."
  }
}

variable "oidc_provider_arn" {
  description = "The ARN of the IAM OIDC provider of that issuer. For servers with `irsa`."
  type        = string
  default     = null

  # Another cluster's provider would make that cluster's tokens good for the role, or none.
  validation {
    condition     = var.oidc_provider_arn == null ? true : can(regex("^arn:aws(-[a-z]+)*:iam::[0-9]{12}:oidc-provider/", var.oidc_provider_arn)) && endswith(var.oidc_provider_arn, ":oidc-provider/${coalesce(var.oidc_issuer, "?")}")
    error_message = "oidc_provider_arn: found ${jsonencode(var.oidc_provider_arn)}; expected arn:aws:iam::ACCOUNT:oidc-provider/${coalesce(var.oidc_issuer, "ISSUER, and oidc_issuer with it")}."
  }

  validation {
    condition     = var.oidc_provider_arn != null || alltrue([for server in values(var.servers) : server.identity != "irsa"])
    error_message = "oidc_provider_arn: found null; expected the ARN of the cluster's provider, since servers have the identity irsa: ${join(", ", [for name, server in var.servers : name if server.identity == "irsa"])}."
  }
}

variable "cluster_arn" {
  description = "The ARN of the EKS cluster. For servers with `pod_identity`."
  type        = string
  default     = null

  validation {
    condition     = var.cluster_arn == null ? true : can(regex("^arn:aws(-[a-z]+)*:eks:[a-z0-9-]+:[0-9]{12}:cluster/[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", var.cluster_arn))
    error_message = "cluster_arn: found ${jsonencode(var.cluster_arn)}; expected arn:aws:eks:REGION:ACCOUNT:cluster/NAME."
  }

  validation {
    condition     = var.cluster_arn != null || alltrue([for server in values(var.servers) : server.identity != "pod_identity"])
    error_message = "cluster_arn: found null; expected the cluster's ARN, since servers have the identity pod_identity: ${join(", ", [for name, server in var.servers : name if server.identity == "pod_identity"])}."
  }
}

variable "permissions_boundary_arn" {
  description = "A boundary of yours for all roles. By default each role gets one of its own, which allows what the server's statements say and nothing more."
  type        = string
  default     = null

  # The policies of AWS itself change without you, and are broad.
  validation {
    condition     = var.permissions_boundary_arn == null ? true : can(regex("^arn:aws(-[a-z]+)*:iam::[0-9]{12}:policy/[A-Za-z0-9+=,.@_/-]+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn: found ${jsonencode(var.permissions_boundary_arn)}; expected arn:aws:iam::ACCOUNT:policy/NAME, a policy of your own account."
  }
}

variable "name_prefix" {
  description = "What the names of roles and boundaries begin with; the server's name follows."
  type        = string
  default     = "mcp-"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,24}$", var.name_prefix))
    error_message = "name_prefix: found ${jsonencode(var.name_prefix)}; expected 1 to 24 letters, digits or + = , . @ _ -. A role's name has at most 64 characters."
  }
}

variable "tags" {
  description = "Tags for everything that is made. `mcp-guard/server`, `mcp-guard/namespace` and `mcp-guard/service-account` are added to them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.tags : can(regex(local.patterns.tag_key, key)) && can(regex(local.patterns.tag_value, value)) && !can(regex(local.patterns.reserved_tag, key))])
    error_message = "tags: found ${join(", ", [for key, value in var.tags : "${jsonencode(key)} = ${jsonencode(value)}" if !(can(regex(local.patterns.tag_key, key)) && can(regex(local.patterns.tag_value, value)) && !can(regex(local.patterns.reserved_tag, key)))])}; expected keys of 1 to 128 and values of up to 256 letters, digits, blanks or _ . : / = + - @, and no key that begins with aws: or mcp-guard/."
  }
}
