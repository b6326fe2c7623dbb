//! A check in CI that may fail from now on.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use crate::paths;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.ci.check-disabled",
    title: "Check in CI that may fail",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &["continue-on-error", "|| true", "||true", "allow_failure", "|| :", "--no-verify"],
    remediation: "Mend what fails; until then skip the one test, and name the issue that brings it back.",
    references: &[
        "https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepscontinue-on-error",
        "https://docs.gitlab.com/ci/yaml/#allow_failure",
    ],
    aliases: &[],
    check: Check::Line(check),
};

/// Commands that check something.
static CHECKS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:test|tests|pytest|jest|vitest|lint|eslint|clippy|check|audit|scan|mypy|tsc|vet|verify|coverage|rspec|phpunit)\b")
        .expect("the pattern is tested")
});
static SWITCH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*-?\s*(?:continue-on-error|allow_failure)\s*:\s*true\s*(?:#.*)?$").expect("the pattern is tested")
});
static SWALLOWED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\|\|\s*(?:true|:)\s*(?:[#\x22'].*)?$").expect("the pattern is tested"));

fn is_ci(path: &str) -> bool {
    let name = paths::name(path).to_ascii_lowercase();
    path.starts_with(".github/workflows/")
        || path.contains("/.github/workflows/")
        || path.starts_with(".circleci/")
        || path.starts_with(".buildkite/")
        || matches!(
            name.as_str(),
            ".gitlab-ci.yml"
                | ".travis.yml"
                | "azure-pipelines.yml"
                | "bitbucket-pipelines.yml"
                | "jenkinsfile"
                | ".drone.yml"
        )
}

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    if !is_ci(line.path()) || line.text.trim_start().starts_with('#') {
        return Vec::new();
    }
    let text = line.text;
    let range = text.len() - text.trim_start().len()..text.trim_end().len();
    let swallowed = SWALLOWED.find(text).is_some_and(|found| CHECKS.is_match(&text[..found.start()]));
    if SWITCH.is_match(text) || swallowed {
        return vec![Hit::at(range, "when this check fails, nobody is stopped by it")];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_check_that_may_fail_is_found() {
        let low = Severity::Low;
        sample::finds(
            &RULE,
            ".github/workflows/ci.yml",
            &[("    continue-on-error: true", low), ("      - run: npm test || true", low)],
        );
        sample::finds(&RULE, ".gitlab-ci.yml", &[("  allow_failure: true", low)]);
    }

    #[test]
    fn other_steps_and_other_files_are_not() {
        sample::finds_nothing(
            &RULE,
            ".github/workflows/ci.yml",
            &["    continue-on-error: false", "      - run: docker rm x || true", "# continue-on-error: true"],
        );
        sample::finds_nothing(&RULE, "script.sh", &["npm test || true"]);
    }
}
