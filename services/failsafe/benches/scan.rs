//! How fast `failsafe scan` is as a whole program, beside other scanners on the same file where they are installed, and that
//! its time grows with its input and not faster. `just bench --bench scan`.
//!
//! The diff is the history of a repository (this one, or the one that `FAILSAFE_BENCH_REPOSITORY` names), repeated until it is long
//! enough. Figures are megabytes per CPU second, user and system together, so that programs with many threads compare.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MEGABYTE: f64 = 1e6;
/// What the file is replaced for in a peer's command line.
const FILE: &str = "{file}";

/// Scanners of diffs that may be there, and how each is run on a file.
const PEERS: [(&str, &str); 3] = [
    ("gitleaks", "gitleaks stdin --no-banner --log-level fatal --exit-code 0 < {file}"),
    ("kingfisher", "kingfisher scan {file} --no-validate --quiet"),
    ("detect-secrets", "detect-secrets scan {file}"),
];

fn main() {
    let folder = std::env::temp_dir().join(format!("failsafe-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let history = history();
    println!("{:<44} {:>9} {:>9} {:>9} {:>12}", "", "MB", "CPU s", "s", "MB per CPU s");
    let diff = write(&folder, "history.diff", &repeated(&history, 100));
    ours("history, 100 MB", &diff);
    for (name, command) in PEERS {
        if on_path(name) {
            let command = command.replace(FILE, &diff.display().to_string());
            report(&format!("  {name} on the same"), &diff, &command);
        } else {
            println!("  {name:<42} is not installed");
        }
    }
    ours("history, 200 MB", &write(&folder, "twice.diff", &repeated(&history, 200)));
    ours("one line of 50 MB", &write(&folder, "line.diff", &one_line(50_000_000)));
    ours("a million files of one line", &write(&folder, "files.diff", &tiny_files(1_000_000)));
    let small = write(&folder, "small.diff", include_str!("../../../tests/samples/aws-key.diff"));
    ours("one finding in 1.5 kB: start to end", &small);
    fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
}

fn ours(what: &str, file: &Path) {
    let command = format!("{} scan --format json < {}", env!("CARGO_BIN_EXE_failsafe"), file.display());
    report(what, file, &command);
}

/// Runs `command` and prints what it took.
fn report(what: &str, file: &Path, command: &str) {
    let megabytes = fs::metadata(file).expect("the file was written").len() as f64 / MEGABYTE;
    // bash's own `time` counts the processes that a program starts, too.
    let timed = format!("TIMEFORMAT='%U %S %R'; time {{ {command} > /dev/null 2>&1; }}");
    let output = Command::new("bash").args(["-c", &timed]).env("LC_ALL", "C").output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system, real] = figures[..] else { panic!("bash said {said:?}") };
    let cpu = user + system;
    println!("{what:<44} {megabytes:>9.1} {cpu:>9.2} {real:>9.2} {:>12.0}", megabytes / cpu.max(0.001));
}

fn on_path(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
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
