//! Other terms for the code.

use std::sync::LazyLock;

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};
use regex::Regex;

use crate::paths;
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.licence.changed",
    title: "Licence changes",
    severity: Severity::Low,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &[],
    remediation: "Have whoever answers for licences approve it.",
    references: &["https://spdx.dev/learn/handling-license-info/"],
    aliases: &[],
    check: Check::File { applies, check },
};

/// The field that names the licence in a manifest: JSON, TOML and the like.
static FIELD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s*"?licen[sc]e"?\s*[:=]\s*["']?([^"',#]+)"#).expect("the pattern is tested"));

fn is_licence(path: &str) -> bool {
    let name = paths::name(path).to_ascii_uppercase();
    let stem = name.split('.').next().unwrap_or("");
    let is_text = matches!(name.rsplit_once('.').map(|(_, extension)| extension), None | Some("TXT" | "MD" | "RST"));
    is_text
        && (matches!(stem, "LICENSE" | "LICENCE" | "COPYING")
            || stem.starts_with("LICENSE-")
            || stem.starts_with("LICENCE-"))
}

fn is_manifest(path: &str) -> bool {
    matches!(paths::name(path), "package.json" | "Cargo.toml" | "pyproject.toml" | "setup.cfg" | "composer.json")
}

fn applies(change: &FileChange) -> bool {
    let old = change.old_path.as_deref().unwrap_or(&change.path);
    change.kind != FileChangeKind::Added && (is_licence(old) || is_manifest(&change.path))
}

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    if is_licence(&file.change.path) {
        // A new year or a new holder leaves the terms as they are.
        let changed = |text: &str| !text.trim().is_empty() && !text.to_ascii_lowercase().contains("copyright");
        let lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
        let terms = lines.filter(|line| line.kind != LineKind::Context).any(|line| changed(line.text));
        let gone = file.change.kind == FileChangeKind::Deleted;
        return if gone || terms {
            vec![FileHit::on_file("who may use the code, and how, changes with this")]
        } else {
            Vec::new()
        };
    }
    let named = |text: &str| FIELD.captures(text).and_then(|found| Some(found.get(1)?.as_str().trim().to_owned()));
    let lines = || file.hunks.iter().flat_map(|hunk| &hunk.lines);
    let old: Vec<_> =
        lines().filter(|line| line.kind == LineKind::Removed).filter_map(|line| named(line.text)).collect();
    let mut hits = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        for (index, line) in hunk.lines.iter().enumerate().filter(|(_, line)| line.kind == LineKind::Added) {
            if !old.is_empty() && named(line.text).is_some_and(|new| !old.contains(&new)) {
                hits.push(FileHit::on_line(file, number, index, "who may use the code, and how, changes with this"));
            }
        }
    }
    hits
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
    fn other_terms_are_found() {
        check("LICENSE", "-MIT License\n+GNU AFFERO GENERAL PUBLIC LICENSE", 1);
        check("package.json", "-  \"license\": \"MIT\",\n+  \"license\": \"BUSL-1.1\",", 1);
        check("Cargo.toml", "-license = \"MIT\"\n+license = \"AGPL-3.0\"", 1);
    }

    #[test]
    fn a_new_year_and_the_same_terms_are_not() {
        check("LICENSE", "-Copyright 2024 A\n+Copyright 2025 A", 0);
        check("package.json", "-  \"license\": \"MIT\"\n+  \"license\": \"MIT\",", 0);
        check("src/license.rs", "-license = a\n+license = b", 0);
    }
}
