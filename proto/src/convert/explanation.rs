//! Explanations.

use domain::{Claim, EventId, Explanation, ExplanationRequest, ModelName, Origin};

use time::OffsetDateTime;

use super::{
    deployment_id, duration_from, duration_to, enums, request_id, request_id_to, required, required_time, timestamp,
};
use crate::{Malformed, v1};
use v1::explanation_written::Origin as Wire;

pub(crate) fn written_to(explanation: &Explanation) -> v1::ExplanationWritten {
    v1::ExplanationWritten {
        event_id: explanation.event_id().to_string(),
        deployment_id: explanation.deployment_id.to_string(),
        verdict_number: explanation.verdict_number,
        verdict: enums::verdict_to(explanation.verdict),
        headline: explanation.headline.clone(),
        why: explanation.why.iter().map(claim_to).collect(),
        what_to_do: explanation.what_to_do.iter().map(claim_to).collect(),
        uncertain: explanation.uncertain.clone(),
        origin: Some(origin_to(&explanation.origin)),
        producer: explanation.producer.clone(),
        took: Some(duration_to(explanation.took)),
        written_at: Some(timestamp(explanation.written_at)),
        request_id: explanation.request.map(|id| id.to_string()).unwrap_or_default(),
    }
}

impl From<Explanation> for v1::ExplanationWritten {
    fn from(explanation: Explanation) -> Self {
        written_to(&explanation)
    }
}

pub(crate) fn written_from(message: v1::ExplanationWritten) -> Result<Explanation, Malformed> {
    Ok(Explanation {
        deployment_id: deployment_id(&message.deployment_id)?,
        verdict_number: message.verdict_number,
        verdict: enums::verdict_from("verdict", message.verdict)?,
        headline: message.headline,
        why: message.why.into_iter().map(claim_from).collect(),
        what_to_do: message.what_to_do.into_iter().map(claim_from).collect(),
        uncertain: message.uncertain,
        request: match message.request_id.as_str() {
            "" => None,
            id => Some(EventId::parse(id).map_err(|problem| Malformed::new("request_id", problem))?),
        },
        origin: origin_from(required("origin", message.origin)?)?,
        producer: message.producer,
        took: duration_from("took", message.took)?,
        written_at: required_time("written_at", message.written_at)?,
    })
}

pub(crate) fn requested_to(request: &ExplanationRequest) -> v1::ExplanationRequested {
    v1::ExplanationRequested {
        event_id: request.event_id().to_string(),
        deployment_id: request.deployment_id.to_string(),
        model: request.model.as_ref().map(|model| model.as_str().to_owned()).unwrap_or_default(),
        requested_at: Some(timestamp(request.requested_at)),
        request_id: request_id_to(request.request),
    }
}

pub(crate) fn requested_from(message: v1::ExplanationRequested) -> Result<ExplanationRequest, Malformed> {
    Ok(ExplanationRequest {
        deployment_id: deployment_id(&message.deployment_id)?,
        model: model_from(&message.model)?,
        requested_at: required_time("requested_at", message.requested_at)?,
        request: request_id(&message.request_id)?,
    })
}

/// The model that is wished for, if one is.
fn model_from(name: &str) -> Result<Option<ModelName>, Malformed> {
    let named = (!name.is_empty()).then(|| ModelName::parse(name)).transpose();
    named.map_err(|problem| Malformed::new("model", problem))
}

impl v1::ExplainDeploymentRequest {
    /// The request as an event of that time.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn at(self, requested_at: OffsetDateTime) -> Result<ExplanationRequest, Vec<Malformed>> {
        match (deployment_id(&self.deployment_id), model_from(&self.model), request_id(&self.request_id)) {
            (Ok(deployment_id), Ok(model), Ok(request)) => {
                Ok(ExplanationRequest { deployment_id, model, requested_at, request })
            }
            (id, model, request) => Err([id.err(), model.err(), request.err()].into_iter().flatten().collect()),
        }
    }
}

fn origin_to(origin: &Origin) -> Wire {
    match origin {
        Origin::Model { name, digest, grounding, claims_dropped, prompt_tokens, answer_tokens } => {
            Wire::Model(v1::ModelOrigin {
                name: name.clone(),
                digest: digest.clone(),
                grounding: *grounding,
                claims_dropped: *claims_dropped,
                prompt_tokens: *prompt_tokens,
                answer_tokens: *answer_tokens,
            })
        }
        Origin::Evidence { because } => Wire::FromEvidence(v1::EvidenceOrigin { because: because.clone() }),
    }
}

fn origin_from(message: Wire) -> Result<Origin, Malformed> {
    match message {
        Wire::Model(model) => {
            if let Some(share) = model.grounding
                && !(0.0..=1.0).contains(&share)
            {
                return Err(Malformed::new("grounding", format!("must be 0 to 1, not {share}")));
            }
            Ok(Origin::Model {
                name: model.name,
                digest: model.digest,
                grounding: model.grounding,
                claims_dropped: model.claims_dropped,
                prompt_tokens: model.prompt_tokens,
                answer_tokens: model.answer_tokens,
            })
        }
        Wire::FromEvidence(from) => Ok(Origin::Evidence { because: from.because }),
    }
}

fn claim_to(claim: &Claim) -> v1::Claim {
    v1::Claim { text: claim.text.clone(), evidence: claim.evidence.clone() }
}

fn claim_from(message: v1::Claim) -> Claim {
    Claim { text: message.text, evidence: message.evidence }
}
