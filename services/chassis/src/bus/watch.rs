//! Watching: what the stream holds of one deployment, or of one kind of event, then what comes.

use std::time::SystemTime;

use anyhow::Context;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::DeploymentId;
use futures::{Stream, StreamExt};
use proto::event::{kind_of, subjects_of};
use proto::{Event, Malformed};
use time::OffsetDateTime;

use super::Bus;

/// One event, seen in passing.
#[derive(Debug)]
pub struct Seen {
    message: async_nats::jetstream::Message,
    /// Its place in the stream.
    pub stream_sequence: u64,
    /// When the stream stored it.
    pub stored_at: OffsetDateTime,
    /// How many of the events that are watched are still to come that the stream holds already.
    pub pending: u64,
}

impl Seen {
    /// Whether it is an event of this kind.
    #[must_use]
    pub fn is<E: Event>(&self) -> bool {
        kind_of(&self.message.subject) == Some(E::KIND)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn decode<E: Event>(&self) -> Result<E, Malformed> {
        proto::decode(None, &self.message.payload)
    }
}

impl Bus {
    /// Every event about `deployment`, in the order of the stream: those it holds at once, the others as they come.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn watch(
        &self,
        deployment: DeploymentId,
    ) -> anyhow::Result<impl Stream<Item = anyhow::Result<Seen>> + Send + Unpin + use<>> {
        self.watch_subjects(subjects_of(deployment), DeliverPolicy::All).await.map(|(messages, _)| messages)
    }

    /// Every event of one kind after that place in the stream, in its order: those it holds at once, the others as they come;
    /// and how many it holds.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn watch_kind<E: Event>(
        &self,
        after: u64,
    ) -> anyhow::Result<(impl Stream<Item = anyhow::Result<Seen>> + Send + Unpin + use<E>, u64)> {
        self.watch_subjects(E::filter(), DeliverPolicy::ByStartSequence { start_sequence: after + 1 }).await
    }

    /// The latest event of one kind about `deployment`; `None` when the stream holds none.
    ///
    /// # Errors
    /// When the stream cannot be read, or what it holds cannot.
    pub async fn last<E: Event>(&self, deployment: DeploymentId) -> anyhow::Result<Option<E>> {
        match self.events.get_last_raw_message_by_subject(&E::subject_of(deployment)).await {
            Ok(message) => Ok(Some(proto::decode(None, &message.payload)?)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error).context("cannot read the stream"),
        }
    }

    /// What tells this stream from an earlier one of the same name, whose places mean nothing in this one; and its last place.
    ///
    /// # Errors
    /// When the stream cannot be asked.
    pub async fn stream_now(&self) -> anyhow::Result<(i128, u64)> {
        let info = self.events.get_info().await.context("cannot ask for the stream")?;
        Ok((info.created.unix_timestamp_nanos(), info.state.last_sequence))
    }

    async fn watch_subjects(
        &self,
        filter_subject: String,
        deliver_policy: DeliverPolicy,
    ) -> anyhow::Result<(impl Stream<Item = anyhow::Result<Seen>> + Send + Unpin + use<>, u64)> {
        let config = push::OrderedConfig {
            deliver_subject: self.client.new_inbox(),
            filter_subject,
            deliver_policy,
            ..push::OrderedConfig::default()
        };
        let consumer = self.events.create_consumer(config).await.context("cannot read the stream")?;
        let held = consumer.cached_info().num_pending;
        let messages = consumer.messages().await.context("cannot read the stream")?;
        let messages = messages.map(|message| {
            let message = message.context("cannot read the stream")?;
            let info = message.info().map_err(|error| anyhow::anyhow!("{error}"))?;
            let (stream_sequence, pending) = (info.stream_sequence, info.pending);
            let stored_at = OffsetDateTime::from(SystemTime::from(info.published));
            Ok(Seen { message, stream_sequence, stored_at, pending })
        });
        Ok((messages, held))
    }
}
