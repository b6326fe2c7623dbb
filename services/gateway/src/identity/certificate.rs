//! Who a client's TLS certificate speaks for. The connection has proved already that an authority of ours signed it and that the
//! client holds its key. Pure.

use serde::Deserialize;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::caller::{Caller, Kind, Repositories, Scope};

/// `[[gateway.clients]]`: whom a certificate speaks for, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// What the certificate has to say: `dns:`, `uri:` or `email:` and one of its subject's alternative names, or `cn:` and its
    /// subject's common name.
    pub certificate: String,
    /// The name that the audit trail shows.
    pub name: String,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// On which repositories, as globs; on all without any.
    #[serde(default)]
    pub repositories: Vec<String>,
}

/// The clients that certificates speak for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients(Vec<(String, Caller)>);

impl Clients {
    /// Reads the settings.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn new(settings: &[Client]) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for client in settings {
            let Client { certificate, name, scopes, repositories } = client;
            let is_known = ["dns:", "uri:", "email:", "cn:"]
                .iter()
                .any(|kind| certificate.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()));
            anyhow::ensure!(
                is_known,
                "gateway.clients: certificate must be dns:NAME, uri:URI, email:ADDRESS or cn:NAME, not {certificate:?}"
            );
            anyhow::ensure!(!name.is_empty(), "gateway.clients: {certificate} needs a name");
            anyhow::ensure!(!scopes.is_empty(), "gateway.clients: {name} needs a scope, or it may do nothing");
            let repositories = Repositories::matching(repositories)
                .map_err(|why| anyhow::anyhow!("gateway.clients: a glob of {name}'s repositories {why}"))?;
            let caller = Caller { name: name.clone(), kind: Kind::Certificate, scopes: scopes.clone(), repositories };
            clients.push((certificate.clone(), caller));
        }
        Ok(Self(clients))
    }

    /// The first client of the settings that `der`, a certificate, speaks for.
    pub(crate) fn of(&self, der: &[u8]) -> Option<Caller> {
        let said = said(der);
        self.0.iter().find(|(certificate, _)| said.contains(certificate)).map(|(_, caller)| caller.clone())
    }
}

/// What a certificate says of whom it is for. Its common name counts only without alternative names, as with servers' names (RFC 6125).
fn said(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let mut said = Vec::new();
    if let Ok(Some(names)) = certificate.subject_alternative_name() {
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(name) => said.push(format!("dns:{name}")),
                GeneralName::URI(uri) => said.push(format!("uri:{uri}")),
                GeneralName::RFC822Name(address) => said.push(format!("email:{address}")),
                _ => {}
            }
        }
    }
    if said.is_empty() {
        let names = certificate.subject().iter_common_name();
        said.extend(names.filter_map(|name| name.as_str().ok()).map(|name| format!("cn:{name}")));
    }
    said
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: &str, names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn client(certificate: &str) -> Client {
        Client {
            certificate: certificate.to_owned(),
            name: "ci".to_owned(),
            scopes: vec![Scope::Submit],
            repositories: vec![],
        }
    }

    #[track_caller]
    fn check(setting: &str, der: &[u8], expected: bool) {
        let clients = Clients::new(&[client(setting)]).unwrap();
        assert_eq!(clients.of(der).is_some(), expected, "{setting}");
    }

    #[test]
    fn a_certificate_speaks_for_whom_it_names() {
        let uri = SanType::URI("spiffe://acme.example/ci".try_into().unwrap());
        let dns = SanType::DnsName("ci.acme.example".try_into().unwrap());
        let both = certificate("admin", vec![uri, dns]);
        check("uri:spiffe://acme.example/ci", &both, true);
        check("dns:ci.acme.example", &both, true);
        check("dns:acme.example", &both, false);
        check("uri:ci.acme.example", &both, false);
        // Beside alternative names the common name says nothing.
        check("cn:admin", &both, false);
        check("cn:ci", &certificate("ci", vec![]), true);
        check("cn:ci", &certificate("ci2", vec![]), false);
        check("cn:ci", b"no certificate", false);
    }

    #[test]
    fn a_client_that_is_set_up_wrongly_stops_the_start() {
        let wrong = [
            (client("ci.acme.example"), "dns:NAME"),
            (client("cn:"), "dns:NAME"),
            (Client { scopes: vec![], ..client("cn:ci") }, "scope"),
            (Client { repositories: vec!["[".to_owned()], ..client("cn:ci") }, "glob"),
        ];
        for (client, part) in wrong {
            let error = Clients::new(std::slice::from_ref(&client)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
