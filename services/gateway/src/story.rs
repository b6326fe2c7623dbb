//! The story of one deployment as a watcher is told it: each stage once, and an end. Pure.

use std::collections::HashSet;

use proto::v1;
use proto::v1::watch_deployment_response::Stage;

/// What a watcher has been told so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    told: HashSet<String>,
    verdict: u32,
    explained: u32,
}

impl Story {
    /// Takes note of `stage`; false when it had been told before.
    pub(crate) fn tell(&mut self, stage: &Stage) -> bool {
        match stage {
            Stage::Verdict(verdict) => self.verdict = self.verdict.max(verdict.number),
            Stage::Explanation(explanation) => self.explained = self.explained.max(explanation.verdict_number),
            _ => {}
        }
        self.told.insert(identity(stage))
    }

    /// Whether nothing has been told.
    pub(crate) fn is_untold(&self) -> bool {
        self.told.is_empty()
    }

    /// Whether the latest verdict is explained. With events still to come this can change.
    pub(crate) const fn is_explained(&self) -> bool {
        self.explained > 0 && self.explained >= self.verdict
    }
}

/// The same for the same stage, whether it comes from the stream, from the stream again, or from the audit trail.
fn identity(stage: &Stage) -> String {
    match stage {
        Stage::Accepted(_) => "accepted".to_owned(),
        Stage::Signal(signal) => {
            let available = !matches!(signal.said, Some(v1::signal::Said::Unavailable(_)));
            format!("signal {} {} {} {available}", signal.source, signal.producer, signal.basis)
        }
        Stage::Verdict(verdict) => verdict.event_id.clone(),
        Stage::Explanation(explanation) => explanation.event_id.clone(),
        Stage::Review(review) => review.event_id.clone(),
        Stage::Outcome(outcome) => outcome.event_id.clone(),
        Stage::Superseded(superseded) => format!("superseded {}", superseded.by),
    }
}

/// What the audit trail knows, stage by stage in the order of time.
pub(crate) fn from_audit_trail(dossier: v1::GetDeploymentResponse) -> Vec<v1::WatchDeploymentResponse> {
    let stage = |at, stage| v1::WatchDeploymentResponse { sequence: 0, at, stage: Some(stage) };
    let mut stages: Vec<_> =
        dossier.deployment.into_iter().map(|it| stage(it.accepted_at, Stage::Accepted(it))).collect();
    stages.extend(dossier.signals.into_iter().map(|it| stage(it.raised_at, Stage::Signal(it))));
    stages.extend(dossier.verdicts.into_iter().map(|it| stage(it.reached_at, Stage::Verdict(it))));
    stages.extend(dossier.explanations.into_iter().map(|it| stage(it.written_at, Stage::Explanation(it))));
    stages.extend(dossier.reviews.into_iter().map(|it| stage(it.reviewed_at, Stage::Review(it))));
    stages.extend(dossier.outcomes.into_iter().map(|it| stage(it.occurred_at, Stage::Outcome(it))));
    stages.sort_by_key(|told| told.at.map(|at| (at.seconds, at.nanos)));
    if !dossier.superseded_by.is_empty() {
        stages.push(stage(None, Stage::Superseded(v1::Superseded { by: dossier.superseded_by })));
    }
    stages
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn verdict(number: u32) -> Stage {
        Stage::Verdict(v1::VerdictReached { event_id: format!("v{number}"), number, ..Default::default() })
    }

    fn explanation(verdict_number: u32) -> Stage {
        let event_id = format!("e{verdict_number}");
        Stage::Explanation(v1::ExplanationWritten { event_id, verdict_number, ..Default::default() })
    }

    fn accepted() -> Stage {
        Stage::Accepted(v1::Deployment::default())
    }

    fn signal(source: v1::Source) -> Stage {
        Stage::Signal(v1::Signal { source: source as i32, ..Default::default() })
    }

    fn outcome() -> Stage {
        Stage::Outcome(v1::OutcomeRecorded { event_id: "o".to_owned(), ..Default::default() })
    }

    #[track_caller]
    fn check(stages: &[Stage], explained: bool) {
        let mut story = Story::default();
        for stage in stages {
            assert!(story.tell(stage), "{stage:?} was told before");
        }
        assert_eq!(story.is_explained(), explained);
    }

    #[test]
    fn a_story_ends_with_the_explanation_of_the_latest_verdict() {
        check(&[], false);
        check(&[accepted(), signal(v1::Source::StaticAnalysis), signal(v1::Source::MlScoring)], false);
        check(&[accepted(), verdict(1)], false);
        check(&[accepted(), verdict(1), explanation(1)], true);
        // A late signal led to a second verdict, whose explanation is still to come.
        check(&[verdict(1), explanation(1), verdict(2)], false);
        check(&[verdict(1), verdict(2), explanation(1)], false);
        check(&[verdict(1), verdict(2), explanation(1), explanation(2)], true);
        check(&[verdict(1), verdict(2), explanation(2), explanation(1)], true);
        // What comes between or behind does not hide the end.
        check(&[verdict(1), explanation(1), outcome()], true);
        // The stream no longer holds the verdict.
        check(&[explanation(2)], true);
        check(&[outcome()], false);
    }

    #[test]
    fn a_stage_is_told_once() {
        let mut story = Story::default();
        assert!(story.is_untold());
        for stage in [accepted(), signal(v1::Source::StaticAnalysis), verdict(1), explanation(1), outcome()] {
            assert!(story.tell(&stage) && !story.tell(&stage), "{stage:?}");
        }
        let mut unavailable = v1::Signal { source: v1::Source::StaticAnalysis as i32, ..Default::default() };
        unavailable.said = Some(v1::signal::Said::Unavailable(v1::Unavailable::default()));
        assert!(story.tell(&Stage::Signal(unavailable)), "that an analyser gave up is not what it says later");
        assert!(!story.is_untold());
    }

    #[test]
    fn the_audit_trail_tells_in_the_order_of_time() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let reached = |number, seconds| v1::VerdictReached { number, reached_at: at(seconds), ..Default::default() };
        let written = |verdict_number, seconds| v1::ExplanationWritten {
            verdict_number,
            written_at: at(seconds),
            ..Default::default()
        };
        let dossier = v1::GetDeploymentResponse {
            deployment: Some(v1::Deployment { accepted_at: at(1), ..Default::default() }),
            signals: vec![v1::Signal { raised_at: at(4), ..Default::default() }],
            verdicts: vec![reached(2, 5), reached(1, 2)],
            explanations: vec![written(2, 6), written(1, 3)],
            ..Default::default()
        };
        let told: Vec<_> = from_audit_trail(dossier)
            .into_iter()
            .map(|told| match told.stage.unwrap() {
                Stage::Accepted(_) => "accepted".to_owned(),
                Stage::Signal(_) => "signal".to_owned(),
                Stage::Verdict(verdict) => format!("verdict {}", verdict.number),
                Stage::Explanation(explanation) => format!("explanation {}", explanation.verdict_number),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(told, ["accepted", "verdict 1", "explanation 1", "signal", "verdict 2", "explanation 2"]);
    }
}
