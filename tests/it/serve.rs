//! How a service takes what comes: many together, one at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use chassis::{Bus, ConsumerSpec, Failure, Handler, Outgoing, Settings, Shutdown};
use domain::{Deployment, DeploymentId, Said, Signal, Source};
use futures::{FutureExt, StreamExt, stream};
use harness::{Fleet, eventually};
use proto::Event;

use crate::cases::deployment;

const CONSUMER: &str = "counting";
const CROWD: u32 = 3_000;

/// Counts how often each deployment came.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<HashMap<DeploymentId, usize>>>);

impl Handler for Counting {
    type In = Deployment;

    async fn handle(&self, deployment: Deployment) -> Result<Vec<Outgoing>, Failure> {
        *self.0.lock().unwrap().entry(deployment.id).or_default() += 1;
        Ok(Vec::new())
    }
}

impl Counting {
    async fn has_seen(&self, count: u32) {
        let seen = || self.0.lock().unwrap().len();
        eventually("all have come", async || (seen() == count as usize).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_fetched_together_and_who_comes_alone_afterwards_is_seen_too() {
    let fleet = Fleet::servers(&[]).await;
    let settings = Settings::load(None).unwrap().with("nats.url", fleet.nats.url()).table("nats").unwrap();
    let shutdown = Shutdown::default();
    let bus = Bus::connect(&settings, "ml-scoring", &shutdown).await.unwrap();
    let asking = fleet.jetstream().await.client();
    let mut asked = asking.subscribe(format!("$JS.API.CONSUMER.MSG.NEXT.FAILSAFE.{CONSUMER}")).await.unwrap();
    asking.flush().await.unwrap();
    let counting = Counting::default();
    let spec =
        ConsumerSpec { name: CONSUMER, backoff: vec![Duration::from_secs(30)], deliveries_max: 5, in_flight_max: 64 };
    let serving = tokio::spawn({
        let (bus, counting, shutdown) = (bus.clone(), counting.clone(), shutdown.clone());
        async move { bus.serve(spec, counting, &shutdown).await }
    });
    let publish = async |number| bus.publish(&Outgoing::new(&deployment(number))).await.unwrap();
    stream::iter(1..=CROWD).for_each_concurrent(256, publish).await;
    counting.has_seen(CROWD).await;
    publish(CROWD + 1).await;
    counting.has_seen(CROWD + 1).await;
    assert!(counting.0.lock().unwrap().values().all(|times| *times == 1), "nobody came twice");
    eventually("all are acknowledged", async || {
        let consumer: async_nats::jetstream::consumer::PullConsumer =
            fleet.jetstream().await.get_stream("FAILSAFE").await.ok()?.get_consumer(CONSUMER).await.ok()?;
        let info = consumer.cached_info();
        (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
    })
    .await;
    shutdown.call();
    serving.await.unwrap().unwrap();
    let (mut fetches, mut waits) = (0, 0);
    while let Some(Some(message)) = asked.next().now_or_never() {
        *(if String::from_utf8_lossy(&message.payload).contains("no_wait") { &mut fetches } else { &mut waits }) += 1;
    }
    assert!(fetches > 0 && waits > 0, "{fetches} fetches, {waits} that waited");
}

/// Answers each deployment with a signal.
struct Answering;

impl Handler for Answering {
    type In = Deployment;

    async fn handle(&self, deployment: Deployment) -> Result<Vec<Outgoing>, Failure> {
        Ok(vec![Outgoing::new(&signal(deployment.id))])
    }
}

fn signal(deployment_id: DeploymentId) -> Signal {
    Signal {
        deployment_id,
        source: Source::MlScoring,
        basis: "test-1".to_owned(),
        producer: "test".to_owned(),
        raised_at: time::OffsetDateTime::UNIX_EPOCH,
        took: Duration::ZERO,
        said: Said::Unavailable { reason: "there is nothing to say".to_owned() },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_refuses_for_a_moment_is_published_again_without_another_delivery() {
    let fleet = Fleet::servers(&[]).await;
    let settings = Settings::load(None).unwrap().with("nats.url", fleet.nats.url()).table("nats").unwrap();
    let shutdown = Shutdown::default();
    let bus = Bus::connect(&settings, "ml-scoring", &shutdown).await.unwrap();
    let jetstream = fleet.jetstream().await;
    let asked = deployment(1);
    bus.publish(&Outgoing::new(&asked)).await.unwrap();
    let open = jetstream.get_stream("FAILSAFE").await.unwrap().cached_info().config.clone();
    let shut = Config { max_message_size: 1, ..open.clone() };
    jetstream.update_stream(shut).await.unwrap();
    let mut tried = jetstream.client().subscribe(signal(asked.id).subject()).await.unwrap();
    jetstream.client().flush().await.unwrap();
    let spec =
        ConsumerSpec { name: CONSUMER, backoff: vec![Duration::from_secs(30)], deliveries_max: 5, in_flight_max: 64 };
    let serving = tokio::spawn({
        let (bus, shutdown) = (bus.clone(), shutdown.clone());
        async move { bus.serve(spec, Answering, &shutdown).await }
    });
    tried.next().await.unwrap();
    jetstream.update_stream(open).await.unwrap();
    let stored = eventually("the signal is stored", async || bus.last::<Signal>(asked.id).await.ok().flatten()).await;
    assert_eq!(stored, signal(asked.id));
    tried.next().await.expect("it was tried twice at least");
    let info = eventually("the deployment is acknowledged", async || {
        let consumer: async_nats::jetstream::consumer::PullConsumer =
            jetstream.get_stream("FAILSAFE").await.ok()?.get_consumer(CONSUMER).await.ok()?;
        Some(consumer.cached_info().clone()).filter(|info| info.num_ack_pending == 0)
    })
    .await;
    assert_eq!(info.delivered.consumer_sequence, 1, "it was delivered once");
    shutdown.call();
    serving.await.unwrap().unwrap();
}
