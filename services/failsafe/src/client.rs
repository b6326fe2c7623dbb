//! Asking a running FailSafe by gRPC, with errors in words.

use std::time::Duration;

use anyhow::{Context, anyhow};
use proto::v1;
use proto::v1::deployment_service_client::DeploymentServiceClient;
use proto::v1::watch_deployment_response::Stage;
use tokio::time::Instant;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::addresses::program;
use crate::candidate::Environment;
use crate::cli::Server;
use crate::credentials::{self, Credentials};
use crate::oidc;

/// How long the connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a call may take; a watch must only begin within this time.
const CALL_MAX: Duration = Duration::from_secs(60);
/// The longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long the audit trail may be behind what a watcher has seen.
const BEHIND_MAX: Duration = Duration::from_secs(10);
/// Between two looks at the audit trail.
const LOOK: Duration = Duration::from_millis(20);
/// The same while a language model writes, which takes seconds.
const LONG_LOOK: Duration = Duration::from_millis(200);

/// FailSafe is not there, or has no time: the same question may be answered later.
#[derive(Debug)]
pub(crate) struct Away {
    words: String,
    /// When it asks to be asked again; `None` where it does not say.
    pub(crate) again_after: Option<Duration>,
}

impl Away {
    pub(crate) const fn new(words: String) -> Self {
        Self { words, again_after: None }
    }
}

impl std::fmt::Display for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Away {}

/// A connection to a gateway.
#[derive(Clone, Debug)]
pub(crate) struct Client(DeploymentServiceClient<InterceptedService<Channel, Credentials>>);

/// When the stages of a deployment were seen, counted from when it was submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// The first verdict.
    pub(crate) verdict: Option<Duration>,
    /// The last explanation.
    pub(crate) explanation: Option<Duration>,
}

impl Client {
    /// Connects to `server`.
    ///
    /// # Errors
    /// When nobody is there, or the credentials cannot be read.
    pub(crate) async fn connect(server: &Server) -> anyhow::Result<Self> {
        let (channel, credentials) = channel(server).await?;
        let client = DeploymentServiceClient::with_interceptor(channel, credentials);
        Ok(Self(client.max_decoding_message_size(ANSWER_BYTES_MAX)))
    }

    /// Submits a deployment.
    pub(crate) async fn submit(
        &mut self,
        request: v1::SubmitDeploymentRequest,
    ) -> anyhow::Result<v1::SubmitDeploymentResponse> {
        let submitted = self.0.submit_deployment(limited(request)).await;
        submitted.map(tonic::Response::into_inner).map_err(|status| in_words(&status))
    }

    /// Everything that is known of one deployment.
    pub(crate) async fn get(&mut self, deployment_id: &str) -> anyhow::Result<v1::GetDeploymentResponse> {
        let request = v1::GetDeploymentRequest { deployment_id: deployment_id.to_owned(), read_mask: None };
        let found = self.0.get_deployment(limited(request)).await;
        found.map(tonic::Response::into_inner).map_err(|status| in_words(&status))
    }

    /// Has the latest verdict explained once more, and waits at most `limit` until the audit trail holds what came of it.
    pub(crate) async fn explain_again(
        &mut self,
        request: v1::ExplainDeploymentRequest,
        limit: Duration,
    ) -> anyhow::Result<v1::GetDeploymentResponse> {
        let deployment_id = request.deployment_id.clone();
        let until = Instant::now() + limit;
        let asked = self.0.explain_deployment(limited(request)).await;
        let request_id = asked.map_err(|status| in_words(&status))?.into_inner().request_id;
        loop {
            let found = self.get(&deployment_id).await?;
            if found.explanations.iter().any(|explanation| explanation.request_id == request_id) {
                return Ok(found);
            }
            if Instant::now() > until {
                let program = program();
                return Err(anyhow!(
                    "not explained again within {} s: `{program} explain {deployment_id}` shows it when it is there",
                    limit.as_secs()
                ));
            }
            tokio::time::sleep(LONG_LOOK).await;
        }
    }

    /// Records a review, and gives what is known once the verdict that follows from it is there.
    pub(crate) async fn review(
        &mut self,
        request: v1::ReviewDeploymentRequest,
        limit: Duration,
    ) -> anyhow::Result<v1::GetDeploymentResponse> {
        let deployment_id = request.deployment_id.clone();
        let until = Instant::now() + limit;
        let reviewed = self.0.review_deployment(limited(request)).await;
        let number = reviewed.map_err(|status| in_words(&status))?.into_inner().verdict_number;
        loop {
            let found = self.get(&deployment_id).await?;
            if found.verdicts.first().is_some_and(|latest| latest.number > number) {
                return Ok(found);
            }
            anyhow::ensure!(
                Instant::now() < until,
                "the review is recorded, and no verdict followed within {} s: `{} status {deployment_id}` shows it when it is there",
                limit.as_secs(),
                program()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A verdict in a form that others can check.
    pub(crate) async fn attest(
        &mut self,
        request: v1::AttestVerdictRequest,
    ) -> anyhow::Result<v1::AttestVerdictResponse> {
        let attested = self.0.attest_verdict(limited(request)).await;
        attested.map(tonic::Response::into_inner).map_err(|status| in_words(&status))
    }

    /// Records an outcome.
    pub(crate) async fn outcome(
        &mut self,
        request: v1::RecordOutcomeRequest,
    ) -> anyhow::Result<v1::RecordOutcomeResponse> {
        let recorded = self.0.record_outcome(limited(request)).await;
        recorded.map(tonic::Response::into_inner).map_err(|status| in_words(&status))
    }

    /// A page of deployments.
    pub(crate) async fn list(
        &mut self,
        request: v1::ListDeploymentsRequest,
    ) -> anyhow::Result<v1::ListDeploymentsResponse> {
        let listed = self.0.list_deployments(limited(request)).await;
        listed.map(tonic::Response::into_inner).map_err(|status| in_words(&status))
    }

    /// Tells `on_stage` each stage of a deployment, until its latest verdict is explained.
    pub(crate) async fn watch(
        &mut self,
        deployment_id: &str,
        mut on_stage: impl FnMut(&v1::WatchDeploymentResponse),
    ) -> anyhow::Result<()> {
        let request = v1::WatchDeploymentRequest { deployment_id: deployment_id.to_owned(), after_sequence: 0 };
        let watched = self.0.watch_deployment(request).await;
        let mut stages = watched.map_err(|status| in_words(&status))?.into_inner();
        while let Some(stage) = stages.message().await.map_err(|status| in_words(&status))? {
            on_stage(&stage);
        }
        Ok(())
    }

    /// Watches a deployment that was submitted at `submitted` until it is explained, at most for `limit`; notes the
    /// stages in `times` as they come, so that they are known when the limit is reached, too.
    pub(crate) async fn follow(
        &mut self,
        deployment_id: &str,
        submitted: Instant,
        limit: Duration,
        times: &mut Times,
    ) -> anyhow::Result<()> {
        let watching = self.watch(deployment_id, |response| match &response.stage {
            Some(Stage::Verdict(_)) if times.verdict.is_none() => times.verdict = Some(submitted.elapsed()),
            Some(Stage::Explanation(_)) => times.explanation = Some(submitted.elapsed()),
            _ => {}
        });
        let watched = tokio::time::timeout_at(submitted + limit, watching).await;
        watched.unwrap_or_else(|_| Err(anyhow!("not explained within {} s", limit.as_secs())))
    }

    /// Watches a deployment that was submitted at `submitted` until it has a verdict, at most until `until`, and then for its
    /// explanation, at most for `explanation`; notes the stages in `times`.
    ///
    /// # Errors
    /// When there is no verdict. An explanation that is late is no error.
    pub(crate) async fn judged(
        &mut self,
        deployment_id: &str,
        submitted: Instant,
        until: Instant,
        explanation: Duration,
        times: &mut Times,
    ) -> anyhow::Result<v1::GetDeploymentResponse> {
        let request = v1::WatchDeploymentRequest { deployment_id: deployment_id.to_owned(), after_sequence: 0 };
        let watched = tokio::time::timeout_at(until, self.0.watch_deployment(request)).await;
        let watched = watched.map_err(|_| Away::new("the gateway does not answer".to_owned()))?;
        let mut stages = watched.map_err(|status| in_words(&status))?.into_inner();
        let mut limit = until;
        loop {
            match tokio::time::timeout_at(limit, stages.message()).await {
                Err(_) if times.verdict.is_some() => break,
                Err(_) => {
                    let seconds = submitted.elapsed().as_secs();
                    return Err(
                        Away::new(format!("no verdict on deployment {deployment_id} within {seconds} s")).into()
                    );
                }
                Ok(Err(_)) if times.verdict.is_some() => break,
                Ok(Err(status)) => return Err(in_words(&status)),
                Ok(Ok(None)) => break,
                Ok(Ok(Some(response))) => match response.stage {
                    Some(Stage::Verdict(_)) => {
                        times.verdict = times.verdict.or(Some(submitted.elapsed()));
                        limit = until.min(Instant::now() + explanation);
                    }
                    Some(Stage::Explanation(_)) => times.explanation = Some(submitted.elapsed()),
                    _ => {}
                },
            }
        }
        if times.explanation.is_some() {
            return self.explained(deployment_id).await;
        }
        // The audit trail may be a moment behind what a watcher has seen.
        let behind = Instant::now() + BEHIND_MAX;
        loop {
            let known = self.get(deployment_id).await?;
            if !known.verdicts.is_empty() || Instant::now() > behind {
                return Ok(known);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is known of a deployment that a watcher saw explained: the audit trail may be a moment behind.
    pub(crate) async fn explained(&mut self, deployment_id: &str) -> anyhow::Result<v1::GetDeploymentResponse> {
        let limit = Instant::now() + BEHIND_MAX;
        loop {
            let found = self.get(deployment_id).await?;
            if found.progress() == v1::Progress::Explained || Instant::now() > limit {
                return Ok(found);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A channel to `server`, and what is shown to it in each call.
///
/// # Errors
/// When nobody is there, or the credentials cannot be read.
pub(crate) async fn channel(server: &Server) -> anyhow::Result<(Channel, Credentials)> {
    let tls = credentials::tls(server)?;
    let is_tls = tls.is_some();
    let named = server.address.as_str();
    let scheme = if is_tls { "https" } else { "http" };
    let address = if named.contains("://") { named.to_owned() } else { format!("{scheme}://{named}") };
    let endpoint = Endpoint::from_shared(address);
    let mut endpoint = endpoint.with_context(|| format!("{named:?} is no address such as http://127.0.0.1:50051"))?;
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls).context("cannot use the certificates")?;
    }
    let is_private = is_tls || is_here(&endpoint);
    let mut credentials = Credentials::of(server)?;
    if !credentials.are_there() && server.cert.is_none() && is_private {
        let workflow = oidc::token(&Environment::of_process(), &server.oidc_audience).await?;
        credentials = workflow.map_or(Ok(credentials), |token| Credentials::bearer(&token))?;
    }
    if credentials.are_there() && !is_private {
        eprintln!("failsafe: the token goes to {named} over a plain connection");
    }
    let connected = endpoint.connect_timeout(CONNECT_MAX).connect().await;
    let channel = connected.map_err(|error| {
        let cause = innermost(&error);
        let program = program();
        Away::new(format!(
            "cannot reach FailSafe at {named} ({cause}): start it by `{program} up`, or name another by --server"
        ))
    })?;
    Ok((channel, credentials))
}

fn limited<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_MAX);
    request
}

/// What a client needs to know of an error: for a wrong request each field, else the sentence of the server.
fn in_words(status: &Status) -> anyhow::Error {
    let violations = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    if status.code() == Code::InvalidArgument && !violations.is_empty() {
        let fields = violations.iter().map(|violation| format!("{} {}", violation.field, violation.description));
        return anyhow!("refused: {}", fields.collect::<Vec<_>>().join("; "));
    }
    let again_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    if is_passing(status, again_after) {
        let words = format!("{} ({})", status.message(), status.code().description());
        return Away { words, again_after }.into();
    }
    match status.code() {
        Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition => anyhow!("{}", status.message()),
        Code::PermissionDenied => anyhow!("refused: {}", status.message()),
        Code::Unauthenticated => anyhow!(
            "refused: {} (a token by FAILSAFE_TOKEN or --token-file, a certificate by --cert and --key)",
            status.message()
        ),
        code => anyhow!("{} ({})", status.message(), code.description()),
    }
}

/// Whether the same question may be answered later. What is too long is told as RESOURCE_EXHAUSTED, too, without a time to wait.
fn is_passing(status: &Status, again_after: Option<Duration>) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled => true,
        Code::ResourceExhausted => again_after.is_some(),
        // Nobody said so: the connection was lost.
        Code::Unknown | Code::Internal => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// Whether an address is on this machine.
fn is_here(endpoint: &Endpoint) -> bool {
    let host = endpoint.uri().host().unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
