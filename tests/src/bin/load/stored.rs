//! When each verdict was stored: at its commit, whose time PostgreSQL writes down where it is told to.

use std::collections::HashMap;

use harness::Fleet;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::drive::percentiles;

/// Has PostgreSQL write down the time of every commit from now on, by the clock of this machine, in microseconds.
pub(crate) async fn note_commits(fleet: &mut Fleet) {
    let superuser = fleet.superuser().await;
    let statement = "ALTER SYSTEM SET track_commit_timestamp = on";
    sqlx::query(statement).execute(&superuser).await.expect("a setting");
    superuser.close().await;
    fleet.postgres.restart().await.expect("PostgreSQL starts again");
}

/// Milliseconds from when each was to be submitted to the commit of its first verdict: median, 99 %, 99.9 %.
pub(crate) async fn latency_ms(fleet: &Fleet, due: &HashMap<Uuid, OffsetDateTime>) -> [f64; 3] {
    let stored = "SELECT deployment_id, pg_xact_commit_timestamp(xmin) FROM verdicts WHERE number = 1";
    let stored: Vec<(Uuid, OffsetDateTime)> =
        sqlx::query_as(stored).fetch_all(&fleet.database().await).await.expect("the verdicts");
    percentiles(stored.into_iter().map(|(id, at)| (at - due[&id]).as_seconds_f64() * 1e3).collect())
}
