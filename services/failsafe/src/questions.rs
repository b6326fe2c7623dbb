//! `failsafe submit`, `status`, `explain`, `list` and `watch`: questions to a running FailSafe.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use prost::Message;
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tokio::time::Instant;

use crate::TROUBLE;
use crate::addresses::program;
use crate::cli::{Explain, List, One, Output, Submit};
use crate::client::{Client, Times};
use crate::report;
use crate::terminal::{Style, say};

/// The longest diff that is read: more than any gateway takes.
const DIFF_BYTES_MAX: u64 = 256 << 20;

/// Submits a deployment, and waits for its verdict where that is wanted.
pub(crate) async fn submit(options: Submit) -> anyhow::Result<ExitCode> {
    let diff = read_diff(&options.diff)?;
    let request = v1::SubmitDeploymentRequest {
        repository: options.repository,
        pull_request: options.pull_request,
        revision: options.revision,
        change: Some(Change::Diff(diff)),
        title: options.title,
        author: options.author,
        environment: options.environment,
        ..v1::SubmitDeploymentRequest::default()
    };
    let (server, output) = (&options.asking.server.address, options.asking.output);
    let mut client = Client::connect(&options.asking.server).await?;
    let started = Instant::now();
    let submitted = client.submit(request).await?;
    let id = &submitted.deployment_id;
    if !options.wait {
        match output {
            Output::Json => json("SubmitDeploymentResponse", &submitted),
            Output::Text => {
                say(&format!("deployment {id} is on its way; `{} watch --server {server} {id}` follows it", program()))
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut times = Times::default();
    let followed = client.follow(id, started, Duration::from_secs(options.timeout), &mut times).await;
    if let Err(error) = followed {
        // An explanation that is late does not keep the verdict.
        if times.verdict.is_none() {
            return Err(error.context(format!("no verdict on deployment {id}")));
        }
        eprintln!("failsafe: {error:#}");
    }
    let known = if times.explanation.is_some() { client.explained(id).await? } else { client.get(id).await? };
    answer(&known, Some(times), output)
}

/// Shows what is known of one deployment.
pub(crate) async fn status(options: One) -> anyhow::Result<ExitCode> {
    let known = Client::connect(&options.asking.server).await?.get(&options.deployment_id).await?;
    answer(&known, None, options.asking.output)
}

pub(crate) fn answer(
    known: &v1::GetDeploymentResponse,
    times: Option<Times>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    match output {
        Output::Json => json("GetDeploymentResponse", known),
        Output::Text => say(&report::deployment(known, times, Style::of_stdout())),
    }
    Ok(match report::latest_verdict(known) {
        Some(v1::Verdict::Allow) => ExitCode::SUCCESS,
        Some(v1::Verdict::Block) => ExitCode::from(1),
        Some(v1::Verdict::Review) => ExitCode::from(2),
        Some(v1::Verdict::Unspecified) | None => ExitCode::from(TROUBLE),
    })
}

/// Shows how a deployment was explained, after having it explained once more where that is wanted.
pub(crate) async fn explain(options: Explain) -> anyhow::Result<ExitCode> {
    let mut client = Client::connect(&options.asking.server).await?;
    let known = if options.again {
        let Explain { deployment_id, model, .. } = options;
        let request = v1::ExplainDeploymentRequest { deployment_id, model };
        client.explain_again(request, Duration::from_secs(options.timeout)).await?
    } else {
        client.get(&options.deployment_id).await?
    };
    match options.asking.output {
        Output::Json => {
            let explanations = known.explanations;
            json("GetDeploymentResponse", &v1::GetDeploymentResponse { explanations, ..Default::default() });
        }
        Output::Text => say(&report::explanations(&known, Style::of_stdout())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists deployments.
pub(crate) async fn list(options: List) -> anyhow::Result<ExitCode> {
    let request = v1::ListDeploymentsRequest {
        page_size: options.limit,
        page_token: options.page_token,
        repository: options.repository,
        pull_request: options.pull_request,
        verdict: options.verdict.map(v1::Verdict::from).unwrap_or_default().into(),
        against_verdict: options.against_verdict,
        overruled: options.overruled,
        owing_review: options.owing_review,
        ..v1::ListDeploymentsRequest::default()
    };
    let page = Client::connect(&options.asking.server).await?.list(request).await?;
    match options.asking.output {
        Output::Json => json("ListDeploymentsResponse", &page),
        Output::Text => say(&report::listing(&page, Style::of_stdout())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints each stage of a deployment until it is explained.
pub(crate) async fn watch(options: One) -> anyhow::Result<ExitCode> {
    let style = Style::of_stdout();
    let mut client = Client::connect(&options.asking.server).await?;
    let on_stage = |response: &v1::WatchDeploymentResponse| match options.asking.output {
        // One line for each, for programs that read line by line.
        Output::Json => say(&proto::to_json("failsafe.v1.WatchDeploymentResponse", response).to_string()),
        Output::Text => say(&report::stage(response, style)),
    };
    client.watch(&options.deployment_id, on_stage).await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn json<M: Message>(message: &str, value: &M) {
    say(&format!("{:#}", proto::to_json(&format!("failsafe.v1.{message}"), value)));
}

fn read_diff(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(DIFF_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(DIFF_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read the diff {}", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= DIFF_BYTES_MAX,
        "the diff {} is longer than {DIFF_BYTES_MAX} bytes",
        path.display()
    );
    String::from_utf8(bytes).with_context(|| format!("the diff {} is not UTF-8", path.display()))
}
