//! One row, judged on one block that was read. Whether the block or the attribute was changed is not its business.

use std::ops::Range;

use domain::Severity;

use super::parse::Block;
use super::path::{Path, Place};
use super::value::{Judged, Test, is_one_of};
use crate::rules::Rule;

/// What it means that the attribute is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Bad,
    Fine,
    /// Bad where the block that it belongs into is there.
    BadInBlock,
}

/// Something else that has to hold for the row to be about the resource.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) path: Path,
    pub(super) wants: Wants,
}

#[derive(Debug)]
pub(super) enum Wants {
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
    Prefix(String),
    Above(f64),
    Present,
    Absent,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) rule: &'static Rule,
    /// How bad it is when the attribute is not there.
    pub(super) missing_severity: Severity,
    /// Not silenced by another attribute of the same hazard that was given thought.
    pub(super) always: bool,
    /// Whether some versions of the provider choose a good value where there is none.
    pub(super) varies: bool,
    pub(super) what: String,
    pub(super) resources: Vec<String>,
    pub(super) paths: Vec<Path>,
    pub(super) test: Test,
    pub(super) missing: Missing,
    pub(super) when: Vec<Condition>,
}

/// What a row says of a resource.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The row is not about this resource, or what it looks at may be left out.
    Silent,
    /// Somebody wrote the attribute, and it is not bad.
    Good,
    /// The attribute is not there, but should be, in what these bytes are.
    Missing { range: Range<usize>, message: String },
    /// The attribute is bad.
    Bad { range: Range<usize>, message: String },
}

impl Row {
    /// What it says of this block.
    pub(super) fn judge(&self, block: &Block, text: &str) -> Verdict {
        for condition in &self.when {
            match condition.holds(block) {
                Some(true) => {}
                // Somebody chose a kind of resource that has no use for the attribute.
                Some(false) if condition.path.is_written(block) => return Verdict::Good,
                _ => return Verdict::Silent,
            }
        }
        // Of several ways to write it, that counts by which most of it is written; of equal ones the last, the newest.
        let mut counts = (Verdict::Silent, 0);
        for path in &self.paths {
            match self.judge_path(path, block, text) {
                (Verdict::Good, _) => return Verdict::Good,
                (judged, depth) if depth >= counts.1 => counts = (judged, depth),
                _ => {}
            }
        }
        counts.0
    }

    /// What it says of one way to write it, and how much of that is written.
    fn judge_path(&self, path: &Path, block: &Block, text: &str) -> (Verdict, usize) {
        let mut good = false;
        let mut missing = None;
        let mut reached = 0;
        let name = path.name();
        for place in path.find(block) {
            let (range, in_block) = match place {
                Place::Unknown => {
                    good = true;
                    continue;
                }
                Place::Missing { range, depth, in_block } => {
                    reached = reached.max(depth);
                    (range, in_block)
                }
                Place::Block(range) if self.test.takes_block() => {
                    let message = self.message(block, &name, "is set");
                    return (Verdict::Bad { range, message }, usize::MAX);
                }
                Place::Block(_) => {
                    good = true;
                    continue;
                }
                Place::Value(value, range) => match self.test.judge(value) {
                    Judged::Bad(state) => {
                        let message = self.message(block, &name, &state);
                        return (Verdict::Bad { range, message }, usize::MAX);
                    }
                    Judged::Good => {
                        good = true;
                        continue;
                    }
                    Judged::Empty if self.missing == Missing::Fine => {
                        good = true;
                        continue;
                    }
                    Judged::Empty => (range, true),
                },
            };
            let wrong = match self.missing {
                Missing::Bad => true,
                Missing::Fine => false,
                Missing::BadInBlock => in_block,
            };
            if wrong && missing.is_none() {
                missing = Some(range);
            }
        }
        let state = if self.varies {
            "is not set, and not in every version of the provider that is safe"
        } else {
            "is not set"
        };
        let verdict = match missing {
            Some(range) => {
                // Where the whole block is meant, its first line is the place.
                let end = text[range.clone()].find('\n').map_or(range.end, |end| range.start + end);
                Verdict::Missing { range: range.start..end, message: self.message(block, &name, state) }
            }
            None if good => Verdict::Good,
            None => Verdict::Silent,
        };
        (verdict, reached)
    }

    fn message(&self, block: &Block, name: &str, state: &str) -> String {
        format!("{}: {name} {state}: {}", super::address(block), self.what)
    }
}

impl Condition {
    /// `None` when it is only known later.
    fn holds(&self, block: &Block) -> Option<bool> {
        let places = self.path.find(block);
        let texts = || {
            places.iter().filter_map(|place| match place {
                Place::Value(value, _) => Some(value.plain()),
                Place::Unknown => Some(None),
                _ => None,
            })
        };
        let is_there = places.iter().any(|place| !matches!(place, Place::Missing { .. }));
        let any = |test: &dyn Fn(&str) -> bool| {
            let mut unknown = false;
            for text in texts() {
                match text {
                    Some(text) if test(text) => return Some(true),
                    Some(_) => {}
                    None => unknown = true,
                }
            }
            (!unknown).then_some(false)
        };
        match &self.wants {
            Wants::OneOf(values) => any(&|text| is_one_of(text, values)),
            Wants::NoneOf(values) => any(&|text| is_one_of(text, values)).map(|is| !is),
            Wants::Prefix(prefix) => any(&|text| text.starts_with(prefix.as_str())),
            Wants::Above(least) => any(&|text| text.parse::<f64>().is_ok_and(|number| number > *least)),
            Wants::Present => Some(is_there),
            Wants::Absent => Some(!is_there),
        }
    }
}
