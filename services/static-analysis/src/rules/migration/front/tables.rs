//! ALTER TABLE and CREATE TABLE in whatever dialect: by PostgreSQL's grammar (`tree`) where it fits, by the words otherwise.

use std::ops::Range;

use super::super::operation::{Column, Constraint, ConstraintKind, Deed, Generated, Index, Operation, Type, Value};
use super::super::sql::{self, Kind, Statement};
use super::sql::copies;
use super::tree;

/// ALTER TABLE and CREATE TABLE. The grammar is PostgreSQL's, so that what only other databases say is read beside it.
pub(super) fn read_table(text: &str, statement: &Statement<'_>, is_alter: bool) -> Vec<(Range<usize>, Operation)> {
    let range = statement.range();
    let plain = postgres_quotes(&text[range.clone()]);
    let shifted = |own: Range<usize>| range.start + own.start..range.start + own.end;
    if !is_alter {
        let read = if tree::is_tame(statement) { tree::operations(&plain) } else { Vec::new() };
        if read.is_empty() {
            let create = |table| Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false };
            return statement.created_table().map(|table| (range.clone(), create(table))).into_iter().collect();
        }
        return read.into_iter().map(|(own, operation)| (shifted(own), operation)).collect();
    }
    if is_foreign(statement) {
        return by_words(statement).into_iter().map(|operation| (range.clone(), operation)).collect();
    }
    let read = if tree::is_tame(statement) { tree::operations(&plain) } else { Vec::new() };
    if read.is_empty() {
        return by_words(statement).into_iter().map(|operation| (range.clone(), operation)).collect();
    }
    read.into_iter().map(|(own, operation)| (shifted(own), operation)).collect()
}

/// MySQL's quotes as PostgreSQL writes them; of the same length, so that places stay.
fn postgres_quotes(text: &str) -> String {
    text.replace('`', "\"")
}

/// True for an ALTER TABLE that does, drops or adds what only MySQL or ClickHouse has there: the grammar would take the word for a column.
fn is_foreign(statement: &Statement<'_>) -> bool {
    let Some((table, actions)) = statement.altered_table() else { return false };
    if statement.read().holds_anywhere("auto_increment") || statement.read().take(&["alter", "ignore"]) {
        return true;
    }
    actions.into_iter().any(|mut action| {
        if foreign_action(&table, action.clone()).is_some() {
            return true;
        }
        let kinds: &[&str] = if action.take(&["drop"]) {
            &["index", "key", "foreign", "primary", "check", "partition", "projection"]
        } else if action.take(&["add"]) {
            action.take(&["column"]);
            // More columns than one, in brackets.
            if action.clone().take_sign("(") {
                return true;
            }
            &["index", "key", "fulltext", "spatial", "partition", "projection"]
        } else {
            return false;
        };
        // A column may be called so: then what follows is its type, or nothing.
        let is_kind = kinds.iter().any(|kind| action.take(&[kind]));
        is_kind && action.tokens.first().is_some_and(|token| token.kind != Kind::Sign || token.text == "(")
    })
}

/// What an ALTER TABLE does, word by word: one that the grammar does not know, or that is too long for it.
fn by_words(statement: &Statement<'_>) -> Vec<Operation> {
    let Some((table, actions)) = statement.altered_table() else { return Vec::new() };
    let each = actions.into_iter().flat_map(|action| {
        foreign_action(&table, action.clone()).unwrap_or_else(|| known_action(&table, action, copies(statement)))
    });
    each.collect()
}

/// What only MySQL says: `CHANGE a b type`, `MODIFY a type`, `RENAME a`, `RENAME AS a`, `ENGINE = a`, `DROP PARTITION a`.
fn foreign_action(table: &str, mut action: sql::Reader<'_, '_>) -> Option<Vec<Operation>> {
    let table = table.to_owned();
    if let Some(to) = new_table_name(action.clone()) {
        return Some(vec![Operation::RenameTable { table, to }]);
    }
    if let Some(operation) = renamed_index(action.clone()) {
        return Some(vec![operation]);
    }
    if copies_table(action.clone()) {
        return Some(vec![Operation::Other { deed: Deed::CopyTable, table }]);
    }
    let partition = action.clone().take(&["drop", "partition"]) || action.clone().take(&["truncate", "partition"]);
    if partition && action.tokens.len() > 2 {
        return Some(vec![Operation::Other { deed: Deed::DropPartition, table }]);
    }
    if let Some(operations) = altered_column(&table, action.clone()) {
        return Some(operations);
    }
    let changes = action.take(&["change"]);
    if !changes && !action.take(&["modify"]) {
        return None;
    }
    action.take(&["column"]);
    let column = action.name()?;
    if changes && action.name().is_some_and(|to| to != column) {
        return Some(vec![Operation::RenameColumn { table, column }]);
    }
    let to = action.clone().name().map(|name| Type::of(&name)).unwrap_or_default();
    let mut operations = vec![Operation::ChangeType { table: table.clone(), column: column.clone(), to, from: None }];
    if action.holds("not") && !action.holds("default") {
        operations.push(Operation::SetNotNull { table, column });
    }
    Some(operations)
}

/// SQL Server's `ALTER COLUMN a bigint NOT NULL`: in others, a verb follows the name.
fn altered_column(table: &str, mut action: sql::Reader<'_, '_>) -> Option<Vec<Operation>> {
    if !action.take(&["alter", "column"]) {
        return None;
    }
    let (table, column) = (table.to_owned(), action.name()?);
    let verbs = ["set", "drop", "type", "add", "reset", "restart", "options"];
    if action.tokens.first()?.kind == Kind::Sign || verbs.iter().any(|verb| action.clone().take(&[verb])) {
        return None;
    }
    let to = action.clone().name().map(|name| Type::of(&name)).unwrap_or_default();
    let changed = Operation::ChangeType { table: table.clone(), column: column.clone(), to, from: None };
    let required = action.holds("not").then_some(Operation::SetNotNull { table, column });
    Some(std::iter::once(changed).chain(required).collect())
}

/// True for what has MySQL write the table anew: `ENGINE = InnoDB`, `FORCE`, `CONVERT TO CHARACTER SET …`, `PARTITION BY …`.
fn copies_table(mut action: sql::Reader<'_, '_>) -> bool {
    let takes = |words: &[&str]| action.clone().take(words);
    if takes(&["convert", "to"]) || takes(&["partition", "by"]) || takes(&["remove", "partitioning"]) {
        return true;
    }
    if action.take(&["force"]) {
        return action.tokens.first().is_none_or(|token| token.text == ",");
    }
    (action.take(&["engine"]) || action.take(&["row_format"])) && (action.take_sign("=") || action.name().is_some())
}

/// The name that MySQL's `RENAME a` gives the table: in PostgreSQL, another name follows.
fn new_table_name(mut action: sql::Reader<'_, '_>) -> Option<String> {
    if !action.take(&["rename"]) || action.clone().take(&["to"]) {
        return None;
    }
    let says = action.take(&["as"]) || action.take_sign("=");
    action.name().filter(|_| says || action.tokens.is_empty())
}

/// MySQL's `RENAME INDEX a TO b`, by which nobody asks; a column may be called so, and then TO follows.
fn renamed_index(mut action: sql::Reader<'_, '_>) -> Option<Operation> {
    let is_index = action.take(&["rename"]) && (action.take(&["index"]) || action.take(&["key"]));
    (is_index && !action.take(&["to"]) && action.name().is_some()).then_some(Operation::Unknown { schema: true })
}

/// An action as every dialect has it.
fn known_action(table: &str, mut action: sql::Reader<'_, '_>, copies: bool) -> Vec<Operation> {
    let table = table.to_owned();
    if action.take(&["drop", "constraint"]) || action.take(&["drop", "foreign", "key"]) {
        action.take(&["if", "exists"]);
        return vec![Operation::DropConstraint { table, name: action.name().unwrap_or_default() }];
    }
    if action.take(&["drop", "primary", "key"]) {
        return vec![Operation::DropConstraint { table, name: String::new() }];
    }
    if sql::drops_column(action.clone()) {
        return vec![Operation::DropColumn { table, column: String::new() }];
    }
    if !action.take(&["add"]) {
        return vec![Operation::Unknown { schema: true }];
    }
    if let Some(constraint) = added_constraint(action.clone()) {
        return vec![Operation::AddConstraint { table, constraint }];
    }
    if ["index", "key", "fulltext", "spatial"].iter().any(|word| action.take(&[word])) {
        let index = Index { columns: 1, blocks: true, ..Index::default() };
        return copies.then_some(Operation::CreateIndex { table, index }).into_iter().collect();
    }
    if ["constraint", "partition", "projection"].iter().any(|word| action.take(&[word])) {
        return Vec::new();
    }
    action.take(&["column"]);
    action.take(&["if", "not", "exists"]);
    let mut columns = Vec::new();
    // `ADD (a int, b int)`
    let many = action.take_sign("(");
    while let Some(name) = action.name() {
        columns.push(Operation::AddColumn { table: table.clone(), column: added_column(name, &action) });
        action.skip_part();
        if !many || !action.take_sign(",") {
            break;
        }
    }
    columns
}

/// A column as the words behind its name make it.
fn added_column(name: String, read: &sql::Reader<'_, '_>) -> Column {
    let default = if read.holds("default") { Value::Same } else { Value::None };
    let counts = read.holds("identity") || read.holds("auto_increment");
    let generated = if counts { Generated::Identity } else { Generated::No };
    Column { name, not_null: read.holds("not"), default, generated, ..Column::default() }
}

/// `CONSTRAINT a FOREIGN KEY …`, `UNIQUE KEY a (b)`, `CHECK (…)`, behind the ADD.
fn added_constraint(mut read: sql::Reader<'_, '_>) -> Option<Constraint> {
    let name = if read.take(&["constraint"]) {
        let is_named = !["foreign", "unique", "primary", "check"].iter().any(|word| read.clone().take(&[word]));
        if is_named { read.name().unwrap_or_default() } else { String::new() }
    } else {
        String::new()
    };
    let kind = if read.take(&["foreign", "key"]) {
        ConstraintKind::ForeignKey
    } else if read.take(&["primary", "key"]) {
        ConstraintKind::Primary
    } else if read.take(&["unique"]) {
        ConstraintKind::Unique
    } else if read.take(&["check"]) {
        ConstraintKind::Check
    } else {
        return None;
    };
    Some(Constraint { name, kind, validated: true, from_index: false })
}
