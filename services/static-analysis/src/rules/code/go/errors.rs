//! Results that are dropped or squeezed into too small a type.

use domain::Severity;
use tree_sitter::Node;

use super::model::Model;
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::program::{Report, children};

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
