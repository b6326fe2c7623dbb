//! A deployment as people read it: what would change, the verdict with its reasons, the risk, the explanation.
//!
//! Pure: an answer of the gateway in, text out.

mod explanation;
mod listing;
mod risk;
mod stage;
mod verdict;

#[cfg(test)]
mod tests;

use proto::v1;
use time::OffsetDateTime;
use time::macros::format_description;

pub(crate) use listing::listing;
pub(crate) use stage::{Awaited, seconds_between, stage};
pub(crate) use verdict::{finding, findings};

use crate::client::Times;
use crate::terminal::{Look, Sheet, Style};

/// Everything that is known of one deployment. `times` are what a watcher measured; without them the stored ones are told.
pub(crate) fn deployment(known: &v1::GetDeploymentResponse, times: Option<Times>, style: Style) -> String {
    let times = times.unwrap_or_else(|| stored_times(known));
    let mut sheet = Sheet::new(style);
    subject(&mut sheet, known);
    verdict::print(&mut sheet, known, times.verdict);
    risk::print(&mut sheet, known);
    explanation::print(&mut sheet, known, times.explanation);
    records(&mut sheet, known);
    sheet.into_text()
}

/// How one deployment was explained, the latest first.
pub(crate) fn explanations(known: &v1::GetDeploymentResponse, style: Style) -> String {
    let mut sheet = Sheet::new(style);
    subject(&mut sheet, known);
    explanation::print_all(&mut sheet, known);
    sheet.into_text()
}

/// The verdict that counts, if there is one.
pub(crate) fn latest_verdict(known: &v1::GetDeploymentResponse) -> Option<v1::Verdict> {
    known.verdicts.first()?.judgement.as_ref().map(v1::Judgement::verdict)
}

/// What would be deployed, in two lines.
fn subject(sheet: &mut Sheet, known: &v1::GetDeploymentResponse) {
    let Some(deployment) = &known.deployment else {
        sheet.paragraph(0, Look::Bold, "a deployment whose acceptance is not stored");
        return;
    };
    let name = format!("{} #{}", deployment.repository, deployment.pull_request);
    sheet.item(0, (Look::Bold, &crate::terminal::safe(&name)), Look::Bold, &deployment.title);
    let mut facts = Vec::new();
    if !deployment.author.is_empty() {
        facts.push(format!("by {}", deployment.author));
    }
    if !deployment.submitted_by.is_empty() {
        facts.push(format!("submitted by {}", deployment.submitted_by));
    }
    if let Some(change) = &deployment.change {
        let files = change.files.len();
        let sum =
            |lines: fn(&v1::FileChange) -> u32| change.files.iter().map(|file| u64::from(lines(file))).sum::<u64>();
        let (added, deleted) = (sum(|file| file.lines_added), sum(|file| file.lines_deleted));
        facts.push(format!("{files} {}, +{added} −{deleted}", if files == 1 { "file" } else { "files" }));
    }
    if let Some(at) = deployment.deploy_at {
        let place =
            if deployment.environment.is_empty() { String::new() } else { format!("to {} ", deployment.environment) };
        facts.push(format!("{place}on {}", day_and_time(at.seconds)));
    } else if !deployment.environment.is_empty() {
        facts.push(format!("to {}", deployment.environment));
    }
    sheet.paragraph(2, Look::Plain, &facts.join(" · "));
    sheet.paragraph(
        2,
        Look::Dim,
        &format!("deployment {}, revision {}", deployment.deployment_id, short(&deployment.revision)),
    );
    if !known.superseded_by.is_empty() {
        sheet.paragraph(2, Look::Doubtful, &format!("superseded by the newer deployment {}", known.superseded_by));
    }
}

/// What people and production said.
fn records(sheet: &mut Sheet, known: &v1::GetDeploymentResponse) {
    for review in &known.reviews {
        sheet.space();
        sheet.paragraph(2, Look::Plain, &stage::review(review));
    }
    if let Some(words) = against(known.against_verdict()) {
        sheet.space();
        sheet.paragraph(2, Look::Doubtful, words);
    }
    for outcome in &known.outcomes {
        sheet.space();
        sheet.paragraph(2, Look::Plain, &stage::outcome(outcome));
    }
}

fn stored_times(known: &v1::GetDeploymentResponse) -> Times {
    let accepted = known.deployment.as_ref().and_then(|deployment| deployment.accepted_at);
    let nanos = |seconds: i64, nanos: i32| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let since = |at: Option<(i64, i32)>| {
        let (at, accepted) = (at?, accepted?);
        let elapsed = nanos(at.0, at.1) - nanos(accepted.seconds, accepted.nanos);
        u64::try_from(elapsed).ok().map(std::time::Duration::from_nanos)
    };
    let verdict = known.verdicts.first().and_then(|verdict| verdict.reached_at);
    let explanation = known.explanations.first().and_then(|explanation| explanation.written_at);
    Times {
        verdict: since(verdict.map(|at| (at.seconds, at.nanos))),
        explanation: since(explanation.map(|at| (at.seconds, at.nanos))),
    }
}

const fn verdict_look(verdict: v1::Verdict) -> (Look, &'static str, &'static str) {
    match verdict {
        v1::Verdict::Allow => (Look::Good, "ALLOW", "✓"),
        v1::Verdict::Review => (Look::Doubtful, "REVIEW", "!"),
        v1::Verdict::Block => (Look::Bad, "BLOCK", "✗"),
        v1::Verdict::Unspecified => (Look::Dim, "-", "·"),
    }
}

/// The first twelve digits of a revision.
/// What stood against a deployment that happened all the same, in words.
fn against(against: v1::AgainstVerdict) -> Option<&'static str> {
    match against {
        v1::AgainstVerdict::Unspecified => None,
        v1::AgainstVerdict::Block => Some("deployed against a BLOCK"),
        v1::AgainstVerdict::Review => Some("deployed before anybody had approved it"),
        v1::AgainstVerdict::None => Some("deployed without a verdict"),
    }
}

fn short(revision: &str) -> String {
    revision.strip_prefix("diff:").unwrap_or(revision).chars().take(12).collect()
}

/// `Friday 2026-11-20 15:30 UTC`.
fn day_and_time(seconds: i64) -> String {
    let format = format_description!("[weekday] [year]-[month]-[day] [hour]:[minute] UTC");
    formatted(seconds, format)
}

/// `2026-11-20 15:30:00`.
fn to_the_second(seconds: i64) -> String {
    formatted(seconds, format_description!("[year]-[month]-[day] [hour]:[minute]:[second]"))
}

fn formatted(seconds: i64, format: &[time::format_description::BorrowedFormatItem<'_>]) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(format).ok());
    at.unwrap_or_else(|| format!("{seconds} s after 1970"))
}

/// `0.21 s`.
fn in_seconds(duration: std::time::Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// `4.5 %`.
fn percent(probability: f64) -> String {
    format!("{:.1} %", probability * 100.0)
}
