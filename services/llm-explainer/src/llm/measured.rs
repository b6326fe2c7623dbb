//! A question to the model as telemetry sees it, by OpenTelemetry's conventions for generative AI. What is asked and what is
//! answered is told to nobody.

use std::time::Instant;

use chassis::metrics::list::{CHAT, TOKENS};
use tracing::Span;
use tracing::field::Empty;

use super::chat::Sampling;
use super::http::Http;
use super::{Answer, Unanswered};
use crate::config::{Api, Config};

const OPERATION: &str = "chat";

/// A question under way. One that is given up ends as one that took too long.
pub(super) struct Measured {
    pub(super) span: Span,
    provider: &'static str,
    model: String,
    began: Instant,
    error: &'static str,
}

impl Measured {
    pub(super) fn begin(config: &Config, http: &Http, sampling: Sampling) -> Self {
        let provider = match config.api {
            Api::Ollama => "ollama",
            Api::Openai => "openai",
        };
        let (host, port) = http.server();
        let span = tracing::info_span!(
            "chat",
            otel.name = format!("{OPERATION} {}", config.model),
            otel.kind = "client",
            otel.status_code = Empty,
            error.type = Empty,
            gen_ai.operation.name = OPERATION,
            gen_ai.provider.name = provider,
            gen_ai.request.model = config.model,
            gen_ai.request.max_tokens = config.num_predict,
            gen_ai.request.temperature = f64::from(sampling.temperature),
            gen_ai.request.seed = sampling.seed,
            gen_ai.request.stream = true,
            gen_ai.output.type = "json",
            gen_ai.response.model = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            server.address = host,
            server.port = port,
        );
        Self { span, provider, model: config.model.clone(), began: Instant::now(), error: "timeout" }
    }

    /// It has ended so.
    pub(super) fn end(mut self, answered: Result<&Answer, &Unanswered>) {
        match answered {
            Ok(answer) => {
                self.error = "";
                self.span.record("gen_ai.response.model", &answer.model);
                for (attribute, kind, tokens) in [
                    ("gen_ai.usage.input_tokens", "input", answer.prompt_tokens),
                    ("gen_ai.usage.output_tokens", "output", answer.answer_tokens),
                ] {
                    let Some(tokens) = tokens else { continue };
                    self.span.record(attribute, tokens);
                    self.span.in_scope(|| TOKENS.record(tokens as f64, [OPERATION, self.provider, &self.model, kind]));
                }
            }
            Err(why) => self.error = why.kind(),
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if !self.error.is_empty() {
            self.span.record("otel.status_code", "ERROR").record("error.type", self.error);
        }
        let took = self.began.elapsed().as_secs_f64();
        self.span.in_scope(|| CHAT.record(took, [OPERATION, self.provider, &self.model, self.error]));
    }
}
