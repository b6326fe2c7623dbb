//! What the methods of Active Record's migrations do, as operations.

use super::super::super::operation::{
    Column, Constraint, ConstraintKind, Deed, Generated, Index, Operation, Type, Value,
};
use super::super::calls::{Arguments, literal};
use super::super::values;

/// The type at a place of the arguments, with its limits.
pub(super) fn column_type(arguments: &Arguments<'_>, place: usize) -> Type {
    let mut ty = Type::of(arguments.place(place).unwrap_or(""));
    let number = |name: &str| arguments.named(name).and_then(|number| number.parse().ok());
    if ty.arguments.is_empty() {
        ty.arguments = ["limit", "precision", "scale"].iter().filter_map(|name| number(name)).collect();
    }
    ty.array = arguments.says("array", "true");
    ty
}

fn default_value(arguments: &Arguments<'_>, ty: &Type) -> Value {
    match arguments.named("default") {
        None | Some("nil") => Value::None,
        Some(text) if text.starts_with("->") || text.starts_with("proc") || text.starts_with("lambda") => {
            let inner = text.find(['"', '\'']).and_then(|start| {
                let end = text.rfind(['"', '\'']).filter(|end| *end > start)?;
                Some(&text[start + 1..end])
            });
            inner.map_or(Value::Unknown, values::of_sql)
        }
        // Rails quotes a string, but not for a uuid.
        Some(text) if ty.name == "uuid" && text.contains("()") => values::of_sql(literal(text)),
        Some(_) => Value::Same,
    }
}

fn new_column(name: &str, arguments: &Arguments<'_>, type_place: usize) -> Column {
    let ty = column_type(arguments, type_place);
    let generated = match (ty.name.as_str(), arguments.says("stored", "true")) {
        ("virtual", true) => Generated::Stored,
        ("virtual", false) => Generated::Virtual,
        _ => Generated::No,
    };
    let default = default_value(arguments, &ty);
    let not_null = arguments.says("null", "false");
    Column { name: name.to_owned(), ty, not_null, default, generated, ..Column::default() }
}

/// What a call on the migration does.
pub(super) fn operations(method: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let place = |number| arguments.place(number).unwrap_or("").to_owned();
    let table = place(0);
    match method {
        "create_table" => {
            let replaces = arguments.named("force").is_some_and(|force| !matches!(force, "false" | "nil"));
            let key = arguments
                .named("id")
                .map(|key| Type::of(literal(key.split("type:").nth(1).unwrap_or(key).trim_matches(['{', '}', ' ']))))
                .filter(|key| !matches!(key.name.as_str(), "false" | ""));
            let key = key.map(|ty| Column { name: "id".to_owned(), ty, primary: true, ..Column::default() });
            vec![Operation::CreateTable { table, columns: key.into_iter().collect(), references: vec![], replaces }]
        }
        "create_join_table" => {
            let replaces = arguments.named("force").is_some_and(|force| !matches!(force, "false" | "nil"));
            let mut names = [table, place(1)];
            names.sort();
            let table = arguments.named("table_name").map_or_else(|| names.join("_"), |name| literal(name).to_owned());
            vec![Operation::CreateTable { table, columns: vec![], references: vec![], replaces }]
        }
        "drop_table" => {
            arguments.places.iter().map(|name| Operation::DropTable { table: literal(name.text).to_owned() }).collect()
        }
        "rename_table" => vec![Operation::RenameTable { table, to: place(1) }],
        "revert" if !table.is_empty() => vec![Operation::Other { deed: Deed::Revert, table: String::new() }],
        "rename_enum_value" | "rename_enum" | "rename_schema" => {
            vec![Operation::Other { deed: Deed::RenameObject, table: String::new() }]
        }
        "drop_schema" => vec![Operation::Other { deed: Deed::DropSchema, table: String::new() }],
        "drop_enum" | "disable_extension" => vec![Operation::Other { deed: Deed::DropObject, table: String::new() }],
        "create_enum" => vec![Operation::Other { deed: Deed::CreateEnum, table: String::new() }],
        "validate_foreign_key"
        | "validate_check_constraint"
        | "validate_constraint"
        | "validate_not_null_constraint"
        | "validate_text_limit_constraint" => {
            let name = arguments.named("name").map(literal).unwrap_or("").to_owned();
            let name = if method == "validate_constraint" { place(1) } else { name };
            vec![Operation::ValidateConstraint { table, name }]
        }
        _ => on_table(&table, method, arguments, 1),
    }
}

/// The table that a call in the block of `create_table` makes the new one refer to.
pub(super) fn in_new_table(method: &str, arguments: &Arguments<'_>) -> Option<String> {
    let name = arguments.place(0)?.to_owned();
    let key = arguments.named("foreign_key").filter(|key| !matches!(*key, "false" | "nil"));
    match method {
        "references" | "belongs_to" => {
            let other = key?.split("to_table:").nth(1).map(|rest| rest.split([',', '}']).next().unwrap_or(""));
            Some(other.map_or(name, |other| literal(other).to_owned()))
        }
        "foreign_key" => Some(name),
        _ => None,
    }
}

/// What a call in the block of `change_table` does.
pub(super) fn in_table(table: &str, method: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let method = match method {
        "remove" => "remove_columns",
        "rename" => "rename_column",
        "change" => "change_column",
        "change_default" => "change_column_default",
        "change_null" => "change_column_null",
        "index" => "add_index",
        "references" | "belongs_to" => "add_reference",
        "foreign_key" => "add_foreign_key",
        "check_constraint" => "add_check_constraint",
        "exclusion_constraint" => "add_exclusion_constraint",
        "unique_constraint" => "add_unique_constraint",
        "timestamps" => "add_timestamps",
        "column" => "add_column",
        other => other,
    };
    let known = on_table(table, method, arguments, 0);
    let is_type =
        ["json", "jsonb", "string", "text", "integer", "bigint", "boolean", "datetime", "uuid", "virtual", "decimal"];
    if known.is_empty() && is_type.contains(&method) {
        let mut column = new_column(arguments.place(0).unwrap_or(""), arguments, usize::MAX);
        column.ty = Type::of(method);
        if method == "virtual" && arguments.says("stored", "true") {
            column.generated = Generated::Stored;
        }
        return vec![Operation::AddColumn { table: table.to_owned(), column }];
    }
    known
}

/// What a call does to `table`; its other arguments begin at `first`.
fn on_table(table: &str, method: &str, arguments: &Arguments<'_>, first: usize) -> Vec<Operation> {
    let table = table.to_owned();
    let place = |number: usize| arguments.place(first + number).unwrap_or("").to_owned();
    let constraint = |kind, name: String, validated| Constraint {
        name,
        kind,
        validated,
        from_index: arguments.named("using_index").is_some(),
    };
    let validated = !arguments.says("validate", "false");
    let name = arguments.named("name").map(literal).unwrap_or("").to_owned();
    match method {
        "add_column" => vec![Operation::AddColumn { table, column: new_column(&place(0), arguments, first + 1) }],
        "add_timestamps" => {
            vec![Operation::AddColumn { table, column: new_column("created_at", arguments, usize::MAX) }]
        }
        "remove_column" | "remove_columns" => {
            let count = if method == "remove_column" { 1 } else { usize::MAX };
            let columns = arguments.places.iter().skip(first).take(count);
            columns
                .map(|column| Operation::DropColumn { table: table.clone(), column: literal(column.text).to_owned() })
                .collect()
        }
        "remove_timestamps" | "remove_reference" | "remove_belongs_to" => {
            vec![Operation::DropColumn { table, column: place(0) }]
        }
        "rename_column" => vec![Operation::RenameColumn { table, column: place(0) }],
        "change_column" => {
            let column = place(0);
            let change = Operation::ChangeType {
                table: table.clone(),
                column: column.clone(),
                to: column_type(arguments, first + 1),
                from: None,
            };
            let not_null = arguments.says("null", "false").then_some(Operation::SetNotNull { table, column });
            std::iter::once(change).chain(not_null).collect()
        }
        "change_column_default" => vec![Operation::SetDefault { table, column: place(0) }],
        "change_column_null" if place(1) == "false" => vec![Operation::SetNotNull { table, column: place(0) }],
        "change_column_null" => vec![Operation::DropNotNull { table, column: place(0) }],
        "add_index" => {
            let columns =
                arguments.places.get(first).map_or(1, |columns| columns.text.matches([':', '"', '\'']).count());
            let index = Index {
                unique: arguments.says("unique", "true"),
                concurrently: arguments.says("algorithm", ":concurrently"),
                guarded: arguments.says("if_not_exists", "true"),
                columns,
                blocks: blocks(arguments),
            };
            vec![Operation::CreateIndex { table, index }]
        }
        "remove_index" => {
            let concurrently = arguments.says("algorithm", ":concurrently");
            vec![Operation::DropIndex {
                table: Some(table),
                concurrently,
                guarded: arguments.says("if_exists", "true"),
            }]
        }
        "add_reference" | "add_belongs_to" => added_reference(&table, &place(0), arguments),
        "add_foreign_key" => vec![Operation::AddConstraint {
            table,
            constraint: constraint(ConstraintKind::ForeignKey, name, validated),
        }],
        "add_check_constraint" => {
            let kind = values::not_null_column(&place(0)).map_or(ConstraintKind::Check, ConstraintKind::NotNull);
            vec![Operation::AddConstraint { table, constraint: constraint(kind, name, validated) }]
        }
        "remove_check_constraint" => vec![Operation::DropConstraint { table, name }],
        "add_not_null_constraint" => vec![Operation::AddConstraint {
            table,
            constraint: constraint(ConstraintKind::NotNull(place(0)), name, validated),
        }],
        "add_text_limit_constraint" => {
            vec![Operation::AddConstraint { table, constraint: constraint(ConstraintKind::Check, name, validated) }]
        }
        "add_exclusion_constraint" => {
            vec![Operation::AddConstraint { table, constraint: constraint(ConstraintKind::Exclusion, name, true) }]
        }
        "add_unique_constraint" => {
            vec![Operation::AddConstraint { table, constraint: constraint(ConstraintKind::Unique, name, true) }]
        }
        _ => Vec::new(),
    }
}

/// True for options of MySQL that ask for what it need not do: to copy the table, or to lock it.
fn blocks(arguments: &Arguments<'_>) -> bool {
    arguments.says("algorithm", ":copy") || arguments.says("lock", ":shared") || arguments.says("lock", ":exclusive")
}

/// A reference is a column, an index unless told otherwise, and a foreign key if told so.
fn added_reference(table: &str, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let table = table.to_owned();
    let mut column = new_column(&format!("{name}_id"), arguments, usize::MAX);
    column.ty = Type::of("bigint");
    let mut operations = vec![Operation::AddColumn { table: table.clone(), column }];
    let index = arguments.named("index").unwrap_or("true");
    if !matches!(index, "false" | "nil") {
        let concurrently = index.contains(":concurrently");
        let blocks = ["algorithm: :copy", "lock: :shared", "lock: :exclusive"].iter().any(|sign| index.contains(sign));
        let index = Index { unique: index.contains("unique: true"), concurrently, guarded: false, columns: 1, blocks };
        operations.push(Operation::CreateIndex { table: table.clone(), index });
    }
    if let Some(key) = arguments.named("foreign_key").filter(|key| !matches!(*key, "false" | "nil")) {
        let validated = !key.contains("validate: false");
        if validated {
            operations.push(Operation::Other { deed: Deed::AddReferenceWithKey, table: table.clone() });
        }
        let constraint =
            Constraint { name: String::new(), kind: ConstraintKind::ForeignKey, validated, from_index: false };
        operations.push(Operation::AddConstraint { table, constraint });
    }
    operations
}
