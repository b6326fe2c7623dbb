//! Everything in one process, and the command line that people use.
//!
//! Knows every service by its `run` and its settings, and the front door by its generated client. It must not know how
//! anything is judged, and judges nothing itself.

mod addresses;
mod audit;
mod candidate;
mod cli;
mod client;
mod credentials;
mod dead;
mod demo;
mod doctor;
mod engine;
mod gate;
mod git;
mod history;
mod model;
mod oidc;
mod pages;
mod policy;
mod progress;
mod published;
mod questions;
mod records;
mod replay;
mod report;
mod rules;
mod scan;
mod servers;
mod services;
mod terminal;
mod token;
mod up;
mod verdict;
mod voice;

use std::num::NonZero;
use std::process::ExitCode;

use chassis::Telemetry;
use chassis::telemetry::{self, Wanted};
use clap::Parser;

use cli::{Cli, Command};
pub use voice::secret_rules;

/// What a wrong command line and a failed question exit with: 1 and 2 are verdicts.
const TROUBLE: u8 = 3;
/// What a scan or an audit that failed exits with: 1 means that something was found.
const SCAN_TROUBLE: u8 = 2;

/// Runs the Voice as a process of its own.
#[must_use]
pub fn llm_explainer() -> ExitCode {
    chassis::main(llm_explainer::SERVICE, voice::run)
}

/// Runs the command line; see `failsafe --help`.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_wrong = error.use_stderr();
            // Nobody is left to tell when this fails.
            let _ = error.print();
            let is_scan = std::env::args_os().nth(1).is_some_and(|command| {
                ["scan", "rules", "audit", "policy", "verdict"].iter().any(|known| command == *known)
            });
            let on_failure = if is_scan { SCAN_TROUBLE } else { TROUBLE };
            return if is_wrong { ExitCode::from(on_failure) } else { ExitCode::SUCCESS };
        }
    };
    let on_failure = match &cli.command {
        Command::Scan(_) | Command::Rules(_) | Command::Audit(_) | Command::Policy(_) | Command::Verdict(_) => {
            SCAN_TROUBLE
        }
        command if command.is_question() => TROUBLE,
        _ => 1,
    };
    let cores = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let runtime = match chassis::runtime(cores) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("failsafe: cannot start the runtime: {error}");
            return ExitCode::from(on_failure);
        }
    };
    let ended = runtime.block_on(run(cli.command));
    // Whatever did not end in its time must not keep the program.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| {
        eprintln!("failsafe: {error:#}");
        ExitCode::from(on_failure)
    })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    // reqwest and sqlx are built without a provider of their own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Up(options) => {
            let otlp = options.otlp().map(str::to_owned);
            with_telemetry("info", otlp.as_deref(), async |telemetry| up::run(options, telemetry).await).await
        }
        Command::Services(options) => with_telemetry("info", None, async |_| services::run(options).await).await,
        Command::Demo(options) => {
            with_telemetry("warn", None, async |telemetry| demo::run(options, telemetry).await).await
        }
        Command::Submit(options) => questions::submit(*options).await,
        Command::Gate(options) => gate::run(*options).await,
        Command::Status(options) => questions::status(options).await,
        Command::Explain(options) => questions::explain(options).await,
        Command::Review(options) => records::review(options).await,
        Command::Outcome(options) => records::outcome(options).await,
        Command::Replay(options) => replay::run(&options).await,
        Command::Verdict(command) => verdict::run(&command).await,
        Command::List(options) => questions::list(options).await,
        Command::Watch(options) => questions::watch(options).await,
        Command::Scan(options) => scan::run(&options),
        Command::Rules(command) => rules::run(&command),
        Command::History(command) => history::run(&command).await.map(|()| ExitCode::SUCCESS),
        Command::Model(command) => model::run(&command).await,
        Command::Policy(command) => policy::run(&command).await,
        Command::Token(command) => token::run(&command).await,
        Command::Audit(command) => audit::run(&command).await,
        Command::Dead(command) => dead::run(&command).await,
        Command::Doctor(options) => doctor::run(&options).await,
        Command::Completions(options) => pages::completions(&options),
        Command::Man(options) => pages::man(&options),
        Command::Metrics => {
            print!("{}", chassis::metrics::table());
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn with_telemetry(
    level: &str,
    otlp: Option<&str>,
    run: impl AsyncFnOnce(&Telemetry) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let telemetry = telemetry::start(Wanted { service: "failsafe", level, otlp })?;
    let ended = run(&telemetry).await;
    telemetry.stop().await;
    ended.map(|()| ExitCode::SUCCESS)
}
