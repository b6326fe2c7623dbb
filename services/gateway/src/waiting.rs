//! Waiting for the verdict of a deployment that was just submitted.

use std::time::Duration;

use chassis::Bus;
use domain::DeploymentId;
use futures::StreamExt;
use proto::v1;
use proto::v1::watch_deployment_response::Stage;
use tokio::time::Instant;

use crate::watch::stage_of;

/// What is left of a call's time for its answer.
pub(crate) const ANSWER_MAX: Duration = Duration::from_millis(500);

/// The latest verdict on `deployment`, as soon as there is one; `None` when there is none by `cut_off`.
pub(crate) async fn verdict(
    bus: &Bus,
    deployment: DeploymentId,
    wait: Duration,
    cut_off: Instant,
) -> Option<v1::VerdictReached> {
    let latest = cut_off - ANSWER_MAX;
    // A caller may ask for more than there are seconds.
    let until = Instant::now().checked_add(wait).map_or(latest, |until| until.min(latest));
    match tokio::time::timeout_at(until, from_stream(bus, deployment)).await {
        Ok(Ok(verdict)) => Some(verdict),
        Ok(Err(error)) => {
            tracing::warn!(deployment.id = %deployment, "cannot wait for a verdict: {error:#}");
            None
        }
        Err(_) => tokio::time::timeout(ANSWER_MAX / 2, from_audit_trail(bus, deployment)).await.ok().flatten(),
    }
}

async fn from_stream(bus: &Bus, deployment: DeploymentId) -> anyhow::Result<v1::VerdictReached> {
    let mut events = bus.watch(deployment).await?;
    let mut latest = None;
    while let Some(seen) = events.next().await {
        let seen = seen?;
        if let Ok(Some(Stage::Verdict(verdict))) = stage_of(&seen) {
            latest = Some(verdict);
        }
        // One that was submitted before has a verdict already, or several.
        if seen.pending == 0
            && let Some(verdict) = latest.take()
        {
            return Ok(verdict);
        }
    }
    anyhow::bail!("the stream ended")
}

/// What was decided so long ago that the stream holds it no longer.
async fn from_audit_trail(bus: &Bus, deployment: DeploymentId) -> Option<v1::VerdictReached> {
    let read_mask = Some(prost_types::FieldMask { paths: vec!["verdicts".to_owned()] });
    let question = v1::GetDeploymentRequest { deployment_id: deployment.to_string(), read_mask };
    bus.ask(&question).await.ok()?.verdicts.into_iter().next()
}
