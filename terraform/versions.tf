terraform {
  # Validations that look at another variable.
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # What is used here is the same in both major versions.
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}
