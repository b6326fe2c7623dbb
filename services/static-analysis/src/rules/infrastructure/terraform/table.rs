//! Rows: what an attribute of a resource has to be, as data. `tables/README.md` documents their form.
//!
//! A row is judged on one block that was read; whether the block or the attribute was changed is not its business.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use serde::Deserialize;

use super::families::{advice, cwe, documentation};
use super::parse::{Block, Value};
use super::path::{Path, Place};
use crate::rules::{Check, Rule};

/// The files of rows, a provider each.
const FILES: &[(&str, &str)] = &[
    ("aws.toml", include_str!("tables/aws.toml")),
    ("azure.toml", include_str!("tables/azure.toml")),
    ("google.toml", include_str!("tables/google.toml")),
    ("kubernetes.toml", include_str!("tables/kubernetes.toml")),
    ("others.toml", include_str!("tables/others.toml")),
    ("checks.toml", include_str!("tables/checks.toml")),
];

#[derive(Deserialize)]
struct File {
    rules: Vec<Written>,
}

/// A row as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    id: String,
    title: String,
    resources: Vec<String>,
    attribute: Option<String>,
    good: Option<Vec<String>>,
    bad: Option<Vec<String>>,
    has: Option<Vec<String>>,
    lacks: Option<Vec<String>>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    also: Vec<String>,
    set: bool,
    absent: bool,
    missing: Option<String>,
    when: Vec<String>,
    always: bool,
    hazard: String,
    severity: String,
    missing_severity: Option<String>,
    confidence: Option<String>,
    cwe: Option<u32>,
    remediation: Option<String>,
    aliases: Vec<String>,
}

/// What the value has to be.
#[derive(Debug)]
enum Test {
    /// One of these.
    Good(Vec<String>),
    /// None of these.
    Bad(Vec<String>),
    /// A list with all of these.
    Has(Vec<String>),
    /// A list with none of these.
    Lacks(Vec<String>),
    /// A number from this on, or one of these.
    AtLeast(f64, Vec<String>),
    /// A number up to this; seconds may say so (`7776000s`).
    AtMost(f64),
    /// Anything but empty.
    Set,
    /// Empty.
    Absent,
}

/// What it means that the attribute is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Bad,
    Fine,
    /// Bad where the block that it belongs into is there.
    BadInBlock,
    /// Bad where that block is not there either.
    BadWithoutBlock,
}

/// Something else that has to hold for the row to be about the resource.
#[derive(Debug)]
struct Condition {
    path: Path,
    wants: Wants,
}

#[derive(Debug)]
enum Wants {
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
    what: String,
    resources: Vec<String>,
    paths: Vec<Path>,
    test: Test,
    missing: Missing,
    when: Vec<Condition>,
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

/// The rows, and where to find them.
pub(super) struct Tables {
    pub(super) rules: Vec<&'static Rule>,
    rows: Vec<Row>,
    by_resource: HashMap<String, Vec<usize>>,
}

impl Tables {
    /// The rows about resources of this type.
    pub(super) fn rows(&self, resource: &str) -> impl Iterator<Item = &Row> {
        self.by_resource.get(resource).into_iter().flatten().map(|row| &self.rows[*row])
    }
}

/// All the rows.
pub(super) fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(|| match read(FILES) {
        Ok(tables) => tables,
        Err(error) => unreachable!("the files are tested: {error}"),
    });
    &TABLES
}

fn read(files: &[(&str, &str)]) -> Result<Tables, String> {
    let mut tables = Tables { rules: Vec::new(), rows: Vec::new(), by_resource: HashMap::new() };
    for (name, text) in files {
        let file: File = toml::from_str(text).map_err(|error| format!("{name}: {error}"))?;
        for written in file.rules {
            let id = written.id.clone();
            let (rule, row) = load(written).map_err(|error| format!("{name}: {id}: {error}"))?;
            tables.rules.push(rule);
            let Some(row) = row else { continue };
            for resource in &row.resources {
                tables.by_resource.entry(resource.clone()).or_default().push(tables.rows.len());
            }
            tables.rows.push(row);
        }
    }
    Ok(tables)
}

/// The rule of a row, and the row itself unless a function of [`super::checks`] does its work.
fn load(written: Written) -> Result<(&'static Rule, Option<Row>), String> {
    let severity = |name: &str| Severity::from_name(name).ok_or_else(|| format!("severity {name:?}"));
    let at = severity(&written.severity)?;
    let test = written.attribute.as_ref().map(|_| test(&written)).transpose()?;
    let text = written.attribute.clone().unwrap_or_default();
    let remediation = match (&written.remediation, &test) {
        (Some(own), _) => own.clone(),
        (None, Some(test)) => format!("{} {}", test.mend(&plain(&text)), advice(&written.hazard)).trim().to_owned(),
        (None, None) => return Err("remediation: how is it mended?".to_owned()),
    };
    let resources = resources(written.resources);
    let resource = resources.first().ok_or("resources: which?")?;
    let more = if resources.len() > 1 { " and the like" } else { "" };
    let confidence = match written.confidence.as_deref() {
        None => Confidence::High,
        Some(name) => {
            Confidence::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| format!("confidence {name:?}"))?
        }
    };
    let rule = Rule {
        id: leak(format!("infrastructure.{}", written.id)),
        title: leak(if test.is_some() {
            format!("{} ({resource}{more})", written.title)
        } else {
            written.title.clone()
        }),
        severity: at,
        confidence,
        category: Category::Infrastructure,
        cwe: written.cwe.unwrap_or_else(|| cwe(&written.hazard)),
        hazard: leak(written.hazard.clone()),
        keywords: &[],
        remediation: leak(remediation),
        references: Box::leak(Box::new([leak(documentation(resource))])),
        aliases: Box::leak(written.aliases.iter().map(|alias| leak(alias.clone())).collect::<Box<[_]>>()),
        check: Check::Shared(&super::TABLE),
    };
    let rule: &'static Rule = Box::leak(Box::new(rule));
    let Some(test) = test else { return Ok((rule, None)) };
    let missing = match written.missing.as_deref() {
        None if matches!(test, Test::Good(_) | Test::Set | Test::Has(_) | Test::AtLeast(..)) => Missing::Bad,
        None | Some("fine") => Missing::Fine,
        Some("bad") => Missing::Bad,
        Some("bad-in-block") => Missing::BadInBlock,
        Some("bad-without-block") => Missing::BadWithoutBlock,
        Some(other) => return Err(format!("missing: {other:?}")),
    };
    let row = Row {
        rule,
        missing_severity: written.missing_severity.as_deref().map_or(Ok(at), severity)?,
        always: written.always,
        what: lower_first(&written.title),
        resources,
        paths: Path::alternatives(&text)?,
        test,
        missing,
        when: written.when.iter().map(|text| condition(text)).collect::<Result<_, _>>()?,
    };
    Ok((rule, Some(row)))
}

fn test(written: &Written) -> Result<Test, String> {
    let mut tests = Vec::new();
    tests.extend(written.good.clone().map(Test::Good));
    tests.extend(written.bad.clone().map(Test::Bad));
    tests.extend(written.has.clone().map(Test::Has));
    tests.extend(written.lacks.clone().map(Test::Lacks));
    tests.extend(written.at_least.map(|least| Test::AtLeast(least, written.also.clone())));
    tests.extend(written.at_most.map(Test::AtMost));
    tests.extend(written.set.then_some(Test::Set));
    tests.extend(written.absent.then_some(Test::Absent));
    match (tests.pop(), tests.is_empty()) {
        (Some(test), true) => Ok(test),
        _ => Err("one of good, bad, has, lacks, at_least, at_most, set and absent".to_owned()),
    }
}

/// `path=a|b`, `path!=a|b`, `path^=a`, `path>1`, `path`, `!path`.
fn condition(text: &str) -> Result<Condition, String> {
    let list = |text: &str| text.split('|').map(str::to_owned).collect();
    let (path, wants) = if let Some((path, values)) = text.split_once("!=") {
        (path, Wants::NoneOf(list(values)))
    } else if let Some((path, prefix)) = text.split_once("^=") {
        (path, Wants::Prefix(prefix.to_owned()))
    } else if let Some((path, values)) = text.split_once('=') {
        (path, Wants::OneOf(list(values)))
    } else if let Some((path, number)) = text.split_once('>') {
        (path, Wants::Above(number.parse().map_err(|_| format!("when: {text:?}"))?))
    } else if let Some(path) = text.strip_prefix('!') {
        (path, Wants::Absent)
    } else {
        (text, Wants::Present)
    };
    Ok(Condition { path: Path::parse(path)?, wants })
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
                Missing::BadWithoutBlock => !in_block,
            };
            if wrong && missing.is_none() {
                missing = Some(range);
            }
        }
        let verdict = match missing {
            Some(range) => {
                // Where the whole block is meant, its first line is the place.
                let end = text[range.clone()].find('\n').map_or(range.end, |end| range.start + end);
                Verdict::Missing { range: range.start..end, message: self.message(block, &name, "is not set") }
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

enum Judged {
    Good,
    /// As if it were not there.
    Empty,
    /// With what it is, after the attribute's name.
    Bad(String),
}

impl Test {
    /// A block is there or not; only [`Test::Absent`] minds.
    fn takes_block(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn judge(&self, value: &Value) -> Judged {
        match value {
            Value::Unknown(_) => Judged::Good,
            Value::Plain(text) if text == "null" => Judged::Empty,
            Value::List(values) if values.is_empty() => Judged::Empty,
            Value::Plain(text) => self.judge_texts(&[text.as_str()], true),
            Value::List(values) => {
                let texts: Vec<_> = values.iter().filter_map(Value::plain).collect();
                self.judge_texts(&texts, texts.len() == values.len())
            }
            Value::Object(_) => match self {
                Self::Absent => Judged::Bad("is set".to_owned()),
                _ => Judged::Good,
            },
        }
    }

    /// `all` is false where there are values besides these that are only known later.
    fn judge_texts(&self, texts: &[&str], all: bool) -> Judged {
        let bad_unless = |good: bool, state: String| if good { Judged::Good } else { Judged::Bad(state) };
        let number = || texts.first().and_then(|text| text.trim_end_matches('s').parse::<f64>().ok());
        match self {
            Self::Good(values) => {
                let good = !all || texts.iter().any(|text| is_one_of(text, values));
                bad_unless(good, format!("is not {}", one_of(values)))
            }
            Self::Bad(values) => {
                let bad = values.iter().find(|value| texts.iter().any(|text| is_like(text, value)));
                bad.map_or(Judged::Good, |value| Judged::Bad(format!("is {value}")))
            }
            Self::Has(values) => {
                let lacks = values.iter().find(|value| !texts.iter().any(|text| text.eq_ignore_ascii_case(value)));
                lacks.filter(|_| all).map_or(Judged::Good, |value| Judged::Bad(format!("lacks {value}")))
            }
            Self::Lacks(values) => {
                let holds = values.iter().find(|value| texts.iter().any(|text| text.eq_ignore_ascii_case(value)));
                holds.map_or(Judged::Good, |value| Judged::Bad(format!("holds {value}")))
            }
            Self::AtLeast(least, also) => {
                let good = number().is_none_or(|number| number >= *least);
                bad_unless(good || texts.iter().any(|text| is_one_of(text, also)), format!("is below {least}"))
            }
            Self::AtMost(most) => bad_unless(number().is_none_or(|number| number <= *most), format!("is above {most}")),
            Self::Set => {
                let empty = texts.iter().all(|text| text.is_empty() || *text == "false");
                bad_unless(!all || !empty, "is empty".to_owned())
            }
            Self::Absent => bad_unless(texts.iter().all(|text| text.is_empty()), "is set".to_owned()),
        }
    }

    /// How to mend it, in a sentence.
    fn mend(&self, name: &str) -> String {
        match self {
            Self::Good(values) => format!("Set {name} to {}.", one_of(values)),
            Self::Bad(values) => match values.first().map(String::as_str) {
                Some("true") => format!("Set {name} to false, or leave it out."),
                Some("false") => format!("Set {name} to true, or leave it out."),
                _ => format!("Do not set {name} to {}.", one_of(values)),
            },
            Self::Has(values) => format!("Put {} into {name}.", values.join(", ")),
            Self::Lacks(values) => format!("Take {} out of {name}.", values.join(", ")),
            Self::AtLeast(least, _) => format!("Set {name} to {least} at least."),
            Self::AtMost(most) => format!("Set {name} to {most} at most."),
            Self::Set => format!("Set {name}."),
            Self::Absent => format!("Leave {name} out."),
        }
    }
}

fn is_one_of(text: &str, values: &[String]) -> bool {
    values.iter().any(|value| is_like(text, value))
}

/// `http:*` is like everything that begins with `http:`.
fn is_like(text: &str, value: &str) -> bool {
    match value.strip_suffix('*') {
        Some(start) if !start.is_empty() => {
            text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
        }
        _ => text.eq_ignore_ascii_case(value),
    }
}

/// `pods` stands for every resource with a pod's specification in it.
fn resources(written: Vec<String>) -> Vec<String> {
    const WITH_PODS: [&str; 8] =
        ["pod", "deployment", "daemonset", "daemon_set", "stateful_set", "replication_controller", "job", "cron_job"];
    if written != ["pods"] {
        return written;
    }
    WITH_PODS.iter().flat_map(|kind| [format!("kubernetes_{kind}"), format!("kubernetes_{kind}_v1")]).collect()
}

fn one_of(values: &[String]) -> String {
    match values {
        [one] => one.clone(),
        [first @ .., last] => {
            let shown: Vec<_> = first.iter().take(3).map(String::as_str).collect();
            format!("{} or {last}", shown.join(", "))
        }
        [] => String::new(),
    }
}

/// An attribute's path for people: of several ways to write it, the last and newest.
fn plain(attribute: &str) -> String {
    let last = attribute.rsplit('|').next().unwrap_or(attribute).trim();
    last.trim_start_matches("pod:").replace('/', ".")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next();
    // An abbreviation stays as it is.
    if chars.clone().next().is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    first.map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
