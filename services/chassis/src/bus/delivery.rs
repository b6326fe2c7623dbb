//! One event as it arrived, to be acknowledged, put off or rejected.

use std::time::{Duration, Instant, SystemTime};

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use proto::{Event, Malformed};
use time::OffsetDateTime;
use tracing::Span;

use super::Bus;
use super::dead::Answer;
use super::publish::{CONTENT_TYPE, SUBMITTED_AT, at_of, template};
use crate::metrics::list::{PROCESS, REDELIVERIES, STAGES};
use crate::trace;

/// One event as it arrived. Dropped without a word, it is delivered again after the wait.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    consumer: String,
    /// Its subject without the deployment's id.
    template: String,
    arrived: Instant,
    /// When the stream stored it.
    pub stored_at: OffsetDateTime,
    /// Its place in the stream.
    pub stream_sequence: u64,
    /// How often it has been delivered, this time included; from 1.
    pub deliveries: u32,
}

impl Delivery {
    pub(crate) fn new(message: Message) -> anyhow::Result<Self> {
        let info = message.info().map_err(|error| anyhow::anyhow!("not a message of a stream: {error}"))?;
        let (stream_sequence, consumer) = (info.stream_sequence, info.consumer.to_owned());
        let deliveries = u32::try_from(info.delivered).unwrap_or(u32::MAX).max(1);
        let stored_at = OffsetDateTime::from(SystemTime::from(info.published));
        if deliveries > 1 {
            REDELIVERIES.add(1, [&consumer]);
        }
        let template = template(&message.subject);
        Ok(Self { message, consumer, template, arrived: Instant::now(), stored_at, stream_sequence, deliveries })
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.message.payload
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.message.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// The sender's message id; `None` when it gave none.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.message.headers.as_ref()?.get(NATS_MESSAGE_ID).map(async_nats::HeaderValue::as_str)
    }

    /// When the submission that it goes back to was stored; its own time when it does not say.
    #[must_use]
    pub fn submitted_at(&self) -> OffsetDateTime {
        self.header(SUBMITTED_AT).and_then(at_of).unwrap_or(self.stored_at)
    }

    pub(crate) fn headers(&self) -> async_nats::HeaderMap {
        self.message.headers.clone().unwrap_or_default()
    }

    /// Reads the event, from protobuf or JSON.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn decode<E: Event>(&self) -> Result<E, Malformed> {
        proto::decode(self.header(CONTENT_TYPE), self.body())
    }

    /// The trace that it is part of, if nobody sees that: it is passed on as it came, without a span.
    #[must_use]
    pub fn unseen(&self) -> Option<&str> {
        self.header(trace::TRACEPARENT).filter(|parent| !trace::may_be_seen(Some(parent)))
    }

    /// The span in which `service` handles it, a child of the sender's, as OpenTelemetry's messaging conventions describe it.
    #[must_use]
    pub fn span(&self, service: &'static str) -> Span {
        let span = tracing::info_span!(
            "process",
            otel.name = format!("process {}", self.template),
            otel.kind = "consumer",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            error.type = tracing::field::Empty,
            messaging.system = "nats",
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.name = self.subject(),
            messaging.destination.template = self.template,
            messaging.consumer.group.name = self.consumer,
            messaging.message.id = self.message_id(),
            messaging.message.body.size = self.body().len(),
            messaging.nats.stream.sequence = self.stream_sequence,
            messaging.nats.deliveries = self.deliveries,
            failsafe.service = service,
            deployment.id = tracing::field::Empty,
        );
        trace::continue_from(&span, self.header(trace::TRACEPARENT));
        span
    }

    /// Says that it has been handled.
    pub async fn acknowledge(&self) {
        self.answer(AckKind::Ack).await;
        self.measure("");
        self.measure_stage();
    }

    /// Asks for it again after `wait`.
    pub async fn put_off(&self, wait: Duration) {
        self.answer(AckKind::Nak(Some(wait))).await;
        self.measure("retry");
    }

    fn measure(&self, error: &str) {
        let took = self.arrived.elapsed().as_secs_f64();
        PROCESS.record(took, ["nats", &self.consumer, &self.template, error]);
    }

    fn measure_stage(&self) {
        // Clocks of two machines may differ by more than it took.
        let took = (OffsetDateTime::now_utc() - self.stored_at).as_seconds_f64().max(0.0);
        STAGES.record(took, [&self.consumer]);
    }

    /// Says that work on it goes on.
    pub async fn keep(&self) {
        self.answer(AckKind::Progress).await;
    }

    /// Moves it to the dead letters of the bus's service, with the error, and asks for no more deliveries.
    ///
    /// When the dead letter cannot be written the event is put off instead: it is never lost.
    pub async fn reject(&self, bus: &Bus, error: &str) {
        self.reject_with(bus, error, Answer::None).await;
    }

    pub(crate) async fn reject_with(&self, bus: &Bus, error: &str, answer: Answer) {
        match bus.bury(self, error, answer).await {
            Ok(()) => {
                self.answer(AckKind::Term).await;
                self.measure("reject");
                self.measure_stage();
            }
            Err(failed) => {
                tracing::error!("cannot write the dead letter of {}: {failed:#}", self.subject());
                self.put_off(Duration::from_secs(10)).await;
            }
        }
    }

    async fn answer(&self, kind: AckKind) {
        // An answer that is lost leads to another delivery, which is harmless.
        if let Err(error) = self.message.ack_with(kind).await {
            tracing::warn!("cannot answer for {}: {error}", self.subject());
        }
    }
}
