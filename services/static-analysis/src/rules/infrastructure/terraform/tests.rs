//! What the rules find in Terraform, through the whole engine.
