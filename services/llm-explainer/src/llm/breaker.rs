//! Whether the model's server is asked at all. After a failure it rests; then one question goes ahead as a probe, and
//! each probe that fails doubles the rest. One answer ends it.
//!
//! Pure: the time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::Unanswered;

/// The longest rest, unless the first is longer.
const REST_MAX: Duration = Duration::from_secs(600);

/// What is known of the server's health.
#[derive(Debug)]
pub(super) struct Breaker {
    /// How long the server rests after it has failed for the first time.
    first: Duration,
    /// How long a probe can take.
    probe_max: Duration,
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    /// When the next probe may go.
    until: Instant,
    /// How long the server rests at present.
    length: Duration,
    why: Unanswered,
}

/// What a question that may be asked is to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// One of many, to a server that works.
    Usual,
    /// The one that finds out whether the server works again.
    Probe,
}

impl Breaker {
    pub(super) fn new(first: Duration, probe_max: Duration) -> Self {
        Self { first, probe_max, rest: None }
    }

    /// Lets a question through, or says why not.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Turn, Unanswered> {
        if let Some(resting) = self.rests(now) {
            return Err(resting);
        }
        let Some(rest) = &mut self.rest else { return Ok(Turn::Usual) };
        // No other goes before this one can have ended. Should it be given up, the next goes after that time: nobody
        // has to tell the breaker.
        rest.until = now + self.probe_max;
        Ok(Turn::Probe)
    }

    /// Why no question is let through at present.
    pub(super) fn rests(&self, now: Instant) -> Option<Unanswered> {
        let rest = self.rest.as_ref().filter(|rest| now < rest.until)?;
        Some(Unanswered::Resting(Box::new(rest.why.clone())))
    }

    /// The server has failed: how long it rests now, or `None` when it rested already. What was on its way when the rest
    /// began does not prolong it.
    pub(super) fn failed(&mut self, turn: Turn, now: Instant, why: &Unanswered) -> Option<Duration> {
        let length = match (&self.rest, turn) {
            (None, _) => self.first,
            (Some(rest), Turn::Probe) => (rest.length * 2).min(REST_MAX.max(self.first)),
            (Some(_), Turn::Usual) => return None,
        };
        self.rest = Some(Rest { until: now + length, length, why: why.clone() });
        Some(length)
    }

    /// The server has answered; says whether it had been resting.
    pub(super) fn answered(&mut self) -> bool {
        self.rest.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WHY: Unanswered = Unanswered::Slow { ms: 50 };

    fn breaker() -> Breaker {
        Breaker::new(30 * SECOND, 20 * SECOND)
    }

    #[test]
    fn after_the_rest_one_question_goes_ahead_and_the_others_are_told() {
        let (mut breaker, t) = (breaker(), Instant::now());
        assert_eq!(breaker.admit(t), Ok(Turn::Usual));
        assert_eq!(breaker.failed(Turn::Usual, t, &WHY), Some(30 * SECOND));
        let resting = Err(Unanswered::Resting(Box::new(WHY)));
        assert_eq!(breaker.admit(t + 29 * SECOND), resting);
        assert_eq!(breaker.admit(t + 30 * SECOND), Ok(Turn::Probe));
        assert_eq!(breaker.admit(t + 30 * SECOND), resting);
        assert_eq!(breaker.admit(t + 49 * SECOND), resting);
        assert!(breaker.answered());
        assert_eq!(breaker.admit(t + 49 * SECOND), Ok(Turn::Usual));
        assert!(!breaker.answered());
    }

    #[test]
    fn a_probe_that_was_given_up_makes_room_for_the_next() {
        let (mut breaker, t) = (breaker(), Instant::now());
        breaker.failed(Turn::Usual, t, &WHY);
        assert_eq!(breaker.admit(t + 30 * SECOND), Ok(Turn::Probe));
        assert_eq!(breaker.admit(t + 50 * SECOND), Ok(Turn::Probe));
    }

    #[test]
    fn each_failed_probe_doubles_the_rest_up_to_ten_minutes() {
        let (mut breaker, mut t) = (breaker(), Instant::now());
        let mut turn = breaker.admit(t).unwrap();
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            assert_eq!(breaker.failed(turn, t, &WHY), Some(seconds * SECOND));
            t += seconds * SECOND;
            turn = breaker.admit(t).unwrap();
            assert_eq!(turn, Turn::Probe);
        }
        breaker.answered();
        assert_eq!(breaker.failed(Turn::Usual, t, &WHY), Some(30 * SECOND), "afterwards it begins anew");
    }

    #[test]
    fn questions_that_were_on_their_way_do_not_prolong_the_rest() {
        let (mut breaker, t) = (breaker(), Instant::now());
        assert_eq!(breaker.failed(Turn::Usual, t, &WHY), Some(30 * SECOND));
        assert_eq!(breaker.failed(Turn::Usual, t + 10 * SECOND, &WHY), None);
        assert_eq!(breaker.admit(t + 30 * SECOND), Ok(Turn::Probe));
        assert_eq!(breaker.failed(Turn::Usual, t + 31 * SECOND, &WHY), None);
    }

    #[test]
    fn a_first_rest_longer_than_ten_minutes_stays_as_long() {
        let (mut breaker, t) = (Breaker::new(900 * SECOND, SECOND), Instant::now());
        breaker.failed(Turn::Usual, t, &WHY);
        assert_eq!(breaker.failed(Turn::Probe, t, &WHY), Some(900 * SECOND));
    }
}
