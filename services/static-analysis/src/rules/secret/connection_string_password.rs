//! A password in a connection string of the `key=value;` form that ODBC and ADO.NET use, or an account key in Azure's.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, is_placeholder, stand_ins};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.connection-string.password",
    title: "Password in a connection string",
    severity: Severity::High,
    confidence: Confidence::Medium,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["password=", "pwd=", "password =", "pwd =", "accountkey=", "accesskey="],
    remediation: ROTATE,
    references: &[
        "https://learn.microsoft.com/en-us/dotnet/framework/data/adonet/connection-string-syntax",
        "https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static PASSWORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix) (?: ^ | [;"'`\s(>,] ) (?: password | pwd | accountkey | (?: shared )? accesskey ) \s? = \s?
        (?: \{ ((?:[^}]|\}\})+) \} | "([^"]+)" | '([^']+)' | ([^;"'`\s<>]+) )"#,
    )
    .expect("the pattern is tested")
});
/// Bytes of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 4..=120;
/// Another part of such a string: without one it is an ordinary assignment.
static OTHER_PART: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:^|[;\x22'`\s(>,])(?:server|data source|host|hostname|addr|address|dsn|driver|user id|uid|username|database|initial catalog|accountname|endpoint)\s?=\s?[^;]+;",
    )
    .expect("the pattern is tested")
});

/// A service on the same machine, or the emulator's account that Microsoft publishes with its key.
static LOCAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)=\s?(?:tcp:)?(?:localhost|127\.0\.0\.1|\(localdb\)|devstoreaccount1|\.)(?:[\\,:;]|$)")
        .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    if !OTHER_PART.find_iter(line.text).any(|part| !is_condition(part.as_str())) {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for captures in PASSWORD.captures_iter(line.text) {
        let Some(password) = captures.iter().skip(1).flatten().next() else { continue };
        // In braces a brace is doubled.
        let value = password.as_str().replace("}}", "}");
        if !LENGTH.contains(&password.len()) || stands_in(&value) || is_filled_in(line.text, &password.range()) {
            continue;
        }
        let hit = Hit::secret(password.range(), "the connection string holds a password");
        let weak = LOCAL.is_match(line.text) || stand_ins::is_guessable(&value) || stand_ins::is_slug(&value);
        hits.push(if weak { hit.severity(Severity::Low) } else { hit });
    }
    hits
}

/// True in SQL, as in `username=user AND password=word;`.
fn is_condition(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    [" and ", " or ", " where "].iter().any(|word| lower.contains(word))
}

/// True for what is no password, and for the one that everybody writes there.
fn stands_in(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let nothing = matches!(
        lower.as_str(),
        "password"
            | "secret"
            | "test"
            | "root"
            | "postgres"
            | "admin"
            | "null"
            | "none"
            | "undefined"
            | "true"
            | "false"
    );
    // The key of the emulator is the same for everybody, and in its manual.
    let published = value.starts_with("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq");
    let format = ["%s", "{0}", "{1}", "{2}", "\" +", "\"+", "..."].iter().any(|sign| lower.contains(sign));
    nothing
        || lower.starts_with("sha256:")
        || published
        || format
        || is_placeholder(value)
        || stand_ins::is_public(value)
}

/// True in a template: `{{ .Values.password }}`, or one name in braces as in `{DB_PASSWORD}`, where a program puts the value.
fn is_filled_in(text: &str, value: &std::ops::Range<usize>) -> bool {
    let braced = text[..value.start].ends_with('{');
    let inner = &text[value.clone()];
    let name = |b: u8| b.is_ascii_alphabetic() || b"_.".contains(&b);
    braced && (inner.starts_with('{') || inner.bytes().all(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_password_in_a_connection_string_is_found() {
        sample::finds(
            &RULE,
            "web.config",
            &[
                (concat!("\"Server=db.acme.io;Database=shop;User Id=app;Password=q7Zp2m", "W9xKd4;\""), Severity::High),
                (concat!("DSN=Production;Uid=app;Pwd={q7Zp;2m", "W9xKd4};"), Severity::High),
                ("Server=db.acme.io;User Id=sa;Password=P@ssw0rd;", Severity::Low),
                ("Server=db.acme.io;User Id=sa;Password=my-app-tls-2024;", Severity::Low),
                (concat!("Server=localhost,1433;User Id=sa;Password=q7Zp2m", "W9xKd4;"), Severity::Low),
                (concat!("Host=pg.acme.io;Username=app;Password='q7Zp2m", "W9;xKd4';"), Severity::High),
                (
                    concat!(
                        "AccountName=acme;AccountKey=q7ZpW2mW9xKd4LrT8vBnC3sYhGj",
                        "E5uXaQ0FiOw==;EndpointSuffix=core.windows.net"
                    ),
                    Severity::High,
                ),
            ],
        );
    }

    #[test]
    fn placeholders_and_plain_assignments_are_not() {
        sample::finds_nothing(
            &RULE,
            "web.config",
            &[
                "Server=db;User Id=app;Password=${DB_PASSWORD};",
                "SELECT '' FROM users WHERE username=user AND password=ENCRYPT(oldpass);",
                "UPDATE users SET password=cryptpass WHERE username=user AND password=ENCRYPT(old);",
                "Server=db;User Id=app;Password=<password>;",
                "Server=db;User Id=app;Password=password;",
                "DSN=Production;Pwd={XXXXXXXX};",
                "password = read_password()",
                "Server=db;User Id=app;Password={{ .Values.password }};",
                "Server=db;User Id=app;Password={DB_PASSWORD};",
                "Server=db;User Id=app;Password=[[password]];",
                "Server=db;User Id=app;Password=op://vault/item/field;",
                "Server=db;User Id=app;Password=/run/secrets/db_password;",
                "Server=db;User Id=app;Password=env:DB_PASSWORD;",
                "Server=db;User Id=app;Password=__DB_PASSWORD__;",
                "Server=db;User Id=app;Password=undefined;",
                "Server={0};Password={1};",
            ],
        );
    }
}
