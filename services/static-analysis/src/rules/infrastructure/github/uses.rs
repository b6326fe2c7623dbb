//! What a workflow takes from others: actions, reusable workflows, images.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::rule;
use super::workflow::{Step, Uses, Workflow};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&UNPINNED, &IMAGE, &VULNERABLE, &TYPO, &PERSISTED, &ARCHIVED, &TOOLS, &OBFUSCATED];

const PINNING: &[&str] =
    &["https://docs.github.com/en/actions/reference/security/secure-use#using-third-party-actions"];

static UNPINNED: Rule = Rule {
    cwe: 829,
    hazard: "ci.unpinned-action",
    remediation: "Name the commit (owner/action@<40 digits> # v1.2.3); Dependabot and Renovate keep it up to date.",
    references: PINNING,
    aliases: &["unpinned-uses"],
    ..rule(
        "infrastructure.github.unpinned-action",
        "Action named by a tag or a branch, which can be moved",
        Severity::Low,
    )
};
static IMAGE: Rule = Rule {
    cwe: 829,
    hazard: "ci.unpinned-image",
    remediation: "Name the image's version, or better its digest.",
    references: &[
        "https://docs.github.com/en/actions/how-tos/write-workflows/choose-where-workflows-run/run-jobs-in-a-container",
    ],
    aliases: &["unpinned-images"],
    ..rule("infrastructure.github.unpinned-image", "Job in an image without a version", Severity::Low)
};
static VULNERABLE: Rule = Rule {
    cwe: 1395,
    hazard: "ci.known-vulnerable-action",
    remediation: "Take the version that the advisory names, and change the secrets that the action could see.",
    references: &["https://github.com/advisories?query=type%3Areviewed+ecosystem%3Aactions"],
    aliases: &["known-vulnerable-actions"],
    ..rule("infrastructure.github.known-vulnerable-action", "Action with a published vulnerability", Severity::Medium)
};
static TYPO: Rule = Rule {
    cwe: 829,
    hazard: "ci.typosquat",
    remediation: "Check the owner's name: this is one letter from an action that everybody uses.",
    references: PINNING,
    aliases: &["typosquat-uses"],
    ..rule("infrastructure.github.typosquat", "Action of a name that is easily mistaken", Severity::Medium)
};
static PERSISTED: Rule = Rule {
    cwe: 522,
    hazard: "ci.artipacked",
    remediation: "Set persist-credentials: false, unless a later step has to push.",
    references: &["https://github.com/actions/checkout#usage"],
    aliases: &["artipacked"],
    ..rule("infrastructure.github.persisted-credentials", "Checkout leaves the token on the disk", Severity::Info)
};
static ARCHIVED: Rule = Rule {
    cwe: 1104,
    hazard: "ci.archived-action",
    remediation: "Use what the action's own page names in its place.",
    references: &["https://docs.github.com/en/repositories/archiving-a-github-repository/archiving-repositories"],
    aliases: &["archived-uses"],
    ..rule("infrastructure.github.archived-action", "Action that nobody maintains", Severity::Low)
};
static TOOLS: Rule = Rule {
    cwe: 829,
    hazard: "ci.unpinned-tool",
    remediation: "Give the action the version of the tool that it is to install.",
    references: &["https://github.com/aquasecurity/setup-trivy", "https://github.com/1Password/load-secrets-action"],
    aliases: &["unpinned-tools"],
    ..rule("infrastructure.github.unpinned-tool", "Action that installs the latest version of its tool", Severity::Low)
};
static OBFUSCATED: Rule = Rule {
    cwe: 506,
    hazard: "ci.obfuscation",
    remediation: "Write the path of the action without empty parts and dots.",
    references: PINNING,
    aliases: &["obfuscation"],
    ..rule("infrastructure.github.obfuscated-action", "Path of an action that hides where it leads", Severity::Low)
};

/// Actions, the first version with a flaw and the first without it. A tag such as `v4` moves, and is told by its whole.
const FLAWED: &[(&str, &[u64], &[u64])] = &[
    ("tj-actions/changed-files", &[0], &[46, 0, 1]),
    ("tj-actions/branch-names", &[0], &[9]),
    ("tj-actions/verify-changed-files", &[0], &[17]),
    ("reviewdog/action-setup", &[1], &[1, 3, 1]),
    ("actions/download-artifact", &[4, 0, 0], &[4, 1, 3]),
    ("gradle/gradle-build-action", &[2, 0], &[2, 4, 2]),
    ("hashicorp/vault-action", &[0], &[2, 2, 0]),
    ("atlassian/gajira-create", &[0], &[2, 0, 1]),
    ("atlassian/gajira-comment", &[0], &[2, 0, 2]),
    ("rlespinasse/github-slug-action", &[4, 0, 0], &[4, 4, 1]),
    ("embano1/wip", &[0], &[2]),
    ("some-natalie/ghas-to-csv", &[0], &[1]),
    ("kartverket/github-workflows", &[0], &[2, 7, 5]),
    ("dawidd6/action-download-artifact", &[0], &[6]),
    ("fish-shop/syntax-check", &[0], &[1, 6, 12]),
    ("step-security/harden-runner", &[0], &[2, 10, 2]),
    ("ultralytics/actions", &[0], &[0, 0, 3]),
    ("check-spelling/check-spelling", &[0], &[0, 0, 19]),
    ("bullfrogsec/bullfrog", &[0], &[0, 8, 4]),
    ("canonical/get-workflow-version-action", &[0], &[1, 0, 1]),
];

/// Actions that their owners have archived.
const ARCHIVES: &[&str] = &[
    "actions/create-release",
    "actions/upload-release-asset",
    "actions/setup-ruby",
    "actions/setup-elixir",
    "actions/setup-haskell",
    "actions-rs/toolchain",
    "actions-rs/cargo",
    "actions-rs/clippy-check",
    "actions-rs/audit-check",
    "actions-rs/install",
    "actions-rs/tarpaulin",
];

/// Actions that many use, and whose names are worth mistaking.
const KNOWN: &[&str] = &[
    "actions/checkout",
    "actions/cache",
    "actions/setup-node",
    "actions/setup-python",
    "actions/setup-go",
    "actions/setup-java",
    "actions/setup-dotnet",
    "actions/upload-artifact",
    "actions/download-artifact",
    "actions/github-script",
    "actions/labeler",
    "actions/stale",
    "docker/login-action",
    "docker/build-push-action",
    "docker/setup-buildx-action",
    "docker/setup-qemu-action",
    "docker/metadata-action",
    "codecov/codecov-action",
    "github/codeql-action",
    "softprops/action-gh-release",
    "aws-actions/configure-aws-credentials",
    "google-github-actions/auth",
    "azure/login",
    "hashicorp/setup-terraform",
    "pypa/gh-action-pypi-publish",
    "peaceiris/actions-gh-pages",
    "ruby/setup-ruby",
    "Swatinem/rust-cache",
    "dtolnay/rust-toolchain",
    "golangci/golangci-lint-action",
    "goreleaser/goreleaser-action",
    "pnpm/action-setup",
    "peter-evans/create-pull-request",
    "dorny/paths-filter",
    "astral-sh/setup-uv",
];

pub(super) fn check_step(report: &mut Report<'_, '_>, step: &Step<'_>) {
    if let Some(node) = step.node.get("uses") {
        named(report, node);
    }
    if let Some((node, uses)) = step.uses() {
        persisted(report, step, node, &uses);
        let installs = uses.is("aquasecurity/setup-trivy") || uses.is("1password/load-secrets-action");
        let version = step.input("version").and_then(Yaml::text);
        if installs && matches!(version, None | Some("latest")) && !step.node.is_unknown() {
            report.at(&TOOLS, node, "which version of the tool runs changes from run to run");
        }
    }
}

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>) {
    for job in workflow.jobs() {
        if let Some(node) = job.node.get("uses") {
            named(report, node);
        }
        let container = job.node.get("container");
        let image = container.and_then(|container| container.get("image").or(container.text().map(|_| container)));
        let services = job
            .node
            .get("services")
            .into_iter()
            .flat_map(Yaml::entries)
            .filter_map(|(_, service)| service.get("image"));
        for node in image.into_iter().chain(services) {
            image_name(report, job.node, node);
        }
    }
    if let Some(image) = workflow.root.at(&["runs", "image"]).filter(|_| workflow.is_action)
        && let Some(name) = image.text().and_then(|text| text.strip_prefix("docker://"))
        && is_floating(name)
    {
        report.at(&IMAGE, image, "what runs changes from run to run");
    }
}

fn named(report: &mut Report<'_, '_>, node: Yaml<'_>) {
    let text = node.text().unwrap_or("").trim();
    if let Some(image) = text.strip_prefix("docker://") {
        if !image.contains('@') && !image.contains("${{") {
            report.at(&UNPINNED, node, "whoever may push to the registry can put another program behind the tag");
        }
        return;
    }
    let path = text.split('@').next().unwrap_or(text);
    let local = path.starts_with("./") || path.starts_with("../");
    let inner = path.strip_prefix("./").unwrap_or(path);
    if inner.trim_end_matches('/').split('/').any(|part| part == "." || part == ".." && !local || part.is_empty())
        && !inner.is_empty()
        && !path.contains("${{")
    {
        report.at(&OBFUSCATED, node, "the path is not what it seems");
    }
    let Some(uses) = Uses::of(text) else { return };
    if !uses.is_commit() {
        // GitHub's own are as safe as the platform that runs them.
        let own = ["actions/", "github/"].iter().any(|owner| uses.repository.to_ascii_lowercase().starts_with(owner));
        let severity = if own { Severity::Info } else { UNPINNED.severity };
        report.as_bad_as(
            severity,
            &UNPINNED,
            node,
            "whoever may push to the action's repository can put another program behind the name",
        );
    }
    if is_flawed(&uses) {
        report.at(&VULNERABLE, node, "this version has a published vulnerability");
    }
    if ARCHIVES.iter().any(|name| uses.is(name)) {
        report.at(&ARCHIVED, node, "the action is archived, and what is found in it is not mended");
    }
    if is_mistaken(&uses) {
        report.at(&TYPO, node, "the name is one letter from that of a well-known action of another owner");
    }
}

fn is_flawed(uses: &Uses<'_>) -> bool {
    let Some(version) = uses.version() else { return false };
    FLAWED.iter().any(|(name, first, mended)| {
        // `v4` is the newest 4 there is: flawed only when the mended one is a 5.
        let moving = version.len() < 3 && version.as_slice() == &mended[..version.len().min(mended.len())];
        uses.is(name) && !moving && version.as_slice() >= *first && version.as_slice() < *mended
    })
}

fn is_mistaken(uses: &Uses<'_>) -> bool {
    let name = uses.repository.to_ascii_lowercase();
    let owner = name.split('/').next().unwrap_or("");
    let known: Vec<_> = KNOWN.iter().map(|known| known.to_ascii_lowercase()).collect();
    !known.contains(&name)
        && !known.iter().any(|known| known.split('/').next() == Some(owner))
        && name.len() < 100
        && known.iter().any(|known| one_apart(known, &name))
}

/// Whether one letter more, less or other, or two swapped, makes one word the other.
fn one_apart(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a.len(), b.len()) {
        (0, 0) => false,
        (x, y) if x == y => a[1..] == b[1..] || x > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..],
        (x, y) if x + 1 == y => a == &b[1..],
        (x, y) if x == y + 1 => &a[1..] == b,
        _ => false,
    }
}

fn persisted(report: &mut Report<'_, '_>, step: &Step<'_>, node: Yaml<'_>, uses: &Uses<'_>) {
    let setting = step.input("persist-credentials");
    // In a piece of a file the setting may be out of sight.
    let seen = step.job.is_some() || report.view.whole;
    if uses.is("actions/checkout")
        && seen
        && !setting.is_some_and(|value| value.is_false() || value.is_true() || value.is_unknown())
    {
        report.at(&PERSISTED, node, "the token stays where every later step, and every artifact of the folder, has it");
    }
}

fn is_floating(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !image.is_empty()
        && !image.contains('@')
        && matches!(last.split_once(':').map(|(_, tag)| tag), None | Some("latest" | ""))
}

fn image_name(report: &mut Report<'_, '_>, job: Yaml<'_>, node: Yaml<'_>) {
    let text = node.text().unwrap_or("").trim();
    let image = text.strip_prefix("docker://").unwrap_or(text);
    if !image.contains("${{") {
        if is_floating(image) {
            report.at(&IMAGE, node, "what runs changes from run to run");
        }
        return;
    }
    // A matrix that is written out names its images itself.
    let name = image
        .strip_prefix("${{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .and_then(|inside| inside.trim().strip_prefix("matrix."));
    let Some(name) = name else { return };
    let Some(matrix) = job.at(&["strategy", "matrix"]) else { return };
    let included = matrix.list("include").filter_map(|one| one.get(name));
    for value in matrix.list(name).chain(included) {
        if value.text().is_some_and(|text| !text.contains("${{") && is_floating(text)) {
            report.at(&IMAGE, value, "what runs changes from run to run");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at, steps};
    use super::*;
    use crate::sample;

    const COMMIT: &str = "11bd71901bbe5b1630ceea73d27597364c9af683";

    #[track_caller]
    fn uses(id: &str, bad: &[&str], good: &[&str]) {
        for name in bad {
            check(id, &steps("push", &format!("- uses: {name}")), &[6]);
        }
        for name in good {
            check(id, &steps("push", &format!("- uses: {name}")), &[]);
        }
    }

    #[test]
    fn names_that_can_be_moved_are_found() {
        let pinned = format!("acme/b@{COMMIT}");
        uses(
            "unpinned-action",
            &["acme/b@v1", "actions/checkout@v4", "docker://a:1", "acme/b/c@main"],
            &[&pinned, "./a", "docker://a@sha256:00", "$/a"],
        );
        check("unpinned-action", "on: push\njobs:\n  a:\n    uses: acme/b/.github/workflows/c.yml@v1\n", &[4]);
        check_at(
            "action.yml",
            "unpinned-action",
            "name: a\nruns:\n  using: composite\n  steps:\n  - uses: acme/b@v1\n",
            &[5],
        );
        let hunk = "+      - uses: acme/b@v2\n+      - uses: actions/cache@v4";
        sample::finds_in_hunk(&UNPINNED, ".github/workflows/a.yml", hunk, &[(10, Severity::Low), (11, Severity::Info)]);
    }

    #[test]
    fn actions_are_known_by_their_history() {
        uses(
            "known-vulnerable-action",
            &["tj-actions/changed-files@v45.0.1", "actions/download-artifact@v4.1.0"],
            &["tj-actions/changed-files@v46.0.2", "actions/download-artifact@v4", "actions/download-artifact@v3"],
        );
        uses("archived-action", &["actions-rs/cargo@v1"], &["actions/checkout@v4"]);
        uses(
            "typosquat",
            &["action/checkout@v4", "dokcer/login-action@v3"],
            &["actions/checkot@v4", "acme/checkout@v4", "docker/login-action@v3"],
        );
        uses("obfuscated-action", &["actions/checkout/./a@v4", "acme/b//c@v1"], &["acme/b/c@v1", "./a/b", "./"]);
    }

    #[test]
    fn tokens_are_not_left_and_tools_are_named() {
        let checkout = |with: &str| steps("push", &format!("- uses: actions/checkout@v4\n{with}"));
        check("persisted-credentials", &checkout(""), &[6]);
        check("persisted-credentials", &checkout("  with: {persist-credentials: false}"), &[]);
        let tool = |with: &str| steps("push", &format!("- uses: aquasecurity/setup-trivy@v1\n{with}"));
        check("unpinned-tool", &tool(""), &[6]);
        check("unpinned-tool", &tool("  with: {version: v1.2.3}"), &[]);
    }

    #[test]
    fn images_are_named_by_their_versions() {
        let job = |lines: &str| steps("push", "- run: a").replace("    steps:", &format!("{lines}\n    steps:"));
        check("unpinned-image", &job("    container: a/b"), &[5]);
        check("unpinned-image", &job("    container: {image: a/b:latest}"), &[5]);
        check("unpinned-image", &job("    services: {x: {image: redis}}"), &[5]);
        check("unpinned-image", &job("    container: a/b:1"), &[]);
        check("unpinned-image", &job("    container: ${{ matrix.i }}\n    strategy: {matrix: {i: [a, 'b:1']}}"), &[6]);
    }
}
