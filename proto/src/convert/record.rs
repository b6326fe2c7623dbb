//! Reviews and outcomes.

use domain::{Outcome, Review};
use time::OffsetDateTime;

use super::{deployment_id, enums, optional_time, request_id, request_id_to, required_text, required_time, timestamp};
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
        request_id: request_id_to(review.request),
        recorded_by: review.recorded_by.clone(),
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
        request: request_id(&message.request_id)?,
        recorded_by: message.recorded_by,
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
        request_id: request_id_to(outcome.request),
        recorded_by: outcome.recorded_by.clone(),
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
        request: request_id(&message.request_id)?,
        recorded_by: message.recorded_by,
    })
}

impl v1::ReviewDeploymentRequest {
    /// The review that it asks for, given at `reviewed_at`.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn at(self, reviewed_at: OffsetDateTime) -> Result<Review, Vec<Malformed>> {
        let id = deployment_id(&self.deployment_id);
        let decision = enums::decision_from("decision", self.decision);
        let (reviewer, why) = (said("reviewer", self.reviewer), said("why", self.why));
        match (id, decision, reviewer, why, request_id(&self.request_id)) {
            (Ok(deployment_id), Ok(decision), Ok(reviewer), Ok(why), Ok(request)) => Ok(Review {
                deployment_id,
                verdict_number: self.verdict_number,
                decision,
                reviewer,
                why,
                reviewed_at,
                evidence_digest: self.evidence_digest,
                policy_digest: self.policy_digest,
                request,
                recorded_by: String::new(),
            }),
            (id, decision, reviewer, why, request) => {
                let wrong = [id.err(), decision.err(), reviewer.err(), why.err(), request.err()];
                Err(wrong.into_iter().flatten().collect())
            }
        }
    }
}

impl v1::RecordOutcomeRequest {
    /// The outcome that it tells; it happened at `now` where it does not say.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn at(self, now: OffsetDateTime) -> Result<Outcome, Vec<Malformed>> {
        let id = deployment_id(&self.deployment_id);
        let kind = enums::outcome_from("kind", self.kind);
        let reporter = said("reporter", self.reporter);
        let occurred_at = optional_time("occurred_at", self.occurred_at);
        match (id, kind, reporter, occurred_at, request_id(&self.request_id)) {
            (Ok(deployment_id), Ok(kind), Ok(reporter), Ok(occurred_at), Ok(request)) => Ok(Outcome {
                deployment_id,
                kind,
                detail: self.detail,
                reporter,
                occurred_at: occurred_at.unwrap_or(now),
                request,
                recorded_by: String::new(),
            }),
            (id, kind, reporter, occurred_at, request) => {
                let wrong = [id.err(), kind.err(), reporter.err(), occurred_at.err(), request.err()];
                Err(wrong.into_iter().flatten().collect())
            }
        }
    }
}

/// Longest name or reason, in characters.
const SAID_CHARS_MAX: usize = 2_000;

/// A text that somebody has to have written.
fn said(field: &str, text: String) -> Result<String, Malformed> {
    let text = required_text(field, text.trim().to_owned())?;
    if text.chars().count() > SAID_CHARS_MAX {
        return Err(Malformed::new(field, format!("must have at most {SAID_CHARS_MAX} characters")));
    }
    Ok(text)
}
