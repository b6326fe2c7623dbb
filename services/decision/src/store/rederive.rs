//! Reaching a stored verdict again from stored rows alone: the proof that the trail suffices.

use anyhow::{Context, bail};
use domain::{Deployment, DeploymentId, Reached, Review, Signal};
use proto::{Event, judgement_bytes};
use sqlx::Row;
use time::Date;
use uuid::Uuid;

use super::Store;
use super::case::{decode, evidence_digest};
use crate::policy::{Given, Inputs, Policy};

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
        let (mut deployment, mut signals, mut reviews, mut evidence) = (None, Vec::new(), Vec::new(), Vec::new());
        // A review counts for a verdict that was there before the one that it led to.
        let events = sqlx::query(
            "SELECT e.event_id, e.kind, e.body, v.evidence_digest, v.policy_digest
             FROM events e LEFT JOIN reviews r USING (month, event_id)
             LEFT JOIN verdicts v ON v.month = r.month AND v.deployment_id = r.deployment_id AND v.number = r.verdict_number
                 AND v.number < $3
             WHERE e.month = $1 AND e.event_id = ANY($2)",
        )
        .bind(row.try_get::<Date, _>("month")?)
        .bind(&inputs)
        .bind(number.cast_signed())
        .fetch_all(&self.pool)
        .await?;
        anyhow::ensure!(events.len() == inputs.len(), "an event that the verdict rests on is gone");
        for event in events {
            let body: &[u8] = event.try_get("body")?;
            match event.try_get::<&str, _>("kind")? {
                Deployment::KIND => deployment = Some(decode::<Deployment>(body)?),
                <Signal as Event>::KIND => signals.push(decode::<Signal>(body)?),
                Review::KIND => {
                    let for_verdict = Option::zip(event.try_get("evidence_digest")?, event.try_get("policy_digest")?);
                    reviews.push(Given { review: decode(body)?, for_verdict });
                    continue;
                }
                other => bail!("a verdict cannot rest on an event of kind {other}"),
            }
            evidence.push(event.try_get("event_id")?);
        }
        signals.sort_by_key(|signal| signal.source);
        let judgement = policy.judge(Inputs {
            deployment: deployment.as_ref(),
            signals: &signals,
            reviews: &reviews,
            evidence_digest: &evidence_digest(evidence),
            circumstances: &reached.circumstances,
            at: reached.reached_at,
        });
        Ok(Rederived { stored: row.try_get("judgement")?, again: judgement_bytes(&judgement) })
    }
}
