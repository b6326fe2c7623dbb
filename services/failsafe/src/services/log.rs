//! The log lines of several processes in one place.

use std::io::IsTerminal;

use serde_json::Value;

/// Prints one line that `service` logged to the standard error: for people on a terminal, as it came otherwise.
pub(super) fn print(service: &str, line: &str) {
    let for_people = std::io::stderr().is_terminal().then(|| in_words(line)).flatten();
    eprintln!("{service:<15} {}", for_people.as_deref().unwrap_or(line));
}

/// A line of JSON as a person reads it; `None` when it is no such line.
fn in_words(line: &str) -> Option<String> {
    let Value::Object(mut fields) = serde_json::from_str(line).ok()? else { return None };
    let mut text = |name: &str| fields.remove(name).and_then(|value| value.as_str().map(ToOwned::to_owned));
    let (timestamp, level, message) = (text("timestamp")?, text("level")?, text("message").unwrap_or_default());
    let time = timestamp.get(11..23).unwrap_or(&timestamp).to_owned();
    let not_shown = ["target", "service", "trace_id", "span_id"];
    let rest = fields.iter().filter(|(name, _)| !not_shown.contains(&name.as_str()));
    let rest: String = rest.map(|(name, value)| format!(" {name}={value}")).collect();
    Some(crate::terminal::safe(&format!("{time} {level:<5} {message}{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_put_in_words() {
        let line = r#"{"timestamp":"2026-11-20T15:30:00.123456Z","level":"INFO","message":"scored","risk":0.02,"target":"ml_scoring"}"#;
        assert_eq!(in_words(line).unwrap(), "15:30:00.123 INFO  scored risk=0.02");
        assert_eq!(in_words("thread 'main' panicked"), None);
    }
}
