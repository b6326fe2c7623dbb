//! `failsafe.v1.DeploymentService`: each call checks its request, asks the bus, and answers.

use std::sync::Arc;
use std::time::Duration;

use chassis::{Bus, Outgoing, Shutdown, trace};
use domain::{DeploymentId, DiffDigest, Draft, DraftChange, FieldViolation, ListQuery, Reached};
use proto::Mask;
use proto::question::Question;
use proto::v1;
use proto::v1::deployment_service_server::DeploymentService;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status};
use tracing::Span;

use crate::backlog::Backlog;
use crate::call::{CutOff, Deadline, Seat};
use crate::identity::{Scope, caller_of, without_scope};
use crate::newcomers::Newcomers;
use crate::permit;
use crate::submission::{self, Checked};
use crate::watch::{Stages, Watch};
use crate::{Config, status, waiting};

/// What the headers of an event take of the server's limit, at most.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Longer diffs and requests are read on a thread of their own, so that no other call waits for them.
pub(crate) const QUICK_BYTES_MAX: usize = 256 * 1024;

/// The front door.
pub(crate) struct Deployments {
    bus: Bus,
    shutdown: Shutdown,
    watches: Arc<Semaphore>,
    newcomers: Newcomers,
    backlog: Backlog,
    config: Config,
}

impl Deployments {
    pub(crate) fn new(bus: Bus, shutdown: Shutdown, backlog: Backlog, config: Config) -> Self {
        let watches = Arc::new(Semaphore::new(config.watches_max.min(Semaphore::MAX_PERMITS)));
        Self { bus, shutdown, watches, newcomers: Newcomers::default(), backlog, config }
    }

    /// Asks the audit trail. Without a connection it is said at once: a question is cheap to repeat.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> Result<Response<Q::Answer>, Status> {
        self.must_be_connected()?;
        self.bus.ask(question).await.map(Response::new).map_err(|ask| {
            let status = status::unanswered(&ask);
            if status.code() == Code::Unavailable {
                tracing::warn!("cannot ask the audit trail: {ask}");
            }
            status
        })
    }

    /// Puts an event into the stream; `what` names it in the log when that cannot be done.
    pub(crate) async fn publish(&self, outgoing: &Outgoing, what: &str) -> Result<(), Status> {
        self.must_be_connected()?;
        self.bus.publish(outgoing).await.map_err(|error| {
            tracing::warn!("cannot publish {what}: {error:#}");
            status::bus_away()
        })
    }

    pub(crate) const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// How long a watch waits for the first word of a deployment.
    pub(crate) const fn watch_idle(&self) -> Duration {
        self.config.watch_idle()
    }

    fn must_be_connected(&self) -> Result<(), Status> {
        if self.bus.is_connected() { Ok(()) } else { Err(status::bus_away()) }
    }

    /// Checks a draft without holding up other calls.
    async fn check(&self, draft: Draft) -> Result<Checked, Status> {
        let diff_bytes_max = self.config.diff_bytes_max;
        let is_long = matches!(&draft.change, Some(DraftChange::Diff(diff)) if diff.len() > QUICK_BYTES_MAX);
        let checked = if is_long {
            let checking = tokio::task::spawn_blocking(move || submission::check(draft, diff_bytes_max));
            checking.await.map_err(|error| {
                tracing::error!("the check of a submission failed: {error}");
                Status::unknown("the submission could not be checked")
            })?
        } else {
            submission::check(draft, diff_bytes_max)
        };
        checked.map_err(|violations| status::invalid(&violations))
    }

    /// The event that carries `draft`. A diff that would not pass the server's limit goes to the object store first.
    async fn pack(&self, mut draft: Draft) -> Result<Outgoing, Status> {
        let bytes_max = self.bus.payload_max().saturating_sub(HEADERS_BYTES_MAX);
        let outgoing = Outgoing::new(&draft);
        if outgoing.body.len() <= bytes_max {
            return Ok(outgoing);
        }
        if let Some(DraftChange::Diff(diff)) = &draft.change {
            let digest = DiffDigest::of(diff);
            let object = self.bus.store_diff(diff).await.map_err(|failure| {
                tracing::warn!("cannot store a diff: {failure}");
                status::bus_away()
            })?;
            draft.change = Some(DraftChange::Stored { object, digest });
        }
        let outgoing = Outgoing::new(&draft);
        match outgoing.body.len() {
            bytes if bytes <= bytes_max => Ok(outgoing),
            bytes => Err(Status::resource_exhausted(format!(
                "without its diff the submission has {bytes} bytes, and the message bus takes at most {bytes_max}"
            ))),
        }
    }
}

#[tonic::async_trait]
impl DeploymentService for Deployments {
    async fn submit_deployment(
        &self,
        request: Request<v1::SubmitDeploymentRequest>,
    ) -> Result<Response<v1::SubmitDeploymentResponse>, Status> {
        let caller = caller_of(&request)?;
        let cut_off = request.extensions().get::<CutOff>().copied();
        let seat = request.extensions().get::<Seat>().cloned();
        let request = request.into_inner();
        let wait = Duration::try_from(request.wait.unwrap_or_default())
            .map_err(|_| status::invalid(&[FieldViolation::new("wait", "must not be negative")]))?;
        if !wait.is_zero() && !caller.may(Scope::Read) {
            return Err(without_scope(&caller, Scope::Read, "to wait for the verdict"));
        }
        // Before anything costs: what is refused here is sent again.
        self.backlog.admit()?;
        let draft = Draft::try_from(request).map_err(status::malformed)?;
        permit::on_repository(&caller, &draft.repository)?;
        let draft = Draft { submitted_by: caller.name, ..draft };
        let Checked { id, draft } = self.check(draft).await?;
        let (span, repository, pull_request) = (Span::current(), draft.repository.clone(), draft.pull_request);
        span.record("deployment.id", tracing::field::display(id));
        trace::set(&span, "vcs.repository.name", &repository);
        trace::set(&span, "vcs.change.id", &pull_request.to_string());
        let outgoing = Outgoing { deployment_id: Some(id), ..self.pack(draft).await? };
        self.bus.publish(&outgoing).await.map_err(|error| {
            tracing::warn!(deployment.id = %id, "cannot publish a submission: {error:#}");
            status::bus_away()
        })?;
        tracing::info!(deployment.id = %id, repository, pull_request, "{repository}#{pull_request} submitted");
        let trace_id = trace::id_of(&Span::current()).unwrap_or_default();
        let verdict = match (cut_off, Arc::clone(&self.watches).try_acquire_owned()) {
            (Some(CutOff(cut_off)), Ok(_permit)) if !wait.is_zero() => {
                // Who waits is no work, and holds up nobody who is.
                seat.iter().for_each(Seat::leave);
                waiting::verdict(&self.bus, id, wait, cut_off).await
            }
            _ => None,
        };
        Ok(Response::new(v1::SubmitDeploymentResponse { deployment_id: id.to_string(), trace_id, verdict }))
    }

    async fn get_deployment(
        &self,
        request: Request<v1::GetDeploymentRequest>,
    ) -> Result<Response<v1::GetDeploymentResponse>, Status> {
        let caller = caller_of(&request)?;
        let question = request.into_inner();
        let (id, _) = <(DeploymentId, Mask)>::try_from(question.clone()).map_err(status::all_malformed)?;
        Span::current().record("deployment.id", tracing::field::display(id));
        self.permit(&caller, id).await?;
        self.ask(&question).await
    }

    async fn explain_deployment(
        &self,
        request: Request<v1::ExplainDeploymentRequest>,
    ) -> Result<Response<v1::ExplainDeploymentResponse>, Status> {
        let caller = caller_of(&request)?;
        let request = request.into_inner().at(OffsetDateTime::now_utc()).map_err(status::all_malformed)?;
        let id = request.deployment_id;
        Span::current().record("deployment.id", tracing::field::display(id));
        self.must_be_connected()?;
        self.permit(&caller, id).await?;
        let away = |error: anyhow::Error| {
            tracing::warn!(deployment.id = %id, "cannot ask for an explanation: {error:#}");
            status::bus_away()
        };
        if self.bus.last::<Reached>(id).await.map_err(away)?.is_none() {
            let none = format!("the stream holds no verdict on the deployment {id}: not yet, or no longer");
            return Err(status::not_found(&none));
        }
        let outgoing = Outgoing::new(&request);
        self.bus.publish(&outgoing).await.map_err(away)?;
        Ok(Response::new(v1::ExplainDeploymentResponse { request_id: outgoing.message_id }))
    }

    async fn review_deployment(
        &self,
        request: Request<v1::ReviewDeploymentRequest>,
    ) -> Result<Response<v1::ReviewDeploymentResponse>, Status> {
        self.review(&caller_of(&request)?, request.into_inner()).await.map(Response::new)
    }

    async fn record_outcome(
        &self,
        request: Request<v1::RecordOutcomeRequest>,
    ) -> Result<Response<v1::RecordOutcomeResponse>, Status> {
        self.outcome(&caller_of(&request)?, request.into_inner()).await.map(Response::new)
    }

    async fn attest_verdict(
        &self,
        request: Request<v1::AttestVerdictRequest>,
    ) -> Result<Response<v1::AttestVerdictResponse>, Status> {
        let caller = caller_of(&request)?;
        let question = request.into_inner();
        let id = id_of(&question.deployment_id)?;
        self.permit(&caller, id).await?;
        self.ask(&question).await
    }

    async fn list_deployments(
        &self,
        request: Request<v1::ListDeploymentsRequest>,
    ) -> Result<Response<v1::ListDeploymentsResponse>, Status> {
        let caller = caller_of(&request)?;
        let mut question = request.into_inner();
        permit::on_list(&caller, &mut question)?;
        ListQuery::try_from(question.clone()).map_err(status::all_malformed)?;
        self.ask(&question).await
    }

    type WatchDeploymentStream = Stages;

    async fn watch_deployment(&self, request: Request<v1::WatchDeploymentRequest>) -> Result<Response<Stages>, Status> {
        let caller = caller_of(&request)?;
        let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
        let cut_off = request.extensions().get::<CutOff>().map(|cut_off| cut_off.0);
        let seat = request.extensions().get::<Seat>().cloned();
        let v1::WatchDeploymentRequest { deployment_id, after_sequence } = request.into_inner();
        let deployment = id_of(&deployment_id)?;
        let permit = Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            status::exhausted("GATEWAY_BUSY", "as many deployments are watched as may be at a time: try again")
        })?;
        self.must_be_connected()?;
        // From here on it counts as a watch, and no other call waits for it.
        seat.iter().for_each(Seat::leave);
        self.permit_watch(&caller, deployment, cut_off).await?;
        let watch = Watch {
            bus: self.bus.clone(),
            deployment,
            after: after_sequence,
            newcomers: self.newcomers.clone(),
            idle: self.config.watch_idle(),
            deadline,
            shutdown: self.shutdown.clone(),
            permit,
        };
        watch.begin().await.map(Response::new).map_err(|error| {
            tracing::warn!(deployment.id = %deployment, "cannot begin a watch: {error:#}");
            status::bus_away()
        })
    }
}

/// The deployment that a call is about.
fn id_of(text: &str) -> Result<DeploymentId, Status> {
    let wrong = |problem| status::invalid(&[FieldViolation::new("deployment_id", problem)]);
    let id = DeploymentId::parse(text).map_err(wrong)?;
    Span::current().record("deployment.id", tracing::field::display(id));
    Ok(id)
}
