//! Questions and answers over NATS request and reply, outside the stream (a stream would answer them itself).

use prost::Message;

use crate::{Malformed, v1};

/// A question, and what answers it. The bodies are those of the gRPC call of the same name.
pub trait Question: Message + Default {
    /// The last token of the subject.
    const NAME: &'static str;
    /// The answer's message.
    type Answer: Message + Default;

    /// The subject on which the question is asked.
    #[must_use]
    fn subject() -> String {
        format!("failsafe.ask.v1.{}", Self::NAME)
    }
}

/// Asks for one deployment.
pub type GetDeployment = v1::GetDeploymentRequest;
/// Asks for a list of deployments.
pub type ListDeployments = v1::ListDeploymentsRequest;

/// Asks for an attestation of a verdict.
pub type AttestVerdict = v1::AttestVerdictRequest;

impl Question for AttestVerdict {
    const NAME: &'static str = "attest_verdict";
    type Answer = v1::AttestVerdictResponse;
}

impl Question for GetDeployment {
    const NAME: &'static str = "get_deployment";
    type Answer = v1::GetDeploymentResponse;
}

impl Question for ListDeployments {
    const NAME: &'static str = "list_deployments";
    type Answer = v1::ListDeploymentsResponse;
}

/// Reads a question or an answer.
///
/// # Errors
/// When the bytes are not of that message.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Malformed> {
    M::decode(bytes).map_err(|error| Malformed::new("body", error.to_string()))
}

/// The subject on which the instances of `service` say how they are.
#[must_use]
pub fn health_subject(service: &str) -> String {
    format!("failsafe.ask.v1.health.{service}")
}
