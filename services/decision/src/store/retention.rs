//! Dropping a whole month, once a signed checkpoint says what was in it.

use anyhow::{Context, bail, ensure};
use ed25519_dalek::VerifyingKey;
use sqlx::{PgConnection, Row};
use time::{Duration, OffsetDateTime};

use super::audit::{Audit, read_head};
use crate::chain::{Head, Month};
use crate::checkpoint::{Checkpoint, Statement};

impl Audit {
    /// States where the chain of `month` ends now.
    ///
    /// # Errors
    /// When there is no such month, or PostgreSQL is away.
    pub async fn statement(&self, month: Month) -> anyhow::Result<Statement> {
        let row = sqlx::query("SELECT month, events, head, now() FROM chains WHERE month = $1")
            .bind(month.first_day())
            .fetch_optional(&self.pool)
            .await?
            .with_context(|| format!("nothing is known of the month {month}"))?;
        Ok(Statement::of(read_head(&row)?, row.try_get("now")?))
    }

    /// Drops all that is known of the deployments of the checkpoint's month. What is left is the checkpoint itself. The role has
    /// to own the tables. Gives how many events are gone.
    ///
    /// # Errors
    /// When the checkpoint is not signed by `key`, is younger than `age_min`, or is not of the chain as it is; when the chain is
    /// broken, the month is not over, or something in it still waits; and when PostgreSQL is away or the role may not.
    pub async fn drop_month(
        &self,
        checkpoint: &Checkpoint,
        key: &VerifyingKey,
        age_min: Duration,
    ) -> anyhow::Result<i64> {
        checkpoint.ensure_signed_by(key)?;
        let statement = &checkpoint.statement;
        let month = statement.month;
        let fault = self.verify(month, std::slice::from_ref(statement), |_| ()).await?;
        if let Some(fault) = fault {
            bail!("the chain of {month} is broken: {}", fault.what);
        }
        let mut transaction = self.pool.begin().await?;
        // Whoever writes locks this table first.
        sqlx::query("LOCK TABLE deployments IN EXCLUSIVE MODE").execute(&mut *transaction).await?;
        check(&mut transaction, statement, age_min).await?;
        sqlx::query("SELECT drop_month($1)").bind(month.first_day()).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO checkpoints (month, events, head, statement) VALUES ($1, $2, $3, $4)")
            .bind(month.first_day())
            .bind(statement.events)
            .bind(statement.head.0.as_slice())
            .bind(checkpoint.to_json())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(statement.events)
    }
}

async fn check(connection: &mut PgConnection, statement: &Statement, age_min: Duration) -> anyhow::Result<()> {
    let Statement { month, events, head, stated_at } = *statement;
    let row = sqlx::query("SELECT month, events, head, now() FROM chains WHERE month = $1")
        .bind(month.first_day())
        .fetch_optional(&mut *connection)
        .await?
        .with_context(|| format!("nothing is known of the month {month}"))?;
    let (stored, now): (Head, OffsetDateTime) = (read_head(&row)?, row.try_get("now")?);
    ensure!(Month::at(now) > month, "the month {month} is not over");
    ensure!(
        stored.events == events && stored.hash == head,
        "the checkpoint is not of the chain as it is: it speaks of {events} events, and {} are there; make a new one",
        stored.events
    );
    let age = now - stated_at;
    ensure!(
        age >= age_min,
        "the checkpoint is {} days old, and a month goes only when it is at least {}",
        age.whole_days(),
        age_min.whole_days()
    );
    let waiting: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM deployments WHERE month = $1 AND verdict_number = 0 AND deadline_at IS NOT NULL)
             + (SELECT count(*) FROM outbox WHERE month = $1 AND published_at IS NULL)",
    )
    .bind(month.first_day())
    .fetch_one(connection)
    .await?;
    ensure!(
        waiting == 0,
        "{waiting} deployments of {month} still wait for a verdict, or their verdicts for the stream"
    );
    Ok(())
}
