//! A migration that cannot be taken back: when the deployment has to be rolled back, the database stays where it is.
//!
//! Looks at the whole change, because the way back is often a file of its own.

use domain::diff::{Diff, FileDiff};
use domain::{Category, Confidence, FileChangeKind, Severity};

use super::rollback::{self, Missing};
use super::{is_down, is_migration};
use crate::new_side::NewSide;
use crate::paths;
use crate::rules::{Check, FileHit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "migration.rollback.missing",
    title: "Migration without a rollback",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Migration,
    cwe: 0,
    hazard: "rollback.missing",
    keywords: &[],
    remediation: "Write the way back beside the way there (a down file, a down method, a reverse operation), and try it on a copy of the data.",
    references: &[
        "https://github.com/golang-migrate/migrate/blob/master/MIGRATIONS.md",
        "https://pressly.github.io/goose/documentation/annotations/",
        "https://documentation.red-gate.com/fd/undo-migrations-273973332.html",
        "https://docs.liquibase.com/concepts/changelogs/sql-format.html",
        "https://guides.rubyonrails.org/active_record_migrations.html#reverting-previous-migrations",
        "https://alembic.sqlalchemy.org/en/latest/tutorial.html",
        "https://docs.djangoproject.com/en/stable/ref/migration-operations/",
        "https://knexjs.org/guide/migrations.html",
        "https://docs.liquibase.com/workflows/liquibase-community/liquibase-auto-rollback.html",
        "https://laravel.com/docs/migrations",
    ],
    aliases: &[],
    check: Check::Change(check),
};

fn check(diff: &Diff<'_>) -> Vec<(usize, FileHit)> {
    let ways_back = rollback::sql_files::WaysBack::of(diff);
    let mut hits = Vec::new();
    for (index, file) in diff.files.iter().enumerate() {
        let path = &file.change.path;
        // Of a migration that was there before, the way back was too.
        if file.change.kind != FileChangeKind::Added || !may_be_migration(path) || is_down(path) {
            continue;
        }
        let Some(hunk) = file.hunks.first() else { continue };
        let side = NewSide::of(hunk);
        let missing = match paths::extension(path).to_ascii_lowercase().as_str() {
            "sql" => rollback::sql_files::missing(path, &side.text, &ways_back),
            "rb" => rollback::rails::missing(&side.text),
            "py" => rollback::alembic::missing(&side.text).or_else(|| rollback::django::missing(&side.text)),
            "js" | "ts" | "mjs" | "cjs" | "mts" | "cts" => rollback::javascript::missing(&side.text),
            "php" => rollback::php::missing(&side.text),
            "go" => rollback::braces::missing_in_go(&side.text),
            "cs" => rollback::braces::missing_in_csharp(&side.text),
            "xml" | "yaml" | "yml" | "json" => rollback::liquibase::missing(path, &side.text),
            _ => None,
        };
        hits.extend(missing.map(|missing| (index, hit(file, &side, missing))));
    }
    hits
}

fn hit(file: &FileDiff<'_>, side: &NewSide, missing: Missing) -> FileHit {
    let line = side.line_at(missing.at);
    FileHit::on_line(file, 0, line, missing.why).severity(missing.severity)
}

/// Alembic keeps its migrations in a folder `versions`, and Rails knows them by their class.
fn may_be_migration(path: &str) -> bool {
    (is_migration(path) || (paths::has_folder(path, "versions") && paths::extension(path) == "py"))
        && !paths::is_archive(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_way_back_may_be_another_file_of_the_change() {
        let up =
            || sample::added("migrations/0107_invoices.up.sql", "-- the invoices\nCREATE TABLE invoices (id int);\n");
        let down = || sample::added("migrations/0107_invoices.down.sql", "DROP TABLE invoices;\n");
        let other = || sample::added("migrations/0106_orders.down.sql", "DROP TABLE orders;\n");
        let missing = [("migrations/0107_invoices.up.sql".to_owned(), 2, Severity::High)];
        assert_eq!(sample::scan_with(&RULE, vec![up()]), missing);
        assert_eq!(sample::scan_with(&RULE, vec![up(), other()]), missing);
        assert_eq!(sample::scan_with(&RULE, vec![up(), down()]), []);
        assert_eq!(sample::scan_with(&RULE, vec![down(), up()]), []);
        let mysql = sample::added("migrations/0107_invoices.mysql.up.sql", "CREATE TABLE invoices (id int);\n");
        assert_eq!(sample::scan_with(&RULE, vec![mysql, down()]), []);
        let empty = sample::added("migrations/0107_invoices.down.sql", "-- nothing to do\n");
        assert_eq!(sample::scan_with(&RULE, vec![up(), empty]), missing);
        let rows = sample::added("migrations/0107_invoices.up.sql", "UPDATE invoices SET a = 1 WHERE a IS NULL;\n");
        let empty = sample::added("migrations/0107_invoices.down.sql", "-- nothing to do\n");
        let [(_, _, severity)] = sample::scan_with(&RULE, vec![rows, empty]).try_into().expect("one finding");
        assert_eq!(severity, Severity::Medium);
    }

    #[test]
    fn only_new_migrations_are_looked_at() {
        for (path, text) in [
            ("docs/example.up.sql.md", "CREATE TABLE x;\n"),
            ("src/updater.sql.rs", "// up"),
            ("src/api/versions/list.py", "def upgrade():\n    return 1\n"),
            ("migrations/README.md", "CREATE TABLE x;\n"),
            ("migrations/__init__.py", ""),
            ("db/old_migrations/1.up.sql", "CREATE TABLE x;\n"),
        ] {
            sample::finds_in_file(&RULE, path, text, &[]);
        }
        sample::finds_in_hunk(&RULE, "migrations/1.up.sql", " CREATE TABLE a (\n+  b int,\n );", &[]);
    }
}
