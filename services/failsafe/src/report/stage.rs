//! One stage of a deployment in a few lines, as it happens.

use proto::v1;
use proto::v1::watch_deployment_response::Stage;

use super::verdict::{in_one_line, signal_in_one_line};
use super::{explanation, to_the_second, verdict_look};
use crate::terminal::{Look, Sheet, Style};

/// One stage.
pub(crate) fn stage(response: &v1::WatchDeploymentResponse, style: Style) -> String {
    let mut sheet = Sheet::new(style);
    let at = response.at.map(|at| format!("{}.{:03}", to_the_second(at.seconds), at.nanos / 1_000_000));
    let (look, words) = match &response.stage {
        Some(Stage::Accepted(deployment)) => {
            let files = deployment.change.as_ref().map_or(0, |change| change.files.len());
            let name = format!("{} #{}", deployment.repository, deployment.pull_request);
            (Look::Plain, format!("accepted: {name}, {files} {}", if files == 1 { "file" } else { "files" }))
        }
        Some(Stage::Signal(signal)) => (Look::Plain, signal_in_one_line(signal)),
        Some(Stage::Verdict(verdict)) => {
            let judgement = verdict.judgement.clone().unwrap_or_default();
            let (look, ..) = verdict_look(judgement.verdict());
            (look, in_one_line(&judgement))
        }
        Some(Stage::Explanation(written)) => {
            (Look::Plain, format!("explained: {} ({})", written.headline, explanation::origin(written)))
        }
        Some(Stage::Review(recorded)) => (Look::Plain, review(recorded)),
        Some(Stage::Outcome(recorded)) => (Look::Plain, outcome(recorded)),
        Some(Stage::Superseded(superseded)) => {
            (Look::Doubtful, format!("superseded by the newer deployment {}", superseded.by))
        }
        None => (Look::Dim, "a stage that this version does not know".to_owned()),
    };
    sheet.item(0, (Look::Dim, &at.unwrap_or_default()), look, &words);
    sheet.into_text()
}

pub(super) fn review(review: &v1::ReviewRecorded) -> String {
    let decision = match review.decision() {
        v1::ReviewDecision::Approved => "approved",
        v1::ReviewDecision::Rejected => "rejected",
        v1::ReviewDecision::Emergency => "let out in an emergency",
        v1::ReviewDecision::Unspecified => "reviewed",
    };
    let recorded = spoken_for(&review.reviewer, &review.recorded_by);
    format!("{decision} by {}{recorded} (verdict {}): {}", review.reviewer, review.verdict_number, review.why)
}

pub(super) fn outcome(outcome: &v1::OutcomeRecorded) -> String {
    let kind = match outcome.kind() {
        v1::OutcomeKind::Succeeded => "succeeded",
        v1::OutcomeKind::Failed => "failed",
        v1::OutcomeKind::RolledBack => "was rolled back",
        v1::OutcomeKind::Unspecified => "was seen",
    };
    let detail = if outcome.detail.is_empty() { String::new() } else { format!(": {}", outcome.detail) };
    let recorded = spoken_for(&outcome.reporter, &outcome.recorded_by);
    format!("in production it {kind}, says {}{recorded}{detail}", outcome.reporter)
}

/// That somebody else than the one who is named has recorded it.
fn spoken_for(named: &str, recorded_by: &str) -> String {
    if recorded_by.is_empty() || recorded_by == named { String::new() } else { format!(", recorded by {recorded_by}") }
}
