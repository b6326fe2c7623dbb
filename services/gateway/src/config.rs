//! The settings of the gateway: the table `[gateway]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::identity::{Client, Issuer};

/// `[gateway]`: where the front door is, and how much passes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port for gRPC. On anything but the loopback it needs `authentication`, or `allow_anonymous`.
    pub listen: SocketAddr,
    /// Address and port for HTTP with JSON: the same calls, with the same TLS and authentication.
    pub http_listen: SocketAddr,
    /// The names, besides those of the loopback, by which HTTP may be called where nobody has to say who they are, such as
    /// `failsafe.acme.example`. Any, while there are none and the address is reached from other machines; see `http::host`.
    pub http_hosts: Vec<String>,
    /// The origins whose pages may call over HTTP, such as `https://ci.acme.example`, or `*` for all of them; none by default.
    pub cors_origins: Vec<String>,
    /// Whether the HTTP port also takes gRPC-Web, for browsers.
    pub grpc_web: bool,
    /// Whether every call has to say who makes it. With an issuer or authorities of clients it has to, whatever this says.
    pub authentication: bool,
    /// Whether a gateway without authentication may listen elsewhere than on the loopback: whoever reaches it may do everything.
    pub allow_anonymous: bool,
    /// Whether anybody may ask for the descriptors of the messages.
    pub reflection: bool,
    /// Files of the server's certificate, with those between it and its authority, and of its key, both in PEM. Without them the
    /// connection is plain: then something in front has to terminate TLS.
    pub tls_cert_path: Option<PathBuf>,
    /// See `tls_cert_path`.
    pub tls_key_path: Option<PathBuf>,
    /// File of the certificates, in PEM, of the authorities that sign clients' certificates.
    pub client_ca_path: Option<PathBuf>,
    /// Whom a client's certificate speaks for.
    pub clients: Vec<Client>,
    /// The OpenID Connect issuers whose tokens are believed.
    pub oidc: Vec<Issuer>,
    /// Longest diff, in bytes. Not more than `ingest.diff_bytes_max`, or ingest refuses what was taken here.
    pub diff_bytes_max: u64,
    /// How long a call may take, in milliseconds; a client's own deadline counts where it is shorter. A watch must only begin
    /// within this time.
    pub deadline_ms: u64,
    /// How many calls are answered at a time, watches not counted. Further ones are refused at once.
    pub concurrency_max: usize,
    /// How many calls one client may make a second, and at once; 0 for no limit. A client is an address; with IPv6 a /64.
    pub calls_per_second_max: u32,
    /// How many logins from one address may fail a minute, and at once; 0 for no limit. Then nothing that comes from there with
    /// credentials is looked at until there is room again.
    pub failed_logins_per_minute_max: u32,
    /// How many watches are open at a time, submissions that wait for their verdict included. Further ones are refused at once;
    /// a submission is then answered without its verdict.
    pub watches_max: usize,
    /// How many submissions may wait to be decided before further ones are refused; 0 for no limit. What others put into the stream
    /// counts, and is not refused.
    pub backlog_max: u64,
    /// After how many milliseconds without an event a watch asks the audit trail: a deployment that it does not know either is
    /// not found.
    pub watch_idle_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_051)),
            http_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_080)),
            http_hosts: Vec::new(),
            cors_origins: Vec::new(),
            grpc_web: false,
            authentication: false,
            allow_anonymous: false,
            reflection: true,
            tls_cert_path: None,
            tls_key_path: None,
            client_ca_path: None,
            clients: Vec::new(),
            oidc: Vec::new(),
            diff_bytes_max: 32 * 1024 * 1024,
            deadline_ms: 10_000,
            concurrency_max: 256,
            calls_per_second_max: 1_000,
            failed_logins_per_minute_max: 300,
            watches_max: 1_000,
            backlog_max: 20_000,
            watch_idle_ms: 10_000,
        }
    }
}

/// What a request holds besides its diff, at most.
const REST_BYTES_MAX: u64 = 1024 * 1024;

impl Config {
    /// Whether every call has to say who makes it.
    pub(crate) fn is_authentication_required(&self) -> bool {
        self.authentication || !self.oidc.is_empty() || self.client_ca_path.is_some()
    }

    /// Whether `address` may be listened on with these settings.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn check(&self, address: SocketAddr) -> anyhow::Result<()> {
        let is_required = self.is_authentication_required();
        anyhow::ensure!(
            is_required || self.allow_anonymous || address.ip().is_loopback(),
            "{address}, of gateway.listen or gateway.http_listen, is reached from other machines, and nobody has to say who they are: set gateway.authentication = true \
             (deploy/identity.md), or gateway.allow_anonymous = true if whoever reaches it may do everything"
        );
        anyhow::ensure!(
            !(is_required && self.allow_anonymous),
            "gateway.allow_anonymous = true contradicts gateway.authentication, gateway.oidc and gateway.client_ca_path: leave out one"
        );
        anyhow::ensure!(
            self.client_ca_path.is_none() || self.tls_cert_path.is_some(),
            "gateway.client_ca_path needs gateway.tls_cert_path and gateway.tls_key_path: certificates come with TLS"
        );
        anyhow::ensure!(
            self.clients.is_empty() || self.client_ca_path.is_some(),
            "gateway.clients needs gateway.client_ca_path: the authorities that sign their certificates"
        );
        Ok(())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, config: &Config, expected: Option<&str>) {
        let checked = config.check(address.parse().unwrap());
        let error = checked.err().map(|error| error.to_string());
        match expected {
            None => assert_eq!(error, None),
            Some(part) => assert!(error.as_ref().is_some_and(|error| error.contains(part)), "{error:?}"),
        }
    }

    #[test]
    fn nobody_is_let_in_by_an_oversight() {
        let own = Config::default();
        check("127.0.0.1:1", &own, None);
        check("[::1]:1", &own, None);
        for elsewhere in ["0.0.0.0:1", "[::]:1", "192.0.2.7:1"] {
            check(elsewhere, &own, Some("gateway.authentication"));
            check(elsewhere, &Config { authentication: true, ..own.clone() }, None);
            check(elsewhere, &Config { allow_anonymous: true, ..own.clone() }, None);
        }
        let both = Config { authentication: true, allow_anonymous: true, ..own.clone() };
        check("127.0.0.1:1", &both, Some("contradicts"));
        let ca = Config { client_ca_path: Some("ca.pem".into()), ..own };
        assert!(ca.is_authentication_required());
        check("127.0.0.1:1", &ca, Some("gateway.tls_cert_path"));
    }
}
