//! The id of an AWS access key. It names the account and opens nothing without its other half, but the two travel together:
//! with the secret beside it, it is as bad as can be.

use std::sync::LazyLock;

use domain::diff::LineKind;
use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{entropy, is_mixed, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.aws.access-key-id",
    title: "AWS access key id",
    severity: Severity::High,
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

/// What only a secret access key looks like.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^A-Za-z0-9/+])([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)").expect("the pattern is tested")
});
/// Bytes of a line beside it that are looked at.
const LINE_BYTES_MAX: usize = 400;
/// Lines above and below in which the secret half is looked for.
const LINES_NEAR: usize = 3;

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
        hits.push(if is_signed_address(line.text) {
            let message = "an AWS access key id is in a signed address";
            Hit { message: message.into(), ..hit.severity(Severity::Low).confidence(Confidence::Medium) }
        } else if !base32 {
            hit.confidence(Confidence::Medium)
        } else if is_secret_near(line) {
            let message = "an AWS access key is written into the code, its id and its secret";
            Hit { message: message.into(), ..hit.severity(Severity::Critical) }
        } else {
            hit
        });
    }
    hits
}

/// A signed address carries the id by design, and is good for some days at most.
fn is_signed_address(text: &str) -> bool {
    (text.contains("X-Amz-Credential=") && text.contains("X-Amz-Signature="))
        || (text.contains("AWSAccessKeyId=") && text.contains("Signature="))
}

/// True when the other half is shown on this line or next to it.
fn is_secret_near(line: &AddedLine<'_>) -> bool {
    let lines = &line.hunk.lines;
    let near = line.index.saturating_sub(LINES_NEAR)..lines.len().min(line.index + LINES_NEAR + 1);
    lines[near].iter().filter(|near| near.kind != LineKind::Removed).any(|near| {
        let part = &near.text[..near.text.floor_char_boundary(LINE_BYTES_MAX)];
        let mut found = SECRET.captures_iter(part).filter_map(|captures| captures.get(1));
        found.any(|value| is_mixed(value.as_str()) && entropy(value.as_str()) >= 4.0 && !is_placeholder(value.as_str()))
    })
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
                (&format!("key = '{key}'"), Severity::High),
                (&format!("AWS_ACCESS_KEY_ID={key}"), Severity::High),
                (
                    &format!("aws configure set aws_access_key_id {} # temporary", key.replacen("AK", "AS", 1)),
                    Severity::High,
                ),
                (&format!("\"{}\"", key.replace('3', "9")), Severity::High),
            ],
        );
        sample::finds(&RULE, "tests/fixtures/env", &[(&format!("KEY={key}"), Severity::Low)]);
    }

    #[test]
    fn with_its_secret_beside_it_a_key_is_worse_and_in_a_signed_address_better() {
        let key = concat!("AK", "IA", "Q3EGRWZ5TJ6XN2PL");
        let secret = concat!("q7ZpW2mW9xKd4", "LrT/8vBnC+3sYhGjE5uXaQ0FiOw");
        let both = format!("id = '{key}'\nsecret = '{secret}'\n");
        sample::finds_in_file(&RULE, "a.py", &both, &[(1, Severity::Critical)]);
        let far = format!("id = '{key}'\n\n\n\nsecret = '{secret}'\n");
        sample::finds_in_file(&RULE, "a.py", &far, &[(1, Severity::High)]);
        let signed = format!("https://x/?X-Amz-Credential={key}%2F2026&X-Amz-Signature=0a");
        sample::finds(&RULE, "a.py", &[(&signed, Severity::Low)]);
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
