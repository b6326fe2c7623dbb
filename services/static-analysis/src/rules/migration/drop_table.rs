//! A migration that drops a table: its rows are gone, and the release that still reads it fails.

use domain::{Category, Confidence, Severity};

use super::{is_forward_sql, judge_statements};
use crate::rules::{Check, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "migration.sql.drop-table",
    title: "Table dropped",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Migration,
    cwe: 0,
    hazard: "destroy.drop_table",
    keywords: &["drop"],
    remediation: "First deploy a release that no longer uses the table, rename it, keep it for a while with a backup, and drop it in a later change.",
    references: &["https://www.postgresql.org/docs/current/sql-droptable.html"],
    aliases: &[],
    check: Check::File {
        applies: is_forward_sql,
        check: |file| {
            judge_statements(file, |statement, created| {
                let mut read = statement.read();
                if !read.take(&["drop", "table"]) {
                    return None;
                }
                read.take(&["if", "exists"]);
                let name = read.name()?;
                (!created.contains(&name)).then_some("the migration drops a table, and all its rows with it")
            })
        },
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(path: &str, text: &str, lines: &[u32]) {
        let expected: Vec<_> = lines.iter().map(|line| (*line, Severity::High)).collect();
        sample::finds_in_file(&RULE, path, text, &expected);
    }

    #[test]
    fn a_dropped_table_is_found() {
        check("migrations/0002_x.up.sql", "BEGIN;\nDROP TABLE users;\nCOMMIT;\n", &[2]);
        check("db/V2__x.sql", "drop table if exists\n  public.\"Users\" cascade;", &[1]);
        check("migrations/2.sql", "-- +goose Up\nDROP TABLE a;\n-- +goose Down\nDROP TABLE b;\n", &[2]);
        sample::finds_in_hunk(
            &RULE,
            "migrations/2.sql",
            " BEGIN;\n+DROP TABLE a;\n DROP TABLE b;",
            &[(11, Severity::High)],
        );
    }

    #[test]
    fn the_way_back_and_words_in_comments_and_strings_are_not() {
        check("migrations/0002_x.down.sql", "DROP TABLE users;", &[]);
        check("migrations/2_x/down.sql", "DROP TABLE users;", &[]);
        check("src/cleanup.sql", "DROP TABLE users;", &[]);
        check("migrations/2.sql", "-- DROP TABLE users;\n/* DROP TABLE b; */ SELECT 'x; DROP TABLE c;';", &[]);
        check("migrations/2.sql", "CREATE TABLE tmp (a int);\nDROP TABLE tmp;\n", &[]);
        check("migrations/2.sql", "DROP INDEX i; ALTER TABLE t DROP CONSTRAINT c; DROP TEMPORARY TABLE t;", &[]);
    }
}
