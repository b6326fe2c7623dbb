//! The file that a policy is written in: TOML, read whole or refused with every mistake and its line.

use std::collections::BTreeMap;
use std::fmt;

use globset::{Glob, GlobMatcher};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::condition::{Condition, Each};
use super::facts::{Variable, variable};

/// Longest policy, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most rules and most waivers of one policy.
const ROWS_MAX: usize = 500;

/// What is wrong with a policy: every mistake, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

/// One mistake in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in one sentence.
    pub message: String,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { line, message }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}line {line}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// A policy as its file says it, checked.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) version: String,
    pub(crate) time_zone: TimeZone,
    pub(crate) holidays: Vec<Date>,
    pub(crate) four_eyes: bool,
    pub(crate) waiver_notice_days: i64,
    pub(crate) rules: Vec<Rule>,
    pub(crate) waivers: Vec<Waiver>,
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    pub(crate) overriding: Option<Overriding>,
    pub(crate) emergency: Option<Emergency>,
    unknown: Consequences,
    unknown_in: BTreeMap<String, Consequences>,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) when: Condition,
    pub(crate) effect: Effect,
    pub(crate) by: String,
    pub(crate) approvals: u32,
    pub(crate) message: Vec<Part>,
}

/// A piece of a rule's message.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    Variable(&'static Variable),
}

/// What a rule does when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Effect {
    Allow,
    Warn,
    Review,
    Block,
}

/// What follows when something is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Consequence {
    Pass,
    Note,
    Review,
    Block,
}

/// What follows when something is not there, by what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consequences {
    pub(crate) signal: Consequence,
    pub(crate) history: Consequence,
    pub(crate) binary: Consequence,
    pub(crate) left_out: Consequence,
}

/// A finding that somebody has answered for, until a day.
#[derive(Clone, Debug)]
pub(crate) struct Waiver {
    pub(crate) rule: Option<GlobMatcher>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) path: Option<GlobMatcher>,
    pub(crate) repository: Option<GlobMatcher>,
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) expires: Date,
}

/// Who may let pass what the policy blocks.
#[derive(Clone, Debug)]
pub(crate) struct Overriding {
    pub(crate) by: String,
    pub(crate) approvals: u32,
}

/// Who may let something out at once, to be looked at afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Emergency {
    pub(crate) by: String,
    pub(crate) review_within_hours: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<String>,
    time_zone: Option<Spanned<String>>,
    #[serde(default)]
    holidays: Vec<Spanned<Datetime>>,
    #[serde(default)]
    four_eyes: bool,
    waiver_notice_days: Option<u16>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<RuleTable>>,
    #[serde(default, rename = "waiver")]
    waivers: Vec<Spanned<WaiverTable>>,
    #[serde(rename = "override")]
    overriding: Option<Spanned<OverrideTable>>,
    emergency: Option<Spanned<EmergencyTable>>,
    #[serde(default)]
    unknown: UnknownTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    name: Spanned<String>,
    when: Spanned<String>,
    effect: Spanned<Effect>,
    by: Option<Spanned<String>>,
    approvals: Option<Spanned<u32>>,
    message: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaiverTable {
    rule: Option<Spanned<String>>,
    fingerprint: Option<String>,
    path: Option<Spanned<String>>,
    repository: Option<Spanned<String>>,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Spanned<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideTable {
    by: String,
    approvals: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmergencyTable {
    by: String,
    review_within_hours: u32,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UnknownTable {
    signal: Option<Spanned<Consequence>>,
    history: Option<Consequence>,
    binary: Option<Consequence>,
    left_out: Option<Consequence>,
    r#in: BTreeMap<String, ConsequenceTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConsequenceTable {
    signal: Option<Spanned<Consequence>>,
    history: Option<Consequence>,
    binary: Option<Consequence>,
    left_out: Option<Consequence>,
}

impl Default for Consequences {
    fn default() -> Self {
        Self {
            signal: Consequence::Review,
            history: Consequence::Pass,
            binary: Consequence::Pass,
            left_out: Consequence::Note,
        }
    }
}

impl Checked {
    /// Reads and checks `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistakes> {
        let whole = |message: String| Mistakes(vec![Mistake { line: 1, message }]);
        if text.len() > TEXT_BYTES_MAX {
            return Err(whole(format!("a policy has at most {TEXT_BYTES_MAX} bytes")));
        }
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            Mistakes(vec![Mistake { line, message: error.message().to_owned() }])
        })?;
        let mut check = Check { text, groups: &file.groups, mistakes: Vec::new() };
        let checked = check.file(&file);
        if check.mistakes.is_empty() {
            Ok(checked)
        } else {
            check.mistakes.sort_by_key(|mistake| mistake.line);
            Err(Mistakes(check.mistakes))
        }
    }

    /// What follows in `environment` when something is not there.
    pub(crate) fn unknown(&self, environment: &str) -> Consequences {
        self.unknown_in.get(environment).copied().unwrap_or(self.unknown)
    }

    /// Whether `person` is in the group `name`; everybody is in the group without a name.
    pub(crate) fn is_in(&self, name: &str, person: &str) -> bool {
        name.is_empty() || self.groups.get(name).is_some_and(|people| people.iter().any(|one| one == person))
    }
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1)
}

struct Check<'a> {
    text: &'a str,
    groups: &'a BTreeMap<String, Vec<String>>,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    fn wrong<T>(&mut self, at: &Spanned<T>, message: impl Into<String>) {
        self.mistakes.push(Mistake { line: line_of(self.text, at.span().start), message: message.into() });
    }

    fn file(&mut self, file: &File) -> Checked {
        if file.version.get_ref().trim().is_empty() {
            self.wrong(&file.version, "version must not be empty: every verdict carries it");
        }
        let zone_name = file.time_zone.as_ref().map_or("UTC", |zone| zone.get_ref().as_str());
        let time_zone = TimeZone::get(zone_name).unwrap_or_else(|_| {
            if let Some(zone) = &file.time_zone {
                self.wrong(zone, format!("{zone_name} is not a time zone; write one as in Europe/Zurich"));
            }
            TimeZone::UTC
        });
        for (rows, what) in [(file.rules.len(), "rules"), (file.waivers.len(), "waivers")] {
            if rows > ROWS_MAX {
                self.mistakes.push(Mistake { line: 1, message: format!("a policy has at most {ROWS_MAX} {what}") });
            }
        }
        let UnknownTable { signal, history, binary, left_out, r#in } = &file.unknown;
        let stated =
            ConsequenceTable { signal: signal.clone(), history: *history, binary: *binary, left_out: *left_out };
        let unknown = self.consequences(Consequences::default(), &stated);
        let unknown_in = r#in.iter().map(|(environment, own)| (environment.clone(), self.consequences(unknown, own)));
        let unknown_in = unknown_in.collect();
        Checked {
            version: file.version.get_ref().clone(),
            time_zone,
            holidays: file.holidays.iter().filter_map(|day| self.date(day, "a holiday")).collect(),
            four_eyes: file.four_eyes,
            waiver_notice_days: i64::from(file.waiver_notice_days.unwrap_or(14)),
            rules: self.rules(&file.rules),
            waivers: file.waivers.iter().filter_map(|waiver| self.waiver(waiver)).collect(),
            groups: file.groups.clone(),
            overriding: file.overriding.as_ref().map(|table| {
                let approvals = table.get_ref().approvals.unwrap_or(1);
                self.group(table, &table.get_ref().by, approvals);
                Overriding { by: table.get_ref().by.clone(), approvals }
            }),
            emergency: file.emergency.as_ref().map(|table| {
                self.group(table, &table.get_ref().by, 1);
                let review_within_hours = table.get_ref().review_within_hours;
                if !(1..=8_760).contains(&review_within_hours) {
                    self.wrong(table, "review_within_hours must be from 1 to 8760");
                }
                Emergency { by: table.get_ref().by.clone(), review_within_hours }
            }),
            unknown,
            unknown_in,
        }
    }

    fn rules(&mut self, tables: &[Spanned<RuleTable>]) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::with_capacity(tables.len());
        for table in tables {
            let name = &table.get_ref().name;
            if rules.iter().any(|rule| rule.name == *name.get_ref()) {
                self.wrong(name, format!("there are two rules named {}", name.get_ref()));
            }
            rules.extend(self.rule(table.get_ref()));
        }
        rules
    }

    fn rule(&mut self, table: &RuleTable) -> Option<Rule> {
        let name = table.name.get_ref();
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(is_word) {
            self.wrong(&table.name, format!("{name:?} must be a name of small letters, digits, dots and hyphens"));
        }
        if ["missing.", "unknown.", "waiver", "review.", "override", "emergency", "known.", "nothing."]
            .iter()
            .any(|own| name.starts_with(own))
        {
            self.wrong(
                &table.name,
                format!("{name} is a name that FailSafe keeps for its own reasons; choose another"),
            );
        }
        let effect = *table.effect.get_ref();
        if effect != Effect::Review {
            for at in table.by.iter().map(Spanned::span).chain(table.approvals.iter().map(Spanned::span)) {
                let line = line_of(self.text, at.start);
                let message = format!("{name}: by and approvals belong to the effect review");
                self.mistakes.push(Mistake { line, message });
            }
        }
        let by = table.by.as_ref().map(|by| by.get_ref().clone()).unwrap_or_default();
        let approvals = table.approvals.as_ref().map_or(1, |approvals| *approvals.get_ref());
        self.group(&table.name, &by, approvals);
        let when = match Condition::parse(table.when.get_ref()) {
            Ok(when) => when,
            Err(mistake) => {
                let place = format!("{name}: column {} of its condition: {}", mistake.column, mistake.message);
                self.wrong(&table.when, place);
                return None;
            }
        };
        if effect == Effect::Allow && when.each == Each::File {
            self.wrong(
                &table.effect,
                format!("{name}: one file cannot allow a whole deployment; write files.all(f, …)"),
            );
        }
        let message = self.message(name, table.message.as_ref());
        Some(Rule { name: name.clone(), when, effect, by, approvals, message })
    }

    fn message(&mut self, rule: &str, text: Option<&Spanned<String>>) -> Vec<Part> {
        let Some(text) = text else { return Vec::new() };
        let mut parts = Vec::new();
        let mut rest = text.get_ref().as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                self.wrong(text, format!("{rule}: a brace in its message is not closed"));
                return parts;
            };
            parts.push(Part::Text(before.to_owned()));
            match variable(name) {
                Some(variable) => parts.push(Part::Variable(variable)),
                None => self.wrong(text, format!("{rule}: its message speaks of {{{name}}}, which is not known")),
            }
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts
    }

    /// That the group exists and can give that many approvals.
    fn group<T>(&mut self, at: &Spanned<T>, name: &str, approvals: u32) {
        if !(1..=100).contains(&approvals) {
            self.wrong(at, format!("approvals must be from 1 to 100, not {approvals}"));
        } else if !name.is_empty() {
            match self.groups.get(name) {
                None => self.wrong(at, format!("there is no group {name} in [groups]")),
                Some(people) if people.len() < approvals as usize => {
                    let have = people.len();
                    self.wrong(
                        at,
                        format!("{approvals} approvals cannot come from the group {name}, which has {have} people"),
                    );
                }
                Some(_) => {}
            }
        }
    }

    fn waiver(&mut self, at: &Spanned<WaiverTable>) -> Option<Waiver> {
        let table = at.get_ref();
        if table.rule.is_none() && table.fingerprint.is_none() {
            self.wrong(at, "a waiver names a rule or a fingerprint");
        }
        for (name, text) in [("owner", &table.owner), ("reason", &table.reason)] {
            if text.get_ref().trim().is_empty() {
                self.wrong(text, format!("the {name} of a waiver must not be empty"));
            }
        }
        Some(Waiver {
            rule: self.glob(table.rule.as_ref()),
            fingerprint: table.fingerprint.clone(),
            path: self.glob(table.path.as_ref()),
            repository: self.glob(table.repository.as_ref()),
            owner: table.owner.get_ref().clone(),
            reason: table.reason.get_ref().clone(),
            expires: self.date(&table.expires, "the end of a waiver")?,
        })
    }

    fn glob(&mut self, text: Option<&Spanned<String>>) -> Option<GlobMatcher> {
        let text = text?;
        match Glob::new(text.get_ref()) {
            Ok(glob) => Some(glob.compile_matcher()),
            Err(error) => {
                self.wrong(text, format!("is not a glob: {error}"));
                None
            }
        }
    }

    fn date(&mut self, at: &Spanned<Datetime>, what: &str) -> Option<Date> {
        let date = match at.get_ref() {
            Datetime { date: Some(date), time: None, .. } => {
                let (year, month, day) = (i16::try_from(date.year), i8::try_from(date.month), i8::try_from(date.day));
                year.ok()
                    .zip(month.ok())
                    .zip(day.ok())
                    .and_then(|((year, month), day)| Date::new(year, month, day).ok())
            }
            _ => None,
        };
        if date.is_none() {
            self.wrong(at, format!("{what} is a day, as in 2026-12-24"));
        }
        date
    }

    fn consequences(&mut self, default: Consequences, own: &ConsequenceTable) -> Consequences {
        if let Some(signal) = &own.signal
            && *signal.get_ref() < Consequence::Review
        {
            self.wrong(signal, "a signal that is missing is never let pass: review or block");
        }
        Consequences {
            signal: own.signal.as_ref().map_or(default.signal, |signal| *signal.get_ref()),
            history: own.history.unwrap_or(default.history),
            binary: own.binary.unwrap_or(default.binary),
            left_out: own.left_out.unwrap_or(default.left_out),
        }
    }
}
