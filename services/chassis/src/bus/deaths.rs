//! Deaths: events that a service failed on for good without having said so itself, so that nobody has to wait for it.
//!
//! They are dead letters of what could not even be read, and advisories of what was delivered again and again without an answer,
//! as when the process dies of it.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::RawMessageErrorKind;
use domain::DeploymentId;
use futures::StreamExt;
use proto::event::{DEAD_STREAM, kind_of};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Instrument;

use super::letters::Advisory;
use super::{Bus, Delivery, Outgoing, dead};
use crate::{Shutdown, trace};

/// How long an unacknowledged death waits before it is delivered again.
const ACK_WAIT: Duration = Duration::from_secs(15);
/// How long one is put off while the bus is away.
const PUT_OFF: Duration = Duration::from_secs(5);
const EXPIRES: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Most deaths that wait in this process.
const IN_FLIGHT_MAX: usize = 64;

/// An event that a service failed on for good, without a word of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The service: the name of its dead letters, or of its consumer.
    pub service: String,
    /// The kind of event that it failed on, such as `deployment.accepted`.
    pub kind: String,
    /// The deployment that the event is about.
    pub deployment_id: DeploymentId,
    /// Why it is given up, in words.
    pub why: String,
    /// When it was given up.
    pub at: OffsetDateTime,
}

impl Bus {
    /// Publishes what `replace` gives for each death from now on, until `shutdown` is called. All instances that give the same
    /// `name` share the work, and what happens while none of them runs is not lost.
    ///
    /// # Errors
    /// When the consumer cannot be made, or is gone.
    pub async fn replace_deaths(
        &self,
        name: &str,
        shutdown: &Shutdown,
        replace: impl Fn(&Death) -> Vec<Outgoing>,
    ) -> anyhow::Result<()> {
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            // What died before anybody looked is long decided.
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            ..pull::Config::default()
        };
        let stream = self.jetstream.get_stream(DEAD_STREAM).await.context("cannot read the dead letters")?;
        let consumer = super::connect::consumer(&stream, config)
            .await
            .with_context(|| format!("cannot make the consumer {name}"))?;
        let messages = consumer.stream().max_messages_per_batch(IN_FLIGHT_MAX).expires(EXPIRES).heartbeat(HEARTBEAT);
        let mut messages = messages.messages().await?;
        loop {
            let message = tokio::select! {
                () = shutdown.called() => return Ok(()),
                message = messages.next() => message,
            };
            let Some(message) = message else { anyhow::bail!("there are no more dead letters to come") };
            match message.map_err(anyhow::Error::from).and_then(Delivery::new) {
                Ok(delivery) => self.replace_death(&delivery, &replace).await,
                Err(error) => tracing::warn!(service = self.service, "cannot pull dead letters: {error:#}"),
            }
        }
    }

    async fn replace_death(&self, delivery: &Delivery, replace: &impl Fn(&Death) -> Vec<Outgoing>) {
        let told = self.death(delivery).await;
        let span = delivery.span(self.service);
        if let Ok(Some((_, parent))) = &told {
            trace::continue_from(&span, parent.as_deref());
        }
        let replaced = async {
            for outgoing in told?.map(|(death, _)| replace(&death)).unwrap_or_default() {
                self.publish(&outgoing).await?;
            }
            anyhow::Ok(())
        };
        async {
            match replaced.await {
                Ok(()) => delivery.acknowledge().await,
                Err(error) => {
                    tracing::warn!(service = self.service, "cannot speak for one that failed, trying again: {error:#}");
                    delivery.put_off(PUT_OFF).await;
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// The death that a dead letter or an advisory tells of, and the trace of it; `None` when the service has spoken for itself, the event is about no
    /// deployment, or it is not there any more.
    async fn death(&self, delivery: &Delivery) -> anyhow::Result<Option<(Death, Option<String>)>> {
        if let (Some(service), Some(subject)) = (delivery.header(dead::SERVICE), delivery.header(dead::SUBJECT)) {
            if delivery.header(dead::ANSWERED).is_some() {
                return Ok(None);
            }
            let at = delivery.header(dead::AT).and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
            let why = delivery.header(dead::ERROR).unwrap_or("for an unknown reason").to_owned();
            let parent = delivery.header(trace::TRACEPARENT).map(str::to_owned);
            let death = Death::of(service, subject, why, at.unwrap_or(OffsetDateTime::UNIX_EPOCH));
            return Ok(death.map(|death| (death, parent)));
        }
        let Ok(advisory) = serde_json::from_slice::<Advisory>(delivery.body()) else { return Ok(None) };
        let message = match self.events.get_raw_message(advisory.stream_seq).await {
            Ok(message) => message,
            Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => return Ok(None),
            Err(error) => return Err(error).context("cannot read the event that an advisory speaks of"),
        };
        let parent = message.headers.get(trace::TRACEPARENT).map(ToString::to_string);
        let death = Death::of(&advisory.consumer, &message.subject, advisory.words(), advisory.timestamp);
        Ok(death.map(|death| (death, parent)))
    }
}

impl Death {
    fn of(service: &str, subject: &str, why: String, at: OffsetDateTime) -> Option<Self> {
        let (_, id) = subject.rsplit_once('.')?;
        let (deployment_id, kind) = (DeploymentId::parse(id).ok()?, kind_of(subject)?.to_owned());
        Some(Self { service: service.to_owned(), kind, deployment_id, why, at })
    }
}
