//! What the log says at the start of the model and its server, or what is to be done so that there is one.

use std::time::Duration;

use tokio::time::timeout;

use super::{LanguageModel, Unanswered, ollama, openai};
use crate::config::Api;

/// How long the server may take to introduce itself.
const TIMEOUT: Duration = Duration::from_secs(10);

impl LanguageModel {
    /// Logs once which model on which server will be asked, or a warning that says what to do. Never fails: the server
    /// may come later.
    pub async fn introduce(self) {
        match self.introduction().await {
            Ok(said) => tracing::info!(gen_ai.request.model = self.model(), "{said}"),
            Err(said) => {
                tracing::warn!(
                    gen_ai.request.model = self.model(),
                    "{said}; until then explanations are written from the evidence"
                );
            }
        }
    }

    /// Which model is asked where, or what is wrong and what to do.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub async fn introduction(&self) -> Result<String, String> {
        let asked = async {
            match self.config.api {
                Api::Ollama => self.introduce_ollama().await,
                Api::Openai => self.introduce_openai().await,
            }
        };
        let slow = Unanswered::Slow { ms: TIMEOUT.as_millis() as u64 };
        timeout(TIMEOUT, asked).await.unwrap_or(Err(slow)).map_err(|why| match why {
            Unanswered::NoModel { .. } => why.to_string(),
            Unanswered::Unreachable { .. } if self.config.api == Api::Ollama => {
                format!("{why}; `ollama serve` starts it, and llm_explainer.model_url says where it is")
            }
            Unanswered::Untrusted { .. } => {
                format!("{why}; llm_explainer.ca_path names the file of its authority, in PEM")
            }
            _ => format!("{why}; llm_explainer.model_url and llm_explainer.api say where and what it is"),
        })
    }

    async fn introduce_ollama(&self) -> Result<String, Unanswered> {
        let version = ollama::version(&self.http).await?;
        let digest = ollama::digest(&self.http, &self.config).await?;
        Ok(format!("the language model is {}, digest {digest}, on Ollama {version}", self.model()))
    }

    async fn introduce_openai(&self) -> Result<String, Unanswered> {
        let models = openai::models(&self.http).await?;
        let (model, url) = (self.model(), self.http.at("v1/"));
        let host = url.host_str().unwrap_or_default();
        Ok(if models.iter().any(|name| name == model) {
            format!("the language model is {model} on {host}")
        } else {
            // Some servers have one model, and give it whatever is asked for.
            let models = models.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("the language model is {model} on {host}, which names only: {models}")
        })
    }
}
