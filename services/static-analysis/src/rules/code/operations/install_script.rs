//! A package that runs a script when it is installed.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use crate::paths;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.dependency.install-script",
    title: "Script that runs when a package is installed",
    severity: Severity::Low,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 829,
    hazard: "",
    keywords: &["hasinstallscript", "requiresbuild", "\"preinstall\"", "\"install\"", "\"postinstall\""],
    remediation: "Read the script, or install with --ignore-scripts.",
    references: &["https://github.com/npm/cli/blob/latest/docs/lib/content/using-npm/scripts.md"],
    aliases: &[],
    check: Check::Line(check),
};

static SCRIPT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s*"(?:pre|post)?install"\s*:\s*""#).expect("the pattern is tested"));
static LOCKED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*"?(?:hasInstallScript|requiresBuild)"?\s*:\s*true\b"#).expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    let found = match paths::name(line.path()) {
        "package.json" => SCRIPT.is_match(line.text),
        "package-lock.json" | "npm-shrinkwrap.json" | "pnpm-lock.yaml" => LOCKED.is_match(line.text),
        _ => false,
    };
    let range = line.text.len() - line.text.trim_start().len()..line.text.trim_end().len();
    let message = "whoever publishes the package runs code on every machine that installs it";
    found.then(|| Hit::at(range, message)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_script_that_runs_on_installation_is_found() {
        let low = Severity::Low;
        sample::finds(&RULE, "package.json", &[("    \"postinstall\": \"node x.js\",", low)]);
        sample::finds(&RULE, "package-lock.json", &[("      \"hasInstallScript\": true,", low)]);
        sample::finds(&RULE, "pnpm-lock.yaml", &[("    requiresBuild: true", low)]);
    }

    #[test]
    fn other_scripts_and_files_are_not() {
        sample::finds_nothing(&RULE, "package.json", &["    \"test\": \"install\",", "  \"install\": {"]);
        sample::finds_nothing(&RULE, "tsconfig.json", &["    \"postinstall\": \"node x.js\","]);
    }
}
