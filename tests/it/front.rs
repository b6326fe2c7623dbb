//! What a client learns at the front door without a proto file: the services and their messages, and how everything is.

use std::collections::BTreeSet;

use harness::{Fleet, SERVICES, eventually};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

/// What must be listed for grpcurl to call it.
const CALLED: [&str; 2] = ["failsafe.v1.DeploymentService", "grpc.health.v1.Health"];

#[tokio::test(flavor = "multi_thread")]
async fn no_proto_file_is_needed_by_new_clients_and_old_ones() {
    let fleet = Fleet::start(&[]).await;
    let (new, old) = (listed_v1(fleet.channel()).await, listed_v1alpha(fleet.channel()).await);
    for service in CALLED {
        assert!(new.contains(service), "v1 lists {new:?}");
        assert!(old.contains(service), "v1alpha lists {old:?}");
    }
}

async fn listed_v1(channel: Channel) -> BTreeSet<String> {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let mut replies = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    match replies.message().await.unwrap().unwrap().message_response {
        Some(MessageResponse::ListServicesResponse(list)) => list.service.into_iter().map(|one| one.name).collect(),
        other => panic!("{other:?}"),
    }
}

async fn listed_v1alpha(channel: Channel) -> BTreeSet<String> {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut replies = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    match replies.message().await.unwrap().unwrap().message_response {
        Some(MessageResponse::ListServicesResponse(list)) => list.service.into_iter().map(|one| one.name).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_for_the_whole_and_for_each_service() {
    let mut fleet = Fleet::start(&[]).await;
    for service in [""].into_iter().chain(SERVICES) {
        eventually(&format!("{service:?} serves"), async || {
            (health(&fleet, service).await == Ok(ServingStatus::Serving)).then_some(())
        })
        .await;
    }
    assert_eq!(health(&fleet, "nobody").await, Err(Code::NotFound));

    fleet.kill("ml-scoring").await;
    eventually("the loss of a service shows", async || {
        let (part, whole) = (health(&fleet, "ml-scoring").await, health(&fleet, "").await);
        (part == Ok(ServingStatus::NotServing) && whole == Ok(ServingStatus::NotServing)).then_some(())
    })
    .await;
    assert_eq!(health(&fleet, "ingest").await, Ok(ServingStatus::Serving));
}

async fn health(fleet: &Fleet, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(fleet.channel()).check(request).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
}
