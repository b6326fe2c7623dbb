//! More comes than is decided: the gateway refuses what is too much in time, whatever it took is decided, and then it takes more.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::{Fleet, eventually, http};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::chaos::{MEMORY_MORE, memory};
use crate::diffs;

/// How many submissions may wait.
const BACKLOG_MAX: usize = 150;
/// How many callers there are, none of whom waits as long as they are told.
const CALLERS: usize = 32;
/// What the gateway has to refuse before a service that stood still goes on: several times what it takes.
const REFUSED_MIN: usize = 5 * BACKLOG_MAX;
/// By how many the gateway may go beyond: what it took in the second before it first asked the stream how much waits.
const BEYOND_MAX: usize = 1_500;
/// For how long the flood goes on while all services work.
const FLOOD: Duration = Duration::from_secs(2);

/// What the callers were told.
#[derive(Debug, Default)]
struct Answers {
    accepted: BTreeSet<Uuid>,
    refused: Vec<Status>,
}

/// Callers who submit as fast as they are answered.
struct Flood {
    answers: Arc<Mutex<Answers>>,
    stop: watch::Sender<bool>,
    callers: JoinSet<()>,
}

impl Flood {
    fn begin(fleet: &Fleet, repository: &str) -> Self {
        let (stop, stopping) = watch::channel(false);
        let answers: Arc<Mutex<Answers>> = Arc::default();
        let number = Arc::new(AtomicU32::new(1));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (mut client, stopping) = (fleet.client(), stopping.clone());
            let (answers, number) = (Arc::clone(&answers), Arc::clone(&number));
            let repository = repository.to_owned();
            callers.spawn(async move {
                while !*stopping.borrow() {
                    let request = submission(&repository, number.fetch_add(1, Ordering::Relaxed));
                    let answer = client.submit_deployment(request).await;
                    let mut answers = answers.lock().unwrap();
                    match answer {
                        Ok(taken) => {
                            answers.accepted.insert(taken.into_inner().deployment_id.parse().unwrap());
                        }
                        Err(status) => answers.refused.push(status),
                    }
                }
            });
        }
        Self { answers, stop, callers }
    }

    async fn refused(&self, least: usize) {
        let refused = || self.answers.lock().unwrap().refused.len();
        let mut seen = 0;
        // As long as they become more.
        while seen < least {
            seen = eventually("further refusals", async || Some(refused()).filter(|now| *now > seen)).await;
        }
    }

    async fn end(self) -> Answers {
        self.stop.send_replace(true);
        self.callers.join_all().await;
        std::mem::take(&mut *self.answers.lock().unwrap())
    }
}

fn submission(repository: &str, pull_request: u32) -> v1::SubmitDeploymentRequest {
    let change = Some(Change::Diff(diffs::harmless(&format!("file_{pull_request}"))));
    v1::SubmitDeploymentRequest { repository: repository.to_owned(), pull_request, change, ..Default::default() }
}

/// Every refusal says why, and when to come again.
fn are_in_form(refused: &[Status]) {
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "BACKLOG_FULL", "{status:?}");
        let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!((1..=30).contains(&wait.as_secs()), "{status:?}");
    }
}

/// Waits until all of them have a verdict for which nothing was missing, and no more than one.
async fn are_decided(pool: &PgPool, accepted: &BTreeSet<Uuid>) {
    let ids: Vec<Uuid> = accepted.iter().copied().collect();
    let count = "SELECT count(*) FROM verdicts WHERE deployment_id = ANY($1) AND missing = '{}'";
    let ask = async || sqlx::query_scalar::<_, i64>(count).bind(&ids).fetch_one(pool).await.unwrap();
    let (all, mut there) = (i64::try_from(ids.len()).unwrap(), 0_i64);
    while there < all {
        there = eventually("further verdicts", async || Some(ask().await).filter(|now| *now > there)).await;
    }
    assert_eq!(there, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_in_time_and_whatever_was_taken_is_decided() {
    let backlog_max = BACKLOG_MAX.to_string();
    let fleet = Fleet::start(&[
        ("FAILSAFE__GATEWAY__BACKLOG_MAX", &backlog_max),
        ("FAILSAFE__GATEWAY__CALLS_PER_SECOND_MAX", "0"),
        ("FAILSAFE__DECISION__DEADLINE_MS", "600000"),
    ])
    .await;
    let (pool, base) = (fleet.database().await, memory(&fleet));
    // One at the beginning of the way stands still, then the one at its end, then nobody, and still more comes than is decided.
    for frozen in [Some("ingest"), Some("decision"), None] {
        let repository = format!("flood/{}", frozen.unwrap_or("all"));
        if let Some(service) = frozen {
            fleet.signal(service, "STOP").await;
        }
        let (flood, began) = (Flood::begin(&fleet, &repository), Instant::now());
        flood.refused(if frozen.is_some() { REFUSED_MIN } else { 1 }).await;
        if let Some(service) = frozen {
            let analyze = format!("POST /analyze?repo={repository}&pr_id=999999");
            let (code, told) = http(fleet.http(), &analyze, "", &diffs::harmless("orders")).await.unwrap();
            assert_eq!(code, 429, "{told}");
            assert!(told.contains("BACKLOG_FULL") && told.contains("retry_delay"), "{told}");
            fleet.signal(service, "CONT").await;
        } else {
            tokio::time::sleep(FLOOD.saturating_sub(began.elapsed())).await;
        }
        let answers = flood.end().await;
        let (taken, refused) = (answers.accepted.len(), answers.refused.len());
        are_in_form(&answers.refused);
        are_decided(&pool, &answers.accepted).await;
        let took = began.elapsed().as_secs_f64();
        println!("{frozen:?} frozen: {taken} taken and decided, {refused} refused, in {took:.1} s");
        assert!(frozen.is_none() || taken <= BACKLOG_MAX + BEYOND_MAX, "{taken} were taken");
        let now = memory(&fleet)["gateway"];
        assert!(now < base["gateway"] + MEMORY_MORE, "the gateway holds {now} bytes, and {} at first", base["gateway"]);
        // Nobody had to restart anything.
        eventually("a submission is taken again", async || {
            fleet.client().submit_deployment(submission(&repository, 1_000_000)).await.ok()
        })
        .await;
    }
    eventually("the gateway has logged both", async || {
        let logged = fleet.logged("gateway");
        (logged.contains("further ones are refused") && logged.contains("further ones are taken again")).then_some(())
    })
    .await;
    let logged = fleet.logged("gateway");
    assert!(!logged.contains("cannot be told"), "every reader is known by its name: {logged}");
}
