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
fn every_service_grows_by_replicas_and_not_by_threads() {
    let kustomization = &documents("kustomization.yaml")[0];
    let patch = &kustomization["patches"][0];
    assert_eq!(patch["target"], json!({ "kind": "Deployment" }));
    let operations: Value = serde_yaml_ng::from_str(patch["patch"].as_str().unwrap()).unwrap();
    let value = json!({ "name": "TOKIO_WORKER_THREADS", "value": "1" });
    let path = "/spec/template/spec/containers/0/env/-";
    assert_eq!(operations, json!([{ "op": "add", "path": path, "value": value }]));
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
        let environment = container["env"].as_array().unwrap();
        let of = |name: &str| environment.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(of("FAILSAFE__NATS__USER")["value"], service);
        let password = json!({ "name": "failsafe-nats-users", "key": service });
        assert_eq!(of("FAILSAFE__NATS__PASSWORD")["valueFrom"]["secretKeyRef"], password);
        let settings = json!({ "name": "settings", "configMap": { "name": "failsafe-settings" } });
        assert!(pod["volumes"].as_array().unwrap().contains(&settings), "{service}");
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
        assert!(scaled["spec"]["minReplicaCount"].as_u64().unwrap() >= 2, "{service}: one may go with its node");
        assert!(of_kind(&documents, "Deployment")["spec"]["replicas"].is_null(), "{service}: two would set the number");
    }
}

#[test]
fn the_settings_of_the_cluster_are_settings_that_there_are() {
    let settings = chassis::Settings::load(Some(&folder().join("failsafe.toml"))).unwrap();
    // Whatever a table does not know is refused.
    settings.table::<chassis::settings::NatsSettings>("nats").unwrap();
    settings.table::<chassis::settings::AdminSettings>("admin").unwrap();
    let gateway: gateway::Config = settings.table("gateway").unwrap();
    assert!(gateway.authentication && gateway.tls_cert_path.is_some());
    let text = fs::read_to_string(folder().join("failsafe.toml")).unwrap();
    let tables: toml::Table = text.parse().unwrap();
    assert_eq!(tables.keys().collect::<Vec<_>>(), ["admin", "gateway", "llm_explainer", "nats"]);
    assert_eq!(tables["llm_explainer"].as_table().unwrap().keys().collect::<Vec<_>>(), ["model_url"]);
    let documents = documents("gateway.yaml");
    let ports = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]["ports"];
    for port in [gateway.listen.port(), gateway.http_listen.port()] {
        assert!(ports.as_array().unwrap().iter().any(|one| one["containerPort"] == port), "{port}");
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
        // Whoever is reached in this namespace lets somebody in at that port.
        for rule in policy["spec"]["egress"].as_array().into_iter().flatten() {
            let here = |to: &&Value| to["podSelector"].is_object() && to["namespaceSelector"].is_null();
            for to in rule["to"].as_array().into_iter().flatten().filter(here) {
                let port = format!("\"port\":{}", rule["ports"][0]["port"]);
                let lets_in = |other: &Value| {
                    other["spec"]["podSelector"] == to["podSelector"]
                        && other["spec"]["ingress"].to_string().contains(&port)
                };
                assert!(policies.iter().any(lets_in), "{name} reaches {to} and is not let in at {port}");
            }
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
