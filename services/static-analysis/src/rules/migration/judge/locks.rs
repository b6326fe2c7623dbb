//! What makes everybody else wait: locks that are held while a table is read through, and locks that are waited for without
//! an end.

use std::collections::{HashMap, HashSet};

use domain::{Confidence, Severity};

use super::super::operation::{Constraint, ConstraintKind, Deed, Dialect, Note, Operation, Script, Step, Wrapped};
use super::{ALTER_TABLE, LOCKING, MYSQL_ONLINE, RULE, deeds, locks_out, postgres_deeds, postgres_old};
use crate::rules::{Check, Rule};

/// The rules.
pub(in crate::rules::migration) static RULES: &[&Rule] = &[
    &CONSTRAINT_VALIDATED,
    &VALIDATED_AT_ONCE,
    &SET_NOT_NULL,
    &DOMAIN_CONSTRAINT,
    &EXCLUSION_CONSTRAINT,
    &VIEW_REFRESH,
    &PARTITION_DETACH,
    &PARTITION_ATTACH,
    &TABLE_LOCK,
    &TRIGGER,
    &BULK_UPDATE,
    &MANY_REFERENCES,
];

static CONSTRAINT_VALIDATED: Rule = Rule {
    id: "migration.lock.constraint-validated",
    title: "Constraint checked on all rows while everything waits",
    hazard: "lock.constraint_validate",
    remediation: "Add the constraint as NOT VALID, and VALIDATE it in a later transaction, which lets reads and writes go on.",
    references: &[ALTER_TABLE, MYSQL_ONLINE],
    aliases: &[
        "constraint-missing-not-valid",
        "adding-foreign-key-constraint",
        "E1",
        "add-constraint-fk-no-not-valid",
        "add-constraint-check-no-not-valid",
        "add_foreign_key",
        "add_check_constraint",
    ],
    check: Check::Script(|script| script.each_on_old_table(|number, step| validated(script, number, step))),
    ..RULE
};

fn validated(script: &Script, number: usize, step: &Step) -> Option<Note> {
    match &step.what {
        Operation::AddConstraint { constraint, .. } if script.dialect != Dialect::Postgres => {
            validated_elsewhere(script.dialect, number, constraint)
        }
        Operation::AddConstraint { constraint, .. } if constraint.validated && !constraint.from_index => {
            match constraint.kind {
                ConstraintKind::ForeignKey => {
                    Some(Note::new(number, "all rows are checked under a lock that makes writes to both tables wait"))
                }
                ConstraintKind::Check | ConstraintKind::NotNull(_) => {
                    Some(Note::new(number, "all rows are checked under a lock that makes every read and write wait"))
                }
                ConstraintKind::Unique | ConstraintKind::Primary => {
                    Some(Note::new(number, FAILS_ON_OLD_ROWS).severity(Severity::Low))
                }
                ConstraintKind::Exclusion => None,
            }
        }
        Operation::AddColumn { column, .. }
            if script.is_postgres() && (column.references.is_some() || column.check) =>
        {
            let message = "the new column's constraint is checked under a lock that makes writes wait";
            Some(Note::new(number, message).severity(Severity::Low))
        }
        _ => None,
    }
}

/// MySQL copies the table to add a foreign key or a check; a unique constraint fails on old rows in every database.
fn validated_elsewhere(dialect: Dialect, number: usize, constraint: &Constraint) -> Option<Note> {
    let message = match constraint.kind {
        ConstraintKind::ForeignKey | ConstraintKind::Check if dialect == Dialect::Mysql => {
            "all rows are checked, and the table may be copied, while writes to it wait"
        }
        ConstraintKind::Unique | ConstraintKind::Primary if !constraint.from_index => FAILS_ON_OLD_ROWS,
        _ => return None,
    };
    Some(Note::new(number, message).severity(Severity::Low))
}

const FAILS_ON_OLD_ROWS: &str = "the migration fails if a row that is there violates the constraint";

static VALIDATED_AT_ONCE: Rule = Rule {
    id: "migration.lock.validated-at-once",
    title: "Constraint added and validated in one transaction",
    hazard: "lock.constraint_validate",
    remediation: "Validate the constraint in a later transaction: this one still holds the lock that adding it took.",
    references: &[ALTER_TABLE, LOCKING],
    aliases: &[
        "constraint-missing-not-valid",
        "not-valid-validate-same-tx",
        "validate_check_constraint",
        "validate_foreign_key",
    ],
    check: Check::Script(|script| {
        let message = "all rows are checked while the transaction still holds the lock of an earlier ALTER TABLE";
        if !script.is_postgres() {
            return Vec::new();
        }
        // The last step whose lock makes writes wait, to whatever table.
        let mut locked: Option<&Step> = None;
        let mut notes = Vec::new();
        for (number, step) in script.steps.iter().enumerate() {
            if matches!(step.what, Operation::ValidateConstraint { .. }) {
                let held = locked.is_some_and(|earlier| {
                    earlier.statement == step.statement
                        || script.wrapped == Wrapped::Yes
                        || step.transaction.is_some() && earlier.transaction == step.transaction
                });
                if held {
                    notes.push(Note::new(number, message));
                }
            } else if locks_out(script, number, step) || builds_index(script, number, step) {
                locked = Some(step);
            }
        }
        notes
    }),
    ..RULE
};

/// True for an index that is built on a table that was there before, while writes to it wait.
fn builds_index(script: &Script, number: usize, step: &Step) -> bool {
    matches!(&step.what, Operation::CreateIndex { table, index } if !index.concurrently && !script.is_new(table, number))
}

static MANY_REFERENCES: Rule = Rule {
    id: "migration.lock.many-references",
    title: "Foreign keys to several tables in one transaction",
    severity: Severity::Info,
    confidence: Confidence::Medium,
    hazard: "lock.constraint_validate",
    remediation: "Add each foreign key in a transaction of its own, so that no lock is held while another is waited for.",
    references: &[LOCKING],
    aliases: &["multiple_foreign_keys"],
    check: Check::Script(|script| {
        let message =
            "the transaction locks several tables one after the other, and holds each while it waits for the next";
        script.each_in_postgres(|number, step| match &step.what {
            Operation::CreateTable { references, .. } => {
                let old: HashSet<_> = references.iter().filter(|table| !script.is_new(table, number)).collect();
                (old.len() > 1).then(|| Note::new(number, message))
            }
            _ => None,
        })
    }),
    ..RULE
};

static SET_NOT_NULL: Rule = Rule {
    id: "migration.lock.set-not-null",
    title: "NOT NULL checked on all rows while everything waits",
    hazard: "lock.set_not_null",
    remediation: "Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in a later transaction, then SET NOT NULL (cheap from PostgreSQL 12 on) and drop the check.",
    references: &[ALTER_TABLE],
    aliases: &["adding-not-nullable-field", "E2", "NOT_NULL", "alter-column-set-not-null", "change_column_null"],
    check: Check::Script(|script| {
        let message = "all rows are checked for nulls under a lock that makes every read and write wait";
        // Checks that say the same, by table and name, and columns known to hold no nulls.
        let mut checks: HashMap<(&str, &str), &str> = HashMap::new();
        let mut latest: HashMap<&str, &str> = HashMap::new();
        let mut proven: HashSet<(&str, &str)> = HashSet::new();
        let mut tables_proven = proven_before(script);
        let mut notes = Vec::new();
        for (number, step) in script.steps.iter().enumerate() {
            match &step.what {
                Operation::AddConstraint { table, constraint } => {
                    if let ConstraintKind::NotNull(column) = &constraint.kind {
                        checks.insert((table, &constraint.name), column);
                        latest.insert(table, column);
                        if constraint.validated {
                            proven.insert((table, column));
                        }
                    }
                }
                Operation::ValidateConstraint { table, name } => {
                    let named = checks.get(&(table.as_str(), name.as_str()));
                    let known = named.or_else(|| latest.get(table.as_str()).filter(|_| name.is_empty()));
                    match known {
                        Some(column) => {
                            proven.insert((table, column));
                        }
                        // Of a check that an earlier migration added nobody knows the column.
                        None => {
                            tables_proven.insert(table);
                        }
                    }
                }
                Operation::SetNotNull { table, column } => {
                    let cheap =
                        proven.contains(&(table.as_str(), column.as_str())) || tables_proven.contains(table.as_str());
                    if script.is_postgres() && !cheap && !script.is_new(table, number) {
                        notes.push(Note::new(number, message));
                    }
                }
                _ => {}
            }
        }
        notes
    }),
    ..RULE
};

/// Tables of which an earlier migration validated a check for nulls: this one drops it, and did not add it.
fn proven_before(script: &Script) -> HashSet<&str> {
    let mut tables = HashSet::new();
    for step in &script.steps {
        if let Operation::DropConstraint { table, name } = &step.what
            && says_not_null(name)
        {
            tables.insert(table.as_str());
        }
    }
    for step in &script.steps {
        if let Operation::AddConstraint { table, constraint } = &step.what
            && matches!(constraint.kind, ConstraintKind::NotNull(_))
        {
            tables.remove(table.as_str());
        }
    }
    tables
}

/// True for the name of a check that a column is not null, as people give them: `users_name_not_null`, `name_null_check`.
pub(super) fn says_not_null(constraint: &str) -> bool {
    let name = constraint.to_ascii_lowercase();
    name.contains("null") || name.ends_with("_nn")
}

static DOMAIN_CONSTRAINT: Rule = Rule {
    id: "migration.lock.domain-constraint",
    title: "Domain with a constraint",
    severity: Severity::Low,
    hazard: "lock.domain_constraint",
    remediation: "Put the constraint on the table's column: there it can be added as NOT VALID, changed and dropped by itself.",
    references: &["https://www.postgresql.org/docs/current/sql-alterdomain.html"],
    aliases: &["ban-create-domain-with-constraint", "ban-alter-domain-with-add-constraint"],
    check: Check::Script(|script| {
        let message =
            "a constraint of a domain is checked on every column of that domain at once, under a lock on each table";
        deeds(script, &[Deed::AddDomainConstraint, Deed::CreateDomainWithConstraint], message)
    }),
    ..RULE
};

static EXCLUSION_CONSTRAINT: Rule = Rule {
    id: "migration.lock.exclusion-constraint",
    title: "Exclusion constraint built while everything waits",
    hazard: "lock.exclusion_constraint",
    remediation: "Add it while the table is small, or in a maintenance window: there is no way to build it beside the traffic.",
    references: &["https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-EXCLUDE"],
    aliases: &["E8", "add-constraint-exclude", "add_exclusion_constraint"],
    check: Check::Script(|script| {
        let message = "the constraint's index is built under a lock that makes every read and write wait";
        postgres_old(script, message, |what| match what {
            Operation::AddConstraint { constraint, .. } => constraint.kind == ConstraintKind::Exclusion,
            _ => false,
        })
    }),
    ..RULE
};

static VIEW_REFRESH: Rule = Rule {
    id: "migration.lock.view-refresh",
    title: "Materialized view refreshed while readers wait",
    severity: Severity::Low,
    hazard: "lock.refresh_matview",
    remediation: "Use REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view.",
    references: &["https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html"],
    aliases: &["refresh-matview-blocking"],
    check: Check::Script(|script| {
        postgres_deeds(script, &[Deed::RefreshView], "nobody can read the view until its query has run")
    }),
    ..RULE
};

static PARTITION_DETACH: Rule = Rule {
    id: "migration.lock.partition-detach",
    title: "Partition detached while everything waits",
    severity: Severity::Low,
    hazard: "lock.partition_detach",
    remediation: "Use DETACH PARTITION … CONCURRENTLY (PostgreSQL 14 and later), outside a transaction.",
    references: &[ALTER_TABLE],
    aliases: &["require-concurrent-partition-detach", "detach-partition"],
    check: Check::Script(|script| {
        let message = "the partition is detached under a lock that makes every read and write of the whole table wait";
        postgres_deeds(script, &[Deed::DetachPartition], message)
    }),
    ..RULE
};

static PARTITION_ATTACH: Rule = Rule {
    id: "migration.lock.partition-attach",
    title: "Partition attached",
    severity: Severity::Info,
    hazard: "lock.partition_attach",
    remediation: "Give the partition a valid CHECK constraint of its bounds first, so that its rows need not be read.",
    references: &[ALTER_TABLE],
    aliases: &["attach-partition"],
    check: Check::Script(|script| {
        let message = "the rows of the partition are checked under a lock on it, unless a constraint says they fit";
        postgres_deeds(script, &[Deed::AttachPartition], message)
    }),
    ..RULE
};

static TABLE_LOCK: Rule = Rule {
    id: "migration.lock.table",
    title: "Table locked by hand",
    severity: Severity::Low,
    hazard: "lock.table",
    remediation: "Let each statement take the lock it needs, or set a lock_timeout and keep the transaction short.",
    references: &["https://www.postgresql.org/docs/current/sql-lock.html"],
    aliases: &[],
    check: Check::Script(|script| {
        deeds(script, &[Deed::LockTable], "the table stays locked until the transaction ends")
    }),
    ..RULE
};

static TRIGGER: Rule = Rule {
    id: "migration.lock.trigger",
    title: "Trigger created, dropped or switched",
    severity: Severity::Info,
    hazard: "lock.trigger",
    remediation: "Set a lock_timeout, and think of what the trigger does to each write from now on.",
    references: &["https://www.postgresql.org/docs/current/sql-createtrigger.html"],
    aliases: &["create-trigger", "drop-trigger", "enable-disable-trigger", "ban-drop-trigger", "ban-disable-trigger"],
    check: Check::Script(|script| {
        let message = "a trigger changes under a lock that makes writes wait, and with it what each write does";
        postgres_deeds(script, &[Deed::CreateTrigger, Deed::DropTrigger, Deed::SwitchTrigger], message)
    }),
    ..RULE
};

static BULK_UPDATE: Rule = Rule {
    id: "migration.lock.bulk-update",
    title: "All rows updated at once",
    severity: Severity::Low,
    hazard: "lock.bulk_update",
    remediation: "Fill the rows in batches outside the migration, each in a transaction of its own.",
    references: &["https://www.postgresql.org/docs/current/routine-vacuuming.html", LOCKING],
    aliases: &["update-in-migration"],
    check: Check::Script(|script| {
        // A column that was just added holds nothing that somebody else waits for, but its rows are locked all the same.
        deeds(script, &[Deed::UpdateAll], "every row is locked and written anew in one transaction")
    }),
    ..RULE
};

#[cfg(test)]
mod tests {
    use super::super::tests::{alembic, file, rails, sql};
    use super::*;

    #[test]
    fn a_constraint_is_validated_later() {
        sql(
            &CONSTRAINT_VALIDATED,
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);\nALTER TABLE t ADD FOREIGN KEY (a) REFERENCES b (id);\nALTER TABLE t ADD a int REFERENCES b;\n",
            &[1, 2, 3],
        );
        sql(
            &CONSTRAINT_VALIDATED,
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\nALTER TABLE t VALIDATE CONSTRAINT c;\n",
            &[],
        );
        sql(&CONSTRAINT_VALIDATED, "CREATE TABLE t (a int);\nALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);\n", &[]);
        rails(&CONSTRAINT_VALIDATED, "add_foreign_key :a, :b", true);
        rails(&CONSTRAINT_VALIDATED, "add_foreign_key :a, :b, validate: false", false);
        rails(&CONSTRAINT_VALIDATED, "add_reference :a, :b, index: false, foreign_key: true", true);
        alembic(&CONSTRAINT_VALIDATED, "op.create_foreign_key(None, 'a', 'b', ['c'], ['id'])", true);
        alembic(
            &CONSTRAINT_VALIDATED,
            "op.create_foreign_key(None, 'a', 'b', ['c'], ['id'], postgresql_not_valid=True)",
            false,
        );
    }

    #[test]
    fn to_validate_at_once_is_as_bad() {
        let pair = "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\nALTER TABLE t VALIDATE CONSTRAINT c;\n";
        sql(&VALIDATED_AT_ONCE, pair, &[]);
        sql(&VALIDATED_AT_ONCE, &format!("BEGIN;\n{pair}COMMIT;\n"), &[3]);
        file(&VALIDATED_AT_ONCE, "db/migration/V2__a.sql", pair, &[2]);
        sql(
            &VALIDATED_AT_ONCE,
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID, VALIDATE CONSTRAINT c;\n",
            &[1],
        );
        sql(
            &VALIDATED_AT_ONCE,
            "BEGIN;\nALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\nCOMMIT;\nBEGIN;\nALTER TABLE t VALIDATE CONSTRAINT c;\nCOMMIT;\n",
            &[],
        );
        let calls =
            "add_check_constraint :a, 'b > 0', name: 'c', validate: false\n    validate_check_constraint :a, name: 'c'";
        rails(&VALIDATED_AT_ONCE, calls, true);
        // Whatever else is locked waits as long.
        rails(&VALIDATED_AT_ONCE, "add_column :a, :b, :string\n    validate_foreign_key :c, :d", true);
        rails(&VALIDATED_AT_ONCE, "add_index :a, :b\n    validate_check_constraint :c, name: 'd'", true);
        rails(&VALIDATED_AT_ONCE, "validate_foreign_key :c, :d\n    add_column :a, :b, :string", false);
        rails(&VALIDATED_AT_ONCE, &format!("{calls}\n  end\n  disable_ddl_transaction!\n  def helper"), false);
    }

    #[test]
    fn not_null_is_cheap_after_a_valid_check() {
        sql(&SET_NOT_NULL, "ALTER TABLE t ALTER COLUMN a SET NOT NULL;\n", &[1]);
        let check = "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID;\n";
        let validate = "ALTER TABLE t VALIDATE CONSTRAINT c;\n";
        sql(&SET_NOT_NULL, &format!("{check}{validate}ALTER TABLE t ALTER a SET NOT NULL;\n"), &[]);
        sql(&SET_NOT_NULL, &format!("{check}ALTER TABLE t ALTER a SET NOT NULL;\n"), &[2]);
        sql(&SET_NOT_NULL, &format!("{check}{validate}ALTER TABLE t ALTER b SET NOT NULL;\n"), &[3]);
        sql(&SET_NOT_NULL, &format!("{validate}ALTER TABLE t ALTER b SET NOT NULL;\n"), &[]);
        sql(&SET_NOT_NULL, "ALTER TABLE t ALTER a SET NOT NULL;\nALTER TABLE t DROP CONSTRAINT t_a_not_null;\n", &[]);
        sql(&SET_NOT_NULL, "ALTER TABLE t ALTER a SET NOT NULL;\nALTER TABLE t DROP CONSTRAINT t_a_positive;\n", &[1]);
        rails(
            &SET_NOT_NULL,
            "change_column_null :a, :b, false\n    remove_check_constraint :a, name: 'a_b_null'",
            false,
        );
        sql(&SET_NOT_NULL, "CREATE TABLE t (a int);\nALTER TABLE t ALTER a SET NOT NULL;\n", &[]);
        rails(&SET_NOT_NULL, "change_column_null :a, :b, false", true);
        rails(&SET_NOT_NULL, "change_column_null :a, :b, true", false);
        rails(
            &SET_NOT_NULL,
            "add_check_constraint :a, 'b IS NOT NULL', name: 'c', validate: false\n    validate_check_constraint :a, name: 'c'\n    change_column_null :a, :b, false",
            false,
        );
        alembic(&SET_NOT_NULL, "op.alter_column('a', 'b', nullable=False)", true);
    }

    #[test]
    fn several_locks_are_not_taken_at_once() {
        rails(
            &MANY_REFERENCES,
            "create_table :a do |t|\n      t.references :b, foreign_key: true\n      t.belongs_to :c, foreign_key: { to_table: :d }\n    end",
            true,
        );
        rails(
            &MANY_REFERENCES,
            "create_table :a do |t|\n      t.references :b, foreign_key: true\n      t.references :c\n    end",
            false,
        );
        sql(
            &MANY_REFERENCES,
            "CREATE TABLE a (b int REFERENCES b, c int REFERENCES c);\nCREATE TABLE d (a int REFERENCES a, b int REFERENCES b);\n",
            &[1],
        );
    }

    #[test]
    fn other_locks_are_known() {
        sql(
            &DOMAIN_CONSTRAINT,
            "CREATE DOMAIN d AS int CHECK (value > 0);\nALTER DOMAIN d ADD CONSTRAINT c CHECK (value > 0);\nCREATE DOMAIN e AS int;\nALTER DOMAIN d SET NOT NULL;\n",
            &[1, 2],
        );
        sql(&EXCLUSION_CONSTRAINT, "ALTER TABLE t ADD CONSTRAINT c EXCLUDE USING gist (a WITH &&);\n", &[1]);
        rails(&EXCLUSION_CONSTRAINT, "add_exclusion_constraint :a, 'b WITH =', using: :gist", true);
        sql(&VIEW_REFRESH, "REFRESH MATERIALIZED VIEW v;\nREFRESH MATERIALIZED VIEW CONCURRENTLY v;\n", &[1]);
        sql(
            &PARTITION_DETACH,
            "ALTER TABLE t DETACH PARTITION a;\nALTER TABLE t DETACH PARTITION a CONCURRENTLY;\n",
            &[1],
        );
        sql(&PARTITION_ATTACH, "ALTER TABLE t ATTACH PARTITION a FOR VALUES IN (1);\n", &[1]);
        sql(&TABLE_LOCK, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE;\n", &[1]);
        sql(
            &TRIGGER,
            "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();\nALTER TABLE t DISABLE TRIGGER x;\n",
            &[1, 2],
        );
        sql(&BULK_UPDATE, "UPDATE t SET a = 1;\nUPDATE t SET a = 1 WHERE id < 10;\n", &[1]);
    }
}
