//! `failsafe services`: each service as a process of its own, on one NATS and one PostgreSQL.
//!
//! A service that dies while they come up ends them all, because its settings are wrong; one that dies later is started again.

mod log;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chassis::settings::AdminSettings;
use chassis::{Bus, Settings, Shutdown, State};
use gateway::Listeners;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::addresses;
use crate::cli::Running;
use crate::engine::SERVICES;
use crate::servers::{Servers, step};
use crate::terminal::say;
use crate::up::data_folder;

/// How long the services may take to end.
const DRAIN_MAX: Duration = Duration::from_secs(40);
/// Between two looks at the services' health while they start.
const LOOK: Duration = Duration::from_millis(50);
/// How long a process that died stays down, so that one that cannot live does not fill the terminal.
const DOWN: Duration = Duration::from_secs(1);

/// Runs every service as a process until it is told to end, or one of them does not come up.
pub(crate) async fn run(options: Running) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let settings = options.settings()?;
    let gateway: gateway::Config = settings.table("gateway")?;
    let addresses = (gateway.listen, gateway.http_listen);
    // Told here, a taken address is one clear line. The gateway listens on them in a moment.
    drop(Listeners::bind(&gateway).await?);
    let programs = SERVICES.map(|service| Ok((service, program(service)?)));
    let programs = programs.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let folder = data_folder(&options.data_dir, &settings)?;
    let (servers, settings) = Servers::start(&folder, settings).await?;
    let environment = environment(&options, &servers);
    let admin = settings.table::<AdminSettings>("admin")?.listen;
    let mut fleet = Fleet::new(programs, environment, admin, options.config.as_deref());
    let ended = async {
        fleet.start_all()?;
        tokio::select! {
            ready = step("starting six processes", serving(&settings), |()| String::new()) => ready?,
            ended = fleet.next_end() => bail!("{}; its last words stand above", ended?.1),
            () = signals.next() => return Ok(()),
        }
        say(&format!(
            "\nFailSafe is up. Ctrl-C drains and stops all of it.\n\n{}\n",
            addresses::lines(addresses, options.admin, &servers, options.otlp())
        ));
        tokio::select! {
            ended = fleet.keep_up() => ended,
            () = signals.next() => Ok(()),
        }
    };
    let ended = ended.await;
    tokio::select! {
        () = fleet.drain() => {}
        () = signals.next() => fleet.kill(),
    }
    let stopped = servers.stop().await;
    ended.and(stopped)?;
    say("FailSafe is down.");
    Ok(())
}

/// SIGTERM and SIGINT. Not [`Shutdown::on_signals`], whose second signal would leave the processes behind.
struct Signals(Signal, Signal);

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// The program of a service, beside this one.
fn program(service: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's own folder")?;
    let path = this.with_file_name(service);
    ensure!(path.is_file(), "{} is missing: build all programs by `cargo build --workspace --bins`", path.display());
    Ok(path)
}

/// What the processes are told over their own environment: where the servers are, and the flags of this command.
fn environment(options: &Running, servers: &Servers) -> Vec<(&'static str, String)> {
    let nats = servers.nats.as_ref().map(|nats| nats.url().to_owned()).or_else(|| options.nats_url.clone());
    let postgres = servers.postgres.as_ref().map(|it| it.url().to_owned()).or_else(|| options.database_url.clone());
    let flags = [
        ("FAILSAFE__NATS__URL", nats),
        ("FAILSAFE__DATABASE__URL", postgres),
        ("FAILSAFE__GATEWAY__LISTEN", options.listen.map(|address| address.to_string())),
        ("FAILSAFE__GATEWAY__HTTP_LISTEN", options.http_listen.map(|address| address.to_string())),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", options.otlp().map(str::to_owned)),
    ];
    flags.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Waits until all services say that they serve.
async fn serving(settings: &Settings) -> anyhow::Result<()> {
    let bus = Bus::connect(&settings.table("nats")?, "failsafe", &Shutdown::default()).await?;
    for service in SERVICES {
        while bus.ask_health(service).await != State::Serving {
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

/// The processes.
struct Fleet {
    programs: Vec<(&'static str, PathBuf)>,
    environment: Vec<(&'static str, String)>,
    /// The admin port of the first; each further one has the next.
    admin: Option<SocketAddr>,
    config: Option<PathBuf>,
    running: JoinSet<(usize, std::io::Result<ExitStatus>)>,
    /// The process of each program while it runs.
    pids: Vec<Option<u32>>,
}

impl Fleet {
    fn new(
        programs: Vec<(&'static str, PathBuf)>,
        environment: Vec<(&'static str, String)>,
        admin: Option<SocketAddr>,
        config: Option<&Path>,
    ) -> Self {
        let pids = vec![None; programs.len()];
        Self { programs, environment, admin, config: config.map(Path::to_owned), running: JoinSet::new(), pids }
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        (0..self.programs.len()).try_for_each(|number| self.start(number))
    }

    fn start(&mut self, number: usize) -> anyhow::Result<()> {
        let (service, path) = &self.programs[number];
        let mut command = Command::new(path);
        if let Some(file) = &self.config {
            command.arg("--config").arg(file);
        }
        if let Some(first) = self.admin {
            let port = if first.port() == 0 { 0 } else { first.port().saturating_add(u16::try_from(number)?) };
            command.env("FAILSAFE__ADMIN__LISTEN", SocketAddr::new(first.ip(), port).to_string());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Ctrl-C in the terminal is for this process alone, which passes it on once.
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", path.display()))?;
        self.pids[number] = child.id();
        let log = child.stderr.take().map(BufReader::new);
        let attended = attend(service, log, child);
        self.running.spawn(async move { (number, attended.await) });
        Ok(())
    }

    /// Waits until a process ends by itself: its number, and what to say of it.
    async fn next_end(&mut self) -> anyhow::Result<(usize, String)> {
        let (number, ended) = self.running.join_next().await.context("no process is running")??;
        self.pids[number] = None;
        let service = self.programs[number].0;
        let status = ended.with_context(|| format!("cannot wait for {service}"))?;
        Ok((number, format!("{service} ended ({status})")))
    }

    /// Starts every process that dies again.
    async fn keep_up(&mut self) -> anyhow::Result<()> {
        loop {
            let (number, ended) = self.next_end().await?;
            say(&format!("{ended}: starting it again; what it had not finished is delivered to it once more"));
            tokio::time::sleep(DOWN).await;
            self.start(number)?;
        }
    }

    /// Asks all processes to end, and waits until they have.
    async fn drain(&mut self) {
        for ((service, _), pid) in self.programs.iter().zip(&self.pids) {
            let Some(pid) = pid else { continue };
            let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).stderr(Stdio::null()).status().await;
            if !sent.is_ok_and(|status| status.success()) {
                tracing::warn!("{service} cannot be asked to end: has it just ended?");
            }
        }
        let ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, ended).await.is_err() {
            tracing::warn!("not all services had ended after {} s: they are killed", DRAIN_MAX.as_secs());
            self.kill();
        }
    }

    /// Ends by SIGKILL what still runs.
    fn kill(&mut self) {
        self.running.abort_all();
    }
}

/// Prints what a process logs, with its name, until it ends.
async fn attend(
    service: &'static str,
    log: Option<BufReader<tokio::process::ChildStderr>>,
    mut child: Child,
) -> std::io::Result<ExitStatus> {
    if let Some(log) = log {
        let mut lines = log.lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log::print(service, &line);
        }
    }
    child.wait().await
}
