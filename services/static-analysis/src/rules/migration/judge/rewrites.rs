//! What writes a whole table anew while everybody waits.

use domain::{Confidence, Severity};

use super::super::operation::{
    Column, Deed, Dialect, Generated, Language, Note, Operation, Script, Step, Type, Value, Wrapped,
};
use super::{ALTER_TABLE, LOCKING, MYSQL_ONLINE, RULE, locks_out, postgres_deeds};
use crate::rules::{Check, Rule};

/// The rules.
pub(in crate::rules::migration) static RULES: &[&Rule] =
    &[&VOLATILE_DEFAULT, &GENERATED_COLUMN, &JSON_COLUMN, &TYPE_CHANGE, &WHOLE_TABLE, &UNDER_LOCK];

static VOLATILE_DEFAULT: Rule = Rule {
    id: "migration.rewrite.volatile-default",
    title: "Column added with another value for each row",
    hazard: "rewrite.volatile_default",
    remediation: "Add the column without the default, set the default, and fill the rows that are there in batches. A constant default costs nothing from PostgreSQL 11 on.",
    references: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    aliases: &[
        "adding-field-with-default",
        "add-column-non-constant-default",
        "add_column_default",
        "add_column_with_default",
    ],
    check: Check::Script(|script| {
        let message =
            "the default is volatile: the table is written anew under a lock that makes every read and write wait";
        added_columns(script, |column| {
            let confidence = match (column.default, script.dialect) {
                (Value::Volatile, Dialect::Postgres | Dialect::Mysql) | (Value::Bracketed, Dialect::Mysql) => {
                    Confidence::High
                }
                (Value::Unknown, Dialect::Postgres | Dialect::Mysql) => Confidence::Medium,
                (Value::Bracketed, Dialect::Postgres) => {
                    let message = "where the database is MySQL, an expression as a default has the table written anew while writes wait";
                    return Some(Judgement { message, severity: Severity::Low, confidence: Confidence::Low });
                }
                _ => return None,
            };
            Some(Judgement { message, severity: Severity::Medium, confidence })
        })
    }),
    ..RULE
};

static GENERATED_COLUMN: Rule = Rule {
    id: "migration.rewrite.generated-column",
    title: "Generated, identity or serial column added",
    hazard: "rewrite.volatile_default",
    remediation: "Add a plain column, let a trigger or the application fill it, and fill the rows that are there in batches.",
    references: &[ALTER_TABLE],
    aliases: &[
        "E11",
        "add-column-stored-generated",
        "add-column-serial",
        "add_column_generated_stored",
        "add_column_auto_incrementing",
    ],
    check: Check::Script(|script| {
        let message =
            "every row gets its value at once: the table is written anew under a lock that makes everybody wait";
        added_columns(script, |column| {
            let computed = matches!(column.generated, Generated::Stored | Generated::Identity);
            let judgement = Judgement { message, severity: Severity::Medium, confidence: Confidence::High };
            (computed || column.ty.is_serial()).then_some(judgement)
        })
    }),
    ..RULE
};

/// What is said about a column.
struct Judgement {
    message: &'static str,
    severity: Severity,
    confidence: Confidence,
}

/// What `judge` says about the columns that are added to tables that were there before, in PostgreSQL and MySQL.
fn added_columns(script: &Script, judge: impl Fn(&Column) -> Option<Judgement>) -> Vec<Note> {
    if !matches!(script.dialect, Dialect::Postgres | Dialect::Mysql) {
        return Vec::new();
    }
    script.each_on_old_table(|number, step| match &step.what {
        Operation::AddColumn { column, .. } => judge(column).map(|judgement| {
            Note::new(number, judgement.message).severity(judgement.severity).confidence(judgement.confidence)
        }),
        _ => None,
    })
}

static JSON_COLUMN: Rule = Rule {
    id: "migration.rewrite.json-column",
    title: "Column of type json",
    severity: Severity::Low,
    // The families of the evaluation's sources put it beside the other ways in which adding a column goes wrong.
    hazard: "rewrite.volatile_default",
    remediation: "Use jsonb. To change the type later writes the whole table anew.",
    references: &["https://www.postgresql.org/docs/current/datatype-json.html"],
    aliases: &["E3", "add-column-json", "add_column_json"],
    check: Check::Script(|script| {
        let message = "json has no equality: SELECT DISTINCT, UNION and GROUP BY over the column fail";
        script.each_in_postgres(|number, step| match &step.what {
            Operation::AddColumn { column, .. } if column.ty.name == "json" => Some(Note::new(number, message)),
            Operation::ChangeType { to, .. } if to.name == "json" => Some(Note::new(number, message)),
            Operation::CreateTable { columns, .. } if columns.iter().any(|column| column.ty.name == "json") => {
                Some(Note::new(number, message).severity(Severity::Info))
            }
            _ => None,
        })
    }),
    ..RULE
};

static TYPE_CHANGE: Rule = Rule {
    id: "migration.rewrite.type-change",
    title: "Column's type changed",
    hazard: "rewrite.type_change",
    remediation: "Add a column of the new type, write to both, fill it in batches, read from it, and drop the old one in a later change.",
    references: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES", MYSQL_ONLINE],
    aliases: &["changing-column-type", "E5", "ALTER_COLUMN", "alter-column-type", "change_column"],
    check: Check::Script(|script| {
        script.each_on_old_table(|number, step| match &step.what {
            Operation::ChangeType { to, from, .. } => type_change(script, number, to, from.as_ref()),
            _ => None,
        })
    }),
    ..RULE
};

fn type_change(script: &Script, number: usize, to: &Type, from: Option<&Type>) -> Option<Note> {
    let message = "the table is written anew under a lock that makes every read and write wait, and the release before may not know the type";
    let note = Note::new(number, message);
    let framework = script.language == Language::Framework;
    if framework && to.name.is_empty() {
        let message =
            "if the type is another one, the table is written anew under a lock that makes every read and write wait";
        return Some(Note::new(number, message).severity(Severity::Low).confidence(Confidence::Low));
    }
    if !script.is_postgres() {
        return Some(note);
    }
    // From a shorter text or number to any nothing is rewritten, and that is most of these.
    let maybe = from.is_none()
        && to.arguments.is_empty()
        && !to.array
        && matches!(to.name.as_str(), "text" | "varchar" | "numeric");
    if maybe {
        // What a framework changes in its schema's terms is nearly always of that sort.
        return (!framework).then(|| note.severity(Severity::Low).confidence(Confidence::Medium));
    }
    match from {
        Some(from) if framework && outgrows_length_byte(from, to) => {
            let message = "where the database is MySQL, a length of 256 and more takes two bytes, and the table is written anew for that while writes wait";
            Some(Note::new(number, message).severity(Severity::Low).confidence(Confidence::Low))
        }
        Some(from) if is_free(from, to) => None,
        _ => Some(note),
    }
}

/// True when MySQL, which keeps the length of a text in one byte up to 255, needs two for the new type.
fn outgrows_length_byte(from: &Type, to: &Type) -> bool {
    // Without a limit, a framework makes it 255 there.
    let length = |ty: &Type| (ty.name == "varchar" && !ty.array).then(|| ty.arguments.first().copied().unwrap_or(255));
    length(from).zip(length(to)).is_some_and(|(from, to)| from < 256 && to > 255)
}

/// True when PostgreSQL changes the type without writing the rows: the values are stored alike, and none is cut.
fn is_free(from: &Type, to: &Type) -> bool {
    if from.array != to.array {
        return false;
    }
    let (old, new) = (from.arguments.as_slice(), to.arguments.as_slice());
    let grows = match (old, new) {
        (_, []) => true,
        ([old], [new]) => new >= old,
        _ => false,
    };
    match (from.name.as_str(), to.name.as_str()) {
        ("varchar", "varchar") | ("varbit", "varbit") => grows,
        ("varchar" | "text" | "citext" | "xml", "text") => true,
        ("text" | "xml" | "citext", "varchar") => new.is_empty(),
        ("varchar" | "text", "citext") => true,
        ("numeric", "numeric") => match (old, new) {
            (_, []) => true,
            ([p, s], [q, t]) => q >= p && s == t,
            ([p], [q]) => q >= p,
            _ => false,
        },
        ("timestamp", "timestamp") | ("timestamptz", "timestamptz") | ("interval", "interval") | ("time", "time") => {
            new.first().unwrap_or(&6) >= old.first().unwrap_or(&6)
        }
        ("bit", "varbit") => new.is_empty(),
        ("cidr", "inet") => true,
        (old_name, new_name) => old_name == new_name && !old_name.is_empty() && old == new,
    }
}

static WHOLE_TABLE: Rule = Rule {
    id: "migration.rewrite.whole-table",
    title: "Whole table written anew",
    hazard: "rewrite.table",
    remediation: "Use pg_repack or a maintenance window: the statement keeps its lock until the last row is written.",
    references: &[
        "https://www.postgresql.org/docs/current/sql-vacuum.html",
        "https://www.postgresql.org/docs/current/sql-cluster.html",
        LOCKING,
    ],
    aliases: &["prefer-repack", "vacuum-full", "cluster", "set-logged-unlogged"],
    check: Check::Script(|script| {
        let deeds = [Deed::VacuumFull, Deed::Cluster, Deed::RewriteLogged, Deed::MoveTablespace];
        let message = "the table is written anew under a lock that makes every read and write wait";
        let mut notes = postgres_deeds(script, &deeds, message);
        notes.extend(super::deeds(script, &[Deed::CopyTable], "the table is written anew while writes to it wait"));
        notes
    }),
    ..RULE
};

static UNDER_LOCK: Rule = Rule {
    id: "migration.rewrite.under-lock",
    title: "Rows worked on while a table is locked",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    hazard: "rewrite.under_lock",
    remediation: "Put each ALTER TABLE in a migration of its own, and the work on rows in another: a lock is kept until the transaction ends.",
    references: &[LOCKING],
    aliases: &["E4", "E10", "statement-after-access-exclusive", "wide-lock-window", "CREATE_INDEX_EXCLUSIVE"],
    check: Check::Script(|script| {
        let message = "the statement works on rows while the transaction holds the lock of an earlier one";
        if script.language != Language::Sql || !script.is_postgres() || script.wrapped == Wrapped::No {
            return Vec::new();
        }
        // Without a BEGIN of its own, most tools run the file in one transaction.
        let explicit = script.steps.iter().any(|step| step.what == Operation::Begin);
        let mut locked: Option<(usize, Option<u32>)> = None;
        let mut second = None;
        for (number, step) in script.steps.iter().enumerate() {
            if explicit && step.transaction.is_none() {
                continue;
            }
            let held = locked
                .is_some_and(|(statement, transaction)| statement != step.statement && transaction == step.transaction);
            if held && works_on_rows(script, number, step) {
                return vec![Note::new(number, message)];
            }
            let locks = locks_out(script, number, step);
            if held && locks && second.is_none() {
                let message =
                    "the statement waits for a lock of its own while the transaction holds that of an earlier one";
                second = Some(Note::new(number, message).severity(Severity::Info));
            }
            if locks {
                locked = Some((step.statement, step.transaction));
            }
        }
        second.into_iter().collect()
    }),
    ..RULE
};

fn works_on_rows(script: &Script, number: usize, step: &Step) -> bool {
    if step.what.table().is_some_and(|table| script.is_new(table, number)) {
        return false;
    }
    match &step.what {
        Operation::ChangeType { .. } | Operation::SetNotNull { .. } | Operation::ValidateConstraint { .. } => true,
        Operation::AddConstraint { constraint, .. } => constraint.validated && !constraint.from_index,
        Operation::CreateIndex { index, .. } => !index.concurrently,
        Operation::AddColumn { column, .. } => {
            column.default == Value::Volatile || column.generated == Generated::Stored
        }
        Operation::Other { deed, .. } => {
            matches!(deed, Deed::UpdateAll | Deed::WriteRows | Deed::DeleteAll | Deed::Query | Deed::RefreshView)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alembic, file, rails, sql};
    use super::*;

    #[test]
    fn a_default_that_differs_by_row_rewrites_the_table() {
        sql(
            &VOLATILE_DEFAULT,
            "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid();\nALTER TABLE t ADD b int DEFAULT f();\n",
            &[1, 2],
        );
        sql(
            &VOLATILE_DEFAULT,
            "ALTER TABLE t ADD a int DEFAULT 10;\nALTER TABLE t ADD b timestamptz NOT NULL DEFAULT now();\nALTER TABLE t ADD c jsonb DEFAULT '{}'::jsonb;\n",
            &[],
        );
        sql(&VOLATILE_DEFAULT, "CREATE TABLE t (a int);\nALTER TABLE t ADD b uuid DEFAULT gen_random_uuid();\n", &[]);
        rails(&VOLATILE_DEFAULT, "add_column :a, :b, :uuid, default: 'gen_random_uuid()'", true);
        rails(&VOLATILE_DEFAULT, "add_column :a, :b, :datetime, default: -> { 'clock_timestamp()' }", true);
        rails(&VOLATILE_DEFAULT, "add_column :a, :b, :datetime, default: -> { 'now()' }", false);
        rails(&VOLATILE_DEFAULT, "add_column :a, :b, :boolean, default: false, null: false", false);
        // In MySQL, an expression stands in brackets.
        rails(&VOLATILE_DEFAULT, "add_column :a, :b, :datetime, default: -> { '(now())' }", true);
        alembic(
            &VOLATILE_DEFAULT,
            "op.add_column('a', sa.Column('b', sa.UUID(), server_default=sa.text('gen_random_uuid()')))",
            true,
        );
    }

    #[test]
    fn a_generated_column_rewrites_the_table() {
        sql(
            &GENERATED_COLUMN,
            "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b + 1) STORED;\nALTER TABLE t ADD c bigserial;\nALTER TABLE t ADD d int GENERATED ALWAYS AS IDENTITY;\n",
            &[1, 2, 3],
        );
        sql(&GENERATED_COLUMN, "ALTER TABLE `t` ADD COLUMN `a` int NOT NULL AUTO_INCREMENT PRIMARY KEY;\n", &[1]);
        sql(
            &GENERATED_COLUMN,
            "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b + 1) VIRTUAL;\nCREATE TABLE u (a serial);\n",
            &[],
        );
        rails(&GENERATED_COLUMN, "add_column :a, :b, :virtual, type: :string, as: 'lower(c)', stored: true", true);
        rails(&GENERATED_COLUMN, "add_column :a, :b, :bigserial", true);
    }

    #[test]
    fn json_is_no_type_for_a_column() {
        sql(&JSON_COLUMN, "ALTER TABLE t ADD a json;\nCREATE TABLE u (a json);\nALTER TABLE t ADD b jsonb;\n", &[1, 2]);
        rails(&JSON_COLUMN, "add_column :a, :b, :json", true);
        rails(&JSON_COLUMN, "add_column :a, :b, :jsonb", false);
    }

    #[test]
    fn a_type_is_not_changed_in_place() {
        sql(
            &TYPE_CHANGE,
            "ALTER TABLE t ALTER COLUMN a TYPE bigint;\nALTER TABLE t ALTER a SET DATA TYPE text USING a::text;\n",
            &[1, 2],
        );
        sql(&TYPE_CHANGE, "CREATE TABLE t (a int);\nALTER TABLE t ALTER a TYPE bigint;\n", &[]);
        rails(&TYPE_CHANGE, "change_column :a, :b, :bigint", true);
        rails(&TYPE_CHANGE, "change_column :a, :b, :text", false);
        let both = |up: &str, down: &str| {
            format!(
                "class A < ActiveRecord::Migration[7.1]\n  def up\n    change_column :a, :b, {up}\n  end\n\n  def down\n    change_column :a, :b, {down}\n  end\nend\n"
            )
        };
        let path = "db/migrate/2_a.rb";
        file(&TYPE_CHANGE, path, &both(":string, limit: 100", ":string, limit: 50"), &[]);
        file(&TYPE_CHANGE, path, &both(":string, limit: 50", ":string, limit: 100"), &[3]);
        file(&TYPE_CHANGE, path, &both(":text", ":string"), &[]);
        // MySQL needs a second byte for the length there.
        file(&TYPE_CHANGE, path, &both(":string, limit: 256", ":string, limit: 255"), &[3]);
        file(&TYPE_CHANGE, path, &both(":string, limit: 300", ":string"), &[3]);
        file(&TYPE_CHANGE, path, &both(":string, limit: 255", ":string, limit: 20"), &[]);
        file(&TYPE_CHANGE, path, &both(":string", ":string, limit: 20"), &[]);
        file(&TYPE_CHANGE, path, &both(":string, limit: 500", ":string, limit: 256"), &[]);
        file(&TYPE_CHANGE, path, &both(":decimal, precision: 12, scale: 2", ":decimal, precision: 10, scale: 2"), &[]);
        file(&TYPE_CHANGE, path, &both(":decimal, precision: 12, scale: 4", ":decimal, precision: 10, scale: 2"), &[3]);
        file(&TYPE_CHANGE, path, &both(":bigint", ":integer"), &[3]);
        alembic(&TYPE_CHANGE, "op.alter_column('a', 'b', type_=sa.BigInteger(), existing_type=sa.Integer())", true);
        alembic(
            &TYPE_CHANGE,
            "op.alter_column('a', 'b', type_=sa.String(100), existing_type=sa.String(length=50))",
            false,
        );
    }

    #[test]
    fn whole_tables_are_not_written_anew() {
        sql(
            &WHOLE_TABLE,
            "VACUUM FULL t;\nCLUSTER t USING i;\nALTER TABLE t SET UNLOGGED;\nALTER TABLE t SET TABLESPACE x;\nVACUUM t;\n",
            &[1, 2, 3, 4],
        );
    }

    #[test]
    fn rows_are_not_worked_on_under_a_lock() {
        sql(&UNDER_LOCK, "ALTER TABLE t ADD a int;\nUPDATE t SET a = 1 WHERE b = 2;\n", &[2]);
        sql(&UNDER_LOCK, "ALTER TABLE t ADD a int;\nALTER TABLE u ALTER b TYPE bigint;\n", &[2]);
        sql(&UNDER_LOCK, "ALTER TABLE t ADD a int;\nALTER TABLE u ADD b int;\nSELECT count(*) FROM t;\n", &[3]);
        // Where no rows are worked on, it is the second lock.
        sql(&UNDER_LOCK, "ALTER TABLE t ADD a int;\nALTER TABLE u ADD b int;\n", &[2]);
        sql(&UNDER_LOCK, "BEGIN;\nLOCK TABLE t;\nUPDATE t SET a = 1 WHERE b = 2;\nCOMMIT;\n", &[3]);
        sql(&UNDER_LOCK, "BEGIN;\nTRUNCATE t;\nDROP INDEX i;\nCOMMIT;\n", &[3]);
        sql(&UNDER_LOCK, "ALTER TABLE t ADD a int;\nCREATE TABLE u (b int);\nCOMMENT ON TABLE u IS 'x';\n", &[]);
        sql(
            &UNDER_LOCK,
            "BEGIN;\nALTER TABLE t ADD a int;\nCOMMIT;\nBEGIN;\nUPDATE t SET a = 1 WHERE b = 2;\nCOMMIT;\n",
            &[],
        );
        sql(&UNDER_LOCK, "CREATE TABLE t (a int);\nALTER TABLE t ADD b int;\nINSERT INTO t VALUES (1, 2);\n", &[]);
    }
}
