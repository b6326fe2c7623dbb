//! Reaching verdicts within a transaction that holds the rows of the deployments.

use std::collections::BTreeMap;

use chassis::{Outgoing, trace};
use domain::{Cause, DeploymentId, Judgement, Reached, Signal};
use proto::judgement_bytes;
use sqlx::{Connection, PgConnection, Row};
use time::OffsetDateTime;
use tracing::Span;
use uuid::Uuid;

use super::case::{Case, InHand, decidable, load_cases};
use super::ledger::Ledger;
use super::statement::Statement;
use super::told::{span, tell, write_into};
use super::{Policies, Store};
use crate::chain::{Entry, Month};
use crate::policy::{Given, Inputs};

/// A verdict ready to be stored.
pub(super) struct Decided {
    month: Month,
    /// How it is told.
    pub(super) outgoing: Outgoing,
    pub(super) reached: Reached,
    /// In which it was reached, until it is stored.
    pub(super) span: Span,
    inputs: Vec<Uuid>,
    risk: Option<f64>,
    /// What the candidate policy says, and its digest.
    shadow: Option<(String, Judgement)>,
}

impl Decided {
    /// What a person decided instead of the policy.
    fn overruled_by(&self) -> Option<&'static str> {
        self.reached.judgement.overruled.as_ref().map(|overruled| overruled.decision.name())
    }

    /// Its event.
    pub(super) fn into_event(self) -> (Uuid, Outgoing) {
        (self.reached.event_id().uuid(), self.outgoing)
    }

    /// Until when somebody else has to have looked at an emergency.
    fn review_due(&self) -> Option<OffsetDateTime> {
        self.reached.judgement.overruled.as_ref().and_then(|overruled| overruled.review_due)
    }
}

impl Store {
    /// Decides those of `ids`, whose rows are locked, and of those in hand, for which everything is in, or for which something has come in
    /// after a verdict. Gives the verdicts that this made.
    pub(super) async fn decide_complete(
        &self,
        connection: &mut PgConnection,
        ledger: &mut Ledger,
        now: OffsetDateTime,
        ids: &[Uuid],
        in_hand: &BTreeMap<DeploymentId, InHand<'_>>,
    ) -> Result<Vec<Decided>, sqlx::Error> {
        let complete = in_hand.iter().filter(|(_, one)| one.is_complete());
        let complete = complete.map(|(id, one)| (*id, one.case())).collect();
        let ids = decidable(connection, ids).await?;
        let cases = load_cases(connection, &ids, complete).await?;
        let ready = cases.into_iter().filter_map(|(id, case)| {
            let cause = match case.verdict_number {
                0 => Cause::Complete,
                _ if case.inputs() == case.decided_on => return None,
                _ if case.evidence_digest() == case.decided_on_evidence => Cause::Review,
                _ => Cause::Late,
            };
            Some((id, case, cause))
        });
        self.reach(connection, ledger, now, ready.collect()).await
    }

    /// Decides at most `limit` deployments whose deadline has passed without a verdict. Gives the events of the verdicts, which are in the
    /// outbox now.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn sweep(&self, limit: i64) -> Result<Vec<(Uuid, Outgoing)>, sqlx::Error> {
        let mut connection = self.writing.take(&self.pool).await?;
        let mut transaction = connection.begin().await?;
        let rows = sqlx::query(
            "SELECT deployment_id, month, now() FROM deployments WHERE verdict_number = 0 AND deadline_at <= now()
             ORDER BY deadline_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        )
        .bind(limit)
        .fetch_all(&mut *transaction)
        .named("SELECT deployments")
        .await?;
        let Some(first) = rows.first() else {
            transaction.commit().await?;
            self.writing.give_back(connection);
            return Ok(Vec::new());
        };
        let now = first.try_get("now")?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get("deployment_id")).collect::<Result<_, _>>()?;
        let months = rows.iter().map(|row| row.try_get("month").map(Month::of)).collect::<Result<Vec<_>, _>>()?;
        let locked = Ledger::lock(&mut transaction, months, &[]).await?;
        let (mut ledger, _) = locked.ok_or(sqlx::Error::RowNotFound)?;
        let cases = load_cases(&mut transaction, &ids, BTreeMap::new()).await?;
        let overdue = cases.into_iter().map(|(id, case)| (id, case, Cause::Deadline)).collect();
        let decided = self.reach(&mut transaction, &mut ledger, now, overdue).await?;
        transaction.commit().named("COMMIT").await?;
        self.writing.give_back(connection);
        tell(&decided, &[]);
        Ok(decided.into_iter().map(Decided::into_event).collect())
    }

    async fn reach(
        &self,
        connection: &mut PgConnection,
        ledger: &mut Ledger,
        stored_at: OffsetDateTime,
        cases: Vec<(DeploymentId, Case, Cause)>,
    ) -> Result<Vec<Decided>, sqlx::Error> {
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        let now = OffsetDateTime::now_utc();
        let policies = self.policies();
        let decided: Vec<Decided> =
            cases.into_iter().map(|(id, case, cause)| judge(&policies, id, case, cause, now)).collect();
        insert_verdicts(connection, ledger, stored_at, &decided).await?;
        Ok(decided)
    }
}

fn judge(policies: &Policies, deployment_id: DeploymentId, case: Case, cause: Cause, now: OffsetDateTime) -> Decided {
    let (month, inputs, evidence_digest, risk) = (case.month, case.inputs(), case.evidence_digest(), case.risk());
    // The verdict continues the trace of what came last, or of the deployment's first word.
    let latest = case.signals.values().max_by_key(|(_, signal, _)| signal.raised_at);
    let parent = latest.and_then(|(_, _, parent)| parent.clone()).or_else(|| case.traceparent.clone());
    let joined = case.signals.values().filter_map(|(_, _, parent)| parent.as_deref());
    let span = span(parent.as_deref(), joined);
    let traceparent = trace::parent_of(&span).or(parent);
    let signals: Vec<Signal> = case.signals.into_values().map(|(_, signal, _)| signal).collect();
    let reviews: Vec<Given> = case.reviews.into_iter().map(|(_, given)| given).collect();
    let deployment = case.accepted.map(|(_, deployment)| deployment);
    let inputs_of_policy = Inputs {
        deployment: deployment.as_ref(),
        signals: &signals,
        reviews: &reviews,
        evidence_digest: &evidence_digest,
        circumstances: &case.circumstances,
        at: now,
    };
    let judgement = policies.active.judge(inputs_of_policy);
    let shadow = policies.shadow.as_ref().map(|shadow| (shadow.stamp().digest.clone(), shadow.judge(inputs_of_policy)));
    let reached = Reached {
        deployment_id,
        number: case.verdict_number + 1,
        judgement,
        policy: policies.active.stamp().clone(),
        cause,
        reached_at: now,
        deployment,
        signals,
        evidence_digest,
        circumstances: case.circumstances,
    };
    write_into(&span, &reached);
    let outgoing = Outgoing { traceparent, ..Outgoing::new(&reached) };
    Decided { month, outgoing, reached, span, inputs, risk, shadow }
}

async fn insert_verdicts(
    connection: &mut PgConnection,
    ledger: &mut Ledger,
    stored_at: OffsetDateTime,
    decided: &[Decided],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = decided.iter().map(|one| one.reached.event_id().uuid()).collect();
    let entries: Vec<(Month, Entry<'_>)> = decided
        .iter()
        .zip(&ids)
        .map(|(one, id)| {
            let entry = Entry {
                event_id: *id,
                deployment_id: one.reached.deployment_id.uuid(),
                kind: Reached::KIND,
                subject: &one.outgoing.subject,
                stream_sequence: None,
                message_id: Some(&one.outgoing.message_id),
                traceparent: one.outgoing.traceparent.as_deref(),
                received_at: stored_at,
                body: &one.outgoing.body,
            };
            (one.month, entry)
        })
        .collect();
    ledger.append(connection, &entries).await?;
    insert_rows(connection, decided, &ids).await?;
    insert_shadows(connection, decided).await
}

/// Into the verdicts and the outbox, and into the deployments what is listed of them, by one statement. Columns that are arrays go as
/// text: PostgreSQL cannot unnest arrays of arrays of different lengths.
async fn insert_rows(connection: &mut PgConnection, decided: &[Decided], ids: &[Uuid]) -> Result<(), sqlx::Error> {
    let missing = |one: &Decided| array(one.reached.judgement.missing.iter().map(|missing| missing.input.name()));
    sqlx::query(
        "WITH new AS MATERIALIZED (
             SELECT * FROM unnest($1::date[], $2::uuid[], $3::int[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                 $9::bytea[], $10::text[], $11::timestamptz[], $12::text[], $13::text[], $14::timestamptz[], $15::float8[])
                 AS new (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing,
                     reached_at, evidence_digest, overruled_by, review_due_at, risk)
         ), stored AS (
             INSERT INTO verdicts (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing,
                 reached_at, evidence_digest, overruled_by, review_due_at)
             SELECT month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs::uuid[], judgement,
                 missing::text[], reached_at, evidence_digest, overruled_by, review_due_at
             FROM new
         ), waiting AS (
             INSERT INTO outbox (month, event_id) SELECT month, event_id FROM new
         )
         UPDATE deployments SET verdict = new.verdict, verdict_number = new.number, risk = new.risk,
             overruled_by = new.overruled_by, review_due_at = new.review_due_at
         FROM new WHERE deployments.deployment_id = new.deployment_id",
    )
    .bind(decided.iter().map(|one| one.month.first_day()).collect::<Vec<_>>())
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
    .bind(decided.iter().map(|one| one.reached.evidence_digest.as_str()).collect::<Vec<_>>())
    .bind(decided.iter().map(Decided::overruled_by).collect::<Vec<_>>())
    .bind(decided.iter().map(Decided::review_due).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.risk).collect::<Vec<_>>())
    .execute(connection)
    .named("INSERT verdicts")
    .await
    .map(|_| ())
}

async fn insert_shadows(connection: &mut PgConnection, decided: &[Decided]) -> Result<(), sqlx::Error> {
    let rows: Vec<(&Decided, &str, &Judgement)> = decided
        .iter()
        .filter_map(|one| one.shadow.as_ref().map(|(digest, said)| (one, digest.as_str(), said)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO shadow_verdicts (month, deployment_id, number, policy_digest, verdict, judgement, reached_at)
         SELECT * FROM unnest($1::date[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[])",
    )
    .bind(rows.iter().map(|(one, ..)| one.month.first_day()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(one, ..)| one.reached.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(one, ..)| one.reached.number.cast_signed()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, digest, _)| *digest).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., said)| said.verdict.name()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., said)| judgement_bytes(said)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(one, ..)| one.reached.reached_at).collect::<Vec<_>>())
    .execute(connection)
    .named("INSERT shadow_verdicts")
    .await
    .map(|_| ())
}

/// The text of an array as PostgreSQL reads it.
fn array(elements: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = |element: &str| format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\""));
    let elements: Vec<String> = elements.into_iter().map(|element| quoted(element.as_ref())).collect();
    format!("{{{}}}", elements.join(","))
}
