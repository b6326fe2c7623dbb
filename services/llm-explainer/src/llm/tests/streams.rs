//! How answers come, and what is known to go wrong with local models.

use serde_json::json;

use super::*;
use crate::server::{last, line};

/// The answer when the server does that.
async fn answer(act: Act) -> Result<Answer, Unanswered> {
    let server = Server::start(act).await;
    ask(&ollama(&server.config())).await
}

/// What the error says when the server does that, to someone with little patience.
async fn error(act: Act) -> String {
    let server = Server::start(act).await;
    let config = Config { stall_timeout_ms: 200, answer_bytes_max: 20_000, ..server.config() };
    ask(&ollama(&config)).await.unwrap_err().to_string()
}

#[track_caller]
fn said(answered: Result<Answer, Unanswered>, expected: &str) {
    assert_eq!(answered.unwrap().content, expected);
}

#[tokio::test]
async fn an_answer_is_the_same_however_it_is_cut_into_pieces() {
    let content = json!({ "headline": "Schlüssel – “quoted” 🔑" }).to_string();
    let parts = content.split_inclusive(' ').map(|part| line(&json!({ "content": part })));
    let whole: Vec<u8> = parts.chain([last(&json!({ "content": "" }), "stop", 1_226)]).flatten().collect();
    for length in [1, 7, 64, whole.len()] {
        let pieces: Vec<&[u8]> = whole.chunks(length).collect();
        said(answer(Act::pieces(&pieces, Then::End)).await, &content);
    }
    // Blank lines between, none at the end.
    let spaced = String::from_utf8(whole).unwrap().replace('\n', "\r\n\n");
    said(answer(Act::pieces(&[spaced.trim_end()], Then::End)).await, &content);
}

#[tokio::test]
async fn an_answer_ends_with_its_last_line_whatever_the_connection_does_then() {
    let whole = [line(&json!({ "content": "{" })), last(&json!({ "content": "}" }), "stop", 1_226)];
    for then in [Then::End, Then::Stall, Then::Break] {
        said(answer(Act::pieces(&whole, then)).await, "{}");
    }
}

#[tokio::test]
async fn a_stream_that_does_not_come_to_its_end_is_no_answer() {
    let begun = || line(&json!({ "content": "{\"headline\":" }));
    let failed = b"{\"error\":\"an error was encountered while running the model: CUDA error\"}\n".to_vec();
    let long = line(&json!({ "content": "x".repeat(9_000) }));
    for (pieces, then, expected) in [
        (vec![begun()], Then::Stall, "the language model fell silent for 200 ms in the middle of its answer"),
        (
            vec![begun()[..10].to_vec()],
            Then::Stall,
            "the language model fell silent for 200 ms in the middle of its answer",
        ),
        (vec![begun()], Then::Break, "the connection to the language model's server broke"),
        (
            vec![begun()],
            Then::End,
            "the language model's server did not answer as Ollama does: it stopped before it was done",
        ),
        (vec![], Then::End, "the language model's server did not answer as Ollama does: it stopped before it was done"),
        (
            vec![begun(), failed],
            Then::End,
            "the language model's server broke off its answer: an error was encountered while running the model: CUDA error",
        ),
        (
            vec![begun(), b"{}\n".to_vec()],
            Then::End,
            "the language model's server did not answer as Ollama does: not a chat's reply",
        ),
        (
            vec![long.clone(), long.clone(), long],
            Then::Stall,
            "the language model's answer passed the limit of 20000 bytes",
        ),
    ] {
        assert_eq!(error(Act::Stream(pieces, then)).await, expected);
    }
}

#[tokio::test]
async fn a_model_that_writes_on_and_on_is_cut_by_the_whole_answers_time() {
    let server = Server::start(Act::pieces(&[line(&json!({ "content": "{" }))], Then::Stall)).await;
    let config = Config { timeout_ms: 50, stall_timeout_ms: 60_000, ..server.config() };
    assert_eq!(ask(&ollama(&config)).await, Err(Unanswered::Slow { ms: 50 }));
}

#[tokio::test]
async fn a_prompt_that_was_cut_is_noticed() {
    let server = Server::start(Act::Silence).await;
    let ollama = ollama(&server.config());
    let long = Prompt { system: "You explain.".to_owned(), user: "word ".repeat(2_700) };
    for (tokens, whole) in [(8_192, false), (7_192, false), (4_096, false), (2_048, false), (2_714, true), (14, true)] {
        server.set(Act::Stream(vec![last(&json!({ "content": "{}" }), "stop", tokens)], Then::End));
        let answered = ollama.ask(&long, &json!({})).await;
        let expected = if whole { Ok(()) } else { Err(Unanswered::PromptCut { tokens }) };
        assert_eq!(answered.map(|_| ()), expected);
    }
    assert_eq!(
        Unanswered::PromptCut { tokens: 4_096 }.to_string(),
        "the language model did not see all of the prompt: its context held 4096 tokens"
    );
}

#[tokio::test]
async fn thoughts_are_not_part_of_the_answer() {
    let thought = line(&json!({ "content": "", "thinking": "Let me see." }));
    let thinks = Act::pieces(&[thought, last(&json!({ "content": "{}" }), "stop", 1_226)], Then::End);
    said(answer(thinks).await, "{}");
    said(answer(Act::says("<think>\nIs it {\"a\": 1}?\n</think>\n\n{\"b\": 2}")).await, "{\"b\": 2}");
}

#[tokio::test]
async fn a_fence_is_not_part_of_the_answer() {
    said(answer(Act::says("```json\n{\"b\": 2}\n```")).await, "{\"b\": 2}");
}

#[tokio::test]
async fn a_model_that_cannot_think_is_asked_again_without_a_word_of_it() {
    let refusal = Act::Answer(400, r#"{"error":"\"llama3.2:3b\" does not support thinking"}"#.to_owned());
    let server = Server::start(Act::InTurn(vec![refusal.clone(), Act::says("{}")])).await;
    said(ask(&ollama(&server.config())).await, "{}");
    let think: Vec<_> = server.asked("/api/chat").iter().map(|asked| asked.get("think").cloned()).collect();
    assert_eq!(think, [Some(json!(false)), None]);

    let stubborn = Server::start(refusal).await;
    let error = ask(&ollama(&stubborn.config())).await.unwrap_err().to_string();
    assert!(error.ends_with("status 400: \"llama3.2:3b\" does not support thinking"), "{error}");
    assert_eq!(stubborn.asked("/api/chat").len(), 2);
}

#[tokio::test]
async fn a_model_may_think_when_the_settings_say_so() {
    let server = Server::start(Act::says("{}")).await;
    ask(&ollama(&Config { think: true, ..server.config() })).await.unwrap();
    assert_eq!(server.asked("/api/chat")[0]["think"], true);
}
