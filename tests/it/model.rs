//! `failsafe model`: a model is trained, read and measured from the command line.

use std::path::Path;
use std::process::Output;

use harness::binary;
use tokio::process::Command;

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
