//! The audit trail as an auditor reads it: its months, and whether their chains are whole.

use anyhow::Context;
use domain::Reached;
use futures::TryStreamExt;
use proto::{Event, judgement_bytes};
use sqlx::postgres::{PgPoolOptions, PgRow};
use sqlx::{PgConnection, PgPool, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::connections::reach;
use super::ledger::read_hash;
use crate::chain::{Entry, Head, Month};
use crate::checkpoint::Statement;

/// After how many events the progress is told.
const TOLD_EVERY: i64 = 10_000;

/// A connection to the audit trail that decides nothing.
#[derive(Clone, Debug)]
pub struct Audit {
    pub(super) pool: PgPool,
}

/// A month that was dropped.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// The end of its chain when it was.
    pub head: Head,
    /// When it was.
    pub at: OffsetDateTime,
}

/// What is wrong with the trail, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which month.
    pub month: Month,
    /// At which place of its chain; `None` when it has none.
    pub link: Option<i64>,
    /// Of which event; `None` when there is none at that place.
    pub event_id: Option<Uuid>,
    /// What is wrong, in one sentence.
    pub what: String,
}

impl Audit {
    /// Connects, and changes nothing.
    ///
    /// # Errors
    /// When the database cannot be reached, or is no audit trail of this version.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let pool = reach(PgPoolOptions::new().max_connections(2), url).await.context(
            "cannot reach the audit trail in PostgreSQL: --database-url names it, or database.url in --config FILE",
        )?;
        // The youngest table.
        let sql = "SELECT to_regclass('known_findings')::text";
        let youngest: Option<String> = sqlx::query_scalar(sql).fetch_one(&pool).await?;
        anyhow::ensure!(
            youngest.is_some(),
            "this database holds no audit trail, or one of an older version: start the decision service, or run `failsafe audit migrate`"
        );
        Ok(Self { pool })
    }

    /// The months that are there, the oldest first, with the end of each one's chain.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn months(&self) -> Result<Vec<Head>, sqlx::Error> {
        let rows = sqlx::query("SELECT month, events, head FROM chains ORDER BY month").fetch_all(&self.pool).await?;
        rows.iter().map(read_head).collect()
    }

    /// The months that were dropped, the oldest first.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn dropped(&self) -> Result<Vec<Dropped>, sqlx::Error> {
        let sql = "SELECT month, events, head, dropped_at FROM checkpoints ORDER BY month";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(Dropped { head: read_head(row)?, at: row.try_get("dropped_at")? })).collect()
    }

    /// Walks the chain of `month` from its first event to its last, then holds its verdicts against their events, and every other row
    /// against the one that it refers to; gives the first fault. `statements` are earlier statements of this month's head, which
    /// the chain has to go through. `progress` is told how many events have been walked.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn verify(
        &self,
        month: Month,
        statements: &[Statement],
        progress: impl FnMut(i64),
    ) -> Result<Option<Fault>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        // The head and the events as they were at one moment, whatever is written meanwhile.
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *transaction).await?;
        if let Some(fault) = walk(&mut transaction, month, statements, progress).await? {
            return Ok(Some(fault));
        }
        match verdicts(&mut transaction, month).await? {
            None => references(&mut transaction, month).await,
            fault => Ok(fault),
        }
    }
}

pub(super) fn read_head(row: &PgRow) -> Result<Head, sqlx::Error> {
    let month = Month::of(row.try_get("month")?);
    Ok(Head { month, events: row.try_get("events")?, hash: read_hash(row.try_get("head")?)? })
}

async fn walk(
    connection: &mut PgConnection,
    month: Month,
    statements: &[Statement],
    mut progress: impl FnMut(i64),
) -> Result<Option<Fault>, sqlx::Error> {
    let stored = sqlx::query("SELECT month, events, head FROM chains WHERE month = $1")
        .bind(month.first_day())
        .fetch_optional(&mut *connection)
        .await?;
    let stored = stored.as_ref().map(read_head).transpose()?;
    let mut rows = sqlx::query(
        "SELECT link, event_id, deployment_id, kind, subject, stream_sequence, message_id, traceparent, received_at, body,
             previous, hash
         FROM events WHERE month = $1 ORDER BY link",
    )
    .bind(month.first_day())
    .fetch(connection);
    let mut head = Head::empty(month);
    while let Some(row) = rows.try_next().await? {
        if let Some(fault) = step(&mut head, &row)? {
            return Ok(Some(fault));
        }
        if let Some(fault) = statements.iter().find_map(|statement| contradiction(statement, head)) {
            return Ok(Some(Fault { event_id: Some(row.try_get("event_id")?), ..fault }));
        }
        if head.events % TOLD_EVERY == 0 {
            progress(head.events);
        }
    }
    progress(head.events);
    let fault = |what: String| Some(Fault { month, link: Some(head.events), event_id: None, what });
    if let Some(beyond) = statements.iter().find(|statement| statement.month == month && statement.events > head.events)
    {
        return Ok(fault(format!("the chain ends here, and a checkpoint speaks of {} events", beyond.events)));
    }
    Ok(match stored {
        Some(stored) if stored == head => None,
        Some(stored) => fault(format!(
            "the head does not match: {} events ending in {} are there, and the head speaks of {} ending in {}",
            head.events, head.hash, stored.events, stored.hash
        )),
        None => fault("the head of the chain is missing".to_owned()),
    })
}

/// Takes the chain one event on, or says why that cannot be.
fn step(head: &mut Head, row: &PgRow) -> Result<Option<Fault>, sqlx::Error> {
    let event_id: Uuid = row.try_get("event_id")?;
    let number: i64 = row.try_get("link")?;
    let (previous, stored) = (read_hash(row.try_get("previous")?)?, read_hash(row.try_get("hash")?)?);
    let entry = Entry {
        event_id,
        deployment_id: row.try_get("deployment_id")?,
        kind: row.try_get("kind")?,
        subject: row.try_get("subject")?,
        stream_sequence: row.try_get("stream_sequence")?,
        message_id: row.try_get("message_id")?,
        traceparent: row.try_get("traceparent")?,
        received_at: row.try_get("received_at")?,
        body: row.try_get("body")?,
    };
    let month = head.month;
    let fault =
        |link: i64, event_id: Option<Uuid>, what: String| Ok(Some(Fault { month, link: Some(link), event_id, what }));
    let expected = head.events + 1;
    if number != expected {
        return fault(
            expected,
            None,
            format!("the event at this place is missing: the next that is there is {number}"),
        );
    }
    if previous != head.hash {
        return fault(
            number,
            Some(event_id),
            "what it holds as the hash before it is not the hash of the one before".to_owned(),
        );
    }
    let computed = head.append(&entry);
    if computed.hash != stored {
        return fault(
            number,
            Some(event_id),
            format!("its hash does not match what it says: {stored} is stored, {} comes out", computed.hash),
        );
    }
    Ok(None)
}

/// Whether a statement about this many events names another hash.
fn contradiction(statement: &Statement, head: Head) -> Option<Fault> {
    let speaks = statement.month == head.month && statement.events == head.events && statement.head != head.hash;
    speaks.then(|| Fault {
        month: head.month,
        link: Some(head.events),
        event_id: None,
        what: format!("a checkpoint says that the chain ended in {} here, and it is {}", statement.head, head.hash),
    })
}

/// Holds every verdict against the event that carries it.
async fn verdicts(connection: &mut PgConnection, month: Month) -> Result<Option<Fault>, sqlx::Error> {
    let mut rows = sqlx::query(
        "SELECT e.link, e.body, e.event_id AS carried_by, v.event_id, v.deployment_id, v.number, v.verdict, v.cause,
             v.policy_digest, v.judgement, v.missing, v.reached_at
         FROM (SELECT * FROM events WHERE month = $1 AND kind = $2) e
         FULL JOIN (SELECT * FROM verdicts WHERE month = $1) v ON v.event_id = e.event_id",
    )
    .bind(month.first_day())
    .bind(Reached::KIND)
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let (link, carried_by) = (row.try_get("link")?, row.try_get::<Option<Uuid>, _>("carried_by")?);
        let row_id: Option<Uuid> = row.try_get("event_id")?;
        let what = match (carried_by, row_id) {
            (Some(_), Some(_)) => {
                disagreement(&row)?.map(|what| format!("the row of the verdict disagrees with its event: {what}"))
            }
            (Some(_), None) => Some("the row of the verdict that it carries is missing".to_owned()),
            _ => Some("a verdict has no event that carries it".to_owned()),
        };
        if let Some(what) = what {
            return Ok(Some(Fault { month, link, event_id: carried_by.or(row_id), what }));
        }
    }
    Ok(None)
}

/// Whether every row refers to one that is there, and known findings are those that the trail tells of.
async fn references(connection: &mut PgConnection, month: Month) -> Result<Option<Fault>, sqlx::Error> {
    let row = sqlx::query(
        "WITH named (what, link, event_id, stands) AS (
             SELECT 'it is about a deployment of which there is no row', e.link, e.event_id, d.deployment_id IS NOT NULL
             FROM events e LEFT JOIN deployments d ON d.deployment_id = e.deployment_id AND d.month = e.month WHERE e.month = $1
             UNION ALL
             SELECT 'a row of ' || r.table_name || ' refers to it, and it is not stored', NULL, r.event_id, e.event_id IS NOT NULL
             FROM (SELECT 'deployments' AS table_name, accepted_event_id AS event_id FROM deployments
                       WHERE month = $1 AND accepted_event_id IS NOT NULL
                   UNION ALL SELECT 'outbox', event_id FROM outbox WHERE month = $1
                   UNION ALL SELECT 'signals', event_id FROM signals WHERE month = $1
                   UNION ALL SELECT 'findings', event_id FROM findings WHERE month = $1
                   UNION ALL SELECT 'explanations', event_id FROM explanations WHERE month = $1) r
             LEFT JOIN events e ON e.event_id = r.event_id AND e.month = $1
             UNION ALL
             SELECT 'a known finding of the deployment ' || deployment_id || ' is not as the trail tells', NULL, NULL, false
             FROM (SELECT * FROM known_findings WHERE month = $1) AS noted
             FULL JOIN brought_to_production(ARRAY(SELECT deployment_id FROM outcomes WHERE month = $1)) AS told
                 USING (repository, fingerprint, deployment_id, month)
             WHERE noted IS NULL OR told IS NULL)
         SELECT what, link, event_id FROM named WHERE NOT stands ORDER BY link, what, event_id LIMIT 1",
    )
    .bind(month.first_day())
    .fetch_optional(connection)
    .await?;
    let fault = |row: PgRow| {
        Ok(Fault { month, link: row.try_get("link")?, event_id: row.try_get("event_id")?, what: row.try_get("what")? })
    };
    row.map(fault).transpose()
}

fn disagreement(row: &PgRow) -> Result<Option<&'static str>, sqlx::Error> {
    let Ok(said) = Reached::from_protobuf(row.try_get("body")?) else { return Ok(Some("the event cannot be read")) };
    let missing: Vec<&str> = said.judgement.missing.iter().map(|missing| missing.input.name()).collect();
    let apart = row.try_get::<OffsetDateTime, _>("reached_at")? - said.reached_at;
    let checks = [
        (row.try_get::<Uuid, _>("deployment_id")? == said.deployment_id.uuid(), "its deployment"),
        (row.try_get::<i32, _>("number")? == said.number.cast_signed(), "its number"),
        (row.try_get::<&str, _>("verdict")? == said.judgement.verdict.name(), "the verdict"),
        (row.try_get::<&str, _>("cause")? == said.cause.name(), "its cause"),
        (row.try_get::<&str, _>("policy_digest")? == said.policy.digest, "its policy"),
        (row.try_get::<&[u8], _>("judgement")? == judgement_bytes(&said.judgement), "its judgement"),
        (row.try_get::<Vec<String>, _>("missing")? == missing, "what was missing"),
        (apart.abs() < time::Duration::microseconds(1), "its time"),
    ];
    Ok(checks.into_iter().find(|(agrees, _)| !agrees).map(|(_, what)| what))
}
