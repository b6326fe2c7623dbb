//! Database migrations: what is one, which way it goes, what it does, and what is wrong with that.
//!
//! The front ends (`front`) read what a migration does, in SQL or in the language of a framework, as operations
//! (`operation`); one set of rules (`judge`) judges those. Whether a migration can be taken back (`rollback`) is asked of
//! the whole change.

use std::sync::LazyLock;

use domain::diff::FileDiff;
use domain::{FileChange, FileChangeKind};
use regex::Regex;

use super::{Check, FileHit, Rule, Shared};
use crate::paths;

mod front;
mod judge;
mod operation;
#[cfg(test)]
mod properties;
mod rollback;
pub mod rollback_missing;
pub(crate) mod sql;

pub use operation::{Note, Script};

/// The rules of this category.
pub(crate) fn rules() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> = LazyLock::new(|| {
        [
            &[&rollback_missing::RULE],
            judge::destructive::RULES,
            judge::indexes::RULES,
            judge::locks::RULES,
            judge::timeouts::RULES,
            judge::rewrites::RULES,
            judge::breaking::RULES,
            judge::transactions::RULES,
            judge::style::RULES,
        ]
        .concat()
    });
    &ALL
}

/// The check that reads a migration once and asks all rules about it.
pub(crate) static SHARED: Shared = Shared { applies: front::is_read, check, besides: &[] };

fn check(file: &FileDiff<'_>) -> Vec<(&'static str, FileHit)> {
    let sheets = front::read(file);
    if sheets.is_empty() {
        return Vec::new();
    }
    let asked = rules().iter().filter_map(|rule| match rule.check {
        Check::Script(check) => Some((rule.id, front::hits(file, &sheets, check))),
        _ => None,
    });
    asked.flat_map(|(id, hits)| hits.into_iter().map(move |hit| (id, hit))).collect()
}

/// True for a path where migrations live, or that is named as one.
fn is_migration(path: &str) -> bool {
    let folder = |folder: &str| {
        let folder = paths::lower(folder);
        folder.ends_with("migrations")
            || folder.ends_with("migration")
            || matches!(&*folder, "migrate" | "changelog" | "changelogs" | "flyway")
    };
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:[VU][0-9][0-9._]*__.*|.*\.(?:up|down))\.sql$").expect("the pattern is tested")
    });
    paths::folders(path).any(folder) || path.ends_with(".sql") && NAME.is_match(paths::name(path))
}

/// True for the file of a migration that takes it back.
fn is_down(path: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?:^|[._-])(?:down|undo|rollback|revert)\.[a-z]+$|^U[0-9][0-9._]*__.*\.sql$|^(?:down|undo|rollback|revert)[._-]")
            .expect("the pattern is tested")
    });
    NAME.is_match(paths::name(path))
        || ["down", "undo", "rollback", "rollbacks", "revert"].iter().any(|folder| paths::has_folder(path, folder))
}

/// True for SQL that takes the database forward.
fn is_forward_sql(change: &FileChange) -> bool {
    paths::extension(&change.path).eq_ignore_ascii_case("sql")
        && change.kind != FileChangeKind::Deleted
        && is_migration(&change.path)
        && !is_down(&change.path)
}

/// What a comment says about the part of the file below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Up,
    Down,
}

/// The parts of a file that holds both ways, as goose, sql-migrate, dbmate and node-pg-migrate write it: where each begins.
fn parts(text: &str) -> Vec<(usize, Part)> {
    static SIGN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?im)^[ \t]*--[ \t]*(?:\+goose[ \t]+|\+migrate[ \t]+|migrate:)?(?:(up)|(down))(?:[ \t]+migration)?(?:[ \t]+transaction:\w+)?[ \t]*$")
            .expect("the pattern is tested")
    });
    let part = |found: regex::Captures<'_>| {
        let at = found.get(0).map_or(0, |sign| sign.start());
        (at, if found.get(2).is_some() { Part::Down } else { Part::Up })
    };
    SIGN.captures_iter(text).map(part).collect()
}

/// The part that this byte is in; a file without signs goes up.
fn part_at(parts: &[(usize, Part)], byte: usize) -> Part {
    parts.iter().take_while(|(start, _)| *start <= byte).last().map_or(Part::Up, |(_, part)| *part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_known_by_its_path() {
        for path in [
            "migrations/1.sql",
            "db/migrate/20260101_x.rb",
            "db/V1_2__add.sql",
            "src/main/resources/db/migration/V1__x.sql",
            "schema/0001_a.up.sql",
            "app_migrations/2.sql",
            "prisma/migrations/20260101_x/migration.sql",
        ] {
            assert!(is_migration(path), "{path}");
        }
        for path in ["src/query.sql", "docs/example.up.sql.md", "src/migrations.rs", "immigration.sql"] {
            assert!(!is_migration(path), "{path}");
        }
    }

    #[test]
    fn the_way_back_is_known_by_its_name() {
        for path in [
            "migrations/1_a.down.sql",
            "migrations/2026_x/down.sql",
            "db/U1__a.sql",
            "db/down/1.sql",
            "migrations/1_a_rollback.sql",
            "migrations/rollback/1_a.sql",
        ] {
            assert!(is_down(path), "{path}");
        }
        for path in [
            "migrations/1_a.up.sql",
            "migrations/1_shutdown.sql",
            "migrations/1_update.sql",
            "migrations/V2__undo_log.sql",
        ] {
            assert!(!is_down(path), "{path}");
        }
    }

    #[test]
    fn a_file_may_hold_both_ways() {
        let text = "-- +goose Up\nA;\n-- +goose Down\nB;\n";
        assert_eq!(part_at(&parts(text), text.find("A;").unwrap()), Part::Up);
        assert_eq!(part_at(&parts(text), text.find("B;").unwrap()), Part::Down);
        assert_eq!(parts("-- migrate:up transaction:false\n-- migrate:down\n").len(), 2);
        assert_eq!(parts("-- this goes down in history\n"), []);
    }
}
