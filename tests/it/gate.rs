//! The command line as people, pipelines and git hooks use it to submit: from a clone, by the gate, before a push.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::{Fleet, binary, eventually};
use proto::v1;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) log: String,
}

/// Runs a program with nothing of this environment that a CI would set.
pub(crate) async fn run(mut command: Command, input: &str) -> Ran {
    for (name, _) in std::env::vars().filter(|(name, _)| {
        ["GITHUB_", "GITLAB_", "CI_", "BUILDKITE", "CHANGE_", "JENKINS_", "FAILSAFE", "ACTIONS_"]
            .iter()
            .any(|start| name.starts_with(start))
    }) {
        command.env_remove(name);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    // What fails at once does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), log: text(output.stderr) }
}

pub(crate) fn failsafe(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("failsafe"));
    command.args(arguments).current_dir(folder);
    command
}

/// A repository with a main line and a branch `orders` that is checked out, which holds a migration without a way back.
pub(crate) struct Shop {
    folder: TempDir,
}

impl Shop {
    pub(crate) async fn new() -> Self {
        let shop = Self { folder: embedded::temporary_folder().unwrap() };
        shop.git(&["init", "--quiet", "--initial-branch=main"]).await;
        shop.git(&["remote", "add", "origin", "git@github.com:acme/shop.git"]).await;
        // Attributes that would hide a file from a plain `git diff`.
        shop.commit(".gitattributes", "* -diff\n", "Begin").await;
        shop.commit("README.md", "a shop\n", "Say what it is").await;
        shop.git(&["checkout", "--quiet", "-b", "orders"]).await;
        shop.commit("migrations/0042_orders.up.sql", "ALTER TABLE orders DROP COLUMN legacy;\n", "Drop what is old")
            .await;
        shop
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn git(&self, arguments: &[&str]) -> String {
        git(self.path(), arguments).await
    }

    async fn commit(&self, path: &str, text: &str, message: &str) {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--message", message]).await;
    }

    pub(crate) async fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).await
    }
}

async fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=Jonas", "-c", "user.email=jonas@example.org"];
    let output = Command::new("git").args(identity).args(arguments).current_dir(folder).output().await.unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn server(fleet: &Fleet) -> String {
    format!("http://{}", fleet.gateway())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_submitted_as_ingest_would_compare_it_by_itself() {
    let shop = Shop::new().await;
    let roots = format!("[{:?}]", shop.path().to_str().unwrap());
    let fleet = Fleet::start(&[("FAILSAFE__INGEST__GIT_REPOSITORIES", &roots)]).await;
    let server = server(&fleet);
    let submit =
        ["submit", "--base", "main", "--pull-request", "107", "--wait", "--output", "json", "--server", &server];
    let ran = run(failsafe(shop.path(), &submit), "").await;
    assert_eq!(ran.code, Some(1), "BLOCK: {}", ran.log);
    let known: Value = serde_json::from_str(&ran.out).unwrap();
    let deployment = &known["deployment"];
    assert_eq!(deployment["repository"], "acme/shop");
    assert_eq!(deployment["revision"], json!(shop.head().await));
    assert_eq!((&deployment["title"], &deployment["author"]), (&json!("Drop what is old"), &json!("Jonas")));
    assert_eq!((&deployment["branch"], &deployment["commits"]), (&json!("orders"), &json!(1)));
    // Two changes of the main line came before, and Jonas made both.
    assert_eq!(deployment["history"]["author_changes"], json!(2.0), "{deployment}");
    for part in ["acme/shop", "the remote origin", "the last commit", "2 changes of the main line"] {
        assert!(ran.log.contains(part), "{part}: {}", ran.log);
    }
    let base = shop.git(&["rev-parse", "main"]).await;
    let request = v1::SubmitDeploymentRequest {
        repository: "acme/shop".to_owned(),
        pull_request: 108,
        revision: shop.head().await,
        change: Some(v1::submit_deployment_request::Change::Git(v1::GitReference {
            repository: shop.path().to_str().unwrap().to_owned(),
            base,
            head: shop.head().await,
        })),
        ..Default::default()
    };
    let id = fleet.client().submit_deployment(request).await.unwrap().into_inner().deployment_id;
    let by_ingest = eventually("the comparison of ingest", async || {
        let ran = run(failsafe(shop.path(), &["status", &id, "--output", "json", "--server", &server]), "").await;
        let known: Value = serde_json::from_str(&ran.out).ok()?;
        known["deployment"]["change"]["sha256"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(deployment["change"]["sha256"], json!(by_ingest));
}

#[tokio::test]
async fn what_a_clone_cannot_show_is_told_with_the_remedy() {
    let shop = Shop::new().await;
    let shallow = embedded::temporary_folder().unwrap();
    let address = format!("file://{}", shop.path().display());
    git(shallow.path(), &["clone", "--quiet", "--depth=1", "--no-single-branch", &address, "."]).await;
    let nobody = ["--pull-request", "7", "--repository", "acme/shop", "--server", "http://127.0.0.1:9"];
    let refused = async |folder: &Path, arguments: &[&str]| {
        let ran = run(failsafe(folder, &[&["submit"], arguments, &nobody].concat()), "").await;
        assert_eq!(ran.code, Some(3), "{}", ran.log);
        ran.log
    };
    let log = refused(shallow.path(), &["--base", "main"]).await;
    assert!(log.contains("shallow") && log.contains("fetch-depth: 0") && log.contains("GIT_DEPTH"), "{log}");
    let log = refused(shop.path(), &["--base", "nosuch"]).await;
    assert!(log.contains("nosuch") && log.contains("--base"), "{log}");
    let log = refused(shop.path(), &["--base", "orders"]).await;
    assert!(log.contains("nothing to judge"), "{log}");
    let log = refused(shop.path(), &[]).await;
    assert!(log.contains("--base main") && log.contains("GITHUB_BASE_REF"), "{log}");
    let log = refused(shop.path(), &["--base", "main", "--head", "0123456789012345678901234567890123456789"]).await;
    assert!(log.contains("does not hold the head commit"), "{log}");
}

/// A step of a GitHub workflow: its event, its page and its outputs.
pub(crate) struct Step {
    folder: TempDir,
}

impl Step {
    pub(crate) async fn of(shop: &Shop) -> Self {
        let step = Self { folder: embedded::temporary_folder().unwrap() };
        let event = json!({
            "action": "synchronize",
            "pull_request": {
                "number": 107,
                "title": "Archive [orders](https://evil.example) <img src=x>",
                "user": { "login": "jonas" },
                "base": { "ref": "main", "sha": shop.git(&["rev-parse", "main"]).await },
                "head": { "ref": "orders", "sha": shop.head().await },
                "labels": [{ "name": "migration" }],
                "created_at": "2026-11-18T09:00:00Z",
            },
        });
        std::fs::write(step.file("event.json"), event.to_string()).unwrap();
        std::fs::write(step.file("page.md"), "what another step wrote\n").unwrap();
        step
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives `command` what GitHub's runner sets.
    pub(crate) fn set(&self, command: &mut Command) {
        command
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_EVENT_PATH", self.file("event.json"))
            .env("GITHUB_STEP_SUMMARY", self.file("page.md"))
            .env("GITHUB_OUTPUT", self.file("outputs"));
    }

    async fn gate(&self, shop: &Shop, arguments: &[&str]) -> Ran {
        let mut command = Command::new(binary("failsafe"));
        command.arg("gate").args(arguments).current_dir(shop.path());
        self.set(command.env_clear());
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), log: text(output.stderr) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_in_a_github_workflow_needs_no_flags_and_writes_the_jobs_page() {
    let fleet = Fleet::start(&[]).await;
    let shop = Shop::new().await;
    let step = Step::of(&shop).await;
    // As the checkout of a pull request leaves it: a merge of both, on no branch.
    let head = shop.head().await;
    shop.git(&["checkout", "--quiet", "--detach", "main"]).await;
    shop.git(&["merge", "--quiet", "--no-ff", "--message", "Merge", &head]).await;
    let ran = step.gate(&shop, &["--server", &server(&fleet)]).await;
    assert_eq!(ran.code, Some(1), "BLOCK: {}\n{}", ran.out, ran.log);
    for part in ["BLOCK after", "migrations/0042_orders.up.sql:1", "ALLOW if you"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let annotation = "::error file=migrations/0042_orders.up.sql,line=1,title=BLOCK%3A migration.rollback.missing::";
    assert!(ran.out.contains(annotation), "{}", ran.out);
    assert!(
        ran.log.contains("in GitHub Actions") && ran.log.contains("GITHUB_EVENT_PATH, pull_request"),
        "{}",
        ran.log
    );
    let page = std::fs::read_to_string(step.file("page.md")).unwrap();
    let place = format!(
        "[`migrations/0042_orders.up.sql:1`](<https://github.com/acme/shop/blob/{head}/migrations/0042_orders.up.sql#L1>)"
    );
    for part in
        ["what another step wrote\n", "## ⛔ FailSafe: BLOCK", "by jonas", &place, "**ALLOW if you**", "### Risk"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<img") && !page.contains("](https://evil"), "{page}");
    let outputs = std::fs::read_to_string(step.file("outputs")).unwrap();
    assert!(outputs.starts_with("verdict=BLOCK\ndeployment-id="), "{outputs}");
    // The same once more, for a program.
    let again = step.gate(&shop, &["--server", &server(&fleet), "--output", "json", "--explanation", "0"]).await;
    let known: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((again.code, &known["deployment"]["revision"]), (Some(1), &json!(head)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_never_opens_the_gate_unless_that_was_said() {
    let mut fleet = Fleet::start(&[("FAILSAFE__DECISION__DEADLINE_MS", "1500")]).await;
    let shop = Shop::new().await;
    shop.git(&["checkout", "--quiet", "-B", "words", "main"]).await;
    shop.commit("docs/words.md", "words\n", "Write it down").await;
    fleet.kill("ml-scoring").await;
    let address = server(&fleet);
    let gate = async |arguments: &[&str]| {
        let all = ["gate", "--base", "main", "--pull-request", "9", "--explanation", "0", "--server", &address];
        run(failsafe(shop.path(), &[&all, arguments].concat()), "").await
    };
    let ran = gate(&[]).await;
    assert_eq!(ran.code, Some(2), "REVIEW: {}\n{}", ran.out, ran.log);
    assert!(ran.out.contains("ml-scoring is missing"), "{}", ran.out);
    let ran = gate(&["--on-review", "pass"]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.log);
    assert!(ran.log.contains("--on-unavailable pass would"), "{}", ran.log);
    let ran = gate(&["--on-review", "pass", "--on-unavailable", "pass"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);

    // Nobody there: tried again until the time is over.
    let summary = shop.path().join("failsafe.md");
    let away = ["--timeout", "2", "--server", "http://127.0.0.1:9", "--summary", summary.to_str().unwrap()];
    let base = ["gate", "--base", "main", "--pull-request", "9"];
    let ran = run(failsafe(shop.path(), &[&base[..], &away].concat()), "").await;
    assert_eq!(ran.code, Some(3), "{}", ran.log);
    assert!(ran.log.contains("trying again") && ran.log.contains("no verdict within 2 s"), "{}", ran.log);
    let page = std::fs::read_to_string(&summary).unwrap();
    assert!(page.contains("no verdict") && page.contains("stays shut"), "{page}");
    let ran = run(failsafe(shop.path(), &[&base[..], &away, &["--on-unavailable", "pass"]].concat()), "").await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    assert!(ran.log.contains("OPEN WITHOUT A VERDICT"), "{}", ran.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_waits_for_a_failsafe_that_comes_up_later() {
    let mut fleet = Fleet::start(&[]).await;
    let shop = Shop::new().await;
    fleet.kill("gateway").await;
    let address = server(&fleet);
    let all = ["gate", "--base", "main", "--pull-request", "9", "--explanation", "0", "--server", &address];
    let gate = run(failsafe(shop.path(), &all), "");
    let later = async {
        fleet.spawn("gateway");
        fleet.serving("gateway").await;
    };
    let (ran, ()) = tokio::join!(gate, later);
    assert_eq!(ran.code, Some(1), "BLOCK: {}\n{}", ran.out, ran.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_lets_a_push_through_only_when_the_gate_is_open() {
    let fleet = Fleet::start(&[]).await;
    let shop = Shop::new().await;
    let remote = embedded::temporary_folder().unwrap();
    git(remote.path(), &["init", "--quiet", "--bare"]).await;
    shop.git(&["remote", "set-url", "--push", "origin", remote.path().to_str().unwrap()]).await;
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/hooks");
    shop.git(&["config", "core.hooksPath", hooks.to_str().unwrap()]).await;
    shop.git(&["config", "failsafe.server", &server(&fleet)]).await;
    let programs = binary("failsafe").parent().unwrap().to_owned();
    let push = async |branch: &str| {
        let mut command = Command::new("git");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        command.args(["push", "--quiet", "origin", branch]).current_dir(shop.path()).env("PATH", path);
        run(command, "").await
    };
    let main = push("main").await;
    assert_eq!(main.code, Some(0), "{}", main.log);
    // Without a pull request the rules alone look at it.
    let scanned = push("orders").await;
    assert_eq!(scanned.code, Some(1), "{}", scanned.log);
    assert!(scanned.log.contains("no pull request yet") && scanned.log.contains("(exit 1)"), "{}", scanned.log);
    shop.git(&["config", "branch.orders.failsafe-pull-request", "107"]).await;
    let blocked = push("orders").await;
    assert_eq!(blocked.code, Some(1), "{}", blocked.log);
    assert!(blocked.log.contains("submitting acme/shop #107") && blocked.log.contains("(exit 1)"), "{}", blocked.log);
    shop.git(&["checkout", "--quiet", "-B", "words", "main"]).await;
    shop.commit("docs/words.md", "words\n", "Write it down").await;
    shop.git(&["config", "branch.words.failsafe-pull-request", "108"]).await;
    let allowed = push("words").await;
    assert_eq!(allowed.code, Some(0), "{}", allowed.log);
    assert!(allowed.log.contains("submitting acme/shop #108"), "{}", allowed.log);
    assert_eq!(git(remote.path(), &["rev-parse", "words"]).await, shop.head().await);
}
