//! The architecture, held against the manifests and the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may import whom: `domain ← proto ← chassis ← services ← failsafe`. Services never import each other.
const LAYERS: [(&str, &[&str]); 12] = [
    ("domain", &[]),
    ("proto", &["domain"]),
    ("chassis", &["domain", "proto"]),
    ("embedded", &[]),
    ("ingest", &["domain", "proto", "chassis"]),
    ("static-analysis", &["domain", "proto", "chassis"]),
    ("ml-scoring", &["domain", "proto", "chassis"]),
    ("llm-explainer", &["domain", "proto", "chassis"]),
    ("decision", &["domain", "proto", "chassis"]),
    ("gateway", &["domain", "proto", "chassis"]),
    (
        "failsafe",
        &[
            "domain",
            "proto",
            "chassis",
            "embedded",
            "ingest",
            "static-analysis",
            "ml-scoring",
            "llm-explainer",
            "decision",
            "gateway",
        ],
    ),
    ("harness", &["domain", "proto", "embedded"]),
];

/// One door per outside thing: only these crates may depend on the libraries that open it.
const DOORS: [(&[&str], &[&str]); 8] = [
    (&["async-nats"], &["chassis", "harness"]),
    (&["opentelemetry", "opentelemetry_sdk", "opentelemetry-otlp", "tracing-opentelemetry"], &["chassis"]),
    (&["sqlx"], &["decision", "harness"]),
    (&["linfa", "linfa-logistic", "ndarray"], &["ml-scoring"]),
    (&["reqwest"], &["failsafe", "gateway", "llm-explainer"]),
    (&["aho-corasick"], &["static-analysis"]),
    (&["tree-sitter", "squawk-syntax", "saphyr-parser"], &["static-analysis"]),
    (&["plotters"], &["failsafe", "harness"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The dependencies of every crate of ours, without those that only its tests need.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"] != "dev").map(|dependency| text(&dependency["name"])).collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|package| (text(&package["name"]), of(package))).collect()
}

#[test]
fn dependencies_point_one_way() {
    let ours: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let found = dependencies();
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ours.keys().copied().collect::<Vec<_>>());
    for (package, dependencies) in found {
        let of_ours = dependencies.iter().filter(|name| ours.contains_key(name.as_str()));
        for dependency in of_ours {
            assert!(ours[package.as_str()].contains(&dependency.as_str()), "{package} must not depend on {dependency}");
        }
    }
}

#[test]
fn every_outside_thing_has_one_door() {
    for (package, dependencies) in dependencies() {
        for (libraries, doors) in DOORS {
            for library in libraries.iter().filter(|library| dependencies.contains(**library)) {
                assert!(doors.contains(&package.as_str()), "{package} must not depend on {library}");
            }
        }
    }
}

/// Every source file of ours, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let output = Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let files: Vec<_> = listed.lines().map(PathBuf::from).collect();
    assert!(files.len() > 50, "git lists the sources: {}", String::from_utf8_lossy(&output.stderr));
    files.into_iter().filter_map(|path| fs::read_to_string(root().join(&path)).ok().map(|text| (path, text))).collect()
}

#[test]
fn generated_types_stay_in_proto_and_the_gateway() {
    let may = ["proto/", "services/gateway/", "services/failsafe/", "tests/"];
    for (path, text) in sources() {
        if !may.iter().any(|folder| path.starts_with(folder)) {
            assert!(!text.contains("proto::v1"), "{} uses the generated types", path.display());
        }
    }
}

#[test]
fn subjects_stand_in_one_place() {
    // Written apart, so that this file does not find itself.
    let (events, questions, dead) = (["\"failsafe", "v1."], ["\"failsafe", "ask."], ["\"failsafe", "dead."]);
    for (path, text) in sources() {
        if path.starts_with("services") && !path.starts_with("services/failsafe") {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for subject in [events, questions, dead].map(|parts| parts.join(".")) {
                let line = code.lines().find(|line| line.contains(&subject) && !line.trim_start().starts_with("//"));
                assert!(line.is_none(), "{}: {}", path.display(), line.unwrap_or_default());
            }
        }
    }
}

#[test]
fn every_file_fits_a_head_and_says_what_it_is_for() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 520, "{} has {lines} lines: divide it by meaning", path.display());
        let is_tests = path.file_name().is_some_and(|name| name.to_string_lossy().contains("tests"));
        assert!(is_tests || text.trim_start().starts_with("//!"), "{} does not say what it is for", path.display());
    }
}

#[test]
fn the_top_level_stays_a_screen() {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let top: BTreeSet<&str> = listed.lines().filter_map(|path| path.split('/').next()).collect();
    let visible: Vec<&str> = top.into_iter().filter(|name| !name.starts_with('.')).collect();
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "deploy",
        "docker-compose.yml",
        "justfile",
        "migrations",
        "proto",
        "services",
        "tests",
    ];
    assert_eq!(visible, expected);
}
