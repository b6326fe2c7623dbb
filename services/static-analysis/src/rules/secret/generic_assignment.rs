//! A value that looks random, assigned to a name that says secret. The net under the rules that know a provider's form.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, entropy, is_placeholder, is_reference, providers};
use crate::paths;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.generic.assignment",
    title: "Secret in an assignment",
    severity: Severity::Medium,
    confidence: Confidence::Low,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &[
        "secret",
        "token",
        "passw",
        "pwd",
        "api_key",
        "apikey",
        "api-key",
        "access_key",
        "accesskey",
        "access-key",
        "auth_key",
        "authkey",
        "credential",
    ],
    remediation: ROTATE,
    references: &[
        "https://cwe.mitre.org/data/definitions/798.html",
        "https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        ( [0-9a-z_.-]* (?: secret | token | passw(?:or)?d | passphrase | pwd | api[_-]?key | access[_-]?key | auth[_-]?key | credential ) [0-9a-z_.-]* )
        ["'`\]]{0,2} \s{0,5} (?: => | := | \?= | = | : ) \s{0,5}
        (?: "([^"\s]+)" | '([^'\s]+)' | `([^`\s]+)` | ([^\s"'`,;(){}\[\]]+) (?:[\s,;] | $) )"#,
    )
    .expect("the pattern is tested")
});
/// Names of what people choose.
static PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?i)passw|pwd|passphrase|secret$").expect("the pattern is tested"));
/// Names of what people choose, and so of what may hold any sign.
static CHOSEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?i)passw|pwd|passphrase").expect("the pattern is tested"));
/// Names that end in these hold something about a secret, not the secret.
static ABOUT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?ix) (?: name | id | ids | file | path | url | uri | endpoint | type | kind | length | len | count | size | regex | pattern
        | prefix | suffix | header | field | label | hint | ttl | expiry | expires | expiration | lifetime | ref | arn | version | format
        | hash | digest | checksum | policy | provider | store | manager | class | input | param | key_name | public | salt_rounds
        | days | hours | minutes | seconds | timeout | enabled | disabled | required | rounds | limit | budget | index | offset | pos | usage | tokenizer | tokens ) $ | public | csrf | tokeni[sz] | max_?token | num_?token",
    )
    .expect("the pattern is tested")
});
/// Bits for each character below which a value is rather a word.
const ENTROPY_MIN: f64 = 3.0;
/// Bytes of a value: a shorter one says little, a longer one is data.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=200;

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let (plain_values, prose) = (is_settings(line.path()), is_prose(line.path()));
    let mut hits = Vec::new();
    if !plain_values && !assigns_quoted(line.text) {
        return hits;
    }
    for captures in ASSIGNMENT.captures_iter(line.text) {
        let Some(named) = captures.get(1) else { continue };
        let name = named.as_str();
        let quoted = captures.get(2).or(captures.get(3)).or(captures.get(4));
        // In a program an unquoted value is an expression; in settings it is a value.
        let Some(value) = quoted.or(captures.get(5).filter(|_| plain_values)) else { continue };
        if ABOUT.is_match(name.trim_matches(['_', '.', '-'])) {
            continue;
        }
        let chosen = CHOSEN.is_match(name);
        let known = || {
            providers::is_named(line.text, named.start(), named.end()) || providers::begins_like_a_token(value.as_str())
        };
        if !chosen && known() {
            continue;
        }
        let of_tokens = chosen || value.as_str().bytes().all(is_of_tokens);
        let hit = |severity| Hit::secret(value.range(), "what is assigned here looks like a secret").severity(severity);
        if of_tokens && looks_secret(value.as_str()) {
            hits.push(hit(if prose { Severity::Low } else { Severity::Medium }));
        } else if quoted.is_some() && PASSWORD.is_match(name) && looks_like_password(value.as_str()) {
            hits.push(hit(Severity::Low));
        }
    }
    hits
}

/// Whether a quote stands behind a sign that assigns, which is cheaper to see than all that has to be around them.
fn assigns_quoted(text: &str) -> bool {
    text.match_indices(['"', '\'', '`']).any(|(at, _)| text[..at].trim_end().ends_with(['=', ':', '>']))
}

/// True for the signs that tokens and keys are made of: they travel in headers and addresses.
fn is_of_tokens(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.~+/=:".contains(&byte)
}

/// True for what a person would choose: letters, and a digit or a sign among them.
fn looks_like_password(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    let sign = |byte: &u8| b"!@#$%^&*?~".contains(byte);
    let known = value.to_ascii_lowercase();
    (6..=60).contains(&value.len())
        && has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) && !value.contains(['_', '-']) || value.bytes().any(|byte| sign(&byte)))
        && entropy(value) >= 2.5
        && !["passw", "secret", "test", "token", "pass"].iter().any(|word| known.starts_with(word))
        && !is_placeholder(value)
        && !value.contains(['(', ')', '[', ']', '|', '\\', '{', '<', '/', ':', '.', ','])
}

fn looks_secret(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    LENGTH.contains(&value.len())
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && entropy(value) >= ENTROPY_MIN
        && !is_placeholder(value)
        && !is_reference(value)
        && !looks_like_code(value)
}

/// True for a path, an address, an expression, a sentence of words, or a lowercase name with a number.
fn looks_like_code(value: &str) -> bool {
    let words = value.split(['-', '_', '.', '/', ':', ' ']);
    // A word, a number, or a word with one behind it: `bert-base-v2`, `sha256_password`.
    let plain =
        |word: &str| word.trim_end_matches(|c: char| c.is_ascii_digit()).bytes().all(|b| b.is_ascii_alphabetic());
    let version = |word: &str| word.len() <= 4;
    value.contains("://")
        || value.starts_with(['/', '.', '~'])
        || value.contains(['(', ')', '[', ']', '|', '\\'])
        || value.contains("::")
        || value.contains("->")
        || words.clone().count() >= 2 && words.clone().all(|word| plain(word) || version(word))
        || value.trim_end_matches(|c: char| c.is_ascii_digit()).bytes().all(|b| b.is_ascii_alphabetic())
            && value.bytes().filter(u8::is_ascii_digit).count() <= 2
        || is_uuid(value)
}

/// True for a file that is read and not run: what it assigns is mostly made up.
fn is_prose(path: &str) -> bool {
    matches!(paths::extension(path), "md" | "mdx" | "rst" | "txt" | "adoc" | "html")
}

/// A UUID is more often the name of something than a secret.
fn is_uuid(value: &str) -> bool {
    let groups: Vec<_> = value.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// True for a file in which values stand without quotes.
fn is_settings(path: &str) -> bool {
    let name = paths::name(path).to_ascii_lowercase();
    let extension = paths::extension(&name);
    name.starts_with(".env")
        || matches!(name.as_str(), ".npmrc" | ".netrc" | ".pypirc" | "credentials" | "dockerfile")
        || matches!(
            extension,
            "env" | "properties" | "ini" | "cfg" | "conf" | "cnf" | "yaml" | "yml" | "toml" | "tfvars"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_random_value_with_a_telling_name_is_found() {
        let medium = Severity::Medium;
        sample::finds(
            &RULE,
            "src/client.py",
            &[
                (concat!("api_key = \"q7ZpW2m", "W9xKd4LrT8\""), medium),
                (concat!("  \"clientSecret\": \"0a7b2c9d4e1f", "60538a7b2c9d\","), medium),
                (concat!("DB_PASSWORD = 'Tr0ub4d", "or&3x!'"), medium),
                (concat!("const authToken = `q7ZpW2m", "W9xKd4LrT8`"), medium),
            ],
        );
        sample::finds(&RULE, ".env.production", &[(concat!("APP_SECRET=q7ZpW2m", "W9xKd4LrT8"), medium)]);
        sample::finds(&RULE, "deploy/values.yaml", &[(concat!("  password: q7ZpW2m", "W9xKd4LrT8"), medium)]);
        sample::finds(&RULE, "src/a.yaml", &[("  secret: \"blue#heron!7\"", Severity::Low)]);
        sample::finds(&RULE, "tests/client_test.py", &[(concat!("token = \"q7ZpW2m", "W9xKd4LrT8\""), Severity::Low)]);
    }

    #[test]
    fn names_expressions_and_placeholders_are_not() {
        sample::finds_nothing(
            &RULE,
            "src/client.py",
            &[
                "token = get_token(request2)",
                "password = os.environ['DB_PASSWORD_2']",
                "api_key = \"your_api_key_1\"",
                "secret_name = \"q7ZpW2mW9xKd4LrT8\"",
                "token_url = \"https://q7ZpW2mW9xKd4LrT8.io\"",
                "password = \"password1\"",
                "password = form.password1",
                "tokenizer = \"bert-base-v2-uncased\"",
                "secret: 'projects/acme-1/secrets/db-password'",
                "AuthPlugin::Sha256Password => \"sha256_password\",",
                "abyssale_api_key = \"q7ZpW2mW9xKd4LrT8\"",
                "api_key = \"q7ZpW2m?W9xKd4LrT8\"",
                "max_tokens = \"q7ZpW2mW9xKd4LrT8\"",
                "token: '3f0c9a52-8a0e-5a52-9f6e-0d5c1c0f7a11'",
                "const TOKEN = /[a-z0-9]{20,40}/",
                "password: \"${DB_PASSWORD_2}\"",
            ],
        );
        sample::finds_nothing(
            &RULE,
            "deploy/values.yaml",
            &["  password: {{ .Values.password1 }}", "  secretName: q7ZpW2mW9xKd4LrT8", "  token: $TOKEN_1_OF_THE_BOT"],
        );
    }
}
