//! The interface of vLLM, llama.cpp's server, LM Studio and others: OpenAI's `/v1/chat/completions`, whose answer comes as
//! server-sent events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chat::{self, Dialect, More, Question, Sampling, Written};
use super::http::{Http, complaint_in, told};
use super::{Answer, Message, Unanswered, content};
use crate::config::Config;
use crate::prompt::Prompt;

const OPENAI: Dialect = Dialect {
    server: "an OpenAI-compatible server",
    path: "v1/chat/completions",
    refused: |_, _, _| None,
    read,
    read_whole,
};

#[derive(Serialize)]
struct Body<'a, S> {
    model: &'a str,
    messages: [Message<'a>; 2],
    #[serde(flatten)]
    sampling: Sampling,
    max_tokens: usize,
    stream: bool,
    /// Without it the tokens are not counted.
    stream_options: StreamOptions,
    response_format: Format<'a, S>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Format<'a, S> {
    r#type: &'static str,
    json_schema: NamedSchema<'a, S>,
}

#[derive(Serialize)]
struct NamedSchema<'a, S> {
    name: &'static str,
    strict: bool,
    schema: &'a S,
}

/// One event of an answer.
#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    model: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    /// vLLM, llama.cpp and LM Studio say it so, or `reasoning`.
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// Asks the model.
pub(super) async fn chat<S: Serialize + Sync>(http: &Http, question: &Question<'_, S>) -> Result<Answer, Unanswered> {
    let body = Body {
        model: &question.config.model,
        messages: question.messages(),
        sampling: question.sampling,
        max_tokens: question.config.num_predict,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        response_format: Format {
            r#type: "json_schema",
            json_schema: NamedSchema { name: "explanation", strict: true, schema: question.schema },
        },
    };
    chat::ask(&OPENAI, http, question, &body).await
}

fn read(http: &Http, line: &[u8], written: &mut Written) -> Result<More, Unanswered> {
    // Comments, which keep the connection alive, and the events' names are of no interest.
    let data = line.strip_prefix(b"data:").or_else(|| line.strip_prefix(b"error:")).map(<[u8]>::trim_ascii);
    match data {
        Some(b"[DONE]") => Ok(More::Ended),
        Some(data) => take_in(http, data, written).map(|()| More::Comes),
        None if line.starts_with(b"{") || line.starts_with(b"<") => Err(OPENAI.garbage("not a stream of events")),
        None => Ok(More::Comes),
    }
}

fn take_in(http: &Http, data: &[u8], written: &mut Written) -> Result<(), Unanswered> {
    let Ok(part) = serde_json::from_slice::<Part>(data) else {
        let said = serde_json::from_slice::<Value>(data).ok().and_then(|data| complaint_in(&data));
        let Some(said) = said else { return Err(OPENAI.garbage("not a chat's reply")) };
        return Err(Unanswered::BrokeOff { said: http.said(Some(&said)) });
    };
    if let Some(usage) = part.usage {
        written.prompt_tokens = usage.prompt_tokens.or(written.prompt_tokens);
        written.answer_tokens = usage.completion_tokens.or(written.answer_tokens);
    }
    if written.model.is_empty() {
        written.model = told(&part.model);
    }
    if let Some(Choice { delta, finish_reason }) = part.choices.into_iter().next() {
        written.add(&delta.content.unwrap_or_default(), &delta.reasoning_content.unwrap_or_default());
        written.finish_reason = finish_reason.or(written.finish_reason.take());
    }
    Ok(())
}

fn read_whole(_: &Config, prompt: &Prompt, tokens: u64) -> Result<(), Unanswered> {
    // How long the context is was decided when the server was started. These servers count the whole prompt, remembered
    // or not, so that a count smaller than any tokenizer would make of it tells that it was cut.
    content::read_whole(prompt, tokens, u64::MAX)?;
    if tokens > 0 && tokens * content::CHARS_PER_TOKEN_MAX < content::chars(prompt) {
        return Err(Unanswered::PromptCut { tokens });
    }
    Ok(())
}

/// The names of the server's models.
pub(super) async fn models(http: &Http) -> Result<Vec<String>, Unanswered> {
    let Models { data } = http.get("v1/models").await?;
    Ok(data.into_iter().map(|model| told(&model.id)).collect())
}
