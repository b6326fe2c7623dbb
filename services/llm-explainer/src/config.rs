//! The settings of the Voice: table `[llm_explainer]`.
//!
//! Knows nothing of where they come from.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::prompt::FRAME_CHARS_MAX;

/// Settings of llm-explainer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the model's server listens, such as `http://127.0.0.1:11434`, Ollama's usual address. Empty: no model is asked,
    /// and every explanation is written from the evidence.
    pub model_url: Option<String>,
    /// What that server speaks.
    pub api: Api,
    /// The key that the server asks for, if it does: sent as a bearer token.
    pub api_key: Option<ApiKey>,
    /// Certificates, in PEM, of the authorities that the server's certificate may be of, instead of the system's.
    pub ca_path: Option<PathBuf>,
    /// The model's name on the server, such as `llama3.2:3b`. Without a tag, Ollama means `:latest`.
    pub model: String,
    /// A file that says in which language and tone explanations are written, such as `deploy/voice.de.toml`; English without.
    pub template: Option<PathBuf>,
    /// How long a model may take to explain a BLOCK or a REVIEW, a second question included, in milliseconds.
    pub timeout_ms: u64,
    /// How long the connection to the server may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a model that has begun to answer may fall silent, in milliseconds.
    pub stall_timeout_ms: u64,
    /// How long the server is left alone after it could not be reached, did not answer in time or was full, in milliseconds.
    /// Then one question goes ahead; as long as such fail, the time doubles, up to ten minutes.
    pub retry_after_ms: u64,
    /// The age in milliseconds from which a verdict that waited for its turn is explained without the model, so that
    /// explanations never fall far behind.
    pub wait_ms_max: u64,
    /// How many verdicts are explained at once, those included that wait for their turn with the model.
    pub in_flight_max: usize,
    /// Most pieces of evidence of one explanation.
    pub evidence_max: usize,
    /// Most characters of a prompt.
    pub prompt_chars_max: usize,
    /// The model's context, in tokens: the prompt and the answer must fit into it, or Ollama cuts the prompt silently.
    /// Other servers are started with theirs.
    pub num_ctx: usize,
    /// Whether a model that can think before it answers may do so: better words, and many more tokens. Only Ollama is told.
    pub think: bool,
    /// Most tokens of an answer, thoughts included.
    pub num_predict: usize,
    /// Most bytes of what the server sends back.
    pub answer_bytes_max: usize,
    /// How long Ollama keeps the model in memory after an answer, in seconds.
    pub keep_alive_s: u64,
    /// Whether the model is asked about an ALLOW too; if not, those are explained from the evidence.
    pub ask_on_allow: bool,
    /// How long a model may take to explain an ALLOW, in milliseconds. No single question takes longer than `timeout_ms`.
    pub timeout_ms_allow: u64,
    /// How many answers that held are remembered, so that the same question is not asked again; 0 for none. An answer takes
    /// some kilobytes.
    pub cache_max: usize,
    /// How many questions the model is asked at once; the other verdicts wait for their turn, BLOCK and REVIEW before ALLOW.
    pub model_questions_max: usize,
}

/// What a model's server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Ollama's own interface.
    Ollama,
    /// OpenAI's, as vLLM, llama.cpp's server and LM Studio offer it.
    Openai,
}

/// A key that opens the model's server. Shows itself to nobody by accident.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key itself, to be sent and never to be shown.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for ApiKey {
    /// The usual error would show what it did not expect, and that is the key.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let key = String::deserialize(from).map_err(|_| D::Error::custom("a key is text, in quotes"))?;
        Ok(Self(key))
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self(key.to_owned())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model_url: Some("http://127.0.0.1:11434".to_owned()),
            api: Api::Ollama,
            api_key: None,
            ca_path: None,
            model: "llama3.2:3b".to_owned(),
            template: None,
            timeout_ms: 20_000,
            stall_timeout_ms: 10_000,
            connect_timeout_ms: 1_000,
            retry_after_ms: 30_000,
            wait_ms_max: 120_000,
            in_flight_max: 64,
            evidence_max: 40,
            prompt_chars_max: 14_000,
            num_ctx: 8_192,
            think: false,
            num_predict: 1_000,
            answer_bytes_max: 256 * 1024,
            keep_alive_s: 600,
            ask_on_allow: true,
            timeout_ms_allow: 10_000,
            cache_max: 256,
            model_questions_max: 2,
        }
    }
}

/// Characters of a prompt that make one token, at the least: source code and paths make about three.
const CHARS_PER_TOKEN: usize = 2;

impl Config {
    /// What is wrong with the settings, if anything is.
    ///
    /// # Errors
    /// A sentence that begins with the setting's name.
    pub fn check(&self) -> Result<(), String> {
        let least = FRAME_CHARS_MAX + 2_000;
        if self.prompt_chars_max < least {
            return Err(format!("prompt_chars_max must be at least {least}, not {}", self.prompt_chars_max));
        }
        let tokens = self.prompt_chars_max / CHARS_PER_TOKEN + self.num_predict;
        if self.num_ctx < tokens {
            return Err(format!(
                "num_ctx must be at least prompt_chars_max / {CHARS_PER_TOKEN} + num_predict = {tokens}, not {}: \
                 Ollama would cut the prompt silently",
                self.num_ctx
            ));
        }
        let positive = [
            ("timeout_ms", self.timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("stall_timeout_ms", self.stall_timeout_ms),
            ("in_flight_max", self.in_flight_max as u64),
            ("evidence_max", self.evidence_max as u64),
            ("num_predict", self.num_predict as u64),
            ("answer_bytes_max", self.answer_bytes_max as u64),
            ("timeout_ms_allow", self.timeout_ms_allow),
            ("model_questions_max", self.model_questions_max as u64),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(format!("{name} must be at least 1"));
            }
        }
        if self.api_key.as_ref().is_some_and(|key| !key.reveal().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err("api_key must hold no spaces and only ASCII characters".to_owned());
        }
        if self.url().is_some() && self.model.trim().is_empty() {
            return Err("model is required: its name on the server, such as llama3.2:3b".to_owned());
        }
        Ok(())
    }

    /// Where the model's server listens; `None` when no model is to be asked.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.model_url.as_deref().map(str::trim).filter(|url| !url.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: Config, expected: &str) {
        let got = config.check().err().unwrap_or_default();
        assert!(got.starts_with(expected) && got.is_empty() == expected.is_empty(), "{got:?}");
    }

    #[test]
    fn what_cannot_work_is_said_with_the_settings_name() {
        check(Config::default(), "");
        check(Config { prompt_chars_max: 100, ..Config::default() }, "prompt_chars_max");
        check(Config { num_ctx: 4_096, ..Config::default() }, "num_ctx");
        check(Config { in_flight_max: 0, ..Config::default() }, "in_flight_max");
        check(Config { stall_timeout_ms: 0, ..Config::default() }, "stall_timeout_ms");
        check(Config { api_key: Some("a b".into()), ..Config::default() }, "api_key");
        check(Config { api_key: Some("".into()), ..Config::default() }, "");
        check(Config { model: " ".to_owned(), ..Config::default() }, "model");
        check(Config { model: String::new(), model_url: Some(String::new()), ..Config::default() }, "");
    }

    #[test]
    fn a_key_that_is_wrong_is_not_shown() {
        let read = |key: serde_json::Value| serde_json::from_value::<Config>(serde_json::json!({ "api_key": key }));
        assert_eq!(read("123".into()).unwrap().api_key.unwrap().reveal(), "123");
        let error = read(123.into()).unwrap_err().to_string();
        assert!(error.contains("in quotes") && !error.contains("123"), "{error}");
    }
}
