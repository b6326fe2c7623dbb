//! A timeout or a retry that is gone: what waits, waits for ever, and what failed once stays failed.

use std::collections::HashMap;
use std::sync::LazyLock;

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Confidence, FileChange, Severity};
use regex::Regex;

use crate::keywords::Keywords;
use crate::paths;
use crate::rules::{Check, FileHit, Rule};
use crate::source::{Syntax, code_only};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.resilience.timeout-removed",
    title: "Timeout or retry is removed",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 400,
    hazard: "",
    keywords: &[],
    remediation: "Keep a limit on every call to another machine, and say why where there is none.",
    references: &["https://sre.google/sre-book/addressing-cascading-failures/"],
    aliases: &[],
    check: Check::File { applies, check },
};

/// What every name that speaks of a limit holds: most lines hold none, and are not looked at further.
static WORDS: LazyLock<Keywords> = LazyLock::new(|| {
    let words = ["timeout", "time_out", "deadline", "retry", "retries", "max_attempts", "backoff"];
    Keywords::new(words.map(str::to_owned).to_vec())
});

/// A limit that is set: a name that speaks of one, and its value.
static LIMIT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i-u)\b(\w*(?:timeout|time_out|deadline|retry|retries|max_attempts|backoff)\w*)[\x22']?\s*(?:[:=]|\()",
    )
    .expect("the pattern is tested")
});

fn applies(change: &FileChange) -> bool {
    let config =
        || ["yml", "yaml", "toml", "json", "conf", "ini", "properties"].contains(&paths::extension(&change.path));
    change.lines_deleted > 0
        && change.lines_added > 0
        && (Syntax::of(&change.path).is_some() || config())
        && !paths::is_lock_file(&change.path)
}

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    let syntax = Syntax::of(&file.change.path);
    let lines = || file.hunks.iter().flat_map(|hunk| &hunk.lines);
    if !lines().any(|line| line.kind == LineKind::Removed && WORDS.is_in(line.text)) {
        return Vec::new();
    }
    let limits = |text: &str| -> Vec<String> {
        if !WORDS.is_in(text) {
            return Vec::new();
        }
        let code = syntax.map_or_else(|| text.to_owned(), |syntax| code_only(text, syntax));
        LIMIT.captures_iter(&code).filter_map(|found| Some(normal(found.get(1)?.as_str()))).collect()
    };
    // How often each is left: the sum of what is added less what is removed.
    let mut balance: HashMap<String, i64> = HashMap::new();
    for line in lines().filter(|line| line.kind != LineKind::Context) {
        let step = if line.kind == LineKind::Added { 1 } else { -1 };
        for limit in limits(line.text) {
            *balance.entry(limit).or_default() += step;
        }
    }
    // A limit under another name is still one.
    if balance.values().sum::<i64>() >= 0 {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        // Where a whole block goes, its limits go with it.
        let rewritten = hunk.lines.iter().any(|line| line.kind == LineKind::Added);
        for (index, line) in
            hunk.lines.iter().enumerate().filter(|(_, line)| line.kind == LineKind::Removed && rewritten)
        {
            let gone = limits(line.text).into_iter().any(|limit| balance.get(&limit).is_some_and(|left| *left < 0));
            if gone {
                hits.push(FileHit::on_line(
                    file,
                    number,
                    index,
                    "without this limit one slow machine can hold up all that wait for it",
                ));
            }
        }
    }
    hits
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(path: &str, hunk: &str, expected: usize) {
        assert_eq!(sample::scan_with(&RULE, vec![sample::modified(path, hunk)]).len(), expected, "{path}: {hunk}");
    }

    #[test]
    fn a_limit_that_goes_is_found() {
        check("src/a.py", "-r = requests.get(u, timeout=5)\n+r = requests.get(u)", 1);
        check("src/a.ts", " const c = axios.create({\n-  timeout: 5000,\n+  baseURL: u,\n });", 1);
        check("deploy/app.yaml", "-  maxRetries: 3\n+  replicas: 2", 1);
    }

    #[test]
    fn a_limit_that_changes_or_moves_is_not() {
        check("src/a.py", "-r = requests.get(u, timeout=5)\n+r = requests.get(u, timeout=9)", 0);
        check("src/a.py", "-timeout = 5\n+connect_timeout = 5", 0);
        check("src/a.py", "-# timeout = 5\n+# none", 0);
        check("src/a.py", "-r = requests.get(u, timeout=5)", 0);
        check("README.md", "-timeout: 5\n+none", 0);
    }
}
