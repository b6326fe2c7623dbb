//! Reaching the server, and making the streams if they are not there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, object_store};
use async_nats::{ConnectOptions, Event};
use proto::event::{DEAD_STREAM, DEAD_SUBJECTS, DIFFS_BUCKET, STREAM, STREAM_SUBJECTS};

use super::Bus;
use crate::Shutdown;
use crate::settings::NatsSettings;

/// How long a publish waits for the stream's acknowledgement before it fails.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Within this time a repeated message id is dropped by the stream itself.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// What goes wrong outside every handler (the process died on each delivery) is only told by this advisory. Those of terminated
/// messages are left out: a message is terminated only after its dead letter was written.
const ADVISORY: &str = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.FAILSAFE.>";

impl Bus {
    /// Connects as `service`, waiting for a server that is not there yet, and makes the streams if they are missing.
    ///
    /// # Errors
    /// When the address or the credentials are wrong, `shutdown` is called first, or the server refuses JetStream.
    pub async fn connect(settings: &NatsSettings, service: &'static str, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let options = options(settings, service).await?;
        let addresses: Vec<&str> = settings.url.split(',').map(str::trim).collect();
        let mut told = false;
        let client = loop {
            match options.clone().connect(addresses.as_slice()).await {
                Ok(client) => break client,
                Err(error) if is_hopeless(&error) => {
                    return Err(error).with_context(|| format!("cannot use NATS at {}", settings.url));
                }
                Err(error) => {
                    if !told {
                        tracing::warn!(service, url = settings.url, "waiting for NATS: {error}");
                        told = true;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = shutdown.called() => anyhow::bail!("ended while waiting for NATS at {}", settings.url),
            }
        };
        let jetstream = jetstream::ContextBuilder::new().ack_timeout(ACK_TIMEOUT).build(client.clone());
        let [events, dead] = wanted(settings);
        let events = stream(&jetstream, events).await?;
        stream(&jetstream, dead).await?;
        let diffs = bucket(&jetstream, settings).await?;
        let server = client.server_info();
        tracing::info!(
            service,
            nats.version = server.version,
            nats.payload_max = server.max_payload,
            "connected to NATS"
        );
        let (diffs, replicas) = (Arc::new(diffs), settings.replicas);
        Ok(Self { service, client, jetstream, events, diffs, replicas, consumers: super::show::Consumers::default() })
    }
}

/// How `service` connects.
pub(super) async fn options(settings: &NatsSettings, service: &'static str) -> anyhow::Result<ConnectOptions> {
    let options = ConnectOptions::new()
        .name(service)
        .connection_timeout(Duration::from_secs(5))
        .event_callback(move |event| async move { log_event(service, &event) });
    match &settings.credentials {
        Some(file) => options.credentials_file(file).await.context("cannot read nats.credentials"),
        None => Ok(options),
    }
}

fn is_hopeless(error: &async_nats::ConnectError) -> bool {
    use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse};
    matches!(error.kind(), Authentication | AuthorizationViolation | ServerParse)
}

fn log_event(service: &'static str, event: &Event) {
    match event {
        Event::Connected => tracing::debug!(service, "NATS connection stands"),
        Event::Disconnected => tracing::warn!(service, "NATS connection lost; reconnecting"),
        Event::ServerError(error) => tracing::error!(service, "NATS refuses: {error}"),
        Event::ClientError(error) => tracing::warn!(service, "NATS client: {error}"),
        other => tracing::debug!(service, "NATS: {other}"),
    }
}

/// The streams as they are made: that of the events, and that of the dead letters.
pub(super) fn wanted(settings: &NatsSettings) -> [Config; 2] {
    let config = |name: &str, subjects: &[&str]| Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(ToString::to_string).collect(),
        // Not a work queue: several services read the same event.
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        max_age: Duration::from_secs(settings.days_kept * 86_400),
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    };
    [config(STREAM, &[STREAM_SUBJECTS]), config(DEAD_STREAM, &[DEAD_SUBJECTS, ADVISORY])]
}

async fn stream(jetstream: &jetstream::Context, config: Config) -> anyhow::Result<Stream> {
    let name = config.name.clone();
    let made = jetstream.get_or_create_stream(config).await;
    made.map_err(|error| match error.kind() {
        CreateStreamErrorKind::JetStreamUnavailable => {
            anyhow::anyhow!("the NATS server runs without JetStream: start it with `-js` or a `jetstream` block")
        }
        _ => anyhow::Error::new(error).context(format!("cannot make the stream {name}")),
    })
}

async fn bucket(jetstream: &jetstream::Context, settings: &NatsSettings) -> anyhow::Result<object_store::ObjectStore> {
    if let Ok(bucket) = jetstream.get_object_store(DIFFS_BUCKET).await {
        return Ok(bucket);
    }
    let config = object_store::Config {
        bucket: DIFFS_BUCKET.to_owned(),
        max_age: Duration::from_secs(settings.days_kept * 86_400),
        num_replicas: settings.replicas,
        ..object_store::Config::default()
    };
    jetstream.create_object_store(config).await.with_context(|| format!("cannot make the bucket {DIFFS_BUCKET}"))
}
