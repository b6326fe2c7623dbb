//! Indexes that are built, rebuilt or dropped while everybody else waits.

use std::collections::HashSet;

use domain::{Confidence, Severity};

use super::super::operation::{ConstraintKind, Deed, Note, Operation};
use super::{ALTER_TABLE, CREATE_INDEX, RULE, old, postgres_deeds, postgres_old};
use crate::rules::{Check, Rule};

/// The rules.
pub(in crate::rules::migration) static RULES: &[&Rule] =
    &[&INDEX_CREATE, &UNIQUE_CONSTRAINT, &INDEX_DROP, &REINDEX, &REFERENCE_WITH_KEY, &INDEX_REPLACED];

static INDEX_CREATE: Rule = Rule {
    id: "migration.sql.index-without-concurrently",
    title: "Index built while writes wait",
    confidence: Confidence::Medium,
    hazard: "lock.index_create",
    remediation: "Build the index CONCURRENTLY, in a migration of its own outside a transaction.",
    references: &[CREATE_INDEX],
    aliases: &[
        "require-concurrent-index-creation",
        "E6",
        "create-index-not-concurrent",
        "CREATE_INDEX",
        "CREATE_INDEX_EXCLUSIVE",
        "add_index",
    ],
    check: Check::Script(|script| {
        let message = "the index is built under a lock that makes every write to the table wait";
        old(script, message, |_, what| match what {
            Operation::CreateIndex { index, .. } if script.is_postgres() => !index.concurrently,
            Operation::CreateIndex { index, .. } => index.blocks,
            _ => false,
        })
    }),
    ..RULE
};

static UNIQUE_CONSTRAINT: Rule = Rule {
    id: "migration.lock.unique-constraint",
    title: "Unique or primary key built while everything waits",
    hazard: "lock.index_create",
    remediation: "Build a unique index CONCURRENTLY first, then add the constraint USING INDEX.",
    references: &[ALTER_TABLE, CREATE_INDEX],
    aliases: &[
        "disallowed-unique-constraint",
        "adding-serial-primary-key-field",
        "E7",
        "ADD_UNIQUE",
        "add_unique_constraint",
        "add-constraint-unique",
    ],
    check: Check::Script(|script| {
        let message = "the constraint's index is built under a lock that makes every read and write of the table wait";
        postgres_old(script, message, |what| match what {
            Operation::AddConstraint { constraint, .. } => {
                matches!(constraint.kind, ConstraintKind::Unique | ConstraintKind::Primary) && !constraint.from_index
            }
            Operation::AddColumn { column, .. } => column.unique || column.primary,
            _ => false,
        })
    }),
    ..RULE
};

static INDEX_DROP: Rule = Rule {
    id: "migration.lock.index-drop",
    title: "Index dropped while everything waits",
    severity: Severity::Low,
    hazard: "lock.index_drop",
    remediation: "Drop the index CONCURRENTLY, outside a transaction.",
    references: &["https://www.postgresql.org/docs/current/sql-dropindex.html"],
    aliases: &["require-concurrent-index-deletion", "drop-index-not-concurrent", "DROP_INDEX", "remove_index"],
    check: Check::Script(|script| {
        let message = "the index is dropped under a lock that makes every read and write of its table wait";
        postgres_old(script, message, |what| matches!(what, Operation::DropIndex { concurrently: false, .. }))
    }),
    ..RULE
};

static REINDEX: Rule = Rule {
    id: "migration.lock.reindex",
    title: "Index rebuilt while everything waits",
    hazard: "lock.reindex",
    remediation: "Use REINDEX … CONCURRENTLY, outside a transaction.",
    references: &["https://www.postgresql.org/docs/current/sql-reindex.html"],
    aliases: &["require-concurrent-reindex", "reindex-non-concurrent", "REINDEX"],
    check: Check::Script(|script| {
        let message = "the index is rebuilt under a lock that makes writes to its table, and reads by that index, wait";
        postgres_deeds(script, &[Deed::Reindex], message)
    }),
    ..RULE
};

static REFERENCE_WITH_KEY: Rule = Rule {
    id: "migration.lock.reference-with-key",
    title: "Reference added together with its foreign key",
    severity: Severity::Low,
    hazard: "lock.index_create",
    remediation: "Add the reference with its index built concurrently, then the foreign key with validate: false, and validate it in a later migration.",
    references: &[
        "https://api.rubyonrails.org/classes/ActiveRecord/ConnectionAdapters/SchemaStatements.html#method-i-add_reference",
        ALTER_TABLE,
    ],
    aliases: &["add_reference"],
    check: Check::Script(|script| {
        let message =
            "column, index and foreign key come in one transaction, and writes to both tables wait for all of it";
        postgres_deeds(script, &[Deed::AddReferenceWithKey], message)
    }),
    ..RULE
};

static INDEX_REPLACED: Rule = Rule {
    id: "migration.lock.index-replaced",
    title: "Index dropped before its successor is there",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    hazard: "lock.index_create",
    remediation: "Build the new index first, under another name, and drop the old one afterwards.",
    references: &[CREATE_INDEX],
    aliases: &["replace_index"],
    check: Check::Script(|script| {
        let message = "until the index is built, queries that used the dropped one read the whole table";
        let mut dropped = HashSet::new();
        let mut notes = Vec::new();
        for (number, step) in script.steps.iter().enumerate() {
            match &step.what {
                Operation::DropIndex { table: Some(table), .. } => {
                    dropped.insert(table);
                }
                Operation::CreateIndex { table, .. } if dropped.contains(table) && script.is_postgres() => {
                    notes.push(Note::new(number, message));
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
    use super::super::tests::{alembic, django, file, rails, sql};
    use super::*;

    #[test]
    fn an_index_on_a_table_that_was_there_is_built_concurrently() {
        sql(&INDEX_CREATE, "CREATE INDEX i ON t (a);\nCREATE UNIQUE INDEX ON s.t USING gin (a);\n", &[1, 2]);
        sql(
            &INDEX_CREATE,
            "CREATE INDEX CONCURRENTLY i ON t (a);\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);\n",
            &[],
        );
        sql(&INDEX_CREATE, "CREATE TABLE t (a int);\nCREATE INDEX i ON t (a);\n", &[]);
        sql(&INDEX_CREATE, "CREATE INDEX `i` ON `t` (`a`);\n", &[]);
        file(&INDEX_CREATE, "migrations/mysql/2_a.sql", "CREATE INDEX i ON t (a);\n", &[]);
        file(&INDEX_CREATE, "migrations/2_a.down.sql", "CREATE INDEX i ON t (a);\n", &[]);
        rails(&INDEX_CREATE, "add_index :a, :b", true);
        rails(&INDEX_CREATE, "add_index :a, :b, algorithm: :inplace", false);
        rails(&INDEX_CREATE, "add_index :a, :b, algorithm: :copy", true);
        rails(&INDEX_CREATE, "add_index :a, :b, lock: :shared", true);
        rails(&INDEX_CREATE, "add_reference :a, :b", true);
        rails(&INDEX_CREATE, "add_index :a, :b, algorithm: :concurrently", false);
        rails(&INDEX_CREATE, "add_reference :a, :b, index: false", false);
        rails(&INDEX_CREATE, "add_reference :a, :b, index: { algorithm: :concurrently }", false);
        rails(&INDEX_CREATE, "create_table :a do |t|\n      t.references :b\n    end\n    add_index :a, :b", false);
        django(&INDEX_CREATE, "migrations.AddIndex('a', models.Index(fields=['b']))", true);
        django(&INDEX_CREATE, "AddIndexConcurrently('a', models.Index(fields=['b']))", false);
        alembic(&INDEX_CREATE, "op.create_index('i', 'a', ['b'])", true);
        alembic(&INDEX_CREATE, "op.create_index('i', 'a', ['b'], postgresql_concurrently=True)", false);
    }

    #[test]
    fn a_unique_constraint_is_made_of_an_index() {
        sql(
            &UNIQUE_CONSTRAINT,
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a);\nALTER TABLE t ADD PRIMARY KEY (a);\nALTER TABLE t ADD COLUMN b int UNIQUE;\n",
            &[1, 2, 3],
        );
        sql(
            &UNIQUE_CONSTRAINT,
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i;\nCREATE TABLE a (b int PRIMARY KEY);\nALTER TABLE a ADD UNIQUE (b);\n",
            &[],
        );
        rails(&UNIQUE_CONSTRAINT, "add_unique_constraint :a, :b", true);
        rails(&UNIQUE_CONSTRAINT, "add_unique_constraint :a, using_index: 'i'", false);
    }

    #[test]
    fn indexes_are_dropped_and_rebuilt_concurrently() {
        sql(&INDEX_DROP, "DROP INDEX i;\nDROP INDEX CONCURRENTLY i;\nDROP INDEX IF EXISTS a, b;\n", &[1, 3]);
        rails(&INDEX_DROP, "remove_index :a, :b", true);
        rails(&INDEX_DROP, "remove_index :a, column: :b, algorithm: :concurrently", false);
        sql(
            &REINDEX,
            "REINDEX TABLE t;\nREINDEX TABLE CONCURRENTLY t;\nREINDEX (VERBOSE, CONCURRENTLY) INDEX i;\n",
            &[1],
        );
    }

    #[test]
    fn an_index_is_made_by_itself_and_before_the_old_one_goes() {
        rails(&REFERENCE_WITH_KEY, "add_reference :a, :b, index: false, foreign_key: true", true);
        rails(&REFERENCE_WITH_KEY, "add_reference :a, :b, foreign_key: { validate: false }", false);
        rails(&INDEX_REPLACED, "remove_index :a, :b\n    add_index :a, [:b, :c]", true);
        rails(&INDEX_REPLACED, "add_index :a, [:b, :c]\n    remove_index :a, :b", false);
    }
}
