//! What an older version wrote and sent, as it was recorded: the new version brings its tables up to date, the older one's
//! statements still hold on them, and every message is understood.

use std::path::Path;
use std::time::Duration;

use decision::config::DatabaseSettings;
use decision::policy::Policy;
use decision::store::{self, Audit, Store};
use domain::DeploymentId;
use harness::{Fleet, eventually};
use proto::event::DEAD_STREAM;
use proto::v1;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row, raw_sql};
use uuid::Uuid;

use super::record::{MONTH, NOW, SCHEMA};

/// The kinds of events, by how the names of their samples begin. The first that fits counts.
const KINDS: [(&str, &str); 8] = [
    ("submitted", "deployment.submitted"),
    ("accepted", "deployment.accepted"),
    ("signal", "signal.raised"),
    ("verdict", "verdict.reached"),
    ("explanation-requested", "explanation.requested"),
    ("explanation", "explanation.written"),
    ("review", "review.recorded"),
    ("outcome", "outcome.recorded"),
];

/// A recording: what was written before the tables were brought up to date, and what afterwards.
struct Recording {
    /// The last migration that it needs.
    schema: i64,
    /// The month in which all of it lies.
    month: String,
    before: String,
    after: String,
}

impl Recording {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/trail.sql");
        let text = std::fs::read_to_string(&path).unwrap();
        let said = |what: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(what));
            line.unwrap_or_else(|| panic!("{} says {what:?}", path.display())).trim().to_owned()
        };
        let (before, after) = text.split_once(NOW).unwrap();
        Self {
            schema: said(SCHEMA).parse().unwrap(),
            month: said(MONTH),
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }
}

/// The migrations up to that one, as a version knew them that had no later ones.
async fn migrations_up_to(last: i64) -> Migrator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let all = Migrator::new(folder).await.unwrap();
    let known: Vec<_> = all.iter().filter(|migration| migration.version <= last).cloned().collect();
    assert!(known.iter().any(|migration| migration.version == last), "migration {last} is there");
    Migrator::with_migrations(known)
}

/// Every month's chain is whole, and every verdict follows again from what is stored. How many verdicts there are.
async fn holds(url: &str) -> usize {
    let audit = Audit::connect(url).await.unwrap();
    for head in audit.months().await.unwrap() {
        assert_eq!(audit.verify(head.month, &[], |_| ()).await.unwrap(), None, "the chain of {}", head.month);
    }
    let settings = DatabaseSettings { url: url.to_owned(), migrate: false, ..DatabaseSettings::default() };
    let store = Store::open(&settings, Policy::default(), Duration::from_secs(600)).await.unwrap();
    let pool = PgPool::connect(url).await.unwrap();
    let verdicts = sqlx::query("SELECT deployment_id, number FROM verdicts").fetch_all(&pool).await.unwrap();
    for verdict in &verdicts {
        let (id, number): (Uuid, i32) = (verdict.get(0), verdict.get(1));
        let rederived = store.rederive(DeploymentId::from_uuid(id), number.cast_unsigned()).await.unwrap();
        assert_eq!(rederived.stored, rederived.again, "verdict {number} of {id}");
    }
    verdicts.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_trail_is_brought_up_to_date_and_its_writer_still_writes() {
    let recording = Recording::read();
    let mut fleet = Fleet::servers(&[]).await;
    let url = fleet.postgres.url().to_owned();
    let mut older = PgConnection::connect(&url).await.unwrap();
    migrations_up_to(recording.schema).await.run(&mut older).await.unwrap();
    let month = format!("SELECT make_month('{}')", recording.month);
    raw_sql(AssertSqlSafe(month)).execute(&mut older).await.unwrap();
    raw_sql(AssertSqlSafe(recording.before)).execute(&mut older).await.unwrap();
    // As `failsafe audit migrate` does. Then the older version writes on, by its own statements.
    store::migrate(&url).await.unwrap();
    let at_first = holds(&url).await;
    raw_sql(AssertSqlSafe(recording.after)).execute(&mut older).await.unwrap();
    let then = holds(&url).await;
    assert!(at_first > 0 && then > at_first, "{at_first} verdicts, then {then}");
    // Should it start once more, it does not mind that it does not know the latest migrations.
    let mut again = migrations_up_to(recording.schema).await;
    again.set_ignore_missing(true);
    again.run(&mut older).await.unwrap();
    // The new version works on what is there, and answers for it.
    for service in harness::SERVICES {
        fleet.spawn(service);
    }
    for service in harness::SERVICES {
        fleet.serving(service).await;
    }
    let list = v1::ListDeploymentsRequest::default();
    let listed = fleet.client().list_deployments(list).await.unwrap().into_inner().deployments;
    assert!(!listed.is_empty());
    for one in &listed {
        let get = v1::GetDeploymentRequest { deployment_id: one.deployment_id.clone(), ..Default::default() };
        let known = fleet.client().get_deployment(get).await.unwrap().into_inner();
        assert!(!known.verdicts.is_empty() && !known.signals.is_empty(), "{known:?}");
    }
    let submitted = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        change: Some(v1::submit_deployment_request::Change::Diff(crate::diffs::migration("orders"))),
        wait: Some(prost_types::Duration { seconds: 50, nanos: 0 }),
        ..Default::default()
    };
    let answer = fleet.client().submit_deployment(submitted).await.unwrap().into_inner();
    eventually("the verdict of the new version", async || {
        let get = v1::GetDeploymentRequest { deployment_id: answer.deployment_id.clone(), ..Default::default() };
        let known = fleet.client().get_deployment(get).await.ok()?.into_inner();
        (!known.verdicts.is_empty()).then_some(())
    })
    .await;
    assert!(holds(&url).await > then);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_an_older_version_is_understood() {
    let mut fleet = Fleet::servers(&[]).await;
    // Only those that read what was sent, so that what is decided rests on it alone.
    for service in ["decision", "gateway"] {
        fleet.spawn(service);
    }
    for service in ["decision", "gateway"] {
        fleet.serving(service).await;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/samples");
    let jetstream = fleet.jetstream().await;
    let mut samples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    let accepted = samples.iter().find(|path| path.ends_with("accepted-1.bin")).unwrap();
    let accepted: v1::DeploymentAccepted = prost::Message::decode(&*std::fs::read(accepted).unwrap()).unwrap();
    let id = accepted.deployment.unwrap().deployment_id;
    for path in &samples {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (_, kind) =
            KINDS.iter().find(|(begin, _)| name.starts_with(begin)).unwrap_or_else(|| panic!("{name} has a kind"));
        let of = if *kind == "deployment.submitted" { String::new() } else { format!(".{id}") };
        let body = std::fs::read(path).unwrap();
        jetstream.publish(format!("failsafe.v1.{kind}{of}"), body.into()).await.unwrap().await.unwrap();
    }
    eventually("a verdict that rests on both signals, an explanation, a review and an outcome", async || {
        let get = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
        let known = fleet.client().get_deployment(get).await.ok()?.into_inner();
        let is_told = !known.explanations.is_empty() && !known.reviews.is_empty() && !known.outcomes.is_empty();
        (is_told && known.signals.len() >= 2 && !known.verdicts.is_empty()).then_some(())
    })
    .await;
    let mut dead = jetstream.get_stream(DEAD_STREAM).await.unwrap();
    assert_eq!(dead.info().await.unwrap().state.messages, 0, "{}", fleet.logged("decision"));
    assert!(holds(fleet.postgres.url()).await > 0);
}
