//! What the chains of Kysely's schema do: `db.schema.alterTable('a').addColumn('b', 'text', (c) => c.notNull()).execute()`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{Column, ConstraintKind, Deed, Generated, Index, Operation, Type, Value};
use super::super::calls::{Arguments, Program, Value as Argument};
use super::builders::{Database, constraint, default_value, restated};
use super::chain::Link;
use super::name;
use crate::source::closing;

/// Most calls in the options of a column.
const OPTIONS_MAX: usize = 32;

/// What the chain behind `alterTable` does, and where.
pub(super) fn altered(program: &Program<'_>, chain: &[Link<'_>], database: Database) -> Vec<(Range<usize>, Operation)> {
    let Some((first, links)) = chain.split_first() else { return Vec::new() };
    let table = first.arguments.places.first().map_or(String::new(), |table| name(table.text));
    let mut operations = Vec::new();
    for link in links {
        let found = altered_by(program, &table, link, database);
        operations.extend(found.into_iter().map(|operation| (link.at.clone(), operation)));
    }
    operations
}

fn altered_by(program: &Program<'_>, table: &str, link: &Link<'_>, database: Database) -> Vec<Operation> {
    let arguments = &link.arguments;
    let table = table.to_owned();
    let column = arguments.place(0).unwrap_or("").to_owned();
    let in_postgres = |operation| if database == Database::Postgres { vec![operation] } else { Vec::new() };
    let add = |kind| in_postgres(constraint(&table, &column, kind));
    match link.method.as_str() {
        "renameTo" => vec![Operation::RenameTable { table, to: column }],
        "renameColumn" => vec![Operation::RenameColumn { table, column }],
        "dropColumn" => vec![Operation::DropColumn { table, column }],
        "addColumn" => vec![Operation::AddColumn { table, column: added_column(program, arguments, database) }],
        "alterColumn" => altered_column(program, &table, &column, arguments, database),
        "modifyColumn" => {
            let to = restated(Type::of(arguments.place(1).unwrap_or("")));
            vec![Operation::ChangeType { table, column, to, from: None }]
        }
        "dropConstraint" => vec![Operation::DropConstraint { table, name: column }],
        "setSchema" => vec![Operation::Other { deed: Deed::MoveSchema, table }],
        "addForeignKeyConstraint" => add(ConstraintKind::ForeignKey),
        "addUniqueConstraint" => add(ConstraintKind::Unique),
        "addPrimaryKeyConstraint" => add(ConstraintKind::Primary),
        "addCheckConstraint" => add(ConstraintKind::Check),
        _ => Vec::new(),
    }
}

fn added_column(program: &Program<'_>, arguments: &Arguments<'_>, database: Database) -> Column {
    let options = arguments.places.get(2).map(|builder| calls(program, builder)).unwrap_or_default();
    let says = |method: &str| options.iter().find(|(name, _)| name == method).map(|(_, arguments)| arguments);
    let postgres = database == Database::Postgres;
    let default = says("defaultTo").and_then(|value| value.places.first());
    let ty = Type::of(arguments.place(1).unwrap_or("").trim_start_matches("sql"));
    let counts = ty.is_serial() || says("autoIncrement").is_some();
    let generated = match (says("generatedAlwaysAs"), says("stored")) {
        (Some(_), Some(_)) => Generated::Stored,
        (Some(_), None) => Generated::Virtual,
        _ if ["identity", "generatedAlwaysAsIdentity", "generatedByDefaultAsIdentity"]
            .iter()
            .any(|m| says(m).is_some()) =>
        {
            Generated::Identity
        }
        _ => Generated::No,
    };
    Column {
        name: arguments.place(0).unwrap_or("").to_owned(),
        default: if counts { Value::Same } else { default.map_or(Value::None, |value| default_value(value.text)) },
        ty: if postgres { ty } else { Type::default() },
        not_null: says("notNull").is_some(),
        generated,
        unique: postgres && says("unique").is_some(),
        primary: says("primaryKey").is_some(),
        check: postgres && says("check").is_some(),
        references: says("references").filter(|_| postgres).map(|_| String::new()),
    }
}

fn altered_column(
    program: &Program<'_>,
    table: &str,
    column: &str,
    arguments: &Arguments<'_>,
    database: Database,
) -> Vec<Operation> {
    let (table, column) = (|| table.to_owned(), || column.to_owned());
    let options = arguments.places.get(1).map(|builder| calls(program, builder)).unwrap_or_default();
    let operation = |(method, arguments): &(String, Arguments<'_>)| match method.as_str() {
        "setDataType" => {
            let to = Type::of(arguments.place(0).unwrap_or("").trim_start_matches("sql").trim_matches('`'));
            Some(Operation::ChangeType { table: table(), column: column(), to, from: None })
        }
        "setNotNull" if database == Database::Postgres => {
            Some(Operation::SetNotNull { table: table(), column: column() })
        }
        "dropNotNull" => Some(Operation::DropNotNull { table: table(), column: column() }),
        "setDefault" => Some(Operation::SetDefault { table: table(), column: column() }),
        "dropDefault" => Some(Operation::DropDefault { table: table(), column: column() }),
        _ => None,
    };
    options.iter().filter_map(operation).collect()
}

/// The index that a chain behind `createIndex` builds, or one behind `dropIndex` drops.
pub(super) fn index(chain: &[Link<'_>]) -> Option<Operation> {
    let says = |method: &str| chain.iter().find(|link| link.method == method);
    let table = says("on").and_then(|link| link.arguments.places.first()).map(|table| name(table.text));
    match chain.first()?.method.as_str() {
        "createIndex" => {
            let columns = chain.iter().filter(|link| link.method == "column").count().max(1);
            let index = Index {
                unique: says("unique").is_some(),
                guarded: says("ifNotExists").is_some(),
                columns,
                ..Index::default()
            };
            Some(Operation::CreateIndex { table: table?, index })
        }
        "dropIndex" => Some(Operation::DropIndex { table, concurrently: false, guarded: says("ifExists").is_some() }),
        _ => None,
    }
}

/// The methods that are called in an argument, and what they are given.
fn calls<'t>(program: &Program<'t>, argument: &Argument<'t>) -> Vec<(String, Arguments<'t>)> {
    static METHOD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\.\s*(\w+)\s*\(").expect("the pattern is tested"));
    let code = &program.code[..argument.start + argument.text.len()];
    let mut calls = Vec::new();
    for found in METHOD.captures_iter(&code[argument.start..]).take(OPTIONS_MAX) {
        let open = argument.start + found.get(0).map_or(0, |all| all.end()) - 1;
        let Some(close) = closing(code, open) else { break };
        calls.push((found[1].to_owned(), program.arguments(open + 1..close)));
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::super::tests::steps;
    use super::*;

    fn kysely(call: &str, more: &str) -> Vec<Operation> {
        steps(&format!(
            "{more}export async function up(db: Kysely<any>): Promise<void> {{\n  await db.schema.{call}.execute();\n}}\nexport async function down(db) {{}}\n"
        ))
    }

    #[test]
    fn tables_are_altered_by_a_chain() {
        let both = kysely("alterTable('a').dropColumn('b').renameColumn('c', 'd')", "");
        assert!(matches!(both.as_slice(), [Operation::DropColumn { .. }, Operation::RenameColumn { .. }]));
        assert_eq!(
            kysely("alterTable('a').renameTo('b')", ""),
            [Operation::RenameTable { table: "a".into(), to: "b".into() }]
        );
        let added =
            |chain: &str| match kysely(&format!("alterTable('a').addColumn('b', 'integer'{chain})"), "").remove(0) {
                Operation::AddColumn { column, .. } => (column.not_null, column.default),
                other => panic!("{chain}: {other:?}"),
            };
        assert_eq!(added(", (c) => c.notNull()"), (true, Value::None));
        assert_eq!(added(", (c) => c.notNull().defaultTo(0)"), (true, Value::Same));
        assert_eq!(added(", (c) => c.defaultTo(sql`gen_random_uuid()`)"), (false, Value::Volatile));
        assert_eq!(added(""), (false, Value::None));
        let typed = kysely("alterTable('a').alterColumn('b', (c) => c.setDataType('bigint'))", "");
        assert!(matches!(typed.as_slice(), [Operation::ChangeType { to, .. }] if to.name == "bigint"));
    }

    #[test]
    fn what_only_postgres_minds_needs_a_sign_of_it() {
        let sign = "// for postgres\n";
        for call in [
            "createIndex('i').on('a').column('b')",
            "dropIndex('i')",
            "alterTable('a').alterColumn('b', (c) => c.setNotNull())",
            "alterTable('a').addUniqueConstraint('u', ['b'])",
            "alterTable('a').addForeignKeyConstraint('f', ['b'], 'c', ['id'])",
            "alterTable('a').addCheckConstraint('c', sql`b > 0`)",
        ] {
            assert_eq!(kysely(call, ""), [], "{call}");
            assert_eq!(kysely(call, sign).len(), 1, "{call}");
        }
    }
}
