//! What the calls of TypeORM's query runner that take objects (`new TableColumn({…})`) do to a table. What only PostgreSQL minds is
//! read where it is known to be the database.

use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{Column, ConstraintKind, Generated, Index, Operation, Type, Value};
use super::super::calls::{Arguments, Program, literal};
use super::super::values;
use super::builders::{Database, constraint};
use super::name;
use crate::source::closing;

/// The methods that are read here.
pub(super) const METHODS: &[&str] = &[
    "addColumn",
    "addColumns",
    "createCheckConstraint",
    "createCheckConstraints",
    "createExclusionConstraint",
    "createExclusionConstraints",
    "createForeignKey",
    "createForeignKeys",
    "createIndex",
    "createIndices",
    "createPrimaryKey",
    "createUniqueConstraint",
    "createUniqueConstraints",
    "dropCheckConstraint",
    "dropExclusionConstraint",
    "dropForeignKey",
    "dropForeignKeys",
    "dropIndex",
    "dropIndices",
    "dropPrimaryKey",
    "dropUniqueConstraint",
    "dropUniqueConstraints",
];

/// What a call on the query runner does.
pub(super) fn operations(
    program: &Program<'_>,
    method: &str,
    arguments: &Arguments<'_>,
    database: Database,
) -> Vec<Operation> {
    let table = arguments.places.first().map_or(String::new(), |table| name(table.text));
    let objects = objects(program, arguments);
    let postgres = database == Database::Postgres;
    let add = |kind: ConstraintKind| {
        let made = objects.len().max(1);
        (0..made).map(|_| constraint(&table, "", kind.clone())).collect()
    };
    match method {
        "addColumn" | "addColumns" => {
            let column = |object: &Arguments<'_>| Operation::AddColumn {
                table: table.clone(),
                column: added_column(object, database),
            };
            objects.iter().map(column).collect()
        }
        "dropIndex" | "dropIndices" if postgres => {
            vec![Operation::DropIndex { table: Some(table), concurrently: false, guarded: false }]
        }
        "dropIndex" | "dropIndices" => Vec::new(),
        _ if method.starts_with("drop") => {
            let name = arguments.places.get(1).map_or(String::new(), |value| name(value.text));
            vec![Operation::DropConstraint { table, name }]
        }
        _ if !postgres => Vec::new(),
        "createIndex" | "createIndices" => {
            let index = |object: &Arguments<'_>| Operation::CreateIndex {
                table: table.clone(),
                index: Index {
                    unique: object.says("isUnique", "true"),
                    concurrently: object.says("isConcurrent", "true"),
                    columns: object.named("columnNames").map_or(1, |names| names.split(',').count()),
                    ..Index::default()
                },
            };
            let built: Vec<_> = objects.iter().map(index).collect();
            if built.is_empty() { vec![index(&Arguments::default())] } else { built }
        }
        "createForeignKey" | "createForeignKeys" => add(ConstraintKind::ForeignKey),
        "createPrimaryKey" => add(ConstraintKind::Primary),
        "createUniqueConstraint" | "createUniqueConstraints" => add(ConstraintKind::Unique),
        "createCheckConstraint" | "createCheckConstraints" => add(ConstraintKind::Check),
        "createExclusionConstraint" | "createExclusionConstraints" => add(ConstraintKind::Exclusion),
        _ => Vec::new(),
    }
}

/// What is in the brackets of each `new Table…({…})`, or of an object without them.
fn objects<'t>(program: &Program<'t>, arguments: &Arguments<'t>) -> Vec<Arguments<'t>> {
    static OBJECT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:\bTable\w+\s*\(\s*|^\[?\s*)\{").expect("the pattern is tested"));
    let Some(value) = arguments.places.get(1) else { return Vec::new() };
    let code = &program.code[..value.start + value.text.len()];
    let mut objects = Vec::new();
    let mut behind = 0;
    for found in OBJECT.find_iter(&code[value.start..]) {
        let open = value.start + found.end() - 1;
        if open < behind {
            continue;
        }
        let Some(close) = closing(code, open) else { break };
        behind = close;
        objects.push(program.arguments(open + 1..close));
    }
    objects
}

fn added_column(object: &Arguments<'_>, database: Database) -> Column {
    let says = |key: &str| object.named(key).map(literal);
    let postgres = database == Database::Postgres;
    let generated = match (says("asExpression"), says("generatedType")) {
        (Some(_), Some("STORED" | "stored")) => Generated::Stored,
        (Some(_), _) => Generated::Virtual,
        _ => Generated::No,
    };
    let strategy = says("generationStrategy").unwrap_or("increment");
    let is_generated = object.says("isGenerated", "true");
    let counts = is_generated && matches!(strategy, "increment" | "identity" | "rowid");
    // A default in a string is SQL there.
    let default = match says("default") {
        _ if is_generated && strategy == "uuid" => Value::Volatile,
        _ if counts => Value::Same,
        None | Some("null" | "undefined" | "NULL") => Value::None,
        Some(text) => values::of_sql(literal(text)),
    };
    Column {
        name: says("name").unwrap_or("").to_owned(),
        ty: if postgres { Type::of(says("type").unwrap_or("")) } else { Type::default() },
        not_null: !object.says("isNullable", "true"),
        default,
        generated: if counts && postgres { Generated::Identity } else { generated },
        unique: postgres && object.says("isUnique", "true"),
        primary: postgres && object.says("isPrimary", "true"),
        ..Column::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::steps;
    use super::*;

    fn typeorm(call: &str, more: &str) -> Vec<Operation> {
        steps(&format!(
            "{more}export class A1 implements MigrationInterface {{\n  public async up(queryRunner: QueryRunner): Promise<void> {{\n    await queryRunner.{call};\n  }}\n  public async down(queryRunner: QueryRunner): Promise<void> {{\n    await queryRunner.clearDatabase();\n  }}\n}}\n"
        ))
    }

    #[test]
    fn columns_are_added() {
        let added = |options: &str| {
            let call = format!("addColumns('a', [new TableColumn({{ name: 'b', type: 'int', {options} }})])");
            match typeorm(&call, "").remove(0) {
                Operation::AddColumn { column, .. } if column.name == "b" => (column.not_null, column.default),
                other => panic!("{options}: {other:?}"),
            }
        };
        assert_eq!(added("isNullable: false"), (true, Value::None));
        assert_eq!(added(""), (true, Value::None));
        assert_eq!(added("isNullable: true"), (false, Value::None));
        assert_eq!(added("default: 0"), (true, Value::Same));
        assert_eq!(added("default: \"'x'\""), (true, Value::Same));
        assert_eq!(added("default: 'uuid_generate_v4()'"), (true, Value::Volatile));
        let two = "addColumns('a', [new TableColumn({ name: 'b' }), new TableColumn({ name: 'c' })])";
        assert_eq!(typeorm(two, "").len(), 2);
    }

    #[test]
    fn what_only_postgres_minds_needs_a_sign_of_it() {
        for call in [
            "createIndex('a', new TableIndex({ name: 'i', columnNames: ['b'] }))",
            "createIndices('a', [new TableIndex({ name: 'i', columnNames: ['b'] })])",
            "createForeignKey('a', new TableForeignKey({ columnNames: ['b'] }))",
            "createPrimaryKey('a', ['b'])",
            "createUniqueConstraint('a', new TableUnique({ columnNames: ['b'] }))",
            "createCheckConstraint('a', new TableCheck({ expression: 'b > 0' }))",
            "createExclusionConstraint('a', new TableExclusion({ expression: 'x' }))",
            "dropIndex('a', 'i')",
        ] {
            assert_eq!(typeorm(call, ""), [], "{call}");
            let found = typeorm(call, "// for postgres\n");
            assert_eq!((found.len(), found[0].table()), (1, Some("a")), "{call}");
        }
        assert!(matches!(typeorm("dropForeignKey('a', 'f')", "").as_slice(), [Operation::DropConstraint { .. }]));
    }
}
