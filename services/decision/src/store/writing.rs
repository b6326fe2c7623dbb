//! Connections of those who write all the time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgPool, Postgres};

/// As many as write at once: the join, the relay and the sweep.
const WRITERS: usize = 3;
/// Unused for so long, a connection may have been lost unseen.
const FRESH: Duration = Duration::from_secs(1);

/// Connections that are used again at once: the pool asks the server about each that is handed back, and again when it is taken, which
/// is a third of all questions when there is little to do.
#[derive(Debug)]
pub(super) struct Writing {
    kept: Mutex<Vec<(PoolConnection<Postgres>, Instant)>>,
    kept_max: usize,
}

impl Writing {
    /// Those of a pool of so many connections, of which half are left for others.
    pub(super) fn of(connections_max: u32) -> Self {
        Self { kept: Mutex::default(), kept_max: WRITERS.min(connections_max as usize / 2) }
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

    /// Keeps one whose transaction has ended well. Any other is dropped, and the pool looks at it.
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
