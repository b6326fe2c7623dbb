//! Watching one deployment: what the stream holds of it, then what comes.

use std::time::SystemTime;

use anyhow::Context;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use domain::DeploymentId;
use futures::{Stream, StreamExt};
use proto::event::{kind_of, subjects_of};
use proto::{Event, Malformed};
use time::OffsetDateTime;

use super::Bus;

/// One event of a deployment, seen in passing.
#[derive(Debug)]
pub struct Seen {
    message: async_nats::jetstream::Message,
    /// Its place in the stream.
    pub stream_sequence: u64,
    /// When the stream stored it.
    pub stored_at: OffsetDateTime,
    /// How many events of the deployment are still to come that the stream holds already.
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
        let config = push::OrderedConfig {
            deliver_subject: self.client.new_inbox(),
            filter_subject: subjects_of(deployment),
            deliver_policy: DeliverPolicy::All,
            ..push::OrderedConfig::default()
        };
        let consumer = self.events.create_consumer(config).await.context("cannot read the stream")?;
        let messages = consumer.messages().await.context("cannot read the stream")?;
        Ok(messages.map(|message| {
            let message = message.context("cannot read the stream")?;
            let info = message.info().map_err(|error| anyhow::anyhow!("{error}"))?;
            let (stream_sequence, pending) = (info.stream_sequence, info.pending);
            let stored_at = OffsetDateTime::from(SystemTime::from(info.published));
            Ok(Seen { message, stream_sequence, stored_at, pending })
        }))
    }
}
