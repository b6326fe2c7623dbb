//! `failsafe services`: each service as a process of its own, on one NATS and one PostgreSQL.
//!
//! It watches and restarts nothing: what a service that dies needs is for whoever runs it in production to say.

mod log;

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use chassis::{Bus, Settings, Shutdown, State};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::addresses;
use crate::cli::Running;
use crate::servers::{Servers, step};
use crate::terminal::say;
use crate::up::{data_folder, listen};

/// The programs, in the order of the flow.
const PROGRAMS: [&str; 6] = [
    gateway::SERVICE,
    ingest::SERVICE,
    static_analysis::SERVICE,
    ml_scoring::SERVICE,
    decision::SERVICE,
    llm_explainer::SERVICE,
];
/// How long the services may take to end.
const DRAIN_MAX: Duration = Duration::from_secs(40);
/// Between two looks at the services' health while they start.
const LOOK: Duration = Duration::from_millis(50);

/// Runs every service as a process until it is told to end, or one of them ends.
pub(crate) async fn run(options: Running) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let settings = options.settings()?;
    let address = settings.table::<gateway::Config>("gateway")?.listen;
    // Told here, a taken address is one clear line. The gateway listens on it in a moment.
    drop(listen(address).await?);
    let programs = PROGRAMS.map(|service| Ok((service, program(service)?)));
    let programs = programs.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let folder = data_folder(&options.data_dir, &settings)?;
    let (servers, settings) = Servers::start(&folder, settings).await?;
    let environment = environment(&options, &servers);
    let mut fleet = Fleet::default();
    let ended = async {
        fleet.start(&programs, &environment, options.config.as_deref())?;
        let ready = async {
            step("starting six processes", serving(&settings), |()| String::new()).await?;
            say(&format!(
                "\nFailSafe is up. Ctrl-C drains and stops all of it.\n\n{}\n",
                addresses::lines(address, &servers)
            ));
            std::future::pending::<anyhow::Result<()>>().await
        };
        tokio::select! {
            ended = ready => ended,
            error = fleet.first_end() => Err(error),
            () = signals.next() => Ok(()),
        }
    };
    let ended = ended.await;
    tokio::select! {
        () = fleet.drain() => {}
        () = signals.next() => fleet.kill(),
    }
    let stopped = servers.stop().await;
    ended.and(stopped)
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
    let listen = options.listen.map(|address| address.to_string());
    [("FAILSAFE__NATS__URL", nats), ("FAILSAFE__DATABASE__URL", postgres), ("FAILSAFE__GATEWAY__LISTEN", listen)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Waits until all services say that they serve.
async fn serving(settings: &Settings) -> anyhow::Result<()> {
    let bus = Bus::connect(&settings.table("nats")?, "failsafe", &Shutdown::default()).await?;
    for service in PROGRAMS {
        while bus.ask_health(service).await != State::Serving {
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

/// The processes.
#[derive(Default)]
struct Fleet {
    running: JoinSet<(&'static str, std::io::Result<ExitStatus>)>,
    pids: Vec<(&'static str, u32)>,
}

impl Fleet {
    fn start(
        &mut self,
        programs: &[(&'static str, PathBuf)],
        environment: &[(&'static str, String)],
        config: Option<&std::path::Path>,
    ) -> anyhow::Result<()> {
        for (service, path) in programs {
            let mut command = Command::new(path);
            if let Some(file) = config {
                command.arg("--config").arg(file);
            }
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            // Ctrl-C in the terminal is for this process alone, which passes it on once.
            command.process_group(0).kill_on_drop(true).stdin(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().with_context(|| format!("cannot start {}", path.display()))?;
            self.pids.extend(child.id().map(|pid| (*service, pid)));
            self.running.spawn(attend(service, child.stderr.take().map(BufReader::new), child));
        }
        Ok(())
    }

    /// Waits until a process ends by itself, and says which and how.
    async fn first_end(&mut self) -> anyhow::Error {
        match self.running.join_next().await {
            Some(Ok((service, ended))) => {
                self.pids.retain(|(running, _)| *running != service);
                match ended {
                    Ok(status) => anyhow!("{service} ended ({status}); its last words stand above"),
                    Err(error) => anyhow!(error).context(format!("cannot wait for {service}")),
                }
            }
            Some(Err(error)) => anyhow!(error),
            None => anyhow!("no process is running"),
        }
    }

    /// Asks all processes to end, and waits until they have.
    async fn drain(&mut self) {
        for (service, pid) in &self.pids {
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
) -> (&'static str, std::io::Result<ExitStatus>) {
    if let Some(log) = log {
        let mut lines = log.lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log::print(service, &line);
        }
    }
    (service, child.wait().await)
}
