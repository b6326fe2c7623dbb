//! A password in the address of a database, a broker or a site: `scheme://user:password@host`.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, is_placeholder, is_reference, stand_ins};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.url.password",
    title: "Password in an address",
    severity: Severity::High,
    confidence: Confidence::Medium,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["://"],
    remediation: ROTATE,
    references: &[
        "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
        "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\b[a-zA-Z][a-zA-Z0-9+.-]*://([^\s:/@"'`<>]*):([^\s/@"'`<>]+)@(\[[0-9a-fA-F:]+\]|[^\s/:?#"'`,;)\\]+)"#)
        .expect("the pattern is tested")
});

/// Bytes of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 3..=200;
/// Passwords that stand in for one, or that everybody knows anyway.
const WEAK: &[&str] = &[
    "password",
    "passwd",
    "passw0rd",
    "pass",
    "pwd",
    "secret",
    "postgres",
    "mysql",
    "root",
    "admin",
    "guest",
    "user",
    "test",
    "testing",
    "dev",
    "local",
    "mypassword",
    "username",
    "token",
    "123",
    "1234",
    "12345",
    "123456",
    "abc",
    "abc123",
    "foo",
    "bar",
    "rabbitmq",
    "mongo",
    "redis",
    "docker",
    "minio",
    "minioadmin",
    "app",
    "demo",
    "none",
    "null",
    "key",
    "password123",
    "passwort",
    "hunter2",
    "letmein",
    "qwerty",
    "p@ssw0rd",
    "mypass",
    "mysecret",
    "userpass",
    "pw",
    "pswd",
];

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    // Most addresses name nobody.
    if !line.text.split_once("://").is_some_and(|(_, rest)| rest.contains('@')) {
        return hits;
    }
    for captures in ADDRESS.captures_iter(line.text) {
        let (Some(user), Some(password), Some(host)) = (captures.get(1), captures.get(2), captures.get(3)) else {
            continue;
        };
        let local = is_local(host.as_str());
        let weak = is_no_secret(user.as_str(), password.as_str());
        let plain = password.as_str().replace("%2F", "/").replace("%3A", ":");
        if !LENGTH.contains(&password.len())
            || is_reference(password.as_str())
            || stand_ins::is_elsewhere(&plain)
            || stand_ins::is_public(&plain)
            || weak && (local || is_word(host.as_str()))
        {
            continue;
        }
        let hit = Hit::secret(password.range(), "the address holds a password");
        let note = |hit: Hit, message: &'static str| Hit { message: message.into(), ..hit };
        hits.push(if weak && is_format(password.as_str()) {
            continue;
        } else if weak {
            let hit = hit.severity(Severity::Info).confidence(Confidence::Low);
            note(hit, "the address holds a password, though one that stands in for another or that everybody guesses")
        } else if is_documentation(host.as_str()) {
            note(
                hit.severity(Severity::Info).confidence(Confidence::Low),
                "the address holds a password, for a host that is an example",
            )
        } else if local {
            note(hit.severity(Severity::Low), "the address of a local service holds a password")
        } else {
            hit
        });
    }
    hits
}

/// True for a format string (`%s`, `{}`, `%v`), and for what a placeholder is written with.
fn is_format(password: &str) -> bool {
    let signs = ["%s", "%v", "%d", "%w", "{", "}", "$", "(", "+", "[", "*", "<", ">", "...", "xxx", "XXX"];
    signs.iter().any(|sign| password.contains(sign)) && !password.bytes().any(|b| b.is_ascii_digit())
}

/// True for a host that is rather a word of the text around it.
fn is_word(host: &str) -> bool {
    !host.contains('.') || host.ends_with('.')
}

fn is_no_secret(user: &str, password: &str) -> bool {
    let lower = password.to_ascii_lowercase();
    // `personal-access-token`: words, and one of them says what would stand here.
    let words = || lower.split(['-', '_', '.']);
    let spelled_out =
        words().all(|word| word.bytes().all(|b| b.is_ascii_alphabetic())) && words().any(|word| WEAK.contains(&word));
    // No server makes or takes so short a word.
    let short = password.len() < 6 && password.bytes().all(|b| b.is_ascii_lowercase());
    is_format(password)
        || spelled_out
        || short
        || lower == user.to_ascii_lowercase()
        || WEAK.contains(&lower.as_str())
        || lower.ends_with("...")
        || lower.starts_with("sha256:")
        || matches!(lower.as_str(), "undefined" | "true" | "false" | "nil" | "n%2fa" | "n/a")
        || stand_ins::is_guessable(password)
        || stand_ins::is_slug(password)
        || is_placeholder(password)
}

/// Names reserved for documentation and tests by RFC 2606 and RFC 6761.
fn is_documentation(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let reserved = |name: &str| host == name || host.ends_with(&format!(".{name}"));
    ["example.com", "example.org", "example.net", "example", "invalid", "test"].iter().any(|name| reserved(name))
        || matches!(host.as_str(), "host" | "hostname" | "server" | "domain" | "domain.com" | "yourhost")
}

/// True for an address that leads nowhere but to the same machine or the same compose file.
fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    !host.contains(['.', ':'])
        || host.starts_with("127.")
        || host == "0.0.0.0"
        || host == "[::1]"
        || host.ends_with(".local")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_password_in_an_address_is_found() {
        sample::finds(
            &RULE,
            "config/prod.toml",
            &[
                (concat!("url = \"postgres://app:q7Zp2m", "W9xKd4@db.acme.io:5432/shop\""), Severity::High),
                (concat!("MONGO=mongodb+srv://deploy:q7Zp2m", "W9xKd4@cluster0.acme.mongodb.net/"), Severity::High),
                (concat!("REDIS_URL=redis://:q7Zp2m", "W9xKd4@10.0.0.7:6379/0"), Severity::High),
                (concat!("git clone https://ci:q7Zp2m", "W9xKd4@git.acme.io/a/b.git"), Severity::High),
                (concat!("amqp://app:q7Zp2m", "W9xKd4@rabbit:5672"), Severity::Low),
                (concat!("mysql://app:q7Zp2m", "W9xKd4@localhost/shop"), Severity::Low),
            ],
        );
    }

    #[test]
    fn a_password_that_stands_in_for_one_is_worth_a_word() {
        let info = Severity::Info;
        sample::finds(
            &RULE,
            "config/prod.toml",
            &[
                ("postgres://postgres:postgres@db.acme.io:5432/test", info),
                ("https://user:password@acme.io", info),
                ("https://me:personal-access-token@acme.io", info),
                ("https://me:s3cretS3cret@example.com/", info),
                ("postgres://app:Passw0rd@db.acme.io/app", info),
                ("postgres://app:admin123@db.acme.io/app", info),
                ("postgres://app:my-app-tls-2024@db.acme.io/app", info),
                ("postgres://app:undefined@db.acme.io/app", info),
            ],
        );
    }

    #[test]
    fn references_placeholders_and_known_defaults_are_not() {
        sample::finds_nothing(
            &RULE,
            "config/prod.toml",
            &[
                "postgres://app:${DB_PASSWORD}@db.acme.io/shop",
                "postgres://app:$DB_PASSWORD@db.acme.io/shop",
                "fmt.Sprintf(\"postgres://%s:%s@%s/%s\", u, p, h, d)",
                "f\"postgres://{user}:{password}@{host}\"",
                "https://acme.io:8443/a@b",
                "postgres://user:<password>@db.acme.io",
                "postgres://app:op:%2F%2Fvault%2Fitem@db.acme.io/app",
                "postgres://app:%2Frun%2Fsecrets%2Fdb_password@db.acme.io/app",
                "postgres://app:env:DB_PASSWORD@db.acme.io/app",
                "postgres://postgres:postgres@localhost:5432/test",
                "http://[::1]:8080/x@y",
                "git@github.com:acme/shop.git",
            ],
        );
    }
}
