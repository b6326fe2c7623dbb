//! Exemplars: the trace of the latest value in each part of a histogram, so that a slow one is one click from its trace.
//!
//! The SDK (0.33) has a place for them and puts nothing into it; so they are kept here, and added to the OpenMetrics page. OTLP
//! does not carry them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use super::{About, Kind, label_name};

/// One value that was measured within a sampled trace.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: String,
    pub(super) value: f64,
    /// Seconds since 1970.
    pub(super) at: f64,
}

/// The labels of a series, as Prometheus names them.
pub(super) type Labels = BTreeMap<String, String>;
/// Of each histogram, by its name on the page, and each series and part of it, by its upper bound as bits.
type Held = HashMap<String, HashMap<(Labels, u64), Exemplar>>;

static HELD: LazyLock<Mutex<Held>> = LazyLock::new(Mutex::default);

/// Keeps `value`, if it was measured within a trace that is exported.
pub(super) fn note(
    about: &About,
    value: f64,
    bounds: &[f64],
    labels: impl Iterator<Item = (&'static str, impl AsRef<str>)>,
) {
    let context = Context::current();
    let span = context.span();
    if !span.span_context().is_sampled() {
        return;
    }
    let given = labels.filter(|(_, value)| !value.as_ref().is_empty());
    let labels: Labels = given.map(|(label, value)| (label_name(label), value.as_ref().to_owned())).collect();
    let bound = bounds.get(bounds.partition_point(|bound| *bound < value)).copied().unwrap_or(f64::INFINITY);
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let exemplar = Exemplar { trace_id: span.span_context().trace_id().to_string(), value, at };
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.entry(about.prometheus_name(Kind::Histogram)).or_default().insert((labels, bound.to_bits()), exemplar);
}

/// The exemplar of one part of a series.
pub(super) fn of(histogram: &str, labels: &Labels, bound: f64) -> Option<Exemplar> {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.get(histogram)?.get(&(labels.clone(), bound.to_bits())).cloned()
}
