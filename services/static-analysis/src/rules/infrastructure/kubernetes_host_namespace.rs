//! A pod that shares a namespace of its node: it sees the node's processes, its network, or its memory.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::may_be_kubernetes;
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule. Network plugins and node agents need it, so that it asks for a look and does not block.
pub static RULE: Rule = Rule {
    id: "infrastructure.kubernetes.host-namespace",
    title: "Pod shares a namespace of its node",
    severity: Severity::Medium,
    confidence: Confidence::High,
    category: Category::Infrastructure,
    cwe: 668,
    hazard: "k8s.host-namespace",
    keywords: &["hostnetwork", "hostpid", "hostipc"],
    remediation: "Leave hostNetwork, hostPID and hostIPC off; expose a port by a Service, and share data by a volume.",
    references: &["https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline"],
    aliases: &[],
    check: Check::Line(check),
};

static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^[^#"']*?(?:^|[\s{,-])["']?(host(?:Network|PID|IPC)["']?[ \t]*:[ \t]*["']?true)\b"#)
        .expect("the pattern is tested")
});

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    if !may_be_kubernetes(line.path()) {
        return Vec::new();
    }
    let setting = SETTING.captures(line.text).and_then(|captures| captures.get(1));
    setting.map(|setting| Hit::at(setting.range(), "the pod shares a namespace with its node")).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_shared_namespace_is_found() {
        let medium = Severity::Medium;
        sample::finds(
            &RULE,
            "k8s/pod.yaml",
            &[
                ("      hostNetwork: true", medium),
                ("hostPID: true # for the profiler", medium),
                ("  spec: { hostIPC: true }", medium),
            ],
        );
    }

    #[test]
    fn what_only_mentions_it_is_not() {
        sample::finds_nothing(
            &RULE,
            "k8s/pod.yaml",
            &["  hostPID: false", "# hostNetwork: true", "hostNetwork: {{ .Values.host }}"],
        );
        sample::finds_nothing(&RULE, "src/pod.go", &["hostNetwork: true"]);
    }
}
