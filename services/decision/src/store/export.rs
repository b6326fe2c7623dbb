//! The audit trail as lines of JSON, so that it can be read and verified without PostgreSQL and without this code.

use futures::TryStreamExt;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::audit::Audit;
use super::ledger::read_hash;
use crate::chain::Month;

/// RFC 3339 in UTC, always with microseconds: what is hashed, and the same text for the same time.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// One event, in the order of its fields.
#[derive(Serialize)]
struct Line<'a> {
    month: String,
    link: i64,
    event_id: Uuid,
    deployment_id: Uuid,
    kind: &'a str,
    subject: &'a str,
    stream_sequence: Option<i64>,
    message_id: Option<&'a str>,
    traceparent: Option<&'a str>,
    received_at: String,
    previous: String,
    hash: String,
    /// The protobuf bytes that the hash is of.
    bytes: String,
    /// What they say, for people and tools: their proto3 JSON form.
    body: serde_json::Value,
}

impl Audit {
    /// Gives `write` the events of one month or of all, each as a line of JSON, by month and then as they are chained; with
    /// `since` only those that were received at that time or later. Gives how many there were.
    ///
    /// # Errors
    /// When PostgreSQL is away, an event cannot be read, or `write` fails.
    pub async fn export(
        &self,
        month: Option<Month>,
        since: Option<OffsetDateTime>,
        mut write: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let mut transaction = self.pool.begin().await?;
        // As it is at one moment, whatever is written meanwhile.
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *transaction).await?;
        let months: Vec<time::Date> =
            sqlx::query_scalar("SELECT month FROM chains WHERE $1 IS NULL OR month = $1 ORDER BY month")
                .bind(month.map(Month::first_day))
                .fetch_all(&mut *transaction)
                .await?;
        let mut written = 0;
        for first_day in months {
            let mut rows = sqlx::query(
                "SELECT link, event_id, deployment_id, kind, subject, stream_sequence, message_id, traceparent, received_at, body,
                     previous, hash
                 FROM events WHERE month = $1 AND ($2 IS NULL OR received_at >= $2) ORDER BY link",
            )
            .bind(first_day)
            .bind(since)
            .fetch(&mut *transaction);
            while let Some(row) = rows.try_next().await? {
                write(&line(Month::of(first_day), &row)?)?;
                written += 1;
            }
        }
        Ok(written)
    }
}

fn line(month: Month, row: &PgRow) -> anyhow::Result<String> {
    use base64::Engine;
    let (kind, bytes): (&str, &[u8]) = (row.try_get("kind")?, row.try_get("body")?);
    let line = Line {
        month: month.to_string(),
        link: row.try_get("link")?,
        event_id: row.try_get("event_id")?,
        deployment_id: row.try_get("deployment_id")?,
        kind,
        subject: row.try_get("subject")?,
        stream_sequence: row.try_get("stream_sequence")?,
        message_id: row.try_get("message_id")?,
        traceparent: row.try_get("traceparent")?,
        received_at: row.try_get::<OffsetDateTime, _>("received_at")?.format(TIME)?,
        previous: read_hash(row.try_get("previous")?)?.to_string(),
        hash: read_hash(row.try_get("hash")?)?.to_string(),
        bytes: base64::engine::general_purpose::STANDARD.encode(bytes),
        // Bytes that cannot be read are still shown: an export is most wanted when something is wrong.
        body: proto::body_json(kind, bytes).unwrap_or_default(),
    };
    Ok(serde_json::to_string(&line)?)
}
