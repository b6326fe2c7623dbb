//! What the server forbids. It says so beside the call, which would else only wait for an answer until its time is over.

use async_nats::{Event, ServerError};
use tokio::sync::broadcast;

use super::Bus;

/// How many refusals wait for those who look for theirs. Who is too slow waits for the end of its time.
const KEPT: usize = 64;
/// What the server's refusals begin with.
const VIOLATION: &str = "Permissions Violation for ";

/// The refusals of the server, as they come.
#[derive(Clone, Debug)]
pub(crate) struct Denials(broadcast::Sender<String>);

impl Default for Denials {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Denials {
    /// Takes note of a refusal among the events of a connection.
    pub(crate) fn note(&self, event: &Event) {
        if let Event::ServerError(ServerError::Other(text)) = event
            && text.starts_with(VIOLATION)
        {
            // Nobody may be waiting.
            let _ = self.0.send(text.clone());
        }
    }

    /// What `asking` gives; an error as soon as the server refuses this connection its inbox, where every answer arrives.
    pub(super) async fn unless_deaf<T>(&self, asking: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let refusals = self.0.subscribe();
        tokio::select! {
            asked = asking => asked,
            inbox = Self::of_inbox(refusals) => Err(Deaf { inbox }.into()),
        }
    }

    /// Waits until the server refuses a subscription to an inbox, and gives its subject.
    async fn of_inbox(mut refusals: broadcast::Receiver<String>) -> String {
        loop {
            match refusals.recv().await {
                Ok(text) => {
                    if let Some((_, rest)) = text.split_once("Subscription to \"_INBOX.") {
                        return format!("_INBOX.{}", rest.split('"').next().unwrap_or_default());
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Waits until the server refuses a publish to `subject`.
    async fn of(mut refusals: broadcast::Receiver<String>, subject: &str) {
        let wanted = format!("to \"{subject}\"");
        loop {
            match refusals.recv().await {
                Ok(text) if text.contains(&wanted) => return,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// The server keeps every answer from this connection, because its user may not listen to its inbox: it is another service's.
#[derive(Debug, thiserror::Error)]
#[error(
    "the NATS server permits this user no answers (to {inbox}): each service is a user of its own, and the command line is `operator`"
)]
pub struct Deaf {
    inbox: String,
}

/// The server forbids this service to publish on a subject.
#[derive(Debug, thiserror::Error)]
#[error("the NATS server permits {service} no publish to {subject}: see its user's permissions in deploy/nats.conf")]
pub(crate) struct Denied {
    service: &'static str,
    subject: String,
}

impl Bus {
    /// What `sending`, which publishes to `subject`, gives; an error as soon as the server refuses that.
    pub(crate) async fn unless_denied<T>(&self, subject: &str, sending: impl Future<Output = T>) -> Result<T, Denied> {
        let refusals = self.denials.0.subscribe();
        tokio::select! {
            sent = sending => Ok(sent),
            () = Denials::of(refusals, subject) => Err(Denied { service: self.service, subject: subject.to_owned() }),
        }
    }
}
