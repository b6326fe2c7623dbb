//! The audit trail in PostgreSQL: the only place in FailSafe that speaks SQL.

mod answers;
mod audit;
mod case;
mod connections;
mod contents;
mod decide;
mod export;
mod inspect;
mod join;
mod ledger;
mod months;
mod outbox;
mod rederive;
mod replay;
mod retention;
mod statement;
mod told;

use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgConnection, PgPool};

use crate::config::DatabaseSettings;
use crate::policy::Policy;
use connections::{Kept, READERS, WRITERS, reach};

pub use audit::{Audit, Dropped, Fault};
pub use inspect::{Inspection, Tables, inspect};
pub use join::Joined;
pub use outbox::Waiting;
pub use rederive::Rederived;
pub use replay::DecidedBefore;
pub(crate) use told::begin_to_count;

/// Forward only. A later version's, which this one does not know, are left alone: while services are replaced one by one, this
/// version may start once more on tables that the next one has brought up to date.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut all = sqlx::migrate!("../../migrations");
    all.set_ignore_missing(true);
    all
});

/// The audit trail, and the policy by which it decides.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    writing: Arc<Kept>,
    reading: Arc<Kept>,
    policies: Arc<RwLock<Policies>>,
    deadline: Duration,
}

/// The policy that decides, and a candidate beside it.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    pub(crate) active: Policy,
    pub(crate) shadow: Option<Policy>,
}

impl Store {
    /// Connects, and brings the tables up to date where the settings say so. A server that is not there yet is not waited for.
    ///
    /// # Errors
    /// When the database cannot be reached or its tables cannot be brought up to date.
    pub async fn open(settings: &DatabaseSettings, policy: Policy, deadline: Duration) -> anyhow::Result<Self> {
        let options = PgPoolOptions::new()
            .max_connections(settings.connections_max)
            .after_connect(|connection, _| Box::pin(prepare(connection)));
        let pool = reach(options, &settings.url).await.context("cannot reach PostgreSQL")?;
        if settings.migrate {
            migrate(&settings.url).await?;
        } else {
            check_migrated(&pool).await?;
        }
        let policies = Arc::new(RwLock::new(Policies { active: policy.clone(), shadow: None }));
        // The others are for whoever asks more seldom.
        let all = settings.connections_max as usize;
        let writing = Arc::new(Kept::of(WRITERS.min(all / 2)));
        let reading = Arc::new(Kept::of(READERS.min(all / 4)));
        let store = Self { pool, writing, reading, policies, deadline };
        store.make_months().await.context("cannot make the month's tables")?;
        store.decide_by(policy).await.context("cannot store the policy")?;
        Ok(store)
    }

    /// Whether PostgreSQL answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(|_| ())
    }

    /// Connections that are open, and how many of them nobody uses.
    #[must_use]
    pub fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Verdicts that are stored and not published yet.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn outbox_depth(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL").fetch_one(&self.pool).await
    }

    /// The policy that decides now.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policies().active
    }

    pub(crate) fn policies(&self) -> Policies {
        // A writer only assigns: what it leaves is whole whatever happened to it.
        self.policies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Decides by `policy` from now on. It is stored first, so that its verdicts can always be reached again.
    ///
    /// # Errors
    /// When PostgreSQL is away; then the policy before it stays.
    pub async fn decide_by(&self, policy: Policy) -> Result<(), sqlx::Error> {
        self.remember(&policy).await?;
        self.policies.write().unwrap_or_else(PoisonError::into_inner).active = policy;
        Ok(())
    }

    /// Has `policy` tried beside the active one from now on, or nothing.
    ///
    /// # Errors
    /// When PostgreSQL is away; then the candidate before it stays.
    pub async fn shadow_by(&self, policy: Option<Policy>) -> Result<(), sqlx::Error> {
        if let Some(policy) = &policy {
            self.remember(policy).await?;
        }
        self.policies.write().unwrap_or_else(PoisonError::into_inner).shadow = policy;
        Ok(())
    }

    async fn remember(&self, policy: &Policy) -> Result<(), sqlx::Error> {
        let stamp = policy.stamp();
        sqlx::query("INSERT INTO policies (digest, version, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(&stamp.digest)
            .bind(&stamp.version)
            .bind(policy.text())
            .execute(&self.pool)
            .await
            .map(|_| ())
    }
}

/// Brings the tables of the database at `url` up to date, as the role that owns them.
///
/// Where a migration and a replica of the version before wait for each other, PostgreSQL may end the migration, which has then left
/// nothing behind: it is run again.
///
/// # Errors
/// When the database cannot be reached, or the role may not.
pub async fn migrate(url: &str) -> anyhow::Result<()> {
    loop {
        // Of its own each time: where the migrator fails, its connection keeps the lock by which one service alone migrates.
        let pool = reach(PgPoolOptions::new().max_connections(1), url).await.context("cannot reach PostgreSQL")?;
        let ended = MIGRATIONS.run(&pool).await;
        pool.close().await;
        match ended {
            Err(MigrateError::ExecuteMigration(error, version)) if is_deadlock(&error) => {
                tracing::warn!(version, "a migration and a writer waited for each other; it is run again");
            }
            ended => return ended.context("cannot bring the tables up to date"),
        }
    }
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("40P01")
}

/// How this service's statements are planned, and how what they store is compressed.
///
/// All of them find some rows by their keys, so that one plan serves all values and thinking it over each time costs more than carrying
/// it out; what serves some values alone asks for that ([`OF_ITS_OWN`]). While the tables of a month are new, plans are made for empty
/// ones, of which reading the whole, or a whole index, seems cheapest: that is not to be had, and where there is no other way its price is no reason to
/// compile the plan.
///
/// Long bodies are compressed by LZ4 where the server knows it, which is quicker than PostgreSQL's own way.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let plans = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off;
        SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";
    connection.execute(plans).await?;
    match connection.execute("SET default_toast_compression = 'lz4'").await {
        Err(sqlx::Error::Database(_)) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Begins a transaction whose statements are planned for their own values.
const OF_ITS_OWN: &str = "BEGIN; SET LOCAL plan_cache_mode = auto; SET LOCAL enable_bitmapscan = on";

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
