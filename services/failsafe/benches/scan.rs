//! How fast `failsafe scan` is as a whole program, beside other scanners on the same file where they are installed, how long it takes
//! to the first finding, and that its time grows with its input and not faster. `just bench --bench scan`.
//!
//! The diff is the file that `FAILSAFE_BENCH_DIFF` names; without it, the history of a repository (this one, or the one that
//! `FAILSAFE_BENCH_REPOSITORY` names), repeated until it is long enough. Figures are megabytes per CPU second, user and system together,
//! so that programs with many threads compare.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MEGABYTE: f64 = 1e6;
/// What the file is replaced for in a command line.
const FILE: &str = "{file}";
/// Of how many starts the fastest counts: what else runs on the machine makes single ones slower.
const STARTS: usize = 20;

/// A scanner of diffs.
struct Scanner {
    name: &'static str,
    version: &'static str,
    command: String,
    /// What each of its findings has once in what it prints.
    finding: &'static str,
}

/// Scanners that may be there, and how each is run on a file.
fn peers() -> [Scanner; 3] {
    let scanner =
        |name, version, command: &str, finding| Scanner { name, version, command: command.to_owned(), finding };
    [
        scanner(
            "gitleaks",
            "version",
            "gitleaks stdin --no-banner --log-level fatal --exit-code 0 --report-format json --report-path - < {file}",
            "\"RuleID\"",
        ),
        scanner(
            "kingfisher",
            "--version",
            "kingfisher scan {file} --no-validate --quiet --format jsonl",
            "\"fingerprint\"",
        ),
        scanner("detect-secrets", "--version", "detect-secrets scan {file}", "\"hashed_secret\""),
    ]
}

fn failsafe() -> Scanner {
    Scanner {
        name: "failsafe",
        version: "--version",
        command: format!("{} scan --format json < {FILE}", env!("CARGO_BIN_EXE_failsafe")),
        finding: "\"rule_id\"",
    }
}

fn main() {
    let folder = std::env::temp_dir().join(format!("failsafe-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder can be made");
    println!("{:<46} {:>7} {:>8} {:>8} {:>10} {:>9}", "", "MB", "CPU s", "s", "MB/CPU s", "findings");
    let given = std::env::var_os("FAILSAFE_BENCH_DIFF").map(PathBuf::from);
    let history = given.as_ref().map_or_else(history, |file| text_of(file));
    let diff = given.unwrap_or_else(|| write(&folder, "history.diff", &repeated(&history, 100)));
    report("history", &failsafe(), &diff);
    for peer in peers() {
        match version(&peer) {
            Some(version) => report(&format!("  {} {version} on the same", peer.name), &peer, &diff),
            None => println!("  {:<44} is not installed", peer.name),
        }
    }
    for (what, name, text) in [
        ("history, 200 MB", "twice.diff", repeated(&history, 200)),
        ("one line of 50 MB", "line.diff", one_line(50_000_000)),
        ("a million files of one line", "files.diff", tiny_files(1_000_000)),
    ] {
        report(what, &failsafe(), &write(&folder, name, &text));
    }
    let small = write(&folder, "small.diff", include_str!("../../../tests/samples/aws-key.diff"));
    let fastest = (0..STARTS).map(|_| to_the_end(&small)).min().unwrap_or_default();
    println!("one finding in 1.5 kB, start to end: {:.1} ms", fastest.as_secs_f64() * 1e3);
    fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
}

/// Runs a scanner on a file and prints what it took.
fn report(what: &str, scanner: &Scanner, file: &Path) {
    let megabytes = fs::metadata(file).expect("the file is there").len() as f64 / MEGABYTE;
    let command = scanner.command.replace(FILE, &file.display().to_string());
    // bash's own `time` counts the processes that a program starts, too. It says so on a standard error of its own.
    let timed = format!("TIMEFORMAT='%U %S %R'; time {{ {command} 2>/dev/null; }}");
    let output = Command::new("bash").args(["-c", &timed]).env("LC_ALL", "C").output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system, real] = figures[..] else { panic!("bash said {said:?}") };
    let cpu = user + system;
    let findings = String::from_utf8_lossy(&output.stdout).matches(scanner.finding).count();
    let speed = megabytes / cpu.max(0.001);
    println!("{what:<46} {megabytes:>7.1} {cpu:>8.2} {real:>8.2} {speed:>10.0} {findings:>9}");
}

fn to_the_end(file: &Path) -> Duration {
    let input = fs::File::open(file).expect("the file was written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_failsafe"));
    command.args(["scan", "--format", "json"]).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let ended = command.status().expect("failsafe runs");
    assert_eq!(ended.code(), Some(1), "there is a finding");
    started.elapsed()
}

/// The last word of the first line that a scanner says of its version, if it is there.
fn version(scanner: &Scanner) -> Option<String> {
    let output = Command::new(scanner.name).arg(scanner.version).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| said.lines().next()?.split_whitespace().last().map(str::to_owned))?
}

fn text_of(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("the temporary folder takes the file");
    path
}

/// Every change of a repository, as git prints it; merges have no diff of their own.
fn history() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let repository = std::env::var_os("FAILSAFE_BENCH_REPOSITORY").map_or(here, PathBuf::from);
    let log = ["log", "-p", "--no-merges", "--no-color", "--no-ext-diff"];
    let output = Command::new("git").arg("-C").arg(&repository).args(log).output().expect("git runs");
    assert!(output.status.success(), "git log: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn repeated(text: &str, megabytes: usize) -> String {
    let times = (megabytes * 1_000_000).div_ceil(text.len().max(1));
    text.repeat(times)
}

/// A new file of one line: minified code of `bytes`.
fn one_line(bytes: usize) -> String {
    let piece =
        "function a(b,c){return b.token===c?\"https://example.org/\"+b.key:password(c)};var d=[0x1f,\"a1b2c3\"];";
    let line = piece.repeat(bytes / piece.len());
    format!("{}@@ -0,0 +1 @@\n+{line}\n", header("web/app.min.js"))
}

/// So many new files of one line.
fn tiny_files(count: usize) -> String {
    let mut diff = String::new();
    for number in 0..count {
        let path = format!("src/part{}/file{number}.py", number % 100);
        let _ = write!(diff, "{}@@ -0,0 +1 @@\n+value = {number}\n", header(&path));
    }
    diff
}

fn header(path: &str) -> String {
    format!("diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n")
}
