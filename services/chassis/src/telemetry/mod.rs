//! Logs, traces and metrics. Logs go to standard error: readable on a terminal, JSON otherwise; `RUST_LOG` sets their level
//! (`info`), and the admin port changes it. Traces and metrics are exported by OTLP/gRPC when the standard variable
//! `OTEL_EXPORTER_OTLP_ENDPOINT`, or whoever starts the process, names a collector; metrics are also a page (see [`crate::admin`]).
//!
//! `OTEL_TRACES_SAMPLER` and the other standard variables are followed; `OTEL_SDK_DISABLED=true` leaves only the logs.

mod anew;
mod level;
mod line;
mod willing;

use std::env;
use std::io::IsTerminal;
use std::sync::Arc;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use prometheus::Registry;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

use anew::Anew;
pub use level::Level;
use line::Line;
use willing::Willing;

use crate::metrics::page;
use crate::trace::{self, Exported};

/// Libraries whose spans and events would be noise in a trace.
const LIBRARIES: [&str; 9] =
    ["h2", "hyper", "tonic", "tower", "async_nats", "sqlx", "reqwest", "opentelemetry", "opentelemetry_sdk"];

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The name under which a process appears among traces.
    pub service: &'static str,
    /// What is logged where `RUST_LOG` does not say.
    pub level: &'a str,
    /// The collector to export to, over the variables: `http://localhost:4317`.
    pub otlp: Option<&'a str>,
}

/// Keeps telemetry running; flushes it when stopped. Clones are the same.
#[derive(Clone, Debug)]
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    registry: Registry,
    level: Arc<Level>,
}

/// Starts telemetry. Must be called within a Tokio runtime, and before anything is logged or measured.
///
/// # Errors
/// When the `OTEL_…` variables or the collector's address cannot be followed, or telemetry is running already.
pub fn start(wanted: Wanted<'_>) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{},async_nats=warn,sqlx=warn", wanted.level)));
    let (filter, handle) = reload::Layer::new(filter);
    let logs = fmt::layer()
        .fmt_fields(line::OfSpans)
        .event_format(if std::io::stderr().is_terminal() { Line::ForPeople } else { Line::Json })
        .with_ansi(std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr);
    let registry = Registry::new();
    let disabled = is(&["OTEL_SDK_DISABLED"], "true");
    let traces = tracer_provider(&wanted, disabled)?;
    let metrics = meter_provider(&wanted, disabled, &registry)?;
    global::set_meter_provider(metrics.clone());
    // Spans are kept whatever the level of the logs is, but only our own.
    let ours =
        Targets::new().with_default(LevelFilter::INFO).with_targets(LIBRARIES.map(|name| (name, LevelFilter::OFF)));
    let layer = tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_tracer(traces.tracer(wanted.service));
    let layer = (!disabled).then(|| layer.with_filter(ours));
    tracing_subscriber::registry().with(logs.with_filter(Anew(filter))).with(layer).try_init()?;
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Telemetry { traces, metrics, registry, level: Arc::new(Level::new(handle)) })
}

fn resource(service: &'static str) -> Resource {
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service);
    }
    resource.build()
}

/// Whether one of the variables `names` says `value`.
fn is(names: &[&str], value: &str) -> bool {
    names.iter().any(|name| env::var(name).is_ok_and(|said| said.eq_ignore_ascii_case(value)))
}

/// Whether a collector is named for what is exported by the variable `own`.
fn is_named(wanted: &Wanted<'_>, own: &str) -> bool {
    let set = |name: &str| env::var(name).is_ok_and(|value| !value.is_empty());
    wanted.otlp.is_some() || set("OTEL_EXPORTER_OTLP_ENDPOINT") || set(own)
}

fn tracer_provider(wanted: &Wanted<'_>, disabled: bool) -> anyhow::Result<SdkTracerProvider> {
    let builder = SdkTracerProvider::builder().with_resource(resource(wanted.service));
    let refused = disabled || is(&["OTEL_TRACES_EXPORTER"], "none");
    if refused || !is_named(wanted, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        // Nobody would see them. Trace ids are made and passed on all the same.
        trace::export(Exported::None);
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    }
    let sampler = env::var("OTEL_TRACES_SAMPLER").unwrap_or_default();
    trace::export(if sampler.is_empty() || sampler.starts_with("parentbased") {
        Exported::AsBegun
    } else {
        Exported::Any
    });
    let mut exporter = SpanExporter::builder().with_tonic();
    if let Some(address) = wanted.otlp {
        exporter = exporter.with_endpoint(address);
    }
    Ok(builder.with_batch_exporter(exporter.build()?).build())
}

fn meter_provider(wanted: &Wanted<'_>, disabled: bool, registry: &Registry) -> anyhow::Result<SdkMeterProvider> {
    let mut builder = SdkMeterProvider::builder().with_resource(resource(wanted.service));
    if disabled {
        return Ok(builder.build());
    }
    let page = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
    builder = builder.with_reader(page.build()?);
    let refused = is(&["OTEL_METRICS_EXPORTER"], "none");
    if !refused && is_named(wanted, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") {
        let mut exporter = MetricExporter::builder().with_tonic();
        if let Some(address) = wanted.otlp {
            exporter = exporter.with_endpoint(address);
        }
        builder = builder.with_periodic_exporter(Willing::new(exporter.build()?));
    }
    Ok(builder.build())
}

impl Telemetry {
    /// What is logged, to be read and changed.
    #[must_use]
    pub fn level(&self) -> &Level {
        &self.level
    }

    /// The page of metrics that a scraper reads, in the form that it accepts, and the type of its content.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub(crate) fn page(&self, accepted: &str) -> anyhow::Result<(&'static str, String)> {
        page::page(&self.registry, accepted)
    }

    /// Sends what has not been sent yet, and ends.
    pub async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || (self.traces.shutdown(), self.metrics.shutdown())).await;
        if let Ok((Err(error), _) | (_, Err(error))) = stopped {
            tracing::warn!(%error, "the last spans and metrics were not exported");
        }
    }
}
