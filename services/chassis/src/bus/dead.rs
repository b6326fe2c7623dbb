//! The dead letters: what could not be handled, kept whole, with the reason.

use anyhow::Context;
use async_nats::header::NATS_MESSAGE_ID;
use proto::event::dead_subject;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::{Instrument, Span};

use super::{Bus, Delivery};
use crate::metrics::list::DEAD_LETTERS;
use crate::trace;

/// Why it is dead.
pub const ERROR: &str = "Failsafe-Error";
/// Which service gave up.
pub const SERVICE: &str = "Failsafe-Service";
/// The subject it had.
pub const SUBJECT: &str = "Failsafe-Subject";
/// Its place in the stream.
pub const SEQUENCE: &str = "Failsafe-Stream-Sequence";
/// How often it had been delivered.
pub const DELIVERIES: &str = "Failsafe-Deliveries";
/// When the service gave up, in RFC 3339.
pub const AT: &str = "Failsafe-At";
/// The message id it had.
pub const MESSAGE_ID: &str = "Failsafe-Message-Id";

/// Set when the service has published what stands in the place of its answer, so that nobody waits for it.
pub const ANSWERED: &str = "Failsafe-Answered";

/// Whether a service has said what stands in the place of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has.
    Given,
    /// It could not.
    None,
}

impl Bus {
    /// Writes `delivery` to the dead letters of this service: its bytes, its headers, and why.
    pub(crate) async fn bury(&self, delivery: &Delivery, error: &str, answer: Answer) -> anyhow::Result<()> {
        let subject = dead_subject(self.service);
        // One dead letter per service and event, however often the burial is tried.
        let message_id = format!("dead:{}:{}", self.service, delivery.stream_sequence);
        let span = self.producing(&subject, &message_id, delivery.body().len());
        trace::continue_from(&span, delivery.unseen());
        self.bury_within(delivery, subject, message_id, error, answer).instrument(span).await
    }

    async fn bury_within(
        &self,
        delivery: &Delivery,
        subject: String,
        message_id: String,
        error: &str,
        answer: Answer,
    ) -> anyhow::Result<()> {
        let mut headers = delivery.headers();
        // Whoever takes it up again goes on from here.
        if let Some(parent) = trace::parent_of(&Span::current()) {
            headers.insert(trace::TRACEPARENT, parent);
        }
        if let Some(id) = delivery.message_id() {
            headers.insert(MESSAGE_ID, id.to_owned());
        }
        headers.insert(NATS_MESSAGE_ID, message_id);
        let one_line: String = error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(4_000).collect();
        headers.insert(ERROR, one_line.as_str());
        headers.insert(SERVICE, self.service);
        headers.insert(SUBJECT, delivery.subject());
        headers.insert(SEQUENCE, delivery.stream_sequence.to_string());
        headers.insert(DELIVERIES, delivery.deliveries.to_string());
        if answer == Answer::Given {
            headers.insert(ANSWERED, "yes");
        }
        headers.insert(AT, OffsetDateTime::now_utc().format(&Rfc3339)?);
        self.send(subject, headers, delivery.body().to_vec().into()).await.context("no acknowledgement")?;
        DEAD_LETTERS.add(1, [self.service]);
        tracing::warn!(
            subject = delivery.subject(),
            stream.sequence = delivery.stream_sequence,
            "moved to the dead letters of {}: {one_line}",
            self.service
        );
        Ok(())
    }
}
