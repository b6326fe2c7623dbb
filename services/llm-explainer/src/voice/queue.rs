//! Whose turn it is with the model: a few questions at a time; BLOCK and REVIEW go before ALLOW, and who came first goes
//! first among equals.
//!
//! Knows neither the model nor how long anybody may wait: who gives up drops its place.

use std::collections::BTreeSet;

use domain::Verdict;
use tokio::sync::watch;

/// The queue in front of the model.
#[derive(Debug)]
pub(super) struct Queue {
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct State {
    /// How many more may ask at present.
    free: usize,
    /// Who waits, in the order in which they will have their turn.
    waiting: BTreeSet<Place>,
    /// The number of the next to come.
    next: u64,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The others go first.
    is_allow: bool,
    number: u64,
}

/// Somebody's turn; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Queue);

impl Queue {
    /// A queue in which at most so many, at least 1, have their turn at once.
    pub(super) fn new(turns_max: usize) -> Self {
        Self { state: watch::Sender::new(State { free: turns_max, waiting: BTreeSet::new(), next: 0 }) }
    }

    /// Waits for the turn of an explanation of `verdict`.
    pub(super) async fn turn(&self, verdict: Verdict) -> Turn<'_> {
        let waiting = Waiting::join(self, verdict);
        let mut changes = self.state.subscribe();
        loop {
            let taken = self.state.send_if_modified(|state| state.take(waiting.place));
            if taken {
                return Turn(self);
            }
            // Fails only when the sender is gone, and `self` holds it.
            let _ = changes.changed().await;
        }
    }
}

impl State {
    /// Begins the turn of `place`, if it is the first and there is room.
    fn take(&mut self, place: Place) -> bool {
        let is_next = self.free > 0 && self.waiting.first() == Some(&place);
        if is_next {
            self.free -= 1;
            self.waiting.remove(&place);
        }
        is_next
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.free += 1);
    }
}

/// A place that is given up when this is dropped, whether its turn came or not.
struct Waiting<'a> {
    queue: &'a Queue,
    place: Place,
}

impl<'a> Waiting<'a> {
    fn join(queue: &'a Queue, verdict: Verdict) -> Self {
        let mut place = Place { is_allow: verdict == Verdict::Allow, number: 0 };
        queue.state.send_if_modified(|state| {
            place.number = state.next;
            state.next += 1;
            state.waiting.insert(place);
            // Nobody's turn comes because another waits.
            false
        });
        Self { queue, place }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.state.send_if_modified(|state| state.waiting.remove(&self.place));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use futures::{FutureExt, poll};
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn block_and_review_go_before_an_allow_that_waits_already() {
        let queue = Queue::new(1);
        let busy = queue.turn(Verdict::Allow).await;
        let (mut allow, mut block) = (pin!(queue.turn(Verdict::Allow)), pin!(queue.turn(Verdict::Block)));
        let mut review = pin!(queue.turn(Verdict::Review));
        assert!(poll!(&mut allow).is_pending() && poll!(&mut block).is_pending() && poll!(&mut review).is_pending());
        drop(busy);
        assert!(poll!(&mut allow).is_pending());
        assert!(poll!(&mut review).is_pending(), "the block came first");
        let Poll::Ready(turn) = poll!(&mut block) else { panic!("it is the turn of the block") };
        drop(turn);
        let Poll::Ready(turn) = poll!(&mut review) else { panic!("it is the turn of the review") };
        assert!(poll!(&mut allow).is_pending());
        drop(turn);
        assert!(poll!(&mut allow).is_ready());
    }

    #[tokio::test]
    async fn who_gives_up_holds_nobody_up() {
        let queue = Queue::new(1);
        let busy = queue.turn(Verdict::Block).await;
        let mut allow = pin!(queue.turn(Verdict::Allow));
        {
            let mut block = pin!(queue.turn(Verdict::Block));
            assert!(poll!(&mut block).is_pending() && poll!(&mut allow).is_pending());
        }
        drop(busy);
        assert!(poll!(&mut allow).is_ready());
    }

    #[tokio::test]
    async fn a_turn_wakes_who_waits() {
        let queue = Queue::new(2);
        let (first, second) = (queue.turn(Verdict::Allow).await, queue.turn(Verdict::Allow).await);
        assert!(queue.turn(Verdict::Block).now_or_never().is_none());
        let (_third, ()) = tokio::join!(queue.turn(Verdict::Block), async { drop(first) });
        drop(second);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn everybody_has_a_turn_and_never_too_many_at_once(
            turns_max in 1_usize..4,
            verdicts in prop::collection::vec(prop::sample::select(Verdict::ALL.to_vec()), 0..40),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (queue, at_once) = (Queue::new(turns_max), std::cell::Cell::new(0));
            let most = runtime.block_on(futures::future::join_all(verdicts.iter().map(async |verdict| {
                let turn = queue.turn(*verdict).await;
                at_once.set(at_once.get() + 1);
                let now = at_once.get();
                tokio::task::yield_now().await;
                at_once.set(at_once.get() - 1);
                drop(turn);
                now
            })));
            prop_assert!(most.iter().all(|now| *now <= turns_max));
            prop_assert_eq!(queue.state.borrow().free, turns_max);
            prop_assert!(queue.state.borrow().waiting.is_empty());
        }
    }
}
