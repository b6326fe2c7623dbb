//! Limits that a session sets for itself.

use super::super::super::operation::Operation;
use super::super::super::sql::{Kind, Statement};

/// `SET lock_timeout = '2s'`, `SELECT set_config('lock_timeout', '2s', true)`, `RESET ALL`.
pub(super) fn setting(statement: &Statement<'_>) -> Vec<Operation> {
    let words: Vec<_> = statement.tokens.iter().filter(|token| token.kind != Kind::Sign).collect();
    let named = |name: &str| words.iter().position(|token| token.text.eq_ignore_ascii_case(name));
    let first = |word: &str| words.first().is_some_and(|token| token.text.eq_ignore_ascii_case(word));
    if (first("reset") || first("discard")) && named("all").is_some() {
        return vec![Operation::LockTimeout(false), Operation::StatementTimeout(false)];
    }
    // `SET a.lock_timeout` is a setting of somebody else.
    let dotted = statement.tokens.iter().any(|token| token.kind == Kind::Sign && token.text == ".");
    if dotted && first("set") {
        return vec![Operation::Unknown { schema: false }];
    }
    // RESET names no value, as if it were none. What is no number comes from elsewhere, and may be one.
    let limits = |at: usize, ms_max: f64| {
        let value = words[at + 1..].iter().find(|token| !token.text.eq_ignore_ascii_case("to"));
        value.is_some_and(|value| match milliseconds(value.text) {
            Some(ms) => ms > 0.0 && ms <= ms_max,
            None => !value.text.eq_ignore_ascii_case("default"),
        })
    };
    if let Some(at) = named("lock_timeout") {
        return vec![Operation::LockTimeout(limits(at, LOCK_TIMEOUT_MS_MAX))];
    }
    if let Some(at) = named("statement_timeout") {
        return vec![Operation::StatementTimeout(limits(at, f64::INFINITY))];
    }
    vec![Operation::Unknown { schema: false }]
}

/// A longer wait for a lock is as good as one without an end: whoever comes meanwhile waits behind it.
const LOCK_TIMEOUT_MS_MAX: f64 = 60_000.0;

/// A time as PostgreSQL's settings write it: a number, and its unit if that is not milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    let text = text.trim_matches('\'').trim();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some(number.trim().parse::<f64>().ok()? * unit)
}
