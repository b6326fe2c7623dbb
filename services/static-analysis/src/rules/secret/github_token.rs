//! Tokens of GitHub. The classic forms end in a checksum, so a typed or made-up one is told from a real one.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, entropy, is_placeholder};
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
    keywords: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
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
            Some(sum) if checksum(random.as_bytes()) != sum.as_str().as_bytes() => Hit {
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
    hits
}

/// The CRC-32 of the random part in six base62 digits, zeros in front.
fn checksum(random: &[u8]) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32(random);
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// CRC-32 as in IEEE 802.3, bit by bit: thirty bytes need no table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A token of this kind with the right checksum, for tests.
#[cfg(test)]
pub(crate) fn made_up(prefix: &str, random: &str) -> String {
    format!("{prefix}_{random}{}", String::from_utf8(checksum(random.as_bytes()).to_vec()).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const RANDOM: &str = "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5u";

    #[test]
    fn the_checksum_is_the_one_of_ieee_in_base62() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(&checksum(b""), b"000000");
        // GitHub's own example of the format.
        assert_eq!(&checksum(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), b"0mLq17");
    }

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
