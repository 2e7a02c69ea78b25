output "role_arns" {
  description = "The ARN of each server's role."
  value       = { for name, role in aws_iam_role.server : name => role.arn }
}

output "service_account_annotations" {
  description = "What each server's ServiceAccount must be annotated with. Nothing for EKS Pod Identity."
  value = {
    for name, server in var.servers : name => server.identity == "irsa" ? {
      "eks.amazonaws.com/role-arn"               = aws_iam_role.server[name].arn
      "eks.amazonaws.com/sts-regional-endpoints" = "true"
      # The default is a day.
      "eks.amazonaws.com/token-expiration" = "3600"
    } : tomap({})
  }
}

output "trust_policies" {
  description = "Who may assume each role, as JSON, to be read in the plan."
  value       = local.trust_policies
}

output "policies" {
  description = "What each role may do, as JSON, to be read in the plan. Boundaries that the module makes are the same."
  value       = { for name, document in data.aws_iam_policy_document.permissions : name => document.json }
}

output "permissions_boundary_arns" {
  description = "The boundary of each role."
  value       = { for name, role in aws_iam_role.server : name => role.permissions_boundary }
}
