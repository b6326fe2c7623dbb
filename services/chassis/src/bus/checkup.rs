//! The bus as somebody looks it over from outside: what is there, how it is set, and who reads. Nothing is made or changed, but for
//! a reader in the server's memory that is taken away at once, because nothing else tells the server's clock.

use std::time::Duration;

use anyhow::{Context, anyhow};
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, Stream};
use futures::TryStreamExt;
use proto::event::STREAM;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use super::ask::health_of;
use super::connect::{options, wanted};
use super::denied::Denials;
use crate::State;
use crate::settings::NatsSettings;

/// How long the server may take to be reached, and to answer one question.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that only looks.
#[derive(Debug)]
pub struct Checkup {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    wanted: [Config; 2],
}

/// The server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The same in numbers, to be compared.
    pub version_numbers: (u32, u32),
    /// The most bytes that it takes in one message.
    pub payload_max: usize,
    /// How long an answer takes.
    pub round_trip: Duration,
}

/// What the account keeps on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Bytes that are kept.
    pub bytes: u64,
    /// The most that may be; `None` when the account has no limit of its own.
    pub bytes_max: Option<u64>,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// Its name.
    pub name: String,
    /// Messages in it, and their bytes.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is set otherwise than the settings say, each in words.
    pub differences: Vec<String>,
    /// Who reads it, by durable consumers.
    pub readers: Vec<Reader>,
}

/// A durable consumer: how far a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Its name.
    pub name: String,
    /// Messages that nobody has been given yet.
    pub waiting: u64,
    /// Messages that are being handled.
    pub unacknowledged: usize,
    /// Of these, how many were delivered more than once.
    pub redelivered: usize,
    /// How many requests for messages are open: none means that nobody reads.
    pub pulling: usize,
}

impl Checkup {
    /// Connects. A server that is not there is not waited for.
    ///
    /// # Errors
    /// When there is no server, or it refuses: [`super::Deaf`] when it takes us for another service's user.
    pub async fn connect(settings: &NatsSettings) -> anyhow::Result<Self> {
        // Without a user's password, as in `Bus::connect`.
        let shown = settings.url.to_string();
        let addresses: Vec<&str> = shown.split(',').map(str::trim).collect();
        let denials = Denials::default();
        let connecting = options(settings, "failsafe", &denials).await?.connect(addresses.as_slice());
        let client = timeout(PATIENCE, connecting).await.map_err(|_| anyhow!("no answer within 5 s"))??;
        let jetstream = jetstream::ContextBuilder::new().timeout(PATIENCE).build(client.clone());
        let checkup = Self { client, jetstream, wanted: wanted(settings) };
        // Whatever is answered: that something is.
        let asking = async {
            let _ = checkup.store().await;
            Ok(())
        };
        denials.unless_deaf(asking).await?;
        Ok(checkup)
    }

    /// The server.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn server(&self) -> anyhow::Result<Server> {
        let asked = Instant::now();
        timeout(PATIENCE, self.client.flush()).await??;
        let round_trip = asked.elapsed();
        let info = self.client.server_info();
        let mut numbers = info.version.split('.').map(|part| part.parse().unwrap_or(0));
        let version_numbers = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Ok(Server { version: info.version, version_numbers, payload_max: info.max_payload, round_trip })
    }

    /// What the account keeps.
    ///
    /// # Errors
    /// When the server runs without JetStream, or the account may not use it.
    pub async fn store(&self) -> anyhow::Result<Store> {
        let info: Value = self.jetstream.request("INFO", &()).await.context("JetStream does not answer")?;
        if let Some(error) = info.get("error") {
            let words = error.get("description").and_then(Value::as_str).unwrap_or("it gives no reason");
            return Err(anyhow!("JetStream refuses: {words}"));
        }
        let limit = info.pointer("/limits/max_storage").and_then(Value::as_i64);
        Ok(Store {
            bytes: info.get("storage").and_then(Value::as_u64).unwrap_or(0),
            bytes_max: limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0),
        })
    }

    /// The streams that there should be, each by its name with what is known of it; `None` of one that is not there.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn streams(&self) -> anyhow::Result<Vec<(String, Option<StreamFacts>)>> {
        let mut all = Vec::new();
        for wanted in &self.wanted {
            let facts = match self.jetstream.get_stream(&wanted.name).await {
                Ok(stream) => Some(facts(&stream, wanted).await?),
                Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => None,
                Err(error) => return Err(error).with_context(|| format!("cannot look at the stream {}", wanted.name)),
            };
            all.push((wanted.name.clone(), facts));
        }
        Ok(all)
    }

    /// How far the server's clock is before this machine's, in seconds, give or take half the time that the question took;
    /// `None` where the stream of events is not there to ask.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn clock_ahead(&self) -> anyhow::Result<Option<(f64, Duration)>> {
        let Ok(stream) = self.jetstream.get_stream_no_info(STREAM).await else { return Ok(None) };
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            memory_storage: true,
            inactive_threshold: PATIENCE,
            ..pull::Config::default()
        };
        let (asked, began) = (OffsetDateTime::now_utc(), Instant::now());
        let made: Result<PullConsumer, _> = stream.create_consumer(config).await;
        let took = began.elapsed();
        let Ok(mut consumer) = made else { return Ok(None) };
        let info = consumer.info().await.context("the reader is gone")?;
        let (created, name) = (info.created, info.name.clone());
        // It would end by itself in a moment.
        let _ = stream.delete_consumer(&name).await;
        Ok(Some(((created - (asked + took / 2)).as_seconds_f64(), took)))
    }

    /// Asks `service` how it is.
    pub async fn health(&self, service: &str) -> State {
        health_of(&self.client, service).await
    }
}

async fn facts(stream: &Stream, wanted: &Config) -> anyhow::Result<StreamFacts> {
    let info = stream.cached_info();
    let readers: Vec<_> = stream.consumers().try_collect().await.context("cannot list who reads")?;
    let durable = readers.into_iter().filter(|reader| reader.config.durable_name.is_some());
    let mut readers: Vec<Reader> = durable
        .map(|reader| Reader {
            name: reader.name,
            waiting: reader.num_pending,
            unacknowledged: reader.num_ack_pending,
            redelivered: reader.num_redelivered,
            pulling: reader.num_waiting,
        })
        .collect();
    readers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(StreamFacts {
        name: wanted.name.clone(),
        messages: info.state.messages,
        bytes: info.state.bytes,
        differences: differences(&info.config, wanted),
        readers,
    })
}

/// What is set otherwise than it would be made.
fn differences(is: &Config, wanted: &Config) -> Vec<String> {
    let mut all = Vec::new();
    let mut differ = |what: &str, is: String, wanted: String| {
        if is != wanted {
            all.push(format!("{what} is {is}, and would be {wanted}"));
        }
    };
    let days = |duration: Duration| format!("{} days", duration.as_secs() / 86_400);
    differ("what it takes in", is.subjects.join(" "), wanted.subjects.join(" "));
    differ("the retention", format!("{:?}", is.retention), format!("{:?}", wanted.retention));
    differ("the storage", format!("{:?}", is.storage), format!("{:?}", wanted.storage));
    differ("the number of replicas (nats.replicas)", is.num_replicas.to_string(), wanted.num_replicas.to_string());
    differ("the time that messages are kept (nats.days_kept)", days(is.max_age), days(wanted.max_age));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_otherwise_is_named_with_its_setting() {
        let settings = NatsSettings::default();
        let [wanted, _] = wanted(&settings);
        assert!(differences(&wanted, &wanted).is_empty());
        let is = Config { num_replicas: 3, max_age: Duration::from_secs(86_400), ..wanted.clone() };
        let all = differences(&is, &wanted).join("; ");
        assert!(all.contains("nats.replicas) is 3, and would be 1"), "{all}");
        assert!(all.contains("nats.days_kept) is 1 days, and would be 30 days"), "{all}");
    }
}
