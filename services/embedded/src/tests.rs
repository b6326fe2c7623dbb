//! What holds of the real servers.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::{Nats, Postgres, programs, temporary_folder, wait};

const LIMIT: Duration = Duration::from_secs(60);

fn alive(pid: u32) -> bool {
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", &format!("kill -0 {pid}")]).stderr(Stdio::null()).status().unwrap().success()
}

/// What the server says of itself, and what it answers to `command`, which may be empty.
fn nats(url: &str, command: &str) -> (serde_json::Value, String) {
    let mut stream = TcpStream::connect(url.strip_prefix("nats://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut greeting, mut answer) = (String::new(), String::new());
    reader.read_line(&mut greeting).unwrap();
    let last = if command.is_empty() { "PONG" } else { "{" };
    stream.write_all(format!("CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\n{command}PING\r\n").as_bytes()).unwrap();
    while !answer.lines().last().unwrap_or_default().starts_with(last) {
        let read = reader.read_line(&mut answer).unwrap();
        assert_ne!(read, 0, "{url} closed the connection after {answer:?}");
    }
    (serde_json::from_str(greeting.strip_prefix("INFO ").unwrap()).unwrap(), answer)
}

/// What JetStream's interface says to `body`.
fn jetstream(url: &str, subject: &str, body: &str) -> String {
    nats(url, &format!("PUB $JS.API.{subject} answer {}\r\n{body}\r\n", body.len())).1
}

fn sql(url: &str, statement: &str) -> String {
    let psql = programs::postgres(None).unwrap().bin.join("psql");
    let output = Command::new(psql).args([url, "-XAtc", statement]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[track_caller]
fn assert_refused<T>(second: Result<T>, pid: u32) {
    let error = second.err().expect("a second start is refused").to_string();
    let expected = format!("is in use by process {}, whose", std::process::id());
    assert!(error.contains(&expected) && error.contains(&format!("is process {pid}:")), "{error}");
}

#[tokio::test]
async fn nats_serves_and_keeps_its_streams_and_its_address() {
    let folder = temporary_folder().unwrap();
    let server = Nats::start(folder.path()).await.unwrap();
    let (info, _) = nats(server.url(), "");
    assert_eq!(info["version"], server.version());
    assert_eq!(info["max_payload"], 8 << 20);
    assert_eq!(info["host"], "127.0.0.1");
    let made = jetstream(server.url(), "STREAM.CREATE.KEPT", r#"{"name":"KEPT","subjects":["kept"]}"#);
    assert!(made.contains(r#""did_create":true"#), "{made}");

    let (pid, url) = (server.pid(), server.url().to_owned());
    server.stop().await.unwrap();
    assert!(!alive(pid));

    let server = Nats::start(folder.path()).await.unwrap();
    assert_eq!(server.url(), url);
    let kept = jetstream(server.url(), "STREAM.INFO.KEPT", "");
    assert!(kept.contains(r#""subjects":["kept"]"#), "{kept}");
    let pid = server.pid();
    drop(server);
    assert!(!alive(pid));
}

#[tokio::test]
async fn nats_comes_back_from_a_crash_on_the_same_port() {
    let folder = temporary_folder().unwrap();
    let mut server = Nats::start(folder.path()).await.unwrap();
    let (url, pid) = (server.url().to_owned(), server.pid());
    server.kill().await.unwrap();
    assert!(!alive(pid));
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    nats(&url, "");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_is_replaced() {
    let folder = temporary_folder().unwrap();
    let server = Nats::start(folder.path()).await.unwrap();
    let url = server.url().to_owned();
    server.stop().await.unwrap();
    let _taken = std::net::TcpListener::bind(url.strip_prefix("nats://").unwrap()).unwrap();
    let server = Nats::start(folder.path()).await.unwrap();
    assert_ne!(server.url(), url);
    nats(server.url(), "");
}

#[tokio::test]
async fn postgres_serves_and_keeps_its_rows_and_its_address() {
    let folder = temporary_folder().unwrap();
    let server = Postgres::start(folder.path()).await.unwrap();
    assert_eq!(sql(server.url(), "SELECT current_user, current_database()"), "failsafe|failsafe");
    assert_eq!(sql(server.url(), "SHOW fsync"), "on");
    sql(server.url(), "CREATE TABLE kept AS SELECT 'ä' AS word");
    sql(server.url(), "CREATE DATABASE of_a_test");
    let wrong = server.url().replacen("failsafe:", "failsafe:x", 1);
    let psql = programs::postgres(None).unwrap().bin.join("psql");
    assert!(!Command::new(psql).args([&wrong, "-c", "SELECT"]).stderr(Stdio::null()).status().unwrap().success());

    let (pid, url) = (server.pid(), server.url().to_owned());
    server.stop().await.unwrap();
    assert!(!alive(pid));

    let mut server = Postgres::start(folder.path()).await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(sql(&url, "SELECT word FROM kept"), "ä");

    let pid = server.pid();
    server.kill().await.unwrap();
    assert!(!alive(pid));
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(sql(&url, "SELECT word FROM kept"), "ä");
    let pid = server.pid();
    drop(server);
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_folder_serves_one_owner_at_a_time() {
    let folder = temporary_folder().unwrap();
    let (nats, postgres) = both(folder.path()).await;
    assert_refused(Nats::start(folder.path()).await, nats.pid());
    assert_refused(Postgres::start(folder.path()).await, postgres.pid());
    assert!(alive(nats.pid()) && alive(postgres.pid()));
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let folder = temporary_folder().unwrap();
    Postgres::start(folder.path()).await.unwrap().stop().await.unwrap();
    std::fs::remove_dir_all(folder.path().join("postgres/data/global")).unwrap();
    let error = format!("{:#}", Postgres::start(folder.path()).await.unwrap_err());
    assert!(error.contains("postgres.log:") && error.contains("pg_control"), "{error}");
    assert!(error.contains("ended at once"), "{error}");
}

async fn both(folder: &Path) -> (Nats, Postgres) {
    (Nats::start(folder).await.unwrap(), Postgres::start(folder).await.unwrap())
}

const TO_BE_KILLED: &str = "EMBEDDED_TEST_FOLDER";

/// Not a test by itself: the next one runs it as a process of its own.
#[tokio::test]
async fn owner_to_be_killed() {
    let Ok(folder) = std::env::var(TO_BE_KILLED) else { return };
    let (nats, postgres) = both(Path::new(&folder)).await;
    println!("\npids {} {}", nats.pid(), postgres.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn servers_end_when_their_owner_is_killed() {
    let folder = temporary_folder().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::owner_to_be_killed", "--nocapture"])
        .env(TO_BE_KILLED, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let pids = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("pids ")?.to_owned())).unwrap();
    let pids: Vec<u32> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| alive(*pid)));

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait::until("the servers to end", LIMIT, || Ok((!pids.iter().any(|pid| alive(*pid))).then_some(()))).await.unwrap();
    // Nothing of them is left in the way.
    let (nats, postgres) = both(folder.path()).await;
    nats.stop().await.unwrap();
    postgres.stop().await.unwrap();
}
