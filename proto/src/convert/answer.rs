//! Questions of the audit trail and their answers.

use domain::identity::sha256_hex;
use domain::{
    AgainstVerdict, Attestation, DeploymentId, Dossier, ListQuery, Order, Page, Place, Progress, Risk, Summary,
};
use prost::Message;
use time::OffsetDateTime;

use super::{deployment, deployment_id, enums, explanation, optional_time, record, signal, timestamp, verdict};
use crate::{Malformed, Mask, v1};

/// How many digits of a digest tell the filters of one list from those of another.
const FILTERS_DIGITS: usize = 16;

impl TryFrom<v1::GetDeploymentRequest> for (DeploymentId, Mask) {
    type Error = Vec<Malformed>;

    fn try_from(message: v1::GetDeploymentRequest) -> Result<Self, Vec<Malformed>> {
        let mut wrong = Vec::new();
        let id = kept(&mut wrong, deployment_id(&message.deployment_id));
        let mask = kept(&mut wrong, Mask::of("failsafe.v1.GetDeploymentResponse", message.read_mask));
        id.zip(mask).ok_or(wrong)
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
    type Error = Vec<Malformed>;

    fn try_from(message: v1::ListDeploymentsRequest) -> Result<Self, Vec<Malformed>> {
        let mut wrong = Vec::new();
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let max = Self::PAGE_SIZE_MAX;
        if message.page_size > max {
            wrong.push(Malformed::new("page_size", format!("must be at most {max}, not {}", message.page_size)));
        }
        if message.pull_request != 0 && message.repository.is_empty() {
            wrong.push(Malformed::new("repository", "is required together with pull_request"));
        }
        kept(&mut wrong, message.mask());
        let order = kept(&mut wrong, order_from(&message.order_by)).unwrap_or_default();
        let filters = message.filters();
        let token = given(message.page_token).map(|token| place_from(&token, &filters)).transpose();
        let verdict = (message.verdict != 0).then(|| enums::verdict_from("verdict", message.verdict)).transpose();
        let risk = message.min_risk.map(Risk::new).transpose();
        let query = Self {
            page_size: if message.page_size == 0 { Self::PAGE_SIZE_DEFAULT } else { message.page_size },
            behind: kept(&mut wrong, token).flatten(),
            repository: given(message.repository),
            pull_request: Some(message.pull_request).filter(|number| *number != 0),
            verdict: kept(&mut wrong, verdict).flatten(),
            since: kept(&mut wrong, optional_time("since", message.since)).flatten(),
            until: kept(&mut wrong, optional_time("until", message.until)).flatten(),
            against_verdict: message.against_verdict,
            overruled: message.overruled,
            owing_review: message.owing_review,
            author: given(message.author),
            min_risk: kept(&mut wrong, risk.map_err(|problem| Malformed::new("min_risk", problem))).flatten(),
            rule_id: given(message.rule_id),
            order,
        };
        if wrong.is_empty() { Ok(query) } else { Err(wrong) }
    }
}

/// The value, or its fault put to the others.
fn kept<T>(wrong: &mut Vec<Malformed>, read: Result<T, Malformed>) -> Option<T> {
    read.map_err(|malformed| wrong.push(malformed)).ok()
}

fn order_from(text: &str) -> Result<Order, Malformed> {
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [] | ["received_at", "desc"] => Ok(Order::Newest),
        ["risk", "desc"] => Ok(Order::Riskiest),
        _ => Err(Malformed::new("order_by", "must be `received_at desc` or `risk desc`")),
    }
}

impl v1::ListDeploymentsRequest {
    /// The fields of the answer that are wanted.
    ///
    /// # Errors
    /// The path that names no field.
    pub fn mask(&self) -> Result<Mask, Malformed> {
        Mask::of("failsafe.v1.ListDeploymentsResponse", self.read_mask.clone())
    }

    /// The answer to this request, whose token for the next page holds for the same filters and order alone.
    #[must_use]
    pub fn answer(&self, page: Page) -> v1::ListDeploymentsResponse {
        v1::ListDeploymentsResponse {
            deployments: page.deployments.into_iter().map(summary_to).collect(),
            next_page_token: page.next.map(|place| place_to(place, &self.filters())).unwrap_or_default(),
        }
    }

    /// What a page token holds for, as a digest: everything that decides which deployments are listed in which order.
    fn filters(&self) -> String {
        let order_by = match order_from(&self.order_by) {
            Ok(Order::Riskiest) => "risk desc".to_owned(),
            // However it is written, or left out.
            _ => String::new(),
        };
        let filters = Self { page_size: 0, page_token: String::new(), read_mask: None, order_by, ..self.clone() };
        let mut digest = sha256_hex(&filters.encode_to_vec());
        digest.truncate(FILTERS_DIGITS);
        digest
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

/// A page token: for which filters it holds, the microseconds since 1970, the id, and the bits of the risk (nothing for an unknown
/// one). Opaque to its readers.
fn place_to(place: Place, filters: &str) -> String {
    let micros = place.received_at.unix_timestamp_nanos() / 1_000;
    let risk = place.risk.map(|risk| format!("{:x}", risk.probability().to_bits())).unwrap_or_default();
    format!("{filters}.{micros:x}.{}.{risk}", place.id.uuid().simple())
}

fn place_from(token: &str, filters: &str) -> Result<Place, Malformed> {
    let refused = |problem| Malformed::new("page_token", problem);
    let (of, place) = token.split_once('.').unwrap_or_default();
    let parsed = || {
        let [micros, id, risk] = place.split('.').collect::<Vec<_>>().try_into().ok()?;
        let risk = match risk {
            "" => None,
            bits => Some(Risk::new(f64::from_bits(u64::from_str_radix(bits, 16).ok()?)).ok()?),
        };
        let nanos = i128::from_str_radix(micros, 16).ok()?.checked_mul(1_000)?;
        let received_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        Some(Place { risk, received_at, id: DeploymentId::parse(id).ok()? })
    };
    let place = parsed().ok_or_else(|| refused("must be the next_page_token of an earlier page"))?;
    if of == filters { Ok(place) } else { Err(refused("is of a list with other filters, or in another order")) }
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
        let place = Place { risk: None, received_at, id: DeploymentId::from_uuid(uuid::Uuid::from_u128(7)) };
        let risky = Place { risk: Some(Risk::new(0.025).unwrap()), ..place };
        for place in [place, risky] {
            assert_eq!(place_from(&place_to(place, "f"), "f").unwrap(), place);
        }
        for wrong in
            ["", "x", "f.12.", "f..7.", "f.zz.00000000000000000000000000000007.", "f.0.7.z", "f.0.7..", "f.0.7"]
        {
            assert!(place_from(wrong, "f").unwrap_err().problem.contains("earlier page"), "{wrong}");
        }
    }

    #[test]
    fn a_page_token_holds_for_its_filters_and_its_order_alone() {
        let first =
            v1::ListDeploymentsRequest { repository: "acme/shop".to_owned(), page_size: 2, ..Default::default() };
        let place = Place {
            risk: None,
            received_at: OffsetDateTime::UNIX_EPOCH,
            id: DeploymentId::from_uuid(uuid::Uuid::from_u128(7)),
        };
        let page_token = first.answer(Page { deployments: Vec::new(), next: Some(place) }).next_page_token;
        let next = v1::ListDeploymentsRequest { page_token, ..first };
        let read_mask = Some(prost_types::FieldMask { paths: vec!["next_page_token".to_owned()] });
        let order = |order_by: &str| v1::ListDeploymentsRequest { order_by: order_by.to_owned(), ..next.clone() };
        for same in [
            next.clone(),
            v1::ListDeploymentsRequest { page_size: 7, read_mask, ..next.clone() },
            order(" received_at  desc"),
        ] {
            assert_eq!(ListQuery::try_from(same).unwrap().behind, Some(place));
        }
        let timestamp = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
        for other in [
            v1::ListDeploymentsRequest { repository: "acme/other".to_owned(), ..next.clone() },
            v1::ListDeploymentsRequest { pull_request: 7, ..next.clone() },
            v1::ListDeploymentsRequest { verdict: 1, ..next.clone() },
            v1::ListDeploymentsRequest { since: timestamp, ..next.clone() },
            v1::ListDeploymentsRequest { until: timestamp, ..next.clone() },
            v1::ListDeploymentsRequest { against_verdict: true, ..next.clone() },
            v1::ListDeploymentsRequest { overruled: true, ..next.clone() },
            v1::ListDeploymentsRequest { owing_review: true, ..next.clone() },
            v1::ListDeploymentsRequest { author: "ada".to_owned(), ..next.clone() },
            v1::ListDeploymentsRequest { min_risk: Some(0.0), ..next.clone() },
            v1::ListDeploymentsRequest { rule_id: "x".to_owned(), ..next.clone() },
            order("risk desc"),
        ] {
            let wrong = ListQuery::try_from(other.clone()).unwrap_err();
            let [Malformed { field, problem }] = wrong.as_slice() else { panic!("{wrong:?}") };
            assert!(field == "page_token" && problem.contains("other filters"), "{other:?}: {problem}");
        }
    }

    #[test]
    fn a_wrong_question_names_its_field() {
        let ask = |request: v1::ListDeploymentsRequest| {
            let fields: Vec<_> = ListQuery::try_from(request).unwrap_err().into_iter().map(|one| one.field).collect();
            fields.join(" ")
        };
        let request = v1::ListDeploymentsRequest::default;
        assert_eq!(ask(v1::ListDeploymentsRequest { page_size: 1_001, ..request() }), "page_size");
        assert_eq!(ask(v1::ListDeploymentsRequest { pull_request: 7, ..request() }), "repository");
        assert_eq!(ask(v1::ListDeploymentsRequest { verdict: 9, ..request() }), "verdict");
        assert_eq!(ask(v1::ListDeploymentsRequest { page_token: "x".to_owned(), ..request() }), "page_token");
        let order_by = "risk".to_owned();
        let read_mask = Some(prost_types::FieldMask { paths: vec!["nothing".to_owned()] });
        let all = v1::ListDeploymentsRequest { min_risk: Some(1.5), order_by, read_mask, ..request() };
        assert_eq!(ask(all), "read_mask order_by min_risk", "every wrong field is named");
    }
}
