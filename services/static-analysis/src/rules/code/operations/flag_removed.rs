//! A feature flag that goes together with what ran when it was off: there is no way back without a deployment.

use std::sync::LazyLock;

use domain::diff::{FileDiff, Line, LineKind};
use domain::{Category, Confidence, FileChange, Severity};
use regex::Regex;

use crate::keywords::Keywords;
use crate::rules::{Check, FileHit, Rule};
use crate::source::Syntax;

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.flag.removed-with-fallback",
    title: "Feature flag is removed together with its fallback",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &[],
    remediation: "Remove the flag once nobody turned it off for a while, and the old way in a change of its own.",
    references: &["https://martinfowler.com/articles/feature-toggles.html"],
    aliases: &[],
    check: Check::File { applies, check },
};

/// What every way to ask for a flag holds: most lines hold none, and are not looked at further.
static WORDS: LazyLock<Keywords> =
    LazyLock::new(|| Keywords::new(["enabled", "variation", "active", "feature"].map(str::to_owned).to_vec()));

/// The usual ways to ask for a flag, with its name.
static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i-u)\b(?:is_?enabled|feature_?enabled|is_?feature_?enabled|bool_?variation|variation|flag_?enabled|is_?active|use_?feature_?flag|feature_?flags?(?:\.\w+)?)\s*\(\s*["'`]([\w.:/-]+)["'`]"#,
    )
    .expect("the pattern is tested")
});
static ELSE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?:^|\s|\})else\b").expect("the pattern is tested"));
/// How far below the question the fallback may begin.
const REACH_LINES: usize = 60;

fn applies(change: &FileChange) -> bool {
    change.lines_deleted > 0 && Syntax::of(&change.path).is_some()
}

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    let asked = |text: &str| {
        let captures = WORDS.is_in(text).then(|| FLAG.captures(text)).flatten();
        captures.and_then(|found| Some(found.get(1)?.as_str().to_owned()))
    };
    let lines = || file.hunks.iter().flat_map(|hunk| &hunk.lines);
    let mut kept = None;
    let mut hits = Vec::new();
    let falls_back = |line: &Line<'_>| line.kind == LineKind::Removed && line.text.contains("else");
    for (number, hunk) in file.hunks.iter().enumerate() {
        // Seen at once, and seldom there.
        if !hunk.lines.iter().any(falls_back) {
            continue;
        }
        for (index, line) in hunk.lines.iter().enumerate().filter(|(_, line)| line.kind == LineKind::Removed) {
            let Some(flag) = asked(line.text) else { continue };
            let kept: &std::collections::HashSet<String> = kept.get_or_insert_with(|| {
                lines().filter(|line| line.kind != LineKind::Removed).filter_map(|line| asked(line.text)).collect()
            });
            let below = &hunk.lines[index + 1..hunk.lines.len().min(index + 1 + REACH_LINES)];
            let fallback = below.iter().any(|line| line.kind == LineKind::Removed && ELSE.is_match(line.text));
            if fallback && !kept.contains(&flag) {
                hits.push(FileHit::on_line(
                    file,
                    number,
                    index,
                    "if the new way fails, only another deployment brings back the old one",
                ));
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
    fn check(hunk: &str, expected: usize) {
        assert_eq!(sample::scan_with(&RULE, vec![sample::modified("src/pay.ts", hunk)]).len(), expected, "{hunk}");
    }

    #[test]
    fn a_flag_that_goes_with_its_fallback_is_found() {
        check("-if (flags.isEnabled('new-pay')) {\n   fresh();\n-} else {\n-  old();\n-}", 1);
    }

    #[test]
    fn a_flag_that_stays_or_had_no_fallback_is_not() {
        check("-if (flags.isEnabled('new-pay')) {\n   fresh();\n-}", 0);
        check("-if (flags.isEnabled('new-pay')) {\n-} else {\n+if (await flags.isEnabled('new-pay')) {\n+} else {", 0);
    }
}
