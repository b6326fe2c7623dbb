//! Contexts that are dropped: goroutines that outlive the request, cancels that nobody calls, loops that never look.

use tree_sitter::Node;

use super::gate::{begins_word, is_call, method};
use super::model::{Model, Variable, is_function};
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::{Asks, Trigger};
use crate::rules::code::program::{Report, children, walk};
use crate::rules::code::shown::{Place, REACH_LINES, Shown};

pub(super) static CONTEXT: Rule = Rule {
    id: "code.go.dropped-context",
    title: "Work that goes on when nobody waits for it",
    cwe: 400,
    keywords: &["context"],
    remediation: "Pass the context on, defer every cancel, and look at ctx.Done() in loops.",
    references: &["https://go.dev/blog/context"],
    aliases: &["G118"],
    ..PROGRAM
};

const WITH_CANCEL: &[&str] = &["context.WithCancel", "context.WithTimeout", "context.WithDeadline"];

pub(super) fn triggers() -> Vec<Trigger> {
    let with_cancel = WITH_CANCEL.iter().map(|name| (format!(".{}", method(name)), Asks::Call(may_lose_cancel, name)));
    let starts = |shown: &Shown<'_>, place: Place| begins_word(shown, place, b"") && shown.is_live(place.line);
    vec![
        Trigger::of(&[&CONTEXT]).part(with_cancel.collect()),
        Trigger::of(&[&CONTEXT])
            .word(&["background(", "todo("])
            .word_where(&["go "], starts)
            .word(&["context.", "request"])
            .linked(),
        Trigger::of(&[&CONTEXT]).word_where(&["for"], is_endless).word(&["context", "request"]).near(),
    ]
}

/// Whether the cancel that a call gives may never be called: it is not called below, in what may be the same function.
fn may_lose_cancel(shown: &Shown<'_>, place: Place, name: &'static str) -> bool {
    if !is_call(shown, place, name) || !shown.is_live(place.line) {
        return false;
    }
    let names = shown.before(place).split('=').next().unwrap_or("");
    let Some((_, cancel)) = names.rsplit_once(',').filter(|_| shown.may_scan()) else { return true };
    let cancel = cancel.trim().trim_end_matches(':').trim_end();
    let below =
        shown.texts().skip(place.line + 1).take_while(|line| !line.starts_with("func ") && !line.starts_with('}'));
    let is_called = |line: &str| {
        line.match_indices(cancel).any(|(at, _)| {
            let rest = line[at + cancel.len()..].trim_start();
            rest.starts_with('(') && !line[..at].ends_with(|c: char| c == '.' || c == '_' || c.is_alphanumeric())
        })
    };
    cancel.is_empty() || cancel != "_" && !below.into_iter().any(is_called)
}

fn is_endless(shown: &Shown<'_>, place: Place) -> bool {
    let rest = shown.from(place).get("for".len()..).unwrap_or("").trim();
    let condition = rest.split(';').nth(1).map(str::trim);
    begins_word(shown, place, b".")
        && (rest.starts_with('{') || rest.is_empty() || condition == Some(""))
        && shown.is_added(place.line..place.line + REACH_LINES + 1)
}

pub(super) fn check_go<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    let Some(function) = model.function_of(node) else { return };
    if !has_context(model, function) {
        return;
    }
    let Some(call) = node.named_child(0).filter(|call| call.kind() == "call_expression") else { return };
    let started = call.child_by_field_name("function").and_then(|started| match started.kind() {
        "func_literal" => Some(started),
        "identifier" => {
            let held = model.variable(started).and_then(|variable| variable.values.first()).map(|value| value.node);
            held.or_else(|| model.functions.get(model.source(started)).copied())
        }
        _ => None,
    });
    let fresh = |node: Node<'t>| {
        node.kind() == "call_expression" && matches!(model.callee(node).as_str(), "context.Background" | "context.TODO")
    };
    let mut found = arguments(call).into_iter().any(fresh);
    if let Some(body) = started.and_then(|started| started.child_by_field_name("body")) {
        walk(body, |inner, _| found |= fresh(inner));
    }
    if found {
        report.at(&CONTEXT, node, "this goroutine does not stop when the request is over, whatever it waits for");
    }
}

/// Whether a context comes into a function, or with a request.
fn has_context<'t>(model: &Model<'_, 't>, function: Node<'t>) -> bool {
    let mut request = false;
    for declaration in function.child_by_field_name("parameters").map(children).unwrap_or_default() {
        match declaration.child_by_field_name("type").map(|of| model.type_text(of)).as_deref() {
            Some("context.Context") => return true,
            Some("*net/http.Request") => request = true,
            _ => {}
        }
    }
    let mut taken = false;
    if let Some(body) = function.child_by_field_name("body").filter(|_| request) {
        walk(body, |node, ancestors| {
            if node.kind() == "call_expression" && !ancestors.iter().any(|above| is_function(*above)) {
                let callee = model.callee(node);
                taken |= callee == "(*net/http.Request).Context" || callee.starts_with("context.With");
            }
        });
    }
    taken
}

pub(super) fn check_cancel<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    if !WITH_CANCEL.contains(&callee) {
        return;
    }
    let Some(target) = model
        .parent(call)
        .and_then(|list| model.parent(list))
        .and_then(|statement| statement.child_by_field_name("left"))
    else {
        return;
    };
    let Some(cancel) = target.named_child(1) else { return };
    let lost = match cancel.kind() {
        "identifier" if model.source(cancel) == "_" => false,
        "identifier" => model.variable(cancel).is_some_and(|variable| !is_used(model, variable, 0)),
        "selector_expression" => !is_field_used(model, cancel),
        _ => false,
    };
    if lost {
        report.at(
            &CONTEXT,
            call,
            "nobody calls the cancel, so that what the context holds is kept until it times out, if it ever does",
        );
    }
}

fn is_used<'t>(model: &Model<'_, 't>, variable: &Variable<'t>, depth: usize) -> bool {
    if depth > 4 {
        return true;
    }
    variable.uses.iter().take(256).any(|used| {
        let Some(above) = model.parent(*used) else { return false };
        match above.kind() {
            "call_expression" | "argument_list" | "send_statement" => true,
            "literal_element" => {
                let literal = model.ancestors(above).find(|node| node.kind() == "composite_literal");
                let of = literal.and_then(|literal| literal.child_by_field_name("type"));
                let is_struct = of.is_some_and(|of| !matches!(of.kind(), "map_type" | "slice_type" | "array_type"));
                let pair = model.parent(above).filter(|pair| pair.kind() == "keyed_element");
                let key = pair.and_then(|pair| pair.child_by_field_name("key"));
                !is_struct
                    || key.is_none_or(|key| is_name_used(model, model.source(key)))
                    || literal.is_some_and(|literal| is_returned(model, literal))
            }
            "expression_list" => {
                let Some(statement) = model.parent(above) else { return false };
                if statement.kind() == "return_statement" {
                    return true;
                }
                let is_right = statement.child_by_field_name("right").is_some_and(|right| right.id() == above.id());
                let target = statement.child_by_field_name("left").and_then(|left| left.named_child(0));
                match target.filter(|_| is_right) {
                    Some(target) if target.kind() == "index_expression" => true,
                    Some(target) if target.kind() == "selector_expression" => is_field_used(model, target),
                    Some(target) if target.kind() == "identifier" => {
                        let other =
                            model.variable(target).filter(|other| other.declared.id() != variable.declared.id());
                        other.is_some_and(|other| is_used(model, other, depth + 1))
                    }
                    _ => false,
                }
            }
            "var_spec" => true,
            _ => false,
        }
    })
}

/// A struct that is returned by value, with the cancel in it.
fn is_returned<'t>(model: &Model<'_, 't>, literal: Node<'t>) -> bool {
    model.parent(literal).and_then(|list| model.parent(list)).is_some_and(|above| above.kind() == "return_statement")
}

fn is_field_used<'t>(model: &Model<'_, 't>, selector: Node<'t>) -> bool {
    let name = selector.child_by_field_name("field").map_or("", |field| model.source(field));
    let owner = selector.child_by_field_name("operand").and_then(|operand| model.variable(operand));
    let returned = owner.is_some_and(|owner| {
        let is_value = !model.type_of(owner.declared).starts_with('*');
        is_value
            && owner.uses.iter().take(256).any(|used| {
                let statement = model.parent(*used).and_then(|list| model.parent(list));
                statement.is_some_and(|statement| statement.kind() == "return_statement")
            })
    });
    returned || is_name_used(model, name)
}

/// Whether a field of this name is called, or handed on, somewhere in the file.
fn is_name_used<'t>(model: &Model<'_, 't>, name: &str) -> bool {
    if model.calls.contains_key(name) {
        return true;
    }
    let mut found = false;
    walk(model.root, |node, ancestors| {
        if node.kind() == "selector_expression" && !found {
            let field = node.child_by_field_name("field").is_some_and(|field| model.source(field) == name);
            let kept =
                ancestors.last().is_some_and(|above| matches!(above.kind(), "argument_list" | "defer_statement"));
            let value = ancestors.iter().rev().nth(1).filter(|_| field).is_some_and(|statement| {
                matches!(statement.kind(), "short_var_declaration" | "assignment_statement" | "return_statement")
                    && statement
                        .child_by_field_name("left")
                        .is_none_or(|left| !left.byte_range().contains(&node.start_byte()))
            });
            found = field && (kept || value);
        }
    });
    found
}

/// `for { ... }` that nothing ends, with something in it that waits.
pub(super) fn check_loop<'t>(model: &Model<'_, 't>, node: Node<'t>, report: &mut Report<'_>) {
    if !model.function_of(node).is_some_and(|function| has_context(model, function)) {
        return;
    }
    let Some(body) = node.child_by_field_name("body") else { return };
    let endless = children(node).iter().all(|part| {
        part.id() == body.id() || part.kind() == "for_clause" && part.child_by_field_name("condition").is_none()
    });
    if !endless {
        return;
    }
    let (mut ends, mut looks, mut waits) = (false, false, false);
    walk(body, |inner, ancestors| {
        if ancestors.iter().any(|above| above.kind() == "func_literal") {
            return;
        }
        match inner.kind() {
            "return_statement" | "goto_statement" => ends = true,
            "break_statement" => {
                let own = !ancestors.iter().any(|above| {
                    matches!(
                        above.kind(),
                        "for_statement" | "select_statement" | "expression_switch_statement" | "type_switch_statement"
                    )
                });
                ends |= own || inner.named_child(0).is_some();
            }
            "call_expression" => {
                let callee = model.callee(inner);
                ends |= callee == ".panic";
                looks |= callee.ends_with(").Done");
                waits |= is_waiting(&callee);
            }
            _ => {}
        }
    });
    if waits && !looks && !ends {
        report.at(&CONTEXT, node, "this loop goes on when the context is cancelled");
    }
}

fn is_waiting(callee: &str) -> bool {
    let (owner, name) = callee.rsplit_once('.').unwrap_or(("", callee));
    match owner.trim_start_matches(['(', '*']).trim_end_matches(')') {
        "time" => name == "Sleep",
        "net/http" | "net/http.Client" => matches!(name, "Get" | "Head" | "Post" | "PostForm"),
        "database/sql.DB" | "database/sql.Tx" | "database/sql.Conn" => {
            matches!(name, "Query" | "QueryContext" | "Exec" | "ExecContext" | "Begin" | "BeginTx")
        }
        "os" => matches!(name, "ReadFile" | "WriteFile" | "Open" | "OpenFile"),
        // The methods of interfaces that wait.
        owner if !owner.contains('/') && callee.starts_with('(') && !callee.starts_with("(*") => {
            matches!(name, "Do" | "RoundTrip" | "QueryContext" | "ExecContext" | "Read" | "Write" | "Recv" | "Send")
        }
        _ => false,
    }
}
