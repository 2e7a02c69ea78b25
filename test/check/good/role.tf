variable "issuer" {
  default = "oidc.example/id/1"
}

locals {
  account = "system:serviceaccount:desk:tickets-sa"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = ["arn:aws:iam::123456789012:oidc-provider/oidc.example/id/1"]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.issuer}:sub"
      values   = [local.account]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "reads" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::tickets/*"]
  }
}

resource "aws_iam_policy" "limit" {
  name   = "limit"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:*", Resource = "*" }] })
}

resource "aws_iam_role" "tickets" {
  name                 = "tickets-role"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = aws_iam_policy.limit.arn
}

resource "aws_iam_role_policy" "reads" {
  name   = "reads"
  role   = aws_iam_role.tickets.id
  policy = data.aws_iam_policy_document.reads.json
}
