//! An index built on an existing table while writes to it wait.

use domain::diff::FileDiff;
use domain::{Category, Confidence, Severity};

use super::sql::Statement;
use super::{is_forward_sql, judge_statements};
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "migration.sql.index-without-concurrently",
    title: "Index built while writes wait",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    category: Category::Migration,
    cwe: 0,
    hazard: "lock.index_create",
    keywords: &["index"],
    remediation: "Use CREATE INDEX CONCURRENTLY, in a migration of its own outside a transaction.",
    references: &["https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"],
    aliases: &[],
    check: Check::File { applies: |change| is_forward_sql(change) && !names_other_database(&change.path), check },
};

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    // Only PostgreSQL has CONCURRENTLY, and a path rarely says which database it is for: its text may.
    let signs = [
        "`",
        "engine=",
        "engine =",
        "auto_increment",
        "autoincrement",
        "pragma ",
        "nvarchar",
        "nonclustered",
        "\ngo\n",
    ];
    let foreign = file.hunks.iter().flat_map(|hunk| &hunk.lines).any(|line| {
        let lower = line.text.to_ascii_lowercase();
        signs.iter().any(|sign| lower.contains(sign)) || lower.trim() == "go"
    });
    if foreign {
        return Vec::new();
    }
    judge_statements(file, |statement, created| {
        let table = indexed_table(statement)?;
        (!created.contains(&table))
            .then_some("the index is built under a lock that makes every write to the table wait")
    })
}

/// The table on which the statement builds an index without CONCURRENTLY.
fn indexed_table(statement: &Statement<'_>) -> Option<String> {
    let mut read = statement.read();
    if !read.take(&["create"]) {
        return None;
    }
    read.take(&["unique"]);
    if !read.take(&["index"]) || read.take(&["concurrently"]) {
        return None;
    }
    read.take(&["if", "not", "exists"]);
    if !read.take(&["on"]) {
        read.name()?;
        if !read.take(&["on"]) {
            return None;
        }
    }
    read.take(&["only"]);
    read.name()
}

fn names_other_database(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    ["mysql", "mariadb", "sqlite", "mssql", "sqlserver", "oracle", "clickhouse", "h2", "d1"]
        .iter()
        .any(|name| path.split(['/', '_', '-', '.']).any(|part| part == *name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(path: &str, text: &str, lines: &[u32]) {
        let expected: Vec<_> = lines.iter().map(|line| (*line, Severity::Medium)).collect();
        sample::finds_in_file(&RULE, path, text, &expected);
    }

    #[test]
    fn an_index_on_an_existing_table_is_found() {
        check("migrations/2.sql", "CREATE INDEX i ON users (email);", &[1]);
        check(
            "migrations/2.sql",
            "BEGIN;\ncreate unique index if not exists i\n  on only public.users using btree (email);",
            &[2],
        );
        check("migrations/2.sql", "CREATE INDEX ON users (email);", &[1]);
    }

    #[test]
    fn an_index_that_makes_nobody_wait_is_not() {
        check("migrations/2.sql", "CREATE INDEX CONCURRENTLY i ON users (email);", &[]);
        check("migrations/2.sql", "create table books (id int, title text); create index i on books (title);", &[]);
        check("migrations/mysql/2.sql", "CREATE INDEX i ON users (email);", &[]);
        check("migrations/2.sql", "CREATE TABLE `t` (a int) ENGINE=InnoDB;\nCREATE INDEX i ON users (email);", &[]);
        check("migrations/2.down.sql", "CREATE INDEX i ON users (email);", &[]);
        check("migrations/2.sql", "DROP INDEX i; -- CREATE INDEX i ON users (email);", &[]);
    }
}
