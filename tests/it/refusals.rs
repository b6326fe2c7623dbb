//! What is wrong gets a clear error, or a dead letter that says why; nothing hangs and nothing is lost.

use async_nats::jetstream::consumer::pull;
use futures::StreamExt;
use harness::{Fleet, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::diffs;

fn sound() -> v1::SubmitDeploymentRequest {
    v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        change: Some(Change::Diff(diffs::harmless("orders"))),
        ..Default::default()
    }
}

fn with_diff(diff: &str) -> v1::SubmitDeploymentRequest {
    v1::SubmitDeploymentRequest { change: Some(Change::Diff(diff.to_owned())), ..sound() }
}

async fn refused(fleet: &Fleet, request: v1::SubmitDeploymentRequest) -> Status {
    fleet.client().submit_deployment(request).await.expect_err("the submission is wrong")
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_submission_by_grpc_names_every_wrong_field() {
    let fleet = Fleet::start(&[]).await;
    let cases = [
        (v1::SubmitDeploymentRequest::default(), vec!["repository", "pull_request", "diff"]),
        (v1::SubmitDeploymentRequest { change: None, ..sound() }, vec!["diff"]),
        (with_diff(" \n"), vec!["diff"]),
        (with_diff("this is no diff"), vec!["diff"]),
        (
            with_diff("diff --cc a.txt\nindex 1,2..3\n--- a/a.txt\n+++ b/a.txt\n@@@ -1,1 -1,1 +1,1 @@@\n++x\n"),
            vec!["diff"],
        ),
        (v1::SubmitDeploymentRequest { repository: "acme//shop".to_owned(), ..sound() }, vec!["repository"]),
        (v1::SubmitDeploymentRequest { revision: "main".to_owned(), ..sound() }, vec!["revision"]),
        (v1::SubmitDeploymentRequest { files_changed: Some(9), ..sound() }, vec!["files_changed"]),
    ];
    for (request, expected) in cases {
        let status = refused(&fleet, request.clone()).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}: {status:?}");
        // What the gateway lets through to ingest would be a dead letter; none of these is.
        assert_eq!(fields(&status), expected, "{request:?}: {status:?}");
        assert!(expected.iter().all(|field| status.message().contains(field)), "{status:?}");
    }
    let mut stream = fleet.jetstream().await.get_stream("FAILSAFE").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 0, "nothing was published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_are_refused_and_the_gateway_goes_on() {
    let fleet = Fleet::start(&[]).await;
    let status = refused(&fleet, with_diff(&"x".repeat(100_000_000))).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("gateway.diff_bytes_max"), "{status:?}");
    fleet.client().submit_deployment(sound()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_the_subject_becomes_a_dead_letter_that_says_why() {
    let fleet = Fleet::start(&[]).await;
    let jetstream = fleet.jetstream().await;
    let diff = diffs::harmless("orders");
    let json = |value: serde_json::Value| value.to_string().into_bytes();
    let broken_utf8 = [b"\x0a\x04acme\x10\x07\x22\x02\xff\xfe".as_slice()].concat();
    let cases = [
        (b"".to_vec(), "repository: is required"),
        (b"\xff\xff\xff garbage".to_vec(), "not its protobuf form"),
        (broken_utf8, "SubmitDeploymentRequest.change: invalid string value: data is not UTF-8"),
        (b"{".to_vec(), "not its JSON form"),
        (b"{\"title\":\"\xff\"}".to_vec(), "not its JSON form"),
        (json(serde_json::json!({"repository": "acme/shop", "pull_request": 7, "dif": diff})), "dif"),
        (json(serde_json::json!({"repository": "acme shop", "pull_request": 7, "diff": diff})), "repository: must be"),
        (json(serde_json::json!({"repository": "acme/shop", "pull_request": 7})), "diff: is required"),
        (json(serde_json::json!({"repository": "acme/shop", "pull_request": 7, "diff": "nonsense"})), "diff: "),
        (
            json(serde_json::json!({
                "repository": "acme/shop", "pull_request": 7,
                "git": {"repository": "/etc", "base": "a".repeat(40), "head": "b".repeat(40)}
            })),
            "git.repository: ",
        ),
    ];
    let dead = jetstream.get_stream("FAILSAFE_DEAD").await.unwrap();
    let config = pull::Config { filter_subject: "failsafe.dead.ingest".to_owned(), ..Default::default() };
    let mut letters = dead.create_consumer(config).await.unwrap().messages().await.unwrap();
    // Nobody sees this trace, and whoever takes a letter up again goes on in it.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (body, part) in cases {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("traceparent", format!("00-{trace}-00f067aa0ba902b7-00"));
        let subject = "failsafe.v1.deployment.submitted";
        let stored = jetstream.publish_with_headers(subject, headers, body.clone().into()).await.unwrap();
        stored.await.unwrap();
        let letter = letters.next().await.unwrap().unwrap();
        letter.ack().await.unwrap();
        let headers = letter.headers.clone().unwrap();
        let header = |name: &str| headers.get(name).unwrap().to_string();
        assert_eq!((header("Failsafe-Service").as_str(), letter.payload.to_vec()), ("ingest", body));
        assert!(header("Failsafe-Error").contains(part), "expected {part:?} in {:?}", header("Failsafe-Error"));
        assert_eq!(header("traceparent").split('-').nth(1), Some(trace), "{}", header("traceparent"));
    }
    // The next good one goes through.
    let good = json(serde_json::json!({"repository": "acme/shop", "pull_request": 7, "diff": diff}));
    jetstream.publish("failsafe.v1.deployment.submitted", good.into()).await.unwrap().await.unwrap();
    eventually("the verdict of the good one", async || {
        let request = v1::ListDeploymentsRequest { verdict: v1::Verdict::Allow.into(), ..Default::default() };
        let page = fleet.client().list_deployments(request).await.ok()?.into_inner();
        (page.deployments.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_decision_service_a_look_up_says_so_and_a_submission_is_kept() {
    let mut fleet = Fleet::start(&[]).await;
    fleet.kill("decision").await;
    let id = fleet.client().submit_deployment(sound()).await.unwrap().into_inner().deployment_id;
    let request = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
    let status = fleet.client().get_deployment(request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    fleet.spawn("decision");
    fleet.serving("decision").await;
    eventually("the verdict", async || {
        let found = fleet.client().get_deployment(request.clone()).await.ok()?.into_inner();
        (found.verdicts.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_setting_stops_the_start_and_is_named() {
    let mut fleet = Fleet::servers(&[("FAILSAFE__DECISION__DEADLINE", "5")]).await;
    fleet.spawn("decision");
    let log = eventually("the service ends", async || {
        let log = fleet.logged("decision");
        log.contains("decision ends").then_some(log)
    })
    .await;
    assert!(log.contains("deadline") && log.contains("deadline_ms"), "{log}");
}
