//! The interface of vLLM, llama.cpp's server, LM Studio and others: OpenAI's `/v1/chat/completions`, whose answer comes as
//! server-sent events.

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
    temperature: u8,
    seed: u8,
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

/// What has come of an answer.
#[derive(Default)]
struct Written {
    content: String,
    thoughts: usize,
    model: String,
    finish_reason: Option<String>,
    prompt_tokens: Option<u64>,
    answer_tokens: Option<u64>,
}

fn garbage(what: &'static str) -> Unanswered {
    Unanswered::Garbage { server: "an OpenAI-compatible server", what }
}

/// Asks the model.
pub(super) async fn chat<S: Serialize + Sync>(
    http: &Http,
    config: &Config,
    prompt: &Prompt,
    schema: &S,
) -> Result<Answer, Unanswered> {
    let question = Question {
        model: &config.model,
        messages: messages(prompt),
        temperature: 0,
        seed: 0,
        max_tokens: config.num_predict,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        response_format: Format {
            r#type: "json_schema",
            json_schema: NamedSchema { name: "explanation", strict: true, schema },
        },
    };
    let response = http.post("v1/chat/completions", &question).await?;
    let status = response.status();
    if status != StatusCode::OK {
        let said = http.complaint(response).await?;
        return Err(Unanswered::Status { status: status.as_u16(), said: http.said(said.as_deref()) });
    }
    let mut lines = http.lines(response);
    let mut written = Written::default();
    while let Some(line) = lines.next().await? {
        // Comments, which keep the connection alive, and the events' names are of no interest.
        let data = line.strip_prefix(b"data:").or_else(|| line.strip_prefix(b"error:")).map(<[u8]>::trim_ascii);
        match data {
            Some(b"[DONE]") => break,
            Some(data) => written.add(http, data)?,
            None if line.starts_with(b"{") || line.starts_with(b"<") => return Err(garbage("not a stream of events")),
            None => {}
        }
    }
    finished(config, prompt, written)
}

impl Written {
    fn add(&mut self, http: &Http, data: &[u8]) -> Result<(), Unanswered> {
        let Ok(part) = serde_json::from_slice::<Part>(data) else {
            let said = serde_json::from_slice::<Value>(data).ok().and_then(|data| complaint_in(&data));
            let Some(said) = said else { return Err(garbage("not a chat's reply")) };
            return Err(Unanswered::BrokeOff { said: http.said(Some(&said)) });
        };
        if let Some(usage) = part.usage {
            self.prompt_tokens = usage.prompt_tokens.or(self.prompt_tokens);
            self.answer_tokens = usage.completion_tokens.or(self.answer_tokens);
        }
        if self.model.is_empty() {
            self.model = told(&part.model);
        }
        if let Some(choice) = part.choices.into_iter().next() {
            let text = choice.delta.content.unwrap_or_default();
            if self.content.is_empty() && !text.is_empty() {
                tracing::debug!("the language model has begun to answer, after {} bytes of thoughts", self.thoughts);
            }
            self.content.push_str(&text);
            self.thoughts += choice.delta.reasoning_content.map_or(0, |thought| thought.len());
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
        Ok(())
    }
}

/// Judges a whole answer.
fn finished(config: &Config, prompt: &Prompt, written: Written) -> Result<Answer, Unanswered> {
    let Some(reason) = written.finish_reason else { return Err(garbage("it stopped before it was done")) };
    tracing::debug!("the language model has answered in {} bytes", written.content.len());
    // How long the context is was decided when the server was started. These servers count the whole prompt, remembered
    // or not, so that a count smaller than any tokenizer would make of it tells that it was cut.
    content::read_whole(prompt, written.prompt_tokens, u64::MAX)?;
    if let Some(tokens) = written.prompt_tokens
        && tokens > 0
        && tokens * content::CHARS_PER_TOKEN_MAX < content::chars(prompt)
    {
        return Err(Unanswered::PromptCut { tokens });
    }
    if reason == "length" {
        return Err(Unanswered::CutOff { tokens_max: config.num_predict });
    }
    let content = content::unwrapped(&written.content);
    if content.is_empty() {
        let only_thought = written.thoughts > 0 || !written.content.trim().is_empty();
        return Err(garbage(if only_thought { "the model thought and said nothing" } else { "the reply is empty" }));
    }
    Ok(Answer {
        content: content.to_owned(),
        model: if written.model.is_empty() { config.model.clone() } else { written.model },
        digest: String::new(),
        prompt_tokens: written.prompt_tokens,
        answer_tokens: written.answer_tokens,
    })
}

/// The names of the server's models.
pub(super) async fn models(http: &Http) -> Result<Vec<String>, Unanswered> {
    let Models { data } = http.get("v1/models").await?;
    Ok(data.into_iter().map(|model| told(&model.id)).collect())
}
