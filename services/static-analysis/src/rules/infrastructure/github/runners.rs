//! Where a workflow runs, and which old doors it opens there.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::rule;
use super::workflow::{Job, Workflow};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&SELF_HOSTED, &COMMANDS, &MISFEATURE];

static SELF_HOSTED: Rule = Rule {
    cwe: 829,
    hazard: "ci.self-hosted",
    remediation: "Use GitHub's runners for what strangers can start, or runners that live for one job.",
    references: &["https://docs.github.com/en/actions/reference/security/secure-use#hardening-for-self-hosted-runners"],
    aliases: &["self-hosted-runner"],
    ..rule("infrastructure.github.self-hosted-runner", "Job on a machine of one's own", Severity::Info)
};
static COMMANDS: Rule = Rule {
    cwe: 94,
    hazard: "ci.insecure-commands",
    remediation: "Remove ACTIONS_ALLOW_UNSECURE_COMMANDS, and write to $GITHUB_ENV and $GITHUB_PATH instead.",
    references: &["https://github.blog/changelog/2020-10-01-github-actions-deprecating-set-env-and-add-path-commands/"],
    aliases: &["insecure-commands", "CKV_GHA_1"],
    ..rule("infrastructure.github.insecure-commands", "Whatever a program prints may set variables", Severity::Medium)
};
static MISFEATURE: Rule = Rule {
    hazard: "ci.misfeature",
    remediation: "Use bash or pwsh, and install packages from a lock file in an environment of their own.",
    references: &[
        "https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#defaultsrunshell",
    ],
    aliases: &["misfeature"],
    ..rule("infrastructure.github.misfeature", "Feature that does more harm than good", Severity::Info)
};

const VARIABLE: &str = "ACTIONS_ALLOW_UNSECURE_COMMANDS";

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>) {
    commands(report, workflow.root);
    shell(report, workflow.root.at(&["defaults", "run", "shell"]));
    for job in workflow.jobs() {
        commands(report, job.node);
        self_hosted(report, job);
        shell(report, job.node.at(&["defaults", "run", "shell"]));
        let matrix = job.node.at(&["strategy", "matrix"]);
        let values = matrix.into_iter().flat_map(Yaml::entries).flat_map(|(_, values)| values.items());
        for value in values {
            variable(report, value);
        }
    }
    for step in workflow.steps() {
        commands(report, step.node);
        shell(report, step.node.get("shell"));
        if step.is_action(&["actions/setup-python"])
            && let Some(input) = step.input("pip-install")
        {
            report.at(&MISFEATURE, input, "packages are put into the runner's own environment");
        }
    }
}

/// The same of a mapping in a piece of a file.
pub(super) fn check_mapping(report: &mut Report<'_, '_>, under: Option<&str>, mapping: Yaml<'_>) {
    if under == Some("env") {
        variable(report, mapping);
    }
}

fn commands(report: &mut Report<'_, '_>, node: Yaml<'_>) {
    if let Some(env) = node.get("env") {
        variable(report, env);
    }
}

fn variable(report: &mut Report<'_, '_>, variables: Yaml<'_>) {
    // Any text but an empty one or a no is a yes.
    let set = variables
        .entry(VARIABLE)
        .filter(|(_, value)| !value.is_false() && !value.is_empty() && value.text() != Some(""));
    if let Some((key, _)) = set {
        report.at(&COMMANDS, key, "a program that prints a stranger's text sets the variables of all later steps");
    }
}

fn shell(report: &mut Report<'_, '_>, node: Option<Yaml<'_>>) {
    let Some(node) = node else { return };
    let program =
        node.text().unwrap_or("").split_whitespace().next().unwrap_or("").rsplit(['/', '\\']).next().unwrap_or("");
    if matches!(program.to_ascii_lowercase().as_str(), "cmd" | "cmd.exe") {
        report.at(&MISFEATURE, node, "the shell has no grammar, so that nobody can tell what a script does");
    }
}

fn self_hosted(report: &mut Report<'_, '_>, job: Job<'_>) {
    let Some((key, runs_on)) = job.node.entry("runs-on") else { return };
    let message = "what a job leaves on the machine, the next one finds";
    let labels =
        if runs_on.is_mapping() { runs_on.get("labels").map(Yaml::texts).unwrap_or_default() } else { runs_on.texts() };
    if labels.contains(&"self-hosted") || runs_on.get("group").is_some() {
        report.at(&SELF_HOSTED, key, message);
        return;
    }
    let text = runs_on.text().unwrap_or("").trim();
    let name = text
        .strip_prefix("${{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .and_then(|inside| inside.trim().strip_prefix("matrix."));
    let matrix = job.node.at(&["strategy", "matrix"]);
    if let (Some(name), Some(matrix)) = (name, matrix)
        && expands_to(matrix, name)
    {
        report.at(&SELF_HOSTED, key, message);
    }
}

/// Whether one of the matrix's combinations has a runner of one's own here.
fn expands_to(matrix: Yaml<'_>, name: &str) -> bool {
    let path: Vec<_> = name.split('.').collect();
    let is_own = |value: Yaml<'_>| value.at(&path[1..]).is_some_and(|value| value.texts().contains(&"self-hosted"));
    let own = |node: Yaml<'_>| node.get(path[0]).is_some_and(is_own);
    let excluded = matrix.list("exclude").any(|one| one.entries().count() == 1 && own(one));
    matrix.list(path[0]).any(is_own) && !excluded || matrix.list("include").any(own)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, steps};
    use super::*;
    use crate::sample;

    #[test]
    fn machines_of_ones_own_are_found() {
        let on = |runner: &str| steps("push", "- run: a").replace("ubuntu-24.04", runner);
        for own in ["self-hosted", "[self-hosted, linux]", "{group: a}"] {
            check("self-hosted-runner", &on(own), &[4]);
        }
        for other in ["ubuntu-latest", "[macos-15]", "${{ inputs.a }}"] {
            check("self-hosted-runner", &on(other), &[]);
        }
        let matrix = |matrix: &str| on(&format!("${{{{ matrix.os }}}}\n    strategy: {{matrix: {{{matrix}}}}}"));
        check("self-hosted-runner", &matrix("os: [self-hosted, a]"), &[4]);
        check("self-hosted-runner", &matrix("os: [a], include: [{os: self-hosted}]"), &[4]);
        check("self-hosted-runner", &matrix("os: [self-hosted, a], exclude: [{os: self-hosted}]"), &[]);
        check("self-hosted-runner", &matrix("os: [a, b]"), &[]);
    }

    #[test]
    fn the_old_commands_are_found_wherever_they_are_allowed() {
        let step = |value: &str| steps("push", &format!("- run: a\n  env: {{{VARIABLE}: {value}}}"));
        check("insecure-commands", &step("true"), &[7]);
        check("insecure-commands", &step("1"), &[7]);
        check("insecure-commands", &step("false"), &[]);
        check("insecure-commands", &format!("env:\n  {VARIABLE}: 'true'\n{}", steps("push", "- run: a")), &[2]);
        sample::finds_in_hunk(
            &COMMANDS,
            ".github/workflows/a.yml",
            &format!("         run: a\n         env:\n+          {VARIABLE}: true"),
            &[(12, Severity::Medium)],
        );
    }

    #[test]
    fn features_that_do_harm_are_found() {
        check("misfeature", &steps("push", "- run: a\n  shell: cmd"), &[7]);
        check("misfeature", &steps("push", "- run: a\n  shell: bash"), &[]);
        check("misfeature", &steps("push", "- uses: actions/setup-python@v5\n  with: {pip-install: a}"), &[7]);
    }
}
