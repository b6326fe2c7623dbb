//! What a change takes away from a workload: its probes, its limits, its replicas.

use std::sync::LazyLock;

use domain::Severity;
use domain::diff::{FileDiff, Hunk, LineKind};
use regex::Regex;

use super::rule;
use crate::engine::is_whole;
use crate::rules::{FileHit, Rule};

pub(super) const RULES: &[&Rule] = &[&PROBE, &LIMIT, &REPLICAS];

static PROBE: Rule = Rule {
    hazard: "k8s.no-probes",
    remediation: "Keep a probe, or say in the change why nothing has to ask any more whether the container works.",
    references: &[
        "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/",
    ],
    ..rule("infrastructure.kubernetes.probe-removed", "Probe removed", Severity::Medium)
};
static LIMIT: Rule = Rule {
    cwe: 770,
    hazard: "k8s.no-limits",
    remediation: "Raise the limit instead of removing it, so that a leak ends this container and not its neighbours.",
    references: &["https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"],
    ..rule("infrastructure.kubernetes.limits-removed", "Limits removed", Severity::Low)
};
static REPLICAS: Rule = Rule {
    hazard: "k8s.few-replicas",
    remediation: "Keep at least two replicas of what has to answer; scale to 0 only what nobody needs.",
    references: &["https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#scaling-a-deployment"],
    ..rule("infrastructure.kubernetes.replicas-cut", "Replicas cut to one or none", Severity::Medium)
};

static COUNT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:replicas|minReplicas|replicaCount)\s*:\s*(\d{1,4})\s*(?:#.*)?$").expect("the pattern is tested")
});

pub(super) fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    if is_whole(file) {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        for (keys, rule, message) in [
            (
                &["livenessProbe:", "readinessProbe:", "startupProbe:"][..],
                &PROBE,
                "nothing tells any more whether the container works",
            ),
            (&["limits:"][..], &LIMIT, "the container may take all memory and time of its node"),
        ] {
            for key in keys {
                if let Some(line) = gone(hunk, key) {
                    hits.push((rule.id, nearest(file, number, line, message)));
                }
            }
        }
        hits.extend(cut(file, number, hunk).map(|hit| (REPLICAS.id, hit)));
    }
    hits
}

/// The removed line that holds this key, where no added line holds it again.
fn gone(hunk: &Hunk<'_>, key: &str) -> Option<usize> {
    let count = |kind: LineKind| {
        hunk.lines.iter().filter(|line| line.kind == kind && line.text.trim().starts_with(key)).count()
    };
    if count(LineKind::Removed) <= count(LineKind::Added) {
        return None;
    }
    // A container that is removed takes its probes along, and is no loss; so does a whole document.
    let all = |sign: &str| {
        let of = |kind| {
            hunk.lines
                .iter()
                .filter(|line| line.kind == kind && line.text.trim_start().trim_start_matches("- ").starts_with(sign))
                .count()
        };
        of(LineKind::Removed) > of(LineKind::Added)
    };
    if ["image:", "kind:", "containers:"].iter().any(|sign| all(sign)) {
        return None;
    }
    hunk.lines.iter().position(|line| line.kind == LineKind::Removed && line.text.trim().starts_with(key))
}

/// A hit on the next line that is still there; a removed one has no place in the file.
fn nearest(file: &FileDiff<'_>, hunk: usize, line: usize, message: &'static str) -> FileHit {
    let lines = &file.hunks[hunk].lines;
    let next = lines.iter().enumerate().skip(line).find(|(_, line)| line.kind != LineKind::Removed);
    let before = || lines.iter().enumerate().take(line).rfind(|(_, line)| line.kind != LineKind::Removed);
    match next.or_else(before) {
        Some((index, _)) => FileHit::on_line(file, hunk, index, message),
        None => FileHit::on_file(message),
    }
}

fn cut(file: &FileDiff<'_>, number: usize, hunk: &Hunk<'_>) -> Option<FileHit> {
    let count = |text: &str| COUNT.captures(text).and_then(|captures| captures[1].parse::<u32>().ok());
    let old = hunk.lines.iter().filter(|line| line.kind == LineKind::Removed).find_map(|line| count(line.text))?;
    let added = hunk.lines.iter().enumerate().filter(|(_, line)| line.kind == LineKind::Added);
    let (line, new) = added.filter_map(|(index, line)| Some((index, count(line.text)?))).next()?;
    let message = match new {
        0 => "nothing runs any more where something did",
        1 if old > 1 => "while the one pod moves or restarts, nothing answers",
        _ => return None,
    };
    (old > new).then(|| FileHit::on_line(file, number, line, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const PATH: &str = "k8s/app.yaml";

    #[test]
    fn what_is_taken_away_is_found() {
        let probe = "         image: a\n-        readinessProbe:\n-          httpGet: {path: /}\n       volumes: []";
        sample::finds_in_hunk(&PROBE, PATH, probe, &[(11, Severity::Medium)]);
        sample::finds_in_hunk(
            &PROBE,
            PATH,
            "-        livenessProbe:\n-          a: b\n+        livenessProbe:\n+          a: c",
            &[],
        );
        sample::finds_in_hunk(&PROBE, PATH, "-      - image: a\n-        livenessProbe:\n-          a: b", &[]);
        sample::finds_in_hunk(
            &LIMIT,
            PATH,
            "         resources:\n-          limits:\n-            cpu: 1\n           requests:",
            &[(11, Severity::Low)],
        );
        sample::finds_in_hunk(&LIMIT, PATH, "-          limits: {cpu: 1}\n+          limits: {cpu: 2}", &[]);
    }

    #[test]
    fn replicas_that_are_cut_are_found() {
        let medium = Severity::Medium;
        sample::finds_in_hunk(&REPLICAS, PATH, "-  replicas: 3\n+  replicas: 1", &[(10, medium)]);
        sample::finds_in_hunk(&REPLICAS, PATH, "-  replicas: 1\n+  replicas: 0 # off", &[(10, medium)]);
        for hunk in [
            "-  replicas: 1\n+  replicas: 3",
            "-  replicas: 3\n+  replicas: 2",
            "+  replicas: 1",
            "-  replicas: 3\n+  replicas: {{ .Values.a }}",
        ] {
            sample::finds_in_hunk(&REPLICAS, PATH, hunk, &[]);
        }
    }
}
