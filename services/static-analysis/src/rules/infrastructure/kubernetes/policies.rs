//! Pod security policies: what they admit. They are gone since Kubernetes 1.25, and still in older clusters.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&PRIVILEGED, &NAMESPACE, &ESCALATION, &CAPABILITIES, &ROOT];

const ADMISSION: &[&str] = &["https://kubernetes.io/docs/concepts/security/pod-security-admission/"];

static PRIVILEGED: Rule = Rule {
    cwe: 250,
    hazard: "k8s.privileged",
    remediation: "Use pod security admission in place of the policy, and admit no privileged pods.",
    references: ADMISSION,
    aliases: &["CKV_K8S_2", "scc-deny-privileged-container"],
    ..rule("infrastructure.kubernetes.policy-privileged", "Policy admits privileged containers", Severity::Low)
};
static NAMESPACE: Rule = Rule {
    cwe: 668,
    hazard: "k8s.host-namespace",
    remediation: "Use pod security admission in place of the policy, and admit no pod that shares its node's namespaces.",
    references: ADMISSION,
    aliases: &["CKV_K8S_1", "CKV_K8S_3", "CKV_K8S_4"],
    ..rule(
        "infrastructure.kubernetes.policy-host-namespace",
        "Policy admits pods that share their node's namespaces",
        Severity::Low,
    )
};
static ESCALATION: Rule = Rule {
    cwe: 250,
    hazard: "k8s.privilege-escalation",
    remediation: "Set allowPrivilegeEscalation: false; it is allowed where nothing is said.",
    references: ADMISSION,
    aliases: &["CKV_K8S_5"],
    ..rule("infrastructure.kubernetes.policy-escalation", "Policy admits programs that gain rights", Severity::Low)
};
static CAPABILITIES: Rule = Rule {
    cwe: 250,
    hazard: "k8s.capabilities",
    remediation: "Require ALL to be dropped, and allow none to be added.",
    references: ADMISSION,
    aliases: &["CKV_K8S_7", "CKV_K8S_24", "CKV_K8S_36"],
    ..rule(
        "infrastructure.kubernetes.policy-capabilities",
        "Policy admits more capabilities than needed",
        Severity::Low,
    )
};
static ROOT: Rule = Rule {
    cwe: 250,
    hazard: "k8s.run-as-root",
    remediation: "Set runAsUser.rule to MustRunAsNonRoot.",
    references: ADMISSION,
    aliases: &["CKV_K8S_6"],
    ..rule("infrastructure.kubernetes.policy-root", "Policy admits containers that run as root", Severity::Low)
};

pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>) {
    if object.kind == "SecurityContextConstraints" {
        said(
            report,
            object.root,
            "allowPrivilegedContainer",
            &PRIVILEGED,
            "the constraints admit privileged containers",
        );
    }
    let Some(spec) = object.root.get("spec").filter(|_| object.kind == "PodSecurityPolicy") else { return };
    said(report, spec, "privileged", &PRIVILEGED, "the policy admits privileged containers");
    for key in ["hostPID", "hostIPC", "hostNetwork"] {
        said(report, spec, key, &NAMESPACE, "the policy admits pods that share a namespace with their node");
    }
    said(report, spec, "allowPrivilegeEscalation", &ESCALATION, "the policy admits programs that gain rights");
    if let Some((key, _)) = spec.entry("allowedCapabilities").filter(|(_, list)| !list.is_empty()) {
        report.once(&CAPABILITIES, key, "the policy lets capabilities be added");
    }
    if !object.complete {
        return;
    }
    if spec.get("allowPrivilegeEscalation").is_none() {
        report.at(&ESCALATION, spec, "the policy does not forbid programs to gain rights");
    }
    let dropped = spec.get("requiredDropCapabilities").map(Yaml::texts).unwrap_or_default();
    if !dropped.iter().any(|name| matches!(*name, "ALL" | "NET_RAW")) {
        report.once(&CAPABILITIES, spec, "the policy leaves NET_RAW to the containers");
    }
    let user = spec.get("runAsUser");
    let from_zero =
        |user: Yaml<'_>| user.list("ranges").any(|range| range.get("min").and_then(Yaml::number) == Some(0));
    let kept_out = user.is_some_and(|user| match user.text_at(&["rule"]) {
        Some("MustRunAsNonRoot") => true,
        Some("MustRunAs") => !from_zero(user),
        _ => false,
    });
    if !kept_out {
        report.at(&ROOT, user.unwrap_or(spec), "the policy admits containers that run as root");
    }
}

fn said(report: &mut Report<'_, '_>, node: Yaml<'_>, key: &str, rule: &'static Rule, message: &'static str) {
    if let Some((key, _)) = node.entry(key).filter(|(_, value)| value.is_true()) {
        report.at(rule, key, message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    fn policy(lines: &str) -> String {
        let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
        format!("apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nspec:\n{lines}")
    }

    #[test]
    fn what_a_policy_admits_is_found() {
        for (id, bad, good) in [
            ("policy-privileged", "privileged: true", "privileged: false"),
            ("policy-host-namespace", "hostPID: true", "hostIPC: false"),
            ("policy-escalation", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation: false"),
            ("policy-escalation", "privileged: false", "allowPrivilegeEscalation: false"),
            ("policy-capabilities", "allowedCapabilities: ['*']", "requiredDropCapabilities: [ALL]"),
            ("policy-capabilities", "requiredDropCapabilities: [KILL]", "requiredDropCapabilities: [NET_RAW]"),
            ("policy-root", "runAsUser: {rule: RunAsAny}", "runAsUser: {rule: MustRunAsNonRoot}"),
            (
                "policy-root",
                "runAsUser: {rule: MustRunAs, ranges: [{min: 0, max: 5}]}",
                "runAsUser: {rule: MustRunAs, ranges: [{min: 1, max: 5}]}",
            ),
        ] {
            check(id, &policy(bad), &[4]);
            check(id, &policy(good), &[]);
        }
        check(
            "policy-privileged",
            "apiVersion: a/v1\nkind: SecurityContextConstraints\nallowPrivilegedContainer: true\n",
            &[3],
        );
    }
}
