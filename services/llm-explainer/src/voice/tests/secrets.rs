//! What the rules for secrets still see is sent to no model.

use super::*;

#[tokio::test]
async fn a_secret_that_a_sender_wrote_is_not_sent_to_the_model() {
    let server = Server::start(Act::says(&good().to_string())).await;
    let voice = voice(server.config());
    let mut reached = samples::blocked_by_a_secret();
    reached.deployment.as_mut().unwrap().title = "use AKIAIOSFODNN7EXAMPLE instead".to_owned();
    let explanation = voice.explain(&reached, now(&reached)).await;
    holds(&reached, &explanation);
    let expected =
        "The evidence holds what the rule secret.sample takes for a secret, so that the language model was not asked.";
    assert_eq!(because(&explanation), expected);
    assert_eq!(server.asked("/api/chat").len(), 0);
    let request = domain::ExplanationRequest {
        deployment_id: reached.deployment_id,
        model: None,
        requested_at: now(&reached),
        request: None,
    };
    assert_eq!(because(&voice.explain_again(&reached, &request, now(&reached)).await), expected);
    assert_eq!(server.asked("/api/chat").len(), 0);
}
