//! The page that Prometheus reads: its text format, or OpenMetrics 1.0 with exemplars for who asks for that.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, <https://prometheus.io/docs/specs/om/open_metrics_spec/>

use std::fmt::Write;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

use super::{ALL, Labels};

const OPEN_METRICS: &str = "application/openmetrics-text";

/// The page of `registry` in the form that `accepted` (the request's header) asks for, and the type of its content.
pub(crate) fn page(registry: &Registry, accepted: &str) -> anyhow::Result<(&'static str, String)> {
    let families = registry.gather();
    if accepted.contains(OPEN_METRICS) {
        return Ok(("application/openmetrics-text; version=1.0.0; charset=utf-8", open_metrics(&families)));
    }
    Ok(("text/plain; version=0.0.4; charset=utf-8", TextEncoder::new().encode_to_string(&families)?))
}

fn open_metrics(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        write_family(&mut text, family);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(text: &mut String, family: &MetricFamily) {
    let name = family.name();
    let (base, kind) = match family.get_field_type() {
        MetricType::COUNTER => (name.trim_end_matches("_total"), "counter"),
        MetricType::HISTOGRAM => (name, "histogram"),
        _ => (name, "gauge"),
    };
    line(text, format_args!("# TYPE {base} {kind}"));
    if base.ends_with("_seconds") {
        line(text, format_args!("# UNIT {base} seconds"));
    }
    line(text, format_args!("# HELP {base} {}", escaped(family.help())));
    for metric in family.get_metric() {
        match family.get_field_type() {
            MetricType::HISTOGRAM => write_histogram(text, name, metric),
            MetricType::COUNTER => {
                line(text, format_args!("{base}_total{} {}", labels(metric, None), metric.get_counter().get_value()));
            }
            _ => line(text, format_args!("{name}{} {}", labels(metric, None), metric.get_gauge().get_value())),
        }
    }
}

fn write_histogram(text: &mut String, name: &str, metric: &Metric) {
    let histogram = metric.get_histogram();
    let series: Labels =
        metric.get_label().iter().map(|label| (label.name().to_owned(), label.value().to_owned())).collect();
    let mut bounds: Vec<(f64, u64)> =
        histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
    if bounds.last().is_none_or(|(bound, _)| bound.is_finite()) {
        bounds.push((f64::INFINITY, histogram.get_sample_count()));
    }
    let known = ALL.iter().find(|instrument| instrument.about().prometheus_name(instrument.kind()) == name);
    for (bound, count) in bounds {
        let exemplar = known
            .and_then(|instrument| instrument.exemplar(&series, bound))
            .map(|it| format!(" # {{trace_id=\"{}\"}} {} {:.3}", it.trace_id, it.value, it.at));
        let exemplar = exemplar.unwrap_or_default();
        line(text, format_args!("{name}_bucket{} {count}{exemplar}", labels(metric, Some(bound))));
    }
    line(text, format_args!("{name}_sum{} {}", labels(metric, None), histogram.get_sample_sum()));
    line(text, format_args!("{name}_count{} {}", labels(metric, None), histogram.get_sample_count()));
}

fn line(text: &mut String, written: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = writeln!(text, "{written}");
}

fn labels(metric: &Metric, bound: Option<f64>) -> String {
    let mut all: Vec<String> = metric
        .get_label()
        .iter()
        .map(|label| format!("{}=\"{}\"", label.name(), escaped(label.value()).replace('"', "\\\"")))
        .collect();
    all.extend(bound.map(|bound| {
        let bound = if bound.is_infinite() { "+Inf".to_owned() } else { format!("{bound:?}") };
        format!("le=\"{bound}\"")
    }));
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}
