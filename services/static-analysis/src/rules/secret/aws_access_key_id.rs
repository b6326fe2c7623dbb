//! The id of an AWS access key. It names the account and opens nothing without its other half, but the two travel together.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{entropy, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.aws.access-key-id",
    title: "AWS access key id",
    severity: Severity::Critical,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["akia", "asia", "abia", "acca", "a3t"],
    remediation: "Deactivate and delete the key in IAM and look for its use in CloudTrail; use a role, or keep the new key in a secret store.",
    references: &[
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}\b").expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for found in KEY.find_iter(line.text) {
        let random = &found.as_str()[4..];
        if is_placeholder(found.as_str()) || entropy(random) < 2.5 {
            continue;
        }
        let hit = Hit::secret(found.range(), "an AWS access key id is written into the code");
        // Ids are base32 (RFC 4648): a digit outside it makes it a doubtful one.
        let base32 = random.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b));
        hits.push(if base32 { hit } else { hit.severity(Severity::High).confidence(Confidence::Medium) });
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn an_access_key_id_is_found() {
        let key = concat!("AK", "IA", "Q3EGRWZ5TJ6XN2PL");
        sample::finds(
            &RULE,
            "src/pay.py",
            &[
                (&format!("key = '{key}'"), Severity::Critical),
                (&format!("AWS_ACCESS_KEY_ID={key}"), Severity::Critical),
                (
                    &format!("aws configure set aws_access_key_id {} # temporary", key.replacen("AK", "AS", 1)),
                    Severity::Critical,
                ),
                (&format!("\"{}\"", key.replace('3', "9")), Severity::High),
            ],
        );
        sample::finds(&RULE, "tests/fixtures/env", &[(&format!("KEY={key}"), Severity::Medium)]);
    }

    #[test]
    fn what_only_looks_like_one_is_not() {
        let key = concat!("AK", "IA", "Q3EGRWZ5TJ6XN2PL");
        sample::finds_nothing(
            &RULE,
            "src/pay.py",
            &[
                concat!("aws_access_key_id = AK", "IAIOSFODNN7EXAMPLE"),
                concat!("AK", "IAXXXXXXXXXXXXXXXX"),
                concat!("AK", "IAAAAAAAAAAAAAAAAA"),
                &key.to_lowercase(),
                &format!("{key}AB"),
                &format!("X{key}"),
                "// keys start with AKIA or ASIA",
                "EURASIANCOUNTRIESANDREGIONS",
            ],
        );
    }
}
