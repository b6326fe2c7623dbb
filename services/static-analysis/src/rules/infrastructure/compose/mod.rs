//! Compose files: what a container may do to its host, what is open to the network, and what is written down.

use domain::diff::FileDiff;
use domain::{Category, Confidence, FileChange, FileChangeKind, Severity};

use super::report::Report;
use super::view;
use super::yaml::Yaml;
use crate::paths;
use crate::rules::{Check, FileHit, Rule, Shared};

static SHARED: Shared = Shared { applies: is_compose, check, besides: &[] };

/// The rules for compose files.
pub(crate) fn rules() -> Vec<&'static Rule> {
    vec![&PRIVILEGED, &SOCKET, &HOST_PATH, &NAMESPACE, &CAPABILITIES, &UNCONFINED, &LATEST, &PASSWORD, &PORT, &SSH]
}

/// A rule for compose files.
const fn rule(id: &'static str, title: &'static str, severity: Severity) -> Rule {
    Rule {
        id,
        title,
        severity,
        confidence: Confidence::High,
        category: Category::Infrastructure,
        cwe: 0,
        hazard: "",
        keywords: &[],
        remediation: "",
        references: &["https://docs.docker.com/reference/compose-file/services/"],
        aliases: &[],
        check: Check::Shared(&SHARED),
    }
}

static PRIVILEGED: Rule = Rule {
    cwe: 250,
    hazard: "compose.privileged",
    remediation: "Leave privileged off, and add the one capability or device that is needed (cap_add, devices).",
    // Compose is for development more often than not, so that it asks for a look and does not block.
    ..rule("infrastructure.compose.privileged", "Privileged container", Severity::Medium)
};
static SOCKET: Rule = Rule {
    cwe: 250,
    hazard: "compose.docker-socket",
    remediation: "Do not mount the socket, or put a proxy before it that lets only reading through.",
    references: &["https://docs.docker.com/engine/security/#docker-daemon-attack-surface"],
    // Proxies and log collectors are given it on purpose, so that it asks for a look and does not block.
    ..rule("infrastructure.compose.docker-socket", "Container commands the Docker of its host", Severity::Medium)
};
static HOST_PATH: Rule = Rule {
    cwe: 668,
    hazard: "compose.host-path",
    remediation: "Mount the one folder that is needed, read only.",
    references: &["https://docs.docker.com/engine/storage/bind-mounts/"],
    ..rule("infrastructure.compose.host-path", "Container sees a system folder of its host", Severity::Medium)
};
static NAMESPACE: Rule = Rule {
    cwe: 668,
    hazard: "compose.host-namespace",
    remediation: "Use a network of the file and publish the ports that are needed; leave pid and ipc to the container.",
    ..rule("infrastructure.compose.host-namespace", "Container shares a namespace of its host", Severity::Low)
};
static CAPABILITIES: Rule = Rule {
    cwe: 250,
    hazard: "compose.capabilities",
    remediation: "Drop ALL, and add only what the program is known to need.",
    ..rule("infrastructure.compose.capabilities", "Container with far-reaching capabilities", Severity::Low)
};
static UNCONFINED: Rule = Rule {
    cwe: 693,
    hazard: "compose.unconfined",
    remediation: "Leave the runtime's own profiles on.",
    references: &["https://docs.docker.com/engine/security/seccomp/"],
    ..rule("infrastructure.compose.unconfined", "Container without seccomp or AppArmor", Severity::Low)
};
static LATEST: Rule = Rule {
    cwe: 1104,
    hazard: "compose.latest-tag",
    remediation: "Name the version of the image.",
    ..rule("infrastructure.compose.latest-tag", "Image without a version", Severity::Low)
};
static PASSWORD: Rule = Rule {
    cwe: 798,
    hazard: "compose.plain-password",
    remediation: "Use a secret of the file (secrets:), or a variable that the environment fills in (${PASSWORD:?}).",
    references: &["https://docs.docker.com/compose/how-tos/use-secrets/"],
    ..rule("infrastructure.compose.plain-password", "Password written into a compose file", Severity::Low)
};
static PORT: Rule = Rule {
    cwe: 668,
    hazard: "compose.published-database",
    remediation: "Bind it to the host itself (127.0.0.1:5432:5432), or let the services find it on a network of the file. Docker opens a published port past the host's firewall.",
    references: &["https://docs.docker.com/engine/network/port-publishing/"],
    ..rule("infrastructure.compose.published-database", "Database open to the network", Severity::Low)
};
static SSH: Rule = Rule {
    cwe: 668,
    hazard: "docker.expose-ssh-or-bad-port",
    remediation: "Use docker compose exec, and run no SSH server in the container.",
    ..rule("infrastructure.compose.ssh-port", "Container serves SSH", Severity::Low)
};

/// The ports of databases, caches and brokers.
const DATABASES: &[&str] = &[
    "1433", "1521", "2379", "3306", "5432", "5672", "5984", "6379", "7000", "7687", "8086", "9042", "9200", "9300",
    "11211", "27017", "27018", "28015",
];
const SENSITIVE: &[&str] = &["/", "/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/sys", "/usr", "/var"];

fn is_compose(change: &FileChange) -> bool {
    let name = paths::lower(paths::name(&change.path));
    let stem = name.strip_suffix(".yml").or(name.strip_suffix(".yaml"));
    change.kind != FileChangeKind::Deleted
        && stem.is_some_and(|stem| stem.split(['.', '-', '_']).any(|word| word == "compose"))
}

fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    let mut hits = Vec::new();
    for view in view::views(file) {
        let mut report = Report::new(&view);
        for seen in &view.documents {
            let root = seen.document.root();
            if let Some(services) = root.get("services").filter(|_| seen.rooted) {
                services
                    .entries()
                    .filter(|(_, service)| service.is_mapping())
                    .for_each(|(_, service)| judge(&mut report, service));
            } else {
                // Of a piece of a file, what only a service can have.
                let has = |mapping: Yaml<'_>| SERVICE_KEYS.iter().any(|key| mapping.get(key).is_some());
                seen.document
                    .mappings()
                    .filter(|(under, mapping)| *under != Some("build") && has(*mapping))
                    .for_each(|(_, service)| judge(&mut report, service));
            }
        }
        hits.extend(report.into_hits());
    }
    hits
}

/// Keys that make a mapping a service.
const SERVICE_KEYS: &[&str] = &[
    "image",
    "privileged",
    "volumes",
    "environment",
    "ports",
    "network_mode",
    "pid",
    "ipc",
    "cap_add",
    "security_opt",
];

fn judge(report: &mut Report<'_, '_>, service: Yaml<'_>) {
    if let Some((key, _)) = service.entry("privileged").filter(|(_, value)| value.is_true()) {
        report.at(&PRIVILEGED, key, "the container can do on the host what root can");
    }
    for key in ["network_mode", "pid", "ipc", "userns_mode"] {
        if let Some((key, _)) = service.entry(key).filter(|(_, value)| value.text() == Some("host")) {
            report.at(&NAMESPACE, key, "the container shares a namespace with its host");
        }
    }
    for capability in service.list("cap_add") {
        let name = capability.text().unwrap_or("").trim_start_matches("CAP_");
        if ["ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "NET_ADMIN", "DAC_READ_SEARCH", "BPF"]
            .contains(&name)
        {
            report.at(&CAPABILITIES, capability, "the container is given rights of the kernel that reach beyond it");
        }
    }
    for option in service.list("security_opt") {
        let text = option.text().unwrap_or("").replace('=', ":");
        if matches!(text.as_str(), "seccomp:unconfined" | "apparmor:unconfined" | "label:disable") {
            report.at(&UNCONFINED, option, "nothing holds the container's programs back");
        }
    }
    if let Some(image) = service.get("image").filter(|_| service.get("build").is_none()) {
        let name = image.text().unwrap_or("");
        let last = name.rsplit('/').next().unwrap_or(name);
        let floating = matches!(last.split_once(':').map(|(_, tag)| tag), None | Some("latest" | ""));
        if !name.is_empty() && !name.contains(['@', '$']) && floating {
            report.at(&LATEST, image, "what runs depends on when the image was pulled");
        }
    }
    service.list("volumes").for_each(|volume| mount(report, volume));
    environment(report, service);
    ports(report, service);
}

fn mount(report: &mut Report<'_, '_>, volume: Yaml<'_>) {
    let text = volume.text().unwrap_or("");
    let mut parts = text.split(':');
    let source = volume.text_at(&["source"]).or(parts.next()).unwrap_or("");
    let read_only = volume.get("read_only").is_some_and(Yaml::is_true)
        || parts.next_back().is_some_and(|mode| mode.split(',').any(|word| word == "ro"));
    let folder = if source.len() > 1 { source.trim_end_matches('/') } else { source };
    if folder.ends_with("docker.sock") || folder.ends_with("containerd.sock") {
        // A socket that is mounted read only takes commands all the same.
        report.at(&SOCKET, volume, "whoever reaches Docker's socket is root on the host");
    } else if SENSITIVE.contains(&folder) && text.contains(':') | volume.is_mapping() {
        let severity = if read_only { Severity::Low } else { HOST_PATH.severity };
        report.as_bad_as(severity, &HOST_PATH, volume, "the container sees a system folder of its host");
    }
}

fn environment(report: &mut Report<'_, '_>, service: Yaml<'_>) {
    let Some(variables) = service.get("environment") else { return };
    let pairs = variables.entries().filter_map(|(key, value)| Some((key.text()?, value.text()?, value)));
    let listed = variables.items().filter_map(|item| {
        let (name, value) = item.text()?.split_once('=')?;
        Some((name, value, item))
    });
    for (name, value, node) in pairs.chain(listed) {
        let name = name.to_ascii_lowercase();
        let secret = ["password", "passwd", "secret", "token", "apikey", "api_key", "private_key", "access_key"]
            .iter()
            .any(|word| name.ends_with(word));
        if secret
            && value.len() > 2
            && !value.contains('$')
            && !value.starts_with('/')
            && !matches!(value, "true" | "false" | "null" | "yes")
        {
            report.secret(
                &PASSWORD,
                node,
                "the password is the same wherever this file is used, and all who read it know it",
            );
        }
    }
}

fn ports(report: &mut Report<'_, '_>, service: Yaml<'_>) {
    for port in service.list("ports") {
        let text = port.text().unwrap_or("").split('/').next().unwrap_or("");
        let parts: Vec<_> = text.split(':').collect();
        let target = port.text_at(&["target"]).or(parts.last().copied()).unwrap_or("");
        let published = port.get("published").is_some() || parts.len() > 1;
        let address = port.text_at(&["host_ip"]).or((parts.len() > 2).then(|| parts[0]));
        let local = address
            .is_some_and(|address| address.starts_with("127.") || address == "localhost" || address.contains('$'));
        if published && !local && DATABASES.contains(&target) {
            report.at(&PORT, port, "the port is open on every address of the host");
        }
        if target == "22" && published && !local {
            report.at(&SSH, port, "port 22 is SSH's: a second way into the container");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// In a service with these lines, which begin on line 3.
    #[track_caller]
    fn one(id: &str, lines: &str, at: &[u32]) {
        let mut text = String::from("services:\n  a:\n");
        lines.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
        let file = sample::added("docker-compose.yml", &text);
        assert!(is_compose(&file.change));
        assert_eq!(super::super::lines_of(&file, &super::check(&file), id), at, "{id} in\n{text}");
    }

    #[test]
    fn what_reaches_the_host_is_found() {
        one("privileged", "privileged: true", &[3]);
        one("privileged", "privileged: false", &[]);
        one("docker-socket", "volumes:\n- /var/run/docker.sock:/var/run/docker.sock:ro", &[4]);
        one("docker-socket", "volumes:\n- {type: bind, source: /var/run/docker.sock, target: /a}", &[4]);
        one("host-path", "volumes:\n- /etc:/host/etc\n- /srv:/srv", &[4]);
        one("host-path", "volumes:\n- data:/etc\n- ./etc:/etc", &[]);
        one("host-namespace", "network_mode: host\npid: host", &[3, 4]);
        one("host-namespace", "network_mode: bridge", &[]);
        one("capabilities", "cap_add: [SYS_ADMIN, CHOWN]", &[3]);
        one("capabilities", "cap_add: [CHOWN]", &[]);
        one("unconfined", "security_opt: [\"seccomp:unconfined\"]", &[3]);
        one("unconfined", "security_opt: [\"no-new-privileges:true\"]", &[]);
    }

    #[test]
    fn what_is_written_down_and_open_is_found() {
        one("latest-tag", "image: redis", &[3]);
        one("latest-tag", "image: redis:7", &[]);
        one("latest-tag", "image: shop\nbuild: .", &[]);
        one("plain-password", "environment:\n  POSTGRES_PASSWORD: correct-horse", &[4]);
        one("plain-password", "environment:\n- POSTGRES_PASSWORD=correct-horse", &[4]);
        one("plain-password", "environment:\n  POSTGRES_PASSWORD: ${PASSWORD}\n  POSTGRES_PASSWORD_FILE: /run/a", &[]);
        one("published-database", "ports: [\"5432:5432\"]", &[3]);
        one("published-database", "ports: [{target: 6379, published: 6379}]", &[3]);
        one("published-database", "ports: [\"127.0.0.1:5432:5432\", \"80:80\", \"5432\"]", &[]);
        one("ssh-port", "ports: [\"2222:22\"]", &[3]);
        one("ssh-port", "ports: [\"80:80\"]", &[]);
    }

    #[test]
    fn a_hunk_is_enough_and_passwords_are_hidden() {
        let hunk = "     image: a:1\n+    privileged: true\n     restart: always";
        sample::finds_in_hunk(&PRIVILEGED, "compose.yaml", hunk, &[(11, Severity::Medium)]);
        let text = "services:\n  a:\n    environment: {DB_PASSWORD: correct-horse}\n";
        let findings = sample::scan(vec![sample::added("compose.yml", text)]).findings;
        assert!(!findings.is_empty() && findings.iter().all(|finding| !finding.excerpt.contains("correct-horse")));
    }
}
