//! A migration that drops a column: its values are gone, and the release that still selects it fails.

use domain::{Category, Confidence, Severity};

use super::sql::{Kind, Reader};
use super::{is_forward_sql, judge_statements};
use crate::rules::{Check, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "migration.sql.drop-column",
    title: "Column dropped",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Migration,
    cwe: 0,
    hazard: "destroy.drop_column",
    keywords: &["drop"],
    remediation: "First deploy a release that no longer reads or writes the column, and drop it in a later change, with a backup of its values.",
    references: &["https://www.postgresql.org/docs/current/sql-altertable.html"],
    aliases: &[],
    check: Check::File {
        applies: is_forward_sql,
        check: |file| {
            judge_statements(file, |statement, created| {
                let (table, actions) = statement.altered_table()?;
                let drops = !created.contains(&table) && actions.into_iter().any(drops_column);
                drops.then_some("the migration drops a column, and all its values with it")
            })
        },
    },
};

/// What `DROP` may also take away from a table, in any dialect. The word COLUMN is optional.
const OTHERS: &[&str] = &[
    "constraint",
    "index",
    "key",
    "foreign",
    "primary",
    "check",
    "partition",
    "default",
    "identity",
    "expression",
    "not",
    "statistics",
];

fn drops_column(mut action: Reader<'_, '_>) -> bool {
    if !action.take(&["drop"]) {
        return false;
    }
    if action.take(&["column"]) {
        return true;
    }
    action.take(&["if", "exists"]);
    let named = |token: &super::sql::Token<'_>| match token.kind {
        Kind::Word => !OTHERS.iter().any(|other| token.text.eq_ignore_ascii_case(other)),
        Kind::Quoted => true,
        Kind::Literal | Kind::Sign => false,
    };
    action.tokens.first().is_some_and(named)
}

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
    fn a_dropped_column_is_found() {
        check("migrations/2.up.sql", "ALTER TABLE users DROP COLUMN email;", &[1]);
        check("migrations/2.up.sql", "alter table if exists only s.users\n  add b int,\n  drop email cascade;", &[1]);
        check("migrations/2.up.sql", "ALTER TABLE `users` DROP COLUMN IF EXISTS `email`;", &[1]);
    }

    #[test]
    fn what_else_is_dropped_from_a_table_is_not() {
        check(
            "migrations/2.up.sql",
            "ALTER TABLE t DROP CONSTRAINT c, ALTER COLUMN a DROP DEFAULT, ALTER a DROP NOT NULL;\nALTER TABLE t DROP INDEX i;",
            &[],
        );
        check("migrations/2.down.sql", "ALTER TABLE users DROP COLUMN email;", &[]);
        check("migrations/2.up.sql", "CREATE TABLE t (a int); ALTER TABLE t DROP COLUMN a;", &[]);
        check("migrations/2.up.sql", "SELECT 'ALTER TABLE users DROP COLUMN email;'; -- drop column x", &[]);
    }
}
