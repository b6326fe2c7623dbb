//! What holds for whatever stands in a migration: nothing panics, the same is found every time, and no text takes more than its
//! share of time.

use std::time::{Duration, Instant};

use domain::diff::{Diff, FileDiff};
use proptest::prelude::*;

use crate::rules::{Check, Rule};
use crate::sample::{added, modified};

/// How much the rules of this category have to say about these files, each rule by itself.
fn scan(files: Vec<FileDiff<'_>>) -> Vec<usize> {
    let diff = Diff { files };
    let sheets: Vec<_> = diff.files.iter().map(super::front::read).collect();
    let count = |rule: &&Rule| match rule.check {
        Check::Script(check) => {
            diff.files.iter().zip(&sheets).map(|(file, sheets)| super::front::hits(file, sheets, check).len()).sum()
        }
        Check::Change(check) => check(&diff).len(),
        _ => 0,
    };
    super::rules().iter().map(count).collect()
}

const PATHS: &[&str] = &[
    "migrations/1_a.sql",
    "migrations/1_a.up.sql",
    "db/migrate/1_a.rb",
    "alembic/versions/a.py",
    "m/migrations/1.py",
    "migrations/1.ts",
    "database/migrations/1.php",
    "priv/repo/migrations/1.exs",
    "migrations/1.go",
    "db/changelog/1.xml",
    "db/changelog/1.yaml",
];

/// Beginnings, middles and ends of what the front ends look for.
const WORDS: &[&str] = &[
    "ALTER TABLE a ",
    "ADD COLUMN b int ",
    "DROP COLUMN c",
    "CREATE TABLE t (",
    "DEFAULT ",
    "CHECK (",
    "REFERENCES x",
    "NOT NULL",
    "DO $$ BEGIN ",
    "END $$",
    "$a$",
    "$",
    "(",
    ")",
    "[",
    "{",
    "}",
    "'",
    "\"",
    "`",
    ";",
    ",",
    "\n",
    "--",
    "/*",
    "é",
    "\u{1F980}",
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "INSERT INTO a (b) SELECT ",
    "SET lock_timeout = ",
    "class A < ActiveRecord::Migration[7.1]\n",
    "def change\n",
    "def down\n",
    "end\n",
    "add_index :a, ",
    "execute <<~SQL\n",
    "SQL\n",
    "safety_assured { ",
    "do |t|\n",
    "create_table :a ",
    "revision = 1\n",
    "def upgrade():\n",
    "    op.execute(",
    "op.add_column('a', sa.Column(",
    "class Migration(migrations.Migration):\n operations = [",
    "migrations.RunSQL(",
    "AddField('a', 'b', models.X(",
    "state_operations=[",
    "exports.up = (knex) => ",
    "knex.schema.alterTable('a', (t) => { ",
    "t.dropColumn('b')",
    "t.string('b')",
    ".notNullable()",
    ".alter(",
    "queryInterface.addColumn('a', 'b', {",
    "RESET ALL;",
    "WITH a AS (",
    "change_table :a do |t|\n",
    "t.string :a, ",
    "A.update_all(",
    "execute %q(",
    "<addColumn tableName='a'>",
    "<column name='b'>",
    "<constraints nullable='false'/>",
    "queryRunner.query(`",
    "exports.down = ",
    "extends Migration {",
    "function up() {",
    "function down() {",
    "Schema::table('a', function (Blueprint $t) { ",
    "$t->string('b')->",
    "$t->dropColumn(",
    "DB::statement(",
    "DB::table('a')->delete()",
    "<<<SQL\n",
    "use Ecto.Migration\n",
    "alter table(:a) do\n",
    " add :b, references(:c",
    " modify :b, ",
    "do: ",
    "execute \"\"\"\n",
    "~s|",
    "#{",
    "Post |> Repo.update_all(",
    "<databaseChangeLog>",
    "<changeSet id='1'>",
    "<sql>",
    "<!--",
    "databaseChangeLog:\n",
    "- changeSet:\n",
    "- sql:\n",
    "-- +goose Up\n",
    "-- +goose Down\n",
    "case ",
    "not ",
    "- ",
    "::",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn nothing_panics_and_all_is_repeatable(
        path in prop::sample::select(PATHS),
        pieces in prop::collection::vec(prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => "\\PC{0,12}"], 0..60),
    ) {
        let text = pieces.concat();
        let hunk = text.replace('\n', "\n+");
        let first = scan(vec![added(path, &text), modified(path, &hunk)]);
        prop_assert_eq!(first, scan(vec![added(path, &text), modified(path, &hunk)]));
    }
}

#[test]
fn no_text_takes_more_than_its_share_of_time() {
    let many = |text: &str| text.repeat(200_000 / text.len());
    let texts = [
        many("ALTER TABLE a ADD b int;\n"),
        many("DROP TABLE a;\n"),
        many("ALTER TABLE a DROP CONSTRAINT b;\n"),
        many("CREATE TABLE a (b int);\nDROP INDEX i ON a;\nCREATE INDEX i ON a (b);\n"),
        many("INSERT INTO a (b, c) SELECT "),
        many("DO $$ BEGIN "),
        many("EXECUTE $a$ "),
        (0..15_000).map(|tag| format!("EXECUTE $a{tag}$ ")).collect(),
        format!("WITH a AS {}{}", many("(DELETE FROM a "), many(")")),
        many("/*!50001 ${a} "),
        many("ALTER TABLE a ADD b int DEFAULT (("),
        format!("ALTER TABLE a ADD b int DEFAULT {}", many("x.")),
        format!("INSERT INTO a VALUES {}", many("(1, 'x'), ")),
        format!("class A < ActiveRecord::Migration\n def change\n{}", many("  add_index :a, :b, x: { y: 1 }\n")),
        format!("class A < ActiveRecord::Migration\n def change\n{}", many("a { ")),
        format!("class A < ActiveRecord::Migration\n def change\n a({}", many("[(")),
        format!("revision = 1\ndef upgrade():\n    {}{}", many("op.a("), many(")")),
        format!("class Migration(migrations.Migration):\n operations = [{}{}", many("RunSQL("), many(")")),
        format!("class Migration(migrations.Migration):\n operations = [{}", many("state_operations=[")),
        format!("exports.up = (knex) => {}{}", many("knex.schema.alterTable("), many(")")),
        format!("exports.up = (knex) => {}", many("knex.raw('a'); ")),
        format!("exports.up = (knex) => knex.schema.alterTable('a', (t) => {{ {}", many("t.string('b').index();\n")),
        format!(
            "exports.up = (knex) => knex.schema.alterTable('a', (t) => {{ {} }})",
            many("t.string('b').index();\n")
        ),
        format!("exports.up = (knex) => knex.schema.alterTable('a', (t) => {{ {} }})", many("t.a(")),
        format!("<databaseChangeLog> {}", many("<changeSet id='1'><sql>")),
        format!("<databaseChangeLog> {}</sql>", many("<changeSet id='1'><sql>")),
        format!("class A extends Migration {{ function up() {{ {}", many("{ ")),
        format!("class A extends Migration {{ {}", many("function up() { ")),
        format!("class A extends Migration {{ function up() {{ {}", many("Schema::table('a', ")),
        format!("class A extends Migration {{ function up() {{ {}{}", many("DB::a("), many(")")),
        format!(
            "class A extends Migration {{ function up() {{ {}",
            many("Schema::table('a', function ($t) { $t->a(); ")
        ),
        format!("class A extends Migration {{ function down() {{ {}", many("$t->a(")),
        format!("class A extends Migration {{ {}", many("DB::statement(<<<SQL\n")),
        format!("use Ecto.Migration\n{}", many("def down do\n drop table(:a)\n")),
        format!("use Ecto.Migration\n{}", many("create table(:a) do\n")),
        format!("use Ecto.Migration\n{}", many("add :a,\n")),
        format!("use Ecto.Migration\n{}{}", many("do add("), many(")")),
        format!("use Ecto.Migration\n{}", many("\"#{\" ~s|")),
        format!("use Ecto.Migration\n{}", many("query |> Repo.delete_all(query)\n")),
    ];
    for text in texts {
        for path in PATHS {
            let started = Instant::now();
            scan(vec![added(path, &text)]);
            let took = started.elapsed();
            assert!(took < Duration::from_secs(10), "{path} took {took:?}: {}", text.get(..80).unwrap_or(""));
        }
    }
}
