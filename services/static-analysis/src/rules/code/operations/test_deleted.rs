//! Tests that go while the code changes.

use domain::diff::Diff;
use domain::{Category, Confidence, FileChangeKind, Severity};

use crate::paths;
use crate::rules::{Check, FileHit, Rule};
use crate::source::Syntax;

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.test.deleted",
    title: "Tests are deleted while the code changes",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &[],
    remediation: "Keep tests of what the code still does; delete the others together with what they tested.",
    references: &["https://martinfowler.com/bliki/TestCoverage.html"],
    aliases: &[],
    check: Check::Change(check),
};

fn check(diff: &Diff<'_>) -> Vec<(usize, FileHit)> {
    // Cheap, and most changes delete none.
    if diff.files.iter().all(|file| file.change.kind != FileChangeKind::Deleted) {
        return Vec::new();
    }
    let is_code = |path: &str| Syntax::of(path).is_some();
    let changes = |kind: FileChangeKind| {
        matches!(kind, FileChangeKind::Added | FileChangeKind::Modified | FileChangeKind::Renamed)
    };
    let changed = diff
        .files
        .iter()
        .any(|file| is_code(&file.change.path) && !paths::is_own_test(&file.change.path) && changes(file.change.kind));
    // Tests that only move are deleted in one file and added in another; and code that goes takes its tests along.
    let added: u32 = diff
        .files
        .iter()
        .filter(|file| paths::is_own_test(&file.change.path))
        .map(|file| file.change.lines_added)
        .sum();
    let code_gone = diff.files.iter().any(|file| {
        file.change.kind == FileChangeKind::Deleted
            && is_code(&file.change.path)
            && !paths::is_own_test(&file.change.path)
    });
    if !changed || code_gone {
        return Vec::new();
    }
    let deleted = diff.files.iter().enumerate().filter(|(_, file)| {
        file.change.kind == FileChangeKind::Deleted
            && paths::is_own_test(&file.change.path)
            && is_code(&file.change.path)
    });
    let gone = deleted.filter(|(_, file)| file.change.lines_deleted > added);
    gone.map(|(index, _)| {
        (index, FileHit::on_file("what these tests held is no longer checked, and the code changes in the same breath"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use domain::diff::FileDiff;

    use super::*;
    use crate::sample::{added, modified, scan_with};

    fn deleted<'a>(path: &str, hunk: &'a str) -> FileDiff<'a> {
        let mut file = modified(path, hunk);
        file.change.kind = FileChangeKind::Deleted;
        file
    }

    #[test]
    fn tests_that_go_while_the_code_changes_are_found() {
        let files =
            vec![modified("src/pay.py", "+x = 1"), deleted("tests/test_pay.py", "-def test_pay():\n-    assert pay()")];
        assert_eq!(scan_with(&RULE, files).len(), 1);
    }

    #[test]
    fn tests_that_move_or_go_with_their_code_are_not() {
        let moved = vec![
            modified("src/pay.py", "+x = 1"),
            deleted("tests/test_pay.py", "-a"),
            added("tests/pay/test_pay.py", "a"),
        ];
        assert_eq!(scan_with(&RULE, moved), []);
        let with_code =
            vec![modified("src/a.py", "+x = 1"), deleted("src/pay.py", "-a"), deleted("tests/test_pay.py", "-a")];
        assert_eq!(scan_with(&RULE, with_code), []);
        assert_eq!(scan_with(&RULE, vec![deleted("tests/test_pay.py", "-a")]), []);
    }
}
