//! Which rights a workflow has, who can start it with them, and which secrets it hands on.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::rule;
use super::workflow::Workflow;
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&PERMISSIONS, &TRIGGER, &INHERIT, &CREDENTIALS, &ANONYMOUS, &CONCURRENCY];

static PERMISSIONS: Rule = Rule {
    cwe: 269,
    hazard: "ci.excessive-permissions",
    remediation: "Set permissions: {} (or contents: read) for the workflow, and give each job what it needs.",
    references: &["https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions"],
    aliases: &["excessive-permissions", "CKV2_GHA_1"],
    ..rule("infrastructure.github.excessive-permissions", "Workflow with more rights than it needs", Severity::Low)
};
static TRIGGER: Rule = Rule {
    cwe: 829,
    hazard: "ci.dangerous-trigger",
    remediation: "Use pull_request, whose runs have no secrets; or keep what this one runs apart from the pull request's code and text.",
    references: &["https://docs.github.com/en/actions/reference/security/securely-using-pull_request_target"],
    aliases: &["dangerous-triggers"],
    ..rule(
        "infrastructure.github.dangerous-trigger",
        "Strangers can start the workflow with the repository's rights",
        Severity::Low,
    )
};
static INHERIT: Rule = Rule {
    cwe: 522,
    hazard: "ci.secrets-inherit",
    remediation: "Name the secrets that the called workflow needs.",
    references: &[
        "https://docs.github.com/en/actions/how-tos/reuse-automations/reuse-workflows#passing-inputs-and-secrets-to-a-reusable-workflow",
    ],
    aliases: &["secrets-inherit"],
    ..rule("infrastructure.github.secrets-inherit", "Every secret handed to another workflow", Severity::Low)
};
static CREDENTIALS: Rule = Rule {
    cwe: 798,
    hazard: "ci.hardcoded-credentials",
    remediation: "Keep the password in a secret, and change the one that was written here.",
    references: &[
        "https://docs.github.com/en/actions/how-tos/security-for-github-actions/security-guides/using-secrets-in-github-actions",
    ],
    aliases: &["hardcoded-container-credentials"],
    ..rule("infrastructure.github.hardcoded-credentials", "Password of a registry in a workflow", Severity::Medium)
};
static ANONYMOUS: Rule = Rule {
    hazard: "ci.anonymous-definition",
    remediation: "Give it a name.",
    references: &["https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#name"],
    aliases: &["anonymous-definition"],
    ..rule("infrastructure.github.no-name", "Workflow or action without a name", Severity::Info)
};
static CONCURRENCY: Rule = Rule {
    cwe: 770,
    hazard: "ci.concurrency-limits",
    remediation: "Set concurrency with a group for each branch, and cancel-in-progress where a newer run replaces the older.",
    references: &[
        "https://docs.github.com/en/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency",
    ],
    aliases: &["concurrency-limits"],
    ..rule("infrastructure.github.no-concurrency-limit", "Any number of runs beside each other", Severity::Info)
};

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>, complete: bool) {
    for (name, key, _) in workflow.triggers() {
        match name {
            "pull_request_target" => report.as_bad_as(
                Severity::Medium,
                &TRIGGER,
                key,
                "whoever opens a pull request starts this with the repository's secrets and rights",
            ),
            "workflow_run" => report.at(
                &TRIGGER,
                key,
                "what a pull request's run leaves behind is used with the repository's secrets and rights",
            ),
            _ => {}
        }
    }
    if complete && workflow.root.get("name").is_none() {
        report.at(&ANONYMOUS, workflow.root, "in the list of runs it has no name");
    }
    if workflow.is_action {
        return;
    }
    rights(report, workflow, complete);
    for job in workflow.jobs() {
        if let Some(secrets) = job.node.get("secrets").filter(|secrets| secrets.text() == Some("inherit")) {
            report.at(&INHERIT, secrets, "the called workflow has every secret that this one has");
        }
        let services = job.node.get("services").into_iter().flat_map(Yaml::entries).map(|(_, service)| service);
        for container in job.node.get("container").into_iter().chain(services) {
            password(report, container.at(&["credentials", "password"]));
        }
    }
    for step in workflow.steps().iter().filter(|step| step.is_action(&["docker/login-action"])) {
        password(report, step.input("password"));
    }
    if complete
        && workflow.root.get("concurrency").is_none()
        && workflow.jobs().any(|job| job.node.get("concurrency").is_none())
        && !is_called_only(workflow)
    {
        report.once(&CONCURRENCY, workflow.root, "runs that are outdated go on beside the new ones");
    }
}

fn password(report: &mut Report<'_, '_>, value: Option<Yaml<'_>>) {
    if let Some(value) =
        value.filter(|value| value.text().is_some_and(|text| !text.is_empty() && !text.contains("${{")))
    {
        report.secret(&CREDENTIALS, value, "the password stands in the file, for all who can read the repository");
    }
}

/// Whether only other workflows start it: then the caller's rights hold.
fn is_called_only(workflow: &Workflow<'_>) -> bool {
    let triggers = workflow.triggers();
    !triggers.is_empty() && triggers.iter().all(|(name, ..)| *name == "workflow_call")
}

fn rights(report: &mut Report<'_, '_>, workflow: &Workflow<'_>, complete: bool) {
    let jobs: Vec<_> = workflow.jobs().collect();
    let own = workflow.root.entry("permissions");
    // With one job, or where each says its own, what is said for all is no more than what is needed.
    let narrow =
        jobs.len() == 1 || is_called_only(workflow) || jobs.iter().all(|job| job.node.get("permissions").is_some());
    match own {
        Some((key, value)) if value.text() == Some("write-all") => {
            report.as_bad_as(
                Severity::Medium,
                &PERMISSIONS,
                key,
                "every job may write everything that the token can reach",
            );
        }
        Some((key, value)) if value.text() == Some("read-all") => {
            report.as_bad_as(
                Severity::Info,
                &PERMISSIONS,
                key,
                "every job may read everything that the token can reach",
            );
        }
        Some((_, value)) if !narrow => {
            for (scope, _) in value.entries().filter(|(_, right)| right.text() == Some("write")) {
                report.at(&PERMISSIONS, scope, "every job has this right, and most need it not");
            }
        }
        _ => {}
    }
    for job in &jobs {
        match job.node.entry("permissions") {
            Some((key, value)) if value.text() == Some("write-all") => {
                report.as_bad_as(
                    Severity::Medium,
                    &PERMISSIONS,
                    key,
                    "the job may write everything that the token can reach",
                );
            }
            Some((key, value)) if value.text() == Some("read-all") => {
                report.as_bad_as(
                    Severity::Info,
                    &PERMISSIONS,
                    key,
                    "the job may read everything that the token can reach",
                );
            }
            None if own.is_none() && complete && !is_called_only(workflow) => {
                let before = Severity::Info;
                report.as_bad_as(
                    before,
                    &PERMISSIONS,
                    job.key,
                    "the job has the rights that the repository gives by default, which may be all",
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at, steps};

    #[test]
    fn rights_beyond_need_are_found() {
        let with =
            |permissions: &str| steps("push", "- run: a").replace("on: push", &format!("on: push\n{permissions}"));
        check("excessive-permissions", &with("permissions: write-all"), &[2]);
        check("excessive-permissions", &with("permissions: {}"), &[]);
        check("excessive-permissions", &with("permissions: {contents: write}"), &[]);
        check(
            "excessive-permissions",
            &(with("permissions: {contents: write}") + "  b: {runs-on: a, steps: []}\n"),
            &[2],
        );
        check("excessive-permissions", &steps("push", "- run: a"), &[3]);
        check("excessive-permissions", &steps("workflow_call", "- run: a"), &[]);
    }

    #[test]
    fn who_can_start_it_and_what_is_handed_on() {
        check("dangerous-trigger", &steps("pull_request_target", "- run: a"), &[1]);
        check("dangerous-trigger", &steps("[push, workflow_run]", "- run: a"), &[1]);
        check("dangerous-trigger", &steps("{pull_request: {types: [opened]}}", "- run: a"), &[]);
        check("secrets-inherit", "on: push\njobs:\n  a:\n    uses: ./b.yml\n    secrets: inherit\n", &[5]);
        check("secrets-inherit", "on: push\njobs:\n  a:\n    uses: ./b.yml\n    secrets: {a: b}\n", &[]);
    }

    #[test]
    fn passwords_in_the_file_are_found_and_hidden() {
        let job = |password: &str| {
            steps("push", "- run: a").replace(
                "    steps:",
                &format!(
                    "    container: {{image: 'a:1', credentials: {{username: b, password: {password}}}}}\n    steps:"
                ),
            )
        };
        check("hardcoded-credentials", &job("correct-horse"), &[5]);
        check("hardcoded-credentials", &job("\"${{ secrets.A }}\""), &[]);
        let text = job("correct-horse");
        let findings = crate::sample::scan(vec![crate::sample::added(".github/workflows/a.yml", &text)]).findings;
        assert!(findings.iter().all(|finding| !finding.excerpt.contains("correct-horse")));
    }

    #[test]
    fn names_and_limits_are_missed() {
        check("no-name", &steps("push", "- run: a"), &[1]);
        check("no-name", &format!("name: a\n{}", steps("push", "- run: a")), &[]);
        check_at("action.yml", "no-name", "runs: {using: node20, main: a.js}\n", &[1]);
        check("no-concurrency-limit", &steps("push", "- run: a"), &[1]);
        check("no-concurrency-limit", &format!("concurrency: a\n{}", steps("push", "- run: a")), &[]);
    }
}
