//! The gateway's end of TLS, from files.
//!
//! Connections are accepted here and not by tonic, which offers HTTP/2 alone: the port for HTTP takes HTTP/1.1 too.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::{Stream, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Config;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How many handshakes are under way at a time, of one port.
const HANDSHAKES_MAX: usize = 1_024;

/// What a port speaks over TLS, the best first, by the names of ALPN.
pub(crate) type Protocols = &'static [&'static str];
/// gRPC needs HTTP/2.
pub(crate) const GRPC: Protocols = &["h2"];
/// HTTP is either.
pub(crate) const HTTP: Protocols = &["h2", "http/1.1"];

/// TLS as the settings ask for it; `None` when they do not.
///
/// A client may come without a certificate: then it has to say otherwise who it is.
///
/// # Errors
/// When one file is named without the other, or cannot be read or used.
pub(crate) fn server(config: &Config) -> anyhow::Result<Option<ServerConfig>> {
    let (certificate, key) = match (&config.tls_cert_path, &config.tls_key_path) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => bail!("gateway.tls_cert_path and gateway.tls_key_path come together"),
    };
    let chain = certificates("gateway.tls_cert_path", certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read gateway.tls_key_path = {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &config.client_ca_path {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut authorities = RootCertStore::empty();
            for authority in certificates("gateway.client_ca_path", path)? {
                let added = authorities.add(authority);
                added.with_context(|| format!("cannot use gateway.client_ca_path = {}", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        }
    };
    let server = builder.with_single_cert(chain, key);
    server.context("cannot use gateway.tls_cert_path with gateway.tls_key_path").map(Some)
}

fn certificates(setting: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let cannot = || format!("cannot read {setting} = {}", path.display());
    let all = CertificateDer::pem_file_iter(path).with_context(cannot)?;
    let all = all.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    ensure!(!all.is_empty(), "{}: it holds no certificate in PEM", cannot());
    Ok(all)
}

/// `connections`, each once its handshake is over. One whose handshake fails is closed, and nobody waits for another's.
pub(crate) fn over(
    connections: impl Stream<Item = io::Result<TcpStream>>,
    mut server: ServerConfig,
    protocols: Protocols,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    server.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let shaken = connections.map(move |connection| {
        let acceptor = acceptor.clone();
        // On a task of its own: it computes.
        tokio::spawn(async move {
            match connection {
                Ok(connection) => shake_hands(&acceptor, connection).await.map(Ok),
                Err(error) => Some(Err(error)),
            }
        })
    });
    shaken.buffer_unordered(HANDSHAKES_MAX).filter_map(async |shaken| shaken.ok().flatten())
}

async fn shake_hands(acceptor: &TlsAcceptor, connection: TcpStream) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(connection)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!("a TLS handshake failed: {error}");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took longer than {} s", HANDSHAKE_MAX.as_secs());
            None
        }
    }
}
