//! Servers that speak as OpenAI's does.

use serde_json::json;

use super::*;
use crate::server::{event, openai_usage};

fn config(server: &Server) -> Config {
    Config { api: Api::Openai, stall_timeout_ms: 200, answer_bytes_max: 20_000, ..server.config() }
}

/// The answer when the server does that.
async fn answer(act: Act) -> Result<Answer, Unanswered> {
    let server = Server::start(act).await;
    ask(&ollama(&config(&server))).await
}

#[tokio::test]
async fn a_question_is_asked_as_openai_documents_it() {
    let server = Server::start(Act::says_openai("{\"headline\": \"It blocks.\"}", "stop")).await;
    let expected = Answer {
        content: "{\"headline\": \"It blocks.\"}".to_owned(),
        model: "qwen2.5-7b".to_owned(),
        digest: String::new(),
        prompt_tokens: Some(1_226),
        answer_tokens: Some(182),
    };
    assert_eq!(ask(&ollama(&config(&server))).await, Ok(expected));
    assert_eq!(
        server.asked("/v1/chat/completions"),
        [json!({
            "model": "llama3.2:3b",
            "messages": [
                { "role": "system", "content": "You explain." },
                { "role": "user", "content": "Explain." },
            ],
            "temperature": 0.0,
            "seed": 0,
            "max_tokens": 1_000,
            "stream": true,
            "stream_options": { "include_usage": true },
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "explanation", "strict": true, "schema": { "type": "object" } },
            },
        })]
    );
    assert_eq!(server.authorized("/v1/chat/completions"), [""]);
    assert!(server.asked("/api/tags").is_empty(), "there is no digest");
}

#[tokio::test]
async fn an_address_may_end_with_the_version() {
    let server = Server::start(Act::says_openai("{}", "stop")).await;
    let versioned = Config { model_url: Some(format!("{}/v1", server.url)), ..config(&server) };
    assert!(ask(&ollama(&versioned)).await.is_ok());
    assert_eq!(server.asked("/v1/chat/completions").len(), 1);
}

#[tokio::test]
async fn the_key_is_sent_and_shown_nowhere() {
    let refusal = json!({ "error": { "message": "Incorrect API key provided: hunter2-key.", "type": "auth" } });
    let server = Server::start(Act::Answer(401, refusal.to_string())).await;
    let config = Config { api_key: Some("hunter2-key".into()), ..config(&server) };
    let ollama = ollama(&config);
    let error = ask(&ollama).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the language model's server answered with status 401: Incorrect API key provided: …."
    );
    assert_eq!(server.authorized("/v1/chat/completions"), ["Bearer hunter2-key"]);
    ollama.introduction().await.unwrap();
    assert_eq!(server.authorized("/v1/models"), ["Bearer hunter2-key"]);
    for shown in [format!("{config:?}"), format!("{ollama:?}"), format!("{error:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn what_such_a_server_gets_wrong_is_told_in_one_sentence() {
    let delta = |delta: serde_json::Value| event(&json!({ "choices": [{ "delta": delta, "finish_reason": null }] }));
    let begun = || delta(json!({ "content": "{" }));
    let stopped = || event(&json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }));
    let missing = json!({ "object": "error", "message": "The model `llama3.2:3b` does not exist.", "code": 404 });
    let failed = json!({ "error": { "message": "CUDA out of memory", "code": 500 } });
    let old = format!("error: {}\n\n", json!({ "code": 500, "message": "slot is gone" })).into_bytes();
    let other = "the language model's server did not answer as an OpenAI-compatible server does";
    for (act, expected) in [
        (
            Act::Answer(404, missing.to_string()),
            "the language model's server answered with status 404: The model `llama3.2:3b` does not exist.".to_owned(),
        ),
        (
            Act::Answer(422, r#"{"detail":"json_schema is not known"}"#.to_owned()),
            "the language model's server answered with status 422: json_schema is not known".to_owned(),
        ),
        (
            Act::pieces(&[begun(), event(&failed)], Then::End),
            "the language model's server broke off its answer: CUDA out of memory".to_owned(),
        ),
        (
            Act::pieces(&[begun(), old], Then::End),
            "the language model's server broke off its answer: slot is gone".to_owned(),
        ),
        (Act::says_openai("{\"head", "length"), "the language model's answer was cut off after 1000 tokens".to_owned()),
        (
            Act::pieces(&[begun()], Then::Stall),
            "the language model fell silent for 200 ms in the middle of its answer".to_owned(),
        ),
        (Act::pieces(&[begun()], Then::Break), "the connection to the language model's server broke".to_owned()),
        (Act::pieces(&[begun()], Then::End), format!("{other}: it stopped before it was done")),
        (
            Act::pieces(&[begun(), b"data: [DONE]\n\n".to_vec()], Then::End),
            format!("{other}: it stopped before it was done"),
        ),
        (
            Act::pieces(&[delta(json!({ "reasoning_content": "Hm." })), stopped()], Then::End),
            format!("{other}: the model thought and said nothing"),
        ),
        (Act::pieces(&[stopped()], Then::End), format!("{other}: the reply is empty")),
        (Act::pieces(&["data: {\n\n"], Then::End), format!("{other}: not a chat's reply")),
        (Act::says("{}"), format!("{other}: not a stream of events")),
    ] {
        assert_eq!(answer(act.clone()).await.unwrap_err().to_string(), expected, "{act:?}");
    }
}

#[tokio::test]
async fn comments_names_of_events_and_pieces_do_not_disturb() {
    let whole = ": ping\n\nevent: message\ndata:{\"choices\":[{\"delta\":{\"content\":\"{}\"}}]}\r\n\r\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let server = Server::start(Act::Silence).await;
    let ollama = ollama(&Config { stall_timeout_ms: 10_000, ..config(&server) });
    for length in [1, 10, whole.len()] {
        let pieces: Vec<&[u8]> = whole.as_bytes().chunks(length).collect();
        server.set(Act::pieces(&pieces, Then::Stall));
        let answer = ask(&ollama).await.unwrap();
        assert_eq!((answer.content.as_str(), answer.model.as_str()), ("{}", "llama3.2:3b"));
    }
}

#[tokio::test]
async fn fewer_tokens_than_a_prompt_can_have_mean_that_it_was_cut() {
    let server = Server::start(Act::Silence).await;
    let ollama = ollama(&config(&server));
    let long = Prompt { system: "You explain.".to_owned(), user: "word ".repeat(2_700) };
    for (tokens, whole) in [(4_096, false), (1_000, false), (2_714, true), (0, true)] {
        let said = event(&json!({ "choices": [{ "delta": { "content": "{}" }, "finish_reason": "stop" }] }));
        server.set(Act::pieces(&[said, openai_usage(tokens)], Then::End));
        let expected = if whole { Ok(()) } else { Err(Unanswered::PromptCut { tokens }) };
        assert_eq!(ollama.ask(&long, &json!({})).await.map(|_| ()), expected);
    }
}
