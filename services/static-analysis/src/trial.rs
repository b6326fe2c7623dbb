//! A file of rules, held against the lines that its author says they find and do not find: `failsafe rules test FILE`.

use domain::diff::{FileDiff, Hunk, Line, LineKind};
use domain::{FileChange, FileChangeKind};

use crate::rules::pattern::{self, Loaded, Pattern};
use crate::rules::{AddedLine, Check, Rule};

/// What became of one rule's examples.
#[derive(Debug)]
pub struct Trial {
    /// The rule.
    pub rule: &'static Rule,
    /// How many lines it had to find, and how many not.
    pub examples: usize,
    /// How many lines it had not to find.
    pub counterexamples: usize,
    /// A sentence for each line that went wrong.
    pub failures: Vec<String>,
}

/// Tries the rules in `text`.
///
/// # Errors
/// A sentence that names the row that cannot be read, and what is wrong with it.
pub fn trials(text: &str) -> Result<Vec<Trial>, String> {
    Ok(pattern::parse_own(text)?.iter().map(trial).collect())
}

fn trial(loaded: &Loaded) -> Trial {
    let mut failures = Vec::new();
    for example in &loaded.examples {
        if !finds(loaded.rule, example) {
            let keywords = loaded.rule.keywords;
            let lower = example.to_ascii_lowercase();
            let has = keywords.is_empty() || keywords.iter().any(|word| lower.contains(&word.to_ascii_lowercase()));
            let why = if has { "" } else { " (none of the rule's keywords is in it)" };
            failures.push(format!("not found{why}: {example}"));
        }
    }
    let wrong = loaded.counterexamples.iter().filter(|example| finds(loaded.rule, example));
    failures.extend(wrong.map(|example| format!("found, and should not be: {example}")));
    let (examples, counterexamples) = (loaded.examples.len(), loaded.counterexamples.len());
    Trial { rule: loaded.rule, examples, counterexamples, failures }
}

/// Whether the rule finds something in these lines; where it is about paths, whether this path is one of them. On which paths the
/// rule looks at lines does not matter here.
fn finds(rule: &Rule, text: &str) -> bool {
    let Check::Pattern(pattern) = rule.check else { return false };
    let file = file(text);
    if pattern.is_about_paths() {
        return pattern.check_path(&file.change).is_some();
    }
    let lines = &file.hunks[0].lines;
    (0..lines.len()).any(|index| on_line(rule, pattern, &file, index))
}

fn on_line(rule: &Rule, pattern: &Pattern, file: &FileDiff<'_>, index: usize) -> bool {
    let view = AddedLine { file, hunk: &file.hunks[0], index, text: file.hunks[0].lines[index].text };
    let lower = view.text.to_ascii_lowercase();
    let asked = rule.keywords.is_empty() || rule.keywords.iter().any(|word| lower.contains(&word.to_ascii_lowercase()));
    asked && !pattern.check_anywhere(&view).is_empty()
}

fn file(text: &str) -> FileDiff<'_> {
    let lines = text.lines().zip(1..).map(|(text, number)| Line { kind: LineKind::Added, number, text }).collect();
    let change = FileChange {
        path: text.to_owned(),
        old_path: None,
        kind: FileChangeKind::Added,
        lines_added: 0,
        lines_deleted: 0,
        binary: false,
    };
    FileDiff { change, hunks: vec![Hunk { section: "", lines }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "[[rules]]\nid = 'secret.acme.key'\ntokens = ['acme_[0-9a-f]{16}']\nkeywords = ['acme_']\n\
                         examples = ['k = acme_0f1e2d3c4b5a6978']\ncounterexamples = ['acme_short']\n\
                         [[rules]]\nid = 'wrong'\nregex = 'x[0-9]{3}'\nkeywords = ['xyz']\npath = '\\.go$'\n\
                         examples = ['x123', 'xyz x12']\ncounterexamples = ['x1', 'xyz x123']\n\
                         [[rules]]\nid = 'keystore'\npath = '\\.p12$'\nexamples = ['a/b.p12']\ncounterexamples = ['a/p12']";

    #[test]
    fn each_example_is_tried() {
        let trials = trials(RULES).unwrap();
        let failures: Vec<_> = trials.iter().map(|trial| trial.failures.join("; ")).collect();
        let wrong = "not found (none of the rule's keywords is in it): x123; not found: xyz x12; found, and should not be: xyz x123";
        assert_eq!(failures, ["", wrong, ""]);
        assert_eq!((trials[0].examples, trials[1].counterexamples), (1, 2));
        assert!(super::trials("rules = 1").is_err());
    }
}
