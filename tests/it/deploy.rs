//! What people run FailSafe with, where it cannot be run here: containers, sample settings, the workflow.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{SERVICES, binary};
use serde_json::Value;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// A YAML file, its merge keys applied.
fn yaml(path: &str) -> Value {
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(&read(path)).unwrap();
    value.apply_merge().unwrap();
    serde_json::to_value(value).unwrap()
}

#[test]
fn compose_has_one_container_per_service_and_orders_the_start_by_health() {
    let compose = yaml("docker-compose.yml");
    let containers = compose["services"].as_object().unwrap();
    for service in SERVICES {
        let container = &containers[service];
        assert_eq!(container["command"], serde_json::json!([service]));
        assert_eq!(container["healthcheck"]["test"], serde_json::json!(["CMD", service, "--check-health"]));
        assert_eq!(container["build"]["dockerfile"], "deploy/Dockerfile");
        assert_eq!(container["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://collector:4317", "{service}");
        if service != "gateway" {
            assert_eq!(container["depends_on"]["nats"]["condition"], "service_healthy", "{service}");
        }
    }
    assert_eq!(containers["gateway"]["depends_on"]["decision"]["condition"], "service_healthy");
    assert_eq!(containers["decision"]["depends_on"]["postgres"]["condition"], "service_healthy");
    let others: Vec<_> = containers.keys().filter(|name| !SERVICES.contains(&name.as_str())).collect();
    assert_eq!(others, ["collector", "grafana", "jaeger", "nats", "ollama", "postgres", "prometheus"]);
}

#[test]
fn compose_pins_its_images_and_opens_ports_on_the_loopback_only() {
    let compose = yaml("docker-compose.yml");
    for (name, container) in compose["services"].as_object().unwrap() {
        let image = container["image"].as_str().unwrap();
        let version = image.split_once(':').map(|(_, version)| version);
        assert!(image == "failsafe" || version.is_some_and(|version| version != "latest"), "{name}: {image}");
        for port in container["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
    assert!(compose["services"]["nats"]["image"].as_str().unwrap().starts_with("nats:2.12"));
    assert!(compose["services"]["postgres"]["image"].as_str().unwrap().starts_with("postgres:17"));
    assert!(read("deploy/nats.conf").contains("\n  sync_interval: always\n"));
    for service in SERVICES {
        let container = &compose["services"][service]["environment"];
        assert_eq!(container["FAILSAFE__NATS__USER"], service);
        let variable = format!("NATS_{}_PASSWORD", service.to_uppercase().replace('-', "_"));
        assert_eq!(container["FAILSAFE__NATS__PASSWORD"], compose["services"]["nats"]["environment"][&variable]);
        assert!(read("deploy/nats.users.conf").contains(&format!("user: \"{service}\", password: ${variable}\n")));
    }
}

#[test]
fn compose_sets_nothing_that_the_sample_settings_do_not_show() {
    let settings =
        chassis::Settings::load(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/failsafe.toml"))).unwrap();
    let (compose, sample) = (yaml("docker-compose.yml"), read("deploy/failsafe.toml"));
    let mut seen = 0;
    for container in compose["services"].as_object().unwrap().values() {
        let names = container["environment"].as_object().into_iter().flat_map(|all| all.keys());
        for name in names.filter_map(|name| name.strip_prefix("FAILSAFE__")) {
            let key = name.to_lowercase().replace("__", ".");
            // What has no default stands there as a comment.
            let (_, name) = key.split_once('.').unwrap();
            assert!(settings.has(&key) || sample.contains(&format!("\n# {name} = ")), "{key}");
            seen += 1;
        }
    }
    assert!(seen >= SERVICES.len());
}

#[test]
fn the_image_holds_every_program_and_runs_it_as_nobody_special() {
    let file = read("deploy/Dockerfile");
    for service in SERVICES.into_iter().chain(["failsafe"]) {
        assert!(file.split_whitespace().any(|word| word.trim_end_matches(';') == service), "{service}");
    }
    let last_stage = file.rsplit("\nFROM ").next().unwrap();
    assert!(last_stage.contains("\nUSER 10001\n") && !last_stage.contains("COPY ."), "{last_stage}");
    let manifest = read("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(file.contains(&format!("FROM rust:{version}-")), "Cargo.toml asks for Rust {version}");
    // Everything that the build reads passes .dockerignore.
    let passes = read(".dockerignore");
    for member in ["Cargo.toml", "Cargo.lock", "migrations", "proto", "services", "tests"] {
        assert!(passes.lines().any(|line| line == format!("!{member}")), "{member}");
    }
}

#[test]
fn the_workflow_runs_what_anyone_runs_before_a_merge() {
    let workflow = yaml(".github/workflows/ci.yml");
    let steps = workflow["jobs"]["ci"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["run"] == ".ci/run"));
    assert!(read(".ci/run").contains("deploy/bootstrap test"));
}

/// What `failsafe gate --help` lists.
fn gate_help() -> String {
    let help = Command::new(binary("failsafe")).args(["gate", "--help"]).output().unwrap();
    String::from_utf8(help.stdout).unwrap()
}

/// Every flag that a script gives to `failsafe gate` is one.
#[track_caller]
fn gates_with_known_flags(script: &str) {
    let help = gate_help();
    let call = script.split("failsafe gate").nth(1).and_then(|rest| rest.split("||").next()).unwrap();
    let flags: Vec<_> = call.split_whitespace().filter(|word| word.starts_with("--")).collect();
    assert!(flags.len() >= 3, "{call}");
    for flag in flags {
        assert!(help.contains(&format!("{flag} ")), "there is no {flag}");
    }
}

#[test]
fn the_action_gives_the_gate_its_inputs_over_the_environment_only() {
    let action = yaml("deploy/action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let text = read("deploy/action.yml");
    for name in text.split("${{ inputs.").skip(1).map(|rest| rest.split(' ').next().unwrap()) {
        assert!(action["inputs"][name].is_object(), "there is no input {name}");
    }
    let steps = action["runs"]["steps"].as_array().unwrap();
    for step in steps {
        assert_eq!(step["shell"], "bash", "{step}");
        // What stands in a script as it is could end a line of it, and begin another.
        assert!(!step["run"].as_str().unwrap().contains("${{"), "{step}");
    }
    let gate = steps.iter().find(|step| step["id"] == "gate").unwrap();
    gates_with_known_flags(gate["run"].as_str().unwrap());
    for output in ["verdict", "deployment-id"] {
        assert_eq!(action["outputs"][output]["value"], format!("${{{{ steps.gate.outputs.{output} }}}}"));
    }
}

#[test]
fn the_gitlab_job_sees_the_whole_history_and_shows_its_own_identity() {
    let job = &yaml("deploy/gitlab.yml")["failsafe"];
    assert_eq!(job["variables"]["GIT_DEPTH"], "0");
    assert_eq!(job["id_tokens"]["FAILSAFE_TOKEN"]["aud"], "failsafe");
    assert_eq!(job["artifacts"]["when"], "always");
    let script = job["script"][0].as_str().unwrap();
    gates_with_known_flags(script);
    assert!(script.contains(&format!("--summary {}", job["artifacts"]["paths"][0].as_str().unwrap())));
}

#[test]
fn the_hook_is_a_script_of_any_posix_shell_and_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/hooks/pre-push");
    assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o111 == 0o111);
    assert!(Command::new("sh").arg("-n").arg(&path).status().unwrap().success());
    gates_with_known_flags(&read("deploy/hooks/pre-push"));
}

#[test]
fn our_own_rules_find_nothing_in_what_runs_in_others_pipelines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut scan = Command::new(binary("failsafe"));
    scan.args(["scan", "--all", "deploy/action.yml", "deploy/gitlab.yml", "deploy/hooks", "deploy/ci.md"]);
    let scanned = scan.current_dir(folder).output().unwrap();
    assert!(scanned.status.success(), "{}", String::from_utf8_lossy(&scanned.stdout));
}
