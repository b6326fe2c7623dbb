//! `failsafe up`: everything in this process, until it is told to end.

use std::path::{Path, PathBuf};

use anyhow::Context;
use chassis::{Settings, Shutdown};
use gateway::Listeners;

use crate::addresses;
use crate::cli::Running;
use crate::engine::Engine;
use crate::servers::{Servers, step};
use crate::terminal::say;

/// Runs everything until it is told to end.
pub(crate) async fn run(options: Running) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let settings = options.settings()?;
    let listeners = Listeners::bind(&settings.table("gateway")?).await?;
    let folder = data_folder(&options.data_dir, &settings)?;
    let (servers, settings) = Servers::start(&folder, settings).await?;
    let ended = serve(&settings, listeners, &shutdown, &servers).await;
    let stopped = servers.stop().await;
    ended.and(stopped)?;
    say("FailSafe is down.");
    Ok(())
}

async fn serve(
    settings: &Settings,
    listeners: Listeners,
    shutdown: &Shutdown,
    servers: &Servers,
) -> anyhow::Result<()> {
    let addresses = listeners.addresses()?;
    let mut engine =
        step("starting six services", Engine::start(settings, listeners, shutdown), |_| String::new()).await?;
    say(&format!("\nFailSafe is up. Ctrl-C drains and stops all of it.\n\n{}\n", addresses::lines(addresses, servers)));
    let ended = engine.run().await;
    engine.drain().await;
    ended
}

/// The data folder, made when a private server needs it.
pub(crate) fn data_folder(named: &Path, settings: &Settings) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(named)?;
    if !(settings.has("nats.url") && settings.has("database.url")) {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}: choose another folder by --data-dir", folder.display()))?;
    }
    Ok(folder)
}
