//! Ollama's own interface: `/api/chat`, `/api/tags`, `/api/version`.

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chat::{self, Dialect, More, Question, Sampling, Written};
use super::http::{Http, complaint_in, told};
use super::{Answer, Message, Unanswered, content};
use crate::config::Config;
use crate::prompt::Prompt;

const OLLAMA: Dialect = Dialect { server: "Ollama", path: "api/chat", refused, read, read_whole };

#[derive(Serialize)]
struct Body<'a, S> {
    model: &'a str,
    messages: [Message<'a>; 2],
    stream: bool,
    format: &'a S,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<bool>,
    /// False: newer versions then refuse a prompt that is too long, where they would cut it silently.
    truncate: bool,
    /// False: newer versions then end an answer that fills the context, where they would forget the prompt's beginning.
    shift: bool,
    options: Options,
    keep_alive: u64,
}

#[derive(Serialize)]
struct Options {
    #[serde(flatten)]
    sampling: Sampling,
    num_ctx: usize,
    num_predict: usize,
}

/// One line of an answer.
#[derive(Deserialize)]
struct Part {
    message: Option<PartMessage>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: String,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct PartMessage {
    #[serde(default)]
    content: String,
    #[serde(default)]
    thinking: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
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

/// Asks the model. Whoever cannot think must not be told not to, in some versions: then the question goes again, once,
/// without a word of it.
pub(super) async fn chat<S: Serialize + Sync>(http: &Http, question: &Question<'_, S>) -> Result<Answer, Unanswered> {
    match ask(http, question, Some(question.config.think)).await {
        Err(Unanswered::Status { status: 400, said }) if said.contains("think") => {
            tracing::debug!("the model does not know how to think{said}");
            ask(http, question, None).await
        }
        answered => answered,
    }
}

async fn ask<S: Serialize + Sync>(
    http: &Http,
    question: &Question<'_, S>,
    think: Option<bool>,
) -> Result<Answer, Unanswered> {
    let config = question.config;
    let body = Body {
        model: &config.model,
        messages: question.messages(),
        stream: true,
        format: question.schema,
        think,
        truncate: false,
        shift: false,
        options: Options { sampling: question.sampling, num_ctx: config.num_ctx, num_predict: config.num_predict },
        keep_alive: config.keep_alive_s,
    };
    chat::ask(&OLLAMA, http, question, &body).await
}

fn refused(config: &Config, status: StatusCode, said: &str) -> Option<Unanswered> {
    let no_model = status == StatusCode::NOT_FOUND && said.contains("not found");
    no_model.then(|| Unanswered::NoModel { model: config.model.clone() })
}

fn read(http: &Http, line: &[u8], written: &mut Written) -> Result<More, Unanswered> {
    let part: Part = serde_json::from_slice(line).map_err(|_| OLLAMA.garbage("not a chat's reply"))?;
    if let Some(error) = part.error {
        let said = complaint_in(&serde_json::json!({ "error": error }));
        return Err(Unanswered::BrokeOff { said: http.said(said.as_deref()) });
    }
    let Some(message) = &part.message else { return Err(OLLAMA.garbage("not a chat's reply")) };
    written.add(&message.content, &message.thinking);
    if !part.done {
        return Ok(More::Comes);
    }
    if matches!(part.done_reason.as_str(), "load" | "unload") {
        return Err(OLLAMA.garbage("it loaded the model and said nothing"));
    }
    (written.prompt_tokens, written.answer_tokens) = (part.prompt_eval_count, part.eval_count);
    written.finish_reason = Some(part.done_reason);
    Ok(More::Ended)
}

fn read_whole(config: &Config, prompt: &Prompt, tokens: u64) -> Result<(), Unanswered> {
    // The settings' check has made sure that every whole prompt is shorter.
    content::read_whole(prompt, tokens, config.num_ctx.saturating_sub(config.num_predict) as u64)
}

/// The server's version.
pub(super) async fn version(http: &Http) -> Result<String, Unanswered> {
    http.get("api/version").await.map(|Version { version }| told(&version))
}

/// The digest of the configured model.
pub(super) async fn digest(http: &Http, config: &Config) -> Result<String, Unanswered> {
    let Tags { models } = http.get("api/tags").await?;
    let name = &config.model;
    let last = name.rsplit('/').next().unwrap_or(name);
    let full = if last.contains(':') { name.clone() } else { format!("{name}:latest") };
    let tag = models.into_iter().find(|tag| tag.name == full);
    tag.map(|tag| told(&tag.digest)).ok_or_else(|| Unanswered::NoModel { model: name.clone() })
}
