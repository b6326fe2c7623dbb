//! Reaching verdicts within a transaction that holds the rows of the deployments.

use chassis::{Outgoing, trace};
use domain::{Cause, DeploymentId, Judgement, Reached, Signal};
use proto::judgement_bytes;
use sqlx::{Connection, PgConnection, Row};
use time::OffsetDateTime;
use tracing::Span;
use uuid::Uuid;

use super::case::{Case, decidable, load_cases, load_circumstances, whole};
use super::join::Locked;
use super::ledger::Ledger;
use super::statement::Statement;
use super::told::{span, tell, write_into};
use super::{Policies, Store};
use crate::chain::{Entry, Month};
use crate::incoming::Incoming;
use crate::policy::{Given, Inputs};

/// A verdict ready to be stored.
pub(super) struct Decided {
    /// How it is told.
    pub(super) outgoing: Outgoing,
    pub(super) reached: Reached,
    /// In which it was reached, until it is stored.
    pub(super) span: Span,
    inputs: Vec<Uuid>,
    pub(super) risk: Option<f64>,
    /// What the candidate policy says, and its digest.
    shadow: Option<(String, Judgement)>,
}

impl Decided {
    /// What a person decided instead of the policy.
    fn overruled_by(&self) -> Option<&'static str> {
        self.reached.judgement.overruled.as_ref().map(|overruled| overruled.decision.name())
    }

    /// What is stored of its event.
    pub(super) fn entry(&self, stored_at: OffsetDateTime) -> Entry<'_> {
        Entry {
            event_id: self.reached.event_id().uuid(),
            deployment_id: self.reached.deployment_id.uuid(),
            kind: Reached::KIND,
            subject: &self.outgoing.subject,
            stream_sequence: None,
            message_id: Some(&self.outgoing.message_id),
            traceparent: self.outgoing.traceparent.as_deref(),
            received_at: stored_at,
            body: &self.outgoing.body,
        }
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
    /// Judges those deployments of `batch` that came whole, as if nothing was known of them before. Whoever stores the verdicts makes sure of
    /// that.
    pub(super) async fn judge_whole(
        &self,
        connection: &mut PgConnection,
        batch: &[&Incoming],
    ) -> Result<Vec<Decided>, sqlx::Error> {
        let mut cases = whole(batch);
        load_circumstances(connection, &mut cases).await?;
        Ok(self.judge_all(cases.into_iter().map(|(id, case)| (id, case, Cause::Complete)).collect()))
    }

    /// Decides those of `ids`, whose rows are locked, for which everything is in, or for which something has come in after a verdict. Gives
    /// the verdicts that this made.
    pub(super) async fn decide_complete(
        &self,
        connection: &mut PgConnection,
        ledger: &mut Ledger,
        locked: &Locked,
        ids: &[Uuid],
    ) -> Result<Vec<Decided>, sqlx::Error> {
        let ids = decidable(connection, ids).await?;
        let cases = load_cases(connection, &ids).await?;
        let ready = cases.into_iter().filter_map(|(id, case)| {
            let cause = match case.verdict_number {
                0 => Cause::Complete,
                _ if case.inputs() == case.decided_on => return None,
                _ if case.evidence_digest() == case.decided_on_evidence => Cause::Review,
                _ => Cause::Late,
            };
            Some((id, case, cause))
        });
        let decided = self.judge_all(ready.collect());
        store_decided(connection, ledger, locked, &decided).await?;
        Ok(decided)
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
        let mut all = Locked::at(first.try_get("now")?);
        for row in &rows {
            all.months.insert(row.try_get("deployment_id")?, Month::of(row.try_get("month")?));
        }
        let ids: Vec<Uuid> = all.months.keys().copied().collect();
        let locked = Ledger::lock(&mut transaction, all.months.values().copied(), &[]).await?;
        let (mut ledger, _) = locked.ok_or(sqlx::Error::RowNotFound)?;
        let cases = load_cases(&mut transaction, &ids).await?;
        let decided = self.judge_all(cases.into_iter().map(|(id, case)| (id, case, Cause::Deadline)).collect());
        store_decided(&mut transaction, &mut ledger, &all, &decided).await?;
        transaction.commit().named("COMMIT").await?;
        self.writing.give_back(connection);
        tell(&decided, &[]);
        Ok(decided.into_iter().map(Decided::into_event).collect())
    }

    fn judge_all(&self, cases: Vec<(DeploymentId, Case, Cause)>) -> Vec<Decided> {
        if cases.is_empty() {
            return Vec::new();
        }
        let (now, policies) = (OffsetDateTime::now_utc(), self.policies());
        cases.into_iter().map(|(id, case, cause)| judge(&policies, id, case, cause, now)).collect()
    }
}

fn judge(policies: &Policies, deployment_id: DeploymentId, case: Case, cause: Cause, now: OffsetDateTime) -> Decided {
    let (inputs, evidence_digest, risk) = (case.inputs(), case.evidence_digest(), case.risk());
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
    Decided { outgoing, reached, span, inputs, risk, shadow }
}

/// Stores verdicts on deployments whose rows were there before: their events too, and what is listed of them.
async fn store_decided(
    connection: &mut PgConnection,
    ledger: &mut Ledger,
    locked: &Locked,
    decided: &[Decided],
) -> Result<(), sqlx::Error> {
    if decided.is_empty() {
        return Ok(());
    }
    let entries: Vec<_> = decided.iter().map(|one| (locked.month(one), one.entry(locked.now))).collect();
    ledger.append(connection, &entries).await?;
    insert_verdicts(connection, locked, decided).await?;
    sqlx::query(
        "UPDATE deployments SET verdict = new.verdict, verdict_number = new.number, risk = new.risk,
             overruled_by = new.overruled_by, review_due_at = new.review_due_at
         FROM unnest($1::uuid[], $2::text[], $3::int[], $4::float8[], $5::text[], $6::timestamptz[])
             AS new (deployment_id, verdict, number, risk, overruled_by, review_due_at)
         WHERE deployments.deployment_id = new.deployment_id",
    )
    .bind(decided.iter().map(|one| one.reached.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.judgement.verdict.name()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.number.cast_signed()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.risk).collect::<Vec<_>>())
    .bind(decided.iter().map(Decided::overruled_by).collect::<Vec<_>>())
    .bind(decided.iter().map(Decided::review_due).collect::<Vec<_>>())
    .execute(connection)
    .named("UPDATE deployments")
    .await
    .map(|_| ())
}

/// Into the verdicts and the outbox, by one statement, after their events. Columns that are arrays go as text: PostgreSQL cannot unnest
/// arrays of arrays of different lengths.
pub(super) async fn insert_verdicts(
    connection: &mut PgConnection,
    locked: &Locked,
    decided: &[Decided],
) -> Result<(), sqlx::Error> {
    if decided.is_empty() {
        return Ok(());
    }
    let missing = |one: &Decided| array(one.reached.judgement.missing.iter().map(|missing| missing.input.name()));
    sqlx::query(
        "WITH new AS MATERIALIZED (
             SELECT * FROM unnest($1::date[], $2::uuid[], $3::int[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                 $9::bytea[], $10::text[], $11::timestamptz[], $12::text[], $13::text[], $14::timestamptz[])
                 AS new (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing,
                     reached_at, evidence_digest, overruled_by, review_due_at)
         ), waiting AS (
             INSERT INTO outbox (month, event_id) SELECT month, event_id FROM new
         )
         INSERT INTO verdicts (month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing,
             reached_at, evidence_digest, overruled_by, review_due_at)
         SELECT month, deployment_id, number, event_id, verdict, cause, policy_digest, inputs::uuid[], judgement,
             missing::text[], reached_at, evidence_digest, overruled_by, review_due_at
         FROM new",
    )
    .bind(decided.iter().map(|one| locked.month(one).first_day()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.number.cast_signed()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.reached.event_id().uuid()).collect::<Vec<_>>())
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
    .execute(&mut *connection)
    .named("INSERT verdicts")
    .await?;
    insert_shadows(connection, locked, decided).await
}

async fn insert_shadows(
    connection: &mut PgConnection,
    locked: &Locked,
    decided: &[Decided],
) -> Result<(), sqlx::Error> {
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
    .bind(rows.iter().map(|(one, ..)| locked.month(one).first_day()).collect::<Vec<_>>())
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
