//! Trace contexts (W3C Trace Context, <https://www.w3.org/TR/trace-context/>) between spans and what travels, and what spans are
//! told while they last.

use std::collections::HashMap;
use std::sync::OnceLock;

use domain::{Deployment, DeploymentId};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, KeyValue, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header that carries a trace context.
pub const TRACEPARENT: &str = "traceparent";

/// Which spans of this process are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exported {
    /// None: there is no collector.
    None,
    /// Those of traces that whoever began them had recorded, and those that begin here.
    AsBegun,
    /// Any may be, whatever came before.
    Any,
}

static EXPORTED: OnceLock<Exported> = OnceLock::new();

/// Says it once, when telemetry starts; until then it is none.
pub(crate) fn export(exported: Exported) {
    // Telemetry starts once in a process.
    let _ = EXPORTED.set(exported);
}

/// Whether anybody may ever see a span that continues `traceparent`, or begins a trace. If nobody does it is not worth its attributes: they
/// cost more than much of what they tell of.
#[must_use]
pub fn may_be_seen(traceparent: Option<&str>) -> bool {
    match EXPORTED.get() {
        None | Some(Exported::None) => false,
        Some(Exported::AsBegun) => traceparent.is_none_or(is_recorded),
        Some(Exported::Any) => true,
    }
}

/// Whether the flags of a `traceparent`, its last two digits, say that it is recorded (section 3.2.2.5.1).
fn is_recorded(traceparent: &str) -> bool {
    let last = traceparent.chars().last().and_then(|digit| digit.to_digit(16));
    last.is_none_or(|digit| digit % 2 == 1)
}

tokio::task_local! {
    /// What the current task handles without a span.
    pub(crate) static UNSEEN: Unseen;
}

/// An event of a trace that nobody sees, which is handled without a span: a span for each would cost more than much of the work. The log
/// names it all the same, and what comes of it continues the trace.
#[derive(Debug)]
pub(crate) struct Unseen {
    /// The service that handles it.
    pub(crate) service: &'static str,
    /// The trace.
    pub(crate) traceparent: String,
    /// The deployment, once it is known.
    pub(crate) deployment: OnceLock<DeploymentId>,
}

/// Tells the current span, or the log, which deployment is being handled.
pub(crate) fn tell_deployment(id: DeploymentId) {
    if UNSEEN.try_with(|unseen| unseen.deployment.set(id)).is_err() {
        Span::current().record("deployment.id", tracing::field::display(id));
    }
}

/// The `traceparent` of what is being handled; `None` without a trace.
pub(crate) fn current() -> Option<String> {
    let unseen = UNSEEN.try_with(|unseen| unseen.traceparent.clone());
    unseen.ok().or_else(|| parent_of(&Span::current()))
}

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
    if !is_sampled(span) {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::is_recorded;

    #[test]
    fn the_last_bit_of_the_flags_says_whether_a_trace_is_recorded() {
        let with = |flags: &str| is_recorded(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"));
        assert_eq!(["00", "01", "02", "03", "fe", "ff"].map(with), [false, true, false, true, false, true]);
    }
}
