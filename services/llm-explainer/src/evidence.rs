//! The evidence: everything that may be said about a verdict, in numbered pieces.
//!
//! The numbers are places in the verdict's own lists, so that a reader of the verdict can look each one up: `S2` is the
//! second finding, `M1` the first contribution, `P1` the first reason. `D` numbers have fixed meanings ([`About`]).
//! What does not fit is left out by importance, never renumbered, and counted.
//!
//! Pure. Knows neither the model nor the words it will be asked for in.

mod facts;

pub(crate) use facts::NAMES_MAX;
pub use facts::{About, Detail};

use std::borrow::Cow;

use domain::{Contribution, Finding, Judgement, Rank, Reached, Reason, RiskScore, Said, Verdict};
use serde::Serialize;

use crate::text::{clause, count, list, one_line};

/// Most characters of a rule's sentence.
const SENTENCE_CHARS_MAX: usize = 400;
/// Most characters of a path.
pub(crate) const PATH_CHARS_MAX: usize = 200;
/// Most characters of an excerpt or of what a sender wrote.
const QUOTE_CHARS_MAX: usize = 160;
/// Most findings of which one reason says that it rests on them.
const RESTS_ON_MAX: usize = 10;
/// Pieces of each kind that come before all others, so that no kind crowds out the rest.
const REASONS_FIRST: usize = 8;
const FINDINGS_FIRST: usize = 12;
const CONTRIBUTIONS_FIRST: usize = 5;

/// How much evidence there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pieces.
    pub items_max: usize,
    /// Most characters of all their lines.
    pub chars_max: usize,
}

/// The evidence of one verdict, the most important first.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence<'a> {
    /// The pieces.
    pub items: Vec<Item<'a>>,
    /// How many of each kind were left out.
    pub cut: Cut,
}

/// How many pieces were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Findings.
    pub findings: u64,
    /// Contributions to the risk.
    pub contributions: u64,
    /// Reasons.
    pub reasons: u64,
    /// Facts of the deployment.
    pub details: u64,
}

impl Cut {
    /// What was left out, in words: "3 findings and 1 reason"; `None` when nothing was.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.findings, "finding", "findings"),
            (self.reasons, "reason", "reasons"),
            (self.contributions, "contribution to the risk", "contributions to the risk"),
            (self.details, "fact", "facts"),
        ]
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| count(number, one, many))
        .collect();
        (!parts.is_empty()).then(|| list(&parts))
    }
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    /// Its id, such as `S1`.
    pub id: String,
    /// Whether the verdict rests on it.
    pub decides: bool,
    /// What it is.
    pub fact: Fact<'a>,
    /// It as data, on one line of JSON: what a model reads.
    pub data: String,
}

/// What a piece of evidence is.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// `S`: a finding of static analysis.
    Finding(&'a Finding),
    /// `M`: what one feature adds to the risk.
    Contribution(&'a Contribution),
    /// `P`: what one rule of the policy says.
    Reason(&'a Reason),
    /// `D`: a fact of the deployment.
    Detail(Detail),
}

impl Fact<'_> {
    /// It as data.
    fn data(&self, reached: &Reached) -> String {
        match self {
            Self::Finding(finding) => data(&finding_line(finding)),
            Self::Contribution(contribution) => data(&contribution_line(contribution)),
            Self::Reason(reason) => data(&reason_line(reason, reached)),
            Self::Detail(detail) => data(detail),
        }
    }
}

impl<'a> Item<'a> {
    /// The texts that our own rules and services wrote, from which names and places may be taken. What a sender wrote
    /// freely (title, author, labels, excerpts) is not among them: it could name anything.
    #[must_use]
    pub fn names(&self) -> Vec<Cow<'_, str>> {
        let borrowed = |texts: &[&'a str]| texts.iter().map(|text| Cow::Borrowed(*text)).collect();
        match &self.fact {
            Fact::Finding(f) => {
                let mut names: Vec<Cow<'_, str>> = borrowed(&[&f.rule_id, &f.title, &f.message, &f.remediation]);
                names.push(Cow::Owned(place(f)));
                names
            }
            Fact::Contribution(c) => borrowed(&[&c.feature, &c.words]),
            Fact::Reason(r) => borrowed(&[&r.rule, &r.message, &r.measured, &r.threshold]),
            Fact::Detail(detail) => vec![Cow::Borrowed(detail.fact.as_str())],
        }
    }
}

impl<'a> Evidence<'a> {
    /// The evidence of `reached`.
    #[must_use]
    pub fn of(reached: &'a Reached, limits: Limits) -> Self {
        let mut candidates = candidates(reached);
        candidates.sort_by_key(|(rank, _)| *rank);
        let mut evidence = Self { items: Vec::new(), cut: Cut::default() };
        let mut chars = 0;
        for (_, mut item) in candidates {
            // Made only of what may be taken in.
            let more = evidence.items.len() < limits.items_max;
            item.data = if more { item.fact.data(reached) } else { String::new() };
            let needed = item.data.chars().count() + item.id.len() + 4;
            if more && chars + needed <= limits.chars_max {
                chars += needed;
                evidence.items.push(item);
            } else {
                match item.fact {
                    Fact::Finding(_) => evidence.cut.findings += 1,
                    Fact::Contribution(_) => evidence.cut.contributions += 1,
                    Fact::Reason(_) => evidence.cut.reasons += 1,
                    Fact::Detail(_) => evidence.cut.details += 1,
                }
            }
        }
        evidence
    }

    /// Whether there is a piece with that id.
    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        self.items.iter().any(|item| item.id == id)
    }

    /// The fact about that, if it is there.
    #[must_use]
    pub fn detail(&self, about: About) -> Option<&Detail> {
        self.items.iter().find_map(|item| match &item.fact {
            Fact::Detail(detail) if detail.about == about => Some(detail),
            _ => None,
        })
    }
}

/// The file and line of a finding: `db/1.sql:3`, or the file alone.
#[must_use]
pub fn place(finding: &Finding) -> String {
    let path = one_line(&finding.path, PATH_CHARS_MAX);
    if finding.line == 0 { path.into_owned() } else { format!("{path}:{}", finding.line) }
}

/// What log-odds do to the odds: `×1.9`, `×0.4`.
#[must_use]
pub fn factor(log_odds: f64) -> String {
    let factor = log_odds.exp();
    match factor {
        _ if factor.is_nan() => "×1.0".to_owned(),
        _ if factor > 1_000.0 => "more than ×1000".to_owned(),
        _ if factor < 0.01 => "less than ×0.01".to_owned(),
        _ if factor >= 9.95 => format!("×{factor:.0}"),
        _ if factor >= 0.095 => format!("×{factor:.1}"),
        _ => format!("×{factor:.2}"),
    }
}

/// The share of the others that are less risky: `96 %`.
pub(crate) fn rank_share(rank: Rank) -> String {
    format!("{:.0} %", rank.percentile * 100.0)
}

/// What static analysis found, over all its signals.
pub(crate) fn findings(reached: &Reached) -> impl Iterator<Item = &Finding> {
    reached.signals.iter().flat_map(|signal| match &signal.said {
        Said::Findings(analysis) => analysis.findings.as_slice(),
        _ => &[],
    })
}

/// The findings that the verdict rests on.
pub(crate) fn decisive(reached: &Reached) -> impl Iterator<Item = &Finding> {
    let Judgement { verdict, reasons, .. } = &reached.judgement;
    findings(reached)
        .filter(|finding| reasons.iter().any(|reason| reason.effect == *verdict && rests_on(reason, finding)))
}

/// The model's score, with the model's version.
pub(crate) fn score(reached: &Reached) -> Option<(&RiskScore, &str)> {
    reached.signals.iter().find_map(|signal| match &signal.said {
        Said::Risk(score) => Some((score, signal.basis.as_str())),
        _ => None,
    })
}

/// Every piece there is, without its data, and with its rank: the lower, the more important.
fn candidates(reached: &Reached) -> Vec<(u8, Item<'_>)> {
    let Judgement { verdict, reasons, .. } = &reached.judgement;
    let deciding: Vec<&Reason> = reasons.iter().filter(|reason| reason.effect == *verdict).collect();
    let risk_decides = deciding.iter().any(|reason| rests_on_risk(reason));
    let mut candidates = Vec::new();
    for (index, reason) in reasons.iter().enumerate() {
        let decides = reason.effect == *verdict;
        let rank = if decides && index < REASONS_FIRST { 0 } else { 4 };
        candidates.push((rank, item('P', index, decides, Fact::Reason(reason))));
    }
    let mut first = FINDINGS_FIRST;
    for (index, finding) in findings(reached).enumerate() {
        let decides = deciding.iter().any(|reason| rests_on(reason, finding));
        let rank = match decides {
            true if first > 0 => 2,
            true => 5,
            false => 7,
        };
        first = first.saturating_sub(usize::from(decides));
        candidates.push((rank, item('S', index, decides, Fact::Finding(finding))));
    }
    let contributions = score(reached).map(|(score, _)| score.contributions.as_slice()).unwrap_or_default();
    for (index, contribution) in contributions.iter().enumerate() {
        let decides = risk_decides && contribution.log_odds > 0.0 && *verdict != Verdict::Allow;
        let rank = if index < CONTRIBUTIONS_FIRST { 3 } else { 8 };
        candidates.push((rank, item('M', index, decides, Fact::Contribution(contribution))));
    }
    for detail in facts::details(reached) {
        let rank = if matches!(detail.about, About::Deployment | About::Risk) { 1 } else { 6 };
        let id = detail.about.id();
        let decides = match detail.about {
            About::Risk => risk_decides || *verdict == Verdict::Allow,
            About::Scan => *verdict == Verdict::Allow,
            _ => false,
        };
        candidates.push((rank, Item { id, decides, fact: Fact::Detail(detail), data: String::new() }));
    }
    candidates
}

fn item(letter: char, index: usize, decides: bool, fact: Fact<'_>) -> Item<'_> {
    Item { id: format!("{letter}{}", index + 1), decides, fact, data: String::new() }
}

fn rests_on(reason: &Reason, finding: &Finding) -> bool {
    reason.evidence.iter().any(|evidence| match evidence {
        domain::Evidence::Finding { fingerprint, path, line, .. } => {
            *fingerprint == finding.fingerprint && *path == finding.path && *line == finding.line
        }
        _ => false,
    })
}

/// Whether a reason rests on the model's risk.
pub(crate) fn rests_on_risk(reason: &Reason) -> bool {
    reason.evidence.iter().any(|evidence| matches!(evidence, domain::Evidence::Risk { .. }))
}

#[derive(Serialize)]
struct ReasonLine<'a> {
    policy_rule: Cow<'a, str>,
    asks_for: &'static str,
    reason: Cow<'a, str>,
    measured: Cow<'a, str>,
    threshold: Cow<'a, str>,
    rests_on: Vec<String>,
}

fn reason_line<'a>(reason: &'a Reason, reached: &Reached) -> ReasonLine<'a> {
    let mut ids: Vec<String> = findings(reached)
        .enumerate()
        .filter(|(_, finding)| rests_on(reason, finding))
        .map(|(index, _)| format!("S{}", index + 1))
        .take(RESTS_ON_MAX)
        .collect();
    if rests_on_risk(reason) {
        ids.push(About::Risk.id());
    }
    ReasonLine {
        policy_rule: one_line(&reason.rule, QUOTE_CHARS_MAX),
        asks_for: reason.effect.name(),
        reason: one_line(&reason.message, SENTENCE_CHARS_MAX),
        measured: one_line(&reason.measured, QUOTE_CHARS_MAX),
        threshold: one_line(&reason.threshold, QUOTE_CHARS_MAX),
        rests_on: ids,
    }
}

#[derive(Serialize)]
struct FindingLine<'a> {
    rule: Cow<'a, str>,
    severity: &'static str,
    confidence: &'static str,
    category: &'static str,
    place: String,
    what: String,
    remediation: Cow<'a, str>,
    excerpt: Cow<'a, str>,
}

fn finding_line(finding: &Finding) -> FindingLine<'_> {
    FindingLine {
        rule: one_line(&finding.rule_id, QUOTE_CHARS_MAX),
        severity: finding.severity.name(),
        confidence: finding.confidence.name(),
        category: finding.category.name(),
        place: place(finding),
        what: message(finding),
        remediation: one_line(&finding.remediation, SENTENCE_CHARS_MAX),
        excerpt: one_line(&finding.excerpt, QUOTE_CHARS_MAX),
    }
}

/// What is wrong, on one line without a full stop; the rule's title when the finding has no message.
pub(crate) fn message(finding: &Finding) -> String {
    let message = if finding.message.trim().is_empty() { &finding.title } else { &finding.message };
    clause(&one_line(message, SENTENCE_CHARS_MAX)).to_owned()
}

/// How to mend it, on one line without a full stop; empty when the rule does not say.
pub(crate) fn remediation(finding: &Finding) -> String {
    clause(&one_line(&finding.remediation, SENTENCE_CHARS_MAX)).to_owned()
}

#[derive(Serialize)]
struct ContributionLine<'a> {
    feature: Cow<'a, str>,
    what: Cow<'a, str>,
    odds_of_failure: String,
}

fn contribution_line(contribution: &Contribution) -> ContributionLine<'_> {
    ContributionLine {
        feature: one_line(&contribution.feature, QUOTE_CHARS_MAX),
        what: one_line(&contribution.words, SENTENCE_CHARS_MAX),
        odds_of_failure: factor(contribution.log_odds),
    }
}

/// `line` as JSON in which nothing can be taken for the prompt's own marks: no angle bracket (which also opens a model's
/// control tokens), and no bracket before a capital letter (`[S1]`, `[INST]`).
fn data<T: Serialize>(line: &T) -> String {
    let json = serde_json::to_string(line).expect("plain text and numbers become JSON");
    if !json.contains(['<', '>', '[']) {
        return json;
    }
    let mut safe = String::with_capacity(json.len());
    let mut chars = json.chars().peekable();
    // Ids in `rests_on` are quoted (`["S1"]`), so that every bracket before a letter or a slash stands in a text.
    while let Some(c) = chars.next() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '[' if chars.peek().is_some_and(|next| next.is_ascii_uppercase() || *next == '/') => {
                safe.push_str("\\u005b");
            }
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
