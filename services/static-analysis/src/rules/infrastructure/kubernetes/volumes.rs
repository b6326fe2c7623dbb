//! Folders of the node, and the sockets of its container runtime, in a pod.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::{Document, Yaml};
use super::objects::Workload;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&SOCKET, &SENSITIVE, &WRITABLE, &HOST_PATH];

const REFERENCES: &[&str] = &["https://kubernetes.io/docs/concepts/storage/volumes/#hostpath"];

static SOCKET: Rule = Rule {
    cwe: 250,
    hazard: "k8s.host-path",
    remediation: "Do not mount the runtime's socket; build images with a builder that needs none (BuildKit rootless, kaniko), and read the kubelet's interface for metrics.",
    references: &[
        "https://docs.docker.com/engine/security/#docker-daemon-attack-surface",
        "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
    ],
    aliases: &["CKV_K8S_27", "docker-sock"],
    ..rule("infrastructure.kubernetes.runtime-socket", "Pod commands the container runtime of its node", Severity::High)
};
static SENSITIVE: Rule = Rule {
    cwe: 668,
    hazard: "k8s.host-path",
    remediation: "Mount the one folder that is needed, read only; or use a volume that belongs to the pod.",
    references: REFERENCES,
    aliases: &["sensitive-host-mounts"],
    ..rule("infrastructure.kubernetes.host-path-sensitive", "Pod sees a system folder of its node", Severity::Medium)
};
static WRITABLE: Rule = Rule {
    cwe: 668,
    hazard: "k8s.host-path",
    remediation: "Set readOnly: true on the mount, or use a volume that belongs to the pod.",
    references: REFERENCES,
    aliases: &["writable-host-mount"],
    ..rule("infrastructure.kubernetes.host-path-writable", "Container may write to a folder of its node", Severity::Low)
};
static HOST_PATH: Rule = Rule {
    cwe: 668,
    remediation: "Use a volume that belongs to the pod: a claim, a config map, an emptyDir.",
    references: REFERENCES,
    ..rule("infrastructure.kubernetes.host-path", "Pod mounts a folder of its node", Severity::Info)
};

/// Folders whose content gives the node away, or lets it be changed.
const SENSITIVE_FOLDERS: &[&str] =
    &["/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/sys", "/usr", "/var", "/var/run", "/var/lib/kubelet"];

/// Volumes of one pod that are held against its mounts.
const VOLUMES_MAX: usize = 100;

pub(super) fn check(report: &mut Report<'_, '_>, _: &Object<'_>, workload: &Workload<'_>) {
    for volume in workload.spec.list("volumes").take(VOLUMES_MAX) {
        let Some(host) = volume.get("hostPath") else { continue };
        let Some(path) = host.get("path").filter(|path| !path.is_unknown()) else { continue };
        let name = volume.text_at(&["name"]);
        let mounts: Vec<_> = workload
            .all_containers()
            .flat_map(|container| container.list("volumeMounts"))
            .filter(|mount| name.is_some() && mount.text_at(&["name"]) == name)
            .collect();
        let read_only =
            !mounts.is_empty() && mounts.iter().all(|mount| mount.get("readOnly").is_some_and(Yaml::is_true));
        if system(report, path, read_only) {
            continue;
        }
        let writable = mounts
            .iter()
            .find(|mount| !mount.get("readOnly").is_some_and(|value| value.is_true() || value.is_unknown()));
        match writable {
            Some(mount) => {
                report.at(&WRITABLE, *mount, "what the container writes there stays on the node, and others read it")
            }
            None => report.at(&HOST_PATH, path, "the pod depends on the node that it runs on, and sees a part of it"),
        }
    }
}

/// What is so whatever else the pod says.
fn system(report: &mut Report<'_, '_>, node: Yaml<'_>, read_only: bool) -> bool {
    let path = node.text().unwrap_or("");
    let folder = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let socket = ["docker.sock", "containerd.sock", "crio.sock", "dockershim.sock", "podman.sock"];
    if socket.iter().any(|name| folder.ends_with(name)) {
        report.at(&SOCKET, node, "whoever reaches the runtime's socket is root on the node");
    } else if folder == "/" && !read_only {
        report.as_bad_as(Severity::High, &SENSITIVE, node, "the pod can change every file of its node");
    } else if folder == "/" || SENSITIVE_FOLDERS.contains(&folder) {
        let severity = if read_only { Severity::Low } else { SENSITIVE.severity };
        report.as_bad_as(severity, &SENSITIVE, node, "the pod sees a system folder of its node");
    } else {
        return false;
    }
    true
}

/// The same in a piece of a manifest, where the mounts may be out of sight: nothing is known to be writable.
pub(super) fn check_fragment(report: &mut Report<'_, '_>, document: &Document) {
    for (under, mapping) in document.mappings() {
        if under == Some("hostPath")
            && let Some(path) = mapping.get("path").filter(|path| !path.is_unknown())
        {
            system(report, path, path.text() != Some("/"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, deployment};
    use super::*;
    use crate::sample;

    fn with_volume(path: &str, mount: &str) -> String {
        deployment(&format!("volumeMounts:\n- {{name: v, mountPath: /a{mount}}}"))
            + &format!("      volumes:\n      - name: v\n        hostPath:\n          path: {path}\n")
    }

    #[test]
    fn a_part_of_the_node_is_found() {
        check("runtime-socket", &with_volume("/var/run/docker.sock", ""), &[14]);
        check("runtime-socket", &with_volume("/run/containerd/containerd.sock", ""), &[14]);
        check("host-path-sensitive", &with_volume("/", ""), &[14]);
        check("host-path-sensitive", &with_volume("/etc", ", readOnly: true"), &[14]);
        check("host-path-writable", &with_volume("/srv/data", ""), &[10]);
        check("host-path", &with_volume("/srv/data", ", readOnly: true"), &[14]);
        for id in ["runtime-socket", "host-path-sensitive", "host-path-writable"] {
            check(id, &with_volume("/srv/data", ", readOnly: true"), &[]);
        }
    }

    #[test]
    fn what_the_node_can_lose_decides_how_bad_it_is() {
        let root = |mount: &str, severity| {
            sample::finds_in_file(&SENSITIVE, "k8s/a.yaml", &with_volume("/", mount), &[(14, severity)]);
        };
        root("", Severity::High);
        root(", readOnly: true", Severity::Low);
        let hunk = " volumes:\n - name: a\n+  hostPath: {path: /run/docker.sock}\n";
        sample::finds_in_hunk(&SOCKET, "k8s/a.yaml", hunk, &[(12, Severity::High)]);
        sample::finds_in_hunk(&SENSITIVE, "k8s/a.yaml", hunk, &[]);
    }
}
