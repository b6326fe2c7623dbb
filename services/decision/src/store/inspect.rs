//! The database as somebody looks it over from outside: whether its tables are those of this version, and whether work is left
//! lying. Nothing is changed.

use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use super::MIGRATIONS;

/// How long the database may take to be reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// What there is.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The server's version: `15.18`.
    pub version: String,
    /// The same as one number: 150018.
    pub version_number: i32,
    /// How many of its connections are in use, and the most there may be.
    pub connections: (i64, i64),
    /// How far its clock is before this machine's, in seconds, give or take half the time that the question took.
    pub clock_ahead: f64,
    /// How long the question took.
    pub took: Duration,
    /// How many migrations were run.
    pub applied: usize,
    /// Those that this version brings and that were not run, by what they do.
    pub pending: Vec<String>,
    /// Those that were run and that this version does not know: a later one ran them.
    pub unknown: Vec<i64>,
    /// What is in the tables; `None` while migrations are pending.
    pub tables: Option<Tables>,
}

/// What is in the tables.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Tables of this month and the next that are missing.
    pub months_missing: Vec<String>,
    /// Verdicts that are stored and not yet published.
    pub unpublished: i64,
    /// Deployments that are past their deadline by more than a minute without a verdict.
    pub overdue: i64,
    /// Deployments in all.
    pub deployments: i64,
}

/// Looks at the database at `url`.
///
/// # Errors
/// When it cannot be reached.
pub async fn inspect(url: &str) -> anyhow::Result<Inspection> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect(url).await?;
    let (asked, began) = (OffsetDateTime::now_utc(), Instant::now());
    let clock: OffsetDateTime = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&pool).await?;
    let took = began.elapsed();
    let server = sqlx::query(
        "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
             (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
             current_setting('max_connections')::bigint AS allowed",
    )
    .fetch_one(&pool)
    .await?;
    let done = migrations(&pool).await?;
    let pending: Vec<String> = MIGRATIONS
        .iter()
        .filter(|migration| !done.contains(&migration.version))
        .map(|migration| format!("{:04} {}", migration.version, migration.description))
        .collect();
    let tables = if pending.is_empty() { Some(tables(&pool).await?) } else { None };
    Ok(Inspection {
        version: server.try_get("version")?,
        version_number: server.try_get("number")?,
        connections: (server.try_get("used")?, server.try_get("allowed")?),
        clock_ahead: (clock - (asked + took / 2)).as_seconds_f64(),
        took,
        applied: done.len(),
        unknown: done.into_iter().filter(|version| !MIGRATIONS.version_exists(*version)).collect(),
        pending,
        tables,
    })
}

async fn migrations(pool: &PgPool) -> anyhow::Result<Vec<i64>> {
    let table: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text").fetch_one(pool).await?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    let sql = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    sqlx::query_scalar(sql).fetch_all(pool).await.context("cannot read which migrations were run")
}

async fn tables(pool: &PgPool) -> anyhow::Result<Tables> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL) AS unpublished,
             (SELECT count(*) FROM deployments WHERE verdict_number = 0 AND deadline_at < now() - interval '1 minute') AS overdue,
             (SELECT count(*) FROM deployments) AS deployments,
             (SELECT coalesce(array_agg(t || to_char(m, '\"_\"YYYY_MM') ORDER BY m, t), '{}') FROM unnest(monthly_tables()) AS t,
                 (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month' AS m
                  FROM generate_series(0, 1) AS n) AS months
              WHERE to_regclass(t || to_char(m, '\"_\"YYYY_MM')) IS NULL) AS missing",
    )
    .fetch_one(pool)
    .await
    .context("cannot read the tables")?;
    Ok(Tables {
        months_missing: row.try_get("missing")?,
        unpublished: row.try_get("unpublished")?,
        overdue: row.try_get("overdue")?,
        deployments: row.try_get("deployments")?,
    })
}
