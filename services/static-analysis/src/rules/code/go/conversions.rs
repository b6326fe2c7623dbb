//! Integers that go into a type that may have no room for them.

use domain::{Confidence, Severity};
use tree_sitter::Node;

use super::gate::begins_word;
use super::model::Model;
use super::ranges::{Interval, of_type};
use super::types::{INTEGERS, arguments};
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, Shown, first_name};

pub(super) static OVERFLOW: Rule = Rule {
    id: "code.go.integer-overflow",
    title: "Integer goes into a type that may have no room for it",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    cwe: 190,
    keywords: &[" int(", "(int(", "uint(", "int8(", "int16(", "int32(", "int64(", "uintptr(", "byte(", "rune("],
    remediation: "Check the value against the limits in package math before it is converted.",
    references: &["https://go.dev/ref/spec#Conversions"],
    aliases: &["G115"],
    ..PROGRAM
};

pub(super) fn triggers() -> Vec<Trigger> {
    let words: Vec<_> = INTEGERS.iter().map(|name| format!("{name}(")).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    vec![
        Trigger::of(&[&OVERFLOW]).word_where(&words, may_overflow).linked(),
        Trigger::of(&[&OVERFLOW]).word_where(&["type "], converts_to_own),
    ]
}

/// Whether a conversion to an integer may be of another one for which it has no room.
fn may_overflow(shown: &Shown<'_>, place: Place) -> bool {
    let rest = shown.from(place);
    let target = first_name(rest);
    // Of `uint8(` the end is `int8(`, and `[]byte(` makes a slice.
    if !begins_word(shown, place, b".]*") || !INTEGERS.contains(&target) {
        return false;
    }
    let value = rest.get(target.len() + 1..).unwrap_or("");
    let number = value.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if value.starts_with(|c: char| c.is_ascii_digit()) && number.starts_with(')') {
        return false;
    }
    // Only what has no sign is too great for these.
    let wide = matches!(target, "int" | "int64");
    (!wide || shown.has("uint") || shown.has("Uint") || shown.has("type ")) && shown.is_live(place.line)
}

/// Whether something may be converted to a type that is declared here.
fn converts_to_own(shown: &Shown<'_>, place: Place) -> bool {
    let rest = shown.from(place).get("type ".len()..).unwrap_or("");
    if !begins_word(shown, place, b"") {
        return false;
    }
    if !rest.starts_with('(') {
        return is_converted(shown, rest);
    }
    // A group of declarations.
    let group = shown.texts().skip(place.line + 1).take_while(|line| !line.starts_with(')'));
    group.into_iter().any(|line| is_converted(shown, line))
}

/// Whether a line declares a type that is no struct, and something is converted to it.
fn is_converted(shown: &Shown<'_>, declaration: &str) -> bool {
    let code = declaration.split("//").next().unwrap_or("");
    let mut parts = code.split_whitespace().filter(|part| *part != "=");
    let (Some(name), Some(of), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    if !shown.may_scan() {
        return true;
    }
    let number = INTEGERS.contains(&of)
        || of.ends_with(".Duration")
        || shown.text().contains(&format!("\t{of} "))
        || shown.text().contains(&format!("type {of} "));
    number && of != "string" && shown.text().contains(&format!("{name}("))
}

pub(super) fn check<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    let Some(name) = callee.strip_prefix('.') else { return };
    if !INTEGERS.contains(&name) && !model.types.contains_key(name) {
        return;
    }
    let (args, target) = (arguments(call), model.underlying(name));
    let ([value], Some(room)) = (&args[..], of_type(&target)) else { return };
    let source = model.underlying(&model.type_of(*value));
    let Some(all) = of_type(&source) else { return };
    let word = |name: &str| matches!(name, "int" | "uint" | "uintptr");
    if all.within(room) || word(&source) && word(&target) || model.integer(*value).is_some() {
        return;
    }
    let interval = model.interval(*value, call);
    if !interval.within(room) && !is_checked_as_signed(interval, room) {
        report.at(&OVERFLOW, call, "a number that is too great or too small becomes another one");
    }
}

/// A value that was checked to fit into the type with or without a sign is meant to be reinterpreted.
fn is_checked_as_signed(interval: Interval, room: Interval) -> bool {
    let half = room.high / 2;
    room.low == 0
        && room.high < i128::from(u64::MAX)
        && interval.high <= room.high
        && interval.high > half
        && interval.low >= -half - 1
}
