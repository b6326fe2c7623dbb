//! Ollama's own interface: `/api/chat`, `/api/tags`, `/api/version`.

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::{Http, complaint_in, told};
use super::{Answer, Message, Unanswered, content, messages};
use crate::config::Config;
use crate::prompt::Prompt;

#[derive(Serialize)]
struct Question<'a, S> {
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
    temperature: u8,
    seed: u8,
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

fn garbage(what: &'static str) -> Unanswered {
    Unanswered::Garbage { server: "Ollama", what }
}

/// Asks the model. Whoever cannot think must not be told not to, in some versions: then the question goes again, once,
/// without a word of it.
pub(super) async fn chat<S: Serialize + Sync>(
    http: &Http,
    config: &Config,
    prompt: &Prompt,
    schema: &S,
) -> Result<Answer, Unanswered> {
    match ask(http, config, prompt, schema, Some(config.think)).await {
        Err(Unanswered::Status { status: 400, said }) if said.contains("think") => {
            tracing::debug!("the model does not know how to think{said}");
            ask(http, config, prompt, schema, None).await
        }
        answered => answered,
    }
}

async fn ask<S: Serialize + Sync>(
    http: &Http,
    config: &Config,
    prompt: &Prompt,
    schema: &S,
    think: Option<bool>,
) -> Result<Answer, Unanswered> {
    let question = Question {
        model: &config.model,
        messages: messages(prompt),
        stream: true,
        format: schema,
        think,
        truncate: false,
        shift: false,
        options: Options { temperature: 0, seed: 0, num_ctx: config.num_ctx, num_predict: config.num_predict },
        keep_alive: config.keep_alive_s,
    };
    let response = http.post("api/chat", &question).await?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(match http.complaint(response).await? {
            Some(said) if status == StatusCode::NOT_FOUND && said.contains("not found") => {
                Unanswered::NoModel { model: config.model.clone() }
            }
            said => Unanswered::Status { status: status.as_u16(), said: http.said(said.as_deref()) },
        });
    }
    let mut lines = http.lines(response);
    let (mut written, mut thoughts) = (String::new(), 0);
    while let Some(line) = lines.next().await? {
        let part: Part = serde_json::from_slice(&line).map_err(|_| garbage("not a chat's reply"))?;
        if let Some(error) = part.error {
            let said = complaint_in(&serde_json::json!({ "error": error }));
            return Err(Unanswered::BrokeOff { said: http.said(said.as_deref()) });
        }
        let Some(message) = &part.message else { return Err(garbage("not a chat's reply")) };
        if written.is_empty() && !message.content.is_empty() {
            tracing::debug!("the language model has begun to answer, after {thoughts} bytes of thoughts");
        }
        written.push_str(&message.content);
        thoughts += message.thinking.len();
        if part.done {
            tracing::debug!("the language model has answered in {} bytes", written.len());
            return finished(config, prompt, &written, thoughts, &part);
        }
    }
    Err(garbage("it stopped before it was done"))
}

/// Judges a whole answer of which `part` was the last line.
fn finished(
    config: &Config,
    prompt: &Prompt,
    written: &str,
    thoughts: usize,
    part: &Part,
) -> Result<Answer, Unanswered> {
    // The settings' check has made sure that every whole prompt is shorter.
    let context = config.num_ctx.saturating_sub(config.num_predict) as u64;
    content::read_whole(prompt, part.prompt_eval_count, context)?;
    match part.done_reason.as_str() {
        "length" => return Err(Unanswered::CutOff { tokens_max: config.num_predict }),
        "load" | "unload" => return Err(garbage("it loaded the model and said nothing")),
        _ => {}
    }
    let content = content::unwrapped(written);
    if content.is_empty() {
        let only_thought = thoughts > 0 || !written.trim().is_empty();
        return Err(garbage(if only_thought { "the model thought and said nothing" } else { "the reply is empty" }));
    }
    Ok(Answer {
        content: content.to_owned(),
        model: config.model.clone(),
        digest: String::new(),
        prompt_tokens: part.prompt_eval_count,
        answer_tokens: part.eval_count,
    })
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
