//! Comparing commits of real repositories, with the program git, here and from afar.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use domain::diff;

use super::*;

/// A folder with a repository `shop`, whose commits do what a hostile sender might think of; gone when it is dropped.
struct Forge {
    folder: tempfile::TempDir,
    base: String,
    head: String,
}

impl Forge {
    fn new(format: &str) -> Self {
        let mut forge = Self { folder: tempfile::tempdir().unwrap(), base: String::new(), head: String::new() };
        fs::create_dir(forge.shop()).unwrap();
        forge.git(&["init", "--quiet", &format!("--object-format={format}")]);
        forge.write("src/main.rs", "fn main() {}\n".repeat(30));
        forge.write("latin", b"caf\xe9\n");
        forge.write(".gitattributes", "* diff=lie\n");
        forge.base = forge.commit();
        fs::rename(forge.shop().join("src/main.rs"), forge.shop().join("src/start.rs")).unwrap();
        forge.write("src/start.rs", "fn main() {}\n".repeat(30) + "const KEY: &str = \"1\";\n");
        forge.write("latin", b"caf\xe9s\n");
        forge.write(".gitattributes", "* -diff binary\n");
        forge.head = forge.commit();
        forge
    }

    fn shop(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.shop()).args(arguments);
        command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
            command.env_remove(name);
        }
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.shop().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn config(&self) -> Config {
        let root = self.folder.path().to_str().unwrap().to_owned();
        Config { git_repositories: vec![format!("file://{root}"), root], ..Config::default() }
    }

    /// The shop by its path and by its address.
    fn ways(&self) -> [String; 2] {
        let path = self.shop().to_str().unwrap().to_owned();
        [path.clone(), format!("file://{path}")]
    }

    fn reference(&self, repository: &str) -> GitReference {
        GitReference { repository: repository.to_owned(), base: self.base.clone(), head: self.head.clone() }
    }
}

#[track_caller]
fn check_files(text: &str) {
    let mut files: Vec<_> =
        diff::changes(text).unwrap().into_iter().map(|file| (file.path, file.lines_added)).collect();
    files.sort();
    let expected = [(".gitattributes", 1), ("latin", 1), ("src/start.rs", 1)];
    assert_eq!(files, expected.map(|(path, added)| (path.to_owned(), added)), "{text}");
    assert!(text.contains("+caf\u{fffd}s"), "{text}");
}

async fn refusal(reference: &GitReference, config: &Config) -> String {
    match diff(reference, config).await {
        Err(Unresolved::Refused(violation)) => violation.to_string(),
        other => panic!("{reference:?} was not refused: {other:?}"),
    }
}

#[tokio::test]
async fn two_commits_are_compared_by_path_and_by_address() {
    for format in ["sha1", "sha256"] {
        let forge = Forge::new(format);
        for way in forge.ways() {
            let text = diff(&forge.reference(&way), &forge.config()).await.unwrap();
            check_files(&text);
            let same = GitReference { base: forge.head.clone(), ..forge.reference(&way) };
            assert_eq!(diff(&same, &forge.config()).await.unwrap(), "");
        }
    }
}

#[tokio::test]
async fn no_setting_of_a_repository_hides_or_runs_anything() {
    let forge = Forge::new("sha1");
    let ran = forge.folder.path().join("ran");
    let run = format!("touch {}", ran.display());
    for (key, value) in [
        ("diff.external", run.as_str()),
        ("diff.lie.command", &run),
        ("diff.lie.textconv", &run),
        ("core.fsmonitor", &run),
        ("core.pager", &run),
        ("uploadpack.packObjectsHook", &run),
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.relative", "true"),
        ("diff.context", "0"),
        ("diff.renames", "false"),
        ("diff.wordRegex", "."),
        ("diff.ignoreSubmodules", "all"),
        ("color.ui", "always"),
        ("core.bigFileThreshold", "1"),
        ("core.attributesFile", "/dev/stdin"),
    ] {
        forge.git(&["config", key, value]);
    }
    // A replacement of the head, as if nothing had changed.
    forge.git(&["replace", &forge.head, &forge.base]);
    for way in forge.ways() {
        check_files(&diff(&forge.reference(&way), &forge.config()).await.unwrap());
    }
    assert!(!ran.exists(), "a command of the repository's settings was run");
}

#[tokio::test]
async fn whoever_owns_a_permitted_repository_it_is_read() {
    let forge = Forge::new("sha1");
    // Only root can give a folder away.
    if std::os::unix::fs::chown(forge.shop().join(".git"), Some(65_534), None).is_ok()
        && std::os::unix::fs::chown(forge.shop(), Some(65_534), None).is_ok()
    {
        for way in forge.ways() {
            check_files(&diff(&forge.reference(&way), &forge.config()).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_named() {
    let forge = Forge::new("sha1");
    let tree = forge.git(&["rev-parse", "HEAD^{tree}"]);
    for way in forge.ways() {
        for absent in ["1".repeat(40), tree.clone()] {
            let base = GitReference { base: absent.clone(), ..forge.reference(&way) };
            assert!(refusal(&base, &forge.config()).await.starts_with("git.base: is not a commit"));
            let head = GitReference { head: absent, ..forge.reference(&way) };
            assert!(refusal(&head, &forge.config()).await.starts_with("git.head: is not a commit"));
        }
    }
}

#[tokio::test]
async fn only_permitted_repositories_are_read() {
    let forge = Forge::new("sha1");
    let folder = |name: &str| forge.folder.path().join(name);
    for way in forge.ways() {
        let refusal = refusal(&forge.reference(&way), &Config::default()).await;
        assert!(refusal.starts_with("git.repository: is not below any") && refusal.contains("ingest.git_repositories"));
    }
    // Inside of a repository is not a repository, and a `.git` file may not lead out of what is permitted.
    fs::create_dir(folder("permitted")).unwrap();
    forge.git(&["worktree", "add", "--quiet", folder("permitted/tree").to_str().unwrap()]);
    let root = folder("permitted").to_str().unwrap().to_owned();
    let narrow = Config { git_repositories: vec![format!("file://{root}"), root.clone()], ..Config::default() };
    for scheme in ["", "file://"] {
        let inside = forge.reference(&format!("{scheme}{}", forge.shop().join("src").display()));
        assert_eq!(refusal(&inside, &forge.config()).await, "git.repository: is not a git repository");
        let leads_out = forge.reference(&format!("{scheme}{root}/tree"));
        assert!(refusal(&leads_out, &narrow).await.starts_with("git.repository: keeps its objects outside"));
        check_files(&diff(&leads_out, &forge.config()).await.unwrap());
    }
}

#[tokio::test]
async fn a_diff_that_is_too_long_is_not_read_to_its_end() {
    let mut forge = Forge::new("sha1");
    forge.write("long", "0123456789\n".repeat(200_000));
    forge.head = forge.commit();
    let config = Config { diff_bytes_max: 100_000, ..forge.config() };
    for way in forge.ways() {
        let refusal = refusal(&forge.reference(&way), &config).await;
        assert_eq!(refusal, "git: the diff has more than 100000 bytes (ingest.diff_bytes_max)");
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_worth_another_try() {
    let unreachable = async |reference: &GitReference, config: &Config| match diff(reference, config).await {
        Err(Unresolved::Unreachable(error)) => format!("{error:#}"),
        other => panic!("{reference:?}: {other:?}"),
    };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let address = format!("https://127.0.0.1:{port}/acme/shop");
    let reference = GitReference { repository: address.clone(), base: "1".repeat(40), head: "2".repeat(40) };
    let config = Config { git_repositories: vec![address], git_timeout_ms: 700, ..Config::default() };
    let error = unreachable(&reference, &config).await;
    assert!(error.contains("longer than 700 ms (ingest.git_timeout_ms)"), "{error}");
    drop(silent);
    let error = unreachable(&reference, &Config { git_timeout_ms: 30_000, ..config }).await;
    assert!(error.contains("cannot fetch"), "{error}");
}

#[test]
fn what_a_server_says_is_the_senders_fault_or_nobodys() {
    #[track_caller]
    fn check(stderr: &str, expected: &str) {
        let reference = GitReference { repository: String::new(), base: "1".repeat(40), head: "2".repeat(40) };
        let got = match why_not_fetched(stderr, &reference) {
            Unresolved::Refused(violation) => violation.to_string(),
            Unresolved::Unreachable(error) => format!("again: {error}"),
        };
        assert!(got.starts_with(expected), "{got}\ninstead of\n{expected}");
    }
    let (base, head) = ("1".repeat(40), "2".repeat(40));
    check(&format!("fatal: remote error: upload-pack: not our ref {base}\n"), "git.base: is not a commit");
    check(&format!("fatal: remote error: upload-pack: not our ref {head}\n"), "git.head: is not a commit");
    check(&format!("error: Server does not allow request for unadvertised object {head}\n"), "git.head:");
    check(
        "remote: Repository not found.\nfatal: repository 'x' not found\n",
        "git.repository: cannot be read by the ingest",
    );
    check(
        "fatal: could not read Username for 'https://x': terminal prompts disabled\n",
        "git.repository: cannot be read",
    );
    check("git@x: Permission denied (publickey).\n", "git.repository: cannot be read");
    check("fatal: unable to access 'https://x/': Could not resolve host: x\n", "again: cannot fetch");
    check("fatal: unable to access 'https://x/': The requested URL returned error: 503\n", "again: cannot fetch");
    check("ssh: connect to host x port 22: Connection refused\n", "again: cannot fetch");
    check("", "again: cannot fetch");
}
