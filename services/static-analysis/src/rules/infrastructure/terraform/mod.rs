//! Terraform: rows of data about attributes ([`table`]), and functions where a row cannot say it. A file is read once for all
//! of them.
//!
//! Of a block that is new as a whole it is also judged what it lacks. Elsewhere only an attribute that was changed is, and
//! only where its resource can be seen.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use domain::Severity;
use domain::diff::FileDiff;

use self::parse::{Block, Value};
use self::row::Verdict;
use self::table::tables;
use super::is_terraform;
use crate::new_side::NewSide;
use crate::rules::{FileHit, Rule, Shared};

mod families;
mod network;
pub(crate) mod parse;
mod path;
mod pods;
mod policy;
mod protection;
mod row;
mod secrets;
mod table;
mod value;
mod various;

/// The table of all these rules.
pub(crate) static TABLE: Shared = Shared { applies: is_terraform, check, besides: &[] };

/// The rules, one for each row.
pub(crate) fn rules() -> &'static [&'static Rule] {
    &tables().rules
}

/// What a function found in a block.
struct Hit {
    /// The rule's id.
    rule: &'static str,
    /// What it is about.
    range: Range<usize>,
    /// Whether it is about something that is not there, so that the block has to be new to be blamed.
    is_missing: bool,
    severity: Option<Severity>,
    message: Cow<'static, str>,
}

impl Hit {
    /// About what stands there.
    fn at(rule: &'static str, range: Range<usize>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { rule, range, is_missing: false, severity: None, message: message.into() }
    }

    /// About what the block lacks.
    fn missing(rule: &'static str, block: &Block, message: impl Into<Cow<'static, str>>) -> Self {
        Self { is_missing: true, ..Self::at(rule, block.range.start..block.range.start + 1, message) }
    }

    fn severity(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }
}

/// The functions, each asked about every block at the top of a file.
const CHECKS: &[fn(&Block, &str, &mut Vec<Hit>)] =
    &[network::check, pods::check, policy::check, secrets::check, various::check];

fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    let mut hits = protection::removed(file);
    for (number, hunk) in file.hunks.iter().enumerate() {
        let side = NewSide::of(hunk);
        for block in parse::parse(&side.text) {
            let is_new = block.closed && side.all_added(block.range.clone());
            for hit in judge(&block, &side.text) {
                let line = if hit.is_missing {
                    is_new.then(|| side.line_at(hit.range.start))
                } else {
                    side.first_added(hit.range)
                };
                if let Some(line) = line {
                    let found = FileHit::on_line(file, number, line, hit.message);
                    hits.push((
                        hit.rule,
                        match hit.severity {
                            Some(severity) => found.severity(severity),
                            None => found,
                        },
                    ));
                }
            }
        }
    }
    hits
}

/// What is wrong with a block, one hit for each rule.
fn judge(block: &Block, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let verdicts: Vec<_> = tables().rows(&key(block)).map(|row| (row, row.judge(block, text))).collect();
    let considered: HashSet<_> =
        verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Good).map(|(row, _)| row.rule.hazard).collect();
    // What belongs to no family has nothing in common.
    let considered =
        |hazard: &str| !hazard.is_empty() && considered.contains(hazard) || policy::considers(block) == Some(hazard);
    for (row, verdict) in verdicts {
        match verdict {
            Verdict::Bad { range, message } => hits.push(Hit::at(row.rule.id, range, message)),
            // Somebody gave the matter thought: what else could be set is no news.
            Verdict::Missing { .. } if !row.always && considered(row.rule.hazard) => {}
            Verdict::Missing { range, message } => {
                hits.push(
                    Hit { is_missing: true, ..Hit::at(row.rule.id, range, message) }.severity(row.missing_severity),
                );
            }
            Verdict::Silent | Verdict::Good => {}
        }
    }
    for check in CHECKS {
        check(block, text, &mut hits);
    }
    hits
}

/// What the rows call the type of a block: `aws_db_instance`, `data.aws_iam_policy_document`, `provider.aws`.
fn key(block: &Block) -> String {
    let label = block.labels.first().map_or("", String::as_str);
    match block.kind.as_str() {
        "resource" => label.to_owned(),
        kind => format!("{kind}.{label}"),
    }
}

/// The type of a resource; empty for other blocks.
fn resource_type(block: &Block) -> &str {
    match block.labels.first() {
        Some(label) if block.kind == "resource" => label,
        _ => "",
    }
}

/// What people call a block: `aws_db_instance.main`.
fn address(block: &Block) -> String {
    let kind = if block.kind == "resource" { "" } else { block.kind.as_str() };
    let parts = std::iter::once(kind).chain(block.labels.iter().map(String::as_str));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

/// The value of an attribute where it is known.
fn plain<'a>(block: &'a Block, name: &str) -> Option<&'a str> {
    block.attribute(name).and_then(|attribute| attribute.value.plain())
}

/// Whether an attribute is `true`.
fn is_true(block: &Block, name: &str) -> bool {
    plain(block, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The field of an object.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => {
            fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        }
        _ => None,
    }
}

/// A list's values, or the one value.
fn each(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        one => std::slice::from_ref(one),
    }
}

#[cfg(test)]
mod tests;
