//! The front door by HTTP with JSON: the same calls, the same refusals, the same limits and traces.

use std::sync::Once;

use futures::StreamExt;
use harness::{Fleet, Receiver, eventually};
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::diffs;

/// A busy machine must not cut a call short.
const PATIENT: (&str, &str) = ("FAILSAFE__GATEWAY__DEADLINE_MS", "60000");

pub(crate) fn client() -> Client {
    builder().build().unwrap()
}

pub(crate) fn builder() -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Client::builder()
}

async fn get(fleet: &Fleet, path: &str) -> Response {
    client().get(format!("http://{}{path}", fleet.http())).send().await.unwrap()
}

async fn post(fleet: &Fleet, path: &str, body: impl Into<reqwest::Body>) -> Response {
    client().post(format!("http://{}{path}", fleet.http())).body(body).send().await.unwrap()
}

async fn json_of(response: Response) -> (u16, Value) {
    assert_eq!(response.headers()["content-type"], "application/json");
    let code = response.status().as_u16();
    (code, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_is_posted_looked_up_listed_and_reviewed_without_grpc() {
    let fleet = Fleet::start(&[PATIENT]).await;
    // As the first users of FailSafe call it: curl --data-binary @x.diff.
    let analyze = post(&fleet, "/analyze?repo=failsafe-test&pr_id=107&author=ada&wait=50s", diffs::migration("orders"));
    let (code, submitted) = json_of(analyze.await).await;
    assert_eq!((code, &submitted["verdict"]["judgement"]["verdict"]), (200, &json!("VERDICT_BLOCK")), "{submitted}");
    let id = submitted["deployment_id"].as_str().unwrap();

    // The same, in JSON, by the path of the call itself.
    let request = json!({ "repository": "failsafe-test", "pullRequest": 107, "diff": diffs::migration("orders") });
    let (code, again) = json_of(post(&fleet, "/v1/deployments", request.to_string()).await).await;
    assert_eq!((code, &again["deployment_id"], again.get("verdict")), (200, &json!(id), None));

    let known = eventually("the explanation", async || {
        let (_, known) = json_of(get(&fleet, &format!("/v1/deployments/{id}")).await).await;
        (known["progress"] == "PROGRESS_EXPLAINED").then_some(known)
    })
    .await;
    assert_eq!(known["deployment"]["repository"], "failsafe-test");
    let wanted = format!("/v1/deployments/{id}?read_mask=verdicts.number,progress");
    let part = json!({ "progress": "PROGRESS_EXPLAINED", "verdicts": [{ "number": 1 }] });
    assert_eq!(json_of(get(&fleet, &wanted).await).await, (200, part));

    let listed =
        "/v1/deployments?rule_id=migration.rollback.missing&verdict=VERDICT_BLOCK&page_size=5&order_by=risk%20desc";
    let (_, listed) = json_of(get(&fleet, listed).await).await;
    assert_eq!(listed["deployments"][0]["deployment_id"], id, "{listed}");

    let (code, attested) = json_of(get(&fleet, &format!("/v1/deployments/{id}:attest")).await).await;
    assert_eq!((code, &attested["verdict"]), (200, &json!("VERDICT_BLOCK")));
    let review = json!({ "decision": "REVIEW_DECISION_REJECTED", "reviewer": "ada", "why": "not today" });
    let (code, reviewed) =
        json_of(post(&fleet, &format!("/v1/deployments/{id}:review"), review.to_string()).await).await;
    assert_eq!((code, &reviewed["verdict_number"]), (200, &json!(1)), "{reviewed}");
    let outcome = json!({ "kind": "OUTCOME_KIND_FAILED", "reporter": "argo" });
    let (code, _) =
        json_of(post(&fleet, &format!("/v1/deployments/{id}:recordOutcome"), outcome.to_string()).await).await;
    assert_eq!(code, 200);
    let (code, _) = json_of(post(&fleet, &format!("/v1/deployments/{id}:explain"), "").await).await;
    assert_eq!(code, 200, "a request without anything but its path needs no body");
}

/// The fields that a refusal names.
fn fields(refusal: &Value) -> Vec<&str> {
    let details = refusal["details"].as_array().unwrap();
    let violations = details.iter().filter_map(|detail| detail["field_violations"].as_array()).flatten();
    violations.map(|violation| violation["field"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_its_code_and_every_field() {
    let small = ("FAILSAFE__GATEWAY__DIFF_BYTES_MAX", "1000");
    let mut fleet = Fleet::start(&[PATIENT, small, ("FAILSAFE__GATEWAY__WATCH_IDLE_MS", "100")]).await;
    let (code, refused) = json_of(post(&fleet, "/analyze?repo=a//b", "no diff at all").await).await;
    assert_eq!(
        (code, &refused["code"], fields(&refused)),
        (400, &json!(3), vec!["repository", "pull_request", "diff"])
    );
    let (code, refused) = json_of(post(&fleet, "/analyze?repo=a&pr_id=many&colour=red&wait=long", "").await).await;
    assert_eq!((code, fields(&refused)), (400, vec!["pull_request", "colour", "wait"]), "{refused}");
    let (code, refused) = json_of(post(&fleet, "/v1/deployments", r#"{"repositry": "a"}"#).await).await;
    assert_eq!((code, fields(&refused)), (400, vec!["body"]));
    assert!(refused["message"].as_str().unwrap().contains("repositry"), "{refused}");

    let nobody = "/v1/deployments/00000000-0000-5000-8000-000000000000";
    let (code, refused) = json_of(get(&fleet, nobody).await).await;
    assert_eq!((code, &refused["details"][0]["reason"]), (404, &json!("DEPLOYMENT_NOT_FOUND")));
    assert_eq!(
        get(&fleet, &format!("{nobody}:watch")).await.status(),
        StatusCode::NOT_FOUND,
        "a watch of nothing, too"
    );
    assert_eq!(json_of(get(&fleet, "/v2/nothing").await).await.0, 404);
    let wrong = client().delete(format!("http://{}/v1/deployments", fleet.http())).send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), &wrong.headers()["allow"]), (405, &"POST, GET".parse().unwrap()));

    let long = "x".repeat(3 << 20);
    let (code, refused) = json_of(post(&fleet, "/analyze?repo=a&pr_id=1", long).await).await;
    assert_eq!((code, &refused["code"]), (413, &json!(8)), "{refused}");

    fleet.kill("decision").await;
    let away = get(&fleet, nobody).await;
    assert_eq!(away.headers()["retry-after"], "1");
    let (code, refused) = json_of(away).await;
    assert_eq!((code, &refused["code"]), (503, &json!(14)), "{refused}");
}

/// The events of a watch from behind `last` to its end: their ids and names.
async fn watched(fleet: &Fleet, id: &str, last: Option<&str>) -> Vec<(String, String)> {
    let mut request = client().get(format!("http://{}/v1/deployments/{id}:watch", fleet.http()));
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let response = request.send().await.unwrap();
    if response.status() == StatusCode::NO_CONTENT {
        return Vec::new();
    }
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
    };
    let events = text.split("\n\n").filter(|event| event.starts_with("id: ") || event.starts_with("event: "));
    events.map(|event| (field(event, "id"), field(event, "event"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_a_stream_of_events_that_a_browser_takes_up_by_itself() {
    let fleet = Fleet::start(&[PATIENT]).await;
    let (_, submitted) =
        json_of(post(&fleet, "/analyze?repo=acme/shop&pr_id=7", diffs::migration("orders")).await).await;
    let id = submitted["deployment_id"].as_str().unwrap();
    let whole = watched(&fleet, id, None).await;
    let names: Vec<_> = whole.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["accepted", "signal", "signal", "verdict", "explanation", "end"]);
    assert_eq!(watched(&fleet, id, Some(&whole[2].0)).await, whole[3..]);
    assert_eq!(watched(&fleet, id, Some(&whole[4].0)).await, [], "204: a browser asks no further");

    let lines = client().get(format!("http://{}/v1/deployments/{id}:watch", fleet.http()));
    let lines = lines.header("Accept", "application/x-ndjson").send().await.unwrap().text().await.unwrap();
    let stages: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(stages.len(), 5);
    assert_eq!(stages[3]["verdict"]["judgement"]["verdict"], "VERDICT_BLOCK");

    let wrong = client().get(format!("http://{}/v1/deployments/{id}:watch", fleet.http())).header("Last-Event-ID", "x");
    assert_eq!(wrong.send().await.unwrap().status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_come_while_they_happen() {
    let mut fleet = Fleet::servers(&[PATIENT, ("FAILSAFE__DECISION__DEADLINE_MS", "600000")]).await;
    for service in ["gateway", "ingest", "static-analysis", "decision", "llm-explainer"] {
        fleet.spawn(service);
        fleet.serving(service).await;
    }
    let (_, submitted) =
        json_of(post(&fleet, "/analyze?repo=acme/shop&pr_id=7", diffs::harmless("orders")).await).await;
    let id = submitted["deployment_id"].as_str().unwrap();
    let mut stream = get(&fleet, &format!("/v1/deployments/{id}:watch")).await.bytes_stream();
    let mut seen = String::new();
    // The story is not over: without ml-scoring there is no verdict.
    while !seen.contains("event: signal") {
        seen.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(!seen.contains("event: verdict"), "{seen}");
    fleet.spawn("ml-scoring");
    while !seen.contains("event: end") {
        seen.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(seen.contains("event: verdict") && seen.contains("event: explanation"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_traces_are_those_of_the_grpc_calls() {
    let receiver = Receiver::start().await;
    let fleet = Fleet::start(&[
        PATIENT,
        ("FAILSAFE__GATEWAY__CALLS_PER_SECOND_MAX", "1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ])
    .await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let url = format!("http://{}/analyze?repo=acme/shop&pr_id=7", fleet.http());
    let submitted = client()
        .post(url)
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .body(diffs::harmless("orders"))
        .send()
        .await
        .unwrap();
    let (_, submitted) = json_of(submitted).await;
    assert_eq!(submitted["trace_id"], trace, "the caller's trace goes on");
    let answers = futures::future::join_all((0..20).map(|_| get(&fleet, "/v1/deployments"))).await;
    let refused = answers.iter().find(|answer| answer.status() == 429).expect("one client has a share");
    assert_eq!(refused.headers()["retry-after"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_and_grpc_web_are_let_in_by_settings_alone() {
    // POST of an empty message, as a browser frames it.
    let web = async |fleet: &Fleet| {
        client()
            .post(format!("http://{}/failsafe.v1.DeploymentService/ListDeployments", fleet.http()))
            .header("content-type", "application/grpc-web+proto")
            .header("origin", "https://ci.acme.example")
            .body(vec![0; 5])
            .send()
            .await
            .unwrap()
    };
    let closed = Fleet::start(&[PATIENT]).await;
    let answer = web(&closed).await;
    assert_eq!((answer.status().as_u16(), answer.headers().get("access-control-allow-origin")), (403, None));
    // A browser sends a simple request without asking first: it must have no effect.
    let url = format!("http://{}/analyze?repo=acme/shop&pr_id=7", closed.http());
    let evil = client().post(url).header("origin", "https://evil.example").body(diffs::harmless("x"));
    let (code, refused) = json_of(evil.send().await.unwrap()).await;
    assert_eq!((code, &refused["details"][0]["reason"]), (403, &json!("ORIGIN_NOT_PERMITTED")), "{refused}");
    let mut stream = closed.jetstream().await.get_stream(proto::event::STREAM).await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 0, "nothing was published");

    let origins = ("FAILSAFE__GATEWAY__CORS_ORIGINS", r#"["https://ci.acme.example"]"#);
    let open = Fleet::start(&[PATIENT, origins, ("FAILSAFE__GATEWAY__GRPC_WEB", "true")]).await;
    let answer = web(&open).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/grpc-web+proto");
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://ci.acme.example");
    let body = answer.bytes().await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("grpc-status:0"), "{body:?}");
    let other = client().get(format!("http://{}/v1/deployments", open.http())).header("origin", "https://evil.example");
    assert_eq!(other.send().await.unwrap().headers().get("access-control-allow-origin"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_say_what_can_be_called() {
    let fleet = Fleet::start(&[]).await;
    let page = get(&fleet, "/").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert!(page.text().await.unwrap().contains("/v1/deployments/{deployment_id}:watch"));
    let (code, document) = json_of(get(&fleet, "/openapi.json").await).await;
    assert_eq!((code, &document["openapi"]), (200, &json!("3.1.0")));
    assert!(document["paths"]["/analyze"]["post"].is_object());
}
