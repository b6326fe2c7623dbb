//! The outbox: verdicts that are stored and not yet in the stream.

use std::time::Duration;

use chassis::Outgoing;
use domain::DeploymentId;
use sqlx::{PgTransaction, Row};
use uuid::Uuid;

use super::Store;
use super::statement::Statement;

/// Takes out what is published. What a crash puts back costs another publish, which the stream drops: not worth waiting for the disk.
const TAKE_OUT: &str =
    "DELETE FROM outbox WHERE event_id = ANY($1) AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'";

/// Verdicts that wait in the outbox. Until they are taken out, or this is dropped, no other replica publishes them.
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
             -- A replica of an older version marks what is published.
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

    /// Takes out verdicts that the stream has and that nobody waits with: they went there right after they were stored.
    ///
    /// # Errors
    /// When PostgreSQL is away: they will be published again, which is harmless.
    pub async fn take_out(&self, published: &[Uuid]) -> Result<(), sqlx::Error> {
        let mut connection = self.writing.take(&self.pool).await?;
        sqlx::query(TAKE_OUT).bind(published).execute(&mut *connection).named("DELETE outbox").await?;
        self.writing.give_back(connection);
        Ok(())
    }
}

impl Waiting {
    /// Takes out those that the stream has.
    ///
    /// # Errors
    /// When PostgreSQL is away: they will be published again, which is harmless.
    pub async fn take_out(mut self, published: &[Uuid]) -> Result<(), sqlx::Error> {
        sqlx::query(TAKE_OUT).bind(published).execute(&mut *self.transaction).named("DELETE outbox").await?;
        self.transaction.commit().named("COMMIT").await
    }
}
