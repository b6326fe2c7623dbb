//! From a verdict to its explanation: asks the model when there is one and there is time, and writes from the evidence
//! when not.

mod cache;
mod newest;
mod question;
mod queue;
mod rest;
mod without;

use std::time::Duration;

use anyhow::anyhow;
use chassis::metrics::list::EXPLANATIONS;
use domain::{Explanation, ExplanationRequest, ModelName, Origin, Reached, Verdict};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::evidence::{Evidence, Limits};
use crate::llm::LanguageModel;
use crate::prompt::{FRAME_CHARS_MAX, Prompt, prompt};
use crate::secrets::SecretRules;
use crate::template::Template;
use crate::text::sentence;
use crate::words::Stamp;
use crate::written;
use cache::{Cache, Key};
use newest::Newest;
use question::Held;
use queue::{Queue, Turn};
use rest::Rest;
use without::Without;

/// How much longer than one question two of them may take together.
const GRACE: Duration = Duration::from_millis(500);

/// What writes explanations.
#[derive(Debug)]
pub struct Voice {
    model: Option<LanguageModel>,
    secrets: SecretRules,
    template: Template,
    limits: Limits,
    cache: Cache,
    newest: Newest,
    queue: Queue,
    rest: Rest,
    config: Config,
}

impl Voice {
    /// A voice with the model of `config`, which has been checked. Nothing is sent yet, and never anything in which
    /// `secrets` see one.
    ///
    /// # Errors
    /// What is wrong with the model's address or the template, beginning with the setting's name.
    pub fn new(config: Config, secrets: SecretRules) -> anyhow::Result<Self> {
        let chars_max = config.prompt_chars_max.saturating_sub(FRAME_CHARS_MAX);
        let template = match &config.template {
            None => Template::english(),
            Some(path) => Template::load(path).map_err(|error| anyhow!("template: {error}"))?,
        };
        Ok(Self {
            model: LanguageModel::new(&config)?,
            secrets,
            template,
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
        self.write(reached, None, now).await
    }

    /// Another explanation of `reached`, because somebody asked for it; for the rest as [`Voice::explain`].
    pub async fn explain_again(
        &self,
        reached: &Reached,
        request: &ExplanationRequest,
        now: OffsetDateTime,
    ) -> Explanation {
        self.write(reached, Some(request), now).await
    }

    async fn write(&self, reached: &Reached, request: Option<&ExplanationRequest>, now: OffsetDateTime) -> Explanation {
        let began = Instant::now();
        self.newest.note(reached);
        let evidence = Evidence::of(reached, self.limits);
        let written = written::write(reached, &evidence, &self.template.sentences);
        let asked = match request {
            None => self.asked(reached, &evidence, now).await,
            Some(request) => self.asked_again(request, reached, &evidence, now).await,
        };
        let (words, origin) = match asked {
            Ok(Held { words, origin }) => {
                EXPLANATIONS.add(1, ["model", ""]);
                tracing::info!(deployment.id = %reached.deployment_id, "explained by the language model");
                (words.completed_by(written), origin)
            }
            Err(Without { kind, why }) => {
                EXPLANATIONS.add(1, ["evidence", kind]);
                tracing::info!(deployment.id = %reached.deployment_id, "explained from the evidence: {why}");
                (written, Origin::Evidence { because: sentence(&why) })
            }
        };
        let took = began.elapsed();
        let producer = env!("CARGO_PKG_VERSION").to_owned();
        let request = request.map(ExplanationRequest::event_id);
        words.explain(reached, Stamp { request, origin, producer, took, written_at: now + took })
    }

    /// The model's words as far as they hold, or why there are none, in one sentence.
    async fn asked(&self, reached: &Reached, evidence: &Evidence<'_>, now: OffsetDateTime) -> Result<Held, Without> {
        let model = self.model()?;
        let verdict = reached.judgement.verdict;
        if verdict == Verdict::Allow && !self.config.ask_on_allow {
            let why = "the settings do not ask the language model about deployments that may go";
            return Err(Without::new("not_asked", why));
        }
        // Making a prompt, and looking for secrets in it, is most of the work then.
        if self.cache.is_empty()
            && let Some(resting) = model.rests()
        {
            return Err(resting.into());
        }
        let prompt = self.prompt(verdict, evidence)?;
        let key = Key::of(model.model(), &prompt);
        if let Some(held) = self.cache.get(key) {
            return Ok(held);
        }
        // What is asked with the model's whole time ends by that time itself, so that its breaker sees how it ended.
        let time = match verdict {
            Verdict::Allow => Duration::from_millis(self.config.timeout_ms_allow),
            Verdict::Review | Verdict::Block => self.whole_time(),
        };
        let _turn = self.turn(verdict, reached.reached_at, now).await?;
        // What was known before the wait may be otherwise now.
        if self.newest.is_superseded(reached) {
            let why = "a newer verdict had taken its place before its turn with the language model came";
            return Err(Without::new("superseded", why));
        }
        if let Some(held) = self.cache.get(key) {
            return Ok(held);
        }
        if self.rest.is_on(time) {
            return Err(too_slow(time));
        }
        let Ok(asked) = timeout(time, Box::pin(question::ask(model, prompt, reached, evidence, &self.template))).await
        else {
            self.rest.begin(time);
            return Err(too_slow(time));
        };
        let held = asked?;
        self.cache.put(key, &held);
        Ok(held)
    }

    /// The same for somebody who asked: with other words than before, so that nothing remembered will do.
    async fn asked_again(
        &self,
        request: &ExplanationRequest,
        reached: &Reached,
        evidence: &Evidence<'_>,
        now: OffsetDateTime,
    ) -> Result<Held, Without> {
        // The same request throws the same dice, however often it is delivered.
        let dice = request.event_id().uuid().as_u128() as u32 >> 1;
        let model = self.model()?.anew(request.model.as_ref().map(ModelName::as_str), dice);
        let prompt = self.prompt(reached.judgement.verdict, evidence)?;
        let _turn = self.turn(reached.judgement.verdict, request.requested_at, now).await?;
        let time = self.whole_time();
        let asked = timeout(time, Box::pin(question::ask(&model, prompt, reached, evidence, &self.template))).await;
        asked.unwrap_or_else(|_| Err(too_slow(time)))
    }

    fn model(&self) -> Result<&LanguageModel, Without> {
        self.model.as_ref().ok_or_else(|| Without::new("not_configured", "no language model is configured"))
    }

    fn prompt(&self, verdict: Verdict, evidence: &Evidence<'_>) -> Result<Prompt, Without> {
        prompt(verdict, evidence, &self.template, &self.secrets).map_err(|secret| {
            tracing::warn!(rule = secret.rule, "a prompt is not sent: the rule {} sees a secret in it", secret.rule);
            Without::new("secret", secret.to_string())
        })
    }

    fn whole_time(&self) -> Duration {
        Duration::from_millis(self.config.timeout_ms) + GRACE
    }

    /// The turn with the model of somebody who waits `since` then, when it comes before the wait is too long.
    async fn turn(&self, verdict: Verdict, since: OffsetDateTime, now: OffsetDateTime) -> Result<Turn<'_>, Without> {
        let age = Duration::try_from(now - since).unwrap_or_default();
        let left = Duration::from_millis(self.config.wait_ms_max).checked_sub(age);
        let too_long =
            || Without::new("waited", "the verdict had waited too long for its turn with the language model");
        let turn = self.queue.turn(verdict);
        timeout(left.ok_or_else(too_long)?, turn).await.map_err(|_| too_long())
    }
}

fn too_slow(time: Duration) -> Without {
    Without::new("timeout", format!("the language model did not answer within {} ms", time.as_millis()))
}

#[cfg(test)]
mod tests;
