//! The all-in-one program as a person starts it: the demo, `failsafe up` with a Ctrl-C and a second start, and a killed service.

use std::path::Path;
use std::process::{Output, Stdio};

use harness::{binary, eventually, free_address};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Every process whose command line names `folder`.
async fn processes_in(folder: &Path) -> Vec<String> {
    let output = Command::new("ps").args(["-A", "-ww", "-o", "args"]).output().await.unwrap();
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    listed.lines().filter(|line| line.contains(folder.to_str().unwrap())).map(str::to_owned).collect()
}

async fn nothing_runs_in(folder: &Path) {
    eventually(&format!("the end of all that ran in {}", folder.display()), async || {
        processes_in(folder).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_three_verdicts_and_leaves_nothing_behind() {
    let folder = embedded::temporary_folder().unwrap();
    let demo = Command::new(binary("failsafe")).arg("demo").env("TMPDIR", folder.path()).stdin(Stdio::null()).output();
    let demo = demo.await.unwrap();
    let (text, log) = (String::from_utf8(demo.stdout).unwrap(), String::from_utf8_lossy(&demo.stderr).into_owned());
    assert_eq!(demo.status.code(), Some(0), "{text}\n{log}");
    let verdicts: Vec<_> = text.lines().filter(|line| line.contains(" after ") && line.contains(", policy ")).collect();
    let words: Vec<_> = verdicts.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(words, ["ALLOW", "BLOCK", "BLOCK"], "{text}");
    for expected in [
        "failsafe-test #107",
        "50 files",
        "Friday",
        "migration.rollback.missing",
        "migrations/0042_orders_archive.up.sql:2",
        "secret.aws.access-key-id",
        "media/settings.py:10",
        "failsafe.v1.DeploymentService/SubmitDeployment",
        "3 deployments, 6 signals, 19 findings, 3 verdicts, 3 explanations",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert!(!text.contains("AKIAQ"), "the key itself is shown");
    nothing_runs_in(folder.path()).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files stay behind");
}

/// `failsafe up` or `services` on an address of its own, its data in `folder`, waited for until it serves.
async fn start(command: &str, folder: &Path, address: &str) -> Child {
    let data = folder.join("data");
    let child = Command::new(binary("failsafe"))
        .args([command, "--listen", address, "--data-dir"])
        .arg(&data)
        .env("FAILSAFE__LLM_EXPLAINER__MODEL_URL", "")
        .env("FAILSAFE__GATEWAY__HTTP_LISTEN", free_address())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("an answer from failsafe", async || ask(address, &["list"]).await.status.success().then_some(())).await;
    child
}

async fn ask(address: &str, arguments: &[&str]) -> Output {
    let server = format!("http://{address}");
    let program = Command::new(binary("failsafe")).args(arguments).args(["--server", &server]).output();
    program.await.unwrap()
}

/// Sends `signal` and gives what the program wrote until it ended.
async fn end(child: Child, signal: &str) -> Output {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    child.wait_with_output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn up_stays_until_a_signal_and_keeps_its_data_and_addresses() {
    let folder = embedded::temporary_folder().unwrap();
    let address = harness::free_address();
    let diff = folder.path().join("change.diff");
    std::fs::write(&diff, include_str!("../samples/aws-key.diff")).unwrap();

    let first = start("up", folder.path(), &address).await;
    let submit = ["submit", "--repository", "acme/shop", "--pull-request", "7", "--wait", "--output", "json", "--diff"];
    let submitted = ask(&address, &[&submit[..], &[diff.to_str().unwrap()]].concat()).await;
    assert_eq!(submitted.status.code(), Some(1), "BLOCK: {submitted:?}");
    let deployment: serde_json::Value = serde_json::from_slice(&submitted.stdout).unwrap();
    let first = end(first, "-INT").await;
    let printed = String::from_utf8_lossy(&first.stdout).into_owned() + &String::from_utf8_lossy(&first.stderr);
    assert_eq!(first.status.code(), Some(0), "{printed}");
    assert!(printed.contains(&address) && printed.contains("FailSafe is down"), "{printed}");
    nothing_runs_in(folder.path()).await;

    let second = start("up", folder.path(), &address).await;
    let listed = ask(&address, &["list", "--output", "json"]).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let ids: Vec<_> = listed["deployments"].as_array().unwrap().iter().map(|row| &row["deployment_id"]).collect();
    assert_eq!(ids, [&deployment["deployment"]["deployment_id"]], "{deployment}");
    assert_eq!(end(second, "-TERM").await.status.code(), Some(0));
    nothing_runs_in(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_is_started_again_and_nothing_is_lost() {
    let folder = embedded::temporary_folder().unwrap();
    let address = harness::free_address();
    let diff = folder.path().join("change.diff");
    std::fs::write(&diff, include_str!("../samples/aws-key.diff")).unwrap();
    let mut services = start("services", folder.path(), &address).await;
    let parent = services.id().unwrap().to_string();
    // Until all have come up, one that dies is one that cannot live, and ends the rest.
    let mut lines = BufReader::new(services.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("the services come up").contains("FailSafe is up") {}
    // Its processes are its children; static-analysis is the one of that name.
    let kill = ["-KILL", "-P", &parent, "-f", "static-analysis"];
    eventually("a static-analysis to kill", async || {
        Command::new("pkill").args(kill).status().await.unwrap().success().then_some(())
    })
    .await;
    let submit = ["submit", "--repository", "acme/shop", "--pull-request", "7", "--wait", "--diff"];
    let submitted = ask(&address, &[&submit[..], &[diff.to_str().unwrap()]].concat()).await;
    assert_eq!(submitted.status.code(), Some(1), "BLOCK: {submitted:?}");
    let rest = async {
        let mut printed = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            printed += &(line + "\n");
        }
        printed
    };
    let (ended, printed) = tokio::join!(end(services, "-TERM"), rest);
    assert_eq!(ended.status.code(), Some(0), "{printed}");
    assert!(printed.contains("static-analysis ended") && printed.contains("starting it again"), "{printed}");
    nothing_runs_in(folder.path()).await;
}

#[tokio::test]
async fn a_mistyped_setting_or_command_is_named() {
    let folder = embedded::temporary_folder().unwrap();
    let settings = folder.path().join("failsafe.toml");
    std::fs::write(&settings, "[decision]\ndeadline = 5\n").unwrap();
    let data = folder.path().join("data");
    let mut up = Command::new(binary("failsafe"));
    let up = up.args(["up", "--config"]).arg(&settings).arg("--data-dir").arg(&data);
    let program = up.args(["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]).output().await.unwrap();
    let log = String::from_utf8_lossy(&program.stderr).into_owned();
    assert!(!program.status.success() && log.contains("deadline"), "{log}");
    let program = Command::new(binary("failsafe")).arg("upp").output().await.unwrap();
    assert_eq!(program.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&program.stderr).contains("up"));
}
