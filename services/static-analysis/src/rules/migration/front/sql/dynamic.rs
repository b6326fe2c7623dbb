//! SQL that a statement has put together and run: `EXECUTE format('DROP TABLE %I', name)`, `EXEC('…')`.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{Operation, Script};
use super::super::super::sql::{Kind, Statement, Token};

/// What the SQL in the first literal of the statement does, where the statement runs it.
pub(super) fn operations(statement: &Statement<'_>) -> Option<Vec<Operation>> {
    let mut read = statement.read();
    if !read.take(&["execute"]) && !read.take(&["exec"]) {
        return None;
    }
    if read.name().as_deref() == Some("sp_rename") {
        return Some(renamed(statement));
    }
    let mut text = String::new();
    for (token, before) in statement.tokens.iter().skip(1).zip(&statement.tokens) {
        if token.kind == Kind::Literal {
            text.push_str(&with_names(content(token.text)));
        } else if !text.is_empty() && token.kind == Kind::Word && before.text == "|" {
            // Whatever is put behind it: a name, as far as anybody knows.
            text.push_str("a_name ");
        }
    }
    let mut script = Script::default();
    super::read_body(&text, 0, &mut script, super::Body::Run);
    Some(script.steps.into_iter().map(|step| step.what).collect())
}

/// `sp_rename 'table.column', 'new name', 'COLUMN'`.
fn renamed(statement: &Statement<'_>) -> Vec<Operation> {
    let literals: Vec<&str> =
        statement.tokens.iter().filter(|token| token.kind == Kind::Literal).map(|token| token.text).collect();
    let [old, to, kind @ ..] = literals.as_slice() else { return Vec::new() };
    let mut parts = old.rsplit('.').map(|part| part.trim_matches(['[', ']', '"']).to_lowercase());
    let last = parts.next().unwrap_or_default();
    match kind.first() {
        None => vec![Operation::RenameTable { table: last, to: to.to_lowercase() }],
        Some(kind) if kind.eq_ignore_ascii_case("column") => {
            vec![Operation::RenameColumn { table: parts.next().unwrap_or_default(), column: last }]
        }
        Some(_) => vec![Operation::Unknown { schema: true }],
    }
}

/// What stands between the quotes or tags of a literal.
fn content(literal: &str) -> &str {
    let Some(rest) = literal.strip_prefix('$') else { return literal };
    let inner = rest.split_once('$').map_or("", |(_, inner)| inner);
    inner.rfind('$').and_then(|end| inner[..end].rfind('$')).map_or(inner, |end| &inner[..end])
}

/// The text with names for what `format` puts into it.
fn with_names(text: &str) -> Cow<'_, str> {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"%(?:\d+\$)?[sI]").expect("the pattern is tested"));
    PLACE.replace_all(text, "a_name")
}

/// The body of a `DO` in plain quotes or in dollars, and where it begins in the text of the statement.
pub(super) fn body<'a>(text: &'a str, literal: &Token<'_>) -> Option<(usize, &'a str)> {
    let (start, end) = if literal.text.starts_with('$') {
        let tag = literal.text[1..].find('$')? + 2;
        (literal.start() + tag, literal.end().saturating_sub(tag))
    } else {
        (literal.start() + 1, literal.end().saturating_sub(1))
    };
    text.get(start..end.max(start)).map(|inner| (start, inner))
}
