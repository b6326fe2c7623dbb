//! What telemetry costs: deployments as `load` makes them through `failsafe up`, with telemetry off and with a tenth of the traces
//! sampled, by turns, each on servers of its own; and the verdicts a second of both. `just telemetry-cost` runs it.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::process::Stdio;
use std::time::Instant;

use async_nats::jetstream;
use embedded::{Nats, Postgres};
use futures::StreamExt;
use futures::future::join_all;
use harness::{Receiver, SERVICES, binary, eventually, free_address, made};
use prost::Message;
use proto::question::health_subject;
use tokio::process::Command;

/// Deployments before the clock starts, so that connections and caches are there.
const WARM_UP: u32 = 200;
const SUBMITTED: &str = "failsafe.v1.deployment.submitted";
const REACHED: &str = "failsafe.v1.verdict.reached.>";

/// How the traces are kept in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Telemetry {
    Off,
    Tenth,
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>().unwrap());
    let deployments: u32 = numbers.next().unwrap_or(3_000);
    let rounds: u32 = numbers.next().unwrap_or(5);
    let receiver = Receiver::start().await;
    let (mut off, mut tenth) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut turns = [Telemetry::Off, Telemetry::Tenth];
        if round % 2 == 1 {
            turns.reverse();
        }
        for turn in turns {
            let (rate, cpu) = run(turn, &receiver, deployments).await;
            println!("round {}: {turn:?}: {rate:.0} verdicts/s, {cpu:.2} ms of processor each", round + 1);
            if turn == Telemetry::Off { off.push((rate, cpu)) } else { tenth.push((rate, cpu)) }
        }
    }
    let rates = |runs: &[(f64, f64)]| median(runs.iter().map(|run| run.0).collect());
    let cpus = |runs: &[(f64, f64)]| median(runs.iter().map(|run| run.1).collect());
    let (fast, traced) = (rates(&off), rates(&tenth));
    println!(
        "verdicts/s, median of {rounds}: off {fast:.0}, a tenth sampled {traced:.0}: {:.1} %",
        100.0 * traced / fast
    );
    let (little, more) = (cpus(&off), cpus(&tenth));
    println!(
        "processor each, median of {rounds}: off {little:.2} ms, a tenth sampled {more:.2} ms: {:.1} %",
        100.0 * little / more
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds of processor that a process has used: unlike the time on the clock they do not tell of who else is at work on the
/// machine. Linux alone tells it, in hundredths of a second (`man proc_pid_stat`).
fn processor_ms(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() * 10.0
}

/// Verdicts a second, and the milliseconds of processor that each costs FailSafe, on fresh servers.
async fn run(telemetry: Telemetry, receiver: &Receiver, deployments: u32) -> (f64, f64) {
    let folder = embedded::temporary_folder().unwrap();
    let (nats, postgres) = tokio::join!(Nats::start(folder.path()), Postgres::start(folder.path()));
    let (nats, postgres) = (nats.unwrap(), postgres.unwrap());
    let mut command = Command::new(binary("failsafe"));
    command.args(["up", "--nats-url", nats.url(), "--database-url", postgres.url(), "--listen", &free_address()]);
    command.env("FAILSAFE__LLM_EXPLAINER__MODEL_URL", "");
    match telemetry {
        Telemetry::Off => command.env("OTEL_SDK_DISABLED", "true"),
        Telemetry::Tenth => command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address())
            .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
            .env("OTEL_TRACES_SAMPLER_ARG", "0.1"),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let client = async_nats::connect(nats.url()).await.unwrap();
    for service in SERVICES {
        eventually(&format!("{service} serves"), async || {
            let reply = client.request(health_subject(service), "".into()).await.ok()?;
            (reply.payload == "SERVING").then_some(())
        })
        .await;
    }
    let mut reached = client.subscribe(REACHED).await.unwrap();
    let stream = jetstream::new(client.clone());
    for (first, count) in [(1, WARM_UP), (WARM_UP + 1, deployments)] {
        let pid = child.id().unwrap();
        let (started, before) = (Instant::now(), processor_ms(pid));
        submit(&stream, first, count).await;
        for _ in 0..count {
            reached.next().await.unwrap();
        }
        if first > 1 {
            let rate = f64::from(count) / started.elapsed().as_secs_f64();
            let cpu = (processor_ms(pid) - before) / f64::from(count);
            child.kill().await.unwrap();
            return (rate, cpu);
        }
    }
    unreachable!("the second lot is measured")
}

async fn submit(stream: &jetstream::Context, first: u32, count: u32) {
    for lot in (first..first + count).collect::<Vec<_>>().chunks(256) {
        let published = lot.iter().map(async |number| {
            let body = made::deployment(*number).request.encode_to_vec();
            stream.publish(SUBMITTED, body.into()).await.unwrap().await.unwrap();
        });
        join_all(published).await;
    }
}
