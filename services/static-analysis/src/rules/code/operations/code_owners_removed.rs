//! Owners who need no longer be asked.

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};

use crate::paths;
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.review.owners-removed",
    title: "Owners are taken out of CODEOWNERS",
    severity: Severity::Low,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &[],
    remediation: "Name new owners in the same change, or have the old ones approve it.",
    references: &[
        "https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners",
    ],
    aliases: &[],
    check: Check::File { applies, check },
};

fn applies(change: &FileChange) -> bool {
    let old = change.old_path.as_deref().unwrap_or(&change.path);
    paths::name(old) == "CODEOWNERS" && change.kind != FileChangeKind::Added
}

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    if file.change.kind == FileChangeKind::Deleted || paths::name(&file.change.path) != "CODEOWNERS" {
        return vec![
            FileHit::on_file("from now on nobody is asked before the code changes").severity(Severity::Medium),
        ];
    }
    let pattern = |text: &str| text.split_whitespace().next().filter(|word| !word.starts_with('#')).map(str::to_owned);
    let lines = || file.hunks.iter().flat_map(|hunk| &hunk.lines);
    let kept: std::collections::HashSet<String> =
        lines().filter(|line| line.kind != LineKind::Removed).filter_map(|line| pattern(line.text)).collect();
    let mut hits = Vec::new();
    for (hunk, lines) in file.hunks.iter().enumerate() {
        for (line, text) in lines.lines.iter().enumerate() {
            let gone =
                text.kind == LineKind::Removed && pattern(text.text).is_some_and(|pattern| !kept.contains(&pattern));
            if gone {
                hits.push(FileHit::on_line(file, hunk, line, "nobody is asked any longer before these files change"));
            }
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn owners_who_are_taken_out_are_found() {
        let found = sample::scan_with(
            &RULE,
            vec![sample::modified(".github/CODEOWNERS", " * @all\n-/pay/ @money\n+/web/ @web")],
        );
        assert_eq!(found.iter().map(|(_, _, severity)| *severity).collect::<Vec<_>>(), [Severity::Low]);
    }

    #[test]
    fn new_owners_of_the_same_files_are_not() {
        let found =
            sample::scan_with(&RULE, vec![sample::modified("CODEOWNERS", "-/pay/ @money\n+/pay/ @payments\n-# old")]);
        assert_eq!(found, []);
        assert_eq!(sample::scan_with(&RULE, vec![sample::modified("OWNERS", "-/pay/ @money")]), []);
    }
}
