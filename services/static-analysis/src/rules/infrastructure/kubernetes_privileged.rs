//! A container with all the rights of its node.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::may_be_kubernetes;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "infrastructure.kubernetes.privileged",
    title: "Privileged container",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Infrastructure,
    cwe: 250,
    hazard: "",
    keywords: &["privileged"],
    remediation: "Leave privileged off and add only the capabilities that the container needs (securityContext.capabilities.add).",
    references: &[
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ],
    aliases: &[],
    check: Check::Line(check),
};

static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^[^#"']*?(?:^|[\s{,-])["']?(privileged["']?[ \t]*:[ \t]*["']?true)\b"#)
        .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    // A chart's values and other tools know the word too: a manifest shows the block it stands in.
    let in_context = || {
        line.hunk
            .lines
            .iter()
            .any(|other| other.text.contains("ecurityContext") || other.text.starts_with("apiVersion:"))
    };
    match SETTING.captures(line.text).and_then(|captures| captures.get(1)) {
        Some(setting) if may_be_kubernetes(line.path()) && in_context() => {
            vec![Hit::at(setting.range(), "the container is privileged: it can do on the node what root can")]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_privileged_container_is_found() {
        let high = Severity::High;
        let path = "k8s/pod.yaml";
        sample::finds_in_hunk(&RULE, path, "       securityContext:\n+        privileged: true", &[(11, high)]);
        sample::finds_in_hunk(&RULE, path, "+      securityContext: { privileged: true }", &[(10, high)]);
        sample::finds_in_file(&RULE, path, "apiVersion: v1\nspec:\n  - privileged: \"true\" # needed\n", &[(3, high)]);
    }

    #[test]
    fn what_only_mentions_it_is_not() {
        let path = "k8s/pod.yaml";
        sample::finds_in_hunk(&RULE, path, " securityContext:\n+  privileged: false", &[]);
        sample::finds_in_hunk(&RULE, path, " securityContext:\n+  # privileged: true", &[]);
        sample::finds_in_hunk(&RULE, path, " securityContext:\n+  privileged: {{ .Values.privileged }}", &[]);
        sample::finds_in_hunk(&RULE, path, "+unprivileged: true\n securityContext:", &[]);
        sample::finds_in_hunk(&RULE, "docker-compose.yml", "+    privileged: true", &[]);
        sample::finds_in_hunk(&RULE, "docs/k8s.md", " securityContext:\n+  privileged: true", &[]);
    }
}
