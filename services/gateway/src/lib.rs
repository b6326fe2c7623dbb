//! The gRPC front door: finds out who calls, takes submissions, answers questions, shows a deployment's stages as they happen, and
//! tells how all services are.
//!
//! Publishes `deployment.submitted`, `explanation.requested`, `review.recorded` and `outcome.recorded`; asks decision `get_deployment` and `list_deployments`; reads every event of a watched
//! deployment in passing. It keeps no state, so any number of gateways can run. It must not know how anything is judged.

mod call;
mod config;
mod health;
pub mod identity;
mod permit;
mod records;
mod service;
mod status;
mod story;
mod submission;
mod tls;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chassis::{Process, Shutdown};
use proto::v1::deployment_service_server::DeploymentServiceServer;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_reflection::server::Builder;

pub use config::Config;
use identity::{Guard, Identity};

/// The service's name.
pub const SERVICE: &str = "gateway";

/// How long a drain waits for calls that are under way.
const DRAIN_MAX: Duration = Duration::from_secs(25);
/// How often a silent connection is tried, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER_MAX: Duration = Duration::from_secs(10);

/// Listens on `gateway.listen` and serves until the process is to end.
///
/// # Errors
/// When the address is taken.
pub async fn run(process: Process, config: Config) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on gateway.listen = {}", config.listen))?;
    serve_on(listener, process, config).await
}

/// Serves on `listener`, whatever `config.listen` says, until the process is to end; then finishes the calls under way.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve_on(listener: TcpListener, process: Process, config: Config) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    config.check(address)?;
    let tls = tls::server(&config)?;
    let is_tls = tls.is_some();
    let identity = Arc::new(Identity::start(&config, &process).await?);
    let shutdown = process.shutdown.clone();
    let (reporter, health) = tonic_health::server::health_reporter();
    let deployments = service::Deployments::new(process.bus.clone(), shutdown.clone(), config.clone());
    let deployments = DeploymentServiceServer::new(deployments)
        .max_decoding_message_size(config.request_bytes_max())
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let mut rounds = health::Rounds::new(process, reporter);
    rounds.make().await;
    let rounds = tokio::spawn(rounds.keep());
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).context("cannot use gateway.tls_cert_path and gateway.tls_key_path")?;
    }
    let serving = server
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER_MAX))
        .add_service(Guard::new(call::Door::new(deployments, &config), identity))
        // How all is may be asked by anybody: what watches over the process holds no credential.
        .add_service(health)
        .add_optional_service(config.reflection.then(|| descriptors().build_v1()).transpose()?)
        .add_optional_service(config.reflection.then(|| descriptors().build_v1alpha()).transpose()?)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), shutdown.called());
    tell(address, &config, is_tls);
    tokio::select! {
        served = serving => served.context("cannot serve gRPC")?,
        () = drained_too_long(&shutdown) => tracing::warn!("drained no further: calls under way are broken off"),
    }
    rounds.await.context("the rounds of health ended badly")
}

/// Says where and for whom it listens.
fn tell(address: SocketAddr, config: &Config, is_tls: bool) {
    let whom = if config.is_authentication_required() { "callers that say who they are" } else { "anybody" };
    let how = if is_tls { "TLS" } else { "plain connections" };
    tracing::info!(%address, "listening for gRPC on {address}, by {how}, for {whom}");
    if config.is_authentication_required() && !is_tls && !address.ip().is_loopback() {
        tracing::warn!("credentials come over plain connections: have TLS end in front, or set gateway.tls_cert_path");
    }
}

async fn drained_too_long(shutdown: &Shutdown) {
    shutdown.called().await;
    tokio::time::sleep(DRAIN_MAX).await;
}

/// What clients can learn about our messages, and about those in the details of our errors.
fn descriptors() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
