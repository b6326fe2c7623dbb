//! An explanation: the words for a verdict. It explains and never decides.

use std::time::Duration;

use time::OffsetDateTime;

use crate::identity::{DeploymentId, EventId, RequestId};
use crate::verdict::Verdict;

/// The words for one verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// About which deployment.
    pub deployment_id: DeploymentId,
    /// The number of the verdict that it explains.
    pub verdict_number: u32,
    /// The verdict that it explains.
    pub verdict: Verdict,
    /// The whole in one sentence.
    pub headline: String,
    /// Why it is so.
    pub why: Vec<Claim>,
    /// What to do.
    pub what_to_do: Vec<Claim>,
    /// What is not certain.
    pub uncertain: Vec<String>,
    /// The request that it was written for; `None` for the one that every verdict gets by itself.
    pub request: Option<EventId>,
    /// Who wrote it.
    pub origin: Origin,
    /// The explainer's own version.
    pub producer: String,
    /// How long the writing took.
    pub took: Duration,
    /// When it was written.
    pub written_at: OffsetDateTime,
}

impl Explanation {
    /// The kind of event that carries an explanation.
    pub const KIND: &'static str = "explanation.written";

    /// The id of the event that carries this explanation.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        let number = self.verdict_number.to_string();
        // A request is answered once, whoever does it in the end.
        if let Some(request) = self.request {
            return EventId::derive(Self::KIND, self.deployment_id, &[&number, &self.producer, &request.to_string()]);
        }
        let by = match &self.origin {
            Origin::Model { name, .. } => name.as_str(),
            Origin::Evidence { .. } => "",
        };
        EventId::derive(Self::KIND, self.deployment_id, &[&number, &self.producer, by])
    }
}

/// Somebody wants new words for the latest verdict, beside those that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplanationRequest {
    /// About which deployment.
    pub deployment_id: DeploymentId,
    /// The language model that is to write them; `None` for the one in the settings.
    pub model: Option<ModelName>,
    /// When it was asked for. Each time is a request of its own.
    pub requested_at: OffsetDateTime,
    /// By which the caller told this request from others; `None` when each is one of its own.
    pub request: Option<RequestId>,
}

impl ExplanationRequest {
    /// The kind of event that carries a request.
    pub const KIND: &'static str = "explanation.requested";

    /// The id of the event that carries this request.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        if let Some(request) = self.request {
            return EventId::of_request(Self::KIND, self.deployment_id, request);
        }
        let model = self.model.as_ref().map_or("", ModelName::as_str);
        let at = self.requested_at.unix_timestamp_nanos().to_string();
        EventId::derive(Self::KIND, self.deployment_id, &[model, &at])
    }
}

/// The name of a language model on its server, such as `llama3.2:3b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName(String);

impl ModelName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 200;

    /// `text` as a model's name.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_plain = !text.is_empty() && text.len() <= Self::BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        is_plain.then(|| Self(text.to_owned())).ok_or_else(|| {
            format!(
                "must be a model's name such as llama3.2:3b, without spaces and of at most {} bytes",
                Self::BYTES_MAX
            )
        })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One claim, and the evidence for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The claim, in one or two sentences.
    pub text: String,
    /// Ids of the evidence: `S1` a finding, `M1` a contribution to the risk, `P1` a reason of the verdict, `D1` a fact of the deployment.
    pub evidence: Vec<String>,
}

/// Who wrote an explanation, and how well it did.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A language model.
    Model {
        /// Its name, such as `llama3.2:3b`.
        name: String,
        /// Its digest, as the server tells it; empty when it does not.
        digest: String,
        /// The share of its claims that held against the evidence, 0 to 1; `None` when nobody counted.
        grounding: Option<f64>,
        /// How many of its claims did not hold and were left out.
        claims_dropped: u32,
        /// Tokens of all that it was asked for this explanation, when the server counted them.
        prompt_tokens: Option<u64>,
        /// Tokens of all that it answered, when the server counted them.
        answer_tokens: Option<u64>,
    },
    /// Nobody: it was put together from the evidence by rules.
    Evidence {
        /// Why no model wrote it, in one sentence.
        because: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation(request: Option<EventId>, origin: Origin) -> Explanation {
        Explanation {
            deployment_id: DeploymentId::parse("2390b58a-c653-5a88-a9a1-c2e65e719444").unwrap(),
            verdict_number: 1,
            verdict: Verdict::Block,
            headline: "It is blocked.".to_owned(),
            why: Vec::new(),
            what_to_do: Vec::new(),
            uncertain: Vec::new(),
            request,
            origin,
            producer: "0.1.0".to_owned(),
            took: Duration::ZERO,
            written_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn each_request_is_answered_by_an_explanation_of_its_own() {
        let evidence = |because: &str| Origin::Evidence { because: because.to_owned() };
        let model = Origin::Model {
            name: "m".to_owned(),
            digest: String::new(),
            grounding: None,
            claims_dropped: 0,
            prompt_tokens: None,
            answer_tokens: None,
        };
        let first = explanation(None, evidence("")).event_id();
        let request = |seconds| ExplanationRequest {
            deployment_id: DeploymentId::parse("2390b58a-c653-5a88-a9a1-c2e65e719444").unwrap(),
            model: None,
            requested_at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds),
            request: None,
        };
        let (one, other) = (request(1).event_id(), request(2).event_id());
        assert_ne!(one, other);
        let again = explanation(Some(one), evidence("")).event_id();
        assert_ne!(again, first);
        assert_ne!(again, explanation(Some(other), evidence("")).event_id());
        assert_eq!(again, explanation(Some(one), model).event_id(), "handled twice, it is answered once");
    }

    #[test]
    fn a_models_name_is_one_word() {
        for name in ["llama3.2:3b", "hf.co/acme/Model-GGUF:Q4_K_M", "a@b"] {
            assert_eq!(ModelName::parse(name).unwrap().as_str(), name);
        }
        for wrong in ["", "a b", "a\n", "\u{202e}a", &"a".repeat(201)] {
            assert!(ModelName::parse(wrong).unwrap_err().starts_with("must be a model's name"), "{wrong:?}");
        }
    }
}
