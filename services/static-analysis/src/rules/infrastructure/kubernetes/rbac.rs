//! Roles that may too much, and who is given them.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&WILDCARD, &ADMIN, &ESCALATION, &SECRETS, &DEFAULT_BINDING, &DEFAULT_TOKEN];

const PRACTICES: &[&str] = &["https://kubernetes.io/docs/concepts/security/rbac-good-practices/"];

static WILDCARD: Rule = Rule {
    cwe: 269,
    hazard: "k8s.rbac-wildcard",
    remediation: "Name the groups, resources and verbs that are needed; a wildcard takes in what will be added later, too.",
    references: PRACTICES,
    aliases: &["CKV_K8S_49", "wildcard-in-rules"],
    ..rule("infrastructure.kubernetes.rbac-wildcard", "Role with a wildcard", Severity::Low)
};
static ADMIN: Rule = Rule {
    cwe: 269,
    hazard: "k8s.rbac-wildcard",
    remediation: "Write a role with the rights that are needed, and bind that.",
    references: PRACTICES,
    aliases: &["cluster-admin-role-binding"],
    ..rule(
        "infrastructure.kubernetes.cluster-admin",
        "Rights over everything in the cluster given away",
        Severity::Medium,
    )
};
static ESCALATION: Rule = Rule {
    cwe: 269,
    hazard: "k8s.rbac-escalation",
    remediation: "Leave these rights to the cluster's administrators: with them an account can give itself any other.",
    references: PRACTICES,
    aliases: &["CKV_K8S_155", "CKV_K8S_156", "CKV_K8S_157", "CKV_K8S_158", "CKV2_K8S_2", "CKV2_K8S_3", "CKV2_K8S_4"],
    ..rule("infrastructure.kubernetes.rbac-escalation", "Role that can give itself more rights", Severity::Low)
};
static SECRETS: Rule = Rule {
    cwe: 269,
    hazard: "k8s.rbac-sensitive",
    remediation: "Name the secrets that are needed with resourceNames, or have them mounted; keep the making of pods to controllers.",
    references: PRACTICES,
    aliases: &["access-to-secrets", "access-to-create-pods", "CKV2_K8S_5"],
    ..rule("infrastructure.kubernetes.rbac-sensitive", "Role that reads secrets or makes pods", Severity::Info)
};
static DEFAULT_BINDING: Rule = Rule {
    cwe: 269,
    hazard: "k8s.default-service-account",
    remediation: "Bind the role to a service account of its own: every pod that names none runs as default.",
    references: PRACTICES,
    aliases: &["CKV_K8S_42"],
    ..rule(
        "infrastructure.kubernetes.default-account-binding",
        "Rights given to the default service account",
        Severity::Low,
    )
};
static DEFAULT_TOKEN: Rule = Rule {
    cwe: 269,
    hazard: "k8s.default-service-account",
    remediation: "Set automountServiceAccountToken: false on it.",
    references: PRACTICES,
    aliases: &["CKV_K8S_41"],
    ..rule(
        "infrastructure.kubernetes.default-account-token",
        "Default service account hands out its token",
        Severity::Info,
    )
};

/// Group, resources and verbs with which an account can give itself rights.
const ESCALATIONS: &[(&str, &[&str], &[&str])] = &[
    (
        "admissionregistration.k8s.io",
        &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        &["create", "update", "patch"],
    ),
    ("rbac.authorization.k8s.io", &["rolebindings", "clusterrolebindings"], &["bind"]),
    ("rbac.authorization.k8s.io", &["roles", "clusterroles"], &["escalate", "bind"]),
    ("", &["users", "groups", "serviceaccounts"], &["impersonate"]),
    ("", &["pods/exec", "pods/attach", "nodes/proxy"], &["create"]),
    // Whoever sets a service's address gets the traffic that others send there.
    ("", &["services/status"], &["update", "patch"]),
];
/// Both are needed to have a certificate of one's own approved.
const APPROVAL: &[(&str, &[&str], &[&str])] = &[
    ("certificates.k8s.io", &["certificatesigningrequests/approval"], &["update", "patch"]),
    ("certificates.k8s.io", &["signers"], &["approve"]),
];
/// Groups that everybody is in.
const EVERYBODY: &[&str] =
    &["system:unauthenticated", "system:anonymous", "system:authenticated", "system:serviceaccounts"];

pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>) {
    match object.kind {
        "Role" | "ClusterRole" => role(report, object),
        "RoleBinding" | "ClusterRoleBinding" => binding(report, object),
        "ServiceAccount"
            if object.name() == Some("default")
                && object.complete
                && !object.root.get("automountServiceAccountToken").is_some_and(Yaml::is_false) =>
        {
            report.at(&DEFAULT_TOKEN, object.root, "every pod that names no account is given this one's token");
        }
        _ => {}
    }
}

fn has(rule: Yaml<'_>, key: &str, wanted: &[&str]) -> bool {
    rule.list(key).filter_map(Yaml::text).any(|value| value == "*" || wanted.contains(&value))
}

fn can(rule: Yaml<'_>, (group, resources, verbs): &(&str, &[&str], &[&str])) -> bool {
    has(rule, "apiGroups", &[group]) && has(rule, "resources", resources) && has(rule, "verbs", verbs)
}

fn role(report: &mut Report<'_, '_>, object: &Object<'_>) {
    for rule in object.root.list("rules") {
        let wild = |key: &'static str| rule.list(key).find(|value| value.text() == Some("*"));
        let all = ["apiGroups", "resources", "verbs"].map(wild);
        if let Some(node) = all.iter().flatten().next() {
            let everything = all[1].is_some() && all[2].is_some() && object.kind == "ClusterRole" && all[0].is_some();
            let severity = if everything { Severity::Medium } else { WILDCARD.severity };
            report.as_bad_as(
                severity,
                &WILDCARD,
                *node,
                "the role takes in everything of a kind, and all that will be added",
            );
            continue;
        }
        if let Some(verbs) = rule.get("verbs").filter(|_| ESCALATIONS.iter().any(|right| can(rule, right))) {
            report.at(&ESCALATION, verbs, "with this right an account can give itself others");
        }
        let reads =
            has(rule, "resources", &["secrets"]) && has(rule, "verbs", &["get", "list", "watch", "create", "delete"]);
        let pods = ["pods", "deployments", "statefulsets", "replicasets", "cronjobs", "jobs", "daemonsets"];
        let makes = has(rule, "resources", &pods) && has(rule, "verbs", &["create"]);
        if let Some(resources) =
            rule.get("resources").filter(|_| (reads || makes) && rule.get("resourceNames").is_none())
        {
            report.once(
                &SECRETS,
                resources,
                "who reads all secrets, or makes pods that do, has every right that they give",
            );
        }
    }
    let mut rules = object.root.list("rules");
    if APPROVAL.iter().all(|right| object.root.list("rules").any(|rule| can(rule, right)))
        && let Some(rule) = rules.find(|rule| APPROVAL.iter().any(|right| can(*rule, right)))
    {
        report.at(&ESCALATION, rule, "with these rights an account can sign itself a certificate of another");
    }
}

fn binding(report: &mut Report<'_, '_>, object: &Object<'_>) {
    let admin = object.root.at(&["roleRef", "name"]).filter(|name| name.text() == Some("cluster-admin"));
    let subjects = || object.root.list("subjects");
    let everybody = subjects().any(|subject| subject.text_at(&["name"]).is_some_and(|name| EVERYBODY.contains(&name)));
    if let Some(name) = admin {
        let severity = match (everybody, object.kind) {
            (true, _) => Severity::High,
            (false, "ClusterRoleBinding") => ADMIN.severity,
            (false, _) => Severity::Low,
        };
        report.as_bad_as(severity, &ADMIN, name, "whoever is bound here may do anything");
    }
    for subject in subjects() {
        if subject.text_at(&["kind"]) == Some("ServiceAccount")
            && let Some(name) = subject.get("name").filter(|name| name.text() == Some("default"))
        {
            report.at(&DEFAULT_BINDING, name, "every pod of the namespace that names no account has these rights");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use crate::sample;

    fn role(rule: &str) -> String {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: a}}\nrules:\n- {{{rule}}}\n"
        )
    }

    #[test]
    fn rights_over_too_much_are_found() {
        check("rbac-wildcard", &role("apiGroups: [''], resources: [pods], verbs: ['*']"), &[5]);
        check("rbac-wildcard", &role("apiGroups: [''], resources: [pods], verbs: [get]"), &[]);
        let all = role("apiGroups: ['*'], resources: ['*'], verbs: ['*']");
        sample::finds_in_file(&WILDCARD, "k8s/a.yaml", &all, &[(5, Severity::Medium)]);
        check(
            "rbac-escalation",
            &role("apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [escalate]"),
            &[5],
        );
        check(
            "rbac-escalation",
            &role(
                "apiGroups: [admissionregistration.k8s.io], resources: [validatingwebhookconfigurations], verbs: [get]",
            ),
            &[],
        );
        for rule in [
            "apiGroups: [''], resources: [users], verbs: [impersonate]",
            "apiGroups: [''], resources: [pods/exec], verbs: [create]",
            "apiGroups: [''], resources: [services/status], verbs: [patch]",
        ] {
            check("rbac-escalation", &role(rule), &[5]);
        }
        check("rbac-escalation", &role("apiGroups: [''], resources: [services/status], verbs: [get]"), &[]);
        let approve = role("apiGroups: [certificates.k8s.io], resources: [signers], verbs: [approve]");
        check("rbac-escalation", &approve, &[]);
        let both = approve
            + "- {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests/approval], verbs: [update]}\n";
        check("rbac-escalation", &both, &[5]);
        check("rbac-sensitive", &role("apiGroups: [''], resources: [secrets], verbs: [list]"), &[5]);
        check("rbac-sensitive", &role("apiGroups: [''], resources: [secrets], resourceNames: [a], verbs: [get]"), &[]);
    }

    fn binding(role: &str, subject: &str) -> String {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nroleRef:\n  name: {role}\nsubjects:\n- {{{subject}}}\n"
        )
    }

    #[test]
    fn who_is_given_them_decides() {
        let rights = |subject: &str, severity| {
            sample::finds_in_file(&ADMIN, "k8s/a.yaml", &binding("cluster-admin", subject), &[(4, severity)])
        };
        rights("kind: User, name: ann", Severity::Medium);
        rights("kind: Group, name: 'system:unauthenticated'", Severity::High);
        check("cluster-admin", &binding("view", "kind: User, name: ann"), &[]);
        check("default-account-binding", &binding("view", "kind: ServiceAccount, name: default"), &[6]);
        check("default-account-binding", &binding("view", "kind: ServiceAccount, name: shop"), &[]);
        check("default-account-token", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}\n", &[1]);
        check(
            "default-account-token",
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}\nautomountServiceAccountToken: false\n",
            &[],
        );
    }
}
