//! From a verdict to its explanation: asks the model when there is one and there is time, and writes from the evidence
//! when not.

mod cache;
mod newest;
mod question;
mod queue;
mod rest;

use std::time::Duration;

use domain::{Explanation, Origin, Reached, Verdict};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::evidence::{Evidence, Limits};
use crate::llm::LanguageModel;
use crate::prompt::{FRAME_CHARS_MAX, prompt};
use crate::text::sentence;
use crate::words::Stamp;
use crate::written;
use cache::{Cache, Key};
use newest::Newest;
use question::Held;
use queue::{Queue, Turn};
use rest::Rest;

/// How much longer than one question two of them may take together.
const GRACE: Duration = Duration::from_millis(500);

/// What writes explanations.
#[derive(Debug)]
pub struct Voice {
    model: Option<LanguageModel>,
    limits: Limits,
    cache: Cache,
    newest: Newest,
    queue: Queue,
    rest: Rest,
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
            model: LanguageModel::new(&config)?,
            limits: Limits { items_max: config.evidence_max, chars_max },
            cache: Cache::new(config.cache_max),
            newest: Newest::new(),
            queue: Queue::new(config.model_questions_max),
            rest: Rest::new(Duration::from_millis(config.retry_after_ms)),
            config,
        })
    }

    /// The explanation of `reached`, whatever becomes of the model. `now` is when the writing begins.
    pub async fn explain(&self, reached: &Reached, now: OffsetDateTime) -> Explanation {
        let began = Instant::now();
        self.newest.note(reached);
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
        // What is asked with the model's whole time ends by that time itself, so that its breaker sees how it ended.
        let time = match verdict {
            Verdict::Allow => Duration::from_millis(self.config.timeout_ms_allow),
            Verdict::Review | Verdict::Block => Duration::from_millis(self.config.timeout_ms) + GRACE,
        };
        let too_slow = || Err(format!("the language model did not answer within {} ms", time.as_millis()));
        let _turn = self.turn(reached, now).await?;
        // What was known before the wait may be otherwise now.
        if self.newest.is_superseded(reached) {
            return Err("a newer verdict had taken its place before its turn with the language model came".to_owned());
        }
        if let Some(held) = self.cache.get(key) {
            return Ok(held);
        }
        if self.rest.is_on(time) {
            return too_slow();
        }
        let Ok(asked) = timeout(time, question::ask(model, prompt, reached, evidence)).await else {
            self.rest.begin(time);
            return too_slow();
        };
        let held = asked?;
        self.cache.put(key, &held);
        Ok(held)
    }

    /// The turn of `reached` with the model, when it comes before the verdict is too old for one.
    async fn turn(&self, reached: &Reached, now: OffsetDateTime) -> Result<Turn<'_>, String> {
        let age = Duration::try_from(now - reached.reached_at).unwrap_or_default();
        let left = Duration::from_millis(self.config.wait_ms_max).checked_sub(age);
        let too_long = || "the verdict had waited too long for its turn with the language model".to_owned();
        let turn = self.queue.turn(reached.judgement.verdict);
        timeout(left.ok_or_else(too_long)?, turn).await.map_err(|_| too_long())
    }
}

#[cfg(test)]
mod tests;
