//! Results that are dropped or squeezed into too small a type.

use std::collections::HashSet;

use domain::Severity;
use tree_sitter::Node;

use super::gate::{begins_word, calls_anywhere, is_call, method};
use super::model::Model;
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::{Asks, Trigger};
use crate::rules::code::program::{Report, children};
use crate::rules::code::shown::{Place, Shown, first_name, is_name_byte, last_name};

pub(super) static RULES: &[&Rule] = &[&UNCHECKED, &NARROWED];

static UNCHECKED: Rule = Rule {
    id: "code.go.unchecked-error",
    title: "Error is dropped",
    severity: Severity::Info,
    cwe: 703,
    keywords: &["os.", ".close()", "json.", "func "],
    remediation: "Handle the error, or assign it to _ where nothing can be done about it.",
    references: &["https://go.dev/doc/effective_go#errors"],
    aliases: &["G104"],
    ..PROGRAM
};

static NARROWED: Rule = Rule {
    id: "code.go.parsed-number-narrowed",
    title: "Parsed number goes into a smaller type",
    cwe: 190,
    keywords: &["int32(", "int16("],
    remediation: "Parse with strconv.ParseInt and the number of bits that there is room for.",
    references: &["https://pkg.go.dev/strconv#ParseInt"],
    aliases: &["G109"],
    ..PROGRAM
};

/// Functions of other packages that return nothing but an error, or an error last.
const RETURN_ERRORS: &[&str] = &[
    "os.Chdir",
    "os.Chmod",
    "os.Chown",
    "os.Link",
    "os.Mkdir",
    "os.MkdirAll",
    "os.Remove",
    "os.RemoveAll",
    "os.Rename",
    "os.Setenv",
    "os.Symlink",
    "os.Truncate",
    "os.WriteFile",
    "os.Create",
    "os.Open",
    "os.OpenFile",
    "io/ioutil.WriteFile",
    "io/ioutil.ReadFile",
    "io.Copy",
    "io.WriteString",
    "io.ReadAll",
    "encoding/json.Unmarshal",
    "encoding/json.Marshal",
    "net/http.ListenAndServe",
    "net/http.Get",
    "(*database/sql.DB).Exec",
    "(*database/sql.DB).Ping",
    "(*database/sql.DB).Close",
    "(*database/sql.Tx).Commit",
    "(*database/sql.Tx).Rollback",
    "(*os.File).Close",
    "(*os.File).Write",
    "(*os.File).WriteString",
    "(*os.File).Sync",
    "(*encoding/json.Encoder).Encode",
    "(*bufio.Writer).Flush",
    "(*net/http.Server).ListenAndServe",
    "(*net/http.Request).ParseForm",
    "(net/http.ResponseWriter).Write",
];

pub(super) fn triggers() -> Vec<Trigger> {
    let of_others = RETURN_ERRORS.iter().map(|name| (format!(".{}", method(name)), Asks::Call(is_statement, name)));
    let narrow = |shown: &Shown<'_>, place: Place| begins_word(shown, place, b".]") && shown.is_live(place.line);
    vec![
        Trigger::of(&[&UNCHECKED]).part(of_others.collect()).near(),
        Trigger::of(&[&UNCHECKED]).word(&["func "]).word(&["error"]).also(drops_own_error),
        Trigger::of(&[&NARROWED])
            .part(calls_anywhere(&["strconv.Atoi"]))
            .word_where(NARROWED.keywords, narrow)
            .linked(),
    ]
}

/// Whether a call of this function may stand by itself.
fn is_statement(shown: &Shown<'_>, place: Place, name: &'static str) -> bool {
    let line = shown.line(place.line);
    let alone = line.len() > LINE_BYTES_MAX
        || statements(line).any(|statement| {
            let at = line.len() - statement.len();
            at <= place.at && called(statement).contains(&method(name))
        });
    alone && is_call(shown, place, name) && shown.is_live(place.line)
}

/// Whether a function that the hunk declares and that returns an error may be called by a statement of its own.
fn drops_own_error(shown: &Shown<'_>) -> bool {
    let mut failing = HashSet::new();
    let mut signature = None;
    for line in shown.texts() {
        let begin = line.trim_start();
        if let Some(rest) = begin.strip_prefix("func ") {
            // A method's name is behind its receiver.
            let rest = if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, rest)| rest) } else { rest };
            signature = Some(first_name(rest.trim_start()));
        }
        if signature.is_some() && line.contains("error") {
            failing.extend(signature.take());
        }
        if begin.ends_with('{') {
            signature = None;
        }
    }
    failing.remove("");
    !failing.is_empty()
        && shown.texts().enumerate().any(|(number, line)| {
            let drops = |statement| called(statement).iter().any(|name| failing.contains(name));
            (line.len() > LINE_BYTES_MAX || statements(line).any(drops)) && shown.is_live(number)
        })
}

/// Bytes of the longest line whose statements are told apart before it is parsed.
const LINE_BYTES_MAX: usize = 1_000;

/// The places of a line where a statement may begin.
fn statements(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim_start();
    let later =
        line.bytes().enumerate().filter(|(_, byte)| b"{;:".contains(byte)).map(|(at, _)| line[at + 1..].trim_start());
    std::iter::once(line).chain(later)
}

/// The names that are called in a statement that is nothing but a call: `a.b(x).c(y)` calls b and c.
fn called(statement: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for (at, byte) in statement.bytes().enumerate() {
        match byte {
            b'(' | b'[' => {
                let name = last_name(&statement[..at]);
                if depth == 0 && byte == b'(' && !name.is_empty() {
                    names.push(name);
                }
                depth += 1;
            }
            b')' | b']' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => break,
            },
            b'.' | b'*' | b'&' => {}
            b'/' | b';' | b'}' if depth == 0 => break,
            _ if depth > 0 || is_name_byte(byte) => {}
            // The method of an interface goes on with what it returns.
            _ if statement[at..].trim_start().starts_with(['/', '}', ';']) => break,
            _ if statement[at..].trim_start().is_empty() => break,
            _ => return Vec::new(),
        }
    }
    names
}

/// A call that stands for itself, though it returns an error.
pub(super) fn check_statement<'t>(model: &Model<'_, 't>, statement: Node<'t>, report: &mut Report<'_>) {
    let Some(call) = statement.named_child(0).filter(|call| call.kind() == "call_expression") else { return };
    let callee = model.callee(call);
    let own = callee.strip_prefix('.').and_then(|name| model.functions.get(name).copied()).or_else(|| {
        let (owner, name) = callee.strip_prefix('(')?.split_once(").")?;
        model.method(owner, name)
    });
    let returns = match own {
        Some(function) => returns_error(model, function),
        None => RETURN_ERRORS.contains(&callee.as_str()),
    };
    if returns {
        report.at(&UNCHECKED, statement, "if this fails the program goes on as if it had not");
    }
}

fn returns_error<'t>(model: &Model<'_, 't>, function: Node<'t>) -> bool {
    let Some(result) = function.child_by_field_name("result") else { return false };
    if result.kind() != "parameter_list" {
        return model.source(result) == "error";
    }
    let is_error = |of: Node<'t>| of.child_by_field_name("type").is_some_and(|of| model.source(of) == "error");
    children(result).into_iter().any(is_error)
}

pub(super) fn check_call<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    if !matches!(callee, ".int32" | ".int16") {
        return;
    }
    let variable = arguments(call).first().and_then(|arg| model.variable(*arg));
    let parsed = variable.is_some_and(|variable| {
        let mut calls =
            variable.values.iter().filter(|value| value.index == 0 && value.node.kind() == "call_expression");
        calls.any(|value| model.callee(value.node) == "strconv.Atoi")
    });
    if parsed {
        report.at(&NARROWED, call, "a number that is too great becomes another one, perhaps a negative one");
    }
}
