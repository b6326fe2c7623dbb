//! What reaches the decision service: each event decoded, with all that the audit trail keeps of it.

use bytes::Bytes;
use chassis::Delivery;
use domain::{Deployment, DeploymentId, EventId, Explanation, Outcome, Review, Signal};
use proto::event::Form;
use proto::{Event, Malformed};
use time::OffsetDateTime;

/// One event that reached the service.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its id.
    pub event_id: EventId,
    /// The deployment it is about.
    pub deployment_id: DeploymentId,
    /// Its kind.
    pub kind: &'static str,
    /// The subject it came on.
    pub subject: String,
    /// Its place in the stream.
    pub stream_sequence: i64,
    /// The message id its sender gave it.
    pub message_id: Option<String>,
    /// The trace it is part of.
    pub traceparent: Option<String>,
    /// When the submission that it goes back to was stored; `None` when that is not known.
    pub submitted_at: Option<OffsetDateTime>,
    /// Its protobuf bytes, as they came or, for one that came as JSON, as they would have come.
    pub body: Bytes,
    /// What it says.
    pub content: Content,
}

/// What an event says.
#[derive(Clone, Debug)]
pub enum Content {
    /// A deployment was accepted. Its diff is in the body of the event alone.
    Accepted(Box<Deployment>),
    /// An analyser spoke.
    Signal(Signal),
    /// A verdict was explained.
    Explanation(Explanation),
    /// A person decided.
    Review(Review),
    /// Production told.
    Outcome(Outcome),
}

impl Content {
    /// What an acceptance says.
    #[must_use]
    pub fn accepted(deployment: Deployment) -> Self {
        Self::Accepted(Box::new(deployment.without_diff()))
    }
}

impl Incoming {
    /// Reads `delivery` as an event of kind `E`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read<E: Event>(delivery: &Delivery, content: fn(E) -> Content) -> Result<Self, Malformed> {
        let event: E = delivery.decode()?;
        let deployment_id = event
            .deployment_id()
            .ok_or_else(|| Malformed { field: "deployment_id".to_owned(), problem: "is required".to_owned() })?;
        let body = match Form::of(delivery.header("Content-Type"), delivery.body()) {
            Form::Protobuf => delivery.body().clone(),
            Form::Json => event.encode().into(),
        };
        Ok(Self {
            event_id: event.event_id(),
            deployment_id,
            kind: E::KIND,
            subject: delivery.subject().to_owned(),
            stream_sequence: i64::try_from(delivery.stream_sequence).unwrap_or(i64::MAX),
            message_id: delivery.message_id().map(str::to_owned),
            traceparent: None,
            submitted_at: Some(delivery.submitted_at()),
            body,
            content: content(event),
        })
    }
}
