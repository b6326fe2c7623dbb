//! The facts of a deployment, in sentences of our own; what its sender wrote freely stays apart from them.
//!
//! Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::{Cause, Deployment, Provenance, Reached, Said, Severity};
use serde::Serialize;
use time::OffsetDateTime;

use super::{QUOTE_CHARS_MAX, SENTENCE_CHARS_MAX, findings, rank_share, score};
use crate::text::{clause, count, list, one_line};

/// Most names of one list.
pub(crate) const NAMES_MAX: usize = 8;

/// What a fact is about; its place here is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// `D1`: which deployment it is, and who wrote it.
    Deployment = 1,
    /// `D2`: how much it changes.
    Size,
    /// `D3`: when it was begun and when it would be deployed.
    When,
    /// `D4`: from which branch to which, and where to.
    Where,
    /// `D5`: the risk the model gives it.
    Risk,
    /// `D6`: what static analysis looked at, and found.
    Scan,
    /// `D7`: what the model did not know.
    Unknown,
    /// `D8`: what led to a verdict, when it was not simply that all was in.
    Cause,
}

impl About {
    /// The id of the fact: `D1`.
    #[must_use]
    pub fn id(self) -> String {
        format!("D{}", self as u8)
    }
}

/// One fact of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// What it is about.
    pub about: About,
    /// The fact, in our words.
    pub fact: String,
    /// What the sender wrote, by field. Nothing of it is trusted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quoted: BTreeMap<&'static str, String>,
}

/// Every fact there is about `reached`.
pub(super) fn details(reached: &Reached) -> Vec<Detail> {
    let mut details = Vec::new();
    match &reached.deployment {
        None => details.push(detail(About::Deployment, "nothing is known of the deployment but its id".to_owned())),
        Some(deployment) => of_deployment(deployment, &mut details),
    }
    if let Some((score, model)) = score(reached) {
        let provenance = clause(&one_line(&score.provenance, SENTENCE_CHARS_MAX)).to_owned();
        let provenance = if provenance.is_empty() { String::new() } else { format!("; {provenance}") };
        let model = one_line(model, QUOTE_CHARS_MAX);
        let alike = score.grounds.map_or_else(String::new, |grounds| {
            let (low, high) = grounds.interval;
            let (failed, all) = (grounds.alike_failures, grounds.alike);
            match grounds.provenance {
                Provenance::SyntheticPrior => {
                    format!("; of {all} generated deployments with such a score {failed} were drawn as failures")
                }
                Provenance::Blended | Provenance::Learned => {
                    format!(
                        "; of {all} other deployments with such a risk {failed} failed, so {low} to {high} of them do"
                    )
                }
            }
        });
        let is_scenario = score.grounds.is_some_and(|grounds| grounds.provenance == Provenance::SyntheticPrior);
        let gives = if is_scenario { "is a scenario and gives a score" } else { "gives a probability of failure" };
        let rank = score.rank.map_or_else(String::new, |rank| {
            format!("; it is riskier than {} of the repository's latest {} deployments", rank_share(rank), rank.among)
        });
        let fact = format!("the model {model} {gives} of {}{provenance}{alike}{rank}", score.risk);
        details.push(detail(About::Risk, fact));
        if !score.unknown.is_empty() {
            let names: Vec<_> = score.unknown.iter().map(|name| one_line(name, QUOTE_CHARS_MAX)).collect();
            details.push(detail(About::Unknown, format!("the model did not know {}", shortened(&names))));
        }
    }
    if let Some(fact) = scan(reached) {
        details.push(detail(About::Scan, fact));
    }
    if let Some(fact) = cause(reached) {
        details.push(detail(About::Cause, fact));
    }
    details
}

fn detail(about: About, fact: String) -> Detail {
    Detail { about, fact, quoted: BTreeMap::new() }
}

fn of_deployment(deployment: &Deployment, details: &mut Vec<Detail>) {
    let quote = |fields: &[(&'static str, &str)]| -> BTreeMap<&'static str, String> {
        let quoted = fields.iter().map(|(field, text)| (*field, one_line(text, QUOTE_CHARS_MAX).into_owned()));
        quoted.filter(|(_, text)| !text.is_empty()).collect()
    };
    let Deployment { repository, pull_request, revision, .. } = deployment;
    let fact = format!("pull request {pull_request} of {repository} at revision {}", revision.short());
    let quoted = quote(&[("title", &deployment.title), ("author", &deployment.author)]);
    details.push(Detail { about: About::Deployment, fact, quoted });
    details.push(detail(About::Size, size(deployment)));
    if let Some(fact) = when(deployment) {
        details.push(detail(About::When, fact));
    }
    let labels = deployment.labels.join(", ");
    let quoted = quote(&[
        ("branch", &deployment.branch),
        ("base_branch", &deployment.base_branch),
        ("environment", &deployment.environment),
        ("labels", &labels),
    ]);
    if !quoted.is_empty() {
        details.push(Detail { about: About::Where, fact: "where it comes from and goes to".to_owned(), quoted });
    }
}

fn size(deployment: &Deployment) -> String {
    let change = &deployment.change;
    let mut fact = format!(
        "it changes {}, with {} added and {} deleted",
        count(change.files.len() as u64, "file", "files"),
        count(change.lines_added(), "line", "lines"),
        change.lines_deleted(),
    );
    if let Some(commits) = deployment.commits {
        fact.push_str(&format!(", in {}", count(u64::from(commits), "commit", "commits")));
    }
    match change.files.iter().filter(|file| file.binary).count() as u64 {
        0 => {}
        binary => fact.push_str(&format!("; {}", count(binary, "file is binary", "files are binary"))),
    }
    fact
}

fn when(deployment: &Deployment) -> Option<String> {
    let day = |at: OffsetDateTime| {
        let (date, offset) = (at.date(), at.offset());
        let zone = if offset.is_utc() { "UTC".to_owned() } else { format!("UTC{offset}") };
        format!("{} {date} at {:02}:{:02} {zone}", at.weekday(), at.hour(), at.minute())
    };
    match (deployment.opened_at, deployment.deploy_at) {
        (None, None) => None,
        (Some(opened), None) => Some(format!("it was begun on {}", day(opened))),
        (None, Some(deploy)) => Some(format!("it would be deployed on {}", day(deploy))),
        (Some(opened), Some(deploy)) => {
            Some(format!("it was begun on {} and would be deployed on {}", day(opened), day(deploy)))
        }
    }
}

fn scan(reached: &Reached) -> Option<String> {
    let analysis = reached.signals.iter().find_map(|signal| match &signal.said {
        Said::Findings(analysis) => Some(analysis),
        _ => None,
    })?;
    let looked = format!(
        "static analysis looked at {} and {}",
        count(u64::from(analysis.files_scanned), "file", "files"),
        count(analysis.lines_scanned, "added line", "added lines"),
    );
    let by_severity: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .map(|severity| (severity, findings(reached).filter(|finding| finding.severity == severity).count()))
        .filter(|(_, number)| *number > 0)
        .map(|(severity, number)| format!("{number} {severity}"))
        .collect();
    let found = match analysis.findings.len() as u64 {
        0 => "found nothing".to_owned(),
        1 => format!("found 1 problem ({})", analysis.findings[0].severity),
        number => format!("found {number} problems ({})", by_severity.join(", ")),
    };
    let dropped = match analysis.findings_dropped {
        0 => String::new(),
        dropped => format!(", and left out {dropped} more"),
    };
    Some(format!("{looked} and {found}{dropped}"))
}

fn cause(reached: &Reached) -> Option<String> {
    let earlier = if reached.number > 1 { " and replaces the one before it" } else { "" };
    let number = reached.number;
    match reached.cause {
        Cause::Complete if reached.number <= 1 => None,
        Cause::Complete => Some(format!("this is verdict number {number}{earlier}")),
        Cause::Deadline => {
            Some(format!("this is verdict number {number}{earlier}: the deadline passed with something missing"))
        }
        Cause::Late => Some(format!("this is verdict number {number}{earlier}: something came in late")),
        Cause::Review => Some(format!("this is verdict number {number}{earlier}: a person reviewed it")),
    }
}

/// The names, the first few of them when there are many.
fn shortened(names: &[Cow<'_, str>]) -> String {
    if names.len() <= NAMES_MAX {
        return list(names);
    }
    format!("{} and {} more", names[..NAMES_MAX].join(", "), names.len() - NAMES_MAX)
}
