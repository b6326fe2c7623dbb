//! Ingest: takes submissions from anyone, and publishes those that hold what they must as accepted deployments.
//!
//! Reads `deployment.submitted`, publishes `deployment.accepted`. It judges nothing: what a change is worth is for others to say.

pub mod accept;
pub mod config;
pub mod git;

use std::time::Duration;

use anyhow::{Context, anyhow};
use chassis::{Bus, ConsumerSpec, Failure, Handler, Outgoing, Process, State};
use domain::submission::in_one_line;
use domain::{Deployment, DiffReference, Draft, DraftChange, FieldViolation};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

pub use config::Config;
use git::Unresolved;

/// The service's name.
pub const SERVICE: &str = "ingest";

/// How long an instance may be silent about a submission, and how long to wait before each further try.
const BACKOFF: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(300)];
/// What a message needs beside its body: subject and headers.
const ROOM_FOR_HEADERS: usize = 16 * 1024;
/// The longest diff that is read on a thread that others wait for: about a millisecond.
const READ_AT_ONCE_BYTES: usize = 256 * 1024;

/// Handles submissions until the process is to end.
///
/// # Errors
/// When there is no git although the settings permit to compare commits, or when the bus cannot be read.
pub async fn run(process: Process, config: Config) -> anyhow::Result<()> {
    if !config.git_repositories.is_empty() {
        git::is_installed().await.context("ingest.git_repositories needs git")?;
    }
    let spec = ConsumerSpec {
        name: SERVICE,
        backoff: BACKOFF.to_vec(),
        deliveries_max: config.deliveries_max,
        in_flight_max: config.in_flight_max,
    };
    let comparisons = Semaphore::new(config.git_in_flight_max);
    let handler = Ingest { bus: process.bus.clone(), config, comparisons };
    process.health.set(State::Serving);
    process.bus.serve(spec, handler, &process.shutdown).await
}

struct Ingest {
    bus: Bus,
    config: Config,
    /// A free place for each comparison of commits that may be made now.
    comparisons: Semaphore,
}

impl Handler for Ingest {
    type In = Draft;

    async fn handle(&self, draft: Draft) -> Result<Vec<Outgoing>, Failure> {
        let fetched = self.fetch(&draft).await?;
        let accepted = self.accept(draft, fetched).await?.map_err(|violations| reject(&violations))?;
        chassis::trace::describe(&tracing::Span::current(), &accepted);
        tracing::info!(
            deployment.id = %accepted.id,
            repository = %accepted.repository,
            pull_request = %accepted.pull_request,
            files = accepted.change.files.len(),
            bytes = accepted.change.digest.bytes,
            "deployment accepted"
        );
        Ok(vec![self.fit(accepted).await?])
    }
}

impl Ingest {
    /// The text of a diff that the draft only refers to. A draft that is wrong anyway is not worth the way.
    async fn fetch(&self, draft: &Draft) -> Result<Option<String>, Failure> {
        match &draft.change {
            None | Some(DraftChange::Diff(_)) => return Ok(None),
            Some(DraftChange::Stored { .. } | DraftChange::Git(_)) => {}
        }
        let checked = draft.clone().check(self.config.diff_bytes_max).map_err(|violations| reject(&violations))?;
        match checked.change {
            DraftChange::Diff(text) => Ok(Some(text)),
            DraftChange::Stored { object, digest } => {
                self.bus.load_diff(&DiffReference::Stored { object }, &digest).await.map(Some)
            }
            DraftChange::Git(reference) => {
                let _place = self.comparisons.acquire().await.map_err(Failure::retry)?;
                match Box::pin(git::diff(&reference, &self.config)).await {
                    Ok(text) => Ok(Some(text)),
                    Err(Unresolved::Refused(violation)) => Err(reject(&[violation])),
                    Err(Unresolved::Unreachable(error)) => Err(Failure::Retry(error)),
                }
            }
        }
    }

    /// Accepts off this thread what takes long to read, so that the bus can go on telling that it is being worked on.
    async fn accept(
        &self,
        draft: Draft,
        fetched: Option<String>,
    ) -> Result<Result<Deployment, Vec<FieldViolation>>, Failure> {
        let now = OffsetDateTime::now_utc();
        let bytes = match (&fetched, &draft.change) {
            (Some(text), _) | (None, Some(DraftChange::Diff(text))) => text.len(),
            (None, _) => 0,
        };
        if bytes <= READ_AT_ONCE_BYTES {
            return Ok(accept::accept(draft, fetched, &self.config, now));
        }
        let config = self.config.clone();
        let reading = tokio::task::spawn_blocking(move || accept::accept(draft, fetched, &config, now));
        reading.await.context("reading the diff failed").map_err(Failure::Retry)
    }

    /// The event, with the diff in the object store if it would be too long for a message.
    async fn fit(&self, mut deployment: Deployment) -> Result<Outgoing, Failure> {
        let body_max = self.bus.payload_max().saturating_sub(ROOM_FOR_HEADERS);
        let outgoing = Outgoing::new(&deployment);
        if outgoing.body.len() <= body_max {
            return Ok(outgoing);
        }
        if let Some(DiffReference::Inline(text)) = &deployment.change.diff {
            let object = Box::pin(self.bus.store_diff(text)).await?;
            deployment.change.diff = Some(DiffReference::Stored { object });
        }
        let outgoing = Outgoing::new(&deployment);
        if outgoing.body.len() <= body_max {
            return Ok(outgoing);
        }
        let files = deployment.change.files.len();
        let why = format!(
            "the list of its {files} files is longer than a message may be ({body_max} bytes): raise max_payload of the NATS server, or split the change"
        );
        Err(reject(&[FieldViolation::new("diff", why)]))
    }
}

fn reject(violations: &[FieldViolation]) -> Failure {
    Failure::Reject(anyhow!("{}", in_one_line(violations)))
}
