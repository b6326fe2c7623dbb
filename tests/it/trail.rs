//! The audit trail itself, against a real PostgreSQL: its roles, its chain and what is done with old months.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use decision::chain::Month;
use decision::checkpoint::{Checkpoint, Statement};
use decision::config::DatabaseSettings;
use decision::policy::Policy;
use decision::store::{Audit, Store};
use domain::OutcomeKind;
use harness::binary;
use sqlx::{AssertSqlSafe, PgPool, Row};
use time::OffsetDateTime;
use tokio::process::Command;

use crate::cases::{Database, aftermath, deployment, events, outcome_of};

const LONG: Duration = Duration::from_secs(600);

pub(crate) async fn execute(pool: &PgPool, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.map(|_| ())
}

pub(crate) async fn count(pool: &PgPool, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(pool).await.unwrap()
}

impl Database {
    /// Runs the script that makes the service's role, and gives the address for it.
    async fn service_url(&self) -> String {
        let superuser = PgPool::connect(&self.url_as("postgres")).await.unwrap();
        let script = include_str!("../../deploy/roles.sql");
        execute(&superuser, script).await.unwrap();
        // As after an update.
        execute(&superuser, script).await.unwrap();
        let password = self.postgres.url().split([':', '@']).nth(2).unwrap();
        execute(&superuser, &format!("ALTER ROLE failsafe_service PASSWORD '{password}'")).await.unwrap();
        self.url_as("failsafe_service")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_works_under_a_role_that_cannot_change_the_trail() {
    let database = Database::start().await;
    let output = failsafe(database.postgres.url(), &["migrate"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let url = database.service_url().await;
    let settings = DatabaseSettings { url: url.clone(), migrate: false, ..DatabaseSettings::default() };
    let store = Store::open(&settings, Policy::default(), Duration::ZERO).await.unwrap();
    store.join(&events(3)).await.unwrap();
    store.join(&events(5)[..1]).await.unwrap();
    assert_eq!(store.sweep(10).await.unwrap().len(), 1);
    store.join(&aftermath(3)).await.unwrap();
    let waiting = store.take_waiting(10, Duration::ZERO).await.unwrap();
    let published: Vec<_> = waiting.outgoing.iter().map(|(id, _)| *id).collect();
    assert_eq!(published.len(), 3);
    waiting.take_out(&published).await.unwrap();
    assert!(store.dossier(deployment(3).id).await.unwrap().is_some());

    let pool = PgPool::connect(&url).await.unwrap();
    execute(&pool, "SELECT make_month('2031-05-01')").await.unwrap();
    let audit = Audit::connect(&url).await.unwrap();
    for head in audit.months().await.unwrap() {
        assert_eq!(audit.verify(head.month, &[], |_| ()).await.unwrap(), None);
    }
    let part = format!("events_{}", Month::at(OffsetDateTime::now_utc()).to_string().replace('-', "_"));
    let tables =
        ["events", &part, "findings", "policies", "verdicts", "explanations", "reviews", "outcomes", "checkpoints"];
    for table in tables {
        for statement in [
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("DROP TABLE {table}"),
            format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
        ] {
            let error = execute(&pool, &statement).await.unwrap_err().to_string();
            assert!(error.contains("permission denied") || error.contains("must be owner"), "{statement}: {error}");
        }
    }
    for statement in [
        "UPDATE events SET body = ''",
        "UPDATE verdicts SET verdict = 'ALLOW'",
        "DELETE FROM deployments",
        "DELETE FROM chains",
        "INSERT INTO checkpoints (month, events, head, statement) SELECT month, events, head, '' FROM chains",
        "SELECT drop_month('2031-05-01')",
        "CREATE TABLE events (a int)",
        "INSERT INTO known_findings SELECT repository, '', deployment_id, month FROM deployments",
        "DELETE FROM known_findings",
    ] {
        let error = execute(&pool, statement).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{statement}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_may_not_migrate_says_what_is_missing() {
    let database = Database::start().await;
    let url = database.postgres.url().to_owned();
    let settings = DatabaseSettings { url, migrate: false, ..DatabaseSettings::default() };
    let error = Store::open(&settings, Policy::default(), LONG).await.unwrap_err();
    assert!(format!("{error:#}").contains("failsafe audit migrate"), "{error:#}");
}

#[tokio::test]
async fn where_nobody_listens_it_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = failsafe(&format!("postgres://failsafe@{free}/failsafe"), &["verify"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).to_lowercase().contains("connection refused"), "{}", text(&output));
}

/// What even the owner is refused, unless the triggers are turned off first.
#[tokio::test(flavor = "multi_thread")]
async fn no_table_of_the_trail_is_changed_or_emptied() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let store = database.store(LONG).await;
    store.join(&events(3)).await.unwrap();
    store.join(&aftermath(3)).await.unwrap();
    let suffix = Month::at(OffsetDateTime::now_utc()).to_string().replace('-', "_");
    for table in ["events", "verdicts", "findings", "explanations", "reviews", "outcomes"] {
        for table in [table.to_owned(), format!("{table}_{suffix}")] {
            for statement in [
                format!("DELETE FROM {table}"),
                format!("UPDATE {table} SET deployment_id = deployment_id"),
                format!("TRUNCATE {table} CASCADE"),
            ] {
                let refused = execute(&pool, &statement).await.unwrap_err().to_string();
                assert!(refused.contains("append-only"), "{statement}: {refused}");
            }
        }
    }
    for statement in ["DELETE FROM policies", "UPDATE policies SET version = version", "TRUNCATE policies CASCADE"] {
        assert!(execute(&pool, statement).await.unwrap_err().to_string().contains("append-only"), "{statement}");
    }
}

/// `failsafe audit …` on that database.
async fn failsafe(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("failsafe"));
    command.arg("audit").args(arguments).args(["--database-url", url]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FAILSAFE")) {
        command.env_remove(name);
    }
    command.output().await.unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_the_first_row_that_is_not_as_it_was_written() {
    let database = Database::start().await;
    let store = database.store(LONG).await;
    for number in 1..=6 {
        store.join(&events(number)).await.unwrap();
    }
    let url = database.postgres.url();
    let whole = failsafe(url, &["verify"]).await;
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    assert!(text(&whole).contains("whole: 30 events"), "{}", text(&whole));
    // Only who may turn the triggers off gets this far.
    let forger = PgPool::connect(&database.url_as("postgres")).await.unwrap();
    let statement = Audit::connect(url).await.unwrap().statement(Month::at(OffsetDateTime::now_utc())).await.unwrap();
    let at = |link: i64| {
        let forger = forger.clone();
        async move {
            let sql = "SELECT event_id::text FROM events WHERE link = $1";
            sqlx::query_scalar::<_, String>(sql).bind(link).fetch_one(&forger).await.unwrap()
        }
    };
    let cases = [
        ("UPDATE events SET body = body || '\\x00' WHERE link = 7", 7, "its hash does not match"),
        ("UPDATE events SET received_at = received_at - interval '1 day' WHERE link = 9", 9, "its hash does not match"),
        ("UPDATE events SET previous = hash WHERE link = 11", 11, "not the hash of the one before"),
        ("UPDATE events SET hash = previous WHERE link = 4", 4, "its hash does not match"),
        (
            "UPDATE verdicts SET verdict = 'ALLOW' WHERE verdict = 'BLOCK' AND number = 1 AND event_id = (SELECT event_id FROM events WHERE link = 15)",
            15,
            "disagrees with its event: the verdict",
        ),
        (
            "DELETE FROM verdicts WHERE event_id = (SELECT event_id FROM events WHERE link = 15)",
            15,
            "row of the verdict that it carries is missing",
        ),
        ("DELETE FROM events WHERE link = 13", 13, "is missing"),
        ("DELETE FROM events WHERE link = 30", 29, "the head does not match"),
        ("UPDATE chains SET events = events + 1 WHERE events > 0", 30, "the head does not match"),
        ("DELETE FROM chains WHERE events > 0", 30, "nothing is known"),
    ];
    execute(
        &forger,
        "CREATE SCHEMA kept; CREATE TABLE kept.events AS SELECT * FROM events;
        CREATE TABLE kept.verdicts AS SELECT * FROM verdicts; CREATE TABLE kept.chains AS SELECT * FROM chains",
    )
    .await
    .unwrap();
    let month = statement.month.to_string();
    for (forgery, link, expected) in cases {
        let forge =
            |sql: &str| format!("SET session_replication_role = replica; {sql}; SET session_replication_role = origin");
        execute(&forger, &forge(forgery)).await.unwrap();
        let output = failsafe(url, &["verify", "--month", &month]).await;
        let told = text(&output);
        assert!(told.contains(expected), "{forgery}: {told}");
        if expected != "nothing is known" {
            assert_eq!(output.status.code(), Some(1), "{forgery}: {told}");
            assert!(told.contains(&format!("BROKEN at link {link},")), "{forgery}: {told}");
        } else {
            assert_eq!(output.status.code(), Some(2), "{forgery}: {told}");
        }
        if told.contains("its hash") || told.contains("disagrees") {
            assert!(told.contains(&at(link).await), "{forgery}: {told}");
        }
        execute(
            &forger,
            &forge(
                "DELETE FROM verdicts; DELETE FROM events; DELETE FROM chains; INSERT INTO events SELECT * FROM kept.events;
                 INSERT INTO verdicts SELECT * FROM kept.verdicts; INSERT INTO chains SELECT * FROM kept.chains",
            ),
        )
        .await
        .unwrap();
    }
    // All of it written anew fits together, and not with a checkpoint that is kept elsewhere.
    let folder = tempfile::tempdir().unwrap();
    let other = Statement { head: decision::chain::Hash([1; 32]), events: 12, ..statement.clone() };
    let path = folder.path().join("checkpoint.json");
    for (statement, expected) in [
        (other, "a checkpoint says that the chain ended in 0101"),
        (Statement { events: 31, ..statement.clone() }, "a checkpoint speaks of 31 events"),
        (statement, "whole: 30 events"),
    ] {
        std::fs::write(&path, Checkpoint::new(statement, None).to_json()).unwrap();
        let output = failsafe(url, &["verify", "--checkpoint", path.to_str().unwrap()]).await;
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
}

/// No foreign key holds together what is written together.
#[tokio::test(flavor = "multi_thread")]
async fn verify_names_a_row_that_refers_to_nothing() {
    let database = Database::start().await;
    let store = database.store(LONG).await;
    for number in 1..=3 {
        store.join(&events(number)).await.unwrap();
    }
    store.join(&aftermath(1)).await.unwrap();
    store.join(&aftermath(3)).await.unwrap();
    let url = database.postgres.url();
    let broken = async |expected: String| {
        let output = failsafe(url, &["verify"]).await;
        let told = text(&output);
        assert!(output.status.code() == Some(1) && told.contains(&expected), "{expected}: {told}");
    };
    // Only who may turn the triggers off gets this far.
    let forger = PgPool::connect(&database.url_as("postgres")).await.unwrap();
    let forge = async |sql: String| {
        let sql = format!("SET session_replication_role = replica; {sql}; SET session_replication_role = origin");
        execute(&forger, &sql).await.unwrap();
    };
    let nothing = "00000000-0000-0000-0000-000000000001";
    for (table, column) in [
        ("deployments", "accepted_event_id"),
        ("outbox", "event_id"),
        ("signals", "event_id"),
        ("findings", "event_id"),
        ("explanations", "event_id"),
    ] {
        let sql = format!("SELECT {column}::text FROM {table} ORDER BY 1 LIMIT 1");
        let id: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&forger).await.unwrap();
        let point = |from: &str, to: &str| format!("UPDATE {table} SET {column} = '{to}' WHERE {column} = '{from}'");
        forge(point(&id, nothing)).await;
        broken(format!("event {nothing}: a row of {table} refers to it, and it is not stored")).await;
        forge(point(nothing, &id)).await;
    }
    // What an outcome made known, and what none did.
    for (forgery, back) in [
        (
            "INSERT INTO known_findings SELECT 'acme/shop', fingerprint, deployment_id, month FROM findings LIMIT 1",
            "DELETE FROM known_findings",
        ),
        ("UPDATE outcomes SET kind = 'succeeded'", "UPDATE outcomes SET kind = 'failed'"),
    ] {
        forge(forgery.to_owned()).await;
        broken("a known finding of the deployment".to_owned()).await;
        forge(back.to_owned()).await;
    }
    let whole = failsafe(url, &["verify"]).await;
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    forge("DELETE FROM deployments WHERE deployment_id = (SELECT deployment_id FROM events WHERE link = 7)".to_owned())
        .await;
    broken("BROKEN at link 6,".to_owned()).await;
    broken("it is about a deployment of which there is no row".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_the_same_every_time_and_verifies_without_our_code() {
    let database = Database::start().await;
    let store = database.store(LONG).await;
    for number in 1..=5 {
        store.join(&events(number)).await.unwrap();
    }
    store.join(&aftermath(3)).await.unwrap();
    let (url, folder) = (database.postgres.url(), tempfile::tempdir().unwrap());
    let path = folder.path().join("trail.jsonl");
    let output = failsafe(url, &["export", "--output", path.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let exported = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text(&failsafe(url, &["export"]).await), exported);
    let lines: Vec<serde_json::Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(i64::try_from(lines.len()).unwrap(), count(&database.pool().await, "events").await);
    for (line, link) in lines.iter().zip(1..) {
        assert_eq!(line["link"], link);
        assert!(line["body"].is_object(), "{line}");
    }
    let block = lines.iter().find(|line| line["body"]["judgement"]["verdict"] == "VERDICT_BLOCK").unwrap();
    assert_eq!(block["kind"], "verdict.reached");
    assert_eq!(text(&failsafe(url, &["export", "--since", "2999-01-01"]).await), "");
    assert_eq!(text(&failsafe(url, &["export", "--month", "2001-01"]).await), "");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/verify.py");
    let python = async |input: &str| {
        let input_path = folder.path().join("input.jsonl");
        std::fs::write(&input_path, input).unwrap();
        let stdin = std::fs::File::open(input_path).unwrap();
        Command::new("python3").arg(&script).stdin(stdin).output().await
    };
    // Where there is no Python there is nothing to try.
    let Ok(verified) = python(&exported).await else { return };
    assert!(verified.status.success() && text(&verified).contains("whole"), "{}", text(&verified));
    let forged = python(&exported.replacen("\"stream_sequence\":1", "\"stream_sequence\":2", 1)).await.unwrap();
    assert!(!forged.status.success() && text(&forged).contains("broken at link 1"), "{}", text(&forged));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_goes_as_a_whole_and_only_on_a_signed_checkpoint() {
    let database = Database::start().await;
    let (store, pool) = (database.store(LONG).await, database.pool().await);
    execute(
        &pool,
        "SELECT make_month('2025-01-01'); ALTER TABLE deployments ALTER COLUMN month SET DEFAULT '2025-01-01'",
    )
    .await
    .unwrap();
    for number in 1..=4 {
        store.join(&events(number)).await.unwrap();
    }
    store.join(&events(5)[..1]).await.unwrap();
    store.join(&[outcome_of(3, OutcomeKind::Succeeded, OffsetDateTime::UNIX_EPOCH)]).await.unwrap();
    assert_eq!(count(&pool, "known_findings").await, 1);
    execute(
        &pool,
        "ALTER TABLE deployments ALTER COLUMN month SET DEFAULT date_trunc('month', now() AT TIME ZONE 'UTC')::date",
    )
    .await
    .unwrap();
    store.join(&events(6)).await.unwrap();

    let (url, folder) = (database.postgres.url(), tempfile::tempdir().unwrap());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, other, checkpoint) = (file("key.pem"), file("other.pem"), file("2025-01.json"));
    for (path, text) in [
        (&key, "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"),
        (&other, "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"),
    ] {
        std::fs::write(path, format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")).unwrap();
    }
    let make = async |arguments: &[&str]| {
        let fixed = ["checkpoint", "--month", "2025-01", "--output", &checkpoint];
        let output = failsafe(url, &[&fixed, arguments].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        text(&output)
    };
    let drop = async |arguments: &[&str]| {
        let fixed = ["drop", "--month", "2025-01", "--checkpoint", &checkpoint];
        let output = failsafe(url, &[&fixed, arguments].concat()).await;
        (output.status.code(), text(&output))
    };
    let refused = async |arguments: &[&str], expected: &str| {
        let (code, told) = drop(arguments).await;
        assert!(code == Some(2) && told.contains(expected), "{told}");
    };
    assert!(make(&[]).await.contains("NOT SIGNED"));
    refused(&["--key", &key], "is not signed").await;
    make(&["--key", &key]).await;
    refused(&["--key", &other], "is signed by the key").await;
    refused(&["--key", &key], "at least 30").await;
    refused(&["--key", &key, "--older-than", "0"], "still wait for a verdict").await;
    store.join(&events(5)).await.unwrap();
    refused(&["--key", &key, "--older-than", "0"], "make a new one").await;
    make(&["--key", &key]).await;
    refused(&["--key", &key, "--older-than", "0"], "still wait").await;
    let waiting = store.take_waiting(100, Duration::ZERO).await.unwrap();
    let published: Vec<_> = waiting.outgoing.iter().map(|(id, _)| *id).collect();
    waiting.take_out(&published).await.unwrap();
    let (code, told) = drop(&["--key", &key, "--older-than", "0"]).await;
    assert!(code == Some(0) && told.contains("2025-01 is dropped"), "{told}");

    assert!(store.dossier(deployment(1).id).await.unwrap().is_none());
    assert!(store.dossier(deployment(6).id).await.unwrap().is_some());
    assert_eq!((count(&pool, "deployments").await, count(&pool, "verdicts").await), (1, 1));
    assert_eq!(count(&pool, "known_findings").await, 0);
    let verified = failsafe(url, &["verify", "--checkpoint", &checkpoint, "--key", &key]).await;
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    assert!(text(&verified).contains("2025-01  dropped on "), "{}", text(&verified));
    let kept = sqlx::query("SELECT statement FROM checkpoints").fetch_one(&pool).await.unwrap();
    assert_eq!(kept.get::<&str, _>("statement"), std::fs::read_to_string(&checkpoint).unwrap());
    let again = execute(&pool, "SELECT make_month('2025-01-01')").await.unwrap_err().to_string();
    assert!(again.contains("was dropped"), "{again}");
    // What comes late for a deployment that is gone begins it anew.
    store.join(&events(1)).await.unwrap();
    database.verify().await;
}
