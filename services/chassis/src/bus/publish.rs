//! Publishing: with the event's own id, within its trace, acknowledged by the stream.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use domain::DeploymentId;
use proto::Event;
use tracing::{Instrument, Span};

use super::Bus;
use crate::trace;

/// The header that says how a body is written.
pub(crate) const CONTENT_TYPE: &str = "Content-Type";

/// An event ready to be published.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its subject.
    pub subject: String,
    /// Its id.
    pub message_id: String,
    /// Its protobuf bytes.
    pub body: Vec<u8>,
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
            body: event.encode(),
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
        let span = tracing::info_span!(
            "publish",
            otel.name = format!("send {}", template(&outgoing.subject)),
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.operation.name = "publish",
            messaging.operation.type = "send",
            messaging.destination.name = outgoing.subject,
            messaging.destination.template = template(&outgoing.subject),
            messaging.message.id = outgoing.message_id,
            messaging.message.body.size = outgoing.body.len(),
            failsafe.service = self.service,
            deployment.id = outgoing.deployment_id.map(tracing::field::display),
        );
        trace::continue_from(&span, outgoing.traceparent.as_deref());
        self.publish_within(outgoing).instrument(span).await
    }

    async fn publish_within(&self, outgoing: &Outgoing) -> anyhow::Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, outgoing.message_id.as_str());
        headers.insert(CONTENT_TYPE, "application/x-protobuf");
        if let Some(parent) = trace::parent_of(&Span::current()) {
            headers.insert(trace::TRACEPARENT, parent);
        }
        let body = outgoing.body.clone().into();
        let sending = async {
            match self.jetstream.publish_with_headers(outgoing.subject.clone(), headers, body).await {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            }
        };
        self.unless_denied(&outgoing.subject, sending)
            .await?
            .map(|_| ())
            .map_err(|error| anyhow::Error::new(error).context(format!("cannot publish {}", outgoing.subject)))
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
