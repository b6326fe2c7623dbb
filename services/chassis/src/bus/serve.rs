//! Serving: the loop that hands events to a handler and keeps the promises of the bus.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use futures::{FutureExt, Stream, StreamExt, future};
use proto::Event;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::dead::Answer;
use super::{Bus, ConsumerSpec, Delivery, Failure, Outgoing};
use crate::Shutdown;
use crate::trace::{self, UNSEEN, Unseen};

/// What a service does with one kind of event.
pub trait Handler: Send + Sync + 'static {
    /// The kind of event.
    type In: Event;

    /// Gives what is to be published because of `event`. Called again with the same event it gives the same again.
    ///
    /// # Errors
    /// Whether the event is worth another try.
    fn handle(&self, event: Self::In) -> impl Future<Output = Result<Vec<Outgoing>, Failure>> + Send;

    /// What is to be published when the event is given up for good, so that nobody waits for this service.
    fn give_up(&self, event: &Self::In, error: &str) -> Vec<Outgoing> {
        let _ = (event, error);
        Vec::new()
    }
}

/// How long a drain waits for what is in flight.
const DRAIN_MAX: Duration = Duration::from_secs(25);
/// How long one request for events stays open; a server that forgot it, because it was restarted, is asked again 5 s later.
///
/// Short, because it stands in for heartbeats: a batch of async-nats 0.51 never wakes again after its first heartbeat, and what
/// arrives then waits for the end of the round.
const PULL_EXPIRES: Duration = Duration::from_secs(5);
/// How long hands that come free are gathered while others are at work, so that each does not ask for itself.
const GATHER: Duration = Duration::from_millis(2);
/// With as many events a second they are fetched together every so often and not taken as each arrives: fewer wake-ups and larger writes
/// do more of them.
const BUSY_PER_SECOND: f64 = 200.0;
const FETCH_EVERY: Duration = Duration::from_millis(15);
/// How long a fetch, which is answered at once, may take: longer than a server stands still for a moment.
const FETCH_MAX: Duration = Duration::from_secs(4);
/// So few at once tell nothing of their rate.
const FEW: usize = 2;
/// How long to wait before what came of an event is published again, time after time: the stream may be away or full for a moment only,
/// and another delivery is half a minute off.
const PUBLISH_AGAIN_MS: [u64; 4] = [250, 1_000, 3_000, 8_000];
/// How long a stream of events stays quiet before it is asked for anew.
const STREAM_EXPIRES: Duration = Duration::from_secs(20);
const STREAM_HEARTBEAT: Duration = Duration::from_secs(5);

impl Bus {
    /// Hands every event of the handler's kind to `handler`, at most `spec.in_flight_max` at a time, until `shutdown` is called;
    /// then waits for those in flight.
    ///
    /// # Errors
    /// When the consumer cannot be made.
    pub async fn serve<H: Handler>(&self, spec: ConsumerSpec, handler: H, shutdown: &Shutdown) -> anyhow::Result<()> {
        let consumer = self.consumer::<H::In>(&spec).await?;
        let worker = Arc::new(Worker { bus: self.clone(), handler, spec });
        let permits = Arc::new(Semaphore::new(worker.spec.in_flight_max));
        let mut pace = Pace::Quiet;
        while !shutdown.is_called() {
            let pulled = tokio::select! {
                () = shutdown.called() => break,
                pulled = pull_round(&consumer, &permits, &worker, pace) => pulled,
            };
            pace = match pulled {
                Ok(pace) => pace,
                Err(error) => {
                    tracing::warn!(service = self.service, "cannot pull events, trying again: {error:#}");
                    tokio::select! {
                        () = shutdown.called() => break,
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                    Pace::Quiet
                }
            };
        }
        let all = u32::try_from(worker.spec.in_flight_max).unwrap_or(u32::MAX);
        if tokio::time::timeout(DRAIN_MAX, permits.acquire_many(all)).await.is_err() {
            tracing::warn!(service = self.service, "drained no further: what is in flight will be delivered again");
        }
        Ok(())
    }

    /// The durable consumer of one kind of event.
    async fn consumer<E: Event>(&self, spec: &ConsumerSpec) -> anyhow::Result<PullConsumer> {
        let config = pull::Config {
            durable_name: Some(spec.name.to_owned()),
            filter_subject: E::filter(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: spec.wait_after(1),
            // The server wants fewer waits than deliveries.
            backoff: spec.backoff.iter().copied().take(spec.deliveries_max.saturating_sub(1) as usize).collect(),
            max_deliver: i64::from(spec.deliveries_max),
            // For all instances of the service together.
            max_ack_pending: i64::try_from(spec.in_flight_max * 8).unwrap_or(i64::MAX),
            ..pull::Config::default()
        };
        let made = super::connect::consumer(&self.events, config).await;
        self.consumers.add(spec.name);
        made.with_context(|| format!("cannot make the consumer {}", spec.name))
    }

    /// Every event of one kind as it arrives, for a service that handles many at once and answers for each by itself.
    ///
    /// # Errors
    /// When the consumer cannot be made.
    pub async fn deliveries<E: Event>(
        &self,
        spec: &ConsumerSpec,
    ) -> anyhow::Result<impl Stream<Item = Delivery> + Send + Unpin + use<E>> {
        let consumer = self.consumer::<E>(spec).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(spec.in_flight_max)
            .expires(STREAM_EXPIRES)
            .heartbeat(STREAM_HEARTBEAT)
            .messages()
            .await?;
        let service = self.service;
        Ok(messages.filter_map(move |message| {
            let delivery = message.map_err(anyhow::Error::from).and_then(Delivery::new);
            future::ready(delivery.inspect_err(|error| tracing::warn!(service, "cannot pull events: {error:#}")).ok())
        }))
    }
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Events come one by one.
    Quiet,
    /// Many come, and are fetched together.
    Busy,
    /// More wait than the last fetch asked for.
    Behind,
}

/// Asks for as many events as there are free hands, so that none waits in this process while its time runs: at a quiet pace until they come,
/// and else for those that are there. Gives the pace from then on.
async fn pull_round<H: Handler>(
    consumer: &PullConsumer,
    permits: &Arc<Semaphore>,
    worker: &Arc<Worker<H>>,
    pace: Pace,
) -> anyhow::Result<Pace> {
    let mut since = Instant::now();
    let mut free = free_hands(permits, worker.spec.in_flight_max, pace).await?;
    let asked = free.num_permits();
    let quiet = pace == Pace::Quiet;
    let mut messages = if quiet {
        consumer.batch().max_messages(asked).expires(PULL_EXPIRES).messages().await?
    } else {
        consumer.fetch().max_messages(asked).messages().await?
    };
    let patience = if quiet { 2 * PULL_EXPIRES } else { FETCH_MAX };
    let mut taken = 0;
    // A server that was restarted, or is not the leader any more, never answers a fetch.
    while let Ok(Some(message)) = tokio::time::timeout(patience, messages.next()).await {
        if taken == 0 && quiet {
            since = Instant::now();
        }
        taken += 1;
        let delivery = Delivery::new(message.map_err(|error| anyhow!("{error}"))?)?;
        let permit = free.split(1);
        let worker = Arc::clone(worker);
        tokio::spawn(async move {
            let service = worker.bus.service;
            match delivery.unseen().map(str::to_owned) {
                Some(traceparent) => {
                    let unseen = Unseen { service, traceparent, deployment: OnceLock::new() };
                    UNSEEN.scope(unseen, worker.work(delivery)).await;
                }
                None => {
                    let span = delivery.span(service);
                    worker.work(delivery).instrument(span).await;
                }
            }
            drop(permit);
        });
    }
    Ok(match taken > FEW && taken as f64 >= BUSY_PER_SECOND * since.elapsed().as_secs_f64() {
        false => Pace::Quiet,
        true if quiet || taken < asked => Pace::Busy,
        true => Pace::Behind,
    })
}

/// All hands that are free, of `most` in all: at least one.
async fn free_hands(permits: &Arc<Semaphore>, most: usize, pace: Pace) -> anyhow::Result<OwnedSemaphorePermit> {
    let mut free = Arc::clone(permits).acquire_owned().await?;
    if pace == Pace::Busy {
        tokio::time::sleep(FETCH_EVERY).await;
    } else if permits.available_permits() + 1 < most {
        tokio::time::sleep(GATHER).await;
    }
    let others = u32::try_from(permits.available_permits())?;
    // Nobody else takes any.
    if let Ok(others) = Arc::clone(permits).try_acquire_many_owned(others) {
        free.merge(others);
    }
    Ok(free)
}

struct Worker<H> {
    bus: Bus,
    handler: H,
    spec: ConsumerSpec,
}

impl<H: Handler> Worker<H> {
    /// Its room is copied when its task begins and ends, so what is seldom gone through has room of its own.
    async fn work(&self, delivery: Delivery) {
        let event: H::In = match delivery.decode() {
            Ok(event) => event,
            Err(malformed) => {
                fail_span("reject", &malformed.to_string());
                return Box::pin(delivery.reject(&self.bus, &malformed.to_string())).await;
            }
        };
        if let Some(id) = event.deployment_id() {
            trace::tell_deployment(id);
        }
        let outcome = tokio::select! {
            outcome = self.handle_and_publish(event, &delivery) => outcome,
            never = self.keep(&delivery) => match never {},
        };
        let wait = self.spec.wait_after(delivery.deliveries);
        match outcome {
            Ok(()) => delivery.acknowledge().await,
            Err(failure) => {
                let last = delivery.deliveries >= self.spec.deliveries_max;
                let again = matches!(failure, Failure::Retry(_)) && !last;
                fail_span(if again { "retry" } else { "reject" }, &failure.to_string());
                if again {
                    tracing::warn!(
                        service = self.bus.service,
                        delivery = delivery.deliveries,
                        "trying again: {failure}"
                    );
                    return delivery.put_off(wait).await;
                }
                Box::pin(self.give_up(&delivery, &failure.to_string(), wait)).await;
            }
        }
    }

    async fn handle_and_publish(&self, event: H::In, delivery: &Delivery) -> Result<(), Failure> {
        let handled = AssertUnwindSafe(self.handler.handle(event)).catch_unwind().await;
        let outgoing = handled.unwrap_or_else(|_| Err(Failure::Retry(anyhow!("the handler panicked"))))?;
        for wait in PUBLISH_AGAIN_MS.map(Duration::from_millis) {
            match self.publish_all(&outgoing, delivery).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::debug!(service = self.bus.service, "publishing again in {wait:?}: {error:#}"),
            }
            tokio::time::sleep(wait).await;
        }
        self.publish_all(&outgoing, delivery).await.map_err(Failure::Retry)
    }

    async fn publish_all(&self, outgoing: &[Outgoing], delivery: &Delivery) -> anyhow::Result<()> {
        let submitted_at = Some(delivery.submitted_at());
        future::try_join_all(outgoing.iter().map(|one| self.bus.publish_since(one, submitted_at))).await.map(|_| ())
    }

    /// Tells the others first that there is nothing to wait for, then buries the event.
    async fn give_up(&self, delivery: &Delivery, error: &str, wait: Duration) {
        // It could be read before; the handler has taken what was read.
        let outgoing = delivery.decode().map(|event| self.handler.give_up(&event, error)).unwrap_or_default();
        if let Err(failed) = self.publish_all(&outgoing, delivery).await {
            tracing::error!(service = self.bus.service, "cannot say that it was given up: {failed:#}");
            return delivery.put_off(wait).await;
        }
        let answer = if outgoing.is_empty() { Answer::None } else { Answer::Given };
        delivery.reject_with(&self.bus, error, answer).await;
    }

    /// Sends progress while the handler works, so that a slow event is not delivered twice.
    async fn keep(&self, delivery: &Delivery) -> std::convert::Infallible {
        let every = self.spec.wait_after(1) / 3;
        loop {
            tokio::time::sleep(every).await;
            delivery.keep().await;
        }
    }
}

fn fail_span(kind: &str, error: &str) {
    let span = Span::current();
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", error);
}
