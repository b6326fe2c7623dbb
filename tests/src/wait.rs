//! Waiting for a condition, with a limit, saying what was awaited.

use std::time::{Duration, Instant};

/// How long any condition may take. Far beyond what is expected: a busy machine must not fail a test.
const LIMIT: Duration = Duration::from_secs(120);
const BETWEEN: Duration = Duration::from_millis(20);

/// Asks `probe` again and again until it gives something. Panics, saying `what` was awaited, when that takes too long.
#[track_caller]
pub fn eventually<T, F: AsyncFnMut() -> Option<T>>(what: &str, mut probe: F) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    let started = Instant::now();
    async move {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            assert!(started.elapsed() < LIMIT, "{caller}: waited {LIMIT:?} in vain: {what}");
            tokio::time::sleep(BETWEEN).await;
        }
    }
}
