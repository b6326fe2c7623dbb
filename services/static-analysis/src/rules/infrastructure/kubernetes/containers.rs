//! What a container may do, uses and is given.

use std::collections::HashSet;

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::{Document, Yaml};
use super::objects::Workload;
use super::{Object, rule, upkeep};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[
    &ESCALATION,
    &CAPABILITIES,
    &CAPABILITIES_KEPT,
    &SECRET_LITERAL,
    &SECRET_ENV,
    &TWICE,
    &SSH,
    &HOST_PORT,
    &OUTDATED,
];

const CAPABILITY_PAGES: &[&str] = &[
    "https://kubernetes.io/docs/concepts/security/pod-security-standards/",
    "https://man7.org/linux/man-pages/man7/capabilities.7.html",
];

static ESCALATION: Rule = Rule {
    cwe: 250,
    hazard: "k8s.privilege-escalation",
    remediation: "Set allowPrivilegeEscalation: false, so that no program in the container can gain rights that its parent has not.",
    references: &["https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"],
    aliases: &["CKV_K8S_20", "privilege-escalation-container"],
    ..rule("infrastructure.kubernetes.privilege-escalation", "Container lets its programs gain rights", Severity::Low)
};
static CAPABILITIES: Rule = Rule {
    cwe: 250,
    hazard: "k8s.capabilities",
    remediation: "Drop ALL, and add only what the program is known to need.",
    references: CAPABILITY_PAGES,
    aliases: &["CKV_K8S_25", "CKV_K8S_28", "CKV_K8S_37", "CKV_K8S_39", "drop-net-raw-capability"],
    ..rule("infrastructure.kubernetes.capabilities", "Container has capabilities beyond those it needs", Severity::Low)
};
static CAPABILITIES_KEPT: Rule = Rule {
    cwe: 250,
    hazard: "k8s.capabilities-kept",
    remediation: "Set securityContext.capabilities.drop to ALL, and add what is needed.",
    references: CAPABILITY_PAGES,
    aliases: &["CKV_K8S_28", "CKV_K8S_37", "drop-net-raw-capability"],
    ..rule("infrastructure.kubernetes.capabilities-kept", "Container keeps the runtime's capabilities", Severity::Info)
};
static SECRET_LITERAL: Rule = Rule {
    cwe: 798,
    hazard: "k8s.secret-in-env",
    remediation: "Keep the value in a Secret (or outside the cluster), and mount it as a file.",
    references: &["https://kubernetes.io/docs/concepts/configuration/secret/"],
    aliases: &["env-var-secret"],
    ..rule("infrastructure.kubernetes.secret-in-env", "Secret written into a manifest", Severity::Low)
};
static SECRET_ENV: Rule = Rule {
    cwe: 526,
    hazard: "k8s.secret-in-env",
    remediation: "Mount the Secret as a file: the environment is inherited by every child process, and shown in crash reports.",
    references: &["https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod"],
    aliases: &["CKV_K8S_35", "read-secret-from-env-var"],
    ..rule("infrastructure.kubernetes.secret-env-reference", "Secret given by the environment", Severity::Info)
};
static TWICE: Rule = Rule {
    cwe: 1109,
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Keep one of the two; the later wins, and an apply may drop either.",
    references: &["https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/"],
    aliases: &["duplicate-env-var"],
    ..rule("infrastructure.kubernetes.duplicate-env", "Variable of the environment set twice", Severity::Low)
};
static SSH: Rule = Rule {
    cwe: 668,
    hazard: "docker.expose-ssh-or-bad-port",
    remediation: "Use kubectl exec, which asks for the cluster's own rights, and run no SSH server in the container.",
    references: &["https://kubernetes.io/docs/tasks/debug/debug-application/get-shell-running-container/"],
    aliases: &["ssh-port"],
    ..rule("infrastructure.kubernetes.ssh-port", "Container serves SSH", Severity::Low)
};
static HOST_PORT: Rule = Rule {
    cwe: 668,
    hazard: "k8s.host-port",
    remediation: "Use a Service; a port of the node is taken from all others, and no network policy guards it.",
    references: &["https://kubernetes.io/docs/concepts/configuration/overview/#services"],
    aliases: &["CKV_K8S_26"],
    ..rule("infrastructure.kubernetes.host-port", "Container takes a port of its node", Severity::Low)
};
static OUTDATED: Rule = Rule {
    cwe: 1104,
    hazard: "k8s.outdated-component",
    remediation: "Remove it: Helm 3 has no Tiller, and the dashboard's rights have been taken over from outside more than once.",
    references: &[
        "https://helm.sh/docs/faq/changes_since_helm2/",
        "https://kubernetes.io/docs/tasks/access-application-cluster/web-ui-dashboard/",
    ],
    aliases: &["CKV_K8S_33", "CKV_K8S_34", "CKV_K8S_45", "CKV_K8S_159"],
    ..rule("infrastructure.kubernetes.risky-component", "Component with more rights than it can guard", Severity::Low)
};

pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>, workload: &Workload<'_>) {
    for container in workload.all_containers() {
        capabilities(report, container);
        container.get("securityContext").into_iter().for_each(|context| escalation(report, context));
        environment(report, container);
        ports(report, container);
        component(report, workload, container);
        if object.complete {
            kept(report, container);
        }
    }
}

/// Keys that nothing but a container has.
const ONLY_CONTAINERS: &[&str] = &[
    "imagePullPolicy",
    "volumeMounts",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "securityContext",
    "envFrom",
    "terminationMessagePath",
];

/// The same in a piece of a manifest, where a container is known by what only containers have.
pub(super) fn check_fragment(report: &mut Report<'_, '_>, document: &Document) {
    let path = report.view.path().to_ascii_lowercase();
    let is_manifest = ["k8s", "kube", "manifest", "deploy", "helm", "chart", "kustom", "overlay"]
        .iter()
        .any(|word| path.contains(word));
    for (under, mapping) in document.mappings() {
        match under {
            Some("capabilities") => added(report, mapping),
            Some("securityContext") => escalation(report, mapping),
            _ => {}
        }
        let has = |keys: &[&str]| keys.iter().any(|key| mapping.get(key).is_some());
        // Other tools have images with names and variables, too: the folder has to speak for a manifest then.
        let is_container = has(ONLY_CONTAINERS) || is_manifest && has(&["name", "env", "ports", "command", "args"]);
        if let Some(image) = mapping.get("image").filter(|_| is_container) {
            upkeep::image_name(report, mapping, image);
            environment(report, mapping);
            ports(report, mapping);
        }
    }
}

/// Allowed in so many words, or by what always allows it: full rights, and the capability that is nearly that.
fn escalation(report: &mut Report<'_, '_>, context: Yaml<'_>) {
    let allowed = ["allowPrivilegeEscalation", "privileged"];
    let said =
        allowed.into_iter().find_map(|key| context.entry(key).filter(|(_, value)| value.is_true())).map(|(key, _)| key);
    let admin = || {
        context.get("capabilities")?.list("add").find(|name| name.text().is_some_and(|name| plain(name) == "SYS_ADMIN"))
    };
    if let Some(node) = said.or_else(admin) {
        report.at(&ESCALATION, node, "a program in the container may gain rights that its parent has not");
    }
}

fn capabilities(report: &mut Report<'_, '_>, container: Yaml<'_>) {
    let Some(capabilities) = container.at(&["securityContext", "capabilities"]) else { return };
    added(report, capabilities);
    let Some((key, drop)) = capabilities.entry("drop").filter(|(_, drop)| !drop.is_empty()) else { return };
    let dropped = drop.texts();
    if !dropped.iter().any(|name| matches!(plain(name).as_str(), "ALL" | "NET_RAW") || name.contains("__")) {
        report.at(&CAPABILITIES, key, "the container keeps NET_RAW, and can forge packets to its neighbours");
    }
}

fn added(report: &mut Report<'_, '_>, capabilities: Yaml<'_>) {
    for name in capabilities.list("add") {
        let Some(capability) = name.text().filter(|_| !name.is_unknown()) else { continue };
        let severity = match plain(capability).as_str() {
            "ALL" | "SYS_ADMIN" | "SYS_PTRACE" | "SYS_MODULE" | "SYS_RAWIO" | "SYS_BOOT" | "DAC_READ_SEARCH"
            | "BPF" | "MAC_ADMIN" => Severity::Medium,
            "NET_BIND_SERVICE" => Severity::Info,
            _ => Severity::Low,
        };
        report.as_bad_as(
            severity,
            &CAPABILITIES,
            name,
            "the container is given rights of the kernel that others do not have",
        );
    }
}

/// A capability's name without its old prefix.
fn plain(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map_or_else(|| name.clone(), str::to_owned)
}

fn kept(report: &mut Report<'_, '_>, container: Yaml<'_>) {
    let drop = container.at(&["securityContext", "capabilities", "drop"]);
    if drop.is_none_or(Yaml::is_empty) {
        report.once(&CAPABILITIES_KEPT, container, "the container keeps every capability that the runtime gives it");
    }
}

fn environment(report: &mut Report<'_, '_>, container: Yaml<'_>) {
    let mut names = HashSet::new();
    for variable in container.list("env") {
        let Some(name) = variable.get("name") else { continue };
        let text = name.text().unwrap_or("");
        if !names.insert(text) && !name.is_unknown() {
            report.at(&TWICE, name, "the variable is set twice in this container");
        }
        if let Some(value) = variable.get("value")
            && text.to_ascii_lowercase().contains("secret")
            && !value.is_empty()
            && !value.is_unknown()
            && value.text().is_some_and(|value| !value.is_empty() && !value.starts_with("$("))
        {
            report.secret(
                &SECRET_LITERAL,
                value,
                "the value stands in the manifest, for all to read who can read that",
            );
        }
        if let Some((key, _)) = variable.get("valueFrom").and_then(|from| from.entry("secretKeyRef")) {
            report.once(&SECRET_ENV, key, "every process that the container starts inherits the secret");
        }
    }
    for source in container.list("envFrom") {
        if let Some((key, _)) = source.entry("secretRef") {
            report.once(&SECRET_ENV, key, "every process that the container starts inherits the secret");
        }
    }
}

fn ports(report: &mut Report<'_, '_>, container: Yaml<'_>) {
    for port in container.list("ports") {
        let tcp = port.text_at(&["protocol"]).is_none_or(|protocol| protocol.eq_ignore_ascii_case("tcp"));
        if let Some(number) = port.get("containerPort").filter(|number| tcp && number.number() == Some(22)) {
            report.at(&SSH, number, "port 22 is SSH's: a second way into the container, past the cluster's rights");
        }
        if let Some((key, _)) = port.entry("hostPort").filter(|(_, value)| value.number() != Some(0)) {
            report.at(
                &HOST_PORT,
                key,
                "the pod runs only where the port is free, and is reached past every network policy",
            );
        }
    }
}

fn component(report: &mut Report<'_, '_>, workload: &Workload<'_>, container: Yaml<'_>) {
    let image = container.text_at(&["image"]).unwrap_or("");
    let tiller =
        image.contains("tiller") || workload.label("app") == Some("helm") || workload.label("name") == Some("tiller");
    let label = workload.label("app").or(workload.label("k8s-app"));
    let dashboard = image.contains("kubernetes-dashboard")
        || image.contains("kubernetesui")
        || label == Some("kubernetes-dashboard");
    let node = container.get("image").unwrap_or(container);
    if tiller {
        report.once(&OUTDATED, node, "Tiller may do anything in the cluster, for whoever reaches it");
    } else if dashboard {
        report.once(&OUTDATED, node, "the dashboard shows and changes the cluster, with the rights of its own account");
    }
    if let Some(name) = container
        .list("env")
        .filter_map(|variable| variable.get("name"))
        .find(|name| name.text() == Some("GITSYNC_GIT"))
    {
        report.at(&OUTDATED, name, "the variable names the program that git-sync runs");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, deployment};
    use super::*;
    use crate::sample;

    #[test]
    fn capabilities_beyond_need_are_found() {
        let with = |text: &str| deployment(&format!("securityContext:\n  capabilities:\n    {text}"));
        check("capabilities", &with("add: [SYS_ADMIN]"), &[11]);
        check("capabilities", &with("add:\n    - NET_ADMIN\n    - NET_BIND_SERVICE"), &[12, 13]);
        check("capabilities", &with("drop: [KILL]"), &[11]);
        for good in ["drop: [ALL]", "drop: [all]", "drop: [NET_RAW]", "add: []\n    drop: [CAP_NET_RAW]"] {
            check("capabilities", &with(good), &[]);
            check("capabilities-kept", &with(good), &[]);
        }
        check("capabilities-kept", &deployment("image: a"), &[8]);
        let hunk =
            "         securityContext:\n           capabilities:\n+            add: [SYS_PTRACE]\n       volumes: []";
        sample::finds_in_hunk(&CAPABILITIES, "k8s/a.yaml", hunk, &[(12, Severity::Medium)]);
    }

    #[test]
    fn rights_that_can_be_gained_are_found() {
        let with = |text: &str| deployment(&format!("securityContext: {{{text}}}"));
        for bad in ["allowPrivilegeEscalation: true", "privileged: true", "capabilities: {add: [CAP_SYS_ADMIN]}"] {
            check("privilege-escalation", &with(bad), &[9]);
        }
        check("privilege-escalation", &with("allowPrivilegeEscalation: false"), &[]);
        check("privilege-escalation", &deployment("image: a"), &[]);
    }

    #[test]
    fn the_environment_is_looked_through() {
        check("secret-in-env", &deployment("env:\n- name: APP_SECRET\n  value: hunter"), &[11]);
        check("secret-in-env", &deployment("env:\n- name: APP_SECRET\n  value: $(OTHER)\n- name: A\n  value: b"), &[]);
        check(
            "secret-env-reference",
            &deployment("env:\n- name: A\n  valueFrom:\n    secretKeyRef: {name: a, key: b}"),
            &[12],
        );
        check("secret-env-reference", &deployment("envFrom:\n- secretRef: {name: a}"), &[10]);
        check("secret-env-reference", &deployment("envFrom:\n- configMapRef: {name: a}"), &[]);
        check("duplicate-env", &deployment("env:\n- {name: A, value: b}\n- {name: A, value: c}"), &[11]);
        check("duplicate-env", &deployment("env:\n- {name: A, value: b}\n- {name: B, value: c}"), &[]);
    }

    #[test]
    fn ports_are_looked_at() {
        check("ssh-port", &deployment("ports:\n- containerPort: 22"), &[10]);
        check("ssh-port", &deployment("ports:\n- {containerPort: 22, protocol: UDP}\n- containerPort: 2222"), &[]);
        check("host-port", &deployment("ports:\n- containerPort: 80\n  hostPort: 80"), &[11]);
        check("host-port", &deployment("ports:\n- containerPort: 80"), &[]);
    }

    #[test]
    fn risky_components_are_known_by_their_images() {
        check("risky-component", &deployment("image: gcr.io/kubernetes-helm/tiller:v2"), &[9]);
        check("risky-component", &deployment("image: kubernetesui/dashboard:v2"), &[9]);
        check("risky-component", &deployment("env:\n- name: GITSYNC_GIT\n  value: /tmp/x"), &[10]);
        check("risky-component", &deployment("image: acme/shop:1"), &[]);
    }
}
