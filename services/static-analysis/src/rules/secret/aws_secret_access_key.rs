//! The secret half of an AWS access key. Its form (40 characters) proves little, so a name beside it has to.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{entropy, is_mixed, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.aws.secret-access-key",
    title: "AWS secret access key",
    severity: Severity::Critical,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["aws", "secret_access_key", "secretaccesskey", "secret-access-key"],
    remediation: "Deactivate and delete the key in IAM and look for its use in CloudTrail; use a role, or keep the new key in a secret store.",
    references: &[
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
        "https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        (?: secret[_.-]?access[_.-]?key | aws[0-9a-z_.-]*?(?:secret|key|token)[0-9a-z_.-]* )
        ["'`\]]{0,2} \s{0,5} (?: => | [:?]?= | : | , | \s ) \s{0,5} ["'`]?
        ( [A-Za-z0-9/+]{40} ) (?: [^A-Za-z0-9/+=] | $ )"#,
    )
    .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for captures in ASSIGNMENT.captures_iter(line.text) {
        let Some(value) = captures.get(1) else { continue };
        // Random base64 of this length is mixed; a path or a digest in hexadecimal is not, or has less entropy.
        if is_mixed(value.as_str()) && entropy(value.as_str()) >= 4.0 && !is_placeholder(value.as_str()) {
            hits.push(Hit::secret(value.range(), "an AWS secret access key is written into the code"));
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_secret_access_key_is_found_by_the_name_beside_it() {
        let key = concat!("q7ZpW2mW9xKd4", "LrT/8vBnC+3sYhGjE5uXaQ0FiOw");
        sample::finds(
            &RULE,
            "config/prod.env",
            &[
                (&format!("AWS_SECRET_ACCESS_KEY={key}"), Severity::Critical),
                (&format!("  \"SecretAccessKey\": \"{key}\","), Severity::Critical),
                (&format!("aws_secret_access_key = {key}"), Severity::Critical),
                (&format!("client = boto3.client('s3', aws_secret_access_key='{key}')"), Severity::Critical),
                (&format!("awsSecretKey := \"{key}\""), Severity::Critical),
            ],
        );
    }

    #[test]
    fn other_things_of_that_length_are_not() {
        sample::finds_nothing(
            &RULE,
            "config/prod.env",
            &[
                concat!("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/", "bPxRfiCYEXAMPLEKEY"),
                "aws_key_sha1 = 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
                "AWS_SECRET_ACCESS_KEY=${{ secrets.AWS_SECRET_ACCESS_KEY }}",
                "aws_secret_access_key = var.aws_secret_access_key_of_the_account",
                "image: aws-key-tool/0123456789/some/path/to/a/file/in/a/tree/x",
            ],
        );
    }
}
