//! ALTER TABLE and CREATE TABLE in whatever dialect: by PostgreSQL's grammar (`tree`) where it fits, by the words otherwise.

use std::ops::Range;

use super::super::operation::{Column, Generated, Index, Operation, Type, Value};
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
    let foreign = foreign_actions(statement);
    if !foreign.is_empty() || is_foreign(statement) {
        let foreign = if foreign.is_empty() { fallback_actions(statement) } else { foreign };
        return foreign.into_iter().map(|operation| (range.clone(), operation)).collect();
    }
    let read = if tree::is_tame(statement) { tree::operations(&plain) } else { Vec::new() };
    if read.is_empty() {
        return fallback_actions(statement).into_iter().map(|operation| (range.clone(), operation)).collect();
    }
    read.into_iter().map(|(own, operation)| (shifted(own), operation)).collect()
}

/// MySQL's quotes as PostgreSQL writes them; of the same length, so that places stay.
fn postgres_quotes(text: &str) -> String {
    text.replace('`', "\"")
}

/// True for an ALTER TABLE that drops or adds what only MySQL or ClickHouse has there: the grammar would take the word for a column.
fn is_foreign(statement: &Statement<'_>) -> bool {
    let Some((_, actions)) = statement.altered_table() else { return false };
    if statement.read().holds_anywhere("auto_increment") {
        return true;
    }
    actions.into_iter().any(|mut action| {
        let kinds: &[&str] = if action.take(&["drop"]) {
            &["index", "key", "foreign", "primary", "check", "partition", "projection"]
        } else if action.take(&["add"]) {
            &["index", "key", "fulltext", "spatial", "partition", "projection"]
        } else {
            return false;
        };
        // A column may be called so: then what follows is its type, or nothing.
        let is_kind = kinds.iter().any(|kind| action.take(&[kind]));
        is_kind && action.tokens.first().is_some_and(|token| token.kind != Kind::Sign || token.text == "(")
    })
}

/// What only MySQL says: `CHANGE a b type`, `MODIFY a type`, `RENAME a`, `RENAME AS a`.
fn foreign_actions(statement: &Statement<'_>) -> Vec<Operation> {
    let Some((table, actions)) = statement.altered_table() else { return Vec::new() };
    let mut operations = Vec::new();
    for mut action in actions {
        if let Some(to) = new_table_name(action.clone()) {
            operations.push(Operation::RenameTable { table: table.clone(), to });
            continue;
        }
        if let Some(operation) = renamed_index(action.clone()) {
            operations.push(operation);
            continue;
        }
        let changes = action.take(&["change"]);
        if !changes && !action.take(&["modify"]) {
            continue;
        }
        action.take(&["column"]);
        let Some(column) = action.name() else { continue };
        if changes {
            let renamed = action.name().is_some_and(|to| to != column);
            if renamed {
                operations.push(Operation::RenameColumn { table: table.clone(), column: column.clone() });
                continue;
            }
        }
        let to = action.clone().name().map(|name| Type::of(&name)).unwrap_or_default();
        operations.push(Operation::ChangeType { table: table.clone(), column: column.clone(), to, from: None });
        if action.holds("not") && !action.holds("default") {
            operations.push(Operation::SetNotNull { table: table.clone(), column });
        }
    }
    operations
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

/// What can be told of an ALTER TABLE that the grammar does not know, or that is too long for it.
fn fallback_actions(statement: &Statement<'_>) -> Vec<Operation> {
    let Some((table, actions)) = statement.altered_table() else { return Vec::new() };
    let mut operations = Vec::new();
    for mut action in actions {
        if action.take(&["drop", "constraint"]) || action.take(&["drop", "foreign", "key"]) {
            action.take(&["if", "exists"]);
            operations
                .push(Operation::DropConstraint { table: table.clone(), name: action.name().unwrap_or_default() });
        } else if sql::drops_column(action.clone()) {
            operations.push(Operation::DropColumn { table: table.clone(), column: String::new() });
        } else if action.take(&["add"]) {
            if (action.clone().take(&["index"]) || action.clone().take(&["key"])) && copies(statement) {
                let index = Index { columns: 1, blocks: true, ..Index::default() };
                operations.push(Operation::CreateIndex { table: table.clone(), index });
            }
            if ["constraint", "index", "key", "unique", "primary", "foreign", "check", "fulltext"]
                .iter()
                .any(|word| action.take(&[word]))
            {
                continue;
            }
            action.take(&["column"]);
            action.take(&["if", "not", "exists"]);
            // Of `ADD (a int, b int)` the first is read.
            action.take_sign("(");
            let Some(name) = action.name() else { continue };
            let default = if action.holds("default") { Value::Same } else { Value::None };
            let counts = action.holds("identity") || action.holds("auto_increment");
            let generated = if counts { Generated::Identity } else { Generated::No };
            let column = Column { name, not_null: action.holds("not"), default, generated, ..Column::default() };
            operations.push(Operation::AddColumn { table: table.clone(), column });
        } else {
            operations.push(Operation::Unknown { schema: true });
        }
    }
    operations
}
