//! Tokens of npm. They end in a checksum, as GitHub's do.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, checksum, entropy, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.npm.token",
    title: "npm token",
    severity: Severity::Critical,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["npm_"],
    remediation: ROTATE,
    references: &[
        "https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/",
        "https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/",
    ],
    aliases: &["kingfisher.npm.1", "np.npm.1", "npm-access-token"],
    check: Check::Line(check),
};

static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bnpm_([A-Za-z0-9]{30})([A-Za-z0-9]{6})\b").expect("the pattern is tested"));
const MESSAGE: &str = "an npm token is written into the code";

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for captures in TOKEN.captures_iter(line.text) {
        let (Some(all), Some(random), Some(sum)) = (captures.get(0), captures.get(1), captures.get(2)) else {
            continue;
        };
        if is_placeholder(all.as_str()) || entropy(random.as_str()) < 3.0 {
            continue;
        }
        let hit = Hit::secret(all.range(), MESSAGE);
        hits.push(if checksum::base62_crc32(random.as_str().as_bytes()) == *sum.as_str().as_bytes() {
            hit
        } else {
            let message = format!("{MESSAGE} (its checksum is wrong: mistyped or made up)");
            Hit { message: message.into(), ..hit.severity(Severity::Medium).confidence(Confidence::Low) }
        });
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const RANDOM: &str = "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5u";

    #[test]
    fn a_token_is_as_certain_as_its_checksum() {
        sample::finds(
            &RULE,
            ".npmrc",
            &[
                (&format!("//npm.acme.io/:_authToken={}", checksum::made_up("npm", RANDOM)), Severity::Critical),
                (&format!("NPM_TOKEN=npm{}{RANDOM}AAAAAA", '_'), Severity::Medium),
            ],
        );
    }

    #[test]
    fn names_and_placeholders_are_not_tokens() {
        sample::finds_nothing(
            &RULE,
            ".npmrc",
            &[&format!("npm_{}", "x".repeat(36)), "npm_config_registry=https://npm.acme.io", "npm_token=${NPM_TOKEN}"],
        );
    }
}
