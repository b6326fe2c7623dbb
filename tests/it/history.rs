//! A repository's past: read from a clone, kept from deployment to deployment, and over a restart.

use std::path::Path;
use std::process::Output;

use harness::{Fleet, binary, eventually};
use proto::Event;
use proto::v1;
use proto::v1::signal::Said;
use proto::v1::submit_deployment_request::Change;
use tokio::process::Command;

/// How many pull requests the repository of these tests has merged, the revert apart.
const MERGED: u32 = 24;

async fn failsafe(arguments: &[&str]) -> Output {
    Command::new(binary("failsafe")).args(arguments).output().await.unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn git(folder: &Path, day: u32, author: &str, arguments: &[&str]) {
    let at = format!("{} +0200", 1_600_000_000 + day * 86_400);
    let email = format!("{author}@example.org");
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .envs([("GIT_AUTHOR_NAME", author), ("GIT_AUTHOR_EMAIL", &email), ("GIT_AUTHOR_DATE", &at)])
        .envs([("GIT_COMMITTER_NAME", "forge"), ("GIT_COMMITTER_EMAIL", "forge@example.org")])
        .env("GIT_COMMITTER_DATE", &at)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository whose pull requests each change `docs/notes.md`; the second to last was taken back by the last.
async fn repository(folder: &Path) {
    git(folder, 0, "ann", &["init", "--quiet"]).await;
    std::fs::create_dir(folder.join("docs")).unwrap();
    std::fs::write(folder.join("docs/notes.md"), "# Notes\nend\n").unwrap();
    git(folder, 0, "ann", &["add", "."]).await;
    git(folder, 0, "ann", &["commit", "--quiet", "-m", "Begin"]).await;
    for number in 1..=MERGED {
        let author = if number % 2 == 0 { "ann" } else { "bob" };
        git(folder, number, author, &["checkout", "--quiet", "-b", "work"]).await;
        std::fs::write(folder.join("docs/notes.md"), format!("# Notes\nnumber {number}\nend\n")).unwrap();
        git(folder, number, author, &["commit", "--quiet", "-am", &format!("Number {number}")]).await;
        git(folder, number, "forge", &["checkout", "--quiet", "main"]).await;
        let message = format!("Merge pull request #{number} from {author}/work\n\nSay number {number}");
        git(folder, number, "forge", &["merge", "--quiet", "--no-ff", "-m", &message, "work"]).await;
        git(folder, number, "forge", &["branch", "--quiet", "-D", "work"]).await;
    }
    let title = format!("Revert \"Say number {MERGED}\" (#{})", MERGED + 1);
    std::fs::write(folder.join("docs/notes.md"), "# Notes\nend\n").unwrap();
    git(folder, MERGED + 1, "bob", &["commit", "--quiet", "-am", &title]).await;
    // So much later that it is known what came of the others.
    std::fs::write(folder.join("README.md"), "# Shop\n").unwrap();
    git(folder, MERGED + 60, "bob", &["add", "."]).await;
    git(folder, MERGED + 60, "bob", &["commit", "--quiet", "-m", &format!("Introduce the shop (#{})", MERGED + 2)])
        .await;
}

#[tokio::test]
async fn a_clone_makes_rows_to_train_with() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path()).await;
    let (clone, out) = (folder.path().to_str().unwrap(), folder.path().join("rows.csv"));
    let said = text(
        &failsafe(&["history", "rows", "--git", clone, "--out", out.to_str().unwrap(), "--project", "shop"]).await,
    );
    assert!(said.starts_with("25 merged pull requests") && said.contains("1 were taken back"), "{said}");
    let rows = std::fs::read_to_string(&out).unwrap();
    let header: Vec<&str> = rows.lines().next().unwrap().split(',').collect();
    let cell = |id: &str, column: &str| {
        let row = rows.lines().find(|row| row.starts_with(&format!("{id},"))).unwrap();
        row.split(',').nth(header.iter().position(|name| *name == column).unwrap()).unwrap().to_owned()
    };
    for (id, column, expected) in [
        ("#24", "label", "1"),
        ("#23", "label", "0"),
        // Too early to tell.
        ("#26", "label", ""),
        ("#24", "nf", "1"),
        ("#24", "la", "1"),
        ("#24", "lt", "3"),
        ("#24", "ndev", "2"),
        ("#24", "age", "1"),
        ("#24", "exp", "12"),
        ("#24", "max_file_changes", "24"),
        ("#24", "repo_prior_prs", "23"),
        ("#24", "n_commits", "1"),
        ("#24", "lead_hours", "0"),
        ("#24", "local_weekday", "2"),
        ("#26", "repo_prior_reverts", "1"),
        ("#26", "author_prior_reverts", "0"),
    ] {
        assert_eq!(cell(id, column), expected, "{id} {column}\n{rows}");
    }

    for (arguments, expected) in [
        (vec!["--git", "/no/such/clone"], "is no git repository"),
        (vec!["--git", clone, "--head", "nobody"], "git finds no \"nobody\""),
    ] {
        let refused = failsafe(&[&["history", "rows", "--out", "x.csv"], &arguments[..]].concat()).await;
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && error.contains(expected), "{error}");
    }
}

/// What a new pull request of bob's that changes the notes is given.
async fn scored(fleet: &Fleet, number: u32, title: &str) -> (String, v1::RiskScore) {
    let diff = "diff --git a/docs/notes.md b/docs/notes.md\n--- a/docs/notes.md\n+++ b/docs/notes.md\n@@ -1,2 +1,3 @@\n # Notes\n+One more line.\n end\n";
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: number,
        title: title.to_owned(),
        author: "bob".to_owned(),
        change: Some(Change::Diff(diff.to_owned())),
        ..Default::default()
    };
    let deployment_id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    let score = eventually("the score", async || {
        let request = v1::GetDeploymentRequest { deployment_id: deployment_id.clone(), ..Default::default() };
        let known = fleet.client().get_deployment(request).await.ok()?.into_inner();
        let signal = known.signals.into_iter().find(|signal| signal.source() == v1::Source::MlScoring)?;
        let Some(Said::RiskScore(score)) = signal.said else { panic!("no score: {signal:?}") };
        Some(score)
    })
    .await;
    (deployment_id, score)
}

fn value(score: &v1::RiskScore, feature: &str) -> Option<f64> {
    score.contributions.iter().find(|contribution| contribution.feature == feature)?.value
}

/// Submits further pull requests until the repository is known so well that this feature has this value.
async fn knows(fleet: &Fleet, numbers: &mut impl Iterator<Item = u32>, feature: &str, expected: f64) -> v1::RiskScore {
    eventually(&format!("{feature} is {expected}"), async || {
        let (_, score) = scored(fleet, numbers.next().unwrap(), "More").await;
        value(&score, feature).is_some_and(|value| (value - expected).abs() < 1e-6).then_some(score)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_past_is_scored_with_grows_with_outcomes_and_survives_a_restart() {
    let mut fleet = Fleet::start(&[]).await;
    let mut numbers = 100..;
    let (_, score) = scored(&fleet, 99, "More").await;
    assert!(score.unknown.contains(&"file_reverts".to_owned()) && score.rank.is_none() && score.lift.is_none());

    let folder = tempfile::tempdir().unwrap();
    repository(folder.path()).await;
    let (clone, url) = (folder.path().to_str().unwrap(), fleet.nats.url().to_owned());
    let import = ["history", "import", "--git", clone, "--repository", "acme/shop", "--nats-url", &url];
    let said = text(&failsafe(&import).await);
    assert!(said.starts_with("27 changes of acme/shop, 1 of them taken back"), "{said}");
    let score = knows(&fleet, &mut numbers, "file_reverts", 1.0).await;
    assert!(score.lift.is_some() && score.rank.is_some_and(|rank| rank.among >= 20), "{score:?}");
    let sum = score.base_log_odds + score.contributions.iter().map(|one| one.log_odds).sum::<f64>();
    assert!((1.0 / (1.0 + (-sum).exp()) - score.risk).abs() < 1e-9, "the contributions do not sum to the risk");

    // An outcome is told, and a revert is submitted: both are failures from now on.
    let (failed, _) = scored(&fleet, 50, "Add carts").await;
    let outcome = domain::Outcome {
        deployment_id: domain::DeploymentId::parse(&failed).unwrap(),
        kind: domain::OutcomeKind::RolledBack,
        detail: String::new(),
        reporter: "argo".to_owned(),
        occurred_at: time::OffsetDateTime::now_utc(),
        request: None,
        recorded_by: String::new(),
    };
    let jetstream = fleet.jetstream().await;
    jetstream.publish(outcome.subject(), outcome.encode().into()).await.unwrap().await.unwrap();
    knows(&fleet, &mut numbers, "file_reverts", 2.0).await;
    scored(&fleet, 51, "Add taxes").await;
    scored(&fleet, 52, "Revert \"Add taxes\"").await;
    knows(&fleet, &mut numbers, "file_reverts", 3.0).await;

    for gently in [true, false] {
        if gently {
            assert_eq!(fleet.terminate("ml-scoring").await, Some(0), "{}", fleet.logged("ml-scoring"));
        } else {
            fleet.kill("ml-scoring").await;
        }
        fleet.spawn("ml-scoring");
        fleet.serving("ml-scoring").await;
        let (_, score) = scored(&fleet, numbers.next().unwrap(), "More").await;
        assert_eq!(value(&score, "file_reverts"), Some(3.0), "{}", fleet.logged("ml-scoring"));
    }
    // What was recorded is there to learn from: 25 of the clone, and those that failed since.
    let out = folder.path().join("own.json");
    let train = ["model", "train", "--recorded", "--out", out.to_str().unwrap(), "--nats-url", &url];
    let refused = failsafe(&train).await;
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("3 of 27 rows failed: at least 30 are needed"), "{error}");
    let trained = text(&failsafe(&[&train[..], &["--synthetic"]].concat()).await).replace('\n', " ");
    assert!(
        trained.contains("learned from 27 deployments of 1 service, 3 of them failed, and from 900 generated"),
        "{trained}"
    );
    let drift = failsafe(&["model", "drift", "--nats-url", &url]).await;
    let said = String::from_utf8(drift.stdout).unwrap();
    assert!(said.contains("on 27 deployments") && said.contains("3 failed where it expected"), "{said}");
    assert_eq!(drift.status.code(), Some(1));
    let drift = failsafe(&["model", "drift", "--nats-url", &url, "--output", "json"]).await;
    let told: serde_json::Value = serde_json::from_slice(&drift.stdout).unwrap();
    assert_eq!((drift.status.code(), &told["train_anew"]), (Some(1), &true.into()), "{told}");
    assert!(told["reasons"][0].is_string() && told["evaluation"]["deployments"].is_u64(), "{told}");
    let drift = failsafe(&["model", "drift", "--nats-url", "nats://127.0.0.1:9"]).await;
    assert_eq!(drift.status.code(), Some(3), "{}", String::from_utf8_lossy(&drift.stderr));

    let listed = text(&failsafe(&["history", "list", "--nats-url", &url]).await);
    assert!(
        listed.contains("acme/shop") && listed.contains("3 failed") && listed.contains("imported up to"),
        "{listed}"
    );
}
