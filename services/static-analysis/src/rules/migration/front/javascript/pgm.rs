//! What the calls of node-pg-migrate do, whose database is always PostgreSQL.

use super::super::super::operation::{Column, ConstraintKind, Deed, Generated, Index, Operation, Script, Type, Value};
use super::super::calls::{Arguments, Program, Value as Argument, literal};
use super::super::sql;
use super::builders::{constraint, default_value};
use super::name;
use crate::source::closing;

/// The methods that are read here.
pub(super) const METHODS: &[&str] = &[
    "addColumn",
    "addColumns",
    "addConstraint",
    "addIndex",
    "alterColumn",
    "createConstraint",
    "createIndex",
    "dropConstraint",
    "dropIndex",
];

/// What a call on the builder does.
pub(super) fn operations(program: &Program<'_>, method: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let table = arguments.places.first().map_or(String::new(), |table| name(table.text));
    let place = |number: usize| arguments.place(number).unwrap_or("").to_owned();
    // Options may stand anywhere behind the names.
    let concurrently = arguments.places.iter().any(|value| says(program, value, "concurrently"));
    match method {
        "addColumn" | "addColumns" => {
            let columns = arguments.places.get(1).and_then(|value| object(program, value)).unwrap_or_default();
            let column = |(name, value): &(String, Argument<'_>)| Operation::AddColumn {
                table: table.clone(),
                column: column_of(program, name, value),
            };
            columns.names.iter().map(column).collect()
        }
        "alterColumn" => {
            let options = arguments.places.get(2).and_then(|value| object(program, value)).unwrap_or_default();
            altered_column(&table, &place(1), &options)
        }
        "addConstraint" | "createConstraint" => added_constraint(program, &table, arguments),
        "dropConstraint" => vec![Operation::DropConstraint { table, name: place(1) }],
        "addIndex" | "createIndex" => {
            let unique = arguments.places.iter().any(|value| says(program, value, "unique"));
            let guarded = arguments.places.iter().any(|value| says(program, value, "ifNotExists"));
            let index = Index { unique, concurrently, guarded, columns: 1, blocks: false };
            vec![Operation::CreateIndex { table, index }]
        }
        "dropIndex" => {
            let guarded = arguments.places.iter().any(|value| says(program, value, "ifExists"));
            vec![Operation::DropIndex { table: Some(table), concurrently, guarded }]
        }
        _ => Vec::new(),
    }
}

/// What is between the brackets of `{…}`.
fn object<'t>(program: &Program<'t>, value: &Argument<'t>) -> Option<Arguments<'t>> {
    let close = value.text.starts_with('{').then(|| closing(&program.code, value.start)).flatten()?;
    Some(program.arguments(value.start + 1..close))
}

fn says(program: &Program<'_>, value: &Argument<'_>, option: &str) -> bool {
    object(program, value).is_some_and(|options| options.says(option, "true"))
}

/// `{ type: 'int', notNull: true, default: 0 }`, or the type alone.
fn column_of(program: &Program<'_>, name: &str, value: &Argument<'_>) -> Column {
    let Some(options) = object(program, value) else {
        return Column { name: name.to_owned(), ty: Type::of(literal(value.text)), ..Column::default() };
    };
    let ty = Type::of(options.named("type").map_or("", literal));
    let generated = match (options.named("expressionGenerated"), options.named("sequenceGenerated")) {
        (Some(_), _) => Generated::Stored,
        (_, Some(_)) => Generated::Identity,
        _ if options.named("generated").or(options.named("identity")).is_some() => Generated::Identity,
        _ => Generated::No,
    };
    Column {
        name: name.to_owned(),
        ty,
        not_null: options.says("notNull", "true"),
        default: options.named("default").map_or(Value::None, default_value),
        generated,
        unique: options.says("unique", "true"),
        primary: options.says("primaryKey", "true"),
        check: options.named("check").is_some(),
        references: options.named("references").map(|_| String::new()),
    }
}

fn altered_column(table: &str, column: &str, options: &Arguments<'_>) -> Vec<Operation> {
    let (table, column) = (|| table.to_owned(), || column.to_owned());
    let mut operations = Vec::new();
    if let Some(ty) = options.named("type") {
        operations.push(Operation::ChangeType {
            table: table(),
            column: column(),
            to: Type::of(literal(ty)),
            from: None,
        });
    }
    if options.says("notNull", "true") || options.says("allowNull", "false") {
        operations.push(Operation::SetNotNull { table: table(), column: column() });
    } else if options.named("notNull").or(options.named("allowNull")).is_some() {
        operations.push(Operation::DropNotNull { table: table(), column: column() });
    }
    match options.named("default") {
        Some("null") => operations.push(Operation::DropDefault { table: table(), column: column() }),
        Some(_) => operations.push(Operation::SetDefault { table: table(), column: column() }),
        None => {}
    }
    operations
}

/// `addConstraint('a', 'c', { check: 'b > 0' })`, `addConstraint('a', 'c', 'CHECK (b > 0) NOT VALID')`
fn added_constraint(program: &Program<'_>, table: &str, arguments: &Arguments<'_>) -> Vec<Operation> {
    let name = arguments.place(1).unwrap_or("");
    let Some(value) = arguments.places.get(2) else { return Vec::new() };
    let Some(options) = object(program, value) else {
        let text = literal(value.text);
        if text == value.text {
            return Vec::new();
        }
        let mut script = Script::default();
        sql::read(&format!("ALTER TABLE \"{table}\" ADD CONSTRAINT \"{name}\" {text}"), 0, &mut script);
        script.steps.retain(|step| step.what.deed() != Some(Deed::LongName));
        return script.steps.into_iter().map(|step| step.what).collect();
    };
    let kinds = [
        ("check", ConstraintKind::Check),
        ("foreignKeys", ConstraintKind::ForeignKey),
        ("unique", ConstraintKind::Unique),
        ("primaryKey", ConstraintKind::Primary),
        ("exclude", ConstraintKind::Exclusion),
    ];
    let said = kinds.into_iter().filter(|(option, _)| options.named(option).is_some());
    said.map(|(_, kind)| constraint(table, name, kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::steps;
    use super::*;

    fn pgm(call: &str) -> Vec<Operation> {
        steps(&format!("exports.up = (pgm) => {{\n  pgm.{call};\n}};\nexports.down = (pgm) => {{}};\n"))
    }

    #[test]
    fn columns_are_added_and_altered() {
        let added = |columns: &str| match pgm(&format!("addColumns('a', {columns})")).remove(0) {
            Operation::AddColumn { table, column } if table == "a" && column.name == "b" => column,
            other => panic!("{columns}: {other:?}"),
        };
        assert!(added("{ b: { type: 'int', notNull: true } }").not_null);
        assert_eq!(added("{ b: { type: 'int', notNull: true, default: 0 } }").default, Value::Same);
        assert_eq!(added("{ b: { type: 'uuid', default: pgm.func('gen_random_uuid()') } }").default, Value::Volatile);
        assert_eq!(added("{ b: { type: 'timestamp', default: pgm.func('now()') } }").default, Value::Same);
        assert!(added("{ b: { type: 'int', references: 'c' } }").references.is_some());
        assert_eq!(added("{ 'b': 'serial' }").ty.name, "serial");
        assert_eq!(pgm("addColumns('a', { b: 'text', c: { type: 'int' } }, { ifNotExists: true })").len(), 2);
        assert!(matches!(
            pgm("alterColumn('a', 'b', { type: 'bigint' })").as_slice(),
            [Operation::ChangeType { to, .. }] if to.name == "bigint"
        ));
        assert!(matches!(pgm("alterColumn('a', 'b', { notNull: true })").as_slice(), [Operation::SetNotNull { .. }]));
        assert!(matches!(pgm("alterColumn('a', 'b', { notNull: false })").as_slice(), [Operation::DropNotNull { .. }]));
        assert!(matches!(pgm("alterColumn('a', 'b', { default: null })").as_slice(), [Operation::DropDefault { .. }]));
    }

    #[test]
    fn constraints_are_added_by_an_object_or_in_sql() {
        let kind = |value: &str| match pgm(&format!("addConstraint('a', 'c', {value})")).as_slice() {
            [Operation::AddConstraint { table, constraint }] if table == "a" => {
                (constraint.kind.clone(), constraint.validated)
            }
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(kind("{ check: 'b > 0' }"), (ConstraintKind::Check, true));
        assert_eq!(kind("{ unique: ['b'] }"), (ConstraintKind::Unique, true));
        let key = "{ foreignKeys: { columns: 'b', references: 'd(id)' } }";
        assert_eq!(kind(key), (ConstraintKind::ForeignKey, true));
        assert_eq!(kind("'CHECK (b > 0)'"), (ConstraintKind::Check, true));
        assert_eq!(kind("'CHECK (b > 0) NOT VALID'"), (ConstraintKind::Check, false));
        assert_eq!(pgm("addConstraint('a', 'c', value)"), []);
        assert!(matches!(pgm("dropConstraint('a', 'c')").as_slice(), [Operation::DropConstraint { .. }]));
    }
}
