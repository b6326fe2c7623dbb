use std::time::Duration;

use domain::{Said, Signal, Source as Analyser};
use prost::Message;
use time::OffsetDateTime;

use super::*;

/// Credentials in the forms that providers give them, the random part drawn from `seed`.
fn secrets(seed: u64) -> Vec<(String, String)> {
    let mut state = seed;
    let mut draw = |alphabet: &str, count: usize| -> String {
        let letters = alphabet.as_bytes();
        (0..count)
            .map(|_| {
                // Knuth's linear congruential generator.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(letters[(state >> 33) as usize % letters.len()])
            })
            .collect()
    };
    const WORD: &str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let aws = format!("{}{}", concat!("AK", "IA"), draw("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16));
    let stripe = format!("{}_live_{}7a", "sk", draw(WORD, 24));
    let slack = format!("xox{}-730191371012-846201937465-{}", 'b', draw(WORD, 24));
    let password = format!("{}7x", draw(WORD, 14));
    let url = format!("{}9q", draw(WORD, 14));
    vec![
        (aws.clone(), format!("key = '{aws}'")),
        (stripe.clone(), format!("stripe = '{stripe}'")),
        (slack.clone(), format!("slack = '{slack}'")),
        (password.clone(), format!("db_password = \"{password}\"")),
        (url.clone(), format!("u = 'postgres://app:{url}@db.acme.io/a'")),
    ]
}

/// Where a secret stands: its line, and itself.
const PLACES: [&str; 6] = [
    "{line}",
    "{line}; eval(request.args['{secret}'])",
    "{line} # gitleaks:allow {secret}",
    "{line} # failsafe:allow secret since {secret} is known",
    "eval(request.args['{secret}'])\n{line}",
    "{line} {line}\nrequests.get('https://a/', verify=False, auth='{secret}')",
];

/// All that any format prints, and the event that the service publishes.
fn printed(law: &Law, analysis: &Analysis) -> Vec<(&'static str, String)> {
    let mut outputs = Vec::new();
    let mut print = |name, write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        outputs.push((name, String::from_utf8_lossy(&out).into_owned()));
    };
    let plain = Style { colour: false, width: 120 };
    print("text", &|out| text::write(out, analysis, 0, Duration::ZERO, plain));
    print("json", &|out| json::write(out, analysis));
    print("sarif", &|out| sarif::write(out, analysis, law.rules()));
    print("github", &|out| github::write(out, analysis));
    let signal = Signal {
        deployment_id: domain::DeploymentId::parse("6b1d5c4e-2f3a-5b6c-8d7e-9f0a1b2c3d4e").unwrap(),
        source: Analyser::StaticAnalysis,
        basis: law.digest().to_owned(),
        producer: "1".to_owned(),
        raised_at: OffsetDateTime::UNIX_EPOCH,
        took: Duration::ZERO,
        said: Said::Findings(analysis.clone()),
    };
    print("log", &|out| write!(out, "{signal:?}"));
    let bytes = proto::v1::Signal::from(signal).encode_to_vec();
    print("event", &|out| out.write_all(&bytes));
    outputs
}

#[test]
fn no_format_and_no_event_shows_a_secret() {
    let law = Law::new(&Config::default()).unwrap();
    for seed in 0..20 {
        for (secret, line) in secrets(seed) {
            for place in PLACES {
                let text = place.replace("{line}", &line).replace("{secret}", &secret);
                let file = files::whole("src/app.py", &text);
                let analysis = law.scan(&domain::diff::Diff { files: vec![file] });
                assert!(!analysis.findings.is_empty(), "{text}");
                for (format, shown) in printed(&law, &analysis) {
                    // Of the secret four characters may be seen, and those only at its beginning.
                    let rest = &secret[secret.len() - 8..];
                    assert!(!shown.contains(rest), "{rest} of {text} is in {format}:\n{shown}");
                }
            }
        }
    }
}

/// What the schema of SARIF 2.1.0 asks of a log that has these parts.
#[test]
fn sarif_has_what_its_schema_asks_for() {
    let law = Law::new(&Config::default()).unwrap();
    let text = format!("{} # failsafe:allow secret of a sandbox\n{}", secrets(1)[0].1, secrets(2)[0].1);
    let analysis = law.scan(&domain::diff::Diff { files: vec![files::whole("a b/ü.py", &text)] });
    let mut out = Vec::new();
    sarif::write(&mut out, &analysis, law.rules()).unwrap();
    let log: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let run = &log["runs"][0];
    assert_eq!((log["version"].as_str(), run["columnKind"].as_str()), (Some("2.1.0"), Some("unicodeCodePoints")));
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: HashSet<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len(), "each rule is described once");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string() && result["partialFingerprints"].is_object());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%BC.py");
        assert!(
            place["region"]["startLine"].as_u64().unwrap() >= 1
                && place["region"]["startColumn"].as_u64().unwrap() >= 1
        );
    }
    let suppressed = results.iter().filter_map(|result| result["suppressions"][0]["kind"].as_str());
    assert_eq!(suppressed.collect::<Vec<_>>(), ["inSource"]);
}
