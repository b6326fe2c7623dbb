//! SQL in operations. Tables are read by PostgreSQL's grammar (`tree`); the other statements say what they do in their first
//! words. What is not understood says nothing, in whatever dialect it is.

use super::super::operation::{Deed, Dialect, Index, Operation, Script, Type};
use super::super::sql::{self, Kind, Reader, Statement};
use super::tables::read_table;

mod dynamic;
mod plain;
mod rows;
mod settings;

use rows::rows;
use settings::setting;

/// Adds what the SQL in `text` does; `offset` is where the text begins in the file.
pub(super) fn read(text: &str, offset: usize, script: &mut Script) {
    read_body(text, offset, script, Body::Script);
}

fn read_body(text: &str, offset: usize, script: &mut Script, body: Body) {
    let text = &*plain::plain(text);
    for statement in sql::statements(text) {
        read_statement(text, offset, &statement, script, body);
    }
}

/// Where a statement stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Script,
    /// In the body of a DO block, where BEGIN and END are brackets.
    Block,
    /// In what a statement runs: what that runs in turn is not read, or a text could nest as deep as it likes.
    Run,
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
    // In SQL Server, what follows a condition.
    if body == Body::Script && read.take(&["if"]) {
        read.skip_to(&["drop", "alter", "create", "truncate", "delete", "update", "exec"]);
        if !read.tokens.is_empty() {
            let tokens = read.tokens.to_vec();
            read_statement(text, offset, &Statement { tokens }, script, body);
        }
        return;
    }
    let is_alter = Statement::alters_table(&mut statement.read());
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
    let run = if body == Body::Run { None } else { dynamic::operations(statement) };
    let operations = run.unwrap_or_else(|| simple(statement, script.is_open(), body));
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
    let literal = statement.tokens.iter().find(|token| token.kind == Kind::Literal);
    let Some((start, inner)) = literal.and_then(|literal| dynamic::body(text, literal)) else { return };
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
        return renamed_tables(read);
    }
    if body == Body::Script
        && let Some(table) = selected_into(&read)
    {
        return vec![Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false }];
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
    if read.take(&["optimize", "table"]) {
        return other(Deed::CopyTable, read.name());
    }
    if read.take(&["lock"]) {
        read.take(&["table"]);
        read.take(&["only"]);
        return other(Deed::LockTable, read.name());
    }
    rows(statement)
}

/// `RENAME TABLE a TO b, c TO d`, as MySQL says it.
fn renamed_tables(mut read: Reader<'_, '_>) -> Vec<Operation> {
    let mut renamed = Vec::new();
    while let Some(table) = read.name() {
        let to = if read.take(&["to"]) { read.name() } else { None };
        renamed.push(Operation::RenameTable { table, to: to.unwrap_or_default() });
        if !read.take_sign(",") {
            break;
        }
    }
    renamed
}

/// The table that `SELECT … INTO a FROM b` makes.
fn selected_into(read: &Reader<'_, '_>) -> Option<String> {
    let mut read = read.clone();
    if !read.take(&["select"]) {
        return None;
    }
    read.skip_to(&["into", "from"]);
    if !read.take(&["into"]) {
        return None;
    }
    for word in ["temporary", "temp", "unlogged", "table"] {
        read.take(&[word]);
    }
    read.name().filter(|_| read.holds_anywhere("from"))
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
    let columns = read.clone().take(&["owned"])
        || read.holds_anywhere("cascade")
            && ["type", "domain", "extension"].iter().any(|object| read.clone().take(&[object]));
    if columns {
        return other(Deed::DropWithColumns);
    }
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
    if read.take(&["view"]) || read.take(&["recursive", "view"]) {
        return read.name().map(|view| Operation::CreateView { view }).into_iter().collect();
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
    // Of a partitioned table alone, which holds no rows: each partition's index is built and attached later.
    if read.take(&["only"]) {
        return Some(Operation::Unknown { schema: true });
    }
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
