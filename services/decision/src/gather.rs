//! Which events are joined in one transaction: those that are there, and those that it is worth to wait for.
//!
//! A transaction costs much the same for one event as for ten, and a deployment whose acceptance and signals come in the same one costs much less than
//! one that is taken up twice. Most come as an acceptance and, some milliseconds later, a signal from each analyser; when there is
//! much to do it is longer, because each of them waits in a queue of its own. So what no verdict can follow from yet is held back for a while.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::{DeploymentId, Source};
use tokio::time::Instant;

/// How long what no verdict can follow from waits for what it can.
const UNHURRIED: Duration = Duration::from_millis(20);
/// How long an explanation waits while nothing else is held. Soon, so that the next verdict need not wait for it in its own transaction.
const ALONE: Duration = Duration::from_millis(4);
/// With so many events held back there is much to do,
const MANY: usize = 64;
/// and then an acceptance waits so long for its signals: nobody could decide it sooner.
const PATIENT: Duration = Duration::from_secs(2);
/// As many batches, or bodies of so many bytes, are held at most.
const BATCHES_MAX: usize = 4;
const BYTES_MAX: usize = 32 << 20;

/// What an event is to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The acceptance.
    Acceptance,
    /// A signal.
    Signal,
    /// An explanation: nothing follows from it.
    Afterword,
    /// Somebody waits for what comes of it.
    Asked,
}

/// What arrives.
pub(crate) trait Arrival {
    /// The deployment that it is about.
    fn deployment(&self) -> DeploymentId;
    /// What it is to its verdict.
    fn part(&self) -> Part;
    /// How long its body is.
    fn bytes(&self) -> usize;
}

/// What has arrived and is not joined yet.
#[derive(Debug)]
pub(crate) struct Gathering<T> {
    held: HashMap<DeploymentId, Held<T>>,
    /// Those that go with the next batch: somebody waits for what comes of them, or they gain nothing by waiting on.
    ready: VecDeque<DeploymentId>,
    /// Whether somebody waits for one of those.
    hurries: bool,
    /// When the first of those that nobody waits for came.
    afterword: Option<Instant>,
    /// Acceptances that lack signals, since then. Some may have become ready, or be gone.
    partial: VecDeque<(Instant, DeploymentId)>,
    events: usize,
    bytes: usize,
    /// How many events go into one batch.
    most: usize,
}

/// What is held of one deployment.
#[derive(Debug)]
struct Held<T> {
    events: Vec<T>,
    since: Instant,
    is_ready: bool,
}

impl<T: Arrival> Held<T> {
    fn count(&self, part: Part) -> usize {
        self.events.iter().filter(|one| one.part() == part).count()
    }

    /// Somebody waits. A signal may complete a deployment whose acceptance came before; one whose acceptance is here is complete with
    /// all signals.
    fn hurries(&self) -> bool {
        let enough = if self.is_accepted() { Source::ALL.len() } else { 1 };
        self.count(Part::Asked) > 0 || self.count(Part::Signal) >= enough
    }

    fn is_accepted(&self) -> bool {
        self.count(Part::Acceptance) > 0
    }
}

impl<T: Arrival> Gathering<T> {
    /// Nothing yet, for batches of at most so many events.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            held: HashMap::new(),
            ready: VecDeque::new(),
            hurries: false,
            afterword: None,
            partial: VecDeque::new(),
            events: 0,
            bytes: 0,
            most,
        }
    }

    /// Whether more can be held.
    pub(crate) const fn has_room(&self) -> bool {
        self.events < BATCHES_MAX * self.most && self.bytes < BYTES_MAX
    }

    /// Holds one more.
    pub(crate) fn push(&mut self, one: T) {
        let (id, now) = (one.deployment(), Instant::now());
        self.events += 1;
        self.bytes += one.bytes();
        let held =
            self.held.entry(id).or_insert_with(|| Held { events: Vec::with_capacity(3), since: now, is_ready: false });
        held.events.push(one);
        let hurries = held.hurries();
        if !hurries && held.is_accepted() {
            if !held.is_ready && held.events.len() == 1 {
                self.partial.push_back((now, id));
            }
            return;
        }
        self.hurries |= hurries;
        if !hurries {
            self.afterword.get_or_insert(now);
        }
        if !std::mem::replace(&mut held.is_ready, true) {
            self.ready.push_back(id);
        }
    }

    /// When there will be a batch to join, if nothing more comes; `None` with nothing held.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        if self.events > 0 && (self.hurries || !self.has_room()) {
            return Some(Instant::now());
        }
        let patient = self.partial.front().map(|(since, _)| *since + self.patience());
        let along = self.afterword.map(|since| since + if self.partial.is_empty() { ALONE } else { UNHURRIED });
        patient.into_iter().chain(along).min()
    }

    const fn patience(&self) -> Duration {
        if self.events < MANY { UNHURRIED } else { PATIENT }
    }

    /// The next batch: what is ready, and what has waited long enough, or, when no more can be held, whatever came first.
    pub(crate) fn take(&mut self) -> Vec<T> {
        let (patience, has_room) = (self.patience(), self.has_room());
        let mut batch = Vec::new();
        while batch.len() < self.most
            && let Some(id) = self.ready.pop_front()
        {
            self.give(id, &mut batch);
        }
        if self.ready.is_empty() {
            (self.hurries, self.afterword) = (false, None);
        }
        let now = Instant::now();
        while batch.len() < self.most
            && let Some((since, id)) = self.partial.front().copied()
            && (now >= since + patience || !has_room || !self.waits(id, since))
        {
            self.partial.pop_front();
            if self.waits(id, since) {
                self.give(id, &mut batch);
            }
        }
        batch
    }

    /// Whether it is still there that has waited since then.
    fn waits(&self, id: DeploymentId, since: Instant) -> bool {
        self.held.get(&id).is_some_and(|held| !held.is_ready && held.since == since)
    }

    fn give(&mut self, id: DeploymentId, batch: &mut Vec<T>) {
        for one in self.held.remove(&id).into_iter().flat_map(|held| held.events) {
            self.events -= 1;
            self.bytes -= one.bytes();
            batch.push(one);
        }
    }

    /// All that is held.
    pub(crate) fn into_rest(self) -> impl Iterator<Item = T> {
        self.held.into_values().flat_map(|held| held.events)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use domain::{PullRequest, Repository, Revision};

    use super::*;

    type Event = (u32, Part);

    impl Arrival for Event {
        fn deployment(&self) -> DeploymentId {
            let repository = Repository::parse("failsafe-test").unwrap();
            let revision = Revision::parse(&format!("{:040x}", self.0)).unwrap();
            DeploymentId::derive(&repository, PullRequest::new(1).unwrap(), &revision)
        }

        fn part(&self) -> Part {
            self.1
        }

        fn bytes(&self) -> usize {
            1_000
        }
    }

    fn holding(events: impl IntoIterator<Item = Event>) -> Gathering<Event> {
        let mut gathering = Gathering::new(100);
        events.into_iter().for_each(|event| gathering.push(event));
        gathering
    }

    fn accepted(of: Range<u32>) -> impl Iterator<Item = Event> {
        of.map(|number| (number, Part::Acceptance))
    }

    /// How long the first batch waits, and what is in it then.
    async fn first_batch(gathering: &mut Gathering<Event>) -> (Duration, Vec<Event>) {
        let began = Instant::now();
        tokio::time::sleep_until(gathering.due_at().unwrap()).await;
        (began.elapsed(), gathering.take())
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_verdict_follows_from_waits_for_what_it_does() {
        use Part::{Acceptance, Afterword, Asked, Signal};
        for (held, waits) in [
            (vec![(1, Acceptance)], UNHURRIED),
            (vec![(1, Acceptance), (1, Signal)], UNHURRIED),
            (vec![(1, Acceptance), (1, Signal), (1, Signal)], Duration::ZERO),
            (vec![(1, Signal)], Duration::ZERO),
            (vec![(1, Afterword)], ALONE),
            (vec![(1, Afterword), (1, Asked)], Duration::ZERO),
            (vec![(1, Acceptance), (1, Asked)], Duration::ZERO),
        ] {
            let (waited, batch) = first_batch(&mut holding(held.clone())).await;
            assert_eq!((waited, batch), (waits, held));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_acceptance_is_held_back_while_others_are_decided_and_an_afterword_goes_along() {
        use Part::{Acceptance, Afterword, Signal};
        let mut gathering =
            holding([(1, Acceptance), (2, Acceptance), (3, Afterword), (2, Signal), (1, Signal), (2, Signal)]);
        let (waited, batch) = first_batch(&mut gathering).await;
        assert_eq!(waited, Duration::ZERO);
        assert_eq!(batch, [(3, Afterword), (2, Acceptance), (2, Signal), (2, Signal)]);
        gathering.push((1, Signal));
        let (waited, batch) = first_batch(&mut gathering).await;
        assert_eq!((waited, batch), (Duration::ZERO, vec![(1, Acceptance), (1, Signal), (1, Signal)]));
        assert_eq!(gathering.due_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn with_much_to_do_an_acceptance_waits_longer_and_an_afterword_does_not() {
        let many = 0..u32::try_from(MANY).unwrap();
        let (waited, batch) = first_batch(&mut holding(accepted(many.clone()))).await;
        assert_eq!((waited, batch.len()), (PATIENT, MANY));
        let mut gathering = holding(accepted(many).chain([(1_000, Part::Afterword)]));
        assert_eq!(first_batch(&mut gathering).await, (UNHURRIED, vec![(1_000, Part::Afterword)]));
        let (waited, batch) = first_batch(&mut gathering).await;
        assert_eq!((waited, batch.len()), (PATIENT - UNHURRIED, MANY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_has_an_end_and_when_there_is_no_room_nothing_waits() {
        let mut gathering = holding(accepted(0..400));
        assert!(!gathering.has_room());
        let (waited, batch) = first_batch(&mut gathering).await;
        assert_eq!((waited, batch), (Duration::ZERO, Vec::from_iter(accepted(0..100))));
        assert!(gathering.has_room());
        assert_eq!(gathering.into_rest().count(), 300);
        let mut gathering = holding((0..150).map(|number| (number, Part::Signal)));
        assert_eq!((gathering.take().len(), gathering.take().len(), gathering.take().len()), (100, 50, 0));
        assert_eq!(gathering.due_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_have_room_for_so_many_bytes_alone() {
        let mut gathering = Gathering::new(usize::MAX / BATCHES_MAX);
        accepted(0..u32::try_from(BYTES_MAX / 1_000).unwrap()).for_each(|event| gathering.push(event));
        assert!(gathering.has_room());
        gathering.push((u32::MAX, Part::Acceptance));
        assert!(!gathering.has_room());
        assert_eq!(first_batch(&mut gathering).await.0, Duration::ZERO);
        assert_eq!(gathering.due_at(), None);
    }
}
