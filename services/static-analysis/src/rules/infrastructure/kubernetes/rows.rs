//! The rules that look at one attribute of a pod or a container: a row each. A row knows no YAML, so that the same table can
//! be held against pods that are written in another language.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::{Document, Yaml};
use super::objects::Workload;
use super::{Object, rule};
use crate::rules::Rule;

/// One attribute, and what is wrong about it.
pub(in super::super) struct Row {
    /// The rule.
    pub(in super::super) rule: Rule,
    /// Where the attribute belongs.
    pub(in super::super) place: Place,
    /// The keys that lead to it; where there are several such attributes, to each.
    pub(in super::super) paths: &'static [&'static [&'static str]],
    /// What must not be.
    pub(in super::super) bad: Bad,
    /// What is wrong then.
    pub(in super::super) message: &'static str,
}

/// What an attribute is one of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Place {
    /// The pod.
    Pod,
    /// Each of its containers.
    Container,
    /// The pod, and each container's own in its stead.
    Both,
}

/// What an attribute must not be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Bad {
    /// It is there and true.
    True,
    /// It is there and this.
    Is(&'static str),
    /// It is anything but true, or not there.
    NotTrue,
    /// It is not there, or holds nothing.
    Missing,
}

impl Bad {
    /// Whether what is not there is bad, too.
    fn by_absence(self) -> bool {
        matches!(self, Self::NotTrue | Self::Missing)
    }
}

pub(in super::super) static ROWS: &[Row] = &[
    Row {
        rule: Rule {
            cwe: 250,
            hazard: "k8s.privileged",
            remediation: "Leave privileged off and add only the capabilities that the container needs (securityContext.capabilities.add).",
            references: &[
                "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
                "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
            ],
            aliases: &["CKV_K8S_16", "privileged-container"],
            ..rule("infrastructure.kubernetes.privileged", "Privileged container", Severity::High)
        },
        place: Place::Container,
        paths: &[&["securityContext", "privileged"]],
        bad: Bad::True,
        message: "the container is privileged: it can do on the node what root can",
    },
    // Network plugins and node agents need it, so that it asks for a look and does not block.
    Row {
        rule: Rule {
            cwe: 668,
            hazard: "k8s.host-namespace",
            remediation: "Leave hostNetwork, hostPID and hostIPC off; expose a port by a Service, and share data by a volume.",
            references: &["https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline"],
            aliases: &["CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19", "host-network", "host-pid", "host-ipc"],
            ..rule("infrastructure.kubernetes.host-namespace", "Pod shares a namespace of its node", Severity::Medium)
        },
        place: Place::Pod,
        paths: &[&["hostNetwork"], &["hostPID"], &["hostIPC"]],
        bad: Bad::True,
        message: "the pod shares a namespace with its node",
    },
    Row {
        rule: Rule {
            cwe: 250,
            remediation: "Set allowPrivilegeEscalation: false; it is allowed where nothing is said.",
            references: &["https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"],
            aliases: &["CKV_K8S_20"],
            ..rule(
                "infrastructure.kubernetes.escalation-not-denied",
                "Container does not forbid its programs to gain rights",
                Severity::Info,
            )
        },
        place: Place::Container,
        paths: &[&["securityContext", "allowPrivilegeEscalation"]],
        bad: Bad::Missing,
        message: "nothing forbids a program in the container to gain rights that its parent has not",
    },
    Row {
        rule: Rule {
            cwe: 732,
            hazard: "k8s.read-only-rootfs",
            remediation: "Set readOnlyRootFilesystem: true, and mount an emptyDir where the program has to write.",
            references: &["https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"],
            aliases: &["CKV_K8S_22", "no-read-only-root-fs"],
            ..rule("infrastructure.kubernetes.read-only-rootfs", "Container may write to its own image", Severity::Info)
        },
        place: Place::Container,
        paths: &[&["securityContext", "readOnlyRootFilesystem"]],
        bad: Bad::NotTrue,
        message: "the container's root file system can be written to",
    },
    Row {
        rule: Rule {
            cwe: 250,
            hazard: "k8s.proc-mount",
            remediation: "Leave procMount at Default, which hides what a container should not see of /proc.",
            aliases: &["unsafe-proc-mount"],
            ..rule("infrastructure.kubernetes.proc-mount", "Container sees all of /proc", Severity::Low)
        },
        place: Place::Container,
        paths: &[&["securityContext", "procMount"]],
        bad: Bad::Is("Unmasked"),
        message: "nothing of /proc is hidden from the container",
    },
    Row {
        rule: Rule {
            cwe: 693,
            hazard: "k8s.seccomp",
            remediation: "Set seccompProfile.type: RuntimeDefault.",
            references: &["https://kubernetes.io/docs/tutorials/security/seccomp/"],
            aliases: &["CKV_K8S_31"],
            ..rule("infrastructure.kubernetes.seccomp-unconfined", "Container may use every system call", Severity::Low)
        },
        place: Place::Both,
        paths: &[&["securityContext", "seccompProfile", "type"]],
        bad: Bad::Is("Unconfined"),
        message: "the container may use every system call",
    },
    Row {
        rule: Rule {
            cwe: 693,
            hazard: "k8s.no-security-context",
            remediation: "Add a securityContext with at least runAsNonRoot, allowPrivilegeEscalation: false and dropped capabilities.",
            references: &["https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"],
            aliases: &["CKV_K8S_29", "CKV_K8S_30"],
            ..rule("infrastructure.kubernetes.no-security-context", "Pod without any security context", Severity::Info)
        },
        place: Place::Both,
        paths: &[&["securityContext"]],
        bad: Bad::Missing,
        message: "neither the pod nor its container has a security context",
    },
];

/// Holds every row against a workload.
pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>, workload: &Workload<'_>) {
    for row in ROWS.iter().filter(|row| object.complete || !row.bad.by_absence()) {
        for path in row.paths {
            let pod = attribute(row, path, workload.spec);
            if row.place == Place::Pod {
                speak(report, row, pod);
                continue;
            }
            if row.place == Place::Both && !row.bad.by_absence() {
                speak(report, row, pod);
            }
            for container in workload.all_containers() {
                let said_of_pod =
                    row.place == Place::Both && workload.spec.at(path).is_some_and(|value| !value.is_empty());
                if !(row.bad.by_absence() && said_of_pod) {
                    speak(report, row, attribute(row, path, container));
                }
            }
        }
    }
}

fn speak(report: &mut Report<'_, '_>, row: &'static Row, at: Option<Yaml<'_>>) {
    match at {
        // What is missing is missing everywhere, and once is enough.
        Some(node) if row.bad.by_absence() => report.once(&row.rule, node, row.message),
        Some(node) => report.at(&row.rule, node, row.message),
        None => {}
    }
}

/// Where the attribute is bad: its key, or the owner when it is not there.
fn attribute<'d>(row: &Row, path: &[&str], owner: Yaml<'d>) -> Option<Yaml<'d>> {
    let (last, parents) = path.split_last()?;
    let entry = owner.at(parents).and_then(|parent| parent.entry(last));
    match entry {
        Some((key, value)) => is_bad(row.bad, value).then_some(key),
        None => row.bad.by_absence().then_some(owner),
    }
}

fn is_bad(bad: Bad, value: Yaml<'_>) -> bool {
    match bad {
        Bad::True => value.is_true(),
        Bad::Is(word) => value.text() == Some(word),
        Bad::NotTrue => !value.is_true() && !value.is_unknown(),
        Bad::Missing => value.is_empty(),
    }
}

/// Of each path that tells something in a piece of a manifest: its longest key, which is the rarest.
pub(super) fn telling_keys() -> impl Iterator<Item = &'static str> {
    let rows = ROWS.iter().filter(|row| !row.bad.by_absence());
    rows.flat_map(|row| row.paths).filter_map(|path| path.iter().copied().max_by_key(|key| key.len()))
}

/// Holds the rows that need no context against a piece of a manifest.
pub(super) fn check_fragment(report: &mut Report<'_, '_>, document: &Document) {
    for (under, mapping) in document.mappings() {
        for row in ROWS.iter().filter(|row| !row.bad.by_absence()) {
            for path in row.paths {
                let (first, rest) = match path {
                    [first, rest @ ..] if !rest.is_empty() => (Some(*first), rest),
                    all => (None, *all),
                };
                if first.is_some() && under != first {
                    continue;
                }
                let Some((last, parents)) = rest.split_last() else { continue };
                let entry = mapping.at(parents).and_then(|parent| parent.entry(last));
                if let Some((key, _)) = entry.filter(|(_, value)| is_bad(row.bad, *value)) {
                    report.at(&row.rule, key, row.message);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, deployment};
    use super::*;
    use crate::sample;

    const PATH: &str = "k8s/pod.yaml";

    fn row(id: &str) -> &'static Rule {
        let own = ROWS.iter().map(|row| &row.rule).find(|rule| rule.id.ends_with(id));
        own.expect("a row")
    }

    #[test]
    fn an_attribute_that_says_what_it_must_not_is_found() {
        check("privileged", &deployment("securityContext: {privileged: true}"), &[9]);
        check("privileged", &deployment("securityContext:\n  privileged: \"true\" # needed"), &[10]);
        check("privileged", &deployment("securityContext: {privileged: false}"), &[]);
        check("proc-mount", &deployment("securityContext: {procMount: Unmasked}"), &[9]);
        check("proc-mount", &deployment("securityContext: {procMount: Default}"), &[]);
        check("seccomp-unconfined", &deployment("securityContext: {seccompProfile: {type: Unconfined}}"), &[9]);
        check("seccomp-unconfined", &deployment("securityContext: {seccompProfile: {type: RuntimeDefault}}"), &[]);
    }

    #[test]
    fn an_attribute_that_is_missing_is_found_once_for_a_workload() {
        let two = deployment("image: a\n") + "      - name: b\n";
        for id in ["escalation-not-denied", "read-only-rootfs", "no-security-context"] {
            check(id, &two, &[8]);
        }
        let good = deployment("securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}");
        for id in ["escalation-not-denied", "read-only-rootfs", "no-security-context"] {
            check(id, &good, &[]);
        }
        let of_pod = deployment("image: a") + "      securityContext: {runAsNonRoot: true}\n";
        check("no-security-context", &of_pod, &[]);
    }

    #[test]
    fn in_a_changed_file_an_added_line_is_found_wherever_the_hunk_begins() {
        let high = Severity::High;
        let rule = row(".privileged");
        sample::finds_in_hunk(rule, PATH, "       securityContext:\n+        privileged: true", &[(11, high)]);
        sample::finds_in_hunk(rule, PATH, "+      securityContext: { privileged: true }", &[(10, high)]);
        sample::finds_in_hunk(
            rule,
            PATH,
            "         image: a\n         securityContext:\n+          privileged: true\n       volumes:",
            &[(12, high)],
        );
        for hunk in [
            " securityContext:\n   privileged: true\n+  runAsUser: 1",
            " securityContext:\n+  privileged: false",
            " securityContext:\n+  # privileged: true",
            " securityContext:\n+  privileged: {{ .Values.privileged }}",
            "+unprivileged: true\n securityContext:",
            "+privileged: true",
        ] {
            sample::finds_in_hunk(rule, PATH, hunk, &[]);
        }
        sample::finds_in_hunk(rule, "docker-compose.yml", "+    privileged: true", &[]);
        sample::finds_in_hunk(rule, "docs/k8s.md", " securityContext:\n+  privileged: true", &[]);
        sample::finds_in_hunk(row("read-only-rootfs"), PATH, " containers:\n+- name: a\n+  image: b", &[]);
    }

    #[test]
    fn a_shared_namespace_is_found() {
        let medium = Severity::Medium;
        let rule = row("host-namespace");
        sample::finds(
            rule,
            PATH,
            &[
                ("      hostNetwork: true", medium),
                ("hostPID: true # for the profiler", medium),
                ("  spec: { hostIPC: true }", medium),
            ],
        );
        sample::finds_nothing(
            rule,
            PATH,
            &["  hostPID: false", "# hostNetwork: true", "hostNetwork: {{ .Values.host }}"],
        );
        sample::finds_nothing(rule, "src/pod.go", &["hostNetwork: true"]);
    }
}
