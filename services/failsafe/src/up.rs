//! `failsafe up`: everything in this process, until it is told to end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use chassis::settings::AdminSettings;
use chassis::{Admin, Settings, Shutdown, Telemetry};
use gateway::Listeners;

use crate::addresses;
use crate::cli::Running;
use crate::engine::{Engine, SERVICES};
use crate::servers::{Servers, step};
use crate::terminal::say;

/// Runs everything until it is told to end.
pub(crate) async fn run(options: Running, telemetry: &Telemetry) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let settings = options.settings()?;
    let listeners = Listeners::bind(&settings.table("gateway")?).await?;
    let mut admin: AdminSettings = settings.table("admin")?;
    admin.listen.get_or_insert(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let admin = Admin::open(admin, telemetry, &SERVICES, &shutdown).await?;
    let folder = data_folder(&options.data_dir, &settings)?;
    let (servers, settings) = Servers::start(&folder, settings).await?;
    let ended = serve(&settings, listeners, admin, &shutdown, &servers, options.otlp()).await;
    let stopped = servers.stop().await;
    ended.and(stopped)?;
    say("FailSafe is down.");
    Ok(())
}

async fn serve(
    settings: &Settings,
    listeners: Listeners,
    admin: Admin,
    shutdown: &Shutdown,
    servers: &Servers,
    otlp: Option<&str>,
) -> anyhow::Result<()> {
    let (addresses, admin_address) = (listeners.addresses()?, admin.address());
    let starting = Engine::start(settings, listeners, admin, shutdown);
    let mut engine = step("starting six services", starting, |_| String::new()).await?;
    let lines = addresses::lines(addresses, admin_address, servers, otlp);
    say(&format!("\nFailSafe is up. Ctrl-C drains and stops all of it.\n\n{lines}\n"));
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
