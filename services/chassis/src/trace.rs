//! Trace contexts (W3C Trace Context, <https://www.w3.org/TR/trace-context/>) between spans and what travels, and what spans are
//! told while they last.

use std::collections::HashMap;

use domain::Deployment;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, KeyValue, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header that carries a trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The `traceparent` of `span`; `None` without a trace.
#[must_use]
pub fn parent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let own = span.span_context();
    let sampled = u8::from(own.is_sampled());
    own.is_valid().then(|| format!("00-{}-{}-{sampled:02x}", own.trace_id(), own.span_id()))
}

/// Makes `span` a child of `traceparent`, if there is one.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent {
        // Fails only where no trace is being kept at all, and then there is nothing to continue.
        let _ = span.set_parent(context_of(parent));
    }
}

/// Links `span` to the span that `traceparent` names: it took up its result without being its child.
pub fn link(span: &Span, traceparent: &str) {
    let linked: SpanContext = context_of(traceparent).span().span_context().clone();
    if linked.is_valid() {
        span.add_link(linked);
    }
}

fn context_of(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    global::get_text_map_propagator(|propagator| propagator.extract(&carrier))
}

/// Whether `span` will be exported.
#[must_use]
pub fn is_sampled(span: &Span) -> bool {
    span.context().span().span_context().is_sampled()
}

/// Writes into `span` that something happened at this moment. Names are few; what differs stands in the attributes.
pub fn event<const N: usize>(span: &Span, name: &'static str, attributes: [(&'static str, String); N]) {
    span.add_event(name, attributes.map(|(key, value)| KeyValue::new(key, value)).to_vec());
}

/// Writes an attribute into `span`.
pub fn set(span: &Span, key: &'static str, value: &str) {
    span.set_attribute(key, value.to_owned());
}

/// Writes into `span` which deployment it is about, and which change of which repository that is.
pub fn describe(span: &Span, deployment: &Deployment) {
    span.record("deployment.id", tracing::field::display(deployment.id));
    set(span, "vcs.repository.name", deployment.repository.as_str());
    set(span, "vcs.change.id", &deployment.pull_request.to_string());
    set(span, "vcs.ref.head.revision", deployment.revision.as_str());
    if !deployment.environment.is_empty() {
        set(span, "deployment.environment.name", &deployment.environment);
    }
}

/// The trace id of `span` in 32 hexadecimal digits; `None` without a trace.
#[must_use]
pub fn id_of(span: &Span) -> Option<String> {
    let context = span.context();
    let id = context.span().span_context().trace_id();
    (id != opentelemetry::trace::TraceId::INVALID).then(|| id.to_string())
}

/// The trace id within a `traceparent`.
#[must_use]
pub fn id_in(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1).filter(|id| id.len() == 32)
}
