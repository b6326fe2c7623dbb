//! The decision service: joins the signals of each deployment, reaches the verdict and keeps the audit trail.
//!
//! Reads `deployment.accepted`, `signal.raised`, `explanation.written`, `review.recorded` and `outcome.recorded`; writes
//! `verdict.reached`, and `signal.raised` for an analyser that failed for good; answers
//! `get_deployment`, `list_deployments` and `attest_verdict`. It must not know how the signals come about.

pub mod attestation;
pub mod chain;
pub mod checkpoint;
pub mod config;
pub mod incoming;
pub mod policy;
pub mod published;
pub mod store;

mod batch;
mod gather;
mod questions;
mod relay;
mod speak_for;

use std::time::{Duration, Instant};

use anyhow::Context;
use chassis::metrics::list::{CONNECTIONS, CONNECTIONS_MAX, OUTBOX};
use chassis::{Process, State};

pub use config::Config;
use config::DatabaseSettings;
use policy::Policy;
use store::Store;

/// The service's name.
pub const SERVICE: &str = "decision";

/// How long to wait before PostgreSQL is tried again at the start.
const DATABASE_RETRY: Duration = Duration::from_millis(500);
/// How often the next month is looked for, so that it is there long before it begins.
const MONTHS_EVERY: Duration = Duration::from_secs(3_600);
/// How often the database is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// The only pool of connections, by its database.
const POOL: &str = "failsafe";
/// How many overdue deployments are decided in one transaction.
const SWEEP_MAX: i64 = 100;

/// Runs the service until it is told to end.
///
/// # Errors
/// When the settings are wrong, or the bus or the database cannot be used.
pub async fn run(process: Process, config: Config) -> anyhow::Result<()> {
    let policy = config.policy()?;
    anyhow::ensure!(config.batch_max > 0, "decision.batch_max must be at least 1");
    let Some(store) = open(&process, &config, &policy).await? else { return Ok(()) };
    published::begin(&process.bus, &store).await.context("cannot look for a published policy")?;
    let key = config.signing_key_path.as_deref().map(checkpoint::read_signing_key).transpose()?;
    questions::answer(&process, &store, key).await?;
    process.health.set(State::Serving);
    let (fresh, handed) = relay::channel();
    tokio::try_join!(
        batch::run(&process, &store, &config, fresh.clone()),
        relay::run(&process, &store, handed),
        sweep(&process, &store, &config, fresh),
        speak_for::run(&process),
        watch(&process, &store),
        async {
            published::follow(&process.bus, &store, &policy, &process.shutdown).await;
            Ok(())
        },
    )?;
    Ok(())
}

/// Opens the store, waiting for a PostgreSQL that is not there yet; `None` when the service is told to end meanwhile.
async fn open(process: &Process, config: &Config, policy: &Policy) -> anyhow::Result<Option<Store>> {
    let settings: DatabaseSettings = process.settings.table("database")?;
    let mut told = false;
    loop {
        let opened = Store::open(&settings, policy.clone(), Duration::from_millis(config.deadline_ms)).await;
        let error = match opened {
            Ok(store) => return Ok(Some(store)),
            Err(error) if error.chain().any(|cause| cause.downcast_ref().is_some_and(store::is_passing)) => error,
            Err(error) => return Err(error),
        };
        process.health.set(State::NotServing(format!("{error:#}")));
        if !told {
            tracing::warn!(service = SERVICE, "waiting for PostgreSQL: {error:#}");
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(DATABASE_RETRY) => {}
            () = process.shutdown.called() => return Ok(None),
        }
    }
}

/// Shows how the database is and what waits in it, and says so when it is away, events or not.
async fn watch(process: &Process, store: &Store) -> anyhow::Result<()> {
    let settings: DatabaseSettings = process.settings.table("database")?;
    CONNECTIONS_MAX.set(f64::from(settings.connections_max), [POOL]);
    store::begin_to_count();
    while !process.shutdown.is_called() {
        let (open, idle) = store.connections();
        CONNECTIONS.set(idle as f64, [POOL, "idle"]);
        CONNECTIONS.set(f64::from(open) - idle as f64, [POOL, "used"]);
        match store.outbox_depth().await {
            Ok(depth) => {
                OUTBOX.set(depth as f64, []);
                process.health.set(State::Serving);
            }
            Err(error) => process.health.set(State::NotServing(format!("PostgreSQL is away: {error}"))),
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_EVERY) => {}
            () = process.shutdown.called() => break,
        }
    }
    Ok(())
}

/// Decides what is past its deadline, again and again. Safe with any number of replicas.
async fn sweep(process: &Process, store: &Store, config: &Config, fresh: relay::Fresh) -> anyhow::Result<()> {
    let every = Duration::from_millis(config.sweep_ms.max(10));
    let mut months_made = Instant::now();
    while !process.shutdown.is_called() {
        match store.sweep(SWEEP_MAX).await {
            Ok(verdicts) if verdicts.is_empty() => {}
            Ok(verdicts) => {
                fresh.call(verdicts);
                continue;
            }
            Err(error) => tracing::warn!(service = SERVICE, "cannot look for overdue deployments: {error:#}"),
        }
        if months_made.elapsed() >= MONTHS_EVERY {
            months_made = Instant::now();
            if let Err(error) = store.make_months().await {
                tracing::warn!(service = SERVICE, "cannot make the next month's tables: {error:#}");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = process.shutdown.called() => break,
        }
    }
    Ok(())
}
