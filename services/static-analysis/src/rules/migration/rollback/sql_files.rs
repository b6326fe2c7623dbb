//! Migrations in plain SQL: a pair of files (golang-migrate, sqlx, diesel), two parts of one file (goose, dbmate,
//! sql-migrate), rollback comments (Liquibase), an undo file (Flyway), or none of that (Prisma, numbered files).

use std::collections::HashSet;
use std::sync::LazyLock;

use domain::diff::Diff;
use domain::{FileChangeKind, Severity};
use regex::Regex;

use super::Missing;
use crate::new_side::NewSide;
use crate::paths;
use crate::rules::migration::sql::{self, Reader, Statement};
use crate::rules::migration::{Part, is_down, part_at, parts};

/// The files of a change that take a migration back, by the migration they belong to.
pub(in crate::rules::migration) struct WaysBack {
    work: HashSet<String>,
    /// Those with nothing in them: somebody thought of the way back, and let it be.
    empty: HashSet<String>,
}

impl WaysBack {
    pub(in crate::rules::migration) fn of(diff: &Diff<'_>) -> Self {
        let mut ways_back = Self { work: HashSet::new(), empty: HashSet::new() };
        for file in &diff.files {
            let (path, kind) = (&file.change.path, file.change.kind);
            if kind == FileChangeKind::Deleted || !paths::extension(path).eq_ignore_ascii_case("sql") || !is_down(path)
            {
                continue;
            }
            // One that moved or changed shows only a part, and is taken at its word.
            let works = |hunk| sql::statements(&NewSide::of(hunk).text).iter().any(does_something);
            let works = kind != FileChangeKind::Added || file.hunks.iter().any(works);
            if works { &mut ways_back.work } else { &mut ways_back.empty }.insert(stem(path));
        }
        ways_back
    }

    /// Of a migration for one database, the way back may be the same for all.
    fn has(&self, path: &str) -> bool {
        static DATABASE: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"\.(?:mysql|mariadb|postgres|postgresql|sqlite3?|cockroach|mssql)(?:\.autocommit)?$")
                .expect("the pattern is tested")
        });
        let stem = stem(path);
        self.work.contains(&stem) || self.work.contains(DATABASE.replace(&stem, "").as_ref())
    }
}

/// What the two files of a pair have in common: the path without the words for the direction.
fn stem(path: &str) -> String {
    static FOLDER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(^|/)(?:up|down|undo|rollbacks?|revert|deploy)/").expect("the pattern is tested")
    });
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?:(^|/)|[._-])(?:up|down|undo|rollback|revert|migration)\.sql$|\.sql$")
            .expect("the pattern is tested")
    });
    static FRONT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(^|/)(?:down|undo|rollback|revert|up)[._-]([^/]*)$").expect("the pattern is tested")
    });
    static FLYWAY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(^|/)[VU]([0-9][0-9._]*)__[^/]*$").expect("the pattern is tested"));
    let path = FOLDER.replace_all(path, "$1");
    let path = NAME.replace(&path, "$1");
    let path = FRONT.replace(&path, "${1}${2}");
    // Flyway pairs by the version alone, whatever the description says.
    FLYWAY.replace(&path, "${1}V${2}").to_ascii_lowercase()
}

/// What is missing to take the migration in this new file back.
pub(in crate::rules::migration) fn missing(path: &str, text: &str, ways_back: &WaysBack) -> Option<Missing> {
    let name = paths::name(path).to_ascii_lowercase();
    let statements = sql::statements(text);
    let first = statements.first()?.range().start;
    if !statements.iter().any(does_something) {
        return None;
    }
    if is_liquibase(text) {
        return changeset_without_rollback(text);
    }
    let parts = parts(text);
    if !parts.is_empty() {
        let is_down = |statement: &&Statement<'_>| part_at(&parts, statement.range().start) == Part::Down;
        let goes_back = statements.iter().filter(is_down).any(does_something);
        return (!goes_back).then(|| Missing::high(first, "the migration's part that goes down is missing or empty"));
    }
    if ways_back.has(path) || name.starts_with("r__") || name.starts_with("b") && name.contains("__") {
        return None;
    }
    if name.ends_with(".up.sql") || name == "up.sql" || paths::has_folder(path, "up") {
        let missing = Missing::high(first, "the migration's down file is missing from the change, or is empty");
        // Of a change of rows alone, the author may mean to let it stay.
        let meant = ways_back.empty.contains(&stem(path)) && statements.iter().all(writes_rows);
        return Some(if meant { Missing { severity: Severity::Medium, ..missing } } else { missing });
    }
    if !is_numbered(path) {
        return None;
    }
    if is_flyway(path) {
        // Only the paid editions run undo files, so that most have none, and never will.
        return Some(Missing {
            at: first,
            why: "nothing in the change takes the migration back",
            severity: Severity::Low,
        });
    }
    let new = New::of(&statements);
    let changing = statements.iter().find(|statement| !new.only_adds(statement));
    // Whoever works with numbered files, or with Prisma, has no place for the way back: a person has to look, and may let it go.
    Some(match changing {
        Some(statement) => Missing {
            at: statement.range().start,
            why: "the migration changes what is there, and nothing in the change takes it back",
            severity: Severity::Medium,
        },
        // The release before it can live with more tables and columns than it knows.
        None => Missing {
            at: first,
            why: "nothing in the change takes the migration back (it only adds)",
            severity: Severity::Low,
        },
    })
}

/// False for a query without a call, such as goose writes into a new file to be replaced.
fn does_something(statement: &Statement<'_>) -> bool {
    !statement.read().take(&["select"]) || statement.tokens.iter().any(|token| token.text == "(")
}

/// True for a statement that writes rows, and takes none away.
fn writes_rows(statement: &Statement<'_>) -> bool {
    ["insert", "update", "select"].iter().any(|verb| statement.read().take(&[verb]))
}

/// True when the file's name, or its folder's, begins with a number or Flyway's version.
fn is_numbered(path: &str) -> bool {
    let numbered = |name: &str| name.trim_start_matches(['V', 'v']).starts_with(|c: char| c.is_ascii_digit());
    numbered(paths::name(path)) || numbered(paths::name(paths::folder(path)))
}

fn is_flyway(path: &str) -> bool {
    let name = paths::name(path);
    name.starts_with('V') && name.contains("__")
}

fn is_liquibase(text: &str) -> bool {
    text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| {
        let line = line.trim_start_matches('-').trim_start();
        line.get(..23).is_some_and(|start| start.eq_ignore_ascii_case("liquibase formatted sql"))
    })
}

fn changeset_without_rollback(text: &str) -> Option<Missing> {
    static SIGN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?im)^[ \t]*--[ \t]*(?:(changeset)|(rollback))\b").expect("the pattern is tested")
    });
    let mut open = None;
    for sign in SIGN.captures_iter(text) {
        match (sign.get(1), open) {
            (Some(_), Some(at)) => return Some(Missing::high(at, WITHOUT_ROLLBACK)),
            (Some(changeset), None) => open = Some(changeset.start()),
            (None, _) => open = None,
        }
    }
    open.map(|at| Missing::high(at, WITHOUT_ROLLBACK))
}

const WITHOUT_ROLLBACK: &str = "the changeset has no rollback comment, and Liquibase cannot make one for SQL";

/// What a migration makes: whatever it does to that, it does to nothing that was there before.
struct New {
    tables: HashSet<String>,
    columns: HashSet<(String, String)>,
}

impl New {
    fn of(statements: &[Statement<'_>]) -> Self {
        let mut columns = HashSet::new();
        for (table, actions) in statements.iter().filter_map(Statement::altered_table) {
            for mut action in actions {
                if action.take(&["add"]) && !action.take(&["constraint"]) {
                    action.take(&["column"]);
                    action.take(&["if", "not", "exists"]);
                    columns.extend(action.name().map(|column| (table.clone(), column)));
                }
            }
        }
        Self { tables: statements.iter().filter_map(Statement::created_table).collect(), columns }
    }

    /// True for a statement that leaves alone what was there before it.
    fn only_adds(&self, statement: &Statement<'_>) -> bool {
        let mut read = statement.read();
        if read.take(&["create"]) {
            return !read.take(&["or"]);
        }
        let harmless =
            ["comment", "grant", "set", "begin", "start", "commit", "select", "insert", "use", "analyze", "end"];
        if harmless.iter().any(|word| read.take(&[word])) {
            return true;
        }
        if read.take(&["alter", "type"]) {
            return read.name().is_some() && read.take(&["add", "value"]);
        }
        statement.altered_table().is_some_and(|(table, actions)| {
            self.tables.contains(&table) || actions.into_iter().all(|action| self.action_only_adds(&table, action))
        })
    }

    fn action_only_adds(&self, table: &str, mut action: Reader<'_, '_>) -> bool {
        let is_new =
            |column: Option<String>| column.is_some_and(|column| self.columns.contains(&(table.to_owned(), column)));
        if action.take(&["alter"]) {
            action.take(&["column"]);
            return is_new(action.name());
        }
        if !action.take(&["add"]) {
            return false;
        }
        if action.take(&["constraint"]) {
            action.name();
        }
        if action.take(&["foreign", "key"]) || action.take(&["unique"]) {
            return action.take_sign("(") && is_new(action.name()) && action.take_sign(")");
        }
        let constraint = ["primary", "check", "exclude"].iter().any(|word| action.take(&[word]));
        // A column that old releases can leave out.
        !constraint && (!action.holds("not") || action.holds("default"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::migration::rollback_missing::RULE;
    use crate::sample;

    #[track_caller]
    fn check(path: &str, text: &str, expected: Option<(u32, Severity)>) {
        sample::finds_in_file(&RULE, path, text, expected.as_slice());
    }

    #[test]
    fn a_file_of_a_pair_needs_the_other() {
        // Where there is no place for the way back by convention, its lack asks for a look.
        let (high, medium) = (Severity::High, Severity::Medium);
        for (up, down, severity) in [
            ("db/migrations/000107_a.up.sql", "db/migrations/000107_a.down.sql", high),
            ("migrations/2026-01-01-120000_a/up.sql", "migrations/2026-01-01-120000_a/down.sql", high),
            ("migrations/0107_a.sql", "migrations/0107_a_rollback.sql", medium),
            ("migrations/0107_a.sql", "migrations/0107_a.down.sql", medium),
            ("migrations/up/0107_a.sql", "migrations/down/0107_a.sql", high),
            ("migrations/0107_a.sql", "migrations/rollback/0107_a.sql", medium),
            ("prisma/migrations/2026_a/migration.sql", "prisma/migrations/2026_a/down.sql", medium),
        ] {
            let text = "ALTER TABLE t ALTER COLUMN a TYPE bigint;";
            assert_eq!(sample::scan_with(&RULE, vec![sample::added(up, text)]), [(up.to_owned(), 1, severity)]);
            assert_eq!(sample::scan_with(&RULE, vec![sample::added(up, text), sample::added(down, text)]), [], "{up}");
        }
    }

    #[test]
    fn an_undo_file_of_flyway_is_asked_for_softly() {
        let text = "ALTER TABLE t ALTER COLUMN a TYPE bigint;";
        let up = || sample::added("sql/V107__a.sql", text);
        let undo = sample::added("sql/U107__undo_a.sql", text);
        assert_eq!(sample::scan_with(&RULE, vec![up()]), [("sql/V107__a.sql".to_owned(), 1, Severity::Low)]);
        assert_eq!(sample::scan_with(&RULE, vec![up(), undo]), []);
    }

    #[test]
    fn a_file_of_two_parts_needs_the_second() {
        let path = "migrations/00042_invoices.sql";
        check(path, "-- +goose Up\nCREATE TABLE a (id int);\n", Some((2, Severity::High)));
        check(path, "-- +goose Up\nCREATE TABLE a (id int);\n-- +goose Down\n-- nothing\n", Some((2, Severity::High)));
        check(path, "-- +goose Up\nCREATE TABLE a (id int);\n-- +goose Down\nDROP TABLE a;\n", None);
        check(
            path,
            "-- +goose Up\nCREATE TABLE a (id int);\n-- +goose Down\nSELECT 'down SQL query';\n",
            Some((2, Severity::High)),
        );
        check(path, "-- +goose Up\nSELECT add_job('a');\n-- +goose Down\nSELECT delete_job('a');\n", None);
        check(path, "-- migrate:up\nCREATE TABLE a (id int);\n\n-- migrate:down\nDROP TABLE a;\n", None);
        check(path, "-- migrate:up\nCREATE TABLE a (id int);\n\n-- migrate:down\n", Some((2, Severity::High)));
        check(path, "-- +migrate Up\nCREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;\n", None);
    }

    #[test]
    fn every_changeset_of_liquibase_needs_a_rollback() {
        let path = "db/changelog/1.sql";
        let set = "--changeset me:1\nCREATE TABLE a (id int);\n";
        let back = "--rollback DROP TABLE a;\n";
        check(path, &format!("--liquibase formatted sql\n\n{set}{back}{set}{back}"), None);
        check(path, &format!("-- liquibase formatted sql\n{set}{back}\n{set}"), Some((6, Severity::High)));
        check(path, &format!("--liquibase formatted sql\n{set}{set}{back}"), Some((2, Severity::High)));
    }

    #[test]
    fn without_a_convention_it_depends_on_what_the_migration_does() {
        let path = "migrations/0107_invoices.sql";
        for text in [
            "CREATE TABLE a (id int);",
            "BEGIN;\nCREATE TABLE a (id int NOT NULL);\nALTER TABLE b ADD COLUMN c int, ADD d text NOT NULL DEFAULT '';\nCOMMIT;",
            "CREATE INDEX CONCURRENTLY i ON a (b);",
            "ALTER TYPE mood ADD VALUE 'sad';",
            "ALTER TABLE a ADD b int;\nALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c (id), ALTER COLUMN b DROP DEFAULT;",
            "CREATE TABLE a (b int);\nALTER TABLE a ADD CONSTRAINT c CHECK (b > 0);",
        ] {
            check(path, text, Some((1, Severity::Low)));
        }
        for text in [
            "DROP TABLE a;",
            "ALTER TABLE a ADD COLUMN b int NOT NULL;",
            "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0);",
            "ALTER TABLE a RENAME COLUMN b TO c;",
            "ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c (id);",
            "UPDATE a SET b = 1;",
            "CREATE OR REPLACE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql;",
        ] {
            check(path, text, Some((1, Severity::Medium)));
        }
        check(path, "CREATE TABLE a (id int);\nALTER TABLE b DROP COLUMN c;\n", Some((2, Severity::Medium)));
        check("migrations/seed.sql", "INSERT INTO a VALUES (1);", None);
        check("sql/R__views.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;", None);
        check(path, "-- nothing yet\n", None);
    }
}
