//! Processes and the shells they are started through.

use domain::Severity;
use tree_sitter::Node;

use super::gate::{self, is_live, is_word};
use super::{Call, Scope, children, is_constant};
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, Shown};
use crate::rules::{Hit, Rule};

pub(super) static RULES: &[&Rule] =
    &[&SUBPROCESS_SHELL, &SUBPROCESS, &SHELL_ARGUMENT, &OS_SHELL, &OS_EXEC, &PARTIAL_PATH, &WILDCARD, &SSH_COMMAND];

const MANUAL: &[&str] = &["https://docs.python.org/3/library/subprocess.html#security-considerations"];

static SUBPROCESS_SHELL: Rule = Rule {
    id: "code.python.subprocess-shell",
    title: "Command is given to a shell",
    severity: Severity::Medium,
    cwe: 78,
    keywords: &["shell"],
    remediation: "Pass the command as a list without shell=True, so that no argument can become another command.",
    references: MANUAL,
    aliases: &["B602", "S602"],
    ..PROGRAM
};

static SUBPROCESS: Rule = Rule {
    id: "code.python.subprocess",
    title: "Process is started",
    severity: Severity::Info,
    cwe: 78,
    keywords: &["subprocess", "popen"],
    remediation: "Make sure that no input chooses the program, and that none of its arguments can be taken for an option.",
    references: MANUAL,
    aliases: &["B603", "S603"],
    ..PROGRAM
};

static SHELL_ARGUMENT: Rule = Rule {
    id: "code.python.shell-argument",
    title: "Function is told to use a shell",
    cwe: 78,
    keywords: &["shell"],
    remediation: "Pass the command as a list without shell=True, so that no argument can become another command.",
    references: MANUAL,
    aliases: &["B604", "S604"],
    ..PROGRAM
};

static OS_SHELL: Rule = Rule {
    id: "code.python.os-shell",
    title: "Process is started through a shell",
    severity: Severity::Medium,
    cwe: 78,
    keywords: &["os.system", "system(", "popen", "getoutput", "getstatusoutput"],
    remediation: "Use subprocess.run with the command as a list.",
    references: &["https://docs.python.org/3/library/os.html#os.system"],
    aliases: &["B605", "S605"],
    ..PROGRAM
};

static OS_EXEC: Rule = Rule {
    id: "code.python.os-exec",
    title: "Process is started without a shell",
    severity: Severity::Info,
    cwe: 78,
    keywords: &["os.exec", "os.spawn", "startfile", "from os import"],
    remediation: "Make sure that no input chooses the program.",
    references: &["https://docs.python.org/3/library/os.html#process-management"],
    aliases: &["B606", "S606"],
    ..PROGRAM
};

static PARTIAL_PATH: Rule = Rule {
    id: "code.python.partial-path",
    title: "Program is looked for in the path",
    severity: Severity::Info,
    cwe: 78,
    keywords: &["subprocess", "popen", "os.system", "os.exec", "os.spawn", "getoutput", "getstatusoutput"],
    remediation: "Where others can change PATH, name the program by its full path.",
    references: MANUAL,
    aliases: &["B607", "S607"],
    ..PROGRAM
};

static WILDCARD: Rule = Rule {
    id: "code.python.shell-wildcard",
    title: "Wildcard in a shell command",
    cwe: 155,
    keywords: &["chown", "chmod", "tar", "rsync"],
    remediation: "Put -- or ./ before the wildcard, so that no file name is taken for an option.",
    references: &["https://cwe.mitre.org/data/definitions/155.html"],
    aliases: &["B609", "S609"],
    ..PROGRAM
};

static SSH_COMMAND: Rule = Rule {
    id: "code.python.ssh-command",
    title: "Command is run over SSH",
    cwe: 78,
    keywords: &["exec_command"],
    remediation: "Quote every value in the command with shlex.quote.",
    references: &["https://docs.paramiko.org/en/stable/api/client.html"],
    aliases: &["B601", "S601"],
    ..PROGRAM
};

const SUBPROCESS_CALLS: &[&str] =
    &["subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.run"];
const SHELL_CALLS: &[&str] = &[
    "os.system",
    "os.popen",
    "os.popen2",
    "os.popen3",
    "os.popen4",
    "popen2.popen2",
    "popen2.popen3",
    "popen2.popen4",
    "popen2.Popen3",
    "popen2.Popen4",
    "commands.getoutput",
    "commands.getstatusoutput",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
];
const EXEC_CALLS: &[&str] = &[
    "os.execl",
    "os.execle",
    "os.execlp",
    "os.execlpe",
    "os.execv",
    "os.execve",
    "os.execvp",
    "os.execvpe",
    "os.spawnl",
    "os.spawnle",
    "os.spawnlp",
    "os.spawnlpe",
    "os.spawnv",
    "os.spawnve",
    "os.spawnvp",
    "os.spawnvpe",
    "os.startfile",
];

pub(super) fn triggers() -> Vec<Trigger> {
    let shell = |shown: &Shown<'_>, place: Place| {
        let rest = shown.from(place).get("shell".len()..).unwrap_or("");
        is_word(shown, place, "shell") && rest.trim_start().starts_with('=') && shown.is_live(place.line)
    };
    vec![
        Trigger::of(&[&SUBPROCESS, &PARTIAL_PATH, &WILDCARD]).part(gate::calls(SUBPROCESS_CALLS)),
        Trigger::of(&[&OS_SHELL]).part(gate::calls(SHELL_CALLS)),
        Trigger::of(&[&OS_EXEC]).part(gate::calls(EXEC_CALLS)),
        Trigger::of(&[&SUBPROCESS_SHELL, &SHELL_ARGUMENT]).word_where(&["shell"], shell),
        Trigger::of(&[&SSH_COMMAND]).word_where(SSH_COMMAND.keywords, is_live).word(&["paramiko"]),
    ]
}

pub(super) fn check(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    let name = call.name.as_str();
    let shell = call.keyword("shell").filter(|value| is_true(scope, *value));
    let subprocess = SUBPROCESS_CALLS.contains(&name);
    let through_shell = SHELL_CALLS.contains(&name);
    match shell {
        Some(value) if subprocess => {
            if let Some(command) = call.argument(0, "args") {
                shell_command(&SUBPROCESS_SHELL, scope, command, value, report);
            }
        }
        Some(value) => report.at(
            &SHELL_ARGUMENT,
            value,
            "if this function starts a process, a value in the command can become another command",
        ),
        None if subprocess => report.at(&SUBPROCESS, call.node, "another program is started from here"),
        None => {}
    }
    if through_shell && let Some(command) = call.args.first() {
        shell_command(&OS_SHELL, scope, *command, call.node, report);
    }
    if EXEC_CALLS.contains(&name) {
        report.at(&OS_EXEC, call.node, "another program is started from here");
    }
    if (subprocess || through_shell || EXEC_CALLS.contains(&name))
        && call.args.first().is_some_and(|arg| is_partial(scope, *arg))
    {
        report.at(&PARTIAL_PATH, call.node, "whoever can change PATH chooses the program that runs");
    }
    if (through_shell || subprocess && shell.is_some())
        && call.args.first().is_some_and(|arg| has_wildcard(scope, *arg))
    {
        report.at(
            &WILDCARD,
            shell.unwrap_or(call.node),
            "a file whose name begins with a dash is taken for an option of this program",
        );
    }
    if call.last() == "exec_command" && scope.has_imported("paramiko") {
        report.at(&SSH_COMMAND, call.node, "the other machine's shell reads this text");
    }
}

/// A command that is written out can harm nobody as it stands; one with a value in it can be made to say something else.
fn shell_command(rule: &'static Rule, scope: &Scope<'_>, command: Node<'_>, at: Node<'_>, report: &mut Report<'_>) {
    if is_constant(scope, command) {
        let message =
            "a shell reads this command; as soon as a value goes into it, that value can become another command";
        report.hit(rule, at.byte_range(), |range| Hit::at(range, message).severity(Severity::Low));
    } else {
        report.at(rule, at, "a shell reads this command, and a value in it can become another command");
    }
}

fn is_true(scope: &Scope<'_>, value: Node<'_>) -> bool {
    match value.kind() {
        "false" | "none" => false,
        "integer" | "float" => !scope.source(value).trim_matches(['0', '.']).is_empty(),
        "list" | "dictionary" | "tuple" => value.named_child_count() > 0,
        "string" => scope.string(value).is_none_or(|text| !text.is_empty()),
        _ => true,
    }
}

fn is_partial(scope: &Scope<'_>, command: Node<'_>) -> bool {
    let first = if command.kind() == "list" { children(command).first().copied() } else { Some(command) };
    let Some(text) = first.and_then(|first| scope.string(first)) else { return false };
    let drive = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && text.as_bytes().get(1) == Some(&b':');
    !drive && !text.starts_with(['/', '\\', '.'])
}

fn has_wildcard(scope: &Scope<'_>, command: Node<'_>) -> bool {
    let text = if command.kind() == "list" {
        children(command).into_iter().map(|part| scope.string(part).unwrap_or_default()).collect::<Vec<_>>().join(" ")
    } else {
        scope.string(command).unwrap_or_default()
    };
    text.contains('*') && ["chown", "chmod", "tar", "rsync"].iter().any(|program| text.contains(program))
}
