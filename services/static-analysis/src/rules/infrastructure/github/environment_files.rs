//! Writes to `$GITHUB_ENV` and `$GITHUB_PATH` where strangers can have a say: a variable such as `LD_PRELOAD` is a program.

use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;

use super::super::report::Report;
use super::rule;
use super::workflow::{Step, Workflow};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&RULE];

static RULE: Rule = Rule {
    cwe: 77,
    hazard: "ci.github-env",
    remediation: "Pass the value on as an output of the step (GITHUB_OUTPUT), or check it before it is written.",
    references: &[
        "https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-environment-variable",
    ],
    aliases: &["github-env"],
    ..rule(
        "infrastructure.github.environment-file",
        "Environment of later steps written by what strangers can choose",
        Severity::Low,
    )
};

/// A command that ends with a redirection to one of the files, and what is before it.
static REDIRECTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)^(.*?)>>?\s*(?:"|')?(?:\$\{?(?:env:)?(?:GITHUB_ENV|GITHUB_PATH)\b|%(?:GITHUB_ENV|GITHUB_PATH)%)"#)
        .expect("the pattern is tested")
});
/// A program that writes what it is given to the file that it is told.
static WRITER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)\b(?:tee|tee-object|out-file|add-content|set-content)\b[^|]*\$\{?(?:env:)?(?:GITHUB_ENV|GITHUB_PATH)\b"#,
    )
    .expect("the pattern is tested")
});

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>, step: &Step<'_>) {
    // An action does not know who calls it.
    if !workflow.is_action && !workflow.has_trigger(&["pull_request_target", "workflow_run"]) {
        return;
    }
    let Some(run) = step.run() else { return };
    let text = run.text().unwrap_or("");
    let shell = step.shell(workflow).and_then(|shell| shell.text()).unwrap_or("bash");
    let has_variables = !shell.contains("cmd");
    let joined = text.replace("\\\n", " ");
    if joined.lines().any(|line| is_write(line, has_variables)) {
        let key = step.node.entry("run").map_or(run, |(key, _)| key);
        report.at(&RULE, key, "what is written there becomes the environment of every later step");
    }
}

/// Whether the line writes something that is not written out in it.
fn is_write(line: &str, has_variables: bool) -> bool {
    let line = line.trim();
    if line.starts_with('#') {
        return false;
    }
    if WRITER.is_match(line) {
        return true;
    }
    let Some(before) = REDIRECTION.captures(line).and_then(|captures| captures.get(1)) else { return false };
    if !has_variables {
        return true;
    }
    let command = before.as_str().rsplit(['&', ';', '|', '{', '(']).next().unwrap_or("").trim();
    let piped = before.as_str().contains('|');
    let program = command.split_whitespace().next().unwrap_or("");
    let constant =
        matches!(program, "echo" | "printf" | "write-output" | "Write-Output") || program.starts_with(['"', '\'']);
    piped || !(constant && is_constant(command))
}

/// Whether nothing in the words is put in from elsewhere. What is in single quotes is as it stands.
fn is_constant(command: &str) -> bool {
    let mut in_single = false;
    command.chars().all(|sign| {
        in_single ^= sign == '\'';
        in_single || !matches!(sign, '$' | '`' | '%')
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at, steps};

    #[track_caller]
    fn run(script: &str, found: bool) {
        let text = steps("pull_request_target", &format!("- run: |\n    a\n    {script}"));
        check("environment-file", &text, if found { &[6] } else { &[] });
        check("environment-file", &text.replace("pull_request_target", "push"), &[]);
    }

    #[test]
    fn writes_of_what_is_not_constant_are_found() {
        for script in [
            "echo \"A=$B\" >> $GITHUB_ENV",
            "echo \"$m\" >> \"$GITHUB_PATH\"",
            "cat x >> ${GITHUB_ENV}",
            "cat x | tee -a \"$GITHUB_ENV\"",
            "a; printf '%s' \"$x\" >>$GITHUB_ENV",
            "\"A=$x\" | Out-File -FilePath $env:GITHUB_ENV -Append",
            "echo $(a) >> $GITHUB_ENV",
        ] {
            run(script, true);
        }
    }

    #[test]
    fn constants_and_other_files_are_not() {
        for script in [
            "echo A=b >> $GITHUB_ENV",
            "echo 'A=$b' >> $GITHUB_ENV",
            "echo $A >> $GITHUB_OUTPUT",
            "echo $GITHUB_ENV",
            "# cat x >> $GITHUB_ENV",
            "echo \"$PATH\"",
        ] {
            run(script, false);
        }
    }

    #[test]
    fn an_action_does_not_know_who_calls_it() {
        let action =
            |run: &str| format!("name: a\nruns:\n  using: composite\n  steps:\n  - run: {run}\n    shell: bash\n");
        check_at("action.yml", "environment-file", &action("echo \"$A\" >> $GITHUB_ENV"), &[5]);
        check_at("action.yml", "environment-file", &action("echo \"$A\""), &[]);
    }
}
