//! An explanation: the words for a verdict. It explains and never decides.

use std::time::Duration;

use time::OffsetDateTime;

use crate::identity::{DeploymentId, EventId};
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
        let by = match &self.origin {
            Origin::Model { name, .. } => name.as_str(),
            Origin::Evidence { .. } => "",
        };
        EventId::derive(Self::KIND, self.deployment_id, &[&number, &self.producer, by])
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
