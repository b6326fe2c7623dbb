//! What the builders of Knex (`t.string('a').notNullable()`), and the calls of Sequelize and TypeORM that take an object,
//! do to a table. Where nothing says that the database is PostgreSQL, only what every database minds.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::super::operation::{Column, Constraint, ConstraintKind, Index, Operation, Type, Value};
use super::super::calls::{Arguments, Program, literal};
use super::super::values;
use super::name;
use crate::source::closing;

/// Whether the text says that the database is PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Postgres,
    Unknown,
}

/// What only programs for PostgreSQL say.
const POSTGRES: &[&str] =
    &["pgm", "jsonb", "timestamptz", "gen_random_uuid", "uuid_generate_v4", "CONCURRENTLY", "concurrently", "postgres"];

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

/// A method of a chain, and its arguments.
type Link<'t> = (String, Arguments<'t>);

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
        let Some((chain, end)) = chain(program, code, method.as_str(), within.start + all.end() - 1) else { break };
        behind = end;
        built.extend(links(table, &chain, database).into_iter().map(|operation| (start..end, operation)));
    }
    built
}

/// The calls of a chain whose first bracket is at `open`, and where it ends; nothing when it is cut off.
fn chain<'t>(program: &Program<'t>, code: &str, method: &str, open: usize) -> Option<(Vec<Link<'t>>, usize)> {
    static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s*\.\s*(\w+)\s*\(").expect("the pattern is tested"));
    let (mut method, mut open) = (method.to_owned(), open);
    let mut chain = Vec::new();
    loop {
        let close = closing(code, open)?;
        chain.push((method, program.arguments(open + 1..close)));
        match LINK.captures(&code[close + 1..]) {
            Some(link) => {
                open = close + link[0].len();
                method = link[1].to_owned();
            }
            None => return Some((chain, close + 1)),
        }
    }
}

fn links(table: &str, chain: &[Link<'_>], database: Database) -> Vec<Operation> {
    let Some((method, arguments)) = chain.first() else { return Vec::new() };
    let says = |name: &str| chain.iter().find(|(method, _)| method == name).map(|(_, arguments)| arguments);
    let table = table.to_owned();
    let column = arguments.place(0).unwrap_or("").to_owned();
    let add = |kind| Operation::AddConstraint {
        table: table.clone(),
        constraint: Constraint { name: String::new(), kind, validated: true, from_index: false },
    };
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
fn restated(ty: Type) -> Type {
    if matches!(ty.name.as_str(), "text" | "varchar") { ty } else { Type::default() }
}

/// `knex.raw('gen_random_uuid()')`, `Sequelize.literal('now()')`, `'a'`, `() => 'now()'`
fn default_value(text: &str) -> Value {
    let expression = ["raw(", "literal(", "=>"].iter().find_map(|sign| text.split_once(sign)).map(|(_, rest)| rest);
    match expression {
        Some(expression) => values::of_sql(literal(expression.trim().trim_end_matches(')').trim())),
        None if matches!(text, "null" | "undefined") => Value::None,
        None => Value::Same,
    }
}

/// What a call of Sequelize's or TypeORM's that says it by an object does to `table`.
pub(super) fn by_object(
    program: &Program<'_>,
    method: &str,
    arguments: &Arguments<'_>,
    database: Database,
) -> Vec<Operation> {
    let table = arguments.places.first().map_or(String::new(), |value| name(value.text));
    // Of the arguments, the last object; of TypeORM's, the one in `new TableColumn({…})`.
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
            let typeorm = place(1).contains("TableColumn");
            let column = if typeorm { says("name").unwrap_or("").to_owned() } else { place(1) };
            let nullable =
                if typeorm { says("isNullable") == Some("true") } else { says("allowNull") != Some("false") };
            let default = object.named("defaultValue").or(object.named("default")).map_or(Value::None, default_value);
            let counts = says("autoIncrement").or(says("isGenerated")) == Some("true");
            let column = Column {
                name: column,
                default: if counts { Value::Same } else { default },
                not_null: !nullable,
                unique: postgres && says("unique").or(says("isUnique")) == Some("true"),
                references: object.named("references").filter(|_| postgres).map(|_| String::new()),
                ..Column::default()
            };
            vec![Operation::AddColumn { table, column }]
        }
        "changeColumn" => {
            let to = Type::of(object.named("type").and_then(|ty| ty.rsplit('.').next()).unwrap_or("unknown"));
            vec![Operation::ChangeType { table, column: place(1), to: restated(to), from: None }]
        }
        "removeConstraint" => vec![Operation::DropConstraint { table, name: place(1) }],
        "addConstraint" if postgres => {
            let kind = match says("type").unwrap_or("").to_ascii_lowercase().as_str() {
                "foreign key" => ConstraintKind::ForeignKey,
                "check" => ConstraintKind::Check,
                "unique" => ConstraintKind::Unique,
                "primary key" => ConstraintKind::Primary,
                _ => return Vec::new(),
            };
            let constraint = Constraint { name: String::new(), kind, validated: true, from_index: false };
            vec![Operation::AddConstraint { table, constraint }]
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
    fn objects_of_sequelize_and_typeorm_are_read() {
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
        let typeorm = "class A implements MigrationInterface {\n  public async up(queryRunner: QueryRunner): Promise<void> {\n    await queryRunner.addColumn('a', new TableColumn({ name: 'b', type: 'int', isNullable: false }));\n  }\n}\n";
        assert!(
            matches!(steps(typeorm).as_slice(), [Operation::AddColumn { column, .. }] if column.not_null && column.name == "b")
        );
    }
}
