//! Publishing: with the event's own id, within its trace, acknowledged by the stream.

use anyhow::Context;
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use bytes::Bytes;
use domain::DeploymentId;
use proto::Event;
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::Bus;
use crate::metrics::list::PUBLISH;
use crate::trace;

/// The header that says how a body is written.
pub(crate) const CONTENT_TYPE: &str = "Content-Type";

/// When the submission that an event goes back to was stored, in nanoseconds since 1970: it travels from hop to hop, so that
/// whoever reaches the verdict knows how long all of it took.
pub(crate) const SUBMITTED_AT: &str = "Failsafe-Submitted-At";

/// The place in the stream that servers of some versions give in answer to an id that their leader has noted and that is not stored yet
/// (later ones refuse instead). A leader that is cut off forgets the event when it is not the leader any more.
const UNSTORED: u64 = 0;

/// Reads such a time.
pub(crate) fn at_of(header: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(header.parse().ok()?).ok()
}

/// An event ready to be published.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its subject.
    pub subject: String,
    /// Its id.
    pub message_id: String,
    /// Its protobuf bytes.
    pub body: Bytes,
    /// The trace it continues; `None` for that of the span it is published in.
    pub traceparent: Option<String>,
    /// The deployment it is about, where that is known.
    pub deployment_id: Option<DeploymentId>,
}

impl Outgoing {
    /// `event`, ready to be published within the current trace.
    #[must_use]
    pub fn new<E: Event>(event: &E) -> Self {
        Self {
            subject: event.subject(),
            message_id: event.event_id().to_string(),
            body: event.encode().into(),
            traceparent: None,
            deployment_id: event.deployment_id(),
        }
    }
}

impl Bus {
    /// Publishes `outgoing` and waits until the stream has it. The stream keeps one message of each id.
    ///
    /// # Errors
    /// When the stream did not acknowledge: it may have the message or not, so publish it again.
    pub async fn publish(&self, outgoing: &Outgoing) -> anyhow::Result<()> {
        self.publish_since(outgoing, None).await
    }

    /// The same for an event that goes back to a submission of that time.
    pub(crate) async fn publish_since(
        &self,
        outgoing: &Outgoing,
        submitted_at: Option<OffsetDateTime>,
    ) -> anyhow::Result<()> {
        let known = outgoing.traceparent.clone().or_else(trace::current);
        if known.is_some() && !trace::may_be_seen(known.as_deref()) {
            return self.publish_within(outgoing, submitted_at, known).await;
        }
        let span = self.producing(&outgoing.subject, &outgoing.message_id, outgoing.body.len());
        if let Some(id) = outgoing.deployment_id {
            span.record("deployment.id", tracing::field::display(id));
        }
        trace::continue_from(&span, outgoing.traceparent.as_deref());
        let parent = trace::parent_of(&span);
        self.publish_within(outgoing, submitted_at, parent).instrument(span).await
    }

    /// The span of a publish, as OpenTelemetry's messaging conventions describe it.
    pub(super) fn producing(&self, subject: &str, message_id: &str, body_bytes: usize) -> Span {
        let template = template(subject);
        tracing::info_span!(
            "publish",
            otel.name = format!("publish {template}"),
            otel.kind = "producer",
            otel.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
            messaging.system = "nats",
            messaging.operation.name = "publish",
            messaging.operation.type = "send",
            messaging.destination.name = subject,
            messaging.destination.template = template,
            messaging.message.id = message_id,
            messaging.message.body.size = body_bytes,
            failsafe.service = self.service,
            deployment.id = tracing::field::Empty,
        )
    }

    async fn publish_within(
        &self,
        outgoing: &Outgoing,
        submitted_at: Option<OffsetDateTime>,
        parent: Option<String>,
    ) -> anyhow::Result<()> {
        let mut headers = HeaderMap::new();
        if let Some(at) = submitted_at {
            headers.insert(SUBMITTED_AT, at.unix_timestamp_nanos().to_string());
        }
        headers.insert(NATS_MESSAGE_ID, outgoing.message_id.as_str());
        headers.insert(CONTENT_TYPE, "application/x-protobuf");
        if let Some(parent) = parent {
            headers.insert(trace::TRACEPARENT, parent);
        }
        self.send(outgoing.subject.clone(), headers, outgoing.body.clone())
            .await
            .with_context(|| format!("cannot publish {}", outgoing.subject))
    }

    /// Publishes within the current span, which learns of a failure, and measures how long the stream took.
    pub(crate) async fn send(&self, subject: String, headers: HeaderMap, body: Bytes) -> anyhow::Result<()> {
        let (began, destination) = (Instant::now(), template(&subject));
        let sending = async {
            match self.jetstream.publish_with_headers(subject.clone(), headers, body).await {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            }
        };
        let acknowledged = self.unless_denied(&subject, sending).await;
        let kind = match &acknowledged {
            Ok(Ok(stored)) if stored.sequence == UNSTORED => Some("Unstored".to_owned()),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(format!("{:?}", error.kind())),
            Err(_) => Some("Denied".to_owned()),
        };
        if let Some(kind) = &kind {
            Span::current().record("otel.status_code", "ERROR").record("error.type", kind);
        }
        let took = began.elapsed().as_secs_f64();
        PUBLISH.record(took, ["nats", "publish", &destination, kind.as_deref().unwrap_or_default()]);
        let stored = acknowledged?.map_err(anyhow::Error::new)?;
        anyhow::ensure!(stored.sequence != UNSTORED, "the stream has begun to store it, and not done so yet");
        Ok(())
    }
}

/// The subject without the deployment's id, so that spans of the same kind have the same name.
pub(crate) fn template(subject: &str) -> String {
    match subject.rsplit_once('.') {
        Some((before, id)) if domain::DeploymentId::parse(id).is_ok() => format!("{before}.<deployment_id>"),
        _ => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::template;

    #[test]
    fn a_template_holds_no_id() {
        let subject = "failsafe.v1.signal.raised.2390b58a-c653-5a88-a9a1-c2e65e719444";
        assert_eq!(template(subject), "failsafe.v1.signal.raised.<deployment_id>");
        assert_eq!(template("failsafe.v1.deployment.submitted"), "failsafe.v1.deployment.submitted");
    }
}
