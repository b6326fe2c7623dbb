//! A JSON Web Token: two parts that are JSON in base64, and a signature. The header tells one from what only looks like it.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{ROTATE, base64, entropy, is_stand_in};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "secret.jwt.token",
    title: "JSON Web Token",
    severity: Severity::Medium,
    confidence: Confidence::High,
    category: Category::Secret,
    cwe: 798,
    hazard: "",
    keywords: &["eyj", "ewog", "eyai", "ewoj"],
    remediation: ROTATE,
    references: &["https://www.rfc-editor.org/rfc/rfc7519", "https://www.rfc-editor.org/rfc/rfc7515#section-4.1"],
    aliases: &["jwt", "np.jwt.1", "kingfisher.jwt.1"],
    check: Check::Line(check),
};

static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(ey[A-Za-z0-9_-]{10,}|ewo[A-Za-z0-9_-]{10,})={0,2}\.((?:ey|ewo)[A-Za-z0-9/\\_-]{10,})={0,2}\.([A-Za-z0-9/\\_-]{6,}={0,2})")
        .expect("the pattern is tested")
});
const MESSAGE: &str = "a JSON Web Token is written into the code";

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for captures in TOKEN.captures_iter(line.text) {
        let (Some(all), Some(header), Some(payload)) = (captures.get(0), captures.get(1), captures.get(2)) else {
            continue;
        };
        if entropy(all.as_str()) < 3.0 || is_stand_in(all.as_str()) {
            continue;
        }
        let hit = Hit::secret(all.range(), MESSAGE);
        hits.push(if !is_header(header.as_str()) {
            let message = format!("{MESSAGE} (its header is not that of one: cut off or made up)");
            Hit { message: message.into(), ..hit.severity(Severity::Low).confidence(Confidence::Low) }
        } else if says(payload.as_str(), "\"name\":\"John Doe\"") {
            let message = format!("{MESSAGE}, though the one of John Doe, with which everybody shows how they look");
            Hit { message: message.into(), ..hit.severity(Severity::Low) }
        } else if says(payload.as_str(), "\"role\":\"anon\"") {
            // Supabase's key for the role `anon` is meant to be seen by everybody.
            let message = format!("{MESSAGE}, though one for the role of everybody");
            Hit { message: message.into(), ..hit.severity(Severity::Info) }
        } else {
            hit
        });
    }
    hits
}

/// A header is a JSON object that names the algorithm.
fn is_header(header: &str) -> bool {
    base64::decode(header).is_some_and(|bytes| {
        let json = String::from_utf8_lossy(&bytes);
        json.trim_start().starts_with('{') && json.contains("\"alg\"")
    })
}

/// Whether the payload has this field.
fn says(payload: &str, field: &str) -> bool {
    base64::decode(payload).is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    // {"alg":"HS256"}, {"typ":"JWT"}, {"sub":"1","role":"admin"} and {"iss":"x","role":"anon"}
    const HEADER: &str = "eyJhbGciOiJIUzI1NiJ9";
    const NO_HEADER: &str = "eyJ0eXAiOiJKV1QifQ";
    const PAYLOAD: &str = "eyJzdWIiOiIxIiwicm9sZSI6ImFkbWluIn0";
    const ANON: &str = "eyJpc3MiOiJ4Iiwicm9sZSI6ImFub24ifQ";
    // {"sub":"1234567890","name":"John Doe"}
    const DOE: &str = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0";
    const SIGNATURE: &str = "q7ZpW2mW9xKd4LrT8vBnC3sYhGjE5uXaQ0FiOwTb6Ne";

    #[test]
    fn a_token_is_as_sure_as_its_header() {
        sample::finds(
            &RULE,
            "src/client.ts",
            &[
                (&format!("const token = '{HEADER}.{PAYLOAD}.{SIGNATURE}'"), Severity::Medium),
                (&format!("curl -H 'Authorization: Bearer {HEADER}.{PAYLOAD}.{SIGNATURE}'"), Severity::Medium),
                (&format!("x = {NO_HEADER}.{PAYLOAD}.{SIGNATURE}"), Severity::Low),
                (&format!("SUPABASE_KEY={HEADER}.{ANON}.{SIGNATURE}"), Severity::Info),
                (&format!("const token = '{HEADER}.{DOE}.{SIGNATURE}'"), Severity::Low),
            ],
        );
    }

    #[test]
    fn parts_of_one_are_not() {
        sample::finds_nothing(
            &RULE,
            "src/client.ts",
            &[
                HEADER,
                &format!("{HEADER}.{PAYLOAD}"),
                &format!("{HEADER}.{PAYLOAD}.xxxxxxxxxx"),
                "eyeglasses.eyebrow.com",
                "it('eyJ is how a header begins')",
            ],
        );
    }
}
