//! How many events are joined in one transaction: those that are there, and those that it is worth to wait for.
//!
//! A transaction costs much the same for one event as for ten. Most deployments come as an acceptance and, some milliseconds later, a
//! signal from each analyser: joined together they need one transaction and not three, and the verdict is there sooner.

use std::collections::HashMap;
use std::time::Duration;

use domain::{Deployment, Explanation, Signal, Source};
use futures::FutureExt;
use futures::stream::{Stream, StreamExt};
use tokio::time::Instant;

/// With so many events at once there is much to do.
const MANY: usize = 64;
/// How long is waited for more of them then.
const GATHER: Duration = Duration::from_millis(10);
/// How long what no verdict can follow from waits for what it can.
const UNHURRIED: Duration = Duration::from_millis(20);

/// What arrives.
pub(crate) trait Arrival {
    /// The subject it came on, which ends with the deployment's id.
    fn subject(&self) -> &str;
}

/// `first` and what else is there, at most `most` in all; what arrives within a moment, when there is much: fewer and larger transactions
/// do more of it; and what arrives a little later, as long as no verdict can follow from what has come. Unless it `waits` for nothing.
pub(crate) async fn gather<T: Arrival>(
    first: T,
    arrivals: &mut (impl Stream<Item = T> + Unpin),
    most: usize,
    waits: bool,
) -> Vec<T> {
    let (mut batch, mut seen, began) = (vec![first], 0, Instant::now());
    let mut hurry = Hurry::default();
    loop {
        while batch.len() < most
            && let Some(Some(one)) = arrivals.next().now_or_never()
        {
            batch.push(one);
        }
        batch[seen..].iter().for_each(|one| hurry.note(one.subject()));
        seen = batch.len();
        let wait = match seen {
            _ if !waits || seen >= most => return batch,
            MANY.. => GATHER,
            _ if hurry.is_on() => return batch,
            _ => UNHURRIED,
        };
        match tokio::time::timeout_at(began + wait, arrivals.next()).await {
            Ok(Some(one)) => batch.push(one),
            _ => return batch,
        }
    }
}

/// Whether somebody waits for what has come.
#[derive(Debug, Default)]
struct Hurry {
    /// Somebody asked for something, or something came of a kind that is not known here.
    is_asked_for: bool,
    /// Of each deployment, whether its acceptance is here, and how many signals are.
    deployments: HashMap<String, (bool, usize)>,
}

impl Hurry {
    fn note(&mut self, subject: &str) {
        let (kind, id) = subject.rsplit_once('.').unwrap_or((subject, ""));
        if kind.ends_with(Deployment::KIND) {
            self.deployments.entry(id.to_owned()).or_default().0 = true;
        } else if kind.ends_with(Signal::KIND) {
            self.deployments.entry(id.to_owned()).or_default().1 += 1;
        } else if !kind.ends_with(Explanation::KIND) {
            self.is_asked_for = true;
        }
    }

    /// A signal may complete a deployment whose acceptance came before; one whose acceptance is here is complete with all signals.
    fn is_on(&self) -> bool {
        let completes = |(accepted, signals): &(bool, usize)| match accepted {
            true => *signals >= Source::ALL.len(),
            false => *signals > 0,
        };
        self.is_asked_for || self.deployments.values().any(completes)
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    impl Arrival for String {
        fn subject(&self) -> &str {
            self
        }
    }

    fn accepted(id: usize) -> String {
        format!("failsafe.v1.deployment.accepted.{id}")
    }

    fn signal(id: usize) -> String {
        format!("failsafe.v1.signal.raised.{id}")
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_holds_what_is_there_and_never_more_than_it_may() {
        let of = async |there: usize| {
            let mut arrivals = stream::iter(1..there).map(signal).chain(stream::pending());
            gather(signal(0), &mut arrivals, 100, true).await.len()
        };
        assert_eq!((of(1).await, of(3).await), (1, 3));
        assert_eq!((of(MANY + 1).await, of(100).await, of(1_000).await), (MANY + 1, 100, 100));
    }

    /// How many of these there are in a batch when the last of them comes after so long.
    async fn with_one_later(mut there: Vec<String>, after: Duration) -> usize {
        let last = there.pop().unwrap();
        let later = stream::once(tokio::time::sleep(after)).map(move |()| last.clone());
        let mut arrivals = Box::pin(stream::iter(there.split_off(1)).chain(later).chain(stream::pending()));
        gather(there.remove(0), &mut arrivals, 100, true).await.len()
    }

    #[tokio::test(start_paused = true)]
    async fn when_there_is_much_more_is_waited_for_a_moment() {
        let many = |count: usize| (0..count).map(signal).collect::<Vec<_>>();
        assert_eq!(with_one_later(many(3), GATHER / 2).await, 2);
        assert_eq!(with_one_later(many(MANY + 1), GATHER / 2).await, MANY + 1);
        assert_eq!(with_one_later(many(MANY + 1), GATHER * 2).await, MANY);
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_verdict_follows_from_waits_for_what_it_does() {
        let explanation = || "failsafe.v1.explanation.written.1".to_owned();
        let review = || "failsafe.v1.review.recorded.1".to_owned();
        for (there, waits) in [
            (vec![accepted(1)], true),
            (vec![accepted(1), signal(1)], true),
            (vec![signal(1), accepted(1)], true),
            (vec![accepted(1), signal(1), signal(1)], false),
            (vec![accepted(1), signal(2)], false),
            (vec![explanation()], true),
            (vec![explanation(), review()], false),
        ] {
            let all = [there.clone(), vec![signal(1)]].concat();
            let expected = all.len() - usize::from(!waits);
            assert_eq!(with_one_later(all.clone(), UNHURRIED / 2).await, expected, "{there:?}");
            assert_eq!(with_one_later(all, UNHURRIED * 2).await, there.len(), "{there:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_everything_ends_nothing_is_waited_for() {
        let mut arrivals = Box::pin(stream::once(tokio::time::sleep(Duration::from_millis(1))).map(|()| signal(1)));
        assert_eq!(gather(accepted(1), &mut arrivals, 100, false).await.len(), 1);
    }
}
