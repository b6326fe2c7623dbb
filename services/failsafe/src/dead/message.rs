//! What a dead letter's message says, as JSON. A diff is not shown unless it is asked for: it may hold secrets. Pure.

use chassis::bus::Original;
use proto::event::kind_of;
use proto::{Form, body_json};
use serde_json::Value;

use crate::terminal::safe;

/// Fields that hold a diff.
const DIFFS: [&str; 2] = ["diff", "inline"];
/// Most characters of any other text.
const CHARS_MAX: usize = 500;

/// How much of a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// No diff, and of other long texts the beginning.
    Short,
    /// All of it.
    Whole,
}

/// The message as JSON, or why it cannot be read.
pub(super) fn json(message: &Original, how: Show) -> Result<Value, String> {
    let header = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let bytes = message.body.len();
    let read = match Form::of(header.map(|(_, value)| value.as_str()), &message.body) {
        Form::Json => serde_json::from_slice(&message.body).map_err(|error| error.to_string()),
        Form::Protobuf => kind_of(&message.subject)
            .and_then(|kind| body_json(kind, &message.body))
            .ok_or_else(|| format!("not the protobuf form of what travels on {}", message.subject)),
    };
    match (read, how) {
        (Ok(mut value), Show::Short) => {
            shorten(&mut value);
            Ok(value)
        }
        (Ok(value), Show::Whole) => Ok(value),
        (Err(why), Show::Short) => Err(format!("{bytes} bytes that cannot be read: {why} (--body shows them)")),
        (Err(why), Show::Whole) => {
            let text = String::from_utf8_lossy(&message.body);
            Err(format!("{bytes} bytes that cannot be read: {why}: {text}"))
        }
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if DIFFS.contains(&name.as_str()) => {
                        *value = format!("({} bytes: --body shows them)", text.len()).into();
                    }
                    _ => shorten(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::String(text) => {
            if let Some((at, _)) = text.char_indices().nth(CHARS_MAX) {
                text.truncate(at);
                text.push('…');
            }
        }
        _ => {}
    }
}

/// JSON in lines that cannot steer a terminal.
pub(super) fn printable(value: &Value) -> String {
    format!("{value:#}").lines().map(safe).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, how: Show, expected: Result<&str, &str>) {
        let subject = "failsafe.v1.deployment.submitted".to_owned();
        let message = Original { subject, headers: Vec::new(), body: body.as_bytes().to_vec() };
        match (json(&message, how), expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value.to_string(), expected),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, _) => panic!("{got:?}"),
        }
    }

    #[test]
    fn a_diff_is_only_shown_when_it_is_asked_for() {
        let body = r#"{"diff":"+secret","repository":"acme/shop"}"#;
        check(body, Show::Short, Ok(r#"{"diff":"(7 bytes: --body shows them)","repository":"acme/shop"}"#));
        check(body, Show::Whole, Ok(body));
        check(r#"{"diff":"+secret"#, Show::Short, Err("16 bytes that cannot be read"));
        check(r#"{"diff":"+secret"#, Show::Whole, Err("+secret"));
        let long = format!(r#"{{"title":"{}"}}"#, "é".repeat(501));
        check(&long, Show::Short, Ok(&format!(r#"{{"title":"{}…"}}"#, "é".repeat(500))));
    }

    #[test]
    fn what_cannot_be_read_is_not_shown_by_accident() {
        let message = Original {
            subject: "failsafe.v1.deployment.submitted".to_owned(),
            headers: Vec::new(),
            body: b"\xffsecret".to_vec(),
        };
        let why = json(&message, Show::Short).unwrap_err();
        assert!(why.contains("7 bytes") && !why.contains("secret"), "{why}");
    }
}
