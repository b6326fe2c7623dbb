//! The gateway's end of TLS, from files.

use std::path::Path;

use anyhow::{Context, bail};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::Config;

/// How long a handshake may take.
const HANDSHAKE_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// TLS as the settings ask for it; `None` when they do not.
///
/// A client may come without a certificate: then it has to say otherwise who it is.
///
/// # Errors
/// When one file is named without the other, or cannot be read.
pub(crate) fn server(config: &Config) -> anyhow::Result<Option<ServerTlsConfig>> {
    let (certificate, key) = match (&config.tls_cert_path, &config.tls_key_path) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => bail!("gateway.tls_cert_path and gateway.tls_key_path come together"),
    };
    let identity = Identity::from_pem(read("gateway.tls_cert_path", certificate)?, read("gateway.tls_key_path", key)?);
    let mut tls = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_MAX);
    if let Some(path) = &config.client_ca_path {
        let authorities = Certificate::from_pem(read("gateway.client_ca_path", path)?);
        tls = tls.client_ca_root(authorities).client_auth_optional(true);
    }
    Ok(Some(tls))
}

fn read(setting: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {setting} = {}", path.display()))
}
