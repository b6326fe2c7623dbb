//! Reaching the server, and making the streams if they are not there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::{Config, ConsumerError, ConsumerErrorKind, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, object_store};
use async_nats::{ConnectOptions, Event};
use proto::event::{DEAD_STREAM, DEAD_SUBJECTS, DIFFS_BUCKET, STREAM, STREAM_SUBJECTS};
use tokio::time::Instant;

use super::Bus;
use super::denied::Denials;
use crate::Shutdown;
use crate::settings::NatsSettings;

/// How long a publish waits for the stream's acknowledgement before it fails.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Within this time a repeated message id is dropped by the stream itself.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long it is tried to make what another may be making at this moment, and how often.
const RACING_MAX: Duration = Duration::from_secs(2);
const TRY_PAUSE: Duration = Duration::from_millis(100);
/// What a server answers that knows of no leader.
const UNLED: usize = 503;
/// How long whoever starts waits for the servers of a cluster to choose who leads: until then they answer nobody.
const CHOOSING_MAX: Duration = Duration::from_secs(30);
/// What goes wrong outside every handler (the process died on each delivery) is only told by this advisory. Those of terminated
/// messages are left out: a message is terminated only after its dead letter was written.
const ADVISORY: &str = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.FAILSAFE.>";
/// The same in front of the consumer's name.
pub(super) const ADVISED: &str = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.FAILSAFE.";

impl Bus {
    /// Connects as `service`, waiting for a server that is not there yet, and makes the streams if they are missing.
    ///
    /// # Errors
    /// When the address or the credentials are wrong, `shutdown` is called first, or the server refuses JetStream.
    pub async fn connect(settings: &NatsSettings, service: &'static str, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let denials = Denials::default();
        let options = options(settings, service, &denials).await?;
        // Without a user's password, which the client would log where it is asked for every detail.
        let shown = settings.url.to_string();
        let addresses: Vec<&str> = shown.split(',').map(str::trim).collect();
        let mut told = false;
        let client = loop {
            match options.clone().connect(addresses.as_slice()).await {
                Ok(client) => break client,
                Err(error) if is_hopeless(&error) => {
                    return Err(error).with_context(|| format!("cannot use NATS at {}", settings.url));
                }
                Err(error) => {
                    if !told {
                        tracing::warn!(service, url = %settings.url, "waiting for NATS: {error}");
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
        let making = async {
            let events = stream(&jetstream, events).await?;
            stream(&jetstream, dead).await?;
            Ok((events, bucket(&jetstream, settings).await?))
        };
        let (events, diffs) = denials.unless_deaf(making).await?;
        let server = client.server_info();
        tracing::info!(
            service,
            nats.version = server.version,
            nats.payload_max = server.max_payload,
            "connected to NATS"
        );
        let (diffs, replicas) = (Arc::new(diffs), settings.replicas);
        let consumers = super::show::Consumers::default();
        Ok(Self { service, client, jetstream, events, diffs, replicas, denials, consumers })
    }
}

/// How `service` connects. What the server refuses is noted in `denials`.
pub(super) async fn options(
    settings: &NatsSettings,
    service: &'static str,
    denials: &Denials,
) -> anyhow::Result<ConnectOptions> {
    let denials = denials.clone();
    let options = ConnectOptions::new()
        .name(service)
        // Of its own, so that a server can keep others from listening to its answers.
        .custom_inbox_prefix(format!("_INBOX.{service}"))
        .connection_timeout(Duration::from_secs(5))
        .event_callback(move |event| {
            let denials = denials.clone();
            async move {
                log_event(service, &event);
                denials.note(&event);
            }
        });
    identified(options, settings).await
}

/// The options with all by which the server knows who connects, and by which we know the server.
async fn identified(mut options: ConnectOptions, settings: &NatsSettings) -> anyhow::Result<ConnectOptions> {
    match settings.url.user_info()?.map(|info| info.split_once(':').ok_or(info)) {
        Some(Ok((user, password))) => options = options.user_and_password(user.to_owned(), password.to_owned()),
        Some(Err(token)) => options = options.token(token.to_owned()),
        None => {}
    }
    if let Some(file) = &settings.credentials {
        options = options.credentials_file(file).await.context("cannot read nats.credentials")?;
    }
    if let Some(file) = &settings.nkey_path {
        options = options.nkey(read_secret("nats.nkey_path", file)?);
    }
    if let Some(user) = &settings.user {
        let password = match (&settings.password, &settings.password_path) {
            (Some(password), None) => password.reveal().to_owned(),
            (None, Some(file)) => read_secret("nats.password_path", file)?,
            _ => anyhow::bail!("nats.user needs either nats.password or nats.password_path"),
        };
        options = options.user_and_password(user.clone(), password);
    }
    if let Some(file) = &settings.tls_ca_path {
        anyhow::ensure!(file.is_file(), "cannot read nats.tls_ca_path = {}", file.display());
        options = options.add_root_certificates(file.clone()).require_tls(true);
    }
    match (&settings.tls_cert_path, &settings.tls_key_path) {
        (Some(certificate), Some(key)) => {
            options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
        }
        (None, None) => {}
        _ => anyhow::bail!("nats.tls_cert_path and nats.tls_key_path come together"),
    }
    Ok(options)
}

fn read_secret(setting: &str, file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {setting} = {}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn is_hopeless(error: &async_nats::ConnectError) -> bool {
    use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse};
    matches!(error.kind(), Authentication | AuthorizationViolation | ServerParse)
}

fn log_event(service: &'static str, event: &Event) {
    match event {
        Event::Connected => tracing::debug!(service, "NATS connection stands"),
        Event::Disconnected => tracing::warn!(service, "NATS connection lost; reconnecting"),
        Event::ServerError(error) => tracing::error!(service, "NATS refuses {service} something: {error}"),
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
    made(|| async {
        jetstream.get_or_create_stream(config.clone()).await.map_err(|error| match error.kind() {
            CreateStreamErrorKind::JetStreamUnavailable => {
                anyhow::anyhow!("the NATS server runs without JetStream: start it with `-js` or a `jetstream` block")
            }
            _ => anyhow::Error::new(error).context(format!("cannot make the stream {}", config.name)),
        })
    })
    .await
}

/// What `find_or_make` gives, which is tried again for a while. Services that start together make the same stream at once, and the
/// server takes one for an obstacle to the other; and while nobody leads a cluster, a request to make something is lost.
pub(super) async fn made<T, F: Future<Output = anyhow::Result<T>>>(find_or_make: impl Fn() -> F) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        let error = match find_or_make().await {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        let tried_max = if is_unled(&error) { CHOOSING_MAX } else { RACING_MAX };
        if began.elapsed() > tried_max {
            return Err(error);
        }
        tokio::time::sleep(TRY_PAUSE).await;
    }
}

/// Whether a stream could not be made because nobody leads.
fn is_unled(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<CreateStreamError>()).any(|cause| match cause.kind() {
        CreateStreamErrorKind::TimedOut => true,
        CreateStreamErrorKind::JetStream(said) => said.code() == UNLED,
        _ => false,
    })
}

/// Makes a consumer, or finds it; a cluster that has no leader yet is waited for.
pub(super) async fn consumer(stream: &Stream, config: pull::Config) -> Result<PullConsumer, ConsumerError> {
    let began = Instant::now();
    loop {
        let made = stream.create_consumer(config.clone()).await;
        let is_unled = made.as_ref().is_err_and(|error| match error.kind() {
            ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => true,
            ConsumerErrorKind::JetStream(said) => said.code() == UNLED,
            _ => false,
        });
        if !is_unled || began.elapsed() > CHOOSING_MAX {
            return made;
        }
        tokio::time::sleep(TRY_PAUSE).await;
    }
}

async fn bucket(jetstream: &jetstream::Context, settings: &NatsSettings) -> anyhow::Result<object_store::ObjectStore> {
    let config = object_store::Config {
        bucket: DIFFS_BUCKET.to_owned(),
        max_age: Duration::from_secs(settings.days_kept * 86_400),
        num_replicas: settings.replicas,
        ..object_store::Config::default()
    };
    objects(jetstream, config).await
}

/// The bucket of objects that `config` names, which is made if it is not there.
pub(super) async fn objects(
    jetstream: &jetstream::Context,
    config: object_store::Config,
) -> anyhow::Result<object_store::ObjectStore> {
    made(|| async {
        if let Ok(bucket) = jetstream.get_object_store(&config.bucket).await {
            return Ok(bucket);
        }
        let made = jetstream.create_object_store(config.clone()).await;
        made.with_context(|| format!("cannot make the bucket {}", config.bucket))
    })
    .await
}
