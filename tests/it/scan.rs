//! `failsafe scan` as a person and a pipeline use it: over a pipe, in a repository, over files.

use std::path::Path;
use std::process::Stdio;

use harness::binary;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const DIFF: &str = include_str!("../samples/aws-key.diff");

struct Ran {
    code: Option<i32>,
    out: String,
    log: String,
}

async fn scan(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(binary("failsafe"))
        .arg("scan")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A scan that fails at once does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), log: text(output.stderr) }
}

async fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let git = Command::new("git").args(identity).args(arguments).current_dir(folder).output().await.unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
}

#[tokio::test]
async fn a_diff_is_scanned_from_the_standard_input_in_every_format() {
    let folder = embedded::temporary_folder().unwrap();
    let text = scan(folder.path(), &[], DIFF).await;
    assert_eq!(text.code, Some(1), "{}", text.log);
    for expected in ["high  media/settings.py:10:22", "secret.aws.access-key-id", "AKIA…[20]", "1 finding (1 high)"] {
        assert!(text.out.contains(expected), "{expected} is not in:\n{}", text.out);
    }
    let json = scan(folder.path(), &["--format", "json"], DIFF).await;
    let finding: Value = serde_json::from_str(json.out.trim_end()).unwrap();
    assert_eq!((&finding["rule_id"], &finding["line"]), (&"secret.aws.access-key-id".into(), &10.into()));

    let sarif: Value = serde_json::from_str(&scan(folder.path(), &["--format", "sarif"], DIFF).await.out).unwrap();
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    assert_eq!((&sarif["version"], &result["level"]), (&"2.1.0".into(), &"error".into()));
    assert_eq!(run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"media/settings.py".into(), &10.into())
    );

    let github = scan(folder.path(), &["--format", "github"], DIFF).await.out;
    assert!(github.starts_with("::error file=media/settings.py,line=10,col=22,title="), "{github}");
    for out in [text.out, json.out, sarif.to_string(), github] {
        assert!(!out.contains("AKIAQ"), "the key itself is shown: {out}");
    }
}

#[tokio::test]
async fn the_exit_code_says_clean_found_or_failed() {
    let folder = embedded::temporary_folder().unwrap();
    let clean = scan(folder.path(), &[], include_str!("../samples/harmless.diff")).await;
    assert_eq!(clean.code, Some(0), "{}{}", clean.out, clean.log);
    let migration = include_str!("../samples/migration.diff");
    assert_eq!(scan(folder.path(), &["--fail-on", "critical"], migration).await.code, Some(0));
    assert_eq!(scan(folder.path(), &["--fail-on", "high"], migration).await.code, Some(1));
    let failed = scan(folder.path(), &[], "no diff").await;
    assert_eq!(failed.code, Some(2));
    assert!(failed.log.contains("the diff cannot be read"), "{}", failed.log);
    assert_eq!(scan(folder.path(), &["--formt", "json"], DIFF).await.code, Some(2));
    let settings = folder.path().join("settings.toml");
    std::fs::write(&settings, "[static_analysis]\nseverities = { \"secret.aws\" = \"low\" }\n").unwrap();
    let failed = scan(folder.path(), &["--config", "settings.toml"], DIFF).await;
    assert_eq!(failed.code, Some(2));
    assert!(failed.log.contains("static_analysis.severities: there is no rule \"secret.aws\""), "{}", failed.log);
}

#[tokio::test]
async fn a_repository_is_scanned_from_a_base_and_whole_files_with_a_baseline() {
    let folder = embedded::temporary_folder().unwrap();
    let repository = folder.path();
    let key = concat!("key = '", "AKIA", "Q3EGRIPFWTZL7NXB'\n");
    git(repository, &["init"]).await;
    std::fs::write(repository.join("old.py"), key).unwrap();
    git(repository, &["add", "."]).await;
    git(repository, &["commit", "-m", "before"]).await;
    git(repository, &["checkout", "-b", "work"]).await;
    std::fs::write(repository.join("new.py"), key.replace("NXB", "NXC")).unwrap();
    git(repository, &["add", "."]).await;

    let changed = scan(repository, &["--base", "main", "--format", "json"], "").await;
    let paths = |ran: &Ran| -> Vec<String> {
        let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|finding| finding["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((changed.code, paths(&changed)), (Some(1), vec!["new.py".to_owned()]), "{}", changed.log);
    let all = scan(repository, &["--all", "--format", "json"], "").await;
    assert_eq!(paths(&all), ["new.py", "old.py"]);

    assert_eq!(scan(repository, &["--all", "--write-baseline", "known.json"], "").await.code, Some(0));
    let known = scan(repository, &["--all", "--baseline", "known.json"], "").await;
    assert_eq!(known.code, Some(0), "{}", known.out);
    assert!(known.out.contains("2 suppressed"), "{}", known.out);
    let shown = scan(repository, &["--all", "--baseline", "known.json", "--show-suppressed"], "").await;
    assert!(shown.code == Some(0) && shown.out.contains("suppressed by a baseline"), "{}", shown.out);

    let unknown = scan(repository, &["--base", "nowhere"], "").await;
    assert!(unknown.code == Some(2) && unknown.log.contains("nowhere"), "{}", unknown.log);
}
