//! How many deployments a second the join decides, with one replica and with two, beside the machine's own floor: the same rows, put
//! into the same tables by one INSERT a table in transactions of the same size, without a look at what they say. `just bench --bench join`.
//!
//! A real PostgreSQL in a temporary folder, with its usual care for the disk.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use decision::config::DatabaseSettings;
use decision::incoming::{Content, Incoming};
use decision::policy::Policy;
use decision::store::Store;
use domain::{
    Analysis, Category, Change, Confidence, Deployment, DeploymentId, DiffDigest, Finding, History, PullRequest,
    Repository, Revision, Risk, RiskScore, Said, Severity, Signal, Source,
};
use embedded::Postgres;
use futures::TryStreamExt;
use proto::Event;
use sqlx::{AssertSqlSafe, PgPool};
use time::OffsetDateTime;

/// How many deployments are decided in each measurement.
const DEPLOYMENTS: u32 = 8_192;
/// How many in one transaction: their events are a little fewer than `decision.batch_max`.
const IN_BATCH: usize = 256;
/// How often everything is measured; the best counts, because other work on the machine makes single ones slower.
const ROUNDS: u32 = 3;
const FINDINGS: usize = 2;
/// The tables that are filled, the rows that each has for a deployment, and where the deployment is.
const TABLES: [(&str, usize, &str); 6] = [
    ("deployments", 1, "deployments t"),
    ("events", 4, "events t"),
    ("findings", FINDINGS, "findings t"),
    ("signals", 2, "signals t"),
    ("verdicts", 1, "verdicts t"),
    ("outbox", 1, "outbox t JOIN events USING (month, event_id)"),
];

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<()> {
    let folder = embedded::temporary_folder()?;
    let postgres = Postgres::start(folder.path()).await?;
    let batches = batches();
    let mut best = [Duration::MAX; 3];
    for round in 0..ROUNDS {
        for (replicas, place) in [(1, 1), (2, 2)] {
            let url = database(&postgres, &format!("join_{round}_{replicas}")).await?;
            best[place] = best[place].min(join(&url, &batches, replicas).await?);
            if replicas == 1 {
                let floor = database(&postgres, &format!("floor_{round}")).await?;
                best[0] = best[0].min(copy(&url, &floor).await?);
            }
        }
    }
    println!(
        "{DEPLOYMENTS} deployments, {FINDINGS} findings each, {IN_BATCH} in a transaction; the best of {ROUNDS} rounds"
    );
    for (name, took) in ["floor: INSERT of the same rows", "join, 1 replica", "join, 2 replicas"].iter().zip(best) {
        let a_second = f64::from(DEPLOYMENTS) / took.as_secs_f64();
        let share = 100.0 * best[0].as_secs_f64() / took.as_secs_f64();
        println!("{name:<30} {a_second:>8.0} decisions/s {share:>5.0} % of the floor");
    }
    Ok(())
}

/// A new database; gives its address.
async fn database(postgres: &Postgres, name: &str) -> Result<String> {
    let pool = PgPool::connect(postgres.url()).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&pool).await?;
    let (server, _) = postgres.url().rsplit_once('/').context("an address has a database")?;
    Ok(format!("{server}/{name}"))
}

async fn open(url: &str) -> Result<Store> {
    let settings = DatabaseSettings { url: url.to_owned(), ..DatabaseSettings::default() };
    Store::open(&settings, Policy::default(), Duration::from_secs(600)).await
}

/// How long `replicas` take to join all batches.
async fn join(url: &str, batches: &[Vec<Incoming>], replicas: usize) -> Result<Duration> {
    let mut stores = Vec::new();
    for _ in 0..replicas {
        stores.push(open(url).await?);
    }
    let started = Instant::now();
    let lanes = stores.into_iter().enumerate().map(|(lane, store)| async move {
        let mut verdicts = 0;
        for batch in batches.iter().skip(lane).step_by(replicas) {
            verdicts += store.join(batch).await?.verdicts.len();
        }
        anyhow::Ok(verdicts)
    });
    let verdicts: usize = futures::future::try_join_all(lanes).await?.into_iter().sum();
    let took = started.elapsed();
    anyhow::ensure!(verdicts == DEPLOYMENTS as usize, "{verdicts} verdicts");
    Ok(took)
}

/// How long it takes to put the rows of one database into the tables of another. They are brought beside those tables first, so
/// that neither the network nor the reading of parameters counts.
async fn copy(from: &str, to: &str) -> Result<Duration> {
    drop(open(to).await?);
    let (from, to) = (PgPool::connect(from).await?, PgPool::connect(to).await?);
    sqlx::raw_sql("CREATE SCHEMA beside").execute(&to).await?;
    let batches = (DEPLOYMENTS as usize).div_ceil(IN_BATCH);
    for (name, rows, table) in TABLES {
        // The same order for all, and none that an index would like.
        let order = order(table);
        let sql = format!("COPY (SELECT t.* FROM {table} ORDER BY md5(deployment_id::text), {order}) TO STDOUT");
        let mut copied = Vec::new();
        let mut connection = from.acquire().await?;
        let mut parts = connection.copy_out_raw(&sql).await?;
        while let Some(part) = parts.try_next().await? {
            copied.extend_from_slice(&part);
        }
        let sql = format!("CREATE TABLE beside.{name} (LIKE {name}); ALTER TABLE beside.{name} ADD place bigserial");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&to).await?;
        let sql = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped";
        let columns: String = sqlx::query_scalar(sql).bind(name).fetch_one(&to).await?;
        let mut writing = to.acquire().await?;
        let mut copying = writing.copy_in_raw(&format!("COPY beside.{name} ({columns}) FROM STDIN")).await?;
        copying.send(copied.as_slice()).await?;
        anyhow::ensure!(copying.finish().await? == (rows * DEPLOYMENTS as usize) as u64, "rows of {name} are missing");
        let in_batch = rows * IN_BATCH;
        let sql = format!(
            "CREATE INDEX ON beside.{name} (place);
             CREATE FUNCTION put_{name}(batch bigint) RETURNS void LANGUAGE sql AS
                 'INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM beside.{name}
                  WHERE place > batch * {in_batch} AND place <= (batch + 1) * {in_batch} ORDER BY place'"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&to).await?;
    }
    sqlx::raw_sql("ANALYZE beside.deployments, beside.events, beside.findings").execute(&to).await?;
    let puts: Vec<String> = TABLES.iter().map(|(name, ..)| format!("put_{name}($1)")).collect();
    let sql = format!("SELECT {}", puts.join(", "));
    let mut connection = to.acquire().await?;
    let started = Instant::now();
    for batch in 0..batches {
        sqlx::query(AssertSqlSafe(sql.clone())).bind(i64::try_from(batch)?).execute(&mut *connection).await?;
    }
    Ok(started.elapsed())
}

fn order(table: &str) -> &'static str {
    match table.split(' ').next() {
        Some("events") => "link",
        Some("findings") => "ordinal",
        Some("signals") => "source",
        _ => "1",
    }
}

fn batches() -> Vec<Vec<Incoming>> {
    let deployments: Vec<u32> = (1..=DEPLOYMENTS).collect();
    deployments.chunks(IN_BATCH).map(|numbers| numbers.iter().copied().flat_map(events).collect()).collect()
}

/// The events of one deployment: its acceptance and two signals.
fn events(number: u32) -> [Incoming; 3] {
    let repository = Repository::parse("acme/shop").expect("a repository");
    let pull_request = PullRequest::new(number).expect("a pull request");
    let revision = Revision::parse("0123456789abcdef").expect("a revision");
    let deployment = Deployment {
        id: DeploymentId::derive(&repository, pull_request, &revision),
        repository,
        pull_request,
        revision,
        title: "Orders are archived after a year".to_owned(),
        author: "ada".to_owned(),
        branch: "archive".to_owned(),
        base_branch: "main".to_owned(),
        labels: vec![],
        environment: "production".to_owned(),
        opened_at: None,
        deploy_at: None,
        commits: None,
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        submitted_by: String::new(),
        change: Change { diff: None, digest: DiffDigest::of("diff"), files: vec![], lines: None },
        history: History::default(),
    };
    let findings = (0..FINDINGS).map(|ordinal| finding(number, ordinal)).collect();
    let score = RiskScore {
        risk: Risk::new(0.01).expect("a probability"),
        base_log_odds: 0.0,
        contributions: vec![],
        unknown: vec![],
        provenance: String::new(),
        grounds: None,
        lift: None,
        shadow: None,
        rank: None,
    };
    let law = signal(&deployment, Source::StaticAnalysis, Said::Findings(Analysis { findings, ..Analysis::default() }));
    let risk = signal(&deployment, Source::MlScoring, Said::Risk(score));
    [incoming(deployment, Content::accepted), incoming(law, Content::Signal), incoming(risk, Content::Signal)]
}

fn finding(number: u32, ordinal: usize) -> Finding {
    Finding {
        rule_id: "migration.timeout.lock".to_owned(),
        title: "a lock without a limit".to_owned(),
        category: Category::Migration,
        severity: Severity::Low,
        confidence: Confidence::High,
        path: "migrations/0042_orders_archive.up.sql".to_owned(),
        line: 3,
        column: 1,
        excerpt: "ALTER TABLE orders ADD COLUMN archived_at timestamptz;".to_owned(),
        message: "while the statement waits for its lock, everybody else waits behind it".to_owned(),
        remediation: "Say SET lock_timeout before the statement.".to_owned(),
        cwe: 0,
        fingerprint: format!("{number:016x}{ordinal:016x}"),
        hazard: String::new(),
        suppression: None,
    }
}

fn signal(deployment: &Deployment, source: Source, said: Said) -> Signal {
    Signal {
        deployment_id: deployment.id,
        source,
        basis: "0123456789abcdef".to_owned(),
        producer: "0.1.0".to_owned(),
        raised_at: OffsetDateTime::UNIX_EPOCH,
        took: Duration::from_millis(1),
        said,
    }
}

fn incoming<E: Event>(event: E, content: fn(E) -> Content) -> Incoming {
    Incoming {
        event_id: event.event_id(),
        deployment_id: event.deployment_id().expect("it is about a deployment"),
        kind: E::KIND,
        subject: event.subject(),
        stream_sequence: 1,
        message_id: Some(event.event_id().to_string()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        submitted_at: None,
        body: event.encode().into(),
        content: content(event),
    }
}
