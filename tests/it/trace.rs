//! One deployment is one trace, from the caller's span to the explanation: names, kinds, parents and attributes by
//! OpenTelemetry's conventions, what goes wrong included.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::HeaderMap;
use harness::{Fleet, Receiver, SERVICES, Span, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tonic::Request;

use crate::diffs;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const SUBMIT: &str = "failsafe.v1.DeploymentService/SubmitDeployment";
const SUBMITTED: &str = "failsafe.v1.deployment.submitted";
/// Kinds as OTLP numbers them.
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

fn traceparent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

async fn traced(environment: &[(&str, &str)]) -> (Receiver, Fleet) {
    let receiver = Receiver::start().await;
    let mut all = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
    ];
    all.extend(environment);
    let fleet = Fleet::start(&all).await;
    (receiver, fleet)
}

fn is(span: &Span, service: &str, name: &str) -> bool {
    span.service == service && span.name.starts_with(name)
}

/// The only span of `service` whose name begins so.
#[track_caller]
fn only<'a>(spans: &'a [Span], service: &str, name: &str) -> &'a Span {
    let found: Vec<&Span> = spans.iter().filter(|span| is(span, service, name)).collect();
    assert_eq!(found.len(), 1, "{service}: {name}: {found:#?}");
    found[0]
}

#[track_caller]
fn check(span: &Span, kind: i32, attributes: &[(&str, &str)]) {
    assert_eq!(span.kind, kind, "{span:#?}");
    for (key, value) in attributes {
        assert_eq!(span.attribute(key).as_deref(), Some(*value), "{key} of {span:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_from_the_call_through_every_service_to_the_explanation() {
    a_trace_is_whole(&[]).await;
}

/// Libraries ask then whether something would be logged, which is not, and the subscriber must not take that for what comes next.
#[tokio::test(flavor = "multi_thread")]
async fn the_trace_is_the_same_while_more_is_logged() {
    a_trace_is_whole(&[("RUST_LOG", "info,decision=debug")]).await;
}

async fn a_trace_is_whole(settings: &[(&str, &str)]) {
    let (receiver, fleet) = traced(settings).await;
    let mut request = Request::new(v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        environment: "production".to_owned(),
        change: Some(Change::Diff(diffs::migration("orders"))),
        ..Default::default()
    });
    request.metadata_mut().insert("traceparent", traceparent().parse().unwrap());
    let reply = fleet.client().submit_deployment(request).await.unwrap().into_inner();
    assert_eq!(reply.trace_id, TRACE);

    // The last to speak is the decision service, when it files the explanation.
    let spans = eventually("the whole trace", async || {
        let spans = receiver.trace(TRACE);
        let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
        let filed = spans.iter().any(|span| is(span, "decision", "process failsafe.v1.explanation.written"));
        let complete = SERVICES.iter().all(|service| services.contains(service)) && filed;
        let known: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
        let whole = spans.iter().all(|span| span.parent_id == CALLER || known.contains(span.parent_id.as_str()));
        (complete && whole).then_some(spans)
    })
    .await;
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    assert_eq!(way_back(only(&spans, "decision", "process failsafe.v1.explanation.written"), &by_id).len(), 6);

    let id = reply.deployment_id.as_str();
    let call = only(&spans, "gateway", SUBMIT);
    assert_eq!(call.parent_id, CALLER);
    let rpc = [("rpc.system.name", "grpc"), ("rpc.method", SUBMIT), ("rpc.response.status_code", "OK")];
    check(call, SERVER, &rpc);
    check(call, SERVER, &[("deployment.id", id), ("vcs.repository.name", "acme/shop"), ("vcs.change.id", "7")]);
    let accepted = only(&spans, "ingest", "process ");
    let of_change = [("vcs.repository.name", "acme/shop"), ("deployment.environment.name", "production")];
    check(accepted, CONSUMER, &of_change);
    assert!(accepted.attribute("vcs.ref.head.revision").is_some(), "{accepted:#?}");

    hops_hold(&spans, &by_id);
    verdict_holds(&spans, &by_id, id);
    statements_hold(&spans);

    let chat = only(&spans, "llm-explainer", "chat ");
    assert_eq!(chat.parent_id, only(&spans, "llm-explainer", "process ").span_id);
    check(chat, CLIENT, &[("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "ollama")]);
    check(chat, CLIENT, &[("gen_ai.request.model", "llama3.2:3b"), ("gen_ai.output.type", "json")]);
    check(chat, CLIENT, &[("server.address", "127.0.0.1"), ("server.port", "9"), ("error.type", "unreachable")]);
    assert!(chat.failed);

    let found = fleet
        .client()
        .get_deployment(v1::GetDeploymentRequest { deployment_id: id.to_owned(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(found.into_inner().trace_id, TRACE, "the stored row knows its trace");
    eventually("metrics by OTLP", async || receiver.metrics().contains("failsafe.verdicts").then_some(())).await;
}

/// The services on the way from `span` back to the caller.
fn way_back<'a>(mut span: &'a Span, by_id: &BTreeMap<&str, &'a Span>) -> Vec<&'a str> {
    let mut way = Vec::new();
    while let Some(parent) = by_id.get(span.parent_id.as_str()) {
        if span.service != parent.service {
            way.push(span.service.as_str());
        }
        span = parent;
    }
    way.push(span.service.as_str());
    assert_eq!(span.parent_id, CALLER, "the first span continues the caller's");
    // The verdict continues the trace of the signal that came last, whichever that was.
    let analyser = way[3];
    assert!(["static-analysis", "ml-scoring"].contains(&analyser), "{way:?}");
    assert_eq!(way, ["decision", "llm-explainer", "decision", analyser, "ingest", "gateway"]);
    way
}

/// Each event is published and handled in spans that name it, the second the child of the first.
fn hops_hold(spans: &[Span], by_id: &BTreeMap<&str, &Span>) {
    let mut hops = 0;
    for span in spans.iter().filter(|span| span.name.starts_with("process ") || span.name.starts_with("publish ")) {
        let (operation, destination) = span.name.split_once(' ').unwrap();
        let (kind, operation_type) = if operation == "process" { (CONSUMER, "process") } else { (PRODUCER, "send") };
        check(span, kind, &[("messaging.system", "nats"), ("messaging.operation.name", operation)]);
        check(span, kind, &[("messaging.operation.type", operation_type)]);
        check(span, kind, &[("messaging.destination.template", destination)]);
        assert!(span.attribute("messaging.destination.name").is_some(), "{span:#?}");
        let message = span.attribute("messaging.message.id");
        assert!(message.is_some(), "{span:#?}");
        if kind == CONSUMER {
            assert!(span.attribute("messaging.consumer.group.name").is_some(), "{span:#?}");
            let parent = by_id[span.parent_id.as_str()];
            assert_eq!(parent.name, format!("publish {destination}"), "{span:#?}");
            assert_eq!(parent.attribute("messaging.message.id"), message, "{span:#?}");
            hops += 1;
        }
    }
    // Submitted; accepted thrice; two signals; the verdict; its explanation.
    assert_eq!(hops, 8);
}

/// The verdict is a span of its own, linked to both signals.
fn verdict_holds(spans: &[Span], by_id: &BTreeMap<&str, &Span>, id: &str) {
    let decide = only(spans, "decision", "decide");
    let verdict = [("failsafe.verdict", "BLOCK"), ("failsafe.verdict.cause", "complete"), ("deployment.id", id)];
    check(decide, INTERNAL, &verdict);
    check(decide, INTERNAL, &[("failsafe.verdict.number", "1"), ("vcs.repository.name", "acme/shop")]);
    assert!(decide.events.iter().any(|event| event == "failsafe.verdict.reached"), "{decide:#?}");
    assert!(decide.events.iter().all(|event| event != "failsafe.input.missing"), "{decide:#?}");
    let links: BTreeSet<&str> = decide.links.iter().map(String::as_str).collect();
    assert_eq!(links.len(), 2, "{decide:#?}");
    for link in links {
        assert!(is(by_id[link], "decision", "process failsafe.v1.signal.raised"), "{link}");
    }
}

/// What is sent to PostgreSQL stands in the trace, by what it does, and without a word of what is in it.
fn statements_hold(spans: &[Span]) {
    let statements: Vec<&Span> =
        spans.iter().filter(|span| span.attribute("db.system.name").as_deref() == Some("postgresql")).collect();
    for name in ["INSERT events", "INSERT verdicts", "COMMIT"] {
        let statement = statements.iter().find(|span| span.name == name);
        let statement = statement.unwrap_or_else(|| panic!("{name} in {statements:#?}"));
        check(statement, CLIENT, &[("db.query.summary", name)]);
        assert_eq!(statement.attribute("db.query.text"), None);
    }
    let insert = statements.iter().find(|span| span.name == "INSERT events").unwrap();
    check(insert, CLIENT, &[("db.operation.name", "INSERT"), ("db.collection.name", "events")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_and_a_dead_letter_show_in_the_trace() {
    // Nobody listens there: the comparison is tried, and tried again, and given up.
    let (receiver, fleet) = traced(&[
        ("FAILSAFE__INGEST__GIT_REPOSITORIES", "[\"https://127.0.0.1:9/\"]"),
        ("FAILSAFE__INGEST__DELIVERIES_MAX", "2"),
    ])
    .await;
    let submission = serde_json::json!({
        "repository": "acme/shop", "pull_request": 7,
        "git": {"repository": "https://127.0.0.1:9/shop.git", "base": "a".repeat(40), "head": "b".repeat(40)},
    });
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", traceparent());
    let body = submission.to_string().into();
    let stream = fleet.jetstream().await;
    stream.publish_with_headers(SUBMITTED, headers, body).await.unwrap().await.unwrap();

    let spans = eventually("the dead letter in the trace", async || {
        let spans = receiver.trace(TRACE);
        let told = spans.iter().any(|span| is(span, "decision", "process failsafe.dead.ingest"));
        let tried = spans.iter().filter(|span| is(span, "ingest", "process ")).count();
        (told && tried == 2).then_some(spans)
    })
    .await;
    let mut tries: Vec<&Span> = spans.iter().filter(|span| is(span, "ingest", "process ")).collect();
    tries.sort_by_key(|span| span.attribute("messaging.nats.deliveries"));
    for (number, (span, error)) in tries.iter().zip(["retry", "reject"]).enumerate() {
        assert_eq!(span.parent_id, CALLER);
        let delivery = (number + 1).to_string();
        check(span, CONSUMER, &[("messaging.nats.deliveries", &delivery), ("error.type", error)]);
        assert!(span.failed, "{span:#?}");
    }
    let burial = only(&spans, "ingest", "publish failsafe.dead.ingest");
    check(burial, PRODUCER, &[("messaging.destination.name", "failsafe.dead.ingest"), ("messaging.system", "nats")]);
    assert_eq!(burial.parent_id, tries[1].span_id);
    assert_eq!(only(&spans, "decision", "process failsafe.dead.ingest").parent_id, burial.span_id);
}
