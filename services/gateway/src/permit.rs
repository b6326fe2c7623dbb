//! On which deployments a caller may work, where they are limited to some repositories.

use domain::{Deployment, DeploymentId};
use futures::StreamExt;
use prost_types::FieldMask;
use proto::v1;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::identity::{Caller, not_on, not_on_that};
use crate::service::Deployments;
use crate::status;
use crate::waiting::ANSWER_MAX;

/// The caller may work on that repository.
///
/// # Errors
/// When they may not.
pub(crate) fn on_repository(caller: &Caller, repository: &str) -> Result<(), Status> {
    if caller.repositories.holds(repository) { Ok(()) } else { Err(not_on(caller, repository)) }
}

/// The caller may see what is known of a deployment. Of one that is known only by a signal or an outcome, nobody knows the
/// repository yet.
///
/// # Errors
/// When they may not.
pub(crate) fn on_dossier(caller: &Caller, dossier: &v1::GetDeploymentResponse) -> Result<(), Status> {
    if caller.repositories.is_all() {
        return Ok(());
    }
    match &dossier.deployment {
        Some(deployment) if caller.repositories.holds(&deployment.repository) => Ok(()),
        Some(_) => Err(not_on_that(caller)),
        None => Err(status::not_found("it is not known yet of which repository the deployment is")),
    }
}

/// A list holds only what the caller may see: of one repository, which is filled in when they are limited to one.
///
/// # Errors
/// When they may not see what they ask for, or ask for everything.
pub(crate) fn on_list(caller: &Caller, request: &mut v1::ListDeploymentsRequest) -> Result<(), Status> {
    if caller.repositories.is_all() {
        return Ok(());
    }
    if request.repository.is_empty() {
        let Some(only) = caller.repositories.only() else {
            let message = format!(
                "{} may not list all repositories: name one by `repository`, of: {}",
                caller.name, caller.repositories
            );
            return Err(status::denied("REPOSITORY_REQUIRED", &message, []));
        };
        request.repository = only.to_owned();
    }
    on_repository(caller, &request.repository)
}

impl Deployments {
    /// The caller may work on a deployment that is known.
    pub(crate) async fn permit(&self, caller: &Caller, id: DeploymentId) -> Result<(), Status> {
        if caller.repositories.is_all() {
            return Ok(());
        }
        let read_mask = Some(FieldMask { paths: vec!["deployment.repository".to_owned()] });
        let question = v1::GetDeploymentRequest { deployment_id: id.to_string(), read_mask };
        on_dossier(caller, self.ask(&question).await?.get_ref())
    }

    /// The caller may watch a deployment, which may not be known yet: who submits watches at once.
    /// It is waited for until shortly before the call is cut off, so that there is an answer.
    pub(crate) async fn permit_watch(
        &self,
        caller: &Caller,
        id: DeploymentId,
        cut_off: Option<Instant>,
    ) -> Result<(), Status> {
        match self.permit(caller, id).await {
            Err(status) if status.code() == Code::NotFound => {}
            permitted => return permitted,
        }
        let waiting = async {
            let mut events = self.bus().watch(id).await.ok()?;
            while let Some(Ok(seen)) = events.next().await {
                if seen.is::<Deployment>() {
                    return seen.decode::<Deployment>().ok();
                }
            }
            None
        };
        let idle = Instant::now() + self.watch_idle();
        let until = cut_off.map_or(idle, |cut_off| idle.min(cut_off - ANSWER_MAX));
        let accepted = tokio::time::timeout_at(until, waiting).await.ok().flatten();
        match accepted {
            Some(deployment) if caller.repositories.holds(deployment.repository.as_str()) => Ok(()),
            Some(_) => Err(not_on_that(caller)),
            None => Err(status::not_found(&format!("nobody has heard of the deployment {id}"))),
        }
    }
}
