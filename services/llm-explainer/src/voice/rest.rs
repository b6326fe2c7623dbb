//! After a model was too slow for somebody, whoever has no more time than that is not kept waiting for a while.
//!
//! The model's client watches its server by itself; here it is only the time of one kind of verdict that ran out.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Who is not to ask at present.
#[derive(Debug)]
pub(super) struct Rest {
    length: Duration,
    /// Until when, and how much time was not enough.
    now: Mutex<Option<(Instant, Duration)>>,
}

impl Rest {
    /// Rests of that length.
    pub(super) fn new(length: Duration) -> Self {
        Self { length, now: Mutex::new(None) }
    }

    /// Whether it is no use to ask with that much time.
    pub(super) fn is_on(&self, time: Duration) -> bool {
        self.now().is_some_and(|(until, not_enough)| Instant::now() < until && time <= not_enough)
    }

    /// That much time was not enough.
    pub(super) fn begin(&self, time: Duration) {
        let until = Instant::now() + self.length;
        let mut now = self.now();
        let longest = now.filter(|(until, _)| Instant::now() < *until).map_or(time, |(_, known)| known.max(time));
        *now = Some((until, longest));
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Duration)>> {
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_has_more_time_may_still_ask() {
        let rest = Rest::new(600 * SECOND);
        assert!(!rest.is_on(SECOND));
        rest.begin(10 * SECOND);
        assert!(rest.is_on(10 * SECOND) && !rest.is_on(20 * SECOND));
        rest.begin(20 * SECOND);
        rest.begin(10 * SECOND);
        assert!(rest.is_on(20 * SECOND), "a shorter time does not end the longer rest");
    }

    #[test]
    fn a_rest_ends() {
        let rest = Rest::new(Duration::ZERO);
        rest.begin(SECOND);
        assert!(!rest.is_on(SECOND));
    }
}
