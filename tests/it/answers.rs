//! `--output json`: what a command answers to a program is one JSON value, and says the same as the words for people.

use std::path::Path;

use serde_json::Value;

use crate::gate::{failsafe, run};

/// The one JSON value that a command prints, and its exit code.
async fn json(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let ran = run(failsafe(folder, &[arguments, &["--output", "json"]].concat()), "").await;
    let value = serde_json::from_str(&ran.out);
    (ran.code, value.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}\n{}", ran.out, ran.log)))
}

#[tokio::test]
async fn what_needs_no_service_answers_in_json() {
    let folder = embedded::temporary_folder().unwrap();
    let path = folder.path();
    let (code, shown) = json(path, &["rules", "show", "migration.rollback.missing"]).await;
    assert_eq!((code, &shown["severity"], &shown["category"]), (Some(0), &"high".into(), &"migration".into()));

    std::fs::write(path.join("good.toml"), run(failsafe(path, &["policy", "default"]), "").await.out).unwrap();
    let (code, checked) = json(path, &["policy", "check", "good.toml"]).await;
    assert_eq!((code, &checked["sound"]), (Some(0), &true.into()));
    assert!(checked["rules"].as_array().unwrap().len() > 3 && checked["policy"]["digest"].is_string(), "{checked}");
    std::fs::write(path.join("bad.toml"), "version = 7\n").unwrap();
    let (code, checked) = json(path, &["policy", "check", "bad.toml"]).await;
    let mistake = &checked["mistakes"][0];
    assert!(code == Some(1) && checked["sound"] == false && mistake["line"] == 1, "{checked}");
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/policy.cases.toml");
    let (code, tried) = json(path, &["policy", "test", cases]).await;
    assert_eq!((code, &tried["failed"]), (Some(0), &0.into()));
    let all = tried["cases"].as_array().unwrap();
    assert!(!all.is_empty() && all.iter().all(|case| case["holds"] == true && case["verdict"].is_string()), "{tried}");
    let (_, variables) = json(path, &["policy", "variables"]).await;
    assert!(variables.as_array().unwrap().iter().any(|one| one["name"] == "risk.probability"), "{variables}");

    let (code, model) = json(path, &["model", "show"]).await;
    assert_eq!((code, &model["format"]), (Some(0), &2.into()), "it is the model's file");
    let (_, features) = json(path, &["model", "features"]).await;
    assert!(features.as_array().unwrap().iter().any(|one| one["name"] == "lines_added"), "{features}");
    let (code, trained) = json(path, &["model", "train", "--synthetic", "--out", "own.json"]).await;
    assert_eq!((code, &trained["written_to"]), (Some(0), &"own.json".into()));
    assert!(trained["held_out"]["history_known"]["metrics"]["auc"].is_number(), "{trained}");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../services/ml-scoring/data/deploy_prs.csv.gz");
    let (code, measured) = json(path, &["model", "evaluate", "--data", data]).await;
    let quality = &measured["quality"];
    assert_eq!((code, quality["deciles"].as_array().map(Vec::len)), (Some(0), Some(10)), "{measured}");
    assert!(quality["metrics"]["auc"].as_f64().unwrap() > 0.5 && measured["drift"].is_array(), "{measured}");
}
