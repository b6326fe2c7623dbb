//! Explanations that somebody asked for.

use domain::{ExplanationRequest, ModelName};

use super::*;

fn request(reached: &Reached, model: &str, seconds: u64) -> ExplanationRequest {
    ExplanationRequest {
        deployment_id: reached.deployment_id,
        model: (!model.is_empty()).then(|| ModelName::parse(model).unwrap()),
        requested_at: reached.reached_at + Duration::from_secs(seconds),
        request: None,
    }
}

#[tokio::test]
async fn who_asks_again_gets_new_words_and_not_remembered_ones() {
    let server = Server::start(Act::says(&good().to_string())).await;
    let voice = voice(server.config());
    let reached = samples::blocked_by_a_secret();
    let first = voice.explain(&reached, now(&reached)).await;
    let mut other = good();
    other["headline"] = json!("A key in config/prod.env blocks it.");
    server.set(Act::says(&other.to_string()));
    // Long after the verdict: who asks now has waited for nothing.
    let request = request(&reached, "", 86_400);
    let again = voice.explain_again(&reached, &request, request.requested_at).await;
    holds(&reached, &again);
    assert_eq!(again.headline, "A key in config/prod.env blocks it.");
    assert_eq!((first.request, again.request), (None, Some(request.event_id())));
    assert_ne!(first.event_id(), again.event_id());
    let asked = server.asked("/api/chat");
    assert_eq!(asked[0]["messages"], asked[1]["messages"]);
    assert_eq!((&asked[0]["options"]["temperature"], &asked[1]["options"]["temperature"]), (&json!(0.0), &json!(0.5)));
    assert_eq!(voice.explain(&reached, now(&reached)).await.headline, first.headline, "it takes no one's place");
}

#[tokio::test]
async fn each_request_throws_its_own_dice_and_the_same_ones_each_time() {
    let server = Server::start(Act::says(&good().to_string())).await;
    let voice = voice(server.config());
    let reached = samples::blocked_by_a_secret();
    for seconds in [1, 1, 2] {
        let request = request(&reached, "", seconds);
        voice.explain_again(&reached, &request, request.requested_at).await;
    }
    let seeds: Vec<Value> = server.asked("/api/chat").iter().map(|asked| asked["options"]["seed"].clone()).collect();
    assert_eq!(seeds[0], seeds[1]);
    assert_ne!(seeds[1], seeds[2]);
}

#[tokio::test]
async fn another_model_may_be_asked_for_and_an_unknown_one_is_named() {
    let server = Server::start(Act::says(&good().to_string())).await;
    let voice = voice(server.config());
    let reached = samples::blocked_by_a_secret();
    let wish = request(&reached, "mistral", 1);
    let by_mistral = voice.explain_again(&reached, &wish, wish.requested_at).await;
    let Origin::Model { name, digest, .. } = &by_mistral.origin else { panic!("{:?}", by_mistral.origin) };
    assert_eq!((name.as_str(), digest.as_str()), ("mistral", "f974a74358d6"));
    assert_eq!(server.asked("/api/chat")[0]["model"], "mistral");
    server.set(Act::Answer(404, json!({ "error": "model 'nobody' not found" }).to_string()));
    let wish = request(&reached, "nobody", 2);
    let by_nobody = voice.explain_again(&reached, &wish, wish.requested_at).await;
    holds(&reached, &by_nobody);
    let expected = "The language model nobody is not on the server; `ollama pull nobody` fetches it.";
    assert_eq!(because(&by_nobody), expected);
}

#[tokio::test]
async fn a_person_is_heard_while_the_server_is_left_alone_and_about_an_allow_too() {
    let server = Server::start(Act::Answer(503, String::new())).await;
    let voice = voice(Config { ask_on_allow: false, ..server.config() });
    let blocked = samples::blocked_by_a_secret();
    voice.explain(&blocked, now(&blocked)).await;
    server.set(Act::says(&good().to_string()));
    assert!(because(&voice.explain(&blocked, now(&blocked)).await).ends_with("when it was last asked."));
    let wish = request(&blocked, "", 1);
    assert_eq!(voice.explain_again(&blocked, &wish, wish.requested_at).await.origin, by_the_model(1.0, 0));
    let allowed = samples::allowed_with_nothing_found();
    let before = server.asked("/api/chat").len();
    let wish = request(&allowed, "", 1);
    holds(&allowed, &voice.explain_again(&allowed, &wish, wish.requested_at).await);
    assert!(server.asked("/api/chat").len() > before, "the model was asked");
}
