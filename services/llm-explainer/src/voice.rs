//! From a verdict to its explanation: asks the model when there is one and there is time, and writes from the evidence
//! when not.

use std::time::Duration;

use domain::{Explanation, Origin, Reached};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::Instrument;

use crate::check::check;
use crate::config::Config;
use crate::evidence::{Evidence, Limits};
use crate::llm::{Answer, Ollama, Unanswered};
use crate::prompt::{FRAME_CHARS_MAX, prompt, schema};
use crate::text::{count, sentence};
use crate::words::{Stamp, Words};
use crate::written;

/// What writes explanations.
#[derive(Debug)]
pub struct Voice {
    model: Option<Ollama>,
    limits: Limits,
    wait_max: Duration,
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
            wait_max: Duration::from_millis(config.wait_ms_max),
        })
    }

    /// The explanation of `reached`, whatever becomes of the model. `now` is when the writing begins.
    pub async fn explain(&self, reached: &Reached, now: OffsetDateTime) -> Explanation {
        let began = Instant::now();
        let evidence = Evidence::of(reached, self.limits);
        let written = written::write(reached, &evidence);
        let (words, origin) = match self.asked(reached, &evidence, now).await {
            Ok((words, origin)) => (words.completed_by(written), origin),
            Err(because) => (written, Origin::Evidence { because }),
        };
        let took = began.elapsed();
        let producer = env!("CARGO_PKG_VERSION").to_owned();
        words.explain(reached, Stamp { origin, producer, took, written_at: now + took })
    }

    /// The model's words as far as they hold, or why there are none, in one sentence.
    async fn asked(
        &self,
        reached: &Reached,
        evidence: &Evidence<'_>,
        now: OffsetDateTime,
    ) -> Result<(Words, Origin), String> {
        let Some(model) = &self.model else { return Err("No language model is configured.".to_owned()) };
        if now - reached.reached_at > self.wait_max {
            return Err("The verdict had waited too long for its turn with the language model.".to_owned());
        }
        let answer = ask(model, reached, evidence).await.map_err(|why| told(reached, &why.to_string()))?;
        let checked = check(&answer.content, reached.judgement.verdict, evidence)
            .map_err(|rejected| told(reached, &rejected.to_string()))?;
        let origin = Origin::Model {
            name: model.model().to_owned(),
            digest: answer.digest,
            grounding: Some(checked.grounding()),
            claims_dropped: u32::try_from(checked.dropped.len()).unwrap_or(u32::MAX),
            prompt_tokens: answer.prompt_tokens,
            answer_tokens: answer.answer_tokens,
        };
        let mut words = checked.words;
        if !checked.dropped.is_empty() {
            for dropped in &checked.dropped {
                tracing::debug!(deployment.id = %reached.deployment_id, "dropped from {}: {}", dropped.part, dropped.fault);
            }
            let claims = count(checked.dropped.len() as u64, "claim", "claims");
            words.uncertain.push(format!(
                "{claims} of the language model did not hold up and {} left out.",
                if checked.dropped.len() == 1 { "was" } else { "were" }
            ));
        }
        Ok((words, origin))
    }
}

async fn ask(model: &Ollama, reached: &Reached, evidence: &Evidence<'_>) -> Result<Answer, Unanswered> {
    let span = tracing::info_span!(
        "chat",
        otel.name = format!("chat {}", model.model()),
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = model.model(),
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
    );
    let prompt = prompt(reached.judgement.verdict, evidence);
    let answered = model.ask(&prompt, &schema(evidence)).instrument(span.clone()).await;
    if let Ok(answer) = &answered {
        span.record("gen_ai.usage.input_tokens", answer.prompt_tokens);
        span.record("gen_ai.usage.output_tokens", answer.answer_tokens);
    }
    answered
}

/// Logs why no model wrote this explanation, and makes a sentence of it.
fn told(reached: &Reached, why: &str) -> String {
    tracing::info!(deployment.id = %reached.deployment_id, "explaining from the evidence: {why}");
    sentence(why)
}

#[cfg(test)]
mod tests;
