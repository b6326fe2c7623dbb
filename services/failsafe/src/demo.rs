//! `failsafe demo`: three deployments from the diff to the explained verdict, on servers that are gone afterwards.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chassis::{Admin, Settings, Shutdown, Telemetry};
use gateway::Listeners;
use prost_types::Timestamp;
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::addresses::{self, program};
use crate::cli::{self, Server};
use crate::client::{Client, Times};
use crate::engine::{Engine, SERVICES};
use crate::report;
use crate::servers::{Servers, step};
use crate::terminal::{Sheet, Style, say};

/// How long a deployment may take from its submission to its explanation.
const DEPLOYMENT_MAX: Duration = Duration::from_secs(60);

/// One deployment of the demo.
struct Sample {
    repository: &'static str,
    pull_request: u32,
    revision: &'static str,
    diff: &'static str,
    title: &'static str,
    author: &'static str,
    branch: &'static str,
    commits: u32,
    /// Seconds since 1970.
    opened_at: i64,
    /// Seconds since 1970.
    deploy_at: i64,
    expected: v1::Verdict,
}

const SAMPLES: [Sample; 3] = [
    Sample {
        repository: "acme/shop-web",
        pull_request: 311,
        revision: "895df3b4039b1d479874ed8f63a5733e75fcf238",
        diff: include_str!("../../../tests/samples/harmless.diff"),
        title: "Print prices the way people read them",
        author: "mira",
        branch: "price-text",
        commits: 1,
        opened_at: 1_795_077_000,
        deploy_at: 1_795_084_200,
        expected: v1::Verdict::Allow,
    },
    Sample {
        repository: "failsafe-test",
        pull_request: 107,
        revision: "3d5bdf388b07a97e694cf263d197a9a2e73d8b7f",
        diff: include_str!("../../../tests/samples/migration.diff"),
        title: "Archive orders older than two years",
        author: "jonas",
        branch: "orders-archive",
        commits: 9,
        opened_at: 1_794_902_400,
        deploy_at: 1_795_188_600,
        expected: v1::Verdict::Block,
    },
    Sample {
        repository: "acme/media-worker",
        pull_request: 58,
        revision: "c944618ffe726a587b56762c53db393fb1e01d9c",
        diff: include_str!("../../../tests/samples/aws-key.diff"),
        title: "Let the worker remove uploads",
        author: "tilda",
        branch: "remove-uploads",
        commits: 2,
        opened_at: 1_795_000_000,
        deploy_at: 1_795_012_200,
        expected: v1::Verdict::Block,
    },
];

impl Sample {
    fn request(&self) -> v1::SubmitDeploymentRequest {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        v1::SubmitDeploymentRequest {
            repository: self.repository.to_owned(),
            pull_request: self.pull_request,
            revision: self.revision.to_owned(),
            change: Some(Change::Diff(self.diff.to_owned())),
            title: self.title.to_owned(),
            author: self.author.to_owned(),
            branch: self.branch.to_owned(),
            base_branch: "main".to_owned(),
            environment: "production".to_owned(),
            opened_at: at(self.opened_at),
            deploy_at: at(self.deploy_at),
            commits: Some(self.commits),
            ..v1::SubmitDeploymentRequest::default()
        }
    }
}

/// Starts everything, shows the three deployments, and ends everything.
pub(crate) async fn run(options: cli::Demo, telemetry: &Telemetry) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let folder = embedded::temporary_folder().context("cannot make a temporary folder")?;
    let (servers, settings) = Servers::start_private(folder.path(), Settings::load(None)?).await?;
    let admin = Admin::open(settings.table("admin")?, telemetry, &SERVICES, &shutdown).await?;
    let shown = on_servers(&settings, &servers, admin, &shutdown, options.stay).await;
    let stopped = servers.stop().await;
    shown.and(stopped)
}

async fn on_servers(
    settings: &Settings,
    servers: &Servers,
    admin: Admin,
    shutdown: &Shutdown,
    stay: bool,
) -> anyhow::Result<()> {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.context("cannot listen on any port of 127.0.0.1");
    let listeners = Listeners { grpc: bind().await?, http: bind().await? };
    let addresses = listeners.addresses()?;
    let address = addresses.0;
    let admin_address = admin.address();
    let starting = Engine::start(settings, listeners, admin, shutdown);
    let mut engine = step("starting six services", starting, |_| format!("gRPC on {address}")).await?;
    let server = format!("http://{address}");
    let shown = tokio::select! {
        shown = show(&server) => shown,
        ended = engine.run() => ended.and_then(|()| bail!("ended before all was shown")),
    };
    let ended = match shown {
        Ok(()) if stay => {
            let lines = addresses::lines(addresses, admin_address, servers, None);
            say(&format!("Everything keeps running until Ctrl-C.\n\n{lines}\n"));
            engine.run().await
        }
        Ok(()) => {
            say(&where_next());
            Ok(())
        }
        Err(error) => Err(error),
    };
    engine.drain().await;
    ended
}

async fn show(server: &str) -> anyhow::Result<()> {
    let style = Style::of_stdout();
    let mut client = Client::connect(&Server::at(server)).await?;
    let mut stored = Vec::new();
    for (number, sample) in SAMPLES.iter().enumerate() {
        let mut sheet = Sheet::new(style);
        sheet.space();
        sheet.rule(&format!("{} of {}", number + 1, SAMPLES.len()));
        say(&sheet.into_text());
        let (known, times) = judged(&mut client, sample).await?;
        say(&format!("\n{}", report::deployment(&known, Some(times), style)));
        let got = report::latest_verdict(&known).unwrap_or_default();
        ensure!(
            got == sample.expected,
            "{} #{} was to be {:?}, and is {got:?}: do settings or FAILSAFE__ variables change the policy?",
            sample.repository,
            sample.pull_request,
            sample.expected
        );
        stored.push(known);
    }
    let listed = client.list(v1::ListDeploymentsRequest::default()).await?.deployments.len();
    let mut sheet = Sheet::new(style);
    sheet.space();
    sheet.rule("where to go next");
    say(&sheet.into_text());
    say(&format!("\n{}", rows(listed, &stored)));
    Ok(())
}

/// Submits a sample, waits until it is explained, and gives what is stored of it.
async fn judged(client: &mut Client, sample: &Sample) -> anyhow::Result<(v1::GetDeploymentResponse, Times)> {
    let name = format!("{} #{}", sample.repository, sample.pull_request);
    let submitted = Instant::now();
    let id = client.submit(sample.request()).await.with_context(|| format!("cannot submit {name}"))?.deployment_id;
    let mut times = Times::default();
    let followed = client.follow(&id, submitted, DEPLOYMENT_MAX, &mut times).await;
    followed.with_context(|| match times.verdict {
        Some(verdict) => format!("{name} has a verdict after {:.2} s and no explanation", verdict.as_secs_f64()),
        None => format!("{name} has no verdict"),
    })?;
    Ok((client.explained(&id).await?, times))
}

/// What the audit trail holds, as its answers tell.
fn rows(deployments: usize, stored: &[v1::GetDeploymentResponse]) -> String {
    let count = |of: fn(&v1::GetDeploymentResponse) -> usize| stored.iter().map(of).sum::<usize>();
    let findings = |signal: &v1::Signal| match &signal.said {
        Some(v1::signal::Said::Analysis(analysis)) => analysis.findings.len(),
        _ => 0,
    };
    format!(
        "stored in PostgreSQL: {deployments} deployments, {} signals, {} findings, {} verdicts, {} explanations",
        count(|known| known.signals.len()),
        stored.iter().flat_map(|known| &known.signals).map(findings).sum::<usize>(),
        count(|known| known.verdicts.len()),
        count(|known| known.explanations.len()),
    )
}

fn where_next() -> String {
    let program = program();
    format!(
        "traces {traces}\n\n\
         Everything that was started has ended again, and its data are gone.\n\
         {program} demo --stay   shows the same and keeps it running, with addresses for grpcurl, nats and psql\n\
         {program} up            runs FailSafe on {listen}, and keeps its data in .failsafe/; then try\n  {grpcurl}",
        listen = gateway::Config::default().listen,
        grpcurl = addresses::grpcurl(gateway::Config::default().listen),
        traces = addresses::traces(None),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_are_what_the_demo_says() {
        for (sample, files) in SAMPLES.iter().zip([3, 50, 2]) {
            assert_eq!(domain::diff::parse(sample.diff).unwrap().files.len(), files, "{}", sample.repository);
            assert!(sample.opened_at < sample.deploy_at);
        }
        let friday = time::OffsetDateTime::from_unix_timestamp(SAMPLES[1].deploy_at).unwrap();
        assert_eq!(friday, time::macros::datetime!(2026-11-20 15:30 UTC));
        assert_eq!(friday.weekday(), time::Weekday::Friday);
    }
}
