//! The join: a batch of events in one transaction, by statements over whole sets.
//!
//! Locks are always taken in the same order: events, then deployments sorted by id, then the rest. So there is no deadlock
//! between replicas.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Analysis, Deployment, DeploymentId, Explanation, Origin, Outcome, Review, Said, Signal};
use proto::Event;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Store;
use crate::incoming::{Content, Incoming};

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Events that were not known before.
    pub fresh: usize,
    /// Verdicts that were reached because of them.
    pub verdicts: usize,
}

impl Store {
    /// Stores a batch of events and reaches the verdicts that they complete, all or nothing. Events that are known are dropped.
    ///
    /// # Errors
    /// When PostgreSQL is away (see [`super::is_passing`]) or refuses an event.
    pub async fn join(&self, batch: &[Incoming]) -> Result<Joined, sqlx::Error> {
        let unique: BTreeMap<_, _> = batch.iter().map(|one| ((one.deployment_id, one.event_id), one)).collect();
        let batch: Vec<&Incoming> = unique.into_values().collect();
        let mut transaction = self.pool.begin().await?;
        let known = insert_events(&mut transaction, &batch).await?;
        let fresh: Vec<&Incoming> = batch.into_iter().filter(|one| known.contains(&one.event_id.uuid())).collect();
        let touched = self.lock_deployments(&mut transaction, &fresh).await?;
        insert_contents(&mut transaction, &fresh).await?;
        let verdicts = self.decide_complete(&mut transaction, &touched).await?;
        transaction.commit().await?;
        Ok(Joined { fresh: fresh.len(), verdicts })
    }

    /// Makes and locks the rows of the deployments that `fresh` may decide. What comes first sets the deadline.
    async fn lock_deployments(
        &self,
        connection: &mut PgConnection,
        fresh: &[&Incoming],
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        let mut first: BTreeMap<DeploymentId, Option<&str>> = BTreeMap::new();
        for one in fresh.iter().filter(|one| matches!(one.content, Content::Accepted(_) | Content::Signal(_))) {
            first.entry(one.deployment_id).or_insert(one.traceparent.as_deref());
        }
        if first.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = first.keys().map(|id| id.uuid()).collect();
        let parents: Vec<Option<&str>> = first.into_values().collect();
        sqlx::query(
            "INSERT INTO deployments (deployment_id, traceparent, deadline_at)
             SELECT id, traceparent, now() + $3 * interval '1 millisecond'
             FROM unnest($1::uuid[], $2::text[]) AS new (id, traceparent)
             ON CONFLICT DO NOTHING",
        )
        .bind(&ids)
        .bind(&parents)
        .bind(i64::try_from(self.deadline.as_millis()).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
        sqlx::query("SELECT FROM deployments WHERE deployment_id = ANY($1) ORDER BY deployment_id FOR UPDATE")
            .bind(&ids)
            .execute(&mut *connection)
            .await?;
        Ok(ids)
    }
}

/// Stores the events, and gives the ids of those that were not known.
async fn insert_events(connection: &mut PgConnection, batch: &[&Incoming]) -> Result<BTreeSet<Uuid>, sqlx::Error> {
    let rows = sqlx::query(
        "INSERT INTO events (event_id, deployment_id, kind, subject, stream_sequence, message_id, traceparent, body)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::bytea[])
         ON CONFLICT DO NOTHING
         RETURNING event_id",
    )
    .bind(batch.iter().map(|one| one.event_id.uuid()).collect::<Vec<_>>())
    .bind(batch.iter().map(|one| one.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(batch.iter().map(|one| one.kind).collect::<Vec<_>>())
    .bind(batch.iter().map(|one| one.subject.as_str()).collect::<Vec<_>>())
    .bind(batch.iter().map(|one| one.stream_sequence).collect::<Vec<_>>())
    .bind(batch.iter().map(|one| one.message_id.as_deref()).collect::<Vec<_>>())
    .bind(batch.iter().map(|one| one.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(batch.iter().map(|one| one.body.as_slice()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| row.try_get("event_id")).collect()
}

/// Files what the events say into the tables of their kind.
async fn insert_contents(connection: &mut PgConnection, fresh: &[&Incoming]) -> Result<(), sqlx::Error> {
    let (mut accepted, mut signals) = (Vec::new(), Vec::new());
    for one in fresh {
        let id = one.event_id.uuid();
        match &one.content {
            Content::Accepted(deployment) => accepted.push((id, &**deployment)),
            Content::Signal(signal) => signals.push((id, signal)),
            Content::Explanation(explanation) => insert_explanation(connection, id, explanation).await?,
            Content::Review(review) => insert_review(connection, id, review).await?,
            Content::Outcome(outcome) => insert_outcome(connection, id, outcome).await?,
        }
    }
    if !accepted.is_empty() {
        update_accepted(connection, &accepted).await?;
    }
    if !signals.is_empty() {
        upsert_signals(connection, &signals).await?;
        insert_findings(connection, &signals).await?;
    }
    Ok(())
}

async fn update_accepted(connection: &mut PgConnection, accepted: &[(Uuid, &Deployment)]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE deployments SET accepted_event_id = new.event_id, accepted_at = new.accepted_at,
             repository = new.repository, pull_request = new.pull_request, revision = new.revision, title = new.title,
             author = new.author, environment = new.environment, facts = new.facts
         FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::bytea[])
             AS new (deployment_id, event_id, accepted_at, repository, pull_request, revision, title, author, environment, facts)
         WHERE deployments.deployment_id = new.deployment_id AND accepted_event_id IS NULL",
    )
    .bind(accepted.iter().map(|(_, d)| d.id.uuid()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.accepted_at).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.repository.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.pull_request.get().cast_signed()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.revision.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.title.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.author.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| d.environment.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|(_, d)| Event::encode(&(*d).clone().without_diff())).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Of two signals of one source the later counts, and one that is available before one that is not: whatever the order in which
/// they come, the same one counts in the end.
async fn upsert_signals(connection: &mut PgConnection, signals: &[(Uuid, &Signal)]) -> Result<(), sqlx::Error> {
    let rank = |id: Uuid, signal: &Signal| (is_available(signal), signal.raised_at, id);
    let mut counting: BTreeMap<_, (Uuid, &Signal)> = BTreeMap::new();
    for (id, signal) in signals {
        let place = counting.entry((signal.deployment_id, signal.source)).or_insert((*id, signal));
        if rank(*id, signal) > rank(place.0, place.1) {
            *place = (*id, signal);
        }
    }
    let signals: Vec<(Uuid, &Signal)> = counting.into_values().collect();
    sqlx::query(
        "INSERT INTO signals (deployment_id, source, event_id, available, basis, producer, raised_at, took_us)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bool[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[])
         ON CONFLICT (deployment_id, source) DO UPDATE SET event_id = excluded.event_id, available = excluded.available,
             basis = excluded.basis, producer = excluded.producer, raised_at = excluded.raised_at, took_us = excluded.took_us
         WHERE (excluded.available, excluded.raised_at, excluded.event_id) > (signals.available, signals.raised_at, signals.event_id)",
    )
    .bind(signals.iter().map(|(_, s)| s.deployment_id.uuid()).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.source.name()).collect::<Vec<_>>())
    .bind(signals.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| is_available(s)).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.basis.as_str()).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.producer.as_str()).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| s.raised_at).collect::<Vec<_>>())
    .bind(signals.iter().map(|(_, s)| i64::try_from(s.took.as_micros()).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

fn is_available(signal: &Signal) -> bool {
    !matches!(signal.said, Said::Unavailable { .. })
}

async fn insert_findings(connection: &mut PgConnection, signals: &[(Uuid, &Signal)]) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    for (event_id, signal) in signals {
        if let Said::Findings(Analysis { findings, .. }) = &signal.said {
            let numbered = (1_i32..).zip(findings);
            rows.extend(numbered.map(|(ordinal, finding)| (*event_id, ordinal, signal.deployment_id.uuid(), finding)));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO findings (event_id, ordinal, deployment_id, rule_id, category, severity, confidence, path, line, message,
             fingerprint)
         SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::int[], $10::text[], $11::text[])",
    )
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.rule_id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.category.name()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.severity.name()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.confidence.name()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.path.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| i32::try_from(row.3.line).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.message.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3.fingerprint.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

async fn insert_explanation(
    connection: &mut PgConnection,
    event_id: Uuid,
    explanation: &Explanation,
) -> Result<(), sqlx::Error> {
    let model = match &explanation.origin {
        Origin::Model { name, .. } => Some(name.as_str()),
        Origin::Evidence { .. } => None,
    };
    sqlx::query(
        "INSERT INTO explanations (event_id, deployment_id, verdict_number, headline, model, written_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(event_id)
    .bind(explanation.deployment_id.uuid())
    .bind(i32::try_from(explanation.verdict_number).unwrap_or(i32::MAX))
    .bind(&explanation.headline)
    .bind(model)
    .bind(explanation.written_at)
    .execute(connection)
    .await
    .map(|_| ())
}

async fn insert_review(connection: &mut PgConnection, event_id: Uuid, review: &Review) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO reviews (event_id, deployment_id, verdict_number, decision, reviewer, why, reviewed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(event_id)
    .bind(review.deployment_id.uuid())
    .bind(i32::try_from(review.verdict_number).unwrap_or(i32::MAX))
    .bind(review.decision.name())
    .bind(&review.reviewer)
    .bind(&review.why)
    .bind(review.reviewed_at)
    .execute(connection)
    .await
    .map(|_| ())
}

async fn insert_outcome(connection: &mut PgConnection, event_id: Uuid, outcome: &Outcome) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO outcomes (event_id, deployment_id, kind, detail, reporter, occurred_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(event_id)
    .bind(outcome.deployment_id.uuid())
    .bind(outcome.kind.name())
    .bind(&outcome.detail)
    .bind(&outcome.reporter)
    .bind(outcome.occurred_at)
    .execute(connection)
    .await
    .map(|_| ())
}
