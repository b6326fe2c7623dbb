//! What the commands of a build do: each is held against every row of the table.

use std::collections::HashSet;

use domain::Severity;

use super::calls::packages;
use super::rows::{Bad, ROWS, Row, TLS_TEXT};
use super::shell::{self, Command};
use super::{Shown, rule, secrets};
use crate::rules::Rule;

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
            shown.at_program(&row.rule, at, row.programs, row.message);
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
        Bad::Always => true,
        Bad::Option(options) => command.has_option(options),
        Bad::NoOption(options) => !command.has_option(options),
        Bad::NothingElse(words) => {
            let said = |command: &Command| command.words.iter().any(|word| words.contains(&word.as_str()));
            !commands.iter().any(said) && !words.iter().any(|word| word.starts_with("--mount") && whole.contains(word))
        }
        Bad::Unpinned(signs) => packages(command).any(|package| !signs.iter().any(|sign| package.contains(sign))),
        Bad::When(check) => check(command),
    }
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
    fn of_a_long_run_the_line_that_does_it_is_named() {
        check("curl-insecure", "FROM a:1\nRUN a && \\\n  curl -k b && \\\n  c\n", &[3]);
        let hits = |hunk: &str| super::super::check(&crate::sample::modified("Dockerfile", hunk)).len();
        assert_eq!(hits(" RUN curl -k b && \\\n+  c"), 0);
        assert_eq!(hits(" RUN c && \\\n+  curl -k b"), 1);
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
