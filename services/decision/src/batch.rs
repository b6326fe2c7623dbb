//! The intake: events of all kinds into batches, each joined in one transaction and acknowledged after its commit.

use std::pin::Pin;
use std::time::Duration;

use chassis::{Bus, ConsumerSpec, Delivery, Process, State};
use domain::{Deployment, Explanation, Outcome, Review, Signal};
use futures::stream::{self, Stream, StreamExt};
use proto::Event;
use tracing::Span;

use crate::incoming::{Content, Incoming};
use crate::relay::Wake;
use crate::store::{Store, is_passing};
use crate::{Config, SERVICE};

/// How long an unacknowledged event waits before it is delivered again.
const ACK_WAIT: Duration = Duration::from_secs(15);
/// How often an event is delivered before it goes to the dead letters.
const DELIVERIES_MAX: u32 = 20;
/// How long what is in flight is put off while PostgreSQL is away.
const PUT_OFF: Duration = Duration::from_secs(5);

/// An event that was delivered, read, and given its span.
struct Arrived {
    delivery: Delivery,
    incoming: Incoming,
    span: Span,
}

type Read = fn(&Delivery) -> Result<Incoming, proto::Malformed>;
type Arrivals = Pin<Box<dyn Stream<Item = (Delivery, Read)> + Send>>;

pub(crate) async fn run(process: &Process, store: &Store, config: &Config, wake: &Wake) -> anyhow::Result<()> {
    let (bus, most) = (&process.bus, config.batch_max);
    let sources = [
        arrivals::<Deployment>(bus, most, "decision-accepted", |d| {
            Incoming::read(d, |e| Content::Accepted(Box::new(e)))
        })
        .await?,
        arrivals::<Signal>(bus, most, "decision-signal", |d| Incoming::read(d, Content::Signal)).await?,
        arrivals::<Explanation>(bus, most, "decision-explanation", |d| Incoming::read(d, Content::Explanation)).await?,
        arrivals::<Review>(bus, most, "decision-review", |d| Incoming::read(d, Content::Review)).await?,
        arrivals::<Outcome>(bus, most, "decision-outcome", |d| Incoming::read(d, Content::Outcome)).await?,
    ];
    let mut batches = stream::select_all(sources).ready_chunks(most);
    loop {
        let batch = tokio::select! {
            biased;
            () = process.shutdown.called() => return Ok(()),
            batch = batches.next() => batch,
        };
        let Some(batch) = batch else { anyhow::bail!("the bus has no more events") };
        let arrived = read(bus, batch).await;
        if !arrived.is_empty() {
            join(process, store, arrived, wake).await;
        }
    }
}

async fn arrivals<E: Event>(bus: &Bus, most: usize, name: &'static str, read: Read) -> anyhow::Result<Arrivals> {
    let backoff = vec![ACK_WAIT];
    let spec = ConsumerSpec { name, backoff, deliveries_max: DELIVERIES_MAX, in_flight_max: most };
    let deliveries = bus.deliveries::<E>(&spec).await?;
    Ok(Box::pin(deliveries.map(move |delivery| (delivery, read))))
}

/// Reads the events; what cannot be read goes to the dead letters.
async fn read(bus: &Bus, batch: Vec<(Delivery, Read)>) -> Vec<Arrived> {
    let mut arrived = Vec::with_capacity(batch.len());
    for (delivery, read) in batch {
        match read(&delivery) {
            Ok(mut incoming) => {
                let span = delivery.span(SERVICE);
                span.record("deployment.id", tracing::field::display(incoming.deployment_id));
                incoming.traceparent = chassis::trace::parent_of(&span);
                arrived.push(Arrived { delivery, incoming, span });
            }
            Err(malformed) => delivery.reject(bus, &malformed.to_string()).await,
        }
    }
    arrived
}

/// Joins a batch. When PostgreSQL refuses it, each event is tried by itself, so that one cannot hold up the others.
async fn join(process: &Process, store: &Store, arrived: Vec<Arrived>, wake: &Wake) {
    let batch: Vec<Incoming> = arrived.iter().map(|one| one.incoming.clone()).collect();
    match store.join(&batch).await {
        Ok(joined) => {
            if joined.verdicts > 0 {
                wake.call();
            }
            for one in &arrived {
                one.delivery.acknowledge().await;
            }
        }
        Err(error) if is_passing(&error) => pause(process, store, &arrived, &error).await,
        Err(error) if arrived.len() == 1 => refuse(&process.bus, &arrived, &error).await,
        Err(error) => {
            tracing::warn!(service = SERVICE, "a batch of {} is refused, trying each: {error:#}", arrived.len());
            for one in arrived {
                Box::pin(join(process, store, vec![one], wake)).await;
            }
        }
    }
}

async fn refuse(bus: &Bus, arrived: &[Arrived], error: &sqlx::Error) {
    for one in arrived {
        one.span.record("otel.status_code", "ERROR");
        one.delivery.reject(bus, &format!("the audit trail refuses it: {error:#}")).await;
    }
}

/// PostgreSQL is away: puts off what is in flight and pulls no more until it is back, so that no delivery is wasted.
async fn pause(process: &Process, store: &Store, arrived: &[Arrived], error: &sqlx::Error) {
    tracing::error!(service = SERVICE, "PostgreSQL is away, pausing: {error:#}");
    process.health.set(State::NotServing(format!("PostgreSQL is away: {error}")));
    for one in arrived {
        one.delivery.put_off(PUT_OFF).await;
    }
    while store.ping().await.is_err() {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            () = process.shutdown.called() => return,
        }
    }
    tracing::info!(service = SERVICE, "PostgreSQL is back");
    process.health.set(State::Serving);
}
