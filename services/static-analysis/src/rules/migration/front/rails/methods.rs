//! What the methods of Active Record's migrations do, as operations.

use super::super::super::operation::{
    Column, Constraint, ConstraintKind, Deed, Generated, Index, Operation, Type, Value,
};
use super::super::calls::{Arguments, Value as Argument, literal};
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
            match inner.map_or(Value::Unknown, values::of_sql) {
                Value::Same if inner.is_some_and(|inner| inner.trim_start().starts_with('(')) => Value::Bracketed,
                value => value,
            }
        }
        // Rails quotes a string, but not for a uuid.
        Some(text) if ty.name == "uuid" && text.contains("()") => values::of_sql(literal(text)),
        Some(_) => Value::Same,
    }
}

fn new_column(name: &str, arguments: &Arguments<'_>, type_place: usize) -> Column {
    column_of(name, column_type(arguments, type_place), arguments)
}

fn column_of(name: &str, ty: Type, arguments: &Arguments<'_>) -> Column {
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
            vec![Operation::CreateTable { table: join_table(arguments), columns: vec![], references: vec![], replaces }]
        }
        "drop_join_table" => vec![Operation::DropTable { table: join_table(arguments) }],
        "drop_table" => {
            arguments.places.iter().map(|name| Operation::DropTable { table: literal(name.text).to_owned() }).collect()
        }
        "rename_table" => vec![Operation::RenameTable { table, to: place(1) }],
        "revert" if !table.is_empty() => vec![Operation::Other { deed: Deed::Revert, table: String::new() }],
        "rename_enum_value" | "rename_enum" | "rename_schema" => {
            vec![Operation::Other { deed: Deed::RenameObject, table: String::new() }]
        }
        "truncate" => vec![Operation::Other { deed: Deed::Truncate, table }],
        "truncate_tables" => {
            let of =
                |name: &Argument<'_>| Operation::Other { deed: Deed::Truncate, table: literal(name.text).to_owned() };
            arguments.places.iter().map(of).collect()
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

/// What it destroys to take a call back.
pub(super) fn taken_back(method: &str, arguments: &Arguments<'_>) -> Option<Operation> {
    let table = arguments.place(0)?.to_owned();
    let column = arguments.place(1).unwrap_or("").to_owned();
    match method {
        "create_table" => Some(Operation::DropTable { table }),
        "create_join_table" => Some(Operation::DropTable { table: join_table(arguments) }),
        "add_column" => Some(Operation::DropColumn { table, column }),
        "add_reference" | "add_belongs_to" => Some(Operation::DropColumn { table, column: column + "_id" }),
        _ => None,
    }
}

/// The name of the table between two others.
fn join_table(arguments: &Arguments<'_>) -> String {
    let mut names = [arguments.place(0).unwrap_or(""), arguments.place(1).unwrap_or("")];
    names.sort_unstable();
    arguments.named("table_name").map_or_else(|| names.join("_"), |name| literal(name).to_owned())
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
        "remove_references" | "remove_belongs_to" => "remove_reference",
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
    if TYPES.contains(&method) {
        typed_columns(table, method, arguments)
    } else {
        on_table(table, method, arguments, 0)
    }
}

/// The types that a table's block has a method for.
const TYPES: &[&str] = &[
    "bigint",
    "bigserial",
    "binary",
    "blob",
    "boolean",
    "cidr",
    "citext",
    "date",
    "datetime",
    "decimal",
    "float",
    "hstore",
    "inet",
    "integer",
    "interval",
    "json",
    "jsonb",
    "money",
    "numeric",
    "primary_key",
    "serial",
    "string",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "virtual",
    "xml",
];

/// `t.string :a, :b, null: false, index: true`
fn typed_columns(table: &str, ty: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let mut operations = Vec::new();
    for place in &arguments.places {
        let column = column_of(
            literal(place.text),
            Type { name: Type::of(ty).name, ..column_type(arguments, usize::MAX) },
            arguments,
        );
        operations.push(Operation::AddColumn { table: table.to_owned(), column });
        operations.extend(index_option(table, arguments, "false"));
    }
    operations
}

/// The index that the option `index` asks for, or `unless_said` where it is left out.
fn index_option(table: &str, arguments: &Arguments<'_>, unless_said: &str) -> Option<Operation> {
    let index = arguments.named("index").unwrap_or(unless_said);
    if matches!(index, "false" | "nil") {
        return None;
    }
    let concurrently = index.contains("concurrently");
    let blocks = ["algorithm: :copy", "lock: :shared", "lock: :exclusive"].iter().any(|sign| index.contains(sign));
    let index = Index { unique: index.contains("unique: true"), concurrently, guarded: false, columns: 1, blocks };
    Some(Operation::CreateIndex { table: table.to_owned(), index })
}

/// What a call does to `table`; its other arguments begin at `first`.
fn on_table(table: &str, method: &str, arguments: &Arguments<'_>, first: usize) -> Vec<Operation> {
    let table = table.to_owned();
    let place = |number: usize| arguments.place(first + number).unwrap_or("").to_owned();
    match method {
        "add_column" => vec![Operation::AddColumn { table, column: new_column(&place(0), arguments, first + 1) }],
        // A helper of online_migrations, which sets the default afterwards.
        "add_column_with_default" => {
            let column = Column { default: Value::Same, ..new_column(&place(0), arguments, first + 1) };
            vec![Operation::AddColumn { table, column }]
        }
        "add_columns" => {
            let ty = Type::of(arguments.named("type").map_or("", literal));
            let names = arguments.places.iter().skip(first).map(|name| literal(name.text));
            names
                .map(|name| Operation::AddColumn {
                    table: table.clone(),
                    column: column_of(name, ty.clone(), arguments),
                })
                .collect()
        }
        "add_timestamps" => {
            let mut column = new_column("created_at", arguments, usize::MAX);
            column.not_null |= !arguments.says("null", "true");
            vec![Operation::AddColumn { table, column }]
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
        "add_index" => vec![Operation::CreateIndex { table, index: added_index(arguments, first) }],
        "remove_index" => {
            vec![Operation::DropIndex {
                table: Some(table),
                concurrently: is_concurrent(arguments),
                guarded: arguments.says("if_exists", "true"),
            }]
        }
        "add_reference" | "add_belongs_to" => added_reference(&table, &place(0), arguments),
        "remove_check_constraint" => {
            let name = arguments.named("name").map(literal).unwrap_or("").to_owned();
            vec![Operation::DropConstraint { table, name }]
        }
        _ => added_constraint(table, method, arguments, first).into_iter().collect(),
    }
}

fn added_constraint(table: String, method: &str, arguments: &Arguments<'_>, first: usize) -> Option<Operation> {
    let what = arguments.place(first).unwrap_or("");
    let kind = match method {
        "add_foreign_key" => ConstraintKind::ForeignKey,
        "add_check_constraint" => values::not_null_column(what).map_or(ConstraintKind::Check, ConstraintKind::NotNull),
        "add_not_null_constraint" => ConstraintKind::NotNull(what.to_owned()),
        "add_text_limit_constraint" => ConstraintKind::Check,
        "add_exclusion_constraint" => ConstraintKind::Exclusion,
        "add_unique_constraint" => ConstraintKind::Unique,
        _ => return None,
    };
    let constraint = Constraint {
        name: arguments.named("name").map(literal).unwrap_or("").to_owned(),
        kind,
        validated: !arguments.says("validate", "false"),
        from_index: arguments.named("using_index").is_some(),
    };
    Some(Operation::AddConstraint { table, constraint })
}

fn added_index(arguments: &Arguments<'_>, first: usize) -> Index {
    Index {
        unique: arguments.says("unique", "true"),
        concurrently: is_concurrent(arguments),
        guarded: arguments.says("if_not_exists", "true"),
        columns: arguments.places.get(first).map_or(1, |columns| count(columns.text)),
        blocks: blocks(arguments),
    }
}

/// True when the index is built or dropped beside the traffic, the options in brackets of their own or not.
fn is_concurrent(arguments: &Arguments<'_>) -> bool {
    let algorithm = arguments.named("algorithm").map(literal);
    let bracketed = |value: &Argument<'_>| value.text.contains('{') && value.text.contains("algorithm: :concurrently");
    algorithm == Some("concurrently") || arguments.places.iter().any(bracketed)
}

/// How many columns a list names: `[:a, 'b']`, `%i[a b]`.
fn count(columns: &str) -> usize {
    match columns.strip_prefix('%') {
        Some(words) => words.split_whitespace().count(),
        None => columns.matches([':', '"', '\'']).count(),
    }
}

/// True for options of MySQL that ask for what it need not do: to copy the table, or to lock it.
fn blocks(arguments: &Arguments<'_>) -> bool {
    arguments.says("algorithm", ":copy") || arguments.says("lock", ":shared") || arguments.says("lock", ":exclusive")
}

/// A reference is a column, an index unless told otherwise, and a foreign key if told so.
fn added_reference(table: &str, name: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let table = table.to_owned();
    let ty = Type::of(arguments.named("type").map_or("bigint", literal));
    let column = column_of(&format!("{name}_id"), ty, arguments);
    let mut operations = vec![Operation::AddColumn { table: table.clone(), column }];
    operations.extend(index_option(&table, arguments, "true"));
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
