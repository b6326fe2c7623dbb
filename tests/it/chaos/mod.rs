//! Faults of every kind, at random from a seed, while deployments are submitted; then a proof that nothing was lost, doubled or wrong.
//!
//! `FAILSAFE_CHAOS_SECONDS` says for how long (20 by default), `FAILSAFE_CHAOS_SEED` which faults: the same seed gives the same
//! faults in the same order. `just chaos MINUTES` runs seed after seed.

mod check;
mod cluster;
mod driver;
mod faults;

use std::time::{Duration, Instant};

use fastrand::Rng;
use harness::{Fleet, Proxy, SERVICES};

pub(crate) use check::{MEMORY_MORE, everything, memory};
pub(crate) use driver::Driver;
use faults::Fault;

/// How long faults happen when nobody says.
const SECONDS: u64 = 20;
/// The pause between two faults, in milliseconds, at most.
const PAUSE_MAX_MS: u64 = 1_500;

/// How many events are in a service's hands at a time when it is told to end: it finishes what it has begun, and what it has not
/// comes again.
const IN_HAND_MAX: u64 = 64;

/// All of FailSafe with a proxy in front of each server.
struct World {
    fleet: Fleet,
    nats: Proxy,
    postgres: Proxy,
}

impl World {
    async fn start() -> Self {
        let mut fleet = Fleet::servers(&[("FAILSAFE__DECISION__DEADLINE_MS", "600000")]).await;
        let (nats_url, postgres_url) = (fleet.nats.url().to_owned(), fleet.postgres.url().to_owned());
        let (nats_at, postgres_at) = (place_of(&nats_url), place_of(&postgres_url));
        let (nats, postgres) = (Proxy::start(nats_at).await, Proxy::start(postgres_at).await);
        fleet.set("FAILSAFE__NATS__URL", &nats.in_place_of(nats_at, &nats_url));
        fleet.set("FAILSAFE__DATABASE__URL", &postgres.in_place_of(postgres_at, &postgres_url));
        for service in SERVICES {
            fleet.spawn(service);
        }
        for service in SERVICES {
            fleet.serving(service).await;
        }
        Self { fleet, nats, postgres }
    }
}

/// `host:port` of a URL.
fn place_of(url: &str) -> &str {
    let after = url.rsplit_once('@').map_or_else(|| url.split_once("//").unwrap().1, |(_, after)| after);
    after.split('/').next().unwrap()
}

pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_wrong_whatever_fails_and_all_comes_to_rest() {
    let seconds = number("FAILSAFE_CHAOS_SECONDS").unwrap_or(SECONDS);
    let seed = number("FAILSAFE_CHAOS_SEED").unwrap_or(1);
    let mut world = World::start().await;
    let base = check::memory(&world.fleet);
    println!("seed {seed}, {seconds} s of faults");
    let driver = Driver::start(&world.fleet, seed).await;
    let (mut rng, begun, mut happened) = (Rng::with_seed(seed), Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(seconds) {
        let fault = Fault::any(&mut rng);
        println!("{:>7.1} s  {fault:?}", begun.elapsed().as_secs_f64());
        fault.happen(&mut world, &driver).await;
        happened.push(fault);
        tokio::time::sleep(Duration::from_millis(rng.u64(..PAUSE_MAX_MS))).await;
    }
    faults::calm(&mut world.fleet).await;
    let done = driver.stop().await;
    println!("{}", faults::told(&happened));
    println!(
        "{} acknowledged submissions, {} of them by gRPC; {} events of poison",
        done.acknowledged.len(),
        done.by_grpc,
        done.poison.len()
    );
    everything(&mut world.fleet, &done, &base).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_call_that_is_tried_again_and_decides_nothing_twice() {
    let mut world = World::start().await;
    let base = check::memory(&world.fleet);
    let driver = Driver::start(&world.fleet, 0).await;
    for service in SERVICES {
        // Some submissions are under way at each of the restarts.
        let before = driver.done.lock().unwrap().acknowledged.len();
        harness::eventually("submissions go on", async || {
            (driver.done.lock().unwrap().acknowledged.len() > before + 10).then_some(())
        })
        .await;
        let code = world.fleet.terminate(service).await;
        assert_eq!(code, Some(0), "{service} ends in good order:\n{}", world.fleet.logged(service));
        world.fleet.spawn(service);
        world.fleet.serving(service).await;
    }
    let done = driver.stop().await;
    println!("{} submissions, answers besides: {:?}", done.acknowledged.len(), done.refused);
    assert!(done.refused.keys().all(|code| *code == "UNAVAILABLE"), "{:?}", done.refused);
    everything(&mut world.fleet, &done, &base).await;
    let again = check::delivered_again(&world.fleet).await;
    assert!(again <= IN_HAND_MAX, "{again} events came again, more than were in hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_submissions_are_refused_and_when_there_is_room_again_all_are_decided() {
    let mut world = World::start().await;
    let base = check::memory(&world.fleet);
    let driver = Driver::start(&world.fleet, 0).await;
    let counted = || {
        let done = driver.done.lock().unwrap();
        (done.acknowledged.len(), done.refused.get("UNAVAILABLE").copied().unwrap_or_default())
    };
    harness::eventually("submissions are taken", async || (counted().0 > 20).then_some(())).await;
    world.fleet.nats.restart_with_room(faults::NO_ROOM).await.unwrap();
    world.fleet.serving("gateway").await;
    let (taken, refused) = counted();
    harness::eventually("they are refused", async || (counted().1 > refused + 50).then_some(())).await;
    assert_eq!(counted().0, taken, "none is acknowledged that there is no room for");
    world.fleet.nats.restart_with_room(None).await.unwrap();
    harness::eventually("they are taken again", async || (counted().0 > taken + 50).then_some(())).await;
    let done = driver.stop().await;
    println!("{} submissions, answers besides: {:?}", done.acknowledged.len(), done.refused);
    everything(&mut world.fleet, &done, &base).await;
}
