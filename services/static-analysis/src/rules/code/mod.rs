//! Code and operations: what a program should not do in production.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};

use super::{Check, Rule};
use crate::source::{Syntax, code_only};

pub mod bidirectional_text;
pub mod eval_of_input;
mod gate;
pub(crate) mod go;
pub mod operations;
pub(crate) mod program;
pub(crate) mod python;
mod regions;
mod shown;
pub mod sql_concatenation;
pub mod swallowed_exception;
pub mod test_skipped;
pub mod tls_verification_off;
pub mod unescaped_html;
pub mod weak_password_hash;

/// The rules of this category.
pub(crate) fn rules() -> &'static [&'static Rule] {
    static RULES: LazyLock<Vec<&Rule>> = LazyLock::new(|| {
        let mut rules: Vec<&Rule> = vec![
            &tls_verification_off::RULE,
            &eval_of_input::RULE,
            &sql_concatenation::RULE,
            &bidirectional_text::RULE,
            &swallowed_exception::RULE,
            &unescaped_html::RULE,
            &weak_password_hash::RULE,
            &test_skipped::RULE,
        ];
        rules.extend_from_slice(operations::RULES);
        rules.extend(python::rules());
        rules.extend(go::rules());
        rules
    });
    &RULES
}

/// What the rules have in common that are looked for in a program's syntax.
const PROGRAM: Rule = Rule {
    id: "",
    title: "",
    severity: Severity::Low,
    confidence: Confidence::High,
    category: Category::Code,
    cwe: 0,
    hazard: "",
    keywords: &[],
    remediation: "",
    references: &[],
    aliases: &[],
    check: Check::Shared(&program::SHARED),
};

/// One line without its comments and strings, with the syntax of its file; `None` for a file that is no program, and for a
/// line inside a block comment.
fn code_of(path: &str, line: &str) -> Option<(Syntax, String)> {
    let syntax = Syntax::of(path)?;
    let start = line.trim_start();
    let in_comment = start.starts_with("* ") || start == "*" || start.starts_with("<!--");
    (!in_comment).then(|| (syntax, code_only(line, syntax)))
}
