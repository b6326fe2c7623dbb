//! A private key in PEM. The header alone stands in many a parser, so some of the key has to be there too.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{entropy, is_placeholder};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.private-key.pem",
    title: "Private key",
    severity: Severity::Critical,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 321,
    hazard: "",
    keywords: &["private key"],
    remediation: "Make a new key pair and revoke or replace the old one everywhere: it stays in the history. Keep the private half in a secret store.",
    references: &["https://www.rfc-editor.org/rfc/rfc7468", "https://www.rfc-editor.org/rfc/rfc1421"],
    aliases: &[],
    check: Check::Line(check),
};

static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"-----BEGIN (?:(RSA|EC|DSA|OPENSSH|ENCRYPTED|PGP|SSH2 ENCRYPTED) )?PRIVATE KEY(?: BLOCK)?-----")
        .expect("the pattern is tested")
});
/// Base64 as it stands in a key.
static BODY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/]{24,}={0,2}").expect("the pattern is tested"));
/// Lines below the header in which the key must begin: RFC 1421 headers and blank lines may come first.
const LINES_BELOW_MAX: usize = 6;

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for captures in HEADER.captures_iter(line.text) {
        let Some(header) = captures.get(0) else { continue };
        let rest = &line.text[header.end()..];
        let Some(body) = body(rest).or_else(|| line.below().take(LINES_BELOW_MAX).find_map(body)) else {
            hits.extend(stand_in(line, header.range()));
            continue;
        };
        let encrypted = captures.get(1).is_some_and(|kind| kind.as_str().contains("ENCRYPTED"))
            || line.below().take(2).any(|below| below.contains("4,ENCRYPTED"))
            || rest.contains("4,ENCRYPTED");
        let hit = Hit {
            secret: (!rest.is_empty()).then_some(header.end()..line.text.len()),
            content: Some(body.to_owned()),
            ..Hit::at(header.range(), "a private key is in the code")
        };
        hits.push(if encrypted {
            Hit { message: "a private key, encrypted, is in the code".into(), ..hit.severity(Severity::Medium) }
        } else {
            hit
        });
        // What follows on this line is the body of this key.
        break;
    }
    hits
}

/// A whole key on lines of its own, of which nothing is base64: somebody meant it, or means to put it there.
fn stand_in(line: &AddedLine<'_>, header: std::ops::Range<usize>) -> Option<Hit> {
    let alone = line.text.trim().len() == header.len();
    let words = line.below().next().is_some_and(|below| {
        let below = below.trim();
        below.len() >= 8 && !below.starts_with('<') && !is_placeholder(below) && !below.contains("----")
    });
    let ends = line.below().take(LINES_BELOW_MAX).any(|below| below.trim_start().starts_with("-----END "));
    (alone && words && ends).then(|| {
        let hit = Hit::at(header, "a private key stands here, though not in base64");
        hit.severity(Severity::Info).confidence(Confidence::Low)
    })
}

/// The first of the key's base64 in `text`.
fn body(text: &str) -> Option<&str> {
    let body = BODY.find(text)?.as_str();
    (entropy(body) >= 3.0 && !is_placeholder(body)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const BODY: &str = "MIIEvQq7ZpW2mW9xKd4LrT8vBnC3sYhGjE5uXaQ0FiOwTb6NeRcVl1UzPk2M";

    fn key(kind: &str) -> String {
        format!("{}BEGIN {kind}PRIVATE KEY-----", "-".repeat(5))
    }

    #[test]
    fn a_key_with_a_body_is_found() {
        for (text, severity) in [
            (format!("{}\n{BODY}\n", key("RSA ")), Severity::Critical),
            (format!("KEY=\"{}\\n{BODY}\\n\"", key("")), Severity::Critical),
            (format!("  {}\n  {BODY}\n", key("OPENSSH ")), Severity::Critical),
            (format!("{}\n{BODY}\n", key("ENCRYPTED ")), Severity::Medium),
            (
                format!("{}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{BODY}\n", key("RSA ")),
                Severity::Medium,
            ),
        ] {
            sample::finds_in_file(&RULE, "deploy/tls.pem", &text, &[(1, severity)]);
        }
    }

    #[test]
    fn a_header_without_a_key_is_not() {
        for text in [
            format!("if text.startswith('{}'):\n    raise ValueError('no')\n", key("")),
            format!("{}\n...\n-----END PRIVATE KEY-----\n", key("")),
            format!("{}\n<your key here>\n", key("")),
            format!("{}\n{}\n", key(""), "x".repeat(64)),
            format!("-----BEGIN PUBLIC KEY-----\n{BODY}\n"),
        ] {
            sample::finds_in_file(&RULE, "deploy/tls.pem", &text, &[]);
        }
    }
}
