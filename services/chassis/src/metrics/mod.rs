//! Metrics: the instruments, their names, and how they are read.
//!
//! [`list`] is the one place that names them all. Recording costs a map look-up; nothing is recorded before
//! [`crate::telemetry::start`] was called.

mod exemplar;
pub mod list;
pub(crate) mod page;
mod table;

use std::sync::OnceLock;

use opentelemetry::{KeyValue, global, metrics};

pub use exemplar::Exemplar;
use exemplar::Exemplars;
pub(crate) use exemplar::Labels;
pub use list::ALL;
pub use table::table;

/// The name under which our instruments are grouped.
const METER: &str = "failsafe";
/// Seconds: from a quick statement to a slow model.
pub(crate) const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// What an instrument is called, and what it tells.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// By OpenTelemetry's conventions: `failsafe.verdicts`.
    pub name: &'static str,
    /// By UCUM: `s`, or what is counted in braces.
    pub unit: &'static str,
    /// One sentence for a person on call.
    pub description: &'static str,
}

impl About {
    /// Its name on the Prometheus page.
    #[must_use]
    pub fn prometheus_name(&self, kind: Kind) -> String {
        let unit = if self.unit == "s" { "_seconds" } else { "" };
        let total = if kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", label_name(self.name))
    }
}

/// What kind of instrument it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up, until the process starts anew.
    Counter,
    /// A distribution.
    Histogram,
    /// How it is now.
    Gauge,
}

/// A name as Prometheus writes it.
#[must_use]
pub fn label_name(name: &str) -> String {
    name.replace(['.', '-'], "_")
}

/// What all instruments have in common.
pub trait Instrument: Sync {
    /// What it is called.
    fn about(&self) -> &About;
    /// What kind it is.
    fn kind(&self) -> Kind;
    /// The names of its labels.
    fn labels(&self) -> &'static [&'static str];

    /// The exemplar of that part of the series with those labels, as Prometheus names them. Only a histogram has any.
    fn exemplar(&self, _labels: &Labels, _bound: f64) -> Option<Exemplar> {
        None
    }
}

macro_rules! instrument {
    ($name:ident, $kind:ident $(, $exemplar:item)?) => {
        impl<const N: usize> Instrument for $name<N> {
            fn about(&self) -> &About {
                &self.about
            }

            fn kind(&self) -> Kind {
                Kind::$kind
            }

            fn labels(&self) -> &'static [&'static str] {
                self.labels
            }

            $($exemplar)?
        }
    };
}

/// Counts, with `N` labels.
#[derive(Debug)]
pub struct Counter<const N: usize> {
    about: About,
    labels: &'static [&'static str; N],
    made: OnceLock<metrics::Counter<u64>>,
}

impl<const N: usize> Counter<N> {
    pub(crate) const fn new(about: About, labels: &'static [&'static str; N]) -> Self {
        Self { about, labels, made: OnceLock::new() }
    }

    /// Counts `by` more, with the values of its labels in their order.
    pub fn add(&self, by: usize, values: [&str; N]) {
        let counter = self.made.get_or_init(|| {
            let About { name, unit, description } = self.about;
            global::meter(METER).u64_counter(name).with_unit(unit).with_description(description).build()
        });
        counter.add(by as u64, &attributes(self.labels, values));
    }
}

instrument!(Counter, Counter);

/// Shows how something is now, with `N` labels.
#[derive(Debug)]
pub struct Gauge<const N: usize> {
    about: About,
    labels: &'static [&'static str; N],
    made: OnceLock<metrics::Gauge<f64>>,
}

impl<const N: usize> Gauge<N> {
    pub(crate) const fn new(about: About, labels: &'static [&'static str; N]) -> Self {
        Self { about, labels, made: OnceLock::new() }
    }

    /// Shows `value` from now on, with the values of its labels in their order.
    pub fn set(&self, value: f64, values: [&str; N]) {
        let gauge = self.made.get_or_init(|| {
            let About { name, unit, description } = self.about;
            global::meter(METER).f64_gauge(name).with_unit(unit).with_description(description).build()
        });
        gauge.record(value, &attributes(self.labels, values));
    }
}

instrument!(Gauge, Gauge);

/// Shows how values are distributed, with `N` labels. The trace of the latest value in each of its parts is an exemplar on the
/// OpenMetrics page.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    about: About,
    labels: &'static [&'static str; N],
    bounds: &'static [f64],
    made: OnceLock<metrics::Histogram<f64>>,
    exemplars: Exemplars<N>,
}

impl<const N: usize> Histogram<N> {
    pub(crate) const fn new(about: About, labels: &'static [&'static str; N], bounds: &'static [f64]) -> Self {
        Self { about, labels, bounds, made: OnceLock::new(), exemplars: Exemplars::new() }
    }

    /// Adds `value`, with the values of its labels in their order, as part of the current trace.
    pub fn record(&self, value: f64, values: [&str; N]) {
        let histogram = self.made.get_or_init(|| {
            let About { name, unit, description } = self.about;
            let meter = global::meter(METER);
            let builder = meter.f64_histogram(name).with_unit(unit).with_description(description);
            builder.with_boundaries(self.bounds.to_vec()).build()
        });
        histogram.record(value, &attributes(self.labels, values));
        self.exemplars.note(value, self.bounds, values);
    }
}

instrument!(
    Histogram,
    Histogram,
    fn exemplar(&self, labels: &Labels, bound: f64) -> Option<Exemplar> {
        self.exemplars.of(self.labels, self.bounds, labels, bound)
    }
);

/// An empty value is no label.
fn attributes<const N: usize>(labels: &[&'static str; N], values: [&str; N]) -> Vec<KeyValue> {
    let given = labels.iter().zip(values).filter(|(_, value)| !value.is_empty());
    given.map(|(label, value)| KeyValue::new(*label, value.to_owned())).collect()
}
