//! `failsafe model`: a model is trained, read, measured and published from the command line.

use std::path::Path;
use std::process::Output;

use harness::{Fleet, binary, eventually};
use proto::v1;
use proto::v1::signal::Said;
use proto::v1::submit_deployment_request::Change;
use tokio::process::Command;

use crate::diffs;

async fn model(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary("failsafe")).arg("model").args(arguments).current_dir(folder).output().await.unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Rows of one made-up service: what touches many files fails more often.
fn rows(labelled: bool) -> String {
    let mut csv =
        "id,project,time,nf,la,ld,ns,entropy,new_files,binary_files,migration,deps,deps_only,config,docs_only,\
                   tests_only,test_churn_share"
            .to_owned();
    csv.push_str(if labelled { ",label\n" } else { "\n" });
    for row in 0..600_u32 {
        let files = 1 + row * 7 % 40;
        let failed = (row * 31 % 97) < files;
        csv.push_str(&format!(
            "r{row},shop,{},{files},{},3,2,1.0,0,0,0,0,0,0,0,0,0.1",
            1_600_000_000 + row,
            files * 10
        ));
        csv.push_str(if labelled { if failed { ",1\n" } else { ",0\n" } } else { "\n" });
    }
    csv
}

#[tokio::test]
async fn a_model_is_trained_shown_and_measured_and_its_page_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.csv"), rows(true)).unwrap();
    let trained =
        model(folder.path(), &["train", "--data", "rows.csv", "--name", "shop-1", "--out", "shop.json"]).await;
    assert!(text(&trained).contains("learned from 600 deployments of 1 service"), "{trained:?}");

    let shown = model(folder.path(), &["show", "--model", "shop.json"]).await;
    assert!(text(&shown).contains("files_changed"), "{shown:?}");

    let arguments =
        ["evaluate", "--data", "rows.csv", "--model", "shop.json", "--out", "predictions.csv", "--html", "report.html"];
    let measured = text(&model(folder.path(), &arguments).await);
    for expected in ["on 600 deployments", "lines added alone", "riskiest", "Predicted over observed"] {
        assert!(measured.contains(expected), "{expected}: {measured}");
    }
    let predictions = std::fs::read_to_string(folder.path().join("predictions.csv")).unwrap();
    let lines: Vec<&str> = predictions.lines().collect();
    assert_eq!((lines[0], lines.len()), ("id,probability", 601));
    let (id, probability) = lines[1].split_once(',').unwrap();
    assert!(id == "r0" && (0.0..1.0).contains(&probability.parse::<f64>().unwrap()), "{}", lines[1]);
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 5);
    for outside in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "the page needs {outside}");
    }
}

#[tokio::test]
async fn rows_without_outcomes_are_predicted_and_not_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.csv"), rows(false)).unwrap();
    let measured = model(folder.path(), &["evaluate", "--data", "rows.csv", "--out", "predictions.csv"]).await;
    assert!(text(&measured).contains("needs a column `label`"), "{measured:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("predictions.csv")).unwrap().lines().count(), 601);

    for (arguments, expected) in [
        (vec!["train", "--data", "rows.csv", "--out", "x.json"], "600 rows have no label"),
        (vec!["evaluate", "--data", "nowhere.csv"], "cannot read nowhere.csv"),
        (vec!["show", "--model", "rows.csv"], "the model rows.csv: is no model"),
    ] {
        let refused = model(folder.path(), &arguments).await;
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && error.contains(expected), "{arguments:?}: {error}");
    }
}

/// What scored the deployment, and in whose shadow.
async fn scored(fleet: &Fleet, number: u32) -> (String, Option<v1::Shadow>) {
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: number,
        change: Some(Change::Diff(diffs::harmless(&format!("file{number}")))),
        ..Default::default()
    };
    let deployment_id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    eventually("the score", async || {
        let request = v1::GetDeploymentRequest { deployment_id: deployment_id.clone(), ..Default::default() };
        let known = fleet.client().get_deployment(request).await.ok()?.into_inner();
        let signal = known.signals.into_iter().find(|signal| signal.source() == v1::Source::MlScoring)?;
        let Some(Said::RiskScore(score)) = signal.said else { panic!("no score: {signal:?}") };
        Some((signal.basis, score.shadow))
    })
    .await
}

/// Submits until a deployment is scored by a model whose basis begins so.
async fn scored_by(fleet: &Fleet, numbers: &mut impl Iterator<Item = u32>, beginning: &str) -> Option<v1::Shadow> {
    eventually(&format!("{beginning} scores"), async || {
        let (basis, shadow) = scored(fleet, numbers.next().unwrap()).await;
        basis.starts_with(beginning).then_some(shadow)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_model_scores_without_a_restart_and_can_be_rolled_back() {
    let fleet = Fleet::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.csv"), rows(true)).unwrap();
    for name in ["shop-1", "shop-2"] {
        let out = format!("{name}.json");
        text(&model(folder.path(), &["train", "--data", "rows.csv", "--name", name, "--out", &out]).await);
    }
    let run =
        async |arguments: &[&str]| model(folder.path(), &[arguments, &["--nats-url", fleet.nats.url()]].concat()).await;
    let mut numbers = 1..;
    scored_by(&fleet, &mut numbers, "default-").await;

    assert!(text(&run(&["publish", "shop-1.json"]).await).contains("shop-1+"));
    scored_by(&fleet, &mut numbers, "shop-1+").await;
    text(&run(&["publish", "shop-2.json", "--shadow"]).await);
    let shadow = eventually("the shadow scores", async || {
        scored_by(&fleet, &mut numbers, "shop-1+").await.filter(|shadow| shadow.basis.starts_with("shop-2+"))
    })
    .await;
    assert!((0.0..=1.0).contains(&shadow.risk));

    // What is no model is refused before anybody scores with it.
    std::fs::write(folder.path().join("bad.json"), "{\"format\": 9}").unwrap();
    let refused = run(&["publish", "bad.json"]).await;
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("bad.json: has format 9"), "{error}");

    text(&run(&["publish", "shop-2.json"]).await);
    scored_by(&fleet, &mut numbers, "shop-2+").await;
    assert!(text(&run(&["rollback"]).await).contains("shop-1+"));
    scored_by(&fleet, &mut numbers, "shop-1+").await;
    assert!(text(&run(&["rollback"]).await).contains("its own model"));
    text(&run(&["publish", "--none", "--shadow"]).await);
    eventually("nothing is in the shadow", async || {
        scored_by(&fleet, &mut numbers, "default-").await.is_none().then_some(())
    })
    .await;
    let listed = text(&run(&["published"]).await);
    assert_eq!(listed.lines().count(), 6, "{listed}");
}
