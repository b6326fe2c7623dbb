//! A workflow that runs with the repository's secrets on the code of whoever opened a pull request.

use std::sync::LazyLock;

use domain::diff::{FileDiff, LineKind};
use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::is_github_workflow;
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "infrastructure.github.untrusted-checkout",
    title: "Privileged workflow checks out a stranger's code",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Infrastructure,
    cwe: 829,
    hazard: "ci.untrusted-checkout",
    keywords: &[],
    remediation: "Use the trigger pull_request, which has no secrets; or split the work, and let only the part that never runs the pull request's code have them.",
    references: &[
        "https://docs.github.com/en/actions/reference/security/securely-using-pull_request_target",
        "https://securitylab.github.com/resources/github-actions-preventing-pwn-requests/",
    ],
    aliases: &[],
    check: Check::File { applies: is_github_workflow, check },
};

static TRIGGER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:-\s*)?(?:on\s*:\s*)?\[?[^#\x22'$]*\b(?:pull_request_target|workflow_run)\b\s*(?:[:,\]#]|$)")
        .expect("the pattern is tested")
});
/// The head of the pull request, in the ways that GitHub's contexts name it: first those that are empty when another
/// workflow's end is what triggers.
static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^\s*(?:-\s*)?(?:ref|repository)\s*:[^#]*(?:(github\.event\.pull_request\.head\.|github\.head_ref)|github\.event\.workflow_run\.head_|refs/pull/)",
    )
    .expect("the pattern is tested")
});

/// A condition that leaves pull requests out where another workflow's end is what triggers.
static GUARD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"github\.event\.workflow_run\.event\s*(?:!=\s*'pull_request'|==\s*'(?:push|schedule|release|workflow_dispatch)')")
        .expect("the pattern is tested")
});

/// Whether the line checks out the head of the pull request, when `on_target` says that one is what triggers.
fn is_head(line: &str, on_target: bool) -> bool {
    HEAD.captures(line).is_some_and(|head| on_target || head.get(1).is_none())
}

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    let lines = || {
        let hunks = file.hunks.iter().enumerate();
        hunks
            .flat_map(|(h, hunk)| hunk.lines.iter().enumerate().map(move |(l, line)| (h, l, line)))
            .filter(|(.., line)| line.kind != LineKind::Removed)
    };
    // Both have to be seen: the trigger alone is fine, and so is the checkout alone.
    let Some(trigger) = lines().find(|(.., line)| TRIGGER.is_match(line.text)) else { return Vec::new() };
    if !lines().any(|(.., line)| line.text.contains("actions/checkout")) {
        return Vec::new();
    }
    let on_target = lines().any(|(.., line)| line.text.contains("pull_request_target") && TRIGGER.is_match(line.text));
    if !on_target && lines().any(|(.., line)| GUARD.is_match(line.text)) {
        return Vec::new();
    }
    let heads: Vec<_> = lines().filter(|(.., line)| is_head(line.text, on_target)).collect();
    let new_trigger = trigger.2.kind == LineKind::Added;
    let mut hits = Vec::new();
    for (hunk, line, text) in &heads {
        if text.kind == LineKind::Added {
            hits.push(FileHit::on_line(
                file,
                *hunk,
                *line,
                "the workflow has the repository's secrets and checks out the pull request's code",
            ));
        }
    }
    if hits.is_empty() && new_trigger && !heads.is_empty() {
        let message =
            "the trigger gives the repository's secrets to a workflow that checks out the pull request's code";
        hits.push(FileHit::on_line(file, trigger.0, trigger.1, message));
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const STEPS: &str = "jobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n";

    #[track_caller]
    fn check(text: &str, lines: &[u32]) {
        let expected: Vec<_> = lines.iter().map(|line| (*line, Severity::High)).collect();
        sample::finds_in_file(&RULE, ".github/workflows/ci.yml", text, &expected);
    }

    #[test]
    fn the_checkout_of_a_strangers_code_with_secrets_is_found() {
        check(&format!("on: pull_request_target\n{STEPS}"), &[7]);
        check(&format!("on:\n  pull_request_target:\n    types: [opened]\n{STEPS}"), &[9]);
        check(&format!("on: [push, pull_request_target]\n{STEPS}"), &[7]);
        check(
            &format!("on:\n  - pull_request_target\n{}", STEPS.replace("event.pull_request.head.sha", "head_ref")),
            &[8],
        );
        let hunk = "-  pull_request:\n+  pull_request_target:\n jobs:\n - uses: actions/checkout@v4\n     ref: ${{ github.head_ref }}";
        sample::finds_in_hunk(&RULE, ".github/workflows/ci.yml", hunk, &[(10, Severity::High)]);
    }

    #[test]
    fn each_of_the_two_alone_is_not() {
        check(&format!("on: pull_request\n{STEPS}"), &[]);
        check(
            "on: pull_request_target\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/labeler@v5\n",
            &[],
        );
        // Empty when another workflow has ended, and a pull request's own run has no secrets.
        let head = STEPS.replace("event.pull_request.head.sha", "head_ref");
        check(&format!("on:\n  pull_request:\n  workflow_run:\n    workflows: [a]\n{head}"), &[]);
        let run = STEPS.replace("event.pull_request.head.sha", "event.workflow_run.head_sha");
        check(&format!("on:\n  workflow_run:\n    workflows: [a]\n{run}"), &[9]);
        let guarded = run.replace("  a:\n", "  a:\n    if: github.event.workflow_run.event != 'pull_request'\n");
        check(&format!("on:\n  workflow_run:\n    workflows: [a]\n{guarded}"), &[]);
        check(&format!("on: pull_request # not pull_request_target\n{STEPS}"), &[]);
        check(&format!("on: pull_request\nif: github.event_name == 'pull_request_target'\n{STEPS}"), &[]);
        sample::finds_in_file(&RULE, "ci.yml", &format!("on: pull_request_target\n{STEPS}"), &[]);
    }
}
