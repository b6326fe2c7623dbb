//! Migrations in JavaScript and TypeScript (Knex, Sequelize, TypeORM, Kysely, node-pg-migrate): `up` without a `down` that
//! does something.

use std::sync::LazyLock;

use regex::Regex;

use super::{Missing, has_ddl};
use crate::source::{Syntax, closing, code_only};

/// What each of the frameworks hands to a migration: without one of them `up` is just a word.
const FRAMEWORKS: &[&str] =
    &["knex", "queryInterface", "queryRunner", "Kysely", "pgm", "MigrationBuilder", "sequelize", "addSql"];

static METHOD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?mx) (?: \bexports\s*\.\s* | \bexport\s+(?:const|let|(?:async\s+)?function)\s+ | ^\s*(?:public\s+)?(?:async\s+)? ) (up|down)
        \s* (?: [=(:] )",
    )
    .expect("the pattern is tested")
});

/// What is missing to take the migration in this new file back.
pub(in crate::rules::migration) fn missing(text: &str) -> Option<Missing> {
    if !FRAMEWORKS.iter().any(|word| text.contains(word)) {
        return None;
    }
    let code = code_only(text, Syntax::JavaScript);
    let method =
        |name: &str| METHOD.captures_iter(&code).filter_map(|found| found.get(1)).find(|found| found.as_str() == name);
    let up = method("up")?;
    let down = method("down");
    let missing = match down {
        None if exported_by_name(&code) || turns_itself_round(&code) => return None,
        None => Missing::high(up.start(), "the migration has a function up and no function down"),
        Some(down) if does_nothing(&code[down.end()..]) => {
            Missing::high(down.start(), "the migration's function down does nothing, or refuses")
        }
        Some(_) => return None,
    };
    let end = down.map(|down| down.start()).filter(|down| *down > up.end()).unwrap_or(text.len());
    Some(missing.of(changes_schema(&text[up.end()..end])))
}

/// Whether a way up changes more than rows, or nothing that is known.
fn changes_schema(up: &str) -> bool {
    static ROWS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:bulk\w+|delete\w*|find\w*|insert\w*|save|select|update\w*)\b")
            .expect("the pattern is tested")
    });
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?x) \b(?: add | alter | change | create | drop | remove | rename ) (?: Check | Column | Constraint | Enum | Extension | ForeignKey
            | Function | Index | Policy | PrimaryKey | Schema | Sequence | Table | Trigger | Type | Unique | View ) \w*
            | \.\s*schema\s*\. ",
        )
        .expect("the pattern is tested")
    });
    CALL.is_match(up) || has_ddl(up) || !ROWS.is_match(up)
}

/// node-pg-migrate makes the way back from the way there, where that can be turned round.
fn turns_itself_round(code: &str) -> bool {
    static ONE_WAY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bpgm\s*\.\s*(?:sql|drop\w+|alterColumn|alterTable|alterType|db)\b")
            .expect("the pattern is tested")
    });
    static PGM: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bpgm\s*\.").expect("the pattern is tested"));
    PGM.is_match(code) && !ONE_WAY.is_match(code)
}

/// True when a `down` made elsewhere is exported: `module.exports = { up, down }`, `export { up, down }`.
fn exported_by_name(code: &str) -> bool {
    static LIST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:exports\s*=|export)\s*\{[^}]*\bdown\b|\b(?:const|let|function)\s+down\b")
            .expect("the pattern is tested")
    });
    LIST.is_match(code)
}

/// True when what follows the name is a function with an empty body, one that only throws, or no function.
fn does_nothing(rest: &str) -> bool {
    let value = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=' || c == ':');
    if ["false", "null", "undefined"].iter().any(|word| value.starts_with(word)) {
        return true;
    }
    // Behind the parameters, where there are brackets round them: their defaults and types have brackets too.
    let after = match (value.find('('), value.find("=>")) {
        (Some(open), arrow) if arrow.is_none_or(|arrow| open < arrow) => {
            closing(value, open).map_or("", |close| &value[close + 1..])
        }
        (_, Some(arrow)) => &value[arrow..],
        _ => value,
    };
    let (open, arrow) = (after.find('{'), after.find("=>"));
    let expression = arrow.map(|arrow| after[arrow + 2..].trim_start()).filter(|body| !body.starts_with('{'));
    if let Some(expression) = expression
        && open.is_none_or(|open| arrow.is_some_and(|arrow| arrow < open))
    {
        return is_nothing(expression.lines().next().unwrap_or(""));
    }
    let Some(open) = open else { return false };
    // A type such as `Promise<{…}>` is not written here; a body that is cut off is not judged.
    let Some(close) = closing(after, open) else { return false };
    is_nothing(&after[open + 1..close])
}

fn is_nothing(body: &str) -> bool {
    let body = body.trim().trim_end_matches([';', ',']).trim();
    matches!(
        body,
        "" | "return"
            | "return Promise.resolve()"
            | "Promise.resolve()"
            | "null"
            | "undefined"
            | "return null"
            | "return undefined"
    ) || body.starts_with("throw ")
}

#[cfg(test)]
mod tests {
    use domain::Severity;

    use crate::rules::migration::rollback_missing::RULE;
    use crate::sample;

    #[track_caller]
    fn check(text: &str, line: Option<u32>) {
        let expected: Vec<_> = line.map(|line| (line, Severity::High)).into_iter().collect();
        sample::finds_in_file(&RULE, "db/migrations/20260101_x.ts", text, &expected);
    }

    #[test]
    fn up_needs_a_down_that_does_something() {
        let up =
            "exports.up = function (knex) {\n  return knex.schema.createTable('a', (t) => { t.increments(); });\n};\n";
        check(&format!("{up}exports.down = function (knex) {{\n  return knex.schema.dropTable('a');\n}};\n"), None);
        check(&format!("{up}exports.down = (knex) => knex.schema.dropTable('a');\n"), None);
        check(&format!("{up}exports.down = knex => knex.schema.dropTable('a');\n"), None);
        check(up, Some(1));
        check(&format!("{up}exports.down = function (knex) {{}};\n"), Some(4));
        check(&format!("{up}exports.down = () => {{\n  // never\n}};\n"), Some(4));
        check(&format!("{up}exports.down = () => Promise.resolve();\n"), Some(4));
        check(&format!("{up}exports.down = false;\n"), Some(4));
        check(&format!("{up}exports.down = async ({{ context: knex }}) => {{ throw new Error('no'); }};\n"), Some(4));
    }

    #[test]
    fn what_changes_rows_alone_is_worth_less() {
        let check = |up: &str, severity: Severity| {
            let text = format!("exports.up = async (knex) => {{\n  {up}\n}};\nexports.down = async () => {{}};\n");
            sample::finds_in_file(&RULE, "db/migrations/20260101_x.ts", &text, &[(4, severity)]);
        };
        check("await knex('a').update({ b: 1 });", Severity::Medium);
        check("await queryInterface.bulkDelete('a', {});", Severity::Medium);
        check("await knex.raw('UPDATE a SET b = 1');", Severity::Medium);
        check("await knex.schema.dropTable('a');", Severity::High);
        check("await queryInterface.removeColumn('a', 'b');", Severity::High);
        check("await knex.raw('ALTER TABLE a DROP COLUMN b; UPDATE a SET c = 1');", Severity::High);
        check("await knex.raw(something);", Severity::High);
    }

    #[test]
    fn each_framework_is_read_in_its_own_form() {
        let typeorm = "class X implements MigrationInterface {\n  public async up(queryRunner: QueryRunner): Promise<void> {\n    await queryRunner.query(`x`);\n  }\n";
        check(&format!("{typeorm}}}\n"), Some(2));
        check(
            &format!("{typeorm}  public async down(queryRunner: QueryRunner): Promise<void> {{\n  }}\n}}\n"),
            Some(5),
        );
        check(
            &format!(
                "{typeorm}  public async down(queryRunner: QueryRunner): Promise<void> {{\n    await queryRunner.query(`y`);\n  }}\n}}\n"
            ),
            None,
        );
        let sequelize = "module.exports = {\n  up: async (queryInterface, Sequelize) => {\n    await queryInterface.addColumn('a', 'b', {});\n  },\n";
        check(&format!("{sequelize}}};\n"), Some(2));
        check(&format!("{sequelize}  down: (queryInterface) => queryInterface.removeColumn('a', 'b'),\n}};\n"), None);
        let kysely = "export async function up(db: Kysely<any>): Promise<void> {\n  await db.schema.createTable('a').execute();\n}\n";
        check(kysely, Some(1));
        check(
            &format!(
                "{kysely}export async function down(db: Kysely<any>): Promise<void> {{\n  await db.schema.dropTable('a').execute();\n}}\n"
            ),
            None,
        );
        check(
            "async function up(knex) {\n  x();\n}\nasync function down(knex) {\n  y();\n}\nmodule.exports = { up, down };\n",
            None,
        );
        check("export const steps = { up: 1 };\n", None);
        check("exports.up = (pgm) => {\n  pgm.createTable('a', { id: 'id' });\n};\n", None);
        check("exports.up = (pgm) => {\n  pgm.sql('ALTER TABLE a SET SCHEMA b');\n};\n", Some(1));
    }
}
