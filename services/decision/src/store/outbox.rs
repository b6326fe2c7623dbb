//! The outbox: verdicts that are stored and not yet in the stream.

use chassis::Outgoing;
use domain::DeploymentId;
use sqlx::{PgTransaction, Row};
use uuid::Uuid;

use super::Store;
use super::statement::Statement;

/// Verdicts taken from the outbox. Until they are marked, or this is dropped, no other replica takes them.
#[derive(Debug)]
pub struct Waiting {
    transaction: PgTransaction<'static>,
    /// What is to be published.
    pub outgoing: Vec<(Uuid, Outgoing)>,
}

impl Store {
    /// Takes at most `limit` verdicts from the outbox, the oldest first.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn take_waiting(&self, limit: i64) -> Result<Waiting, sqlx::Error> {
        // A mark that a crash undoes costs another publish, which the stream drops: not worth waiting for the disk.
        let mut transaction = self.pool.begin_with("BEGIN; SET LOCAL synchronous_commit = off").await?;
        let rows = sqlx::query(
            "SELECT event_id, e.deployment_id, e.subject, e.traceparent, e.body
             FROM outbox JOIN events e USING (month, event_id)
             WHERE published_at IS NULL ORDER BY outbox.position LIMIT $1 FOR UPDATE OF outbox SKIP LOCKED",
        )
        .bind(limit)
        .fetch_all(&mut *transaction)
        .named("SELECT outbox")
        .await?;
        let mut outgoing = Vec::with_capacity(rows.len());
        for row in rows {
            let event_id: Uuid = row.try_get("event_id")?;
            let one = Outgoing {
                subject: row.try_get("subject")?,
                message_id: event_id.to_string(),
                body: row.try_get::<Vec<u8>, _>("body")?.into(),
                traceparent: row.try_get("traceparent")?,
                deployment_id: Some(DeploymentId::from_uuid(row.try_get("deployment_id")?)),
            };
            outgoing.push((event_id, one));
        }
        Ok(Waiting { transaction, outgoing })
    }
}

impl Waiting {
    /// Marks those that the stream has.
    ///
    /// # Errors
    /// When PostgreSQL is away: they will be published again, which is harmless.
    pub async fn mark_published(mut self, published: &[Uuid]) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE outbox SET published_at = now() WHERE event_id = ANY($1)")
            .bind(published)
            .execute(&mut *self.transaction)
            .named("UPDATE outbox")
            .await?;
        self.transaction.commit().named("COMMIT").await
    }
}
