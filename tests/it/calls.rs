//! What the front door does for its callers beyond the plain call: it waits, takes a request once, tells only what is wanted, goes on
//! with a watch that broke off, and holds back who calls too often.

use futures::future::join_all;
use harness::{Fleet, eventually};
use prost_types::FieldMask;
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use proto::v1::watch_deployment_response::Stage;
use tonic::Code;
use tonic_types::StatusExt;

use crate::diffs;

fn submission(pull_request: u32, diff: String) -> v1::SubmitDeploymentRequest {
    v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request,
        change: Some(Change::Diff(diff)),
        ..Default::default()
    }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

async fn get(fleet: &Fleet, deployment_id: &str, paths: &[&str]) -> v1::GetDeploymentResponse {
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let read_mask = (!paths.is_empty()).then_some(FieldMask { paths });
    let request = v1::GetDeploymentRequest { deployment_id: deployment_id.to_owned(), read_mask };
    fleet.client().get_deployment(request).await.unwrap().into_inner()
}

/// A busy machine must not cut a call short.
const PATIENT: (&str, &str) = ("FAILSAFE__GATEWAY__DEADLINE_MS", "60000");

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_verdict_has_it_in_the_reply() {
    let fleet = Fleet::start(&[PATIENT]).await;
    let mut client = fleet.client();
    let waiting = || v1::SubmitDeploymentRequest { wait: seconds(50), ..submission(7, diffs::migration("orders")) };
    let first = client.submit_deployment(waiting()).await.unwrap().into_inner();
    let verdict = first.verdict.unwrap();
    assert_eq!(verdict.judgement.as_ref().unwrap().verdict(), v1::Verdict::Block);
    assert_eq!((verdict.number, &verdict.deployment_id), (1, &first.deployment_id));
    assert!(verdict.deployment.is_none() && verdict.signals.is_empty(), "what it rests on is left out");
    let again = client.submit_deployment(waiting()).await.unwrap().into_inner();
    assert_eq!(again.verdict.unwrap(), verdict, "what is decided already is answered at once");
    let other = submission(8, diffs::harmless("orders"));
    assert_eq!(client.submit_deployment(other.clone()).await.unwrap().into_inner().verdict, None);
    let wrong = v1::SubmitDeploymentRequest { wait: seconds(-1), ..other };
    let status = client.submit_deployment(wrong).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_takes_longer_than_the_wait_comes_later() {
    let mut fleet = Fleet::servers(&[PATIENT, ("FAILSAFE__DECISION__DEADLINE_MS", "600000")]).await;
    // Without ml-scoring there is no verdict.
    let all_but_one = ["gateway", "ingest", "static-analysis", "decision", "llm-explainer"];
    for service in all_but_one {
        fleet.spawn(service);
    }
    for service in all_but_one {
        fleet.serving(service).await;
    }
    let waiting = v1::SubmitDeploymentRequest { wait: seconds(1), ..submission(7, diffs::harmless("orders")) };
    let id = fleet.client().submit_deployment(waiting).await.unwrap().into_inner();
    assert_eq!(id.verdict, None);
    fleet.spawn("ml-scoring");
    fleet.serving("ml-scoring").await;
    eventually("the verdict", async || get(&fleet, &id.deployment_id, &[]).await.verdicts.first().map(|_| ())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_has_no_second_effect() {
    let fleet = Fleet::start(&[PATIENT]).await;
    let mut client = fleet.client();
    let waiting = v1::SubmitDeploymentRequest { wait: seconds(50), ..submission(7, diffs::migration("orders")) };
    let deployment_id = client.submit_deployment(waiting).await.unwrap().into_inner().deployment_id;
    let request_id = uuid::Uuid::new_v4().to_string();

    let outcome = v1::RecordOutcomeRequest {
        deployment_id: deployment_id.clone(),
        kind: v1::OutcomeKind::Failed.into(),
        reporter: "argo".to_owned(),
        request_id: request_id.clone(),
        ..Default::default()
    };
    // Neither says when it happened: by its time alone, the second would be another one.
    let first = client.record_outcome(outcome.clone()).await.unwrap().into_inner().event_id;
    let second = client.record_outcome(outcome.clone()).await.unwrap().into_inner().event_id;
    assert_eq!(first, second);
    let told = first;

    let review = v1::ReviewDeploymentRequest {
        deployment_id: deployment_id.clone(),
        decision: v1::ReviewDecision::Rejected.into(),
        reviewer: "ada".to_owned(),
        why: "not today".to_owned(),
        request_id: request_id.clone(),
        ..Default::default()
    };
    let first = client.review_deployment(review.clone()).await.unwrap().into_inner();
    eventually("the verdict that follows", async || {
        (get(&fleet, &deployment_id, &[]).await.verdicts.len() == 2).then_some(())
    })
    .await;
    // Verdict 2 is in force now, and still the answer is that about verdict 1.
    assert_eq!(client.review_deployment(review).await.unwrap().into_inner(), first);
    assert_eq!(first.verdict_number, 1);

    let explain = v1::ExplainDeploymentRequest {
        deployment_id: deployment_id.clone(),
        request_id: request_id.clone(),
        ..Default::default()
    };
    let first = client.explain_deployment(explain.clone()).await.unwrap().into_inner();
    assert_eq!(client.explain_deployment(explain).await.unwrap().into_inner(), first);

    let wrong = v1::RecordOutcomeRequest { request_id: "7".to_owned(), kind: 0, ..outcome.clone() };
    let status = client.record_outcome(wrong).await.unwrap_err();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["kind", "request_id"]);

    eventually("the first outcome", async || {
        (get(&fleet, &deployment_id, &[]).await.outcomes.len() == 1).then_some(())
    })
    .await;
    let other = v1::RecordOutcomeRequest { kind: v1::OutcomeKind::Succeeded.into(), ..outcome.clone() };
    let by_another = v1::RecordOutcomeRequest { reporter: "flux".to_owned(), ..outcome.clone() };
    for used in [other, by_another] {
        let status = client.record_outcome(used).await.unwrap_err();
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!((violations.len(), violations[0].field.as_str()), (1, "request_id"), "{status:?}");
    }
    assert_eq!(client.record_outcome(outcome.clone()).await.unwrap().into_inner().event_id, told);

    // What comes after shows that nothing more came of the others.
    let last = v1::RecordOutcomeRequest { request_id: uuid::Uuid::new_v4().to_string(), ..outcome };
    client.record_outcome(last).await.unwrap();
    let known = eventually("the last outcome", async || {
        Some(get(&fleet, &deployment_id, &[]).await).filter(|known| known.outcomes.len() > 1)
    })
    .await;
    assert_eq!((known.outcomes.len(), known.reviews.len(), known.verdicts.len()), (2, 1, 2));
    assert_eq!(known.outcomes[0].request_id, request_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wanted_is_told() {
    let fleet = Fleet::start(&[PATIENT]).await;
    let mut client = fleet.client();
    let mut ids = Vec::new();
    for (number, diff) in [(1, diffs::harmless("orders")), (2, diffs::migration("orders"))] {
        let waiting =
            v1::SubmitDeploymentRequest { wait: seconds(50), author: "ada".to_owned(), ..submission(number, diff) };
        ids.push(client.submit_deployment(waiting).await.unwrap().into_inner().deployment_id);
    }
    let list = |rule: &str, order: &str| v1::ListDeploymentsRequest {
        author: "ada".to_owned(),
        rule_id: rule.to_owned(),
        order_by: order.to_owned(),
        read_mask: Some(FieldMask { paths: vec!["deployments.deployment_id".to_owned()] }),
        ..Default::default()
    };
    let only = |id: &String| v1::DeploymentSummary { deployment_id: id.clone(), ..Default::default() };
    let found = client.list_deployments(list("migration.rollback.missing", "")).await.unwrap().into_inner();
    assert_eq!(found.deployments, [only(&ids[1])]);
    let all = client.list_deployments(list("", "risk desc")).await.unwrap().into_inner().deployments;
    assert_eq!(all.len(), 2);

    let part = get(&fleet, &ids[1], &["verdicts.number", "deployment.author"]).await;
    assert_eq!((part.verdicts[0].number, part.deployment.unwrap().author.as_str()), (1, "ada"));
    assert_eq!((&part.verdicts[0].judgement, part.signals.len(), part.progress), (&None, 0, 0));

    let nonsense = v1::ListDeploymentsRequest { order_by: "title".to_owned(), min_risk: Some(2.0), ..list("", "") };
    let status = client.list_deployments(nonsense).await.unwrap_err();
    let fields: Vec<_> =
        status.get_details_bad_request().unwrap().field_violations.into_iter().map(|one| one.field).collect();
    assert_eq!(fields, ["order_by", "min_risk"]);
    let read_mask = Some(FieldMask { paths: vec!["nonsense".to_owned()] });
    let unread = v1::GetDeploymentRequest { deployment_id: "x".to_owned(), read_mask };
    let status = client.get_deployment(unread).await.unwrap_err();
    let fields: Vec<_> =
        status.get_details_bad_request().unwrap().field_violations.into_iter().map(|one| one.field).collect();
    assert_eq!(fields, ["deployment_id", "read_mask"]);
}

async fn watched(fleet: &Fleet, deployment_id: &str, after_sequence: u64) -> Vec<(u64, Stage)> {
    let watch = v1::WatchDeploymentRequest { deployment_id: deployment_id.to_owned(), after_sequence };
    let mut stages = fleet.client().watch_deployment(watch).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(stage) = stages.message().await.unwrap() {
        told.push((stage.sequence, stage.stage.unwrap()));
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_behind_the_last_stage_that_was_seen() {
    let fleet = Fleet::start(&[PATIENT]).await;
    let id = fleet.client().submit_deployment(submission(7, diffs::migration("orders"))).await.unwrap();
    let id = id.into_inner().deployment_id;
    let whole = watched(&fleet, &id, 0).await;
    assert_eq!(whole.len(), 5, "{whole:?}");
    for (index, (sequence, _)) in whole.iter().enumerate() {
        assert_eq!(watched(&fleet, &id, *sequence).await, whole[index + 1..], "behind {sequence}");
    }
    // A place that this stream never had, as after it was made anew: everything is told.
    assert_eq!(watched(&fleet, &id, u64::MAX).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_what_is_superseded_already_is_told_so_at_once() {
    let fleet = Fleet::start(&[PATIENT, ("FAILSAFE__GATEWAY__WATCH_IDLE_MS", "600000")]).await;
    let mut client = fleet.client();
    let mut submit = async |name: &str| {
        let waiting = v1::SubmitDeploymentRequest { wait: seconds(50), ..submission(7, diffs::harmless(name)) };
        client.submit_deployment(waiting).await.unwrap().into_inner().deployment_id
    };
    let (older, newer) = (submit("orders").await, submit("invoices").await);
    eventually("the older one is superseded", async || {
        (get(&fleet, &older, &["superseded_by"]).await.superseded_by == newer).then_some(())
    })
    .await;
    let told = watched(&fleet, &older, 0).await;
    let by: Vec<_> = told
        .iter()
        .filter_map(|(_, stage)| if let Stage::Superseded(it) = stage { Some(&it.by) } else { None })
        .collect();
    assert_eq!(by, [&newer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_too_often_is_told_when_to_call_again() {
    let fleet = Fleet::start(&[PATIENT, ("FAILSAFE__GATEWAY__CALLS_PER_SECOND_MAX", "1")]).await;
    let call = async || fleet.client().list_deployments(v1::ListDeploymentsRequest::default()).await;
    let answers = join_all((0..20).map(|_| call())).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(answers.iter().any(Result::is_ok) && !refused.is_empty(), "{answers:?}");
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "TOO_MANY_CALLS");
        let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(!wait.is_zero() && wait <= std::time::Duration::from_secs(1), "{wait:?}");
    }
    eventually("the next share", async || call().await.is_ok().then_some(())).await;
}
