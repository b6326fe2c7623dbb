//! From a verdict to its explanation: asks the model when there is one and there is time, and writes from the evidence
//! when not.

mod cache;
mod question;

use std::time::Duration;

use domain::{Explanation, Origin, Reached, Verdict};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::evidence::{Evidence, Limits};
use crate::llm::Ollama;
use crate::prompt::{FRAME_CHARS_MAX, prompt};
use crate::text::sentence;
use crate::words::Stamp;
use crate::written;
use cache::{Cache, Key};
use question::Held;

/// What writes explanations.
#[derive(Debug)]
pub struct Voice {
    model: Option<Ollama>,
    limits: Limits,
    cache: Cache,
    config: Config,
}

impl Voice {
    /// A voice with the model of `config`, which has been checked. Nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with the model's address, beginning with the setting's name.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let chars_max = config.prompt_chars_max.saturating_sub(FRAME_CHARS_MAX);
        Ok(Self {
            model: Ollama::new(&config)?,
            limits: Limits { items_max: config.evidence_max, chars_max },
            cache: Cache::new(config.cache_max),
            config,
        })
    }

    /// The explanation of `reached`, whatever becomes of the model. `now` is when the writing begins.
    pub async fn explain(&self, reached: &Reached, now: OffsetDateTime) -> Explanation {
        let began = Instant::now();
        let evidence = Evidence::of(reached, self.limits);
        let written = written::write(reached, &evidence);
        let (words, origin) = match self.asked(reached, &evidence, now).await {
            Ok(Held { words, origin }) => (words.completed_by(written), origin),
            Err(why) => {
                tracing::info!(deployment.id = %reached.deployment_id, "explaining from the evidence: {why}");
                (written, Origin::Evidence { because: sentence(&why) })
            }
        };
        let took = began.elapsed();
        let producer = env!("CARGO_PKG_VERSION").to_owned();
        words.explain(reached, Stamp { origin, producer, took, written_at: now + took })
    }

    /// The model's words as far as they hold, or why there are none, in one sentence.
    async fn asked(&self, reached: &Reached, evidence: &Evidence<'_>, now: OffsetDateTime) -> Result<Held, String> {
        let Some(model) = &self.model else { return Err("no language model is configured".to_owned()) };
        let verdict = reached.judgement.verdict;
        if verdict == Verdict::Allow && !self.config.ask_on_allow {
            return Err("the settings do not ask the language model about deployments that may go".to_owned());
        }
        let prompt = prompt(verdict, evidence);
        let key = Key::of(model.model(), &prompt);
        if let Some(held) = self.cache.get(key) {
            return Ok(held);
        }
        let wait_max = Duration::from_millis(self.config.wait_ms_max);
        if now - reached.reached_at > wait_max {
            return Err("the verdict had waited too long for its turn with the language model".to_owned());
        }
        let ms = match verdict {
            Verdict::Allow => self.config.timeout_ms_allow,
            Verdict::Review | Verdict::Block => self.config.timeout_ms,
        };
        let asked = timeout(Duration::from_millis(ms), question::ask(model, prompt, reached, evidence)).await;
        let held = asked.unwrap_or_else(|_| Err(format!("the language model did not answer within {ms} ms")))?;
        self.cache.put(key, &held);
        Ok(held)
    }
}

#[cfg(test)]
mod tests;
