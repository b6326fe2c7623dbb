//! The join itself, against a real PostgreSQL: any order, any repetition, any number of replicas.

use std::time::Duration;

use decision::incoming::Incoming;
use decision::store::Store;
use domain::{AgainstVerdict, ListQuery, ReviewDecision};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use crate::cases::{Database, deployment, events, expected, outcome_at, review};

/// What holds whatever the order was.
async fn check(pool: &PgPool, store: &Store, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        let id = deployment(number).id;
        let rows =
            sqlx::query("SELECT number, verdict, missing FROM verdicts WHERE deployment_id = $1 ORDER BY number")
                .bind(id.uuid())
                .fetch_all(pool)
                .await
                .unwrap();
        let sequence: Vec<i32> = rows.iter().map(|row| row.get("number")).collect();
        assert_eq!(sequence, (1..=i32::try_from(rows.len()).unwrap()).collect::<Vec<_>>(), "of {number}");
        assert_eq!(rows.last().unwrap().get::<&str, _>("verdict"), expected(number), "of {number}");
        for row in &rows {
            let missing: Vec<String> = row.get("missing");
            assert!(missing.is_empty() || row.get::<&str, _>("verdict") != "ALLOW", "of {number}: {missing:?}");
        }
        for number in sequence {
            let rederived = store.rederive(id, number.cast_unsigned()).await.unwrap();
            assert_eq!(rederived.stored, rederived.again, "verdict {number} of {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_the_verdict_is_that_of_the_signals() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let replicas = [database.store(Duration::from_secs(600)).await, database.store(Duration::from_secs(600)).await];
    let mut runner = TestRunner::deterministic();
    for round in 0..12_u32 {
        let numbers = round * 6 + 1..round * 6 + 7;
        let all: Vec<Incoming> = numbers.clone().flat_map(events).collect();
        // Every event two times, in any order, cut into batches anywhere, to either replica.
        let twice: Vec<Incoming> = all.iter().chain(&all).cloned().collect();
        let shuffled = proptest::strategy::Just(twice).prop_shuffle().new_tree(&mut runner).unwrap().current();
        let cuts = proptest::collection::vec((1_usize..9, any::<bool>()), 60).new_tree(&mut runner).unwrap().current();
        let (mut rest, mut lanes) = (shuffled.as_slice(), [Vec::new(), Vec::new()]);
        for (size, lane) in cuts {
            let (batch, others) = rest.split_at(size.min(rest.len()));
            lanes[usize::from(lane)].push(batch.to_vec());
            rest = others;
        }
        assert!(rest.is_empty());
        let run = async |store: &Store, batches: &[Vec<Incoming>]| {
            for batch in batches {
                store.join(batch).await.unwrap();
            }
        };
        tokio::join!(run(&replicas[0], &lanes[0]), run(&replicas[1], &lanes[1]));
        check(&pool, &replicas[0], numbers).await;
    }
    database.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_decides_once_however_many_replicas_look() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let first = database.store(Duration::ZERO).await;
    let second = database.store(Duration::ZERO).await;
    for number in 1..=40 {
        // Only the acceptance and, for some, one signal.
        first.join(&events(number)[..1 + usize::from(number.is_multiple_of(2))]).await.unwrap();
    }
    let sweep = async |store: &Store| {
        let mut decided = 0;
        while let 1.. = {
            let now = store.sweep(7).await.unwrap().len();
            decided += now;
            now
        } {}
        decided
    };
    let (one, other) = tokio::join!(sweep(&first), sweep(&second));
    assert_eq!(one + other, 40);
    let verdicts: Vec<(String, String, i32)> =
        sqlx::query_as("SELECT verdict, cause, number FROM verdicts").fetch_all(&pool).await.unwrap();
    assert_eq!(verdicts.len(), 40);
    for (verdict, cause, number) in verdicts {
        assert_ne!(verdict, "ALLOW");
        assert_eq!((cause.as_str(), number), ("deadline", 1));
    }
    // What was missing comes late: the next verdict, and again none twice.
    for number in 1..=40 {
        second.join(&events(number)).await.unwrap();
        second.join(&events(number)).await.unwrap();
    }
    check(&pool, &first, 1..=40).await;
    database.verify().await;
    let waiting = first.take_waiting(1_000, Duration::ZERO).await.unwrap();
    assert_eq!(waiting.outgoing.len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_from_the_outbox_and_not_taken_out_is_there_again() {
    let database = Database::start().await;
    let store = database.store(Duration::from_secs(600)).await;
    for number in 1..=3 {
        store.join(&events(number)).await.unwrap();
    }
    let taken = store.take_waiting(2, Duration::ZERO).await.unwrap();
    let others = store.take_waiting(10, Duration::ZERO).await.unwrap();
    assert_eq!((taken.outgoing.len(), others.outgoing.len()), (2, 1), "no verdict is taken twice");
    // The relay dies before it takes out the first two.
    drop(taken);
    let published: Vec<_> = others.outgoing.iter().map(|(id, _)| *id).collect();
    others.take_out(&published).await.unwrap();
    let again = harness::eventually("the two are there again", async || {
        let again = store.take_waiting(10, Duration::ZERO).await.unwrap();
        (again.outgoing.len() == 2).then_some(again)
    })
    .await;
    assert!(again.outgoing.iter().all(|(id, _)| !published.contains(id)));
}

/// What came whole is decided before its row is made, which takes nothing for granted that was there before.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_came_whole_is_stored_as_any_other() {
    let database = Database::start().await;
    let (store, pool) = (database.store(Duration::from_secs(600)).await, database.pool().await);
    let (whole, in_two, known) = (6, 12, 18);
    let halves = events(in_two);
    let first = outcome_at(known, OffsetDateTime::UNIX_EPOCH);
    for batch in [&events(whole)[..], &halves[..2], &halves[2..], &[first], &events(known)[..], &events(whole)[..]] {
        store.join(batch).await.unwrap();
    }
    // Two that are known already, in one way and the other, among one that is not.
    let again = [events(whole), events(24), events(known)].concat();
    assert_eq!(store.join(&again).await.unwrap().verdicts.len(), 1);
    let mut rows = Vec::new();
    for number in [whole, in_two, known, 24] {
        let row: (Option<String>, i32, Option<f64>, bool, i64) = sqlx::query_as(
            "SELECT verdict, verdict_number, risk, accepted_event_id IS NOT NULL AND deadline_at IS NOT NULL,
                 (SELECT count(*) FROM outbox JOIN verdicts USING (event_id) WHERE deployment_id = deployments.deployment_id)
             FROM deployments WHERE deployment_id = $1",
        )
        .bind(deployment(number).id.uuid())
        .fetch_one(&pool)
        .await
        .unwrap();
        rows.push(row);
    }
    let expected = (Some(expected(whole).to_owned()), 1, Some(0.2), true, 1);
    assert_eq!(rows, vec![expected; 4]);
    check(&pool, &store, [whole, in_two, known, 24].into_iter()).await;
    database.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deployed_against_its_verdict_is_recorded_as_such() {
    let database = Database::start().await;
    let (store, pool) = (database.store(Duration::from_secs(600)).await, database.pool().await);
    for number in [1, 2, 3, 4] {
        store.join(&events(number)).await.unwrap();
    }
    let now = OffsetDateTime::now_utc();
    store.join(&[review(2, ReviewDecision::Approved, now), review(4, ReviewDecision::Rejected, now)]).await.unwrap();
    let later = now + Duration::from_secs(60);
    let outcomes: Vec<Incoming> = (1..=5).map(|number| outcome_at(number, later)).collect();
    store.join(&outcomes).await.unwrap();
    // Before its verdict, or before it was approved.
    let early = |number| outcome_at(number, OffsetDateTime::UNIX_EPOCH);
    store.join(&[early(1), outcome_at(2, now - Duration::from_millis(1))]).await.unwrap();
    // The verdict that comes afterwards makes no difference.
    store.join(&events(5)).await.unwrap();
    let expected = [
        (1, vec![Some("none"), None]),
        (2, vec![Some("REVIEW"), None]),
        (3, vec![Some("BLOCK")]),
        (4, vec![Some("BLOCK")]),
        (5, vec![Some("none")]),
    ];
    for (number, against) in expected {
        let sql = "SELECT against_verdict FROM outcomes WHERE deployment_id = $1 ORDER BY occurred_at";
        let filed: Vec<Option<String>> =
            sqlx::query_scalar(sql).bind(deployment(number).id.uuid()).fetch_all(&pool).await.unwrap();
        assert_eq!(filed.iter().map(Option::as_deref).collect::<Vec<_>>(), against, "of {number}");
    }
    let all = ListQuery { page_size: 100, ..ListQuery::default() };
    let listed = store.list(&ListQuery { against_verdict: true, ..all.clone() }).await.unwrap();
    let against: Vec<_> = listed.deployments.iter().map(|found| (found.pull_request, found.against_verdict)).collect();
    assert_eq!(against.len(), 5, "{against:?}");
    assert!(against.contains(&(3, Some(AgainstVerdict::Block))), "{against:?}");
    store.join(&events(7)).await.unwrap();
    assert_eq!(store.list(&all).await.unwrap().deployments.len(), 6);
    let dossier = store.dossier(deployment(5).id).await.unwrap().unwrap();
    assert_eq!(dossier.against_verdict, Some(AgainstVerdict::None));
}
