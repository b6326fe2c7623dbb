//! Reaching a stored verdict again from stored rows alone: the proof that the trail suffices.

use anyhow::{Context, bail};
use domain::{Deployment, DeploymentId, Reached, Signal};
use proto::{Event, judgement_bytes};
use sqlx::Row;
use time::Date;
use uuid::Uuid;

use super::Store;
use super::decide::{decode, evidence_digest};
use crate::policy::{Inputs, Policy};

/// A judgement as it was stored, and as it comes out again. The two are equal, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rederived {
    /// As it was stored.
    pub stored: Vec<u8>,
    /// As the same policy gives it for the same signals.
    pub again: Vec<u8>,
}

impl Store {
    /// Reaches verdict `number` of `deployment` again from the events and the policy that it names, and nothing else.
    ///
    /// # Errors
    /// When there is no such verdict, or PostgreSQL is away.
    pub async fn rederive(&self, deployment: DeploymentId, number: u32) -> anyhow::Result<Rederived> {
        let row = sqlx::query(
            "SELECT v.month, v.inputs, v.judgement, p.body AS policy, e.body
             FROM deployments d JOIN verdicts v USING (month, deployment_id) JOIN policies p ON p.digest = v.policy_digest
             JOIN events e USING (month, event_id)
             WHERE d.deployment_id = $1 AND v.number = $2",
        )
        .bind(deployment.uuid())
        .bind(number.cast_signed())
        .fetch_optional(&self.pool)
        .await?
        .with_context(|| format!("there is no verdict {number} of {deployment}"))?;
        let inputs: Vec<Uuid> = row.try_get("inputs")?;
        let policy = Policy::parse(row.try_get("policy")?).context("the stored policy cannot be read")?;
        let reached = decode::<Reached>(row.try_get("body")?)?;
        let (mut deployment, mut signals) = (None, Vec::new());
        let events = sqlx::query("SELECT kind, body FROM events WHERE month = $1 AND event_id = ANY($2)")
            .bind(row.try_get::<Date, _>("month")?)
            .bind(&inputs)
            .fetch_all(&self.pool)
            .await?;
        anyhow::ensure!(events.len() == inputs.len(), "an event that the verdict rests on is gone");
        for event in events {
            match event.try_get::<&str, _>("kind")? {
                Deployment::KIND => deployment = Some(decode::<Deployment>(event.try_get("body")?)?),
                <Signal as Event>::KIND => signals.push(decode::<Signal>(event.try_get("body")?)?),
                other => bail!("a verdict cannot rest on an event of kind {other}"),
            }
        }
        signals.sort_by_key(|signal| signal.source);
        let judgement = policy.judge(Inputs {
            deployment: deployment.as_ref(),
            signals: &signals,
            reviews: &[],
            evidence_digest: &evidence_digest(&inputs),
            circumstances: &reached.circumstances,
            at: reached.reached_at,
        });
        Ok(Rederived { stored: row.try_get("judgement")?, again: judgement_bytes(&judgement) })
    }
}
