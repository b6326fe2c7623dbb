//! What the command line shows a gateway: a token in every call, a certificate at the connection.

use std::env;
use std::path::Path;

use anyhow::{Context, ensure};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use tonic::{Request, Status};

use crate::cli::Server;

/// A token that goes with every call, or none. Its `Debug` form does not tell it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials(Option<MetadataValue<Ascii>>);

impl Credentials {
    /// The token of the file, or else of the variable FAILSAFE_TOKEN.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what is no token.
    pub(crate) fn of(server: &Server) -> anyhow::Result<Self> {
        let token = match &server.token_file {
            Some(path) => read("--token-file", path).and_then(|bytes| {
                String::from_utf8(bytes).ok().with_context(|| format!("{} holds no token", path.display()))
            })?,
            None => env::var("FAILSAFE_TOKEN").unwrap_or_default(),
        };
        let token = token.trim();
        if token.is_empty() {
            ensure!(server.token_file.is_none(), "the file of --token-file is empty");
            return Ok(Self(None));
        }
        Self::bearer(token)
    }

    /// That token.
    ///
    /// # Errors
    /// When it is no token.
    pub(crate) fn bearer(token: &str) -> anyhow::Result<Self> {
        let header = MetadataValue::try_from(format!("Bearer {token}"));
        let mut header = header.ok().context("the token holds characters that no token has")?;
        // Kept out of the logs of the libraries, too.
        header.set_sensitive(true);
        Ok(Self(Some(header)))
    }

    /// Whether there is a token.
    pub(crate) const fn are_there(&self) -> bool {
        self.0.is_some()
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// The client's end of TLS; `None` for a plain connection.
///
/// # Errors
/// When a file cannot be read, or is given for a plain connection.
pub(crate) fn tls(server: &Server) -> anyhow::Result<Option<ClientTlsConfig>> {
    let is_plain = server.address.starts_with("http://");
    let is_asked = server.ca.is_some() || server.cert.is_some();
    ensure!(!(is_plain && is_asked), "{} is a plain connection: --ca and --cert need https://", server.address);
    if is_plain || !(is_asked || server.address.starts_with("https://")) {
        return Ok(None);
    }
    let mut tls = ClientTlsConfig::new();
    tls = match &server.ca {
        Some(path) => tls.ca_certificate(Certificate::from_pem(read("--ca", path)?)),
        None => tls.with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&server.cert, &server.key) {
        tls = tls.identity(Identity::from_pem(read("--cert", certificate)?, read("--key", key)?));
    }
    Ok(Some(tls))
}

fn read(flag: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {flag} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "fsk_secret\n").unwrap();
        let server = Server { token_file: Some(file.path().to_owned()), ..Server::at("http://127.0.0.1:1") };
        let mut credentials = Credentials::of(&server).unwrap();
        assert!(!format!("{credentials:?} {server:?}").contains("fsk_secret"));
        let request = credentials.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer fsk_secret");
        assert!(!format!("{request:?}").contains("fsk_secret"));
    }

    #[test]
    fn certificates_need_tls() {
        let ca = Server { ca: Some("ca.pem".into()), ..Server::at("http://127.0.0.1:1") };
        assert!(tls(&ca).unwrap_err().to_string().contains("https://"));
        assert!(tls(&Server::at("http://127.0.0.1:1")).unwrap().is_none());
        assert!(tls(&Server::at("127.0.0.1:1")).unwrap().is_none());
    }
}
