//! The join under arbitrary interleavings: whatever comes in whatever order, however often, to whichever replica, with sweeps, relays
//! that die and a PostgreSQL that is killed in between, each deployment ends with the verdict that its signals deserve.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use decision::incoming::{Content, Incoming};
use decision::store::{Store, is_passing};
use domain::{Said, Severity, Signal, Source};
use harness::eventually;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::strategy::{Just, ValueTree};
use proptest::test_runner::TestRunner;
use proto::judgement_bytes;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::cases::{Database, deployment, found, incoming, judged, risk, signal};

const REPLICAS: usize = 2;

/// What is there to come of one deployment.
#[derive(Clone, Debug)]
struct Story {
    number: u32,
    accepted: bool,
    signals: Vec<Signal>,
}

/// One thing that a replica does.
#[derive(Clone, Debug)]
enum Step {
    Join(Vec<Incoming>),
    /// Decides what is overdue, which is everything.
    Sweep,
    /// Takes verdicts from the outbox, publishes them, and dies before it takes them out.
    Die,
    /// The same, and takes them out.
    Relay,
}

/// A signal: of which source, whether it is one that gave up, when it was raised, and how bad it is.
fn told(number: u32, ordinal: usize, (law, gave_up, second, bad): (bool, bool, i64, u8)) -> Signal {
    let source = if law { Source::StaticAnalysis } else { Source::MlScoring };
    let severities = [&[][..], &[Severity::Medium], &[Severity::High]];
    let said = match (gave_up, law) {
        (true, _) => Said::Unavailable { reason: format!("no luck at {second}") },
        (false, true) => found(severities[usize::from(bad % 3)]),
        (false, false) => risk([0.01, 0.2, 0.7][usize::from(bad % 3)]),
    };
    signal(&deployment(number), source, &format!("basis-{ordinal}"), second, said)
}

fn story(number: u32) -> impl Strategy<Value = Story> {
    let signals = vec((any::<bool>(), proptest::bool::weighted(0.3), 0..9_i64, any::<u8>()), 0..6);
    (proptest::bool::weighted(0.9), signals).prop_map(move |(accepted, signals)| Story {
        number,
        accepted,
        signals: signals.into_iter().enumerate().map(|(ordinal, said)| told(number, ordinal, said)).collect(),
    })
}

impl Story {
    fn events(&self) -> Vec<Incoming> {
        let accepted = self.accepted.then(|| incoming(deployment(self.number), Content::accepted));
        let signals = self.signals.iter().cloned().map(|signal| incoming(signal, Content::Signal));
        accepted.into_iter().chain(signals).collect()
    }

    /// The signals that count, whatever the order in which they came: those that are available before those that are not, then
    /// the latest.
    fn counting(&self) -> Vec<Signal> {
        let mut counting: BTreeMap<Source, &Signal> = BTreeMap::new();
        let rank = |one: &Signal| (!matches!(one.said, Said::Unavailable { .. }), one.raised_at, one.event_id());
        for one in &self.signals {
            let place = counting.entry(one.source).or_insert(one);
            if rank(one) > rank(place) {
                *place = one;
            }
        }
        counting.into_values().cloned().collect()
    }
}

/// Every event twice, in any order, cut into batches anywhere, with sweeps and relays in between; for each replica.
fn steps(runner: &mut TestRunner, stories: &[Story]) -> Vec<Vec<Step>> {
    let all: Vec<Incoming> = stories.iter().flat_map(Story::events).collect();
    let twice: Vec<Incoming> = all.iter().chain(&all).cloned().collect();
    let mut rest = Just(twice).prop_shuffle().new_tree(runner).unwrap().current();
    let mut lanes = vec![Vec::new(); REPLICAS];
    while !rest.is_empty() {
        let next = (1_usize..9, 0..REPLICAS, 0_u8..10);
        let (size, lane, extra) = next.new_tree(runner).unwrap().current();
        let others = rest.split_off(size.min(rest.len()));
        lanes[lane].push(Step::Join(std::mem::replace(&mut rest, others)));
        match extra {
            0 => lanes[lane].push(Step::Sweep),
            1 => lanes[lane].push(Step::Die),
            2 => lanes[lane].push(Step::Relay),
            _ => {}
        }
    }
    lanes
}

/// Takes `step`, and gives the verdicts that were published.
async fn take(store: &Store, step: &Step) -> Result<Vec<Uuid>, sqlx::Error> {
    let published = |waiting: &decision::store::Waiting| waiting.outgoing.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    match step {
        Step::Join(batch) => store.join(batch).await.map(|_| Vec::new()),
        Step::Sweep => store.sweep(3).await.map(|_| Vec::new()),
        Step::Die => store.take_waiting(4, Duration::ZERO).await.map(|waiting| published(&waiting)),
        Step::Relay => {
            let waiting = store.take_waiting(4, Duration::ZERO).await?;
            let ids = published(&waiting);
            waiting.take_out(&ids).await.map(|()| ids)
        }
    }
}

/// Decides what is still overdue and publishes what still waits; gives what was published.
async fn finish(pool: &PgPool, store: &Store) -> Vec<Uuid> {
    while !store.sweep(100).await.unwrap().is_empty() {}
    let mut all = Vec::new();
    // A relay that died holds its rows until PostgreSQL has noticed.
    eventually("nothing waits in the outbox", async || {
        all.extend(take(store, &Step::Relay).await.unwrap());
        let sql = "SELECT count(*) FROM outbox WHERE published_at IS NULL";
        let waiting: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.unwrap();
        (waiting == 0).then_some(())
    })
    .await;
    all
}

/// What holds in the end.
async fn check(pool: &PgPool, store: &Store, stories: &[Story]) {
    for story in stories {
        let id = deployment(story.number).id;
        let rows = sqlx::query(
            "SELECT number, verdict, judgement, missing FROM verdicts WHERE deployment_id = $1 ORDER BY number",
        )
        .bind(id.uuid())
        .fetch_all(pool)
        .await
        .unwrap();
        let numbers: Vec<i32> = rows.iter().map(|row| row.get("number")).collect();
        assert_eq!(numbers, (1..=i32::try_from(rows.len()).unwrap()).collect::<Vec<_>>(), "{story:?}");
        let Some(last) = rows.last() else {
            assert!(!story.accepted && story.signals.is_empty(), "no verdict of {story:?}");
            continue;
        };
        let deserved = judged(story.accepted, &story.counting());
        assert_eq!(last.get::<&[u8], _>("judgement"), judgement_bytes(&deserved), "{deserved:?} of {story:?}");
        for row in &rows {
            let missing: Vec<String> = row.get("missing");
            assert!(missing.is_empty() || row.get::<&str, _>("verdict") != "ALLOW", "{story:?}");
        }
        for number in numbers {
            let rederived = store.rederive(id, number.cast_unsigned()).await.unwrap();
            assert_eq!(rederived.stored, rederived.again, "verdict {number} of {story:?}");
        }
    }
}

async fn verdict_events(pool: &PgPool) -> BTreeSet<Uuid> {
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT event_id FROM verdicts").fetch_all(pool).await.unwrap();
    ids.into_iter().collect()
}

fn stories(runner: &mut TestRunner, numbers: std::ops::Range<u32>) -> Vec<Story> {
    numbers.map(|number| story(number).new_tree(runner).unwrap().current()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_in_whatever_order_the_last_verdict_is_that_of_the_signals() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let replicas = [database.store(Duration::ZERO).await, database.store(Duration::ZERO).await];
    let mut runner = TestRunner::deterministic();
    let mut published = BTreeSet::new();
    for round in 0..15_u32 {
        let stories = stories(&mut runner, round * 8 + 1..round * 8 + 9);
        let lanes = steps(&mut runner, &stories);
        let run = async |store: &Store, steps: &[Step]| {
            let mut published = Vec::new();
            for step in steps {
                published.extend(take(store, step).await.unwrap());
            }
            published
        };
        let (one, other) = tokio::join!(run(&replicas[0], &lanes[0]), run(&replicas[1], &lanes[1]));
        published.extend(one.into_iter().chain(other));
        published.extend(finish(&pool, &replicas[0]).await);
        check(&pool, &replicas[1], &stories).await;
    }
    let verdicts = verdict_events(&pool).await;
    assert_eq!(published, verdicts);
    database.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_is_killed_in_the_middle_changes_nothing() {
    let mut database = Database::start().await;
    let mut runner = TestRunner::deterministic();
    let stories = stories(&mut runner, 1..81);
    let lanes = steps(&mut runner, &stories);
    let total: usize = lanes.iter().map(Vec::len).sum();
    let done = AtomicUsize::new(0);
    let replicas = [database.store(Duration::ZERO).await, database.store(Duration::ZERO).await];
    let run = async |store: &Store, steps: &[Step]| {
        let mut published = Vec::new();
        for step in steps {
            // As the service does: what failed because PostgreSQL was away comes again.
            let taken = eventually("PostgreSQL is back", async || match take(store, step).await {
                Ok(ids) => Some(ids),
                Err(error) if is_passing(&error) => None,
                Err(error) => panic!("{error}"),
            });
            published.extend(taken.await);
            done.fetch_add(1, Ordering::Relaxed);
        }
        published
    };
    let kill = async {
        for part in 1..=3 {
            let much = || done.load(Ordering::Relaxed) >= total * part / 4;
            eventually("some of the work is done", async || much().then_some(())).await;
            database.postgres.kill().await.unwrap();
            database.postgres.restart().await.unwrap();
        }
    };
    let (one, other, ()) = tokio::join!(run(&replicas[0], &lanes[0]), run(&replicas[1], &lanes[1]), kill);
    let mut published: BTreeSet<Uuid> = one.into_iter().chain(other).collect();
    let (pool, store) = (database.pool().await, database.store(Duration::ZERO).await);
    published.extend(finish(&pool, &store).await);
    assert_eq!(published, verdict_events(&pool).await);
    check(&pool, &store, &stories).await;
    database.verify().await;
}
