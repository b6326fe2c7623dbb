//! The front ends: each reads what a migration does from what it is written in.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use domain::diff::{FileDiff, LineKind};
use domain::{Confidence, FileChange, FileChangeKind};

use super::operation::{Deed, Dialect, Language, Note, Operation, Script, Wrapped};
use super::{Part, is_down, is_forward_sql, is_migration, part_at, parts};
use crate::engine::is_whole;
use crate::new_side::NewSide;
use crate::paths;
use crate::rules::FileHit;

mod calls;
mod ecto;
mod embedded;
mod javascript;
mod laravel;
mod liquibase;
mod python;
mod rails;
mod sql;
mod tables;
mod tree;
mod values;

/// A file of SQL in no folder of migrations that has more lines is none.
const GUESSED_LINES_MAX: usize = 2_000;

/// What a hunk shows of a migration.
pub(crate) struct Sheet {
    hunk: usize,
    side: NewSide,
    script: Script,
    /// The steps that the file had before the change too, whatever they looked like, and those that take away what it makes further up: the
    /// way down of which only a piece is in sight.
    excused: Vec<bool>,
    /// It lies where no migration is known to.
    guessed: bool,
}

/// What the hunks further up make.
#[derive(Default)]
struct Made {
    tables: HashSet<String>,
    columns: HashSet<(String, String)>,
}

impl Made {
    fn by(&mut self, script: &Script) {
        let (tables, columns) = script.made();
        self.tables.extend(tables.cloned());
        self.columns.extend(columns.cloned());
    }

    /// Whether the column or table that is dropped is one of them. Where a hunk does not show whose a column is, its name is enough.
    fn has(&self, dropped: &Operation) -> bool {
        match dropped {
            Operation::DropTable { table } => self.tables.contains(table),
            Operation::DropColumn { table, column } => {
                let is_it = |(of, made): &(String, String)| {
                    made == column && (of == table || of.is_empty() || table.is_empty())
                };
                self.tables.contains(table) || self.columns.iter().any(is_it)
            }
            _ => false,
        }
    }
}

/// What the migration in `file` does, hunk by hunk; nothing when it is none, or only goes down.
pub(crate) fn read(file: &FileDiff<'_>) -> Vec<Sheet> {
    let Some((reader, guessed)) = reader(file) else { return Vec::new() };
    let path = &file.change.path;
    let mut sheets = Vec::new();
    let before = before(file, reader);
    let mut made = Made::default();
    for (hunk, lines) in file.hunks.iter().enumerate() {
        let side = NewSide::of(lines);
        let mut script = if is_whole(file) { Script::of_whole_file() } else { Script::default() };
        reader(path, &without_mark(&side.text), &mut script);
        let is_migration = if guessed { changes_a_schema(&script) } else { !script.steps.is_empty() };
        if is_migration {
            let is_excused = |what: &Operation| made.has(what) || before.contains(&format!("{what:?}"));
            let excused = script.steps.iter().map(|step| is_excused(&step.what)).collect();
            made.by(&script);
            sheets.push(Sheet { hunk, side, script, excused, guessed });
        } else {
            made.by(&script);
        }
    }
    sheets
}

/// The text with blanks for the mark that some editors put in front of UTF-8, which would hide the first statement.
fn without_mark(text: &str) -> Cow<'_, str> {
    text.strip_prefix('\u{feff}').map_or(Cow::Borrowed(text), |rest| format!("   {rest}").into())
}

/// What the hunks of a changed file did before the change: an edit of an old migration is to blame for what it adds alone.
fn before(file: &FileDiff<'_>, reader: Reader) -> HashSet<String> {
    let mut before = HashSet::new();
    for hunk in file.hunks.iter().filter(|hunk| hunk.lines.iter().any(|line| line.kind == LineKind::Removed)) {
        let lines = hunk.lines.iter().filter(|line| line.kind != LineKind::Added);
        let text: String = lines.flat_map(|line| [line.text, "\n"]).collect();
        let mut script = Script::default();
        reader(&file.change.path, &text, &mut script);
        before.extend(script.steps.iter().map(|step| format!("{:?}", step.what)));
    }
    before
}

/// What a rule says about these sheets, on the lines that were added.
pub(crate) fn hits(file: &FileDiff<'_>, sheets: &[Sheet], check: fn(&Script) -> Vec<Note>) -> Vec<FileHit> {
    let mut hits = Vec::new();
    for sheet in sheets {
        for note in check(&sheet.script) {
            let Some(step) = sheet.script.steps.get(note.step) else { continue };
            if sheet.excused.get(note.step) == Some(&true) || sheet.side.first_added(step.own.clone()).is_none() {
                continue;
            }
            let Some(line) = sheet.side.first_added(step.at.clone()) else { continue };
            let mut hit = FileHit::on_line(file, sheet.hunk, line, note.message);
            if let Some(severity) = note.severity {
                hit = hit.severity(severity);
            }
            // Of a file that is not all there, the part that goes down may be out of sight.
            let is_sure = sheet.script.whole && !sheet.guessed;
            let confidence = if is_sure { note.confidence } else { Some(Confidence::Low) };
            hits.push(confidence.into_iter().fold(hit, FileHit::confidence));
        }
    }
    hits
}

/// True for a file that may be a migration, by its path alone.
pub(super) fn is_read(change: &FileChange) -> bool {
    const ENDINGS: [&str; 15] =
        ["sql", "rb", "py", "js", "ts", "mjs", "cjs", "mts", "cts", "xml", "yaml", "yml", "php", "ex", "exs"];
    ENDINGS.contains(&&*paths::lower(paths::extension(&change.path)))
}

type Reader = fn(&str, &str, &mut Script);

/// Who reads the file, and whether what it does has to tell if it is a migration. Asked of every file of a diff, so that it looks at the path
/// first and copies nothing.
fn reader(file: &FileDiff<'_>) -> Option<(Reader, bool)> {
    let change = &file.change;
    let path = &change.path;
    if change.kind == FileChangeKind::Deleted {
        return None;
    }
    let mut guessed = false;
    let reader: Option<Reader> = match &*paths::lower(paths::extension(path)) {
        "sql" if is_forward_sql(change) => Some(plain_sql),
        "sql" if is_short(file) && !paths::is_test(path) && !is_no_migration(path) => {
            guessed = true;
            Some(plain_sql)
        }
        "rb" if is_migration(path) || says(file, "Migration") => Some(|_, text, script| rails::read(text, script)),
        "py" if is_migration(path) || paths::has_folder(path, "versions") => {
            Some(|_, text, script| python::read(text, script))
        }
        "js" | "ts" | "mjs" | "cjs" | "mts" | "cts" if is_migration(path) => {
            Some(|_, text, script| javascript::read(text, script))
        }
        "php" if is_migration(path) => Some(|_, text, script| laravel::read(text, script)),
        "ex" | "exs" if is_migration(path) => Some(|_, text, script| ecto::read(text, script)),
        "xml" | "yaml" | "yml" if is_migration(path) => Some(|_, text, script| liquibase::read(text, script)),
        _ => None,
    };
    reader.filter(|_| !is_down(path) && !paths::is_archive(path)).map(|reader| (reader, guessed))
}

/// True for what is a migration wherever it lies: it changes the schema of tables that it does not make, or begins a transaction around a
/// table and never ends it, which makes nothing; and it asks no questions.
fn changes_a_schema(script: &Script) -> bool {
    let is_of_schema = |what: &Operation| match what.deed() {
        None => !matches!(what, Operation::FillTable { .. }),
        Some(deed) => matches!(
            deed,
            Deed::AddDomainConstraint
                | Deed::AddEnumValue
                | Deed::AddEnumValueLast
                | Deed::AlterIdentity
                | Deed::AttachPartition
                | Deed::Cluster
                | Deed::CopyTable
                | Deed::DetachPartition
                | Deed::DisableRowSecurity
                | Deed::DropPartition
                | Deed::DropWithColumns
                | Deed::MoveSchema
                | Deed::MoveTablespace
                | Deed::Reindex
                | Deed::RenameObject
                | Deed::ReplicaIdentity
                | Deed::RewriteLogged
                | Deed::SwitchTrigger
                | Deed::VacuumFull
        ),
    };
    let is_of_others = |what: &Operation| what.table().is_some_and(|table| !script.is_new(table, usize::MAX));
    let alters = script.steps.iter().any(|step| is_of_schema(&step.what) && is_of_others(&step.what));
    let mut ends = script.steps.iter().rev().map(|step| &step.what);
    let is_left_open =
        ends.find(|what| matches!(what, Operation::Begin | Operation::Commit)) == Some(&Operation::Begin);
    let makes = script.steps.iter().any(|step| matches!(step.what, Operation::CreateTable { .. }));
    (alters || is_left_open && makes) && !script.steps.iter().any(|step| step.what.deed() == Some(Deed::Query))
}

/// True for a file that is all there and no longer than people write a migration by hand: a dump may be very long, and all of it be parsed.
fn is_short(file: &FileDiff<'_>) -> bool {
    is_whole(file) && file.hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>() <= GUESSED_LINES_MAX
}

/// True for SQL that says by its name that it makes a database, or fills or asks one.
fn is_no_migration(path: &str) -> bool {
    const NAMES: [&str; 20] = [
        "bootstrap",
        "cleanup",
        "constraints",
        "create",
        "demo",
        "dump",
        "functions",
        "indexes",
        "init",
        "procedures",
        "queries",
        "query",
        "report",
        "reset",
        "sample",
        "schema",
        "seed",
        "seeds",
        "setup",
        "structure",
    ];
    paths::lower(paths::name(path)).split(|c: char| !c.is_ascii_alphabetic()).any(|word| NAMES.contains(&word))
}

fn says(file: &FileDiff<'_>, word: &str) -> bool {
    file.hunks.iter().flat_map(|hunk| &hunk.lines).any(|line| line.text.contains(word))
}

/// A file of SQL, without its parts that go down.
fn plain_sql(path: &str, text: &str, script: &mut Script) {
    script.language = Language::Sql;
    script.dialect = dialect(path, text);
    script.wrapped = wrapped(path, text);
    let parts = parts(text);
    if parts.is_empty() {
        sql::read(text, 0, script);
        return;
    }
    let starts = std::iter::once(0).chain(parts.iter().map(|(start, _)| *start));
    let ends = parts.iter().map(|(start, _)| *start).chain([text.len()]);
    for Range { start, end } in starts.zip(ends).map(|(start, end)| start..end) {
        if start < end && part_at(&parts, start) == Part::Up {
            sql::read(&text[start..end], start, script);
        }
    }
}

/// By what the SQL says, or a folder or file called after the database.
fn dialect(path: &str, text: &str) -> Dialect {
    let path = path.to_ascii_lowercase();
    let named = |words: &[&str]| words.iter().any(|word| path.split(['/', '_', '.', '-']).any(|part| part == *word));
    if named(&["mysql", "mariadb"]) {
        Dialect::Mysql
    } else if named(&["sqlite", "sqlite3", "d1"]) {
        Dialect::Sqlite
    } else if named(&["mssql", "sqlserver", "oracle", "clickhouse", "snowflake", "bigquery", "cassandra", "db2"]) {
        Dialect::SqlServer
    } else {
        sql::dialect(text)
    }
}

/// Whether the tool puts a transaction around the file, where the file says so.
fn wrapped(path: &str, text: &str) -> Wrapped {
    let lower = text.to_ascii_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if says(&[
        "+goose no transaction",
        "transaction:false",
        "notransaction",
        "no-transaction",
        "no transaction",
        "runintransaction:false",
        "executeintransaction=false",
        "squawk-disable-assume-in-transaction",
        "disable-transaction",
    ]) {
        return Wrapped::No;
    }
    if says(&["squawk-enable-assume-in-transaction", "+goose up", "migrate:up", "+migrate up"]) {
        return Wrapped::Yes;
    }
    // Flyway and Liquibase wrap what they run; Prisma and golang-migrate send it as it is.
    if paths::name(path).starts_with(['V', 'R']) && paths::name(path).contains("__")
        || says(&["liquibase formatted sql"])
    {
        Wrapped::Yes
    } else {
        Wrapped::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn php_and_elixir_are_migrations_in_their_folders() {
        let laravel = "<?php\nreturn new class extends Migration {\n    public function up() {\n        Schema::drop('a');\n    }\n};\n";
        let ecto = "defmodule A do\n  use Ecto.Migration\n  def change do\n    drop table(:a)\n  end\nend\n";
        for (path, text) in [
            ("database/migrations/2026_01_02_030405_a.php", laravel),
            ("priv/repo/migrations/20260102030405_a.exs", ecto),
            ("lib/shop/migrations/a.ex", ecto),
        ] {
            let file = sample::added(path, text);
            assert!(is_read(&file.change) && read(&file).len() == 1, "{path}");
        }
        for (path, text) in
            [("app/Drop.php", laravel), ("lib/drop.exs", ecto), ("database/migrations/A.php", "<?php\n")]
        {
            assert!(read(&sample::added(path, text)).is_empty(), "{path}");
        }
    }

    #[test]
    fn sql_that_changes_tables_which_it_does_not_make_is_a_migration_wherever_it_lies() {
        let is_one = |path: &str, text: &str| !read(&sample::added(path, text)).is_empty();
        let drops = "ALTER TABLE orders DROP COLUMN note;\n";
        for path in ["sql/2026-11.sql", "db/upgrade/3.1-3.2.sql", "migration.sql", "changes/42.sql"] {
            assert!(is_one(path, drops), "{path}");
        }
        for path in [
            "db/schema.sql",
            "tests/setup.sql",
            "db/seeds.sql",
            "db/42_rollback.sql",
            "examples/a.sql",
            "db/create_tables.sql",
        ] {
            assert!(!is_one(path, drops), "{path}");
        }
        for (text, expected) in [
            ("CREATE INDEX a_b ON a (b);\n", true),
            ("DROP TABLE a;\n", true),
            ("REINDEX TABLE a;\n", true),
            ("ALTER TABLE a DISABLE TRIGGER b;\n", true),
            ("CREATE TRIGGER b BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();\n", false),
            ("BEGIN;\nCREATE TABLE a (b int);\n", true),
            // A dump, a question, rows alone, and a table made anew.
            ("CREATE TABLE a (b int);\nALTER TABLE a ADD PRIMARY KEY (b);\n", false),
            ("BEGIN;\nCREATE TABLE a (b int);\nCOMMIT;\n", false),
            ("SELECT 1;\nDROP TABLE a;\n", false),
            ("INSERT INTO a VALUES (1);\nDELETE FROM b;\n", false),
            ("DROP TABLE IF EXISTS a;\nCREATE TABLE a (b int);\n", false),
        ] {
            assert_eq!(is_one("sql/42.sql", text), expected, "{text}");
            assert!(is_one("migrations/42.sql", text), "{text}");
        }
        let long = format!("{drops}{}", "\n".repeat(GUESSED_LINES_MAX));
        assert!(!is_one("sql/42.sql", &long) && is_one("migrations/42.sql", &long));
        let old = sample::modified("sql/42.sql", " SELECT 1;\n+ALTER TABLE orders DROP COLUMN note;\n");
        assert!(read(&old).is_empty(), "an edit shows too little of a file that may be anything");
    }
}
