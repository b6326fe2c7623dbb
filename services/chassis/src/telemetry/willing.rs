//! Metrics to a collector that may take none: Jaeger and others take traces alone, and whoever names such a one is told once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

/// Exports until the collector says that it has no such service.
#[derive(Debug)]
pub(super) struct Willing {
    exporter: MetricExporter,
    refused: AtomicBool,
}

impl Willing {
    pub(super) const fn new(exporter: MetricExporter) -> Self {
        Self { exporter, refused: AtomicBool::new(false) }
    }
}

impl PushMetricExporter for Willing {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        if self.refused.load(Ordering::Relaxed) {
            return Ok(());
        }
        let exported = self.exporter.export(metrics).await;
        match exported {
            // The exporter tells its gRPC code in words alone.
            Err(error) if error.to_string().contains("Unimplemented") => {
                self.refused.store(true, Ordering::Relaxed);
                tracing::info!(
                    "the collector takes no metrics, only traces; OTEL_METRICS_EXPORTER=none says so before"
                );
                Ok(())
            }
            exported => exported,
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
