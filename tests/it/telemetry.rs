//! Metrics, health, logs, and the files that watch them: dashboards, alerts and runbooks ask only for what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chassis::metrics::{ALL, Instrument, Kind, label_name, table};
use harness::{Fleet, Receiver, SERVICES, eventually, http};
use proto::v1::submit_deployment_request::Change;
use proto::{Event, v1};
use serde_json::Value;

use crate::cases::deployment;
use crate::diffs;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn read(path: &str) -> String {
    let path = deploy(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_json::to_value(serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&read(path)).unwrap()).unwrap()
}

const DASHBOARDS: [&str; 3] = ["pipeline", "model", "llm"];

/// What Prometheus calls the series of an instrument.
fn series(instrument: &dyn Instrument) -> Vec<String> {
    let name = instrument.about().prometheus_name(instrument.kind());
    match instrument.kind() {
        Kind::Histogram => ["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")).to_vec(),
        Kind::Counter | Kind::Gauge => vec![name],
    }
}

/// Every rule of the file, as its objects.
fn rules() -> Vec<Value> {
    let groups = yaml("telemetry/rules.yml");
    let groups = groups["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every expression that a dashboard or a rule asks by, and where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = rules()
        .iter()
        .map(|rule| (rule["record"].as_str().or(rule["alert"].as_str()).unwrap().to_owned(), text(&rule["expr"])))
        .collect();
    for name in DASHBOARDS {
        let board: Value = serde_json::from_str(&read(&format!("telemetry/grafana/{name}.json"))).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            let at = format!("{name}: {}", panel["title"]);
            assert!(!text(&panel["description"]).is_empty(), "{at} says what it is for");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{at} shows something");
            all.extend(targets.iter().map(|target| (at.clone(), text(&target["expr"]))));
        }
    }
    all
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The names within an expression, without what stands in quotes.
fn names(expression: &str) -> BTreeSet<&str> {
    let unquoted = expression.split('"').step_by(2);
    let words = unquoted.flat_map(|part| part.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c))));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.contains(['_', ':'])).collect()
}

/// Functions and words of PromQL that have an underscore.
const FUNCTIONS: [&str; 2] = ["histogram_quantile", "min_over_time"];

#[test]
fn dashboards_and_rules_ask_only_for_what_there_is() {
    let mut known: BTreeSet<String> = ALL.iter().flat_map(|instrument| series(*instrument)).collect();
    known.extend(ALL.iter().flat_map(|instrument| instrument.labels()).map(|label| label_name(label)));
    known.extend(rules().iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned)));
    let mut asked = BTreeSet::new();
    let expressions = expressions();
    for (at, expression) in &expressions {
        for name in names(expression).into_iter().filter(|name| !FUNCTIONS.contains(name)) {
            assert!(known.contains(name), "{at} asks for {name}, which there is not: {expression}");
            asked.insert(name);
        }
    }
    for instrument in ALL {
        let shown = series(*instrument).iter().any(|series| asked.contains(series.as_str()));
        assert!(shown, "nobody looks at {}: leave it out, or show it", instrument.about().name);
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let mut alerts = BTreeSet::new();
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let name = text(&rule["alert"]);
        let annotations = &rule["annotations"];
        assert_eq!(annotations["runbook"], format!("deploy/runbooks/{name}.md"));
        assert!(!text(&annotations["summary"]).is_empty(), "{name}");
        assert!(["page", "ticket"].contains(&text(&rule["labels"]["severity"]).as_str()), "{name}");
        let runbook = read(&format!("runbooks/{name}.md"));
        assert!(runbook.starts_with(&format!("# {name}\n")), "{name}");
        for part in ["## What it means", "## How to look", "## What to do"] {
            let (_, rest) = runbook.split_once(part).unwrap_or_else(|| panic!("{name} lacks {part}"));
            assert!(rest.trim_start().starts_with(|c: char| c != '#'), "{name}: {part} is empty");
        }
        alerts.insert(format!("{name}.md"));
    }
    let files = fs::read_dir(deploy("runbooks")).unwrap();
    let files: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, alerts);
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let Ok(version) = Command::new("promtool").arg("--version").output() else {
        eprintln!("SKIPPED: promtool is not installed (Debian: apt-get install prometheus)");
        return;
    };
    assert!(version.status.success());
    for (what, file) in [("check", "telemetry/rules.yml"), ("test", "telemetry/rules.test.yml")] {
        let output = Command::new("promtool").args([what, "rules"]).arg(deploy(file)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what} {file}: {said}");
    }
    let config = deploy("telemetry/prometheus.yml");
    let output = Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(config).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_page_of_metrics_is_current() {
    assert!(read("metrics.md") == table(), "deploy/metrics.md is not current: run `just metrics`");
    let mut names = BTreeSet::new();
    for instrument in ALL {
        let about = instrument.about();
        assert!(names.insert(about.name), "{} stands twice in the list", about.name);
        assert!(about.description.ends_with(|c: char| !c.is_whitespace()), "{}", about.name);
        assert!(instrument.labels().len() <= 4, "{} has more labels than a person can read", about.name);
    }
}

fn submission(pull_request: u32, diff: String) -> v1::SubmitDeploymentRequest {
    v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request,
        title: "A title that nobody logs".to_owned(),
        change: Some(Change::Diff(diff)),
        ..Default::default()
    }
}

async fn explained(fleet: &Fleet, request: v1::SubmitDeploymentRequest) -> String {
    let id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    eventually("the explanation", async || {
        let request = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
        let found = fleet.client().get_deployment(request).await.ok()?.into_inner();
        (found.progress() == v1::Progress::Explained).then_some(())
    })
    .await;
    id
}

/// The metric families of all services, as Prometheus reads them.
async fn scraped(fleet: &Fleet) -> BTreeSet<String> {
    let mut families = BTreeSet::new();
    for service in SERVICES {
        let (status, page) = http(fleet.admin(service), "GET /metrics", "", "").await.unwrap();
        assert_eq!(status, 200, "{service}");
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        families.extend(types.filter_map(|line| line.split(' ').next()).map(str::to_owned));
    }
    families
}

/// What this test brings about none of: a model's answers, and a hundred deployments. Tests of their own do.
const NOT_HERE: [&str; 3] = ["gen_ai_client_token_usage", "failsafe_model_drift", "failsafe_verdict_missing_total"];

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_shows_every_metric_that_is_listed_and_no_other() {
    let fleet = Fleet::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]).await;
    explained(&fleet, submission(7, diffs::migration("orders"))).await;
    let listed: BTreeSet<String> = ALL.iter().map(|one| one.about().prometheus_name(one.kind())).collect();
    eventually("all metrics", async || {
        let shown = scraped(&fleet).await;
        let missing: Vec<_> = listed.difference(&shown).filter(|name| !NOT_HERE.contains(&name.as_str())).collect();
        missing.is_empty().then_some(())
    })
    .await;
    let shown = scraped(&fleet).await;
    let unknown: Vec<_> = shown.difference(&listed).filter(|name| *name != "target_info").collect();
    assert!(unknown.is_empty(), "{unknown:?}");

    let accept = "Accept: application/openmetrics-text; version=1.0.0";
    let (_, page) = http(fleet.admin("decision"), "GET /metrics", accept, "").await.unwrap();
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(page.contains("\n# TYPE failsafe_verdicts counter\n"), "{page}");
    let of_verdicts = |line: &&str| line.starts_with("failsafe_verdict_duration_seconds_bucket{");
    let exemplars = page.lines().filter(of_verdicts).filter(|line| line.contains(" # {trace_id=\"")).count();
    assert_eq!(exemplars, 1, "{page}");
    let verdict = "failsafe_verdicts_total{cause=\"complete\",verdict=\"BLOCK\"} 1\n";
    assert!(page.contains(verdict), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drift_of_each_feature_is_shown_once_there_are_a_hundred_deployments() {
    let mut fleet = Fleet::servers(&[]).await;
    fleet.spawn("ml-scoring");
    fleet.serving("ml-scoring").await;
    let jetstream = fleet.jetstream().await;
    for number in 1..=100 {
        let accepted = deployment(number);
        jetstream.publish(accepted.subject(), accepted.encode().into()).await.unwrap().await.unwrap();
        if number == 99 {
            // Fewer say nothing.
            eventually("99 scores", async || {
                let (_, page) = http(fleet.admin("ml-scoring"), "GET /metrics", "", "").await?;
                let scored = page.lines().find(|line| line.starts_with("failsafe_model_risk_count"))?;
                scored.ends_with(" 99").then(|| assert!(!page.contains("failsafe_model_drift"), "{page}"))
            })
            .await;
        }
    }
    let shown = eventually("the drift", async || {
        let (_, page) = http(fleet.admin("ml-scoring"), "GET /metrics", "", "").await?;
        let lines = page.lines().filter(|line| line.starts_with("failsafe_model_drift{"));
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        (!lines.is_empty()).then_some(lines)
    })
    .await;
    let of = |feature: &str| {
        let label = format!("failsafe_model_feature=\"{feature}\"");
        let line = shown.iter().find(|line| line.contains(&label)).unwrap_or_else(|| panic!("{feature}: {shown:#?}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    // A hundred times the same is far from what the model learnt from.
    assert!(of("files_changed") > 0.25, "{shown:#?}");
    assert!(shown.iter().all(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() >= 0.0), "{shown:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_no_metrics_is_told_of_once_and_takes_traces() {
    let receiver = Receiver::start_for_traces().await;
    let mut fleet = Fleet::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .await;
    let notice = "the collector takes no metrics";
    eventually("the notice", async || fleet.logged("ingest").contains(notice).then_some(())).await;
    explained(&fleet, submission(7, diffs::harmless("orders"))).await;
    eventually("its spans", async || receiver.all().iter().any(|span| span.service == "ingest").then_some(())).await;
    // What is left is sent at the end, metrics among it.
    assert_eq!(fleet.terminate("ingest").await, Some(0));
    let log = fleet.logged("ingest");
    assert_eq!(log.matches(notice).count(), 1, "{log}");
    assert!(!log.contains("not exported") && !log.contains("Unimplemented"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_counts_for_nothing_is_not_counted() {
    let fleet = Fleet::start(&[]).await;
    let id = explained(&fleet, submission(7, diffs::worth_a_look())).await;
    let review = |decision: v1::ReviewDecision, reviewer: &str| v1::ReviewDeploymentRequest {
        deployment_id: id.clone(),
        decision: decision.into(),
        reviewer: reviewer.to_owned(),
        why: "I looked at it".to_owned(),
        ..Default::default()
    };
    let decided = async |number: usize| {
        eventually("the verdict that follows", async || {
            let request = v1::GetDeploymentRequest { deployment_id: id.clone(), ..Default::default() };
            let found = fleet.client().get_deployment(request).await.ok()?.into_inner();
            (found.verdicts.len() == number).then(|| found.verdicts[0].judgement.clone().unwrap())
        })
        .await
    };
    fleet.client().review_deployment(review(v1::ReviewDecision::Approved, "ann")).await.unwrap();
    assert_eq!(decided(2).await.verdict(), v1::Verdict::Allow);
    // The policy has no emergency: the approval stands, and this one counts for nothing.
    fleet.client().review_deployment(review(v1::ReviewDecision::Emergency, "bob")).await.unwrap();
    let judged = decided(3).await;
    assert!(judged.overruled.is_some() && judged.reasons.iter().any(|one| one.rule == "review.void"), "{judged:?}");
    let (_, page) = http(fleet.admin("decision"), "GET /metrics", "", "").await.unwrap();
    for (decision, count) in [("approved", 1), ("emergency", 0), ("rejected", 0)] {
        let line = format!("failsafe_reviews_total{{decision=\"{decision}\"}} {count}\n");
        assert!(page.contains(&line), "{line}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_ready_only_with_the_bus_and_the_database_and_says_what_it_lacks() {
    let mut fleet = Fleet::start(&[]).await;
    for service in SERVICES {
        let ready = http(fleet.admin(service), "GET /readyz", "", "").await.unwrap();
        assert_eq!(ready, (200, format!("{service}: SERVING\n")));
    }
    fleet.postgres.kill().await.unwrap();
    not_ready(&fleet, "decision", "PostgreSQL is away").await;
    fleet.nats.kill().await.unwrap();
    for service in SERVICES {
        not_ready(&fleet, service, "the connection to NATS is lost").await;
        assert_eq!(http(fleet.admin(service), "GET /healthz", "", "").await.unwrap().0, 200, "it still lives");
    }
}

async fn not_ready(fleet: &Fleet, service: &str, why: &str) {
    eventually(&format!("{service} says: {why}"), async || {
        let (status, said) = http(fleet.admin(service), "GET /readyz", "", "").await?;
        (status == 503 && said.contains(why) && said.starts_with(service)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_is_changed_while_the_process_runs() {
    let fleet = Fleet::start(&[]).await;
    let admin = fleet.admin("ingest");
    let (status, before) = http(admin, "GET /log", "", "").await.unwrap();
    assert_eq!((status, before.contains("info")), (200, true), "{before}");
    assert_eq!(http(admin, "PUT /log", "", "ingest=off").await.unwrap(), (200, "ingest=off\n".to_owned()));
    assert_eq!(http(admin, "PUT /log", "", "ingest=loud").await.unwrap().0, 400);
    let of_a_page = http(admin, "PUT /log", &format!("Origin: http://{admin}"), "trace").await.unwrap();
    assert_eq!(of_a_page.0, 403, "no page of a browser changes it, whatever its name means: {}", of_a_page.1);
    let silent = explained(&fleet, submission(1, diffs::harmless("orders"))).await;
    assert_eq!(http(admin, "PUT /log", "", "info").await.unwrap().0, 200);
    let told = explained(&fleet, submission(2, diffs::harmless("orders"))).await;
    let log = fleet.logged("ingest");
    assert!(!log.contains(&silent) && log.contains(&told), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_says_of_a_deployment_one_line_that_reads_alone_and_nothing_of_its_diff() {
    let fleet = Fleet::start(&[]).await;
    let key = ["AKIA", "Z7QD3MWV5XKN2PLT"].concat();
    let diff = format!(
        "--- a/settings.py\n+++ b/settings.py\n@@ -1 +1,2 @@\n import os\n+aws_access_key_id = \"{key}\"  # Zaubertrank\n"
    );
    let id = explained(&fleet, submission(3, diff)).await;
    let mut traces = BTreeSet::new();
    for service in SERVICES {
        let log = fleet.logged(service);
        for word in [&key, "Zaubertrank", "A title that nobody logs", "import os"] {
            assert!(!log.contains(word), "{service} logs {word:?}: {log}");
        }
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let about: Vec<&Value> =
            lines.iter().filter(|line| line["deployment.id"] == id && line["level"] == "INFO").collect();
        assert_eq!(about.len(), 1, "{service}: {about:#?}");
        assert_eq!(about[0]["trace_id"].as_str().map(str::len), Some(32), "{service}: {about:#?}");
        traces.insert(text(&about[0]["trace_id"]));
        assert_eq!(about[0]["service"], service, "{about:#?}");
        assert!(!text(&about[0]["message"]).is_empty(), "{about:#?}");
    }
    assert_eq!(traces.len(), 1, "nobody exports the trace, and it is passed on all the same");
}
