//! Tokens of Slack: bot, user, app-level, configuration and the older kinds.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, entropy, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.slack.token",
    title: "Slack token",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["xoxb-", "xoxp-", "xoxa-", "xoxo-", "xoxr-", "xoxs-", "xoxe-", "xoxe.", "xapp-"],
    remediation: ROTATE,
    references: &[
        "https://docs.slack.dev/authentication/tokens",
        "https://docs.slack.dev/authentication/using-token-rotation",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x) \b (?:
            xox[bpaors] - (?:[0-9]{1,2}-)? (?: [0-9]{6,14} - ){1,3} [A-Za-z0-9]{8,64}
          | xapp - [0-9] - [A-Z0-9]{8,14} - [0-9]{8,16} - [a-z0-9]{32,80}
          | xoxe (?: \.xox[bp] )? - [0-9] - [A-Za-z0-9+/=_-]{60,300}
        )",
    )
    .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for found in TOKEN.find_iter(line.text) {
        let random = found.as_str().rsplit('-').next().unwrap_or("");
        let sure = random.bytes().any(|b| b.is_ascii_digit()) && entropy(random) >= 2.5;
        if sure && !is_placeholder(random) {
            hits.push(Hit::secret(found.range(), "a Slack token is written into the code"));
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn every_kind_of_token_is_found() {
        let random = "q7ZpW2mW9xKd4LrT8vBnC3sY";
        let hex = "0a7b2c9d4e1f60538a7b2c9d4e1f6053";
        sample::finds(
            &RULE,
            "bot/settings.toml",
            &[
                (&format!("token = \"xox{}-730191371012-846201937465-{random}\"", 'b'), Severity::High),
                (&format!("xox{}-730191371012-846201937465-930274615283-{hex}", 'p'), Severity::High),
                (&format!("x{}-1-A02B7CD9EF3-7301913710125-{hex}{hex}", "app"), Severity::High),
                (&format!("x{}-1-{}", "oxe", random.repeat(4)), Severity::High),
            ],
        );
    }

    #[test]
    fn placeholders_are_not() {
        sample::finds_nothing(
            &RULE,
            "README.md",
            &[
                "xoxb-your-token-here",
                "xoxb-000000000000-000000000000-xxxxxxxxxxxxxxxxxxxxxxxx",
                "xoxp-123456789012-123456789012-EXAMPLEEXAMPLE123",
                "https://indieweb.org/images/2018-250-xoxo-indieweb-1.jpg",
                "xoxe-1-xxx",
            ],
        );
    }
}
