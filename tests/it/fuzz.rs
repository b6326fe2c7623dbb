//! Nonsense at every door: random bytes, and messages that were right before some of their bytes changed. Nothing panics, nothing leaks,
//! everything that was taken is kept, and all still serve.
//!
//! `FAILSAFE_FUZZ` says how many of each kind (150 by default), `FAILSAFE_FUZZ_SEED` which ones.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes};
use fastrand::Rng;
use harness::{Fleet, SERVICES, eventually};
use prost::Message;
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use crate::chaos::{MEMORY_MORE, memory, number};
use crate::{diffs, http};

/// Messages of every kind that the gateway and the stream take, and what look like them.
fn seeds() -> Vec<Vec<u8>> {
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        title: "Greet the world".to_owned(),
        labels: vec!["payments".to_owned()],
        change: Some(Change::Diff(diffs::migration("orders"))),
        ..Default::default()
    };
    let id = "0a49a8a0-5b1c-5d3e-8f2a-1234567890ab".to_owned();
    let get = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
    let review = v1::ReviewDeploymentRequest {
        deployment_id: id,
        decision: v1::ReviewDecision::Approved.into(),
        reviewer: "ada".to_owned(),
        why: "looked at".to_owned(),
        ..Default::default()
    };
    let json = format!(r#"{{"repository":"acme/shop","pull_request":7,"diff":{:?}}}"#, diffs::harmless("notes"));
    vec![request.encode_to_vec(), get.encode_to_vec(), review.encode_to_vec(), json.into_bytes()]
}

/// Random bytes, or one of the seeds with some of its bytes changed, doubled, left out, or cut off.
fn nonsense(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    if rng.u8(..4) == 0 {
        let mut bytes = vec![0; rng.usize(..600)];
        rng.fill(&mut bytes);
        return bytes;
    }
    let mut bytes = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..rng.usize(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.usize(..bytes.len());
        match rng.u8(..5) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes[at] ^= 1 << rng.u8(..8),
            2 => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => bytes.splice(at..at, std::iter::repeat_n(bytes[at], rng.usize(..9))).for_each(drop),
        }
    }
    bytes
}

/// Bytes as they are, for messages that are none.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

const METHODS: [&str; 6] =
    ["SubmitDeployment", "GetDeployment", "ExplainDeployment", "ReviewDeployment", "RecordOutcome", "ListDeployments"];

async fn by_grpc(fleet: &Fleet, rng: &mut Rng, body: Vec<u8>) {
    let mut client = tonic::client::Grpc::new(fleet.channel());
    client.ready().await.unwrap();
    let method = METHODS[rng.usize(..METHODS.len())];
    let path = format!("/failsafe.v1.DeploymentService/{method}").parse().unwrap();
    if let Err(status) = client.unary(Request::new(Bytes::from(body.clone())), path, Raw).await {
        // What tonic itself says of bytes that are no message of that kind is INTERNAL.
        let is_unread =
            status.code() == Code::Internal && status.message().starts_with("failed to decode Protobuf message");
        let ours = !matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
        assert!(ours || is_unread, "{method} of {body:?}: {status}");
    }
}

async fn by_http(fleet: &Fleet, rng: &mut Rng, body: Vec<u8>) {
    let paths = [
        "/analyze",
        "/v1/deployments",
        "/v1/deployments/x",
        "/v1/deployments/x:review",
        "/v1/deployments/x:watch",
        "/",
    ];
    let mut url = format!("http://{}{}", fleet.http(), paths[rng.usize(..paths.len())]);
    for _ in 0..rng.usize(..4) {
        let name = ["repo", "pr_id", "wait", "page_size", "read_mask", "order_by", "x"][rng.usize(..7)];
        let value: String = (0..rng.usize(..12)).map(|_| format!("%{:02X}", rng.u8(..))).collect();
        url = format!("{url}{}{name}={value}", if url.contains('?') { '&' } else { '?' });
    }
    let request = if rng.bool() { http::client().post(&url).body(body) } else { http::client().get(&url) };
    let status = request.send().await.unwrap().status();
    assert_ne!(status.as_u16(), 500, "{url}");
}

/// Not even the protocol is kept.
async fn by_tcp(address: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may hang up before all is written.
    let _ = stream.write_all(body).await;
    let _ = stream.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_at_every_door_is_refused_or_kept_and_all_still_serve() {
    let count = number("FAILSAFE_FUZZ").unwrap_or(150);
    let seed = number("FAILSAFE_FUZZ_SEED").unwrap_or(1);
    let mut fleet = Fleet::start(&[("FAILSAFE__GATEWAY__CALLS_PER_SECOND_MAX", "0")]).await;
    let base = memory(&fleet);
    let mut published = BTreeSet::new();
    let (mut rng, seeds, jetstream) = (Rng::with_seed(seed), seeds(), fleet.jetstream().await);
    for _ in 0..count {
        let body = nonsense(&mut rng, &seeds);
        by_grpc(&fleet, &mut rng, body.clone()).await;
        by_http(&fleet, &mut rng, body.clone()).await;
        by_tcp(fleet.gateway(), &body).await;
        by_tcp(fleet.http(), &body).await;
        published.insert(body.clone());
        let sent = jetstream.publish("failsafe.v1.deployment.submitted", body.into()).await.unwrap();
        sent.await.unwrap();
    }
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/after".to_owned(),
        pull_request: 1,
        change: Some(Change::Diff(diffs::harmless("after"))),
        ..Default::default()
    };
    let id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    let known = eventually("the verdict of what was right", async || {
        let question = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
        let known = fleet.client().get_deployment(question).await.ok()?.into_inner();
        (!known.verdicts.is_empty()).then_some(known)
    })
    .await;
    assert_eq!(known.verdicts[0].judgement.as_ref().unwrap().verdict(), v1::Verdict::Allow);
    // ingest has answered for all of it: by an acceptance, or by a dead letter.
    let stream = jetstream.get_stream(proto::event::STREAM).await.unwrap();
    eventually("ingest has nothing left to do", async || {
        let mut consumer: async_nats::jetstream::consumer::PullConsumer = stream.get_consumer("ingest").await.ok()?;
        let info = consumer.info().await.ok()?;
        (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
    })
    .await;
    let mut dead = jetstream.get_stream(proto::event::DEAD_STREAM).await.unwrap();
    let state = dead.info().await.unwrap().state.clone();
    let mut buried = BTreeSet::new();
    for sequence in state.first_sequence..=state.last_sequence {
        if let Ok(message) = dead.get_raw_message(sequence).await {
            buried.insert(message.payload.to_vec());
        }
    }
    assert!(buried.len() > published.len() / 4, "most is nonsense: {} of {}", buried.len(), published.len());
    for body in published.difference(&buried) {
        let read = proto::decode::<domain::Draft>(None, body);
        let sound =
            read.unwrap_or_else(|error| panic!("{body:?} is neither accepted nor dead: {error}")).check(u64::MAX);
        let id = sound.unwrap_or_else(|faults| panic!("{body:?} is neither accepted nor dead: {faults:?}")).id;
        let accepted = stream.get_last_raw_message_by_subject(&format!("failsafe.v1.deployment.accepted.{id}")).await;
        assert!(accepted.is_ok(), "{id} was submitted and is neither accepted nor dead");
    }
    for service in SERVICES {
        assert!(fleet.ended(service).is_none(), "{service} has ended");
        let logged = fleet.logged(service);
        assert!(!logged.contains("panicked"), "{service}: {logged}");
        fleet.serving(service).await;
    }
    for (service, after) in memory(&fleet) {
        assert!(after < base[service] + MEMORY_MORE, "{service} holds {after} bytes, and {} at first", base[service]);
    }
}
