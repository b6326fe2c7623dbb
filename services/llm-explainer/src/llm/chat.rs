//! One question of a chat and its streamed answer: what is the same whatever the server speaks.

use reqwest::StatusCode;
use serde::Serialize;

use super::http::Http;
use super::{Answer, Message, Unanswered, content};
use crate::config::Config;
use crate::prompt::Prompt;

/// What is asked, of which model.
#[derive(Clone, Copy)]
pub(super) struct Question<'a, S> {
    pub(super) config: &'a Config,
    pub(super) sampling: Sampling,
    pub(super) prompt: &'a Prompt,
    /// The form of the answer.
    pub(super) schema: &'a S,
}

impl<'a, S> Question<'a, S> {
    /// The two messages of the chat.
    pub(super) fn messages(&self) -> [Message<'a>; 2] {
        let Prompt { system, user } = self.prompt;
        [Message { role: "system", content: system }, Message { role: "user", content: user }]
    }
}

/// How freely a model chooses its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Sampling {
    /// 0 takes the likeliest word each time.
    pub(super) temperature: f32,
    /// What it throws its dice by: the same seed, the same words.
    pub(super) seed: u32,
}

/// What a server speaks.
pub(super) struct Dialect {
    /// What the server should be.
    pub(super) server: &'static str,
    /// Where it is asked.
    pub(super) path: &'static str,
    /// What a status other than 200 means, given what the server said; `None` when it is as good as any other.
    pub(super) refused: fn(config: &Config, status: StatusCode, said: &str) -> Option<Unanswered>,
    /// Takes in a line of the answer.
    pub(super) read: fn(http: &Http, line: &[u8], written: &mut Written) -> Result<More, Unanswered>,
    /// Complains when a prompt of which the server has counted so many tokens cannot have been read whole.
    pub(super) read_whole: fn(config: &Config, prompt: &Prompt, tokens: u64) -> Result<(), Unanswered>,
}

impl Dialect {
    pub(super) const fn garbage(&self, what: &'static str) -> Unanswered {
        Unanswered::Garbage { server: self.server, what }
    }
}

/// Whether an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Comes,
    Ended,
}

/// What has come of an answer.
#[derive(Default)]
pub(super) struct Written {
    content: String,
    /// Bytes.
    thoughts: usize,
    /// The name that the server gives the model, if it does.
    pub(super) model: String,
    /// Why it ended; `None` as long as it has not.
    pub(super) finish_reason: Option<String>,
    pub(super) prompt_tokens: Option<u64>,
    pub(super) answer_tokens: Option<u64>,
}

impl Written {
    /// More words, and more thoughts.
    pub(super) fn add(&mut self, words: &str, thoughts: &str) {
        if self.content.is_empty() && !words.is_empty() {
            tracing::debug!("the language model has begun to answer, after {} bytes of thoughts", self.thoughts);
        }
        self.content.push_str(words);
        self.thoughts += thoughts.len();
    }
}

/// Asks by `body`, which says `question` as that kind of server understands it, and hears the answer out.
pub(super) async fn ask<S: Sync>(
    dialect: &Dialect,
    http: &Http,
    question: &Question<'_, S>,
    body: &(impl Serialize + Sync),
) -> Result<Answer, Unanswered> {
    let response = http.post(dialect.path, body).await?;
    let status = response.status();
    if status != StatusCode::OK {
        let said = http.complaint(response).await?;
        let known = (dialect.refused)(question.config, status, said.as_deref().unwrap_or_default());
        let status = status.as_u16();
        return Err(known.unwrap_or_else(|| Unanswered::Status { status, said: http.said(said.as_deref()) }));
    }
    let mut lines = http.lines(response);
    let mut written = Written::default();
    while let Some(line) = lines.next().await? {
        if (dialect.read)(http, &line, &mut written)? == More::Ended {
            break;
        }
    }
    finished(dialect, question, written)
}

/// Judges a whole answer.
fn finished<S>(dialect: &Dialect, question: &Question<'_, S>, written: Written) -> Result<Answer, Unanswered> {
    let Some(reason) = written.finish_reason else { return Err(dialect.garbage("it stopped before it was done")) };
    tracing::debug!("the language model has answered in {} bytes", written.content.len());
    let config = question.config;
    if let Some(tokens) = written.prompt_tokens {
        (dialect.read_whole)(config, question.prompt, tokens)?;
    }
    if reason == "length" {
        return Err(Unanswered::CutOff { tokens_max: config.num_predict });
    }
    let content = content::unwrapped(&written.content);
    if content.is_empty() {
        let only_thought = written.thoughts > 0 || !written.content.trim().is_empty();
        return Err(dialect.garbage(if only_thought {
            "the model thought and said nothing"
        } else {
            "the reply is empty"
        }));
    }
    Ok(Answer {
        content: content.to_owned(),
        model: if written.model.is_empty() { config.model.clone() } else { written.model },
        digest: String::new(),
        prompt_tokens: written.prompt_tokens,
        answer_tokens: written.answer_tokens,
    })
}
