//! What the methods of a Laravel table (`$table->string('a')->nullable()`) do to it.

use std::collections::HashMap;

use super::super::super::operation::{
    Column, Constraint, ConstraintKind, Generated, Index, Operation, Script, Type, Value,
};
use super::super::calls::{Arguments, Program, Value as Argument, literal};
use super::super::embedded::as_one;
use super::super::values;
use super::{Link, names};

/// The methods that make a column which refuses nulls unless told otherwise.
const TYPES: &[&str] = &[
    "addColumn",
    "bigIncrements",
    "bigInteger",
    "binary",
    "boolean",
    "char",
    "date",
    "dateTime",
    "dateTimeTz",
    "decimal",
    "double",
    "enum",
    "float",
    "foreignId",
    "foreignIdFor",
    "foreignUlid",
    "foreignUuid",
    "geography",
    "geometry",
    "id",
    "increments",
    "integer",
    "ipAddress",
    "json",
    "jsonb",
    "longText",
    "macAddress",
    "mediumIncrements",
    "mediumInteger",
    "mediumText",
    "morphs",
    "numericMorphs",
    "point",
    "set",
    "smallIncrements",
    "smallInteger",
    "string",
    "text",
    "time",
    "timeTz",
    "timestamp",
    "timestampTz",
    "tinyIncrements",
    "tinyInteger",
    "tinyText",
    "ulid",
    "ulidMorphs",
    "unsignedBigInteger",
    "unsignedDecimal",
    "unsignedInteger",
    "unsignedMediumInteger",
    "unsignedSmallInteger",
    "unsignedTinyInteger",
    "uuid",
    "uuidMorphs",
    "vector",
    "year",
];

/// The methods that take columns away, and what is called so when nothing is said.
const DROPS: &[(&str, &str)] = &[
    ("dropColumn", ""),
    ("dropColumns", ""),
    ("removeColumn", ""),
    ("dropConstrainedForeignId", ""),
    ("dropConstrainedForeignIdFor", ""),
    ("dropMorphs", ""),
    ("dropRememberToken", "remember_token"),
    ("dropSoftDeletes", "deleted_at"),
    ("dropSoftDeletesTz", "deleted_at"),
    ("dropTimestamps", "created_at"),
    ("dropTimestampsTz", "created_at"),
];

/// What a chain of calls does to `table`; `before` has the types that the way down gives back.
pub(super) fn operations(
    program: &Program<'_>,
    script: &Script,
    table: &str,
    links: &[Link<'_>],
    before: &HashMap<String, Type>,
) -> Vec<Operation> {
    let Some(first) = links.first() else { return Vec::new() };
    let method = first.name.as_str();
    if let Some((_, usual)) = DROPS.iter().find(|(name, _)| *name == method) {
        let has_name = !first.arguments.places.is_empty() || usual.is_empty();
        return match has_name {
            true => dropped(program, table, first.arguments.places.iter()),
            false => vec![Operation::DropColumn { table: table.to_owned(), column: (*usual).to_owned() }],
        };
    }
    if is_column(method) {
        let changes = links.iter().any(|link| link.name == "change");
        return if changes { changed(script, table, links, before) } else { added(program, script, table, links) };
    }
    let table = table.to_owned();
    let place = |number: usize| first.arguments.place(number).unwrap_or("").to_owned();
    match method {
        "renameColumn" => vec![Operation::RenameColumn { table, column: place(0) }],
        "rename" => vec![Operation::RenameTable { table, to: place(0) }],
        "drop" | "dropIfExists" => vec![Operation::DropTable { table }],
        "dropForeign" | "dropUnique" | "dropPrimary" => vec![Operation::DropConstraint { table, name: place(0) }],
        "dropIndex" | "dropFullText" | "dropSpatialIndex" if script.is_postgres() => {
            vec![Operation::DropIndex { table: Some(table), concurrently: false, guarded: false }]
        }
        "timestamps" | "timestampsTz" | "softDeletes" | "softDeletesTz" | "rememberToken" => {
            let names = if method.starts_with("timestamps") { ["created_at", "updated_at"] } else { ["deleted_at"; 2] };
            let column = |name: &str| Column { name: name.to_owned(), ..Column::default() };
            names.map(|name| Operation::AddColumn { table: table.clone(), column: column(name) }).into()
        }
        _ => on_columns(program, script, table, links).into_iter().collect(),
    }
}

/// The columns that these arguments name, dropped.
pub(super) fn dropped<'a, 't: 'a>(
    program: &Program<'_>,
    table: &str,
    arguments: impl Iterator<Item = &'a Argument<'t>>,
) -> Vec<Operation> {
    let names = arguments.flat_map(|argument| names(program, argument));
    names.map(|column| Operation::DropColumn { table: table.to_owned(), column }).collect()
}

/// `$table->index('a')`, `$table->unique(['a', 'b'])`, `$table->foreign('a')->references('id')->on('b')`
fn on_columns(program: &Program<'_>, script: &Script, table: String, links: &[Link<'_>]) -> Option<Operation> {
    let first = links.first()?;
    let columns = first.arguments.places.first().map(|columns| names(program, columns)).unwrap_or_default();
    let online = links.iter().any(|link| link.name == "online");
    let add = |kind| {
        let constraint = Constraint { name: String::new(), kind, validated: true, from_index: false };
        Some(Operation::AddConstraint { table: table.clone(), constraint })
    };
    let index = |unique| {
        let index = Index { unique, concurrently: online, columns: columns.len(), ..Index::default() };
        script.is_postgres().then(|| Operation::CreateIndex { table: table.clone(), index })
    };
    // Columns that were just added hold nothing that could be there twice, unless they have a default.
    let is_new = || columns.iter().all(|column| script.is_new_column(&table, column, usize::MAX));
    match first.name.as_str() {
        "index" | "fullText" | "spatialIndex" | "rawIndex" => index(false),
        "unique" if online => index(true),
        "unique" if script.is_postgres() || !is_new() => add(ConstraintKind::Unique),
        "primary" if script.is_postgres() => add(ConstraintKind::Primary),
        "foreign" if script.is_postgres() => add(ConstraintKind::ForeignKey),
        _ => None,
    }
}

/// The table that a column or a key makes a new table refer to.
pub(super) fn reference(links: &[Link<'_>]) -> Option<String> {
    let first = links.first()?;
    let said = |name: &str| links.iter().find(|link| link.name == name).map(|link| &link.arguments);
    if let Some(on) = said("on") {
        return on.place(0).map(str::to_owned);
    }
    let constrained = said("constrained")?;
    let usual = || first.arguments.place(0).map(|column| format!("{}s", column.trim_end_matches("_id")));
    constrained.place(0).map(str::to_owned).or_else(usual)
}

/// The name of the column that a method makes.
fn column_name(method: &str, arguments: &Arguments<'_>) -> String {
    let place = |number: usize| arguments.place(number).map(str::to_owned);
    let name = match method {
        "addColumn" => place(1),
        "foreignIdFor" => place(1).or_else(|| {
            let class = place(0)?;
            let model = class.trim_end_matches("::class").rsplit('\\').next()?.to_owned();
            super::table_of_model(&model).map(|table| format!("{}_id", table.trim_end_matches('s')))
        }),
        "id" => place(0).or_else(|| Some("id".to_owned())),
        method if method.ends_with("orphs") => place(0).map(|name| format!("{name}_id")),
        _ => place(0),
    };
    name.unwrap_or_default()
}

fn added(program: &Program<'_>, script: &Script, table: &str, links: &[Link<'_>]) -> Vec<Operation> {
    let Some(first) = links.first() else { return Vec::new() };
    let said = |name: &str| links.iter().find(|link| link.name == name).map(|link| &link.arguments);
    let postgres = script.is_postgres();
    let ty = column_type(&first.name, &first.arguments);
    let default = match said("default") {
        Some(default) => default.places.first().map_or(Value::None, |value| default_value(program, value, postgres)),
        None if said("useCurrent").is_some() => Value::Same,
        None => Value::None,
    };
    let generated = match (said("storedAs"), said("virtualAs"), said("generatedAs").or(said("autoIncrement"))) {
        (Some(_), ..) => Generated::Stored,
        (_, Some(_), _) => Generated::Virtual,
        (.., Some(_)) => Generated::Identity,
        _ => Generated::No,
    };
    let not_null = said("nullable").is_none_or(|value| value.place(0) == Some("false"));
    let unique = said("unique").is_some();
    let references = said("constrained").or(said("references")).filter(|_| postgres);
    let column = Column {
        name: column_name(&first.name, &first.arguments),
        // What only PostgreSQL minds is not said of another database.
        default: if ty.is_serial() { Value::Same } else { default },
        ty: if postgres || !ty.is_serial() { ty } else { Type::default() },
        not_null,
        generated: if postgres || generated != Generated::Identity { generated } else { Generated::Virtual },
        unique: unique && postgres,
        references: references.map(|table| table.place(0).unwrap_or("").to_owned()),
        ..Column::default()
    };
    let table = table.to_owned();
    let is_indexed = postgres && (said("index").is_some() || first.name.ends_with("orphs"));
    let index = Index { columns: 1, concurrently: said("online").is_some(), ..Index::default() };
    let index = is_indexed.then(|| Operation::CreateIndex { table: table.clone(), index });
    std::iter::once(Operation::AddColumn { table, column }).chain(index).collect()
}

/// `false`, `'a'`, `null`, `DB::raw('now()')`, `new Expression('(UUID())')`
fn default_value(program: &Program<'_>, value: &Argument<'_>, postgres: bool) -> Value {
    if value.text.eq_ignore_ascii_case("null") {
        return Value::None;
    }
    let is_expression = value.text.contains("raw(") || value.text.contains("Expression(");
    if !is_expression || !postgres {
        return Value::Same;
    }
    let inner = as_one(program, value.start..value.start + value.text.len());
    inner.map_or(Value::Unknown, |(expression, _)| values::of_sql(&expression))
}

/// `$table->string('a', 50)->nullable(false)->change()`
fn changed(script: &Script, table: &str, links: &[Link<'_>], before: &HashMap<String, Type>) -> Vec<Operation> {
    let Some(first) = links.first() else { return Vec::new() };
    let said = |name: &str| links.iter().find(|link| link.name == name).map(|link| &link.arguments);
    let (table, column) = (table.to_owned(), column_name(&first.name, &first.arguments));
    let to = column_type(&first.name, &first.arguments);
    let from = before.get(&column).cloned();
    let nulls = said("nullable").map(|value| value.place(0) == Some("false"));
    // The type has to be said again where only the nulls or the default change.
    let is_restated = nulls.is_some()
        || ["default", "useCurrent", "comment", "charset", "collation"].iter().any(|name| said(name).is_some());
    let retyped = match &from {
        Some(from) if *from == to => None,
        Some(from) if script.is_postgres() || !is_widened(from, &to) => Some((to, Some(from.clone()))),
        None if script.is_postgres() && !is_restated => Some((to, None)),
        None if is_restated => None,
        _ => Some((Type::default(), None)),
    };
    let mut operations = Vec::new();
    if let Some((to, from)) = retyped {
        operations.push(Operation::ChangeType { table: table.clone(), column: column.clone(), to, from });
    }
    match nulls {
        Some(true) => operations.push(Operation::SetNotNull { table: table.clone(), column: column.clone() }),
        Some(false) => operations.push(Operation::DropNotNull { table: table.clone(), column: column.clone() }),
        None => {}
    }
    if let Some(default) = said("default") {
        operations.push(match default.place(0) {
            Some("null") => Operation::DropDefault { table, column },
            _ => Operation::SetDefault { table, column },
        });
    }
    operations
}

/// True for a method that makes a column.
pub(super) fn is_column(method: &str) -> bool {
    TYPES.contains(&method)
}

/// True where only the length changes, which not every database minds.
fn is_widened(from: &Type, to: &Type) -> bool {
    let is_text = |ty: &Type| matches!(ty.name.as_str(), "varchar" | "text");
    from.name == to.name || is_text(from) && is_text(to)
}

/// The type that a method makes a column of, with its limits.
pub(super) fn column_type(method: &str, arguments: &Arguments<'_>) -> Type {
    let limits = arguments.places.iter().skip(1).map_while(|limit| limit.text.parse().ok()).collect();
    let name = match method {
        "id" | "bigIncrements" => "bigserial",
        "increments" | "mediumIncrements" => "serial",
        "smallIncrements" | "tinyIncrements" => "smallserial",
        "bigInteger" | "unsignedBigInteger" | "foreignId" | "foreignIdFor" | "morphs" | "numericMorphs" => "bigint",
        "integer" | "unsignedInteger" | "mediumInteger" | "unsignedMediumInteger" => "integer",
        "smallInteger" | "unsignedSmallInteger" | "tinyInteger" | "unsignedTinyInteger" => "smallint",
        "string" | "enum" => "varchar",
        "text" | "mediumText" | "longText" | "tinyText" => "text",
        "dateTime" | "timestamp" => "timestamp",
        "dateTimeTz" | "timestampTz" => "timestamptz",
        "timeTz" => "timetz",
        "foreignUuid" | "uuidMorphs" => "uuid",
        "ulid" | "foreignUlid" | "ulidMorphs" => "char",
        "addColumn" => literal(arguments.places.first().map_or("", |ty| ty.text)),
        other => other,
    };
    let usual = if method == "string" { vec![255] } else { vec![] };
    let limits: Vec<u32> = limits;
    Type { arguments: if limits.is_empty() { usual } else { limits }, ..Type::of(name) }
}
