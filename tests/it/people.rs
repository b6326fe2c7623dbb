//! What people decide and what is known around a deployment, against a real PostgreSQL.

use std::time::Duration;

use decision::incoming::{Content, Incoming};
use decision::store::Store;
use domain::{
    Deployment, DeploymentId, LinesDigest, ListQuery, Outcome, OutcomeKind, Repository, Review, ReviewDecision,
    Severity, Source,
};
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use crate::cases::{Database, deployment, found, incoming, risk, signal};

fn accepted(deployment: &Deployment) -> Incoming {
    incoming(deployment.clone(), Content::accepted)
}

fn signals(deployment: &Deployment, severities: &[Severity], probability: f64) -> [Incoming; 2] {
    [
        signal(deployment, Source::StaticAnalysis, "rules-1", 10, found(severities)),
        signal(deployment, Source::MlScoring, "model-1", 20, risk(probability)),
    ]
    .map(|signal| incoming(signal, Content::Signal))
}

fn review(deployment: &Deployment, verdict_number: u32, decision: ReviewDecision, second: i64) -> Incoming {
    let review = Review {
        deployment_id: deployment.id,
        verdict_number,
        decision,
        reviewer: "ann".to_owned(),
        why: "I looked at it".to_owned(),
        reviewed_at: OffsetDateTime::from_unix_timestamp(second).unwrap(),
        evidence_digest: String::new(),
        policy_digest: String::new(),
        request: None,
        recorded_by: String::new(),
    };
    incoming(review, Content::Review)
}

fn outcome(deployment: &Deployment, kind: OutcomeKind) -> Incoming {
    let outcome = Outcome {
        deployment_id: deployment.id,
        kind,
        detail: String::new(),
        reporter: "argo".to_owned(),
        occurred_at: OffsetDateTime::now_utc() + Duration::from_secs(60),
        request: None,
        recorded_by: String::new(),
    };
    incoming(outcome, Content::Outcome)
}

/// Every verdict of a deployment with its cause and who stands in the policy's place; each has to come out again from the rows.
async fn verdicts(pool: &PgPool, store: &Store, id: DeploymentId) -> Vec<String> {
    let rows =
        sqlx::query("SELECT verdict, cause, overruled_by FROM verdicts WHERE deployment_id = $1 ORDER BY number")
            .bind(id.uuid())
            .fetch_all(pool)
            .await
            .unwrap();
    for number in 1..=u32::try_from(rows.len()).unwrap() {
        let rederived = store.rederive(id, number).await.unwrap();
        assert_eq!(rederived.stored, rederived.again, "verdict {number} of {id}");
    }
    rows.iter()
        .map(|row| {
            let by: Option<&str> = row.get("overruled_by");
            format!("{} {} {}", row.get::<&str, _>("verdict"), row.get::<&str, _>("cause"), by.unwrap_or("-"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_makes_a_new_verdict_and_new_evidence_voids_it() {
    let database = Database::start().await;
    let (pool, store) = (database.pool().await, database.store(Duration::from_secs(600)).await);
    let one = deployment(1);
    store.join(&[accepted(&one)]).await.unwrap();
    store.join(&signals(&one, &[Severity::Medium], 0.01)).await.unwrap();
    let yes = review(&one, 1, ReviewDecision::Approved, 100);
    store.join(&[yes.clone(), yes.clone()]).await.unwrap();
    store.join(&[yes]).await.unwrap();
    let first = ["REVIEW complete -", "ALLOW review approved"];
    assert_eq!(verdicts(&pool, &store, one.id).await, first);

    let other = signal(&one, Source::StaticAnalysis, "rules-2", 200, found(&[Severity::Medium, Severity::Medium]));
    store.join(&[incoming(other, Content::Signal)]).await.unwrap();
    let voided = [first.as_slice(), &["REVIEW late -"]].concat();
    assert_eq!(verdicts(&pool, &store, one.id).await, voided);

    store.join(&[review(&one, 3, ReviewDecision::Approved, 300)]).await.unwrap();
    store.join(&[review(&one, 4, ReviewDecision::Rejected, 400)]).await.unwrap();
    let overruled = ListQuery { page_size: 9, overruled: true, ..ListQuery::default() };
    let listed = store.list(&overruled).await.unwrap().deployments;
    assert_eq!(listed.iter().map(|one| one.overruled).collect::<Vec<_>>(), [Some(ReviewDecision::Rejected)]);
    let owing = ListQuery { overruled: false, owing_review: true, ..overruled };
    assert!(store.list(&owing).await.unwrap().deployments.is_empty());
    let all = [voided.as_slice(), &["ALLOW review approved", "BLOCK review rejected"]].concat();
    assert_eq!(verdicts(&pool, &store, one.id).await, all);
    database.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_of_a_verdict_that_is_not_there_or_without_the_right_changes_nothing() {
    let database = Database::start().await;
    let (pool, store) = (database.pool().await, database.store(Duration::from_secs(600)).await);
    let early = deployment(1);
    store.join(&[review(&early, 1, ReviewDecision::Approved, 5), accepted(&early)]).await.unwrap();
    store.join(&signals(&early, &[Severity::Medium], 0.01)).await.unwrap();
    assert_eq!(verdicts(&pool, &store, early.id).await, ["REVIEW complete -"]);

    let blocked = deployment(2);
    store.join(&[accepted(&blocked)]).await.unwrap();
    store.join(&signals(&blocked, &[Severity::Critical], 0.01)).await.unwrap();
    store.join(&[review(&blocked, 1, ReviewDecision::Approved, 100)]).await.unwrap();
    assert_eq!(verdicts(&pool, &store, blocked.id).await, ["BLOCK complete -", "BLOCK review -"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_deployment_brought_to_production_is_known_and_does_not_block() {
    let database = Database::start().await;
    let (pool, store) = (database.pool().await, database.store(Duration::from_secs(600)).await);
    let (first, second, third) = (deployment(1), deployment(2), deployment(3));
    for one in [&first, &second] {
        store.join(&[accepted(one)]).await.unwrap();
        store.join(&signals(one, &[Severity::High], 0.01)).await.unwrap();
        assert_eq!(verdicts(&pool, &store, one.id).await, ["BLOCK complete -"]);
    }
    store.join(&[outcome(&first, OutcomeKind::Succeeded)]).await.unwrap();
    store.join(&[accepted(&third)]).await.unwrap();
    store.join(&signals(&third, &[Severity::High], 0.01)).await.unwrap();
    assert_eq!(verdicts(&pool, &store, third.id).await, ["ALLOW complete -"]);
    // What was taken back is not there, whatever was told of it before.
    let fourth = deployment(4);
    store.join(&[outcome(&first, OutcomeKind::RolledBack), accepted(&fourth)]).await.unwrap();
    store.join(&signals(&fourth, &[Severity::High], 0.01)).await.unwrap();
    assert_eq!(verdicts(&pool, &store, fourth.id).await, ["BLOCK complete -"]);
    database.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_whatever_order_it_is_told_what_came_to_production_is_known() {
    let database = Database::start().await;
    let (pool, store) = (database.pool().await, database.store(Duration::from_secs(600)).await);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let repository = Repository::parse(&format!("acme/{}{}{}", order[0], order[1], order[2])).unwrap();
        let of_its_own = |number| {
            let one = deployment(number);
            let id = DeploymentId::derive(&repository, one.pull_request, &one.revision);
            Deployment { id, repository: repository.clone(), ..one }
        };
        let (first, second) = (of_its_own(1), of_its_own(2));
        let words = [
            vec![accepted(&first)],
            signals(&first, &[Severity::High], 0.01).to_vec(),
            vec![outcome(&first, OutcomeKind::Succeeded)],
        ];
        for word in order {
            store.join(&words[word]).await.unwrap();
        }
        store.join(&[accepted(&second)]).await.unwrap();
        store.join(&signals(&second, &[Severity::High], 0.01)).await.unwrap();
        assert_eq!(verdicts(&pool, &store, second.id).await, ["ALLOW complete -"], "{order:?}");
    }
    database.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_in_production_can_be_taken_back_on_the_fast_track() {
    let database = Database::start().await;
    let (pool, store) = (database.pool().await, database.store(Duration::from_secs(600)).await);
    let with_lines = |number, done: &str, undone: &str| {
        let mut deployment = deployment(number);
        deployment.change.lines = Some(LinesDigest { done: done.repeat(64), undone: undone.repeat(64) });
        deployment
    };
    let (change, early, revert) = (with_lines(1, "a", "b"), with_lines(2, "b", "a"), with_lines(3, "b", "a"));
    store.join(&[accepted(&change), accepted(&early)]).await.unwrap();
    store.join(&signals(&change, &[], 0.01)).await.unwrap();
    store.join(&signals(&early, &[Severity::Medium], 0.2)).await.unwrap();
    assert_eq!(verdicts(&pool, &store, early.id).await, ["REVIEW complete -"]);

    store.join(&[outcome(&change, OutcomeKind::RolledBack), accepted(&revert)]).await.unwrap();
    store.join(&signals(&revert, &[Severity::Medium], 0.2)).await.unwrap();
    assert_eq!(verdicts(&pool, &store, revert.id).await, ["ALLOW complete -"]);
}
