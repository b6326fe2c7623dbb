//! The dead letters as an operator works with them: read, published again, taken out.

use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use bytes::Bytes;
use futures::StreamExt;
use proto::event::DEAD_STREAM;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::publish::SUBMITTED_AT;
use super::{Bus, dead};

/// How many are read at a time.
const BATCH: usize = 256;
/// How long the server remembers where a reader was that has gone.
const INACTIVE_AFTER: Duration = Duration::from_secs(30);
/// Headers of a publish that hold for that one publish only, and those that the burial added.
const NOT_REPEATED: [&str; 2] = ["Nats-", "Failsafe-"];

/// Something that could not be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its place among the dead letters.
    pub number: u64,
    /// The service that gave up, or the consumer whose deliveries went without an answer.
    pub service: String,
    /// Why.
    pub error: String,
    /// How often it had been delivered.
    pub deliveries: u64,
    /// When it was given up.
    pub at: OffsetDateTime,
    /// The place of the message in the stream of events.
    pub sequence: u64,
    /// The message itself; `None` when the stream holds it no longer.
    pub message: Option<Original>,
}

/// A message as its sender wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its subject.
    pub subject: String,
    /// Its headers, less those of the burial.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why a dead letter could not be published again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeued {
    /// It is in the stream of events again, and no longer among the dead letters.
    Done,
    /// The stream holds the message no longer: only its advisory is left.
    Gone,
}

/// The parts that are read of the advisory `io.nats.jetstream.advisory.v1.max_deliver`.
#[derive(Deserialize)]
pub(super) struct Advisory {
    pub(super) consumer: String,
    pub(super) stream_seq: u64,
    pub(super) deliveries: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) timestamp: OffsetDateTime,
}

impl Advisory {
    /// What it says, in words.
    pub(super) fn words(&self) -> String {
        format!("{} deliveries went without an answer, as when its process dies of it", self.deliveries)
    }
}

impl Bus {
    /// The dead letters, the oldest first, at most `max` of them, and how many there are in all.
    ///
    /// # Errors
    /// When the bus is away.
    pub async fn letters(&self, max: usize) -> anyhow::Result<(Vec<Letter>, u64)> {
        let mut stream = self.dead_stream().await?;
        let total = stream.info().await.context("cannot read the dead letters")?.state.messages;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            inactive_threshold: INACTIVE_AFTER,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream.create_consumer(config).await.context("cannot read the dead letters")?;
        let mut letters = Vec::new();
        loop {
            let mut batch = consumer.fetch().max_messages(BATCH).messages().await?;
            let before = letters.len();
            while let Some(message) = batch.next().await {
                let message = message.map_err(|error| anyhow::anyhow!("cannot read the dead letters: {error}"))?;
                let number = message.info().map_err(|error| anyhow::anyhow!("{error}"))?.stream_sequence;
                let headers = message.headers.clone().unwrap_or_default();
                letters.push(self.letter_of(number, &headers, message.payload.clone()).await?);
            }
            if letters.len() == before || letters.len() >= max {
                letters.truncate(max);
                return Ok((letters, total));
            }
        }
    }

    /// The dead letter of that number; `None` when there is none.
    ///
    /// # Errors
    /// When the bus is away.
    pub async fn letter(&self, number: u64) -> anyhow::Result<Option<Letter>> {
        match self.dead_stream().await?.get_raw_message(number).await {
            Ok(message) => self.letter_of(number, &message.headers, message.payload).await.map(Some),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error).context("cannot read the dead letters"),
        }
    }

    /// Publishes the message of a dead letter again, on its subject and with its headers, so that its trace goes on; then takes the
    /// letter out. Under an id of its own, for the stream drops a repeated one for a while.
    ///
    /// # Errors
    /// When the bus is away. The message may be published or not, and tried again.
    pub async fn requeue(&self, letter: &Letter) -> anyhow::Result<Requeued> {
        let Some(message) = &letter.message else { return Ok(Requeued::Gone) };
        let mut headers = HeaderMap::new();
        for (name, value) in &message.headers {
            headers.append(name.as_str(), value.as_str());
        }
        headers.insert(NATS_MESSAGE_ID, format!("requeued:{}:{}", letter.number, letter.sequence));
        let published = self.send(message.subject.clone(), headers, message.body.clone().into()).await;
        published.with_context(|| format!("cannot publish {} again", message.subject))?;
        let taken = self.take_out(letter.number).await;
        taken.with_context(|| format!("dead letter {} is published again, and still there", letter.number))?;
        Ok(Requeued::Done)
    }

    /// Takes a dead letter out for good. That it is not there any more is no error.
    ///
    /// # Errors
    /// When the bus is away.
    pub async fn take_out(&self, number: u64) -> anyhow::Result<()> {
        let stream = self.dead_stream().await?;
        if let Err(error) = stream.delete_message(number).await {
            if self.letter(number).await?.is_none() {
                return Ok(());
            }
            bail!("cannot take dead letter {number} out: {error}");
        }
        Ok(())
    }

    async fn dead_stream(&self) -> anyhow::Result<Stream> {
        self.jetstream.get_stream(DEAD_STREAM).await.context("cannot read the dead letters")
    }

    async fn letter_of(&self, number: u64, headers: &HeaderMap, body: Bytes) -> anyhow::Result<Letter> {
        let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        if let Some(service) = header(dead::SERVICE) {
            let parsed = |name: &str| header(name).and_then(|text| text.parse().ok()).unwrap_or_default();
            let at = header(dead::AT).and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
            return Ok(Letter {
                number,
                service,
                error: header(dead::ERROR).unwrap_or_default(),
                deliveries: parsed(dead::DELIVERIES),
                at: at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
                sequence: parsed(dead::SEQUENCE),
                message: header(dead::SUBJECT).map(|subject| original(subject, headers, &body)),
            });
        }
        let Ok(advisory) = serde_json::from_slice::<Advisory>(&body) else {
            return Ok(Letter {
                number,
                service: "unknown".to_owned(),
                error: "it is neither a dead letter nor an advisory".to_owned(),
                deliveries: 0,
                at: OffsetDateTime::UNIX_EPOCH,
                sequence: 0,
                message: None,
            });
        };
        let message = match self.events.get_raw_message(advisory.stream_seq).await {
            Ok(message) => Some(original(message.subject.to_string(), &message.headers, &message.payload)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(error).context("cannot read the event that an advisory speaks of"),
        };
        Ok(Letter {
            number,
            error: advisory.words(),
            deliveries: advisory.deliveries,
            at: advisory.timestamp,
            sequence: advisory.stream_seq,
            service: advisory.consumer,
            message,
        })
    }
}

fn original(subject: String, headers: &HeaderMap, body: &[u8]) -> Original {
    let kept = headers.iter().filter(|(name, _)| {
        let name: &str = name.as_ref();
        // That of the submission's time came with the message, and goes on with it.
        name == SUBMITTED_AT || !NOT_REPEATED.iter().any(|start| name.starts_with(start))
    });
    let headers =
        kept.flat_map(|(name, values)| values.iter().map(|value| (name.to_string(), value.as_str().to_owned())));
    Original { subject, headers: headers.collect(), body: body.to_vec() }
}
