//! The arguments of the cluster's own programs (API server, controller manager, scheduler, etcd, kubelet), as the CIS
//! benchmark for Kubernetes wants them: a row each. Only where the program is started by name is it known to be one.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::objects::Workload;
use super::rule;
use crate::rules::Rule;

/// An argument, and what it must be.
struct Row {
    programs: &'static [&'static str],
    flag: &'static str,
    must: Must,
}

#[derive(Clone, Copy)]
enum Must {
    /// It is there, with some value.
    BeSet,
    /// It is not there.
    NotBeSet,
    /// It is there, and is this.
    Be(&'static str),
    /// It is not this; not there is well.
    NotBe(&'static str),
    /// It is there, and its list holds this.
    List(&'static str),
    /// Where it is there, its list holds this.
    ListIfSet(&'static str),
    /// Its list does not hold this.
    NotList(&'static str),
    /// It is there, and is at least this.
    AtLeast(i64),
    /// Where it is there, it is at most this.
    AtMost(i64),
    /// Where it is there, it ends with this.
    End(&'static str),
    /// Where it is there, it is a time such as `1h30m`.
    BeDuration,
    /// Where it is there, its list holds nothing but strong ciphers.
    BeStrong,
}

use Must::{AtLeast, AtMost, Be, BeDuration, BeSet, BeStrong, End, List, ListIfSet, NotBe, NotBeSet, NotList};

const fn row(programs: &'static [&'static str], flag: &'static str, must: Must) -> Row {
    Row { programs, flag, must }
}

const API: &[&str] = &["kube-apiserver"];
const MANAGER: &[&str] = &["kube-controller-manager"];
const SCHEDULER: &[&str] = &["kube-scheduler"];
const ETCD: &[&str] = &["etcd"];
const KUBELET: &[&str] = &["kubelet"];
const PLUGINS: &str = "enable-admission-plugins";

const ROWS: &[Row] = &[
    row(API, "anonymous-auth", Be("false")),
    row(API, "basic-auth-file", NotBeSet),
    row(API, "token-auth-file", NotBeSet),
    row(API, "kubelet-https", NotBe("false")),
    row(API, "kubelet-client-certificate", BeSet),
    row(API, "kubelet-client-key", BeSet),
    row(API, "kubelet-certificate-authority", BeSet),
    row(API, "authorization-mode", NotList("AlwaysAllow")),
    row(API, "authorization-mode", List("Node")),
    row(API, "authorization-mode", List("RBAC")),
    row(API, PLUGINS, NotList("AlwaysAdmit")),
    row(API, PLUGINS, ListIfSet("AlwaysPullImages")),
    row(API, PLUGINS, ListIfSet("SecurityContextDeny|PodSecurityPolicy|PodSecurity")),
    row(API, PLUGINS, ListIfSet("ServiceAccount")),
    row(API, PLUGINS, ListIfSet("NamespaceLifecycle")),
    row(API, PLUGINS, ListIfSet("PodSecurityPolicy|PodSecurity")),
    row(API, PLUGINS, ListIfSet("NodeRestriction")),
    row(API, "insecure-bind-address", NotBeSet),
    row(API, "insecure-port", Be("0")),
    row(API, "secure-port", NotBe("0")),
    row(API, "profiling", Be("false")),
    row(API, "audit-log-path", BeSet),
    row(API, "audit-log-maxage", AtLeast(30)),
    row(API, "audit-log-maxbackup", AtLeast(10)),
    row(API, "audit-log-maxsize", AtLeast(100)),
    row(API, "request-timeout", BeDuration),
    row(API, "service-account-lookup", Be("true")),
    row(API, "service-account-key-file", End(".pem")),
    row(API, "etcd-certfile", BeSet),
    row(API, "etcd-keyfile", BeSet),
    row(API, "tls-cert-file", BeSet),
    row(API, "tls-private-key-file", BeSet),
    row(API, "etcd-cafile", BeSet),
    row(API, "encryption-provider-config", BeSet),
    row(API, "tls-cipher-suites", BeStrong),
    row(MANAGER, "terminated-pod-gc-threshold", AtLeast(1)),
    row(MANAGER, "profiling", Be("false")),
    row(MANAGER, "use-service-account-credentials", Be("true")),
    row(MANAGER, "service-account-private-key-file", End(".pem")),
    row(MANAGER, "root-ca-file", End(".pem")),
    row(&["kube-controller-manager", "kubelet"], "feature-gates", NotList("RotateKubeletServerCertificate=false")),
    row(MANAGER, "bind-address", Be("127.0.0.1")),
    row(SCHEDULER, "profiling", Be("false")),
    row(SCHEDULER, "bind-address", Be("127.0.0.1")),
    row(ETCD, "cert-file", BeSet),
    row(ETCD, "key-file", BeSet),
    row(ETCD, "client-cert-auth", Be("true")),
    row(ETCD, "auto-tls", NotBe("true")),
    row(ETCD, "peer-cert-file", BeSet),
    row(ETCD, "peer-key-file", BeSet),
    row(ETCD, "peer-client-cert-auth", Be("true")),
    row(KUBELET, "anonymous-auth", Be("false")),
    row(KUBELET, "authorization-mode", NotList("AlwaysAllow")),
    row(KUBELET, "client-ca-file", BeSet),
    row(KUBELET, "read-only-port", Be("0")),
    row(KUBELET, "streaming-connection-idle-timeout", NotBe("0")),
    row(KUBELET, "protect-kernel-defaults", Be("true")),
    row(KUBELET, "make-iptables-util-chains", Be("true")),
    row(KUBELET, "hostname-override", NotBeSet),
    row(KUBELET, "event-qps", AtMost(5)),
    row(KUBELET, "tls-cert-file", BeSet),
    row(KUBELET, "tls-private-key-file", BeSet),
    row(KUBELET, "rotate-certificates", NotBe("false")),
    row(KUBELET, "tls-cipher-suites", BeStrong),
];

pub(super) const RULES: &[&Rule] = &[&RULE];

static RULE: Rule = Rule {
    cwe: 16,
    hazard: "k8s.control-plane",
    remediation: "Set the argument as the CIS benchmark for Kubernetes recommends.",
    references: &[
        "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
        "https://www.cisecurity.org/benchmark/kubernetes",
    ],
    aliases: &[
        "CKV_K8S_68",
        "CKV_K8S_69",
        "CKV_K8S_70",
        "CKV_K8S_71",
        "CKV_K8S_72",
        "CKV_K8S_73",
        "CKV_K8S_74",
        "CKV_K8S_75",
        "CKV_K8S_77",
        "CKV_K8S_79",
        "CKV_K8S_80",
        "CKV_K8S_81",
        "CKV_K8S_82",
        "CKV_K8S_83",
        "CKV_K8S_84",
        "CKV_K8S_85",
        "CKV_K8S_86",
        "CKV_K8S_88",
        "CKV_K8S_89",
        "CKV_K8S_90",
        "CKV_K8S_91",
        "CKV_K8S_92",
        "CKV_K8S_93",
        "CKV_K8S_94",
        "CKV_K8S_95",
        "CKV_K8S_96",
        "CKV_K8S_97",
        "CKV_K8S_99",
        "CKV_K8S_100",
        "CKV_K8S_102",
        "CKV_K8S_104",
        "CKV_K8S_105",
        "CKV_K8S_106",
        "CKV_K8S_107",
        "CKV_K8S_108",
        "CKV_K8S_110",
        "CKV_K8S_111",
        "CKV_K8S_112",
        "CKV_K8S_113",
        "CKV_K8S_114",
        "CKV_K8S_115",
        "CKV_K8S_116",
        "CKV_K8S_117",
        "CKV_K8S_118",
        "CKV_K8S_119",
        "CKV_K8S_121",
        "CKV_K8S_138",
        "CKV_K8S_139",
        "CKV_K8S_140",
        "CKV_K8S_141",
        "CKV_K8S_143",
        "CKV_K8S_144",
        "CKV_K8S_145",
        "CKV_K8S_146",
        "CKV_K8S_147",
        "CKV_K8S_148",
        "CKV_K8S_149",
        "CKV_K8S_151",
    ],
    ..rule(
        "infrastructure.kubernetes.control-plane",
        "Program of the cluster started with weak arguments",
        Severity::Low,
    )
};

pub(super) fn check(report: &mut Report<'_, '_>, workload: &Workload<'_>) {
    for container in workload.containers() {
        let words: Vec<Yaml<'_>> = container.list("command").chain(container.list("args")).collect();
        let name = |word: &Yaml<'_>| word.text().map_or("", |text| text.rsplit('/').next().unwrap_or(text)).to_owned();
        let programs: Vec<_> = words.iter().take(3).map(name).collect();
        for row in
            ROWS.iter().filter(|row| row.programs.iter().any(|program| programs.iter().any(|word| word == program)))
        {
            let argument = words.iter().find(|word| flag(**word) == Some(row.flag));
            if !holds(row.must, argument.and_then(|word| value(*word)), argument.is_some()) {
                let node = argument.copied().or_else(|| words.first().copied()).unwrap_or(container);
                report.at(&RULE, node, format!("{} {}", row.programs[0], wish(row)));
            }
        }
    }
}

/// What the benchmark wants, in words.
fn wish(row: &Row) -> String {
    let flag = row.flag;
    match row.must {
        BeSet => format!("should be given --{flag}"),
        NotBeSet => format!("should not be given --{flag}"),
        Be(value) => format!("should be given --{flag}={value}"),
        NotBe(value) => format!("should not be given --{flag}={value}"),
        List(value) | ListIfSet(value) => {
            format!("should have {} in --{flag}", value.split('|').next().unwrap_or(value))
        }
        NotList(value) => format!("should not have {value} in --{flag}"),
        AtLeast(number) => format!("should be given {number} or more as --{flag}"),
        AtMost(number) => format!("should be given {number} or less as --{flag}"),
        End(end) => format!("should be given a file of the kind {end} as --{flag}"),
        BeDuration => format!("should be given a time such as 1m30s as --{flag}"),
        BeStrong => format!("should be given strong ciphers only as --{flag}"),
    }
}

fn flag(word: Yaml<'_>) -> Option<&str> {
    let text = word.text()?.trim().strip_prefix("--")?;
    Some(text.split('=').next().unwrap_or(text))
}

fn value(word: Yaml<'_>) -> Option<&str> {
    word.text()?.split_once('=').map(|(_, value)| value.trim())
}

fn holds(must: Must, value: Option<&str>, is_set: bool) -> bool {
    let text = value.unwrap_or("");
    let lists = |wanted: &str| text.split(',').any(|item| wanted.split('|').any(|one| item.trim() == one));
    match must {
        BeSet => is_set && value != Some(""),
        NotBeSet => !is_set,
        Be(wanted) => is_set && (text == wanted || value.is_none() && wanted == "true"),
        NotBe(bad) => value != Some(bad),
        List(wanted) => lists(wanted),
        ListIfSet(wanted) => !is_set || lists(wanted),
        NotList(bad) => !lists(bad),
        AtLeast(least) => text.parse::<i64>().is_ok_and(|number| number >= least),
        AtMost(most) => text.parse::<i64>().is_ok_and(|number| number <= most) || !is_set,
        End(wanted) => !is_set || text.ends_with(wanted),
        BeDuration => !is_set || is_duration(text),
        BeStrong => !is_set || text.split(',').all(is_strong),
    }
}

fn is_duration(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && text.bytes().all(|b| b.is_ascii_digit() || b"hms".contains(&b)) && text.ends_with(['h', 'm', 's'])
}

/// The ciphers that the benchmark lists: authenticated, with 128 bits or more.
fn is_strong(cipher: &str) -> bool {
    let cipher = cipher.trim();
    let by_key = ["TLS_ECDHE_ECDSA_WITH_", "TLS_ECDHE_RSA_WITH_", "TLS_RSA_WITH_"]
        .iter()
        .find_map(|key| cipher.strip_prefix(key));
    let name = by_key.or(cipher.strip_prefix("TLS_")).unwrap_or("");
    let modern =
        ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305", "CHACHA20_POLY1305_SHA256"].contains(&name);
    modern && !(cipher.starts_with("TLS_RSA_") && name.starts_with("CHACHA"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn each_way_to_be_wrong_is_told_from_right() {
        for (must, good, bad) in [
            (BeSet, Some("a"), None),
            (NotBeSet, None, Some("a")),
            (Be("false"), Some("false"), Some("true")),
            (Be("0"), Some("0"), None),
            (NotBe("0"), None, Some("0")),
            (List("RBAC"), Some("Node,RBAC"), Some("Node")),
            (ListIfSet("A|B"), Some("C,B"), Some("C")),
            (NotList("AlwaysAllow"), Some("RBAC"), Some("RBAC,AlwaysAllow")),
            (AtLeast(30), Some("40"), Some("7")),
            (AtMost(5), Some("2"), Some("50")),
            (End(".pem"), Some("a.pem"), Some("a.txt")),
            (BeDuration, Some("2m3s"), Some("soon")),
            (BeStrong, Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), Some("TLS_RSA_WITH_3DES_EDE_CBC_SHA")),
        ] {
            assert!(holds(must, good, good.is_some()) && !holds(must, bad, bad.is_some()), "{good:?} {bad:?}");
        }
    }

    #[test]
    fn only_the_program_itself_is_judged() {
        let pod = |command: &str| {
            format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n    command: [{command}]\n")
        };
        check("control-plane", &pod("kube-scheduler, --profiling=false, --bind-address=0.0.0.0"), &[6]);
        check("control-plane", &pod("kube-scheduler, --profiling=false, --bind-address=127.0.0.1"), &[]);
        check("control-plane", &pod("scheduler, --bind-address=0.0.0.0"), &[]);
    }
}
