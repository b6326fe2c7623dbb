//! The join: a batch of events in one transaction, by statements over whole sets.
//!
//! Locks are always taken in the same order: deployments sorted by id, then the ends of the chains sorted by month, then the
//! rest. So there is no deadlock between replicas.

use std::collections::{BTreeMap, BTreeSet};

use chassis::Outgoing;
use domain::{Deployment, DeploymentId};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use super::case::in_hand;
use super::contents::{Filed, facts, insert_contents, lines_done, lines_undone};
use super::decide::Decided;
use super::ledger::Ledger;
use super::statement::Statement;
use super::told::tell;
use crate::chain::{Entry, Month};
use crate::incoming::{Content, Incoming};

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// Events that were not known before.
    pub fresh: usize,
    /// Verdicts that were reached because of them: their events, which are in the outbox now, ready to be published.
    pub verdicts: Vec<(Uuid, Outgoing)>,
}

/// What keeps a batch from being joined as it was tried.
enum Missing {
    /// A month that nobody has made yet.
    Month,
    /// The row of a deployment.
    Row,
}

/// An event that was not known, and the month that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh<'a> {
    pub(super) month: Month,
    pub(super) event: &'a Incoming,
}

/// The deployments of a batch, locked.
struct Locked {
    months: BTreeMap<Uuid, Month>,
    /// Those of which nothing was known before.
    made: BTreeSet<Uuid>,
    now: OffsetDateTime,
}

impl Store {
    /// Stores a batch of events and reaches the verdicts that they complete, all or nothing. Events that are known are dropped.
    ///
    /// # Errors
    /// When PostgreSQL is away (see [`super::is_passing`]) or refuses an event.
    pub async fn join(&self, batch: &[Incoming]) -> Result<Joined, sqlx::Error> {
        let unique: BTreeMap<_, _> = batch.iter().map(|one| (one.event_id, one)).collect();
        let mut batch: Vec<&Incoming> = unique.into_values().collect();
        batch.sort_by_key(|one| (one.stream_sequence, one.event_id));
        // Of what is accepted there is no row yet, of all else there is one by then.
        let mut make_rows = batch.iter().any(|one| matches!(one.content, Content::Accepted(_)));
        let mut made_months = false;
        loop {
            match self.try_join(&batch, make_rows).await? {
                Ok(joined) => return Ok(joined),
                Err(Missing::Row) => make_rows = true,
                Err(Missing::Month) if made_months => return Err(sqlx::Error::RowNotFound),
                Err(Missing::Month) => {
                    self.make_months().await?;
                    made_months = true;
                }
            }
        }
    }

    async fn try_join(&self, batch: &[&Incoming], make_rows: bool) -> Result<Result<Joined, Missing>, sqlx::Error> {
        let mut connection = self.writing.take(&self.pool).await?;
        let mut transaction = connection.begin().await?;
        let Some(locked) = self.lock_deployments(&mut transaction, batch, make_rows).await? else {
            transaction.rollback().await?;
            self.writing.give_back(connection);
            return Ok(Err(Missing::Row));
        };
        let months = batch.iter().map(|one| locked.months[&one.deployment_id.uuid()]);
        let Some((mut ledger, known)) = Ledger::lock(&mut transaction, months, &old_events(batch, &locked)).await?
        else {
            return Ok(Err(Missing::Month));
        };
        let fresh: Vec<Fresh<'_>> = batch
            .iter()
            .filter(|one| !known.contains(&one.event_id.uuid()))
            .map(|one| Fresh { month: locked.months[&one.deployment_id.uuid()], event: one })
            .collect();
        let mut joined = Joined { fresh: fresh.len(), verdicts: Vec::new() };
        if fresh.is_empty() {
            transaction.rollback().await?;
            self.writing.give_back(connection);
            return Ok(Ok(joined));
        }
        let entries: Vec<_> = fresh.iter().map(|one| (one.month, entry(one.event, locked.now))).collect();
        ledger.append(&mut transaction, &entries).await?;
        let filed = insert_contents(&mut transaction, &fresh, &locked.made).await?;
        let in_hand = in_hand(&fresh, &locked.made);
        let touched: BTreeSet<DeploymentId> =
            fresh.iter().filter(|one| may_decide(one.event)).map(|one| one.event.deployment_id).collect();
        let touched: Vec<Uuid> =
            touched.into_iter().filter(|id| !in_hand.contains_key(id)).map(DeploymentId::uuid).collect();
        let decided = self.decide_complete(&mut transaction, &mut ledger, locked.now, &touched, &in_hand).await?;
        transaction.commit().named("COMMIT").await?;
        self.writing.give_back(connection);
        tell(&decided, batch);
        filed.iter().for_each(Filed::tell);
        joined.verdicts = decided.into_iter().map(Decided::into_event).collect();
        Ok(Ok(joined))
    }

    /// Locks the rows of the deployments of `batch`; `None` when one is not there, unless it is to `make_rows`. The first word of a
    /// deployment sets its month, and the first word that asks for a verdict its deadline.
    ///
    /// A row that is made here is locked by that; none of its events can be known. Rows are made in the order of their ids, and then
    /// the others are locked in that order: nobody who waits for a row that another makes holds one that was there before.
    async fn lock_deployments(
        &self,
        connection: &mut PgConnection,
        batch: &[&Incoming],
        make_rows: bool,
    ) -> Result<Option<Locked>, sqlx::Error> {
        let mut first: BTreeMap<DeploymentId, First<'_>> = BTreeMap::new();
        for one in batch {
            let entry = first.entry(one.deployment_id).or_insert_with(|| First::of(one));
            entry.is_awaited |= awaits_verdict(one);
            if let Content::Accepted(deployment) = &one.content {
                entry.accepted.get_or_insert((one.event_id.uuid(), deployment));
            }
        }
        let deadline = i64::try_from(self.deadline.as_millis()).unwrap_or(i64::MAX);
        let made = if make_rows { make_deployments(connection, &first, deadline).await? } else { Vec::new() };
        let mut locked = Locked { months: BTreeMap::new(), made: BTreeSet::new(), now: OffsetDateTime::UNIX_EPOCH };
        for row in made {
            let id: Uuid = row.try_get("deployment_id")?;
            locked.months.insert(id, Month::of(row.try_get("month")?));
            locked.now = row.try_get("now")?;
            locked.made.insert(id);
        }
        let others: Vec<Uuid> = first.keys().map(|id| id.uuid()).filter(|id| !locked.made.contains(id)).collect();
        if others.is_empty() {
            return Ok(Some(locked));
        }
        let rows = sqlx::query(
            "SELECT deployment_id, month, deadline_at IS NULL AS unawaited, now() FROM deployments
             WHERE deployment_id = ANY($1) ORDER BY deployment_id FOR UPDATE",
        )
        .bind(&others)
        .fetch_all(&mut *connection)
        .named("SELECT deployments")
        .await?;
        if rows.len() < others.len() {
            return Ok(None);
        }
        let mut now_awaited = Vec::new();
        for row in rows {
            let id: Uuid = row.try_get("deployment_id")?;
            locked.months.insert(id, Month::of(row.try_get("month")?));
            locked.now = row.try_get("now")?;
            if row.try_get("unawaited")? && first[&DeploymentId::from_uuid(id)].is_awaited {
                now_awaited.push(id);
            }
        }
        if !now_awaited.is_empty() {
            sqlx::query(
                "UPDATE deployments SET deadline_at = now() + $2 * interval '1 millisecond' WHERE deployment_id = ANY($1)",
            )
            .bind(&now_awaited)
            .bind(deadline)
            .execute(connection)
            .named("UPDATE deployments")
            .await?;
        }
        Ok(Some(locked))
    }
}

/// What a batch says first of a deployment.
struct First<'a> {
    traceparent: Option<&'a str>,
    is_awaited: bool,
    accepted: Option<(Uuid, &'a Deployment)>,
}

impl<'a> First<'a> {
    fn of(event: &'a Incoming) -> Self {
        Self { traceparent: event.traceparent.as_deref(), is_awaited: false, accepted: None }
    }
}

/// Makes the rows that are not there, accepted at once where the batch says so: a row that were written twice would be put twice into
/// every index. Gives those that it made.
async fn make_deployments(
    connection: &mut PgConnection,
    first: &BTreeMap<DeploymentId, First<'_>>,
    deadline_ms: i64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let accepted = || first.values().map(|one| one.accepted);
    let deployments = || accepted().map(|one| one.map(|(_, deployment)| deployment));
    let texts = |of: fn(&Deployment) -> &str| deployments().map(|one| one.map(of)).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO deployments (deployment_id, traceparent, deadline_at, accepted_event_id, accepted_at, repository,
             pull_request, revision, title, author, environment, facts, lines_done, lines_undone)
         SELECT id, traceparent, CASE WHEN awaited THEN now() + $4 * interval '1 millisecond' END, accepted_event_id, accepted_at,
             repository, pull_request, revision, title, author, environment, facts, lines_done, lines_undone
         FROM unnest($1::uuid[], $2::text[], $3::bool[], $5::uuid[], $6::timestamptz[], $7::text[], $8::int[], $9::text[],
             $10::text[], $11::text[], $12::text[], $13::bytea[], $14::text[], $15::text[])
             AS new (id, traceparent, awaited, accepted_event_id, accepted_at, repository, pull_request, revision, title, author,
                 environment, facts, lines_done, lines_undone)
         ON CONFLICT DO NOTHING RETURNING deployment_id, month, now()",
    )
    .bind(first.keys().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(first.values().map(|one| one.traceparent).collect::<Vec<_>>())
    .bind(first.values().map(|one| one.is_awaited).collect::<Vec<_>>())
    .bind(deadline_ms)
    .bind(accepted().map(|one| one.map(|(event, _)| event)).collect::<Vec<_>>())
    .bind(deployments().map(|one| one.map(|d| d.accepted_at)).collect::<Vec<_>>())
    .bind(texts(|d| d.repository.as_str()))
    .bind(deployments().map(|one| one.map(|d| d.pull_request.get().cast_signed())).collect::<Vec<_>>())
    .bind(texts(|d| d.revision.as_str()))
    .bind(texts(|d| d.title.as_str()))
    .bind(texts(|d| d.author.as_str()))
    .bind(texts(|d| d.environment.as_str()))
    .bind(deployments().map(|one| one.map(facts)).collect::<Vec<_>>())
    .bind(deployments().map(|one| one.and_then(lines_done)).collect::<Vec<_>>())
    .bind(deployments().map(|one| one.and_then(lines_undone)).collect::<Vec<_>>())
    .fetch_all(connection)
    .named("INSERT deployments")
    .await
}

/// Whether a verdict may follow from it.
fn may_decide(event: &Incoming) -> bool {
    awaits_verdict(event) || matches!(event.content, Content::Review(_))
}

/// Whether a verdict is expected because of it.
fn awaits_verdict(event: &Incoming) -> bool {
    matches!(event.content, Content::Accepted(_) | Content::Signal(_))
}

/// The events that may be stored already: those of deployments whose rows were there, each with its month. All events of a deployment
/// are written under the lock of its row, so that none can come in between.
fn old_events(batch: &[&Incoming], locked: &Locked) -> Vec<(Month, Uuid)> {
    let old = batch.iter().filter(|one| !locked.made.contains(&one.deployment_id.uuid()));
    old.map(|one| (locked.months[&one.deployment_id.uuid()], one.event_id.uuid())).collect()
}

fn entry(event: &Incoming, received_at: OffsetDateTime) -> Entry<'_> {
    Entry {
        event_id: event.event_id.uuid(),
        deployment_id: event.deployment_id.uuid(),
        kind: event.kind,
        subject: &event.subject,
        stream_sequence: Some(event.stream_sequence),
        message_id: event.message_id.as_deref(),
        traceparent: event.traceparent.as_deref(),
        received_at,
        body: &event.body,
    }
}
