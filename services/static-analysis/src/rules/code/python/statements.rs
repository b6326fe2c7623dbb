//! Statements: assertions, swallowed exceptions, and the exec of Python 2.

use domain::Severity;
use tree_sitter::Node;

use super::gate::is_word;
use super::{Scope, children, rows};
use crate::paths;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, Shown, words};

pub(super) static RULES: &[&Rule] = &[&ASSERT, &SWALLOWED];

static ASSERT: Rule = Rule {
    id: "code.python.assert",
    title: "assert in a program",
    severity: Severity::Info,
    cwe: 703,
    keywords: &["assert"],
    remediation: "Raise an exception where the condition guards against input; keep assert for what cannot happen.",
    references: &["https://docs.python.org/3/reference/simple_stmts.html#the-assert-statement"],
    aliases: &["B101", "S101"],
    ..PROGRAM
};

static SWALLOWED: Rule = Rule {
    id: "code.python.swallowed-exception",
    title: "Every exception is swallowed",
    cwe: 703,
    keywords: &["except"],
    remediation: "Catch the exceptions that are expected by name, and log or count what is dropped.",
    references: &["https://docs.python.org/3/tutorial/errors.html#handling-exceptions"],
    aliases: &["B110", "B112", "S110", "S112", "E722"],
    ..PROGRAM
};

pub(super) fn triggers() -> Vec<Trigger> {
    vec![
        Trigger::of(&[&ASSERT]).word_where(&["assert"], asserts),
        Trigger::of(&[&SWALLOWED]).word_where(&["except"], may_swallow),
    ]
}

fn asserts(shown: &Shown<'_>, place: Place) -> bool {
    let before = shown.before(place).trim_end();
    let begins = before.is_empty() || before.ends_with([':', ';']);
    begins && is_word(shown, place, "assert") && !paths::is_python_test(shown.path()) && shown.is_live(place.line)
}

/// Whether a handler of everything may do nothing: what follows it is `pass` or `continue`.
fn may_swallow(shown: &Shown<'_>, place: Place) -> bool {
    let rest = shown.from(place).get("except".len()..).unwrap_or("").trim_start();
    if !is_word(shown, place, "except") || !(rest.starts_with([':', '\\']) || rest.starts_with("Exception")) {
        return false;
    }
    let end = (place.line + 1..place.line + BODY_LINES).find(|line| {
        let text = shown.line(*line).trim_start();
        !text.is_empty() && !text.starts_with('#')
    });
    let idle = |text: &str| words(text).any(|word| matches!(word, "pass" | "continue"));
    let below = end.is_some_and(|line| idle(shown.line(line)));
    (idle(rest) || below) && shown.is_added(place.line..end.unwrap_or(place.line) + 1)
}

/// How far below a handler its body is looked for.
const BODY_LINES: usize = 40;

pub(super) fn check(scope: &Scope<'_>, node: Node<'_>, report: &mut Report<'_>) {
    match node.kind() {
        "assert_statement" if paths::is_python_test(report.path()) => {}
        "assert_statement" => report.at(&ASSERT, node, "with python -O this is not checked"),
        "except_clause" if swallows(scope, node) => {
            report.at(&SWALLOWED, node, "whatever goes wrong here, a mistake in the code included, leaves no trace");
        }
        "exec_statement" => {
            if let Some(row) = rows::CALLS.iter().find(|row| row.rule.id == "code.python.exec") {
                report.at(&row.rule, node, "whoever can write this text can run any code in the process");
            }
        }
        _ => {}
    }
}

/// A handler of everything whose body is nothing but `pass` or `continue`.
fn swallows(scope: &Scope<'_>, clause: Node<'_>) -> bool {
    let parts = children(clause);
    let Some(body) = parts.last().filter(|body| body.kind() == "block") else { return false };
    let caught = parts.first().filter(|part| part.kind() != "block").map(|caught| {
        // `except Exception as error` is a pattern with an alias.
        if caught.kind() == "as_pattern" { caught.named_child(0).unwrap_or(*caught) } else { *caught }
    });
    let all = caught.is_none_or(|caught| scope.source(caught) == "Exception");
    let body = children(*body);
    all && body.len() == 1 && matches!(body[0].kind(), "pass_statement" | "continue_statement")
}
