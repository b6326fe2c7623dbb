//! What the servers do alone, just before the services are started: nothing that FailSafe does can be faster.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer::pull, stream};
use futures::{StreamExt, stream as futures_stream};
use harness::Fleet;
use serde::Serialize;
use sqlx::PgPool;
use tokio::task::JoinSet;

/// The size of a message and of a row: about that of an event with its diff.
const BYTES: usize = 4_096;
const PUBLISHES: usize = 20_000;
const PUBLISHES_IN_FLIGHT: usize = 256;
const ROWS: usize = 20_000;
const ROWS_IN_BATCH: usize = 100;
const CONNECTIONS: usize = 4;
/// As many as a deployment takes: submitted, accepted, signal, verdict, explanation.
const HOPS: usize = 5;
/// How many are sent when no rate is asked for, and how often.
const PIPELINE_MESSAGES: u32 = 500;
const PIPELINE_RATE: f64 = 50.0;
/// The most that are sent at a rate: of as many as there are deployments the 99th percentile says as much, or as little.
const PIPELINE_MESSAGES_MAX: u32 = 3_000;
const COMMITS: usize = 200;

/// What the servers do alone.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Floors {
    /// Acknowledged publishes a second, 256 in flight, 4 KB each.
    pub(crate) publishes_per_second: f64,
    /// Rows a second, 4 KB each, by UNNEST of 100 on four connections.
    pub(crate) rows_per_second: f64,
    /// Milliseconds of one row's transaction on one connection, the 99th percentile.
    pub(crate) commit_p99_ms: f64,
    /// Milliseconds through five empty hops at the rate of the run, the median.
    pub(crate) pipeline_p50_ms: f64,
    /// Likewise, the 99th percentile.
    pub(crate) pipeline_p99_ms: f64,
}

impl Floors {
    pub(crate) async fn measure(fleet: &Fleet, rate: Option<f64>, count: u32) -> Self {
        let jetstream = fleet.jetstream().await;
        let publishes_per_second = publishes(&jetstream).await;
        let (rate, messages) = match rate {
            Some(rate) => (rate, count.clamp(PIPELINE_MESSAGES, PIPELINE_MESSAGES_MAX)),
            None => (PIPELINE_RATE, PIPELINE_MESSAGES),
        };
        let (pipeline_p50_ms, pipeline_p99_ms) = pipeline(&jetstream, rate, messages).await;
        let (rows_per_second, commit_p99_ms) = rows(&fleet.database().await).await;
        Self { publishes_per_second, rows_per_second, commit_p99_ms, pipeline_p50_ms, pipeline_p99_ms }
    }
}

/// The value below which `share` of the sorted `values` lie.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

async fn scratch(jetstream: &jetstream::Context, name: &str) -> stream::Stream {
    let config =
        stream::Config { name: name.to_owned(), subjects: vec![format!("{name}.>")], ..stream::Config::default() };
    jetstream.create_stream(config).await.expect("a scratch stream")
}

async fn publishes(jetstream: &jetstream::Context) -> f64 {
    scratch(jetstream, "floor_publish").await;
    let body = bytes::Bytes::from(vec![b'x'; BYTES]);
    let started = Instant::now();
    futures_stream::iter(0..PUBLISHES)
        .for_each_concurrent(PUBLISHES_IN_FLIGHT, |_| async {
            let sent = jetstream.publish("floor_publish.x", body.clone()).await.expect("a publish");
            sent.await.expect("an acknowledgement");
        })
        .await;
    let took = started.elapsed();
    jetstream.delete_stream("floor_publish").await.expect("the scratch stream goes");
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let rate = PUBLISHES as f64 / took.as_secs_f64();
    rate
}

/// Median and 99th percentile, in milliseconds, of five hops: each message is pulled, published anew with an acknowledgement, and
/// acknowledged, as the services do.
async fn pipeline(jetstream: &jetstream::Context, rate: f64, messages: u32) -> (f64, f64) {
    let stream = scratch(jetstream, "floor_hops").await;
    let mut hops = JoinSet::new();
    for hop in 0..HOPS - 1 {
        let config = pull::Config {
            durable_name: Some(format!("hop-{hop}")),
            filter_subject: format!("floor_hops.{hop}"),
            ..pull::Config::default()
        };
        let mut arriving =
            stream.create_consumer(config).await.expect("a consumer").messages().await.expect("messages");
        let jetstream = jetstream.clone();
        hops.spawn(async move {
            while let Some(Ok(message)) = arriving.next().await {
                let jetstream = jetstream.clone();
                tokio::spawn(async move {
                    let next = format!("floor_hops.{}", hop + 1);
                    let sent = jetstream.publish(next, message.payload.clone()).await.expect("a publish");
                    sent.await.expect("an acknowledgement");
                    message.ack().await.expect("an acknowledgement");
                });
            }
        });
    }
    let mut last = jetstream.client().subscribe(format!("floor_hops.{}", HOPS - 1)).await.expect("a subscription");
    let origin = Instant::now();
    let sender = tokio::spawn({
        let jetstream = jetstream.clone();
        async move {
            let mut beat = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
            for _ in 0..messages {
                beat.tick().await;
                let mut body = vec![b'x'; BYTES];
                body[..16].copy_from_slice(&origin.elapsed().as_nanos().to_be_bytes());
                jetstream.publish("floor_hops.0", body.into()).await.expect("a publish");
            }
        }
    });
    let mut took = Vec::new();
    while took.len() < messages as usize {
        let message = last.next().await.expect("the last hop");
        let sent = u128::from_be_bytes(message.payload[..16].try_into().expect("sixteen bytes"));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
        took.push((origin.elapsed().as_nanos() - sent) as f64 / 1e6);
    }
    sender.await.expect("the sender");
    hops.shutdown().await;
    jetstream.delete_stream("floor_hops").await.expect("the scratch stream goes");
    took.sort_by(f64::total_cmp);
    (percentile(&took, 0.5), percentile(&took, 0.99))
}

/// Rows a second, and the 99th percentile of one row's commit in milliseconds.
async fn rows(pool: &PgPool) -> (f64, f64) {
    sqlx::raw_sql("CREATE TABLE floor_rows (id bigint PRIMARY KEY, body bytea NOT NULL)")
        .execute(pool)
        .await
        .expect("a table");
    let insert = "INSERT INTO floor_rows SELECT * FROM UNNEST($1::bigint[], $2::bytea[])";
    let started = Instant::now();
    futures_stream::iter(0..ROWS / ROWS_IN_BATCH)
        .for_each_concurrent(CONNECTIONS, |batch| async move {
            let first = i64::try_from(batch * ROWS_IN_BATCH).expect("a small number");
            let last = first + i64::try_from(ROWS_IN_BATCH).expect("a small number");
            let ids: Vec<i64> = (first..last).collect();
            let bodies = vec![noise(); ROWS_IN_BATCH];
            sqlx::query(insert).bind(ids).bind(bodies).execute(pool).await.expect("rows go in");
        })
        .await;
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let rate = ROWS as f64 / started.elapsed().as_secs_f64();
    let mut commits = Vec::new();
    for number in 0..COMMITS {
        let id = i64::try_from(ROWS + number).expect("a small number");
        let started = Instant::now();
        sqlx::query(insert).bind(vec![id]).bind(vec![noise()]).execute(pool).await.expect("a row goes in");
        commits.push(started.elapsed().as_secs_f64() * 1e3);
    }
    sqlx::raw_sql("DROP TABLE floor_rows").execute(pool).await.expect("the table goes");
    commits.sort_by(f64::total_cmp);
    (rate, percentile(&commits, 0.99))
}

/// What no compression shortens.
fn noise() -> Vec<u8> {
    let mut body = vec![0; BYTES];
    fastrand::fill(&mut body);
    body
}
