//! How much waits to be decided: when it is too much, submissions are refused at the door, with the time after which the services will
//! have caught up. The stream is asked how far its readers are, and only while submissions come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::{Bus, Progress, Shutdown};
use futures::future;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::Status;

use crate::status;

/// What a submission has to pass on its way to the verdict, stage by stage: the durable consumers of each, which work side by side, and
/// how many events each of them gets of one submission.
const STAGES: [&[(&str, u64)]; 3] = [
    &[("ingest", 1)],
    &[("static-analysis", 1), ("ml-scoring", 1)],
    // Each of the two analysers raises a signal.
    &[("decision-accepted", 1), ("decision-signal", 2)],
];

/// How often the stream is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long its answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what it said counts. What is older is not known any more, and nobody is refused for it.
const COUNTS_FOR: Duration = Duration::from_secs(5);
/// How long somebody is told to wait, at least, and at most: also where nothing moves at all.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How far the readers were that could be told; the others count as if nothing waited for them.
#[derive(Clone, Debug)]
struct Look {
    at: Instant,
    readers: BTreeMap<&'static str, Progress>,
}

impl Look {
    /// How many submissions wait, in all stages; and the reader for which most of them do.
    fn waiting(&self) -> (u64, Option<(&'static str, u64)>) {
        let open = |(name, events): &(&'static str, u64)| {
            let open = self.readers.get(name)?.open.div_ceil(*events);
            (open > 0).then_some((open, (*name, *events)))
        };
        let worst: Vec<_> = STAGES.iter().filter_map(|stage| stage.iter().filter_map(open).max()).collect();
        let sum = worst.iter().map(|(open, _)| open).sum();
        (sum, worst.into_iter().max().map(|(_, reader)| reader))
    }

    /// How many submissions a second the reader got done that has most before it; `None` when nothing waits.
    fn drained_since(&self, before: &Self) -> Option<f64> {
        let (name, events) = self.waiting().1?;
        let done = self.readers.get(name)?.done.saturating_sub(before.readers.get(name)?.done);
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        (seconds > 0.0).then(|| done as f64 / events as f64 / seconds)
    }
}

/// When half of `backlog_max` will be left of `waiting`, at `drained` submissions a second.
fn again_after(waiting: u64, backlog_max: u64, drained: Option<f64>) -> Duration {
    let excess = waiting.saturating_sub(backlog_max / 2) as f64;
    let wait = drained.map_or(Ok(WAIT_MIN), |drained| Duration::try_from_secs_f64(excess / drained));
    wait.unwrap_or(WAIT_MAX).clamp(WAIT_MIN, WAIT_MAX)
}

/// What is known of the backlog. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Backlog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: u64,
    /// Submissions that were let in, ever.
    admitted: AtomicU64,
    /// Whether one was refused since the stream was last asked: what waits may be fewer again by then.
    has_refused: AtomicBool,
    /// Called by each submission.
    wanted: Notify,
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    at: Instant,
    waiting: u64,
    /// Of those that were let in, how many are in `waiting`.
    admitted: u64,
    drained: Option<f64>,
}

impl Backlog {
    /// Of at most `max` submissions; 0 for no limit.
    pub(crate) fn new(max: u64) -> Self {
        let (admitted, has_refused) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Shared { max, admitted, has_refused, wanted: Notify::new(), known: Mutex::default() }))
    }

    /// Lets a submission in, and counts it.
    ///
    /// # Errors
    /// When too many wait already: then how long to wait.
    pub(crate) fn admit(&self) -> Result<(), Status> {
        let Shared { max, admitted, has_refused, wanted, known } = &*self.0;
        if *max == 0 {
            return Ok(());
        }
        wanted.notify_one();
        let known = *known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| known.at.elapsed() < COUNTS_FOR) {
            let since = admitted.load(Ordering::Relaxed).saturating_sub(known.admitted);
            let waiting = known.waiting + since;
            if waiting >= *max {
                has_refused.store(true, Ordering::Relaxed);
                return Err(status::backlogged(waiting, *max, again_after(waiting, *max, known.drained)));
            }
        }
        admitted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Asks the stream while submissions come, until `shutdown` is called.
    pub(crate) async fn watch(self, bus: Bus, shutdown: Shutdown) {
        let (mut before, mut told) = (None, Told::default());
        loop {
            tokio::select! {
                () = shutdown.called() => return,
                () = self.0.wanted.notified() => {}
            }
            let admitted = self.0.admitted.load(Ordering::Relaxed);
            let look = look(&bus).await;
            let (waiting, _) = look.waiting();
            let last = before.replace(look.clone()).filter(|last| look.at.duration_since(last.at) < COUNTS_FOR);
            let drained = last.and_then(|last| look.drained_since(&last));
            let known = Known { at: look.at, waiting, admitted, drained };
            *self.0.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
            told.tell(&look, waiting, self.0.max, self.0.has_refused.swap(false, Ordering::Relaxed));
            tokio::select! {
                () = shutdown.called() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

async fn look(bus: &Bus) -> Look {
    let names = STAGES.iter().flat_map(|stage| stage.iter()).map(|(name, _)| *name);
    let asked = future::join_all(names.map(|name| async move {
        let answer = tokio::time::timeout(PATIENCE, bus.progress(name)).await;
        answer.ok().and_then(Result::ok).map(|progress| (name, progress))
    }));
    let readers = asked.await.into_iter().flatten().collect();
    Look { at: Instant::now(), readers }
}

/// What was logged last, so that only changes are.
#[derive(Debug, Default)]
struct Told {
    unknown: Vec<&'static str>,
    is_full: bool,
}

impl Told {
    fn tell(&mut self, look: &Look, waiting: u64, max: u64, has_refused: bool) {
        let all = STAGES.iter().flat_map(|stage| stage.iter()).map(|(name, _)| *name);
        let unknown: Vec<_> = all.filter(|name| !look.readers.contains_key(name)).collect();
        if unknown != self.unknown {
            match unknown.as_slice() {
                [] => tracing::info!("how much waits to be decided is known"),
                names => tracing::warn!(
                    "how much waits for {} cannot be told: submissions are taken without regard to it",
                    names.join(", ")
                ),
            }
            self.unknown = unknown;
        }
        let is_full = has_refused || waiting >= max;
        if is_full != self.is_full {
            if is_full {
                tracing::warn!(
                    "more submissions wait to be decided than gateway.backlog_max = {max}, now {waiting}: further ones are refused"
                );
            } else {
                tracing::info!("{waiting} submissions wait to be decided: further ones are taken again");
            }
            self.is_full = is_full;
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    fn look(at: Instant, readers: &[(&'static str, u64, u64)]) -> Look {
        let readers = readers.iter().map(|(name, open, done)| (*name, Progress { open: *open, done: *done })).collect();
        Look { at, readers }
    }

    #[test]
    fn what_works_side_by_side_counts_once_and_stages_add_up() {
        let now = Instant::now();
        let all = [
            ("ingest", 5, 0),
            ("static-analysis", 10, 0),
            ("ml-scoring", 30, 0),
            ("decision-accepted", 7, 0),
            ("decision-signal", 19, 0),
        ];
        assert_eq!(look(now, &all).waiting(), (5 + 30 + 10, Some(("ml-scoring", 1))));
        assert_eq!(
            look(now, &all[..2]).waiting(),
            (15, Some(("static-analysis", 1))),
            "what is not known is not there"
        );
        assert_eq!(look(now, &[]).waiting(), (0, None));
    }

    #[test]
    fn the_rate_is_that_of_the_reader_with_most_before_it() {
        let (before, now) = (Instant::now(), Instant::now() + Duration::from_secs(2));
        let first = look(before, &[("ingest", 0, 100), ("decision-signal", 900, 1_000)]);
        let then = look(now, &[("ingest", 0, 900), ("decision-signal", 800, 1_400)]);
        let drained = then.drained_since(&first).unwrap();
        assert!((drained - 100.0).abs() < 0.001, "400 signals of 200 submissions in 2 s: {drained}");
        assert_eq!(then.drained_since(&look(before, &[])), None);
    }

    #[test]
    fn who_is_refused_waits_until_half_is_gone_within_sane_bounds() {
        let seconds = |waiting, drained| again_after(waiting, 1_000, drained).as_secs_f64();
        assert!((seconds(1_000, Some(100.0)) - 5.0).abs() < 0.001);
        assert!((seconds(1_500, Some(100.0)) - 10.0).abs() < 0.001);
        assert_eq!(again_after(1_000, 1_000, Some(1e9)), WAIT_MIN);
        assert_eq!(again_after(1_000, 1_000, Some(0.0)), WAIT_MAX, "nothing moves");
        assert_eq!(again_after(1_000, 1_000, None), WAIT_MIN, "no rate is known yet");
    }

    #[test]
    fn those_let_in_since_the_stream_was_asked_count() {
        let known = |at, waiting| Known { at, waiting, admitted: 0, drained: Some(1.0) };
        let backlog = Backlog::new(10);
        *backlog.0.known.lock().unwrap() = Some(known(Instant::now(), 8));
        assert!(backlog.admit().is_ok() && backlog.admit().is_ok());
        let refused = backlog.admit().unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "BACKLOG_FULL");
        assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(5)));
        assert!(refused.message().contains("gateway.backlog_max"), "{refused:?}");
    }

    #[test]
    fn nobody_is_refused_for_what_is_not_known() {
        let unlimited = Backlog::new(0);
        let unknown = Backlog::new(1);
        assert!((0..5).all(|_| unlimited.admit().is_ok() && unknown.admit().is_ok()));
    }
}
