//! Who a pod runs as, and what it may ask of the cluster and of its node's kernel.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::objects::Workload;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] =
    &[&ROOT, &ROOT_POSSIBLE, &LOW_USER, &SECCOMP, &TOKEN, &DEFAULT_ACCOUNT, &SYSCTL, &ONE_REPLICA, &NO_SELECTOR];

const CONTEXT: &[&str] = &["https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"];
const ACCOUNTS: &[&str] = &["https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"];

static ROOT: Rule = Rule {
    cwe: 250,
    hazard: "k8s.run-as-root",
    remediation: "Set runAsNonRoot: true and a runAsUser above 0.",
    references: CONTEXT,
    aliases: &["CKV_K8S_23", "run-as-non-root"],
    ..rule("infrastructure.kubernetes.run-as-root", "Container is told to run as root", Severity::Low)
};
static ROOT_POSSIBLE: Rule = Rule {
    cwe: 250,
    hazard: "k8s.run-as-root",
    remediation: "Set runAsNonRoot: true, so that an image that runs as root does not start.",
    references: CONTEXT,
    aliases: &["CKV_K8S_23", "run-as-non-root"],
    ..rule("infrastructure.kubernetes.root-not-denied", "Container may run as root", Severity::Info)
};
static LOW_USER: Rule = Rule {
    cwe: 250,
    hazard: "k8s.low-user-id",
    remediation: "Set runAsUser to 10000 or more, which is no user of the node; or hostUsers: false.",
    references: CONTEXT,
    aliases: &["CKV_K8S_40"],
    ..rule("infrastructure.kubernetes.low-user-id", "Container runs as a user that the node may have", Severity::Info)
};
static SECCOMP: Rule = Rule {
    cwe: 693,
    hazard: "k8s.seccomp",
    remediation: "Set securityContext.seccompProfile.type: RuntimeDefault in the pod.",
    references: &["https://kubernetes.io/docs/tutorials/security/seccomp/"],
    aliases: &["CKV_K8S_31"],
    ..rule("infrastructure.kubernetes.seccomp", "Pod without a seccomp profile", Severity::Info)
};
static TOKEN: Rule = Rule {
    cwe: 668,
    hazard: "k8s.service-account-token",
    remediation: "Set automountServiceAccountToken: false in pods that do not speak to the cluster.",
    references: ACCOUNTS,
    aliases: &["CKV_K8S_38"],
    ..rule("infrastructure.kubernetes.service-account-token", "Pod is given a key to the cluster", Severity::Info)
};
static DEFAULT_ACCOUNT: Rule = Rule {
    cwe: 250,
    hazard: "k8s.default-service-account",
    remediation: "Make a service account for the workload and give rights to that alone.",
    references: ACCOUNTS,
    aliases: &["CKV_K8S_41", "default-service-account"],
    ..rule("infrastructure.kubernetes.default-service-account", "Default service account in use", Severity::Info)
};
static SYSCTL: Rule = Rule {
    cwe: 668,
    hazard: "k8s.unsafe-sysctls",
    remediation: "Leave the node's kernel settings alone, or keep to the list of safe ones.",
    references: &["https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/"],
    aliases: &["unsafe-sysctls"],
    ..rule("infrastructure.kubernetes.unsafe-sysctls", "Pod changes kernel settings that others share", Severity::Low)
};
static ONE_REPLICA: Rule = Rule {
    hazard: "k8s.few-replicas",
    remediation: "Run at least two, so that a node can fail or be drained without an outage.",
    references: &["https://kubernetes.io/docs/concepts/workloads/controllers/deployment/"],
    aliases: &["minimum-three-replicas"],
    ..rule("infrastructure.kubernetes.one-replica", "Deployment of a single pod", Severity::Info)
};
static NO_SELECTOR: Rule = Rule {
    hazard: "k8s.no-selector",
    remediation: "Add spec.selector.matchLabels, which apps/v1 requires.",
    references: &["https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector"],
    aliases: &["mismatching-selector"],
    ..rule("infrastructure.kubernetes.no-selector", "Workload without a selector", Severity::Info)
};

/// The kernel settings that the documentation calls safe.
const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>, workload: &Workload<'_>) {
    for container in workload.all_containers() {
        user(report, object.complete, workload.spec, container);
    }
    for sysctl in workload.spec.at(&["securityContext", "sysctls"]).into_iter().flat_map(Yaml::items) {
        let Some(name) = sysctl.get("name").filter(|name| !name.is_unknown()) else { continue };
        let text = name.text().unwrap_or("");
        let shared = ["kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.", "net."]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if shared && !SAFE_SYSCTLS.contains(&text) {
            report.at(&SYSCTL, name, "the setting is not known to be safe beside other pods");
        }
    }
    if matches!(object.kind, "Deployment" | "StatefulSet" | "DeploymentConfig")
        && let Some((key, _)) = object
            .root
            .get("spec")
            .and_then(|spec| spec.entry("replicas"))
            .filter(|(_, value)| value.number() == Some(1))
    {
        report.at(&ONE_REPLICA, key, "while the one pod moves or restarts, nothing answers");
    }
    if object.complete {
        missing(report, object, workload);
    }
}

/// What a pod that is there from end to end leaves out.
fn missing(report: &mut Report<'_, '_>, object: &Object<'_>, workload: &Workload<'_>) {
    let spec = workload.spec;
    if workload.containers().next().is_some() {
        let profile = |node: Yaml<'_>| node.at(&["securityContext", "seccompProfile", "type"]).is_some();
        let annotated =
            workload.metadata.and_then(|metadata| metadata.get("annotations")).into_iter().flat_map(Yaml::entries);
        let mut annotated = annotated
            .filter_map(|(key, _)| key.text())
            .filter(|key| key.contains("seccomp.security.alpha.kubernetes.io"));
        if !profile(spec) && !workload.containers().all(profile) && annotated.next().is_none() {
            report.once(&SECCOMP, spec, "the pod's programs may use every system call that the kernel has");
        }
        if !spec.get("automountServiceAccountToken").is_some_and(Yaml::is_false) {
            report.once(&TOKEN, spec, "every container of the pod can read the service account's token");
            let account = spec.get("serviceAccountName").or(spec.get("serviceAccount"));
            if account.is_none_or(|account| account.is_empty() || account.text() == Some("default")) {
                report.once(
                    &DEFAULT_ACCOUNT,
                    account.unwrap_or(spec),
                    "the pod shares its account with everything else in the namespace",
                );
            }
        }
    }
    let needs_selector =
        object.api == "apps/v1" && matches!(object.kind, "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet");
    if needs_selector && object.root.at(&["spec", "selector"]).is_none_or(Yaml::is_empty) {
        report.once(&NO_SELECTOR, object.root, "apps/v1 refuses a workload without a selector");
    }
}

/// The setting of the container, or else that of its pod.
fn effective<'d>(pod: Yaml<'d>, container: Yaml<'d>, key: &str) -> Option<(Yaml<'d>, Yaml<'d>)> {
    let own = container.get("securityContext").and_then(|context| context.entry(key));
    own.or_else(|| pod.get("securityContext").and_then(|context| context.entry(key)))
}

fn user(report: &mut Report<'_, '_>, complete: bool, pod: Yaml<'_>, container: Yaml<'_>) {
    if let Some((key, group)) = effective(pod, container, "runAsGroup")
        && group.number() == Some(0)
    {
        report.once(&ROOT, key, "the container runs in root's group");
    }
    let user = effective(pod, container, "runAsUser");
    let non_root = effective(pod, container, "runAsNonRoot");
    match (user, non_root) {
        (Some((_, user)), _) if user.is_unknown() || user.number().is_some_and(|number| number > 0) => {}
        (Some((key, user)), _) if user.number() == Some(0) => report.once(&ROOT, key, "the container runs as root"),
        (_, Some((_, value))) if value.is_true() || value.is_unknown() => {}
        (_, Some((key, _))) => report.once(&ROOT, key, "the container may run as root"),
        (_, None) if complete => {
            report.once(&ROOT_POSSIBLE, container, "the container runs as whatever its image says, mostly root")
        }
        (_, None) => {}
    }
    let own_users = pod.get("hostUsers").is_some_and(Yaml::is_false);
    if let Some((key, user)) = user
        && user.number().is_some_and(|number| (1..10_000).contains(&number))
        && !own_users
    {
        report.once(&LOW_USER, key, "a user of the node may have the same number, and the same rights");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, deployment};

    #[test]
    fn a_container_that_is_or_may_be_root_is_found() {
        check("run-as-root", &deployment("securityContext: {runAsUser: 0}"), &[9]);
        check("run-as-root", &deployment("securityContext: {runAsNonRoot: false}"), &[9]);
        check("run-as-root", &deployment("securityContext: {runAsUser: 10001, runAsGroup: 0}"), &[9]);
        check("root-not-denied", &deployment("image: a"), &[8]);
        for good in ["runAsUser: 10001", "runAsNonRoot: true"] {
            let text = deployment(&format!("securityContext: {{{good}}}"));
            check("run-as-root", &text, &[]);
            check("root-not-denied", &text, &[]);
            check("low-user-id", &text, &[]);
        }
        let of_pod = deployment("image: a") + "      securityContext: {runAsNonRoot: true}\n";
        check("root-not-denied", &of_pod, &[]);
        check("low-user-id", &deployment("securityContext: {runAsUser: 1000}"), &[9]);
    }

    #[test]
    fn what_a_pod_leaves_out_is_found() {
        for id in ["seccomp", "service-account-token", "default-service-account"] {
            check(id, &deployment("image: a"), &[7]);
        }
        let good = deployment("image: a")
            + "      securityContext: {seccompProfile: {type: RuntimeDefault}}\n      automountServiceAccountToken: false\n";
        for id in ["seccomp", "service-account-token", "default-service-account"] {
            check(id, &good, &[]);
        }
        check("no-selector", &deployment("image: a"), &[1]);
        check(
            "no-selector",
            &deployment("image: a")
                .replace("spec:\n  template", "spec:\n  selector: {matchLabels: {a: b}}\n  template"),
            &[],
        );
    }

    #[test]
    fn settings_of_the_kernel_and_the_count_are_found() {
        let sysctl = |name: &str| {
            deployment("image: a")
                + &format!("      securityContext:\n        sysctls:\n        - {{name: {name}, value: '1'}}\n")
        };
        check("unsafe-sysctls", &sysctl("kernel.msgmax"), &[12]);
        check("unsafe-sysctls", &sysctl("net.ipv4.tcp_syncookies"), &[]);
        check(
            "one-replica",
            &deployment("image: a").replace("spec:\n  template", "spec:\n  replicas: 1\n  template"),
            &[5],
        );
        check(
            "one-replica",
            &deployment("image: a").replace("spec:\n  template", "spec:\n  replicas: 3\n  template"),
            &[],
        );
    }
}
