//! Transactions that are left open, opened twice, or around what cannot be in one.

use domain::{Confidence, Severity};

use super::super::operation::{Deed, Language, Note, Operation, Script, Step, Wrapped};
use super::{CREATE_INDEX, RULE};
use crate::rules::{Check, Rule};

/// The rules.
pub(in crate::rules::migration) static RULES: &[&Rule] = &[&CONCURRENT_IN_TRANSACTION, &UNCOMMITTED, &NESTING];

static CONCURRENT_IN_TRANSACTION: Rule = Rule {
    id: "migration.tx.concurrent-in-transaction",
    title: "CONCURRENTLY in a transaction",
    hazard: "tx.concurrent_in_tx",
    remediation: "Put the statement in a migration of its own, and tell the tool to run it without a transaction.",
    references: &[CREATE_INDEX],
    aliases: &["ban-concurrent-index-creation-in-transaction", "concurrent-in-transaction"],
    check: Check::Script(|script| {
        if !script.is_postgres() {
            return Vec::new();
        }
        let message = "the statement fails: PostgreSQL refuses CONCURRENTLY in a transaction";
        let explicit = script.steps.iter().any(|step| step.what == Operation::Begin);
        let mixed = script.steps.iter().any(|step| !runs_alone(step));
        script.each(|number, step| {
            if !is_concurrent(step) {
                return None;
            }
            if step.transaction.is_some() || (script.wrapped == Wrapped::Yes && !explicit) {
                return Some(Note::new(number, message));
            }
            // Most tools run a file in one transaction, or send it as one, which is the same.
            let guess = script.language == Language::Sql && script.wrapped == Wrapped::Unknown && mixed && !explicit;
            let message = "the statement fails where the tool runs the file in one transaction";
            guess.then(|| Note::new(number, message).severity(Severity::Low).confidence(Confidence::Low))
        })
    }),
    ..RULE
};

fn is_concurrent(step: &Step) -> bool {
    match &step.what {
        Operation::CreateIndex { index, .. } => index.concurrently,
        Operation::DropIndex { concurrently, .. } => *concurrently,
        Operation::Other { deed, .. } => *deed == Deed::ConcurrentWork,
        _ => false,
    }
}

/// What a file may hold beside CONCURRENTLY without looking as if it were meant for a transaction.
fn runs_alone(step: &Step) -> bool {
    is_concurrent(step)
        || matches!(
            step.what,
            Operation::LockTimeout(_)
                | Operation::StatementTimeout(_)
                | Operation::Begin
                | Operation::Commit
                | Operation::Unknown { schema: false }
                | Operation::Other { deed: Deed::Query | Deed::LongName, .. }
        )
}

static UNCOMMITTED: Rule = Rule {
    id: "migration.tx.uncommitted",
    title: "Transaction without an end",
    hazard: "tx.uncommitted",
    remediation: "End the transaction with COMMIT.",
    references: &["https://www.postgresql.org/docs/current/sql-begin.html"],
    aliases: &["ban-uncommitted-transaction", "unclosed-transaction"],
    check: Check::Script(|script| {
        let message = "the transaction is never committed: all of it is lost, or its locks stay";
        let ends = |step: &Step| matches!(step.what, Operation::Begin | Operation::Commit);
        let last = script.steps.iter().rposition(ends);
        match last.map(|number| (number, &script.steps[number].what)) {
            Some((number, Operation::Begin)) if is_plain(script) => vec![Note::new(number, message)],
            _ => Vec::new(),
        }
    }),
    ..RULE
};

/// A whole file of SQL in which BEGIN is what it is in PostgreSQL.
fn is_plain(script: &Script) -> bool {
    script.language == Language::Sql && script.whole && script.is_postgres()
}

static NESTING: Rule = Rule {
    id: "migration.tx.nesting",
    title: "Transaction in a transaction",
    severity: Severity::Low,
    hazard: "tx.nesting",
    remediation: "Leave BEGIN and COMMIT to one of the two: the file, or the tool that runs it.",
    references: &["https://www.postgresql.org/docs/current/sql-begin.html"],
    aliases: &["transaction-nesting"],
    check: Check::Script(|script| {
        if !is_plain(script) {
            return Vec::new();
        }
        let mut open = script.wrapped == Wrapped::Yes;
        let mut notes = Vec::new();
        for (number, step) in script.steps.iter().enumerate() {
            match step.what {
                Operation::Begin => {
                    if open {
                        notes.push(Note::new(
                            number,
                            "a transaction is open already: the statement only warns, and the next COMMIT ends it",
                        ));
                    }
                    open = true;
                }
                Operation::Commit => {
                    if script.wrapped == Wrapped::Yes {
                        notes.push(Note::new(
                            number,
                            "the statement ends the transaction of the tool: what follows runs without one",
                        ));
                    } else if !open {
                        notes.push(Note::new(number, "there is no transaction to end"));
                    }
                    open = script.wrapped == Wrapped::Yes;
                }
                _ => {}
            }
        }
        notes
    }),
    ..RULE
};

#[cfg(test)]
mod tests {
    use super::super::tests::{alembic, django, rails, sql};
    use super::*;

    #[test]
    fn concurrently_is_outside_a_transaction() {
        let build = "CREATE INDEX CONCURRENTLY i ON t (a);\n";
        sql(&CONCURRENT_IN_TRANSACTION, &format!("BEGIN;\n{build}COMMIT;\n"), &[2]);
        sql(&CONCURRENT_IN_TRANSACTION, build, &[]);
        sql(&CONCURRENT_IN_TRANSACTION, &format!("SET lock_timeout = '2s';\n{build}{build}"), &[]);
        sql(&CONCURRENT_IN_TRANSACTION, &format!("BEGIN;\nALTER TABLE t ADD a int;\nCOMMIT;\n{build}"), &[]);
        sql(&CONCURRENT_IN_TRANSACTION, &format!("{build}ALTER TABLE t ADD b int;\n"), &[1]);
        sql(&CONCURRENT_IN_TRANSACTION, &format!("-- +goose Up\n{build}-- +goose Down\n"), &[2]);
        sql(
            &CONCURRENT_IN_TRANSACTION,
            &format!("-- +goose NO TRANSACTION\n-- +goose Up\n{build}-- +goose Down\n"),
            &[],
        );
        sql(&CONCURRENT_IN_TRANSACTION, "BEGIN;\nREINDEX INDEX CONCURRENTLY i;\nCOMMIT;\n", &[2]);
        rails(&CONCURRENT_IN_TRANSACTION, "add_index :a, :b, algorithm: :concurrently", true);
        rails(
            &CONCURRENT_IN_TRANSACTION,
            "add_index :a, :b, algorithm: :concurrently\n  end\n  disable_ddl_transaction!\n  def helper",
            false,
        );
        django(&CONCURRENT_IN_TRANSACTION, "AddIndexConcurrently('a', models.Index(fields=['b']))", true);
        django(
            &CONCURRENT_IN_TRANSACTION,
            "AddIndexConcurrently('a', models.Index(fields=['b']))]\n    atomic = False\n    other = [",
            false,
        );
        alembic(&CONCURRENT_IN_TRANSACTION, "op.create_index('i', 'a', ['b'], postgresql_concurrently=True)", true);
        alembic(
            &CONCURRENT_IN_TRANSACTION,
            "with op.get_context().autocommit_block():\n        op.create_index('i', 'a', ['b'], postgresql_concurrently=True)",
            false,
        );
    }

    #[test]
    fn a_transaction_has_one_beginning_and_one_end() {
        sql(&UNCOMMITTED, "BEGIN;\nCREATE TABLE a (b int);\n", &[1]);
        sql(&UNCOMMITTED, "BEGIN;\nCREATE TABLE a (b int);\nCOMMIT;\n", &[]);
        sql(&UNCOMMITTED, "CREATE TABLE a (b int);\n", &[]);
        sql(&NESTING, "BEGIN;\nBEGIN;\nCOMMIT;\nCOMMIT;\n", &[2, 4]);
        sql(&NESTING, "BEGIN;\nSELECT 1;\nCOMMIT;\nSTART TRANSACTION;\nROLLBACK;\n", &[]);
        sql(&NESTING, "-- +goose Up\nBEGIN;\nSELECT 1;\nCOMMIT;\n", &[2, 4]);
        sql(&NESTING, "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;\n", &[]);
        sql(&NESTING, "SAVEPOINT a;\nROLLBACK TO SAVEPOINT a;\n", &[]);
    }
}
