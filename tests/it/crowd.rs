//! A crowd of verdicts while the model's server hangs: each is explained from the evidence, nothing grows, and nobody waits.

use futures::{StreamExt, TryStreamExt, stream};
use harness::{Fleet, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

use crate::diffs;

/// How many deployments make the crowd, unless the variable `FAILSAFE_CROWD` says otherwise: by hand it is tried with 10,000.
const CROWD: u32 = 300;
/// How many go before it, so that what is made once is there.
const BEFORE: u32 = 100;
/// How many are submitted at once.
const AT_ONCE: usize = 16;
/// By how many kilobytes the Voice may grow.
const GROWTH_KB_MAX: u64 = 32 * 1024;
/// How long a verdict may take meanwhile. Nothing here is built for speed, and other tests run beside it.
const VERDICT_MAX: Duration = Duration::from_secs(20);

/// A server that takes every question and answers none; ends with the test's runtime.
async fn stuck() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    url
}

/// Submits the deployments of these numbers, a third of which are blocked.
async fn submit(fleet: &Fleet, numbers: std::ops::Range<u32>) {
    let client = fleet.client();
    let submitting = stream::iter(numbers).map(|number| {
        let mut client = client.clone();
        let diff = if number % 3 == 0 { diffs::migration("orders") } else { diffs::harmless("orders") };
        let request = v1::SubmitDeploymentRequest {
            repository: "acme/shop".to_owned(),
            pull_request: number,
            change: Some(Change::Diff(diff)),
            ..Default::default()
        };
        async move { client.submit_deployment(request).await.map(|_| ()) }
    });
    submitting.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.unwrap();
}

/// Waits until that query counts so many, as long as they become more.
async fn until(fleet: &Fleet, count: &'static str, number: u32) {
    let database = fleet.database().await;
    let ask = async || sqlx::query_scalar(count).fetch_one(&database).await.unwrap_or(0);
    let mut there: i64 = 0;
    while there < i64::from(number) {
        there = eventually(count, async || Some(ask().await).filter(|now: &i64| *now > there)).await;
    }
    assert_eq!(there, i64::from(number));
}

/// Waits until there are so many explanations, none of a model.
async fn explained(fleet: &Fleet, number: u32) {
    until(fleet, "SELECT count(*) FROM explanations", number).await;
    until(fleet, "SELECT count(*) FROM explanations WHERE model IS NULL", number).await;
}

/// Kilobytes of memory that the Voice has now.
fn memory(fleet: &Fleet) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", fleet.pid("llm-explainer"))).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How long the verdict takes of a deployment that is submitted now.
async fn verdict_takes(fleet: &Fleet, number: u32) -> Duration {
    let began = Instant::now();
    submit(fleet, number..number + 1).await;
    let database = fleet.database().await;
    eventually("the verdict", async || {
        let verdict = "SELECT 1 FROM verdicts JOIN deployments USING (deployment_id) WHERE pull_request = $1";
        let found = sqlx::query_scalar(verdict).bind(number.cast_signed()).fetch_optional(&database).await.ok()?;
        found.map(|_: i32| began.elapsed())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_model_hangs_a_crowd_is_explained_and_neither_grows_the_voice_nor_delays_a_verdict() {
    let crowd = std::env::var("FAILSAFE_CROWD").map_or(CROWD, |crowd| crowd.parse().unwrap());
    let url = stuck().await;
    let fleet = Fleet::start(&[
        ("FAILSAFE__LLM_EXPLAINER__MODEL_URL", &url),
        ("FAILSAFE__LLM_EXPLAINER__TIMEOUT_MS", "2000"),
        ("FAILSAFE__LLM_EXPLAINER__TIMEOUT_MS_ALLOW", "2000"),
    ])
    .await;
    submit(&fleet, 1..BEFORE + 1).await;
    explained(&fleet, BEFORE).await;
    let before = memory(&fleet);
    let began = Instant::now();
    submit(&fleet, BEFORE + 1..BEFORE + 1 + crowd).await;
    // What is submitted behind the crowd's verdicts waits for nobody, however far the Voice is.
    until(&fleet, "SELECT count(*) FROM verdicts", BEFORE + crowd).await;
    let took = verdict_takes(&fleet, BEFORE + 1 + crowd).await;
    explained(&fleet, BEFORE + crowd + 1).await;
    let after = memory(&fleet);
    println!(
        "{crowd} verdicts explained in {:?}; a verdict meanwhile took {took:?}; {before} kB, then {after} kB",
        began.elapsed()
    );
    assert!(took < VERDICT_MAX, "a verdict took {took:?}");
    assert!(after < before + GROWTH_KB_MAX, "from {before} kB to {after} kB");
}
