//! Reviews and outcomes.

use domain::{Outcome, Review};

use super::{deployment_id, enums, required_text, required_time, timestamp};
use crate::{Malformed, v1};

pub(crate) fn review_to(review: &Review) -> v1::ReviewRecorded {
    v1::ReviewRecorded {
        event_id: review.event_id().to_string(),
        deployment_id: review.deployment_id.to_string(),
        verdict_number: review.verdict_number,
        decision: enums::decision_to(review.decision),
        reviewer: review.reviewer.clone(),
        why: review.why.clone(),
        reviewed_at: Some(timestamp(review.reviewed_at)),
        evidence_digest: review.evidence_digest.clone(),
        policy_digest: review.policy_digest.clone(),
    }
}

impl From<Review> for v1::ReviewRecorded {
    fn from(review: Review) -> Self {
        review_to(&review)
    }
}

pub(crate) fn review_from(message: v1::ReviewRecorded) -> Result<Review, Malformed> {
    if message.verdict_number == 0 {
        return Err(Malformed::new("verdict_number", "is required: verdicts are numbered from 1"));
    }
    Ok(Review {
        deployment_id: deployment_id(&message.deployment_id)?,
        verdict_number: message.verdict_number,
        decision: enums::decision_from("decision", message.decision)?,
        reviewer: required_text("reviewer", message.reviewer)?,
        why: required_text("why", message.why)?,
        reviewed_at: required_time("reviewed_at", message.reviewed_at)?,
        evidence_digest: message.evidence_digest,
        policy_digest: message.policy_digest,
    })
}

pub(crate) fn outcome_to(outcome: &Outcome) -> v1::OutcomeRecorded {
    v1::OutcomeRecorded {
        event_id: outcome.event_id().to_string(),
        deployment_id: outcome.deployment_id.to_string(),
        kind: enums::outcome_to(outcome.kind),
        detail: outcome.detail.clone(),
        reporter: outcome.reporter.clone(),
        occurred_at: Some(timestamp(outcome.occurred_at)),
    }
}

impl From<Outcome> for v1::OutcomeRecorded {
    fn from(outcome: Outcome) -> Self {
        outcome_to(&outcome)
    }
}

pub(crate) fn outcome_from(message: v1::OutcomeRecorded) -> Result<Outcome, Malformed> {
    Ok(Outcome {
        deployment_id: deployment_id(&message.deployment_id)?,
        kind: enums::outcome_from("kind", message.kind)?,
        detail: message.detail,
        reporter: required_text("reporter", message.reporter)?,
        occurred_at: required_time("occurred_at", message.occurred_at)?,
    })
}
