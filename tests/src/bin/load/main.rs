//! How much FailSafe bears: made deployments through real services on real servers, beside what the servers alone can do on the same
//! machine in the same run. `just load --help`.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has failed")]

mod drive;
mod floors;
mod lookups;
mod report;
mod stored;
mod usage;

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, ValueEnum, value_parser};
use harness::{Fleet, SERVICES};

use crate::drive::Drive;
use crate::floors::Floors;
use crate::report::Run;

/// Submit made deployments of about 4 KB to FailSafe, each service a process of its own, and say how it bore them.
///
/// Floors are measured on the same servers just before: what JetStream and PostgreSQL take alone, and how long five empty
/// hops through JetStream last. Compare ratios, never seconds of different machines.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
pub(crate) struct Arguments {
    /// How many deployments; several numbers, each with fresh servers, show whether time grows with them.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_value = "10000", value_parser = value_parser!(u32).range(1..))]
    deployments: Vec<u32>,
    /// Submissions a second; without it, as many as are decided.
    #[arg(long, value_name = "PER-SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// The most deployments that wait for their verdict at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    in_flight: usize,
    /// How they are submitted.
    #[arg(long, value_enum, default_value_t = By::Jetstream)]
    by: By,
    /// A setting of the services, such as FAILSAFE__DECISION__BATCH_MAX=512; may be given more than once.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Write all figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw time and memory over the number of deployments into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// The way of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Published to the stream, as `nats pub` does.
    Jetstream,
    /// By calls to the gateway.
    Grpc,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    // Slower, a run would last for days, and no clock counts to infinity.
    if rate.is_finite() && rate >= 0.001 { Ok(rate) } else { Err("at least 0.001 a second".to_owned()) }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let mut runs = Vec::new();
    for count in &arguments.deployments {
        let run = measure(&arguments, *count).await;
        report::print(&run);
        runs.push(run);
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&runs).expect("figures are JSON");
        std::fs::write(path, text).expect("the file of --json can be written");
    }
    if let Some(path) = &arguments.plot {
        report::plot(path, &runs);
    }
}

/// One run: fresh servers, their floors, then `count` deployments through the services.
async fn measure(arguments: &Arguments, count: u32) -> Run {
    // One driver stands for many callers.
    let mut settings = vec![("FAILSAFE__GATEWAY__CALLS_PER_SECOND_MAX", "0")];
    settings.extend(arguments.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut fleet = Fleet::servers(&settings).await;
    eprintln!("measuring what the servers do alone");
    let floors = Floors::measure(&fleet, arguments.rate, count).await;
    // As in a database that has run for a while: at 50 a second, one deployment in 300 would wait 10 ms for a new file of the log.
    fleet.settle().await;
    for service in SERVICES {
        fleet.spawn(service);
    }
    for service in SERVICES {
        fleet.serving(service).await;
    }
    let driven = Drive::new(&fleet, arguments, count).run().await;
    let lookups_at_once = lookups::measure(&fleet, count).await;
    fleet.settle().await;
    let lookups = lookups::measure(&fleet, count).await;
    let stored_ms = arguments.rate.map(|_| stored::latency_ms(&fleet, &driven.due));
    Run { count, nats: fleet.nats.version().to_owned(), floors, driven, stored_ms, lookups_at_once, lookups }
}
