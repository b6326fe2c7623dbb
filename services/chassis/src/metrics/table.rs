//! The instruments as a table for people: `deploy/metrics.md`.

use super::{ALL, Instrument, Kind};

/// All instruments in Markdown, in the order in which they are listed.
#[must_use]
pub fn table() -> String {
    let mut text = "# Metrics\n\nWritten by `just metrics` from `services/chassis/src/metrics/list.rs`; [telemetry.md](telemetry.md) says how to \
                    read them.\n\n| by OTLP | for Prometheus | kind | unit | labels | what it tells |\n| --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for instrument in ALL {
        text.push_str(&row(*instrument));
    }
    text
}

fn row(instrument: &dyn Instrument) -> String {
    let about = instrument.about();
    let kind = match instrument.kind() {
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
        Kind::Gauge => "gauge",
    };
    let labels: Vec<String> = instrument.labels().iter().map(|label| format!("`{label}`")).collect();
    format!(
        "| `{}` | `{}` | {kind} | {} | {} | {} |\n",
        about.name,
        about.prometheus_name(instrument.kind()),
        about.unit,
        labels.join(", "),
        about.description
    )
}
