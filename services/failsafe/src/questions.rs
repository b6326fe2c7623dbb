//! `failsafe submit`, `status`, `explain`, `list` and `watch`: questions to a running FailSafe.

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use prost::Message;
use proto::v1;
use tokio::time::Instant;

use crate::TROUBLE;
use crate::addresses::program;
use crate::candidate::{self, Environment};
use crate::cli::{Explain, List, One, Output, Status, Submit};
use crate::client::{Client, Times};
use crate::report::{self, Awaited};
use crate::terminal::{Live, Style, safe, say};

/// How often the line of what is awaited is written anew.
const TICK: Duration = Duration::from_millis(200);

/// Submits a deployment, and waits for its verdict where that is wanted.
pub(crate) async fn submit(options: Submit) -> anyhow::Result<ExitCode> {
    let candidate = candidate::collect(&options.candidate, &Environment::of_process())?;
    candidate.tell();
    let (server, output) = (&options.asking.server.address, options.asking.output);
    let mut client = Client::connect(&options.asking.server).await?;
    let started = Instant::now();
    let submitted = client.submit(candidate.request).await?;
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
    let limit = Duration::from_secs(options.timeout);
    let mut times = Times::default();
    let known = client.judged(id, started, started + limit, limit, &mut times).await?;
    if times.explanation.is_none() {
        eprintln!("failsafe: not explained within {} s", limit.as_secs());
    }
    answer(&known, Some(times), output)
}

/// Shows what is known of one deployment.
pub(crate) async fn status(options: Status) -> anyhow::Result<ExitCode> {
    let Status { one: One { deployment_id, asking }, jaeger } = options;
    let known = Client::connect(&asking.server).await?.get(&deployment_id).await?;
    let code = answer(&known, None, asking.output)?;
    if asking.output == Output::Text && !known.trace_id.is_empty() {
        let at = jaeger.map(|url| format!("{}/trace/", url.trim_end_matches('/'))).unwrap_or_default();
        say(&format!("\ntrace {at}{}", safe(&known.trace_id)));
    }
    Ok(code)
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
    Ok(exit_code(report::latest_verdict(known)))
}

/// The exit code that stands for a verdict.
pub(crate) fn exit_code(verdict: Option<v1::Verdict>) -> ExitCode {
    match verdict {
        Some(v1::Verdict::Allow) => ExitCode::SUCCESS,
        Some(v1::Verdict::Block) => ExitCode::from(1),
        Some(v1::Verdict::Review) => ExitCode::from(2),
        Some(v1::Verdict::Unspecified) | None => ExitCode::from(TROUBLE),
    }
}

/// Shows how a deployment was explained, after having it explained once more where that is wanted.
pub(crate) async fn explain(options: Explain) -> anyhow::Result<ExitCode> {
    let mut client = Client::connect(&options.asking.server).await?;
    let known = if options.again {
        let Explain { deployment_id, model, .. } = options;
        let request = v1::ExplainDeploymentRequest { deployment_id, model, ..Default::default() };
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
        author: options.author,
        min_risk: options.min_risk,
        rule_id: options.rule,
        order_by: if options.riskiest { "risk desc".to_owned() } else { String::new() },
        ..v1::ListDeploymentsRequest::default()
    };
    let page = Client::connect(&options.asking.server).await?.list(request).await?;
    match options.asking.output {
        Output::Json => json("ListDeploymentsResponse", &page),
        Output::Text => say(&report::listing(&page, Style::of_stdout())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints each stage of a deployment until it is explained; on a terminal with a line below of what is awaited.
pub(crate) async fn watch(options: One) -> anyhow::Result<ExitCode> {
    let style = Style::of_stdout();
    let mut client = Client::connect(&options.asking.server).await?;
    let awaited = RefCell::new(Awaited::default());
    let is_text = options.asking.output == Output::Text;
    let live = Live::new(is_text);
    let on_stage = |response: &v1::WatchDeploymentResponse| {
        awaited.borrow_mut().see(response);
        live.clear();
        match options.asking.output {
            // One line for each, for programs that read line by line.
            Output::Json => say(&proto::to_json("failsafe.v1.WatchDeploymentResponse", response).to_string()),
            Output::Text => say(&report::stage(response, awaited.borrow().since, style)),
        }
    };
    let waiting = async {
        loop {
            let words = awaited.borrow().words();
            let elapsed = awaited.borrow().since.map(|since| report::seconds_between(since, SystemTime::now().into()));
            live.show(&format!("{:.1} s: waiting for {words} …", elapsed.unwrap_or_default().max(0.0)));
            tokio::time::sleep(TICK).await;
        }
    };
    let watched = tokio::select! {
        watched = client.watch(&options.deployment_id, on_stage) => watched,
        () = waiting => Ok(()),
    };
    live.clear();
    watched.map(|()| ExitCode::SUCCESS)
}

pub(crate) fn json<M: Message>(message: &str, value: &M) {
    say(&format!("{:#}", proto::to_json(&format!("failsafe.v1.{message}"), value)));
}
