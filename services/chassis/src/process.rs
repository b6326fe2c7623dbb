//! One service as a process: start, run, drain, stop.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser};
use serde::de::DeserializeOwned;

use crate::telemetry::{self, Telemetry, Wanted};
use crate::{Admin, Bus, Health, Settings, Shutdown, State};

/// What a service is given when it starts.
#[derive(Clone, Debug)]
pub struct Process {
    /// The service's name.
    pub service: &'static str,
    /// The connection to NATS.
    pub bus: Bus,
    /// All settings.
    pub settings: Settings,
    /// Tells when to end.
    pub shutdown: Shutdown,
    /// To be kept true by the service.
    pub health: Health,
}

impl Process {
    /// Connects `service`, has it answer for its health, and shows what waits for it.
    ///
    /// # Errors
    /// When the settings are wrong, or the bus cannot be used.
    pub async fn start(service: &'static str, settings: Settings, shutdown: Shutdown) -> anyhow::Result<Self> {
        let bus = Bus::connect(&settings.table("nats")?, service, &shutdown).await?;
        let health = Health::default();
        bus.answer_health(health.clone(), shutdown.clone()).await?;
        tokio::spawn(bus.clone().show(health.clone(), shutdown.clone()));
        Ok(Self { service, bus, settings, shutdown, health })
    }
}

/// The table of `service` in the settings: `static-analysis` has `[static_analysis]`.
#[must_use]
pub fn table_of(service: &str) -> String {
    service.replace('-', "_")
}

/// Runs one service as a process of its own; see `--help`.
///
/// Exits 0 after a drain, 1 after an error, which is logged in one line.
pub fn main<C, F>(service: &'static str, run: impl FnOnce(Process, C) -> F) -> ExitCode
where
    C: DeserializeOwned + Default,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let command = Arguments::command().name(service).version(env!("CARGO_PKG_VERSION"));
    let arguments = Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let runtime = match runtime(half_the_cores()) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{service}: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let telemetry = match telemetry::start(Wanted { service, level: "info", otlp: None }) {
            Ok(telemetry) => telemetry,
            Err(error) => {
                eprintln!("{service}: cannot start telemetry: {error:#}");
                return ExitCode::FAILURE;
            }
        };
        let ended = run_until_signal(service, arguments, &telemetry, run).await;
        if let Err(error) = &ended {
            tracing::error!(service, "{service} ends: {error:#}");
        }
        telemetry.stop().await;
        if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// The variable that says how many threads there are, known from tokio, which would not say kindly what is wrong with it.
const THREADS: &str = "TOKIO_WORKER_THREADS";

/// A runtime on as many threads as TOKIO_WORKER_THREADS says, or on so many.
///
/// On one thread all that is ready runs before the connections do: what it sends goes out together. With more, each event's answer is
/// written by itself, for tokio runs whom a task has woken right after that task.
///
/// # Errors
/// When that is no number of threads, or the system gives no threads.
pub fn runtime(unless_said: NonZero<usize>) -> std::io::Result<tokio::runtime::Runtime> {
    let said = std::env::var_os(THREADS).map(|said| said.to_string_lossy().into_owned());
    let threads = said.map_or(Ok(unless_said), |said| threads(&said)).map_err(std::io::Error::other)?;
    let mut builder = match threads.get() {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads.get()).enable_all().build()
}

fn threads(said: &str) -> Result<NonZero<usize>, String> {
    said.parse().map_err(|_| format!("{THREADS} must be a number of threads, 1 or more, and is {said:?}"))
}

/// A service shares the cores with the other services and with the servers, and an event that stays on its thread costs less.
fn half_the_cores() -> NonZero<usize> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    NonZero::new(cores / 2).unwrap_or(NonZero::<usize>::MIN)
}

async fn run_until_signal<C, F>(
    service: &'static str,
    arguments: Arguments,
    telemetry: &Telemetry,
    run: impl FnOnce(Process, C) -> F,
) -> anyhow::Result<()>
where
    C: DeserializeOwned + Default,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    // reqwest and sqlx are built without a provider of their own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings::load(arguments.config.as_deref())?;
    if arguments.check_health {
        let bus = Bus::connect(&settings.table("nats")?, service, &Shutdown::default()).await?;
        return match bus.ask_health(service).await {
            State::Serving => Ok(()),
            State::NotServing(why) => Err(anyhow::anyhow!("not serving: {why}")),
        };
    }
    let config: C = settings.table(&table_of(service))?;
    let shutdown = Shutdown::on_signals()?;
    // Before the bus, so that whoever asks is told what is waited for.
    let admin = Admin::open(settings.table("admin")?, telemetry, &[service], &shutdown).await?;
    let process = Process::start(service, settings, shutdown).await?;
    admin.show(&process);
    let bus = process.bus.clone();
    tracing::info!(service, version = env!("CARGO_PKG_VERSION"), "{service} is up");
    // On the runtime's own threads: what this one polled would be woken across threads by each word from a server.
    let ended = tokio::spawn(run(process, config)).await.context("it panicked").flatten();
    bus.flush().await.context("cannot flush the bus")?;
    ended
}

/// One service of FailSafe as a process of its own. `failsafe up` runs all services at once.
///
/// It works on as many threads as half the machine's cores, one at least, unless TOKIO_WORKER_THREADS says otherwise; RUST_LOG sets the level of its log.
#[derive(Debug, Parser)]
struct Arguments {
    /// Settings in TOML; FAILSAFE__TABLE__KEY variables go over them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask the running service how it is: exit 0 when it serves, 1 when not.
    #[arg(long)]
    check_health: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_may_be_said() {
        assert_eq!(threads("3").unwrap().get(), 3);
        for wrong in ["0", "abc", "", "-1"] {
            assert!(threads(wrong).unwrap_err().contains(&format!("{THREADS} must be a number of threads")), "{wrong}");
        }
        let cores = std::thread::available_parallelism().unwrap().get();
        let own = half_the_cores().get();
        assert!(own == 1 || own == cores / 2, "{own} of {cores}");
    }
}
