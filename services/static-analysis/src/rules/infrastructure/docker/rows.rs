//! The table of what a build's commands must not do: a row for each program and what is wrong about how it is called.

use domain::Severity;

use super::rule;
use super::shell::Command;
use crate::rules::Rule;

/// A program, and how it must not be called.
pub(super) struct Row {
    pub(super) rule: Rule,
    pub(super) programs: &'static [&'static str],
    /// The first operand is one of these; any when there are none.
    pub(super) operations: &'static [&'static str],
    pub(super) bad: Bad,
    pub(super) message: &'static str,
}

#[derive(Clone, Copy)]
pub(super) enum Bad {
    /// That it is called at all.
    Always,
    /// With one of these options.
    Option(&'static [&'static str]),
    /// Without any of these options.
    NoOption(&'static [&'static str]),
    /// Where nothing in the same RUN does this, too.
    NothingElse(&'static [&'static str]),
    /// With a package whose version is not named by one of these signs.
    Unpinned(&'static [&'static str]),
    /// Whatever this says.
    When(fn(&Command) -> bool),
}

use Bad::{Always, NoOption, NothingElse, Option as WithOption, Unpinned, When};

/// A row: the rule's parts, then what it looks at.
#[expect(clippy::too_many_arguments, reason = "a row has that many columns")]
const fn row(
    id: &'static str,
    title: &'static str,
    (severity, cwe, hazard): (Severity, u32, &'static str),
    aliases: &'static [&'static str],
    programs: &'static [&'static str],
    operations: &'static [&'static str],
    bad: Bad,
    (message, remediation): (&'static str, &'static str),
) -> Row {
    Row {
        rule: Rule { cwe, hazard, aliases, remediation, ..rule(id, title, severity) },
        programs,
        operations,
        bad,
        message,
    }
}

const TLS: (Severity, u32, &str) = (Severity::Medium, 295, "docker.tls-verification-off");
const UNSIGNED: (Severity, u32, &str) = (Severity::Medium, 347, "docker.unsigned-packages");
const UNPINNED: (Severity, u32, &str) = (Severity::Info, 1104, "docker.unpinned-package");
const STYLE: (Severity, u32, &str) = (Severity::Info, 0, "docker.package-manager");
const CACHE: (Severity, u32, &str) = (Severity::Info, 0, "docker.package-cache");
pub(super) const TLS_TEXT: (&str, &str) = (
    "whoever is on the way can answer in the server's place",
    "Leave the check of certificates on, and add the certificate authority that is missing to the image.",
);
const UNSIGNED_TEXT: (&str, &str) = (
    "packages are installed whoever made them",
    "Leave the check of signatures on, and add the repository's key to the image.",
);
const PIN_TEXT: (&str, &str) = (
    "which version is installed changes from build to build",
    "Name the version of each package, or install from a lock file.",
);
const YES_TEXT: (&str, &str) = ("the program asks, and a build cannot answer", "Tell it to assume yes.");
const CACHE_TEXT: (&str, &str) = (
    "what was downloaded stays in the image",
    "Remove the cache in the same RUN, or mount one: RUN --mount=type=cache.",
);

pub(super) static ROWS: &[Row] = &[
    row(
        "infrastructure.docker.sudo",
        "sudo in a build",
        (Severity::Low, 250, "docker.sudo"),
        &["CKV2_DOCKER_1", "DL3004"],
        &["sudo"],
        &[],
        Always,
        (
            "a build is root already, and sudo stays in the image for whoever runs in it",
            "Switch with USER, or use gosu where a program has to.",
        ),
    ),
    row(
        "infrastructure.docker.apt",
        "apt in a build",
        STYLE,
        &["CKV_DOCKER_9", "DL3027"],
        &["apt"],
        &[],
        Always,
        ("the interface of apt is for people, and changes", "Use apt-get or apt-cache."),
    ),
    row(
        "infrastructure.docker.cd",
        "cd in place of WORKDIR",
        (Severity::Info, 0, "docker.cd"),
        &["DL3003"],
        &["cd"],
        &[],
        Always,
        ("the next instruction is back where it was", "Use WORKDIR."),
    ),
    row(
        "infrastructure.docker.pointless-command",
        "Command without meaning in a build",
        (Severity::Info, 0, "docker.pointless-command"),
        &["DL3001"],
        &["ssh", "vim", "shutdown", "service", "ps", "free", "top", "kill", "mount", "ifconfig"],
        &[],
        Always,
        ("nothing of what it does is left in the image", "Leave it out."),
    ),
    row(
        "infrastructure.docker.update-alone",
        "Update of the package lists alone",
        (Severity::Info, 0, "docker.update-alone"),
        &["CKV_DOCKER_5"],
        &["apt-get", "apt", "yum", "dnf", "apk", "zypper"],
        &["update"],
        NothingElse(&[
            "install",
            "source-install",
            "reinstall",
            "groupinstall",
            "localinstall",
            "add",
            "upgrade",
            "dist-upgrade",
        ]),
        ("a later build takes the old lists from the cache", "Update and install in the same RUN."),
    ),
    row(
        "infrastructure.docker.chpasswd",
        "Password set in a build",
        (Severity::Medium, 798, "docker.chpasswd"),
        &["CKV2_DOCKER_17"],
        &["chpasswd"],
        &[],
        Always,
        ("the password is in the image's history, for all who can pull it", "Set no password in an image."),
    ),
    row(
        "infrastructure.docker.curl-insecure",
        "curl without a check of certificates",
        TLS,
        &["CKV2_DOCKER_2"],
        &["curl"],
        &[],
        WithOption(&["--insecure", "-k"]),
        TLS_TEXT,
    ),
    row(
        "infrastructure.docker.wget-insecure",
        "wget without a check of certificates",
        TLS,
        &["CKV2_DOCKER_3"],
        &["wget"],
        &[],
        WithOption(&["--no-check-certificate"]),
        TLS_TEXT,
    ),
    row(
        "infrastructure.docker.pip-trusted-host",
        "pip without a check of certificates",
        TLS,
        &["CKV2_DOCKER_4"],
        &["pip", "pip3"],
        &[],
        WithOption(&["--trusted-host"]),
        TLS_TEXT,
    ),
    row(
        "infrastructure.docker.npm-insecure",
        "npm or yarn without a check of certificates",
        TLS,
        &["CKV2_DOCKER_13"],
        &["npm", "yarn", "pnpm"],
        &[],
        When(strict_ssl_off),
        TLS_TEXT,
    ),
    row(
        "infrastructure.docker.yum-insecure",
        "yum or dnf without a check of certificates",
        TLS,
        &["CKV2_DOCKER_15"],
        &["yum-config-manager", "dnf-config-manager", "yum", "dnf"],
        &[],
        When(ssl_verify_off),
        TLS_TEXT,
    ),
    row(
        "infrastructure.docker.git-insecure",
        "git without a check of certificates",
        TLS,
        &["CKV2_DOCKER_14"],
        &["git"],
        &[],
        When(git_verify_off),
        TLS_TEXT,
    ),
    row(
        "infrastructure.docker.apk-untrusted",
        "apk takes unsigned packages",
        UNSIGNED,
        &["CKV2_DOCKER_7"],
        &["apk"],
        &[],
        WithOption(&["--allow-untrusted"]),
        UNSIGNED_TEXT,
    ),
    row(
        "infrastructure.docker.apt-unauthenticated",
        "apt-get takes unsigned packages",
        UNSIGNED,
        &["CKV2_DOCKER_8", "CKV2_DOCKER_11"],
        &["apt-get", "apt"],
        &[],
        WithOption(&["--allow-unauthenticated", "--force-yes"]),
        UNSIGNED_TEXT,
    ),
    row(
        "infrastructure.docker.yum-unsigned",
        "yum or dnf takes unsigned packages",
        UNSIGNED,
        &["CKV2_DOCKER_9"],
        &["yum", "dnf", "tdnf", "microdnf"],
        &[],
        WithOption(&["--nogpgcheck"]),
        UNSIGNED_TEXT,
    ),
    row(
        "infrastructure.docker.rpm-unsigned",
        "rpm takes unsigned packages",
        UNSIGNED,
        &["CKV2_DOCKER_10"],
        &["rpm"],
        &[],
        WithOption(&["--nodigest", "--nosignature", "--noverify", "--nofiledigest"]),
        UNSIGNED_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-apt",
        "Package without a version",
        UNPINNED,
        &["DL3008"],
        &["apt-get", "apt"],
        &["install"],
        Unpinned(&["="]),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-apk",
        "Package without a version",
        UNPINNED,
        &["DL3018"],
        &["apk"],
        &["add"],
        Unpinned(&["=", "<", ">", "~"]),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-pip",
        "Package without a version",
        UNPINNED,
        &["DL3013"],
        &["pip", "pip3"],
        &["install"],
        Unpinned(&["==", ">=", "<=", "~=", "===", "@", ">", "<"]),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-npm",
        "Package without a version",
        UNPINNED,
        &["DL3016"],
        &["npm"],
        &["install", "i", "add"],
        When(unpinned_npm),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-gem",
        "Package without a version",
        UNPINNED,
        &["DL3028"],
        &["gem"],
        &["install", "i"],
        When(unpinned_gem),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-go",
        "Package without a version",
        UNPINNED,
        &["DL3062"],
        &["go"],
        &["install", "get"],
        When(unpinned_go),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-yum",
        "Package without a version",
        UNPINNED,
        &["DL3033"],
        &["yum"],
        &["install"],
        Unpinned(&["-"]),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-dnf",
        "Package without a version",
        UNPINNED,
        &["DL3041"],
        &["dnf", "microdnf"],
        &["install"],
        Unpinned(&["-"]),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.unpinned-zypper",
        "Package without a version",
        UNPINNED,
        &["DL3037"],
        &["zypper"],
        &["install", "in"],
        Unpinned(&["=", "<", ">"]),
        PIN_TEXT,
    ),
    row(
        "infrastructure.docker.apt-asks",
        "Installation that asks",
        STYLE,
        &["DL3014"],
        &["apt-get", "apt"],
        &["install"],
        NoOption(&["-y", "--yes", "-q", "--assume-yes", "-qq"]),
        YES_TEXT,
    ),
    row(
        "infrastructure.docker.yum-asks",
        "Installation that asks",
        STYLE,
        &["DL3030", "DL3038"],
        &["yum", "dnf", "microdnf"],
        &["install", "groupinstall", "localinstall", "reinstall"],
        NoOption(&["-y", "--assumeyes"]),
        YES_TEXT,
    ),
    row(
        "infrastructure.docker.zypper-asks",
        "Installation that asks",
        STYLE,
        &["DL3034"],
        &["zypper"],
        &["install", "in", "remove", "rm", "patch", "source-install"],
        NoOption(&["-y", "-n", "--no-confirm", "--non-interactive"]),
        YES_TEXT,
    ),
    row(
        "infrastructure.docker.zypper-dist-upgrade",
        "Upgrade of the distribution in a build",
        STYLE,
        &["DL3035"],
        &["zypper"],
        &["dup", "dist-upgrade"],
        Always,
        ("the image is no longer the one that it is built on", "Build on a newer base image."),
    ),
    row(
        "infrastructure.docker.apt-recommends",
        "Packages that are only recommended",
        STYLE,
        &["DL3015"],
        &["apt-get", "apt"],
        &["install"],
        NoOption(&["--no-install-recommends", "-o", "--option"]),
        ("what is recommended is installed, too", "Add --no-install-recommends."),
    ),
    row(
        "infrastructure.docker.apt-cache",
        "Package lists left in the image",
        CACHE,
        &["DL3009"],
        &["apt-get", "apt"],
        &["update"],
        NothingElse(&["/var/lib/apt/lists/*", "/var/lib/apt/lists", "/var/lib/apt/lists/", "--mount=type=cache"]),
        CACHE_TEXT,
    ),
    row(
        "infrastructure.docker.apk-cache",
        "Package cache left in the image",
        CACHE,
        &["DL3019"],
        &["apk"],
        &["add"],
        NothingElse(&["--no-cache", "/var/cache/apk/*", "--mount=type=cache"]),
        CACHE_TEXT,
    ),
    row(
        "infrastructure.docker.yum-cache",
        "Package cache left in the image",
        CACHE,
        &["DL3032", "DL3040"],
        &["yum", "dnf", "microdnf"],
        &["install", "update", "upgrade"],
        NothingElse(&["clean", "/var/cache/yum", "/var/cache/yum/*", "/var/cache/dnf", "--mount=type=cache"]),
        CACHE_TEXT,
    ),
    row(
        "infrastructure.docker.zypper-cache",
        "Package cache left in the image",
        CACHE,
        &["DL3036"],
        &["zypper"],
        &["install", "in"],
        NothingElse(&["clean", "cc", "--mount=type=cache"]),
        CACHE_TEXT,
    ),
    row(
        "infrastructure.docker.pip-cache",
        "Package cache left in the image",
        CACHE,
        &["DL3042"],
        &["pip", "pip3"],
        &["install"],
        NothingElse(&["--no-cache-dir", "purge", "--mount=type=cache"]),
        CACHE_TEXT,
    ),
    row(
        "infrastructure.docker.yarn-cache",
        "Package cache left in the image",
        CACHE,
        &["DL3060"],
        &["yarn"],
        &["install"],
        NothingElse(&["clean", "--mount=type=cache"]),
        CACHE_TEXT,
    ),
    row(
        "infrastructure.docker.wget-progress",
        "wget fills the build's log",
        (Severity::Info, 0, "docker.wget-progress"),
        &["DL3047"],
        &["wget"],
        &[],
        NoOption(&["--progress", "-q", "--quiet", "-nv", "--no-verbose", "-o", "--output-file", "-a"]),
        ("every dot of the progress is a line of the log", "Add --progress=dot:giga, or -q."),
    ),
    row(
        "infrastructure.docker.useradd-log",
        "User with a high number and a huge log",
        (Severity::Info, 0, "docker.useradd"),
        &["DL3046"],
        &["useradd"],
        &[],
        When(high_user),
        ("the login log grows to the user's number", "Add --no-log-init (-l)."),
    ),
    row(
        "infrastructure.docker.shell-replaced",
        "System shell replaced",
        (Severity::Info, 0, "docker.shell-replaced"),
        &["DL4005"],
        &["ln"],
        &[],
        When(replaces_shell),
        ("every script of the image now runs in another shell", "Use the instruction SHELL."),
    ),
];

/// The packages that an installation names: no options, no values of options, no files, no variables.
pub(super) fn packages(command: &Command) -> impl Iterator<Item = &str> {
    const WITH_VALUE: &[&str] = &[
        "-t",
        "-r",
        "--requirement",
        "-c",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "-e",
        "--editable",
        "-X",
        "--repository",
        "--virtual",
        "-o",
        "--target-release",
        "--target",
        "--prefix",
        "--root",
        "-p",
        "--trusted-host",
    ];
    let mut operation = false;
    let mut skip = false;
    command.words.iter().skip(1).map(String::as_str).filter(move |word| {
        if std::mem::take(&mut skip) {
            return false;
        }
        if word.starts_with('-') {
            skip = WITH_VALUE.contains(word);
            return false;
        }
        let name = std::mem::replace(&mut operation, true);
        let file = word.starts_with(['.', '/'])
            || word.contains("://")
            || [".deb", ".whl", ".rpm", ".tar.gz", ".apk"].iter().any(|end| word.ends_with(end));
        name && !file
            && !word.contains('$')
            && !word.starts_with(['>', '<'])
            && !word.ends_with("txt")
            && !word.contains(">&")
    })
}

fn strict_ssl_off(command: &Command) -> bool {
    let words: Vec<_> = command.operands().collect();
    let set = words.iter().position(|word| *word == "set");
    set.is_some_and(|at| match words.get(at + 1..) {
        Some(["strict-ssl", "false", ..]) => true,
        Some([first, ..]) => *first == "strict-ssl=false",
        _ => false,
    })
}

fn ssl_verify_off(command: &Command) -> bool {
    let options = command.words.iter().map(|word| word.to_ascii_lowercase());
    options.into_iter().any(|word| {
        let value = word.split_once("sslverify=").map(|(_, value)| value.trim_matches(['"', '\'']).to_owned());
        value.is_some_and(|value| matches!(value.as_str(), "0" | "false" | "no"))
    })
}

fn git_verify_off(command: &Command) -> bool {
    let words: Vec<_> = command.words.iter().map(|word| word.to_ascii_lowercase()).collect();
    words.windows(2).any(|pair| pair[0] == "http.sslverify" && pair[1] == "false")
        || words.iter().any(|word| word == "http.sslverify=false")
}

fn unpinned_npm(command: &Command) -> bool {
    packages(command).any(|package| !package.trim_start_matches('@').contains('@') && !package.contains(['#', ':']))
}

fn unpinned_gem(command: &Command) -> bool {
    !command.has_option(&["-v", "--version"]) && packages(command).any(|package| !package.contains(':'))
}

fn unpinned_go(command: &Command) -> bool {
    packages(command).any(|package| package.contains('/') && (!package.contains('@') || package.ends_with("@latest")))
}

fn high_user(command: &Command) -> bool {
    let number =
        command.words.windows(2).find(|pair| matches!(pair[0].as_str(), "-u" | "--uid")).map(|pair| pair[1].len());
    number.is_some_and(|digits| digits > 5) && !command.has_option(&["-l", "--no-log-init"])
}

fn replaces_shell(command: &Command) -> bool {
    command.operands().last().is_some_and(|target| target == "/bin/sh")
}
