//! Locks that are waited for without an end: while one waits, everybody else waits behind it.

use domain::{Confidence, Severity};

use super::super::operation::{Deed, Language, Note, Operation, Script, Step};
use super::{LOCKING, RULE};
use crate::rules::{Check, Rule};

/// The rules.
pub(in crate::rules::migration) static RULES: &[&Rule] = &[&LOCK_TIMEOUT, &STATEMENT_TIMEOUT];

static LOCK_TIMEOUT: Rule = Rule {
    id: "migration.timeout.lock",
    title: "No limit on the wait for a lock",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    hazard: "timeout.lock",
    remediation: "Say SET lock_timeout = '2s' before the statement (or in the settings of the role that migrates), and try again when it strikes.",
    references: &["https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT", LOCKING],
    aliases: &[
        "require-lock-timeout",
        "require-timeout-settings",
        "E9",
        "missing-lock-timeout",
        "lock-timeout-zero",
        "lock-timeout-after-dangerous-statement",
    ],
    check: Check::Script(|script| {
        let message = "while the statement waits for its lock, everybody else waits behind it, and nothing ends that within a minute";
        let limit = |step: &Step| match step.what {
            Operation::LockTimeout(on) => Some(on),
            _ => None,
        };
        unlimited(script, limit).into_iter().map(|step| Note::new(step, message)).collect()
    }),
    ..RULE
};

static STATEMENT_TIMEOUT: Rule = Rule {
    id: "migration.timeout.statement",
    title: "No limit on how long a statement runs",
    severity: Severity::Info,
    confidence: Confidence::Low,
    hazard: "timeout.statement",
    remediation: "Say SET statement_timeout beside lock_timeout, so that a statement that takes too long gives its locks back.",
    references: &["https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT"],
    aliases: &["require-statement-timeout", "missing-statement-timeout"],
    check: Check::Script(|script| {
        let limit = |step: &Step| match step.what {
            Operation::StatementTimeout(on) => Some(on),
            _ => None,
        };
        let message = "nothing limits how long the statement works, and with it how long it keeps its locks";
        unlimited(script, limit).into_iter().map(|step| Note::new(step, message)).collect()
    }),
    ..RULE
};

/// The first step that takes a lock others wait for, if no limit was set before. Frameworks set theirs elsewhere.
fn unlimited(script: &Script, limit: impl Fn(&Step) -> Option<bool>) -> Option<usize> {
    if script.language != Language::Sql || !script.is_postgres() || !script.whole {
        return None;
    }
    let mut limited = false;
    for (number, step) in script.steps.iter().enumerate() {
        limited = limit(step).unwrap_or(limited);
        if !limited && takes_lock(script, number, &step.what) {
            return Some(number);
        }
    }
    None
}

/// True for what waits for a lock on something that was there before, and makes others wait behind it.
fn takes_lock(script: &Script, number: usize, what: &Operation) -> bool {
    match what {
        Operation::CreateTable { references, .. } => references.iter().any(|table| !script.is_new(table, number)),
        Operation::CreateIndex { index, table } => !index.concurrently && !script.is_new(table, number),
        Operation::DropIndex { concurrently, .. } => !concurrently,
        Operation::Other { deed, table } => {
            let rows = [
                Deed::Query,
                Deed::WriteRows,
                Deed::UpdateAll,
                Deed::DeleteAll,
                Deed::Revert,
                Deed::LongName,
                Deed::ConcurrentWork,
            ];
            !rows.contains(deed) && !script.is_new(table, number)
        }
        Operation::Unknown { schema } => *schema,
        Operation::FillTable { .. } => false,
        other => other.table().is_some_and(|table| !script.is_new(table, number)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sql;
    use super::*;

    #[test]
    fn a_lock_is_not_waited_for_without_end() {
        sql(&LOCK_TIMEOUT, "ALTER TABLE t ADD a int;\nALTER TABLE t ADD b int;\n", &[1]);
        sql(&LOCK_TIMEOUT, "SET lock_timeout = '2s';\nALTER TABLE t ADD a int;\n", &[]);
        sql(&LOCK_TIMEOUT, "ALTER TABLE t ADD a int;\nSET lock_timeout = '2s';\n", &[1]);
        sql(&LOCK_TIMEOUT, "SET lock_timeout = 0;\nALTER TABLE t ADD a int;\n", &[2]);
        sql(
            &LOCK_TIMEOUT,
            "CREATE TABLE t (a int);\nCREATE INDEX i ON t (a);\nALTER TABLE t ADD b int;\nINSERT INTO t VALUES (1);\n",
            &[],
        );
        sql(&LOCK_TIMEOUT, "CREATE INDEX CONCURRENTLY i ON t (a);\n", &[]);
        sql(&LOCK_TIMEOUT, "CREATE TABLE t (a int REFERENCES b (id));\n", &[1]);
        sql(&STATEMENT_TIMEOUT, "SET lock_timeout = '2s';\nALTER TABLE t ADD a int;\n", &[2]);
        sql(&STATEMENT_TIMEOUT, "ALTER TABLE t ADD a int;\n", &[1]);
        sql(&STATEMENT_TIMEOUT, "SET statement_timeout = '5s';\nALTER TABLE t ADD a int;\n", &[]);
        sql(&STATEMENT_TIMEOUT, "CREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\n", &[]);
    }
}
