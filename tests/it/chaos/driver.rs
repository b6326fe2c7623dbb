//! Submits at a steady rate, by gRPC and by JetStream in turn, and keeps account of what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream;
use domain::{DeploymentId, PullRequest, Repository, Revision};
use harness::Fleet;
use prost::Message;
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;

use crate::diffs;

const EVERY: Duration = Duration::from_millis(40);
/// Between two tries of what was not acknowledged.
const AGAIN: Duration = Duration::from_millis(200);
/// How long the driver waits for one answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was acknowledged, and what was thrown in.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Each with whether it has to be blocked.
    pub(crate) acknowledged: BTreeMap<DeploymentId, bool>,
    pub(crate) by_grpc: usize,
    /// How often the gateway answered something else than yes, by the code of the answer.
    pub(crate) refused: BTreeMap<&'static str, usize>,
    /// Bodies that no service can read.
    pub(crate) poison: BTreeSet<Vec<u8>>,
}

/// A driver at work.
pub(crate) struct Driver {
    pub(crate) done: Arc<Mutex<Done>>,
    pub(crate) jetstream: jetstream::Context,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

impl Driver {
    pub(crate) async fn start(fleet: &Fleet, seed: u64) -> Self {
        let (stop, stopping) = watch::channel(false);
        let done: Arc<Mutex<Done>> = Arc::default();
        let jetstream = fleet.jetstream().await;
        let (client, stream, account) = (fleet.client(), jetstream.clone(), Arc::clone(&done));
        let running = tokio::spawn(async move {
            let mut beat = tokio::time::interval(EVERY);
            let mut calls = JoinSet::new();
            for number in 1.. {
                beat.tick().await;
                if *stopping.borrow() {
                    break;
                }
                let (mut client, stream, account) = (client.clone(), stream.clone(), Arc::clone(&account));
                calls.spawn(async move {
                    let (id, request) = submission(seed, number);
                    let by_grpc = number.is_multiple_of(2);
                    loop {
                        let taken = if by_grpc {
                            by_call(&mut client, &request, &account).await
                        } else {
                            by_publish(&stream, &request).await
                        };
                        if taken {
                            break;
                        }
                        tokio::time::sleep(AGAIN).await;
                    }
                    let mut account = account.lock().unwrap();
                    account.acknowledged.insert(id, is_blocked(number));
                    account.by_grpc += usize::from(by_grpc);
                });
            }
            calls.join_all().await;
        });
        Self { done, jetstream, stop, running }
    }

    /// Begins no more submissions, waits until all begun ones are acknowledged, and gives the account.
    pub(crate) async fn stop(self) -> Done {
        self.stop.send_replace(true);
        self.running.await.unwrap();
        std::mem::take(&mut *self.done.lock().unwrap())
    }
}

fn is_blocked(number: u32) -> bool {
    number.is_multiple_of(5)
}

/// One in five is a migration that cannot be taken back; one in seven takes the place of the one before.
fn submission(seed: u64, number: u32) -> (DeploymentId, v1::SubmitDeploymentRequest) {
    let pull_request = if number.is_multiple_of(7) { number - 1 } else { number };
    let (repository, revision) = (format!("chaos/seed-{seed}"), format!("{number:040x}"));
    let name = format!("file_{number}");
    let diff = if is_blocked(number) { diffs::migration(&name) } else { diffs::harmless(&name) };
    let id = DeploymentId::derive(
        &Repository::parse(&repository).unwrap(),
        PullRequest::new(pull_request).unwrap(),
        &Revision::parse(&revision).unwrap(),
    );
    let change = Some(Change::Diff(diff));
    (id, v1::SubmitDeploymentRequest { repository, pull_request, revision, change, ..Default::default() })
}

type Client = v1::deployment_service_client::DeploymentServiceClient<tonic::transport::Channel>;

/// Whether the gateway took it. What it may answer amid faults is known; anything else is a fault of ours.
async fn by_call(client: &mut Client, request: &v1::SubmitDeploymentRequest, account: &Mutex<Done>) -> bool {
    let answered = tokio::time::timeout(PATIENCE, client.submit_deployment(request.clone())).await;
    let code = match answered {
        Ok(Ok(_)) => return true,
        Ok(Err(status)) => match status.code() {
            Code::Unavailable => "UNAVAILABLE",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            // A connection that breaks off in the middle is told by the client's own library as one of these.
            Code::Unknown | Code::Internal | Code::Cancelled if std::error::Error::source(&status).is_some() => {
                "broken off"
            }
            _ => panic!("the gateway answers {status}"),
        },
        Err(_) => "no answer",
    };
    *account.lock().unwrap().refused.entry(code).or_default() += 1;
    false
}

async fn by_publish(stream: &jetstream::Context, request: &v1::SubmitDeploymentRequest) -> bool {
    let Ok(stored) = stream.publish("failsafe.v1.deployment.submitted", request.encode_to_vec().into()).await else {
        return false;
    };
    tokio::time::timeout(PATIENCE, stored).await.is_ok_and(|stored| stored.is_ok())
}
