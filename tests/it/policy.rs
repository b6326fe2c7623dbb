//! Policies that are published, and people who review: from the command line to the stored verdict.

use std::path::Path;
use std::process::Output;

use harness::{Fleet, binary, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tokio::process::Command;
use tonic::Code;

use crate::diffs;

async fn failsafe(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary("failsafe")).args(arguments).current_dir(folder).output().await.unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Submits what nothing is wrong with, and gives what is known once there is a verdict.
async fn decided(fleet: &Fleet, pull_request: u32) -> v1::GetDeploymentResponse {
    decided_at(fleet, pull_request, "").await
}

async fn decided_at(fleet: &Fleet, pull_request: u32, revision: &str) -> v1::GetDeploymentResponse {
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request,
        author: "ada".to_owned(),
        revision: revision.to_owned(),
        change: Some(Change::Diff(diffs::harmless("notes"))),
        ..Default::default()
    };
    let deployment_id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    eventually("a verdict", async || {
        let request = v1::GetDeploymentRequest { deployment_id: deployment_id.clone(), ..Default::default() };
        let found = fleet.client().get_deployment(request).await.ok()?.into_inner();
        (!found.verdicts.is_empty()).then_some(found)
    })
    .await
}

fn policy_of(found: &v1::GetDeploymentResponse) -> (String, v1::Verdict) {
    let reached = &found.verdicts[0];
    (reached.policy.clone().unwrap().version, reached.judgement.as_ref().unwrap().verdict())
}

const STRICT: &str = "version = 'strict-1'\n[groups]\nrelease = ['ann']\n[[rule]]\nname = 'all'\n\
    when = 'true'\neffect = 'review'\nby = 'release'\nmessage = '{deployment.author} wants something'\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_published_reviewed_under_and_taken_back_without_a_restart() {
    let fleet = Fleet::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("strict.toml"), STRICT).unwrap();
    std::fs::write(folder.path().join("wrong.toml"), STRICT.replace("'true'", "'ture'")).unwrap();
    let nats = fleet.nats.url();
    let publish = async |file: &str| failsafe(folder.path(), &["policy", "publish", file, "--nats-url", nats]).await;

    assert_eq!(policy_of(&decided(&fleet, 1).await), ("default-2".to_owned(), v1::Verdict::Allow));
    let wrong = publish("wrong.toml").await;
    assert!(!wrong.status.success() && text(&wrong).contains("wrong.toml:6: all: column 1"), "{}", text(&wrong));
    let published = publish("strict.toml").await;
    assert!(published.status.success(), "{}", text(&published));
    let mut number = 1;
    let strict = eventually("a verdict by the published policy", async || {
        number += 1;
        let found = decided(&fleet, number).await;
        (policy_of(&found).0 == "strict-1").then_some(found)
    })
    .await;
    let judgement = strict.verdicts[0].judgement.clone().unwrap();
    assert_eq!(judgement.reasons[0].message, "ada wants something");
    assert_eq!((judgement.approvals[0].by.as_str(), judgement.approvals[0].count), ("release", 1));

    // What is written into the bucket past the command, and is no policy, replaces nothing.
    let bucket = fleet.jetstream().await.get_key_value("failsafe-policies").await.unwrap();
    bucket.put("active", "version = 'broken'\n[[rule]]".into()).await.unwrap();
    eventually("the log tells of it", async || {
        fleet.logged("decision").contains("the published active policy cannot be used").then_some(())
    })
    .await;
    number += 1;
    assert_eq!(policy_of(&decided(&fleet, number).await).0, "strict-1");

    let id = strict.deployment.unwrap().deployment_id;
    let review = async |decision: &str, by: &str| {
        let asked = ["review", id.as_str(), decision, "--by", by, "--why", "I looked", "--server", fleet.gateway()];
        failsafe(folder.path(), &asked).await
    };
    let foreign = review("approve", "eve").await;
    assert_eq!(foreign.status.code(), Some(2), "{}", text(&foreign));
    let approved = review("approve", "ann").await;
    assert_eq!(approved.status.code(), Some(0), "{}", text(&approved));
    assert!(text(&approved).contains("the policy says REVIEW, ann approved it"), "{}", text(&approved));

    let asked = ["outcome", id.as_str(), "rolled-back", "--by", "argo", "--server", fleet.gateway()];
    let told = failsafe(folder.path(), &asked).await;
    assert!(told.status.success(), "{}", text(&told));
    eventually("the outcome", async || {
        let request = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
        let found = fleet.client().get_deployment(request).await.ok()?.into_inner();
        found.outcomes.first().map(|outcome| assert_eq!(outcome.kind(), v1::OutcomeKind::RolledBack))
    })
    .await;

    let back = failsafe(folder.path(), &["policy", "rollback", "--nats-url", nats]).await;
    assert!(text(&back).contains("strict-1"), "{}", text(&back));
    let back = failsafe(folder.path(), &["policy", "rollback", "--nats-url", nats]).await;
    assert!(text(&back).contains("its own policy again"), "{}", text(&back));
    eventually("a verdict by the own policy", async || {
        number += 1;
        (policy_of(&decided(&fleet, number).await).0 == "default-2").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_checked_as_a_whole_and_bound_to_what_is_in_force() {
    let fleet = Fleet::start(&[]).await;
    let found = decided(&fleet, 1).await;
    let id = found.deployment.unwrap().deployment_id;
    let mut client = fleet.client();
    let empty = v1::ReviewDeploymentRequest { deployment_id: "x".to_owned(), ..Default::default() };
    let refused = client.review_deployment(empty).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for field in ["deployment_id", "decision", "reviewer", "why"] {
        assert!(refused.message().contains(field), "{field}: {refused}");
    }
    let review = v1::ReviewDeploymentRequest {
        deployment_id: id.clone(),
        decision: v1::ReviewDecision::Rejected.into(),
        reviewer: "eve".to_owned(),
        why: "not today".to_owned(),
        ..Default::default()
    };
    let other = v1::ReviewDeploymentRequest { verdict_number: 7, ..review.clone() };
    assert_eq!(client.review_deployment(other).await.unwrap_err().code(), Code::FailedPrecondition);
    let unseen = v1::ReviewDeploymentRequest { evidence_digest: "0".repeat(64), ..review.clone() };
    assert_eq!(client.review_deployment(unseen).await.unwrap_err().code(), Code::FailedPrecondition);
    let unknown = v1::ReviewDeploymentRequest { deployment_id: uuid::Uuid::nil().to_string(), ..review.clone() };
    assert_eq!(client.review_deployment(unknown).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.review_deployment(review).await.unwrap().into_inner().verdict_number, 1);
    let stopped = eventually("the verdict that follows", async || {
        let request = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
        let found = fleet.client().get_deployment(request).await.ok()?.into_inner();
        (found.verdicts.len() == 2).then_some(found)
    })
    .await;
    assert_eq!(policy_of(&stopped).1, v1::Verdict::Block);
    let nobody = v1::RecordOutcomeRequest { deployment_id: id, ..Default::default() };
    let refused = fleet.client().record_outcome(nobody).await.unwrap_err();
    assert!(refused.message().contains("kind") && refused.message().contains("reporter"), "{refused}");
}

/// RFC 8410, section 10.3: a key that everybody knows.
const KNOWN_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_attested_by_the_service_and_checked_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, KNOWN_KEY).unwrap();
    let fleet = Fleet::start(&[("FAILSAFE__DECISION__SIGNING_KEY_PATH", key.to_str().unwrap())]).await;
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let id = decided_at(&fleet, 1, commit).await.deployment.unwrap().deployment_id;
    let attested =
        failsafe(folder.path(), &["verdict", "attest", &id, "-o", "vsa.json", "--server", fleet.gateway()]).await;
    assert!(attested.status.success(), "{}", text(&attested));
    drop(fleet);

    let verify = async |arguments: &[&str]| {
        let fixed = ["verdict", "verify", "vsa.json", "--key", "key.pem"];
        failsafe(folder.path(), &[&fixed, arguments].concat()).await
    };
    let passed = verify(&["--commit", commit, "--repository", "acme/shop", "--max-age-hours", "1"]).await;
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed));
    let other = verify(&["--commit", &commit.replace('0', "f")]).await;
    assert_eq!(other.status.code(), Some(1), "{}", text(&other));
    let envelope = std::fs::read_to_string(folder.path().join("vsa.json")).unwrap();
    let envelope: serde_json::Value = serde_json::from_str(&envelope).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    let mut forged = envelope.clone();
    forged["payload"] = "e30=".into();
    std::fs::write(folder.path().join("vsa.json"), forged.to_string()).unwrap();
    assert_eq!(verify(&[]).await.status.code(), Some(1));
    std::fs::write(folder.path().join("vsa.json"), "{").unwrap();
    assert_eq!(verify(&[]).await.status.code(), Some(2));
}
