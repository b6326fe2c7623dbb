//! The intake: events of all kinds into batches, each joined in one transaction and acknowledged after its commit.

use std::pin::Pin;
use std::time::Duration;

use chassis::{Bus, ConsumerSpec, Delivery, Process, State, trace};
use domain::{Deployment, DeploymentId, Explanation, Outcome, Review, Signal};
use futures::FutureExt;
use futures::stream::{self, Stream, StreamExt};
use proto::Event;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::gather::{Arrival, Gathering, Part};
use crate::incoming::{Content, Incoming};
use crate::relay::Fresh;
use crate::store::{Store, is_passing};
use crate::{Config, SERVICE};

/// How long an unacknowledged event waits before it is delivered again.
const ACK_WAIT: Duration = Duration::from_secs(15);
/// How often an event is delivered before it goes to the dead letters.
const DELIVERIES_MAX: u32 = 20;
/// How long a drain joins what has been delivered.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How long what is in flight is put off while PostgreSQL is away.
const PUT_OFF: Duration = Duration::from_secs(5);

/// An event that was delivered, what it says, and the span in which it is handled.
struct Arrived {
    delivery: Delivery,
    event: Incoming,
    span: Span,
}

impl Arrival for Arrived {
    fn deployment(&self) -> DeploymentId {
        self.event.deployment_id
    }

    fn part(&self) -> Part {
        match self.event.content {
            Content::Accepted(_) => Part::Acceptance,
            Content::Signal(_) => Part::Signal,
            Content::Explanation(_) => Part::Afterword,
            Content::Review(_) | Content::Outcome(_) => Part::Asked,
        }
    }

    fn bytes(&self) -> usize {
        self.event.body.len()
    }
}

type Read = fn(&Delivery) -> Result<Incoming, proto::Malformed>;
type Arrivals<'a> = Pin<Box<dyn Stream<Item = Arrived> + Send + 'a>>;

pub(crate) async fn run(process: &Process, store: &Store, config: &Config, fresh: Fresh) -> anyhow::Result<()> {
    let (bus, most) = (&process.bus, config.batch_max);
    let sources = [
        arrivals::<Deployment>(bus, most, "decision-accepted", |d| Incoming::read(d, Content::accepted)).await?,
        arrivals::<Signal>(bus, most, "decision-signal", |d| Incoming::read(d, Content::Signal)).await?,
        arrivals::<Explanation>(bus, most, "decision-explanation", |d| Incoming::read(d, Content::Explanation)).await?,
        arrivals::<Review>(bus, most, "decision-review", |d| Incoming::read(d, Content::Review)).await?,
        arrivals::<Outcome>(bus, most, "decision-outcome", |d| Incoming::read(d, Content::Outcome)).await?,
    ];
    let mut arrivals = stream::select_all(sources);
    let mut gathering = Gathering::new(most);
    let mut batch = Vec::new();
    while !process.shutdown.is_called() {
        // While one batch is joined the next one comes together.
        let (joined, is_joined) = oneshot::channel();
        let joining = async {
            join(process, store, std::mem::take(&mut batch), &fresh).await;
            // Nobody waits for it at the end.
            let _ = joined.send(());
        };
        let collecting = collect(process, &mut arrivals, &mut gathering, is_joined);
        let ((), next) = tokio::join!(joining, collecting);
        batch = next?;
    }
    // What has been delivered here is joined before the end, or it would only come again after a while.
    let drain = async {
        batch.extend(gathering.into_rest());
        // After an answer, all that the server sent before it is here.
        let _ = bus.stream_now().await;
        loop {
            while batch.len() < most
                && let Some(Some(one)) = arrivals.next().now_or_never()
            {
                batch.push(one);
            }
            if batch.is_empty() {
                break;
            }
            join(process, store, std::mem::take(&mut batch), &fresh).await;
        }
    };
    if tokio::time::timeout(DRAIN_MAX, drain).await.is_err() {
        tracing::warn!(service = SERVICE, "drained no further: what is in flight will be delivered again");
    }
    Ok(())
}

/// The next batch, once the one before is joined; an empty one when everything ends.
async fn collect(
    process: &Process,
    arrivals: &mut (impl Stream<Item = Arrived> + Unpin),
    gathering: &mut Gathering<Arrived>,
    mut is_joined: oneshot::Receiver<()>,
) -> anyhow::Result<Vec<Arrived>> {
    let mut waits = false;
    loop {
        while gathering.has_room()
            && let Some(Some(one)) = arrivals.next().now_or_never()
        {
            gathering.push(one);
        }
        let due_at = gathering.due_at();
        if waits && due_at.is_some_and(|at| at <= Instant::now()) {
            return Ok(gathering.take());
        }
        tokio::select! {
            biased;
            () = process.shutdown.called() => return Ok(Vec::new()),
            _ = &mut is_joined, if !waits => waits = true,
            one = arrivals.next(), if gathering.has_room() => match one {
                Some(one) => gathering.push(one),
                None => anyhow::bail!("the bus has no more events"),
            },
            () = tokio::time::sleep_until(due_at.unwrap_or_else(Instant::now)), if waits && due_at.is_some() => {}
        }
    }
}

/// The events of one kind as they come; those that cannot be read go to the dead letters.
async fn arrivals<'a, E: Event>(
    bus: &'a Bus,
    most: usize,
    name: &'static str,
    read: Read,
) -> anyhow::Result<Arrivals<'a>> {
    let backoff = vec![ACK_WAIT];
    let spec = ConsumerSpec { name, backoff, deliveries_max: DELIVERIES_MAX, in_flight_max: most };
    let deliveries = bus.deliveries::<E>(&spec).await?;
    Ok(Box::pin(deliveries.filter_map(move |delivery| arrived(bus, delivery, read))))
}

async fn arrived(bus: &Bus, delivery: Delivery, read: Read) -> Option<Arrived> {
    // A trace that nobody sees is passed on as it came: a span for each event would cost more than joining it.
    let unseen = delivery.unseen();
    let span = if unseen.is_some() { Span::none() } else { delivery.span(SERVICE) };
    match read(&delivery) {
        Ok(mut event) => {
            span.record("deployment.id", tracing::field::display(event.deployment_id));
            event.traceparent = unseen.map(str::to_owned).or_else(|| trace::parent_of(&span));
            Some(Arrived { delivery, event, span })
        }
        Err(malformed) => {
            span.record("otel.status_code", "ERROR").record("error.type", "reject");
            delivery.reject(bus, &malformed.to_string()).instrument(span).await;
            None
        }
    }
}

/// Joins a batch. When PostgreSQL refuses it, each event is tried by itself, so that one cannot hold up the others.
async fn join(process: &Process, store: &Store, arrived: Vec<Arrived>, fresh: &Fresh) {
    if arrived.is_empty() {
        return;
    }
    match store.join(arrived.iter().map(|one| &one.event)).instrument(span_of(&arrived)).await {
        Ok(joined) => {
            if !joined.verdicts.is_empty() {
                fresh.call(joined.verdicts);
            }
            for one in &arrived {
                one.delivery.acknowledge().instrument(one.span.clone()).await;
            }
        }
        Err(error) if is_passing(&error) => pause(process, store, &arrived, &error).await,
        Err(error) if arrived.len() == 1 => refuse(&process.bus, &arrived, &error).await,
        Err(error) => {
            tracing::warn!(service = SERVICE, "a batch of {} is refused, trying each: {error:#}", arrived.len());
            for one in arrived {
                Box::pin(join(process, store, vec![one], fresh)).await;
            }
        }
    }
}

/// The span in which a batch is joined. A span has one parent: that is the first event whose trace is exported; the others are
/// linked, there and back.
fn span_of(arrived: &[Arrived]) -> Span {
    let Some(first) = arrived.iter().position(|one| trace::is_sampled(&one.span)) else { return Span::none() };
    let span = tracing::info_span!(
        parent: &arrived[first].span,
        "join",
        otel.kind = "internal",
        failsafe.service = SERVICE,
        messaging.batch.message_count = arrived.len(),
    );
    for (number, one) in arrived.iter().enumerate() {
        if number != first && trace::is_sampled(&one.span) {
            trace::parent_of(&one.span).iter().for_each(|event| trace::link(&span, event));
            trace::parent_of(&span).iter().for_each(|join| trace::link(&one.span, join));
        }
    }
    span
}

async fn refuse(bus: &Bus, arrived: &[Arrived], error: &sqlx::Error) {
    for one in arrived {
        one.span.record("otel.status_code", "ERROR").record("error.type", "reject");
        let reason = format!("the audit trail refuses it: {error:#}");
        one.delivery.reject(bus, &reason).instrument(one.span.clone()).await;
    }
}

/// PostgreSQL is away: puts off what is in flight and pulls no more until it is back, so that no delivery is wasted.
async fn pause(process: &Process, store: &Store, arrived: &[Arrived], error: &sqlx::Error) {
    tracing::error!(service = SERVICE, "PostgreSQL is away, pausing: {error:#}");
    process.health.set(State::NotServing(format!("PostgreSQL is away: {error}")));
    for one in arrived {
        one.span.record("otel.status_code", "ERROR").record("error.type", "retry");
        one.delivery.put_off(PUT_OFF).instrument(one.span.clone()).await;
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
