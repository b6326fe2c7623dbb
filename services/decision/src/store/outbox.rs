//! The outbox: verdicts that are stored and not yet in the stream.

use std::time::Duration;

use chassis::Outgoing;
use domain::DeploymentId;
use sqlx::{PgTransaction, Row};
use uuid::Uuid;

use super::Store;
use super::statement::Statement;

/// Marks them as published. A mark that a crash undoes costs another publish, which the stream drops: not worth waiting for the disk.
const MARK: &str = "UPDATE outbox SET published_at = now()
     WHERE event_id = ANY($1) AND set_config('synchronous_commit', 'off', true) = 'off'";

/// Verdicts taken from the outbox. Until they are marked, or this is dropped, no other replica takes them.
#[derive(Debug)]
pub struct Waiting {
    transaction: PgTransaction<'static>,
    /// What is to be published.
    pub outgoing: Vec<(Uuid, Outgoing)>,
}

impl Store {
    /// Takes at most `limit` verdicts from the outbox that were stored at least so long ago, the oldest first.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn take_waiting(&self, limit: i64, age: Duration) -> Result<Waiting, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT event_id, e.deployment_id, e.subject, e.traceparent, e.body
             FROM outbox JOIN events e USING (month, event_id)
             WHERE published_at IS NULL AND e.received_at <= now() - $2 * interval '1 millisecond' ORDER BY outbox.position LIMIT $1 FOR UPDATE OF outbox SKIP LOCKED",
        )
        .bind(limit)
        .bind(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
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

    /// Marks verdicts that the stream has and that nobody took: they went there right after they were stored.
    ///
    /// # Errors
    /// When PostgreSQL is away: they will be published again, which is harmless.
    pub async fn mark_published(&self, published: &[Uuid]) -> Result<(), sqlx::Error> {
        let mut connection = self.writing.take(&self.pool).await?;
        sqlx::query(MARK).bind(published).execute(&mut *connection).named("UPDATE outbox").await?;
        self.writing.give_back(connection);
        Ok(())
    }
}

impl Waiting {
    /// Marks those that the stream has.
    ///
    /// # Errors
    /// When PostgreSQL is away: they will be published again, which is harmless.
    pub async fn mark_published(mut self, published: &[Uuid]) -> Result<(), sqlx::Error> {
        sqlx::query(MARK).bind(published).execute(&mut *self.transaction).named("UPDATE outbox").await?;
        self.transaction.commit().named("COMMIT").await
    }
}
