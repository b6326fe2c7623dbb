//! Where a running FailSafe can be reached, ready to be pasted into a shell.
//!
//! Pure but for the telemetry variables, which are not settings of ours.

use std::env;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use domain::Draft;
use proto::Event;

use crate::servers::Servers;

/// A submission that anybody can try: it is allowed.
const SUBMISSION: &str = r#"{"repository":"acme/shop","pull_request":7,"title":"Greet the world","diff":"--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-Hello\n+Hello, world\n"}"#;

/// Where everything is, as lines for people; the gateway by gRPC and by HTTP.
pub(crate) fn lines(
    (gateway, http): (SocketAddr, SocketAddr),
    admin: Option<SocketAddr>,
    servers: &Servers,
    otlp: Option<&str>,
) -> String {
    let (gateway, http) = (reachable(gateway), reachable(http));
    let nats = servers.nats.as_ref().map_or_else(
        || "the NATS server that the settings name".to_owned(),
        |nats| {
            let subject = Draft::filter();
            format!("nats --server {} pub {subject} \\\n    '{SUBMISSION}'", nats.url())
        },
    );
    let postgres = servers.postgres.as_ref().map_or_else(
        || "the PostgreSQL database that the settings name".to_owned(),
        |postgres| format!("psql '{}'", postgres.url()),
    );
    format!(
        "gRPC        {gateway}\n  {grpcurl}\n\
         HTTP        http://{http}\n  {curl}\n\
         command     {program} list --server http://{gateway}\n\
         NATS        {nats}\n\
         PostgreSQL  {postgres}\n\
         admin       {admin}\n\
         traces      {traces}",
        grpcurl = grpcurl(gateway),
        curl = format_args!(
            "git diff main... | curl --data-binary @- 'http://{http}/analyze?repo=acme/shop&pr_id=8&wait=8s'"
        ),
        program = program(),
        admin = admin.map_or_else(
            || "no port: --admin 127.0.0.1:9464 opens one for /metrics, /readyz and /log".to_owned(),
            |address| format!("http://{}/metrics  /healthz  /readyz  /log", reachable(address))
        ),
        traces = traces(otlp),
    )
}

/// A submission by grpcurl to the gateway at that address.
pub(crate) fn grpcurl(gateway: SocketAddr) -> String {
    format!("grpcurl -plaintext -d '{SUBMISSION}' \\\n    {gateway} failsafe.v1.DeploymentService/SubmitDeployment")
}

/// How this program was called, to be called again.
pub(crate) fn program() -> String {
    env::args().next().unwrap_or_else(|| "failsafe".to_owned())
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        named => named,
    };
    SocketAddr::new(loopback, address.port())
}

/// Where the spans go.
pub(crate) fn traces(otlp: Option<&str>) -> String {
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let set = || named.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    otlp.map(str::to_owned).or_else(set).map_or_else(
        || "go nowhere; OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 sends them to a collector".to_owned(),
        |endpoint| format!("go to {endpoint}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_pasted_is_a_sound_submission() {
        let draft = Draft::from_json(SUBMISSION.as_bytes()).unwrap();
        let submission = draft.check(1_000).unwrap();
        let Some(domain::DraftChange::Diff(diff)) = Some(submission.change) else { panic!("no diff") };
        assert_eq!(domain::diff::parse(&diff).unwrap().files.len(), 1);
        assert!(!SUBMISSION.contains('\''), "it stands in single quotes");
    }

    #[test]
    fn an_address_for_all_is_reached_on_this_machine() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:50051"), "127.0.0.1:50051");
        assert_eq!(reached("[::]:50051"), "[::1]:50051");
        assert_eq!(reached("192.0.2.7:1"), "192.0.2.7:1");
    }
}
