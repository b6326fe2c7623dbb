//! What the builders of Knex (`t.string('a').notNullable()`), and the calls of Sequelize that take an object, do to a table. Where nothing says that the database is PostgreSQL, only what every database minds.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{Column, Constraint, ConstraintKind, Generated, Index, Operation, Type, Value};
use super::super::calls::{Arguments, Program, literal};
use super::super::values;
use super::chain::{self, Link};
use super::name;
use crate::source::closing;

/// Whether the text says that the database is PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Postgres,
    Unknown,
}

/// What only programs for PostgreSQL say.
const POSTGRES: &[&str] = &[
    "pgm",
    "MigrationBuilder",
    "jsonb",
    "JSONB",
    "timestamptz",
    "TIMESTAMPTZ",
    "character varying",
    "tsvector",
    "citext",
    "gen_random_uuid",
    "uuid_generate_v4",
    "uuid-ossp",
    "CONCURRENTLY",
    "concurrently",
    "postgres",
    "Postgres",
];

pub(super) fn database(text: &str) -> Database {
    if POSTGRES.iter().any(|word| text.contains(word)) { Database::Postgres } else { Database::Unknown }
}

/// The methods of a Knex builder that make a column.
const TYPES: &[&str] = &[
    "bigIncrements",
    "bigInteger",
    "bigint",
    "binary",
    "boolean",
    "date",
    "datetime",
    "decimal",
    "double",
    "enu",
    "enum",
    "float",
    "increments",
    "integer",
    "json",
    "jsonb",
    "mediumint",
    "smallint",
    "specificType",
    "string",
    "text",
    "time",
    "timestamp",
    "tinyint",
    "uuid",
];

/// What the builder in these bytes, which are a function, does to `table`.
pub(super) fn built(
    program: &Program<'_>,
    within: Range<usize>,
    table: &str,
    database: Database,
) -> Vec<(Range<usize>, Operation)> {
    static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*(?:async\s+)?(?:function\b\s*\w*\s*)?\(?\s*([A-Za-z_$][\w$]*)").expect("the pattern is tested")
    });
    static HEAD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b([A-Za-z_$][\w$]*)\s*\.\s*(\w+)\s*\(").expect("the pattern is tested"));
    let code = &program.code[..within.end];
    let Some(parameter) = PARAMETER.captures(&code[within.start..]).and_then(|found| found.get(1)) else {
        return Vec::new();
    };
    let mut built = Vec::new();
    let mut behind = within.start;
    for head in HEAD.captures_iter(&code[within.start..]) {
        let (Some(all), Some(method)) = (head.get(0), head.get(2)) else { continue };
        let start = within.start + all.start();
        if start < behind || &head[1] != parameter.as_str() {
            continue;
        }
        let open = within.start + all.end() - 1;
        let Some(chain) = chain::ahead(program, code.len(), method.as_str(), open, chain::CHAIN_MAX) else { break };
        let end = chain.last().map_or(open, |link| link.at.end);
        behind = end;
        built.extend(links(table, &chain, database).into_iter().map(|operation| (start..end, operation)));
    }
    built
}

/// A constraint that is checked at once.
pub(super) fn constraint(table: &str, name: &str, kind: ConstraintKind) -> Operation {
    let constraint = Constraint { name: name.to_owned(), kind, validated: true, from_index: false };
    Operation::AddConstraint { table: table.to_owned(), constraint }
}

fn links(table: &str, chain: &[Link<'_>], database: Database) -> Vec<Operation> {
    let Some(Link { method, arguments, .. }) = chain.first() else { return Vec::new() };
    let says = |name: &str| chain.iter().find(|link| link.method == name).map(|link| &link.arguments);
    let table = table.to_owned();
    let column = arguments.place(0).unwrap_or("").to_owned();
    let add = |kind| constraint(&table, "", kind);
    let index = |unique| Operation::CreateIndex {
        table: table.clone(),
        index: Index { unique, columns: 1, ..Index::default() },
    };
    let in_postgres = |operation: Operation| if database == Database::Postgres { vec![operation] } else { Vec::new() };
    match method.as_str() {
        "dropTimestamps" => vec![Operation::DropColumn { table, column: "created_at".to_owned() }],
        "dropForeign" | "dropUnique" | "dropPrimary" | "dropChecks" => {
            vec![Operation::DropConstraint { table, name: String::new() }]
        }
        "setNullable" => vec![Operation::DropNotNull { table, column }],
        "dropNullable" => in_postgres(Operation::SetNotNull { table, column }),
        "dropIndex" => in_postgres(Operation::DropIndex { table: Some(table), concurrently: false, guarded: false }),
        "index" => in_postgres(index(false)),
        "unique" => in_postgres(add(ConstraintKind::Unique)),
        "primary" => in_postgres(add(ConstraintKind::Primary)),
        "foreign" => in_postgres(add(ConstraintKind::ForeignKey)),
        "check" => in_postgres(add(ConstraintKind::Check)),
        ty if TYPES.contains(&ty) => {
            let ty = column_type(ty, arguments);
            match says("alter") {
                Some(options) => altered_column(table, column, ty, options, says("notNullable").is_some(), database),
                None => {
                    let indexed = says("index").map(|_| in_postgres(index(false)));
                    let added =
                        Operation::AddColumn { table: table.clone(), column: added_column(column, ty, says, database) };
                    std::iter::once(added).chain(indexed.into_iter().flatten()).collect()
                }
            }
        }
        _ => Vec::new(),
    }
}

fn added_column<'c, 't: 'c>(
    name: String,
    ty: Type,
    says: impl Fn(&str) -> Option<&'c Arguments<'t>>,
    database: Database,
) -> Column {
    let postgres = database == Database::Postgres;
    let default = says("defaultTo").and_then(|value| value.places.first());
    let default = default.map_or(Value::None, |value| default_value(value.text));
    // What only PostgreSQL minds is not said of another database.
    let counts = ty.is_serial();
    Column {
        name,
        default: if counts { Value::Same } else { default },
        ty: if postgres || !counts { ty } else { Type::default() },
        not_null: says("notNullable").is_some(),
        unique: postgres && says("unique").is_some(),
        references: says("references").filter(|_| postgres).map(|_| String::new()),
        ..Column::default()
    }
}

fn altered_column(
    table: String,
    column: String,
    ty: Type,
    options: &Arguments<'_>,
    not_null: bool,
    database: Database,
) -> Vec<Operation> {
    let retyped = !options.places.iter().any(|value| value.text.replace(' ', "").contains("alterType:false"));
    let change = Operation::ChangeType { table: table.clone(), column: column.clone(), to: restated(ty), from: None };
    let refuses = not_null && database == Database::Postgres;
    let refused = refuses.then_some(Operation::SetNotNull { table, column });
    retyped.then_some(change).into_iter().chain(refused).collect()
}

fn column_type(method: &str, arguments: &Arguments<'_>) -> Type {
    match method {
        "specificType" => Type::of(arguments.place(1).unwrap_or("")),
        "increments" => Type::of("serial"),
        "bigIncrements" => Type::of("bigserial"),
        // `timestamp('a')` is one with a time zone there.
        "timestamp" | "datetime" => Type::of("timestamptz"),
        "string" => Type {
            arguments: arguments.place(1).and_then(|limit| limit.parse().ok()).into_iter().collect(),
            ..Type::of("varchar")
        },
        other => Type::of(other),
    }
}

/// The type that a change says, where it is one that a text may be widened to. Other types are mostly said again because only
/// the default or the nulls change, so that nobody knows whether they are new.
pub(super) fn restated(ty: Type) -> Type {
    if matches!(ty.name.as_str(), "text" | "varchar") { ty } else { Type::default() }
}

/// `knex.raw('gen_random_uuid()')`, `Sequelize.fn('now')`, `knex.fn.uuid()`, ``sql`now()` ``, `'a'`, `() => 'now()'`
pub(super) fn default_value(text: &str) -> Value {
    let rest = |signs: &[&str]| signs.iter().find_map(|sign| text.split_once(sign)).map(|(_, rest)| rest);
    if let Some(rest) = rest(&["raw(", "literal(", "Literal(", "func(", "sql`", "=>"]) {
        return values::of_sql(literal(rest.trim().trim_end_matches(')').trim()).trim_matches('`'));
    }
    // The name of a function, as a string or as a method.
    if let Some(rest) = rest(&["fn(", "fn."]) {
        let function = rest.trim_start().trim_start_matches(['\'', '"']);
        let end = function.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(function.len());
        return match &function[..end] {
            "uuid" => Value::Volatile,
            function => values::of_sql(&format!("{function}()")),
        };
    }
    if matches!(text, "null" | "undefined") { Value::None } else { Value::Same }
}

/// What a call of Sequelize's or db-migrate's that says it by an object does to its table.
pub(super) fn by_object(
    program: &Program<'_>,
    method: &str,
    arguments: &Arguments<'_>,
    database: Database,
) -> Vec<Operation> {
    let table = arguments.places.first().map_or(String::new(), |value| name(value.text));
    // Of the arguments, the last object.
    let object = arguments.places.iter().rev().find_map(|value| {
        let open = value.text.find('{')?;
        let close = closing(&program.code, value.start + open)?;
        Some(program.arguments(value.start + open + 1..close))
    });
    let object = object.unwrap_or_default();
    let says = |key: &str| object.named(key).map(literal);
    let place = |number: usize| arguments.place(number).unwrap_or("").to_owned();
    let postgres = database == Database::Postgres;
    match method {
        "addColumn" => {
            let not_null = says("allowNull") == Some("false") || says("notNull") == Some("true");
            let default = object.named("defaultValue").map_or(Value::None, default_value);
            let counts = says("autoIncrement") == Some("true");
            let column = Column {
                name: place(1),
                default: if counts { Value::Same } else { default },
                not_null,
                generated: if counts && postgres { Generated::Identity } else { Generated::No },
                unique: postgres && says("unique") == Some("true"),
                references: object.named("references").filter(|_| postgres).map(|_| String::new()),
                ..Column::default()
            };
            vec![Operation::AddColumn { table, column }]
        }
        "changeColumn" => {
            let to = Type::of(object.named("type").and_then(|ty| ty.rsplit('.').next()).unwrap_or("unknown"));
            let change = Operation::ChangeType { table: table.clone(), column: place(1), to: restated(to), from: None };
            let refuses = postgres && (says("allowNull") == Some("false") || says("notNull") == Some("true"));
            let refused = refuses.then(|| Operation::SetNotNull { table, column: place(1) });
            std::iter::once(change).chain(refused).collect()
        }
        "removeForeignKey" => vec![Operation::DropConstraint { table, name: place(1) }],
        "addForeignKey" if postgres => vec![constraint(&table, &place(2), ConstraintKind::ForeignKey)],
        "removeConstraint" => vec![Operation::DropConstraint { table, name: place(1) }],
        "addConstraint" if postgres => {
            let kind = match says("type").unwrap_or("").to_ascii_lowercase().as_str() {
                "foreign key" => ConstraintKind::ForeignKey,
                "check" => ConstraintKind::Check,
                "unique" => ConstraintKind::Unique,
                "primary key" => ConstraintKind::Primary,
                _ => return Vec::new(),
            };
            vec![constraint(&table, "", kind)]
        }
        "addIndex" if postgres => {
            let index = Index {
                unique: says("unique") == Some("true"),
                concurrently: says("concurrently") == Some("true"),
                columns: 1,
                ..Index::default()
            };
            vec![Operation::CreateIndex { table, index }]
        }
        "removeIndex" if postgres => {
            let concurrently = says("concurrently") == Some("true");
            vec![Operation::DropIndex { table: Some(table), concurrently, guarded: false }]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::steps;
    use super::*;

    fn knex(chain: &str) -> Vec<Operation> {
        let text = format!(
            "exports.up = (knex) => knex.schema.alterTable('a', (t) => {{\n  {chain};\n}});\nexports.down = (knex) => {{}};\n"
        );
        steps(&text)
    }

    fn sequelize(call: &str) -> Vec<Operation> {
        steps(&format!(
            "module.exports = {{\n  up: async (queryInterface, Sequelize) => {{\n    await queryInterface.{call};\n  }},\n  down: () => {{}},\n}};\n"
        ))
    }

    #[test]
    fn builders_of_knex_are_read() {
        let added = |chain: &str| match knex(chain).remove(0) {
            Operation::AddColumn { column, .. } => column,
            other => panic!("{chain}: {other:?}"),
        };
        assert!(added("t.integer('b').unsigned().notNullable()").not_null);
        assert_eq!(added("t.string('b').notNullable().defaultTo('x')").default, Value::Same);
        assert_eq!(added("t.uuid('b').defaultTo(knex.raw('gen_random_uuid()'))").default, Value::Volatile);
        assert!(matches!(knex("t.bigInteger('b').alter()").as_slice(), [Operation::ChangeType { .. }]));
        assert_eq!(knex("t.string('b').notNullable().alter({ alterType: false })"), []);
        assert!(matches!(knex("t.dropForeign('b')").as_slice(), [Operation::DropConstraint { .. }]));
        // What only some databases mind is said where the database is known.
        assert_eq!(knex("t.index(['b'])"), []);
        assert_eq!(knex("t.index(['b']);\n  t.jsonb('c')").len(), 2);
        assert!(matches!(knex("t.unique(['b']); // postgres").as_slice(), [Operation::AddConstraint { .. }]));
        assert!(added("t.integer('b').references('id').inTable('c').index(); // postgres").references.is_some());
    }

    #[test]
    fn a_new_table_is_no_old_one() {
        let text = "exports.up = async (knex) => {\n  await knex.schema.createTable('a', (t) => { t.string('b').notNullable(); });\n};\n";
        assert!(matches!(steps(text).as_slice(), [Operation::CreateTable { table, .. }] if table == "a"));
    }

    #[test]
    fn objects_of_sequelize_are_read() {
        let added = |call: &str| match sequelize(call).remove(0) {
            Operation::AddColumn { column, .. } => column,
            other => panic!("{call}: {other:?}"),
        };
        assert!(added("addColumn('a', 'b', { type: Sequelize.STRING, allowNull: false })").not_null);
        assert!(!added("addColumn('a', 'b', { type: Sequelize.STRING })").not_null);
        assert!(!added("addColumn('a', 'b', Sequelize.STRING)").not_null);
        let volatile =
            "addColumn('a', 'b', { type: Sequelize.UUID, defaultValue: Sequelize.literal('gen_random_uuid()') })";
        assert_eq!(added(volatile).default, Value::Volatile);
        assert!(
            matches!(sequelize("changeColumn('a', 'b', { type: Sequelize.BIGINT })").as_slice(), [Operation::ChangeType { to, .. }] if to.name.is_empty())
        );
        assert_eq!(sequelize("addIndex('a', ['b'])"), []);
        assert!(
            matches!(sequelize("addIndex('a', ['b'], { concurrently: true })").as_slice(), [Operation::CreateIndex { index, .. }] if index.concurrently)
        );
    }
}
