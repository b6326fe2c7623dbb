//! Submitting, and watching what becomes of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use harness::{Fleet, made};
use prost::Message;
use proto::v1::deployment_service_client::DeploymentServiceClient;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::floors::percentile;
use crate::usage::{Meter, Usage};
use crate::{Arguments, By};

/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often a person is told how far it is.
const TELL: Duration = Duration::from_secs(10);
/// How long nothing may happen before the run is given up.
const STALL: Duration = Duration::from_secs(180);
/// Connections to the gateway.
const CHANNELS: usize = 4;
/// How long to wait after a refusal that tells no time.
const AGAIN: Duration = Duration::from_millis(100);
/// What may wait in the driver itself before the server calls it slow.
const WAITING_MAX: usize = 1 << 20;

/// What became of the deployments of one run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Driven {
    /// How often the gateway refused because it had too much to do; each was sent again after the time that it told.
    pub(crate) refused: u32,
    /// Acknowledged submissions a second, from the first to the last.
    pub(crate) submissions_per_second: f64,
    /// First verdicts a second, from the first submission to the last verdict.
    pub(crate) verdicts_per_second: f64,
    /// Verdicts beyond the first of a deployment: what was decided at a deadline and again.
    pub(crate) verdicts_again: u32,
    /// Seconds from the first submission to the last verdict.
    pub(crate) decided_s: f64,
    /// Seconds from the first submission to the last explanation.
    pub(crate) explained_s: f64,
    /// Milliseconds from the submission to the verdict in the stream, which follows its commit: median, 99 %, 99.9 %.
    pub(crate) latency_ms: [f64; 3],
    /// When each was to be submitted.
    #[serde(skip)]
    pub(crate) due: HashMap<Uuid, OffsetDateTime>,
    /// CPU seconds for 1,000 deployments, explanations included, by process.
    pub(crate) cpu_s_per_1000: BTreeMap<String, f64>,
    /// The most memory of each process, in megabytes.
    pub(crate) memory_peak_mb: BTreeMap<String, f64>,
    /// Over time: seconds, verdicts so far, memory of our own processes in megabytes.
    pub(crate) course: Vec<(f64, u32, f64)>,
}

/// A run under way.
pub(crate) struct Drive<'a> {
    fleet: &'a Fleet,
    by: By,
    rate: Option<f64>,
    in_flight: usize,
    count: u32,
    seen: Arc<Seen>,
}

/// What was seen in the stream so far.
#[derive(Default)]
struct Seen {
    pending: Mutex<HashMap<Uuid, (Instant, Option<OwnedSemaphorePermit>)>>,
    /// When each was due, and when its verdict came.
    decided_at: Mutex<Vec<(Uuid, Instant, Instant)>>,
    submitted: AtomicU32,
    refused: AtomicU32,
    decided: AtomicU32,
    last_verdict: Mutex<Option<Instant>>,
    again: AtomicU32,
    explained: AtomicU32,
}

impl<'a> Drive<'a> {
    pub(crate) fn new(fleet: &'a Fleet, arguments: &Arguments, count: u32) -> Self {
        let Arguments { by, rate, in_flight, .. } = *arguments;
        Self { fleet, by, rate, in_flight, count, seen: Arc::default() }
    }

    pub(crate) async fn run(self) -> Driven {
        let watching = [
            self.watch("verdict.reached", Seen::decided).await,
            self.watch("explanation.written", Seen::explained).await,
        ];
        let mut meter = Meter::new(self.fleet);
        let before = meter.read();
        let (begun, begun_at) = (Instant::now(), OffsetDateTime::now_utc());
        let submitting = tokio::spawn(self.submit().await);
        let mut peak = Usage::default();
        let mut course = Vec::new();
        let (mut decided_s, mut told, mut moved) = (0.0, Instant::now(), (0, Instant::now()));
        let mut beat = tokio::time::interval(LOOK);
        loop {
            beat.tick().await;
            // Backends of PostgreSQL come as they are needed.
            let usage = if told.elapsed() > TELL { meter.read() } else { meter.look() };
            let (decided, explained) = (count(&self.seen.decided), count(&self.seen.explained));
            for (name, memory) in &usage.memory {
                let most = peak.memory.entry(name.clone()).or_default();
                *most = most.max(*memory);
            }
            course.push((meter.elapsed().as_secs_f64(), decided, usage.own_memory()));
            if decided >= self.count && decided_s == 0.0 && submitting.is_finished() {
                decided_s = self.seen.last_verdict(begun);
            }
            if decided_s > 0.0 && explained >= self.count {
                break;
            }
            if told.elapsed() > TELL {
                eprintln!("{decided} decided, {explained} explained of {}", self.count);
                told = Instant::now();
            }
            if decided + explained != moved.0 {
                moved = (decided + explained, Instant::now());
            }
            assert!(
                moved.1.elapsed() < STALL,
                "nothing happens any more: {decided} decided, {explained} explained of {}",
                self.count
            );
        }
        let explained_s = meter.elapsed().as_secs_f64();
        let submitted_s = submitting.await.expect("the submissions");
        watching.iter().for_each(tokio::task::JoinHandle::abort);
        let after = meter.read();
        let decided_at = std::mem::take(&mut *self.seen.decided_at.lock().unwrap_or_else(PoisonError::into_inner));
        let latencies = decided_at.iter().map(|(_, due, came)| came.duration_since(*due).as_secs_f64() * 1e3);
        let done = f64::from(count(&self.seen.decided));
        Driven {
            refused: count(&self.seen.refused),
            submissions_per_second: f64::from(count(&self.seen.submitted)) / submitted_s,
            verdicts_per_second: done / decided_s,
            verdicts_again: count(&self.seen.again),
            decided_s,
            explained_s,
            latency_ms: percentiles(latencies.collect()),
            due: decided_at.iter().map(|(id, due, _)| (*id, begun_at + due.duration_since(begun))).collect(),
            cpu_s_per_1000: after.since(&before).into_iter().map(|(name, cpu)| (name, cpu * 1e3 / done)).collect(),
            memory_peak_mb: peak.memory,
            course,
        }
    }

    /// Hears every event of one kind in passing.
    async fn watch(&self, kind: &str, note: fn(&Seen, Uuid)) -> tokio::task::JoinHandle<()> {
        let options = async_nats::ConnectOptions::new().subscription_capacity(WAITING_MAX);
        let client = options.connect(self.fleet.nats.url()).await.expect("NATS answers");
        let mut events = client.subscribe(format!("failsafe.v1.{kind}.>")).await.expect("a subscription");
        client.flush().await.expect("the subscription stands");
        let seen = Arc::clone(&self.seen);
        tokio::spawn(async move {
            // Held, so that the connection stands.
            let _client = client;
            while let Some(event) = events.next().await {
                let id = event.subject.rsplit('.').next().and_then(|id| Uuid::parse_str(id).ok());
                note(&seen, id.expect("a subject ends with a deployment's id"));
            }
        })
    }

    /// Submits all, at the rate or as fast as they are decided; gives the seconds that it took.
    async fn submit(&self) -> impl Future<Output = f64> + Send + use<> {
        let (count, rate, by) = (self.count, self.rate, self.by);
        let room = Arc::new(Semaphore::new(self.in_flight));
        let seen = Arc::clone(&self.seen);
        let jetstream = self.fleet.jetstream().await;
        let channels: Vec<_> = (0..CHANNELS).map(|_| self.fleet.client()).collect();
        async move {
            let begun = Instant::now();
            let mut beats = rate.map(|rate| beats(begun, rate, count));
            let mut sent = tokio::task::JoinSet::new();
            for number in 0..count {
                let made = made::deployment(number);
                // At a rate, the time counts from when it was due, whether or not it could be sent then.
                let (due, permit) = match &mut beats {
                    Some(beats) => (beats.recv().await.expect("a beat for each"), None),
                    None => {
                        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
                        (Instant::now(), Some(permit))
                    }
                };
                let id = made.id.uuid();
                seen.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (due, permit));
                let seen = Arc::clone(&seen);
                let jetstream = jetstream.clone();
                let client = channels[number as usize % CHANNELS].clone();
                sent.spawn(async move {
                    match by {
                        By::Jetstream => {
                            let body = made.request.encode_to_vec();
                            let stored = jetstream.publish("failsafe.v1.deployment.submitted", body.into()).await;
                            stored.expect("a publish").await.expect("an acknowledgement");
                        }
                        By::Grpc => call(client, made.request, &seen.refused).await,
                    }
                    seen.submitted.fetch_add(1, Ordering::Relaxed);
                });
                while sent.try_join_next().is_some() {}
            }
            sent.join_all().await;
            begun.elapsed().as_secs_f64()
        }
    }
}

/// The moment at which each is due, told at that moment. By a thread of its own: tokio's clock ticks in whole milliseconds.
fn beats(begun: Instant, rate: f64, count: u32) -> UnboundedReceiver<Instant> {
    let (tell, beats) = unbounded_channel();
    std::thread::spawn(move || {
        for number in 0..count {
            let due = begun + Duration::from_secs_f64(f64::from(number) / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if tell.send(due).is_err() {
                return;
            }
        }
    });
    beats
}

/// Submits until the gateway takes it; when it has too much to do, again after the time that it tells.
async fn call(
    mut client: DeploymentServiceClient<Channel>,
    request: proto::v1::SubmitDeploymentRequest,
    refused: &AtomicU32,
) {
    loop {
        match client.submit_deployment(request.clone()).await {
            Ok(_) => return,
            Err(status) if status.code() == Code::ResourceExhausted => {
                refused.fetch_add(1, Ordering::Relaxed);
                let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
                tokio::time::sleep(told.unwrap_or(AGAIN)).await;
            }
            Err(status) => panic!("the gateway answers {status}"),
        }
    }
}

/// The median, 99 % and 99.9 % of `values`.
pub(crate) fn percentiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.99, 0.999].map(|share| percentile(&values, share))
}

fn count(of: &AtomicU32) -> u32 {
    of.load(Ordering::Relaxed)
}

impl Seen {
    fn decided(&self, id: Uuid) {
        let found = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let Some((since, _permit)) = found else {
            self.again.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let now = Instant::now();
        self.decided_at.lock().unwrap_or_else(PoisonError::into_inner).push((id, since, now));
        *self.last_verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        self.decided.fetch_add(1, Ordering::Relaxed);
    }

    fn explained(&self, _: Uuid) {
        self.explained.fetch_add(1, Ordering::Relaxed);
    }

    /// Seconds from `begun` to the last verdict so far.
    fn last_verdict(&self, begun: Instant) -> f64 {
        let last = *self.last_verdict.lock().unwrap_or_else(PoisonError::into_inner);
        last.map_or(0.0, |last| last.duration_since(begun).as_secs_f64())
    }
}
