//! Diffs by hand, for tests: what one rule finds in them, through the whole engine.

use domain::diff::{Diff, FileDiff, Hunk, Line, LineKind};
use domain::{Analysis, FileChange, FileChangeKind, Severity};

use crate::config::Config;
use crate::engine::Law;
use crate::rules::{self, Rule};

/// A new file of this text.
pub(crate) fn added<'a>(path: &str, text: &'a str) -> FileDiff<'a> {
    let lines = text.lines().zip(1..).map(|(text, number)| Line { kind: LineKind::Added, number, text }).collect();
    file(path, FileChangeKind::Added, vec![Hunk { section: "", lines }])
}

/// A changed file of one hunk, its lines signed with `+`, `-` or a space.
pub(crate) fn modified<'a>(path: &str, hunk: &'a str) -> FileDiff<'a> {
    let mut number = 10;
    let mut lines = Vec::new();
    for line in hunk.lines() {
        let kind = match line.as_bytes().first() {
            Some(b'+') => LineKind::Added,
            Some(b'-') => LineKind::Removed,
            _ => LineKind::Context,
        };
        lines.push(Line { kind, number, text: line.get(1..).unwrap_or("") });
        number += u32::from(kind != LineKind::Removed);
    }
    file(path, FileChangeKind::Modified, vec![Hunk { section: "", lines }])
}

fn file<'a>(path: &str, kind: FileChangeKind, hunks: Vec<Hunk<'a>>) -> FileDiff<'a> {
    let count = |kind| hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.kind == kind).count() as u32;
    let (lines_added, lines_deleted) = (count(LineKind::Added), count(LineKind::Removed));
    let change = FileChange { path: path.to_owned(), old_path: None, kind, lines_added, lines_deleted, binary: false };
    FileDiff { change, hunks }
}

/// What the whole law finds in these files.
pub(crate) fn scan(files: Vec<FileDiff<'_>>) -> Analysis {
    Law::new(&Config::default()).unwrap().scan(&Diff { files })
}

/// What one rule, the others disabled, finds in these files: path, line and severity.
pub(crate) fn scan_with(rule: &Rule, files: Vec<FileDiff<'_>>) -> Vec<(String, u32, Severity)> {
    let others = rules::all().iter().filter(|other| other.id != rule.id);
    let config = Config { rules_disabled: others.map(|rule| rule.id.to_owned()).collect(), ..Config::default() };
    let findings = Law::new(&config).unwrap().scan(&Diff { files }).findings;
    findings.into_iter().map(|finding| (finding.path, finding.line, finding.severity)).collect()
}

/// Each line, alone in a changed file at `path`, is one finding of `rule`.
#[track_caller]
pub(crate) fn finds(rule: &Rule, path: &str, cases: &[(&str, Severity)]) {
    for (line, severity) in cases {
        let hunk = format!("+{line}");
        let got = scan_with(rule, vec![modified(path, &hunk)]);
        assert_eq!(got, [(path.to_owned(), 10, *severity)], "{line}");
    }
}

/// No line, alone in a changed file at `path`, is a finding of `rule`.
#[track_caller]
pub(crate) fn finds_nothing(rule: &Rule, path: &str, cases: &[&str]) {
    for line in cases {
        let hunk = format!("+{line}");
        let got = scan_with(rule, vec![modified(path, &hunk)]);
        assert_eq!(got, [], "{line}");
    }
}

/// `rule` finds just these lines in a new file.
#[track_caller]
pub(crate) fn finds_in_file(rule: &Rule, path: &str, text: &str, expected: &[(u32, Severity)]) {
    let got = scan_with(rule, vec![added(path, text)]);
    let got: Vec<_> = got.into_iter().map(|(_, line, severity)| (line, severity)).collect();
    assert_eq!(got, expected, "{path}:\n{text}");
}

/// `rule` finds just these lines in a changed file.
#[track_caller]
pub(crate) fn finds_in_hunk(rule: &Rule, path: &str, hunk: &str, expected: &[(u32, Severity)]) {
    let got = scan_with(rule, vec![modified(path, hunk)]);
    let got: Vec<_> = got.into_iter().map(|(_, line, severity)| (line, severity)).collect();
    assert_eq!(got, expected, "{path}:\n{hunk}");
}
