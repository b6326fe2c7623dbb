//! The Voice: words for a verdict. Reads `verdict.reached` and `explanation.requested`, publishes `explanation.written`.
//!
//! It explains and never decides: nothing waits for it, and nothing it says reaches the policy. An explanation always
//! results; a model that is absent, slow or wrong only changes who wrote it.

pub mod check;
pub mod config;
pub mod evidence;
pub mod llm;
pub mod prompt;
pub mod secrets;
pub mod template;
mod text;
pub mod voice;
pub mod words;
pub mod written;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod server;

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use chassis::metrics::list::BREAKER;
use chassis::{Bus, ConsumerSpec, Failure, Handler, Outgoing, Process, State};
use domain::{ExplanationRequest, Reached};
use time::OffsetDateTime;

pub use config::Config;
pub use secrets::SecretRules;
pub use template::Template;
pub use voice::Voice;

/// The service's name.
pub const SERVICE: &str = "llm-explainer";
/// The consumer of what people ask for.
const AGAIN: &str = "llm-explainer-again";

/// Explains every verdict, and again what somebody asks for, until the process is told to end. Nothing that `secrets` know is
/// sent to a model.
///
/// # Errors
/// When a setting is wrong, or the bus refuses a consumer.
pub async fn run(process: Process, config: Config, secrets: SecretRules) -> anyhow::Result<()> {
    let wrong = |error: String| anyhow!("the settings are wrong: llm_explainer.{error}");
    config.check().map_err(wrong)?;
    let spec = |name| ConsumerSpec {
        name,
        backoff: [30, 60, 120, 300].map(Duration::from_secs).to_vec(),
        deliveries_max: 5,
        in_flight_max: config.in_flight_max,
    };
    let (verdicts, requests) = (spec(SERVICE), spec(AGAIN));
    if let Some(model) = llm::LanguageModel::new(&config).map_err(|error| wrong(error.to_string()))? {
        tokio::spawn(model.introduce());
    }
    let voice = Arc::new(Voice::new(config, secrets).map_err(|error| wrong(error.to_string()))?);
    let again = ExplainingAgain { voice: Arc::clone(&voice), bus: process.bus.clone() };
    BREAKER.set(0.0, []);
    process.health.set(State::Serving);
    tokio::try_join!(
        process.bus.serve(verdicts, Explaining(voice), &process.shutdown),
        process.bus.serve(requests, again, &process.shutdown),
    )?;
    Ok(())
}

/// Explains each verdict.
struct Explaining(Arc<Voice>);

impl Handler for Explaining {
    type In = Reached;

    async fn handle(&self, reached: Reached) -> Result<Vec<Outgoing>, Failure> {
        let explanation = self.0.explain(&reached, OffsetDateTime::now_utc()).await;
        Ok(vec![Outgoing::new(&explanation)])
    }
}

/// Explains the latest verdict of a deployment once more.
struct ExplainingAgain {
    voice: Arc<Voice>,
    bus: Bus,
}

impl Handler for ExplainingAgain {
    type In = ExplanationRequest;

    async fn handle(&self, request: ExplanationRequest) -> Result<Vec<Outgoing>, Failure> {
        let reached = self.bus.last::<Reached>(request.deployment_id).await.map_err(Failure::Retry)?;
        let gone = || Failure::Reject(anyhow!("the stream holds no verdict on the deployment"));
        let reached = reached.ok_or_else(gone)?;
        let explanation = self.voice.explain_again(&reached, &request, OffsetDateTime::now_utc()).await;
        Ok(vec![Outgoing::new(&explanation)])
    }
}
