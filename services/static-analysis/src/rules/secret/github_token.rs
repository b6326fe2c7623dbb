//! Tokens of GitHub. The classic forms end in a checksum, so a typed or made-up one is told from a real one.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, base64, checksum, entropy, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.github.token",
    title: "GitHub token",
    severity: Severity::Critical,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &[
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "z2hwx",
        "z2hvx",
        "z2h1x",
        "z2hzx",
        "z2hyx",
        "z2l0ahvix3bhdf",
    ],
    remediation: ROTATE,
    references: &[
        "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats",
        "https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:gh[pousr]_([A-Za-z0-9]{30})([A-Za-z0-9]{6})|github_pat_([A-Za-z0-9]{22}_[A-Za-z0-9]{59})|(?:gh[pousr]|github_pat)_([A-Za-z0-9_]{37,255}))\b")
        .expect("the pattern is tested")
});

/// The beginnings of such tokens in base64.
static IN_BASE64: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:Z2h[wv1zy]X|Z2l0aHViX3BhdF)[A-Za-z0-9+/_-]{30,350}={0,2}").expect("the pattern is tested")
});
const MESSAGE: &str = "a GitHub token is written into the code";

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for captures in TOKEN.captures_iter(line.text) {
        let (Some(all), random) = (captures.get(0), captures.get(1).or(captures.get(3)).or(captures.get(4))) else {
            continue;
        };
        let random = random.map_or("", |random| random.as_str());
        if is_placeholder(all.as_str()) || entropy(random) < 3.0 {
            continue;
        }
        let hit = Hit::secret(all.range(), MESSAGE);
        hits.push(match captures.get(2) {
            Some(sum) if checksum::base62_crc32(random.as_bytes()) != *sum.as_str().as_bytes() => Hit {
                message: format!("{MESSAGE} (its checksum is wrong: mistyped or made up)").into(),
                ..hit.severity(Severity::Medium).confidence(Confidence::Low)
            },
            None if captures.get(4).is_some() => Hit {
                message: format!("{MESSAGE} (longer than the documented form)").into(),
                ..hit.severity(Severity::Medium).confidence(Confidence::Medium)
            },
            _ => hit,
        });
    }
    for found in IN_BASE64.find_iter(line.text) {
        let token = base64::decode(found.as_str()).and_then(|bytes| String::from_utf8(bytes).ok());
        if token
            .is_some_and(|token| TOKEN.find(&token).is_some_and(|found| found.start() == 0 && !is_placeholder(&token)))
        {
            let message = format!("{MESSAGE}, in base64");
            hits.push(Hit::secret(found.range(), message).severity(Severity::High));
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::secret::checksum::made_up;
    use crate::sample;

    const RANDOM: &str = "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5u";

    #[test]
    fn a_token_is_as_certain_as_its_checksum() {
        let fine = format!("github{}pat_{}_{}", '_', &RANDOM[..22], RANDOM.repeat(2).split_at(59).0);
        sample::finds(
            &RULE,
            ".github/deploy.sh",
            &[
                (&format!("TOKEN={}", made_up("ghp", RANDOM)), Severity::Critical),
                (&format!("git clone https://x:{}@github.com/a/b", made_up("ghs", RANDOM)), Severity::Critical),
                (&format!("gho{}{RANDOM}AAAAAA", '_'), Severity::Medium),
                (&fine, Severity::Critical),
                (&format!("ghr{}{RANDOM}{RANDOM}", '_'), Severity::Medium),
            ],
        );
    }

    #[test]
    fn a_token_in_base64_is_found() {
        // `ghp_` with thirty-six letters and digits behind it.
        let encoded = concat!("Z2hwX3E3WnBXMm1XOXhLZDRM", "clQ4dkJuQzNzWWhHakU1dUFBQUFBQQ==");
        sample::finds(&RULE, "k8s.yaml", &[(&format!("  token: {encoded}"), Severity::High)]);
        sample::finds_nothing(&RULE, "k8s.yaml", &["Z2hwX3Nob3J0bHkgYWZ0ZXJ3YXJkcyB0aGUgdGV4dCBnb2VzIG9u"]);
    }

    #[test]
    fn placeholders_and_other_words_are_not_tokens() {
        sample::finds_nothing(
            &RULE,
            "README.md",
            &[
                &format!("ghp_{}", "x".repeat(36)),
                &format!("ghp_{}", "a1".repeat(18)),
                "ghp_yourtokenhere",
                &format!("xghp_{RANDOM}AAAAAA"),
                &format!("ghp_{}more", "a1".repeat(18)),
                "prefixes: ghp_, gho_, github_pat_",
            ],
        );
    }
}
