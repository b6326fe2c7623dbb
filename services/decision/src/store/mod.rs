//! The audit trail in PostgreSQL: the only place in FailSafe that speaks SQL.

mod answers;
mod audit;
mod contents;
mod decide;
mod export;
mod join;
mod ledger;
mod months;
mod outbox;
mod rederive;
mod retention;

use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;

use crate::config::DatabaseSettings;
use crate::policy::Policy;

pub use audit::{Audit, Dropped, Fault};
pub use join::Joined;
pub use outbox::Waiting;
pub use rederive::Rederived;

/// Forward only.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The audit trail, and the policy by which it decides.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    policy: Policy,
    policy_text: String,
    policy_digest: String,
    deadline: Duration,
}

impl Store {
    /// Connects, and brings the tables up to date where the settings say so. A server that is not there yet is not waited for.
    ///
    /// # Errors
    /// When the database cannot be reached or its tables cannot be brought up to date.
    pub async fn open(settings: &DatabaseSettings, policy: Policy, deadline: Duration) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections_max)
            .acquire_timeout(Duration::from_secs(5))
            .connect(&settings.url)
            .await
            .context("cannot reach PostgreSQL")?;
        if settings.migrate {
            MIGRATIONS.run(&pool).await.context("cannot bring the tables up to date")?;
        } else {
            check_migrated(&pool).await?;
        }
        let store = Self { pool, policy_text: policy.text(), policy_digest: policy.stamp().digest, policy, deadline };
        store.make_months().await.context("cannot make the month's tables")?;
        store.remember_policy().await.context("cannot store the policy")?;
        Ok(store)
    }

    /// Whether PostgreSQL answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(|_| ())
    }

    async fn remember_policy(&self) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO policies (digest, version, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(&self.policy_digest)
            .bind(&self.policy.version)
            .bind(&self.policy_text)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }
}

/// Brings the tables of the database at `url` up to date, as the role that owns them.
///
/// # Errors
/// When the database cannot be reached, or the role may not.
pub async fn migrate(url: &str) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await.context("cannot reach PostgreSQL")?;
    MIGRATIONS.run(&pool).await.context("cannot bring the tables up to date")
}

async fn check_migrated(pool: &PgPool) -> anyhow::Result<()> {
    let done: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(pool).await.context(
            "cannot see which migrations were run: database.migrate is off, so run `failsafe audit migrate` first",
        )?;
    let undone = MIGRATIONS.iter().find(|migration| !done.contains(&migration.version));
    match undone {
        None => Ok(()),
        Some(migration) => anyhow::bail!(
            "the tables are behind this version ({} is missing), and database.migrate is off: run `failsafe audit migrate`",
            migration.description
        ),
    }
}

/// Whether `error` says that PostgreSQL is away or busy, so that the same statement may succeed later.
///
/// Codes: PostgreSQL, appendix A, classes 08 (connection), 40 (rollback), 53 (resources), 55 (not in state), 57 (operator).
#[must_use]
pub fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code();
            let class = code.as_deref().and_then(|code| code.get(..2)).unwrap_or("");
            matches!(class, "08" | "40" | "53" | "55" | "57" | "58" | "XX")
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
