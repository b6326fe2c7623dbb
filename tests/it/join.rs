//! The join itself, against a real PostgreSQL: any order, any repetition, any number of replicas.

use std::time::Duration;

use decision::config::DatabaseSettings;
use decision::incoming::{Content, Incoming};
use decision::policy::Policy;
use decision::store::Store;
use domain::{
    Analysis, Category, Change, Confidence, Deployment, DeploymentId, DiffDigest, DiffReference, Finding, History,
    PullRequest, Repository, Revision, Risk, RiskScore, Said, Severity, Signal, Source,
};
use embedded::Postgres;
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use proto::Event;
use sqlx::{PgPool, Row};
use tempfile::TempDir;
use time::OffsetDateTime;

struct Database {
    postgres: Postgres,
    _folder: TempDir,
}

impl Database {
    async fn start() -> Self {
        let folder = embedded::temporary_folder().unwrap();
        Self { postgres: Postgres::start(folder.path()).await.unwrap(), _folder: folder }
    }

    async fn store(&self, deadline: Duration) -> Store {
        let settings = DatabaseSettings { url: self.postgres.url().to_owned(), connections_max: 4 };
        Store::open(&settings, Policy::default(), deadline).await.unwrap()
    }

    async fn pool(&self) -> PgPool {
        PgPool::connect(self.postgres.url()).await.unwrap()
    }
}

fn deployment(number: u32) -> Deployment {
    let repository = Repository::parse("acme/shop").unwrap();
    let pull_request = PullRequest::new(number).unwrap();
    let revision = Revision::parse("0123456789abcdef").unwrap();
    Deployment {
        id: DeploymentId::derive(&repository, pull_request, &revision),
        repository,
        pull_request,
        revision,
        title: String::new(),
        author: String::new(),
        branch: String::new(),
        base_branch: String::new(),
        labels: vec![],
        environment: String::new(),
        opened_at: None,
        deploy_at: None,
        commits: None,
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        change: Change {
            diff: Some(DiffReference::Inline("diff".to_owned())),
            digest: DiffDigest::of("diff"),
            files: vec![],
            lines: None,
        },
        history: History::default(),
    }
}

fn finding(severity: Severity) -> Finding {
    Finding {
        rule_id: "code.test.rule".to_owned(),
        title: "a test".to_owned(),
        category: Category::Code,
        severity,
        confidence: Confidence::High,
        path: "src/lib.rs".to_owned(),
        line: 3,
        column: 1,
        excerpt: String::new(),
        message: "something is wrong".to_owned(),
        remediation: "mend it".to_owned(),
        cwe: 0,
        fingerprint: "0".repeat(32),
        hazard: String::new(),
        suppression: None,
    }
}

fn signal(deployment: &Deployment, source: Source, basis: &str, second: i64, said: Said) -> Signal {
    Signal {
        deployment_id: deployment.id,
        source,
        basis: basis.to_owned(),
        producer: "0.1.0".to_owned(),
        raised_at: OffsetDateTime::from_unix_timestamp(second).unwrap(),
        took: Duration::from_millis(1),
        said,
    }
}

fn found(severities: &[Severity]) -> Said {
    let findings = severities.iter().map(|severity| finding(*severity)).collect();
    Said::Findings(Analysis { findings, ..Analysis::default() })
}

fn risk(probability: f64) -> Said {
    Said::Risk(RiskScore {
        risk: Risk::new(probability).unwrap(),
        base_log_odds: 0.0,
        contributions: vec![],
        unknown: vec![],
        provenance: String::new(),
        grounds: None,
        lift: None,
        shadow: None,
        rank: None,
    })
}

fn incoming<E: Event>(event: E, content: fn(E) -> Content) -> Incoming {
    Incoming {
        event_id: event.event_id(),
        deployment_id: event.deployment_id().unwrap(),
        kind: E::KIND,
        subject: event.subject(),
        stream_sequence: 1,
        message_id: None,
        traceparent: None,
        body: event.encode(),
        content: content(event),
    }
}

/// All events of one deployment: its acceptance, a first signal that gave up, and the signals that count in the end.
fn events(number: u32) -> Vec<Incoming> {
    let deployment = deployment(number);
    let gave_up = Said::Unavailable { reason: "no luck".to_owned() };
    let severities: &[Severity] = if number.is_multiple_of(3) { &[Severity::High] } else { &[] };
    let signals = [
        signal(&deployment, Source::StaticAnalysis, "rules-1", 10, found(severities)),
        signal(&deployment, Source::MlScoring, "model-1", 30, gave_up),
        signal(&deployment, Source::MlScoring, "model-1", 20, risk(if number.is_multiple_of(2) { 0.2 } else { 0.01 })),
    ];
    let mut all = vec![incoming(deployment, |event| Content::Accepted(Box::new(event)))];
    all.extend(signals.map(|signal| incoming(signal, Content::Signal)));
    all
}

fn expected(number: u32) -> &'static str {
    match (number % 3, number % 2) {
        (0, _) => "BLOCK",
        (_, 0) => "REVIEW",
        _ => "ALLOW",
    }
}

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
            let now = store.sweep(7).await.unwrap();
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
    let waiting = first.take_waiting(1_000).await.unwrap();
    assert_eq!(waiting.outgoing.len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_from_the_outbox_and_not_marked_is_there_again() {
    let database = Database::start().await;
    let store = database.store(Duration::from_secs(600)).await;
    for number in 1..=3 {
        store.join(&events(number)).await.unwrap();
    }
    let taken = store.take_waiting(2).await.unwrap();
    let others = store.take_waiting(10).await.unwrap();
    assert_eq!((taken.outgoing.len(), others.outgoing.len()), (2, 1), "no verdict is taken twice");
    // The relay dies before it marks the first two.
    drop(taken);
    let published: Vec<_> = others.outgoing.iter().map(|(id, _)| *id).collect();
    others.mark_published(&published).await.unwrap();
    let again = harness::eventually("the two are there again", async || {
        let again = store.take_waiting(10).await.unwrap();
        (again.outgoing.len() == 2).then_some(again)
    })
    .await;
    assert!(again.outgoing.iter().all(|(id, _)| !published.contains(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_refuses_changes() {
    let database = Database::start().await;
    let pool = database.pool().await;
    database.store(Duration::from_secs(600)).await.join(&events(3)).await.unwrap();
    for table in ["events", "verdicts", "findings", "policies"] {
        for statement in [format!("DELETE FROM {table}"), format!("UPDATE {table} SET deployment_id = deployment_id")] {
            let statement =
                statement.replace("policies SET deployment_id = deployment_id", "policies SET version = version");
            let refused = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap_err().to_string();
            assert!(refused.contains("append-only"), "{table}: {refused}");
        }
    }
}
