//! One deployment is one trace, from the caller's span to the explanation.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Fleet, Receiver, SERVICES, Span, eventually};
use proto::v1;
use proto::v1::submit_deployment_request::Change;
use tonic::Request;

use crate::diffs;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_from_the_call_through_every_service_to_the_explanation() {
    let receiver = Receiver::start().await;
    let fleet =
        Fleet::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address()), ("OTEL_BSP_SCHEDULE_DELAY", "100")]).await;
    let mut request = Request::new(v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: 7,
        change: Some(Change::Diff(diffs::migration("orders"))),
        ..Default::default()
    });
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
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
    let mut way = Vec::new();
    let mut span = *spans
        .iter()
        .find(|span| is(span, "decision", "process failsafe.v1.explanation.written"))
        .iter()
        .next()
        .unwrap();
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

    for span in spans.iter().filter(|span| span.name.starts_with("process ") || span.name.starts_with("send ")) {
        let kind = if span.name.starts_with("process ") { 5 } else { 4 };
        assert_eq!(span.kind, kind, "{span:?}");
        assert_eq!(span.attribute("messaging.system").as_deref(), Some("nats"), "{span:?}");
        assert!(span.attribute("messaging.destination.name").is_some(), "{span:?}");
        assert!(span.attribute("messaging.message.id").is_some(), "{span:?}");
    }
}

fn is(span: &Span, service: &str, name: &str) -> bool {
    span.service == service && span.name.starts_with(name)
}
