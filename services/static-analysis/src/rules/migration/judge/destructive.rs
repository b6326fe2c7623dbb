//! What takes data away: no rollback of the program brings it back.

use domain::Severity;

use super::super::operation::{Deed, Note, Operation};
use super::{ALTER_TABLE, RULE, deeds, old};
use crate::rules::{Check, Rule};

/// The rules.
pub(in crate::rules::migration) static RULES: &[&Rule] =
    &[&DROP_TABLE, &DROP_COLUMN, &DROP_DATABASE, &DROP_SCHEMA, &TRUNCATE, &DELETE_ALL, &CREATE_FORCE, &REVERT];

/// A table dropped.
pub(in crate::rules::migration) static DROP_TABLE: Rule = Rule {
    id: "migration.sql.drop-table",
    title: "Table dropped",
    severity: Severity::High,
    hazard: "destroy.drop_table",
    remediation: "First deploy a release that no longer uses the table, keep a backup, and drop it in a later change.",
    references: &["https://www.postgresql.org/docs/current/sql-droptable.html"],
    aliases: &["ban-drop-table", "drop-table", "DROP_TABLE"],
    check: Check::Script(|script| {
        old(script, "the migration drops a table, and all its rows with it", |_, what| match what {
            Operation::DropTable { table } => !script.is_rebuilt(table) && !script.is_left_over(table),
            _ => false,
        })
    }),
    ..RULE
};

/// A column dropped.
pub(in crate::rules::migration) static DROP_COLUMN: Rule = Rule {
    id: "migration.sql.drop-column",
    title: "Column dropped",
    severity: Severity::High,
    hazard: "destroy.drop_column",
    remediation: "First deploy a release that no longer reads or writes the column, and drop it in a later change, with a backup of its values.",
    references: &[ALTER_TABLE],
    aliases: &["ban-drop-column", "drop-column", "DROP_COLUMN", "remove_column"],
    check: Check::Script(|script| {
        old(script, "the migration drops a column, and all its values with it", |number, what| match what {
            Operation::DropColumn { table, column } => !script.is_new_column(table, column, number),
            _ => false,
        })
    }),
    ..RULE
};

static DROP_DATABASE: Rule = Rule {
    id: "migration.sql.drop-database",
    title: "Database dropped",
    severity: Severity::Critical,
    hazard: "destroy.drop_database",
    remediation: "Take databases away by hand, with a backup, and never in a migration.",
    references: &["https://www.postgresql.org/docs/current/sql-dropdatabase.html"],
    aliases: &["ban-drop-database", "drop-database"],
    check: Check::Script(|script| deeds(script, &[Deed::DropDatabase], "the migration drops a whole database")),
    ..RULE
};

static DROP_SCHEMA: Rule = Rule {
    id: "migration.sql.drop-schema",
    title: "Schema dropped",
    severity: Severity::High,
    hazard: "destroy.drop_schema",
    remediation: "First deploy a release that uses nothing in the schema, keep a backup, and drop it in a later change.",
    references: &["https://www.postgresql.org/docs/current/sql-dropschema.html"],
    aliases: &["ban-drop-schema", "drop-schema", "drop-schema-cascade"],
    check: Check::Script(|script| {
        deeds(script, &[Deed::DropSchema], "the migration drops a schema with what is in it")
    }),
    ..RULE
};

static TRUNCATE: Rule = Rule {
    id: "migration.sql.truncate",
    title: "Table emptied",
    hazard: "destroy.truncate",
    remediation: "Keep a backup of the rows, and say which tables are meant instead of CASCADE.",
    references: &["https://www.postgresql.org/docs/current/sql-truncate.html"],
    aliases: &["ban-truncate-cascade", "truncate", "truncate-cascade"],
    check: Check::Script(|script| {
        let mut notes = deeds(script, &[Deed::Truncate], "the migration takes every row out of a table");
        notes.extend(deeds(script, &[Deed::DropPartition], "the migration takes every row out of a part of a table"));
        let cascades = deeds(
            script,
            &[Deed::TruncateCascade],
            "the migration takes every row out of a table, and out of every table that refers to it",
        );
        notes.extend(cascades.into_iter().map(|note| note.severity(Severity::High)));
        notes
    }),
    ..RULE
};

static DELETE_ALL: Rule = Rule {
    id: "migration.sql.delete-all",
    title: "All rows deleted",
    hazard: "destroy.delete_without_where",
    remediation: "Say which rows in a WHERE, delete them in batches, and keep a backup.",
    references: &["https://www.postgresql.org/docs/current/sql-delete.html"],
    aliases: &["delete-without-where"],
    check: Check::Script(|script| deeds(script, &[Deed::DeleteAll], "the migration deletes every row of a table")),
    ..RULE
};

static CREATE_FORCE: Rule = Rule {
    id: "migration.rails.create-table-force",
    title: "Table created in the place of one that may be there",
    hazard: "destroy.drop_table",
    remediation: "Leave the option force out: if the table is there, the migration should fail.",
    references: &[
        "https://api.rubyonrails.org/classes/ActiveRecord/ConnectionAdapters/SchemaStatements.html#method-i-create_table",
    ],
    aliases: &["create_table"],
    check: Check::Script(|script| {
        script.each(|number, step| {
            let message = "with force, a table of that name is dropped first, and all its rows with it";
            matches!(step.what, Operation::CreateTable { replaces: true, .. }).then(|| Note::new(number, message))
        })
    }),
    ..RULE
};

static REVERT: Rule = Rule {
    id: "migration.rails.revert",
    title: "Earlier migration reverted",
    severity: Severity::Low,
    hazard: "other",
    remediation: "Look at what the reverted migration added: its tables and columns are dropped with all that is in them by now.",
    references: &["https://guides.rubyonrails.org/active_record_migrations.html#reverting-previous-migrations"],
    aliases: &["revert"],
    check: Check::Script(|script| {
        deeds(script, &[Deed::Revert], "what the earlier migration added is taken away with all that is in it")
    }),
    ..RULE
};

#[cfg(test)]
mod tests {
    use super::super::tests::{alembic, django, file, rails, sql};
    use super::*;
    use crate::sample;

    #[test]
    fn a_dropped_table_is_found() {
        sql(&DROP_TABLE, "DROP TABLE users;\ndrop table if exists a, b cascade;\nDROP TABLE `c`;\n", &[1, 2, 2, 3]);
        sql(&DROP_TABLE, "CREATE TABLE t (a int);\nDROP TABLE t;\n", &[]);
        sql(&DROP_TABLE, "DROP TABLE t;\nCREATE TABLE t (a int);\n", &[1]);
        sql(&DROP_TABLE, "SELECT 'DROP TABLE a;'; -- DROP TABLE b;\nDROP VIEW v;\n", &[]);
        sql(
            &DROP_TABLE,
            "CREATE TABLE \"new__t\" (a int);\nINSERT INTO \"new__t\" SELECT a FROM \"t\";\nDROP TABLE \"t\";\nALTER TABLE \"new__t\" RENAME TO \"t\";\n",
            &[],
        );
        sql(
            &DROP_TABLE,
            "ALTER TABLE \"t\" RENAME TO \"t__old\";\nCREATE TABLE \"t\" (a int);\nDROP TABLE \"t__old\";\n",
            &[],
        );
        sql(
            &DROP_TABLE,
            "DROP TABLE IF EXISTS t_temp;\nCREATE TABLE t_temp (a int);\nINSERT INTO t_temp SELECT a FROM t;\nDROP TABLE t;\nALTER TABLE t_temp RENAME TO t;\n",
            &[],
        );
        let aside =
            "CREATE TABLE tmp (a int);\nINSERT INTO tmp (a) SELECT a FROM t;\nDROP TABLE t;\nCREATE TABLE t (a int);\n";
        let back = "INSERT INTO t (a) SELECT a FROM tmp;\nDROP TABLE tmp;\n";
        sql(&DROP_TABLE, &format!("{aside}{back}"), &[]);
        sql(&DROP_TABLE, aside, &[3]);
        for (all, some) in [
            ("FROM t;", "FROM t WHERE a > 1;"),
            ("FROM t;", "FROM t, u;"),
            ("FROM t;", "FROM t EXCEPT SELECT 1;"),
            ("SELECT a", "SELECT DISTINCT a"),
            ("SELECT a", "SELECT max(a)"),
        ] {
            sql(&DROP_TABLE, &format!("{}{back}", aside.replace(all, some)), &[3]);
        }
        let too_late =
            "CREATE TABLE tmp (a int);\nDROP TABLE t;\nCREATE TABLE t (a int);\nINSERT INTO tmp (a) SELECT a FROM t;\n";
        sql(&DROP_TABLE, &format!("{too_late}{back}"), &[2]);
        file(&DROP_TABLE, "migrations/2_a.down.sql", "DROP TABLE users;\n", &[]);
        file(&DROP_TABLE, "migrations/2_a.sql", "-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE a;\n", &[]);
        file(&DROP_TABLE, "src/queries.sql", "DROP TABLE users;\n", &[]);
        rails(&DROP_TABLE, "drop_table :users", true);
        rails(&DROP_TABLE, "safety_assured { drop_table :users }", false);
        django(&DROP_TABLE, "migrations.DeleteModel(name='User')", true);
        alembic(&DROP_TABLE, "op.drop_table('users')", true);
    }

    #[test]
    fn a_dropped_column_is_found() {
        sql(
            &DROP_COLUMN,
            "ALTER TABLE users DROP COLUMN email;\nALTER TABLE `users` DROP COLUMN IF EXISTS `email`;\n",
            &[1, 2],
        );
        sql(&DROP_COLUMN, "alter table if exists only s.users\n  add b int,\n  drop email cascade;\n", &[1]);
        sql(
            &DROP_COLUMN,
            "ALTER TABLE t DROP CONSTRAINT c, ALTER COLUMN a DROP DEFAULT, ALTER a DROP NOT NULL;\nALTER TABLE t DROP INDEX i;\n",
            &[],
        );
        sql(
            &DROP_COLUMN,
            "CREATE TABLE t (a int); ALTER TABLE t DROP COLUMN a;\nSELECT 'ALTER TABLE users DROP COLUMN email;'; -- drop column x\n",
            &[],
        );
        rails(&DROP_COLUMN, "remove_column :a, :b, :string", true);
        rails(&DROP_COLUMN, "remove_reference :a, :b, polymorphic: true", true);
        rails(&DROP_COLUMN, "create_table :a do |t|\n      t.string :b\n    end\n    remove_column :a, :b", false);
        django(&DROP_COLUMN, "migrations.RemoveField('a', 'b')", true);
        alembic(&DROP_COLUMN, "op.drop_column('a', 'b')", true);
    }

    #[test]
    fn in_a_hunk_only_what_was_added_counts() {
        let got =
            |hunk: &str| sample::scan_with(&DROP_COLUMN, vec![sample::modified("migrations/2_a.sql", hunk)]).len();
        assert_eq!(got(" ALTER TABLE t\n+  DROP COLUMN a,\n   ADD b int;\n"), 1);
        assert_eq!(got(" ALTER TABLE t\n   DROP COLUMN a,\n+  ADD b int;\n"), 0);
        assert_eq!(got("-ALTER TABLE t DROP COLUMN a;\n+SELECT 1;\n"), 0);
        // It was dropped before.
        assert_eq!(
            got(
                "-alter table t drop column a, drop column b;\n+ALTER TABLE t DROP COLUMN IF EXISTS a;\n+ALTER TABLE t DROP COLUMN b;\n"
            ),
            0
        );
        assert_eq!(got("-alter table t drop column a;\n+ALTER TABLE t DROP COLUMN c;\n"), 1);
    }

    #[test]
    fn what_is_taken_back_further_down_is_the_way_down() {
        let got = |rule: &'static Rule, path: &str, hunks: &[&'static str]| {
            let mut file = sample::modified(path, hunks[0]);
            file.hunks.extend(hunks[1..].iter().flat_map(|hunk| sample::modified(path, hunk).hunks));
            sample::scan_with(rule, vec![file]).len()
        };
        let php = "database/migrations/2026_01_01_000000_a.php";
        let adds = "             $table->boolean('a');\n+            $table->string('b');\n         });\n     }\n";
        let drops = "             $table->dropColumn('a');\n+            $table->dropColumn('b');\n";
        let other = "             $table->dropColumn('a');\n+            $table->dropColumn('c');\n";
        assert_eq!(got(&DROP_COLUMN, php, &[adds, drops]), 0);
        assert_eq!(got(&DROP_COLUMN, php, &[drops, adds]), 1);
        assert_eq!(got(&DROP_COLUMN, php, &[adds, other]), 1);
        let makes =
            "+        Schema::create('b', function (Blueprint $table) {\n+            $table->id();\n+        });\n";
        assert_eq!(
            got(
                &DROP_TABLE,
                php,
                &[makes, "         Schema::dropIfExists('a');\n+        Schema::dropIfExists('b');\n"]
            ),
            0
        );
        assert_eq!(
            got(
                &DROP_TABLE,
                php,
                &[makes, "         Schema::dropIfExists('a');\n+        Schema::dropIfExists('c');\n"]
            ),
            1
        );
        // The last method of a class is the way down.
        let last = "+            $table->dropColumn('c');\n         });\n     }\n };\n";
        assert_eq!(got(&DROP_COLUMN, php, &[last]), 0);
        let up = format!("     public function up()\n     {{\n{last}");
        assert_eq!(got(&DROP_COLUMN, php, &[up.leak()]), 1);
    }

    #[test]
    fn other_ways_to_lose_data_are_found() {
        sql(&DROP_DATABASE, "DROP DATABASE IF EXISTS a;\n", &[1]);
        sql(&DROP_SCHEMA, "DROP SCHEMA a CASCADE;\n", &[1]);
        sql(&TRUNCATE, "TRUNCATE TABLE a;\nTRUNCATE a, b CASCADE;\n", &[1, 2]);
        sql(&DELETE_ALL, "DELETE FROM a;\nDELETE FROM a WHERE b < 3;\nWITH x AS (SELECT 1) SELECT * FROM x;\n", &[1]);
        sql(&DELETE_ALL, "CREATE TABLE a (b int);\nDELETE FROM a;\n", &[]);
        rails(&CREATE_FORCE, "create_table :a, force: true do |t|\n    end", true);
        rails(&CREATE_FORCE, "create_table :a, force: false", false);
        rails(&REVERT, "revert AddA", true);
        rails(&REVERT, "revert do\n      create_table :a\n    end", false);
    }
}
