//! A private key in PEM. The header alone stands in many a parser, so some of the key has to be there too.

use std::sync::LazyLock;

use domain::diff::LineKind;
use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{base64, entropy, is_placeholder};
use crate::paths::{is_documentation, is_test};
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
    keywords: &["private key", "ls0tls1crudjti"],
    remediation: "Make a new key pair and revoke or replace the old one everywhere: it stays in the history. Keep the private half in a secret store.",
    references: &["https://www.rfc-editor.org/rfc/rfc7468", "https://www.rfc-editor.org/rfc/rfc1421"],
    aliases: &[],
    check: Check::Line(check),
};

static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"-{4,5} ?BEGIN (?:([A-Z0-9][A-Z0-9_-]*(?: [A-Z0-9_-]+){0,2}) )?PRIVATE KEY(?: BLOCK)? ?-{4,5}")
        .expect("the pattern is tested")
});
/// Base64 as it stands in a key.
static BODY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/]{24,}={0,2}").expect("the pattern is tested"));
/// A header in base64, which is how CI variables and Kubernetes hold keys.
static IN_BASE64: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"LS0tLS1CRUdJTi[A-Za-z0-9+/\\]{60,}={0,2}").expect("the pattern is tested"));
/// Digits of it that hold the header.
const HEADER_DIGITS: usize = 72;
/// Lines below the header in which the key must begin: RFC 1421 headers and blank lines may come first.
const LINES_BELOW_MAX: usize = 6;

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for captures in HEADER.captures_iter(line.text) {
        let Some(header) = captures.get(0) else { continue };
        let rest = &line.text[header.end()..];
        let below = line.below().take(LINES_BELOW_MAX).take_while(|below| !below.contains("-----END "));
        let Some(body) = body(rest).or_else(|| below.into_iter().find_map(body_below)) else {
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
        // In a text it is mostly there to be looked at, and worth a look for that; and so is what is called an example.
        let hit =
            if is_documentation(line.path()) || is_called_example(line) { hit.severity(Severity::Medium) } else { hit };
        hits.push(if encrypted {
            Hit { message: "a private key, encrypted, is in the code".into(), ..hit.severity(Severity::Medium) }
        } else {
            hit
        });
        // What follows on this line is the body of this key.
        break;
    }
    let lowered = |hit: Hit| if is_documentation(line.path()) { hit.severity(Severity::Medium) } else { hit };
    hits.extend(in_base64(line.text).map(lowered));
    // Tests of TLS and signatures cannot do without: a note there, not a question.
    let noted = |hit: Hit| if hit.severity.is_none() { hit.severity(Severity::High) } else { hit };
    if is_test(line.path()) { hits.into_iter().map(noted).collect() } else { hits }
}

/// Whether the lines above, or the line itself, give the key a name such as `exampleKey`.
fn is_called_example(line: &AddedLine<'_>) -> bool {
    const LINES_ABOVE: usize = 2;
    let above = &line.hunk.lines[line.index.saturating_sub(LINES_ABOVE)..=line.index];
    above.iter().filter(|line| line.kind != LineKind::Removed).any(|line| {
        let lower = line.text[..line.text.floor_char_boundary(200)].to_ascii_lowercase();
        ["fake", "example", "sample", "dummy"].iter().any(|word| {
            // An example's domain is no word about the key.
            lower
                .match_indices(word)
                .any(|(at, _)| !lower[at..].starts_with("example.") && !lower[..at].ends_with("//"))
        })
    })
}

/// A key in base64, header and all.
fn in_base64(text: &str) -> Option<Hit> {
    let found = IN_BASE64.find(text)?;
    let header = base64::decode(found.as_str().get(..HEADER_DIGITS)?)?;
    let is_private = String::from_utf8_lossy(&header).contains("PRIVATE KEY");
    is_private.then(|| Hit::secret(found.range(), "a private key, in base64, is in the code"))
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

/// The same on a line below the header: a long name in a program is all letters, and has code beside it.
fn body_below(line: &str) -> Option<&str> {
    const BESIDE_MAX: usize = 4;
    let body = body(line)?;
    let letters = |text: &str| text.bytes().filter(u8::is_ascii_alphanumeric).count();
    let is_name = body.bytes().all(|byte| byte.is_ascii_alphabetic());
    (!is_name || letters(line) - letters(body) <= BESIDE_MAX).then_some(body)
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
            (format!("  \"{}\\n\"\n  \"{BODY}\\n\"\n", key("EC ")), Severity::Critical),
            (format!("'{}',\n  // '{BODY}' +\n", key("EC ")), Severity::Critical),
            (format!("text.append(\"{}\");\ntext.append(\"{BODY}\");\n", key("EC ")), Severity::Critical),
            (
                format!("{}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{BODY}\n", key("RSA ")),
                Severity::Medium,
            ),
        ] {
            sample::finds_in_file(&RULE, "deploy/tls.pem", &text, &[(1, severity)]);
            sample::finds_in_file(&RULE, "tests/tls.pem", &text, &[(1, Severity::Low)]);
        }
    }

    #[test]
    fn a_key_that_is_called_an_example_is_worth_a_look() {
        for (above, severity) in [
            ("exampleKey:\n  key: |", Severity::Medium),
            ("# sample-ssh-key: |\n#", Severity::Medium),
            ("host: www.example.com\nkey: |", Severity::Critical),
        ] {
            let text = format!("{above}\n{}\n{BODY}\n", key("RSA "));
            sample::finds_in_file(&RULE, "deploy/values.yaml", &text, &[(3, severity)]);
        }
    }

    #[test]
    fn a_key_in_base64_is_found() {
        let header = concat!("LS0tLS1CRUdJTiBQUklWQVRF", "IEtFWS0tLS0tCk1JSUV2UUlC");
        let text = format!("key: {header}{}", BODY.repeat(2));
        sample::finds(&RULE, "deploy/values.yaml", &[(&text, Severity::Critical)]);
        let certificate = concat!("LS0tLS1CRUdJTiBDRVJUSUZJ", "Q0FURS0tLS0tCk1JSUV2UUlC");
        sample::finds_nothing(&RULE, "deploy/values.yaml", &[&format!("key: {certificate}{}", BODY.repeat(2))]);
    }

    #[test]
    fn a_header_without_a_key_is_not() {
        for text in [
            format!("if text.startswith('{}'):\n    raise ValueError('no')\n", key("")),
            format!("{}\n...\n-----END PRIVATE KEY-----\n", key("")),
            format!("{}\n<your key here>\n", key("")),
            format!("{}\n{}\n", key(""), "x".repeat(64)),
            format!("-----BEGIN PUBLIC KEY-----\n{BODY}\n"),
            format!("<input placeholder=\"{}\" />\n<a wire:click=\"clearDomainConnectPrivateKey\">\n", key("")),
            format!(
                "# {}\n#  ...\n# -----END PRIVATE KEY-----\nannotationsOfTheTemplatesForCredentials: {{}}\n",
                key("")
            ),
        ] {
            sample::finds_in_file(&RULE, "deploy/tls.pem", &text, &[]);
        }
    }
}
