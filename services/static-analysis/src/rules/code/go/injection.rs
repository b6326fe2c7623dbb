//! Text that becomes SQL, HTML or a command.

use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;
use tree_sitter::Node;

use super::gate::calls;
use super::model::{Kind, Model, Variable};
use super::types::arguments;
use crate::rules::code::gate::{Asks, Trigger};
use crate::rules::code::program::{Report, children};
use crate::rules::code::shown::{Place, Shown, first_name, words};
use crate::rules::code::{PROGRAM, sql_concatenation};
use crate::rules::{Hit, Rule};

pub(super) static RULES: &[&Rule] = &[&UNESCAPED, &SUBPROCESS];

static UNESCAPED: Rule = Rule {
    id: "code.go.unescaped-template",
    title: "Value is declared to be safe HTML",
    cwe: 79,
    keywords: &["template."],
    remediation: "Pass the value as it is, so that the template escapes it.",
    references: &["https://pkg.go.dev/html/template#HTML"],
    aliases: &["G203"],
    ..PROGRAM
};

static SUBPROCESS: Rule = Rule {
    id: "code.go.subprocess",
    title: "Process is started with a value that is not fixed",
    cwe: 78,
    keywords: &["command", "exec", "startprocess"],
    remediation: "Choose the program from a fixed list, put -- before values, and start no shell.",
    references: &["https://pkg.go.dev/os/exec"],
    aliases: &["G204"],
    ..PROGRAM
};

const SQL_MESSAGE: &str = "a value is put into SQL as text, where it can change the statement";

/// Where the statement stands among the arguments of the methods of database/sql.
fn statement_index(callee: &str) -> Option<usize> {
    // Of a variable whose declaration is not shown nothing is known but the statement itself, which is telling enough.
    let (owner, method) = match callee.strip_prefix("().") {
        Some(method) => ("DB", method),
        None => callee.strip_prefix("(*database/sql.")?.split_once(").")?,
    };
    let (context, plain) = (WITH_CONTEXT.contains(&method), PLAIN.contains(&method));
    match owner {
        "DB" | "Tx" if plain => Some(0),
        "DB" | "Tx" | "Conn" if context => Some(1),
        _ => None,
    }
}

static STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:SELECT|DELETE|INSERT|UPDATE|INTO|FROM|WHERE)(?:[ \n\r\t]|\\[nrt])")
        .expect("the pattern is tested")
});
/// Verbs of Printf that can print anything, and not just a number.
static VERB: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"%[^bdoxXfFp]").expect("the pattern is tested"));

const HTML: &[&str] = &["CSS", "HTML", "HTMLAttr", "JS", "JSStr", "Srcset", "URL"];
const STARTS: &[&str] = &[
    "os/exec.Command",
    "os/exec.CommandContext",
    "syscall.Exec",
    "syscall.ForkExec",
    "syscall.StartProcess",
    "golang.org/x/sys/execabs.Command",
    "golang.org/x/sys/execabs.CommandContext",
];
const PLAIN: &[&str] = &["Exec", "Query", "QueryRow", "Prepare"];
const WITH_CONTEXT: &[&str] = &["ExecContext", "QueryContext", "QueryRowContext", "PrepareContext"];

pub(super) fn triggers() -> Vec<Trigger> {
    let html = HTML.iter().map(|name| {
        let is_call = |shown: &Shown<'_>, place: Place, name: &'static str| {
            first_name(&shown.from(place)[1..]) == name && shown.is_live(place.line)
        };
        (format!(".{name}"), Asks::Call(is_call, name))
    });
    let methods = PLAIN.iter().chain(WITH_CONTEXT).map(|name| {
        let is_call = |shown: &Shown<'_>, place: Place, name: &'static str| first_name(&shown.from(place)[1..]) == name;
        (format!(".{name}"), Asks::Call(is_call, name))
    });
    let words = ["select", "delete", "insert", "update", "into", "from", "where"];
    vec![
        Trigger::of(&[&UNESCAPED]).word(&["html/template"]).part(html.collect()).linked(),
        Trigger::of(&[&SUBPROCESS]).part(calls(STARTS)).linked(),
        Trigger::of(&[]).part(methods.collect()).word_where(&words, is_statement).also(is_put_together).linked(),
    ]
}

fn is_statement(shown: &Shown<'_>, place: Place) -> bool {
    // A word at the end of a line of a long text is followed by the line feed.
    let rest = shown.from(place);
    STATEMENT.find(rest).is_some_and(|found| found.start() == 0) || words(rest).nth(1).is_none()
}

/// Whether texts are put together somewhere.
fn is_put_together(shown: &Shown<'_>) -> bool {
    let text = shown.text();
    ["\" +", "` +", "+ \"", "+ `", "+=", "Sprint", "Fprintf", "\"+", "`+", "+\"", "+`"]
        .iter()
        .any(|sign| text.contains(sign))
}

pub(super) fn check<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    let args = arguments(call);
    if let Some(statement) = statement_index(callee).and_then(|index| args.get(index))
        && let Some(at) = built_statement(model, *statement)
    {
        // Where no value can stand yet, it is a name or a clause that is put in: no parameter could replace it.
        let is_value = beginning(model, at).is_none_or(|text| sql_concatenation::has_value(&text));
        report.hit(&sql_concatenation::RULE, at.byte_range(), |range| {
            let hit = Hit::at(range, SQL_MESSAGE);
            if is_value { hit } else { hit.severity(Severity::Low) }
        });
    }
    if callee.strip_prefix("html/template.").is_some_and(|name| HTML.contains(&name))
        && args.iter().any(|arg| model.literal(*arg).is_none() && arg.kind() != "int_literal")
    {
        report.at(&UNESCAPED, call, "this value is not escaped in the page, whatever is in it");
    }
    if STARTS.contains(&callee) && model.function_of(call).is_some() {
        let skip = usize::from(callee.ends_with("CommandContext"));
        let open = args.iter().skip(skip).enumerate().any(|(position, arg)| is_open_argument(model, position, *arg));
        if open {
            report.at(
                &SUBPROCESS,
                call,
                "whoever chooses this value chooses what the program does, or which one it is",
            );
        }
    }
}

fn is_open_argument<'t>(model: &Model<'_, 't>, position: usize, arg: Node<'t>) -> bool {
    let arg = if arg.kind() == "variadic_argument" { arg.named_child(0).unwrap_or(arg) } else { arg };
    if arg.kind() != "identifier" {
        return !model.is_fixed(arg);
    }
    let Some(variable) = model.variable(arg) else { return false };
    // A function that is handed the program to start is a wrapper; its callers are looked at.
    let handed = position == 0 && matches!(variable.kind, Kind::Parameter | Kind::Receiver | Kind::Result);
    !handed && !model.is_fixed(arg)
}

/// The place where a statement is put together, if it is.
fn built_statement<'t>(model: &Model<'_, 't>, statement: Node<'t>) -> Option<Node<'t>> {
    match statement.kind() {
        "binary_expression" => {
            let operands = model.operands(statement);
            let begins = model.literal(*operands.first()?).is_some_and(|text| STATEMENT.is_match(text));
            (begins && operands[1..].iter().any(|operand| !model.is_fixed(*operand))).then_some(statement)
        }
        "call_expression" => is_formatted(model, statement).then_some(statement),
        "identifier" => built_variable(model, model.variable(statement)?),
        _ => None,
    }
}

/// The text of a statement before the first piece that is put in, where it is at one place.
fn beginning<'t>(model: &Model<'_, 't>, at: Node<'t>) -> Option<String> {
    if at.kind() == "call_expression" {
        let format = arguments(at).into_iter().find_map(|arg| model.string(arg))?;
        return Some(format.split('%').next().unwrap_or_default().to_owned());
    }
    let operands = model.operands(at);
    (operands.len() > 1).then(|| operands.into_iter().map_while(|operand| model.literal(operand)).collect::<String>())
}

fn built_variable<'t>(model: &Model<'_, 't>, variable: &Variable<'t>) -> Option<Node<'t>> {
    let first = variable.values.first()?;
    if first.node.kind() == "call_expression" && is_formatted(model, first.node) {
        return Some(first.node);
    }
    if first.at != variable.declared.start_byte() {
        return None;
    }
    if first.node.kind() == "binary_expression"
        && model.operands(first.node).iter().any(|operand| !model.is_fixed(*operand))
    {
        return Some(first.node);
    }
    if !whole_text(model, first.node).is_some_and(|text| STATEMENT.is_match(&text)) {
        return None;
    }
    let added = variable.values.iter().skip(1).find(|value| {
        if value.adds {
            return !model.is_fixed(value.node);
        }
        let operands = model.operands(value.node);
        let itself = operands
            .first()
            .and_then(|left| model.variable(*left))
            .is_some_and(|left| left.declared.id() == variable.declared.id());
        operands.len() > 1 && itself && operands[1..].iter().any(|operand| !model.is_fixed(*operand))
    });
    added.map(|value| model.parent(value.node).and_then(|list| model.parent(list)).unwrap_or(value.node))
}

fn whole_text<'t>(model: &Model<'_, 't>, node: Node<'t>) -> Option<String> {
    model
        .operands(node)
        .into_iter()
        .map(|operand| model.literal(operand))
        .collect::<Option<Vec<_>>>()
        .map(|texts| texts.concat())
}

/// `fmt.Sprintf` of a statement with values that are not fixed.
fn is_formatted<'t>(model: &Model<'_, 't>, call: Node<'t>) -> bool {
    let callee = model.callee(call);
    let index = match callee.as_str() {
        "fmt.Sprintf" | "fmt.Sprint" | "fmt.Sprintln" => 0,
        "fmt.Fprintf" => 1,
        _ => return false,
    };
    let args = arguments(call);
    let Some(format) = args.get(index).and_then(|format| model.string(*format)) else { return false };
    let rest = args.get(index + 1..).unwrap_or_default();
    let quoted =
        |arg: &Node<'t>| arg.kind() == "call_expression" && model.callee(*arg) == "github.com/lib/pq.QuoteIdentifier";
    let safe = !rest.is_empty() && rest.iter().all(|arg| quoted(arg) || model.is_fixed(*arg));
    !safe && STATEMENT.is_match(&format) && VERB.is_match(&format)
}

/// The values on the right of a declaration or an assignment.
pub(super) fn right_of(node: Node<'_>) -> Vec<Node<'_>> {
    node.child_by_field_name("right").or_else(|| node.child_by_field_name("value")).map(children).unwrap_or_default()
}
