//! The language model, over Ollama's HTTP interface. One question, one answer, all within limits; whatever goes wrong is
//! told in one sentence for a person.
//!
//! Knows no deployments, and does not judge what the model says.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::prompt::Prompt;
use crate::text::one_line;

/// How long a digest that the server told is taken for true.
const DIGEST_FRESH: Duration = Duration::from_secs(60);
/// How long the server may take to tell it.
const DIGEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Most bytes of the list of models.
const TAGS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most characters of what a server says about an error.
const ERROR_CHARS_MAX: usize = 200;

/// Ollama, and what is known of its state.
#[derive(Debug)]
pub struct Ollama {
    client: Client,
    /// Ends with a slash.
    url: Url,
    config: Config,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Until when the server is left alone, and why.
    resting: Option<(Instant, Unanswered)>,
    /// The model's digest, and when the server told it.
    digest: Option<(Instant, String)>,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it wrote, as it came.
    pub content: String,
    /// The model's digest; empty when the server did not tell it.
    pub digest: String,
    /// Tokens of the prompt, when the server counted them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, when the server counted them.
    pub answer_tokens: Option<u64>,
}

/// Why there is no answer, in one sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The server could not be reached.
    #[error("the language model's server at {at} could not be reached")]
    Unreachable {
        /// Host and port.
        at: String,
    },
    /// It took too long.
    #[error("the language model did not answer within {ms} ms")]
    Slow {
        /// How long it had, in milliseconds.
        ms: u64,
    },
    /// The server has no such model.
    #[error("the language model {model} is not on the server; `ollama pull {model}` fetches it")]
    NoModel {
        /// Its name.
        model: String,
    },
    /// The server says that something is wrong.
    #[error("the language model's server answered with status {status}{said}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What it said, behind a colon; empty when it said nothing.
        said: String,
    },
    /// What came is not what Ollama sends.
    #[error("the language model's server did not answer as Ollama does: {what}")]
    Garbage {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The answer was longer than the limit.
    #[error("the language model's answer passed the limit of {bytes_max} bytes")]
    TooLong {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// The model ran out of tokens in the middle of its answer.
    #[error("the language model's answer was cut off after {tokens_max} tokens")]
    CutOff {
        /// The limit, in tokens.
        tokens_max: usize,
    },
    /// The connection broke.
    #[error("the connection to the language model's server broke")]
    Broken,
    /// It was not asked, because of what became of the last question.
    #[error("{0}, a moment ago")]
    Resting(Box<Unanswered>),
}

#[derive(Serialize)]
struct Question<'a, S> {
    model: &'a str,
    messages: [Message<'a>; 2],
    stream: bool,
    format: &'a S,
    options: Options,
    keep_alive: u64,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Options {
    temperature: u8,
    seed: u8,
    num_ctx: usize,
    num_predict: usize,
}

#[derive(Deserialize)]
struct Reply {
    message: ReplyMessage,
    done: bool,
    #[serde(default)]
    done_reason: String,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

#[derive(Deserialize)]
struct ReplyMessage {
    #[serde(default)]
    content: String,
}

#[derive(Deserialize)]
struct ServerError {
    error: String,
}

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: String,
}

impl Ollama {
    /// The server at the configured address; `None` when none is configured. Nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with the address, naming the setting.
    pub fn new(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(text) = config.url() else { return Ok(None) };
        let mut url: Url = text.parse().map_err(|e| anyhow::anyhow!("ollama_url is not an address ({e}): {text:?}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            anyhow::bail!("ollama_url must begin with http:// or https:// and name a host, not {text:?}");
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        // No proxy: what is asked tells about code that is not public, and the server is a local one.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
            .user_agent(concat!("failsafe/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Some(Self { client, url, config: config.clone(), state: Mutex::default() }))
    }

    /// The model that is asked.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.config.model
    }

    /// Asks the model for an answer of the form `schema`.
    ///
    /// # Errors
    /// Why there is none. After the server could not be reached or was too slow, the same is said at once for
    /// `retry_after_ms`, so that a crowd of verdicts does not wait one by one.
    pub async fn ask<S: Serialize + Sync>(&self, prompt: &Prompt, schema: &S) -> Result<Answer, Unanswered> {
        if let Some(why) = self.resting() {
            return Err(why);
        }
        let ms = self.config.timeout_ms;
        let asked = timeout(Duration::from_millis(ms), self.chat(prompt, schema)).await;
        let answered = asked.unwrap_or(Err(Unanswered::Slow { ms }));
        if let Err(why @ (Unanswered::Unreachable { .. } | Unanswered::Slow { .. })) = &answered {
            self.rest(why);
        }
        let reply = answered?;
        Ok(Answer {
            content: reply.message.content,
            digest: self.digest().await,
            prompt_tokens: reply.prompt_eval_count,
            answer_tokens: reply.eval_count,
        })
    }

    async fn chat<S: Serialize + Sync>(&self, prompt: &Prompt, schema: &S) -> Result<Reply, Unanswered> {
        let question = Question {
            model: &self.config.model,
            messages: [
                Message { role: "system", content: &prompt.system },
                Message { role: "user", content: &prompt.user },
            ],
            stream: false,
            format: schema,
            options: Options {
                temperature: 0,
                seed: 0,
                num_ctx: self.config.num_ctx,
                num_predict: self.config.num_predict,
            },
            keep_alive: self.config.keep_alive_s,
        };
        let request = self.client.post(self.at("api/chat")).json(&question);
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let body = self.body(response, self.config.answer_bytes_max).await?;
        if status != StatusCode::OK {
            return Err(self.refused(status, &body));
        }
        if let Ok(ServerError { error }) = serde_json::from_slice(&body) {
            return Err(Unanswered::Status { status: status.as_u16(), said: said(&error) });
        }
        let garbage = |what| Unanswered::Garbage { what };
        let reply: Reply = serde_json::from_slice(&body).map_err(|_| garbage("not a chat's reply"))?;
        match reply.done_reason.as_str() {
            "length" => Err(Unanswered::CutOff { tokens_max: self.config.num_predict }),
            "load" | "unload" => Err(garbage("it loaded the model and said nothing")),
            _ if !reply.done => Err(garbage("it stopped before it was done")),
            _ if reply.message.content.trim().is_empty() => Err(garbage("the reply is empty")),
            _ => Ok(reply),
        }
    }

    /// The digest of the model, asked for at most once a minute; empty when the server does not tell.
    async fn digest(&self) -> String {
        if let Some((told, digest)) = &self.state().digest
            && told.elapsed() < DIGEST_FRESH
        {
            return digest.clone();
        }
        let digest = timeout(DIGEST_TIMEOUT, self.tags()).await.ok().flatten().unwrap_or_default();
        self.state().digest = Some((Instant::now(), digest.clone()));
        digest
    }

    async fn tags(&self) -> Option<String> {
        let response = self.client.get(self.at("api/tags")).send().await.ok()?;
        let body = self.body(response, TAGS_BYTES_MAX).await.ok()?;
        let Tags { models } = serde_json::from_slice(&body).ok()?;
        let name = &self.config.model;
        let last = name.rsplit('/').next().unwrap_or(name);
        let full = if last.contains(':') { name.clone() } else { format!("{name}:latest") };
        let tag = models.into_iter().find(|tag| tag.name == full)?;
        Some(one_line(&tag.digest, ERROR_CHARS_MAX))
    }

    fn at(&self, path: &str) -> Url {
        self.url.join(path).expect("a fixed relative path joins every http address")
    }

    /// The body, as far as the limit allows.
    async fn body(&self, mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, Unanswered> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + chunk.len() > bytes_max {
                return Err(Unanswered::TooLong { bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: &reqwest::Error) -> Unanswered {
        if error.is_connect() {
            let host = self.url.host_str().unwrap_or_default();
            let port = self.url.port_or_known_default().unwrap_or_default();
            return Unanswered::Unreachable { at: format!("{host}:{port}") };
        }
        Unanswered::Broken
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Unanswered {
        let told = serde_json::from_slice(body).map(|ServerError { error }| error).ok();
        match told {
            Some(error) if status == StatusCode::NOT_FOUND && error.contains("not found") => {
                Unanswered::NoModel { model: self.config.model.clone() }
            }
            told => Unanswered::Status { status: status.as_u16(), said: said(&told.unwrap_or_default()) },
        }
    }

    fn resting(&self) -> Option<Unanswered> {
        let state = self.state();
        let (until, why) = state.resting.as_ref()?;
        (Instant::now() < *until).then(|| Unanswered::Resting(Box::new(why.clone())))
    }

    fn rest(&self, why: &Unanswered) {
        let until = Instant::now() + Duration::from_millis(self.config.retry_after_ms);
        self.state().resting = Some((until, why.clone()));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn said(error: &str) -> String {
    let error = one_line(error, ERROR_CHARS_MAX);
    if error.is_empty() { error } else { format!(": {error}") }
}

#[cfg(test)]
mod tests;
