//! `failsafe gate`: a deployment is submitted, its verdict awaited, told, and turned into an exit code. What is missing never opens
//! the gate unless somebody said so.

mod summary;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use domain::DiffDigest;
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tokio::time::Instant;

use crate::TROUBLE;
use crate::candidate::{self, Candidate, Environment};
use crate::cli::{Follow, Gate, GateFormat, Output};
use crate::client::{Away, Client, Times};
use crate::questions::{exit_code, json};
use crate::report;
use crate::scan::github;
use crate::terminal::{Style, say};

/// The first wait before FailSafe is asked again, and the longest; it doubles in between.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(15);
/// How long what was decided may take to be read.
const READ_MAX: Duration = Duration::from_secs(10);
/// Most findings that are shown beside the lines of a pull request: GitHub shows no more of one step.
const ANNOTATIONS_MAX: usize = 10;

/// Submits, waits, tells, and gives the exit code.
pub(crate) async fn run(options: Gate) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    let candidate = candidate::collect(&options.candidate, &environment)?;
    candidate.tell();
    let asked = Instant::now();
    let mut times = Times::default();
    match judged(&options, &candidate.request, asked, &mut times).await {
        Ok(known) => {
            is_of_this_diff(&candidate.request, &known)?;
            tell(&options, &environment, &candidate, &known, times)?;
            Ok(ending(&options, &known))
        }
        // A verdict that was seen and cannot be read is no absence: it may be a BLOCK.
        Err(error) if error.is::<Away>() && times.verdict.is_none() => {
            let text = summary::without_verdict(&candidate.request, &format!("{error:#}"), options.on_unavailable);
            write_summary(&options, &environment, &text)?;
            if options.on_unavailable == Follow::Fail {
                return Err(error);
            }
            eprintln!("failsafe: {error:#}");
            eprintln!("failsafe: the gate is OPEN WITHOUT A VERDICT, because of --on-unavailable pass");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error),
    }
}

/// What is known once there is a verdict. While FailSafe is away it is tried again, until the time is over: the same pull request at
/// the same commit is the same deployment, however often it is submitted.
async fn judged(
    options: &Gate,
    request: &v1::SubmitDeploymentRequest,
    asked: Instant,
    times: &mut Times,
) -> anyhow::Result<v1::GetDeploymentResponse> {
    let until = asked + Duration::from_secs(options.timeout);
    let mut wait = AGAIN_AFTER;
    let mut told = String::new();
    loop {
        // What was decided in time may be read after it.
        let attempt = tokio::time::timeout_at(until + READ_MAX, attempt(options, request, asked, until, times)).await;
        let error = match attempt {
            Ok(Ok(judged)) => return Ok(judged),
            Ok(Err(error)) => error,
            Err(_) => Away::new(format!("no verdict within {} s", options.timeout)).into(),
        };
        let Some(away) = error.downcast_ref::<Away>() else { return Err(error) };
        let pause = away.again_after.unwrap_or(wait).max(wait);
        if Instant::now() + pause >= until {
            return Err(error.context(format!("no verdict within {} s (--timeout)", options.timeout)));
        }
        let words = format!("{error:#}");
        if words != told {
            eprintln!("failsafe: {words}; trying again for up to {} s", until.duration_since(Instant::now()).as_secs());
            told = words;
        }
        tokio::time::sleep(pause).await;
        wait = (wait * 2).min(AGAIN_AFTER_MAX);
    }
}

async fn attempt(
    options: &Gate,
    request: &v1::SubmitDeploymentRequest,
    asked: Instant,
    until: Instant,
    times: &mut Times,
) -> anyhow::Result<v1::GetDeploymentResponse> {
    let mut client = Client::connect(&options.asking.server).await?;
    let id = client.submit(request.clone()).await?.deployment_id;
    let explanation = Duration::from_secs(options.explanation);
    client.judged(&id, asked, until, explanation, times).await
}

/// A deployment is a commit of a pull request. Where that was judged for another base, its verdict says nothing of this diff.
fn is_of_this_diff(request: &v1::SubmitDeploymentRequest, known: &v1::GetDeploymentResponse) -> anyhow::Result<()> {
    let Some(Change::Diff(sent)) = &request.change else { return Ok(()) };
    let judged = known.deployment.as_ref().and_then(|deployment| deployment.change.as_ref());
    let Some(judged) = judged.filter(|change| !change.sha256.is_empty()) else { return Ok(()) };
    anyhow::ensure!(
        judged.sha256 == DiffDigest::of(sent).sha256,
        "the verdict is about another diff at this commit, {} bytes long: push a new commit, so that this one is judged",
        judged.bytes
    );
    Ok(())
}

/// Prints the verdict, and writes the summary.
fn tell(
    options: &Gate,
    environment: &Environment,
    candidate: &Candidate,
    known: &v1::GetDeploymentResponse,
    times: Times,
) -> anyhow::Result<()> {
    match options.asking.output {
        Output::Json => json("GetDeploymentResponse", known),
        Output::Text => say(&report::deployment(known, Some(times), Style::of_stdout())),
    }
    let in_github = if environment.get("GITHUB_ACTIONS").is_some() { GateFormat::Github } else { GateFormat::Text };
    if options.asking.output == Output::Text && options.format.unwrap_or(in_github) == GateFormat::Github {
        annotate(known);
    }
    if let Some(path) = environment.get("GITHUB_OUTPUT") {
        let outputs = outputs(known);
        append(Path::new(path), &outputs).with_context(|| format!("cannot write GITHUB_OUTPUT {path}"))?;
    }
    write_summary(options, environment, &summary::of(known, candidate.files_at.as_deref()))
}

/// What further steps of the job can go by. Nothing in it was written by strangers.
fn outputs(known: &v1::GetDeploymentResponse) -> String {
    let verdict = report::latest_verdict(known).unwrap_or_default();
    let id = known.verdicts.first().map(|reached| reached.deployment_id.as_str()).unwrap_or_default();
    format!("verdict={}\ndeployment-id={id}\n", verdict.as_str_name().trim_start_matches("VERDICT_"))
}

/// Has GitHub show beside the lines of the pull request what the verdict rests on.
fn annotate(known: &v1::GetDeploymentResponse) {
    for (reason, finding) in report::findings(known).into_iter().take(ANNOTATIONS_MAX) {
        let command = match reason.effect() {
            v1::Verdict::Block => "error",
            v1::Verdict::Review => "warning",
            _ => "notice",
        };
        let line = if finding.line > 0 { format!(",line={}", finding.line) } else { String::new() };
        let title = github::property(&format!("{}: {}", effect(reason), finding.rule_id));
        let message = github::data(&format!("{}. {}", reason.message, finding.remediation));
        say(&format!("::{command} file={}{line},title={title}::{message}", github::property(&finding.path)));
    }
}

fn effect(reason: &v1::Reason) -> &'static str {
    reason.effect().as_str_name().trim_start_matches("VERDICT_")
}

/// Where the job's page, or whoever asked for it, finds the verdict.
fn write_summary(options: &Gate, environment: &Environment, text: &str) -> anyhow::Result<()> {
    let page = environment.get("GITHUB_STEP_SUMMARY").map(PathBuf::from);
    let Some(path) = options.summary.clone().or(page.clone()) else { return Ok(()) };
    // What other steps wrote onto the job's page stays there.
    let written = if Some(&path) == page.as_ref() { append(&path, text) } else { std::fs::write(&path, text) };
    written.with_context(|| format!("cannot write the summary {}", path.display()))
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

/// The exit code. A REVIEW because something was missing passes only when both were said to pass.
fn ending(options: &Gate, known: &v1::GetDeploymentResponse) -> ExitCode {
    let verdict = report::latest_verdict(known);
    if verdict == Some(v1::Verdict::Review) && options.on_review == Follow::Pass {
        let judgement = known.verdicts.first().and_then(|reached| reached.judgement.as_ref());
        let whole = judgement.is_some_and(|judgement| judgement.missing.is_empty());
        if whole || options.on_unavailable == Follow::Pass {
            eprintln!("failsafe: the gate is open, because of --on-review pass");
            return ExitCode::SUCCESS;
        }
        eprintln!(
            "failsafe: something was missing, so that --on-review pass does not count; --on-unavailable pass would"
        );
    }
    if verdict.is_none() {
        eprintln!("failsafe: the audit trail does not show the verdict yet");
        return ExitCode::from(TROUBLE);
    }
    exit_code(verdict)
}
