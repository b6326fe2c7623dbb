//! What a container may do, uses and is given.

use std::collections::HashSet;

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::{Document, Yaml};
use super::objects::Workload;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[
    &ESCALATION,
    &CAPABILITIES,
    &CAPABILITIES_KEPT,
    &LATEST,
    &DIGEST,
    &PULL_POLICY,
    &LIMITS,
    &MEMORY_LIMIT,
    &PROBES,
    &ONE_PROBE,
    &SECRET_LITERAL,
    &SECRET_ENV,
    &TWICE,
    &SSH,
    &HOST_PORT,
    &PROBE_PORT,
    &OUTDATED,
];

const RESOURCES: &[&str] = &["https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"];
const IMAGES: &[&str] = &["https://kubernetes.io/docs/concepts/containers/images/"];
const PROBE_PAGES: &[&str] =
    &["https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"];
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
static LATEST: Rule = Rule {
    cwe: 1104,
    hazard: "k8s.latest-tag",
    remediation: "Name the version of the image, or better its digest, so that every node runs the same and a rollback is one.",
    references: IMAGES,
    aliases: &["CKV_K8S_14", "latest-tag"],
    ..rule("infrastructure.kubernetes.latest-tag", "Image without a version", Severity::Low)
};
static DIGEST: Rule = Rule {
    cwe: 1104,
    hazard: "k8s.image-digest",
    remediation: "Name the image by its digest (image@sha256:…), which cannot be moved.",
    references: IMAGES,
    aliases: &["CKV_K8S_43"],
    ..rule("infrastructure.kubernetes.image-digest", "Image named by a tag, which can be moved", Severity::Info)
};
static PULL_POLICY: Rule = Rule {
    hazard: "k8s.image-pull-policy",
    remediation: "Set imagePullPolicy: Always, or name the image by its digest.",
    references: IMAGES,
    aliases: &["CKV_K8S_15"],
    ..rule("infrastructure.kubernetes.image-pull-policy", "Node may run an old copy of the image", Severity::Info)
};
static LIMITS: Rule = Rule {
    cwe: 770,
    hazard: "k8s.no-limits",
    remediation: "Set requests for memory and processor, and a limit for memory.",
    references: RESOURCES,
    aliases: &[
        "CKV_K8S_10",
        "CKV_K8S_11",
        "CKV_K8S_12",
        "CKV_K8S_13",
        "unset-cpu-requirements",
        "unset-memory-requirements",
    ],
    ..rule("infrastructure.kubernetes.no-limits", "Container without requests and limits", Severity::Low)
};
static MEMORY_LIMIT: Rule = Rule {
    cwe: 770,
    hazard: "k8s.no-memory-limit",
    remediation: "Set resources.limits.memory, so that a leak ends this container and not its neighbours.",
    references: RESOURCES,
    aliases: &["CKV_K8S_13", "unset-memory-requirements"],
    ..rule("infrastructure.kubernetes.no-memory-limit", "Container without a limit for memory", Severity::Info)
};
static PROBES: Rule = Rule {
    hazard: "k8s.no-probes",
    remediation: "Add a readinessProbe, and a livenessProbe where a restart mends what can go wrong.",
    references: PROBE_PAGES,
    aliases: &["CKV_K8S_8", "CKV_K8S_9", "no-liveness-probe", "no-readiness-probe"],
    ..rule("infrastructure.kubernetes.no-probes", "Container whose health nobody asks for", Severity::Low)
};
static ONE_PROBE: Rule = Rule {
    hazard: "k8s.one-probe",
    remediation: "Add the other probe: readiness keeps traffic away from a container that is not ready, liveness restarts one that hangs.",
    references: PROBE_PAGES,
    aliases: &["CKV_K8S_8", "CKV_K8S_9"],
    ..rule("infrastructure.kubernetes.one-probe", "Container with one of its two probes", Severity::Info)
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
static PROBE_PORT: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Name the port in the container's ports, or give the probe its number.",
    references: PROBE_PAGES,
    aliases: &["liveness-port", "readiness-port", "startup-port"],
    ..rule("infrastructure.kubernetes.probe-port", "Probe of a port that the container does not have", Severity::Low)
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
        probe_ports(report, container);
        if let Some(image) = container.get("image") {
            image_name(report, container, image);
        }
        if object.complete {
            kept(report, container);
            limits(report, container);
        }
    }
    if object.complete && workload.serves {
        workload.containers().for_each(|container| probes(report, container));
    }
}

/// The same in a piece of a manifest, where a container is known by what only containers have.
pub(super) fn check_fragment(report: &mut Report<'_, '_>, document: &Document) {
    for (under, mapping) in document.mappings() {
        match under {
            Some("capabilities") => added(report, mapping),
            Some("securityContext") => escalation(report, mapping),
            _ => {}
        }
        let is_container = [
            "env",
            "ports",
            "resources",
            "imagePullPolicy",
            "volumeMounts",
            "livenessProbe",
            "securityContext",
            "command",
            "args",
            "name",
        ]
        .iter()
        .any(|key| mapping.get(key).is_some());
        if let Some(image) = mapping.get("image").filter(|_| is_container) {
            image_name(report, mapping, image);
        }
        if mapping.get("image").is_some() {
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

fn image_name(report: &mut Report<'_, '_>, container: Yaml<'_>, image: Yaml<'_>) {
    let Some(name) = image.text().filter(|name| !name.trim().is_empty() && !image.is_unknown() && !name.contains('$'))
    else {
        return;
    };
    if name.contains('@') {
        return;
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = last.split_once(':').map(|(_, tag)| tag);
    let pull = container.text_at(&["imagePullPolicy"]);
    match tag {
        None | Some("latest" | "") => report.at(&LATEST, image, "what runs depends on when a node pulled the image"),
        Some(_) => {
            report.once(&DIGEST, image, "whoever may push to the registry can put another image behind the tag");
            if pull.is_none() {
                report.once(&PULL_POLICY, image, "a node that has the image does not ask for a newer one");
            }
        }
    }
    if pull.is_some_and(|policy| matches!(policy, "IfNotPresent" | "Never")) {
        report.once(&PULL_POLICY, image, "a node that has the image does not ask for a newer one");
    }
}

fn limits(report: &mut Report<'_, '_>, container: Yaml<'_>) {
    let resources = container.get("resources");
    let said = |kind: &str| resources.and_then(|resources| resources.get(kind)).is_some_and(|value| !value.is_empty());
    if !said("limits") && !said("requests") {
        let node = container.entry("resources").map_or(container, |(key, _)| key);
        report.once(&LIMITS, node, "the container may take all memory and time of its node");
    } else if container.at(&["resources", "limits", "memory"]).is_none() {
        report.once(&MEMORY_LIMIT, container, "the container may take all memory of its node");
    }
}

fn probes(report: &mut Report<'_, '_>, container: Yaml<'_>) {
    let has = |probe: &str| container.get(probe).is_some_and(|probe| !probe.is_empty());
    match (has("livenessProbe"), has("readinessProbe")) {
        (false, false) => report.once(&PROBES, container, "nothing tells whether the container works"),
        (true, true) => {}
        _ => report.once(&ONE_PROBE, container, "the container has one of liveness and readiness, and not the other"),
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

fn probe_ports(report: &mut Report<'_, '_>, container: Yaml<'_>) {
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for way in ["httpGet", "tcpSocket", "grpc"] {
            let Some(port) = container.at(&[probe, way, "port"]).filter(|port| !port.is_unknown()) else { continue };
            let known = container.list("ports").any(|known| {
                let tcp = known.text_at(&["protocol"]).is_none_or(|protocol| protocol.eq_ignore_ascii_case("tcp"));
                let same = |key: &str| known.text_at(&[key]).is_some() && known.text_at(&[key]) == port.text();
                known.get("containerPort").is_some_and(Yaml::is_unknown)
                    || tcp && (same("containerPort") || same("name"))
            });
            if !known {
                // A number reaches any port that is open; a name reaches none that is not there.
                let severity = if port.number().is_some() { Severity::Info } else { PROBE_PORT.severity };
                report.as_bad_as(
                    severity,
                    &PROBE_PORT,
                    port,
                    "the container's ports do not have the port of this probe",
                );
            }
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
    fn images_are_known_by_their_names() {
        for image in ["nginx", "nginx:latest", "localhost:5000/a/nginx"] {
            check("latest-tag", &deployment(&format!("image: {image}")), &[9]);
        }
        for image in ["nginx:1.27", "localhost:5000/a:1", "a@sha256:00", "${IMAGE}", "{{ .Values.a }}"] {
            check("latest-tag", &deployment(&format!("image: {image}")), &[]);
        }
        check("image-digest", &deployment("image: nginx:1.27"), &[9]);
        check("image-digest", &deployment("image: nginx@sha256:00"), &[]);
        check("image-pull-policy", &deployment("image: nginx:1.27"), &[9]);
        check("image-pull-policy", &deployment("image: nginx:1.27\nimagePullPolicy: Always"), &[]);
        sample::finds_in_hunk(
            &LATEST,
            "k8s/a.yaml",
            "       - name: a\n-        image: a:1\n+        image: a:latest\n       volumes:",
            &[(11, Severity::Low)],
        );
        sample::finds_in_hunk(&LATEST, "helm/notes.yaml", "+image: logo\n+text: a", &[]);
    }

    #[test]
    fn a_container_that_may_take_everything_is_found() {
        check("no-limits", &deployment("image: a"), &[8]);
        check("no-limits", &deployment("resources: {}"), &[9]);
        check("no-limits", &deployment("resources: {limits: {memory: 1Gi}}"), &[]);
        check("no-memory-limit", &deployment("resources: {requests: {cpu: 1}}"), &[8]);
        check("no-memory-limit", &deployment("resources: {limits: {memory: 1Gi}}"), &[]);
        check("no-limits", &deployment("{{- toYaml .Values.resources | nindent 8 }}"), &[]);
    }

    #[test]
    fn probes_are_missed_in_what_serves() {
        check("no-probes", &deployment("image: a"), &[8]);
        check("no-probes", &deployment("livenessProbe: {exec: {command: [a]}}"), &[]);
        check("one-probe", &deployment("livenessProbe: {exec: {command: [a]}}"), &[8]);
        check("no-probes", &deployment("image: a").replace("apps/v1", "batch/v1").replace("Deployment", "Job"), &[]);
        check(
            "one-probe",
            &deployment("livenessProbe: {tcpSocket: {port: 1}}\nreadinessProbe: {tcpSocket: {port: 1}}"),
            &[],
        );
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
        check("probe-port", &deployment("startupProbe:\n  httpGet: {port: http}"), &[10]);
        check(
            "probe-port",
            &deployment("ports:\n- {containerPort: 80, name: http}\nstartupProbe:\n  httpGet: {port: http}"),
            &[],
        );
    }

    #[test]
    fn risky_components_are_known_by_their_images() {
        check("risky-component", &deployment("image: gcr.io/kubernetes-helm/tiller:v2"), &[9]);
        check("risky-component", &deployment("image: kubernetesui/dashboard:v2"), &[9]);
        check("risky-component", &deployment("env:\n- name: GITSYNC_GIT\n  value: /tmp/x"), &[10]);
        check("risky-component", &deployment("image: acme/shop:1"), &[]);
    }
}
