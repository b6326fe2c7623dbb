//! Reading decided deployments back, to decide them again by other rules. Nothing is written.

use domain::{Change, Deployment, DeploymentId, DiffReference, Judgement, Reached, Verdict};
use futures::TryStreamExt;
use sqlx::Row;
use time::OffsetDateTime;

use super::audit::Audit;
use super::case::decode;

/// A deployment as it was decided last.
#[derive(Clone, Debug)]
pub struct DecidedBefore {
    /// Which one.
    pub deployment_id: DeploymentId,
    /// Its latest verdict, with all that it rests on.
    pub reached: Reached,
    /// What the policy said, whoever overruled it.
    pub policy_verdict: Verdict,
    /// Its diff, or where that is; only when it was asked for, and `None` when the acceptance is not stored.
    pub diff: Option<DiffReference>,
    /// Whether it failed in production; `None` when nobody told.
    pub failed: Option<bool>,
    /// What the candidate policy said that was tried in the shadow, and its version; `None` when none was.
    pub shadow: Option<(String, Judgement)>,
}

impl Audit {
    /// Gives `each` the deployments whose latest verdict was reached from `since` on and before `until`, the oldest verdict first;
    /// with their diffs when `with_diffs`. Gives how many there were.
    ///
    /// # Errors
    /// When PostgreSQL is away, a stored event cannot be read, or `each` fails.
    pub async fn decided(
        &self,
        (since, until): (OffsetDateTime, OffsetDateTime),
        with_diffs: bool,
        mut each: impl FnMut(DecidedBefore) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let mut rows = sqlx::query(
            "SELECT d.deployment_id, e.body, o.failed, a.body AS accepted, s.version AS shadow, s.judgement
             FROM verdicts v JOIN deployments d ON d.deployment_id = v.deployment_id AND d.verdict_number = v.number
             JOIN events e ON e.month = v.month AND e.event_id = v.event_id
             LEFT JOIN LATERAL (SELECT bool_or(kind <> 'succeeded') AS failed FROM outcomes
                 WHERE outcomes.month = v.month AND outcomes.deployment_id = v.deployment_id) AS o ON true
             LEFT JOIN LATERAL (SELECT p.version, said.judgement FROM shadow_verdicts said JOIN policies p ON p.digest = said.policy_digest
                 WHERE said.month = v.month AND said.deployment_id = v.deployment_id AND said.number = v.number
                 ORDER BY said.reached_at DESC LIMIT 1) AS s ON true
             LEFT JOIN events a ON $3 AND a.month = v.month AND a.event_id = d.accepted_event_id
             WHERE v.reached_at >= $1 AND v.reached_at < $2
             ORDER BY v.reached_at, v.deployment_id",
        )
        .bind(since)
        .bind(until)
        .bind(with_diffs)
        .fetch(&self.pool);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            let reached = decode::<Reached>(row.try_get("body")?)?;
            let accepted: Option<&[u8]> = row.try_get("accepted")?;
            let diff = match accepted {
                Some(body) => decode::<Deployment>(body).map(|Deployment { change: Change { diff, .. }, .. }| diff)?,
                None => None,
            };
            each(DecidedBefore {
                deployment_id: DeploymentId::from_uuid(row.try_get("deployment_id")?),
                policy_verdict: reached.judgement.policy_verdict(),
                reached,
                diff,
                failed: row.try_get("failed")?,
                shadow: match (row.try_get::<Option<String>, _>("shadow")?, row.try_get("judgement")?) {
                    (Some(version), Some(judgement)) => Some((version, proto::judgement_from_bytes(judgement)?)),
                    _ => None,
                },
            })?;
            count += 1;
        }
        Ok(count)
    }
}
