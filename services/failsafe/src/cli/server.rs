//! How commands reach a gateway, and how they show who asks.

use std::path::PathBuf;

use clap::Args;

/// A gateway, and the credentials to show it. A token is never an argument, because arguments can be read by everybody on the machine.
#[derive(Args, Clone, Debug)]
pub(crate) struct Server {
    /// Address of the gateway; https:// for TLS.
    #[arg(long = "server", value_name = "URL", env = "FAILSAFE_SERVER", default_value = LOCAL)]
    pub(crate) address: String,
    /// File of an API token or of a JWT. Without it, the variable FAILSAFE_TOKEN is the token itself.
    #[arg(long, value_name = "FILE", env = "FAILSAFE_TOKEN_FILE", help_heading = "Who asks")]
    pub(crate) token_file: Option<PathBuf>,
    /// The audience of the workflow's identity, which is asked for in a GitHub job with `id-token: write` where no token is given.
    #[arg(
        long,
        value_name = "NAME",
        env = "FAILSAFE_OIDC_AUDIENCE",
        default_value = AUDIENCE,
        help_heading = "Who asks"
    )]
    pub(crate) oidc_audience: String,
    /// Certificates, in PEM, of the authorities that the gateway's certificate may be of, instead of the system's.
    #[arg(long, value_name = "FILE", env = "FAILSAFE_CA", help_heading = "Who asks")]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate, in PEM, by which the gateway knows who asks.
    #[arg(long, value_name = "FILE", env = "FAILSAFE_CERT", requires = "key", help_heading = "Who asks")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's key, in PEM.
    #[arg(long, value_name = "FILE", env = "FAILSAFE_KEY", requires = "cert", help_heading = "Who asks")]
    pub(crate) key: Option<PathBuf>,
}

/// Whom a workflow's identity is meant for, where nobody says otherwise.
const AUDIENCE: &str = "failsafe";
/// Where `failsafe up` listens.
const LOCAL: &str = "http://127.0.0.1:50051";

impl Server {
    /// The gateway at `address`, to be asked by nobody in particular.
    pub(crate) fn at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            token_file: None,
            oidc_audience: AUDIENCE.to_owned(),
            ca: None,
            cert: None,
            key: None,
        }
    }
}
