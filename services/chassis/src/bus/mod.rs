//! The bus: NATS JetStream, and the rules by which events are never lost.
//!
//! A handler returns what to publish; the bus publishes it, waits for the stream's acknowledgement, and only then acknowledges
//! the input. What cannot be handled goes to the dead letters before the input is terminated.

mod ask;
pub mod checkup;
mod connect;
pub mod dead;
mod deaths;
mod delivery;
mod denied;
mod diffs;
mod documents;
mod letters;
mod objects;
mod progress;
mod publish;
mod serve;
mod show;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::object_store::ObjectStore;

pub use ask::{Ask, Refusal, RefusalCode};
pub use deaths::Death;
pub use delivery::Delivery;
pub use denied::Deaf;
pub use documents::{Document, Documents, Followed, stood_before};
pub use letters::{Letter, Original, Requeued};
pub use objects::{Objects, Stored};
pub use progress::Progress;
pub use publish::Outgoing;
pub use serve::Handler;
pub use show::is_of;
pub use watch::Seen;

/// A connection to the bus, as one service. Clones share the connection.
#[derive(Clone)]
pub struct Bus {
    service: &'static str,
    client: async_nats::Client,
    jetstream: jetstream::Context,
    events: jetstream::stream::Stream,
    diffs: Arc<ObjectStore>,
    replicas: usize,
    denials: denied::Denials,
    consumers: show::Consumers,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Bus {
    /// The most bytes that the server takes in one message, headers included.
    #[must_use]
    pub fn payload_max(&self) -> usize {
        self.client.server_info().max_payload
    }

    /// The version of the server.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// Whether the connection stands.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Waits until everything written so far has left this process.
    ///
    /// # Errors
    /// When the connection is gone for good.
    pub async fn flush(&self) -> anyhow::Result<()> {
        Ok(tokio::time::timeout(Duration::from_secs(5), self.client.flush()).await??)
    }
}

/// Why an event was not handled. As many kinds as there are reactions.
#[derive(Debug)]
pub enum Failure {
    /// Something is away: deliver it again, later.
    Retry(anyhow::Error),
    /// The event itself cannot be handled, however often it comes.
    Reject(anyhow::Error),
}

impl Failure {
    /// Deliver it again, later.
    pub fn retry(error: impl Into<anyhow::Error>) -> Self {
        Self::Retry(error.into())
    }

    /// It can never be handled.
    pub fn reject(error: impl Into<anyhow::Error>) -> Self {
        Self::Reject(error.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(error) | Self::Reject(error) => write!(f, "{error:#}"),
        }
    }
}

/// How a service reads one kind of event.
#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    /// The durable consumer's name: all instances of a service share it.
    pub name: &'static str,
    /// How long to wait for an acknowledgement, after each delivery; the last counts for all further ones.
    pub backoff: Vec<Duration>,
    /// How often an event is delivered before it goes to the dead letters.
    pub deliveries_max: u32,
    /// How many events one process handles at a time.
    pub in_flight_max: usize,
}

impl ConsumerSpec {
    /// The wait after delivery number `delivery`, from 1.
    fn wait_after(&self, delivery: u32) -> Duration {
        let index = usize::try_from(delivery.saturating_sub(1)).unwrap_or(usize::MAX);
        let last = self.backoff.last().copied().unwrap_or(Duration::from_secs(30));
        self.backoff.get(index).copied().unwrap_or(last)
    }
}
