//! After quiet has returned: is every acknowledged submission decided once, rightly, and written down?

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{self, PullConsumer};
use decision::config::DatabaseSettings;
use decision::policy::Policy;
use decision::store::{Audit, Store};
use domain::DeploymentId;
use futures::{StreamExt, TryStreamExt};
use harness::{Fleet, SERVICES, eventually};
use proto::event::{DEAD_STREAM, STREAM};
use sqlx::{PgPool, Row};
use sysinfo::{Pid, ProcessesToUpdate, System};
use uuid::Uuid;

use super::driver::Done;
use super::faults::POISONED;

/// What was in the hands of a killed service comes again after half a minute, after a second kill a minute later, and so on.
const REST_MAX: Duration = Duration::from_secs(900);
const BETWEEN: Duration = Duration::from_millis(250);
const TELL_EVERY: Duration = Duration::from_secs(30);
/// How long nobody has anything to do before what is undecided is lost.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// What a service may hold above its beginning, in bytes: its caches, and room that the allocator keeps.
pub(crate) const MEMORY_MORE: u64 = 64 << 20;

/// Resident bytes of each service.
pub(crate) fn memory(fleet: &Fleet) -> BTreeMap<&'static str, u64> {
    let mut system = System::new().unwrap();
    system.refresh_processes(ProcessesToUpdate::All, true);
    let of = |service| {
        system.process(Pid::from_u32(fleet.pid(service))).unwrap_or_else(|| panic!("{service} runs")).memory()
    };
    SERVICES.into_iter().map(|service| (service, of(service))).collect()
}

pub(crate) async fn everything(fleet: &mut Fleet, done: &Done, base: &BTreeMap<&'static str, u64>) {
    let pool = fleet.database().await;
    at_rest(fleet, &pool, done).await;
    only_poison_is_dead(fleet, done).await;
    each_is_decided_once_and_rightly(fleet, &pool, done).await;
    every_event_is_in_the_trail(fleet, &pool, done).await;
    let audit = Audit::connect(fleet.postgres.url()).await.unwrap();
    for head in audit.months().await.unwrap() {
        assert_eq!(audit.verify(head.month, &[], |_| ()).await.unwrap(), None, "the chain of {}", head.month);
    }
    for service in SERVICES {
        let log = fleet.logged(service);
        let panicked = log.find("panicked at").map(|at| log[at..].chars().take(1_000).collect::<String>());
        assert_eq!(panicked, None, "{service} never panics");
    }
    for (service, after) in memory(fleet) {
        assert!(after < base[service] + MEMORY_MORE, "{service} holds {after} bytes, and {} at first", base[service]);
    }
    super::faults::calm(fleet).await;
}

/// Waits until every acknowledged deployment has a verdict with nothing missing, and no consumer has anything to do.
async fn at_rest(fleet: &Fleet, pool: &PgPool, done: &Done) {
    let ids: Vec<Uuid> = done.acknowledged.keys().map(|id| id.uuid()).collect();
    let (begun, mut open, mut told, mut busy) = (Instant::now(), String::new(), Instant::now(), Instant::now());
    while begun.elapsed() < REST_MAX {
        let undecided: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM unnest($1::uuid[]) AS id WHERE NOT EXISTS (
                 SELECT FROM deployments d JOIN verdicts v ON v.month = d.month AND v.deployment_id = d.deployment_id AND v.number = d.verdict_number
                 WHERE d.deployment_id = id AND v.missing = '{}')",
        )
        .bind(&ids)
        .fetch_all(pool)
        .await
        .unwrap();
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL").fetch_one(pool).await.unwrap();
        let lags = lags(fleet).await;
        if undecided.is_empty() && waiting == 0 && lags.is_empty() {
            println!("at rest after {:.0} s", begun.elapsed().as_secs_f64());
            return;
        }
        open = format!(
            "{} undecided such as {:?}, {waiting} in the outbox, lags {lags:?}",
            undecided.len(),
            undecided.first()
        );
        if waiting > 0 || !lags.is_empty() {
            busy = Instant::now();
        }
        assert!(
            busy.elapsed() < IDLE_MAX,
            "nobody has anything to do, and still {open}:{}",
            known(fleet, pool, &undecided).await
        );
        if told.elapsed() > TELL_EVERY {
            println!("no rest after {:.0} s: {open}", begun.elapsed().as_secs_f64());
            told = Instant::now();
        }
        tokio::time::sleep(BETWEEN).await;
    }
    panic!("no rest after {REST_MAX:?}: {open}");
}

/// What stream and trail hold of deployments that are lost.
async fn known(fleet: &Fleet, pool: &PgPool, lost: &[Uuid]) -> String {
    let stream = fleet.jetstream().await.get_stream(STREAM).await.unwrap();
    let mut told = String::new();
    let mut messages = Vec::new();
    for sequence in stream.cached_info().state.first_sequence..=stream.cached_info().state.last_sequence {
        messages.extend(stream.get_raw_message(sequence).await);
    }
    for id in lost {
        told.push_str(&format!("\n{id}"));
        let end = id.to_string();
        for message in messages.iter().filter(|message| message.subject.ends_with(&end)) {
            let event = event_id(&message.subject, &message.payload);
            let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_id = $1")
                .bind(event)
                .fetch_one(pool)
                .await
                .unwrap();
            let (sequence, subject) = (message.sequence, &message.subject);
            told.push_str(&format!("\n  place {sequence}: {subject}, event {event:?}, {stored} times in the trail"));
        }
    }
    told
}

/// Consumers that have something to do: what waits, and what is in somebody's hands.
async fn lags(fleet: &Fleet) -> Vec<String> {
    let busy = consumers(fleet).await.into_iter().filter(|info| info.num_pending > 0 || info.num_ack_pending > 0);
    busy.map(|info| format!("{} {}+{}", info.name, info.num_pending, info.num_ack_pending)).collect()
}

/// How many deliveries there were beyond the first of each event.
pub(super) async fn delivered_again(fleet: &Fleet) -> u64 {
    let stream = fleet.jetstream().await.get_stream(STREAM).await.unwrap();
    let mut again = 0;
    for info in consumers(fleet).await.into_iter().filter(|info| info.stream_name == STREAM) {
        let mut subjects = stream.info_with_subjects(&info.config.filter_subject).await.unwrap();
        let mut events = 0;
        while let Some((_, count)) = subjects.try_next().await.unwrap() {
            events += count as u64;
        }
        println!("{}: {} deliveries of {events} events", info.name, info.delivered.consumer_sequence);
        again += info.delivered.consumer_sequence - events;
    }
    again
}

/// The durable consumers of both streams. Those of passing readers acknowledge nothing.
async fn consumers(fleet: &Fleet) -> Vec<consumer::Info> {
    let jetstream = fleet.jetstream().await;
    // Each is asked for by itself: a list leaves out those that have no leader yet.
    eventually("how far all consumers are", async || {
        let mut found = Vec::new();
        for name in [STREAM, DEAD_STREAM] {
            let stream = jetstream.get_stream(name).await.ok()?;
            let names: Vec<String> = stream.consumer_names().try_collect().await.ok()?;
            for name in names.iter().filter(|name| SERVICES.iter().any(|service| name.starts_with(service))) {
                found.push(stream.consumer_info(name).await.ok()?);
            }
        }
        Some(found)
    })
    .await
}

async fn only_poison_is_dead(fleet: &Fleet, done: &Done) {
    let mut stream = fleet.jetstream().await.get_stream(DEAD_STREAM).await.unwrap();
    let state = stream.info().await.unwrap().state.clone();
    let mut found = BTreeSet::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        let body = message.payload.to_vec();
        let why = message.headers.get("Failsafe-Error").map(ToString::to_string);
        assert!(
            done.poison.contains(&body),
            "{} is dead and was no poison: {why:?} {}",
            message.subject,
            String::from_utf8_lossy(&body)
        );
        found.insert(body);
    }
    assert_eq!(found, done.poison, "all poison is kept");
}

/// Verdicts are numbered without a gap, each is what the policy gives, and each is in the stream.
async fn each_is_decided_once_and_rightly(fleet: &Fleet, pool: &PgPool, done: &Done) {
    let settings = DatabaseSettings { url: fleet.postgres.url().to_owned(), ..DatabaseSettings::default() };
    let store = Store::open(&settings, Policy::default(), Duration::from_secs(600)).await.unwrap();
    let rows =
        sqlx::query("SELECT deployment_id, array_agg(number ORDER BY number) AS numbers FROM verdicts GROUP BY 1")
            .fetch_all(pool)
            .await
            .unwrap();
    let known: BTreeMap<Uuid, Vec<i32>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut verdicts = 0;
    for (id, is_blocked) in &done.acknowledged {
        let numbers = &known[&id.uuid()];
        assert_eq!(*numbers, (1..=i32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>(), "verdicts of {id}");
        verdicts += numbers.len();
        let last: String = sqlx::query_scalar("SELECT verdict FROM deployments WHERE deployment_id = $1")
            .bind(id.uuid())
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(last == "BLOCK", *is_blocked, "{last} for {id}");
        for number in numbers {
            let rederived = store.rederive(*id, number.cast_unsigned()).await.unwrap();
            assert_eq!(rederived.stored, rederived.again, "verdict {number} of {id}");
        }
    }
    // Poison about a deployment that nobody submitted is told of it all the same: its analysers failed.
    let ours = |id: &Uuid| *id == POISONED || done.acknowledged.contains_key(&DeploymentId::from_uuid(*id));
    let strangers: Vec<_> = known.keys().filter(|id| !ours(id)).collect();
    assert!(strangers.is_empty(), "nobody submitted {strangers:?}");
    println!("{verdicts} verdicts on {} deployments, each derived again", done.acknowledged.len());
}

/// Every event that the stream holds about a deployment of ours is a row of the trail.
async fn every_event_is_in_the_trail(fleet: &Fleet, pool: &PgPool, done: &Done) {
    let stored: BTreeSet<Uuid> =
        sqlx::query_scalar("SELECT event_id FROM events").fetch_all(pool).await.unwrap().into_iter().collect();
    let stream = fleet.jetstream().await.get_stream(STREAM).await.unwrap();
    let config = async_nats::jetstream::consumer::pull::Config {
        ack_policy: async_nats::jetstream::consumer::AckPolicy::None,
        ..Default::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut events = consumer.messages().await.unwrap();
    let mut seen = 0;
    loop {
        let event = events.next().await.unwrap().unwrap();
        let sequence = event.info().unwrap().stream_sequence;
        let subject = event.subject.as_str();
        let is_submission = subject == "failsafe.v1.deployment.submitted";
        if !is_submission && !done.poison.contains(event.payload.as_ref()) {
            let id = event_id(subject, &event.payload).unwrap_or_else(|| panic!("{subject} has an id"));
            assert!(stored.contains(&id), "{subject} ({id}) is not in the trail");
            seen += 1;
        }
        if sequence >= last {
            break;
        }
    }
    println!("{seen} events in the stream, {} rows in the trail", stored.len());
    assert!(seen > 0);
}

/// Field 1 of every event but the submission.
fn event_id(subject: &str, body: &[u8]) -> Option<Uuid> {
    use proto::v1;
    let id = match proto::event::kind_of(subject)? {
        "deployment.accepted" => <v1::DeploymentAccepted as prost::Message>::decode(body).ok()?.event_id,
        "signal.raised" => <v1::SignalRaised as prost::Message>::decode(body).ok()?.event_id,
        "verdict.reached" => <v1::VerdictReached as prost::Message>::decode(body).ok()?.event_id,
        "explanation.written" => <v1::ExplanationWritten as prost::Message>::decode(body).ok()?.event_id,
        _ => return None,
    };
    Uuid::parse_str(&id).ok()
}
