mod openai;
mod streams;
mod tls;

use serde_json::json;

use super::*;
use crate::server::{Act, Server, Then, install_crypto};

fn prompt() -> Prompt {
    Prompt { system: "You explain.".to_owned(), user: "Explain.".to_owned() }
}

async fn ask(ollama: &LanguageModel) -> Result<Answer, Unanswered> {
    ollama.ask(&prompt(), &json!({ "type": "object" })).await
}

fn ollama(config: &Config) -> LanguageModel {
    install_crypto();
    LanguageModel::new(config).unwrap().unwrap()
}

/// What the error says when the server does that.
async fn error(act: Act) -> String {
    let server = Server::start(act).await;
    let config = Config { timeout_ms: 200, answer_bytes_max: 2_000, ..server.config() };
    ask(&ollama(&config)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_question_is_asked_as_ollama_documents_it() {
    let server = Server::start(Act::says("{}")).await;
    let ollama = ollama(&server.config());
    let answer = ask(&ollama).await.unwrap();
    let expected = Answer {
        content: "{}".to_owned(),
        model: "llama3.2:3b".to_owned(),
        digest: "a80c4f17acd5".to_owned(),
        prompt_tokens: Some(1_226),
        answer_tokens: Some(182),
    };
    assert_eq!(answer, expected);
    assert_eq!(
        server.asked("/api/chat"),
        [json!({
            "model": "llama3.2:3b",
            "messages": [
                { "role": "system", "content": "You explain." },
                { "role": "user", "content": "Explain." },
            ],
            "stream": true,
            "format": { "type": "object" },
            "think": false,
            "truncate": false,
            "shift": false,
            "options": { "temperature": 0.0, "seed": 0, "num_ctx": 8_192, "num_predict": 1_000 },
            "keep_alive": 600,
        })]
    );
    ask(&ollama).await.unwrap();
    assert_eq!(server.asked("/api/tags").len(), 1, "the digest is remembered");
}

#[tokio::test]
async fn the_digest_of_a_model_without_a_tag_is_that_of_its_latest() {
    let server = Server::start(Act::says("{}")).await;
    for (model, digest) in [("mistral", "f974a74358d6"), ("mistral:latest", "f974a74358d6"), ("phi4", "")] {
        let config = Config { model: model.to_owned(), ..server.config() };
        assert_eq!(ask(&ollama(&config)).await.unwrap().digest, digest, "{model}");
    }
}

#[tokio::test]
async fn whatever_goes_wrong_is_told_in_one_sentence() {
    let says = |status: u16, body: &str| Act::Answer(status, body.to_owned());
    for (act, expected) in [
        (
            says(404, r#"{"error":"model 'llama3.2:3b' not found"}"#),
            "the language model llama3.2:3b is not on the server; `ollama pull llama3.2:3b` fetches it",
        ),
        (says(404, "404 page not found"), "the language model's server answered with status 404"),
        (
            says(500, r#"{"error":"llama runner process has terminated:\n signal: killed"}"#),
            "the language model's server answered with status 500: llama runner process has terminated: signal: killed",
        ),
        (
            says(503, r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#),
            "the language model's server answered with status 503: server busy, please try again. maximum pending requests exceeded",
        ),
        (
            says(200, r#"{"error":"unexpected EOF"}"#),
            "the language model's server broke off its answer: unexpected EOF",
        ),
        (says(302, ""), "the language model's server answered with status 302"),
        (
            says(200, "<html>It works!</html>"),
            "the language model's server did not answer as Ollama does: not a chat's reply",
        ),
        (says(200, "[]"), "the language model's server did not answer as Ollama does: not a chat's reply"),
        (
            says(200, r#"{"response":"{}","done":true}"#),
            "the language model's server did not answer as Ollama does: not a chat's reply",
        ),
        (
            says(200, "{\"message\":{\"content\":\"a\"},\"done\":false}"),
            "the language model's server did not answer as Ollama does: it stopped before it was done",
        ),
        (
            Act::reply(&json!({ "content": " " }), "stop"),
            "the language model's server did not answer as Ollama does: the reply is empty",
        ),
        (
            Act::reply(&json!({ "content": "", "thinking": "Let me see." }), "stop"),
            "the language model's server did not answer as Ollama does: the model thought and said nothing",
        ),
        (
            Act::says("<think>Let me see."),
            "the language model's server did not answer as Ollama does: the model thought and said nothing",
        ),
        (
            Act::reply(&json!({ "content": "" }), "load"),
            "the language model's server did not answer as Ollama does: it loaded the model and said nothing",
        ),
        (
            Act::reply(&json!({ "content": "{\"head" }), "length"),
            "the language model's answer was cut off after 1000 tokens",
        ),
        (Act::says(&"x".repeat(3_000)), "the language model's answer passed the limit of 2000 bytes"),
        (Act::Silence, "the language model did not answer within 200 ms"),
        (Act::Stall("{\"message\":{}}".to_owned()), "the language model did not answer within 200 ms"),
        (Act::Close, "the connection to the language model's server broke"),
    ] {
        assert_eq!(error(act.clone()).await, expected, "{act:?}");
    }
}

/// An address at which nobody listens.
fn nowhere() -> Config {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Config { model_url: Some(format!("http://{free}")), ..Config::default() }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_asked_again_for_a_while() {
    let config = Config { retry_after_ms: 60_000, ..nowhere() };
    let ollama = ollama(&config);
    let first = ask(&ollama).await.unwrap_err().to_string();
    assert!(first.starts_with("the language model's server at 127.0.0.1:"), "{first}");
    assert!(first.ends_with("could not be reached"), "{first}");
    assert_eq!(ask(&ollama).await.unwrap_err().to_string(), format!("{first} when it was last asked"));
}

#[tokio::test]
async fn a_server_that_was_too_slow_is_asked_again_later() {
    let server = Server::start(Act::Silence).await;
    let config = Config { timeout_ms: 50, retry_after_ms: 60_000, ..server.config() };
    let resting = ollama(&config);
    assert_eq!(ask(&resting).await, Err(Unanswered::Slow { ms: 50 }));
    server.set(Act::says("{}"));
    assert!(matches!(ask(&resting).await, Err(Unanswered::Resting(_))));
    assert_eq!(server.asked("/api/chat").len(), 1);

    server.set(Act::Silence);
    let rested = ollama(&Config { retry_after_ms: 0, ..config });
    assert_eq!(ask(&rested).await, Err(Unanswered::Slow { ms: 50 }));
    let (probe, other) = tokio::join!(ask(&rested), ask(&rested));
    assert_eq!(probe, Err(Unanswered::Slow { ms: 50 }));
    assert_eq!(other, Err(Unanswered::Resting(Box::new(Unanswered::Slow { ms: 50 }))));
    server.set(Act::says("{}"));
    assert!(ask(&rested).await.is_ok());
    let (one, other) = tokio::join!(ask(&rested), ask(&rested));
    assert!(one.is_ok() && other.is_ok());
}

#[tokio::test]
async fn only_what_is_away_stuck_or_full_is_left_alone() {
    let busy = r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#;
    for (act, rests) in [
        (Act::Answer(503, busy.to_owned()), true),
        (Act::pieces(&["{\"message\":"], Then::Stall), true),
        (Act::Answer(500, String::new()), false),
        (Act::Answer(404, String::new()), false),
        (Act::Answer(200, "[]".to_owned()), false),
    ] {
        let server = Server::start(act.clone()).await;
        let ollama = ollama(&Config { stall_timeout_ms: 50, retry_after_ms: 60_000, ..server.config() });
        assert!(ask(&ollama).await.is_err());
        server.set(Act::says("{}"));
        assert_eq!(matches!(ask(&ollama).await, Err(Unanswered::Resting(_))), rests, "{act:?}");
    }
}

#[tokio::test]
async fn at_the_start_the_log_names_the_model_or_says_what_to_do() {
    let server = Server::start(Act::Silence).await;
    let introduced = async |config: Config| ollama(&config).introduction().await;
    assert_eq!(
        introduced(server.config()).await,
        Ok("the language model is llama3.2:3b, digest a80c4f17acd5, on Ollama 0.12.6".to_owned())
    );
    assert_eq!(
        introduced(Config { model: "phi4".to_owned(), ..server.config() }).await,
        Err("the language model phi4 is not on the server; `ollama pull phi4` fetches it".to_owned())
    );
    let away = introduced(nowhere()).await.unwrap_err();
    assert!(away.contains("could not be reached; `ollama serve` starts it"), "{away}");
    let openai = Config { api: Api::Openai, model: "qwen2.5-7b".to_owned(), ..server.config() };
    assert_eq!(introduced(openai.clone()).await, Ok("the language model is qwen2.5-7b on 127.0.0.1".to_owned()));
    let other = introduced(Config { model: "phi4".to_owned(), ..openai }).await;
    assert_eq!(other, Ok("the language model is phi4 on 127.0.0.1, which names only: qwen2.5-7b".to_owned()));
}

#[test]
fn a_wrong_address_stops_the_start_and_is_named() {
    install_crypto();
    let new = |url: &str| LanguageModel::new(&Config { model_url: Some(url.to_owned()), ..Config::default() });
    for wrong in ["localhost:11434", "ftp://there", "http://", "::"] {
        let error = new(wrong).unwrap_err().to_string();
        assert!(error.starts_with("model_url"), "{error}");
    }
    assert!(new("").unwrap().is_none());
    let behind = new("http://gpu.internal/ollama").unwrap().unwrap();
    assert_eq!(behind.http.at("api/chat").as_str(), "http://gpu.internal/ollama/api/chat");
}

#[tokio::test]
async fn what_ends_up_in_a_sentence_holds_no_password() {
    let config = Config { model_url: nowhere().model_url.map(|u| u.replace("//", "//me:hunter2@")), ..nowhere() };
    let error = ask(&ollama(&config)).await.unwrap_err().to_string();
    assert!(error.contains("could not be reached") && !error.contains("hunter2"), "{error}");
}
