//! What single instructions say, and what is said twice or not at all.

use domain::Severity;

use super::{Shown, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[
    &SSH,
    &PORT,
    &HEALTH,
    &HEALTH_TWICE,
    &ADD,
    &ADD_URL,
    &MAINTAINER,
    &WORKDIR,
    &TWICE,
    &SHELL_FORM,
    &COPY_MANY,
    &RELATIVE,
    &ONBUILD,
    &ORDER,
    &SELF_ENV,
    &RUN_TWICE,
];

const REFERENCE: &[&str] = &["https://docs.docker.com/reference/dockerfile/"];

static SSH: Rule = Rule {
    cwe: 668,
    hazard: "docker.expose-ssh-or-bad-port",
    remediation: "Run no SSH server in the container: docker exec and kubectl exec need none.",
    references: &["https://docs.docker.com/reference/dockerfile/#expose"],
    aliases: &["CKV_DOCKER_1"],
    ..rule("infrastructure.docker.expose-ssh", "Image serves SSH", Severity::Low)
};
static PORT: Rule = Rule {
    hazard: "docker.expose-ssh-or-bad-port",
    remediation: "Expose a port between 0 and 65535.",
    references: &["https://docs.docker.com/reference/dockerfile/#expose"],
    aliases: &["DL3011"],
    ..rule("infrastructure.docker.bad-port", "Port that cannot be", Severity::Low)
};
static HEALTH: Rule = Rule {
    hazard: "docker.no-healthcheck",
    remediation: "Add a HEALTHCHECK, or HEALTHCHECK NONE where the orchestrator asks in its own way.",
    references: &["https://docs.docker.com/reference/dockerfile/#healthcheck"],
    aliases: &["CKV_DOCKER_2", "DL3057"],
    ..rule("infrastructure.docker.no-healthcheck", "Image whose health nobody asks for", Severity::Info)
};
static HEALTH_TWICE: Rule = Rule {
    hazard: "docker.instruction-twice",
    remediation: "Keep one HEALTHCHECK in a stage.",
    references: &["https://docs.docker.com/reference/dockerfile/#healthcheck"],
    aliases: &["DL3012"],
    ..rule("infrastructure.docker.healthcheck-twice", "Two health checks in one stage", Severity::Low)
};
static ADD: Rule = Rule {
    hazard: "docker.add-instead-of-copy",
    remediation: "Use COPY for files and folders: ADD also unpacks and downloads.",
    references: &["https://docs.docker.com/build/building/best-practices/#add-or-copy"],
    aliases: &["CKV_DOCKER_4", "DL3020"],
    ..rule("infrastructure.docker.add-instead-of-copy", "ADD where COPY would do", Severity::Info)
};
static ADD_URL: Rule = Rule {
    cwe: 494,
    hazard: "docker.add-from-url",
    remediation: "Give ADD the checksum of what it downloads (--checksum=sha256:…), and use https.",
    references: &["https://docs.docker.com/reference/dockerfile/#add---checksum"],
    aliases: &["CKV_DOCKER_4"],
    ..rule("infrastructure.docker.add-from-url", "Download that nothing checks", Severity::Low)
};
static MAINTAINER: Rule = Rule {
    cwe: 477,
    hazard: "docker.deprecated-instruction",
    remediation: "Write LABEL org.opencontainers.image.authors=… instead.",
    references: &["https://docs.docker.com/reference/dockerfile/#maintainer-deprecated"],
    aliases: &["CKV_DOCKER_6", "DL4000"],
    ..rule("infrastructure.docker.maintainer", "MAINTAINER is deprecated", Severity::Info)
};
static WORKDIR: Rule = Rule {
    hazard: "docker.relative-workdir",
    remediation: "Give WORKDIR an absolute path.",
    references: &["https://docs.docker.com/build/building/best-practices/#workdir"],
    aliases: &["CKV_DOCKER_10", "DL3000"],
    ..rule("infrastructure.docker.relative-workdir", "WORKDIR that depends on the one before it", Severity::Info)
};
static TWICE: Rule = Rule {
    hazard: "docker.instruction-twice",
    remediation: "Keep the last: the others have no effect.",
    references: REFERENCE,
    aliases: &["DL4003", "DL4004"],
    ..rule("infrastructure.docker.command-twice", "Command of the container given twice", Severity::Low)
};
static SHELL_FORM: Rule = Rule {
    hazard: "docker.shell-form",
    remediation: "Write the command as a list ([\"program\", \"argument\"]), so that it is process 1 and is told to stop.",
    references: &["https://docs.docker.com/reference/build-checks/json-args-recommended/"],
    aliases: &["DL3025"],
    ..rule("infrastructure.docker.shell-form", "Container's program does not hear signals", Severity::Info)
};
static COPY_MANY: Rule = Rule {
    hazard: "docker.copy-destination",
    remediation: "End the last argument with a slash.",
    references: &["https://docs.docker.com/reference/dockerfile/#copy"],
    aliases: &["DL3021"],
    ..rule("infrastructure.docker.copy-many", "Several files copied to what is no folder", Severity::Low)
};
static RELATIVE: Rule = Rule {
    hazard: "docker.copy-destination",
    remediation: "Set WORKDIR before it, or copy to an absolute path.",
    references: &["https://docs.docker.com/build/building/best-practices/#workdir"],
    aliases: &["DL3045"],
    ..rule("infrastructure.docker.copy-relative", "Copy to a relative path without WORKDIR", Severity::Info)
};
static ONBUILD: Rule = Rule {
    hazard: "docker.bad-onbuild",
    remediation: "Leave ONBUILD, FROM and MAINTAINER out of ONBUILD.",
    references: &["https://docs.docker.com/reference/dockerfile/#onbuild"],
    aliases: &["DL3043"],
    ..rule("infrastructure.docker.bad-onbuild", "Instruction that ONBUILD cannot hold", Severity::Low)
};
static ORDER: Rule = Rule {
    hazard: "docker.no-from",
    remediation: "Begin with FROM; only ARG may stand before it.",
    references: &["https://docs.docker.com/reference/dockerfile/#from"],
    aliases: &["DL3061"],
    ..rule("infrastructure.docker.no-from", "Dockerfile that does not begin with FROM", Severity::Low)
};
static SELF_ENV: Rule = Rule {
    hazard: "docker.env-self-reference",
    remediation: "Set the variable in an ENV of its own, before the one that uses it.",
    references: &["https://docs.docker.com/reference/dockerfile/#environment-replacement"],
    aliases: &["DL3044"],
    ..rule("infrastructure.docker.env-self-reference", "Variable used in the ENV that sets it", Severity::Low)
};
static RUN_TWICE: Rule = Rule {
    hazard: "docker.consecutive-run",
    remediation: "Join them with && where they belong together, so that what one leaves behind the next can remove.",
    references: &["https://docs.docker.com/build/building/best-practices/#run"],
    aliases: &["DL3059"],
    ..rule("infrastructure.docker.consecutive-run", "Consecutive RUN instructions", Severity::Info)
};

/// What has been seen in the stage that is being looked at.
#[derive(Default)]
struct Stage {
    command: bool,
    entrypoint: bool,
    health: bool,
    workdir: bool,
}

pub(super) fn check(shown: &mut Shown<'_>) {
    let mut stage = Stage::default();
    let mut last_from = None;
    for at in 0..shown.instructions.len() {
        let instruction = &shown.instructions[at];
        if last_from.is_none() && shown.whole && !matches!(instruction.keyword.as_str(), "FROM" | "ARG") {
            shown.at(&ORDER, at, "nothing can be done before FROM says what the image is built on");
            last_from = Some(at);
        }
        match shown.instructions[at].keyword.as_str() {
            "FROM" => {
                last_from = Some(at);
                stage = Stage::default();
            }
            "EXPOSE" => ports(shown, at),
            "ADD" => add(shown, at),
            "COPY" => copy(shown, at, &stage),
            "MAINTAINER" => shown.at(&MAINTAINER, at, "the instruction is deprecated since 2017"),
            "WORKDIR" => {
                stage.workdir = true;
                workdir(shown, at);
            }
            "HEALTHCHECK" if std::mem::replace(&mut stage.health, true) => {
                shown.at(&HEALTH_TWICE, at, "only the last health check of a stage counts")
            }
            "CMD" => command(shown, at, std::mem::replace(&mut stage.command, true)),
            "ENTRYPOINT" => command(shown, at, std::mem::replace(&mut stage.entrypoint, true)),
            "ONBUILD" => onbuild(shown, at),
            "ENV" => environment(shown, at),
            "RUN" if at > 0 && is_single(shown, at) && is_single(shown, at - 1) => {
                shown.at(&RUN_TWICE, at, "each RUN is a layer, which keeps what a later one removes");
            }
            _ => {}
        }
    }
    if shown.whole
        && let Some(from) = last_from
        && !shown.instructions[from..].iter().any(|instruction| instruction.keyword == "HEALTHCHECK")
    {
        shown.at(&HEALTH, from, "nothing tells Docker whether the container works");
    }
}

/// Whether it is a RUN of one command, with nothing mounted.
fn is_single(shown: &Shown<'_>, at: usize) -> bool {
    let run = &shown.instructions[at];
    run.keyword == "RUN" && !run.arguments.starts_with("--") && super::shell::commands(&run.arguments).len() == 1
}

fn ports(shown: &mut Shown<'_>, at: usize) {
    let words: Vec<_> = shown.instructions[at].words().map(str::to_owned).collect();
    if words.iter().any(|word| matches!(word.as_str(), "22" | "22/tcp")) {
        shown.at(&SSH, at, "port 22 is SSH's: a way into the container that nothing else guards");
    }
    let too_high =
        |word: &String| word.split(['/', '-', ':']).any(|part| part.parse::<u64>().is_ok_and(|port| port > 65_535));
    if words.iter().any(too_high) {
        shown.at(&PORT, at, "ports end at 65535");
    }
}

fn add(shown: &mut Shown<'_>, at: usize) {
    let instruction = &shown.instructions[at];
    let words: Vec<_> = instruction.words().map(|word| word.trim_matches(['[', ']', '"', ',']).to_owned()).collect();
    let sources = &words[..words.len().saturating_sub(1)];
    let checked = instruction.option("--checksum").is_some();
    let is_url = |word: &String| word.starts_with("http://") || word.starts_with("https://");
    let is_git = |word: &String| word.starts_with("git@") || word.ends_with(".git") || word.contains(".git#");
    let archive = [
        ".tar", ".tgz", ".tar.gz", ".tbz", ".tbz2", ".txz", ".tar.xz", ".tar.bz2", ".gz", ".xz", ".bz2", ".zst", ".lz",
        ".lzma", ".tlz", ".z",
    ];
    let unpacks =
        |word: &String| archive.iter().any(|end| word.to_ascii_lowercase().ends_with(end)) || word.contains('$');
    if sources.iter().any(|word| is_url(word) && !is_git(word)) {
        if !checked {
            shown.at(&ADD_URL, at, "the image holds whatever the server answers at the time of the build");
        }
    } else if !sources.iter().any(|word| is_git(word) || unpacks(word)) && !sources.is_empty() {
        shown.at(&ADD, at, "COPY does the same and nothing else");
    }
}

fn copy(shown: &mut Shown<'_>, at: usize, stage: &Stage) {
    let instruction = &shown.instructions[at];
    let words: Vec<_> =
        instruction.words().map(|word| word.trim_matches(['[', ']', '"', '\'', ',']).to_owned()).collect();
    let Some(target) = words.last().filter(|_| words.len() > 1) else { return };
    let heredoc = instruction.arguments.contains("<<");
    let many = words.len() > 2
        && !target.ends_with(['/', '\\'])
        && !target.contains('$')
        && !matches!(target.as_str(), "." | "..");
    let absolute = target.starts_with(['/', '$', '\\']) || target.get(1..2) == Some(":");
    if many && !heredoc {
        shown.at(&COPY_MANY, at, "with several sources the last argument has to be a folder");
    }
    // Inherited from another stage or image, the folder may be set.
    if !absolute && !stage.workdir && shown.whole {
        shown.at(&RELATIVE, at, "where this goes depends on the base image");
    }
}

fn workdir(shown: &mut Shown<'_>, at: usize) {
    let path = shown.instructions[at].arguments.trim_matches(['"', '\'']).to_owned();
    let drive = path.as_bytes().get(1) == Some(&b':') && path.starts_with(|c: char| c.is_ascii_alphabetic());
    if !path.is_empty() && !path.starts_with(['/', '$', '\\']) && !drive {
        shown.at(&WORKDIR, at, "where this is depends on every WORKDIR before it, and on the base image");
    }
}

fn command(shown: &mut Shown<'_>, at: usize, again: bool) {
    if again {
        shown.at(&TWICE, at, "only the last of them counts");
    }
    if !shown.instructions[at].arguments.starts_with('[') {
        shown.at(&SHELL_FORM, at, "a shell is process 1, and does not pass on the signal to stop");
    }
}

fn onbuild(shown: &mut Shown<'_>, at: usize) {
    let first = shown.instructions[at].arguments.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
    if matches!(first.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        shown.at(&ONBUILD, at, "the builder refuses this instruction here");
    }
}

fn environment(shown: &mut Shown<'_>, at: usize) {
    let pairs = super::secrets::pairs(&shown.instructions[at].arguments);
    let uses = |value: &str, name: &str| {
        value.contains(&format!("${{{name}}}"))
            || value.split('$').skip(1).any(|rest| {
                rest.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
    };
    // Its own old value is well: PATH=$PATH:/a.
    let names = pairs.iter().take(PAIRS_MAX).map(|(name, _)| name);
    let own = |name: &String| {
        pairs
            .iter()
            .take(PAIRS_MAX)
            .any(|(other, value)| other != name && value.as_ref().is_some_and(|value| uses(value, name)))
    };
    if pairs.len() > 1 && names.into_iter().any(own) {
        shown.at(&SELF_ENV, at, "the variable has its old value here, or none");
    }
}

/// Variables of one ENV that are compared with each other.
const PAIRS_MAX: usize = 30;

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
    fn single_instructions_are_judged() {
        one("expose-ssh", &["EXPOSE 22", "EXPOSE 80 22/tcp"], &["EXPOSE 2222", "EXPOSE 22/udp"]);
        one("bad-port", &["EXPOSE 80000"], &["EXPOSE 8000", "EXPOSE ${PORT}"]);
        one("add-instead-of-copy", &["ADD a /b"], &["ADD a.tar.gz /b", "COPY a /b", "ADD https://a.io/b /c"]);
        one(
            "add-from-url",
            &["ADD https://a.io/b /c"],
            &["ADD --checksum=sha256:00 https://a.io/b /c", "ADD https://a.io/b.git /c", "ADD a /b"],
        );
        one("maintainer", &["MAINTAINER ann"], &["LABEL maintainer=ann"]);
        one(
            "relative-workdir",
            &["WORKDIR app", "WORKDIR \"a/b\""],
            &["WORKDIR /app", "WORKDIR $HOME/a", "WORKDIR c:\\\\a", "WORKDIR \"/a\""],
        );
        one("shell-form", &["CMD a b", "ENTRYPOINT a"], &["CMD [\"a\"]"]);
        one("copy-many", &["COPY a b /c"], &["COPY a b /c/", "COPY a /c", "COPY a b ."]);
        one("copy-relative", &["COPY a b"], &["COPY a /b", "COPY a $X"]);
        one("bad-onbuild", &["ONBUILD FROM a"], &["ONBUILD RUN a"]);
        one("env-self-reference", &["ENV A=b C=$A"], &["ENV PATH=$PATH:/a B=c", "ENV A=b C=$AB"]);
    }

    #[test]
    fn what_is_twice_or_missing_is_found() {
        check("command-twice", "FROM a:1\nCMD [\"a\"]\nCMD [\"b\"]\n", &[3]);
        check("command-twice", "FROM a:1\nCMD [\"a\"]\nFROM b:1\nCMD [\"b\"]\n", &[]);
        check("healthcheck-twice", "FROM a:1\nHEALTHCHECK CMD a\nHEALTHCHECK CMD b\n", &[3]);
        check("no-healthcheck", "FROM a:1\nCMD [\"a\"]\n", &[1]);
        check("no-healthcheck", "FROM a:1\nHEALTHCHECK NONE\n", &[]);
        check("no-from", "RUN a\nFROM b:1\n", &[1]);
        check("no-from", "ARG A=1\nFROM b:$A\n", &[]);
        check("consecutive-run", "FROM a:1\nRUN b\nRUN c\n", &[3]);
        check("consecutive-run", "FROM a:1\nRUN b\nCOPY c /d\nRUN c\n", &[]);
        check("consecutive-run", "FROM a:1\nRUN b && c\nRUN d\n", &[]);
    }
}
