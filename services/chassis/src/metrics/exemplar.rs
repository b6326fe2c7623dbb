//! Exemplars: the trace of the latest value in each part of a histogram, so that a slow one is one click from its trace.
//!
//! The SDK (0.33) has a place for them and puts nothing into it; so they are kept here, and added to the OpenMetrics page. OTLP
//! does not carry them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TraceId};

use super::label_name;

/// One value that was measured within a sampled trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace.
    pub trace_id: TraceId,
    /// What was measured.
    pub value: f64,
    /// When, in seconds since 1970.
    pub at: f64,
}

/// The labels of a series, as Prometheus names them.
pub(crate) type Labels = BTreeMap<String, String>;

/// Those of one histogram.
#[derive(Debug)]
pub(super) struct Exemplars<const N: usize>(Mutex<Vec<Series<N>>>);

/// Those of one series, by the values of its labels.
#[derive(Debug)]
struct Series<const N: usize> {
    values: [String; N],
    /// One for each part, the last of which has no upper bound.
    parts: Vec<Option<Exemplar>>,
}

impl<const N: usize> Exemplars<N> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Keeps `value`, if it was measured within a trace that is exported. Memory is taken for the first of a series alone.
    pub(super) fn note(&self, value: f64, bounds: &[f64], values: [&str; N]) {
        let context = Context::current();
        let span = context.span();
        let trace = span.span_context();
        if !trace.is_sampled() {
            return;
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let exemplar = Exemplar { trace_id: trace.trace_id(), value, at };
        let part = bounds.partition_point(|bound| *bound < value);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|series| series.values == values) {
            Some(series) => series.parts[part] = Some(exemplar),
            None => {
                let mut parts = vec![None; bounds.len() + 1];
                parts[part] = Some(exemplar);
                all.push(Series { values: values.map(str::to_owned), parts });
            }
        }
    }

    /// The exemplar of one part of a series.
    pub(super) fn of(&self, names: &[&str; N], bounds: &[f64], labels: &Labels, bound: f64) -> Option<Exemplar> {
        let part = bounds.partition_point(|one| *one < bound);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|series| is_of(&series.values, names, labels))?.parts[part]
    }
}

/// Whether a series with these values has those labels. An empty value is no label.
fn is_of<const N: usize>(values: &[String; N], names: &[&str; N], labels: &Labels) -> bool {
    let given = || names.iter().zip(values).filter(|(_, value)| !value.is_empty());
    given().count() == labels.len() && given().all(|(name, value)| labels.get(&label_name(name)) == Some(value))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};

    use super::*;

    fn within(trace: u128, flags: TraceFlags, note: impl FnOnce()) {
        let span = SpanContext::new(TraceId::from(trace), SpanId::from(1_u64), flags, true, TraceState::default());
        let _attached = Context::new().with_remote_span_context(span).attach();
        note();
    }

    #[test]
    fn each_part_of_each_series_keeps_its_latest_sampled_trace() {
        let (exemplars, names, bounds) = (Exemplars::<2>::new(), ["a.b", "c"], [1.0, 5.0]);
        let note = |value, values| exemplars.note(value, &bounds, values);
        within(1, TraceFlags::SAMPLED, || note(0.5, ["x", ""]));
        within(2, TraceFlags::SAMPLED, || note(1.0, ["x", ""]));
        within(3, TraceFlags::SAMPLED, || note(9.0, ["x", ""]));
        within(4, TraceFlags::SAMPLED, || note(0.5, ["x", "y"]));
        within(5, TraceFlags::default(), || note(0.5, ["x", ""]));
        note(0.5, ["x", ""]);
        let of = |labels: &[(&str, &str)], bound| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            exemplars.of(&names, &bounds, &labels, bound).map(|one| (one.trace_id, one.value))
        };
        let trace = |number: u128| TraceId::from(number);
        assert_eq!(of(&[("a_b", "x")], 1.0), Some((trace(2), 1.0)), "a bound belongs to the part below it");
        assert_eq!(of(&[("a_b", "x")], 5.0), None);
        assert_eq!(of(&[("a_b", "x")], f64::INFINITY), Some((trace(3), 9.0)));
        assert_eq!(of(&[("a_b", "x"), ("c", "y")], 1.0), Some((trace(4), 0.5)));
        assert_eq!(of(&[], 1.0), None);
    }
}
