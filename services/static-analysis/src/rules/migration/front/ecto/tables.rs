//! What the calls of Ecto's migrations do to tables, columns, indexes and constraints.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{Column, Constraint, ConstraintKind, Generated, Index, Operation, Type, Value};
use super::super::calls::{Arguments, Program, literal};
use super::super::embedded::as_one;
use super::super::values;
use crate::source::closing;

/// What is made, altered or dropped, and what it is said with: `index(:a, [:b])`, `table :a`.
pub(super) fn thing<'t>(program: &Program<'t>, list: Range<usize>) -> Option<(String, Arguments<'t>)> {
    static KIND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*(table|index|unique_index|constraint|references)(\(|[ \t]+)").expect("the pattern is tested")
    });
    let found = KIND.captures(&program.code[list.clone()])?;
    let behind = list.start + found[0].len();
    let inside = if &found[2] == "(" { behind..closing(&program.code, behind - 1)? } else { behind..list.end };
    Some((found[1].to_owned(), program.arguments(inside)))
}

/// The same, of one argument.
fn thing_in<'t>(program: &Program<'t>, arguments: &Arguments<'t>, place: usize) -> Option<(String, Arguments<'t>)> {
    let value = arguments.places.get(place)?;
    thing(program, value.start..value.start + value.text.len())
}

/// What `create` does, but for a table.
pub(super) fn created(
    program: &Program<'_>,
    kind: &str,
    arguments: &Arguments<'_>,
    guarded: bool,
) -> Option<Operation> {
    let table = arguments.place(0).unwrap_or("").to_owned();
    match kind {
        "index" | "unique_index" => {
            let columns = arguments.places.get(1).map_or(1, |columns| count(program, columns.start, columns.text));
            let index = Index {
                unique: kind == "unique_index" || arguments.says("unique", "true"),
                concurrently: arguments.says("concurrently", "true"),
                guarded,
                columns,
                blocks: false,
            };
            Some(Operation::CreateIndex { table, index })
        }
        "constraint" => {
            let check = arguments.names.iter().find(|(key, _)| key == "check").map(|(_, value)| value);
            let kind = match check {
                Some(check) => as_one(program, check.start..check.start + check.text.len())
                    .and_then(|(check, _)| values::not_null_column(&check))
                    .map_or(ConstraintKind::Check, ConstraintKind::NotNull),
                None => arguments.named("exclude").map(|_| ConstraintKind::Exclusion)?,
            };
            let name = arguments.place(1).unwrap_or("").to_owned();
            let validated = !arguments.says("validate", "false");
            let constraint = Constraint { name, kind, validated, from_index: false };
            Some(Operation::AddConstraint { table, constraint })
        }
        _ => None,
    }
}

/// How many columns a list names; one when it is no list.
fn count(program: &Program<'_>, start: usize, list: &str) -> usize {
    if !list.starts_with('[') || list.len() < 2 {
        return 1;
    }
    program.parts(start + 1..start + list.len() - 1).len()
}

/// What `drop` and `rename` do.
pub(super) fn operations(
    program: &Program<'_>,
    verb: &str,
    list: Range<usize>,
    arguments: &Arguments<'_>,
) -> Vec<Operation> {
    let Some((kind, inner)) = thing(program, list) else { return Vec::new() };
    let table = inner.place(0).unwrap_or("").to_owned();
    if verb == "rename" {
        let to = arguments.names.iter().find(|(key, _)| key == "to").map(|(_, value)| value);
        let renamed = to.and_then(|to| thing(program, to.start..to.start + to.text.len()));
        return match renamed {
            Some((_, to)) => vec![Operation::RenameTable { table, to: to.place(0).unwrap_or("").to_owned() }],
            None if kind == "table" => {
                vec![Operation::RenameColumn { table, column: arguments.place(1).unwrap_or("").to_owned() }]
            }
            None => Vec::new(),
        };
    }
    match kind.as_str() {
        "table" => vec![Operation::DropTable { table }],
        "index" | "unique_index" => vec![Operation::DropIndex {
            table: Some(table),
            concurrently: inner.says("concurrently", "true"),
            guarded: verb == "drop_if_exists",
        }],
        "constraint" => vec![Operation::DropConstraint { table, name: inner.place(1).unwrap_or("").to_owned() }],
        _ => Vec::new(),
    }
}

/// The table that `add :a, references(:b)` makes a new table refer to.
pub(super) fn in_new_table(program: &Program<'_>, arguments: &Arguments<'_>) -> Option<String> {
    let (kind, inner) = thing_in(program, arguments, 1)?;
    (kind == "references").then(|| inner.place(0).unwrap_or("").to_owned())
}

/// What a call in the block of `alter table` does.
pub(super) fn in_table(program: &Program<'_>, table: &str, verb: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let table = table.to_owned();
    let column = arguments.place(0).unwrap_or("").to_owned();
    match verb {
        "remove" | "remove_if_exists" => vec![Operation::DropColumn { table, column }],
        "timestamps" => {
            let not_null = !arguments.says("null", "true");
            let default = default_value(program, arguments);
            let column = Column { name: "inserted_at".to_owned(), not_null, default, ..Column::default() };
            vec![Operation::AddColumn { table, column }]
        }
        "add" | "add_if_not_exists" => {
            vec![Operation::AddColumn { table, column: new_column(program, column, arguments) }]
        }
        "modify" => modified(program, &table, &column, arguments),
        _ => Vec::new(),
    }
}

fn new_column(program: &Program<'_>, name: String, arguments: &Arguments<'_>) -> Column {
    let reference = thing_in(program, arguments, 1).filter(|(kind, _)| kind == "references").map(|(_, inner)| inner);
    let generated = match arguments.named("generated").map(str::to_ascii_uppercase) {
        Some(text) if text.contains("IDENTITY") => Generated::Identity,
        Some(text) if text.contains("VIRTUAL") => Generated::Virtual,
        Some(_) => Generated::Stored,
        None => Generated::No,
    };
    let validated = reference.as_ref().filter(|reference| !reference.says("validate", "false"));
    Column {
        name,
        ty: match reference {
            Some(_) => Type::default(),
            None => column_type(arguments, arguments.places.get(1).map_or("", |ty| ty.text)),
        },
        not_null: arguments.says("null", "false"),
        default: default_value(program, arguments),
        generated,
        primary: arguments.says("primary_key", "true"),
        references: validated.map(|reference| reference.place(0).unwrap_or("").to_owned()),
        ..Column::default()
    }
}

/// `default: fragment("now()")`, `default: 0`, `default: nil`
fn default_value(program: &Program<'_>, arguments: &Arguments<'_>) -> Value {
    let default = arguments.names.iter().find(|(key, _)| key == "default").map(|(_, value)| value);
    match default {
        None => Value::None,
        Some(value) if value.text == "nil" => Value::None,
        Some(value) if value.text.starts_with("fragment") => {
            let inner = as_one(program, value.start..value.start + value.text.len());
            inner.map_or(Value::Unknown, |(expression, _)| values::of_sql(&expression))
        }
        Some(_) => Value::Same,
    }
}

/// `modify :a, :text, null: false, from: :string`
fn modified(program: &Program<'_>, table: &str, column: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let (table, column) = (table.to_owned(), column.to_owned());
    let before = arguments.named("from");
    let mut operations = Vec::new();
    let reference = thing_in(program, arguments, 1).filter(|(kind, _)| kind == "references");
    if let Some((_, reference)) = reference {
        let validated = !reference.says("validate", "false");
        let kind = ConstraintKind::ForeignKey;
        let constraint = Constraint { name: String::new(), kind, validated, from_index: false };
        operations.push(Operation::AddConstraint { table: table.clone(), constraint });
    } else {
        let from = before.filter(|before| !before.contains("references")).map(type_before);
        let to = column_type(arguments, arguments.places.get(1).map_or("", |ty| ty.text));
        if from.as_ref() != Some(&to) {
            operations.push(Operation::ChangeType { table: table.clone(), column: column.clone(), to, from });
        }
    }
    let was = |nulls: &str| before.is_some_and(|before| before.contains(nulls));
    match arguments.named("null") {
        Some("false") if !was("null: false") => {
            operations.push(Operation::SetNotNull { table: table.clone(), column: column.clone() });
        }
        Some("true") if !was("null: true") => {
            operations.push(Operation::DropNotNull { table: table.clone(), column: column.clone() });
        }
        _ => {}
    }
    match arguments.named("default") {
        Some("nil") => operations.push(Operation::DropDefault { table, column }),
        Some(_) => operations.push(Operation::SetDefault { table, column }),
        None => {}
    }
    operations
}

/// True where the type may only be said again, as it has to be, because the nulls or the default change.
pub(super) fn is_restated(arguments: &Arguments<'_>) -> bool {
    let says = |name: &str| arguments.named(name).is_some();
    !says("from") && (says("null") || says("default"))
}

/// `:string`, `{:string, null: true, size: 40}`
fn type_before(text: &str) -> Type {
    let inner = text.strip_prefix('{').filter(|inner| !inner.trim_start().starts_with(":array"));
    let Some(inner) = inner else { return type_of(text, Vec::new()) };
    let number = |name: &str| {
        let rest = inner.split_once(name)?.1.trim_start();
        rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
    };
    let limits = ["size:", "precision:", "scale:"].iter().filter_map(|name| number(name)).collect();
    type_of(inner.split([',', '}']).next().unwrap_or(""), limits)
}

/// The type that a column is given, with its limits.
pub(super) fn column_type(arguments: &Arguments<'_>, text: &str) -> Type {
    let number = |name: &str| arguments.named(name).and_then(|number| number.replace('_', "").parse().ok());
    type_of(text, ["size", "precision", "scale"].iter().filter_map(|name| number(name)).collect())
}

/// A type of Ecto's as PostgreSQL gets it.
fn type_of(text: &str, limits: Vec<u32>) -> Type {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("{:array,") {
        return Type { array: true, ..type_of(inner.trim_end_matches('}'), limits) };
    }
    // A string without a size takes 255 signs, and a time without fractions is rounded to seconds.
    let (name, usual) = match literal(text.split(',').next().unwrap_or("").trim_start_matches('{')) {
        "string" => ("varchar", Some(255)),
        "utc_datetime" | "naive_datetime" => ("timestamp", Some(0)),
        "utc_datetime_usec" | "naive_datetime_usec" => ("timestamp", None),
        "time" => ("time", Some(0)),
        "time_usec" => ("time", None),
        "binary_id" | "uuid" => ("uuid", None),
        "binary" => ("bytea", None),
        "map" => ("jsonb", None),
        "id" => ("integer", None),
        other => (other, None),
    };
    let ty = Type::of(name);
    let given = if ty.arguments.is_empty() { limits } else { ty.arguments.clone() };
    let arguments = if given.is_empty() { usual.into_iter().collect() } else { given };
    Type { arguments, ..ty }
}
