//! `failsafe review` and `outcome`: what people and tools tell a running FailSafe.

use std::process::ExitCode;
use std::time::Duration;

use proto::v1;

use crate::cli::{Outcome, Output, Review};
use crate::client::Client;
use crate::questions::{answer, json};
use crate::terminal::say;

/// Records what somebody decided, and shows the verdict that follows from it.
pub(crate) async fn review(options: Review) -> anyhow::Result<ExitCode> {
    let mut client = Client::connect(&options.asking.server).await?;
    let request = v1::ReviewDeploymentRequest {
        deployment_id: options.deployment_id,
        verdict_number: options.verdict,
        decision: v1::ReviewDecision::from(options.decision).into(),
        reviewer: options.by,
        why: options.why,
        ..v1::ReviewDeploymentRequest::default()
    };
    let known = client.review(request, Duration::from_secs(options.timeout)).await?;
    answer(&known, None, options.asking.output)
}

/// Records what happened in production.
pub(crate) async fn outcome(options: Outcome) -> anyhow::Result<ExitCode> {
    let mut client = Client::connect(&options.asking.server).await?;
    let kind = v1::OutcomeKind::from(options.kind);
    let at = options
        .at
        .map(|at| prost_types::Timestamp { seconds: at.unix_timestamp(), nanos: at.nanosecond().cast_signed() });
    let request = v1::RecordOutcomeRequest {
        deployment_id: options.deployment_id,
        kind: kind.into(),
        detail: options.detail,
        reporter: options.by,
        occurred_at: at,
        request_id: String::new(),
    };
    let id = request.deployment_id.clone();
    let recorded = client.outcome(request).await?;
    match options.asking.output {
        Output::Json => json("RecordOutcomeResponse", &recorded),
        Output::Text => say(&format!(
            "recorded: the deployment {id} {}",
            match kind {
                v1::OutcomeKind::Failed => "failed",
                v1::OutcomeKind::RolledBack => "was rolled back",
                _ => "succeeded",
            }
        )),
    }
    Ok(ExitCode::SUCCESS)
}
