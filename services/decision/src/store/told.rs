//! What is told of a verdict besides the trail: its span, its line in the log, and the metrics.

use std::collections::BTreeMap;

use chassis::metrics::list::{JOIN_WAIT, MISSING, OUTCOMES, REVIEWS, SUBMISSION_TO_VERDICT, VERDICTS};
use chassis::trace;
use domain::{
    AgainstVerdict, Cause, DeploymentId, Evidence, Judgement, OutcomeKind, Reached, Review, ReviewDecision, Verdict,
};
use time::OffsetDateTime;
use tracing::Span;

use super::decide::Decided;
use crate::SERVICE;
use crate::incoming::{Content, Incoming};

/// Shows what is counted from zero on, or nobody would see the first of a kind come: an increase needs a value before it.
pub(crate) fn begin_to_count() {
    for verdict in Verdict::ALL {
        Cause::ALL.iter().for_each(|cause| VERDICTS.add(0, [verdict.name(), cause.name()]));
    }
    for outcome in OutcomeKind::ALL {
        OUTCOMES.add(0, [outcome.name(), ""]);
        AgainstVerdict::ALL.iter().for_each(|against| OUTCOMES.add(0, [outcome.name(), against.name()]));
    }
    ReviewDecision::ALL.iter().for_each(|decision| REVIEWS.add(0, [decision.name()]));
}

/// The span of a verdict: the child of what came last, linked to all the signals that it joins. Of one that nobody will see only the
/// trace.
pub(super) fn span<'a>(parent: Option<&str>, joined: impl Iterator<Item = &'a str>) -> Span {
    if !trace::may_be_seen(parent) {
        let span = tracing::info_span!(parent: None, "decide", failsafe.service = SERVICE);
        trace::continue_from(&span, parent);
        return span;
    }
    let span = tracing::info_span!(
        parent: None,
        "decide",
        otel.name = "decide",
        otel.kind = "internal",
        failsafe.service = SERVICE,
        failsafe.verdict = tracing::field::Empty,
        failsafe.verdict.number = tracing::field::Empty,
        failsafe.verdict.cause = tracing::field::Empty,
        failsafe.policy.version = tracing::field::Empty,
        deployment.id = tracing::field::Empty,
    );
    trace::continue_from(&span, parent);
    joined.for_each(|signal| trace::link(&span, signal));
    span
}

/// Writes the verdict into its span: as attributes to search for, and as events at the moment when it was reached.
pub(super) fn write_into(span: &Span, reached: &Reached) {
    if !trace::is_sampled(span) {
        return;
    }
    let judgement = &reached.judgement;
    span.record("failsafe.verdict", judgement.verdict.name());
    span.record("failsafe.verdict.number", reached.number);
    span.record("failsafe.verdict.cause", reached.cause.name());
    span.record("failsafe.policy.version", &reached.policy.version);
    match &reached.deployment {
        Some(deployment) => trace::describe(span, deployment),
        None => {
            span.record("deployment.id", tracing::field::display(reached.deployment_id));
        }
    }
    for missing in &judgement.missing {
        trace::event(span, "failsafe.input.missing", [("failsafe.input", missing.input.name().to_owned())]);
    }
    trace::event(
        span,
        "failsafe.verdict.reached",
        [
            ("failsafe.verdict", judgement.verdict.name().to_owned()),
            ("failsafe.verdict.cause", reached.cause.name().to_owned()),
        ],
    );
}

/// Tells of verdicts that are stored now, reached because of `batch`.
pub(super) fn tell(decided: &[Decided], batch: &[&Incoming]) {
    let mut submitted: BTreeMap<DeploymentId, OffsetDateTime> = BTreeMap::new();
    let mut reviews: Vec<&Review> = Vec::new();
    for one in batch {
        if let Some(at) = one.submitted_at {
            submitted.entry(one.deployment_id).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
        if let Content::Review(review) = &one.content {
            reviews.push(review);
        }
    }
    for one in decided {
        one.span.in_scope(|| {
            measure(&one.reached, submitted.get(&one.reached.deployment_id).copied());
            for review in reviews.iter().filter(|review| review.deployment_id == one.reached.deployment_id) {
                if stands(&one.reached.judgement, review) {
                    REVIEWS.add(1, [review.decision.name()]);
                }
            }
            log(&one.reached);
        });
    }
}

fn measure(reached: &Reached, submitted_at: Option<OffsetDateTime>) {
    let (verdict, cause) = (reached.judgement.verdict.name(), reached.cause.name());
    VERDICTS.add(1, [verdict, cause]);
    for missing in &reached.judgement.missing {
        MISSING.add(1, [missing.input.name()]);
    }
    let accepted_at = reached.deployment.as_ref().map(|deployment| deployment.accepted_at);
    if reached.number > 1 {
        return;
    }
    if let Some(at) = submitted_at.or(accepted_at) {
        SUBMISSION_TO_VERDICT.record(seconds(reached.reached_at - at), [verdict, cause]);
    }
    let last = reached.signals.iter().max_by_key(|signal| signal.raised_at);
    if let (Cause::Complete, Some(at), Some(last)) = (reached.cause, accepted_at, last) {
        JOIN_WAIT.record(seconds(last.raised_at - at), [last.source.name()]);
    }
}

/// Whether a review is part of what people decided instead of the policy, and not one that counts for nothing beside it.
fn stands(judgement: &Judgement, review: &Review) -> bool {
    let about = Evidence::Review { reviewer: review.reviewer.clone(), verdict_number: review.verdict_number };
    let is_about_it =
        |measured: &str, evidence: &[Evidence]| measured == review.decision.name() && evidence.first() == Some(&about);
    judgement.overruled.is_some()
        && judgement.reasons.iter().any(|reason| {
            reason.rule == format!("review.{}", review.decision.name())
                && is_about_it(&reason.measured, &reason.evidence)
        })
}

/// Clocks of two machines may differ by more than it took.
fn seconds(took: time::Duration) -> f64 {
    took.as_seconds_f64().max(0.0)
}

fn log(reached: &Reached) {
    tracing::info!(
        service = SERVICE,
        deployment.id = %reached.deployment_id,
        verdict = reached.judgement.verdict.name(),
        verdict.number = reached.number,
        cause = reached.cause.name(),
        "{} for {}",
        reached.judgement.verdict,
        reached.deployment.as_ref().map_or_else(
            || "a deployment whose acceptance is missing".to_owned(),
            |d| format!("{} #{} at {}", d.repository, d.pull_request, d.revision.short())
        ),
    );
}
