//! Trace contexts (W3C Trace Context, <https://www.w3.org/TR/trace-context/>) between spans and what travels.

use std::collections::HashMap;

use opentelemetry::global;
use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header that carries a trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The `traceparent` of `span`; `None` without a trace.
#[must_use]
pub fn parent_of(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&span.context(), &mut carrier));
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a child of `traceparent`, if there is one.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
        let context = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
        // Fails only where no trace is being kept at all, and then there is nothing to continue.
        let _ = span.set_parent(context);
    }
}

/// The trace id of `span` in 32 hexadecimal digits; `None` without a trace.
#[must_use]
pub fn id_of(span: &Span) -> Option<String> {
    let context = span.context();
    let id = context.span().span_context().trace_id();
    (id != opentelemetry::trace::TraceId::INVALID).then(|| id.to_string())
}
