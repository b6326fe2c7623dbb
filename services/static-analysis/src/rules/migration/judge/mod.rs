//! The rules about operations, by what would go wrong.

use domain::{Category, Confidence, Severity};

use super::operation::{Deed, Note, Operation, Script, Step};
use crate::rules::{Check, Rule};

pub(super) mod breaking;
pub(super) mod destructive;
pub(super) mod indexes;
pub(super) mod locks;
pub(super) mod rewrites;
pub(super) mod style;
pub(super) mod timeouts;
pub(super) mod transactions;

/// What the rules about operations have in common.
const RULE: Rule = Rule {
    id: "",
    title: "",
    severity: Severity::Medium,
    confidence: Confidence::High,
    category: Category::Migration,
    cwe: 0,
    hazard: "",
    keywords: &[],
    remediation: "",
    references: &[],
    aliases: &[],
    check: Check::Script(|_| Vec::new()),
};

const ALTER_TABLE: &str = "https://www.postgresql.org/docs/current/sql-altertable.html";
const CREATE_INDEX: &str = "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY";
const MYSQL_ONLINE: &str = "https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html";
const LOCKING: &str = "https://www.postgresql.org/docs/current/explicit-locking.html";

/// A note on every step of which `holds` is true, and that is done to a table that was there before.
fn old(script: &Script, message: &'static str, holds: impl Fn(usize, &Operation) -> bool) -> Vec<Note> {
    script.each_on_old_table(|number, step| holds(number, &step.what).then(|| Note::new(number, message)))
}

/// The same, where only PostgreSQL is like that.
fn postgres_old(script: &Script, message: &'static str, holds: impl Fn(&Operation) -> bool) -> Vec<Note> {
    if script.is_postgres() { old(script, message, |_, what| holds(what)) } else { Vec::new() }
}

/// A note on every step that does one of these to a table that was there before.
fn deeds(script: &Script, deeds: &[Deed], message: &'static str) -> Vec<Note> {
    old(script, message, |_, what| what.deed().is_some_and(|deed| deeds.contains(&deed)))
}

/// The same, where only PostgreSQL is like that.
fn postgres_deeds(script: &Script, wanted: &[Deed], message: &'static str) -> Vec<Note> {
    if script.is_postgres() { deeds(script, wanted, message) } else { Vec::new() }
}

/// True for what takes a lock on something that was there before, that nobody else gets past until the transaction ends.
fn locks_out(script: &Script, number: usize, step: &Step) -> bool {
    let locks = match &step.what {
        Operation::CreateTable { .. }
        | Operation::CreateView { .. }
        | Operation::CreateIndex { .. }
        | Operation::DropIndex { concurrently: true, .. }
        | Operation::ValidateConstraint { .. }
        | Operation::FillTable { .. }
        | Operation::Begin
        | Operation::Commit
        | Operation::LockTimeout(_)
        | Operation::StatementTimeout(_)
        | Operation::Unknown { .. } => false,
        Operation::Other { deed, .. } => matches!(
            deed,
            Deed::Cluster
                | Deed::DetachPartition
                | Deed::DropTrigger
                | Deed::LockTable
                | Deed::MoveSchema
                | Deed::MoveTablespace
                | Deed::RefreshView
                | Deed::Reindex
                | Deed::RewriteLogged
                | Deed::Truncate
                | Deed::TruncateCascade
        ),
        _ => true,
    };
    locks && !step.what.table().is_some_and(|table| script.is_new(table, number))
}

#[cfg(test)]
pub(in crate::rules::migration) mod tests {
    use crate::rules::Rule;
    use crate::sample;

    /// `rule` finds these lines in a new migration in SQL.
    #[track_caller]
    pub(in crate::rules::migration) fn sql(rule: &Rule, text: &str, lines: &[u32]) {
        file(rule, "migrations/2_a.sql", text, lines);
    }

    /// `rule` finds something, or nothing, in the `change` of a Rails migration.
    #[track_caller]
    pub(in crate::rules::migration) fn rails(rule: &Rule, body: &str, found: bool) {
        let text = format!("class A < ActiveRecord::Migration[7.1]\n  def change\n    {body}\n  end\nend\n");
        let got = sample::scan_with(rule, vec![sample::added("db/migrate/2_a.rb", &text)]);
        assert_eq!(!got.is_empty(), found, "{body}: {got:?}");
    }

    /// `rule` finds something, or nothing, in the operations of a Django migration.
    #[track_caller]
    pub(in crate::rules::migration) fn django(rule: &Rule, operation: &str, found: bool) {
        let text = format!("class Migration(migrations.Migration):\n    operations = [\n        {operation},\n    ]\n");
        let got = sample::scan_with(rule, vec![sample::added("shop/migrations/0002_a.py", &text)]);
        assert_eq!(!got.is_empty(), found, "{operation}: {got:?}");
    }

    /// `rule` finds something, or nothing, in the `upgrade` of an Alembic migration.
    #[track_caller]
    pub(in crate::rules::migration) fn alembic(rule: &Rule, call: &str, found: bool) {
        let text = format!("revision = 'a'\n\ndef upgrade():\n    {call}\n\n\ndef downgrade():\n    pass\n");
        let got = sample::scan_with(rule, vec![sample::added("alembic/versions/a.py", &text)]);
        assert_eq!(!got.is_empty(), found, "{call}: {got:?}");
    }

    /// `rule` finds these lines in a new file.
    #[track_caller]
    pub(in crate::rules::migration) fn file(rule: &Rule, path: &str, text: &str, lines: &[u32]) {
        let got = sample::scan_with(rule, vec![sample::added(path, text)]);
        let mut got: Vec<_> = got.into_iter().map(|(_, line, _)| line).collect();
        got.sort_unstable();
        assert_eq!(got, lines, "{path}:\n{text}");
    }
}
