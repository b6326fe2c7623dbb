//! SQL in operations. Tables are read by PostgreSQL's grammar (`tree`); the other statements say what they do in their first
//! words. What is not understood says nothing, in whatever dialect it is.

use super::super::operation::{Deed, Dialect, Index, Operation, Script, Type};
use super::super::sql::{self, Kind, Reader, Statement};
use super::tables::read_table;

/// Adds what the SQL in `text` does; `offset` is where the text begins in the file.
pub(super) fn read(text: &str, offset: usize, script: &mut Script) {
    for statement in sql::statements(text) {
        read_statement(text, offset, &statement, script, Body::Script);
    }
}

/// Where a statement stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Script,
    /// In the body of a DO block, where BEGIN and END are brackets.
    Block,
}

fn read_statement(text: &str, offset: usize, statement: &Statement<'_>, script: &mut Script, body: Body) {
    let range = statement.range();
    let at = offset + range.start..offset + range.end;
    script.statement();
    if has_long_name(statement) {
        let long = Operation::Other { deed: Deed::LongName, table: String::new() };
        script.push(long, at.clone(), at.clone());
    }
    let mut read = statement.read();
    if body == Body::Script && read.take(&["do"]) {
        read_block(text, offset, statement, script);
        return;
    }
    let is_alter = statement.read().take(&["alter", "table"]) || statement.read().take(&["alter", "foreign", "table"]);
    let is_create = {
        let mut read = statement.read();
        read.take(&["create"]) && {
            for word in ["global", "local", "unlogged"] {
                read.take(&[word]);
            }
            read.take(&["table"])
        }
    };
    if is_alter || is_create {
        for (own, operation) in read_table(text, statement, is_alter) {
            script.push(operation, at.clone(), offset + own.start..offset + own.end);
        }
        return;
    }
    let operations = simple(statement, script.is_open(), body);
    for operation in operations {
        script.push(operation, at.clone(), at.clone());
    }
}

/// True for a statement about the schema with a name that PostgreSQL cuts.
fn has_long_name(statement: &Statement<'_>) -> bool {
    const BYTES_MAX: usize = 63;
    let mut read = statement.read();
    (read.take(&["create"]) || read.take(&["alter"]))
        && statement
            .tokens
            .iter()
            .any(|token| matches!(token.kind, Kind::Word | Kind::Quoted) && token.text.len() > BYTES_MAX)
}

/// The statements in the body of `DO $$ … $$`, behind the words that only lead to them.
fn read_block(text: &str, offset: usize, statement: &Statement<'_>, script: &mut Script) {
    let literal = statement.tokens.iter().find(|token| token.kind == Kind::Literal && token.text.starts_with('$'));
    let Some(literal) = literal else { return };
    let Some(tag) = literal.text[1..].find('$').map(|end| end + 2) else { return };
    let start = literal.start() + tag;
    let Some(inner) = text.get(start..literal.end().saturating_sub(tag).max(start)) else { return };
    for statement in sql::statements(inner) {
        let leads = |token: &sql::Token<'_>| {
            token.kind == Kind::Word
                && ["begin", "then", "else", "loop"].iter().any(|word| token.text.eq_ignore_ascii_case(word))
        };
        let first = statement.tokens.iter().rposition(leads).map_or(0, |at| at + 1);
        let tokens = statement.tokens[first..].to_vec();
        if !tokens.is_empty() {
            read_statement(inner, offset + start, &Statement { tokens }, script, Body::Block);
        }
    }
}

/// What a statement without a table's definition does.
fn simple(statement: &Statement<'_>, open: bool, body: Body) -> Vec<Operation> {
    let mut read = statement.read();
    let other = |deed, table: Option<String>| vec![Operation::Other { deed, table: table.unwrap_or_default() }];
    if body == Body::Script
        && let Some(operations) = transaction(statement, open)
    {
        return operations;
    }
    if read.take(&["drop"]) {
        return dropped(read);
    }
    if read.take(&["create"]) {
        return created(read, statement);
    }
    if read.take(&["alter"]) {
        return altered(read, statement);
    }
    if ["set", "reset", "discard"].iter().any(|word| read.clone().take(&[word])) || read.holds_anywhere("set_config") {
        return setting(statement);
    }
    if read.take(&["truncate"]) {
        read.take(&["table"]);
        read.take(&["only"]);
        let cascade = statement.read().holds_anywhere("cascade");
        return other(if cascade { Deed::TruncateCascade } else { Deed::Truncate }, read.name());
    }
    if read.take(&["rename", "table"]) {
        let (table, to) = (read.name().unwrap_or_default(), String::new());
        return vec![Operation::RenameTable { table, to }];
    }
    if read.take(&["vacuum"]) {
        let full = is_on(statement, "full");
        return if full { other(Deed::VacuumFull, None) } else { vec![Operation::Unknown { schema: false }] };
    }
    if read.take(&["cluster"]) {
        return other(Deed::Cluster, read.name());
    }
    if read.take(&["reindex"]) {
        let concurrently = is_on(statement, "concurrently");
        return other(if concurrently { Deed::ConcurrentWork } else { Deed::Reindex }, None);
    }
    if read.take(&["refresh", "materialized", "view"]) {
        let concurrently = read.take(&["concurrently"]);
        return if concurrently {
            vec![Operation::Unknown { schema: false }]
        } else {
            other(Deed::RefreshView, read.name())
        };
    }
    if read.take(&["lock"]) {
        read.take(&["table"]);
        read.take(&["only"]);
        return other(Deed::LockTable, read.name());
    }
    rows(statement)
}

/// What begins or ends a transaction.
fn transaction(statement: &Statement<'_>, open: bool) -> Option<Vec<Operation>> {
    let read = statement.read();
    let begins = |words: &[&str]| read.clone().take(words);
    if begins(&["begin"]) || begins(&["start", "transaction"]) {
        return Some(vec![Operation::Begin]);
    }
    let back = begins(&["rollback"]) && !read.holds("to");
    // The end of a function's body in SQL looks like the end of a transaction.
    let end = open && begins(&["end"]);
    let ends = back || end || begins(&["commit"]) || begins(&["abort"]) || begins(&["prepare", "transaction"]);
    // Of two phases, the second ends a transaction of somebody else.
    if !ends || read.holds("prepared") {
        return None;
    }
    let chained = read.holds("chain") && !read.holds("no");
    Some(std::iter::once(Operation::Commit).chain(chained.then_some(Operation::Begin)).collect())
}

/// True when the statement has this option, and does not switch it off: `(FULL)`, `(CONCURRENTLY false)`.
fn is_on(statement: &Statement<'_>, option: &str) -> bool {
    let said = statement.tokens.iter().position(|token| token.text.eq_ignore_ascii_case(option));
    let off = |at: usize| {
        let value = statement.tokens.get(at + 1).map_or("", |token| token.text);
        ["false", "off", "0"].iter().any(|off| value.eq_ignore_ascii_case(off))
    };
    said.is_some_and(|at| !off(at))
}

/// What is done to rows.
fn rows(statement: &Statement<'_>) -> Vec<Operation> {
    let mut read = statement.read();
    if read.take(&["with"]) {
        read.skip_to(&["select", "insert", "update", "delete", "merge"]);
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

fn dropped(mut read: Reader<'_, '_>) -> Vec<Operation> {
    let other = |deed| vec![Operation::Other { deed, table: String::new() }];
    read.take(&["temporary"]);
    if read.take(&["table"]) {
        read.take(&["if", "exists"]);
        let mut tables = Vec::new();
        while let Some(table) = read.name() {
            tables.push(Operation::DropTable { table });
            if !read.take_sign(",") {
                break;
            }
        }
        return tables;
    }
    if read.take(&["index"]) {
        let concurrently = read.take(&["concurrently"]);
        let guarded = read.take(&["if", "exists"]);
        read.name();
        let table = if read.take(&["on"]) { read.name() } else { None };
        return vec![Operation::DropIndex { table, concurrently, guarded }];
    }
    if read.take(&["database"]) {
        return other(Deed::DropDatabase);
    }
    if read.take(&["schema"]) {
        return other(Deed::DropSchema);
    }
    if read.take(&["trigger"]) || read.take(&["policy"]) || read.take(&["rule"]) {
        return other(Deed::DropTrigger);
    }
    let objects = [
        "view",
        "materialized",
        "function",
        "procedure",
        "routine",
        "aggregate",
        "type",
        "domain",
        "sequence",
        "extension",
        "role",
        "user",
        "owned",
        "publication",
        "server",
        "foreign",
        "operator",
        "cast",
        "event",
    ];
    if objects.iter().any(|object| read.take(&[object])) {
        return other(Deed::DropObject);
    }
    vec![Operation::Unknown { schema: true }]
}

fn created(mut read: Reader<'_, '_>, statement: &Statement<'_>) -> Vec<Operation> {
    let other = |deed, table: Option<String>| vec![Operation::Other { deed, table: table.unwrap_or_default() }];
    let temporary = read.take(&["temporary"]) || read.take(&["temp"]);
    if temporary {
        let create = |table| Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false };
        return statement.created_table().map(create).into_iter().collect();
    }
    read.take(&["or", "replace"]);
    let unique = read.take(&["unique"]);
    for word in ["nonclustered", "clustered", "fulltext", "spatial"] {
        read.take(&[word]);
    }
    if read.take(&["index"]) {
        return created_index(read, unique, copies(statement)).into_iter().collect();
    }
    if read.take(&["domain"]) {
        let mut constrained = statement.read();
        let limits = ["check", "not", "constraint"].iter().any(|word| constrained.holds_anywhere(word));
        constrained.take(&["create"]);
        return if limits {
            other(Deed::CreateDomainWithConstraint, None)
        } else {
            vec![Operation::Unknown { schema: false }]
        };
    }
    if read.take(&["type"]) {
        read.name();
        return if read.take(&["as", "enum"]) {
            other(Deed::CreateEnum, None)
        } else {
            vec![Operation::Unknown { schema: false }]
        };
    }
    if read.take(&["materialized", "view"]) {
        read.take(&["if", "not", "exists"]);
        let create = |table| Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false };
        return read.name().map(create).into_iter().collect();
    }
    read.take(&["constraint"]);
    if read.take(&["trigger"]) {
        while !read.tokens.is_empty() && !read.take(&["on"]) {
            read.skip();
        }
        return other(Deed::CreateTrigger, read.name());
    }
    vec![Operation::Unknown { schema: false }]
}

/// True for a statement of MySQL that asks for what it need not do: to copy the table, or to lock it.
pub(super) fn copies(statement: &Statement<'_>) -> bool {
    let asked = |option: &str, values: &[&str]| {
        let at = statement.tokens.iter().position(|token| token.text.eq_ignore_ascii_case(option));
        let value = at.and_then(|at| statement.tokens[at + 1..].iter().find(|token| token.text != "="));
        value.is_some_and(|value| values.iter().any(|wanted| value.text.eq_ignore_ascii_case(wanted)))
    };
    asked("algorithm", &["copy"]) || asked("lock", &["shared", "exclusive"])
}

fn created_index(mut read: Reader<'_, '_>, unique: bool, blocks: bool) -> Option<Operation> {
    let concurrently = read.take(&["concurrently"]);
    let guarded = read.take(&["if", "not", "exists"]);
    if !read.take(&["on"]) {
        read.name()?;
        if !read.take(&["on"]) {
            return None;
        }
    }
    read.take(&["only"]);
    let table = read.name()?;
    if read.take(&["using"]) {
        read.name();
    }
    let columns = if read.take_sign("(") { read.parts() } else { 0 };
    Some(Operation::CreateIndex { table, index: Index { unique, concurrently, guarded, columns, blocks } })
}

fn altered(mut read: Reader<'_, '_>, statement: &Statement<'_>) -> Vec<Operation> {
    let other = |deed| vec![Operation::Other { deed, table: String::new() }];
    // These have settings and rights, and no rows that somebody waits for.
    if ["system", "role", "user", "group", "database", "default"].iter().any(|object| read.clone().take(&[object])) {
        return vec![Operation::Unknown { schema: false }];
    }
    let renames = statement.read().holds_anywhere("rename");
    if read.take(&["domain"]) {
        read.name();
        if read.take(&["add"]) {
            return other(Deed::AddDomainConstraint);
        }
        return if renames { other(Deed::RenameObject) } else { vec![Operation::Unknown { schema: true }] };
    }
    if read.take(&["type"]) {
        read.name();
        if read.take(&["add", "value"]) {
            let placed = statement.read().holds_anywhere("before") || statement.read().holds_anywhere("after");
            return other(if placed { Deed::AddEnumValue } else { Deed::AddEnumValueLast });
        }
        if read.take(&["alter", "attribute"]) {
            let column = read.name().unwrap_or_default();
            return vec![Operation::ChangeType { table: String::new(), column, to: Type::default(), from: None }];
        }
        if read.take(&["drop", "attribute"]) {
            return other(Deed::DropObject);
        }
    }
    if read.take(&["view"]) || read.take(&["materialized", "view"]) {
        read.take(&["if", "exists"]);
        let table = read.name().unwrap_or_default();
        if read.take(&["rename", "column"]) {
            return vec![Operation::RenameColumn { table, column: read.name().unwrap_or_default() }];
        }
    }
    if renames {
        return other(Deed::RenameObject);
    }
    if statement.read().holds_anywhere("schema") && statement.read().holds_anywhere("set") {
        return other(Deed::MoveSchema);
    }
    if statement.read().holds_anywhere("tablespace") {
        return other(Deed::MoveTablespace);
    }
    vec![Operation::Unknown { schema: true }]
}

/// `SET lock_timeout = '2s'`, `SELECT set_config('lock_timeout', '2s', true)`, `RESET ALL`.
fn setting(statement: &Statement<'_>) -> Vec<Operation> {
    let words: Vec<_> = statement.tokens.iter().filter(|token| token.kind != Kind::Sign).collect();
    let named = |name: &str| words.iter().position(|token| token.text.eq_ignore_ascii_case(name));
    let first = |word: &str| words.first().is_some_and(|token| token.text.eq_ignore_ascii_case(word));
    if (first("reset") || first("discard")) && named("all").is_some() {
        return vec![Operation::LockTimeout(false), Operation::StatementTimeout(false)];
    }
    // `SET a.lock_timeout` is a setting of somebody else.
    let dotted = statement.tokens.iter().any(|token| token.kind == Kind::Sign && token.text == ".");
    if dotted && first("set") {
        return vec![Operation::Unknown { schema: false }];
    }
    // RESET names no value, as if it were none. What is no number comes from elsewhere, and may be one.
    let limits = |at: usize, ms_max: f64| {
        let value = words[at + 1..].iter().find(|token| !token.text.eq_ignore_ascii_case("to"));
        value.is_some_and(|value| match milliseconds(value.text) {
            Some(ms) => ms > 0.0 && ms <= ms_max,
            None => !value.text.eq_ignore_ascii_case("default"),
        })
    };
    if let Some(at) = named("lock_timeout") {
        return vec![Operation::LockTimeout(limits(at, LOCK_TIMEOUT_MS_MAX))];
    }
    if let Some(at) = named("statement_timeout") {
        return vec![Operation::StatementTimeout(limits(at, f64::INFINITY))];
    }
    vec![Operation::Unknown { schema: false }]
}

/// A longer wait for a lock is as good as one without an end: whoever comes meanwhile waits behind it.
const LOCK_TIMEOUT_MS_MAX: f64 = 60_000.0;

/// A time as PostgreSQL's settings write it: a number, and its unit if that is not milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    let text = text.trim_matches('\'').trim();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some(number.trim().parse::<f64>().ok()? * unit)
}

/// Which database the SQL is written for, by what only one of them says.
pub(super) fn dialect(text: &str) -> Dialect {
    let statements = text.to_ascii_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| statements.contains(sign));
    if says(&["autoincrement", "pragma "]) {
        return Dialect::Sqlite;
    }
    if says(&["`", "engine=", "engine =", "auto_increment", "algorithm=inplace", "algorithm=instant"]) {
        return Dialect::Mysql;
    }
    if says(&["nvarchar", "nonclustered", "\ngo\n", "\ngo\r\n", "sp_rename"]) || statements.trim_end().ends_with("\ngo")
    {
        return Dialect::SqlServer;
    }
    Dialect::Postgres
}

#[cfg(test)]
mod tests;
