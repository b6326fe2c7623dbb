//! What keeps a container running: its image, what it may use, and the probes that ask after it.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::objects::Workload;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] =
    &[&LATEST, &DIGEST, &PULL_POLICY, &LIMITS, &MEMORY_LIMIT, &PROBES, &ONE_PROBE, &PROBE_PORT];

const RESOURCES: &[&str] = &["https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"];
const IMAGES: &[&str] = &["https://kubernetes.io/docs/concepts/containers/images/"];
const PROBE_PAGES: &[&str] =
    &["https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"];

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
static PROBE_PORT: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Name the port in the container's ports, or give the probe its number.",
    references: PROBE_PAGES,
    aliases: &["liveness-port", "readiness-port", "startup-port"],
    ..rule("infrastructure.kubernetes.probe-port", "Probe of a port that the container does not have", Severity::Low)
};

pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>, workload: &Workload<'_>) {
    for container in workload.all_containers() {
        probe_ports(report, container);
        if let Some(image) = container.get("image") {
            image_name(report, container, image);
        }
        if object.complete {
            limits(report, container);
        }
    }
    if object.complete && workload.serves {
        workload.containers().for_each(|container| probes(report, container));
    }
}

pub(super) fn image_name(report: &mut Report<'_, '_>, container: Yaml<'_>, image: Yaml<'_>) {
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
    // A limit of 0 is none.
    let is_set = |(_, value): (Yaml<'_>, Yaml<'_>)| value.text().is_some_and(|text| !matches!(text, "0" | "0m" | ""));
    let said = |kind: &str| {
        let values = resources.and_then(|resources| resources.get(kind));
        values.is_some_and(|values| values.is_unknown() || values.entries().any(is_set))
    };
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

#[cfg(test)]
mod tests {
    use super::super::tests::{check, deployment};
    use super::*;
    use crate::sample;

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
        check("no-limits", &deployment("resources: {limits: {cpu: 0}}"), &[9]);
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
    fn a_probe_needs_a_port() {
        check("probe-port", &deployment("startupProbe:\n  httpGet: {port: http}"), &[10]);
        check(
            "probe-port",
            &deployment("ports:\n- {containerPort: 80, name: http}\nstartupProbe:\n  httpGet: {port: http}"),
            &[],
        );
    }
}
