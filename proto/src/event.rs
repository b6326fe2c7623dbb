//! The subject table: every event, its subject, its id and its encoding.

use prost::Message;

use domain::{
    Deployment, DeploymentId, Draft, EventId, Explanation, ExplanationRequest, Outcome, Reached, Review, Signal,
};

use crate::convert::{deployment, explanation, record, signal, submission, verdict};
use crate::{Malformed, from_json, v1};

/// The stream that holds every event.
pub const STREAM: &str = "FAILSAFE";
/// What the stream takes in.
pub const STREAM_SUBJECTS: &str = "failsafe.v1.>";
/// The stream of what could not be handled.
pub const DEAD_STREAM: &str = "FAILSAFE_DEAD";
/// What that stream takes in.
pub const DEAD_SUBJECTS: &str = "failsafe.dead.>";
/// The object store bucket of large diffs.
pub const DIFFS_BUCKET: &str = "failsafe-diffs";
/// The key-value bucket of the models that every ml-scoring replica follows.
pub const MODELS_BUCKET: &str = "failsafe-models";
/// The key-value bucket of the policies that every decision replica follows.
pub const POLICIES_BUCKET: &str = "failsafe-policies";
/// The key-value bucket of the API tokens that every gateway follows. It holds their hashes.
pub const TOKENS_BUCKET: &str = "failsafe-tokens";
/// The object store bucket of repositories' histories.
pub const HISTORY_BUCKET: &str = "failsafe-history";

/// Where `service` leaves what it could not handle.
#[must_use]
pub fn dead_subject(service: &str) -> String {
    format!("failsafe.dead.{service}")
}

/// The subjects of every event about one deployment.
#[must_use]
pub fn subjects_of(deployment: DeploymentId) -> String {
    format!("failsafe.v1.*.*.{deployment}")
}

/// The kind of event that travels on `subject`, with or without a deployment's id behind it; `None` when it is none of ours.
#[must_use]
pub fn kind_of(subject: &str) -> Option<&str> {
    let rest = subject.strip_prefix("failsafe.v1.")?;
    let mut dots = rest.match_indices('.').map(|(at, _)| at);
    match (dots.next(), dots.next()) {
        (Some(_), Some(second)) => Some(&rest[..second]),
        _ => Some(rest),
    }
}

/// Something that happened, and how it travels.
pub trait Event: Sized + Send + Sync + 'static {
    /// What happened: `deployment.accepted`. The subject is `failsafe.v1.<kind>`, with the deployment's id behind it.
    const KIND: &'static str;

    /// The subjects on which events of this kind arrive.
    #[must_use]
    fn filter() -> String {
        format!("failsafe.v1.{}.*", Self::KIND)
    }

    /// The subject of every event of this kind about that deployment.
    #[must_use]
    fn subject_of(deployment: DeploymentId) -> String {
        format!("failsafe.v1.{}.{deployment}", Self::KIND)
    }

    /// The subject of this event.
    fn subject(&self) -> String {
        match self.deployment_id() {
            Some(id) => Self::subject_of(id),
            None => format!("failsafe.v1.{}", Self::KIND),
        }
    }

    /// The deployment that it is about; `None` before ingest has named it.
    fn deployment_id(&self) -> Option<DeploymentId>;

    /// The deterministic id: `Nats-Msg-Id`, field of the message, primary key of the audit trail.
    fn event_id(&self) -> EventId;

    /// The protobuf bytes.
    fn encode(&self) -> Vec<u8>;

    /// Reads protobuf bytes.
    ///
    /// # Errors
    /// The field that is missing or wrong.
    fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed>;

    /// Reads the proto3 JSON form.
    ///
    /// # Errors
    /// The field that is missing, unknown or wrong.
    fn from_json(text: &[u8]) -> Result<Self, Malformed>;
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Protobuf bytes.
    Protobuf,
    /// The proto3 JSON form.
    Json,
}

impl Form {
    /// The form of `body`, given its `Content-Type` header if it has one. No protobuf message of ours begins with the byte
    /// `{` (it would open a group of field 15), so a body that does is JSON.
    #[must_use]
    pub fn of(content_type: Option<&str>, body: &[u8]) -> Self {
        let declared = content_type.is_some_and(|text| text.starts_with("application/json"));
        if declared || body.first() == Some(&b'{') { Self::Json } else { Self::Protobuf }
    }
}

/// Reads an event from a message's body.
///
/// # Errors
/// The field that is missing, unknown or wrong.
pub fn decode<E: Event>(content_type: Option<&str>, body: &[u8]) -> Result<E, Malformed> {
    match Form::of(content_type, body) {
        Form::Protobuf => E::from_protobuf(body),
        Form::Json => E::from_json(body),
    }
}

/// One line of the subject table: the domain's word, its message, and the functions between the two.
macro_rules! event {
    ($word:ty, $message:ident, $id:expr, $event_id:expr, $to:path, $from:path) => {
        impl Event for $word {
            const KIND: &'static str = <$word>::KIND;

            fn deployment_id(&self) -> Option<DeploymentId> {
                $id(self)
            }

            fn event_id(&self) -> EventId {
                $event_id(self)
            }

            fn encode(&self) -> Vec<u8> {
                $to(self).encode_to_vec()
            }

            fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
                let name = concat!("failsafe.v1.", stringify!($message));
                let message = v1::$message::decode(bytes)
                    .map_err(|error| Malformed::new(name, format!("not its protobuf form: {error}")))?;
                $from(message)
            }

            fn from_json(text: &[u8]) -> Result<Self, Malformed> {
                $from(from_json::<v1::$message>(concat!("failsafe.v1.", stringify!($message)), text)?)
            }
        }
    };
}

event!(
    Deployment,
    DeploymentAccepted,
    |d: &Deployment| Some(d.id),
    Deployment::event_id,
    deployment::accepted_to,
    deployment::accepted_from
);
event!(
    Signal,
    SignalRaised,
    |s: &Signal| Some(s.deployment_id),
    Signal::event_id,
    signal::raised_to,
    signal::raised_from
);
event!(
    Reached,
    VerdictReached,
    |r: &Reached| Some(r.deployment_id),
    Reached::event_id,
    verdict::reached_to,
    verdict::reached_from
);
event!(
    Explanation,
    ExplanationWritten,
    |e: &Explanation| Some(e.deployment_id),
    Explanation::event_id,
    explanation::written_to,
    explanation::written_from
);
event!(
    ExplanationRequest,
    ExplanationRequested,
    |r: &ExplanationRequest| Some(r.deployment_id),
    ExplanationRequest::event_id,
    explanation::requested_to,
    explanation::requested_from
);
event!(
    Review,
    ReviewRecorded,
    |r: &Review| Some(r.deployment_id),
    Review::event_id,
    record::review_to,
    record::review_from
);
event!(
    Outcome,
    OutcomeRecorded,
    |o: &Outcome| Some(o.deployment_id),
    Outcome::event_id,
    record::outcome_to,
    record::outcome_from
);

impl Event for Draft {
    const KIND: &'static str = Draft::KIND;

    fn filter() -> String {
        format!("failsafe.v1.{}", Self::KIND)
    }

    fn deployment_id(&self) -> Option<DeploymentId> {
        None
    }

    fn event_id(&self) -> EventId {
        EventId::of_bytes(Self::KIND, &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        submission::draft_to(self).encode_to_vec()
    }

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        let name = "failsafe.v1.SubmitDeploymentRequest";
        let message = v1::SubmitDeploymentRequest::decode(bytes)
            .map_err(|error| Malformed::new(name, format!("not its protobuf form: {error}")))?;
        submission::draft_from(message)
    }

    fn from_json(text: &[u8]) -> Result<Self, Malformed> {
        submission::draft_from(from_json("failsafe.v1.SubmitDeploymentRequest", text)?)
    }
}
