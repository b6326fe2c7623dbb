//! Reaching verdicts within a transaction that holds the rows of the deployments.

use std::collections::BTreeMap;

use domain::identity::sha256_hex;
use domain::{Cause, Circumstances, Deployment, DeploymentId, Reached, RiskScore, Said, Signal, Source};
use proto::{Event, judgement_bytes};
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use crate::policy::{Inputs, Policy};

/// What the tables hold of one deployment when it may be decided.
#[derive(Debug, Default)]
struct Case {
    verdict_number: u32,
    traceparent: Option<String>,
    /// The acceptance: its event, and the deployment without its diff.
    accepted: Option<(Uuid, Deployment)>,
    /// The signals that count, by source, each with its event.
    signals: BTreeMap<Source, (Uuid, Signal, Option<String>)>,
    /// What the latest verdict rests on.
    decided_on: Vec<Uuid>,
}

impl Case {
    /// The events that a verdict reached now would rest on, sorted.
    fn inputs(&self) -> Vec<Uuid> {
        let accepted = self.accepted.iter().map(|(id, _)| *id);
        let mut inputs: Vec<Uuid> = accepted.chain(self.signals.values().map(|(id, ..)| *id)).collect();
        inputs.sort_unstable();
        inputs
    }

    fn risk(&self) -> Option<f64> {
        match &self.signals.get(&Source::MlScoring)?.1.said {
            Said::Risk(RiskScore { risk, .. }) => Some(risk.probability()),
            _ => None,
        }
    }
}

/// A verdict ready to be stored.
struct Decided {
    reached: Reached,
    inputs: Vec<Uuid>,
    traceparent: Option<String>,
    risk: Option<f64>,
}

impl Store {
    /// Decides those of `ids`, whose rows are locked, for which everything is in, or for which something has come in after a
    /// verdict. Gives how many verdicts that made.
    pub(super) async fn decide_complete(
        &self,
        connection: &mut PgConnection,
        ids: &[Uuid],
    ) -> Result<usize, sqlx::Error> {
        let cases = load_cases(connection, ids).await?;
        let ready = cases.into_iter().filter_map(|(id, case)| {
            let complete = Inputs::are_complete(case.accepted.is_some(), case.signals.keys().copied());
            match case.verdict_number {
                0 if complete => Some((id, case, Cause::Complete)),
                0 => None,
                _ if case.inputs() == case.decided_on => None,
                _ => Some((id, case, Cause::Late)),
            }
        });
        self.reach(connection, ready.collect()).await
    }

    /// Decides at most `limit` deployments whose deadline has passed without a verdict. Gives how many verdicts that made.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn sweep(&self, limit: i64) -> Result<usize, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT deployment_id FROM deployments WHERE verdict_number = 0 AND deadline_at <= now()
             ORDER BY deadline_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        )
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let cases = load_cases(&mut transaction, &ids).await?;
        let overdue = cases.into_iter().map(|(id, case)| (id, case, Cause::Deadline)).collect();
        let verdicts = self.reach(&mut transaction, overdue).await?;
        transaction.commit().await?;
        Ok(verdicts)
    }

    async fn reach(
        &self,
        connection: &mut PgConnection,
        cases: Vec<(DeploymentId, Case, Cause)>,
    ) -> Result<usize, sqlx::Error> {
        if cases.is_empty() {
            return Ok(0);
        }
        let now = OffsetDateTime::now_utc();
        let policy = self.policy();
        let decided: Vec<Decided> =
            cases.into_iter().map(|(id, case, cause)| judge(&policy, id, case, cause, now)).collect();
        insert_verdicts(connection, &decided).await?;
        for one in &decided {
            tracing::info!(
                deployment.id = %one.reached.deployment_id,
                verdict = one.reached.judgement.verdict.name(),
                verdict.number = one.reached.number,
                cause = one.reached.cause.name(),
                "{} for {}",
                one.reached.judgement.verdict,
                one.reached.deployment.as_ref().map_or_else(
                    || "a deployment whose acceptance is missing".to_owned(),
                    |d| format!("{} #{} at {}", d.repository, d.pull_request, d.revision.short())
                ),
            );
        }
        Ok(decided.len())
    }
}

fn judge(policy: &Policy, deployment_id: DeploymentId, case: Case, cause: Cause, now: OffsetDateTime) -> Decided {
    let (inputs, risk) = (case.inputs(), case.risk());
    // The verdict continues the trace of the last signal that came, or of the deployment's first word.
    let latest = case.signals.values().max_by_key(|(_, signal, _)| signal.raised_at);
    let traceparent = latest.and_then(|(_, _, parent)| parent.clone()).or(case.traceparent);
    let signals: Vec<Signal> = case.signals.into_values().map(|(_, signal, _)| signal).collect();
    let deployment = case.accepted.map(|(_, deployment)| deployment);
    let (evidence_digest, circumstances) = (evidence_digest(&inputs), Circumstances::default());
    let judgement = policy.judge(Inputs {
        deployment: deployment.as_ref(),
        signals: &signals,
        reviews: &[],
        evidence_digest: &evidence_digest,
        circumstances: &circumstances,
        at: now,
    });
    let reached = Reached {
        deployment_id,
        number: case.verdict_number + 1,
        judgement,
        policy: policy.stamp().clone(),
        cause,
        reached_at: now,
        deployment,
        signals,
        evidence_digest,
        circumstances,
    };
    Decided { reached, inputs, traceparent, risk }
}

/// Identifies the evidence of a verdict: the events that it rests on, sorted, reviews apart.
pub(super) fn evidence_digest(inputs: &[Uuid]) -> String {
    let bytes: Vec<u8> = inputs.iter().flat_map(|id| *id.as_bytes()).collect();
    sha256_hex(&bytes)
}

async fn load_cases(connection: &mut PgConnection, ids: &[Uuid]) -> Result<BTreeMap<DeploymentId, Case>, sqlx::Error> {
    let mut cases: BTreeMap<DeploymentId, Case> = BTreeMap::new();
    if ids.is_empty() {
        return Ok(cases);
    }
    let rows = sqlx::query(
        "SELECT d.deployment_id, d.verdict_number, d.traceparent, d.accepted_event_id, d.facts, v.inputs
         FROM deployments d
         LEFT JOIN verdicts v ON v.deployment_id = d.deployment_id AND v.number = d.verdict_number
         WHERE d.deployment_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let accepted = match (row.try_get::<Option<Uuid>, _>("accepted_event_id")?, row.try_get("facts")?) {
            (Some(event), Some(facts)) => Some((event, decode::<Deployment>(facts)?)),
            _ => None,
        };
        let case = Case {
            verdict_number: row.try_get::<i32, _>("verdict_number")?.cast_unsigned(),
            traceparent: row.try_get("traceparent")?,
            accepted,
            signals: BTreeMap::new(),
            decided_on: row.try_get::<Option<Vec<Uuid>>, _>("inputs")?.unwrap_or_default(),
        };
        cases.insert(DeploymentId::from_uuid(row.try_get("deployment_id")?), case);
    }
    let rows = sqlx::query(
        "SELECT event_id, e.body, e.traceparent FROM signals JOIN events e USING (event_id)
         WHERE signals.deployment_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    for row in rows {
        let signal = decode::<Signal>(row.try_get("body")?)?;
        if let Some(case) = cases.get_mut(&signal.deployment_id) {
            let entry = (row.try_get("event_id")?, signal, row.try_get("traceparent")?);
            case.signals.insert(entry.1.source, entry);
        }
    }
    Ok(cases)
}

/// Reads an event that this service stored before.
pub(super) fn decode<E: Event>(body: &[u8]) -> Result<E, sqlx::Error> {
    E::from_protobuf(body).map_err(|malformed| sqlx::Error::Decode(Box::new(malformed)))
}

async fn insert_verdicts(connection: &mut PgConnection, decided: &[Decided]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = decided.iter().map(|one| one.reached.event_id().uuid()).collect();
    let deployments: Vec<Uuid> = decided.iter().map(|one| one.reached.deployment_id.uuid()).collect();
    let numbers: Vec<i32> = decided.iter().map(|one| one.reached.number.cast_signed()).collect();
    let verdicts: Vec<&str> = decided.iter().map(|one| one.reached.judgement.verdict.name()).collect();
    sqlx::query(
        "INSERT INTO events (event_id, deployment_id, kind, subject, message_id, traceparent, body)
         SELECT id, deployment_id, $3, subject, id::text, traceparent, body
         FROM unnest($1::uuid[], $2::uuid[], $4::text[], $5::text[], $6::bytea[])
             AS new (id, deployment_id, subject, traceparent, body)",
    )
    .bind(&ids)
    .bind(&deployments)
    .bind(Reached::KIND)
    .bind(decided.iter().map(|one| one.reached.subject()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.encode()).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    for (one, id) in decided.iter().zip(&ids) {
        insert_verdict(connection, one, *id).await?;
    }
    sqlx::query("INSERT INTO outbox (event_id) SELECT * FROM unnest($1::uuid[])")
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE deployments SET verdict = new.verdict, verdict_number = new.number, risk = new.risk
         FROM unnest($1::uuid[], $2::text[], $3::int[], $4::float8[]) AS new (deployment_id, verdict, number, risk)
         WHERE deployments.deployment_id = new.deployment_id",
    )
    .bind(&deployments)
    .bind(&verdicts)
    .bind(&numbers)
    .bind(decided.iter().map(|one| one.risk).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

/// One row, because PostgreSQL cannot unnest arrays of arrays of different lengths.
async fn insert_verdict(connection: &mut PgConnection, one: &Decided, id: Uuid) -> Result<(), sqlx::Error> {
    let Reached { deployment_id, number, judgement, policy, cause, reached_at, .. } = &one.reached;
    sqlx::query(
        "INSERT INTO verdicts (deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing,
             reached_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(deployment_id.uuid())
    .bind(number.cast_signed())
    .bind(id)
    .bind(judgement.verdict.name())
    .bind(cause.name())
    .bind(&policy.digest)
    .bind(&one.inputs)
    .bind(judgement_bytes(judgement))
    .bind(judgement.missing.iter().map(|missing| missing.input.name()).collect::<Vec<_>>())
    .bind(reached_at)
    .execute(connection)
    .await
    .map(|_| ())
}
