//! What people and tools tell afterwards: reviews and outcomes, checked and put into the stream.

use chassis::Outgoing;
use domain::{FieldViolation, Outcome, Review, ReviewDecision};
use prost_types::FieldMask;
use proto::v1;
use time::OffsetDateTime;
use tonic::{Code, Status};
use tracing::Span;

use crate::identity::{Caller, Scope, without_scope};
use crate::service::Deployments;
use crate::{permit, status};

impl Deployments {
    /// Binds a review to the verdict that is in force, and publishes it.
    pub(crate) async fn review(
        &self,
        caller: &Caller,
        mut request: v1::ReviewDeploymentRequest,
    ) -> Result<v1::ReviewDeploymentResponse, Status> {
        request.reviewer = reviewer(caller, request.reviewer)?;
        let review = request.at(OffsetDateTime::now_utc()).map_err(status::all_malformed)?;
        let id = review.deployment_id;
        Span::current().record("deployment.id", tracing::field::display(id));
        // The verdict's evidence is not asked for, which may be long.
        let paths = [
            "deployment.repository",
            "verdicts.number",
            "verdicts.judgement.verdict",
            "verdicts.evidence_digest",
            "verdicts.policy",
            "reviews",
        ];
        let paths = paths.map(str::to_owned);
        let read_mask = Some(FieldMask { paths: paths.into() });
        let question = v1::GetDeploymentRequest { deployment_id: id.to_string(), read_mask };
        let known = self.ask(&question).await?.into_inner();
        permit::on_dossier(caller, &known)?;
        // Sent again, it is answered as it was, whatever was decided meanwhile.
        let event_id = review.event_id().to_string();
        if let Some(sent_before) = known.reviews.iter().find(|one| review.request.is_some() && one.event_id == event_id)
        {
            let decided = sent_before.decision().as_str_name().trim_start_matches("REVIEW_DECISION_");
            if sent_before.reviewer != review.reviewer || !decided.eq_ignore_ascii_case(review.decision.name()) {
                return Err(used_for_another("review"));
            }
            return Ok(v1::ReviewDeploymentResponse { event_id, verdict_number: sent_before.verdict_number });
        }
        let Some(latest) = known.verdicts.first() else {
            return Err(status::not_found(&format!("there is no verdict on the deployment {id} yet")));
        };
        if goes_against(review.decision, latest) && !caller.may(Scope::Override) {
            return Err(without_scope(caller, Scope::Override, "to go against a BLOCK"));
        }
        let review = Review { recorded_by: caller.name.clone(), ..bound_to(review, latest)? };
        let outgoing = Outgoing::new(&review);
        self.publish(&outgoing, "a review").await?;
        tracing::info!(deployment.id = %id, reviewer = review.reviewer, decision = review.decision.name(), "verdict {} of {id} reviewed", review.verdict_number);
        Ok(v1::ReviewDeploymentResponse { event_id: outgoing.message_id, verdict_number: review.verdict_number })
    }

    /// Publishes an outcome. Whether the deployment is known does not matter: an outcome may come before its verdict. One that is
    /// sent again has the id of the first, and the stream and the trail drop it.
    ///
    /// From a caller who is limited to some repositories it may not, for nobody knows of which repository it is.
    pub(crate) async fn outcome(
        &self,
        caller: &Caller,
        mut request: v1::RecordOutcomeRequest,
    ) -> Result<v1::RecordOutcomeResponse, Status> {
        if request.reporter.trim().is_empty() {
            request.reporter.clone_from(&caller.name);
        }
        let outcome = request.at(OffsetDateTime::now_utc()).map_err(status::all_malformed)?;
        let id = outcome.deployment_id;
        Span::current().record("deployment.id", tracing::field::display(id));
        self.permit(caller, id).await?;
        if outcome.request.is_some() {
            self.must_be_new(&outcome).await?;
        }
        let outcome = Outcome { recorded_by: caller.name.clone(), ..outcome };
        let outgoing = Outgoing::new(&outcome);
        self.publish(&outgoing, "an outcome").await?;
        tracing::info!(deployment.id = %id, outcome = outcome.kind.name(), "{id} {} in production", outcome.kind.name());
        Ok(v1::RecordOutcomeResponse { event_id: outgoing.message_id })
    }

    /// The request id of an outcome was used for no other one of the deployment, as far as the audit trail knows.
    async fn must_be_new(&self, outcome: &Outcome) -> Result<(), Status> {
        let read_mask = Some(FieldMask { paths: vec!["outcomes".to_owned()] });
        let question = v1::GetDeploymentRequest { deployment_id: outcome.deployment_id.to_string(), read_mask };
        let known = match self.ask(&question).await {
            Ok(known) => known.into_inner().outcomes,
            Err(unknown) if unknown.code() == Code::NotFound => return Ok(()),
            Err(status) => return Err(status),
        };
        let event_id = outcome.event_id().to_string();
        let Some(sent_before) = known.iter().find(|one| one.event_id == event_id) else { return Ok(()) };
        let happened = sent_before.kind().as_str_name().trim_start_matches("OUTCOME_KIND_");
        let is_the_same =
            sent_before.reporter == outcome.reporter && happened.eq_ignore_ascii_case(outcome.kind.name());
        if is_the_same { Ok(()) } else { Err(used_for_another("outcome")) }
    }
}

/// A request id stands for one thing that was said, and this is another.
fn used_for_another(what: &str) -> Status {
    let used = format!("was used for another {what} of this deployment: make a new one");
    status::invalid(&[FieldViolation::new("request_id", used)])
}

/// In whose name the caller reviews: their own, unless they may speak for others. Who did not say who they are says whom they like.
fn reviewer(caller: &Caller, named: String) -> Result<String, Status> {
    let named = named.trim();
    if caller.name.is_empty() || named == caller.name {
        return Ok(named.to_owned());
    }
    if named.is_empty() {
        return Ok(caller.name.clone());
    }
    if caller.may(Scope::Admin) {
        return Ok(named.to_owned());
    }
    Err(without_scope(caller, Scope::Admin, &format!("to review as {named} and not as {}", caller.name)))
}

/// Whether a decision lets out what is blocked.
fn goes_against(decision: ReviewDecision, latest: &v1::VerdictReached) -> bool {
    let verdict = latest.judgement.as_ref().map(v1::Judgement::verdict);
    match decision {
        ReviewDecision::Emergency => true,
        ReviewDecision::Approved => verdict == Some(v1::Verdict::Block),
        ReviewDecision::Rejected => false,
    }
}

/// The review as given for what is in force; an error when that is not what the reviewer saw.
fn bound_to(review: Review, latest: &v1::VerdictReached) -> Result<Review, Status> {
    let policy_digest = latest.policy.as_ref().map(|policy| policy.digest.as_str()).unwrap_or_default();
    let number = latest.number;
    let in_force = format!("verdict {number} is in force: look at it and review that");
    if review.verdict_number != 0 && review.verdict_number != number {
        return Err(status::outdated(&format!("you reviewed verdict {}, and {in_force}", review.verdict_number)));
    }
    for (seen, now) in
        [(&review.evidence_digest, latest.evidence_digest.as_str()), (&review.policy_digest, policy_digest)]
    {
        if !seen.is_empty() && seen != now {
            return Err(status::outdated(&format!("you saw other evidence or another policy, and {in_force}")));
        }
    }
    Ok(Review {
        verdict_number: number,
        evidence_digest: latest.evidence_digest.clone(),
        policy_digest: policy_digest.to_owned(),
        ..review
    })
}
