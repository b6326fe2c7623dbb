//! One stage of a deployment in a few lines, as it happens.

use prost_types::Timestamp;
use proto::v1;
use proto::v1::watch_deployment_response::Stage;

use super::verdict::{in_one_line, signal_in_one_line};
use super::{explanation, to_the_second, verdict_look};
use crate::terminal::{Look, Sheet, Style};

/// One stage, with the time since the first one, which came at `since`.
pub(crate) fn stage(response: &v1::WatchDeploymentResponse, since: Option<Timestamp>, style: Style) -> String {
    let mut sheet = Sheet::new(style);
    let elapsed = |at| since.map_or_else(String::new, |since| format!("  {:>+9.3} s", seconds_between(since, at)));
    let at = response.at.map(|at| format!("{}.{:03}{} ", to_the_second(at.seconds), at.nanos / 1_000_000, elapsed(at)));
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

/// How many seconds lie between two times.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.seconds - from.seconds) as f64 + f64::from(to.nanos - from.nanos) / 1e9
}

/// What is still to come of a deployment that is watched.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    /// When the first stage was stored.
    pub(crate) since: Option<Timestamp>,
    accepted: bool,
    spoken: Vec<v1::Source>,
    decided: bool,
}

impl Awaited {
    /// Takes note of a stage.
    pub(crate) fn see(&mut self, response: &v1::WatchDeploymentResponse) {
        self.since = self.since.or(response.at);
        match &response.stage {
            Some(Stage::Accepted(_)) => self.accepted = true,
            Some(Stage::Signal(signal)) => self.spoken.push(signal.source()),
            Some(Stage::Verdict(_)) => self.decided = true,
            _ => {}
        }
    }

    /// What is awaited, in words.
    pub(crate) fn words(&self) -> String {
        let silent = |source: &v1::Source| !self.spoken.contains(source);
        let analysers = [(v1::Source::StaticAnalysis, "static-analysis"), (v1::Source::MlScoring, "ml-scoring")];
        let open: Vec<_> = analysers.iter().filter(|(source, _)| silent(source)).map(|(_, name)| *name).collect();
        match (self.decided, self.accepted, open.is_empty()) {
            (true, ..) => "the explanation".to_owned(),
            (false, false, _) => "the acceptance by ingest".to_owned(),
            (false, true, false) => open.join(" and "),
            (false, true, true) => "the verdict".to_owned(),
        }
    }
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
