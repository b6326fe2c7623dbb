//! Texts that say by themselves what is wrong: addresses, temporary folders, passwords, statements.

use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;
use tree_sitter::Node;

use super::gate::is_live;
use super::{Call, Scope, children};
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, REACH_LINES, Shown, first_name, last_name};
use crate::rules::code::sql_concatenation;
use crate::rules::{Hit, Rule};

pub(super) static RULES: &[&Rule] = &[&BIND_ALL, &TEMPORARY, &PASSWORD];

static BIND_ALL: Rule = Rule {
    id: "code.python.bind-all-interfaces",
    title: "Every network interface is listened on",
    cwe: 605,
    keywords: &["0.0.0.0"],
    remediation: "Take the address from the settings, and let 127.0.0.1 be the default.",
    references: &["https://docs.python.org/3/library/socket.html"],
    aliases: &["B104", "S104"],
    ..PROGRAM
};

static TEMPORARY: Rule = Rule {
    id: "code.python.temporary-folder",
    title: "Fixed path in a folder that everybody may write to",
    severity: Severity::Info,
    cwe: 377,
    keywords: &["/tmp", "/dev/shm"],
    remediation: "Let the module tempfile choose the name.",
    references: &["https://docs.python.org/3/library/tempfile.html"],
    aliases: &["B108", "S108"],
    ..PROGRAM
};

/// Words of the names that passwords are given.
const PASSWORD_WORDS: &[&str] =
    &["passw", "pass_", "_pass", "passphrase", "pass =", "pass=", "pwd", "token", "secret", "paswd", "pasword"];

/// The value itself is the business of the rules of the category secret; this one is about the habit.
static PASSWORD: Rule = Rule {
    id: "code.python.hard-coded-password",
    title: "Password in the code",
    severity: Severity::Info,
    cwe: 259,
    keywords: PASSWORD_WORDS,
    remediation: "Read it from the environment or from a store of secrets.",
    references: &["https://cwe.mitre.org/data/definitions/259.html"],
    aliases: &["B105", "B106", "B107", "S105", "S106", "S107"],
    ..PROGRAM
};

const PASSWORD_MESSAGE: &str = "whoever reads the code knows it, and it cannot be changed without a deployment";

/// Names of passwords: the whole name, or a word between underscores.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:^|_)(?:pas+wo?r?d|pass(?:phrase)?|pwd|token|secrete?)(?:_|$)").expect("the pattern is tested")
});

/// The shortest beginnings of statements that take values, or that a condition may follow.
const STATEMENT_FORM: &str = r"(?:select\s.*from\s|delete\s+from\s|insert\s+into\s.*values[\s(]|update\s.*set\s)";
static STATEMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("(?is){STATEMENT_FORM}")).expect("the pattern is tested"));
static BEGINS_STATEMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("(?is)^{STATEMENT_FORM}")).expect("the pattern is tested"));

/// Operands of a long sum that are looked at.
pub(super) fn triggers() -> Vec<Trigger> {
    let begins = |shown: &Shown<'_>, place: Place| {
        let before = shown.before(place);
        let before = before.strip_suffix("/var").unwrap_or(before);
        before.ends_with(['"', '\'']) && shown.is_live(place.line)
    };
    vec![
        Trigger::of(&[&BIND_ALL]).word_where(BIND_ALL.keywords, is_live),
        Trigger::of(&[&TEMPORARY]).word_where(TEMPORARY.keywords, begins),
        Trigger::of(&[&PASSWORD]).word_where(&["pas", "pwd", "token", "secret"], may_be_password),
        Trigger::of(&[&sql_concatenation::RULE])
            .word_where(&["select", "delete", "insert", "update"], may_be_statement),
    ]
}

/// Whether a name of a password has a text beside it: `password = "x"`, `"token": "x"`, `args["secret"] = "x"`.
fn may_be_password(shown: &Shown<'_>, place: Place) -> bool {
    static VALUE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?x) ^["'] \s* (?: \] \s* = | : ) [\s(]* (?: [a-zA-Z]{0,2}["'] | [-+.\d] | None | True | False | \\? $ )
            | ^ \s* (?: :[^=,:]* )? (?: = \s* [\w.]+ \s* )* (?: [=!<>]=? | \b not \s+ in \b | \b in \b | \b is \b (?: \s+ not \b )? )
              [\s(]* (?: [a-zA-Z]{0,2}["'] | \\? $ )"#,
        )
        .expect("the pattern is tested")
    });
    let before = last_name(shown.before(place));
    let rest = shown.from(place);
    let name_end = first_name(rest).len();
    let line = shown.line(place.line);
    let name = line.get(place.at - before.len()..place.at + name_end).unwrap_or("");
    NAME.is_match(name)
        && VALUE.is_match(&rest[name_end..])
        && (shown.is_live(place.line) || is_default(shown, place.line))
}

/// Whether a line may hold a parameter's default: what is found there is told of the function as a whole.
fn is_default(shown: &Shown<'_>, line: usize) -> bool {
    let above = (line.saturating_sub(REACH_LINES)..=line).any(|line| shown.line(line).contains("def "));
    above && shown.is_added(line..line + REACH_LINES + 1)
}

/// How much is looked at for the rest of a statement.
const STATEMENT_BYTES_MAX: usize = 4_000;

/// Whether a word may begin a statement that is put together: what the texts from there on say, with something between them.
fn may_be_statement(shown: &Shown<'_>, place: Place) -> bool {
    static PUT_TOGETHER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"[{+]|["')\]]\s*%|\.(?:format|replace)\b"#).expect("the pattern is tested"));
    // A blank follows each of the words, or what ends a text or makes a hole in it; a name goes on.
    let behind = &shown.from(place)["select".len()..];
    if behind.starts_with(|c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '{' | '}')) {
        return false;
    }
    let line = shown.line(place.line);
    if line.trim_start().starts_with('#') {
        return false;
    }
    let rest = shown.text_from(place);
    let rest = &rest[..rest.floor_char_boundary(STATEMENT_BYTES_MAX.min(rest.len()))];
    let said = said(line, place.at, rest);
    BEGINS_STATEMENT.is_match(&said) && (PUT_TOGETHER.is_match(rest) || PUT_TOGETHER.is_match(line))
}

/// What the texts say from the middle of one on, the pieces of several side by side.
fn said(line: &str, at: usize, rest: &str) -> String {
    let quotes = |c: char| matches!(c, '"' | '\'');
    let mut quote = line[..at].chars().rev().find(|c| quotes(*c));
    let mut said = String::with_capacity(rest.len());
    let (mut hole, mut inside) = (0_usize, true);
    for c in rest.chars() {
        match c {
            _ if inside && (quote == Some(c) || quote.is_none() && quotes(c)) => {
                inside = false;
                said.push(' ');
            }
            '{' if inside => hole += 1,
            '}' if inside => hole = hole.saturating_sub(1),
            _ if inside && hole == 0 => said.push(c),
            _ if !inside && quotes(c) => {
                inside = true;
                quote = Some(c);
            }
            _ => {}
        }
    }
    said
}

const OPERANDS_MAX: usize = 256;

pub(super) fn check(scope: &Scope<'_>, node: Node<'_>, ancestors: &[Node<'_>], report: &mut Report<'_>) {
    let Some(parent) = ancestors.last() else { return };
    // The parts of a text in pieces are looked at as one; and a text that stands by itself is a comment.
    if matches!(parent.kind(), "concatenated_string" | "expression_statement" | "module" | "block") {
        return;
    }
    statement(scope, node, ancestors, report);
    let Some(value) = scope.string(node).or_else(|| first_part(scope, node)) else { return };
    if value == "0.0.0.0" {
        report.at(
            &BIND_ALL,
            node,
            "a service that listens here can be reached from every network that the machine is in",
        );
    }
    if ["/tmp", "/var/tmp", "/dev/shm"].iter().any(|folder| value.starts_with(folder)) {
        report.at(&TEMPORARY, node, "anybody on this machine can put a file or a link at this path first");
    }
    if scope.string(node).is_some() && is_password(scope, node, &value, *parent, ancestors) {
        let value = parent.child_by_field_name("value").filter(|_| parent.kind() == "pair").unwrap_or(node);
        report.hidden(&PASSWORD, if parent.kind() == "pair" { *parent } else { node }, value, PASSWORD_MESSAGE);
    }
}

/// What an f-string begins with.
fn first_part(scope: &Scope<'_>, node: Node<'_>) -> Option<String> {
    let first = children(node).into_iter().find(|part| part.kind() != "string_start")?;
    (first.kind() == "string_content").then(|| scope.source(first).to_owned())
}

fn is_named(scope: &Scope<'_>, node: Node<'_>) -> bool {
    matches!(node.kind(), "identifier" | "attribute") && NAME.is_match(&scope.word(node))
}

fn is_password(scope: &Scope<'_>, node: Node<'_>, value: &str, parent: Node<'_>, ancestors: &[Node<'_>]) -> bool {
    let field = |of: Node<'_>, name: &str| of.child_by_field_name(name).is_some_and(|child| child.id() == node.id());
    match parent.kind() {
        "assignment" if field(parent, "right") && parent.child_by_field_name("type").is_none() => {
            let assignments = ancestors.iter().rev().take_while(|ancestor| ancestor.kind() == "assignment");
            assignments
                .filter_map(|assignment| assignment.child_by_field_name("left"))
                .any(|left| is_named(scope, left))
        }
        "pair" if field(parent, "key") => {
            let constant = ["string", "integer", "float", "none", "true", "false", "concatenated_string"];
            NAME.is_match(value)
                && parent.child_by_field_name("value").is_some_and(|value| constant.contains(&value.kind()))
        }
        "subscript" if field(parent, "subscript") && NAME.is_match(value) => {
            let assignment = ancestors.iter().rev().nth(1).filter(|above| above.kind() == "assignment");
            let right = assignment.and_then(|assignment| assignment.child_by_field_name("right"));
            right.is_some_and(|right| scope.string(right).is_some())
        }
        "comparison_operator" => {
            let operands = children(parent);
            let text = operands.get(1).is_some_and(|operand| scope.string(*operand).is_some());
            text && operands.first().is_some_and(|left| is_named(scope, *left))
        }
        _ => false,
    }
}

/// A password as an argument by name.
pub(super) fn check_call(scope: &Scope<'_>, call: &Call<'_, '_>, report: &mut Report<'_>) {
    let is_password = |(name, value): &&(&str, Node<'_>)| NAME.is_match(name) && scope.string(*value).is_some();
    if let Some((_, value)) = call.keywords.iter().find(is_password) {
        report.hidden(&PASSWORD, *value, *value, PASSWORD_MESSAGE);
    }
}

/// A password as a parameter's default.
pub(super) fn check_defaults(scope: &Scope<'_>, function: Node<'_>, report: &mut Report<'_>) {
    for parameter in function.child_by_field_name("parameters").map(children).unwrap_or_default() {
        let field = |name| parameter.child_by_field_name(name);
        // What follows a star can only be given by name.
        if matches!(parameter.kind(), "list_splat_pattern" | "keyword_separator") {
            return;
        }
        if let (Some(name), Some(value)) = (field("name"), field("value"))
            && NAME.is_match(scope.source(name))
            && scope.string(value).is_some()
        {
            report.hidden(&PASSWORD, function, value, PASSWORD_MESSAGE);
            return;
        }
    }
}

/// SQL that is put together: by a sum or `%`, by `format`, or in an f-string.
fn statement(scope: &Scope<'_>, node: Node<'_>, ancestors: &[Node<'_>], report: &mut Report<'_>) {
    let above = |n: usize| ancestors.iter().rev().nth(n).copied();
    let Some(parent) = above(0) else { return };
    let (text, wrapper) = match parent.kind() {
        "binary_operator" => {
            let near = ancestors.iter().rev().take(OPERANDS_MAX);
            let sums = near.take_while(|ancestor| ancestor.kind() == "binary_operator").count();
            // No person writes a statement of so many pieces.
            if sums == OPERANDS_MAX {
                return;
            }
            let Some(top) = above(sums - 1) else { return };
            // Only for the first of the texts in the sum.
            match sum(scope, top) {
                Some((first, text)) if first.id() == node.id() => (text, above(sums)),
                _ => return,
            }
        }
        "attribute"
            if matches!(scope.word(parent).as_str(), "format" | "replace")
                && above(1).is_some_and(|call| call.kind() == "call") =>
        {
            (scope.string(node).unwrap_or_default(), above(2))
        }
        _ => {
            let parts = if node.kind() == "concatenated_string" { children(node) } else { vec![node] };
            let pieces: Vec<_> = parts.into_iter().flat_map(children).collect();
            if !pieces.iter().any(|piece| piece.kind() == "interpolation") {
                return;
            }
            let texts =
                pieces.iter().filter(|piece| piece.kind() == "string_content").map(|piece| scope.source(*piece));
            (texts.collect::<String>(), Some(parent))
        }
    };
    if !STATEMENT.is_match(&text) {
        return;
    }
    let mut outer = wrapper;
    if outer.is_some_and(|outer| outer.kind() == "argument_list") {
        outer = ancestors.iter().rev().find(|ancestor| ancestor.kind() == "call").copied();
    }
    // What is only said is not run.
    let said = ancestors.iter().rev().take(6).any(|above| match above.kind() {
        "raise_statement" => true,
        "call" => above.child_by_field_name("function").is_some_and(|callee| is_log(&scope.name(callee))),
        _ => false,
    });
    if said {
        return;
    }
    let callee = outer.filter(|outer| outer.kind() == "call").and_then(|call| call.child_by_field_name("function"));
    let executed = callee.is_some_and(|callee| matches!(scope.word(callee).as_str(), "execute" | "executemany"));
    report.hit(&sql_concatenation::RULE, node.byte_range(), |range| {
        let hit = Hit::at(range, "a value is put into SQL as text, where it can change the statement");
        if executed || sql_concatenation::has_value(&text) { hit } else { hit.severity(Severity::Low) }
    });
}

fn is_log(name: &str) -> bool {
    let logs = ["log", "logger", "logging", "print", "warn", "_log", "_logger"];
    name.split('.').any(|part| logs.contains(&part.to_ascii_lowercase().as_str()))
}

/// The first text in a sum, and all of its texts, if there is anything else in it.
fn sum<'t>(scope: &Scope<'_>, top: Node<'t>) -> Option<(Node<'t>, String)> {
    let mut stack = vec![top];
    let mut first = None;
    let mut texts = Vec::new();
    let mut others = false;
    let mut operands = 0;
    while let Some(node) = stack.pop() {
        operands += 1;
        if operands > OPERANDS_MAX {
            break;
        }
        match node.kind() {
            "binary_operator" => {
                stack.extend(node.child_by_field_name("right"));
                stack.extend(node.child_by_field_name("left"));
            }
            "string" | "concatenated_string" => match scope.string(node) {
                Some(text) => {
                    first.get_or_insert(node);
                    texts.push(text);
                }
                None => others = true,
            },
            "integer" | "float" => {}
            _ => others = true,
        }
    }
    others.then_some(())?;
    Some((first?, texts.join(" ")))
}
