//! A password in the address of a database, a broker or a site: `scheme://user:password@host`.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, is_placeholder};
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
    for captures in ADDRESS.captures_iter(line.text) {
        let (Some(user), Some(password), Some(host)) = (captures.get(1), captures.get(2), captures.get(3)) else {
            continue;
        };
        if !LENGTH.contains(&password.len())
            || is_no_secret(user.as_str(), password.as_str())
            || is_documentation(host.as_str())
        {
            continue;
        }
        let hit = Hit::secret(password.range(), "the address holds a password");
        hits.push(if is_local(host.as_str()) {
            Hit { message: "the address of a local service holds a password".into(), ..hit.severity(Severity::Low) }
        } else {
            hit
        });
    }
    hits
}

fn is_no_secret(user: &str, password: &str) -> bool {
    let lower = password.to_ascii_lowercase();
    // A format string (`%s`, `{}`, `%v`) or a variable of a route (`:port`).
    let format = ["%s", "%v", "%d", "%w", "{", "}", "$", "(", "+", "[", "*"].iter().any(|sign| password.contains(sign));
    let format = format && !password.bytes().any(|b| b.is_ascii_digit());
    // `personal-access-token`: words, and one of them says what would stand here.
    let words = || lower.split(['-', '_', '.']);
    let spelled_out =
        words().all(|word| word.bytes().all(|b| b.is_ascii_alphabetic())) && words().any(|word| WEAK.contains(&word));
    format
        || spelled_out
        || lower == user.to_ascii_lowercase()
        || WEAK.contains(&lower.as_str())
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
    fn references_placeholders_and_known_defaults_are_not() {
        sample::finds_nothing(
            &RULE,
            "config/prod.toml",
            &[
                "postgres://app:${DB_PASSWORD}@db.acme.io/shop",
                "postgres://app:$DB_PASSWORD@db.acme.io/shop",
                "postgres://postgres:postgres@db.acme.io:5432/test",
                "https://user:password@acme.io",
                "https://me:personal-access-token@acme.io",
                "fmt.Sprintf(\"postgres://%s:%s@%s/%s\", u, p, h, d)",
                "f\"postgres://{user}:{password}@{host}\"",
                "https://acme.io:8443/a@b",
                "postgres://user:<password>@db.acme.io",
                "https://me:s3cretS3cret@example.com/",
                "http://[::1]:8080/x@y",
                "git@github.com:acme/shop.git",
            ],
        );
    }
}
