//! GitHub workflows and actions: who can make them run what, and with which rights.

use domain::diff::FileDiff;
use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};

use super::report::Report;
use super::view::{self, View};
use crate::paths;
use crate::rules::{Check, FileHit, Rule, Shared};

mod caches;
mod conditions;
mod dependabot;
mod environment_files;
mod expression;
mod injection;
mod permissions;
mod publishing;
mod runners;
pub mod untrusted_checkout;
mod uses;
mod workflow;

use workflow::{Step, Workflow};

static SHARED: Shared = Shared { applies: is_github_file, check, besides: &[] };

/// The rules for GitHub.
pub(crate) fn rules() -> Vec<&'static Rule> {
    let mut rules = vec![&untrusted_checkout::RULE];
    let others = [
        caches::RULES,
        conditions::RULES,
        dependabot::RULES,
        environment_files::RULES,
        injection::RULES,
        permissions::RULES,
        publishing::RULES,
        runners::RULES,
        uses::RULES,
    ];
    rules.extend(others.concat());
    rules
}

/// A rule for GitHub. Its references are those of GitHub's own advice.
const fn rule(id: &'static str, title: &'static str, severity: Severity) -> Rule {
    Rule {
        id,
        title,
        severity,
        confidence: Confidence::High,
        category: Category::Infrastructure,
        cwe: 0,
        hazard: "",
        keywords: &[],
        remediation: "",
        references: &["https://docs.github.com/en/actions/reference/security/secure-use"],
        aliases: &[],
        check: Check::Shared(&SHARED),
    }
}

fn is_github_workflow(change: &FileChange) -> bool {
    let path = change.path.as_str();
    let folder = paths::folder(path);
    super::is_yaml(path)
        && change.kind != FileChangeKind::Deleted
        && (folder == ".github/workflows" || folder.ends_with("/.github/workflows"))
}

fn is_dependabot(path: &str) -> bool {
    matches!(paths::name(path), "dependabot.yml" | "dependabot.yaml") && paths::folder(path).ends_with(".github")
}

fn is_github_file(change: &FileChange) -> bool {
    let action = matches!(paths::name(&change.path), "action.yml" | "action.yaml");
    super::is_yaml(&change.path)
        && change.kind != FileChangeKind::Deleted
        && (action || is_dependabot(&change.path) || is_github_workflow(change))
}

fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    let mut hits = Vec::new();
    for view in view::views(file) {
        let mut report = Report::new(&view);
        if is_dependabot(&file.change.path) {
            view.documents.iter().for_each(|seen| dependabot::check(&mut report, &seen.document));
        } else {
            workflows(&mut report, &view);
        }
        hits.extend(report.into_hits());
    }
    hits
}

fn workflows(report: &mut Report<'_, '_>, view: &View<'_>) {
    for seen in &view.documents {
        let workflow = Workflow::of(seen.document.root()).filter(|_| seen.rooted);
        let Some(workflow) = workflow else {
            fragment(report, &seen.document);
            continue;
        };
        for step in workflow.steps() {
            uses::check_step(report, &step);
            injection::check(report, &workflow, &step);
            environment_files::check(report, &workflow, &step);
            publishing::check(report, &workflow, &step);
        }
        uses::check(report, &workflow);
        permissions::check(report, &workflow, seen.complete);
        runners::check(report, &workflow);
        caches::check(report, &workflow);
        conditions::check(report, &workflow);
    }
}

/// What single steps say in a piece of a file whose triggers and jobs are out of sight.
fn fragment(report: &mut Report<'_, '_>, document: &super::yaml::Document) {
    for (under, mapping) in document.mappings() {
        if mapping.get("uses").is_some() || mapping.get("run").is_some() {
            let step = Step { node: mapping, job: None };
            uses::check_step(report, &step);
            injection::check_fragment(report, &step);
        }
        runners::check_mapping(report, under, mapping);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// In a new workflow `text`, the rule `id` finds just these lines.
    #[track_caller]
    pub(super) fn check(id: &str, text: &str, lines: &[u32]) {
        check_at(".github/workflows/ci.yml", id, text, lines);
    }

    /// The same of any file.
    #[track_caller]
    pub(super) fn check_at(path: &str, id: &str, text: &str, lines: &[u32]) {
        let file = sample::added(path, text);
        assert!(is_github_file(&file.change), "{path}");
        let got = super::super::lines_of(&file, &super::check(&file), id);
        assert_eq!(got, lines, "{id} in\n{text}");
    }

    /// A workflow of one job with these steps, which begin on line 6.
    pub(super) fn steps(on: &str, steps: &str) -> String {
        let mut text = format!("on: {on}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n");
        for line in steps.lines() {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    #[test]
    fn a_file_is_known_by_its_path() {
        let change = |path: &str| sample::added(path, "a: 1").change;
        for path in [
            ".github/workflows/ci.yml",
            "cases/7/.github/workflows/ci.yaml",
            "action.yml",
            "a/b/action.yaml",
            ".github/dependabot.yml",
        ] {
            assert!(is_github_file(&change(path)), "{path}");
        }
        assert!(!is_github_file(&change("workflows/ci.yml")) && !is_github_file(&change(".github/workflows/a.md")));
    }
}
