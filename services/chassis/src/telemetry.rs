//! Logs and traces. Logs go to standard error: readable on a terminal, JSON otherwise; `RUST_LOG` sets their level (`info`).
//! Traces are exported by OTLP/gRPC when the standard variable `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector.

use std::env;
use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Keeps telemetry running; flushes it when stopped.
#[derive(Debug)]
pub struct Telemetry(SdkTracerProvider);

/// Starts telemetry for `service`. Must be called within a Tokio runtime, and before anything is logged. `level` is what is
/// logged where `RUST_LOG` does not say.
///
/// # Errors
/// When the `OTEL_…` variables cannot be followed, or telemetry is running already.
pub fn start(service: &'static str, level: &str) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},async_nats=warn,sqlx=warn")));
    let logs = if std::io::stderr().is_terminal() {
        fmt::layer().with_writer(std::io::stderr).with_target(false).boxed()
    } else {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed()
    };
    let provider = provider(service)?;
    // Spans are kept whatever the level of the logs is, but only our own: those of libraries would be noise.
    let ours = Targets::new().with_default(tracing::Level::INFO).with_targets(
        ["h2", "hyper", "tonic", "tower", "async_nats", "sqlx", "reqwest", "opentelemetry", "opentelemetry_sdk"]
            .map(|library| (library, tracing_subscriber::filter::LevelFilter::OFF)),
    );
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer(service)).with_filter(ours);
    tracing_subscriber::registry().with(logs.with_filter(filter)).with(traces).try_init()?;
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Telemetry(provider))
}

fn provider(service: &'static str) -> anyhow::Result<SdkTracerProvider> {
    let mut builder = SdkTracerProvider::builder();
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service);
    }
    builder = builder.with_resource(resource.build());
    let wanted = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        .iter()
        .any(|name| env::var(name).is_ok_and(|value| !value.is_empty()));
    let refused = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
        || env::var("OTEL_TRACES_EXPORTER").is_ok_and(|value| value == "none");
    if wanted && !refused {
        builder = builder.with_batch_exporter(SpanExporter::builder().with_tonic().build()?);
    }
    Ok(builder.build())
}

impl Telemetry {
    /// Sends what has not been sent yet, and ends.
    pub async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || self.0.shutdown()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}
