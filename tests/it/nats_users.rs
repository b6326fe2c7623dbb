//! What each service may do on NATS, by the file that production uses: enough for everything to work, and no more.

use std::process::Stdio;

use chassis::settings::{NatsSettings, Settings};
use chassis::{Bus, ConsumerSpec, Outgoing, Shutdown};
use domain::{DeploymentId, Reached, Signal};
use futures::StreamExt;
use harness::{Fleet, SERVICES, binary, eventually, nats_password};
use proto::Event;
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use serde_json::Value;
use tokio::process::Command;

use crate::diffs;
use crate::gate::{Ran, failsafe};

/// A connection as that user, as its service makes it.
async fn connect(fleet: &Fleet, user: &'static str) -> Bus {
    let settings = Settings::load(None)
        .unwrap()
        .with("nats.url", fleet.nats.url())
        .with("nats.user", user)
        .with("nats.password", nats_password(user));
    let settings: NatsSettings = settings.table("nats").unwrap();
    Bus::connect(&settings, user, &Shutdown::default()).await.unwrap()
}

fn event(subject: String) -> Outgoing {
    let message_id = subject.clone();
    Outgoing { subject, message_id, body: "forged".into(), traceparent: None, deployment_id: None }
}

fn id() -> DeploymentId {
    DeploymentId::parse("6f1d8c0e-2b7a-5d43-9e54-0fa115afe001").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_users_of_their_own_the_services_do_all_their_work() {
    let mut fleet = Fleet::start_with_users(&[]).await;
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        change: Some(Change::Diff(diffs::harmless("orders"))),
        ..Default::default()
    };
    let id = fleet.client().submit_deployment(request.clone()).await.unwrap().into_inner().deployment_id;
    explained(&fleet, &id).await;
    // A diff that goes over the object store.
    let lines: String = (0..400_000).map(|line| format!("+line {line} of a long file\n")).collect();
    let long = format!(
        "diff --git a/x.txt b/x.txt\nnew file mode 100644\n--- /dev/null\n+++ b/x.txt\n@@ -0,0 +1,400000 @@\n{lines}"
    );
    let long = v1::SubmitDeploymentRequest { pull_request: 8, change: Some(Change::Diff(long)), ..request };
    let long = fleet.client().submit_deployment(long).await.unwrap().into_inner().deployment_id;
    explained(&fleet, &long).await;
    // What people and tools say, and an explanation anew.
    let review = v1::ReviewDeploymentRequest {
        deployment_id: id.clone(),
        decision: v1::ReviewDecision::Rejected.into(),
        reviewer: "ann".to_owned(),
        why: "not today".to_owned(),
        ..Default::default()
    };
    fleet.client().review_deployment(review).await.unwrap();
    let outcome = v1::RecordOutcomeRequest {
        deployment_id: id.clone(),
        kind: v1::OutcomeKind::Failed.into(),
        reporter: "argo".to_owned(),
        ..Default::default()
    };
    fleet.client().record_outcome(outcome).await.unwrap();
    let explain = v1::ExplainDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
    let request_id = fleet.client().explain_deployment(explain).await.unwrap().into_inner().request_id;
    eventually("all of it in the audit trail", async || {
        let get = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
        let known = fleet.client().get_deployment(get).await.ok()?.into_inner();
        let again = known.explanations.iter().any(|explanation| explanation.request_id == request_id);
        (known.verdicts.len() == 2 && known.outcomes.len() == 1 && again).then_some(())
    })
    .await;
    // What cannot be handled has its dead letter.
    let submitter = connect_raw(&fleet, "submitter").await;
    submitter.publish("failsafe.v1.deployment.submitted", "{}".into()).await.unwrap();
    submitter.flush().await.unwrap();
    let dead = fleet.jetstream().await.get_stream("FAILSAFE_DEAD").await.unwrap();
    eventually("the dead letter", async || dead.get_last_raw_message_by_subject("failsafe.dead.ingest").await.ok())
        .await;
    // Each asks for its own health, as a container's health check does.
    for service in SERVICES {
        let mut check = Command::new(binary(service));
        check.arg("--check-health").env("FAILSAFE__NATS__URL", fleet.nats.url());
        check.env("FAILSAFE__NATS__USER", service).env("FAILSAFE__NATS__PASSWORD", nats_password(service));
        let output = check.output().await.unwrap();
        assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Histories are written at the end.
    for service in SERVICES {
        assert_eq!(fleet.terminate(service).await, Some(0), "{service}");
        let logged = fleet.logged(service);
        assert!(!logged.contains("Permissions Violation"), "{service}: {logged}");
    }
}

async fn explained(fleet: &Fleet, id: &str) {
    eventually("the explanation", async || {
        let get = v1::GetDeploymentRequest { deployment_id: id.to_owned(), ..Default::default() };
        let known = fleet.client().get_deployment(get).await.ok()?.into_inner();
        (!known.explanations.is_empty()).then_some(())
    })
    .await;
}

async fn connect_raw(fleet: &Fleet, user: &str) -> async_nats::Client {
    let options = async_nats::ConnectOptions::new().user_and_password(user.to_owned(), nats_password(user));
    options.connect(fleet.nats.url()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_writes_or_reads_what_is_anothers() {
    let fleet = Fleet::start_with_users(&[]).await;
    let before = fleet.jetstream().await.get_stream("FAILSAFE").await.unwrap().info().await.unwrap().state.messages;
    // Forged verdicts, signals, reviews and acceptances: the refusal is told at once and names the subject.
    let (verdict, signal) = (Reached::subject_of(id()), Signal::subject_of(id()));
    let review = domain::Review::subject_of(id());
    let accepted = domain::Deployment::subject_of(id());
    for (user, subject) in [
        ("ml-scoring", &verdict),
        ("ml-scoring", &review),
        ("ml-scoring", &accepted),
        ("static-analysis", &verdict),
        ("llm-explainer", &verdict),
        ("llm-explainer", &signal),
        ("ingest", &verdict),
        ("ingest", &signal),
        ("gateway", &verdict),
        ("gateway", &accepted),
        ("decision", &review),
    ] {
        let bus = connect(&fleet, user).await;
        let error = format!("{:#}", bus.publish(&event(subject.clone())).await.unwrap_err());
        assert!(error.contains(&format!("permits {user} no publish to {subject}")), "{user}: {error}");
    }
    // ingest reads no verdicts, and ml-scoring no consumer of decision's.
    let ingest = connect(&fleet, "ingest").await;
    let spec = ConsumerSpec {
        name: "ingest-verdicts",
        backoff: vec![std::time::Duration::from_secs(30)],
        deliveries_max: 1,
        in_flight_max: 1,
    };
    assert!(ingest.deliveries::<Reached>(&spec).await.is_err());
    // Buckets: neither tokens nor policies are made by a service, and nobody hears the answers to others.
    for (user, subject) in [
        ("gateway", "$KV.failsafe-tokens.0123456789abcdef"),
        ("ml-scoring", "$KV.failsafe-policies.active"),
        ("decision", "$KV.failsafe-policies.active"),
        ("ml-scoring", "$KV.failsafe-tokens.0123456789abcdef"),
        ("gateway", "$JS.API.STREAM.DELETE.FAILSAFE"),
        ("decision", "$JS.API.STREAM.PURGE.FAILSAFE"),
        ("ingest", "$JS.API.STREAM.UPDATE.FAILSAFE"),
        ("ml-scoring", "$JS.API.CONSUMER.DELETE.FAILSAFE.decision-signal"),
        ("submitter", "$JS.API.STREAM.INFO.FAILSAFE"),
        ("submitter", "failsafe.ask.v1.list_deployments"),
    ] {
        denied(&fleet, user, Attempt::Publish(subject)).await;
    }
    for (user, subject) in [
        ("ml-scoring", "_INBOX.gateway.>"),
        ("ml-scoring", "failsafe.ask.v1.get_deployment"),
        ("gateway", "failsafe.v1.>"),
        ("submitter", "failsafe.>"),
        ("submitter", "_INBOX.>"),
    ] {
        denied(&fleet, user, Attempt::Subscribe(subject)).await;
    }
    let after = fleet.jetstream().await.get_stream("FAILSAFE").await.unwrap().info().await.unwrap().state.messages;
    assert_eq!(before, after, "nothing of it is in the stream");
}

/// `failsafe …` as that user of NATS.
async fn as_user(fleet: &Fleet, user: &str, arguments: &[&str]) -> Ran {
    let mut command = failsafe(fleet.folder(), arguments);
    command.stdin(Stdio::null()).env("FAILSAFE__NATS__URL", fleet.nats.url());
    command.env("FAILSAFE__NATS__USER", user).env("FAILSAFE__NATS__PASSWORD", nats_password(user));
    command.env("FAILSAFE__DATABASE__URL", fleet.postgres.url()).env("FAILSAFE__LLM_EXPLAINER__MODEL_URL", "");
    let output = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), log: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_looks_everything_over_and_all_others_are_told_who_may() {
    let fleet = Fleet::start_with_users(&[]).await;
    let submitter = connect_raw(&fleet, "submitter").await;
    for _ in 0..2 {
        submitter.publish("failsafe.v1.deployment.submitted", "{}".into()).await.unwrap();
    }
    submitter.flush().await.unwrap();
    let listed = async || {
        let ran = as_user(&fleet, "operator", &["dead", "list", "--output", "json"]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.log);
        let listed: Value = serde_json::from_str(&ran.out).unwrap();
        listed["dead_letters"].as_array().unwrap().iter().map(|one| one["number"].to_string()).collect::<Vec<_>>()
    };
    let numbers = eventually("the dead letters", async || Some(listed().await).filter(|all| all.len() == 2)).await;
    let shown = as_user(&fleet, "operator", &["dead", "show", &numbers[0]]).await;
    assert!(shown.code == Some(0) && shown.out.contains("ingest"), "{} {}", shown.out, shown.log);
    let requeued = as_user(&fleet, "operator", &["dead", "requeue", &numbers[0]]).await;
    assert_eq!(requeued.code, Some(0), "{}", requeued.log);
    eventually("it dies again", async || {
        let again = listed().await;
        (again.len() == 2 && !again.contains(&numbers[0])).then_some(())
    })
    .await;
    let dropped = as_user(&fleet, "operator", &["dead", "drop", "--all", "--yes"]).await;
    assert!(dropped.code == Some(0) && listed().await.is_empty(), "{}", dropped.log);

    let server = format!("http://{}", fleet.gateway());
    let doctor = ["doctor", "--output", "json", "--server", &server];
    eventually("all is well", async || (as_user(&fleet, "operator", &doctor).await.code == Some(0)).then_some(()))
        .await;
    for user in SERVICES.into_iter().chain(["submitter"]) {
        let refused = as_user(&fleet, user, &["dead", "list"]).await;
        let told = refused.log;
        assert!(refused.code == Some(1) && told.contains("permits this user no answers"), "{user}: {told}");
        assert!(told.contains("the command line is `operator`"), "{user}: {told}");
    }
    // What the gateway knows of the services is told all the same.
    let lines = eventually("the services' lines", async || {
        let examined = as_user(&fleet, "decision", &doctor).await;
        assert_eq!(examined.code, Some(1), "{}", examined.log);
        let lines: Vec<Value> = serde_json::from_str(&examined.out).unwrap();
        let well = lines.iter().filter(|line| line["area"] == "services" && line["state"] == "ok").count();
        (well == SERVICES.len()).then_some(lines)
    })
    .await;
    let nats = lines.iter().find(|line| line["area"] == "NATS" && line["name"] == "server").unwrap();
    let text = |name: &str| nats[name].as_str().unwrap();
    assert!(text("said").contains("no answers") && lines.iter().filter(|line| line["area"] == "NATS").count() == 1);
    assert!(text("remedy").contains("nats.user and nats.password of the operator"), "{nats}");
}

enum Attempt {
    Publish(&'static str),
    Subscribe(&'static str),
}

/// Tries that as `user`, and waits for the server's refusal.
async fn denied(fleet: &Fleet, user: &str, attempt: Attempt) {
    let (refusals, mut refused) = tokio::sync::mpsc::unbounded_channel();
    let options = async_nats::ConnectOptions::new()
        .user_and_password(user.to_owned(), nats_password(user))
        .event_callback(move |event| {
            let refusals = refusals.clone();
            async move {
                if let async_nats::Event::ServerError(error) = event {
                    let _ = refusals.send(error.to_string());
                }
            }
        });
    let client = options.connect(fleet.nats.url()).await.unwrap();
    let subject = match attempt {
        Attempt::Publish(subject) => {
            client.publish(subject, "forged".into()).await.unwrap();
            subject
        }
        Attempt::Subscribe(subject) => {
            let mut messages = client.subscribe(subject).await.unwrap();
            client.flush().await.unwrap();
            drop(futures::poll!(messages.next()));
            subject
        }
    };
    client.flush().await.unwrap();
    let limit = std::time::Duration::from_secs(60);
    let refusal = tokio::time::timeout(limit, refused.recv()).await;
    let refusal = refusal.unwrap_or_else(|_| panic!("{user} may use {subject}")).unwrap();
    assert!(refusal.contains(subject), "{user}: {refusal}");
}
