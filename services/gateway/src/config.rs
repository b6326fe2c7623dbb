//! The settings of the gateway: the table `[gateway]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

/// `[gateway]`: where the front door is, and how much passes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port for gRPC. It is plain HTTP/2 without authentication: put what terminates TLS in front of it before it
    /// listens on anything but the loopback.
    pub listen: SocketAddr,
    /// Address and port for HTTP with JSON: the same calls, as plain as those.
    pub http_listen: SocketAddr,
    /// The origins whose pages may call over HTTP, such as `https://ci.acme.example`, or `*` for all of them; none by default.
    pub cors_origins: Vec<String>,
    /// Whether the HTTP port also takes gRPC-Web, for browsers.
    pub grpc_web: bool,
    /// Longest diff, in bytes. Not more than `ingest.diff_bytes_max`, or ingest refuses what was taken here.
    pub diff_bytes_max: u64,
    /// How long a call may take, in milliseconds; a client's own deadline counts where it is shorter. A watch must only begin
    /// within this time.
    pub deadline_ms: u64,
    /// How many calls are answered at a time, watches not counted. Further ones are refused at once.
    pub concurrency_max: usize,
    /// How many calls one client may make a second, and at once; 0 for no limit. A client is an address; with IPv6 a /64.
    pub calls_per_second_max: u32,
    /// How many watches are open at a time, submissions that wait for their verdict included. Further ones are refused at once;
    /// a submission is then answered without its verdict.
    pub watches_max: usize,
    /// After how many milliseconds without an event a watch asks the audit trail: a deployment that it does not know either is
    /// not found.
    pub watch_idle_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_051)),
            http_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_080)),
            cors_origins: Vec::new(),
            grpc_web: false,
            diff_bytes_max: 32 * 1024 * 1024,
            deadline_ms: 10_000,
            concurrency_max: 256,
            calls_per_second_max: 1_000,
            watches_max: 1_000,
            watch_idle_ms: 10_000,
        }
    }
}

/// What a request holds besides its diff, at most.
const REST_BYTES_MAX: u64 = 1024 * 1024;

impl Config {
    /// The longest request, in bytes.
    pub(crate) fn request_bytes_max(&self) -> usize {
        usize::try_from(self.diff_bytes_max.saturating_add(REST_BYTES_MAX)).unwrap_or(usize::MAX)
    }

    pub(crate) const fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) const fn watch_idle(&self) -> Duration {
        Duration::from_millis(self.watch_idle_ms)
    }
}
