//! Connections: how the server is reached, and those that are kept at hand by those who ask all the time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool, Postgres};

/// As many as write at once: the join, the relay and the sweep.
pub(super) const WRITERS: usize = 3;
/// As many look-ups as are answered at once, mostly.
pub(super) const READERS: usize = 2;
/// Unused for so long, a connection may have been lost unseen.
const FRESH: Duration = Duration::from_secs(1);
/// How long a connection is tried for,
const PATIENCE: Duration = Duration::from_secs(5);
/// and once more, to be told why not.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A pool that has reached the server. Until its time is over it tries again whatever may pass, and then it knows nothing else; so the server
/// is asked once more for its reason.
pub(super) async fn reach(options: PgPoolOptions, url: &str) -> Result<PgPool, sqlx::Error> {
    match options.acquire_timeout(PATIENCE).connect(url).await {
        Err(sqlx::Error::PoolTimedOut) => {
            let asked = tokio::time::timeout(LAST_WORD, PgConnection::connect(url)).await;
            Err(asked.ok().and_then(Result::err).unwrap_or(sqlx::Error::PoolTimedOut))
        }
        reached => reached,
    }
}

/// Connections that are used again at once: the pool asks the server about each that is handed back, and again when it is taken, which
/// is a third of all questions when there is little to do.
#[derive(Debug)]
pub(super) struct Kept {
    kept: Mutex<Vec<(PoolConnection<Postgres>, Instant)>>,
    kept_max: usize,
}

impl Kept {
    /// At most so many.
    pub(super) fn of(kept_max: usize) -> Self {
        Self { kept: Mutex::default(), kept_max }
    }

    /// One that works, as far as can be known.
    pub(super) async fn take(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        loop {
            let kept = self.kept().pop();
            let Some((mut connection, since)) = kept else { return pool.acquire().await };
            if since.elapsed() < FRESH || connection.ping().await.is_ok() {
                return Ok(connection);
            }
        }
    }

    /// Keeps one whose work has ended well. Any other is dropped, and the pool looks at it.
    pub(super) fn give_back(&self, connection: PoolConnection<Postgres>) {
        let mut kept = self.kept();
        if kept.len() < self.kept_max {
            kept.push((connection, Instant::now()));
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<(PoolConnection<Postgres>, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
