//! The command line as an operator uses it: dead letters, the doctor, completions and manual pages.

use std::process::Stdio;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use futures::StreamExt;
use harness::{Fleet, eventually};
use proto::v1;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::process::Command;

use crate::diffs;
use crate::gate::{Ran, Shop, failsafe, run, server};

/// A `failsafe dead` or `doctor` on the fleet's servers.
async fn on_bus(fleet: &Fleet, arguments: &[&str]) -> Ran {
    let mut all = arguments.to_vec();
    all.extend(["--nats-url", fleet.nats.url()]);
    run(failsafe(fleet.folder(), &all), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_shown_and_goes_through_once_its_cause_is_mended() {
    let shop = Shop::new().await;
    let mut fleet = Fleet::start(&[]).await;
    let jetstream = fleet.jetstream().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = json!({
        "repository": "acme/shop", "pull_request": 7, "title": "t".repeat(600),
        "git": { "repository": shop.path(), "base": shop.git(&["rev-parse", "main"]).await, "head": shop.head().await },
    });
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", trace);
    headers.insert("Nats-Msg-Id", "poison-1");
    let subject = "failsafe.v1.deployment.submitted";
    jetstream.publish_with_headers(subject, headers, body.to_string().into()).await.unwrap().await.unwrap();
    let diff = json!({ "repository": "acme shop", "pull_request": 7, "diff": diffs::harmless("orders") });
    jetstream.publish(subject, diff.to_string().into()).await.unwrap().await.unwrap();
    let letters = eventually("two dead letters", async || {
        let ran = on_bus(&fleet, &["dead", "list", "--output", "json"]).await;
        let listed: Value = serde_json::from_str(&ran.out).ok()?;
        let letters = listed["dead_letters"].as_array()?.clone();
        (letters.len() == 2).then_some(letters)
    })
    .await;
    // In whatever order they were given up.
    let number = |part: &str| {
        let is_it = |letter: &&Value| letter["error"].as_str().is_some_and(|error| error.contains(part));
        let letter = letters.iter().find(is_it).unwrap();
        assert_eq!((&letter["service"], &letter["subject"]), (&json!("ingest"), &json!(subject)));
        letter["number"].to_string()
    };
    let (poison, nonsense) = (number("git.repository"), number("acme shop"));

    let listed = on_bus(&fleet, &["dead", "list"]).await;
    for part in ["NUMBER", "ingest", "deployment.submitted", "git.repository"] {
        assert!(listed.out.contains(part), "{part}: {}", listed.out);
    }
    let shown = on_bus(&fleet, &["dead", "show", &poison]).await;
    // It goes on in the trace in which it was sent, from where it was given up.
    let trace_id = &trace[..35];
    for part in ["git.repository", trace_id, "\"pull_request\": 7", "ttt…\""] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let hidden = on_bus(&fleet, &["dead", "show", &nonsense]).await;
    assert!(hidden.out.contains("--body shows them") && !hidden.out.contains("One more line"), "{}", hidden.out);
    let whole = on_bus(&fleet, &["dead", "show", &nonsense, "--body"]).await;
    assert!(whole.out.contains("One more line about orders"), "{}", whole.out);
    assert_eq!(on_bus(&fleet, &["dead", "show", "999"]).await.code, Some(1));

    // Requeued before anything is mended it dies again.
    assert_eq!(on_bus(&fleet, &["dead", "requeue", &poison]).await.code, Some(0));
    let again = eventually("the same dead letter again", async || {
        let ran = on_bus(&fleet, &["dead", "list", "--service", "ingest", "--output", "json"]).await;
        let listed: Value = serde_json::from_str(&ran.out).ok()?;
        let letters = listed["dead_letters"].as_array()?;
        let numbers = letters.iter().map(|letter| letter["number"].to_string());
        numbers.into_iter().find(|number| *number != poison && *number != nonsense)
    })
    .await;
    fleet.kill("ingest").await;
    fleet.set("FAILSAFE__INGEST__GIT_REPOSITORIES", &format!("[{:?}]", shop.path().to_str().unwrap()));
    fleet.spawn("ingest");
    fleet.serving("ingest").await;
    let requeued = on_bus(&fleet, &["dead", "requeue", &again]).await;
    assert!(requeued.out.contains("is published again"), "{}{}", requeued.out, requeued.log);
    eventually("the verdict of what was dead", async || {
        let request = v1::ListDeploymentsRequest { verdict: v1::Verdict::Block.into(), ..Default::default() };
        let page = fleet.client().list_deployments(request).await.ok()?.into_inner();
        (page.deployments.len() == 1).then_some(())
    })
    .await;
    let stream = jetstream.get_stream("FAILSAFE").await.unwrap();
    let last = stream.get_last_raw_message_by_subject(subject).await.unwrap();
    let header = |name: &str| last.headers.get(name).map(|value| value.to_string());
    assert!(header("traceparent").unwrap().starts_with(trace_id));
    assert!(header("Failsafe-Error").is_none() && header("Nats-Msg-Id").unwrap().starts_with("requeued:"));

    // What is left is dropped, and only when that was said.
    let unsure = on_bus(&fleet, &["dead", "drop", "--all"]).await;
    assert_eq!(unsure.code, Some(1), "{}", unsure.log);
    assert!(unsure.log.contains("--yes"), "{}", unsure.log);
    let dropped = on_bus(&fleet, &["dead", "drop", "--all", "--service", "ingest", "--yes", "--output", "json"]).await;
    let dropped: Value = serde_json::from_str(&dropped.out).unwrap();
    assert_eq!(dropped["dropped"].as_array().unwrap().len(), 1);
    assert!(on_bus(&fleet, &["dead", "list"]).await.out.contains("no dead letters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_answered_for_is_named_and_requeued_by_its_place_in_the_stream() {
    let fleet = Fleet::start(&[]).await;
    let jetstream = fleet.jetstream().await;
    let stream = jetstream.get_stream("FAILSAFE").await.unwrap();
    // A reader that dies of every delivery: it takes messages and never answers.
    let config = pull::Config {
        durable_name: Some("static-analysis-dying".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: std::time::Duration::from_millis(100),
        max_deliver: 1,
        filter_subject: "failsafe.v1.deployment.submitted".to_owned(),
        ..Default::default()
    };
    let dying = stream.create_consumer(config).await.unwrap();
    let taking = tokio::spawn(async move {
        let mut events = dying.messages().await.unwrap();
        while let Some(event) = events.next().await {
            drop(event.unwrap());
        }
    });
    let body = json!({ "repository": "acme/shop", "pull_request": 7, "diff": diffs::harmless("orders") });
    let stored =
        jetstream.publish("failsafe.v1.deployment.submitted", body.to_string().into()).await.unwrap().await.unwrap();
    let letter = eventually("the advisory", async || {
        let ran = on_bus(&fleet, &["dead", "list", "--service", "static-analysis-dying", "--output", "json"]).await;
        let listed: Value = serde_json::from_str(&ran.out).ok()?;
        listed["dead_letters"].as_array()?.first().cloned()
    })
    .await;
    taking.abort();
    eventually("it is counted among the dead letters", async || {
        let (_, page) = harness::http(fleet.admin("static-analysis"), "GET /metrics", "", "").await?;
        page.contains("failsafe_dead_letters_held{failsafe_service=\"static-analysis\"} 1\n").then_some(())
    })
    .await;
    assert_eq!((&letter["stream_sequence"], &letter["deliveries"]), (&json!(stored.sequence), &json!(1)));
    assert_eq!(letter["subject"], "failsafe.v1.deployment.submitted");
    let number = letter["number"].to_string();
    let shown = on_bus(&fleet, &["dead", "show", &number]).await;
    let place = format!("place {} in the stream", stored.sequence);
    assert!(shown.out.contains(&place) && shown.out.contains("\"repository\": \"acme/shop\""), "{}", shown.out);
    assert_eq!(on_bus(&fleet, &["dead", "requeue", &number]).await.code, Some(0));
    let last = stream.get_last_raw_message_by_subject("failsafe.v1.deployment.submitted").await.unwrap();
    assert!(last.sequence > stored.sequence && last.payload == body.to_string().as_bytes());
}

/// What the doctor says of `name`, and its exit code.
async fn examined(fleet: &Fleet, extra: &[&str]) -> (Option<i32>, Vec<Value>) {
    let server = server(fleet);
    let mut all = vec!["doctor", "--output", "json", "--server", &server, "--nats-url", fleet.nats.url()];
    if !extra.contains(&"--database-url") {
        all.extend(["--database-url", fleet.postgres.url()]);
    }
    all.extend(extra);
    let mut command = failsafe(fleet.folder(), &all);
    command.env("FAILSAFE__LLM_EXPLAINER__MODEL_URL", "");
    // Not by `run`, which takes the settings away.
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let lines = serde_json::from_slice(&output.stdout);
    (output.status.code(), lines.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

#[track_caller]
fn line<'a>(lines: &'a [Value], area: &str, name: &str) -> &'a Value {
    let is_it = |line: &&Value| line["area"] == area && line["name"] == name;
    lines.iter().find(is_it).unwrap_or_else(|| panic!("no line {area} {name}: {lines:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_away_and_says_what_to_do() {
    let mut fleet = Fleet::start(&[]).await;
    let sound = [
        ("NATS", "server"),
        ("NATS", "stream FAILSAFE"),
        ("NATS", "reader decision-signal"),
        ("NATS", "clock"),
        ("NATS", "dead letters"),
        ("PostgreSQL", "migrations"),
        ("PostgreSQL", "months"),
        ("PostgreSQL", "clock"),
        ("services", "gateway"),
        ("services", "ml-scoring"),
        ("language model", "server"),
    ];
    eventually("a sound installation", async || {
        let (code, lines) = examined(&fleet, &[]).await;
        // Between two requests for messages, and before the gateway has asked all, something may look as if it were away.
        let all = sound.iter().all(|(area, name)| line(&lines, area, name)["state"] == "ok");
        (code == Some(0) && all).then_some(())
    })
    .await;

    // A certificate that the gateway's settings name, with nine days left.
    let mut params = rcgen::CertificateParams::default();
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(9) + time::Duration::hours(1);
    let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let (path, config) = (fleet.folder().join("tls.crt"), fleet.folder().join("tls.toml"));
    std::fs::write(&path, certificate.pem()).unwrap();
    std::fs::write(&config, format!("[gateway]\ntls_cert_path = {path:?}\n")).unwrap();
    let (_, lines) = examined(&fleet, &["--config", config.to_str().unwrap()]).await;
    let soon = line(&lines, "certificates", "gateway.tls_cert_path");
    assert_eq!(soon["state"], "warn", "{soon}");
    assert!(soon["said"].as_str().unwrap().contains("9 days left"), "{soon}");
    assert!(soon["remedy"].as_str().unwrap().contains("restart the gateways"), "{soon}");

    fleet.kill("ml-scoring").await;
    let lines = eventually("ml-scoring to be missed", async || {
        let (code, lines) = examined(&fleet, &[]).await;
        (line(&lines, "services", "ml-scoring")["state"] == "fail" && code == Some(1)).then_some(lines)
    })
    .await;
    let missed = line(&lines, "services", "ml-scoring");
    assert!(missed["remedy"].as_str().unwrap().contains("start ml-scoring"), "{missed}");
    assert_eq!(line(&lines, "services", "static-analysis")["state"], "ok");

    let (code, lines) = examined(&fleet, &["--database-url", "postgres://failsafe@127.0.0.1:9/failsafe"]).await;
    let away = line(&lines, "PostgreSQL", "server");
    assert_eq!((code, &away["state"]), (Some(1), &json!("fail")), "{away}");
    assert!(away["remedy"].as_str().unwrap().contains("database.url"), "{away}");

    let pool = fleet.database().await;
    let last = sqlx::query(
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations) RETURNING version",
    );
    let version: i64 = last.fetch_one(&pool).await.unwrap().get("version");
    let (code, lines) = examined(&fleet, &[]).await;
    let pending = line(&lines, "PostgreSQL", "migrations");
    assert_eq!((code, &pending["state"]), (Some(1), &json!("fail")), "{pending}");
    assert!(pending["said"].as_str().unwrap().contains(&format!("{version:04} ")), "{pending}");
    assert!(pending["remedy"].as_str().unwrap().contains("audit migrate"), "{pending}");

    let text = run(
        failsafe(fleet.folder(), &["doctor", "--nats-url", "nats://127.0.0.1:9", "--server", "http://127.0.0.1:9"]),
        "",
    )
    .await;
    assert_eq!(text.code, Some(1), "{}", text.log);
    assert!(text.out.contains("fail server: cannot be used") && !text.out.contains('\u{1b}'), "{}", text.out);
}

#[tokio::test]
async fn shells_and_man_know_every_command() {
    let folder = embedded::temporary_folder().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = run(failsafe(folder.path(), &["completions", shell]), "").await;
        assert_eq!(ran.code, Some(0), "{shell}: {}", ran.log);
        for word in ["gate", "requeue", "on-unavailable"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
        std::fs::write(folder.path().join(shell), ran.out).unwrap();
    }
    // bash completes it as it stands.
    let script = "source ./bash; COMP_WORDS=(failsafe dead re); COMP_CWORD=2; _failsafe failsafe re dead; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).current_dir(folder.path());
    let completed = run(bash, "").await;
    assert_eq!(completed.out.trim(), "requeue", "{}", completed.log);

    let ran = run(failsafe(folder.path(), &["man", "pages"]), "").await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    let page = std::fs::read_to_string(folder.path().join("pages/failsafe-gate.1")).unwrap();
    assert!(page.contains(".TH failsafe-gate 1") && page.contains("Exit codes:"), "{page}");
    let first = std::fs::read_to_string(folder.path().join("pages/failsafe.1")).unwrap();
    assert!(first.contains("doctor"), "{first}");
}
