//! Integers that go into a type that may have no room for them.

use domain::{Confidence, Severity};
use tree_sitter::Node;

use super::model::Model;
use super::ranges::{Interval, of_type};
use super::types::{INTEGERS, arguments};
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::program::Report;

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
