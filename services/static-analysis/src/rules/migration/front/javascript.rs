//! Migrations in JavaScript and TypeScript (Knex, Sequelize, TypeORM, Kysely, node-pg-migrate) in operations: what is dropped,
//! renamed or said in SQL. Which database they are for is seldom said, so what only PostgreSQL minds is read from
//! node-pg-migrate and from SQL alone.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::super::operation::{Dialect, Index, Language, Operation, Script};
use super::calls::{Arguments, Program, literal, sql_text, strings};
use super::sql;
use crate::source::{Syntax, closing};

mod builders;

/// Most builders in one another that are looked into.
const BUILDERS_MAX: usize = 4;
/// How far behind a bracket the end of its statement is looked for, in bytes.
const STATEMENT_BYTES_MAX: usize = 4_096;

/// What Sequelize and TypeORM are told by an object, and what they hand to a migration for that.
const BY_OBJECT: &[&str] =
    &["addColumn", "changeColumn", "addConstraint", "removeConstraint", "addIndex", "removeIndex"];
const RECEIVERS: &[&str] = &["queryInterface", "queryRunner", "context"];
/// What each of the frameworks hands to a migration.
const FRAMEWORKS: &[&str] = &["knex", "queryInterface", "queryRunner", "Kysely", "pgm", "MigrationBuilder", "addSql"];

/// Adds what the migration does, if the text is one.
pub(super) fn read(text: &str, script: &mut Script) {
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?:([A-Za-z_$][\w$]*)\s*)?(?:\?\.|\.)\s*(query|raw|sql|addSql|executeQuery|dropTable|dropTableIfExists|dropTableCascade|renameTable|dropColumn|dropColumns|removeColumn|renameColumn|alterTable|table|addIndex|createIndex|dropIndex|withSchema|createTable|addColumn|changeColumn|addConstraint|removeConstraint|removeIndex)\s*\(",
        )
        .expect("the pattern is tested")
    });
    if !FRAMEWORKS.iter().any(|word| text.contains(word)) {
        return;
    }
    let program = Program::of(text, Syntax::JavaScript);
    let Some(up) = way_up(&program.code) else { return };
    script.language = Language::Framework;
    script.dialect = if text.contains("pgm") { Dialect::Postgres } else { sql::dialect(&sql_of(&program, &up, &CALL)) };
    let database = builders::database(text);
    // The table of the builder that the calls inside belong to, and where its brackets close.
    let mut builders: Vec<(String, usize)> = Vec::new();
    let mut behind = 0;
    for found in CALL.captures_iter(&program.code[up.clone()]) {
        let (Some(all), Some(method)) = (found.get(0), found.get(2)) else { continue };
        let receiver = found.get(1).map_or("", |receiver| receiver.as_str());
        let open = up.start + all.end() - 1;
        builders.retain(|(_, end)| *end > open);
        // Each bracket is looked for once, but for those of builders in one another.
        if open < behind || builders.len() > BUILDERS_MAX {
            continue;
        }
        let Some(close) = closing(&program.code, open) else { break };
        let at = up.start + all.start()..close + 1;
        let arguments = program.arguments(open + 1..close);
        if !matches!(method.as_str(), "alterTable" | "table") {
            behind = close;
        }
        script.statement();
        let first = arguments.place(0).unwrap_or("").to_owned();
        match method.as_str() {
            "query" | "raw" | "sql" | "addSql" => {
                if let Some(value) = arguments.places.first() {
                    for range in strings(&program, value.start..value.start + value.text.len()) {
                        sql::read(&sql_text(&text[range.clone()]), range.start, script);
                    }
                }
            }
            "alterTable" | "table" => {
                // Kysely goes on behind the bracket, the others inside it.
                if let Some(builder) = arguments.places.get(1) {
                    let within = builder.start..builder.start + builder.text.len();
                    for (at, operation) in builders::built(&program, within, &first, database) {
                        script.push(operation, at.clone(), at);
                    }
                }
                let end = if arguments.places.len() > 1 { close } else { statement_end(&program.code, close) };
                builders.push((first, end));
            }
            name if BY_OBJECT.contains(&name) && RECEIVERS.contains(&receiver) => {
                for operation in builders::by_object(&program, name, &arguments, database) {
                    script.push(operation, at.clone(), at.clone());
                }
            }
            name => {
                let builder = builders.last().map(|(table, _)| table.clone());
                for operation in operations(name, receiver, &arguments, builder) {
                    script.push(operation, at.clone(), at.clone());
                }
            }
        }
    }
}

/// All SQL that the calls are given, to tell its dialect by.
fn sql_of(program: &Program<'_>, up: &Range<usize>, call: &Regex) -> String {
    let mut all = String::new();
    let mut behind = 0;
    for found in call.captures_iter(&program.code[up.clone()]) {
        let is_sql = matches!(&found[2], "query" | "raw" | "addSql");
        let open = up.start + found.get(0).map_or(0, |all| all.end()) - 1;
        if !is_sql || open < behind {
            continue;
        }
        if let Some(close) = closing(&program.code, open) {
            behind = close;
            for range in strings(program, open..close) {
                all.push_str(&program.text[range]);
                all.push('\n');
            }
        }
    }
    all
}

fn statement_end(code: &str, from: usize) -> usize {
    let until = code.len().min(from + STATEMENT_BYTES_MAX);
    code.as_bytes()[from..until].iter().position(|byte| *byte == b';').map_or(until, |end| from + end)
}

/// From `up` to `down`, or to the end.
fn way_up(code: &str) -> Option<Range<usize>> {
    static METHOD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?m)(?:\bexports\s*\.\s*|\bexport\s+(?:const|let|(?:async\s+)?function)\s+|\bfunction\s+|^\s*(?:public\s+)?(?:override\s+)?(?:async\s+)?)(up|down)\s*[=(:]",
        )
        .expect("the pattern is tested")
    });
    let methods: Vec<_> = METHOD.captures_iter(code).filter_map(|found| found.get(1)).collect();
    let up = methods.iter().find(|method| method.as_str() == "up")?;
    let down = methods.iter().find(|method| method.as_str() == "down" && method.start() > up.start());
    Some(up.end()..down.map_or(code.len(), |down| down.start()))
}

fn operations(method: &str, receiver: &str, arguments: &Arguments<'_>, builder: Option<String>) -> Vec<Operation> {
    let place = |number: usize| arguments.place(number).map(name).unwrap_or_default();
    // Outside a builder the table is the first argument.
    let outside = builder.is_none();
    let table = builder.unwrap_or_else(|| place(0));
    let at = usize::from(outside);
    match method {
        "dropTable" | "dropTableIfExists" => vec![Operation::DropTable { table: place(0) }],
        "createTable" => {
            let table = arguments.places.first().map_or(String::new(), |value| name(value.text));
            vec![Operation::CreateTable { table, columns: vec![], references: vec![], replaces: false }]
        }
        "renameTable" => vec![Operation::RenameTable { table: place(0), to: place(1) }],
        "dropColumn" | "dropColumns" | "removeColumn" => {
            let names = arguments.places.get(at).map_or(String::new(), |value| name(value.text));
            vec![Operation::DropColumn { table, column: names }]
        }
        "renameColumn" => vec![Operation::RenameColumn { table, column: place(at) }],
        "addIndex" | "createIndex" if receiver == "pgm" => {
            let concurrently =
                arguments.places.iter().any(|value| value.text.replace(' ', "").contains("concurrently:true"));
            vec![Operation::CreateIndex {
                table: place(0),
                index: Index { concurrently, columns: 1, ..Index::default() },
            }]
        }
        "dropIndex" if receiver == "pgm" => {
            let concurrently =
                arguments.places.iter().any(|value| value.text.replace(' ', "").contains("concurrently:true"));
            vec![Operation::DropIndex { table: Some(place(0)), concurrently, guarded: false }]
        }
        _ => Vec::new(),
    }
}

/// `'a'`, `{ schema: 's', name: 'a' }`, `new Table({ name: 'a' })`
fn name(text: &str) -> String {
    let inner = text.split("name:").nth(1).unwrap_or(text);
    literal(inner.split([',', '}']).next().unwrap_or("")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn steps(text: &str) -> Vec<Operation> {
        let mut script = Script::of_whole_file();
        read(text, &mut script);
        script.steps.into_iter().map(|step| step.what).collect()
    }

    #[test]
    fn what_is_dropped_or_said_in_sql_is_read() {
        let drop = Operation::DropColumn { table: "a".into(), column: "b".into() };
        let knex = |body: &str| {
            steps(&format!(
                "exports.up = (knex) => {body};\nexports.down = (knex) => knex.schema.dropTable('never');\n"
            ))
        };
        assert_eq!(knex("knex.schema.alterTable('a', (t) => { t.dropColumn('b'); })"), std::slice::from_ref(&drop));
        assert_eq!(knex("knex.schema.dropTableIfExists('a')"), [Operation::DropTable { table: "a".into() }]);
        assert_eq!(knex("knex.raw('ALTER TABLE a DROP COLUMN b')"), std::slice::from_ref(&drop));
        let typeorm = "export class A1 implements MigrationInterface {\n  public async up(queryRunner: QueryRunner): Promise<void> {\n    await queryRunner.query(`ALTER TABLE \"a\" DROP COLUMN \"b\"`);\n  }\n  public async down(queryRunner: QueryRunner): Promise<void> {\n    await queryRunner.query(`DROP TABLE x`);\n  }\n}\n";
        assert_eq!(steps(typeorm), std::slice::from_ref(&drop));
        let sequelize = "module.exports = {\n  up: async (queryInterface) => {\n    await queryInterface.removeColumn('a', 'b');\n  },\n  down: async (queryInterface) => {},\n};\n";
        assert_eq!(steps(sequelize), std::slice::from_ref(&drop));
        let kysely = "export async function up(db: Kysely<any>) {\n  await db.schema.alterTable('a').dropColumn('b').execute();\n}\n";
        assert_eq!(steps(kysely), [drop]);
        let pgm = "exports.up = (pgm) => {\n  pgm.createIndex('a', 'b', { concurrently: true });\n};\n";
        assert!(matches!(steps(pgm).as_slice(), [Operation::CreateIndex { index, .. }] if index.concurrently));
    }
}
