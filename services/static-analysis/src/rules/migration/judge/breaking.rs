//! What breaks the release that still runs while the migration does: names that are gone, values that are asked for, and
//! guarantees that no longer hold.

use std::collections::{HashMap, HashSet};

use domain::{Confidence, Severity};

use super::super::operation::{Deed, Generated, Note, Operation, Script, Value};
use super::{ALTER_TABLE, RULE, deeds, old};
use crate::rules::{Check, Rule};

/// The rules.
pub(in crate::rules::migration) static RULES: &[&Rule] = &[
    &RENAME_TABLE,
    &RENAME_COLUMN,
    &RENAME_OBJECT,
    &REQUIRED_COLUMN,
    &DROP_CONSTRAINT,
    &DEFAULT_CHANGE,
    &DROP_NOT_NULL,
    &MOVE_SCHEMA,
    &DROP_OBJECT,
    &ROW_SECURITY,
    &REPLICA_IDENTITY,
    &IDENTITY_CHANGE,
    &INHERITANCE_COLUMN,
];

static RENAME_TABLE: Rule = Rule {
    id: "migration.break.rename-table",
    title: "Table renamed",
    hazard: "break.rename_table",
    remediation: "Rename it and create a view of the old name in one transaction, or make a new table and write to both; take the old name away in a later change.",
    references: &[ALTER_TABLE],
    aliases: &["renaming-table", "rename-table", "RENAME_TABLE", "rename_table"],
    check: Check::Script(|script| {
        let message = "the release that is still running asks for the table by its old name";
        old(script, message, |_, what| match what {
            Operation::RenameTable { table, to } => !script.is_rebuilt(table) && !script.is_stood_in_for(table, to),
            _ => false,
        })
    }),
    ..RULE
};

static RENAME_COLUMN: Rule = Rule {
    id: "migration.break.rename-column",
    title: "Column renamed",
    hazard: "break.rename_column",
    remediation: "Add a column of the new name, write to both, fill it, read from it, and drop the old one in a later change.",
    references: &[ALTER_TABLE],
    aliases: &["renaming-column", "rename-column", "RENAME_COLUMN", "rename_column"],
    check: Check::Script(|script| {
        let message = "the release that is still running asks for the column by its old name";
        old(script, message, |number, what| match what {
            Operation::RenameColumn { table, column } => !script.is_new_column(table, column, number),
            _ => false,
        })
    }),
    ..RULE
};

static RENAME_OBJECT: Rule = Rule {
    id: "migration.break.rename-object",
    title: "Type, schema, view or other object renamed",
    severity: Severity::Low,
    hazard: "break.rename_object",
    remediation: "Keep the old name until no release uses it.",
    references: &["https://www.postgresql.org/docs/current/ddl.html"],
    aliases: &["renaming-object", "rename_enum_value", "rename_schema"],
    check: Check::Script(|script| {
        deeds(script, &[Deed::RenameObject], "the release that is still running may ask for it by its old name")
    }),
    ..RULE
};

static REQUIRED_COLUMN: Rule = Rule {
    id: "migration.break.required-column",
    title: "Column that every row must fill",
    hazard: "break.required_column",
    remediation: "Add the column so that it takes nulls, or with a default that stays in the database, and ask for it once every release fills it.",
    references: &["https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-NOT-NULL"],
    aliases: &["adding-required-field", "add-column-not-null-no-default", "NOT_NULL"],
    check: Check::Script(required_columns),
    ..RULE
};

fn required_columns(script: &Script) -> Vec<Note> {
    // Columns that must be filled, and the step that says so; a default that stays frees them.
    let mut required: HashMap<(&str, &str), Note> = HashMap::new();
    let mut defaults: HashMap<(&str, &str), bool> = HashMap::new();
    let mut notes = rebuilt_with_required(script);
    for (number, step) in script.steps.iter().enumerate() {
        if step.what.table().is_some_and(|table| script.is_new(table, number)) {
            continue;
        }
        match &step.what {
            Operation::AddColumn { table, column } => {
                let key = (table.as_str(), column.name.as_str());
                let filled = column.generated != Generated::No || column.ty.is_serial() || column.primary;
                if !column.not_null || filled {
                    continue;
                }
                let stays = !matches!(column.default, Value::None | Value::Passing);
                defaults.insert(key, stays);
                let note = Note::new(
                    number,
                    if column.default == Value::None {
                        "the statement fails where there are rows, and afterwards the release that is still running cannot insert any"
                    } else {
                        "the default does not stay, and the release that is still running cannot insert rows without the column"
                    },
                );
                let passing = column.default != Value::None;
                required.insert(key, if passing { note.severity(Severity::Low) } else { note });
            }
            Operation::SetDefault { table, column } => {
                defaults.insert((table, column), true);
            }
            Operation::DropDefault { table, column } => {
                defaults.insert((table, column), false);
            }
            Operation::SetNotNull { table, column } => {
                let message = "the release that is still running cannot insert rows without the column any more";
                // MySQL's MODIFY says NOT NULL again where the column refused nulls before.
                let confidence = if script.is_postgres() { Confidence::Medium } else { Confidence::Low };
                let note = Note::new(number, message).severity(Severity::Low).confidence(confidence);
                required.entry((table, column)).or_insert(note);
            }
            Operation::DropNotNull { table, column } => {
                required.remove(&(table.as_str(), column.as_str()));
            }
            _ => {}
        }
    }
    let still = required.into_iter().filter(|(key, _)| !defaults.get(key).copied().unwrap_or(false));
    notes.extend(still.map(|(_, note)| note));
    notes.sort_by_key(|note| note.step);
    notes
}

/// Tables made anew (as SQLite needs it) with a column that must be filled and was not simply taken over.
fn rebuilt_with_required(script: &Script) -> Vec<Note> {
    let message = "in the table's new form, the release that is still running cannot insert rows without the column";
    let mut renamed = HashSet::new();
    let mut fills = HashMap::new();
    for step in &script.steps {
        match &step.what {
            Operation::RenameTable { table, .. } => {
                renamed.insert(table);
            }
            Operation::FillTable { table, made_up, taken, .. } => {
                fills.insert(table, (made_up, taken));
            }
            _ => {}
        }
    }
    script.each(|number, step| {
        let Operation::CreateTable { table, columns, .. } = &step.what else { return None };
        let (made_up, taken) = fills.get(table)?;
        let required = columns.iter().any(|column| {
            column.not_null
                && !column.primary
                && column.default == Value::None
                && column.generated == Generated::No
                && (made_up.contains(&column.name) || !taken.contains(&column.name))
        });
        (renamed.contains(table) && required).then(|| Note::new(number, message).severity(Severity::Low))
    })
}

static DROP_CONSTRAINT: Rule = Rule {
    id: "migration.break.drop-constraint",
    title: "Constraint dropped",
    severity: Severity::Low,
    hazard: "break.drop_constraint",
    remediation: "Make sure that no running release relies on the constraint (ON CONFLICT needs it), and that a replacement is there before it goes.",
    references: &[ALTER_TABLE],
    aliases: &["ban-drop-constraint", "drop-constraint"],
    check: Check::Script(|script| {
        let sets_not_null = script.steps.iter().any(|step| matches!(step.what, Operation::SetNotNull { .. }));
        old(script, "what the constraint guaranteed does not hold any more", |number, what| match what {
            // The check that made SET NOT NULL cheap has done its work.
            Operation::DropConstraint { name, .. } if sets_not_null && super::locks::says_not_null(name) => false,
            Operation::DropConstraint { table, name } => !script.is_proof(table, name, number),
            _ => false,
        })
    }),
    ..RULE
};

static DEFAULT_CHANGE: Rule = Rule {
    id: "migration.break.default-change",
    title: "Default of a column changed",
    severity: Severity::Info,
    hazard: "break.default_change",
    remediation: "Make sure that the running release does not rely on the old default, nor writes it out (Rails: partial_inserts).",
    references: &["https://www.postgresql.org/docs/current/ddl-default.html"],
    aliases: &["ban-drop-default", "ban-set-default", "change_column_default"],
    check: Check::Script(|script| {
        let message = "the release that is still running gets another value where it says none";
        old(script, message, |number, what| match what {
            Operation::SetDefault { table, column } | Operation::DropDefault { table, column } => {
                !script.is_new_column(table, column, number)
            }
            _ => false,
        })
    }),
    ..RULE
};

static DROP_NOT_NULL: Rule = Rule {
    id: "migration.break.drop-not-null",
    title: "Column takes nulls",
    severity: Severity::Info,
    hazard: "break.drop_not_null",
    remediation: "Make sure that every running release can read a null there before one writes it.",
    references: &[ALTER_TABLE],
    aliases: &["ban-drop-not-null", "alter-column-drop-not-null"],
    check: Check::Script(|script| {
        let message = "a release that does not expect nulls in the column may fail on one";
        old(script, message, |number, what| match what {
            Operation::DropNotNull { table, column } => !script.is_new_column(table, column, number),
            _ => false,
        })
    }),
    ..RULE
};

static MOVE_SCHEMA: Rule = Rule {
    id: "migration.break.set-schema",
    title: "Object moved to another schema",
    severity: Severity::Low,
    hazard: "break.set_schema",
    remediation: "Leave a view of the old name where it was until no release uses it.",
    references: &[ALTER_TABLE],
    aliases: &["ban-set-schema"],
    check: Check::Script(|script| {
        deeds(script, &[Deed::MoveSchema], "the release that is still running may look for it in the old schema")
    }),
    ..RULE
};

static DROP_OBJECT: Rule = Rule {
    id: "migration.break.drop-object",
    title: "View, function, type or other object dropped",
    severity: Severity::Info,
    hazard: "break.drop_object",
    remediation: "First deploy a release that no longer uses it.",
    references: &["https://www.postgresql.org/docs/current/ddl-depend.html"],
    aliases: &[
        "ban-drop-view",
        "ban-drop-function",
        "ban-drop-type",
        "ban-drop-sequence",
        "ban-drop-domain",
        "ban-drop-extension",
    ],
    check: Check::Script(|script| {
        let mut notes = deeds(script, &[Deed::DropObject], "the release that is still running may use what is dropped");
        let columns = deeds(
            script,
            &[Deed::DropWithColumns],
            "what hangs on it goes too: columns or whole tables, and all their values",
        );
        notes.extend(columns.into_iter().map(|note| note.severity(Severity::Medium).confidence(Confidence::Medium)));
        notes
    }),
    ..RULE
};

static ROW_SECURITY: Rule = Rule {
    id: "migration.break.row-security",
    title: "Row security switched",
    hazard: "break.row_security",
    cwe: 284,
    remediation: "Create the policies in the same migration that enables row security, and do not disable it on a table that others can reach.",
    references: &["https://www.postgresql.org/docs/current/ddl-rowsecurity.html"],
    aliases: &["ban-alter-row-level-security", "disable-rls", "enable-rls"],
    check: Check::Script(|script| {
        let mut notes =
            deeds(script, &[Deed::DisableRowSecurity], "every row that a policy kept from somebody is open to him");
        let enables =
            deeds(script, &[Deed::EnableRowSecurity], "without a policy, everybody but the table's owner sees no row");
        notes.extend(enables.into_iter().map(|note| note.severity(Severity::Info)));
        notes
    }),
    ..RULE
};

static REPLICA_IDENTITY: Rule = Rule {
    id: "migration.break.replica-identity",
    title: "Replica identity changed",
    severity: Severity::Info,
    hazard: "break.replica_identity",
    remediation: "Use the primary key, or a unique index without nulls: FULL writes every old row into the log.",
    references: &["https://www.postgresql.org/docs/current/logical-replication-publication.html"],
    aliases: &["ban-replica-identity", "replica-identity-full"],
    check: Check::Script(|script| {
        deeds(
            script,
            &[Deed::ReplicaIdentity],
            "who follows the table by logical replication gets other rows from now on",
        )
    }),
    ..RULE
};

static IDENTITY_CHANGE: Rule = Rule {
    id: "migration.break.identity-change",
    title: "Identity or generated expression of a column changed",
    severity: Severity::Info,
    hazard: "break.identity_change",
    remediation: "Make sure that no running release writes the column itself, or relies on its being filled.",
    references: &[ALTER_TABLE],
    aliases: &["ban-alter-identity", "ban-alter-generated-expression", "ban-drop-generated-expression"],
    check: Check::Script(|script| {
        deeds(script, &[Deed::AlterIdentity], "where the column's values come from changes under the running release")
    }),
    ..RULE
};

static INHERITANCE_COLUMN: Rule = Rule {
    id: "migration.rails.inheritance-column",
    title: "Column for single-table inheritance added with a default",
    severity: Severity::Low,
    // In the shared vocabulary it is one of the ways in which adding a column goes wrong.
    hazard: "rewrite.volatile_default",
    remediation: "First deploy a release that sets inheritance_column to nil, then add the column, and use it in a later release.",
    references: &["https://guides.rubyonrails.org/association_basics.html#single-table-inheritance-sti"],
    aliases: &["add_inheritance_column"],
    check: Check::Script(|script| {
        let message = "every row becomes one of the named class at once, which the running release does not know";
        if !script.inherits {
            return Vec::new();
        }
        old(script, message, |_, what| match what {
            Operation::AddColumn { column, .. } => column.name == "type" && column.default == Value::Same,
            _ => false,
        })
    }),
    ..RULE
};

#[cfg(test)]
mod tests {
    use super::super::tests::{alembic, django, rails, sql};
    use super::*;

    #[test]
    fn names_stay() {
        sql(&RENAME_TABLE, "ALTER TABLE a RENAME TO b;\nRENAME TABLE `a` TO `b`;\n", &[1, 2]);
        sql(&RENAME_TABLE, "CREATE TABLE a (b int);\nALTER TABLE a RENAME TO c;\n", &[]);
        sql(&RENAME_TABLE, "ALTER TABLE a RENAME TO b;\nCREATE VIEW a AS SELECT * FROM b;\n", &[]);
        sql(&RENAME_TABLE, "RENAME TABLE `a` TO `b`, `c` TO `a`;\n", &[]);
        sql(&RENAME_TABLE, "RENAME TABLE `a` TO `b`, `c` TO `d`;\n", &[1, 1]);
        sql(
            &RENAME_COLUMN,
            "ALTER TABLE a RENAME COLUMN b TO c;\nALTER TABLE a RENAME d TO e;\nALTER TABLE `a` CHANGE `b` `c` int;\n",
            &[1, 2, 3],
        );
        sql(&RENAME_COLUMN, "ALTER TABLE a RENAME CONSTRAINT b TO c;\n", &[]);
        sql(&RENAME_OBJECT, "ALTER TYPE a RENAME VALUE 'b' TO 'c';\nALTER SCHEMA a RENAME TO b;\n", &[1, 2]);
        rails(&RENAME_TABLE, "rename_table :a, :b", true);
        rails(&RENAME_COLUMN, "rename_column :a, :b, :c", true);
        rails(&RENAME_COLUMN, "change_table :a do |t|\n      t.rename :b, :c\n    end", true);
        django(&RENAME_COLUMN, "migrations.RenameField('a', 'b', 'c')", true);
        django(&RENAME_TABLE, "migrations.RenameModel('A', 'B')", true);
        alembic(&RENAME_COLUMN, "op.alter_column('a', 'b', new_column_name='c')", true);
    }

    #[test]
    fn a_column_that_must_be_filled_breaks_who_does_not_know_it() {
        sql(&REQUIRED_COLUMN, "ALTER TABLE a ADD b int NOT NULL;\n", &[1]);
        sql(
            &REQUIRED_COLUMN,
            "ALTER TABLE a ADD b int NOT NULL DEFAULT 1;\nALTER TABLE a ADD c int;\nALTER TABLE a ADD d serial NOT NULL;\n",
            &[],
        );
        sql(
            &REQUIRED_COLUMN,
            "ALTER TABLE a ADD b int GENERATED ALWAYS AS (c) STORED NOT NULL;\nALTER TABLE a ADD d bigint GENERATED ALWAYS AS IDENTITY NOT NULL;\n",
            &[],
        );
        sql(
            &REQUIRED_COLUMN,
            "ALTER TABLE a ADD b int NOT NULL DEFAULT 1;\nALTER TABLE a ALTER b DROP DEFAULT;\n",
            &[1],
        );
        sql(
            &REQUIRED_COLUMN,
            "ALTER TABLE `a` ADD COLUMN `b` int DEFAULT 1 NOT NULL;\nALTER TABLE `a` ALTER COLUMN `b` DROP DEFAULT;\nALTER TABLE `a` ALTER COLUMN `b` SET DEFAULT '1';\n",
            &[],
        );
        sql(&REQUIRED_COLUMN, "ALTER TABLE a ALTER b SET DEFAULT 1;\nALTER TABLE a ALTER b SET NOT NULL;\n", &[]);
        sql(
            &REQUIRED_COLUMN,
            "ALTER TABLE `a` MODIFY `b` int NOT NULL;\nALTER TABLE `a` MODIFY `c` int NULL;\nALTER TABLE `a` MODIFY `d` int NOT NULL DEFAULT 1;\n",
            &[1],
        );
        sql(&REQUIRED_COLUMN, "CREATE TABLE a (b int NOT NULL);\nALTER TABLE a ADD c int NOT NULL;\n", &[]);
        let rebuilt = |values: &str| {
            format!(
                "CREATE TABLE \"new__t\" (\"id\" integer NOT NULL PRIMARY KEY, \"a\" text NOT NULL);\nINSERT INTO \"new__t\" (\"id\", \"a\") SELECT \"id\", {values} FROM \"t\";\nDROP TABLE \"t\";\nALTER TABLE \"new__t\" RENAME TO \"t\";\n"
            )
        };
        sql(&REQUIRED_COLUMN, &rebuilt("'x'"), &[1]);
        sql(&REQUIRED_COLUMN, &rebuilt("coalesce(\"a\", 'x')"), &[1]);
        sql(&REQUIRED_COLUMN, &rebuilt("\"a\""), &[]);
        rails(&REQUIRED_COLUMN, "add_column :a, :b, :string, null: false", true);
        rails(&REQUIRED_COLUMN, "add_column :a, :b, :string, null: false, default: ''", false);
        django(&REQUIRED_COLUMN, "migrations.AddField('a', 'b', models.TextField(default=''))", true);
        django(&REQUIRED_COLUMN, "migrations.AddField('a', 'b', models.TextField(null=True))", false);
        alembic(&REQUIRED_COLUMN, "op.add_column('a', sa.Column('b', sa.Integer(), nullable=False))", true);
        alembic(
            &REQUIRED_COLUMN,
            "op.add_column('a', sa.Column('b', sa.Integer(), nullable=False, server_default='0'))",
            false,
        );
    }

    #[test]
    fn a_class_is_not_given_to_all_rows_at_once() {
        rails(&INHERITANCE_COLUMN, "add_column :a, :type, :string, default: 'File'", true);
        rails(&INHERITANCE_COLUMN, "add_column :a, :type, :string", false);
        rails(&INHERITANCE_COLUMN, "add_column :a, :kind, :string, default: 'File'", false);
    }

    #[test]
    fn guarantees_and_defaults_stay() {
        sql(&DROP_CONSTRAINT, "ALTER TABLE a DROP CONSTRAINT b;\n", &[1]);
        sql(
            &DROP_CONSTRAINT,
            "ALTER TABLE a ADD CONSTRAINT b CHECK (c IS NOT NULL) NOT VALID;\nALTER TABLE a DROP CONSTRAINT b;\n",
            &[],
        );
        sql(&DEFAULT_CHANGE, "ALTER TABLE a ALTER b SET DEFAULT 1;\nALTER TABLE a ALTER b DROP DEFAULT;\n", &[1, 2]);
        rails(&DEFAULT_CHANGE, "change_column_default :a, :b, from: 1, to: 2", true);
        rails(
            &DEFAULT_CHANGE,
            "add_column :a, :b, :integer\n    change_column_default :a, :b, from: nil, to: 2",
            false,
        );
        sql(&DROP_NOT_NULL, "ALTER TABLE a ALTER b DROP NOT NULL;\n", &[1]);
        sql(&MOVE_SCHEMA, "ALTER TABLE a SET SCHEMA b;\n", &[1]);
        sql(&DROP_OBJECT, "DROP VIEW a;\nDROP FUNCTION f();\nDROP TYPE t;\n", &[1, 2, 3]);
        sql(
            &ROW_SECURITY,
            "ALTER TABLE a DISABLE ROW LEVEL SECURITY;\nALTER TABLE a ENABLE ROW LEVEL SECURITY;\n",
            &[1, 2],
        );
        sql(&REPLICA_IDENTITY, "ALTER TABLE a REPLICA IDENTITY FULL;\n", &[1]);
        sql(&IDENTITY_CHANGE, "ALTER TABLE a ALTER b DROP IDENTITY;\n", &[1]);
    }
}
