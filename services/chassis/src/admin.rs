//! The admin port of a process: its metrics, whether it lives, whether it is ready, and what it logs.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /metrics` | the metrics, for Prometheus; with exemplars for who accepts OpenMetrics |
//! | `GET /healthz` | 200 while the process lives |
//! | `GET /readyz` | 200 while every service of the process can do its duty, 503 else; the reasons stand in the body |
//! | `GET /log` | what is logged |
//! | `PUT /log` | from this machine only, and by no page of a browser: log by the directives in the body, such as `info,decision=debug` |

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::settings::AdminSettings;
use crate::{Bus, Health, Process, Shutdown, State as Serves, Telemetry};

/// Longest directives of a log, in bytes.
const LOG_BYTES_MAX: usize = 4096;

/// The admin port. Clones are the same.
#[derive(Clone, Debug)]
pub struct Admin {
    telemetry: Telemetry,
    parts: Arc<Mutex<Vec<Part>>>,
    address: Option<SocketAddr>,
}

/// A service of this process; nothing is known of it before it was shown.
#[derive(Clone, Debug)]
struct Part {
    service: &'static str,
    shown: Option<(Health, Bus)>,
}

impl Part {
    /// How it is, the bus first: without it nothing else that the service says is new.
    fn state(&self) -> Serves {
        match &self.shown {
            None => Serves::NotServing("waiting for NATS".to_owned()),
            Some((_, bus)) if !bus.is_connected() => Serves::NotServing("the connection to NATS is lost".to_owned()),
            Some((health, _)) => health.state(),
        }
    }
}

impl Admin {
    /// Opens the port that `settings` name, if they do, for a process that is to hold `services`; until `shutdown` is called.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn open(
        settings: AdminSettings,
        telemetry: &Telemetry,
        services: &[&'static str],
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let parts = services.iter().map(|service| Part { service, shown: None }).collect();
        let mut admin = Self { telemetry: telemetry.clone(), parts: Arc::new(Mutex::new(parts)), address: None };
        let Some(address) = settings.listen else { return Ok(admin) };
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on admin.listen = {address}"))?;
        let address = listener.local_addr()?;
        admin.address = Some(address);
        tracing::info!(%address, "metrics, health and logs are at http://{address}");
        let (router, shutdown) = (admin.router(), shutdown.clone());
        tokio::spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let served = axum::serve(listener, service).with_graceful_shutdown(async move { shutdown.called().await });
            if let Err(error) = served.await {
                tracing::warn!("the admin port is closed: {error}");
            }
        });
        Ok(admin)
    }

    /// Shows the state of a service from now on.
    pub fn show(&self, process: &Process) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.iter_mut().find(|part| part.service == process.service) {
            part.shown = Some((process.health.clone(), process.bus.clone()));
        }
    }

    /// Where it listens; `None` when it does not.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .route("/log", get(log).put(set_log))
            .layer(axum::extract::DefaultBodyLimit::max(LOG_BYTES_MAX))
            .with_state(self.clone())
    }
}

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match admin.telemetry.page(accepted) {
        Ok((kind, page)) => ([(header::CONTENT_TYPE, kind)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    let parts = admin.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let states: Vec<_> = parts.iter().map(|part| (part.service, part.state())).collect();
    let is_ready = states.iter().all(|(_, state)| *state == Serves::Serving);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, states.iter().map(|(service, state)| format!("{service}: {}\n", state.to_line())).collect())
}

async fn log(State(admin): State<Admin>) -> String {
    format!("{}\n", admin.telemetry.level().get())
}

async fn set_log(
    State(admin): State<Admin>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    directives: String,
) -> (StatusCode, String) {
    // A browser says of which page it is, and a page of the web can be on this machine by its name.
    if headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "what is logged is changed by no page of a browser\n".to_owned());
    }
    if !is_this_machine(caller.ip()) {
        return (StatusCode::FORBIDDEN, "what is logged is changed from this machine only\n".to_owned());
    }
    match admin.telemetry.level().set(&directives) {
        Ok(()) => {
            let now = admin.telemetry.level().get();
            tracing::warn!("from now on it is logged by {now}");
            (StatusCode::OK, format!("{now}\n"))
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}\n")),
    }
}

fn is_this_machine(caller: IpAddr) -> bool {
    caller.to_canonical().is_loopback()
}
