//! From a submission to a stored, explained verdict.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull;
use futures::StreamExt;
use harness::{Fleet, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use proto::v1::watch_deployment_response::Stage;
use tonic::Code;
use tonic_types::StatusExt;

use crate::diffs;

fn submission(repository: &str, pull_request: u32, diff: String) -> v1::SubmitDeploymentRequest {
    v1::SubmitDeploymentRequest {
        repository: repository.to_owned(),
        pull_request,
        change: Some(Change::Diff(diff)),
        ..Default::default()
    }
}

/// Submits, watches to the end, and gives the id and the names of the stages in order.
async fn submit_and_watch(fleet: &Fleet, request: v1::SubmitDeploymentRequest) -> (String, Vec<&'static str>) {
    let mut client = fleet.client();
    let deployment_id = client.submit_deployment(request).await.unwrap().into_inner().deployment_id;
    let watch = v1::WatchDeploymentRequest { deployment_id: deployment_id.clone(), ..Default::default() };
    let mut stages = client.watch_deployment(watch).await.unwrap().into_inner();
    let mut names = Vec::new();
    while let Some(response) = stages.message().await.unwrap() {
        names.push(match response.stage.unwrap() {
            Stage::Accepted(_) => "accepted",
            Stage::Signal(_) => "signal",
            Stage::Verdict(_) => "verdict",
            Stage::Explanation(_) => "explanation",
            Stage::Review(_) => "review",
            Stage::Outcome(_) => "outcome",
            Stage::Superseded(_) => "superseded",
        });
    }
    (deployment_id, names)
}

async fn get(fleet: &Fleet, deployment_id: &str) -> Result<v1::GetDeploymentResponse, tonic::Status> {
    let request = v1::GetDeploymentRequest { deployment_id: deployment_id.to_owned(), ..Default::default() };
    fleet.client().get_deployment(request).await.map(tonic::Response::into_inner)
}

fn verdict(found: &v1::GetDeploymentResponse) -> v1::Verdict {
    found.verdicts[0].judgement.as_ref().unwrap().verdict()
}

async fn explained(fleet: &Fleet, deployment_id: &str) -> v1::GetDeploymentResponse {
    eventually(&format!("the explanation of {deployment_id}"), async || {
        get(fleet, deployment_id).await.ok().filter(|found| found.progress() == v1::Progress::Explained)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_becomes_a_stored_explained_verdict() {
    let fleet = Fleet::start(&[]).await;
    let (id, stages) = submit_and_watch(&fleet, submission("acme/shop", 7, diffs::migration("orders"))).await;
    assert_eq!(stages, ["accepted", "signal", "signal", "verdict", "explanation"]);

    let blocked = explained(&fleet, &id).await;
    assert_eq!(verdict(&blocked), v1::Verdict::Block);
    let judgement = blocked.verdicts[0].judgement.as_ref().unwrap();
    assert!(judgement.missing.is_empty());
    let rules: Vec<&str> = judgement.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    assert!(rules.contains(&"findings.block"), "{rules:?}");
    assert_eq!(blocked.signals.len(), 2);
    assert!(blocked.explanations[0].headline.len() > 10);
    assert_eq!(blocked.deployment.as_ref().unwrap().change.as_ref().unwrap().diff, None);

    // The same again is the same deployment, with the same one verdict.
    let (again, _) = submit_and_watch(&fleet, submission("acme/shop", 7, diffs::migration("orders"))).await;
    assert_eq!(again, id);
    assert_eq!(get(&fleet, &id).await.unwrap().verdicts.len(), 1);

    // A new head is a new deployment, which supersedes the older one.
    let (newer, _) = submit_and_watch(&fleet, submission("acme/shop", 7, diffs::harmless("orders"))).await;
    let allowed = explained(&fleet, &newer).await;
    assert_eq!((verdict(&allowed), allowed.superseded_by.as_str()), (v1::Verdict::Allow, ""));
    assert_eq!(get(&fleet, &id).await.unwrap().superseded_by, newer);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_leads_to_the_same_verdict() {
    let fleet = Fleet::start(&[]).await;
    let by_grpc = submission("acme/grpc", 1, diffs::migration("orders"));
    let (first, _) = submit_and_watch(&fleet, by_grpc).await;

    let jetstream = fleet.jetstream().await;
    let publish = async |body: Vec<u8>| {
        let stored = jetstream.publish("failsafe.v1.deployment.submitted", body.into()).await;
        stored.unwrap().await.unwrap();
    };
    publish(prost::Message::encode_to_vec(&submission("acme/protobuf", 1, diffs::migration("orders")))).await;
    let json = serde_json::json!({"repository": "acme/json", "pull_request": 1, "diff": diffs::migration("orders")});
    publish(json.to_string().into_bytes()).await;

    let expected = explained(&fleet, &first).await.verdicts[0].judgement.clone().unwrap();
    for repository in ["acme/protobuf", "acme/json"] {
        let request = v1::ListDeploymentsRequest { repository: repository.to_owned(), ..Default::default() };
        let id = eventually(&format!("a deployment of {repository}"), async || {
            let page = fleet.client().list_deployments(request.clone()).await.ok()?.into_inner();
            page.deployments.first().map(|found| found.deployment_id.clone())
        })
        .await;
        assert_eq!(explained(&fleet, &id).await.verdicts[0].judgement.as_ref().unwrap(), &expected, "{repository}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged() {
    let fleet = Fleet::start(&[]).await;
    for number in 1..=5 {
        let diff = if number == 3 { diffs::migration("orders") } else { diffs::harmless("orders") };
        submit_and_watch(&fleet, submission("acme/shop", number, diff)).await;
    }
    submit_and_watch(&fleet, submission("acme/other", 3, diffs::harmless("orders"))).await;
    let list = async |request: v1::ListDeploymentsRequest| {
        let page = fleet.client().list_deployments(request).await.unwrap().into_inner();
        let numbers: Vec<u32> = page.deployments.iter().map(|found| found.pull_request).collect();
        (numbers, page.next_page_token, page.deployments)
    };
    let shop = || v1::ListDeploymentsRequest { repository: "acme/shop".to_owned(), ..Default::default() };

    assert_eq!(list(shop()).await.0, [5, 4, 3, 2, 1]);
    assert_eq!(list(v1::ListDeploymentsRequest { pull_request: 4, ..shop() }).await.0, [4]);
    let block = v1::Verdict::Block.into();
    assert_eq!(list(v1::ListDeploymentsRequest { verdict: block, ..Default::default() }).await.0, [3]);

    let (first, token, found) = list(v1::ListDeploymentsRequest { page_size: 2, ..shop() }).await;
    assert_eq!(first, [5, 4]);
    let oldest_of_page = found[1].received_at;
    // What comes in between the pages does not move them.
    submit_and_watch(&fleet, submission("acme/shop", 6, diffs::harmless("orders"))).await;
    let second = v1::ListDeploymentsRequest { page_size: 2, page_token: token, ..shop() };
    // A token of one list is none of another.
    let other = v1::ListDeploymentsRequest { verdict: block, ..second.clone() };
    let refused = fleet.client().list_deployments(other).await.unwrap_err();
    let wrong = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!((refused.code(), wrong[0].field.as_str()), (Code::InvalidArgument, "page_token"), "{refused:?}");
    let (numbers, token, _) = list(second).await;
    assert_eq!(numbers, [3, 2]);
    let third = v1::ListDeploymentsRequest { page_size: 2, page_token: token, ..shop() };
    assert_eq!(list(third).await.0, [1]);

    assert_eq!(list(v1::ListDeploymentsRequest { since: oldest_of_page, ..shop() }).await.0, [6, 5, 4]);
    assert_eq!(list(v1::ListDeploymentsRequest { until: oldest_of_page, ..shop() }).await.0, [3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_never_comes_is_a_review_at_the_deadline_and_a_new_verdict_when_it_comes_late() {
    let mut fleet = Fleet::servers(&[("FAILSAFE__DECISION__DEADLINE_MS", "300")]).await;
    let all_but_one = ["gateway", "ingest", "static-analysis", "decision", "llm-explainer"];
    for service in all_but_one {
        fleet.spawn(service);
    }
    for service in all_but_one {
        fleet.serving(service).await;
    }
    let request = submission("acme/shop", 7, diffs::harmless("orders"));
    let id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    let overdue = explained(&fleet, &id).await;
    assert_eq!((verdict(&overdue), overdue.verdicts[0].cause()), (v1::Verdict::Review, v1::Cause::Deadline));
    let missing = &overdue.verdicts[0].judgement.as_ref().unwrap().missing;
    assert_eq!(missing.iter().map(|missing| missing.input.as_str()).collect::<Vec<_>>(), ["ml-scoring"]);

    fleet.spawn("ml-scoring");
    let late =
        eventually("a second verdict", async || get(&fleet, &id).await.ok().filter(|found| found.verdicts.len() == 2))
            .await;
    assert_eq!((verdict(&late), late.verdicts[0].cause()), (v1::Verdict::Allow, v1::Cause::Late));
    assert_eq!(late.verdicts.iter().map(|reached| reached.number).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyser_that_dies_on_every_delivery_is_missing_at_once_and_not_at_the_deadline() {
    let mut fleet = Fleet::servers(&[("FAILSAFE__DECISION__DEADLINE_MS", "600000")]).await;
    let all_but_one = ["gateway", "ingest", "ml-scoring", "decision", "llm-explainer"];
    for service in all_but_one {
        fleet.spawn(service);
    }
    for service in all_but_one {
        fleet.serving(service).await;
    }
    // The consumer of static analysis, with less patience. Whoever takes an event from it and gives no answer is as one that was
    // killed.
    let stream = fleet.jetstream().await.get_stream("FAILSAFE").await.unwrap();
    let config = pull::Config {
        durable_name: Some("static-analysis".to_owned()),
        filter_subject: "failsafe.v1.deployment.accepted.*".to_owned(),
        ack_wait: Duration::from_millis(200),
        max_deliver: 2,
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let request = submission("acme/shop", 7, diffs::harmless("orders"));
    let id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    let taking = tokio::spawn(async move {
        let mut events = consumer.messages().await.unwrap();
        while let Some(event) = events.next().await {
            drop(event.unwrap());
        }
    });
    let decided = explained(&fleet, &id).await;
    taking.abort();
    assert_eq!((verdict(&decided), decided.verdicts[0].cause()), (v1::Verdict::Review, v1::Cause::Complete));
    let missing = &decided.verdicts[0].judgement.as_ref().unwrap().missing;
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].input, "static-analysis");
    assert!(missing[0].why.contains("failed for good: 2 deliveries"), "{}", missing[0].why);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_deployment_is_told_of_the_newer_one_that_takes_its_place() {
    let patience = ("FAILSAFE__DECISION__DEADLINE_MS", "600000");
    let mut fleet = Fleet::servers(&[patience, ("FAILSAFE__GATEWAY__WATCH_IDLE_MS", "600000")]).await;
    // Without ml-scoring the story of a deployment does not end.
    let all_but_one = ["gateway", "ingest", "static-analysis", "decision"];
    for service in all_but_one {
        fleet.spawn(service);
    }
    for service in all_but_one {
        fleet.serving(service).await;
    }
    let mut client = fleet.client();
    let mut submit = async |diff: &str| {
        let request = submission("acme/shop", 7, diffs::harmless(diff));
        client.submit_deployment(request).await.unwrap().into_inner().deployment_id
    };
    let older = submit("orders").await;
    let watch = v1::WatchDeploymentRequest { deployment_id: older.clone(), ..Default::default() };
    let mut stages = fleet.client().watch_deployment(watch).await.unwrap().into_inner();
    eventually("the older one is accepted", async || {
        get(&fleet, &older).await.ok().and_then(|found| found.deployment).map(|_| ())
    })
    .await;
    let newer = submit("invoices").await;
    let told = loop {
        if let Some(Stage::Superseded(superseded)) = stages.message().await.unwrap().unwrap().stage {
            break superseded.by;
        }
    };
    assert_eq!(told, newer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_beyond_the_payload_limit_goes_through_the_object_store() {
    let fleet = Fleet::start(&[]).await;
    let mut diff = diffs::migration("orders");
    let lines: u32 = 300_000;
    diff.push_str(&format!(
        "diff --git a/big.txt b/big.txt\nnew file mode 100644\n--- /dev/null\n+++ b/big.txt\n@@ -0,0 +1,{lines} @@\n"
    ));
    for line in 0..lines {
        diff.push_str(&format!("+line {line} of a long and harmless file\n"));
    }
    assert!(diff.len() > 10 << 20);
    let (id, _) = submit_and_watch(&fleet, submission("acme/shop", 7, diff)).await;
    let blocked = explained(&fleet, &id).await;
    assert_eq!(verdict(&blocked), v1::Verdict::Block);
    let files = &blocked.deployment.unwrap().change.unwrap().files;
    assert_eq!(files.iter().map(|file| file.lines_added).collect::<Vec<_>>(), [1, lines]);
}

/// A pull request for events that lies open for a while must still be answered: it once was not, after the server's first heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_quiet_time_is_handled_at_once() {
    let fleet = Fleet::start(&[]).await;
    let started = Instant::now();
    let quiet = Duration::from_secs(6);
    eventually("a quiet time", async || (started.elapsed() > quiet).then_some(())).await;
    let (_, stages) = submit_and_watch(&fleet, submission("acme/shop", 1, diffs::harmless("orders"))).await;
    assert_eq!(stages.len(), 5);
    assert!(started.elapsed() < quiet + Duration::from_secs(8), "handled only after {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_deployment_is_not_found() {
    let fleet = Fleet::start(&[]).await;
    let error = get(&fleet, "2390b58a-c653-5a88-a9a1-c2e65e719444").await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error:?}");
    let error = get(&fleet, "seven").await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    assert!(error.message().contains("deployment_id"), "{error:?}");
}
