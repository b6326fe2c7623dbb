//! What is done to rows.

use super::super::super::operation::{Deed, Operation};
use super::super::super::sql::{Kind, Reader, Statement, Token};

/// What is done to rows.
pub(super) fn rows(statement: &Statement<'_>) -> Vec<Operation> {
    let mut read = statement.read();
    if read.take(&["with"]) {
        let mut within = written_within(statement);
        read.skip_to(&["select", "insert", "update", "delete", "merge"]);
        within.extend(rows(&Statement { tokens: read.tokens.to_vec() }));
        return within;
    }
    let other = |deed, table: Option<String>| vec![Operation::Other { deed, table: table.unwrap_or_default() }];
    let deletes = read.take(&["delete", "from"]);
    if deletes || read.take(&["update"]) {
        read.take(&["only"]);
        let all = !restricts(statement);
        let deed = match (all, deletes) {
            (true, true) => Deed::DeleteAll,
            (true, false) => Deed::UpdateAll,
            (false, _) => Deed::WriteRows,
        };
        return other(deed, read.name());
    }
    if read.take(&["insert", "into"]) {
        return filled(&read).map_or_else(|| other(Deed::WriteRows, read.clone().name()), |operation| vec![operation]);
    }
    if read.take(&["select"]) {
        return other(Deed::Query, None);
    }
    vec![Operation::Unknown { schema: false }]
}

/// What the parts of a WITH do to rows: `WITH a AS (DELETE FROM b RETURNING *) …`.
fn written_within(statement: &Statement<'_>) -> Vec<Operation> {
    let mut written = Vec::new();
    let mut open = Vec::new();
    for (at, token) in statement.tokens.iter().enumerate() {
        match (token.kind, token.text) {
            (Kind::Sign, "(") => open.push(at),
            (Kind::Sign, ")") => {
                let inner = open.pop().map_or(&[][..], |open| &statement.tokens[open + 1..at]);
                // What is deeper was part of the outermost, or each bracket would be gone through again.
                if !open.is_empty() {
                    continue;
                }
                let writes = |first: &Token<'_>| {
                    let is = |word| first.kind == Kind::Word && first.text.eq_ignore_ascii_case(word);
                    is("delete") || is("update")
                };
                if inner.first().is_some_and(writes) {
                    written.extend(rows(&Statement { tokens: inner.to_vec() }));
                }
            }
            _ => {}
        }
    }
    written
}

/// `INSERT INTO a (b, c) SELECT b, 1 FROM d`: which columns are taken over, and which are made up.
fn filled(read: &Reader<'_, '_>) -> Option<Operation> {
    let mut read = read.clone();
    let table = read.name()?;
    let mut columns = Vec::new();
    if !read.take_sign("(") {
        return None;
    }
    loop {
        columns.push(read.name()?);
        if !read.take_sign(",") {
            break;
        }
    }
    if !read.take_sign(")") || !read.take(&["select"]) {
        return None;
    }
    let (mut made_up, mut taken) = (Vec::new(), Vec::new());
    for (place, column) in columns.into_iter().enumerate() {
        if place > 0 && !read.take_sign(",") {
            return None;
        }
        let mut value = read.clone();
        let same = value.name().is_some_and(|name| name == column)
            && (value.clone().take(&["from"]) || value.clone().take_sign(","));
        if same { &mut taken } else { &mut made_up }.push(column);
        read.skip_part();
    }
    let from = read.take(&["from"]).then(|| read.name()).flatten();
    // Whatever follows may leave rows out, and so may DISTINCT or an aggregate in the place of a column.
    let all_of = from.filter(|_| made_up.is_empty() && read.tokens.is_empty());
    Some(Operation::FillTable { table, made_up, taken, all_of })
}

/// True when a WHERE leaves rows out: `WHERE true` does not.
fn restricts(statement: &Statement<'_>) -> bool {
    let mut depth = 0_i32;
    for (at, token) in statement.tokens.iter().enumerate() {
        match (token.kind, token.text) {
            (Kind::Sign, "(") => depth += 1,
            (Kind::Sign, ")") => depth -= 1,
            (Kind::Word, word) if depth == 0 && word.eq_ignore_ascii_case("where") => {
                let rest = statement.tokens[at + 1..].iter().map(|token| token.text);
                let rest: Vec<_> = rest.take_while(|text| !text.eq_ignore_ascii_case("returning")).collect();
                return !matches!(rest.as_slice(), [word] if word.eq_ignore_ascii_case("true"))
                    && !matches!(rest.as_slice(), [left, "=", right] if left == right);
            }
            (Kind::Word, word) if depth == 0 && word.eq_ignore_ascii_case("limit") => return true,
            _ => {}
        }
    }
    false
}
