//! What the commands of a build do: a row for each program and what is wrong about how it is called.

use std::collections::HashSet;

use domain::Severity;

use super::shell::{self, Command};
use super::{Shown, rule, secrets};
use crate::rules::Rule;

/// A program, and how it must not be called.
pub(super) struct Row {
    pub(super) rule: Rule,
    programs: &'static [&'static str],
    /// The first operand is one of these; any when there are none.
    operations: &'static [&'static str],
    bad: Bad,
    message: &'static str,
}

#[derive(Clone, Copy)]
enum Bad {
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
const TLS_TEXT: (&str, &str) = (
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

/// Variables that turn a check off, and the value that does; an empty one is any value.
const VARIABLES: &[(&str, &str)] = &[
    ("PYTHONHTTPSVERIFY", "0"),
    ("NODE_TLS_REJECT_UNAUTHORIZED", "0"),
    ("NPM_CONFIG_STRICT_SSL", "false"),
    ("GIT_SSL_NO_VERIFY", ""),
    ("PIP_TRUSTED_HOST", ""),
];

static VARIABLE: Rule = Rule {
    cwe: 295,
    hazard: "docker.tls-verification-off",
    remediation: TLS_TEXT.1,
    aliases: &["CKV2_DOCKER_5", "CKV2_DOCKER_6", "CKV2_DOCKER_12", "CKV2_DOCKER_14", "CKV2_DOCKER_16"],
    ..rule(
        "infrastructure.docker.tls-verification-off",
        "Variable that turns the check of certificates off",
        Severity::Medium,
    )
};

static PIPE: Rule = Rule {
    cwe: 754,
    hazard: "docker.pipefail",
    remediation: "Set SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"] before it, so that the build stops when the first command of a pipe fails.",
    references: &["https://docs.docker.com/build/building/best-practices/#using-pipes"],
    aliases: &["DL4006"],
    ..rule("infrastructure.docker.pipefail", "Failure in a pipe that nobody sees", Severity::Info)
};
static TWO_CLIENTS: Rule = Rule {
    hazard: "docker.two-clients",
    remediation: "Use one of curl and wget, so that only one has to be installed.",
    aliases: &["DL4001"],
    ..rule("infrastructure.docker.two-clients", "curl and wget in one image", Severity::Info)
};

pub(super) const RULES: &[&Rule] = &[&VARIABLE, &PIPE, &TWO_CLIENTS];

pub(super) fn check(shown: &mut Shown<'_>) {
    // In a hunk the shell may be set out of sight.
    let mut pipes_fail = !shown.whole;
    let mut clients = HashSet::new();
    for at in 0..shown.instructions.len() {
        let instruction = &shown.instructions[at];
        match instruction.keyword.as_str() {
            "ENV" | "ARG" => {
                let off =
                    secrets::pairs(&instruction.arguments).iter().any(|(name, value)| is_off(name, value.as_deref()));
                if off {
                    shown.at(&VARIABLE, at, TLS_TEXT.0);
                }
            }
            "RUN" => {
                let whole = instruction.arguments.clone();
                let commands = shell::commands(&whole);
                run(shown, at, &whole, &commands);
                if !pipes_fail && !whole.contains("pipefail") && commands.iter().any(|command| command.piped) {
                    shown.at(&PIPE, at, "when a command before the last fails, the build goes on");
                }
                clients.extend(
                    commands
                        .iter()
                        .map(Command::program)
                        .filter(|name| matches!(*name, "curl" | "wget"))
                        .map(str::to_owned),
                );
                if clients.len() == 2 {
                    shown.at(&TWO_CLIENTS, at, "both do the same, and both have to be installed");
                    clients.clear();
                }
            }
            "FROM" => {
                pipes_fail = !shown.whole;
                clients.clear();
            }
            "SHELL" => {
                let shell = instruction.arguments.to_ascii_lowercase();
                pipes_fail = ["pipefail", "powershell", "pwsh", "cmd"].iter().any(|word| shell.contains(word));
            }
            _ => {}
        }
    }
}

fn is_off(name: &str, value: Option<&str>) -> bool {
    let value = value.unwrap_or("");
    VARIABLES.iter().any(|(variable, bad)| {
        name.eq_ignore_ascii_case(variable) && !value.is_empty() && (bad.is_empty() || value.eq_ignore_ascii_case(bad))
    })
}

fn run(shown: &mut Shown<'_>, at: usize, whole: &str, commands: &[Command]) {
    let set = commands.iter().flat_map(|command| &command.variables);
    if set.into_iter().any(|(name, value)| is_off(name, Some(value))) {
        shown.at(&VARIABLE, at, TLS_TEXT.0);
    }
    for row in ROWS {
        // sudo hides the program that it runs.
        let bad = commands.iter().any(|command| {
            is_bad(row, command, whole, commands)
                || command.program() == "sudo" && is_bad(row, &without_sudo(command), whole, commands)
        });
        if bad {
            shown.at(&row.rule, at, row.message);
        }
    }
}

fn without_sudo(command: &Command) -> Command {
    let words = command.words.iter().skip(1).skip_while(|word| word.starts_with('-')).cloned().collect();
    Command { variables: Vec::new(), words, piped: command.piped }
}

fn is_bad(row: &Row, command: &Command, whole: &str, commands: &[Command]) -> bool {
    let operation = command.operands().next().unwrap_or("");
    if !row.programs.contains(&command.program()) || !row.operations.is_empty() && !row.operations.contains(&operation)
    {
        return false;
    }
    match row.bad {
        Always => true,
        WithOption(options) => command.has_option(options),
        NoOption(options) => !command.has_option(options),
        NothingElse(words) => {
            let said = |command: &Command| command.words.iter().any(|word| words.contains(&word.as_str()));
            !commands.iter().any(said) && !words.iter().any(|word| word.starts_with("--mount") && whole.contains(word))
        }
        Unpinned(signs) => packages(command).any(|package| !signs.iter().any(|sign| package.contains(sign))),
        When(check) => check(command),
    }
}

/// The packages that an installation names: no options, no values of options, no files, no variables.
fn packages(command: &Command) -> impl Iterator<Item = &str> {
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

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[track_caller]
    fn one(id: &str, bad: &[&str], good: &[&str]) {
        for line in bad {
            check(id, &format!("FROM a:1\n{line}\n"), &[2]);
        }
        for line in good {
            check(id, &format!("FROM a:1\n{line}\n"), &[]);
        }
    }

    #[test]
    fn checks_that_are_turned_off_are_found() {
        one(
            "curl-insecure",
            &["RUN curl -k https://a.io", "RUN curl -sSLk a", "RUN a && curl --insecure b"],
            &["RUN curl -sSL a", "RUN curl a | tar -k"],
        );
        one("wget-insecure", &["RUN wget --no-check-certificate a"], &["RUN wget -q a"]);
        one("pip-trusted-host", &["RUN pip3 install --trusted-host a b"], &["RUN pip install b"]);
        one(
            "npm-insecure",
            &["RUN npm config set strict-ssl false", "RUN npm set strict-ssl=false"],
            &["RUN npm config set strict-ssl true"],
        );
        one(
            "yum-insecure",
            &["RUN yum-config-manager --setopt=sslverify=false --save"],
            &["RUN yum-config-manager --setopt=sslverify=1"],
        );
        one(
            "git-insecure",
            &["RUN git config --global http.sslVerify false", "RUN git -c http.sslVerify=false clone a"],
            &["RUN git clone a"],
        );
        one("apk-untrusted", &["RUN apk add --allow-untrusted a"], &["RUN apk add a"]);
        one("apt-unauthenticated", &["RUN apt-get install -y --force-yes a"], &["RUN apt-get install -y a"]);
        one("yum-unsigned", &["RUN dnf install -y --nogpgcheck a"], &["RUN dnf install -y a"]);
        one("rpm-unsigned", &["RUN rpm -i --nosignature a"], &["RUN rpm -i a"]);
        one(
            "tls-verification-off",
            &[
                "ENV NODE_TLS_REJECT_UNAUTHORIZED=0",
                "RUN PYTHONHTTPSVERIFY=0 a",
                "ENV GIT_SSL_NO_VERIFY 1",
                "RUN export PIP_TRUSTED_HOST=a",
            ],
            &["ENV NODE_TLS_REJECT_UNAUTHORIZED=1", "ENV A=0"],
        );
        one("chpasswd", &["RUN echo a:b | chpasswd"], &["RUN echo chpasswd"]);
    }

    #[test]
    fn programs_that_have_no_place_are_found() {
        one("sudo", &["RUN sudo apt-get update", "RUN a && sudo b"], &["RUN echo 'use sudo'"]);
        one("apt", &["RUN apt install a", "RUN sudo apt update"], &["RUN apt-get install a"]);
        one("cd", &["RUN cd /a && make"], &["RUN make -C /a"]);
        one("pointless-command", &["RUN service a start"], &["RUN a service"]);
        one("shell-replaced", &["RUN ln -sf /bin/bash /bin/sh"], &["RUN ln -s a b"]);
        one("update-alone", &["RUN apt-get update"], &["RUN apt-get update && apt-get install -y a", "RUN a update"]);
        one("zypper-dist-upgrade", &["RUN zypper dup"], &["RUN zypper in -y a"]);
    }

    #[test]
    fn pipes_and_clients_are_looked_at() {
        one("pipefail", &["RUN a | b"], &["RUN a || b", "RUN set -o pipefail && a | b"]);
        check("pipefail", "FROM a:1\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN a | b\n", &[]);
        check("two-clients", "FROM a:1\nRUN curl a\nRUN wget b\n", &[3]);
        check("two-clients", "FROM a:1\nRUN curl a\nFROM b:1\nRUN wget b\n", &[]);
    }

    #[test]
    fn packages_are_pinned_and_their_caches_removed() {
        one(
            "unpinned-apt",
            &["RUN apt-get install -y a"],
            &["RUN apt-get install -y a=1 b=2", "RUN apt-get install ./a.deb"],
        );
        one(
            "unpinned-pip",
            &["RUN pip install a"],
            &["RUN pip install a==1", "RUN pip install -r requirements.txt", "RUN pip install ."],
        );
        one(
            "unpinned-npm",
            &["RUN npm install -g a", "RUN npm i @a/b"],
            &["RUN npm install", "RUN npm install a@1", "RUN npm install @a/b@2"],
        );
        one("unpinned-gem", &["RUN gem install a"], &["RUN gem install a:1", "RUN gem install a -v 1"]);
        one("unpinned-go", &["RUN go install a.io/b@latest"], &["RUN go install a.io/b@v1"]);
        one("unpinned-apk", &["RUN apk add --no-cache a"], &["RUN apk add --no-cache a=1"]);
        one("apt-asks", &["RUN apt-get install a=1"], &["RUN apt-get install -qy a=1"]);
        one(
            "apt-cache",
            &["RUN apt-get update && apt-get install a"],
            &["RUN apt-get update && rm -rf /var/lib/apt/lists/*", "RUN --mount=type=cache,target=/a apt-get update"],
        );
        one("apk-cache", &["RUN apk add a"], &["RUN apk add --no-cache a"]);
        one("pip-cache", &["RUN pip install a"], &["RUN pip install --no-cache-dir a"]);
        one("wget-progress", &["RUN wget a"], &["RUN wget -q a"]);
        one("useradd-log", &["RUN useradd -u 123456 a"], &["RUN useradd -l -u 123456 a", "RUN useradd -u 1000 a"]);
    }
}
