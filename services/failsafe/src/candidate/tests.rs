use std::path::PathBuf;

use super::*;

fn options() -> cli::Candidate {
    cli::Candidate {
        base: None,
        head: None,
        git: PathBuf::from("/no/such/clone"),
        diff: None,
        repository: None,
        pull_request: None,
        revision: None,
        title: None,
        author: None,
        labels: Vec::new(),
        environment: String::new(),
        no_history: false,
    }
}

/// What a CI with these variables says: repository, number, head, the first base, base branch, branch, title and author.
#[track_caller]
fn check(variables: &[(&str, &str)], expected: [&str; 8]) {
    let ci = Ci::recognise(&Environment::of(variables)).unwrap().unwrap();
    let text = |told: &Option<Told<String>>| told.as_ref().map(|told| told.value.clone()).unwrap_or_default();
    let got = [
        text(&ci.repository),
        ci.pull_request.map(|told| told.value.to_string()).unwrap_or_default(),
        text(&ci.head),
        ci.bases.first().map(|told| told.value.clone()).unwrap_or_default(),
        text(&ci.base_branch),
        text(&ci.branch),
        text(&ci.title),
        text(&ci.author),
    ];
    assert_eq!(got, expected, "{}", ci.name);
}

fn event(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

const PULL_REQUEST: &str = r#"{"action":"synchronize","pull_request":{"number":107,"title":"Archive orders","user":{"login":"jonas"},
  "base":{"ref":"main","sha":"aaaaaaa"},"head":{"ref":"orders","sha":"bbbbbbb"},"labels":[{"name":"migration"}],
  "created_at":"2026-11-18T09:00:00Z","changed_files":3}}"#;

#[test]
fn every_ci_names_the_pull_request_in_its_own_variables() {
    let file = event(PULL_REQUEST);
    check(
        &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_EVENT_PATH", file.path().to_str().unwrap()),
        ],
        ["acme/shop", "107", "bbbbbbb", "refs/remotes/origin/main", "main", "orders", "Archive orders", "jonas"],
    );
    let queue = event(
        r#"{"merge_group":{"head_sha":"ccccccc","head_ref":"refs/heads/gh-readonly-queue/main/pr-107-aaaaaaa",
            "base_sha":"aaaaaaa","base_ref":"refs/heads/main"}}"#,
    );
    check(
        &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_EVENT_PATH", queue.path().to_str().unwrap()),
        ],
        ["acme/shop", "107", "ccccccc", "aaaaaaa", "main", "", "", ""],
    );
    check(
        &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REF", "refs/pull/107/merge"),
            ("GITHUB_BASE_REF", "main"),
            ("GITHUB_HEAD_REF", "orders"),
        ],
        ["", "107", "", "refs/remotes/origin/main", "main", "orders", "", ""],
    );
    check(
        &[
            ("GITLAB_CI", "true"),
            ("CI_PROJECT_PATH", "fork/shop"),
            ("CI_MERGE_REQUEST_PROJECT_PATH", "acme/shop"),
            ("CI_MERGE_REQUEST_IID", "107"),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "aaaaaaa"),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", ""),
            ("CI_COMMIT_SHA", "bbbbbbb"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "orders"),
            ("CI_MERGE_REQUEST_TITLE", "Archive orders"),
            ("GITLAB_USER_LOGIN", "jonas"),
        ],
        ["acme/shop", "107", "bbbbbbb", "aaaaaaa", "main", "orders", "Archive orders", "jonas"],
    );
    check(
        &[
            ("JENKINS_URL", "https://jenkins.example.org/"),
            ("CHANGE_ID", "107"),
            ("CHANGE_URL", "https://github.com/acme/shop/pull/107"),
            ("CHANGE_TARGET", "main"),
            ("CHANGE_BRANCH", "orders"),
            ("CHANGE_TITLE", "Archive orders"),
            ("CHANGE_AUTHOR", "jonas"),
        ],
        ["acme/shop", "107", "", "refs/remotes/origin/main", "main", "orders", "Archive orders", "jonas"],
    );
    check(
        &[
            ("ghprbPullId", "107"),
            ("ghprbGhRepository", "acme/shop"),
            ("ghprbActualCommit", "bbbbbbb"),
            ("ghprbTargetBranch", "main"),
            ("ghprbSourceBranch", "orders"),
            ("ghprbPullTitle", "Archive orders"),
            ("ghprbPullAuthorLogin", "jonas"),
        ],
        ["acme/shop", "107", "bbbbbbb", "refs/remotes/origin/main", "main", "orders", "Archive orders", "jonas"],
    );
    check(
        &[
            ("BUILDKITE", "true"),
            ("BUILDKITE_REPO", "git@github.com:acme/shop.git"),
            ("BUILDKITE_PULL_REQUEST", "107"),
            ("BUILDKITE_COMMIT", "bbbbbbb"),
            ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main"),
            ("BUILDKITE_BRANCH", "orders"),
            ("BUILDKITE_BUILD_AUTHOR", "jonas"),
        ],
        ["acme/shop", "107", "bbbbbbb", "refs/remotes/origin/main", "main", "orders", "", "jonas"],
    );
    check(
        &[("BUILDKITE", "true"), ("BUILDKITE_PULL_REQUEST", "false"), ("BUILDKITE_COMMIT", "HEAD")],
        ["", "", "", "", "", "", "", ""],
    );
    assert!(Ci::recognise(&Environment::of(&[("CI", "true")])).unwrap().is_none());
}

#[test]
fn a_file_that_is_no_event_is_named() {
    let environment = Environment::of(&[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", "/no/such/event.json")]);
    let error = format!("{:#}", Ci::recognise(&environment).unwrap_err());
    assert!(error.contains("GITHUB_EVENT_PATH /no/such/event.json"), "{error}");
}

/// A diff in a file, and options that name it.
fn of_diff() -> (tempfile::NamedTempFile, cli::Candidate) {
    let file = event("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n");
    let diff = Some(file.path().to_owned());
    (file, cli::Candidate { diff, ..options() })
}

#[test]
fn all_that_is_missing_is_named_with_its_flag_and_the_variables_that_were_looked_for() {
    let (_file, options) = of_diff();
    let refused =
        |variables: &[(&str, &str)]| format!("{:#}", collect(&options, &Environment::of(variables)).unwrap_err());
    let error = refused(&[]);
    for part in
        ["--repository acme/shop", "GITHUB_REPOSITORY", "--pull-request 107", "CI_MERGE_REQUEST_IID", "CHANGE_ID"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = refused(&[("GITLAB_CI", "true"), ("CI_PROJECT_PATH", "acme/shop")]);
    assert!(
        error.contains("merge request pipeline") && !error.contains("GITHUB") && !error.contains("--repository"),
        "{error}"
    );
}

#[test]
fn flags_go_before_the_ci_and_what_was_found_is_told() {
    let file = event(PULL_REQUEST);
    let path = file.path().to_str().unwrap();
    let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/shop"), ("GITHUB_EVENT_PATH", path)];
    let (_diff, mut options) = of_diff();
    options.title = Some("Another".to_owned());
    let collected = collect(&options, &Environment::of(&github)).unwrap();
    let request = &collected.request;
    assert_eq!(
        (request.repository.as_str(), request.pull_request, request.revision.as_str()),
        ("acme/shop", 107, "bbbbbbb")
    );
    assert_eq!(
        (request.title.as_str(), request.author.as_str(), &request.labels[..]),
        ("Another", "jonas", &["migration".to_owned()][..])
    );
    assert!(collected.found.contains(&("author", "jonas".to_owned(), "GITHUB_EVENT_PATH, pull_request")));
    assert!(!collected.found.iter().any(|(name, ..)| *name == "title"), "{:?}", collected.found);
}

#[test]
fn what_a_ci_says_of_another_pull_request_is_left_alone() {
    let file = event(PULL_REQUEST);
    let path = file.path().to_str().unwrap();
    let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/shop"), ("GITHUB_EVENT_PATH", path)];
    let (_diff, mut options) = of_diff();
    (options.repository, options.pull_request) = (Some("acme/shop".to_owned()), Some(7));
    let request = collect(&options, &Environment::of(&github)).unwrap().request;
    assert_eq!((request.revision.as_str(), request.title.as_str(), request.author.as_str()), ("", "", ""));
}

#[test]
fn without_a_diff_and_a_clone_there_is_nothing_to_submit() {
    let error = format!("{:#}", collect(&options(), &Environment::default()).unwrap_err());
    assert!(error.contains("/no/such/clone is no git clone") && error.contains("--diff"), "{error}");
}
