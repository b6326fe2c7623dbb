//! Reaching verdicts within a transaction that holds the rows of the deployments.

use std::collections::BTreeMap;

use domain::identity::sha256_hex;
use domain::{Cause, Circumstances, Deployment, DeploymentId, Reached, RiskScore, Said, Signal, Source};
use proto::{Event, judgement_bytes};
use sqlx::{PgConnection, Row};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::Store;
use super::ledger::Ledger;
use crate::chain::{Entry, Month};
use crate::policy::{Inputs, Policy};

/// What the tables hold of one deployment when it may be decided.
#[derive(Debug)]
struct Case {
    month: Month,
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
    month: Month,
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
        ledger: &mut Ledger,
        now: OffsetDateTime,
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
        self.reach(connection, ledger, now, ready.collect()).await
    }

    /// Decides at most `limit` deployments whose deadline has passed without a verdict. Gives how many verdicts that made.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn sweep(&self, limit: i64) -> Result<usize, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT deployment_id, month, now() FROM deployments WHERE verdict_number = 0 AND deadline_at <= now()
             ORDER BY deadline_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        )
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        let Some(first) = rows.first() else { return Ok(0) };
        let now = first.try_get("now")?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get("deployment_id")).collect::<Result<_, _>>()?;
        let months = rows.iter().map(|row| row.try_get("month").map(Month::of)).collect::<Result<Vec<_>, _>>()?;
        let locked = Ledger::lock(&mut transaction, months).await?;
        let mut ledger = locked.ok_or(sqlx::Error::RowNotFound)?;
        let cases = load_cases(&mut transaction, &ids).await?;
        let overdue = cases.into_iter().map(|(id, case)| (id, case, Cause::Deadline)).collect();
        let verdicts = self.reach(&mut transaction, &mut ledger, now, overdue).await?;
        ledger.close(&mut transaction).await?;
        transaction.commit().await?;
        Ok(verdicts)
    }

    async fn reach(
        &self,
        connection: &mut PgConnection,
        ledger: &mut Ledger,
        stored_at: OffsetDateTime,
        cases: Vec<(DeploymentId, Case, Cause)>,
    ) -> Result<usize, sqlx::Error> {
        if cases.is_empty() {
            return Ok(0);
        }
        let now = OffsetDateTime::now_utc();
        let policy = self.policy();
        let decided: Vec<Decided> =
            cases.into_iter().map(|(id, case, cause)| judge(&policy, id, case, cause, now)).collect();
        insert_verdicts(connection, ledger, stored_at, &decided).await?;
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
    let (month, inputs, risk) = (case.month, case.inputs(), case.risk());
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
    Decided { month, reached, inputs, traceparent, risk }
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
        "SELECT d.deployment_id, d.month, d.verdict_number, d.traceparent, d.accepted_event_id, d.facts, v.inputs
         FROM deployments d
         LEFT JOIN verdicts v ON v.month = d.month AND v.deployment_id = d.deployment_id AND v.number = d.verdict_number
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
            month: Month::of(row.try_get("month")?),
            verdict_number: row.try_get::<i32, _>("verdict_number")?.cast_unsigned(),
            traceparent: row.try_get("traceparent")?,
            accepted,
            signals: BTreeMap::new(),
            decided_on: row.try_get::<Option<Vec<Uuid>>, _>("inputs")?.unwrap_or_default(),
        };
        cases.insert(DeploymentId::from_uuid(row.try_get("deployment_id")?), case);
    }
    let rows = sqlx::query(
        "SELECT event_id, e.body, e.traceparent FROM signals JOIN events e USING (month, event_id)
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

async fn insert_verdicts(
    connection: &mut PgConnection,
    ledger: &mut Ledger,
    stored_at: OffsetDateTime,
    decided: &[Decided],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = decided.iter().map(|one| one.reached.event_id().uuid()).collect();
    let months: Vec<Date> = decided.iter().map(|one| one.month.first_day()).collect();
    let messages: Vec<_> = decided
        .iter()
        .zip(&ids)
        .map(|(one, id)| (one.reached.subject(), id.to_string(), one.reached.encode()))
        .collect();
    let entries: Vec<(Month, Entry<'_>)> = decided
        .iter()
        .zip(&ids)
        .zip(&messages)
        .map(|((one, id), (subject, message_id, body))| {
            let entry = Entry {
                event_id: *id,
                deployment_id: one.reached.deployment_id.uuid(),
                kind: Reached::KIND,
                subject,
                stream_sequence: None,
                message_id: Some(message_id),
                traceparent: one.traceparent.as_deref(),
                received_at: stored_at,
                body,
            };
            (one.month, entry)
        })
        .collect();
    ledger.append(connection, &entries).await?;
    insert_rows(connection, decided, &months, &ids).await?;
    sqlx::query("INSERT INTO outbox (month, event_id) SELECT * FROM unnest($1::date[], $2::uuid[])")
        .bind(&months)
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE deployments SET verdict = new.verdict, verdict_number = new.number, risk = new.risk
         FROM unnest($1::uuid[], $2::text[], $3::int[], $4::float8[]) AS new (deployment_id, verdict, number, risk)
         WHERE deployments.deployment_id = new.deployment_id",
    )
    .bind(decided.iter().map(|one| one.reached.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.judgement.verdict.name()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.number.cast_signed()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.risk).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Columns that are arrays go as text: PostgreSQL cannot unnest arrays of arrays of different lengths.
async fn insert_rows(
    connection: &mut PgConnection,
    decided: &[Decided],
    months: &[Date],
    ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    let missing = |one: &Decided| array(one.reached.judgement.missing.iter().map(|missing| missing.input.name()));
    sqlx::query(
        "INSERT INTO verdicts (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing,
             reached_at)
         SELECT month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs::uuid[], judgement,
             missing::text[], reached_at
         FROM unnest($1::date[], $2::uuid[], $3::int[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[],
             $10::text[], $11::timestamptz[])
             AS new (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing, reached_at)",
    )
    .bind(months)
    .bind(decided.iter().map(|one| one.reached.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.number.cast_signed()).collect::<Vec<_>>())
    .bind(ids)
    .bind(decided.iter().map(|one| one.reached.judgement.verdict.name()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.cause.name()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.policy.digest.as_str()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| array(one.inputs.iter().map(Uuid::to_string))).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| judgement_bytes(&one.reached.judgement)).collect::<Vec<_>>())
    .bind(decided.iter().map(missing).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.reached_at).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

/// The text of an array as PostgreSQL reads it.
fn array(elements: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = |element: &str| format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\""));
    let elements: Vec<String> = elements.into_iter().map(|element| quoted(element.as_ref())).collect();
    format!("{{{}}}", elements.join(","))
}
