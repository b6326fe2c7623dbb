//! The join: a batch of events in one transaction, by statements over whole sets.
//!
//! Locks are always taken in the same order: deployments sorted by id, then the ends of the chains sorted by month, then the
//! rest. So there is no deadlock between replicas.

use std::collections::{BTreeMap, BTreeSet};

use chassis::Outgoing;
use domain::{Deployment, DeploymentId};
use proto::Event;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use super::contents::{Filed, insert_contents, lines_done, lines_undone};
use super::decide::{Decided, insert_verdicts};
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
enum Hindrance {
    /// A month that nobody has made yet.
    Month,
    /// There is no row of a deployment.
    Row,
    /// PostgreSQL.
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for Hindrance {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// An event that was not known, and the month that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh<'a> {
    pub(super) month: Month,
    pub(super) event: &'a Incoming,
}

/// Deployments whose rows a transaction has locked.
#[derive(Debug)]
pub(super) struct Locked {
    /// The month that each belongs to.
    pub(super) months: BTreeMap<Uuid, Month>,
    /// Those of which nothing was known before.
    made: BTreeSet<Uuid>,
    /// When the transaction began.
    pub(super) now: OffsetDateTime,
}

impl Locked {
    /// None yet.
    pub(super) const fn at(now: OffsetDateTime) -> Self {
        Self { months: BTreeMap::new(), made: BTreeSet::new(), now }
    }

    /// The month of the deployment that a verdict is about.
    pub(super) fn month(&self, decided: &Decided) -> Month {
        self.months[&decided.reached.deployment_id.uuid()]
    }

    fn has_made(&self, deployment: DeploymentId) -> bool {
        self.made.contains(&deployment.uuid())
    }
}

impl Store {
    /// Stores a batch of events and reaches the verdicts that they complete, all or nothing. Events that are known are dropped.
    ///
    /// # Errors
    /// When PostgreSQL is away (see [`super::is_passing`]) or refuses an event.
    pub async fn join<'a>(&self, batch: impl IntoIterator<Item = &'a Incoming>) -> Result<Joined, sqlx::Error> {
        let unique: BTreeMap<_, _> = batch.into_iter().map(|one| (one.event_id, one)).collect();
        let mut batch: Vec<&Incoming> = unique.into_values().collect();
        batch.sort_by_key(|one| (one.stream_sequence, one.event_id));
        // Of what is accepted there is no row yet, of all else there is one by then.
        let mut make_rows = batch.iter().any(|one| matches!(one.content, Content::Accepted(_)));
        let mut made_months = false;
        loop {
            match self.try_join(&batch, make_rows).await {
                Ok(joined) => return Ok(joined),
                Err(Hindrance::Row) => make_rows = true,
                Err(Hindrance::Month) if made_months => return Err(sqlx::Error::RowNotFound),
                Err(Hindrance::Month) => {
                    self.make_months().await?;
                    made_months = true;
                }
                Err(Hindrance::Sql(error)) => return Err(error),
            }
        }
    }

    async fn try_join(&self, batch: &[&Incoming], make_rows: bool) -> Result<Joined, Hindrance> {
        let mut connection = self.writing.take(&self.pool).await?;
        let mut transaction = connection.begin().await?;
        let mut decided = self.judge_whole(&mut transaction, batch).await?;
        let locked = self.lock_deployments(&mut transaction, batch, make_rows, &decided).await?;
        let locked = locked.ok_or(Hindrance::Row)?;
        // Something was known of the others.
        decided.retain(|one| locked.has_made(one.reached.deployment_id));
        let months = batch.iter().map(|one| locked.months[&one.deployment_id.uuid()]);
        let held = Ledger::lock(&mut transaction, months, &old_events(batch, &locked)).await?;
        let (mut ledger, known) = held.ok_or(Hindrance::Month)?;
        let fresh: Vec<Fresh<'_>> = batch
            .iter()
            .filter(|one| !known.contains(&one.event_id.uuid()))
            .map(|one| Fresh { month: locked.months[&one.deployment_id.uuid()], event: one })
            .collect();
        if fresh.is_empty() {
            return Ok(Joined::default());
        }
        let came = fresh.iter().map(|one| (one.month, entry(one.event, locked.now)));
        let reached = decided.iter().map(|one| (locked.month(one), one.entry(locked.now)));
        ledger.append(&mut transaction, &came.chain(reached).collect::<Vec<_>>()).await?;
        let filed = insert_contents(&mut transaction, &fresh, &locked.made).await?;
        insert_verdicts(&mut transaction, &locked, &decided).await?;
        let is_decided: BTreeSet<DeploymentId> = decided.iter().map(|one| one.reached.deployment_id).collect();
        let touched = fresh.iter().filter(|one| may_decide(one.event)).map(|one| one.event.deployment_id);
        let undecided: BTreeSet<Uuid> = touched.filter(|id| !is_decided.contains(id)).map(DeploymentId::uuid).collect();
        let undecided = Vec::from_iter(undecided);
        decided.extend(self.decide_complete(&mut transaction, &mut ledger, &locked, &undecided).await?);
        transaction.commit().named("COMMIT").await?;
        self.writing.give_back(connection);
        tell(&decided, batch);
        filed.iter().for_each(Filed::tell);
        Ok(Joined { fresh: fresh.len(), verdicts: decided.into_iter().map(Decided::into_event).collect() })
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
        decided: &[Decided],
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
        for one in decided {
            first.entry(one.reached.deployment_id).and_modify(|first| first.decided = Some(one));
        }
        let made = if make_rows { make_deployments(connection, &first, deadline).await? } else { Vec::new() };
        let mut locked = Locked::at(OffsetDateTime::UNIX_EPOCH);
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
    /// The verdict, where it follows from this batch alone.
    decided: Option<&'a Decided>,
}

impl<'a> First<'a> {
    fn of(event: &'a Incoming) -> Self {
        Self { traceparent: event.traceparent.as_deref(), is_awaited: false, accepted: None, decided: None }
    }
}

/// Makes the rows that are not there, accepted and decided at once where the batch says so: a row that were written twice would be put
/// twice into every index. Gives those that it made. Nobody has reviewed, and so overruled, what comes with its first word.
async fn make_deployments(
    connection: &mut PgConnection,
    first: &BTreeMap<DeploymentId, First<'_>>,
    deadline_ms: i64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let accepted = || first.values().map(|one| one.accepted);
    let deployments = || accepted().map(|one| one.map(|(_, deployment)| deployment));
    let verdicts = || first.values().map(|one| one.decided.map(|one| &one.reached));
    let texts = |of: fn(&Deployment) -> &str| deployments().map(|one| one.map(of)).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO deployments (deployment_id, traceparent, deadline_at, accepted_event_id, accepted_at, repository,
             pull_request, revision, title, author, environment, facts, lines_done, lines_undone, verdict, verdict_number, risk)
         SELECT id, traceparent, CASE WHEN awaited THEN now() + $4 * interval '1 millisecond' END, accepted_event_id, accepted_at,
             repository, pull_request, revision, title, author, environment, facts, lines_done, lines_undone, verdict,
             verdict_number, risk
         FROM unnest($1::uuid[], $2::text[], $3::bool[], $5::uuid[], $6::timestamptz[], $7::text[], $8::int[], $9::text[],
             $10::text[], $11::text[], $12::text[], $13::bytea[], $14::text[], $15::text[], $16::text[], $17::int[], $18::float8[])
             AS new (id, traceparent, awaited, accepted_event_id, accepted_at, repository, pull_request, revision, title, author,
                 environment, facts, lines_done, lines_undone, verdict, verdict_number, risk)
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
    .bind(deployments().map(|one| one.map(Deployment::encode)).collect::<Vec<_>>())
    .bind(deployments().map(|one| one.and_then(lines_done)).collect::<Vec<_>>())
    .bind(deployments().map(|one| one.and_then(lines_undone)).collect::<Vec<_>>())
    .bind(verdicts().map(|one| one.map(|one| one.judgement.verdict.name())).collect::<Vec<_>>())
    .bind(verdicts().map(|one| one.map_or(0, |one| one.number.cast_signed())).collect::<Vec<_>>())
    .bind(first.values().map(|one| one.decided.and_then(|one| one.risk)).collect::<Vec<_>>())
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
