//! What can be typed to have an installation looked over.

use std::path::PathBuf;

use chassis::Settings;
use clap::Args;

use super::Asking;

pub(super) const DOCTOR_EXIT_CODES: &str =
    "Exit codes:\n  0  nothing fails, though there may be warnings\n  1  something does\n  3  an error";

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// The NATS server that the services use.
    #[arg(long, value_name = "URL", env = "FAILSAFE__NATS__URL", hide_env_values = true)]
    pub(crate) nats_url: Option<String>,
    /// The PostgreSQL database of the decision service.
    #[arg(long, value_name = "URL", env = "FAILSAFE__DATABASE__URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// The services' settings in TOML; FAILSAFE__TABLE__KEY variables go over them, and the flags over both.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

impl Doctor {
    /// The settings file, the environment, and the flags over both.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = Settings::load(self.config.as_deref())?;
        for (key, value) in [("nats.url", &self.nats_url), ("database.url", &self.database_url)] {
            if let Some(value) = value {
                settings = settings.with(key, value.clone());
            }
        }
        Ok(settings)
    }
}
