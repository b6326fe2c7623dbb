//! Kubernetes manifests: workloads, roles, services and what ties them together.
//!
//! A manifest that is there from end to end is judged whole, also by what it leaves out. Of a changed one only what an added
//! line says is judged, and what its removed lines took away.

use std::sync::LazyLock;

use domain::diff::{FileDiff, Hunk, LineKind};
use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};

use super::report::Report;
use super::view::{self, View};
use super::yaml::Yaml;
use crate::engine::is_whole;
use crate::keywords::Keywords;
use crate::paths;
use crate::rules::{Check, FileHit, Rule, Shared};

mod apis;
mod containers;
mod control_plane;
mod links;
mod objects;
mod pods;
mod policies;
mod rbac;
mod removed;
mod rows;
mod upkeep;
mod volumes;

use objects::Workload;

static SHARED: Shared = Shared { applies: may_be_kubernetes, check, besides: &[] };

/// The rules for Kubernetes.
pub(crate) fn rules() -> Vec<&'static Rule> {
    let mut rules: Vec<_> = rows::ROWS.iter().map(|row| &row.rule).collect();
    let others = [
        apis::RULES,
        containers::RULES,
        control_plane::RULES,
        links::RULES,
        objects::RULES,
        pods::RULES,
        policies::RULES,
        rbac::RULES,
        removed::RULES,
        upkeep::RULES,
        volumes::RULES,
    ];
    rules.extend(others.concat());
    rules
}

/// A rule for Kubernetes. Its references are those of the standard that most of them are from.
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
        references: &["https://kubernetes.io/docs/concepts/security/pod-security-standards/"],
        aliases: &[],
        check: Check::Shared(&SHARED),
    }
}

/// True for YAML that may be a Kubernetes manifest or a chart's template, and not a known other thing.
fn may_be_kubernetes(change: &FileChange) -> bool {
    let name = paths::lower(paths::name(&change.path));
    let other = || {
        name.contains("compose")
            || paths::has_folder(&change.path, "workflows")
            || paths::has_folder(&change.path, ".github")
            || matches!(&*name, "action.yml" | "action.yaml" | ".gitlab-ci.yml" | "chart.yaml" | "pnpm-lock.yaml")
    };
    let yaml = matches!(paths::extension(&name), "yml" | "yaml" | "tpl");
    yaml && change.kind != FileChangeKind::Deleted && !other()
}

fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    // Most YAML is none, and need not be read.
    let says_so = || file.hunks.iter().flat_map(|hunk| &hunk.lines).any(|line| line.text.contains("apiVersion"));
    if is_whole(file) && !says_so() {
        return Vec::new();
    }
    let mut hits = removed::check(file);
    for view in view::views_where(file, may_say_something) {
        let mut report = Report::new(&view);
        // The whole of a file is a manifest when it says so; of a hunk the name of its file has to do.
        let objects = objects(&view);
        for object in &objects {
            report.begin();
            judge(&mut report, object);
        }
        let workloads: Vec<_> = objects.iter().filter_map(|object| object.workload()).collect();
        links::check(&mut report, &objects, &workloads);
        for seen in view.documents.iter().filter(|seen| !seen.rooted) {
            report.begin();
            rows::check_fragment(&mut report, &seen.document);
            volumes::check_fragment(&mut report, &seen.document);
            containers::check_fragment(&mut report, &seen.document);
        }
        hits.extend(report.into_hits());
    }
    hits
}

/// False for a hunk that holds neither a manifest's beginning nor a key that tells something by itself: most of a project's YAML
/// is other tools'.
fn may_say_something(hunk: &Hunk<'_>) -> bool {
    static KEYS: LazyLock<Keywords> = LazyLock::new(|| {
        let own = ["apiVersion", "hostPath", "capabilities", "securityContext", "image"];
        let mut keys: Vec<_> = own.into_iter().chain(rows::telling_keys()).map(str::to_ascii_lowercase).collect();
        keys.sort_unstable();
        keys.dedup();
        Keywords::new(keys)
    });
    hunk.lines.iter().any(|line| line.kind != LineKind::Removed && KEYS.is_in(line.text))
}

fn judge(report: &mut Report<'_, '_>, object: &Object<'_>) {
    apis::check(report, object);
    objects::check(report, object);
    rbac::check(report, object);
    policies::check(report, object);
    if let Some(workload) = object.workload() {
        rows::check(report, object, &workload);
        containers::check(report, object, &workload);
        upkeep::check(report, object, &workload);
        pods::check(report, object, &workload);
        volumes::check(report, object, &workload);
        control_plane::check(report, &workload);
    }
}

/// One object of a manifest.
#[derive(Clone, Copy)]
struct Object<'d> {
    root: Yaml<'d>,
    kind: &'d str,
    api: &'d str,
    /// Whether all of it is there.
    complete: bool,
}

impl<'d> Object<'d> {
    fn name(&self) -> Option<&'d str> {
        self.root.text_at(&["metadata", "name"])
    }

    /// The namespace that it says it is in.
    fn namespace(&self) -> &'d str {
        self.root.text_at(&["metadata", "namespace"]).unwrap_or("default")
    }

    fn workload(&self) -> Option<Workload<'d>> {
        Workload::of(self)
    }
}

/// The objects that the view shows from their first line on, and what lists hold.
fn objects<'v>(view: &'v View<'_>) -> Vec<Object<'v>> {
    let mut objects = Vec::new();
    for seen in view.documents.iter().filter(|seen| seen.rooted) {
        let root = seen.document.root();
        let kind = root.text_at(&["kind"]).unwrap_or("");
        let items: Vec<_> = if kind.ends_with("List") { root.list("items").collect() } else { vec![root] };
        for root in items {
            let (kind, api) = (root.text_at(&["kind"]), root.text_at(&["apiVersion"]));
            if let (Some(kind), Some(api)) = (kind, api) {
                objects.push(Object { root, kind, api, complete: seen.complete });
            }
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// What the rules for Kubernetes find in a new file: the ends of their ids, and the lines.
    pub(super) fn found(text: &str) -> Vec<(String, u32)> {
        let findings = sample::scan(vec![sample::added("k8s/app.yaml", text)]).findings;
        let own = findings.into_iter().filter_map(|finding| {
            let id = finding.rule_id.strip_prefix("infrastructure.kubernetes.")?.to_owned();
            Some((id, finding.line))
        });
        own.collect()
    }

    /// In a new file `text`, the rule `id` finds just these lines.
    #[track_caller]
    pub(super) fn check(id: &str, text: &str, lines: &[u32]) {
        let file = sample::added("k8s/app.yaml", text);
        let got = super::super::lines_of(&file, &super::check(&file), id);
        assert_eq!(got, lines, "{id} in\n{text}");
    }

    /// A deployment of one container that has these lines.
    pub(super) fn deployment(container: &str) -> String {
        let mut text = String::from(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n",
        );
        for line in container.lines() {
            text.push_str("        ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    #[test]
    fn a_file_is_known_by_its_path() {
        let change = |path: &str| sample::added(path, "a: 1").change;
        assert!(may_be_kubernetes(&change("k8s/pod.yaml")) && may_be_kubernetes(&change("chart/templates/a.tpl")));
        for path in ["docker-compose.yml", ".github/workflows/a.yml", "action.yml", "a.json"] {
            assert!(!may_be_kubernetes(&change(path)), "{path}");
        }
    }

    #[test]
    fn a_template_is_judged_by_what_it_says_only() {
        let text = deployment(
            "image: {{ .Values.image }}\nsecurityContext:\n  privileged: true\n{{- toYaml .Values.rest | nindent 8 }}",
        );
        let own = |id: &str| (id.to_owned(), 11);
        assert_eq!(found(&text), [own("privileged"), own("privilege-escalation")]);
    }

    #[test]
    fn objects_in_a_list_are_judged_too() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec:\n    hostPID: true\n    containers: []\n";
        check("host-namespace", text, &[7]);
    }
}
