//! What can go wrong, and how it is brought about.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use harness::{Fleet, SERVICES};
use proto::event::STREAM;
use uuid::Uuid;

use super::World;
use super::driver::Driver;

/// How many events are told again at a time, at most.
const AGAIN_MAX: u64 = 40;
const DEADLINES_MS: [u64; 3] = [600_000, 1_500, 300];

/// So many bytes may all streams take of the disk when it is full: what they hold is more.
pub(super) const NO_ROOM: Option<u64> = Some(1);

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// SIGKILL, and a new start after this long.
    Kill { service: &'static str, away: Duration },
    /// SIGTERM, and a new start.
    Terminate { service: &'static str },
    /// SIGSTOP for this long.
    Freeze { service: &'static str, for_: Duration },
    /// SIGKILL to nats-server, and a new start after this long.
    KillNats { away: Duration },
    /// SIGKILL to PostgreSQL, and a new start after this long.
    KillPostgres { away: Duration },
    /// Every connection to the server breaks off.
    Cut { server: Server },
    /// Nothing passes to and from the server for this long.
    Stall { server: Server, for_: Duration },
    /// The network is slow for this long.
    Slow { server: Server, each: Duration, for_: Duration },
    /// All streams together have used up what NATS may take of the disk, for this long. (The limit of one stream cannot be lowered to
    /// what it holds: what comes meanwhile makes the server forget what is oldest, handled or not.)
    Quota { for_: Duration },
    /// Events that were there come again, in reverse order, beyond what the server recognises as the same.
    Again { from: u64 },
    /// Bytes that nobody can read, on a subject of ours.
    Poison { kind: usize },
    /// decision starts anew with another deadline: too short for most, or long.
    Deadline { ms: u64 },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
    Nats,
    Postgres,
}

impl Fault {
    /// The next fault of a seed.
    pub(super) fn any(rng: &mut Rng) -> Self {
        let service = SERVICES[rng.usize(..SERVICES.len())];
        let server = if rng.bool() { Server::Nats } else { Server::Postgres };
        let mut upto = |ms: u64| Duration::from_millis(rng.u64(..ms));
        let (short, long) = (upto(400), upto(3_000));
        match rng.u8(..16) {
            0..4 => Self::Kill { service, away: short },
            4 => Self::Terminate { service },
            5 | 6 => Self::Freeze { service, for_: long },
            7 => Self::KillNats { away: short },
            8 => Self::KillPostgres { away: short },
            9 => Self::Cut { server },
            10 => Self::Stall { server, for_: long },
            11 => Self::Slow { server, each: short / 20, for_: long },
            12 => Self::Quota { for_: short },
            13 => Self::Again { from: rng.u64(..) },
            14 => Self::Poison { kind: rng.usize(..POISON_KINDS.len()) },
            _ => Self::Deadline { ms: DEADLINES_MS[rng.usize(..DEADLINES_MS.len())] },
        }
    }

    fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    }

    /// Brings it about, and ends it.
    pub(super) async fn happen(&self, world: &mut World, driver: &Driver) {
        match *self {
            Self::Kill { service, away } => {
                world.fleet.kill(service).await;
                tokio::time::sleep(away).await;
                world.fleet.spawn(service);
            }
            Self::Terminate { service } => {
                let code = world.fleet.terminate(service).await;
                assert_eq!(code, Some(0), "{service} ends in good order:\n{}", world.fleet.logged(service));
                world.fleet.spawn(service);
            }
            Self::Freeze { service, for_ } => {
                world.fleet.signal(service, "STOP").await;
                tokio::time::sleep(for_).await;
                world.fleet.signal(service, "CONT").await;
            }
            Self::KillNats { away } => {
                world.fleet.nats.kill().await.unwrap();
                tokio::time::sleep(away).await;
                world.fleet.nats.restart().await.unwrap();
            }
            Self::KillPostgres { away } => {
                world.fleet.postgres.kill().await.unwrap();
                tokio::time::sleep(away).await;
                world.fleet.postgres.restart().await.unwrap();
            }
            Self::Cut { server } => world.proxy(server).cut(),
            Self::Stall { server, for_ } => {
                world.proxy(server).stall(true);
                tokio::time::sleep(for_).await;
                world.proxy(server).stall(false);
            }
            Self::Slow { server, each, for_ } => {
                world.proxy(server).delay(each);
                tokio::time::sleep(for_).await;
                world.proxy(server).delay(Duration::ZERO);
            }
            Self::Quota { for_ } => {
                world.fleet.nats.restart_with_room(NO_ROOM).await.unwrap();
                tokio::time::sleep(for_).await;
                world.fleet.nats.restart_with_room(None).await.unwrap();
            }
            Self::Again { from } => again(driver, from).await,
            Self::Poison { kind } => poison(driver, kind).await,
            Self::Deadline { ms } => {
                world.fleet.kill("decision").await;
                world.fleet.set("FAILSAFE__DECISION__DEADLINE_MS", &ms.to_string());
                world.fleet.spawn("decision");
            }
        }
    }
}

impl World {
    fn proxy(&self, server: Server) -> &harness::Proxy {
        match server {
            Server::Nats => &self.nats,
            Server::Postgres => &self.postgres,
        }
    }
}

/// All services run, and serve.
pub(super) async fn calm(fleet: &mut Fleet) {
    for service in SERVICES {
        if let Some(status) = fleet.ended(service) {
            panic!("{service} ended by itself with {status}:\n{}", fleet.logged(service));
        }
        fleet.serving(service).await;
    }
}

/// How often each kind of fault happened.
pub(super) fn told(happened: &[Fault]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for fault in happened {
        *counts.entry(fault.name()).or_default() += 1;
    }
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("{} faults: {}", happened.len(), each.join(", "))
}

/// Tells some of the stream's events again without their ids, the latest first.
async fn again(driver: &Driver, from: u64) {
    let mut stream = driver.jetstream.get_stream(STREAM).await.unwrap();
    let last = stream.info().await.unwrap().state.last_sequence;
    let first = from % last.max(1) + 1;
    for sequence in (first..=last.min(first + AGAIN_MAX)).rev() {
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        // Not acknowledged is as good: what comes again must not matter.
        let _ = driver.jetstream.publish(message.subject, message.payload).await;
    }
}

/// The deployment that poison claims to be about.
pub(super) const POISONED: Uuid = uuid::uuid!("00000000-0000-4000-8000-000000000000");
/// The kinds of events on whose subjects what cannot be read is thrown in; the first has no deployment behind it.
const POISON_KINDS: [&str; 4] = ["deployment.submitted", "deployment.accepted", "signal.raised", "outcome.recorded"];

async fn poison(driver: &Driver, kind: usize) {
    let body = {
        let mut done = driver.done.lock().unwrap();
        let body = format!("poison number {}", done.poison.len()).into_bytes();
        done.poison.insert(body.clone());
        body
    };
    let of = if kind == 0 { String::new() } else { format!(".{POISONED}") };
    let subject = format!("failsafe.v1.{}{of}", POISON_KINDS[kind]);
    let stored = driver.jetstream.publish(subject, body.into()).await.unwrap();
    stored.await.unwrap();
}
