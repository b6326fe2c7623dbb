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
    failsafe(folder, &[&["scan"], arguments].concat(), input.as_bytes()).await
}

async fn failsafe(folder: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(binary("failsafe"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A scan that fails at once does not read.
    let _ = child.stdin.take().unwrap().write_all(input).await;
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

/// A rule of a team's own, what it finds, and what it does not.
const RULES: &str = "[[rules]]\nid = 'secret.acme.deploy-key'\ntitle = 'Acme deploy key'\ntokens = ['acme_[0-9a-f]{32}']\n\
                     keywords = ['acme_']\nseverity = 'critical'\n\
                     examples = ['key = acme_0123456789abcdef0f1e2d3c4b5a6978']\ncounterexamples = ['key = acme_short']\n";
const ACME: &str = "--- a/x.py\n+++ b/x.py\n@@ -0,0 +1 @@\n+key = acme_0123456789abcdef0f1e2d3c4b5a6979\n";

fn ids(ran: &Ran) -> Vec<String> {
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|finding| finding["rule_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn rules_of_ones_own_come_from_a_flag_the_settings_or_the_repository() {
    let folder = embedded::temporary_folder().unwrap();
    let here = folder.path();
    std::fs::write(here.join("own.toml"), RULES).unwrap();
    std::fs::write(here.join("settings.toml"), "[static_analysis]\nrules_paths = ['own.toml']\n").unwrap();
    let json = ["--format", "json"];
    let expected = ["secret.acme.deploy-key"];
    assert!(!ids(&scan(here, &json, ACME).await).contains(&expected[0].to_owned()));
    assert_eq!(ids(&scan(here, &["--rules", "own.toml", "--format", "json"], ACME).await), expected);
    assert_eq!(ids(&scan(here, &["--config", "settings.toml", "--format", "json"], ACME).await), expected);
    let kept = here.join(".failsafe/rules");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::copy(here.join("own.toml"), kept.join("acme.toml")).unwrap();
    assert!(ids(&scan(here, &json, ACME).await).contains(&expected[0].to_owned()));
    // One file, named twice, holds its rules once.
    assert_eq!(scan(here, &["--rules", ".failsafe/rules/acme.toml"], ACME).await.code, Some(1));
}

#[tokio::test]
async fn the_rules_of_a_repository_take_nothing_away() {
    let folder = embedded::temporary_folder().unwrap();
    let kept = folder.path().join(".failsafe/rules");
    std::fs::create_dir_all(&kept).unwrap();
    let meek = "[[rules]]\nid = 'secret.a.all'\nregex = '.+'\nseverity = 'info'\n[allowlist]\npaths = ['.*']\n\
                [[rules]]\nid = 'secret.b.all'\nregex = '.+'\nseverity = 'info'\n";
    std::fs::write(kept.join("meek.toml"), meek).unwrap();
    let found = scan(folder.path(), &["--format", "json", "--fail-on", "high"], DIFF).await;
    assert_eq!(found.code, Some(1), "{}", found.out);
    assert!(ids(&found).contains(&"secret.aws.access-key-id".to_owned()), "{}", found.out);
    // An id that FailSafe has would hide what its own rule says.
    std::fs::write(kept.join("meek.toml"), meek.replace("secret.a.all", "secret.aws.access-key-id")).unwrap();
    let refused = scan(folder.path(), &[], DIFF).await;
    assert_eq!(refused.code, Some(2));
    for word in ["meek.toml", "\"secret.aws.access-key-id\"", "FailSafe has a rule of this id"] {
        assert!(refused.log.contains(word), "{word}: {}", refused.log);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", kept.join("meek.toml.toml")).unwrap();
        let refused = scan(folder.path(), &[], DIFF).await;
        assert!(refused.code == Some(2) && !refused.log.contains("root:"), "{}", refused.log);
    }
}

#[tokio::test]
async fn a_file_of_rules_is_tried_by_its_own_examples() {
    let folder = embedded::temporary_folder().unwrap();
    let here = folder.path();
    std::fs::write(here.join("own.toml"), RULES).unwrap();
    let tried = failsafe(here, &["rules", "test", "own.toml"], b"").await;
    assert!(tried.code == Some(0) && tried.out.contains("1 rules, 0 failed"), "{}{}", tried.out, tried.log);
    std::fs::write(here.join("own.toml"), RULES.replace("acme_short", "acme_0123456789abcdef0f1e2d3c4b5a6977"))
        .unwrap();
    let tried = failsafe(here, &["rules", "test", "own.toml"], b"").await;
    assert!(tried.code == Some(1) && tried.out.contains("FAILED"), "{}{}", tried.out, tried.log);
    std::fs::write(here.join("own.toml"), RULES.replace("['acme_[", "['acme_([")).unwrap();
    let tried = failsafe(here, &["rules", "test", "own.toml"], b"").await;
    assert!(tried.code == Some(2) && tried.log.contains("own.toml: rule"), "{}{}", tried.out, tried.log);
    assert_eq!(failsafe(here, &["rules", "test"], b"").await.code, Some(2));
    std::fs::write(here.join("own.toml"), RULES).unwrap();
    let shown = failsafe(here, &["rules", "show", "secret.acme.deploy-key", "--rules", "own.toml"], b"").await;
    assert!(shown.code == Some(0) && shown.out.contains("Acme deploy key"), "{}{}", shown.out, shown.log);
}

#[tokio::test]
async fn nothing_is_left_out_without_a_word() {
    let folder = embedded::temporary_folder().unwrap();
    let here = folder.path();
    let empty = scan(here, &[], "\n").await;
    assert!(empty.code == Some(0) && empty.log.contains("the diff is empty"), "{}", empty.log);
    let key = concat!("key = '", "AKIA", "Q3EGRIPFWTZL7NXB'\n");
    // Latin-1, in a diff and in a file; UTF-16 as editors on Windows write it; and what is no text at all.
    let latin = [b"--- a/x.py\n+++ b/x.py\n@@ -0,0 +1 @@\n+caf\xe9 ".as_slice(), key.as_bytes()].concat();
    assert_eq!(failsafe(here, &["scan"], &latin).await.code, Some(1));
    std::fs::write(here.join("latin.py"), [b"caf\xe9 ".as_slice(), key.as_bytes()].concat()).unwrap();
    let wide: Vec<u8> = "\u{feff}".encode_utf16().chain(key.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(here.join("wide.py"), wide).unwrap();
    std::fs::write(here.join("data.bin"), b"a\0b").unwrap();
    std::fs::create_dir(here.join(".git")).unwrap();
    std::fs::write(here.join(".gitignore"), "ignored.py\n").unwrap();
    std::fs::write(here.join("ignored.py"), key).unwrap();
    let all = scan(here, &["--all", "--format", "json"], "").await;
    assert_eq!(ids(&all).len(), 2, "{}", all.out);
    assert!(all.log.contains("1 binary files are left out"), "{}", all.log);
    let binary = "diff --git a/a.bin b/a.bin\nindex 0123456..89abcde 100644\nBinary files a/a.bin and b/a.bin differ\n";
    assert!(scan(here, &[], binary).await.log.contains("of 1 binary files the diff shows nothing"));
    std::fs::remove_dir(here.join(".git")).unwrap();
    let outside = scan(here, &["--base", "main"], "").await;
    assert!(outside.code == Some(2) && outside.log.contains("no git repository"), "{}", outside.log);
}

#[tokio::test]
async fn a_change_cannot_hide_its_files_by_git_attributes() {
    let folder = embedded::temporary_folder().unwrap();
    let here = folder.path();
    git(here, &["init"]).await;
    std::fs::write(here.join("a.py"), "x = 1\n").unwrap();
    git(here, &["add", "."]).await;
    git(here, &["commit", "-m", "before"]).await;
    std::fs::write(here.join(".gitattributes"), "* -diff binary\n").unwrap();
    std::fs::write(here.join("a.py"), concat!("key = '", "AKIA", "Q3EGRIPFWTZL7NXB'\n")).unwrap();
    let found = scan(here, &["--base", "main", "--format", "json"], "").await;
    assert_eq!(ids(&found), ["secret.aws.access-key-id"], "{}", found.log);
}
