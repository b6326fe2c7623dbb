//! Questions and answers between services: request and reply outside the stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, RequestErrorKind};
use bytes::Bytes;
use futures::StreamExt;
use proto::question::{Question, decode, health_subject};
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::Bus;
use crate::{Health, Shutdown, State, trace};

/// Headers of an answer that is an error, as in the NATS service protocol (ADR-32).
const ERROR_CODE: &str = "Nats-Service-Error-Code";
const ERROR_TEXT: &str = "Nats-Service-Error";
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const HEALTH_ANSWER_MAX: Duration = Duration::from_secs(2);
/// How many questions of one kind an instance answers at a time.
const ANSWERS_IN_FLIGHT_MAX: usize = 64;

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Ask {
    /// Nobody is there who could, or not in time.
    #[error("no answer: {0}")]
    Unavailable(String),
    /// The one asked says no.
    #[error("{0}")]
    Refused(Refusal),
}

impl Ask {
    /// What kind of failure it is, in a word.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Refused(Refusal { code: RefusalCode::NotFound, .. }) => "not_found",
            Self::Refused(Refusal { code: RefusalCode::Invalid, .. }) => "invalid",
            Self::Refused(Refusal { code: RefusalCode::TooLong, .. }) => "too_long",
            Self::Refused(Refusal { code: RefusalCode::Unavailable, .. }) | Self::Unavailable(_) => "unavailable",
        }
    }
}

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What sort of no.
    pub code: RefusalCode,
    /// The field of the question that is wrong; empty when it is none.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// What sort of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// There is no such thing.
    NotFound,
    /// The question is wrong.
    Invalid,
    /// It cannot be answered now.
    Unavailable,
    /// The answer is too long to be sent.
    TooLong,
}

impl RefusalCode {
    const ALL: [Self; 4] = [Self::NotFound, Self::Invalid, Self::Unavailable, Self::TooLong];

    const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "404",
            Self::Invalid => "400",
            Self::Unavailable => "503",
            Self::TooLong => "413",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl Bus {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When nobody answers in time, or the answer is no.
    pub async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Answer, Ask> {
        let span = tracing::info_span!(
            "ask",
            otel.name = Q::subject(),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
            rpc.system.name = "nats",
            rpc.method = Q::subject(),
            failsafe.service = self.service,
        );
        let answered = self.ask_within(question).instrument(span.clone()).await;
        if let Err(error) = &answered {
            span.record("error.type", error.kind());
            if error.kind() == "unavailable" {
                span.record("otel.status_code", "ERROR");
            }
        }
        answered
    }

    async fn ask_within<Q: Question>(&self, question: &Q) -> Result<Q::Answer, Ask> {
        let mut headers = HeaderMap::new();
        if let Some(parent) = trace::current() {
            headers.insert(trace::TRACEPARENT, parent);
        }
        let request = async_nats::Request::new()
            .headers(headers)
            .payload(question.encode_to_vec().into())
            .timeout(Some(ANSWER_MAX));
        let subject = Q::subject();
        let asked = self.unless_denied(&subject, self.client.send_request(subject.clone(), request)).await;
        let reply = asked.map_err(|denied| Ask::Unavailable(denied.to_string()))?.map_err(|error| {
            Ask::Unavailable(match error.kind() {
                RequestErrorKind::NoResponders => format!("no service answers {}", Q::subject()),
                RequestErrorKind::TimedOut => format!("{} took over {} s", Q::subject(), ANSWER_MAX.as_secs()),
                _ => error.to_string(),
            })
        })?;
        let header = |name: &str| reply.headers.as_ref().and_then(|all| all.get(name)).map(ToString::to_string);
        if let Some(code) = header(ERROR_CODE) {
            let text = header(ERROR_TEXT).unwrap_or_default();
            let (field, message) = text.split_once('\t').unwrap_or(("", &text));
            let code = RefusalCode::ALL.into_iter().find(|known| known.name() == code);
            return Err(Ask::Refused(Refusal {
                code: code.unwrap_or(RefusalCode::Unavailable),
                field: field.to_owned(),
                message: message.to_owned(),
            }));
        }
        decode(&reply.payload).map_err(|error| Ask::Unavailable(format!("the answer cannot be read: {error}")))
    }

    /// Answers every question of one kind, one instance each, until `shutdown` is called.
    ///
    /// # Errors
    /// When the subscription is refused.
    pub async fn answer<Q, A, F>(&self, shutdown: Shutdown, answer: A) -> anyhow::Result<()>
    where
        Q: Question + 'static,
        A: Fn(Q) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Q::Answer, Refusal>> + Send,
    {
        let mut questions = self.client.queue_subscribe(Q::subject(), self.service.to_owned()).await?;
        let (bus, answer) = (self.clone(), Arc::new(answer));
        let permits = Arc::new(Semaphore::new(ANSWERS_IN_FLIGHT_MAX));
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    () = shutdown.called() => break,
                    message = questions.next() => message,
                };
                let Some(message) = message else { break };
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
                let (bus, answer) = (bus.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    bus.answer_one::<Q, A, F>(&message, &answer).await;
                    drop(permit);
                });
            }
        });
        Ok(())
    }

    async fn answer_one<Q, A, F>(&self, message: &async_nats::Message, answer: &A)
    where
        Q: Question,
        A: Fn(Q) -> F,
        F: Future<Output = Result<Q::Answer, Refusal>>,
    {
        let span = tracing::info_span!(
            "answer",
            otel.name = Q::subject(),
            otel.kind = "server",
            rpc.system.name = "nats",
            rpc.method = Q::subject(),
            failsafe.service = self.service,
        );
        let parent = message.headers.as_ref().and_then(|headers| headers.get(trace::TRACEPARENT));
        trace::continue_from(&span, parent.map(async_nats::HeaderValue::as_str));
        let Some(reply) = message.reply.clone() else { return };
        let answered = match decode::<Q>(&message.payload) {
            Ok(question) => answer(question).instrument(span).await,
            Err(error) => Err(Refusal { code: RefusalCode::Invalid, field: error.field, message: error.problem }),
        };
        let answered = answered.and_then(|answer| {
            use prost::Message;
            let body = answer.encode_to_vec();
            let (bytes, max) = (body.len(), self.payload_max());
            if bytes <= max {
                return Ok(body);
            }
            let message = format!("the answer has {bytes} bytes, and the message bus takes at most {max}");
            Err(Refusal { code: RefusalCode::TooLong, field: String::new(), message })
        });
        let sent = match answered {
            Ok(body) => self.client.publish(reply, body.into()).await,
            Err(refusal) => {
                let mut headers = HeaderMap::new();
                headers.insert(ERROR_CODE, refusal.code.name());
                let text = format!("{}\t{}", refusal.field, refusal.message);
                headers.insert(ERROR_TEXT, text.replace(['\r', '\n'], " "));
                self.client.publish_with_headers(reply, headers, Bytes::new()).await
            }
        };
        if let Err(error) = sent {
            tracing::warn!(service = self.service, "cannot answer {}: {error}", Q::NAME);
        }
    }

    /// Answers for the health of this service until `shutdown` is called.
    ///
    /// # Errors
    /// When the subscription is refused.
    pub async fn answer_health(&self, health: Health, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut questions = self.client.queue_subscribe(health_subject(self.service), self.service.to_owned()).await?;
        let client = self.client.clone();
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    () = shutdown.called() => break,
                    message = questions.next() => message,
                };
                let Some(message) = message else { break };
                if let Some(reply) = message.reply {
                    // Whoever asked will ask again.
                    let _ = client.publish(reply, health.state().to_line().into()).await;
                }
            }
        });
        Ok(())
    }

    /// Asks `service` how it is. No answer means that it does not serve.
    pub async fn ask_health(&self, service: &str) -> State {
        health_of(&self.client, service).await
    }
}

pub(super) async fn health_of(client: &async_nats::Client, service: &str) -> State {
    let asked = client.request(health_subject(service), Bytes::new());
    match tokio::time::timeout(HEALTH_ANSWER_MAX, asked).await {
        Ok(Ok(reply)) => State::from_line(&String::from_utf8_lossy(&reply.payload)),
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            State::NotServing(format!("no instance of {service} answers"))
        }
        Ok(Err(error)) => State::NotServing(error.to_string()),
        Err(_) => State::NotServing(format!("no answer within {} s", HEALTH_ANSWER_MAX.as_secs())),
    }
}
