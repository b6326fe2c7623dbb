//! By which names HTTP may be called where nobody has to say who they are.
//!
//! A page of the web can have its own name mean 127.0.0.1 (DNS rebinding): then its requests are of its own origin, and the browser lets
//! it read the answers. What it cannot change is the name in them. With authentication there is no need: the page has no credentials.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tonic::codegen::http::{HeaderMap, Uri, header, uri};

use super::answer::refusal;
use crate::{Config, status};

/// The names besides those of the loopback; `None` when any will do.
pub(super) type Hosts = Option<Arc<[String]>>;

/// The names by which HTTP at `address` may be called.
pub(super) fn permitted(config: &Config, address: SocketAddr) -> Hosts {
    let is_guarded = address.ip().is_loopback() || !config.http_hosts.is_empty();
    (is_guarded && !config.is_authentication_required()).then(|| config.http_hosts.clone().into())
}

/// Answers only what is asked by a permitted name.
pub(super) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let Some(hosts) = hosts else { return next.run(request).await };
    match named(request.uri(), request.headers()).into_iter().flatten().find(|name| !is_permitted(name, &hosts)) {
        None => next.run(request).await,
        Some(_) => {
            let message = "this FailSafe may not be called by that name: gateway.http_hosts lists the names that may";
            refusal(&status::denied("HOST_NOT_PERMITTED", message, []))
        }
    }
}

/// The names that a request has: in its address, with HTTP/2 or for a proxy, and in its header. What cannot be read is the empty name.
fn named(uri: &Uri, headers: &HeaderMap) -> [Option<String>; 2] {
    let header = headers.get(header::HOST).map(|host| {
        let authority = uri::Authority::try_from(host.as_bytes());
        authority.map(|authority| authority.host().to_owned()).unwrap_or_default()
    });
    [uri.host().map(str::to_owned), header]
}

fn is_permitted(name: &str, hosts: &[String]) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || hosts.iter().any(|host| host.eq_ignore_ascii_case(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, host: Option<&str>, expected: bool) {
        let hosts = ["failsafe.acme.example".to_owned()];
        let headers: HeaderMap = host.map(|host| (header::HOST, host.parse().unwrap())).into_iter().collect();
        let all = named(&uri.parse().unwrap(), &headers).into_iter().flatten().all(|name| is_permitted(&name, &hosts));
        assert_eq!(all, expected, "{uri} {host:?}");
    }

    #[test]
    fn the_loopback_and_what_the_settings_name_may_be_called() {
        for host in [
            "localhost",
            "LOCALHOST:50080",
            "127.0.0.1:50080",
            "127.9.9.9",
            "[::1]:50080",
            "failsafe.acme.example.",
            "Failsafe.Acme.example:80",
        ] {
            check("/", Some(host), true);
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "[2001:db8::1]:50080",
            "a b",
            "127.0.0.1.evil.example:50080",
        ] {
            check("/", Some(host), false);
        }
        check("/", None, true);
        check("http://evil.example/", None, false);
        check("http://localhost/", Some("evil.example"), false);
        check("http://localhost:50080/", Some("localhost"), true);
    }

    #[test]
    fn names_matter_where_nobody_has_to_say_who_they_are() {
        let [loopback, elsewhere] = ["127.0.0.1:1", "192.0.2.1:1"].map(|address| address.parse().unwrap());
        let own = Config::default();
        assert!(permitted(&own, loopback).is_some());
        assert_eq!(permitted(&own, elsewhere), None);
        let named = Config { http_hosts: vec!["a.example".to_owned()], ..own.clone() };
        assert!(permitted(&named, elsewhere).is_some());
        assert_eq!(permitted(&Config { authentication: true, ..named }, loopback), None);
    }
}
