//! Explanations in another language.

use super::*;

fn german(config: Config) -> Voice {
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/voice.de.toml");
    voice(Config { template: Some(template.into()), ..config })
}

#[tokio::test]
async fn what_no_model_writes_is_in_the_templates_language_and_says_no_other_verdict() {
    let voice = german(Config { model_url: Some(String::new()), ..Config::default() });
    let mut headlines = Vec::new();
    for reached in [
        samples::blocked_by_a_secret(),
        samples::blocked_by_a_migration_and_the_risk(),
        samples::review_for_a_missing_signal(),
        samples::allowed_with_nothing_found(),
    ] {
        let explanation = voice.explain(&reached, now(&reached)).await;
        holds(&reached, &explanation);
        let claims = explanation.why.iter().chain(&explanation.what_to_do).map(|claim| &claim.text);
        for text in claims.chain([&explanation.headline]).chain(&explanation.uncertain) {
            assert!(!voice.template.sayings.assert_another(text, reached.judgement.verdict), "{text}");
        }
        headlines.push(explanation.headline);
    }
    assert_eq!(
        headlines,
        [
            "acme/shop #107 ist blockiert: im Code steht ein Geheimnis (config/prod.env:12).",
            "acme/shop #107 ist blockiert: eine Datenbankmigration lässt sich nicht gefahrlos ausführen \
             (migrations/0042_drop_email.sql:3), und das Ausfallrisiko beträgt 62.0 %, die Grenze 50.0 %.",
            "acme/shop #107 braucht den Blick eines Menschen: die statische Analyse hat nicht geantwortet.",
            "acme/shop #107 darf in Produktion: die statische Analyse hat nichts gefunden, und das Ausfallrisiko beträgt 1.2 %.",
        ]
    );
}

#[tokio::test]
async fn a_model_is_asked_for_the_language_and_held_to_the_verdict_in_it() {
    let said = |headline: &str| {
        json!({
            "headline": headline,
            "why": [{ "text": "Der Schlüssel steht in config/prod.env:12, d.h. offen.", "evidence": ["S1"] }],
            "what_to_do": [{ "text": "Ziehen Sie den Schlüssel zurück.", "evidence": ["S1"] }],
            "uncertain": ["Ob ihn jemand benutzt hat."],
        })
    };
    let server = Server::start(Act::says(&said("Ein Schlüssel blockiert acme/shop.").to_string())).await;
    let voice = german(server.config());
    let reached = samples::blocked_by_a_secret();
    let explanation = voice.explain(&reached, now(&reached)).await;
    holds(&reached, &explanation);
    assert_eq!(explanation.origin, by_the_model(1.0, 0));
    let system = server.asked("/api/chat")[0]["messages"][0]["content"].clone();
    assert!(system.as_str().unwrap().contains("Plain German, short sentences"), "{system}");
    assert!(system.as_str().unwrap().contains(" Say Sie to the reader."), "{system}");

    server.set(Act::says(&said("Das Deployment ist freigegeben.").to_string()));
    let other = Reached { number: 2, deployment: None, ..reached };
    let explanation = voice.explain(&other, now(&other)).await;
    assert_eq!(because(&explanation), "The language model's headline did not hold: it contradicts the verdict.");
}

#[test]
fn a_template_that_is_wrong_or_not_there_stops_the_start_and_is_named() {
    let new = |path: &str| {
        let config = Config { template: Some(path.into()), ..Config::default() };
        Voice::new(config, samples::secret_rules()).unwrap_err().to_string()
    };
    install_crypto();
    assert!(new("/nowhere/voice.toml").starts_with("template: cannot read /nowhere/voice.toml: "));
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/failsafe.toml");
    let error = new(other);
    assert!(error.starts_with(&format!("template: {other}: line ")), "{error}");
}
