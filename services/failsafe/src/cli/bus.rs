//! How commands that need no gateway reach the bus.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use chassis::{Settings, Shutdown};
use clap::Args;

use super::Output;

/// How long to wait for NATS before giving up: somebody sits in front of this.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to reach NATS.
#[derive(Args, Debug)]
pub(crate) struct Bus {
    /// The NATS server that the services use.
    #[arg(long, value_name = "URL", env = "FAILSAFE__NATS__URL", hide_env_values = true)]
    pub(crate) nats_url: Option<String>,
    /// Settings in TOML; FAILSAFE__TABLE__KEY variables go over them, and the flag over both.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// How to reach NATS, and how to print what it holds or what was done.
#[derive(Args, Debug)]
pub(crate) struct OnBus {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) bus: Bus,
}

impl Bus {
    /// The settings file, the environment, and the flag over both.
    fn settings(&self) -> anyhow::Result<Settings> {
        let settings = Settings::load(self.config.as_deref())?;
        Ok(match &self.nats_url {
            Some(url) => settings.with("nats.url", url.clone()),
            None => settings,
        })
    }

    /// Connects to it.
    pub(crate) async fn connect(&self) -> anyhow::Result<chassis::Bus> {
        let settings = self.settings()?.table("nats")?;
        let shutdown = Shutdown::default();
        let connecting = chassis::Bus::connect(&settings, "failsafe", &shutdown);
        tokio::time::timeout(PATIENCE, connecting)
            .await
            .with_context(|| format!("NATS does not answer at {}: name it by --nats-url", settings.url))?
    }
}
