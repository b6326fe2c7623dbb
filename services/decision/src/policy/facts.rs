//! What a condition can speak of: the variables of a policy, and where each has its value from.

use std::cell::Cell;
use std::collections::HashSet;

use domain::{Deployment, FileChange, FileChangeKind, Finding, Missing, RiskScore, Severity, Signal};
use jiff::ZonedDateTime;

/// How much one judgement may cost, in steps: a step is a part of a condition looked at once, or 64 bytes of text searched.
/// Counted and not timed, so that the same policy and the same signals give the same judgement on any machine.
pub(crate) const STEPS_MAX: u64 = 5_000_000;

/// Everything that a policy judges, put together once for each judgement. What is thought away for a counterfactual is left out here.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) deployment: Option<&'a Deployment>,
    pub(crate) files: Vec<&'a FileChange>,
    /// The findings that count; `None` when nobody knows.
    pub(crate) findings: Option<Vec<&'a Finding>>,
    /// How many further findings the signal left out.
    pub(crate) dropped: Option<u32>,
    pub(crate) score: Option<(&'a Signal, &'a RiskScore)>,
    /// The probability of failure, 0 to 1.
    pub(crate) probability: Option<f64>,
    pub(crate) missing: Vec<Missing>,
    /// Whether the deployment takes back an earlier one and does nothing else.
    pub(crate) pure_revert: bool,
    /// When it would be deployed, in the policy's time zone.
    pub(crate) at: ZonedDateTime,
    /// The day of it, as in `2026-12-24`.
    pub(crate) date: String,
    pub(crate) is_holiday: bool,
    /// Steps that are left.
    pub(crate) steps: &'a Cell<u64>,
}

impl<'a> Facts<'a> {
    /// Takes findings out of those that count.
    pub(crate) fn leave_out(&mut self, out: &[&'a Finding]) {
        if let Some(findings) = &mut self.findings {
            let out: HashSet<*const Finding> = out.iter().map(|gone| std::ptr::from_ref(*gone)).collect();
            findings.retain(|finding| !out.contains(&std::ptr::from_ref(*finding)));
        }
    }
}

/// What one evaluation is about: the facts and, where the condition asks of each, one finding, file or label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) finding: Option<&'a Finding>,
    pub(crate) file: Option<&'a FileChange>,
    pub(crate) label: Option<&'a str>,
}

impl<'a> Scope<'a> {
    pub(crate) const fn of(facts: &'a Facts<'a>) -> Self {
        Self { facts, finding: None, file: None, label: None }
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Truth,
    Number,
    /// A number from 0 to 1 that people read as per cent.
    Share,
    /// A severity or a confidence.
    Level,
    Text,
    Texts,
}

impl Type {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Share => "a share from 0 to 1",
            Self::Level => "a level from INFO to CRITICAL",
            Self::Text => "a text",
            Self::Texts => "a list of texts",
        }
    }

    /// Whether values of the two can be compared.
    pub(crate) fn fits(self, other: Self) -> bool {
        let number = |one| matches!(one, Self::Number | Self::Share);
        self == other || number(self) && number(other)
    }
}

/// A value, or the name of what is not known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Truth(bool),
    Number(f64),
    Share(f64),
    Level(Severity),
    Text(&'a str),
    Texts(Vec<&'a str>),
    Unknown(&'static str),
}

impl Value<'_> {
    /// As people read it.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Truth(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Share(share) => percent(*share),
            Self::Level(level) => level.name().to_owned(),
            Self::Text(text) => (*text).to_owned(),
            Self::Texts(texts) => texts.join(", "),
            Self::Unknown(_) => "unknown".to_owned(),
        }
    }
}

/// A share as people read it.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// One variable of a condition.
pub(crate) struct Variable {
    /// `risk.probability`.
    pub(crate) name: &'static str,
    pub(crate) of: Type,
    pub(crate) get: for<'a> fn(&Scope<'a>) -> Value<'a>,
    /// What it is, for the manual.
    pub(crate) what: &'static str,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Variable {
    /// The part before the dot: `risk`.
    pub(crate) fn root(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }
}

/// The variable of that name.
pub(crate) fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

const fn var(name: &'static str, of: Type, get: for<'a> fn(&Scope<'a>) -> Value<'a>, what: &'static str) -> Variable {
    Variable { name, of, get, what }
}

macro_rules! deployment {
    (|$d:ident| $value:expr) => {
        |scope| match scope.facts.deployment {
            Some($d) => $value,
            None => Value::Unknown("deployment"),
        }
    };
}

macro_rules! finding {
    (|$f:ident| $value:expr) => {
        |scope| match scope.finding {
            Some($f) => $value,
            None => Value::Unknown("finding"),
        }
    };
}

macro_rules! file {
    (|$f:ident| $value:expr) => {
        |scope| match scope.file {
            Some($f) => $value,
            None => Value::Unknown("file"),
        }
    };
}

/// Every variable, in the order of the manual.
pub(crate) static VARIABLES: &[Variable] = &[
    var(
        "deployment.repository",
        Type::Text,
        deployment!(|d| Value::Text(d.repository.as_str())),
        "the repository's path",
    ),
    var("deployment.pull_request", Type::Number, deployment!(|d| number(d.pull_request.get())), "its number"),
    var("deployment.revision", Type::Text, deployment!(|d| Value::Text(d.revision.as_str())), "the head commit"),
    var("deployment.title", Type::Text, deployment!(|d| Value::Text(&d.title)), "the pull request's title"),
    var("deployment.author", Type::Text, deployment!(|d| told("deployment.author", &d.author)), "the author"),
    var(
        "deployment.branch",
        Type::Text,
        deployment!(|d| told("deployment.branch", &d.branch)),
        "the branch to be merged",
    ),
    var(
        "deployment.base_branch",
        Type::Text,
        deployment!(|d| told("deployment.base_branch", &d.base_branch)),
        "the branch that it goes into",
    ),
    var(
        "deployment.environment",
        Type::Text,
        deployment!(|d| told("deployment.environment", &d.environment)),
        "where it would be deployed to",
    ),
    var(
        "deployment.labels",
        Type::Texts,
        deployment!(|d| Value::Texts(d.labels.iter().map(String::as_str).collect())),
        "the pull request's labels",
    ),
    var(
        "deployment.commits",
        Type::Number,
        deployment!(|d| d.commits.map_or(Value::Unknown("deployment.commits"), number)),
        "the number of commits",
    ),
    var("deployment.files", Type::Number, |scope| count(scope, |_| 1), "the number of files that it changes"),
    var(
        "deployment.lines_added",
        Type::Number,
        |scope| count(scope, |file| file.lines_added),
        "lines added, over all files",
    ),
    var(
        "deployment.lines_deleted",
        Type::Number,
        |scope| count(scope, |file| file.lines_deleted),
        "lines deleted, over all files",
    ),
    var(
        "deployment.paths",
        Type::Texts,
        |scope| match scope.facts.deployment {
            Some(_) => Value::Texts(scope.facts.files.iter().map(|file| file.path.as_str()).collect()),
            None => Value::Unknown("deployment"),
        },
        "the paths of the files that it changes",
    ),
    var(
        "deployment.pure_revert",
        Type::Truth,
        |scope| match scope.facts.deployment {
            Some(_) => Value::Truth(scope.facts.pure_revert),
            None => Value::Unknown("deployment"),
        },
        "whether it takes back an earlier deployment of the repository, line by line, and does nothing else",
    ),
    var("risk.probability", Type::Share, probability, "the probability of failure, 0 to 1"),
    var(
        "risk.lift",
        Type::Number,
        |scope| known_score(scope, "risk.lift", |score| score.lift.map(Value::Number)),
        "how many times the repository's own rate of failures the risk is",
    ),
    var(
        "risk.percentile",
        Type::Share,
        |scope| known_score(scope, "risk.percentile", |score| score.rank.map(|rank| Value::Share(rank.percentile))),
        "the share of the repository's latest deployments that are less risky, 0 to 1",
    ),
    var(
        "risk.model",
        Type::Text,
        |scope| match scope.facts.score {
            Some((signal, _)) => Value::Text(&signal.basis),
            None => Value::Unknown("risk.model"),
        },
        "the model's version and digest",
    ),
    var("finding.rule", Type::Text, finding!(|f| Value::Text(&f.rule_id)), "the static rule's id"),
    var(
        "finding.category",
        Type::Text,
        finding!(|f| Value::Text(f.category.name())),
        "secret, migration, infrastructure or code",
    ),
    var("finding.severity", Type::Level, finding!(|f| Value::Level(f.severity)), "INFO, LOW, MEDIUM, HIGH or CRITICAL"),
    var(
        "finding.confidence",
        Type::Level,
        finding!(
            |f| Severity::from_name(f.confidence.name()).map_or(Value::Unknown("finding.confidence"), Value::Level)
        ),
        "LOW, MEDIUM or HIGH",
    ),
    var("finding.path", Type::Text, finding!(|f| Value::Text(&f.path)), "the file"),
    var("finding.line", Type::Number, finding!(|f| number(f.line)), "the line, from 1; 0 for the whole file"),
    var(
        "finding.hazard",
        Type::Text,
        finding!(|f| Value::Text(&f.hazard)),
        "what would go wrong, such as lock.index_create",
    ),
    var(
        "finding.cwe",
        Type::Number,
        finding!(|f| number(f.cwe)),
        "the Common Weakness Enumeration id; 0 when none fits",
    ),
    var("file.path", Type::Text, file!(|f| Value::Text(&f.path)), "the path after the change"),
    var("file.kind", Type::Text, file!(|f| Value::Text(kind(f.kind))), "added, modified, deleted, renamed or copied"),
    var("file.lines_added", Type::Number, file!(|f| number(f.lines_added)), "lines added"),
    var("file.lines_deleted", Type::Number, file!(|f| number(f.lines_deleted)), "lines deleted"),
    var("file.binary", Type::Truth, file!(|f| Value::Truth(f.binary)), "whether git shows no text for it"),
    var("time.date", Type::Text, |scope| Value::Text(&scope.facts.date), "the day, as in \"2026-12-24\""),
    var("time.year", Type::Number, |scope| number(scope.facts.at.year()), "the year"),
    var("time.month", Type::Number, |scope| number(scope.facts.at.month()), "the month, 1 to 12"),
    var("time.day", Type::Number, |scope| number(scope.facts.at.day()), "the day of the month, 1 to 31"),
    var("time.hour", Type::Number, |scope| number(scope.facts.at.hour()), "the hour, 0 to 23"),
    var("time.minute", Type::Number, |scope| number(scope.facts.at.minute()), "the minute, 0 to 59"),
    var("time.weekday", Type::Text, |scope| Value::Text(weekday(&scope.facts.at)), "monday to sunday"),
    var(
        "time.holiday",
        Type::Truth,
        |scope| Value::Truth(scope.facts.is_holiday),
        "whether the day is one of the policy's holidays",
    ),
    var(
        "missing",
        Type::Texts,
        |scope| Value::Texts(scope.facts.missing.iter().map(|missing| missing.input.name()).collect()),
        "what is not there: acceptance, static-analysis, ml-scoring",
    ),
];

fn number<'a>(number: impl Into<f64>) -> Value<'a> {
    Value::Number(number.into())
}

/// A text that is empty when the sender did not say.
fn told<'a>(name: &'static str, text: &'a str) -> Value<'a> {
    if text.is_empty() { Value::Unknown(name) } else { Value::Text(text) }
}

fn count<'a>(scope: &Scope<'a>, of: fn(&FileChange) -> u32) -> Value<'a> {
    match scope.facts.deployment {
        Some(_) => Value::Number(scope.facts.files.iter().map(|file| f64::from(of(file))).sum()),
        None => Value::Unknown("deployment"),
    }
}

fn probability<'a>(scope: &Scope<'a>) -> Value<'a> {
    scope.facts.probability.map_or(Value::Unknown("risk.probability"), Value::Share)
}

fn known_score<'a>(scope: &Scope<'a>, name: &'static str, of: fn(&RiskScore) -> Option<Value<'static>>) -> Value<'a> {
    scope.facts.score.and_then(|(_, score)| of(score)).unwrap_or(Value::Unknown(name))
}

const fn kind(kind: FileChangeKind) -> &'static str {
    match kind {
        FileChangeKind::Added => "added",
        FileChangeKind::Modified => "modified",
        FileChangeKind::Deleted => "deleted",
        FileChangeKind::Renamed => "renamed",
        FileChangeKind::Copied => "copied",
    }
}

fn weekday(at: &ZonedDateTime) -> &'static str {
    use jiff::civil::Weekday;
    match at.weekday() {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}
