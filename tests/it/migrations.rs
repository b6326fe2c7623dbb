//! Tables that an older version has left, brought up to date in a real PostgreSQL.

use std::path::Path;
use std::time::Duration;

use decision::chain::Month;
use decision::config::DatabaseSettings;
use decision::policy::Policy;
use decision::store::{Audit, Store};
use domain::OutcomeKind;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use time::OffsetDateTime;

use crate::cases::{Database, aftermath, deployment, events, outcome_at, outcome_of};
use crate::trail::{count, execute};

const LONG: Duration = Duration::from_secs(600);

/// The tables of the first migration, in an order in which they can be filled, with the columns that both versions have.
const FIRST: [(&str, &str); 10] = [
    ("policies", "digest, version, body, first_used_at"),
    ("events", "event_id, deployment_id, kind, subject, stream_sequence, message_id, traceparent, body, received_at"),
    (
        "deployments",
        "deployment_id, received_at, deadline_at, traceparent, accepted_event_id, accepted_at, repository, pull_request,
         revision, title, author, environment, facts, risk, verdict, verdict_number",
    ),
    ("signals", "deployment_id, source, event_id, available, basis, producer, raised_at, took_us"),
    (
        "findings",
        "event_id, ordinal, deployment_id, rule_id, category, severity, confidence, path, line, message, fingerprint",
    ),
    (
        "verdicts",
        "deployment_id, number, event_id, verdict, cause, policy_digest, inputs, judgement, missing, reached_at",
    ),
    ("outbox", "event_id, published_at"),
    ("explanations", "event_id, deployment_id, verdict_number, headline, model, written_at"),
    ("reviews", "event_id, deployment_id, verdict_number, decision, reviewer, why, reviewed_at"),
    ("outcomes", "event_id, deployment_id, kind, detail, reporter, occurred_at"),
];

/// The address of the database `earlier` on the same server.
fn earlier_of(url: &str) -> String {
    url.strip_suffix("failsafe").unwrap().to_owned() + "earlier"
}

/// Runs the first migration alone, and fills its tables with what `from` holds.
async fn fill_as_at_first(pool: &PgPool, from: &PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/0001_audit_trail.sql");
    std::fs::copy(first, folder.path().join("0001_audit_trail.sql")).unwrap();
    Migrator::new(folder.path()).await.unwrap().run(pool).await.unwrap();
    for (table, columns) in FIRST {
        // A deployment that only an outcome speaks of had no row then.
        let known = if table == "deployments" { "WHERE deadline_at IS NOT NULL" } else { "" };
        let order = if table == "events" { "ORDER BY month, link" } else { "" };
        let sql = format!("SELECT jsonb_agg(to_jsonb(t) {order}) FROM {table} t {known}");
        let rows: serde_json::Value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(from).await.unwrap();
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1)"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(rows).execute(pool).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_from_before_the_chain_is_taken_over_whole() {
    let database = Database::start().await;
    let (store, now) = (database.store(LONG).await, database.pool().await);
    for number in 1..=20 {
        store.join(&events(number)).await.unwrap();
    }
    // A review made no verdict then.
    let [explanation, _, outcome] = aftermath(3).try_into().unwrap();
    store.join(&[explanation, outcome]).await.unwrap();
    store.join(&aftermath(78)[1..2]).await.unwrap();
    store.join(&[outcome_of(6, OutcomeKind::Succeeded, OffsetDateTime::UNIX_EPOCH)]).await.unwrap();
    // Of a deployment of which nothing else is known.
    store.join(&[outcome_at(77, OffsetDateTime::UNIX_EPOCH)]).await.unwrap();
    execute(&now, "CREATE DATABASE earlier").await.unwrap();
    let url = earlier_of(database.postgres.url());
    let earlier = PgPool::connect(&url).await.unwrap();
    fill_as_at_first(&earlier, &now).await;
    // Some of it is from months ago.
    execute(
        &earlier,
        "ALTER TABLE events DISABLE TRIGGER USER;
         UPDATE deployments SET received_at = '2026-02-28T23:59:59.999999Z' WHERE pull_request < 5;
         UPDATE events SET received_at = '2026-03-01T00:00:00.123456Z'
             WHERE deployment_id IN (SELECT deployment_id FROM deployments WHERE pull_request < 5);
         ALTER TABLE events ENABLE TRIGGER USER;",
    )
    .await
    .unwrap_or_else(|error| panic!("{error}"));

    let settings = DatabaseSettings { url: url.clone(), ..DatabaseSettings::default() };
    let migrated = Store::open(&settings, Policy::default(), LONG).await.unwrap();
    for (table, _) in FIRST {
        assert_eq!(count(&earlier, table).await, count(&now, table).await, "{table}");
    }
    let audit = Audit::connect(&url).await.unwrap();
    let months = audit.months().await.unwrap();
    assert_eq!(months[0].month, Month::parse("2026-02").unwrap());
    for head in &months {
        assert_eq!(audit.verify(head.month, &[], |_| ()).await.unwrap(), None);
    }
    assert_eq!(months.iter().map(|head| head.events).sum::<i64>(), count(&now, "events").await);
    for number in 1..=20 {
        let id = deployment(number).id;
        let rederived = migrated.rederive(id, 1).await.unwrap();
        assert_eq!(rederived.stored, rederived.again);
        assert_eq!(migrated.dossier(id).await.unwrap(), store.dossier(id).await.unwrap());
        // What is known stays known, and what is new goes into the month of its deployment.
        assert_eq!(migrated.join(&events(number)).await.unwrap().fresh, 0);
    }
    migrated.join(&[outcome_at(2, OffsetDateTime::UNIX_EPOCH)]).await.unwrap();
    let again = audit.months().await.unwrap();
    assert_eq!((again[0].month, again[0].events), (months[0].month, months[0].events + 1));
    assert_eq!(audit.verify(again[0].month, &[], |_| ()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_waits_for_a_writer_which_waits_for_it_is_run_again() {
    let database = Database::start().await;
    let now = database.pool().await;
    // Whose check comes first ends: the migration, which waits long enough for the writer to come.
    execute(&now, "CREATE DATABASE earlier").await.unwrap();
    let mut superuser = PgConnection::connect(&database.url_as("postgres")).await.unwrap();
    sqlx::raw_sql("ALTER DATABASE earlier SET deadlock_timeout = '3s'").execute(&mut superuser).await.unwrap();
    let mut writer = PgConnection::connect(&earlier_of(&database.url_as("postgres"))).await.unwrap();
    let url = earlier_of(database.postgres.url());
    let migrations = Migrator::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations")).await.unwrap();
    let beside = PgPool::connect(&url).await.unwrap();
    migrations.run_to(9, &beside).await.unwrap();
    let behind = Audit::connect(&url).await.unwrap_err().to_string();
    assert!(behind.contains("older version") && behind.contains("failsafe audit migrate"), "{behind}");

    sqlx::raw_sql("SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE deployments IN ROW EXCLUSIVE MODE")
        .execute(&mut writer)
        .await
        .unwrap();
    let settings = DatabaseSettings { url, ..DatabaseSettings::default() };
    let migrating = tokio::spawn(async move { Store::open(&settings, Policy::default(), LONG).await });
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'deployments'::regclass AND NOT granted";
    harness::eventually("the migration waits for the writer", async || {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&beside).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    sqlx::raw_sql("LOCK TABLE outcomes IN ROW EXCLUSIVE MODE; COMMIT").execute(&mut writer).await.unwrap();
    let store = migrating.await.unwrap().unwrap();
    store.join(&events(1)).await.unwrap();
    // Another replica can look whether something is left to do.
    let locks: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        .fetch_one(&beside)
        .await
        .unwrap();
    assert_eq!(locks, 0);
}
