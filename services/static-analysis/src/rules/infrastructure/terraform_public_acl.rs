//! A bucket that everybody may read, or write.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use crate::paths;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "infrastructure.terraform.public-acl",
    title: "Bucket open to everybody",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Infrastructure,
    cwe: 732,
    hazard: "tf.public-bucket-or-blob",
    keywords: &["public-read", "publicread"],
    remediation: "Keep the bucket private (acl = \"private\", aws_s3_bucket_public_access_block) and serve public files through a CDN.",
    references: &[
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
    ],
    aliases: &["CKV_AWS_20", "CKV_AWS_57", "CKV_DIO_3", "CKV_YC_17", "CKV_ALI_1"],
    check: Check::Line(check),
};

static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^[^#]*?\b((?:acl|predefined_acl|AccessControl)["']?\s*[=:]\s*["']?(public-read(-write)?|PublicRead(Write)?)\b)"#)
        .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let known = matches!(paths::extension(line.path()), "tf" | "tofu" | "yaml" | "yml" | "json" | "template");
    let Some(captures) = SETTING.captures(line.text).filter(|_| known && !line.text.trim_start().starts_with("//"))
    else {
        return Vec::new();
    };
    let range = captures.get(1).map_or(0..0, |setting| setting.range());
    let writes = captures.get(3).or(captures.get(4)).is_some();
    vec![if writes {
        Hit::at(range, "everybody may read the bucket and write to it").severity(Severity::Critical)
    } else {
        Hit::at(range, "everybody may read the bucket")
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_public_bucket_is_found() {
        sample::finds(
            &RULE,
            "infra/s3.tf",
            &[
                ("  acl = \"public-read\"", Severity::High),
                ("  acl    = \"public-read-write\" # for now", Severity::Critical),
            ],
        );
        sample::finds(&RULE, "cloudformation.yaml", &[("      AccessControl: PublicRead", Severity::High)]);
    }

    #[test]
    fn a_private_bucket_is_not() {
        sample::finds_nothing(
            &RULE,
            "infra/s3.tf",
            &[
                "  acl = \"private\"",
                "  # acl = \"public-read\"",
                "  // acl = \"public-read\"",
                "  description = \"was public-read\"",
            ],
        );
        sample::finds_nothing(&RULE, "docs/s3.md", &["acl = \"public-read\""]);
    }
}
