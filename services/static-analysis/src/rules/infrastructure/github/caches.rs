//! Caches in a workflow that publishes: what an earlier run of a stranger put there goes into the release.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::rule;
use super::workflow::{Step, Uses, Workflow};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&RULE];

static RULE: Rule = Rule {
    cwe: 349,
    hazard: "ci.cache-poisoning",
    remediation: "Build what is published without a cache: turn it off in the jobs that release.",
    references: &[
        "https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching#restrictions-for-accessing-a-cache",
        "https://adnanthekhan.com/2024/05/06/the-monsters-in-your-build-cache-github-actions-cache-poisoning/",
    ],
    aliases: &["cache-poisoning"],
    ..rule("infrastructure.github.cache-poisoning", "Release built from a cache", Severity::Low)
};

/// When an action uses a cache, by one of its inputs.
#[derive(Clone, Copy)]
enum When {
    /// Always.
    Always,
    /// When this input has a value that is no "no".
    If(&'static str),
    /// Unless this input is false.
    UnlessFalse(&'static str),
    /// Unless this input is true.
    UnlessTrue(&'static str),
    /// When this input is true.
    IfTrue(&'static str),
}

use When::{Always, If, IfTrue, UnlessFalse, UnlessTrue};

const CACHES: &[(&str, When)] = &[
    ("actions/cache", UnlessTrue("lookup-only")),
    ("actions/cache/restore", UnlessTrue("lookup-only")),
    ("actions/setup-java", If("cache")),
    ("actions/setup-go", UnlessFalse("cache")),
    ("actions/setup-node", UnlessFalse("package-manager-cache")),
    ("actions/setup-node", If("cache")),
    ("actions/setup-python", If("cache")),
    ("actions/setup-dotnet", IfTrue("cache")),
    ("astral-sh/setup-uv", UnlessFalse("enable-cache")),
    ("Swatinem/rust-cache", UnlessTrue("lookup-only")),
    ("ruby/setup-ruby", IfTrue("bundler-cache")),
    ("PyO3/maturin-action", IfTrue("sccache")),
    ("mlugg/setup-zig", UnlessFalse("use-cache")),
    ("oven-sh/setup-bun", UnlessTrue("no-cache")),
    ("DeterminateSystems/magic-nix-cache-action", UnlessFalse("use-gha-cache")),
    ("graalvm/setup-graalvm", If("cache")),
    ("gradle/actions/setup-gradle", UnlessTrue("cache-disabled")),
    ("actions-rust-lang/setup-rust-toolchain", UnlessFalse("cache")),
    ("Mozilla-Actions/sccache-action", Always),
    ("nix-community/cache-nix-action", Always),
    ("jdx/mise-action", UnlessFalse("cache")),
    ("ramsey/composer-install", UnlessTrue("ignore-cache")),
    ("awalsh128/cache-apt-pkgs-action", Always),
];

/// Actions that publish something, whatever starts the workflow.
const PUBLISHERS: &[&str] = &[
    "pypa/gh-action-pypi-publish",
    "rubygems/release-gem",
    "jreleaser/release-action",
    "goreleaser/goreleaser-action",
    "softprops/action-gh-release",
    "release-drafter/release-drafter",
    "googleapis/release-please-action",
    "redhat-actions/push-to-registry",
    "aws-actions/amazon-ecs-deploy-task-definition",
    "aws-actions/aws-cloudformation-github-deploy",
    "Azure/aci-deploy",
    "Azure/container-apps-deploy-action",
    "Azure/functions-action",
    "Azure/sql-action",
    "cloudflare/wrangler-action",
    "google-github-actions/deploy-appengine",
    "google-github-actions/deploy-cloudrun",
    "google-github-actions/deploy-cloud-functions",
];

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>) {
    if workflow.is_action {
        return;
    }
    let released = is_release(workflow);
    for job in workflow.jobs() {
        let steps: Vec<_> = job.steps().collect();
        if released || steps.iter().any(publishes) {
            for step in &steps {
                if let Some((node, _)) = step.uses().filter(|(_, uses)| caches(step, uses, released)) {
                    report.at(&RULE, node, "whoever can write to the cache writes into what is published here");
                }
            }
        }
    }
}

/// Whether it runs for releases: for a tag, for a branch that is called so, for the event itself.
fn is_release(workflow: &Workflow<'_>) -> bool {
    workflow.triggers().iter().any(|(name, _, settings)| match *name {
        "release" => true,
        "push" => settings.is_some_and(|settings| {
            let branches =
                settings.list("branches").chain(settings.get("branches").filter(|branch| branch.text().is_some()));
            let release = branches.filter_map(Yaml::text).any(|branch| branch.to_ascii_lowercase().contains("release"));
            release || settings.get("tags").is_some() || settings.get("tags-ignore").is_some()
        }),
        _ => false,
    })
}

fn publishes(step: &Step<'_>) -> bool {
    let pushes =
        step.is_action(&["docker/build-push-action"]) && step.input("push").is_some_and(|push| !push.is_false());
    pushes || step.is_action(PUBLISHERS)
}

fn caches(step: &Step<'_>, uses: &Uses<'_>, released: bool) -> bool {
    // Where only tags start it, what depends on a tag is known.
    let says = |input: &str| step.input(input).and_then(Yaml::text).map(|text| value_for_tag(text, released));
    let explicit_off = |input: &str| matches!(says(input).as_deref(), Some("false" | "no" | "0"));
    let explicit_on = |input: &str| matches!(says(input).as_deref(), Some("true" | "yes" | "1"));
    CACHES.iter().filter(|(name, _)| uses.is(name)).any(|(name, when)| match *when {
        Always => true,
        If(input) => says(input).is_some_and(|value| !value.is_empty() && value != "false"),
        IfTrue(input) => says(input).is_some_and(|_| !explicit_off(input)),
        UnlessTrue(input) => !explicit_on(input),
        UnlessFalse("package-manager-cache") => !explicit_off("package-manager-cache") && is_new_node(uses),
        UnlessFalse(input) => {
            let off_by_default = *name == "astral-sh/setup-uv" && is_new_uv(uses);
            if step.input(input).is_none() { !off_by_default } else { !explicit_off(input) }
        }
    })
}

/// The value of a condition on the tag, in a run that a tag has started.
fn value_for_tag(text: &str, released: bool) -> String {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let asks_for_tag = |condition: &str| {
        let condition = condition.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(condition);
        matches!(
            condition,
            "startsWith(github.ref,'refs/tags/')"
                | "github.ref_type=='tag'"
                | "github.event_name=='push'&&github.ref_type=='tag'"
                | "github.ref_type=='tag'&&github.event_name=='push'"
        )
    };
    let inside = plain.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
    match inside {
        Some(condition) if released && asks_for_tag(condition) => "true".to_owned(),
        Some(condition) if released && condition.strip_prefix('!').is_some_and(asks_for_tag) => "false".to_owned(),
        Some("true") => "true".to_owned(),
        Some("false") => "false".to_owned(),
        _ => text.trim().to_owned(),
    }
}

/// The input is there since version 5, and on by default.
fn is_new_node(uses: &Uses<'_>) -> bool {
    uses.version().is_none_or(|version| version.first().is_none_or(|major| *major >= 5))
}

/// Since version 10 it is off by default.
fn is_new_uv(uses: &Uses<'_>) -> bool {
    uses.version().is_some_and(|version| version.first().is_some_and(|major| *major >= 10))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, steps};

    #[track_caller]
    fn cached(on: &str, list: &str, lines: &[u32]) {
        check("cache-poisoning", &steps(on, list), lines);
    }

    #[test]
    fn a_release_from_a_cache_is_found() {
        for on in ["release", "{push: {tags: ['v*']}}", "{push: {branches: [release/v1]}}"] {
            cached(on, "- uses: actions/cache@v4", &[6]);
        }
        cached("push", "- uses: actions/cache@v4\n- uses: softprops/action-gh-release@v2", &[6]);
        cached("push", "- uses: actions/cache@v4", &[]);
        cached("{push: {branches: [main]}}", "- uses: actions/cache@v4", &[]);
    }

    #[test]
    fn inputs_decide_whether_there_is_a_cache() {
        for (step, found) in [
            ("actions/setup-node@v4\n  with: {cache: npm}", true),
            ("actions/setup-node@v4", false),
            ("actions/setup-go@v5", true),
            ("actions/setup-go@v5\n  with: {cache: false}", false),
            ("actions/setup-go@v5\n  with: {cache: \"${{ !startsWith(github.ref, 'refs/tags/') }}\"}", false),
            ("actions/cache@v4\n  with: {lookup-only: true}", false),
            ("ruby/setup-ruby@v1", false),
            ("ruby/setup-ruby@v1\n  with: {bundler-cache: true}", true),
            ("astral-sh/setup-uv@v5", true),
            ("astral-sh/setup-uv@v5\n  with: {enable-cache: false}", false),
        ] {
            cached("release", &format!("- uses: {step}"), if found { &[6] } else { &[] });
        }
    }
}
