//! Questions of the audit trail and their answers.

use domain::{AgainstVerdict, Attestation, DeploymentId, Dossier, ListQuery, Page, Place, Progress, Summary};
use time::OffsetDateTime;

use super::{deployment, deployment_id, enums, explanation, optional_time, record, signal, timestamp, verdict};
use crate::{Malformed, v1};

impl TryFrom<v1::GetDeploymentRequest> for DeploymentId {
    type Error = Malformed;

    fn try_from(message: v1::GetDeploymentRequest) -> Result<Self, Malformed> {
        deployment_id(&message.deployment_id)
    }
}

impl From<Dossier> for v1::GetDeploymentResponse {
    fn from(dossier: Dossier) -> Self {
        Self {
            deployment: dossier.deployment.as_ref().map(deployment::deployment_to),
            progress: progress_to(dossier.progress),
            signals: dossier.signals.iter().map(signal::signal_to).collect(),
            verdicts: dossier.verdicts.iter().map(verdict::reached_to).collect(),
            explanations: dossier.explanations.iter().map(explanation::written_to).collect(),
            reviews: dossier.reviews.iter().map(record::review_to).collect(),
            outcomes: dossier.outcomes.iter().map(record::outcome_to).collect(),
            superseded_by: dossier.superseded_by.map(|id| id.to_string()).unwrap_or_default(),
            deadline_at: dossier.deadline_at.map(timestamp),
            against_verdict: against_to(dossier.against_verdict),
            trace_id: dossier.trace_id.unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::ListDeploymentsRequest> for ListQuery {
    type Error = Malformed;

    fn try_from(message: v1::ListDeploymentsRequest) -> Result<Self, Malformed> {
        let max = Self::PAGE_SIZE_MAX;
        if message.page_size > max {
            return Err(Malformed::new("page_size", format!("must be at most {max}, not {}", message.page_size)));
        }
        if message.pull_request != 0 && message.repository.is_empty() {
            return Err(Malformed::new("repository", "is required together with pull_request"));
        }
        Ok(Self {
            page_size: if message.page_size == 0 { Self::PAGE_SIZE_DEFAULT } else { message.page_size },
            behind: Some(message.page_token).filter(|token| !token.is_empty()).map(|t| place_from(&t)).transpose()?,
            repository: Some(message.repository).filter(|repository| !repository.is_empty()),
            pull_request: Some(message.pull_request).filter(|number| *number != 0),
            verdict: match message.verdict {
                0 => None,
                number => Some(enums::verdict_from("verdict", number)?),
            },
            since: optional_time("since", message.since)?,
            until: optional_time("until", message.until)?,
            against_verdict: message.against_verdict,
            overruled: message.overruled,
            owing_review: message.owing_review,
        })
    }
}

impl From<Page> for v1::ListDeploymentsResponse {
    fn from(page: Page) -> Self {
        Self {
            deployments: page.deployments.into_iter().map(summary_to).collect(),
            next_page_token: page.next.map(place_to).unwrap_or_default(),
        }
    }
}

fn summary_to(summary: Summary) -> v1::DeploymentSummary {
    v1::DeploymentSummary {
        deployment_id: summary.id.to_string(),
        repository: summary.repository,
        pull_request: summary.pull_request,
        revision: summary.revision,
        title: summary.title,
        author: summary.author,
        received_at: Some(timestamp(summary.received_at)),
        progress: progress_to(summary.progress),
        verdict: summary.verdict.map_or(0, |(verdict, _)| enums::verdict_to(verdict)),
        verdict_number: summary.verdict.map_or(0, |(_, number)| number),
        risk: summary.risk.map(domain::Risk::probability),
        superseded_by: summary.superseded_by.map(|id| id.to_string()).unwrap_or_default(),
        against_verdict: against_to(summary.against_verdict),
        overruled: summary.overruled.map_or(0, enums::decision_to),
        review_due: summary.review_due.map(timestamp),
    }
}

fn against_to(against: Option<AgainstVerdict>) -> i32 {
    let against = match against {
        None => v1::AgainstVerdict::Unspecified,
        Some(AgainstVerdict::Block) => v1::AgainstVerdict::Block,
        Some(AgainstVerdict::Review) => v1::AgainstVerdict::Review,
        Some(AgainstVerdict::None) => v1::AgainstVerdict::None,
    };
    against as i32
}

fn progress_to(progress: Progress) -> i32 {
    let progress = match progress {
        Progress::AwaitingSignals => v1::Progress::AwaitingSignals,
        Progress::Decided => v1::Progress::Decided,
        Progress::Explained => v1::Progress::Explained,
    };
    progress as i32
}

/// A page token: the microseconds since 1970 and the id. Opaque to its readers.
fn place_to(place: Place) -> String {
    format!("{:x}.{}", place.received_at.unix_timestamp_nanos() / 1_000, place.id.uuid().simple())
}

fn place_from(token: &str) -> Result<Place, Malformed> {
    let parsed = token.split_once('.').and_then(|(micros, id)| {
        let nanos = i128::from_str_radix(micros, 16).ok()?.checked_mul(1_000)?;
        let received_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        Some(Place { received_at, id: DeploymentId::parse(id).ok()? })
    });
    parsed.ok_or_else(|| Malformed::new("page_token", "must be the next_page_token of an earlier page"))
}

impl TryFrom<v1::AttestVerdictRequest> for (DeploymentId, u32) {
    type Error = Malformed;

    fn try_from(message: v1::AttestVerdictRequest) -> Result<Self, Malformed> {
        Ok((deployment_id(&message.deployment_id)?, message.verdict_number))
    }
}

impl From<Attestation> for v1::AttestVerdictResponse {
    fn from(attestation: Attestation) -> Self {
        Self {
            envelope: attestation.envelope,
            key_id: attestation.key_id.unwrap_or_default(),
            verdict: enums::verdict_to(attestation.verdict),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_leads_back_to_its_place() {
        let received_at = OffsetDateTime::from_unix_timestamp_nanos(1_795_188_600_123_456_000).unwrap();
        let place = Place { received_at, id: DeploymentId::from_uuid(uuid::Uuid::from_u128(7)) };
        assert_eq!(place_from(&place_to(place)).unwrap(), place);
        for wrong in ["", "x", "12.", ".7", "zz.00000000000000000000000000000007"] {
            assert!(place_from(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_question_names_its_field() {
        let ask = |request: v1::ListDeploymentsRequest| ListQuery::try_from(request).unwrap_err().field;
        let request = v1::ListDeploymentsRequest::default;
        assert_eq!(ask(v1::ListDeploymentsRequest { page_size: 1_001, ..request() }), "page_size");
        assert_eq!(ask(v1::ListDeploymentsRequest { pull_request: 7, ..request() }), "repository");
        assert_eq!(ask(v1::ListDeploymentsRequest { verdict: 9, ..request() }), "verdict");
        assert_eq!(ask(v1::ListDeploymentsRequest { page_token: "x".to_owned(), ..request() }), "page_token");
    }
}
