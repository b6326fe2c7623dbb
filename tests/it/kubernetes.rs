//! The manifests of `deploy/kubernetes`, where no cluster runs: held against the services, the settings and one another.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{SERVICES, binary};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes")
}

/// All documents of a file.
fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("a {kind}"))
}

#[test]
fn every_service_has_a_deployment_that_can_be_rolled_probed_and_disrupted() {
    for service in SERVICES {
        let documents = documents(&format!("{service}.yaml"));
        let deployment = of_kind(&documents, "Deployment");
        assert_eq!(deployment["metadata"]["name"], service);
        assert_eq!(
            deployment["spec"]["strategy"]["rollingUpdate"],
            json!({ "maxSurge": 1, "maxUnavailable": 0 }),
            "{service}"
        );
        let pod = &deployment["spec"]["template"]["spec"];
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 25, "{service} drains for 25 s");
        assert_eq!(pod["securityContext"]["runAsUser"], 10_001, "as the image says");
        let container = &pod["containers"][0];
        assert_eq!(container["command"][0], service);
        for (probe, path) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            assert_eq!(container[probe]["httpGet"], json!({ "path": path, "port": "admin" }), "{service}");
        }
        assert!(container["resources"]["limits"]["memory"].is_string(), "{service}");
        let budget = of_kind(&documents, "PodDisruptionBudget");
        assert_eq!(budget["spec"]["selector"], deployment["spec"]["selector"], "{service}");
        assert_eq!(deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"], service);
    }
}

#[test]
fn what_grows_with_the_stream_names_a_consumer_that_there_is() {
    for service in ["ingest", "static-analysis", "ml-scoring", "llm-explainer"] {
        let documents = documents(&format!("{service}.yaml"));
        let scaled = of_kind(&documents, "ScaledObject");
        assert_eq!(scaled["spec"]["scaleTargetRef"]["name"], service);
        let trigger = &scaled["spec"]["triggers"][0];
        assert_eq!(trigger["metadata"]["stream"], proto::event::STREAM);
        // A service's consumer bears its name.
        assert_eq!(trigger["metadata"]["consumer"], service);
        assert!(of_kind(&documents, "Deployment")["spec"]["replicas"].is_null(), "{service}: two would set the number");
    }
}

#[test]
fn the_settings_of_the_cluster_are_settings_that_there_are() {
    let shown = chassis::Settings::load(Some(&folder().join("../failsafe.toml"))).unwrap();
    let text = fs::read_to_string(folder().join("failsafe.toml")).unwrap();
    let tables: toml::Table = text.parse().unwrap();
    for (table, keys) in &tables {
        for key in keys.as_table().unwrap().keys() {
            let known = shown.has(&format!("{table}.{key}"))
                // Those without a default stand behind a comment sign.
                || fs::read_to_string(folder().join("../failsafe.toml")).unwrap().contains(&format!("# {key} = "));
            assert!(known, "{table}.{key}");
        }
    }
}

#[test]
fn the_kustomization_takes_in_every_manifest() {
    let kustomization = &documents("kustomization.yaml")[0];
    let mut listed: Vec<&str> =
        kustomization["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    listed.extend(["kustomization.yaml", "nats-values.yaml"]);
    listed.sort_unstable();
    let mut there: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    there.sort_unstable();
    assert_eq!(listed, there);
}

#[test]
fn the_network_lets_through_what_is_said_and_nothing_else() {
    let policies = documents("network-policies.yaml");
    let all = policies.iter().find(|policy| policy["metadata"]["name"] == "deny-all").unwrap();
    assert_eq!(all["spec"], json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }));
    for policy in &policies {
        let name = policy["metadata"]["name"].as_str().unwrap();
        for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
            assert!(rule["from"].is_array() && rule["ports"].is_array(), "{name} is open to all: {rule}");
        }
        // PostgreSQL alone: decision's, and its own.
        let reaches = |port: u64| policy["spec"]["egress"].to_string().contains(&format!("\"port\":{port}"));
        assert!(!reaches(5432) || ["decision", "postgres"].contains(&name), "{name} reaches PostgreSQL");
    }
}

#[tokio::test]
async fn our_own_rules_find_nothing_in_them() {
    let scan = Command::new(binary("failsafe"))
        .args(["scan", "--all", "--fail-on", "low"])
        .arg(folder())
        .output()
        .await
        .unwrap();
    assert_eq!(scan.status.code(), Some(0), "{}", String::from_utf8_lossy(&scan.stdout));
}
