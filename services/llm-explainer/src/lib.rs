//! The Voice: words for a verdict. Reads `verdict.reached`, publishes `explanation.written`.
//!
//! It explains and never decides: nothing waits for it, and nothing it says reaches the policy. An explanation always
//! results; a model that is absent, slow or wrong only changes who wrote it.

pub mod check;
pub mod config;
pub mod evidence;
pub mod llm;
pub mod prompt;
mod text;
pub mod voice;
pub mod words;
pub mod written;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod server;

use std::time::Duration;

use anyhow::anyhow;
use chassis::{ConsumerSpec, Failure, Handler, Outgoing, Process, State};
use domain::Reached;
use time::OffsetDateTime;

pub use config::Config;
pub use voice::Voice;

/// The service's name.
pub const SERVICE: &str = "llm-explainer";

/// Explains every verdict until the process is told to end.
///
/// # Errors
/// When a setting is wrong, or the bus refuses the consumer.
pub async fn run(process: Process, config: Config) -> anyhow::Result<()> {
    let wrong = |error: String| anyhow!("the settings are wrong: llm_explainer.{error}");
    config.check().map_err(wrong)?;
    let spec = ConsumerSpec {
        name: SERVICE,
        backoff: [30, 60, 120, 300].map(Duration::from_secs).to_vec(),
        deliveries_max: 5,
        in_flight_max: config.in_flight_max,
    };
    if let Some(model) = llm::LanguageModel::new(&config).map_err(|error| wrong(error.to_string()))? {
        tokio::spawn(model.introduce());
    }
    let voice = Voice::new(config).map_err(|error| wrong(error.to_string()))?;
    process.health.set(State::Serving);
    process.bus.serve(spec, voice, &process.shutdown).await
}

impl Handler for Voice {
    type In = Reached;

    async fn handle(&self, reached: Reached) -> Result<Vec<Outgoing>, Failure> {
        let explanation = self.explain(&reached, OffsetDateTime::now_utc()).await;
        Ok(vec![Outgoing::new(&explanation)])
    }
}
