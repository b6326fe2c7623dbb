//! The language model, over HTTP. One question, one answer, all within limits; whatever goes wrong is told in one sentence
//! for a person.
//!
//! Knows no deployments, and does not judge what the model says.

mod breaker;
mod chat;
mod content;
mod http;
mod introduction;
mod measured;
mod ollama;
mod openai;
mod unanswered;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::metrics::list::BREAKER;
use serde::Serialize;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::config::{Api, Config};
use crate::prompt::Prompt;
use breaker::{Breaker, Turn};
use chat::{Question, Sampling};
use http::Http;
use measured::Measured;
pub use unanswered::Unanswered;

/// How long a digest that the server told is taken for true.
const DIGEST_FRESH: Duration = Duration::from_secs(60);
/// How long the server may take to tell it.
const DIGEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How freely a model chooses its words when it is asked once more: a little, or it would say the same again.
const TEMPERATURE_ANEW: f32 = 0.5;

/// A model on a server, and what is known of that server's state.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    http: Http,
    config: Config,
    sampling: Sampling,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    /// The model's digest, and when the server told it.
    digest: Option<(Instant, String)>,
}

impl State {
    /// Nothing is known yet.
    fn of(config: &Config) -> Arc<Mutex<Self>> {
        let first = Duration::from_millis(config.retry_after_ms);
        let breaker = Breaker::new(first, Duration::from_millis(config.timeout_ms));
        Arc::new(Mutex::new(Self { breaker, digest: None }))
    }
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it wrote, without thoughts before it and a fence around it.
    pub content: String,
    /// The model's name; an OpenAI-compatible server says it, whatever was asked for.
    pub model: String,
    /// The model's digest; empty when the server did not tell it.
    pub digest: String,
    /// Tokens of the prompt, when the server counted them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, when the server counted them.
    pub answer_tokens: Option<u64>,
}

/// One message of a chat.
#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl LanguageModel {
    /// The server at the configured address; `None` when none is configured. Nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with the address, naming the setting.
    pub fn new(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(url) = config.url() else { return Ok(None) };
        Ok(Some(Self {
            http: Http::new(url, config)?,
            config: config.clone(),
            sampling: Sampling::default(),
            state: State::of(config),
        }))
    }

    /// The same server, asked for other words than it gave the last time: by that model, if one is named, and with these
    /// dice. It is asked even while it is left alone, and what becomes of it tells nothing of the configured model.
    #[must_use]
    pub fn anew(&self, model: Option<&str>, seed: u32) -> Self {
        let model = model.map_or_else(|| self.config.model.clone(), str::to_owned);
        let sampling = Sampling { temperature: TEMPERATURE_ANEW, seed };
        let config = Config { model, ..self.config.clone() };
        Self { http: self.http.clone(), state: State::of(&config), config, sampling }
    }

    /// The model that is asked.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.config.model
    }

    /// Why it would be of no use to ask now: the server was away, too slow or full a moment ago.
    pub(crate) fn rests(&self) -> Option<Unanswered> {
        self.state().breaker.rests(Instant::now())
    }

    /// Asks the model for an answer of the form `schema`.
    ///
    /// # Errors
    /// Why there is none. After the server was away, too slow or full, the same is said at once for `retry_after_ms`, so
    /// that a crowd of verdicts does not wait one by one; then one question goes ahead, and while such fail the time
    /// doubles, up to ten minutes.
    pub async fn ask<S: Serialize + Sync>(&self, prompt: &Prompt, schema: &S) -> Result<Answer, Unanswered> {
        let turn = self.state().breaker.admit(Instant::now())?;
        let ms = self.config.timeout_ms;
        let measured = Measured::begin(&self.config, &self.http, self.sampling);
        let chat = self.chat(prompt, schema).instrument(measured.span.clone());
        let asked = timeout(Duration::from_millis(ms), chat).await;
        let answered = asked.unwrap_or(Err(Unanswered::Slow { ms }));
        measured.end(answered.as_ref());
        self.learn(turn, answered.as_ref().err());
        let mut answer = answered?;
        if self.config.api == Api::Ollama {
            answer.digest = self.digest().await;
        }
        Ok(answer)
    }

    async fn chat<S: Serialize + Sync>(&self, prompt: &Prompt, schema: &S) -> Result<Answer, Unanswered> {
        let question = Question { config: &self.config, sampling: self.sampling, prompt, schema };
        match self.config.api {
            Api::Ollama => ollama::chat(&self.http, &question).await,
            Api::Openai => openai::chat(&self.http, &question).await,
        }
    }

    /// Tells the breaker what has become of a question.
    fn learn(&self, turn: Turn, unanswered: Option<&Unanswered>) {
        match unanswered.filter(|why| why.tires()) {
            Some(why) => {
                if let Some(rest) = self.state().breaker.failed(turn, Instant::now(), why) {
                    BREAKER.set(1.0, []);
                    tracing::warn!("{why}; it is not asked for {} s", rest.as_secs_f32());
                }
            }
            None => {
                if self.state().breaker.answered() {
                    BREAKER.set(0.0, []);
                    tracing::info!("the language model's server answers again");
                }
            }
        }
    }

    /// The digest of the model, asked for at most once a minute; empty when the server does not tell.
    async fn digest(&self) -> String {
        if let Some((told, digest)) = &self.state().digest
            && told.elapsed() < DIGEST_FRESH
        {
            return digest.clone();
        }
        let told = timeout(DIGEST_TIMEOUT, ollama::digest(&self.http, &self.config)).await;
        let digest = told.ok().and_then(Result::ok).unwrap_or_default();
        self.state().digest = Some((Instant::now(), digest.clone()));
        digest
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
