//! The front door, by gRPC and by HTTP with JSON: finds out who calls, takes submissions, answers questions, shows a deployment's stages
//! as they happen, and tells how all services are.
//!
//! Publishes `deployment.submitted`, `explanation.requested`, `review.recorded` and `outcome.recorded`; asks decision `get_deployment` and `list_deployments`; reads every event of a watched
//! deployment in passing. It keeps no state, so any number of gateways can run. It must not know how anything is judged.

mod backlog;
mod call;
mod config;
mod health;
mod http;
pub mod identity;
mod newcomers;
mod permit;
mod rate;
mod records;
mod service;
mod status;
mod story;
mod submission;
mod tls;
mod waiting;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chassis::{Process, Shutdown};
use proto::v1::deployment_service_server::DeploymentServiceServer;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
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

/// Where the front door is.
#[derive(Debug)]
pub struct Listeners {
    /// For gRPC.
    pub grpc: TcpListener,
    /// For HTTP with JSON.
    pub http: TcpListener,
}

impl Listeners {
    /// Listens on the two addresses of the settings.
    ///
    /// # Errors
    /// Which of them is taken, and how to choose another.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = async |key: &str, flag: &str, address: SocketAddr| {
            TcpListener::bind(address).await.with_context(|| {
                let other = SocketAddr::new(address.ip(), address.port() ^ 1);
                format!("cannot listen on gateway.{key} = {address}: choose another address, such as {flag} {other}")
            })
        };
        let grpc = bind("listen", "--listen", config.listen).await?;
        let http = bind("http_listen", "--http-listen", config.http_listen).await?;
        Ok(Self { grpc, http })
    }

    /// The addresses for gRPC and for HTTP.
    ///
    /// # Errors
    /// When a listener has none.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.grpc.local_addr()?, self.http.local_addr()?))
    }
}

/// Listens on `gateway.listen` and `gateway.http_listen`, and serves until the process is to end.
///
/// # Errors
/// When an address is taken.
pub async fn run(process: Process, config: Config) -> anyhow::Result<()> {
    serve_on(Listeners::bind(&config).await?, process, config).await
}

/// Serves on `listeners`, whatever the addresses of `config` say, until the process is to end; then finishes the calls under way.
///
/// # Errors
/// When a listener cannot be used, or a setting cannot.
pub async fn serve_on(listeners: Listeners, process: Process, config: Config) -> anyhow::Result<()> {
    let addresses = listeners.addresses()?;
    config.check(addresses.0)?;
    config.check(addresses.1)?;
    let tls = tls::server(&config)?;
    let is_tls = tls.is_some();
    let identity = Arc::new(Identity::start(&config, &process).await?);
    let shutdown = process.shutdown.clone();
    let (reporter, health) = tonic_health::server::health_reporter();
    let backlog = backlog::Backlog::new(config.backlog_max);
    let watching = tokio::spawn(backlog.clone().watch(process.bus.clone(), shutdown.clone()));
    let deployments = service::Deployments::new(process.bus.clone(), shutdown.clone(), backlog, config.clone());
    let deployments = DeploymentServiceServer::new(deployments)
        .max_decoding_message_size(config.request_bytes_max())
        .accept_compressed(Gzip)
        .accept_compressed(Zstd)
        .send_compressed(Gzip)
        .send_compressed(Zstd);
    let door = Guard::new(call::Door::new(deployments, &config), identity);
    let pages = Routes::from(http::routes(door.clone(), &config, addresses.1)?);
    let mut rounds = health::Rounds::new(process, reporter);
    rounds.make().await;
    let rounds = tokio::spawn(rounds.keep());
    let calls = server()
        .add_service(door)
        // How all is may be asked by anybody: what watches over the process holds no credential.
        .add_service(health)
        .add_optional_service(config.reflection.then(|| descriptors().build_v1()).transpose()?)
        .add_optional_service(config.reflection.then(|| descriptors().build_v1alpha()).transpose()?);
    let pages = server().accept_http1(true).add_routes(pages);
    let serving = serve(calls, listeners.grpc, tls.clone(), tls::GRPC, &shutdown);
    let serving_http = serve(pages, listeners.http, tls, tls::HTTP, &shutdown);
    tell(addresses, &config, is_tls);
    tokio::select! {
        served = async { tokio::try_join!(serving, serving_http) } => drop(served.context("cannot serve")?),
        () = drained_too_long(&shutdown) => tracing::warn!("drained no further: calls under way are broken off"),
    }
    watching.await.context("the watch over the backlog ended badly")?;
    rounds.await.context("the rounds of health ended badly")
}

/// A server that notices when the other end is gone.
fn server() -> Server {
    Server::builder().http2_keepalive_interval(Some(KEEPALIVE)).http2_keepalive_timeout(Some(KEEPALIVE_ANSWER_MAX))
}

/// Answers on one port, by TLS if there is any.
async fn serve(
    routes: Router,
    listener: TcpListener,
    tls: Option<ServerConfig>,
    protocols: tls::Protocols,
    shutdown: &Shutdown,
) -> Result<(), tonic::transport::Error> {
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    match tls {
        None => routes.serve_with_incoming_shutdown(connections, shutdown.called()).await,
        Some(tls) => {
            let connections = tls::over(connections, tls, protocols);
            routes.serve_with_incoming_shutdown(connections, shutdown.called()).await
        }
    }
}

/// Says where and for whom it listens, for gRPC and for HTTP.
fn tell((address, http): (SocketAddr, SocketAddr), config: &Config, is_tls: bool) {
    let whom = if config.is_authentication_required() { "callers that say who they are" } else { "anybody" };
    let how = if is_tls { "TLS" } else { "plain connections" };
    tracing::info!(%address, "listening for gRPC on {address}, by {how}, for {whom}");
    tracing::info!(address = %http, "listening for HTTP on {http}, by {how}, for {whom}");
    let is_reached = !address.ip().is_loopback() || !http.ip().is_loopback();
    if config.is_authentication_required() && !is_tls && is_reached {
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
